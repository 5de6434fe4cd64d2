/*
 * nearest: "did you mean ...?"
 */
#ifndef APP_NEAREST_H
#define APP_NEAREST_H

#include <stddef.h>

/*
 * Edits that turn a into b: a letter more, less or another, two neighbours exchanged; case does not
 * count. SIZE_MAX for what is longer than 64 bytes.
 */
size_t nearest_distance(const char *a, const char *b);

struct nearest {
	const char *word; /* what was written */
	const char *best; /* NULL while nothing is near enough */
	size_t distance;
};
/* Looks at one candidate; one edit is forgiven for every three letters, and one in any case. */
void nearest_try(struct nearest *nearest, const char *candidate);

#endif
