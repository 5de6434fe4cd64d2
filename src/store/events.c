/*
 * The way of an event:
 *
 *                events_put               events_first, events_done
 *   (unknown) --------------> waiting ---------------------------------> gone
 *        |                     ^   |   events_done (dead), events_expire
 *        | came before:        |   +-----------------------------------> DEAD
 *        v nothing changes     |          events_retry                     |
 *      known                   +-------------------------------------------+
 */
#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "store/events_internal.h"
#include <stdlib.h>
#include <string.h>

#define MEMORY_KEY "events"

enum {
	HEAD_LIMIT = 16 << 10,
	DROP_A_PUT = 2 /* rows of an old generation deleted for one put */
};

/* ---- what META keeps ---- */

static void memory_pack(struct buf *out, const struct events_memory *memory)
{
	buf_reset(out);
	pack_u64(out, memory->last_number);
	pack_u64(out, memory->waiting);
	pack_u64(out, memory->waiting_bytes);
	pack_u64(out, memory->dead);
	pack_u64(out, memory->dead_bytes);
	pack_u64(out, memory->notes);
	generation_pack(out, &memory->seen);
	pack_u64(out, memory->github);
	pack_u64(out, memory->github_bytes);
}

static bool memory_unpack(struct events_memory *memory, const struct db_bytes *row)
{
	struct unpack u;

	unpack_init(&u, row->data, row->length);
	memory->last_number = unpack_u64(&u);
	memory->waiting = unpack_u64(&u);
	memory->waiting_bytes = unpack_u64(&u);
	memory->dead = unpack_u64(&u);
	memory->dead_bytes = unpack_u64(&u);
	memory->notes = unpack_u64(&u);
	generation_unpack(&u, &memory->seen);
	if (u.at == u.end)
		return !u.bad; /* of an earlier format */
	memory->github = unpack_u64(&u);
	memory->github_bytes = unpack_u64(&u);
	return !u.bad;
}

static bool memory_load(struct events *events, struct err *err)
{
	struct events_memory memory = {
	    .seen = {.table = DB_EVENT_SEEN, .started_ms = clock_wall_ms()}};
	struct db_bytes row;
	int is = db_get(events->db, DB_META, MEMORY_KEY, strlen(MEMORY_KEY), &row);

	if (is < 0 || (is == 1 && !memory_unpack(&memory, &row)))
		return err_set(err, "store_corrupt", "the row of events in META is damaged");
	events->memory = memory;
	return true;
}

/* Before each commit: the oldest generation shrinks by more than was put. */
static void on_commit(void *arg)
{
	struct events *events = arg;
	unsigned most = events->puts * DROP_A_PUT;
	uint64_t lost = db_lost(events->db);

	events->open_number = 0; /* nothing is sent between here and the end of the commit */
	if (events->puts > 0)
		events_seen_tidy(events, clock_wall_ms(), false, most);
	events->puts = 0;
	if (!events->memory_changed || db_lost(events->db) != lost)
		return;
	memory_pack(&events->head, &events->memory);
	if (db_put(events->db, DB_META, MEMORY_KEY, strlen(MEMORY_KEY), events->head.data,
	        events->head.length, DB_LAZY, NULL))
		events->memory_changed = false;
}

/* Counters are as on disk; numbers that were given are not given again. */
static void on_lost(void *arg)
{
	struct events *events = arg;
	uint64_t last_number = events->memory.last_number;

	events->puts = 0;
	events->open_number = 0;
	events_seen_forget(events);
	if (!memory_load(events, NULL))
		return; /* the store cannot be read: memory is the best there is */
	events->memory_changed = events->memory.last_number < last_number;
	if (events->memory_changed)
		events->memory.last_number = last_number;
}

struct events *events_open(struct db *db, const struct events_options *options, struct err *err)
{
	struct events *events = mem_zero(sizeof(*events));

	events->db = db;
	events->options = *options;
	if (events->options.remember < 2)
		events->options.remember = 2;
	if (events->options.remember > EVENTS_REMEMBER_MAX)
		events->options.remember = EVENTS_REMEMBER_MAX;
	buf_init(&events->head, HEAD_LIMIT);
	if (!memory_load(events, err)) {
		events_close(events);
		return NULL;
	}
	db_before_commit(db, on_commit, events);
	db_on_lost(db, on_lost, events);
	return events;
}

void events_close(struct events *events)
{
	if (events == NULL)
		return;
	if (events->memory_changed)
		on_commit(events);
	db_forget(events->db, events);
	events_seen_forget(events);
	buf_free(&events->head);
	free(events);
}

/* ---- put ---- */

static void seen_hash(unsigned char hash[EVENTS_HASH], const struct event_entry *entry,
    const unsigned char body_hash[CRYPTO_SHA256])
{
	unsigned char text[4 + CRYPTO_SHA256 + EVENTS_TEXT_MAX], digest[CRYPTO_SHA256];
	size_t length = strlen(entry->request_id); /* events_pack looked at it */

	pack_key_u32(text, entry->lane);
	memcpy(text + 4, body_hash, CRYPTO_SHA256);
	memcpy(text + 4 + CRYPTO_SHA256, entry->request_id, length);
	crypto_sha256(digest, text, 4 + CRYPTO_SHA256 + length);
	memcpy(hash, digest, EVENTS_HASH);
}

