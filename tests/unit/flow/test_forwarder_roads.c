/* The forwarder when Eyes does not take something: whose fault it is, who waits, who goes on. */
#include "unit/flow/forwarder_test.h"

#include "flow/forwarder_internal.h"

static uint32_t bad_lanes; /* bit i: lanes[i] is answered bad_status */
static int bad_status;

static int some_are_bad(uint32_t lane, unsigned n)
{
	(void)n;
	for (unsigned i = 0; i < 8; i++)
		if (lanes[i] == lane && (bad_lanes & 1u << i) != 0)
			return bad_status;
	return 202;
}

static void answer_some(uint32_t bad, int status)
{
	bad_lanes = bad;
	bad_status = status;
	at_once = some_are_bad;
}

static bool is_held(struct flow *f, unsigned held)
{
	(void)f;
	return health().held == held;
}

static void one_connection(void)
{
	forwarder_free(forwarder);
	open_forwarder(1);
}

/* ---- one repository alone ---- */

/* Its first failure holds nobody up where others were taken a moment ago. */
static void test_a_blocked_lane_rests_alone(void **state)
{
	static const int statuses[] = {404, 401, 403};
	unsigned n = 1;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		answer_some(1u << i, statuses[i]);
		put(lanes[7], n++);
		waiting(i);
		put(lanes[i], 1);
		flow_until(&flow, is_failing, 1, "failing");
		assert_true(health().blocked); /* nobody knows yet that it is alone */
		uint64_t before = clock_monotonic_ms();
		for (unsigned more = 0; more < 5; more++)
			put(lanes[7], n++);
		waiting(i + 1);
		assert_true(clock_monotonic_ms() - before < 400);
		assert_false(health().failing);
		assert_int_equal(health().held, i + 1);
		lane_order(lanes[i], "1");
	}
	assert_string_equal(health().held_err->code, "key_forbidden");
}

/* Where nothing was taken yet, another lane is asked soon, and not the same one again. */
static void test_the_probe_is_another_lane(void **state)
{
	static const int statuses[] = {404, 503};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		unsigned at = sent_count;
		forwarder_free(forwarder);
		open_forwarder(4);
		answer_some(1u << i, statuses[i]);
		put(lanes[i], 1);
		flow_until(&flow, is_failing, 1, "failing");
		put(lanes[7], i + 1);
		assert_in_range(pause_ms(), 300, 1000);
		flow_until(&flow, is_failing, 0, "working again");
		was_sent(at, lanes[i], 1);
		was_sent(at + 1, lanes[7], i + 1);
		put(lanes[6], i + 1);
		flow_until(&flow, is_held, 1, "held lane"); /* it fails again, alone */
		assert_false(health().failing);
		answer_some(0, 0);
		forwarder_kick(forwarder);
		waiting(0);
	}
}

/* ---- all of it ---- */

/* Two lanes in turn, one at a time, ever more rarely. */
static void test_two_lanes_alternate(void **state)
{
	static const unsigned least_ms[] = {450, 900};

	(void)state;
	one_connection();
	answer_some(3, 503);
	put(lanes[0], 1);
	put(lanes[1], 1);
	arrived(3);
	for (unsigned i = 0; i < 3; i++)
		was_sent(i, lanes[i % 2], 1);
	for (unsigned i = 0; i < 2; i++)
		assert_true(sent[i + 1].at_ms - sent[i].at_ms >= least_ms[i]);
}

/* Though it worked a moment ago: one request with 5xx, and one more of another lane where it could
 * be meant for one repository. Then the back-off. */
static void test_all_fail_at_once(void **state)
{
	static const int statuses[] = {503, 429, 404, 401};

	(void)state;
	one_connection();
	for (unsigned i = 0; i < 4; i++) {
		answer_some(0, 0);
		forwarder_kick(forwarder);
		put(lanes[7], i + 1);
		waiting(0);
		unsigned before = sent_count;
		answer_some(0xff, statuses[i]);
		for (unsigned lane = 0; lane < 6; lane++)
			put(lanes[lane], i + 1);
		flow_for(&flow, 400);
		assert_int_equal(sent_count - before, statuses[i] > 404 ? 1 : 2);
		assert_true(health().failing);
		assert_int_equal(health().held, 0);
	}
}

