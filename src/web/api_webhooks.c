/* The events half of repositories: their webhooks. */
#include "base/clock.h"
#include "web/web.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX (16u << 20)
#define WAITING_MAX 10000

/* ---- how a webhook is ---- */

static void write_row_error(struct json_writer *w, const struct record_hook *row)
{
	if (row->code[0] == '\0')
		return;
	json_open_object(w, "error");
	json_write_string(w, "code", row->code);
	json_write_text(w, "message", row->error);
	if (row->hint[0] != '\0')
		json_write_text(w, "hint", row->hint);
	json_close_object(w);
}

static unsigned repairs_today(const struct record_hook *row)
{
	int64_t now = clock_wall_ms();
	unsigned count = 0;

	for (unsigned i = 0; i < HOOKS_REPAIRS; i++)
		count += row->repairs[i] != 0 && now - row->repairs[i] < HOOKS_REPAIRS_MS;
	return count;
}

static void write_details(
    struct service *service, struct json_writer *w, const struct record_hook *row)
{
	bool secret = row->relay ? row->has_secret : service->parts.webhook_secret_set;

	json_open_array(w, "wanted");
	for (unsigned i = 0; i < WEBHOOK_EVENTS; i++)
		json_write_string(w, NULL, webhook_events[i]);
	json_close_array(w);
	json_write_string(w, "secret", secret ? "set" : "none");
	if (row->old_until_ms > clock_wall_ms())
		json_write_time(w, "old_secret_until", row->old_until_ms);
	json_write_bool(w, "documented", false);
	json_write_int(w, "repairs", repairs_today(row));
}

void api_write_hook(struct service *service, struct json_writer *w, uint32_t repo, bool details)
{
	struct service_parts *parts = &service->parts;
	struct record_hook row;

	if (parts->hooks == NULL)
		return;
	json_open_object(w, "events");
	if (!hooks_get(parts->hooks, repo, &row)) {
		json_write_string(w, "state", "none");
		json_close_object(w);
		return;
	}
	json_write_string(w, "state", hook_state_name(row.state));
	json_write_string(w, "mode", row.relay ? "relay" : "direct");
	json_write_bool(w, "by_hand", row.by_hand);
	json_write_text(w, "id", row.id);
	json_write_text(w, "url", row.url);
	json_write_time(w, "checked", row.checked_ms);
	json_write_time(w, "changed", row.changed_ms);
	json_write_time(w, "delivered", row.delivered_ms);
	json_write_time(w, "failed", row.failed_ms);
	write_row_error(w, &row);
	json_write_int(w, "waiting", (int64_t)events_count_lane(parts->events, repo, WAITING_MAX));
	if (details)
		write_details(service, w, &row);
	json_close_object(w);
}

void api_write_half(struct json_writer *w, const struct service_events *events)
{
	static const char *const outcomes[] = {[SCM_DELIVERY_NONE] = "none",
	    [SCM_DELIVERY_OK] = "ok",
	    [SCM_DELIVERY_FAILED] = "failed",
	    [SCM_DELIVERY_ERROR] = "error"};

	if (!events->asked)
		return;
	json_open_object(w, "events");
	json_write_bool(w, "done", events->done);
	if (!events->done) {
		json_close_object(w);
		return;
	}
	json_write_bool(w, "ok", events->ok);
	json_write_string(w, "state", events->gone ? "none" : hook_state_name(events->state));
	json_write_bool(w, "made", events->made);
	json_write_bool(w, "repaired", events->repaired);
	if (events->tested) {
		json_open_object(w, "test");
		json_write_string(w, "outcome", outcomes[events->outcome]);
		json_write_int(w, "status", events->status);
		json_write_text(w, "message", events->words);
		json_close_object(w);
	}
	if (events->err != NULL)
		web_write_err(w, "error", events->err, events->trace);
	json_close_object(w);
}

/* ---- one repository ---- */

static bool find_repository(struct web_request *request, struct record_repo *record)
{
	struct err err = ERR_INIT;
	char *end;
	unsigned long long id = strtoull(request->id, &end, 10);

	if (*end == '\0' && request->id[0] >= '0' && request->id[0] <= '9' && id <= UINT32_MAX &&
	    records_repo(request->service->parts.records, (uint32_t)id, record))
		return true;
	err_set(&err, "not_found", "there is no such repository");
	web_reply_err(request, 404, &err, NULL);
	return false;
}

