/* The forwarder: order, turns, what is sent, the store, beginning and end. */
#include "unit/flow/forwarder_test.h"

/* ---- the order ---- */

static void test_one_of_a_lane_at_once_in_order(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 3; n++)
		for (unsigned i = 0; i < 2; i++)
			put(lanes[i], n);
	arrived(2); /* one of each, and no more before they are answered */
	assert_int_equal(forwarder_in_flight(forwarder), 2);
	was_sent(0, lanes[0], 1);
	was_sent(1, lanes[1], 1);
	answer(1, 200);
	arrived(3);
	was_sent(2, lanes[1], 2);
	answer(2, 200);
	arrived(4);
	was_sent(3, lanes[1], 3);
	at_once = take_all;
	answer(0, 204);
	arrived(6);
	was_sent(5, lanes[0], 3);
	answer(3, 200);
	waiting(0);
	lane_order(lanes[0], "1 2 3");
	assert_int_equal(counts().dead, 0);
	assert_false(health().failing);
	assert_true(health().contacted && health().last_ok_ms != 0);
}

static void test_what_is_sent(void **state)
{
	char key[64], event[64];

	(void)state;
	at_once = take_all;
	put(lanes[0], 1);
	waiting(0);
	assert_string_equal(peer.asked[0].method, "POST");
	assert_string_equal(peer.asked[0].uri, "/bitbucket?orgId=org%201&serverId=git.example.com");
	peer_header(&peer.asked[0], "X-Eyes-Api-Key", key, sizeof(key));
	peer_header(&peer.asked[0], "X-Event-Key", event, sizeof(event));
	assert_string_equal(key, KEY);
	assert_string_equal(event, "repo:refs_changed");
}

static void test_no_more_than_the_connections(void **state)
{
	(void)state;
	forwarder_free(forwarder);
	open_forwarder(2);
	for (unsigned i = 0; i < 6; i++)
		put(lanes[i], 1);
	arrived(2);
	answer(0, 200);
	arrived(3);
	assert_int_equal(open_count, 2);
}

static void test_lanes_take_turns(void **state)
{
	(void)state;
	forwarder_free(forwarder);
	open_forwarder(1);
	for (unsigned n = 1; n <= 3; n++)
		put_quietly(lanes[0], n);
	put_quietly(lanes[1], 1);
	put_quietly(EVENTS_GITHUB, 1);
	at_once = take_all;
	forwarder_start(forwarder);
	waiting(0);
	lane_order(lanes[0], "1 2 3");
	was_sent(sent_count - 1, lanes[0], 3);
	was_sent(sent_count - 2, lanes[0], 2); /* the other two went before */
}

static void test_nothing_before_it_is_on_disk(void **state)
{
	(void)state;
	put_with(lanes[0], 1, "");
	forwarder_wake(forwarder, lanes[0]);
	assert_int_equal(forwarder_in_flight(forwarder), 0);
	arrived(1); /* by itself, after the commit */
	answer(0, 200);
	put_with(lanes[0], 2, "");
	forwarder_wake(forwarder, lanes[0]);
	flow_lose(&flow);
	flow_for(&flow, 1200);
	assert_int_equal(sent_count, 1);
}

/* ---- troubles ---- */

static void test_a_failing_road_pauses_and_is_probed(void **state)
{
	struct event_entry entry;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		put(lanes[i], 1);
	arrived(3);
	answer(0, 503);
	flow_until(&flow, is_failing, 1, "failing");
	assert_in_range(pause_ms(), 300, 1000);
	answer(1, 503); /* was under way: counts no more */
	answer(2, 502);
	flow_for(&flow, QUIET_MS);
	assert_int_equal(sent_count, 3);
	assert_in_range(pause_ms(), 1, 1000);
	put(lanes[3], 1); /* no reason to hurry */
	flow_for(&flow, 20);
	assert_int_equal(sent_count, 3);
	arrived(4); /* one probe alone */
	assert_int_equal(open_count, 1);
	assert_string_equal(health().err->code, "eyes_5xx");
	answer(3, 503);
	flow_for(&flow, 20);
	assert_in_range(pause_ms(), 900, 2000); /* longer */
	assert_true(events_first(events, sent[3].lane, &entry));
	assert_int_equal(entry.attempts, 2 - (sent[3].lane == lanes[3]));
	assert_string_equal(entry.code, "eyes_5xx");
	at_once = take_all;
	forwarder_kick(forwarder);
	waiting(0);
	assert_false(health().failing);
	assert_null(health().err);
	assert_int_equal(sent_count, 8);
}

static void test_retry_after(void **state)
{
	(void)state;
	put(lanes[0], 1);
	arrived(1);
	answer_with(0, 503, "Retry-After", "30");
	flow_until(&flow, is_failing, 1, "failing");
	assert_in_range(pause_ms(), 28000, 30000);
}

