#include "sim/sim_fault.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/map.h"
#include "base/mem.h"
#include "sim/sim_json.h"
#include "sim/sim_long.h"
#include <stdlib.h>
#include <string.h>

enum action { STATUS, SLOW, CUT_BEFORE, CUT_AFTER, CUT_MIDDLE, GARBAGE, LATE, HANG, LONG, ACTIONS };
static const char *const action_names[ACTIONS] = {
    "status", "slow", "cut_before", "cut_after", "cut_middle", "garbage", "late", "hang", "long"};

struct rule {
	struct rule *next;
	uint64_t id;
	char *method, *path, *key, *commit, *token, *body; /* matched; NULL: anything */
	int64_t times, after;                              /* left */
	double chance;
	enum action action;
	int status;
	char *answer;
	struct buf fields; /* header lines */
	char *host;
	uint32_t delay_ms;
	unsigned polls;
	bool reset, gone;
	uint64_t seen, hits;
};

struct bucket {
	double tokens;
	uint64_t at_us;
};

struct late {
	struct late *next, **link;
	struct sim_faults *faults;
	struct sim_request *request;
	struct loop_timer timer;
};

struct sim_faults {
	struct loop *loop;
	sim_token_fn *token;
	sim_request_fn *run;
	void *arg;
	struct rule *rules;
	uint64_t last_id;
	struct late *lates;
	struct sim_long *longs;
	double burst, per_second; /* burst 0: no limit */
	int64_t retry_after;      /* seconds; negative: no header */
	struct map buckets;       /* token -> struct bucket */
	uint64_t limited;
};

struct sim_faults *sim_faults_new(
    struct loop *loop, sim_token_fn *token, sim_request_fn *run, void *arg)
{
	struct sim_faults *faults = mem_zero(sizeof(*faults));
	faults->loop = loop;
	faults->token = token;
	faults->run = run;
	faults->arg = arg;
	map_init(&faults->buckets);
	return faults;
}

/* ---- rules ---- */

static void rule_free(struct rule *rule)
{
	free(rule->method);
	free(rule->path);
	free(rule->key);
	free(rule->commit);
	free(rule->token);
	free(rule->body);
	free(rule->answer);
	free(rule->host);
	buf_free(&rule->fields);
	free(rule);
}

static void rules_clear(struct sim_faults *faults)
{
	while (faults->rules) {
		struct rule *rule = faults->rules;
		faults->rules = rule->next;
		rule_free(rule);
	}
}

static bool rule_read_answer(struct rule *rule, const json_t *json, struct err *err)
{
	const json_t *body = json_object_get(json, "body");
	rule->answer = json_is_string(body) || !body ? mem_string(json_string_value(body))
	                                             : json_dumps(body, JSON_COMPACT);
	const char *name;
	json_t *value;
	json_object_foreach(json_object_get(json, "headers"), name, value)
	{
		const char *text = json_string_value(value);
		if (!text || !http_write_field(&rule->fields, name, text))
			return err_set(err, "json", "bad header \"%s\"", name);
	}
	return true;
}

