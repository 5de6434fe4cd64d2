#include "base/json.h"
#include "base/crypto.h"
#include "base/json_scan.h"
#include <malloc.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CODE "json"
/* An empty object takes two bytes of text and more than two hundred of memory. */
enum { DEPTH_MAX = 32, CONTAINERS_MAX = 65536 };

static bool refuse_shape(struct err *err, const char *data, size_t at, const char *why)
{
	int line, column;

	json_scan_place(data, at, &line, &column);
	return err_set(err, CODE, "line %d, column %d: %s", line, column, why);
}

/* Depth, and objects and arrays together. Only brackets outside strings count; whether they match
 * is for the parser. */
static bool shape_bounded(const char *data, size_t length, struct err *err)
{
	size_t depth = 0, containers = 0;
	bool text = false;

	for (size_t i = 0; i < length; i++) {
		char c = data[i];
		if (text) {
			text = c != '"';
			i += c == '\\' ? 1 : 0;
		} else if (c == '"') {
			text = true;
		} else if (c == '{' || c == '[') {
			depth++;
			containers++;
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
		if (depth > DEPTH_MAX)
			return refuse_shape(err, data, i, "nested deeper than 32 levels");
		if (containers > CONTAINERS_MAX)
			return refuse_shape(err, data, i, "more than 65536 objects and arrays");
	}
	return true;
}

json_t *json_parse(const char *data, size_t length, size_t limit, struct err *err)
{
	json_error_t error;

	if (length > limit) {
		err_set(err, CODE, "longer than %zu bytes", limit);
		return NULL;
	}
	if (!shape_bounded(data, length, err))
		return NULL;
	json_t *document = json_loadb(length > 0 ? data : "", length, JSON_ALLOW_NUL, &error);
	if (document == NULL) {
		/* jansson adds "near '...'": a piece of the document, which may be a secret. */
		const char *near = strstr(error.text, " near '");
		int words = near != NULL ? (int)(near - error.text) : (int)strlen(error.text);
		err_set(err, CODE, "line %d, column %d: %.*s", error.line > 0 ? error.line : 1,
		    error.column > 0 ? error.column : 1, words, error.text);
	}
	return document;
}

struct json_at json_root(const json_t *value, const char *name)
{
	struct json_at at = {.value = value};

	snprintf(at.path, sizeof(at.path), "%s", name);
	return at;
}

struct json_at json_item(const struct json_at *array, size_t index)
{
	struct json_at at = {.value = json_array_get(array->value, index)};

	snprintf(at.path, sizeof(at.path), "%.70s[%zu]", array->path, index);
	return at;
}

/* A member, or with `name` NULL the parent itself. Its path is made only for who asks. */
struct place {
	const struct json_at *parent;
	const char *name;
	const json_t *value;
};

static void path_of(const struct place *at, char *out, size_t size)
{
	const char *parent = at->parent->path;

	if (at->name == NULL)
		snprintf(out, size, "%s", parent);
	else
		snprintf(out, size, "%.63s%s%.31s", parent, parent[0] != '\0' ? "." : "", at->name);
}

static bool __attribute__((format(printf, 3, 4)))
refuse(struct err *err, const struct place *at, const char *format, ...)
{
	char expected[160], path[sizeof(at->parent->path)];
	va_list arguments;

	if (err == NULL)
		return false;
	va_start(arguments, format);
	vsnprintf(expected, sizeof(expected), format, arguments);
	va_end(arguments);
	path_of(at, path, sizeof(path));
	err_set(err, CODE, "%s%s expected %s", path[0] != '\0' ? path : "the document",
	    at->value == NULL ? " is missing:" : ":", expected);
	err_field(err, "%s", path);
	return false;
}

/* The member, with a NULL value when there is none; false when `object` is no object. */
static bool find(
    const struct json_at *object, const char *name, struct place *member, struct err *err)
{
	*member = (struct place){.parent = object, .value = object->value};
	if (!json_is_object(object->value))
		return refuse(err, member, "an object");
	member->name = name;
	member->value = json_object_get(object->value, name);
	return true;
}

/* out may be the parent. */
static void hand_out(const struct place *at, struct json_at *out)
{
	struct json_at made = {.value = at->value};

	path_of(at, made.path, sizeof(made.path));
	*out = made;
}

static bool absent(const struct place *at)
{
	return at->value == NULL || json_is_null(at->value);
}

static bool take_string(const struct place *at, size_t limit, const char **out, struct err *err)
{
	size_t length = json_string_length(at->value);

	if (!json_is_string(at->value) || length > limit)
		return refuse(err, at, "a string of at most %zu bytes", limit);
	if (strlen(json_string_value(at->value)) != length)
		return refuse(err, at, "a string without U+0000");
	*out = json_string_value(at->value);
	return true;
}

bool json_get_string(
    const struct json_at *object, const char *name, size_t limit, const char **out, struct err *err)
{
	struct place at;

	return find(object, name, &at, err) && take_string(&at, limit, out, err);
}

bool json_opt_string(
    const struct json_at *object, const char *name, size_t limit, const char **out, struct err *err)
{
	struct place at;

	if (!find(object, name, &at, err))
		return false;
	return absent(&at) || take_string(&at, limit, out, err);
}

static bool take_int(
    const struct place *at, int64_t low, int64_t high, int64_t *out, struct err *err)
{
	json_int_t value = json_integer_value(at->value);

	if (!json_is_integer(at->value) || value < low || value > high)
		return refuse(err, at, "an integer from %" PRId64 " to %" PRId64, low, high);
	*out = value;
	return true;
}

bool json_get_int(const struct json_at *object, const char *name, int64_t low, int64_t high,
    int64_t *out, struct err *err)
{
	struct place at;

	return find(object, name, &at, err) && take_int(&at, low, high, out, err);
}

bool json_opt_int(const struct json_at *object, const char *name, int64_t low, int64_t high,
    bool *present, int64_t *out, struct err *err)
{
	struct place at;

	if (!find(object, name, &at, err))
		return false;
	*present = !absent(&at);
	return !*present || take_int(&at, low, high, out, err);
}

bool json_opt_bool(const struct json_at *object, const char *name, bool *out, struct err *err)
{
	struct place at;

	if (!find(object, name, &at, err))
		return false;
	if (absent(&at))
		return true;
	if (!json_is_boolean(at.value))
		return refuse(err, &at, "true or false");
	*out = json_is_true(at.value);
	return true;
}

bool json_get_array(
    const struct json_at *object, const char *name, struct json_at *out, struct err *err)
{
	struct place at;

	if (!find(object, name, &at, err))
		return false;
	if (!json_is_array(at.value))
		return refuse(err, &at, "an array");
	hand_out(&at, out);
	return true;
}

bool json_opt_object(const struct json_at *object, const char *name, bool *present,
    struct json_at *out, struct err *err)
{
	struct place at;

	if (!find(object, name, &at, err))
		return false;
	*present = !absent(&at);
	if (*present && !json_is_object(at.value))
		return refuse(err, &at, "an object");
	if (*present)
		hand_out(&at, out);
	return true;
}

static void cleanse_and_free(void *memory)
{
	if (memory != NULL)
		crypto_cleanse(memory, malloc_usable_size(memory));
	free(memory);
}

void json_cleanse_freed(void)
{
	json_set_alloc_funcs(malloc, cleanse_and_free);
}