/* GitHub's lane stands for repositories that nobody enabled here: it leaves room to the others. */
static bool has_room(struct events *events, uint32_t lane, size_t length)
{
	const struct events_memory *memory = &events->memory;
	const struct events_options *options = &events->options;

	if (lane == EVENTS_GITHUB &&
	    (memory->github >= options->limit / EVENTS_GITHUB_PART ||
	        memory->github_bytes + length > options->limit_bytes / EVENTS_GITHUB_PART))
		return false;
	return memory->waiting < events->options.limit &&
	       memory->waiting_bytes + length <= events->options.limit_bytes &&
	       db_has_room(events->db, length);
}

int events_put_row(struct events *events, uint32_t lane, const struct db_bytes *head,
    const struct db_bytes *rest, struct err *err)
{
	struct db_bytes parts[] = {*head, *rest};
	unsigned char key[EVENTS_KEY];
	size_t length = head->length + rest->length;

	if (!has_room(events, lane, length))
		return 0;
	events_key(key, lane, events->memory.last_number + 1);
	int put = db_put_parts(events->db, DB_EVENT, key, sizeof(key), parts, 2, 0, err);
	if (put != 1)
		return put;
	events->memory.last_number++;
	if (events->open_number == 0)
		events->open_number = events->memory.last_number;
	events->memory.waiting++;
	events->memory.waiting_bytes += length;
	if (lane == EVENTS_GITHUB) {
		events->memory.github++;
		events->memory.github_bytes += length;
	}
	events->memory_changed = true;
	return 1;
}

enum events_put events_put(struct events *events, struct event_entry *entry,
    const unsigned char body_hash[CRYPTO_SHA256], struct err *err)
{
	unsigned char hash[EVENTS_HASH];
	bool named = *entry->request_id != '\0';

	if (!events_pack(events, entry, err))
		return EVENTS_PUT_FAILED;
	if (named) {
		seen_hash(hash, entry, body_hash);
		int seen = events_is_seen(events, hash);
		if (seen == 1)
			return EVENTS_PUT_KNOWN;
		if (seen < 0) {
			err_set(err, "store_failed", "what events came before cannot be read");
			return EVENTS_PUT_FAILED;
		}
	}
	struct db_bytes head = {.data = events->head.data, .length = events->head.length};
	struct db_bytes body = {.data = entry->body, .length = entry->body_length};
	int put = events_put_row(events, entry->lane, &head, &body, err);
	if (put == 0)
		return EVENTS_PUT_FULL;
	if (put < 0 || (named && !events_see(events, hash, err)))
		return EVENTS_PUT_FAILED;
	entry->number = events->memory.last_number;
	events->puts++;
	return EVENTS_PUT_NEW;
}

int events_is_known(struct events *events, const struct event_entry *entry,
    const unsigned char body_hash[CRYPTO_SHA256])
{
	unsigned char hash[EVENTS_HASH];

	if (*entry->request_id == '\0' ||
	    strnlen(entry->request_id, EVENTS_TEXT_MAX + 1) > EVENTS_TEXT_MAX)
		return 0;
	seen_hash(hash, entry, body_hash);
	return events_is_seen(events, hash);
}

/* ---- first, failed, done ---- */

bool events_first(struct events *events, uint32_t lane, struct event_entry *out)
{
	unsigned char key[EVENTS_KEY];
	struct db_bytes found, row, note = {.length = 0};

	pack_key_u32(key, lane);
	if (events->memory.notes > 0 &&
	    db_get(events->db, DB_EVENT, key, EVENTS_LANE_KEY, &note) != 1)
		note.length = 0;
	events_key(key, lane, 0);
	while (db_find_at(events->db, DB_EVENT, key, sizeof(key), &found, &row) == 1) {
		if (found.length != EVENTS_KEY || memcmp(found.data, key, EVENTS_LANE_KEY) != 0)
			return false;
		if (events_unpack(out, &found, &row)) {
			if (note.length > 0)
				events_unpack_note(out, &note);
			return true;
		}
		/* A damaged row is passed over. */
		events_key(key, lane, unpack_key_u64((const unsigned char *)found.data + 4) + 1);
	}
	return false;
}

bool events_is_committed(const struct events *events, uint64_t number)
{
	return events->open_number == 0 || number < events->open_number;
}

bool events_not_there(int is, uint64_t number, struct err *err)
{
	if (is < 0)
		return err_set(err, "store_failed", "event %llu cannot be read or written",
		    (unsigned long long)number);
	return err_set(
	    err, "not_found", "there is no event with the number %llu", (unsigned long long)number);
}

bool events_failed(struct events *events, uint32_t lane, uint64_t number, const char *code,
    const char *error, struct err *err)
{
	struct event_entry entry;
	struct db_bytes row;
	int is = events_get(events, lane, number, &entry, &row);

	if (is != 1)
		return events_not_there(is, number, err);
	entry.attempts++;
	entry.code = code;
	entry.error = error;
	return events_put_note(events, &entry, err);
}

bool events_done(struct events *events, uint32_t lane, uint64_t number, bool dead, const char *code,
    const char *error, struct err *err)
{
	struct event_entry entry;
	struct db_bytes row;
	int is = events_get(events, lane, number, &entry, &row);

	if (is == 1 && dead)
		return events_bury(events, &entry, &row, code, error, clock_wall_ms(), err);
	if (is == 1)
		return events_take(events, lane, number, row.length, DB_LAZY, err);
	/* It expired while it was under way, and arrived all the same. */
	if (is == 0 && !dead)
		is = events_forget_dead(events, number, DB_LAZY, err);
	return is == 1 || events_not_there(is, number, err);
}

void events_each_lane(struct events *events, events_lane_fn *fn, void *arg)
{
	uint32_t lane = 0;

	for (bool more = events_next_lane(events, 0, &lane); more;
	     more = lane < UINT32_MAX && events_next_lane(events, lane + 1, &lane))
		fn(lane, arg);
}
