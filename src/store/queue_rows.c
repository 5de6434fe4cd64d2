#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pack.h"
#include "store/queue_internal.h"
#include <stdlib.h>
#include <string.h>

enum { FLAG_TESTS = 1, FLAG_SEQUENCE = 2 };

/* ---- keys ---- */

void queue_key(unsigned char key[QUEUE_KEY], uint32_t repo, enum queue_lane lane, uint64_t number)
{
	pack_key_u32(key, repo);
	key[4] = (unsigned char)lane;
	pack_key_u64(key + 5, number);
}

void queue_later_key(
    unsigned char key[QUEUE_LATER_KEY], int64_t due_ms, uint32_t repo, uint64_t number)
{
	pack_key_u64(key, due_ms > 0 ? (uint64_t)due_ms : 0);
	pack_key_u32(key + 8, repo);
	pack_key_u64(key + 12, number);
}

void queue_target_hash(
    unsigned char hash[QUEUE_HASH], uint32_t repo, const char *commit, const char *key)
{
	unsigned char text[4 + UPDATE_COMMIT + 1 + UPDATE_KEY_MAX], digest[CRYPTO_SHA256];
	size_t commit_length = strnlen(commit, UPDATE_COMMIT);
	size_t key_length = strnlen(key, UPDATE_KEY_MAX);

	pack_key_u32(text, repo);
	memcpy(text + 4, commit, commit_length);
	text[4 + commit_length] = 0;
	memcpy(text + 5 + commit_length, key, key_length);
	crypto_sha256(digest, text, 5 + commit_length + key_length);
	memcpy(hash, digest, QUEUE_HASH);
}

/* ---- rows ---- */

void queue_pack(struct queue *queue, const struct queue_entry *entry, const unsigned char *hash)
{
	const struct update *update = &entry->update;
	struct buf *row = &queue->row;

	buf_reset(row);
	buf_append(row, hash, QUEUE_HASH);           /* first: queue_claim looks at it alone */
	pack_u64(row, (uint64_t)entry->received_ms); /* second: so does queue_expire */
	pack_u8(row, (uint8_t)entry->kind);
	pack_u8(row, (uint8_t)((update->has_tests ? FLAG_TESTS : 0) |
	                       (entry->order.has_sequence ? FLAG_SEQUENCE : 0)));
	pack_u8(row, (uint8_t)update->state);
	pack_u64(row, (uint64_t)entry->first_try_ms);
	pack_u64(row, (uint64_t)entry->due_ms);
	pack_u64(row, (uint64_t)entry->order.sequence);
	pack_u64(row, (uint64_t)entry->order.created_ms);
	pack_u32(row, entry->attempts);
	pack_u32(row, update->tests.successful);
	pack_u32(row, update->tests.failed);
	pack_u32(row, update->tests.skipped);
	pack_cut(row, entry->id, UPDATE_ID_MAX);
	pack_cut(row, update->commit, UPDATE_COMMIT);
	pack_cut(row, update->key, UPDATE_KEY_MAX);
	/* Characters, not bytes, are what the limits of update.h count. */
	pack_cut(row, update->name, UPDATE_NAME_MAX * 4);
	pack_cut(row, update->description, UPDATE_DESCRIPTION_MAX * 4);
	pack_cut(row, update->url, UPDATE_URL_MAX * 4);
	pack_cut(row, update->ref, UPDATE_REF_MAX * 4);
	pack_cut(row, entry->last_code, QUEUE_CODE_MAX);
	pack_cut(row, entry->last_error, QUEUE_ERROR_MAX);
}

bool queue_unpack(
    struct queue_entry *entry, unsigned char hash[QUEUE_HASH], const void *row, size_t length)
{
	struct unpack u;

