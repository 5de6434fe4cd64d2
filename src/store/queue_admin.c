/*
 * What people do to the queue: look at it, try again, drop. Rare, so that there is no index by
 * number: an entry is looked for in each repository that has something.
 */
#include "base/clock.h"
#include "base/pack.h"
#include "store/queue_internal.h"
#include <string.h>

enum { RETRY_MOST = 5000 }; /* moved in one call: a few ms */

void queue_walk(struct queue *queue, bool dead, queue_entry_fn *fn, void *arg)
{
	struct db_cursor *cursor = db_cursor_open(queue->db, dead ? DB_DEAD : DB_QUEUE);
	struct db_bytes key, row;
	unsigned char hash[QUEUE_HASH];
	struct queue_entry entry;

	while (db_next(cursor, &key, &row)) {
		if (!queue_read(queue, &entry, hash, dead, &key, &row))
			continue;
		if (!fn(&entry, dead, arg))
			break;
	}
	db_cursor_close(cursor);
}

/* Looks for the entry in the lanes of every repository. 1, 0, -1. */
static int find_number(
    struct queue *queue, uint64_t number, struct queue_entry *entry, unsigned char hash[QUEUE_HASH])
{
	unsigned char key[QUEUE_KEY];
	struct db_bytes found, row;

	queue_key(key, 0, QUEUE_FINAL, 0);
	while (db_find_at(queue->db, DB_QUEUE, key, sizeof(key), &found, &row) == 1 &&
	       found.length == QUEUE_KEY) {
		uint32_t repo = unpack_key_u32(found.data);
		for (int lane = QUEUE_FINAL; lane <= QUEUE_LATER; lane++) {
			int is = queue_get(queue, repo, (enum queue_lane)lane, number, entry, hash);
			if (is != 0)
				return is;
		}
		if (repo == UINT32_MAX)
			break;
		queue_key(key, repo + 1, QUEUE_FINAL, 0);
	}
	return 0;
}

static int find_dead(
    struct queue *queue, uint64_t number, struct queue_entry *entry, unsigned char hash[QUEUE_HASH])
{
	unsigned char key[8];
	struct db_bytes row, found = {.data = key, .length = sizeof(key)};

	pack_key_u64(key, number);
	int is = db_get(queue->db, DB_DEAD, key, sizeof(key), &row);
	if (is != 1)
		return is;
	return queue_read(queue, entry, hash, true, &found, &row) ? 1 : -1;
}

static bool not_found(uint64_t number, struct err *err)
{
	return err_set(err, "not_found", "there is no update with the number %llu in the queue",
	    (unsigned long long)number);
}

/* Takes a dead entry back into its lane, as if it had just come. */
static bool revive(struct queue *queue, struct queue_entry *entry,
    const unsigned char hash[QUEUE_HASH], struct err *err)
{
	struct queue_target target = {.order = entry->order};
	unsigned char key[8];

	int known = queue_target_get(queue, hash, &target);
	if (known == 1 && target.number != entry->number) {
		err_set(err, "superseded",
		    "a newer update for the same commit and key came after number %llu",
		    (unsigned long long)entry->number);
		err_hint(err, "drop it: sending it would put an old state back");
		return false;
	}
	target.number = entry->number;
	target.repo = entry->repo;
	target.lane = entry->lane;
	entry->received_ms = clock_wall_ms();
	entry->first_try_ms = entry->due_ms = 0;
	entry->attempts = 0;
	pack_key_u64(key, entry->number);
	queue_passes_forget(queue, entry->repo, entry->lane);
	return db_del(queue->db, DB_DEAD, key, sizeof(key), 0, err) &&
	       queue_put_row(queue, entry, hash, 0, err) &&
	       (known == 1 || queue_target_put(queue, hash, &target, 0, err));
}

