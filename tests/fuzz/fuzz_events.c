/*
 * Whatever comes to the relay's listener: nothing is stored but what is signed, what is stored is
 * what came, every connection ends, and the daemon's rooms (gate, events, inbox, store) survive.
 *
 * Input: one byte, then what a client sends. With bit 0 of the byte, a signature with the right
 * secret is put at the end of the head, over all that follows it.
 */
#define _GNU_SOURCE /* memmem, nftw */
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/inbox.h"
#include "web/events.h"
#include "web/web_internal.h"
#include <errno.h>
#include <event2/http.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// max_len 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define GITHUB_SECRET "github-fuzz-secret"
enum { END_MS = 5000, WAITING = 200 };

static struct {
	char folder[64];
	struct loop *loop;
	struct db *db;
	struct vault *vault;
	struct records *records;
	struct hooks *hooks;
	struct events *events;
	struct places *places;
	struct inbox *inbox;
	struct web web;
	struct evhttp *http;
	struct secret secret, github;
	struct sockaddr_un address;
	socklen_t address_length;
	uint32_t repo;
} world;

static void must_at(bool holds, int line)
{
	if (!holds) {
		fprintf(stderr, "fuzz_events.c:%d does not hold\n", line);
		abort();
	}
}

#define must(holds) must_at(holds, __LINE__)

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
	(void)st;
	(void)kind;
	(void)walk;
	return remove(path);
}

