/* The bodies that Bitbucket answers with, good and bad. */
#include "scm/bitbucket_parse.h"
#include "scm/bitbucket_request.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TEXT(literal) literal, strlen(literal)

static void test_properties(void **state)
{
	static const struct {
		const char *body, *version, *product; /* NULL: refused */
	} table[] = {
	    {"{\"version\":\"9.4.0\",\"buildNumber\":\"9004000\",\"buildDate\":\"1\","
	     "\"displayName\":\"Bitbucket\"}",
	        "9.4.0", "Bitbucket Data Center"},
	    {"{\"version\":\"7.21.4\",\"buildNumber\":\"7021004\",\"displayName\":\"Code of "
	     "ACME\"}",
	        "7.21.4", "Bitbucket Server"},
	    {"{\"version\":\"3.11.2\",\"displayName\":\"Stash\"}", "3.11.2", "Stash"},
	    {"{\"version\":\"10.0-rc1\",\"displayName\":\"Bitbucket\"}", "10.0-rc1",
	        "Bitbucket Data Center"},
	    {"{\"version\":\"9.4.0\"}", NULL, NULL},
	    {"{\"version\":9,\"displayName\":\"Bitbucket\"}", NULL, NULL},
	    {"{\"version\":\"nine\",\"displayName\":\"Bitbucket\"}", NULL, NULL},
	    {"{\"version\":\"9.4\\u001b[1m\",\"displayName\":\"Bitbucket\"}", NULL, NULL},
	    {"[]", NULL, NULL},
	    {"", NULL, NULL},
	    {"<html></html>", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct bitbucket_properties properties;
		struct err err = ERR_INIT;
		bool good = bitbucket_parse_properties(TEXT(table[i].body), &properties, &err);
		if (good != (table[i].version != NULL))
			fail_msg("%s: %s", table[i].body, good ? "accepted" : err.message);
		if (!good) {
			assert_string_equal(err.code, "json");
			continue;
		}
		assert_string_equal(properties.version, table[i].version);
		assert_string_equal(bitbucket_product(&properties), table[i].product);
	}
}

static void test_capabilities(void **state)
{
	uint32_t capabilities = SCM_BB_BUILDS;

	(void)state;
	assert_true(bitbucket_parse_build_capabilities(
	    TEXT("{\"buildStatus\":[\"richBuildStatus\",7,\"cancelledStatus\"]}"), &capabilities,
	    NULL));
	assert_int_equal(capabilities, SCM_BB_BUILDS | SCM_BB_RICH | SCM_BB_CANCELLED);
	capabilities = 0;
	assert_true(bitbucket_parse_build_capabilities(
	    TEXT("{\"buildStatus\":[\"richBuildStatus\"]}"), &capabilities, NULL));
	assert_int_equal(capabilities, SCM_BB_RICH);
	assert_false(bitbucket_parse_build_capabilities(TEXT("{}"), &capabilities, NULL));
	assert_true(bitbucket_parse_webhook_capabilities(
	    TEXT("{\"application-webhooks\":[\"pr:opened\"]}"), &capabilities, NULL));
	assert_int_equal(capabilities, SCM_BB_RICH | SCM_BB_WEBHOOK_CAPS);
	assert_false(bitbucket_parse_webhook_capabilities(TEXT("[]"), &capabilities, NULL));
}

static void test_page(void **state)
{
	static const char body[] =
	    "{\"size\":4,\"limit\":25,\"isLastPage\":false,\"start\":0,\"nextPageStart\":7,"
	    "\"values\":["
	    "{\"slug\":\"web\",\"name\":\"Checkout "
	    "web\",\"public\":true,\"project\":{\"key\":\"PAY\",\"name\":\"Payments\"}},"
	    "{\"slug\":\"app\",\"name\":\"app\",\"archived\":true,\"project\":{\"key\":\"~jane\","
	    "\"name\":\"Jane\\u001b[2J\"}},"
	    "{\"slug\":\"no project\"},"
	    "{\"slug\":\"../x\",\"project\":{\"key\":\"PAY\"}},"
	    "17]}";
	struct bitbucket_page page;
	struct err err = ERR_INIT;

	(void)state;
	assert_true(bitbucket_parse_page(TEXT(body), 0, &page, &err));
	assert_int_equal(page.count, 2);
	assert_int_equal(page.next, 7);
	assert_string_equal(page.repositories[0].project, "PAY");
	assert_string_equal(page.repositories[0].project_name, "Payments");
	assert_string_equal(page.repositories[0].slug, "web");
	assert_string_equal(page.repositories[0].name, "Checkout web");
	assert_true(page.repositories[0].is_public);
	assert_false(page.repositories[0].archived);
	assert_string_equal(page.repositories[1].project, "~jane");
	/* A name that would write to a terminal is not shown. */
	assert_string_equal(page.repositories[1].project_name, "~jane");
	assert_true(page.repositories[1].archived);
	bitbucket_page_free(&page);
}

static void test_page_ends(void **state)
{
	static const struct {
		const char *body;
		uint64_t start;
		bool good;
		uint64_t next;
	} table[] = {
	    {"{\"values\":[],\"isLastPage\":true,\"nextPageStart\":null}", 0, true, 0},
	    {"{\"values\":[],\"isLastPage\":true,\"nextPageStart\":50}", 0, true, 0},
	    {"{\"values\":[],\"isLastPage\":false,\"nextPageStart\":50}", 25, true, 50},
	    {"{\"values\":[],\"isLastPage\":false,\"nextPageStart\":null}", 25, true, 0},
	    {"{\"values\":[]}", 25, true, 0},
	    /* A server that does not get on would be asked for ever. */
	    {"{\"values\":[],\"isLastPage\":false,\"nextPageStart\":25}", 25, false, 0},
	    {"{\"values\":[],\"isLastPage\":false,\"nextPageStart\":-1}", 0, false, 0},
	    {"{\"values\":[],\"isLastPage\":false,\"nextPageStart\":\"50\"}", 0, false, 0},
	    {"{\"values\":[],\"isLastPage\":7}", 0, false, 0},
	    {"{\"values\":{}}", 0, false, 0},
	    {"{}", 0, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct bitbucket_page page;
		struct bitbucket_status status;
		struct err err = ERR_INIT;
		if (bitbucket_parse_page(TEXT(table[i].body), table[i].start, &page, &err) !=
		    table[i].good)
			fail_msg("%s", table[i].body);
		assert_int_equal(page.next, table[i].next);
		bitbucket_page_free(&page);
		assert_int_equal(bitbucket_parse_status_page(
		                     TEXT(table[i].body), table[i].start, "k", &status, &err),
		    table[i].good);
		assert_int_equal(status.next, table[i].next);
		bitbucket_status_free(&status);
	}
}

static void test_repository(void **state)
{
	struct bitbucket_page page;
	struct err err = ERR_INIT;

	(void)state;
	assert_true(
	    bitbucket_parse_repository(TEXT("{\"slug\":\"web\",\"name\":\"Web\",\"project\":{"
	                                    "\"key\":\"PAY\"},\"archived\":true}"),
	        &page, &err));
	assert_string_equal(page.repositories[0].name, "Web");
	assert_true(page.repositories[0].archived);
	bitbucket_page_free(&page);
	assert_false(bitbucket_parse_repository(TEXT("{\"slug\":\"web\"}"), &page, &err));
	assert_false(bitbucket_parse_repository(TEXT("null"), &page, &err));
}

static void test_base_url_of_the_server(void **state)
{
	static const struct {
		const char *href, *base;
	} table[] = {
	    {"https://git.example.com/projects/PAY/repos/web/browse", "https://git.example.com"},
	    {"https://git.example.com:7990/bitbucket/projects/PAY/repos/web/browse",
	        "https://git.example.com:7990/bitbucket"},
	    {"http://git/users/jane/repos/app/browse", "http://git"},
	    {"https://git.example.com/else/PAY/repos/web/browse", ""},
	    {"https://git.example.com/repos/web", ""},
	    {"https://user:secret@git.example.com/projects/PAY/repos/web/browse", ""},
	    {"javascript:/projects/PAY/repos/web", ""},
	    {"/projects/PAY/repos/web", ""},
	    {"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct bitbucket_page page;
		char body[512];
		snprintf(body, sizeof(body),
		    "{\"slug\":\"web\",\"project\":{\"key\":\"PAY\"},"
		    "\"links\":{\"self\":[{\"href\":\"%s\"}]}}",
		    table[i].href);
		assert_true(bitbucket_parse_repository(body, strlen(body), &page, NULL));
		assert_string_equal(page.base, table[i].base);
		bitbucket_page_free(&page);
	}
}

static void test_status(void **state)
{
	struct bitbucket_status status;
	struct err err = ERR_INIT;

	(void)state;
	assert_true(bitbucket_parse_status(TEXT("{\"key\":\"k\",\"state\":\"CANCELLED\",\"url\":"
	                                        "\"u\",\"name\":\"n\",\"description\":null}"),
	    "k", &status, &err));
	assert_true(status.status.found && status.status.state_known);
	assert_int_equal(status.status.state, UPDATE_CANCELLED);
	assert_string_equal(status.status.url, "u");
	assert_string_equal(status.status.name, "n");
	assert_string_equal(status.status.description, "");
	bitbucket_status_free(&status);

	assert_true(bitbucket_parse_status(
	    TEXT("{\"key\":\"k\",\"state\":\"UNKNOWN\"}"), "k", &status, &err));
	assert_true(status.status.found);
	assert_false(status.status.state_known);
	bitbucket_status_free(&status);

	assert_false(bitbucket_parse_status(
	    TEXT("{\"key\":\"other\",\"state\":\"FAILED\"}"), "k", &status, &err));
	assert_false(bitbucket_parse_status(TEXT("{\"key\":\"k\"}"), "k", &status, &err));
}

static void test_status_page(void **state)
{
	static const char body[] = "{\"isLastPage\":false,\"nextPageStart\":100,\"values\":[3,{"
	                           "\"key\":\"a\",\"state\":\"FAILED\"},"
	                           "{\"key\":\"b\",\"state\":\"SUCCESSFUL\",\"url\":\"u\"}]}";
	struct bitbucket_status status;
	struct err err = ERR_INIT;

	(void)state;
	assert_true(bitbucket_parse_status_page(TEXT(body), 0, "b", &status, &err));
	assert_true(status.status.found);
	assert_int_equal(status.status.state, UPDATE_SUCCESSFUL);
	assert_int_equal(status.next, 0);
	bitbucket_status_free(&status);
	assert_true(bitbucket_parse_status_page(TEXT(body), 0, "c", &status, &err));
	assert_false(status.status.found);
	assert_int_equal(status.next, 100);
	bitbucket_status_free(&status);
}

static void test_errors(void **state)
{
	static const struct {
		const char *body;
		enum bitbucket_exception exception;
		const char *words;
	} table[] = {
	    {"{\"errors\":[{\"context\":null,\"message\":\"Commit 'x' does not exist.\","
	     "\"exceptionName\":\"com.atlassian.bitbucket.commit.NoSuchCommitException\"}]}",
	        BITBUCKET_NO_SUCH_COMMIT, "Commit 'x' does not exist."},
	    {"{\"errors\":[{\"message\":\"a\\nb\"},{\"message\":\"c\",\"exceptionName\":"
	     "\"com.atlassian.bitbucket.project.NoSuchProjectException\"}]}",
	        BITBUCKET_NO_SUCH_REPOSITORY, "a b; c"},
	    {"{\"errors\":[{\"message\":null,\"exceptionName\":\"com.atlassian.bitbucket."
	     "AuthorisationException\"}]}",
	        BITBUCKET_NOT_AUTHORISED, ""},
	    {"{\"errors\":[{\"exceptionName\":\"com.atlassian.bitbucket.auth."
	     "IncorrectPasswordAuthenticationException\"}]}",
	        BITBUCKET_BAD_CREDENTIALS, ""},
	    {"{\"errors\":[{\"exceptionName\":\"AuthenticationRequiredException\"}]}",
	        BITBUCKET_SIGN_IN, ""},
	    {"{\"errors\":[{\"message\":\"x\",\"exceptionName\":\"org.example.Strange\"}]}",
	        BITBUCKET_OTHER, "x"},
	    {"{\"errors\":[{\"message\":\"1\"},{\"message\":\"2\"},{\"message\":\"3\"},{"
	     "\"message\":\"4\"}]}",
	        BITBUCKET_OTHER, "1; 2; 3"},
	    {"{\"errors\":[7,null]}", BITBUCKET_OTHER, ""},
	    {"{\"errors\":[]}", BITBUCKET_NONE, ""},
	    {"{\"errors\":{}}", BITBUCKET_NONE, ""},
	    {"{\"message\":\"x\"}", BITBUCKET_NONE, ""},
	    {"[1]", BITBUCKET_NONE, ""},
	    {"", BITBUCKET_NONE, ""},
	    {"XSRF check failed", BITBUCKET_NONE, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct bitbucket_errors errors;
		bitbucket_parse_errors(TEXT(table[i].body), &errors);
		if (errors.exception != table[i].exception)
			fail_msg("%s: %d", table[i].body, (int)errors.exception);
		assert_string_equal(errors.words, table[i].words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_properties),
	    cmocka_unit_test(test_capabilities),
	    cmocka_unit_test(test_page),
	    cmocka_unit_test(test_page_ends),
	    cmocka_unit_test(test_repository),
	    cmocka_unit_test(test_base_url_of_the_server),
	    cmocka_unit_test(test_status),
	    cmocka_unit_test(test_status_page),
	    cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
