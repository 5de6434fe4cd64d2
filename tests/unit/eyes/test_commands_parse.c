/*
 * The feed's body: every rejection, and what is let through.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "eyes/commands_parse.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHA "0123456789abcdef0123456789abcdef01234567"

/* A command in which one member is replaced: `member` is its whole text, "\"key\":7" say. */
static void write_command(char *out, size_t size, const char *name, const char *value)
{
	static const struct {
		const char *name, *value;
	} members[] = {
	    {"id", "\"c1\""},
	    {"server", "\"https://bitbucket.example.com\""},
	    {"project", "\"PRJ\""},
	    {"repository", "\"web\""},
	    {"commit", "\"" SHA "\""},
	    {"key", "\"tests/applitools\""},
	    {"state", "\"FAILED\""},
	    {"url", "\"https://eyes.example.com/b/1\""},
	};
	size_t used = (size_t)snprintf(out, size, "{\"commands\":[{");
	bool replaced = false, first = true;

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		bool here = strcmp(members[i].name, name) == 0;
		const char *text = here ? value : members[i].value;
		replaced = replaced || here;
		if (text == NULL)
			continue;
		used += (size_t)snprintf(out + used, size - used, "%s\"%s\":%s", first ? "" : ",",
		    members[i].name, text);
		first = false;
	}
	if (!replaced)
		used += (size_t)snprintf(out + used, size - used, ",\"%s\":%s", name, value);
	snprintf(out + used, size - used, "}]}");
}

