/*
 * events_internal: what the files of the events share; nobody else includes it.
 *
 *   events.c        open, put, first, failed, done: the way through
 *   events_rows.c   keys and packed rows, an entry's end
 *   events_seen.c   what came before
 *   events_admin.c  for people: walk, retry, drop, counts
 *   events_trim.c   TTL and bounds
 *
 * Beside its entries a lane may have a note, under the lane alone and so before them all: what
 * events_failed noted of its first. Rewriting the entry instead would rewrite its body.
 */
#ifndef STORE_EVENTS_INTERNAL_H
#define STORE_EVENTS_INTERNAL_H

#include "base/buf.h"
#include "base/log.h"
#include "store/events.h"
#include "store/generation.h"

#define EVENTS_KEY 12     /* lane u32 | number u64, big-endian */
#define EVENTS_LANE_KEY 4 /* of a note */
#define EVENTS_CODE_MAX 64
#define EVENTS_ERROR_MAX 300
#define EVENTS_DEAD_ROWS 1000
#define EVENTS_GITHUB_PART \
	2             /* of what may wait, entries and bytes: one is EVENTS_GITHUB's at most */
#define EVENTS_HASH 8 /* bytes: two of 2^20 events are the same once in 2^24 such stores */
#define EVENTS_SEEN_ROW 120 /* hashes of a row: four rows to a page */

/* What META keeps, written once per commit. Bytes are those of rows, head and body. */
struct events_memory {
	uint64_t last_number;
	uint64_t waiting, waiting_bytes, dead, dead_bytes, notes;
	uint64_t github, github_bytes; /* those of the waiting ones in EVENTS_GITHUB */
	struct generation seen;
};

struct events_set {
	uint64_t *slots; /* 0: empty */
	size_t capacity, count;
};

/* What is remembered of META's two generations, in memory. */
struct events_seen {
	bool loaded;
	bool row_changed;
	struct events_set current, before;
	uint64_t salt;       /* of this process */
	uint64_t row_number; /* the last row of the current one, while it has room */
	unsigned row_count;
	unsigned char row[EVENTS_SEEN_ROW * EVENTS_HASH];
};

struct events {
	struct db *db;
	struct events_options options;
	struct events_memory memory;
	bool memory_changed;
	struct events_seen seen;
	unsigned puts; /* since the last commit */
	uint64_t
	    open_number;    /* entries from this one on are not committed yet; 0: there are none */
	uint32_t expire_at; /* the lane where events_expire goes on */
	struct log_limit bury_limit, trim_limit;
	struct buf head; /* for packing */
};

/* ---- rows ---- */

void events_key(unsigned char key[EVENTS_KEY], uint32_t lane, uint64_t number);
bool events_key_is_entry(const struct db_bytes *key);
/* Packs all but the body into events->head. False when a text is too long. */
bool events_pack(struct events *events, const struct event_entry *entry, struct err *err);
/* Strings and body point into the row. False when it is damaged. */
bool events_unpack(
    struct event_entry *entry, const struct db_bytes *key, const struct db_bytes *row);
bool events_unpack_dead(
    struct event_entry *entry, const struct db_bytes *key, const struct db_bytes *row);
/* The same; rest: the entry's row as it was, behind the time that the TTL counts from. */
bool events_dead_row(struct event_entry *entry, const struct db_bytes *key,
    const struct db_bytes *row, struct db_bytes *rest);
int64_t events_row_since(const struct db_bytes *row);      /* the TTL counts from here */
int64_t events_row_ended(const struct db_bytes *dead_row); /* in DEAD since */
/* Adds what a note says to the entry, if it is of this entry. */
void events_unpack_note(struct event_entry *entry, const struct db_bytes *note);
bool events_put_note(struct events *events, const struct event_entry *entry, struct err *err);
/* 1 found, 0 not, -1. With its note. */
int events_get(struct events *events, uint32_t lane, uint64_t number, struct event_entry *entry,
    struct db_bytes *row);

/* ---- ends ---- */

/* Puts a row into its lane under a new number, the last one given. 1, 0 when there is no room, -1.
 */
int events_put_row(struct events *events, uint32_t lane, const struct db_bytes *head,
    const struct db_bytes *rest, struct err *err);
/* Why an entry was not had: `is` 0 not there, -1 the store failed. Always returns false. */
bool events_not_there(int is, uint64_t number, struct err *err);
/* Takes an entry of so many bytes out of its lane, with its note. */
bool events_take(struct events *events, uint32_t lane, uint64_t number, size_t row_length,
    unsigned flags, struct err *err);
/* The same, and keeps it in DEAD, unless the map has no room for it there. */
bool events_bury(struct events *events, const struct event_entry *entry, const struct db_bytes *row,
    const char *code, const char *error, int64_t now_ms, struct err *err);
/* Forgets a dead one. 1, 0 when it is not there, -1. */
int events_forget_dead(struct events *events, uint64_t number, unsigned flags, struct err *err);
/* The lane of the first entry at or after this lane; false when there is none. */
bool events_next_lane(struct events *events, uint32_t from, uint32_t *lane);

/* ---- what came before ---- */

/* 1, 0, -1. */
int events_is_seen(struct events *events, const unsigned char hash[EVENTS_HASH]);
/* After events_is_seen has said no. False: the group is lost. */
bool events_see(struct events *events, const unsigned char hash[EVENTS_HASH], struct err *err);
/* Writes the row that is being filled. */
bool events_seen_write(struct events *events, struct err *err);
/* The memory of it; the next question reads it again. */
void events_seen_forget(struct events *events);
/* Keeps SEEN within its bounds. */
unsigned events_seen_tidy(struct events *events, int64_t now_ms, bool by_age, unsigned most);

#endif
