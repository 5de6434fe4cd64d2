#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static void test_appends_end_with_nul(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 1000);
	assert_null(buf.data);
	assert_true(buf_puts(&buf, "a"));
	assert_true(buf_putc(&buf, 'b'));
	assert_true(buf_append(&buf, "c\0d", 3));
	assert_true(buf_append(&buf, NULL, 0));
	assert_true(buf_printf(&buf, "%d-%s", 7, "x"));
	assert_true(buf_put_uint(&buf, 0));
	assert_true(buf_put_uint(&buf, UINT64_MAX));
	assert_int_equal(buf.length, 5 + 3 + 1 + 20);
	assert_memory_equal(buf.data, "abc\0d7-x018446744073709551615", 30);
	buf_free(&buf);
	assert_null(buf.data);
	assert_int_equal(buf.limit, 1000);
}

static void test_limit_is_exact_and_overflow_stays(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 5);
	assert_true(buf_puts(&buf, "12345"));
	assert_false(buf.overflow);
	assert_false(buf_putc(&buf, '6'));
	assert_true(buf.overflow);
	assert_string_equal(buf.data, "12345");
	buf_drop(&buf, 3);
	assert_string_equal(buf.data, "45");
	assert_false(buf_putc(&buf, '6')); /* a gap would be worse than an end */
	assert_false(buf_printf(&buf, "%d", 6));
	assert_null(buf_room(&buf, 1));
	buf_reset(&buf);
	assert_false(buf.overflow);
	assert_string_equal(buf.data, "");
	assert_false(buf_puts(&buf, "123456"));
	assert_int_equal(buf.length, 0);
	buf_free(&buf);
}

static void test_no_limit_and_nothing(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, SIZE_MAX);
	assert_true(buf_puts(&buf, "x"));
	assert_null(buf_room(&buf, SIZE_MAX));
	buf_free(&buf);
	buf_init(&buf, 0);
	assert_true(buf_puts(&buf, ""));
	assert_false(buf_putc(&buf, 'x'));
	buf_free(&buf);
}

static void test_grows_keeping_bytes(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100000);
	for (int i = 0; i < 100000; i++)
		assert_true(buf_putc(&buf, (char)('a' + i % 26)));
	for (int i = 0; i < 100000; i++)
		assert_int_equal(buf.data[i], 'a' + i % 26);
	assert_int_equal(strlen(buf.data), 100000);
	buf_cleanse(&buf);
	assert_null(buf.data);
}

static void test_json_strings(void **state)
{
	static const struct {
		const char *text;
		size_t length;
		const char *expected;
	} cases[] = {
	    {"", 0, "\"\""}, {"plain", 5, "\"plain\""}, {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
	    {"\n\r\t\b\f", 5, "\"\\n\\r\\t\\b\\f\""},
	    {"\0\x1f\x7f", 3, "\"\\u0000\\u001f\\u007f\""},
	    {"h\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10,
	        "\"h\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
	    {"\xff", 1, "\"\xef\xbf\xbd\""}, {"a\xc3", 2, "\"a\xef\xbf\xbd\""}, /* cut */
	    {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},    /* a surrogate */
	    {"\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""}, /* longer than needed */
	};
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_reset(&buf);
		assert_true(buf_put_json(&buf, cases[i].text, cases[i].length));
		assert_string_equal(buf.data, cases[i].expected);
	}
	buf_free(&buf);
}

/* Each byte at each place of texts of each length up to three words; nothing is read or written
 * beside them. */
static void test_plain_text_is_copied(void **state)
{
	enum { MOST = 25 };

	(void)state;
	for (size_t length = 0; length < MOST; length++) {
		char *text = malloc(length + (length == 0)), *out = malloc(length + (length == 0));

		for (size_t i = 0; i < length; i++)
			text[i] = (char)('a' + i);
		assert_true(buf_copy_plain(out, text, length));
		assert_memory_equal(out, text, length);
		for (size_t at = 0; at < length; at++) {
			for (int c = 0; c < 256; c++) {
				bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';

				text[at] = (char)c;
				assert_int_equal(buf_copy_plain(out, text, length), plain);
				if (plain)
					assert_memory_equal(out, text, length);
			}
			text[at] = (char)('a' + at);
		}
		free(text);
		free(out);
	}
}

static void test_json_at_the_limit_adds_nothing(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 8);
	assert_true(buf_puts(&buf, "[1,"));
	assert_false(buf_put_json(&buf, "abcd", 4));
	assert_string_equal(buf.data, "[1,");
	assert_true(buf.overflow);
	buf_reset(&buf);
	assert_true(buf_put_json(&buf, "abcdef", 6));
	buf_free(&buf);
}

static void test_room_drop_take(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	buf_drop(&buf, 1);
	buf_puts(&buf, "head");
	char *room = buf_room(&buf, 50);
	memcpy(room, "tail", 4);
	buf.length += 4;
	assert_string_equal(buf.data, "headtail");
	buf_drop(&buf, 2);
	assert_string_equal(buf.data, "adtail");
	char *taken = buf_take(&buf);
	assert_string_equal(taken, "adtail");
	free(taken);
	assert_null(buf.data);
	taken = buf_take(&buf);
	assert_string_equal(taken, "");
	free(taken);
	buf_puts(&buf, "x");
	buf_drop(&buf, 100);
	assert_string_equal(buf.data, "");
	buf_free(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_appends_end_with_nul),
	    cmocka_unit_test(test_limit_is_exact_and_overflow_stays),
	    cmocka_unit_test(test_no_limit_and_nothing),
	    cmocka_unit_test(test_grows_keeping_bytes),
	    cmocka_unit_test(test_json_strings),
	    cmocka_unit_test(test_plain_text_is_copied),
	    cmocka_unit_test(test_json_at_the_limit_adds_nothing),
	    cmocka_unit_test(test_room_drop_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
