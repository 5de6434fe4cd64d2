/*
 * forwarder_internal: what the forwarder's rooms share; nobody else includes it.
 *
 *   forwarder.c          which lane goes next, timers, the interface
 *   forwarder_send.c     one event on its way: sending, the answer, whose fault a failure is
 *   forwarder_address.c  where an event goes to
 *   forwarder_road.c     how a road is: working, failing, blocked, paused until
 *
 * A road is an address as it is asked, so mostly one for each source-control server: what goes
 * wrong on one of them does not hold the others up. There is one for each address that lanes wait
 * for, and some of those that were used last.
 *
 * After a failure a road sends one event at a time until one is taken. That one comes from a lane
 * that has not failed since, where there is one: what one lane's events alone cause does not come
 * back as the next probe. An answer that blocks (404, 401 ...) may be meant for one repository:
 * lanes that have not failed are then tried soon (at once, when some were taken a short time ago),
 * and only those that failed wait for long.
 */
#ifndef FLOW_FORWARDER_INTERNAL_H
#define FLOW_FORWARDER_INTERNAL_H

#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "flow/commit_watch.h"
#include "flow/forwarder.h"
#include <sys/queue.h>

struct forward_lane;
TAILQ_HEAD(forward_lanes, forward_lane);

#define FORWARD_HOST 264 /* a host with a port, with its end */

struct forward_road {
	unsigned char key[CRYPTO_SHA256]; /* of its address */
	const char *name;                 /* "Bitbucket", "GitHub": whose events */
	char server[FORWARD_HOST];        /* of the first that went this way: for the log */
	struct forward_lanes ready;       /* in turn */
	struct forward_lanes failed;      /* since one was taken last; in turn */
	unsigned lanes;                   /* that go this way, wherever they are */
	unsigned in_flight;
	unsigned failures;      /* in a row; 0 = working */
	unsigned blocks;        /* those of them that need an administrator */
	unsigned round;         /* a new one with each failure that counts, and with each kick */
	uint64_t taken;         /* answers so far that were no failure */
	uint64_t taken_at;      /* the last of them; monotonic ms, as those that follow */
	uint64_t paused_until;  /* for lanes that failed */
	uint64_t untried_until; /* for lanes that did not */
	uint64_t asked_until;   /* Retry-After */
	bool blocked;           /* the last failure needs an administrator */
	bool keyless;           /* there is no key to send it with: until forwarder_kick */
	int64_t last_ok_ms, failing_since_ms; /* wall; 0 = none */
	struct err *err;                      /* NULL while working */
	struct http_trace *trace;
	TAILQ_ENTRY(forward_road) entry;
};
TAILQ_HEAD(forward_roads, forward_road);

/*
 *   FRESH --its address--> READY --sent--> SENDING --answer--> READY, at the end of the line
 *    |  ^                   |  ^              |`--fails--> FAILED --sent, or the road works--^
 *    |  `--commit-- PARKED  |  |              `--fails on a road that works--> RESTING
 *    `--its first is not on disk yet--^       |  `------------its time------------'
 *                                             nothing left: the lane is forgotten
 */
enum forward_place {
	FORWARD_FRESH, /* it was not looked at where it goes */
	FORWARD_READY,
	FORWARD_FAILED,
	FORWARD_SENDING,
	FORWARD_PARKED,
	FORWARD_RESTING
};

struct forward_lane {
	struct forwarder *forwarder;
	struct forward_road *road; /* NULL while it was never looked at */
	uint32_t id;
	enum forward_place place;
	struct eyes_event_call *call; /* of SENDING */
	uint64_t number;              /* of SENDING, else 0 */
	char host[256];               /* that it was sent to: for the log */
	unsigned round;               /* the road's when it was sent */
	uint64_t failed;              /* the last one that failed, 0 = none */
	uint64_t taken_then;          /* the road's `taken` when it did */
	struct err *alone;            /* why it failed, first, on a road that worked; else NULL */
	unsigned own_failures;        /* of that one while others were taken: its own fault */
	uint64_t rests_until;         /* monotonic ms */
	TAILQ_ENTRY(forward_lane) entry;
};

