/*
 * Whom the client trusts, the words when it does not, and sessions that are taken up again.
 */
#include "unit/net/certs.h"
#include "unit/net/fetch.h"
#include "unit/net/peer.h"
#include <fcntl.h>
#include <sys/stat.h>

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define DAY 86400L

static struct cert ca, other_ca, right, wrong_name, expired, future, alone;
static char *ca_text, *other_text, *alone_text, *right_text;

static int make_certs(void **state)
{
	(void)state;
	ca = cert_make("Test CA", NULL, NULL, -DAY, DAY);
	other_ca = cert_make("Other CA", NULL, NULL, -DAY, DAY);
	right = cert_make("right", "DNS:localhost,IP:127.0.0.1", &ca, -DAY, DAY);
	wrong_name = cert_make("x", "DNS:a.example,DNS:*.b.example,IP:192.0.2.9", &ca, -DAY, DAY);
	expired = cert_make("x", "DNS:localhost,IP:127.0.0.1", &ca, -2 * DAY, -DAY);
	future = cert_make("x", "DNS:localhost,IP:127.0.0.1", &ca, DAY, 2 * DAY);
	alone = cert_make("alone", "DNS:localhost,IP:127.0.0.1", NULL, -DAY, DAY);
	ca_text = cert_pem(&ca);
	other_text = cert_pem(&other_ca);
	alone_text = cert_pem(&alone);
	right_text = cert_pem(&right);
	return 0;
}

static int free_certs(void **state)
{
	(void)state;
	cert_free(&ca);
	cert_free(&other_ca);
	cert_free(&right);
	cert_free(&wrong_name);
	cert_free(&expired);
	cert_free(&future);
	cert_free(&alone);
	free(ca_text);
	free(other_text);
	free(alone_text);
	free(right_text);
	return 0;
}

static void serve_ok(struct peer_conn *conn)
{
	while (peer_request(conn) && peer_say(conn, OK))
		;
}

static struct tls_trust *trust_of(const char *pem)
{
	struct err err = ERR_INIT;
	struct tls_trust *trust = tls_trust_new(pem, &err);

	if (trust == NULL)
		fail_msg("%s", err.message);
	return trust;
}

static void fetch(struct side *side, struct outcome *outcome, const char *host, uint16_t port,
    struct tls_trust *trust)
{
	struct url url = url_at("https", host, port, "/x");
	const struct http_options options = {
	    .method = "GET", .url = &url, .trust = trust, .deadlines = {.tls = 400}};

	send_options(side, outcome, &options);
	side_run(side);
}

