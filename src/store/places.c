#include "store/places.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/pack.h"
#include <stdlib.h>
#include <string.h>

#define LEARNED_KEY "places"
#define ROW_LIMIT (16 << 10)

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
	bool learned; /* something was, ever: rows may have refs */
	struct buf row;
};

/* What was learned of a commit: the newest first. Strings point into the row. */
struct learned {
	unsigned count;
	struct learned_ref {
		uint32_t repo;
		const char *ref;
	} refs[PLACES_REPOS];
};

struct places *places_open(struct db *db, uint64_t limit, struct err *err)
{
	struct places *places = mem_zero(sizeof(*places));

	int is = db_get(db, DB_META, LEARNED_KEY, strlen(LEARNED_KEY), NULL);
	if (is < 0) {
		free(places);
		err_set(err, "store_failed", "the store cannot be read");
		return NULL;
	}
	places->db = db;
	places->learned = is == 1;
	places->limit = limit > 0 ? limit : 1;
	places->batches = (struct aging){.table = DB_BATCH, .key_length = BATCH_KEY};
	places->commits = (struct aging){.table = DB_PLACE, .key_length = COMMIT_KEY};
	buf_init(&places->row, ROW_LIMIT);
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

/* ---- commits ---- */

/* 1 found, 0 there is none that can be read. learned may be NULL; set_ms too. */
static bool read_commit(struct places *places, const unsigned char key[COMMIT_KEY],
    struct place *place, struct learned *learned, int64_t *set_ms)
{
	struct db_bytes row;
	struct unpack u;

	if (db_get(places->db, DB_PLACE, key, COMMIT_KEY, &row) != 1)
		return false;
	unpack_init(&u, row.data, row.length);
	int64_t set = (int64_t)unpack_u64(&u);
	*place = (struct place){.expires_ms = (int64_t)unpack_u64(&u)};
	place->waited_ms = (int64_t)unpack_u64(&u);
	place->count = unpack_u32(&u);
	if (place->count > PLACES_REPOS)
		return false;
	for (unsigned i = 0; i < place->count; i++)
		place->repos[i] = unpack_u32(&u);
	if (u.bad)
		return false;
	if (set_ms != NULL)
		*set_ms = set;
	if (learned == NULL)
		return true;
	learned->count = unpack_u32(&u); /* a row of the first format ends before it */
	if (learned->count > PLACES_REPOS)
		learned->count = 0;
	for (unsigned i = 0; i < learned->count; i++) {
		learned->refs[i].repo = unpack_u32(&u);
		learned->refs[i].ref = unpack_string(&u);
	}
	if (u.bad)
		learned->count = 0;
	return true;
}

/* learned may point into the row that is replaced. */
static bool write_commit(struct places *places, const unsigned char key[COMMIT_KEY],
    const struct place *place, const struct learned *learned, struct err *err)
{
	unsigned count = place->count < PLACES_REPOS ? place->count : PLACES_REPOS;
	size_t bytes = 0;
	unsigned kept = 0;

	buf_reset(&places->row);
	pack_u64(&places->row, (uint64_t)clock_wall_ms());
	pack_u64(&places->row, (uint64_t)place->expires_ms);
	pack_u64(&places->row, (uint64_t)place->waited_ms);
	pack_u32(&places->row, count);
	for (unsigned i = 0; i < count; i++)
		pack_u32(&places->row, place->repos[i]);
	while (kept < learned->count && bytes <= PLACES_REFS_MAX)
		bytes += strlen(learned->refs[kept++].ref);
	if (bytes > PLACES_REFS_MAX)
		kept--;
	if (kept > 0)
		pack_u32(&places->row, kept);
	for (unsigned i = 0; i < kept; i++) {
		pack_u32(&places->row, learned->refs[i].repo);
		pack_string(&places->row, learned->refs[i].ref);
	}
	return put_row(places, &places->commits, key, err);
}

static bool commit_key(unsigned char key[COMMIT_KEY], const char *commit, struct err *err)
{
	return codec_hex_decode(key, COMMIT_KEY, commit) ||
	       err_set(err, "store_failed", "a commit is not 40 hex digits");
}

/* Adds the repository to the place. False when it was there, or there is no room. */
static bool add_repo(struct place *place, uint32_t repo)
{
	for (unsigned i = 0; i < place->count; i++)
		if (place->repos[i] == repo)
			return false;
	if (place->count == PLACES_REPOS)
		return false;
	place->repos[place->count++] = repo;
	place->expires_ms = place->waited_ms = 0; /* it is somewhere */
	return true;
}

bool places_commit(struct places *places, const char *commit, struct place *out)
{
	unsigned char key[COMMIT_KEY];

	return codec_hex_decode(key, sizeof(key), commit) &&
	       read_commit(places, key, out, NULL, NULL);
}

bool places_set_commit(
    struct places *places, const char *commit, const struct place *place, struct err *err)
{
	struct place before, now = *place;
	struct learned learned = {0};
	unsigned char key[COMMIT_KEY];

