#include "store/db_internal.h"
#include "store/db_version.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCOPE "store"

static struct metric commit_time = METRIC(METRIC_HISTOGRAM, "eyes_scm_store_commit_milliseconds",
    "", "Time that a group commit takes, with the wait for the disk");
static struct metric lost_total = METRIC(METRIC_COUNTER, "eyes_scm_store_groups_lost_total", "",
    "Groups of writes that could not be committed");
/* ---- words for errors ---- */

bool db_fail(const struct db *db, int rc, const char *what, struct err *err)
{
	if (rc == MDB_MAP_FULL) {
		err_set(err, "store_full", "the store is full (%llu MiB)",
		    (unsigned long long)(db->size >> 20));
		err_hint(err, "start with a larger EYES_STORE_SIZE");
	} else if (rc == ENOSPC || rc == EDQUOT) {
		err_set(err, "store_full", "the disk of %s is full", db->folder.path);
		err_hint(err, "free disk space");
	} else {
		err_set(
		    err, "store_failed", "%s in %s: %s", what, db->folder.path, mdb_strerror(rc));
	}
	return false;
}

/* ---- the ends of transactions ---- */

static void read_end(struct db *db)
{
	if (!db->reading)
		return;
	mdb_txn_reset(db->read);
	db->reading = false;
}

/* The cursors of a write transaction are freed with it. */
static MDB_txn *write_take(struct db *db)
{
	MDB_txn *txn = db->write;

	memset(db->write_cursors, 0, sizeof(db->write_cursors));
	db->write = NULL;
	db->writes = 0;
	db->urgent = false;
	return txn;
}

/* ---- who waits ---- */

/* Tells those whose group is decided. What they write or wait for in turn is a matter of the next
 * turn, which the timer brings. */
static void tell(struct db *db)
{
	struct db_lost_group *lost = db->lost_groups;
	struct db_waiters done = db->done;

	db->lost_groups = NULL;
	db->done = (struct db_waiters){0};
	db_lost_groups_call(lost);
	db_waiters_call(&done, NULL);
	if (db->done.capacity == 0)
		db->done = done; /* keeps the memory */
	else
		free(done.list);
	if (db->urgent || db->done.count > 0 || db->lost_groups != NULL)
		loop_timer_set(&db->timer, 0);
}

/* ---- the group ---- */

static void group_is_lost(struct db *db, const struct err *err)
{
	err_copy(&db->lost_err, err);
	db_lost_groups_add(&db->lost_groups, &db->waiters, err);
	db->lost++;
	metric_add(&lost_total, 1);
	log_limited_error(&db->log_limit, SCOPE, "a group of writes is lost", log_err(err));
	for (size_t i = 0; i < db->on_lost.count; i++)
		db->on_lost.list[i].fn(db->on_lost.list[i].arg);
	if (!db->timer.pending)
		loop_timer_set(&db->timer, 0);
}

bool db_group_abort(struct db *db, int rc, const char *what, struct err *err)
{
	struct err own = ERR_INIT;

	db_fail(db, rc, what, &own);
	db->changes++;
	if (db->write != NULL)
		mdb_txn_abort(write_take(db));
	group_is_lost(db, &own);
	err_copy(err, &own);
	return false;
}

bool db_group_open(struct db *db, unsigned flags, struct err *err)
{
	if ((flags & DB_LAZY) == 0)
		db->urgent = true;
	db->changes++; /* whoever opens it writes next */
	if (db->write != NULL)
		return true;
	read_end(db);
	int rc = mdb_txn_begin(db->env, NULL, 0, &db->write);
	if (rc != 0) {
		db->write = NULL;
		db->urgent = false;
		return db_group_abort(db, rc, "no writing", err);
	}
	db->begun_ms = clock_monotonic_ms();
	if (!db->timer.pending)
		loop_timer_set(&db->timer, DB_GROUP_MS);
	return true;
}