/* What the server showed comes up, whatever was wrong with it. */
static void assert_shown(const struct outcome *outcome, const struct cert *cert)
{
	const struct tls_certificate *shown = &outcome->trace.certificate;
	unsigned char digest[EVP_MAX_MD_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE + 1] = "", name[100], issuer[100];
	unsigned length;

	X509_digest(cert->x509, EVP_sha256(), digest, &length);
	for (unsigned i = 0; i < length; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	X509_NAME_get_text_by_NID(
	    X509_get_subject_name(cert->x509), NID_commonName, name, sizeof name);
	X509_NAME_get_text_by_NID(
	    X509_get_issuer_name(cert->x509), NID_commonName, issuer, sizeof issuer);
	assert_string_equal(shown->sha256, hex);
	assert_string_equal(shown->subject, name);
	assert_string_equal(shown->issuer, issuer);
	assert_int_equal(shown->expires_ms - shown->from_ms,
	    (cert == &right || cert == &wrong_name || cert == &alone ? 2 : 1) * DAY * 1000);
}

static void test_certificates(void **state)
{
	const struct {
		const struct cert *cert;
		const char *ca, *host, *code, *words[2];
	} cases[] = {
	    {&right, ca_text, "localhost", NULL, {0}},
	    {&right, ca_text, "127.0.0.1", NULL, {0}},
	    {&alone, alone_text, "localhost", NULL, {0}},
	    {&right, right_text, "localhost", NULL, {0}}, /* that certificate itself was given */
	    {&right, other_text, "localhost", "tls_untrusted",
	        {"localhost is not trusted", "issuer"}},
	    {&right, NULL, "localhost", "tls_untrusted", {"not trusted", "local issuer"}},
	    {&alone, ca_text, "localhost", "tls_untrusted", {"self-signed", ""}},
	    {&wrong_name, ca_text, "localhost", "tls_name",
	        {"is for a.example, *.b.example, 192.0.2.9, not for localhost", ""}},
	    {&wrong_name, ca_text, "127.0.0.1", "tls_name", {"not for 127.0.0.1", ""}},
	    {&expired, ca_text, "localhost", "tls_expired", {"expired on 20", "T"}},
	    {&future, ca_text, "localhost", "tls_expired", {"not valid before 20", "T"}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		SSL_CTX *context = cert_server(cases[i].cert);
		struct tls_trust *trust = trust_of(cases[i].ca);
		struct outcome outcome;
		struct side side;
		struct peer peer;

		peer_start(&peer, context, serve_ok);
		side_start(&side, NULL);
		fetch(&side, &outcome, cases[i].host, peer.port, trust);
		if (cases[i].code == NULL) {
			assert_status(&outcome, 200);
			assert_string_equal(outcome.trace.hops[2].hop, "TLS");
			assert_non_null(strstr(outcome.trace.hops[2].detail, "TLSv1.3, TLS_"));
		} else {
			assert_failed(&outcome, cases[i].code, "TLS");
			assert_words(&outcome, cases[i].words[0]);
			assert_words(&outcome, cases[i].words[1]);
			assert_true(outcome.err.hint[0] != '\0');
			assert_false(outcome.sent);
			assert_int_equal(peer.requests, 0);
			assert_int_equal(outcome.trace.hops[3].outcome, HTTP_HOP_SKIPPED);
		}
		assert_shown(&outcome, cases[i].cert);
		side_stop(&side);
		tls_trust_unref(trust);
		peer_stop(&peer);
		SSL_CTX_free(context);
	}
}

/* What is not TLS at all, or TLS that we refuse. */
static void serve_nothing(struct peer_conn *conn)
{
	char byte;

	if (conn->number == 0)
		peer_say(conn, "HTTP/1.1 400 Bad Request\r\n\r\n");
	if (conn->number < 2)
		recv(conn->fd, &byte, 1, 0);
	else
		peer_wait_end(conn); /* the third one never answers */
}

static void test_no_tls_there(void **state)
{
	static const char *const words[] = {
	    "wrong version number", "closed the connection during", "within 0.4 s"};
	struct tls_trust *trust = trust_of(ca_text);
	struct outcome outcome;
	struct side side;
	struct peer peer;

	(void)state;
	peer_start(&peer, NULL, serve_nothing);
	side_start(&side, NULL);
	for (int i = 0; i < 3; i++) {
		fetch(&side, &outcome, "localhost", peer.port, trust);
		assert_failed(&outcome, "tls_failed", "TLS");
		assert_words(&outcome, words[i]);
	}
	side_stop(&side);
	tls_trust_unref(trust);
	peer_stop(&peer);
}

static void test_versions_and_ciphers(void **state)
{
	static const struct {
		int version; /* the highest of the server */
		const char *ciphers;
		bool taken;
	} cases[] = {
	    {TLS1_3_VERSION, NULL, true},
	    {TLS1_2_VERSION, "ECDHE+AESGCM", true},
	    {TLS1_2_VERSION, "ECDHE+CHACHA20", true},
	    {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256", false},
	    {TLS1_1_VERSION, "ALL:@SECLEVEL=0", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		SSL_CTX *context = cert_server(&right);
		struct tls_trust *trust = trust_of(ca_text);
		struct outcome outcome;
		struct side side;
		struct peer peer;

		SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
		SSL_CTX_set_max_proto_version(context, cases[i].version);
		if (cases[i].ciphers != NULL)
			assert_int_equal(SSL_CTX_set_cipher_list(context, cases[i].ciphers), 1);
		peer_start(&peer, context, serve_ok);
		side_start(&side, NULL);
		fetch(&side, &outcome, "localhost", peer.port, trust);
		if (cases[i].taken)
			assert_status(&outcome, 200);
		else
			assert_failed(&outcome, "tls_failed", "TLS");
		side_stop(&side);
		tls_trust_unref(trust);
		peer_stop(&peer);
		SSL_CTX_free(context);
	}
}

/* Ends without close_notify after each answer, as many servers do. */
static void serve_rudely(struct peer_conn *conn)
{
	if (peer_request(conn))
		peer_say(conn, OK);
	peer_reset(conn);
	SSL_set_quiet_shutdown(conn->ssl, 1);
}

static void test_resumption(void **state)
{
	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		SSL_CTX *context = cert_server(&right);
		struct tls_trust *trust = trust_of(ca_text), *second = trust_of(ca_text);
		struct outcome outcome;
		struct side side;
		struct peer peer;

		SSL_CTX_set_max_proto_version(context, version);
		peer_start(&peer, context, serve_ok);
		side_start(&side, NULL);
		for (int i = 0; i < 4; i++) {
			peer.serve = i < 2 ? serve_ok : serve_rudely;
			fetch(&side, &outcome, "localhost", peer.port, trust);
			assert_status(&outcome, 200);
			assert_int_equal(
			    strstr(outcome.trace.hops[2].detail, "resumed") != NULL, i > 0);
			http_client_drop_idle(side.client, trust);
			side_run_for(&side, 20);
		}
		assert_int_equal(peer.resumed, 3);
		peer.serve = serve_ok;
		fetch(&side, &outcome, "127.0.0.1", peer.port,
		    trust); /* another name: none of its sessions */
		assert_status(&outcome, 200);
		fetch(&side, &outcome, "localhost", peer.port, second); /* nor another trust's */
		assert_status(&outcome, 200);
		assert_int_equal(peer.resumed, 3);
		assert_true(tls_trust_id(trust) != tls_trust_id(second));
		side_stop(&side);
		tls_trust_unref(trust);
		tls_trust_unref(second);
		peer_stop(&peer);
		SSL_CTX_free(context);
	}
}

/* A body that runs to the end of the connection needs close_notify; one with a length does not. */
static void serve_ends(struct peer_conn *conn)
{
	if (!peer_request(conn))
		return;
	if (peer_starts(conn, "GET /length"))
		peer_say(conn, OK);
	else
		peer_say(conn, "HTTP/1.1 200 OK\r\n\r\nall of it?");
	if (peer_starts(conn, "GET /proper"))
		SSL_shutdown(conn->ssl);
}

static void test_end_without_notify(void **state)
{
	static const struct {
		const char *path;
		int status;
	} cases[] = {{"/length", 200}, {"/proper", 200}, {"/cut", 0}};
	SSL_CTX *context = cert_server(&right);
	struct tls_trust *trust = trust_of(ca_text);
	struct side side;
	struct peer peer;

	(void)state;
	peer_start(&peer, context, serve_ends);
	side_start(&side, NULL);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct url url = url_at("https", "localhost", peer.port, cases[i].path);
		const struct http_options options = {.method = "GET", .url = &url, .trust = trust};
		struct outcome outcome;

		send_options(&side, &outcome, &options);
		side_run(&side);
		if (cases[i].status > 0)
			assert_status(&outcome, cases[i].status);
		else
			assert_failed(&outcome, "http_cut", "HTTP");
		side_run_for(&side, 30); /* its end is seen */
	}
	side_stop(&side);
	tls_trust_unref(trust);
	peer_stop(&peer);
	SSL_CTX_free(context);
}

static void serve_length(struct peer_conn *conn)
{
	char answer[100];

	while (peer_request(conn)) {
		snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n%6zu",
		    strlen(strstr(conn->request, "\r\n\r\n") + 4));
		peer_say(conn, answer);
	}
}

/* Small requests take a shorter way out than large ones; both arrive whole, also one after the
 * other. */
static void test_request_sizes(void **state)
{
	static const size_t sizes[] = {0, 400, 60000, 8000, 7000, 15000, 16384, 60000, 1};
	static char body[60001];
	SSL_CTX *context = cert_server(&right);
	struct tls_trust *trust = trust_of(ca_text);
	struct side side;
	struct peer peer;

	(void)state;
	memset(body, 'x', sizeof body - 1);
	peer_start(&peer, context, serve_length);
	side_start(&side, NULL);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct url url = url_at("https", "localhost", peer.port, "/");
		const struct http_options options = {.method = "POST",
		    .url = &url,
		    .trust = trust,
		    .body = body,
		    .body_length = sizes[i]};
		struct outcome outcome;

		send_options(&side, &outcome, &options);
		side_run(&side);
		assert_status(&outcome, 200);
		assert_int_equal(atoi(outcome.body), sizes[i]);
		assert_int_equal(outcome.trace.reused, i > 0);
	}
	side_stop(&side);
	tls_trust_unref(trust);
	peer_stop(&peer);
	SSL_CTX_free(context);
}

