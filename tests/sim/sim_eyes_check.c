/* Keys, and the headers that every call to an Eyes server carries. What is missing is a violation,
 * not an error. */
#include "sim/sim_eyes.h"

#include "base/clock.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define REQUEST_IDS_MAX 200000
#define DATE_SLACK_MS (10 * 60 * 1000)

const char *eyes_request_key(const struct sim_request *request)
{
	return http_head_get(request->head, "X-Eyes-Api-Key");
}

static void violation(struct eyes *eyes, const struct sim_request *request, const char *what)
{
	sim_violation(
	    &eyes->sim->violations, request, "%s %s: %s", request->method, request->path, what);
}

static void check_url(struct eyes *eyes, const struct sim_request *request)
{
	const struct eyes_key *key;
	size_t position = 0;
	if (strcasestr(request->query, "apikey="))
		violation(eyes, request, "an API key in the URL");
	while ((key = map_next(&eyes->keys, &position)))
		if (strstr(request->head->target, key->key))
			violation(eyes, request, "the API key is in the URL");
}

static void check_value(
    struct eyes *eyes, const struct sim_request *request, const char *name, const char *wanted)
{
	const char *value = http_head_get(request->head, name);
	if (value && (!wanted || strcasecmp(value, wanted) == 0))
		return;
	sim_violation(&eyes->sim->violations, request, "%s %s: %s is %s, expected %s",
	    request->method, request->path, name, value ? value : "missing",
	    wanted ? wanted : "a value");
}

static void check_request_id(struct eyes *eyes, const struct sim_request *request)
{
	const char *id = http_head_get(request->head, "x-applitools-eyes-client-request-id");
	if (!id || !*id) {
		violation(eyes, request, "x-applitools-eyes-client-request-id is missing");
		return;
	}
	if (eyes->request_ids.count >= REQUEST_IDS_MAX) {
		map_free(&eyes->request_ids);
		map_init(&eyes->request_ids);
	}
	struct sim_name name = sim_name_text(id);
	if (sim_name_put(&eyes->request_ids, &name, eyes))
		violation(eyes, request, "x-applitools-eyes-client-request-id was used before");
}

static void check_date(struct eyes *eyes, const struct sim_request *request)
{
	const char *text = http_head_get(request->head, "Eyes-Date");
	int64_t ms;
	if (!text || !clock_parse_http_date(text, &ms))
		violation(eyes, request, "Eyes-Date is missing or not an RFC 1123 date");
	else if (llabs(ms - request->wall_ms) > DATE_SLACK_MS)
		violation(eyes, request, "Eyes-Date is far from now");
}

static void check_headers(struct eyes *eyes, const struct sim_request *request)
{
	check_url(eyes, request);
	check_value(eyes, request, "Accept", "application/json");
	check_value(eyes, request, "Content-Type", "application/json");
	check_value(eyes, request, "User-Agent", NULL);
	check_value(eyes, request, "x-applitools-eyes-client", NULL);
	check_value(eyes, request, "Eyes-Expect-Version", "2");
	check_value(eyes, request, "Eyes-Expect", "202+result");
	check_request_id(eyes, request);
	check_date(eyes, request);
}

bool eyes_before(struct sim_request *request, void *app)
{
	struct eyes *eyes = app;
	const char *text = eyes_request_key(request);
	bool is_event = strncmp(request->path, EYES_EVENT_PATHS, sizeof(EYES_EVENT_PATHS) - 1) == 0;
	if (strncmp(request->path, "/api/", 5) != 0)
		return true;
	if (is_event)
		check_url(eyes, request);
	else
		check_headers(eyes, request);
	if (is_event && !text)
		return true; /* from Bitbucket or GitHub itself */
	struct sim_name name = sim_name_text(text ? text : "");
	const struct eyes_key *key = text ? sim_name_get(&eyes->keys, &name) : NULL;
	bool expired = key && key->expires_ms && key->expires_ms <= request->wall_ms;
	if (key && !key->revoked && !expired && !key->status)
		return true;
	if (is_event && !key)
		violation(eyes, request, "an event with a key that is not ours");
	sim_answer(request, key && key->status ? key->status : 401, NULL, "", 0);
	return false;
}

