/* The control API of webhooks and events; described in sim_bitbucket_hooks.h. */
#include "sim/sim_bitbucket_hooks.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX (1024UL * 1024 * 1024)
#define PAD_MAX (64LL * 1024 * 1024)
#define COUNT_MAX 10000000

static struct bitbucket_repository *named(const struct bitbucket *bb, const char *where)
{
	char key[256];
	const char *slash = where ? strchr(where, '/') : NULL;
	if (!slash || slash - where >= (ptrdiff_t)sizeof(key))
		return NULL;
	memcpy(key, where, (size_t)(slash - where));
	key[slash - where] = '\0';
	return bitbucket_find_repository(bb, key, slash + 1);
}

static void repository_name(const struct hooks *hooks, uint32_t id, char *out, size_t size)
{
	const struct bitbucket_repository *repository = hooks->bb->repositories[id - 1];
	snprintf(out, size, "%s/%s", repository->project->key, repository->slug);
}

/* ---- push and pull request ---- */

static bool read_sha(
    const json_t *json, const char *name, unsigned char out[20], bool *given, struct err *err)
{
	const char *text = sim_json_text(json, name, NULL);
	*given = text != NULL;
	return !text || codec_hex_decode(out, 20, text) ||
	       err_set(err, "json", "%s: expected 40 hex digits", name);
}

static bool read_commits(
    struct hooks *hooks, const json_t *json, struct hook_happening *what, struct err *err)
{
	char text[32];
	bool given = false;
	bool has_from = false;
	if (!read_sha(json, "commit", what->commit, &given, err) ||
	    !read_sha(json, "from", what->from, &has_from, err))
		return false;
	if (!given)
		crypto_random(what->commit, 20);
	snprintf(text, sizeof(text), "%u", what->repository);
	struct sim_name name = sim_name_of(text, strlen(text), what->ref, strlen(what->ref));
	const void *head = sim_name_get(&hooks->heads, &name);
	if (!has_from && head)
		memcpy(what->from, head, 20);
	return true;
}

static bool read_happening(struct hooks *hooks, const json_t *json, struct hook_happening *what,
    int64_t *count, struct err *err)
{
	const char *where = sim_json_text(json, "repository", NULL);
	const struct bitbucket_repository *repository = named(hooks->bb, where);
	if (!repository)
		return err_set(err, "json", "no repository %s", where ? where : "without a name");
	if (repository->archived)
		return err_set(err, "archived", "%s is archived", where);
	int64_t pad = sim_json_integer(json, "pad", 0);
	*count = sim_json_integer(json, "count", 1);
	if (pad < 0 || pad > PAD_MAX || *count < 1 || *count > COUNT_MAX)
		return err_set(err, "json", "pad or count is out of range");
	what->repository = repository->id;
	what->pad = (size_t)pad;
	what->user = mem_string(sim_json_text(json, "user", "jane"));
	return true;
}

static void answer_fired(
    struct sim_request *request, struct hooks *hooks, struct hook_happening *what, int64_t count)
{
	char commit[41];
	uint64_t since = hooks->last_delivery;
	unsigned takers = hooks_takers(hooks, what);
	json_t *ids = json_array();
	codec_hex_encode(commit, what->commit, 20);
	hooks_fire(hooks, what, (uint64_t)count);
	for (uint64_t i = since; i < since + takers && i < hooks->last_delivery; i++)
		json_array_append_new(
		    ids, json_string(hooks->ring[i % hooks->ring_size].request_id));
	sim_answer_json(request, 200,
	    json_pack("{s:I,s:I,s:I,s:s,s:o}", "events", (json_int_t)count, "deliveries",
	        (json_int_t)(count * takers), "since", (json_int_t)since, "commit", commit,
	        "request_ids", ids));
}

static void refuse(struct sim_request *request, struct hook_happening *what, const struct err *err)
{
	free(what->ref);
	free(what->to_ref);
	free(what->title);
	free(what->user);
	sim_answer_error(request, err_is(err, "archived") ? 409 : 400, "%s", err->message);
}

