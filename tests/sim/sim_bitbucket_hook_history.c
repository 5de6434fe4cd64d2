/* What Bitbucket tells of a webhook's deliveries: latest, statistics, summary. */
#include "sim/sim_bitbucket_hooks.h"

#include "base/clock.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

const char *const hook_outcome_names[HOOK_OUTCOMES] = {
    "pending", "success", "failure", "error", "skipped"};

json_t *hook_time(const struct hooks *hooks, int64_t ms)
{
	char text[CLOCK_TEXT];
	bool iso = hooks->iso_dates < 0 ? hooks->bb->version >= 1000 : hooks->iso_dates == 1;
	if (!iso)
		return json_integer((json_int_t)ms);
	clock_rfc3339(text, ms, true);
	return json_string(text);
}

void hook_statistics_clear(struct hook *hook)
{
	for (unsigned i = 0; i < HOOK_EVENTS; i++) {
		for (unsigned j = 0; j < HOOK_OUTCOMES; j++)
			free(hook->statistics[i].last[j].url);
		hook->statistics[i] = (struct hook_statistics){0};
	}
}

void hook_note(struct hook *hook, const struct hook_delivery *delivery)
{
	struct hook_statistics *statistics = &hook->statistics[delivery->event];
	struct hook_invocation *last = &statistics->last[delivery->outcome];
	if (!statistics->since_ms)
		statistics->since_ms = delivery->started_ms;
	statistics->counts[delivery->outcome]++;
	if (delivery->outcome == HOOK_SKIPPED)
		return;
	free(last->url);
	last->id = delivery->number;
	last->start_ms = delivery->started_ms;
	last->finish_ms = delivery->started_ms + delivery->ms;
	last->status = delivery->status;
	last->url = mem_string(delivery->url);
	if (delivery->status)
		snprintf(last->description, sizeof(last->description), "%d", delivery->status);
	else
		snprintf(last->description, sizeof(last->description), "%s", delivery->error);
}

static const char *outcome_word(unsigned outcome)
{
	static const char *const words[HOOK_OUTCOMES] = {NULL, "SUCCESS", "FAILURE", "ERROR", NULL};
	return words[outcome];
}

/* RestDetailedInvocation of the OpenAPI document. */
static json_t *invocation_json(const struct hooks *hooks, const struct hook *hook, unsigned event,
    const struct hook_invocation *one, unsigned outcome)
{
	char scope[24];
	snprintf(scope, sizeof(scope), "%u", hook->repository);
	json_t *description = json_string(one->description);
	return json_pack("{s:I,s:s,s:{s:s,s:s},s:I,s:o,s:o,s:{s:s,s:s},s:{s:o,s:s}}", "id",
	    (json_int_t)one->id, "event", hook_event_key(event), "eventScope", "id", scope, "type",
	    "repository", "duration", (json_int_t)(one->finish_ms - one->start_ms), "start",
	    hook_time(hooks, one->start_ms), "finish", hook_time(hooks, one->finish_ms), "request",
	    "method", "POST", "url", one->url, "result", "description",
	    description ? description : json_string("?"), "outcome", outcome_word(outcome));
}

/* The latest of an outcome (HOOK_PENDING: any), and of which event; NULL. */
static const struct hook_invocation *find_last(
    const struct hook *hook, int only, unsigned *outcome, unsigned *event)
{
	const struct hook_invocation *found = NULL;
	unsigned wanted = *outcome;
	for (unsigned i = 0; i < HOOK_EVENTS; i++) {
		if (only >= 0 && (unsigned)only != i)
			continue;
		for (unsigned j = HOOK_SUCCESS; j <= HOOK_ERROR; j++) {
			const struct hook_invocation *one = &hook->statistics[i].last[j];
			if ((wanted != HOOK_PENDING && wanted != j) || !one->id ||
			    (found && found->id > one->id))
				continue;
			found = one;
			*event = i;
			*outcome = j;
		}
	}
	return found;
}

