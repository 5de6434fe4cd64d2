#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_clocks_go_forward(void **state)
{
	uint64_t before_us = clock_monotonic_us(), before_ms = clock_monotonic_ms();

	(void)state;
	while (clock_monotonic_us() == before_us)
		;
	assert_true(clock_monotonic_ms() >= before_ms);
	assert_true(clock_monotonic_ms() - before_us / 1000 < 60000);
	assert_true(clock_wall_ms() > INT64_C(1700000000000));
}

static void test_rfc3339_there_and_back(void **state)
{
	static const struct {
		int64_t wall_ms;
		const char *text;
	} cases[] = {
	    {0, "1970-01-01T00:00:00.000Z"},
	    {-1, "1969-12-31T23:59:59.999Z"},
	    {INT64_C(1769867130123), "2026-01-31T13:45:30.123Z"},
	    {INT64_C(951782400000), "2000-02-29T00:00:00.000Z"},
	    {INT64_C(4107542399999), "2100-02-28T23:59:59.999Z"},
	    {INT64_C(253402300799999), "9999-12-31T23:59:59.999Z"},
	    {INT64_C(-62167219200000), "0000-01-01T00:00:00.000Z"},
	};
	char text[CLOCK_TEXT];
	int64_t wall_ms;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		clock_rfc3339(text, cases[i].wall_ms, true);
		assert_string_equal(text, cases[i].text);
		assert_true(clock_parse_rfc3339(text, &wall_ms));
		assert_true(wall_ms == cases[i].wall_ms);
	}
	clock_rfc3339(text, INT64_C(1769867130123), false);
	assert_string_equal(text, "2026-01-31T13:45:30Z");
	clock_rfc3339(text, INT64_MAX, true);
	clock_rfc3339(text, INT64_MIN, true);
	assert_true(strlen(text) < CLOCK_TEXT);
}

/* Every day there is, against the C library. */
static void test_days(void **state)
{
	(void)state;
	for (int64_t day = -719528; day < 2932897; day++) {
		time_t at = (time_t)(day * 86400 + (day * 7919 % 86400 + 86400) % 86400);
		char text[CLOCK_TEXT], wanted[64];
		struct tm tm;

		gmtime_r(&at, &tm);
		snprintf(wanted, sizeof(wanted), "%04d-%02d-%02dT%02d:%02d:%02dZ",
		    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		clock_rfc3339(text, at * INT64_C(1000) + 999, false);
		if (strcmp(text, wanted) != 0)
			fail_msg("%s, not %s", text, wanted);
		clock_http_date(text, at * INT64_C(1000));
		assert_memory_equal(text, &"SunMonTueWedThuFriSat"[tm.tm_wday * 3], 3);
	}
}

static void test_rfc3339_of_a_day_remembered(void **state)
{
	static const int64_t steps[] = {0, 1, 86399999, 1, -1, -86400000, 86400000ll * 366, -1};
	struct clock_day day = {0};
	int64_t wall_ms = 0;

	(void)state;
	for (int i = 0; i < 4000; i++) {
		char text[CLOCK_TEXT], wanted[CLOCK_TEXT];

		wall_ms += steps[i % COUNT(steps)];
		if (i == 2000)
			wall_ms = -wall_ms;
		clock_rfc3339(wanted, wall_ms, true);
		clock_rfc3339_of_day(&day, text, wall_ms);
		assert_string_equal(text, wanted);
		assert_int_equal(strlen(text), CLOCK_RFC3339);
		assert_string_equal(
		    (clock_rfc3339_of_day(&(struct clock_day){0}, text, wall_ms), text), wanted);
	}
	for (int64_t far = INT64_MAX; far != 0; far = far > 0 ? INT64_MIN : 0) {
		char text[CLOCK_TEXT], wanted[CLOCK_TEXT];

		clock_rfc3339(wanted, far, true);
		clock_rfc3339_of_day(&day, text, far);
		assert_string_equal(text, wanted);
	}
}

static void test_rfc3339_forms(void **state)
{
	static const struct {
		const char *text;
		int64_t wall_ms;
	} cases[] = {
	    {"2026-01-31T13:45:30Z", INT64_C(1769867130000)},
	    {"2026-01-31t13:45:30z", INT64_C(1769867130000)},
	    {"2026-01-31T15:45:30+02:00", INT64_C(1769867130000)},
	    {"2026-01-31T08:15:30.5-05:30", INT64_C(1769867130500)},
	    {"2026-01-31T13:45:30.123456789Z", INT64_C(1769867130123)},
	    {"2026-01-31T13:45:30.000999Z", INT64_C(1769867130000)},
	    {"2026-01-31T13:45:30-00:00", INT64_C(1769867130000)},
	    {"2016-12-31T23:59:60Z", INT64_C(1483228800000)}, /* a leap second */
	};
	int64_t wall_ms;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_true(clock_parse_rfc3339(cases[i].text, &wall_ms));
		assert_true(wall_ms == cases[i].wall_ms);
	}
}

