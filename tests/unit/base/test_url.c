#include "base/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_taken_apart(void **state)
{
	static const struct {
		const char *text;
		bool tls, ipv6;
		uint16_t port;
		const char *host, *path, *query;
	} cases[] = {
	    {"https://bitbucket.example.com", true, false, 443, "bitbucket.example.com", "", ""},
	    {"http://host", false, false, 80, "host", "", ""},
	    {"HTTPS://Host.EXAMPLE:7990/", true, false, 7990, "host.example", "", ""},
	    {"https://h/bitbucket/", true, false, 443, "h", "/bitbucket", ""},
	    {"https://h/a/B///", true, false, 443, "h", "/a/B", ""},
	    {"https://h//", true, false, 443, "h", "", ""},
	    {"https://h/users/~jo/x", true, false, 443, "h", "/users/~jo/x", ""},
	    {"https://h/a/./b/../c/..", true, false, 443, "h", "/a", ""},
	    {"https://h/../../a", true, false, 443, "h", "/a", ""},
	    {"https://h?q=1", true, false, 443, "h", "", "q=1"},
	    {"https://h/p?q=a%20b&r=?/x/", true, false, 443, "h", "/p", "q=a%20b&r=?/x/"},
	    {"https://h/p?", true, false, 443, "h", "/p", ""},
	    {"https://10.1.2.3:80", true, false, 80, "10.1.2.3", "", ""},
	    {"http://[::1]:4000/x", false, true, 4000, "::1", "/x", ""},
	    {"http://[2001:DB8:0:0::1]", false, true, 80, "2001:db8::1", "", ""},
	    {"https://a_b-c.9x:65535", true, false, 65535, "a_b-c.9x", "", ""},
	    {"https://h:1", true, false, 1, "h", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct url url;
		struct err err = ERR_INIT;
		assert_true(url_parse(&url, cases[i].text, &err));
		assert_int_equal(url.tls, cases[i].tls);
		assert_int_equal(url.ipv6, cases[i].ipv6);
		assert_int_equal(url.port, cases[i].port);
		assert_string_equal(url.host, cases[i].host);
		assert_string_equal(url.path, cases[i].path);
		assert_string_equal(url.query, cases[i].query);
	}
}

static void test_refusals(void **state)
{
	static const char *const wrong[] = {
	    "",
	    "host",
	    "host:443",
	    "ftp://host",
	    "https:/host",
	    "https:host",
	    "//host",
	    "https://",
	    "https:///path",
	    "https://:443",
	    "https://h:",
	    "https://h:0",
	    "https://h:00",
	    "https://h:65536",
	    "https://h:100000",
	    "https://h:+1",
	    "https://h:1x",
	    "https://h:1:2",
	    "https://h/#frag",
	    "https://h#",
	    " https://h",
	    "https://h ",
	    "https://h/a b",
	    "https://h/\n",
	    "https://h/\x7f",
	    "https://h/\xc3\xa9",
	    "https://h/a\\b",
	    "https://h\\@evil",
	    "https://h/<x>",
	    "https://h/%",
	    "https://h/%4",
	    "https://h/%zz",
	    "https://h/%00",
	    "https://h/?a=%0",
	    "https://h/?a=\"",
	    "https://%68ost",
	    "https://h\xc3\xb6st",
	    "https://-h",
	    "https://h-",
	    "https://a..b",
	    "https://.a",
	    "https://a.",
	    "https://a,b",
	    "https://10.1",
	    "https://2130706433",
	    "https://0x7f.1",
	    "https://127.0.0.0x1",
	    "https://256.1.1.1",
	    "https://1.2.3.4.5",
	    "https://::1",
	    "https://[::1",
	    "https://[::1]x",
	    "https://[fe80::1%25eth0]",
	    "https://[]",
	    "https://[1.2.3.4]",
	    "https://[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]",
	    "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct url url = {.port = 7};
		struct err err = ERR_INIT;
		if (url_parse(&url, wrong[i], &err))
			fail_msg("accepted: %s", wrong[i]);
		assert_true(err_is(&err, "url_invalid"));
		assert_true(err.message[0] != '\0');
		assert_int_equal(url.port, 7);
		assert_false(url_parse(&url, wrong[i], NULL));
	}
}

static void test_user_information_is_not_echoed(void **state)
{
	static const char *const secrets[] = {
	    "https://jo:hunter2@host/",
	    "https://hunter2@host",
	    "https://hunter2:@h",
	    "https://@hunter2",
	    "https://user:p@hunter2@host",
	    "https://h/x#hunter2",
	    "jo:hunter2@host",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(secrets); i++) {
		struct url url;
		struct err err = ERR_INIT;
		assert_false(url_parse(&url, secrets[i], &err));
		assert_true(err_is(&err, "url_invalid"));
		assert_null(strstr(err.message, "hunter2"));
		assert_null(strstr(err.hint, "hunter2"));
	}
}

/* "https://" and a host, path or query that is `count` long. */
static bool accepts_long(const char *before, size_t count)
{
	char text[8192];
	struct url url;
	size_t length = strlen(before);

	memcpy(text, before, length);
	memset(text + length, 'a', count);
	text[length + count] = '\0';
	return url_parse(&url, text, NULL);
}

static void test_lengths(void **state)
{
	char labels[300];

	(void)state;
	assert_true(accepts_long("https://", 63));
	assert_false(accepts_long("https://", 64));
	memset(labels, 'b', sizeof(labels));
	memcpy(labels, "https://", 8);
	for (int i = 8 + 63; i < 8 + 253; i += 64)
		labels[i] = '.';
	labels[8 + 253 - 3] = '\0';
	assert_true(accepts_long(labels, 3));
	assert_false(accepts_long(labels, 4));
	assert_true(accepts_long("https://h/", 1022));
	assert_false(accepts_long("https://h/", 1023));
	assert_true(accepts_long("https://h/?", 2047));
	assert_false(accepts_long("https://h/?", 2048));
}

static void test_shown_again(void **state)
{
	static const struct {
		const char *text, *origin, *authority, *whole;
	} cases[] = {
	    {"https://H:443/a/?b=c", "https://h", "h", "https://h/a?b=c"},
	    {"http://h:443", "http://h:443", "h:443", "http://h:443"},
	    {"http://h:80?x", "http://h", "h", "http://h?x"},
	    {"https://[::1]:8443/a", "https://[::1]:8443", "[::1]:8443", "https://[::1]:8443/a"},
	    {"https://[::1]", "https://[::1]", "[::1]", "https://[::1]"},
	};
	char text[URL_TEXT];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct url url;
		assert_true(url_parse(&url, cases[i].text, NULL));
		url_origin(&url, text, URL_ORIGIN);
		assert_string_equal(text, cases[i].origin);
		url_authority(&url, text, URL_ORIGIN);
		assert_string_equal(text, cases[i].authority);
		url_text(&url, text, sizeof(text));
		assert_string_equal(text, cases[i].whole);
	}
}

