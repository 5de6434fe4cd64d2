#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/webhook_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVER_CHECKS 8
#define ASKED_CHECKS 4
/* Of steps that nobody asked for, each a request: a server usually allows 5 a second and user; 3
 * are 10,800 an hour, so that 10,000 repositories of one token are looked at within one. */
#define BURST 20.0
#define REFILL 3.0
#define LOOK_MS 1000
#define LOOK_MANY 1000 /* watches: more are gone through less often */
#define LOOK_MANY_MS 5000
#define LOOK_BATCH 500 /* that a look takes up: each token is unsealed for it */
#define CHANGED_MS 50
/* What the inbox refuses may be a stranger's: it has one repository looked at so often, and any. */
#define DOUBT_MS (10 * 60 * 1000)
#define DOUBT_ANY_MS 1000

static const struct backoff again_backoff = {.first_ms = 30 * 1000, .limit_ms = 30 * 60 * 1000};

static void timer_fired(void *arg);

/* ---- lanes and servers ---- */

static struct webhook_server *server_of(struct webhook_keeper *keeper, uint32_t id)
{
	struct webhook_server *server = map_get(&keeper->servers, &id, sizeof(id));

	if (server != NULL)
		return server;
	server = mem_zero(sizeof(*server));
	server->id = id;
	TAILQ_INIT(&server->lanes);
	map_put(&keeper->servers, &id, sizeof(id), server);
	return server;
}

static struct webhook_lane *lane_of(
    struct webhook_server *server, const unsigned char fingerprint[CRYPTO_SHA256], uint64_t now_ms)
{
	struct webhook_lane *lane;

	TAILQ_FOREACH(lane, &server->lanes, entry)
	{
		if (memcmp(lane->fingerprint, fingerprint, CRYPTO_SHA256) == 0)
			return lane;
	}
	lane = mem_zero(sizeof(*lane));
	lane->server = server;
	memcpy(lane->fingerprint, fingerprint, CRYPTO_SHA256);
	lane->allowance = BURST;
	lane->filled_ms = now_ms;
	TAILQ_INIT(&lane->asked);
	TAILQ_INIT(&lane->waiting);
	TAILQ_INSERT_TAIL(&server->lanes, lane, entry);
	return lane;
}

static void lane_fill(struct webhook_lane *lane, uint64_t now_ms)
{
	lane->allowance += (double)(now_ms - lane->filled_ms) * REFILL / 1000;
	lane->filled_ms = now_ms;
	if (lane->allowance > BURST)
		lane->allowance = BURST;
}

static bool lane_is_idle(const struct webhook_lane *lane)
{
	return lane->running == 0 && TAILQ_EMPTY(&lane->asked) && TAILQ_EMPTY(&lane->waiting);
}

/* What is not used and would begin anew as it is. */
static void lanes_tidy(struct webhook_server *server, uint64_t now_ms)
{
	struct webhook_lane *lane, *next;

	for (lane = TAILQ_FIRST(&server->lanes); lane != NULL; lane = next) {
		next = TAILQ_NEXT(lane, entry);
		lane_fill(lane, now_ms);
		if (!lane_is_idle(lane) || lane->allowance < BURST)
			continue;
		TAILQ_REMOVE(&server->lanes, lane, entry);
		free(lane);
	}
}

/* The end of the server's pause, 0 when it works. */
static uint64_t server_wait(struct webhook_keeper *keeper, uint32_t id, uint64_t now_ms)
{
	struct dispatcher_health health;
	int64_t wait;

	if (!dispatcher_health(keeper->options.dispatcher, id, &health) || !health.failing ||
	    health.next_try_ms == 0)
		return 0;
	wait = health.next_try_ms - clock_wall_ms();
	return wait > 0 ? now_ms + (uint64_t)wait : 0;
}

uint64_t webhook_lane_wait(
    struct webhook_keeper *keeper, struct webhook_lane *lane, bool asked, uint64_t now_ms)
{
	uint64_t until =
	    dispatcher_token_wait(keeper->options.dispatcher, lane->server->id, lane->fingerprint);
	uint64_t other;

	if (until == UINT64_MAX || asked)
		return until;
	lane_fill(lane, now_ms);
	if (lane->allowance < 1) {
		other = now_ms + (uint64_t)((1 - lane->allowance) * 1000 / REFILL) + 1;
		until = other > until ? other : until;
	}
	other = server_wait(keeper, lane->server->id, now_ms);
	return other > until ? other : until;
}

