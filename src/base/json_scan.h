/*
 * json_scan: a strict reader that walks over the bytes of a JSON document and builds no tree, for
 * what comes by the thousand. Pure; it allocates nothing.
 *
 *	json_scan_init(&scan, data, length, limit);
 *	if (json_scan_open(&scan, '{'))
 *		while (json_scan_member(&scan, &name))
 *			json_scan_value(&scan, &value); (or open what stands there, or skip it)
 *	good = json_scan_end(&scan, &err);
 *
 * What always holds: it takes the documents that json_parse takes (an array or object, depth at
 * most 32, valid UTF-8, integers of 64 bits, no U+0000 in a name), with any number of arrays and
 * objects, for they cost nothing here; once something is wrong every function returns false, and
 * json_scan_end says where and what (code "json"). A document is good only when json_scan_end says
 * so: what was read before may be the beginning of a broken one.
 * Texts point into the bytes.
 */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

struct json_scan {
	const char *begin, *at, *end;
	const char *fault; /* literal, NULL while all is well */
	const char *fault_at;
	unsigned depth;
	bool fresh; /* nothing was read yet of the innermost array or object */
};

enum json_kind {
	JSON_KIND_NONE, /* absent */
	JSON_KIND_OBJECT,
	JSON_KIND_ARRAY,
	JSON_KIND_STRING,
	JSON_KIND_INTEGER,
	JSON_KIND_REAL,
	JSON_KIND_BOOLEAN,
	JSON_KIND_NULL
};

struct json_text {
	const char *data; /* between the quotes, as written */
	size_t length;
	bool escaped;
	bool has_nul; /* a \u0000 */
};

struct json_value {
	enum json_kind kind;
	struct json_text text; /* of a string */
	int64_t integer;       /* of an integer; 1 for true */
};

void json_scan_init(struct json_scan *scan, const char *data, size_t length, size_t limit);
/* What the next value seems to be from its first byte; a number is JSON_KIND_INTEGER. */
enum json_kind json_scan_kind(struct json_scan *scan);
/* bracket: '{' or '['. */
bool json_scan_open(struct json_scan *scan, char bracket);
/* Stands before the next value, which the caller has to read; false at the closing bracket. */
bool json_scan_member(struct json_scan *scan, struct json_text *name);
bool json_scan_element(struct json_scan *scan);
/* Reads any value; of an object or array only the kind is told. */
bool json_scan_value(struct json_scan *scan, struct json_value *value);
bool json_scan_skip(struct json_scan *scan);
/* Whether the whole document, with nothing behind it, was right. */
bool json_scan_end(struct json_scan *scan, struct err *err) __attribute__((warn_unused_result));

/* Writes the decoded bytes, at most text->length, and returns how many. No NUL is added. */
size_t json_text_decode(const struct json_text *text, char *out);
bool json_text_is(const struct json_text *text, const char *word, size_t length);

/* The place of `data + at` as people count: line and column from 1. */
void json_scan_place(const char *data, size_t at, int *line, int *column);

#endif
