/* The part of the control API that both simulators have; described in sim.h and sim_fault.h. */
#include "sim/sim.h"

#include "base/clock.h"
#include <string.h>

#define ANSWER_MAX (1024UL * 1024 * 1024)

static void get_state(struct sim_request *request, void *arg)
{
	struct sim *sim = arg;
	const struct sim_server_counts *counts = sim_server_counts(sim->server);
	uint64_t up_ms = (clock_monotonic_us() - sim->started_us) / 1000;
	json_t *state = json_pack("{s:s,s:I,s:I,s:{s:i,s:I,s:I,s:I,s:I,s:I},s:o,s:I,s:o}", "name",
	    sim->kind->name, "uptime_ms", (json_int_t)up_ms, "requests", (json_int_t)sim->requests,
	    "connections", "open", (int)counts->open, "accepted", (json_int_t)counts->connections,
	    "handshakes", (json_int_t)counts->handshakes, "resumed", (json_int_t)counts->resumed,
	    "tls_failures", (json_int_t)counts->tls_failures, "bad_requests",
	    (json_int_t)counts->bad_requests, "faults", sim_faults_json(sim->faults), "violations",
	    (json_int_t)sim->violations.count, "routes", sim_table_json(sim->routes));
	sim->kind->state(sim->app, state);
	sim_answer_json(request, 200, state);
}

static void get_requests(struct sim_request *request, void *arg)
{
	struct sim *sim = arg;
	struct buf path;
	struct buf out;
	buf_init(&path, 4096);
	buf_init(&out, ANSWER_MAX);
	buf_puts(&path, "");
	sim_query(request, "path", 0, &path);
	buf_putc(&out, '{');
	sim_put_integer(&out, "last", (int64_t)request->number);
	sim_put_member(&out, "requests");
	sim_recorder_write(&sim->recorder, &out, (uint64_t)sim_query_integer(request, "since", 0),
	    path.length ? path.data : "", sim_query_integer(request, "limit", INT64_MAX));
	buf_putc(&out, '}');
	buf_free(&path);
	sim_answer_buf(request, 200, &out);
}

static void get_violations(struct sim_request *request, void *arg)
{
	struct sim *sim = arg;
	struct buf out;
	buf_init(&out, ANSWER_MAX);
	sim_violations_write(&sim->violations, &out);
	sim_answer_buf(request, 200, &out);
}

static void get_faults(struct sim_request *request, void *arg)
{
	struct sim *sim = arg;
	sim_answer_json(request, 200, sim_faults_json(sim->faults));
}

static void post_faults(struct sim_request *request, void *arg)
{
	struct sim *sim = arg;
	struct err err = ERR_INIT;
	json_t *ids = NULL;
	json_t *body = sim_json_body(request);
	if (!body)
		return;
	bool good = sim_faults_add(sim->faults, body, &ids, &err);
	json_decref(body);
	if (good) {
		sim_answer_json(request, 200, json_pack("{s:o}", "ids", ids));
		return;
	}
	json_decref(ids);
	sim_answer_error(request, 400, "%s", err.message);
}

static void delete_faults(struct sim_request *request, void *arg)
{
	struct sim *sim = arg;
	int64_t id = sim_query_integer(request, "id", 0);
	if (id == 0)
		sim_faults_clear(sim->faults);
	else if (!sim_faults_remove(sim->faults, (uint64_t)id)) {
		sim_answer_error(request, 404, "no such fault");
		return;
	}
	sim_answer(request, 204, NULL, "", 0);
}

static void clear_requests(struct sim *sim)
{
	sim_recorder_clear(&sim->recorder);
	sim->requests = 0;
	sim_server_clear_counts(sim->server);
	sim_table_clear_counts(sim->routes);
}

static bool reset_one(struct sim *sim, const char *what)
{
	if (strcmp(what, "requests") == 0)
		clear_requests(sim);
	else if (strcmp(what, "violations") == 0)
		sim_violations_clear(&sim->violations);
	else if (strcmp(what, "faults") == 0)
		sim_faults_clear(sim->faults);
	else
		return false;
	return true;
}

static bool reset(struct sim *sim, const json_t *body, struct err *err)
{
	if (!sim_json_known(body, "all only", err))
		return false;
	const json_t *only = json_object_get(body, "only");
	size_t i;
	json_t *item;
	if (!only) {
		clear_requests(sim);
		sim_violations_clear(&sim->violations);
		sim_faults_clear(sim->faults);
		sim->kind->reset(sim->app, sim_json_bool(body, "all", false));
		return true;
	}
	json_array_foreach(only, i, item)
	{
		const char *what = json_string_value(item);
		if (!what || !reset_one(sim, what))
			return err_set(err, "json", "only: requests, violations, faults");
	}
	return true;
}

static void post_reset(struct sim_request *request, void *arg)
{
	struct err err = ERR_INIT;
	json_t *body = request->body_length ? sim_json_body(request) : json_object();
	if (!body)
		return;
	bool good = reset(arg, body, &err);
	json_decref(body);
	if (good)
		sim_answer(request, 204, NULL, "", 0);
	else
		sim_answer_error(request, 400, "%s", err.message);
}

static void post_down(struct sim_request *request, void *arg)
{
	struct sim *sim = arg;
	json_t *body = sim_json_body(request);
	if (!body)
		return;
	uint32_t ms = (uint32_t)sim_json_integer(body, "ms", 1000);
	json_decref(body);
	sim_server_down(sim->server, request, ms);
	sim_answer(request, 204, NULL, "", 0);
}

/* Their argument is the struct sim, unlike that of the simulators' own routes. */
const struct sim_route sim_control_routes[] = {
    {"GET", "/sim/state", get_state},
    {"GET", "/sim/requests", get_requests},
    {"GET", "/sim/violations", get_violations},
    {"GET", "/sim/faults", get_faults},
    {"POST", "/sim/faults", post_faults},
    {"DELETE", "/sim/faults", delete_faults},
    {"POST", "/sim/reset", post_reset},
    {"POST", "/sim/down", post_down},
    {0},
};
