/* Items that name a commit only: which repositories are asked, what is remembered, and when an item
 * is done with. */
#include "unit/flow/flow_test.h"

#include "flow/placing.h"

static struct flow flow;
static struct places *places;
static struct locate *locate;
static struct placing *placing;
static struct intake intake;
static uint32_t server, web, app, other;
static unsigned handled, woken, placed_count, placed_calls;
static bool placed_full, placed_err;

static void wake(uint32_t repo, void *arg)
{
	(void)arg;
	woken++;
	dispatcher_wake(flow.dispatcher, repo);
}

static void source_handled(struct eyes_source *source, const struct eyes_item *item)
{
	(void)source;
	assert_string_equal(item->hint, "PRJ/web/main");
	handled++;
}

static const struct eyes_source_driver source_driver = {
    .name = "batches", .handled = source_handled};

static int set_up(void **state)
{
	(void)state;
	flow_begin(&flow);
	server = flow_server(&flow, "http://one.example.com");
	other = flow_repo(&flow, server, "other", "token-1");
	app = flow_repo(&flow, server, "app", "token-1");
	web = flow_repo(&flow, server, "web", "token-2");
	places = places_open(flow.store.db, 1000, &flow.store.err);
	locate = locate_new(&(struct locate_options){.loop = flow.store.loop,
	    .records = flow.records,
	    .servers = flow.servers,
	    .scm = flow.scm,
	    .places = places});
	intake_init(&intake, flow.records, flow.queue, places);
	placing = placing_new(&(struct placing_options){.loop = flow.store.loop,
	    .db = flow.store.db,
	    .intake = &intake,
	    .locate = locate,
	    .wake = wake});
	handled = woken = placed_calls = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	placing_free(placing);
	locate_free(locate);
	places_close(places);
	flow_end(&flow);
	return 0;
}

static void placed(unsigned count, bool full, const struct err *err, void *arg)
{
	(void)arg;
	placed_calls++;
	placed_count = count;
	placed_full = full;
	placed_err = err != NULL;
}

static bool is_placed(struct flow *f, unsigned calls)
{
	(void)f;
	return placed_calls == calls;
}

static void run(const char *commit, const char *id)
{
	struct eyes_item item = {
	    .id = id,
	    .hint = "PRJ/web/main",
	    .update = {.commit = commit,
	        .key = "tests/applitools",
	        .name = "",
	        .description = "1 passed",
	        .url = "https://eyes.example.com/1",
	        .ref = "",
	        .state = UPDATE_SUCCESSFUL},
	};

	placing_run(placing, &source_driver, NULL, &item, 1, placed, NULL);
}

/* Answers the three questions; `where` is a set of bits by the order web (hinted), other, app. */
static void answer_search(unsigned from, unsigned where)
{
	flow_asked(&flow, from + 3);
	assert_int_equal(fake.list[from].kind, FAKE_HAS);
	assert_string_equal(fake.list[from].repo, "PRJ/web");
	for (unsigned i = 0; i < 3; i++)
		fake_found(from + i, (where >> i & 1) != 0);
}

static void finish(unsigned calls)
{
	flow_until(&flow, is_placed, calls, "placed");
}

static void test_hinted_first_and_every_one_that_has_it(void **state)
{
	(void)state;
	run(COMMIT_A, "batch");
	answer_search(0, 1 | 4);
	finish(1);
	assert_int_equal(placed_count, 2);
	assert_int_equal(handled, 1);
	assert_int_equal(woken, 2);
	assert_false(placed_err);
	flow_asked(&flow, 5);
	assert_int_equal(fake.list[3].kind, FAKE_SET);
	/* What was found is remembered. */
	run(COMMIT_A, "batch, later");
	finish(2);
	assert_int_equal(placed_count, 2);
}

static void test_incomplete_is_brought_again(void **state)
{
	(void)state;
	run(COMMIT_A, "batch");
	flow_asked(&flow, 3);
	fake_found(0, true);
	fake_fail(1, CUT);
	fake_found(2, false);
	finish(1);
	assert_int_equal(placed_count, 1); /* where it is known it goes at once */
	assert_int_equal(handled, 0);
	assert_true(placed_err);
	flow_asked(&flow, 4);
	fake_ok(3);
	run(COMMIT_A, "batch");
	flow_asked(&flow, 7);
	for (unsigned i = 4; i < 7; i++)
		fake_found(i, i == 4);
	finish(2);
	assert_int_equal(placed_count, 0); /* known */
	assert_int_equal(handled, 1);
}

