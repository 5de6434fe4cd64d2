/*
 * Events passed on: the address from its template, what is on the wire, to whom the key goes, and
 * what each answer means.
 */
#include "unit/eyes/eyes_peer.h"

#include "base/mem.h"
#include "eyes/events.h"

#define DEFAULT \
	"{EYES_SERVER_URL}/api/externals/bitbucket/events?orgId={orgId}&serverId={serverHost}"

/* ---- the address ---- */

static const struct {
	const char *template, *server, *organization, *host, *url; /* url NULL: refused */
} addresses[] = {
    {DEFAULT, "https://eyes.example.com", "o1", "bb.example.com",
        "https://eyes.example.com/api/externals/bitbucket/"
        "events?orgId=o1&serverId=bb.example.com"},
    {DEFAULT, "http://eyes.example.com:8080/ctx", "o 1&x=2#", "bb",
        "http://eyes.example.com:8080/ctx/api/externals/bitbucket/"
        "events?orgId=o%201%26x%3D2%23&serverId=bb"},
    {"https://a.example/{orgId}/{serverId}/{instanceId}", "https://eyes", "o/../..", "b@b",
        "https://a.example/o%2F..%2F../b%40b/a1b2c3d4"},
    {"https://a.example/hook/", "https://eyes", "o", "b", "https://a.example/hook/"},
    {"https://a.example?i={instanceId}", NULL, "o", "b", "https://a.example?i=a1b2c3d4"},
    {"{EYES_SERVER_URL}", "https://eyes/ctx", "o", "b", "https://eyes/ctx"},
    {"{EYES_SERVER_URL}?o={orgId}", "https://eyes", "o\r\nX: y", "b",
        "https://eyes?o=o%0D%0AX%3A%20y"},
    {"https://a/{orgId}", "https://eyes", NULL, "b", "https://a"},
    /* refused */
    {DEFAULT, NULL, "o", "b", NULL},
    {"", "https://eyes", "o", "b", NULL},
    {"{orgId}", "https://eyes", "https://evil.example/", "b", NULL},
    {"{serverHost}/x", "https://eyes", "o", "https://evil.example", NULL},
    {"https://{serverHost}/x", "https://eyes", "o", "evil.example", NULL},
    {"https://a.{orgId}/x", "https://eyes", "evil.example", "b", NULL},
    {"https://a{orgId}/x", "https://eyes", "@evil.example", "b", NULL},
    {"https://a:{orgId}/x", "https://eyes", "1", "b", NULL},
    {"{EYES_SERVER_URL}.evil.example/x", "https://eyes", "o", "b", NULL},
    {"{EYES_SERVER_URL}@evil.example/x", "https://eyes", "o", "b", NULL},
    {"{EYES_SERVER_URL}:1/x", "https://eyes", "o", "b", NULL},
    {"https://evil.example/{EYES_SERVER_URL}", "https://eyes", "o", "b", NULL},
    {"https://a/{orgId", "https://eyes", "o", "b", NULL},
    {"https://a/orgId}", "https://eyes", "o", "b", NULL},
    {"https://a/{secret}", "https://eyes", "o", "b", NULL},
    {"https://a/{orgId}/x", "https://eyes", "..", "b", NULL},
    {"https://u:p@a/x", "https://eyes", "o", "b", NULL},
    {"https://a/x#f", "https://eyes", "o", "b", NULL},
    {"ftp://a/x", "https://eyes", "o", "b", NULL},
    {"https://a/x y", "https://eyes", "o", "b", NULL},
};

static void test_address(void **state)
{
	char text[URL_TEXT];
	struct url server, url;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct eyes_event_place place = {.organization = addresses[i].organization,
		    .server_host = addresses[i].host,
		    .instance = "a1b2c3d4"};

		print_message("%s\n", addresses[i].template);
		if (addresses[i].server != NULL) {
			assert_true(url_parse(&server, addresses[i].server, NULL));
			place.server = &server;
		}
		err_clear(&err);
		bool good = eyes_event_url(addresses[i].template, &place, &url, &err);
		assert_int_equal(good, addresses[i].url != NULL);
		if (good) {
			url_text(&url, text, sizeof(text));
			assert_string_equal(text, addresses[i].url);
		} else {
			assert_string_equal(err.code, "url_invalid");
			assert_true(err.message[0] != '\0' && err.hint[0] != '\0');
			assert_null(strstr(err.message, "evil"));
		}
	}
}

