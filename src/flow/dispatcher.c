#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/dispatcher_internal.h"
#include <stdlib.h>

#define HOLD_MS 1000              /* after the store failed */
#define PROBE_LOOK_MS (60 * 1000) /* between two looks for blocked repositories to try */
#define PROBE_NEXT_MS 1000        /* when one was tried just now */
#define DUE_BATCH 32 /* a turn: more would need too many free pages of a small store at once */

struct server_timer { /* looks again at one server */
	struct dispatcher *dispatcher;
	struct loop_timer timer;
	uint32_t server;
	uint64_t at;
};

/* ---- what the rooms share ---- */

void dispatcher_store_failed(struct dispatcher *d, const struct err *err)
{
	log_limited_error(&d->store_limit, "dispatcher",
	    "an outcome cannot be stored; the update is sent again later", log_err(err));
}

/* A group of writes is lost: what was thought to be done waits on disk as before, and whatever
 * failed to be read or written meanwhile is looked at again. Not at once: the same updates would be
 * sent over and over while the disk fails. */
static void store_lost(void *arg)
{
	struct dispatcher *d = arg;

	d->held = true;
	if (!d->hold_timer.pending)
		loop_timer_set(&d->hold_timer, HOLD_MS);
}

static void hold_over(void *arg)
{
	struct dispatcher *d = arg;

	d->held = false;
	dispatcher_start(d);
}

static void look_at(struct dispatcher *d, int64_t due)
{
	int64_t wait = due - clock_wall_ms();

	if (due == 0 || (d->next_due_ms != 0 && d->next_due_ms <= due))
		return;
	d->next_due_ms = due;
	loop_timer_set(&d->due_timer, wait > 0 ? (uint64_t)wait : 1);
}

void dispatcher_queue_changed(struct dispatcher *d)
{
	look_at(d, queue_next_due(d->options.queue));
}

void dispatcher_server_works(struct dispatcher *d, struct lanes_server *server, int64_t now)
{
	if (!lanes_server_works(server, now))
		return;
	log_info("dispatcher", "the server works again", log_uint("server", server->id));
	bus_publish(d->options.bus, BUS_SERVER, server->id);
}

void dispatcher_server_fails(
    struct dispatcher *d, struct lanes_server *server, const struct scm_answer *answer)
{
	uint64_t now = clock_monotonic_ms();

	if (!lanes_server_failed(
	        server, now, clock_wall_ms(), answer->retry_after_ms, answer->err, answer->trace))
		return;
	log_limited_warn(&d->temporary_limit, "dispatcher", "the server fails: its updates wait",
	    log_uint("server", server->id), log_uint("failures", server->failures),
	    log_uint("next_try_ms", server->paused_until - now), log_err(answer->err));
	bus_publish(d->options.bus, BUS_SERVER, server->id);
}

/* ---- choosing and starting ---- */

static void server_timer_fired(void *arg)
{
	struct server_timer *timer = arg;

	timer->at = 0;
	dispatcher_pump(timer->dispatcher, lanes_server(&timer->dispatcher->lanes, timer->server));
}

static void look_again(struct dispatcher *d, struct lanes_server *server, uint64_t at, uint64_t now)
{
	struct server_timer *timer = map_get(&d->timers, &server->id, sizeof(server->id));

	if (timer == NULL) {
		timer = mem_zero(sizeof(*timer));
		timer->dispatcher = d;
		timer->server = server->id;
		loop_timer_init(&timer->timer, d->options.loop, server_timer_fired, timer);
		map_put(&d->timers, &server->id, sizeof(server->id), timer);
	}
	if (timer->at != 0 && timer->at <= at)
		return;
	timer->at = at;
	loop_timer_set(&timer->timer, at > now ? at - now : 1);
}

