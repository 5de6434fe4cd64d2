/*
 * sim: what both simulators share: start and end of the program, routes, records, faults and the
 * control API.
 *
 * The control API is on the same port under /sim/, without authentication, outside the context
 * path, and is neither recorded nor subject to faults. Bodies and answers are JSON; an unknown
 * member is a 400 with {"error"}.
 *
 *   GET  /sim/state        name, uptime_ms, requests, connections{open,accepted,handshakes,resumed,
 *                          tls_failures,bad_requests}, faults, violations,
 *                          routes[{method,path,count,statuses{}}], and the simulator's own part
 *   GET  /sim/requests     ?since=N&path=TEXT&limit=N -> {"last":N,"requests":[{number,time_ms,
 *                          monotonic_us,method,target,headers{lower-case},body,status (0: none),
 *                          took_us,fault}]}: the last --record N
 *   GET  /sim/violations   {"count":N,"violations":[{request,what}]}: what the protocol forbids
 *   GET, POST, DELETE /sim/faults   see sim_fault.h
 *   POST /sim/reset        {} forgets requests, counters, violations, faults and what happened;
 *                          {"all":true} also what was set up (the options are applied again);
 *                          {"only":["requests","violations","faults"]} just these
 *   POST /sim/down         {"ms":N}: refuse connections and cut all open ones for so long
 *
 * What the simulators add is described in sim_bitbucket.h and sim_eyes.h.
 */
#ifndef SIM_H
#define SIM_H

#include "sim/sim_fault.h"
#include "sim/sim_json.h"
#include "sim/sim_options.h"
#include "sim/sim_record.h"
#include "sim/sim_server.h"

typedef void sim_route_fn(struct sim_request *request, void *app);

/*
 * path: segments; "{}" takes any one of them into request->variable, "{v}" stands for "1.0" or
 * "latest". method "GET" also answers HEAD. The table ends with a row without a method; the first
 * match is taken.
 */
struct sim_route {
	const char *method;
	const char *path;
	sim_route_fn *fn;
};

struct sim;
struct sim_app {
	const char *name;                 /* "sim-eyes" */
	const struct sim_option *options; /* its own table */
	const struct sim_route *routes;
	const struct sim_route *control; /* under /sim/ */
	sim_token_fn *token;             /* who asks; for faults and rate limits */
	bool (*start)(
	    struct sim *sim, struct err *err); /* after the options; sets sim->app, sim->context */
	void (*stop)(struct sim *sim);
	bool (*before)(struct sim_request *request, void *app); /* false: it has answered */
	sim_route_fn *not_found;
	void (*state)(void *app, json_t *state); /* adds members */
	void (*reset)(void *app, bool all);
};

struct sim_table;
struct sim {
	const struct sim_app *kind;
	void *app;
	struct loop *loop;
	struct sim_server *server;
	struct sim_faults *faults;
	struct sim_recorder recorder;
	struct sim_violations violations;
	const char *context;    /* "/bitbucket" or "" */
	const char *tls_folder; /* --tls-dir, or NULL */
	bool plain;
	struct sim_table *routes, *control;
	uint64_t started_us;
	uint64_t requests; /* outside /sim/ */
};

int sim_main(const struct sim_app *app, int argc, char **argv);

/* sim_control.c */
extern const struct sim_route sim_control_routes[];

/* sim_router.c */
struct sim_table *sim_table_new(const struct sim_route *first, const struct sim_route *second);
void sim_table_free(struct sim_table *table);
/* Finds and calls the route. 404: calls not_found; 405 with Allow when only the method is wrong. */
void sim_table_run(struct sim_table *table, struct sim_request *request, unsigned skip, void *app,
    sim_route_fn *not_found);
void sim_table_count(struct sim_request *request, int status);
void sim_table_clear_counts(struct sim_table *table);
json_t *sim_table_json(const struct sim_table *table);

#endif
