#include "scm/bitbucket_hooks_parse.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/mem.h"
#include "scm/bitbucket_parse.h"
#include "scm/scm_call.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define STATISTICS_MAX (64 * 1024) /* bytes; a test's answer holds headers and bodies */
#define NAME_MAX_SHOWN 256
#define URL_MAX_SHOWN 4096
#define ERRORS_LOOKED_AT 32
#define PING "diagnostics:ping"
#define EVENTS_LOOKED_AT 64 /* of statistics by event */
#define ID_LIMIT INT64_C(1000000000000000)

/* ---- events ---- */

static uint32_t all_events(const struct scm_hook_want *want)
{
	return want->event_count >= 32 ? UINT32_MAX : (UINT32_C(1) << want->event_count) - 1;
}

static uint32_t event_bit(const struct scm_hook_want *want, const char *event)
{
	for (unsigned i = 0; i < want->event_count && i < SCM_HOOK_EVENTS; i++)
		if (strcmp(want->events[i], event) == 0)
			return UINT32_C(1) << i;
	return 0;
}

/* Sources: release notes of Bitbucket Server 7.0 and 5.10. */
uint32_t bitbucket_events_assumed(const struct scm_hook_want *want)
{
	return all_events(want) & ~event_bit(want, "pr:from_ref_updated");
}

uint32_t bitbucket_events_certain(const struct scm_hook_want *want)
{
	return bitbucket_events_assumed(want) & ~event_bit(want, "pr:modified");
}

/* other: there is one that is not wanted. */
static uint32_t events_of(const json_t *array, const struct scm_hook_want *want, bool *other)
{
	uint32_t events = 0, bit;

	*other = false;
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *event = json_string_value(json_array_get(array, i));

		bit = event != NULL ? event_bit(want, event) : 0;
		events |= bit;
		*other = *other || bit == 0;
	}
	return events;
}

bool bitbucket_parse_known_events(const char *body, size_t length, const struct scm_hook_want *want,
    uint32_t *known, struct err *err)
{
	json_t *document = bitbucket_parse_object(body, length, BITBUCKET_BODY_MAX, err);
	struct json_at root = json_root(document, ""), events;
	bool good = document && json_get_array(&root, "application-webhooks", &events, err), other;

	if (good)
		*known = events_of(events.value, want, &other);
	json_decref(document);
	return good;
}

/* The event stands in the text, not as a part of a longer one. */
static bool mentions(const char *text, const char *event)
{
	static const char inside[] = "abcdefghijklmnopqrstuvwxyz0123456789_:";
	size_t length = strlen(event);

	for (const char *at = text; length > 0 && (at = strstr(at, event)) != NULL; at++) {
		bool before = at > text && strchr(inside, at[-1]) != NULL;
		bool after = at[length] != '\0' && strchr(inside, at[length]) != NULL;
		if (!before && !after)
			return true;
	}
	return false;
}

uint32_t bitbucket_parse_unknown_events(
    const char *body, size_t length, const struct scm_hook_want *want)
{
	json_t *document = bitbucket_parse_object(body, length, BITBUCKET_BODY_MAX, NULL);
	const json_t *errors = json_object_get(document, "errors");
	uint32_t unknown = 0;

	for (size_t i = 0; i < json_array_size(errors) && i < ERRORS_LOOKED_AT; i++) {
		const char *words =
		    json_string_value(json_object_get(json_array_get(errors, i), "message"));

		if (words == NULL || strstr(words, "unknown") == NULL)
			continue;
		for (unsigned k = 0; k < want->event_count && k < SCM_HOOK_EVENTS; k++)
			if (mentions(words, want->events[k]))
				unknown |= UINT32_C(1) << k;
	}
	json_decref(document);
	return unknown;
}

/* ---- deliveries ---- */

static int status_of(const json_t *object)
{
	static const char *const names[] = {"statusCode", "responseCode", "status", "code"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const json_t *value = json_object_get(object, names[i]);
		json_int_t status = json_integer_value(value);

		if (status >= 100 && status <= 599)
			return (int)status;
	}
	return 0;
}

