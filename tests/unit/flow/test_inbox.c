/* flow/inbox: who is let in, what is stored, and when it is answered. */
#include "unit/flow/inbox_test.h"

/* ---- who is let in ---- */

static void test_signatures(void **state)
{
	char good[80], upper[80], wrong[80], other_body[80], spaced[90];
	const struct {
		const char *signature;
		int result;
	} cases[] = {
	    {"", INBOX_UNSIGNED},
	    {wrong, INBOX_FORGED},
	    {other_body, INBOX_FORGED},
	    {good + 7, INBOX_FORGED},
	    {spaced, INBOX_FORGED},
	    {"sha256=", INBOX_FORGED},
	    {"sha1=0000000000000000000000000000000000000000", INBOX_FORGED},
	    {"sha256=zz", INBOX_FORGED},
	    {good, INBOX_ACCEPTED},
	    {upper, INBOX_ACCEPTED},
	};

	(void)state;
	snprintf(good, sizeof(good), "%s", sign_for(web, BODY));
	snprintf(upper, sizeof(upper), "%s", good);
	for (char *c = upper + 7; *c != '\0'; c++)
		*c = *c >= 'a' ? (char)(*c - 32) : *c;
	snprintf(wrong, sizeof(wrong), "%s", good);
	wrong[70] = wrong[70] == '0' ? '1' : '0';
	snprintf(other_body, sizeof(other_body), "%s", sign_for(web, BODY " "));
	snprintf(spaced, sizeof(spaced), "%s ", good);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char id[16];

		snprintf(id, sizeof(id), "%zu", i);
		struct inbox_event event = event_of(id, cases[i].signature, BODY);
		int result = send_event(web, &event);
		if (result != cases[i].result)
			fail_msg("%s: %d, not %d", cases[i].signature, result, cases[i].result);
	}
	assert_int_equal(waiting(), 2);
}

/* Genuine for another repository is not genuine here; where nothing is taken, nothing is told. */
static void test_whose(void **state)
{
	struct inbox_event event = event_of("1", sign_for(off, BODY), BODY);

	(void)state;
	assert_int_equal(send_event(web, &event), INBOX_FORGED);
	assert_int_equal(send_event(off, &event), INBOX_UNKNOWN);
	assert_int_equal(send_event(direct, &event), INBOX_UNKNOWN);
	assert_int_equal(send_event(4711, &event), INBOX_UNKNOWN);
	assert_int_equal(waiting(), 0);
}

/* By the head alone. */
static void test_expect(void **state)
{
	char good[80], wrong[80];

	(void)state;
	snprintf(good, sizeof(good), "%s", sign_for(web, BODY));
	snprintf(wrong, sizeof(wrong), "sha256=%064d", 0);
	for (unsigned round = 0; round < 2; round++) { /* asked for, and remembered */
		assert_int_equal(inbox_expect(inbox, web, good), INBOX_ACCEPTED);
		assert_int_equal(inbox_expect(inbox, web, wrong), INBOX_ACCEPTED);
		assert_int_equal(inbox_expect(inbox, web, ""), INBOX_UNSIGNED);
		assert_int_equal(inbox_expect(inbox, web, good + 7), INBOX_FORGED);
		assert_int_equal(inbox_expect(inbox, web, "sha256="), INBOX_FORGED);
		assert_int_equal(inbox_expect(inbox, off, good), INBOX_UNKNOWN);
		assert_int_equal(inbox_expect(inbox, direct, good), INBOX_UNKNOWN);
		assert_int_equal(inbox_expect(inbox, 4711, good), INBOX_UNKNOWN);
		assert_int_equal(inbox_expect(inbox, 0, wrong), INBOX_ACCEPTED);
		assert_int_equal(inbox_expect(inbox, 0, ""), INBOX_UNSIGNED);
	}
	flow_disable(&flow, web);
	bus_publish(flow.bus, BUS_REPOSITORY, web);
	store_turn(&flow.store, 1);
	assert_int_equal(inbox_expect(inbox, web, good), INBOX_UNKNOWN);
	inbox_free(inbox);
	github.length = 0;
	open_inbox();
	assert_int_equal(inbox_expect(inbox, 0, wrong), INBOX_OFF);
	github.length = 26;
}

