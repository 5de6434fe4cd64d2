/*
 * What Bitbucket says about webhooks: as documented, as other versions say it, and as nobody
 * should.
 */
#include "base/mem.h"
#include "scm/bitbucket_hooks_parse.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const events[] = {"repo:refs_changed", "pr:modified", "pr:from_ref_updated"};
static struct secret secret = {.data = (char *)"s3cret", .length = 6};
static const struct scm_hook_want with_secret = {.id = "",
    .name = "n",
    .url = "https://e/x",
    .secret = &secret,
    .events = events,
    .event_count = 3};
static const struct scm_hook_want without_secret = {
    .id = "", .name = "n", .url = "https://e/x", .events = events, .event_count = 3};

/* ---- events ---- */

static void test_assumed(void **state)
{
	(void)state;
	assert_int_equal(bitbucket_events_assumed(&with_secret), 3);
	assert_int_equal(bitbucket_events_certain(&with_secret), 1);
}

static void test_known_events(void **state)
{
	static const struct {
		const char *body;
		bool good;
		uint32_t known;
	} table[] = {
	    {"{\"application-webhooks\":[\"pr:from_ref_updated\",\"repo:refs_changed\",\"x\",7]}",
	        true, 5},
	    {"{\"application-webhooks\":[]}", true, 0},
	    {"{\"application-webhooks\":{}}", false, 9},
	    {"{}", false, 9},
	    {"[]", false, 9},
	    {"<html>", false, 9},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint32_t known = 9;

		assert_int_equal(bitbucket_parse_known_events(table[i].body, strlen(table[i].body),
		                     &with_secret, &known, NULL),
		    table[i].good);
		assert_int_equal(known, table[i].known);
	}
}

