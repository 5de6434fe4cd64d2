/*
 * The addresses that take events: Bitbucket's by this project's default, GitHub's. Strict, and
 * recorded in a ring of small records: bodies are not kept. Described in sim_eyes.h.
 */
#include "sim/sim_eyes.h"

#include "base/codec.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "sim/sim_scan.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TEXTS_MAX 20000 /* different names that are remembered */
#define ANSWER_MAX (1024UL * 1024 * 1024)
#define REPOSITORY_MAX 512

enum signature { SIGNATURE_NONE, SIGNATURE_UNCHECKED, SIGNATURE_OK, SIGNATURE_WRONG };
static const char *const signature_names[] = {"none", "unchecked", "ok", "wrong"};

struct received {
	uint64_t number; /* 0: never used */
	uint64_t arrived_us, request, before;
	int64_t wall_ms;
	const char *key, *repository, *server, *instance, *agent, *type; /* in texts */
	char request_id[64];
	unsigned char sha256[CRYPTO_SHA256];
	uint32_t size;
	bool github, with_key, other_body;
	unsigned char signature;
};

struct eyes_events {
	struct received *ring;
	uint64_t size, last;
	struct map by_id; /* request id -> the first event in the ring with it */
	struct map texts; /* text -> its copy */
	struct {
		uint64_t bitbucket, github, pings, duplicates, other_body, without_key, unsigned_,
		    forged, refused, bytes;
	} counts;
	char *secret, *github_secret;
	bool require_key, require_signature;
};

/* ---- life ---- */

void eyes_events_new(struct eyes *eyes, uint64_t size)
{
	struct eyes_events *events = mem_zero(sizeof(*events));
	events->size = size;
	events->ring = mem_array(size, sizeof(*events->ring)); /* pages are touched when used */
	map_init(&events->by_id);
	map_init(&events->texts);
	eyes->events = events;
}

void eyes_events_reset(struct eyes *eyes, bool all)
{
	struct eyes_events *events = eyes->events;
	char *text;
	uint64_t used = events->last < events->size ? events->last : events->size;
	memset(events->ring, 0, used * sizeof(*events->ring));
	for (size_t position = 0; (text = map_next(&events->texts, &position));)
		free(text);
	map_free(&events->texts);
	map_free(&events->by_id);
	map_init(&events->texts);
	map_init(&events->by_id);
	memset(&events->counts, 0, sizeof(events->counts));
	events->last = 0;
	if (!all)
		return;
	free(events->secret);
	free(events->github_secret);
	events->secret = events->github_secret = NULL;
	events->require_key = events->require_signature = false;
}

void eyes_events_free(struct eyes *eyes)
{
	eyes_events_reset(eyes, true);
	map_free(&eyes->events->texts);
	map_free(&eyes->events->by_id);
	free(eyes->events->ring);
	free(eyes->events);
}

static const char *keep(struct eyes_events *events, const char *text)
{
	if (!text || !*text)
		return "";
	struct sim_name name = sim_name_text(text);
	char *kept = sim_name_get(&events->texts, &name);
	if (kept)
		return kept;
	if (events->texts.count >= TEXTS_MAX)
		return "(too many)";
	kept = mem_string(text);
	sim_name_put(&events->texts, &name, kept);
	return kept;
}

/* ---- the body ---- */

struct found {
	struct sim_text project, slug, full_name;
};

/* "repository" of Bitbucket's events, or of GitHub's. */
static void scan_repository(struct sim_scan *scan, struct found *found)
{
	bool first = true;
	struct sim_text name;
	if (!sim_scan_object(scan))
		return;
	while (sim_scan_member(scan, &first, &name)) {
		if (sim_text_is(&name, "slug")) {
			sim_scan_string(scan, &found->slug);
		} else if (sim_text_is(&name, "full_name")) {
			sim_scan_string(scan, &found->full_name);
		} else if (sim_text_is(&name, "project") && sim_scan_object(scan)) {
			bool inner = true;
			while (sim_scan_member(scan, &inner, &name)) {
				if (sim_text_is(&name, "key"))
					sim_scan_string(scan, &found->project);
				else
					sim_scan_skip(scan);
			}
		} else {
			sim_scan_skip(scan);
		}
	}
}

