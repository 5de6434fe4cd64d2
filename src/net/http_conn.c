/*
 * The states of a connection, with the function behind each arrow:
 *
 *             http_conn_start            Unix socket: conn_dial
 *   NEW ------------------------> RESOLVING ----------------> DIALING ------------------.
 *             conn_resolve           | conn_resolved   conn_dial ^ | conn_dialed         |
 *                                    `---------------------------' |                     | plain
 * http conn_tunnelled         https through a proxy |                     | TRUST_WAIT
 * <---------------- TUNNELLING <----------------------+ https               | | conn_secure |
 * conn_secure         |
 *        `--------------------> HANDSHAKE <------------------------'                     |
 *                                    | conn_secured                                      |
 *                                    v                                                   |
 *   IDLE --------------------> REQUEST <-------------------------------------------------'
 *    ^    http_conn_start          | conn_read: the first byte
 *    |                             v
 *    `-------- DELIVERY <----- RESPONSE
 *        conn_deliver    conn_deliver: the last byte
 *
 *   any of them -- conn_close --> CLOSED -- end of the turn --> freed
 *
 * Each connection has one timer. It is moved only when a deadline comes to lie before it; when it
 * fires early it is set for the rest. A busy connection touches it twice a minute, not at every
 * request.
 */
#include "net/http_conn.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/dial.h"
#include "net/http_fault.h"
#include "net/http_output.h"
#include "net/http_trace.h"
#include "net/tunnel.h"
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONN_HEAD_LIMIT (64 << 10)
#define CONN_IDLE_MS 55000     /* under the 60 s that many servers and balancers have */
#define CONN_LOOK_AFTER_MS 200 /* idle time after which the socket is asked before use */
#define CONN_INTERIM_LIMIT 16  /* 1xx heads before one answer */

enum conn_state {
	CONN_NEW,
	CONN_RESOLVING,
	CONN_DIALING,
	CONN_TUNNELLING,
	CONN_TRUST_WAIT,
	CONN_HANDSHAKE,
	CONN_REQUEST,
	CONN_RESPONSE,
	CONN_DELIVERY,
	CONN_IDLE,
	CONN_CLOSED,
};

static const struct state_row {
	const char *name;  /* in the log */
	const char *words; /* what it does there, for the message of the total deadline */
	const char *hop;   /* which hop fails there */
} states[] = {
    [CONN_NEW] = {"new", "starting", "DNS"},
    [CONN_RESOLVING] = {"resolving", "resolving the name", "DNS"},
    [CONN_DIALING] = {"dialing", "connecting", "TCP"},
    [CONN_TUNNELLING] = {"tunnelling", "waiting for the proxy", "Proxy"},
    [CONN_TRUST_WAIT] = {"trust-wait", "waiting for the CA certificates to load", "TLS"},
    [CONN_HANDSHAKE] = {"handshake", "in the TLS handshake", "TLS"},
    [CONN_REQUEST] = {"request", "waiting for the answer", "HTTP"},
    [CONN_RESPONSE] = {"response", "receiving the answer", "HTTP"},
    [CONN_DELIVERY] = {"delivery", "", "HTTP"},
    [CONN_IDLE] = {"idle", "", "HTTP"},
    [CONN_CLOSED] = {"closed", "", "HTTP"},
};

struct http_conn {
	struct loop *loop;
	struct resolver *resolver;
	const struct http_route *route;
	const struct http_conn_owner *owner;
	void *arg;
	struct http_exchange *exchange; /* borrowed; NULL while idle */
	enum conn_state state;
	bool used;       /* has delivered an answer */
	bool peer_ended; /* nothing more can be said to the other side */
	unsigned interim;
	uint64_t since;       /* of the present state, for the trace */
	uint64_t deadline_at; /* of the present state */
	uint64_t timer_at;
	struct loop_timer timer;
	/* one of these is at work, according to state */
	struct resolver_lookup *lookup;
	struct dial *dial;
	struct tunnel *tunnel;
	struct tls_waiter waiter;
	int fd; /* ours from DIALING until a bufferevent takes it, else -1 */
	struct bufferevent *bev;
	SSL *ssl; /* our own reference; NULL without TLS */
	struct http_parser parser;
	char peer[128]; /* "192.0.2.7:443" or the socket's path */
	char scope[300];
};

