/* Health, metrics, the status page, recent updates, the audit trail. */
#define _GNU_SOURCE /* strcasestr */
#include "base/clock.h"
#include "base/metrics.h"
#include "service/health.h"
#include "web/web.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX (8u << 20)

void api_healthz(struct web_request *request)
{
	struct json_writer w;
	struct buf body;

	buf_init(&body, 1024);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_write_bool(&w, "alive", true);
	json_write_string(&w, "version", EYES_SCM_VERSION);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

static void write_leg(
    struct json_writer *w, const char *name, const struct health_leg *leg, bool long_form)
{
	struct buf hops;

	json_open_object(w, name);
	json_write_string(w, "name", leg->name);
	json_write_string(w, "state", health_state_name(leg->state));
	json_write_text(w, "message", leg->message);
	if (long_form) {
		json_write_text(w, "hint", leg->hint);
		json_write_time(w, "last_contact", leg->last_ok_ms);
		json_write_time(w, "next_try", leg->next_ms);
		if (leg->trace != NULL && leg->state != HEALTH_OK) {
			buf_init(&hops, 32 * 1024);
			http_trace_json(leg->trace, &hops);
			json_write_raw(w, "trace", &hops);
			buf_free(&hops);
		}
	}
	json_close_object(w);
}

void api_readyz(struct web_request *request)
{
	struct records *records = request->service->parts.records;
	bool ready = health_ready(request->service);
	struct health_leg leg;
	struct json_writer w;
	struct buf body;

	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_write_bool(&w, "ready", ready);
	json_open_array(&w, "legs");
	health_store(request->service, &leg);
	write_leg(&w, NULL, &leg, false);
	health_eyes(request->service, &leg);
	write_leg(&w, NULL, &leg, false);
	for (unsigned i = 0; i < records_server_count(records); i++) {
		health_server(request->service, records_server_at(records, i), &leg);
		write_leg(&w, NULL, &leg, false);
	}
	json_close_array(&w);
	json_close_object(&w);
	web_reply_json(request, ready ? 200 : 503, &body);
	buf_free(&body);
}

void api_metrics(struct web_request *request)
{
	struct buf body;

	buf_init(&body, BODY_MAX);
	metrics_write(&body);
	web_reply_text(
	    request, 200, "application/openmetrics-text; version=1.0.0; charset=utf-8", &body);
	buf_free(&body);
}

static void write_problem(const char *code, const char *message, const char *hint, void *arg)
{
	struct json_writer *w = arg;

	json_open_object(w, NULL);
	json_write_string(w, "code", code);
	json_write_string(w, "message", message);
	json_write_text(w, "hint", hint);
	json_close_object(w);
}

static void write_eyes(struct web_request *request, struct json_writer *w)
{
	char way[320] = "";
	struct poller_health health;
	struct health_leg leg;

	if (request->service->parts.eyes != NULL)
		eyes_way(request->service->parts.eyes, way, sizeof(way));
	poller_health(request->service->parts.poller, &health);
	health_eyes(request->service, &leg);
	json_open_object(w, "eyes");
	json_write_string(w, "state", health_state_name(leg.state));
	json_write_string(w, "way", way[0] != '\0' ? way : "direct");
	json_write_text(w, "origin", web_eyes_url(request->web));
	json_write_text(w, "organization", web_organization(request->web));
	json_write_text(w, "source", health.source);
	json_write_text(w, "source_reason", health.reason);
	json_write_time(w, "last_contact", health.last_ok_ms);
	json_write_time(w, "failing_since", health.failing_since_ms);
	json_write_time(w, "next_poll", health.next_ms);
	json_write_text(w, "message", leg.message);
	json_write_text(w, "hint", leg.hint);
	if (leg.trace != NULL && leg.state != HEALTH_OK) {
		struct buf hops;

		buf_init(&hops, 32 * 1024);
		http_trace_json(leg.trace, &hops);
		json_write_raw(w, "trace", &hops);
		buf_free(&hops);
	}
	json_close_object(w);
}

/* What was delivered today, and how long it took; of how many, and since when it is known. */
static void write_figures(struct service *service, struct json_writer *w)
{
	const struct figures *figures = journal_figures(service->parts.journal, clock_wall_ms());

	json_open_object(w, "figures");
	json_write_int(w, "delivered_today", (int64_t)figures->delivered);
	json_write_time(w, "since", figures->since_ms);
	json_write_int(w, "of", (int64_t)figures->timed);
	if (figures->timed > 0) {
		json_write_int(w, "p50_ms", figures_percentile_ms(figures, 50));
		json_write_int(w, "p99_ms", figures_percentile_ms(figures, 99));
	}
	json_close_object(w);
}

static void write_store(struct service *service, struct json_writer *w)
{
	json_open_object(w, "store");
	json_write_int(w, "used_percent", db_used_percent(service->parts.db));
	json_write_int(w, "size", (int64_t)db_size(service->parts.db));
	json_write_string(w, "directory", db_directory(service->parts.db));
	json_write_string(w, "key_source", vault_key_source(service->parts.vault));
	json_close_object(w);
}

void api_write_status(struct web_request *request, struct json_writer *w)
{
	struct service *service = request->service;
	struct records *records = service->parts.records;
	unsigned problems;

	json_write_string(w, "version", EYES_SCM_VERSION);
	json_write_time(w, "started", service->parts.started_ms);
	json_open_array(w, "problems");
	problems = health_problems(service, write_problem, w);
	json_close_array(w);
	json_write_bool(w, "healthy", problems == 0);
	write_eyes(request, w);
	json_open_array(w, "servers");
	for (unsigned i = 0; i < records_server_count(records); i++)
		api_write_server(service, w, records_server_at(records, i));
	json_close_array(w);
	json_open_object(w, "repositories");
	json_write_int(w, "enabled", (int64_t)records_repo_count(records, REPO_ENABLED));
	json_write_int(w, "blocked", (int64_t)records_repo_count(records, REPO_BLOCKED));
	json_write_int(w, "disabled", (int64_t)records_repo_count(records, REPO_DISABLED));
	json_close_object(w);
	api_write_counts(service, w, "queue");
	api_write_events(service, w, "events");
	write_figures(service, w);
	json_write_int(w, "outbox", (int64_t)outbox_results(service->parts.outbox));
	write_store(service, w);
	api_write_account(request, w, "account");
	api_write_updates(service, w, "updates", 10, 0, "");
}

void api_status(struct web_request *request)
{
	struct json_writer w;
	struct buf body;

	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	api_write_status(request, &w);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

void api_updates(struct web_request *request)
{
	uint64_t limit, after;
	struct json_writer w;
	char search[320];
	struct buf body;

	if (!web_query_number(request, "limit", 1, 1000, 100, &limit) ||
	    !web_query_number(request, "after", 0, UINT64_MAX, 0, &after) ||
	    !web_query_text(request, "search", search, sizeof(search)))
		return;
	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	api_write_updates(request->service, &w, "updates", (unsigned)limit, after, search);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

/* A page of the audit trail. */
struct audit_page {
	char search[320], by[16];
	uint64_t left; /* rows that may still be written */
	struct json_writer w;
};

static bool audit_wanted(const struct audit_page *page, const struct audit_row *row)
{
	const char *const texts[] = {row->who, row->action, row->subject, row->detail};
	bool own = strcmp(row->who, "eyes-scm") == 0;

	if (page->by[0] != '\0' && own != (strcmp(page->by, "eyes-scm") == 0))
		return false;
	if (page->search[0] == '\0')
		return true;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcasestr(texts[i], page->search) != NULL)
			return true;
	return false;
}

static bool write_audit_row(const struct audit_row *row, void *arg)
{
	struct audit_page *page = arg;
	struct json_writer *w = &page->w;
	char who[AUDIT_WHO], from[AUDIT_WHO];

	if (!audit_wanted(page, row))
		return true;
	audit_split(row->who, who, from);
	json_open_object(w, NULL);
	json_write_int(w, "number", (int64_t)row->number);
	json_write_time(w, "time", row->time_ms);
	json_write_string(w, "who", who);
	json_write_text(w, "from", from);
	json_write_string(w, "action", row->action);
	json_write_string(w, "subject", row->subject);
	json_write_text(w, "detail", row->detail);
	json_close_object(w);
	return --page->left > 0;
}

void api_audit(struct web_request *request)
{
	static const char *const bys[] = {"people", "eyes-scm", NULL};
	struct audit_page page;
	struct buf body;

	if (!web_query_number(request, "limit", 1, 1000, 100, &page.left) ||
	    !web_query_text(request, "search", page.search, sizeof(page.search)) ||
	    !web_query_word(request, "by", bys, page.by, sizeof(page.by)))
		return;
	buf_init(&body, BODY_MAX);
	json_writer_init(&page.w, &body);
	json_open_object(&page.w, NULL);
	json_open_array(&page.w, "entries");
	audit_latest(request->service->parts.audit, UINT_MAX, write_audit_row, &page);
	json_close_array(&page.w);
	json_close_object(&page.w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}
