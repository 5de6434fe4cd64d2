/*
 * gate_internal: what the gate's rooms share. gate.c (accept, cap, stop), gate_conn.c (one
 * connection: states, deadlines, replies), gate_intake.c (what comes in, up to a whole request or a
 * refusal), gate_pot.c (room for bodies), gate_direct.c (what is answered without evhttp),
 * gate_request.c (pure: what is refused, how a head is written anew, how a refusal reads).
 */
#ifndef WEB_GATE_INTERNAL_H
#define WEB_GATE_INTERNAL_H

#include "base/clock.h"
#include "base/metrics.h"
#include "net/http_codec.h"
#include "web/gate.h"
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <sys/queue.h>

struct bufferevent;
struct evbuffer;
struct gate_conn;

struct gate_door {
	struct gate *gate;
	struct evhttp *http;
	SSL_CTX *tls; /* NULL: none */
};

#define GATE_ANY_BODY (UINT64_MAX / 2) /* for the parser: `limit` decides once the head is read */

TAILQ_HEAD(gate_conns, gate_conn);
struct gate_pot {
	size_t max, share, used;
	struct gate_conns bodies; /* the one that has been in hand longest first */
	bool freed;               /* by its owner */
};

struct gate {
	struct loop *loop;
	struct gate_options options;
	struct gate_door doors[GATE_DOORS];
	unsigned door_count;
	struct gate_conns conns; /* all that are not freed yet */
	struct gate_conns idle;  /* longest idle first */
	unsigned number;         /* of the last connection */
	unsigned open;           /* not counting those that are being closed */
	struct gate_pot *pot;    /* for bodies on their way in; `limit` may tell another */
	struct buf scratch;      /* a head being written; empty between uses */
	struct evbuffer *out;    /* a direct answer being written; empty between uses */
	int64_t date_s;          /* wall: of `date` */
	char date[CLOCK_TEXT];
	bool listening, stopping, freed;
	bool telling; /* tell_stopped is deferred */
	loop_fn *stopped;
	void *stopped_arg;
};

enum gate_state {
	GATE_IDLE,
	GATE_HEAD,
	GATE_BODY,
	GATE_HANDED, /* evhttp has the request */
	GATE_DIRECT, /* `take` has it */
	GATE_LINGER,
	GATE_CLOSED
};

struct gate_conn {
	struct gate *gate;
	unsigned number; /* in the log */
	TAILQ_ENTRY(gate_conn) entry, idle_entry;
	enum gate_state state;
	struct bufferevent *filter, *below; /* evhttp's; the filter's */
	SSL *ssl;                           /* NULL: plain */
	struct event kick;                  /* run again, from the loop */
	struct http_parser parser;
	struct gate_terms terms; /* GATE_BODY: of this one */
	struct evbuffer *body;   /* NULL, or what has come of it */
	size_t held_bytes;       /* of terms.pot; 0: not in its list */
	TAILQ_ENTRY(gate_conn) pot_entry;
	struct gate_reply *reply;    /* GATE_DIRECT: not answered yet; else NULL */
	char peer[INET6_ADDRSTRLEN]; /* "" until somebody asks */

	struct loop_timer timer;
	uint64_t deadline_ms; /* 0: none. The timer may stand earlier */
	uint64_t timer_ms;
	uint64_t phase_ms;   /* when the body or the writing began */
	uint64_t phase_sent; /* given to below since then */

	size_t stream_max;       /* 0: an ordinary reply */
	enum gate_state settled; /* the state that deadline and idle list are set for */
	bool listed;             /* in gate->idle */
	bool counted;            /* in gate->open */
	bool running;            /* a function of this file is above us */
	bool greeted;            /* the TLS handshake is over */
	bool replying;           /* GATE_HANDED: evhttp has begun to write */
	bool close;              /* GATE_HANDED, GATE_DIRECT: the last request */
	bool old;                /* GATE_DIRECT: HTTP/1.0 */
	bool whole_only;         /* GATE_HANDED: this client can take no stream */
	bool head_only;          /* GATE_HANDED, GATE_DIRECT: it has asked with HEAD */
	bool ended;              /* the client sends no more */
	bool held;               /* its input is full: not read until there is room */
	bool doomed;             /* TLS could not begin */
	bool shut;               /* GATE_LINGER: our side has been shut */
	bool served;             /* a request since it was settled */
};

/* gate.c */
void gate_balance(struct gate *gate); /* open or idle have changed */
void gate_conn_gone(struct gate *gate);

/* gate_conn.c. The bufferevent is evhttp's; it frees the connection with itself. */
struct bufferevent *gate_conn_new(struct gate_door *door);
void gate_conn_evict(struct gate *gate); /* the one that has been idle longest, if any */
void gate_conn_stop_all(struct gate *gate);

void gate_conn_set_state(struct gate_conn *conn, enum gate_state state);
void gate_conn_break(struct gate_conn *conn); /* evhttp did not do what it must */
void gate_conn_go_on(struct gate_conn *conn); /* from the loop: its state was set from outside */
bool gate_conn_is_alive(const struct gate_conn *conn);
/* Moves all of output on to the client, with a deadline for what the kernel does not take at once.
 * False when the connection was closed over it. */
bool gate_conn_send(struct gate_conn *conn, struct evbuffer *output);
/* All that can be done now; nothing below a function of gate_conn.c. */
void gate_conn_answered(struct gate_conn *conn);

/* gate_intake.c */
/* Reads what has come, up to the end of a request, which evhttp then has. False when that was not
 * reached. */
bool gate_conn_feed(struct gate_conn *conn);
void gate_conn_refuse(struct gate_conn *conn, int status, const char *reason);
void gate_conn_drop_body(struct gate_conn *conn);

/* gate_pot.c */
/* Makes room for so many more bytes of this body; false when it is this one that must go. */
bool gate_pot_take(struct gate_conn *conn, size_t length);
void gate_pot_leave(struct gate_conn *conn); /* gives all of it back */

/* gate_direct.c */
/* Offers a whole request; false when nobody takes it. */
bool gate_direct_take(struct gate_conn *conn);
/* Offers one whose body is too large; the same. */
bool gate_direct_over(struct gate_conn *conn);
void gate_direct_gone(struct gate_conn *conn); /* nobody waits for its answer any more */

/* gate_request.c */
struct gate_fault {
	int status;
	const char *reason; /* literal, a part of a sentence */
};
/* What evhttp would misread or must not see although the codec lets it pass; false with fault. */
bool gate_check_head(const struct http_head *head, struct gate_fault *fault);
/* The head as evhttp gets it. */
bool gate_write_head(struct buf *out, const struct http_head *head, size_t body, bool close);
void gate_write_refusal(struct buf *out, const struct gate_fault *fault, bool without_body);
/* Counts it; the literal name of the reason. */
const char *gate_count_refusal(int status);

#endif
