#include "eyes/events.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"
#include "eyes/eyes_call.h"
#include "eyes/eyes_request.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#ifndef EYES_SCM_VERSION
#define EYES_SCM_VERSION "unversioned"
#endif

enum { TEMPLATE_MAX = 4096, BODY_LIMIT = 1024 * 1024, RETRY_AFTER_MS = 3600 * 1000 };
enum { FIRST_BYTE_MS = 30000, TOTAL_MS = 120000 }; /* 10 MiB in two minutes: 0.7 Mbit/s */
enum { LINES_MAX = 4096, PASSED_MAX = 48, HEADERS_MAX = PASSED_MAX + EYES_HEADERS + 2 };
enum { SIGNATURE_SIZE = sizeof("sha256=") + (size_t)2 * CRYPTO_SHA256 };

struct eyes_event_call {
	struct eyes *eyes;
	struct eyes_event_call *next, **link;
	eyes_event_fn *fn;
	void *arg;
	bool ended;
	bool own; /* the address has the Eyes server's origin */
	struct url url;
	struct http_request *request; /* NULL: `failed` says why, at the next turn */
	struct err failed;
	struct loop_timer timer;
};

/* ---- the address ---- */

static bool starts_with(const char *text, const char *begin)
{
	return strncmp(text, begin, strlen(begin)) == 0;
}

/* Scheme and host are written: what follows cannot change where it goes. */
static bool behind_host(const struct buf *out)
{
	const char *host = out->data != NULL ? strstr(out->data, "://") : NULL;

	return host != NULL && strpbrk(host + 3, "/?") != NULL;
}

/* Replaces the placeholder at `text`. Returns its end; NULL with err. */
static const char *put_placeholder(
    struct buf *out, const char *text, const struct eyes_event_place *place, struct err *err)
{
	const struct {
		const char *name, *value;
	} known[] = {
	    {"{orgId}", place->organization},
	    {"{serverId}", place->server_host},
	    {"{serverHost}", place->server_host},
	    {"{instanceId}", place->instance},
	};
	const char *value;

	if (!behind_host(out)) {
		err_set(err, "url_invalid",
		    "Only {EYES_SERVER_URL} may stand before the path of the address");
		return NULL;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!starts_with(text, known[i].name))
			continue;
		value = known[i].value != NULL ? known[i].value : "";
		if (strcmp(value, ".") == 0 || strcmp(value, "..") == 0) {
			err_set(err, "url_invalid", "Dots cannot stand in the place of %s",
			    known[i].name);
			return NULL; /* they would be a way up in the path */
		}
		codec_url_encode(out, value);
		return text + strlen(known[i].name);
	}
	err_set(err, "url_invalid", "There is a placeholder in the address that is none of ours");
	return NULL;
}

static bool expand(
    struct buf *out, const char *text, const struct eyes_event_place *place, struct err *err)
{
	static const char server[] = "{EYES_SERVER_URL}";
	char origin[URL_ORIGIN];

	if (starts_with(text, server)) {
		if (place->server == NULL)
			return err_set(err, "url_invalid", "EYES_SERVER_URL is not set");
		url_origin(place->server, origin, sizeof(origin));
		buf_puts(out, origin);
		buf_puts(out, place->server->path);
		text += sizeof(server) - 1;
		/* "{EYES_SERVER_URL}.example.com" would be another host. */
		if (*text != '/' && *text != '?' && *text != '\0')
			return err_set(err, "url_invalid",
			    "A path or a query follows {EYES_SERVER_URL}, or nothing");
	}
	while (text != NULL && *text != '\0') {
		if (*text == '{') {
			text = put_placeholder(out, text, place, err);
		} else if (*text == '}') {
			err_set(err, "url_invalid", "There is a } in the address without its {");
			text = NULL;
		} else {
			buf_putc(out, *text++);
		}
	}
	if (text != NULL && out->overflow)
		return err_set(
		    err, "url_invalid", "The address is longer than %d bytes", TEMPLATE_MAX);
	return text != NULL;
}

