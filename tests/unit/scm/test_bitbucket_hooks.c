/* Reading the webhooks of a repository, request by request, and what every call says of refusals.
 */
#include "unit/scm/hooks_peer.h"

/* ---- list_hooks ---- */

static void test_list(void **state)
{
	(void)state;
	list();
	assert_int_equal(got.count, 0);
	is_read(CAPABILITIES);
	answer(200, KNOWN);
	is_read(HOOKS "?statistics=true&limit=100");
	answer(200, "{\"isLastPage\":true,\"values\":[" OURS(",\"statistics\":" STATISTICS) "]}");
	assert_int_equal(got.count, 1);
	assert_int_equal(got.outcome, SCM_OK);
	assert_string_equal(got.text,
	    "7 'eyes-scm a1' https://e/x?instance=a1 differs 0 last 2 404 'the target answered "
	    "404' 1700000000123\n[repo:refs_changed pr:opened pr:modified pr:from_ref_updated]");
	assert_int_equal(sent_count, 2);
	assert_null(strstr(got.text, "s3cret"));
}

static void test_list_pages(void **state)
{
	(void)state;
	list();
	answer(200, KNOWN);
	answer(200, "{\"isLastPage\":false,\"nextPageStart\":40,\"values\":[{\"id\":1}]}");
	is_read(HOOKS "?statistics=true&limit=100&start=40");
	answer(200, "{\"isLastPage\":true,\"values\":[{\"id\":2}]}");
	assert_int_equal(got.count, 1); /* none is like ours: nobody asks for statistics */
	assert_int_equal(got.outcome, SCM_OK);
	assert_int_equal(strncmp(got.text, "1 ''  differs ", 14), 0);
	assert_non_null(strstr(got.text, "\n2 ''  differs "));
	assert_int_equal(sent_count, 3);
}

/* A server that does not get on is not asked for ever. */
static void test_list_loops(void **state)
{
	static const char *const pages[] = {
	    "{\"nextPageStart\":0,\"values\":[{\"id\":1}]}",
	    "{\"nextPageStart\":5,\"values\":[]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		list();
		answer(200, KNOWN);
		answer(200, pages[i]);
		ended(SCM_TEMPORARY, SCM_SCOPE_SERVER, "not_bitbucket");
	}
}

static void test_list_too_many(void **state)
{
	char body[20000] = "{\"values\":[{\"id\":0}";

	(void)state;
	for (unsigned i = 1; i <= SCM_HOOKS_MAX; i++)
		snprintf(body + strlen(body), sizeof(body) - strlen(body), ",{\"id\":%u}", i);
	strcat(body, "]}");
	list();
	answer(200, KNOWN);
	answer(200, body);
	ended(SCM_PERMANENT, SCM_SCOPE_REPOSITORY, "webhooks_too_many");
}

