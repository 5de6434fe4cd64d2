/* figures: what counts as today, and percentiles that are never too low. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/figures.h"
#include <stdlib.h>
#include <time.h>

#define HOUR 3600000ll
#define NOON 1773486000000ll /* 2026-03-14, 11:00 UTC: noon in Vienna */

static int vienna(void **state)
{
	(void)state;
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	return 0;
}

static void test_a_day_is_the_local_one(void **state)
{
	struct figures figures;

	(void)state;
	figures_begin(&figures, NOON, 0);
	assert_int_equal(figures.day_begins_ms, NOON - 12 * HOUR);
	assert_int_equal(figures.day_ends_ms, NOON + 12 * HOUR);
	assert_int_equal(figures.since_ms, figures.day_begins_ms);
	figures_add(&figures, NOON - 12 * HOUR - 1, NOON - 13 * HOUR); /* yesterday's */
	assert_int_equal(figures.delivered, 0);
	figures_add(&figures, NOON - 12 * HOUR, NOON - 12 * HOUR);
	figures_add(&figures, NOON + 12 * HOUR - 1, 0);
	assert_int_equal(figures.delivered, 2);
	assert_int_equal(figures.timed, 1);
	figures_turn(&figures, NOON + 12 * HOUR - 1);
	assert_int_equal(figures.delivered, 2);
	figures_turn(&figures, NOON + 12 * HOUR);
	assert_int_equal(figures.delivered, 0);
	assert_int_equal(figures.since_ms, NOON + 12 * HOUR);
	figures_add(&figures, NOON + 40 * HOUR, NOON + 39 * HOUR); /* the day after */
	assert_int_equal(figures.delivered, 1);
	assert_int_equal(figures.day_begins_ms, NOON + 36 * HOUR);
}

static void test_a_day_may_have_23_hours(void **state)
{
	struct figures figures;
	int64_t noon = NOON + 15 * 24 * HOUR - HOUR; /* 2026-03-29: summer time begins */

	(void)state;
	figures_begin(&figures, noon, 0);
	assert_int_equal(figures.day_ends_ms - figures.day_begins_ms, 23 * HOUR);
}

static void test_what_is_not_known_any_more_is_said(void **state)
{
	struct figures figures;

	(void)state;
	figures_begin(&figures, NOON, NOON - HOUR);
	assert_int_equal(figures.since_ms, NOON - HOUR);
	figures_begin(&figures, NOON, NOON - 24 * HOUR);
	assert_int_equal(figures.since_ms, NOON - 12 * HOUR);
}

static void test_percentiles(void **state)
{
	static const int64_t times[] = {
	    0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 1000, 1001, 59999, 86400000, 31536000000ll};
	struct figures figures;

	(void)state;
	figures_begin(&figures, NOON, 0);
	assert_int_equal(figures_percentile_ms(&figures, 50), 0);
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		figures_begin(&figures, NOON, 0);
		figures_add(&figures, NOON, NOON - times[i]);
		assert_in_range(figures_percentile_ms(&figures, 50), times[i],
		    times[i] + times[i] / FIGURES_STEPS);
	}
	figures_begin(&figures, NOON, 0);
	for (int64_t ms = 1; ms <= 1000; ms++)
		figures_add(&figures, NOON, NOON - ms);
	assert_in_range(figures_percentile_ms(&figures, 50), 500, 531);
	assert_in_range(figures_percentile_ms(&figures, 99), 990, 1051);
	figures_add(&figures, NOON, NOON + 5); /* the clock was set back meanwhile */
	assert_int_equal(figures.timed, 1000);
	figures_begin(&figures, NOON, 0);
	figures_add(&figures, NOON, NOON - INT64_C(1) * 100 * 365 * 24 * HOUR);
	assert_true(figures_percentile_ms(&figures, 99) > 31536000000ll);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_day_is_the_local_one),
	    cmocka_unit_test(test_a_day_may_have_23_hours),
	    cmocka_unit_test(test_what_is_not_known_any_more_is_said),
	    cmocka_unit_test(test_percentiles),
	};

	return cmocka_run_group_tests(tests, vienna, NULL);
}
