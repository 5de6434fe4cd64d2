/*
 * events: one event passed on to Eyes.
 *
 * Where Eyes takes Bitbucket's events is not documented by Applitools; this program's default,
 * {EYES_SERVER_URL}/api/externals/bitbucket/events?orgId={orgId}&serverId={serverHost}, follows the
 * form that is known of GitHub's, and can be changed (EYES_WEBHOOK_URL, EYES_GITHUB_WEBHOOK_URL).
 * The key goes only to that origin, together with the headers of eyes.h; any other gets neither.
 * The body is passed on byte for byte.
 *
 * Each call calls its completion exactly once, never inside the call, unless cancelled, also by
 * eyes_free. What it gets is borrowed.
 *
 * Memory: the body is copied once, into the request, which keeps it until the answer came (a buffer
 * that grows by doubling: up to twice the body), and once more while it is being written out. A
 * body of 10 MiB takes 30 MiB at most, for each call under way.
 *
 * A connection that turns out to be closed before a byte of the answer is asked once more: an event
 * is passed on at least once, and Bitbucket's X-Request-Id tells the receiver that it is the same.
 */
#ifndef EYES_EVENTS_H
#define EYES_EVENTS_H

#include "eyes/eyes.h"

struct eyes_event_place {         /* borrowed */
	const struct url *server; /* EYES_SERVER_URL: eyes_base(); NULL while it is not set */
	const char *organization; /* EYES_ORG_ID */
	const char *server_host;  /* of the source-control server; "" for GitHub's */
	const char *instance;     /* of this program's store */
};
/*
 * The address made from a template: {EYES_SERVER_URL} at its beginning by origin and path of the
 * server, {orgId}, {serverId}, {serverHost} and {instanceId} URL-encoded. Nothing put in can change
 * the host. False with err (code url_invalid) when it is no http(s) URL then.
 */
bool eyes_event_url(const char *template, const struct eyes_event_place *place, struct url *out,
    struct err *err) __attribute__((warn_unused_result));

enum eyes_event_outcome {
	EYES_EVENT_TAKEN,     /* 2xx */
	EYES_EVENT_TEMPORARY, /* not reached, 407, 408, 425, 429, 5xx but 501: again later */
	EYES_EVENT_BLOCKED, /* 401, 403: the key; 404, 405, 410, 501, 3xx: the address. Nothing goes
	                       until an administrator acts; one is tried now and then */
	EYES_EVENT_REFUSED  /* any other 4xx, or it cannot be sent: not taken, ever */
};
struct eyes_event_answer {
	enum eyes_event_outcome outcome;
	int status;             /* 0 when there was none */
	int64_t retry_after_ms; /* -1 when not said; at most an hour */
	const struct err *err;  /* NULL when taken; codes as in eyes.h, "event_address" and
	                           "event_refused" */
	const struct http_trace *trace;
};
typedef void eyes_event_fn(const struct eyes_event_answer *answer, void *arg);

struct eyes_event { /* borrowed for the call */
	const struct url *url;
	const char *content_type;
	/*
	 * "Name: value\n" lines, passed on as they are. Left out is what belongs to one connection
	 * (Host, Content-Length, Connection ...), what this program says itself (Accept,
	 * User-Agent, Content-Type, the key and the headers of eyes.h), an incoming signature where
	 * `sign` makes a new one, and what is no header.
	 */
	const char *headers;
	/* NULL: unsigned; else a new X-Hub-Signature: sha256=<hex HMAC> is made with it */
	const struct secret *sign;
	const void *body;
	size_t body_length;
};
struct eyes_event_call;
struct eyes_event_call *eyes_event_send(
    struct eyes *eyes, const struct eyes_event *event, eyes_event_fn *fn, void *arg);
void eyes_event_cancel(struct eyes_event_call *call);

#endif
