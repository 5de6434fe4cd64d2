/*
 * queue: status updates on their way, on disk. Put once by id, newest wins per target, claim, done,
 * later, dead.
 *
 * A target is repository + commit + key (its hash, 16 bytes). An entry has a number, given once and
 * never again, that is also the id that people see. An entry is in one of these places:
 *
 *    put --> FINAL or RUNNING lane <--due-- LATER (a retry at a time)
 *               |  claim (in memory)          ^
 *               |--> queue_later -------------'
 *               `--> queue_done --> gone (delivered, superseded, expired ...)
 *                               `-> DEAD (kept to be looked at)
 *
 * Tables:
 *    QUEUE   repository u32 | lane u8 | number u64 -> entry  (lane 0 final, 1 running, 2 later)
 *    LATER   due ms u64 | repository u32 | number u64 -> ""
 *    TARGET  generation u8 | hash -> newest entry's number, its order, the last 8 ids
 *            0xff | hash          -> doubtful until
 *    SEEN    generation u8 | hash of id -> ""  (ids without a target, and a ninth of one)
 *    DEAD    number u64 -> entry
 *    META    "queue" -> last number, generations
 *
 * TARGET and SEEN forget by generations: rows are put into the current one and looked for in it and
 * the one before; a new one begins when this is as old as the TTL or holds half of what shall be
 * remembered, and the oldest is then deleted in small batches.
 *
 * What always holds:
 *  - At most one entry of a target waits; a newer one replaces it (the replaced one is reported as
 *    superseded). An entry older than the newest known of its target (by sequence, else created
 *    time, else arrival) is never queued: superseded at once.
 *  - At most one entry of a target is claimed. While it is, the target's waiting entry is passed
 *    over by queue_claim.
 *  - Claims live in memory: after a crash a claimed entry simply waits again, and an entry that is
 *    no longer its target's newest is superseded when it comes up. Nothing is repaired at start.
 *  - A target is "doubtful until" a time when a write to the server may still take effect late
 *    (timeout, cut, crash while it was under way). What is delivered before that time is followed
 *    by a VERIFY entry, due then: the dispatcher reads the status back and sends it again if it
 *    differs. Entries that already waited at start count as possibly under way for `ghost_ms`.
 *  - A target with something waiting is never forgotten. An id that comes again with the same
 *    target, or without one, is known for at least the TTL, unless more than half of `remember`
 *    came in that time.
 *  - Writes go to the open group of db: results may be told to others only after db_after_commit.
 *    What a lost group (see db) had put or ended is as before it; claims stay claimed, and ending
 *    one whose put was lost does nothing.
 *
 * queue_put, queue_put_ended, queue_retry, queue_retry_all and queue_drop are urgent writes, all
 * others lazy.
 */
#ifndef STORE_QUEUE_H
#define STORE_QUEUE_H

#include "base/update.h"
#include "store/db.h"

enum queue_lane { QUEUE_FINAL, QUEUE_RUNNING, QUEUE_LATER };
enum queue_kind { QUEUE_SET, QUEUE_VERIFY };

struct queue_order {
	bool has_sequence;
	int64_t sequence;
	int64_t created_ms; /* 0 when unknown */
};

struct queue_entry {
	uint64_t number;
	uint32_t repo;
	enum queue_lane lane;
	enum queue_kind kind;
	const char *id; /* the command's id at Eyes; "" when nobody is to be told */
	struct update update;
	struct queue_order order;
	int64_t received_ms;   /* wall */
	int64_t first_try_ms;  /* wall, of the first claim; 0 before */
	int64_t due_ms;        /* wall, in LATER; in DEAD when it ended */
	uint32_t attempts;     /* queue_later and a queue_done that was sent count one more */
	const char *last_code; /* of the last failure */
	const char *last_error;
	bool claimed;
};

/* Whom a result concerns; strings are borrowed for the call. number 0: it was never queued. */
struct queue_result {
	uint64_t number;
	uint32_t repo;
	const char *id;
	enum update_outcome outcome;
	const struct update *update;
	const char *code, *error; /* "" when it went well */
	int64_t received_ms;
	uint32_t attempts;
};
/* Called inside queue_put, queue_claim, queue_done, queue_expire and queue_drop, in the open group,
 * for every entry that ends: outbox and journal write it down there. Not called for VERIFY entries.
 */
typedef void queue_result_fn(const struct queue_result *result, void *arg);

struct queue_options {
	uint64_t ttl_ms;   /* EYES_QUEUE_TTL */
	uint64_t limit;    /* entries that may wait at once; beyond it queue_put answers FULL */
	uint64_t remember; /* ids and targets remembered at most (each) */
	uint64_t ghost_ms; /* a request's longest life after a crash */
	queue_result_fn *result; /* may be NULL */
	void *arg;
};

struct queue;
struct queue *queue_open(struct db *db, const struct queue_options *options, struct err *err);
void queue_close(struct queue *queue);

enum queue_put {
	QUEUE_PUT_NEW,
	QUEUE_PUT_KNOWN,
	QUEUE_PUT_OLDER,
	QUEUE_PUT_FULL,
	QUEUE_PUT_FAILED
};
/* id and update of `entry` are copied; repo, id, update, order, received_ms are read, the rest is
 * set. KNOWN: this id was put before. FULL: nothing was changed. FAILED: the group is lost. */