/* The answer of an outage that is over comes late: its lane takes its turn among busy ones. */
static void test_a_late_failure(void **state)
{
	unsigned again = 0;

	(void)state;
	forwarder_free(forwarder);
	open_forwarder(3);
	for (unsigned i = 0; i < 3; i++)
		put(lanes[i], 1);
	arrived(3);
	answer(0, 503);
	flow_until(&flow, is_failing, 1, "failing");
	answer(1, 202);
	flow_until(&flow, is_failing, 0, "working");
	arrived(4); /* lane 0 again */
	for (unsigned n = 2; n <= 11; n++)
		for (unsigned i = 3; i < 8; i++)
			put_quietly(lanes[i], n);
	forwarder_start(forwarder);
	at_once = take_all;
	answer(2, 503);
	answer(3, 202);
	waiting(0);
	/* Three connections: whichever lane's event came last. */
	for (unsigned i = 3; i < sent_count; i++)
		if (sent[i].lane == sent[2].lane)
			again = i;
	assert_in_range(again, 4, 20); /* of 55 */
}

static void test_retry_after_holds_all(void **state)
{
	static const int statuses[] = {503, 404};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		at_once = take_all;
		put(lanes[7], i + 1);
		waiting(0);
		at_once = NULL;
		put(lanes[0], i + 1);
		unsigned count = sent_count;
		flow_until(&flow, has_sent, count + 1, "event");
		answer_with(count, statuses[i], "Retry-After", "30");
		flow_until(&flow, is_failing, 1, "failing");
		put(lanes[1], i + 1);
		flow_for(&flow, QUIET_MS);
		forwarder_hurry(forwarder); /* that Eyes answers elsewhere changes nothing */
		flow_for(&flow, QUIET_MS);
		assert_int_equal(sent_count, count + 1);
		assert_in_range(pause_ms(), 25000, 30000);
		at_once = take_all;
		forwarder_kick(forwarder);
		waiting(0);
	}
}

/* Eyes answers the poller again: no need to wait for the end of the back-off. */
static void test_hurry(void **state)
{
	(void)state;
	answer_some(1, 404);
	put(lanes[0], 1);
	flow_until(&flow, is_failing, 1, "failing");
	assert_true(pause_ms() > 25000);
	answer_some(0, 0);
	forwarder_hurry(forwarder);
	waiting(0);
	assert_false(health().failing);
}

/* ---- each address for itself ---- */

static void test_each_server_has_its_road(void **state)
{
	uint32_t other = flow_server(&flow, "https://other.example.com");
	uint32_t lane = flow_repo(&flow, other, "app", "token");

	(void)state;
	answer_some(0xff, 503);
	for (unsigned i = 0; i < 4; i++)
		put(lanes[i], 1);
	flow_until(&flow, is_failing, 1, "failing");
	uint64_t before = clock_monotonic_ms();
	for (unsigned n = 1; n <= 5; n++)
		put(lane, n);
	waiting(4);
	assert_true(clock_monotonic_ms() - before < 400);
	lane_order(lane, "1 2 3 4 5");
	assert_true(health().failing);
}

static void put_github(unsigned n, const char *host)
{
	char headers[512];

	snprintf(
	    headers, sizeof(headers), "X-GitHub-Event: push\nX-GitHub-Enterprise-Host: %s\n", host);
	put_with(EVENTS_GITHUB, n, headers);
	store_commit(&flow.store);
}

static uint64_t first_of(uint32_t lane)
{
	struct event_entry entry;

	assert_true(events_first(events, lane, &entry));
	return entry.number;
}

static void went_to(unsigned index, const char *host)
{
	char uri[512];

	snprintf(uri, sizeof(uri), "/github?orgId=org%%201&serverId=%s", host);
	assert_string_equal(peer.asked[index].uri, uri);
}