	if (!commit_key(key, commit, err))
		return false;
	if (places->learned && !read_commit(places, key, &before, &learned, NULL))
		learned.count = 0;
	for (unsigned i = 0; i < learned.count; i++)
		add_repo(&now, learned.refs[i].repo);
	return write_commit(places, key, &now, &learned, err);
}

/* Where the repository stands in what was learned; count when it does not. */
static unsigned find_ref(const struct learned *learned, uint32_t repo)
{
	unsigned at = 0;

	while (at < learned->count && learned->refs[at].repo != repo)
		at++;
	return at;
}

/* Puts the ref before all others, in place of the repository's. */
static void learn(struct learned *learned, uint32_t repo, const char *ref)
{
	unsigned at = find_ref(learned, repo);

	if (at == learned->count && learned->count < PLACES_REPOS)
		learned->count++;
	if (at == PLACES_REPOS)
		at--; /* the oldest gives way */
	memmove(learned->refs + 1, learned->refs, at * sizeof(learned->refs[0]));
	learned->refs[0] = (struct learned_ref){.repo = repo, .ref = ref};
}

bool places_learn(
    struct places *places, const char *commit, uint32_t repo, const char *ref, struct err *err)
{
	struct place place = {.count = 0};
	struct learned learned = {0};
	unsigned char key[COMMIT_KEY];
	int64_t set_ms = 0;

	if (!commit_key(key, commit, err))
		return false;
	if (strlen(ref) > PLACES_REF_MAX)
		ref = "";
	if (!read_commit(places, key, &place, &learned, &set_ms)) {
		place = (struct place){.count = 0};
		learned.count = 0;
	}
	bool added = add_repo(&place, repo);
	unsigned at = find_ref(&learned, repo);
	if (at < learned.count && *ref == '\0')
		ref = learned.refs[at].ref; /* nothing new of it */
	if (!added && at < learned.count && strcmp(learned.refs[at].ref, ref) == 0 &&
	    clock_wall_ms() - set_ms < PLACES_FRESH_MS)
		return true;
	learn(&learned, repo, ref);
	if (!write_commit(places, key, &place, &learned, err))
		return false;
	if (!places->learned &&
	    !db_put(places->db, DB_META, LEARNED_KEY, strlen(LEARNED_KEY), "", 0, DB_LAZY, err))
		return false;
	places->learned = true; /* should the group be lost: a look too many does no harm */
	return true;
}

bool places_ref(struct places *places, const char *commit, uint32_t repo, char *out, size_t size)
{
	unsigned char key[COMMIT_KEY];
	struct learned learned;
	struct place place;

	if (!places->learned || !codec_hex_decode(key, sizeof(key), commit) ||
	    !read_commit(places, key, &place, &learned, NULL))
		return false;
	unsigned at = find_ref(&learned, repo);
	size_t length = at < learned.count ? strlen(learned.refs[at].ref) : 0;
	if (length == 0 || length >= size)
		return false;
	memcpy(out, learned.refs[at].ref, length + 1);
	return true;
}

/* ---- bounds ---- */

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
