#include "base/json_writer.h"

void json_writer_init(struct json_writer *writer, struct buf *out)
{
	*writer = (struct json_writer){.out = out};
}

void json_end_string(struct json_writer *writer, char *at, const char *value, size_t length)
{
	if (at == NULL)
		return;
	if (buf_copy_plain(at + 1, value, length)) {
		at[0] = at[length + 1] = '"';
		json_end(writer, at + length + 2);
	} else {
		json_end(writer, at);
		buf_put_json(writer->out, value, length);
	}
}

void json_end_int(struct json_writer *writer, char *at, int64_t value)
{
	uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	unsigned digits = 1;

	if (at == NULL)
		return;
	if (value < 0)
		*at++ = '-';
	for (uint64_t rest = left; rest >= 10; rest /= 10)
		digits++;
	for (unsigned i = digits; i-- > 0; left /= 10)
		at[i] = (char)('0' + left % 10);
	json_end(writer, at + digits);
}

void json_end_time(struct json_writer *writer, char *at, int64_t wall_ms)
{
	if (at == NULL)
		return;
	clock_rfc3339_of_day(&writer->day, at + 1, wall_ms);
	at[0] = at[CLOCK_RFC3339 + 1] = '"';
	json_end(writer, at + CLOCK_RFC3339 + 2);
}

void json_write_raw(struct json_writer *writer, const char *name, const struct buf *json)
{
	json_write_whole(writer, name, json->length > 0 ? json->data : "", json->length);
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
