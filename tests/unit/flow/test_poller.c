/* The Eyes end of the status road against a source that says what the test wants. */
#include "unit/flow/poller_test.h"

/* ---- acknowledging ---- */

static void test_accepted_after_the_commit(void **state)
{
	uint64_t before = db_commits(flow.store.db);

	(void)state;
	answer_one("1");
	assert_int_equal(source.posts, 0);
	acknowledging(1);
	assert_int_equal(source.acked, 1);
	assert_string_equal(source.acks[0], "1");
	assert_true(source.commits_at_ack > before);
	assert_int_equal(woken, 1);
	assert_null(source.fn); /* one thing at a time */
	ack_answer(204);
	polled(2);
}

static void test_nothing_accepted_when_the_commit_fails(void **state)
{
	(void)state;
	flow.lose_commit = true;
	answer_one("1");
	flow_for(&flow, 30);
	assert_false(flow.lose_commit);
	assert_int_equal(source.posts, 0);
	assert_int_equal(woken, 0);
	assert_in_range(wait_ms(), 4000, 5000);
	poller_kick(poller);
	polled(2);
	answer_one("1"); /* Eyes gives it again; it is new */
	acknowledging(1);
	assert_int_equal(source.acked, 1);
	assert_int_equal(woken, 1);
}

/* One item's write fails and takes those before it along: none of them is accepted. */
static void test_nothing_accepted_when_a_later_item_fails(void **state)
{
	struct eyes_item items[] = {command("1", OURS), command("2", OURS), command("3", OURS)};

	(void)state;
	items[2].repository = "unknown"; /* ends at once, and that cannot be written */
	flow.lose_result = true;
	answer_items(items, 3, false);
	flow_for(&flow, 30);
	assert_false(flow.lose_result);
	assert_int_equal(source.posts, 0);
	assert_int_equal(woken, 0);
	poller_kick(poller);
	polled(2);
	answer_items(items, 3, false);
	acknowledging(1);
	assert_int_equal(source.acked, 3);
}

static void test_foreign_is_never_accepted(void **state)
{
	static const struct err wrong = {.code = "json", .message = "wrong"};
	struct eyes_item items[] = {command("f1", "http://other.example.com"), command("1", OURS),
	    command("f2", "http://other.example.com")};

	(void)state;
	items[2].invalid = &wrong;
	answer_items(items, 3, false);
	acknowledging(1);
	assert_int_equal(source.acked, 1);
	assert_string_equal(source.acks[0], "1");
	ack_answer(204);
	polled(2);
	answer_items(&items[0], 1, false);
	flow_for(&flow, 20);
	assert_int_equal(source.posts, 1);
}

static void test_known_is_accepted_again(void **state)
{
	(void)state;
	answer_one("1");
	acknowledging(1);
	ack_answer(500);
	assert_in_range(wait_ms(), 400, 1000);
	poller_kick(poller);
	polled(2);
	answer_one("1");
	acknowledging(2);
	assert_int_equal(source.acked, 2);
	assert_int_equal(woken, 1);
}

/* Polls work and acknowledgements do not: that is a failure, ever more rarely tried. */
static void test_failing_acknowledgements_back_off(void **state)
{
	static const int64_t least[] = {480, 980};
	struct poller_health health;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		answer_one("1");
		acknowledging(1 + i);
		ack_answer(500);
		assert_in_range(wait_ms(), least[i], least[i] * 2 + 100);
		if (i == 0)
			polled(2);
	}
	poller_health(poller, &health);
	assert_non_null(health.err);
	poller_kick(poller);
	polled(3);
	answer_one("1");
	acknowledging(3);
	ack_answer(204);
	poller_health(poller, &health);
	assert_null(health.err);
}

/* ---- when the next poll is ---- */

static void test_known_only_backs_off(void **state)
{
	(void)state;
	answer_one("1");
	acknowledging(1);
	ack_answer(204);
	polled(2);
	answer_one("1");
	acknowledging(2);
	ack_answer(204);
	assert_in_range(wait_ms(), 450, 1000);
	polled(3);
	answer_one("1");
	acknowledging(3);
	ack_answer(204);
	assert_in_range(wait_ms(), 950, 2000);
}

static void test_quick_empty_answers_are_no_busy_loop(void **state)
{
	uint64_t until_ms = clock_monotonic_ms() + 400;

	(void)state;
	while (clock_monotonic_ms() < until_ms) {
		if (source.fn != NULL)
			answer_nothing();
		store_turn(&flow.store, 1);
	}
	assert_in_range(source.polls, 2, 3);
	assert_in_range(wait_ms(), INTERVAL_MS * 8 / 10, INTERVAL_MS * 11 / 10);
}

/* A held poll that ended empty is followed by the next at once; one that brought only what is not
 * ours is not. */
