/* Plain HTTP to a port that speaks TLS: said where it can be told, else hinted at. */
#include "scm/bitbucket_answer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_plain_where_tls_is(void **state)
{
	static const struct {
		const char *body, *message; /* an answer, or why there is none */
		const char *code;
		const char *result, *words;
	} table[] = {
	    {"<h1>400</h1>The plain HTTP request was sent to HTTPS port", NULL, NULL, "tls_wanted",
	        "bb.example.com speaks HTTPS at this port"},
	    {"Reason: You're speaking plain HTTP to an SSL-enabled server port.", NULL, NULL,
	        "tls_wanted", "Try https://"},
	    {"Bad Request\nThis combination of host and port requires TLS.", NULL, NULL,
	        "tls_wanted", "Try https://"},
	    {"Client sent an HTTP request to an HTTPS server.", NULL, NULL, "tls_wanted",
	        "Try https://"},
	    {"{}", NULL, NULL, "scm_refused", ""},
	    {"", "the answer of x is not proper HTTP/1.1: TLS where plain HTTP was expected",
	        "http_malformed", "tls_wanted", "Try https://"},
	    {"", "x closed the connection without an answer", "http_cut", "server_cut",
	        "Try https://"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		for (int tls = 0; tls < 2; tls++) {
			struct bitbucket_asked asked = {.host = "bb.example.com",
			    .what = "ask who is there in",
			    .now_ms = 784111777000,
			    .identify = true};
			struct url url = {.tls = tls};
			struct http_head head = {.status = 400};
			struct err err = ERR_INIT;
			struct http_result result = {.head = &head,
			    .status = 400,
			    .body = table[i].body,
			    .body_length = strlen(table[i].body),
			    .url = &url};
			struct bitbucket_answer answer;

			if (table[i].code) {
				err_set(&err, table[i].code, "%s", table[i].message);
				err_hop(&err, "HTTP");
				result.err = &err;
			}
			bitbucket_answer(&asked, &result, &answer);
			if (tls) {
				assert_string_not_equal(answer.err.code, "tls_wanted");
				assert_null(strstr(answer.err.hint, "https://"));
				continue;
			}
			assert_string_equal(answer.err.code, table[i].result);
			if (!strstr(answer.err.message, table[i].words) &&
			    !strstr(answer.err.hint, table[i].words))
				fail_msg("%zu: %s, %s", i, answer.err.message, answer.err.hint);
			assert_true(answer.err.hop[0] != '\0');
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain_where_tls_is)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
