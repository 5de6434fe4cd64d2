/*
 * For the tests of the gate: a real evhttp behind a gate, in a thread with its own loop, over TCP,
 * TLS or a Unix socket; and a blocking client (limit 20 s) that reads replies with the codec.
 *
 * Paths: /echo the body; /head the request as the handler saw it, a line each; /big/N N bytes;
 * /later/MS "later" after a while; /never nothing until server_release; /stream/N/MS N events of a
 * line each, MS apart; /flood a stream that never pauses.
 */
#ifndef UNIT_WEB_GATE_TEST_H
#define UNIT_WEB_GATE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "net/http_codec.h"
#include "unit/net/certs.h"
#include "web/gate.h"
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum transport { OVER_TCP, OVER_TLS, OVER_UNIX };

#define PENDING 4096
struct server {
	enum transport transport;
	struct gate_options options;
	struct loop *loop;
	struct gate *gate;
	struct evhttp *http;
	struct sockaddr_storage address;
	socklen_t address_length;
	SSL_CTX *tls, *client_tls;
	pthread_t thread;
	/* a function to be called in the loop's thread */
	int call_fd, done_fd;
	struct event call_event;
	void (*call)(struct server *server, void *arg);
	void *call_arg;
	/* in the loop's thread */
	struct evhttp_request *never[PENDING];
	unsigned never_count;
	unsigned streams; /* and /later: what holds a timer */
	unsigned streams_cut, handled;
	bool stopped;
};

/* ---- handlers ---- */

static inline void reply_text(struct evhttp_request *request, int status, const char *text)
{
	struct evbuffer *out = evbuffer_new();

	evbuffer_add(out, text, strlen(text));
	evhttp_send_reply(request, status, http_reason(status), out);
	evbuffer_free(out);
}

static inline void reply_head(struct evhttp_request *request)
{
	struct evbuffer *out = evbuffer_new();
	struct evkeyval *header;

	evbuffer_add_printf(out, "target %s\n", evhttp_request_get_uri(request));
	for (header = evhttp_request_get_input_headers(request)->tqh_first; header != NULL;
	     header = header->next.tqe_next)
		evbuffer_add_printf(out, "%s=%s\n", header->key, header->value);
	evhttp_send_reply(request, 200, "OK", out);
	evbuffer_free(out);
}

static inline void reply_big(struct evhttp_request *request, size_t length)
{
	struct evbuffer *out = evbuffer_new();
	char *data = malloc(length + 1);

	for (size_t i = 0; i < length; i++)
		data[i] = (char)('a' + i % 23);
	evbuffer_add(out, data, length);
	free(data);
	evhttp_send_reply(request, 200, "OK", out);
	evbuffer_free(out);
}

struct later {
	struct loop_timer timer;
	struct server *server;
	struct evhttp_request *request;
	unsigned left, ms;
	bool cut;
};

static inline void on_later(void *arg)
{
	struct later *later = arg;

	reply_text(later->request, 200, "later\n");
	later->server->streams--;
	free(later);
}

static inline void on_stream_closed(struct evhttp_connection *connection, void *arg)
{
	struct later *later = arg;

	(void)connection;
	later->cut = true;
	later->server->streams_cut++;
}

static inline void on_stream(void *arg)
{
	struct later *later = arg;
	struct evbuffer *out = evbuffer_new();

	if (later->left-- > 0 && !later->cut) {
		evbuffer_add_printf(out, "data: %u\n\n", later->left);
		if (later->ms == 0) {
			static const char filling[16 * 1024];

			evbuffer_add(out, filling, sizeof(filling));
		}
		evhttp_send_reply_chunk(later->request, out);
		loop_timer_set(&later->timer, later->ms);
	} else {
		if (!later->cut)
			evhttp_connection_set_closecb(
			    evhttp_request_get_connection(later->request), NULL, NULL);
		evhttp_send_reply_end(later->request);
		later->server->streams--;
		free(later);
	}
	evbuffer_free(out);
}

static inline struct later *handle_later(
    struct server *server, struct evhttp_request *request, loop_fn *fn, unsigned ms, unsigned count)
{
	struct later *later = mem_zero(sizeof(*later));

