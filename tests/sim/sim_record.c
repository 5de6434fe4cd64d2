#include "sim/sim_record.h"

#include "base/clock.h"
#include "base/mem.h"
#include "sim/sim_json.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_MAX (1024UL * 1024) /* a longer body is cut in the record */

void sim_recorder_init(struct sim_recorder *recorder, unsigned size)
{
	recorder->size = size;
	recorder->ring = size ? mem_array(size, sizeof(*recorder->ring)) : NULL;
	for (unsigned i = 0; i < size; i++) {
		recorder->ring[i] = (struct sim_record){0};
		buf_init(&recorder->ring[i].bytes, 2 * RECORD_MAX);
	}
}

void sim_recorder_free(struct sim_recorder *recorder)
{
	for (unsigned i = 0; i < recorder->size; i++)
		buf_free(&recorder->ring[i].bytes);
	free(recorder->ring);
	*recorder = (struct sim_recorder){0};
}

void sim_recorder_clear(struct sim_recorder *recorder)
{
	for (unsigned i = 0; i < recorder->size; i++)
		recorder->ring[i].number = 0;
}

static void put_string(struct buf *out, const char *text)
{
	buf_append(out, text, strlen(text) + 1);
}

void sim_recorder_add(struct sim_recorder *recorder, const struct sim_request *request)
{
	if (!recorder->size)
		return;
	struct sim_record *record = &recorder->ring[request->number % recorder->size];
	struct buf *bytes = &record->bytes;
	const struct http_head *head = request->head;
	record->number = request->number;
	record->wall_ms = request->wall_ms;
	record->arrived_us = request->arrived_us;
	record->status = 0;
	record->fault = NULL;
	buf_reset(bytes);
	put_string(bytes, head->method);
	put_string(bytes, head->target);
	for (unsigned i = 0; i < head->field_count; i++) {
		put_string(bytes, head->fields[i].name);
		put_string(bytes, head->fields[i].value);
	}
	record->head_length = bytes->length;
	size_t length = request->body_length < RECORD_MAX ? request->body_length : RECORD_MAX;
	buf_append(bytes, request->body, length);
}

void sim_recorder_done(struct sim_recorder *recorder, const struct sim_request *request, int status)
{
	if (!recorder->size)
		return;
	struct sim_record *record = &recorder->ring[request->number % recorder->size];
	if (record->number != request->number)
		return;
	record->status = status;
	record->fault = request->fault;
	record->answered_us = clock_monotonic_us();
}

/* Lower-case names; a name that came twice has its values joined, as RFC 9110 5.3 reads them. */
static json_t *headers_of(const char *at, const char *end)
{
	json_t *headers = json_object();
	while (at < end) {
		char name[256];
		size_t i = 0;
		for (; at[i] && i < sizeof(name) - 1; i++)
			name[i] = (char)tolower((unsigned char)at[i]);
		name[i] = '\0';
		at += strlen(at) + 1;
		json_t *value = json_string(at);
		if (!value)
			value = json_string("(not UTF-8)");
		const char *before = json_string_value(json_object_get(headers, name));
		if (before) {
			char *both = mem_printf("%s, %s", before, json_string_value(value));
			json_string_set(value, both);
			free(both);
		}
		json_object_set_new(headers, name, value);
		at += strlen(at) + 1;
	}
	return headers;
}

static void write_record(const struct sim_record *record, struct buf *out)
{
	const char *method = record->bytes.data;
	const char *target = method + strlen(method) + 1;
	const char *fields = target + strlen(target) + 1;
	const char *body = method + record->head_length;
	buf_puts(out, out->data[out->length - 1] == '[' ? "{" : ",{");
	sim_put_integer(out, "number", (int64_t)record->number);
	sim_put_integer(out, "time_ms", record->wall_ms);
	sim_put_integer(out, "monotonic_us", (int64_t)record->arrived_us);
	sim_put_text(out, "method", method);
	sim_put_text(out, "target", target);
	json_t *headers = headers_of(fields, body);
	char *text = json_dumps(headers, JSON_COMPACT);
	sim_put_member(out, "headers");
	buf_puts(out, text ? text : "null");
	free(text);
	json_decref(headers);
	sim_put_member(out, "body");
	buf_put_json(out, body, record->bytes.length - record->head_length);
	sim_put_integer(out, "status", record->status);
	if (record->status)
		sim_put_integer(
		    out, "took_us", (int64_t)(record->answered_us - record->arrived_us));
	sim_put_text(out, "fault", record->fault);
	buf_putc(out, '}');
}

void sim_recorder_write(const struct sim_recorder *recorder, struct buf *out, uint64_t since,
    const char *path, int64_t limit)
{
	uint64_t last = 0;
	for (unsigned i = 0; i < recorder->size; i++)
		if (recorder->ring[i].number > last)
			last = recorder->ring[i].number;
	uint64_t first = last > recorder->size ? last - recorder->size + 1 : 1;
	buf_putc(out, '[');
	for (uint64_t n = since >= first ? since + 1 : first; n <= last && limit > 0; n++) {
		const struct sim_record *record = &recorder->ring[n % recorder->size];
		if (record->number != n)
			continue;
		const char *target = record->bytes.data + strlen(record->bytes.data) + 1;
		if (*path && !strstr(target, path))
			continue;
		write_record(record, out);
		limit--;
	}
	buf_putc(out, ']');
}

void sim_violation(
    struct sim_violations *violations, const struct sim_request *request, const char *format, ...)
{
	uint64_t number = violations->count++;
	if (number >= SIM_VIOLATIONS)
		return;
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	violations->list[number] = mem_string(text);
	violations->request[number] = request->number;
}

void sim_violations_clear(struct sim_violations *violations)
{
	for (unsigned i = 0; i < SIM_VIOLATIONS; i++) {
		free(violations->list[i]);
		violations->list[i] = NULL;
	}
	violations->count = 0;
}

void sim_violations_write(const struct sim_violations *violations, struct buf *out)
{
	buf_putc(out, '{');
	sim_put_integer(out, "count", (int64_t)violations->count);
	sim_put_member(out, "violations");
	buf_putc(out, '[');
	for (unsigned i = 0; i < SIM_VIOLATIONS && violations->list[i]; i++) {
		buf_puts(out, i ? ",{" : "{");
		sim_put_integer(out, "request", (int64_t)violations->request[i]);
		sim_put_text(out, "what", violations->list[i]);
		buf_putc(out, '}');
	}
	buf_puts(out, "]}");
}
