/*
 * gate_conn: one connection of the gate.
 *
 *   IDLE --first byte--> HEAD --conn_take_head--> BODY --conn_hand_over--> HANDED or DIRECT
 *    ^                    |                        |                         |
 *    '---------- conn_reply_done ------------------+-------------------------'
 *   HEAD, BODY --gate_conn_refuse--> LINGER <--the last answer is out-- DIRECT
 *   any --conn_close--> CLOSED
 *
 * evhttp holds a bufferevent_filter (its setfd reaches through to the socket); below it is the
 * socket's or TLS's bufferevent. The filter only carries: its two functions do nothing, and the
 * callbacks below it are ours. A request is put into its input and EV_READ triggered; what evhttp
 * leaves in its output is moved on by conn_push, and once all of that has been written, EV_WRITE is
 * triggered. A filter that passes through does not work: it processes nothing when it is enabled,
 * and tells "written" when bytes reach the buffer below (then evhttp closes, and they are lost).
 *
 * What evhttp is doing is read off the filter: EV_WRITE is enabled from the moment a reply begins
 * until it is done; without an event callback it has been freed, and the filter and this connection
 * only wait for their finalizers, which run from the loop and never below a function of this file.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "web/gate_internal.h"
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/bufferevent_struct.h>
#include <event2/event.h>
#include <event2/http.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PENDING_MAX (64 * 1024) /* input that waits for the reply before it */
#define WRITE_AT_ONCE (256 * 1024)
#define REQUESTS_IN_A_ROW 16   /* then the others have their turn */
#define PARSER_KEPT (4 * 1024) /* bytes of a parser that an idle connection keeps */

static struct metric accepted =
    METRIC(METRIC_COUNTER, "eyes_scm_http_connections_total", "", "Connections accepted");
static struct metric open_now =
    METRIC(METRIC_GAUGE, "eyes_scm_http_connections_open", "", "Connections that are open");
#define CLOSED_BY(reason_)                                                             \
	METRIC(METRIC_COUNTER, "eyes_scm_http_closed_total", "reason=\"" reason_ "\"", \
	    "Connections that the gate closed without an answer")
static struct metric closed_idle = CLOSED_BY("idle");
static struct metric closed_full = CLOSED_BY("full");
static struct metric closed_unread = CLOSED_BY("reply_not_read");
static struct metric closed_stream = CLOSED_BY("stream_not_read");
static struct metric closed_cut = CLOSED_BY("cut_by_client");
static struct metric closed_tls = CLOSED_BY("tls");

/* ---- what evhttp is doing ---- */

bool gate_conn_is_alive(const struct gate_conn *conn)
{
	bufferevent_event_cb on_event = NULL;

	bufferevent_getcb(conn->filter, NULL, NULL, &on_event, NULL);
	return on_event != NULL && conn->state != GATE_CLOSED;
}

static bool evhttp_writes(const struct gate_conn *conn)
{
	return (bufferevent_get_enabled(conn->filter) & EV_WRITE) != 0;
}

static size_t unread(const struct gate_conn *conn)
{
	return evbuffer_get_length(bufferevent_get_input(conn->below));
}

static size_t unwritten(const struct gate_conn *conn)
{
	return evbuffer_get_length(bufferevent_get_output(conn->below));
}

/* ---- states and deadlines ---- */

void gate_conn_set_state(struct gate_conn *conn, enum gate_state state)
{
	static const char *const names[] = {
	    "idle", "head", "body", "handed", "direct", "linger", "closed"};

	if (conn->state != state)
		log_debug("gate", "state", log_uint("connection", conn->number),
		    log_str("old", names[conn->state]), log_str("new", names[state]));
	conn->state = state;
}

/* The timer is only moved when it would come too late. */
static void conn_set_deadline(struct gate_conn *conn, uint64_t at_ms)
{
	uint64_t now = clock_monotonic_ms();

	conn->deadline_ms = at_ms;
	if (at_ms == 0 || (conn->timer.pending && conn->timer_ms <= at_ms))
		return;
	conn->timer_ms = at_ms;
	loop_timer_set(&conn->timer, at_ms > now ? at_ms - now : 0);
}

static void conn_unlist(struct gate_conn *conn)
{
	if (conn->listed)
		TAILQ_REMOVE(&conn->gate->idle, conn, idle_entry);
	conn->listed = false;
}

static void conn_uncount(struct gate_conn *conn)
{
	if (!conn->counted)
		return;
	conn->counted = false;
	conn->gate->open--;
	metric_add(&open_now, -1);
}

