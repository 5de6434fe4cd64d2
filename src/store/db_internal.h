/*
 * db_internal: what the files of db share; nobody else includes it.
 *
 *   db.c       groups, writing, reading
 *   db_open.c  the file and its tables
 *   db_parts.c values made of parts, and large ones
 *   db_room.c  how much there is, and how much is free
 *   db_walk.c  walks (over the functions of db.h alone)
 */
#ifndef STORE_DB_INTERNAL_H
#define STORE_DB_INTERNAL_H

#include "base/log.h"
#include "store/db.h"
#include "store/db_waiters.h"
#include "store/folder.h"
#include <lmdb.h>

struct db {
	struct loop *loop;
	struct loop_timer timer; /* brings a turn, whose end commits what is old enough */
	struct folder folder;
	MDB_env *env;
	MDB_dbi tables[DB_TABLES];
	uint64_t size;

	MDB_txn *write; /* the open group, or NULL */
	MDB_cursor *write_cursors[DB_TABLES];
	unsigned writes;
	bool urgent;
	uint64_t begun_ms;

	MDB_txn *read; /* kept, and renewed when a turn reads */
	bool reading;
	uint64_t renewals;
	MDB_cursor *read_cursors[DB_TABLES];
	uint64_t read_cursor_renewals[DB_TABLES];

	struct db_hooks before_commit, on_lost;
	struct db_waiters waiters; /* of the open group */
	struct db_waiters done;    /* of what is on disk, to be told at the end of the turn */
	struct db_lost_group *lost_groups;
	struct err lost_err;
	uint64_t lost, commits, changes;

	uint64_t used_pages;
	size_t page_size;
	uint64_t used_commits, used_ms;
	unsigned used_writes;
	struct log_limit log_limit;
};

/* err in words; always returns false. */
bool db_fail(const struct db *db, int rc, const char *what, struct err *err);
bool db_open_env(struct db *db, uint64_t wanted, struct err *err);
bool db_open_tables(struct db *db, struct err *err);

MDB_val db_val(const void *data, size_t length);
/* Opens a group of writes if none is open. */
bool db_group_open(struct db *db, unsigned flags, struct err *err);
/* A write failed: nothing of its group shall stay. Always returns false. */
bool db_group_abort(struct db *db, int rc, const char *what, struct err *err);
/* Writes that a group may hold. A group needs free pages for all that it changes, for those that it
 * frees are free only after it: in a small map it must be a small one. */
uint64_t db_group_most(const struct db *db);
/* The group's cursor of a table, kept: it often stands on the right page already. */
int db_write_cursor(struct db *db, enum db_table table, MDB_cursor **out);

/* Begins the turn's read transaction, unless a group is open; db_reader is then either. */
int db_read_begin(struct db *db);
MDB_txn *db_reader(struct db *db);

#endif
