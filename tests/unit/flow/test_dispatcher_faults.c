/* What fails for one server, token or repository waits there, and disturbs nobody else. */
#include "unit/flow/flow_test.h"

static struct flow flow;
static uint32_t server, web, app, docs;
static unsigned ids;

static int set_up(void **state)
{
	(void)state;
	flow_begin(&flow);
	ids = 0;
	server = flow_server(&flow, "http://one.example.com");
	web = flow_repo(&flow, server, "web", "token-1");
	app = flow_repo(&flow, server, "app", "token-1");
	docs = flow_repo(&flow, server, "docs", "token-2");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	flow_end(&flow);
	return 0;
}

/* One update with a key of its own; its id is "id-<n>". */
static unsigned put(uint32_t repo)
{
	char id[16], key[16];

	snprintf(id, sizeof(id), "id-%u", ++ids);
	snprintf(key, sizeof(key), "key-%u", ids);
	flow_put(&flow, repo, COMMIT_A, key, UPDATE_SUCCESSFUL, id, 0);
	return ids;
}

static void expect(unsigned index, const char *repo, const char *token)
{
	assert_true(index < fake.count);
	assert_string_equal(fake.list[index].repo, repo);
	assert_string_equal(fake.list[index].token, token);
}

static void test_429_paces_the_token_only(void **state)
{
	uint64_t refused_ms;

	(void)state;
	put(web);
	flow_asked(&flow, 1);
	refused_ms = clock_monotonic_ms();
	fake_fail_after(0, LIMITED, 300);
	put(app); /* the same token */
	put(docs);
	flow_asked(&flow, 2);
	expect(1, "PRJ/docs", "token-2");
	fake_ok(1);
	flow_until(&flow, flow_has_asked, 3, "after the pause");
	assert_true(fake.list[2].at_ms >= refused_ms + 300);
	expect(2, fake.list[2].repo, "token-1");
	flow_until(&flow, flow_has_asked, 4, "at its pace");
	assert_true(fake.list[3].at_ms >= fake.list[2].at_ms + 200); /* 4.5 a second */
	assert_int_equal(flow_state(&flow, web), REPO_ENABLED);
	fake_ok(2);
	fake_ok(3);
	flow_waiting(&flow, 0);
}

static void test_401_blocks_every_repository_of_the_token(void **state)
{
	uint32_t late;

	(void)state;
	put(web);
	flow_asked(&flow, 1);
	put(app);
	flow_asked(&flow, 2);
	fake_fail(0, REFUSED);
	fake_fail(1, REFUSED);
	put(web);
	put(app);
	late = flow_repo(&flow, server, "late", "token-2");
	put(docs); /* another token */
	flow_asked(&flow, 3);
	expect(2, "PRJ/docs", "token-2");
	fake_ok(2);
	assert_int_equal(flow_state(&flow, web), REPO_BLOCKED);
	assert_int_equal(flow_state(&flow, app), REPO_BLOCKED);
	assert_int_equal(flow_state(&flow, docs), REPO_ENABLED);
	assert_int_equal(flow_state(&flow, late), REPO_ENABLED);
	flow_waiting(&flow, 4);
}

/* Another repository of the token, in memory and with nothing under way, does not try it. */
static void test_401_also_for_what_is_idle(void **state)
{
	(void)state;
	put(app);
	flow_asked(&flow, 1);
	fake_ok(0);
	put(web);
	flow_asked(&flow, 2);
	fake_fail(1, REFUSED);
	put(app);
	flow_asked(&flow, 2);
	assert_int_equal(flow_state(&flow, app), REPO_BLOCKED);
}

/* One that was not in memory when its token was refused does not try it either. */
static void test_401_also_for_what_is_loaded_later(void **state)
{
	struct secret token = {.data = (char *)"token-1", .length = 7};
	struct record_repo record = {.server = server,
	    .project = "PRJ",
	    .slug = "late",
	    .name = "late",
	    .owner = "",
	    .error = "",
	    .error_code = "",
	    .webhook = "",
	    .state = REPO_ENABLED};

	(void)state;
	put(web);
	flow_asked(&flow, 1);
	fake_fail(0, REFUSED);
	assert_true(records_put_repo(flow.records, &record, &token, &flow.store.err));
	put(record.id);
	flow_asked(&flow, 1);
	assert_int_equal(flow_state(&flow, record.id), REPO_BLOCKED);
}

