/* flow/webhook_check, _repair and _finish: what is made, put right, or left alone. */
#include "unit/flow/webhook_test.h"

/* ---- making ---- */

static void makes_it(void **state)
{
	struct secret current = {0};
	struct told was = check(false);

	(void)state;
	assert_string_equal(model.ops, "lpt");
	assert_true(was.made && !was.repaired && was.tested);
	assert_int_equal(was.state, HOOK_OK);
	assert_int_equal(model.count, 1);
	assert_string_equal(row().id, model.hooks[0].id);
	assert_string_equal(row().url, model.hooks[0].url);
	assert_non_null(strstr(model.hooks[0].url, OWN_URL "/api/bitbucket-events-proxy/"));
	assert_non_null(strstr(model.hooks[0].url, hooks_instance(hooks)));
	assert_true(row().relay);
	assert_true(hooks_secret(hooks, repo, clock_wall_ms(), &current, NULL, &flow.store.err));
	assert_string_equal(model.hooks[0].secret, current.data);
	secret_free(&current);
	assert_int_equal(audited("webhook.make"), 1);
	/* The repository, its webhooks, nothing else. */
	assert_int_equal(check(false).state, HOOK_OK);
	assert_string_equal(model.ops, "kl");
}

static void doubtful_and_there(void **state)
{
	(void)state;
	fail_next(OP_PUT, 1, SCM_TEMPORARY, SCM_SCOPE_SERVER, 0, "timeout");
	model.fault.doubtful = model.fault_effect = true;
	assert_int_equal(check(false).state, HOOK_OK);
	assert_true(told.made);
	assert_int_equal(model.count, 1);
	assert_string_equal(model.ops, "lplpt");
}

static void doubtful_and_not_there(void **state)
{
	(void)state;
	fail_next(OP_PUT, 1, SCM_TEMPORARY, SCM_SCOPE_SERVER, 0, "timeout");
	model.fault.doubtful = true;
	assert_int_equal(check(false).state, HOOK_BROKEN);
	assert_string_equal(told.code, "timeout");
	assert_string_equal(model.ops, "lpl"); /* it may still come: not made a second time now */
	assert_false(told.made);
	assert_int_equal(check(false).state, HOOK_OK);
	assert_int_equal(model.count, 1);
}

static void lost_commit_is_adopted(void **state)
{
	(void)state;
	model.hold = true;
	webhook_keeper_check(keeper, repo, "root", false, tell, NULL);
	flow_for(&flow, 5);
	model.hold = false; /* the row is on disk; what follows is lost */
	answer_all(NULL);
	store_turn(&flow.store, 1);
	flow.lose_commit = true;
	flow_until(&flow, is_told, 1, "outcome");
	told.count = 0;
	assert_int_equal(model.count, 1);
	assert_int_equal(check(false).state, HOOK_OK);
	assert_int_equal(model.count, 1);
	assert_string_equal(row().id, model.hooks[0].id);
}

/* ---- keeping ---- */

static void three_repairs_then_conflict(void **state)
{
	(void)state;
	(void)check(false);
	for (int i = 0; i < REPAIR_LIMIT; i++) {
		model.count = 0;
		assert_true(check(false).repaired);
		assert_int_equal(model.count, 1);
	}
	model.count = 0;
	assert_int_equal(check(false).state, HOOK_CONFLICT);
	assert_string_equal(told.code, "webhook_conflict");
	assert_int_equal(model.count, 0);
	assert_int_equal(check(false).state, HOOK_CONFLICT);
	assert_int_equal(model.count, 0);
	/* Also when the day is over: it stays so until somebody asks. */
	struct record_hook later = row();
	for (int i = 0; i < REPAIR_LIMIT; i++)
		later.repairs[i] -= HOOKS_REPAIRS_MS;
	assert_true(hooks_put(hooks, &later, &flow.store.err));
	assert_int_equal(check(false).state, HOOK_CONFLICT);
	assert_int_equal(model.count, 0);
	assert_int_equal(audited("webhook.repair"), REPAIR_LIMIT);
	assert_int_equal(audited("webhook.conflict"), 1);
	assert_int_equal(check(true).state, HOOK_OK); /* by force: it counts anew */
	model.count = 0;
	assert_true(check(false).repaired);
}

static void old_repairs_do_not_count(void **state)
{
	struct record_hook old;

	(void)state;
	(void)check(false);
	old = row();
	for (int i = 0; i < REPAIR_LIMIT; i++)
		old.repairs[i] = clock_wall_ms() - HOOKS_REPAIRS_MS - 1000;
	assert_true(hooks_put(hooks, &old, &flow.store.err));
	model.count = 0;
	assert_true(check(false).repaired);
}

static void another_url_is_no_repair(void **state)
{
	struct record_hook old;

	(void)state;
	(void)check(false);
	old = row();
	old.url = "http://old.example.com/";
	assert_true(hooks_put(hooks, &old, &flow.store.err));
	snprintf(model.hooks[0].url, sizeof(model.hooks[0].url),
	    "http://old.example.com/?instance=%s", hooks_instance(hooks));
	assert_int_equal(check(false).state, HOOK_OK);
	assert_false(told.repaired);
	assert_non_null(strstr(model.hooks[0].url, OWN_URL));
	assert_int_equal(audited("webhook.repair"), 0);
	assert_int_equal(audited("webhook.change"), 1);
}

