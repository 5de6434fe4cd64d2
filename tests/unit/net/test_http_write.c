/*
 * The writers (they refuse injection, and what they write reads back) and the values of Retry-After
 * and Link.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "net/http_codec.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void test_request(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	assert_true(http_write_request(&out, "POST", "/rest?a=~b%20"));
	assert_true(http_write_field(&out, "Host", "a:80"));
	assert_true(http_write_field(&out, "X-Empty", ""));
	assert_true(http_write_field(&out, "X-Text", "a\tb \xc3\xa9"));
	assert_true(http_write_field_uint(&out, "Content-Length", UINT64_MAX));
	assert_true(http_write_end(&out));
	assert_string_equal(out.data, "POST /rest?a=~b%20 HTTP/1.1\r\nHost: a:80\r\nX-Empty: \r\n"
	                              "X-Text: a\tb \xc3\xa9\r\n"
	                              "Content-Length: 18446744073709551615\r\n\r\n");
	buf_reset(&out);
	assert_true(http_write_request(&out, "CONNECT", "[::1]:443"));
	assert_true(http_write_request(&out, "OPTIONS", "*"));
	assert_true(http_write_request(&out, "GET", "http://a/b"));
	buf_free(&out);
}

static void test_response(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	assert_true(http_write_response(&out, 200));
	assert_true(http_write_field(&out, "Transfer-Encoding", "chunked"));
	assert_true(http_write_end(&out));
	assert_true(http_write_chunk(&out, "0123456789abcdefX", 17));
	assert_true(http_write_chunk(&out, "\r\n\0", 3));
	assert_true(http_write_chunk(&out, NULL, 0));
	static const char whole[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	                            "11\r\n0123456789abcdefX\r\n3\r\n\r\n\0\r\n0\r\n\r\n";
	assert_int_equal(out.length, sizeof whole - 1);
	assert_memory_equal(out.data, whole, sizeof whole - 1);
	buf_reset(&out);
	assert_true(http_write_response(&out, 299));
	assert_string_equal(out.data, "HTTP/1.1 299 \r\n");
	assert_false(http_write_response(&out, 99));
	buf_reset(&out);
	assert_false(http_write_response(&out, 1000));
	assert_string_equal(http_reason(429), "Too Many Requests");
	assert_string_equal(http_reason(0), "");
	buf_free(&out);
}

static void test_injection(void **state)
{
	static const struct {
		const char *method, *target, *name, *value;
	} bad[] = {
	    {"", "/", "A", "b"},
	    {"GET /x", "/", "A", "b"},
	    {"GET\r\n", "/", "A", "b"},
	    {"G\x80T", "/", "A", "b"},
	    {"GET", "", "A", "b"},
	    {"GET", "/ HTTP/1.1\r\nX: y\r\n", "A", "b"},
	    {"GET", "/a b", "A", "b"},
	    {"GET", "/a\tb", "A", "b"},
	    {"GET", "/\x7f", "A", "b"},
	    {"GET", "/\xc3\xa9", "A", "b"},
	    {"GET", "/a#b", "A", "b"},
	    {"GET", "a", "A", "b"},
	    {"GET", "*", "A", "b"},
	    {"CONNECT", "/", "A", "b"},
	    {"GET", "/", "", "b"},
	    {"GET", "/", "A:", "b"},
	    {"GET", "/", "A ", "b"},
	    {"GET", "/", "A\r\nB", "b"},
	    {"GET", "/", "A", "b\r\nX: y"},
	    {"GET", "/", "A", "b\nX: y"},
	    {"GET", "/", "A", "b\rX: y"},
	    {"GET", "/", "A", "b\r"},
	    {"GET", "/", "A", "12345678\n"},
	    {"GET", "/", "A", "b\x01"},
	    {"GET", "/", "A", "b\x7f"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct buf out;

		buf_init(&out, 4096);
		assert_false(http_write_request(&out, bad[i].method, bad[i].target) &&
		             http_write_field(&out, bad[i].name, bad[i].value));
		/* Whoever looks only at the end is told, too. */
		assert_false(http_write_field(&out, "Fine", "too"));
		assert_false(http_write_end(&out));
		assert_true(out.overflow);
		buf_free(&out);
	}
	struct buf out;
	buf_init(&out, 4096);
	assert_false(http_write_field_uint(&out, "A\r\nB", 1));
	assert_false(http_write_end(&out));
	buf_free(&out);
}

static void test_full_buffer(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 20);
	assert_true(http_write_request(&out, "GET", "/"));
	assert_false(http_write_field(&out, "Host", "a"));
	assert_false(http_write_end(&out));
	buf_free(&out);
}

