/*
 * The way to the server: proxies and tunnels, Unix sockets, IPv6, what refuses, and cancelling at
 * every step.
 */
#include "unit/net/certs.h"
#include "unit/net/fetch.h"
#include "unit/net/peer.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define DAY 86400L

static struct cert ca, server;
static SSL_CTX *context;
static struct tls_trust *trust;

static int start(void **state)
{
	char *pem;

	(void)state;
	ca = cert_make("Test CA", NULL, NULL, -DAY, DAY);
	server =
	    cert_make("x", "DNS:localhost,DNS:far.example,IP:127.0.0.1,IP:::1", &ca, -DAY, DAY);
	context = cert_server(&server);
	pem = cert_pem(&ca);
	trust = tls_trust_new(pem, NULL);
	free(pem);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	tls_trust_unref(trust);
	SSL_CTX_free(context);
	cert_free(&ca);
	cert_free(&server);
	return 0;
}

static void serve_ok(struct peer_conn *conn)
{
	while (peer_request(conn) && peer_say(conn, OK))
		;
}

/* A proxy that is also what lies behind it. What it answers to CONNECT is the test's. */
static const char *connect_answer;
static char connect_seen[4096];

static void serve_proxy(struct peer_conn *conn)
{
	if (!peer_request(conn))
		return;
	memcpy(connect_seen, conn->request, sizeof connect_seen);
	peer_say(conn, connect_answer);
	if (strncmp(connect_answer, "HTTP/1.1 200 Connection", 23) == 0 &&
	    peer_start_tls(conn, context))
		serve_ok(conn);
	else
		peer_wait_end(conn);
}

static void fetch(
    struct side *side, struct outcome *outcome, const char *scheme, const char *host, uint16_t port)
{
	struct url url = url_at(scheme, host, port, "/x?y");
	const struct http_options options = {.method = "GET",
	    .url = &url,
	    .trust = trust,
	    .deadlines = {.connect = 500, .tls = 2000}};

	send_options(side, outcome, &options);
	side_run(side);
}

