/*
 * eyes: the connection to the Eyes server: standard headers, the key, long requests, and the
 * account.
 *
 * Documented by Applitools (REST API v1 and the open SDKs): base {server}/api/v1, key in
 * X-Eyes-Api-Key and never in a URL, Accept, Content-Type, User-Agent, x-applitools-eyes-client,
 * x-applitools-eyes-client-request-id (unique, "#n" added on retry n), Eyes-Date,
 * Eyes-Expect-Version: 2, Eyes-Expect: 202+result. A 202 with Location is a long request: wait
 * Retry-After (else 1 s doubling to 30 s), GET the Location with its host replaced by the
 * configured one; it ends on 400, 401, 403, 410, 500 and on the header x-applitools-dont-retry.
 *
 * One id a call: it is "<number>--<32 hex digits of this process>", and "#n" follows it on the n-th
 * request after the first. A call is sent once; whoever asked decides about trying again. Only
 * inside a long request up to 5 failures in a row (network, 404, 429, 502, 503, 504) are asked
 * again, because the task would be lost. A long request takes 10 minutes at most.
 *
 * Every call calls its completion exactly once, never inside the call, unless cancelled. What a
 * completion gets is borrowed. The key goes only to the configured origin.
 */
#ifndef EYES_EYES_H
#define EYES_EYES_H

#include "net/http_client.h"

struct eyes;
struct eyes_call;

struct eyes_config {              /* copied */
	struct url base;          /* EYES_SERVER_URL */
	const char *organization; /* EYES_ORG_ID */
	unsigned connections;     /* default 4 */
	uint32_t first_poll_ms;   /* long requests: first wait (tests make it short); 0 = 1 s */
};

struct eyes *eyes_new(struct loop *loop, struct http_client *http, struct tls_trust *trust,
    const struct eyes_config *config);
void eyes_free(struct eyes *eyes); /* cancels what is under way */
const struct url *eyes_base(const struct eyes *eyes);
const char *eyes_organization(const struct eyes *eyes);
/* The proxy that leads to Eyes, "proxy host:port"; "" when the way is direct. */
void eyes_way(const struct eyes *eyes, char *out, size_t size);
void eyes_set_key(struct eyes *eyes, const struct secret *key); /* copied; NULL forgets it */
bool eyes_has_key(const struct eyes *eyes);

struct eyes_answer {
	/* NULL for a 2xx; codes eyes_dns eyes_timeout eyes_refused eyes_tls clock_skew proxy_auth
	 * proxy_refused key_unknown key_forbidden rate_limited eyes_4xx eyes_5xx eyes_malformed */
	const struct err *err;
	int status;
	const struct http_head *head; /* NULL when no answer came */
	const char *body;
	size_t body_length;
	int64_t retry_after_ms; /* -1 when not said */
	int64_t server_time_ms; /* from Date, 0 when absent */
	bool refused;           /* 401: the key is not valid any more */
	bool too_large;         /* the body is longer than body_limit */
	const struct http_trace *trace;
};
typedef void eyes_fn(const struct eyes_answer *answer, void *arg);

struct eyes_options {
	const char *method;
	const char *path; /* "/api/v1/..." under the base, already encoded, may have a query; or */
	const struct url *url; /* a whole address of the same origin (Link) */
	const char *body;      /* JSON or NULL */
	size_t body_length;
	size_t body_limit;        /* default 1 MiB */
	uint32_t hold_ms;         /* how much longer than usual the server may take: long poll */
	const struct secret *key; /* instead of the set one: key validation */
	bool repeatable; /* may go out again when a reused connection turns out to be closed */
};
/* Without a key the request goes out without one: that is how reachability is looked at before
 * there is a key. */
struct eyes_call *eyes_send(
    struct eyes *eyes, const struct eyes_options *options, eyes_fn *fn, void *arg);
void eyes_cancel(struct eyes_call *call);

/* GET /api/v1/auth/api-key-validation. */
struct eyes_account {
	const char *team_id, *user, *purpose, *created_by;
	bool read, write, execute, merge;
	int64_t expires_ms; /* wall, 0 = never */
};
bool eyes_account_full(const struct eyes_account *account); /* all four permissions */
/* "read, merge": what is missing of the four, "" when nothing is. out: at least 40 bytes. */
void eyes_account_missing(const struct eyes_account *account, char *out, size_t size);
typedef void eyes_account_fn(
    const struct eyes_answer *answer, const struct eyes_account *account, void *arg);
/* key NULL checks the set one. account is NULL when the answer has an err. */
struct eyes_call *eyes_validate_key(
    struct eyes *eyes, const struct secret *key, eyes_account_fn *fn, void *arg);

#endif
