/*
 * The client against scripted servers: framing, reuse, retry, deadlines, caps, redirects, the pool.
 */
#include "unit/net/fetch.h"
#include "unit/net/peer.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

enum then { KEEP, CLOSE, HANG, RESET };

/* What the server says to a path, and what the client makes of it. */
static const struct row {
	const char *path, *answer;
	enum then then;
	int status; /* or 0 with code, hop and words of the message */
	const char *body, *code, *hop, *words;
} rows[] = {
    {"/ok", OK, KEEP, 200, "ok", NULL, NULL, NULL},
    {"/eof", "HTTP/1.1 200 OK\r\n\r\nto the end", CLOSE, 200, "to the end", NULL, NULL, NULL},
    {"/eof-keep", "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\nto the end", CLOSE, 200,
        "to the end", NULL, NULL, NULL},
    {"/hints", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK, KEEP,
        200, "ok", NULL, NULL, NULL},
    {"/chunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: "
        "t\r\n\r\n",
        KEEP, 200, "abcde", NULL, NULL, NULL},
    {"/204", "HTTP/1.1 204 No Content\r\n\r\n", KEEP, 204, "", NULL, NULL, NULL},
    {"/early", "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", CLOSE,
        413, "", NULL, NULL, NULL},
    {"/101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", HANG, 0, NULL,
        "http_malformed", "HTTP", "switches protocols"},
    {"/cut", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", CLOSE, 0, NULL, "http_cut", "HTTP",
        "after 3 bytes"},
    {"/cut-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", CLOSE, 0, NULL,
        "http_cut", "HTTP", "closed the connection in the middle"},
    {"/cut-head", "HTTP/1.1 200 OK\r\nConte", CLOSE, 0, NULL, "http_cut", "HTTP", "middle"},
    {"/nothing", "", CLOSE, 0, NULL, "http_cut", "HTTP", "without an answer"},
    {"/reset", "", RESET, 0, NULL, "http_cut", "HTTP", "reset the connection"},
    {"/ssh", "SSH-2.0-OpenSSH\r\n", HANG, 0, NULL, "http_malformed", "HTTP", "not proper HTTP"},
    {"/two-lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk", HANG,
        0, NULL, "http_malformed", "HTTP", "two Content-Length"},
    {"/large", "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", HANG, 0, NULL, "http_too_large",
        "HTTP", "larger than 1000 bytes"},
    {"/large-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n", HANG, 0, NULL,
        "http_too_large", "HTTP", "larger than 1000 bytes"},
    {"/hang", "", HANG, 0, NULL, "http_timeout", "HTTP", "did not begin to answer within 0.3 s"},
    {"/hang-body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", HANG, 0, NULL, "deadline",
        "HTTP", "within 0.6 s: it was receiving the answer, 127.0.0.1:"},
    {"/loop", "HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n", KEEP, 302, "",
        NULL, NULL, NULL},
    {"/there", "HTTP/1.1 301 Moved\r\nLocation: ok?a=b\r\nContent-Length: 3\r\n\r\nbye", KEEP, 200,
        "ok", NULL, NULL, NULL},
    {"/elsewhere",
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/ok\r\nContent-Length: 0\r\n\r\n", KEEP,
        302, "", NULL, NULL, NULL},
    {"/no-place", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", KEEP, 302, "", NULL, NULL,
        NULL},
    {"/307", "HTTP/1.1 307 Again\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n", KEEP, 200, "ok",
        NULL, NULL, NULL},
};

static const struct row *row_of(const struct peer_conn *conn)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		char line[64];
		int length = snprintf(line, sizeof line, " %s", rows[i].path);
		const char *at = strchr(conn->request, ' ');

		if (at != NULL && strncmp(at, line, (size_t)length) == 0 &&
		    strchr(" ?", at[length]) != NULL)
			return &rows[i];
	}
	return NULL;
}

static void serve_rows(struct peer_conn *conn)
{
	while (peer_request(conn)) {
		const struct row *row = row_of(conn);

		if (row == NULL || !peer_say(conn, row->answer) || row->then == CLOSE)
			return;
		if (row->then == RESET) {
			peer_reset(conn);
			return;
		}
		if (row->then == HANG)
			peer_wait_end(conn);
	}
}

