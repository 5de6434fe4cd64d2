/*
 * Whatever Bitbucket, or whoever stands in its place, answers: the parsers and the reading of an
 * answer keep to their bounds, the words for people are clean, and what is said of webhooks fits
 * together.
 *
 * Input: one byte for what was asked, two for the status, then "X-AUSERNAME \n Retry-After \n
 * Location \n Content-Type \n" and the body.
 */
#include "base/codec.h"
#include "scm/bitbucket_answer.h"
#include "scm/bitbucket_hooks_parse.h"
#include "scm/bitbucket_parse.h"
#include "scm/scm_call.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// max_len 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* For people: UTF-8 without control characters. */
static void check_words(const char *text)
{
	char cleaned[1024];

	must(codec_is_utf8(text, strlen(text)));
	scm_clean_text(cleaned, sizeof(cleaned), text, strlen(text));
	must(strcmp(cleaned, text) == 0);
}

static void check_name(const char *text)
{
	must(text && text[0] && strlen(text) <= 128 && !strchr(text, '/'));
	check_words(text);
}

static void check_answer(const struct bitbucket_answer *answer, const struct bitbucket_asked *asked)
{
	const struct scm_answer *scm = &answer->scm;

	must((scm->outcome == SCM_OK) == (scm->err == NULL));
	must(scm->retry_after_ms >= -1 && scm->retry_after_ms <= 3600000);
	must(!scm->unknown_commit || scm->outcome == SCM_TEMPORARY);
	must(!scm->doubtful || (asked->write && scm->outcome == SCM_TEMPORARY));
	must(!asked->write || asked->returns || scm->outcome != SCM_OK || scm->status == 204);
	must(!asked->returns || scm->outcome != SCM_OK || scm->status == 200 || scm->status == 201);
	must(!answer->unclear || asked->commit || asked->webhooks);
	if (!scm->err)
		return;
	must(scm->err->code && scm->err->message[0]);
	check_words(scm->err->message);
	check_words(scm->err->hop);
	check_words(scm->err->hint);
}

static void answer_all(struct bitbucket_asked *asked, struct http_result *result)
{
	struct bitbucket_answer answer;
	struct err why = ERR_INIT;
	char user[BITBUCKET_USER];

	bitbucket_answer(asked, result, &answer);
	check_answer(&answer, asked);
	bitbucket_answer_no_commit(asked, result, &answer);
	check_words(answer.err.message);
	bitbucket_answer_refused(asked, result, &answer);
	check_words(answer.err.message);
	err_set(&why, "json", "values: expected an array");
	bitbucket_answer_malformed(asked, result, &why, &answer);
	check_words(answer.err.message);
	bitbucket_user(result, user, sizeof(user));
	check_words(user);
}

static void parse_all(const char *body, size_t length)
{
	struct bitbucket_properties properties;
	struct bitbucket_page page;
	struct bitbucket_status status;
	struct bitbucket_errors errors;
	uint32_t capabilities = 0;

	if (bitbucket_parse_properties(body, length, &properties, NULL))
		check_words(properties.version);
	(void)bitbucket_parse_build_capabilities(body, length, &capabilities, NULL);
	(void)bitbucket_parse_webhook_capabilities(body, length, &capabilities, NULL);
	if (bitbucket_parse_page(body, length, 3, &page, NULL)) {
		must(page.next == 0 || page.next > 3);
		for (unsigned i = 0; i < page.count; i++) {
			check_name(page.repositories[i].project);
			check_name(page.repositories[i].slug);
			must(page.repositories[i].name && page.repositories[i].project_name);
		}
	}
	bitbucket_page_free(&page);
	if (bitbucket_parse_repository(body, length, &page, NULL))
		check_name(page.repositories[0].slug);
	bitbucket_page_free(&page);
	if (bitbucket_parse_status(body, length, "k", &status, NULL))
		must(status.status.found && status.status.url);
	bitbucket_status_free(&status);
	if (bitbucket_parse_status_page(body, length, 3, "k", &status, NULL))
		must(status.next == 0 || (status.next > 3 && !status.status.found));
	bitbucket_status_free(&status);
	bitbucket_parse_errors(body, length, &errors);
	check_words(errors.words);
}

