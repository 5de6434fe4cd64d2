/*
 * db: the only room that sees lmdb.h (in db_internal.h). Tables of bytes, one group commit per turn
 * of the loop.
 *
 * How a write goes:
 *
 *   db_put/db_del --> one open write transaction --end of turn--> db_before_commit functions
 *                                        --> mdb_txn_commit --> db_after_commit functions
 *
 * What always holds:
 *  - Nothing is told to have been written before the commit that holds it has returned. All writes
 *    since the last commit (a "group") stand or fall together. When one fails, the group is lost:
 *    its transaction is given up at once, db_on_lost functions put memory back to what is on disk,
 *    every db_after_commit function of the group is told the error at the end of the turn, and what
 *    is in the database is what was there before. Writes after that are a new group.
 *  - A group is committed at the end of the turn when an urgent write is in it, else when it holds
 *    DB_GROUP_WRITES writes (fewer in a small map) or is DB_GROUP_MS old (outcomes can wait: losing
 * one only repeats a harmless delivery).
 *  - Reads see what was written in the open group. No read transaction outlives its turn. Values
 *    are borrowed until the next write or the end of the turn, whichever comes first.
 *  - The map is of fixed size and the file preallocated, so that a full disk cannot stop deletes.
 *    At DB_FULL_PERCENT of used pages db_full() is true: intake stops, everything else goes on.
 *  - One process: an exclusive flock on the folder's "lock" file; a second daemon gets a clear
 *    refusal (code "store_locked").
 *  - What it makes is for its owner alone (0700, 0600). The folder must be ours, not writable by
 *    others, and not on a network file system.
 *  - meta/version is checked: a newer one is refused (code "store_newer").
 *
 * Codes of errors: store_folder, store_locked, store_newer, store_corrupt, store_full (the map or
 * the disk), store_failed (anything else that the system refuses).
 *
 * Open after daemonising; never fork afterwards.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "base/err.h"
#include "base/loop.h"
#include <stddef.h>
#include <stdint.h>

#define DB_VERSION 1
#define DB_GROUP_WRITES 1024
#define DB_BYTES_PER_WRITE (256 << 10) /* of the map: 64 writes in one of 16 MiB */
#define DB_GROUP_MS 10
#define DB_KEY_MAX 511
#define DB_FULL_PERCENT 80

enum db_table {
	DB_META,
	DB_ACCOUNT,
	DB_SERVER,
	DB_REPO,
	DB_REPO_NAME, /* server id + lower-case "project/slug" -> repository id */
	DB_QUEUE,
	DB_LATER,
	DB_DEAD,
	DB_TARGET,
	DB_SEEN,
	DB_OUTBOX,
	DB_BATCH,
	DB_PLACE,
	DB_RECENT,
	DB_AUDIT,
	DB_SESSION,
	DB_HOOK,
	DB_EVENT,
	DB_EVENT_DEAD,
	DB_EVENT_SEEN,
	DB_LAST,
	DB_TABLES
};

struct db;
struct db_bytes {
	const void *data;
	size_t length;
};

struct db_options {
	const char *directory; /* made with mode 0700 when missing, with the folders above it */
	uint64_t size;         /* bytes of the map; an existing larger file keeps its size */
};

/* The loop must not turn any more once db is closed. */
struct db *db_open(struct loop *loop, const struct db_options *options, struct err *err);
/* Commits what is open and tells everyone who waits; close the rooms above first. NULL is right. */
void db_close(struct db *db);

/* 1 found, 0 not there, -1 error. */
int db_get(
    struct db *db, enum db_table table, const void *key, size_t key_length, struct db_bytes *value);
/* The first entry at or after the key; the last one before it. 1 found, 0 there is none, -1 error.
 * Cheaper than a walk: a cursor per table is kept. */
int db_find_at(struct db *db, enum db_table table, const void *key, size_t key_length,
    struct db_bytes *found, struct db_bytes *value);
int db_find_before(struct db *db, enum db_table table, const void *key, size_t key_length,
    struct db_bytes *found, struct db_bytes *value);
/* The first entry behind the key: a step where the table's cursor stands on the key, so that a walk
 * costs little. */
int db_find_after(struct db *db, enum db_table table, const void *key, size_t key_length,
    struct db_bytes *found, struct db_bytes *value);
/* The last entry of the table. */
int db_find_last(
    struct db *db, enum db_table table, struct db_bytes *found, struct db_bytes *value);

