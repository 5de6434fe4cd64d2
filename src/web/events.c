#include "web/events.h"
#include "base/json_writer.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "flow/inbox.h"
#include "net/http_codec.h"
#include "web/web_internal.h"
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BITBUCKET "/api/bitbucket-events-proxy/"
#define GITHUB "/api/github-events-proxy"

#define POT_MIN (32 * 1024 * 1024)
#define BODY_MS (30 * 1000)
#define BODY_RATE (256 * 1024) /* bytes a second */

/* ---- where ---- */

struct place_of { /* a target of this road */
	bool github;
	uint32_t repo; /* 0: none can have that id */
};

static uint32_t read_id(const char *text, size_t length)
{
	uint64_t id = 0;

	if (length == 0 || length > 10 || text[0] == '0')
		return 0;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		id = id * 10 + (uint64_t)(text[i] - '0');
	}
	return id <= UINT32_MAX ? (uint32_t)id : 0;
}

static bool find_place(const char *target, struct place_of *place)
{
	const char *path = gate_path_of(target);
	size_t length = strcspn(path, "?"), prefix = sizeof(BITBUCKET) - 1;

	*place = (struct place_of){0};
	if (length >= prefix && memcmp(path, BITBUCKET, prefix) == 0) {
		place->repo = read_id(path + prefix, length - prefix);
		return true;
	}
	place->github = length == sizeof(GITHUB) - 1 && memcmp(path, GITHUB, length) == 0;
	return place->github;
}

/* ---- answers ---- */

#define RECEIVED(result_)                                                                  \
	METRIC(METRIC_COUNTER, "eyes_scm_events_received_total", "result=\"" result_ "\"", \
	    "Events of source-control servers, by what became of them here")
static struct metric received[] = {
    [INBOX_ACCEPTED] = RECEIVED("accepted"),
    [INBOX_KNOWN] = RECEIVED("known"),
    [INBOX_PONG] = RECEIVED("ping"),
    [INBOX_UNKNOWN] = RECEIVED("unknown"),
    [INBOX_UNSIGNED] = RECEIVED("unsigned"),
    [INBOX_FORGED] = RECEIVED("forged"),
    [INBOX_MALFORMED] = RECEIVED("malformed"),
    [INBOX_FULL] = RECEIVED("full"),
    [INBOX_FAILED] = RECEIVED("failed"),
};
static struct metric received_large = RECEIVED("too_large");

static const struct refusal {
	int status;
	const char *code, *message, *hint;
} refusals[] = {
    [INBOX_UNKNOWN] = {404, "not_found", "no events are taken for this address",
        "Enable the repository in eyes-scm; with EYES_EVENTS=relay its webhook leads here."},
    [INBOX_UNSIGNED] = {401, "signature_missing", "the event is not signed",
        "Give the webhook the secret that eyes-scm shows for it."},
    [INBOX_FORGED] = {401, "signature_wrong", "the event's signature does not fit",
        "Give the webhook the secret that eyes-scm shows for it."},
    [INBOX_MALFORMED] = {400, "malformed", "the event's headers cannot be used",
        "Each of event key, request id and content type once, in visible ASCII."},
    [INBOX_OFF] = {404, "github_off", "GitHub's events are not taken",
        "Set GITHUB_WEBHOOK_SECRET."},
    [INBOX_FULL] = {503, "store_full", "there is no room for more events now",
        "See in eyes-scm why Eyes takes no events, or raise EYES_STORE_SIZE or EYES_QUEUE_LIMIT."},
    [INBOX_FAILED] = {503, "store_failed", "the event could not be stored",
        "The log of eyes-scm says why."},
};

#define COMMON                               \
	"Content-Type: application/json\r\n" \
	"Cache-Control: no-store\r\n"        \
	"X-Content-Type-Options: nosniff\r\n"

static void answer_done(struct gate_reply *reply, int status)
{
	gate_answer(reply, &(struct gate_answer){.status = status,
	                       .headers = COMMON,
	                       .body = "{}\n",
	                       .body_length = 3,
	                       .lasting = true});
}

static void answer_refusal(
    struct gate_reply *reply, const struct refusal *refusal, const char *headers)
{
	struct err err = ERR_INIT;
	struct json_writer w;
	struct buf body;