static void test_tunnel(void **state)
{
	static const struct {
		const char *user, *answer, *code, *words, *seen;
	} cases[] = {
	    {"", "HTTP/1.1 200 Connection established\r\n\r\n", NULL, NULL,
	        "CONNECT far.example:8443 HTTP/1.1\r\nHost: far.example:8443\r\n\r\n"},
	    {"u:p%40@", "HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n", NULL, NULL,
	        "CONNECT far.example:8443 HTTP/1.1\r\nHost: far.example:8443\r\n"
	        "Proxy-Authorization: Basic dTpwQA==\r\n\r\n"},
	    {"",
	        "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: "
	        "5\r\n\r\nhello",
	        "proxy_auth", "wants a user and password (HTTP 407, Basic", NULL},
	    {"u:s3cret@", "HTTP/1.1 407 Who\r\n\r\n", "proxy_auth", "another user or password",
	        NULL},
	    {"", "HTTP/1.1 403 Forbidden\r\n\r\n", "proxy_refused",
	        "refused a tunnel to far.example:8443: HTTP 403 Forbidden", NULL},
	    {"", "HTTP/1.1 302 Found\r\nLocation: http://portal\r\n\r\n", "proxy_refused",
	        "HTTP 302", NULL},
	    {"", "HTTP/1.1 200 OK\r\n\r\nearly", "proxy_refused", "before the tunnel was used",
	        NULL},
	    {"", "SSH-2.0-x\r\n", "proxy_refused", "made no tunnel", NULL},
	    {"", "HTTP/1.1 200", "connect_timeout",
	        "did not answer CONNECT far.example:8443 within 0.5 s", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct http_proxy_config config = {0};
		struct outcome outcome;
		struct side side;
		struct peer peer;
		char url[100];

		connect_answer = cases[i].answer;
		peer_start(&peer, NULL, serve_proxy);
		snprintf(url, sizeof url, "http://%s127.0.0.1:%u", cases[i].user, peer.port);
		config.https_proxy = url;
		side_start(&side, &config);
		fetch(&side, &outcome, "https", "far.example", 8443);
		if (cases[i].code == NULL) {
			assert_status(&outcome, 200);
			assert_int_equal(outcome.trace.count, 5);
			assert_string_equal(outcome.trace.hops[2].hop, "Proxy");
			assert_string_equal(connect_seen, cases[i].seen);
			fetch(&side, &outcome, "https", "far.example", 8443);
			assert_true(outcome.trace.reused);
		} else {
			assert_failed(&outcome, cases[i].code, "Proxy");
			assert_words(&outcome, cases[i].words);
			assert_null(strstr(outcome.err.message, "s3cret"));
			assert_null(strstr(outcome.err.hint, "s3cret"));
			assert_false(outcome.sent);
		}
		side_stop(&side);
		peer_stop(&peer);
	}
}

static void test_plain_proxy(void **state)
{
	struct http_proxy_config config = {.no_proxy = "127.0.0.1"};
	struct outcome outcome;
	struct side side;
	struct peer peer;
	char text[100];
	struct url far = url_at("http", "far.example", 81, "/");

	(void)state;
	connect_answer = OK;
	peer_start(&peer, NULL, serve_proxy);
	snprintf(text, sizeof text, "http://u:p@127.0.0.1:%u", peer.port);
	config.http_proxy = text;
	side_start(&side, &config);
	fetch(&side, &outcome, "http", "far.example", 81);
	assert_status(&outcome, 200);
	assert_string_equal(connect_seen,
	    "GET http://far.example:81/x?y HTTP/1.1\r\nHost: far.example:81\r\n"
	    "Proxy-Authorization: Basic dTpw\r\n\r\n");
	connect_answer = "HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n";
	http_client_drop_idle(side.client, NULL);
	fetch(&side, &outcome, "http", "far.example", 81);
	assert_failed(&outcome, "proxy_auth", "Proxy");
	connect_answer = OK;
	fetch(&side, &outcome, "http", "127.0.0.1", peer.port); /* excepted: asked directly */
	assert_status(&outcome, 200);
	assert_true(strncmp(connect_seen, "GET /x?y HTTP/1.1\r\n", 19) == 0);
	assert_null(strstr(connect_seen, "Proxy-Authorization"));
	http_client_proxy_for(side.client, &far, text, sizeof text);
	assert_non_null(strstr(text, "127.0.0.1:"));
	assert_null(strchr(text, '@'));
	side_stop(&side);
	peer_stop(&peer);
}

static void test_unix_socket(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char folder[] = "/tmp/test_http_XXXXXX";
	struct url url = url_at("http", "localhost", 80, "/api");
	struct http_options options = {.method = "GET", .url = &url};
	struct http_proxy_config config = {.http_proxy = "http://127.0.0.1:1"};
	struct outcome outcome;
	struct side side;
	struct peer peer;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(address.sun_path, sizeof address.sun_path, "%s/s", folder);
	options.unix_path = address.sun_path;
	side_start(&side, &config);
	send_options(&side, &outcome, &options);
	side_run(&side);
	assert_failed(&outcome, "connect_failed", "Unix socket");
	assert_words(&outcome, address.sun_path);

	peer_listen(&peer, (struct sockaddr *)&address, sizeof address, NULL, serve_ok);
	for (int i = 0; i < 2; i++) {
		send_options(&side, &outcome, &options);
		side_run(&side);
		assert_status(&outcome, 200);
		assert_int_equal(outcome.trace.reused, i == 1);
	}
	side_stop(&side);
	peer_stop(&peer);
	unlink(address.sun_path);
	rmdir(folder);
}

static void test_ipv6(void **state)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct outcome outcome;
	struct side side;
	struct peer peer;
	int probe = socket(AF_INET6, SOCK_STREAM, 0);

	(void)state;
	bool has = probe >= 0 && bind(probe, (struct sockaddr *)&address, sizeof address) == 0;
	if (probe >= 0)
		close(probe);
	if (!has)
		skip();
	peer_listen(&peer, (struct sockaddr *)&address, sizeof address, context, serve_ok);
	side_start(&side, NULL);
	fetch(&side, &outcome, "https", "[::1]", peer.port);
	assert_status(&outcome, 200);
	assert_non_null(strstr(outcome.trace.hops[1].detail, "[::1]:"));
	side_stop(&side);
	peer_stop(&peer);
}

/* A port on which nobody listens. */
static uint16_t closed_port(void)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	getsockname(fd, (struct sockaddr *)&address, &length);
	close(fd);
	return ntohs(address.sin_port);
}

/* A listener whose queue is full: connections to it hang. */
static int full_listener(int *others, unsigned count, uint16_t *port)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(fd, 0), 0);
	getsockname(fd, (struct sockaddr *)&address, &length);
	*port = ntohs(address.sin_port);
	for (unsigned i = 0; i < count; i++) {
		others[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(others[i], (struct sockaddr *)&address, length);
	}
	return fd;
}

static void test_no_connection(void **state)
{
	struct http_proxy_config config = {0};
	struct outcome outcome;
	struct side side;
	int others[4], listener;
	uint16_t port;
	char hop[32], proxy[64];

	(void)state;
	side_start(&side, NULL);
	port = closed_port();
	snprintf(hop, sizeof hop, "TCP %u", port);
	fetch(&side, &outcome, "http", "127.0.0.1", port);
	assert_failed(&outcome, "connect_refused", hop);
	assert_words(&outcome, "127.0.0.1:");
	assert_int_equal(outcome.trace.count, 3);
	fetch(&side, &outcome, "http", "localhost", port);
	assert_failed(&outcome, "connect_refused", hop);
	fetch(&side, &outcome, "http", "no-such-host.invalid", port);
	assert_failed(&outcome, "dns_failed", "DNS");
	listener = full_listener(others, COUNT(others), &port);
	snprintf(hop, sizeof hop, "TCP %u", port);
	fetch(&side, &outcome, "http", "127.0.0.1", port);
	assert_failed(&outcome, "connect_timeout", hop);
	assert_words(&outcome, "did not answer within 0.5 s");
	assert_false(outcome.sent);
	side_stop(&side);
	for (size_t i = 0; i < COUNT(others); i++)
		close(others[i]);
	close(listener);

	snprintf(proxy, sizeof proxy, "127.0.0.1:%u", closed_port());
	config.https_proxy = proxy;
	side_start(&side, &config);
	fetch(&side, &outcome, "https", "far.example", 443);
	assert_failed(&outcome, "connect_refused", "Proxy");
	assert_words(&outcome, "the proxy 127.0.0.1:");
	side_stop(&side);
}

