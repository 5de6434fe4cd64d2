/* A poller with a source that answers what a test says, when it says it; for test_poller.c. */
#ifndef UNIT_POLLER_TEST_H
#define UNIT_POLLER_TEST_H

#include "unit/flow/flow_test.h"

#include "flow/poller.h"
#include "unit/eyes/eyes_peer.h"

enum { ACKS = 2048, INTERVAL_MS = 15000 };
#define OURS "http://one.example.com"

static struct flow flow;
static struct peer peer;
static struct poller *poller;
static struct intake intake;
static struct placing *placing;
static struct locate *locate;
static struct places *places;
static uint32_t server, web;
static unsigned woken;
static unsigned works_again; /* so often it was told */
static int key_status;       /* what the key check answers */

/* ---- the source ---- */

static struct {
	eyes_poll_fn *fn; /* a poll is under way */
	void *arg;
	bool wait;
	unsigned polls, cancelled, created, hosts;
	uint64_t at_ms[64];
	eyes_fn *ack_fn;
	void *ack_arg;
	unsigned posts, acked; /* ids of all POSTs */
	char acks[ACKS][16];
	uint64_t commits_at_ack;
	const char *kind;
} source;

static struct eyes_source *create_commands(const struct eyes_source_config *config)
{
	(void)config;
	source.created++;
	source.kind = "commands";
	return (struct eyes_source *)&source;
}

static struct eyes_source *create_batches(const struct eyes_source_config *config)
{
	(void)config;
	source.created++;
	source.kind = "batches";
	return (struct eyes_source *)&source;
}

static void destroy(struct eyes_source *of)
{
	(void)of;
	source.fn = NULL;
	source.ack_fn = NULL;
}

static void poll(struct eyes_source *of, const char *const *hosts, unsigned count, bool wait,
    eyes_poll_fn *fn, void *arg)
{
	(void)of;
	(void)hosts;
	if (source.fn != NULL)
		abort(); /* as the real one does */
	source.fn = fn;
	source.arg = arg;
	source.wait = wait;
	source.hosts = count;
	source.at_ms[source.polls++ % 64] = clock_monotonic_ms();
}

static void cancel(struct eyes_source *of)
{
	(void)of;
	source.cancelled++;
	source.fn = NULL;
}

static void mark_handled(struct eyes_source *of, const struct eyes_item *item)
{
	(void)of;
	(void)item;
}

static struct eyes_call *acknowledge(
    struct eyes_source *of, const struct eyes_ack *acks, unsigned count, eyes_fn *fn, void *arg)
{
	(void)of;
	source.posts++;
	source.commits_at_ack = db_commits(flow.store.db);
	for (unsigned i = 0; i < count; i++) {
		assert_string_equal(acks[i].outcome, "accepted");
		snprintf(source.acks[source.acked++ % ACKS], 16, "%s", acks[i].id);
	}
	source.ack_fn = fn;
	source.ack_arg = arg;
	return NULL;
}

static const struct eyes_source_driver fake_commands = {.name = "commands",
    .acknowledges = true,
    .create = create_commands,
    .destroy = destroy,
    .poll = poll,
    .cancel = cancel,
    .handled = mark_handled,
    .acknowledge = acknowledge};
static const struct eyes_source_driver fake_batches = {.name = "batches",
    .create = create_batches,
    .destroy = destroy,
    .poll = poll,
    .handled = mark_handled};

/* ---- what the test says ---- */

static void answer(const struct eyes_poll *what)
{
	eyes_poll_fn *fn = source.fn;

	assert_non_null(fn);
	source.fn = NULL;
	fn(what, source.arg);
}

static void answer_nothing(void)
{
	answer(&(struct eyes_poll){0});
}

static void answer_fault(int status, bool missing)
{
	struct err err = {
	    .code = status == 401 ? "key_unknown" : "eyes_5xx", .message = "as the test wants it"};
	struct eyes_answer why = {
	    .err = &err, .status = status, .retry_after_ms = -1, .refused = status == 401};

	answer(&(struct eyes_poll){.err = &err, .answer = &why, .missing = missing});
}

static struct eyes_item command(const char *id, const char *url)
{
	return (struct eyes_item){
	    .id = id,
	    .server = url,
	    .project = "PRJ",
	    .repository = "web",
	    .hint = "",
	    .update = {.commit = COMMIT_A,
	        .key = id, /* targets of their own */
	        .name = "",
	        .description = "",
	        .url = "https://eyes.example.com/1",
	        .ref = "",
	        .state = UPDATE_SUCCESSFUL},
	};
}

static void answer_items(struct eyes_item *items, unsigned count, bool more)
{
	answer(&(struct eyes_poll){.items = items, .count = count, .more = more});
}

