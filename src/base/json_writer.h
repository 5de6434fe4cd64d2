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
#include "base/err.h"

struct json_writer {
	struct buf *out;
	bool comma;
};

void json_writer_init(struct json_writer *writer, struct buf *out);
void json_open_object(struct json_writer *writer, const char *name);
void json_close_object(struct json_writer *writer);
void json_open_array(struct json_writer *writer, const char *name);
void json_close_array(struct json_writer *writer);
void json_write_string(struct json_writer *writer, const char *name, const char *value);
void json_write_text(
    struct json_writer *writer, const char *name, const char *value); /* nothing when NULL or "" */
void json_write_int(struct json_writer *writer, const char *name, int64_t value);
void json_write_bool(struct json_writer *writer, const char *name, bool value);
void json_write_null(struct json_writer *writer, const char *name);
void json_write_time(
    struct json_writer *writer, const char *name, int64_t wall_ms); /* RFC 3339; nothing when 0 */
/* Text that is JSON already. */
void json_write_raw(struct json_writer *writer, const char *name, const struct buf *json);
/* "code", "message", "hop", "hint" and "field", in an object that is open. */
void json_write_err_words(struct json_writer *writer, const struct err *err);
/* {"code","message","hop","hint","field"[,"trace":trace]}; trace is JSON text or NULL. */
void json_write_err(
    struct json_writer *writer, const char *name, const struct err *err, const struct buf *trace);

#endif
