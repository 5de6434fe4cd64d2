/*
 * gate_request: what is refused although net/http_codec lets it pass, and the two heads that the
 * gate writes: the request's, anew for evhttp, and that of a refusal.
 *
 * evhttp (libevent 2.1.12, http.c) takes "//host/x" for a host, ends a path at a decoded NUL,
 * answers an unknown method with 501 and no Allow, runs the body of a HEAD as the next request, and
 * of headers that are there twice it finds the first. It answers HEAD with a body and without its
 * length: therefore it is given a GET, and the gate lets only the head of the reply out.
 */
#include "base/clock.h"
#include "base/json_writer.h"
#include "base/mem.h"
#include "web/gate_internal.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ALLOW "GET, HEAD, POST, PUT, DELETE"

/* ---- what is refused ---- */

static bool fault_set(struct gate_fault *fault, int status, const char *reason)
{
	fault->status = status;
	fault->reason = reason;
	return false;
}

static bool is_one_of(const char *word, const char *const *list)
{
	while (*list != NULL && strcasecmp(word, *list) != 0)
		list++;
	return *list != NULL;
}

/* Methods are case-sensitive: RFC 9110 9.1. */
static bool check_method(const char *method, struct gate_fault *fault)
{
	static const char *const served[] = {"GET", "HEAD", "POST", "PUT", "DELETE"};
	static const char *const known[] = {"PATCH", "OPTIONS", "TRACE", "CONNECT"};

	for (size_t i = 0; i < sizeof(served) / sizeof(served[0]); i++) {
		if (strcmp(method, served[i]) == 0)
			return true;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(method, known[i]) == 0)
			return fault_set(fault, 405, "this server takes " ALLOW);
	}
	return fault_set(fault, 501, "the method is unknown");
}