void webhook_lane_sent(struct webhook_keeper *keeper, struct webhook_lane *lane)
{
	if (lane->allowance > -BURST)
		lane->allowance -= 1;
	dispatcher_token_sent(keeper->options.dispatcher, lane->server->id, lane->fingerprint);
}

/* ---- when ---- */

static void timer_at(struct webhook_keeper *keeper, uint64_t at_ms, uint64_t now_ms)
{
	if (at_ms == UINT64_MAX || (keeper->timer_at != 0 && keeper->timer_at <= at_ms))
		return;
	keeper->timer_at = at_ms;
	loop_timer_set(&keeper->timer, at_ms > now_ms ? at_ms - now_ms : 0);
}

/* The watches are gone through in batches, so that many of them do not wake us often. */
static void look_at(struct webhook_keeper *keeper, uint64_t due_ms, uint64_t now_ms)
{
	uint64_t gap = keeper->watches.count > LOOK_MANY ? LOOK_MANY_MS : LOOK_MS;
	uint64_t earliest = keeper->looked_ms != 0 ? keeper->looked_ms + gap : 0;

	if (due_ms != UINT64_MAX)
		timer_at(keeper, due_ms > earliest ? due_ms : earliest, now_ms);
}

/* Each repository has its own moment of the period, the same from start to start. */
static uint64_t next_slot(const struct webhook_keeper *keeper, uint32_t repo, uint64_t now_ms)
{
	uint64_t period = keeper->options.period_ms, wall = (uint64_t)clock_wall_ms();
	uint64_t slot = wall - wall % period + (repo * 2654435761u) % period;

	while (slot <= wall + period / 16)
		slot += period;
	return now_ms + (slot - wall);
}

static void watch_free(struct webhook_watch *watch)
{
	struct webhook_request *request;

	while ((request = TAILQ_FIRST(&watch->requests)) != NULL) {
		TAILQ_REMOVE(&watch->requests, request, entry);
		webhook_request_free(request);
	}
	free(watch);
}

static struct webhook_watch *watch_of(struct webhook_keeper *keeper, uint32_t repo)
{
	struct webhook_watch *watch = map_get(&keeper->watches, &repo, sizeof(repo));

	if (watch != NULL)
		return watch;
	watch = mem_zero(sizeof(*watch));
	watch->repo = repo;
	watch->due_ms = UINT64_MAX;
	TAILQ_INIT(&watch->requests);
	map_put(&keeper->watches, &repo, sizeof(repo), watch);
	return watch;
}

/* ---- from due to a check ---- */

static struct webhook_watches *list_of(struct webhook_watch *watch)
{
	return TAILQ_EMPTY(&watch->requests) ? &watch->lane->waiting : &watch->lane->asked;
}

static void start_check(struct webhook_keeper *keeper, struct webhook_watch *watch)
{
	struct webhook_lane *lane = watch->lane;
	struct webhook_request *request;

	TAILQ_REMOVE(list_of(watch), watch, entry);
	watch->waiting = false;
	watch->changed = false;
	request = TAILQ_FIRST(&watch->requests);
	if (request != NULL)
		TAILQ_REMOVE(&watch->requests, request, entry);
	lane->running++;
	lane->server->running++;
	TAILQ_REMOVE(&lane->server->lanes, lane, entry); /* to the end of the round */
	TAILQ_INSERT_TAIL(&lane->server->lanes, lane, entry);
	webhook_check_start(keeper, watch, request);
}

/* The token is refused: what nobody asked for is not tried. */
static void drop_waiting(struct webhook_keeper *keeper, struct webhook_lane *lane, uint64_t now_ms)
{
	struct webhook_watch *watch;

	while ((watch = TAILQ_FIRST(&lane->waiting)) != NULL) {
		TAILQ_REMOVE(&lane->waiting, watch, entry);
		watch->waiting = false;
		watch->lane = NULL;
		watch->due_ms = next_slot(keeper, watch->repo, now_ms);
		look_at(keeper, watch->due_ms, now_ms);
	}
}

/* True when a check of this lane was begun. */
static bool pump_lane(struct webhook_keeper *keeper, struct webhook_lane *lane, uint64_t now_ms)
{
	bool asked = !TAILQ_EMPTY(&lane->asked);
	uint64_t until;

	if (lane->running >= (asked ? ASKED_CHECKS : 1) || (!asked && TAILQ_EMPTY(&lane->waiting)))
		return false;
	until = webhook_lane_wait(keeper, lane, asked, now_ms);
	if (until == UINT64_MAX && !asked) {
		drop_waiting(keeper, lane, now_ms);
		return false;
	}
	if (until > now_ms && until != UINT64_MAX) {
		timer_at(keeper, until, now_ms);
		return false;
	}
	start_check(keeper, TAILQ_FIRST(asked ? &lane->asked : &lane->waiting));
	return true;
}

