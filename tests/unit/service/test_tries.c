#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "service/tries.h"
#include <stdio.h>

enum { LIMIT = 5, PAUSE_MS = 60000 };

static struct tries tries;

static int empty(void **state)
{
	(void)state;
	tries = (struct tries){0};
	return 0;
}

static unsigned wrong(const char *address, uint64_t now_ms)
{
	return tries_wrong(&tries, address, LIMIT, PAUSE_MS, now_ms);
}

static void test_five_then_a_pause(void **state)
{
	(void)state;
	assert_int_equal(tries_wait_ms(&tries, "a", 0), 0);
	assert_int_equal(tries_left(&tries, "a", LIMIT, 0), LIMIT);
	for (unsigned left = LIMIT - 1; left > 0; left--) {
		assert_int_equal(wrong("a", 1000), left);
		assert_int_equal(tries_left(&tries, "a", LIMIT, 1000), left);
		assert_int_equal(tries_wait_ms(&tries, "a", 1000), 0);
	}
	assert_int_equal(wrong("a", 1000), 0);
	assert_int_equal(tries_left(&tries, "a", LIMIT, 1000), 0);
	assert_int_equal(tries_wait_ms(&tries, "a", 1000), PAUSE_MS);
	assert_int_equal(tries_wait_ms(&tries, "a", 1000 + PAUSE_MS - 1), 1);
	assert_int_equal(tries_wait_ms(&tries, "a", 1000 + PAUSE_MS), 0);
}

static void test_the_pause_is_over(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LIMIT; i++)
		wrong("a", 1000);
	assert_int_equal(tries_left(&tries, "a", LIMIT, 1000 + PAUSE_MS), LIMIT);
	assert_int_equal(wrong("a", 1000 + PAUSE_MS), LIMIT - 1);
	assert_int_equal(tries_wait_ms(&tries, "a", 1000 + PAUSE_MS), 0);
}

static void test_nobody_else_is_held_up(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LIMIT; i++)
		wrong("a", 1000);
	assert_int_equal(tries_wait_ms(&tries, "b", 1000), 0);
	assert_int_equal(wrong("b", 1000), LIMIT - 1);
	assert_int_equal(tries_wait_ms(&tries, "a", 1000), PAUSE_MS);
	assert_int_equal(tries_wait_ms(&tries, "", 1000), 0);
}

static void test_a_right_one_begins_again(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LIMIT - 1; i++)
		wrong("a", 1000);
	tries_right(&tries, "a");
	tries_right(&tries, "never seen");
	assert_int_equal(wrong("a", 1000), LIMIT - 1);
}

/* Many addresses push each other out, but none that pauses as long as there is another. */
static void test_a_flood_of_addresses(void **state)
{
	char address[64];

	(void)state;
	for (unsigned i = 0; i < LIMIT; i++)
		wrong("paused", 1000);
	for (unsigned i = 0; i < 10 * TRIES_ADDRESSES; i++) {
		snprintf(address, sizeof(address), "2001:db8::%x", i);
		assert_int_equal(wrong(address, 1001 + i), LIMIT - 1);
	}
	assert_true(tries_wait_ms(&tries, "paused", 5000) > 0);
	assert_int_equal(wrong(address, 9000), LIMIT - 2); /* the last ones are known */
	assert_int_equal(wrong("2001:db8::0", 9000), LIMIT - 1);
}

static void test_all_pause(void **state)
{
	char address[64];

	(void)state;
	for (unsigned a = 0; a < TRIES_ADDRESSES; a++) {
		snprintf(address, sizeof(address), "10.0.0.%u", a);
		for (unsigned i = 0; i < LIMIT; i++)
			wrong(address, 1000 + a);
	}
	assert_int_equal(wrong("new", 2000), LIMIT - 1);
	assert_int_equal(tries_wait_ms(&tries, "10.0.0.0", 2000), 0); /* the oldest gave way */
	assert_true(tries_wait_ms(&tries, "10.0.0.255", 2000) > 0);
}

static void test_long_addresses(void **state)
{
	char address[200];

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(address); i++)
		address[i] = 'x';
	address[sizeof(address) - 1] = '\0';
	assert_int_equal(wrong(address, 1000), LIMIT - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_five_then_a_pause, empty),
	    cmocka_unit_test_setup(test_the_pause_is_over, empty),
	    cmocka_unit_test_setup(test_nobody_else_is_held_up, empty),
	    cmocka_unit_test_setup(test_a_right_one_begins_again, empty),
	    cmocka_unit_test_setup(test_a_flood_of_addresses, empty),
	    cmocka_unit_test_setup(test_all_pause, empty),
	    cmocka_unit_test_setup(test_long_addresses, empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