/* Opening */
static void conn_resolve(struct http_conn *conn);
static void conn_resolved(const struct resolver_answer *answer, const struct err *err, void *arg);
static void conn_dial(struct http_conn *conn, const struct resolver_answer *answer);
static void conn_dialed(int fd, const char *address, const struct err *err, void *arg);
static void conn_tunnelled(int status, const struct err *err, void *arg);
static void conn_secure(void *arg);
static void conn_secured(struct http_conn *conn);
static void conn_plain(struct http_conn *conn);
/* An exchange */
static void conn_send(struct http_conn *conn);
static void conn_written(struct bufferevent *bev, void *arg);
static void conn_readable(struct bufferevent *bev, void *arg);
static void conn_read(struct http_conn *conn);
static enum http_event conn_feed(
    struct http_conn *conn, const char *data, size_t length, size_t *used);
static bool conn_judge_head(struct http_conn *conn);
static void conn_deliver(struct http_conn *conn);
/* Ending */
static void conn_event(struct bufferevent *bev, short what, void *arg);
static void conn_ended(struct http_conn *conn, short what);
static void conn_on_timer(void *arg);
static void conn_late(struct http_conn *conn, bool total);
static void conn_fail(struct http_conn *conn, const char *hop, struct err *err);
static void conn_close(struct http_conn *conn, const char *reason, const struct err *err);
static void conn_hang_up(struct http_conn *conn);
static void conn_free(void *arg);
/* All the way */
static void conn_set_state(struct http_conn *conn, enum conn_state state);
static void conn_set_deadline(struct http_conn *conn, uint64_t now, uint32_t after_ms);
static void conn_enter(struct http_conn *conn, enum conn_state state, uint32_t after_ms);

struct http_conn *http_conn_new(struct loop *loop, struct resolver *resolver,
    const struct http_route *route, const struct http_conn_owner *owner, void *arg)
{
	const struct http_limits limits = {
	    .head = CONN_HEAD_LIMIT, .target = 1024, .fields = HTTP_FIELDS_MAX};
	static unsigned last_number;
	struct http_conn *conn = mem_zero(sizeof *conn);

	conn->loop = loop;
	conn->resolver = resolver;
	conn->route = route;
	conn->owner = owner;
	conn->arg = arg;
	conn->fd = -1;
	conn->since = clock_monotonic_ms();
	snprintf(
	    conn->scope, sizeof conn->scope, "http %u %.250s", ++last_number, route->authority);
	http_parser_init(&conn->parser, HTTP_RESPONSE, &limits);
	loop_timer_init(&conn->timer, loop, conn_on_timer, conn);
	return conn;
}

void http_conn_start(struct http_conn *conn, struct http_exchange *exchange)
{
	struct http_trace *trace = &exchange->trace;

	conn->exchange = exchange;
	exchange->reused = conn->used;
	exchange->begun = false;
	trace->reused = conn->used;
	trace->count = 0;
	buf_reset(&exchange->body);
	if (conn->state == CONN_IDLE)
		conn_send(conn);
	else if (conn->route->unix_path != NULL)
		conn_dial(conn, NULL);
	else
		conn_resolve(conn);
}