static void test_same_origin(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
	    {"https://h/a", "https://H:443/b?c", true},
	    {"https://h", "http://h:443", false},
	    {"https://h", "https://h:444", false},
	    {"https://h", "https://h.example", false},
	    {"http://[::1]", "http://[0:0::1]:80", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct url a, b;
		assert_true(url_parse(&a, cases[i].a, NULL));
		assert_true(url_parse(&b, cases[i].b, NULL));
		assert_int_equal(url_same_origin(&a, &b), cases[i].same);
	}
}

static void test_resolve(void **state)
{
	static const struct {
		const char *base, *reference, *expected;
	} cases[] = {
	    {"https://h/b/c/d?q", "https://other:1/x/", "https://other:1/x/"},
	    {"https://h/b/c/d?q", "//other/x", "https://other/x"},
	    {"http://h/b", "//other", "http://other"},
	    {"https://h/b/c/d?q", "/x/y/?z", "https://h/x/y/?z"},
	    {"https://h/b/c/d?q", "x", "https://h/b/c/x"},
	    {"https://h/b/c/d?q", "x/?y=/../z", "https://h/b/c/x/?y=/../z"},
	    {"https://h/b/c/d?q", "?y", "https://h/b/c/d?y"},
	    {"https://h/b/c/d?q", "", "https://h/b/c/d?q"},
	    {"https://h/b/c/d?q", "#f", "https://h/b/c/d?q"},
	    {"https://h/b/c/d?q", "x#f?g", "https://h/b/c/x"},
	    {"https://h/b/c/d?q", "../x", "https://h/b/x"},
	    {"https://h/b/c/d?q", "../../../x", "https://h/x"},
	    {"https://h/b/c/d?q", "..", "https://h/b/"},
	    {"https://h/b/c/d?q", ".", "https://h/b/c/"},
	    {"https://h/b/c/d?q", "./x:y", "https://h/b/c/x:y"},
	    {"https://h", "x", "https://h/x"},
	    {"https://h", "/", "https://h"},
	    {"https://h", "/login/", "https://h/login/"},
	    {"https://[::1]:8443/a", "/b", "https://[::1]:8443/b"},
	};
	char text[URL_TEXT];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct url url;
		assert_true(url_parse(&url, cases[i].base, NULL));
		assert_true(url_resolve(&url, &url, cases[i].reference, NULL));
		url_text(&url, text, sizeof(text));
		assert_string_equal(text, cases[i].expected);
	}
}

static void test_resolve_refusals(void **state)
{
	static const char *const wrong[] = {
	    "mailto:x@y",
	    "javascript:alert(1)",
	    "ftp://h/",
	    "https://jo:pw@h/",
	    "//jo@h/",
	    "/a b",
	    "/a\r\nX: y",
	    "/%00",
	    "?a b",
	    "//",
	    "/\\evil",
	    "/\xc3\xa9",
	};
	struct url base, out = {.port = 7};
	char text[5000];

	(void)state;
	assert_true(url_parse(&base, "https://h/a", NULL));
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct err err = ERR_INIT;
		assert_false(url_resolve(&out, &base, wrong[i], &err));
		assert_true(err_is(&err, "url_invalid"));
		assert_int_equal(out.port, 7);
	}
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (size_t i = 1; i < sizeof(text); i += 500)
		assert_int_equal(url_resolve(&out, &base, text + i, NULL), strlen(text + i) < 1023);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_taken_apart),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_user_information_is_not_echoed),
	    cmocka_unit_test(test_lengths),
	    cmocka_unit_test(test_shown_again),
	    cmocka_unit_test(test_same_origin),
	    cmocka_unit_test(test_resolve),
	    cmocka_unit_test(test_resolve_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
