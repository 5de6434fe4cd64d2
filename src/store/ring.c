#include "store/ring.h"

#include "base/pack.h"

bool ring_open(
    struct ring *ring, struct db *db, enum db_table table, uint64_t limit, struct err *err)
{
	struct db_bytes key, row;
	int is = db_find_last(db, table, &key, &row);

	*ring = (struct ring){.db = db, .table = table, .limit = limit > 0 ? limit : 1};
	if (is < 0 || (is == 1 && key.length != sizeof(uint64_t)))
		return err_set(err, "store_corrupt", "a table of numbered rows is damaged");
	ring->last = is == 1 ? unpack_key_u64(key.data) : 0;
	return true;
}

uint64_t ring_add(
    struct ring *ring, const void *row, size_t length, unsigned flags, struct err *err)
{
	unsigned char key[8];

	pack_key_u64(key, ring->last + 1);
	if (!db_put(ring->db, ring->table, key, sizeof(key), row, length, flags | DB_APPEND, err))
		return 0;
	return ++ring->last;
}

void ring_latest(struct ring *ring, unsigned most, ring_fn *fn, void *arg)
{
	struct db_cursor *cursor = db_cursor_open(ring->db, ring->table);
	struct db_bytes key, row;

	for (unsigned i = 0; i < most && db_previous(cursor, &key, &row); i++)
		if (!fn(unpack_key_u64(key.data), &row, arg))
			break;
	db_cursor_close(cursor);
}

void ring_since(struct ring *ring, uint64_t after, unsigned most, ring_fn *fn, void *arg)
{
	struct db_cursor *cursor = db_cursor_open(ring->db, ring->table);
	unsigned char first[8];
	struct db_bytes key, row;
	bool more = false;

	if (after < UINT64_MAX) {
		pack_key_u64(first, after + 1);
		more = db_seek(cursor, first, sizeof(first), &key, &row);
	}
	for (unsigned i = 0; more && i < most; i++) {
		if (!fn(unpack_key_u64(key.data), &row, arg))
			break;
		more = db_next(cursor, &key, &row);
	}
	db_cursor_close(cursor);
}

unsigned ring_trim(struct ring *ring, unsigned most, ring_fn *fn, void *arg)
{
	uint64_t count = db_count(ring->db, ring->table);
	unsigned deleted = 0;
	struct db_bytes key, row;

	if (count <= ring->limit)
		return 0;
	struct db_cursor *cursor = db_cursor_open(ring->db, ring->table);
	while (deleted < most && count - deleted > ring->limit && db_next(cursor, &key, &row) &&
	       (fn == NULL || fn(unpack_key_u64(key.data), &row, arg)) &&
	       db_cursor_del(cursor, NULL))
		deleted++;
	db_cursor_close(cursor);
	return deleted;
}
