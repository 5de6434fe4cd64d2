/*
 * loop: the reactor. One libevent base, run turn by turn.
 *
 * A turn is: wait, run every active callback, then run what was deferred and the end-of-turn hooks.
 * Memory that a callback may still be standing on is given to loop_defer and freed at the end of
 * the turn, never inside. Timers are one-shot and embedded in their owner; setting a timer again
 * moves it. Signals arrive as callbacks.
 * However busy the callbacks are, a turn ends within some milliseconds: what is still active then
 * runs in the next. SIGPIPE is ignored.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include "base/err.h"
#include <event2/event_struct.h>
#include <stdint.h>

struct event_base;
struct loop;

typedef void loop_fn(void *arg);
typedef void loop_signal_fn(int signal_number, void *arg);

struct loop *loop_new(struct err *err);
/* The last to go, after timers, workers and connections; runs what is still deferred. */
void loop_free(struct loop *loop);
struct event_base *loop_base(struct loop *loop);
void loop_run(struct loop *loop);  /* until loop_stop; at once when that was called before */
void loop_stop(struct loop *loop); /* the turn ends as every other: deferred functions, hooks */
uint64_t loop_turns(const struct loop *loop);

/* Runs fn(arg) once at the end of this turn, in the order of the calls. What it defers in turn runs
 * in the same end. */
void loop_defer(struct loop *loop, loop_fn *fn, void *arg);
/* Runs fn(arg) at the end of every turn, after what was deferred, in the order of adding: the
 * store's group commit. */
void loop_on_turn_end(struct loop *loop, loop_fn *fn, void *arg);
bool loop_on_signal(struct loop *loop, int signal_number, loop_signal_fn *fn, void *arg);

struct loop_timer {
	struct event event;
	struct loop *loop;
	loop_fn *fn;
	void *arg;
	bool pending;
};

void loop_timer_init(struct loop_timer *timer, struct loop *loop, loop_fn *fn, void *arg);
void loop_timer_set(struct loop_timer *timer, uint64_t after_ms);
void loop_timer_cancel(struct loop_timer *timer); /* also right for one that is all zero */

/* One helper thread that runs jobs in order; `done` is called in the loop. For what would block. */
struct worker;
struct worker *worker_new(struct loop *loop, const char *name, struct err *err);
/*
 * Waits (at most 300 ms) for the job in hand and calls `done` for what has run; jobs not begun are
 * dropped without. False when the job in hand hangs: the thread is left to itself, and the arg of
 * that job must not be freed; only right when the process is about to end.
 */
bool worker_free(struct worker *worker);
/* `run` sees only arg (no shared state); `done` owns arg afterwards. False when `limit` jobs (1024)
 * already wait. */
bool worker_add(struct worker *worker, loop_fn *run, loop_fn *done, void *arg);

#endif
