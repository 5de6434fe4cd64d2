#include "base/json_writer.h"
#include "base/clock.h"
#include <string.h>

#define NAME_MAX_BYTES 60

void json_writer_init(struct json_writer *writer, struct buf *out)
{
	*writer = (struct json_writer){.out = out};
}

/*
 * The comma and the name, with room for `more` bytes of value behind them. Where to go on, or NULL
 * when it does not fit.
 */
static char *begin(struct json_writer *writer, const char *name, size_t more)
{
	size_t length = name != NULL ? strlen(name) : 0;
	size_t own = (name != NULL ? length + 3 : 0) + writer->comma;
	bool comma = writer->comma;
	char *at;

	if (length > NAME_MAX_BYTES)
		fatal("json_writer: a name of %zu bytes", length);
	writer->comma = true;
	if (!buf_reserve(writer->out, own + more))
		return NULL;
	at = writer->out->data + writer->out->length;
	if (comma)
		*at++ = ',';
	if (name != NULL) { /* names are literals of ours: nothing to escape */
		*at++ = '"';
		memcpy(at, name, length);
		at += length;
		*at++ = '"';
		*at++ = ':';
	}
	return at;
}

/* All before `at` has been written. */
static void end(struct json_writer *writer, char *at)
{
	writer->out->length = (size_t)(at - writer->out->data);
	*at = '\0';
}

static void write_whole(
    struct json_writer *writer, const char *name, const char *value, size_t length)
{
	char *at = begin(writer, name, length);

	if (at == NULL)
		return;
	memcpy(at, value, length);
	end(writer, at + length);
}

static void open_with(struct json_writer *writer, const char *name, char bracket)
{
	write_whole(writer, name, &bracket, 1);
	writer->comma = false;
}

static void close_with(struct json_writer *writer, char bracket)
{
	buf_append(writer->out, &bracket, 1);
	writer->comma = true;
}

void json_open_object(struct json_writer *writer, const char *name)
{
	open_with(writer, name, '{');
}

void json_close_object(struct json_writer *writer)
{
	close_with(writer, '}');
}

void json_open_array(struct json_writer *writer, const char *name)
{
	open_with(writer, name, '[');
}

void json_close_array(struct json_writer *writer)
{
	close_with(writer, ']');
}

void json_write_string(struct json_writer *writer, const char *name, const char *value)
{
	size_t length = strlen(value);
	char *at = begin(writer, name, length + 2);

	if (at == NULL)
		return;
	end(writer, at);
	buf_put_json(writer->out, value, length);
}

void json_write_text(struct json_writer *writer, const char *name, const char *value)
{
	if (value != NULL && value[0] != '\0')
		json_write_string(writer, name, value);
}

void json_write_int(struct json_writer *writer, const char *name, int64_t value)
{
	uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	char text[20]; /* 2^63 has 19 digits */
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + left % 10);
		left /= 10;
	} while (left > 0);
	if (value < 0)
		text[--at] = '-';
	write_whole(writer, name, text + at, sizeof(text) - at);
}

void json_write_bool(struct json_writer *writer, const char *name, bool value)
{
	write_whole(writer, name, value ? "true" : "false", value ? 4 : 5);
}

void json_write_null(struct json_writer *writer, const char *name)
{
	write_whole(writer, name, "null", 4);
}

void json_write_time(struct json_writer *writer, const char *name, int64_t wall_ms)
{
	char text[CLOCK_TEXT];

	if (wall_ms == 0)
		return;
	clock_rfc3339(text, wall_ms, true);
	json_write_string(writer, name, text);
}

void json_write_raw(struct json_writer *writer, const char *name, const struct buf *json)
{
	write_whole(writer, name, json->length > 0 ? json->data : "", json->length);
}

void json_write_err_words(struct json_writer *writer, const struct err *err)
{
	json_write_string(writer, "code", err->code != NULL ? err->code : "failed");
	json_write_string(writer, "message", err->message);
	json_write_text(writer, "hop", err->hop);
	json_write_text(writer, "hint", err->hint);
	json_write_text(writer, "field", err->field);
}

void json_write_err(
    struct json_writer *writer, const char *name, const struct err *err, const struct buf *trace)
{
	json_open_object(writer, name);
	json_write_err_words(writer, err);
	if (trace != NULL && trace->length > 0)
		json_write_raw(writer, "trace", trace);
	json_close_object(writer);
}
