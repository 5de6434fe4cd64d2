#include "sim/sim_connection.h"

#include "base/clock.h"
#include "base/mem.h"
#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_MAX (256UL * 1024 * 1024)
#define INPUT_MAX (4UL * 1024 * 1024)
#define OUTPUT_MAX (1024UL * 1024 * 1024)
#define BIG (1024UL * 1024)
#define LINGER_MS 1000

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);
static void on_timer(void *arg);

/* ---- bytes in and out ---- */

enum { WAIT = -1, END = -2 };

static ssize_t tls_outcome(struct sim_connection *c, int result)
{
	int error = SSL_get_error(c->ssl, result);
	if (error == SSL_ERROR_WANT_READ)
		return WAIT;
	if (error == SSL_ERROR_WANT_WRITE) {
		event_add(&c->writable, NULL);
		return WAIT;
	}
	if (!c->greeted && error != SSL_ERROR_ZERO_RETURN)
		c->server->counts.tls_failures++;
	ERR_clear_error();
	return END;
}

static ssize_t transport_read(struct sim_connection *c, char *data, size_t size)
{
	if (c->ssl) {
		int n = SSL_read(c->ssl, data, (int)size);
		if (!c->greeted && SSL_is_init_finished(c->ssl)) {
			c->greeted = true;
			c->server->counts.handshakes++;
			c->server->counts.resumed += (uint64_t)SSL_session_reused(c->ssl);
		}
		return n > 0 ? n : tls_outcome(c, n);
	}
	ssize_t n = read(c->fd, data, size);
	if (n > 0)
		return n;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? WAIT : END;
}

static ssize_t transport_write(struct sim_connection *c, const char *data, size_t size)
{
	if (c->ssl) {
		int n = SSL_write(c->ssl, data, size > BIG ? (int)BIG : (int)size);
		return n > 0 ? n : tls_outcome(c, n);
	}
	ssize_t n = send(c->fd, data, size, MSG_NOSIGNAL);
	if (n >= 0)
		return n;
	if (errno != EAGAIN && errno != EINTR)
		return END;
	event_add(&c->writable, NULL);
	return WAIT;
}

static void linger(struct sim_connection *c)
{
	c->lingering = true;
	if (c->ssl)
		SSL_shutdown(c->ssl);
	ERR_clear_error();
	shutdown(c->fd, SHUT_WR);
	loop_timer_set(&c->timer, LINGER_MS);
}

static void flush(struct sim_connection *c)
{
	while (!c->dead && c->written < c->output.length) {
		ssize_t n =
		    transport_write(c, c->output.data + c->written, c->output.length - c->written);
		if (n == WAIT)
			return;
		if (n == END) {
			sim_connection_close(c, false);
			return;
		}
		c->written += (size_t)n;
	}
	if (c->dead)
		return;
	c->written = 0;
	if (c->output.capacity > BIG)
		buf_free(&c->output);
	else
		buf_reset(&c->output);
	if (c->busy)
		return;
	if (c->cut_after)
		sim_connection_close(c, c->reset);
	else if (c->close_after && !c->lingering)
		linger(c);
}

/* ---- requests ---- */

static void dispatch(struct sim_connection *c)
{
	struct sim_request *request = &c->request;
	struct sim_server *server = c->server;
	c->busy = true;
	c->in_handler = true;
	server->counts.requests++;
	request->connection = c;
	request->number = ++server->last_number;
	request->wall_ms = clock_wall_ms();
	request->arrived_us = clock_monotonic_us();
	request->head = &c->parser.head;
	request->method = c->parser.head.method;
	request->body = c->body.data ? c->body.data : "";
	request->body_length = c->body.length;
	sim_request_begin(request, c->parser.head.target);
	server->options.handler(request, server->options.arg);
	c->in_handler = false;
}

static void refuse(struct sim_connection *c)
{
	c->server->counts.bad_requests++;
	c->close_after = true;
	sim_answer_plain(c, c->parser.error_status, c->parser.error);
}

static size_t parse(struct sim_connection *c, const char *data, size_t length)
{
	size_t used = 0;
	while (!c->busy && !c->dead && !c->close_after && !c->cut_after) {
		size_t consumed = 0;
		enum http_event event =
		    http_parser_feed(&c->parser, data + used, length - used, &consumed);
		used += consumed;
		if (event == HTTP_MORE) {
			break;
		} else if (event == HTTP_ERROR) {
			refuse(c);
		} else if (event == HTTP_HEAD && c->parser.head.expect_continue) {
			buf_puts(&c->output, "HTTP/1.1 100 Continue\r\n\r\n");
		} else if (event == HTTP_BODY) {
			buf_append(&c->body, c->parser.body, c->parser.body_length);
		} else if (event == HTTP_DONE) {
			dispatch(c);
		}
	}
	return used;
}