/* Tells the client that nothing more comes. */
static void conn_shut(struct gate_conn *conn)
{
	if (conn->ssl != NULL && conn->greeted) {
		SSL_shutdown(conn->ssl);
		ERR_clear_error();
	}
	shutdown(bufferevent_getfd(conn->below), SHUT_WR);
	conn->shut = true;
}

/* Ends the connection at once: evhttp frees its side and with it the filter and this. */
static void conn_close(struct gate_conn *conn, struct metric *why)
{
	if (conn->state == GATE_CLOSED)
		return;
	if (why != NULL)
		metric_add(why, 1);
	if (conn->state == GATE_IDLE)
		conn_shut(conn);
	gate_conn_set_state(conn, GATE_CLOSED);
	conn->deadline_ms = 0;
	gate_direct_gone(conn);
	conn_unlist(conn);
	conn_uncount(conn);
	bufferevent_trigger_event(conn->filter, BEV_EVENT_READING | BEV_EVENT_EOF, 0);
	gate_balance(conn->gate);
}

void gate_conn_break(struct gate_conn *conn)
{
	if (!gate_conn_is_alive(conn))
		return;
	log_error("gate", "evhttp has not read a request that is whole");
	conn_close(conn, NULL);
}

/* ---- replies ---- */

static void conn_reply_done(struct gate_conn *conn)
{
	conn->replying = false;
	conn->stream_max = 0;
	conn->deadline_ms = 0;
	gate_conn_set_state(conn, GATE_IDLE);
	if (conn->gate->stopping)
		conn_close(conn, NULL);
}

/* A plain socket gets a reply without the detour: most fit into the kernel's buffer. */
static bool conn_write_now(struct gate_conn *conn, struct evbuffer *output)
{
	if (conn->ssl != NULL || unwritten(conn) > 0)
		return true;
	return evbuffer_write(output, bufferevent_getfd(conn->below)) >= 0 || errno == EAGAIN ||
	       errno == EINTR;
}

bool gate_conn_send(struct gate_conn *conn, struct evbuffer *output)
{
	size_t length;

	if (evbuffer_get_length(output) > 0 && !conn_write_now(conn, output)) {
		conn_close(conn, &closed_cut);
		return false;
	}
	length = evbuffer_get_length(output);
	if (length == 0)
		return true;
	if (unwritten(conn) == 0) {
		conn->phase_ms = clock_monotonic_ms();
		conn->phase_sent = 0;
		if (conn->stream_max == 0)
			conn_set_deadline(conn, conn->phase_ms + conn->gate->options.write_ms);
	}
	conn->phase_sent += length;
	bufferevent_write_buffer(conn->below, output);
	if (conn->stream_max == 0 || unwritten(conn) <= conn->stream_max)
		return true;
	conn_close(conn, &closed_stream);
	return false;
}

/* HEAD was handed over as GET. The head is there as a whole when a reply begins. */
static void conn_drop_reply_body(struct gate_conn *conn, struct evbuffer *output)
{
	struct evbuffer_ptr end = evbuffer_search(output, "\r\n\r\n", 4, NULL);
	struct evbuffer *head = evbuffer_new();

	if (head == NULL)
		fatal("out of memory");
	if (!conn->replying && end.pos >= 0)
		evbuffer_remove_buffer(output, head, (size_t)end.pos + 4);
	evbuffer_drain(output, evbuffer_get_length(output));
	evbuffer_add_buffer(output, head);
	evbuffer_free(head);
}

/* GATE_HANDED: moves on what evhttp has written, and tells it when that is out. */
static void conn_push(struct gate_conn *conn)
{
	struct evbuffer *output = bufferevent_get_output(conn->filter);

	if (!evhttp_writes(conn)) {
		if (conn->replying) /* a reply without length or chunks ended unseen */
			conn_reply_done(conn);
		else if (!conn->ended) /* evhttp stops reading; we want to see the client go */
			bufferevent_enable(conn->filter, EV_READ);
		return;
	}
	if (conn->head_only)
		conn_drop_reply_body(conn, output);
	conn->replying = true;
	if (!gate_conn_send(conn, output) || unwritten(conn) > 0)
		return;
	conn->deadline_ms = 0;
	bufferevent_trigger(conn->filter, EV_WRITE, BEV_TRIG_IGNORE_WATERMARKS);
	if (gate_conn_is_alive(conn) && !evhttp_writes(conn))
		conn_reply_done(conn);
}

/* GATE_DIRECT: the answer, if there is one, has been sent: is it out? */
static void conn_end_direct(struct gate_conn *conn)
{
	if (conn->reply != NULL || unwritten(conn) > 0)
		return;
	if (conn->close)
		gate_conn_set_state(conn, GATE_LINGER);
	else
		conn_reply_done(conn);
}

