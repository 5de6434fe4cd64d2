/* flow/inbox and flow/event_commits: what an event teaches of its repository. */
#include "unit/flow/inbox_test.h"

#include "flow/event_commits.h"

static void test_noted(void **state)
{
	struct record_hook hook;
	int64_t now = clock_wall_ms(), first;

	(void)state;
	make_hook(web, HOOK_FAILING, true);
	inbox_forget(inbox, web);
	assert_int_equal(send_signed(web, "1", BODY), INBOX_ACCEPTED);
	assert_true(hooks_get(hooks, web, &hook));
	first = hook.delivered_ms;
	assert_true(first >= now);
	assert_int_equal(hook.state, HOOK_OK);
	assert_false(hook.by_hand);
	assert_string_equal(hook.code, "");
	/* Not again within the minute. */
	store_turn(&flow.store, 5);
	assert_int_equal(send_signed(web, "2", BODY), INBOX_ACCEPTED);
	assert_true(hooks_get(hooks, web, &hook));
	assert_int_equal(hook.delivered_ms, first);
	/* A forged one says nothing. */
	make_hook(web, HOOK_MANUAL, true);
	inbox_forget(inbox, web);
	struct inbox_event event = event_of("3", "sha256=00", BODY);
	assert_int_equal(send_event(web, &event), INBOX_FORGED);
	assert_true(hooks_get(hooks, web, &hook));
	assert_int_equal(hook.state, HOOK_MANUAL);
	assert_int_equal(send_signed(web, "4", BODY), INBOX_ACCEPTED);
	assert_true(hooks_get(hooks, web, &hook));
	assert_int_equal(hook.state, HOOK_OK);
	assert_true(hook.by_hand);
}

static bool knows(const char *commit, const char *ref)
{
	struct place place;
	char known[300];

	return places_commit(places, commit, &place) && place.count == 1 && place.repos[0] == web &&
	       places_ref(places, commit, web, known, sizeof(known)) && strcmp(known, ref) == 0;
}

#define CHANGED                                                                                    \
	"{\"date\":1234,\"changes\":[{\"ref\":{\"id\":\"refs/heads/main\"},\"toHash\":\"" COMMIT_A \
	"\",\"type\":\"UPDATE\"}]}"
#define PULL(project, slug)                                                                 \
	"{\"pullRequest\":{\"id\":1,\"fromRef\":{\"id\":\"refs/heads/f\","                  \
	"\"latestCommit\":\"" COMMIT_B "\",\"repository\":{\"slug\":\"" slug                \
	"\",\"project\":{\"key\":\"" project "\"}}},\"toRef\":{\"id\":\"refs/heads/main\"," \
	"\"latestCommit\":\"cccccccccccccccccccccccccccccccccccccccc\"}}}"

static void test_teaches(void **state)
{
	struct inbox_event event;

	(void)state;
	assert_int_equal(send_signed(web, "1", CHANGED), INBOX_ACCEPTED);
	assert_true(knows(COMMIT_A, "refs/heads/main"));
	event = event_of("2", sign_for(web, PULL("PRJ", "fork")), PULL("PRJ", "fork"));
	event.key = "pr:opened";
	assert_int_equal(send_event(web, &event), INBOX_ACCEPTED);
	assert_false(knows(COMMIT_B, "refs/heads/f"));
	event = event_of("3", sign_for(web, PULL("prj", "Web")), PULL("prj", "Web"));
	event.key = "pr:opened";
	assert_int_equal(send_event(web, &event), INBOX_ACCEPTED);
	assert_true(knows(COMMIT_B, "refs/heads/f"));
}

static void test_large_is_not_parsed(void **state)
{
	static char body[INBOX_PARSE_MAX + 1];

	(void)state;
	memset(body, ' ', sizeof(body) - 1);
	memcpy(body, CHANGED, strlen(CHANGED));
	assert_int_equal(strlen(body), INBOX_PARSE_MAX);
	assert_int_equal(send_signed(web, "1", body), INBOX_ACCEPTED);
	assert_true(knows(COMMIT_A, "refs/heads/main"));
	static char larger[INBOX_PARSE_MAX + 2];
	memset(larger, ' ', sizeof(larger) - 1);
	memcpy(larger, PULL("PRJ", "web"), strlen(PULL("PRJ", "web")));
	struct inbox_event event = event_of("2", sign_for(web, larger), larger);
	event.key = "pr:opened";
	assert_int_equal(send_event(web, &event), INBOX_ACCEPTED);
	assert_false(knows(COMMIT_B, "refs/heads/f"));
}

