/* flow/webhook_keeper: when which webhook is looked at, their secrets, and removing them. */
#include "unit/flow/webhook_test.h"

/* ---- pace ---- */

static void slowed_down(void **state)
{
	unsigned char fingerprint[CRYPTO_SHA256];

	(void)state;
	fail_next(OP_LIST, 2, SCM_TEMPORARY, SCM_SCOPE_TOKEN, 429, "rate_limited");
	model.fault.rate_limited = true;
	model.fault.retry_after_ms = 30;
	assert_int_equal(check(false).state, HOOK_OK); /* it was asked again, not reported */
	assert_string_equal(model.ops, "lllpt");
	crypto_sha256(fingerprint, "token-1", 7);
	assert_true(dispatcher_token_wait(flow.dispatcher, server, fingerprint) > 0);
}

static void refused_token(void **state)
{
	unsigned char fingerprint[CRYPTO_SHA256];

	(void)state;
	(void)check(false);
	fail_next(OP_LOOK, 1, SCM_BLOCKED, SCM_SCOPE_TOKEN, 401, "token_refused");
	(void)check(false);
	assert_string_equal(told.code, "token_refused");
	assert_int_equal(flow_state(&flow, repo), REPO_BLOCKED);
	crypto_sha256(fingerprint, "token-1", 7);
	assert_true(dispatcher_token_wait(flow.dispatcher, server, fingerprint) == UINT64_MAX);
	model.ops[0] = '\0';
	webhook_keeper_changed(keeper, repo); /* nobody asks: it is not tried */
	flow_for(&flow, 120);
	assert_string_equal(model.ops, "");
	assert_int_equal(check(false).state, HOOK_OK); /* a person asks, and it works again */
	assert_int_equal(flow_state(&flow, repo), REPO_ENABLED);
}

static bool has_open(struct flow *f, unsigned count)
{
	(void)f;
	return model.open_count >= count;
}

/* Twelve repositories, `each` of them with the same token. */
static void add_repos(uint32_t repos[12], unsigned each)
{
	char slug[16], token[16];

	for (unsigned i = 0; i < 12; i++) {
		snprintf(slug, sizeof(slug), "r%u", i);
		snprintf(token, sizeof(token), "token-%u", i / each + 10);
		repos[i] = flow_repo(&flow, server, slug, token);
	}
}

static void one_per_token(void **state)
{
	uint32_t repos[12];

	(void)state;
	model.hold = true;
	add_repos(repos, 2);
	for (unsigned i = 0; i < 12; i++)
		webhook_keeper_changed(keeper, repos[i]);
	flow_until(&flow, has_open, 6, "request");
	flow_for(&flow, 20);
	assert_int_equal(model.open_count, 6);
	for (unsigned i = 0; i < 6; i++) /* none of the same token: every second one */
		for (unsigned k = i + 1; k < 6; k++)
			assert_true(
			    atoi(model.open[i].repo + 1) / 2 != atoi(model.open[k].repo + 1) / 2);
	model.hold = false;
	answer_all(NULL);
	flow_for(&flow, 50);
}

/* What a person waits for goes faster: four at once of a token, eight of a server. */
static void asked_at_once(void **state)
{
	static const unsigned EACH[] = {12, 2}, MOST[] = {4, 8};
	uint32_t repos[12];

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		model.hold = true;
		model.open_most = 0;
		told.count = 0;
		add_repos(repos, EACH[round]);
		for (unsigned i = 0; i < 12; i++)
			webhook_keeper_check(keeper, repos[i], "root", false, tell, NULL);
		flow_until(&flow, has_open, MOST[round], "request");
		flow_for(&flow, 20);
		assert_int_equal(model.open_count, MOST[round]);
		model.hold = false;
		answer_all(NULL);
		flow_until(&flow, is_told, 12, "outcomes");
		assert_true(model.open_most <= MOST[round]);
	}
}

static bool has_hook(struct flow *f, unsigned count)
{
	(void)f;
	return model.count >= count;
}

static void by_itself(void **state)
{
	(void)state;
	webhook_keeper_free(keeper);
	period_ms = 200;
	open_keeper();
	webhook_keeper_start(keeper);
	flow_until(&flow, has_hook, 1, "webhook at start");
	flow_for(&flow, 20);
	model.count = 0;
	flow_until(&flow, has_hook, 1, "webhook again");
	flow_for(&flow, 20);
	assert_int_equal(audited("webhook.repair"), 1);
}

