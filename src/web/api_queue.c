/* The queue and the journal. */
#define _GNU_SOURCE /* strcasestr */
#include "web/web.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX (16u << 20)

void api_write_counts(struct service *service, struct json_writer *w, const char *name)
{
	struct record_repo record = {0};
	struct queue_counts counts;
	uint64_t blocked = 0, elsewhere;

	queue_count(service->parts.queue, &counts);
	if (records_repo_count(service->parts.records, REPO_BLOCKED) > 0)
		while (records_next_repo(service->parts.records, record.id, &record))
			if (record.state == REPO_BLOCKED)
				blocked +=
				    queue_count_repo(service->parts.queue, record.id, 100000);
	elsewhere = counts.later + counts.claimed + blocked; /* each update is counted once */
	json_open_object(w, name);
	json_write_int(
	    w, "waiting", counts.waiting > elsewhere ? (int64_t)(counts.waiting - elsewhere) : 0);
	json_write_int(w, "later", (int64_t)counts.later);
	json_write_int(w, "blocked", (int64_t)blocked);
	json_write_int(w, "dead", (int64_t)counts.dead);
	json_write_int(w, "sending", (int64_t)counts.claimed);
	json_close_object(w);
}

struct listing {
	struct web_request *request;
	struct json_writer *w;
	bool only_blocked, truncated;
	uint64_t left;
};

static const char *state_of(struct listing *listing, const struct queue_entry *entry, bool dead)
{
	struct record_repo record;

	if (dead)
		return "dead";
	if (entry->claimed)
		return "sending";
	if (records_repo(listing->request->service->parts.records, entry->repo, &record) &&
	    record.state == REPO_BLOCKED)
		return "blocked";
	return entry->lane == QUEUE_LATER ? "later" : "waiting";
}

static bool write_entry(const struct queue_entry *entry, bool dead, void *arg)
{
	struct listing *listing = arg;
	struct json_writer *w = listing->w;
	const char *state = state_of(listing, entry, dead);

	if (listing->only_blocked && strcmp(state, "blocked") != 0)
		return true;
	if (listing->left == 0) {
		listing->truncated = true;
		return false;
	}
	listing->left--;
	json_open_object(w, NULL);
	json_write_int(w, "id", (int64_t)entry->number);
	json_write_string(w, "state", state);
	json_write_string(w, "kind", entry->kind == QUEUE_VERIFY ? "verify" : "set");
	api_write_repository_name(listing->request->service, w, entry->repo);
	json_write_string(w, "commit", entry->update.commit);
	json_write_string(w, "key", entry->update.key);
	json_write_string(w, "status", update_state_name(entry->update.state));
	json_write_text(w, "description", entry->update.description);
	json_write_text(w, "url", entry->update.url);
	json_write_time(w, "received", entry->received_ms);
	if (entry->lane == QUEUE_LATER && !dead)
		json_write_time(w, "due", entry->due_ms);
	json_write_int(w, "attempts", entry->attempts);
	json_write_text(w, "code", entry->last_code);
	json_write_text(w, "error", entry->last_error);
	json_close_object(w);
	return true;
}

