#include "service/health.h"
#include "base/clock.h"
#include <stdio.h>
#include <string.h>

#define GRACE_MS (60 * 1000)
#define STALE_MS (15ll * 60 * 1000)
#define WITH_KEY "in the browser or with eyes-scm account set --key-file FILE."

const char *health_state_name(enum health_state state)
{
	static const char *const names[] = {
	    [HEALTH_OK] = "ok",
	    [HEALTH_WAITING] = "waiting",
	    [HEALTH_FAILING] = "failing",
	    [HEALTH_BLOCKED] = "blocked",
	    [HEALTH_UNCONFIGURED] = "unconfigured",
	};
	return names[state];
}

static void say(
    struct health_leg *leg, enum health_state state, const char *message, const char *hint)
{
	leg->state = state;
	snprintf(leg->message, sizeof(leg->message), "%s", message);
	snprintf(leg->hint, sizeof(leg->hint), "%s", hint);
}

static void say_err(struct health_leg *leg, enum health_state state, const struct err *err)
{
	say(leg, state, err->message, err->hint);
}

void health_store(struct service *service, struct health_leg *leg)
{
	char message[200];

	*leg = (struct health_leg){.name = "store"};
	snprintf(message, sizeof(message), "%u %% of %llu MiB used",
	    db_used_percent(service->parts.db),
	    (unsigned long long)(db_size(service->parts.db) >> 20));
	if (db_full(service->parts.db))
		say(leg, HEALTH_FAILING, message,
		    "Nothing new is taken in. Raise EYES_STORE_SIZE and restart eyes-scm.");
	else
		say(leg, HEALTH_OK, message, "");
}

static void eyes_unready(struct health_leg *leg, const char *code)
{
	if (strcmp(code, "config_missing") == 0)
		say(leg, HEALTH_UNCONFIGURED,
		    "the Eyes server and the organization are not configured",
		    "Set EYES_SERVER_URL and EYES_ORG_ID in eyes-scm.conf and restart eyes-scm.");
	else if (strcmp(code, "account_missing") == 0)
		say(leg, HEALTH_UNCONFIGURED, "no Eyes API key is set", "Enter one, " WITH_KEY);
	else
		say(leg, HEALTH_BLOCKED,
		    "the Eyes server changed: the stored key is not sent to another server by "
		    "itself",
		    "Enter the key again, " WITH_KEY);
}

void health_eyes(struct service *service, struct health_leg *leg)
{
	struct poller_health health;

	*leg = (struct health_leg){.name = "eyes"};
	poller_health(service->parts.poller, &health);
	leg->last_ok_ms = health.last_ok_ms;
	leg->next_ms = health.next_ms;
	leg->trace = health.trace;
	if (health.unready != NULL)
		eyes_unready(leg, health.unready);
	else if (health.refused)
		say(leg, HEALTH_BLOCKED, "Eyes does not take the API key",
		    "Enter another key, " WITH_KEY);
	else if (health.err != NULL)
		say_err(leg, HEALTH_FAILING, health.err);
	else if (health.last_ok_ms == 0)
		say(leg, HEALTH_WAITING,
		    health.state == POLLER_UNREADY
		        ? "a server must be added before Eyes is asked for updates"
		        : "not asked yet",
		    "");
	else
		say(leg, HEALTH_OK, "updates are taken from Eyes", "");
}

void health_server(
    struct service *service, const struct record_server *server, struct health_leg *leg)
{
	struct dispatcher_health health;
	struct url url;

	*leg = (struct health_leg){0};
	if (url_parse(&url, server->url, NULL))
		url_authority(&url, leg->name, sizeof(leg->name));
	dispatcher_health(service->parts.dispatcher, server->id, &health);
	leg->last_ok_ms = health.last_ok_ms;
	leg->next_ms = health.next_try_ms;
	leg->trace = health.trace;
	leg->certificate = health.certificate;
	if (health.failing && health.err != NULL)
		say_err(leg, HEALTH_FAILING, health.err);
	else if (health.last_ok_ms == 0 || clock_wall_ms() - health.last_ok_ms > STALE_MS)
		say(leg, HEALTH_WAITING, "not asked yet", "");
	else if (health.throttled)
		say(leg, HEALTH_OK, "works; one of its tokens is slowed down, as the server asked",
		    "");
	else
		say(leg, HEALTH_OK, "works", "");
}

