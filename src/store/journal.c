#include "store/journal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/pack.h"
#include "store/journal_last.h"
#include "store/ring.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { ERROR_MAX = 300, CODE_MAX = 64, FULL_PERCENT = 90 };

struct journal {
	struct ring ring;
	struct buf row;
	struct journal_lasts lasts;
	struct figures figures;
	bool stale; /* a group was lost: what memory knows from it is read anew when it is asked */
};

/* ---- what memory knows of the rows ---- */

static bool learn_row(const struct journal_row *row, void *arg)
{
	struct journal *journal = arg;

	journal_lasts_set(&journal->lasts, row);
	if (row->outcome == UPDATE_DELIVERED)
		figures_add(&journal->figures, row->ended_ms, row->received_ms);
	return true;
}

static bool note_ended(const struct journal_row *row, void *arg)
{
	int64_t *ended_ms = arg;

	*ended_ms = row->ended_ms;
	return false;
}

/* Rows that went for the limit may have been of today as well. */
static void learn(struct journal *journal)
{
	uint64_t rows = db_count(journal->ring.db, DB_RECENT);
	int64_t oldest_ms = 0;

	if (rows >= journal->ring.limit)
		journal_since(journal, 0, 1, note_ended, &oldest_ms);
	figures_begin(&journal->figures, clock_wall_ms(), oldest_ms);
	journal_lasts_open(&journal->lasts, journal->ring.db);
	journal_since(journal, 0, UINT_MAX, learn_row, journal);
	journal->stale = false;
}

static void forget(struct journal *journal)
{
	journal_lasts_close(&journal->lasts);
}

static void on_lost(void *arg)
{
	struct journal *journal = arg;

	journal->stale = true;
}

static void refresh(struct journal *journal)
{
	if (!journal->stale)
		return;
	forget(journal);
	learn(journal);
}

const struct journal_last *journal_last(struct journal *journal, uint32_t repo)
{
	refresh(journal);
	return journal_lasts_get(&journal->lasts, repo);
}

const struct figures *journal_figures(struct journal *journal, int64_t now_ms)
{
	refresh(journal);
	figures_turn(&journal->figures, now_ms);
	return &journal->figures;
}

/* ---- rows ---- */

struct journal *journal_open(struct db *db, uint64_t limit, struct err *err)
{
	struct journal *journal = mem_zero(sizeof(*journal));

	if (!ring_open(&journal->ring, db, DB_RECENT, limit, err)) {
		free(journal);
		return NULL;
	}
	buf_init(&journal->row, 8 << 10);
	learn(journal);
	db_on_lost(db, on_lost, journal);
	return journal;
}

void journal_close(struct journal *journal)
{
	if (journal == NULL)
		return;
	db_forget(journal->ring.db, journal);
	forget(journal);
	buf_free(&journal->row);
	free(journal);
}

void journal_add(struct journal *journal, struct journal_row *row)
{
	struct buf *packed = &journal->row;

	row->number = 0;
	learn_row(row, journal);
	/* It is for people: what is left of a store that is nearly full is for the queue. */
	if (db_used_percent(journal->ring.db) >= FULL_PERCENT)
		return;
	buf_reset(packed);
	pack_u64(packed, (uint64_t)row->ended_ms);
	pack_u64(packed, (uint64_t)row->received_ms);
	pack_u32(packed, row->repo);
	pack_u32(packed, row->attempts);
	pack_u8(packed, (uint8_t)row->state);
	pack_u8(packed, (uint8_t)row->outcome);
	pack_cut(packed, row->commit, UPDATE_COMMIT);
	pack_cut(packed, row->key, UPDATE_KEY_MAX);
	pack_cut(packed, row->code, CODE_MAX);
	pack_cut(packed, row->error, ERROR_MAX);
	row->number = ring_add(&journal->ring, packed->data, packed->length, DB_LAZY, NULL);
	if (row->number != 0)
		journal_lasts_set(&journal->lasts, row);
}

struct visit {
	journal_fn *fn;
	void *arg;
};

static bool visit_row(uint64_t number, const struct db_bytes *bytes, void *arg)
{
	const struct visit *visit = arg;
	struct journal_row row = {.number = number};
	struct unpack u;

	unpack_init(&u, bytes->data, bytes->length);
	row.ended_ms = (int64_t)unpack_u64(&u);
	row.received_ms = (int64_t)unpack_u64(&u);
	row.repo = unpack_u32(&u);
	row.attempts = unpack_u32(&u);
	uint8_t state = unpack_u8(&u), outcome = unpack_u8(&u);
	row.commit = unpack_string(&u);
	row.key = unpack_string(&u);
	row.code = unpack_string(&u);
	row.error = unpack_string(&u);
	if (u.bad || state > UPDATE_CANCELLED || outcome > UPDATE_DROPPED)
		return true; /* the next one may be better */
	row.state = state;
	row.outcome = outcome;
	return visit->fn(&row, visit->arg);
}

void journal_latest(struct journal *journal, unsigned most, journal_fn *fn, void *arg)
{
	struct visit visit = {.fn = fn, .arg = arg};

	ring_latest(&journal->ring, most, visit_row, &visit);
}

void journal_since(
    struct journal *journal, uint64_t after, unsigned most, journal_fn *fn, void *arg)
{
	struct visit visit = {.fn = fn, .arg = arg};

	ring_since(&journal->ring, after, most, visit_row, &visit);
}

/* A repository's only row is noted elsewhere before it goes. */
static bool keep_last(const struct journal_row *row, void *arg)
{
	struct journal *journal = arg;

	return journal_lasts_keep(&journal->lasts, row);
}

unsigned journal_trim(struct journal *journal, unsigned most)
{
	struct visit visit = {.fn = keep_last, .arg = journal};

	refresh(journal);
	return ring_trim(&journal->ring, most, visit_row, &visit);
}
