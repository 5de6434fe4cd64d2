/*
 * Calls against a server: what is on the wire, long requests, errors, cancelling.
 */
#include "unit/eyes/eyes_peer.h"

static struct peer peer;

static struct {
	unsigned calls;
	int status;
	char code[32], hop[64], message[512], body[256];
	bool refused, too_large, has_server_time;
	int64_t retry_after_ms;
} got;

static void done(const struct eyes_answer *answer, void *arg)
{
	(void)arg;
	got.calls++;
	got.status = answer->status;
	snprintf(got.code, sizeof(got.code), "%s", answer->err != NULL ? answer->err->code : "");
	snprintf(got.hop, sizeof(got.hop), "%s", answer->err != NULL ? answer->err->hop : "");
	snprintf(got.message, sizeof(got.message), "%s",
	    answer->err != NULL ? answer->err->message : "");
	snprintf(got.body, sizeof(got.body), "%s", answer->body != NULL ? answer->body : "");
	got.refused = answer->refused;
	got.too_large = answer->too_large;
	got.retry_after_ms = answer->retry_after_ms;
	got.has_server_time = answer->server_time_ms != 0;
	loop_stop(peer.loop);
}

static struct eyes_call *ask(const char *path)
{
	memset(&got, 0, sizeof(got));
	return eyes_send(peer.eyes,
	    &(struct eyes_options){.method = "GET", .path = path, .repeatable = true}, done, NULL);
}

static void answer_ok(
    struct peer *self, const struct peer_asked *asked, struct evhttp_request *request)
{
	(void)self;
	(void)asked;
	peer_add(request, "Retry-After", "7");
	peer_reply(request, 200, "{}");
}

static void test_on_the_wire(void **state)
{
	char first[128], second[128], value[128];

	(void)state;
	peer_start_at(&peer, "/eyes");
	peer.answer = answer_ok;
	ask("/api/v1/x?y=z");
	assert_int_equal(got.calls, 0);
	peer_run(&peer);
	assert_int_equal(got.status, 200);
	assert_string_equal(got.code, "");
	assert_true(got.has_server_time);
	assert_int_equal(got.retry_after_ms, 7000);
	assert_string_equal(peer.asked[0].uri, "/eyes/api/v1/x?y=z");
	peer_header(&peer.asked[0], "X-Eyes-Api-Key", value, sizeof(value));
	assert_string_equal(value, KEY);
	assert_null(strstr(peer.asked[0].uri, KEY));
	peer_header(&peer.asked[0], "x-applitools-eyes-client-request-id", first, sizeof(first));
	assert_int_equal(strlen(first), 3 + 32);

	ask("/api/v1/x");
	peer_run(&peer);
	peer_header(&peer.asked[1], "x-applitools-eyes-client-request-id", second, sizeof(second));
	assert_string_not_equal(first, second);
	assert_string_equal(first + 1, second + 1); /* the process */

	eyes_set_key(peer.eyes, NULL);
	assert_false(eyes_has_key(peer.eyes));
	ask("/api/v1/x");
	peer_run(&peer);
	peer_header(&peer.asked[2], "X-Eyes-Api-Key", value, sizeof(value));
	assert_string_equal(value, "");
	peer_stop(&peer);
}

/* A long request: 202 twice, then what `last` says. */
static struct {
	unsigned waits;
	int last, failures, failure;
	const char *header;
} plan;

static void answer_long(
    struct peer *self, const struct peer_asked *asked, struct evhttp_request *request)
{
	(void)self;
	(void)asked;
	if (plan.waits > 0) {
		plan.waits--;
		peer_add(request, "Location", "https://inner.example:8443/tasks/1?t=2");
		peer_add(request, "Retry-After", "0");
		peer_reply(request, 202, "");
	} else if (plan.failures > 0) {
		plan.failures--;
		peer_reply(request, plan.failure, "");
	} else {
		if (plan.header != NULL) {
			peer_add(request, plan.header, "1");
			peer_add(request, "Location", "/again");
		}
		peer_reply(request, plan.last, "result");
	}
}

