#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static json_t *parse(const char *text)
{
	struct err err = ERR_INIT;
	json_t *document = json_parse(text, strlen(text), 1 << 20, &err);

	if (document == NULL)
		fail_msg("%s: %s", text, err.message);
	return document;
}

static void test_parse_refusals(void **state)
{
	static const struct {
		const char *text;
		size_t length;
		const char *message; /* begins with */
	} cases[] = {
	    {"", 0, "line 1, column 1: "},
	    {NULL, 0, "line 1, column 1: "},
	    {"{", 1, "line 1, column 1: "},
	    {"{\n \"a\" 1}", 9, "line 2, column 6: "},
	    {"{} x", 4, "line 1, column 4: "},
	    {"\"text\"", 6, "line 1, column 6: "},
	    {"7", 1, "line 1, column 1: "},
	    {"[\"\xff\"]", 5, "line 1, column "},
	    {"[\"\\ud800\"]", 10, "line 1, column "},
	    {"[1]\0", 4, "line 1, column "},
	    {"[99999999999999999999]", 22, "line 1, column "},
	    {"[1e999]", 7, "line 1, column "},
	    {"[01]", 4, "line 1, column "},
	    {"[NaN]", 5, "line 1, column "},
	    {"[1,]", 4, "line 1, column "},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;
		assert_null(json_parse(cases[i].text, cases[i].length, 100, &err));
		assert_true(err_is(&err, "json"));
		if (strncmp(err.message, cases[i].message, strlen(cases[i].message)) != 0)
			fail_msg("case %zu: %s", i, err.message);
		assert_null(json_parse(cases[i].text, cases[i].length, 100, NULL));
	}
}

static void test_parse_limit(void **state)
{
	struct err err = ERR_INIT;
	json_t *document = json_parse("[1, 2]", 6, 6, &err);

	(void)state;
	assert_non_null(document);
	json_decref(document);
	assert_null(json_parse("[1, 2]", 6, 5, &err));
	assert_true(err_is(&err, "json"));
	assert_string_equal(err.message, "longer than 5 bytes");
}

static json_t *parse_nested(int levels, struct err *err)
{
	char text[1000];

	for (int i = 0; i < levels; i++) {
		text[i] = '[';
		text[levels + i] = ']';
	}
	return json_parse(text, (size_t)levels * 2, sizeof(text), err);
}

static void test_parse_depth(void **state)
{
	struct err err = ERR_INIT;
	json_t *document = parse_nested(32, &err);

	(void)state;
	assert_non_null(document);
	json_decref(document);
	assert_null(parse_nested(33, &err));
	assert_string_equal(err.message, "line 1, column 33: nested deeper than 32 levels");
	/* Brackets in strings do not count. */
	document = parse("{\"a\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\": \"\\\\\"}");
	json_decref(document);
}

/* 1.8 MB of "{}," took 133 MB. */
static void test_parse_bounds_the_memory(void **state)
{
	enum { MOST = 65536 };
	struct err err = ERR_INIT;
	char *text = malloc(3 * MOST + 8);
	size_t length = 1;

	(void)state;
	text[0] = '[';
	for (int i = 1; i < MOST; i++, length += 3)
		memcpy(text + length, i + 1 < MOST ? "{}," : "{} ", 3);
	text[length] = ']';
	json_t *document = json_parse(text, length + 1, length + 1, &err);
	assert_non_null(document);
	json_decref(document);
	memcpy(text + length - 1, ",{}]", 4);
	assert_null(json_parse(text, length + 3, length + 3, &err));
	assert_non_null(strstr(err.message, "more than 65536 objects and arrays"));
	free(text);
}

static void test_parse_errors_show_no_piece_of_the_document(void **state)
{
	static const char *const texts[] = {"{\"token\": \"hunter2\" x}",
	    "{\"hunter2\":1,\"hunter2\" 2}", "[hunter2]", "[\"hunter2", "[1,hunter2"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct err err = ERR_INIT;
		assert_null(json_parse(texts[i], strlen(texts[i]), 100, &err));
		assert_null(strstr(err.message, "hunter2"));
	}
}

