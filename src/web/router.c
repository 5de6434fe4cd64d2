/* One table of routes: method, path, where it is served, what it needs. */
#include "web/assets.h"
#include "web/web_internal.h"
#include <stdio.h>
#include <string.h>

/*
 * HEALTH: on TCP without questions, for load balancers. OPEN: on TCP before signing in. CONTROL: on
 * the control socket only. PAGE: on TCP only. Everything else: on the control socket, and on TCP
 * with a session. FIRST: also before signing in as long as nobody ever did. STREAM: its answer does
 * not come in one piece.
 */
enum { HEALTH = 1, WITH_BODY = 2, OPEN = 4, CONTROL = 8, PAGE = 16, FIRST = 32, STREAM = 64 };

static const struct route {
	const char *method;
	const char *path; /* {id} stands for one segment */
	web_handler *handler;
	unsigned flags;
} routes[] = {
    {"GET", "/healthz", api_healthz, HEALTH},
    {"GET", "/readyz", api_readyz, HEALTH},
    {"GET", "/metrics", api_metrics, CONTROL},
    {"GET", "/api/v1/setup-code", api_setup_code, CONTROL},
    {"GET", "/api/v1/start", api_start, OPEN | PAGE},
    {"GET", "/api/v1/session", api_session_get, PAGE},
    {"POST", "/api/v1/session", api_session_post, OPEN | PAGE | WITH_BODY},
    {"DELETE", "/api/v1/session", api_session_delete, PAGE},
    {"GET", "/api/v1/sessions", api_sessions_get, 0},
    {"DELETE", "/api/v1/sessions/{id}", api_session_end, 0},
    {"GET", "/api/v1/events", api_events, PAGE | STREAM},
    {"PUT", "/api/v1/configuration", api_configuration_put, OPEN | PAGE | WITH_BODY},
    {"GET", "/api/v1/settings", api_settings, 0},
    {"GET", "/api/v1/status", api_status, 0},
    {"GET", "/api/v1/updates", api_updates, 0},
    {"GET", "/api/v1/audit", api_audit, 0},
    {"GET", "/api/v1/account", api_account_get, 0},
    {"PUT", "/api/v1/account", api_account_put, WITH_BODY},
    {"POST", "/api/v1/account/check", api_account_check, WITH_BODY},
    {"GET", "/api/v1/servers", api_servers_get, 0},
    {"POST", "/api/v1/servers", api_servers_post, WITH_BODY},
    {"DELETE", "/api/v1/servers/{id}", api_server_delete, 0},
    {"PUT", "/api/v1/servers/{id}", api_server_put, WITH_BODY},
    {"POST", "/api/v1/servers/check", api_server_check, WITH_BODY},
    {"POST", "/api/v1/servers/{id}/check", api_server_ask, 0},
    {"POST", "/api/v1/tokens/check", api_token_check, WITH_BODY},
    {"POST", "/api/v1/listings", api_listing_post, WITH_BODY},
    {"GET", "/api/v1/listings/{id}", api_listing_get, 0},
    {"GET", "/api/v1/jobs/{id}", api_job_get, 0},
    {"POST", "/api/v1/test-status", api_test_status, WITH_BODY},
    {"GET", "/api/v1/machine", api_machine, FIRST},
    {"GET", "/api/v1/diagnosis", api_diagnosis, 0},
    {"GET", "/api/v1/repositories", api_repositories_get, 0},
    {"GET", "/api/v1/repositories/{id}", api_repository_get, 0},
    {"POST", "/api/v1/repositories/{id}/follow", api_repository_follow, 0},
    {"POST", "/api/v1/repositories/{id}/webhook/rotate", api_webhook_rotate, 0},
    {"POST", "/api/v1/repositories/{id}/webhook/by-hand", api_webhook_by_hand, 0},
    {"POST", "/api/v1/webhooks/check", api_webhooks_check, WITH_BODY},
    {"POST", "/api/v1/webhooks/repair", api_webhooks_repair, WITH_BODY},
    {"POST", "/api/v1/repositories/list", api_repositories_list, WITH_BODY},
    {"POST", "/api/v1/repositories/enable", api_repositories_enable, WITH_BODY},
    {"POST", "/api/v1/repositories/token", api_repositories_token, WITH_BODY},
    {"POST", "/api/v1/repositories/disable", api_repositories_disable, WITH_BODY},
    {"GET", "/api/v1/queue", api_queue_get, 0},
    {"POST", "/api/v1/queue/retry", api_queue_retry, WITH_BODY},
    {"POST", "/api/v1/queue/drop", api_queue_drop, WITH_BODY},
    {"GET", "/api/v1/relay", api_relay_get, 0},
    {"POST", "/api/v1/relay/retry", api_relay_retry, WITH_BODY},
    {"POST", "/api/v1/relay/drop", api_relay_drop, WITH_BODY},
};

