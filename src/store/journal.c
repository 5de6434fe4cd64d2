#include "store/journal.h"

#include "base/codec.h"
#include "base/mem.h"
#include "base/pack.h"
#include "store/ring.h"
#include <stdlib.h>
#include <string.h>

enum { ERROR_MAX = 300, CODE_MAX = 64, FULL_PERCENT = 90 };

struct journal {
	struct ring ring;
	struct buf row;
};

struct journal *journal_open(struct db *db, uint64_t limit, struct err *err)
{
	struct journal *journal = mem_zero(sizeof(*journal));

	buf_init(&journal->row, 8 << 10);
	if (ring_open(&journal->ring, db, DB_RECENT, limit, err))
		return journal;
	free(journal);
	return NULL;
}

void journal_close(struct journal *journal)
{
	if (journal == NULL)
		return;
	buf_free(&journal->row);
	free(journal);
}

static void pack_cut(struct buf *buf, const char *text, size_t limit)
{
	size_t length = strlen(text);

	if (length > limit)
		length = codec_utf8_cut(text, length, limit);
	pack_u32(buf, (uint32_t)length + 1);
	buf_append(buf, text, length);
	buf_append(buf, "", 1);
}

void journal_add(struct journal *journal, struct journal_row *row)
{
	struct buf *packed = &journal->row;

	row->number = 0;
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

unsigned journal_trim(struct journal *journal, unsigned most)
{
	return ring_trim(&journal->ring, most);
}
