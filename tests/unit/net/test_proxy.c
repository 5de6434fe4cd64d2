/*
 * Which proxy a URL goes through.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "net/proxy.h"

static const struct {
	const char *no_proxy, *host;
	uint16_t port;
	bool excepted;
} table[] = {
    {NULL, "a.example", 443, false},
    {"", "a.example", 443, false},
    {"*", "a.example", 443, true},
    {" , *", "10.0.0.1", 443, true},
    {"*:80", "a.example", 80, true},
    {"*:80", "a.example", 443, false},
    {"example.com", "example.com", 443, true},
    {"example.com", "git.example.com", 443, true},
    {"EXAMPLE.com", "git.example.COM", 443, true},
    {"example.com", "badexample.com", 443, false},
    {"example.com", "example.com.evil", 443, false},
    {"git.example.com", "example.com", 443, false},
    {".example.com", "git.example.com", 443, true},
    {".example.com", "example.com", 443, true},
    {".example.com", "badexample.com", 443, false},
    {".", "example.com", 443, false},
    {"x,example.com , y", "example.com", 443, true},
    {"x example.com y", "example.com", 443, true},
    {"example.com:8443", "git.example.com", 8443, true},
    {"example.com:8443", "git.example.com", 443, false},
    {"example.com:", "example.com", 443, false},
    {"example.com:99999", "example.com", 443, false},
    {"10.0.0.1", "10.0.0.1", 443, true},
    {"10.0.0.1:443", "10.0.0.1", 443, true},
    {"10.0.0.1:80", "10.0.0.1", 443, false},
    {"0.0.1", "10.0.0.1", 443, false},
    {"1", "10.0.0.1", 443, false},
    {"10.0.0.0/8", "10.200.3.4", 443, true},
    {"10.0.0.0/8", "11.0.0.1", 443, false},
    {"10.0.0.0/9", "10.127.0.1", 443, true},
    {"10.0.0.0/9", "10.128.0.1", 443, false},
    {"10.0.0.0/33", "10.0.0.1", 443, false},
    {"10.0.0.0/", "10.0.0.1", 443, false},
    {"10.0.0.0/x", "10.0.0.1", 443, false},
    {"0.0.0.0/0", "10.0.0.1", 443, true},
    {"0.0.0.0/0", "::1", 443, false},
    {"10.0.0.0/8", "a.example", 443, false},
    {"::1", "::1", 443, true},
    {"[::1]", "::1", 443, true},
    {"[::1]:443", "::1", 443, true},
    {"[::1]:80", "::1", 443, false},
    {"[::1", "::1", 443, false},
    {"[::1]x", "::1", 443, false},
    {"0:0:0:0:0:0:0:1", "::1", 443, true},
    {"fd00::/8", "fd12::5", 443, true},
    {"[fd00::]/8", "fd12::5", 443, true},
    {"fd00::/8", "fe12::5", 443, false},
    {"fd00::/129", "fd00::", 443, false},
    {"localhost,127.0.0.1", "localhost", 7990, true},
    {"localhost,127.0.0.1", "127.0.0.1", 7990, true},
};

static void test_exceptions(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		if (proxy_excepted(table[i].no_proxy, table[i].host, table[i].port) !=
		    table[i].excepted)
			fail_msg("NO_PROXY=%s and %s:%u: not %s", table[i].no_proxy, table[i].host,
			    table[i].port, table[i].excepted ? "excepted" : "proxied");
	}
}

static struct url url_of(const char *text)
{
	struct url url;

	assert_true(url_parse(&url, text, NULL));
	return url;
}

static void test_choice(void **state)
{
	struct proxy_rules rules;
	struct url https = url_of("https://a.example/x"), http = url_of("http://a.example/x"),
	           inside = url_of("https://b.inside");

	(void)state;
	assert_true(proxy_rules_init(
	    &rules, "http://us%40er:p%3Aw@[2001:db8::1]:3128/", "squid", "inside", NULL));
	assert_string_equal(proxy_for(&rules, &https)->text, "[2001:db8::1]:3128");
	assert_string_equal(proxy_for(&rules, &https)->host, "2001:db8::1");
	assert_string_equal(proxy_for(&rules, &https)->authorization.data, "Basic dXNAZXI6cDp3");
	assert_string_equal(proxy_for(&rules, &http)->text, "squid:80");
	assert_int_equal(proxy_for(&rules, &http)->authorization.length, 0);
	assert_null(proxy_for(&rules, &inside));
	proxy_rules_free(&rules);
	assert_true(proxy_rules_init(&rules, NULL, "", NULL, NULL));
	assert_null(proxy_for(&rules, &https));
	assert_null(proxy_for(&rules, &http));
	proxy_rules_free(&rules);
}

static void test_wrong_settings(void **state)
{
	static const char *const wrong[] = {"https://p:1", "socks5://p:1", "http://",
	    "http://s3cret@p:x", "http://u:s3cret%zz@p:1", "http://u:s3cret@p:1/path",
	    "http://u:s3cret@p:1?q", "p:0"};
	struct proxy_rules rules;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct err err = ERR_INIT;

		if (proxy_rules_init(&rules, wrong[i], NULL, NULL, &err))
			fail_msg("%s was taken", wrong[i]);
		assert_string_equal(err.code, "proxy_invalid");
		assert_string_equal(err.field, "HTTPS_PROXY");
		assert_null(strstr(err.message, "s3cret"));
		assert_false(proxy_rules_init(&rules, NULL, wrong[i], NULL, &err));
		assert_string_equal(err.field, "HTTP_PROXY");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_exceptions),
	    cmocka_unit_test(test_choice),
	    cmocka_unit_test(test_wrong_settings),
	};

	return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
