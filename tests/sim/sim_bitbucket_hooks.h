/*
 * sim_bitbucket_hooks: webhooks of the simulated Bitbucket, and the events that it delivers.
 *
 * REST, below /rest/api/{1.0|latest}/projects/{}/repos/{} (Atlassian's OpenAPI documents of
 * Bitbucket Data Center 8.5 to 9.4, "Webhooks"; older versions: "Bitbucket Server REST API 5.16").
 * All of it needs REPO_ADMIN, writes also X-Atlassian-Token: no-check:
 *   GET    /webhooks?event=&statistics=true   a page          POST /webhooks          201
 *   GET    /webhooks/{id}                                     PUT  /webhooks/{id}     200
 *   DELETE /webhooks/{id}                     204             POST /webhooks/test?url=
 *   GET    /webhooks/{id}/latest?event=&outcome=              204 when there is none
 *   GET    /webhooks/{id}/statistics?event=   counts, lastSuccess, lastFailure, lastError
 *   GET    /webhooks/{id}/statistics/summary  the same by event (setup: summary_by_event)
 *   GET    /rest/webhooks/{v}/capabilities    404 before 6.5
 * The form of the answer to a test is not documented (RestWebhookRequestResponse has no members in
 * the OpenAPI document); clients in the field know {"request":{url, method, headers, body},
 * "response":{status, headers, body}}, and without a response there is none here but
 * {"exception":{"message"}} in its place.
 *
 * Deliveries (Atlassian, "Event payload", "Manage webhooks", and BSERV-14285 for the formula): a
 * POST with Content-Type application/json; charset=utf-8, X-Event-Key, X-Request-Id (a UUID) and,
 * when the webhook has a secret, X-Hub-Signature: sha256=<hex HMAC-SHA256 of the body>. 10 s for
 * the answer; 2xx is a success, other statuses a failure, no answer an error. Nothing is ever sent
 * again: the event is lost. After five failures or errors in a row deliveries of the webhook are
 * skipped for 10 s, and with each further one for 1.2 times as long, up to 10 h.
 *
 * Control API:
 *   POST /sim/setup   also takes
 *     "mask_secrets": "no" (default: GET answers with the secret in clear), "stars", "omit"
 *     "summary_by_event": true      "iso_dates": by version (from 10.0), or true, false
 *     "time_scale": 1.0             factor of the 10 s and 10 h above; not of the next
 *     "delivery_timeout_ms": 10000  "delivery_connections": 5
 *     "in_flight_max": 0            more than so many at once are skipped (Bitbucket: 250); 0: none
 *     "base_url": "https://..."     what stands in payloads; default is our own
 *     "rename": {"PRJ/old":"PRJ2/new"}, "moved": "redirect" (default), "follow", "gone"
 *     Bitbucket keeps the old address of a renamed or moved repository: users of its REST API
 *     see a 3xx to the new one (atlassian-api/atlassian-python-api#415,
 *     zarplata/concourse-git-bitbucket-pr-resource#39); "follow" answers in place.
 *   POST /sim/push    {"repository":"PRJ/slug","ref":"refs/heads/main","commit":"<40 hex>" (made),
 *     "from":"<40 hex>" (the last one of the ref), "delete":false, "user":"jane", "pad":0,
 *     "count":1} -> {"events":n,"deliveries":n,"since":n,"commit":"...","request_ids":[...]}
 *     adds the commit and fires repo:refs_changed. pad: the body is grown to so many bytes. count:
 *     so many pushes, each of another commit, delivered with at most 200 in flight. since: for GET
 *     /sim/deliveries; request_ids: of the first event, one for each webhook that takes it.
 *     409: the repository is archived.
 *   POST /sim/pull-request {"repository","action":"opened"|"modified"|"from_ref_updated"|"merged"|
 *     "declined"|"deleted", "id":1,"title","from_ref","to_ref","commit","user","pad","count"}:
 *     the same with pr:<action>
 *   GET  /sim/webhooks    ?repository= -> {"webhooks":[{"id","repository","name","url","events",
 *     "active","secret_sha256" (null: none),"created_ms","updated_ms","failures" (in a row),
 *     "skipped_for_ms","successes","failed","errors","skipped"}]}
 *   GET  /sim/deliveries  ?repository=&webhook=&event=&request_id=&since=&limit= -> {"last":n,
 *     "pending":n,"deliveries":[{"number","webhook","repository","url","event","request_id",
 *     "outcome":"pending"|"success"|"failure"|"error"|"skipped","status","error","ms","started_ms",
 *     "sha256","size","signed","again" (the number of the first one, 0: it is the first)}]}: the
 *     last --deliveries N
 *   POST /sim/redeliver   {"numbers":[n...]} or {"request_ids":[...]} or {"all":true}, with
 *     "repository", "times":1 -> {"deliveries":n,"since":n}: the same body, request id and
 * signature once more, to the webhook's present address. (Bitbucket itself never does that; a proxy
 *     before the target may.) 410: the body is not kept any more.
 *   GET  /sim/state       adds webhooks, deliveries{started,pending,success,failure,error,skipped}
 */
#ifndef SIM_BITBUCKET_HOOKS_H
#define SIM_BITBUCKET_HOOKS_H

#include "base/crypto.h"
#include "sim/sim_bitbucket.h"
#include "sim/sim_out.h"

#define HOOK_EVENTS 21
#define HOOK_PENDING_MAX 200 /* of one burst at once */

enum hook_outcome {
	HOOK_PENDING,
	HOOK_SUCCESS,
	HOOK_FAILURE,
	HOOK_ERROR,
	HOOK_SKIPPED,
	HOOK_OUTCOMES
};
extern const char *const hook_outcome_names[HOOK_OUTCOMES];

