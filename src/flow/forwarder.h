/*
 * forwarder: passes the events that wait in the store on to Eyes.
 *
 *   lane (a repository) --first--> SENDING --taken--> done, next of the lane
 *                                     |------temporary--> the whole road pauses (back-off, then one
 *                                     |                   probe at a time until one is taken)
 *                                     |------blocked----> the lane waits for long; others of the
 *                                     |                   road are tried one at a time, soon
 *                                     `------refused----> kept in the dead list, next of the lane
 *
 * A road is an address as it is sent to: each source-control server has its own, unless the
 * template does not name it. Failures are counted for each.
 *
 * What always holds: per lane one request under way, strictly in order; nothing is sent before it
 * is on disk; an event ends only by an answer, the TTL, a person, the removal of its server, or
 * when what it says itself makes no address. While a road takes nothing, it is asked at most once
 * in each step of its back-off, and not before a Retry-After; lanes that have not failed go first,
 * then those that failed in turn. Lanes go in turn, at most `connections` at once, so that one busy
 * repository does not hold the others up; nor does an event that is not taken while others are: its
 * lane alone then waits.
 * Each waiting event is sent at least once; after a crash or a lost group of writes those whose
 * end was not on disk are sent again, in the same order.
 */
#ifndef FLOW_FORWARDER_H
#define FLOW_FORWARDER_H

#include "base/bus.h"
#include "eyes/events.h"
#include "store/audit.h"
#include "store/events.h"
#include "store/records.h"

struct forwarder_options { /* borrowed; strings stay the owner's */
	struct loop *loop;
	struct db *db;
	struct events *events;
	struct records *records;
	struct eyes *eyes; /* NULL while Eyes is not configured: everything waits */
	struct bus *bus;
	const char *url_template;    /* EYES_WEBHOOK_URL or its default */
	const char *github_template; /* EYES_GITHUB_WEBHOOK_URL or its default */
	const char *organization;    /* EYES_ORG_ID */
	const char *instance;        /* of hooks.h */
	const struct secret *sign;   /* EYES_WEBHOOK_SECRET; NULL: unsigned */
	unsigned connections;
};

struct forwarder;
struct forwarder *forwarder_new(const struct forwarder_options *options);
/* Before eyes_free. What is under way is cancelled; it waits. */
void forwarder_free(struct forwarder *forwarder);
void forwarder_start(struct forwarder *forwarder);               /* takes up what waits on disk */
void forwarder_wake(struct forwarder *forwarder, uint32_t lane); /* something was committed */
/* Some of the lane's events were too old and are dead now. */
void forwarder_expired(struct forwarder *forwarder, uint32_t lane);
/* Times were changed from outside (retry), or the key: tries now. */
void forwarder_kick(struct forwarder *forwarder);
/* Eyes answers again elsewhere: what fails is probed now, but for a Retry-After. */
void forwarder_hurry(struct forwarder *forwarder);
/* Sends nothing more; `idle` is called once nothing is under way. */
void forwarder_stop(struct forwarder *forwarder, loop_fn *idle, void *arg);
unsigned forwarder_in_flight(const struct forwarder *forwarder);
/* Whether the event with this number is under way. */
bool forwarder_is_sending(const struct forwarder *forwarder, uint64_t number);

/* Of the road that is worst off. */
struct forwarder_health {      /* borrowed for the turn */
	const char *unready;   /* why nothing is sent: config_missing, account_missing; NULL */
	bool contacted;        /* an answer came since start */
	bool failing, blocked; /* all of a road's events wait */
	int64_t last_ok_ms, failing_since_ms, next_try_ms; /* wall; 0 = none */
	const struct err *err;                             /* NULL while it works */
	const struct http_trace *trace;
	unsigned held; /* repositories whose first event alone is not taken, as held_err says */
	const struct err *held_err;
};
void forwarder_health(const struct forwarder *forwarder, struct forwarder_health *out);

#endif
