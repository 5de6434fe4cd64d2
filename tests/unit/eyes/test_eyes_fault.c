/*
 * The words for what goes wrong on the way to Eyes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "eyes/eyes_fault.h"
#include <string.h>

static struct url base;

static void test_transport(void **state)
{
	static const struct {
		const char *code, *hop, *words, *expected_code, *expected_words;
	} rows[] = {
	    {"dns_failed", "DNS", "no such host", "eyes_dns",
	        "The name eyes.example.com is not known here (no such host)"},
	    {"connect_timeout", "TCP 8443", "late", "eyes_timeout",
	        "eyes.example.com does not answer (late)"},
	    {"connect_refused", "TCP 8443", "no", "eyes_refused",
	        "Nothing listens at eyes.example.com (no)"},
	    {"connect_failed", "TCP 8443", "no", "eyes_refused",
	        "There is no connection to eyes.example.com (no)"},
	    {"connect_refused", "Proxy", "no", "eyes_refused", "The proxy cannot be reached (no)"},
	    {"proxy_auth", "Proxy, 407", "no", "proxy_auth",
	        "The proxy does not let eyes-scm through to Eyes (no)"},
	    {"proxy_refused", "Proxy", "no", "proxy_refused",
	        "The proxy makes no connection to eyes.example.com (no)"},
	    {"tls_untrusted", "TLS", "why", "eyes_tls",
	        "The certificate of eyes.example.com is not trusted (why)"},
	    {"tls_untrusted", "TLS", "the certificate of eyes.example.com is not trusted: why",
	        "eyes_tls", "The certificate of eyes.example.com is not trusted (why)"},
	    {"tls_name", "TLS", "why", "eyes_tls",
	        "The certificate is not for eyes.example.com (why)"},
	    {"tls_expired", "TLS", "expired on X", "eyes_tls",
	        "The certificate of eyes.example.com is not valid now (expired on X)"},
	    {"tls_failed", "TLS", "why", "eyes_tls",
	        "There is no secure connection to eyes.example.com (why)"},
	    {"http_timeout", "HTTP", "why", "eyes_timeout",
	        "eyes.example.com does not answer (why)"},
	    {"deadline", "HTTP", "why", "eyes_timeout",
	        "eyes.example.com does not answer in time (why)"},
	    {"http_cut", "HTTP", "why", "eyes_malformed",
	        "eyes.example.com ends the connection before its answer is whole (why)"},
	    {"http_malformed", "HTTP", "why", "eyes_malformed",
	        "eyes.example.com does not answer as an Eyes server does (why)"},
	    {"something", "X", "why", "eyes_refused",
	        "There is no connection to eyes.example.com (why)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err fault = ERR_INIT, out = ERR_INIT;
		err_set(&fault, rows[i].code, "%s", rows[i].words);
		err_hop(&fault, "%s", rows[i].hop);
		eyes_fault_transport(&out, &fault, &base, &(struct eyes_skew){0});
		assert_string_equal(out.code, rows[i].expected_code);
		assert_string_equal(out.message, rows[i].expected_words);
		assert_string_equal(out.hop, rows[i].hop);
		assert_true(out.hint[0] != '\0');
		assert_null(strchr(out.hint, '%'));
	}
}

static void test_ports_in_hints(void **state)
{
	struct err fault = ERR_INIT, out = ERR_INIT;

	(void)state;
	err_set(&fault, "connect_timeout", "late");
	eyes_fault_transport(&out, &fault, &base, &(struct eyes_skew){0});
	assert_non_null(strstr(out.hint, "eyes.example.com:8443,"));
}

static void test_clock(void **state)
{
	struct err fault = ERR_INIT, out = ERR_INIT;

	(void)state;
	err_set(&fault, "tls_expired", "expired on 2026-01-01");
	eyes_fault_transport(
	    &out, &fault, &base, &(struct eyes_skew){.known = true, .ms = -61 * 60000});
	assert_string_equal(out.code, "clock_skew");
	assert_string_equal(
	    out.message, "This machine's clock is 61 min off (expired on 2026-01-01)");
	assert_string_equal(out.hop, "TLS, validity");
	/* A clock that is right: then it is the certificate. */
	eyes_fault_transport(&out, &fault, &base, &(struct eyes_skew){.known = true, .ms = 1000});
	assert_string_equal(out.code, "eyes_tls");
	err_set(&fault, "tls_expired", "the certificate of x is not valid before 2030");
	eyes_fault_transport(&out, &fault, &base, &(struct eyes_skew){0});
	assert_string_equal(out.code, "clock_skew");
}