void bitbucket_post_push(struct sim_request *request, void *app)
{
	struct hooks *hooks = ((struct bitbucket *)app)->hooks;
	struct hook_happening what = {0};
	struct err err = ERR_INIT;
	int64_t count = 1;
	json_t *json = sim_json_body(request);
	if (!json)
		return;
	bool good =
	    sim_json_known(json, "repository ref commit from delete user pad count", &err) &&
	    read_happening(hooks, json, &what, &count, &err);
	if (good) {
		what.event = (unsigned)hook_event_find(hooks->bb, "repo:refs_changed");
		what.ref = mem_string(sim_json_text(json, "ref", "refs/heads/main"));
		what.is_delete = sim_json_bool(json, "delete", false);
		good = read_commits(hooks, json, &what, &err);
	}
	json_decref(json);
	if (good)
		answer_fired(request, hooks, &what, count);
	else
		refuse(request, &what, &err);
}

static bool read_action(
    struct hooks *hooks, const json_t *json, struct hook_happening *what, struct err *err)
{
	static const char *const actions[] = {
	    "opened", "modified", "from_ref_updated", "merged", "declined", "deleted"};
	const char *action = sim_json_text(json, "action", "opened");
	char key[64];
	for (unsigned i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		snprintf(key, sizeof(key), "pr:%s", actions[i]);
		int event = hook_event_find(hooks->bb, key);
		if (strcmp(action, actions[i]) != 0)
			continue;
		what->event = event < 0 ? 0 : (unsigned)event;
		return event >= 0 ||
		       err_set(err, "json", "version %s has no %s", hooks->bb->version_text, key);
	}
	return err_set(err, "json", "no such action: %s", action);
}

void bitbucket_post_pull_request(struct sim_request *request, void *app)
{
	struct hooks *hooks = ((struct bitbucket *)app)->hooks;
	struct hook_happening what = {0};
	struct err err = ERR_INIT;
	int64_t count = 1;
	json_t *json = sim_json_body(request);
	if (!json)
		return;
	bool good =
	    sim_json_known(json,
	        "repository action id title from_ref to_ref commit from user pad count", &err) &&
	    read_happening(hooks, json, &what, &count, &err) &&
	    read_action(hooks, json, &what, &err);
	if (good) {
		what.id = sim_json_integer(json, "id", 1);
		what.title = mem_string(sim_json_text(json, "title", "A pull request"));
		what.ref = mem_string(sim_json_text(json, "from_ref", "refs/heads/feature"));
		what.to_ref = mem_string(sim_json_text(json, "to_ref", "refs/heads/main"));
		good = read_commits(hooks, json, &what, &err);
	}
	json_decref(json);
	if (good)
		answer_fired(request, hooks, &what, count);
	else
		refuse(request, &what, &err);
}

/* ---- what there is ---- */

