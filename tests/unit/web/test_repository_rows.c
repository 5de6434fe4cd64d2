/* What the API says of a repository, byte for byte. */
#include "unit/flow/flow_test.h"

#include "store/hooks.h"
#include "web/web.h"

#define ENABLED_MS INT64_C(1769867130123)
#define ENABLED "2026-01-31T13:45:30.123Z"

static struct flow flow;
static struct service service;

static int set_up(void **state)
{
	(void)state;
	flow_begin(&flow);
	service = (struct service){.parts = {.loop = flow.store.loop,
	                               .db = flow.store.db,
	                               .records = flow.records,
	                               .queue = flow.queue,
	                               .journal = flow.journal}};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	events_close(service.parts.events);
	hooks_close(service.parts.hooks);
	flow_end(&flow);
	return 0;
}

static void assert_row(const struct record_repo *record, bool details, const char *wanted)
{
	struct json_writer w;
	struct buf out;

	buf_init(&out, 64 * 1024);
	json_writer_init(&w, &out);
	api_write_repository(&service, &w, record, details);
	assert_string_equal(out.data, wanted);
	buf_free(&out);
}

static const struct record_repo plain = {.id = 7,
    .server = 1,
    .project = "PRJ",
    .slug = "web-shop",
    .name = "Web shop",
    .state = REPO_ENABLED,
    .owner = "build-bot",
    .admin = true,
    .has_token = true,
    .error = "",
    .error_code = "",
    .enabled_ms = ENABLED_MS,
    .enabled_by = "browser at 192.0.2.7",
    .token_ms = ENABLED_MS + 1};

static void test_plain(void **state)
{
	(void)state;
	assert_int_equal(flow_server(&flow, "https://git.example.com/bitbucket"), 1);
	assert_row(&plain, false,
	    "{\"id\":7,\"server\":{\"id\":1,\"url\":\"https://git.example.com/bitbucket\"},"
	    "\"project\":\"PRJ\",\"slug\":\"web-shop\",\"name\":\"Web shop\",\"state\":\"enabled\","
	    "\"owner\":\"build-bot\",\"admin\":true,\"last_update\":null,"
	    "\"enabled_at\":\"" ENABLED "\",\"enabled_by\":\"browser\","
	    "\"token_at\":\"2026-01-31T13:45:30.124Z\",\"waiting\":0}");
}

static void test_odd(void **state)
{
	struct record_repo odd = plain;

	(void)state;
	odd.id = UINT32_MAX;
	odd.server = 9;
	odd.project = "~a\"b";
	odd.slug = "";
	odd.name = "\x01 long enough \\ \xc3\xa9 \xff \x7f";
	odd.state = REPO_BLOCKED;
	odd.owner = "";
	odd.admin = odd.has_token = false;
	odd.error = "a token that was refused";
	odd.error_code = "token_refused";
	odd.blocked_ms = -1;
	odd.enabled_ms = 0;
	odd.enabled_by = "";
	assert_row(&odd, false,
	    "{\"id\":4294967295,\"server\":{\"id\":9},\"project\":\"~a\\\"b\",\"slug\":\"\","
	    "\"name\":\"\\u0001 long enough \\\\ \xc3\xa9 \xef\xbf\xbd \\u007f\","
	    "\"state\":\"blocked\",\"admin\":false,"
	    "\"error\":{\"code\":\"token_refused\",\"message\":\"a token that was refused\"},"
	    "\"blocked_since\":\"1969-12-31T23:59:59.999Z\",\"last_update\":null,\"waiting\":0}");
}

static void test_waiting_and_webhook(void **state)
{
	struct record_repo record;
	struct record_hook hook = {.state = HOOK_OK,
	    .id = "12",
	    .url = "https://eyes.example.com/x",
	    .events = "",
	    .code = "",
	    .error = "",
	    .hint = ""};
	uint32_t server, repo;

	(void)state;
	server = flow_server(&flow, "https://git.example.com");
	service.parts.hooks = hooks_open(flow.store.db, flow.vault, &flow.store.err);
	assert_non_null(service.parts.hooks);
	repo = flow_repo(&flow, server, "one", "token");
	hook.repo = repo + 1; /* another's */
	assert_true(hooks_put(service.parts.hooks, &hook, &flow.store.err));
	assert_int_equal(
	    flow_put_quietly(&flow, repo + 1, "c1", "k", UPDATE_INPROGRESS, "a", 1), QUEUE_PUT_NEW);
	for (int waiting = 0; waiting < 3; waiting++) {
		char wanted[256], commit[16];

		assert_true(records_repo(flow.records, repo, &record));
		record.token_ms = 0;
		snprintf(wanted, sizeof(wanted),
		    "{\"id\":1,\"server\":{\"id\":1,\"url\":\"https://git.example.com\"},"
		    "\"project\":\"PRJ\",\"slug\":\"one\",\"name\":\"one\",\"state\":\"enabled\","
		    "\"admin\":false,\"last_update\":null,\"waiting\":%d,"
		    "\"events\":{\"state\":\"none\"}}",
		    waiting);
		assert_row(&record, false, wanted);
		snprintf(commit, sizeof(commit), "d%d", waiting);
		assert_int_equal(
		    flow_put_quietly(&flow, repo, commit, "k", UPDATE_INPROGRESS, commit, 1),
		    QUEUE_PUT_NEW);
	}
}

