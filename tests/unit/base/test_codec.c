#include "base/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_hex(void **state)
{
	unsigned char bytes[3];
	char text[7];

	(void)state;
	codec_hex_encode(text, "\x00\xaf\x10", 3);
	assert_string_equal(text, "00af10");
	assert_true(codec_hex_decode(bytes, 3, "00AFf0"));
	assert_memory_equal(bytes, "\x00\xaf\xf0", 3);
	assert_true(codec_hex_decode(bytes, 0, ""));
	assert_false(codec_hex_decode(bytes, 3, "00aff"));
	assert_false(codec_hex_decode(bytes, 3, "00aff00"));
	assert_false(codec_hex_decode(bytes, 3, "00afg0"));
	assert_false(codec_hex_decode(bytes, 3, "0x00af"));
	assert_true(codec_is_hex("0123456789abcdefABCDEF", 22));
	assert_false(codec_is_hex("12", 3));
	assert_false(codec_is_hex("1234", 3));
	assert_false(codec_is_hex("", 1));
}

/* RFC 4648, 10 */
static const struct {
	const char *plain, *coded;
} base64_cases[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xff\xff\xfe", "///+"},
};

static void test_base64(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	for (size_t i = 0; i < COUNT(base64_cases); i++) {
		const char *plain = base64_cases[i].plain, *coded = base64_cases[i].coded;
		buf_reset(&buf);
		assert_true(codec_base64_encode(&buf, plain, strlen(plain)));
		assert_string_equal(buf.data, coded);
		buf_reset(&buf);
		assert_true(codec_base64_decode(&buf, coded, strlen(coded)));
		assert_string_equal(buf.data, plain);
		assert_int_equal(buf.length, strlen(plain));
	}
	buf_free(&buf);
}

static void test_base64_is_strict(void **state)
{
	static const char *const wrong[] = {"Z", "Zg",
	    "Zg=", "Zg===", "====", "Z===", "Zh==", "Zm9=", "Zm9v\n", "Zm 9", "Zm9-", "Zm9_",
	    "Zg==Zg==", "=Zg="};
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	buf_puts(&buf, "kept");
	for (size_t i = 0; i < COUNT(wrong); i++) {
		assert_false(codec_base64_decode(&buf, wrong[i], strlen(wrong[i])));
		assert_string_equal(buf.data, "kept");
		assert_int_equal(buf.length, 4);
	}
	buf_free(&buf);
	buf_init(&buf, 7);
	assert_false(codec_base64_encode(&buf, "foob", 4));
	assert_true(buf.overflow);
	buf_reset(&buf);
	assert_false(codec_base64_encode(&buf, "", SIZE_MAX));
	buf_free(&buf);
}

static void test_url_encode(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	assert_true(codec_url_encode(&buf, "~user/a b&c=d%\xc3\xa9-._Z9"));
	assert_string_equal(buf.data, "~user%2Fa%20b%26c%3Dd%25%C3%A9-._Z9");
	buf_free(&buf);
	buf_init(&buf, 2);
	assert_false(codec_url_encode(&buf, "/"));
	buf_free(&buf);
}

static void test_url_decode(void **state)
{
	static const char *const wrong[] = {
	    "%", "%4", "a%4", "%4g", "%g4", "%00", "a%00b", "%%41", "% 1"};
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	assert_true(codec_url_decode(&buf, "a%20b%2f%C3%a9+~", 16));
	assert_string_equal(buf.data, "a b/\xc3\xa9+~");
	for (size_t i = 0; i < COUNT(wrong); i++) {
		buf_reset(&buf);
		buf_puts(&buf, "kept");
		assert_false(codec_url_decode(&buf, wrong[i], strlen(wrong[i])));
		assert_string_equal(buf.data, "kept");
	}
	assert_false(codec_url_decode(&buf, "%41", 2)); /* the third byte is not ours */
	buf_free(&buf);
}

static void test_utf8(void **state)
{
	static const struct {
		const char *text;
		size_t length;
		bool valid;
	} cases[] = {
	    {"", 0, true},
	    {"ascii\0nul", 9, true},
	    {"\xc2\x80\xdf\xbf", 4, true},
	    {"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", 12, true},
	    {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8, true},
	    {"\x80", 1, false},
	    {"\xc0\x80", 2, false}, /* longer than needed */
	    {"\xc1\xbf", 2, false},
	    {"\xe0\x9f\xbf", 3, false},
	    {"\xf0\x8f\xbf\xbf", 4, false},
	    {"\xed\xa0\x80", 3, false},     /* surrogate */
	    {"\xf4\x90\x80\x80", 4, false}, /* above U+10FFFF */
	    {"\xf5\x80\x80\x80", 4, false},
	    {"\xff", 1, false},
	    {"\xe2\x82", 2, false}, /* cut */
	    {"\xf0\x9f\x98", 3, false},
	    {"\xe2\x82x", 3, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(codec_is_utf8(cases[i].text, cases[i].length), cases[i].valid);
}

static void test_cut_keeps_characters_whole(void **state)
{
	static const struct {
		const char *text;
		size_t limit, expected;
	} cases[] = {
	    {"abc", 5, 3}, {"abc", 2, 2}, {"abc", 0, 0}, {"a\xc3\xa9", 2, 1}, {"a\xc3\xa9z", 3, 3},
	    {"\xe2\x82\xac", 1, 0}, {"\xe2\x82\xac", 2, 0}, {"\xf0\x9f\x98\x80z", 3, 0},
	    {"\xf0\x9f\x98\x80z", 4, 4},
	    {"\x80\x80\x80\x80\x80\x80", 4, 4}, /* not text: cut anywhere */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(
		    codec_utf8_cut(cases[i].text, strlen(cases[i].text), cases[i].limit),
		    cases[i].expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hex),
	    cmocka_unit_test(test_base64),
	    cmocka_unit_test(test_base64_is_strict),
	    cmocka_unit_test(test_url_encode),
	    cmocka_unit_test(test_url_decode),
	    cmocka_unit_test(test_utf8),
	    cmocka_unit_test(test_cut_keeps_characters_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
