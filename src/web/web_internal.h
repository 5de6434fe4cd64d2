/*
 * web_internal: what server.c, direct.c, listen.c, reply.c and guard.c share; nobody else includes
 * it.
 */
#ifndef WEB_WEB_INTERNAL_H
#define WEB_WEB_INTERNAL_H

#include "base/log.h"
#include "web/gate.h"
#include "web/stream.h"
#include "web/web.h"
#include <sys/queue.h>

struct evconnlistener;
struct evhttp;

#define WEB_LISTENERS 40
struct listening {
	struct web *web;
	struct gate *gate;               /* that it leads to */
	struct evconnlistener *listener; /* evhttp's */
	struct loop_timer pause;         /* after EMFILE */
	struct log_limit limit;
	LIST_ENTRY(listening) link; /* of all there are */
};

struct web {
	struct loop *loop;
	struct service *service;
	struct auth *auth;
	struct jobs *jobs;
	struct listings *listings;
	struct gate *gate, *control_gate; /* a full page does not lock the commands out */
	struct gate *events_gate;         /* of the listeners for events only */
	struct streams *streams;
	struct evhttp *control, *tcp, *events;
	struct inbox *inbox; /* NULL: no events are taken */
	size_t event_max;
	struct gate_pot *events_pot; /* of gate and events_gate; NULL: their own */
	struct buf event_headers;    /* empty between uses */
	char *control_path, *eyes_url, *organization, *static_dir;
	char *hosts;        /* names that Host may have, each between commas: ",a,b," */
	char last_host[64]; /* the last Host that was allowed, as it came; "" at first */
	struct assets *assets;
	char *page_headers; /* web_page_headers and "no-store", as lines */
	struct web_request
	    *reading; /* direct.c: whose handler is running; NULL: none, or answered */
	web_settings_fn *settings;
	void *settings_arg;
	void (*restart)(void *);
	void *restart_arg;
	struct listening listening[WEB_LISTENERS];
	unsigned listening_count;
	TAILQ_HEAD(, web_request) pending;
};

/* reply.c: what every answer has on TCP; on the control socket only the first. Ends with NULL. */
struct web_header {
	const char *name, *value;
};
extern const struct web_header web_page_headers[];
char *web_page_lines(void); /* those of an answer of the API on TCP, as lines; to be freed */

/* direct.c, of gate_options; arg is struct web */
gate_take_fn web_direct_take;

/* listen.c */
bool listen_all(struct web *web, const struct web_options *options, struct err *err);
void listen_end(struct web *web);

/* guard.c: each answers the request and returns false when it may not go on. */
bool guard_peer(struct web_request *request); /* control socket: whose process is it */
bool guard_host(struct web_request *request); /* TCP: was the page opened under a name of ours */
bool guard_origin(struct web_request *request, bool write); /* TCP: does our own page ask */
bool guard_session(struct web_request *request);            /* TCP: cookie and page token */
/* The names that Host may have; NULL with err hosts_invalid when an entry of EYES_ALLOWED_HOSTS is
 * none. */
char *guard_host_list(const struct web_options *options, struct err *err);
/* "Name:8443", "[2001:DB8::7]:80", "2001:db8::7": without port and brackets, as it is compared. */
#define GUARD_HOST 256
bool guard_host_name(const char *text, size_t length, char *out, size_t size);
bool guard_host_allowed(const char *hosts, const char *value);
/* The same for the names of this server: whoever was let in last is not looked at again. */
bool guard_host_known(struct web *web, const char *value);
bool guard_same_origin(const char *origin, const char *site, const char *host, bool write);
const char *guard_cookie(struct web_request *request, char *out, size_t size); /* "" when absent */
bool guard_over_tls(struct web_request *request);

#endif
