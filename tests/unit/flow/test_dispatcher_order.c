/* One request in flight a target, newest wins, and what follows an uncertain outcome. */
#include "unit/flow/flow_test.h"

static struct flow flow;
static uint32_t server, repo;

static int set_up(void **state)
{
	(void)state;
	flow_begin(&flow);
	server = flow_server(&flow, "http://one.example.com");
	repo = flow_repo(&flow, server, "web", "token-1");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	flow_end(&flow);
	return 0;
}

static void put(const char *key, enum update_state state, const char *id, int64_t sequence)
{
	flow_put(&flow, repo, COMMIT_A, key, state, id, sequence);
}

static void expect_set(unsigned index, const char *key, enum update_state state)
{
	assert_true(index < fake.count);
	assert_int_equal(fake.list[index].kind, FAKE_SET);
	assert_string_equal(fake.list[index].key, key);
	assert_int_equal(fake.list[index].state, state);
}

static void test_delivered(void **state)
{
	(void)state;
	put("k", UPDATE_SUCCESSFUL, "id-1", 1);
	flow_asked(&flow, 1);
	assert_string_equal(fake.list[0].host, "one.example.com");
	assert_string_equal(fake.list[0].repo, "PRJ/web");
	assert_string_equal(fake.list[0].token, "token-1");
	assert_string_equal(fake.list[0].commit, COMMIT_A);
	expect_set(0, "k", UPDATE_SUCCESSFUL);
	fake_ok(0);
	flow_waiting(&flow, 0);
	assert_int_equal(flow_outcome(&flow, "id-1"), UPDATE_DELIVERED);
	assert_int_equal(dispatcher_in_flight(flow.dispatcher), 0);
}

static void test_one_in_flight_and_newer_replaces_waiting(void **state)
{
	(void)state;
	put("k", UPDATE_INPROGRESS, "id-1", 1);
	flow_asked(&flow, 1);
	put("k", UPDATE_FAILED, "id-2", 2);
	put("k", UPDATE_SUCCESSFUL, "id-3", 3);
	flow_asked(&flow, 1);
	assert_int_equal(flow_outcome(&flow, "id-2"), UPDATE_SUPERSEDED);
	fake_ok(0);
	flow_asked(&flow, 2);
	expect_set(1, "k", UPDATE_SUCCESSFUL);
	fake_ok(1);
	flow_waiting(&flow, 0);
	assert_int_equal(flow_outcome(&flow, "id-1"), UPDATE_DELIVERED);
	assert_int_equal(flow_outcome(&flow, "id-3"), UPDATE_DELIVERED);
}

static void test_running_never_after_finished(void **state)
{
	(void)state;
	put("k", UPDATE_SUCCESSFUL, "id-2", 2);
	put("k", UPDATE_INPROGRESS, "id-1", 1); /* came later, is older */
	assert_int_equal(flow_outcome(&flow, "id-1"), UPDATE_SUPERSEDED);
	flow_asked(&flow, 1);
	expect_set(0, "k", UPDATE_SUCCESSFUL);
	fake_ok(0);
	flow_waiting(&flow, 0);
	put("k", UPDATE_INPROGRESS, "id-0", 0);
	flow_asked(&flow, 2); /* without a sequence: a new run */
}

/* The one in flight fails while a newer waits: it must not come back after the newer. */
static void test_failed_one_never_returns_behind_the_newer(void **state)
{
	(void)state;
	put("k", UPDATE_INPROGRESS, "id-1", 1);
	flow_asked(&flow, 1);
	put("k", UPDATE_SUCCESSFUL, "id-2", 2);
	fake_fail(0, BROKEN);
	flow_asked(&flow, 2);
	expect_set(1, "k", UPDATE_SUCCESSFUL);
	assert_int_equal(flow_outcome(&flow, "id-1"), UPDATE_SUPERSEDED);
	fake_ok(1);
	flow_waiting(&flow, 0);
	flow_hurry(&flow);
	flow_asked(&flow, 2);
}

