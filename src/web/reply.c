/* Answers and queries. */
#include "base/codec.h"
#include "base/log.h"
#include "net/http_codec.h"
#include "web/web_internal.h"
#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nothing but our own files runs in the page, and nobody else's page holds ours. */
#define CSP                                                                               \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " \
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

void web_request_free(struct web_request *request)
{
	TAILQ_REMOVE(&request->web->pending, request, entry);
	if (request->web->reading == request)
		request->web->reading = NULL;
	buf_free(&request->headers);
	free(request->target);
	json_decref(request->body);
	free(request->answer);
	free(request);
}

static void body_free(const void *data, size_t length, void *arg)
{
	(void)data;
	(void)length;
	free(arg);
}

const struct web_header web_page_headers[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"Content-Security-Policy", CSP},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {NULL, NULL},
};

const char *web_header(const struct web_request *request, const char *name)
{
	if (request->http == NULL)
		return request->head != NULL ? http_head_get(request->head, name) : NULL;
	return evhttp_find_header(evhttp_request_get_input_headers(request->http), name);
}

void web_add_header(struct web_request *request, const char *name, const char *value)
{
	if (request->http == NULL)
		http_write_field(&request->headers, name, value);
	else
		evhttp_add_header(evhttp_request_get_output_headers(request->http), name, value);
}

char *web_page_lines(void)
{
	struct buf out;

	buf_init(&out, 4096);
	buf_puts(&out, "Cache-Control: no-store\r\n");
	for (const struct web_header *header = web_page_headers; header->name != NULL; header++)
		buf_printf(&out, "%s: %s\r\n", header->name, header->value);
	return buf_take(&out);
}

/* What web_send and evhttp do on the other road. */
static void answer_directly(
    struct web_request *request, int status, const char *type, const struct buf *body)
{
	struct gate_answer answer = {.status = status};

	if (body != NULL && body->length > 0) {
		answer.body = body->data;
		answer.body_length = body->length;
		web_add_header(request, "Content-Type", type);
	}
	buf_puts(&request->headers, request->web->page_headers);
	if (request->headers.overflow)
		fatal("the headers of an answer are too long");
	answer.headers = request->headers.data;
	gate_answer(request->reply, &answer);
	web_request_free(request);
}

void web_send(struct web_request *request, int status, struct evbuffer *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request->http);
	const struct web_header *header = web_page_headers;

	if (evhttp_find_header(headers, "Cache-Control") == NULL)
		evhttp_add_header(headers, "Cache-Control", "no-store");
	if (request->control)
		evhttp_add_header(headers, header->name, header->value); /* of no page */
	for (; !request->control && header->name != NULL; header++)
		evhttp_add_header(headers, header->name, header->value);
	evhttp_send_reply(request->http, status, http_reason(status), body);
	web_request_free(request);
}

void web_reply_text(struct web_request *request, int status, const char *type, struct buf *body)
{
	struct evbuffer *out;

	if (request->http == NULL) {
		answer_directly(request, status, type, body);
		if (body != NULL)
			buf_free(body);
		return;
	}
	out = evbuffer_new();
	if (out == NULL)
		fatal("out of memory");
	if (body != NULL && body->length > 0) {
		size_t length = body->length;
		char *data = buf_take(body);

		web_add_header(request, "Content-Type", type);
		evbuffer_add_reference(out, data, length, body_free, data);
	}
	web_send(request, status, out);
	evbuffer_free(out);
}

/* Half a document is worse than none. */
static void reply_too_large(struct web_request *request, struct buf *body)
{
	struct err err = ERR_INIT;

	buf_reset(body);
	err_set(&err, "too_large", "the answer would be larger than %zu bytes", body->limit);
	err_hint(&err, "Ask for less: limit, search or state.");
	web_reply_err(request, 500, &err, NULL);
}

void web_reply_json(struct web_request *request, int status, struct buf *body)
{
	if (body != NULL)
		buf_putc(body, '\n');
	if (body != NULL && body->overflow) {
		reply_too_large(request, body);
		return;
	}
	web_reply_text(request, status, "application/json", body);
}

void web_write_err(
    struct json_writer *w, const char *name, const struct err *err, const struct http_trace *trace)
{
	struct buf hops;

