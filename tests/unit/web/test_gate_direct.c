/* The gate's direct road: what is answered without evhttp, and a body's limit by request. */
#define _GNU_SOURCE /* memfd_create */
#include "unit/web/gate_test.h"

#include "base/metrics.h"
#include <signal.h>
#include <sys/mman.h>

/*
 * Paths: /direct/echo the body; /direct/big/N N bytes, /direct/lasting/N the same without a copy,
 * /direct/file/N the same from a file;
 * /direct/later/MS "later" after a while; /direct/never nothing until released; /direct/none 204;
 * anything else is evhttp's. One server at a time; all but `released` in its loop's thread.
 */
enum { SMALL = 4096, LARGE = 1 << 20, LASTING = 8 << 20 };
static struct direct {
	struct server *server;
	struct gate_reply *never[64];
	unsigned never_count, taken, refused;
	int refused_status;
	char peer[64];
} direct;
static char lasting[LASTING];
static struct gate_file file = {.fd = -1, .at = 3}; /* holds the same bytes from there */

struct direct_later {
	struct loop_timer timer;
	struct gate_reply *reply;
};

static void answer_text(struct gate_reply *reply, int status, const char *text)
{
	gate_answer(reply, &(struct gate_answer){.status = status,
	                       .headers = "Content-Type: text/plain\r\nX-Road: direct\r\n",
	                       .body = text,
	                       .body_length = strlen(text)});
}

static void on_direct_later(void *arg)
{
	struct direct_later *later = arg;

	answer_text(later->reply, 200, "later\n");
	direct.server->streams--;
	free(later);
}

static void answer_later(struct gate_reply *reply, unsigned ms)
{
	struct direct_later *later = mem_zero(sizeof(*later));

	later->reply = reply;
	loop_timer_init(&later->timer, direct.server->loop, on_direct_later, later);
	loop_timer_set(&later->timer, ms);
	direct.server->streams++;
}

static bool take(
    struct gate_reply *reply, const struct http_head *head, struct evbuffer *body, void *arg)
{
	const char *path = gate_path_of(head->target);
	size_t length = body != NULL ? evbuffer_get_length(body) : 0;
	struct gate_answer answer = {.status = 200};
	unsigned number;

	(void)arg;
	if (strncmp(path, "/direct/", 8) != 0)
		return false;
	direct.taken++;
	snprintf(direct.peer, sizeof(direct.peer), "%s", gate_peer(reply));
	if (strcmp(path, "/direct/echo") == 0) {
		answer.body_length = length;
		answer.body = body != NULL ? evbuffer_pullup(body, -1) : NULL;
		gate_answer(reply, &answer);
	} else if (sscanf(path, "/direct/big/%u", &number) == 1 ||
	           sscanf(path, "/direct/lasting/%u", &number) == 1 ||
	           sscanf(path, "/direct/file/%u", &number) == 1) {
		answer.body = lasting;
		answer.body_length = number;
		answer.lasting = path[8] != 'b';
		answer.file = path[8] == 'f' ? &file : NULL;
		gate_answer(reply, &answer);
	} else if (sscanf(path, "/direct/later/%u", &number) == 1) {
		answer_later(reply, number);
	} else if (strcmp(path, "/direct/never") == 0) {
		direct.never[direct.never_count++] = reply;
	} else {
		answer.status = 204;
		gate_answer(reply, &answer);
	}
	return true;
}

static void limit(const struct http_head *head, struct gate_terms *terms, void *arg)
{
	(void)arg;
	terms->body_max = strncmp(head->target, "/direct/", 8) == 0 ? LARGE : SMALL;
}

static void refused(const struct http_head *head, int status, void *arg)
{
	(void)arg;
	if (strncmp(head->target, "/direct/", 8) != 0)
		return;
	direct.refused++;
	direct.refused_status = status;
}