/* "404", "HTTP 404 Not Found": the first number of three digits. */
static int status_in(const char *text)
{
	for (; *text != '\0';
	     text += strspn(text, "0123456789") > 0 ? strspn(text, "0123456789") : 1) {
		if (strspn(text, "0123456789") == 3 && *text >= '1' && *text <= '5')
			return (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
	}
	return 0;
}

static const char *text_of(const json_t *object)
{
	static const char *const names[] = {
	    "description", "message", "errorMessage", "error", "exception", "cause"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *text = json_string_value(json_object_get(object, names[i]));
		if (text != NULL && text[0] != '\0')
			return text;
	}
	return "";
}

/* "java.net.UnknownHostException: ci" --> "UnknownHostException: ci". */
static const char *without_package(const char *text)
{
	size_t word = 0, dot = 0;

	for (; isalnum((unsigned char)text[word]) || strchr("._$", text[word]) != NULL; word++) {
		if (text[word] == '\0')
			break;
		if (text[word] == '.')
			dot = word + 1;
	}
	if (dot == 0 || word < dot + 5 ||
	    (strncmp(text + word - 5, "Error", 5) != 0 &&
	        (word < dot + 9 || strncmp(text + word - 9, "Exception", 9) != 0)))
		return text;
	return text + dot;
}

static void describe(struct bitbucket_delivery *delivery, const char *text)
{
	char words[sizeof(delivery->words)];

	text = without_package(text);
	scm_clean_text(words, sizeof(words), text, strlen(text));
	switch (delivery->outcome) {
	case SCM_DELIVERY_FAILED:
		if (delivery->status != 0)
			snprintf(delivery->words, sizeof(delivery->words), "the target answered %d",
			    delivery->status);
		else
			snprintf(delivery->words, sizeof(delivery->words), "%s",
			    words[0] ? words : "the target answered with an error");
		break;
	case SCM_DELIVERY_ERROR:
		snprintf(delivery->words, sizeof(delivery->words), "%s",
		    words[0] ? words : "the target was not reached");
		break;
	default:
		delivery->words[0] = '\0';
		break;
	}
}

static enum scm_delivered outcome_of(const json_t *object)
{
	const char *word = json_string_value(json_object_get(object, "outcome"));

	if (word == NULL)
		return SCM_DELIVERY_NONE;
	if (strcasecmp(word, "SUCCESS") == 0)
		return SCM_DELIVERY_OK;
	if (strcasecmp(word, "FAILURE") == 0)
		return SCM_DELIVERY_FAILED;
	return strcasecmp(word, "ERROR") == 0 ? SCM_DELIVERY_ERROR : SCM_DELIVERY_NONE;
}

/* Milliseconds; some fields of version 10 are ISO texts. */
static int64_t time_of(const json_t *invocation)
{
	static const char *const names[] = {"finish", "start"};
	int64_t ms;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const json_t *value = json_object_get(invocation, names[i]);

		if (json_is_integer(value) && json_integer_value(value) > 0)
			return json_integer_value(value);
		if (json_is_string(value) && clock_parse_rfc3339(json_string_value(value), &ms) &&
		    ms > 0)
			return ms;
	}
	return 0;
}

/* One invocation. `known`: from the field in which it stands, when it does not say itself. */
static bool read_invocation(
    const json_t *object, enum scm_delivered known, struct bitbucket_delivery *delivery)
{
	const json_t *result = json_object_get(object, "result");
	const json_t *about = json_is_object(result) ? result : object;
	const json_t *response = json_object_get(about, "response");
	enum scm_delivered outcome = outcome_of(about);
	const char *text = text_of(about);

	if (!json_is_object(object))
		return false;
	if (outcome == SCM_DELIVERY_NONE)
		outcome = known;
	if (outcome == SCM_DELIVERY_NONE)
		return false;
	delivery->outcome = outcome;
	delivery->status = status_of(about);
	if (delivery->status == 0)
		delivery->status = status_of(response);
	if (delivery->status == 0 && outcome != SCM_DELIVERY_ERROR)
		delivery->status = status_in(text);
	delivery->ended_ms = time_of(object);
	describe(delivery, text);
	return true;
}

struct newest {
	struct bitbucket_delivery delivery;
	unsigned seen, undated;
};

static void take(struct newest *newest, const json_t *object, enum scm_delivered known)
{
	struct bitbucket_delivery delivery;

	const char *event = json_string_value(json_object_get(object, "event"));

	if ((event != NULL && strcmp(event, PING) == 0) ||
	    !read_invocation(object, known, &delivery))
		return;
	newest->seen++;
	newest->undated += delivery.ended_ms == 0;
	if (newest->seen == 1 || delivery.ended_ms >= newest->delivery.ended_ms)
		newest->delivery = delivery;
}

static bool take_history(struct newest *newest, const json_t *object)
{
	static const struct {
		const char *name;
		enum scm_delivered outcome;
	} fields[] = {{"lastSuccess", SCM_DELIVERY_OK}, {"lastFailure", SCM_DELIVERY_FAILED},
	    {"lastError", SCM_DELIVERY_ERROR}};
	bool found = false;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const json_t *value = json_object_get(object, fields[i].name);

		found = found || value != NULL;
		take(newest, value, fields[i].outcome);
	}
	if (json_object_get(object, "result") != NULL ||
	    json_object_get(object, "outcome") != NULL) {
		take(newest, object, SCM_DELIVERY_NONE);
		found = true;
	}
	return found;
}