static void fetch_with(struct side *side, struct outcome *outcome, uint16_t port, const char *path,
    const char *method, struct http_options options)
{
	struct url url = url_at("http", "127.0.0.1", port, path);

	options.method = method;
	options.url = &url;
	send_options(side, outcome, &options);
}

static void fetch(struct side *side, struct outcome *outcome, uint16_t port, const char *path)
{
	const struct http_options options = {
	    .body_limit = 1000, .deadlines = {.first_byte = 300, .total = 600}};

	fetch_with(side, outcome, port, path, "GET", options);
	side_run(side);
}

static void test_rows(void **state)
{
	struct side side;
	struct peer peer;
	struct outcome outcome;

	(void)state;
	peer_start(&peer, NULL, serve_rows);
	for (size_t i = 0; i < COUNT(rows); i++) {
		side_start(&side, NULL); /* a fresh connection for each */
		fetch(&side, &outcome, peer.port, rows[i].path);
		if (rows[i].status > 0) {
			assert_status(&outcome, rows[i].status);
			assert_string_equal(outcome.body, rows[i].body);
		} else {
			assert_failed(&outcome, rows[i].code, rows[i].hop);
			assert_words(&outcome, rows[i].words);
		}
		assert_true(outcome.sent);
		side_stop(&side);
	}
	peer_stop(&peer);
}

static void test_reuse(void **state)
{
	struct side side;
	struct peer peer;
	struct outcome outcome;

	(void)state;
	peer_start(&peer, NULL, serve_rows);
	side_start(&side, NULL);
	fetch(&side, &outcome, peer.port, "/ok");
	assert_false(outcome.trace.reused);
	assert_int_equal(outcome.trace.count, 3);
	for (int i = 0; i < 5; i++) {
		fetch(&side, &outcome, peer.port, i % 2 ? "/chunked" : "/hints");
		assert_status(&outcome, 200);
		assert_true(outcome.trace.reused);
		assert_int_equal(outcome.trace.count, 1);
		assert_string_equal(outcome.trace.hops[0].hop, "HTTP");
		assert_string_equal(outcome.trace.hops[0].detail, "200");
	}
	assert_int_equal(peer.accepted, 1);
	http_client_drop_idle(side.client, NULL);
	fetch(&side, &outcome, peer.port, "/ok");
	assert_int_equal(peer.accepted, 2);
	side_stop(&side);
	peer_stop(&peer);
}

/* The first connection answers once and dies at the second request; the next ones live. */
static void serve_stale(struct peer_conn *conn)
{
	if (!peer_request(conn) || !peer_say(conn, OK))
		return;
	if (peer_request(conn) && conn->number > 0)
		peer_say(conn, OK);
}

static void test_stale_is_repeated_once(void **state)
{
	struct side side;
	struct peer peer;
	struct outcome outcome;
	struct http_options options = {.repeatable = true};

	(void)state;
	for (int repeatable = 0; repeatable < 2; repeatable++) {
		peer_start(&peer, NULL, serve_stale);
		side_start(&side, NULL);
		fetch(&side, &outcome, peer.port, "/ok");
		options.repeatable = repeatable;
		fetch_with(&side, &outcome, peer.port, "/ok", "POST", options);
		side_run(&side);
		if (repeatable) {
			assert_status(&outcome, 200);
			assert_false(outcome.trace.reused);
		} else {
			assert_failed(&outcome, "http_cut", "HTTP");
		}
		assert_true(outcome.sent);
		assert_int_equal(peer.accepted, repeatable ? 2 : 1);
		side_stop(&side);
		peer_stop(&peer);
	}
}

/* Never more than twice: the fresh connection dies too. And never when a byte of the answer came.
 */
static void serve_deaf(struct peer_conn *conn)
{
	if (conn->number == 0 && peer_request(conn))
		peer_say(conn, OK);
	if (peer_request(conn) && peer_starts(conn, "POST /byte"))
		peer_say(conn, "H");
}

