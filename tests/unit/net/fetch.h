/*
 * The client's side of the tests: loop, resolver and client together, and requests that note what
 * became of them.
 */
#ifndef UNIT_NET_FETCH_H
#define UNIT_NET_FETCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "net/http_client.h"

struct side {
	struct loop *loop;
	struct resolver *resolver;
	struct http_client *client;
	struct loop_timer guard;
	int pending, finished;
};

struct outcome {
	struct side *side;
	struct http_request *request;
	int calls, status;
	int order; /* the how many-th to finish, from 1 */
	struct err err;
	char body[4096];
	size_t body_length;
	bool sent;
	struct http_trace trace;
	struct url url;
};

static inline void side_start(struct side *side, const struct http_proxy_config *proxy)
{
	struct err err = ERR_INIT;

	memset(side, 0, sizeof *side);
	side->loop = loop_new(&err);
	side->resolver = resolver_new(side->loop, &err);
	side->client = http_client_new(side->loop, side->resolver, proxy, &err);
	assert_non_null(side->client);
}

static inline void side_stop(struct side *side)
{
	http_client_free(side->client);
	resolver_free(side->resolver);
	loop_free(side->loop);
}

static inline void side_stuck(void *arg)
{
	(void)arg;
	fail_msg("nothing happened for 15 s");
}

/* Runs the loop for so long, or until loop_stop. */
static inline void side_stop_loop(void *arg)
{
	loop_stop(arg);
}

static inline void side_run_for(struct side *side, uint64_t ms)
{
	struct loop_timer timer;

	loop_timer_init(&timer, side->loop, side_stop_loop, side->loop);
	loop_timer_set(&timer, ms);
	loop_run(side->loop);
	loop_timer_cancel(&timer);
}

static inline void side_run(struct side *side)
{
	loop_timer_init(&side->guard, side->loop, side_stuck, NULL);
	loop_timer_set(&side->guard, 15000);
	if (side->pending > 0)
		loop_run(side->loop);
	loop_timer_cancel(&side->guard);
}

static inline void outcome_note(const struct http_result *result, void *arg)
{
	struct outcome *outcome = arg;

	outcome->calls++;
	outcome->order = ++outcome->side->finished;
	outcome->status = result->status;
	err_copy(&outcome->err, result->err);
	outcome->body_length = result->body_length;
	snprintf(outcome->body, sizeof outcome->body, "%s", result->body);
	outcome->sent = result->sent;
	outcome->trace = *result->trace;
	outcome->url = *result->url;
	assert_true((result->err == NULL) == (result->head != NULL));
	if (--outcome->side->pending == 0)
		loop_stop(outcome->side->loop);
}

static inline void send_options(
    struct side *side, struct outcome *outcome, const struct http_options *options)
{
	struct err err = ERR_INIT;

	memset(outcome, 0, sizeof *outcome);
	outcome->side = side;
	outcome->request = http_client_send(side->client, options, outcome_note, outcome, &err);
	assert_non_null(outcome->request);
	assert_int_equal(outcome->calls, 0);
	side->pending++;
}

static inline struct url url_at(
    const char *scheme, const char *host, uint16_t port, const char *path)
{
	char text[256];
	struct url url;
	struct err err = ERR_INIT;

	snprintf(text, sizeof text, "%s://%s:%u%s", scheme, host, port, path);
	if (!url_parse(&url, text, &err))
		fail_msg("%s: %s", text, err.message);
	return url;
}

/* The outcome has a whole response, or the error of that code with all its words. */
static inline void assert_status(const struct outcome *outcome, int status)
{
	if (outcome->err.code != NULL)
		fail_msg("%s: %s", outcome->err.code, outcome->err.message);
	assert_int_equal(outcome->calls, 1);
	assert_int_equal(outcome->status, status);
}

static inline void assert_failed(const struct outcome *outcome, const char *code, const char *hop)
{
	if (!err_is(&outcome->err, code))
		fail_msg("%s expected, status %d, %s: %s", code, outcome->status,
		    outcome->err.code != NULL ? outcome->err.code : "no error",
		    outcome->err.message);
	assert_int_equal(outcome->calls, 1);
	assert_int_equal(outcome->status, 0);
	assert_string_equal(outcome->err.hop, hop);
	assert_true(outcome->err.message[0] != '\0');
}

static inline void assert_words(const struct outcome *outcome, const char *words)
{
	if (strstr(outcome->err.message, words) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", words, outcome->err.message);
}

#endif
