/* The gate: what passes, in which form, and what is refused. */
#include "base/metrics.h"
#include "unit/web/gate_test.h"
#include <jansson.h>
#include <signal.h>

/* ---- what is refused ---- */

/* Sends it, expects that refusal as JSON, and the end of the connection; no handler is called. */
static void refused(struct server *server, const char *request, size_t length, int status)
{
	struct client *client = client_open(server);
	unsigned before = server_count(server, COUNT_HANDLED);
	const char *code;

	client_send_bytes(client, request, length);
	if (!client_reply_to(client, strncmp(request, "HEAD ", 5) == 0 && status == 400 &&
	                                 strstr(request, "Content-Length: 4\r\n") != NULL))
		fail_msg("no answer to %.60s", request);
	if (client->status != status)
		fail_msg("%d, not %d, to %.80s: %s", client->status, status, request,
		    client_text(client));
	assert_string_equal(client_header(client, "Connection"), "close");
	assert_string_equal(client_header(client, "Content-Type"), "application/json");
	if (client->body.length > 0) {
		json_t *json = json_loads(client_text(client), 0, NULL);
		json_t *error = json_object_get(json, "error");

		code = json_string_value(json_object_get(error, "code"));
		assert_non_null(code);
		assert_true(json_string_length(json_object_get(error, "message")) > 10);
		json_decref(json);
	}
	assert_true(client_at_end(client, 5000));
	assert_int_equal(server_count(server, COUNT_HANDLED), before);
	client_close(client);
}

