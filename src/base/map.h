/*
 * map: a hash table from bytes (at most MAP_KEY_MAX) to a pointer that is not NULL. Open
 * addressing, grows and shrinks, never fails. Keys are copied. A longer key is never found; to put
 * one ends the process. The hash is keyed at random per process, so that outside bytes cannot
 * choose collisions.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAP_KEY_MAX 64

struct map_slot;
struct map {
	struct map_slot *slots;
	size_t count, capacity;
};

void map_init(struct map *map);
void map_free(struct map *map); /* does not touch the values */
void *map_get(const struct map *map, const void *key, size_t length);
void *map_put(
    struct map *map, const void *key, size_t length, void *value); /* the old value or NULL */
void *map_remove(struct map *map, const void *key, size_t length); /* the value or NULL */
/* Visits every value; *position starts at 0. The map must not change meanwhile. NULL at the end. */
void *map_next(const struct map *map, size_t *position);

#endif