static void test_retry_has_an_end(void **state)
{
	struct side side;
	struct peer peer;
	struct outcome outcome;
	const struct http_options options = {.repeatable = true};

	(void)state;
	for (int byte = 0; byte < 2; byte++) {
		peer_start(&peer, NULL, serve_deaf);
		side_start(&side, NULL);
		fetch(&side, &outcome, peer.port, "/ok");
		fetch_with(&side, &outcome, peer.port, byte ? "/byte" : "/ok", "POST", options);
		side_run(&side);
		assert_failed(&outcome, "http_cut", "HTTP");
		assert_int_equal(peer.accepted, byte ? 1 : 2);
		side_stop(&side);
		peer_stop(&peer);
	}
}

static void serve_once(struct peer_conn *conn)
{
	if (peer_request(conn))
		peer_say(conn, OK);
}

/* An end that comes while idle is noticed: even what may not be repeated goes out on a new
 * connection. */
static void test_end_while_idle(void **state)
{
	struct side side;
	struct peer peer;
	struct outcome outcome;

	(void)state;
	peer_start(&peer, NULL, serve_once);
	side_start(&side, NULL);
	for (int i = 0; i < 3; i++) {
		fetch(&side, &outcome, peer.port, "/ok");
		assert_status(&outcome, 200);
		side_run_for(&side, 100);
	}
	assert_int_equal(peer.accepted, 3);
	side_stop(&side);
	peer_stop(&peer);
}

/* One piece with the answer; or a while later. */
static void serve_surplus(struct peer_conn *conn)
{
	if (!peer_request(conn))
		return;
	if (conn->number % 2 == 0) {
		peer_say(conn, OK OK);
	} else {
		peer_say(conn, OK);
		usleep(30000);
		peer_say(conn, OK);
	}
	peer_wait_end(conn);
}

static void test_surplus_is_never_an_answer(void **state)
{
	struct side side;
	struct peer peer;
	struct outcome outcome;

	(void)state;
	peer_start(&peer, NULL, serve_surplus);
	side_start(&side, NULL);
	for (int i = 0; i < 4; i++) {
		fetch(&side, &outcome, peer.port, "/ok");
		assert_status(&outcome, 200);
		if (i % 2 == 1)
			side_run_for(&side, 100);
	}
	assert_int_equal(peer.accepted, 4);
	assert_int_equal(peer.requests, 4);
	side_stop(&side);
	peer_stop(&peer);
}

static void serve_drip(struct peer_conn *conn)
{
	if (!peer_request(conn) ||
	    !peer_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"))
		return;
	while (peer_say(conn, "x"))
		usleep(10000);
}

static void test_drip_meets_the_deadline(void **state)
{
	struct side side;
	struct peer peer;
	struct outcome outcome;

	(void)state;
	peer_start(&peer, NULL, serve_drip);
	side_start(&side, NULL);
	fetch(&side, &outcome, peer.port, "/drip");
	assert_failed(&outcome, "deadline", "HTTP");
	assert_true(outcome.trace.hops[2].ms >= 500);
	side_stop(&side);
	peer_stop(&peer);
}

static void serve_long_head(struct peer_conn *conn)
{
	char line[1001] = "X: ";

	memset(line + 3, 'a', 995);
	strcpy(line + 998, "\r\n");
	if (!peer_request(conn) || !peer_say(conn, "HTTP/1.1 200 OK\r\n"))
		return;
	for (int i = 0; i < 80; i++) {
		if (!peer_say(conn, peer_starts(conn, "GET /many") ? "Y: y\r\nY: y\r\n" : line))
			return;
	}
	peer_wait_end(conn);
}

static void test_long_head(void **state)
{
	struct side side;
	struct peer peer;
	struct outcome outcome;

	(void)state;
	peer_start(&peer, NULL, serve_long_head);
	side_start(&side, NULL);
	fetch(&side, &outcome, peer.port, "/");
	assert_failed(&outcome, "http_too_large", "HTTP");
	assert_words(&outcome, "header");
	fetch(&side, &outcome, peer.port, "/many");
	assert_failed(&outcome, "http_too_large", "HTTP");
	side_stop(&side);
	peer_stop(&peer);
}

static void serve_echo(struct peer_conn *conn)
{
	char head[100];

	while (peer_request(conn)) {
		if (peer_starts(conn, "POST /again")) {
			peer_say(conn, "HTTP/1.1 308 Again\r\nLocation: "
			               "./to?x=1\r\nContent-Length: 0\r\n\r\n");
			continue;
		}
		snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
		    conn->length);
		peer_say(conn, head);
		peer_write(conn, conn->request, conn->length);
	}
}

