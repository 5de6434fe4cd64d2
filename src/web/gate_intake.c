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
	gate_pot_leave(conn);
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
	if (conn->gate->options.refused != NULL && conn->state == GATE_BODY)
		conn->gate->options.refused(&conn->parser.head, status, conn->gate->options.arg);
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

/* The parser allows as much as any request may have, until the head tells which one this is. */
static bool conn_limit_body(struct gate_conn *conn)
{
	const struct gate_options *options = &conn->gate->options;
	const struct http_head *head = &conn->parser.head;

	conn->terms = (struct gate_terms){
	    .body_max = options->body_max, .body_ms = options->body_ms, .pot = conn->gate->pot};
	if (options->limit != NULL)
		options->limit(head, &conn->terms, options->arg);
	conn->parser.limits.body = conn->terms.body_max;
	if (!head->has_length || head->length <= conn->terms.body_max)
		return true;
	if (gate_direct_over(conn))
		metric_add(&requests, 1);
	else
		gate_conn_refuse(conn, 413, "body over the limit");
	return false;
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
	if (!conn_limit_body(conn))
		return false;
	/* Whoever sends the body without waiting need not be told to. */
	if (head->expect_continue && has_body(head) && rest == 0)
		bufferevent_write(conn->below, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	return true;
}

static bool conn_take_body(struct gate_conn *conn)
{
	size_t length = conn->parser.body_length;

	if (!gate_pot_take(conn, length)) {
		gate_conn_refuse(conn, 503, "too many bodies are on their way");
		return false;
	}
	if (conn->body == NULL && (conn->body = evbuffer_new()) == NULL)
		fatal("out of memory");
	if (evbuffer_add(conn->body, conn->parser.body, length) != 0)
		fatal("out of memory");
	return true;
}

/* The request is in other hands: the next one may come. */
static void conn_next(struct gate_conn *conn)
{
	gate_conn_drop_body(conn);
	http_parser_next(&conn->parser);
	conn->parser.limits.body = GATE_ANY_BODY;
}

/* The request is whole: evhttp reads it in one go and calls the handler before this returns. */
static void conn_hand_over(struct gate_conn *conn)
{
	struct http_head *head = &conn->parser.head;
	struct buf *scratch = &conn->gate->scratch;
	struct evbuffer *input = bufferevent_get_input(conn->filter);
	size_t body = conn->body != NULL ? evbuffer_get_length(conn->body) : 0;

	conn->close = !head->keep_alive || conn->gate->stopping;
	conn->head_only = strcmp(head->method, "HEAD") == 0;
	conn->whole_only = head->minor == 0 || conn->head_only;
	conn->replying = false;
	conn->served = true;
	conn->deadline_ms = 0;
	metric_add(&requests, 1);
	if (gate_direct_take(conn)) {
		conn_next(conn);
		return;
	}
	buf_reset(scratch);
	if (!gate_write_head(scratch, head, body, conn->close)) {
		gate_conn_refuse(conn, 400, "it cannot be passed on");
		return;
	}
	evbuffer_add(input, scratch->data, scratch->length);
	if (conn->body != NULL)
		evbuffer_add_buffer(input, conn->body);
	gate_conn_set_state(conn, GATE_HANDED);
	conn_next(conn);
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

/* Reads what is there, up to where the request is in other hands. False when that was not reached.
 */
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
		if (conn->state == GATE_LINGER || conn->state == GATE_CLOSED)
			return false;
		if (conn->state == GATE_DIRECT) { /* `over` has it; what follows is not read */
			evbuffer_drain(input, evbuffer_get_length(input));
			return true;
		}
		evbuffer_drain(input, at);
	}
	if (event == HTTP_DONE)
		conn_hand_over(conn);
	else if (conn->state == GATE_IDLE && http_parser_begun(&conn->parser))
		gate_conn_set_state(conn, GATE_HEAD);
	return event == HTTP_DONE;
}
