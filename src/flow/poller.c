#include "flow/poller.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "flow/commit_watch.h"
#include <stdlib.h>
#include <string.h>

#define ACCEPT_MAX 512
#define ALIASES_MAX (1 << 20)
#define MISSING_BEFORE_BATCHES 3
#define LOOK_AGAIN_MS (24ull * 3600 * 1000)
#define REFUSED_MS (10 * 60 * 1000)
#define FULL_MS 5000
#define FULL_LOOK_MS 100
#define MORE_MS 1000 /* batches: the listing goes on */
#define HELD_MS 1000 /* an empty answer that took this long was a held one: poll again at once */

static const struct backoff failure_backoff = {.first_ms = 1000, .limit_ms = 5 * 60 * 1000};
static const struct backoff known_backoff = {.first_ms = 1000, .limit_ms = 60 * 1000};

struct poller {
	struct poller_options options;
	enum poller_state state;
	const struct eyes_source_driver *driver;
	struct eyes_source *source;
	const char *reason;
	const struct eyes_source_driver
	    *next_driver; /* taken up before the next poll, never inside a source's callback */
	const char *next_reason;
	struct loop_timer timer, daily;
	struct loop_timer room; /* while full: whether there is room again */
	struct eyes_call *call; /* acknowledgement or key check */
	unsigned failures, nothing_new, missing;
	bool looking_again; /* one poll of the feed while batches are in use */
	bool refused, full, more, kicked, was_new, empty, held;
	bool ack_fails; /* Eyes works again only once it takes acknowledgements */
	struct commit_watch *storing;
	unsigned generation; /* of the source */
	uint64_t poll_started;
	int64_t last_ok_ms, failing_since_ms, next_ms;
	struct err *err;
	struct http_trace *trace;
	char *ids[ACCEPT_MAX]; /* to be accepted after the commit */
	unsigned id_count;
	uint32_t *wakes;
	size_t wake_count, wake_capacity;
	struct log_limit failure_limit, full_limit;
};

static struct metric polls =
    METRIC(METRIC_COUNTER, "eyes_scm_polls_total", "", "Polls of the Eyes server");
static struct metric poll_failures = METRIC(
    METRIC_COUNTER, "eyes_scm_poll_failures_total", "", "Polls of the Eyes server that failed");

static void poll_now(void *arg);
static void polled(const struct eyes_poll *poll, void *arg);
static void poll_failed(struct poller *p, const struct eyes_poll *poll);
static void feed_missing(struct poller *p);
static void take_commands(struct poller *p, const struct eyes_poll *poll);
static void stored(const struct err *err, void *arg);
static void not_stored(struct poller *p);
static void note_refused(struct poller *p, bool refused);
static void accept_ids(struct poller *p);
static void accepted(const struct eyes_answer *answer, void *arg);
static void placed(unsigned count, bool full, const struct err *err, void *arg);
static void cycle_done(struct poller *p);
static void look_for_room(void *arg);

static const char *const state_names[] = {
    [POLLER_UNREADY] = "unready",
    [POLLER_POLLING] = "polling",
    [POLLER_STORING] = "storing",
    [POLLER_PLACING] = "placing",
    [POLLER_ACCEPTING] = "accepting",
    [POLLER_WAITING] = "waiting",
    [POLLER_STOPPED] = "stopped",
};

static void set_state(struct poller *p, enum poller_state state)
{
	log_debug("poller", "state", log_str("from", state_names[p->state]),
	    log_str("to", state_names[state]));
	p->state = state;
}

static void wait_ms(struct poller *p, uint64_t ms)
{
	if (p->state == POLLER_STOPPED)
		return;
	set_state(p, POLLER_WAITING);
	if (p->kicked) {
		p->kicked = false;
		ms = 0;
	}
	p->next_ms = clock_wall_ms() + (int64_t)ms;
	loop_timer_set(&p->timer, ms);
}

static uint64_t jittered(uint32_t ms)
{
	uint32_t tenth = ms / 10;

	return ms - tenth + crypto_random_below(2 * tenth + 1);
}

static void use_next(struct poller *p, const struct eyes_source_driver *driver, const char *reason)
{
	p->next_driver = driver;
	p->next_reason = reason;
}

static void use_source(
    struct poller *p, const struct eyes_source_driver *driver, const char *reason)
{
	if (p->source != NULL)
		p->driver->destroy(p->source);
	p->driver = driver;
	p->source = driver->create(&p->options.source);
	p->reason = reason;
	p->generation++;
	log_info("poller", "source of status updates", log_str("source", driver->name),
	    log_str("reason", reason));
	bus_publish(p->options.bus, BUS_EYES, 0);
}