static void test_other_keys_never_wait(void **state)
{
	(void)state;
	put("k", UPDATE_INPROGRESS, "id-1", 1);
	put("k", UPDATE_SUCCESSFUL, "id-2", 2);
	put("other", UPDATE_INPROGRESS, "id-3", 3);
	flow_put(&flow, repo, COMMIT_B, "k", UPDATE_INPROGRESS, "id-4", 4);
	flow_asked(&flow, 3);
	expect_set(1, "other", UPDATE_INPROGRESS);
	assert_string_equal(fake.list[2].commit, COMMIT_B);
	/* What was passed over is taken up however the one in flight ends. */
	fake_ok(1);
	fake_ok(2);
	flow_asked(&flow, 3);
	fake_fail(0, BAD);
	flow_asked(&flow, 4);
	expect_set(3, "k", UPDATE_SUCCESSFUL);
}

static uint64_t cut_at_ms;

/* A request is cut, then the newer one is delivered at once. */
static void deliver_after_a_cut(void)
{
	put("k", UPDATE_INPROGRESS, "id-1", 1);
	flow_asked(&flow, 1);
	put("k", UPDATE_SUCCESSFUL, "id-2", 2);
	cut_at_ms = fake.list[0].at_ms;
	fake_fail(0, CUT);
	dispatcher_server_changed(flow.dispatcher, server); /* ends the pause */
	flow_asked(&flow, 2);
	expect_set(1, "k", UPDATE_SUCCESSFUL);
	fake_ok(1);
	flow_until(&flow, flow_is_idle, 1, "the read-back waits");
	assert_int_equal(flow_outcome(&flow, "id-2"), UPDATE_DELIVERED);
}

static void expect_read_back(unsigned index)
{
	flow_asked(&flow, index + 1);
	assert_int_equal(fake.list[index].kind, FAKE_GET);
	assert_string_equal(fake.list[index].key, "k");
	assert_string_equal(fake.list[index].commit, COMMIT_A);
}

static void test_read_back_after_the_deadline(void **state)
{
	(void)state;
	deliver_after_a_cut();
	expect_read_back(2);
	assert_true(fake.list[2].at_ms >= cut_at_ms + FLOW_DEADLINE_MS);
	fake_read(2, UPDATE_SUCCESSFUL);
	flow_waiting(&flow, 0);
	flow_asked(&flow, 3);
}

static void test_sent_again_when_it_differs(void **state)
{
	(void)state;
	deliver_after_a_cut();
	expect_read_back(2);
	fake_read(2, UPDATE_INPROGRESS); /* the lost one landed late */
	flow_asked(&flow, 4);
	expect_set(3, "k", UPDATE_SUCCESSFUL);
	fake_ok(3);
	flow_waiting(&flow, 0);
	flow_asked(&flow, 4);
}

static void test_a_read_back_that_fails_is_made_again(void **state)
{
	(void)state;
	deliver_after_a_cut();
	expect_read_back(2);
	fake_fail(2, BROKEN);
	flow_waiting(&flow, 1);
	flow_hurry(&flow);
	expect_read_back(3);
	fake_read(3, UPDATE_SUCCESSFUL);
	flow_waiting(&flow, 1); /* it was hurried, so it is not the last word */
}

/* The newer one's outcome is uncertain as well, and that of the setting again after the read-back.
 */
