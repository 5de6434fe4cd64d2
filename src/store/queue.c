/*
 * The way of an entry, with the function behind each arrow:
 *
 *                queue_put                 queue_claim                  queue_done
 *   (unknown) ---------------> waiting ----------------> claimed ---------------------> ended
 *                 |             ^  ^ |                    |  |                            ^
 *                 |  queue_due  |  | | queue_release      |  | queue_later                |
 *                 |             |  +--------- - - --------+  v                            |
 *                 |             +--------------------- later (LATER) ---------------------+
 *                 |                queue_put of a newer one, queue_expire, queue_drop     |
 *                 +-----------------------------------------------------------------------+
 *                   older than its target's newest: superseded at once
 */
#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/pack.h"
#include "store/queue_internal.h"
#include <stdlib.h>
#include <string.h>

#define MEMORY_KEY "queue"
#define ROW_LIMIT (64 << 10)

/* ---- what META keeps ---- */

static void memory_pack(struct buf *out, const struct queue_memory *memory)
{
	buf_reset(out);
	pack_u64(out, memory->last_number);
	generation_pack(out, &memory->seen);
	generation_pack(out, &memory->target);
}

static bool memory_unpack(struct queue_memory *memory, const struct db_bytes *row)
{
	struct unpack u;

	unpack_init(&u, row->data, row->length);
	memory->last_number = unpack_u64(&u);
	generation_unpack(&u, &memory->seen);
	generation_unpack(&u, &memory->target);
	return !u.bad;
}

static bool memory_load(struct queue *queue, struct err *err)
{
	struct queue_memory memory = {
	    .seen = {.table = DB_SEEN, .started_ms = clock_wall_ms()},
	    .target = {.table = DB_TARGET, .started_ms = clock_wall_ms()},
	};
	struct db_bytes row;
	int is = db_get(queue->db, DB_META, MEMORY_KEY, strlen(MEMORY_KEY), &row);

	if (is < 0 || (is == 1 && !memory_unpack(&memory, &row)))
		return err_set(err, "store_corrupt", "the queue's row in META is damaged");
	queue->memory = memory;
	queue->memory_changed = is == 0;
	return true;
}

/* Before each commit: the oldest generations shrink by more than was put, so that they are gone
 * before the current ones are full. */
static void on_commit(void *arg)
{
	struct queue *queue = arg;
	int64_t now_ms = clock_wall_ms();
	unsigned most = queue->puts * 2;

	queue->puts = 0;
	queue->open_number = 0; /* nothing is claimed between here and the end of the commit */
	queue_generations_tidy(queue, now_ms, false, most);
	if (!queue->memory_changed)
		return;
	memory_pack(&queue->row, &queue->memory);
	if (db_put(queue->db, DB_META, MEMORY_KEY, strlen(MEMORY_KEY), queue->row.data,
	        queue->row.length, DB_LAZY, NULL))
		queue->memory_changed = false;
}

/* Numbers that were given are not given again, whatever became of them. */
static void on_lost(void *arg)
{
	struct queue *queue = arg;
	uint64_t last_number = queue->memory.last_number;

	if (!memory_load(queue, NULL))
		return; /* the store cannot be read: memory is the best there is */
	if (queue->memory.last_number < last_number)
		queue->memory.last_number = last_number;
	queue->memory_changed = true;
	queue->puts = 0;
	queue->open_number = 0;
	queue->doubted_number = last_number;
	memset(queue->passes, 0, sizeof(queue->passes));
}

struct queue *queue_open(struct db *db, const struct queue_options *options, struct err *err)
{
	struct queue *queue = mem_zero(sizeof(*queue));

	queue->db = db;
	gap_init(&queue->gap, db, DB_QUEUE);
	queue->options = *options;
	if (queue->options.remember < 2)
		queue->options.remember = 2;
	map_init(&queue->claims);
	map_init(&queue->doubts);
	buf_init(&queue->row, ROW_LIMIT);
	buf_init(&queue->copy, ROW_LIMIT);
	if (!memory_load(queue, err) || !queue_doubts_load(queue, err)) {
		queue_close(queue);
		return NULL;
	}
	queue->ghost_number = queue->memory.last_number;
	queue->ghost_until_ms = clock_wall_ms() + (int64_t)options->ghost_ms;
	queue->doubted_number = queue->memory.last_number;
	db_before_commit(db, on_commit, queue);
	db_on_lost(db, on_lost, queue);
	return queue;
}