static const char *row_of(struct buf *out, uint32_t repo)
{
	struct record_repo record;
	struct json_writer w;

	buf_reset(out);
	json_writer_init(&w, out);
	assert_true(records_repo(flow.records, repo, &record));
	api_write_repository(&service, &w, &record, false);
	return out->data;
}

/* A row says what holds now, whatever was asked before: looks at all rows between two changes. */
static void test_rows_follow_what_changes(void **state)
{
	enum { COUNT = 6 };
	struct journal_row ended = {.ended_ms = ENABLED_MS,
	    .commit = "c",
	    .key = "k",
	    .state = UPDATE_SUCCESSFUL,
	    .outcome = UPDATE_DELIVERED,
	    .code = "",
	    .error = ""};
	struct record_hook hook = {
	    .id = "12", .url = "u", .events = "", .code = "", .error = "", .hint = ""};
	struct buf out;
	uint32_t server, repos[COUNT];

	(void)state;
	buf_init(&out, 64 * 1024);
	server = flow_server(&flow, "https://git.example.com");
	service.parts.events = events_open(flow.store.db,
	    &(struct events_options){
	        .ttl_ms = 1000000, .limit = 100, .limit_bytes = 1 << 20, .remember = 100},
	    &flow.store.err);
	assert_non_null(service.parts.events);
	service.parts.hooks = hooks_open(flow.store.db, flow.vault, &flow.store.err);
	assert_non_null(service.parts.hooks);
	for (int i = 0; i < COUNT; i++)
		repos[i] =
		    flow_repo(&flow, server, (const char[2]){(char)('a' + i), '\0'}, "token");
	for (int i = 0; i < COUNT; i++) { /* forwards and backwards: into what was a gap */
		uint32_t repo = repos[i % 2 == 0 ? i : COUNT - i];
		struct record_repo record;

		for (int k = 0; k < COUNT; k++)
			row_of(&out, repos[k]);
		assert_non_null(
		    strstr(row_of(&out, repo), "\"waiting\":0,\"events\":{\"state\":\"none\"}}"));
		hook.repo = repo;
		hook.state = HOOK_OK;
		assert_true(hooks_put(service.parts.hooks, &hook, &flow.store.err));
		assert_non_null(strstr(row_of(&out, repo), "\"events\":{\"state\":\"ok\""));
		hook.state = HOOK_FAILING;
		assert_true(hooks_put(service.parts.hooks, &hook, &flow.store.err));
		assert_non_null(strstr(row_of(&out, repo), "\"events\":{\"state\":\"failing\""));
		assert_int_equal(
		    flow_put_quietly(&flow, repo, "c1", "k", UPDATE_INPROGRESS, out.data + 1, 1),
		    QUEUE_PUT_NEW);
		assert_non_null(strstr(row_of(&out, repo), "\"waiting\":1"));
		assert_non_null(strstr(row_of(&out, repo), "\"last_update\":null"));
		ended.repo = repo;
		journal_add(flow.journal, &ended);
		assert_non_null(strstr(row_of(&out, repo), "\"outcome\":\"delivered\""));
		assert_true(hooks_remove(service.parts.hooks, repo, &flow.store.err));
		assert_non_null(strstr(row_of(&out, repo), "\"events\":{\"state\":\"none\"}}"));
		assert_true(records_repo(flow.records, repo, &record));
		record.name = "renamed";
		record.owner = "somebody else";
		record.state = REPO_DISABLED;
		assert_true(records_put_repo(flow.records, &record, NULL, &flow.store.err));
		row_of(&out, repo);
		assert_non_null(strstr(out.data, "\"name\":\"renamed\",\"state\":\"disabled\","
		                                 "\"owner\":\"somebody else\""));
	}
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_plain, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_odd, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_waiting_and_webhook, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_rows_follow_what_changes, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