	json_open_object(w, name);
	json_write_err_words(w, err);
	if (trace != NULL) {
		buf_init(&hops, 32 * 1024);
		http_trace_json(trace, &hops);
		json_write_raw(w, "trace", &hops);
		buf_free(&hops);
		/* What the other side showed says something only where that is the trouble. */
		if (err->code != NULL &&
		    (strncmp(err->code, "tls_", 4) == 0 || strcmp(err->code, "eyes_tls") == 0))
			api_write_certificate(w, &trace->certificate);
	}
	json_close_object(w);
}

void web_reply_err(
    struct web_request *request, int status, const struct err *err, const struct http_trace *trace)
{
	struct json_writer w;
	struct buf body;

	buf_init(&body, 64 * 1024);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	web_write_err(&w, "error", err, trace);
	json_close_object(&w);
	web_reply_json(request, status, &body);
	buf_free(&body);
}

int web_status_of(enum service_fault fault)
{
	static const int status[] = {
	    [SERVICE_OK] = 200,
	    [SERVICE_BAD_INPUT] = 400,
	    [SERVICE_NOT_FOUND] = 404,
	    [SERVICE_CONFLICT] = 409,
	    [SERVICE_REFUSED] = 422,
	    [SERVICE_UNREACHED] = 502,
	    [SERVICE_STORE] = 503,
	};
	return status[fault];
}

void web_reply_result(struct web_request *request, const struct service_result *result)
{
	if (result->fault == SERVICE_OK)
		web_reply_text(request, 204, "", NULL);
	else
		web_reply_err(request, web_status_of(result->fault), result->err, result->trace);
}

/* ---- queries ---- */

bool web_query(struct web_request *request, const char *name, char *out, size_t size)
{
	size_t name_length = strlen(name);
	const char *at = request->query;
	struct buf value;

	out[0] = '\0';
	while (*at != '\0') {
		size_t length = strcspn(at, "&");

		if (length > name_length && strncmp(at, name, name_length) == 0 &&
		    at[name_length] == '=') {
			buf_init(&value, size - 1);
			if (codec_url_decode(
			        &value, at + name_length + 1, length - name_length - 1) &&
			    !value.overflow)
				snprintf(out, size, "%s", value.data != NULL ? value.data : "");
			buf_free(&value);
			return true;
		}
		at += length;
		if (*at == '&')
			at++;
	}
	return false;
}

static bool query_refused(struct web_request *request, const char *name, const char *why)
{
	struct err err = ERR_INIT;

	err_set(&err, "invalid", "%s %s", name, why);
	err_field(&err, "%s", name);
	web_reply_err(request, 400, &err, NULL);
	return false;
}

bool web_query_text(struct web_request *request, const char *name, char *out, size_t size)
{
	size_t length = strlen(name);

	if (!web_query(request, name, out, size) || out[0] != '\0')
		return true;
	/* Nothing was asked for, or nothing that can be read: "name=" stands at one end of a part.
	 */
	for (const char *at = request->query; (at = strstr(at, name)) != NULL; at += length)
		if ((at == request->query || at[-1] == '&') && at[length] == '=')
			return at[length + 1] == '\0' || at[length + 1] == '&' ||
			       query_refused(request, name, "cannot be read, or is too long");
	return true;
}

bool web_query_word(
    struct web_request *request, const char *name, const char *const *words, char *out, size_t size)
{
	if (!web_query_text(request, name, out, size))
		return false;
	if (out[0] == '\0')
		return true;
	for (; *words != NULL; words++)
		if (strcmp(out, *words) == 0)
			return true;
	return query_refused(request, name, "is none of the words that are known here");
}

bool web_query_number(struct web_request *request, const char *name, uint64_t low, uint64_t high,
    uint64_t fallback, uint64_t *out)
{
	struct err err = ERR_INIT;
	char text[32], *end;
	unsigned long long value;

	*out = fallback;
	if (!web_query(request, name, text, sizeof(text)))
		return true;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && value >= low &&
	    value <= high) {
		*out = value;
		return true;
	}
	err_set(&err, "invalid", "%s must be a whole number between %llu and %llu", name,
	    (unsigned long long)low, (unsigned long long)high);
	err_field(&err, "%s", name);
	web_reply_err(request, 400, &err, NULL);
	return false;
}

const char *web_eyes_url(const struct web *web)
{
	return web->eyes_url;
}

const char *web_organization(const struct web *web)
{
	return web->organization;
}

struct jobs *web_jobs(const struct web *web)
{
	return web->jobs;
}

struct listings *web_listings(const struct web *web)
{
	return web->listings;
}
