/* Events one at a time: order, ends, notes, retry and drop, what is known. */
#include "unit/store/events_test.h"

static void test_an_event_is_given_back_as_it_came(void **state)
{
	static const char body[] = "{\"a\": 1}\0\xff\r\n behind";
	struct event_entry entry = {.lane = 7,
	    .key = "pr:opened",
	    .request_id = "r-1",
	    .headers = "X-Event-Key: pr:opened\nUser-Agent: x\n",
	    .content_type = "application/json; charset=utf-8",
	    .body = body,
	    .body_length = sizeof(body),
	    .received_ms = 1234567};
	unsigned char hash[CRYPTO_SHA256] = {1};
	struct event_entry out;
	struct tray tray;

	(void)state;
	tray_begin(&tray);
	assert_false(events_first(tray.events, 7, &out));
	assert_int_equal(events_put(tray.events, &entry, hash, &tray.store.err), EVENTS_PUT_NEW);
	for (int round = 0; round < 2; round++) {
		assert_true(events_first(tray.events, 7, &out));
		assert_int_equal(out.number, entry.number);
		assert_int_equal(out.lane, 7);
		assert_string_equal(out.key, "pr:opened");
		assert_string_equal(out.request_id, "r-1");
		assert_string_equal(out.headers, entry.headers);
		assert_string_equal(out.content_type, entry.content_type);
		assert_int_equal(out.body_length, sizeof(body));
		assert_memory_equal(out.body, body, sizeof(body));
		assert_int_equal(out.received_ms, 1234567);
		assert_int_equal(out.attempts, 0);
		assert_string_equal(out.code, "");
		assert_string_equal(out.error, "");
		tray_again(&tray);
	}
	entry.body_length = 0; /* an empty one too */
	entry.request_id = "r-2";
	assert_int_equal(events_put(tray.events, &entry, hash, &tray.store.err), EVENTS_PUT_NEW);
	assert_true(tray_done(&tray, 7, out.number));
	assert_true(events_first(tray.events, 7, &out));
	assert_int_equal(out.body_length, 0);
	tray_end(&tray);
}

static void test_a_lane_is_strictly_in_order(void **state)
{
	uint64_t numbers[3][40];
	struct tray tray;

	(void)state;
	tray_begin(&tray);
	for (unsigned i = 0; i < 40; i++)
		for (uint32_t lane = 0; lane < 3; lane++)
			numbers[lane][i] = tray_put(&tray, (struct told){.lane = lane});
	store_commit(&tray.store);
	for (uint32_t lane = 0; lane < 3; lane++)
		assert_int_equal(events_count_lane(tray.events, lane, 1000), 40);
	assert_int_equal(events_count_lane(tray.events, 1, 7), 7);
	assert_int_equal(events_count_lane(tray.events, 9, 7), 0);
	for (unsigned i = 0; i < 40; i++) {
		assert_true(i == 0 || numbers[1][i] > numbers[1][i - 1]);
		for (uint32_t lane = 0; lane < 3; lane++) {
			assert_int_equal(tray_first(&tray, lane), numbers[lane][i]);
			/* A failure changes nothing in the order. */
			assert_true(events_failed(
			    tray.events, lane, numbers[lane][i], "busy", "Eyes said 503", NULL));
			assert_int_equal(tray_first(&tray, lane), numbers[lane][i]);
			if (i % 3 == 0)
				assert_true(tray_die(&tray, lane, numbers[lane][i]));
			else
				assert_true(tray_done(&tray, lane, numbers[lane][i]));
		}
		if (i == 20)
			tray_again(&tray);
	}
	for (uint32_t lane = 0; lane < 3; lane++)
		assert_int_equal(tray_first(&tray, lane), 0);
	tray_holds(&tray, 0, 3 * 14);
	assert_int_equal(tray_bytes(&tray), 0);
	assert_int_equal(db_count(tray.store.db, DB_EVENT), 0); /* no note is left */
	assert_false(tray_done(&tray, 1, numbers[1][38]));      /* that one is gone */
	assert_true(err_is(&tray.store.err, "not_found"));
	tray_end(&tray);
}