/* The exact bytes on the wire, before and after a redirect. */
static void test_bytes_on_the_wire(void **state)
{
	struct side side;
	struct peer peer;
	struct outcome outcome;
	char expected[200];
	const struct http_header headers[] = {
	    {"Authorization", "Bearer t0ken", true}, {"X-A", "b", false}};
	const struct http_options options = {
	    .headers = headers, .header_count = 2, .body = "{\"a\":1}", .body_length = 7};

	(void)state;
	peer_start(&peer, NULL, serve_echo);
	side_start(&side, NULL);
	fetch_with(&side, &outcome, peer.port, "/again", "POST", options);
	side_run(&side);
	assert_status(&outcome, 200);
	snprintf(expected, sizeof expected,
	    "POST /to?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAuthorization: Bearer t0ken\r\nX-A: "
	    "b\r\n"
	    "Content-Length: 7\r\n\r\n{\"a\":1}",
	    peer.port);
	assert_string_equal(outcome.body, expected);
	assert_string_equal(outcome.url.path, "/to");
	assert_int_equal(peer.accepted, 1);
	fetch_with(&side, &outcome, peer.port, "", "HEAD", (struct http_options){0});
	side_run(&side);
	assert_status(&outcome, 200);
	assert_int_equal(outcome.body_length, 0);
	side_stop(&side);
	peer_stop(&peer);
}

static void test_wrong_options(void **state)
{
	static const struct http_header wrong[] = {{"X", "a\r\nB: c", false}, {"X Y", "a", false},
	    {"host", "a", false}, {"Content-Length", "1", false},
	    {"transfer-encoding", "chunked", false}};
	struct side side;
	struct url url = url_at("http", "127.0.0.1", 1, "/");
	struct url secure = url_at("https", "127.0.0.1", 1, "/");

	(void)state;
	side_start(&side, NULL);
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct err err = ERR_INIT;
		const struct http_options options = {
		    .method = "GET", .url = &url, .headers = &wrong[i], .header_count = 1};

		assert_null(http_client_send(side.client, &options, outcome_note, NULL, &err));
		assert_string_equal(err.code, "request_invalid");
	}
	const struct http_options method = {.method = "GET /", .url = &url};
	assert_null(http_client_send(side.client, &method, outcome_note, NULL, NULL));
	const struct http_options trust = {.method = "GET", .url = &secure};
	assert_null(http_client_send(side.client, &trust, outcome_note, NULL, NULL));
	side_stop(&side);
}

/* Ten requests at once: on as many connections as are allowed, and, on one, in order. */
static void test_pool_limit_and_order(void **state)
{
	(void)state;
	for (unsigned limit = 1; limit <= 3; limit++) {
		struct outcome outcomes[10];
		struct side side;
		struct peer peer;

		peer_start(&peer, NULL, serve_rows);
		side_start(&side, NULL);
		for (size_t i = 0; i < COUNT(outcomes); i++)
			fetch_with(&side, &outcomes[i], peer.port, "/ok", "GET",
			    (struct http_options){.connections = limit});
		side_run(&side);
		for (size_t i = 0; i < COUNT(outcomes); i++) {
			assert_status(&outcomes[i], 200);
			if (limit == 1)
				assert_int_equal(outcomes[i].order, i + 1);
		}
		assert_int_equal(peer.accepted, limit);
		side_stop(&side);
		peer_stop(&peer);
	}
}

/* The total deadline runs while a request waits for a connection. */
static void test_deadline_while_waiting(void **state)
{
	struct side side;
	struct peer peer;
	struct outcome first, late, cancelled;
	struct http_options options = {.connections = 1, .deadlines = {.first_byte = 2000}};

	(void)state;
	peer_start(&peer, NULL, serve_rows);
	side_start(&side, NULL);
	fetch_with(&side, &first, peer.port, "/hang", "GET", options);
	options.deadlines.total = 200;
	fetch_with(&side, &late, peer.port, "/ok", "GET", options);
	fetch_with(&side, &cancelled, peer.port, "/ok", "GET", options);
	http_request_cancel(cancelled.request);
	side.pending -= 2;
	side_run(&side);
	assert_failed(&late, "deadline", "HTTP");
	assert_words(&late, "all 1 connections");
	assert_false(late.sent);
	assert_int_equal(first.calls, 0);
	assert_int_equal(cancelled.calls, 0);
	http_request_cancel(first.request);
	side_stop(&side);
	peer_stop(&peer);
}

