/*
 * batches_state: from counts and status words to the state of a commit. Pure.
 *
 * Of one batch:
 *   OPEN    total is greater than the sum of passed, failed, unresolved, new, aborted and empty, or
 * the word is Running or Pending RED     else, failed, unresolved or aborted is above 0, or the
 * word says so (Failed, Unresolved, Aborted) with counts that do not GREEN   else, the word is
 * known to mean success: Passed, Completed, or New with at least one test (a batch that was just
 * made may be called new as well) UNKNOWN else: never green Of a commit: INPROGRESS with an OPEN
 * batch; else FAILED with a RED one; else INPROGRESS with an UNKNOWN one, and its word is shown;
 * else SUCCESSFUL. Words are compared without case.
 *
 * Test results: passed and new count as successful; failed, unresolved and aborted as failed; empty
 * as skipped.
 */
#ifndef EYES_BATCHES_STATE_H
#define EYES_BATCHES_STATE_H

#include "eyes/batches_row.h"

enum batch_class { BATCH_OPEN, BATCH_RED, BATCH_GREEN, BATCH_UNKNOWN };
enum batch_class batch_class(const struct batch_entry *entry);
bool batch_counts_open(const struct batch_counts *counts); /* total is greater than the sum */

struct batches_state {
	enum update_state state;
	unsigned shown;      /* the entry whose page explains the state best */
	const char *unknown; /* a word of the row that is not known, "" */
	struct update_tests tests;
	uint64_t digest;                       /* of all that a commit shows, never 0 */
	char text[UPDATE_DESCRIPTION_MAX + 1]; /* "12 passed, 1 unresolved" */
};

/* False for a row without batches: there is nothing to say. */
bool batches_state_of(const struct batches_row *row, struct batches_state *out);

/*
 * Ids of items: "b.<sha>.<digest>.<generation>". The same state gets the same id again after a
 * crash before it was handled, and another one when it returns after a different state.
 */
#define BATCHES_ITEM_ID 80
void batches_item_id(
    char out[BATCHES_ITEM_ID], const char *sha, uint64_t digest, uint32_t generation);
bool batches_item_parse(const char *id, uint64_t *digest, uint32_t *generation);

#endif
