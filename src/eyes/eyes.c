/*
 * A call, and what moves it on:
 *
 *   NEW ── call_ask ──▶ ASKING ── call_answered ──▶ call_finish ──▶ gone at the end of the turn
 *    ▲                  ▲    │
 *    │ eyes_send        │    │ 202 + Location (call_accepted), or a failure inside a long request
 *                 timer └─ WAITING ◀┘
 *
 * What cannot be sent goes from NEW to WAITING with `failed` set, and finishes at the next turn.
 */
#include "eyes/eyes.h"

#include "base/codec.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "eyes/events.h"
#include "eyes/eyes_call.h"
#include "eyes/eyes_fault.h"
#include "eyes/eyes_request.h"
#include <stdlib.h>
#include <string.h>

enum { CONNECTIONS = 4, BODY_LIMIT = 1024 * 1024, FAILURES_MAX = 5 };
enum { FIRST_BYTE_MS = 30000, TOTAL_MS = 60000, LONG_MS = 10 * 60000, RETRY_AFTER_MS = 3600000 };
enum { SKEW_WARN_MS = 5 * 60000 };

enum call_state { CALL_NEW, CALL_ASKING, CALL_WAITING, CALL_ENDED };

struct eyes {
	struct loop *loop;
	struct http_client *http;
	struct tls_trust *trust;
	struct url base;
	char *organization;
	unsigned connections;
	uint32_t first_poll_ms;
	struct secret key;
	char instance[33];
	uint64_t numbers;
	struct eyes_call *calls;
	struct eyes_event_call *events;
	struct eyes_skew skew;
	struct log_limit skew_said;
};

struct eyes_call {
	struct eyes *eyes;
	struct eyes_call *next, **link;
	enum call_state state;
	eyes_fn *fn;
	void *arg;
	loop_fn *drop;

	/* the request; the first three change when it turns out to be a long one */
	const char *method; /* points to given_method or is a literal */
	struct url url;
	char *body;
	size_t body_length;
	char *given_method;
	size_t body_limit;
	uint32_t hold_ms;
	struct secret key; /* instead of that of eyes; empty when none was given */
	bool repeatable;

	uint64_t number;
	unsigned repeats;  /* requests after the first */
	unsigned waits;    /* 202 answers so far; 0: not a long request */
	unsigned failures; /* in a row, inside a long request */
	uint64_t started_ms;
	struct err failed; /* code NULL unless there is nothing to send */
	struct http_request *request;
	struct loop_timer timer;
};

static void call_wake(void *arg);

static struct metric answers_ok = METRIC(METRIC_COUNTER, "eyes_scm_eyes_requests_total",
    "outcome=\"ok\"", "Calls to the Eyes server that ended.");
static struct metric answers_failed = METRIC(METRIC_COUNTER, "eyes_scm_eyes_requests_total",
    "outcome=\"failed\"", "Calls to the Eyes server that ended.");

/* ---- the connection ---- */

struct eyes *eyes_new(struct loop *loop, struct http_client *http, struct tls_trust *trust,
    const struct eyes_config *config)
{
	struct eyes *eyes = mem_zero(sizeof(*eyes));
	unsigned char instance[16];

	crypto_random(instance, sizeof(instance));
	codec_hex_encode(eyes->instance, instance, sizeof(instance));
	eyes->loop = loop;
	eyes->http = http;
	eyes->trust = trust != NULL ? tls_trust_ref(trust) : NULL;
	eyes->base = config->base;
	eyes->organization = mem_string(config->organization != NULL ? config->organization : "");
	eyes->connections = config->connections != 0 ? config->connections : CONNECTIONS;
	eyes->first_poll_ms = config->first_poll_ms;
	return eyes;
}

void eyes_free(struct eyes *eyes)
{
	if (eyes == NULL)
		return;
	while (eyes->calls != NULL)
		eyes_cancel(eyes->calls);
	while (eyes->events != NULL)
		eyes_event_cancel(eyes->events);
	tls_trust_unref(eyes->trust);
	secret_free(&eyes->key);
	free(eyes->organization);
	free(eyes);
}