	*entry = (struct queue_entry){0};
	if (length < QUEUE_HASH)
		return false;
	memcpy(hash, row, QUEUE_HASH);
	unpack_init(&u, (const char *)row + QUEUE_HASH, length - QUEUE_HASH);
	entry->received_ms = (int64_t)unpack_u64(&u);
	uint8_t kind = unpack_u8(&u), flags = unpack_u8(&u), state = unpack_u8(&u);
	entry->kind = kind;
	entry->update.state = state;
	entry->update.has_tests = (flags & FLAG_TESTS) != 0;
	entry->order.has_sequence = (flags & FLAG_SEQUENCE) != 0;
	entry->first_try_ms = (int64_t)unpack_u64(&u);
	entry->due_ms = (int64_t)unpack_u64(&u);
	entry->order.sequence = (int64_t)unpack_u64(&u);
	entry->order.created_ms = (int64_t)unpack_u64(&u);
	entry->attempts = unpack_u32(&u);
	entry->update.tests.successful = unpack_u32(&u);
	entry->update.tests.failed = unpack_u32(&u);
	entry->update.tests.skipped = unpack_u32(&u);
	entry->id = unpack_string(&u);
	entry->update.commit = unpack_string(&u);
	entry->update.key = unpack_string(&u);
	entry->update.name = unpack_string(&u);
	entry->update.description = unpack_string(&u);
	entry->update.url = unpack_string(&u);
	entry->update.ref = unpack_string(&u);
	entry->last_code = unpack_string(&u);
	entry->last_error = unpack_string(&u);
	return !u.bad && kind <= QUEUE_VERIFY && state <= UPDATE_CANCELLED;
}

bool queue_read(struct queue *queue, struct queue_entry *entry, unsigned char hash[QUEUE_HASH],
    bool dead, const struct db_bytes *key, const struct db_bytes *row)
{
	unsigned char own[QUEUE_KEY];
	size_t key_length = dead ? sizeof(uint64_t) : QUEUE_KEY;

	if (key->length != key_length)
		return false;
	memcpy(own, key->data, key_length);
	buf_reset(&queue->copy);
	buf_append(&queue->copy, row->data, row->length);
	if (!queue_unpack(entry, hash, queue->copy.data, queue->copy.length))
		return false;
	entry->number = unpack_key_u64(dead ? own : own + 5);
	if (!dead) {
		entry->repo = unpack_key_u32(own);
		entry->lane = own[4];
		entry->claimed = queue_is_claimed(queue, hash, entry->number);
		return true;
	}
	struct unpack tail;
	unpack_init(&tail, queue->copy.data + queue->copy.length - sizeof(uint32_t),
	    sizeof(uint32_t)); /* a row that can be read is longer than that */
	entry->repo = unpack_u32(&tail);
	entry->lane = queue_home(entry);
	return true;
}

int queue_get(struct queue *queue, uint32_t repo, enum queue_lane lane, uint64_t number,
    struct queue_entry *entry, unsigned char hash[QUEUE_HASH])
{
	unsigned char key[QUEUE_KEY];
	struct db_bytes row;

	queue_key(key, repo, lane, number);
	int is = db_get(queue->db, DB_QUEUE, key, sizeof(key), &row);
	if (is != 1)
		return is;
	struct db_bytes found = {.data = key, .length = sizeof(key)};
	return queue_read(queue, entry, hash, false, &found, &row) ? 1 : -1;
}

enum queue_lane queue_home(const struct queue_entry *entry)
{
	return update_state_final(entry->update.state) ? QUEUE_FINAL : QUEUE_RUNNING;
}

bool queue_put_row(struct queue *queue, const struct queue_entry *entry, const unsigned char *hash,
    unsigned flags, struct err *err)
{
	unsigned char key[QUEUE_KEY], later[QUEUE_LATER_KEY];

	queue_key(key, entry->repo, entry->lane, entry->number);
	queue_pack(queue, entry, hash);
	if (!db_put(queue->db, DB_QUEUE, key, sizeof(key), queue->row.data, queue->row.length,
	        flags, err))
		return false;
	if (entry->lane != QUEUE_LATER)
		return true;
	queue_later_key(later, entry->due_ms, entry->repo, entry->number);
	return db_put(queue->db, DB_LATER, later, sizeof(later), "", 0, flags, err);
}

int queue_take_row(
    struct queue *queue, const struct queue_entry *entry, unsigned flags, struct err *err)
{
	unsigned char key[QUEUE_KEY], later[QUEUE_LATER_KEY];

	queue_key(key, entry->repo, entry->lane, entry->number);
	int was = db_remove(queue->db, DB_QUEUE, key, sizeof(key), flags, err);
	if (was != 1 || entry->lane != QUEUE_LATER)
		return was;
	queue_later_key(later, entry->due_ms, entry->repo, entry->number);
	return db_del(queue->db, DB_LATER, later, sizeof(later), flags, err) ? 1 : -1;
}