static void test_unknown_events(void **state)
{
	static const struct {
		const char *body;
		uint32_t unknown;
	} table[] = {
	    {"{\"errors\":[{\"message\":\"the event pr:modified is unknown\"}]}", 2},
	    {"{\"errors\":[{\"message\":\"the event pr:modified is unknown\"},{\"message\":\"the "
	     "event 'pr:from_ref_updated' is unknown\"}]}",
	        6},
	    {"{\"errors\":[{\"message\":\"the event pr:modified_more is unknown\"}]}", 0},
	    {"{\"errors\":[{\"message\":\"the event xpr:modified is unknown\"}]}", 0},
	    {"{\"errors\":[{\"message\":\"the event pr:modified is wrong\"}]}", 0},
	    {"{\"errors\":[{\"message\":\"unknown user\"},7,{\"message\":7}]}", 0},
	    {"{\"errors\":{}}", 0},
	    {"", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_int_equal(bitbucket_parse_unknown_events(
		                     table[i].body, strlen(table[i].body), &with_secret),
		    table[i].unknown);
}

/* ---- deliveries ---- */

static const struct {
	const char *body;
	enum scm_delivered outcome;
	int status;
	int64_t ended_ms;
	const char *words;
} deliveries[] = {
    /* the newest counts */
    {"{\"lastSuccess\":{\"finish\":20,\"result\":{\"outcome\":\"SUCCESS\",\"description\":\"200\"}}"
     ","
     "\"lastFailure\":{\"finish\":10,\"result\":{\"outcome\":\"FAILURE\",\"description\":\"404\"}}"
     "}",
        SCM_DELIVERY_OK, 200, 20, ""},
    {"{\"lastSuccess\":{\"finish\":10},\"lastFailure\":{\"finish\":20,\"result\":{\"outcome\":"
     "\"FAILURE\",\"description\":\"HTTP 503 Unavailable\"}}}",
        SCM_DELIVERY_FAILED, 503, 20, "the target answered 503"},
    {"{\"lastError\":{\"finish\":30,\"result\":{\"outcome\":\"ERROR\",\"description\":"
     "\"java.net.ConnectException: Connection refused\"}},\"lastSuccess\":{\"finish\":29}}",
        SCM_DELIVERY_ERROR, 0, 30, "ConnectException: Connection refused"},
    {"{\"lastError\":{\"finish\":30,\"result\":{\"outcome\":\"ERROR\",\"description\":"
     "\"Connect to e:443 failed\"}}}",
        SCM_DELIVERY_ERROR, 0, 30, "Connect to e:443 failed"},
    /* nothing was delivered yet */
    {"{\"counts\":{\"errors\":0,\"failures\":0}}", SCM_DELIVERY_NONE, 0, 0, ""},
    {"{\"lastSuccess\":null}", SCM_DELIVERY_NONE, 0, 0, ""},
    {"{}", SCM_DELIVERY_NONE, 0, 0, ""},
    /* by event */
    {"{\"pr:opened\":{\"lastSuccess\":{\"finish\":5}},\"repo:refs_changed\":{\"lastFailure\":{"
     "\"finish\":9,\"result\":{\"description\":\"410\"}}}}",
        SCM_DELIVERY_FAILED, 410, 9, "the target answered 410"},
    /* .../latest */
    {"{\"id\":1,\"finish\":7,\"result\":{\"outcome\":\"success\",\"response\":{\"statusCode\":202}"
     "}}",
        SCM_DELIVERY_OK, 202, 7, ""},
    /* ISO dates of version 10 */
    {"{\"lastFailure\":{\"finish\":\"2026-01-31T13:45:30.123Z\",\"result\":{\"outcome\":"
     "\"FAILURE\"}}}",
        SCM_DELIVERY_FAILED, 0, 1769867130123, "the target answered with an error"},
    {"{\"lastSuccess\":{\"finish\":\"2026-01-31T13:45:30+01:00\"},\"lastFailure\":{\"finish\":5}}",
        SCM_DELIVERY_OK, 0, 1769863530000, ""},
    {"{\"lastSuccess\":{\"start\":4}}", SCM_DELIVERY_OK, 0, 4, ""},
    /* which was the last is not known */
    {"{\"lastSuccess\":{},\"lastFailure\":{}}", SCM_DELIVERY_NONE, 0, 0, ""},
    {"{\"lastSuccess\":{},\"lastFailure\":{\"finish\":5}}", SCM_DELIVERY_NONE, 0, 0, ""},
    {"{\"lastFailure\":{\"finish\":\"soon\"}}", SCM_DELIVERY_FAILED, 0, 0,
        "the target answered with an error"},
    /* hostile */
    {"{\"lastError\":{\"finish\":-5,\"result\":{\"description\":\"a\\u001b[31m\\u202e\\nb\"}}}",
        SCM_DELIVERY_ERROR, 0, 0, "a [31m  b"},
    {"{\"lastFailure\":{\"finish\":5,\"result\":{\"description\":\"12345 99 999 1\"}}}",
        SCM_DELIVERY_FAILED, 0, 5, "12345 99 999 1"},
    {"{\"result\":7,\"outcome\":\"MAYBE\"}", SCM_DELIVERY_NONE, 0, 0, ""},
    {"[]", SCM_DELIVERY_NONE, 0, 0, ""},
    {"<html>", SCM_DELIVERY_NONE, 0, 0, ""},
};

static void test_deliveries(void **state)
{
	struct bitbucket_delivery delivery;

	(void)state;
	for (size_t i = 0; i < sizeof(deliveries) / sizeof(deliveries[0]); i++) {
		print_message("%s\n", deliveries[i].body);
		memset(&delivery, 0x55, sizeof(delivery));
		bitbucket_parse_delivery(deliveries[i].body, strlen(deliveries[i].body), &delivery);
		assert_int_equal(delivery.outcome, deliveries[i].outcome);
		assert_int_equal(delivery.status, deliveries[i].status);
		assert_int_equal(delivery.ended_ms, deliveries[i].ended_ms);
		assert_string_equal(delivery.words, deliveries[i].words);
	}
}

static const struct {
	const char *body;
	enum scm_delivered outcome;
	int status;
	const char *words;
} answers[] = {
    {"{\"request\":{\"url\":\"u\"},\"response\":{\"statusCode\":200,\"body\":\"x\"}}",
        SCM_DELIVERY_OK, 200, ""},
    {"{\"response\":{\"statusCode\":202}}", SCM_DELIVERY_OK, 202, ""},
    {"{\"response\":{\"status\":302}}", SCM_DELIVERY_FAILED, 302, "the target answered 302"},
    {"{\"statusCode\":404}", SCM_DELIVERY_FAILED, 404, "the target answered 404"},
    {"{\"result\":{\"outcome\":\"ERROR\",\"description\":\"javax.net.ssl.SSLHandshakeException: "
     "no\"}}",
        SCM_DELIVERY_ERROR, 0, "SSLHandshakeException: no"},
    {"{\"error\":\"java.net.UnknownHostException: ci\"}", SCM_DELIVERY_ERROR, 0,
        "UnknownHostException: ci"},
    {"{\"error\":{\"message\":\"Connect to ci:80 failed.Exception\"}}", SCM_DELIVERY_ERROR, 0,
        "Connect to ci:80 failed.Exception"},
    {"{\"request\":{\"url\":\"u\"},\"exception\":{\"message\":\"Connection refused\"}}",
        SCM_DELIVERY_ERROR, 0, "Connection refused"},
    {"{\"error\":{}}", SCM_DELIVERY_ERROR, 0, "the target was not reached"},
    {"{\"message\":\"Read timed out\"}", SCM_DELIVERY_ERROR, 0, "Read timed out"},
    {"{\"error\":\"com.example\"}", SCM_DELIVERY_ERROR, 0, "com.example"},
    {"{\"error\":\"a.Error\"}", SCM_DELIVERY_ERROR, 0, "Error"},
    {"{\"response\":{\"statusCode\":99999}}", SCM_DELIVERY_NONE, 0, ""},
    {"{\"response\":null}", SCM_DELIVERY_NONE, 0, ""},
    {"{}", SCM_DELIVERY_NONE, 0, ""},
    {"", SCM_DELIVERY_NONE, 0, ""},
    {"[1]", SCM_DELIVERY_NONE, 0, ""},
};

static void test_tests(void **state)
{
	struct bitbucket_delivery delivery;

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		print_message("%s\n", answers[i].body);
		memset(&delivery, 0x55, sizeof(delivery));
		bitbucket_parse_test(answers[i].body, strlen(answers[i].body), &delivery);
		assert_int_equal(delivery.outcome, answers[i].outcome);
		assert_int_equal(delivery.status, answers[i].status);
		assert_string_equal(delivery.words, answers[i].words);
	}
}

static void test_long_words(void **state)
{
	struct bitbucket_delivery delivery;
	char body[3000] = "{\"error\":\"";

	(void)state;
	memset(body + strlen(body), 'x', 2000);
	strcat(body, "\"}");
	bitbucket_parse_test(body, strlen(body), &delivery);
	assert_int_equal(strlen(delivery.words), sizeof(delivery.words) - 1);
}

/* ---- webhooks ---- */

static bool parse(const char *body, uint64_t start, const struct scm_hook_want *want,
    struct bitbucket_hooks *hooks, uint64_t *next, struct err *err)
{
	struct bitbucket_compare compare = {.want = want, .wanted = 7, .certain = 7};

	return bitbucket_parse_hooks(body, strlen(body), start, &compare, hooks, next, err);
}

#define SET "\"events\":[\"repo:refs_changed\",\"pr:modified\",\"pr:from_ref_updated\"]"
#define SAME "\"id\":1,\"name\":\"n\",\"url\":\"https://e/x\"," SET

static const struct {
	const char *row;
	unsigned with, without; /* what differs from the wanted one with and without a secret */
} rows[] = {
    {"{" SAME ",\"active\":true,\"configuration\":{\"secret\":\"s3cret\"}}", 0, SCM_HOOK_SECRET},
    {"{" SAME ",\"configuration\":{\"secret\":\"s3creT\"}}", SCM_HOOK_SECRET, SCM_HOOK_SECRET},
    {"{" SAME ",\"configuration\":{\"secret\":\"s3cre\"}}", SCM_HOOK_SECRET, SCM_HOOK_SECRET},
    {"{" SAME ",\"configuration\":{\"secret\":\"s3crets\"}}", SCM_HOOK_SECRET, SCM_HOOK_SECRET},
    {"{" SAME ",\"configuration\":{\"secret\":\"s3cret\\u0000\"}}", SCM_HOOK_SECRET,
        SCM_HOOK_SECRET},
    /* not told: no difference is claimed */
    {"{" SAME ",\"configuration\":{\"secret\":\"\"}}", 0, 0},
    {"{" SAME ",\"configuration\":{}}", 0, 0},
    {"{" SAME ",\"configuration\":null}", 0, 0},
    {"{" SAME "}", 0, 0},
    /* masked: there is one */
    {"{" SAME ",\"configuration\":{\"secret\":\"*****\"}}", 0, SCM_HOOK_SECRET},
    {"{" SAME ",\"configuration\":{\"secret\":\"\\u2022\\u2022\"}}", 0, SCM_HOOK_SECRET},
    {"{" SAME ",\"active\":false}", SCM_HOOK_INACTIVE, SCM_HOOK_INACTIVE},
    {"{\"id\":1,\"name\":\"m\",\"url\":\"https://e/x\"," SET "}", SCM_HOOK_NAME, SCM_HOOK_NAME},
    {"{\"id\":1,\"name\":\"n\",\"url\":\"https://e/x/\"," SET "}", SCM_HOOK_URL, SCM_HOOK_URL},
    {"{\"id\":1,\"name\":\"n\",\"url\":\"https://e/x\",\"events\":[\"pr:modified\",\"repo:refs_"
     "changed\"]}",
        SCM_HOOK_EVENT_SET, SCM_HOOK_EVENT_SET},
    {"{\"id\":1,\"name\":\"n\",\"url\":\"https://e/x\",\"events\":[\"pr:from_ref_updated\","
     "\"pr:modified\",\"repo:refs_changed\"]}",
        0, 0}, /* the order does not count */
    {"{\"id\":1,\"name\":\"n\",\"url\":\"https://e/x\",\"events\":[\"pr:from_ref_updated\","
     "\"pr:modified\",\"repo:refs_changed\",\"pr:merged\"]}",
        SCM_HOOK_EVENT_SET, SCM_HOOK_EVENT_SET},
    {"{\"id\":1}", SCM_HOOK_URL | SCM_HOOK_NAME | SCM_HOOK_EVENT_SET,
        SCM_HOOK_URL | SCM_HOOK_NAME | SCM_HOOK_EVENT_SET},
    {"{\"id\":1,\"name\":7,\"url\":[],\"events\":{},\"active\":\"no\",\"configuration\":{"
     "\"secret\":7}}",
        SCM_HOOK_URL | SCM_HOOK_NAME | SCM_HOOK_EVENT_SET,
        SCM_HOOK_URL | SCM_HOOK_NAME | SCM_HOOK_EVENT_SET},
};

static void test_differences(void **state)
{
	char body[1000];
	uint64_t next;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) * 2; i++) {
		bool with = i % 2 == 0;
		struct bitbucket_hooks hooks = {0};

		print_message("%s\n", rows[i / 2].row);
		snprintf(body, sizeof(body), "{\"values\":[%s]}", rows[i / 2].row);
		assert_true(
		    parse(body, 0, with ? &with_secret : &without_secret, &hooks, &next, NULL));
		assert_int_equal(hooks.count, 1);
		assert_string_equal(hooks.list[0].id, "1");
		assert_int_equal(
		    hooks.list[0].differs, with ? rows[i / 2].with : rows[i / 2].without);
		bitbucket_hooks_free(&hooks);
	}
}

