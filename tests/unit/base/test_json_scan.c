/*
 * The scanner: what it takes, beside what jansson takes, and what it reads.
 */
#include "base/json_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool takes(const char *text, size_t length, struct err *err)
{
	/* Without a NUL behind, so that reading too far is seen. */
	char *bytes = malloc(length > 0 ? length : 1);
	struct json_scan scan;

	memcpy(bytes, text, length);
	json_scan_init(&scan, bytes, length, 1 << 20);
	json_scan_skip(&scan);
	bool good = json_scan_end(&scan, err);
	free(bytes);
	return good;
}

/* Each alone, in an array, and as a member. */
static void test_takes_what_the_tree_takes(void **state)
{
	static const char *const values[] = {"", " ", "{}", "[]", "[ ]", "{ }", "[1]", "[1,]",
	    "[,1]", "[1 2]", "[1,2]", "{\"a\":1}", "{\"a\":1,}", "{\"a\"}", "{\"a\":}", "{a:1}",
	    "{,}", "{1:2}", "{\"a\" : 1 , \"a\" : 2}", "{\"a\\u0000b\":1}", "{\"\":1}", "[}", "{]",
	    "]", "}", "[[]", "[]]", "{}{}", "[] x", "0", "-0", "-", "+1", "01", "-01", "1.", ".5",
	    "1.5", "-1.5e3", "1e5", "1E+5", "1e-5", "1e", "1e+", "1e400", "-1e400", "1e-400",
	    "1.7976931348623157e308", "1.7976931348623159e308", "1.5.5", "0x10", "1f",
	    "9223372036854775807", "9223372036854775808", "-9223372036854775808",
	    "-9223372036854775809", "99999999999999999999999", "NaN", "Infinity", "true", "false",
	    "null", "True", "tru", "truex", "true1", "nullnull", "nul", "\"\"", "\"a", "a\"",
	    "\"\\\"", "\"\\\\\"", "\"\\/\\b\\f\\n\\r\\t\\\"\"", "\"\\a\"", "\"\\u12\"",
	    "\"\\u12g4\"", "\"\\u00e9\"", "\"\\uD83D\\uDE00\"", "\"\\ud83d\"", "\"\\ud83dx\"",
	    "\"\\ud83d\\n\"", "\"\\ud83d\\u0041\"", "\"\\ude00\"", "\"\\u0000\"", "\"\t\"",
	    "\"\x1f\"", "\"\x7f\"", "\"\xc3\xa9\"", "\"\xc3\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"",
	    "\"\xf0\x9f\x98\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xff\"", "\xef\xbb\xbf[]",
	    "\xc3\xa9", "'a'", "/**/1", "\"plain text of more than eight bytes\"",
	    "\"12345678\xc3\xa9\"", "\"1234567\\n\"", "\"12345678\x01\"", "\"1234567\"",
	    "\"12345678\"", "\"123456789\"", "\r\n\t 1 \f", "\v1"};
	static const char *const around[][2] = {
	    {"", ""}, {"[", "]"}, {"{\"m\":", "}"}, {"[1,", ",2]"}, {" [ ", " ] \n"}};

	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		for (size_t j = 0; j < COUNT(around); j++) {
			char text[200];
			struct err err = ERR_INIT;
			snprintf(
			    text, sizeof(text), "%s%s%s", around[j][0], values[i], around[j][1]);
			json_t *document = json_parse(text, strlen(text), sizeof(text), NULL);
			if (takes(text, strlen(text), &err) != (document != NULL))
				fail_msg("%s: %s", text, err.message);
			assert_int_equal(err.code != NULL, document == NULL);
			json_decref(document);
		}
	}
}

/* Every beginning of a document is a broken one, and so is each with a byte changed to a bracket,
 * mostly: the tree knows. */
static void test_takes_changed_documents_as_the_tree_does(void **state)
{
	static const char whole[] = "{\"commands\": [{\"id\":\"c\\u00e91\",\"n\":[1,-2.5e1,true,"
	                            "false,null,{}],\"o\":{\"a\":{}}}, \"t\xc3\xa9xt\"], \"z\":[]}";
	static const char changes[] = "{}[],:\"\\ 0-.etn\x1f\xc3";

	(void)state;
	assert_true(takes(whole, strlen(whole), NULL));
	for (size_t i = 0; i < strlen(whole); i++) {
		assert_false(takes(whole, i, NULL));
		for (const char *c = changes; *c != '\0'; c++) {
			char text[sizeof(whole)];
			memcpy(text, whole, sizeof(whole));
			text[i] = *c;
			json_t *document = json_parse(text, strlen(text), sizeof(text), NULL);
			if (takes(text, strlen(text), NULL) != (document != NULL))
				fail_msg("%s", text);
			json_decref(document);
		}
	}
}