static void assert_refused(const struct err *err, const char *field, const char *message)
{
	assert_true(err_is(err, "json"));
	assert_string_equal(err->field, field);
	assert_string_equal(err->message, message);
}

static void test_strings(void **state)
{
	json_t *document = parse("{\"a\": \"text\", \"n\": null, \"i\": 7}");
	struct json_at root = json_root(document, "");
	const char *out = "default";
	struct err err = ERR_INIT;

	(void)state;
	assert_true(json_opt_string(&root, "x", 4, &out, &err));
	assert_true(json_opt_string(&root, "n", 4, &out, &err));
	assert_string_equal(out, "default");
	assert_false(json_get_string(&root, "x", 4, &out, &err));
	assert_refused(&err, "x", "x is missing: expected a string of at most 4 bytes");
	assert_false(json_get_string(&root, "n", 4, &out, &err));
	assert_refused(&err, "n", "n: expected a string of at most 4 bytes");
	assert_false(json_get_string(&root, "i", 4, &out, &err));
	assert_refused(&err, "i", "i: expected a string of at most 4 bytes");
	assert_false(json_opt_string(&root, "i", 4, &out, &err));
	assert_false(json_get_string(&root, "a", 3, &out, &err));
	assert_refused(&err, "a", "a: expected a string of at most 3 bytes");
	assert_false(json_opt_string(&root, "a", 3, &out, NULL));
	assert_string_equal(out, "default");
	assert_true(json_get_string(&root, "a", 4, &out, &err));
	assert_string_equal(out, "text");
	json_decref(document);
}

static void test_string_with_nul(void **state)
{
	json_t *document = json_object();
	struct json_at root = json_root(document, "");
	const char *out;
	struct err err = ERR_INIT;

	(void)state;
	json_object_set_new(document, "a", json_stringn("x\0y", 3));
	assert_false(json_get_string(&root, "a", 9, &out, &err));
	assert_refused(&err, "a", "a: expected a string without U+0000");
	json_decref(document);
}

static void test_integers(void **state)
{
	json_t *document = parse(
	    "{\"a\": 7, \"r\": 7.0, \"s\": \"7\", \"n\": null, \"low\": -9223372036854775808}");
	struct json_at root = json_root(document, "body");
	struct err err = ERR_INIT;
	int64_t out = 99;
	bool present = true;

	(void)state;
	assert_true(json_opt_int(&root, "x", 0, 9, &present, &out, &err));
	assert_false(present);
	present = true;
	assert_true(json_opt_int(&root, "n", 0, 9, &present, &out, &err));
	assert_false(present);
	assert_int_equal(out, 99);
	assert_true(json_get_int(&root, "a", 7, 7, &out, &err));
	assert_int_equal(out, 7);
	assert_true(json_opt_int(&root, "a", 7, 7, &present, &out, &err));
	assert_true(present);
	assert_true(json_get_int(&root, "low", INT64_MIN, 0, &out, &err));
	assert_true(out == INT64_MIN);
	assert_false(json_get_int(&root, "a", 8, 9, &out, &err));
	assert_refused(&err, "body.a", "body.a: expected an integer from 8 to 9");
	assert_false(json_get_int(&root, "a", 0, 6, &out, &err));
	assert_false(json_get_int(&root, "r", 0, 9, &out, &err));
	assert_false(json_get_int(&root, "s", 0, 9, &out, &err));
	assert_false(json_get_int(&root, "x", 0, 9, &out, &err));
	assert_refused(&err, "body.x", "body.x is missing: expected an integer from 0 to 9");
	assert_false(json_opt_int(&root, "s", 0, 9, &present, &out, &err));
	assert_true(out == INT64_MIN);
	json_decref(document);
}

