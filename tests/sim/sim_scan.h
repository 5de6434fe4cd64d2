/*
 * sim_scan: a strict JSON reader that walks over the bytes and builds no tree, for the two bodies
 * that a benchmark sends by the ten thousand: build statuses and acknowledgements.
 *
 * Every function returns false once something is wrong, and `error` then says what; nothing after
 * it succeeds. Texts point into the bytes. The bytes must be valid UTF-8 (sim_scan_init looks at
 * it).
 */
#ifndef SIM_SCAN_H
#define SIM_SCAN_H

#include "base/buf.h"

struct sim_scan {
	const char *at, *end;
	const char *error; /* literal */
};

struct sim_text {
	const char *data; /* between the quotes, as written; NULL when absent */
	size_t length;
	size_t units; /* UTF-16 units of the decoded text: what a Java server counts */
	bool escaped;
};

bool sim_scan_init(struct sim_scan *scan, const char *data, size_t length);
bool sim_scan_object(struct sim_scan *scan); /* '{' */
/* The next member's name, standing before its value; false at '}' (no error then). *first starts as
 * true. */
bool sim_scan_member(struct sim_scan *scan, bool *first, struct sim_text *name);
bool sim_scan_array(struct sim_scan *scan); /* '[' */
bool sim_scan_element(struct sim_scan *scan, bool *first);
bool sim_scan_string(struct sim_scan *scan, struct sim_text *text);
bool sim_scan_integer(struct sim_scan *scan, int64_t *value);
bool sim_scan_null(
    struct sim_scan *scan); /* true and consumed when a null stands here; no error otherwise */
bool sim_scan_skip(struct sim_scan *scan); /* any value */
bool sim_scan_end(struct sim_scan *scan);  /* nothing but white space is left */

bool sim_text_is(
    const struct sim_text *text, const char *word); /* for texts without escapes in them */
bool sim_text_decode(const struct sim_text *text, struct buf *out);

#endif