bool eyes_event_url(
    const char *template, const struct eyes_event_place *place, struct url *out, struct err *err)
{
	struct buf text;
	bool good;

	buf_init(&text, TEMPLATE_MAX);
	good = expand(&text, template, place, err);
	/* Parsed for its rules, then resolved: a slash at the end of the path stays. */
	good = good && url_parse(out, text.data != NULL ? text.data : "", err) &&
	       url_resolve(out, out, text.data, err);
	buf_free(&text);
	if (!good) {
		err_hop(err, "this machine");
		err_hint(
		    err, "Check EYES_WEBHOOK_URL (for GitHub's events EYES_GITHUB_WEBHOOK_URL).");
		err_field(err, "EYES_WEBHOOK_URL");
	}
	return good;
}

/* ---- what goes out ---- */

struct outgoing {
	struct http_header list[HEADERS_MAX];
	unsigned count;
	struct eyes_headers own;
	char lines[LINES_MAX]; /* of the passed ones, cut into names and values */
	char signature[SIGNATURE_SIZE];
};

static void put_header(struct outgoing *out, const char *name, const char *value)
{
	out->list[out->count++] = (struct http_header){.name = name, .value = value};
}

/* Of one connection, or said by this program itself. */
static bool passes(const char *name, bool sign)
{
	static const char *const kept[] = {"Host", "Content-Length", "Transfer-Encoding",
	    "Connection", "Keep-Alive", "Upgrade", "TE", "Trailer", "Expect", "Proxy-Authorization",
	    "Proxy-Authenticate", "Proxy-Connection", "Authorization", "Cookie", "Accept",
	    "Content-Type", "User-Agent", "X-Eyes-Api-Key", "x-applitools-eyes-client",
	    "x-applitools-eyes-client-request-id", "Eyes-Date", "Eyes-Expect-Version",
	    "Eyes-Expect"};

	if (sign && strcasecmp(name, "X-Hub-Signature") == 0)
		return false;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (strcasecmp(name, kept[i]) == 0)
			return false;
	return true;
}

static void put_passed(struct outgoing *out, const char *lines, bool sign)
{
	size_t length = lines != NULL ? strlen(lines) : 0;
	char *at = out->lines, *end, *value;

	if (length >= sizeof(out->lines))
		length = 0; /* more than the store keeps: nothing of ours */
	if (length > 0)
		memcpy(out->lines, lines, length);
	out->lines[length] = '\0';
	for (unsigned passed = 0; *at != '\0' && passed < PASSED_MAX; at = end + 1) {
		end = strchr(at, '\n');
		if (end == NULL)
			break;
		*end = '\0';
		value = strchr(at, ':');
		if (value == NULL)
			continue;
		*value++ = '\0';
		value += strspn(value, " ");
		if (!http_is_token(at) || !http_is_value(value) || !passes(at, sign))
			continue;
		put_header(out, at, value);
		passed++;
	}
}

/* "sha256=<hex HMAC-SHA256 of the body>". Source: Bitbucket Data Center, "Manage webhooks". */
static void put_signature(struct outgoing *out, const struct eyes_event *event)
{
	unsigned char mac[CRYPTO_SHA256];

	crypto_hmac_sha256(
	    mac, event->sign->data, event->sign->length, event->body, event->body_length);
	memcpy(out->signature, "sha256=", 7);
	codec_hex_encode(out->signature + 7, mac, sizeof(mac));
	put_header(out, "X-Hub-Signature", out->signature);
}

static void compose(struct outgoing *out, const struct eyes_event_call *call,
    const struct eyes_event *event, const struct eyes_parts *parts)
{
	const char *type = event->content_type;
	bool typed = type != NULL && type[0] != '\0' && http_is_value(type);
	bool sign = event->sign != NULL && event->sign->data != NULL;

	out->count = 0;
	if (call->own) {
		eyes_request_headers(&out->own, parts->instance, eyes_next_number(call->eyes), 0,
		    parts->key, clock_wall_ms());
		for (unsigned i = 0; i < out->own.count; i++)
			if (strcmp(out->own.list[i].name, "Content-Type") != 0)
				out->list[out->count++] = out->own.list[i];
	} else {
		put_header(out, "Accept", "application/json");
		put_header(out, "User-Agent", "eyes-scm/" EYES_SCM_VERSION);
	}
	put_header(out, "Content-Type", typed ? type : "application/json");
	if (sign)
		put_signature(out, event);
	put_passed(out, event->headers, sign);
}