/* ---- health ---- */

static void works(struct poller *p)
{
	bool news = p->err != NULL || p->refused;

	p->last_ok_ms = clock_wall_ms();
	p->failures = 0;
	if (!news)
		return;
	log_info("poller", "Eyes answers again",
	    log_int(
	        "after_ms", p->failing_since_ms != 0 ? p->last_ok_ms - p->failing_since_ms : 0));
	p->failing_since_ms = 0;
	p->ack_fails = false;
	note_refused(p, false);
	free(p->err);
	free(p->trace);
	p->err = NULL;
	p->trace = NULL;
	bus_publish(p->options.bus, BUS_EYES, 0);
	if (p->options.works != NULL)
		p->options.works(p->options.arg);
}

static void fails(struct poller *p, const struct err *err, const struct http_trace *trace)
{
	p->failures++;
	if (p->failing_since_ms == 0)
		p->failing_since_ms = clock_wall_ms();
	if (p->err == NULL)
		p->err = mem_zero(sizeof(*p->err));
	err_copy(p->err, err);
	if (trace != NULL) {
		if (p->trace == NULL)
			p->trace = mem_zero(sizeof(*p->trace));
		*p->trace = *trace;
	}
	bus_publish(p->options.bus, BUS_EYES, 0);
}

static void wait_after_failure(struct poller *p, int64_t retry_after_ms)
{
	uint64_t ms = backoff_ms(&failure_backoff, p->failures, crypto_random_below(UINT32_MAX));

	if (p->refused)
		ms = REFUSED_MS;
	if (retry_after_ms > (int64_t)ms)
		ms = (uint64_t)retry_after_ms;
	log_limited_warn(&p->failure_limit, "poller", "Eyes cannot be polled",
	    log_uint("failures", p->failures), log_uint("next_try_ms", ms), log_err(p->err));
	wait_ms(p, ms);
}

/* ---- polling ---- */

static const char *unready(const struct poller *p)
{
	struct record_account account;

	if (p->options.eyes == NULL)
		return "config_missing";
	if (!records_account(p->options.records, &account))
		return "account_missing";
	if (!eyes_has_key(p->options.eyes))
		return "eyes_moved";
	return NULL;
}

/* The addresses under which Eyes may name our servers. */
struct hosts {
	const char **list;
	unsigned count, capacity;
	struct buf aliases;
};

static void hosts_add(struct hosts *hosts, const char *url)
{
	if (hosts->count == hosts->capacity) {
		hosts->capacity = hosts->capacity == 0 ? 8 : hosts->capacity * 2;
		hosts->list = mem_grow(hosts->list, hosts->capacity, sizeof(*hosts->list));
	}
	hosts->list[hosts->count++] = url;
}

static void hosts_collect(const struct poller *p, struct hosts *hosts)
{
	struct records *records = p->options.records;

	*hosts = (struct hosts){0};
	buf_init(&hosts->aliases, ALIASES_MAX);
	for (unsigned i = 0; i < records_server_count(records); i++) {
		hosts_add(hosts, records_server_at(records, i)->url);
		buf_puts(&hosts->aliases, records_server_at(records, i)->aliases);
		buf_putc(&hosts->aliases, ' ');
	}
	for (char *rest = hosts->aliases.data, *alias; (alias = strsep(&rest, " ")) != NULL;)
		if (alias[0] != '\0')
			hosts_add(hosts, alias);
}

static void hosts_free(struct hosts *hosts)
{
	free(hosts->list);
	buf_free(&hosts->aliases);
}

static void poll_now(void *arg)
{
	struct poller *p = arg;
	struct hosts hosts;

	if (p->state != POLLER_WAITING && p->state != POLLER_UNREADY)
		return;
	loop_timer_cancel(&p->room);
	p->next_ms = 0;
	p->kicked = false;
	if (p->next_driver != NULL)
		use_source(p, p->next_driver, p->next_reason);
	p->next_driver = NULL;
	if (unready(p) != NULL || records_server_count(p->options.records) == 0) {
		set_state(p, POLLER_UNREADY); /* until poller_kick */
		return;
	}
	set_state(p, POLLER_POLLING);
	metric_add(&polls, 1);
	p->poll_started = clock_monotonic_ms();
	p->more = p->was_new = false;
	/* The first poll is not held: until it is answered nobody knows that Eyes works. */
	p->held = p->options.wait_ms > 0 && !p->looking_again && p->failures == 0 &&
	          p->missing == 0 && p->last_ok_ms != 0;
	hosts_collect(p, &hosts);
	p->driver->poll(p->source, hosts.list, hosts.count, p->held, polled, p);
	hosts_free(&hosts);
}

