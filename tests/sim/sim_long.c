#include "sim/sim_long.h"

#include "base/clock.h"
#include "base/mem.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_long {
	struct sim_long *next;
	uint64_t number; /* of the request that began it */
	uint64_t ready_us;
	struct sim_long_plan plan; /* owns fields and host */
	int status;                /* 0: the handler has not answered yet */
	char *type, *body, *fields;
	size_t length;
};

static void long_free(struct sim_long *one)
{
	free(one->plan.fields);
	free((char *)one->plan.host);
	free(one->type);
	free(one->body);
	free(one->fields);
	free(one);
}

static void put_location(struct sim_request *request, const struct sim_long *one)
{
	char origin[320];
	char location[400];
	sim_request_origin(request, origin, sizeof(origin));
	if (one->plan.host)
		snprintf(origin, sizeof(origin), "https://%s", one->plan.host);
	snprintf(location, sizeof(location), "%s" SIM_LONG_PATH "%" PRIu64, origin, one->number);
	sim_answer_field(request, "Location", location);
	if (one->plan.fields)
		buf_puts(&request->fields, one->plan.fields);
}

/* The handler's answer: kept, and 202 sent in its place. */
static void on_answer(
    struct sim_request *request, int status, const char *type, const char *body, size_t length)
{
	struct sim_long *one = request->instead_data;
	one->status = status;
	one->type = mem_string(type);
	one->body = mem_bytes(body, length);
	one->length = length;
	one->fields = request->fields.data ? mem_string(request->fields.data) : NULL;
	one->ready_us = clock_monotonic_us() + one->plan.ready_ms * UINT64_C(1000);
	buf_reset(&request->fields);
	put_location(request, one);
	sim_answer(request, 202, NULL, "", 0);
}

void sim_long_begin(
    struct sim_long **list, struct sim_request *request, const struct sim_long_plan *plan)
{
	struct sim_long *one = mem_zero(sizeof(*one));
	one->number = request->number;
	one->plan = *plan;
	one->plan.fields = mem_string(plan->fields);
	one->plan.host = mem_string(plan->host);
	one->next = *list;
	*list = one;
	request->instead = on_answer;
	request->instead_data = one;
}

void sim_long_get(struct sim_long **list, struct sim_request *request, const char *id)
{
	uint64_t number = strtoull(id, NULL, 10);
	struct sim_long **at = list;
	while (*at && (*at)->number != number)
		at = &(*at)->next;
	struct sim_long *one = *at;
	if (!one || one->plan.gone || !one->status) {
		sim_answer(request, 410, NULL, "", 0);
		return;
	}
	if (one->plan.polls > 0 || clock_monotonic_us() < one->ready_us) {
		one->plan.polls -= one->plan.polls > 0;
		put_location(request, one);
		sim_answer(request, 202, NULL, "", 0);
		return;
	}
	*at = one->next;
	if (one->fields)
		buf_puts(&request->fields, one->fields);
	sim_answer(request, one->status, one->type, one->body, one->length);
	long_free(one);
}

void sim_long_clear(struct sim_long **list, bool all)
{
	while (*list) {
		struct sim_long *one = *list;
		if (!all && !one->status) {
			list = &one->next; /* its request still waits for the handler */
			continue;
		}
		*list = one->next;
		long_free(one);
	}
}
