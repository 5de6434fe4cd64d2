/*
 * queue_internal: what the rooms of the queue share; nobody else includes it.
 *
 *   queue.c            open, put, due: the way in
 *   queue_claim.c      claim, done, later, release: the way out
 *   queue_rows.c       keys and packed rows, targets, doubts, the end of an entry
 *   queue_generation.c what is remembered for a while: SEEN and TARGET
 *   queue_admin.c      for people: walk, retry, drop, counts
 *   queue_trim.c       TTL and bounds
 */
#ifndef STORE_QUEUE_INTERNAL_H
#define STORE_QUEUE_INTERNAL_H

#include "base/buf.h"
#include "base/map.h"
#include "store/gap.h"
#include "store/generation.h"
#include "store/queue.h"

#define QUEUE_HASH GENERATION_HASH
#define QUEUE_KEY 13       /* repository u32 | lane u8 | number u64, big-endian */
#define QUEUE_LATER_KEY 20 /* due u64 | repository u32 | number u64, big-endian */
#define QUEUE_CODE_MAX 64
#define QUEUE_ERROR_MAX 300
#define QUEUE_DEAD_MAX 10000 /* rows of DEAD */
#define QUEUE_SUPERSEDED "superseded"
#define QUEUE_SUPERSEDED_WORDS "a newer update for this commit and key came in between"

/* What META keeps of us, written once per commit. */
struct queue_memory {
	uint64_t last_number;
	struct generation seen, target;
};

/* What is known of a target: its newest entry, and the ids that it was put by, the oldest first. An
 * id always comes with the same target, so that its being known costs no row of its own; ids that
 * find no room here are in SEEN. */
#define QUEUE_TARGET_IDS 8
struct queue_target {
	uint64_t number;
	uint32_t repo;
	enum queue_lane lane; /* when it was put; it may be in LATER now */
	struct queue_order order;
	unsigned id_count;
	uint64_t ids[QUEUE_TARGET_IDS]; /* the first 8 bytes of their hashes */
};

/* "A write may still take effect until": few, all in memory, and on disk for the next start. */
struct queue_doubt {
	unsigned char hash[QUEUE_HASH];
	int64_t until_ms;
};

struct queue_claimed {
	struct queue_entry entry; /* first: the caller's pointer is ours */
	unsigned char hash[QUEUE_HASH];
	unsigned char row[]; /* a copy; the entry's strings point into it */
};

/* In the lane of a repository, everything numbered top_low..top_high, and everything up to
 * bottom_high, is claimed: queue_claim need not walk over it. Kept for a few lanes, forgotten when
 * one of those entries may be claimed again. */
#define QUEUE_PASSES 64
struct queue_pass {
	uint32_t repo;
	enum queue_lane lane;
	uint64_t top_low, top_high; /* both 0: nothing is known */
	uint64_t bottom_high;
};

struct queue {
	struct db *db;
	struct gap gap;
	struct queue_options options;
	struct queue_memory memory;
	bool memory_changed;
	unsigned puts; /* since the last commit */
	uint64_t
	    open_number; /* entries from this one on are not committed yet; 0: there are none */
	uint64_t ghost_number; /* entries up to this one may have been under way in a crash */
	int64_t ghost_until_ms;
	uint64_t
	    doubted_number; /* entries up to this one may be older than their target's newest */
	struct map claims;  /* target hash -> struct queue_claimed */
	struct map doubts;  /* target hash -> struct queue_doubt */
	struct queue_pass passes[QUEUE_PASSES];
	struct buf row, copy;               /* for packing; for an entry that ends */
	unsigned char expire_at[QUEUE_KEY]; /* where queue_expire goes on */
};

/* ---- rows ---- */

void queue_key(unsigned char key[QUEUE_KEY], uint32_t repo, enum queue_lane lane, uint64_t number);
void queue_later_key(
    unsigned char key[QUEUE_LATER_KEY], int64_t due_ms, uint32_t repo, uint64_t number);
void queue_target_hash(
    unsigned char hash[QUEUE_HASH], uint32_t repo, const char *commit, const char *key);
/* Packs the entry into queue->row. */
void queue_pack(struct queue *queue, const struct queue_entry *entry, const unsigned char *hash);
/* Unpacks a row; strings point into it. False when it is damaged. number, repo, lane, claimed are
 * not in the row. */
bool queue_unpack(
    struct queue_entry *entry, unsigned char hash[QUEUE_HASH], const void *row, size_t length);