static void pump(struct webhook_keeper *keeper, struct webhook_server *server)
{
	uint64_t now = clock_monotonic_ms();
	struct webhook_lane *lane, *next;
	bool began = true;

	while (began && !keeper->stopped) {
		began = false;
		for (lane = TAILQ_FIRST(&server->lanes);
		     lane != NULL && server->running < SERVER_CHECKS; lane = next) {
			next = TAILQ_NEXT(lane, entry);
			began |= pump_lane(keeper, lane, now);
		}
		began = began && server->running < SERVER_CHECKS;
	}
}

/* The token chooses the lane; without one (its check then says so) any will do. */
static struct webhook_lane *lane_for(struct webhook_keeper *keeper, uint32_t repo, uint64_t now_ms)
{
	unsigned char fingerprint[CRYPTO_SHA256] = {0};
	struct secret token = {0};
	struct record_repo record;
	uint32_t server = 0;

	if (records_repo(keeper->options.records, repo, &record))
		server = record.server;
	if (server != 0 && records_repo_token(keeper->options.records, repo, &token, NULL))
		crypto_sha256(fingerprint, token.data, token.length);
	secret_free(&token);
	return lane_of(server_of(keeper, server), fingerprint, now_ms);
}

/* Puts it into its token's lane, or where what was asked for waits. */
static void enqueue(struct webhook_keeper *keeper, struct webhook_watch *watch, uint64_t now_ms)
{
	if (watch->check != NULL || watch->waiting)
		return;
	watch->lane = lane_for(keeper, watch->repo, now_ms);
	watch->waiting = true;
	watch->due_ms = UINT64_MAX;
	TAILQ_INSERT_TAIL(list_of(watch), watch, entry);
}

void webhook_watch_done(
    struct webhook_keeper *keeper, struct webhook_watch *watch, enum webhook_next next)
{
	struct webhook_server *server = watch->lane->server;
	uint64_t now = clock_monotonic_ms();
	uint32_t repo = watch->repo, wait;

	server->running--;
	watch->lane->running--;
	watch->lane = NULL;
	watch->failures = next == WEBHOOK_SOON ? watch->failures + 1 : 0;
	if (!TAILQ_EMPTY(&watch->requests) || next == WEBHOOK_AGAIN) {
		enqueue(keeper, watch, now);
		if (watch->lane->server != server)
			pump(keeper, watch->lane->server);
	} else if (next == WEBHOOK_NEVER) {
		map_remove(&keeper->watches, &repo, sizeof(repo));
		watch_free(watch);
	} else {
		watch->due_ms = next_slot(keeper, repo, now);
		wait = backoff_ms(&again_backoff, watch->failures, crypto_random_below(UINT32_MAX));
		if (next == WEBHOOK_SOON && now + wait < watch->due_ms)
			watch->due_ms = now + wait;
		if (watch->changed)
			watch->due_ms = now + CHANGED_MS;
		look_at(keeper, watch->due_ms, now);
	}
	pump(keeper, server);
}

static void timer_fired(void *arg)
{
	struct webhook_keeper *keeper = arg;
	uint64_t now = clock_monotonic_ms(), next = UINT64_MAX;
	struct webhook_server *server;
	struct webhook_watch *watch;
	size_t position = 0;
	unsigned taken = 0;

	keeper->timer_at = 0;
	keeper->looked_ms = now;
	if (keeper->stopped)
		return;
	while ((watch = map_next(&keeper->watches, &position)) != NULL) {
		if (watch->due_ms <= now && taken++ < LOOK_BATCH)
			enqueue(keeper, watch, now);
		else if (watch->due_ms < next)
			next = watch->due_ms;
	}
	look_at(keeper, next, now);
	for (position = 0; (server = map_next(&keeper->servers, &position)) != NULL;) {
		pump(keeper, server);
		lanes_tidy(server, now);
	}
}

/* ---- interface ---- */

static void on_doubt(uint32_t repo, void *arg)
{
	struct webhook_keeper *keeper = arg;
	struct webhook_watch *watch = map_get(&keeper->watches, &repo, sizeof(repo));
	uint64_t now = clock_monotonic_ms();

	if (watch == NULL || watch->due_ms == UINT64_MAX || watch->failures > 0 ||
	    (watch->doubted_ms != 0 && now - watch->doubted_ms < DOUBT_MS) ||
	    (keeper->doubted_ms != 0 && now - keeper->doubted_ms < DOUBT_ANY_MS))
		return;
	keeper->doubted_ms = watch->doubted_ms = now;
	webhook_keeper_changed(keeper, repo);
}

