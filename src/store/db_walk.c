/*
 * The walks of db. A walk remembers the key on which it stands and looks for its neighbour at every
 * step, so that it survives whatever is written, committed or lost in between.
 */
#include "base/mem.h"
#include "store/db.h"
#include <stdlib.h>
#include <string.h>

struct db_cursor {
	struct db *db;
	enum db_table table;
	bool placed; /* key is where it stands */
	size_t key_length;
	unsigned char key[DB_KEY_MAX];
};

struct db_cursor *db_cursor_open(struct db *db, enum db_table table)
{
	struct db_cursor *cursor = mem_zero(sizeof(*cursor));

	cursor->db = db;
	cursor->table = table;
	return cursor;
}

void db_cursor_close(struct db_cursor *cursor)
{
	free(cursor);
}

/* Remembers where it stands now. */
static bool stand(struct db_cursor *cursor, int is, const struct db_bytes *found)
{
	if (is != 1 || found->length > DB_KEY_MAX)
		return false;
	memcpy(cursor->key, found->data, found->length);
	cursor->key_length = found->length;
	cursor->placed = true;
	return true;
}

bool db_seek(struct db_cursor *cursor, const void *key, size_t key_length, struct db_bytes *found,
    struct db_bytes *value)
{
	return stand(
	    cursor, db_find_at(cursor->db, cursor->table, key, key_length, found, value), found);
}

bool db_last_before(struct db_cursor *cursor, const void *key, size_t key_length,
    struct db_bytes *found, struct db_bytes *value)
{
	return stand(cursor,
	    db_find_before(cursor->db, cursor->table, key, key_length, found, value), found);
}

bool db_next(struct db_cursor *cursor, struct db_bytes *found, struct db_bytes *value)
{
	if (!cursor->placed)
		return db_seek(cursor, "", 1, found, value); /* the least key of all */
	return stand(cursor,
	    db_find_after(cursor->db, cursor->table, cursor->key, cursor->key_length, found, value),
	    found);
}

bool db_previous(struct db_cursor *cursor, struct db_bytes *found, struct db_bytes *value)
{
	if (cursor->placed)
		return db_last_before(cursor, cursor->key, cursor->key_length, found, value);
	return stand(cursor, db_find_last(cursor->db, cursor->table, found, value), found);
}

bool db_cursor_del(struct db_cursor *cursor, struct err *err)
{
	if (!cursor->placed)
		return err_set(err, "store_failed", "a walk that stands nowhere deletes nothing");
	return db_del(cursor->db, cursor->table, cursor->key, cursor->key_length, DB_LAZY, err);
}