static void check_delivery(const struct bitbucket_delivery *delivery)
{
	check_words(delivery->words);
	must(delivery->status == 0 || (delivery->status >= 100 && delivery->status <= 599));
	must(delivery->ended_ms >= 0);
	must(delivery->outcome != SCM_DELIVERY_NONE ||
	     (delivery->status == 0 && delivery->words[0] == '\0'));
	must((delivery->outcome == SCM_DELIVERY_FAILED ||
	         delivery->outcome == SCM_DELIVERY_ERROR) == (delivery->words[0] != '\0'));
}

static void check_hook_text(const char *text)
{
	must(text && codec_is_utf8(text, strlen(text)) && strlen(text) <= 4096);
	for (; *text; text++)
		must((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void hooks_all(const char *body, size_t length)
{
	static const char *const events[] = {
	    "repo:refs_changed", "pr:modified", "pr:from_ref_updated"};
	static const struct secret secret = {.data = (char *)"s3cret", .length = 6};
	const struct scm_hook_want want = {.id = "7",
	    .name = "eyes-scm a1",
	    .url = "https://e/x",
	    .secret = length & 1 ? &secret : NULL,
	    .events = events,
	    .event_count = 3};
	const struct bitbucket_compare compare = {.want = &want, .wanted = 7, .certain = 5};
	struct bitbucket_hook_brief brief;
	struct bitbucket_delivery delivery;
	struct bitbucket_hooks hooks = {0};
	uint32_t known = 0;
	uint64_t next;

	(void)bitbucket_parse_known_events(body, length, &want, &known, NULL);
	must(known <= 7);
	must(bitbucket_parse_unknown_events(body, length, &want) <= 7);
	bitbucket_parse_delivery(body, length, &delivery);
	check_delivery(&delivery);
	bitbucket_parse_test(body, length, &delivery);
	check_delivery(&delivery);
	if (bitbucket_parse_hook(body, length, &brief, NULL))
		must(brief.id[0] && strspn(brief.id, "0123456789") == strlen(brief.id));
	for (unsigned page = 0; page < 3; page++) {
		unsigned before = hooks.count;
		bool good = bitbucket_parse_hooks(body, length, 3, &compare, &hooks, &next, NULL);

		must(good || (hooks.count == before && next == 0));
		must(next == 0 || (next > 3 && hooks.count > before));
	}
	must(hooks.count <= SCM_HOOKS_MAX);
	for (unsigned i = 0; i < hooks.count; i++) {
		must(strspn(hooks.list[i].id, "0123456789") == strlen(hooks.list[i].id));
		check_hook_text(hooks.list[i].name);
		check_hook_text(hooks.list[i].url);
		must(hooks.list[i].differs < 1 << 5 && hooks.list[i].likeness <= 3);
		check_delivery(&hooks.list[i].delivery);
	}
	bitbucket_hooks_free(&hooks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {
	    "X-AUSERNAME", "Retry-After", "Location", "Content-Type"};
	struct bitbucket_asked asked = {
	    .host = "bb.example.com", .what = "read", .now_ms = 784111777000};
	struct http_head head = {0};
	struct http_result result = {.head = &head, .sent = true};
	char *text, *at, *end;

	if (size < 3)
		return 0;
	text = malloc(size - 3 + 1);
	memcpy(text, data + 3, size - 3);
	text[size - 3] = '\0';
	asked.write = data[0] & 1;
	asked.identify = data[0] & 2;
	if (data[0] & 4) {
		asked.project = "PAY";
		asked.slug = "web";
	}
	if (data[0] & 8)
		asked.commit = "0123456789abcdef0123456789abcdef01234567";
	asked.webhooks = data[0] & 16;
	asked.returns = asked.write && data[0] & 32;
	result.status = head.status = 200 + (data[1] << 8 | data[2]) % 400;

	at = text;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		end = memchr(at, '\n', (size_t)(text + size - 3 - at));
		if (!end)
			break;
		*end = '\0';
		if (*at)
			head.fields[head.field_count++] = (struct http_field){names[i], at};
		at = end + 1;
	}
	result.body = at;
	result.body_length = (size_t)(text + size - 3 - at);
	answer_all(&asked, &result);
	parse_all(result.body, result.body_length);
	hooks_all(result.body, result.body_length);
	free(text);
	return 0;
}