const struct url *eyes_base(const struct eyes *eyes)
{
	return &eyes->base;
}

const char *eyes_organization(const struct eyes *eyes)
{
	return eyes->organization;
}

void eyes_way(const struct eyes *eyes, char *out, size_t size)
{
	char proxy[320];

	http_client_proxy_for(eyes->http, &eyes->base, proxy, sizeof(proxy));
	snprintf(out, size, "%s%s", proxy[0] != '\0' ? "proxy " : "", proxy);
}

void eyes_set_key(struct eyes *eyes, const struct secret *key)
{
	secret_free(&eyes->key);
	if (key != NULL)
		secret_set(&eyes->key, key->data, key->length);
}

bool eyes_has_key(const struct eyes *eyes)
{
	return eyes->key.length > 0;
}

void eyes_parts(struct eyes *eyes, struct eyes_parts *out)
{
	*out = (struct eyes_parts){.loop = eyes->loop,
	    .http = eyes->http,
	    .trust = eyes->trust,
	    .base = &eyes->base,
	    .key = &eyes->key,
	    .instance = eyes->instance,
	    .skew = &eyes->skew,
	    .connections = eyes->connections,
	    .events = &eyes->events};
}

uint64_t eyes_next_number(struct eyes *eyes)
{
	return ++eyes->numbers;
}

/* ---- the end of a call ---- */

static void call_free(void *arg)
{
	struct eyes_call *call = arg;

	secret_free(&call->key);
	free(call->given_method);
	free(call->body);
	free(call);
}

/* Takes the call away from everything; its memory goes at the end of the turn. */
static void call_unlink(struct eyes_call *call)
{
	loop_timer_cancel(&call->timer);
	*call->link = call->next;
	if (call->next != NULL)
		call->next->link = call->link;
	call->state = CALL_ENDED;
	loop_defer(call->eyes->loop, call_free, call);
}

static void call_finish(struct eyes_call *call, const struct eyes_answer *answer)
{
	metric_add(answer->err == NULL ? &answers_ok : &answers_failed, 1);
	call_unlink(call);
	/* eyes may be gone after the completion. */
	call->fn(answer, call->arg);
	if (call->drop != NULL)
		call->drop(call->arg);
}

void eyes_cancel(struct eyes_call *call)
{
	if (call == NULL || call->state == CALL_ENDED)
		return;
	if (call->request != NULL)
		http_request_cancel(call->request);
	call->request = NULL;
	call_unlink(call);
	if (call->drop != NULL)
		call->drop(call->arg);
}

static void call_fail(struct eyes_call *call, const struct err *err)
{
	call_finish(call, &(struct eyes_answer){.err = err, .retry_after_ms = -1});
}

/* ---- answers ---- */

static void note_clock(struct eyes *eyes, int64_t server_ms, int64_t wall_ms)
{
	if (server_ms == 0)
		return;
	eyes->skew = (struct eyes_skew){.known = true, .ms = server_ms - wall_ms};
	if (llabs(eyes->skew.ms) >= SKEW_WARN_MS)
		log_limited_warn(&eyes->skew_said, "eyes",
		    "this machine's clock differs from that of Eyes: set it (NTP)",
		    log_int("off_s", -eyes->skew.ms / 1000));
}

static void read_answer(
    struct eyes *eyes, const struct http_result *result, struct eyes_answer *answer)
{
	const char *date = result->head != NULL ? http_head_get(result->head, "Date") : NULL;
	const char *after =
	    result->head != NULL ? http_head_get(result->head, "Retry-After") : NULL;
	int64_t wall_ms = clock_wall_ms();

