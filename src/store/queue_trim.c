/*
 * Bounds in time and number. Everything here is done in small batches and goes on where it stopped.
 */
#include "base/clock.h"
#include "base/pack.h"
#include "store/queue_internal.h"
#include <string.h>

static bool is_expired(struct queue *queue, int64_t since_ms, int64_t now_ms)
{
	return now_ms > since_ms && (uint64_t)(now_ms - since_ms) > queue->options.ttl_ms;
}

/* When the entry of this row came: it stands behind the hash. */
static int64_t received_ms(const struct db_bytes *row)
{
	struct unpack u;

	if (row->length < QUEUE_HASH)
		return INT64_MAX;
	unpack_init(&u, (const unsigned char *)row->data + QUEUE_HASH, row->length - QUEUE_HASH);
	return (int64_t)unpack_u64(&u);
}

static bool expire(struct queue *queue, const struct db_bytes *key, const struct db_bytes *row)
{
	unsigned char hash[QUEUE_HASH];
	struct queue_entry entry;

	if (!queue_read(queue, &entry, hash, false, key, row) || entry.claimed)
		return true;
	return queue_end(queue, &entry, hash, UPDATE_EXPIRED, "expired",
	    "it could not be delivered in time", DB_LAZY, NULL);
}

unsigned queue_expire(struct queue *queue, int64_t now_ms, unsigned most)
{
	struct db_cursor *cursor = db_cursor_open(queue->db, DB_QUEUE);
	struct db_bytes key, row;
	unsigned ended = 0, looked = 0;
	bool more = db_seek(cursor, queue->expire_at, sizeof(queue->expire_at), &key, &row);

	for (; more && looked < most; looked++) {
		if (is_expired(queue, received_ms(&row), now_ms)) {
			ended++;
			if (!expire(queue, &key, &row))
				break;
		}
		more = db_next(cursor, &key, &row);
	}
	if (more && looked == most && key.length == QUEUE_KEY)
		memcpy(queue->expire_at, key.data, QUEUE_KEY);
	else
		memset(queue->expire_at, 0, QUEUE_KEY); /* from the start again */
	db_cursor_close(cursor);
	return ended;
}

/* When the entry of a DEAD row died: in its due time. */
static bool is_forgotten(
    struct queue *queue, const struct db_bytes *key, const struct db_bytes *row, int64_t now_ms)
{
	unsigned char hash[QUEUE_HASH];
	struct queue_entry entry;

	return !queue_read(queue, &entry, hash, true, key, row) ||
	       is_expired(queue, entry.due_ms, now_ms);
}

static unsigned trim_dead(struct queue *queue, int64_t now_ms, unsigned most)
{
	uint64_t count = db_count(queue->db, DB_DEAD);
	struct db_cursor *cursor = db_cursor_open(queue->db, DB_DEAD);
	struct db_bytes key, row;
	unsigned dropped = 0;

	while (dropped < most && db_next(cursor, &key, &row) &&
	       (count - dropped > QUEUE_DEAD_MAX || is_forgotten(queue, &key, &row, now_ms))) {
		if (!db_cursor_del(cursor, NULL))
			break;
		dropped++;
	}
	db_cursor_close(cursor);
	return dropped;
}

unsigned queue_trim(struct queue *queue, int64_t now_ms, unsigned most)
{
	unsigned dropped = queue_doubts_trim(queue, now_ms, most);

	dropped += queue_generations_tidy(queue, now_ms, true, most);
	return dropped + trim_dead(queue, now_ms, most);
}
