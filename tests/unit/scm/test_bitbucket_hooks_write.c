/* Making, replacing, deleting and trying a webhook, request by request. */
#include "unit/scm/hooks_peer.h"

/* ---- put_hook ---- */

static void test_put_new(void **state)
{
	(void)state;
	put();
	is_read(CAPABILITIES);
	answer(200, KNOWN);
	is_write("POST", HOOKS);
	assert_non_null(strstr(sent.headers, "Content-Type: application/json\n"));
	assert_string_equal(sent.body,
	    "{\"name\":\"eyes-scm a1\",\"url\":\"https://e/x?instance=a1\",\"events\":[" ALL
	    "],\"active\":true,\"configuration\":{\"secret\":\"s3cret\"}}");
	answer(201, OURS(""));
	assert_int_equal(got.count, 1);
	assert_int_equal(got.outcome, SCM_OK);
	assert_string_equal(got.text, "7");
	assert_null(strstr(sent.url, "s3cret"));
}

static void test_put_without_secret(void **state)
{
	(void)state;
	want.secret = NULL;
	put();
	answer(404, "");
	assert_string_equal(sent.body,
	    "{\"name\":\"eyes-scm a1\",\"url\":\"https://e/x?instance=a1\",\"events\":[\"repo:refs_"
	    "changed\",\"pr:opened\",\"pr:modified\"],\"active\":true,\"configuration\":{}}");
	answer(200, "{\"id\":\"12\"}");
	assert_string_equal(got.text, "12");
}

/* What an administrator set stays: the check of the target's certificate. */
static void test_put_replace(void **state)
{
	static const struct {
		int status;
		const char *body, *sent_end;
	} table[] = {
	    {200, OURS(",\"sslVerificationRequired\":false"),
	        "\"secret\":\"s3cret\"},\"sslVerificationRequired\":false}"},
	    {200, OURS(",\"sslVerificationRequired\":true"), "},\"sslVerificationRequired\":true}"},
	    {200, OURS(""), "\"secret\":\"s3cret\"}}"},
	    {405, "", "\"secret\":\"s3cret\"}}"},
	    {404, "", "\"secret\":\"s3cret\"}}"},
	};

	(void)state;
	want.id = "7";
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t length = strlen(table[i].sent_end);

		put();
		answer(200, KNOWN);
		is_read(HOOKS "/7");
		answer(table[i].status, table[i].body);
		is_write("PUT", HOOKS "/7");
		assert_string_equal(sent.body + strlen(sent.body) - length, table[i].sent_end);
		answer(200, OURS(""));
		assert_int_equal(got.outcome, SCM_OK);
		assert_string_equal(got.text, "7");
	}
	put();
	answer(200, KNOWN);
	answer(503, "");
	ended(SCM_TEMPORARY, SCM_SCOPE_SERVER, "server_5xx"); /* nothing was written */
	assert_false(got.doubtful);
}

static void test_put_unknown_event(void **state)
{
	(void)state;
	put();
	answer(200, KNOWN);
	answer(400, "{\"errors\":[{\"context\":\"events[3].id\",\"message\":\"the event "
	            "pr:from_ref_updated is unknown\",\"exceptionName\":null}]}");
	assert_int_equal(got.count, 0);
	is_write("POST", HOOKS);
	assert_null(strstr(sent.body, "pr:from_ref_updated"));
	assert_non_null(strstr(sent.body, "\"pr:modified\""));
	/* The same again is the end. */
	answer(400, "{\"errors\":[{\"message\":\"the event pr:from_ref_updated is unknown\"}]}");
	ended(SCM_PERMANENT, SCM_SCOPE_UPDATE, "scm_refused");
	put();
	answer(200, KNOWN);
	answer(400, "{\"errors\":[{\"message\":\"the name is too long\"}]}");
	ended(SCM_PERMANENT, SCM_SCOPE_UPDATE, "scm_refused");
	assert_non_null(strstr(got.message, "the name is too long"));
	assert_int_equal(sent_count, 5);
}

/* It may be there though nobody said so: the caller lists before it makes another. */
static void test_put_doubtful(void **state)
{
	(void)state;
	put();
	answer(200, KNOWN);
	answer_cut();
	ended(SCM_TEMPORARY, SCM_SCOPE_SERVER, "server_cut");
	assert_true(got.doubtful);
	put();
	answer(200, KNOWN);
	answer(200, "{\"name\":\"no id\"}");
	ended(SCM_TEMPORARY, SCM_SCOPE_SERVER, "not_bitbucket");
	assert_true(got.doubtful);
	put();
	answer(200, KNOWN);
	answer(504, "");
	assert_true(got.doubtful);
	put();
	answer(200, KNOWN);
	answer(204, ""); /* that is no answer to this */
	ended(SCM_TEMPORARY, SCM_SCOPE_SERVER, "not_bitbucket");
	assert_true(got.doubtful);
	put();
	answer(200, KNOWN);
	answer(503, "");
	assert_false(got.doubtful);
}

