/*
 * webhook_internal: what the keeper's rooms share; nobody else includes it.
 *
 *   webhook_keeper.c   the interface, and when which repository is looked at
 *   webhook_check.c    one check on its way: what is there, and what is to be done
 *   webhook_repair.c   making it, putting it right, the test delivery
 *   webhook_finish.c   what came of it
 *   webhook_remove.c   deleting at the server what was disabled here
 *   webhook_row.c      what a webhook should be, and its row in the store
 *
 * A watch waits for its time (due), then in the lane of its token, then it has a check:
 *
 *   due --look--> lane.waiting --pump--> check --webhook_check_end--> due
 *    ^                 ^ asked for by a person: before the others
 *    `-----------------'
 *
 * A lane has one check at a time, or up to ASKED_CHECKS that were asked for; a server at most
 * SERVER_CHECKS. Each step of a check waits for
 * the token's pace (dispatcher_token_wait); a check that nobody asked for also for the keeper's own
 * (BURST, REFILL), for a server that fails, and is not made with a token that is refused.
 */
#ifndef FLOW_WEBHOOK_INTERNAL_H
#define FLOW_WEBHOOK_INTERNAL_H

#include "base/map.h"
#include "flow/hook_plan.h"
#include "flow/webhook_keeper.h"
#include <sys/queue.h>

#define WEBHOOK_BY_ITSELF "eyes-scm" /* in the audit trail */
#define WEBHOOK_URL 4096
#define WEBHOOK_NAME 32

enum webhook_task { WEBHOOK_CHECK, WEBHOOK_REMOVE, WEBHOOK_ROTATE };
struct webhook_request {
	enum webhook_task task;
	bool force;
	unsigned tries; /* that the server put off */
	char *who;
	webhook_fn *fn; /* may be NULL */
	void *arg;
	TAILQ_ENTRY(webhook_request) entry;
};

struct webhook_lane;
struct webhook_check;
struct webhook_watch {
	uint32_t repo;
	uint64_t due_ms; /* monotonic, of the next look; UINT64_MAX: it waits in a lane, or is under
	                    way */
	struct webhook_lane *lane; /* that it waits in, or that its check uses */
	bool waiting;
	struct webhook_check *check;
	unsigned failures;   /* in a row: checks that could not be made */
	unsigned looks;      /* since start */
	bool changed;        /* since its check began: it is looked at again right after */
	uint64_t doubted_ms; /* monotonic, when the inbox had it looked at last; 0: never */
	TAILQ_HEAD(, webhook_request) requests; /* not begun */
	TAILQ_ENTRY(webhook_watch) entry;
};
TAILQ_HEAD(webhook_watches, webhook_watch);

struct webhook_server {
	uint32_t id;
	unsigned running;
	TAILQ_HEAD(, webhook_lane) lanes;
};

struct webhook_lane { /* a token of a server */
	struct webhook_server *server;
	unsigned char fingerprint[CRYPTO_SHA256];
	unsigned running;
	double allowance; /* requests that it may send */
	uint64_t filled_ms;
	struct webhook_watches asked, waiting;
	TAILQ_ENTRY(webhook_lane) entry;
};

struct webhook_keeper {
	struct webhook_options options;
	struct map watches; /* repository -> webhook_watch */
	struct map servers; /* id -> webhook_server */
	struct loop_timer timer;
	uint64_t timer_at;   /* monotonic, 0: not set */
	uint64_t looked_ms;  /* when the watches were gone through last */
	uint64_t doubted_ms; /* when the inbox had one looked at last; 0: never */
	bool stopped;
	TAILQ_HEAD(, webhook_check) checks;
};

/* ---- webhook_keeper.c ---- */

/* When this lane may send a request: 0 now, else a monotonic time; UINT64_MAX: its token is
 * refused. */
uint64_t webhook_lane_wait(
    struct webhook_keeper *keeper, struct webhook_lane *lane, bool asked, uint64_t now_ms);
void webhook_lane_sent(struct webhook_keeper *keeper, struct webhook_lane *lane);
enum webhook_next {
	WEBHOOK_AT_PERIOD, /* its next time of the period */
	WEBHOOK_SOON,      /* it could not be made: with back-off */
	WEBHOOK_AGAIN,     /* the server asked to slow down: as soon as the token may */
	WEBHOOK_NEVER      /* there is nothing to look after any more */
};
/* The check of this watch is over; the watch may be gone afterwards. */
void webhook_watch_done(
    struct webhook_keeper *keeper, struct webhook_watch *watch, enum webhook_next next);

/* ---- webhook_row.c ---- */

struct webhook_target { /* what a webhook should be; freed with webhook_target_free */
	char name[WEBHOOK_NAME];
	char url[WEBHOOK_URL];
	struct secret secret; /* empty: none */
};
/* The row must be there when relay is on, with its secret. */
bool webhook_target(struct webhook_keeper *keeper, const struct record_repo *record,
    bool with_secret, struct webhook_target *out, struct err *err);
