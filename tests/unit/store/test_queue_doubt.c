/* Writes that may come late: doubts, VERIFY entries, and what waited at a start. */
#include "unit/store/queue_test.h"

static int64_t soon(int64_t ms)
{
	return clock_wall_ms() + ms;
}

/* The VERIFY entry, once its time has come; due_ms is when. */
static struct queue_entry *verify_at(struct desk *desk, int64_t due_ms)
{
	assert_int_equal(queue_next_due(desk->queue), due_ms);
	assert_int_equal(desk_due(desk, due_ms - 1), 0);
	assert_int_equal(desk_due(desk, due_ms), 1);
	struct queue_entry *entry = desk_claim(desk, 1, QUEUE_RUNNING);
	assert_non_null(entry);
	assert_int_equal(entry->kind, QUEUE_VERIFY);
	return entry;
}

static void test_a_delivery_in_doubt_leaves_a_verify(void **state)
{
	struct desk desk;
	int64_t until_ms = soon(60000);

	(void)state;
	desk_begin(&desk);
	/* A try times out: its write may come until then. */
	uint64_t number = desk_put(&desk, (struct item){.id = "a"});
	assert_true(queue_later(
	    desk.queue, desk_claim(&desk, 1, QUEUE_RUNNING), 1, "timeout", "", until_ms, NULL));
	assert_int_equal(desk_due(&desk, 1), 1);
	/* The next try works; the late one may still overwrite it. */
	desk_done(&desk, desk_claim(&desk, 1, QUEUE_RUNNING), 0);
	desk_expect(&desk, 0, "a", UPDATE_DELIVERED);
	assert_int_equal(desk_counts(&desk).waiting, 1);
	struct queue_entry *verify = verify_at(&desk, until_ms);
	assert_true(verify->number > number);
	assert_string_equal(verify->id, "");
	assert_string_equal(verify->update.description, "12 passed");
	assert_int_equal(verify->attempts, 0);
	desk_done(&desk, verify, 0);
	assert_int_equal(desk.count, 1); /* nobody is told of a VERIFY */
	desk_end(&desk);
}

static void test_a_certain_delivery_leaves_nothing(void **state)
{
	struct desk desk;

	(void)state;
	desk_begin(&desk);
	desk_put(&desk, (struct item){.id = "a"});
	desk_done(&desk, desk_claim(&desk, 1, QUEUE_RUNNING), soon(-1));
	assert_int_equal(desk_counts(&desk).waiting, 0);
	desk_put(&desk, (struct item){.id = "b"});
	assert_true(queue_done(desk.queue, desk_claim(&desk, 1, QUEUE_RUNNING), UPDATE_REJECTED,
	    "x", "", soon(60000), false, NULL));
	assert_int_equal(desk_counts(&desk).waiting, 0);
	desk_end(&desk);
}

static void test_doubt_outlives_replacement_and_restart(void **state)
{
	struct desk desk;
	int64_t until_ms = soon(60000);

	(void)state;
	for (int restart = 0; restart < 2; restart++) {
		desk_begin(&desk);
		desk_put(&desk, (struct item){.id = "a"});
		struct queue_entry *first = desk_claim(&desk, 1, QUEUE_RUNNING);
		desk_put(&desk, (struct item){.id = "b"}); /* comes while the first is out */
		assert_true(queue_later(desk.queue, first, 1, "timeout", "", until_ms, NULL));
		desk_expect(&desk, 0, "a", UPDATE_SUPERSEDED);
		if (restart)
			desk_again(&desk);
		desk_done(&desk, desk_claim(&desk, 1, QUEUE_RUNNING), 0);
		desk_expect(&desk, 1, "b", UPDATE_DELIVERED);
		desk_done(&desk, verify_at(&desk, until_ms), 0);
		assert_int_equal(desk_counts(&desk).waiting, 0);
		desk_end(&desk);
	}
}