static void test_blocked_until_an_administrator_acts(void **state)
{
	(void)state;
	put(lanes[0], 1);
	put(lanes[1], 1);
	arrived(2);
	answer(0, 404);
	flow_until(&flow, is_failing, 1, "failing");
	assert_true(health().blocked);
	assert_string_equal(health().err->code, "event_address");
	assert_non_null(strstr(health().err->hint, "EYES_WEBHOOK_URL"));
	assert_in_range(pause_ms(), 28000, 60000);
	at_once = take_all;
	answer(1, 404);
	forwarder_kick(forwarder);
	waiting(0);
	assert_false(health().blocked);
	lane_order(lanes[0], "1 1");
}

static void test_refused_for_good_goes_aside(void **state)
{
	(void)state;
	put(lanes[0], 1);
	put(lanes[0], 2);
	arrived(1);
	answer(0, 422);
	arrived(2);
	was_sent(1, lanes[0], 2);
	assert_int_equal(counts().dead, 1);
	assert_false(health().failing);
	answer(1, 200);
	waiting(0);
}

static int refuse_lane_0(uint32_t lane, unsigned n)
{
	(void)n;
	return lane == lanes[0] ? 500 : 200;
}

static bool is_held(struct flow *f, unsigned held)
{
	(void)f;
	return health().held == held;
}

/* One event that always fails does not stop the others, and its lane keeps its order. */
static void test_an_event_that_always_fails(void **state)
{
	(void)state;
	at_once = refuse_lane_0;
	put(lanes[0], 1);
	put(lanes[0], 2);
	flow_until(&flow, is_failing, 1, "failing");
	put(lanes[1], 1);
	forwarder_kick(forwarder); /* lane 0 is the probe, then lane 1 */
	forwarder_kick(forwarder);
	flow_until(&flow, is_held, 1, "held lane");
	for (unsigned n = 2; n <= 20; n++)
		put(lanes[1], n);
	flow_for(&flow, QUIET_MS);
	assert_false(health().failing);
	assert_int_equal(events_count_lane(events, lanes[1], 100), 0);
	assert_int_equal(events_count_lane(events, lanes[0], 100), 2);
	assert_string_equal(health().held_err->code, "eyes_5xx");
	at_once = take_all;
	forwarder_kick(forwarder);
	assert_int_equal(forwarder_in_flight(forwarder), 1); /* its time has not come yet */
	waiting(0);
	assert_int_equal(health().held, 0);
	was_sent(sent_count - 1, lanes[0], 2);
	was_sent(sent_count - 2, lanes[0], 1);
}

static void test_no_key(void **state)
{
	struct secret key = {.data = (char *)(uintptr_t)KEY, .length = strlen(KEY)};

	(void)state;
	eyes_set_key(peer.eyes, NULL);
	put(lanes[0], 1);
	flow_for(&flow, QUIET_MS);
	assert_int_equal(sent_count, 0);
	assert_string_equal(health().unready, "account_missing");
	eyes_set_key(peer.eyes, &key);
	at_once = take_all;
	forwarder_kick(forwarder);
	waiting(0);
	assert_null(health().unready);
}

static int no_github(uint32_t lane, unsigned n)
{
	(void)n;
	return lane == EVENTS_GITHUB ? 404 : 200;
}

static void test_github(void **state)
{
	(void)state;
	at_once = take_all;
	put_with(
	    EVENTS_GITHUB, 1, "X-GitHub-Event: push\nx-github-enterprise-host: ghe.example.com\n");
	put_with(EVENTS_GITHUB, 2, "X-GitHub-Event: push\n");
	store_commit(&flow.store);
	forwarder_wake(forwarder, EVENTS_GITHUB);
	waiting(0);
	assert_string_equal(peer.asked[0].uri, "/github?orgId=org%201&serverId=ghe.example.com");
	assert_string_equal(peer.asked[1].uri, "/github?orgId=org%201&serverId=github.com");
	at_once = no_github;
	put(EVENTS_GITHUB, 3);
	flow_until(&flow, is_failing, 1, "failing");
	put(lanes[0], 1); /* another address: it goes */
	waiting(1);
	lane_order(lanes[0], "1");
	assert_true(health().blocked);
}

/* ---- whose repository is not there any more ---- */

static void test_disabled_and_removed(void **state)
{
	struct record_repo record;
	uint32_t other = flow_server(&flow, "https://other.example.com");
	uint32_t lane = flow_repo(&flow, other, "gone", "token");

	(void)state;
	assert_true(records_repo(flow.records, lanes[0], &record));
	record.state = REPO_DISABLED;
	assert_true(records_put_repo(flow.records, &record, NULL, &flow.store.err));
	assert_true(records_repo(flow.records, lane, &record));
	record.state = REPO_DISABLED;
	assert_true(records_put_repo(flow.records, &record, NULL, &flow.store.err));
	put_quietly(lanes[0], 1);
	put_quietly(lane, 1);
	put_quietly(lane, 2);
	assert_true(records_remove_server(flow.records, other, &flow.store.err));
	store_commit(&flow.store);
	at_once = take_all;
	forwarder_start(forwarder);
	waiting(0);
	lane_order(lanes[0], "1");
	lane_order(lane, "");
	assert_int_equal(counts().dead, 2);
}