static void deliveries_fail(void **state)
{
	(void)state;
	(void)check(false);
	model.delivered = SCM_DELIVERY_FAILED;
	fail_next(OP_TEST, 1, SCM_PERMANENT, SCM_SCOPE_UPDATE, 405, "scm_refused");
	assert_int_equal(check(false).state, HOOK_FAILING);
	assert_string_equal(told.code, "delivery_failed");
	assert_non_null(strstr(row().error, "HTTP 502"));
	assert_non_null(strstr(row().hint, "EYES_SCM_PROXY_URL"));
	model.delivered = SCM_DELIVERY_OK;
	assert_int_equal(check(false).state, HOOK_OK);
	assert_string_equal(row().code, "");
}

/* A connection test is not signed: it reaches the target, which may refuse deliveries all the same.
 */
static void a_good_test_hides_no_refusal(void **state)
{
	(void)state;
	(void)check(false);
	model.delivered = SCM_DELIVERY_FAILED;
	assert_int_equal(check(false).state, HOOK_FAILING);
	assert_true(told.tested);
	assert_int_equal(check(false).state, HOOK_FAILING);
	assert_true(row().failed_ms > 0);
	assert_int_equal(row().delivered_ms, 0);
	/* The target was not reached, and now it is. */
	model.delivered = SCM_DELIVERY_ERROR;
	assert_int_equal(check(false).state, HOOK_OK);
	assert_true(told.tested);
	assert_int_equal(row().delivered_ms, 0);
	model.tested = SCM_DELIVERY_ERROR;
	assert_int_equal(check(false).state, HOOK_FAILING);
}

static void a_bad_test_shows_until_a_good_one(void **state)
{
	(void)state;
	model.tested = SCM_DELIVERY_FAILED;
	assert_int_equal(check(false).state, HOOK_FAILING);
	assert_true(told.tested);
	assert_int_equal(check(false).state, HOOK_FAILING);
	model.tested = SCM_DELIVERY_OK;
	assert_int_equal(check(false).state, HOOK_OK);
	assert_int_equal(check(false).state, HOOK_OK);
	assert_string_equal(model.ops, "kl"); /* nothing more to be tested */
	assert_int_equal(row().delivered_ms, 0);
	/* What failed before it was written is over. */
	model.delivered = SCM_DELIVERY_FAILED;
	model.delivered_ms = row().changed_ms - 1000;
	assert_int_equal(check(true).state, HOOK_OK);
	fail_next(OP_TEST, 1, SCM_PERMANENT, SCM_SCOPE_UPDATE, 405, "scm_refused");
	assert_int_equal(check(true).state, HOOK_OK);
	assert_false(told.tested);
}

/* Somebody took the secret away, which this server does not show. */
static void a_lost_secret_is_given_again_once(void **state)
{
	(void)state;
	(void)check(false);
	model.hooks[0].secret[0] = '\0';
	model.delivered = SCM_DELIVERY_FAILED;
	model.delivered_status = 401;
	model.delivered_ms = row().changed_ms + 1;
	assert_int_equal(check(false).state, HOOK_OK);
	assert_true(told.repaired);
	assert_int_equal(strlen(model.hooks[0].secret), 64);
	assert_int_equal(audited("webhook.repair"), 1);
	/* It is no help: it is shown, and written again only when somebody asks. */
	model.delivered_ms = row().changed_ms + 1;
	assert_int_equal(check(false).state, HOOK_FAILING);
	assert_non_null(strstr(row().hint, "another secret"));
	assert_null(strchr(model.ops, 'p'));
	assert_int_equal(check(true).state, HOOK_OK);
	assert_non_null(strchr(model.ops, 'p'));
	/* Another answer is not about the secret. */
	struct record_hook old = row();
	memset(old.repairs, 0, sizeof(old.repairs));
	assert_true(hooks_put(hooks, &old, &flow.store.err));
	model.delivered_status = 502;
	model.delivered_ms = row().changed_ms + 1;
	assert_int_equal(check(true).state, HOOK_FAILING);
	assert_null(strchr(model.ops, 'p'));
}

static void refused(enum inbox_result result, const struct err *err, void *arg)
{
	(void)err, (void)arg;
	assert_int_equal(result, INBOX_UNSIGNED);
}

static void send_unsigned(void)
{
	struct inbox_event event = {.key = "repo:refs_changed",
	    .request_id = "",
	    .signature = "",
	    .content_type = "",
	    .headers = "",
	    .body = "{}",
	    .body_length = 2};

	for (int i = 0; i < 3; i++)
		inbox_bitbucket(inbox, repo, &event, refused, NULL);
}

static bool is_asked(struct flow *f, unsigned length)
{
	(void)f;
	return strlen(model.ops) >= length;
}

