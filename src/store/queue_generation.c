#include "store/queue_internal.h"
#include <string.h>

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
static bool keep_waiting(const struct db_bytes *key, const struct db_bytes *row, void *arg)
{
	struct queue *queue = arg;
	struct queue_target target, newest;
	unsigned char hash[QUEUE_HASH];

	if (key->length != GENERATION_KEY)
		return true;
	memcpy(hash, (const unsigned char *)key->data + 1, sizeof(hash));
	if (!queue_target_unpack(&target, row) || !target_waits(queue, &target))
		return true;
	if (queue_target_get(queue, hash, &newest) == 1 && newest.number != target.number)
		return true;
	return queue_target_put(queue, hash, &target, DB_LAZY, NULL);
}

unsigned queue_generations_tidy(struct queue *queue, int64_t now_ms, bool by_age, unsigned most)
{
	struct generation *seen = &queue->memory.seen, *target = &queue->memory.target;
	struct generation_rules rules = {
	    .ttl_ms = queue->options.ttl_ms,
	    .remember = queue->options.remember,
	    .arg = queue,
	};

	queue->memory_changed |= generation_turn(seen, &rules, now_ms, by_age);
	queue->memory_changed |= generation_turn(target, &rules, now_ms, by_age);
	unsigned dropped = generation_drop(seen, queue->db, &rules, most, &queue->memory_changed);
	rules.keep = keep_waiting;
	return dropped + generation_drop(target, queue->db, &rules, most, &queue->memory_changed);
}
