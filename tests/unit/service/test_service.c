/* What people do, down to the disk: nothing is said to be done that is not. */
#include "unit/flow/flow_test.h"

#include "flow/placing.h"
#include "service/service.h"

static struct flow flow;
static struct service *service;
static struct poller *poller;
static struct placing *placing;
static struct intake intake;
static struct audit *audit;
static uint32_t server;

/* ---- a server that knows every repository, and answers in the next turn ---- */

static struct scm_call *asked[64];
static unsigned asked_count, asked_answered;
static struct loop_timer answers;
static bool token_refused;

static void answer_asked(void *arg)
{
	static const struct err refused = {.code = "token_refused", .message = "no"};

	(void)arg;
	while (asked_answered < asked_count) {
		struct scm_call *call = asked[asked_answered++];
		struct scm_answer answer = {.outcome = SCM_OK, .status = 200, .retry_after_ms = -1};
		struct scm_rights rights = {.owner = "alice"};
		struct scm_access access = {.repository = {.project = "PRJ",
		                                .project_name = "",
		                                .slug = call->slug,
		                                .name = call->slug},
		    .base = "",
		    .read = true};

		if (token_refused)
			answer = (struct scm_answer){.outcome = SCM_BLOCKED,
			    .scope = SCM_SCOPE_TOKEN,
			    .status = 401,
			    .err = &refused};
		scm_call_finish(call, &answer,
		    token_refused                   ? NULL
		    : call->kind == SCM_CALL_RIGHTS ? (const void *)&rights
		                                    : (const void *)&access);
	}
}

static struct scm_call *ask(struct scm_call *call)
{
	assert_true(asked_count < 64);
	asked[asked_count++] = call;
	loop_timer_set(&answers, 0);
	return call;
}

static struct scm_call *check_token(struct scm *scm, const struct scm_server *of,
    const struct secret *token, scm_rights_fn *fn, void *arg)
{
	return ask(scm_call_new(scm, of, SCM_CALL_RIGHTS, (union scm_call_fn){.rights = fn}, arg,
	    &(struct scm_call_input){.token = token}));
}

static struct scm_call *check_repository(struct scm *scm, const struct scm_server *of,
    const struct secret *token, const char *project, const char *slug, scm_access_fn *fn, void *arg)
{
	return ask(scm_call_new(scm, of, SCM_CALL_ACCESS, (union scm_call_fn){.access = fn}, arg,
	    &(struct scm_call_input){.token = token, .project = project, .slug = slug}));
}

static const struct scm_driver checking_driver = {.kind = "fake",
    .check_token = check_token,
    .check_repository = check_repository,
    .set_status = fake_set_status,
    .get_status = fake_get_status,
    .state_as_sent = fake_state_as_sent};

static const struct scm_driver *checking_driver_of(const char *kind)
{
	(void)kind;
	return &checking_driver;
}

/* ---- around each test ---- */

static void wake(uint32_t repo, void *arg)
{
	(void)arg;
	dispatcher_wake(flow.dispatcher, repo);
}

static int set_up(void **state)
{
	(void)state;
	flow_begin(&flow);
	flow_close_dispatcher(&flow);
	flow.scm = scm_new(flow.store.loop, NULL);
	flow.servers = servers_new(&(struct servers_options){.records = flow.records,
	    .connections = 4,
	    .deadline_ms = FLOW_DEADLINE_MS,
	    .driver = checking_driver_of});
	flow.dispatcher = dispatcher_new(&(struct dispatcher_options){.loop = flow.store.loop,
	    .db = flow.store.db,
	    .queue = flow.queue,
	    .records = flow.records,
	    .servers = flow.servers,
	    .scm = flow.scm,
	    .bus = flow.bus,
	    .connections = 4,
	    .deadline_ms = FLOW_DEADLINE_MS,
	    .unknown_ms = FLOW_UNKNOWN_MS});
	asked_count = asked_answered = 0;
	token_refused = false;
	loop_timer_init(&answers, flow.store.loop, answer_asked, NULL);
	intake_init(&intake, flow.records, flow.queue, NULL);
	placing = placing_new(
	    &(struct placing_options){.loop = flow.store.loop, .db = flow.store.db, .wake = wake});
	poller = poller_new(&(struct poller_options){.loop = flow.store.loop,
	    .db = flow.store.db,
	    .records = flow.records,
	    .intake = &intake,
	    .placing = placing,
	    .bus = flow.bus,
	    .wake = wake});
	audit = audit_open(flow.store.db, 100, &flow.store.err);
	assert_non_null(audit);
	service = service_new(&(struct service_parts){.loop = flow.store.loop,
	    .db = flow.store.db,
	    .vault = flow.vault,
	    .records = flow.records,
	    .queue = flow.queue,
	    .outbox = flow.outbox,
	    .journal = flow.journal,
	    .audit = audit,
	    .servers = flow.servers,
	    .scm = flow.scm,
	    .intake = &intake,
	    .dispatcher = flow.dispatcher,
	    .poller = poller,
	    .bus = flow.bus});
	server = flow_server(&flow, "http://one.example.com");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	service_free(service);
	loop_timer_cancel(&answers);
	poller_free(poller);
	placing_free(placing);
	audit_close(audit);
	flow_end(&flow);
	return 0;
}

