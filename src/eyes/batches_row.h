/*
 * batches_row: all that is remembered of one commit: its batches with their counts, and what was
 * last reported. Pure.
 *
 * Several batches may belong to one commit, and a look at the newest hour shows only some of them;
 * their sum must not forget the others, or a later green batch would hide a red one. Therefore the
 * row, not the look, is what a state is made from.
 *
 * What always holds: ids differ within a row; at most BATCHES_ENTRIES entries. In a full row a
 * batch that is not green takes the place of a green one, and a green one is not taken in: what is
 * lost can only be green.
 */
#ifndef EYES_BATCHES_ROW_H
#define EYES_BATCHES_ROW_H

#include "base/buf.h"
#include "base/update.h"
#include <stddef.h>
#include <stdint.h>

#define BATCH_ID_MAX 100
#define BATCH_WORD_MAX 24
#define BATCH_COUNT_MAX 1000000
#define BATCH_HINT_MAX 300
#define BATCHES_ENTRIES 40

struct batch_counts {
	uint32_t passed, failed, unresolved, fresh /* "new" */, aborted, empty, total;
};

struct batch_entry {
	char id[BATCH_ID_MAX + 1];
	char word[BATCH_WORD_MAX +
	          1]; /* status as Eyes spells it, cut; "?" when the entry could not be read */
	struct batch_counts counts;
	uint32_t listed; /* number of the poll that listed it last; not kept */
};

struct batches_row {
	uint64_t reported;       /* digest of the state that was handled last, 0 = none */
	uint32_t generation;     /* how many were handled: makes ids of equal states differ */
	int64_t created_ms;      /* of the last one handled, server time */
	enum update_state state; /* of the last one handled */
	bool hint_tried;
	char hint[BATCH_HINT_MAX + 1]; /* "owner/repository/branch" or "" */
	char url[UPDATE_URL_MAX + 1];  /* "" until it is known */
	char url_id[BATCH_ID_MAX + 1]; /* the batch that url shows */
	unsigned count;
	struct batch_entry *entries; /* owned */
};

enum batches_change { BATCHES_SAME, BATCHES_CHANGED };

void batches_row_init(struct batches_row *row);
void batches_row_free(struct batches_row *row);
void batches_row_copy(struct batches_row *to, const struct batches_row *from);
/* Takes a listed batch in, or its new counts and word. */
enum batches_change batches_row_merge(struct batches_row *row, const struct batch_entry *entry);
void batches_row_remove(struct batches_row *row, unsigned index);
struct batch_entry *batches_row_find(const struct batches_row *row, const char *id);

/* Rows as bytes, at most EYES_MEMORY_MAX of them. False, with an empty row, when they are not of
 * this layout. */
void batches_row_pack(const struct batches_row *row, struct buf *out);
bool batches_row_unpack(struct batches_row *row, const void *data, size_t length);

#endif