static void test_every_uncertain_outcome_is_followed_by_a_read_back(void **state)
{
	(void)state;
	put("k", UPDATE_INPROGRESS, "id-1", 1);
	flow_asked(&flow, 1);
	put("k", UPDATE_SUCCESSFUL, "id-2", 2);
	fake_fail(0, CUT);
	dispatcher_server_changed(flow.dispatcher, server);
	flow_asked(&flow, 2);
	fake_fail(1, CUT);
	dispatcher_server_changed(flow.dispatcher, server);
	flow_waiting(&flow, 1);
	flow_hurry(&flow);
	flow_asked(&flow, 3);
	expect_set(2, "k", UPDATE_SUCCESSFUL);
	fake_ok(2);
	expect_read_back(3);
	assert_true(fake.list[3].at_ms >= fake.list[1].at_ms + FLOW_DEADLINE_MS);
	fake_read(3, UPDATE_INPROGRESS);
	flow_asked(&flow, 5);
	expect_set(4, "k", UPDATE_SUCCESSFUL);
	fake_fail(4, CUT);
	dispatcher_server_changed(flow.dispatcher, server);
	flow_waiting(&flow, 1);
	flow_hurry(&flow);
	expect_read_back(5);
	fake_read(5, UPDATE_SUCCESSFUL);
	expect_read_back(6); /* read too early to be the last word */
	assert_true(fake.list[6].at_ms >= fake.list[4].at_ms + FLOW_DEADLINE_MS);
	fake_read(6, UPDATE_SUCCESSFUL);
	flow_waiting(&flow, 0);
}

/* The one whose outcome is uncertain has no newer one: it is sent again, which cannot be wrong, and
 * read back. */
static void test_uncertain_without_a_newer_one(void **state)
{
	(void)state;
	put("k", UPDATE_SUCCESSFUL, "id-1", 1);
	flow_asked(&flow, 1);
	fake_fail(0, CUT);
	dispatcher_server_changed(flow.dispatcher, server);
	flow_hurry(&flow);
	flow_asked(&flow, 2);
	expect_set(1, "k", UPDATE_SUCCESSFUL);
	fake_ok(1);
	expect_read_back(2);
	fake_read(2, UPDATE_SUCCESSFUL);
	flow_waiting(&flow, 0);
	assert_int_equal(flow_outcome(&flow, "id-1"), UPDATE_DELIVERED);
}

static void test_a_newer_one_takes_over_from_a_read_back(void **state)
{
	(void)state;
	deliver_after_a_cut();
	put("k", UPDATE_FAILED, "id-3", 3);
	flow_asked(&flow, 3);
	expect_set(2, "k", UPDATE_FAILED);
	fake_ok(2);
	expect_read_back(3);
	fake_read(3, UPDATE_FAILED);
	flow_waiting(&flow, 0);
}

static void test_crash_loses_nothing(void **state)
{
	(void)state;
	put("k", UPDATE_INPROGRESS, "id-1", 1);
	flow_asked(&flow, 1);
	put("k", UPDATE_SUCCESSFUL, "id-2", 2);
	put("other", UPDATE_FAILED, "id-3", 3);
	flow_asked(&flow, 2);
	flow_close_dispatcher(&flow);
	queue_close(flow.queue);
	flow_open_queue(&flow);
	flow_open_dispatcher(&flow);
	dispatcher_start(flow.dispatcher);
	flow_asked(&flow, 4);
	fake.open = 0;
	for (unsigned i = 2; i < 4; i++) {
		assert_string_equal(
		    fake.list[i].key, fake.list[i].state == UPDATE_FAILED ? "other" : "k");
		assert_int_not_equal(fake.list[i].state, UPDATE_INPROGRESS);
		fake_ok(i);
	}
	/* What was under way in the crash may land late: both are read back. */
	flow_asked(&flow, 6);
	for (unsigned i = 4; i < 6; i++) {
		assert_int_equal(fake.list[i].kind, FAKE_GET);
		fake_read(
		    i, strcmp(fake.list[i].key, "k") == 0 ? UPDATE_SUCCESSFUL : UPDATE_FAILED);
	}
	flow_waiting(&flow, 0);
	assert_int_equal(flow_outcome(&flow, "id-1"), UPDATE_SUPERSEDED);
	assert_int_equal(flow_outcome(&flow, "id-2"), UPDATE_DELIVERED);
	assert_int_equal(flow_outcome(&flow, "id-3"), UPDATE_DELIVERED);
}