static bool group_commit(struct db *db, struct err *err)
{
	if (db->write == NULL)
		return true;
	uint64_t lost = db->lost;
	for (size_t i = 0; i < db->before_commit.count; i++) {
		db->before_commit.list[i].fn(db->before_commit.list[i].arg);
		if (db->lost != lost)
			return db_lost_err(db, err);
	}
	uint64_t start_us = clock_monotonic_us();
	int rc = mdb_txn_commit(write_take(db));
	metric_observe_ms(&commit_time, (double)(clock_monotonic_us() - start_us) / 1000);
	if (rc != 0)
		return db_group_abort(db, rc, "a commit fails", err);
	db->commits++;
	db_waiters_move(&db->done, &db->waiters);
	return true;
}

uint64_t db_group_most(const struct db *db)
{
	uint64_t most = db->size / DB_BYTES_PER_WRITE;

	return most < DB_GROUP_WRITES ? most : DB_GROUP_WRITES;
}

static bool group_is_due(const struct db *db)
{
	return db->urgent || db->writes >= db_group_most(db) ||
	       clock_monotonic_ms() - db->begun_ms >= DB_GROUP_MS;
}

static void on_turn_end(void *arg)
{
	struct db *db = arg;

	if (db->write != NULL && group_is_due(db))
		group_commit(db, NULL); /* a failure is told to those who wait */
	tell(db);
	read_end(db);
	if (db->write != NULL && !db->timer.pending) {
		uint64_t age_ms = clock_monotonic_ms() - db->begun_ms;
		loop_timer_set(&db->timer, age_ms < DB_GROUP_MS ? DB_GROUP_MS - age_ms : 0);
	}
}

static void on_timer(void *arg)
{
	(void)arg; /* the end of the turn does the work */
}

void db_after_commit(struct db *db, db_commit_fn *fn, void *arg)
{
	if (db->write != NULL) {
		db_waiters_add(&db->waiters, fn, arg);
		return;
	}
	db_waiters_add(&db->done, fn, arg);
	if (!db->timer.pending)
		loop_timer_set(&db->timer, 0);
}

bool db_commit_now(struct db *db, struct err *err)
{
	bool done = group_commit(db, err);

	if (db->done.count > 0 && !db->timer.pending)
		loop_timer_set(&db->timer, 0);
	return done;
}

void db_before_commit(struct db *db, loop_fn *fn, void *arg)
{
	db_hooks_add(&db->before_commit, fn, arg);
}

void db_on_lost(struct db *db, loop_fn *fn, void *arg)
{
	db_hooks_add(&db->on_lost, fn, arg);
}

void db_forget(struct db *db, const void *arg)
{
	db_hooks_forget(&db->before_commit, arg);
	db_hooks_forget(&db->on_lost, arg);
}

uint64_t db_lost(const struct db *db)
{
	return db->lost;
}

bool db_lost_err(const struct db *db, struct err *err)
{
	err_copy(err, &db->lost_err);
	return false;
}

/* ---- writing ---- */

MDB_val db_val(const void *data, size_t length)
{
	return (MDB_val){.mv_data = (void *)(uintptr_t)data, .mv_size = length};
}

int db_write_cursor(struct db *db, enum db_table table, MDB_cursor **out)
{
	int rc = 0;

	if (db->write_cursors[table] == NULL)
		rc = mdb_cursor_open(db->write, db->tables[table], &db->write_cursors[table]);
	*out = db->write_cursors[table];
	return rc;
}

static int put(struct db *db, enum db_table table, MDB_val *key, MDB_val *value, unsigned how)
{
	MDB_cursor *cursor;
	int rc = db_write_cursor(db, table, &cursor);

	if (rc == 0)
		rc = mdb_cursor_put(cursor, key, value, how);
	db->writes++;
	return rc;
}

bool db_put(struct db *db, enum db_table table, const void *key, size_t key_length,
    const void *value, size_t value_length, unsigned flags, struct err *err)
{
	MDB_val k = db_val(key, key_length), v = db_val(value, value_length);
	int rc = MDB_KEYEXIST;

	if (!db_group_open(db, flags, err))
		return false;
	if ((flags & DB_APPEND) != 0)
		rc = put(db, table, &k, &v, MDB_APPEND);
	if (rc == MDB_KEYEXIST) {
		k = db_val(key, key_length);
		v = db_val(value, value_length);
		rc = put(db, table, &k, &v, 0);
	}
	return rc == 0 || db_group_abort(db, rc, "a write fails", err);
}

