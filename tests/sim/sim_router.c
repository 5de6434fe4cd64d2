#include "sim/sim.h"

#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

#define ROUTES_MAX 64
#define STATUS_MAX 600

enum piece_kind { LITERAL, ANY, VERSION };

struct piece {
	enum piece_kind kind;
	char *text;
};

struct compiled {
	const struct sim_route *route;
	unsigned count;
	struct piece piece[SIM_SEGMENTS];
	uint64_t calls;
	uint64_t statuses[STATUS_MAX]; /* [0]: cut without an answer */
};

struct sim_table {
	unsigned count;
	struct compiled compiled[ROUTES_MAX];
};

static void compile(struct compiled *compiled, const struct sim_route *route)
{
	compiled->route = route;
	for (const char *at = route->path; *at == '/';) {
		size_t length = strcspn(++at, "/");
		struct piece *piece = &compiled->piece[compiled->count++];
		piece->text = mem_bytes(at, length);
		if (strcmp(piece->text, "{}") == 0)
			piece->kind = ANY;
		else if (strcmp(piece->text, "{v}") == 0)
			piece->kind = VERSION;
		at += length;
	}
}

struct sim_table *sim_table_new(const struct sim_route *first, const struct sim_route *second)
{
	struct sim_table *table = mem_zero(sizeof(*table));
	const struct sim_route *lists[] = {first, second};
	for (unsigned i = 0; i < 2; i++)
		for (const struct sim_route *route = lists[i]; route && route->method; route++) {
			if (table->count == ROUTES_MAX)
				fatal("too many routes");
			compile(&table->compiled[table->count++], route);
		}
	return table;
}

void sim_table_free(struct sim_table *table)
{
	if (!table)
		return;
	for (unsigned i = 0; i < table->count; i++)
		for (unsigned j = 0; j < table->compiled[i].count; j++)
			free(table->compiled[i].piece[j].text);
	free(table);
}

static bool path_matches(
    const struct compiled *compiled, struct sim_request *request, unsigned skip)
{
	unsigned variables = 0;
	if (request->segment_count != compiled->count + skip)
		return false;
	for (unsigned i = 0; i < compiled->count; i++) {
		const struct piece *piece = &compiled->piece[i];
		const char *text = request->segment[i + skip];
		if (piece->kind == ANY && variables < SIM_VARIABLES && *text) {
			request->variable[variables++] = text;
		} else if (piece->kind == VERSION) {
			if (strcmp(text, "1.0") != 0 && strcmp(text, "latest") != 0)
				return false;
		} else if (strcmp(text, piece->text) != 0) {
			return false;
		}
	}
	return true;
}

static bool method_matches(const struct compiled *compiled, const char *method)
{
	const char *wanted = compiled->route->method;
	return strcmp(wanted, method) == 0 ||
	       (strcmp(method, "HEAD") == 0 && strcmp(wanted, "GET") == 0);
}

void sim_table_run(struct sim_table *table, struct sim_request *request, unsigned skip, void *app,
    sim_route_fn *not_found)
{
	char allow[64] = "";
	for (unsigned i = 0; i < table->count; i++) {
		struct compiled *compiled = &table->compiled[i];
		if (!path_matches(compiled, request, skip))
			continue;
		if (method_matches(compiled, request->method)) {
			request->route = compiled;
			compiled->calls++;
			compiled->route->fn(request, app);
			return;
		}
		if (*allow)
			strncat(allow, ", ", sizeof(allow) - strlen(allow) - 1);
		strncat(allow, compiled->route->method, sizeof(allow) - strlen(allow) - 1);
	}
	if (!*allow) {
		not_found(request, app);
		return;
	}
	sim_answer_field(request, "Allow", allow);
	sim_answer(request, 405, NULL, "", 0);
}

void sim_table_count(struct sim_request *request, int status)
{
	struct compiled *compiled = request->route;
	if (compiled && status >= 0 && status < STATUS_MAX)
		compiled->statuses[status]++;
}

void sim_table_clear_counts(struct sim_table *table)
{
	for (unsigned i = 0; i < table->count; i++) {
		table->compiled[i].calls = 0;
		memset(table->compiled[i].statuses, 0, sizeof(table->compiled[i].statuses));
	}
}

json_t *sim_table_json(const struct sim_table *table)
{
	json_t *routes = json_array();
	for (unsigned i = 0; i < table->count; i++) {
		const struct compiled *compiled = &table->compiled[i];
		json_t *statuses = json_object();
		for (int status = 0; status < STATUS_MAX; status++) {
			char name[16];
			if (compiled->statuses[status] == 0)
				continue;
			snprintf(name, sizeof(name), "%d", status);
			json_object_set_new(
			    statuses, name, json_integer((json_int_t)compiled->statuses[status]));
		}
		json_array_append_new(
		    routes, json_pack("{s:s,s:s,s:I,s:o}", "method", compiled->route->method,
		                "path", compiled->route->path, "count", (json_int_t)compiled->calls,
		                "statuses", statuses));
	}
	return routes;
}
