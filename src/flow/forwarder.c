#include "base/mem.h"
#include "base/metrics.h"
#include "flow/forwarder_internal.h"
#include <stdlib.h>

#define HOLD_MS 1000 /* after the store failed */
#define LOOKS_MAX 64 /* at lanes, in one turn */

static struct metric waiting_gauge =
    METRIC(METRIC_GAUGE, "eyes_scm_events_waiting", "", "Events that wait to be passed on to Eyes");
static struct metric dead_gauge =
    METRIC(METRIC_GAUGE, "eyes_scm_events_dead", "", "Events that cannot be passed on");
static struct metric bytes_gauge =
    METRIC(METRIC_GAUGE, "eyes_scm_events_bytes", "", "Bytes of the events that wait");
static struct metric expired_total =
    METRIC(METRIC_COUNTER, "eyes_scm_events_forwarded_total", "outcome=\"expired\"",
        "Events passed on to Eyes, by what came of it: failed and blocked ones are tried again");

void forward_count(struct forwarder *f)
{
	struct events_counts counts;

	events_count(f->options.events, &counts);
	metric_set(&waiting_gauge, (double)counts.waiting);
	metric_set(&dead_gauge, (double)counts.dead);
	metric_set(&bytes_gauge, (double)counts.bytes);
	f->dead = counts.dead;
}

/* ---- lanes ---- */

static struct forward_lanes *list_of(struct forward_lane *lane, enum forward_place place)
{
	struct forwarder *f = lane->forwarder;

	switch (place) {
	case FORWARD_FRESH:
		return &f->fresh;
	case FORWARD_SENDING:
		return &f->sending;
	case FORWARD_PARKED:
		return &f->parked;
	case FORWARD_RESTING:
		return &f->resting;
	case FORWARD_FAILED:
		return &lane->road->failed;
	case FORWARD_READY:
		break;
	}
	return &lane->road->ready;
}

static void sooner(uint64_t *at, uint64_t other)
{
	if (*at == 0 || other < *at)
		*at = other;
}

static void committed(const struct err *err, void *arg)
{
	struct forwarder *f = arg;
	struct forward_lane *lane;

	(void)err; /* what is lost is not there any more when it is looked at */
	f->watch = NULL;
	while ((lane = TAILQ_FIRST(&f->parked)) != NULL)
		forward_place(lane, FORWARD_FRESH);
	forward_pump(f);
}

void forward_place(struct forward_lane *lane, enum forward_place place)
{
	struct forwarder *f = lane->forwarder;

	TAILQ_REMOVE(list_of(lane, lane->place), lane, entry);
	lane->place = place;
	TAILQ_INSERT_TAIL(list_of(lane, place), lane, entry);
	if (place == FORWARD_PARKED && f->watch == NULL)
		f->watch = commit_watch_new(f->options.db, committed, f);
	if (place == FORWARD_RESTING)
		sooner(&f->rest_at, lane->rests_until);
}

static struct forward_lane *lane_make(struct forwarder *f, uint32_t id)
{
	struct forward_lane *lane = map_get(&f->lanes, &id, sizeof(id));

	if (lane != NULL)
		return lane;
	lane = mem_zero(sizeof(*lane));
	lane->forwarder = f;
	lane->id = id;
	lane->place = FORWARD_FRESH;
	TAILQ_INSERT_TAIL(&f->fresh, lane, entry);
	map_put(&f->lanes, &id, sizeof(id), lane);
	return lane;
}

void forward_release(struct forward_lane *lane)
{
	struct forwarder *f = lane->forwarder;

	if (lane->own_failures == 0)
		return;
	lane->own_failures = 0;
	if (--f->held == 0) {
		free(f->held_err);
		f->held_err = NULL;
	}
}

void forward_lane_free(struct forward_lane *lane)
{
	free(lane->alone);
	free(lane);
}

void forward_forget(struct forward_lane *lane)
{
	struct forwarder *f = lane->forwarder;

	forward_release(lane);
	TAILQ_REMOVE(list_of(lane, lane->place), lane, entry);
	if (lane->road != NULL)
		lane->road->lanes--;
	map_remove(&f->lanes, &lane->id, sizeof(lane->id));
	forward_lane_free(lane);
}

/* ---- choosing ---- */

