/* Repositories: those set up here, those that Bitbucket has, and changing them. */
#define _GNU_SOURCE /* strcasestr */
#include "web/web.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_MAX 4096
#define BODY_MAX (16u << 20)
#define ROOM_ROWS 100
#define ROW_USUAL 384 /* bytes of a row's JSON, mostly; room for so much is made beforehand */

static const char *const state_names[] = {
    [REPO_DISABLED] = "disabled", [REPO_ENABLED] = "enabled", [REPO_BLOCKED] = "blocked"};

void api_write_repository_name(struct service *service, struct json_writer *w, uint32_t id)
{
	const struct record_server *server;
	struct record_repo record;
	struct buf name;

	if (!records_repo(service->parts.records, id, &record))
		return;
	server = records_server(service->parts.records, record.server);
	buf_init(&name, 1024);
	buf_printf(&name, "%s/%s", record.project, record.slug);
	json_write_text(w, "repository", name.data);
	if (server != NULL)
		json_write_string(w, "server", server->url);
	buf_free(&name);
}

void api_write_repository(
    struct service *service, struct json_writer *w, const struct record_repo *record, bool details)
{
	const struct record_server *server = records_server(service->parts.records, record->server);

	json_open_object(w, NULL);
	json_write_int(w, "id", record->id);
	json_open_object(w, "server");
	json_write_int(w, "id", record->server);
	json_write_text(w, "url", server != NULL ? server->url : "");
	json_close_object(w);
	json_write_string(w, "project", record->project);
	json_write_string(w, "slug", record->slug);
	json_write_text(w, "name", record->name);
	json_write_string(w, "state", state_names[record->state]);
	json_write_text(w, "owner", record->owner);
	json_write_bool(w, "admin", record->admin);
	if (record->error[0] != '\0') {
		json_open_object(w, "error");
		json_write_string(w, "code", record->error_code);
		json_write_string(w, "message", record->error);
		json_close_object(w);
	}
	json_write_time(w, "blocked_since", record->blocked_ms);
	api_write_repository_history(service, w, record);
	json_write_int(
	    w, "waiting", (int64_t)queue_count_repo(service->parts.queue, record->id, 10000));
	api_write_hook(service, w, record->id, details);
	json_close_object(w);
}

struct filter {
	uint32_t server; /* 0 = all */
	char state[16], search[320];
};

static bool found(const struct filter *filter, const struct record_repo *record)
{
	char full[300];

	if (filter->server != 0 && record->server != filter->server)
		return false;
	if (filter->search[0] == '\0')
		return true;
	snprintf(full, sizeof(full), "%s/%s", record->project, record->slug);
	return strcasestr(full, filter->search) != NULL ||
	       strcasestr(record->name, filter->search) != NULL;
}

static uint64_t troubled(struct hooks *hooks)
{
	return hooks == NULL ? 0
	                     : hooks_count(hooks, HOOK_FAILING) + hooks_count(hooks, HOOK_BROKEN) +
	                           hooks_count(hooks, HOOK_CONFLICT);
}

/* No statuses are sent, or its events are in trouble. */
static bool is_broken(struct hooks *hooks, const struct record_repo *record)
{
	struct record_hook row;

	if (record->state != REPO_ENABLED || troubled(hooks) == 0)
		return record->state == REPO_BLOCKED;
	return hooks_get(hooks, record->id, &row) &&
	       (row.state == HOOK_FAILING || row.state == HOOK_BROKEN ||
	           row.state == HOOK_CONFLICT);
}

static bool wanted(
    struct hooks *hooks, const struct filter *filter, const struct record_repo *record)
{
	const char *state = filter->state;

	if (!found(filter, record))
		return false;
	if (strcmp(state, "broken") == 0)
		return is_broken(hooks, record);
	if (strcmp(state, "working") == 0)
		return record->state == REPO_ENABLED && !is_broken(hooks, record);
	return state[0] == '\0' || strcmp(state, state_names[record->state]) == 0;
}