bool queue_retry(struct queue *queue, uint64_t number, uint32_t *repo, struct err *err)
{
	unsigned char hash[QUEUE_HASH];
	struct queue_entry entry;

	if (find_number(queue, number, &entry, hash) == 1) {
		*repo = entry.repo;
		return entry.lane != QUEUE_LATER ||
		       queue_home_again(queue, &entry, hash, clock_wall_ms(), 0, err);
	}
	if (find_dead(queue, number, &entry, hash) != 1)
		return not_found(number, err);
	*repo = entry.repo;
	return revive(queue, &entry, hash, err);
}

static bool retry_later(struct queue *queue, uint64_t *count, struct err *err)
{
	struct db_cursor *cursor = db_cursor_open(queue->db, DB_LATER);
	struct db_bytes key, row;
	unsigned char hash[QUEUE_HASH];
	struct queue_entry entry;
	bool good = true;

	while (good && *count < RETRY_MOST && db_next(cursor, &key, &row) &&
	       key.length == QUEUE_LATER_KEY) {
		const unsigned char *bytes = key.data;
		if (queue_get(queue, unpack_key_u32(bytes + 8), QUEUE_LATER,
		        unpack_key_u64(bytes + 12), &entry, hash) != 1)
			continue; /* queue_due tidies up */
		good = queue_home_again(queue, &entry, hash, clock_wall_ms(), 0, err);
		*count += good;
	}
	db_cursor_close(cursor);
	return good;
}

uint64_t queue_retry_all(struct queue *queue, bool dead, struct err *err)
{
	struct err refused = ERR_INIT;
	struct db_bytes key, row;
	unsigned char hash[QUEUE_HASH];
	struct queue_entry entry;
	uint64_t count = 0;

	if (!retry_later(queue, &count, err))
		return 0;
	if (!dead)
		return count;
	uint64_t lost = db_lost(queue->db);
	struct db_cursor *cursor = db_cursor_open(queue->db, DB_DEAD);
	while (count < RETRY_MOST && db_next(cursor, &key, &row)) {
		if (!queue_read(queue, &entry, hash, true, &key, &row))
			continue;
		count += revive(queue, &entry, hash, &refused); /* not what is superseded */
		if (db_lost(queue->db) != lost) {
			err_copy(err, &refused);
			count = 0;
			break;
		}
	}
	db_cursor_close(cursor);
	return count;
}

bool queue_drop(struct queue *queue, uint64_t number, struct err *err)
{
	unsigned char hash[QUEUE_HASH], key[8];
	struct queue_entry entry;

	if (find_number(queue, number, &entry, hash) == 1) {
		if (entry.claimed)
			return err_set(err, "in_flight", "update %llu is being sent at this moment",
			    (unsigned long long)number);
		return queue_end(queue, &entry, hash, UPDATE_DROPPED, "dropped",
		    "an administrator took it out of the queue", 0, err);
	}
	pack_key_u64(key, number);
	int removed = db_remove(queue->db, DB_DEAD, key, sizeof(key), 0, err);
	if (removed == 0)
		return not_found(number, err);
	return removed == 1;
}

void queue_count(struct queue *queue, struct queue_counts *out)
{
	*out = (struct queue_counts){
	    .waiting = db_count(queue->db, DB_QUEUE),
	    .later = db_count(queue->db, DB_LATER),
	    .dead = db_count(queue->db, DB_DEAD),
	    .claimed = queue->claims.count,
	};
}

uint64_t queue_count_repo(struct queue *queue, uint32_t repo, uint64_t most)
{
	unsigned char first[QUEUE_KEY];
	struct db_cursor *cursor;
	struct db_bytes key, row;
	uint64_t count = 0;

	/* Mostly nothing waits, and then no walk has to be begun. */
	if (gap_find(&queue->gap, repo, &key, &row) != 1)
		return 0;
	queue_key(first, repo, QUEUE_FINAL, 0);
	cursor = db_cursor_open(queue->db, DB_QUEUE);
	for (bool more = db_seek(cursor, first, sizeof(first), &key, &row);
	     more && count < most && key.length == QUEUE_KEY &&
	     memcmp(key.data, first, sizeof(uint32_t)) == 0;
	     more = db_next(cursor, &key, &row))
		count++;
	db_cursor_close(cursor);
	return count;
}
