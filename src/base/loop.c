#include "base/loop.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/*
 * How a turn is kept short. EVLOOP_ONCE returns only when no callback is active any more, and
 * callbacks that activate each other (deferred bufferevent callbacks do) keep libevent inside for
 * as long as they like. Therefore
 *  - libevent looks at timers and descriptors again after at most CALLBACKS_MAX callbacks, and
 *  - a guard timer of the highest priority breaks out of the turn. What is still active runs next.
 * The guard must not keep an idle process awake. It stands at GUARD_BUSY_MS after a turn that it
 * cut short or that followed another one closely, and whenever something waits for the end of a
 * turn; otherwise at GUARD_IDLE_MS, moved by every turn.
 */
enum { CALLBACKS_MAX = 256, GUARD_BUSY_MS = 4, GUARD_IDLE_MS = 2000, CLOSE_TURNS_MS = 20 };
enum { DEFERRED_KEPT = 1024 }; /* a longer list is given back */
enum { DRAIN_TURNS = 8 };
#define TIMER_MAX_MS (UINT64_C(365) * 24 * 3600 * 1000)
/* libevent's default is half of PRIORITIES: normal. */
enum { PRIORITY_GUARD, PRIORITY_NORMAL, PRIORITIES };

struct call {
	loop_fn *fn;
	void *arg;
};

struct calls {
	struct call *list;
	size_t count, capacity;
};

struct loop_signal {
	struct event event;
	loop_signal_fn *fn;
	void *arg;
	struct loop_signal *next;
};

struct loop {
	struct event_base *base;
	struct calls deferred;
	struct calls turn_end;
	struct loop_signal *signals;
	struct event guard;
	bool guard_busy;       /* the guard stands at GUARD_BUSY_MS */
	uint64_t last_turn_ms; /* when the last turn ended */
	uint64_t turns;
	bool stop;
};

static void calls_add(struct calls *calls, loop_fn *fn, void *arg)
{
	if (calls->count == calls->capacity) {
		calls->capacity = calls->capacity == 0 ? 16 : calls->capacity * 2;
		calls->list = mem_grow(calls->list, calls->capacity, sizeof(*calls->list));
	}
	calls->list[calls->count++] = (struct call){.fn = fn, .arg = arg};
}

static void calls_free(struct calls *calls)
{
	free(calls->list);
	*calls = (struct calls){0};
}

/* Also what is added while it runs. */
static void run_deferred(struct loop *loop)
{
	struct calls *calls = &loop->deferred;

	for (size_t i = 0; i < calls->count; i++) {
		struct call call = calls->list[i]; /* the list may move */
		call.fn(call.arg);
	}
	calls->count = 0;
	if (calls->capacity > DEFERRED_KEPT)
		calls_free(calls);
}

static struct timeval timeval_of(uint64_t ms)
{
	if (ms > TIMER_MAX_MS)
		ms = TIMER_MAX_MS;
	return (struct timeval){
	    .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
}

static void guard_set(struct loop *loop, bool busy)
{
	struct timeval after = timeval_of(busy ? GUARD_BUSY_MS : GUARD_IDLE_MS);

	loop->guard_busy = busy;
	if (event_add(&loop->guard, &after) != 0)
		fatal("libevent takes no timer");
}

static void on_guard(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;

	(void)fd;
	(void)what;
	loop->guard_busy = false;
	event_base_loopbreak(loop->base);
}

/* Where the guard stands while the next turn is waited for. */
static void guard_next(struct loop *loop)
{
	uint64_t now_ms = clock_monotonic_ms();
	bool fired = !event_pending(&loop->guard, EV_TIMEOUT, NULL);
	int most = event_base_get_max_events(loop->base, EVENT_BASE_COUNT_ACTIVE, 1);

	if (fired && most <= 1) { /* the guard alone: nothing goes on */
		guard_set(loop, false);
		return;
	}
	/* Fired: a turn was cut short, so that the next one needs a guard however long this one
	 * was. */
	bool busy = fired || now_ms - loop->last_turn_ms < CLOSE_TURNS_MS;
	loop->last_turn_ms = now_ms;
	if (!busy || !loop->guard_busy)
		guard_set(loop, busy);
}

static void loop_turn(struct loop *loop)
{
	int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;

	if (loop->deferred.count > 0)
		flags |= EVLOOP_NONBLOCK;
	if (event_base_loop(loop->base, flags) < 0)
		fatal("libevent cannot wait for events");
	run_deferred(loop);
	for (size_t i = 0; i < loop->turn_end.count; i++)
		loop->turn_end.list[i].fn(loop->turn_end.list[i].arg);
	loop->turns++;
	guard_next(loop);
}

static void on_libevent_log(int severity, const char *message)
{
	if (severity == EVENT_LOG_DEBUG)
		return;
	if (severity == EVENT_LOG_ERR)
		log_error("libevent", message);
	else
		log_warn("libevent", message);
}

static void on_libevent_fatal(int code)
{
	fatal("libevent gives up (%d)", code);
}

static struct event_base *base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config == NULL)
		return NULL;
	if (event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) == 0 &&
	    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV) == 0 &&
	    event_config_set_max_dispatch_interval(config, NULL, CALLBACKS_MAX, 0) == 0)
		base = event_base_new_with_config(config);
	event_config_free(config);
	if (base != NULL && event_base_priority_init(base, PRIORITIES) != 0) {
		event_base_free(base);
		return NULL;
	}
	return base;
}