static bool rule_read(struct rule *rule, const json_t *json, struct err *err)
{
	const json_t *match = json_object_get(json, "match");
	const char *action = sim_json_text(json, "action", "");
	if (!sim_json_known(json,
	        "match times after chance action status headers body delay_ms reset polls gone "
	        "host",
	        err) ||
	    (match && !sim_json_known(match, "method path key commit token body", err)))
		return false;
	while (rule->action < ACTIONS && strcmp(action_names[rule->action], action) != 0)
		rule->action++;
	if (rule->action == ACTIONS)
		return err_set(err, "json", "unknown action \"%s\"", action);
	rule->method = mem_string(sim_json_text(match, "method", NULL));
	rule->path = mem_string(sim_json_text(match, "path", NULL));
	rule->key = mem_string(sim_json_text(match, "key", NULL));
	rule->commit = mem_string(sim_json_text(match, "commit", NULL));
	rule->token = mem_string(sim_json_text(match, "token", NULL));
	rule->body = mem_string(sim_json_text(match, "body", NULL));
	rule->times = sim_json_integer(json, "times", 1);
	rule->after = sim_json_integer(json, "after", 0);
	const json_t *chance = json_object_get(json, "chance");
	rule->chance = json_is_number(chance) ? json_number_value(chance) : 1;
	rule->status = (int)sim_json_integer(json, "status", 503);
	rule->delay_ms = (uint32_t)sim_json_integer(json, "delay_ms", 0);
	rule->polls = (unsigned)sim_json_integer(json, "polls", 1);
	rule->reset = sim_json_bool(json, "reset", false);
	rule->gone = sim_json_bool(json, "gone", false);
	rule->host = mem_string(sim_json_text(json, "host", NULL));
	return rule_read_answer(rule, json, err);
}

static bool add_rule(struct sim_faults *faults, const json_t *json, json_t *ids, struct err *err)
{
	struct rule *rule = mem_zero(sizeof(*rule));
	buf_init(&rule->fields, 16 * 1024);
	if (!rule_read(rule, json, err)) {
		rule_free(rule);
		return false;
	}
	rule->id = ++faults->last_id;
	struct rule **at = &faults->rules;
	while (*at)
		at = &(*at)->next;
	*at = rule;
	json_array_append_new(ids, json_integer((json_int_t)rule->id));
	return true;
}

void sim_faults_set_rate(
    struct sim_faults *faults, double burst, double per_second, int64_t retry_after)
{
	size_t position = 0;
	struct bucket *bucket;
	while ((bucket = map_next(&faults->buckets, &position)))
		free(bucket);
	map_free(&faults->buckets);
	map_init(&faults->buckets);
	faults->burst = burst;
	faults->per_second = per_second;
	faults->retry_after = retry_after;
}

static bool set_rate(struct sim_faults *faults, const json_t *rate, struct err *err)
{
	if (json_is_null(rate)) {
		sim_faults_set_rate(faults, 0, 0, -1);
		return true;
	}
	if (!sim_json_known(rate, "burst per_second retry_after", err))
		return false;
	const json_t *per_second = json_object_get(rate, "per_second");
	sim_faults_set_rate(faults, (double)sim_json_integer(rate, "burst", 60),
	    json_is_number(per_second) ? json_number_value(per_second) : 5,
	    sim_json_integer(rate, "retry_after", -1));
	return true;
}

bool sim_faults_add(struct sim_faults *faults, const json_t *setup, json_t **ids, struct err *err)
{
	*ids = json_array();
	if (json_object_get(setup, "action"))
		return add_rule(faults, setup, *ids, err);
	if (!sim_json_known(setup, "rules rate_limit replace", err))
		return false;
	if (sim_json_bool(setup, "replace", false))
		rules_clear(faults);
	const json_t *rate = json_object_get(setup, "rate_limit");
	if (rate && !set_rate(faults, rate, err))
		return false;
	size_t i;
	json_t *rule;
	json_array_foreach(json_object_get(setup, "rules"), i, rule)
	{
		if (!add_rule(faults, rule, *ids, err))
			return false;
	}
	return true;
}

bool sim_faults_remove(struct sim_faults *faults, uint64_t id)
{
	struct rule **at = &faults->rules;
	while (*at && (*at)->id != id)
		at = &(*at)->next;
	struct rule *rule = *at;
	if (!rule)
		return false;
	*at = rule->next;
	rule_free(rule);
	return true;
}

