/*
 * What people do to events: look at them, try again, drop. Rare, so that there is no index by
 * number: entries are looked for in one walk over all that wait.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/pack.h"
#include "store/events_internal.h"
#include <stdlib.h>
#include <string.h>

static void walk_lanes(struct events *events, events_entry_fn *fn, void *arg)
{
	struct db_cursor *cursor = db_cursor_open(events->db, DB_EVENT);
	struct db_bytes key, row, note = {.length = 0};
	struct event_entry entry;
	bool more = true;

	while (more && db_next(cursor, &key, &row)) {
		if (key.length == EVENTS_LANE_KEY)
			note = row;
		if (!events_unpack(&entry, &key, &row))
			continue;
		events_unpack_note(&entry, &note);
		entry.body = NULL;
		more = fn(&entry, false, arg);
	}
	db_cursor_close(cursor);
}

void events_walk(struct events *events, bool dead, events_entry_fn *fn, void *arg)
{
	struct db_bytes key, row;
	struct event_entry entry;
	bool more = true;

	if (!dead) {
		walk_lanes(events, fn, arg);
		return;
	}
	struct db_cursor *cursor = db_cursor_open(events->db, DB_EVENT_DEAD);
	while (more && db_next(cursor, &key, &row)) {
		if (!events_unpack_dead(&entry, &key, &row))
			continue;
		entry.body = NULL;
		more = fn(&entry, true, arg);
	}
	db_cursor_close(cursor);
}

struct wanted {
	uint64_t number;
	unsigned index;
};

static int by_number(const void *a, const void *b)
{
	const struct wanted *one = a, *other = b;

	return (one->number > other->number) - (one->number < other->number);
}

static void found(const struct wanted *list, unsigned count, uint64_t number, uint32_t lane,
    uint32_t *lanes, unsigned *left)
{
	const struct wanted key = {.number = number};
	const struct wanted *at = bsearch(&key, list, count, sizeof(key), by_number);

	if (at == NULL)
		return;
	while (at > list && at[-1].number == number)
		at--;
	for (; at < list + count && at->number == number; at++) {
		lanes[at->index] = lane;
		(*left)--;
	}
}

void events_find(struct events *events, const uint64_t *numbers, unsigned count, uint32_t *lanes)
{
	struct wanted *list = mem_zero((count + 1) * sizeof(*list));
	struct db_cursor *cursor = db_cursor_open(events->db, DB_EVENT);
	unsigned left = count;
	struct db_bytes key, row;

	for (unsigned i = 0; i < count; i++) {
		list[i] = (struct wanted){.number = numbers[i], .index = i};
		lanes[i] = EVENTS_NOWHERE;
	}
	qsort(list, count, sizeof(*list), by_number);
	while (left > 0 && db_next(cursor, &key, &row)) {
		if (!events_key_is_entry(&key))
			continue;
		uint64_t number = unpack_key_u64((const unsigned char *)key.data + EVENTS_LANE_KEY);
		if (number >= list[0].number && number <= list[count - 1].number)
			found(list, count, number, unpack_key_u32(key.data), lanes, &left);
	}
	db_cursor_close(cursor);
	free(list);
}

bool events_retry(struct events *events, uint64_t number, uint32_t *lane, struct err *err)
{
	unsigned char own[sizeof(uint64_t)];
	struct buf *head = &events->head;
	struct db_bytes key = {.data = own, .length = sizeof(own)}, row, rest;
	struct event_entry entry;

	pack_key_u64(own, number);
	int is = db_get(events->db, DB_EVENT_DEAD, own, sizeof(own), &row);
	if (is == 1 && !events_dead_row(&entry, &key, &row, &rest))
		is = -1;
	if (is != 1)
		return events_not_there(is, number, err);
	buf_reset(head);
	pack_u64(head, (uint64_t)clock_wall_ms()); /* since, in place of the old one */
	struct db_bytes since = {.data = head->data, .length = head->length};
	int put = events_put_row(events, entry.lane, &since, &rest, err);
	if (put == 0)
		return err_set(err, "store_full", "there is no room for event %llu to wait again",
		    (unsigned long long)number);
	*lane = entry.lane;
	return put == 1 && events_forget_dead(events, number, 0, err) == 1;
}

bool events_drop_in(
    struct events *events, uint32_t lane, uint64_t number, uint64_t sending, struct err *err)
{
	unsigned char key[EVENTS_KEY];
	struct db_bytes row;
	int is;

	if (number != 0 && number == sending)
		return err_set(err, "in_flight", "event %llu is being sent at this moment",
		    (unsigned long long)number);
	if (lane == EVENTS_NOWHERE) {
		is = events_forget_dead(events, number, 0, err);
		return is == 1 || events_not_there(is, number, err);
	}
	events_key(key, lane, number);
	is = db_get(events->db, DB_EVENT, key, sizeof(key), &row);
	if (is != 1)
		return events_not_there(is, number, err);
	return events_take(events, lane, number, row.length, 0, err);
}

bool events_drop(struct events *events, uint64_t number, uint64_t sending, struct err *err)
{
	uint32_t lane;

	events_find(events, &number, 1, &lane);
	return events_drop_in(events, lane, number, sending, err);
}

void events_count(const struct events *events, struct events_counts *out)
{
	*out = (struct events_counts){
	    .waiting = events->memory.waiting,
	    .dead = events->memory.dead,
	    .bytes = events->memory.waiting_bytes,
	};
}

uint64_t events_count_lane(struct events *events, uint32_t lane, uint64_t most)
{
	unsigned char first[EVENTS_KEY];
	struct db_bytes key, row;
	uint64_t count = 0;

	events_key(first, lane, 0);
	/* Mostly nothing waits, and then no walk has to be begun. */
	if (events->memory.waiting == 0)
		return 0;
	struct db_cursor *cursor = db_cursor_open(events->db, DB_EVENT);
	for (bool more = db_seek(cursor, first, sizeof(first), &key, &row);
	     more && count < most && events_key_is_entry(&key) &&
	     memcmp(key.data, first, EVENTS_LANE_KEY) == 0;
	     more = db_next(cursor, &key, &row))
		count++;
	db_cursor_close(cursor);
	return count;
}