static void test_long_requests(void **state)
{
	static const struct {
		unsigned waits;
		int failure, failures, last;
		const char *header;
		unsigned requests;
		const char *code;
	} rows[] = {
	    {2, 0, 0, 200, NULL, 3, ""},
	    {1, 503, 5, 200, NULL, 7, ""},
	    {1, 503, 9, 200, NULL, 7, "eyes_5xx"},
	    {1, 404, 2, 200, NULL, 4, ""},
	    {1, 502, 1, 204, NULL, 3, ""},
	    {1, 504, 1, 200, NULL, 3, ""},
	    {1, 0, 0, 400, NULL, 2, "eyes_4xx"},
	    {1, 0, 0, 401, NULL, 2, "key_unknown"},
	    {1, 0, 0, 403, NULL, 2, "key_forbidden"},
	    {1, 0, 0, 410, NULL, 2, "eyes_4xx"},
	    {1, 0, 0, 500, NULL, 2, "eyes_5xx"},
	    {1, 0, 0, 503, "x-applitools-dont-retry", 2, "eyes_5xx"},
	    {1, 0, 0, 202, "x-applitools-dont-retry", 2, "eyes_5xx"},
	    {0, 0, 0, 503, NULL, 1, "eyes_5xx"}, /* not a long one: the caller tries again */
	    {0, 0, 0, 404, NULL, 1, "eyes_4xx"},
	};

	(void)state;
	peer_start(&peer);
	peer.answer = answer_long;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		plan.waits = rows[i].waits;
		plan.failure = rows[i].failure;
		plan.failures = rows[i].failures;
		plan.last = rows[i].last;
		plan.header = rows[i].header;
		peer.count = 0;
		memset(&got, 0, sizeof(got));
		eyes_send(peer.eyes,
		    &(struct eyes_options){
		        .method = "POST", .path = "/api/start", .body = "{}", .body_length = 2},
		    done, NULL);
		peer_run(&peer);
		assert_string_equal(got.code, rows[i].code);
		assert_int_equal(peer.count, rows[i].requests);
		assert_int_equal(got.refused, rows[i].last == 401);
		if (rows[i].last == 200 && rows[i].code[0] == '\0')
			assert_string_equal(got.body, "result");
		assert_string_equal(peer.asked[0].method, "POST");
		assert_string_equal(peer.asked[0].body, "{}");
		for (unsigned j = 1; j < peer.count; j++) {
			char id[128], host[128], key[64], suffix[16];
			assert_string_equal(peer.asked[j].method, "GET");
			assert_string_equal(peer.asked[j].uri, "/tasks/1?t=2");
			assert_string_equal(peer.asked[j].body, "");
			peer_header(&peer.asked[j], "Host", host, sizeof(host));
			assert_true(strncmp(host, "127.0.0.1:", 10) == 0);
			peer_header(&peer.asked[j], "X-Eyes-Api-Key", key, sizeof(key));
			assert_string_equal(key, KEY);
			peer_header(
			    &peer.asked[j], "x-applitools-eyes-client-request-id", id, sizeof(id));
			snprintf(suffix, sizeof(suffix), "#%u", j);
			assert_non_null(strstr(id, suffix));
		}
	}
	peer_stop(&peer);
}

static void answer_accepted(
    struct peer *self, const struct peer_asked *asked, struct evhttp_request *request)
{
	(void)asked;
	peer_add(request, "Location", "/tasks/1");
	peer_add(request, "Retry-After", "3600");
	peer_reply(request, 202, "");
	loop_stop(self->loop);
}

static void answer_bad_location(
    struct peer *self, const struct peer_asked *asked, struct evhttp_request *request)
{
	(void)self;
	(void)asked;
	peer_add(request, "Location", "ftp://x/");
	peer_reply(request, 202, "");
}

static void test_bad_location(void **state)
{
	(void)state;
	peer_start(&peer);
	peer.answer = answer_bad_location;
	ask("/api");
	peer_run(&peer);
	assert_string_equal(got.code, "eyes_malformed");
	peer_stop(&peer);
}

static void test_cancelling(void **state)
{
	(void)state;
	peer_start(&peer);
	peer.answer = answer_accepted;
	/* Before an answer, while a long request waits, and by eyes_free. */
	eyes_cancel(ask("/a"));
	struct eyes_call *call = ask("/b");
	peer_run(&peer);
	eyes_cancel(call);
	ask("/c");
	ask("/d");
	assert_int_equal(got.calls, 0);
	peer_stop(&peer);
	assert_int_equal(got.calls, 0);
}

static void answer_large(
    struct peer *self, const struct peer_asked *asked, struct evhttp_request *request)
{
	(void)self;
	(void)asked;
	peer_reply(request, 200, "0123456789");
}

static void test_too_large(void **state)
{
	(void)state;
	peer_start(&peer);
	peer.answer = answer_large;
	memset(&got, 0, sizeof(got));
	eyes_send(peer.eyes, &(struct eyes_options){.method = "GET", .path = "/x", .body_limit = 9},
	    done, NULL);
	peer_run(&peer);
	assert_true(got.too_large);
	assert_string_equal(got.code, "eyes_malformed");
	peer_stop(&peer);
}

static void test_only_the_configured_origin(void **state)
{
	struct url elsewhere;

	(void)state;
	peer_start(&peer);
	peer.answer = answer_ok;
	assert_true(url_parse(&elsewhere, "http://127.0.0.2:1/x", NULL));
	memset(&got, 0, sizeof(got));
	eyes_send(
	    peer.eyes, &(struct eyes_options){.method = "GET", .url = &elsewhere}, done, NULL);
	assert_int_equal(got.calls, 0);
	peer_run(&peer);
	assert_string_equal(got.code, "eyes_malformed");
	assert_string_equal(got.message, "Eyes leads to another server, http://127.0.0.2:1");
	assert_int_equal(peer.count, 0);
	peer_stop(&peer);
}

static void test_nobody_listens(void **state)
{
	(void)state;
	peer_start(&peer);
	evhttp_free(peer.server);
	peer.server = evhttp_new(loop_base(peer.loop));
	ask("/x");
	peer_run(&peer);
	assert_string_equal(got.code, "eyes_refused");
	assert_true(strncmp(got.hop, "TCP ", 4) == 0);
	peer_stop(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_on_the_wire),
	    cmocka_unit_test(test_long_requests),
	    cmocka_unit_test(test_bad_location),
	    cmocka_unit_test(test_cancelling),
	    cmocka_unit_test(test_too_large),
	    cmocka_unit_test(test_only_the_configured_origin),
	    cmocka_unit_test(test_nobody_listens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