static void test_address_too_long(void **state)
{
	char *organization = mem_zero(3001);
	struct eyes_event_place place = {.organization = organization, .server_host = "b"};
	struct err err = ERR_INIT;
	struct url url;

	(void)state;
	memset(organization, '&', 3000);
	assert_false(eyes_event_url("https://a/?o={orgId}", &place, &url, &err));
	assert_string_equal(err.code, "url_invalid");
	free(organization);
}

/* ---- calls ---- */

static struct peer peer;
static int reply_status;
static const char *reply_name, *reply_value, *reply_body;

static struct {
	unsigned calls;
	enum eyes_event_outcome outcome;
	int status;
	int64_t retry_after_ms;
	char code[32], hop[64], message[512], hint[320];
	bool trace;
} got;

static void answer(
    struct peer *self, const struct peer_asked *asked, struct evhttp_request *request)
{
	(void)self;
	(void)asked;
	if (reply_name != NULL)
		peer_add(request, reply_name, reply_value);
	peer_reply(request, reply_status, reply_body);
}

static void done(const struct eyes_event_answer *a, void *arg)
{
	assert_ptr_equal(arg, &got);
	got.calls++;
	got.outcome = a->outcome;
	got.status = a->status;
	got.retry_after_ms = a->retry_after_ms;
	got.trace = a->trace != NULL;
	snprintf(got.code, sizeof(got.code), "%s", a->err != NULL ? a->err->code : "");
	snprintf(got.hop, sizeof(got.hop), "%s", a->err != NULL ? a->err->hop : "");
	snprintf(got.message, sizeof(got.message), "%s", a->err != NULL ? a->err->message : "");
	snprintf(got.hint, sizeof(got.hint), "%s", a->err != NULL ? a->err->hint : "");
	loop_stop(peer.loop);
}

static int begin(void **state)
{
	(void)state;
	peer_start_at(&peer, "/eyes");
	peer.answer = answer;
	reply_status = 200;
	reply_name = NULL;
	reply_body = "{}";
	return 0;
}

static int end(void **state)
{
	(void)state;
	peer_stop(&peer);
	return 0;
}

static struct eyes_event_call *ask(const char *host, struct eyes_event *event)
{
	static struct url url;
	char text[200];

	snprintf(text, sizeof(text), "http://%s:%u/hook?a=b", host, peer.port);
	assert_true(url_parse(&url, text, NULL));
	memset(&got, 0, sizeof(got));
	event->url = &url;
	return eyes_event_send(peer.eyes, event, done, &got);
}

static const char *sent(const char *name)
{
	static char value[256];

	peer_header(&peer.asked[(peer.count - 1) % PEER_ASKED], name, value, sizeof(value));
	return value;
}

static struct eyes_event plain(const char *body)
{
	return (struct eyes_event){.content_type = "application/json; charset=utf-8",
	    .headers = "X-Event-Key: pr:opened\nX-Request-Id: r1\n",
	    .body = body,
	    .body_length = strlen(body)};
}

static void test_own_origin(void **state)
{
	struct eyes_event event = plain("{\"odd\":  1.0}\n");

	(void)state;
	ask("127.0.0.1", &event);
	assert_int_equal(got.calls, 0);
	peer_run(&peer);
	assert_int_equal(got.calls, 1);
	assert_int_equal(got.outcome, EYES_EVENT_TAKEN);
	assert_int_equal(got.status, 200);
	assert_true(got.trace);
	assert_string_equal(peer.asked[0].method, "POST");
	assert_string_equal(peer.asked[0].uri, "/hook?a=b");
	assert_string_equal(peer.asked[0].body, "{\"odd\":  1.0}\n");
	assert_string_equal(sent("X-Eyes-Api-Key"), KEY);
	assert_string_equal(sent("Eyes-Expect-Version"), "2");
	assert_true(strlen(sent("x-applitools-eyes-client-request-id")) > 32);
	assert_string_equal(sent("Content-Type"), "application/json; charset=utf-8");
	assert_string_equal(sent("X-Event-Key"), "pr:opened");
	assert_string_equal(sent("X-Request-Id"), "r1");
	assert_string_equal(sent("X-Hub-Signature"), "");
	assert_int_equal(strncmp(sent("User-Agent"), "eyes-scm/", 9), 0);
}

static void test_other_origin(void **state)
{
	struct eyes_event event = plain("{}");

	(void)state;
	ask("localhost", &event);
	peer_run(&peer);
	assert_int_equal(got.outcome, EYES_EVENT_TAKEN);
	assert_null(strstr(peer.asked[0].headers, KEY));
	assert_string_equal(sent("X-Eyes-Api-Key"), "");
	assert_string_equal(sent("Eyes-Date"), "");
	assert_string_equal(sent("x-applitools-eyes-client"), "");
	assert_string_equal(sent("X-Event-Key"), "pr:opened");
	assert_int_equal(strncmp(sent("User-Agent"), "eyes-scm/", 9), 0);
}