/* The object that stands here: what is in its member `inside`, down to "repository". */
static void scan_object(struct sim_scan *scan, struct found *found, const char *const *inside)
{
	bool first = true;
	struct sim_text name;
	if (!sim_scan_object(scan))
		return;
	while (sim_scan_member(scan, &first, &name)) {
		if (sim_text_is(&name, "repository"))
			scan_repository(scan, found);
		else if (*inside && sim_text_is(&name, *inside))
			scan_object(scan, found, inside + 1);
		else
			sim_scan_skip(scan);
	}
}

/* NULL when it is strict JSON, an object; else what is wrong. */
static const char *scan_body(const struct sim_request *request, bool github, char *repository)
{
	static const char *const pull_request[] = {"pullRequest", "toRef", NULL};
	static const char *const nothing[] = {NULL};
	struct sim_scan scan;
	struct found found = {0};
	repository[0] = '\0';
	if (!sim_scan_init(&scan, request->body, request->body_length))
		return scan.error;
	scan_object(&scan, &found, github ? nothing : pull_request);
	if (!sim_scan_end(&scan))
		return scan.error;
	if (found.full_name.data && github)
		snprintf(repository, REPOSITORY_MAX, "%.*s", (int)found.full_name.length,
		    found.full_name.data);
	else if (found.slug.data && found.project.data)
		snprintf(repository, REPOSITORY_MAX, "%.*s/%.*s", (int)found.project.length,
		    found.project.data, (int)found.slug.length, found.slug.data);
	return NULL;
}

/* ---- one event ---- */

static bool refuse(struct sim_request *request, struct eyes *eyes, int status, const char *what)
{
	sim_violation(&eyes->sim->violations, request, "event to %s: %s", request->path, what);
	eyes->events->counts.refused++;
	sim_answer_error(request, status, "%s", what);
	return false;
}

static bool check_query(struct sim_request *request, struct eyes *eyes, struct buf *text)
{
	if (!sim_query(request, "orgId", 0, text) || !text->length)
		return refuse(request, eyes, 400, "orgId is missing");
	if (strcmp(text->data, eyes->organization) != 0)
		return refuse(request, eyes, 404, "orgId is of another organization");
	buf_reset(text);
	if (!sim_query(request, "serverId", 0, text) || !text->length)
		return refuse(request, eyes, 400, "serverId is missing");
	return true;
}

static bool is_json(const struct sim_request *request)
{
	const char *type = http_head_get(request->head, "Content-Type");
	return type && strncasecmp(type, "application/json", 16) == 0 &&
	       strchr("; \t", type[16]) != NULL;
}

static enum signature check_signature(
    const struct sim_request *request, const char *header, const char *secret)
{
	const char *value = http_head_get(request->head, header);
	unsigned char mac[CRYPTO_SHA256];
	unsigned char given[CRYPTO_SHA256];
	if (!value)
		return SIGNATURE_NONE;
	if (!secret)
		return SIGNATURE_UNCHECKED;
	crypto_hmac_sha256(mac, secret, strlen(secret), request->body, request->body_length);
	bool good = strncmp(value, "sha256=", 7) == 0 &&
	            codec_hex_decode(given, sizeof(given), value + 7) &&
	            memcmp(mac, given, sizeof(mac)) == 0;
	return good ? SIGNATURE_OK : SIGNATURE_WRONG;
}

/* In the ring; the record that makes room is forgotten, and so is its request id. */
static struct received *ring_next(struct eyes_events *events)
{
	struct received *event = &events->ring[events->last % events->size];
	if (event->number) {
		struct sim_name name = sim_name_text(event->request_id);
		if (sim_name_get(&events->by_id, &name) == event)
			sim_name_remove(&events->by_id, &name);
	}
	*event = (struct received){.number = ++events->last};
	return event;
}

static void find_duplicate(struct eyes_events *events, struct received *event)
{
	struct sim_name name = sim_name_text(event->request_id);
	const struct received *before = sim_name_get(&events->by_id, &name);
	if (!before) {
		sim_name_put(&events->by_id, &name, event);
		return;
	}
	event->before = before->number;
	event->other_body = memcmp(before->sha256, event->sha256, sizeof(event->sha256)) != 0;
	events->counts.duplicates++;
	events->counts.other_body += event->other_body;
}

