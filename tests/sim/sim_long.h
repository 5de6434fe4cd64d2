/*
 * sim_long: long requests as the Eyes server does them. The answer of a request is kept back; the
 * client gets 202 with a Location and asks there until it is ready. A result is handed out once;
 * after that, and for an unknown one, 410.
 */
#ifndef SIM_LONG_H
#define SIM_LONG_H

#include "sim/sim_server.h"

#define SIM_LONG_PATH "/api/long-requests/"

struct sim_long_plan {
	uint32_t ready_ms;
	unsigned polls;   /* so many GETs find it unfinished, whatever the time */
	bool gone;        /* never ready: 410 */
	const char *host; /* "other.example:443" for the Location, or NULL */
	char *fields;     /* header lines for the 202 and for "not yet", such as Retry-After */
};

struct sim_long;
void sim_long_begin(
    struct sim_long **list, struct sim_request *request, const struct sim_long_plan *plan);
void sim_long_get(struct sim_long **list, struct sim_request *request, const char *id);
/* all: also those whose request is still with its handler; only when no connection is left. */
void sim_long_clear(struct sim_long **list, bool all);

#endif