/* ---- running ---- */

/* GATE_LINGER: the answer has gone out. What still comes is read and thrown away: closing at once
 * would reset the connection, and the client would lose the answer (RFC 9112 9.6). */
static void conn_linger(struct gate_conn *conn)
{
	evbuffer_drain(bufferevent_get_input(conn->below), unread(conn));
	if (unwritten(conn) > 0)
		return;
	if (conn->ended) {
		conn_close(conn, NULL);
		return;
	}
	if (!conn->shut)
		conn_shut(conn);
}

static void conn_settle_idle(struct gate_conn *conn)
{
	struct gate *gate = conn->gate;
	struct http_parser *parser = &conn->parser;

	if (conn->ended && unread(conn) == 0) {
		conn_close(conn, NULL);
		return;
	}
	if (!conn->listed || conn->served) {
		conn_unlist(conn);
		TAILQ_INSERT_TAIL(&gate->idle, conn, idle_entry);
		conn->listed = true;
		conn_set_deadline(conn, clock_monotonic_ms() + (conn->ssl != NULL && !conn->greeted
		                                                       ? gate->options.head_ms
		                                                       : gate->options.idle_ms));
	}
	if (parser->bytes.capacity > PARSER_KEPT || parser->trailers.capacity > PARSER_KEPT) {
		struct http_limits limits = parser->limits;

		http_parser_free(parser);
		http_parser_init(parser, HTTP_REQUEST, &limits);
	}
}

/* Sets deadline and place in the idle list once for all that happened in conn_run. */
static void conn_settle(struct gate_conn *conn)
{
	const struct gate_options *options = &conn->gate->options;
	bool same = conn->settled == conn->state && !conn->served;
	uint64_t now = clock_monotonic_ms();

	if (conn->state != GATE_IDLE)
		conn_unlist(conn);
	switch (conn->state) {
	case GATE_IDLE:
		conn_settle_idle(conn);
		break;
	case GATE_HEAD:
		if (!same)
			conn_set_deadline(conn, now + options->head_ms);
		break;
	case GATE_BODY:
		if (!same) {
			conn->phase_ms = now;
			conn_set_deadline(conn, now + conn->terms.body_ms);
		}
		break;
	case GATE_LINGER:
		if (!same)
			conn_set_deadline(conn, now + options->linger_ms);
		break;
	case GATE_HANDED:
	case GATE_DIRECT:
	case GATE_CLOSED:
		break;
	}
	if ((conn->state == GATE_HEAD || conn->state == GATE_BODY) && conn->ended)
		conn_close(conn, &closed_cut);
	conn->served = false;
	conn->settled = conn->state;
	gate_balance(conn->gate);
}

/* Decrypted bytes that a full input has left within TLS wake nobody up. */
static void conn_wake_tls(struct gate_conn *conn)
{
	if (conn->ssl != NULL && !conn->ended && unread(conn) == 0 && SSL_pending(conn->ssl) > 0)
		event_active(&conn->below->ev_read, EV_READ, 1);
}

/* libevent 2.1 calls the read callback of an input at its high watermark again and again, without
 * end (bufferevent_inbuf_wm_check): reading stops before. */
static void conn_hold(struct gate_conn *conn)
{
	bool full = unread(conn) >= PENDING_MAX / 2;

	if (full == conn->held)
		return;
	conn->held = full;
	if (full)
		bufferevent_disable(conn->below, EV_READ);
	else if (!conn->ended)
		bufferevent_enable(conn->below, EV_READ);
}

/* Whether nothing more is read of it at present. */
static bool is_busy(const struct gate_conn *conn)
{
	return conn->state == GATE_HANDED || conn->state == GATE_DIRECT ||
	       conn->state == GATE_LINGER;
}

/* All that can be done now. */
static void conn_run(struct gate_conn *conn)
{
	unsigned handed = 0;

	if (conn->running || !gate_conn_is_alive(conn))
		return;
	if (conn->doomed) {
		conn_close(conn, &closed_tls);
		return;
	}
	conn->running = true;
	while (gate_conn_is_alive(conn)) {
		if (conn->state == GATE_HANDED)
			conn_push(conn);
		else if (conn->state == GATE_DIRECT)
			conn_end_direct(conn);
		if (!gate_conn_is_alive(conn) || is_busy(conn))
			break;
		if (handed == REQUESTS_IN_A_ROW) {
			event_active(&conn->kick, EV_TIMEOUT, 1);
			break;
		}
		if (!gate_conn_feed(conn))
			break;
		handed++;
	}
	if (gate_conn_is_alive(conn) && conn->state == GATE_LINGER)
		conn_linger(conn);
	conn->running = false;
	if (!gate_conn_is_alive(conn))
		return;
	conn_hold(conn);
	conn_wake_tls(conn);
	conn_settle(conn);
}