static void test_old_secret(void **state)
{
	struct inbox_event event;
	char old[80];

	(void)state;
	snprintf(old, sizeof(old), "%s", sign_for(web, BODY));
	event = event_of("1", old, BODY);
	assert_int_equal(send_event(web, &event), INBOX_ACCEPTED);
	assert_true(hooks_rotate_secret(hooks, web, clock_wall_ms(), &flow.store.err));
	inbox_forget(inbox, web);
	event.request_id = "2";
	assert_int_equal(send_event(web, &event), INBOX_ACCEPTED);
	assert_int_equal(send_signed(web, "3", BODY), INBOX_ACCEPTED);
	/* The same one again is known, whichever secret signed it. */
	assert_int_equal(send_event(web, &event), INBOX_KNOWN);
	assert_int_equal(send_signed(web, "2", BODY), INBOX_KNOWN);
	assert_int_equal(send_signed(web, "1", BODY), INBOX_KNOWN);
	assert_int_equal(waiting(), 3);
	/* An hour ago: it does not count any more. */
	assert_true(hooks_rotate_secret(
	    hooks, web, clock_wall_ms() - HOOKS_OLD_SECRET_MS - 1, &flow.store.err));
	inbox_forget(inbox, web);
	event.request_id = "4";
	assert_int_equal(send_event(web, &event), INBOX_FORGED);
	assert_int_equal(waiting(), 3);
}

/* It ends while it is remembered. */
static void test_old_secret_ends(void **state)
{
	char old[80];
	struct inbox_event event;
	uint64_t until = clock_monotonic_ms() + 5000;
	int result = INBOX_ACCEPTED;

	(void)state;
	snprintf(old, sizeof(old), "%s", sign_for(web, BODY));
	assert_true(hooks_rotate_secret(
	    hooks, web, clock_wall_ms() - HOOKS_OLD_SECRET_MS + 300, &flow.store.err));
	inbox_forget(inbox, web);
	event = event_of("1", old, BODY);
	assert_int_equal(send_event(web, &event), INBOX_ACCEPTED);
	while (result != INBOX_FORGED && clock_monotonic_ms() < until) {
		store_turn(&flow.store, 10);
		result = send_event(web, &event);
	}
	assert_int_equal(result, INBOX_FORGED);
	assert_int_equal(send_signed(web, "2", BODY), INBOX_ACCEPTED);
}

/* Asked for twice before anybody entered one: what the server has is taken on. */
static void test_rotated_twice(void **state)
{
	struct inbox_event event;
	struct record_hook hook;
	char there[80];

	(void)state;
	snprintf(there, sizeof(there), "%s", sign_for(web, BODY));
	event = event_of("1", there, BODY);
	assert_int_equal(send_event(web, &event), INBOX_ACCEPTED);
	assert_true(hooks_get(hooks, web, &hook));
	assert_true(hook.secret_there);
	for (int i = 0; i < 2; i++)
		assert_true(hooks_rotate_secret(hooks, web, clock_wall_ms(), &flow.store.err));
	inbox_forget(inbox, web);
	event.request_id = "2";
	assert_int_equal(send_event(web, &event), INBOX_ACCEPTED);
	assert_true(hooks_get(hooks, web, &hook));
	assert_false(hook.secret_there); /* it was the old one that fitted */
	assert_int_equal(send_signed(web, "3", BODY), INBOX_ACCEPTED);
	assert_true(hooks_get(hooks, web, &hook));
	assert_true(hook.secret_there); /* within the minute as well */
	event.request_id = "4";
	assert_int_equal(send_event(web, &event), INBOX_ACCEPTED);
}

static unsigned doubts;
static void on_doubt(uint32_t repo, void *arg)
{
	assert_ptr_equal(arg, &doubts);
	assert_int_equal(repo, web);
	doubts++;
}

/* Several in a row that are not genuine: the webhook may have lost its secret. */
static void test_doubt(void **state)
{
	struct inbox_event bad = event_of("1", "", BODY);
	const char genuine[] = "gbgbbgbbbgbb"; /* g: a genuine one between */

	(void)state;
	doubts = 0;
	inbox_on_doubt(inbox, on_doubt, &doubts);
	for (size_t i = 0; i < sizeof(genuine) - 1; i++) {
		char id[8];

		snprintf(id, sizeof(id), "g%zu", i);
		bad.signature = i % 2 == 0 ? "" : "sha256=00";
		if (genuine[i] == 'g')
			assert_int_equal(send_signed(web, id, BODY), INBOX_ACCEPTED);
		else
			(void)send_event(web, &bad);
	}
	assert_int_equal(doubts, 1);
	/* Nobody is told of repositories that may not send. */
	for (int i = 0; i < 5; i++) {
		(void)send_event(off, &bad);
		(void)send_event(4711, &bad);
	}
	inbox_on_doubt(inbox, NULL, NULL);
	for (int i = 0; i < 5; i++)
		(void)send_event(web, &bad);
	assert_int_equal(doubts, 1);
}