static int set_up_direct(void **state, enum transport transport, const struct gate_options *more)
{
	struct gate_options options = *more;

	options.take = take;
	options.limit = limit;
	options.refused = refused;
	direct = (struct direct){0};
	for (size_t i = 0; i < sizeof(lasting); i++)
		lasting[i] = (char)('a' + i % 23);
	if (file.fd < 0) {
		file.fd = memfd_create("lasting", MFD_CLOEXEC);
		assert_int_equal(
		    pwrite(file.fd, lasting, LASTING, (off_t)file.at), (ssize_t)LASTING);
	}
	*state = direct.server = server_start(transport, &options);
	return 0;
}
static int direct_tcp(void **state)
{
	return set_up_direct(state, OVER_TCP, &usual);
}
static int direct_tls(void **state)
{
	return set_up_direct(state, OVER_TLS, &usual);
}
static int direct_unix(void **state)
{
	return set_up_direct(state, OVER_UNIX, &usual);
}
static int direct_short(void **state)
{
	return set_up_direct(state, OVER_TCP,
	    &(struct gate_options){
	        .write_ms = 300, .rate = 1 << 20, .bodies_max = 64 * 1024, .body_ms = 5000});
}

static void do_release_direct(struct server *server, void *arg)
{
	(void)server;
	(void)arg;
	while (direct.never_count > 0)
		answer_text(direct.never[--direct.never_count], 200, "released\n");
}

static int end_direct(void **state)
{
	server_call(*state, do_release_direct, NULL);
	return tear_down(state);
}

static void do_look(struct server *server, void *arg)
{
	(void)server;
	*(struct direct *)arg = direct;
}

static void wait_never(struct server *server, unsigned count)
{
	uint64_t until = clock_monotonic_ms() + 20000;
	struct direct seen;

	do {
		server_call(server, do_look, &seen);
		assert_true(clock_monotonic_ms() < until);
	} while (seen.never_count != count);
}

static void post(struct client *client, const char *path, size_t length, const char *more)
{
	char head[256];

	snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n%s\r\n",
	    path, length, more);
	client_send(client, head);
}

static void assert_body(const struct client *client, size_t length)
{
	assert_int_equal(client->body.length, length);
	assert_memory_equal(client_text(client), lasting, length);
}

/* ---- tests ---- */

