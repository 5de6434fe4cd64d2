/*
 * eyes_peer: an Eyes server in the test's own loop, on evhttp. A test says what it answers; what it
 * was asked is kept.
 */
#ifndef TESTS_UNIT_EYES_PEER_H
#define TESTS_UNIT_EYES_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "eyes/eyes.h"
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define KEY "canary-key-0123456789"
enum { PEER_ASKED = 256, PEER_DEADLINE_MS = 10000 };

struct peer_asked {
	char method[8];
	char uri[4096];
	char headers[2048]; /* "name: value\n" as received */
	char *body;
};
struct peer {
	struct loop *loop;
	struct resolver *resolver;
	struct http_client *http;
	struct eyes *eyes;
	struct evhttp *server;
	uint16_t port;
	struct peer_asked asked[PEER_ASKED];
	unsigned count;
	/* what to answer */
	void (*answer)(
	    struct peer *peer, const struct peer_asked *asked, struct evhttp_request *request);
	void *state;
	struct loop_timer deadline;
};

static inline void peer_reply(struct evhttp_request *request, int status, const char *body)
{
	struct evbuffer *out = evbuffer_new();

	evbuffer_add(out, body, strlen(body));
	evhttp_add_header(
	    evhttp_request_get_output_headers(request), "Content-Type", "application/json");
	evhttp_send_reply(request, status, "Words", out);
	evbuffer_free(out);
}

static inline void peer_add(struct evhttp_request *request, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(request), name, value);
}

static inline void peer_take(struct evhttp_request *request, void *arg)
{
	struct peer *peer = arg;
	struct peer_asked *asked = &peer->asked[peer->count % PEER_ASKED];
	struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
	struct evbuffer *body = evhttp_request_get_input_buffer(request);
	size_t used = 0, length = evbuffer_get_length(body);

	free(asked->body);
	*asked = (struct peer_asked){0};
	peer->count++;
	snprintf(asked->method, sizeof(asked->method), "%s",
	    evhttp_request_get_command(request) == EVHTTP_REQ_POST ? "POST" : "GET");
	snprintf(asked->uri, sizeof(asked->uri), "%s", evhttp_request_get_uri(request));
	for (struct evkeyval *header = headers->tqh_first; header != NULL;
	     header = header->next.tqe_next)
		if (used < sizeof(asked->headers))
			used += (size_t)snprintf(asked->headers + used,
			    sizeof(asked->headers) - used, "%s: %s\n", header->key, header->value);
	asked->body = calloc(1, length + 1);
	evbuffer_copyout(body, asked->body, length);
	peer->answer(peer, asked, request);
}

/* The value of a header of the n-th request into out; "" when there is none. */
static inline void peer_header(
    const struct peer_asked *asked, const char *name, char *out, size_t size)
{
	size_t length = strlen(name);

	out[0] = '\0';
	for (const char *line = asked->headers; *line != '\0'; line = strchr(line, '\n') + 1) {
		if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
			const char *value = line + length + 2;
			snprintf(out, size, "%.*s", (int)strcspn(value, "\n"), value);
			return;
		}
	}
}

static inline void peer_late(void *arg)
{
	(void)arg;
	/* Not fail_msg: it would jump out of the loop. */
	fprintf(stderr, "nothing happened for %d ms\n", PEER_DEADLINE_MS);
	abort();
}

/* Until a completion calls loop_stop. */
static inline void peer_run(struct peer *peer)
{
	loop_timer_set(&peer->deadline, PEER_DEADLINE_MS);
	loop_run(peer->loop);
	loop_timer_cancel(&peer->deadline);
}

static inline void peer_start_at(struct peer *peer, const char *context)
{
	struct err err = ERR_INIT;
	struct http_proxy_config proxy = {0};
	struct eyes_config config = {.organization = "org 1", .first_poll_ms = 1};
	struct secret key = {.data = (char *)KEY, .length = strlen(KEY)};
	char text[200];

	*peer = (struct peer){.loop = loop_new(&err)};
	assert_non_null(peer->loop);
	peer->resolver = resolver_new(peer->loop, &err);
	peer->http = http_client_new(peer->loop, peer->resolver, &proxy, &err);
	assert_non_null(peer->http);
	peer->server = evhttp_new(loop_base(peer->loop));
	evhttp_set_gencb(peer->server, peer_take, peer);
	struct evhttp_bound_socket *bound =
	    evhttp_bind_socket_with_handle(peer->server, "127.0.0.1", 0);
	assert_non_null(bound);
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length);
	const unsigned char *port = (const unsigned char *)&address + 2;
	peer->port = (uint16_t)(port[0] << 8 | port[1]);
	snprintf(text, sizeof(text), "http://127.0.0.1:%u%s", peer->port, context);
	assert_true(url_parse(&config.base, text, &err));
	peer->eyes = eyes_new(peer->loop, peer->http, NULL, &config);
	eyes_set_key(peer->eyes, &key);
	loop_timer_init(&peer->deadline, peer->loop, peer_late, peer);
}

static inline void peer_start(struct peer *peer)
{
	peer_start_at(peer, "");
}

static inline void peer_stop(struct peer *peer)
{
	eyes_free(peer->eyes);
	http_client_free(peer->http);
	resolver_free(peer->resolver);
	evhttp_free(peer->server);
	loop_free(peer->loop);
	for (unsigned i = 0; i < PEER_ASKED; i++)
		free(peer->asked[i].body);
}

#endif