/* ---- the store ---- */

/* What Eyes took in a group that is lost is sent again, before what comes behind it. */
static void test_lost_group(void **state)
{
	(void)state;
	put(lanes[0], 1);
	put(lanes[0], 2);
	arrived(1);
	answer(0, 200);
	flow.lose_commit = true;
	arrived(2); /* 2 is under way, and that 1 was taken is not on disk */
	flow_until(&flow, has_sent, 2, "event");
	while (flow.lose_commit)
		store_turn(&flow.store, 1);
	at_once = take_all;
	answer(1, 200);
	waiting(0);
	lane_order(lanes[0], "1 2 1 2");
	flow_for(&flow, 20);
	assert_int_equal(sent_count, 4);
}

static bool has_in_flight(struct flow *f, unsigned count)
{
	(void)f;
	return forwarder_in_flight(forwarder) == count;
}

static void on_idle(void *arg)
{
	(void)arg;
	idle_calls++;
}

static void test_stop_and_start_again(void **state)
{
	(void)state;
	put(lanes[0], 1);
	put(lanes[0], 2);
	put(lanes[1], 1);
	arrived(2);
	answer(1, 200);
	flow_until(&flow, has_in_flight, 1, "under way");
	forwarder_stop(forwarder, on_idle, NULL);
	put(lanes[2], 1);
	forwarder_kick(forwarder);
	flow_for(&flow, 20);
	assert_int_equal(idle_calls, 0);
	answer(0, 200);
	flow_for(&flow, 50);
	assert_int_equal(idle_calls, 1);
	assert_int_equal(sent_count, 2);
	assert_int_equal(counts().waiting, 2);
	forwarder_free(forwarder);
	open_forwarder(4);
	at_once = take_all;
	forwarder_start(forwarder);
	waiting(0);
	lane_order(lanes[0], "1 2");
}

/* Nothing under way: told at the end of the turn. */
static void test_stop_when_idle(void **state)
{
	(void)state;
	forwarder_stop(forwarder, on_idle, NULL);
	assert_int_equal(idle_calls, 0);
	store_turn(&flow.store, 1);
	assert_int_equal(idle_calls, 1);
}

static void test_freed_meanwhile(void **state)
{
	uint64_t number = put(lanes[0], 1);

	(void)state;
	put_with(lanes[1], 1, "");
	forwarder_wake(forwarder, lanes[1]); /* waits for a commit */
	arrived(2);
	assert_true(forwarder_is_sending(forwarder, number));
	assert_false(forwarder_is_sending(forwarder, number + 100));
	put_with(lanes[2], 1, "");
	forwarder_wake(forwarder, lanes[2]);
	forwarder_free(forwarder); /* one waits for a commit, two are under way */
	forwarder = NULL;
	flow_for(&flow, 20);
	assert_int_equal(counts().waiting, 3);
}

/* A person drops the one that is under way only by mistake; one behind it may go. */
static void test_dropped_meanwhile(void **state)
{
	(void)state;
	put(lanes[0], 1);
	uint64_t second = put(lanes[0], 2);
	put(lanes[0], 3);
	arrived(1);
	assert_true(events_drop(events, second, 0, &flow.store.err));
	at_once = take_all;
	answer(0, 200);
	waiting(0);
	lane_order(lanes[0], "1 3");
}

static void on_expired(uint32_t lane, void *arg)
{
	(void)arg;
	forwarder_expired(forwarder, lane);
}

/* It is too old while it is under way, and is taken all the same. */
static void test_expired_meanwhile(void **state)
{
	(void)state;
	put(lanes[0], 1);
	arrived(1);
	assert_int_equal(
	    events_expire(events, clock_wall_ms() + 7200 * 1000, 10, on_expired, NULL), 1);
	assert_int_equal(counts().dead, 1);
	answer(0, 200);
	waiting(0);
	assert_int_equal(counts().dead, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name_) cmocka_unit_test_setup_teardown(name_, set_up, tear_down)
	    TEST(test_one_of_a_lane_at_once_in_order),
	    TEST(test_what_is_sent),
	    TEST(test_no_more_than_the_connections),
	    TEST(test_lanes_take_turns),
	    TEST(test_nothing_before_it_is_on_disk),
	    TEST(test_a_failing_road_pauses_and_is_probed),
	    TEST(test_retry_after),
	    TEST(test_blocked_until_an_administrator_acts),
	    TEST(test_refused_for_good_goes_aside),
	    TEST(test_an_event_that_always_fails),
	    TEST(test_no_key),
	    TEST(test_github),
	    TEST(test_disabled_and_removed),
	    TEST(test_lost_group),
	    TEST(test_stop_and_start_again),
	    TEST(test_stop_when_idle),
	    TEST(test_freed_meanwhile),
	    TEST(test_dropped_meanwhile),
	    TEST(test_expired_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
