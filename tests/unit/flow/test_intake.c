/* What becomes of an item, for each thing that can be said of it, and what is written down of its
 * end. */
#include "unit/flow/flow_test.h"

#include "flow/intake.h"

static struct flow flow;
static struct intake intake;
static uint32_t server, web, off;

static int set_up(void **state)
{
	(void)state;
	flow_begin(&flow);
	server = flow_server(&flow, "https://bitbucket.example.com/git");
	web = flow_repo(&flow, server, "web", "token");
	off = flow_repo(&flow, server, "off", "token");
	flow_disable(&flow, off);
	intake_init(&intake, flow.records, flow.queue, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	flow_end(&flow);
	return 0;
}

static struct eyes_item item(const char *id, const char *url, const char *slug, int64_t sequence)
{
	return (struct eyes_item){
	    .id = id,
	    .server = url,
	    .project = "prj",
	    .repository = slug,
	    .update = {.commit = COMMIT_A,
	        .key = "k",
	        .name = "",
	        .description = "",
	        .url = "https://eyes.example.com/1",
	        .ref = "",
	        .state = UPDATE_SUCCESSFUL},
	    .has_sequence = sequence != 0,
	    .sequence = sequence,
	};
}

#define OURS "https://bitbucket.example.com/git"

static void test_every_result(void **state)
{
	static const struct err wrong = {.code = "json", .message = "key: too long"};
	static const struct {
		const char *id, *server, *slug;
		int64_t sequence;
		const struct err *invalid;
		enum intake_result result;
		int outcome; /* told to Eyes, -1 nothing */
	} cases[] = {
	    {"new", OURS, "web", 5, NULL, INTAKE_NEW, -1},
	    {"new", OURS, "web", 5, NULL, INTAKE_KNOWN, -1},
	    {"case", "https://BITBUCKET.example.com:443/git/", "WEB", 6, NULL, INTAKE_NEW, -1},
	    {"older", OURS, "web", 4, NULL, INTAKE_ENDED, UPDATE_SUPERSEDED},
	    {"older", OURS, "web", 4, NULL, INTAKE_KNOWN, UPDATE_SUPERSEDED},
	    {"foreign", "https://other.example.com", "web", 1, NULL, INTAKE_FOREIGN, -1},
	    {"path", "https://bitbucket.example.com/other", "web", 1, NULL, INTAKE_FOREIGN, -1},
	    {"foreign and wrong", "https://other.example.com", "web", 1, &wrong, INTAKE_FOREIGN,
	        -1},
	    {"wrong", OURS, "web", 1, &wrong, INTAKE_ENDED, UPDATE_REJECTED},
	    {"wrong", OURS, "web", 1, &wrong, INTAKE_KNOWN, UPDATE_REJECTED},
	    {"nameless", NULL, NULL, 1, &wrong, INTAKE_ENDED, UPDATE_REJECTED},
	    {"disabled", OURS, "off", 1, NULL, INTAKE_ENDED, UPDATE_IGNORED},
	    {"unknown", OURS, "nowhere", 1, NULL, INTAKE_ENDED, UPDATE_IGNORED},
	    {"unknown", OURS, "nowhere", 1, NULL, INTAKE_KNOWN, UPDATE_IGNORED},
	};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct eyes_item one =
		    item(cases[i].id, cases[i].server, cases[i].slug, cases[i].sequence);
		uint32_t repo = 0;
		enum intake_result result;

		one.invalid = cases[i].invalid;
		result = intake_take(&intake, &one, &repo, &err);
		if (result != cases[i].result ||
		    flow_outcome(&flow, cases[i].id) != cases[i].outcome)
			fail_msg("case %zu (%s): result %d, outcome %d", i, cases[i].id, result,
			    flow_outcome(&flow, cases[i].id));
		if (result == INTAKE_NEW)
			assert_int_equal(repo, web);
	}
	assert_int_equal(flow_outcome(&flow, "new"), UPDATE_SUPERSEDED); /* by "case" */
}

static void test_servers_that_come_and_go(void **state)
{
	struct eyes_item one = item("1", "http://late.example.com", "web", 0);
	struct err err = ERR_INIT;
	uint32_t repo, late;

	(void)state;
	assert_int_equal(intake_take(&intake, &one, &repo, &err), INTAKE_FOREIGN);
	late = flow_server(&flow, "http://late.example.com");
	intake_forget(&intake);
	assert_int_equal(intake_take(&intake, &one, &repo, &err), INTAKE_ENDED);
	assert_true(records_remove_server(flow.records, late, &err));
	intake_forget(&intake);
	one.id = "2";
	assert_int_equal(intake_take(&intake, &one, &repo, &err), INTAKE_FOREIGN);
}

