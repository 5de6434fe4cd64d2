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
 *    kernel; bodies together take at most `bodies_max`;
 *  - each phase has an absolute deadline. Body and reply may take longer than theirs only as long
 *    as they keep up `rate` bytes a second. A handler that thinks has no deadline here;
 *  - when `connections_max` are open, a new one takes the place of the one that has been idle
 *    longest, and where none is idle the listeners rest until one is;
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

struct evhttp;
struct evhttp_request;
struct gate;

struct gate_options {             /* copied; 0 means the value in brackets */
	size_t head_max;          /* bytes of request line and headers [16 KiB] */
	size_t target_max;        /* bytes of the target [8 KiB] */
	unsigned fields_max;      /* headers [64] */
	size_t body_max;          /* bytes of one body [512 KiB] */
	size_t bodies_max;        /* bytes of all bodies on their way in [32 MiB]; over it: 503 */
	unsigned connections_max; /* [256] */
	uint32_t idle_ms;         /* between requests, and before the first [60 s] */
	uint32_t head_ms;         /* from its first byte; also the TLS handshake [10 s] */
	uint32_t body_ms;         /* [30 s] */
	uint32_t write_ms;        /* a reply, once the kernel takes no more at once [60 s] */
	uint32_t linger_ms;       /* after a refusal, for the client to read it [2 s] */
	size_t rate;              /* bytes a second that extend body_ms and write_ms [16 KiB] */
};

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
