/* Live checks, listings and long actions: what the wizard asks. */
#include "web/web.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define URL_MAX 2048
#define BODY_MAX (4u << 20)

static uint64_t number_of(const char *text)
{
	char *end;
	unsigned long long number = strtoull(text, &end, 10);

	return *end == '\0' && text[0] >= '0' && text[0] <= '9' ? number : 0;
}

static void reply_number(struct web_request *request, int status, const char *name, uint64_t number)
{
	struct json_writer w;
	struct buf body;

	buf_init(&body, 256);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_write_int(&w, name, (int64_t)number);
	json_close_object(&w);
	web_reply_json(request, status, &body);
	buf_free(&body);
}

static void reply_missing(struct web_request *request, const char *what)
{
	struct err err = ERR_INIT;

	err_set(&err, "not_found", "there is no such %s any more", what);
	web_reply_err(request, 404, &err, NULL);
}

/* ---- servers ---- */

static void server_checked(
    const struct service_result *result, const struct service_identity *identity, void *arg)
{
	struct web_request *request = arg;
	struct json_writer w;
	struct buf body, hops;

	if (identity == NULL) {
		web_reply_result(request, result);
		return;
	}
	buf_init(&body, BODY_MAX);
	buf_init(&hops, 32 * 1024);
	if (result->trace != NULL)
		http_trace_json(result->trace, &hops);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_write_string(&w, "url", identity->url);
	json_write_string(&w, "product", identity->product);
	json_write_string(&w, "version", identity->version);
	json_write_text(&w, "abilities", identity->abilities);
	if (hops.length > 0)
		json_write_raw(&w, "trace", &hops);
	if (result->trace != NULL)
		api_write_certificate(&w, &result->trace->certificate);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&hops);
	buf_free(&body);
}

void api_server_check(struct web_request *request)
{
	struct json_at root = json_root(request->body, "");
	struct err err = ERR_INIT;
	const char *url;
	char *ca;

	if (!json_get_string(&root, "url", URL_MAX, &url, &err)) {
		web_reply_err(request, 400, &err, NULL);
		return;
	}
	if (!api_read_ca(request, &root, false, &ca))
		return;
	service_check_server(request->service, url, ca, server_checked, request);
	free(ca);
}

