/*
 * A request's way through the pool:
 *
 *   http_client_send --> WAITING --pool_pump--> ACTIVE --conn_answered--> request_finish -->
 * recycled ^                     |   | |  redirect in place  |   `--conn_closed----> request_finish
 * with the error
 *                           `---------------------'
 *                              stale connection (conn_closed), once
 *
 * pool_settle is the last step of everything that changes a pool: it hands connections to waiting
 * requests in order and frees a pool that holds nothing. While a completion runs (`hold`), requests
 * sent from it only wait, so that the connection which just became free is theirs.
 */
#include "net/http_client.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "net/http_compose.h"
#include "net/http_conn.h"
#include "net/http_trace.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define CLIENT_BUCKETS 64
#define CLIENT_SPARE 64          /* finished requests kept for their memory */
#define CLIENT_SPARE_BYTES 16384 /* whose buffers are not larger */
#define CLIENT_CONNECTIONS 16
#define CLIENT_BODY_LIMIT (1u << 20)
#define CLIENT_REDIRECTS 3
#define CLIENT_LATE_MS 20 /* late requests that wait are looked for at most this often */

enum request_state { REQUEST_WAITING, REQUEST_ACTIVE, REQUEST_FINISHING };

struct http_request {
	struct http_exchange exchange;  /* first: what a connection hands back */
	TAILQ_ENTRY(http_request) link; /* in the pool's waiting or the client's spare list */
	struct pool *pool;
	struct http_conn *conn; /* while ACTIVE */
	enum request_state state;
	http_fn *fn;
	void *arg;
	struct http_message message;
	unsigned redirects; /* followed */
	bool repeatable;
	bool retried; /* wants a fresh connection */
};
TAILQ_HEAD(requests, http_request);

TAILQ_HEAD(pools, pool);

struct pool {
	TAILQ_ENTRY(pool) link;
	struct pools *bucket; /* where it is linked */
	struct http_client *client;
	struct http_route route;
	char *unix_path;
	char host_field[320];
	unsigned limit, count, room, idle_count;
	struct http_conn **conns; /* all of them */
	struct http_conn **idle;  /* the last used last, and taken first: the others may grow old */
	struct requests waiting;
	unsigned hold;
};

struct http_client {
	struct loop *loop;
	struct resolver *resolver;
	struct proxy_rules rules;
	struct pools buckets[CLIENT_BUCKETS];
	struct requests spare;
	unsigned spare_count;
	struct loop_timer late; /* the earliest total deadline of a request that waits */
	uint64_t late_at;
	bool closing;
};

/* Requests */
static struct http_request *request_new(struct http_client *client);
static bool request_fill(
    struct http_request *request, const struct http_options *options, struct err *err);
static void request_finish(
    struct http_request *request, const struct http_head *head, const struct err *err);
static void request_recycle(struct http_client *client, struct http_request *request);
/* Pools */
static struct pool *pool_find(struct http_client *client, const struct http_options *options);
static void pool_settle(struct pool *pool);
static void pool_pump(struct pool *pool);
static struct http_conn *pool_take(struct pool *pool);
static struct http_conn *pool_open(struct pool *pool);
static void pool_remove(struct pool *pool, struct http_conn *conn);
static void pool_close_idle(struct pool *pool);
static void pool_free(struct pool *pool);
/* Connections' news */
static void conn_answered(struct http_conn *conn, struct http_exchange *exchange,
    const struct http_head *head, void *arg);
static void conn_idle(struct http_conn *conn, void *arg);
static void conn_closed(
    struct http_conn *conn, struct http_exchange *exchange, const struct err *err, void *arg);
/* Deadlines of those that wait */
static void client_watch(struct http_client *client, uint64_t at);
static void client_late(void *arg);

static const struct http_conn_owner owner = {conn_answered, conn_idle, conn_closed};

static struct metric requests_total =
    METRIC(METRIC_COUNTER, "eyes_scm_http_client_requests_total", "", "Outbound HTTP requests");
static struct metric retries_total = METRIC(METRIC_COUNTER, "eyes_scm_http_client_retries_total",
    "", "Outbound HTTP requests sent again because an idle connection had ended");
