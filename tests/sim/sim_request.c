#include "sim/sim_connection.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

/* ---- what was asked ---- */

/* Decodes a segment in place; false at a bad escape or a NUL. */
static bool decode_segment(char *text)
{
	char *out = text;
	for (; *text; text++) {
		unsigned char byte;
		char digits[3] = {text[0] == '%' ? text[1] : 0, text[1] ? text[2] : 0, 0};
		if (*text != '%') {
			*out++ = *text;
			continue;
		}
		if (!digits[0] || !codec_hex_decode(&byte, 1, digits) || byte == 0)
			return false;
		*out++ = (char)byte;
		text += 2;
	}
	*out = '\0';
	return true;
}

static void split_path(struct sim_request *request, char *path)
{
	request->bad_path = path[0] != '/';
	for (char *segment = path + 1, *next; !request->bad_path && segment; segment = next) {
		next = strchr(segment, '/');
		if (next)
			*next++ = '\0';
		if (request->segment_count == SIM_SEGMENTS || !decode_segment(segment))
			request->bad_path = true;
		else
			request->segment[request->segment_count++] = segment;
	}
}

void sim_request_begin(struct sim_request *request, const char *target)
{
	size_t length = strlen(target);
	request->copy = mem_grow(request->copy, 2, length + 1);
	memcpy(request->copy, target, length + 1);
	char *query = strchr(request->copy, '?');
	if (query)
		*query++ = '\0';
	request->path = request->copy;
	request->query = query ? query : "";
	size_t path_length = strlen(request->path);
	char *pieces = request->copy + length + 1;
	memcpy(pieces, request->path, path_length + 1);
	request->segment_count = 0;
	split_path(request, pieces);
}

void sim_request_end(struct sim_request *request)
{
	struct buf fields = request->fields;
	char *copy = request->copy;
	buf_reset(&fields);
	*request = (struct sim_request){.fields = fields, .copy = copy};
}

void sim_request_free(struct sim_request *request)
{
	buf_free(&request->fields);
	free(request->copy);
}

struct detached {
	struct sim_request request; /* first */
	struct http_head head;
	char *strings[2 * HTTP_FIELDS_MAX + 3];
	unsigned count;
};

static const char *keep(struct detached *detached, const char *text)
{
	return detached->strings[detached->count++] = mem_string(text);
}

struct sim_request *sim_request_detach(const struct sim_request *request)
{
	struct detached *detached = mem_zero(sizeof(*detached));
	struct sim_request *copy = &detached->request;
	struct http_head *head = &detached->head;
	*head = *request->head;
	head->method = keep(detached, head->method);
	head->target = keep(detached, head->target);
	for (unsigned i = 0; i < head->field_count; i++) {
		head->fields[i].name = keep(detached, head->fields[i].name);
		head->fields[i].value = keep(detached, head->fields[i].value);
	}
	copy->number = request->number;
	copy->wall_ms = request->wall_ms;
	copy->arrived_us = request->arrived_us;
	copy->fault = request->fault;
	copy->ending = SIM_NOWHERE;
	copy->head = head;
	copy->method = head->method;
	copy->body = detached->strings[detached->count++] =
	    mem_bytes(request->body, request->body_length);
	copy->body_length = request->body_length;
	buf_init(&copy->fields, 64 * 1024);
	sim_request_begin(copy, head->target);
	return copy;
}

void sim_request_free_detached(struct sim_request *request)
{
	struct detached *detached = (struct detached *)request;
	for (unsigned i = 0; i < detached->count; i++)
		free(detached->strings[i]);
	sim_request_free(request);
	free(detached);
}

void sim_request_origin(const struct sim_request *request, char *out, size_t size)
{
	bool tls = request->connection && request->connection->ssl;
	const char *host = http_head_get(request->head, "Host");
	snprintf(out, size, "%s://%s", tls ? "https" : "http", host ? host : "localhost");
}