static void put_hook(struct buf *out, const struct hooks *hooks, const struct hook *hook)
{
	uint64_t counts[HOOK_OUTCOMES] = {0};
	uint64_t now = clock_monotonic_us();
	const char *secret = hook_secret(hook);
	char where[600];
	for (unsigned i = 0; i < HOOK_EVENTS; i++)
		for (unsigned j = 0; j < HOOK_OUTCOMES; j++)
			counts[j] += hook->statistics[i].counts[j];
	repository_name(hooks, hook->repository, where, sizeof(where));
	buf_puts(out, "{");
	sim_put_integer(out, "id", (int64_t)hook->id);
	sim_put_text(out, "repository", where);
	sim_put_text(out, "name", hook->name);
	sim_put_text(out, "url", hook->url);
	sim_put_member(out, "events");
	buf_putc(out, '[');
	for (unsigned i = 0, n = 0; i < HOOK_EVENTS; i++)
		if (hook->events >> i & 1)
			buf_printf(out, "%s\"%s\"", n++ ? "," : "", hook_event_key(i));
	buf_putc(out, ']');
	sim_put_bool(out, "active", hook->active);
	sim_put_member(out, "secret_sha256");
	if (secret) {
		unsigned char digest[CRYPTO_SHA256];
		char hex[2 * CRYPTO_SHA256 + 1];
		crypto_sha256(digest, secret, strlen(secret));
		codec_hex_encode(hex, digest, sizeof(digest));
		buf_printf(out, "\"%s\"", hex);
	} else {
		buf_puts(out, "null");
	}
	sim_put_integer(out, "created_ms", hook->created_ms);
	sim_put_integer(out, "updated_ms", hook->updated_ms);
	sim_put_integer(out, "failures", hook->failures);
	sim_put_integer(out, "skipped_for_ms",
	    hook->skipped_until_us > now ? (int64_t)(hook->skipped_until_us - now) / 1000 : 0);
	sim_put_integer(out, "successes", (int64_t)counts[HOOK_SUCCESS]);
	sim_put_integer(out, "failed", (int64_t)counts[HOOK_FAILURE]);
	sim_put_integer(out, "errors", (int64_t)counts[HOOK_ERROR]);
	sim_put_integer(out, "skipped", (int64_t)counts[HOOK_SKIPPED]);
	buf_putc(out, '}');
}

/* The repository asked for: 0 for all, UINT32_MAX for one that is not there. */
static uint32_t repository_asked(const struct sim_request *request, const struct bitbucket *bb)
{
	struct buf text;
	uint32_t id = 0;
	buf_init(&text, 1024);
	if (sim_query(request, "repository", 0, &text) && text.length) {
		const struct bitbucket_repository *repository = named(bb, text.data);
		id = repository ? repository->id : UINT32_MAX;
	}
	buf_free(&text);
	return id;
}

void bitbucket_control_webhooks(struct sim_request *request, void *app)
{
	const struct bitbucket *bb = app;
	uint32_t repository = repository_asked(request, bb);
	struct buf out;
	bool first = true;
	buf_init(&out, ANSWER_MAX);
	buf_puts(&out, "{\"webhooks\":[");
	for (const struct hook *hook = bb->hooks->first; hook; hook = hook->next) {
		if (repository && hook->repository != repository)
			continue;
		if (!first)
			buf_putc(&out, ',');
		first = false;
		put_hook(&out, bb->hooks, hook);
	}
	buf_puts(&out, "]}");
	sim_answer_buf(request, 200, &out);
}

static void put_delivery(
    struct buf *out, const struct hooks *hooks, const struct hook_delivery *delivery)
{
	char hex[2 * CRYPTO_SHA256 + 1];
	char where[600];
	codec_hex_encode(hex, delivery->sha256, sizeof(delivery->sha256));
	repository_name(hooks, delivery->repository, where, sizeof(where));
	buf_putc(out, '{');
	sim_put_integer(out, "number", (int64_t)delivery->number);
	sim_put_integer(out, "webhook", (int64_t)delivery->hook);
	sim_put_text(out, "repository", where);
	sim_put_text(out, "url", delivery->url);
	sim_put_text(out, "event", hook_event_key(delivery->event));
	sim_put_text(out, "request_id", delivery->request_id);
	sim_put_text(out, "outcome", hook_outcome_names[delivery->outcome]);
	sim_put_integer(out, "status", delivery->status);
	sim_put_text(out, "error", delivery->error);
	sim_put_integer(out, "ms", delivery->ms);
	sim_put_integer(out, "started_ms", delivery->started_ms);
	sim_put_text(out, "sha256", hex);
	sim_put_integer(out, "size", (int64_t)delivery->length);
	sim_put_bool(out, "signed", delivery->signature[0] != '\0');
	sim_put_integer(out, "again", (int64_t)delivery->again);
	buf_putc(out, '}');
}

struct filter {
	uint32_t repository;
	uint64_t hook;
	struct buf event, request_id;
};

