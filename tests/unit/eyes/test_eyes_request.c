/*
 * What goes out to Eyes: headers, addresses, waiting times.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "eyes/eyes_request.h"
#include <string.h>

static const char *header(const struct eyes_headers *headers, const char *name)
{
	for (unsigned i = 0; i < headers->count; i++)
		if (strcmp(headers->list[i].name, name) == 0)
			return headers->list[i].value;
	return NULL;
}

static void test_headers(void **state)
{
	struct secret key = {.data = (char *)"the-key", .length = 7};
	struct eyes_headers headers;
	const char *instance = "00112233445566778899aabbccddeeff";

	(void)state;
	eyes_request_headers(&headers, instance, 7, 0, &key, 1769867130000);
	assert_string_equal(header(&headers, "Accept"), "application/json");
	assert_string_equal(header(&headers, "Content-Type"), "application/json");
	assert_string_equal(header(&headers, "User-Agent"), "eyes-scm/" EYES_SCM_VERSION);
	assert_string_equal(
	    header(&headers, "x-applitools-eyes-client"), "eyes-scm/" EYES_SCM_VERSION);
	assert_string_equal(header(&headers, "x-applitools-eyes-client-request-id"),
	    "7--00112233445566778899aabbccddeeff");
	assert_string_equal(header(&headers, "Eyes-Date"), "Sat, 31 Jan 2026 13:45:30 GMT");
	assert_string_equal(header(&headers, "Eyes-Expect-Version"), "2");
	assert_string_equal(header(&headers, "Eyes-Expect"), "202+result");
	assert_string_equal(header(&headers, "X-Eyes-Api-Key"), "the-key");
	assert_true(headers.list[headers.count - 1].secret);

	eyes_request_headers(&headers, instance, 7, 3, NULL, 0);
	assert_string_equal(header(&headers, "x-applitools-eyes-client-request-id"),
	    "7--00112233445566778899aabbccddeeff#3");
	assert_null(header(&headers, "X-Eyes-Api-Key"));
}

static void test_addresses(void **state)
{
	static const struct {
		const char *base, *path, *expected;
	} rows[] = {
	    {"https://eyes.example.com", "/api/v1/batches?a=b",
	        "https://eyes.example.com/api/v1/batches?a=b"},
	    {"https://eyes.example.com:8443/eyes", "/api",
	        "https://eyes.example.com:8443/eyes/api"},
	    {"http://[::1]:80/x", "/y", "http://[::1]/x/y"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct url base, url;
		char text[4096];
		assert_true(url_parse(&base, rows[i].base, NULL));
		assert_true(eyes_request_url(&url, &base, rows[i].path, NULL));
		url_text(&url, text, sizeof(text));
		assert_string_equal(text, rows[i].expected);
	}
}

static void test_locations(void **state)
{
	static const struct {
		const char *base, *location, *expected; /* NULL: refused */
	} rows[] = {
	    {"https://eyes.example.com", "https://eyes.example.com/tasks/1",
	        "https://eyes.example.com/tasks/1"},
	    {"https://eyes.example.com", "http://10.0.0.7:8080/tasks/1?x=1",
	        "https://eyes.example.com/tasks/1?x=1"},
	    {"https://eyes.example.com", "//evil.example/tasks/1",
	        "https://eyes.example.com/tasks/1"},
	    {"https://eyes.example.com", "/tasks/1", "https://eyes.example.com/tasks/1"},
	    {"https://eyes.example.com", "1", "https://eyes.example.com/api/1"},
	    {"https://proxy.example/eyes", "http://inner/tasks/1",
	        "https://proxy.example/eyes/tasks/1"},
	    {"https://proxy.example/eyes", "http://inner/eyes/tasks/1",
	        "https://proxy.example/eyes/tasks/1"},
	    {"https://proxy.example/eyes", "http://inner/eyesight/1",
	        "https://proxy.example/eyes/eyesight/1"},
	    {"https://eyes.example.com", "ftp://eyes.example.com/1", NULL},
	    {"https://eyes.example.com", "https://user:word@eyes.example.com/1", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct url base, asked, url;
		char text[4096];
		assert_true(url_parse(&base, rows[i].base, NULL));
		assert_true(eyes_request_url(&asked, &base, "/api/call", NULL));
		bool good = eyes_request_location(&url, &base, &asked, rows[i].location, NULL);
		assert_int_equal(good, rows[i].expected != NULL);
		if (!good)
			continue;
		url_text(&url, text, sizeof(text));
		assert_string_equal(text, rows[i].expected);
	}
}

static void test_waits(void **state)
{
	static const struct {
		int64_t retry_after_ms;
		unsigned n;
		uint32_t first_ms;
		uint64_t expected;
	} rows[] = {
	    {-1, 0, 0, 1000},
	    {-1, 1, 0, 2000},
	    {-1, 4, 0, 16000},
	    {-1, 5, 0, 30000},
	    {-1, 4000000000, 0, 30000},
	    {7000, 3, 0, 7000},
	    {0, 0, 0, 100},
	    {0, 0, 1, 1},
	    {-1, 0, 1, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
		    eyes_request_wait_ms(rows[i].retry_after_ms, rows[i].n, rows[i].first_ms),
		    rows[i].expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_headers),
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_locations),
	    cmocka_unit_test(test_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
