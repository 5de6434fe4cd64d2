#include "base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static struct metric delivered =
    METRIC(METRIC_COUNTER, "eyes_scm_updates_total", "outcome=\"ok\"", "Updates, by outcome.");
static struct metric failed =
    METRIC(METRIC_COUNTER, "eyes_scm_updates_total", "outcome=\"failed\"", "Updates, by outcome.");
static struct metric waiting =
    METRIC(METRIC_GAUGE, "eyes_scm_queue_waiting", "", "What waits.\nA \"lane\" \\ each.");
static struct metric unused = METRIC(METRIC_GAUGE, "eyes_scm_unused", "", "Never touched.");
static struct metric latency =
    METRIC(METRIC_HISTOGRAM, "eyes_scm_commit_milliseconds", "", "Time of a commit.");

static void test_nothing_yet(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	metrics_write(&out);
	assert_string_equal(out.data, "# EOF\n");
	buf_free(&out);
}

static void test_text(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	metric_add(&delivered, 1);
	metric_add(&delivered, 2);
	metric_set(&waiting, 7);
	metric_set(&waiting, 1.5);
	metric_add(&failed, 12345678901.0);
	metric_observe_ms(&latency, 0);
	metric_observe_ms(&latency, 1);
	metric_observe_ms(&latency, 1.25);
	metric_observe_ms(&latency, 16384);
	metric_observe_ms(&latency, 16385);
	metric_observe_ms(&latency, 1e12);
	assert_false(unused.registered);
	metrics_write(&out);
	assert_string_equal(out.data,
	    "# TYPE eyes_scm_commit_milliseconds histogram\n"
	    "# HELP eyes_scm_commit_milliseconds Time of a commit.\n"
	    "eyes_scm_commit_milliseconds_bucket{le=\"1.0\"} 2\n"
	    "eyes_scm_commit_milliseconds_bucket{le=\"2.0\"} 3\n"
	    "eyes_scm_commit_milliseconds_bucket{le=\"4.0\"} 3\n"
	    "eyes_scm_commit_milliseconds_bucket{le=\"8.0\"} 3\n"
	    "eyes_scm_commit_milliseconds_bucket{le=\"16.0\"} 3\n"
	    "eyes_scm_commit_milliseconds_bucket{le=\"32.0\"} 3\n"
	    "eyes_scm_commit_milliseconds_bucket{le=\"64.0\"} 3\n"
	    "eyes_scm_commit_milliseconds_bucket{le=\"128.0\"} 3\n"
	    "eyes_scm_commit_milliseconds_bucket{le=\"256.0\"} 3\n"
	    "eyes_scm_commit_milliseconds_bucket{le=\"512.0\"} 3\n"
	    "eyes_scm_commit_milliseconds_bucket{le=\"1024.0\"} 3\n"
	    "eyes_scm_commit_milliseconds_bucket{le=\"2048.0\"} 3\n"
	    "eyes_scm_commit_milliseconds_bucket{le=\"4096.0\"} 3\n"
	    "eyes_scm_commit_milliseconds_bucket{le=\"8192.0\"} 3\n"
	    "eyes_scm_commit_milliseconds_bucket{le=\"16384.0\"} 4\n"
	    "eyes_scm_commit_milliseconds_bucket{le=\"+Inf\"} 6\n"
	    "eyes_scm_commit_milliseconds_sum 1000000032771.25\n"
	    "eyes_scm_commit_milliseconds_count 6\n"
	    "# TYPE eyes_scm_queue_waiting gauge\n"
	    "# HELP eyes_scm_queue_waiting What waits.\\nA \\\"lane\\\" \\\\ each.\n"
	    "eyes_scm_queue_waiting 1.5\n"
	    "# TYPE eyes_scm_updates counter\n"
	    "# HELP eyes_scm_updates Updates, by outcome.\n"
	    "eyes_scm_updates_total{outcome=\"failed\"} 12345678901\n"
	    "eyes_scm_updates_total{outcome=\"ok\"} 3\n"
	    "# EOF\n");
	buf_free(&out);
}

static void test_a_small_buffer_says_so(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	metrics_write(&out);
	assert_true(out.overflow);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_yet),
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_a_small_buffer_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
