/* Events: GitHub's share of the room, many looked for at once, the dead that are too many, and a
 * clock that goes back. */
#include "unit/store/events_test.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

/* ---- GitHub's share ---- */

static unsigned put_until_full(struct tray *tray, uint32_t lane)
{
	unsigned put = 0;

	while (tray_try(tray, (struct told){.lane = lane}, NULL, NULL) == EVENTS_PUT_NEW)
		put++;
	return put;
}

static void test_github_holds_half_of_the_entries(void **state)
{
	struct tray tray;
	uint32_t lane;

	(void)state;
	tray_begin(&tray);
	tray.options.limit = 20;
	tray_again(&tray);
	assert_int_equal(put_until_full(&tray, EVENTS_GITHUB), 10);
	tray_put(&tray, (struct told){.lane = 1}); /* full for that lane alone */
	/* Also after a start, and behind a lost group. */
	tray_again(&tray);
	assert_int_equal(put_until_full(&tray, EVENTS_GITHUB), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_true(tray_done(&tray, EVENTS_GITHUB, tray_first(&tray, EVENTS_GITHUB)));
	store_lose_group(&tray.store);
	assert_int_equal(put_until_full(&tray, EVENTS_GITHUB), 0);
	/* A dead one has no place there either. */
	uint64_t dead = tray_first(&tray, EVENTS_GITHUB);
	assert_true(tray_die(&tray, EVENTS_GITHUB, dead));
	assert_int_equal(put_until_full(&tray, EVENTS_GITHUB), 1);
	assert_false(events_retry(tray.events, dead, &lane, &tray.store.err));
	assert_true(err_is(&tray.store.err, "store_full"));
	assert_int_equal(put_until_full(&tray, 1), 9);
	/* What is dropped makes room again. */
	assert_true(events_drop(tray.events, tray_first(&tray, EVENTS_GITHUB), 0, &tray.store.err));
	assert_int_equal(put_until_full(&tray, EVENTS_GITHUB), 1);
	tray_end(&tray);
}

static void test_github_holds_half_of_the_bytes(void **state)
{
	struct tray tray;

	(void)state;
	tray_begin(&tray);
	tray_put(&tray, (struct told){.lane = EVENTS_GITHUB});
	uint64_t one = tray_bytes(&tray);
	assert_true(tray_done(&tray, EVENTS_GITHUB, tray_first(&tray, EVENTS_GITHUB)));
	tray.options.limit_bytes = 20 * one;
	tray_again(&tray);
	assert_int_equal(put_until_full(&tray, EVENTS_GITHUB), 10);
	assert_int_equal(put_until_full(&tray, 1), 10);
	tray_end(&tray);
}

/* ---- many at once ---- */

enum { LANES = 20000, ASKED = 500, FIND_MS = 500 };

static void test_many_are_found_in_one_walk(void **state)
{
	static uint64_t numbers[LANES + 1], asked[ASKED];
	static uint32_t lanes[ASKED];
	struct err err = ERR_INIT;
	struct tray tray;

	(void)state;
	tray_begin_sized(&tray, 64 << 20);
	for (uint32_t lane = 1; lane <= LANES; lane++)
		numbers[lane] = tray_put(&tray, (struct told){.lane = lane});
	store_commit(&tray.store);
	/* The last lanes backwards, one that was there twice, one that is not there, a dead one. */
	for (unsigned i = 0; i < ASKED; i++)
		asked[i] = numbers[LANES - i];
	asked[1] = asked[0];
	asked[2] = numbers[LANES] + 1;
	asked[3] = numbers[7];
	assert_true(events_failed(tray.events, 9, numbers[9], "busy", "", NULL)); /* has a note */
	assert_true(tray_die(&tray, 7, numbers[7]));
	uint64_t before = clock_monotonic_ms();
	events_find(tray.events, asked, ASKED, lanes);
	assert_true(clock_monotonic_ms() - before < FIND_MS);
	assert_int_equal(lanes[0], LANES);
	assert_int_equal(lanes[1], LANES);
	assert_int_equal(lanes[2], EVENTS_NOWHERE);
	assert_int_equal(lanes[3], EVENTS_NOWHERE);
	for (unsigned i = 4; i < ASKED; i++)
		assert_int_equal(lanes[i], LANES - i);
	assert_true(events_drop_in(tray.events, lanes[0], asked[0], 0, &err));
	assert_false(events_drop_in(tray.events, lanes[1], asked[1], 0, &err));
	assert_true(err_is(&err, "not_found"));
	assert_false(events_drop_in(tray.events, lanes[2], asked[2], 0, &err));
	assert_true(err_is(&err, "not_found"));
	assert_true(events_drop_in(tray.events, lanes[3], asked[3], 0, &err));
	assert_false(events_drop_in(tray.events, lanes[4], asked[4], asked[4], &err));
	assert_true(err_is(&err, "in_flight"));
	tray_holds(&tray, LANES - 2, 0);
	events_find(tray.events, asked, 0, lanes);
	tray_end(&tray);
}

/* ---- too many dead ---- */

static double told_dropped(void)
{
	static const char name[] = "\neyes_scm_events_dead_dropped_total ";
	struct buf out;
	double value = 0;

	buf_init(&out, 1 << 20);
	metrics_write(&out);
	const char *at = out.data != NULL ? strstr(out.data, name) : NULL;
	if (at != NULL)
		value = strtod(at + sizeof(name) - 1, NULL);
	buf_free(&out);
	return value;
}

static void test_dropped_dead_are_told(void **state)
{
	struct tray tray;
	double before = told_dropped();

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	tray_begin(&tray);
	for (unsigned i = 0; i < 1005; i++)
		assert_true(tray_die(&tray, 1, tray_put(&tray, (struct told){.lane = 1})));
	assert_int_equal(events_trim(tray.events, clock_wall_ms(), 100), 5);
	assert_true(told_dropped() == before + 5);
	/* Those whose time has come are not worth a word. */
	assert_int_equal(events_trim(tray.events, clock_wall_ms() + HOUR_MS + 1000, 2000), 1000);
	assert_true(told_dropped() == before + 5);
	tray_end(&tray);
}

/* ---- a clock that was ahead ---- */

static void test_a_clock_that_goes_back(void **state)
{
	int64_t now_ms = clock_wall_ms();
	struct told told = {.lane = 1, .id = "r"};
	struct tray tray;

	(void)state;
	tray_begin(&tray);
	tray_put(&tray, told);
	store_commit(&tray.store);
	events_trim(tray.events, now_ms + 30 * HOUR_MS, 100); /* the clock is ahead: it turns */
	tray_put(&tray, (struct told){.lane = 1, .id = "more"});
	store_commit(&tray.store);
	events_trim(tray.events, now_ms, 100); /* and right again: no reason to turn */
	tray_put(&tray, (struct told){.lane = 1, .id = "still more"});
	store_commit(&tray.store);
	assert_int_equal(tray_try(&tray, told, NULL, NULL), EVENTS_PUT_KNOWN);
	tray_end(&tray);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_github_holds_half_of_the_entries),
	    cmocka_unit_test(test_github_holds_half_of_the_bytes),
	    cmocka_unit_test(test_many_are_found_in_one_walk),
	    cmocka_unit_test(test_dropped_dead_are_told),
	    cmocka_unit_test(test_a_clock_that_goes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