/* ---- secrets ---- */

static bool counts(const char *secret)
{
	struct secret current = {0}, old = {0};
	bool is;

	assert_true(hooks_secret(hooks, repo, clock_wall_ms(), &current, &old, &flow.store.err));
	is = strcmp(current.data, secret) == 0 || (old.length > 0 && strcmp(old.data, secret) == 0);
	secret_free(&current);
	secret_free(&old);
	return is;
}

static void rotate(void)
{
	webhook_keeper_rotate(keeper, repo, "root", tell, NULL);
	wait_told();
}

static void rotates(void **state)
{
	char old[80];

	(void)state;
	(void)check(false);
	memcpy(old, model.hooks[0].secret, sizeof(old));
	rotate();
	assert_int_equal(told.state, HOOK_OK);
	assert_string_equal(told.code, "");
	assert_string_not_equal(model.hooks[0].secret, old);
	assert_true(counts(old) && counts(model.hooks[0].secret));
	assert_int_equal(audited("webhook.rotate"), 1);
	assert_int_equal(audited("webhook.repair"), 0);
}

static void rotation_that_fails_keeps_the_one_in_use(void **state)
{
	char used[80];

	(void)state;
	(void)check(false);
	memcpy(used, model.hooks[0].secret, sizeof(used));
	for (int i = 0; i < 3; i++) { /* also asked for again and again */
		fail_next(OP_PUT, 1, SCM_TEMPORARY, SCM_SCOPE_SERVER, 503, "server_5xx");
		rotate();
		assert_int_equal(told.state, HOOK_BROKEN);
		assert_string_equal(model.hooks[0].secret, used);
		assert_true(counts(used));
	}
	assert_int_equal(audited("webhook.rotate"), 1);
	/* A server that does not tell secrets: it is written all the same. */
	assert_int_equal(check(false).state, HOOK_OK);
	assert_string_not_equal(model.hooks[0].secret, used);
	assert_true(counts(model.hooks[0].secret));
}

/* ---- EYES_WEBHOOK_SECRET, at start ---- */

static void restart(const char *secret)
{
	webhook_keeper_free(keeper);
	sign =
	    (struct secret){.data = (char *)(uintptr_t)secret, .length = (uint32_t)strlen(secret)};
	model.ops[0] = '\0';
	open_keeper();
	webhook_keeper_start(keeper);
}

/* The server has what is wanted now, and the row says so. */
static bool has_secret(struct flow *f, unsigned count)
{
	struct record_hook now;

	(void)f;
	return model.count == count && hooks_get(hooks, repo, &now) && now.events[0] != '\0' &&
	       strcmp(model.hooks[0].secret, sign.length > 0 ? sign.data : "") == 0;
}

static void another_secret_is_given_at_start(void **state)
{
	(void)state;
	relay = false;
	restart("");
	flow_until(&flow, has_secret, 1, "webhook without a secret");
	flow_for(&flow, 20);
	restart("");
	flow_for(&flow, 50);
	assert_string_equal(model.ops, ""); /* as it was: at its time */
	restart("first");
	flow_until(&flow, has_secret, 1, "first secret");
	flow_for(&flow, 20);
	restart("second");
	flow_until(&flow, has_secret, 1, "second secret");
	flow_for(&flow, 20);
	assert_string_equal(model.ops, "lpt");
	restart("second");
	flow_for(&flow, 50);
	assert_string_equal(model.ops, "");
	restart("");
	flow_until(&flow, has_secret, 1, "no secret any more");
	flow_for(&flow, 20);
	assert_int_equal(row().state, HOOK_OK);
	assert_string_equal(row().id, model.hooks[0].id);
	assert_int_equal(row().repairs[0], 0);
	assert_int_equal(audited("webhook.repair"), 0);
	assert_int_equal(audited("webhook.make"), 1);
	assert_int_equal(audited("webhook.change"), 3);
}