int db_add(struct db *db, enum db_table table, const void *key, size_t key_length,
    const void *value, size_t value_length, unsigned flags, struct err *err)
{
	MDB_val k = db_val(key, key_length), v = db_val(value, value_length);

	if (!db_group_open(db, flags, err))
		return -1;
	int rc = put(db, table, &k, &v, MDB_NOOVERWRITE);
	if (rc == 0)
		return 1;
	if (rc == MDB_KEYEXIST)
		return 0;
	db_group_abort(db, rc, "a write fails", err);
	return -1;
}

int db_remove(struct db *db, enum db_table table, const void *key, size_t key_length,
    unsigned flags, struct err *err)
{
	MDB_val k = db_val(key, key_length), v;
	MDB_cursor *cursor;

	if (!db_group_open(db, flags, err))
		return -1;
	int rc = db_write_cursor(db, table, &cursor);
	if (rc == 0)
		rc = mdb_cursor_get(cursor, &k, &v, MDB_SET);
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc == 0)
		rc = mdb_cursor_del(cursor, 0);
	db->writes++;
	if (rc == 0)
		return 1;
	db_group_abort(db, rc, "a delete fails", err);
	return -1;
}

bool db_del(struct db *db, enum db_table table, const void *key, size_t key_length, unsigned flags,
    struct err *err)
{
	return db_remove(db, table, key, key_length, flags, err) >= 0;
}

bool db_touch(struct db *db, unsigned flags, struct err *err)
{
	return db_group_open(db, flags, err);
}

/* ---- reading ---- */

int db_read_begin(struct db *db)
{
	if (db->write != NULL || db->reading)
		return 0;
	int rc = db->read != NULL ? mdb_txn_renew(db->read)
	                          : mdb_txn_begin(db->env, NULL, MDB_RDONLY, &db->read);
	if (rc != 0)
		return rc;
	db->reading = true;
	db->renewals++;
	return 0;
}

MDB_txn *db_reader(struct db *db)
{
	return db->write != NULL ? db->write : db->read;
}

/* A cursor of the table in the open group, else in the turn's read transaction. */
static int any_cursor(struct db *db, enum db_table table, MDB_cursor **out)
{
	int rc = db_read_begin(db);

	if (rc != 0)
		return rc;
	if (db->write != NULL)
		return db_write_cursor(db, table, out);
	if (db->read_cursors[table] == NULL)
		rc = mdb_cursor_open(db->read, db->tables[table], &db->read_cursors[table]);
	else if (db->read_cursor_renewals[table] != db->renewals)
		rc = mdb_cursor_renew(db->read, db->read_cursors[table]);
	db->read_cursor_renewals[table] = db->renewals;
	*out = db->read_cursors[table];
	return rc;
}

/* What a look says: 1, 0 or -1, with the line in the log. */
static int answer(struct db *db, int rc)
{
	if (rc == 0)
		return 1;
	if (rc == MDB_NOTFOUND)
		return 0;
	struct err err = ERR_INIT;
	db_fail(db, rc, "a read fails", &err);
	log_limited_error(&db->log_limit, SCOPE, "the store cannot be read", log_err(&err));
	return -1;
}

static void give(struct db_bytes *out, const MDB_val *value)
{
	*out = (struct db_bytes){.data = value->mv_data, .length = value->mv_size};
}

int db_get(
    struct db *db, enum db_table table, const void *key, size_t key_length, struct db_bytes *value)
{
	MDB_val k = db_val(key, key_length), v;
	MDB_cursor *cursor;
	int rc = any_cursor(db, table, &cursor);

	if (rc == 0)
		rc = mdb_cursor_get(cursor, &k, &v, MDB_SET);
	if (rc == 0 && value != NULL)
		give(value, &v);
	return answer(db, rc);
}

static int move(struct db *db, MDB_cursor *cursor, MDB_val *key, MDB_cursor_op op,
    struct db_bytes *found, struct db_bytes *value)
{
	MDB_val v;
	int rc = mdb_cursor_get(cursor, key, &v, op);

	if (rc == 0) {
		give(found, key);
		give(value, &v);
	}
	return answer(db, rc);
}