void queue_close(struct queue *queue)
{
	size_t position = 0;
	void *value;

	if (queue == NULL)
		return;
	if (queue->puts > 0 || queue->memory_changed)
		on_commit(queue);
	db_forget(queue->db, queue);
	while ((value = map_next(&queue->claims, &position)) != NULL)
		free(value);
	position = 0;
	while ((value = map_next(&queue->doubts, &position)) != NULL)
		free(value);
	map_free(&queue->claims);
	map_free(&queue->doubts);
	buf_free(&queue->row);
	buf_free(&queue->copy);
	free(queue);
}

bool queue_has_room(struct queue *queue)
{
	return db_count(queue->db, DB_QUEUE) < queue->options.limit / 5 * 4 && !db_full(queue->db);
}

static bool is_full(struct queue *queue)
{
	return db_count(queue->db, DB_QUEUE) >= queue->options.limit || db_full(queue->db);
}

/* ---- ids: put once ---- */

static uint64_t id_hash(const char *id)
{
	unsigned char digest[CRYPTO_SHA256];

	crypto_sha256(digest, id, strlen(id));
	return unpack_key_u64(digest);
}

static void id_key(unsigned char key[1 + 8], uint8_t generation, uint64_t id)
{
	key[0] = generation;
	pack_key_u64(key + 1, id);
}

/* 1 in SEEN, 0 not, -1. */
static int id_seen(struct queue *queue, uint64_t id)
{
	uint8_t current = queue->memory.seen.current;
	unsigned char key[1 + 8];

	if (db_count(queue->db, DB_SEEN) == 0)
		return 0;
	id_key(key, current, id);
	int is = db_get(queue->db, DB_SEEN, key, sizeof(key), NULL);
	if (is != 0)
		return is;
	id_key(key, generation_before(current), id);
	return db_get(queue->db, DB_SEEN, key, sizeof(key), NULL);
}

static bool id_put(struct queue *queue, uint64_t id, struct err *err)
{
	unsigned char key[1 + 8];

	id_key(key, queue->memory.seen.current, id);
	int added = db_add(queue->db, DB_SEEN, key, sizeof(key), "", 0, 0, err);
	if (added < 0)
		return false;
	queue->memory.seen.count += (uint64_t)added;
	queue->memory_changed = true;
	return true;
}

static bool id_in_target(const struct queue_target *target, uint64_t id)
{
	for (unsigned i = 0; i < target->id_count; i++)
		if (target->ids[i] == id)
			return true;
	return false;
}

/* Whether there is room, and this id was not put before for this target or without one. */
static enum queue_put may_put(struct queue *queue, const char *id, uint64_t hash,
    const struct queue_target *target, struct err *err)
{
	int seen = 0;

	if (*id != '\0')
		seen = id_in_target(target, hash) ? 1 : id_seen(queue, hash);
	if (seen < 0) {
		err_set(err, "store_failed", "the store cannot be read");
		return QUEUE_PUT_FAILED;
	}
	if (seen == 1)
		return QUEUE_PUT_KNOWN;
	return is_full(queue) ? QUEUE_PUT_FULL : QUEUE_PUT_NEW;
}

/* Adds an id to the target; the oldest one makes room. */
static bool id_to_target(
    struct queue *queue, struct queue_target *target, uint64_t id, struct err *err)
{
	if (target->id_count == QUEUE_TARGET_IDS) {
		if (!id_put(queue, target->ids[0], err))
			return false;
		target->id_count--;
		memmove(target->ids, target->ids + 1, target->id_count * sizeof(target->ids[0]));
	}
	target->ids[target->id_count++] = id;
	return true;
}

/* ---- put ---- */

static bool is_older(const struct queue_order *order, const struct queue_order *newest)
{
	if (order->has_sequence && newest->has_sequence)
		return order->sequence < newest->sequence;
	if (order->created_ms != 0 && newest->created_ms != 0)
		return order->created_ms < newest->created_ms;
	return false; /* it arrived later */
}

/* What later ones are compared with: what this one leaves open was said before. */
static struct queue_order merged(const struct queue_order *order, const struct queue_order *before)
{
	struct queue_order both = *order;

	if (!both.has_sequence && before->has_sequence) {
		both.has_sequence = true;
		both.sequence = before->sequence;
	}
	if (both.created_ms == 0)
		both.created_ms = before->created_ms;
	return both;
}

/* Whether the writes made since then stand together; else what they belonged to is lost. */
static enum queue_put stands(
    struct queue *queue, uint64_t lost, enum queue_put put, struct err *err)
{
	if (put == QUEUE_PUT_FAILED || db_lost(queue->db) == lost)
		return put;
	db_lost_err(queue->db, err);
	return QUEUE_PUT_FAILED;
}