static void another_secret_survives_a_restart(void **state)
{
	(void)state;
	relay = false;
	restart("first");
	flow_until(&flow, has_secret, 1, "first secret");
	flow_for(&flow, 20);
	model.hold_at = OP_LIST;
	restart("second");
	flow_until(&flow, has_open, 1, "request");
	assert_string_equal(model.hooks[0].secret, "first");
	store_commit(&flow.store);
	webhook_keeper_free(keeper); /* its request is never answered */
	keeper = NULL;
	model.open_count = 0;
	model.hold = false;
	model.hold_at = OP_LOOK;
	restart("second");
	flow_until(&flow, has_secret, 1, "second secret");
	assert_int_equal(audited("webhook.repair"), 0);
}

/* Each webhook is written again, one after the other of a token. */
static void another_secret_is_paced(void **state)
{
	uint32_t repos[12];
	char url[256];

	(void)state;
	relay = false;
	restart("first");
	flow_until(&flow, has_secret, 1, "first secret");
	flow_for(&flow, 20);
	add_repos(repos, 12);
	snprintf(url, sizeof(url), "https://e.example.com/e?instance=%s", hooks_instance(hooks));
	for (unsigned i = 0; i < 12; i++)
		assert_true(hooks_put(hooks,
		    &(struct record_hook){.repo = repos[i],
		        .state = HOOK_OK,
		        .id = "1",
		        .url = url,
		        .events = "pr:opened",
		        .code = "",
		        .error = "",
		        .hint = ""},
		    &flow.store.err));
	store_commit(&flow.store);
	restart("first");
	flow_for(&flow, 50);
	assert_string_equal(model.ops, "");
	model.hold = true;
	restart("second");
	flow_until(&flow, has_open, 2, "requests"); /* of two tokens */
	flow_for(&flow, 20);
	assert_int_equal(model.open_count, 2);
	store_commit(&flow.store);
	for (unsigned i = 0; i < 12; i++) {
		struct record_hook marked;

		assert_true(hooks_get(hooks, repos[i], &marked));
		assert_string_equal(marked.events, "");
	}
}

static bool is_manual(struct flow *f, unsigned count)
{
	(void)f, (void)count;
	return row().state == HOOK_MANUAL;
}

/* The token may not administer any more: what is there has the secret of before. */
static void another_secret_that_cannot_be_given(void **state)
{
	(void)state;
	relay = false;
	restart("first");
	flow_until(&flow, has_secret, 1, "first secret");
	flow_for(&flow, 20);
	model.admin = false;
	assert_int_equal(check(false).state, HOOK_OK); /* nothing says that it is not */
	assert_string_equal(told.code, "not_admin");
	fail_next(OP_LIST, 1, SCM_BLOCKED, SCM_SCOPE_REPOSITORY, 401, "not_admin");
	restart("second");
	flow_until(&flow, is_manual, 1, "manual webhook");
	assert_string_equal(row().code, "not_admin");
	assert_string_equal(model.hooks[0].secret, "first");
}

/* The relay's webhooks have secrets of their own. */
static void the_relay_has_its_own_secrets(void **state)
{
	char own[80];

	(void)state;
	(void)check(false);
	memcpy(own, model.hooks[0].secret, sizeof(own));
	restart("first");
	flow_for(&flow, 50);
	assert_string_equal(model.ops, "");
	assert_string_equal(model.hooks[0].secret, own);
	relay = false;
	restart("first");
	flow_until(&flow, has_secret, 1, "first secret");
	assert_int_equal(audited("webhook.repair"), 0);
}

/* ---- removing ---- */

static void disable(void)
{
	struct record_repo record;

	assert_true(records_repo(flow.records, repo, &record));
	record.state = REPO_DISABLED;
	assert_true(records_put_repo(flow.records, &record, NULL, &flow.store.err));
	store_commit(&flow.store);
}

static bool has_token(void)
{
	struct record_repo record;

	assert_true(records_repo(flow.records, repo, &record));
	return record.has_token;
}

static void removes(void **state)
{
	struct record_hook gone;

	(void)state;
	(void)check(false);
	add("jenkins", "https://ci.example.com/");
	disable();
	webhook_keeper_remove(keeper, repo, "root", tell, NULL);
	wait_told();
	assert_true(told.gone);
	assert_string_equal(told.code, "");
	assert_int_equal(model.count, 1);
	assert_string_equal(model.hooks[0].name, "jenkins");
	assert_false(hooks_get(hooks, repo, &gone));
	assert_false(has_token());
	assert_int_equal(audited("webhook.remove"), 1);
}