/* Without statistics in the list, those of the likeliest are asked for; they are not needed. */
static void test_list_statistics(void **state)
{
	static const struct {
		int status;
		const char *body, *last;
	} table[] = {
	    {200, STATISTICS, "last 2 404 'the target answered 404' 1700000000123\n"},
	    {200,
	        "{\"pr:opened\":{\"lastSuccess\":{\"finish\":5,\"result\":{\"outcome\":\"SUCCESS\"}"
	        "}},\"repo:refs_changed\":" STATISTICS "}",
	        "last 2 404 "},
	    {200,
	        "{\"diagnostics:ping\":{\"lastSuccess\":{\"finish\":1800000000000}},"
	        "\"repo:refs_changed\":" STATISTICS "}",
	        "last 2 404 "},
	    {200,
	        "{\"lastSuccess\":{\"event\":\"diagnostics:ping\",\"finish\":1800000000000},"
	        "\"lastFailure\":{\"event\":\"pr:opened\",\"finish\":5,"
	        "\"result\":{\"outcome\":\"FAILURE\"}}}",
	        "last 2 0 "},
	    {404, GONE, "last 0 0 '' 0\n"},
	    {401, "", "last 0 0 '' 0\n"},
	    {500, "<html>", "last 0 0 '' 0\n"},
	    {200, "<html>", "last 0 0 '' 0\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		list();
		answer(200, KNOWN);
		answer(200, "{\"values\":[{\"id\":3,\"name\":\"eyes-scm a1\"}," OURS("") "]}");
		is_read(HOOKS "/7/statistics/summary");
		answer(table[i].status, table[i].body);
		assert_int_equal(got.count, 1);
		assert_int_equal(got.outcome, SCM_OK);
		assert_non_null(strstr(got.text, table[i].last));
	}
	list();
	answer(200, KNOWN);
	answer(200, "[" OURS("") "]"); /* some versions: without pages */
	answer_cut();
	assert_int_equal(got.outcome, SCM_OK);
	assert_non_null(strstr(got.text, "differs 0 last 0"));
}

/* The id at the server counts more than the URL, and that more than the name. */
static void test_list_likeliest(void **state)
{
	static const char page[] = "{\"values\":[{\"id\":1,\"name\":\"eyes-scm a1\"},{\"id\":2,"
	                           "\"url\":\"https://e/x?instance=a1\"},{\"id\":3}]}";

	(void)state;
	list();
	answer(200, KNOWN);
	answer(200, page);
	is_read(HOOKS "/2/statistics/summary");
	answer(404, "");
	want.id = "3";
	list();
	answer(200, KNOWN);
	answer(200, page);
	is_read(HOOKS "/3/statistics/summary");
	answer(404, "");
	want.id = "";
	want.url = "https://other";
	list();
	answer(200, KNOWN);
	answer(200, page);
	is_read(HOOKS "/1/statistics/summary");
	answer(404, "");
}

/* One answer of a server serves all its repositories, and also a put, for a while. */
static void test_known_is_kept(void **state)
{
	(void)state;
	list();
	answer(200, KNOWN);
	answer(200, "{\"values\":[]}");
	list_again();
	is_read(HOOKS "?statistics=true&limit=100");
	answer(200, "{\"values\":[]}");
	assert_string_equal(
	    got.text, "[repo:refs_changed pr:opened pr:modified pr:from_ref_updated]");
	put_again();
	is_write("POST", HOOKS);
	answer(400, "{\"errors\":[{\"message\":\"the event pr:from_ref_updated is unknown\"}]}");
	answer(201, OURS(""));
	put_again(); /* what was refused is known now */
	assert_null(strstr(sent.body, "pr:from_ref_updated"));
	answer(201, OURS(""));
	want.event_count = 3; /* other events are another question */
	list_again();
	is_read(CAPABILITIES);
	answer(503, "");
	assert_int_equal(got.outcome, SCM_TEMPORARY);
	list_again(); /* and a failure is no answer */
	is_read(CAPABILITIES);
	answer(200, KNOWN);
	answer(200, "{\"values\":[]}");
	for (unsigned i = 0; i < SCM_KNOWN; i++)
		scm->known[i].until_ms = scm->known[i].until_ms != 0 ? 1 : 0; /* long ago */
	list_again();
	is_read(CAPABILITIES);
	answer(200, KNOWN);
	answer(200, "{\"values\":[]}");
}

/* What the server does not know is not missed. */
static void test_list_old_server(void **state)
{
	static const struct {
		int status;
		const char *capabilities, *events;
		unsigned differs;
	} table[] = {
	    {404, "", "\"repo:refs_changed\",\"pr:opened\",\"pr:modified\"", 0},
	    {404, "", "\"repo:refs_changed\",\"pr:opened\"", 0}, /* before 5.10 */
	    {404, "", "\"repo:refs_changed\"", SCM_HOOK_EVENT_SET},
	    {404, "", ALL, SCM_HOOK_EVENT_SET},
	    {401, "", "\"repo:refs_changed\",\"pr:opened\",\"pr:modified\"", 0},
	    {200, "{\"application-webhooks\":[\"pr:opened\"]}", "\"pr:opened\"", 0},
	    {200, "{\"application-webhooks\":[\"pr:opened\"]}", "\"repo:refs_changed\"",
	        SCM_HOOK_EVENT_SET},
	    {200, KNOWN, "\"repo:refs_changed\",\"pr:opened\",\"pr:modified\"", SCM_HOOK_EVENT_SET},
	};
	char page[600], differs[40];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		list();
		answer(table[i].status, table[i].capabilities);
		snprintf(page, sizeof(page),
		    "{\"values\":[{\"id\":7,\"name\":\"eyes-scm a1\",\"url\":\"https://e/"
		    "x?instance=a1\",\"events\":[%s],\"statistics\":{}}]}",
		    table[i].events);
		answer(200, page);
		snprintf(differs, sizeof(differs), "differs %u last 0", table[i].differs);
		assert_int_equal(got.count, 1);
		assert_non_null(strstr(got.text, differs));
	}
	list();
	answer(404, "");
	answer(200, "{\"values\":[]}");
	assert_string_equal(got.text, "[repo:refs_changed pr:opened pr:modified]");
}

