#include "base/mem.h"
#include "base/metrics.h"
#include "flow/forwarder_internal.h"
#include <stdlib.h>

#define FORWARDED(outcome_)                                                                    \
	METRIC(METRIC_COUNTER, "eyes_scm_events_forwarded_total", "outcome=\"" outcome_ "\"",  \
	    "Events passed on to Eyes, by what came of it: failed and blocked ones are tried " \
	    "again")

static struct metric forwarded_taken = FORWARDED("taken");
static struct metric forwarded_refused = FORWARDED("refused");
static struct metric forwarded_gone = FORWARDED("gone");
static struct metric forwarded_failed = FORWARDED("failed");
static struct metric forwarded_blocked = FORWARDED("blocked");
static struct metric delay = METRIC(METRIC_HISTOGRAM, "eyes_scm_event_delay_ms", "",
    "From the receipt of an event until Eyes had taken it");

static uint64_t waiting(const struct forwarder *f)
{
	struct events_counts counts;

	events_count(f->options.events, &counts);
	return counts.waiting;
}

/* ---- ending ---- */

static void store_failed(struct forwarder *f, const struct err *err)
{
	log_limited_error(&f->store_limit, "forwarder",
	    "what became of an event cannot be stored; it is sent again", log_err(err));
}

/* Kept to be looked at; `entry` is the lane's first. */
static void end_dead(
    struct forward_lane *lane, const struct event_entry *entry, const struct err *why)
{
	struct forwarder *f = lane->forwarder;
	struct err err = ERR_INIT;

	log_limited_warn(&f->dead_limit, "forwarder",
	    "an event cannot be passed on, ever; it is in the dead list: eyes-scm events list "
	    "--state dead",
	    log_uint("id", entry->number), log_uint("lane", entry->lane),
	    log_str("event", entry->key), log_err(why));
	if (!events_done(
	        f->options.events, lane->id, entry->number, true, why->code, why->message, &err))
		store_failed(f, &err);
}

/* Whether the lane's first is still the one that was sent: a person may have dropped it, its time
 * may have run out, and after a lost group an older one is first again. */
static bool is_first(struct forward_lane *lane, uint64_t number, struct event_entry *entry)
{
	return events_first(lane->forwarder->options.events, lane->id, entry) &&
	       entry->number == number;
}

/* ---- the answer ---- */

static void taken(struct forward_lane *lane, uint64_t number)
{
	struct forwarder *f = lane->forwarder;
	struct event_entry entry;
	struct err err = ERR_INIT;

	metric_add(&forwarded_taken, 1);
	if (is_first(lane, number, &entry))
		metric_observe_ms(&delay, (double)(clock_wall_ms() - entry.received_ms));
	else if (events_first(f->options.events, lane->id, &entry) && entry.number < number)
		return; /* it is sent once more, behind the older one */
	if (!events_done(f->options.events, lane->id, number, false, "", "", &err) &&
	    !err_is(&err, "not_found"))
		store_failed(f, &err);
}

static void refused(struct forward_lane *lane, uint64_t number, const struct err *why)
{
	struct event_entry entry;

	metric_add(&forwarded_refused, 1);
	if (is_first(lane, number, &entry))
		end_dead(lane, &entry, why);
}

/* Others were taken between two failures of this one: the road is not at fault. */
static bool is_its_own_fault(const struct forward_lane *lane, uint64_t number)
{
	return lane->failed == number && lane->road->failures == 0 &&
	       (lane->own_failures > 0 || lane->road->taken > lane->taken_then);
}

/* Until rests_until, while the road's other lanes go on. */
static void rest(struct forward_lane *lane, uint64_t number, const struct err *why)
{
	struct forwarder *f = lane->forwarder;
	uint64_t now = clock_monotonic_ms();

	if (lane->own_failures++ == 0)
		f->held++;
	log_limited_warn(&f->held_limit, "forwarder",
	    "Eyes takes other events, but not this one: its repository waits, it is tried again",
	    log_uint("lane", lane->id), log_uint("id", number),
	    log_uint("next_try_ms", lane->rests_until > now ? lane->rests_until - now : 0),
	    log_err(why));
	if (f->held_err == NULL)
		f->held_err = mem_zero(sizeof(*f->held_err));
	err_copy(f->held_err, why);
	forward_place(lane, FORWARD_RESTING);
}