/* Both roads, one after the other on one connection. */
static void test_both_roads(void **state)
{
	struct client *client = client_open(*state);

	for (unsigned round = 0; round < 3; round++) {
		post(client, "/direct/echo", 5, "");
		client_send(client, "hello");
		assert_true(client_reply(client));
		assert_int_equal(client->status, 200);
		assert_string_equal(client_text(client), "hello");
		assert_true(strlen(client_header(client, "Date")) == 29);
		assert_string_equal(client_header(client, "Connection"), "");
		client_send(client, "POST /direct/echo?a=b HTTP/1.1\r\nHost: x\r\n"
		                    "Transfer-Encoding: chunked\r\n\r\n");
		client_send(client, "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
		assert_true(client_reply(client));
		assert_int_equal(client->status, 204); /* the query is part of the target */
		post(client, "/echo", 3, "");
		client_send(client, "abc");
		assert_true(client_reply(client));
		assert_string_equal(client_text(client), "abc");
		client_send(client, "POST /direct/echo HTTP/1.1\r\nHost: x\r\n"
		                    "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n"
		                    "0\r\n\r\n");
		assert_true(client_reply(client));
		assert_string_equal(client_text(client), "abcdefg");
		client_get(client, "http://x/direct/later/1");
		assert_true(client_reply(client));
		assert_string_equal(client_text(client), "later\n");
		assert_string_equal(client_header(client, "X-Road"), "direct");
	}
	assert_int_equal(server_count(*state, COUNT_HANDLED), 3);
	client_close(client);
}

/* In one piece; the answers come in the order of the requests. */
static void test_pipelined(void **state)
{
	static const char *const paths[] = {
	    "/direct/later/5", "/direct/big/3", "/later/5", "/direct/none", "/big/70000"};
	struct client *client = client_open(*state);
	struct buf requests;

	buf_init(&requests, 1 << 20);
	for (unsigned i = 0; i < 100; i++)
		buf_printf(&requests, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", paths[i % 5]);
	assert_int_equal(
	    client_send_bytes(client, requests.data, requests.length), requests.length);
	for (unsigned i = 0; i < 100; i++) {
		static const size_t lengths[] = {6, 3, 6, 0, 70000};

		assert_true(client_reply(client));
		assert_int_equal(client->status, i % 5 == 3 ? 204 : 200);
		assert_int_equal(client->body.length, lengths[i % 5]);
	}
	buf_free(&requests);
	client_close(client);
}

static void test_heads(void **state)
{
	struct client *client = client_open(*state);

	client_send(client, "HEAD /direct/big/1000 HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(client_reply_to(client, true));
	assert_string_equal(client_header(client, "Content-Length"), "1000");
	client_get(client, "/direct/none");
	assert_true(client_reply(client));
	assert_int_equal(client->status, 204);
	assert_string_equal(client_header(client, "Content-Length"), "");
	client_get(client, "/direct/big/0");
	assert_true(client_reply(client));
	assert_string_equal(client_header(client, "Content-Length"), "0");
	client_send(
	    client, "GET /direct/later/1 HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n");
	assert_true(client_reply(client));
	assert_string_equal(client_header(client, "Connection"), "keep-alive");
	client_send(client, "GET /direct/later/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_true(client_reply(client));
	assert_string_equal(client_text(client), "later\n");
	assert_string_equal(client_header(client, "Connection"), "close");
	assert_true(client_at_end(client, 5000));
	client_close(client);
	client = client_open(*state);
	client_send(client, "GET /direct/big/5 HTTP/1.0\r\nHost: x\r\n\r\n");
	assert_true(client_reply(client));
	assert_body(client, 5);
	assert_true(client_at_end(client, 5000));
	client_close(client);
}

static void test_big(void **state)
{
	struct client *client = client_open(*state);

	for (unsigned i = 0; i < 2; i++) {
		client_get(client, "/direct/big/8000000");
		client_get(client, "/direct/lasting/8000000");
		client_get(client, "/direct/file/8000000");
		client_get(client, "/direct/file/20000");
		client_send(client, "HEAD /direct/file/20000 HTTP/1.1\r\nHost: x\r\n\r\n");
		client_get(client, "/direct/later/0");
		usleep(20000); /* what waits is written in pieces */
		assert_true(client_reply(client));
		assert_body(client, 8000000);
		assert_true(client_reply(client));
		assert_body(client, 8000000);
		assert_true(client_reply(client));
		assert_body(client, 8000000);
		assert_true(client_reply(client));
		assert_body(client, 20000);
		assert_true(client_reply_to(client, true));
		assert_int_equal(client->body.length, 0);
		assert_true(client_reply(client));
		assert_string_equal(client_text(client), "later\n");
	}
	client_close(client);
}

static void do_is_awaited(struct server *server, void *arg)
{
	(void)server;
	*(bool *)arg = gate_is_awaited(direct.never[0]);
}

/* The client goes: who holds the request may ask, and answers into nothing. */
static void test_client_gone(void **state)
{
	struct server *server = *state;
	struct client *client = client_open(server);
	struct linger reset = {.l_onoff = 1};
	bool awaited = false;

	client_get(client, "/direct/never");
	wait_never(server, 1);
	server_call(server, do_is_awaited, &awaited);
	assert_true(awaited);
	setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	client_close(client);
	server_wait(server, COUNT_OPEN, 0);
	server_call(server, do_is_awaited, &awaited);
	assert_false(awaited);
	server_call(server, do_release_direct, NULL);
	client = client_open(server);
	client_get(client, "/direct/big/3");
	assert_true(client_reply(client));
	client_close(client);
}

/* A client that ends its sending is answered all the same. */
static void test_half_closed(void **state)
{
	struct server *server = *state;
	struct client *client = client_open(server);

	client_get(client, "/direct/never");
	wait_never(server, 1);
	shutdown(client->fd, SHUT_WR);
	client_get(client, "/direct/none"); /* goes nowhere */
	server_call(server, do_release_direct, NULL);
	assert_true(client_reply(client));
	assert_string_equal(client_text(client), "released\n");
	assert_true(client_at_end(client, 5000));
	client_close(client);
}

/* Stopping waits for the answer, which closes its connection. */
static void test_stop(void **state)
{
	struct server *server = *state;
	struct client *client = client_open(server), *idle = client_open(server);

	client_get(client, "/direct/never");
	client_get(idle, "/direct/none");
	assert_true(client_reply(idle));
	wait_never(server, 1);
	server_call(server, do_stop, NULL);
	assert_true(client_at_end(idle, 5000));
	server_wait(server, COUNT_OPEN, 1);
	assert_int_equal(server_count(server, COUNT_STOPPED), 0);
	server_call(server, do_release_direct, NULL);
	assert_true(client_reply(client));
	assert_string_equal(client_text(client), "released\n");
	assert_string_equal(client_header(client, "Connection"), "close");
	client_close(client);
	server_wait(server, COUNT_STOPPED, 1);
	client_close(idle);
}

/* Answered when the whole gate has gone. */
static void test_gate_gone(void **state)
{
	struct server *server;
	struct client *client;

	(void)state;
	direct_tcp((void **)&server);
	client = client_open(server);
	client_get(client, "/direct/never");
	wait_never(server, 1);
	server_call(server, do_end, NULL);
	pthread_join(server->thread, NULL);
	server_dispose(server);
	assert_false(gate_is_awaited(direct.never[0]));
	do_release_direct(NULL, NULL);
	client_close(client);
}

static double counter(const char *name)
{
	struct buf out;
	const char *line;
	double value;

	buf_init(&out, 1 << 20);
	metrics_write(&out);
	line = strstr(out.data, name);
	value = line != NULL ? strtod(line + strlen(name), NULL) : 0;
	buf_free(&out);
	return value;
}

/* Thinking has no deadline, reading the answer has. */
static void test_not_read(void **state)
{
	struct server *server = *state;
	struct client *client = client_open(server), *thinker = client_open(server);
	double closed = counter("eyes_scm_http_closed_total{reason=\"reply_not_read\"} ");

	client_get(thinker, "/direct/never");
	wait_never(server, 1);
	client_get(client, "/direct/lasting/8000000");
	server_wait(server, COUNT_OPEN, 1);
	assert_true(
	    counter("eyes_scm_http_closed_total{reason=\"reply_not_read\"} ") == closed + 1);
	server_call(server, do_release_direct, NULL);
	assert_true(client_reply(thinker));
	client_close(client);
	client_close(thinker);
}

/* ---- limits ---- */

static void test_limits(void **state)
{
	static const struct {
		const char *path;
		size_t length;
		int status;
	} cases[] = {
	    {"/direct/echo", LARGE, 200},
	    {"/direct/echo", LARGE + 1, 413},
	    {"/echo", SMALL, 200},
	    {"/echo", SMALL + 1, 413},
	};
	struct direct seen;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct client *client = client_open(*state);

		/* The limit is of the request, not of the connection. */
		post(client, "/direct/echo", SMALL + 1, "");
		client_send_bytes(client, lasting, SMALL + 1);
		assert_true(client_reply(client));
		assert_int_equal(client->status, 200);
		post(client, cases[i].path, cases[i].length, "");
		if (cases[i].status == 200)
			client_send_bytes(client, lasting, cases[i].length);
		assert_true(client_reply(client)); /* a refusal comes before the body */
		assert_int_equal(client->status, cases[i].status);
		if (cases[i].status == 200)
			assert_body(client, cases[i].length);
		else
			assert_true(client_at_end(client, 5000));
		client_close(client);
	}
	server_call(*state, do_look, &seen);
	assert_int_equal(seen.refused, 1);
	assert_int_equal(seen.refused_status, 413);
}

/* Without Content-Length the limit is met on the way. */
static void test_limit_chunked(void **state)
{
	struct client *client = client_open(*state);
	char chunk[SMALL + 16];
	struct direct seen;

	client_send(client, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	snprintf(chunk, sizeof(chunk), "%x\r\n", SMALL);
	client_send(client, chunk);
	client_send_bytes(client, lasting, SMALL);
	client_send(client, "\r\n1\r\na\r\n0\r\n\r\n");
	assert_true(client_reply(client));
	assert_int_equal(client->status, 413);
	client_close(client);
	client = client_open(*state);
	client_send(
	    client, "POST /direct/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	snprintf(chunk, sizeof(chunk), "%x\r\n", LARGE + 1);
	client_send(client, chunk);
	assert_true(client_reply(client));
	assert_int_equal(client->status, 413);
	client_close(client);
	server_call(*state, do_look, &seen);
	assert_int_equal(seen.refused, 1);
}

/* Whoever asks first is refused first. */
static void test_limit_expect(void **state)
{
	struct client *client = client_open(*state);

	post(client, "/direct/echo", LARGE + 1, "Expect: 100-continue\r\n");
	assert_true(client_reply(client));
	assert_int_equal(client->status, 413);
	client_close(client);
	client = client_open(*state);
	post(client, "/direct/echo", 5, "Expect: 100-continue\r\n");
	assert_true(client_reply(client));
	assert_int_equal(client->status, 100);
	client_send(client, "abcde");
	assert_true(client_reply(client));
	assert_string_equal(client_text(client), "abcde");
	client_close(client);
}

/* The one that has been on its way longest gives way. */
static void test_bodies_max(void **state)
{
	struct client *clients[2] = {client_open(*state), client_open(*state)};
	struct direct seen;

	for (unsigned i = 0; i < 2; i++) {
		post(clients[i], "/direct/echo", 60000, "");
		client_send_bytes(clients[i], lasting, 40000);
		if (i == 0) /* until it is there */
			for (size_t open = 0; open < 100; open++)
				server_count(*state, COUNT_OPEN);
	}
	assert_true(client_reply(clients[0]));
	assert_int_equal(clients[0]->status, 503);
	assert_string_equal(client_header(clients[0], "Retry-After"), "5");
	assert_true(client_at_end(clients[0], 5000));
	client_send_bytes(clients[1], lasting + 40000, 20000);
	assert_true(client_reply(clients[1]));
	assert_body(clients[1], 60000);
	server_call(*state, do_look, &seen);
	assert_int_equal(seen.refused_status, 503);
	/* What was in hand is given back. */
	post(clients[1], "/direct/echo", 60000, "");
	client_send_bytes(clients[1], lasting, 60000);
	assert_true(client_reply(clients[1]));
	assert_int_equal(clients[1]->status, 200);
	client_close(clients[0]);
	client_close(clients[1]);
}

static void test_peer(void **state)
{
	struct client *client = client_open(*state);
	struct direct seen;

	client_get(client, "/direct/none");
	assert_true(client_reply(client));
	server_call(*state, do_look, &seen);
	assert_string_equal(seen.peer, "127.0.0.1");
	client_close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define DIRECT(test)                                                 \
	{#test " over TCP", test, direct_tcp, end_direct, NULL},     \
	    {#test " over TLS", test, direct_tls, end_direct, NULL}, \
	    {#test " over a Unix socket", test, direct_unix, end_direct, NULL}
	    DIRECT(test_both_roads),
	    DIRECT(test_pipelined),
	    DIRECT(test_heads),
	    DIRECT(test_big),
	    /* a Unix socket that is closed looks like one whose client only ends its sending */
	    cmocka_unit_test_setup_teardown(test_client_gone, direct_tcp, end_direct),
	    cmocka_unit_test_setup_teardown(test_client_gone, direct_tls, end_direct),
	    cmocka_unit_test_setup_teardown(test_half_closed, direct_tcp, end_direct),
	    DIRECT(test_stop),
	    cmocka_unit_test(test_gate_gone),
	    cmocka_unit_test_setup_teardown(test_not_read, direct_short, end_direct),
	    DIRECT(test_limits),
	    DIRECT(test_limit_chunked),
	    DIRECT(test_limit_expect),
	    cmocka_unit_test_setup_teardown(test_bodies_max, direct_short, end_direct),
	    cmocka_unit_test_setup_teardown(test_peer, direct_tcp, end_direct),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