static void test_numbers_are_given_once(void **state)
{
	struct tray tray;

	(void)state;
	tray_begin(&tray);
	uint64_t one = tray_put(&tray, (struct told){.lane = 1});
	uint64_t two = tray_put(&tray, (struct told){.lane = 2});
	assert_true(two > one);
	assert_true(tray_done(&tray, 1, one));
	assert_true(tray_done(&tray, 2, two));
	tray_again(&tray);
	assert_true(tray_put(&tray, (struct told){.lane = 1}) > two);
	tray_end(&tray);
}

static void test_nothing_is_sent_before_it_is_on_disk(void **state)
{
	struct tray tray;

	(void)state;
	tray_begin(&tray);
	uint64_t one = tray_put(&tray, (struct told){.lane = 1});
	assert_false(events_is_committed(tray.events, one));
	store_commit(&tray.store);
	assert_true(events_is_committed(tray.events, one));
	uint64_t two = tray_put(&tray, (struct told){.lane = 1});
	assert_true(events_is_committed(tray.events, one));
	assert_false(events_is_committed(tray.events, two));
	store_commit(&tray.store);
	assert_true(events_is_committed(tray.events, two));
	/* One that waits again has to be on disk again. */
	assert_true(tray_die(&tray, 1, one));
	store_commit(&tray.store);
	uint32_t lane;
	assert_true(events_retry(tray.events, one, &lane, NULL));
	assert_true(events_is_committed(tray.events, two));
	assert_true(tray_done(&tray, 1, two));
	assert_false(events_is_committed(tray.events, tray_first(&tray, 1)));
	tray_end(&tray);
}

static void test_lanes_are_visited_once(void **state)
{
	static const uint32_t lanes[] = {0, 3, 77, UINT32_MAX};
	struct tray tray;

	(void)state;
	tray_begin(&tray);
	events_each_lane(tray.events, tray_told, &tray);
	assert_int_equal(tray.count, 0);
	for (unsigned i = 0; i < 12; i++)
		tray_put(&tray, (struct told){.lane = lanes[i % 4]});
	for (unsigned i = 1; i < 4; i++) /* with a note or without */
		assert_true(events_failed(
		    tray.events, lanes[i], tray_first(&tray, lanes[i]), "busy", "", NULL));
	events_each_lane(tray.events, tray_told, &tray);
	assert_int_equal(tray.count, 4);
	assert_memory_equal(tray.lanes, lanes, sizeof(lanes));
	tray_end(&tray);
}

static void test_failures_are_noted_for_people(void **state)
{
	char words[2000];
	struct event_entry entry;
	struct tray tray;

	(void)state;
	tray_begin(&tray);
	uint64_t one = tray_put(&tray, (struct told){.lane = 5, .body = "12345"});
	uint64_t two = tray_put(&tray, (struct told){.lane = 5});
	uint64_t other = tray_put(&tray, (struct told){.lane = 4});
	memset(words, 'w', sizeof(words));
	words[sizeof(words) - 1] = '\0';
	uint64_t bytes = tray_bytes(&tray);
	assert_true(events_failed(tray.events, 5, one, "busy", "Eyes said 503", NULL));
	assert_true(events_failed(tray.events, 5, one, "slow", words, NULL));
	assert_int_equal(tray_bytes(&tray), bytes);
	tray_again(&tray);
	assert_true(events_first(tray.events, 5, &entry));
	assert_int_equal(entry.attempts, 2);
	assert_string_equal(entry.code, "slow");
	assert_int_equal(strlen(entry.error), 300); /* cut */
	struct tray_search seen = tray_find(&tray, one, false);
	assert_true(seen.found);
	assert_int_equal(seen.attempts, 2);
	assert_string_equal(seen.code, "slow");
	assert_int_equal(seen.length, 5);
	/* Nobody else has it. */
	assert_int_equal(tray_find(&tray, two, false).attempts, 0);
	assert_int_equal(tray_find(&tray, other, false).attempts, 0);
	assert_int_equal(events_count_lane(tray.events, 5, 10), 2);
	assert_false(events_failed(tray.events, 5, 99, "busy", "", &tray.store.err));
	assert_true(err_is(&tray.store.err, "not_found"));
	/* It goes along, and the next one begins anew. */
	assert_true(tray_die(&tray, 5, one));
	seen = tray_find(&tray, one, true);
	assert_int_equal(seen.attempts, 2);
	assert_string_equal(seen.code, "refused");
	assert_true(events_first(tray.events, 5, &entry));
	assert_int_equal(entry.attempts, 0);
	assert_string_equal(entry.code, "");
	tray_end(&tray);
}