void eyes_not_found(struct sim_request *request, void *app)
{
	static const char page[] = "<html><body>Not Found</body></html>";
	(void)app;
	sim_answer(request, 404, "text/html", page, sizeof(page) - 1);
}

void eyes_answer_key_validation(struct sim_request *request, void *app)
{
	struct eyes *eyes = app;
	struct sim_name name = sim_name_text(eyes_request_key(request));
	const struct eyes_key *key = sim_name_get(&eyes->keys, &name);
	sim_answer_json(request, 200, json_incref(key->answer));
}

/* ---- set-up ---- */

static void key_free(struct eyes_key *key)
{
	free(key->key);
	json_decref(key->answer);
	free(key);
}

static bool setup_key(struct eyes *eyes, const json_t *json, struct err *err)
{
	static const char *const copied[] = {"teamId", "user", "createdBy", "purpose", "expiresAt"};
	const char *text = sim_json_text(json, "key", NULL);
	const char *expires = sim_json_text(json, "expiresAt", NULL);
	int64_t expires_ms = 0;
	if (!sim_json_known(json,
	        "key teamId user permissions createdBy purpose expiresAt revoked status", err))
		return false;
	if (!text || !*text)
		return err_set(err, "json", "a key needs key");
	if (expires && !clock_parse_rfc3339(expires, &expires_ms))
		return err_set(err, "json", "expiresAt is not an RFC 3339 time");
	struct eyes_key *key = mem_zero(sizeof(*key));
	key->key = mem_string(text);
	key->expires_ms = expires_ms;
	key->revoked = sim_json_bool(json, "revoked", false);
	key->status = (int)sim_json_integer(json, "status", 0);
	key->answer = json_pack("{s:s,s:s}", "teamId", "team-1", "user", "eyes@example.com");
	for (unsigned i = 0; i < sizeof(copied) / sizeof(copied[0]); i++) {
		json_t *value = json_object_get(json, copied[i]);
		if (value)
			json_object_set(key->answer, copied[i], value);
	}
	json_t *permissions = json_object_get(json, "permissions");
	json_object_set_new(key->answer, "permissions",
	    permissions ? json_incref(permissions)
	                : json_pack("[s,s,s,s]", "read", "write", "execute", "merge"));
	struct sim_name name = sim_name_text(text);
	struct eyes_key *before = sim_name_put(&eyes->keys, &name, key);
	if (before)
		key_free(before);
	return true;
}

bool eyes_setup(struct eyes *eyes, const json_t *json, struct err *err)
{
	size_t i;
	json_t *item;
	if (!sim_json_known(json, "keys events", err) ||
	    !eyes_events_setup(eyes, json_object_get(json, "events"), err))
		return false;
	json_array_foreach(json_object_get(json, "keys"), i, item)
	{
		if (!setup_key(eyes, item, err))
			return false;
	}
	return true;
}

void eyes_setup_demo(struct eyes *eyes)
{
	struct err err = ERR_INIT;
	char expires[CLOCK_TEXT];
	clock_rfc3339(expires, clock_wall_ms() + INT64_C(365) * 24 * 3600 * 1000, true);
	json_t *json = json_pack("{s:[{s:s,s:s,s:s},{s:s,s:s,s:[s]}]}", "keys", "key",
	    "demo-eyes-key", "purpose", "demo", "expiresAt", expires, "key", "demo-readonly-key",
	    "purpose", "demo", "permissions", "read");
	if (!json || !eyes_setup(eyes, json, &err))
		fatal("the demo data is wrong: %s", err.message);
	json_decref(json);
}

void eyes_clear_keys(struct eyes *eyes)
{
	struct eyes_key *key;
	size_t position = 0;
	while ((key = map_next(&eyes->keys, &position)))
		key_free(key);
	map_free(&eyes->keys);
	map_init(&eyes->keys);
}
