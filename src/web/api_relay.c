/* Events on their way to Eyes: how the road is, what waits on it, and what is to be done with it.
 */
#include "service/health.h"
#include "web/web.h"
#include <stdlib.h>
#include <string.h>

#define BODY_MAX (16u << 20)

static void count_lane(uint32_t lane, void *arg)
{
	(void)lane;
	++*(int64_t *)arg;
}

static void write_counts(struct service *service, struct json_writer *w)
{
	struct events_counts counts;
	int64_t lanes = 0;

	events_count(service->parts.events, &counts);
	events_each_lane(service->parts.events, count_lane, &lanes);
	json_open_object(w, "counts");
	json_write_int(w, "waiting", (int64_t)counts.waiting);
	json_write_int(w, "dead", (int64_t)counts.dead);
	json_write_int(w, "bytes", (int64_t)counts.bytes);
	json_write_int(w, "lanes", lanes);
	json_close_object(w);
}

static void write_webhooks(struct service *service, struct json_writer *w)
{
	static const enum hook_state shown[] = {
	    HOOK_OK, HOOK_FAILING, HOOK_MANUAL, HOOK_BROKEN, HOOK_CONFLICT, HOOK_NEW};

	json_open_object(w, "webhooks");
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		json_write_int(w, hook_state_name(shown[i]),
		    (int64_t)hooks_count(service->parts.hooks, shown[i]));
	json_close_object(w);
}

struct listing {
	struct service *service;
	struct json_writer *w;
	bool truncated;
	uint64_t left;
};

static bool write_event(const struct event_entry *entry, bool dead, void *arg)
{
	struct listing *listing = arg;
	struct service *service = listing->service;
	struct json_writer *w = listing->w;
	bool sending = !dead && forwarder_is_sending(service->parts.forwarder, entry->number);

	if (listing->left == 0) {
		listing->truncated = true;
		return false;
	}
	listing->left--;
	json_open_object(w, NULL);
	json_write_int(w, "id", (int64_t)entry->number);
	json_write_string(w, "state", dead ? "dead" : sending ? "sending" : "waiting");
	json_write_string(w, "source", entry->lane == EVENTS_GITHUB ? "github" : "bitbucket");
	if (entry->lane == EVENTS_GITHUB)
		json_write_string(w, "repository", "");
	else
		api_write_repository_name(service, w, entry->lane);
	json_write_string(w, "event", entry->key);
	json_write_text(w, "request_id", entry->request_id);
	json_write_time(w, "received", entry->received_ms);
	json_write_time(w, "ended", entry->ended_ms);
	json_write_int(w, "size", (int64_t)entry->body_length);
	json_write_int(w, "attempts", entry->attempts);
	json_write_text(w, "code", entry->code);
	json_write_text(w, "error", entry->error);
	json_close_object(w);
	return true;
}

static void write_leg(struct service *service, struct json_writer *w)
{
	struct health_leg leg;
	struct buf hops;

	health_events(service, &leg);
	json_write_string(w, "state", health_state_name(leg.state));
	json_write_text(w, "message", leg.message);
	json_write_text(w, "hint", leg.hint);
	json_write_time(w, "last_ok", leg.last_ok_ms);
	json_write_time(w, "next_try", leg.next_ms);
	if (leg.trace == NULL || leg.state == HEALTH_OK)
		return;
	buf_init(&hops, 32 * 1024);
	http_trace_json(leg.trace, &hops);
	json_write_raw(w, "trace", &hops);
	buf_free(&hops);
}

void api_relay_get(struct web_request *request)
{
	static const char *const words[] = {"waiting", "dead", NULL};
	struct service *service = request->service;
	struct listing listing = {.service = service};
	struct json_writer w;
	struct buf body;
	char state[16];

	if (!web_query_number(request, "limit", 1, 10000, 1000, &listing.left) ||
	    !web_query_word(request, "state", words, state, sizeof(state)))
		return;
	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	listing.w = &w;
	json_open_object(&w, NULL);
	json_write_string(&w, "mode", service->parts.relay ? "relay" : "direct");
	json_write_text(&w, "url", service->parts.webhook_url);
	json_write_bool(&w, "documented", false);
	json_write_bool(&w, "configured", service->parts.webhook_url_set);
	write_leg(service, &w);
	write_counts(service, &w);
	write_webhooks(service, &w);
	json_open_array(&w, "events");
	if (strcmp(state, "dead") != 0)
		events_walk(service->parts.events, false, write_event, &listing);
	if (strcmp(state, "waiting") != 0)
		events_walk(service->parts.events, true, write_event, &listing);
	json_close_array(&w);
	json_write_bool(&w, "truncated", listing.truncated);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

void api_write_events(struct service *service, struct json_writer *w, const char *name)
{
	struct health_leg leg;

	if (!health_events(service, &leg))
		return;
	json_open_object(w, name);
	json_write_string(w, "mode", service->parts.relay ? "relay" : "direct");
	write_leg(service, w);
	write_counts(service, w);
	json_close_object(w);
}

void api_relay_retry(struct web_request *request)
{
	struct api_numbers *numbers = api_read_numbers(request, true);
	struct service *service = request->service;
	uint64_t done;

	if (numbers == NULL)
		return;
	if (numbers->all)
		done = service_events_retry_all(service, request->who, api_say_kept, request);
	else
		done = service_events_retry(
		    service, request->who, numbers->list, numbers->count, api_say_kept, request);
	api_keep_numbers(request, numbers, done, "retried");
}

void api_relay_drop(struct web_request *request)
{
	struct api_numbers *numbers = api_read_numbers(request, false);
	unsigned done;

	if (numbers == NULL)
		return;
	done = service_events_drop(
	    request->service, request->who, numbers->list, numbers->count, api_say_kept, request);
	api_keep_numbers(request, numbers, done, "dropped");
}
