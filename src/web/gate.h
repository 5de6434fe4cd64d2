/*
 * gate: stands before evhttp and lets through only what is plain HTTP.
 *
 *   socket or TLS --> net/http_codec (strict) --> a head written anew, and the whole body -->
 * evhttp
 *                                            '--> a refusal in our own words, and the end
 *
 * evhttp accepts much that is malformed, buffers without bound and knows only inactivity (see
 * gate_request.c for what else is refused here). Behind a gate it sees one well-formed request at a
 * time: HTTP/1.1 or 1.0, a method of GET HEAD POST PUT DELETE, a target that begins with one "/",
 * one Host, a body with a Content-Length that is there already. Expect, Upgrade, TE and
 * Transfer-Encoding never reach it. The next request of the connection comes after the reply to the
 * present one has gone out.
 *
 * What always holds:
 *  - what a client sends while its reply is pending is kept up to 64 KiB and then left in the
 *    kernel;
 *  - the bodies of one pot take at most its size together. Where one more byte has no room, the
 *    body that has been in hand longest among those over the pot's `share` gives way (503): whoever
 *    holds much and does not go on is the first to go, and a body within the share never is;
 *  - each phase has an absolute deadline. Body and reply may take longer than theirs only as long
 *    as they keep up `rate` bytes a second, and not even then where `limit` says so. A handler that
 *    thinks has no deadline here;
 *  - when `connections_max` are open, a new one takes the place of the one that has been idle
 *    longest, and where none is idle the listeners rest until one is;
 *  - `limit` may allow one request's body more or less than body_max: what its Content-Length
 *    announces beyond that is refused, or answered by `over`, before it is read;
 *  - a refusal is JSON {"error":{"code","message"}}, closes the connection, and counts in
 *    eyes_scm_http_refused_total by reason.
 *
 * For handlers:
 *  - HEAD arrives as GET; what follows the head of the reply is dropped;
 *  - a client that goes away while its reply is pending shows in
 *    evhttp_request_get_connection(request) == NULL, and evhttp_connection_set_closecb tells of it.
 *    Answer all the same: that frees the request. A client that only ends its sending is answered;
 *  - evhttp_send_reply_start only after gate_expect_stream returned true, and then
 *    evhttp_send_reply_end in every case, also when the connection has gone.
 */
#ifndef WEB_GATE_H
#define WEB_GATE_H

#include "base/loop.h"
#include <openssl/ssl.h>
#include <stddef.h>

struct evbuffer;
struct evhttp;
struct evhttp_request;
struct gate;
struct gate_pot;
struct gate_reply;
struct http_head;

/* The direct road, see below. */
typedef bool gate_take_fn(
    struct gate_reply *reply, const struct http_head *head, struct evbuffer *body, void *arg);
struct gate_terms { /* of one body; the gate's own until `limit` changes some */
	size_t body_max;
	uint32_t body_ms;
	bool final;           /* body_ms is the end, whatever the body has earned */
	struct gate_pot *pot; /* that it takes its room from */
};
typedef void gate_limit_fn(const struct http_head *head, struct gate_terms *terms, void *arg);
typedef void gate_refused_fn(const struct http_head *head, int status, void *arg);

struct gate_options {             /* copied; 0 means the value in brackets */
	size_t head_max;          /* bytes of request line and headers [16 KiB] */
	size_t target_max;        /* bytes of the target [8 KiB] */
	unsigned fields_max;      /* headers [64] */
	size_t body_max;          /* bytes of one body [512 KiB] */
	size_t bodies_max;        /* bytes of the gate's own pot [32 MiB]; each of
	                             connections_max has its share of it */
	unsigned connections_max; /* [256] */
	uint32_t idle_ms;         /* between requests, and before the first [60 s] */
	uint32_t head_ms;         /* from its first byte; also the TLS handshake [10 s] */
	uint32_t body_ms;         /* [30 s] */
	uint32_t write_ms;        /* a reply, once the kernel takes no more at once [60 s] */
	uint32_t linger_ms;       /* after a refusal, for the client to read it [2 s] */
	size_t rate;              /* bytes a second that extend body_ms and write_ms [16 KiB] */
	gate_limit_fn *limit;     /* sets the terms of this request [the gate's for all] */
	gate_take_fn *over;       /* may take one whose body is over its limit: body is NULL, and
	                             its answer ends the connection [413 for all] */
	gate_take_fn *take;       /* [everything goes to evhttp] */
	gate_refused_fn *refused; /* hears of each refusal that the gate answers once the head of
	                             the request is known [nobody does] */
	void *arg;                /* of these four */
};

