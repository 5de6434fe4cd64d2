/*
 * The command feed against a server: the query, the answers, acknowledging.
 */
#include "unit/eyes/eyes_peer.h"

#include "eyes/source.h"

static struct peer peer;
static const struct eyes_source_driver *driver = &eyes_source_commands;

static struct {
	unsigned polls, acks;
	char code[32], message[512], ids[256], ack_code[32];
	bool missing, more;
	unsigned count;
} got;
static struct eyes_source *destroy_in_completion;

static void polled(const struct eyes_poll *poll, void *arg)
{
	(void)arg;
	got.polls++;
	got.missing = poll->missing;
	got.more = poll->more;
	got.count = poll->count;
	got.ids[0] = '\0';
	snprintf(got.code, sizeof(got.code), "%s", poll->err != NULL ? poll->err->code : "");
	snprintf(
	    got.message, sizeof(got.message), "%s", poll->err != NULL ? poll->err->message : "");
	for (unsigned i = 0; i < poll->count && i < 8; i++)
		snprintf(got.ids + strlen(got.ids), sizeof(got.ids) - strlen(got.ids), "%s%s ",
		    poll->items[i].id, poll->items[i].invalid != NULL ? "!" : "");
	if (destroy_in_completion != NULL)
		driver->destroy(destroy_in_completion);
	destroy_in_completion = NULL;
	loop_stop(peer.loop);
}

static void acked(const struct eyes_answer *answer, void *arg)
{
	(void)arg;
	got.acks++;
	snprintf(
	    got.ack_code, sizeof(got.ack_code), "%s", answer->err != NULL ? answer->err->code : "");
	loop_stop(peer.loop);
}

static int status = 200;
static const char *body = "{\"commands\":[]}";

static void answer(
    struct peer *self, const struct peer_asked *asked, struct evhttp_request *request)
{
	(void)self;
	(void)asked;
	peer_reply(request, status, body);
}

static struct eyes_source *create(const char *path, unsigned limit)
{
	return driver->create(&(struct eyes_source_config){.loop = peer.loop,
	    .eyes = peer.eyes,
	    .commands_path = path,
	    .wait_ms = 25000,
	    .limit = limit});
}

static void poll(struct eyes_source *source, const char *const *hosts, unsigned count, bool wait)
{
	unsigned before = got.polls;

	driver->poll(source, hosts, count, wait, polled, NULL);
	assert_int_equal(got.polls, before);
	peer_run(&peer);
	assert_int_equal(got.polls, before + 1);
}

static void test_queries(void **state)
{
	static const char *const hosts[] = {"https://bitbucket.example.com/ctx",
	    "http://b2.example.com:7990", "https://bitbucket.example.com/other",
	    "https://[2001:db8::1]:8443"};
	static const struct {
		const char *path;
		bool wait;
		unsigned hosts;
		const char *uri;
	} rows[] = {
	    {"/api/scm/v1/orgs/{orgId}/commands", true, 1,
	        "/api/scm/v1/orgs/org%201/commands?wait=25&limit=256&server=bitbucket.example.com"},
	    {"/api/scm/v1/orgs/{orgId}/commands", false, 4,
	        "/api/scm/v1/orgs/org%201/commands?wait=0&limit=256&server=bitbucket.example.com"
	        "&server=b2.example.com%3A7990&server=%5B2001%3Adb8%3A%3A1%5D%3A8443"},
	    {"feed?org={orgId}", true, 0, "/feed?org=org%201&wait=25&limit=256"},
	};

	(void)state;
	peer_start(&peer);
	peer.answer = answer;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct eyes_source *source = create(rows[i].path, 0);
		peer.count = 0;
		poll(source, hosts, rows[i].hosts, rows[i].wait);
		assert_string_equal(got.code, "");
		assert_string_equal(peer.asked[0].uri, rows[i].uri);
		driver->destroy(source);
	}
	peer_stop(&peer);
}

/* More hosts than one query holds: they take turns, and no poll is held. */
static void test_many_hosts(void **state)
{
	enum { HOSTS = 200 };
	char texts[HOSTS][64];
	const char *hosts[HOSTS];
	bool seen[HOSTS] = {false};

	(void)state;
	peer_start(&peer);
	peer.answer = answer;
	struct eyes_source *source = create("/feed", 0);
	for (unsigned i = 0; i < HOSTS; i++) {
		snprintf(
		    texts[i], sizeof(texts[i]), "https://bitbucket-%03u.department.example.com", i);
		hosts[i] = texts[i];
	}
	for (unsigned round = 0; round < 10; round++) {
		peer.count = 0;
		poll(source, hosts, HOSTS, true);
		assert_string_equal(got.code, "");
		assert_non_null(strstr(peer.asked[0].uri, "wait=0&"));
		for (unsigned i = 0; i < HOSTS; i++)
			seen[i] = seen[i] || strstr(peer.asked[0].uri, texts[i] + 8) != NULL;
	}
	for (unsigned i = 0; i < HOSTS; i++)
		assert_true(seen[i]);
	driver->destroy(source);
	peer_stop(&peer);
}