/* ---- what an answer means ---- */

static enum eyes_event_outcome outcome_of(int status)
{
	switch (status) {
	case 401:
	case 403:
	case 404:
	case 405:
	case 410:
	case 501:
		return EYES_EVENT_BLOCKED;
	case 407:
	case 408:
	case 425:
	case 429:
		return EYES_EVENT_TEMPORARY;
	default:
		break;
	}
	if (status / 100 == 2)
		return EYES_EVENT_TAKEN;
	if (status / 100 == 3)
		return EYES_EVENT_BLOCKED;
	return status / 100 == 4 ? EYES_EVENT_REFUSED : EYES_EVENT_TEMPORARY;
}

/* The key that went with it, NULL when none did. */
static const struct secret *key_of(const struct eyes_event_call *call)
{
	struct eyes_parts parts;

	eyes_parts(call->eyes, &parts);
	return call->own ? parts.key : NULL;
}

/* Puts the answer's own words behind the message. */
static void add_words(
    struct err *err, const struct eyes_event_call *call, const struct http_result *result)
{
	size_t used = strlen(err->message);
	struct buf words;

	buf_init(&words, 1024);
	eyes_fault_words(&words, result->head, result->body, result->body_length, key_of(call));
	if (words.length > 0 && used + words.length + 4 <= sizeof(err->message))
		snprintf(err->message + used, sizeof(err->message) - used, " (%s)", words.data);
	buf_free(&words);
}

/* 3xx 404 405 410 501, and 401 403 of a server that gets no key. */
static void fault_address(
    struct err *err, const struct eyes_event_call *call, const struct http_result *result)
{
	bool rights = result->status == 401 || result->status == 403;

	err_set(err, "event_address",
	    rights ? "%s lets no event in (%d)" : "%s does not take events at this address (%d)",
	    call->url.host, result->status);
	err_hop(err, "%s, HTTP %d", call->own ? "Eyes" : "Events", result->status);
	if (rights)
		err_hint(err, "The key goes only to EYES_SERVER_URL. Check EYES_WEBHOOK_URL: the "
		              "server it names has to accept events by their signature.");
	else
		err_hint(err, "Set EYES_WEBHOOK_URL (for GitHub's events EYES_GITHUB_WEBHOOK_URL) "
		              "to the address that Applitools gives you; the default is not "
		              "documented. Nothing is lost until then.");
	add_words(err, call, result);
}

static void fault_refused(
    struct err *err, const struct eyes_event_call *call, const struct http_result *result)
{
	err_set(err, "event_refused", "%s does not accept this event (%d)", call->url.host,
	    result->status);
	err_hop(err, "%s, HTTP %d", call->own ? "Eyes" : "Events", result->status);
	err_hint(err, "It is kept aside. Send it again once the cause is gone, or drop it.");
	add_words(err, call, result);
}

static void fault_status(
    struct err *err, const struct eyes_event_call *call, const struct http_result *result)
{
	enum eyes_event_outcome outcome = outcome_of(result->status);
	bool key = call->own && (result->status == 401 || result->status == 403);

	if (outcome == EYES_EVENT_REFUSED)
		fault_refused(err, call, result);
	else if (outcome == EYES_EVENT_BLOCKED && !key)
		fault_address(err, call, result);
	else
		eyes_fault_status(err, &call->url, result->status, result->head, result->body,
		    result->body_length, key_of(call));
}