/* The same with the key of QUEUE (or DEAD: number u64; its row ends with the repository), from a
 * copy: strings live until the next queue_read or queue_get. */
bool queue_read(struct queue *queue, struct queue_entry *entry, unsigned char hash[QUEUE_HASH],
    bool dead, const struct db_bytes *key, const struct db_bytes *row);
/* Gets one entry by its key. 1, 0, -1. */
int queue_get(struct queue *queue, uint32_t repo, enum queue_lane lane, uint64_t number,
    struct queue_entry *entry, unsigned char hash[QUEUE_HASH]);
enum queue_lane queue_home(const struct queue_entry *entry); /* FINAL or RUNNING */
bool queue_put_row(struct queue *queue, const struct queue_entry *entry, const unsigned char *hash,
    unsigned flags, struct err *err);
/* Takes the entry out of its lane, and of LATER. 1, 0 when it is not there, -1. */
int queue_take_row(
    struct queue *queue, const struct queue_entry *entry, unsigned flags, struct err *err);
/* Tells the result of an entry that ended; nobody is told of a VERIFY. */
void queue_tell(struct queue *queue, const struct queue_entry *entry, enum update_outcome outcome,
    const char *code, const char *error);
uint64_t queue_next_number(struct queue *queue);

/* ---- targets ---- */

/* 1 known, 0 not, -1. */
int queue_target_get(
    struct queue *queue, const unsigned char hash[QUEUE_HASH], struct queue_target *target);
bool queue_target_put(struct queue *queue, const unsigned char hash[QUEUE_HASH],
    const struct queue_target *target, unsigned flags, struct err *err);
bool queue_target_unpack(struct queue_target *target, const struct db_bytes *row);
/* The number of the newest entry, or 0. */
uint64_t queue_newest(struct queue *queue, const unsigned char hash[QUEUE_HASH]);
/* The entry of that target row, when it waits unclaimed. 1, 0, -1, as queue_get. */
int queue_waiting(struct queue *queue, const unsigned char hash[QUEUE_HASH],
    const struct queue_target *target, struct queue_entry *entry);
bool queue_is_claimed(struct queue *queue, const unsigned char hash[QUEUE_HASH], uint64_t number);

/* ---- doubts ---- */

bool queue_doubts_load(struct queue *queue, struct err *err);
int64_t queue_doubt_until(struct queue *queue, const unsigned char hash[QUEUE_HASH]); /* or 0 */
/* Until when the write of this entry itself may come late because it was waiting at the start. */
int64_t queue_ghost(const struct queue *queue, uint64_t number, int64_t now_ms);
/* Keeps the later of the two; what lies in the past is not kept. */
bool queue_doubt_set(struct queue *queue, const unsigned char hash[QUEUE_HASH], int64_t until_ms,
    int64_t now_ms, struct err *err);
bool queue_doubt_clear(struct queue *queue, const unsigned char hash[QUEUE_HASH], struct err *err);
/* What an entry leaves behind when it ends without having been sent by us just now: a VERIFY's own
 * doubt, and a ghost's. */
bool queue_doubt_inherit(struct queue *queue, const struct queue_entry *entry,
    const unsigned char hash[QUEUE_HASH], int64_t now_ms, struct err *err);
unsigned queue_doubts_trim(struct queue *queue, int64_t now_ms, unsigned most);

/* ---- generations ---- */

#define QUEUE_DOUBT_PREFIX 0xff /* in TARGET, beside the generations */
/* Begins new generations of SEEN and TARGET where it is time, and deletes up to `most` rows of each
 * one's oldest. Returns how many. */
unsigned queue_generations_tidy(struct queue *queue, int64_t now_ms, bool by_age, unsigned most);

/* ---- claims ---- */

/* Entries of this lane may be claimed again. */
void queue_passes_forget(struct queue *queue, uint32_t repo, enum queue_lane lane);
/* Ends an entry that waits (never one that is claimed): row away, doubt kept, result told. */
bool queue_end(struct queue *queue, const struct queue_entry *entry,
    const unsigned char hash[QUEUE_HASH], enum update_outcome outcome, const char *code,
    const char *error, unsigned flags, struct err *err);
/* Moves an entry from LATER to its lane. */
bool queue_home_again(struct queue *queue, struct queue_entry *entry,
    const unsigned char hash[QUEUE_HASH], int64_t now_ms, unsigned flags, struct err *err);

#endif