static void remove_all(void)
{
	nftw(world.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void make_repository(struct err *err)
{
	struct record_server server = {.kind = "bitbucket-server",
	    .url = "https://bitbucket.example.com",
	    .aliases = "",
	    .ca_pem = "",
	    .product = "",
	    .version = ""};
	struct record_repo repo = {.project = "PRJ",
	    .slug = "web",
	    .name = "",
	    .state = REPO_ENABLED,
	    .owner = "",
	    .error = "",
	    .error_code = "",
	    .webhook = ""};
	struct record_hook hook = {.state = HOOK_OK,
	    .relay = true,
	    .id = "",
	    .url = "",
	    .events = "",
	    .code = "",
	    .error = "",
	    .hint = ""};

	secret_set(&world.secret, "t", 1);
	must(records_put_server(world.records, &server, err));
	repo.server = server.id;
	must(records_put_repo(world.records, &repo, &world.secret, err));
	world.repo = hook.repo = repo.id;
	must(repo.id == 1); /* the corpus says so */
	must(hooks_put(world.hooks, &hook, err) && hooks_make_secret(world.hooks, repo.id, err));
	must(hooks_secret(world.hooks, repo.id, clock_wall_ms(), &world.secret, NULL, err));
	must(db_commit_now(world.db, err));
}

static void listen_here(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	world.address.sun_family = AF_UNIX; /* an abstract name */
	world.address_length =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	                (size_t)snprintf(world.address.sun_path + 1,
	                    sizeof(world.address.sun_path) - 1, "fuzz-events-%d", (int)getpid()));
	must(bind(fd, (struct sockaddr *)&world.address, world.address_length) == 0);
	must(listen(fd, 16) == 0);
	must(evhttp_accept_socket_with_handle(world.http, fd) != NULL);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct db_options db = {.size = UINT64_C(32) << 20};
	struct events_options events = {
	    .ttl_ms = 3600 * 1000, .limit = 1000, .limit_bytes = 8 << 20, .remember = 1000};
	struct err err = ERR_INIT;

	(void)argc;
	(void)argv;
	log_set_level(LOG_LEVEL_ERROR);
	snprintf(world.folder, sizeof(world.folder), "%s/fuzz-events-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	must(mkdtemp(world.folder) != NULL);
	atexit(remove_all);
	db.directory = world.folder;
	must((world.loop = loop_new(&err)) != NULL);
	must((world.db = db_open(world.loop, &db, &err)) != NULL);
	must((world.vault = vault_open(world.db, NULL, NULL, &err)) != NULL);
	must((world.records = records_open(world.db, world.vault, &err)) != NULL);
	must((world.hooks = hooks_open(world.db, world.vault, &err)) != NULL);
	must((world.events = events_open(world.db, &events, &err)) != NULL);
	must((world.places = places_open(world.db, 1000, &err)) != NULL);
	make_repository(&err);
	secret_set(&world.github, GITHUB_SECRET, strlen(GITHUB_SECRET));
	world.inbox = inbox_new(&(struct inbox_options){.loop = world.loop,
	    .db = world.db,
	    .events = world.events,
	    .hooks = world.hooks,
	    .records = world.records,
	    .places = world.places,
	    .github_secret = &world.github});
	world.web.inbox = world.inbox;
	world.web.event_max = 4096;
	world.web.events_pot = web_events_pot(4096, 16);
	buf_init(&world.web.event_headers, 64 * 1024);
	world.web.events_gate = gate_new(world.loop, &(struct gate_options){.body_max = 1024,
	                                                 .limit = web_events_limit,
	                                                 .over = web_events_over,
	                                                 .take = web_events_take_all,
	                                                 .refused = web_events_refused,
	                                                 .arg = &world.web});
	world.http = evhttp_new(loop_base(world.loop));
	gate_attach(world.web.events_gate, world.http, NULL);
	listen_here();
	return 0;
}

/* ---- one input ---- */

static void stop(void *arg)
{
	loop_stop(arg);
}

static void turn(void)
{
	struct loop_timer timer;

	loop_timer_init(&timer, world.loop, stop, world.loop);
	loop_timer_set(&timer, 0);
	loop_run(world.loop);
	loop_timer_cancel(&timer);
}

static void put_signature(
    struct buf *out, const char *name, const struct secret *secret, const char *body, size_t length)
{
	unsigned char mac[CRYPTO_SHA256];
	char hex[2 * CRYPTO_SHA256 + 1];

	crypto_hmac_sha256(mac, secret->data, secret->length, body, length);
	codec_hex_encode(hex, mac, sizeof(mac));
	buf_printf(out, "%s: sha256=%s\r\n", name, hex);
}

static void make_input(struct buf *out, const char *data, size_t size, bool with_signature)
{
	const char *end = memmem(data, size, "\r\n\r\n", 4);

	if (!with_signature || end == NULL) {
		buf_append(out, data, size);
		return;
	}
	const char *body = end + 4;
	size_t length = size - (size_t)(body - data);
	buf_append(out, data, (size_t)(end - data) + 2);
	put_signature(out, "X-Hub-Signature", &world.secret, body, length);
	put_signature(out, "X-Hub-Signature-256", &world.github, body, length);
	buf_append(out, end + 2, size - (size_t)(end + 2 - data));
}

/* What is stored fits, and its headers can be sent on. */
static void check_first(uint32_t lane)
{
	struct event_entry entry;

	if (!events_first(world.events, lane, &entry))
		return;
	must(entry.key[0] != '\0' && strlen(entry.headers) <= EVENTS_HEADERS_MAX);
	must(strchr(entry.headers, '\r') == NULL && entry.body_length <= 4096);
	must(events_done(world.events, lane, entry.number, false, "", "", NULL));
}

static uint64_t waiting(void)
{
	struct events_counts counts;

	events_count(world.events, &counts);
	return counts.waiting;
}

static void drain(int fd)
{
	char bytes[4096];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool with_signature = size > 0 && (data[0] & 1);
	uint64_t before = waiting();
	struct buf input;
	uint64_t until = clock_monotonic_ms() + END_MS;
	int fd;

	if (size == 0)
		return 0;
	buf_init(&input, 64 * 1024);
	make_input(&input, (const char *)data + 1, size - 1, with_signature);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(connect(fd, (struct sockaddr *)&world.address, world.address_length) == 0);
	if (input.length > 0)
		must(send(fd, input.data, input.length, MSG_NOSIGNAL) == (ssize_t)input.length);
	shutdown(fd, SHUT_WR);
	turn();
	while (gate_connections(world.web.events_gate) > 0) {
		must(clock_monotonic_ms() < until); /* a lazy group may have to end first */
		drain(fd);
		turn();
	}
	close(fd);
	must(with_signature || waiting() == before);
	while (waiting() > WAITING) {
		uint64_t now = waiting();

		check_first(world.repo);
		check_first(EVENTS_GITHUB);
		must(waiting() < now);
	}
	buf_free(&input);
	return 0;
}