/* ---- what came of it ---- */

static struct {
	unsigned calls;
	enum service_fault fault, each[8];
	char code[32];
	unsigned count;
} done;

static void note(const struct service_result *result)
{
	done.calls++;
	done.fault = result->fault;
	snprintf(done.code, sizeof(done.code), "%s", result->err != NULL ? result->err->code : "");
}

static void on_done(const struct service_result *result, void *arg)
{
	(void)arg;
	note(result);
}

static void on_repos(const struct service_result *result, const struct service_repo *repos,
    unsigned count, void *arg)
{
	(void)arg;
	note(result);
	done.count = count;
	for (unsigned i = 0; i < count && i < 8; i++)
		done.each[i] = repos[i].fault;
}

static bool is_done(struct flow *f, unsigned calls)
{
	(void)f;
	return done.calls == calls;
}

static void change(enum service_enable what, const char *const *names, unsigned count)
{
	struct secret token = {.data = (char *)"token-1", .length = 7};

	memset(&done, 0, sizeof(done));
	service_change_repos(
	    service, "tester", what, server, names, count, &token, NULL, on_repos, NULL);
	assert_int_equal(done.calls, 0); /* never inside the call */
}

static enum repo_state state_of(const char *slug)
{
	struct record_repo record;

	if (!records_repo_by_name(flow.records, server, "PRJ", slug, &record))
		return (enum repo_state)99;
	return record.state;
}

static const char *const names[] = {"PRJ/a", "PRJ/b", "no name", "PRJ/c"};

static void test_enable_some(void **state)
{
	(void)state;
	change(SERVICE_ENABLE, names, 4);
	flow_until(&flow, is_done, 1, "done");
	assert_int_equal(done.count, 4);
	assert_int_equal(done.fault, SERVICE_BAD_INPUT);
	assert_int_equal(done.each[0], SERVICE_OK);
	assert_int_equal(done.each[2], SERVICE_BAD_INPUT);
	assert_int_equal(state_of("a"), REPO_ENABLED);
	assert_int_equal(state_of("c"), REPO_ENABLED);
	change(SERVICE_DISABLE, names, 1);
	flow_until(&flow, is_done, 1, "done");
	assert_int_equal(done.fault, SERVICE_OK);
	assert_int_equal(state_of("a"), REPO_DISABLED);
	change(SERVICE_REPLACE_TOKEN, names, 1);
	flow_until(&flow, is_done, 1, "done");
	assert_int_equal(done.fault, SERVICE_NOT_FOUND);
}

static void test_refused_token_changes_nothing(void **state)
{
	(void)state;
	token_refused = true;
	change(SERVICE_ENABLE, names, 2);
	flow_until(&flow, is_done, 1, "done");
	assert_int_equal(done.fault, SERVICE_REFUSED);
	assert_string_equal(done.code, "token_refused");
	assert_int_equal(state_of("a"), 99);
}

/* The commit fails: that is what is said, of each. */
static void test_enable_lost_in_the_commit(void **state)
{
	(void)state;
	flow.lose_commit = true;
	change(SERVICE_ENABLE, names, 2);
	flow_until(&flow, is_done, 1, "done");
	assert_int_equal(done.fault, SERVICE_STORE);
	assert_int_equal(done.each[0], SERVICE_STORE);
	assert_int_equal(done.each[1], SERVICE_STORE);
	assert_int_equal(state_of("a"), 99);
}