static int find_before(struct db *db, MDB_cursor *cursor, const void *key, size_t key_length,
    struct db_bytes *found, struct db_bytes *value)
{
	MDB_val k = db_val(key, key_length);
	int is = move(db, cursor, &k, MDB_SET_RANGE, found, value);

	return is < 0 ? is : move(db, cursor, &k, is == 1 ? MDB_PREV : MDB_LAST, found, value);
}

int db_find_at(struct db *db, enum db_table table, const void *key, size_t key_length,
    struct db_bytes *found, struct db_bytes *value)
{
	MDB_val k = db_val(key, key_length);
	MDB_cursor *cursor;
	int rc = any_cursor(db, table, &cursor);

	return rc != 0 ? answer(db, rc) : move(db, cursor, &k, MDB_SET_RANGE, found, value);
}

static bool is_key(const MDB_val *key, const void *data, size_t length)
{
	return key->mv_size == length && memcmp(key->mv_data, data, length) == 0;
}

int db_find_after(struct db *db, enum db_table table, const void *key, size_t key_length,
    struct db_bytes *found, struct db_bytes *value)
{
	MDB_val k = {0}, v;
	MDB_cursor *cursor;
	int rc = any_cursor(db, table, &cursor);

	if (rc != 0)
		return answer(db, rc);
	if (mdb_cursor_get(cursor, &k, &v, MDB_GET_CURRENT) == 0 && is_key(&k, key, key_length))
		return move(db, cursor, &k, MDB_NEXT, found, value);
	k = db_val(key, key_length);
	rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
	if (rc == 0 && is_key(&k, key, key_length))
		return move(db, cursor, &k, MDB_NEXT, found, value);
	if (rc == 0) {
		give(found, &k);
		give(value, &v);
	}
	return answer(db, rc);
}

int db_find_before(struct db *db, enum db_table table, const void *key, size_t key_length,
    struct db_bytes *found, struct db_bytes *value)
{
	MDB_cursor *cursor;
	int rc = any_cursor(db, table, &cursor);

	return rc != 0 ? answer(db, rc) : find_before(db, cursor, key, key_length, found, value);
}

int db_find_last(struct db *db, enum db_table table, struct db_bytes *found, struct db_bytes *value)
{
	MDB_val k = db_val(NULL, 0);
	MDB_cursor *cursor;
	int rc = any_cursor(db, table, &cursor);

	return rc != 0 ? answer(db, rc) : move(db, cursor, &k, MDB_LAST, found, value);
}

/* ---- what it is ---- */

uint64_t db_size(const struct db *db)
{
	return db->size;
}

uint64_t db_commits(const struct db *db)
{
	return db->commits;
}

uint64_t db_changes(const struct db *db)
{
	return db->changes;
}

const char *db_directory(const struct db *db)
{
	return db->folder.path;
}

/* ---- opening ---- */

struct db *db_open(struct loop *loop, const struct db_options *options, struct err *err)
{
	struct db *db = mem_zero(sizeof(*db));

	db->loop = loop;
	loop_timer_init(&db->timer, loop, on_timer, db);
	if (!folder_open(&db->folder, options->directory, err) ||
	    !db_open_env(db, options->size, err) || !db_open_tables(db, err) ||
	    !db_check_version(db, err)) {
		db_close(db);
		return NULL;
	}
	loop_on_turn_end(loop, on_turn_end, db);
	return db;
}

void db_close(struct db *db)
{
	if (db == NULL)
		return;
	group_commit(db, NULL);
	while (db->done.count > 0 || db->lost_groups != NULL || db->write != NULL) {
		tell(db);
		group_commit(db, NULL);
	}
	loop_timer_cancel(&db->timer);
	for (int table = 0; table < DB_TABLES; table++)
		if (db->read_cursors[table] != NULL)
			mdb_cursor_close(db->read_cursors[table]);
	if (db->read != NULL)
		mdb_txn_abort(db->read);
	if (db->env != NULL)
		mdb_env_close(db->env);
	folder_close(&db->folder);
	free(db->waiters.list);
	free(db->done.list);
	free(db->before_commit.list);
	free(db->on_lost.list);
	free(db);
}