static void test_wrong_pem(void **state)
{
	static const char *const wrong[] = {
	    "", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct err err = ERR_INIT;

		assert_null(tls_trust_new(wrong[i], &err));
		assert_string_equal(err.code, "ca_invalid");
	}
}

static void loaded(void *arg)
{
	loop_stop(arg);
}

static void count_call(const struct http_result *result, void *arg)
{
	(void)result;
	++*(int *)arg;
}

/* While the bundle loads (here from a pipe that nobody has written to), connections wait for it. */
static void wait_for_load(
    struct side *side, struct worker *worker, uint16_t port, struct tls_trust *trust)
{
	char pipe_name[] = "/tmp/test_tls_fifo_XXXXXX";
	struct url url = url_at("https", "localhost", port, "/x");
	const struct http_options options = {.method = "GET", .url = &url, .trust = trust};
	struct http_request *cancelled;
	struct outcome late, patient;
	int calls = 0, fd;

	assert_true((fd = mkstemp(pipe_name)) >= 0 && close(fd) == 0 && unlink(pipe_name) == 0);
	assert_int_equal(mkfifo(pipe_name, 0600), 0);
	tls_system_load(worker, pipe_name, NULL, NULL);
	cancelled = http_client_send(side->client, &options, count_call, &calls, NULL);
	fetch(side, &late, "localhost", port, trust);
	assert_failed(&late, "tls_failed", "TLS");
	assert_words(&late, "CA certificates were not loaded within 0.4 s");
	http_request_cancel(cancelled);
	send_options(side, &patient, &options);
	side_run_for(side, 50);
	assert_int_equal(patient.calls, 0);
	assert_false(tls_system_ready());
	fd = open(pipe_name, O_WRONLY);
	assert_true(write(fd, ca_text, strlen(ca_text)) > 0);
	close(fd);
	side_run(side);
	assert_status(&patient, 200);
	assert_int_equal(calls, 0);
	unlink(pipe_name);
}