struct forwarder {
	struct forwarder_options options;
	struct forward_roads roads; /* in turn: the one that was used last is the last */
	unsigned road_count;
	struct map lanes; /* id -> forward_lane */
	struct forward_lanes fresh, sending, parked, resting;
	uint64_t rest_at; /* when the first of RESTING may go, or earlier; 0 = none */
	unsigned in_flight;
	bool contacted;     /* an answer came */
	int64_t last_ok_ms; /* wall */
	unsigned held;      /* lanes with failures of their own */
	struct err *held_err;
	uint64_t dead; /* as it was counted last */
	struct loop_timer timer, hold_timer;
	struct commit_watch *watch; /* something is parked */
	bool stopping;
	bool lost; /* the store failed a moment ago: nothing is sent */
	loop_fn *idle;
	void *idle_arg;
	struct log_limit store_limit, dead_limit, held_limit, expired_limit;
};

extern const struct backoff forward_failing, forward_blocked;

/* forwarder.c */
void forward_pump(struct forwarder *f);
void forward_count(struct forwarder *f); /* sets the gauges */
/* READY and FAILED: of the lane's road. RESTING: until rests_until. */
void forward_place(struct forward_lane *lane, enum forward_place place);
void forward_forget(struct forward_lane *lane);    /* not while SENDING */
void forward_lane_free(struct forward_lane *lane); /* it is in no list */
/* The lane's own failures are over. */
void forward_release(struct forward_lane *lane);

/* forwarder_send.c */
/* Sends the first of a lane that is FRESH, or that its road lets go now; or puts the lane where it
 * belongs. */
void forward_send(struct forward_lane *lane);

/* forwarder_address.c */
enum forward_address {
	ADDRESS_GOOD,
	ADDRESS_GONE,  /* the server that sent the event is not set up any more */
	ADDRESS_EVENT, /* what this event says makes no address */
	ADDRESS_WRONG  /* the template makes none */
};
/* host: by which Eyes knows the source-control server. err is set unless GOOD. */
enum forward_address forward_address(struct forwarder *f, const struct event_entry *entry,
    struct url *url, char host[FORWARD_HOST], struct err *err);

/* forwarder_road.c. Pure but for the log. */
/* The road to this address; a new one takes the place of one that no lane waits for, when there
 * are many. */
struct forward_road *road_of(
    struct forwarder *f, const char *address, uint32_t lane, const char *server);
/* failed: a lane that failed since one was taken. */
bool road_may_send(const struct forward_road *road, bool failed, uint64_t now_ms);
/* The lane that goes next, NULL while none may. */
struct forward_lane *road_next(const struct forward_road *road, uint64_t now_ms);
/* When one may go, of those that wait for their time alone; 0: none does. */
uint64_t road_next_at(const struct forward_road *road);
/* It works, and has taken something a short time ago. */
bool road_is_proven(const struct forward_road *road, uint64_t now_ms);
/* How many failures there had been. */
unsigned road_works(struct forward_road *road, uint64_t now_ms, int64_t wall_ms, uint64_t waiting);
/* Does not count, and returns false, when it was sent in an earlier round: one outage fails all
 * that is under way. answer may have only outcome, err and retry_after_ms. */
bool road_fails(struct forward_road *road, unsigned round, uint64_t now_ms, int64_t wall_ms,
    const struct eyes_event_answer *answer, const char *host, uint64_t waiting);
/* A person wants it. */
void road_try_now(struct forward_road *road);
/* Eyes answers again elsewhere: one more try, but not before it was asked for. */
void road_hurry(struct forward_road *road, uint64_t now_ms);
void road_free(struct forwarder *f, struct forward_road *road);

#endif
