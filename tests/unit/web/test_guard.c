/* guard: under which names the page may be opened, and whose requests are its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "web/web_internal.h"
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *list_of(const char *allowed, const char *own_url, struct err *err)
{
	static const struct web_listen listen[] = {{.text = "192.0.2.7:4000"},
	    {.text = "[2001:db8::7]:4000"}, {.text = "127.0.0.1:4000"}, {.text = "*:4000"}};

	return guard_host_list(
	    &(struct web_options){
	        .allowed_hosts = allowed, .own_url = own_url, .listen = listen, .listen_count = 4},
	    err);
}

static void test_names(void **state)
{
	static const char *const yes[] = {"localhost", "localhost:4000", "LocalHost:8080",
	    "a.localhost", "127.0.0.1:4000", "127.8.9.1", "[::1]:4000", "[::1]",
	    "[0:0:0:0:0:0:0:1]:80", "192.0.2.7:80", "[2001:db8::7]", "[2001:DB8:0::7]:4000",
	    "own.example.com", "own.example.com:99", "a.example", "A.Example:1", "b.example",
	    "b.example:8443", "b.example:1", "[2001:db8::8]:7", "[2001:db8::9]:7", "[2001:db8::a]",
	    "192.0.2.8:80", "under_score.example", "localhost:", "localhost.", "localhost.:4000",
	    "a.localhost."};
	static const char *const no[] = {"", ":", ":4000", "evil.example", "evil.example:4000",
	    "localhost.evil.example", "a.example.evil.example", "xa.example", "a.exampl", "example",
	    "b.example:8443:1", "b.example:port", "b.example:123456", "[::1", "[::1]x", "[::1]:x",
	    "::1]", "[::2]", "[]", "[a.example]", "128.0.0.1", "127.0.0.1.evil.example",
	    "a.example,b.example", ",", "a.example,", "a.example/", "user@a.example",
	    "a.example evil", "localhost\t", "2130706433", ".localhost.", "localhost..",
	    "127.0.0.1.", "a.example.", "\xc3\xa4.example"};
	struct err err = ERR_INIT;
	char *hosts = list_of(" a.example ,b.example:8443,,[2001:db8::8], [2001:db8::9]:80 ,"
	                      "2001:DB8:0::a,192.0.2.8\t,under_score.example,",
	    "https://own.example.com/x", &err);

	(void)state;
	assert_non_null(hosts);
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (!guard_host_allowed(hosts, yes[i]))
			fail_msg("refused: %s (%s)", yes[i], hosts);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (guard_host_allowed(hosts, no[i]))
			fail_msg("allowed: %s (%s)", no[i], hosts);
	free(hosts);
	hosts = list_of(NULL, NULL, &err);
	assert_true(guard_host_allowed(hosts, "localhost"));
	assert_false(guard_host_allowed(hosts, "own.example.com"));
	assert_false(guard_host_allowed(hosts, "a.example"));
	free(hosts);
}

static void test_long_names(void **state)
{
	char name[GUARD_HOST + 10], out[GUARD_HOST];

	(void)state;
	memset(name, 'a', sizeof(name));
	assert_true(guard_host_name(name, GUARD_HOST - 1, out, sizeof(out)));
	assert_int_equal(strlen(out), GUARD_HOST - 1);
	assert_false(guard_host_name(name, GUARD_HOST, out, sizeof(out)));
}

/* What can never match is said at the start, and not found out later. */
static void test_entries_that_are_no_names(void **state)
{
	static const char *const wrong[] = {"https://a.example", "a.example/path", "*", "*.example",
	    "a b", "[::1", "[a.example]", "a.example:x", "user@a.example", "\xc3\xbc.example",
	    "a.example;b.example"};
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct err err = ERR_INIT;

		snprintf(text, sizeof(text), "fine.example, %s ,b.example", wrong[i]);
		char *hosts = list_of(text, NULL, &err);
		if (hosts != NULL)
			fail_msg("taken: %s", wrong[i]);
		assert_string_equal(err.code, "hosts_invalid");
		assert_string_equal(err.field, "EYES_ALLOWED_HOSTS");
		assert_non_null(strstr(err.message, wrong[i]));
		assert_true(err.hint[0] != '\0');
	}
}