static void test_pages(void **state)
{
	struct bitbucket_hooks hooks = {0};
	struct err err = ERR_INIT;
	uint64_t next;

	(void)state;
	assert_true(parse("{\"isLastPage\":false,\"nextPageStart\":25,\"values\":[{\"id\":\"12\","
	                  "\"name\":\"a\\u202eb\",\"url\":\"https://\\u0007\"}]}",
	    0, &with_secret, &hooks, &next, &err));
	assert_int_equal(next, 25);
	assert_string_equal(hooks.list[0].id, "12");
	assert_string_equal(hooks.list[0].name, "a b");
	assert_string_equal(hooks.list[0].url, "https:// ");
	/* A bad page leaves what there was. */
	assert_false(parse("{\"values\":[{\"id\":5},{\"name\":\"no id\"}]}", 25, &with_secret,
	    &hooks, &next, &err));
	assert_int_equal(hooks.count, 1);
	assert_non_null(strstr(err.message, "values[1].id"));
	assert_true(parse("{\"isLastPage\":true,\"values\":[{\"id\":13}]}", 25, &with_secret,
	    &hooks, &next, &err));
	assert_int_equal(next, 0);
	assert_int_equal(hooks.count, 2);
	assert_string_equal(hooks.list[1].id, "13");
	assert_string_equal(hooks.list[1].name, "");
	bitbucket_hooks_free(&hooks);
	assert_int_equal(hooks.count, 0);
}