static void test_rejections(void **state)
{
	static char long_key[300], long_url[500], long_id[300];
	memset(long_key, 'k', 258);
	long_key[0] = long_key[257] = '"';
	memset(long_url, 'u', 453);
	memcpy(long_url, "\"https://", 9);
	long_url[452] = '"';
	memset(long_id, 'i', 203);
	long_id[0] = long_id[202] = '"';
	const struct {
		const char *name, *value, *words;
		bool left_out; /* has no usable id */
	} rows[] = {
	    {"id", NULL, "commands[0].id is missing", true},
	    {"id", "\"\"", "commands[0].id: expected a text without control characters", true},
	    {"id", "\"\\u0001x\"", "commands[0].id: expected a text without control characters",
	        true},
	    {"id", "5", "commands[0].id: expected a string", true},
	    {"id", long_id, "commands[0].id: expected a string of at most 200", true},
	    {"server", NULL, "commands[0].server is missing", false},
	    {"server", "\"bitbucket\"", "commands[0].server: expected an http or https address",
	        false},
	    {"server", "\"ftp://x\"", "commands[0].server: expected an http or https address",
	        false},
	    {"project", NULL, "commands[0].project is missing", false},
	    {"project", "\"\"", "commands[0].project: expected a string that is not empty", false},
	    {"project", "\"..\"", "commands[0].project: expected a name", false},
	    {"repository", "\"a/b\"", "commands[0].repository: expected a name", false},
	    {"repository", "\".\"", "commands[0].repository: expected a name", false},
	    {"repository", "\"a\\nb\"", "commands[0].repository: expected a string without control",
	        false},
	    {"commit", NULL, "commands[0].commit: expected 40 hex digits", false},
	    {"commit", "\"0123\"", "commands[0].commit: expected 40 hex digits", false},
	    {"commit", "\"" SHA "0\"", "commands[0].commit: expected 40 hex digits", false},
	    {"commit", "\"g123456789abcdef0123456789abcdef01234567\"",
	        "commands[0].commit: expected 40 hex", false},
	    {"key", NULL, "commands[0].key is missing", false},
	    {"key", "\"\"", "commands[0].key: expected a string that is not empty", false},
	    {"key", long_key, "commands[0].key: expected a string of at most 255", false},
	    {"state", NULL,
	        "commands[0].state: expected INPROGRESS, SUCCESSFUL, FAILED or CANCELLED", false},
	    {"state", "\"passed\"", "commands[0].state: expected INPROGRESS", false},
	    {"state", "\"failed\"", "commands[0].state: expected INPROGRESS", false},
	    {"url", NULL, "commands[0].url is missing", false},
	    {"url", "\"javascript:alert(1)\"", "commands[0].url: expected an http or https address",
	        false},
	    {"url", "\"https://u:p@x/\"", "commands[0].url: expected an http or https address",
	        false},
	    {"url", "\"https://x/a b\"", "commands[0].url: expected an http or https address",
	        false},
	    {"url", "\"https://x/#a b\"", "commands[0].url: expected an http or https address",
	        false},
	    {"url", long_url, "commands[0].url: expected a string of at most 450", false},
	    {"ref", "\"main\"", "commands[0].ref: expected a ref", false},
	    {"ref", "7", "commands[0].ref: expected a string", false},
	    {"name", "7", "commands[0].name: expected a string", false},
	    {"description", "\"a\\u0000b\"",
	        "commands[0].description: expected a string without U+0000", false},
	    {"description", "[]", "commands[0].description: expected a string", false},
	    {"sequence", "-1", "commands[0].sequence: expected an integer", false},
	    {"sequence", "1.5", "commands[0].sequence: expected an integer", false},
	    {"sequence", "\"1\"", "commands[0].sequence: expected an integer", false},
	    {"createdAt", "\"today\"", "commands[0].createdAt: expected a time", false},
	    {"createdAt", "1", "commands[0].createdAt: expected a string", false},
	    {"testResults", "[]", "commands[0].testResults: expected an object", false},
	    {"testResults", "{\"failed\":-1}",
	        "commands[0].testResults.failed: expected an integer", false},
	    {"testResults", "{\"skipped\":4294967296}", "commands[0].testResults.skipped: expected",
	        false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char body[2048];
		struct commands_page page;
		write_command(body, sizeof(body), rows[i].name, rows[i].value);
		assert_true(commands_parse(body, strlen(body), 256, &page, NULL));
		assert_int_equal(page.listed, 1);
		assert_int_equal(page.left_out, rows[i].left_out);
		assert_int_equal(page.count, rows[i].left_out ? 0 : 1);
		const struct err *why = rows[i].left_out ? &page.left_why : page.items[0].invalid;
		assert_non_null(why);
		if (strncmp(why->message, rows[i].words, strlen(rows[i].words)) != 0)
			fail_msg("%s: %s", rows[i].words, why->message);
		assert_true(why->field[0] != '\0');
		if (!rows[i].left_out) {
			assert_string_equal(page.items[0].id, "c1");
			assert_string_equal(why->code, "command_invalid");
			/* Whose it is can be seen whenever that part is right. */
			assert_int_equal(
			    page.items[0].server == NULL, strcmp(rows[i].name, "server") == 0);
		}
		commands_page_free(&page);
	}
}

static void test_whole(void **state)
{
	static const char body[] =
	    "{\"more\":1,\"commands\":[{\"id\":\"c1\",\"server\":\"https://b.example.com/"
	    "ctx\",\"project\":\"~user\","
	    "\"repository\":\"web\",\"commit\":\"0123456789ABCDEF0123456789abcdef01234567\","
	    "\"ref\":\"refs/heads/x\","
	    "\"key\":\"k\",\"name\":\"n\",\"state\":\"CANCELLED\",\"description\":\"d\",\"url\":"
	    "\"https://e/x#frag\","
	    "\"sequence\":123,\"createdAt\":\"2026-01-31T13:45:30Z\",\"unknown\":{},"
	    "\"testResults\":{\"successful\":1,\"failed\":2,\"skipped\":3}}]}";
	struct commands_page page;

	(void)state;
	assert_true(commands_parse(body, strlen(body), 256, &page, NULL));
	const struct eyes_item *item = &page.items[0];
	assert_null(item->invalid);
	assert_string_equal(item->server, "https://b.example.com/ctx");
	assert_string_equal(item->project, "~user");
	assert_string_equal(item->repository, "web");
	assert_string_equal(item->update.commit, SHA);
	assert_string_equal(item->update.ref, "refs/heads/x");
	assert_string_equal(item->update.key, "k");
	assert_string_equal(item->update.name, "n");
	assert_string_equal(item->update.description, "d");
	assert_string_equal(item->update.url, "https://e/x#frag");
	assert_int_equal(item->update.state, UPDATE_CANCELLED);
	assert_true(item->has_sequence && item->sequence == 123);
	assert_int_equal(item->created_ms, 1769867130000);
	assert_true(item->update.has_tests);
	assert_int_equal(item->update.tests.successful, 1);
	assert_int_equal(item->update.tests.failed, 2);
	assert_int_equal(item->update.tests.skipped, 3);
	commands_page_free(&page);
}

static void test_optional_and_cut(void **state)
{
	char body[2048], text[400];
	struct commands_page page;

	(void)state;
	write_command(body, sizeof(body), "sequence", "null");
	assert_true(commands_parse(body, strlen(body), 256, &page, NULL));
	assert_null(page.items[0].invalid);
	assert_false(page.items[0].has_sequence);
	assert_false(page.items[0].update.has_tests);
	assert_string_equal(page.items[0].update.name, "");
	assert_string_equal(page.items[0].update.ref, "");
	commands_page_free(&page);

	/* 254 bytes, then a letter of two: it goes as a whole. */
	memset(text, 'd', sizeof(text));
	text[0] = '"';
	memcpy(text + 255, "\xc3\xa9 and so on\"", 14);
	write_command(body, sizeof(body), "description", text);
	assert_true(commands_parse(body, strlen(body), 256, &page, NULL));
	assert_null(page.items[0].invalid);
	assert_int_equal(strlen(page.items[0].update.description), 254);
	commands_page_free(&page);
}

static void test_bodies(void **state)
{
	static const struct {
		const char *body;
		bool good;
		unsigned listed, count, left_out;
	} rows[] = {
	    {"{\"commands\":[]}", true, 0, 0, 0},
	    {"{\"commands\":[1,null,\"x\",{},[]]}", true, 5, 0, 3},
	    {"{\"commands\":[{\"id\":\"a\"},7,{\"id\":\"b\"}]}", true, 3, 2, 1},
	    {"{}", false, 0, 0, 0},
	    {"{\"commands\":{}}", false, 0, 0, 0},
	    {"[]", false, 0, 0, 0},
	    {"", false, 0, 0, 0},
	    {"<html>", false, 0, 0, 0},
	    {"{\"commands\":[", false, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct commands_page page;
		struct err err = ERR_INIT;
		/* At most 3 are looked at. */
		bool good = commands_parse(rows[i].body, strlen(rows[i].body), 3, &page, &err);
		assert_int_equal(good, rows[i].good);
		assert_int_equal(good, err.code == NULL);
		if (!good)
			continue;
		assert_int_equal(page.listed, rows[i].listed);
		assert_int_equal(page.count, rows[i].count);
		assert_int_equal(page.left_out, rows[i].left_out);
		commands_page_free(&page);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rejections),
	    cmocka_unit_test(test_whole),
	    cmocka_unit_test(test_optional_and_cut),
	    cmocka_unit_test(test_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