void api_repository_get(struct web_request *request)
{
	struct record_repo record;
	struct json_writer w;
	struct buf body;

	if (!find_repository(request, &record))
		return;
	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	api_write_repository(request->service, &w, &record, true);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

static void followed(const struct service_result *result, void *arg)
{
	struct web_request *request = arg;
	struct record_repo record;
	struct json_writer w;
	char name[300] = "";
	struct buf body;

	if (result->fault != SERVICE_OK) {
		web_reply_result(request, result);
		return;
	}
	if (records_repo(request->service->parts.records, (uint32_t)request->count, &record))
		snprintf(name, sizeof(name), "%s/%s", record.project, record.slug);
	buf_init(&body, 2048);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_write_text(&w, "repository", name);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

void api_repository_follow(struct web_request *request)
{
	struct record_repo record;

	if (!find_repository(request, &record))
		return;
	request->count = record.id;
	service_follow(request->service, request->who, record.id, followed, request);
}

/* An array of the words of "a b c". */
static void write_split(struct json_writer *w, const char *name, const char *words)
{
	char word[64];

	json_open_array(w, name);
	for (; *words != '\0'; words += strcspn(words, " "), words += *words == ' ') {
		snprintf(word, sizeof(word), "%.*s", (int)strcspn(words, " "), words);
		json_write_string(w, NULL, word);
	}
	json_close_array(w);
}

static void by_hand(
    const struct service_result *result, const struct service_by_hand *what, void *arg)
{
	struct web_request *request = arg;
	struct json_writer w;
	struct buf body;

	if (what == NULL) {
		web_reply_result(request, result);
		return;
	}
	buf_init(&body, 32 * 1024);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_write_string(&w, "name", what->name);
	json_write_string(&w, "url", what->url);
	write_split(&w, "events", what->events);
	if (what->secret != NULL)
		json_write_string(&w, "secret", what->secret->data);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	if (body.data != NULL)
		crypto_cleanse(body.data, body.length);
	buf_free(&body);
}

void api_webhook_by_hand(struct web_request *request)
{
	struct record_repo record;

	if (find_repository(request, &record))
		service_webhook_by_hand(
		    request->service, request->who, record.id, by_hand, request);
}

static void rotated(const struct service_result *result, const struct service_repo *repos,
    unsigned count, void *arg)
{
	struct web_request *request = arg;
	struct json_writer w;
	struct buf body;

	if (count != 1) {
		web_reply_result(request, result);
		return;
	}
	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	api_write_changed(&w, &repos[0]);
	web_reply_json(request, web_status_of(result->fault), &body);
	buf_free(&body);
}

void api_webhook_rotate(struct web_request *request)
{
	struct record_repo record;
	const char *names[1];
	char name[300];

	if (!find_repository(request, &record))
		return;
	snprintf(name, sizeof(name), "%s/%s", record.project, record.slug);
	names[0] = name;
	service_change_repos(request->service, request->who, SERVICE_WEBHOOK_ROTATE, record.server,
	    names, 1, NULL, NULL, rotated, request);
}

/* ---- several ---- */

static void change_all(
    struct web_request *request, enum service_enable what, uint32_t server, bool async)
{
	struct buf body;
	char **names;
	unsigned count = service_enabled_names(request->service, server, &names);

	if (count > 0) {
		api_change(request, what, server, (const char *const *)names, count, NULL, async);
	} else {
		buf_init(&body, 64);
		buf_printf(&body, "{\"results\":[]}");
		web_reply_json(request, 200, &body);
		buf_free(&body);
	}
	service_names_free(names, count);
}

static void change_webhooks(struct web_request *request, enum service_enable what)
{
	struct json_at root = json_root(request->body, "");
	const char *names[SERVICE_NAMES_MAX];
	bool all = false, async = false;
	struct err err = ERR_INIT;
	unsigned count;
	uint32_t server;

	if (!json_opt_bool(&root, "all", &all, &err) ||
	    !json_opt_bool(&root, "async", &async, &err)) {
		web_reply_err(request, 400, &err, NULL);
		return;
	}
	server = api_read_server(request, &root);
	if (server == 0)
		return;
	if (all)
		change_all(request, what, server, async);
	else if (api_read_names(request, &root, true, names, &count))
		api_change(request, what, server, names, count, NULL, async);
}

void api_webhooks_check(struct web_request *request)
{
	change_webhooks(request, SERVICE_WEBHOOK_CHECK);
}

void api_webhooks_repair(struct web_request *request)
{
	change_webhooks(request, SERVICE_WEBHOOK_REPAIR);
}