static void answer_one(const char *id)
{
	struct eyes_item item = command(id, OURS);

	answer_items(&item, 1, false);
}

static void ack_answer(int status)
{
	struct err err = {.code = "eyes_5xx", .message = "as the test wants it"};
	struct eyes_answer told = {
	    .status = status, .retry_after_ms = -1, .err = status == 204 ? NULL : &err};
	eyes_fn *fn = source.ack_fn;

	assert_non_null(fn);
	source.ack_fn = NULL;
	fn(&told, source.ack_arg);
}

static bool is_polling(struct flow *f, unsigned polls)
{
	(void)f;
	return source.polls >= polls && source.fn != NULL;
}

static bool is_acknowledging(struct flow *f, unsigned posts)
{
	(void)f;
	return source.posts >= posts && source.ack_fn != NULL;
}

static void polled(unsigned polls)
{
	flow_until(&flow, is_polling, polls, "poll");
	assert_int_equal(source.polls, polls);
}

static void acknowledging(unsigned posts)
{
	flow_until(&flow, is_acknowledging, posts, "acknowledgement");
}

/* The wait for the next poll. */
static int64_t wait_ms(void)
{
	struct poller_health health;

	poller_health(poller, &health);
	assert_int_equal(health.state, POLLER_WAITING);
	return health.next_ms - clock_wall_ms();
}

static bool account_refused(void)
{
	struct record_account account;

	assert_true(records_account(flow.records, &account));
	return account.refused;
}

/* ---- around each test ---- */

static void on_works(void *arg)
{
	(void)arg;
	works_again++;
}

static void on_wake(uint32_t repo, void *arg)
{
	(void)arg;
	assert_int_equal(repo, web);
	woken++;
}

static void on_key_check(
    struct peer *of, const struct peer_asked *asked, struct evhttp_request *request)
{
	(void)of;
	(void)asked;
	peer_reply(request, key_status,
	    key_status == 200
	        ? "{\"teamId\":\"t\",\"user\":\"u\",\"permissions\":[\"read\",\"write\","
	          "\"execute\",\"merge\"],\"createdBy\":\"c\",\"purpose\":\"p\"}"
	        : "{}");
}

static void open_poller(enum poller_choice choice)
{
	poller = poller_new(&(struct poller_options){.loop = flow.store.loop,
	    .db = flow.store.db,
	    .records = flow.records,
	    .eyes = peer.eyes,
	    .intake = &intake,
	    .placing = placing,
	    .bus = flow.bus,
	    .wake = on_wake,
	    .works = on_works,
	    .choice = choice,
	    .interval_ms = INTERVAL_MS,
	    .wait_ms = 25000,
	    .commands = &fake_commands,
	    .batches = &fake_batches});
}

static int set_up(void **state)
{
	struct secret key = {.data = (char *)"key", .length = 3};
	struct record_account account = {.origin = "http://eyes.example.com",
	    .team_id = "",
	    .user = "",
	    .purpose = "",
	    .permissions = ""};
	struct db_options options = {.size = STORE_SIZE};

	(void)state;
	memset(&source, 0, sizeof(source));
	flow = (struct flow){.ttl_ms = 3600 * 1000, .limit = 100};
	woken = works_again = 0;
	key_status = 200;
	log_set_level(LOG_LEVEL_ERROR);
	peer_start(&peer);
	peer.answer = on_key_check;
	store_folder(&flow.store);
	flow.store.loop = peer.loop;
	options.directory = flow.store.folder;
	flow.store.db = db_open(peer.loop, &options, &flow.store.err);
	assert_non_null(flow.store.db);
	flow_open_tables(&flow);
	flow_open_dispatcher(&flow);
	server = flow_server(&flow, OURS);
	web = flow_repo(&flow, server, "web", "token");
	assert_true(records_set_account(flow.records, &account, &key, &flow.store.err));
	places = places_open(flow.store.db, 1000, &flow.store.err);
	locate = locate_new(&(struct locate_options){.loop = peer.loop,
	    .records = flow.records,
	    .servers = flow.servers,
	    .scm = flow.scm,
	    .places = places});
	intake_init(&intake, flow.records, flow.queue, NULL);
	placing = placing_new(&(struct placing_options){.loop = peer.loop,
	    .db = flow.store.db,
	    .intake = &intake,
	    .locate = locate,
	    .wake = on_wake});
	open_poller(POLLER_AUTO);
	polled(1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	poller_free(poller);
	placing_free(placing);
	locate_free(locate);
	places_close(places);
	flow_close_dispatcher(&flow);
	flow_close_tables(&flow);
	db_close(flow.store.db);
	bus_free(flow.bus);
	peer_stop(&peer);
	store_remove(&flow.store);
	return 0;
}

#endif
