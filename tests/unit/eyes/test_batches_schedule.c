/*
 * When which part of the window is listed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "eyes/batches_schedule.h"

#define MINUTE UINT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static void test_parts(void **state)
{
	static const struct {
		uint64_t window;
		unsigned parts;
		uint64_t oldest;
	} rows[] = {
	    {7 * DAY, 3, 7 * DAY},
	    {30 * DAY, 4, 30 * DAY},
	    {DAY, 2, DAY},
	    {2 * HOUR, 2, 2 * HOUR},
	    {HOUR, 1, HOUR},
	    {0, 1, HOUR},
	    {2 * DAY, 3, 2 * DAY},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct batches_part parts[BATCHES_PARTS];
		assert_int_equal(batches_schedule(rows[i].window, parts), rows[i].parts);
		assert_int_equal(parts[rows[i].parts - 1].to_age_ms, rows[i].oldest);
		/* No gap between them. */
		assert_int_equal(parts[0].from_age_ms, 0);
		for (unsigned j = 1; j < rows[i].parts; j++)
			assert_int_equal(parts[j].from_age_ms, parts[j - 1].to_age_ms);
	}
}

/* How often a part is listed in an hour of polls every 15 s. */
static void test_listings_an_hour(void **state)
{
	static const unsigned expected[] = {241, 13, 2, 1};
	struct batches_part parts[BATCHES_PARTS];

	(void)state;
	assert_int_equal(batches_schedule(30 * DAY, parts), 4);
	for (unsigned i = 0; i < 4; i++) {
		unsigned listings = 0;
		uint64_t last = 0;
		bool ever = false;
		for (uint64_t now = 1000; now <= 1000 + HOUR; now += 15000) {
			if (!batches_part_due(&parts[i], ever, last, now))
				continue;
			listings++;
			ever = true;
			last = now;
		}
		assert_int_equal(listings, expected[i]);
	}
}

static void test_spans(void **state)
{
	static const struct {
		unsigned part;
		const char *start, *end;
	} rows[] = {
	    {0, "2026-01-31T12:45:30Z", "2026-01-31T13:46:30Z"},
	    {1, "2026-01-30T13:45:30Z", "2026-01-31T12:45:31Z"},
	    {2, "2026-01-24T13:45:30Z", "2026-01-30T13:45:31Z"},
	};
	struct batches_part parts[BATCHES_PARTS];
	char start[CLOCK_TEXT], end[CLOCK_TEXT];

	(void)state;
	batches_schedule(7 * DAY, parts);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		batches_part_span(&parts[rows[i].part], 1769867130700, start, end);
		assert_string_equal(start, rows[i].start);
		assert_string_equal(end, rows[i].end);
	}
	assert_false(batches_part_old(&parts[1]));
	assert_true(batches_part_old(&parts[2]));
	batches_part_span(&parts[2], 0, start, end);
	assert_string_equal(start, "1970-01-01T00:00:00Z");
}

static void test_reports(void **state)
{
	static const struct {
		bool reported, was_running, is_running;
		int64_t after;
		bool due;
	} rows[] = {
	    {false, true, true, 0, true},
	    {true, true, true, 0, false},
	    {true, true, true, 59999, false},
	    {true, true, true, 60000, true},
	    {true, true, false, 0, true},
	    {true, false, true, 0, true},
	    {true, false, false, 0, true},
	    {true, true, true, -1000, false},
	    {true, true, true, -60000, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(batches_report_due(rows[i].reported, rows[i].was_running,
		                     rows[i].is_running, 1000000, 1000000 + rows[i].after),
		    rows[i].due);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_listings_an_hour),
	    cmocka_unit_test(test_spans),
	    cmocka_unit_test(test_reports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