static void test_bad_pages(void **state)
{
	static const char *const bad[] = {"", "{}", "7", "{\"values\":{}}", "{\"values\":[7]}",
	    "{\"values\":[{}]}", "{\"values\":[{\"id\":-1}]}", "{\"values\":[{\"id\":\"../1\"}]}",
	    "{\"values\":[{\"id\":\"\"}]}", "{\"values\":[{\"id\":1.5}]}",
	    "{\"values\":[{\"id\":\"123456789012345678901234\"}]}",
	    "{\"values\":[],\"nextPageStart\":9}", "{\"values\":[{\"id\":1}],\"nextPageStart\":3}",
	    "[[]]"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bitbucket_hooks hooks = {0};
		uint64_t next = 77;

		print_message("%s\n", bad[i]);
		assert_false(parse(bad[i], 3, &with_secret, &hooks, &next, NULL));
		assert_int_equal(hooks.count, 0);
		assert_int_equal(next, 0);
		bitbucket_hooks_free(&hooks);
	}
}

static void test_statistics_in_list(void **state)
{
	struct bitbucket_hooks hooks = {0};
	uint64_t next;

	(void)state;
	assert_true(parse("[{\"id\":1},{\"id\":2,\"statistics\":{}},{\"id\":3,\"statistics\":{"
	                  "\"lastFailure\":{\"finish\":5,\"result\":{\"description\":\"500\"}}}}]",
	    0, &with_secret, &hooks, &next, NULL));
	assert_int_equal(hooks.count, 3);
	assert_false(hooks.list[0].has_statistics);
	assert_true(hooks.list[1].has_statistics);
	assert_int_equal(hooks.list[1].delivery.outcome, SCM_DELIVERY_NONE);
	assert_int_equal(hooks.list[2].delivery.status, 500);
	bitbucket_hooks_free(&hooks);
}

static void test_one(void **state)
{
	struct bitbucket_hook_brief brief;

	(void)state;
	assert_true(bitbucket_parse_hook("{\"id\":9}", 8, &brief, NULL));
	assert_string_equal(brief.id, "9");
	assert_false(brief.tells_ssl);
	assert_true(
	    bitbucket_parse_hook("{\"id\":9,\"sslVerificationRequired\":true}", 39, &brief, NULL));
	assert_true(brief.tells_ssl && brief.ssl);
	assert_false(bitbucket_parse_hook("{\"name\":1}", 10, &brief, NULL));
	assert_false(bitbucket_parse_hook("[]", 2, &brief, NULL));
	assert_false(brief.tells_ssl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_assumed),
	    cmocka_unit_test(test_known_events),
	    cmocka_unit_test(test_unknown_events),
	    cmocka_unit_test(test_deliveries),
	    cmocka_unit_test(test_tests),
	    cmocka_unit_test(test_long_words),
	    cmocka_unit_test(test_differences),
	    cmocka_unit_test(test_pages),
	    cmocka_unit_test(test_bad_pages),
	    cmocka_unit_test(test_statistics_in_list),
	    cmocka_unit_test(test_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
