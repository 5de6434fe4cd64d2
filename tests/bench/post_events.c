/*
 * post_events: a load of signed events, as from Bitbucket, over a number of kept connections to one
 * server, as fast as it answers.
 *
 *   post_events [--connections 8] [--count 100000] [--bodies 256] [--size 2500] [--ca ca.pem]
 *               [--event repo:refs_changed] [--timeout 60] <targets
 *
 * Standard input has one target a line: URL, SECRET ("-": unsigned), PROJECT/slug; all at the same
 * scheme, host and port. Targets take turns. Each request has an id of its own, so no event comes
 * twice; the bodies, about --size bytes, are made and signed beforehand, at least one for each
 * target. What is printed:
 *   {"sent","accepted" (2xx),"lost" (the connection ended before the answer),"statuses":{"202":n},
 *    "reconnects","seconds","per_second","cpu_us" (ours, for
 * each),"latency_us":{"mean","p50","p90", "p99","p999","max"}} Exit code 0 when all were accepted,
 * 1 when not, 2 for a wrong call, 3 when the time is up.
 *
 * One thread on epoll. A connection is writing a request or reading its answer, never both.
 */
#include "base/clock.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/url.h"
#include "net/http_codec.h"
#include "sim/sim_options.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define ID_LENGTH 36
#define STATUS_MAX 600
#define READ_SIZE 16384

static struct {
	bool help;
	long connections, count, bodies, size, timeout;
	const char *ca, *event;
} options = {.connections = 8,
    .count = 100000,
    .bodies = 256,
    .size = 2500,
    .timeout = 60,
    .event = "repo:refs_changed"};

static const struct sim_option option_table[] = {
    {"help", SIM_FLAG, &options.help, "this text"},
    {"connections", SIM_INTEGER, &options.connections, "kept connections (8)"},
    {"count", SIM_INTEGER, &options.count, "so many events (100000)"},
    {"bodies", SIM_INTEGER, &options.bodies, "different bodies (256)"},
    {"size", SIM_INTEGER, &options.size, "bytes of a body, about (2500)"},
    {"timeout", SIM_INTEGER, &options.timeout, "give up after so many seconds (60)"},
    {"ca", SIM_TEXT, &options.ca, "file with the CA of an https target"},
    {"event", SIM_TEXT, &options.event, "the event key (repo:refs_changed)"},
    {0},
};

struct target {
	struct url url;
	char *secret; /* NULL: unsigned */
	char project[128], slug[128];
};

struct message {
	struct buf bytes;
	size_t id_at;
};

struct connection {
	int fd;
	SSL *ssl;
	bool reading, watches_output;
	struct buf out;
	size_t written;
	struct http_parser parser;
	uint64_t started_us;
};

static struct {
	struct target *targets;
	unsigned target_count;
	struct message *messages;
	unsigned message_count, next_message;
	struct connection *connections;
	struct sockaddr_storage address;
	socklen_t address_length;
	SSL_CTX *tls;
	int epoll;
	uint64_t begun, ended, accepted, lost, reconnects, latency_count;
	uint64_t statuses[STATUS_MAX];
	uint32_t *latencies;
	uint32_t run; /* random: the first part of every request id */
} load;

/* ---- targets and messages ---- */

static void read_targets(void)
{
	char line[8192];
	struct err err = ERR_INIT;
	while (fgets(line, sizeof(line), stdin)) {
		char url[4096];
		char secret[1024];
		struct target target = {0};
		if (sscanf(line, "%4095s %1023s %127[^/ ]/%127s", url, secret, target.project,
		        target.slug) != 4 ||
		    !url_parse(&target.url, url, &err))
			fatal("a target is: URL SECRET PROJECT/slug (%s)", err.message);
		if (load.target_count && !url_same_origin(&target.url, &load.targets[0].url))
			fatal("all targets must be at one server");
		target.secret = strcmp(secret, "-") == 0 ? NULL : mem_string(secret);
		load.targets = mem_grow(load.targets, load.target_count + 1, sizeof(target));
		load.targets[load.target_count++] = target;
	}
	if (!load.target_count)
		fatal("no target on standard input");
}