/* A history, an invocation, or an object of them by event. */
static void read_statistics(const json_t *value, struct bitbucket_delivery *delivery)
{
	struct newest newest = {0};
	unsigned looked_at = 0;
	const char *event;
	json_t *of_event;

	if (!take_history(&newest, value)) {
		json_object_foreach((json_t *)value, event, of_event)
		{
			/* A connection test is unsigned: it shows less than a delivery. */
			if (looked_at++ < EVENTS_LOOKED_AT && strcmp(event, PING) != 0)
				take_history(&newest, of_event);
		}
	}
	*delivery = newest.delivery;
	/* Which of several was the last is not known without their times. */
	if (newest.undated > 0 && newest.seen > 1)
		*delivery = (struct bitbucket_delivery){.outcome = SCM_DELIVERY_NONE};
}

void bitbucket_parse_delivery(const char *body, size_t length, struct bitbucket_delivery *delivery)
{
	json_t *document = bitbucket_parse_object(body, length, BITBUCKET_BODY_MAX, NULL);

	read_statistics(document, delivery);
	json_decref(document);
}

static const json_t *first_object(const json_t *object, const char *first, const char *second)
{
	const json_t *value = json_object_get(object, first);

	return json_is_object(value) ? value : json_object_get(object, second);
}

void bitbucket_parse_test(const char *body, size_t length, struct bitbucket_delivery *delivery)
{
	json_t *document = bitbucket_parse_object(body, length, STATISTICS_MAX, NULL);
	const json_t *response = json_object_get(document, "response");
	const json_t *error = first_object(document, "error", "exception");
	int status = json_is_object(response) ? status_of(response) : status_of(document);
	const char *text;

	*delivery = (struct bitbucket_delivery){.outcome = SCM_DELIVERY_NONE};
	if (status != 0) {
		delivery->status = status;
		delivery->outcome = status / 100 == 2 ? SCM_DELIVERY_OK : SCM_DELIVERY_FAILED;
		describe(delivery, "");
	} else if (!read_invocation(document, SCM_DELIVERY_NONE, delivery)) {
		text = json_is_object(error) ? text_of(error) : text_of(document);
		if (text[0] != '\0' || json_is_object(error)) {
			delivery->outcome = SCM_DELIVERY_ERROR;
			describe(delivery, text);
		}
	}
	json_decref(document);
}

/* ---- webhooks ---- */

static bool read_id(const struct json_at *at, char out[BITBUCKET_HOOK_ID], struct err *err)
{
	const char *text = json_string_value(json_object_get(at->value, "id"));
	int64_t id = 0;

	if (text == NULL) {
		if (!json_get_int(at, "id", 0, ID_LIMIT, &id, err))
			return false;
		snprintf(out, BITBUCKET_HOOK_ID, "%lld", (long long)id);
		return true;
	}
	if (text[0] == '\0' || strlen(text) >= BITBUCKET_HOOK_ID ||
	    strspn(text, "0123456789") != strlen(text))
		return err_set(
		    err, "json", "%s%sid: expected a number", at->path, at->path[0] ? "." : "");
	memcpy(out, text, strlen(text) + 1);
	return true;
}

/* "*****": there is one, but the server does not tell. */
static bool is_masked(const char *secret)
{
	static const char bullet[] = "\xe2\x80\xa2";

	while (*secret == '*' || strncmp(secret, bullet, 3) == 0)
		secret += *secret == '*' ? 1 : 3;
	return *secret == '\0';
}

/*
 * Bitbucket gives the secret in clear to whoever may administer; a version that does not is not
 * accused: a difference is what the server says, not what it keeps to itself.
 */
static bool secret_differs(const json_t *hook, const struct secret *want)
{
	const json_t *value = json_object_get(json_object_get(hook, "configuration"), "secret");
	const char *text = json_string_value(value);
	bool wanted = want != NULL && want->length > 0;

	if (text == NULL || text[0] == '\0')
		return false;
	if (!wanted)
		return true;
	return !is_masked(text) && (json_string_length(value) != want->length ||
	                               !crypto_equal(text, want->data, want->length));
}

static bool events_differ(const json_t *hook, const struct bitbucket_compare *compare)
{
	bool other;
	uint32_t has = events_of(json_object_get(hook, "events"), compare->want, &other);

	return other || (has & ~compare->wanted) != 0 || (compare->certain & ~has) != 0;
}

