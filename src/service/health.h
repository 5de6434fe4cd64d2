/*
 * health: how every leg is, and what an administrator should do. Derived from the roads at the
 * moment it is asked; nothing is kept.
 *
 * A leg is never "ok" by assumption: without contact since start it is "waiting".
 */
#ifndef SERVICE_HEALTH_H
#define SERVICE_HEALTH_H

#include "service/service.h"

enum health_state {
	HEALTH_OK,
	HEALTH_WAITING,
	HEALTH_FAILING,
	HEALTH_BLOCKED,
	HEALTH_UNCONFIGURED
};
const char *health_state_name(enum health_state state); /* "ok" ... */

struct health_leg {
	enum health_state state;
	char name[328]; /* "store", "eyes", or the server's address */
	char message[512];
	char hint[320];
	int64_t last_ok_ms, next_ms;               /* wall, 0 = unknown */
	const struct http_trace *trace;            /* borrowed for the turn, may be NULL */
	const struct tls_certificate *certificate; /* the same; a server's, as last seen */
};
void health_store(struct service *service, struct health_leg *leg);
void health_eyes(struct service *service, struct health_leg *leg);
void health_server(
    struct service *service, const struct record_server *server, struct health_leg *leg);
/* How passing events on is; false where nothing is there to pass on: no relay, and nothing waits.
 */
bool health_events(struct service *service, struct health_leg *leg);
/* Every leg but the events ok, or waiting for its first contact within the first minute after
 * start. */
bool health_ready(struct service *service);

/* Calls fn for everything that needs an administrator, worst first; returns how many. 0 means
 * healthy. */
typedef void health_problem_fn(const char *code, const char *message, const char *hint, void *arg);
unsigned health_problems(struct service *service, health_problem_fn *fn, void *arg);

/* Those of the events alone; part of the above. */
unsigned health_events_problems(struct service *service, health_problem_fn *fn, void *arg);
unsigned health_webhook_problems(struct service *service, health_problem_fn *fn, void *arg);

#endif
