#include "sim/sim_json.h"

#include "base/mem.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *sim_json_body(struct sim_request *request)
{
	json_error_t error;
	json_t *json =
	    json_loadb(request->body, request->body_length, JSON_REJECT_DUPLICATES, &error);
	if (!json)
		sim_answer_error(request, 400, "line %d: %s", error.line, error.text);
	return json;
}

void sim_answer_json(struct sim_request *request, int status, json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(value);
	if (!text)
		fatal("jansson cannot write an answer");
	sim_answer(request, status, "application/json", text, strlen(text));
	free(text);
}

void sim_answer_buf(struct sim_request *request, int status, struct buf *json)
{
	sim_answer(request, status, "application/json", json->data, json->length);
	buf_free(json);
}

void sim_answer_error(struct sim_request *request, int status, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_t *message = json_string(text);
	sim_answer_json(
	    request, status, json_pack("{s:o}", "error", message ? message : json_null()));
}

static bool is_listed(const char *names, const char *name)
{
	size_t length = strlen(name);
	for (const char *at = names; (at = strstr(at, name)); at += length) {
		bool starts = at == names || at[-1] == ' ';
		if (starts && (at[length] == ' ' || at[length] == '\0'))
			return true;
	}
	return false;
}

bool sim_json_known(const json_t *object, const char *names, struct err *err)
{
	const char *name;
	json_t *value;
	if (!json_is_object(object))
		return err_set(err, "json", "expected an object with: %s", names);
	json_object_foreach((json_t *)object, name, value)
	{
		if (!is_listed(names, name))
			return err_set(
			    err, "json", "unknown member \"%s\"; known: %s", name, names);
	}
	return true;
}

const char *sim_json_text(const json_t *object, const char *name, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : otherwise;
}

int64_t sim_json_integer(const json_t *object, const char *name, int64_t otherwise)
{
	const json_t *value = json_object_get(object, name);
	return json_is_number(value) ? (int64_t)json_number_value(value) : otherwise;
}

bool sim_json_bool(const json_t *object, const char *name, bool otherwise)
{
	const json_t *value = json_object_get(object, name);
	return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

void sim_put_member(struct buf *out, const char *name)
{
	char last = out->length ? out->data[out->length - 1] : '{';
	if (last != '{' && last != '[')
		buf_putc(out, ',');
	buf_putc(out, '"');
	buf_puts(out, name);
	buf_append(out, "\":", 2);
}

void sim_put_text(struct buf *out, const char *name, const char *value)
{
	if (!value)
		return;
	sim_put_member(out, name);
	buf_put_json(out, value, strlen(value));
}

void sim_put_integer(struct buf *out, const char *name, int64_t value)
{
	sim_put_member(out, name);
	buf_printf(out, "%" PRId64, value);
}

void sim_put_bool(struct buf *out, const char *name, bool value)
{
	sim_put_member(out, name);
	buf_puts(out, value ? "true" : "false");
}