static const char *text_at(const json_t *hook, const char *name)
{
	const char *text = json_string_value(json_object_get(hook, name));

	return text != NULL ? text : "";
}

static unsigned differences(const json_t *hook, const struct bitbucket_compare *compare)
{
	const struct scm_hook_want *want = compare->want;
	unsigned differs = 0;

	if (strcmp(text_at(hook, "url"), want->url) != 0)
		differs |= SCM_HOOK_URL;
	if (strcmp(text_at(hook, "name"), want->name) != 0)
		differs |= SCM_HOOK_NAME;
	if (events_differ(hook, compare))
		differs |= SCM_HOOK_EVENT_SET;
	if (json_is_false(json_object_get(hook, "active")))
		differs |= SCM_HOOK_INACTIVE;
	if (secret_differs(hook, want->secret))
		differs |= SCM_HOOK_SECRET;
	return differs;
}

static char *clean_copy(const char *text, size_t limit)
{
	size_t length = strlen(text), size = (length < limit ? length : limit) + 1;
	char *copy = mem_zero(size);

	scm_clean_text(copy, size, text, length);
	return copy;
}

static bool read_hook(const struct json_at *at, const struct bitbucket_compare *compare,
    struct bitbucket_hook *hook, struct err *err)
{
	const struct scm_hook_want *want = compare->want;
	const json_t *statistics = json_object_get(at->value, "statistics");

	*hook = (struct bitbucket_hook){0};
	if (!read_id(at, hook->id, err))
		return false;
	hook->name = clean_copy(text_at(at->value, "name"), NAME_MAX_SHOWN);
	hook->url = clean_copy(text_at(at->value, "url"), URL_MAX_SHOWN);
	hook->differs = differences(at->value, compare);
	if (want->id[0] != '\0' && strcmp(hook->id, want->id) == 0)
		hook->likeness = 3;
	else if (!(hook->differs & SCM_HOOK_URL))
		hook->likeness = 2;
	else if (!(hook->differs & SCM_HOOK_NAME))
		hook->likeness = 1;
	hook->has_statistics = json_is_object(statistics);
	read_statistics(statistics, &hook->delivery);
	return true;
}

static void hooks_cut(struct bitbucket_hooks *hooks, unsigned count)
{
	while (hooks->count > count) {
		hooks->count--;
		free(hooks->list[hooks->count].name);
		free(hooks->list[hooks->count].url);
	}
}

bool bitbucket_parse_hooks(const char *body, size_t length, uint64_t start,
    const struct bitbucket_compare *compare, struct bitbucket_hooks *hooks, uint64_t *next,
    struct err *err)
{
	json_t *document = json_parse(body, length, BITBUCKET_HOOKS_MAX, err);
	struct json_at root = json_root(document, ""), values = root, row;
	unsigned before = hooks->count;
	size_t rows;

	*next = 0;
	if (document == NULL)
		return false;
	if (!json_is_array(document) && (!json_get_array(&root, "values", &values, err) ||
	                                    !bitbucket_page_next(&root, start, next, err)))
		goto fail;
	rows = json_array_size(values.value);
	if (rows > SCM_HOOKS_MAX - before) {
		err_set(err, "too_many", "values: more than %d webhooks", SCM_HOOKS_MAX);
		goto fail;
	}
	if (*next != 0 && rows == 0) {
		err_set(err, "json", "values: none, though there is a next page");
		goto fail;
	}
	hooks->list = mem_grow(hooks->list, before + rows + 1, sizeof(*hooks->list));
	for (size_t i = 0; i < rows; i++) {
		row = json_item(&values, i);
		if (!read_hook(&row, compare, &hooks->list[hooks->count], err))
			goto fail;
		hooks->count++;
	}
	json_decref(document);
	return true;
fail:
	*next = 0;
	hooks_cut(hooks, before);
	json_decref(document);
	return false;
}

void bitbucket_hooks_free(struct bitbucket_hooks *hooks)
{
	hooks_cut(hooks, 0);
	free(hooks->list);
	*hooks = (struct bitbucket_hooks){0};
}

bool bitbucket_parse_hook(
    const char *body, size_t length, struct bitbucket_hook_brief *brief, struct err *err)
{
	json_t *document = bitbucket_parse_object(body, length, BITBUCKET_BODY_MAX, err);
	struct json_at root = json_root(document, "");
	const json_t *ssl = json_object_get(document, "sslVerificationRequired");
	bool good;

	*brief = (struct bitbucket_hook_brief){
	    .tells_ssl = json_is_boolean(ssl), .ssl = json_is_true(ssl)};
	good = document != NULL && read_id(&root, brief->id, err);
	json_decref(document);
	return good;
}