bool http_conn_usable(struct http_conn *conn)
{
	char byte;

	if (conn->state != CONN_IDLE)
		return false;
	if (clock_monotonic_ms() - conn->since < CONN_LOOK_AFTER_MS)
		return true;
	/* TLS 1.3 may have left a ticket there; only the end is a certain sign */
	ssize_t n = recv(bufferevent_getfd(conn->bev), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return n > 0 ? conn->ssl != NULL : n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

struct http_exchange *http_conn_close(struct http_conn *conn, const char *reason)
{
	struct http_exchange *exchange = conn->exchange;

	conn->exchange = NULL;
	conn_close(conn, reason, NULL);
	return exchange;
}

/* ---- opening ---- */

static void conn_resolve(struct http_conn *conn)
{
	const struct http_route *route = conn->route;

	conn_enter(conn, CONN_RESOLVING, conn->exchange->deadlines.dns);
	if (route->proxy != NULL)
		conn->lookup = resolver_lookup(
		    conn->resolver, route->proxy->host, route->proxy->port, conn_resolved, conn);
	else
		conn->lookup =
		    resolver_lookup(conn->resolver, route->host, route->port, conn_resolved, conn);
}

static void conn_trace(struct http_conn *conn, const char *hop, const char *detail)
{
	http_trace_add(
	    &conn->exchange->trace, hop, HTTP_HOP_OK, clock_monotonic_ms() - conn->since, detail);
}

static void conn_resolved(const struct resolver_answer *answer, const struct err *err, void *arg)
{
	struct http_conn *conn = arg;
	struct err failure;
	char detail[128], address[64];

	conn->lookup = NULL;
	if (answer == NULL) {
		failure = *err;
		conn_fail(conn, "DNS", &failure);
		return;
	}
	resolver_text(&answer->list[0], address, sizeof address);
	snprintf(detail, sizeof detail, "%s%s%s", address, answer->count > 1 ? " and others" : "",
	    answer->cached ? ", kept" : "");
	conn_trace(conn, "DNS", detail);
	conn_dial(conn, answer);
}

/* answer is NULL for a Unix socket. Dial and tunnel have their own deadlines; ours is the total
 * one. */
static void conn_dial(struct http_conn *conn, const struct resolver_answer *answer)
{
	uint32_t limit = conn->exchange->deadlines.connect;

	conn_enter(conn, CONN_DIALING, UINT32_MAX);
	if (answer == NULL)
		conn->dial =
		    dial_unix(conn->loop, conn->route->unix_path, limit, conn_dialed, conn);
	else
		conn->dial = dial_start(conn->loop, answer, limit, conn_dialed, conn);
}

static void conn_dialed(int fd, const char *address, const struct err *err, void *arg)
{
	struct http_conn *conn = arg;
	const struct http_route *route = conn->route;
	struct err failure;

	conn->dial = NULL;
	if (fd < 0) {
		failure = *err;
		if (route->proxy != NULL) {
			err_prefix(&failure, "the proxy %s", route->proxy->text);
			err_hop(&failure, "Proxy");
		} else if (route->unix_path != NULL) {
			err_hop(&failure, "Unix socket");
		} else {
			err_hop(&failure, "TCP %u", route->port);
		}
		conn_fail(conn, "TCP", &failure);
		return;
	}
	conn->fd = fd;
	snprintf(conn->peer, sizeof conn->peer, "%s", address);
	conn_trace(conn, "TCP", address);
	if (route->tls && route->proxy != NULL) {
		conn_enter(conn, CONN_TUNNELLING, UINT32_MAX);
		conn->tunnel = tunnel_start(conn->loop, fd, route->proxy, route->authority,
		    conn->exchange->deadlines.connect, conn_tunnelled, conn);
	} else if (route->tls) {
		conn_secure(conn);
	} else {
		conn_plain(conn);
	}
}

static void conn_tunnelled(int status, const struct err *err, void *arg)
{
	struct http_conn *conn = arg;
	struct err failure;
	char detail[160];

	conn->tunnel = NULL;
	if (err != NULL) {
		failure = *err;
		conn_fail(conn, "Proxy", &failure);
		return;
	}
	snprintf(detail, sizeof detail, "%d from %.140s", status, conn->route->proxy->text);
	conn_trace(conn, "Proxy", detail);
	conn_secure(conn);
}

/* The bufferevent has taken the descriptor. */
static void conn_attach(struct http_conn *conn)
{
	conn->fd = -1;
	bufferevent_setcb(conn->bev, conn_readable, conn_written, conn_event, conn);
	bufferevent_enable(conn->bev, EV_READ | EV_WRITE);
}

/* Begins the handshake, as soon as the CA certificates are there. */
static void conn_secure(void *arg)
{
	struct http_conn *conn = arg;
	const struct http_route *route = conn->route;
	struct err err = ERR_INIT;
	const int options = BEV_OPT_CLOSE_ON_FREE;

	if (conn->state != CONN_TRUST_WAIT && tls_system_wait(&conn->waiter, conn_secure, conn)) {
		conn_enter(conn, CONN_TRUST_WAIT, conn->exchange->deadlines.tls);
		return;
	}
	conn_enter(conn, CONN_HANDSHAKE, conn->exchange->deadlines.tls);
	conn->ssl = tls_client_new(route->trust, route->host, route->port, &err);
	if (conn->ssl == NULL) {
		conn_fail(conn, "TLS", &err);
		return;
	}
	SSL_up_ref(conn->ssl); /* one for the bufferevent, one for us: words after its end */
	conn->bev = bufferevent_openssl_socket_new(
	    loop_base(conn->loop), conn->fd, conn->ssl, BUFFEREVENT_SSL_CONNECTING, options);
	if (conn->bev == NULL) {
		err_set(
		    &err, "tls_failed", "no TLS connection to %s: out of resources", conn->peer);
		err_hop(&err, "TLS");
		conn_fail(conn, "TLS", &err);
		return;
	}
	conn_attach(conn);
}

static void conn_secured(struct http_conn *conn)
{
	char detail[160];

	tls_describe(conn->ssl, detail, sizeof detail);
	conn_trace(conn, "TLS", detail);
	conn_send(conn);
}

static void conn_plain(struct http_conn *conn)
{
	conn->bev = bufferevent_socket_new(loop_base(conn->loop), conn->fd, BEV_OPT_CLOSE_ON_FREE);
	if (conn->bev == NULL)
		fatal("out of memory");
	conn_attach(conn);
	conn_send(conn);
}

/* ---- an exchange ---- */

static void conn_send(struct http_conn *conn)
{
	struct http_exchange *exchange = conn->exchange;

	if (conn->used)
		http_parser_next(&conn->parser);
	conn->parser.limits.body = exchange->body_limit;
	conn->parser.no_body = exchange->no_body;
	conn->interim = 0;
	exchange->sent = true;
	http_output(conn->bev, conn->ssl, exchange->bytes);
	conn_enter(conn, CONN_REQUEST, exchange->deadlines.first_byte);
}

/* The request is out: the time for the first byte begins now. */
static void conn_written(struct bufferevent *bev, void *arg)
{
	struct http_conn *conn = arg;

	(void)bev;
	if (conn->state == CONN_REQUEST)
		conn_set_deadline(conn, clock_monotonic_ms(), conn->exchange->deadlines.first_byte);
}

static void conn_readable(struct bufferevent *bev, void *arg)
{
	struct http_conn *conn = arg;

	(void)bev;
	if (conn->state == CONN_IDLE)
		conn_close(conn, "bytes came while idle", NULL);
	else
		conn_read(conn);
}

static void conn_malformed(struct http_conn *conn, const char *why)
{
	struct err err = ERR_INIT;

	http_fault_malformed(&err, conn->peer, &conn->parser, why);
	conn_fail(conn, "HTTP", &err);
}

static void conn_read(struct http_conn *conn)
{
	struct evbuffer *input = bufferevent_get_input(conn->bev);
	struct evbuffer_iovec slice;
	enum http_event event;
	size_t used;

	while (conn->state == CONN_REQUEST || conn->state == CONN_RESPONSE) {
		if (evbuffer_peek(input, -1, NULL, &slice, 1) < 1 || slice.iov_len == 0)
			return;
		if (conn->state == CONN_REQUEST) {
			conn->exchange->begun = true;
			conn_set_state(conn, CONN_RESPONSE);
			conn->deadline_at = conn->exchange->total_at;
		}
		event = conn_feed(conn, slice.iov_base, slice.iov_len, &used);
		evbuffer_drain(input, used);
		if (event == HTTP_DONE)
			conn_deliver(conn);
		else if (event == HTTP_ERROR && conn->state == CONN_RESPONSE)
			conn_malformed(conn, conn->parser.error);
	}
}

/* Feeds one slice. HTTP_ERROR also when the connection was closed on the way. */
static enum http_event conn_feed(
    struct http_conn *conn, const char *data, size_t length, size_t *used)
{
	struct http_parser *parser = &conn->parser;
	enum http_event event;
	size_t consumed;

	*used = 0;
	do {
		event = http_parser_feed(parser, data + *used, length - *used, &consumed);
		*used += consumed;
		if (event == HTTP_BODY)
			buf_append(&conn->exchange->body, parser->body, parser->body_length);
		if (event == HTTP_HEAD && !conn_judge_head(conn))
			return HTTP_ERROR;
		if (event == HTTP_HEAD && parser->head.status < 200)
			http_parser_next(parser);
	} while (event == HTTP_HEAD || event == HTTP_BODY);
	return event;
}

/* False when the head cannot be gone on with; the connection is closed then. */
static bool conn_judge_head(struct http_conn *conn)
{
	int status = conn->parser.head.status;
	struct err err = ERR_INIT;

	if (status == 101 || (status < 200 && ++conn->interim > CONN_INTERIM_LIMIT)) {
		conn_malformed(
		    conn, status == 101 ? "it switches protocols" : "interim answers without end");
		return false;
	}
	if (status == 407 && conn->route->proxy != NULL && !conn->route->tls) {
		http_fault_proxy_auth(&err, conn->route->proxy->text);
		conn_fail(conn, "Proxy", &err);
		return false;
	}
	return true;
}

/* Whether the connection is in a state to carry another exchange: nothing is left over on either
 * side. */
static bool conn_clean(struct http_conn *conn)
{
	const struct http_head *head = &conn->parser.head;
	char byte;

	if (!head->keep_alive || head->to_close || head->upgrade || conn->peer_ended)
		return false;
	if (evbuffer_get_length(bufferevent_get_input(conn->bev)) > 0 ||
	    evbuffer_get_length(bufferevent_get_output(conn->bev)) > 0)
		return false;
	if (conn->ssl != NULL)
		return SSL_pending(conn->ssl) == 0;
	return recv(bufferevent_getfd(conn->bev), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
}

static void conn_deliver(struct http_conn *conn)
{
	struct http_exchange *exchange = conn->exchange;
	bool keep = conn_clean(conn);
	char status[4];

	http_trace_status(status, conn->parser.head.status);
	conn_trace(conn, "HTTP", status);
	tls_certificate(conn->ssl, &exchange->trace.certificate);
	conn_set_state(conn, CONN_DELIVERY);
	conn->exchange = NULL;
	conn->used = true;
	conn->owner->answered(conn, exchange, &conn->parser.head, conn->arg);
	if (conn->state != CONN_DELIVERY)
		return; /* closed meanwhile */
	if (!keep) {
		conn_close(conn, "not to be kept", NULL);
		return;
	}
	conn_enter(conn, CONN_IDLE, CONN_IDLE_MS);
	conn->owner->idle(conn, conn->arg);
}

/* ---- ending ---- */

static void conn_event(struct bufferevent *bev, short what, void *arg)
{
	struct http_conn *conn = arg;

	(void)bev;
	if (what & BEV_EVENT_CONNECTED)
		conn_secured(conn);
	else
		conn_ended(conn, what);
}

/* The other side ended the connection, properly or not. What it said before counts first. */
static void conn_ended(struct http_conn *conn, short what)
{
	int error = what & BEV_EVENT_ERROR ? EVUTIL_SOCKET_ERROR() : 0;
	unsigned long tls_error = conn->ssl != NULL ? bufferevent_get_openssl_error(conn->bev) : 0;
	struct err err = ERR_INIT;

	conn->peer_ended = true;
	if (conn->state == CONN_HANDSHAKE) {
		tls_describe_failure(conn->ssl, conn->route->host, tls_error, &err);
		conn_fail(conn, "TLS", &err);
		return;
	}
	conn_read(conn);
	if (conn->state == CONN_CLOSED)
		return;
	if (conn->state != CONN_REQUEST && conn->state != CONN_RESPONSE) {
		conn_close(conn, "ended by the other side", NULL);
		return;
	}
	if (what & BEV_EVENT_EOF && conn->state == CONN_RESPONSE &&
	    http_parser_end(&conn->parser) == HTTP_DONE) {
		conn_deliver(conn);
		return;
	}
	if (tls_is_refusal(tls_error)) { /* in TLS 1.3 it may come only now */
		tls_describe_failure(conn->ssl, conn->route->host, tls_error, &err);
		conn_fail(conn, "TLS", &err);
		return;
	}
	http_fault_cut(
	    &err, conn->peer, conn->state == CONN_RESPONSE, error, conn->parser.body_total);
	conn_fail(conn, "HTTP", &err);
}

static void conn_on_timer(void *arg)
{
	struct http_conn *conn = arg;
	uint64_t now = clock_monotonic_ms();

	if (now < conn->deadline_at) {
		conn->timer_at = conn->deadline_at;
		loop_timer_set(&conn->timer, conn->deadline_at - now);
	} else if (conn->exchange == NULL) {
		conn_close(conn, "idle for long", NULL);
	} else {
		conn_late(conn, now >= conn->exchange->total_at);
	}
}

static void conn_late(struct http_conn *conn, bool total)
{
	const struct http_deadlines *limits = &conn->exchange->deadlines;
	const struct http_route *route = conn->route;
	const struct state_row *row = &states[conn->state];
	const char *who;
	struct err err = ERR_INIT;

	if (total) {
		http_fault_total(&err, route->authority, row->words, conn->peer, limits->total);
		if (conn->state == CONN_DIALING)
			err_hop(&err, "TCP %u", route->port);
		else
			err_hop(&err, "%s", row->hop);
	} else if (conn->state == CONN_RESOLVING) {
		who = route->proxy != NULL ? route->proxy->text : route->authority;
		http_fault_late(&err, row->hop, who, limits);
	} else {
		who = conn->state == CONN_TRUST_WAIT ? NULL : conn->peer;
		http_fault_late(&err, row->hop, who, limits);
	}
	conn_fail(conn, row->hop, &err);
}

/* hop: a literal, as in the trace. */
static void conn_fail(struct http_conn *conn, const char *hop, struct err *err)
{
	const struct http_route *route = conn->route;
	struct http_trace *trace = &conn->exchange->trace;

	http_trace_add(
	    trace, hop, HTTP_HOP_FAILED, clock_monotonic_ms() - conn->since, err->message);
	http_trace_rest(trace, hop, route->tls && route->proxy != NULL, route->tls);
	tls_certificate(conn->ssl, &trace->certificate);
	conn_close(conn, err->code, err);
}

/* The one way out. err is for whoever waits for an answer; NULL when nobody does. Cleans up, then
 * tells. */
static void conn_close(struct http_conn *conn, const char *reason, const struct err *err)
{
	struct http_exchange *exchange = conn->exchange;

	if (conn->state == CONN_CLOSED)
		return;
	log_debug(conn->scope, "closes", log_str("reason", reason));
	conn_hang_up(conn);
	conn_set_state(conn, CONN_CLOSED);
	conn->exchange = NULL;
	loop_defer(conn->loop, conn_free, conn);
	conn->owner->closed(conn, exchange, err, conn->arg);
}

static void conn_hang_up(struct http_conn *conn)
{
	if (conn->lookup != NULL)
		resolver_cancel(conn->lookup);
	conn->lookup = NULL;
	dial_cancel(conn->dial);
	conn->dial = NULL;
	tunnel_cancel(conn->tunnel);
	conn->tunnel = NULL;
	tls_system_unwait(&conn->waiter);
	loop_timer_cancel(&conn->timer);
	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
	if (conn->bev == NULL)
		return;
	if (conn->ssl != NULL && !conn->peer_ended && SSL_is_init_finished(conn->ssl)) {
		SSL_shutdown(conn->ssl);
		ERR_clear_error();
	}
	bufferevent_setcb(conn->bev, NULL, NULL, NULL, NULL);
	bufferevent_disable(conn->bev, EV_READ | EV_WRITE);
}

/* At the end of the turn: nobody stands on it any more. */
static void conn_free(void *arg)
{
	struct http_conn *conn = arg;

	if (conn->bev != NULL)
		bufferevent_free(conn->bev); /* closes the socket */
	SSL_free(conn->ssl);
	http_parser_free(&conn->parser);
	free(conn);
}

/* ---- all the way ---- */

static void conn_set_state(struct http_conn *conn, enum conn_state state)
{
	log_debug(conn->scope, "state", log_str("old", states[conn->state].name),
	    log_str("new", states[state].name));
	conn->state = state;
}

/* A state that has a deadline (ms; never later than the exchange's total one) and whose time is
 * traced. */
static void conn_enter(struct http_conn *conn, enum conn_state state, uint32_t after_ms)
{
	conn->since = clock_monotonic_ms();
	conn_set_state(conn, state);
	conn_set_deadline(conn, conn->since, after_ms);
}

static void conn_set_deadline(struct http_conn *conn, uint64_t now, uint32_t after_ms)
{
	uint64_t at = now + after_ms;

	if (conn->exchange != NULL && conn->exchange->total_at < at)
		at = conn->exchange->total_at;
	conn->deadline_at = at;
	if (conn->timer.pending && conn->timer_at <= at)
		return;
	conn->timer_at = at;
	loop_timer_set(&conn->timer, at > now ? at - now : 0);
}
