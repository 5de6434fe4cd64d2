/* The gate's bounds: time, connections, memory, and clients that go away at any point. */
#include "unit/web/gate_test.h"
#include <fcntl.h>
#include <signal.h>

static int tear_down_own(void **state)
{
	if (*state != NULL)
		server_free(*state);
	return 0;
}

static struct server *start(void **state, enum transport transport, struct gate_options options)
{
	*state = server_start(transport, &options);
	return *state;
}

static const enum transport transports[] = {OVER_TCP, OVER_TLS, OVER_UNIX};
#define EACH_TRANSPORT for (unsigned t = 0; t < 3; t++, server_free(*state), *state = NULL)

/* ---- time ---- */

/* Whether the server has said something, or ended. */
static bool is_answered(struct client *client)
{
	int flags = fcntl(client->fd, F_GETFL), n;
	bool answered;
	char c;

	if (client->ssl == NULL)
		return recv(client->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
	fcntl(client->fd, F_SETFL, flags | O_NONBLOCK);
	n = SSL_peek(client->ssl, &c, 1);
	answered = n > 0 || SSL_get_error(client->ssl, n) != SSL_ERROR_WANT_READ;
	fcntl(client->fd, F_SETFL, flags);
	return answered;
}

/* One byte every `ms`, until the server answers or ends; how long that took. */
static uint64_t trickle(struct client *client, const char *bytes, unsigned ms)
{
	uint64_t began = clock_monotonic_ms();

	for (size_t i = 0; clock_monotonic_ms() - began < 15000 && !is_answered(client); i++) {
		if (client_send_bytes(client, i < strlen(bytes) ? bytes + i : "x", 1) != 1)
			break;
		usleep(ms * 1000);
	}
	return clock_monotonic_ms() - began;
}

static void test_slow_senders(void **state)
{
	static const char *const slow[] = {"GET / HTTP/1.1\r\nHost: x\r\nX: ",
	    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
	    "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n", "\r\n",
	    "G"};

	EACH_TRANSPORT
	{
		struct server *server = start(state, transports[t],
		    (struct gate_options){.head_ms = 300, .body_ms = 300, .idle_ms = 5000});

		for (size_t i = 0; i < sizeof(slow) / sizeof(slow[0]); i++) {
			struct client *client = client_open(server);
			size_t whole = strstr(slow[i], "\r\n\r\n") != NULL ? strlen(slow[i]) : 1;

			client_send_bytes(client, slow[i], whole);
			uint64_t took = trickle(client, slow[i] + whole, 20);
			assert_in_range(took, 200, 5000);
			assert_true(client_reply(client));
			assert_int_equal(client->status, 408);
			assert_true(client_at_end(client, 5000));
			client_close(client);
		}
		server_wait(server, COUNT_OPEN, 0);
	}
}

/* A body that keeps up the rate may take longer than body_ms. */
static void test_steady_body(void **state)
{
	struct server *server =
	    start(state, OVER_TCP, (struct gate_options){.body_ms = 200, .rate = 10 * 1000});
	struct client *client = client_open(server);
	char some[1000];

	memset(some, 'x', sizeof(some));
	client_send(client, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n");
	for (int i = 0; i < 20; i++) { /* half of the time it may take */
		client_send_bytes(client, some, sizeof(some));
		usleep(40 * 1000);
	}
	assert_true(client_reply(client));
	assert_int_equal(client->status, 200);
	client_close(client);
}

static void test_idle(void **state)
{
	EACH_TRANSPORT
	{
		struct server *server =
		    start(state, transports[t], (struct gate_options){.idle_ms = 200});
		struct client *silent = client_open(server), *used = client_open(server);
		struct client *waiting = client_open(server);

		client_get(waiting, "/later/900"); /* a handler that thinks has no deadline */
		client_get(used, "/none");
		assert_true(client_reply(used));
		assert_true(client_at_end(used, 5000));
		assert_true(client_at_end(silent, 5000));
		assert_true(client_reply(waiting));
		assert_string_equal(client_text(waiting), "later\n");
		client_close(silent);
		client_close(used);
		client_close(waiting);
		server_wait(server, COUNT_OPEN, 0);
	}
}

/* A TLS handshake that does not go on. */
static void test_slow_handshake(void **state)
{
	struct server *server = start(state, OVER_TLS, (struct gate_options){.head_ms = 200});
	SSL_CTX *tls = server->tls;

	server->tls = NULL; /* for client_open */
	struct client *client = client_open(server);
	server->tls = tls;
	client_send_bytes(client, "\x16\x03\x01", 3);
	assert_true(client_at_end(client, 5000));
	client_close(client);
	server_wait(server, COUNT_OPEN, 0);
}

/* Replies that are not read, or a byte at a time. */
static void test_slow_readers(void **state)
{
	EACH_TRANSPORT
	{
		struct server *server = start(
		    state, transports[t], (struct gate_options){.write_ms = 300, .rate = 64 << 20});
		struct client *none = client_open(server), *slow = client_open(server);
		char byte;

		client_get(none, "/big/30000000");
		client_get(slow, "/big/30000000");
		for (int i = 0; i < 20; i++) {
			client_read(slow, &byte, 1);
			usleep(20 * 1000);
		}
		server_wait(server, COUNT_OPEN, 0);
		client_close(none);
		client_close(slow);
	}
}

/* ---- connections ---- */

static void test_cap(void **state)
{
	EACH_TRANSPORT
	{
		struct server *server = start(state, transports[t],
		    (struct gate_options){.connections_max = 4, .idle_ms = 60000});
		struct client *client[8];

		/* Idle ones make place, the longest idle first. */
		for (int i = 0; i < 6; i++) {
			client[i] = client_open(server);
			client_get(client[i], "/none");
			assert_true(client_reply(client[i]));
		}
		server_wait(server, COUNT_OPEN, 4);
		assert_true(client_at_end(client[0], 5000));
		assert_true(client_at_end(client[1], 5000));
		/* Busy ones do not: who comes then waits, and is served. */
		for (int i = 2; i < 6; i++) {
			client_get(client[i], "/never");
			server_wait(server, COUNT_NEVER, (unsigned)i - 1);
		}
		if (transports[t] != OVER_TLS) {
			client[6] = client_open(server);
			client_get(client[6], "/none");
			assert_false(client_at_end(client[6], 100));
			assert_int_equal(server_count(server, COUNT_OPEN), 4);
			server_release(server);
			struct timeval limit = {.tv_sec = 20};
			setsockopt(client[6]->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
			assert_true(client_reply(client[6]));
			assert_int_equal(client[6]->status, 404);
			client_close(client[6]);
		}
		server_release(server);
		for (int i = 0; i < 6; i++) {
			if (i >= 2)
				assert_true(client_reply(client[i]) || i == 2);
			client_close(client[i]);
		}
		server_wait(server, COUNT_OPEN, 0);
	}
}

static size_t resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	size_t size = 0, pages = 0;

	assert_int_equal(fscanf(file, "%zu %zu", &size, &pages), 2);
	fclose(file);
	return pages * 4096;
}

#define IDLE_MANY 450 /* both ends are in this process, with usually 1,024 descriptors */
static void test_many_idle(void **state)
{
	struct server *server = start(
	    state, OVER_TCP, (struct gate_options){.connections_max = 1000, .idle_ms = 60000});
	struct client *client[IDLE_MANY], *one = client_open(server);

	for (int i = 0; i < IDLE_MANY; i++)
		client[i] = client_open(server);
	server_wait(server, COUNT_OPEN, IDLE_MANY + 1);
	for (int i = 0; i < 100; i++) {
		client_get(one, "/none");
		assert_true(client_reply(one));
	}
	for (int i = 0; i < IDLE_MANY; i++)
		client_close(client[i]);
	server_wait(server, COUNT_OPEN, 1);
	client_close(one);
}

/* ---- memory ---- */

/* What is sent at a pending reply is not taken in: the sender stops, and nothing grows. */
static void test_flood_at_pending_reply(void **state)
{
	size_t block = 1 << 20, whole = 300u << 20;
	char *filling = malloc(block);

	/* As pipelined requests, which will be answered, and as garbage. */
	for (size_t i = 0; i < block; i++)
		filling[i] = "GET /none HTTP/1.1\r\nHost: x\r\n\r\n"[i % 31];
	EACH_TRANSPORT
	{
		struct server *server =
		    start(state, transports[t], (struct gate_options){.idle_ms = 60000});
		struct client *client = client_open(server);
		struct timeval limit = {.tv_usec = 300 * 1000};
		size_t before = resident(), sent = 0, grown;

		client_get(client, "/never");
		server_wait(server, COUNT_NEVER, 1);
		setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		while (sent < whole) {
			size_t n = client_send_bytes(client, filling, block);

			sent += n;
			if (n < block)
				break;
		}
		grown = resident() - before;
		assert_in_range(sent, 1, 64u << 20); /* stopped by the kernel's buffers */
		assert_true((ssize_t)grown < 4 << 20);
		server_release(server);
		client_close(client);
		server_wait(server, COUNT_OPEN, 0);
	}
	free(filling);
}

static void test_bodies_together(void **state)
{
	struct server *server = start(state, OVER_TCP,
	    (struct gate_options){.body_max = 1 << 20, .bodies_max = 2 << 20, .linger_ms = 300});
	struct client *client[3];
	char *filling = calloc(1, 1 << 20);

	for (int i = 0; i < 3; i++) {
		client[i] = client_open(server);
		client_send(
		    client[i], "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n");
		client_send_bytes(client[i], filling, (1 << 20) - 1000);
		usleep(50 * 1000);
	}
	assert_true(client_reply(client[0]));
	assert_int_equal(client[0]->status, 503);
	assert_string_equal(client_header(client[0], "Retry-After"), "5");
	for (int i = 1; i < 3; i++) {
		client_send_bytes(client[i], filling, 1000);
		assert_true(client_reply(client[i]));
		assert_int_equal(client[i]->body.length, 1 << 20);
	}
	for (int i = 0; i < 3; i++)
		client_close(client[i]);
	free(filling);
}

/* ---- going away ---- */

#define CHUNKED "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

/* Requests of all kinds, cut at any byte, and the connection ended in any way. */
static void test_aborts(void **state)
{
	static const char *const requests[] = {
	    "GET /later/3 HTTP/1.1\r\nHost: x\r\n\r\n",
	    "GET /big/2000000 HTTP/1.1\r\nHost: x\r\n\r\n",
	    "GET /stream/20/1 HTTP/1.1\r\nHost: x\r\n\r\n",
	    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n01234567890123456789",
	    CHUNKED "5\r\nabcde\r\n0\r\n\r\n",
	    "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
	    "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n",
	    "BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
	    "HEAD /big/2000000 HTTP/1.1\r\nHost: x\r\n\r\n",
	    "GET /none HTTP/1.0\r\nHost: x\r\n\r\n",
	};
	unsigned seed = 4711;

	EACH_TRANSPORT
	{
		struct server *server = start(state, transports[t],
		    (struct gate_options){.linger_ms = 20, .connections_max = 50});

		for (int i = 0; i < 400; i++) {
			struct client *client = client_open(server);
			struct linger reset = {1, 0};
			char some[10000];

			for (int r = rand_r(&seed) % 4; r >= 0; r--) {
				const char *request = requests[(unsigned)rand_r(&seed) % 10];
				size_t length = strlen(request);

				if (r == 0)
					length = (size_t)rand_r(&seed) % (length + 1);
				client_send_bytes(client, request, length);
			}
			if (rand_r(&seed) % 3 == 0)
				recv(client->fd, some, (size_t)rand_r(&seed) % sizeof(some) + 1,
				    rand_r(&seed) % 2 ? MSG_DONTWAIT : MSG_DONTWAIT | MSG_PEEK);
			if (rand_r(&seed) % 3 == 0)
				usleep((useconds_t)rand_r(&seed) % 5000);
			if (rand_r(&seed) % 2 == 0)
				setsockopt(
				    client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
			else if (rand_r(&seed) % 2 == 0)
				shutdown(client->fd, SHUT_WR);
			client_close(client);
		}
		server_wait(server, COUNT_OPEN, 0);
		server_wait(server, COUNT_STREAMS, 0);
	}
}

/* The server ends first, in the midst of everything. */
static void test_server_goes(void **state)
{
	EACH_TRANSPORT
	{
		struct server *server = start(state, transports[t], (struct gate_options){0});
		struct client *client[6];

		for (int i = 0; i < 6; i++)
			client[i] = client_open(server);
		client_send(client[0], "GET / HT");
		client_send(
		    client[1], "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
		client_get(client[2], "/never");
		client_get(client[3], "/big/30000000");
		client_get(client[4], "/stream/1000/50");
		server_wait(server, COUNT_HANDLED, 3);
		for (int i = 0; i < 6; i++)
			client_close(client[i]);
	}
}

static void do_hurry(struct server *server, void *arg)
{
	do_release(server, arg);
	gate_stop(server->gate, NULL, NULL);
	loop_stop(server->loop);
}

/* What is pending is answered, and everything freed at once: the answers are on their way. */
static void test_hurry(void **state)
{
	struct server *server = start(state, OVER_UNIX, (struct gate_options){0});
	struct client *client = client_open(server);

	client_get(client, "/never");
	server_wait(server, COUNT_NEVER, 1);
	server_call(server, do_hurry, NULL);
	pthread_join(server->thread, NULL);
	server_dispose(server);
	*state = NULL;
	assert_true(client_reply(client));
	assert_string_equal(client_text(client), "released\n");
	client_close(client);
}

/* gate_stop: idle ones and streams end, what is under way is finished. */
static void test_stop(void **state)
{
	EACH_TRANSPORT
	{
		struct server *server = start(state, transports[t], (struct gate_options){0});
		struct client *idle = client_open(server), *pending = client_open(server);
		struct client *sending = client_open(server), *stream = client_open(server);

		client_get(pending, "/never");
		client_get(stream, "/stream/1000/50");
		client_send(
		    sending, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab");
		server_wait(server, COUNT_HANDLED, 2);
		usleep(20 * 1000);
		server_call(server, do_stop, NULL);
		assert_true(client_at_end(idle, 5000));
		assert_true(client_at_end(stream, 5000));
		assert_int_equal(server_count(server, COUNT_STOPPED), false);
		client_send(sending, "cd");
		assert_true(client_reply(sending));
		assert_string_equal(client_text(sending), "abcd");
		assert_string_equal(client_header(sending, "Connection"), "close");
		server_release(server);
		assert_true(client_reply(pending));
		assert_string_equal(client_text(pending), "released\n");
		assert_true(client_at_end(pending, 5000));
		assert_true(client_at_end(sending, 5000));
		server_wait(server, COUNT_STOPPED, true);
		assert_int_equal(server_count(server, COUNT_OPEN), 0);
		client_close(idle);
		client_close(pending);
		client_close(sending);
		client_close(stream);
	}
}

#define OWN(test) cmocka_unit_test_teardown(test, tear_down_own)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    OWN(test_slow_senders),
	    OWN(test_steady_body),
	    OWN(test_idle),
	    OWN(test_slow_handshake),
	    OWN(test_slow_readers),
	    OWN(test_cap),
	    OWN(test_many_idle),
	    OWN(test_flood_at_pending_reply),
	    OWN(test_bodies_together),
	    OWN(test_aborts),
	    OWN(test_server_goes),
	    OWN(test_stop),
	    OWN(test_hurry),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
