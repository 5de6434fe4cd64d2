/*
 * journal_last: the newest update of each repository, in memory, for lists. The journal fills it.
 *
 * A repository that is quiet while others are busy loses its row to the journal's limit: before
 * that row goes, what is known of it is noted in the table LAST. So a repository without an entry
 * here never had an update.
 *
 * Table:  LAST  repository u32 -> row
 */
#ifndef STORE_JOURNAL_LAST_H
#define STORE_JOURNAL_LAST_H

#include "base/map.h"
#include "store/journal.h"

struct journal_lasts {
	struct db *db;
	struct map repos; /* id -> struct journal_last */
};

void journal_lasts_open(struct journal_lasts *lasts, struct db *db); /* reads LAST */
void journal_lasts_close(struct journal_lasts *lasts);
/* An older number changes nothing. Number 0: it was not written; takes the place of any. */
void journal_lasts_set(struct journal_lasts *lasts, const struct journal_row *row);
const struct journal_last *journal_lasts_get(const struct journal_lasts *lasts, uint32_t repo);
/* This row of the journal is about to go. False: the group was lost. */
bool journal_lasts_keep(struct journal_lasts *lasts, const struct journal_row *row);

#endif