static void test_a_new_token_releases(void **state)
{
	(void)state;
	put(web);
	put(app);
	flow_asked(&flow, 2);
	fake_fail(0, REFUSED);
	fake_fail(1, REFUSED);
	flow_repo(&flow, server, "web", "token-new");
	flow_asked(&flow, 3);
	expect(2, "PRJ/web", "token-new");
	fake_ok(2);
	flow_asked(&flow, 3); /* app still has the one that is refused */
	assert_int_equal(flow_state(&flow, app), REPO_BLOCKED);
	assert_int_equal(flow_state(&flow, web), REPO_ENABLED);
	assert_int_equal(flow_outcome(&flow, "id-1"), UPDATE_DELIVERED);
	assert_int_equal(flow_outcome(&flow, "id-2"), -1);
}

/* The same token was checked anew: everything that waited for it goes out. */
static void test_a_token_that_works_again_releases_all(void **state)
{
	(void)state;
	put(web);
	put(app);
	flow_asked(&flow, 2);
	fake_fail(0, REFUSED);
	fake_fail(1, REFUSED);
	flow_repo(&flow, server, "web", "token-1");
	flow_asked(&flow, 4);
	assert_int_equal(flow_state(&flow, app), REPO_ENABLED);
	fake_ok(2);
	fake_ok(3);
	flow_waiting(&flow, 0);
}

/* The answer to the old token does not block the new one. */
static void test_token_replaced_in_flight(void **state)
{
	(void)state;
	put(web);
	flow_asked(&flow, 1);
	flow_repo(&flow, server, "web", "token-new");
	put(web);
	flow_asked(&flow, 1); /* begun anew when what is under way has ended */
	fake_fail(0, REFUSED);
	flow_asked(&flow, 3);
	expect(1, "PRJ/web", "token-new");
	expect(2, "PRJ/web", "token-new");
	assert_int_equal(flow_state(&flow, web), REPO_ENABLED);
	assert_int_equal(flow_state(&flow, app), REPO_ENABLED);
}

/* A status that would be set again after a read-back is not set with a token that is gone. */
static void test_disabled_during_a_read_back(void **state)
{
	(void)state;
	put(web);
	flow_asked(&flow, 1);
	fake_fail(0, CUT);
	dispatcher_server_changed(flow.dispatcher, server);
	flow_hurry(&flow);
	flow_asked(&flow, 2);
	fake_ok(1);
	flow_asked(&flow, 3);
	assert_int_equal(fake.list[2].kind, FAKE_GET);
	flow_disable(&flow, web);
	fake_read(2, UPDATE_INPROGRESS);
	flow_asked(&flow, 3);
	flow_waiting(&flow, 0);
}

static void test_404_blocks_that_repository_only(void **state)
{
	(void)state;
	put(web);
	flow_asked(&flow, 1);
	fake_fail(0, NO_REPOSITORY);
	put(web);
	put(app); /* the same token */
	flow_asked(&flow, 2);
	expect(1, "PRJ/app", "token-1");
	fake_ok(1);
	assert_int_equal(flow_state(&flow, web), REPO_BLOCKED);
	assert_int_equal(flow_state(&flow, app), REPO_ENABLED);
	flow_waiting(&flow, 2);
	flow_repo(&flow, server, "web", "token-1");
	flow_asked(&flow, 4);
}

static void test_blocked_over_a_restart(void **state)
{
	(void)state;
	put(web);
	flow_asked(&flow, 1);
	fake_fail(0, REFUSED);
	store_turn(&flow.store, 20);
	flow_close_dispatcher(&flow);
	queue_close(flow.queue);
	flow_open_queue(&flow);
	flow_open_dispatcher(&flow);
	dispatcher_start(flow.dispatcher);
	put(app);
	flow_asked(&flow, 1);
	assert_int_equal(flow_state(&flow, web), REPO_BLOCKED);
	flow_repo(&flow, server, "web", "token-1");
	flow_asked(&flow, 3);
}