json_t *sim_faults_json(const struct sim_faults *faults)
{
	json_t *rules = json_array();
	for (const struct rule *rule = faults->rules; rule; rule = rule->next)
		json_array_append_new(
		    rules, json_pack("{s:I,s:s,s:I,s:I,s:I}", "id", (json_int_t)rule->id, "action",
		               action_names[rule->action], "times", (json_int_t)rule->times, "seen",
		               (json_int_t)rule->seen, "hits", (json_int_t)rule->hits));
	json_t *rate = faults->burst > 0
	                   ? json_pack("{s:f,s:f,s:I}", "burst", faults->burst, "per_second",
	                         faults->per_second, "retry_after", (json_int_t)faults->retry_after)
	                   : json_null();
	return json_pack("{s:o,s:o,s:I}", "rules", rules, "rate_limit", rate, "rate_limited",
	    (json_int_t)faults->limited);
}

/* ---- matching ---- */

static bool contains(const char *data, size_t length, const char *word)
{
	return memmem(data, length, word, strlen(word)) != NULL;
}

static bool has_key(const struct sim_request *request, const char *key)
{
	struct buf value;
	buf_init(&value, 64 * 1024);
	bool found =
	    sim_query(request, "key", 0, &value) && value.length && strcmp(value.data, key) == 0;
	buf_free(&value);
	if (found || !request->body_length)
		return found;
	json_t *json = json_loadb(request->body, request->body_length, 0, NULL);
	const char *text = json_string_value(json_object_get(json, "key"));
	found = text && strcmp(text, key) == 0;
	json_decref(json);
	return found;
}

static bool path_matches(const char *target, const char *path)
{
	if (*path == '^')
		return strncmp(target, path + 1, strlen(path + 1)) == 0;
	return strstr(target, path) != NULL;
}

static bool matches(
    const struct sim_faults *faults, const struct rule *rule, const struct sim_request *request)
{
	const char *target = request->head->target;
	if (rule->method && strcmp(rule->method, request->method) != 0)
		return false;
	if (rule->path && !path_matches(target, rule->path))
		return false;
	if (rule->commit && !strstr(target, rule->commit) &&
	    !contains(request->body, request->body_length, rule->commit))
		return false;
	if (rule->body && !contains(request->body, request->body_length, rule->body))
		return false;
	if (rule->token) {
		const char *token = faults->token(request);
		if (!token || strcmp(token, rule->token) != 0)
			return false;
	}
	return !rule->key || has_key(request, rule->key);
}

static struct rule *choose(struct sim_faults *faults, const struct sim_request *request)
{
	for (struct rule *rule = faults->rules; rule; rule = rule->next) {
		if (rule->times == 0 || !matches(faults, rule, request))
			continue;
		rule->seen++;
		if (rule->after > 0) {
			rule->after--;
			continue;
		}
		if (rule->chance < 1 && crypto_random_below(1000000) >= rule->chance * 1000000)
			continue;
		rule->hits++;
		rule->times -= rule->times > 0;
		return rule;
	}
	return NULL;
}

/* ---- rate limit ---- */

static bool over_rate(struct sim_faults *faults, struct sim_request *request)
{
	const char *token = faults->token(request);
	unsigned char name[CRYPTO_SHA256];
	crypto_sha256(name, token ? token : "", token ? strlen(token) : 0);
	struct bucket *bucket = map_get(&faults->buckets, name, sizeof(name));
	uint64_t now = clock_monotonic_us();
	if (!bucket) {
		bucket = mem_zero(sizeof(*bucket));
		bucket->tokens = faults->burst;
		bucket->at_us = now;
		map_put(&faults->buckets, name, sizeof(name), bucket);
	}
	bucket->tokens += (double)(now - bucket->at_us) / 1e6 * faults->per_second;
	if (bucket->tokens > faults->burst)
		bucket->tokens = faults->burst;
	bucket->at_us = now;
	if (bucket->tokens >= 1) {
		bucket->tokens -= 1;
		return false;
	}
	faults->limited++;
	request->fault = "rate_limit";
	if (faults->retry_after >= 0) {
		char *text = mem_printf("%lld", (long long)faults->retry_after);
		sim_answer_field(request, "Retry-After", text);
		free(text);
	}
	sim_answer(request, 429, NULL, "", 0);
	return true;
}