/*
 * From outside: a commit, which tells many at once, or a timer. What has come in the meantime waits
 * for the next turn: its handler may write to the store, too.
 */
void gate_conn_answered(struct gate_conn *conn)
{
	if (conn->running)
		return; /* conn_run goes on with it */
	conn->running = true;
	conn_end_direct(conn);
	if (conn->state == GATE_LINGER)
		conn_linger(conn);
	conn->running = false;
	if (!gate_conn_is_alive(conn))
		return;
	if (conn->state == GATE_IDLE && unread(conn) > 0)
		event_active(&conn->kick, EV_TIMEOUT, 1);
	conn_hold(conn);
	conn_wake_tls(conn);
	conn_settle(conn);
}

void gate_conn_go_on(struct gate_conn *conn)
{
	event_active(&conn->kick, EV_TIMEOUT, 1);
}

/* ---- callbacks ---- */

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	conn_run(arg);
}

static void on_read(struct bufferevent *below, void *arg)
{
	(void)below;
	conn_run(arg);
}

static void on_written(struct bufferevent *below, void *arg)
{
	struct gate_conn *conn = arg;

	(void)below;
	if (is_busy(conn))
		conn_run(conn);
}

/* evhttp, or a handler through it, has added to a reply. */
static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg)
{
	struct gate_conn *conn = arg;

	(void)output;
	if (info->n_added > 0 && !conn->running && conn->state == GATE_HANDED)
		event_active(&conn->kick, EV_TIMEOUT, 1);
}

static void on_event(struct bufferevent *below, short what, void *arg)
{
	struct gate_conn *conn = arg;

	if (!gate_conn_is_alive(conn))
		return;
	if (what & BEV_EVENT_CONNECTED) {
		conn->greeted = true;
		conn_unlist(conn); /* the deadline is another now */
		conn_run(conn);
	} else if ((what & BEV_EVENT_EOF) && (what & BEV_EVENT_READING) && conn->stream_max == 0) {
		conn->ended = true;
		bufferevent_disable(below, EV_READ);
		if (unwritten(conn) > 0) /* TLS has stopped writing, too */
			bufferevent_enable(below, EV_WRITE);
		conn_run(conn);
	} else if (conn->ssl != NULL && !conn->greeted) {
		conn_close(conn, &closed_tls);
	} else {
		conn_close(conn,
		    conn->state == GATE_IDLE || conn->state == GATE_LINGER ? NULL : &closed_cut);
	}
}

/* What a body or a reply has earned by what has moved. */
static bool conn_extend(struct gate_conn *conn, uint64_t allowed_ms, uint64_t moved)
{
	uint64_t until = conn->phase_ms + allowed_ms + moved * 1000 / conn->gate->options.rate;

	if (until <= clock_monotonic_ms())
		return false;
	conn_set_deadline(conn, until);
	return true;
}

static void on_deadline(void *arg)
{
	struct gate_conn *conn = arg;
	const struct gate_options *options = &conn->gate->options;

	if (!gate_conn_is_alive(conn) || conn->deadline_ms == 0)
		return;
	if (conn->deadline_ms > clock_monotonic_ms()) {
		conn_set_deadline(conn, conn->deadline_ms);
		return;
	}
	switch (conn->state) {
	case GATE_IDLE:
		conn_close(conn, &closed_idle);
		return;
	case GATE_HEAD:
		gate_conn_refuse(conn, 408, "its headers did not come in time");
		break;
	case GATE_BODY:
		if (!conn->terms.final &&
		    conn_extend(conn, conn->terms.body_ms, conn->parser.body_total))
			return;
		gate_conn_refuse(conn, 408, "its body did not come in time");
		break;
	case GATE_HANDED:
	case GATE_DIRECT:
		if (conn->stream_max > 0 ||
		    conn_extend(conn, options->write_ms, conn->phase_sent - unwritten(conn)))
			return;
		conn_close(conn, &closed_unread);
		return;
	case GATE_LINGER:
		conn_close(conn, NULL);
		return;
	case GATE_CLOSED:
		return;
	}
	conn_run(conn);
}

/* ---- begin and end ---- */

