#include "store/journal_last.h"

#include "base/mem.h"
#include "base/pack.h"
#include <stdlib.h>

enum { ROW_MAX = 64 };

static struct journal_last *entry_of(struct journal_lasts *lasts, uint32_t repo)
{
	struct journal_last *last = map_get(&lasts->repos, &repo, sizeof(repo));

	if (last != NULL)
		return last;
	last = mem_zero(sizeof(*last));
	map_put(&lasts->repos, &repo, sizeof(repo), last);
	return last;
}

static void read_row(
    struct journal_lasts *lasts, const struct db_bytes *key, const struct db_bytes *row)
{
	struct journal_last last = {0};
	struct unpack u;
	uint8_t state, outcome;

	if (key->length != sizeof(uint32_t))
		return;
	unpack_init(&u, row->data, row->length);
	last.number = unpack_u64(&u);
	last.ended_ms = (int64_t)unpack_u64(&u);
	state = unpack_u8(&u);
	outcome = unpack_u8(&u);
	if (u.bad || state > UPDATE_CANCELLED || outcome > UPDATE_DROPPED)
		return;
	last.state = state;
	last.outcome = outcome;
	*entry_of(lasts, unpack_key_u32(key->data)) = last;
}

void journal_lasts_open(struct journal_lasts *lasts, struct db *db)
{
	struct db_cursor *cursor = db_cursor_open(db, DB_LAST);
	struct db_bytes key, row;

	lasts->db = db;
	map_init(&lasts->repos);
	while (db_next(cursor, &key, &row))
		read_row(lasts, &key, &row);
	db_cursor_close(cursor);
}

void journal_lasts_close(struct journal_lasts *lasts)
{
	size_t position = 0;
	void *last;

	while ((last = map_next(&lasts->repos, &position)) != NULL)
		free(last);
	map_free(&lasts->repos);
}

void journal_lasts_set(struct journal_lasts *lasts, const struct journal_row *row)
{
	struct journal_last *last = entry_of(lasts, row->repo);

	if (row->number != 0 && row->number < last->number)
		return;
	if (row->number != 0)
		last->number = row->number;
	last->ended_ms = row->ended_ms;
	last->state = row->state;
	last->outcome = row->outcome;
}

const struct journal_last *journal_lasts_get(const struct journal_lasts *lasts, uint32_t repo)
{
	return map_get(&lasts->repos, &repo, sizeof(repo));
}

bool journal_lasts_keep(struct journal_lasts *lasts, const struct journal_row *row)
{
	const struct journal_last *last = journal_lasts_get(lasts, row->repo);
	unsigned char key[4];
	struct buf packed;
	bool kept;

	if (last == NULL || last->number != row->number)
		return true; /* a newer one is in the journal */
	buf_init(&packed, ROW_MAX);
	pack_u64(&packed, last->number);
	pack_u64(&packed, (uint64_t)last->ended_ms);
	pack_u8(&packed, (uint8_t)last->state);
	pack_u8(&packed, (uint8_t)last->outcome);
	pack_key_u32(key, row->repo);
	kept =
	    db_put(lasts->db, DB_LAST, key, sizeof(key), packed.data, packed.length, DB_LAZY, NULL);
	buf_free(&packed);
	return kept;
}