static void put_repository(struct buf *out, const struct target *target)
{
	buf_printf(out,
	    "\"repository\":{\"slug\":\"%s\",\"id\":84,\"name\":\"%s\",\"hierarchyId\":"
	    "\"e3c939f9ef4a7fae272e\",\"scmId\":\"git\",\"state\":\"AVAILABLE\","
	    "\"statusMessage\":\"Available\",\"forkable\":true,\"project\":{\"key\":\"%s\",\"id\":"
	    "84,\"name\":\"%s\",\"public\":false,\"type\":\"NORMAL\",\"links\":{\"self\":[{"
	    "\"href\":"
	    "\"https://bitbucket.example.com/projects/%s\"}]}},\"public\":false,\"archived\":false,"
	    "\"links\":{\"clone\":[{\"href\":\"https://bitbucket.example.com/scm/%s/%s.git\","
	    "\"name\":\"http\"}],\"self\":[{\"href\":"
	    "\"https://bitbucket.example.com/projects/%s/repos/%s/browse\"}]}}",
	    target->slug, target->slug, target->project, target->project, target->project,
	    target->project, target->slug, target->project, target->slug);
}

static void put_person(struct buf *out, const char *role)
{
	buf_printf(out,
	    "\"%s\":{\"name\":\"jane\",\"emailAddress\":\"jane@example.com\",\"active\":true,"
	    "\"displayName\":\"Jane Doe\",\"id\":101,\"slug\":\"jane\",\"type\":\"NORMAL\"}",
	    role);
}

/* The commit tells the bodies apart. */
static void make_body(struct buf *out, const struct target *target, unsigned number)
{
	char to[41];
	char from[41];
	snprintf(from, sizeof(from), "%08x%032x", load.run, number);
	snprintf(to, sizeof(to), "%08x%032x", load.run, number + 1);
	buf_printf(
	    out, "{\"eventKey\":\"%s\",\"date\":\"2026-01-31T13:45:30+0000\",", options.event);
	put_person(out, "actor");
	buf_putc(out, ',');
	put_repository(out, target);
	buf_printf(out,
	    ",\"changes\":[{\"ref\":{\"id\":\"refs/heads/main\",\"displayId\":\"main\",\"type\":"
	    "\"BRANCH\"},\"refId\":\"refs/heads/main\",\"fromHash\":\"%s\",\"toHash\":\"%s\","
	    "\"type\":\"UPDATE\"}],\"commits\":[],\"toCommit\":{\"id\":\"%s\",\"displayId\":\"%."
	    "11s\",",
	    from, to, to, to);
	put_person(out, "author");
	buf_puts(out, ",\"authorTimestamp\":1769867130000,");
	put_person(out, "committer");
	buf_puts(out, ",\"committerTimestamp\":1769867130000,\"message\":\"A change of the page ");
	while (out->length + 60 < (size_t)options.size)
		buf_putc(out, 'x');
	buf_printf(out, "\",\"parents\":[{\"id\":\"%s\"}]}}", from);
}

static void make_message(struct message *message, const struct target *target, unsigned number)
{
	struct buf body;
	struct buf *out = &message->bytes;
	char authority[URL_ORIGIN];
	buf_init(&body, 64UL << 20);
	make_body(&body, target, number);
	buf_init(out, 65UL << 20);
	url_authority(&target->url, authority, sizeof(authority));
	buf_printf(out, "POST %s%s%s HTTP/1.1\r\nHost: %s\r\n",
	    *target->url.path ? target->url.path : "/", *target->url.query ? "?" : "",
	    target->url.query, authority);
	buf_puts(out,
	    "Content-Type: application/json; charset=utf-8\r\n"
	    "User-Agent: Atlassian HttpClient 4.2.0 / Bitbucket-9.4.0 (9004000) / Default\r\n");
	buf_printf(out, "X-Event-Key: %s\r\n", options.event);
	if (target->secret) {
		unsigned char mac[CRYPTO_SHA256];
		char hex[2 * CRYPTO_SHA256 + 1];
		crypto_hmac_sha256(
		    mac, target->secret, strlen(target->secret), body.data, body.length);
		codec_hex_encode(hex, mac, sizeof(mac));
		buf_printf(out, "X-Hub-Signature: sha256=%s\r\n", hex);
	}
	buf_printf(out, "Content-Length: %zu\r\nX-Request-Id: ", body.length);
	message->id_at = out->length;
	buf_printf(out, "%08x-0000-4000-8000-000000000000\r\n\r\n", load.run);
	buf_append(out, body.data, body.length);
	buf_free(&body);
}