static void test_nowhere_is_believed_for_a_while(void **state)
{
	struct place place;

	(void)state;
	run(COMMIT_A, "batch");
	answer_search(0, 0);
	finish(1);
	run(COMMIT_A, "batch");
	finish(2);
	assert_int_equal(fake.count, 3);
	assert_int_equal(handled, 0);
	for (unsigned round = 1; round < 3; round++) { /* its time is over */
		assert_true(places_commit(places, COMMIT_A, &place));
		place.expires_ms = 1;
		assert_true(places_set_commit(places, COMMIT_A, &place, &flow.store.err));
		run(COMMIT_A, "batch");
		answer_search(3 * round, 0);
		finish(2 + round);
		assert_int_equal(handled, round == 2); /* given up after the third search */
	}
}

/* A repository whose token is refused may be the one: the commit is not given up. */
static void test_never_given_up_while_one_cannot_be_asked(void **state)
{
	struct place place;

	(void)state;
	for (unsigned round = 0; round < 6; round++) {
		run(COMMIT_A, "batch");
		flow_asked(&flow, 3 * round + 3);
		fake_found(3 * round, false);
		fake_fail(3 * round + 1, REFUSED);
		fake_found(3 * round + 2, false);
		finish(1 + round);
		assert_true(places_commit(places, COMMIT_A, &place));
		place.expires_ms = 1;
		assert_true(places_set_commit(places, COMMIT_A, &place, &flow.store.err));
	}
	assert_int_equal(handled, 0);
}

/* What is remembered of a repository that is disabled since does not count. */
static void test_remembered_but_disabled(void **state)
{
	(void)state;
	run(COMMIT_A, "batch");
	answer_search(0, 1);
	finish(1);
	flow_asked(&flow, 4);
	fake_ok(3);
	flow_disable(&flow, web);
	run(COMMIT_A, "batch, later");
	flow_asked(&flow, 6);
	fake_found(4, false);
	fake_found(5, true);
	finish(2);
	assert_int_equal(placed_count, 1);
	flow_asked(&flow, 7);
	assert_string_equal(fake.list[6].repo, fake.list[5].repo);
}

static void test_lost_group(void **state)
{
	(void)state;
	run(COMMIT_A, "batch");
	flow.lose_commit = true;
	answer_search(0, 1);
	finish(1);
	assert_true(placed_err);
	assert_int_equal(placed_count, 0);
	run(COMMIT_A, "batch");
	answer_search(3, 1);
	finish(2);
	assert_int_equal(placed_count, 1);
}

static void test_cancelled_at_any_time(void **state)
{
	(void)state;
	run(COMMIT_A, "batch");
	placing_cancel(placing); /* before it began */
	run(COMMIT_A, "batch");
	flow_asked(&flow, 3);
	placing_cancel(placing); /* while it asks */
	run(COMMIT_B, "batch");
	flow_asked(&flow, 6);
	for (unsigned i = 3; i < 6; i++)
		fake_found(i, true);
	placing_cancel(placing); /* before its commit */
	flow_for(&flow, 20);
	assert_int_equal(placed_calls, 0);
	run(COMMIT_B, "batch, later");
	finish(1);
	assert_int_equal(placed_count, 3);
	run(COMMIT_B, "batch, last"); /* freed while it runs */
}

static void test_nobody_to_ask(void **state)
{
	(void)state;
	flow_disable(&flow, web);
	flow_disable(&flow, app);
	flow_disable(&flow, other);
	run(COMMIT_A, "batch");
	finish(1);
	assert_int_equal(fake.count, 0);
	assert_int_equal(placed_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_hinted_first_and_every_one_that_has_it),
	    TEST(test_incomplete_is_brought_again),
	    TEST(test_nowhere_is_believed_for_a_while),
	    TEST(test_never_given_up_while_one_cannot_be_asked),
	    TEST(test_remembered_but_disabled),
	    TEST(test_lost_group),
	    TEST(test_cancelled_at_any_time),
	    TEST(test_nobody_to_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