void webhook_target_free(struct webhook_target *target);
/* The row of this repository, made when there is none, with a secret in relay mode. */
bool webhook_row_prepare(struct webhook_keeper *keeper, uint32_t repo, struct err *err);
/* A new secret, which the server is to get; the one before counts for an hour. Where the last one
 * has not reached the server for sure, that one stays. */
bool webhook_row_rotate(
    struct webhook_keeper *keeper, uint32_t repo, const char *who, struct err *err);
/* Says why it is not OK; "" takes it away. */
void webhook_row_say(struct record_hook *row, enum hook_state state, const struct err *err);
/* What was given last did not reach the server for sure: it is to be written in any case. */
bool webhook_row_is_unsure(const struct record_hook *row);
/* Takes over what the server told of a delivery; whether the last one known since the webhook was
 * written failed. */
void webhook_row_judge(struct record_hook *row, const struct scm_delivery *delivery);
bool webhook_row_is_failing(const struct record_hook *row);
/* Copies it; its time is now where the server does not say it. */
void webhook_keep_delivery(
    struct scm_delivery *to, char *words, size_t size, const struct scm_delivery *from);
bool webhook_row_put(struct webhook_keeper *keeper, const struct record_hook *row, struct err *err);
void webhook_audit(struct webhook_keeper *keeper, uint32_t repo, const char *who,
    const char *action, const char *detail);

/* ---- webhook_check.c ---- */

struct webhook_check {
	struct webhook_keeper *keeper; /* NULL once it was freed while we wait for a commit */
	struct webhook_watch *watch;
	struct webhook_lane *lane;
	struct webhook_request *request; /* NULL: nobody asked */
	uint32_t repo;
	char project[136], slug[136];
	struct secret token;
	struct webhook_target target;
	struct scm_call *call;
	void (*step)(struct webhook_check *check); /* that waits for the pace */
	struct loop_timer timer;
	uint64_t sent_ms;
	/* what was found */
	char id[64];  /* of the webhook to be replaced; "" */
	char *events; /* that the server knows */
	char **extra; /* ids to be deleted */
	unsigned extra_count;
	unsigned differs;
	struct scm_delivery delivery, test; /* the last one; ours */
	char delivery_words[256], test_words[256];
	/* what was done */
	bool by_hand, counted; /* a person entered it; putting it right counts as a repair */
	bool looked, refused, relisted; /* the repository itself; the put; after a doubtful put */
	bool written, tested, made, repaired, gone;
	enum hook_state was, state;
	struct err err, fault; /* told; of the put that was refused */
	struct http_trace *trace;
	enum webhook_next next;
	TAILQ_ENTRY(webhook_check) entry;
};

/* Begins; the lane is reserved. request may be NULL. */
void webhook_check_start(
    struct webhook_keeper *keeper, struct webhook_watch *watch, struct webhook_request *request);
void webhook_checks_cancel(struct webhook_keeper *keeper);
const char *webhook_check_who(const struct webhook_check *check);
/* Runs step when the token's pace allows it. */
void webhook_check_pace(struct webhook_check *check, void (*step)(struct webhook_check *check));
/* Tells the dispatcher; true when the answer is OK, else the check has taken error and trace over.
 */
bool webhook_check_answered(struct webhook_check *check, const struct scm_answer *answer);
struct server *webhook_check_server(struct webhook_check *check); /* NULL with the check's err */
/* What the driver compares with, or makes. */
struct scm_hook_want webhook_check_want(const struct webhook_check *check, const char *id);
/* The row as it stands now: the inbox writes into it as well. */
bool webhook_check_row(struct webhook_check *check, struct record_hook *row);
/* Steps, each to be given to webhook_check_pace: the repository itself, its webhooks. */
void webhook_look(struct webhook_check *check);
void webhook_list(struct webhook_check *check);
/* Waits for the commit, then tells whoever asked. */
void webhook_check_end(struct webhook_check *check, enum webhook_next next);
void webhook_request_free(struct webhook_request *request);

/* ---- webhook_repair.c ---- */

void webhook_put(struct webhook_check *check); /* a step: makes or replaces it */
/* Deletes duplicates of our own, then tries it where that is called for, then finishes. */
void webhook_delete_extra(struct webhook_check *check);

/* ---- webhook_finish.c: what came of it is written down, and the check ends ---- */

void webhook_finish(struct webhook_check *check); /* it is at the server as it should be */
/* It is not, for the reason in err. */
void webhook_finish_bad(struct webhook_check *check, enum hook_state state);
/* The token may not administer. What was seen to work goes on, but is not looked after. */
void webhook_finish_manual(struct webhook_check *check);
/* The server could not be asked, or does not take the token: nothing is known. */
void webhook_finish_unmade(struct webhook_check *check);

/* ---- webhook_remove.c ---- */

/* Lists, then deletes what is ours, then forgets row and token. */
void webhook_remove_start(struct webhook_check *check);

#endif