static int chain_left;
static void chain(const struct http_result *result, void *arg)
{
	struct side *side = arg;
	struct url url = *result->url;
	const struct http_options options = {.method = "GET", .url = &url};

	assert_null(result->err);
	if (--chain_left == 0) {
		loop_stop(side->loop);
		return;
	}
	assert_non_null(http_client_send(side->client, &options, chain, side, NULL));
	assert_string_equal(result->body, "ok"); /* still ours */
	assert_int_equal(result->head->status, 200);
}

/* A request sent from within a completion takes the connection that has just become free. */
static void test_chain_from_completion(void **state)
{
	struct side side;
	struct peer peer;
	struct url url;

	(void)state;
	peer_start(&peer, NULL, serve_rows);
	side_start(&side, NULL);
	url = url_at("http", "127.0.0.1", peer.port, "/ok");
	const struct http_options options = {.method = "GET", .url = &url};
	chain_left = 20;
	assert_non_null(http_client_send(side.client, &options, chain, &side, NULL));
	loop_run(side.loop);
	assert_int_equal(peer.accepted, 1);
	side_stop(&side);
	peer_stop(&peer);
}

static void free_inside(const struct http_result *result, void *arg)
{
	struct side *side = arg;

	http_client_free(side->client);
	assert_true(result->err != NULL || result->body_length > 0);
	loop_stop(side->loop);
}

static void test_free_inside_completion(void **state)
{
	static const char *const paths[] = {"/ok", "/cut", "/nothing", "/ssh", "/eof", "/large"};
	struct side side;
	struct peer peer;

	(void)state;
	peer_start(&peer, NULL, serve_rows);
	for (size_t i = 0; i < COUNT(paths); i++) {
		struct url url = url_at("http", "127.0.0.1", peer.port, paths[i]);
		const struct http_options options = {
		    .method = "GET", .url = &url, .connections = 1, .body_limit = 1000};

		side_start(&side, NULL);
		for (int n = 0; n < 3; n++)
			assert_non_null(
			    http_client_send(side.client, &options, free_inside, &side, NULL));
		loop_run(side.loop);
		resolver_free(side.resolver);
		loop_free(side.loop);
	}
	peer_stop(&peer);
}

static void test_trace_json(void **state)
{
	struct side side;
	struct peer peer;
	struct outcome outcome;
	struct buf json;

	(void)state;
	buf_init(&json, 4096);
	peer_start(&peer, NULL, serve_rows);
	side_start(&side, NULL);
	fetch(&side, &outcome, peer.port, "/nothing");
	http_trace_json(&outcome.trace, &json);
	assert_non_null(
	    strstr(json.data, "[{\"hop\":\"DNS\",\"outcome\":\"ok\",\"detail\":\"127.0.0.1:"));
	assert_non_null(
	    strstr(json.data, "{\"hop\":\"HTTP\",\"outcome\":\"failed\",\"detail\":\"127.0.0.1:"));
	buf_free(&json);
	side_stop(&side);
	peer_stop(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_reuse),
	    cmocka_unit_test(test_stale_is_repeated_once),
	    cmocka_unit_test(test_retry_has_an_end),
	    cmocka_unit_test(test_end_while_idle),
	    cmocka_unit_test(test_surplus_is_never_an_answer),
	    cmocka_unit_test(test_drip_meets_the_deadline),
	    cmocka_unit_test(test_long_head),
	    cmocka_unit_test(test_bytes_on_the_wire),
	    cmocka_unit_test(test_wrong_options),
	    cmocka_unit_test(test_pool_limit_and_order),
	    cmocka_unit_test(test_deadline_while_waiting),
	    cmocka_unit_test(test_chain_from_completion),
	    cmocka_unit_test(test_free_inside_completion),
	    cmocka_unit_test(test_trace_json),
	};

	return cmocka_run_group_tests_name("http_client", tests, NULL, NULL);
}