/* RestInvocationHistory; event -1: of all together. */
json_t *hook_history_json(const struct hooks *hooks, const struct hook *hook, int event)
{
	static const char *const names[] = {NULL, "lastSuccess", "lastFailure", "lastError"};
	uint64_t counts[HOOK_OUTCOMES] = {0};
	int64_t since = clock_wall_ms();
	for (unsigned i = 0; i < HOOK_EVENTS; i++) {
		const struct hook_statistics *one = &hook->statistics[i];
		if (event >= 0 && (unsigned)event != i)
			continue;
		for (unsigned j = 0; j < HOOK_OUTCOMES; j++)
			counts[j] += one->counts[j];
		if (one->since_ms && one->since_ms < since)
			since = one->since_ms;
	}
	json_t *json = json_pack("{s:{s:I,s:I,s:I,s:{s:o,s:I}}}", "counts", "errors",
	    (json_int_t)counts[HOOK_ERROR], "failures", (json_int_t)counts[HOOK_FAILURE],
	    "successes", (json_int_t)counts[HOOK_SUCCESS], "window", "start",
	    hook_time(hooks, since), "duration", (json_int_t)(clock_wall_ms() - since));
	for (unsigned j = HOOK_SUCCESS; j <= HOOK_ERROR; j++) {
		unsigned of = 0;
		unsigned outcome = j;
		const struct hook_invocation *last = find_last(hook, event, &outcome, &of);
		if (last)
			json_object_set_new(
			    json, names[j], invocation_json(hooks, hook, of, last, j));
	}
	return json;
}

static int event_asked(struct sim_request *request, const struct bitbucket *bb, bool *good)
{
	struct buf text;
	buf_init(&text, 256);
	int event = -1;
	if (sim_query(request, "event", 0, &text) && text.length) {
		event = hook_event_find(bb, text.data);
		*good = event >= 0;
	}
	buf_free(&text);
	return event;
}

void bitbucket_webhook_latest(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	const struct hook *hook = bitbucket_enter_hook(request, bb, false, false);
	struct buf text;
	bool good = true;
	unsigned outcome = HOOK_PENDING;
	unsigned of = 0;
	if (!hook)
		return;
	int event = event_asked(request, bb, &good);
	buf_init(&text, 64);
	if (sim_query(request, "outcome", 0, &text) && text.length) {
		for (unsigned j = HOOK_SUCCESS; j <= HOOK_ERROR; j++)
			if (strcmp(text.data, outcome_word(j)) == 0)
				outcome = j;
		good = good && outcome != HOOK_PENDING;
	}
	buf_free(&text);
	const struct hook_invocation *last = find_last(hook, event, &outcome, &of);
	if (!good)
		bitbucket_error(request, bb, 400, NULL, NULL, "no such event or outcome");
	else if (!last)
		sim_answer(request, 204, NULL, "", 0);
	else
		sim_answer_json(request, 200, invocation_json(bb->hooks, hook, of, last, outcome));
}

void bitbucket_webhook_statistics(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	const struct hook *hook = bitbucket_enter_hook(request, bb, false, false);
	bool good = true;
	if (!hook)
		return;
	int event = event_asked(request, bb, &good);
	if (good)
		sim_answer_json(request, 200, hook_history_json(bb->hooks, hook, event));
	else
		bitbucket_error(request, bb, 400, "event", NULL, "no such event");
}

void bitbucket_webhook_summary(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	const struct hook *hook = bitbucket_enter_hook(request, bb, false, false);
	if (!hook)
		return;
	if (!bb->hooks->summary_by_event) {
		sim_answer_json(request, 200, hook_history_json(bb->hooks, hook, -1));
		return;
	}
	json_t *json = json_object();
	for (unsigned i = 0; i < HOOK_EVENTS; i++)
		if (hook->events >> i & 1)
			json_object_set_new(
			    json, hook_event_key(i), hook_history_json(bb->hooks, hook, (int)i));
	sim_answer_json(request, 200, json);
}