void queue_tell(struct queue *queue, const struct queue_entry *entry, enum update_outcome outcome,
    const char *code, const char *error)
{
	if (entry->kind == QUEUE_VERIFY || queue->options.result == NULL)
		return;
	struct queue_result result = {
	    .number = entry->number,
	    .repo = entry->repo,
	    .id = entry->id,
	    .outcome = outcome,
	    .update = &entry->update,
	    .code = code != NULL ? code : "",
	    .error = error != NULL ? error : "",
	    .received_ms = entry->received_ms,
	    .attempts = entry->attempts,
	};
	queue->options.result(&result, queue->options.arg);
}

uint64_t queue_next_number(struct queue *queue)
{
	queue->memory_changed = true;
	return ++queue->memory.last_number;
}

/* ---- targets ---- */

#define TARGET_FIXED 30
#define TARGET_ROW (TARGET_FIXED + 8 * QUEUE_TARGET_IDS)

static size_t target_pack(unsigned char row[TARGET_ROW], const struct queue_target *target)
{
	pack_key_u64(row, target->number);
	pack_key_u32(row + 8, target->repo);
	row[12] = (unsigned char)target->lane;
	row[13] = target->order.has_sequence;
	pack_key_u64(row + 14, (uint64_t)target->order.sequence);
	pack_key_u64(row + 22, (uint64_t)target->order.created_ms);
	for (unsigned i = 0; i < target->id_count; i++)
		pack_key_u64(row + TARGET_FIXED + 8 * i, target->ids[i]);
	return TARGET_FIXED + 8 * target->id_count;
}

bool queue_target_unpack(struct queue_target *target, const struct db_bytes *row)
{
	const unsigned char *at = row->data;

	if (row->length < TARGET_FIXED || row->length > TARGET_ROW ||
	    (row->length - TARGET_FIXED) % 8 != 0)
		return false;
	*target = (struct queue_target){
	    .number = unpack_key_u64(at),
	    .repo = unpack_key_u32(at + 8),
	    .lane = at[12],
	    .order = {.has_sequence = at[13] != 0,
	        .sequence = (int64_t)unpack_key_u64(at + 14),
	        .created_ms = (int64_t)unpack_key_u64(at + 22)},
	    .id_count = (unsigned)(row->length - TARGET_FIXED) / 8,
	};
	for (unsigned i = 0; i < target->id_count; i++)
		target->ids[i] = unpack_key_u64(at + TARGET_FIXED + 8 * i);
	return true;
}

int queue_target_get(
    struct queue *queue, const unsigned char hash[QUEUE_HASH], struct queue_target *target)
{
	const struct generation *generation = &queue->memory.target;
	unsigned char key[GENERATION_KEY];
	uint8_t number = generation->current;
	struct db_bytes row;

	/* What is still being dropped counts too: something may wait there. */
	for (int age = 0; age < (generation->dropping ? 3 : 2); age++) {
		generation_key(key, number, hash);
		int is = db_get(queue->db, DB_TARGET, key, sizeof(key), &row);
		if (is == 1)
			return queue_target_unpack(target, &row) ? 1 : -1;
		if (is < 0)
			return is;
		number = generation_before(number);
	}
	return 0;
}

bool queue_target_put(struct queue *queue, const unsigned char hash[QUEUE_HASH],
    const struct queue_target *target, unsigned flags, struct err *err)
{
	struct generation *generation = &queue->memory.target;
	unsigned char key[GENERATION_KEY], row[TARGET_ROW];
	uint64_t before = db_count(queue->db, DB_TARGET);

	generation_key(key, generation->current, hash);
	size_t length = target_pack(row, target);
	if (!db_put(queue->db, DB_TARGET, key, sizeof(key), row, length, flags, err))
		return false;
	generation->count += db_count(queue->db, DB_TARGET) - before;
	queue->memory_changed = true;
	return true;
}

uint64_t queue_newest(struct queue *queue, const unsigned char hash[QUEUE_HASH])
{
	struct queue_target target;

	return queue_target_get(queue, hash, &target) == 1 ? target.number : 0;
}

int queue_waiting(struct queue *queue, const unsigned char hash[QUEUE_HASH],
    const struct queue_target *target, struct queue_entry *entry)
{
	unsigned char own[QUEUE_HASH];

	if (target->number == 0 || queue_is_claimed(queue, hash, target->number))
		return 0;
	int is = queue_get(queue, target->repo, target->lane, target->number, entry, own);
	return is != 0 ? is
	               : queue_get(queue, target->repo, QUEUE_LATER, target->number, entry, own);
}

bool queue_is_claimed(struct queue *queue, const unsigned char hash[QUEUE_HASH], uint64_t number)
{
	const struct queue_claimed *claimed = map_get(&queue->claims, hash, QUEUE_HASH);

	return claimed != NULL && claimed->entry.number == number;
}

