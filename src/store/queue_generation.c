#include "store/queue_internal.h"
#include <string.h>

enum { GENERATIONS = 4 };

void queue_generation_key(
    unsigned char key[QUEUE_GENERATION_KEY], uint8_t generation, const unsigned char *hash)
{
	key[0] = generation;
	memcpy(key + 1, hash, QUEUE_HASH);
}

uint8_t queue_generation_before(uint8_t generation)
{
	return (uint8_t)((generation + GENERATIONS - 1) % GENERATIONS);
}

static uint8_t oldest(const struct queue_generation *generation)
{
	return (uint8_t)((generation->current + GENERATIONS - 2) % GENERATIONS);
}

void queue_generation_turn(
    struct queue *queue, struct queue_generation *generation, int64_t now_ms, bool by_age)
{
	bool large = generation->count >= queue->options.remember / 2;
	bool old = by_age && generation->count > 0 &&
	           (uint64_t)(now_ms - generation->started_ms) >= queue->options.ttl_ms;

	if (generation->dropping || (!large && !old))
		return;
	generation->current = (uint8_t)((generation->current + 1) % GENERATIONS);
	generation->count = 0;
	generation->started_ms = now_ms;
	generation->dropping = true; /* until a look finds nothing */
	queue->memory_changed = true;
}

/* Whether the entry that a target's row names is still in the queue. */
static bool target_waits(struct queue *queue, const struct queue_target *target)
{
	unsigned char key[QUEUE_KEY];

	queue_key(key, target->repo, target->lane, target->number);
	if (db_get(queue->db, DB_QUEUE, key, sizeof(key), NULL) != 0)
		return true;
	queue_key(key, target->repo, QUEUE_LATER, target->number);
	return db_get(queue->db, DB_QUEUE, key, sizeof(key), NULL) != 0;
}

/* A target with something waiting is not forgotten: its row moves into the current generation,
 * unless a newer row is there already. */
static bool keep_waiting(
    struct queue *queue, const struct db_bytes *key, const struct db_bytes *row)
{
	struct queue_target target, newest;
	unsigned char hash[QUEUE_HASH];

	if (key->length != QUEUE_GENERATION_KEY)
		return true;
	memcpy(hash, (const unsigned char *)key->data + 1, sizeof(hash));
	if (!queue_target_unpack(&target, row) || !target_waits(queue, &target))
		return true;
	if (queue_target_get(queue, hash, &newest) == 1 && newest.number != target.number)
		return true;
	return queue_target_put(queue, hash, &target, DB_LAZY, NULL);
}

static bool is_of(uint8_t generation, const struct db_bytes *key)
{
	return key->length > 1 && *(const unsigned char *)key->data == generation;
}

unsigned queue_generation_drop(
    struct queue *queue, struct queue_generation *generation, unsigned most)
{
	unsigned char first = oldest(generation);
	unsigned dropped = 0;
	struct db_bytes key, row;

	if (!generation->dropping || most == 0)
		return 0;
	struct db_cursor *cursor = db_cursor_open(queue->db, generation->table);
	bool more = db_seek(cursor, &first, 1, &key, &row) && is_of(first, &key);
	while (more && dropped < most) {
		if (generation->table == DB_TARGET && !keep_waiting(queue, &key, &row))
			break;
		if (!db_cursor_del(cursor, NULL))
			break;
		dropped++;
		more = db_next(cursor, &key, &row) && is_of(first, &key);
	}
	db_cursor_close(cursor);
	if (!more) {
		generation->dropping = false;
		queue->memory_changed = true;
	}
	return dropped;
}
