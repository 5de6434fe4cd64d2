/* The webhooks of repositories and their REST resources. */
#include "sim/sim_bitbucket_hooks.h"

#include "base/clock.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

#define LIMIT_DEFAULT 25
#define LIMIT_MAX 1000

/* ---- the model ---- */

static void set_defaults(struct hooks *hooks)
{
	free(hooks->base_url);
	hooks->base_url = NULL;
	hooks->mask = 0;
	hooks->iso_dates = -1;
	hooks->summary_by_event = true;
	hooks->time_scale = 1.0;
	hooks->timeout_ms = 10000;
	hooks->connections = 5;
	hooks->in_flight_max = 0;
}

struct hooks *hooks_new(struct bitbucket *bb, uint64_t ring_size)
{
	struct hooks *hooks = mem_zero(sizeof(*hooks));
	hooks->bb = bb;
	hooks->out = sim_out_new(bb->sim->loop, bb->sim->tls_folder);
	hooks->last = &hooks->first;
	hooks->ring_size = ring_size;
	hooks->ring = mem_array(ring_size, sizeof(*hooks->ring));
	map_init(&hooks->heads);
	set_defaults(hooks);
	return hooks;
}

static void hook_free(struct hook *hook)
{
	hook_statistics_clear(hook);
	json_decref(hook->configuration);
	free(hook->name);
	free(hook->url);
	free(hook->username);
	free(hook);
}

void hooks_reset(struct hooks *hooks, bool all)
{
	hooks_forget_deliveries(hooks);
	for (struct hook *hook = hooks->first; hook; hook = hook->next) {
		hook_statistics_clear(hook);
		hook->failures = 0;
		hook->skipped_until_us = 0;
	}
	if (!all)
		return;
	while (hooks->first) {
		struct hook *hook = hooks->first;
		hooks->first = hook->next;
		hook_free(hook);
	}
	hooks->last = &hooks->first;
	hooks->count = 0;
	void *head;
	for (size_t position = 0; (head = map_next(&hooks->heads, &position));)
		free(head);
	map_free(&hooks->heads);
	map_init(&hooks->heads);
	set_defaults(hooks);
}

void hooks_free(struct hooks *hooks)
{
	hooks->stopping = true;
	hooks_reset(hooks, true);
	hook_tests_free(hooks);
	sim_out_free(hooks->out);
	map_free(&hooks->heads);
	free(hooks->ring);
	free(hooks->base_url);
	free(hooks);
}

struct hook *hooks_find(const struct hooks *hooks, uint64_t id)
{
	struct hook *hook = hooks->first;
	while (hook && hook->id != id)
		hook = hook->next;
	return hook;
}

const char *hook_secret(const struct hook *hook)
{
	const char *secret = json_string_value(json_object_get(hook->configuration, "secret"));
	return secret && *secret ? secret : NULL;
}

/* ---- as JSON ---- */

static json_t *configuration_json(const struct hooks *hooks, const struct hook *hook)
{
	json_t *copy = json_deep_copy(hook->configuration);
	if (json_object_get(copy, "secret") && hooks->mask == 1)
		json_object_set_new(copy, "secret", json_string("*****"));
	else if (hooks->mask == 2)
		json_object_del(copy, "secret");
	return copy;
}

static json_t *hook_json(const struct hooks *hooks, const struct hook *hook, bool statistics)
{
	int version = hooks->bb->version;
	json_t *events = json_array();
	for (unsigned i = 0; i < HOOK_EVENTS; i++)
		if (hook->events >> i & 1)
			json_array_append_new(events, json_string(hook_event_key(i)));
	json_t *json = json_pack("{s:I,s:s,s:o,s:o,s:o,s:o,s:s,s:b}", "id", (json_int_t)hook->id,
	    "name", hook->name, "createdDate", hook_time(hooks, hook->created_ms), "updatedDate",
	    hook_time(hooks, hook->updated_ms), "events", events, "configuration",
	    configuration_json(hooks, hook), "url", hook->url, "active", (int)hook->active);
	if (version >= 700)
		json_object_set_new(json, "scopeType", json_string("repository"));
	if (version >= 800)
		json_object_set_new(
		    json, "sslVerificationRequired", json_boolean(hook->ssl_verification));
	if (hook->username)
		json_object_set_new(
		    json, "credentials", json_pack("{s:s}", "username", hook->username));
	if (statistics)
		json_object_set_new(json, "statistics", hook_history_json(hooks, hook, -1));
	return json;
}

/* ---- REST ---- */

/* The repository, when the caller administers it; `write`: and may change it. */
static bool enter(struct sim_request *request, struct bitbucket *bb, bool write, bool has_body,
    const struct bitbucket_repository **repository)
{
	const struct bitbucket_token *token;
	return bitbucket_sign_in(request, bb, &token) &&
	       (!write || bitbucket_may_write(request, bb, token, has_body)) &&
	       bitbucket_open_repository(request, bb, token, LEVEL_ADMIN, repository);
}

