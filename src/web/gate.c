/* The gate as a whole: what it stands before, how many may be inside, and the end. */
#include "base/log.h"
#include "base/mem.h"
#include "web/gate_internal.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdlib.h>

static struct metric pauses = METRIC(METRIC_COUNTER, "eyes_scm_http_full_total", "",
    "Times that all connections were in use and new ones had to wait");

static void set_default(uint32_t *value, uint32_t fallback)
{
	if (*value == 0)
		*value = fallback;
}

static void set_default_size(size_t *value, size_t fallback)
{
	if (*value == 0)
		*value = fallback;
}

struct gate *gate_new(struct loop *loop, const struct gate_options *options)
{
	struct gate *gate = mem_zero(sizeof(*gate));
	struct gate_options *own = &gate->options;

	*own = *options;
	set_default_size(&own->head_max, 16 * 1024);
	set_default_size(&own->target_max, 8 * 1024);
	set_default(&own->fields_max, 64);
	set_default_size(&own->body_max, 512 * 1024);
	set_default_size(&own->bodies_max, 32 * 1024 * 1024);
	set_default(&own->connections_max, 256);
	set_default(&own->idle_ms, 60 * 1000);
	set_default(&own->head_ms, 10 * 1000);
	set_default(&own->body_ms, 30 * 1000);
	set_default(&own->write_ms, 60 * 1000);
	set_default(&own->linger_ms, 2 * 1000);
	set_default_size(&own->rate, 16 * 1024);
	gate->loop = loop;
	gate->pot = gate_pot_new(own->bodies_max, own->bodies_max / own->connections_max);
	gate->listening = true;
	TAILQ_INIT(&gate->conns);
	TAILQ_INIT(&gate->idle);
	/* A field may grow by the blank behind its colon; a host may come from the target. */
	buf_init(&gate->scratch, 2 * own->head_max + 1024);
	gate->out = evbuffer_new();
	if (gate->out == NULL)
		fatal("out of memory");
	return gate;
}

static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
	struct gate_door *door = arg;
	struct bufferevent *bev = gate_conn_new(door);

	(void)base;
	if (door->gate->open > door->gate->options.connections_max)
		gate_conn_evict(door->gate);
	gate_balance(door->gate);
	return bev;
}

void gate_attach(struct gate *gate, struct evhttp *http, SSL_CTX *tls)
{
	struct gate_door *door = &gate->doors[gate->door_count++];

	if (gate->door_count > GATE_DOORS)
		fatal("a gate stands before at most %d servers", GATE_DOORS);
	*door = (struct gate_door){.gate = gate, .http = http, .tls = tls};
	if (tls != NULL) {
		SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION);
		SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
	}
	evhttp_set_max_headers_size(http, -1);
	evhttp_set_max_body_size(http, -1);
	evhttp_set_timeout(http, -1);
	evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
	                                     EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE);
	evhttp_set_bevcb(http, on_accept, door);
}

bool gate_has_room(const struct gate *gate)
{
	return !gate->stopping &&
	       (gate->open < gate->options.connections_max || !TAILQ_EMPTY(&gate->idle));
}

unsigned gate_connections(const struct gate *gate)
{
	return gate->open;
}

static void set_listener(struct evhttp_bound_socket *bound, void *arg)
{
	const struct gate *gate = arg;
	struct evconnlistener *listener = evhttp_bound_socket_get_listener(bound);

	if (gate->listening)
		evconnlistener_enable(listener);
	else
		evconnlistener_disable(listener);
}

static void set_listening(struct gate *gate, bool listening)
{
	gate->listening = listening;
	for (unsigned i = 0; i < gate->door_count; i++)
		evhttp_foreach_bound_socket(gate->doors[i].http, set_listener, gate);
}

void gate_balance(struct gate *gate)
{
	static struct log_limit limit;

	if (gate->stopping || gate->freed || gate_has_room(gate) == gate->listening)
		return;
	set_listening(gate, !gate->listening);
	if (gate->listening)
		return;
	metric_add(&pauses, 1);
	log_limited_warn(&limit, "web", "all connections are in use, new ones wait",
	    log_uint("connections", gate->open));
}

static void tell_stopped(void *arg)
{
	struct gate *gate = arg;
	loop_fn *stopped = gate->stopped;

	gate->telling = false;
	gate->stopped = NULL;
	if (gate->freed)
		free(gate);
	else
		stopped(gate->stopped_arg);
}

void gate_conn_gone(struct gate *gate)
{
	if (!TAILQ_EMPTY(&gate->conns) || gate->telling)
		return;
	if (gate->freed) {
		free(gate);
	} else if (gate->stopped != NULL) {
		gate->telling = true;
		loop_defer(gate->loop, tell_stopped, gate);
	}
}

void gate_stop(struct gate *gate, loop_fn *done, void *arg)
{
	gate->stopping = true;
	gate->stopped = done;
	gate->stopped_arg = arg;
	set_listening(gate, false);
	gate_conn_stop_all(gate);
	gate_conn_gone(gate);
}

void gate_free(struct gate *gate)
{
	if (gate == NULL)
		return;
	gate->freed = gate->stopping = true;
	gate_pot_free(gate->pot);
	buf_free(&gate->scratch);
	evbuffer_free(gate->out);
	gate_conn_gone(gate);
}