static struct metric connections_total = METRIC(METRIC_COUNTER,
    "eyes_scm_http_client_connections_total", "", "Outbound HTTP connections begun");
static struct metric errors_total = METRIC(METRIC_COUNTER, "eyes_scm_http_client_errors_total", "",
    "Outbound HTTP requests without an answer");

struct http_client *http_client_new(struct loop *loop, struct resolver *resolver,
    const struct http_proxy_config *proxy, struct err *err)
{
	const struct http_proxy_config none = {0}, *config = proxy != NULL ? proxy : &none;
	struct http_client *client = mem_zero(sizeof *client);

	client->loop = loop;
	client->resolver = resolver;
	if (!proxy_rules_init(
	        &client->rules, config->https_proxy, config->http_proxy, config->no_proxy, err)) {
		free(client);
		return NULL;
	}
	for (unsigned i = 0; i < CLIENT_BUCKETS; i++)
		TAILQ_INIT(&client->buckets[i]);
	TAILQ_INIT(&client->spare);
	loop_timer_init(&client->late, loop, client_late, client);
	return client;
}

static void client_free(void *arg)
{
	struct http_client *client = arg;
	struct http_request *request;
	struct pool *pool;

	for (unsigned i = 0; i < CLIENT_BUCKETS; i++) {
		while ((pool = TAILQ_FIRST(&client->buckets[i])) != NULL)
			pool_free(pool);
	}
	client->spare_count = CLIENT_SPARE; /* recycling frees from now on */
	while ((request = TAILQ_FIRST(&client->spare)) != NULL) {
		TAILQ_REMOVE(&client->spare, request, link);
		request_recycle(client, request);
	}
	proxy_rules_free(&client->rules);
	free(client);
}

void http_client_free(struct http_client *client)
{
	struct http_request *request;
	struct pool *pool;

	if (client == NULL || client->closing)
		return;
	client->closing = true; /* pools only shrink from now on */
	loop_timer_cancel(&client->late);
	for (unsigned i = 0; i < CLIENT_BUCKETS; i++) {
		TAILQ_FOREACH(pool, &client->buckets[i], link)
		{
			while ((request = TAILQ_FIRST(&pool->waiting)) != NULL) {
				TAILQ_REMOVE(&pool->waiting, request, link);
				request_recycle(client, request);
			}
			while (pool->count > 0) {
				struct http_conn *last = pool->conns[pool->count - 1];

				request =
				    (struct http_request *)http_conn_close(last, "the client ends");
				if (request != NULL)
					request_recycle(client, request);
			}
		}
	}
	loop_defer(client->loop, client_free, client); /* a completion may stand on it */
}

struct http_request *http_client_send(struct http_client *client,
    const struct http_options *options, http_fn *fn, void *arg, struct err *err)
{
	struct http_request *request;
	struct pool *pool;

	if (options->url->tls && options->trust == NULL) {
		err_set(err, "request_invalid", "an https request without a trust");
		return NULL;
	}
	request = request_new(client);
	request->fn = fn;
	request->arg = arg;
	pool = request->pool = pool_find(client, options);
	if (!request_fill(request, options, err)) {
		request_recycle(client, request);
		pool_settle(pool);
		return NULL;
	}
	pool->limit = options->connections > 0 ? options->connections : CLIENT_CONNECTIONS;
	TAILQ_INSERT_TAIL(&pool->waiting, request, link);
	metric_add(&requests_total, 1);
	pool_settle(pool);
	if (request->state == REQUEST_WAITING)
		client_watch(client, request->exchange.total_at);
	return request;
}

void http_request_cancel(struct http_request *request)
{
	struct pool *pool = request->pool;
	struct http_conn *conn = request->conn;

	if (request->state == REQUEST_FINISHING)
		return; /* from within its own completion */
	pool->hold++;
	if (request->state == REQUEST_WAITING)
		TAILQ_REMOVE(&pool->waiting, request, link);
	else
		http_conn_close(conn, "the request was cancelled");
	pool->hold--;
	request_recycle(pool->client, request);
	pool_settle(pool);
}

