/* The gate's room for bodies: pots, who gives way, when a body ends, and what is answered before
 * it. */
#include "unit/web/gate_test.h"

#include "web/gate_internal.h"
#include <signal.h>

/*
 * Targets with "apart" have a pot of their own and an end, and may be SMALL_MAX at most where they
 * have "small"; where they have "why", `over` answers, with "later" when it is told to. One server
 * at a time.
 */
enum { POT = 64 * 1024, SHARE = 1024, SMALL_MAX = 1000, END_MS = 400 };
static struct gate_pot *pot;
static struct gate_reply *owed;
static bool with_end;
static char filling[POT * 2];

static void limit(const struct http_head *head, struct gate_terms *terms, void *arg)
{
	(void)arg;
	assert_int_equal(terms->body_max, 4 << 20);
	if (strstr(head->target, "apart") == NULL)
		return;
	terms->pot = pot;
	terms->final = with_end;
	terms->body_ms = with_end ? END_MS : terms->body_ms;
	if (strstr(head->target, "small") != NULL)
		terms->body_max = SMALL_MAX;
}

static void answer_why(struct gate_reply *reply)
{
	gate_answer(reply, &(struct gate_answer){.status = 401,
	                       .headers = "Content-Type: text/plain\r\n",
	                       .body = "why\n",
	                       .body_length = 4});
}

static bool over(
    struct gate_reply *reply, const struct http_head *head, struct evbuffer *body, void *arg)
{
	(void)arg;
	assert_null(body);
	if (strstr(head->target, "why") == NULL)
		return false;
	if (strstr(head->target, "later") != NULL)
		owed = reply;
	else
		answer_why(reply);
	return true;
}

static int begin(void **state, enum transport transport)
{
	owed = NULL;
	with_end = false;
	pot = gate_pot_new(POT, SHARE);
	*state = server_start(transport, &(struct gate_options){.body_max = 4 << 20,
	                                     .bodies_max = POT,
	                                     .body_ms = 10000,
	                                     .rate = 10000,
	                                     .linger_ms = 500,
	                                     .limit = limit,
	                                     .over = over});
	return 0;
}
static int begin_tcp(void **state)
{
	return begin(state, OVER_TCP);
}
static int begin_tls(void **state)
{
	return begin(state, OVER_TLS);
}
static int begin_unix(void **state)
{
	return begin(state, OVER_UNIX);
}

static void do_look(struct server *server, void *arg)
{
	size_t *used = arg;

	used[0] = server->gate->pot->used;
	used[1] = pot->used;
	used[2] = owed != NULL;
}

enum { USED_OWN, USED_APART, OWED };
static void wait_used(struct server *server, int which, size_t wanted)
{
	uint64_t until = clock_monotonic_ms() + 20000;
	size_t used[3];

	do {
		server_call(server, do_look, used);
		if (clock_monotonic_ms() > until)
			fail_msg("%d is %zu, not %zu", which, used[which], wanted);
	} while (used[which] != wanted);
}

static int end(void **state)
{
	wait_used(*state, USED_OWN, 0);
	wait_used(*state, USED_APART, 0);
	server_free(*state);
	gate_pot_free(pot);
	return 0;
}

static struct client *post(
    struct server *server, const char *target, size_t length, size_t sent, const char *more)
{
	struct client *client = client_open(server);
	char head[256];

	snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n%s\r\n",
	    target, length, more);
	client_send(client, head);
	client_send_bytes(client, filling, sent);
	return client;
}

static void assert_status(struct client *client, int status)
{
	assert_true(client_reply(client));
	assert_int_equal(client->status, status);
}

/* ---- tests ---- */

/* Whoever fills one pot takes nothing from the other. */
static void test_apart(void **state)
{
	struct client *apart = post(*state, "/echo?apart", 60001, 60000, "");
	struct client *own;

	wait_used(*state, USED_APART, 60000);
	own = post(*state, "/echo", 60001, 60000, "");
	wait_used(*state, USED_OWN, 60000);
	client_send(own, "a");
	client_send(apart, "a");
	assert_status(own, 200);
	assert_status(apart, 200);
	assert_int_equal(apart->body.length, 60001);
	client_close(own);
	client_close(apart);
}

/* The longest in hand over the share, as many as must; within the share nobody. */
static void test_gives_way(void **state)
{
	struct client *small = post(*state, "/echo?apart", SHARE, SHARE - 1, ""), *held[3], *new;

	wait_used(*state, USED_APART, SHARE - 1);
	for (size_t i = 0; i < 3; i++) {
		held[i] = post(*state, "/echo?apart", 4 << 20, 20000, "");
		wait_used(*state, USED_APART, SHARE - 1 + (i + 1) * 20000);
	}
	new = post(*state, "/echo?apart", 40000, 40000, "");
	assert_status(new, 200);
	assert_status(held[0], 503);
	assert_string_equal(client_header(held[0], "Retry-After"), "5");
	assert_string_equal(client_header(held[0], "Connection"), "close");
	assert_true(client_at_end(held[0], 5000));
	assert_status(held[1], 503);
	wait_used(*state, USED_APART, SHARE - 1 + 20000);
	client_send(small, "a");
	assert_status(small, 200);
	/* More than there is: the others go, and then itself. */
	client_close(new);
	new = post(*state, "/echo?apart", 2 * POT, 2 * POT, "");
	assert_status(new, 503);
	assert_status(held[2], 503);
	for (size_t i = 0; i < 3; i++)
		client_close(held[i]);
	client_close(new);
	client_close(small);
}

