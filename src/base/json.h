/*
 * json: helpers over jansson that say which field is wrong:
 * "commands[3].commit: expected a string of at most 40 bytes".
 *
 * A `struct json_at` is a place in a document: value and path. Getters return false and fill err
 * (code "json", field set to the path) when the field is missing or of another type, too long or
 * out of range; json_opt_* accept absence and null, and leave *out as it was then. Strings are
 * borrowed from the document, valid UTF-8, without NUL.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include <jansson.h>

struct json_at {
	const json_t *value;
	char path[96];
};

/* Parses at most `limit` bytes of bounded depth, with at most 65536 objects and arrays. What is
 * legal JSON but odd (U+0000 in a text, equal keys: the last counts) is left to the getters, so
 * that one odd value does not spoil the whole document. The caller owns the result (json_decref).
 */
json_t *json_parse(const char *data, size_t length, size_t limit, struct err *err);

/* From now on jansson overwrites what it frees: documents hold tokens. Once, before any document.
 */
void json_cleanse_freed(void);

struct json_at json_root(const json_t *value, const char *name); /* name may be "" */
struct json_at json_item(const struct json_at *array, size_t index);

bool json_get_string(const struct json_at *object, const char *name, size_t limit, const char **out,
    struct err *err);
bool json_opt_string(const struct json_at *object, const char *name, size_t limit, const char **out,
    struct err *err);
bool json_get_int(const struct json_at *object, const char *name, int64_t low, int64_t high,
    int64_t *out, struct err *err);
bool json_opt_int(const struct json_at *object, const char *name, int64_t low, int64_t high,
    bool *present, int64_t *out, struct err *err);
bool json_opt_bool(const struct json_at *object, const char *name, bool *out,
    struct err *err); /* out keeps its default */
bool json_get_array(
    const struct json_at *object, const char *name, struct json_at *out, struct err *err);
bool json_opt_object(const struct json_at *object, const char *name, bool *present,
    struct json_at *out, struct err *err);

#endif