static void test_faults(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
	    {"", "line 1, column 1: '[' or '{' expected"},
	    {"\n 7", "line 2, column 2: '[' or '{' expected"},
	    {"[1,\n x]", "line 2, column 2: a value is expected"},
	    {"[\"a\nb\"]", "line 1, column 4: a control character in a text"},
	    {"[\"a", "line 1, column 4: a text without end"},
	    {"[1 2]", "line 1, column 4: ',' or ']' expected"},
	    {"{\"a\" 1}", "line 1, column 6: ':' expected"},
	    {"[] []", "line 1, column 4: the end of the document is expected"},
	    {"[99999999999999999999]", "line 1, column 2: a number out of range"},
	};
	char deep[66];
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_false(takes(rows[i].text, strlen(rows[i].text), &err));
		assert_string_equal(err.message, rows[i].message);
		assert_true(err_is(&err, "json"));
	}
	memset(deep, '[', 33);
	memset(deep + 33, ']', 33);
	assert_true(takes(deep + 1, 64, &err));
	assert_false(takes(deep, 66, &err));
	assert_string_equal(err.message, "line 1, column 33: nested deeper than 32 levels");
	assert_false(takes("[1\0]", 4, &err));
	struct json_scan scan;
	json_scan_init(&scan, "[1]", 3, 2);
	assert_false(json_scan_open(&scan, '['));
	assert_false(json_scan_end(&scan, &err));
}

static void test_reads_values(void **state)
{
	static const char text[] =
	    "{\"s\":\"t\\u00e9\\ud83d\\ude00\\n\\u0000.\",\"i\":-42,"
	    "\"r\":1.5,\"b\":true,\"n\":null,\"\\u006f\":{\"x\":[1]},\"a\":[7,8]}";
	struct json_scan scan;
	struct json_text name;
	struct json_value value;
	char plain[64];

	(void)state;
	json_scan_init(&scan, text, sizeof(text) - 1, sizeof(text));
	assert_true(json_scan_open(&scan, '{'));
	assert_true(json_scan_member(&scan, &name));
	assert_true(json_text_is(&name, "s", 1));
	assert_false(json_text_is(&name, "st", 2));
	assert_true(json_scan_value(&scan, &value));
	assert_int_equal(value.kind, JSON_KIND_STRING);
	assert_true(value.text.has_nul);
	size_t length = json_text_decode(&value.text, plain);
	assert_int_equal(length, 10);
	assert_memory_equal(plain, "t\xc3\xa9\xf0\x9f\x98\x80\n\0.", 10);
	assert_true(json_text_is(&value.text, plain, length));
	assert_false(json_text_is(&value.text, plain, length - 1));
	assert_true(json_scan_member(&scan, &name) && json_scan_value(&scan, &value));
	assert_true(value.kind == JSON_KIND_INTEGER && value.integer == -42);
	assert_true(json_scan_member(&scan, &name) && json_scan_value(&scan, &value));
	assert_int_equal(value.kind, JSON_KIND_REAL);
	assert_true(json_scan_member(&scan, &name) && json_scan_value(&scan, &value));
	assert_true(value.kind == JSON_KIND_BOOLEAN && value.integer == 1);
	assert_true(json_scan_member(&scan, &name) && json_scan_value(&scan, &value));
	assert_int_equal(value.kind, JSON_KIND_NULL);
	assert_true(json_scan_member(&scan, &name) && json_text_is(&name, "o", 1));
	assert_true(json_scan_value(&scan, &value));
	assert_int_equal(value.kind, JSON_KIND_OBJECT);
	assert_true(json_scan_member(&scan, &name) && json_scan_open(&scan, '['));
	for (int i = 7; i <= 8; i++) {
		assert_true(json_scan_element(&scan) && json_scan_value(&scan, &value));
		assert_int_equal(value.integer, i);
	}
	assert_false(json_scan_element(&scan));
	assert_false(json_scan_member(&scan, &name));
	assert_true(json_scan_end(&scan, NULL));
}

/* Who stops in the middle has not seen a good document. */
static void test_end_wants_all(void **state)
{
	struct json_scan scan;
	struct json_value value;

	(void)state;
	json_scan_init(&scan, "[1]", 3, 3);
	assert_true(json_scan_open(&scan, '[') && json_scan_element(&scan));
	assert_true(json_scan_value(&scan, &value));
	assert_false(json_scan_end(&scan, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_takes_what_the_tree_takes),
	    cmocka_unit_test(test_takes_changed_documents_as_the_tree_does),
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_reads_values),
	    cmocka_unit_test(test_end_wants_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
