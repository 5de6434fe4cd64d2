/* The commands that tests add, and what was acknowledged. */
#include "sim/sim_eyes.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"
#include "base/url.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX (1024UL * 1024 * 1024)

const char *eyes_outcome_name(enum eyes_outcome outcome)
{
	static const char *const names[OUTCOMES] = {
	    "accepted", "delivered", "superseded", "rejected", "expired", "ignored"};
	return names[outcome];
}

struct eyes_command *eyes_find_command(const struct eyes *eyes, const char *id, size_t length)
{
	struct sim_name name = sim_name_of(NULL, 0, id, length);
	return sim_name_get(&eyes->commands, &name);
}

/* ---- queues ---- */

static struct eyes_queue *queue_of(struct eyes *eyes, const char *host, int port)
{
	struct eyes_queue *queue = eyes->queues;
	while (queue && (queue->port != port || strcmp(queue->host, host) != 0))
		queue = queue->next;
	if (queue)
		return queue;
	queue = mem_zero(sizeof(*queue));
	queue->host = mem_string(host);
	queue->port = port;
	queue->next = eyes->queues;
	eyes->queues = queue;
	return queue;
}

void eyes_command_leave(struct eyes *eyes, struct eyes_command *command)
{
	struct eyes_queue *queue = command->queue;
	if (!command->pending)
		return;
	command->pending = false;
	eyes->pending--;
	*(command->prev ? &command->prev->next : &queue->first) = command->next;
	*(command->next ? &command->next->prev : &queue->last) = command->prev;
	command->next = command->prev = NULL;
}

/* Keeps the queue in order also for one that comes back. */
static void command_enter(struct eyes *eyes, struct eyes_command *command)
{
	struct eyes_queue *queue = command->queue;
	if (command->pending)
		return;
	struct eyes_command *after = queue->last;
	while (after && after->order > command->order)
		after = after->prev;
	command->prev = after;
	command->next = after ? after->next : queue->first;
	*(after ? &after->next : &queue->first) = command;
	*(command->next ? &command->next->prev : &queue->last) = command;
	command->pending = true;
	eyes->pending++;
}

/* ---- giving ---- */

#define CURSORS_MAX 256

static void give(struct eyes *eyes, struct eyes_command *command, bool comma, struct buf *out)
{
	uint64_t now = clock_monotonic_us();
	if (comma)
		buf_putc(out, ',');
	buf_puts(out, command->json);
	if (command->given++ == 0)
		command->first_given_us = now;
	command->last_given_us = now;
	if (command->times > 0 && --command->times == 0)
		eyes_command_leave(eyes, command);
}

static bool too_early(const struct eyes *eyes, const struct eyes_command *command, uint64_t now)
{
	return command->given && eyes->redeliver_after_ms > 0 &&
	       now - command->last_given_us < (uint64_t)eyes->redeliver_after_ms * 1000;
}

unsigned eyes_give_commands(
    struct eyes *eyes, const struct sim_request *request, unsigned limit, struct buf *out)
{
	struct eyes_command *cursors[CURSORS_MAX];
	unsigned cursor_count = 0;
	unsigned count = 0;
	uint64_t now = clock_monotonic_us();
	for (struct eyes_queue *queue = eyes->queues; queue; queue = queue->next)
		if (queue->first && cursor_count < CURSORS_MAX &&
		    eyes_filter_matches(request, queue->host, queue->port))
			cursors[cursor_count++] = queue->first;
	while (count < limit) {
		struct eyes_command **best = NULL;
		for (unsigned i = 0; i < cursor_count; i++)
			if (cursors[i] && (!best || cursors[i]->order < (*best)->order))
				best = &cursors[i];
		if (!best)
			break;
		struct eyes_command *command = *best;
		*best = command->next;
		if (!too_early(eyes, command, now))
			give(eyes, command, count++ > 0, out);
	}
	return count;
}

/* ---- adding ---- */

static void set_default(json_t *json, const char *name, json_t *value)
{
	if (json_object_get(json, name))
		json_decref(value);
	else
		json_object_set_new(json, name, value);
}

static bool command_complete(struct eyes *eyes, json_t *json, struct err *err)
{
	static const char *const needed[] = {"server", "project", "repository", "commit"};
	char id[64];
	char now[CLOCK_TEXT];
	for (unsigned i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!sim_json_text(json, needed[i], NULL))
			return err_set(
			    err, "json", "a command needs %s (or send it raw)", needed[i]);
	if (!codec_is_hex(sim_json_text(json, "commit", ""), 40))
		return err_set(err, "json", "commit: expected 40 hex digits (or send it raw)");
	snprintf(id, sizeof(id), "c-%" PRIu64, eyes->last_order + 1);
	clock_rfc3339(now, clock_wall_ms(), true);
	set_default(json, "id", json_string(id));
	set_default(json, "key", json_string("tests/applitools"));
	set_default(json, "state", json_string("SUCCESSFUL"));
	set_default(json, "createdAt", json_string(now));
	char *url =
	    mem_printf("https://eyes.example.com/app/batches/%s", sim_json_text(json, "id", ""));
	set_default(json, "url", json_string(url));
	free(url);
	return true;
}