void dispatcher_pump(struct dispatcher *d, struct lanes_server *server)
{
	uint64_t now = clock_monotonic_ms(), wait_until = 0;
	struct queue_entry *entry;
	struct lanes_pick pick;

	while (!d->stopping && !d->held && lanes_pick(server, now, &pick, &wait_until)) {
		if (queue_claim(d->options.queue, pick.repo->id, pick.which, pick.oldest, &entry)) {
			if (!queue_is_committed(d->options.queue, entry)) {
				queue_release(d->options.queue, entry);
				look_again(d, server, now + 1, now);
				return;
			}
			dispatcher_job_start(d, pick.repo, entry);
			continue;
		}
		if (pick.repo->in_flight > 0)
			pick.repo->passed_over = true;
		lanes_drain(pick.repo, pick.which);
		dispatcher_repo_unload_if_idle(d, pick.repo);
	}
	if (wait_until != 0 && !d->stopping)
		look_again(d, server, wait_until, now);
}

/* ---- timers ---- */

/* Repositories named by a walk over the queue; they are woken after it, since waking writes. */
struct repo_list {
	uint32_t *ids;
	size_t count, capacity;
};

static void repo_collect(uint32_t repo, void *arg)
{
	struct repo_list *list = arg;

	if (list->count == list->capacity) {
		list->capacity = list->capacity == 0 ? 64 : list->capacity * 2;
		list->ids = mem_grow(list->ids, list->capacity, sizeof(*list->ids));
	}
	list->ids[list->count++] = repo;
}

static void wake_all(struct dispatcher *d, struct repo_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		dispatcher_wake(d, list->ids[i]);
	free(list->ids);
}

static void look_for_due(void *arg)
{
	struct dispatcher *d = arg;
	struct repo_list list = {0};
	int64_t next;

	d->next_due_ms = 0;
	if (d->stopping)
		return;
	next = queue_due(d->options.queue, clock_wall_ms(), DUE_BATCH, repo_collect, &list);
	wake_all(d, &list);
	look_at(d, next);
}

static bool may_probe(struct lanes_repo *repo, uint64_t now)
{
	return repo->blocked && !repo->stale && repo->in_flight == 0 && repo->probe_at <= now &&
	       repo->token->server->paused_until <= now &&
	       pace_wait_until(&repo->token->pace, now) == 0;
}

/* A blocked repository whose hour has come tries one update; one repository at a time. */
static void probe_blocked(void *arg)
{
	struct dispatcher *d = arg;
	uint64_t now = clock_monotonic_ms();
	struct queue_entry *entry;
	struct lanes_repo *repo;
	size_t position = 0;

	loop_timer_set(&d->probe_timer, PROBE_LOOK_MS);
	while (!d->stopping && !d->held && (repo = map_next(&d->lanes.repos, &position)) != NULL) {
		if (!may_probe(repo, now))
			continue;
		repo->probe_at = now + PROBE_MS;
		if (queue_claim(d->options.queue, repo->id, QUEUE_FINAL, false, &entry) ||
		    queue_claim(d->options.queue, repo->id, QUEUE_RUNNING, false, &entry)) {
			loop_timer_set(&d->probe_timer, PROBE_NEXT_MS);
			if (queue_is_committed(d->options.queue, entry)) {
				dispatcher_job_start(d, repo, entry);
				return; /* the map may have changed */
			}
			queue_release(d->options.queue, entry);
			repo->probe_at = now;
		}
	}
}

/* ---- interface ---- */

struct dispatcher *dispatcher_new(const struct dispatcher_options *options)
{
	struct dispatcher *d = mem_zero(sizeof(*d));

	d->options = *options;
	lanes_init(&d->lanes, options->connections);
	map_init(&d->timers);
	map_init(&d->discards);
	TAILQ_INIT(&d->jobs);
	loop_timer_init(&d->due_timer, options->loop, look_for_due, d);
	loop_timer_init(&d->probe_timer, options->loop, probe_blocked, d);
	loop_timer_init(&d->discard_timer, options->loop, dispatcher_discard, d);
	loop_timer_init(&d->hold_timer, options->loop, hold_over, d);
	loop_timer_set(&d->probe_timer, PROBE_LOOK_MS);
	db_on_lost(options->db, store_lost, d);
	return d;
}