static void fails_alone(
    struct forward_lane *lane, uint64_t number, const struct eyes_event_answer *answer)
{
	bool blocked = answer->outcome == EYES_EVENT_BLOCKED;
	uint64_t wait = backoff_ms(blocked ? &forward_blocked : &forward_failing,
	    lane->own_failures + 1, crypto_random_below(UINT32_MAX));

	if (answer->retry_after_ms > (int64_t)wait)
		wait = (uint64_t)answer->retry_after_ms;
	lane->rests_until = clock_monotonic_ms() + wait;
	rest(lane, number, answer->err);
}

static void note_alone(struct forward_lane *lane, const struct err *why)
{
	if (why == NULL) {
		free(lane->alone);
		lane->alone = NULL;
		return;
	}
	if (lane->alone == NULL)
		lane->alone = mem_zero(sizeof(*lane->alone));
	err_copy(lane->alone, why);
}

/* Whose fault it is shows with the next event that is taken. */
static void fails_with_road(struct forward_lane *lane, const struct eyes_event_answer *answer)
{
	struct forward_road *road = lane->road;
	bool blocked = answer->outcome == EYES_EVENT_BLOCKED;
	uint64_t now = clock_monotonic_ms();
	bool proven = road_is_proven(road, now);
	bool counts = road_fails(
	    road, lane->round, now, clock_wall_ms(), answer, lane->host, waiting(lane->forwarder));

	note_alone(lane, blocked && counts && (proven || lane->alone != NULL) ? answer->err : NULL);
	lane->rests_until = road->paused_until;
	/* One of an outage that is over by now goes again in its turn. */
	forward_place(lane, road->failures > 0 ? FORWARD_FAILED : FORWARD_READY);
}

/* lane is READY. */
static void failed(
    struct forward_lane *lane, uint64_t number, const struct eyes_event_answer *answer)
{
	struct forwarder *f = lane->forwarder;
	struct event_entry entry;
	struct err err = ERR_INIT;
	bool noted = true;

	metric_add(
	    answer->outcome == EYES_EVENT_BLOCKED ? &forwarded_blocked : &forwarded_failed, 1);
	if (is_first(lane, number, &entry))
		noted = events_failed(f->options.events, lane->id, number, answer->err->code,
		    answer->err->message, &err);
	if (!noted)
		store_failed(f, &err);
	if (lane->failed != number)
		forward_release(lane);
	if (answer->status != 429 && is_its_own_fault(lane, number))
		fails_alone(lane, number, answer);
	else
		fails_with_road(lane, answer);
	lane->failed = number;
	lane->taken_then = lane->road->taken;
}

/* One was taken. Of those that failed before, the one that failed first on a road that worked has
 * its fault for itself; the others may have met an outage, and go again. */
static void works(struct forward_lane *lane)
{
	struct forwarder *f = lane->forwarder;
	struct forward_road *road = lane->road;
	struct forward_lane *other, *next;
	unsigned failures;

	forward_release(lane);
	note_alone(lane, NULL);
	lane->failed = 0;
	f->contacted = true;
	f->last_ok_ms = clock_wall_ms();
	failures = road_works(road, clock_monotonic_ms(), f->last_ok_ms, waiting(f));
	if (failures == 0)
		return;
	for (other = TAILQ_FIRST(&f->resting); failures > 1 && other != NULL; other = next) {
		next = TAILQ_NEXT(other, entry);
		if (other->road == road)
			forward_place(other, FORWARD_READY);
	}
	while ((other = TAILQ_FIRST(&road->failed)) != NULL) {
		if (other->alone != NULL)
			rest(other, other->failed, other->alone);
		else
			forward_place(other, FORWARD_READY);
		note_alone(other, NULL);
	}
}

static void answered(const struct eyes_event_answer *answer, void *arg)
{
	struct forward_lane *lane = arg;
	struct forwarder *f = lane->forwarder;
	uint64_t number = lane->number;

	lane->call = NULL;
	lane->number = 0;
	f->in_flight--;
	lane->road->in_flight--;
	forward_place(lane, FORWARD_READY);
	switch (answer->outcome) {
	case EYES_EVENT_TAKEN:
		works(lane);
		taken(lane, number);
		break;
	case EYES_EVENT_REFUSED:
		works(lane);
		refused(lane, number, answer->err);
		break;
	case EYES_EVENT_TEMPORARY:
	case EYES_EVENT_BLOCKED:
		failed(lane, number, answer);
		break;
	}
	bus_publish(f->options.bus, BUS_EVENTS, lane->id);
	forward_pump(f);
	if (f->stopping && f->in_flight == 0 && f->idle != NULL) {
		loop_defer(f->options.loop, f->idle, f->idle_arg);
		f->idle = NULL;
	}
}