struct loop *loop_new(struct err *err)
{
	event_set_log_callback(on_libevent_log);
	event_set_fatal_callback(on_libevent_fatal);
	struct event_base *base = base_new();
	if (base == NULL) {
		err_set(err, "loop", "the event loop cannot be made: %s", strerror(errno));
		err_hint(err, "look at the limit of open files (ulimit -n)");
		return NULL;
	}
	signal(SIGPIPE, SIG_IGN);
	struct loop *loop = mem_zero(sizeof(*loop));
	loop->base = base;
	evtimer_assign(&loop->guard, base, on_guard, loop);
	event_priority_set(&loop->guard, PRIORITY_GUARD);
	guard_set(loop, false);
	return loop;
}

/*
 * A bufferevent that was freed with a callback waiting lives until that has been skipped, and its
 * finalizer until it has run: event_base_free alone would leak both.
 */
static void drain(struct loop *loop)
{
	for (int i = 0; i < DRAIN_TURNS; i++) {
		run_deferred(loop);
		if (event_base_get_num_events(loop->base, EVENT_BASE_COUNT_ACTIVE) == 0)
			return;
		guard_set(loop, true);
		event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	}
	run_deferred(loop);
}

void loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	drain(loop);
	event_del(&loop->guard);
	while (loop->signals != NULL) {
		struct loop_signal *signal_event = loop->signals;
		loop->signals = signal_event->next;
		event_del(&signal_event->event);
		free(signal_event);
	}
	calls_free(&loop->deferred);
	calls_free(&loop->turn_end);
	event_base_free(loop->base);
	free(loop);
}

struct event_base *loop_base(struct loop *loop)
{
	return loop->base;
}

void loop_run(struct loop *loop)
{
	while (!loop->stop)
		loop_turn(loop);
	loop->stop = false;
}

void loop_stop(struct loop *loop)
{
	loop->stop = true;
	event_base_loopbreak(loop->base);
}

uint64_t loop_turns(const struct loop *loop)
{
	return loop->turns;
}

void loop_defer(struct loop *loop, loop_fn *fn, void *arg)
{
	calls_add(&loop->deferred, fn, arg);
	if (!loop->guard_busy)
		guard_set(loop, true);
}

void loop_on_turn_end(struct loop *loop, loop_fn *fn, void *arg)
{
	calls_add(&loop->turn_end, fn, arg);
}

static void on_signal(evutil_socket_t signal_number, short what, void *arg)
{
	struct loop_signal *signal_event = arg;

	(void)what;
	signal_event->fn((int)signal_number, signal_event->arg);
}

bool loop_on_signal(struct loop *loop, int signal_number, loop_signal_fn *fn, void *arg)
{
	struct loop_signal *signal_event = mem_zero(sizeof(*signal_event));

	signal_event->fn = fn;
	signal_event->arg = arg;
	if (evsignal_assign(
	        &signal_event->event, loop->base, signal_number, on_signal, signal_event) != 0 ||
	    evsignal_add(&signal_event->event, NULL) != 0) {
		free(signal_event);
		return false;
	}
	signal_event->next = loop->signals;
	loop->signals = signal_event;
	return true;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *timer = arg;

	(void)fd;
	(void)what;
	timer->pending = false;
	timer->fn(timer->arg);
}

void loop_timer_init(struct loop_timer *timer, struct loop *loop, loop_fn *fn, void *arg)
{
	*timer = (struct loop_timer){.loop = loop, .fn = fn, .arg = arg};
	evtimer_assign(&timer->event, loop->base, on_timer, timer);
}

void loop_timer_set(struct loop_timer *timer, uint64_t after_ms)
{
	struct timeval after = timeval_of(after_ms);

	/* libevent would let one that is active already run as well. */
	loop_timer_cancel(timer);
	if (evtimer_add(&timer->event, &after) != 0)
		fatal("libevent takes no timer");
	timer->pending = true;
}

void loop_timer_cancel(struct loop_timer *timer)
{
	if (!timer->pending)
		return;
	timer->pending = false;
	evtimer_del(&timer->event);
}