bool sim_query(const struct sim_request *request, const char *name, unsigned nth, struct buf *out)
{
	size_t length = strlen(name);
	const char *at = request->query;
	while (*at) {
		size_t item = strcspn(at, "&");
		bool match =
		    strncmp(at, name, length) == 0 && (at[length] == '=' || item == length);
		if (match && nth-- == 0) {
			const char *value = at + length + (at[length] == '=');
			char *text = mem_bytes(value, (size_t)(at + item - value));
			for (char *c = text; (c = strchr(c, '+'));)
				*c = ' ';
			bool good = codec_url_decode(out, text, strlen(text));
			free(text);
			buf_puts(out, "");
			return good;
		}
		at += item + (at[item] == '&');
	}
	return false;
}

int64_t sim_query_integer(const struct sim_request *request, const char *name, int64_t otherwise)
{
	struct buf text;
	buf_init(&text, 64);
	int64_t value = otherwise;
	if (sim_query(request, name, 0, &text) && text.length) {
		char *end;
		long long number = strtoll(text.data, &end, 10);
		if (*end == '\0')
			value = number;
	}
	buf_free(&text);
	return value;
}

/* ---- what is answered ---- */

static const char *date_now(struct sim_server *server)
{
	int64_t second = clock_wall_ms() / 1000;
	if (second != server->date_second) {
		server->date_second = second;
		clock_http_date(server->date, second * 1000);
	}
	return server->date;
}

static void write_answer(struct sim_connection *c, struct buf *out, int status, const char *type,
    const char *body, size_t length)
{
	const struct http_head *head = &c->parser.head;
	bool bodiless = status == 204 || status == 304;
	http_write_response(out, status);
	http_write_field(out, "Date", date_now(c->server));
	buf_append(out, c->request.fields.data, c->request.fields.length);
	if (type && !bodiless)
		http_write_field(out, "Content-Type", type);
	if (!bodiless)
		http_write_field_uint(out, "Content-Length", length);
	if (c->close_after || !head->keep_alive)
		http_write_field(out, "Connection", "close");
	http_write_end(out);
	bool is_head = head->method && strcmp(head->method, "HEAD") == 0;
	if (!bodiless && !is_head)
		buf_append(out, body, length);
}

void sim_answer_plain(struct sim_connection *c, int status, const char *text)
{
	write_answer(c, &c->output, status, "text/plain", text, strlen(text));
}

void sim_answer_field(struct sim_request *request, const char *name, const char *value)
{
	size_t length = request->fields.length;
	if (!http_write_field(&request->fields, name, value)) {
		request->fields.length =
		    length; /* a test wanted a line break in it: leave it out */
		request->fields.overflow = false;
	}
}

void sim_answer(
    struct sim_request *request, int status, const char *type, const char *body, size_t length)
{
	struct sim_connection *c = request->connection;
	if (request->instead) {
		sim_instead_fn *instead = request->instead;
		request->instead = NULL;
		instead(request, status, type, body, length);
		return;
	}
	request->status = status;
	if (c)
		c->server->options.answered(request, status, c->server->options.arg);
	if (request->ending == SIM_NOWHERE)
		return;
	request->gone = NULL;
	if (request->ending == SIM_CUT && request->delay_ms == 0) {
		sim_connection_close(c, request->reset);
		return;
	}
	struct buf *out = request->delay_ms ? &c->held : &c->output;
	size_t before = out->length;
	write_answer(c, out, status, type, body, length);
	size_t sent = out->length - before;
	if (request->ending == SIM_HALF) /* of the body when there is one, else of the head */
		out->length = before + (sent > length && length > 1 ? sent - length / 2 : sent / 2);
	else if (request->ending == SIM_CUT)
		out->length = before;
	if (request->ending != SIM_WHOLE)
		c->cut_after = true;
	c->reset = request->reset;
	if (request->delay_ms)
		sim_connection_hold(c, request->delay_ms);
	else
		sim_connection_answered(c);
}

void sim_request_cut(struct sim_request *request)
{
	request->gone = NULL;
	if (request->connection)
		sim_connection_close(request->connection, request->reset);
}

void sim_request_garbage(struct sim_request *request, const void *data, size_t length)
{
	struct sim_connection *c = request->connection;
	c->server->options.answered(request, 0, c->server->options.arg);
	request->gone = NULL;
	buf_append(&c->output, data, length);
	c->cut_after = true;
	sim_connection_answered(c);
}
