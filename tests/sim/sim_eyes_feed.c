/* The command feed as eyes-scm-protocol(7) defines it: long polls and acknowledgements. */
#include "sim/sim_eyes.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/url.h"
#include "sim/sim_scan.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LIMIT_DEFAULT 100
#define FEED_MAX (64UL * 1024 * 1024)

struct eyes_wait {
	struct eyes_wait *next, **link;
	struct eyes *eyes;
	struct sim_request *request;
	struct loop_timer timer;
};

/* ---- which servers ---- */

bool eyes_filter_matches(const struct sim_request *request, const char *host, int port)
{
	struct buf text;
	bool match = strcmp(host, "*") == 0;
	buf_init(&text, 1024);
	for (unsigned i = 0; !match && sim_query(request, "server", i, &text); i++) {
		struct url url;
		char address[600];
		snprintf(address, sizeof(address), "https://%s", text.length ? text.data : "");
		bool with_port = strchr(address + 8, ':') && address[strlen(address) - 1] != ']';
		match = url_parse(&url, address, NULL) && strcasecmp(url.host, host) == 0 &&
		        (!with_port || url.port == port);
		buf_reset(&text);
	}
	buf_free(&text);
	return match;
}

static bool check_query(
    struct sim_request *request, struct eyes *eyes, int64_t *wait, int64_t *limit)
{
	struct buf text;
	buf_init(&text, 4096);
	bool servers = sim_query(request, "server", 0, &text) && text.length;
	bool slash = servers && strchr(text.data, '/');
	buf_free(&text);
	*wait = sim_query_integer(request, "wait", 0);
	*limit = sim_query_integer(request, "limit", LIMIT_DEFAULT);
	if (!servers || slash || *wait < 0 || *limit < 1) {
		sim_violation(&eyes->sim->violations, request, "bad query: %s", request->query);
		sim_answer_error(request, 400,
		    "expected wait=SECONDS, limit=1..., server=HOST (at least one, no URL)");
		return false;
	}
	*wait = *wait > eyes->max_wait ? eyes->max_wait : *wait;
	*limit = *limit > eyes->max_limit ? eyes->max_limit : *limit;
	return true;
}

/* ---- polls ---- */

/* Answers when there is something, or when it must. */
static bool answer_poll(struct eyes *eyes, struct sim_request *request, bool must)
{
	struct buf out;
	int64_t asked = sim_query_integer(request, "limit", LIMIT_DEFAULT);
	unsigned limit = (unsigned)(asked > eyes->max_limit ? eyes->max_limit : asked);
	buf_init(&out, FEED_MAX);
	buf_puts(&out, "{\"commands\":[");
	unsigned count = eyes_give_commands(eyes, request, limit, &out);
	count += eyes_give_generated(eyes, request, limit - count, count > 0, &out);
	if (count == 0 && !must) {
		buf_free(&out);
		return false;
	}
	buf_puts(&out, "]}");
	eyes->given += count;
	eyes->empty_polls += count == 0;
	sim_answer_buf(request, 200, &out);
	return true;
}

static void wait_free(struct eyes_wait *wait)
{
	loop_timer_cancel(&wait->timer);
	*wait->link = wait->next;
	if (wait->next)
		wait->next->link = wait->link;
	wait->eyes->waiting--;
	free(wait);
}

static void on_gone(struct sim_request *request)
{
	wait_free(request->data);
}

static void on_wait_over(void *arg)
{
	struct eyes_wait *wait = arg;
	struct eyes *eyes = wait->eyes;
	struct sim_request *request = wait->request;
	wait_free(wait);
	answer_poll(eyes, request, true);
}

void eyes_wake(struct eyes *eyes)
{
	struct eyes_wait *next;
	for (struct eyes_wait *wait = eyes->waits; wait; wait = next) {
		next = wait->next;
		struct sim_request *request = wait->request;
		request->gone = NULL;
		/* Nothing may call back into this list while it is answered: leave it first. */
		if (answer_poll(eyes, request, false))
			wait_free(wait);
		else
			request->gone = on_gone;
	}
}