static void test_a_newer_one_replaces_the_verify_and_leaves_its_own(void **state)
{
	struct desk desk;
	int64_t until_ms = soon(60000);

	(void)state;
	desk_begin(&desk);
	desk_put(&desk, (struct item){.id = "a"});
	desk_done(&desk, desk_claim(&desk, 1, QUEUE_RUNNING), until_ms);
	assert_int_equal(desk_counts(&desk).later, 1);
	desk_put(&desk, (struct item){.id = "b"});
	assert_int_equal(desk_counts(&desk).later, 0);
	assert_int_equal(desk.count, 1); /* no result for the VERIFY */
	desk_done(&desk, desk_claim(&desk, 1, QUEUE_RUNNING), 0);
	desk_expect(&desk, 1, "b", UPDATE_DELIVERED);
	/* While a newer one waits, none is needed: that one leaves it. */
	struct queue_entry *verify = verify_at(&desk, until_ms);
	desk_put(&desk, (struct item){.id = "c"});
	desk_done(&desk, verify, until_ms);
	assert_int_equal(desk_counts(&desk).waiting, 1);
	desk_done(&desk, desk_claim(&desk, 1, QUEUE_RUNNING), 0);
	desk_done(&desk, verify_at(&desk, until_ms), 0);
	assert_int_equal(desk_counts(&desk).waiting, 0);
	desk_end(&desk);
}

static void test_the_later_doubt_counts(void **state)
{
	struct desk desk;
	int64_t until_ms = soon(90000);

	(void)state;
	desk_begin(&desk);
	desk_put(&desk, (struct item){.id = "a"});
	for (int i = 0; i < 3; i++) {
		assert_true(queue_later(desk.queue, desk_claim(&desk, 1, QUEUE_RUNNING), 1, "cut",
		    "", until_ms - 10000 * i, NULL));
		assert_int_equal(desk_due(&desk, 1), 1);
	}
	desk_done(&desk, desk_claim(&desk, 1, QUEUE_RUNNING), until_ms - 50000);
	desk_done(&desk, verify_at(&desk, until_ms), 0);
	desk_end(&desk);
}

static void test_a_verify_pulled_forward_keeps_the_doubt(void **state)
{
	struct desk desk;
	int64_t until_ms = soon(60000);

	(void)state;
	desk_begin(&desk);
	desk_put(&desk, (struct item){.id = "a"});
	desk_done(&desk, desk_claim(&desk, 1, QUEUE_RUNNING), until_ms);
	assert_int_equal(queue_retry_all(desk.queue, false, NULL), 1);
	struct queue_entry *verify = desk_claim(&desk, 1, QUEUE_RUNNING);
	assert_int_equal(verify->kind, QUEUE_VERIFY);
	desk_done(&desk, verify, 0);
	desk_done(&desk, verify_at(&desk, until_ms), 0);
	assert_int_equal(desk_counts(&desk).waiting, 0);
	desk_end(&desk);
}

static void test_old_doubts_are_forgotten(void **state)
{
	struct desk desk;

	(void)state;
	desk_begin(&desk);
	for (unsigned i = 0; i < 10; i++) {
		desk_put(&desk, (struct item){.id = "", .commit = i});
		assert_true(queue_done(desk.queue, desk_claim(&desk, 1, QUEUE_RUNNING),
		    UPDATE_EXPIRED, "", "", soon(60000), false, NULL));
	}
	uint64_t rows = db_count(desk.store.db, DB_TARGET);
	queue_trim(desk.queue, clock_wall_ms(), 100);
	assert_int_equal(db_count(desk.store.db, DB_TARGET), rows);
	assert_int_equal(queue_trim(desk.queue, soon(61000), 4), 4);
	assert_int_equal(queue_trim(desk.queue, soon(61000), 100), 6);
	assert_int_equal(db_count(desk.store.db, DB_TARGET), rows - 10);
	desk_end(&desk);
}

/* ---- ghosts: what waited at a start may have been under way ---- */