static void test_full(void **state)
{
	struct eyes_item one = item("1", OURS, "web", 0), two = item("2", OURS, "web", 0);
	struct err err = ERR_INIT;
	uint32_t repo;

	(void)state;
	queue_close(flow.queue);
	flow.limit = 1;
	flow_close_dispatcher(&flow);
	flow_open_queue(&flow);
	flow_open_dispatcher(&flow);
	intake_init(&intake, flow.records, flow.queue, NULL);
	assert_int_equal(intake_take(&intake, &one, &repo, &err), INTAKE_NEW);
	two.update.key = "other";
	assert_int_equal(intake_take(&intake, &two, &repo, &err), INTAKE_FULL);
	assert_int_equal(intake_take(&intake, &one, &repo, &err), INTAKE_KNOWN);
}

static void test_failed(void **state)
{
	struct eyes_item one = item("1", OURS, "off", 0);
	struct err err = ERR_INIT;
	uint32_t repo;

	(void)state;
	flow.lose_result = true;
	assert_int_equal(intake_take(&intake, &one, &repo, &err), INTAKE_FAILED);
	assert_string_equal(err.code, "store_full");
	assert_int_equal(
	    intake_take(&intake, &one, &repo, &err), INTAKE_ENDED); /* not known: it was lost */
}

struct ref_search {
	const char *id;
	char found[64];
};

static bool find_ref(const struct queue_entry *entry, bool dead, void *arg)
{
	struct ref_search *search = arg;

	assert_false(dead);
	if (strcmp(entry->id, search->id) == 0)
		snprintf(search->found, sizeof(search->found), "%s", entry->update.ref);
	return true;
}

static const char *queued_ref(const char *id)
{
	static struct ref_search search;

	search = (struct ref_search){.id = id, .found = "not there"};
	queue_walk(flow.queue, false, find_ref, &search);
	return search.found;
}

/* What Eyes says of the ref counts, then what a webhook told. */
static void test_a_ref_that_a_webhook_told(void **state)
{
	struct places *places = places_open(flow.store.db, 1000, &flow.store.err);
	struct eyes_item one = item("1", OURS, "web", 0), two = item("2", OURS, "web", 0);
	struct eyes_item three = item("3", OURS, "web", 0);
	struct err err = ERR_INIT;
	uint32_t repo;

	(void)state;
	assert_non_null(places);
	intake_init(&intake, flow.records, flow.queue, places);
	one.update.key = "a";
	assert_int_equal(intake_take(&intake, &one, &repo, &err), INTAKE_NEW);
	assert_string_equal(queued_ref("1"), ""); /* nothing is known yet */
	assert_true(places_learn(places, COMMIT_A, web, "refs/heads/told", &err));
	two.update.key = "b";
	assert_int_equal(intake_take(&intake, &two, &repo, &err), INTAKE_NEW);
	assert_string_equal(queued_ref("2"), "refs/heads/told");
	three.update.key = "c";
	three.update.ref = "refs/heads/own";
	assert_int_equal(intake_take(&intake, &three, &repo, &err), INTAKE_NEW);
	assert_string_equal(queued_ref("3"), "refs/heads/own");
	places_close(places);
}

/* One batch in several repositories: each has an id of its own, and Eyes is told of none. */
static void test_placed_in_several_repositories(void **state)
{
	uint32_t fork = flow_repo(&flow, server, "fork", "token");
	struct eyes_item one = item("batch", NULL, NULL, 0);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(intake_place(&intake, &one, web, &err), INTAKE_NEW);
	assert_int_equal(intake_place(&intake, &one, fork, &err), INTAKE_NEW);
	assert_int_equal(intake_place(&intake, &one, web, &err), INTAKE_KNOWN);
	store_commit(&flow.store);
	dispatcher_start(flow.dispatcher);
	flow_asked(&flow, 2);
	fake_ok(0);
	fake_fail(1, BAD);
	flow_waiting(&flow, 0);
	store_commit(&flow.store);
	assert_int_equal(outbox_rows(flow.outbox), 0);
}

static bool note_row(const struct journal_row *row, void *arg)
{
	struct journal_row *noted = arg;

	if (strcmp(row->key, "k") != 0)
		return true;
	noted->outcome = row->outcome;
	noted->attempts = row->attempts;
	noted->repo = row->repo;
	noted->state = row->state;
	return false;
}

static void test_the_journal_tells_people(void **state)
{
	struct journal_row noted = {0};

	(void)state;
	flow_put(&flow, web, COMMIT_A, "k", UPDATE_FAILED, "id", 1);
	flow_asked(&flow, 1);
	fake_fail(0, BAD);
	flow_waiting(&flow, 0);
	store_commit(&flow.store);
	journal_latest(flow.journal, 10, note_row, &noted);
	assert_int_equal(noted.outcome, UPDATE_REJECTED);
	assert_int_equal(noted.attempts, 1);
	assert_int_equal(noted.repo, web);
	assert_int_equal(noted.state, UPDATE_FAILED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_every_result),
	    TEST(test_servers_that_come_and_go),
	    TEST(test_full),
	    TEST(test_failed),
	    TEST(test_placed_in_several_repositories),
	    TEST(test_a_ref_that_a_webhook_told),
	    TEST(test_the_journal_tells_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