static void hold_poll(struct eyes *eyes, struct sim_request *request, int64_t seconds)
{
	struct eyes_wait *wait = mem_zero(sizeof(*wait));
	wait->eyes = eyes;
	wait->request = request;
	wait->next = eyes->waits;
	wait->link = &eyes->waits;
	if (wait->next)
		wait->next->link = &wait->next;
	eyes->waits = wait;
	if (++eyes->waiting > eyes->most_waiting)
		eyes->most_waiting = eyes->waiting;
	request->data = wait;
	request->gone = on_gone;
	loop_timer_init(&wait->timer, eyes->sim->loop, on_wait_over, wait);
	loop_timer_set(&wait->timer, (uint64_t)seconds * 1000);
}

/* Answers and returns true when there is no feed (for this organization). */
static bool feed_absent(struct sim_request *request, struct eyes *eyes)
{
	if (!eyes->feed_status)
		return false;
	if (eyes->feed_status == 405)
		sim_answer_field(request, "Allow", "HEAD");
	sim_answer(request, eyes->feed_status, NULL, "", 0);
	return true;
}

void eyes_get_feed(struct sim_request *request, void *app)
{
	struct eyes *eyes = app;
	int64_t wait;
	int64_t limit;
	if (feed_absent(request, eyes) || !check_query(request, eyes, &wait, &limit))
		return;
	eyes->polls++;
	bool detached = request->ending == SIM_NOWHERE;
	if (!answer_poll(eyes, request, wait == 0 || detached))
		hold_poll(eyes, request, wait);
}

/* ---- acknowledgements ---- */

struct result {
	struct sim_text id, error;
	int outcome;
};

struct ack {
	struct result *results;
	size_t count, room;
	char fault[400];
};

static bool refuse(struct ack *ack, const char *fault)
{
	if (!ack->fault[0])
		snprintf(ack->fault, sizeof(ack->fault), "results[%zu]: %s", ack->count, fault);
	return false;
}

static int outcome_of(const struct sim_text *text)
{
	for (int i = 0; i < OUTCOMES; i++)
		if (sim_text_is(text, eyes_outcome_name((enum eyes_outcome)i)))
			return i;
	return -1;
}

static bool scan_result(struct sim_scan *scan, struct ack *ack)
{
	struct result result = {.outcome = -1};
	struct sim_text name;
	struct sim_text outcome = {0};
	bool first = true;
	if (!sim_scan_object(scan))
		return false;
	while (sim_scan_member(scan, &first, &name)) {
		struct sim_text *to = sim_text_is(&name, "id")        ? &result.id
		                      : sim_text_is(&name, "outcome") ? &outcome
		                      : sim_text_is(&name, "error")   ? &result.error
		                                                      : NULL;
		if (!to)
			return refuse(ack, "a member that is not id, outcome or error");
		if (!sim_scan_string(scan, to))
			return false;
	}
	result.outcome = outcome_of(&outcome);
	if (scan->error)
		return false;
	if (!result.id.data || result.outcome < 0)
		return refuse(ack, "id or a known outcome is missing");
	if (result.outcome == REJECTED && !result.error.length)
		return refuse(ack, "rejected without the reason");
	if (ack->count == ack->room) {
		ack->room = ack->room ? 2 * ack->room : 256;
		ack->results = mem_grow(ack->results, ack->room, sizeof(result));
	}
	ack->results[ack->count++] = result;
	return true;
}

static bool scan_ack(struct sim_scan *scan, struct ack *ack)
{
	struct sim_text name;
	bool first = true;
	bool seen = false;
	if (!sim_scan_object(scan))
		return false;
	while (sim_scan_member(scan, &first, &name)) {
		bool first_result = true;
		if (!sim_text_is(&name, "results") || seen)
			return refuse(ack, "expected one member, results");
		seen = true;
		if (!sim_scan_array(scan))
			return false;
		while (sim_scan_element(scan, &first_result))
			if (!scan_result(scan, ack))
				return false;
	}
	return sim_scan_end(scan) && (seen || refuse(ack, "results is missing"));
}

/* The text without escapes, in `buf` when it has some. */
static const char *plain(const struct sim_text *text, struct buf *buf, size_t *length)
{
	buf_reset(buf);
	*length = text->length;
	if (!text->escaped)
		return text->data;
	sim_text_decode(text, buf);
	*length = buf->length;
	return buf->length ? buf->data : "";
}