static void count(struct eyes_events *events, const struct received *event)
{
	if (event->github)
		events->counts.github++;
	else
		events->counts.bitbucket++;
	events->counts.pings +=
	    strcmp(event->key, "diagnostics:ping") == 0 || strcmp(event->key, "ping") == 0;
	events->counts.without_key += !event->with_key;
	events->counts.unsigned_ += event->signature == SIGNATURE_NONE;
	events->counts.forged += event->signature == SIGNATURE_WRONG;
	events->counts.bytes += event->size;
}

static void record(struct sim_request *request, struct eyes *eyes, const struct received *seen,
    const char *repository)
{
	struct eyes_events *events = eyes->events;
	const char *id =
	    http_head_get(request->head, seen->github ? "X-GitHub-Delivery" : "X-Request-Id");
	struct buf text;
	struct received *event = ring_next(events);
	uint64_t number = event->number;
	*event = *seen;
	event->number = number;
	event->request = request->number;
	event->arrived_us = request->arrived_us;
	event->wall_ms = request->wall_ms;
	event->size = (uint32_t)request->body_length;
	event->key = keep(
	    events, http_head_get(request->head, seen->github ? "X-GitHub-Event" : "X-Event-Key"));
	event->repository = keep(events, repository);
	event->agent = keep(events, http_head_get(request->head, "User-Agent"));
	event->type = keep(events, http_head_get(request->head, "Content-Type"));
	buf_init(&text, 4096);
	if (sim_query(request, "serverId", 0, &text))
		event->server = keep(events, text.data);
	buf_reset(&text);
	event->instance = sim_query(request, "instance", 0, &text) ? keep(events, text.data) : "";
	buf_free(&text);
	snprintf(event->request_id, sizeof(event->request_id), "%.63s", id);
	crypto_sha256(event->sha256, request->body, request->body_length);
	find_duplicate(events, event);
	count(events, event);
}

static void take(struct sim_request *request, struct eyes *eyes, bool github)
{
	const char *key_name = github ? "X-GitHub-Event" : "X-Event-Key";
	const char *id_name = github ? "X-GitHub-Delivery" : "X-Request-Id";
	const char *event_key = http_head_get(request->head, key_name);
	const char *id = http_head_get(request->head, id_name);
	struct eyes_events *events = eyes->events;
	struct received seen = {.github = github, .with_key = eyes_request_key(request) != NULL};
	char repository[REPOSITORY_MAX];
	struct buf text;
	buf_init(&text, 4096);
	bool good = check_query(request, eyes, &text);
	buf_free(&text);
	if (!good)
		return;
	if (!seen.with_key && events->require_key) {
		refuse(request, eyes, 401, "the API key is missing");
		return;
	}
	if (!event_key || !*event_key || !id || !*id) {
		refuse(request, eyes, 400, "the headers of event and request id are missing");
		return;
	}
	const char *wrong = is_json(request) ? scan_body(request, github, repository)
	                                     : "the content type is not application/json";
	if (wrong) {
		refuse(request, eyes, 400, wrong);
		return;
	}
	seen.signature = (unsigned char)check_signature(request,
	    github ? "X-Hub-Signature-256" : "X-Hub-Signature",
	    github ? events->github_secret : events->secret);
	bool ping = strcmp(event_key, "diagnostics:ping") == 0;
	if (events->require_signature && seen.signature != SIGNATURE_OK && !ping) {
		refuse(request, eyes, 401, "the signature is missing or wrong");
		return;
	}
	record(request, eyes, &seen, repository);
	sim_answer(request, 200, "application/json", "{}", 2);
}

void eyes_post_bitbucket_event(struct sim_request *request, void *app)
{
	take(request, app, false);
}

void eyes_post_github_event(struct sim_request *request, void *app)
{
	take(request, app, true);
}

/* ---- control ---- */