/*
 * Room for bodies on their way in, which several gates of one loop may share: `max` bytes in all,
 * and `share` for each connection in any case (connections of all gates x share <= max).
 * gate_pot_free: once no gate asks for it any more; bodies that are still in hand keep it.
 */
struct gate_pot *gate_pot_new(size_t max, size_t share);
void gate_pot_free(struct gate_pot *pot);

struct gate *gate_new(struct loop *loop, const struct gate_options *options);
/*
 * Everything that comes to http passes the gate from now on; also sets evhttp's own limits, so that
 * only the gate's count. tls: NULL for TCP and Unix sockets as they are, else the server's context
 * (borrowed until gate_free; renegotiation is switched off in it). A gate may stand before several
 * evhttp (at most GATE_DOORS), which then share the number of connections.
 */
#define GATE_DOORS 8
void gate_attach(struct gate *gate, struct evhttp *http, SSL_CTX *tls);
/* Whoever has disabled a listener for another reason (EMFILE) enables it again only when true. */
bool gate_has_room(const struct gate *gate);
unsigned gate_connections(const struct gate *gate);

/*
 * The reply will be a stream (Server-Sent Events): it has no write deadline, and is cut when more
 * than output_max bytes wait for the client. It also ends as soon as the client ends its sending.
 * False when this client can take none (HTTP/1.0, HEAD, or it has gone): answer in one piece.
 */
bool gate_expect_stream(struct evhttp_request *request, size_t output_max);

/*
 * The direct road: a request that `take` takes never sees evhttp, which costs more than many a
 * handler. `take` is called with each whole request, before evhttp would have it; head and body
 * (NULL when there is none) are borrowed for the call. HEAD arrives as it is. False: evhttp's.
 * True: `reply` is owed, and answered exactly once with gate_answer, within the call or later; also
 * when the client has gone and when the gate has, which gate_answer then ignores. A handler that
 * thinks has no deadline; reading the answer has. One request of a connection is in hand at a time.
 */
struct gate_file {
	int fd;
	int64_t at;
};
struct gate_answer {
	int status;
	const char *headers; /* whole lines, "Name: value\r\n"; without Date, Content-Length and
	                        Connection. Nothing from outside. NULL: none */
	const void *body;
	size_t body_length;
	bool lasting; /* the body stays as it is for good: it is not copied */
	/* Where the same bytes are in a file, for large bodies: the kernel need not copy them
	   either. NULL: nowhere */
	const struct gate_file *file;
};
void gate_answer(struct gate_reply *reply, const struct gate_answer *answer);
/* Whether somebody still waits for it. */
bool gate_is_awaited(const struct gate_reply *reply);
/* Where the path of a target begins: behind the authority of an absolute-form one. It may be "" or
 * "?...". */
const char *gate_path_of(const char *target);
/* The client's address, "?" when it has none. Borrowed for the turn. */
const char *gate_peer(const struct gate_reply *reply);

/*
 * Stops taking in: listeners rest for good, idle connections and streams are closed, requests that
 * are being read or answered are finished and their connections closed. Then calls done(arg) once
 * (may be NULL), from the loop. The deadlines bound it, but not a handler that never answers.
 */
void gate_stop(struct gate *gate, loop_fn *done, void *arg);
/*
 * After evhttp_free of all it was attached to, with no turn of the loop between the two unless
 * gate_stop came before. `done` is not called any more. NULL is fine. To end in a hurry: answer all
 * that is pending, gate_stop, evhttp_free, gate_free; short answers still reach plain sockets.
 */
void gate_free(struct gate *gate);

#endif