static struct event_commit told[EVENT_COMMITS_MAX + 1];
static unsigned told_count;
static void on_told(const struct event_commit *commit, void *arg)
{
	(void)arg;
	assert_true(told_count < EVENT_COMMITS_MAX);
	told[told_count++] = *commit;
}

#define CHANGE(ref, hash, type) \
	"{\"type\":\"" type "\",\"toHash\":\"" hash "\",\"ref\":{\"id\":\"" ref "\"}}"
static void test_event_commits(void **state)
{
	static const struct {
		const char *key, *body;
		unsigned count;
		const char *first;
	} cases[] = {
	    {"repo:refs_changed", CHANGED, 1, COMMIT_A},
	    {"repo:refs_changed", "{\"changes\":[" CHANGE("r", COMMIT_A, "DELETE") "]}", 0, NULL},
	    {"repo:refs_changed",
	        "{\"changes\":[" CHANGE("r", COMMIT_A, "DELETE") "," CHANGE(
	            "r", COMMIT_B, "ADD") "]}",
	        1, COMMIT_B},
	    {"repo:refs_changed", "{\"changes\":[" CHANGE("", COMMIT_A, "ADD") "]}", 0, NULL},
	    {"repo:refs_changed", "{\"changes\":[" CHANGE("a\\nb", COMMIT_A, "ADD") "]}", 0, NULL},
	    {"repo:refs_changed", "{\"changes\":[" CHANGE("a\\u0000", COMMIT_A, "ADD") "]}", 0,
	        NULL},
	    {"repo:refs_changed", "{\"changes\":[" CHANGE("r", "aaaa", "ADD") "]}", 0, NULL},
	    {"repo:refs_changed",
	        "{\"changes\":[" CHANGE(
	            "r", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "ADD") "]}",
	        1, COMMIT_A},
	    {"repo:refs_changed", "{\"changes\":[{\"ref\":\"r\",\"toHash\":5,\"type\":{}}]}", 0,
	        NULL},
	    {"repo:refs_changed", "{\"changes\":{}}", 0, NULL},
	    {"repo:refs_changed", "{\"changes\":[1,[],null,\"x\"]}", 0, NULL},
	    {"repo:refs_changed", "[]", 0, NULL},
	    {"repo:refs_changed", "", 0, NULL},
	    {"repo:refs_changed",
	        "{\"changes\":[{\"toHash\":\"" COMMIT_A "\",\"ref\":{\"id\":\"r\"}", 0, NULL},
	    {"repo:modified", CHANGED, 0, NULL},
	    {"pr:merged", PULL("P", "s"), 1, COMMIT_B},
	    {"pr:merged", PULL("", "s"), 0, NULL},
	    {"pr:merged", "{\"pullRequest\":7}", 0, NULL},
	    {"pr:merged", CHANGED, 0, NULL},
	};
	struct buf many;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		told_count = 0;
		unsigned count = event_commits(
		    cases[i].key, cases[i].body, strlen(cases[i].body), on_told, NULL);
		if (count != cases[i].count || told_count != count)
			fail_msg("case %zu: %u", i, count);
		if (count > 0)
			assert_string_equal(told[0].commit, cases[i].first);
	}
	assert_string_equal(told[0].slug, "s");
	buf_init(&many, 1 << 20);
	buf_puts(&many, "{\"changes\":[");
	for (int i = 0; i < EVENT_COMMITS_MAX + 10; i++)
		buf_printf(&many, "%s%s", i > 0 ? "," : "", CHANGE("r", COMMIT_A, "ADD"));
	told_count = 0;
	assert_int_equal(event_commits("repo:refs_changed", many.data, many.length, on_told, NULL),
	    EVENT_COMMITS_MAX);
	buf_free(&many);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_noted),
	    TEST(test_teaches),
	    TEST(test_large_is_not_parsed),
	    cmocka_unit_test(test_event_commits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
