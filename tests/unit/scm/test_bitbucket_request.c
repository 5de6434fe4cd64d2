/* The bytes that Bitbucket is asked with. */
#include "base/json.h"
#include "scm/bitbucket_request.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define NEW_SERVER (SCM_BB_BUILDS | SCM_BB_RICH | SCM_BB_CANCELLED)

static const struct update plain = {.commit = COMMIT,
    .key = "eyes/checkout",
    .name = "Checkout",
    .description = "2 of 9 differ",
    .url = "https://eyes.example.com/app/batches/1?a=\"b\"",
    .ref = "refs/heads/main",
    .state = UPDATE_FAILED,
    .has_tests = true,
    .tests = {.successful = 7, .failed = 2, .skipped = 0}};

static void test_paths(void **state)
{
	static const struct {
		const char *base;
		uint32_t capabilities;
		const char *project, *slug, *path;
	} table[] = {
	    {"https://bb.example.com", NEW_SERVER, "PAY", "web",
	        "/rest/api/1.0/projects/PAY/repos/web/commits/" COMMIT "/builds"},
	    {"https://bb.example.com", 0, "PAY", "web", "/rest/build-status/1.0/commits/" COMMIT},
	    {"https://example.com/bitbucket", NEW_SERVER, "~jane", "app",
	        "/bitbucket/rest/api/1.0/projects/~jane/repos/app/commits/" COMMIT "/builds"},
	    {"https://example.com/bitbucket", 0, "~jane", "app",
	        "/bitbucket/rest/build-status/1.0/commits/" COMMIT},
	    {"https://bb.example.com", NEW_SERVER, "P/Y", "w b?",
	        "/rest/api/1.0/projects/P%2FY/repos/w%20b%3F/commits/" COMMIT "/builds"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct url url;
		struct err err = ERR_INIT;
		assert_true(url_parse(&url, table[i].base, &err));
		struct bitbucket_path path = bitbucket_path_begin(&url, strlen(url.path));
		bitbucket_status_path(
		    &path, table[i].capabilities, table[i].project, table[i].slug, COMMIT);
		assert_false(path.full);
		assert_string_equal(url.path, table[i].path);
		assert_int_equal(path.length, strlen(url.path));
	}
}

static void test_paths_refused(void **state)
{
	static const char *const slugs[] = {"", ".", ".."};
	static char longest[400];
	struct url url = {.host = "bb"};

	(void)state;
	for (size_t i = 0; i < sizeof(slugs) / sizeof(slugs[0]); i++) {
		struct bitbucket_path path = bitbucket_path_begin(&url, 0);
		bitbucket_path_put_repository(&path, "PAY", slugs[i]);
		assert_true(path.full);
	}
	memset(longest, '%', sizeof(longest) - 1);
	struct bitbucket_path path = bitbucket_path_begin(&url, 0);
	bitbucket_path_put_repository(&path, "PAY", longest);
	bitbucket_path_put(&path, "/webhooks");
	assert_true(path.full);
	assert_true(strlen(url.path) < sizeof(url.path));
}

static void test_query(void **state)
{
	static char longest[1000];
	struct url url = {.host = "bb"};
	struct bitbucket_path path = bitbucket_path_begin(&url, 0);

	(void)state;
	bitbucket_query_put_uint(&path, "limit", 100);
	bitbucket_query_put(&path, "name", "a&b=\xc3\xa9 ~");
	assert_string_equal(url.query, "limit=100&name=a%26b%3D%C3%A9%20~");
	assert_false(path.full);
	memset(longest, '&', sizeof(longest) - 1);
	bitbucket_query_put(&path, "name", longest);
	assert_true(path.full);
	assert_true(strlen(url.query) < sizeof(url.query));
}

static void test_body(void **state)
{
	static const struct {
		uint32_t capabilities;
		enum update_state state;
		const char *body;
	} table[] = {
	    {NEW_SERVER, UPDATE_FAILED,
	        "{\"key\":\"eyes/checkout\",\"state\":\"FAILED\",\"url\":\"https://"
	        "eyes.example.com/app/batches/1?a=\\\"b\\\"\","
	        "\"name\":\"Checkout\",\"description\":\"2 of 9 "
	        "differ\",\"parent\":\"eyes/checkout\",\"ref\":\"refs/heads/main\","
	        "\"testResults\":{\"successful\":7,\"failed\":2,\"skipped\":0}}"},
	    {0, UPDATE_INPROGRESS,
	        "{\"key\":\"eyes/checkout\",\"state\":\"INPROGRESS\",\"url\":\"https://"
	        "eyes.example.com/app/batches/1?a=\\\"b\\\"\","
	        "\"name\":\"Checkout\",\"description\":\"2 of 9 differ\"}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct buf body;
		struct update update = plain;
		buf_init(&body, 16384);
		update.state = table[i].state;
		assert_true(bitbucket_status_body(&body, table[i].capabilities, &update));
		assert_string_equal(body.data, table[i].body);
		buf_free(&body);
	}
}

static void test_body_least(void **state)
{
	struct update update = {
	    .commit = COMMIT, .key = "k", .name = "", .description = "", .url = "u", .ref = ""};
	struct buf body;

	(void)state;
	buf_init(&body, 16384);
	assert_true(bitbucket_status_body(&body, NEW_SERVER, &update));
	assert_string_equal(
	    body.data, "{\"key\":\"k\",\"state\":\"INPROGRESS\",\"url\":\"u\",\"parent\":\"k\"}");
	buf_free(&body);
	buf_init(&body, 16384);
	update.ref = "main"; /* not a full ref: Bitbucket wants refs/... */
	assert_true(bitbucket_status_body(&body, NEW_SERVER, &update));
	assert_null(strstr(body.data, "\"ref\""));
	buf_free(&body);
}

/* Long names are cut at a character, and what goes out is JSON whatever came in. */
static void test_body_cut(void **state)
{
	char name[2 * 200 + 1], description[600];
	struct update update = plain;
	struct buf body;
	struct err err = ERR_INIT;
	const char *text;

	(void)state;
	for (size_t i = 0; i < 200; i++)
		memcpy(name + 2 * i, "\xc3\xa9", 3);
	memset(description, '\x01', sizeof(description) - 1);
	description[sizeof(description) - 1] = '\0';
	update.name = name;
	update.description = description;
	buf_init(&body, 16384);
	assert_true(bitbucket_status_body(&body, NEW_SERVER, &update));
	json_t *document = json_parse(body.data, body.length, 16384, &err);
	assert_non_null(document);
	text = json_string_value(json_object_get(document, "name"));
	assert_int_equal(strlen(text), 254);
	assert_memory_equal(text, name, 254);
	assert_int_equal(strlen(json_string_value(json_object_get(document, "description"))), 255);
	json_decref(document);
	buf_free(&body);
}

static void test_state_as_sent(void **state)
{
	(void)state;
	assert_int_equal(bitbucket_state_as_sent(NEW_SERVER, UPDATE_CANCELLED), UPDATE_CANCELLED);
	assert_int_equal(
	    bitbucket_state_as_sent(SCM_BB_BUILDS | SCM_BB_RICH, UPDATE_CANCELLED), UPDATE_FAILED);
	assert_int_equal(
	    bitbucket_state_as_sent(SCM_BB_CANCELLED, UPDATE_CANCELLED), UPDATE_FAILED);
	assert_int_equal(bitbucket_state_as_sent(0, UPDATE_SUCCESSFUL), UPDATE_SUCCESSFUL);
	assert_int_equal(bitbucket_state_as_sent(0, UPDATE_INPROGRESS), UPDATE_INPROGRESS);
}

static void test_fault(void **state)
{
	char key[257], url[452];
	struct update update = plain;

	(void)state;
	assert_null(bitbucket_status_fault(&update));
	memset(key, 'k', sizeof(key));
	memset(url, 'u', sizeof(url));
	key[256] = url[451] = '\0';
	update.key = key;
	assert_non_null(bitbucket_status_fault(&update));
	key[255] = '\0';
	assert_null(bitbucket_status_fault(&update));
	update.url = url;
	assert_non_null(bitbucket_status_fault(&update));
	url[450] = '\0';
	assert_null(bitbucket_status_fault(&update));
	update.url = "";
	assert_non_null(bitbucket_status_fault(&update));
	update = plain;
	update.key = "";
	assert_non_null(bitbucket_status_fault(&update));
	update = plain;
	update.commit = "main";
	assert_non_null(bitbucket_status_fault(&update));
	update.commit = COMMIT "0";
	assert_non_null(bitbucket_status_fault(&update));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_paths_refused),
	    cmocka_unit_test(test_query),
	    cmocka_unit_test(test_body),
	    cmocka_unit_test(test_body_least),
	    cmocka_unit_test(test_body_cut),
	    cmocka_unit_test(test_state_as_sent),
	    cmocka_unit_test(test_fault),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