static void test_dead_ones_are_kept_and_tried_again(void **state)
{
	struct event_entry entry;
	struct tray tray;
	uint32_t lane = 0;

	(void)state;
	tray_begin(&tray);
	uint64_t old = tray_put(&tray,
	    (struct told){.lane = 5, .body = "the body", .received_ms = clock_wall_ms() - 3000});
	uint64_t next = tray_put(&tray, (struct told){.lane = 5});
	int64_t before_ms = clock_wall_ms();
	assert_true(tray_die(&tray, 5, old));
	tray_holds(&tray, 1, 1);
	tray_again(&tray);
	tray_holds(&tray, 1, 1);
	struct tray_search seen = tray_find(&tray, old, true);
	assert_true(seen.found);
	assert_int_equal(seen.lane, 5);
	assert_string_equal(seen.code, "refused");
	assert_string_equal(seen.error, "Eyes said 400");
	assert_int_equal(seen.length, 8);
	assert_in_range(seen.ended_ms, before_ms, clock_wall_ms());
	assert_false(events_retry(tray.events, next, &lane, &tray.store.err)); /* it waits */
	assert_true(err_is(&tray.store.err, "not_found"));
	assert_true(events_retry(tray.events, old, &lane, NULL));
	assert_int_equal(lane, 5);
	tray_holds(&tray, 2, 0);
	assert_int_equal(tray_first(&tray, 5), next); /* behind what waits */
	assert_true(tray_done(&tray, 5, next));
	assert_true(events_first(tray.events, 5, &entry));
	assert_true(entry.number > next);
	assert_int_equal(entry.body_length, 8);
	assert_memory_equal(entry.body, "the body", 8);
	assert_true(entry.received_ms <= before_ms - 2500); /* when it came is not forgotten */
	assert_int_equal(entry.attempts, 0);
	/* Its TTL is fresh: it came 3 s ago and waits for less than a second. */
	tray.options.ttl_ms = 2000;
	tray_again(&tray);
	assert_int_equal(events_expire(tray.events, clock_wall_ms(), 100, tray_told, &tray), 0);
	assert_false(events_retry(tray.events, old, &lane, &tray.store.err));
	tray_end(&tray);
}

static void test_drop(void **state)
{
	struct tray tray;
	uint64_t numbers[4];

	(void)state;
	tray_begin(&tray);
	for (unsigned i = 0; i < 4; i++)
		numbers[i] = tray_put(&tray, (struct told){.lane = 3});
	assert_true(events_failed(tray.events, 3, numbers[0], "busy", "", NULL));
	assert_false(events_drop(tray.events, numbers[0], numbers[0], &tray.store.err));
	assert_true(err_is(&tray.store.err, "in_flight"));
	tray_holds(&tray, 4, 0);
	assert_true(events_drop(tray.events, numbers[1], numbers[0], NULL)); /* from the middle */
	assert_true(tray_die(&tray, 3, numbers[0]));
	tray_holds(&tray, 2, 1);
	assert_int_equal(tray_first(&tray, 3), numbers[2]);
	assert_true(events_failed(tray.events, 3, numbers[2], "busy", "", NULL));
	assert_true(events_drop(tray.events, numbers[2], 0, NULL)); /* and its note */
	assert_true(events_drop(tray.events, numbers[0], 0, NULL)); /* from DEAD */
	tray_holds(&tray, 1, 0);
	assert_int_equal(db_count(tray.store.db, DB_EVENT), 1);
	assert_int_equal(tray_first(&tray, 3), numbers[3]);
	assert_false(events_drop(tray.events, numbers[2], 0, &tray.store.err));
	assert_true(err_is(&tray.store.err, "not_found"));
	tray_end(&tray);
}