/* Source of the values: Bitbucket Data Center, "Manage webhooks". */
static void test_signature(void **state)
{
	struct secret secret = {.data = (char *)"It's a Secret to Everybody", .length = 26};
	struct eyes_event event = plain("Hello World!");

	(void)state;
	event.sign = &secret;
	event.headers = "X-Hub-Signature: sha256=old\nX-Request-Id: r1\n";
	ask("127.0.0.1", &event);
	peer_run(&peer);
	assert_string_equal(sent("X-Hub-Signature"),
	    "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9");
	assert_null(strstr(peer.asked[0].headers, "sha256=old"));
	assert_null(strstr(peer.asked[0].headers, "Secret"));
	event.sign = NULL;
	ask("127.0.0.1", &event);
	peer_run(&peer);
	assert_string_equal(sent("X-Hub-Signature"), "sha256=old"); /* the caller put it there */
}

/* What would change the request, or who we say we are, does not pass. */
static void test_headers(void **state)
{
	struct eyes_event event = plain("{}");

	(void)state;
	event.headers = "Host: evil.example\nContent-Length: 7\ntransfer-encoding: chunked\n"
	                "Connection: close\nX-Eyes-Api-Key: stolen\nCookie: a=b\nAccept: x/y\n"
	                "Authorization: Basic x\nUser-Agent: Bitbucket\nContent-Type: x/y\n"
	                "eyes-date: never\nno colon\n: empty\nX Y: space\nX-Ctl: a\001b\n"
	                "X-Tab:\tb\nX-Good: a: b\nX-Cut: off";
	event.content_type = "";
	ask("localhost", &event);
	peer_run(&peer);
	assert_int_equal(got.outcome, EYES_EVENT_TAKEN);
	assert_string_equal(sent("X-Good"), "a: b");
	assert_string_equal(sent("Content-Type"), "application/json");
	assert_string_equal(sent("Content-Length"), "2");
	assert_string_equal(peer.asked[0].body, "{}");
	static const char *const absent[] = {"X-Eyes-Api-Key", "Cookie", "Authorization",
	    "transfer-encoding", "eyes-date", "X-Ctl", "X-Cut", "X Y"};
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		assert_string_equal(sent(absent[i]), "");
	static const char *const words[] = {"evil", "x/y", "Bitbucket", "stolen", "close"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_null(strstr(peer.asked[0].headers, words[i]));
}

static const struct {
	int status;
	enum eyes_event_outcome outcome;
	const char *own, *other; /* code, at Eyes and elsewhere */
} outcomes[] = {
    {200, EYES_EVENT_TAKEN, "", ""},
    {202, EYES_EVENT_TAKEN, "", ""},
    {204, EYES_EVENT_TAKEN, "", ""},
    {301, EYES_EVENT_BLOCKED, "event_address", "event_address"},
    {302, EYES_EVENT_BLOCKED, "event_address", "event_address"},
    {400, EYES_EVENT_REFUSED, "event_refused", "event_refused"},
    {401, EYES_EVENT_BLOCKED, "key_unknown", "event_address"},
    {403, EYES_EVENT_BLOCKED, "key_forbidden", "event_address"},
    {404, EYES_EVENT_BLOCKED, "event_address", "event_address"},
    {405, EYES_EVENT_BLOCKED, "event_address", "event_address"},
    {407, EYES_EVENT_TEMPORARY, "proxy_auth", "proxy_auth"},
    {408, EYES_EVENT_TEMPORARY, "eyes_4xx", "eyes_4xx"},
    {409, EYES_EVENT_REFUSED, "event_refused", "event_refused"},
    {410, EYES_EVENT_BLOCKED, "event_address", "event_address"},
    {413, EYES_EVENT_REFUSED, "event_refused", "event_refused"},
    {422, EYES_EVENT_REFUSED, "event_refused", "event_refused"},
    {425, EYES_EVENT_TEMPORARY, "eyes_4xx", "eyes_4xx"},
    {429, EYES_EVENT_TEMPORARY, "rate_limited", "rate_limited"},
    {500, EYES_EVENT_TEMPORARY, "eyes_5xx", "eyes_5xx"},
    {501, EYES_EVENT_BLOCKED, "event_address", "event_address"},
    {502, EYES_EVENT_TEMPORARY, "eyes_5xx", "eyes_5xx"},
    {503, EYES_EVENT_TEMPORARY, "eyes_5xx", "eyes_5xx"},
    {599, EYES_EVENT_TEMPORARY, "eyes_5xx", "eyes_5xx"},
};

static void test_outcomes(void **state)
{
	struct eyes_event event = plain("{}");

	(void)state;
	reply_name = "Location";
	reply_value = "http://inner.example:1/x";
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]) * 2; i++) {
		bool own = i % 2 == 0;

		reply_status = outcomes[i / 2].status;
		ask(own ? "127.0.0.1" : "localhost", &event);
		peer_run(&peer);
		print_message("%d %s %s\n", got.status, got.code, got.message);
		assert_int_equal(got.calls, 1);
		assert_int_equal(got.status, reply_status);
		assert_int_equal(got.outcome, outcomes[i / 2].outcome);
		assert_string_equal(got.code, own ? outcomes[i / 2].own : outcomes[i / 2].other);
		assert_int_equal(got.retry_after_ms, -1);
	}
	/* Each once: a 202 with Location is not waited for. */
	assert_int_equal(peer.count, sizeof(outcomes) / sizeof(outcomes[0]) * 2);
}

