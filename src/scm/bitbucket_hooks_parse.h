/*
 * bitbucket_hooks_parse: what Bitbucket Server and Data Center answer about webhooks, compared with
 * what is wanted. Pure. As in bitbucket_parse nothing in a body is trusted; unlike there, what is
 * kept is copied and cleaned: a body may hold the secrets of all webhooks in clear, and the
 * document with them is overwritten before the function returns.
 *
 * Sources: REST API 8.19 (Bitbucket Data Center), "Repository": RestWebhook, RestInvocationHistory,
 * RestDetailedInvocation; Bitbucket Server 5.16 to 7.21, "Webhooks". The bodies of the connection
 * test and of the statistics are not fully specified there, and have changed between versions: what
 * is not understood is "unknown" (SCM_DELIVERY_NONE), never an error.
 */
#ifndef SCM_BITBUCKET_HOOKS_PARSE_H
#define SCM_BITBUCKET_HOOKS_PARSE_H

#include "base/err.h"
#include "scm/scm.h"

#define BITBUCKET_HOOKS_MAX (2 * 1024 * 1024) /* bytes of a page of webhooks */
#define BITBUCKET_HOOK_ID 20                  /* with the NUL */

/* Sets of events are masks: bit i is want->events[i]. */

/* What every server with webhooks of its own (5.4) may be asked for, all but what came in 7.0. */
uint32_t bitbucket_events_assumed(const struct scm_hook_want *want);
/* What a webhook must have to be as wanted, on a server that does not say what it knows:
 * pr:modified came in 5.10, so that it may be missing. */
uint32_t bitbucket_events_certain(const struct scm_hook_want *want);
/* GET /rest/webhooks/latest/capabilities */
bool bitbucket_parse_known_events(const char *body, size_t length, const struct scm_hook_want *want,
    uint32_t *known, struct err *err);
/* A 400 whose messages are "the event X is unknown": which X; 0 for any other. */
uint32_t bitbucket_parse_unknown_events(
    const char *body, size_t length, const struct scm_hook_want *want);

struct bitbucket_delivery {
	enum scm_delivered outcome;
	int status;
	int64_t ended_ms;
	char words[240];
};
/* .../statistics/summary and /statistics, .../latest; alone, or by event. */
void bitbucket_parse_delivery(const char *body, size_t length, struct bitbucket_delivery *delivery);
/* The answer to POST .../webhooks/test. */
void bitbucket_parse_test(const char *body, size_t length, struct bitbucket_delivery *delivery);

struct bitbucket_hook {
	char id[BITBUCKET_HOOK_ID];
	char *name, *url;
	unsigned differs;
	unsigned likeness; /* to the wanted one: 3 its id, 2 its URL, 1 its name */
	bool has_statistics;
	struct bitbucket_delivery delivery;
};
struct bitbucket_hooks { /* of all pages */
	struct bitbucket_hook *list;
	unsigned count;
};
struct bitbucket_compare {
	const struct scm_hook_want *want;
	uint32_t wanted;  /* the webhook may have these ... */
	uint32_t certain; /* ... and must have these */
};
/*
 * A page, behind those of the pages before. next: 0 at the end. Some versions answer with the bare
 * array. False, with the list as it was, when one of them cannot be told from another (no id), and
 * with code "too_many" when there are more than SCM_HOOKS_MAX.
 */
bool bitbucket_parse_hooks(const char *body, size_t length, uint64_t start,
    const struct bitbucket_compare *compare, struct bitbucket_hooks *hooks, uint64_t *next,
    struct err *err);
void bitbucket_hooks_free(struct bitbucket_hooks *hooks);

struct bitbucket_hook_brief {
	char id[BITBUCKET_HOOK_ID];
	bool tells_ssl, ssl; /* sslVerificationRequired */
};
/* One webhook, as POST, PUT and GET .../{id} give it. */
bool bitbucket_parse_hook(
    const char *body, size_t length, struct bitbucket_hook_brief *brief, struct err *err);

#endif