static void test_unknown_commit_is_retried_then_rejected(void **state)
{
	struct queue_counts counts;

	(void)state;
	put(web);
	flow_asked(&flow, 1);
	fake_fail(0, NO_COMMIT);
	put(web); /* others do not wait for it */
	flow_asked(&flow, 2);
	fake_ok(1);
	flow_waiting(&flow, 1);
	assert_int_equal(flow_outcome(&flow, "id-1"), -1);
	flow_for(&flow, FLOW_UNKNOWN_MS);
	flow_hurry(&flow);
	flow_asked(&flow, 3);
	fake_fail(2, NO_COMMIT);
	flow_waiting(&flow, 0);
	assert_int_equal(flow_outcome(&flow, "id-1"), UPDATE_REJECTED);
	queue_count(flow.queue, &counts);
	assert_int_equal(counts.dead, 1);
	assert_int_equal(flow_state(&flow, web), REPO_ENABLED);
}

static void test_unknown_commit_that_is_pushed_later(void **state)
{
	(void)state;
	put(web);
	flow_asked(&flow, 1);
	fake_fail(0, NO_COMMIT);
	flow_hurry(&flow);
	flow_asked(&flow, 2);
	fake_ok(1);
	flow_waiting(&flow, 0);
	assert_int_equal(flow_outcome(&flow, "id-1"), UPDATE_DELIVERED);
}

/* A server that was away for longer than that has not made the commit unknown. */
static void test_time_without_an_answer_is_not_held_against_a_commit(void **state)
{
	(void)state;
	put(web);
	flow_asked(&flow, 1);
	fake_fail(0, BROKEN);
	flow_for(&flow, FLOW_UNKNOWN_MS);
	flow_hurry(&flow);
	flow_asked(&flow, 2);
	fake_fail(1, NO_COMMIT);
	flow_waiting(&flow, 1);
	assert_int_equal(flow_outcome(&flow, "id-1"), -1);
}

static void test_refused_for_good(void **state)
{
	(void)state;
	put(web);
	put(app);
	flow_asked(&flow, 2);
	fake_fail(0, BAD);
	fake_ok(1);
	flow_waiting(&flow, 0);
	assert_int_equal(flow_outcome(&flow, "id-1"), UPDATE_REJECTED);
	assert_int_equal(flow_outcome(&flow, "id-2"), UPDATE_DELIVERED);
}

static void test_a_failing_server_is_paused_then_probed(void **state)
{
	uint32_t other =
	    flow_repo(&flow, flow_server(&flow, "http://two.example.com"), "web", "token-1");
	struct dispatcher_health health;
	unsigned first;

	(void)state;
	put(web);
	put(docs);
	flow_asked(&flow, 2);
	fake_fail(0, DOWN);
	fake_fail(1, DOWN);
	assert_true(dispatcher_health(flow.dispatcher, server, &health));
	assert_true(health.failing);
	assert_string_equal(health.err->code, "server_5xx");
	put(web);
	put(app);
	put(other);
	flow_asked(&flow, 3);
	assert_string_equal(fake.list[2].host, "two.example.com");
	fake_ok(2);
	/* By itself, after a second at most: one, and only one, until it answers. */
	flow_until(&flow, flow_has_asked, 4, "the probe");
	assert_in_range(fake.list[3].at_ms - fake.list[1].at_ms, 490, 1500);
	flow_for(&flow, 50);
	assert_int_equal(fake.count, 4);
	fake_ok(3);
	assert_true(dispatcher_health(flow.dispatcher, server, &health));
	assert_false(health.failing);
	first = 4;
	while (!flow_is_idle(&flow, 0)) {
		flow_until(&flow, flow_has_asked, first + 1, "the rest");
		fake_ok(first++);
		store_turn(&flow.store, 1);
	}
	for (unsigned id = 1; id <= ids; id++) {
		char text[16];

		snprintf(text, sizeof(text), "id-%u", id);
		assert_int_equal(flow_outcome(&flow, text), UPDATE_DELIVERED);
	}
}

/* A server that refuses, or does not know a commit, answers: it does not fail. */
static void test_any_answer_ends_the_failure(void **state)
{
	static const enum fake_fault faults[] = {
	    REFUSED, NO_REPOSITORY, NO_COMMIT, BAD, BROKEN, LIMITED};
	struct dispatcher_health health;

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		put(web);
		flow_asked(&flow, 1);
		fake_fail(0, DOWN);
		dispatcher_server_changed(flow.dispatcher, server); /* ends the pause */
		flow_hurry(&flow);
		flow_asked(&flow, 2);
		fake_fail(1, faults[i]);
		assert_true(dispatcher_health(flow.dispatcher, server, &health));
		assert_false(health.failing);
		tear_down(NULL);
		set_up(NULL);
	}
}