	*answer = (struct eyes_answer){
	    .status = result->status,
	    .head = result->head,
	    .body = result->body,
	    .body_length = result->body_length,
	    .refused = result->status == 401,
	    .too_large = err_is(result->err, "http_too_large"),
	    .trace = result->trace,
	};
	if (date != NULL && !clock_parse_http_date(date, &answer->server_time_ms))
		answer->server_time_ms = 0;
	note_clock(eyes, answer->server_time_ms, wall_ms);
	answer->retry_after_ms =
	    after != NULL ? http_retry_after_ms(after,
	                        answer->server_time_ms != 0 ? answer->server_time_ms : wall_ms,
	                        RETRY_AFTER_MS)
	                  : -1;
}

static void call_wait(struct eyes_call *call, uint64_t wait_ms)
{
	uint64_t gone_ms = clock_monotonic_ms() - call->started_ms;
	uint64_t left_ms = gone_ms < LONG_MS ? LONG_MS - gone_ms : 0;

	call->state = CALL_WAITING;
	if (wait_ms >= left_ms) {
		err_set(&call->failed, "eyes_timeout", "Eyes does not finish within %d min",
		    LONG_MS / 60000);
		err_hop(&call->failed, "Eyes, HTTP 202");
		err_hint(&call->failed,
		    "Nothing to do here: tried again by itself, and nothing is lost.");
		wait_ms = left_ms;
	}
	loop_timer_set(&call->timer, wait_ms);
}

static bool says_stop(const struct eyes_answer *answer)
{
	return answer->head != NULL &&
	       http_head_get(answer->head, "x-applitools-dont-retry") != NULL;
}

/* A 202 with Location: from now on that is what is asked for. */
static void call_accepted(struct eyes_call *call, const struct eyes_answer *answer)
{
	struct url url;
	struct err err = ERR_INIT;

	if (!eyes_request_location(&url, &call->eyes->base, &call->url,
	        http_head_get(answer->head, "Location"), &err)) {
		struct eyes_answer bad = *answer;
		struct err words;
		eyes_fault_malformed(&words, &call->eyes->base, answer->status, &err);
		bad.err = &words;
		call_finish(call, &bad);
		return;
	}
	call->url = url;
	call->method = "GET";
	free(call->body);
	call->body = NULL;
	call->body_length = 0;
	call->repeatable = true;
	call->failures = 0;
	call_wait(call,
	    eyes_request_wait_ms(answer->retry_after_ms, call->waits, call->eyes->first_poll_ms));
	call->waits++;
}

/* Inside a long request: whether to ask once more instead of giving the task up. */
static bool worth_repeating(const struct eyes_call *call, const struct eyes_answer *answer)
{
	if (call->waits == 0 || call->failures >= FAILURES_MAX || says_stop(answer) ||
	    answer->too_large)
		return false;
	switch (answer->status) {
	case 0:
	case 404:
	case 429:
	case 502:
	case 503:
	case 504:
		return true;
	default:
		return false;
	}
}

static void call_answered(const struct http_result *result, void *arg)
{
	struct eyes_call *call = arg;
	struct eyes *eyes = call->eyes;
	struct eyes_answer answer;
	struct err err = ERR_INIT;

	call->request = NULL;
	read_answer(eyes, result, &answer);
	bool ok = result->err == NULL && answer.status / 100 == 2;
	bool accepted =
	    ok && answer.status == 202 && http_head_get(answer.head, "Location") != NULL;

	if (accepted && !says_stop(&answer)) {
		call_accepted(call, &answer);
		return;
	}
	if (!ok && worth_repeating(call, &answer)) {
		call_wait(call, eyes_request_wait_ms(
		                    answer.retry_after_ms, call->failures, eyes->first_poll_ms));
		call->failures++;
		return;
	}
	if (result->err != NULL)
		eyes_fault_transport(&err, result->err, &eyes->base, &eyes->skew);
	else if (!ok || accepted)
		eyes_fault_status(&err, &eyes->base, answer.status, answer.head, answer.body,
		    answer.body_length, call->key.data != NULL ? &call->key : &eyes->key);
	answer.err = err.code != NULL ? &err : NULL;
	call_finish(call, &answer);
}