/* Puts the entry in place of what waits for its target. */
static bool put_waiting(struct queue *queue, struct queue_entry *entry,
    const unsigned char hash[QUEUE_HASH], struct queue_target *target, struct err *err)
{
	struct queue_entry old;
	int replaced = queue_waiting(queue, hash, target, &old);

	if (replaced < 0)
		return err_set(err, "store_failed", "an entry of the queue cannot be read");
	if (replaced == 1 && (queue_take_row(queue, &old, 0, err) < 0 ||
	                         !queue_doubt_inherit(queue, &old, hash, clock_wall_ms(), err)))
		return false;
	entry->number = queue_next_number(queue);
	if (queue->open_number == 0)
		queue->open_number = entry->number;
	target->number = entry->number;
	target->repo = entry->repo;
	target->lane = entry->lane;
	target->order = merged(&entry->order, &target->order);
	if (!queue_put_row(queue, entry, hash, 0, err) ||
	    !queue_target_put(queue, hash, target, 0, err))
		return false;
	if (replaced == 1)
		queue_tell(
		    queue, &old, UPDATE_SUPERSEDED, QUEUE_SUPERSEDED, QUEUE_SUPERSEDED_WORDS);
	return true;
}

/* What is put, looked up. */
struct subject {
	uint64_t id; /* its hash */
	unsigned char hash[QUEUE_HASH];
	struct queue_target target; /* number 0: not known */
};

/* Whether an id is new, and what is known of its target. */
static enum queue_put look(
    struct queue *queue, const struct queue_entry *entry, struct subject *subject, struct err *err)
{
	subject->id = id_hash(entry->id);
	subject->target = (struct queue_target){0};
	queue_target_hash(subject->hash, entry->repo, entry->update.commit, entry->update.key);
	if (queue_target_get(queue, subject->hash, &subject->target) < 0) {
		err_set(err, "store_failed", "what is known of a target cannot be read");
		return QUEUE_PUT_FAILED;
	}
	enum queue_put put = may_put(queue, entry->id, subject->id, &subject->target, err);
	if (put != QUEUE_PUT_NEW)
		return put;
	queue->puts++;
	return QUEUE_PUT_NEW;
}

enum queue_put queue_put(struct queue *queue, struct queue_entry *entry, struct err *err)
{
	struct subject subject;
	struct queue_target *target = &subject.target;
	uint64_t lost = db_lost(queue->db);
	enum queue_put put = look(queue, entry, &subject, err);

	if (put != QUEUE_PUT_NEW)
		return put;
	entry->kind = QUEUE_SET;
	entry->lane = queue_home(entry);
	entry->number = 0;
	entry->first_try_ms = entry->due_ms = 0;
	entry->attempts = 0;
	entry->last_code = entry->last_error = "";
	entry->claimed = false;
	bool older = target->number != 0 && is_older(&entry->order, &target->order);
	if (*entry->id != '\0' && !id_to_target(queue, target, subject.id, err))
		return QUEUE_PUT_FAILED;
	if (!older) {
		if (!put_waiting(queue, entry, subject.hash, target, err))
			return QUEUE_PUT_FAILED;
		return stands(queue, lost, QUEUE_PUT_NEW, err);
	}
	if (!queue_target_put(queue, subject.hash, target, 0, err))
		return QUEUE_PUT_FAILED;
	queue_tell(queue, entry, UPDATE_SUPERSEDED, QUEUE_SUPERSEDED, QUEUE_SUPERSEDED_WORDS);
	return stands(queue, lost, QUEUE_PUT_OLDER, err);
}

enum queue_put queue_put_ended(struct queue *queue, const char *id, uint32_t repo,
    const struct update *update, enum update_outcome outcome, const char *code, const char *error,
    struct err *err)
{
	static const struct update none = {"", "", "", "", "", "", UPDATE_INPROGRESS, false, {0}};
	struct queue_entry entry = {
	    .repo = repo,
	    .id = id,
	    .update = update != NULL ? *update : none,
	    .received_ms = clock_wall_ms(),
	};
	struct subject subject;
	uint64_t lost = db_lost(queue->db);
	enum queue_put put = look(queue, &entry, &subject, err);

	if (put != QUEUE_PUT_NEW)
		return put;
	if (*id != '\0' && !id_put(queue, subject.id, err))
		return QUEUE_PUT_FAILED;
	queue_tell(queue, &entry, outcome, code, error);
	return stands(queue, lost, QUEUE_PUT_NEW, err);
}

