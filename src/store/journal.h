/*
 * journal: the last updates that ended, for people: RECENT, a ring of rows numbered upwards,
 * resumable by number. Kept for `limit` rows (10,000), trimmed in small batches.
 */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include "base/update.h"
#include "store/db.h"
#include "store/figures.h"

struct journal;
struct journal_row {
	uint64_t number;
	int64_t ended_ms, received_ms; /* wall */
	uint32_t repo;
	const char *commit, *key;
	enum update_state state;
	enum update_outcome outcome;
	uint32_t attempts;
	const char *code, *error;
};

struct journal *journal_open(struct db *db, uint64_t limit, struct err *err);
void journal_close(struct journal *journal);
struct journal_last { /* of one repository */
	uint64_t number;
	int64_t ended_ms; /* wall */
	enum update_state state;
	enum update_outcome outcome;
};
/* The newest update of a repository; NULL when there never was one. Borrowed for the turn. */
const struct journal_last *journal_last(struct journal *journal, uint32_t repo);
/* Today's deliveries; borrowed for the turn. After a restart they are counted from the rows, which
 * may begin after midnight: since_ms says so. */
const struct figures *journal_figures(struct journal *journal, int64_t now_ms);
/* Copies; lazy. Sets number, 0 when it was not written (a store 90 % full has no room for it). */
void journal_add(struct journal *journal, struct journal_row *row);
typedef bool journal_fn(const struct journal_row *row, void *arg);
/* Newest first, until fn returns false or `most` rows. */
void journal_latest(struct journal *journal, unsigned most, journal_fn *fn, void *arg);
/* Oldest first, those with a number above `after`. */
void journal_since(
    struct journal *journal, uint64_t after, unsigned most, journal_fn *fn, void *arg);
/* Deletes the oldest beyond the limit, at most `most`. Returns how many. */
unsigned journal_trim(struct journal *journal, unsigned most);

#endif