/* On a road that fails, its lane has failed as well. */
static void wake_rested(struct forwarder *f, uint64_t now)
{
	struct forward_lane *lane, *next;

	if (f->rest_at == 0 || f->rest_at > now)
		return;
	f->rest_at = 0;
	for (lane = TAILQ_FIRST(&f->resting); lane != NULL; lane = next) {
		next = TAILQ_NEXT(lane, entry);
		if (lane->rests_until <= now)
			forward_place(
			    lane, lane->road->failures > 0 ? FORWARD_FAILED : FORWARD_READY);
		else
			sooner(&f->rest_at, lane->rests_until);
	}
}

/* The roads in turn, and the lanes of each in turn. */
static struct forward_lane *pick(struct forwarder *f, uint64_t now)
{
	struct forward_road *road;
	struct forward_lane *lane;

	if (f->in_flight >= f->options.connections)
		return NULL;
	TAILQ_FOREACH(road, &f->roads, entry)
	{
		lane = road_next(road, now);
		if (lane == NULL)
			continue;
		TAILQ_REMOVE(&f->roads, road, entry);
		TAILQ_INSERT_TAIL(&f->roads, road, entry);
		return lane;
	}
	return NULL;
}

/* When something that only waits for its time may go. */
static void set_timer(struct forwarder *f, uint64_t now)
{
	struct forward_road *road;
	uint64_t at = f->rest_at;

	TAILQ_FOREACH(road, &f->roads, entry)
	if (!road->keyless && road_next_at(road) > now)
		sooner(&at, road_next_at(road));
	if (at != 0)
		loop_timer_set(&f->timer, at > now ? at - now : 1);
	else
		loop_timer_cancel(&f->timer);
}

void forward_pump(struct forwarder *f)
{
	uint64_t now = clock_monotonic_ms();
	struct forward_lane *lane;
	unsigned looks = 0;

	if (f->stopping || f->lost || f->options.eyes == NULL)
		return;
	wake_rested(f, now);
	for (; looks < LOOKS_MAX && !f->lost; looks++) {
		lane = TAILQ_FIRST(&f->fresh);
		if (lane == NULL)
			lane = pick(f, now);
		if (lane == NULL)
			break;
		forward_send(lane);
	}
	if (looks == LOOKS_MAX)
		loop_timer_set(&f->timer, 1);
	else
		set_timer(f, now);
}

static void timer_fired(void *arg)
{
	forward_pump(arg);
}

/* ---- what happens in the store ---- */

/* A group of writes is lost: what had ended waits on disk as before and is sent again, in its
 * order. Not at once: the same events would be sent over and over while the disk fails. */
static void store_lost(void *arg)
{
	struct forwarder *f = arg;

	f->lost = true;
	if (!f->hold_timer.pending)
		loop_timer_set(&f->hold_timer, HOLD_MS);
}

static void hold_over(void *arg)
{
	struct forwarder *f = arg;

	f->lost = false;
	forwarder_start(f);
}

static void changed(enum bus_topic topic, uint64_t number, void *arg)
{
	(void)number;
	if (topic == BUS_EVENTS)
		forward_count(arg);
}

/* ---- interface ---- */

struct forwarder *forwarder_new(const struct forwarder_options *options)
{
	struct forwarder *f = mem_zero(sizeof(*f));

	f->options = *options;
	if (f->options.connections == 0)
		f->options.connections = 1;
	TAILQ_INIT(&f->roads);
	TAILQ_INIT(&f->fresh);
	TAILQ_INIT(&f->sending);
	TAILQ_INIT(&f->parked);
	TAILQ_INIT(&f->resting);
	map_init(&f->lanes);
	loop_timer_init(&f->timer, options->loop, timer_fired, f);
	loop_timer_init(&f->hold_timer, options->loop, hold_over, f);
	db_on_lost(options->db, store_lost, f);
	bus_listen(options->bus, changed, f);
	forward_count(f);
	return f;
}

void forwarder_free(struct forwarder *f)
{
	struct forward_lane *lane;
	struct forward_road *road;
	size_t position = 0;

	if (f == NULL)
		return;
	bus_ignore(f->options.bus, changed, f);
	db_forget(f->options.db, f);
	commit_watch_cancel(f->watch);
	loop_timer_cancel(&f->timer);
	loop_timer_cancel(&f->hold_timer);
	while ((lane = map_next(&f->lanes, &position)) != NULL) {
		if (lane->call != NULL)
			eyes_event_cancel(lane->call);
		forward_lane_free(lane);
	}
	map_free(&f->lanes);
	while ((road = TAILQ_FIRST(&f->roads)) != NULL)
		road_free(f, road);
	free(f->held_err);
	free(f);
}