static struct eyes_command *add_command(
    struct eyes *eyes, const json_t *json, const char *server, int64_t times, struct err *err)
{
	struct url url;
	const char *id = sim_json_text(json, "id", NULL);
	if (server && !url_parse(&url, server, err))
		return NULL;
	struct eyes_command *command = mem_zero(sizeof(*command));
	command->queue = queue_of(eyes, server ? url.host : "*", server ? url.port : 0);
	command->order = ++eyes->last_order;
	command->json = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
	command->added_us = clock_monotonic_us();
	command->times = times;
	if (id && !eyes_find_command(eyes, id, strlen(id))) {
		struct sim_name name = sim_name_text(id);
		command->id = mem_string(id);
		sim_name_put(&eyes->commands, &name, command);
	}
	*(eyes->all_last ? &eyes->all_last->next_of_all : &eyes->all) = command;
	eyes->all_last = command;
	command_enter(eyes, command);
	return command;
}

static bool post_one(struct eyes *eyes, json_t *json, json_t *ids, struct err *err)
{
	const json_t *raw = json_object_get(json, "raw");
	const struct eyes_command *command;
	if (raw) {
		if (!sim_json_known(json, "raw server times", err))
			return false;
		command = add_command(eyes, raw, sim_json_text(json, "server", NULL),
		    sim_json_integer(json, "times", -1), err);
	} else {
		if (!json_is_object(json))
			return err_set(err, "json", "expected a command");
		const char *id = sim_json_text(json, "id", NULL);
		if (id && eyes_find_command(eyes, id, strlen(id)))
			return err_set(err, "json", "id %s is there already (or send it raw)", id);
		if (!command_complete(eyes, json, err))
			return false;
		command = add_command(eyes, json, sim_json_text(json, "server", NULL), -1, err);
	}
	if (!command)
		return false;
	json_array_append_new(ids, command->id ? json_string(command->id) : json_null());
	return true;
}

static bool post_each(struct eyes *eyes, json_t *body, json_t *ids, struct err *err)
{
	json_t *list = json_object_get(body, "commands");
	size_t i;
	json_t *item;
	if (!list && !json_is_array(body))
		return post_one(eyes, body, ids, err);
	json_array_foreach(list ? list : body, i, item)
	{
		if (!post_one(eyes, item, ids, err))
			return false;
	}
	return true;
}

void eyes_post_commands(struct sim_request *request, void *app)
{
	struct eyes *eyes = app;
	struct err err = ERR_INIT;
	json_t *body = sim_json_body(request);
	if (!body)
		return;
	json_t *generate = json_object_get(body, "generate");
	json_t *ids = json_array();
	unsigned number = generate ? eyes_generate(eyes, generate, &err) : 0;
	bool good = generate ? number > 0 : post_each(eyes, body, ids, &err);
	if (!good)
		sim_answer_error(request, 400, "%s", err.message);
	else if (generate)
		sim_answer_json(request, 200, json_pack("{s:i}", "generator", (int)number));
	else
		sim_answer_json(request, 200,
		    json_pack("{s:O,s:I}", "ids", ids, "waiting", (json_int_t)eyes->pending));
	json_decref(ids);
	json_decref(body);
	eyes_wake(eyes);
}

/* ---- redelivery ---- */

static void redeliver(struct eyes *eyes, struct eyes_command *command)
{
	command->last_given_us = 0;
	command_enter(eyes, command);
}

void eyes_redeliver(struct sim_request *request, void *app)
{
	struct eyes *eyes = app;
	struct err err = ERR_INIT;
	json_t *body = sim_json_body(request);
	size_t i;
	json_t *item;
	if (!body)
		return;
	if (!sim_json_known(body, "ids all unfinished", &err)) {
		sim_answer_error(request, 400, "%s", err.message);
		json_decref(body);
		return;
	}
	bool unfinished = sim_json_bool(body, "unfinished", false);
	json_array_foreach(json_object_get(body, "ids"), i, item)
	{
		const char *id = json_string_value(item);
		struct eyes_command *command = id ? eyes_find_command(eyes, id, strlen(id)) : NULL;
		if (command)
			redeliver(eyes, command);
		else if (id)
			eyes_redeliver_generated(eyes, id, false);
	}
	if (sim_json_bool(body, "all", false)) {
		for (struct eyes_command *c = eyes->all; c; c = c->next_of_all)
			if (c->given && c->id && !(unfinished && c->outcome))
				redeliver(eyes, c);
		eyes_redeliver_generated(eyes, NULL, unfinished);
	}
	json_decref(body);
	sim_answer(request, 204, NULL, "", 0);
	eyes_wake(eyes);
}

/* ---- what was acknowledged ---- */

void eyes_record_ack(struct eyes *eyes, const struct sim_request *request, const char *id,
    size_t length, enum eyes_outcome outcome, const char *error)
{
	eyes->outcomes[outcome]++;
	uint64_t number = ++eyes->last_ack;
	struct eyes_ack *ack = &eyes->acks[number % eyes->acks_size];
	free(ack->id);
	free(ack->error);
	*ack = (struct eyes_ack){.number = number,
	    .wall_ms = clock_wall_ms(),
	    .us = clock_monotonic_us(),
	    .request = request->number,
	    .id = mem_bytes(id, length),
	    .error = mem_string(error),
	    .outcome = outcome};
}