/* What changed is told over the bus: the repository was disabled. */
static void test_disabled(void **state)
{
	(void)state;
	assert_int_equal(send_signed(web, "1", BODY), INBOX_ACCEPTED);
	flow_disable(&flow, web);
	bus_publish(flow.bus, BUS_REPOSITORY, web);
	store_turn(&flow.store, 1);
	assert_int_equal(send_signed(web, "2", BODY), INBOX_UNKNOWN);
}

static void test_malformed(void **state)
{
	static char long_key[200], long_headers[EVENTS_HEADERS_MAX + 2];
	static const struct {
		const char *key, *id, *type, *headers;
	} cases[] = {
	    {"", "1", "", ""},
	    {"a b", "1", "", ""},
	    {"a\xc3\xa9", "1", "", ""},
	    {long_key, "1", "", ""},
	    {"repo:x", "a b", "", ""},
	    {"repo:x", "1", "text\x01", ""},
	    {"repo:x", "1", "", "no line end"},
	    {"repo:x", "1", "", "no colon\n"},
	    {"repo:x", "1", "", ": no name\n"},
	    {"repo:x", "1", "", "X: a\r\n"},
	    {"repo:x", "1", "", long_headers},
	};
	struct inbox_event event = event_of("1", sign_for(web, BODY), BODY);

	(void)state;
	memset(long_key, 'k', sizeof(long_key) - 1);
	memset(long_headers, 'h', EVENTS_HEADERS_MAX + 1);
	memcpy(long_headers, "X: ", 3);
	long_headers[EVENTS_HEADERS_MAX] = '\n';
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		event.key = cases[i].key;
		event.request_id = cases[i].id;
		event.content_type = cases[i].type;
		event.headers = cases[i].headers;
		if (send_event(web, &event) != INBOX_MALFORMED)
			fail_msg("case %zu is taken", i);
	}
	/* The signature comes first. */
	event.signature = "sha256=00";
	assert_int_equal(send_event(web, &event), INBOX_FORGED);
	assert_int_equal(waiting(), 0);
}

static void test_pings(void **state)
{
	struct inbox_event event = event_of("", "", "{\"test\": true}");
	struct record_hook hook, before;

	(void)state;
	event.key = "diagnostics:ping";
	assert_int_equal(send_event(web, &event), INBOX_PONG);
	assert_true(hooks_get(hooks, web, &hook));
	assert_int_equal(hook.delivered_ms, 0);
	event.signature = "sha256=00";
	assert_int_equal(send_event(web, &event), INBOX_FORGED);
	event.signature = sign_for(web, "{\"test\": true}");
	assert_int_equal(send_event(web, &event), INBOX_PONG);
	assert_int_equal(send_event(off, &event), INBOX_UNKNOWN);
	assert_int_equal(waiting(), 0);
	/* An unsigned one may be anybody's: it says nothing of deliveries. */
	event.signature = "";
	for (int i = 0; i < 3; i++) {
		make_hook(web, (enum hook_state[]){HOOK_MANUAL, HOOK_FAILING, HOOK_OK}[i], true);
		assert_true(hooks_get(hooks, web, &before));
		inbox_forget(inbox, web);
		assert_int_equal(send_event(web, &event), INBOX_PONG);
		assert_true(hooks_get(hooks, web, &hook));
		assert_int_equal(hook.state, before.state);
		assert_int_equal(hook.delivered_ms, 0);
		assert_false(hook.by_hand);
	}
	/* A signed one does. */
	make_hook(web, HOOK_MANUAL, true);
	inbox_forget(inbox, web);
	event.signature = sign_for(web, "{\"test\": true}");
	assert_int_equal(send_event(web, &event), INBOX_PONG);
	assert_true(hooks_get(hooks, web, &hook));
	assert_int_equal(hook.state, HOOK_OK);
	assert_true(hook.by_hand);
}

/* ---- GitHub ---- */