static enum bufferevent_filter_result carry(struct evbuffer *from, struct evbuffer *to,
    ev_ssize_t limit, enum bufferevent_flush_mode mode, void *arg)
{
	(void)from;
	(void)to;
	(void)limit;
	(void)mode;
	(void)arg;
	return BEV_NEED_MORE;
}

/* The filter's finalizer. */
static void conn_free(void *arg)
{
	struct gate_conn *conn = arg;
	struct gate *gate = conn->gate;

	conn_unlist(conn);
	conn_uncount(conn);
	gate_conn_drop_body(conn);
	gate_direct_gone(conn);
	event_del(&conn->kick);
	loop_timer_cancel(&conn->timer);
	http_parser_free(&conn->parser);
	TAILQ_REMOVE(&gate->conns, conn, entry);
	free(conn);
	gate_balance(gate);
	gate_conn_gone(gate);
}

/* Never NULL: evhttp would serve such a connection in plain and without a gate. */
static struct bufferevent *below_new(struct gate_conn *conn, struct event_base *base, SSL_CTX *tls)
{
	struct bufferevent *below = NULL;

	if (tls != NULL) {
		conn->ssl = SSL_new(tls);
		if (conn->ssl != NULL)
			below = bufferevent_openssl_socket_new(
			    base, -1, conn->ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
		conn->doomed = below == NULL;
	}
	if (below == NULL) {
		conn->ssl = NULL;
		below = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	}
	if (below == NULL)
		fatal("out of memory");
	return below;
}

struct bufferevent *gate_conn_new(struct gate_door *door)
{
	struct gate *gate = door->gate;
	struct gate_conn *conn = mem_zero(sizeof(*conn));
	struct event_base *base = loop_base(gate->loop);
	struct http_limits limits = {.head = gate->options.head_max,
	    .target = gate->options.target_max,
	    .fields = gate->options.fields_max,
	    .body = GATE_ANY_BODY};

	conn->gate = gate;
	conn->number = ++gate->number;
	conn->below = below_new(conn, base, door->tls);
	if (conn->ssl == NULL) /* TLS would reserve as much for every read */
		bufferevent_set_max_single_read(conn->below, PENDING_MAX / 2 - 1);
	bufferevent_set_max_single_write(conn->below, WRITE_AT_ONCE);
	bufferevent_setwatermark(conn->below, EV_READ, 0, PENDING_MAX);
	conn->filter = bufferevent_filter_new(
	    conn->below, carry, carry, BEV_OPT_CLOSE_ON_FREE, conn_free, conn);
	if (conn->filter == NULL ||
	    evbuffer_add_cb(bufferevent_get_output(conn->filter), on_output, conn) == NULL)
		fatal("out of memory");
	bufferevent_setcb(conn->below, on_read, on_written, on_event, conn);
	event_assign(&conn->kick, base, -1, 0, on_kick, conn);
	loop_timer_init(&conn->timer, gate->loop, on_deadline, conn);
	http_parser_init(&conn->parser, HTTP_REQUEST, &limits);
	TAILQ_INSERT_TAIL(&gate->conns, conn, entry);
	conn->counted = true;
	gate->open++;
	metric_add(&accepted, 1);
	metric_add(&open_now, 1);
	event_active(&conn->kick, EV_TIMEOUT, 1); /* settles once evhttp has done its part */
	return conn->filter;
}

void gate_conn_evict(struct gate *gate)
{
	if (!TAILQ_EMPTY(&gate->idle))
		conn_close(TAILQ_FIRST(&gate->idle), &closed_full);
}

void gate_conn_stop_all(struct gate *gate)
{
	struct gate_conn *conn;

	/* Nothing is freed before the loop runs. */
	TAILQ_FOREACH(conn, &gate->conns, entry)
	{
		if (!gate_conn_is_alive(conn) || conn->running)
			continue;
		if (conn->state == GATE_IDLE || conn->stream_max > 0)
			conn_close(conn, NULL);
		else
			conn_run(conn); /* a reply that was just given goes out at once */
	}
}

bool gate_expect_stream(struct evhttp_request *request, size_t output_max)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	struct bufferevent *filter, *below;
	bufferevent_data_cb reader = NULL;
	void *arg = NULL;
	struct gate_conn *conn;

	if (connection == NULL)
		return false;
	filter = evhttp_connection_get_bufferevent(connection);
	below = bufferevent_get_underlying(filter);
	if (below != NULL)
		bufferevent_getcb(below, &reader, NULL, NULL, &arg);
	if (reader != on_read)
		return false;
	conn = arg;
	if (conn->whole_only || conn->ended || conn->gate->stopping || conn->state != GATE_HANDED)
		return false;
	conn->stream_max = output_max;
	return true;
}
