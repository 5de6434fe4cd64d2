/*
 * gate_intake: what has come on a connection, up to a whole request in evhttp's hands, or a
 * refusal.
 */
#include "base/log.h"
#include "web/gate_internal.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

static struct metric requests =
    METRIC(METRIC_COUNTER, "eyes_scm_http_requests_total", "", "Requests that passed the gate");

void gate_conn_drop_body(struct gate_conn *conn)
{
	if (conn->body == NULL)
		return;
	conn->gate->bodies -= evbuffer_get_length(conn->body);
	evbuffer_free(conn->body);
	conn->body = NULL;
}

/* ---- refusing ---- */

void gate_conn_refuse(struct gate_conn *conn, int status, const char *reason)
{
	struct gate_fault fault = {status, reason};
	const char *method = conn->parser.head.method;
	struct evbuffer *input = bufferevent_get_input(conn->below);
	const char *code = gate_count_refusal(status);
	struct buf out;

	log_debug("gate", "refused", log_uint("connection", conn->number), log_str("code", code),
	    log_str("reason", reason));
	gate_conn_drop_body(conn);
	gate_conn_set_state(conn, GATE_LINGER);
	buf_init(&out, 8 * 1024);
	gate_write_refusal(&out, &fault, method != NULL && strcmp(method, "HEAD") == 0);
	bufferevent_write(conn->below, out.data, out.length);
	buf_free(&out);
	evbuffer_drain(input, evbuffer_get_length(input));
}

/* ---- requests ---- */

static bool has_body(const struct http_head *head)
{
	return head->chunked || (head->has_length && head->length > 0);
}

static bool conn_take_head(struct gate_conn *conn, size_t rest)
{
	struct http_head *head = &conn->parser.head;
	struct gate_fault fault;

	if (!gate_check_head(head, &fault)) {
		gate_conn_refuse(conn, fault.status, fault.reason);
		return false;
	}
	gate_conn_set_state(conn, GATE_BODY);
	/* Whoever sends the body without waiting need not be told to. */
	if (head->expect_continue && has_body(head) && rest == 0)
		bufferevent_write(conn->below, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	return true;
}

static bool conn_take_body(struct gate_conn *conn)
{
	struct gate *gate = conn->gate;
	size_t length = conn->parser.body_length;

	if (gate->bodies + length > gate->options.bodies_max) {
		gate_conn_refuse(conn, 503, "too many bodies are on their way");
		return false;
	}
	if (conn->body == NULL && (conn->body = evbuffer_new()) == NULL)
		fatal("out of memory");
	if (evbuffer_add(conn->body, conn->parser.body, length) != 0)
		fatal("out of memory");
	gate->bodies += length;
	return true;
}

/* The request is whole: evhttp reads it in one go and calls the handler before this returns. */
static void conn_hand_over(struct gate_conn *conn)
{
	struct http_head *head = &conn->parser.head;
	struct buf *scratch = &conn->gate->scratch;
	struct evbuffer *input = bufferevent_get_input(conn->filter);
	size_t body = conn->body != NULL ? evbuffer_get_length(conn->body) : 0;

	buf_reset(scratch);
	conn->close = !head->keep_alive || conn->gate->stopping;
	conn->head_only = strcmp(head->method, "HEAD") == 0;
	conn->whole_only = head->minor == 0 || conn->head_only;
	conn->replying = false;
	conn->served = true;
	if (!gate_write_head(scratch, head, body, conn->close)) {
		gate_conn_refuse(conn, 400, "it cannot be passed on");
		return;
	}
	evbuffer_add(input, scratch->data, scratch->length);
	if (conn->body != NULL)
		evbuffer_add_buffer(input, conn->body);
	conn->gate->bodies -= body;
	gate_conn_drop_body(conn); /* empty now */
	conn->deadline_ms = 0;
	gate_conn_set_state(conn, GATE_HANDED);
	metric_add(&requests, 1);
	http_parser_next(&conn->parser);
	bufferevent_trigger(conn->filter, EV_READ, BEV_TRIG_IGNORE_WATERMARKS);
	if (evbuffer_get_length(input) > 0)
		gate_conn_break(conn);
}

/* One event of the parser; false when there is no more to be had from these bytes. */
static bool conn_take_event(struct gate_conn *conn, enum http_event event, size_t rest)
{
	switch (event) {
	case HTTP_HEAD:
		return conn_take_head(conn, rest);
	case HTTP_BODY:
		return conn_take_body(conn);
	case HTTP_DONE:
	case HTTP_MORE:
		return false;
	case HTTP_ERROR:
		break;
	}
	gate_conn_refuse(conn, conn->parser.error_status, conn->parser.error);
	return false;
}

/* Reads what is there, up to the end of a request. False when that was not reached. */
bool gate_conn_feed(struct gate_conn *conn)
{
	struct evbuffer *input = bufferevent_get_input(conn->below);
	enum http_event event = HTTP_MORE;

	while (event != HTTP_DONE && evbuffer_get_length(input) > 0) {
		size_t length = evbuffer_get_contiguous_space(input), at = 0, used;
		const char *data = (const char *)evbuffer_pullup(input, (ssize_t)length);

		do {
			event = http_parser_feed(&conn->parser, data + at, length - at, &used);
			at += used;
		} while (conn_take_event(conn, event, evbuffer_get_length(input) - at));
		if (conn->state == GATE_LINGER)
			return false;
		evbuffer_drain(input, at);
	}
	if (event == HTTP_DONE)
		conn_hand_over(conn);
	else if (conn->state == GATE_IDLE && http_parser_begun(&conn->parser))
		gate_conn_set_state(conn, GATE_HEAD);
	return event == HTTP_DONE;
}