/* What the inbox refuses has the webhook looked at, but not as often as a stranger likes. */
static void doubts_of_the_inbox(void **state)
{
	(void)state;
	webhook_keeper_free(keeper);
	inbox = inbox_new(&(struct inbox_options){
	    .loop = flow.store.loop, .db = flow.store.db, .hooks = hooks, .records = flow.records});
	open_keeper();
	(void)check(false);
	model.hooks[0].secret[0] = '\0';
	model.delivered = SCM_DELIVERY_FAILED;
	model.delivered_status = 401;
	model.delivered_ms = row().changed_ms + 1;
	model.ops[0] = '\0';
	send_unsigned();
	flow_until(&flow, is_asked, 3, "the webhook written again");
	assert_string_equal(model.ops, "lpt");
	assert_int_equal(strlen(model.hooks[0].secret), 64);
	flow_for(&flow, 1200);
	model.ops[0] = '\0';
	send_unsigned();
	send_unsigned();
	flow_for(&flow, 1200);
	assert_string_equal(model.ops, "");
}

/* Eyes is reached, and does not know the address. */
static void a_direct_address_that_takes_nothing(void **state)
{
	(void)state;
	webhook_keeper_free(keeper);
	relay = false;
	open_keeper();
	(void)check(false);
	model.delivered = SCM_DELIVERY_FAILED;
	model.delivered_status = 404;
	model.delivered_ms = row().changed_ms + 1;
	assert_int_equal(check(false).state, HOOK_FAILING);
	assert_non_null(strstr(row().hint, "EYES_WEBHOOK_URL"));
	model.delivered = SCM_DELIVERY_ERROR;
	model.tested = SCM_DELIVERY_ERROR;
	model.delivered_ms++;
	assert_int_equal(check(false).state, HOOK_FAILING);
	assert_non_null(strstr(row().hint, "EYES_EVENTS=relay"));
	assert_null(strstr(row().hint, "certificate"));
	model.words = "PKIX path building failed: unable to find valid certification path";
	assert_int_equal(check(false).state, HOOK_FAILING);
	assert_non_null(strstr(row().hint, "certificate"));
	assert_non_null(strstr(row().hint, "Java"));
}

static void verdicts_of_the_repository(void **state)
{
	(void)state;
	(void)check(false);
	model.slug = "shop";
	assert_int_equal(check(false).state, HOOK_BROKEN);
	assert_string_equal(told.code, "repo_renamed");
	assert_non_null(strstr(row().error, "PRJ/shop"));
	model.slug = NULL;
	model.archived = true;
	(void)check(false);
	assert_string_equal(told.code, "repo_archived");
	model.archived = false;
	fail_next(OP_LOOK, 1, SCM_BLOCKED, SCM_SCOPE_REPOSITORY, 404, "repo_unknown");
	(void)check(false);
	assert_string_equal(told.code, "repo_gone");
	assert_int_equal(check(false).state, HOOK_OK);
	assert_int_equal(flow_state(&flow, repo), REPO_ENABLED); /* statuses go on */
}

static void not_admin(void **state)
{
	(void)state;
	fail_next(OP_LIST, 1, SCM_BLOCKED, SCM_SCOPE_REPOSITORY, 401, "not_admin");
	assert_int_equal(check(false).state, HOOK_MANUAL);
	assert_string_equal(told.code, "not_admin");
	/* Somebody entered it; now the token may see it. */
	char *url = mem_printf(
	    "%s/api/bitbucket-events-proxy/%u?instance=%s", OWN_URL, repo, hooks_instance(hooks));
	add("Events for Eyes", url);
	free(url);
	assert_int_equal(check(false).state, HOOK_OK);
	assert_true(row().by_hand);
	assert_int_equal(model.count, 1);
	assert_int_equal(check(false).state, HOOK_OK);
	assert_string_equal(model.ops, "kl");
}

static void unreachable_changes_nothing(void **state)
{
	(void)state;
	(void)check(false);
	fail_next(OP_LOOK, 1, SCM_TEMPORARY, SCM_SCOPE_SERVER, 0, "server_cut");
	assert_int_equal(check(false).state, HOOK_OK);
	assert_string_equal(told.code, "server_cut");
	assert_string_equal(row().code, "");
	struct dispatcher_health health;
	assert_true(dispatcher_health(flow.dispatcher, server, &health));
	assert_true(health.failing); /* the dispatcher was told */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(makes_it),
	    TEST(doubtful_and_there),
	    TEST(doubtful_and_not_there),
	    TEST(lost_commit_is_adopted),
	    TEST(three_repairs_then_conflict),
	    TEST(old_repairs_do_not_count),
	    TEST(another_url_is_no_repair),
	    TEST(deliveries_fail),
	    TEST(a_good_test_hides_no_refusal),
	    TEST(a_bad_test_shows_until_a_good_one),
	    TEST(a_lost_secret_is_given_again_once),
	    TEST(doubts_of_the_inbox),
	    TEST(a_direct_address_that_takes_nothing),
	    TEST(verdicts_of_the_repository),
	    TEST(not_admin),
	    TEST(unreachable_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