static void test_one_that_comes_again_is_known(void **state)
{
	struct told told = {.lane = 1, .id = "r-1", .body = "a"};
	struct tray tray;

	(void)state;
	tray_begin(&tray);
	uint64_t number = tray_put(&tray, told);
	assert_int_equal(tray_try(&tray, told, NULL, NULL), EVENTS_PUT_KNOWN);
	tray_holds(&tray, 1, 0);
	assert_true(tray_done(&tray, 1, number));
	tray_again(&tray);
	assert_int_equal(tray_try(&tray, told, NULL, NULL), EVENTS_PUT_KNOWN);
	tray_holds(&tray, 0, 0);
	/* Another lane, another id or another body is another event. */
	tray_put(&tray, (struct told){.lane = 2, .id = "r-1", .body = "a"});
	tray_put(&tray, (struct told){.lane = 1, .id = "r-2", .body = "a"});
	tray_put(&tray, (struct told){.lane = 1, .id = "r-1", .body = "b"});
	/* Without an id nothing is recognised. */
	tray_put(&tray, (struct told){.lane = 1, .body = "a"});
	tray_put(&tray, (struct told){.lane = 1, .body = "a"});
	tray_holds(&tray, 5, 0);
	assert_int_equal(tray_remembers(&tray), 4);
	tray_end(&tray);
}

static void test_texts_and_bodies_have_limits(void **state)
{
	static char text[EVENTS_HEADERS_MAX + 2];
	struct event_entry good = {.lane = 1,
	    .key = "k",
	    .request_id = "r",
	    .headers = "",
	    .content_type = "",
	    .body = "b",
	    .body_length = 1,
	    .received_ms = 1};
	unsigned char hash[CRYPTO_SHA256] = {0};
	struct tray tray;

	(void)state;
	tray_begin(&tray);
	memset(text, 't', sizeof(text) - 1);
	for (int i = 0; i < 5; i++) {
		struct event_entry entry = good;
		const char *longer = text + EVENTS_HEADERS_MAX - EVENTS_TEXT_MAX;
		entry.key = i == 0 ? longer : entry.key;
		entry.request_id = i == 1 ? longer : entry.request_id;
		entry.content_type = i == 2 ? longer : entry.content_type;
		entry.headers = i == 3 ? text : entry.headers;
		entry.body_length = i == 4 ? (size_t)EVENTS_BODY_MAX + 1 : 1;
		err_clear(&tray.store.err);
		assert_int_equal(
		    events_put(tray.events, &entry, hash, &tray.store.err), EVENTS_PUT_FAILED);
		assert_true(err_is(&tray.store.err, "too_long"));
	}
	tray_holds(&tray, 0, 0);
	assert_int_equal(tray_remembers(&tray), 0);
	/* At the limits it fits. */
	good.key = good.request_id = good.content_type =
	    text + EVENTS_HEADERS_MAX + 1 - EVENTS_TEXT_MAX;
	good.headers = text + 1;
	assert_int_equal(events_put(tray.events, &good, hash, NULL), EVENTS_PUT_NEW);
	assert_true(events_first(tray.events, 1, &good));
	assert_int_equal(strlen(good.headers), EVENTS_HEADERS_MAX);
	tray_end(&tray);
}

/* It expired while it was under way: that it arrived all the same is not forgotten. */
static void test_an_expired_one_that_arrived_leaves_the_dead(void **state)
{
	struct tray tray;

	(void)state;
	tray_begin(&tray);
	uint64_t one = tray_put(&tray, (struct told){.lane = 1, .received_ms = 1});
	assert_int_equal(events_expire(tray.events, clock_wall_ms(), 10, tray_told, &tray), 1);
	tray_holds(&tray, 0, 1);
	assert_true(tray_done(&tray, 1, one));
	tray_holds(&tray, 0, 0);
	one = tray_put(&tray, (struct told){.lane = 1, .received_ms = 1});
	assert_int_equal(events_expire(tray.events, clock_wall_ms(), 10, tray_told, &tray), 1);
	assert_false(tray_die(&tray, 1, one)); /* refused: it is there already */
	tray_holds(&tray, 0, 1);
	tray_end(&tray);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_an_event_is_given_back_as_it_came),
	    cmocka_unit_test(test_a_lane_is_strictly_in_order),
	    cmocka_unit_test(test_numbers_are_given_once),
	    cmocka_unit_test(test_nothing_is_sent_before_it_is_on_disk),
	    cmocka_unit_test(test_lanes_are_visited_once),
	    cmocka_unit_test(test_failures_are_noted_for_people),
	    cmocka_unit_test(test_dead_ones_are_kept_and_tried_again),
	    cmocka_unit_test(test_drop),
	    cmocka_unit_test(test_one_that_comes_again_is_known),
	    cmocka_unit_test(test_texts_and_bodies_have_limits),
	    cmocka_unit_test(test_an_expired_one_that_arrived_leaves_the_dead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