static bool passes(const struct filter *filter, const struct hook_delivery *delivery)
{
	if (filter->repository && filter->repository != delivery->repository)
		return false;
	if (filter->hook && filter->hook != delivery->hook)
		return false;
	if (filter->event.length &&
	    strcmp(filter->event.data, hook_event_key(delivery->event)) != 0)
		return false;
	return !filter->request_id.length ||
	       strcmp(filter->request_id.data, delivery->request_id) == 0;
}

static uint64_t oldest_delivery(const struct hooks *hooks)
{
	return hooks->last_delivery > hooks->ring_size ? hooks->last_delivery - hooks->ring_size
	                                               : 0;
}

void bitbucket_control_deliveries(struct sim_request *request, void *app)
{
	const struct bitbucket *bb = app;
	const struct hooks *hooks = bb->hooks;
	struct filter filter = {.repository = repository_asked(request, bb),
	    .hook = (uint64_t)sim_query_integer(request, "webhook", 0)};
	int64_t left = sim_query_integer(request, "limit", INT64_MAX);
	uint64_t number = (uint64_t)sim_query_integer(request, "since", 0);
	struct buf out;
	bool first = true;
	buf_init(&filter.event, 256);
	buf_init(&filter.request_id, 256);
	sim_query(request, "event", 0, &filter.event);
	sim_query(request, "request_id", 0, &filter.request_id);
	buf_init(&out, ANSWER_MAX);
	buf_putc(&out, '{');
	sim_put_integer(&out, "last", (int64_t)hooks->last_delivery);
	sim_put_integer(&out, "pending", (int64_t)hooks->pending);
	sim_put_member(&out, "deliveries");
	buf_putc(&out, '[');
	if (number < oldest_delivery(hooks))
		number = oldest_delivery(hooks);
	for (; number < hooks->last_delivery && left > 0; number++) {
		const struct hook_delivery *delivery = &hooks->ring[number % hooks->ring_size];
		if (!delivery->number || !passes(&filter, delivery))
			continue;
		if (!first)
			buf_putc(&out, ',');
		first = false;
		left--;
		put_delivery(&out, hooks, delivery);
	}
	buf_puts(&out, "]}");
	buf_free(&filter.event);
	buf_free(&filter.request_id);
	sim_answer_buf(request, 200, &out);
}

/* ---- once more ---- */

static bool is_listed(const json_t *list, const struct hook_delivery *delivery)
{
	size_t i;
	json_t *item;
	json_array_foreach(list, i, item)
	{
		const char *id = json_string_value(item);
		if ((id && strcmp(id, delivery->request_id) == 0) ||
		    (json_is_integer(item) &&
		        (uint64_t)json_integer_value(item) == delivery->number))
			return true;
	}
	return false;
}

static int64_t redeliver(struct hooks *hooks, const json_t *json, bool *gone)
{
	const char *where = sim_json_text(json, "repository", NULL);
	const struct bitbucket_repository *repository = where ? named(hooks->bb, where) : NULL;
	bool all = sim_json_bool(json, "all", false);
	int64_t times = sim_json_integer(json, "times", 1);
	int64_t count = 0;
	uint64_t end = hooks->last_delivery;
	for (uint64_t number = oldest_delivery(hooks); number < end; number++) {
		struct hook_delivery *delivery = &hooks->ring[number % hooks->ring_size];
		if (delivery->number != number + 1 || (all && delivery->again) ||
		    (where && (!repository || repository->id != delivery->repository)))
			continue;
		if (!all && !is_listed(json_object_get(json, "numbers"), delivery) &&
		    (delivery->again || !is_listed(json_object_get(json, "request_ids"), delivery)))
			continue;
		for (int64_t i = 0; i < times; i++) {
			if (hooks_again(hooks, delivery))
				count++;
			else
				*gone = true;
		}
	}
	return count;
}