enum queue_put queue_put(struct queue *queue, struct queue_entry *entry, struct err *err);
/* Remembers an id that ends without being queued (rejected, ignored) and reports its result. update
 * may be NULL. Answers as queue_put: NEW, KNOWN, FULL or FAILED. */
enum queue_put queue_put_ended(struct queue *queue, const char *id, uint32_t repo,
    const struct update *update, enum update_outcome outcome, const char *code, const char *error,
    struct err *err);

/*
 * The next entry of a repository's lane: the newest, or with `oldest` the oldest, passing over
 * those whose target is claimed. True: it is claimed, and the copy in `out` is the caller's until
 * queue_done, queue_later or queue_release; its strings live as long as the claim.
 */
bool queue_claim(struct queue *queue, uint32_t repo, enum queue_lane lane, bool oldest,
    struct queue_entry **out);
/* Whether the entry is on disk. One that is not may not be sent: after a crash an older one of its
 * target, which it replaced, would wait again and be sent after it. */
bool queue_is_committed(const struct queue *queue, const struct queue_entry *entry);
/* Ends a claimed entry; it is the caller's no more, even when this fails (then it waits again).
 * doubtful_ms: wall time until which this write may still take effect (0 = the outcome is certain).
 * When the target is doubtful and the outcome is DELIVERED, a VERIFY entry is left behind. dead:
 * keep it in DEAD to be looked at. */
bool queue_done(struct queue *queue, struct queue_entry *entry, enum update_outcome outcome,
    const char *code, const char *error, int64_t doubtful_ms, bool dead, struct err *err);
/* Gives the claim up: tried again at due_ms (wall). A newer entry of the target replaces it at
 * once. The entry is the caller's no more, even when this fails (then it waits unchanged). */
bool queue_later(struct queue *queue, struct queue_entry *entry, int64_t due_ms, const char *code,
    const char *error, int64_t doubtful_ms, struct err *err);
/* Gives the claim up and leaves the entry as it was: shutdown, throttled. */
void queue_release(struct queue *queue, struct queue_entry *entry);

/* Moves entries that are due back to their lanes, at most `most`; calls fn once per repository
 * touched. Returns when the next is due (wall ms, 0 = none). */
typedef void queue_repo_fn(uint32_t repo, void *arg);
int64_t queue_due(struct queue *queue, int64_t now_ms, unsigned most, queue_repo_fn *fn, void *arg);
/* When the next entry of LATER is due (wall ms, 0 = none). One seek. */
int64_t queue_next_due(struct queue *queue);
/* Something is in the lane, claimed or not. */
bool queue_has(struct queue *queue, uint32_t repo, enum queue_lane lane);
/* Visits each repository that has anything in FINAL or RUNNING: at start. One seek a repository. */
void queue_each_repo(struct queue *queue, queue_repo_fn *fn, void *arg);

/* Ends entries older than the TTL as expired: looks at `most` entries from where it stopped last.
 * Returns how many ended. */
unsigned queue_expire(struct queue *queue, int64_t now_ms, unsigned most);
/* Keeps SEEN, TARGET and DEAD (TTL, 10,000 rows) within their bounds: at most `most` deletions in
 * each. Returns how many there were. */
unsigned queue_trim(struct queue *queue, int64_t now_ms, unsigned most);

/* For people. `dead` walks DEAD, else the queue, in no promised order; stops when fn returns false.
 * The entry is borrowed for the call, which must not call the queue. */
typedef bool queue_entry_fn(const struct queue_entry *entry, bool dead, void *arg);
void queue_walk(struct queue *queue, bool dead, queue_entry_fn *fn, void *arg);
/* Makes one due now (from LATER), or takes it out of DEAD into its lane with a fresh TTL; its
 * result is then reported again. Nothing to do for one that is in its lane or being sent. False,
 * code "not_found" when it is not there, "superseded" when a newer one of its target came since. */
bool queue_retry(struct queue *queue, uint64_t number, uint32_t *repo, struct err *err);
/* All of LATER and, with `dead`, all of DEAD that is not superseded: up to 5,000 a call, so that
 * the loop is not held up. Returns how many; 0 with err when it failed. */
uint64_t queue_retry_all(struct queue *queue, bool dead, struct err *err);
/* Ends a waiting entry as DROPPED, or forgets a dead one. Refused (code "in_flight") while it is
 * being sent. */
bool queue_drop(struct queue *queue, uint64_t number, struct err *err);

struct queue_counts {
	uint64_t waiting; /* FINAL, RUNNING and LATER together */
	uint64_t later, dead, claimed;
};
void queue_count(struct queue *queue, struct queue_counts *out);
/* After QUEUE_PUT_FULL: a fifth of the room is free again, so that taking in is worth while. */
bool queue_has_room(struct queue *queue);
/* Waiting for one repository, counted up to `most`. */
uint64_t queue_count_repo(struct queue *queue, uint32_t repo, uint64_t most);

#endif