/* The outcome could not be stored: the update waits as before and goes out again, but not at once.
 */
static void test_lost_outcome_is_sent_again_but_not_at_once(void **state)
{
	(void)state;
	put("k", UPDATE_SUCCESSFUL, "id-1", 1);
	flow_asked(&flow, 1);
	flow.lose_commit = true;
	fake_ok(0);
	flow_for(&flow, 300);
	assert_false(flow.lose_commit);
	assert_int_equal(fake.count, 1);
	assert_int_equal(flow_outcome(&flow, "id-1"), -1);
	flow_asked(&flow, 2);
	expect_set(1, "k", UPDATE_SUCCESSFUL);
	flow.lose_result = true; /* the write itself fails, not the commit */
	fake_ok(1);
	flow_for(&flow, 300);
	assert_false(flow.lose_result);
	assert_int_equal(fake.count, 2);
	flow_asked(&flow, 3);
	fake_ok(2);
	flow_waiting(&flow, 0);
	assert_int_equal(flow_outcome(&flow, "id-1"), UPDATE_DELIVERED);
}

static bool idle_called;
static void on_idle(void *arg)
{
	(void)arg;
	idle_called = true;
}

static void test_stop_finishes_what_is_under_way(void **state)
{
	(void)state;
	idle_called = false;
	put("k", UPDATE_INPROGRESS, "id-1", 1);
	flow_asked(&flow, 1);
	put("k", UPDATE_SUCCESSFUL, "id-2", 2);
	dispatcher_stop(flow.dispatcher, on_idle, NULL);
	flow_asked(&flow, 1);
	assert_false(idle_called);
	fake_ok(0);
	flow_asked(&flow, 1);
	assert_true(idle_called);
	assert_int_equal(flow_outcome(&flow, "id-1"), UPDATE_DELIVERED);
	idle_called = false;
	dispatcher_stop(flow.dispatcher, on_idle, NULL);
	store_turn(&flow.store, 1);
	assert_true(idle_called);
}

/* Ended with writes in the open group and a request under way: nobody is called any more. */
static void test_free_with_everything_open(void **state)
{
	(void)state;
	put("k", UPDATE_INPROGRESS, "id-1", 1);
	put("other", UPDATE_INPROGRESS, "id-2", 2);
	flow_asked(&flow, 2);
	fake_ok(0);
	fake_fail(1, CUT);
	flow_put_quietly(&flow, repo, COMMIT_B, "k", UPDATE_FAILED, "id-3", 3);
	dispatcher_wake(flow.dispatcher, repo);
	flow_close_dispatcher(&flow);
	assert_int_equal(
	    flow_put_quietly(&flow, repo, COMMIT_B, "z", UPDATE_FAILED, "id-4", 4), QUEUE_PUT_NEW);
	flow_lose(&flow);
	store_turn(&flow.store, 1);
	flow_open_dispatcher(&flow);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_delivered),
	    TEST(test_one_in_flight_and_newer_replaces_waiting),
	    TEST(test_running_never_after_finished),
	    TEST(test_failed_one_never_returns_behind_the_newer),
	    TEST(test_other_keys_never_wait),
	    TEST(test_read_back_after_the_deadline),
	    TEST(test_sent_again_when_it_differs),
	    TEST(test_a_read_back_that_fails_is_made_again),
	    TEST(test_every_uncertain_outcome_is_followed_by_a_read_back),
	    TEST(test_uncertain_without_a_newer_one),
	    TEST(test_a_newer_one_takes_over_from_a_read_back),
	    TEST(test_crash_loses_nothing),
	    TEST(test_lost_outcome_is_sent_again_but_not_at_once),
	    TEST(test_stop_finishes_what_is_under_way),
	    TEST(test_free_with_everything_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