/* ---- actions ---- */

static void late_free(struct late *late)
{
	loop_timer_cancel(&late->timer);
	*late->link = late->next;
	if (late->next)
		late->next->link = late->link;
	sim_request_free_detached(late->request);
	free(late);
}

static void on_late(void *arg)
{
	struct late *late = arg;
	late->faults->run(late->request, late->faults->arg);
	late_free(late);
}

static void begin_late(struct sim_faults *faults, struct sim_request *request, uint32_t delay_ms)
{
	struct late *late = mem_zero(sizeof(*late));
	late->faults = faults;
	late->request = sim_request_detach(request);
	late->next = faults->lates;
	late->link = &faults->lates;
	if (late->next)
		late->next->link = &late->next;
	faults->lates = late;
	loop_timer_init(&late->timer, faults->loop, on_late, late);
	loop_timer_set(&late->timer, delay_ms);
	sim_request_cut(request);
}

static void begin_long(
    struct sim_faults *faults, struct sim_request *request, const struct rule *rule)
{
	struct sim_long_plan plan = {.ready_ms = rule->delay_ms,
	    .polls = rule->polls,
	    .gone = rule->gone,
	    .host = rule->host,
	    .fields = rule->fields.data};
	sim_long_begin(&faults->longs, request, &plan);
}

static void answer_rule(struct sim_request *request, const struct rule *rule)
{
	const char *body = rule->answer ? rule->answer : "";
	const char *type = *body == '{' || *body == '[' ? "application/json" : "text/html";
	bool typed = rule->fields.data && strcasestr(rule->fields.data, "content-type:");
	buf_append(&request->fields, rule->fields.data, rule->fields.length);
	request->delay_ms = rule->delay_ms;
	sim_answer(request, rule->status, *body && !typed ? type : NULL, body, strlen(body));
}

static void answer_garbage(struct sim_request *request)
{
	unsigned char bytes[64];
	crypto_random(bytes, sizeof(bytes));
	bytes[0] = 0xff; /* never an H */
	sim_request_garbage(request, bytes, sizeof(bytes));
}

static bool apply(struct sim_faults *faults, struct sim_request *request, const struct rule *rule)
{
	request->fault = action_names[rule->action];
	request->reset = rule->reset;
	switch (rule->action) {
	case STATUS:
		answer_rule(request, rule);
		return true;
	case CUT_BEFORE:
		sim_request_cut(request);
		return true;
	case GARBAGE:
		answer_garbage(request);
		return true;
	case LATE:
		begin_late(faults, request, rule->delay_ms);
		return true;
	case HANG:
		return true;
	case LONG:
		begin_long(faults, request, rule);
		return false;
	case CUT_MIDDLE:
	case CUT_AFTER:
		request->ending = rule->action == CUT_AFTER ? SIM_CUT : SIM_HALF;
		request->delay_ms = rule->delay_ms;
		return false;
	default:
		request->delay_ms = rule->delay_ms;
		return false;
	}
}

bool sim_faults_apply(struct sim_faults *faults, struct sim_request *request)
{
	const struct rule *rule = faults->rules ? choose(faults, request) : NULL;
	if (rule && apply(faults, request, rule))
		return true;
	return faults->burst > 0 && over_rate(faults, request);
}

void sim_faults_long_get(struct sim_faults *faults, struct sim_request *request)
{
	sim_long_get(&faults->longs, request, request->variable[0]);
}

void sim_faults_clear(struct sim_faults *faults)
{
	rules_clear(faults);
	while (faults->lates)
		late_free(faults->lates);
	sim_long_clear(&faults->longs, false);
	sim_faults_set_rate(faults, 0, 0, -1);
	faults->limited = 0;
}

void sim_faults_free(struct sim_faults *faults)
{
	if (!faults)
		return;
	sim_faults_clear(faults);
	sim_long_clear(&faults->longs, true);
	map_free(&faults->buckets);
	free(faults);
}
