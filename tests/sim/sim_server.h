/*
 * sim_server: a small HTTP/1.1 server, plain or TLS, that is the other end of end-to-end tests and
 * of the benchmark.
 *
 * It reads and writes its sockets and TLS sessions directly instead of through bufferevents:
 * bufferevent_openssl takes two epoll_ctl and another turn of the loop for every answer, and the
 * simulator must not be what a benchmark measures. Requests go through the project's strict parser.
 *
 * What always holds: one request a connection is with the handler at a time, the ones pipelined
 * behind it wait as bytes, so answers leave in order; head and body of an answer are written in one
 * piece; a request is answered at most once, now or later; when its connection ends first, `gone`
 * is called and the request must be forgotten.
 */
#ifndef SIM_SERVER_H
#define SIM_SERVER_H

#include "base/loop.h"
#include "net/http_codec.h"
#include <openssl/ssl.h>

struct sim_server;
struct sim_connection;
struct sim_request;

#define SIM_SEGMENTS 20
#define SIM_VARIABLES 4

/* What happens to the answer of a request. */
enum sim_ending {
	SIM_WHOLE,
	SIM_CUT,    /* not sent; the connection is closed */
	SIM_HALF,   /* its first half is sent, then the connection is closed */
	SIM_NOWHERE /* there is no connection any more: the effect counts, the answer is dropped */
};

typedef void sim_instead_fn(
    struct sim_request *request, int status, const char *type, const char *body, size_t length);

struct sim_request {
	struct sim_connection *connection; /* NULL for a detached one */
	uint64_t number;                   /* 1, 2, ... over all connections */
	int64_t wall_ms;
	uint64_t arrived_us; /* monotonic */
	const struct http_head *head;
	const char *method;
	const char *path;                  /* raw, without the query */
	const char *query;                 /* raw; "" when there is none */
	const char *segment[SIM_SEGMENTS]; /* of the path, decoded */
	unsigned segment_count;
	bool bad_path; /* an escape that cannot be decoded, or too many segments */
	const char *variable[SIM_VARIABLES]; /* what stood at "{}" in the route */
	const char *body;                    /* NUL-terminated */
	size_t body_length;
	struct buf fields; /* header lines for the answer: sim_answer_field */
	enum sim_ending ending;
	bool reset;              /* cuts are TCP resets */
	uint32_t delay_ms;       /* the finished answer waits so long */
	sim_instead_fn *instead; /* gets the handler's answer; it answers itself, now or later */
	void *instead_data;
	const char *fault; /* literal: the action of the rule that hit, for the record */
	int status;        /* of the answer, once there is one */
	void *route;       /* sim.c's */
	void (*gone)(struct sim_request *request); /* while deferred: the connection ended */
	void *data;                                /* for gone */
	char *copy;                                /* private: path and query, in pieces */
};

typedef void sim_request_fn(struct sim_request *request, void *arg);
/* An answer is on its way, or dropped: `status` 0 when the connection was cut without one. */
typedef void sim_answered_fn(struct sim_request *request, int status, void *arg);

struct sim_server_counts {
	uint64_t requests, connections, handshakes, resumed, bad_requests, tls_failures;
	unsigned open;
};

struct sim_server_options {
	const char *bind;
	int port;
	SSL_CTX *tls; /* NULL for plain HTTP; stays the caller's */
	sim_request_fn *handler;
	sim_answered_fn *answered;
	void *arg;
};

struct sim_server *sim_server_new(
    struct loop *loop, const struct sim_server_options *options, struct err *err);
void sim_server_free(struct sim_server *server);
int sim_server_port(const struct sim_server *server);
const struct sim_server_counts *sim_server_counts(const struct sim_server *server);
void sim_server_clear_counts(struct sim_server *server);
/* Closes the listener and every connection but this request's, and listens again after so many ms.
 */
void sim_server_down(struct sim_server *server, struct sim_request *but, uint32_t ms);

/* A header of the answer to come. */
void sim_answer_field(struct sim_request *request, const char *name, const char *value);
/* type NULL: no Content-Type. The body is copied. */
void sim_answer(
    struct sim_request *request, int status, const char *type, const char *body, size_t length);
void sim_request_cut(
    struct sim_request *request); /* closes the connection; request->gone is not called */
/* These bytes instead of an answer, then the end. */
void sim_request_garbage(struct sim_request *request, const void *data, size_t length);
/* A copy without a connection, for later; the caller answers it (to nowhere) and frees it. */
struct sim_request *sim_request_detach(const struct sim_request *request);
void sim_request_free_detached(struct sim_request *request);

/* "https://host:port" as the client addressed us. out: at least 320 bytes. */
void sim_request_origin(const struct sim_request *request, char *out, size_t size);
/* The value of a query parameter, decoded, into out; false when absent. `nth` counts equal names
 * from 0. */
bool sim_query(const struct sim_request *request, const char *name, unsigned nth, struct buf *out);
/* As a number; `otherwise` when absent or none. */
int64_t sim_query_integer(const struct sim_request *request, const char *name, int64_t otherwise);

#endif