static void test_words(void **state)
{
	struct eyes_event event = plain("{}");

	(void)state;
	reply_status = 404;
	reply_body = "{\"message\":\"no\\u0007 route\"}";
	ask("127.0.0.1", &event);
	peer_run(&peer);
	assert_non_null(
	    strstr(got.message, "127.0.0.1 does not take events at this address (404)"));
	assert_non_null(strstr(got.message, "(no\\x07 route)"));
	assert_non_null(strstr(got.hint, "EYES_WEBHOOK_URL"));
	assert_string_equal(got.hop, "Eyes, HTTP 404");
	reply_status = 503;
	reply_name = "Retry-After";
	reply_value = "7";
	ask("127.0.0.1", &event);
	peer_run(&peer);
	assert_int_equal(got.retry_after_ms, 7000);
}

/* 10 MiB, byte for byte. */
static void test_large(void **state)
{
	size_t length = 10 * 1024 * 1024;
	char *body = mem_zero(length + 1);
	struct eyes_event event = plain("");

	(void)state;
	for (size_t i = 0; i < length; i++)
		body[i] = (char)('a' + i % 23 + (i >> 20));
	event.body = body;
	event.body_length = length;
	evhttp_set_max_body_size(peer.server, (ssize_t)length + 1);
	ask("127.0.0.1", &event);
	peer_run(&peer);
	assert_int_equal(got.outcome, EYES_EVENT_TAKEN);
	assert_string_equal(peer.asked[0].body, body);
	free(body);
}

static void test_not_reached(void **state)
{
	struct eyes_event event = plain("{}");

	(void)state;
	evhttp_free(peer.server);
	peer.server = evhttp_new(loop_base(peer.loop));
	ask("127.0.0.1", &event);
	peer_run(&peer);
	assert_int_equal(got.outcome, EYES_EVENT_TEMPORARY);
	assert_string_equal(got.code, "eyes_refused");
	assert_int_equal(got.status, 0);
}

/* Cancelled, by hand and with the connection: no completion. */
static void test_cancel(void **state)
{
	struct eyes_event event = plain("{}");
	struct eyes_event_call *call = ask("127.0.0.1", &event);

	(void)state;
	eyes_event_cancel(call);
	eyes_event_cancel(NULL);
	ask("127.0.0.1", &event);
	ask("127.0.0.1", &event);
	eyes_free(peer.eyes);
	peer.eyes = NULL;
	assert_int_equal(got.calls, 0);
}

/* The completion may end the connection. */
static void done_and_free(const struct eyes_event_answer *a, void *arg)
{
	done(a, arg);
	eyes_free(peer.eyes);
	peer.eyes = NULL;
}

static void test_free_inside(void **state)
{
	struct eyes_event event = plain("{}");
	struct url url;

	(void)state;
	ask("127.0.0.1", &event);
	url = *event.url;
	event.url = &url;
	eyes_event_send(peer.eyes, &event, done_and_free, &got);
	while (peer.eyes != NULL)
		peer_run(&peer);
	assert_in_range(got.calls, 1, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_address),
	    cmocka_unit_test(test_address_too_long),
	    TEST(test_own_origin),
	    TEST(test_other_origin),
	    TEST(test_signature),
	    TEST(test_headers),
	    TEST(test_outcomes),
	    TEST(test_words),
	    TEST(test_large),
	    TEST(test_not_reached),
	    TEST(test_cancel),
	    TEST(test_free_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
