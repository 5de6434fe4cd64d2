#include "base/json_writer.h"
#include "base/clock.h"
#include <string.h>

#define NAME_MAX_BYTES 60

void json_writer_init(struct json_writer *writer, struct buf *out)
{
	*writer = (struct json_writer){.out = out};
}

static void begin(struct json_writer *writer, const char *name)
{
	size_t length = name != NULL ? strlen(name) : 0, at = 0;
	char text[NAME_MAX_BYTES + 4];

	if (length > NAME_MAX_BYTES)
		fatal("json_writer: a name of %zu bytes", length);
	if (writer->comma)
		text[at++] = ',';
	writer->comma = true;
	if (name != NULL) { /* names are literals of ours: nothing to escape */
		text[at++] = '"';
		memcpy(text + at, name, length);
		at += length;
		text[at++] = '"';
		text[at++] = ':';
	}
	if (at > 0)
		buf_append(writer->out, text, at);
}

static void open_with(struct json_writer *writer, const char *name, char bracket)
{
	begin(writer, name);
	buf_putc(writer->out, bracket);
	writer->comma = false;
}

static void close_with(struct json_writer *writer, char bracket)
{
	buf_putc(writer->out, bracket);
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
	begin(writer, name);
	buf_put_json(writer->out, value, strlen(value));
}

void json_write_text(struct json_writer *writer, const char *name, const char *value)
{
	if (value != NULL && value[0] != '\0')
		json_write_string(writer, name, value);
}

void json_write_int(struct json_writer *writer, const char *name, int64_t value)
{
	begin(writer, name);
	if (value < 0)
		buf_putc(writer->out, '-');
	buf_put_uint(writer->out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void json_write_bool(struct json_writer *writer, const char *name, bool value)
{
	begin(writer, name);
	buf_puts(writer->out, value ? "true" : "false");
}

void json_write_null(struct json_writer *writer, const char *name)
{
	begin(writer, name);
	buf_puts(writer->out, "null");
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
	begin(writer, name);
	buf_append(writer->out, json->data, json->length);
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