void api_queue_get(struct web_request *request)
{
	struct listing listing = {.request = request};
	struct err err = ERR_INIT;
	struct json_writer w;
	char state[16];
	struct buf body;

	if (!web_query_number(request, "limit", 1, 10000, 1000, &listing.left))
		return;
	web_query(request, "state", state, sizeof(state));
	if (state[0] != '\0' && strcmp(state, "waiting") != 0 && strcmp(state, "blocked") != 0 &&
	    strcmp(state, "dead") != 0) {
		err_set(&err, "invalid", "state must be waiting, blocked or dead");
		err_field(&err, "state");
		web_reply_err(request, 400, &err, NULL);
		return;
	}
	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	listing.w = &w;
	listing.only_blocked = strcmp(state, "blocked") == 0;
	json_open_object(&w, NULL);
	json_open_array(&w, "updates");
	if (strcmp(state, "dead") != 0)
		queue_walk(request->service->parts.queue, false, write_entry, &listing);
	if (state[0] == '\0' || strcmp(state, "dead") == 0)
		queue_walk(request->service->parts.queue, true, write_entry, &listing);
	json_close_array(&w);
	api_write_counts(request->service, &w, "counts");
	json_write_bool(&w, "truncated", listing.truncated);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

/* ---- changing ---- */

static void retried_all(const struct service_result *result, void *arg)
{
	struct web_request *request = arg;
	struct json_writer w;
	struct buf body;

	if (result->fault != SERVICE_OK) {
		web_reply_result(request, result);
		return;
	}
	buf_init(&body, 256);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_write_int(&w, "retried", (int64_t)request->count);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

void api_queue_retry(struct web_request *request)
{
	struct api_numbers *numbers = api_read_numbers(request, true);
	struct service *service = request->service;
	unsigned done;

	if (numbers == NULL)
		return;
	if (numbers->all) {
		free(numbers);
		service_retry_all(service, request->who, &request->count, retried_all, request);
		return;
	}
	done = service_retry(
	    service, request->who, numbers->list, numbers->count, api_say_kept, request);
	api_keep_numbers(request, numbers, done, "retried");
}

void api_queue_drop(struct web_request *request)
{
	struct api_numbers *numbers = api_read_numbers(request, false);
	unsigned done;

	if (numbers == NULL)
		return;
	done = service_drop(
	    request->service, request->who, numbers->list, numbers->count, api_say_kept, request);
	api_keep_numbers(request, numbers, done, "dropped");
}

/* ---- what happened ---- */

struct rows {
	struct service *service;
	struct json_writer *w;
	const char *search; /* "" for all */
	unsigned left;
};

/* Whether the words stand in the repository's name, the commit or the key. */
static bool is_found(const struct rows *rows, const struct journal_row *row)
{
	struct record_repo record;
	char name[300] = "";

	if (rows->search[0] == '\0')
		return true;
	if (records_repo(rows->service->parts.records, row->repo, &record))
		snprintf(name, sizeof(name), "%s/%s", record.project, record.slug);
	return strcasestr(name, rows->search) != NULL ||
	       strcasestr(row->commit, rows->search) != NULL ||
	       strcasestr(row->key, rows->search) != NULL;
}

static const char *outcome_name(enum update_outcome outcome)
{
	return outcome == UPDATE_DROPPED ? "dropped" : update_outcome_name(outcome);
}

void api_write_repository_history(
    struct service *service, struct json_writer *w, const struct record_repo *record)
{
	const struct journal_last *last = journal_last(service->parts.journal, record->id);
	char who[AUDIT_WHO], from[AUDIT_WHO];

	if (last == NULL) {
		json_write_null(w, "last_update");
	} else {
		json_open_object(w, "last_update");
		json_write_time(w, "ended", last->ended_ms);
		json_write_string(w, "status", update_state_name(last->state));
		json_write_string(w, "outcome", outcome_name(last->outcome));
		json_close_object(w);
	}
	audit_split(record->enabled_by, who, from);
	json_write_time(w, "enabled_at", record->enabled_ms);
	json_write_text(w, "enabled_by", who);
	json_write_time(w, "token_at", record->has_token ? record->token_ms : 0);
}

static bool write_row(const struct journal_row *row, void *arg)
{
	struct rows *rows = arg;
	struct json_writer *w = rows->w;

	if (!is_found(rows, row))
		return true;
	if (rows->left == 0)
		return false;
	rows->left--;
	json_open_object(w, NULL);
	json_write_int(w, "number", (int64_t)row->number);
	json_write_time(w, "ended", row->ended_ms);
	json_write_time(w, "received", row->received_ms);
	api_write_repository_name(rows->service, w, row->repo);
	json_write_text(w, "commit", row->commit);
	json_write_text(w, "key", row->key);
	json_write_string(w, "status", update_state_name(row->state));
	json_write_string(w, "outcome", outcome_name(row->outcome));
	json_write_int(w, "attempts", row->attempts);
	if (row->received_ms != 0)
		json_write_int(w, "ms", row->ended_ms - row->received_ms);
	json_write_text(w, "code", row->code);
	json_write_text(w, "error", row->error);
	json_close_object(w);
	return true;
}

void api_write_updates(struct service *service, struct json_writer *w, const char *name,
    unsigned most, uint64_t after, const char *search)
{
	struct rows rows = {.service = service, .w = w, .search = search, .left = most};
	unsigned look = search[0] != '\0' ? UINT_MAX : most;

	json_open_array(w, name);
	if (after > 0)
		journal_since(service->parts.journal, after, look, write_row, &rows);
	else
		journal_latest(service->parts.journal, look, write_row, &rows);
	json_close_array(w);
}