/* ---- sending ---- */

static void start(struct forward_lane *lane, const struct event_entry *entry, const struct url *url)
{
	struct forwarder *f = lane->forwarder;
	struct eyes_event event = {.url = url,
	    .content_type = entry->content_type,
	    .headers = entry->headers,
	    .sign = lane->id == EVENTS_GITHUB ? NULL : f->options.sign,
	    .body = entry->body,
	    .body_length = entry->body_length};

	lane->number = entry->number;
	lane->round = lane->road->round;
	snprintf(lane->host, sizeof(lane->host), "%s", url->host);
	forward_place(lane, FORWARD_SENDING);
	f->in_flight++;
	lane->road->in_flight++;
	lane->call = eyes_event_send(f->options.eyes, &event, answered, lane);
}

/* The address is no address: an administrator has to correct it. */
static void address_wrong(struct forward_lane *lane, const struct err *err)
{
	struct eyes_event_answer answer = {
	    .outcome = EYES_EVENT_BLOCKED, .retry_after_ms = -1, .err = err};

	lane->round = lane->road->round;
	lane->host[0] = '\0';
	fails_with_road(lane, &answer);
	bus_publish(lane->forwarder->options.bus, BUS_EVENTS, lane->id);
}

static void ended_here(struct forward_lane *lane, const struct event_entry *entry,
    enum forward_address address, const struct err *err)
{
	metric_add(address == ADDRESS_GONE ? &forwarded_gone : &forwarded_refused, 1);
	end_dead(lane, entry, err);
	bus_publish(lane->forwarder->options.bus, BUS_EVENTS, lane->id);
}

/* Puts the lane on the road where its first goes. False when it has to wait there: for its turn,
 * for a connection, for the road. */
static bool take_road(struct forward_lane *lane, const char *address, const char *server)
{
	struct forwarder *f = lane->forwarder;
	struct forward_road *road = road_of(f, address, lane->id, server);
	bool fresh = lane->place == FORWARD_FRESH || lane->road != road;
	bool failed = lane->place == FORWARD_FAILED && !fresh;

	if (fresh) {
		bool alone = TAILQ_EMPTY(&road->ready);

		forward_place(lane, FORWARD_FRESH); /* out of the road's lists */
		if (lane->road != NULL)
			lane->road->lanes--;
		lane->road = road;
		road->lanes++;
		forward_place(lane, FORWARD_READY);
		if (!alone || f->in_flight >= f->options.connections)
			return false;
	}
	return road_may_send(road, failed, clock_monotonic_ms());
}

void forward_send(struct forward_lane *lane)
{
	struct forwarder *f = lane->forwarder;
	const struct forwarder_options *o = &f->options;
	const char *template = lane->id == EVENTS_GITHUB ? o->github_template : o->url_template;
	enum forward_address address;
	struct event_entry entry;
	struct err err = ERR_INIT;
	char host[FORWARD_HOST], text[URL_TEXT];
	struct url url;

	if (!events_first(o->events, lane->id, &entry)) {
		forward_forget(lane);
		return;
	}
	if (!events_is_committed(o->events, entry.number)) {
		forward_place(lane, FORWARD_PARKED);
		return;
	}
	address = forward_address(f, &entry, &url, host, &err);
	if (address == ADDRESS_GONE || address == ADDRESS_EVENT) {
		ended_here(lane, &entry, address, &err);
		return;
	}
	if (address == ADDRESS_GOOD)
		url_text(&url, text, sizeof(text));
	if (!take_road(lane, address == ADDRESS_GOOD ? text : template, host))
		return;
	if (address == ADDRESS_WRONG)
		address_wrong(lane, &err);
	else if (!eyes_has_key(o->eyes) && url_same_origin(&url, eyes_base(o->eyes)))
		lane->road->keyless = true;
	else
		start(lane, &entry, &url);
}