static void make_messages(void)
{
	unsigned rounds = ((unsigned)options.bodies + load.target_count - 1) / load.target_count;
	load.message_count = (rounds ? rounds : 1) * load.target_count;
	load.messages = mem_array(load.message_count, sizeof(*load.messages));
	for (unsigned i = 0; i < load.message_count; i++)
		make_message(&load.messages[i], &load.targets[i % load.target_count], i);
}

/* ---- connections ---- */

static void find_address(void)
{
	const struct url *url = &load.targets[0].url;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	char port[8];
	snprintf(port, sizeof(port), "%u", url->port);
	if (strcmp(url->host, "localhost") == 0)
		hints.ai_family = AF_INET; /* where the daemon and the simulators listen */
	if (getaddrinfo(url->host, port, &hints, &list) != 0)
		fatal("no address of %s", url->host);
	memcpy(&load.address, list->ai_addr, list->ai_addrlen);
	load.address_length = list->ai_addrlen;
	freeaddrinfo(list);
	if (!url->tls)
		return;
	load.tls = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_mode(
	    load.tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(load.tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_read_ahead(load.tls, 1);
	if (SSL_CTX_load_verify_locations(load.tls, options.ca, NULL) != 1)
		fatal("--ca: no certificates in %s", options.ca ? options.ca : "(not given)");
}

static void watch(struct connection *c, bool output, int operation)
{
	struct epoll_event event = {.events = EPOLLIN | (output ? EPOLLOUT : 0), .data.ptr = c};
	if (epoll_ctl(load.epoll, operation, c->fd, &event) != 0)
		fatal("epoll_ctl: %s", strerror(errno));
	c->watches_output = output;
}

static void set_name(SSL *ssl, const char *host)
{
	if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1)
		return;
	ERR_clear_error();
	SSL_set_tlsext_host_name(ssl, host);
	SSL_set1_host(ssl, host);
}

static void connection_open(struct connection *c)
{
	static const struct http_limits limits = {
	    .head = 65536, .target = 8192, .fields = HTTP_FIELDS_MAX, .body = 1 << 20};
	int on = 1;
	c->fd = socket(load.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (c->fd < 0 || (connect(c->fd, (struct sockaddr *)&load.address, load.address_length) &&
	                     errno != EINPROGRESS))
		fatal("cannot connect: %s", strerror(errno));
	if (load.tls) {
		c->ssl = SSL_new(load.tls);
		SSL_set_fd(c->ssl, c->fd);
		set_name(c->ssl, load.targets[0].url.host);
		SSL_set_connect_state(c->ssl);
	}
	http_parser_init(&c->parser, HTTP_RESPONSE, &limits);
	watch(c, true, EPOLL_CTL_ADD);
}

static void connection_close(struct connection *c)
{
	SSL_free(c->ssl);
	ERR_clear_error();
	c->ssl = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	http_parser_free(&c->parser);
}

/* False: there is none left. */
static bool request_begin(struct connection *c)
{
	const struct message *message = &load.messages[load.next_message];
	char count[16];
	if (load.begun == (uint64_t)options.count)
		return false;
	load.next_message = (load.next_message + 1) % load.message_count;
	buf_reset(&c->out);
	buf_append(&c->out, message->bytes.data, message->bytes.length);
	snprintf(count, sizeof(count), "%012llx", (unsigned long long)++load.begun);
	memcpy(c->out.data + message->id_at + ID_LENGTH - 12, count, 12);
	c->written = 0;
	c->reading = false;
	c->started_us = clock_monotonic_us();
	return true;
}

static void connection_again(struct connection *c)
{
	connection_close(c);
	if (load.ended + 1 > (uint64_t)options.count)
		return;
	load.reconnects++;
	if (request_begin(c))
		connection_open(c);
}

static void connection_lost(struct connection *c)
{
	load.lost++;
	load.ended++;
	connection_again(c);
}

enum { WAIT = -1, END = -2 };

static int tls_outcome(struct connection *c, int result)
{
	int error = SSL_get_error(c->ssl, result);
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return WAIT;
	unsigned long why = ERR_peek_error();
	if (ERR_GET_REASON(why) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		fatal("the server's certificate is not trusted by --ca");
	ERR_clear_error();
	return END;
}

static ssize_t put(struct connection *c, const char *data, size_t length)
{
	if (c->ssl) {
		int n = SSL_write(c->ssl, data, (int)length);
		return n > 0 ? n : tls_outcome(c, n);
	}
	ssize_t n = send(c->fd, data, length, MSG_NOSIGNAL);
	return n >= 0 ? n : errno == EAGAIN || errno == EINTR || errno == ENOTCONN ? WAIT : END;
}

static ssize_t get(struct connection *c, char *data, size_t size)
{
	if (c->ssl) {
		int n = SSL_read(c->ssl, data, (int)size);
		return n > 0 ? n : tls_outcome(c, n);
	}
	ssize_t n = read(c->fd, data, size);
	return n > 0 ? n : n < 0 && (errno == EAGAIN || errno == EINTR) ? WAIT : END;
}

/* False: the connection was lost (and is another one now). */
static bool write_on(struct connection *c)
{
	while (c->written < c->out.length) {
		ssize_t n = put(c, c->out.data + c->written, c->out.length - c->written);
		if (n == END) {
			connection_lost(c);
			return false;
		}
		if (n == WAIT)
			break;
		c->written += (size_t)n;
	}
	c->reading = c->written == c->out.length;
	if (c->watches_output == c->reading)
		watch(c, !c->reading, EPOLL_CTL_MOD);
	return true;
}

static void answered(struct connection *c)
{
	int status = c->parser.head.status;
	bool keep = c->parser.head.keep_alive && !c->parser.head.to_close;
	load.latencies[load.latency_count++] = (uint32_t)(clock_monotonic_us() - c->started_us);
	load.ended++;
	load.accepted += status >= 200 && status < 300;
	if (status < STATUS_MAX)
		load.statuses[status]++;
	if (!keep) {
		connection_again(c);
		return;
	}
	http_parser_next(&c->parser);
	if (request_begin(c))
		write_on(c);
	else
		connection_close(c);
}

/* True: the answer is complete. */
static bool parse(struct connection *c, const char *data, size_t length, bool *broken)
{
	size_t used = 0;
	for (;;) {
		size_t consumed = 0;
		enum http_event event =
		    http_parser_feed(&c->parser, data + used, length - used, &consumed);
		used += consumed;
		if (event == HTTP_DONE)
			return true;
		if (event == HTTP_ERROR) {
			fprintf(stderr, "post_events: %s\n", c->parser.error);
			*broken = true;
		}
		if (event == HTTP_MORE || event == HTTP_ERROR)
			return false;
	}
}

static void read_on(struct connection *c)
{
	char data[READ_SIZE];
	bool broken = false;
	ssize_t n = get(c, data, sizeof(data));
	if (n == WAIT)
		return;
	if (n == END) {
		if (c->reading && http_parser_end(&c->parser) == HTTP_DONE)
			answered(c);
		else
			connection_lost(c);
		return;
	}
	bool done = parse(c, data, (size_t)n, &broken);
	if (broken)
		connection_lost(c);
	else if (done)
		answered(c); /* also before all of the request was written: a refusal */
	else if (c->ssl && SSL_has_pending(c->ssl))
		read_on(c);
}

static void on_event(struct connection *c, uint32_t what)
{
	if (!c->reading && (what & (EPOLLOUT | EPOLLIN))) {
		if (!write_on(c))
			return;
		if (c->reading)
			return;
	}
	if (what & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_on(c);
}

/* ---- the program ---- */

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static unsigned quantile(double share)
{
	if (!load.latency_count)
		return 0;
	return load.latencies[(uint64_t)(share * (double)(load.latency_count - 1) + 0.5)];
}

static void print(double seconds)
{
	struct rusage usage;
	double sum = 0;
	getrusage(RUSAGE_SELF, &usage);
	double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	             (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
	for (uint64_t i = 0; i < load.latency_count; i++)
		sum += load.latencies[i];
	qsort(load.latencies, load.latency_count, sizeof(*load.latencies), compare);
	printf("{\"sent\":%llu,\"accepted\":%llu,\"lost\":%llu,\"statuses\":{",
	    (unsigned long long)load.begun, (unsigned long long)load.accepted,
	    (unsigned long long)load.lost);
	const char *comma = "";
	for (int i = 0; i < STATUS_MAX; i++) {
		if (!load.statuses[i])
			continue;
		printf("%s\"%d\":%llu", comma, i, (unsigned long long)load.statuses[i]);
		comma = ",";
	}
	printf("},\"reconnects\":%llu,\"seconds\":%.3f,\"per_second\":%.0f,\"cpu_us\":%.2f,"
	       "\"latency_us\":{\"mean\":%.0f,\"p50\":%u,\"p90\":%u,\"p99\":%u,\"p999\":%u,"
	       "\"max\":%u}}\n",
	    (unsigned long long)load.reconnects, seconds,
	    seconds > 0 ? (double)load.ended / seconds : 0,
	    load.ended ? cpu / (double)load.ended : 0,
	    load.latency_count ? sum / (double)load.latency_count : 0, quantile(0.5), quantile(0.9),
	    quantile(0.99), quantile(0.999), quantile(1));
}

static bool run(void)
{
	struct epoll_event events[256];
	uint64_t deadline = clock_monotonic_us() + (uint64_t)options.timeout * 1000000;
	for (long i = 0; i < options.connections; i++) {
		struct connection *c = &load.connections[i];
		buf_init(&c->out, 65UL << 20);
		c->fd = -1;
		if (request_begin(c))
			connection_open(c);
	}
	while (load.ended < (uint64_t)options.count) {
		uint64_t now = clock_monotonic_us();
		if (now >= deadline)
			return false;
		int count = epoll_wait(load.epoll, events, 256, (int)((deadline - now) / 1000) + 1);
		for (int i = 0; i < count; i++) {
			struct connection *c = events[i].data.ptr;
			if (c->fd >= 0)
				on_event(c, events[i].events);
		}
	}
	return true;
}

static void finish(void)
{
	for (long i = 0; i < options.connections; i++) {
		if (load.connections[i].fd >= 0)
			connection_close(&load.connections[i]);
		buf_free(&load.connections[i].out);
	}
	for (unsigned i = 0; i < load.message_count; i++)
		buf_free(&load.messages[i].bytes);
	for (unsigned i = 0; i < load.target_count; i++)
		free(load.targets[i].secret);
	free(load.connections);
	free(load.messages);
	free(load.targets);
	free(load.latencies);
	SSL_CTX_free(load.tls);
	close(load.epoll);
}

int main(int argc, char **argv)
{
	const struct sim_option *const tables[] = {option_table, NULL};
	struct err err = ERR_INIT;
	bool good = sim_options_parse(argc, argv, tables, &err);
	if (!good || options.connections < 1 || options.count < 1 || options.size < 1) {
		fprintf(stderr, "post_events: %s\n", good ? "a number is too small" : err.message);
		return 2;
	}
	if (options.help) {
		sim_options_help("post_events", tables);
		return 0;
	}
	signal(SIGPIPE, SIG_IGN);
	crypto_random(&load.run, sizeof(load.run));
	read_targets();
	make_messages();
	find_address();
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	load.connections = mem_array((size_t)options.connections, sizeof(*load.connections));
	load.latencies = mem_array((size_t)options.count, sizeof(*load.latencies));
	uint64_t started = clock_monotonic_us();
	bool in_time = run();
	print((double)(clock_monotonic_us() - started) / 1e6);
	bool all = load.accepted == (uint64_t)options.count;
	finish();
	return !in_time ? 3 : all ? 0 : 1;
}
