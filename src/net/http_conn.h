/*
 * http_conn: one connection of the outbound client, from the name to the answer, over and over.
 * What it is asked to do comes from http_client; it knows nothing of pools, retries and redirects.
 * The states are drawn in http_conn.c.
 *
 * The owner is told: `answered` with a whole response, then `idle` when the connection may take the
 * next exchange; or `closed`, once, whatever the cause. After `closed` the connection is gone (its
 * memory goes at the end of the turn). None of them is called inside http_conn_start.
 */
#ifndef NET_HTTP_CONN_H
#define NET_HTTP_CONN_H

#include "net/http_client.h"
#include "net/proxy.h"

struct http_route { /* where a connection leads; the pool's, outlives its connections */
	bool tls;
	char host[256];
	uint16_t port;
	char authority[320];       /* "host:port", always with the port */
	const char *unix_path;     /* or NULL */
	const struct proxy *proxy; /* or NULL */
	struct tls_trust *trust;   /* or NULL without tls */
};

struct http_exchange {           /* one request and its answer; the client's */
	const struct buf *bytes; /* the request as it goes out */
	bool no_body;            /* HEAD */
	size_t body_limit;
	struct http_deadlines deadlines; /* all set */
	uint64_t total_at;               /* monotonic ms */
	struct buf body;                 /* of the answer */
	bool sent;                       /* a byte may have arrived; stays true over a retry */
	bool reused;                     /* went out on a connection that had carried another one */
	bool begun;                      /* a byte of the answer came */
	struct http_trace trace;
};

struct http_conn;
struct http_conn_owner {
	/* head is valid until this returns */
	void (*answered)(struct http_conn *conn, struct http_exchange *exchange,
	    const struct http_head *head, void *arg);
	void (*idle)(struct http_conn *conn, void *arg);
	/* exchange and err are NULL when nobody was waiting for an answer */
	void (*closed)(struct http_conn *conn, struct http_exchange *exchange,
	    const struct err *err, void *arg);
};

struct http_conn *http_conn_new(struct loop *loop, struct resolver *resolver,
    const struct http_route *route, const struct http_conn_owner *owner, void *arg);
/* On a new or an idle connection. The exchange is borrowed until answered, closed or
 * http_conn_close. */
void http_conn_start(struct http_conn *conn, struct http_exchange *exchange);
/* Whether an idle connection still looks open; asks the socket only after some time without use. */
bool http_conn_usable(struct http_conn *conn);
/* The owner gets `closed` without exchange. reason: for the log. Returns the exchange that was
 * under way, or NULL. */
struct http_exchange *http_conn_close(struct http_conn *conn, const char *reason);

#endif
