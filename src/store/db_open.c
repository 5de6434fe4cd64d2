#include "store/db_internal.h"

#include "base/mem.h"
#include <stdlib.h>
#include <sys/stat.h>

#define SIZE_MIN (UINT64_C(1) << 20)

static const char *const table_names[DB_TABLES] = {
    [DB_META] = "meta",
    [DB_ACCOUNT] = "account",
    [DB_SERVER] = "server",
    [DB_REPO] = "repo",
    [DB_REPO_NAME] = "repo_name",
    [DB_QUEUE] = "queue",
    [DB_LATER] = "later",
    [DB_DEAD] = "dead",
    [DB_TARGET] = "target",
    [DB_SEEN] = "seen",
    [DB_OUTBOX] = "outbox",
    [DB_BATCH] = "batch",
    [DB_PLACE] = "place",
    [DB_RECENT] = "recent",
    [DB_AUDIT] = "audit",
    [DB_SESSION] = "session",
    [DB_HOOK] = "hook",
    [DB_EVENT] = "event",
    [DB_EVENT_DEAD] = "event_dead",
    [DB_EVENT_SEEN] = "event_seen",
    [DB_LAST] = "last",
};

static bool cannot_open(const struct db *db, int rc, struct err *err)
{
	if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH || rc == MDB_CORRUPTED ||
	    rc == MDB_PAGE_NOTFOUND) {
		err_set(err, "store_corrupt", "%s/data.mdb is no store of ours, or is damaged: %s",
		    db->folder.path, mdb_strerror(rc));
		err_hint(err, "restore a backup, or move the file away to begin anew");
		return false;
	}
	return db_fail(db, rc, "the store cannot be opened", err);
}

/* A map as large as asked for, and never smaller than the file that is there. */
static uint64_t map_size(const struct db *db, uint64_t wanted)
{
	const uint64_t unit = UINT64_C(64) << 10; /* a multiple of every page size */
	char *path = mem_printf("%s/data.mdb", db->folder.path);
	struct stat status;
	uint64_t size = wanted > SIZE_MIN ? wanted : SIZE_MIN;

	if (stat(path, &status) == 0 && (uint64_t)status.st_size > size)
		size = (uint64_t)status.st_size;
	free(path);
	return (size + unit - 1) / unit * unit;
}

bool db_open_env(struct db *db, uint64_t wanted, struct err *err)
{
	int fd;

	db->size = map_size(db, wanted);
	int rc = mdb_env_create(&db->env);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(db->env, DB_TABLES);
	if (rc == 0)
		rc = mdb_env_set_mapsize(db->env, db->size);
	/* Neither WRITEMAP (a full disk would kill us) nor NOSYNC (a power cut would cost all). */
	if (rc == 0)
		rc = mdb_env_open(db->env, db->folder.path, MDB_NOTLS, 0600);
	if (rc == 0)
		rc = mdb_env_get_fd(db->env, &fd);
	if (rc != 0)
		return cannot_open(db, rc, err);
	return folder_preallocate(&db->folder, fd, db->size, err);
}

/* Handles of a transaction that is given up are invalid, so that this one must be committed. */
bool db_open_tables(struct db *db, struct err *err)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(db->env, NULL, 0, &txn);

	if (rc != 0)
		return cannot_open(db, rc, err);
	for (int table = 0; rc == 0 && table < DB_TABLES; table++)
		rc = mdb_dbi_open(txn, table_names[table], MDB_CREATE, &db->tables[table]);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return cannot_open(db, rc, err);
	}
	rc = mdb_txn_commit(txn);
	return rc == 0 || cannot_open(db, rc, err);
}