	err_set(&err, refusal->code, "%s", refusal->message);
	if (refusal->hint[0] != '\0')
		err_hint(&err, "%s", refusal->hint);
	buf_init(&body, 4096);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_write_err(&w, "error", &err, NULL);
	json_close_object(&w);
	buf_putc(&body, '\n');
	gate_answer(reply, &(struct gate_answer){.status = refusal->status,
	                       .headers = headers,
	                       .body = body.data,
	                       .body_length = body.length});
	buf_free(&body);
}

/* Who is owed an answer. */
struct owed {
	struct gate_reply *reply;
	const char *key; /* until the call of the inbox returns: refusals come within it */
	uint32_t repo;   /* 0: GitHub */
};

static void log_refusal(const struct owed *owed, enum inbox_result result, const struct err *err)
{
	static struct log_limit limits[INBOX_FAILED + 1];
	const struct refusal *refusal = &refusals[result];
	const char *peer = gate_peer(owed->reply);

	if (err != NULL)
		log_limited_error(&limits[result], "events", "an event is not taken",
		    log_str("why", refusal->code), log_uint("repository", owed->repo),
		    log_str("from", peer), log_err(err));
	else
		log_limited_warn(&limits[result], "events", "an event is not taken",
		    log_str("why", refusal->code), log_uint("repository", owed->repo),
		    log_str("from", peer), log_str("event", owed->key));
}

/* inbox_fn: the web server may have gone since. */
static void on_result(enum inbox_result result, const struct err *err, void *arg)
{
	struct owed *owed = arg;

	metric_add(&received[result == INBOX_OFF ? INBOX_UNKNOWN : result], 1);
	if (refusals[result].status == 0) {
		answer_done(owed->reply, result == INBOX_PONG ? 200 : 202);
	} else {
		log_refusal(owed, result, err);
		answer_refusal(owed->reply, &refusals[result],
		    refusals[result].status == 503 ? COMMON "Retry-After: 30\r\n" : COMMON);
	}
	free(owed);
}

/* ---- requests ---- */