static void removal_is_tried_again(void **state)
{
	struct record_hook late;

	(void)state;
	(void)check(false);
	disable();
	fail_next(OP_LIST, 1, SCM_TEMPORARY, SCM_SCOPE_SERVER, 0, "server_cut");
	webhook_keeper_remove(keeper, repo, "root", tell, NULL);
	wait_told();
	assert_false(told.gone);
	assert_int_equal(told.state, HOOK_REMOVING);
	assert_true(has_token());
	/* After a week it is given up: nothing of ours keeps the token any longer. */
	late = row();
	late.changed_ms = clock_wall_ms() - 8 * 24 * 3600 * 1000ll;
	assert_true(hooks_put(hooks, &late, &flow.store.err));
	fail_next(OP_LIST, 1, SCM_TEMPORARY, SCM_SCOPE_SERVER, 0, "server_cut");
	webhook_keeper_remove(keeper, repo, "root", tell, NULL);
	wait_told();
	assert_true(told.gone);
	assert_string_equal(told.code, "server_cut");
	assert_false(has_token());
}

static void enabled_again_before_it_was_removed(void **state)
{
	(void)state;
	(void)check(false);
	disable();
	model.hold = true;
	webhook_keeper_remove(keeper, repo, "root", tell, NULL);
	flow_for(&flow, 5);
	flow_repo(&flow, server, "web", "token-2");
	model.hold = false;
	answer_all(NULL);
	wait_told();
	assert_false(told.gone);
	assert_true(has_token());
	assert_int_equal(check(false).state, HOOK_OK);
	assert_int_equal(model.count, 1);
}

static void enabled_again_while_it_was_removed(void **state)
{
	(void)state;
	(void)check(false);
	disable();
	model.hold_at = OP_DELETE;
	webhook_keeper_remove(keeper, repo, "root", tell, NULL);
	flow_for(&flow, 10);
	assert_true(model.hold);
	flow_repo(&flow, server, "web", "token-2");
	model.hold = false;
	model.hold_at = OP_LOOK;
	answer_all(NULL);
	wait_told();
	assert_false(told.gone);
	assert_true(has_token());
	assert_int_equal(check(false).state, HOOK_OK);
	assert_int_equal(model.count, 1);
	assert_string_equal(row().id, model.hooks[0].id);
	assert_int_equal(audited("webhook.repair"), 0);
}

static void many_cost_nothing(void **state)
{
	enum { MANY = 1200 };
	struct secret token = {.data = (char *)(uintptr_t) "token-1", .length = 7};
	char slug[16], url[256];
	uint64_t turns;

	(void)state;
	(void)check(false);
	for (int i = 0; i < MANY; i++) {
		struct record_repo record = {.server = server,
		    .project = "PRJ",
		    .slug = slug,
		    .name = slug,
		    .state = REPO_ENABLED,
		    .owner = "",
		    .error = "",
		    .error_code = "",
		    .webhook = ""};

		snprintf(slug, sizeof(slug), "m%d", i);
		assert_true(records_put_repo(flow.records, &record, &token, &flow.store.err));
		snprintf(url, sizeof(url), "%s/api/bitbucket-events-proxy/%u?instance=%s", OWN_URL,
		    record.id, hooks_instance(hooks));
		assert_true(hooks_put(hooks,
		    &(struct record_hook){.repo = record.id,
		        .state = HOOK_OK,
		        .relay = true,
		        .id = "1",
		        .url = url,
		        .events = "pr:opened",
		        .code = "",
		        .error = "",
		        .hint = ""},
		    &flow.store.err));
		if (i % 100 == 0)
			store_commit(&flow.store);
	}
	store_commit(&flow.store);
	webhook_keeper_free(keeper);
	period_ms = 24 * 3600 * 1000u;
	open_keeper();
	model.ops[0] = '\0';
	webhook_keeper_start(keeper);
	flow_for(&flow, 50);
	turns = loop_turns(flow.store.loop);
	flow_for(&flow, 1000);
	turns = loop_turns(flow.store.loop) - turns;
	/* flow_for itself turns once a millisecond; all but some are its own. */
	assert_true(turns < 1100);
	assert_true(strlen(model.ops) <= 2 * 2);
}