void http_client_drop_idle(struct http_client *client, const struct tls_trust *trust)
{
	struct pool *pool, *next;

	for (unsigned i = 0; i < CLIENT_BUCKETS; i++) {
		for (pool = TAILQ_FIRST(&client->buckets[i]); pool != NULL; pool = next) {
			next = TAILQ_NEXT(pool, link);
			if (trust != NULL && pool->route.trust != trust)
				continue;
			pool_close_idle(pool);
			pool_settle(pool);
		}
	}
}

void http_client_proxy_for(
    const struct http_client *client, const struct url *url, char *out, size_t size)
{
	const struct proxy *proxy = proxy_for(&client->rules, url);

	snprintf(out, size, "%s", proxy != NULL ? proxy->text : "");
}

/* ---- requests ---- */

static struct http_request *request_new(struct http_client *client)
{
	struct http_request *request = TAILQ_FIRST(&client->spare);

	if (request != NULL) {
		TAILQ_REMOVE(&client->spare, request, link);
		client->spare_count--;
	} else {
		request = mem_zero(sizeof *request);
	}
	request->state = REQUEST_WAITING;
	request->conn = NULL;
	request->redirects = 0;
	request->retried = false;
	request->exchange.sent = false;
	request->exchange.begun = false;
	request->exchange.trace.count = 0;
	request->exchange.trace.reused = false;
	request->exchange.trace.certificate = (struct tls_certificate){0};
	return request;
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value > 0 ? value : otherwise;
}

static bool request_fill(
    struct http_request *request, const struct http_options *options, struct err *err)
{
	const struct http_deadlines *wanted = &options->deadlines;
	const struct http_route *route = &request->pool->route;
	struct http_exchange *exchange = &request->exchange;

	exchange->bytes = &request->message.bytes;
	exchange->deadlines = (struct http_deadlines){
	    .dns = or_default(wanted->dns, 5000),
	    .connect = or_default(wanted->connect, 10000),
	    .tls = or_default(wanted->tls, 10000),
	    .first_byte = or_default(wanted->first_byte, 30000),
	    .total = or_default(wanted->total, 60000),
	};
	exchange->total_at = clock_monotonic_ms() + exchange->deadlines.total;
	exchange->body_limit = options->body_limit > 0 ? options->body_limit : CLIENT_BODY_LIMIT;
	exchange->no_body = strcmp(options->method, "HEAD") == 0;
	exchange->body.limit = exchange->body_limit;
	request->repeatable = options->repeatable;
	return http_compose(&request->message, options, request->pool->host_field,
	    route->tls ? NULL : route->proxy, err);
}

/* Tells the caller; the pool must be settled afterwards. */
static void request_finish(
    struct http_request *request, const struct http_head *head, const struct err *err)
{
	struct http_exchange *exchange = &request->exchange;
	struct http_client *client = request->pool->client;
	struct pool *pool = request->pool;
	struct http_result result = {
	    .err = err,
	    .head = err == NULL ? head : NULL,
	    .status = err == NULL ? head->status : 0,
	    .body = exchange->body.data != NULL ? exchange->body.data : "",
	    .body_length = exchange->body.length,
	    .sent = exchange->sent,
	    .trace = &exchange->trace,
	    .url = &request->message.url,
	};

	if (err != NULL)
		metric_add(&errors_total, 1);
	request->state = REQUEST_FINISHING;
	request->conn = NULL;
	pool->hold++;
	request->fn(&result, request->arg);
	pool->hold--;
	request_recycle(client, request);
}

/* Overwrites the request's bytes: they may have held a token. */
static void request_recycle(struct http_client *client, struct http_request *request)
{
	struct http_exchange *exchange = &request->exchange;

	http_compose_clear(&request->message, CLIENT_SPARE_BYTES);
	if (client->spare_count >= CLIENT_SPARE) {
		buf_free(&request->message.bytes);
		buf_free(&exchange->body);
		free(request);
		return;
	}
	if (exchange->body.capacity > CLIENT_SPARE_BYTES)
		buf_free(&exchange->body);
	buf_reset(&exchange->body);
	TAILQ_INSERT_HEAD(&client->spare, request, link);
	client->spare_count++;
}

/* ---- pools ---- */