static void write_ack(const struct eyes_ack *ack, struct buf *out)
{
	buf_puts(out, out->data[out->length - 1] == '[' ? "{" : ",{");
	sim_put_integer(out, "number", (int64_t)ack->number);
	sim_put_integer(out, "time_ms", ack->wall_ms);
	sim_put_integer(out, "us", (int64_t)ack->us);
	sim_put_text(out, "id", ack->id);
	sim_put_text(out, "outcome", eyes_outcome_name(ack->outcome));
	sim_put_text(out, "error", ack->error);
	sim_put_integer(out, "request", (int64_t)ack->request);
	buf_putc(out, '}');
}

void eyes_list_acks(struct sim_request *request, void *app)
{
	struct eyes *eyes = app;
	struct buf id;
	struct buf outcome;
	struct buf out;
	uint64_t since = (uint64_t)sim_query_integer(request, "since", 0);
	int64_t limit = sim_query_integer(request, "limit", INT64_MAX);
	buf_init(&id, 4096);
	buf_init(&outcome, 4096);
	buf_init(&out, ANSWER_MAX);
	sim_query(request, "id", 0, &id);
	sim_query(request, "outcome", 0, &outcome);
	uint64_t first =
	    eyes->last_ack > eyes->acks_size ? eyes->last_ack - eyes->acks_size + 1 : 1;
	buf_putc(&out, '{');
	sim_put_integer(&out, "last", (int64_t)eyes->last_ack);
	sim_put_member(&out, "acks");
	buf_putc(&out, '[');
	for (uint64_t n = since >= first ? since + 1 : first; n <= eyes->last_ack && limit > 0;
	     n++) {
		const struct eyes_ack *ack = &eyes->acks[n % eyes->acks_size];
		if ((id.length && strcmp(id.data, ack->id) != 0) ||
		    (outcome.length && strcmp(outcome.data, eyes_outcome_name(ack->outcome)) != 0))
			continue;
		write_ack(ack, &out);
		limit--;
	}
	buf_puts(&out, "]}");
	buf_free(&id);
	buf_free(&outcome);
	sim_answer_buf(request, 200, &out);
}

static void write_command(const struct eyes_command *command, struct buf *out)
{
	buf_puts(out, out->data[out->length - 1] == '[' ? "{" : ",{");
	sim_put_text(out, "id", command->id);
	sim_put_integer(out, "given", (int64_t)command->given);
	sim_put_bool(out, "accepted", command->accepted);
	sim_put_text(out, "outcome", command->outcome ? eyes_outcome_name(command->outcome) : NULL);
	sim_put_text(out, "error", command->error);
	sim_put_integer(out, "added_us", (int64_t)command->added_us);
	sim_put_integer(out, "first_given_us", (int64_t)command->first_given_us);
	sim_put_integer(out, "accepted_us", (int64_t)command->accepted_us);
	sim_put_integer(out, "outcome_us", (int64_t)command->outcome_us);
	buf_putc(out, '}');
}

void eyes_list_commands(struct sim_request *request, void *app)
{
	struct eyes *eyes = app;
	struct buf id;
	struct buf out;
	int64_t limit = sim_query_integer(request, "limit", INT64_MAX);
	buf_init(&id, 4096);
	buf_init(&out, ANSWER_MAX);
	bool one = sim_query(request, "id", 0, &id) && id.length;
	buf_puts(&out, "{\"commands\":[");
	for (const struct eyes_command *c = eyes->all; c && limit > 0; c = c->next_of_all) {
		if (one && (!c->id || strcmp(c->id, id.data) != 0))
			continue;
		write_command(c, &out);
		limit--;
	}
	buf_puts(&out, "]}");
	buf_free(&id);
	sim_answer_buf(request, 200, &out);
}

void eyes_clear_commands(struct eyes *eyes)
{
	while (eyes->all) {
		struct eyes_command *command = eyes->all;
		eyes->all = command->next_of_all;
		free(command->id);
		free(command->json);
		free(command->error);
		free(command);
	}
	while (eyes->queues) {
		struct eyes_queue *queue = eyes->queues;
		eyes->queues = queue->next;
		free(queue->host);
		free(queue);
	}
	for (uint64_t i = 0; i < eyes->acks_size; i++) {
		free(eyes->acks[i].id);
		free(eyes->acks[i].error);
		eyes->acks[i] = (struct eyes_ack){0};
	}
	map_free(&eyes->commands);
	map_init(&eyes->commands);
	map_free(&eyes->request_ids);
	map_init(&eyes->request_ids);
	memset(eyes->outcomes, 0, sizeof(eyes->outcomes));
	eyes->all_last = NULL;
	eyes->pending = eyes->last_ack = 0;
	eyes->polls = eyes->empty_polls = eyes->given = 0;
	eyes->most_waiting = eyes->waiting;
}
