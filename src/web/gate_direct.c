/*
 * gate_direct: requests that are answered without evhttp. Who has taken one holds a small `struct
 * gate_reply`, which outlives the connection; the answer is written in one piece, on a plain socket
 * at once.
 */
#include "base/log.h"
#include "base/mem.h"
#include "web/gate_internal.h"
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct gate_reply {
	struct gate_conn *conn; /* NULL: it has gone */
};

/* ---- taking ---- */

static bool offer(struct gate_conn *conn, gate_take_fn *take, struct evbuffer *body)
{
	struct gate_reply *reply;

	if (take == NULL)
		return false;
	reply = mem_zero(sizeof(*reply));
	reply->conn = conn;
	conn->reply = reply;
	conn->old = conn->parser.head.minor == 0;
	gate_conn_set_state(conn, GATE_DIRECT);
	if (take(reply, &conn->parser.head, body, conn->gate->options.arg))
		return true;
	conn->reply = NULL;
	free(reply);
	return false;
}

bool gate_direct_take(struct gate_conn *conn)
{
	return offer(conn, conn->gate->options.take, conn->body);
}

bool gate_direct_over(struct gate_conn *conn)
{
	conn->close = true;
	conn->head_only = false; /* a HEAD with a body was refused */
	conn->deadline_ms = 0;
	if (offer(conn, conn->gate->options.over, NULL))
		return true;
	gate_conn_set_state(conn, GATE_BODY);
	return false;
}

void gate_direct_gone(struct gate_conn *conn)
{
	if (conn->reply != NULL)
		conn->reply->conn = NULL;
	conn->reply = NULL;
}

bool gate_is_awaited(const struct gate_reply *reply)
{
	return reply->conn != NULL && gate_conn_is_alive(reply->conn);
}

/* It stays the same as long as the connection is there. */
static void learn_peer(struct gate_conn *conn)
{
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof(address);
	const void *bytes = NULL;

	if (getpeername(bufferevent_getfd(conn->below), (struct sockaddr *)&address, &length) != 0)
		return;
	if (address.ss_family == AF_INET)
		bytes = &((const struct sockaddr_in *)&address)->sin_addr;
	else if (address.ss_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)&address)->sin6_addr;
	if (bytes != NULL)
		inet_ntop(address.ss_family, bytes, conn->peer, sizeof(conn->peer));
}

const char *gate_peer(const struct gate_reply *reply)
{
	if (reply->conn == NULL)
		return "?";
	if (reply->conn->peer[0] == '\0')
		learn_peer(reply->conn);
	return reply->conn->peer[0] != '\0' ? reply->conn->peer : "?";
}

/* ---- answering ---- */

static const char *date_now(struct gate *gate)
{
	int64_t now = clock_wall_ms();

	if (gate->date_s != now / 1000) {
		gate->date_s = now / 1000;
		clock_http_date(gate->date, now);
	}
	return gate->date;
}

/* A status without a body has no length either: RFC 9110 8.6. */
static bool has_length(const struct gate_answer *answer)
{
	return answer->status >= 200 && answer->status != 204 && answer->status != 304;
}

static void write_head(struct gate_conn *conn, const struct gate_answer *answer)
{
	struct buf *out = &conn->gate->scratch;

	buf_reset(out);
	http_write_response(out, answer->status);
	http_write_field(out, "Date", date_now(conn->gate));
	if (answer->headers != NULL)
		buf_puts(out, answer->headers);
	if (has_length(answer))
		http_write_field_uint(out, "Content-Length", answer->body_length);
	if (conn->close)
		http_write_field(out, "Connection", "close");
	else if (conn->old)
		http_write_field(out, "Connection", "keep-alive");
	if (!http_write_end(out))
		fatal("an answer has a head that cannot be written");
}

static bool is_whole(const struct gate_conn *conn, const struct gate_answer *answer)
{
	return !conn->head_only && has_length(answer) && answer->body_length > 0;
}

static size_t send_bytes(
    int fd, const struct gate_answer *answer, const struct buf *head, bool whole)
{
	struct iovec parts[] = {{.iov_base = head->data, .iov_len = head->length},
	    {.iov_base = (void *)(uintptr_t)answer->body, .iov_len = answer->body_length}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = whole ? 2 : 1};
	ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);

	return n < 0 ? 0 : (size_t)n;
}

static size_t send_file(int fd, const struct gate_answer *answer, const struct buf *head)
{
	off_t at;
	ssize_t n = send(fd, head->data, head->length, MSG_MORE | MSG_NOSIGNAL);

	if (n < 0 || (size_t)n < head->length)
		return n < 0 ? 0 : (size_t)n;
	at = answer->file->at;
	n = sendfile(fd, answer->file->fd, &at, answer->body_length);
	return head->length + (n < 0 ? 0 : (size_t)n);
}

/* How many bytes of head and body a plain socket takes at once, without a copy. What went wrong
 * shows when the rest is written. */
static size_t send_now(
    struct gate_conn *conn, const struct gate_answer *answer, const struct buf *head)
{
	int fd = bufferevent_getfd(conn->below);
	bool whole = is_whole(conn, answer);

	if (conn->ssl != NULL || evbuffer_get_length(bufferevent_get_output(conn->below)) > 0)
		return 0;
	return whole && answer->file != NULL ? send_file(fd, answer, head)
	                                     : send_bytes(fd, answer, head, whole);
}

/* What has not been sent yet. */
static void write_answer(struct gate_conn *conn, const struct gate_answer *answer)
{
	struct buf *head = &conn->gate->scratch;
	struct evbuffer *out = conn->gate->out;
	size_t sent, of_head, of_body;
	const char *rest;
	int failed;

	write_head(conn, answer);
	sent = send_now(conn, answer, head);
	of_head = sent < head->length ? sent : head->length;
	failed = evbuffer_add(out, head->data + of_head, head->length - of_head);
	of_body = is_whole(conn, answer) ? answer->body_length - (sent - of_head) : 0;
	rest = of_body > 0 ? (const char *)answer->body + (sent - of_head) : NULL;
	if (of_body > 0 && answer->lasting)
		failed |= evbuffer_add_reference(out, rest, of_body, NULL, NULL);
	else if (of_body > 0)
		failed |= evbuffer_add(out, rest, of_body);
	if (failed != 0)
		fatal("out of memory");
}

void gate_answer(struct gate_reply *reply, const struct gate_answer *answer)
{
	struct gate_conn *conn = reply->conn;
	struct evbuffer *out;

	free(reply);
	if (conn == NULL)
		return;
	conn->reply = NULL;
	if (!gate_conn_is_alive(conn))
		return;
	conn->close = conn->close || conn->gate->stopping;
	out = conn->gate->out;
	write_answer(conn, answer);
	if (gate_conn_send(conn, out))
		gate_conn_answered(conn);
	evbuffer_drain(out, evbuffer_get_length(out));
}