static void test_status(void **state)
{
	static const struct {
		int status;
		const char *body, *code, *message, *hop;
	} rows[] = {
	    {401, "", "key_unknown", "Eyes does not know this key", "Eyes, HTTP 401"},
	    {403, "{\"message\":\"no merge\"}", "key_forbidden",
	        "Eyes does not let this key do that (no merge)", "Eyes, HTTP 403"},
	    {404, "<html>", "eyes_4xx", "eyes.example.com does not know this address",
	        "Eyes, HTTP 404"},
	    {407, "", "proxy_auth", "The proxy does not let eyes-scm through to Eyes",
	        "Proxy, 407"},
	    {410, "", "eyes_4xx", "Eyes does not have this task any more", "Eyes, HTTP 410"},
	    {429, "", "rate_limited", "eyes.example.com asks to slow down", "Eyes, HTTP 429"},
	    {400, "{\"error\":\"a\\u0007b\"}", "eyes_4xx",
	        "Eyes does not accept this request (400) (a\\x07b)", "Eyes, HTTP 400"},
	    {503, "{\"message\":{}}", "eyes_5xx", "Eyes answers with an error (503)",
	        "Eyes, HTTP 503"},
	    {302, "", "eyes_malformed",
	        "eyes.example.com does not answer as an Eyes server does (302)", "Eyes, HTTP 302"},
	    {202, "", "eyes_5xx", "Eyes answers with an error (202)", "Eyes, HTTP 202"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err out = ERR_INIT;
		eyes_fault_status(
		    &out, &base, rows[i].status, NULL, rows[i].body, strlen(rows[i].body), NULL);
		assert_string_equal(out.code, rows[i].code);
		assert_string_equal(out.message, rows[i].message);
		assert_string_equal(out.hop, rows[i].hop);
		assert_true(out.hint[0] != '\0');
	}
}

/* A server that repeats what it was asked with does not bring it into the log. */
static void test_the_key_is_not_repeated(void **state)
{
	static const char key_text[] = "kEy-0123456789-canary";
	struct secret key = {0};
	struct err out = ERR_INIT;
	char body[600], filler[200] = "";

	(void)state;
	secret_set(&key, key_text, strlen(key_text));
	snprintf(body, sizeof(body), "{\"message\":\"no key %s, not %s\"}", key_text, key_text);
	eyes_fault_status(&out, &base, 401, NULL, body, strlen(body), &key);
	assert_string_equal(out.message, "Eyes does not know this key (no key ***, not ***)");
	for (size_t length = 160; length < 199; length++) { /* cut within the key */
		memset(filler, 'x', length);
		filler[length] = '\0';
		snprintf(body, sizeof(body), "{\"message\":\"%s%s\"}", filler, key_text);
		eyes_fault_status(&out, &base, 400, NULL, body, strlen(body), &key);
		assert_null(strstr(out.message, "kEy-0123"));
	}
	secret_free(&key);
}

static void test_words_are_cut_and_escaped(void **state)
{
	struct http_head head = {
	    .field_count = 1, .fields = {{"content-type", "text/plain; charset=x"}}};
	char long_body[1000];
	struct buf words;

	(void)state;
	memset(long_body, 'x', sizeof(long_body));
	buf_init(&words, 4096);
	eyes_fault_words(&words, &head, long_body, sizeof(long_body), NULL);
	assert_in_range(words.length, 190, 200);
	buf_reset(&words);
	eyes_fault_words(&words, &head, "caf\xc3\xa9 \xff\x1b[0m\r\n", 13, NULL);
	assert_string_equal(words.data, "caf\xc3\xa9 \\xff\\x1b[0m");
	buf_reset(&words);
	head.fields[0].value = "text/html";
	eyes_fault_words(&words, &head, "<html>", 6, NULL);
	assert_int_equal(words.length, 0);
	buf_free(&words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_transport),
	    cmocka_unit_test(test_ports_in_hints),
	    cmocka_unit_test(test_clock),
	    cmocka_unit_test(test_status),
	    cmocka_unit_test(test_the_key_is_not_repeated),
	    cmocka_unit_test(test_words_are_cut_and_escaped),
	};

	if (!url_parse(&base, "https://eyes.example.com:8443", NULL))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
