/*
 * http_client: outbound HTTP and HTTPS on the loop. Written on bufferevents because evhttp's client
 * takes 103 as final, loses bodies that run to the end of the connection, has no total deadline and
 * no CONNECT.
 *
 *   http_client (pool, proxy choice, redirects, one safe retry)
 *      `- http_conn (DNS -> TCP or Unix socket -> CONNECT -> TLS -> request -> response -> idle)
 *
 * What always holds:
 *  - Every request calls its completion exactly once, never inside http_client_send; after
 * http_request_cancel never.
 *  - Connections are pooled by scheme, host, port, proxy and trust; at most `connections` at once
 * for one pool, the other requests wait in order (their total deadline runs).
 *  - A byte or an end while idle discards the connection. A request is sent again once, on a fresh
 * connection, only when it went out on a reused connection that closed before a single response
 * byte came, and `repeatable` is set.
 *  - Deadlines for DNS, connect, TLS, first byte and total; caps for head and body.
 *  - Redirects (301 302 303 307 308; GET and HEAD, or 307/308 with any method) are followed up to 3
 * times and only within the same origin; a redirect elsewhere is handed to the caller as it is.
 * Credentials never cross an origin.
 *  - `sent` in the result tells whether a byte of the request may have reached the other side: with
 * an error, the outcome is then ambiguous.
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/url.h"
#include "net/http_codec.h"
#include "net/resolver.h"
#include "net/tls.h"

struct http_client;
struct http_request;

struct http_proxy_config {       /* as in the environment; NULL or "" when unset; copied */
	const char *https_proxy; /* URL with optional user:password; only http:// proxies */
	const char *http_proxy;
	const char *no_proxy; /* comma-separated: names with their subdomains, ".name", "*",
	                         addresses, CIDR, ":port" */
};

struct http_deadlines {      /* milliseconds; 0 takes the default */
	uint32_t dns;        /* 5 s */
	uint32_t connect;    /* 10 s, over all addresses of the name */
	uint32_t tls;        /* 10 s */
	uint32_t first_byte; /* 30 s after the request was written */
	uint32_t total;      /* 60 s, from http_client_send */
};

#define HTTP_TRACE_HOPS 12
enum http_hop_outcome { HTTP_HOP_OK, HTTP_HOP_FAILED, HTTP_HOP_SKIPPED };
struct http_hop {
	const char *hop; /* literal: "DNS", "Proxy", "TCP", "TLS", "HTTP" */
	enum http_hop_outcome outcome;
	char detail[160]; /* "192.0.2.7:443", "TLSv1.3 ...", "401", or the fault's words */
	uint32_t ms;
};
struct http_trace {
	unsigned count;
	struct http_hop hops[HTTP_TRACE_HOPS];
	bool reused; /* the connection was open already: only HTTP is in the trace */
	struct tls_certificate certificate; /* of the connection's other end, trusted or not */
};

struct http_result {                  /* all borrowed for the time of the callback */
	const struct err *err;        /* NULL when a whole response came */
	const struct http_head *head; /* NULL with an error */
	int status;                   /* 0 with an error */
	const char *body;             /* NUL-terminated */
	size_t body_length;
	bool sent; /* a byte of the request may have arrived */
	const struct http_trace *trace;
	const struct url *url; /* the last one asked, after redirects */
};
typedef void http_fn(const struct http_result *result, void *arg);

struct http_header {
	const char *name, *value;
	bool secret; /* not sent after a redirect to another path's origin; overwritten in memory
	                after use */
};

struct http_options {
	const char *method;
	const struct url *url;   /* copied */
	const char *unix_path;   /* talk to this socket instead; url gives Host and target */
	struct tls_trust *trust; /* for https; referenced */
	const struct http_header *headers; /* copied into the request's bytes at once */
	unsigned header_count;
	const char *body; /* copied; NULL for none */
	size_t body_length;
	size_t body_limit;    /* of the response, default 1 MiB */
	bool repeatable;      /* may be sent twice without harm */
	unsigned connections; /* limit of the pool, default 16 */
	struct http_deadlines deadlines;
};

struct http_client *http_client_new(struct loop *loop, struct resolver *resolver,
    const struct http_proxy_config *proxy, struct err *err);
void http_client_free(struct http_client *client); /* cancels everything without completions */
/* NULL (err filled, no completion) only for what is wrong in the options: a header with a line
 * break, say. */
struct http_request *http_client_send(struct http_client *client,
    const struct http_options *options, http_fn *fn, void *arg, struct err *err)
    __attribute__((warn_unused_result));
/* From within the request's own completion it does nothing; afterwards the request is gone. */
void http_request_cancel(struct http_request *request);
/* Closes idle connections, all of them or those of one trust (a CA was replaced). */
void http_client_drop_idle(struct http_client *client, const struct tls_trust *trust);
/* Which proxy a URL goes through, "host:port" or "" (direct). out: at least 320 bytes. */
void http_client_proxy_for(
    const struct http_client *client, const struct url *url, char *out, size_t size);

/* {"hop","outcome","detail","ms"} objects in an array, as JSON text. */
void http_trace_json(const struct http_trace *trace, struct buf *out);

#endif
