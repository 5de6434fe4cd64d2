/*
 * What came before: in memory a set of hashes for each of two generations (generation.h), on disk
 * the same hashes, many to a row and each row behind the last one of its generation. So an event
 * costs no page of its own, as a row under its hash would. The last row is written with each
 * commit until it is full.
 *
 * The sets are read when the first event asks, and after a lost group anew: they are as the disk
 * is, with what the open group has put.
 */
#include "base/crypto.h"
#include "base/mem.h"
#include "store/events_internal.h"
#include <stdlib.h>
#include <string.h>

enum {
	KEY = 1 + 8, /* generation u8 | number u64, big-endian: how many hashes were before it */
	SLOTS = 64,  /* of the first table of a set */
	KEY_READ_MAX = 32 /* no key of this table is longer */
};

/* ---- a set: open addressing, at most two thirds full ---- */

/* SHA-256 is uniform, but its input may be chosen: where it stands is our own secret. */
static size_t slot_of(const struct events_set *set, uint64_t salt, uint64_t hash)
{
	return (size_t)((hash * salt) >> 32) & (set->capacity - 1);
}

static bool set_has(const struct events_set *set, uint64_t salt, uint64_t hash)
{
	if (set->count == 0)
		return false;
	size_t at = slot_of(set, salt, hash);
	while (set->slots[at] != 0 && set->slots[at] != hash)
		at = (at + 1) & (set->capacity - 1);
	return set->slots[at] == hash;
}

static void set_place(struct events_set *set, uint64_t salt, uint64_t hash)
{
	size_t at = slot_of(set, salt, hash);

	while (set->slots[at] != 0 && set->slots[at] != hash)
		at = (at + 1) & (set->capacity - 1);
	set->count += set->slots[at] == 0;
	set->slots[at] = hash;
}

static void set_add(struct events_set *set, uint64_t salt, uint64_t hash)
{
	if ((set->count + 1) * 3 > set->capacity * 2) {
		struct events_set larger = {
		    .capacity = set->capacity > 0 ? set->capacity * 2 : SLOTS};
		larger.slots = mem_zero(larger.capacity * sizeof(*larger.slots));
		for (size_t i = 0; i < set->capacity; i++)
			if (set->slots[i] != 0)
				set_place(&larger, salt, set->slots[i]);
		free(set->slots);
		*set = larger;
	}
	set_place(set, salt, hash);
}

static uint64_t value_of(const unsigned char hash[EVENTS_HASH])
{
	uint64_t value = unpack_key_u64(hash);

	return value != 0 ? value : 1; /* 0 is an empty slot */
}

/* ---- rows ---- */

static void row_key(unsigned char key[KEY], const struct events *events, uint64_t number)
{
	key[0] = events->memory.seen.current;
	pack_key_u64(key + 1, number);
}

bool events_seen_write(struct events *events, struct err *err)
{
	struct events_seen *seen = &events->seen;
	unsigned char key[KEY];

	if (!seen->row_changed)
		return true;
	row_key(key, events, seen->row_number);
	if (!db_put(events->db, DB_EVENT_SEEN, key, sizeof(key), seen->row,
	        (size_t)seen->row_count * EVENTS_HASH, DB_LAZY, err))
		return false;
	seen->row_changed = false;
	return true;
}

static void read_row(struct events_seen *seen, struct events_set *set, const struct db_bytes *key,
    const struct db_bytes *row)
{
	const unsigned char *hashes = row->data;
	size_t count = row->length / EVENTS_HASH;

	for (size_t i = 0; i < count; i++)
		set_add(set, seen->salt, value_of(hashes + i * EVENTS_HASH));
	seen->row_count = 0; /* of the last one read */
	if (count >= EVENTS_SEEN_ROW)
		return;
	seen->row_number = unpack_key_u64((const unsigned char *)key->data + 1);
	seen->row_count = (unsigned)count;
	memcpy(seen->row, hashes, count * EVENTS_HASH);
}

/* Rows under other keys are those of an earlier format: they go with their generation. */
static bool read_generation(struct events *events, uint8_t generation, struct events_set *set)
{
	unsigned char from[KEY_READ_MAX + 1] = {generation};
	struct db_bytes key = {.length = 1}, row;
	int is;

	while ((is = db_find_at(events->db, DB_EVENT_SEEN, from, key.length, &key, &row)) == 1 &&
	       key.length > 0 && key.length <= KEY_READ_MAX &&
	       *(const unsigned char *)key.data == generation) {
		if (key.length == KEY)
			read_row(&events->seen, set, &key, &row);
		memcpy(from, key.data, key.length);
		from[key.length++] = 0; /* the first one behind it */
	}
	return is >= 0;
}

static bool load(struct events *events)
{
	struct events_seen *seen = &events->seen;
	uint8_t current = events->memory.seen.current;

	if (seen->loaded)
		return true;
	if (seen->salt == 0) {
		crypto_random(&seen->salt, sizeof(seen->salt));
		seen->salt |= 1;
	}
	seen->loaded = read_generation(events, generation_before(current), &seen->before);
	seen->row_count = 0;
	seen->loaded = seen->loaded && read_generation(events, current, &seen->current);
	if (!seen->loaded)
		events_seen_forget(events);
	return seen->loaded;
}

void events_seen_forget(struct events *events)
{
	struct events_seen *seen = &events->seen;

	free(seen->current.slots);
	free(seen->before.slots);
	*seen = (struct events_seen){.salt = seen->salt};
}

/* ---- asking and adding ---- */

int events_is_seen(struct events *events, const unsigned char hash[EVENTS_HASH])
{
	const struct events_seen *seen = &events->seen;

	if (!load(events))
		return -1;
	return set_has(&seen->current, seen->salt, value_of(hash)) ||
	       set_has(&seen->before, seen->salt, value_of(hash));
}

bool events_see(struct events *events, const unsigned char hash[EVENTS_HASH], struct err *err)
{
	struct events_seen *seen = &events->seen;

	if (seen->row_count == 0)
		seen->row_number = events->memory.seen.count;
	set_add(&seen->current, seen->salt, value_of(hash));
	memcpy(seen->row + (size_t)seen->row_count * EVENTS_HASH, hash, EVENTS_HASH);
	seen->row_count++;
	seen->row_changed = true;
	events->memory.seen.count++;
	if (seen->row_count < EVENTS_SEEN_ROW)
		return true;
	if (!events_seen_write(events, err))
		return false;
	seen->row_count = 0;
	return true;
}

unsigned events_seen_tidy(struct events *events, int64_t now_ms, bool by_age, unsigned most)
{
	struct generation_rules rules = {
	    .ttl_ms = events->options.ttl_ms,
	    .remember = events->options.remember,
	};
	struct events_seen *seen = &events->seen;

	if (!events_seen_write(events, NULL)) /* into the generation that it belongs to */
		return 0;
	if (generation_turn(&events->memory.seen, &rules, now_ms, by_age)) {
		events->memory_changed = true;
		free(seen->before.slots);
		seen->before = seen->current;
		seen->current = (struct events_set){0};
		seen->row_count = 0;
	}
	return generation_drop(
	    &events->memory.seen, events->db, &rules, most, &events->memory_changed);
}