static void parse_input(struct sim_connection *c)
{
	if (c->input.length == 0 || c->busy)
		return;
	size_t used = parse(c, c->input.data, c->input.length);
	if (!c->dead)
		buf_drop(&c->input, used);
}

static void take(struct sim_connection *c, const char *data, size_t length)
{
	size_t used = 0;
	if (!c->busy && c->input.length == 0)
		used = parse(c, data, length);
	if (c->dead || c->close_after || c->cut_after || used == length)
		return;
	buf_append(&c->input, data + used, length - used);
	parse_input(c);
	if (!c->dead && c->input.length > INPUT_MAX / 2) {
		c->paused = true;
		event_del(&c->readable);
	}
}

void sim_connection_answered(struct sim_connection *c)
{
	c->busy = false;
	if (!c->parser.head.keep_alive)
		c->close_after = true;
	sim_request_end(&c->request);
	if (c->body.capacity > BIG)
		buf_free(&c->body);
	else
		buf_reset(&c->body);
	http_parser_next(&c->parser);
	if (c->in_handler)
		return; /* parse() goes on, and its caller flushes */
	if (c->paused) {
		c->paused = false;
		event_add(&c->readable, NULL);
	}
	parse_input(c);
	if (!c->dead)
		flush(c);
}

void sim_connection_hold(struct sim_connection *c, uint32_t ms)
{
	loop_timer_set(&c->timer, ms);
}

/* ---- life ---- */

static void on_timer(void *arg)
{
	struct sim_connection *c = arg;
	if (c->lingering) {
		sim_connection_close(c, false);
		return;
	}
	buf_append(&c->output, c->held.data, c->held.length);
	buf_free(&c->held);
	sim_connection_answered(c);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct sim_connection *c = arg;
	(void)fd;
	(void)what;
	do {
		ssize_t n = transport_read(c, c->server->scratch, SIM_SCRATCH);
		if (n == WAIT)
			break;
		if (n == END) {
			sim_connection_close(c, false);
			return;
		}
		if (!c->lingering)
			take(c, c->server->scratch, (size_t)n);
	} while (!c->dead && !c->paused && c->ssl && SSL_has_pending(c->ssl));
	if (!c->dead)
		flush(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct sim_connection *c = arg;
	flush(c);
	if (!c->dead && c->ssl && !c->paused)
		on_readable(fd, what, c); /* TLS may have waited for room to write while reading */
}

void sim_connection_open(struct sim_server *server, int fd)
{
	static const struct http_limits limits = {
	    .head = 64 * 1024, .target = 32 * 1024, .fields = HTTP_FIELDS_MAX, .body = BODY_MAX};
	struct sim_connection *c = mem_zero(sizeof(*c));
	c->server = server;
	c->fd = fd;
	if (server->options.tls) {
		c->ssl = SSL_new(server->options.tls);
		if (!c->ssl || SSL_set_fd(c->ssl, fd) != 1)
			fatal("SSL_new failed");
		SSL_set_accept_state(c->ssl);
	}
	c->next = server->connections;
	c->link = &server->connections;
	if (c->next)
		c->next->link = &c->next;
	server->connections = c;
	server->counts.connections++;
	server->counts.open++;
	http_parser_init(&c->parser, HTTP_REQUEST, &limits);
	buf_init(&c->body, BODY_MAX + 1);
	buf_init(&c->input, INPUT_MAX);
	buf_init(&c->output, OUTPUT_MAX);
	buf_init(&c->held, OUTPUT_MAX);
	buf_init(&c->request.fields, 64 * 1024);
	loop_timer_init(&c->timer, server->loop, on_timer, c);
	struct event_base *base = loop_base(server->loop);
	event_assign(&c->readable, base, fd, EV_READ | EV_PERSIST, on_readable, c);
	event_assign(&c->writable, base, fd, EV_WRITE, on_writable, c);
	event_add(&c->readable, NULL);
}

static void connection_free(void *arg)
{
	struct sim_connection *c = arg;
	http_parser_free(&c->parser);
	buf_free(&c->body);
	buf_free(&c->input);
	buf_free(&c->output);
	buf_free(&c->held);
	sim_request_free(&c->request);
	free(c);
}

void sim_connection_close(struct sim_connection *c, bool reset)
{
	if (c->dead)
		return;
	c->dead = true;
	c->server->counts.open--;
	if (c->busy && c->request.gone)
		c->request.gone(&c->request);
	loop_timer_cancel(&c->timer);
	event_del(&c->readable);
	event_del(&c->writable);
	if (reset) {
		struct linger hard = {.l_onoff = 1, .l_linger = 0};
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	}
	SSL_free(c->ssl);
	ERR_clear_error();
	close(c->fd);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	loop_defer(c->server->loop, connection_free, c);
}