/* Every id must have been given. */
static bool check_ids(struct eyes *eyes, struct ack *ack, struct buf *buf)
{
	for (size_t i = 0; i < ack->count; i++) {
		size_t length;
		const char *id = plain(&ack->results[i].id, buf, &length);
		const unsigned char *flags = eyes_generated_flags(eyes, id, length);
		const struct eyes_command *command =
		    flags ? NULL : eyes_find_command(eyes, id, length);
		if (flags || (command && command->given))
			continue;
		snprintf(ack->fault, sizeof(ack->fault), "results[%zu]: id %.*s was never given", i,
		    length > 200 ? 200 : (int)length, id);
		return false;
	}
	return true;
}

static void violation(struct eyes *eyes, const struct sim_request *request, const char *id,
    size_t length, const char *what)
{
	sim_violation(&eyes->sim->violations, request, "ack of %.*s: %s",
	    length > 200 ? 200 : (int)length, id, what);
}

static void apply_command(struct eyes *eyes, const struct sim_request *request,
    struct eyes_command *command, enum eyes_outcome outcome, const char *error)
{
	uint64_t now = clock_monotonic_us();
	size_t length = strlen(command->id);
	if (outcome == ACCEPTED) {
		if (!command->accepted)
			command->accepted_us = now;
		command->accepted = true;
	} else {
		/* An administrator may send again what was refused. */
		if (command->outcome && command->outcome != (int)outcome &&
		    command->outcome != REJECTED)
			violation(eyes, request, command->id, length,
			    "another final outcome than before");
		if (!command->outcome)
			command->outcome_us = now;
		command->outcome = (int)outcome;
		free(command->error);
		command->error = mem_string(error);
	}
	eyes_command_leave(eyes, command);
}

static void apply_generated(struct eyes *eyes, const char *id, size_t length, unsigned char *flags,
    enum eyes_outcome outcome)
{
	*flags |= EYES_ACCEPTED | (outcome == ACCEPTED ? 0 : EYES_FINISHED);
	eyes_generated_accepted(eyes, id, length);
}

static void apply(struct eyes *eyes, struct sim_request *request, const struct ack *ack,
    struct buf *buf, struct buf *error)
{
	for (size_t i = 0; i < ack->count; i++) {
		const struct result *result = &ack->results[i];
		enum eyes_outcome outcome = (enum eyes_outcome)result->outcome;
		size_t length;
		buf_reset(error);
		if (result->error.data)
			sim_text_decode(&result->error, error);
		const char *reason = result->error.length ? error->data : NULL;
		const char *id = plain(&result->id, buf, &length);
		unsigned char *flags = eyes_generated_flags(eyes, id, length);
		if (flags)
			apply_generated(eyes, id, length, flags, outcome);
		else
			apply_command(
			    eyes, request, eyes_find_command(eyes, id, length), outcome, reason);
		eyes_record_ack(eyes, request, id, length, outcome, reason);
	}
}

void eyes_post_ack(struct sim_request *request, void *app)
{
	struct eyes *eyes = app;
	struct sim_scan scan;
	struct ack ack = {0};
	struct buf buf;
	struct buf error;
	if (feed_absent(request, eyes))
		return;
	buf_init(&buf, 64 * 1024);
	buf_init(&error, 64 * 1024);
	if (sim_scan_init(&scan, request->body, request->body_length) && scan_ack(&scan, &ack) &&
	    check_ids(eyes, &ack, &buf)) {
		if (ack.count == 0)
			sim_violation(&eyes->sim->violations, request, "an empty acknowledgement");
		apply(eyes, request, &ack, &buf, &error);
		sim_answer(request, 204, NULL, "", 0);
	} else {
		const char *fault = ack.fault[0] ? ack.fault : scan.error;
		sim_violation(&eyes->sim->violations, request, "bad acknowledgement: %s", fault);
		sim_answer_error(request, 400, "%s", fault);
	}
	buf_free(&buf);
	buf_free(&error);
	free(ack.results);
}
