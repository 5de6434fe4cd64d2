#include "store/places.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/pack.h"
#include <stdlib.h>
#include <string.h>

enum { BATCH_KEY = 16, COMMIT_KEY = 20, KEY_MAX = 20, SAMPLE = 8 };

/* A table of hashes whose rows begin with the time when they were last of use. */
struct aging {
	enum db_table table;
	size_t key_length;
	unsigned char trim_at[KEY_MAX];  /* where trimming goes on */
	unsigned char evict_at[KEY_MAX]; /* where the next one to give way is looked for */
};

struct places {
	struct db *db;
	uint64_t limit;
	struct aging batches, commits;
	struct buf row;
};

struct places *places_open(struct db *db, uint64_t limit, struct err *err)
{
	struct places *places = mem_zero(sizeof(*places));

	(void)err; /* nothing is read at open */
	places->db = db;
	places->limit = limit > 0 ? limit : 1;
	places->batches = (struct aging){.table = DB_BATCH, .key_length = BATCH_KEY};
	places->commits = (struct aging){.table = DB_PLACE, .key_length = COMMIT_KEY};
	buf_init(&places->row, PLACES_MEMORY_MAX + 64);
	return places;
}

void places_close(struct places *places)
{
	if (places == NULL)
		return;
	buf_free(&places->row);
	free(places);
}

static int64_t time_of(const struct db_bytes *row)
{
	struct unpack u;

	unpack_init(&u, row->data, row->length);
	return (int64_t)unpack_u64(&u);
}

/* Deletes the oldest of a few neighbours. */
static bool evict(struct places *places, struct aging *aging, struct err *err)
{
	struct db_cursor *cursor = db_cursor_open(places->db, aging->table);
	struct db_bytes key, row;
	unsigned char oldest[KEY_MAX];
	int64_t oldest_ms = INT64_MAX;
	bool more = db_seek(cursor, aging->evict_at, aging->key_length, &key, &row);

	if (!more) /* behind the last one: from the start */
		more = db_seek(
		    cursor, (const unsigned char[KEY_MAX]){0}, aging->key_length, &key, &row);
	for (int i = 0; more && i < SAMPLE; i++) {
		if (key.length == aging->key_length && time_of(&row) < oldest_ms) {
			oldest_ms = time_of(&row);
			memcpy(oldest, key.data, aging->key_length);
		}
		more = db_next(cursor, &key, &row);
	}
	if (more && key.length == aging->key_length)
		memcpy(aging->evict_at, key.data, aging->key_length);
	else
		memset(aging->evict_at, 0, sizeof(aging->evict_at));
	db_cursor_close(cursor);
	return oldest_ms == INT64_MAX ||
	       db_del(places->db, aging->table, oldest, aging->key_length, DB_LAZY, err);
}

/* Puts places->row. */
static bool put_row(struct places *places, struct aging *aging, const void *key, struct err *err)
{
	uint64_t count = db_count(places->db, aging->table);

	if (count >= places->limit &&
	    db_get(places->db, aging->table, key, aging->key_length, NULL) == 0 &&
	    !evict(places, aging, err))
		return false;
	return db_put(places->db, aging->table, key, aging->key_length, places->row.data,
	    places->row.length, DB_LAZY, err);
}

static void batch_key(unsigned char key[BATCH_KEY], const char *id)
{
	unsigned char digest[CRYPTO_SHA256];

	crypto_sha256(digest, id, strlen(id));
	memcpy(key, digest, BATCH_KEY);
}

ptrdiff_t places_memory_get(struct places *places, const char *id, void *out, size_t size)
{
	unsigned char key[BATCH_KEY];
	struct db_bytes row;
	struct unpack u;
	const void *data;
	size_t length;

	batch_key(key, id);
	if (db_get(places->db, DB_BATCH, key, sizeof(key), &row) != 1)
		return -1;
	unpack_init(&u, row.data, row.length);
	unpack_u64(&u); /* when it was set */
	data = unpack_bytes(&u, &length);
	if (u.bad || length > size)
		return -1;
	memcpy(out, data, length);
	return (ptrdiff_t)length;
}

bool places_memory_set(
    struct places *places, const char *id, const void *data, size_t length, struct err *err)
{
	unsigned char key[BATCH_KEY];

	if (length > PLACES_MEMORY_MAX)
		return err_set(err, "store_failed", "%zu bytes are too many to remember", length);
	batch_key(key, id);
	buf_reset(&places->row);
	pack_u64(&places->row, (uint64_t)clock_wall_ms());
	pack_bytes(&places->row, data, length);
	return put_row(places, &places->batches, key, err);
}

bool places_commit(struct places *places, const char *commit, struct place *out)
{
	unsigned char key[COMMIT_KEY];
	struct db_bytes row;
	struct unpack u;

	if (!codec_hex_decode(key, sizeof(key), commit) ||
	    db_get(places->db, DB_PLACE, key, sizeof(key), &row) != 1)
		return false;
	*out = (struct place){0};
	unpack_init(&u, row.data, row.length);
	unpack_u64(&u); /* when it was set */
	out->expires_ms = (int64_t)unpack_u64(&u);
	out->waited_ms = (int64_t)unpack_u64(&u);
	out->count = unpack_u32(&u);
	if (out->count > PLACES_REPOS)
		return false;
	for (unsigned i = 0; i < out->count; i++)
		out->repos[i] = unpack_u32(&u);
	return !u.bad;
}

bool places_set_commit(
    struct places *places, const char *commit, const struct place *place, struct err *err)
{
	unsigned char key[COMMIT_KEY];
	unsigned count = place->count < PLACES_REPOS ? place->count : PLACES_REPOS;

	if (!codec_hex_decode(key, sizeof(key), commit))
		return err_set(err, "store_failed", "a commit is not 40 hex digits");
	buf_reset(&places->row);
	pack_u64(&places->row, (uint64_t)clock_wall_ms());
	pack_u64(&places->row, (uint64_t)place->expires_ms);
	pack_u64(&places->row, (uint64_t)place->waited_ms);
	pack_u32(&places->row, count);
	for (unsigned i = 0; i < count; i++)
		pack_u32(&places->row, place->repos[i]);
	return put_row(places, &places->commits, key, err);
}

static unsigned trim(struct places *places, struct aging *aging, int64_t before_ms, unsigned most)
{
	struct db_cursor *cursor = db_cursor_open(places->db, aging->table);
	struct db_bytes key, row;
	unsigned deleted = 0, looked = 0;
	bool more = db_seek(cursor, aging->trim_at, aging->key_length, &key, &row);

	for (; more && looked < most; looked++) {
		if (time_of(&row) < before_ms) {
			if (!db_cursor_del(cursor, NULL)) {
				more = false;
				break;
			}
			deleted++;
		}
		more = db_next(cursor, &key, &row);
	}
	if (more && key.length == aging->key_length)
		memcpy(aging->trim_at, key.data, aging->key_length);
	else
		memset(aging->trim_at, 0, sizeof(aging->trim_at));
	db_cursor_close(cursor);
	return deleted;
}

unsigned places_trim(struct places *places, int64_t before_ms, unsigned most)
{
	return trim(places, &places->batches, before_ms, most) +
	       trim(places, &places->commits, before_ms, most);
}
