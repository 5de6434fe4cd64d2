/*
 * A value larger than a page lies on pages of its own, all in one piece, and the free pages of a
 * map may lie scattered. To fail for want of such a piece ends a transaction; so a large value is
 * put by a transaction within the group's, which alone is given up then.
 */
#include "store/db_internal.h"

#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

enum {
	LARGE = 64 << 10,      /* bytes; smaller pieces are as good as always there */
	WRITE_BYTES = 16 << 10 /* a put of so many bytes counts as one more write of the group */
};

/* Reserves the room and copies the parts into it. */
static int put_parts(MDB_txn *txn, MDB_cursor *cursor, MDB_dbi table, MDB_val *key, size_t total,
    const struct db_bytes *parts, size_t count)
{
	MDB_val value = {.mv_size = total};
	int rc = cursor != NULL ? mdb_cursor_put(cursor, key, &value, MDB_RESERVE)
	                        : mdb_put(txn, table, key, &value, MDB_RESERVE);

	if (rc != 0)
		return rc;
	char *at = value.mv_data;
	for (size_t i = 0; i < count; i++) {
		if (parts[i].length > 0)
			memcpy(at, parts[i].data, parts[i].length);
		at += parts[i].length;
	}
	return 0;
}

static int put_large(struct db *db, enum db_table table, MDB_val *key, size_t total,
    const struct db_bytes *parts, size_t count)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(db->env, db->write, 0, &txn);

	if (rc != 0)
		return rc;
	rc = put_parts(txn, NULL, db->tables[table], key, total, parts, count);
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

int db_put_parts(struct db *db, enum db_table table, const void *key, size_t key_length,
    const struct db_bytes *parts, size_t count, unsigned flags, struct err *err)
{
	MDB_val k = db_val(key, key_length);
	MDB_cursor *cursor;
	size_t total = 0;
	int rc;

	for (size_t i = 0; i < count; i++)
		total += parts[i].length;
	if (!db_group_open(db, flags, err))
		return -1;
	db->writes += 1 + (unsigned)(total / WRITE_BYTES);
	if (total >= LARGE) {
		rc = put_large(db, table, &k, total, parts, count);
		if (rc == MDB_MAP_FULL)
			return 0;
	} else {
		rc = db_write_cursor(db, table, &cursor);
		if (rc == 0)
			rc = put_parts(db->write, cursor, 0, &k, total, parts, count);
	}
	if (rc == 0)
		return 1;
	db_group_abort(db, rc, "a write fails", err);
	return -1;
}
