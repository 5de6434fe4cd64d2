/* One token against a server with Bitbucket's bucket: 60 requests, refilled at 5 a second. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flow/pace.h"

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

struct bucket {
	double tokens, capacity, per_second;
	uint64_t at_ms;
};

static bool bucket_takes(struct bucket *bucket, uint64_t now_ms)
{
	bucket->tokens += (double)(now_ms - bucket->at_ms) / 1000 * bucket->per_second;
	bucket->at_ms = now_ms;
	if (bucket->tokens > bucket->capacity)
		bucket->tokens = bucket->capacity;
	if (bucket->tokens < 1)
		return false;
	bucket->tokens--;
	return true;
}

struct run {
	unsigned taken, refused;
	uint64_t last_refused_ms;
};

/* Always has something to send, `at_once` requests each way, answered after `latency_ms`. */
static struct run run(struct pace *pace, struct bucket *bucket, uint64_t from_ms, uint64_t to_ms,
    unsigned at_once, uint64_t latency_ms, int64_t retry_after_ms)
{
	struct {
		uint64_t sent_ms;
		bool busy, ok;
	} slots[16] = {0};
	struct run result = {0};

	for (uint64_t now = from_ms; now < to_ms; now++) {
		for (unsigned i = 0; i < at_once; i++) {
			if (slots[i].busy && now >= slots[i].sent_ms + latency_ms) {
				slots[i].busy = false;
				if (slots[i].ok) {
					result.taken++;
				} else {
					result.refused++;
					result.last_refused_ms = now;
					pace_limited(pace, slots[i].sent_ms, now, retry_after_ms);
				}
			}
			if (!slots[i].busy && pace_wait_until(pace, now) == 0) {
				pace_sent(pace, now);
				slots[i].busy = true;
				slots[i].sent_ms = now;
				slots[i].ok = bucket_takes(bucket, now);
			}
		}
	}
	return result;
}

static struct bucket bitbucket(uint64_t now_ms)
{
	return (struct bucket){.tokens = 60, .capacity = 60, .per_second = 5, .at_ms = now_ms};
}

static void test_unlimited_until_told(void **state)
{
	struct pace pace = {0};

	(void)state;
	for (uint64_t now = 1000; now < 1100; now++) {
		assert_int_equal(pace_wait_until(&pace, now), 0);
		pace_sent(&pace, now);
	}
}

/* However many were under way, and whatever the server says of when to come again. */
static void test_no_429_after_the_first_burst(void **state)
{
	static const struct {
		unsigned at_once;
		uint64_t latency_ms;
		int64_t retry_after_ms;
	} cases[] = {{1, 5, -1}, {4, 20, -1}, {16, 50, -1}, {16, 50, 0}, {16, 50, 1000},
	    {16, 2500, 0}, {16, 2000, -1}, {16, 50, 60000}};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pace pace = {0};
		struct bucket bucket = bitbucket(1);
		struct run first = run(&pace, &bucket, 1, 2 * MINUTE, cases[i].at_once,
		    cases[i].latency_ms, cases[i].retry_after_ms);
		struct run after = run(&pace, &bucket, 2 * MINUTE, 10 * MINUTE, cases[i].at_once,
		    cases[i].latency_ms, cases[i].retry_after_ms);

		assert_in_range(first.refused, 1, cases[i].at_once);
		assert_in_range(first.taken, 60, 60 + 5 * 120);
		assert_int_equal(after.refused, 0);
		/* Near the server's own rate: at least 0.85 of 5 a second, where latency allows it.
		 */
		if (cases[i].latency_ms < 1000 && cases[i].at_once > 1)
			assert_true(after.taken > 0.85 * 5 * 8 * 60);
	}
}

static void test_late_refusals_of_one_burst_count_once(void **state)
{
	struct pace pace = {0};

	(void)state;
	pace_limited(&pace, 100, 200, 0);
	assert_true(pace.per_second > 4 && pace.per_second < 5);
	pace_limited(
	    &pace, 150, 900, 0); /* sent before the first refusal came, answered after its pause */
	assert_true(pace.per_second > 4);
	pace_limited(&pace, 1000, 1100, 0);
	assert_true(pace.per_second < 4);
}

static void test_obeys_retry_after(void **state)
{
	struct pace pace = {0};

	(void)state;
	pace_limited(&pace, 1, 1000, 30000);
	assert_int_equal(pace_wait_until(&pace, 1000), 31000);
	assert_int_equal(pace_wait_until(&pace, 30999), 31000);
	assert_int_equal(pace_wait_until(&pace, 31000), 0);
	pace_limited(&pace, 1, 2000, 60000); /* of the same burst: it lengthens the pause */
	assert_int_equal(pace_wait_until(&pace, 31000), 62000);
}

static void test_never_below_one_in_ten_seconds(void **state)
{
	struct pace pace = {0};

	(void)state;
	for (uint64_t now = 10; now < 1000; now += 10)
		pace_limited(&pace, now, now + 1, 0);
	assert_true(pace.per_second >= 0.1);
	pace_sent(&pace, 1000);
	assert_in_range(pace_wait_until(&pace, 1000), 1001, 1000 + 10 * SECOND + 1);
}

/* Finding out whether the limit was raised costs a handful of refusals, then no more. */
static void test_settles_below_the_limit(void **state)
{
	struct pace pace = {0};
	struct bucket bucket = bitbucket(1);
	struct run early, late;

	(void)state;
	early = run(&pace, &bucket, 1, 2 * HOUR, 4, 20, -1);
	assert_in_range(early.refused, 1, 25);
	late = run(&pace, &bucket, 2 * HOUR, 4 * HOUR, 4, 20, -1);
	assert_in_range(late.refused, 0, 4);
	assert_true(late.taken > 0.8 * 5 * 2 * 3600);
}

static void test_recovers_when_the_server_grows(void **state)
{
	struct pace pace = {0};
	struct bucket bucket = bitbucket(1);

	(void)state;
	run(&pace, &bucket, 1, 1 * MINUTE, 4, 20, -1);
	assert_true(pace.per_second > 0);
	bucket.per_second = bucket.capacity = 1e6;
	run(&pace, &bucket, 1 * MINUTE, 40 * MINUTE, 4, 20, -1);
	assert_true(pace.per_second > 10);
	assert_int_equal(pace_wait_until(&pace, 7 * HOUR), 0);
	assert_true(pace.per_second == 0); /* forgotten */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_unlimited_until_told),
	    cmocka_unit_test(test_no_429_after_the_first_burst),
	    cmocka_unit_test(test_late_refusals_of_one_burst_count_once),
	    cmocka_unit_test(test_obeys_retry_after),
	    cmocka_unit_test(test_never_below_one_in_ten_seconds),
	    cmocka_unit_test(test_settles_below_the_limit),
	    cmocka_unit_test(test_recovers_when_the_server_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