static void test_answers(void **state)
{
	static const struct {
		int status;
		const char *body, *code;
		bool missing;
		unsigned count;
		bool more;
		const char *ids;
	} rows[] = {
	    {200, "{\"commands\":[]}", "", false, 0, false, ""},
	    {200, "{\"commands\":[{\"id\":\"a\"},{}]}", "", false, 1, true, "a! "},
	    {200, "{\"commands\":[{\"id\":\"a\"}]}", "", false, 1, false, "a! "},
	    {200, "{\"commands\":[{\"id\":\"a\"},{\"id\":\"b\"},{\"id\":\"c\"}]}", "", false, 2,
	        true, "a! b! "},
	    {200, "<html>", "eyes_malformed", false, 0, false, ""},
	    {404, "", "eyes_4xx", true, 0, false, ""},
	    {405, "", "eyes_4xx", true, 0, false, ""},
	    {501, "", "eyes_5xx", true, 0, false, ""},
	    {500, "", "eyes_5xx", false, 0, false, ""},
	    {401, "", "key_unknown", false, 0, false, ""},
	    {429, "", "rate_limited", false, 0, false, ""},
	};

	(void)state;
	peer_start(&peer);
	peer.answer = answer;
	struct eyes_source *source = create("/feed", 2);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		status = rows[i].status;
		body = rows[i].body;
		poll(source, NULL, 0, false);
		assert_string_equal(got.code, rows[i].code);
		assert_int_equal(got.missing, rows[i].missing);
		assert_int_equal(got.count, rows[i].count);
		assert_int_equal(got.more, rows[i].more);
		assert_string_equal(got.ids, rows[i].ids);
	}
	driver->destroy(source);
	peer_stop(&peer);
}

/* An answer that is too large halves the limit until it fits; an empty feed brings it back. */
static void test_halving(void **state)
{
	char *large = malloc(1100 * 1024);

	(void)state;
	memset(large, ' ', 1100 * 1024 - 1);
	large[1100 * 1024 - 1] = '\0';
	peer_start(&peer);
	peer.answer = answer;
	struct eyes_source *source = create("/feed", 4);
	static const char *const limits[] = {"limit=4", "limit=2", "limit=1", "limit=1"};
	status = 200;
	body = large;
	for (unsigned i = 0; i < 4; i++) {
		peer.count = 0;
		poll(source, NULL, 0, false);
		assert_string_equal(got.code, "eyes_malformed");
		assert_non_null(strstr(peer.asked[0].uri, limits[i]));
		assert_non_null(strstr(got.message, "are asked for next"));
	}
	body = "{\"commands\":[]}";
	poll(source, NULL, 0, false);
	poll(source, NULL, 0, false);
	assert_non_null(strstr(peer.asked[2].uri, "limit=4"));
	driver->destroy(source);
	peer_stop(&peer);
	free(large);
}

/* Full pages make the next one larger, by half of what was given; less brings it back. A server
 * that gives no more than before is not held for drained. */
static void test_growing(void **state)
{
	static const struct {
		const char *limit, *body;
		bool more;
	} rows[] = {
	    {"limit=2", "{\"commands\":[{},{}]}", true},
	    {"limit=3", "{\"commands\":[{},{}]}", true},
	    {"limit=3", "{\"commands\":[{},{},{},{}]}", true},
	    {"limit=3", "{\"commands\":[{}]}", false},
	    {"limit=2", "{\"commands\":[]}", false},
	};

	(void)state;
	peer_start(&peer);
	peer.answer = answer;
	struct eyes_source *source = create("/feed", 2);
	status = 200;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		body = rows[i].body;
		peer.count = 0;
		poll(source, NULL, 0, false);
		assert_non_null(strstr(peer.asked[0].uri, rows[i].limit));
		assert_int_equal(got.more, rows[i].more);
	}
	driver->destroy(source);
	peer_stop(&peer);
}

static void test_acknowledging(void **state)
{
	static const struct eyes_ack acks[] = {{"a", "accepted", ""},
	    {"b\"\n", "rejected", "commands[0].key: \"x\""}, {"c", "delivered", NULL}};

	(void)state;
	peer_start(&peer);
	peer.answer = answer;
	struct eyes_source *source = create("/feed/{orgId}?v=1", 0);
	status = 204;
	body = "";
	driver->acknowledge(source, acks, 3, acked, NULL);
	peer_run(&peer);
	assert_string_equal(got.ack_code, "");
	assert_string_equal(peer.asked[0].method, "POST");
	assert_string_equal(peer.asked[0].uri, "/feed/org%201/ack?v=1");
	assert_string_equal(peer.asked[0].body,
	    "{\"results\":[{\"id\":\"a\",\"outcome\":\"accepted\"},"
	    "{\"id\":\"b\\\"\\n\",\"outcome\":\"rejected\",\"error\":\"commands[0].key: "
	    "\\\"x\\\"\"},"
	    "{\"id\":\"c\",\"outcome\":\"delivered\"}]}");
	status = 503;
	driver->acknowledge(source, acks, 1, acked, NULL);
	peer_run(&peer);
	assert_string_equal(got.ack_code, "eyes_5xx");

	/* Cancelled by the caller, and by the end of the source. */
	unsigned before = got.acks;
	eyes_cancel(driver->acknowledge(source, acks, 1, acked, NULL));
	driver->acknowledge(source, acks, 1, acked, NULL);
	driver->acknowledge(source, acks, 1, acked, NULL);
	driver->poll(source, NULL, 0, true, polled, NULL);
	driver->destroy(source);
	assert_int_equal(got.acks, before);

	status = 200;
	body = "{\"commands\":[{\"id\":\"a\"}]}";
	source = create("/feed", 0);
	destroy_in_completion = source;
	poll(source, NULL, 0, false);
	peer_stop(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_queries),
	    cmocka_unit_test(test_many_hosts),
	    cmocka_unit_test(test_answers),
	    cmocka_unit_test(test_halving),
	    cmocka_unit_test(test_growing),
	    cmocka_unit_test(test_acknowledging),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