static bool matches(const struct route *route, const char *path, char *id, size_t size)
{
	const char *brace = strchr(route->path, '{');
	const char *rest = brace != NULL ? strchr(brace, '}') + 1 : NULL;
	size_t prefix, length;

	id[0] = '\0';
	if (brace == NULL)
		return strcmp(route->path, path) == 0;
	prefix = (size_t)(brace - route->path);
	if (strncmp(route->path, path, prefix) != 0)
		return false;
	length = strcspn(path + prefix, "/");
	if (length == 0 || length >= size || strcmp(path + prefix + length, rest) != 0)
		return false;
	memcpy(id, path + prefix, length);
	id[length] = '\0';
	return true;
}

static void not_allowed(struct web_request *request, const char *allow)
{
	struct err err = ERR_INIT;

	web_add_header(request, "Allow", allow);
	err_set(&err, "method", "this address takes %s", allow);
	web_reply_err(request, 405, &err, NULL);
}

static void missing_body(struct web_request *request)
{
	struct err err = ERR_INIT;

	err_set(&err, "json", "a JSON object is expected in the body");
	web_reply_err(request, 400, &err, NULL);
}

static void nowhere(struct web_request *request)
{
	struct err err = ERR_INIT;

	err_set(&err, "not_found", "there is nothing at this address");
	web_reply_err(request, 404, &err, NULL);
}

/* Whether this route exists where the request came in. */
static bool is_here(const struct route *route, const struct web_request *request)
{
	return (route->flags & (request->control ? PAGE : CONTROL)) == 0;
}

/* Whether it is served without a session now. */
static bool is_open(const struct route *route, const struct web_request *request)
{
	struct record_account account;

	return (route->flags & OPEN) ||
	       ((route->flags & FIRST) &&
	           !records_account(request->service->parts.records, &account));
}

/* False after having answered. */
static bool may(const struct route *route, struct web_request *request)
{
	bool write = strcmp(route->method, "GET") != 0;

	if (!request->control && !(route->flags & HEALTH)) {
		if (!guard_host(request) || !guard_origin(request, write))
			return false;
		if (!is_open(route, request) && !guard_session(request))
			return false;
	}
	return web_read_body(request);
}

static void run(const struct route *route, struct web_request *request)
{
	if (!may(route, request))
		return;
	if ((route->flags & WITH_BODY) && request->body == NULL)
		missing_body(request);
	else
		route->handler(request);
}

/* The page itself: its files are no secret, but they answer to our names only. */
static bool page(struct web_request *request, const char *method, const char *path)
{
	if (request->control)
		return false;
	if (strcmp(method, "GET") != 0 &&
	    (strcmp(path, "/") == 0 || strncmp(path, "/a/", 3) == 0)) {
		not_allowed(request, "GET, HEAD");
		return true;
	}
	if (strcmp(method, "GET") != 0)
		return false;
	if (strcmp(path, "/") != 0 && strcmp(path, "/index.html") != 0 &&
	    strncmp(path, "/a/", 3) != 0 && request->web->static_dir == NULL)
		return false;
	if (!guard_host(request))
		return true;
	return assets_serve(request, path);
}

bool route_read(struct web_request *request, const char *path)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const struct route *r = &routes[i];

		if (strcmp(r->method, "GET") == 0 && (r->flags & (STREAM | CONTROL)) == 0 &&
		    matches(r, path, request->id, sizeof(request->id))) {
			run(r, request);
			return true;
		}
	}
	return false;
}

void route(struct web_request *request, const char *method, const char *path)
{
	char allow[32] = "";

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const struct route *r = &routes[i];

		if (!is_here(r, request) || !matches(r, path, request->id, sizeof(request->id)))
			continue;
		if (strcmp(r->method, method) == 0 ||
		    (strcmp(method, "HEAD") == 0 && strcmp(r->method, "GET") == 0)) {
			run(r, request);
			return;
		}
		snprintf(allow + strlen(allow), sizeof(allow) - strlen(allow), "%s%s%s",
		    allow[0] != '\0' ? ", " : "", r->method,
		    strcmp(r->method, "GET") == 0 ? ", HEAD" : "");
	}
	if (allow[0] != '\0')
		not_allowed(request, allow);
	else if (!page(request, method, path))
		nowhere(request);
}