static void test_rules(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		const char text[] = {(char)c, '\0'};
		const char target[] = {'/', (char)c, '\0'};
		bool alnum =
		    (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

		assert_int_equal(
		    http_is_token(text), alnum || strchr("!#$%&'*+-.^_`|~", c) != NULL);
		assert_int_equal(http_is_value(text), c == '\t' || (c >= ' ' && c != 0x7f));
		assert_int_equal(http_is_target("GET", target), c > ' ' && c < 0x7f && c != '#');
		/* Inside and outside the eight bytes that are looked at together. */
		for (size_t i = 0; i < 17; i++) {
			char long_text[] = "0123456789abcdefg";

			long_text[i] = (char)c;
			assert_int_equal(http_is_value(long_text), http_is_value(text));
		}
	}
	assert_true(http_is_value(""));
	assert_false(http_is_token(""));
}

static void test_retry_after(void **state)
{
	const int64_t now = 784111777000; /* Sun, 06 Nov 1994 08:49:37 GMT, RFC 9110 5.6.7 */
	static const struct {
		const char *value;
		int64_t ms;
	} cases[] = {
	    {NULL, -1},
	    {"", -1},
	    {"0", 0},
	    {"5", 5000},
	    {"007", 7000},
	    {"60", 60000},
	    {"61", 60000},
	    {"99999999999999999999999999", 60000},
	    {"-1", -1},
	    {"+1", -1},
	    {"1.5", -1},
	    {"5 ", -1},
	    {"5s", -1},
	    {"soon", -1},
	    {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
	    {"Sun, 06 Nov 1994 08:49:47 GMT", 10000},
	    {"Sun, 06 Nov 1994 08:49:07 GMT", 0},
	    {"Sun, 06 Nov 1994 09:49:07 GMT", 60000},
	    {"Sun, 06 Nov 1994 08:49:37 CET", -1},
	    {"06 Nov 1994", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(http_retry_after_ms(cases[i].value, now, 60000), cases[i].ms);
	assert_int_equal(http_retry_after_ms("3", now, 2500), 2500);
}

static void test_link_next(void **state)
{
	static const struct {
		const char *link;
		const char *target; /* NULL: none */
	} cases[] = {
	    {NULL, NULL},
	    {"", NULL},
	    {"<https://a/?page=2>; rel=\"next\"", "https://a/?page=2"},
	    {"<https://a/?p=1>; rel=\"prev\", <https://a/?p=3>; rel=\"next\"", "https://a/?p=3"},
	    {"<b>; rel=last,<c>;rel=next,<d>;rel=next", "c"},
	    {"<b>; REL=NEXT", "b"},
	    {"<b> ; rel = next", "b"},
	    {"<b>; rel=\"prev next\"", "b"},
	    {"<b>; rel=\"next\tprev\"", "b"},
	    {"<b>; title=\"a, <x>; rel=next\"; rel=next", "b"},
	    {"<b>; title=\"a \\\" <x>\"; rel=next", "b"},
	    {"<a,b;c>; rel=next", "a,b;c"},
	    {"<b>; crossorigin; rel=next", "b"},
	    {"<b>;; rel=next;", "b"},
	    {", ,<b>; rel=next", "b"},
	    {"<b>", NULL},
	    {"<b>; rel", NULL},
	    {"<b>; rel=\"\"", NULL},
	    {"<b>; rel=nextpage", NULL},
	    {"<b>; rel=\"x-next next-x\"", NULL},
	    {"<b>; rel=prev; rel=next", NULL},
	    {"<b>; title=\"rel=next\"", NULL},
	    {"<b>; rev=next", NULL},
	    {"<b>; rel=next; anchor=\"/x\"", NULL},
	    {"<b>; rel=next; anchor=\"/x\", <c>; rel=next", "c"},
	    {"<b; rel=next", NULL},
	    {"b; rel=next", NULL},
	    {"<b>; rel=\"next", NULL},
	    {"<b> rel=next", NULL},
	    {"<>; rel=next", NULL},
	    {"<a b>; rel=next", NULL},
	    {"<a\xc3\xa9>; rel=next", NULL},
	    {"<1234567890123456789012345678901>; rel=next", "1234567890123456789012345678901"},
	    {"<12345678901234567890123456789012>; rel=next", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char out[32] = "";
		bool found = http_link_next(cases[i].link, out, sizeof out);

		assert_int_equal(found, cases[i].target != NULL);
		if (cases[i].target)
			assert_string_equal(out, cases[i].target);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_request),
	    cmocka_unit_test(test_response),
	    cmocka_unit_test(test_injection),
	    cmocka_unit_test(test_full_buffer),
	    cmocka_unit_test(test_rules),
	    cmocka_unit_test(test_retry_after),
	    cmocka_unit_test(test_link_next),
	};

	return cmocka_run_group_tests_name("http_write", tests, NULL, NULL);
}
