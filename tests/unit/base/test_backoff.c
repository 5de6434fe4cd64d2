#include "base/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_waits(void **state)
{
	static const struct {
		uint32_t first_ms, limit_ms, attempts, random, expected_ms;
	} cases[] = {
	    {1000, 60000, 1, 0, 1000},
	    {1000, 60000, 2, 0, 2000},
	    {1000, 60000, 6, 0, 32000},
	    {1000, 60000, 7, 0, 60000},
	    {1000, 60000, UINT32_MAX, 0, 60000},
	    {1000, 60000, 0, 0, 1000}, /* no failure yet counts as the first */
	    {1000, 60000, 1, UINT32_MAX, 500},
	    {1000, 60000, 2, UINT32_MAX / 2, 1501},
	    {1000, 60000, 9, UINT32_MAX, 30000},
	    {UINT32_MAX, UINT32_MAX, 9, 0, UINT32_MAX},
	    {UINT32_MAX, UINT32_MAX, 9, UINT32_MAX, UINT32_MAX / 2 + 1},
	    {5000, 1000, 1, 0, 1000},
	    {1, 10, 1, UINT32_MAX, 1},
	    {0, 10, 3, 0, 1},
	    {0, 0, 9, UINT32_MAX, 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct backoff backoff = {cases[i].first_ms, cases[i].limit_ms};
		assert_int_equal(
		    backoff_ms(&backoff, cases[i].attempts, cases[i].random), cases[i].expected_ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