static void test_an_identification_tells_too(void **state)
{
	struct err err = {.code = "server_timeout"};
	struct scm_answer answer = {
	    .outcome = SCM_TEMPORARY, .scope = SCM_SCOPE_SERVER, .err = &err, .retry_after_ms = -1};

	(void)state;
	dispatcher_server_answered(flow.dispatcher, server, &answer);
	put(web);
	flow_asked(&flow, 0);
	answer = (struct scm_answer){.outcome = SCM_OK, .status = 200};
	dispatcher_server_answered(flow.dispatcher, server, &answer);
	flow_asked(&flow, 1);
}

static void test_an_unusable_server_waits(void **state)
{
	struct record_server record = *records_server(flow.records, server);

	(void)state;
	record.kind = "of a newer version";
	assert_true(records_put_server(flow.records, &record, &flow.store.err));
	dispatcher_server_changed(flow.dispatcher, server);
	put(web);
	put(app);
	flow_waiting(&flow, 2);
	record = *records_server(flow.records, server);
	record.kind = "fake";
	assert_true(records_put_server(flow.records, &record, &flow.store.err));
	dispatcher_server_changed(flow.dispatcher, server);
	flow_hurry(&flow);
	flow_until(&flow, flow_has_asked, 1, "request");
}

static void test_expiry(void **state)
{
	(void)state;
	put(web);
	put(web);
	flow_asked(&flow, 2);
	fake_fail(0, NO_REPOSITORY);
	queue_expire(flow.queue, clock_wall_ms() + (int64_t)flow.ttl_ms + 1000, 100);
	assert_int_equal(flow_outcome(&flow, "id-1"), UPDATE_EXPIRED);
	assert_int_equal(flow_outcome(&flow, "id-2"), -1); /* it is being sent */
	fake_ok(1);
	flow_waiting(&flow, 0);
	assert_int_equal(flow_outcome(&flow, "id-2"), UPDATE_DELIVERED);
}

static void test_disabled_repository(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++)
		put(web);
	flow_asked(&flow, 4); /* connections */
	fake_fail(0, BROKEN);
	flow_asked(&flow, 5);
	flow_disable(&flow, web);
	flow_asked(&flow, 5);
	fake_ok(1);
	fake_fail(2, NO_REPOSITORY); /* says nothing of what is now */
	fake_fail(3, REFUSED);
	fake_ok(4);
	flow_waiting(&flow, 1);
	flow_hurry(&flow); /* the one that waited for its time */
	flow_waiting(&flow, 0);
	flow_asked(&flow, 5);
	assert_int_equal(flow_state(&flow, web), REPO_DISABLED);
	assert_int_equal(flow_state(&flow, app), REPO_ENABLED);
	for (unsigned id = 1; id <= ids; id++) {
		char text[16];
		int outcome;

		snprintf(text, sizeof(text), "id-%u", id);
		outcome = flow_outcome(&flow, text);
		assert_true(outcome == UPDATE_IGNORED || outcome == UPDATE_DELIVERED);
	}
}

/* Enabled again while what waited is being ended: what comes then is sent. */
static void test_enabled_again_at_once(void **state)
{
	(void)state;
	put(web);
	flow_asked(&flow, 1);
	fake_fail(0, NO_REPOSITORY);
	flow_disable(&flow, web);
	flow_repo(&flow, server, "web", "token-1");
	flow_asked(&flow, 2);
	fake_ok(1);
	flow_waiting(&flow, 0);
	assert_int_equal(flow_outcome(&flow, "id-1"), UPDATE_DELIVERED);
}

