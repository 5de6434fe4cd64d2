/*
 * batches_works: the commits that have something to say. Between the listing (which tells of
 * batches) and the poller (which takes items) stands one work a commit: its row with all its
 * batches, the state made from it, and what is still missing.
 *
 *   listed ──▶ row of the commit, merged ──▶ state as last reported: the row is kept, nothing to
 * say ──▶ old news of the first pass: noted as reported ──▶ else a work: details (url, hint) ──▶
 * item, in every poll until handled
 *
 * What always holds: a row is written only when its state is as reported, or by works_handled; so
 * what was not handled is found again after a crash, with the same item id. At most WORKS_MAX
 * works; a commit over that is taken at a later listing.
 */
#ifndef EYES_BATCHES_WORKS_H
#define EYES_BATCHES_WORKS_H

#include "base/map.h"
#include "eyes/batches_parse.h"
#include "eyes/batches_state.h"
#include "eyes/source.h"

#define WORKS_MAX 1024

struct batches_work {
	char sha[UPDATE_COMMIT + 1];
	struct batches_row row;     /* change it through works_* only */
	struct batches_state state; /* of row; meaningless when it is empty */
	bool empty;                 /* every batch is gone */
	bool kept;                  /* the row is written as it is */
	uint64_t detailed;          /* digest of the state whose details are there */
	unsigned failures;          /* of asking for details */
	char item_id[BATCHES_ITEM_ID];
	struct eyes_source *source;
	struct eyes_call *call; /* for details; the source's */
};

struct batches_works {
	struct loop *loop;
	struct eyes_memory memory;
	struct map map;
	struct eyes_source *source;
	struct buf packed; /* scratch */
	char *read;        /* scratch of EYES_MEMORY_MAX bytes */
};

void works_init(struct batches_works *works, struct loop *loop, const struct eyes_memory *memory,
    struct eyes_source *source);
/* The calls of works are to be cancelled before. Memory goes at the end of the turn: an item may
 * still be in use. */
void works_free(struct batches_works *works);

enum works_taken { WORKS_TAKEN, WORKS_FULL };
/* old: final already when the source is used for the first time: noted, unless there is other news
 * of the commit. */
enum works_taken works_take(
    struct batches_works *works, const struct batch_listed *listed, bool old);

/* Whether an item needs a call for details first; entry `state.shown` is the batch to ask for. */
bool works_needs_detail(const struct batches_work *work);
/* hint: "" when there is none; tried: do not ask for a hint again. */
void works_set_detail(struct batches_work *work, const char *url, const char *hint, bool tried);
/* The shown batch does not exist any more. */
void works_drop_shown(struct batches_work *work);
void works_skip_hint(struct batches_work *work);

/* Forgets what has nothing to say any more. Not while a call of a work is under way. */
void works_clean(struct batches_works *works);
/* Items of all that is ready, into `items` (room for WORKS_MAX); strings live until the work is
 * forgotten. */
unsigned works_items(
    struct batches_works *works, const char *key, int64_t server_now_ms, struct eyes_item *items);
void works_handled(struct batches_works *works, const struct eyes_item *item);

#endif