struct webhook_keeper *webhook_keeper_new(const struct webhook_options *options)
{
	struct webhook_keeper *keeper = mem_zero(sizeof(*keeper));

	keeper->options = *options;
	if (keeper->options.period_ms == 0)
		keeper->options.period_ms = 3600 * 1000;
	map_init(&keeper->watches);
	map_init(&keeper->servers);
	TAILQ_INIT(&keeper->checks);
	loop_timer_init(&keeper->timer, options->loop, timer_fired, keeper);
	if (options->inbox != NULL)
		inbox_on_doubt(options->inbox, on_doubt, keeper);
	return keeper;
}

static void server_free(struct webhook_server *server)
{
	struct webhook_lane *lane;

	while ((lane = TAILQ_FIRST(&server->lanes)) != NULL) {
		TAILQ_REMOVE(&server->lanes, lane, entry);
		free(lane);
	}
	free(server);
}

void webhook_keeper_free(struct webhook_keeper *keeper)
{
	struct webhook_server *server;
	struct webhook_watch *watch;
	size_t position = 0;

	if (keeper == NULL)
		return;
	if (keeper->options.inbox != NULL)
		inbox_on_doubt(keeper->options.inbox, NULL, NULL);
	loop_timer_cancel(&keeper->timer);
	webhook_checks_cancel(keeper);
	while ((watch = map_next(&keeper->watches, &position)) != NULL)
		watch_free(watch);
	for (position = 0; (server = map_next(&keeper->servers, &position)) != NULL;)
		server_free(server);
	map_free(&keeper->watches);
	map_free(&keeper->servers);
	free(keeper);
}

/* What it was given last is not what is wanted now, or it was never given anything. */
static bool is_pressing(
    struct webhook_keeper *keeper, const struct record_repo *record, const struct record_hook *row)
{
	struct webhook_target target;
	struct err err = ERR_INIT;

	if (row == NULL || row->state == HOOK_NEW || row->state == HOOK_REMOVING ||
	    record->state == REPO_DISABLED)
		return true;
	if (row->state == HOOK_MANUAL && row->relay == keeper->options.relay)
		return false; /* whoever entered it may have entered it since: at its time */
	if (webhook_row_is_unsure(row))
		return true;
	return webhook_target(keeper, record, false, &target, &err) &&
	       strcmp(row->url, target.url) != 0;
}

static void watch_at_start(
    struct webhook_keeper *keeper, const struct record_repo *record, uint64_t now_ms)
{
	struct webhook_watch *watch;
	struct record_hook row;
	bool has_row = hooks_get(keeper->options.hooks, record->id, &row);

	if (record->state == REPO_DISABLED && !has_row)
		return;
	watch = watch_of(keeper, record->id);
	if (watch->due_ms != UINT64_MAX || watch->waiting || watch->check != NULL)
		return;
	watch->due_ms = is_pressing(keeper, record, has_row ? &row : NULL)
	                    ? now_ms
	                    : next_slot(keeper, record->id, now_ms);
}

/* Where EYES_WEBHOOK_SECRET is another one than before, each webhook is to be written again, also
 * when we are killed before all are. */
static void note_secret(struct webhook_keeper *keeper)
{
	struct hooks *hooks = keeper->options.hooks;
	struct record_hook row = {0};
	struct err err = ERR_INIT;
	bool changed;

	if (keeper->options.relay) /* each has its own */
		return;
	if (!hooks_given_changed(hooks, keeper->options.sign, &changed, &err)) {
		log_error(
		    "webhooks", "whether EYES_WEBHOOK_SECRET changed is not known", log_err(&err));
		return;
	}
	if (!changed)
		return;
	log_info("webhooks", "EYES_WEBHOOK_SECRET changed: the webhooks are written again");
	while (hooks_next(hooks, row.repo, &row)) {
		row.events = "";
		if (!webhook_row_put(keeper, &row, &err))
			return; /* with the secret: the next start sees it again */
	}
}

void webhook_keeper_start(struct webhook_keeper *keeper)
{
	uint64_t now = clock_monotonic_ms();
	struct record_repo record = {0};
	struct record_hook row = {0};

	note_secret(keeper);
	while (records_next_repo(keeper->options.records, record.id, &record))
		watch_at_start(keeper, &record, now);
	/* Rows whose repository went with its server: their check ends them. */
	while (hooks_next(keeper->options.hooks, row.repo, &row))
		if (!records_repo(keeper->options.records, row.repo, &record))
			watch_of(keeper, row.repo)->due_ms = now;
	timer_at(keeper, now + 1, now);
}