void bitbucket_redeliver(struct sim_request *request, void *app)
{
	struct hooks *hooks = ((struct bitbucket *)app)->hooks;
	struct err err = ERR_INIT;
	uint64_t since = hooks->last_delivery;
	bool gone = false;
	json_t *json = sim_json_body(request);
	if (!json)
		return;
	bool good = sim_json_known(json, "numbers request_ids all repository times", &err);
	int64_t count = good ? redeliver(hooks, json, &gone) : 0;
	json_decref(json);
	if (!good)
		sim_answer_error(request, 400, "%s", err.message);
	else if (gone)
		sim_answer_error(request, 410, "a body is not kept any more");
	else
		sim_answer_json(request, 200,
		    json_pack(
		        "{s:I,s:I}", "deliveries", (json_int_t)count, "since", (json_int_t)since));
}

void hooks_state(const struct hooks *hooks, json_t *state)
{
	json_t *deliveries = json_pack("{s:I,s:I}", "started", (json_int_t)hooks->last_delivery,
	    "pending", (json_int_t)hooks->pending);
	for (unsigned i = HOOK_SUCCESS; i < HOOK_OUTCOMES; i++)
		json_object_set_new(deliveries, hook_outcome_names[i],
		    json_integer((json_int_t)hooks->outcomes[i]));
	json_object_set_new(state, "webhooks", json_integer((json_int_t)hooks->count));
	json_object_set_new(state, "deliveries", deliveries);
}

/* ---- set-up ---- */

static bool setup_word(
    const json_t *json, const char *name, const char *const words[3], int *value, struct err *err)
{
	const char *text = sim_json_text(json, name, NULL);
	for (int i = 0; text && i < 3; i++) {
		if (strcmp(text, words[i]) == 0) {
			*value = i;
			return true;
		}
	}
	return !text ||
	       err_set(err, "json", "%s: %s, %s or %s", name, words[0], words[1], words[2]);
}

static bool setup_renames(struct bitbucket *bb, const json_t *renames, struct err *err)
{
	const char *from;
	json_t *to;
	json_object_foreach((json_t *)renames, from, to)
	{
		char key[256];
		struct bitbucket_repository *repository = named(bb, from);
		const char *where = json_string_value(to);
		const char *slash = where ? strchr(where, '/') : NULL;
		if (!repository || !slash || slash - where >= (ptrdiff_t)sizeof(key))
			return err_set(err, "json", "rename: {\"PRJ/old\":\"PRJ/new\"}");
		memcpy(key, where, (size_t)(slash - where));
		key[slash - where] = '\0';
		if (!bitbucket_rename(bb, repository, key, slash + 1))
			return err_set(err, "json", "%s is there already", where);
	}
	return true;
}

bool hooks_setup(struct hooks *hooks, const json_t *json, struct err *err)
{
	static const char *const masks[] = {"no", "stars", "omit"};
	static const char *const moved[] = {"redirect", "follow", "gone"};
	const json_t *iso = json_object_get(json, "iso_dates");
	const json_t *scale = json_object_get(json, "time_scale");
	const char *base = sim_json_text(json, "base_url", NULL);
	if (json_is_boolean(iso))
		hooks->iso_dates = json_is_true(iso);
	if (json_is_number(scale))
		hooks->time_scale = json_number_value(scale);
	if (base) {
		free(hooks->base_url);
		hooks->base_url = mem_string(base);
	}
	hooks->summary_by_event = sim_json_bool(json, "summary_by_event", hooks->summary_by_event);
	hooks->timeout_ms =
	    (uint32_t)sim_json_integer(json, "delivery_timeout_ms", hooks->timeout_ms);
	hooks->connections =
	    (unsigned)sim_json_integer(json, "delivery_connections", hooks->connections);
	hooks->in_flight_max =
	    (unsigned)sim_json_integer(json, "in_flight_max", hooks->in_flight_max);
	return setup_word(json, "mask_secrets", masks, &hooks->mask, err) &&
	       setup_word(json, "moved", moved, &hooks->bb->moved, err) &&
	       setup_renames(hooks->bb, json_object_get(json, "rename"), err);
}
