/*
 * web_internal: what server.c, listen.c, reply.c and guard.c share; nobody else includes it.
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

#define WEB_LISTENERS 20
struct listening {
	struct web *web;
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
	struct streams *streams;
	struct evhttp *control, *tcp;
	char *control_path, *eyes_url, *organization, *static_dir;
	char *hosts; /* names that Host may have, each between commas: ",a,b," */
	void (*settings)(
	    void (*fn)(const char *, const char *, const char *, void *), void *, void *);
	void *settings_arg;
	void (*restart)(void *);
	void *restart_arg;
	struct listening listening[WEB_LISTENERS];
	unsigned listening_count;
	TAILQ_HEAD(, web_request) pending;
};

/* listen.c */
bool listen_all(struct web *web, const struct web_options *options, struct err *err);
void listen_end(struct web *web);

/* guard.c: each answers the request and returns false when it may not go on. */
bool guard_peer(struct web_request *request); /* control socket: whose process is it */
bool guard_host(struct web_request *request); /* TCP: was the page opened under a name of ours */
bool guard_origin(struct web_request *request, bool write); /* TCP: does our own page ask */
bool guard_session(struct web_request *request);            /* TCP: cookie and page token */
char *guard_host_list(const struct web_options *options);
const char *guard_cookie(struct web_request *request, char *out, size_t size); /* "" when absent */
bool guard_over_tls(struct web_request *request);

#endif