struct watched {
	struct http_request *request;
	bool cancelled, done;
};

static void watch(const struct http_result *result, void *arg)
{
	struct watched *watched = arg;

	(void)result;
	assert_false(watched->cancelled);
	assert_false(watched->done);
	watched->done = true;
}

static void watch_send(
    struct side *side, struct watched *watched, const struct http_options *options)
{
	*watched = (struct watched){0};
	watched->request = http_client_send(side->client, options, watch, watched, NULL);
	assert_non_null(watched->request);
}

static void watch_cancel(struct watched *watched)
{
	watched->cancelled = true;
	if (!watched->done)
		http_request_cancel(watched->request);
}

static void serve_slowly(struct peer_conn *conn)
{
	if (!peer_request(conn))
		return;
	usleep(20000);
	peer_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
	usleep(20000);
	peer_say(conn, "k");
	peer_wait_end(conn);
}

/* Cancelled after 0, 1, 2... turns of the loop: every state is met. Then the pool still works. */
static void test_cancel_everywhere(void **state)
{
	struct http_proxy_config config = {0};
	struct outcome outcome;
	struct side side;
	struct peer peer;
	char text[64];

	(void)state;
	connect_answer = "HTTP/1.1 200 Connection established\r\n\r\n";
	for (int through = 0; through < 2; through++) {
		peer_start(&peer, through ? NULL : context, through ? serve_proxy : serve_slowly);
		snprintf(text, sizeof text, "http://127.0.0.1:%u", peer.port);
		config.https_proxy = through ? text : NULL;
		side_start(&side, &config);
		for (int turns = 0; turns < 12; turns++) {
			struct url url = url_at("https", "localhost", peer.port, "/");
			const struct http_options options = {
			    .method = "GET", .url = &url, .trust = trust, .connections = 1};
			struct watched first, second;

			watch_send(&side, &first, &options);
			watch_send(&side, &second, &options);

			for (int n = 0; n < turns; n++) {
				side_run_for(&side, through ? 0 : (uint64_t)(n > 6 ? 8 : 0));
				if (through && n > 4)
					break; /* the answer is near */
			}
			watch_cancel(&second);
			watch_cancel(&first);
		}
		fetch(&side, &outcome, "https", "localhost", peer.port);
		assert_status(&outcome, 200);
		side_stop(&side);
		peer_stop(&peer);
	}
}

static void test_cancel_in_handshake(void **state)
{
	struct side side;
	struct peer peer;
	struct watched watched;

	(void)state;
	peer_start(&peer, NULL, peer_wait_end); /* never says a word of TLS */
	side_start(&side, NULL);
	struct url url = url_at("https", "localhost", peer.port, "/");
	const struct http_options options = {.method = "GET", .url = &url, .trust = trust};
	watch_send(&side, &watched, &options);
	while (peer.accepted == 0)
		side_run_for(&side, 10);
	side_run_for(&side, 50);
	watch_cancel(&watched);
	side_run_for(&side, 10);
	assert_false(watched.done);
	side_stop(&side);
	peer_stop(&peer);
}

/* The client is freed with requests in every state: no completion, no leak. */
static void test_free_everywhere(void **state)
{
	struct side side;
	struct peer peer;

	(void)state;
	peer_start(&peer, context, serve_slowly);
	for (int turns = 0; turns < 10; turns++) {
		struct url url = url_at("https", "localhost", peer.port, "/");
		const struct http_options options = {
		    .method = "GET", .url = &url, .trust = trust, .connections = 2};

		struct watched watched[4];

		side_start(&side, NULL);
		for (int i = 0; i < 4; i++)
			watch_send(&side, &watched[i], &options);
		for (int n = 0; n < turns; n++)
			side_run_for(&side, n > 6 ? 5 : 0);
		for (int i = 0; i < 4; i++)
			watched[i].cancelled = true;
		side_stop(&side);
	}
	peer_stop(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tunnel),
	    cmocka_unit_test(test_plain_proxy),
	    cmocka_unit_test(test_unix_socket),
	    cmocka_unit_test(test_ipv6),
	    cmocka_unit_test(test_no_connection),
	    cmocka_unit_test(test_cancel_everywhere),
	    cmocka_unit_test(test_cancel_in_handshake),
	    cmocka_unit_test(test_free_everywhere),
	};

	return cmocka_run_group_tests_name("http_way", tests, start, stop);
}
