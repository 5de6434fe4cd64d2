/*
 * webhook_keeper: makes the webhook of each enabled repository, and keeps it as it should be.
 *
 * One repository's check (one request when all is well):
 *
 *   list --> hook_plan: none of ours --> make it
 *      |                one of ours differs --> put it right
 *      |                more than one of ours --> keep the best, delete the rest
 *      |                as it should be --> look at its last delivery
 *      |-- not permitted --> MANUAL (somebody enters it by hand)
 *      `-- repository not there --> asked for itself: renamed, moved, archived or gone
 *   after making or putting right: a test delivery
 *
 * Ours is what has this instance's id in its URL or name; another instance's, and anybody else's,
 * are never touched.
 *
 * What always holds:
 *  - All are looked at within an hour of `period`, spread out, one after the other per token
 * (faster when a person asks), at the token's pace; nothing of this holds a status update up.
 *  - Each repair is in the audit trail; after HOOKS_REPAIRS of one webhook within a day it is left
 *    alone (HOOK_CONFLICT) until a person asks for it.
 *  - A check that could not be made (server or network) changes nothing but `checked`.
 *  - A connection test is not signed: a failing one makes a webhook FAILING, a good one takes that
 *    back, but not that the target refused a delivery since the webhook was written.
 *  - Of a relayed webhook whose secret somebody took away servers may show nothing. When the inbox
 *    refuses several deliveries in a row it is looked at (once in ten minutes, strangers can do
 *    that too), and written again when the server tells that its own was answered 401 (once a day).
 *  - Another mode, URL or secret is an ordinary difference: the next check puts it right, and at
 *    start and after such a change the checks begin at once.
 */
#ifndef FLOW_WEBHOOK_KEEPER_H
#define FLOW_WEBHOOK_KEEPER_H

#include "flow/dispatcher.h"
#include "flow/inbox.h"
#include "flow/servers.h"
#include "store/audit.h"
#include "store/hooks.h"

struct webhook_options { /* borrowed; strings stay the owner's */
	struct loop *loop;
	struct db *db;
	struct records *records;
	struct hooks *hooks;
	struct audit *audit;
	struct servers *servers;
	struct scm *scm;
	struct dispatcher *dispatcher; /* for the tokens' pace and the servers' health */
	struct inbox *inbox;
	struct bus *bus;
	bool relay;                 /* EYES_EVENTS=relay */
	const char *url_template;   /* EYES_WEBHOOK_URL, or its default */
	const struct url *eyes_url; /* EYES_SERVER_URL; NULL: not configured, direct webhooks wait
	                             */
	const char *organization;   /* EYES_ORG_ID; "": the same */
	const char *own_url;        /* EYES_SCM_PROXY_URL or its default, no trailing slash */
	const struct secret *sign;  /* EYES_WEBHOOK_SECRET: of direct webhooks; NULL: none */
	uint32_t period_ms;         /* an hour; tests make it short */
};

struct webhook_keeper;
struct webhook_keeper *webhook_keeper_new(const struct webhook_options *options);
void webhook_keeper_free(struct webhook_keeper *keeper);
void webhook_keeper_start(struct webhook_keeper *keeper);
/* Begins nothing more; what is under way goes on until webhook_keeper_free. */
void webhook_keeper_stop(struct webhook_keeper *keeper);

/* What came of a check. err is NULL when the webhook is as it should be. borrowed. */
struct webhook_outcome {
	enum hook_state state;
	bool gone; /* there is no webhook of ours any more, and no row: `state` says nothing */
	bool made, repaired;
	const struct scm_delivery *test; /* of the test delivery; NULL when there was none */
	const struct err *err;
	const struct http_trace *trace;
};
typedef void webhook_fn(const struct webhook_outcome *outcome, void *arg);

/* Checks it now and puts it right. `who` is in the audit trail. force: also one in conflict, whose
 * count begins anew. fn (may be NULL) is called once, after the commit, never inside the call;
 * there is no cancel but webhook_keeper_free. */
void webhook_keeper_check(struct webhook_keeper *keeper, uint32_t repo, const char *who, bool force,
    webhook_fn *fn, void *arg);
/* The repository was disabled, its token is still there: deletes the webhook, then the row and the
 * token. Where the server cannot be asked it is tried again, for a week. */
void webhook_keeper_remove(
    struct webhook_keeper *keeper, uint32_t repo, const char *who, webhook_fn *fn, void *arg);
/* Another secret, at the server too; the old one counts for an hour. */
void webhook_keeper_rotate(
    struct webhook_keeper *keeper, uint32_t repo, const char *who, webhook_fn *fn, void *arg);
/* Enabled, a new token, renamed: looked at soon. */
void webhook_keeper_changed(struct webhook_keeper *keeper, uint32_t repo);

#define WEBHOOK_EVENTS 7
extern const char *const webhook_events[WEBHOOK_EVENTS]; /* that a webhook should have */
/* What a person enters by hand. out: the URL, at least 2048 bytes; events: a space between, at
 * least 256. With the relay another secret is made at each call; the one that the server has counts
 * for an hour. Where the webhook is one that is known at the server it is written with the new
 * secret at once, as far as the token may. */
bool webhook_keeper_by_hand(struct webhook_keeper *keeper, uint32_t repo, char *name,
    size_t name_size, char *url, size_t url_size, char *events, size_t events_size,
    struct err *err);

#endif
