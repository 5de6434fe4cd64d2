/* The web server's life, and what comes in through evhttp. */
#include "base/log.h"
#include "base/mem.h"
#include "web/assets.h"
#include "web/events.h"
#include "web/web_internal.h"
#include <event2/buffer.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTHING_MAX (1024 * 1024) /* bodies for what the events' listeners do not have */

static const char *method_name(enum evhttp_cmd_type method)
{
	switch (method) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_HEAD:
		return "HEAD";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_PUT:
		return "PUT";
	case EVHTTP_REQ_DELETE:
		return "DELETE";
	default:
		return "OTHER";
	}
}

/* Parses a JSON object from the body; false after having answered. */
bool web_read_body(struct web_request *request)
{
	struct evbuffer *in =
	    request->http != NULL ? evhttp_request_get_input_buffer(request->http) : NULL;
	size_t length = in != NULL ? evbuffer_get_length(in) : 0;
	struct err err = ERR_INIT;

	if (length == 0)
		return true;
	request->body =
	    json_parse((const char *)evbuffer_pullup(in, -1), length, WEB_BODY_MAX, &err);
	crypto_cleanse(evbuffer_pullup(in, -1), length); /* it may have held a token */
	evbuffer_drain(in, length);
	if (request->body != NULL && json_is_object(request->body))
		return true;
	if (request->body != NULL)
		err_set(&err, "json", "the body must be a JSON object");
	web_reply_err(request, 400, &err, NULL);
	return false;
}

/* Whose connection it is; false after having answered. */
static bool identify(struct web_request *request)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(request->http);
	char *address = NULL;
	ev_uint16_t port;

	if (request->control)
		return guard_peer(request);
	evhttp_connection_get_peer(connection, &address, &port);
	snprintf(request->address, sizeof(request->address), "%s", address != NULL ? address : "?");
	snprintf(request->who, sizeof(request->who), "browser at %s", request->address);
	return true;
}

static void handle(struct web *web, struct evhttp_request *http, bool control)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(http);
	const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
	const char *method = method_name(evhttp_request_get_command(http));
	struct web_request *request = mem_zero(sizeof(*request));

	request->web = web;
	request->service = web->service;
	request->http = http;
	request->control = control;
	request->query =
	    uri != NULL && evhttp_uri_get_query(uri) != NULL ? evhttp_uri_get_query(uri) : "";
	TAILQ_INSERT_TAIL(&web->pending, request, entry);
	if (path == NULL || path[0] == '\0')
		path = "/";
	if (identify(request))
		route(request, method, path);
}

/* Everything that comes here is taken before. */
static void handle_nothing(struct evhttp_request *http, void *arg)
{
	(void)arg;
	evhttp_send_error(http, HTTP_NOTFOUND, NULL);
}

static void handle_control(struct evhttp_request *http, void *arg)
{
	handle(arg, http, true);
}

static void handle_tcp(struct evhttp_request *http, void *arg)
{
	handle(arg, http, false);
}

/* What is answered without evhttp. */
static bool take(
    struct gate_reply *reply, const struct http_head *head, struct evbuffer *body, void *arg)
{
	return assets_take(reply, head, body, arg) || web_events_take(reply, head, body, arg) ||
	       web_direct_take(reply, head, body, arg);
}

/* ---- life ---- */

static struct evhttp *new_evhttp(
    struct web *web, struct gate *gate, void (*handler)(struct evhttp_request *, void *))
{
	struct evhttp *http = evhttp_new(loop_base(web->loop));

	if (http == NULL)
		fatal("out of memory");
	evhttp_set_gencb(http, handler, web);
	gate_attach(gate, http, NULL);
	return http;
}

struct web *web_new(const struct web_options *options, struct err *err)
{
	char *hosts = guard_host_list(options, err);
	struct web *web;

	if (hosts == NULL)
		return NULL;
	web = mem_zero(sizeof(*web));
	web->loop = options->loop;
	web->service = options->service;
	web->auth = options->auth;
	web->jobs = options->jobs;
	web->listings = options->listings;
	web->settings = options->settings;
	web->settings_arg = options->settings_arg;
	web->restart = options->restart;
	web->restart_arg = options->restart_arg;
	web->control_path = mem_string(options->control_path);
	web->eyes_url = mem_string(options->eyes_url != NULL ? options->eyes_url : "");
	web->organization = mem_string(options->organization != NULL ? options->organization : "");
	web->static_dir = mem_string(options->static_dir);
	web->hosts = hosts;
	web->page_headers = web_page_lines();
	web->assets = options->static_dir == NULL ? assets_new() : NULL;
	TAILQ_INIT(&web->pending);
	web->streams = streams_new(options->loop, options->bus, auth_sessions(options->auth));
	web->inbox = options->inbox;
	web->event_max = options->event_max > 0 ? options->event_max : WEB_BODY_MAX;
	buf_init(&web->event_headers, 64 * 1024);
	web->events_pot = web_events_pot(web->event_max, 2 * options->connections);
	web->gate = gate_new(options->loop, &(struct gate_options){.body_max = WEB_BODY_MAX,
	                                        .connections_max = options->connections,
	                                        .limit = web_events_limit,
	                                        .over = web_events_over,
	                                        .take = take,
	                                        .refused = web_events_refused,
	                                        .arg = web});
	web->events_gate =
	    gate_new(options->loop, &(struct gate_options){.body_max = WEB_EVENTS_SMALL,
	                                .bodies_max = NOTHING_MAX,
	                                .connections_max = options->connections,
	                                .limit = web_events_limit,
	                                .over = web_events_over,
	                                .take = web_events_take_all,
	                                .refused = web_events_refused,
	                                .arg = web});
	web->control_gate =
	    gate_new(options->loop, &(struct gate_options){.body_max = WEB_BODY_MAX});
	web->control = new_evhttp(web, web->control_gate, handle_control);
	web->tcp = new_evhttp(web, web->gate, handle_tcp);
	web->events = new_evhttp(web, web->events_gate, handle_nothing);
	if (listen_all(web, options, err))
		return web;
	web_free(web);
	return NULL;
}

void web_free(struct web *web)
{
	struct err err = ERR_INIT;

	if (web == NULL)
		return;
	streams_free(web->streams);
	err_set(&err, "stopping", "eyes-scm is stopping");
	err_hint(&err, "Try again once it runs again.");
	while (!TAILQ_EMPTY(&web->pending))
		web_reply_err(TAILQ_FIRST(&web->pending), 503, &err, NULL);
	listen_end(web);
	gate_stop(web->gate, NULL, NULL);
	gate_stop(web->control_gate, NULL, NULL);
	gate_stop(web->events_gate, NULL, NULL);
	evhttp_free(web->control);
	evhttp_free(web->tcp);
	evhttp_free(web->events);
	gate_free(web->events_gate);
	gate_free(web->control_gate);
	gate_free(web->gate);
	gate_pot_free(web->events_pot);
	free(web->control_path);
	free(web->eyes_url);
	free(web->organization);
	free(web->static_dir);
	free(web->hosts);
	free(web->page_headers);
	assets_free(web->assets);
	buf_free(&web->event_headers);
	free(web);
}