/* As many as may be connected, each with its share: nobody is refused. */
static void test_shares(void **state)
{
	enum { MANY = POT / SHARE };
	struct client *clients[MANY], *large;

	for (size_t i = 0; i < MANY; i++)
		clients[i] = post(*state, "/echo?apart", SHARE + 1, SHARE, "");
	wait_used(*state, USED_APART, POT);
	large = post(*state, "/echo?apart", SHARE, 1, "");
	assert_status(large, 503); /* one more than the pot was made for */
	client_close(large);
	client_send(clients[1], "a"); /* goes beyond it */
	assert_status(clients[1], 503);
	client_close(clients[1]);
	clients[1] = post(*state, "/echo?apart", SHARE, SHARE, "");
	assert_status(clients[1], 200);
	for (size_t i = 0; i < MANY; i++)
		client_close(clients[i]);
}

/* It keeps up the rate, and ends all the same. */
static void test_final(void **state)
{
	uint64_t began = clock_monotonic_ms();
	struct client *client, *other = post(*state, "/echo", 30000, 25000, "");
	size_t sent = 1000;

	with_end = true;
	client = post(*state, "/echo?apart", 60000, 1000, "");
	while (clock_monotonic_ms() - began < 5000 && sent < 59000 && !client_at_end(client, 20) &&
	       client_send_bytes(client, filling, 400) == 400)
		sent += 400;
	assert_in_range(clock_monotonic_ms() - began, END_MS, 2000);
	wait_used(*state, USED_APART, 0);
	client_send_bytes(other, filling, 5000);
	assert_status(other, 200);
	client_close(client);
	client_close(other);
}

static void test_final_status(void **state)
{
	uint64_t began = clock_monotonic_ms();
	struct client *client;

	with_end = true;
	client = post(*state, "/echo?apart", 60000, 50000, "");
	assert_status(client, 408);
	assert_in_range(clock_monotonic_ms() - began, END_MS, 4000); /* earned: 5 s more */
	client_close(client);
}

/* Before the body, in words of their own; the connection ends, and the answer arrives whatever of
 * the body is still sent. */
static void test_over(void **state)
{
	static const struct {
		const char *target, *more;
		size_t sent;
		int status;
	} cases[] = {
	    {"/echo?apart&small&why", "", 0, 401},
	    {"/echo?apart&small&why", "", 60000, 401},
	    {"/echo?apart&small&why", "", 70000, 401},
	    {"/echo?apart&small&why", "Expect: 100-continue\r\n", 0, 401},
	    {"/echo?apart&small", "", 0, 413},
	    {"/echo?apart&small", "", 60000, 413},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct client *client =
		    post(*state, cases[i].target, 70000, cases[i].sent, cases[i].more);

		assert_status(client, cases[i].status);
		assert_string_equal(client_header(client, "Connection"), "close");
		if (cases[i].status == 401)
			assert_string_equal(client_text(client), "why\n");
		assert_true(client_at_end(client, 5000));
		client_close(client);
	}
	assert_int_equal(server_count(*state, COUNT_HANDLED), 0);
	for (int i = 0; i < 2; i++) { /* as many as may be are read */
		struct client *client =
		    post(*state, "/echo?apart&small&why", SMALL_MAX, SMALL_MAX, "");

		assert_status(client, 200);
		client_close(client);
	}
}

/* One answer, also where head and body come in one piece, and more behind them. */
static void test_over_at_once(void **state)
{
	struct client *client = client_open(*state);
	struct buf all;

	buf_init(&all, 8192);
	buf_printf(&all,
	    "POST /echo?apart&small&why HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n",
	    2 * SMALL_MAX);
	buf_append(&all, filling, (size_t)2 * SMALL_MAX);
	buf_puts(&all, "GET /head HTTP/1.1\r\nHost: x\r\n\r\n");
	client_send_bytes(client, all.data, all.length);
	assert_status(client, 401);
	assert_false(client_reply(client));
	assert_int_equal(client->status, 0);
	assert_int_equal(server_count(*state, COUNT_HANDLED), 0);
	buf_free(&all);
	client_close(client);
}

static void do_answer(struct server *server, void *arg)
{
	(void)server;
	(void)arg;
	answer_why(owed);
	owed = NULL;
}

static void test_over_later(void **state)
{
	for (size_t sent = 0; sent <= 50000; sent += 50000) {
		struct client *client =
		    post(*state, "/echo?apart&small&why&later", 70000, sent, "");

		wait_used(*state, OWED, 1);
		server_call(*state, do_answer, NULL);
		assert_status(client, 401);
		assert_true(client_at_end(client, 5000));
		client_close(client);
	}
	assert_int_equal(server_count(*state, COUNT_HANDLED), 0);
}

/* Bodies that are in hand at the end keep the pot. */
static void test_end(void **state)
{
	struct server *server = NULL;
	struct client *client;

	(void)state;
	begin((void **)&server, OVER_TCP);
	client = post(server, "/echo?apart", 60000, 50000, "");
	wait_used(server, USED_APART, 50000);
	server_call(server, do_end, NULL);
	pthread_join(server->thread, NULL);
	gate_pot_free(pot);
	server_dispose(server);
	client_close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define EACH(test)                                           \
	{#test " over TCP", test, begin_tcp, end, NULL},     \
	    {#test " over TLS", test, begin_tls, end, NULL}, \
	    {#test " over a Unix socket", test, begin_unix, end, NULL}
	    EACH(test_apart),
	    EACH(test_gives_way),
	    EACH(test_shares),
	    cmocka_unit_test_setup_teardown(test_final, begin_tcp, end),
	    EACH(test_final_status),
	    EACH(test_over),
	    EACH(test_over_at_once),
	    EACH(test_over_later),
	    cmocka_unit_test(test_end),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