/* A bad moment is not taken for an old server. */
static void test_list_known_fails(void **state)
{
	(void)state;
	list();
	answer(503, "");
	ended(SCM_TEMPORARY, SCM_SCOPE_SERVER, "server_5xx");
	list();
	answer(429, "");
	ended(SCM_TEMPORARY, SCM_SCOPE_TOKEN, "rate_limited");
	put();
	answer_cut();
	ended(SCM_TEMPORARY, SCM_SCOPE_SERVER, "server_cut");
	assert_false(got.doubtful); /* nothing was written yet */
}

/* ---- who may not, and what is not there ---- */

static const struct {
	int status;
	const char *user, *body;
	enum scm_outcome outcome;
	enum scm_scope scope;
	const char *code;
} refusals[] = {
    {401, "jane", FORBIDDEN, SCM_BLOCKED, SCM_SCOPE_REPOSITORY, "not_admin"},
    {401, "jane", "", SCM_BLOCKED, SCM_SCOPE_REPOSITORY, "not_admin"},
    {401, NULL, FORBIDDEN, SCM_BLOCKED, SCM_SCOPE_REPOSITORY, "not_admin"},
    {403, "jane", FORBIDDEN, SCM_BLOCKED, SCM_SCOPE_REPOSITORY, "not_admin"},
    {401, NULL, "", SCM_BLOCKED, SCM_SCOPE_TOKEN, "token_refused"},
    {401, "anonymous", "", SCM_BLOCKED, SCM_SCOPE_TOKEN, "token_refused"},
    {403, NULL, "XSRF check failed", SCM_BLOCKED, SCM_SCOPE_TOKEN, "token_refused"},
    {404, "jane", GONE, SCM_BLOCKED, SCM_SCOPE_REPOSITORY, "repo_unknown"},
    {409, "jane", "{\"errors\":[{\"message\":\"archived\"}]}", SCM_PERMANENT, SCM_SCOPE_UPDATE,
        "scm_refused"},
    {429, "jane", "", SCM_TEMPORARY, SCM_SCOPE_TOKEN, "rate_limited"},
    {503, NULL, "<html>", SCM_TEMPORARY, SCM_SCOPE_SERVER, "server_5xx"},
    {200, NULL, "<html>", SCM_TEMPORARY, SCM_SCOPE_SERVER, "login_page"},
    {302, NULL, "", SCM_TEMPORARY, SCM_SCOPE_SERVER, "login_page"},
};

static void test_refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		for (unsigned kind = 0; kind < 4; kind++) {
			call_of(kind, "7");
			if (kind < 2)
				answer(200, KNOWN);
			answer_as(refusals[i].status, refusals[i].user, refusals[i].body);
			ended(refusals[i].outcome, refusals[i].scope, refusals[i].code);
		}
	}
	list();
	answer(200, KNOWN);
	answer_as(401, "jane%40x", FORBIDDEN);
	assert_string_equal(got.message, "jane@x may not administer the webhooks of PAY/web (m)");
}

/* A 404 without words: the repository tells. */
static void test_unclear(void **state)
{
	static const struct {
		const char *id;
		unsigned kind;
		enum scm_outcome outcome;
		enum scm_scope scope;
		const char *code;
	} table[] = {
	    {"", 0, SCM_PERMANENT, SCM_SCOPE_REPOSITORY, "webhooks_unknown"},
	    {"", 1, SCM_PERMANENT, SCM_SCOPE_REPOSITORY, "webhooks_unknown"},
	    {"7", 1, SCM_TEMPORARY, SCM_SCOPE_UPDATE, "webhook_gone"},
	    {"7", 2, SCM_OK, SCM_SCOPE_UPDATE, ""},
	    {"", 3, SCM_OK, SCM_SCOPE_UPDATE, ""},
	};
	static const char *const bodies[] = {"", "{\"x\":1}", "<html>"};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]) * 6; i++) {
		size_t row = i / 6;
		bool there = i % 2 == 0;

		want.id = table[row].id;
		call_of(table[row].kind, table[row].id);
		if (table[row].kind < 2)
			answer(200, KNOWN);
		if (table[row].kind == 1 && table[row].id[0])
			answer(404, bodies[i % 3]); /* GET {id} */
		answer(404, bodies[i % 3]);
		is_read(REPOSITORY);
		if (there) {
			answer(200, "{}");
			ended(table[row].outcome, table[row].scope, table[row].code);
		} else {
			answer(404, GONE);
			ended(SCM_BLOCKED, SCM_SCOPE_REPOSITORY, "repo_unknown");
		}
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_list),
	    TEST(test_list_pages),
	    TEST(test_list_loops),
	    TEST(test_list_too_many),
	    TEST(test_list_statistics),
	    TEST(test_list_likeliest),
	    TEST(test_known_is_kept),
	    TEST(test_list_old_server),
	    TEST(test_list_known_fails),
	    TEST(test_refusals),
	    TEST(test_unclear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