/* ---- doubts ---- */

static void doubt_remember(
    struct queue *queue, const unsigned char hash[QUEUE_HASH], int64_t until_ms)
{
	struct queue_doubt *doubt = map_get(&queue->doubts, hash, QUEUE_HASH);

	if (doubt == NULL) {
		doubt = mem_zero(sizeof(*doubt));
		memcpy(doubt->hash, hash, QUEUE_HASH);
		map_put(&queue->doubts, hash, QUEUE_HASH, doubt);
	}
	doubt->until_ms = until_ms;
}

bool queue_doubts_load(struct queue *queue, struct err *err)
{
	unsigned char first = QUEUE_DOUBT_PREFIX;
	struct db_bytes key, row;
	struct db_cursor *cursor = db_cursor_open(queue->db, DB_TARGET);
	bool good = true;

	for (bool more = db_seek(cursor, &first, 1, &key, &row); more && good;
	     more = db_next(cursor, &key, &row)) {
		const unsigned char *bytes = key.data;
		good = key.length == GENERATION_KEY && row.length == sizeof(uint64_t);
		if (good)
			doubt_remember(queue, bytes + 1, (int64_t)unpack_key_u64(row.data));
	}
	db_cursor_close(cursor);
	return good || err_set(err, "store_corrupt", "the queue's table of doubts is damaged");
}

int64_t queue_doubt_until(struct queue *queue, const unsigned char hash[QUEUE_HASH])
{
	if (queue->doubts.count == 0)
		return 0;
	const struct queue_doubt *doubt = map_get(&queue->doubts, hash, QUEUE_HASH);
	return doubt != NULL ? doubt->until_ms : 0;
}

int64_t queue_ghost(const struct queue *queue, uint64_t number, int64_t now_ms)
{
	return number <= queue->ghost_number && now_ms < queue->ghost_until_ms
	           ? queue->ghost_until_ms
	           : 0;
}

bool queue_doubt_set(struct queue *queue, const unsigned char hash[QUEUE_HASH], int64_t until_ms,
    int64_t now_ms, struct err *err)
{
	unsigned char key[GENERATION_KEY], row[8];

	if (until_ms <= now_ms || until_ms <= queue_doubt_until(queue, hash))
		return true;
	/* First in memory: a doubt too many does no harm, should the write be lost. */
	doubt_remember(queue, hash, until_ms);
	generation_key(key, QUEUE_DOUBT_PREFIX, hash);
	pack_key_u64(row, (uint64_t)until_ms);
	return db_put(queue->db, DB_TARGET, key, sizeof(key), row, sizeof(row), DB_LAZY, err);
}

bool queue_doubt_clear(struct queue *queue, const unsigned char hash[QUEUE_HASH], struct err *err)
{
	unsigned char key[GENERATION_KEY];

	if (queue->doubts.count == 0)
		return true;
	struct queue_doubt *doubt = map_remove(&queue->doubts, hash, QUEUE_HASH);
	if (doubt == NULL)
		return true;
	free(doubt);
	generation_key(key, QUEUE_DOUBT_PREFIX, hash);
	return db_del(queue->db, DB_TARGET, key, sizeof(key), DB_LAZY, err);
}

bool queue_doubt_inherit(struct queue *queue, const struct queue_entry *entry,
    const unsigned char hash[QUEUE_HASH], int64_t now_ms, struct err *err)
{
	int64_t until_ms = queue_ghost(queue, entry->number, now_ms);

	if (entry->kind == QUEUE_VERIFY && entry->lane == QUEUE_LATER && entry->due_ms > until_ms)
		until_ms = entry->due_ms;
	return queue_doubt_set(queue, hash, until_ms, now_ms, err);
}

unsigned queue_doubts_trim(struct queue *queue, int64_t now_ms, unsigned most)
{
	unsigned char(*past)[QUEUE_HASH];
	const struct queue_doubt *doubt;
	size_t position = 0;
	unsigned count = 0;

	if (queue->doubts.count == 0)
		return 0;
	past = mem_array(most, sizeof(*past));
	while (count < most && (doubt = map_next(&queue->doubts, &position)) != NULL)
		if (doubt->until_ms <= now_ms)
			memcpy(past[count++], doubt->hash, QUEUE_HASH);
	for (unsigned i = 0; i < count; i++)
		if (!queue_doubt_clear(queue, past[i], NULL))
			break;
	free(past);
	return count;
}