/* ---- what is there ---- */

bool queue_home_again(struct queue *queue, struct queue_entry *entry,
    const unsigned char hash[QUEUE_HASH], int64_t now_ms, unsigned flags, struct err *err)
{
	/* A VERIFY that runs before its time leaves the doubt to who comes behind it. */
	if (entry->kind == QUEUE_VERIFY &&
	    !queue_doubt_set(queue, hash, entry->due_ms, now_ms, err))
		return false;
	if (queue_take_row(queue, entry, flags, err) < 0)
		return false;
	entry->lane = queue_home(entry);
	entry->due_ms = 0;
	queue_passes_forget(queue, entry->repo, entry->lane);
	return queue_put_row(queue, entry, hash, flags, err);
}

/* The first of LATER: 1, 0 when there is none, -1. */
static int first_later(struct queue *queue, unsigned char key[QUEUE_LATER_KEY])
{
	static const unsigned char first[1] = {0};
	struct db_bytes found, row;
	int is = db_find_at(queue->db, DB_LATER, first, sizeof(first), &found, &row);

	if (is == 1 && found.length != QUEUE_LATER_KEY)
		return -1;
	if (is == 1)
		memcpy(key, found.data, QUEUE_LATER_KEY);
	return is;
}

static bool move_due(struct queue *queue, const unsigned char key[QUEUE_LATER_KEY], int64_t now_ms)
{
	uint32_t repo = unpack_key_u32(key + 8);
	uint64_t number = unpack_key_u64(key + 12);
	unsigned char hash[QUEUE_HASH];
	struct queue_entry entry;

	if (queue_get(queue, repo, QUEUE_LATER, number, &entry, hash) != 1)
		return db_del(queue->db, DB_LATER, key, QUEUE_LATER_KEY, DB_LAZY, NULL);
	return queue_home_again(queue, &entry, hash, now_ms, DB_LAZY, NULL);
}

int64_t queue_due(struct queue *queue, int64_t now_ms, unsigned most, queue_repo_fn *fn, void *arg)
{
	static char touched[1];
	unsigned char key[QUEUE_LATER_KEY];
	uint32_t *repos = NULL;
	size_t count = 0, capacity = 0;
	struct map once;
	int64_t next_ms = 0;

	map_init(&once);
	for (unsigned moved = 0; first_later(queue, key) == 1; moved++) {
		next_ms = (int64_t)unpack_key_u64(key);
		if (next_ms > now_ms || moved == most)
			break;
		if (!move_due(queue, key, now_ms)) {
			next_ms = now_ms + 1000; /* the store fails: not at once again */
			break;
		}
		next_ms = 0;
		if (map_put(&once, key + 8, sizeof(uint32_t), touched) != NULL)
			continue;
		if (count == capacity) {
			capacity = capacity == 0 ? 16 : capacity * 2;
			repos = mem_grow(repos, capacity, sizeof(*repos));
		}
		repos[count++] = unpack_key_u32(key + 8);
	}
	map_free(&once);
	for (size_t i = 0; i < count; i++)
		fn(repos[i], arg);
	free(repos);
	return next_ms;
}

int64_t queue_next_due(struct queue *queue)
{
	unsigned char key[QUEUE_LATER_KEY];

	return first_later(queue, key) == 1 ? (int64_t)unpack_key_u64(key) : 0;
}

bool queue_has(struct queue *queue, uint32_t repo, enum queue_lane lane)
{
	unsigned char key[QUEUE_KEY];
	struct db_bytes found, row;

	queue_key(key, repo, lane, 0);
	return db_find_at(queue->db, DB_QUEUE, key, sizeof(key), &found, &row) == 1 &&
	       found.length == QUEUE_KEY && memcmp(found.data, key, 5) == 0;
}

void queue_each_repo(struct queue *queue, queue_repo_fn *fn, void *arg)
{
	unsigned char key[QUEUE_KEY];
	struct db_bytes found, row;

	queue_key(key, 0, QUEUE_FINAL, 0);
	while (db_find_at(queue->db, DB_QUEUE, key, sizeof(key), &found, &row) == 1 &&
	       found.length == QUEUE_KEY) {
		const unsigned char *bytes = found.data;
		uint32_t repo = unpack_key_u32(bytes);
		if (bytes[4] != QUEUE_LATER)
			fn(repo, arg);
		if (repo == UINT32_MAX)
			break;
		queue_key(key, repo + 1, QUEUE_FINAL, 0);
	}
}