/* How many each "state" would give of what is searched for. */
static void write_counts(
    struct service *service, struct json_writer *w, const struct filter *filter)
{
	struct records *records = service->parts.records;
	struct hooks *hooks = service->parts.hooks;
	int64_t counts[REPO_BLOCKED + 1] = {0}, all = 0, broken = 0;
	struct record_repo record = {0};

	if (filter->server == 0 && filter->search[0] == '\0' && troubled(hooks) == 0) {
		for (enum repo_state state = REPO_DISABLED; state <= REPO_BLOCKED; state++)
			counts[state] = (int64_t)records_repo_count(records, state);
		broken = counts[REPO_BLOCKED];
	} else {
		while (records_next_repo(records, record.id, &record)) {
			counts[record.state] += found(filter, &record);
			broken += found(filter, &record) && is_broken(hooks, &record);
		}
	}
	for (enum repo_state state = REPO_DISABLED; state <= REPO_BLOCKED; state++)
		all += counts[state];
	json_open_object(w, "counts");
	json_write_int(w, "all", all);
	for (enum repo_state state = REPO_DISABLED; state <= REPO_BLOCKED; state++)
		json_write_int(w, state_names[state], counts[state]);
	json_write_int(w, "broken", broken);
	json_close_object(w);
}

static bool read_filter(struct web_request *request, struct filter *filter)
{
	static const char *const states[] = {
	    "enabled", "disabled", "blocked", "broken", "working", NULL};
	const struct record_server *server;
	struct err err = ERR_INIT;
	char text[2048];

	*filter = (struct filter){0};
	if (!web_query_word(request, "state", states, filter->state, sizeof(filter->state)) ||
	    !web_query_text(request, "search", filter->search, sizeof(filter->search)) ||
	    !web_query_text(request, "server", text, sizeof(text)))
		return false;
	if (text[0] == '\0')
		return true;
	server = service_server(request->service, text, &err);
	if (server == NULL) {
		web_reply_err(request, 404, &err, NULL);
		return false;
	}
	filter->server = server->id;
	return true;
}

