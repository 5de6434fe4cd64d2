/* The events leg: how passing events on to Eyes is. */
#include "service/health.h"
#include <stdio.h>
#include <string.h>

static void say(
    struct health_leg *leg, enum health_state state, const char *message, const char *hint)
{
	leg->state = state;
	snprintf(leg->message, sizeof(leg->message), "%s", message);
	snprintf(leg->hint, sizeof(leg->hint), "%s", hint);
}

static void unready(struct health_leg *leg, const char *code)
{
	if (strcmp(code, "config_missing") == 0)
		say(leg, HEALTH_UNCONFIGURED,
		    "events are kept: the Eyes server and the organization are not configured",
		    "Set EYES_SERVER_URL and EYES_ORG_ID in eyes-scm.conf and restart eyes-scm.");
	else
		say(leg, HEALTH_UNCONFIGURED, "events are kept: no Eyes API key is set",
		    "Enter one, in the browser or with eyes-scm account set --key-file FILE.");
}

/* Only the first of some repositories is not taken. */
static void held(struct health_leg *leg, const struct forwarder_health *health)
{
	char message[sizeof(leg->message)];

	snprintf(message, sizeof(message),
	    "of %u repositor%s the first event is not taken, the others' are: %.400s", health->held,
	    health->held == 1 ? "y" : "ies", health->held_err->message);
	say(leg, HEALTH_FAILING, message,
	    "It is tried again. Drop it to let the others go, in the browser or with eyes-scm "
	    "events drop ID.");
}

bool health_events(struct service *service, struct health_leg *leg)
{
	struct events_counts counts = {0};
	struct forwarder_health health;

	*leg = (struct health_leg){.name = "events"};
	if (service->parts.forwarder == NULL)
		return false;
	events_count(service->parts.events, &counts);
	forwarder_health(service->parts.forwarder, &health);
	leg->last_ok_ms = health.last_ok_ms;
	leg->next_ms = health.next_try_ms;
	leg->trace = health.trace;
	if (health.unready != NULL)
		unready(leg, health.unready);
	else if (health.failing)
		say(leg, health.blocked ? HEALTH_BLOCKED : HEALTH_FAILING, health.err->message,
		    health.err->hint);
	else if (health.held > 0)
		held(leg, &health);
	else if (!health.contacted)
		say(leg, HEALTH_WAITING, "no event was passed on yet", "");
	else
		say(leg, HEALTH_OK, "events are passed on to Eyes", "");
	return service->parts.relay || service->parts.github || counts.waiting + counts.dead > 0;
}

unsigned health_events_problems(struct service *service, health_problem_fn *fn, void *arg)
{
	struct events_counts counts;
	struct health_leg leg;
	unsigned problems = 0;
	char message[700];

	if (!health_events(service, &leg))
		return 0;
	events_count(service->parts.events, &counts);
	/* What is not configured is told of the Eyes leg, and matters here only to what waits. */
	if (leg.state == HEALTH_BLOCKED || leg.state == HEALTH_FAILING ||
	    (leg.state == HEALTH_UNCONFIGURED && counts.waiting > 0)) {
		snprintf(message, sizeof(message), "events: %s; %llu wait%s", leg.message,
		    (unsigned long long)counts.waiting, counts.waiting == 1 ? "s" : "");
		fn(leg.state == HEALTH_BLOCKED    ? "events_blocked"
		    : leg.state == HEALTH_FAILING ? "events_failing"
		                                  : "events_unconfigured",
		    message, leg.hint, arg);
		problems++;
	}
	if (counts.dead > 0) {
		snprintf(message, sizeof(message), "%llu event%s could not be passed on to Eyes",
		    (unsigned long long)counts.dead, counts.dead == 1 ? "" : "s");
		fn("events_dead", message,
		    "Retry or drop them, in the browser or with eyes-scm events list --state dead.",
		    arg);
		problems++;
	}
	return problems;
}
