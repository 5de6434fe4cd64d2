#include "store/generation.h"

#include <string.h>

enum { GENERATIONS = 4 };

void generation_pack(struct buf *out, const struct generation *generation)
{
	pack_u8(out, generation->current);
	pack_u8(out, generation->dropping);
	pack_u64(out, (uint64_t)generation->started_ms);
	pack_u64(out, generation->count);
}

void generation_unpack(struct unpack *u, struct generation *generation)
{
	generation->current = unpack_u8(u) % GENERATIONS;
	generation->dropping = unpack_u8(u) != 0;
	generation->started_ms = (int64_t)unpack_u64(u);
	generation->count = unpack_u64(u);
}

void generation_key(
    unsigned char key[GENERATION_KEY], uint8_t number, const unsigned char hash[GENERATION_HASH])
{
	key[0] = number;
	memcpy(key + 1, hash, GENERATION_HASH);
}

uint8_t generation_before(uint8_t number)
{
	return (uint8_t)((number + GENERATIONS - 1) % GENERATIONS);
}

bool generation_turn(struct generation *generation, const struct generation_rules *rules,
    int64_t now_ms, bool by_age)
{
	bool large = generation->count >= rules->remember / 2;
	/* One that began in what is the future now, by a clock that was ahead, is not old. */
	bool old = by_age && generation->count > 0 && now_ms > generation->started_ms &&
	           (uint64_t)(now_ms - generation->started_ms) >= rules->ttl_ms;

	if (generation->dropping || (!large && !old))
		return false;
	generation->current = (uint8_t)((generation->current + 1) % GENERATIONS);
	generation->count = 0;
	generation->started_ms = now_ms;
	generation->dropping = true; /* until a look finds nothing */
	return true;
}

static bool is_of(uint8_t number, const struct db_bytes *key)
{
	return key->length > 1 && *(const unsigned char *)key->data == number;
}

unsigned generation_drop(struct generation *generation, struct db *db,
    const struct generation_rules *rules, unsigned most, bool *changed)
{
	unsigned char oldest = generation_before(generation_before(generation->current));
	unsigned dropped = 0;
	struct db_bytes key, row;

	if (!generation->dropping || most == 0)
		return 0;
	struct db_cursor *cursor = db_cursor_open(db, generation->table);
	bool more = db_seek(cursor, &oldest, 1, &key, &row) && is_of(oldest, &key);
	while (more && dropped < most) {
		if (rules->keep != NULL && !rules->keep(&key, &row, rules->arg))
			break;
		if (!db_cursor_del(cursor, NULL))
			break;
		dropped++;
		more = db_next(cursor, &key, &row) && is_of(oldest, &key);
	}
	db_cursor_close(cursor);
	if (!more) {
		generation->dropping = false;
		*changed = true;
	}
	return dropped;
}