static void polled(const struct eyes_poll *poll, void *arg)
{
	struct poller *p = arg;

	if (p->state == POLLER_STOPPED)
		return; /* nothing was acknowledged: Eyes gives it again */
	p->held = false;
	if (poll->missing && p->options.choice == POLLER_AUTO && p->driver == p->options.commands) {
		feed_missing(p);
		return;
	}
	if (poll->err != NULL) {
		if (p->looking_again)
			use_next(p, p->options.batches, "the command feed could not be looked for");
		p->looking_again = false;
		poll_failed(p, poll);
		return;
	}
	if (p->looking_again) {
		p->looking_again = false;
		p->reason = "the server has the command feed now";
		log_info("poller",
		    "the Eyes server has the command feed now: it is used instead of batches");
	}
	p->missing = 0;
	if (!p->ack_fails || poll->count == 0)
		works(p);
	p->more = poll->more;
	p->empty = poll->count == 0;
	p->full = false;
	if (poll->count == 0) {
		cycle_done(p);
		return;
	}
	if (p->driver->acknowledges) {
		take_commands(p, poll);
		return;
	}
	set_state(p, POLLER_PLACING);
	placing_run(p->options.placing, p->driver, p->source, poll->items, poll->count, placed, p);
}

/* What Eyes said of the key. What it says while a kick waits is about the key before. */
static void note_refused(struct poller *p, bool refused)
{
	struct record_account account;
	struct err err = ERR_INIT;

	if (p->kicked)
		return;
	p->refused = refused;
	if (!records_account(p->options.records, &account) || account.refused == refused)
		return;
	account.refused = refused;
	if (!records_set_account(p->options.records, &account, NULL, &err))
		log_error("poller", "the account cannot be stored", log_err(&err));
	bus_publish(p->options.bus, BUS_ACCOUNT, 0);
}

static void poll_failed(struct poller *p, const struct eyes_poll *poll)
{
	const struct eyes_answer *answer = poll->answer;

	metric_add(&poll_failures, 1);
	if (answer != NULL && answer->refused)
		note_refused(p, true);
	fails(p, poll->err, answer != NULL ? answer->trace : NULL);
	wait_after_failure(p, answer != NULL ? answer->retry_after_ms : -1);
}

/* ---- auto: does this server have the feed? ---- */

static void checked_while_missing(
    const struct eyes_answer *answer, const struct eyes_account *account, void *arg)
{
	struct poller *p = arg;

	p->call = NULL;
	if (p->state == POLLER_STOPPED)
		return;
	if (account == NULL) {
		if (answer->refused)
			note_refused(p, true);
		fails(p, answer->err, answer->trace);
		wait_after_failure(p, answer->retry_after_ms);
		return;
	}
	works(p);
	if (p->looking_again || ++p->missing >= MISSING_BEFORE_BATCHES) {
		p->looking_again = false;
		p->missing = 0;
		use_next(p, p->options.batches, "the server has no command feed");
		wait_ms(p, 0);
		return;
	}
	wait_ms(p, backoff_ms(&failure_backoff, p->missing, crypto_random_below(UINT32_MAX)));
}

/* An answer "no such feed" counts only while the key is valid: a proxy's page must not change the
 * source. */
static void feed_missing(struct poller *p)
{
	p->call = eyes_validate_key(p->options.eyes, NULL, checked_while_missing, p);
}

static void look_again(void *arg)
{
	struct poller *p = arg;

	loop_timer_set(&p->daily, LOOK_AGAIN_MS);
	if (p->options.choice != POLLER_AUTO || p->driver != p->options.batches)
		return;
	if (p->state != POLLER_WAITING) {
		loop_timer_set(&p->daily, 60 * 1000);
		return;
	}
	use_next(p, p->options.commands, "looking whether the server has the command feed now");
	p->looking_again = true;
	poller_kick(p);
}

/* ---- commands ---- */

static void forget_ids(struct poller *p)
{
	while (p->id_count > 0)
		free(p->ids[--p->id_count]);
}

static void note_wake(struct poller *p, uint32_t repo)
{
	if (p->wake_count > 0 && p->wakes[p->wake_count - 1] == repo)
		return;
	if (p->wake_count == p->wake_capacity) {
		p->wake_capacity = p->wake_capacity == 0 ? 64 : p->wake_capacity * 2;
		p->wakes = mem_grow(p->wakes, p->wake_capacity, sizeof(*p->wakes));
	}
	p->wakes[p->wake_count++] = repo;
}