struct hook *bitbucket_enter_hook(
    struct sim_request *request, struct bitbucket *bb, bool write, bool has_body)
{
	const struct bitbucket_repository *repository;
	if (!enter(request, bb, write, has_body, &repository))
		return NULL;
	const char *text = request->variable[2];
	char *end;
	uint64_t id = strtoull(text, &end, 10);
	struct hook *hook = *end == '\0' ? hooks_find(bb->hooks, id) : NULL;
	if (hook && hook->repository == repository->id)
		return hook;
	bitbucket_error(request, bb, 404, NULL, "webhook.NoSuchWebhookException",
	    "Webhook with ID %s does not exist.", text);
	return NULL;
}

static json_t *read_body(struct sim_request *request, struct bitbucket *bb)
{
	json_t *json = json_loadb(request->body, request->body_length, 0, NULL);
	if (!json_is_object(json)) {
		json_decref(json);
		bitbucket_error(request, bb, 400, NULL, NULL, "The body is not a JSON object.");
		return NULL;
	}
	return json;
}

/* A page: `start` counts the webhooks of the repository that match. */
void bitbucket_list_webhooks(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	const struct bitbucket_repository *repository;
	struct buf text;
	if (!enter(request, bb, false, false, &repository))
		return;
	int64_t start = sim_query_integer(request, "start", 0);
	int64_t limit = sim_query_integer(request, "limit", LIMIT_DEFAULT);
	if (start < 0 || limit < 1) {
		bitbucket_error(
		    request, bb, 400, NULL, NULL, "start and limit must not be negative");
		return;
	}
	limit = limit > LIMIT_MAX ? LIMIT_MAX : limit;
	buf_init(&text, 256);
	bool statistics =
	    sim_query(request, "statistics", 0, &text) && strcmp(text.data, "true") == 0;
	buf_reset(&text);
	bool filter = sim_query(request, "event", 0, &text) && text.length;
	int event = filter ? hook_event_find(bb, text.data) : 0;
	buf_free(&text);
	json_t *values = json_array();
	int64_t index = 0;
	bool more = false;
	for (const struct hook *hook = bb->hooks->first; hook && !more; hook = hook->next) {
		if (hook->repository != repository->id ||
		    (filter && (event < 0 || !(hook->events >> event & 1))))
			continue;
		more = index >= start + limit;
		if (!more && index++ >= start)
			json_array_append_new(values, hook_json(bb->hooks, hook, statistics));
	}
	json_t *page = json_pack("{s:I,s:I,s:b,s:I}", "size", (json_int_t)json_array_size(values),
	    "limit", (json_int_t)limit, "isLastPage", !more, "start", (json_int_t)start);
	json_object_set_new(page, "values", values);
	json_object_set_new(
	    page, "nextPageStart", more ? json_integer((json_int_t)(start + limit)) : json_null());
	sim_answer_json(request, 200, page);
}

void bitbucket_post_webhook(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	struct hooks *hooks = bb->hooks;
	const struct bitbucket_repository *repository;
	if (!enter(request, bb, true, true, &repository))
		return;
	json_t *json = read_body(request, bb);
	if (!json)
		return;
	struct hook *hook = mem_zero(sizeof(*hook));
	bool good = hook_read(request, bb, json, hook);
	json_decref(json);
	if (!good) {
		hook_free(hook);
		return;
	}
	hook->id = ++hooks->last_id;
	hook->repository = repository->id;
	hook->created_ms = hook->updated_ms = clock_wall_ms();
	*hooks->last = hook;
	hooks->last = &hook->next;
	hooks->count++;
	sim_answer_json(request, 201, hook_json(hooks, hook, false));
}

void bitbucket_get_webhook(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	struct buf text;
	const struct hook *hook = bitbucket_enter_hook(request, bb, false, false);
	if (!hook)
		return;
	buf_init(&text, 256);
	bool statistics =
	    sim_query(request, "statistics", 0, &text) && strcmp(text.data, "true") == 0;
	buf_free(&text);
	sim_answer_json(request, 200, hook_json(bb->hooks, hook, statistics));
}

void bitbucket_put_webhook(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	struct hook *hook = bitbucket_enter_hook(request, bb, true, true);
	json_t *json = hook ? read_body(request, bb) : NULL;
	if (!json)
		return;
	if (hook_read(request, bb, json, hook)) {
		hook->updated_ms = clock_wall_ms();
		hook->failures = 0;
		hook->skipped_until_us = 0;
		sim_answer_json(request, 200, hook_json(bb->hooks, hook, false));
	}
	json_decref(json);
}

void bitbucket_delete_webhook(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	struct hooks *hooks = bb->hooks;
	struct hook *hook = bitbucket_enter_hook(request, bb, true, false);
	if (!hook)
		return;
	struct hook **at = &hooks->first;
	while (*at != hook)
		at = &(*at)->next;
	*at = hook->next;
	if (hooks->last == &hook->next)
		hooks->last = at;
	hooks->count--;
	hook_free(hook);
	sim_answer(request, 204, NULL, "", 0);
}