void api_repositories_get(struct web_request *request)
{
	struct record_repo record = {0};
	uint64_t limit, after, count = 0;
	struct filter filter;
	struct json_writer w;
	struct buf body;
	bool more = false, first;

	if (!read_filter(request, &filter) ||
	    !web_query_number(request, "limit", 1, 10000, 1000, &limit) ||
	    !web_query_number(request, "after", 0, UINT32_MAX, 0, &after))
		return;
	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	buf_reserve(&body, (size_t)(limit < ROOM_ROWS ? limit : ROOM_ROWS) * ROW_USUAL);
	json_open_array(&w, "repositories");
	record.id = (uint32_t)after;
	first = after == 0;
	while (records_next_repo(request->service->parts.records, record.id, &record)) {
		if (!wanted(request->service->parts.hooks, &filter, &record))
			continue;
		if (count == limit) {
			more = true;
			break;
		}
		api_write_repository(request->service, &w, &record, false);
		after = record.id;
		count++;
	}
	json_close_array(&w);
	if (more)
		json_write_int(&w, "next", (int64_t)after);
	else
		json_write_null(&w, "next");
	if (first)
		write_counts(request->service, &w, &filter);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

/* ---- asking Bitbucket ---- */

/* The token of the body without white space around it; false after having answered. */
bool api_read_secret(struct web_request *request, const struct json_at *root, const char *name,
    bool needed, struct secret *secret)
{
	struct err err = ERR_INIT;
	const char *text = NULL;
	size_t length;
	bool ok = needed ? json_get_string(root, name, SECRET_MAX, &text, &err)
	                 : json_opt_string(root, name, SECRET_MAX, &text, &err);

	if (!ok) {
		if (json_string_length(json_object_get(root->value, name)) > SECRET_MAX) {
			err_set(&err, "too_long", "that is too long to be a %s", name);
			err_hint(&err, "Copy it again: all of it, and nothing else.");
			err_field(&err, "%s", name);
		}
		web_reply_err(request, 400, &err, NULL);
		return false;
	}
	if (text == NULL)
		return true;
	while (isspace((unsigned char)*text))
		text++;
	length = strlen(text);
	while (length > 0 && isspace((unsigned char)text[length - 1]))
		length--;
	for (size_t i = 0; i < length; i++)
		ok = ok && text[i] > ' ' && text[i] < 0x7f;
	if (length > 0 && ok) {
		secret_set(secret, text, length);
		return true;
	}
	if (length == 0)
		err_set(&err, "empty", "the %s is empty", name);
	else
		err_set(&err, "invalid", "the %s holds characters that no %s has", name, name);
	err_hint(&err, "Copy it again: all of it, and nothing else.");
	err_field(&err, "%s", name);
	web_reply_err(request, 400, &err, NULL);
	return false;
}

bool api_read_token(
    struct web_request *request, const struct json_at *root, bool needed, struct secret *token)
{
	return api_read_secret(request, root, "token", needed, token);
}

/* The server that the body names, by its number or URL; 0 after having answered. */
uint32_t api_read_server(struct web_request *request, const struct json_at *root)
{
	const json_t *number = json_object_get(root->value, "server");
	const struct record_server *server;
	const char *text = "";
	struct err err = ERR_INIT;
	char digits[24];

	if (json_is_integer(number)) {
		snprintf(digits, sizeof(digits), "%lld", (long long)json_integer_value(number));
		text = digits;
	} else if (!json_opt_string(root, "server", 2048, &text, &err)) {
		web_reply_err(request, 400, &err, NULL);
		return 0;
	}
	server = service_server(request->service, text, &err);
	if (server != NULL)
		return server->id;
	web_reply_err(request,
	    err_is(&err, "not_found")   ? 404
	    : err_is(&err, "no_server") ? 409
	                                : 400,
	    &err, NULL);
	return 0;
}

static void listed(const struct service_result *result, const struct service_listed *repos,
    unsigned count, bool truncated, void *arg)
{
	struct web_request *request = arg;
	struct json_writer w;
	struct buf body;

	if (result->fault != SERVICE_OK) {
		web_reply_result(request, result);
		return;
	}
	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_open_array(&w, "repositories");
	for (unsigned i = 0; i < count; i++) {
		json_open_object(&w, NULL);
		json_write_string(&w, "project", repos[i].project);
		json_write_string(&w, "slug", repos[i].slug);
		json_write_text(&w, "name", repos[i].name);
		json_write_bool(&w, "public", repos[i].is_public);
		json_write_bool(&w, "archived", repos[i].archived);
		json_write_text(&w, "access", repos[i].access);
		json_write_string(&w, "state", repos[i].state);
		json_close_object(&w);
	}
	json_close_array(&w);
	json_write_bool(&w, "truncated", truncated);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

void api_repositories_list(struct web_request *request)
{
	struct json_at root = json_root(request->body, "");
	struct secret token = {0};
	struct err err = ERR_INIT;
	const char *search = "";
	uint32_t server = api_read_server(request, &root);

	if (server == 0)
		return;
	if (!json_opt_string(&root, "search", 320, &search, &err)) {
		web_reply_err(request, 400, &err, NULL);
		return;
	}
	if (!api_read_token(request, &root, false, &token))
		return;
	service_list_repos(request->service, server, token.length > 0 ? &token : NULL, search, NULL,
	    listed, request);
	secret_free(&token);
}

/* ---- changing ---- */

/* The half that decides. */
static void write_statuses(struct json_writer *w, const struct service_repo *repo)
{
	json_open_object(w, "statuses");
	json_write_bool(w, "ok", repo->fault == SERVICE_OK);
	if (repo->fault != SERVICE_OK)
		web_write_err(w, "error", &repo->err, NULL);
	json_close_object(w);
}

void api_write_changed(struct json_writer *w, const struct service_repo *repo)
{
	json_open_object(w, NULL);
	json_write_string(w, "repository", repo->name);
	json_write_bool(w, "ok", repo->fault == SERVICE_OK);
	if (!repo->events.asked || repo->read)
		write_statuses(w, repo);
	api_write_half(w, &repo->events);
	if (repo->fault == SERVICE_OK) {
		json_write_text(w, "owner", repo->owner);
		json_write_bool(w, "read", repo->read);
		json_write_bool(w, "admin", repo->admin);
		json_write_int(w, "waiting", (int64_t)repo->waiting);
	} else {
		web_write_err(w, "error", &repo->err, repo->trace);
	}
	json_close_object(w);
}

static void changed(const struct service_result *result, const struct service_repo *repos,
    unsigned count, void *arg)
{
	struct web_request *request = arg;
	struct json_writer w;
	struct buf body;

	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_open_array(&w, "results");
	for (unsigned i = 0; i < count; i++)
		api_write_changed(&w, &repos[i]);
	json_close_array(&w);
	if (result->fault != SERVICE_OK)
		web_write_err(&w, "error", result->err, result->trace);
	json_close_object(&w);
	web_reply_json(request, web_status_of(result->fault), &body);
	buf_free(&body);
}

bool api_read_names(struct web_request *request, const struct json_at *root, bool needed,
    const char **names, unsigned *count)
{
	struct err err = ERR_INIT;
	struct json_at array;

	*count = 0;
	if (!needed && json_object_get(root->value, "repositories") == NULL)
		return true;
	if (!json_get_array(root, "repositories", &array, &err))
		goto bad;
	if ((needed && json_array_size(array.value) == 0) ||
	    json_array_size(array.value) > SERVICE_NAMES_MAX) {
		err_set(&err, "json", "repositories: expected 1 to %u names such as PROJECT/slug",
		    SERVICE_NAMES_MAX);
		goto bad;
	}
	for (size_t i = 0; i < json_array_size(array.value); i++) {
		const char *name = json_string_value(json_array_get(array.value, i));

		if (name == NULL || strlen(name) > 255) {
			err_set(&err, "json",
			    "repositories[%zu]: expected a name such as PROJECT/slug", i);
			goto bad;
		}
		names[(*count)++] = name;
	}
	return true;
bad:
	err_field(&err, "repositories");
	web_reply_err(request, 400, &err, NULL);
	return false;
}

static void start_job(struct web_request *request, enum service_enable what, uint32_t server,
    const char *const *names, unsigned count, const struct secret *token)
{
	struct err err = ERR_INIT;
	struct json_writer w;
	struct buf body;
	uint64_t number = jobs_start(
	    web_jobs(request->web), request->who, what, server, names, count, token, &err);

	if (number == 0) {
		web_reply_err(request, 503, &err, NULL);
		return;
	}
	buf_init(&body, 256);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_write_int(&w, "job", (int64_t)number);
	json_close_object(&w);
	web_reply_json(request, 202, &body);
	buf_free(&body);
}

void api_change(struct web_request *request, enum service_enable what, uint32_t server,
    const char *const *names, unsigned count, const struct secret *token, bool async)
{
	if (async)
		start_job(request, what, server, names, count, token);
	else
		service_change_repos(request->service, request->who, what, server, names, count,
		    token, NULL, changed, request);
}

static void change(struct web_request *request, enum service_enable what)
{
	struct json_at root = json_root(request->body, "");
	const char *names[SERVICE_NAMES_MAX];
	struct secret token = {0};
	struct err err = ERR_INIT;
	bool async = false;
	unsigned count;
	uint32_t server = api_read_server(request, &root);

	if (server == 0 || !api_read_names(request, &root, true, names, &count))
		return;
	if (!json_opt_bool(&root, "async", &async, &err)) {
		web_reply_err(request, 400, &err, NULL);
		return;
	}
	if (what != SERVICE_DISABLE && !api_read_token(request, &root, true, &token))
		return;
	api_change(request, what, server, names, count, &token, async);
	secret_free(&token);
}

void api_repositories_enable(struct web_request *request)
{
	change(request, SERVICE_ENABLE);
}

void api_repositories_token(struct web_request *request)
{
	change(request, SERVICE_REPLACE_TOKEN);
}

void api_repositories_disable(struct web_request *request)
{
	change(request, SERVICE_DISABLE);
}