/* A later write of the same group takes the earlier ones along, though each said it was well. */
static void test_disable_lost_before_the_commit(void **state)
{
	(void)state;
	change(SERVICE_ENABLE, names, 2);
	flow_until(&flow, is_done, 1, "done");
	change(SERVICE_DISABLE, names, 2);
	flow_lose(&flow);
	flow_until(&flow, is_done, 1, "done");
	assert_int_equal(done.fault, SERVICE_STORE);
	assert_int_equal(state_of("a"), REPO_ENABLED);
	assert_int_equal(state_of("b"), REPO_ENABLED);
}

/* The entry can be dropped, but what comes of that cannot be written. */
static void test_drop_lost_in_the_result(void **state)
{
	struct service_number number = {.number = 1};
	struct record_repo record;

	(void)state;
	change(SERVICE_ENABLE, names, 1);
	flow_until(&flow, is_done, 1, "done");
	assert_true(records_repo_by_name(flow.records, server, "PRJ", "a", &record));
	assert_int_equal(flow_put_quietly(&flow, record.id, COMMIT_A, "k", UPDATE_FAILED, "1", 0),
	    QUEUE_PUT_NEW);
	store_commit(&flow.store);
	memset(&done, 0, sizeof(done));
	flow.lose_result = true;
	service_drop(service, "tester", &number, 1, on_done, NULL);
	flow_until(&flow, is_done, 1, "done");
	assert_int_equal(done.fault, SERVICE_STORE);
	assert_int_equal(service_drop(service, "tester", &number, 1, on_done, NULL), 1);
	flow_until(&flow, is_done, 2, "done");
	assert_int_equal(done.fault, SERVICE_OK);
	assert_int_equal(number.fault, SERVICE_OK);
	assert_int_equal(service_drop(service, "tester", &number, 1, on_done, NULL), 0);
	flow_until(&flow, is_done, 3, "done");
	assert_int_equal(number.fault, SERVICE_NOT_FOUND);
}

static void test_retry_of_a_superseded_one(void **state)
{
	struct service_number numbers[] = {{.number = 1}, {.number = 77}};
	struct record_repo record;

	(void)state;
	change(SERVICE_ENABLE, names, 1);
	flow_until(&flow, is_done, 1, "done");
	assert_true(records_repo_by_name(flow.records, server, "PRJ", "a", &record));
	flow_put(&flow, record.id, COMMIT_A, "k", UPDATE_FAILED, "1", 0);
	flow_asked(&flow, 1);
	fake_fail(0, BAD);
	flow_put(&flow, record.id, COMMIT_A, "k", UPDATE_SUCCESSFUL, "2", 0);
	memset(&done, 0, sizeof(done));
	assert_int_equal(service_retry(service, "tester", numbers, 2, on_done, NULL), 0);
	flow_until(&flow, is_done, 1, "done");
	assert_int_equal(numbers[0].fault, SERVICE_CONFLICT);
	assert_string_equal(numbers[0].code, "superseded");
	assert_string_equal(numbers[1].code, "not_found");
}

static void test_remove_server(void **state)
{
	(void)state;
	change(SERVICE_ENABLE, names, 1);
	flow_until(&flow, is_done, 1, "done");
	service_remove_server(service, "tester", server, on_done, NULL);
	flow_until(&flow, is_done, 2, "done");
	assert_int_equal(done.fault, SERVICE_CONFLICT);
	change(SERVICE_DISABLE, names, 1);
	flow_until(&flow, is_done, 1, "done");
	service_remove_server(service, "tester", server, on_done, NULL);
	flow_until(&flow, is_done, 2, "done");
	assert_int_equal(done.fault, SERVICE_OK);
	assert_int_equal(records_server_count(flow.records), 0);
}

/* Freed while actions are under way: nobody is called any more. */
static void test_freed_meanwhile(void **state)
{
	(void)state;
	change(SERVICE_ENABLE, names, 2); /* asking */
	service_retry(service, "tester", &(struct service_number){.number = 77}, 1, on_done, NULL);
	asked_answered = asked_count; /* they are cancelled below */
	service_free(service);
	service = NULL;
	flow_for(&flow, 20);
	assert_int_equal(done.calls, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_enable_some),
	    TEST(test_refused_token_changes_nothing),
	    TEST(test_enable_lost_in_the_commit),
	    TEST(test_disable_lost_before_the_commit),
	    TEST(test_drop_lost_in_the_result),
	    TEST(test_retry_of_a_superseded_one),
	    TEST(test_remove_server),
	    TEST(test_freed_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