static void test_server_removed_while_requests_are_under_way(void **state)
{
	(void)state;
	put(web);
	put(docs);
	flow_asked(&flow, 2);
	flow_disable(&flow, web);
	flow_disable(&flow, app);
	flow_disable(&flow, docs);
	assert_true(records_remove_server(flow.records, server, &flow.store.err));
	dispatcher_server_changed(flow.dispatcher, server);
	fake_ok(0);
	fake_fail(1, CUT);
	flow_waiting(&flow, 1);
	flow_hurry(&flow);
	flow_waiting(&flow, 0);
	assert_int_equal(flow_outcome(&flow, "id-1"), UPDATE_DELIVERED);
	assert_int_equal(flow_outcome(&flow, "id-2"), UPDATE_IGNORED);
	flow_asked(&flow, 2);
}

static void test_a_token_that_cannot_be_read_is_shown(void **state)
{
	struct record_repo record;

	(void)state;
	assert_true(records_forget_token(flow.records, docs, &flow.store.err));
	dispatcher_repo_changed(flow.dispatcher, docs);
	put(docs);
	flow_asked(&flow, 0);
	assert_true(records_repo(flow.records, docs, &record));
	assert_int_equal(record.state, REPO_BLOCKED);
	assert_string_equal(record.error_code, "no_token");
	flow_repo(&flow, server, "docs", "token-2");
	flow_asked(&flow, 1);
}

/* ---- many ---- */

static unsigned most_open;
static void answer_all(unsigned index)
{
	most_open = fake.open > most_open ? fake.open : most_open;
	if (index < 600 && index % 7 == 3)
		fake_fail(index, BROKEN);
	else if (index < 600 && index % 31 == 5)
		fake_fail(index, CUT);
	else if (fake.list[index].kind == FAKE_GET)
		fake_read(index, UPDATE_SUCCESSFUL);
	else
		fake_ok(index);
}

/* Under faults of every kind at random places nothing is left behind. */
static void test_nothing_is_forgotten(void **state)
{
	uint32_t repos[] = {web, app, docs};
	char id[24], key[16];

	(void)state;
	most_open = 0;
	fake.script = answer_all;
	for (unsigned i = 0; i < 300; i++) {
		snprintf(id, sizeof(id), "many-%u", i);
		snprintf(key, sizeof(key), "key-%u", i / 2);
		flow_put(&flow, repos[i / 2 % 3], COMMIT_A, key,
		    i % 2 == 0 ? UPDATE_INPROGRESS : UPDATE_SUCCESSFUL, id, i + 1);
		store_turn(&flow.store, 0);
	}
	uint64_t until_ms = clock_monotonic_ms() + FLOW_WAIT_MS;
	while (!flow_is_idle(&flow, 0)) {
		assert_true(clock_monotonic_ms() < until_ms);
		flow_hurry(&flow);
		for (unsigned i = 0; i < 20; i++) {
			dispatcher_server_changed(flow.dispatcher, server);
			flow_for(&flow, 10);
		}
	}
	assert_int_equal(most_open, 4);
	for (unsigned i = 0; i < 300; i++) {
		int outcome;

		snprintf(id, sizeof(id), "many-%u", i);
		outcome = flow_outcome(&flow, id);
		assert_true(
		    outcome == UPDATE_DELIVERED || (i % 2 == 0 && outcome == UPDATE_SUPERSEDED));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_429_paces_the_token_only),
	    TEST(test_401_blocks_every_repository_of_the_token),
	    TEST(test_401_also_for_what_is_idle),
	    TEST(test_401_also_for_what_is_loaded_later),
	    TEST(test_a_new_token_releases),
	    TEST(test_a_token_that_works_again_releases_all),
	    TEST(test_token_replaced_in_flight),
	    TEST(test_disabled_during_a_read_back),
	    TEST(test_404_blocks_that_repository_only),
	    TEST(test_blocked_over_a_restart),
	    TEST(test_unknown_commit_is_retried_then_rejected),
	    TEST(test_unknown_commit_that_is_pushed_later),
	    TEST(test_time_without_an_answer_is_not_held_against_a_commit),
	    TEST(test_refused_for_good),
	    TEST(test_a_failing_server_is_paused_then_probed),
	    TEST(test_any_answer_ends_the_failure),
	    TEST(test_an_identification_tells_too),
	    TEST(test_an_unusable_server_waits),
	    TEST(test_expiry),
	    TEST(test_disabled_repository),
	    TEST(test_enabled_again_at_once),
	    TEST(test_server_removed_while_requests_are_under_way),
	    TEST(test_a_token_that_cannot_be_read_is_shown),
	    TEST(test_nothing_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