static void by_hand(void **state)
{
	char name[64], url[2048], events[256];
	struct secret first = {0}, second = {0}, old = {0};

	(void)state;
	assert_true(webhook_keeper_by_hand(keeper, repo, name, sizeof(name), url, sizeof(url),
	    events, sizeof(events), &flow.store.err));
	assert_non_null(strstr(name, hooks_instance(hooks)));
	assert_non_null(strstr(url, "?instance="));
	assert_string_equal(events, "repo:refs_changed pr:opened pr:modified pr:from_ref_updated "
	                            "pr:merged pr:declined pr:deleted");
	assert_true(hooks_secret(hooks, repo, clock_wall_ms(), &first, NULL, &flow.store.err));
	assert_true(webhook_keeper_by_hand(keeper, repo, name, sizeof(name), url, sizeof(url),
	    events, sizeof(events), &flow.store.err));
	assert_true(hooks_secret(hooks, repo, clock_wall_ms(), &second, &old, &flow.store.err));
	assert_string_not_equal(first.data, second.data);
	assert_string_equal(first.data, old.data);
	secret_free(&first);
	secret_free(&second);
	secret_free(&old);
}

static void make_by_hand(char secret[80])
{
	char name[64], url[2048], events[256];
	struct secret current = {0};

	assert_true(webhook_keeper_by_hand(keeper, repo, name, sizeof(name), url, sizeof(url),
	    events, sizeof(events), &flow.store.err));
	assert_true(hooks_secret(hooks, repo, clock_wall_ms(), &current, NULL, &flow.store.err));
	snprintf(secret, 80, "%s", current.data);
	secret_free(&current);
}

static char wanted_secret[80];
static bool is_written(struct flow *f, unsigned count)
{
	(void)f;
	return model.count == count && strcmp(model.hooks[0].secret, wanted_secret) == 0;
}

/* A webhook that is known at the server gets the new secret at once; until then the server's own
 * counts, however often somebody asks. */
static void by_hand_of_one_that_is_there(void **state)
{
	char there[80], second[80];

	(void)state;
	(void)check(false);
	memcpy(there, model.hooks[0].secret, sizeof(there));
	make_by_hand(second);
	make_by_hand(wanted_secret);
	assert_string_not_equal(second, wanted_secret);
	assert_true(counts(there) && counts(wanted_secret));
	assert_false(counts(second));
	flow_until(&flow, is_written, 1, "the webhook with the new secret");
	flow_for(&flow, 20);
	assert_true(counts(there) && counts(wanted_secret));
	assert_string_equal(row().events, "repo:refs_changed pr:opened");
	assert_true(row().secret_there);
	/* The server has it: it stays when another one is made. */
	make_by_hand(second);
	assert_true(counts(wanted_secret) && counts(second));
	assert_int_equal(audited("webhook.repair"), 0);
}

/* Another secret while the one before is on its way to the server. */
static void by_hand_meanwhile(void **state)
{
	(void)state;
	model.hold_at = OP_PUT;
	webhook_keeper_check(keeper, repo, "root", false, tell, NULL);
	flow_for(&flow, 20);
	assert_string_equal(model.ops, "lp");
	make_by_hand(wanted_secret);
	model.hold_at = OP_LOOK;
	model.hold = false;
	answer_all(NULL);
	flow_until(&flow, is_written, 1, "the webhook with the new secret");
	flow_for(&flow, 20);
	assert_true(row().secret_there);
	assert_string_equal(row().events, "repo:refs_changed pr:opened");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(slowed_down),
	    TEST(refused_token),
	    TEST(one_per_token),
	    TEST(asked_at_once),
	    TEST(by_itself),
	    TEST(rotates),
	    TEST(rotation_that_fails_keeps_the_one_in_use),
	    TEST(another_secret_is_given_at_start),
	    TEST(another_secret_survives_a_restart),
	    TEST(another_secret_is_paced),
	    TEST(another_secret_that_cannot_be_given),
	    TEST(the_relay_has_its_own_secrets),
	    TEST(removes),
	    TEST(removal_is_tried_again),
	    TEST(enabled_again_before_it_was_removed),
	    TEST(enabled_again_while_it_was_removed),
	    TEST(many_cost_nothing),
	    TEST(by_hand),
	    TEST(by_hand_of_one_that_is_there),
	    TEST(by_hand_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