static void test_booleans_arrays_objects(void **state)
{
	json_t *document =
	    parse("{\"t\": true, \"f\": false, \"n\": null, \"a\": [{\"b\": 1}], \"o\": {}}");
	struct json_at root = json_root(document, ""), at, item;
	struct err err = ERR_INIT;
	bool out = true, present;

	(void)state;
	assert_true(json_opt_bool(&root, "x", &out, &err));
	assert_true(json_opt_bool(&root, "n", &out, &err));
	assert_true(out);
	assert_true(json_opt_bool(&root, "f", &out, &err));
	assert_false(out);
	assert_true(json_opt_bool(&root, "t", &out, &err));
	assert_true(out);
	assert_false(json_opt_bool(&root, "o", &out, &err));
	assert_refused(&err, "o", "o: expected true or false");
	assert_false(json_get_array(&root, "x", &at, &err));
	assert_refused(&err, "x", "x is missing: expected an array");
	assert_false(json_get_array(&root, "o", &at, &err));
	assert_true(json_get_array(&root, "a", &at, &err));
	item = json_item(&at, 0);
	assert_string_equal(item.path, "a[0]");
	assert_true(json_opt_object(&root, "o", &present, &at, &err));
	assert_true(present);
	assert_true(json_opt_object(&root, "n", &present, &at, &err));
	assert_false(present);
	assert_false(json_opt_object(&root, "a", &present, &at, &err));
	assert_refused(&err, "a", "a: expected an object");
	json_decref(document);
}

static void test_paths_name_the_place(void **state)
{
	json_t *document = parse("{\"commands\": [0, {\"update\": {\"commit\": 7}}, \"x\"]}");
	struct json_at root = json_root(document, ""), array, item, update;
	struct err err = ERR_INIT;
	const char *text;
	bool present;

	(void)state;
	assert_true(json_get_array(&root, "commands", &array, &err));
	item = json_item(&array, 1);
	assert_true(json_opt_object(&item, "update", &present, &update, &err));
	assert_false(json_get_string(&update, "commit", 40, &text, &err));
	assert_refused(&err, "commands[1].update.commit",
	    "commands[1].update.commit: expected a string of at most 40 bytes");
	item = json_item(&array, 2); /* not an object: absence is no excuse */
	assert_false(json_opt_string(&item, "x", 40, &text, &err));
	assert_refused(&err, "commands[2]", "commands[2]: expected an object");
	item = json_item(&array, 3);
	assert_false(json_get_string(&item, "x", 40, &text, &err));
	assert_refused(&err, "commands[3]", "commands[3] is missing: expected an object");
	struct json_at whole = json_root(array.value, "");
	assert_false(json_get_string(&whole, "x", 40, &text, &err));
	assert_refused(&err, "", "the document: expected an object");
	json_decref(document);
}

static void test_long_paths_are_cut(void **state)
{
	char name[300];
	json_t *document = parse("[[]]");
	struct json_at at;
	struct err err = ERR_INIT;
	int64_t out;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	at = json_root(document, name);
	at = json_item(&at, 0);
	assert_true(strlen(at.path) < sizeof(at.path));
	assert_false(json_get_int(&at, name, 0, 9, &out, &err));
	json_decref(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse_refusals),
	    cmocka_unit_test(test_parse_limit),
	    cmocka_unit_test(test_parse_depth),
	    cmocka_unit_test(test_parse_bounds_the_memory),
	    cmocka_unit_test(test_parse_errors_show_no_piece_of_the_document),
	    cmocka_unit_test(test_strings),
	    cmocka_unit_test(test_string_with_nul),
	    cmocka_unit_test(test_integers),
	    cmocka_unit_test(test_booleans_arrays_objects),
	    cmocka_unit_test(test_paths_name_the_place),
	    cmocka_unit_test(test_long_paths_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