bool health_ready(struct service *service)
{
	bool young = clock_wall_ms() - service->parts.started_ms < GRACE_MS;
	struct records *records = service->parts.records;
	struct health_leg leg;

	health_store(service, &leg);
	if (leg.state != HEALTH_OK)
		return false;
	health_eyes(service, &leg);
	if (leg.state != HEALTH_OK && !(young && leg.state == HEALTH_WAITING))
		return false;
	for (unsigned i = 0; i < records_server_count(records); i++) {
		health_server(service, records_server_at(records, i), &leg);
		if (leg.state != HEALTH_OK && !(young && leg.state == HEALTH_WAITING))
			return false;
	}
	return true;
}

/* ---- problems ---- */

struct problems {
	health_problem_fn *fn;
	void *arg;
	unsigned count;
};

static void problem(
    struct problems *problems, const char *code, const char *message, const char *hint)
{
	problems->count++;
	problems->fn(code, message, hint, problems->arg);
}

static void problem_of_leg(struct problems *problems, const struct health_leg *leg)
{
	char message[900];

	if (leg->state == HEALTH_OK || leg->state == HEALTH_WAITING)
		return;
	snprintf(message, sizeof(message), "%s: %s", leg->name, leg->message);
	problem(problems, health_state_name(leg->state), message, leg->hint);
}

static void key_problem(struct service *service, struct problems *problems)
{
	struct record_account account;
	char message[160], expires[CLOCK_TEXT];
	int32_t days;

	if (!records_account(service->parts.records, &account))
		return;
	days = key_watch_days_left(&account, clock_wall_ms());
	if (days > KEY_WATCH_WARN_DAYS)
		return;
	clock_rfc3339(expires, account.expires_ms, false);
	snprintf(message, sizeof(message), "the Eyes API key %s on %s",
	    days < 0 ? "expired" : "expires", expires);
	problem(problems, days < 0 ? "key_expired" : "key_expires", message,
	    "Make a new key in Eyes and enter it, " WITH_KEY);
}

static void repository_problem(struct service *service, struct problems *problems)
{
	uint64_t blocked = records_repo_count(service->parts.records, REPO_BLOCKED);
	struct record_repo record = {0};
	char message[900];

	if (blocked == 0)
		return;
	while (record.state != REPO_BLOCKED &&
	       records_next_repo(service->parts.records, record.id, &record))
		;
	if (record.state != REPO_BLOCKED)
		return;
	if (blocked == 1)
		snprintf(message, sizeof(message), "%s/%s: %s; %llu updates wait", record.project,
		    record.slug, record.error,
		    (unsigned long long)queue_count_repo(service->parts.queue, record.id, 10000));
	else
		snprintf(message, sizeof(message),
		    "%llu repositories wait for a token, the first is %s/%s: %s",
		    (unsigned long long)blocked, record.project, record.slug, record.error);
	problem(problems, record.error_code[0] != '\0' ? record.error_code : "blocked", message,
	    "Give a token that works, in the browser or with eyes-scm repo set-token.");
}

static void queue_problem(struct service *service, struct problems *problems)
{
	struct poller_health health;
	struct queue_counts counts;
	char message[160];

	poller_health(service->parts.poller, &health);
	queue_count(service->parts.queue, &counts);
	if (health.full) {
		snprintf(message, sizeof(message),
		    "nothing new is taken in: %llu updates wait, the store is %u %% full",
		    (unsigned long long)counts.waiting, db_used_percent(service->parts.db));
		problem(problems, "store_full", message,
		    "Repair what they wait for, or raise EYES_STORE_SIZE or EYES_QUEUE_LIMIT.");
	}
	if (counts.dead > 0) {
		snprintf(message, sizeof(message), "%llu updates were refused for good",
		    (unsigned long long)counts.dead);
		problem(problems, "dead", message,
		    "Retry or drop them, in the browser or with eyes-scm queue list --state dead.");
	}
}

unsigned health_problems(struct service *service, health_problem_fn *fn, void *arg)
{
	struct problems problems = {.fn = fn, .arg = arg};
	struct records *records = service->parts.records;
	struct health_leg leg;

	health_store(service, &leg);
	problem_of_leg(&problems, &leg);
	health_eyes(service, &leg);
	problem_of_leg(&problems, &leg);
	key_problem(service, &problems);
	if (records_server_count(records) == 0)
		problem(&problems, "no_server", "no server is set up yet",
		    "Add one, in the browser or with eyes-scm server add URL.");
	for (unsigned i = 0; i < records_server_count(records); i++) {
		health_server(service, records_server_at(records, i), &leg);
		problem_of_leg(&problems, &leg);
	}
	repository_problem(service, &problems);
	queue_problem(service, &problems);
	problems.count += health_events_problems(service, fn, arg);
	problems.count += health_webhook_problems(service, fn, arg);
	return problems.count;
}
