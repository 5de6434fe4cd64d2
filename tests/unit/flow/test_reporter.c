/* Final outcomes on their way to Eyes: kept until they are taken, and one bad one stops no other.
 */
#include "unit/flow/flow_test.h"

#include "flow/reporter.h"
#include "unit/eyes/eyes_peer.h"

static struct flow flow;
static struct peer peer; /* its loop, and a key */
static struct poller *poller;
static struct reporter *reporter;
static struct intake intake;
static struct placing *placing;

static struct {
	eyes_fn *fn;
	void *arg;
	unsigned posts, count;
	char ids[64][16], outcomes[64][16];
} post;

static struct eyes_source *create(const struct eyes_source_config *config)
{
	(void)config;
	return (struct eyes_source *)&post;
}

static void destroy(struct eyes_source *source)
{
	(void)source;
	post.fn = NULL;
}

static void poll(struct eyes_source *source, const char *const *hosts, unsigned count, bool wait,
    eyes_poll_fn *fn, void *arg)
{
	(void)source;
	(void)hosts;
	(void)count;
	(void)wait;
	(void)fn;
	(void)arg;
}

static struct eyes_call *acknowledge(
    struct eyes_source *source, const struct eyes_ack *acks, unsigned count, eyes_fn *fn, void *arg)
{
	(void)source;
	if (post.fn != NULL)
		abort(); /* one at a time */
	post.posts++;
	post.count = count;
	for (unsigned i = 0; i < count && i < 64; i++) {
		snprintf(post.ids[i], sizeof(post.ids[i]), "%s", acks[i].id);
		snprintf(post.outcomes[i], sizeof(post.outcomes[i]), "%s", acks[i].outcome);
	}
	post.fn = fn;
	post.arg = arg;
	return (struct eyes_call *)&post;
}

static const struct eyes_source_driver commands = {.name = "commands",
    .acknowledges = true,
    .create = create,
    .destroy = destroy,
    .poll = poll,
    .acknowledge = acknowledge};
static const struct eyes_source_driver batches = {
    .name = "batches", .create = create, .destroy = destroy, .poll = poll};

static void open_with(enum poller_choice choice)
{
	placing =
	    placing_new(&(struct placing_options){.loop = flow.store.loop, .db = flow.store.db});
	poller = poller_new(&(struct poller_options){.loop = flow.store.loop,
	    .db = flow.store.db,
	    .records = flow.records,
	    .eyes = peer.eyes,
	    .intake = &intake,
	    .placing = placing,
	    .bus = flow.bus,
	    .choice = choice,
	    .interval_ms = 1000,
	    .commands = &commands,
	    .batches = &batches});
	reporter = reporter_new(flow.store.loop, flow.outbox, poller);
}

static int set_up(void **state)
{
	struct db_options options = {.size = STORE_SIZE};

	(void)state;
	memset(&post, 0, sizeof(post));
	flow = (struct flow){.ttl_ms = 3600 * 1000, .limit = 100};
	log_set_level(LOG_LEVEL_ERROR);
	peer_start(&peer);
	store_folder(&flow.store);
	flow.store.loop = peer.loop;
	options.directory = flow.store.folder;
	flow.store.db = db_open(peer.loop, &options, &flow.store.err);
	assert_non_null(flow.store.db);
	flow_open_tables(&flow);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (post.fn != NULL) /* a call of ours is none that can be cancelled */
		post.fn(&(struct eyes_answer){.status = 204, .retry_after_ms = -1}, post.arg);
	reporter_free(reporter);
	poller_free(poller);
	placing_free(placing);
	flow_close_tables(&flow);
	db_close(flow.store.db);
	bus_free(flow.bus);
	peer_stop(&peer);
	store_remove(&flow.store);
	return 0;
}

static void add(const char *id, enum update_outcome outcome)
{
	outbox_add(flow.outbox, id, outcome, "");
	store_commit(&flow.store);
}

static bool is_posting(struct flow *f, unsigned posts)
{
	(void)f;
	return post.posts >= posts && post.fn != NULL;
}

static void posting(unsigned posts, unsigned count)
{
	flow_until(&flow, is_posting, posts, "post");
	assert_int_equal(post.posts, posts);
	assert_int_equal(post.count, count);
}