	later->server = server;
	later->request = request;
	later->ms = ms;
	later->left = count;
	loop_timer_init(&later->timer, server->loop, fn, later);
	loop_timer_set(&later->timer, ms);
	server->streams++;
	return later;
}

static inline void handle_stream(
    struct server *server, struct evhttp_request *request, unsigned count, unsigned ms)
{
	if (!gate_expect_stream(request, 256 * 1024)) {
		reply_text(request, 406, "no stream\n");
		return;
	}
	evhttp_send_reply_start(request, 200, "OK");
	evhttp_connection_set_closecb(evhttp_request_get_connection(request), on_stream_closed,
	    handle_later(server, request, on_stream, ms, count));
}

static inline void on_request(struct evhttp_request *request, void *arg)
{
	struct server *server = arg;
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
	unsigned a = 0, b = 0;

	server->handled++;
	if (strcmp(path, "/echo") == 0)
		evhttp_send_reply(request, 200, "OK", evhttp_request_get_input_buffer(request));
	else if (strcmp(path, "/head") == 0)
		reply_head(request);
	else if (sscanf(path, "/big/%u", &a) == 1)
		reply_big(request, a);
	else if (sscanf(path, "/later/%u", &a) == 1)
		handle_later(server, request, on_later, a, 0);
	else if (sscanf(path, "/stream/%u/%u", &a, &b) == 2)
		handle_stream(server, request, a, b);
	else if (strcmp(path, "/flood") == 0)
		handle_stream(server, request, 1000000, 0);
	else if (strcmp(path, "/never") == 0 && server->never_count < PENDING)
		server->never[server->never_count++] = request;
	else
		reply_text(request, 404, "not here\n");
}

/* ---- the server ---- */

static inline void on_call(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	uint64_t count;

	(void)what;
	if (read((int)fd, &count, sizeof(count)) != sizeof(count))
		abort();
	server->call(server, server->call_arg);
	count = 1;
	if (write(server->done_fd, &count, sizeof(count)) != sizeof(count))
		abort();
}

/* Calls fn in the loop's thread and waits for it. */
static inline void server_call(
    struct server *server, void (*fn)(struct server *server, void *arg), void *arg)
{
	uint64_t count = 1;

	server->call = fn;
	server->call_arg = arg;
	assert_int_equal(write(server->call_fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(read(server->done_fd, &count, sizeof(count)), sizeof(count));
}

static inline void do_release(struct server *server, void *arg)
{
	(void)arg;
	while (server->never_count > 0)
		reply_text(server->never[--server->never_count], 200, "released\n");
}
static inline void server_release(struct server *server)
{
	server_call(server, do_release, NULL);
}

static inline void do_count(struct server *server, void *arg)
{
	unsigned *counts = arg;

	counts[0] = gate_connections(server->gate);
	counts[1] = server->never_count;
	counts[2] = server->streams;
	counts[3] = server->streams_cut;
	counts[4] = server->handled;
	counts[5] = server->stopped;
}
enum { COUNT_OPEN, COUNT_NEVER, COUNT_STREAMS, COUNT_STREAMS_CUT, COUNT_HANDLED, COUNT_STOPPED };
static inline unsigned server_count(struct server *server, int which)
{
	unsigned counts[6];

	server_call(server, do_count, counts);
	return counts[which];
}

static inline void server_wait(struct server *server, int which, unsigned wanted)
{
	uint64_t until = clock_monotonic_ms() + 20000;

	while (server_count(server, which) != wanted) {
		if (clock_monotonic_ms() > until)
			fail_msg(
			    "count %d is %u, not %u", which, server_count(server, which), wanted);
		usleep(2000);
	}
}

static inline void *server_main(void *arg)
{
	loop_run(((struct server *)arg)->loop);
	return NULL;
}

static inline int server_listen(struct server *server)
{
	struct sockaddr_un *local = (struct sockaddr_un *)&server->address;
	struct sockaddr_in *internet = (struct sockaddr_in *)&server->address;
	int fd, on = 1;

	if (server->transport == OVER_UNIX) {
		local->sun_family = AF_UNIX;
		snprintf(local->sun_path, sizeof(local->sun_path), "/tmp/gate-test.%d.sock",
		    (int)getpid());
		unlink(local->sun_path);
		server->address_length = sizeof(*local);
	} else {
		internet->sin_family = AF_INET;
		internet->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		server->address_length = sizeof(*internet);
	}
	fd = socket(server->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server->transport != OVER_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&server->address, server->address_length), 0);
	assert_int_equal(listen(fd, 1024), 0);
	getsockname(fd, (struct sockaddr *)&server->address, &server->address_length);
	return fd;
}

static inline struct server *server_start(
    enum transport transport, const struct gate_options *options)
{
	struct server *server = mem_zero(sizeof(*server));
	struct cert cert;