static int64_t retry_after_ms(const struct http_head *head)
{
	const char *after = head != NULL ? http_head_get(head, "Retry-After") : NULL;
	const char *date = head != NULL ? http_head_get(head, "Date") : NULL;
	int64_t now_ms;

	if (after == NULL)
		return -1;
	if (date == NULL || !clock_parse_http_date(date, &now_ms))
		now_ms = clock_wall_ms();
	return http_retry_after_ms(after, now_ms, RETRY_AFTER_MS);
}

/* ---- calls ---- */

static void call_unlink(struct eyes_event_call *call)
{
	struct eyes_parts parts;

	eyes_parts(call->eyes, &parts);
	loop_timer_cancel(&call->timer);
	*call->link = call->next;
	if (call->next != NULL)
		call->next->link = call->link;
	call->ended = true;
	loop_defer(parts.loop, free, call);
}

static void call_finish(struct eyes_event_call *call, const struct eyes_event_answer *answer)
{
	call_unlink(call);
	/* eyes may be gone after the completion. */
	call->fn(answer, call->arg);
}

void eyes_event_cancel(struct eyes_event_call *call)
{
	if (call == NULL || call->ended)
		return;
	if (call->request != NULL)
		http_request_cancel(call->request);
	call_unlink(call);
}

static void on_answer(const struct http_result *result, void *arg)
{
	struct eyes_event_call *call = arg;
	struct err err = ERR_INIT;
	struct eyes_event_answer answer = {.outcome = EYES_EVENT_TEMPORARY,
	    .status = result->status,
	    .retry_after_ms = retry_after_ms(result->head),
	    .trace = result->trace};
	struct eyes_parts parts;

	call->request = NULL;
	eyes_parts(call->eyes, &parts);
	if (result->err != NULL) {
		eyes_fault_transport(&err, result->err, &call->url, parts.skew);
	} else {
		answer.outcome = outcome_of(result->status);
		if (answer.outcome != EYES_EVENT_TAKEN)
			fault_status(&err, call, result);
	}
	answer.err = err.code != NULL ? &err : NULL;
	call_finish(call, &answer);
}

static void on_late(void *arg)
{
	struct eyes_event_call *call = arg;

	call_finish(
	    call, &(struct eyes_event_answer){
	              .outcome = EYES_EVENT_REFUSED, .retry_after_ms = -1, .err = &call->failed});
}

static void call_ask(
    struct eyes_event_call *call, const struct eyes_event *event, const struct eyes_parts *parts)
{
	struct outgoing *out = mem_zero(sizeof(*out));
	struct err err = ERR_INIT;

	compose(out, call, event, parts);
	call->request = http_client_send(parts->http,
	    &(struct http_options){
	        .method = "POST",
	        .url = &call->url,
	        .trust = call->url.tls ? parts->trust : NULL,
	        .headers = out->list,
	        .header_count = out->count,
	        .body = event->body != NULL ? event->body : "",
	        .body_length = event->body_length,
	        .body_limit = BODY_LIMIT,
	        .repeatable = true,
	        .connections = parts->connections,
	        .deadlines = {.first_byte = FIRST_BYTE_MS, .total = TOTAL_MS},
	    },
	    on_answer, call, &err);
	free(out);
	if (call->request != NULL)
		return;
	err_set(&call->failed, "event_refused", "This event cannot be sent (%s)", err.message);
	err_hop(&call->failed, "this machine");
	loop_timer_set(&call->timer, 0);
}

struct eyes_event_call *eyes_event_send(
    struct eyes *eyes, const struct eyes_event *event, eyes_event_fn *fn, void *arg)
{
	struct eyes_event_call *call = mem_zero(sizeof(*call));
	struct eyes_parts parts;

	eyes_parts(eyes, &parts);
	call->eyes = eyes;
	call->fn = fn;
	call->arg = arg;
	call->url = *event->url;
	call->own = url_same_origin(&call->url, parts.base);
	loop_timer_init(&call->timer, parts.loop, on_late, call);
	call->link = parts.events;
	call->next = *parts.events;
	if (call->next != NULL)
		call->next->link = &call->next;
	*parts.events = call;
	call_ask(call, event, &parts);
	return call;
}