static void answer(int status)
{
	struct err err = {.code = "eyes_5xx", .message = "as the test wants it"};
	eyes_fn *fn = post.fn;

	assert_non_null(fn);
	post.fn = NULL;
	fn(
	    &(struct eyes_answer){
	        .status = status, .retry_after_ms = -1, .err = status == 204 ? NULL : &err},
	    post.arg);
}

static void test_told_once(void **state)
{
	(void)state;
	open_with(POLLER_COMMANDS);
	assert_true(reporter_idle(reporter));
	add("1", UPDATE_DELIVERED);
	add("2", UPDATE_DROPPED);
	posting(1, 2);
	assert_string_equal(post.ids[0], "1");
	assert_string_equal(post.outcomes[0], "delivered");
	assert_string_equal(post.outcomes[1], "rejected");
	assert_false(reporter_idle(reporter));
	answer(204);
	flow_for(&flow, 20);
	assert_int_equal(post.posts, 1);
	assert_int_equal(outbox_rows(flow.outbox), 0);
	assert_true(reporter_idle(reporter));
}

static void test_kept_while_eyes_fails(void **state)
{
	(void)state;
	open_with(POLLER_COMMANDS);
	add("1", UPDATE_DELIVERED);
	posting(1, 1);
	answer(503);
	flow_for(&flow, 50);
	assert_int_equal(post.posts, 1);      /* not at once */
	assert_true(reporter_idle(reporter)); /* a stop need not wait for it */
	add("2", UPDATE_EXPIRED);
	reporter_kick(reporter);
	posting(2, 2);
	answer(204);
	flow_for(&flow, 20);
	assert_int_equal(outbox_rows(flow.outbox), 0);
}

/* "bad" is refused for good, wherever it stands; everybody else is told. */
static void test_one_bad_outcome_stops_no_other(void **state)
{
	static const char *const ids[] = {"1", "2", "bad", "3", "4"};
	unsigned told = 0;
	uint64_t until_ms;

	(void)state;
	open_with(POLLER_COMMANDS);
	outbox_add(flow.outbox, ids[0], UPDATE_DELIVERED, "");
	add(ids[1], UPDATE_DELIVERED);
	outbox_add(flow.outbox, ids[2], UPDATE_DELIVERED, "");
	add(ids[3], UPDATE_DELIVERED); /* in one row */
	add(ids[4], UPDATE_DELIVERED);
	until_ms = clock_monotonic_ms() + FLOW_WAIT_MS;
	while (outbox_rows(flow.outbox) > 0) {
		bool bad = false;

		assert_true(clock_monotonic_ms() < until_ms);
		store_turn(&flow.store, 1);
		if (post.fn == NULL)
			continue;
		for (unsigned i = 0; i < post.count; i++)
			bad |= strcmp(post.ids[i], "bad") == 0;
		if (!bad)
			told += post.count;
		answer(bad ? 400 : 204);
	}
	assert_int_equal(told, 4);
}

/* Outcomes of commands stay when the source is another one now, and a stop does not wait for them.
 */
static void test_nobody_to_tell(void **state)
{
	(void)state;
	open_with(POLLER_BATCHES);
	add("1", UPDATE_DELIVERED);
	flow_for(&flow, 30);
	assert_int_equal(post.posts, 0);
	assert_int_equal(outbox_rows(flow.outbox), 1);
	assert_true(reporter_idle(reporter));
}

/* The outcomes' deletion is lost with its group: they are told again. */
static void test_lost_deletion(void **state)
{
	(void)state;
	open_with(POLLER_COMMANDS);
	add("1", UPDATE_DELIVERED);
	posting(1, 1);
	flow.lose_commit = true;
	answer(204);
	posting(2, 1);
	answer(204);
	flow_for(&flow, 20);
	assert_int_equal(post.posts, 2);
	assert_int_equal(outbox_rows(flow.outbox), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_told_once),
	    TEST(test_kept_while_eyes_fails),
	    TEST(test_one_bad_outcome_stops_no_other),
	    TEST(test_nobody_to_tell),
	    TEST(test_lost_deletion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