bool eyes_events_setup(struct eyes *eyes, const json_t *json, struct err *err)
{
	struct eyes_events *events = eyes->events;
	const json_t *secret = json_object_get(json, "secret");
	const json_t *github = json_object_get(json, "github_secret");
	if (!json)
		return true;
	if (!sim_json_known(json, "secret github_secret require_key require_signature", err))
		return false;
	if (secret) {
		free(events->secret);
		events->secret = mem_string(json_string_value(secret));
	}
	if (github) {
		free(events->github_secret);
		events->github_secret = mem_string(json_string_value(github));
	}
	events->require_key = sim_json_bool(json, "require_key", events->require_key);
	events->require_signature =
	    sim_json_bool(json, "require_signature", events->require_signature);
	return true;
}

json_t *eyes_events_json(const struct eyes *eyes)
{
	const struct eyes_events *events = eyes->events;
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "count",
	    (json_int_t)events->last, "bitbucket", (json_int_t)events->counts.bitbucket, "github",
	    (json_int_t)events->counts.github, "pings", (json_int_t)events->counts.pings,
	    "duplicates", (json_int_t)events->counts.duplicates, "other_body",
	    (json_int_t)events->counts.other_body, "without_key",
	    (json_int_t)events->counts.without_key, "unsigned",
	    (json_int_t)events->counts.unsigned_, "forged", (json_int_t)events->counts.forged,
	    "refused", (json_int_t)events->counts.refused, "bytes",
	    (json_int_t)events->counts.bytes);
}

static void put_event(struct buf *out, const struct received *event)
{
	char hex[2 * CRYPTO_SHA256 + 1];
	codec_hex_encode(hex, event->sha256, sizeof(event->sha256));
	buf_putc(out, '{');
	sim_put_integer(out, "number", (int64_t)event->number);
	sim_put_text(out, "source", event->github ? "github" : "bitbucket");
	sim_put_text(out, "event", event->key);
	sim_put_text(out, "request_id", event->request_id);
	sim_put_text(out, "repository", event->repository);
	sim_put_text(out, "sha256", hex);
	sim_put_integer(out, "size", event->size);
	sim_put_text(out, "signature", signature_names[event->signature]);
	sim_put_bool(out, "key", event->with_key);
	sim_put_integer(out, "before", (int64_t)event->before);
	sim_put_bool(out, "other_body", event->other_body);
	sim_put_text(out, "server", event->server);
	sim_put_text(out, "instance", event->instance);
	sim_put_text(out, "content_type", event->type);
	sim_put_text(out, "user_agent", event->agent);
	sim_put_integer(out, "arrived_us", (int64_t)event->arrived_us);
	sim_put_integer(out, "time_ms", event->wall_ms);
	sim_put_integer(out, "request", (int64_t)event->request);
	buf_putc(out, '}');
}

static bool passes(const struct buf *filter, const char *value)
{
	return !filter->length || strcasecmp(filter->data, value) == 0;
}

void eyes_list_events(struct sim_request *request, void *app)
{
	static const char *const names[] = {"repository", "event", "request_id"};
	const struct eyes_events *events = ((struct eyes *)app)->events;
	uint64_t oldest = events->last > events->size ? events->last - events->size : 0;
	uint64_t number = (uint64_t)sim_query_integer(request, "since", 0);
	int64_t left = sim_query_integer(request, "limit", INT64_MAX);
	struct buf filter[3];
	struct buf out;
	bool first = true;
	for (int i = 0; i < 3; i++) {
		buf_init(&filter[i], 1024);
		sim_query(request, names[i], 0, &filter[i]);
	}
	buf_init(&out, ANSWER_MAX);
	buf_putc(&out, '{');
	sim_put_integer(&out, "last", (int64_t)events->last);
	sim_put_integer(&out, "oldest", (int64_t)(events->last ? oldest + 1 : 0));
	sim_put_member(&out, "events");
	buf_putc(&out, '[');
	for (number = number > oldest ? number : oldest; number < events->last && left > 0;
	     number++) {
		const struct received *event = &events->ring[number % events->size];
		if (!passes(&filter[0], event->repository) || !passes(&filter[1], event->key) ||
		    !passes(&filter[2], event->request_id))
			continue;
		if (!first)
			buf_putc(&out, ',');
		first = false;
		left--;
		put_event(&out, event);
	}
	buf_puts(&out, "]}");
	for (int i = 0; i < 3; i++)
		buf_free(&filter[i]);
	sim_answer_buf(request, 200, &out);
}