static void restart_with_ghosts(struct desk *desk)
{
	desk->options.ghost_ms = 60000;
	desk_again(desk);
}

static void test_what_waited_at_start_is_verified(void **state)
{
	struct desk desk;
	int64_t before_ms = soon(60000);

	(void)state;
	desk_begin(&desk);
	desk_put(&desk, (struct item){.id = "a"});
	desk_claim(&desk, 1, QUEUE_RUNNING); /* and it crashes */
	restart_with_ghosts(&desk);
	assert_int_equal(desk_counts(&desk).claimed, 0);
	/* What came after the start has no ghost. */
	desk_put(&desk, (struct item){.id = "new", .commit = 1});
	desk_done(&desk, desk_claim(&desk, 1, QUEUE_RUNNING), 0);
	assert_int_equal(desk_counts(&desk).waiting, 1);
	desk_done(&desk, desk_claim(&desk, 1, QUEUE_RUNNING), 0);
	desk_expect(&desk, 1, "a", UPDATE_DELIVERED);
	int64_t due_ms = queue_next_due(desk.queue);
	assert_true(due_ms >= before_ms && due_ms <= soon(60000));
	desk_done(&desk, verify_at(&desk, due_ms), 0);
	assert_int_equal(desk_counts(&desk).waiting, 0);
	desk_end(&desk);
}

static void test_a_ghost_that_is_replaced_leaves_its_doubt(void **state)
{
	struct desk desk;

	(void)state;
	desk_begin(&desk);
	desk_put(&desk, (struct item){.id = "a"});
	restart_with_ghosts(&desk);
	desk_put(&desk, (struct item){.id = "b"});
	desk_expect(&desk, 0, "a", UPDATE_SUPERSEDED);
	desk_done(&desk, desk_claim(&desk, 1, QUEUE_RUNNING), 0);
	assert_int_equal(desk_counts(&desk).later, 1);
	desk_end(&desk);
}

static void test_two_of_a_target_after_a_crash(void **state)
{
	struct desk desk;

	(void)state;
	for (int oldest = 0; oldest < 2; oldest++) {
		desk_begin(&desk);
		desk_put(&desk, (struct item){.id = "a"});
		desk_claim(&desk, 1, QUEUE_RUNNING);
		desk_put(&desk, (struct item){.id = "b"}); /* waits beside it, and we crash */
		restart_with_ghosts(&desk);
		assert_int_equal(desk_counts(&desk).waiting, 2);
		struct queue_entry *entry = NULL, *second = NULL;
		assert_true(queue_claim(desk.queue, 1, QUEUE_RUNNING, oldest, &entry));
		assert_string_equal(entry->id, "b"); /* the older one never after the newer */
		desk_done(&desk, entry, 0);
		assert_false(queue_claim(desk.queue, 1, QUEUE_RUNNING, oldest, &second));
		assert_int_equal(desk.count, 2);
		desk_expect(&desk, oldest ? 0 : 1, "a", UPDATE_SUPERSEDED);
		assert_int_equal(desk_counts(&desk).waiting, 1); /* the VERIFY */
		desk_end(&desk);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_delivery_in_doubt_leaves_a_verify),
	    cmocka_unit_test(test_a_certain_delivery_leaves_nothing),
	    cmocka_unit_test(test_doubt_outlives_replacement_and_restart),
	    cmocka_unit_test(test_a_newer_one_replaces_the_verify_and_leaves_its_own),
	    cmocka_unit_test(test_the_later_doubt_counts),
	    cmocka_unit_test(test_a_verify_pulled_forward_keeps_the_doubt),
	    cmocka_unit_test(test_old_doubts_are_forgotten),
	    cmocka_unit_test(test_what_waited_at_start_is_verified),
	    cmocka_unit_test(test_a_ghost_that_is_replaced_leaves_its_doubt),
	    cmocka_unit_test(test_two_of_a_target_after_a_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