static void test_held_polls(void **state)
{
	struct eyes_item foreign = command("f", "http://other.example.com");

	(void)state;
	assert_false(source.wait); /* nobody knows yet that Eyes works */
	answer_nothing();
	polled(2);
	assert_true(source.wait);
	flow_for(&flow, 1010);
	answer_nothing();
	assert_true(wait_ms() <= 5);
	polled(3);
	flow_for(&flow, 1010);
	answer_items(&foreign, 1, false);
	store_turn(&flow.store, 1);
	assert_true(wait_ms() > 400);
}

static void test_401_slows_down(void **state)
{
	struct poller_health health;

	(void)state;
	answer_fault(401, false);
	assert_in_range(wait_ms(), 599000, 600000);
	poller_health(poller, &health);
	assert_true(health.refused);
	assert_true(account_refused());
	poller_kick(poller); /* a new key */
	polled(2);
	answer_nothing();
	poller_health(poller, &health);
	assert_false(health.refused);
	assert_false(account_refused());
}

/* The old key's refusal comes after the new key was set: it says nothing of the new one. */
static void test_a_late_refusal_of_the_old_key(void **state)
{
	(void)state;
	poller_kick(poller);
	answer_fault(401, false);
	assert_false(account_refused());
	assert_true(wait_ms() <= 5);
	polled(2);
}

static void test_failures_back_off(void **state)
{
	(void)state;
	answer_fault(500, false);
	assert_in_range(wait_ms(), 450, 1000);
}

static void test_full_stops_and_resumes(void **state)
{
	char ids[102][8];
	struct eyes_item items[102];
	struct poller_health health;
	struct queue_entry *entry;

	(void)state;
	for (unsigned i = 0; i < 102; i++) {
		snprintf(ids[i], sizeof(ids[i]), "%u", i);
		items[i] = command(ids[i], OURS);
	}
	answer_items(items, 102, false);
	acknowledging(1);
	assert_int_equal(source.acked, 100);
	ack_answer(204);
	poller_health(poller, &health);
	assert_true(health.full);
	assert_in_range(wait_ms(), 4900, 5000);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(queue_claim(flow.queue, web, QUEUE_FINAL, true, &entry));
		assert_true(queue_done(
		    flow.queue, entry, UPDATE_DELIVERED, "", "", 0, false, &flow.store.err));
	}
	poller_kick(poller);
	polled(2);
	answer_items(items, 102, false);
	acknowledging(2);
	assert_int_equal(source.acked, 202);
	ack_answer(204);
	poller_health(poller, &health);
	assert_false(health.full);
}

/* A full queue is not waited out, but neither asked for after each delivery. */
static void test_full_resumes_by_itself(void **state)
{
	char ids[101][8];
	struct eyes_item items[101];
	struct queue_entry *entry;

	(void)state;
	for (unsigned i = 0; i < 101; i++) {
		snprintf(ids[i], sizeof(ids[i]), "%u", i);
		items[i] = command(ids[i], OURS);
	}
	answer_items(items, 101, false);
	acknowledging(1);
	ack_answer(204);
	for (unsigned i = 0; i < 21; i++) {
		if (i == 20) {
			flow_for(&flow, 250);
			assert_int_equal(source.polls, 1);
		}
		assert_true(queue_claim(flow.queue, web, QUEUE_FINAL, true, &entry));
		assert_true(queue_done(
		    flow.queue, entry, UPDATE_DELIVERED, "", "", 0, false, &flow.store.err));
	}
	uint64_t start_ms = clock_monotonic_ms();
	polled(2);
	assert_true(clock_monotonic_ms() - start_ms < 1000);
}

/* ---- which source ---- */

/* Answers "no such feed" and waits for what comes of it. */
static void miss(unsigned polls)
{
	unsigned checks = peer.count;
	uint64_t until_ms = clock_monotonic_ms() + FLOW_WAIT_MS;
	struct poller_health health;

	answer_fault(404, true);
	do {
		store_turn(&flow.store, 1);
		poller_health(poller, &health);
		assert_true(clock_monotonic_ms() < until_ms);
	} while (health.state == POLLER_POLLING && source.fn == NULL);
	assert_int_equal(peer.count, checks + 1);
	poller_kick(poller);
	polled(polls);
}

static void test_batches_after_three_missing(void **state)
{
	(void)state;
	miss(2);
	miss(3);
	assert_string_equal(source.kind, "commands");
	miss(4);
	assert_string_equal(source.kind, "batches");
	assert_int_equal(source.created, 2);
}

static void test_commands_while_the_key_is_not_valid(void **state)
{
	(void)state;
	key_status = 401;
	for (unsigned i = 2; i < 7; i++)
		miss(i);
	assert_string_equal(source.kind, "commands");
	assert_true(account_refused());
	key_status = 503;
	for (unsigned i = 7; i < 11; i++)
		miss(i);
	assert_string_equal(source.kind, "commands");
}

static void test_an_answer_in_between_counts_anew(void **state)
{
	(void)state;
	miss(2);
	miss(3);
	answer_nothing();
	poller_kick(poller);
	polled(4);
	miss(5);
	miss(6);
	assert_string_equal(source.kind, "commands");
}

