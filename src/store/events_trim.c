/*
 * Bounds in time and number. Everything here is done in small batches and goes on where it stopped.
 */
#include "base/metrics.h"
#include "base/pack.h"
#include "store/events_internal.h"
#include <string.h>

enum {
	MOVE_BYTES = 4 << 20, /* in one call of events_expire, and one entry more */
	DEAD_PART = 4         /* of limit_bytes that DEAD may hold */
};

static struct metric trimmed = METRIC(METRIC_COUNTER, "eyes_scm_events_dead_dropped_total", "",
    "Events that could not be passed on, deleted before their time: there are too many of them");

static bool is_past(const struct events *events, int64_t since_ms, int64_t now_ms)
{
	return now_ms > since_ms && (uint64_t)(now_ms - since_ms) > events->options.ttl_ms;
}

/* Ends the lane's first, which is this row, whether it can be read or not. */
static bool end_first(struct events *events, const struct db_bytes *key, const struct db_bytes *row,
    uint32_t lane, int64_t now_ms)
{
	uint64_t number = unpack_key_u64((const unsigned char *)key->data + EVENTS_LANE_KEY);
	struct event_entry entry;
	struct db_bytes again;

	if (events_get(events, lane, number, &entry, &again) != 1)
		return events_take(events, lane, number, row->length, DB_LAZY, NULL);
	return events_bury(events, &entry, &again, "expired",
	    "it could not be passed on to Eyes in time", now_ms, NULL);
}

/* How many of the lane were ended, at most `most` and so many bytes. */
static unsigned expire_lane(
    struct events *events, uint32_t lane, int64_t now_ms, unsigned most, size_t *bytes)
{
	unsigned char key[EVENTS_KEY];
	struct db_bytes found, row;
	unsigned ended = 0;

	events_key(key, lane, 0);
	while (ended < most && *bytes < MOVE_BYTES &&
	       db_find_at(events->db, DB_EVENT, key, sizeof(key), &found, &row) == 1 &&
	       events_key_is_entry(&found) && memcmp(found.data, key, EVENTS_LANE_KEY) == 0 &&
	       is_past(events, events_row_since(&row), now_ms)) {
		*bytes += row.length;
		if (!end_first(events, &found, &row, lane, now_ms))
			break;
		ended++;
	}
	return ended;
}

unsigned events_expire(
    struct events *events, int64_t now_ms, unsigned most, events_lane_fn *fn, void *arg)
{
	uint32_t lane = events->expire_at;
	unsigned looked = 0, all = 0;
	size_t bytes = 0;

	while (looked < most && bytes < MOVE_BYTES) {
		if (!events_next_lane(events, lane, &lane)) {
			lane = 0; /* from the start again */
			break;
		}
		unsigned ended = expire_lane(events, lane, now_ms, most - looked, &bytes);
		looked += ended + 1;
		all += ended;
		if (ended > 0)
			fn(lane, arg);
		if (looked <= most && bytes < MOVE_BYTES)
			lane++; /* done with it; behind the last number comes the first */
	}
	events->expire_at = lane;
	return all;
}

static unsigned trim_dead(struct events *events, int64_t now_ms, unsigned most)
{
	static const unsigned char first[sizeof(uint64_t)] = {0};
	const struct events_memory *memory = &events->memory;
	struct db_bytes key, row;
	unsigned dropped = 0, early = 0;

	while (dropped < most && memory->dead > 0 &&
	       db_find_at(events->db, DB_EVENT_DEAD, first, sizeof(first), &key, &row) == 1 &&
	       key.length == sizeof(uint64_t) &&
	       (memory->dead > EVENTS_DEAD_ROWS ||
	           memory->dead_bytes > events->options.limit_bytes / DEAD_PART ||
	           is_past(events, events_row_ended(&row), now_ms))) {
		bool past = is_past(events, events_row_ended(&row), now_ms);
		if (events_forget_dead(events, unpack_key_u64(key.data), DB_LAZY, NULL) != 1)
			break;
		dropped++;
		early += !past;
	}
	if (early > 0) {
		metric_add(&trimmed, early);
		log_limited_warn(&events->trim_limit, "store",
		    "more events could not be passed on than are kept: the oldest are deleted",
		    log_uint("events", early), log_uint("kept", memory->dead));
	}
	return dropped;
}

unsigned events_trim(struct events *events, int64_t now_ms, unsigned most)
{
	return events_seen_tidy(events, now_ms, true, most) + trim_dead(events, now_ms, most);
}