#define H "Host: x\r\n"
#define POST "POST /echo HTTP/1.1\r\n" H
static const struct {
	int status;
	const char *request;
} malformed[] = {
    /* what evhttp is known to let through */
    {400, POST "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde"},
    {400, POST "Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd"},
    {400, POST "Content-Length : 4\r\n\r\nabcd"},
    {501, POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
    {501, POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"},
    {400, POST "Content-Length: +4\r\n\r\nabcd"},
    {400, POST "Content-Length: -4\r\n\r\nabcd"},
    {400, POST "Content-Length: 4, 4\r\n\r\nabcd"},
    {400, POST "Content-Length: 0x4\r\n\r\nabcd"},
    {400, "HEAD /echo HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\nGET /"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n+5\r\nabcde\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n 5\r\nabcde\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n5\r\nabcdefg\r\n0\r\n\r\n"},
    {400, "GET /echo HTTP/1.1\n" H "\r\n"},
    {400, "GET /echo HTTP/1.1\r\nHost: x\n\r\n"},
    {400, "GET /echo HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n"},
    {400, "GET /echo HTTP/1.1\r\nX: a\r\n\r\n"},
    {400, "GET /echo HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"},
    {400, "GET /echo HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"},
    {400, "GET /echo HTTP/1.-1\r\n" H "\r\n"},
    {505, "GET /echo HTTP/2.0\r\n" H "\r\n"},
    {505, "GET /echo HTTP/1.2\r\n" H "\r\n"},
    {400, "GET /admin%00x HTTP/1.1\r\n" H "\r\n"},
    {400, "GET /a?b=%00 HTTP/1.1\r\n" H "\r\n"},
    {400, "GET //evil.com/x HTTP/1.1\r\n" H "\r\n"},
    {400, "GET http://x//evil.com/x HTTP/1.1\r\n" H "\r\n"},
    /* other faults */
    {400, "GET /%zz HTTP/1.1\r\n" H "\r\n"},
    {400, "GET /a%4 HTTP/1.1\r\n" H "\r\n"},
    {400, "GET /echo\r\n\r\n"},
    {400, "GET /ec ho HTTP/1.1\r\n" H "\r\n"},
    {400, "GET /a#b HTTP/1.1\r\n" H "\r\n"},
    {400, "GET ftp://x/ HTTP/1.1\r\n" H "\r\n"},
    {400, "GET * HTTP/1.1\r\n" H "\r\n"},
    {400, "GET http://user@x/ HTTP/1.1\r\n" H "\r\n"},
    {400, "\x16\x03\x01\x02\x00\x01"},
    {400, "G\x01T / HTTP/1.1\r\n" H "\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n5;\x01\r\nabcde\r\n0\r\n\r\n"},
    {400, "GET /echo HTTP/1.1\r\n" H "Authorization: a\r\nauthorization: b\r\n\r\n"},
    {400, "GET /echo HTTP/1.1\r\n" H "Origin: a\r\nOrigin: b\r\n\r\n"},
    {405, "OPTIONS /echo HTTP/1.1\r\n" H "\r\n"},
    {405, "OPTIONS * HTTP/1.1\r\n" H "\r\n"},
    {405, "PATCH /echo HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\nabcd"},
    {405, "TRACE /echo HTTP/1.1\r\n" H "\r\n"},
    {405, "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n"},
    {501, "BREW /echo HTTP/1.1\r\n" H "\r\n"},
    {501, "get /echo HTTP/1.1\r\n" H "\r\n"},
    {413, POST "Content-Length: 4194305\r\n\r\n"},
    {413, POST "Content-Length: 99999999999999999999999\r\n\r\n"},
    {413, POST "Expect: 100-continue\r\nContent-Length: 4194305\r\n\r\n"},
    {413, POST "Transfer-Encoding: chunked\r\n\r\n400001\r\n"},
    {417, POST "Expect: 200-ok\r\nContent-Length: 4\r\n\r\nabcd"},
    {417, POST "Expect: 100-continue, x\r\nContent-Length: 4\r\n\r\nabcd"},
};

static void test_malformed(void **state)
{
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
		refused(*state, malformed[i].request, strlen(malformed[i].request),
		    malformed[i].status);
}

static void test_nul_in_head(void **state)
{
	static const char value[] = "GET /echo HTTP/1.1\r\n" H "X: a\0b\r\n\r\n";
	static const char name[] = "GET /echo HTTP/1.1\r\n" H "X\0: a\r\n\r\n";
	static const char target[] = "GET /ec\0ho HTTP/1.1\r\n" H "\r\n";

	refused(*state, value, sizeof(value) - 1, 400);
	refused(*state, name, sizeof(name) - 1, 400);
	refused(*state, target, sizeof(target) - 1, 400);
}

static void test_too_large(void **state)
{
	char *text = malloc(64 * 1024), *at;
	int n;

	n = sprintf(text, "GET /%09000d HTTP/1.1\r\n" H "\r\n", 1);
	refused(*state, text, (size_t)n, 414);
	n = sprintf(text, "GET /%020000d HTTP/1.1\r\n" H "\r\n", 1);
	refused(*state, text, (size_t)n, 414);
	n = sprintf(text, "GET / HTTP/1.1\r\n" H "X: %017000d\r\n\r\n", 1);
	refused(*state, text, (size_t)n, 431);
	at = text + sprintf(text, "GET / HTTP/1.1\r\n" H);
	for (int i = 0; i < 64; i++)
		at += sprintf(at, "X%d: y\r\n", i);
	at += sprintf(at, "\r\n");
	refused(*state, text, (size_t)(at - text), 431);
	free(text);
}

/* The refusal is read although the client was still sending. */
static void test_refusal_while_sending(void **state)
{
	struct client *client = client_open(*state);
	char *filling = calloc(1, 1 << 20);

	client_send(client, POST "Content-Length: 300000000\r\n\r\n");
	for (int i = 0; i < 8; i++)
		client_send_bytes(client, filling, 1 << 20);
	assert_true(client_reply(client));
	assert_int_equal(client->status, 413);
	free(filling);
	client_close(client);
}

/* What came before a fault is answered first. */
static void test_refusal_in_order(void **state)
{
	struct client *client = client_open(*state);

	client_send(client, "GET /later/30 HTTP/1.1\r\n" H "\r\nGET / HTTP/9.9\r\n" H "\r\n");
	assert_true(client_reply(client));
	assert_string_equal(client_text(client), "later\n");
	assert_true(client_reply(client));
	assert_int_equal(client->status, 505);
	assert_true(client_at_end(client, 5000));
	client_close(client);
}

static void test_allow(void **state)
{
	struct client *client = client_open(*state);

	client_send(client, "PATCH / HTTP/1.1\r\n" H "\r\n");
	assert_true(client_reply(client));
	assert_string_equal(client_header(client, "Allow"), "GET, HEAD, POST, PUT, DELETE");
	client_close(client);
}

static void read_metrics(struct server *server, void *arg)
{
	(void)server;
	metrics_write(arg);
}

static void test_metrics(void **state)
{
	struct client *client = client_open(*state);
	struct buf text;

	client_send(client, "BREW / HTTP/1.1\r\n" H "\r\n");
	assert_true(client_reply(client));
	buf_init(&text, 1 << 20);
	server_call(*state, read_metrics, &text);
	assert_non_null(strstr(text.data, "eyes_scm_http_connections_open 1\n"));
	assert_non_null(
	    strstr(text.data, "eyes_scm_http_refused_total{reason=\"not_implemented\"} "));
	assert_null(
	    strstr(text.data, "eyes_scm_http_refused_total{reason=\"not_implemented\"} 0\n"));
	buf_free(&text);
	client_close(client);
}

/* ---- what passes ---- */

static const struct {
	const char *request, *seen; /* what /head shows */
} rewritten[] = {
    {"GET /head HTTP/1.1\r\nHost: a\r\n\r\n", "target /head\nHost=a\n"},
    {"\r\nGET /head HTTP/1.1\r\nHost:a\r\nX:  y \r\n\r\n", "target /head\nHost=a\nX=y\n"},
    {"GET /head?a=%zz&b HTTP/1.1\r\nhost: a:1\r\n\r\n", "target /head?a=%zz&b\nhost=a:1\n"},
    {"GET http://b:8/head?q HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n",
        "target /head?q\nHost=b:8\nX=y\n"},
    {"GET /head HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, X, HTTP2-Settings\r\n"
     "Upgrade: h2c\r\nHTTP2-Settings: AAA\r\nKeep-Alive: 5\r\nTE: trailers\r\nX: 1\r\n\r\n",
        "target /head\nHost=a\nX=1\n"},
    {"GET /head HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n",
        "target /head\nHost=a\nConnection=close\n"},
    {"GET /head HTTP/1.0\r\nHost: a\r\n\r\n", "target /head\nHost=a\nConnection=close\n"},
    {"GET /head HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n",
        "target /head\nHost=a\nConnection=keep-alive\n"},
    {"POST /head HTTP/1.1\r\nHost: a\r\nContent-Length: 0003\r\n\r\nabc",
        "target /head\nHost=a\nContent-Length=3\n"},
    {"POST /head HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nTrailer: T\r\n\r\n"
     "2;x=y\r\nab\r\n1\r\nc\r\n0\r\nT: v\r\n\r\n",
        "target /head\nHost=a\nContent-Length=3\n"},
    {"DELETE /head HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "target /head\nHost=a\n"},
    {"PUT /head HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n1",
        "target /head\nHost=a\nContent-Length=1\n"},
    {"GET /head HTTP/1.1\r\nHost:\r\nCookie: a\r\nCookie: b\r\n\r\n",
        "target /head\nHost=\nCookie=a\nCookie=b\n"},
    {"GET /head HTTP/1.0\r\nHost: a\r\nExpect: x\r\n\r\n",
        "target /head\nHost=a\nConnection=close\n"},
};

/* In one piece, and byte by byte. */
static void test_rewritten(void **state)
{
	for (size_t i = 0; i < 2 * sizeof(rewritten) / sizeof(rewritten[0]); i++) {
		const char *request = rewritten[i / 2].request;
		struct client *client = client_open(*state);

		if (i % 2 == 0)
			client_send(client, request);
		else
			for (const char *at = request; *at != '\0'; at++)
				client_send_bytes(client, at, 1);
		if (!client_reply(client))
			fail_msg("no reply to %s", request);
		if (client->status == 100)
			assert_true(client_reply(client));
		assert_int_equal(client->status, 200);
		assert_string_equal(client_text(client), rewritten[i / 2].seen);
		assert_int_equal(client_at_end(client, 50),
		    strstr(rewritten[i / 2].seen, "Connection=close") != NULL);
		client_close(client);
	}
}

static void test_keep_alive(void **state)
{
	struct client *client = client_open(*state);

	for (int i = 0; i < 100; i++) {
		client_send(client, POST "Content-Length: 4\r\n\r\nabcd");
		assert_true(client_reply(client));
		assert_string_equal(client_text(client), "abcd");
		client_get(client, i % 10 == 0 ? "/later/2" : "/none");
		assert_true(client_reply(client));
		assert_int_equal(client->status, i % 10 == 0 ? 200 : 404);
	}
	client_send(client, "HEAD /big/100 HTTP/1.1\r\n" H "\r\n");
	assert_true(client_reply_to(client, true));
	assert_string_equal(client_header(client, "Content-Length"), "100");
	client_send(client, "GET /big/100 HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	assert_true(client_reply(client));
	assert_int_equal(client->body.length, 100);
	assert_true(client_at_end(client, 5000));
	client_close(client);
}

/* More than is kept while a reply is pending, so that it also waits in the kernel and in TLS. */
#define PIPELINED 4000
static void *send_pipelined(void *arg)
{
	struct client *client = arg;
	char request[128];

	for (int i = 0; i < PIPELINED; i++) {
		const char *body = i % 7 == 0 ? "12345678" : "";

		snprintf(request, sizeof(request),
		    "POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
		    i % 500 == 0   ? "later/20"
		    : i % 100 == 0 ? "big/50000"
		                   : "echo",
		    strlen(body), body);
		client_send(client, request);
	}
	return NULL;
}

static void test_pipelining(void **state)
{
	struct client *client = client_open(*state);
	pthread_t sender;

	/* One SSL is not for two threads: with TLS all is sent before, which the server's kernel
	 * and ours must hold; a rest is sent by and by. */
	if (client->ssl == NULL)
		pthread_create(&sender, NULL, send_pipelined, client);
	else
		send_pipelined(client);
	for (int i = 0; i < PIPELINED; i++) {
		assert_true(client_reply(client));
		assert_int_equal(client->status, 200);
		if (i % 500 == 0)
			assert_string_equal(client_text(client), "later\n");
		else if (i % 100 == 0)
			assert_int_equal(client->body.length, 50000);
		else
			assert_string_equal(client_text(client), i % 7 == 0 ? "12345678" : "");
	}
	if (client->ssl == NULL)
		pthread_join(sender, NULL);
	client_close(client);
}

static void test_large(void **state)
{
	struct client *client = client_open(*state);
	char *data = malloc(4 << 20);

	for (size_t i = 0; i < 4 << 20; i++)
		data[i] = (char)(i * 31 >> 4);
	for (int turn = 0; turn < 2; turn++) {
		client_get(client, "/big/8388608");
		assert_true(client_reply(client));
		assert_int_equal(client->body.length, 8388608);
		for (size_t i = 0; i < 8388608; i++)
			if (client->body.data[i] != (char)('a' + i % 23))
				fail_msg("byte %zu", i);
		client_send(client, POST "Content-Length: 1048576\r\n\r\n");
		client_send_bytes(client, data, 1 << 20);
		assert_true(client_reply(client));
		assert_int_equal(client->body.length, 1 << 20);
		assert_memory_equal(client->body.data, data, 1 << 20);
	}
	client_send(client, POST "Transfer-Encoding: chunked\r\n\r\n");
	for (size_t at = 0; at < 1 << 20; at += 1 << 16) {
		client_send(client, "10000\r\n");
		client_send_bytes(client, data + at, 1 << 16);
		client_send(client, "\r\n");
	}
	client_send(client, "0\r\n\r\n");
	assert_true(client_reply(client));
	assert_int_equal(client->body.length, 1 << 20);
	assert_memory_equal(client->body.data, data, 1 << 20);
	client_send(client, "GET /big/8388608 HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	assert_true(client_reply(client));
	assert_int_equal(client->body.length, 8388608);
	free(data);
	client_close(client);
}

static void test_expect(void **state)
{
	struct client *client = client_open(*state);

	for (int i = 0; i < 3; i++) {
		client_send(client, POST "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
		assert_true(client_reply(client));
		assert_int_equal(client->status, 100);
		client_send(client, "abcd");
		assert_true(client_reply(client));
		assert_string_equal(client_text(client), "abcd");
		client_send(client, POST "Expect: 100-continue\r\n\r\n");
		assert_true(client_reply(client));
		assert_int_equal(client->status, 200);
	}
	client_close(client);
}

/* A client that ends its sending with the request gets its answers all the same. */
static void test_half_closed(void **state)
{
	struct client *client = client_open(*state);

	client_get(client, "/later/50");
	client_get(client, "/big/3000000");
	for (int i = 0; i < 50; i++)
		client_get(client, "/none");
	if (client->ssl != NULL)
		SSL_shutdown(client->ssl);
	else
		shutdown(client->fd, SHUT_WR);
	assert_true(client_reply(client));
	assert_string_equal(client_text(client), "later\n");
	assert_true(client_reply(client));
	assert_int_equal(client->body.length, 3000000);
	for (int i = 0; i < 50; i++) {
		assert_true(client_reply(client));
		assert_int_equal(client->status, 404);
	}
	assert_true(client_at_end(client, 5000));
	client_close(client);
}

static void test_stream(void **state)
{
	struct client *client = client_open(*state);

	client_get(client, "/stream/20/2");
	assert_true(client_reply(client));
	assert_string_equal(client_header(client, "Transfer-Encoding"), "chunked");
	assert_non_null(strstr(client_text(client), "data: 19\n"));
	assert_non_null(strstr(client_text(client), "data: 0\n"));
	client_send(client, POST "Content-Length: 4\r\n\r\nabcd"); /* the connection goes on */
	assert_true(client_reply(client));
	assert_string_equal(client_text(client), "abcd");
	client_send(client, "HEAD /stream/20/2 HTTP/1.1\r\n" H "\r\n");
	assert_true(client_reply_to(client, true));
	assert_int_equal(client->status, 406);
	client_send(client, "GET /stream/20/2 HTTP/1.0\r\n" H "\r\n");
	assert_true(client_reply(client));
	assert_int_equal(client->status, 406);
	client_close(client);
}

/* A stream whose client goes is told at once, and one whose client does not read is cut. */
static void test_stream_cut(void **state)
{
	struct client *client = client_open(*state);
	char some[100];

	client_get(client, "/stream/1000/100");
	assert_true(client_read(client, some, sizeof(some)) > 0);
	client_close(client);
	server_wait(*state, COUNT_STREAMS_CUT, 1);
	server_wait(*state, COUNT_STREAMS, 0);

	client = client_open(*state);
	client_get(client, "/flood");
	server_wait(*state, COUNT_STREAMS_CUT, 2);
	server_wait(*state, COUNT_STREAMS, 0);
	client_close(client);
	server_wait(*state, COUNT_OPEN, 0);
}

/* Gone while the handler thinks: it answers into nothing, and nothing breaks. */
static void test_gone_while_pending(void **state)
{
	for (unsigned i = 1; i <= 20; i++) {
		struct client *client = client_open(*state);
		struct linger reset = {1, 0};

		client_get(client, "/never");
		server_wait(*state, COUNT_NEVER, i);
		if (i % 2 == 0)
			setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		client_close(client);
	}
	server_release(*state);
	server_wait(*state, COUNT_OPEN, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    OVER_EACH(test_malformed),
	    OVER_EACH(test_nul_in_head),
	    OVER_EACH(test_too_large),
	    OVER_EACH(test_refusal_while_sending),
	    OVER_EACH(test_refusal_in_order),
	    OVER_EACH(test_allow),
	    OVER_EACH(test_metrics),
	    OVER_EACH(test_rewritten),
	    OVER_EACH(test_keep_alive),
	    OVER_EACH(test_pipelining),
	    OVER_EACH(test_large),
	    OVER_EACH(test_expect),
	    OVER_EACH(test_half_closed),
	    OVER_EACH(test_stream),
	    OVER_EACH(test_stream_cut),
	    OVER_EACH(test_gone_while_pending),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