static void reply_server(struct web_request *request)
{
	const struct record_server *server =
	    records_server(request->service->parts.records, (uint32_t)request->count);
	struct json_writer w;
	struct buf body;

	if (server == NULL) {
		reply_missing(request, "server");
		return;
	}
	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	api_write_server(request->service, &w, server);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

static void server_changed(const struct service_result *result, void *arg)
{
	struct web_request *request = arg;

	if (result->fault == SERVICE_OK)
		reply_server(request);
	else
		web_reply_result(request, result);
}

/* How it is now is the answer, also when it is bad. */
static void server_asked(const struct service_result *result, void *arg)
{
	(void)result;
	reply_server(arg);
}

static bool read_id(struct web_request *request)
{
	request->count = number_of(request->id);
	if (request->count > 0 && request->count <= UINT32_MAX)
		return true;
	reply_missing(request, "server");
	return false;
}

void api_server_put(struct web_request *request)
{
	struct json_at root = json_root(request->body, "");
	char *ca;

	if (!read_id(request) || !api_read_ca(request, &root, true, &ca))
		return;
	service_replace_ca(
	    request->service, request->who, (uint32_t)request->count, ca, server_changed, request);
	free(ca);
}

void api_server_ask(struct web_request *request)
{
	if (read_id(request))
		service_ask_server(
		    request->service, (uint32_t)request->count, server_asked, request);
}

/* ---- tokens ---- */

/* Where a person makes a token, at their own server. */
static void write_token_page(struct web_request *request, struct json_writer *w)
{
	struct err err = ERR_INIT;
	struct server *server =
	    servers_get(request->service->parts.servers, (uint32_t)request->count, &err);
	char page[2048];

	if (server == NULL)
		return;
	server->driver->token_page(&server->view, page, sizeof(page));
	json_write_text(w, "token_page", page);
}

/* Of a server that answers for some, the others are results. */
static bool none_reached(const struct service_repo *repos, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (repos[i].fault != SERVICE_UNREACHED)
			return false;
	return true;
}

static void token_checked(const struct service_result *result, const struct service_repo *repos,
    unsigned count, void *arg)
{
	struct web_request *request = arg;
	struct json_writer w;
	struct buf body;

	/* A repository that is not visible is an answer; a token that is refused is not. */
	if (count == 0 || none_reached(repos, count) ||
	    (result->fault != SERVICE_OK && err_is(result->err, "token_refused"))) {
		web_reply_result(request, result);
		return;
	}
	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	for (unsigned i = 0; i < count; i++)
		if (repos[i].owner[0] != '\0') {
			json_write_string(&w, "owner", repos[i].owner);
			break;
		}
	json_write_bool(&w, "administers_any", repos[0].administers_any);
	write_token_page(request, &w);
	json_open_array(&w, "repositories");
	for (unsigned i = 0; i < count; i++)
		api_write_changed(&w, &repos[i]);
	json_close_array(&w);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

void api_token_check(struct web_request *request)
{
	struct json_at root = json_root(request->body, "");
	const char *names[SERVICE_NAMES_MAX];
	struct secret token = {0};
	unsigned count;
	uint32_t server = api_read_server(request, &root);

	if (server == 0 || !api_read_names(request, &root, true, names, &count) ||
	    !api_read_token(request, &root, true, &token))
		return;
	request->count = server;
	service_change_repos(request->service, request->who, SERVICE_CHECK, server, names, count,
	    &token, NULL, token_checked, request);
	secret_free(&token);
}

/* ---- listings ---- */

void api_listing_post(struct web_request *request)
{
	struct json_at root = json_root(request->body, "");
	struct secret token = {0};
	uint32_t server = api_read_server(request, &root);

	if (server == 0 || !api_read_token(request, &root, false, &token))
		return;
	reply_number(request, 202, "listing",
	    listings_start(web_listings(request->web), server, token.length > 0 ? &token : NULL));
	secret_free(&token);
}

static bool has(const char *text, const char *part)
{
	size_t length = strlen(part);

	for (; *text != '\0'; text++)
		if (strncasecmp(text, part, length) == 0)
			return true;
	return length == 0;
}

struct match {
	char search[320], show[16], project[136];
	uint32_t server;
	struct records *records;
};

static const char *state_of(const struct match *match, const struct listing_row *row)
{
	struct record_repo record;

	if (!records_repo_by_name(
	        match->records, match->server, row->project, row->slug, &record) ||
	    record.state == REPO_DISABLED)
		return "none";
	return record.state == REPO_ENABLED ? "enabled" : "blocked";
}

static bool is_found(
    const struct match *match, const char *project, const char *slug, const char *name)
{
	char full[300];

	if (match->project[0] != '\0' && strcmp(match->project, project) != 0)
		return false;
	snprintf(full, sizeof(full), "%s/%s", project, slug);
	return has(full, match->search) || has(name, match->search);
}

static bool matches(const struct match *match, const struct listing_row *row)
{
	const char *state;

	if (!is_found(match, row->project, row->slug, row->name))
		return false;
	if (match->show[0] == '\0' || strcmp(match->show, "all") == 0)
		return true;
	state = state_of(match, row);
	return strcmp(state, match->show) == 0 ||
	       (strcmp(match->show, "enabled") == 0 && strcmp(state, "blocked") == 0);
}

static void write_row(
    struct json_writer *w, const struct match *match, const struct listing_row *row)
{
	json_open_object(w, NULL);
	json_write_string(w, "project", row->project);
	json_write_string(w, "slug", row->slug);
	json_write_text(w, "name", row->name);
	json_write_bool(w, "public", row->is_public);
	json_write_bool(w, "archived", row->archived);
	json_write_text(w, "access", row->access);
	json_write_string(w, "state", state_of(match, row));
	json_close_object(w);
}

/* How many there are of each project, in the order of the list. */
static void write_projects(
    struct json_writer *w, const struct match *match, const struct listing_view *view)
{
	json_open_array(w, "projects");
	for (unsigned i = 0; i < view->count;) {
		const char *project = view->rows[i].project;
		unsigned count = 0, total = 0;

		for (; i < view->count && strcmp(view->rows[i].project, project) == 0; i++) {
			count += matches(match, &view->rows[i]);
			total++;
		}
		if (count == 0)
			continue;
		json_open_object(w, NULL);
		json_write_string(w, "key", project);
		json_write_int(w, "count", count);
		json_write_int(w, "total", total);
		json_close_object(w);
	}
	json_close_array(w);
}

/* How many each "show" would show of what is searched for. Records are fewer than rows: they are
 * looked through for their states. */
static void write_counts(
    struct json_writer *w, const struct match *match, const struct listing_view *view)
{
	int64_t all = 0, enabled = 0, blocked = 0;
	struct record_repo record = {0};

	for (unsigned i = 0; i < view->count; i++)
		all +=
		    is_found(match, view->rows[i].project, view->rows[i].slug, view->rows[i].name);
	while (records_next_repo(match->records, record.id, &record)) {
		if (record.server != match->server || record.state == REPO_DISABLED ||
		    !is_found(match, record.project, record.slug, record.name))
			continue;
		enabled++;
		blocked += record.state == REPO_BLOCKED;
	}
	json_open_object(w, "counts");
	json_write_int(w, "all", all);
	json_write_int(w, "enabled", enabled);
	json_write_int(w, "blocked", blocked);
	json_close_object(w);
}

static uint64_t write_rows(struct json_writer *w, const struct match *match,
    const struct listing_view *view, uint64_t offset, uint64_t limit)
{
	uint64_t total = 0;

	json_open_array(w, "repositories");
	for (unsigned i = 0; i < view->count; i++) {
		if (!matches(match, &view->rows[i]))
			continue;
		if (total >= offset && total < offset + limit)
			write_row(w, match, &view->rows[i]);
		total++;
	}
	json_close_array(w);
	return total;
}

void api_listing_get(struct web_request *request)
{
	static const char *const states[] = {
	    [LISTING_READING] = "reading", [LISTING_DONE] = "done", [LISTING_FAILED] = "failed"};
	static const char *const shows[] = {"all", "enabled", "blocked", NULL};
	struct match match = {.records = request->service->parts.records};
	struct listing_view view;
	uint64_t offset, limit;
	struct json_writer w;
	struct buf body;

	if (!web_query_number(request, "offset", 0, UINT32_MAX, 0, &offset) ||
	    !web_query_number(request, "limit", 1, 1000, 100, &limit) ||
	    !web_query_text(request, "search", match.search, sizeof(match.search)) ||
	    !web_query_word(request, "show", shows, match.show, sizeof(match.show)))
		return;
	web_query(request, "project", match.project, sizeof(match.project));
	if (!listings_view(web_listings(request->web), number_of(request->id), &view)) {
		reply_missing(request, "listing");
		return;
	}
	match.server = view.server;
	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_write_string(&w, "state", states[view.state]);
	json_write_int(&w, "read", view.count);
	json_write_bool(&w, "truncated", view.truncated);
	if (view.err != NULL)
		json_write_err(&w, "error", view.err, NULL);
	if (offset == 0) {
		write_projects(&w, &match, &view);
		write_counts(&w, &match, &view);
	}
	json_write_int(&w, "total", (int64_t)write_rows(&w, &match, &view, offset, limit));
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

/* ---- long actions ---- */

void api_job_get(struct web_request *request)
{
	struct jobs_view view;
	unsigned done = 0, failed = 0;
	struct json_writer w;
	struct buf body;

	if (!jobs_view(web_jobs(request->web), number_of(request->id), &view)) {
		reply_missing(request, "job");
		return;
	}
	for (unsigned i = 0; i < view.count; i++) {
		done += view.repos[i].done;
		failed += view.repos[i].done && view.repos[i].fault != SERVICE_OK;
	}
	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_write_string(&w, "state", view.running ? "running" : "done");
	json_write_int(&w, "total", view.count);
	json_write_int(&w, "done", done);
	json_write_int(&w, "failed", failed);
	if (view.err != NULL)
		json_write_err(&w, "error", view.err, NULL);
	json_open_array(&w, "results");
	for (unsigned i = 0; i < view.count; i++)
		if (view.repos[i].done)
			api_write_changed(&w, &view.repos[i]);
	json_close_array(&w);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

static void test_queued(const struct service_result *result, void *arg)
{
	struct web_request *request = arg;

	if (result->fault != SERVICE_OK) {
		web_reply_result(request, result);
		return;
	}
	reply_number(request, 202, "update", request->count);
}

void api_test_status(struct web_request *request)
{
	struct json_at root = json_root(request->body, "");
	const char *repository, *commit;
	char project[136], slug[136];
	struct record_repo record;
	struct err err = ERR_INIT;
	uint32_t server = api_read_server(request, &root);

	if (server == 0)
		return;
	if (!json_get_string(&root, "repository", 255, &repository, &err) ||
	    !json_get_string(&root, "commit", 64, &commit, &err) ||
	    !scm_parse_name(repository, project, slug, sizeof(project), &err)) {
		web_reply_err(request, 400, &err, NULL);
		return;
	}
	if (!records_repo_by_name(
	        request->service->parts.records, server, project, slug, &record)) {
		reply_missing(request, "repository");
		return;
	}
	service_test_status(request->service, request->who, record.id, commit, &request->count,
	    test_queued, request);
}