enum {
	DB_LAZY = 1,  /* this write may wait for the group */
	DB_APPEND = 2 /* the key is probably beyond the last one */
};
/* False with err (codes store_full, store_failed): the whole open group is then lost. */
bool db_put(struct db *db, enum db_table table, const void *key, size_t key_length,
    const void *value, size_t value_length, unsigned flags, struct err *err)
    __attribute__((warn_unused_result));
/* Only when the key is not there. 1 put, 0 it is there (nothing changed), -1 as db_put. */
int db_add(struct db *db, enum db_table table, const void *key, size_t key_length,
    const void *value, size_t value_length, unsigned flags, struct err *err)
    __attribute__((warn_unused_result));
/*
 * As db_put, of a value that is these parts one after the other: large ones are copied once. Parts
 * may be borrowed from another table. A value of 64 KiB or more needs its pages in one piece: 0
 * when there is no such piece, and then nothing has changed. 1 put, -1 as db_put.
 */
int db_put_parts(struct db *db, enum db_table table, const void *key, size_t key_length,
    const struct db_bytes *parts, size_t count, unsigned flags, struct err *err)
    __attribute__((warn_unused_result));
/* Deleting what is not there is no error. */
bool db_del(struct db *db, enum db_table table, const void *key, size_t key_length, unsigned flags,
    struct err *err) __attribute__((warn_unused_result));
/* The same, saying whether it was there: 1 deleted, 0 not there, -1 error. */
int db_remove(struct db *db, enum db_table table, const void *key, size_t key_length,
    unsigned flags, struct err *err) __attribute__((warn_unused_result));
/* Opens a group as a write does, for who writes in its db_before_commit function. */
bool db_touch(struct db *db, unsigned flags, struct err *err) __attribute__((warn_unused_result));

/*
 * Calls fn once the writes made so far are on disk (err NULL) or are lost. Called at the end of a
 * turn, in the order of the calls. Without open writes it is called at the end of this turn.
 */
typedef void db_commit_fn(const struct err *err, void *arg);
void db_after_commit(struct db *db, db_commit_fn *fn, void *arg);
/* Commits now and waits for the disk: for start and shutdown. Who waits is told at the end of the
 * turn, as always. */
bool db_commit_now(struct db *db, struct err *err);

/* fn is called just before each commit that holds writes, and may write more into the group. */
void db_before_commit(struct db *db, loop_fn *fn, void *arg);
/* fn is called when a group was lost, right away: forget what memory knows from it. No writing. */
void db_on_lost(struct db *db, loop_fn *fn, void *arg);
/* Takes back every db_before_commit and db_on_lost of this arg. */
void db_forget(struct db *db, const void *arg);
/* How many groups were lost so far: two equal numbers around several writes mean that they stand
 * together in the open group. */
uint64_t db_lost(const struct db *db);
/* Why the last one was lost. Always returns false. */
bool db_lost_err(const struct db *db, struct err *err);

/* A walk in key order inside one turn. Writes to the same table are allowed meanwhile: the walk
 * goes on after the key on which it stood. */
struct db_cursor;
struct db_cursor *db_cursor_open(struct db *db, enum db_table table);
void db_cursor_close(struct db_cursor *cursor);
/* The first entry at or after the key; db_last_before: the last entry before the key. false at the
 * end. */
bool db_seek(struct db_cursor *cursor, const void *key, size_t key_length, struct db_bytes *found,
    struct db_bytes *value);
bool db_last_before(struct db_cursor *cursor, const void *key, size_t key_length,
    struct db_bytes *found, struct db_bytes *value);
/* Before the first db_seek: the first or the last entry of the table. */
bool db_next(struct db_cursor *cursor, struct db_bytes *found, struct db_bytes *value);
bool db_previous(struct db_cursor *cursor, struct db_bytes *found, struct db_bytes *value);
/* The entry it stands on; a lazy write. */
bool db_cursor_del(struct db_cursor *cursor, struct err *err) __attribute__((warn_unused_result));

uint64_t db_count(struct db *db, enum db_table table);
/* Of the map's pages, free ones not counted. Looked at anew after a commit, 100 ms or 256 writes
 * (fewer in a small map). */
unsigned db_used_percent(struct db *db);
bool db_full(struct db *db); /* DB_FULL_PERCENT or more */
/* Not full now, nor with so many bytes more. */
bool db_has_room(struct db *db, uint64_t bytes);
uint64_t db_size(const struct db *db);
uint64_t db_commits(const struct db *db);
/* Rises with every write and when a group is lost: as long as it is the same, so is what every
 * table holds. */
uint64_t db_changes(const struct db *db);
/* The directory's absolute path. */
const char *db_directory(const struct db *db);

#endif