static void test_origins(void **state)
{
	static const struct {
		const char *origin, *site, *host;
		bool read, write;
	} cases[] = {
	    {"", "", "localhost:4000", true, true}, /* no browser */
	    {"http://localhost:4000", "same-origin", "localhost:4000", true, true},
	    {"https://localhost:4000", "", "LOCALHOST:4000", true, true}, /* behind TLS */
	    {"", "same-origin", "localhost:4000", true, true},
	    {"", "none", "localhost:4000", true, false}, /* typed into the address bar */
	    {"", "cross-site", "localhost:4000", false, false},
	    {"", "same-site", "localhost:4000", false, false},
	    {"", "anything", "localhost:4000", false, false},
	    {"http://evil.example", "", "localhost:4000", false, false},
	    {"http://localhost:4001", "", "localhost:4000", false, false}, /* another port */
	    {"http://localhost", "", "localhost:4000", false, false},
	    {"http://localhost:4000", "cross-site", "localhost:4000", false, false},
	    {"http://evil.example", "same-origin", "localhost:4000", false, false},
	    {"null", "", "localhost:4000", false, false},
	    {"localhost:4000", "", "localhost:4000", false, false},
	    {"http://", "", "localhost:4000", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool read = guard_same_origin(cases[i].origin, cases[i].site, cases[i].host, false);
		bool write = guard_same_origin(cases[i].origin, cases[i].site, cases[i].host, true);

		if (read != cases[i].read || write != cases[i].write)
			fail_msg("case %zu: \"%s\" \"%s\"", i, cases[i].origin, cases[i].site);
	}
}

static void test_cookies(void **state)
{
	static const struct {
		const char *header, *value;
	} cases[] = {
	    {NULL, ""},
	    {"", ""},
	    {"other=1", ""},
	    {"eyes_scm_session=abc", "abc"},
	    {"a=1; eyes_scm_session=abc; b=2", "abc"},
	    {"a=1;eyes_scm_session=abc", "abc"},
	    {"xeyes_scm_session=abc", ""},
	    {"a=eyes_scm_session=abc", ""},
	    {"eyes_scm_session=", ""},
	    {"eyes_scm_session", ""},
	    {"eyes_scm_sessions=abc", ""},
	    {"eyes_scm_session=0123456789abcdef", ""}, /* longer than the place for it */
	    {";;; ; eyes_scm_session=abc;", "abc"},
	};
	char out[16];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct web_request request = {.http = evhttp_request_new(NULL, NULL)};

		assert_non_null(request.http);
		if (cases[i].header != NULL)
			evhttp_add_header(evhttp_request_get_input_headers(request.http), "Cookie",
			    cases[i].header);
		assert_string_equal(guard_cookie(&request, out, sizeof(out)), cases[i].value);
		evhttp_request_free(request.http);
	}
}

static void test_over_tls(void **state)
{
	static const struct {
		const char *origin;
		bool tls;
	} cases[] = {{NULL, false}, {"http://a", false}, {"https://a", true}, {"httpsx", false}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct web_request request = {.http = evhttp_request_new(NULL, NULL)};

		assert_non_null(request.http);
		if (cases[i].origin != NULL)
			evhttp_add_header(evhttp_request_get_input_headers(request.http), "Origin",
			    cases[i].origin);
		assert_int_equal(guard_over_tls(&request), cases[i].tls);
		evhttp_request_free(request.http);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_long_names),
	    cmocka_unit_test(test_entries_that_are_no_names),
	    cmocka_unit_test(test_origins),
	    cmocka_unit_test(test_cookies),
	    cmocka_unit_test(test_over_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