void dispatcher_free(struct dispatcher *d)
{
	struct server_timer *timer;
	uint32_t *discarded;
	size_t position = 0;

	if (d == NULL)
		return;
	dispatcher_jobs_cancel(d);
	db_forget(d->options.db, d);
	while ((timer = map_next(&d->timers, &position)) != NULL) {
		loop_timer_cancel(&timer->timer);
		free(timer);
	}
	map_free(&d->timers);
	for (position = 0; (discarded = map_next(&d->discards, &position)) != NULL;)
		free(discarded);
	map_free(&d->discards);
	loop_timer_cancel(&d->due_timer);
	loop_timer_cancel(&d->probe_timer);
	loop_timer_cancel(&d->discard_timer);
	loop_timer_cancel(&d->hold_timer);
	lanes_clear(&d->lanes);
	free(d);
}

void dispatcher_start(struct dispatcher *d)
{
	struct repo_list list = {0};

	queue_each_repo(d->options.queue, repo_collect, &list);
	wake_all(d, &list);
	dispatcher_look(d);
}

void dispatcher_wake(struct dispatcher *d, uint32_t id)
{
	dispatcher_repo_wake(d, id, false);
}

void dispatcher_repo_changed(struct dispatcher *d, uint32_t id)
{
	struct lanes_repo *repo = lanes_repo(&d->lanes, id);

	if (repo != NULL) {
		repo->stale = true;
		lanes_block(repo, UINT64_MAX);
		dispatcher_repo_unload_if_idle(d, repo); /* wakes it again */
		return;
	}
	dispatcher_repo_wake(d, id, true);
}

void dispatcher_server_changed(struct dispatcher *d, uint32_t id)
{
	struct lanes_server *server = lanes_server(&d->lanes, id);

	servers_changed(d->options.servers, id);
	if (records_server(d->options.records, id) == NULL) {
		lanes_server_remove(&d->lanes, id);
		return;
	}
	server->paused_until = 0;
	dispatcher_pump(d, server);
}

void dispatcher_server_answered(struct dispatcher *d, uint32_t id, const struct scm_answer *answer)
{
	struct lanes_server *server = lanes_server(&d->lanes, id);

	lanes_server_showed(server, answer->trace);
	if (answer->outcome == SCM_TEMPORARY && !answer->rate_limited && !answer->unknown_commit) {
		dispatcher_server_fails(d, server, answer);
		return;
	}
	dispatcher_server_works(d, server, clock_wall_ms());
	dispatcher_pump(d, server);
}

void dispatcher_look(struct dispatcher *d)
{
	loop_timer_set(&d->due_timer, 1);
}

void dispatcher_stop(struct dispatcher *d, loop_fn *idle, void *arg)
{
	d->stopping = true;
	if (d->in_flight == 0) {
		loop_defer(d->options.loop, idle, arg);
		return;
	}
	d->idle = idle;
	d->idle_arg = arg;
}

unsigned dispatcher_in_flight(const struct dispatcher *d)
{
	return d->in_flight;
}

bool dispatcher_health(const struct dispatcher *d, uint32_t id, struct dispatcher_health *out)
{
	const struct lanes_server *server = map_get(&d->lanes.servers, &id, sizeof(id));
	uint64_t now = clock_monotonic_ms();

	*out = (struct dispatcher_health){0};
	if (server == NULL)
		return false;
	out->contacted = server->last_ok_ms != 0 || server->failures > 0;
	out->failing = server->failures > 0;
	out->last_ok_ms = server->last_ok_ms;
	out->failing_since_ms = server->failing_since_ms;
	if (server->paused_until > now)
		out->next_try_ms = clock_wall_ms() + (int64_t)(server->paused_until - now);
	out->err = server->last_err;
	out->trace = server->last_trace;
	out->certificate = server->certificate;
	out->throttled = !TAILQ_EMPTY(&server->sleeping);
	return true;
}
