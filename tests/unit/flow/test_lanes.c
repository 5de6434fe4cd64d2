/* What goes next: repositories and tokens in turn, final states first, and nobody starves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flow/lanes.h"
#include <string.h>

static struct lanes lanes;
static struct lanes_server *server;

static int set_up(void **state)
{
	(void)state;
	lanes_init(&lanes, 4);
	server = lanes_server(&lanes, 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	lanes_clear(&lanes);
	return 0;
}

static struct lanes_repo *add(uint32_t id, uint32_t of, const char *token)
{
	struct secret secret = {.data = (char *)(uintptr_t)token, .length = strlen(token)};

	return lanes_repo_add(&lanes, id, of, "PRJ", "slug", &secret);
}

/* The repository picked, 0 when none may go. */
static uint32_t pick(uint64_t now, enum queue_lane *which, uint64_t *wait_until)
{
	uint64_t wait = 0;
	struct lanes_pick picked;
	bool may = lanes_pick(server, now, &picked, &wait);

	if (wait_until != NULL)
		*wait_until = wait;
	if (!may)
		return 0;
	if (which != NULL)
		*which = picked.which;
	return picked.repo->id;
}

static void test_repositories_take_turns(void **state)
{
	(void)state;
	for (uint32_t id = 1; id <= 3; id++)
		lanes_fill(add(id, 1, "one token"), QUEUE_FINAL);
	for (unsigned i = 0; i < 9; i++)
		assert_int_equal(pick(1, NULL, NULL), 1 + i % 3);
	lanes_drain(lanes_repo(&lanes, 2), QUEUE_FINAL);
	for (unsigned i = 0; i < 4; i++)
		assert_int_not_equal(pick(1, NULL, NULL), 2);
}

static void test_tokens_take_turns(void **state)
{
	unsigned of_ten = 0;

	(void)state;
	for (uint32_t id = 1; id <= 10; id++)
		lanes_fill(add(id, 1, "shared by ten"), QUEUE_FINAL);
	lanes_fill(add(11, 1, "alone"), QUEUE_FINAL);
	for (unsigned i = 0; i < 20; i++)
		of_ten += pick(1, NULL, NULL) <= 10;
	assert_int_equal(of_ten, 10);
}

static void test_final_states_first_and_running_not_starved(void **state)
{
	enum queue_lane which = QUEUE_FINAL;
	unsigned running = 0;

	(void)state;
	lanes_fill(add(1, 1, "token"), QUEUE_RUNNING);
	lanes_fill(add(2, 1, "token"), QUEUE_FINAL);
	for (unsigned i = 0; i < 80; i++) {
		pick(1, &which, NULL);
		running += which == QUEUE_RUNNING;
	}
	assert_int_equal(running, 10); /* every eighth */
	lanes_drain(lanes_repo(&lanes, 2), QUEUE_FINAL);
	assert_int_equal(pick(1, &which, NULL), 1);
	assert_int_equal(which, QUEUE_RUNNING);
}

static void test_every_eighth_takes_the_oldest(void **state)
{
	struct lanes_pick picked;
	unsigned oldest = 0;
	uint64_t wait;

	(void)state;
	lanes_fill(add(1, 1, "token"), QUEUE_FINAL);
	for (unsigned i = 0; i < 16; i++) {
		assert_true(lanes_pick(server, 1, &picked, &wait));
		oldest += picked.oldest;
	}
	assert_int_equal(oldest, 2);
}

static void test_a_paced_token_sleeps_alone(void **state)
{
	struct lanes_repo *slow = add(1, 1, "slow"), *fast = add(2, 1, "fast");
	uint64_t wait;

	(void)state;
	lanes_fill(slow, QUEUE_FINAL);
	lanes_fill(fast, QUEUE_FINAL);
	pace_limited(&slow->token->pace, 5, 10, 3000);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(pick(10, NULL, NULL), 2);
	assert_int_equal(slow->token->place, TOKEN_SLEEPING);
	lanes_drain(fast, QUEUE_FINAL);
	assert_int_equal(pick(10, NULL, &wait), 0);
	assert_int_equal(wait, 3010);
	assert_int_equal(pick(3010, NULL, NULL), 1);
	lanes_started(slow, 3010);
	assert_int_equal(pick(3011, NULL, &wait), 0);
	assert_in_range(wait, 3011 + 200, 3011 + 250); /* 4.5 a second */
}