static void collect(uint32_t lane, void *arg)
{
	lane_make(arg, lane);
}

void forwarder_start(struct forwarder *f)
{
	if (f->stopping)
		return;
	events_each_lane(f->options.events, collect, f);
	forward_pump(f);
}

void forwarder_wake(struct forwarder *f, uint32_t id)
{
	if (f->stopping)
		return;
	lane_make(f, id);
	bus_publish(f->options.bus, BUS_EVENTS, id);
	forward_pump(f);
}

void forwarder_expired(struct forwarder *f, uint32_t lane)
{
	uint64_t before = f->dead, expired;

	forward_count(f);
	expired = f->dead > before ? f->dead - before : 1;
	metric_add(&expired_total, (double)expired);
	log_limited_warn(&f->expired_limit, "forwarder",
	    "events waited for too long (EYES_QUEUE_TTL); they are in the dead list: eyes-scm "
	    "events list --state dead",
	    log_uint("lane", lane), log_uint("events", expired));
	bus_publish(f->options.bus, BUS_EVENTS, lane);
}

void forwarder_kick(struct forwarder *f)
{
	struct forward_road *road;
	struct forward_lane *lane;

	TAILQ_FOREACH(road, &f->roads, entry)
	{
		road_try_now(road);
		while ((lane = TAILQ_FIRST(&road->failed)) != NULL)
			forward_place(lane, FORWARD_READY);
	}
	while ((lane = TAILQ_FIRST(&f->resting)) != NULL)
		forward_place(lane, FORWARD_READY);
	f->rest_at = 0;
	forwarder_start(f);
}

void forwarder_hurry(struct forwarder *f)
{
	uint64_t now = clock_monotonic_ms();
	struct forward_road *road;

	TAILQ_FOREACH(road, &f->roads, entry)
	road_hurry(road, now);
	forward_pump(f);
}

void forwarder_stop(struct forwarder *f, loop_fn *idle, void *arg)
{
	f->stopping = true;
	loop_timer_cancel(&f->timer);
	if (f->in_flight == 0) {
		loop_defer(f->options.loop, idle, arg);
		return;
	}
	f->idle = idle;
	f->idle_arg = arg;
}

unsigned forwarder_in_flight(const struct forwarder *f)
{
	return f->in_flight;
}

bool forwarder_is_sending(const struct forwarder *f, uint64_t number)
{
	const struct forward_lane *lane;

	TAILQ_FOREACH(lane, &f->sending, entry)
	if (lane->number == number)
		return true;
	return false;
}

/* How badly off it is. What nobody waits for is no trouble. */
static unsigned trouble(const struct forward_road *road)
{
	return road->failures == 0 || road->lanes == 0 ? 0 : road->blocked ? 2 : 1;
}

static void tell_trouble(const struct forward_road *road, struct forwarder_health *out)
{
	uint64_t now = clock_monotonic_ms(), at = road_next_at(road);

	if (at == 0) /* its probe is under way */
		at = road->paused_until;
	out->contacted = true;
	out->failing = true;
	out->blocked = road->blocked;
	out->last_ok_ms = road->last_ok_ms;
	out->failing_since_ms = road->failing_since_ms;
	out->err = road->err;
	out->trace = road->trace;
	if (at > now)
		out->next_try_ms = clock_wall_ms() + (int64_t)(at - now);
}

void forwarder_health(const struct forwarder *f, struct forwarder_health *out)
{
	const struct forward_road *road, *worst = NULL;
	bool keyless = false;

	*out = (struct forwarder_health){
	    .contacted = f->contacted,
	    .last_ok_ms = f->last_ok_ms,
	    .held = f->held,
	    .held_err = f->held_err,
	};
	TAILQ_FOREACH(road, &f->roads, entry)
	{
		keyless = keyless || road->keyless;
		if (trouble(road) > (worst != NULL ? trouble(worst) : 0))
			worst = road;
	}
	if (worst != NULL)
		tell_trouble(worst, out);
	if (f->options.eyes == NULL)
		out->unready = "config_missing";
	else if (keyless)
		out->unready = "account_missing";
}