/* A kick while the key is checked must not begin a second poll beside the one that follows the
 * check. */
static void test_kicked_during_the_key_check(void **state)
{
	(void)state;
	answer_nothing();
	polled(2);
	assert_true(source.wait);
	answer_fault(404, true);
	poller_kick(poller);
	polled(3);
	flow_for(&flow, 1300);
	assert_int_equal(source.polls, 3);
}

static void test_a_kick_ends_a_held_poll(void **state)
{
	(void)state;
	answer_nothing();
	polled(2);
	assert_true(source.wait);
	flow_server(&flow, "http://two.example.com");
	poller_kick(poller);
	assert_int_equal(source.cancelled, 1);
	polled(3);
	assert_int_equal(source.hosts, 2);
}

/* ---- stopping ---- */

static void test_stopped_while_polling(void **state)
{
	(void)state;
	poller_stop(poller);
	if (source.fn != NULL)
		answer_one("1");
	flow_for(&flow, 30);
	assert_int_equal(source.posts, 0);
	assert_int_equal(source.polls, 1);
	assert_int_equal(woken, 0);
}

static void test_stopped_while_storing(void **state)
{
	(void)state;
	answer_one("1");
	poller_stop(poller);
	acknowledging(1); /* what is stored is said to be */
	ack_answer(204);
	flow_for(&flow, 30);
	assert_int_equal(source.polls, 1);
}

static void test_freed_while_storing(void **state)
{
	(void)state;
	answer_one("1");
	poller_free(poller);
	poller = NULL;
	flow_for(&flow, 20);
	assert_int_equal(source.posts, 0);
	open_poller(POLLER_COMMANDS);
}

/* ---- batches ---- */

static void test_batches_are_placed(void **state)
{
	struct eyes_item item = command("batch", NULL);

	(void)state;
	poller_free(poller);
	open_poller(POLLER_BATCHES);
	polled(2);
	item.hint = "PRJ/web/main";
	answer_items(&item, 1, true);
	flow_asked(&flow, 1);
	assert_int_equal(fake.list[0].kind, FAKE_HAS);
	assert_null(source.fn);
	fake_found(0, true);
	flow_until(&flow, is_polling, 3, "the listing goes on at once");
	assert_int_equal(woken, 1);
	assert_in_range(source.at_ms[2] - source.at_ms[1], 900, 2000);
	answer_nothing();
	assert_in_range(wait_ms(), INTERVAL_MS * 8 / 10, INTERVAL_MS * 11 / 10);
	assert_int_equal(source.posts, 0);
}

static void test_unready_until_there_is_a_server(void **state)
{
	struct poller_health health;

	(void)state;
	answer_nothing();
	flow_disable(&flow, web);
	assert_true(records_remove_server(flow.records, server, &flow.store.err));
	poller_kick(poller);
	flow_for(&flow, 20);
	poller_health(poller, &health);
	assert_int_equal(health.state, POLLER_UNREADY);
	assert_int_equal(source.polls, 1);
	flow_server(&flow, OURS);
	poller_kick(poller);
	polled(2);
}

/* Who waits for Eyes elsewhere is told, once for each time that it comes back. */
static void test_tells_that_eyes_works_again(void **state)
{
	(void)state;
	answer_nothing();
	assert_int_equal(works_again, 0); /* it never failed */
	for (unsigned i = 1; i <= 2; i++) {
		poller_kick(poller);
		polled(3 * i - 1);
		answer_fault(500, false);
		poller_kick(poller);
		polled(3 * i);
		assert_int_equal(works_again, i - 1);
		answer_nothing();
		assert_int_equal(works_again, i);
		poller_kick(poller);
		polled(3 * i + 1);
		answer_nothing();
		assert_int_equal(works_again, i);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_accepted_after_the_commit),
	    TEST(test_nothing_accepted_when_the_commit_fails),
	    TEST(test_nothing_accepted_when_a_later_item_fails),
	    TEST(test_foreign_is_never_accepted),
	    TEST(test_known_is_accepted_again),
	    TEST(test_failing_acknowledgements_back_off),
	    TEST(test_known_only_backs_off),
	    TEST(test_quick_empty_answers_are_no_busy_loop),
	    TEST(test_held_polls),
	    TEST(test_401_slows_down),
	    TEST(test_a_late_refusal_of_the_old_key),
	    TEST(test_failures_back_off),
	    TEST(test_full_stops_and_resumes),
	    TEST(test_full_resumes_by_itself),
	    TEST(test_batches_after_three_missing),
	    TEST(test_commands_while_the_key_is_not_valid),
	    TEST(test_an_answer_in_between_counts_anew),
	    TEST(test_kicked_during_the_key_check),
	    TEST(test_a_kick_ends_a_held_poll),
	    TEST(test_stopped_while_polling),
	    TEST(test_stopped_while_storing),
	    TEST(test_freed_while_storing),
	    TEST(test_batches_are_placed),
	    TEST(test_unready_until_there_is_a_server),
	    TEST(test_tells_that_eyes_works_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