/* What Bitbucket remembers of one delivery for statistics. */
struct hook_invocation {
	uint64_t id; /* 0: there was none */
	int64_t start_ms, finish_ms;
	int status;
	char description[160];
	char *url;
};

struct hook_statistics {
	struct hook_invocation last[HOOK_OUTCOMES];
	uint64_t counts[HOOK_OUTCOMES];
	int64_t since_ms;
};

struct hook {
	struct hook *next;
	uint64_t id;
	uint32_t repository;
	char *name, *url;
	uint32_t events;       /* bits, by index in hook_events */
	json_t *configuration; /* an object, with or without "secret" */
	bool active, ssl_verification;
	char *username; /* of credentials; NULL */
	int64_t created_ms, updated_ms;
	struct hook_statistics statistics[HOOK_EVENTS];
	unsigned failures; /* in a row */
	uint64_t skipped_until_us;
};

struct hook_delivery {
	uint64_t number; /* 0: never used */
	uint64_t hook, again;
	struct hooks *hooks;
	struct hook_burst *burst;
	struct http_request *request;
	uint32_t repository;
	unsigned event;
	char request_id[40];
	char signature[80]; /* "" when unsigned */
	unsigned char sha256[CRYPTO_SHA256];
	char *url, *body; /* body: NULL when it is not kept any more */
	size_t length;
	int64_t started_ms;
	uint64_t started_us;
	enum hook_outcome outcome;
	int status;
	uint32_t ms;
	char error[160];
};

/* What is pushed, or becomes of a pull request. */
struct hook_happening {
	uint32_t repository;
	unsigned event;
	char *ref, *to_ref, *title, *user;
	unsigned char commit[20], from[20];
	bool is_delete;
	int64_t id;
	size_t pad;
};

struct hook_burst {
	struct hook_burst *next;
	struct hooks *hooks;
	struct hook_happening what;
	uint64_t left, pending;
};

struct hook_test;
struct hooks {
	struct bitbucket *bb;
	struct sim_out *out;
	struct hook *first, **last;
	uint64_t last_id, count;
	struct hook_delivery *ring;
	uint64_t ring_size, last_delivery, pending, oldest_body;
	size_t body_bytes; /* kept in the ring */
	uint64_t outcomes[HOOK_OUTCOMES];
	struct hook_burst *bursts;
	struct hook_test *tests; /* under way */
	struct map heads;        /* "repository/ref" -> malloc'ed 20 bytes: the last commit */
	bool stopping;
	/* POST /sim/setup */
	int mask;      /* 0 no, 1 stars, 2 omit */
	int iso_dates; /* -1: by version */
	bool summary_by_event;
	double time_scale;
	uint32_t timeout_ms;
	unsigned connections, in_flight_max;
	char *base_url; /* NULL: our own */
};

/* sim_bitbucket_hooks.c */
struct hooks *hooks_new(struct bitbucket *bb, uint64_t ring_size);
void hooks_free(struct hooks *hooks);
/* all: webhooks and settings too, not only what happened. */
void hooks_reset(struct hooks *hooks, bool all);
struct hook *hooks_find(const struct hooks *hooks, uint64_t id);
const char *hook_secret(const struct hook *hook); /* NULL: none */
/* The webhook of variable 2, when the caller administers its repository; NULL: it has answered. */
struct hook *bitbucket_enter_hook(
    struct sim_request *request, struct bitbucket *bb, bool write, bool has_body);
sim_route_fn bitbucket_list_webhooks, bitbucket_post_webhook, bitbucket_get_webhook;
sim_route_fn bitbucket_put_webhook, bitbucket_delete_webhook;

/* sim_bitbucket_hook_events.c: which events there are, and what webhooks are checked for */
const char *hook_event_key(unsigned event);
/* The index of an event that this version knows, or -1. */
int hook_event_find(const struct bitbucket *bb, const char *key);
sim_route_fn bitbucket_webhook_capabilities;
/* Fills a webhook from a body; false when it has answered. */
bool hook_read(
    struct sim_request *request, struct bitbucket *bb, const json_t *json, struct hook *hook);

/* sim_bitbucket_hook_history.c */
json_t *hook_time(const struct hooks *hooks, int64_t ms);
json_t *hook_history_json(const struct hooks *hooks, const struct hook *hook, int event);
void hook_note(struct hook *hook, const struct hook_delivery *delivery);
void hook_statistics_clear(struct hook *hook);
sim_route_fn bitbucket_webhook_latest, bitbucket_webhook_statistics, bitbucket_webhook_summary;

/* sim_bitbucket_hook_test.c */
sim_route_fn bitbucket_test_webhook;
void hook_tests_free(struct hooks *hooks);

/* sim_bitbucket_hook_deliver.c */
void hook_uuid(char out[40]);
/* How many webhooks take it. */
unsigned hooks_takers(const struct hooks *hooks, const struct hook_happening *what);
/* Takes over what is allocated in `what`. */
void hooks_fire(struct hooks *hooks, struct hook_happening *what, uint64_t count);
/* Once more; false when its body is gone. */
bool hooks_again(struct hooks *hooks, struct hook_delivery *delivery);
void hooks_forget_deliveries(struct hooks *hooks);
const char *hooks_user_agent(const struct hooks *hooks, char out[128]);

/* sim_bitbucket_hook_payload.c */
void hook_payload(const struct hooks *hooks, const struct hook_happening *what, struct buf *out);

/* sim_bitbucket_hook_control.c */
sim_route_fn bitbucket_post_push, bitbucket_post_pull_request, bitbucket_redeliver;
sim_route_fn bitbucket_control_webhooks, bitbucket_control_deliveries;
void hooks_state(const struct hooks *hooks, json_t *state);
bool hooks_setup(struct hooks *hooks, const json_t *json, struct err *err);

#endif