void webhook_keeper_stop(struct webhook_keeper *keeper)
{
	keeper->stopped = true;
	loop_timer_cancel(&keeper->timer);
}

static void ask(struct webhook_keeper *keeper, uint32_t repo, enum webhook_task task,
    const char *who, bool force, webhook_fn *fn, void *arg)
{
	struct webhook_watch *watch = watch_of(keeper, repo);
	struct webhook_request *request = mem_zero(sizeof(*request));

	request->task = task;
	request->force = force;
	request->who = mem_string(who);
	request->fn = fn;
	request->arg = arg;
	if (watch->waiting && !TAILQ_EMPTY(&watch->requests)) {
		TAILQ_INSERT_TAIL(&watch->requests, request, entry);
		return;
	}
	if (watch->waiting) { /* nobody asked so far: it moves */
		TAILQ_REMOVE(&watch->lane->waiting, watch, entry);
		watch->waiting = false;
	}
	TAILQ_INSERT_TAIL(&watch->requests, request, entry);
	if (watch->check != NULL)
		return; /* webhook_watch_done goes on with it */
	enqueue(keeper, watch, clock_monotonic_ms());
	pump(keeper, watch->lane->server);
}

void webhook_keeper_check(struct webhook_keeper *keeper, uint32_t repo, const char *who, bool force,
    webhook_fn *fn, void *arg)
{
	ask(keeper, repo, WEBHOOK_CHECK, who, force, fn, arg);
}

void webhook_keeper_rotate(
    struct webhook_keeper *keeper, uint32_t repo, const char *who, webhook_fn *fn, void *arg)
{
	ask(keeper, repo, WEBHOOK_ROTATE, who, false, fn, arg);
}

void webhook_keeper_remove(
    struct webhook_keeper *keeper, uint32_t repo, const char *who, webhook_fn *fn, void *arg)
{
	ask(keeper, repo, WEBHOOK_REMOVE, who, false, fn, arg);
}

void webhook_keeper_changed(struct webhook_keeper *keeper, uint32_t repo)
{
	struct webhook_watch *watch = watch_of(keeper, repo);
	uint64_t now = clock_monotonic_ms();

	watch->changed = watch->check != NULL;
	if (watch->waiting || watch->check != NULL)
		return;
	watch->failures = 0;
	watch->due_ms = now + CHANGED_MS;
	look_at(keeper, watch->due_ms, now);
}

/* ---- by hand ---- */

/* The one that nobody was given so far counts no more. */
static bool new_secret(struct webhook_keeper *keeper, uint32_t repo, struct err *err)
{
	struct hooks *hooks = keeper->options.hooks;
	int64_t now = clock_wall_ms();
	struct record_hook row;

	if (!hooks_get(hooks, repo, &row))
		return err_set(err, "not_found", "this repository has no webhook");
	if (row.id[0] == '\0' && !row.by_hand && !row.secret_there && row.old_until_ms == 0)
		now -= HOOKS_OLD_SECRET_MS;
	if (!hooks_rotate_secret(hooks, repo, now, err) || !hooks_get(hooks, repo, &row))
		return false;
	row.events = ""; /* where the webhook can be written after all, it gets this one */
	if (!webhook_row_put(keeper, &row, err))
		return false;
	if (row.id[0] != '\0')
		webhook_keeper_changed(keeper, repo);
	return true;
}

bool webhook_keeper_by_hand(struct webhook_keeper *keeper, uint32_t repo, char *name,
    size_t name_size, char *url, size_t url_size, char *events, size_t events_size, struct err *err)
{
	struct webhook_target target;
	struct record_repo record;
	size_t used = 0;

	if (!records_repo(keeper->options.records, repo, &record) || record.state == REPO_DISABLED)
		return err_set(
		    err, "not_found", "there is no such repository, or it is not enabled");
	if (!webhook_target(keeper, &record, false, &target, err))
		return false;
	if (!webhook_row_prepare(keeper, repo, err) ||
	    (keeper->options.relay && !new_secret(keeper, repo, err)))
		return false;
	snprintf(name, name_size, "%s", target.name);
	snprintf(url, url_size, "%s", target.url);
	events[0] = '\0';
	for (unsigned i = 0; i < WEBHOOK_EVENTS && used < events_size; i++)
		used += (size_t)snprintf(
		    events + used, events_size - used, "%s%s", i > 0 ? " " : "", webhook_events[i]);
	return true;
}
