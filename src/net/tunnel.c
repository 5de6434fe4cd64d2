/*
 *   tunnel_start --> tunnel_write --> tunnel_read --> tunnel_judge --> tunnel_finish
 */
#include "net/tunnel.h"
#include "base/mem.h"
#include "net/http_codec.h"
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define TUNNEL_HEAD_LIMIT (16 << 10)

struct tunnel {
	struct loop_timer timer;
	struct event event;
	struct event_base *base;
	int fd;
	const struct proxy *proxy;
	char authority[320];
	uint32_t deadline_ms;
	tunnel_fn *fn;
	void *arg;
	struct buf bytes; /* of the request; holds the password */
	size_t written;
	struct http_parser parser;
};

static bool request_compose(struct tunnel *tunnel);
static void tunnel_write(int fd, short what, void *arg);
static void tunnel_read(int fd, short what, void *arg);
static void tunnel_judge(struct tunnel *tunnel, bool early);
static void tunnel_late(void *arg);
static void tunnel_refused(struct tunnel *tunnel, const char *why);
static void tunnel_finish(struct tunnel *tunnel, int status, const struct err *err);

struct tunnel *tunnel_start(struct loop *loop, int fd, const struct proxy *proxy,
    const char *authority, uint32_t deadline_ms, tunnel_fn *fn, void *arg)
{
	const struct http_limits limits = {.head = TUNNEL_HEAD_LIMIT,
	    .target = 1024,
	    .fields = HTTP_FIELDS_MAX,
	    .body = TUNNEL_HEAD_LIMIT};
	struct tunnel *tunnel = mem_zero(sizeof *tunnel);

	tunnel->base = loop_base(loop);
	tunnel->fd = fd;
	tunnel->proxy = proxy;
	tunnel->deadline_ms = deadline_ms;
	tunnel->fn = fn;
	tunnel->arg = arg;
	snprintf(tunnel->authority, sizeof tunnel->authority, "%s", authority);
	buf_init(&tunnel->bytes, 4096);
	http_parser_init(&tunnel->parser, HTTP_RESPONSE, &limits);
	tunnel->parser.connect = true;
	if (!request_compose(tunnel))
		fatal("a CONNECT request for %s cannot be written", authority);
	loop_timer_init(&tunnel->timer, loop, tunnel_late, tunnel);
	loop_timer_set(&tunnel->timer, deadline_ms);
	event_assign(&tunnel->event, tunnel->base, fd, EV_WRITE, tunnel_write, tunnel);
	event_add(&tunnel->event, NULL);
	return tunnel;
}

void tunnel_cancel(struct tunnel *tunnel)
{
	if (tunnel == NULL)
		return;
	loop_timer_cancel(&tunnel->timer);
	event_del(&tunnel->event);
	buf_cleanse(&tunnel->bytes);
	http_parser_free(&tunnel->parser);
	free(tunnel);
}

static bool request_compose(struct tunnel *tunnel)
{
	const struct secret *authorization = &tunnel->proxy->authorization;
	struct buf *out = &tunnel->bytes;

	if (!http_write_request(out, "CONNECT", tunnel->authority) ||
	    !http_write_field(out, "Host", tunnel->authority))
		return false;
	if (authorization->length > 0 &&
	    !http_write_field(out, "Proxy-Authorization", authorization->data))
		return false;
	return http_write_end(out);
}

static void tunnel_write(int fd, short what, void *arg)
{
	struct tunnel *tunnel = arg;
	ssize_t n;

	(void)what;
	n = send(fd, tunnel->bytes.data + tunnel->written, tunnel->bytes.length - tunnel->written,
	    MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		tunnel_refused(tunnel, strerror(errno));
		return;
	}
	tunnel->written += n > 0 ? (size_t)n : 0;
	if (tunnel->written == tunnel->bytes.length)
		event_assign(&tunnel->event, tunnel->base, fd, EV_READ, tunnel_read, tunnel);
	event_add(&tunnel->event, NULL);
}

