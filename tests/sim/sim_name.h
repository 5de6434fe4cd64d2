/*
 * sim_name: keys for base/map out of texts of any length (a map's key has at most 64 bytes): short
 * ones as they are, long ones as a hash. And the names that generated repositories have in both
 * simulators.
 */
#ifndef SIM_NAME_H
#define SIM_NAME_H

#include "base/map.h"

struct sim_name {
	unsigned char bytes[64];
	size_t length;
};

/* head (at most 24 bytes) stands before the text. */
struct sim_name sim_name_of(const void *head, size_t head_length, const void *text, size_t length);
struct sim_name sim_name_text(const char *text);
struct sim_name sim_name_lower(const char *text, const char *rest); /* "text/rest", lower case */

void *sim_name_get(const struct map *map, const struct sim_name *name);
void *sim_name_put(struct map *map, const struct sim_name *name, void *value);
void *sim_name_remove(struct map *map, const struct sim_name *name);

/* Generated repository i: project "GEN<i/100>", slug "repo-<i>", at least 32 bytes each. */
void sim_generated_name(unsigned i, char project[32], char slug[32]);

#endif
