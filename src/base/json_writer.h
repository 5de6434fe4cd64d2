/*
 * json_writer: JSON text straight into a buffer, with the commas in the right places. No tree, no
 * allocation of its own.
 *
 * `name` is NULL for the elements of an array. Empty strings are left out by json_write_text,
 * written by json_write_string.
 */
#ifndef BASE_JSON_WRITER_H
#define BASE_JSON_WRITER_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include <string.h>

struct json_writer {
	struct buf *out;
	bool comma;
	struct clock_day day; /* of the last time: those of a list are mostly of one */
};

void json_writer_init(struct json_writer *writer, struct buf *out);

/*
 * What the functions below are made of, here so that a name costs no more than a few stores: names
 * are literals of ours, of at most JSON_NAME_MAX bytes, with nothing to escape.
 *
 * The comma and the name, with room for `more` bytes of value behind them. Where to go on, or NULL
 * when it does not fit.
 */
#define JSON_NAME_MAX 60
static inline char *json_begin(struct json_writer *writer, const char *name, size_t more)
{
	size_t length = name != NULL ? strlen(name) : 0;
	char *at;

	if (length > JSON_NAME_MAX)
		fatal("json_writer: a name of %zu bytes", length);
	if (!buf_reserve(writer->out, length + 4 + more)) /* a comma, two quotes, a colon */
		return NULL;
	at = writer->out->data + writer->out->length;
	*at = ',';
	at += writer->comma;
	writer->comma = true;
	if (name != NULL) {
		*at++ = '"';
		memcpy(at, name, length);
		at += length;
		*at++ = '"';
		*at++ = ':';
	}
	return at;
}
/* All before `at` has been written. */
static inline void json_end(struct json_writer *writer, char *at)
{
	writer->out->length = (size_t)(at - writer->out->data);
	*at = '\0';
}
/* Values behind json_begin; `at` may be NULL. */
void json_end_string(struct json_writer *writer, char *at, const char *value, size_t length);
void json_end_int(struct json_writer *writer, char *at, int64_t value);
void json_end_time(struct json_writer *writer, char *at, int64_t wall_ms);
#define JSON_INT_MAX 20 /* bytes: 2^63 has 19 digits */
#define JSON_TIME_MAX (CLOCK_RFC3339 + 2)

static inline void json_write_whole(
    struct json_writer *writer, const char *name, const char *value, size_t length)
{
	char *at = json_begin(writer, name, length);

	if (at == NULL)
		return;
	memcpy(at, value, length);
	json_end(writer, at + length);
}

static inline void json_open_object(struct json_writer *writer, const char *name)
{
	json_write_whole(writer, name, "{", 1);
	writer->comma = false;
}
static inline void json_close_object(struct json_writer *writer)
{
	buf_putc(writer->out, '}');
	writer->comma = true;
}
static inline void json_open_array(struct json_writer *writer, const char *name)
{
	json_write_whole(writer, name, "[", 1);
	writer->comma = false;
}
static inline void json_close_array(struct json_writer *writer)
{
	buf_putc(writer->out, ']');
	writer->comma = true;
}
static inline void json_write_string(
    struct json_writer *writer, const char *name, const char *value)
{
	size_t length = strlen(value);

	json_end_string(writer, json_begin(writer, name, length + 2), value, length);
}
/* Nothing when NULL or "". */
static inline void json_write_text(struct json_writer *writer, const char *name, const char *value)
{
	if (value != NULL && value[0] != '\0')
		json_write_string(writer, name, value);
}
static inline void json_write_int(struct json_writer *writer, const char *name, int64_t value)
{
	json_end_int(writer, json_begin(writer, name, JSON_INT_MAX), value);
}
static inline void json_write_bool(struct json_writer *writer, const char *name, bool value)
{
	if (value)
		json_write_whole(writer, name, "true", 4);
	else
		json_write_whole(writer, name, "false", 5);
}
static inline void json_write_null(struct json_writer *writer, const char *name)
{
	json_write_whole(writer, name, "null", 4);
}
/* RFC 3339; nothing when 0. */
static inline void json_write_time(struct json_writer *writer, const char *name, int64_t wall_ms)
{
	if (wall_ms != 0)
		json_end_time(writer, json_begin(writer, name, JSON_TIME_MAX), wall_ms);
}
/* Text that is JSON already. */
void json_write_raw(struct json_writer *writer, const char *name, const struct buf *json);
/* "code", "message", "hop", "hint" and "field", in an object that is open. */
void json_write_err_words(struct json_writer *writer, const struct err *err);
/* {"code","message","hop","hint","field"[,"trace":trace]}; trace is JSON text or NULL. */
void json_write_err(
    struct json_writer *writer, const char *name, const struct err *err, const struct buf *trace);

#endif