/* The last test: what is loaded stays for the process. */
static void test_system_load(void **state)
{
	char file[] = "/tmp/test_tls_XXXXXX";
	SSL_CTX *context = cert_server(&right);
	struct tls_trust *plain = trust_of(NULL), *own = trust_of(other_text);
	struct worker *worker;
	struct outcome outcome;
	struct side side;
	struct peer peer;
	int fd = mkstemp(file);

	(void)state;
	assert_true(write(fd, ca_text, strlen(ca_text)) > 0);
	close(fd);
	peer_start(&peer, context, serve_ok);
	side_start(&side, NULL);
	worker = worker_new(side.loop, "test", NULL);
	assert_false(tls_system_ready());

	wait_for_load(&side, worker, peer.port, plain);
	assert_true(tls_system_ready());
	assert_null(tls_system_error()->code);
	fetch(&side, &outcome, "localhost", peer.port, own); /* its own beside the system's */
	assert_status(&outcome, 200);

	tls_system_load(worker, "/nonexistent", loaded, side.loop);
	loop_run(side.loop);
	assert_string_equal(tls_system_error()->code, "ca_invalid");
	assert_non_null(strstr(tls_system_error()->message, "/nonexistent"));
	http_client_drop_idle(side.client, NULL);
	fetch(&side, &outcome, "localhost", peer.port, plain); /* what was there is kept */
	assert_status(&outcome, 200);

	fd = open(file, O_WRONLY | O_TRUNC);
	assert_true(write(fd, other_text, strlen(other_text)) > 0);
	close(fd);
	tls_system_load(worker, file, loaded, side.loop);
	loop_run(side.loop);
	http_client_drop_idle(side.client, NULL);
	fetch(
	    &side, &outcome, "localhost", peer.port, plain); /* not even by a remembered session */
	assert_failed(&outcome, "tls_untrusted", "TLS");

	unlink(file);
	worker_free(worker);
	side_stop(&side);
	tls_trust_unref(plain);
	tls_trust_unref(own);
	peer_stop(&peer);
	SSL_CTX_free(context);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_certificates),
	    cmocka_unit_test(test_no_tls_there),
	    cmocka_unit_test(test_versions_and_ciphers),
	    cmocka_unit_test(test_resumption),
	    cmocka_unit_test(test_end_without_notify),
	    cmocka_unit_test(test_request_sizes),
	    cmocka_unit_test(test_wrong_pem),
	    cmocka_unit_test(test_system_load),
	};

	return cmocka_run_group_tests_name("tls", tests, make_certs, free_certs);
}
