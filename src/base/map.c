#include "base/map.h"

#include "base/crypto.h"
#include "base/err.h"
#include "base/mem.h"
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 16 /* a power of two, as every capacity */
#define SLOT_NONE SIZE_MAX

struct map_slot {
	void *value; /* NULL: the slot is free */
	uint32_t hash;
	uint8_t length;
	unsigned char key[MAP_KEY_MAX];
};

static uint64_t hash_key[2]; /* random per process, made by the first map */

struct sip {
	uint64_t a, b, c, d;
};

static inline uint64_t rotate(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

static inline void sip_round(struct sip *v)
{
	v->a += v->b;
	v->b = rotate(v->b, 13) ^ v->a;
	v->a = rotate(v->a, 32);
	v->c += v->d;
	v->d = rotate(v->d, 16) ^ v->c;
	v->a += v->d;
	v->d = rotate(v->d, 21) ^ v->a;
	v->c += v->b;
	v->b = rotate(v->b, 17) ^ v->c;
	v->c = rotate(v->c, 32);
}

static inline void sip_word(struct sip *v, uint64_t word)
{
	v->d ^= word;
	sip_round(v);
	v->a ^= word;
}

/* SipHash-1-3 (Aumasson, Bernstein): one round a word, three to finish. */
static uint32_t hash(const void *key, size_t length)
{
	struct sip v = {
	    .a = hash_key[0] ^ UINT64_C(0x736f6d6570736575),
	    .b = hash_key[1] ^ UINT64_C(0x646f72616e646f6d),
	    .c = hash_key[0] ^ UINT64_C(0x6c7967656e657261),
	    .d = hash_key[1] ^ UINT64_C(0x7465646279746573),
	};
	const unsigned char *at = key;
	size_t left = length;
	uint64_t word;

	for (; left >= 8; at += 8, left -= 8) {
		memcpy(&word, at, 8);
		sip_word(&v, le64toh(word));
	}
	word = 0;
	if (left > 0)
		memcpy(&word, at, left);
	sip_word(&v, le64toh(word) | (uint64_t)length << 56);
	v.c ^= 0xff;
	sip_round(&v);
	sip_round(&v);
	sip_round(&v);
	word = v.a ^ v.b ^ v.c ^ v.d;
	return (uint32_t)(word ^ word >> 32);
}

void map_init(struct map *map)
{
	if (hash_key[0] == 0)
		crypto_random(hash_key, sizeof(hash_key));
	*map = (struct map){0};
}

void map_free(struct map *map)
{
	free(map->slots);
	*map = (struct map){0};
}

static bool slot_is(const struct map_slot *slot, uint32_t key_hash, const void *key, size_t length)
{
	return slot->hash == key_hash && slot->length == length &&
	       (length == 0 || memcmp(slot->key, key, length) == 0);
}

/* The slot of the key, or SLOT_NONE. A free slot ends the search: removal leaves no gaps. */
static size_t map_find(const struct map *map, const void *key, size_t length)
{
	if (map->count == 0 || length > MAP_KEY_MAX)
		return SLOT_NONE;
	uint32_t key_hash = hash(key, length);
	size_t mask = map->capacity - 1;
	for (size_t i = key_hash & mask; map->slots[i].value != NULL; i = (i + 1) & mask)
		if (slot_is(&map->slots[i], key_hash, key, length))
			return i;
	return SLOT_NONE;
}

static struct map_slot *map_free_slot(struct map *map, uint32_t key_hash)
{
	size_t mask = map->capacity - 1;
	size_t i = key_hash & mask;

	while (map->slots[i].value != NULL)
		i = (i + 1) & mask;
	return &map->slots[i];
}

static void map_resize(struct map *map, size_t capacity)
{
	struct map old = *map;

	map->slots = mem_array(capacity, sizeof(struct map_slot));
	map->capacity = capacity;
	for (size_t i = 0; i < old.capacity; i++)
		if (old.slots[i].value != NULL)
			*map_free_slot(map, old.slots[i].hash) = old.slots[i];
	free(old.slots);
}

void *map_get(const struct map *map, const void *key, size_t length)
{
	size_t i = map_find(map, key, length);

	return i == SLOT_NONE ? NULL : map->slots[i].value;
}

void *map_put(struct map *map, const void *key, size_t length, void *value)
{
	if (length > MAP_KEY_MAX || value == NULL)
		fatal("a map key of %zu bytes, or no value for it", length);
	size_t i = map_find(map, key, length);
	if (i != SLOT_NONE) {
		void *old = map->slots[i].value;
		map->slots[i].value = value;
		return old;
	}
	if ((map->count + 1) * 4 > map->capacity * 3)
		map_resize(map, map->capacity == 0 ? CAPACITY_MIN : map->capacity * 2);
	uint32_t key_hash = hash(key, length);
	struct map_slot *slot = map_free_slot(map, key_hash);
	slot->value = value;
	slot->hash = key_hash;
	slot->length = (uint8_t)length;
	if (length > 0)
		memcpy(slot->key, key, length);
	map->count++;
	return NULL;
}

/* Moves back whatever follows and would no longer be found over the gap. */
static void map_close_gap(struct map *map, size_t gap)
{
	size_t mask = map->capacity - 1;

	for (size_t i = (gap + 1) & mask; map->slots[i].value != NULL; i = (i + 1) & mask) {
		size_t home = map->slots[i].hash & mask;
		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		map->slots[gap] = map->slots[i];
		gap = i;
	}
	map->slots[gap].value = NULL;
}

void *map_remove(struct map *map, const void *key, size_t length)
{
	size_t i = map_find(map, key, length);

	if (i == SLOT_NONE)
		return NULL;
	void *value = map->slots[i].value;
	map_close_gap(map, i);
	map->count--;
	if (map->capacity > CAPACITY_MIN && map->count * 8 < map->capacity)
		map_resize(map, map->capacity / 2);
	return value;
}

void *map_next(const struct map *map, size_t *position)
{
	while (*position < map->capacity) {
		void *value = map->slots[(*position)++].value;
		if (value != NULL)
			return value;
	}
	return NULL;
}