static unsigned bucket_of(const struct http_options *options)
{
	uint32_t hash = 2166136261u ^ options->url->port;

	for (const char *c = options->url->host; *c != '\0'; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	return (hash ^ hash >> 16) % CLIENT_BUCKETS;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static struct pool *pool_new(struct http_client *client, const struct http_options *options)
{
	const struct url *url = options->url;
	struct pool *pool = mem_zero(sizeof *pool);
	struct http_route *route = &pool->route;

	pool->client = client;
	TAILQ_INIT(&pool->waiting);
	route->tls = url->tls;
	route->port = url->port;
	memcpy(route->host, url->host, sizeof route->host);
	snprintf(route->authority, sizeof route->authority, url->ipv6 ? "[%s]:%u" : "%s:%u",
	    url->host, url->port);
	pool->unix_path = mem_string(options->unix_path);
	route->unix_path = pool->unix_path;
	route->proxy = options->unix_path == NULL ? proxy_for(&client->rules, url) : NULL;
	route->trust = url->tls ? tls_trust_ref(options->trust) : NULL;
	url_authority(url, pool->host_field, sizeof pool->host_field);
	return pool;
}

/* The proxy is no part of the key: it follows from scheme, host and port. */
static struct pool *pool_find(struct http_client *client, const struct http_options *options)
{
	struct pools *bucket = &client->buckets[bucket_of(options)];
	const struct url *url = options->url;
	const struct tls_trust *trust = url->tls ? options->trust : NULL;
	struct pool *pool;

	TAILQ_FOREACH(pool, bucket, link)
	{
		const struct http_route *route = &pool->route;

		if (route->port == url->port && route->tls == url->tls && route->trust == trust &&
		    strcmp(route->host, url->host) == 0 &&
		    same_text(pool->unix_path, options->unix_path))
			return pool;
	}
	pool = pool_new(client, options);
	pool->bucket = bucket;
	TAILQ_INSERT_HEAD(bucket, pool, link);
	return pool;
}

static void pool_settle(struct pool *pool)
{
	if (pool->hold > 0 || pool->client->closing)
		return;
	pool_pump(pool);
	if (pool->count == 0 && TAILQ_EMPTY(&pool->waiting))
		pool_free(pool);
}

static void pool_pump(struct pool *pool)
{
	struct http_request *request;
	struct http_conn *conn;

	while ((request = TAILQ_FIRST(&pool->waiting)) != NULL) {
		conn = request->retried ? NULL : pool_take(pool);
		if (conn == NULL && pool->count >= pool->limit && pool->idle_count > 0)
			pool_close_idle(
			    pool); /* room for the fresh one that a repeated request wants */
		if (conn == NULL && pool->count >= pool->limit)
			return;
		if (conn == NULL)
			conn = pool_open(pool);
		TAILQ_REMOVE(&pool->waiting, request, link);
		request->state = REQUEST_ACTIVE;
		request->conn = conn;
		http_conn_start(conn, &request->exchange);
	}
}

static struct http_conn *pool_take(struct pool *pool)
{
	struct http_conn *conn;

	while (pool->idle_count > 0) {
		conn = pool->idle[--pool->idle_count];
		if (http_conn_usable(conn))
			return conn;
		pool->hold++;
		http_conn_close(conn, "ended by the other side");
		pool->hold--;
	}
	return NULL;
}

static struct http_conn *pool_open(struct pool *pool)
{
	struct http_client *client = pool->client;

	if (pool->count == pool->room) {
		pool->room = pool->room == 0 ? 4 : pool->room * 2;
		pool->conns = mem_grow(pool->conns, pool->room, sizeof(struct http_conn *));
		pool->idle = mem_grow(pool->idle, pool->room, sizeof(struct http_conn *));
	}
	metric_add(&connections_total, 1);
	return pool->conns[pool->count++] =
	           http_conn_new(client->loop, client->resolver, &pool->route, &owner, pool);
}

static void list_remove(struct http_conn **list, unsigned *count, const struct http_conn *conn)
{
	for (unsigned i = 0; i < *count; i++) {
		if (list[i] != conn)
			continue;
		memmove(list + i, list + i + 1, (--*count - i) * sizeof *list);
		return;
	}
}

static void pool_remove(struct pool *pool, struct http_conn *conn)
{
	list_remove(pool->conns, &pool->count, conn);
	list_remove(pool->idle, &pool->idle_count, conn);
}

static void pool_close_idle(struct pool *pool)
{
	pool->hold++;
	while (pool->idle_count > 0)
		http_conn_close(pool->idle[0], "dropped");
	pool->hold--;
}

static void pool_free(struct pool *pool)
{
	TAILQ_REMOVE(pool->bucket, pool, link);
	tls_trust_unref(pool->route.trust);
	free(pool->unix_path);
	free(pool->conns);
	free(pool->idle);
	free(pool);
}

/* ---- connections' news ---- */

static void conn_answered(
    struct http_conn *conn, struct http_exchange *exchange, const struct http_head *head, void *arg)
{
	struct http_request *request = (struct http_request *)exchange;
	struct pool *pool = arg;

	(void)conn;
	if (request->redirects >= CLIENT_REDIRECTS ||
	    !http_compose_redirect(&request->message, head)) {
		request_finish(request, head, NULL);
		return;
	}
	request->redirects++;
	request->state = REQUEST_WAITING;
	request->conn = NULL;
	TAILQ_INSERT_HEAD(&pool->waiting, request, link);
}

static void conn_idle(struct http_conn *conn, void *arg)
{
	struct pool *pool = arg;

	pool->idle[pool->idle_count++] = conn;
	pool_settle(pool);
}

static void conn_closed(
    struct http_conn *conn, struct http_exchange *exchange, const struct err *err, void *arg)
{
	struct http_request *request = (struct http_request *)exchange;
	struct pool *pool = arg;

	pool_remove(pool, conn);
	if (request != NULL && request->repeatable && exchange->reused && !exchange->begun &&
	    !request->retried && err_is(err, "http_cut")) {
		metric_add(&retries_total, 1);
		request->retried = true;
		request->state = REQUEST_WAITING;
		request->conn = NULL;
		TAILQ_INSERT_HEAD(&pool->waiting, request, link);
	} else if (request != NULL) {
		request_finish(request, NULL, err);
	}
	pool_settle(pool);
}

/* ---- deadlines of those that wait ---- */

static void client_watch(struct http_client *client, uint64_t at)
{
	uint64_t now;

	if (client->late.pending && client->late_at <= at)
		return;
	now = clock_monotonic_ms();
	client->late_at = at;
	loop_timer_set(&client->late, at > now + CLIENT_LATE_MS ? at - now : CLIENT_LATE_MS);
}

static void request_late(struct http_request *request)
{
	struct pool *pool = request->pool;
	struct err err = ERR_INIT;

	TAILQ_REMOVE(&pool->waiting, request, link);
	err_set(&err, "deadline", "all %u connections to %s were busy for %g s", pool->limit,
	    pool->route.authority, request->exchange.deadlines.total / 1000.0);
	err_hop(&err, "HTTP");
	err_hint(&err, "the server answers too slowly for what is asked of it");
	http_trace_add(&request->exchange.trace, "HTTP", HTTP_HOP_FAILED,
	    request->exchange.deadlines.total, err.message);
	request_finish(request, NULL, &err);
}

/* One late request of the pool, or NULL; `next` becomes the earliest deadline seen. */
static struct http_request *pool_late(const struct pool *pool, uint64_t now, uint64_t *next)
{
	struct http_request *request;

	TAILQ_FOREACH(request, &pool->waiting, link)
	{
		if (request->exchange.total_at <= now)
			return request;
		if (request->exchange.total_at < *next)
			*next = request->exchange.total_at;
	}
	return NULL;
}

/* Completions may change any pool: after each one the bucket is begun anew. */
static void client_late(void *arg)
{
	struct http_client *client = arg;
	uint64_t now = clock_monotonic_ms(), next = UINT64_MAX;
	struct http_request *request;
	struct pool *pool;

	for (unsigned i = 0; i < CLIENT_BUCKETS; i++) {
		TAILQ_FOREACH(pool, &client->buckets[i], link)
		{
			request = pool_late(pool, now, &next);
			if (request == NULL)
				continue;
			request_late(request);
			if (client->closing)
				return;
			pool_settle(pool);
			i--; /* once more */
			break;
		}
	}
	if (next != UINT64_MAX)
		client_watch(client, next);
}