/* ---- sending ---- */

static void call_ask(struct eyes_call *call)
{
	struct eyes *eyes = call->eyes;
	struct eyes_headers headers;
	struct err err = ERR_INIT;

	eyes_request_headers(&headers, eyes->instance, call->number, call->repeats,
	    call->key.data != NULL ? &call->key : &eyes->key, clock_wall_ms());
	call->repeats++;
	call->state = CALL_ASKING;
	call->request = http_client_send(eyes->http,
	    &(struct http_options){
	        .method = call->method,
	        .url = &call->url,
	        .trust = call->url.tls ? eyes->trust : NULL,
	        .headers = headers.list,
	        .header_count = headers.count,
	        .body = call->body,
	        .body_length = call->body_length,
	        .body_limit = call->body_limit,
	        .repeatable = call->repeatable,
	        .connections = eyes->connections,
	        .deadlines = {.first_byte = FIRST_BYTE_MS + call->hold_ms,
	            .total = TOTAL_MS + call->hold_ms},
	    },
	    call_answered, call, &err);
	if (call->request == NULL) {
		err_set(&call->failed, "eyes_malformed", "This cannot be sent to Eyes (%s)",
		    err.message);
		err_hop(&call->failed, "this machine");
		call->state = CALL_WAITING;
		loop_timer_set(&call->timer, 0);
	}
}

static void call_wake(void *arg)
{
	struct eyes_call *call = arg;

	if (call->failed.code != NULL)
		call_fail(call, &call->failed);
	else
		call_ask(call);
}

static bool choose_address(
    struct eyes_call *call, const struct eyes_options *options, struct err *err)
{
	const struct url *base = &call->eyes->base;
	char there[320];

	if (options->url == NULL) {
		struct err why = ERR_INIT;
		if (eyes_request_url(&call->url, base, options->path, &why))
			return true;
		err_set(err, "eyes_malformed", "This cannot be sent to Eyes (%s)", why.message);
		err_hop(err, "this machine");
		return false;
	}
	call->url = *options->url;
	if (url_same_origin(options->url, base))
		return true;
	url_origin(options->url, there, sizeof(there));
	err_set(err, "eyes_malformed", "Eyes leads to another server, %s", there);
	err_hop(err, "Eyes, HTTP");
	err_hint(err, "Set EYES_SERVER_URL to the address that Eyes itself uses.");
	return false;
}

struct eyes_call *eyes_send_with(
    struct eyes *eyes, const struct eyes_options *options, eyes_fn *fn, void *arg, loop_fn *drop)
{
	struct eyes_call *call = mem_zero(sizeof(*call));

	call->eyes = eyes;
	call->fn = fn;
	call->arg = arg;
	call->drop = drop;
	call->given_method = mem_string(options->method);
	call->method = call->given_method;
	if (options->body != NULL)
		call->body = mem_bytes(options->body, options->body_length);
	call->body_length = options->body_length;
	call->body_limit = options->body_limit != 0 ? options->body_limit : BODY_LIMIT;
	call->hold_ms = options->hold_ms;
	if (options->key != NULL)
		secret_set(&call->key, options->key->data, options->key->length);
	call->repeatable = options->repeatable;
	call->number = eyes_next_number(eyes);
	call->started_ms = clock_monotonic_ms();
	loop_timer_init(&call->timer, eyes->loop, call_wake, call);
	call->link = &eyes->calls;
	call->next = eyes->calls;
	if (call->next != NULL)
		call->next->link = &call->next;
	eyes->calls = call;

	if (choose_address(call, options, &call->failed)) {
		call_ask(call);
	} else {
		call->state = CALL_WAITING;
		loop_timer_set(&call->timer, 0);
	}
	return call;
}

struct eyes_call *eyes_send(
    struct eyes *eyes, const struct eyes_options *options, eyes_fn *fn, void *arg)
{
	return eyes_send_with(eyes, options, fn, arg, NULL);
}