const char *gate_path_of(const char *target)
{
	if (target[0] == '/')
		return target;
	target = strstr(target, "://") + 3;
	return target + strcspn(target, "/?");
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool check_target(const char *target, struct gate_fault *fault)
{
	const char *path = gate_path_of(target);
	size_t path_length = strcspn(path, "?");

	if (path[0] == '/' && path[1] == '/')
		return fault_set(fault, 400, "the path begins with two slashes");
	for (const char *at = strchr(path, '%'); at != NULL; at = strchr(at + 1, '%')) {
		if (at[1] == '0' && at[2] == '0')
			return fault_set(fault, 400, "%00 in the target");
		if ((size_t)(at - path) < path_length && (!is_hex(at[1]) || !is_hex(at[2])))
			return fault_set(fault, 400, "% without two hex digits in the path");
	}
	return true;
}

/* RFC 9110 10.1.1. HTTP/1.0 has no Expect: it is ignored. */
static bool check_expect(const struct http_head *head, struct gate_fault *fault)
{
	for (unsigned i = 0; head->minor > 0 && i < head->field_count; i++) {
		const char *at = head->fields[i].value, *item;
		size_t length;

		if (strcasecmp(head->fields[i].name, "Expect") != 0)
			continue;
		while (http_list_next(&at, &item, &length)) {
			if (length != 12 || strncasecmp(item, "100-continue", 12) != 0)
				return fault_set(fault, 417, "only 100-continue can be expected");
		}
	}
	return true;
}

/* Headers that decide about access or meaning, and of which evhttp would believe the first. */
static bool check_single(const struct http_head *head, struct gate_fault *fault)
{
	static const char *const single[] = {
	    "Authorization", "Content-Type", "Origin", "Sec-Fetch-Site", NULL};
	uint32_t seen = 0;

	for (unsigned i = 0; i < head->field_count; i++) {
		for (unsigned s = 0; single[s] != NULL; s++) {
			if (strcasecmp(head->fields[i].name, single[s]) != 0)
				continue;
			if (seen & UINT32_C(1) << s)
				return fault_set(
				    fault, 400, "a header that may be there once is there twice");
			seen |= UINT32_C(1) << s;
		}
	}
	return true;
}

bool gate_check_head(const struct http_head *head, struct gate_fault *fault)
{
	if (!check_method(head->method, fault) || !check_target(head->target, fault) ||
	    !check_expect(head, fault) || !check_single(head, fault))
		return false;
	if (strcmp(head->method, "HEAD") == 0 &&
	    (head->chunked || (head->has_length && head->length > 0)))
		return fault_set(fault, 400, "HEAD with a body");
	return true;
}

/* ---- the request's head ---- */

/* Framing and hop: written anew, answered by the gate, or ignored. */
static bool is_left_out(const char *name, bool host_too)
{
	static const char *const hop[] = {"Connection", "Content-Length", "Expect",
	    "HTTP2-Settings", "Keep-Alive", "Proxy-Connection", "TE", "Trailer",
	    "Transfer-Encoding", "Upgrade", NULL};

	/* Most names begin otherwise. */
	if (strchr("CcEeHhKkPpTtUu", name[0]) == NULL)
		return false;
	return is_one_of(name, hop) || (host_too && strcasecmp(name, "Host") == 0);
}

/* RFC 9112 3.2.2: the authority of the target counts, and a Host beside it does not. */
static void write_absolute(struct buf *out, const struct http_head *head, const char *method)
{
	const char *authority = strstr(head->target, "://") + 3;
	const char *path = gate_path_of(head->target);
	char *host = mem_bytes(authority, (size_t)(path - authority));
	char *target = path[0] == '/' ? mem_string(path) : mem_printf("/%s", path);

	http_write_request(out, method, target);
	http_write_field(out, "Host", host);
	free(target);
	free(host);
}

bool gate_write_head(struct buf *out, const struct http_head *head, size_t body, bool close)
{
	const char *method = strcmp(head->method, "HEAD") == 0 ? "GET" : head->method;
	bool absolute = head->target[0] != '/';
	char *line_end;

	if (absolute)
		write_absolute(out, head, method);
	else
		http_write_request(out, method, head->target);
	line_end = out->length > 0 ? memchr(out->data, '\r', out->length) : NULL;
	if (line_end != NULL)
		line_end[-1] = head->minor > 0 ? '1' : '0';
	for (unsigned i = 0; i < head->field_count; i++) {
		if (!is_left_out(head->fields[i].name, absolute))
			http_write_field(out, head->fields[i].name, head->fields[i].value);
	}
	if (body > 0)
		http_write_field_uint(out, "Content-Length", body);
	if (close)
		http_write_field(out, "Connection", "close");
	else if (head->minor == 0)
		http_write_field(out, "Connection", "keep-alive");
	return http_write_end(out);
}

/* ---- refusals ---- */

#define REFUSED(reason_)                                                                \
	METRIC(METRIC_COUNTER, "eyes_scm_http_refused_total", "reason=\"" reason_ "\"", \
	    "Requests that the gate refused, and answered itself")

static struct refusal {
	int status;
	const char *code;     /* of the error */
	const char *sentence; /* before the reason */
	struct metric metric;
} refusals[] = {
    {400, "malformed", "the request is malformed", REFUSED("malformed")},
    {405, "method", "the method is not allowed", REFUSED("method")},
    {408, "too_slow", "the request took too long", REFUSED("too_slow")},
    {413, "body_too_large", "the body is too large", REFUSED("body_too_large")},
    {414, "target_too_long", "the address is too long", REFUSED("target_too_long")},
    {417, "expectation", "the expectation cannot be met", REFUSED("expectation")},
    {431, "head_too_large", "the headers are too large", REFUSED("head_too_large")},
    {501, "not_implemented", "the server cannot do this", REFUSED("not_implemented")},
    {503, "busy", "the server is busy", REFUSED("busy")},
    {505, "http_version", "the version is not served", REFUSED("http_version")},
};

static struct refusal *refusal_of(int status)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (refusals[i].status == status)
			return &refusals[i];
	}
	return &refusals[0];
}

const char *gate_count_refusal(int status)
{
	struct refusal *refusal = refusal_of(status);

	metric_add(&refusal->metric, 1);
	return refusal->code;
}

void gate_write_refusal(struct buf *out, const struct gate_fault *fault, bool without_body)
{
	const struct refusal *refusal = refusal_of(fault->status);
	struct err err = ERR_INIT;
	char date[CLOCK_TEXT];
	struct json_writer w;
	struct buf body;

	err_set(&err, refusal->code, "%s: %s", refusal->sentence, fault->reason);
	buf_init(&body, 4096);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_write_err(&w, "error", &err, NULL);
	json_close_object(&w);
	buf_putc(&body, '\n');

	clock_http_date(date, clock_wall_ms());
	http_write_response(out, refusal->status);
	http_write_field(out, "Date", date);
	if (refusal->status == 405)
		http_write_field(out, "Allow", ALLOW);
	if (refusal->status == 503)
		http_write_field(out, "Retry-After", "5");
	http_write_field(out, "Content-Type", "application/json");
	http_write_field_uint(out, "Content-Length", body.length);
	http_write_field(out, "Cache-Control", "no-store");
	http_write_field(out, "X-Content-Type-Options", "nosniff");
	http_write_field(out, "Connection", "close");
	http_write_end(out);
	if (!without_body)
		buf_append(out, body.data, body.length);
	buf_free(&body);
}