static void tunnel_read(int fd, short what, void *arg)
{
	struct tunnel *tunnel = arg;
	char data[4096];
	size_t used = 0, consumed;
	ssize_t n = recv(fd, data, sizeof data, 0);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		event_add(&tunnel->event, NULL);
		return;
	}
	if (n <= 0) {
		tunnel_refused(tunnel, n == 0 ? "it closed the connection" : strerror(errno));
		return;
	}
	while (used < (size_t)n) {
		enum http_event event =
		    http_parser_feed(&tunnel->parser, data + used, (size_t)n - used, &consumed);

		used += consumed;
		if (event == HTTP_ERROR) {
			tunnel_refused(tunnel, tunnel->parser.error);
			return;
		}
		if (event == HTTP_MORE)
			break;
		if (event != HTTP_HEAD)
			continue;
		if (tunnel->parser.head.status >= 200) {
			tunnel_judge(tunnel, used < (size_t)n);
			return;
		}
		http_parser_next(&tunnel->parser);
		tunnel->parser.connect = true;
	}
	event_add(&tunnel->event, NULL);
}

static void tunnel_judge(struct tunnel *tunnel, bool early)
{
	const struct http_head *head = &tunnel->parser.head;
	const char *scheme = http_head_get(head, "Proxy-Authenticate");
	struct err err = ERR_INIT;

	if (head->status / 100 == 2 && !early) {
		tunnel_finish(tunnel, head->status, NULL);
		return;
	}
	if (head->status / 100 == 2) {
		tunnel_refused(tunnel, "it sent bytes before the tunnel was used");
		return;
	}
	/* 401 comes from tinyproxy when user or password is wrong. */
	if (head->status == 407 || head->status == 401) {
		err_set(&err, "proxy_auth", "the proxy %s wants %s (HTTP %d%s%.80s)",
		    tunnel->proxy->text,
		    tunnel->proxy->authorization.length > 0 ? "another user or password"
		                                            : "a user and password",
		    head->status, scheme != NULL ? ", " : "", scheme != NULL ? scheme : "");
		err_hint(&err,
		    "write them into the proxy's URL: http://user:password@%.200s (only Basic is "
		    "supported)",
		    tunnel->proxy->text);
	} else {
		err_set(&err, "proxy_refused", "the proxy %s refused a tunnel to %s: HTTP %d %.80s",
		    tunnel->proxy->text, tunnel->authority, head->status, head->reason);
		err_hint(&err, "allow the destination on the proxy, or except it with NO_PROXY");
	}
	err_hop(&err, "Proxy");
	tunnel_finish(tunnel, head->status, &err);
}

static void tunnel_refused(struct tunnel *tunnel, const char *why)
{
	struct err err = ERR_INIT;

	err_set(&err, "proxy_refused", "the proxy %s made no tunnel to %s: %s", tunnel->proxy->text,
	    tunnel->authority, why);
	err_hop(&err, "Proxy");
	err_hint(&err, "check that HTTPS_PROXY names an HTTP proxy that allows CONNECT");
	tunnel_finish(tunnel, 0, &err);
}

static void tunnel_late(void *arg)
{
	struct tunnel *tunnel = arg;
	struct err err = ERR_INIT;

	err_set(&err, "connect_timeout", "the proxy %s did not answer CONNECT %s within %g s",
	    tunnel->proxy->text, tunnel->authority, tunnel->deadline_ms / 1000.0);
	err_hop(&err, "Proxy");
	err_hint(&err, "check that the proxy reaches %.250s", tunnel->authority);
	tunnel_finish(tunnel, 0, &err);
}

static void tunnel_finish(struct tunnel *tunnel, int status, const struct err *err)
{
	tunnel_fn *fn = tunnel->fn;
	void *arg = tunnel->arg;

	tunnel_cancel(tunnel);
	fn(status, err, arg);
}
