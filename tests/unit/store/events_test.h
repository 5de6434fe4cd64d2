/* What the tests of events share: a store with events, and short ways to put and look. */
#ifndef UNIT_STORE_EVENTS_TEST_H
#define UNIT_STORE_EVENTS_TEST_H

#include "unit/store/store_test.h"

#include "base/crypto.h"
#include "store/events.h"

#define HOUR_MS 3600000ll

struct tray {
	struct store store;
	struct events *events;
	struct events_options options;
	uint32_t lanes[64]; /* that a function told */
	unsigned count;
};

struct told { /* an event as the tests say it */
	uint32_t lane;
	const char *id, *body; /* NULL: "" and "{}" */
	size_t length;         /* of body; 0: it is text */
	int64_t received_ms;   /* 0: now */
};

static inline void tray_open_events(struct tray *tray)
{
	tray->events = events_open(tray->store.db, &tray->options, &tray->store.err);
	if (tray->events == NULL)
		fail_msg("events do not open: %s", tray->store.err.message);
}

static inline void tray_begin_sized(struct tray *tray, uint64_t size)
{
	memset(tray, 0, sizeof(*tray));
	store_folder(&tray->store);
	store_open(&tray->store, size);
	tray->options = (struct events_options){
	    .ttl_ms = HOUR_MS, .limit = 100000, .limit_bytes = size, .remember = 100000};
	tray_open_events(tray);
}

static inline void tray_begin(struct tray *tray)
{
	tray_begin_sized(tray, STORE_SIZE);
}

static inline void tray_end(struct tray *tray)
{
	events_close(tray->events);
	store_end(&tray->store);
}

/* Stop and start again, as after an orderly end. */
static inline void tray_again(struct tray *tray)
{
	uint64_t size = db_size(tray->store.db);

	events_close(tray->events);
	store_close(&tray->store);
	store_open(&tray->store, size);
	tray_open_events(tray);
}

static inline enum events_put tray_try(
    struct tray *tray, struct told told, uint64_t *number, struct err *err)
{
	const char *body = told.body != NULL ? told.body : "{}";
	unsigned char hash[CRYPTO_SHA256];
	struct event_entry entry = {
	    .lane = told.lane,
	    .key = "repo:refs_changed",
	    .request_id = told.id != NULL ? told.id : "",
	    .headers = "X-Event-Key: repo:refs_changed\n",
	    .content_type = "application/json",
	    .body = body,
	    .body_length = told.length > 0 ? told.length : strlen(body),
	    .received_ms = told.received_ms != 0 ? told.received_ms : clock_wall_ms(),
	};

	crypto_sha256(hash, entry.body, entry.body_length);
	enum events_put put = events_put(tray->events, &entry, hash, err);
	if (number != NULL)
		*number = entry.number;
	return put;
}

static inline uint64_t tray_put(struct tray *tray, struct told told)
{
	uint64_t number = 0;

	if (tray_try(tray, told, &number, &tray->store.err) != EVENTS_PUT_NEW)
		fail_msg("not put: %s", tray->store.err.message);
	assert_true(number > 0);
	return number;
}

/* The lane's first, by number; 0: it is empty. */
static inline uint64_t tray_first(struct tray *tray, uint32_t lane)
{
	struct event_entry entry;

	return events_first(tray->events, lane, &entry) ? entry.number : 0;
}

static inline bool tray_done(struct tray *tray, uint32_t lane, uint64_t number)
{
	return events_done(tray->events, lane, number, false, "", "", &tray->store.err);
}

static inline bool tray_die(struct tray *tray, uint32_t lane, uint64_t number)
{
	return events_done(
	    tray->events, lane, number, true, "refused", "Eyes said 400", &tray->store.err);
}

static inline void tray_told(uint32_t lane, void *arg)
{
	struct tray *tray = arg;

	assert_true(tray->count < 64);
	tray->lanes[tray->count++] = lane;
}

static inline void tray_holds(struct tray *tray, uint64_t waiting, uint64_t dead)
{
	struct events_counts counts;

	events_count(tray->events, &counts);
	assert_int_equal(counts.waiting, waiting);
	assert_int_equal(counts.dead, dead);
	assert_int_equal(counts.bytes == 0, waiting == 0);
	assert_int_equal(db_count(tray->store.db, DB_EVENT_DEAD), dead);
}

/* How many hashes are on disk, in all generations. */
static inline uint64_t tray_remembers(struct tray *tray)
{
	struct db_bytes key, row;
	uint64_t bytes = 0;

	store_commit(&tray->store);
	struct db_cursor *cursor = db_cursor_open(tray->store.db, DB_EVENT_SEEN);
	while (db_next(cursor, &key, &row))
		bytes += row.length;
	db_cursor_close(cursor);
	return bytes / 8;
}

static inline uint64_t tray_bytes(struct tray *tray)
{
	struct events_counts counts;

	events_count(tray->events, &counts);
	return counts.bytes;
}

struct tray_search {
	uint64_t number;
	bool dead, found;
	uint32_t lane, attempts;
	char code[64], error[400];
	size_t length;
	int64_t ended_ms;
};

static inline bool tray_look(const struct event_entry *entry, bool dead, void *arg)
{
	struct tray_search *search = arg;

	assert_null(entry->body);
	assert_int_equal(dead, search->dead);
	if (entry->number != search->number)
		return true;
	search->found = true;
	search->lane = entry->lane;
	search->attempts = entry->attempts;
	search->length = entry->body_length;
	search->ended_ms = entry->ended_ms;
	snprintf(search->code, sizeof(search->code), "%s", entry->code);
	snprintf(search->error, sizeof(search->error), "%s", entry->error);
	return false;
}

/* What people see of it. */
static inline struct tray_search tray_find(struct tray *tray, uint64_t number, bool dead)
{
	struct tray_search search = {.number = number, .dead = dead};

	events_walk(tray->events, dead, tray_look, &search);
	return search;
}

#endif