static void take_commands(struct poller *p, const struct eyes_poll *poll)
{
	uint64_t lost = db_lost(p->options.db);
	struct err err = ERR_INIT;

	set_state(p, POLLER_STORING);
	for (unsigned i = 0; i < poll->count && p->id_count < ACCEPT_MAX; i++) {
		const struct eyes_item *item = &poll->items[i];
		enum intake_result result;
		uint32_t repo = 0;

		result = intake_take(p->options.intake, item, &repo, &err);
		if (result == INTAKE_FOREIGN)
			continue;
		if (result == INTAKE_FULL) {
			p->full = true;
			break;
		}
		if (result == INTAKE_FAILED) {
			log_limited_warn(
			    &p->full_limit, "poller", "the store took nothing in", log_err(&err));
			break;
		}
		if (result == INTAKE_NEW)
			note_wake(p, repo);
		if (result != INTAKE_KNOWN)
			p->was_new = true;
		p->ids[p->id_count++] = mem_string(item->id);
	}
	if (p->full)
		log_limited_warn(&p->full_limit, "poller",
		    "no room: nothing new is taken in until updates are delivered",
		    log_uint("used_percent", db_used_percent(p->options.db)));
	if (db_lost(p->options.db) != lost) /* with those that were taken in before the failure */
		not_stored(p);
	else
		p->storing = commit_watch_new(p->options.db, stored, p);
}

/* Nothing is acknowledged: Eyes gives it again. */
static void not_stored(struct poller *p)
{
	p->wake_count = 0;
	forget_ids(p);
	p->failures++;
	wait_ms(p, FULL_MS);
}

static void stored(const struct err *err, void *arg)
{
	struct poller *p = arg;
	bool stopped = p->state == POLLER_STOPPED;

	p->storing = NULL;
	if (err != NULL) {
		log_limited_warn(&p->full_limit, "poller",
		    "updates could not be stored; Eyes gives them again", log_err(err));
		not_stored(p);
		return;
	}
	for (size_t i = 0; i < p->wake_count && !stopped; i++)
		p->options.wake(p->wakes[i], p->options.arg);
	p->wake_count = 0;
	accept_ids(p);
}

static void accept_ids(struct poller *p)
{
	struct eyes_ack acks[ACCEPT_MAX];

	if (p->id_count == 0) {
		if (p->state != POLLER_STOPPED)
			cycle_done(p);
		return;
	}
	for (unsigned i = 0; i < p->id_count; i++)
		acks[i] = (struct eyes_ack){.id = p->ids[i], .outcome = "accepted", .error = ""};
	if (p->state != POLLER_STOPPED)
		set_state(p, POLLER_ACCEPTING);
	p->call = p->driver->acknowledge(p->source, acks, p->id_count, accepted, p);
	forget_ids(p);
}

static void accepted(const struct eyes_answer *answer, void *arg)
{
	struct poller *p = arg;

	p->call = NULL;
	if (p->state == POLLER_STOPPED)
		return;
	if (answer->err != NULL) {
		if (answer->refused)
			note_refused(p, true);
		p->ack_fails = true;
		fails(p, answer->err, answer->trace);
		wait_after_failure(p, answer->retry_after_ms);
		return;
	}
	works(p);
	cycle_done(p);
}

/* ---- batches ---- */

static void placed(unsigned count, bool full, const struct err *err, void *arg)
{
	struct poller *p = arg;

	if (p->state == POLLER_STOPPED)
		return;
	p->was_new = count > 0;
	p->full = full;
	if (err != NULL)
		log_limited_warn(&p->full_limit, "poller",
		    "some commits could not be looked up; tried again at the next poll",
		    log_err(err));
	cycle_done(p);
}

/* ---- the next poll ---- */

/* Until there is room; after FULL_MS in any case, for what is known is acknowledged again. */
static void wait_for_room(struct poller *p)
{
	wait_ms(p, FULL_MS);
	if (p->state == POLLER_WAITING && p->next_ms > clock_wall_ms())
		loop_timer_set(&p->room, FULL_LOOK_MS);
}

static void look_for_room(void *arg)
{
	struct poller *p = arg;

	if (p->state != POLLER_WAITING || !p->full)
		return;
	if (queue_has_room(p->options.intake->queue))
		loop_timer_set(&p->timer, 0);
	else
		loop_timer_set(&p->room, FULL_LOOK_MS);
}