static void test_what_is_no_host(void **state)
{
	char lengthy[300];
	const char *const no_hosts[] = {"..", ".", "", "a..b", ".a", "a.", "a/b", "a@b", "a b",
	    "a:", "a:0", "a:65536", "a:x", "[::1]", "ä", "%2e%2e", "a?b", "a:1:2", ":80", lengthy};
	const char *const hosts[][2] = {{"ghe.example.com", "ghe.example.com"}, {"GHE-1", "GHE-1"},
	    {"10.1.2.3:8443", "10.1.2.3%3A8443"}};
	unsigned n = 0;

	(void)state;
	memset(lengthy, 'a', 254);
	lengthy[254] = '\0';
	at_once = take_all;
	for (unsigned i = 0; i < sizeof(no_hosts) / sizeof(no_hosts[0]); i++) {
		put_github(n, no_hosts[i]);
		forwarder_wake(forwarder, EVENTS_GITHUB);
		waiting(0);
		if (strcmp(no_hosts[i], "a b") != 0) /* the word before the blank is one */
			went_to(n % PEER_ASKED, "github.com");
		n++;
	}
	for (unsigned i = 0; i < 3; i++, n++) {
		put_github(n, hosts[i][0]);
		forwarder_wake(forwarder, EVENTS_GITHUB);
		waiting(0);
		went_to(n % PEER_ASKED, hosts[i][1]);
	}
	assert_int_equal(counts().dead, 0);
}

/* What one event says makes no address: it ends, and blocks nobody. */
static void test_an_event_without_address(void **state)
{
	static char template[2200];
	char host[300], query[2000];

	(void)state;
	memset(query, 'q', sizeof(query));
	snprintf(template, sizeof(template),
	    "{EYES_SERVER_URL}/github?a=%.*s&serverId={serverHost}", 1990, query);
	memset(host, 'h', 250);
	host[250] = '\0';
	forwarder_free(forwarder);
	forwarder = forwarder_new(&(struct forwarder_options){.loop = peer.loop,
	    .db = flow.store.db,
	    .events = events,
	    .records = flow.records,
	    .eyes = peer.eyes,
	    .bus = flow.bus,
	    .url_template = "{EYES_SERVER_URL}/bitbucket",
	    .github_template = template,
	    .organization = "org 1",
	    .instance = "0a0b0c0d",
	    .connections = 4});
	at_once = take_all;
	put_github(1, host);
	put_github(2, "ghe.example.com");
	forwarder_wake(forwarder, EVENTS_GITHUB);
	waiting(0);
	lane_order(EVENTS_GITHUB, "2");
	assert_int_equal(counts().dead, 1);
	assert_false(health().failing);
}

/* The event that held the lane up is dropped: what comes behind it goes at once, elsewhere or not.
 */
static void test_dropped_first(void **state)
{
	static const char *const hosts[] = {"two.example.com", "one.example.com"};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		unsigned at = sent_count;
		at_once = NULL;
		put_github(2 * i, "one.example.com");
		uint64_t number = first_of(EVENTS_GITHUB);
		put_github(2 * i + 1, hosts[i]);
		forwarder_wake(forwarder, EVENTS_GITHUB);
		flow_until(&flow, has_sent, at + 1, "event");
		answer(at, 404);
		flow_until(&flow, is_failing, 1, "failing");
		assert_true(events_drop(events, number, 0, &flow.store.err));
		at_once = take_all;
		forwarder_kick(forwarder);
		waiting(0);
		was_sent(at + 1, EVENTS_GITHUB, 2 * i + 1);
		assert_false(health().failing); /* of the other address: nobody waits for it */
	}
}

/* Who signs events may name many hosts. */
static void test_roads_are_bounded(void **state)
{
	char host[64];

	(void)state;
	at_once = take_all;
	for (unsigned n = 0; n < 100; n++) {
		snprintf(host, sizeof(host), "h%u.example.com", n);
		put_github(n, host);
		put_quietly(lanes[n % 8], n);
	}
	forwarder_start(forwarder);
	waiting(0);
	assert_in_range(forwarder->road_count, 2, 33);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name_) cmocka_unit_test_setup_teardown(name_, set_up, tear_down)
	    TEST(test_a_blocked_lane_rests_alone),
	    TEST(test_the_probe_is_another_lane),
	    TEST(test_two_lanes_alternate),
	    TEST(test_all_fail_at_once),
	    TEST(test_a_late_failure),
	    TEST(test_retry_after_holds_all),
	    TEST(test_hurry),
	    TEST(test_each_server_has_its_road),
	    TEST(test_what_is_no_host),
	    TEST(test_an_event_without_address),
	    TEST(test_dropped_first),
	    TEST(test_roads_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