static void test_github(void **state)
{
	struct answer answer = {.result = -1};
	/* The example of GitHub, "Validating webhook deliveries". */
	struct inbox_event event = event_of("72d3162e",
	    "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
	    "Hello, World!");
	struct event_entry entry;

	(void)state;
	event.key = "push";
	inbox_github(inbox, &event, on_answer, &answer);
	assert_int_equal(answer.result, -1);
	settle();
	assert_int_equal(answer.result, INBOX_ACCEPTED);
	assert_true(events_first(events, EVENTS_GITHUB, &entry));
	assert_string_equal(entry.key, "push");
	event.body = "Hello, World?";
	inbox_github(inbox, &event, on_answer, &answer);
	assert_int_equal(answer.result, INBOX_FORGED);
	event.signature = "";
	inbox_github(inbox, &event, on_answer, &answer);
	assert_int_equal(answer.result, INBOX_UNSIGNED);
	event.key = "ping"; /* signed like all others */
	inbox_github(inbox, &event, on_answer, &answer);
	assert_int_equal(answer.result, INBOX_UNSIGNED);
	event.signature = sign(&github, event.body);
	inbox_github(inbox, &event, on_answer, &answer);
	assert_int_equal(answer.result, INBOX_PONG);
	assert_int_equal(waiting(), 1);
	struct secret none = {0};
	inbox_free(inbox);
	inbox = inbox_new(&(struct inbox_options){.loop = flow.store.loop,
	    .db = flow.store.db,
	    .events = events,
	    .hooks = hooks,
	    .records = flow.records,
	    .github_secret = &none});
	inbox_github(inbox, &event, on_answer, &answer);
	assert_int_equal(answer.result, INBOX_OFF);
}

/* ---- into the store ---- */

/* Nobody is told before the commit; then all are, in order. */
static void test_after_commit(void **state)
{
	struct answer answers[300];
	uint64_t commits = db_commits(flow.store.db);
	char id[300][8];

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		answers[i] = (struct answer){.result = -1};
		snprintf(id[i], sizeof(id[i]), "%u", i % 200); /* 100 come twice */
		struct inbox_event event = event_of(id[i], sign_for(web, BODY), BODY);
		inbox_bitbucket(inbox, web, &event, on_answer, &answers[i]);
		assert_int_equal(answers[i].result, -1);
	}
	settle();
	for (unsigned i = 0; i < 300; i++) {
		assert_int_equal(answers[i].result, i < 200 ? INBOX_ACCEPTED : INBOX_KNOWN);
		assert_int_equal(answers[i].calls, 1);
		assert_true(answers[i].commits > commits);
	}
	assert_int_equal(waiting(), 200);
	settle();
	assert_int_equal(answers[0].calls, 1);
}

static void test_stored_as_it_came(void **state)
{
	static const char body[] = "{\"a\": \"\xc3\xa9\xff\" , }\r\n";
	struct inbox_event event = event_of("abc-1", sign_for(web, body), body);
	struct event_entry entry;
	int64_t now = clock_wall_ms();

	(void)state;
	event.content_type = "application/json; charset=utf-8";
	event.headers = "X-Event-Key: repo:refs_changed\nX-Request-Id: abc-1\n";
	assert_int_equal(send_event(web, &event), INBOX_ACCEPTED);
	assert_true(events_first(events, web, &entry));
	assert_string_equal(entry.key, "repo:refs_changed");
	assert_string_equal(entry.request_id, "abc-1");
	assert_string_equal(entry.headers, event.headers);
	assert_string_equal(entry.content_type, event.content_type);
	assert_int_equal(entry.body_length, sizeof(body) - 1);
	assert_memory_equal(entry.body, body, sizeof(body) - 1);
	assert_true(entry.received_ms >= now && entry.received_ms <= now + 5000);
}

static void test_full(void **state)
{
	(void)state;
	inbox_free(inbox);
	open_events(2);
	open_inbox();
	assert_int_equal(send_signed(web, "1", BODY), INBOX_ACCEPTED);
	assert_int_equal(send_signed(web, "2", BODY), INBOX_ACCEPTED);
	assert_int_equal(send_signed(web, "3", BODY), INBOX_FULL);
	assert_int_equal(send_signed(web, "2", BODY), INBOX_KNOWN);
	assert_int_equal(waiting(), 2);
}

/* A commit fails: who waited is told, the next one is not, and nothing of it is there. */
static void test_lost_group(void **state)
{
	struct answer lost = {.result = -1}, kept = {.result = -1};
	struct inbox_event event = event_of("1", sign_for(web, BODY), BODY);

	(void)state;
	inbox_bitbucket(inbox, web, &event, on_answer, &lost);
	flow_lose(&flow);
	event.request_id = "2";
	event.signature = sign_for(web, BODY);
	inbox_bitbucket(inbox, web, &event, on_answer, &kept);
	settle();
	assert_int_equal(lost.result, INBOX_FAILED);
	assert_string_equal(lost.code, "store_full");
	assert_int_equal(kept.result, INBOX_ACCEPTED);
	assert_int_equal(waiting(), 1);
	assert_int_equal(send_signed(web, "1", BODY), INBOX_ACCEPTED);
}