static void test_rfc3339_refusals(void **state)
{
	static const char *const wrong[] = {
	    "",
	    "2026",
	    "2026-01-31",
	    "2026-01-31T13:45:30",
	    "2026-01-31T13:45Z",
	    "2026-01-31 13:45:30Z",
	    "2026-1-31T13:45:30Z",
	    "2026-00-31T13:45:30Z",
	    "2026-13-31T13:45:30Z",
	    "2026-01-00T13:45:30Z",
	    "2026-02-29T13:45:30Z",
	    "2100-02-29T13:45:30Z",
	    "2026-04-31T13:45:30Z",
	    "2026-01-31T24:00:00Z",
	    "2026-01-31T13:60:30Z",
	    "2026-01-31T13:45:61Z",
	    "2026-01-31T13:45:30.Z",
	    "2026-01-31T13:45:30.1234567890Z",
	    "2026-01-31T13:45:30,5Z",
	    "2026-01-31T13:45:30+0200",
	    "2026-01-31T13:45:30+24:00",
	    "2026-01-31T13:45:30+02:60",
	    "2026-01-31T13:45:30Zx",
	    " 2026-01-31T13:45:30Z",
	    "+2026-01-31T13:45:30Z",
	    "2026-01-31T-1:45:30Z",
	};
	int64_t wall_ms = 7;

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_false(clock_parse_rfc3339(wrong[i], &wall_ms));
	assert_true(wall_ms == 7);
}

static void test_http_date(void **state)
{
	static const char *const wrong[] = {
	    "",
	    "Sun, 06 Nov 1994 08:49:37",
	    "Sun, 06 Nov 1994 08:49:37 UTC",
	    "Sun, 06 Nov 1994 08:49:37 GMT ",
	    "Sun, 6 Nov 1994 08:49:37 GMT",
	    "Sun, 06 nov 1994 08:49:37 GMT",
	    "Xxx, 06 Nov 1994 08:49:37 GMT",
	    "Sun, 31 Nov 1994 08:49:37 GMT",
	    "Sun 06 Nov 1994 08:49:37 GMT",
	    "Sun, 06 Xov 1994 08:49:37 GMT",
	    "120",
	};
	char text[CLOCK_TEXT];
	int64_t wall_ms;

	(void)state;
	clock_http_date(text, INT64_C(784111777999)); /* the example of RFC 9110, 5.6.7 */
	assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
	assert_true(clock_parse_http_date(text, &wall_ms));
	assert_true(wall_ms == INT64_C(784111777000));
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_false(clock_parse_http_date(wrong[i], &wall_ms));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_clocks_go_forward),
	    cmocka_unit_test(test_rfc3339_there_and_back),
	    cmocka_unit_test(test_days),
	    cmocka_unit_test(test_rfc3339_of_a_day_remembered),
	    cmocka_unit_test(test_rfc3339_forms),
	    cmocka_unit_test(test_rfc3339_refusals),
	    cmocka_unit_test(test_http_date),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