	log_set_level(LOG_LEVEL_ERROR);
	server->transport = transport;
	server->loop = loop_new(NULL);
	server->http = evhttp_new(loop_base(server->loop));
	evhttp_set_gencb(server->http, on_request, server);
	if (transport == OVER_TLS) {
		cert = cert_make("localhost", "DNS:localhost", NULL, -100, 1000);
		server->tls = cert_server(&cert);
		server->client_tls = SSL_CTX_new(TLS_client_method());
		cert_free(&cert);
	}
	server->gate = gate_new(server->loop, options);
	gate_attach(server->gate, server->http, server->tls);
	evhttp_accept_socket_with_handle(server->http, server_listen(server));
	server->call_fd = eventfd(0, EFD_CLOEXEC);
	server->done_fd = eventfd(0, EFD_CLOEXEC);
	event_assign(&server->call_event, loop_base(server->loop), server->call_fd,
	    EV_READ | EV_PERSIST, on_call, server);
	event_add(&server->call_event, NULL);
	assert_int_equal(pthread_create(&server->thread, NULL, server_main, server), 0);
	return server;
}

static inline void on_stopped(void *arg)
{
	((struct server *)arg)->stopped = true;
}
static inline void do_stop(struct server *server, void *arg)
{
	(void)arg;
	gate_stop(server->gate, on_stopped, server);
}
static inline void do_end(struct server *server, void *arg)
{
	(void)arg;
	loop_stop(server->loop);
}

/* Once its thread has ended. */
static inline void server_dispose(struct server *server)
{
	event_del(&server->call_event);
	evhttp_free(server->http);
	gate_free(server->gate);
	loop_free(server->loop);
	if (server->transport == OVER_UNIX)
		unlink(((struct sockaddr_un *)&server->address)->sun_path);
	SSL_CTX_free(server->tls);
	SSL_CTX_free(server->client_tls);
	close(server->call_fd);
	close(server->done_fd);
	free(server);
}

/* At once, whatever is open; answers what is pending before, as a server must. */
static inline void server_free(struct server *server)
{
	server_release(server);
	server_call(server, do_stop, NULL); /* ends streams, whose timers hold their requests */
	server_wait(server, COUNT_STREAMS, 0);
	server_call(server, do_end, NULL);
	pthread_join(server->thread, NULL);
	server_dispose(server);
}

/* ---- the client ---- */

struct client {
	int fd;
	SSL *ssl;
	struct http_parser parser;
	struct buf body; /* of the last reply */
	int status;
	char input[64 * 1024]; /* read, not parsed */
	size_t input_at, input_length;
};

static inline struct client *client_open(struct server *server)
{
	struct client *client = mem_zero(sizeof(*client));
	struct timeval limit = {.tv_sec = 20};
	struct http_limits limits = {64 * 1024, 8192, 100, 64 << 20};

	client->fd = socket(server->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	assert_int_equal(
	    connect(client->fd, (struct sockaddr *)&server->address, server->address_length), 0);
	if (server->tls != NULL) {
		client->ssl = SSL_new(server->client_tls);
		SSL_set_fd(client->ssl, client->fd);
		assert_int_equal(SSL_connect(client->ssl), 1);
	}
	http_parser_init(&client->parser, HTTP_RESPONSE, &limits);
	buf_init(&client->body, 64 << 20);
	return client;
}

static inline void client_close(struct client *client)
{
	SSL_free(client->ssl);
	close(client->fd);
	http_parser_free(&client->parser);
	buf_free(&client->body);
	free(client);
}

/* Bytes written; fewer than asked for when the server has closed. */
static inline size_t client_send_bytes(struct client *client, const void *data, size_t length)
{
	size_t at = 0;

	while (at < length) {
		ssize_t n =
		    client->ssl != NULL
		        ? SSL_write(client->ssl, (const char *)data + at, (int)(length - at))
		        : send(client->fd, (const char *)data + at, length - at, MSG_NOSIGNAL);
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	return at;
}

static inline void client_send(struct client *client, const char *text)
{
	client_send_bytes(client, text, strlen(text));
}

/* Bytes read, 0 at the end, -1 after a reset or 20 s. */
static inline ssize_t client_read(struct client *client, void *data, size_t size)
{
	if (client->ssl == NULL)
		return recv(client->fd, data, size, 0);
	int n = SSL_read(client->ssl, data, (int)size);
	return n > 0 ? n : SSL_get_error(client->ssl, n) == SSL_ERROR_WANT_READ ? -1 : 0;
}

/* Reads one reply (a 1xx, too). False when the connection ended before. */
static inline bool client_reply_to(struct client *client, bool head)
{
	enum http_event event;

	http_parser_next(&client->parser);
	client->parser.no_body = head;
	buf_reset(&client->body);
	client->status = 0;
	for (;;) {
		size_t used = 0;

		event = http_parser_feed(&client->parser, client->input + client->input_at,
		    client->input_length - client->input_at, &used);
		client->input_at += used;
		if (event == HTTP_HEAD)
			client->status = client->parser.head.status;
		else if (event == HTTP_BODY)
			buf_append(&client->body, client->parser.body, client->parser.body_length);
		else if (event == HTTP_DONE)
			return true;
		else if (event == HTTP_ERROR)
			fail_msg("reply: %s", client->parser.error);
		if (event != HTTP_MORE)
			continue;
		ssize_t n = client_read(client, client->input, sizeof(client->input));
		if (n <= 0)
			return n == 0 && client->parser.head.to_close &&
			       http_parser_end(&client->parser) == HTTP_DONE;
		client->input_at = 0;
		client->input_length = (size_t)n;
	}
}

static inline bool client_reply(struct client *client)
{
	return client_reply_to(client, false);
}

static inline const char *client_text(const struct client *client)
{
	return client->body.data != NULL ? client->body.data : "";
}

static inline const char *client_header(const struct client *client, const char *name)
{
	const char *value = http_head_get(&client->parser.head, name);

	return value != NULL ? value : "";
}

/* Reads up to the end; false when the server keeps the connection for `ms`. */
static inline bool client_at_end(struct client *client, unsigned ms)
{
	struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	char rest[4096];
	ssize_t n;

	setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	while ((n = client_read(client, rest, sizeof(rest))) > 0)
		;
	return n == 0 || errno == ECONNRESET;
}

static inline void client_get(struct client *client, const char *path)
{
	char request[256];

	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
	client_send(client, request);
}

/* cmocka: the same test over each transport, with the server as state. */
static const struct gate_options usual = {
    .body_max = 4 << 20, .idle_ms = 20000, .linger_ms = 500, .connections_max = 3000};
static inline int set_up(void **state, enum transport transport)
{
	*state = server_start(transport, &usual);
	return 0;
}
static inline int set_up_tcp(void **state)
{
	return set_up(state, OVER_TCP);
}
static inline int set_up_tls(void **state)
{
	return set_up(state, OVER_TLS);
}
static inline int set_up_unix(void **state)
{
	return set_up(state, OVER_UNIX);
}
static inline int tear_down(void **state)
{
	server_free(*state);
	return 0;
}
#define OVER_EACH(test)                                                         \
	{#test " over TCP", test, set_up_tcp, tear_down, NULL},                 \
	    {#test " over TLS", test, set_up_tls, tear_down, NULL},             \
	{                                                                       \
#test " over a Unix socket", test, set_up_unix, tear_down, NULL \
	}

#endif