/* A known one waits without a group, then a new one comes in the same turn: each is told of its
 * own. */
static void known_then_new(bool at_commit)
{
	struct answer known = {.result = -1}, fresh = {.result = -1}, again = {.result = -1};
	struct inbox_event event = event_of("1", sign_for(web, BODY), BODY);

	assert_int_equal(send_event(web, &event), INBOX_ACCEPTED);
	settle();
	inbox_bitbucket(inbox, web, &event, on_answer, &known);
	event.request_id = "2";
	inbox_bitbucket(inbox, web, &event, on_answer, &fresh);
	inbox_bitbucket(inbox, web, &event, on_answer, &again);
	assert_int_equal(known.result, -1);
	if (at_commit)
		flow.lose_commit = true;
	else
		flow_lose(&flow);
	store_turn(&flow.store, 5);
	assert_int_equal(known.result, INBOX_KNOWN);
	assert_int_equal(fresh.result, INBOX_FAILED);
	assert_int_equal(again.result, INBOX_FAILED);
	assert_true(known.calls == 1 && fresh.calls == 1 && again.calls == 1);
	assert_int_equal(waiting(), 1);
}

static void test_known_then_lost(void **state)
{
	(void)state;
	known_then_new(false);
}

static void test_known_then_lost_at_commit(void **state)
{
	(void)state;
	known_then_new(true);
}

/* Who waits is told also when the inbox has gone. */
static void test_freed_while_waiting(void **state)
{
	struct answer answer = {.result = -1};
	struct inbox_event event = event_of("1", sign_for(web, BODY), BODY);

	(void)state;
	inbox_bitbucket(inbox, web, &event, on_answer, &answer);
	inbox_free(inbox);
	inbox = NULL;
	settle();
	assert_int_equal(answer.result, INBOX_ACCEPTED);
}

/* More senders than are remembered. */
static void test_many_senders(void **state)
{
	enum { COUNT = 1100 };
	static uint32_t repos[COUNT];

	(void)state;
	for (unsigned i = 0; i < COUNT; i++) {
		struct secret secret = {.data = (char *)(uintptr_t) "t", .length = 1};
		char slug[20];
		struct record_repo repo = {.server = server,
		    .project = "prj",
		    .slug = slug,
		    .name = "",
		    .state = REPO_ENABLED,
		    .owner = "",
		    .error = "",
		    .error_code = "",
		    .webhook = ""};

		snprintf(slug, sizeof(slug), "r%u", i);
		assert_true(records_put_repo(flow.records, &repo, &secret, &flow.store.err));
		repos[i] = repo.id;
		struct record_hook hook = {.repo = repo.id,
		    .relay = true,
		    .id = "",
		    .url = "",
		    .events = "",
		    .code = "",
		    .error = "",
		    .hint = ""};
		assert_true(hooks_put(hooks, &hook, &flow.store.err));
		assert_true(hooks_make_secret(hooks, repo.id, &flow.store.err));
	}
	settle();
	inbox_free(inbox);
	open_events(10000);
	open_inbox();
	for (unsigned round = 0; round < 2; round++) {
		struct answer answers[COUNT];

		for (unsigned i = 0; i < COUNT; i++) {
			struct inbox_event event =
			    event_of(round == 0 ? "0" : "1", sign_for(repos[i], BODY), BODY);

			answers[i] = (struct answer){.result = -1};
			inbox_bitbucket(inbox, repos[i], &event, on_answer, &answers[i]);
		}
		settle();
		for (unsigned i = 0; i < COUNT; i++)
			assert_int_equal(answers[i].result, INBOX_ACCEPTED);
	}
	assert_int_equal(waiting(), 2 * COUNT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_signatures),
	    TEST(test_whose),
	    TEST(test_expect),
	    TEST(test_old_secret),
	    TEST(test_old_secret_ends),
	    TEST(test_rotated_twice),
	    TEST(test_doubt),
	    TEST(test_disabled),
	    TEST(test_malformed),
	    TEST(test_pings),
	    TEST(test_github),
	    TEST(test_after_commit),
	    TEST(test_stored_as_it_came),
	    TEST(test_full),
	    TEST(test_lost_group),
	    TEST(test_known_then_lost),
	    TEST(test_known_then_lost_at_commit),
	    TEST(test_freed_while_waiting),
	    TEST(test_many_senders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