static void cycle_done(struct poller *p)
{
	uint64_t took = clock_monotonic_ms() - p->poll_started;
	uint64_t interval = jittered(p->options.interval_ms), ms;
	bool held = p->driver->acknowledges && p->options.wait_ms > 0;

	if (p->full) {
		wait_for_room(p);
		return;
	}
	if (!p->driver->acknowledges) {
		wait_ms(p, p->more && interval > MORE_MS ? MORE_MS : interval);
		return;
	}
	if (p->was_new) {
		p->nothing_new = 0;
		wait_ms(p, p->more || held ? 0 : interval);
		return;
	}
	if (!p->empty) { /* all of it known or foreign: the feed does not move on */
		ms = backoff_ms(&known_backoff, ++p->nothing_new, crypto_random_below(UINT32_MAX));
		wait_ms(p, ms > interval && !p->more ? interval : ms);
		return;
	}
	if (held && took >= HELD_MS) {
		p->nothing_new = 0;
		wait_ms(p, 0);
		return;
	}
	if (held && p->nothing_new++ == 0) {
		wait_ms(p, 100); /* the first quick empty answer after work: ask once more, now to
		                    be held */
		return;
	}
	wait_ms(p, interval);
}

/* ---- interface ---- */

struct poller *poller_new(const struct poller_options *options)
{
	struct poller *p = mem_zero(sizeof(*p));

	p->options = *options;
	if (p->options.commands == NULL)
		p->options.commands = &eyes_source_commands;
	if (p->options.batches == NULL)
		p->options.batches = &eyes_source_batches;
	p->state = POLLER_WAITING;
	loop_timer_init(&p->timer, options->loop, poll_now, p);
	loop_timer_init(&p->daily, options->loop, look_again, p);
	loop_timer_init(&p->room, options->loop, look_for_room, p);
	if (options->eyes != NULL) {
		if (options->choice == POLLER_BATCHES)
			use_source(p, p->options.batches, "EYES_STATUS_SOURCE=batches");
		else
			use_source(p, p->options.commands,
			    options->choice == POLLER_AUTO ? "the command feed is tried first"
			                                   : "EYES_STATUS_SOURCE=commands");
		loop_timer_set(&p->daily, LOOK_AGAIN_MS);
	}
	loop_timer_set(&p->timer, 0);
	return p;
}

void poller_stop(struct poller *p)
{
	loop_timer_cancel(&p->timer);
	loop_timer_cancel(&p->daily);
	loop_timer_cancel(&p->room);
	placing_cancel(p->options.placing);
	set_state(p, POLLER_STOPPED);
}

void poller_free(struct poller *p)
{
	if (p == NULL)
		return;
	loop_timer_cancel(&p->timer);
	loop_timer_cancel(&p->daily);
	loop_timer_cancel(&p->room);
	placing_cancel(p->options.placing);
	commit_watch_cancel(p->storing);
	if (p->call != NULL)
		eyes_cancel(p->call);
	if (p->source != NULL)
		p->driver->destroy(p->source);
	forget_ids(p);
	free(p->wakes);
	free(p->err);
	free(p->trace);
	free(p);
}

void poller_kick(struct poller *p)
{
	p->failures = 0;
	p->nothing_new = 0;
	if (p->state == POLLER_POLLING && p->held && p->driver->cancel != NULL) {
		/* The server may hold it for long, and with the servers of before. */
		p->driver->cancel(p->source);
		set_state(p, POLLER_WAITING);
	}
	if (p->state == POLLER_WAITING || p->state == POLLER_UNREADY)
		loop_timer_set(&p->timer, 0);
	else
		p->kicked = true;
}

struct eyes_source *poller_source(
    const struct poller *p, const struct eyes_source_driver **driver, unsigned *generation)
{
	*driver = p->driver;
	*generation = p->generation;
	return p->source;
}

bool poller_accepting(const struct poller *p)
{
	return p->state == POLLER_STORING || p->state == POLLER_ACCEPTING;
}

void poller_health(const struct poller *p, struct poller_health *out)
{
	*out = (struct poller_health){
	    .state = p->state,
	    .unready = unready(p),
	    .source = p->driver != NULL ? p->driver->name : "",
	    .reason = p->reason != NULL ? p->reason : "",
	    .refused = p->refused,
	    .full = p->full,
	    .last_ok_ms = p->last_ok_ms,
	    .failing_since_ms = p->failing_since_ms,
	    .next_ms = p->next_ms,
	    .err = p->err,
	    .trace = p->trace,
	};
}
