/*
 * events: what a source-control server told, on its way to Eyes, on disk. In order, never merged.
 *
 * A lane is a repository (its id), or EVENTS_GITHUB. An entry has a number, given once and never
 * again, from the same row of numbers in all lanes: it is the id that people see.
 *
 *    events_put --> lane --events_first--> (sent by the forwarder) --> events_done --> gone
 *                    ^                                              `-> DEAD (kept to be looked
 *                    `------------- events_retry ----------------------' at)
 *
 * What always holds:
 *  - events_first gives the oldest of a lane, always the same one until it is ended: nothing
 *    overtakes. Nothing is claimed on disk: after a crash the first is sent again (at least once).
 *  - An event that comes again (same lane, same request id, same body) is known for at least the
 *    TTL, unless more than half of `remember` came in that time (generation.h). One without a
 *    request id is never known: two pushes may well have the same body.
 *  - Entries and their bytes are bounded by limit and limit_bytes: beyond either, while the store
 *    is full or would be with it, and when a large one finds no free pages in one piece,
 *    events_put answers FULL and has changed nothing. EVENTS_GITHUB, behind which no enabled
 *    repository stands, holds at most half of each: beyond that FULL is answered for it alone.
 *  - Writes go to the open group of db: answer 202 only after db_after_commit, also when it was
 *    known. What a lost group had put or ended is as before it.
 *  - Bodies are bytes: passed on unchanged.
 *
 * Tables:  EVENT       lane u32 | number u64 -> head, headers, body
 *          EVENT       lane u32              -> what events_failed noted of the lane's first
 *          EVENT_DEAD  number u64 -> lane u32, and the same
 *          EVENT_SEEN  generation u8 | number u64 -> up to 120 hashes (8 each)
 *          META        "events" -> last number, generations, counters
 *
 * events_put, events_retry and events_drop are urgent writes, all others lazy.
 */
#ifndef STORE_EVENTS_H
#define STORE_EVENTS_H

#include "store/db.h"

#define EVENTS_GITHUB 0u /* the lane of what has no repository here */
#define EVENTS_NOWHERE UINT32_MAX
#define EVENTS_HEADERS_MAX 2048
#define EVENTS_TEXT_MAX 256 /* bytes of key, request id and content type, each */
#define EVENTS_BODY_MAX (64u << 20)
#define EVENTS_REMEMBER_MAX (1u << 19)

struct event_entry {
	uint64_t number;
	uint32_t lane;
	const char *key;        /* X-Event-Key or X-GitHub-Event: "repo:refs_changed" */
	const char *request_id; /* X-Request-Id or X-GitHub-Delivery; "" when there was none */
	const char *headers;    /* to be passed on: "Name: value\n" lines, at most
	                           EVENTS_HEADERS_MAX */
	const char *content_type;
	const void *body;
	size_t body_length;
	int64_t received_ms; /* wall */
	uint32_t attempts;   /* noted by events_failed */
	const char *code, *error;
	int64_t ended_ms; /* in DEAD */
};

struct events_options {
	uint64_t ttl_ms;
	uint64_t limit;       /* entries that may wait */
	uint64_t limit_bytes; /* of them all, heads and bodies */
	uint64_t remember;    /* known events remembered at most, and EVENTS_REMEMBER_MAX; in
	                         memory from the first event on: 12 to 24 bytes each */
};

struct events;
struct events *events_open(struct db *db, const struct events_options *options, struct err *err);
void events_close(struct events *events);

enum events_put { EVENTS_PUT_NEW, EVENTS_PUT_KNOWN, EVENTS_PUT_FULL, EVENTS_PUT_FAILED };
/* lane, key, request_id, headers, content_type, body, received_ms are read, number is set. KNOWN:
 * it came before. body_hash: SHA-256 of the body, or any 32 bytes that depend on all of it; not
 * looked at without a request id. FAILED: the group is lost, or (code "too_long") a text or the
 * body is beyond its limit and nothing was changed. */
enum events_put events_put(struct events *events, struct event_entry *entry,
    const unsigned char body_hash[32], struct err *err);

/* Whether events_put would say KNOWN: 1, 0, -1 when that cannot be read. */
int events_is_known(
    struct events *events, const struct event_entry *entry, const unsigned char body_hash[32]);

/* The oldest of a lane; strings and body are borrowed until the next write or the end of the turn.
 * False when the lane is empty. */
bool events_first(struct events *events, uint32_t lane, struct event_entry *out);
/* Whether the entry is on disk: one that is not may not be sent. */
bool events_is_committed(const struct events *events, uint64_t number);
/* Notes a failure of the lane's first, for people; it stays where it is. */
bool events_failed(struct events *events, uint32_t lane, uint64_t number, const char *code,
    const char *error, struct err *err);
/* Ends the lane's first: gone, or with `dead` kept to be looked at, with code and error (unless the
 * map has no free pages in one piece for a large one). One that expired while it was under way and
 * arrived all the same leaves DEAD again. False: "not_found", "store_failed", or db's. */
bool events_done(struct events *events, uint32_t lane, uint64_t number, bool dead, const char *code,
    const char *error, struct err *err);

/* Visits each lane that has something: at start. One seek a lane. */
typedef void events_lane_fn(uint32_t lane, void *arg);
void events_each_lane(struct events *events, events_lane_fn *fn, void *arg);

/* Moves the first entries of lanes that are older than the TTL to DEAD as "expired": looks at
 * `most` lanes and entries from where it stopped last, and moves some MiB at most. fn is told each
 * lane that lost its first. Returns how many. */
unsigned events_expire(
    struct events *events, int64_t now_ms, unsigned most, events_lane_fn *fn, void *arg);
/* Keeps EVENT_SEEN and EVENT_DEAD (TTL; 1,000 rows; a quarter of limit_bytes) within their bounds:
 * at most `most` deletions each. Dead ones that go before their time are counted and logged.
 * Returns how many. */
unsigned events_trim(struct events *events, int64_t now_ms, unsigned most);

/* For people: lanes one after the other, or DEAD; without bodies (body NULL, body_length true).
 * Stops when fn returns false. The entry is borrowed for the call, which must not write. */
typedef bool events_entry_fn(const struct event_entry *entry, bool dead, void *arg);
void events_walk(struct events *events, bool dead, events_entry_fn *fn, void *arg);
/* A dead one goes to the end of its lane, under a new number and with a fresh TTL. False:
 * "not_found", "store_full", or db's. */
bool events_retry(struct events *events, uint64_t number, uint32_t *lane, struct err *err);
/* The lane where each of so many entries waits, or EVENTS_NOWHERE: one walk over all that wait,
 * however many are asked for. */
void events_find(struct events *events, const uint64_t *numbers, unsigned count, uint32_t *lanes);
/* A waiting one (of the lane) or a dead one (EVENTS_NOWHERE) is forgotten. `sending`: of the lane's
 * entry under way, 0 for none; that one is refused (code "in_flight"). */
bool events_drop_in(
    struct events *events, uint32_t lane, uint64_t number, uint64_t sending, struct err *err);
/* The same for a single one, which is looked for. */
bool events_drop(struct events *events, uint64_t number, uint64_t sending, struct err *err);

struct events_counts {
	uint64_t waiting, dead; /* entries */
	uint64_t bytes;         /* of the waiting ones */
};
void events_count(const struct events *events, struct events_counts *out);
/* Waiting in one lane, counted up to `most`. */
uint64_t events_count_lane(struct events *events, uint32_t lane, uint64_t most);

#endif