static bool is_passed_on(const char *name)
{
	static const char *const names[] = {"X-GitHub-Event", "X-GitHub-Delivery",
	    "X-GitHub-Enterprise-Host", "X-GitHub-Enterprise-Version", "X-Hub-Signature",
	    "X-Hub-Signature-256", NULL};

	if (strncasecmp(name, "X-GitHub-Hook-", 14) == 0)
		return true;
	for (unsigned i = 0; names[i] != NULL; i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

static void pass_on(struct buf *out, const char *name, const char *value)
{
	buf_puts(out, name);
	buf_puts(out, ": ");
	buf_puts(out, value);
	buf_putc(out, '\n');
}

/* What the inbox finds malformed is left to it, since the signature comes first: a header that is
 * there twice gives no key. */
static void read_head(
    const struct http_head *head, bool github, struct buf *headers, struct inbox_event *event)
{
	const char **const places[] = {
	    &event->key, &event->request_id, &event->signature, &event->content_type};
	static const char *const bitbucket_names[] = {
	    "X-Event-Key", "X-Request-Id", "X-Hub-Signature", "Content-Type"};
	static const char *const github_names[] = {
	    "X-GitHub-Event", "X-GitHub-Delivery", "X-Hub-Signature-256", "Content-Type"};
	const char *const *names = github ? github_names : bitbucket_names;
	bool twice = false;

	for (unsigned i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];

		if (strchr("XxCc", field->name[0]) == NULL)
			continue;
		for (unsigned n = 0; n < 4; n++) {
			if (strcasecmp(field->name, names[n]) != 0)
				continue;
			twice = twice || *places[n] != NULL;
			*places[n] = field->value;
			if (!github && n < 2)
				pass_on(headers, names[n], field->value);
			break;
		}
		if (github && is_passed_on(field->name))
			pass_on(headers, field->name, field->value);
	}
	for (unsigned n = 0; n < 4; n++)
		if (*places[n] == NULL || (n == 0 && twice))
			*places[n] = "";
}

static void take_event(struct web *web, struct gate_reply *reply, const struct http_head *head,
    struct evbuffer *body, const struct place_of *place)
{
	struct owed *owed = mem_zero(sizeof(*owed));
	struct inbox_event event = {.body = ""};

	buf_reset(&web->event_headers);
	read_head(head, place->github, &web->event_headers, &event);
	event.headers = web->event_headers.data != NULL ? web->event_headers.data : "";
	if (body != NULL) {
		event.body_length = evbuffer_get_length(body);
		event.body = evbuffer_pullup(body, -1);
	}
	owed->reply = reply;
	owed->key = event.key;
	owed->repo = place->repo;
	if (web->inbox == NULL || (!place->github && place->repo == 0))
		on_result(INBOX_UNKNOWN, NULL, owed);
	else if (place->github)
		inbox_github(web->inbox, &event, on_result, owed);
	else
		inbox_bitbucket(web->inbox, place->repo, &event, on_result, owed);
}

bool web_events_take(
    struct gate_reply *reply, const struct http_head *head, struct evbuffer *body, void *arg)
{
	static const struct refusal not_post = {405, "method", "this address takes POST", ""};
	struct place_of place;

	if (!find_place(head->target, &place))
		return false;
	if (strcmp(head->method, "POST") == 0)
		take_event(arg, reply, head, body, &place);
	else
		answer_refusal(reply, &not_post, COMMON "Allow: POST\r\n");
	return true;
}

bool web_events_take_all(
    struct gate_reply *reply, const struct http_head *head, struct evbuffer *body, void *arg)
{
	static const struct refusal nothing = {
	    404, "not_found", "there is nothing at this address", ""};

	if (!web_events_take(reply, head, body, arg))
		answer_refusal(reply, &nothing, COMMON);
	return true;
}

/* ---- by the head alone ---- */

struct gate_pot *web_events_pot(size_t event_max, unsigned connections)
{
	size_t max = 4 * event_max > POT_MIN ? 4 * event_max : POT_MIN;

	return gate_pot_new(max, max / connections);
}

/* ACCEPTED: it may be genuine. */
static enum inbox_result expect(
    const struct web *web, const struct http_head *head, const struct place_of *place)
{
	const char *name = place->github ? "X-Hub-Signature-256" : "X-Hub-Signature";
	const char *signature = "";

	for (unsigned i = 0; i < head->field_count; i++) /* the last one, as in read_head */
		if (strcasecmp(head->fields[i].name, name) == 0)
			signature = head->fields[i].value;
	if (web->inbox == NULL || (!place->github && place->repo == 0))
		return INBOX_UNKNOWN;
	return inbox_expect(web->inbox, place->repo, signature);
}

void web_events_limit(const struct http_head *head, struct gate_terms *terms, void *arg)
{
	const struct web *web = arg;
	struct place_of place;
	uint64_t size;

	if (strcmp(head->method, "POST") != 0 || !find_place(head->target, &place))
		return;
	terms->body_max = web->event_max;
	if (terms->body_max > WEB_EVENTS_SMALL &&
	    (!head->has_length || head->length > WEB_EVENTS_SMALL) &&
	    expect(web, head, &place) != INBOX_ACCEPTED)
		terms->body_max = WEB_EVENTS_SMALL;
	size = head->has_length && head->length < terms->body_max ? head->length : terms->body_max;
	terms->body_ms =
	    size * 1000 / BODY_RATE > BODY_MS ? (uint32_t)(size * 1000 / BODY_RATE) : BODY_MS;
	terms->final = true;
	if (web->events_pot != NULL)
		terms->pot = web->events_pot;
}

/* Why it is not taken, rather than that it is large, as long as it could be taken at that size. */
bool web_events_over(
    struct gate_reply *reply, const struct http_head *head, struct evbuffer *body, void *arg)
{
	const struct web *web = arg;
	enum inbox_result result;
	struct place_of place;
	struct owed *owed;

	(void)body;
	if (strcmp(head->method, "POST") != 0 || !find_place(head->target, &place) ||
	    head->length > web->event_max)
		return false;
	result = expect(web, head, &place);
	owed = mem_zero(sizeof(*owed));
	owed->reply = reply;
	owed->key = "";
	owed->repo = place.repo;
	on_result(result, NULL, owed);
	return true;
}

/* The gate has answered it: only counted here. */
void web_events_refused(const struct http_head *head, int status, void *arg)
{
	struct place_of place;

	(void)arg;
	if (!find_place(head->target, &place))
		return;
	metric_add(status == 413   ? &received_large
	           : status == 503 ? &received[INBOX_FULL]
	                           : &received[INBOX_MALFORMED],
	    1);
}
