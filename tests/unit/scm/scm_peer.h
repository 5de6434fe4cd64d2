/*
 * scm_peer: the driver's other side without a network. The HTTP client is the test itself: it keeps
 * what was asked and answers when it is told to.
 */
#ifndef TESTS_UNIT_SCM_PEER_H
#define TESTS_UNIT_SCM_PEER_H

#include "base/loop.h"
#include "base/mem.h"
#include "scm/bitbucket_request.h"
#include "scm/scm.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NEW_SERVER (SCM_BB_BUILDS | SCM_BB_RICH | SCM_BB_CANCELLED)

/* ---- the client ---- */

static struct http_request {
	bool open, repeatable;
	char method[8], url[4096], headers[1024];
	char body[2048];
	uint32_t total_ms;
	http_fn *fn;
	void *arg;
} sent;
static unsigned sent_count, cancelled_count;

struct http_request *http_client_send(struct http_client *client,
    const struct http_options *options, http_fn *fn, void *arg, struct err *err)
{
	size_t used = 0;

	(void)client;
	(void)err;
	assert_false(sent.open);
	sent = (struct http_request){.open = true,
	    .fn = fn,
	    .arg = arg,
	    .repeatable = options->repeatable,
	    .total_ms = options->deadlines.total};
	snprintf(sent.method, sizeof(sent.method), "%s", options->method);
	url_text(options->url, sent.url, sizeof(sent.url));
	for (unsigned i = 0; i < options->header_count; i++)
		used += (size_t)snprintf(sent.headers + used, sizeof(sent.headers) - used,
		    "%s: %s%s\n", options->headers[i].name, options->headers[i].value,
		    options->headers[i].secret ? " (secret)" : "");
	snprintf(sent.body, sizeof(sent.body), "%.*s", (int)options->body_length,
	    options->body ? options->body : "");
	sent_count++;
	return &sent;
}

void http_request_cancel(struct http_request *request)
{
	assert_true(request->open);
	request->open = false;
	cancelled_count++;
}

static inline void answer_as(int status, const char *user, const char *body)
{
	static struct http_trace trace;
	struct http_head head = {.status = status};
	struct http_result result = {.head = &head,
	    .status = status,
	    .body = body,
	    .body_length = strlen(body),
	    .sent = true,
	    .trace = &trace};

	assert_true(sent.open);
	sent.open = false;
	if (user)
		head.fields[head.field_count++] = (struct http_field){"X-AUSERNAME", user};
	sent.fn(&result, sent.arg);
}

static inline void answer(int status, const char *body)
{
	answer_as(status, NULL, body);
}

static inline void answer_cut(void)
{
	struct err err = ERR_INIT;
	struct http_result result = {.err = &err, .body = "", .sent = true};

	err_set(&err, "http_cut", "bb closed the connection without an answer");
	sent.open = false;
	sent.fn(&result, sent.arg);
}

/* ---- the completions ---- */

static struct loop *loop;
static struct scm *scm;
static struct scm_server server;
static struct secret token;
static bool running;

static struct {
	unsigned count;
	enum scm_outcome outcome;
	enum scm_scope scope;
	int status;
	bool doubtful, unknown_commit, trace;
	char code[40], message[512];
	char text[2048]; /* the result, written out */
} got;

static inline void note(const struct scm_answer *a)
{
	got.count++;
	got.outcome = a->outcome;
	got.scope = a->scope;
	got.status = a->status;
	got.doubtful = a->doubtful;
	got.unknown_commit = a->unknown_commit;
	got.trace = a->trace != NULL;
	assert_int_equal(a->err == NULL, a->outcome == SCM_OK);
	snprintf(got.code, sizeof(got.code), "%s", a->err ? a->err->code : "");
	snprintf(got.message, sizeof(got.message), "%s", a->err ? a->err->message : "");
	got.text[0] = '\0';
	if (running)
		loop_stop(loop);
}

/* Until a completion came. */
static inline void turn(void)
{
	running = true;
	loop_run(loop);
	running = false;
}

static inline int set_up(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	loop = loop_new(&err);
	scm = scm_new(loop, NULL);
	server = (struct scm_server){.capabilities = NEW_SERVER};
	assert_true(url_parse(&server.base, "https://bb.example.com/ctx", &err));
	secret_set(&token, "t0k3n", 5);
	memset(&sent, 0, sizeof(sent));
	memset(&got, 0, sizeof(got));
	sent_count = cancelled_count = 0;
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	scm_free(scm);
	loop_free(loop);
	secret_free(&token);
	return 0;
}

#endif