/* A token whose pause grew while it slept is not woken into a request. */
static void test_a_longer_pause_is_kept(void **state)
{
	struct lanes_repo *repo = add(1, 1, "token");
	uint64_t wait;

	(void)state;
	lanes_fill(repo, QUEUE_FINAL);
	pace_limited(&repo->token->pace, 5, 10, 1000);
	assert_int_equal(pick(10, NULL, NULL), 0);
	pace_limited(&repo->token->pace, 5, 20, 5000);
	assert_int_equal(pick(1010, NULL, &wait), 0);
	assert_int_equal(wait, 5020);
}

static void test_blocked_until_released(void **state)
{
	struct lanes_repo *repo = add(1, 1, "token");
	uint64_t wait;

	(void)state;
	lanes_fill(repo, QUEUE_FINAL);
	lanes_block(repo, 100);
	assert_int_equal(pick(1, NULL, &wait), 0);
	assert_int_equal(wait, 0);
	lanes_fill(repo, QUEUE_FINAL);
	assert_int_equal(pick(1, NULL, NULL), 0);
	assert_int_equal(repo->token->place, TOKEN_IDLE);
	lanes_unblock(repo);
	assert_int_equal(pick(1, NULL, NULL), 1);
}

static void test_connections_are_the_limit(void **state)
{
	struct lanes_repo *repo = add(1, 1, "token");

	(void)state;
	lanes_fill(repo, QUEUE_FINAL);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(pick(1, NULL, NULL), 1);
		lanes_started(repo, 1);
	}
	assert_int_equal(pick(1, NULL, NULL), 0);
	lanes_finished(repo);
	assert_int_equal(pick(1, NULL, NULL), 1);
}

static void test_a_failing_server_is_probed_by_one(void **state)
{
	struct lanes_repo *repo = add(1, 1, "token"), *other = add(2, 2, "token");
	struct err err = {.code = "server_cut"};
	struct lanes_pick picked;
	uint64_t wait;

	(void)state;
	lanes_fill(repo, QUEUE_FINAL);
	lanes_fill(other, QUEUE_FINAL);
	assert_true(lanes_server_failed(server, 1000, 77, -1, &err, NULL));
	assert_false(
	    lanes_server_failed(server, 1001, 77, -1, &err, NULL)); /* was under way as well */
	assert_int_equal(server->failures, 1);
	assert_int_equal(pick(1001, NULL, &wait), 0);
	assert_in_range(wait, 1500, 2000);                                   /* with jitter */
	assert_true(lanes_pick(other->token->server, 1001, &picked, &wait)); /* the other server */
	assert_int_equal(pick(2000, NULL, NULL), 1);
	lanes_started(repo, 2000);
	assert_int_equal(pick(2000, NULL, &wait), 0); /* one at a time */
	assert_int_equal(wait, 0);
	lanes_finished(repo);
	assert_true(lanes_server_failed(server, 2100, 78, 60000, &err, NULL));
	assert_int_equal(server->paused_until, 62100); /* as the server asked */
	assert_true(lanes_server_works(server, 79));
	assert_null(server->last_err);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(pick(2200, NULL, NULL), 1);
		lanes_started(repo, 2200);
	}
}

static void test_a_paced_token_outlives_its_repositories(void **state)
{
	struct lanes_repo *repo = add(1, 1, "token");

	(void)state;
	pace_limited(&repo->token->pace, 1, 2, 10000);
	lanes_repo_remove(&lanes, repo);
	repo = add(2, 1, "token");
	lanes_fill(repo, QUEUE_FINAL);
	assert_int_equal(pick(3, NULL, NULL), 0);
}

static void test_a_server_without_tokens_can_go(void **state)
{
	struct lanes_repo *repo = add(1, 1, "token");

	(void)state;
	lanes_server_remove(&lanes, 1);
	assert_ptr_equal(lanes_server(&lanes, 1), server);
	lanes_repo_remove(&lanes, repo);
	lanes_server_remove(&lanes, 1);
	assert_int_equal(lanes.servers.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_repositories_take_turns),
	    TEST(test_tokens_take_turns),
	    TEST(test_final_states_first_and_running_not_starved),
	    TEST(test_every_eighth_takes_the_oldest),
	    TEST(test_a_paced_token_sleeps_alone),
	    TEST(test_a_longer_pause_is_kept),
	    TEST(test_blocked_until_released),
	    TEST(test_connections_are_the_limit),
	    TEST(test_a_failing_server_is_probed_by_one),
	    TEST(test_a_paced_token_outlives_its_repositories),
	    TEST(test_a_server_without_tokens_can_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