/* The call has copies of its own. */
static void test_put_copies(void **state)
{
	char name[] = "eyes-scm a1", url[] = "https://e/x?instance=a1", event[] = "pr:opened";
	const char *list_of_events[] = {event};
	struct secret secret = {0};

	(void)state;
	secret_set(&secret, "s3cret", 6);
	want = (struct scm_hook_want){.id = "",
	    .name = name,
	    .url = url,
	    .secret = &secret,
	    .events = list_of_events,
	    .event_count = 1};
	put();
	memset(name, 'x', sizeof(name) - 1);
	memset(url, 'x', sizeof(url) - 1);
	memset(event, 'x', sizeof(event) - 1);
	list_of_events[0] = NULL;
	secret_free(&secret);
	answer(200, KNOWN);
	assert_string_equal(sent.body,
	    "{\"name\":\"eyes-scm a1\",\"url\":\"https://e/x?instance=a1\",\"events\":[\"pr:opened"
	    "\"],\"active\":true,\"configuration\":{\"secret\":\"s3cret\"}}");
	answer(201, OURS(""));
	assert_int_equal(got.outcome, SCM_OK);
}

static void test_delete(void **state)
{
	(void)state;
	delete ("7");
	assert_int_equal(got.count, 0);
	is_write("DELETE", HOOKS "/7");
	answer(204, "");
	ended(SCM_OK, SCM_SCOPE_UPDATE, "");
	delete ("7");
	answer(404, EXCEPTION("webhooks.NoSuchWebhookException"));
	ended(SCM_OK, SCM_SCOPE_UPDATE, "");
	assert_int_equal(sent_count, 2);
	delete ("7");
	answer_cut();
	ended(SCM_TEMPORARY, SCM_SCOPE_SERVER, "server_cut");
	assert_true(got.doubtful);
}

/* Never the collection, never another path. */
static void test_delete_odd_id(void **state)
{
	static const char *const ids[] = {"", ".", ".."};

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		delete (ids[i]);
		turn();
		ended(SCM_PERMANENT, SCM_SCOPE_UPDATE, "url_invalid");
	}
	assert_int_equal(sent_count, 0);
	delete ("7/../8");
	is_write("DELETE", HOOKS "/7%2F..%2F8");
	answer(404, GONE);
}

/* ---- test_hook ---- */

static void test_test(void **state)
{
	static const struct {
		int status;
		const char *body, *text;
	} table[] = {
	    {200, "{\"request\":{\"body\":\"{}\"},\"response\":{\"statusCode\":200}}", "1 200 ''"},
	    {200, "{\"response\":{\"statusCode\":404}}", "2 404 'the target answered 404'"},
	    {200, "{\"error\":{\"message\":\"java.net.UnknownHostException: eyes\"}}",
	        "3 0 'UnknownHostException: eyes'"},
	    {200, "{\"request\":{}}", "0 0 ''"},
	    {200, "", "0 0 ''"},
	    {204, "", "0 0 ''"},
	    {405, "", "0 0 ''"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		test();
		is_write("POST", HOOKS "/test?url=https%3A%2F%2Fe%2Fx%3Finstance%3Da1");
		assert_string_equal(sent.body, "");
		answer(table[i].status, table[i].body);
		ended(SCM_OK, SCM_SCOPE_UPDATE, "");
		assert_string_equal(got.text, table[i].text);
	}
}

static void test_test_of_one(void **state)
{
	(void)state;
	want.id = "7";
	test();
	is_read(HOOKS "/7");
	answer(200, OURS(",\"sslVerificationRequired\":false"));
	is_write("POST", HOOKS "/test?url=https%3A%2F%2Fe%2Fx%3Finstance%3Da1&webhookId=7"
	                       "&sslVerificationRequired=false");
	answer(200, "{\"response\":{\"statusCode\":202}}");
	assert_string_equal(got.text, "1 202 ''");
	test();
	answer(500, "");
	is_write("POST", HOOKS "/test?url=https%3A%2F%2Fe%2Fx%3Finstance%3Da1&webhookId=7");
	answer(500, "");
	ended(SCM_TEMPORARY, SCM_SCOPE_UPDATE, "server_5xx");
}

static void test_address_too_long(void **state)
{
	char url[2200] = "https://e/";

	(void)state;
	memset(url + strlen(url), 'x', 2100);
	want.url = url;
	test();
	turn();
	ended(SCM_PERMANENT, SCM_SCOPE_UPDATE, "url_invalid");
}

static void test_cancel(void **state)
{
	struct scm_call *call = list();

	(void)state;
	answer(200, KNOWN);
	scm_cancel(call);
	assert_int_equal(got.count, 0);
	assert_int_equal(cancelled_count, 1);
	put();
	answer(200, KNOWN);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_put_new),
	    TEST(test_put_without_secret),
	    TEST(test_put_replace),
	    TEST(test_put_unknown_event),
	    TEST(test_put_doubtful),
	    TEST(test_put_copies),
	    TEST(test_delete),
	    TEST(test_delete_odd_id),
	    TEST(test_test),
	    TEST(test_test_of_one),
	    TEST(test_address_too_long),
	    TEST(test_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
