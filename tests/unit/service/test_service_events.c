/* What people do to events: what is said and noted of it. Nothing is sent here: Eyes is not
 * configured. */
#include "unit/flow/flow_test.h"

#include "service/service.h"

static struct flow flow;
static struct service *service;
static struct audit *audit;
static struct events *events;
static struct forwarder *forwarder;

static int set_up(void **state)
{
	(void)state;
	flow_begin(&flow);
	events = events_open(flow.store.db,
	    &(struct events_options){
	        .ttl_ms = 3600 * 1000, .limit = 10, .limit_bytes = 4 << 20, .remember = 1000},
	    &flow.store.err);
	assert_non_null(events);
	audit = audit_open(flow.store.db, 100, &flow.store.err);
	assert_non_null(audit);
	forwarder = forwarder_new(&(struct forwarder_options){.loop = flow.store.loop,
	    .db = flow.store.db,
	    .events = events,
	    .records = flow.records,
	    .bus = flow.bus});
	service = service_new(&(struct service_parts){.loop = flow.store.loop,
	    .db = flow.store.db,
	    .records = flow.records,
	    .audit = audit,
	    .events = events,
	    .forwarder = forwarder,
	    .bus = flow.bus});
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	service_free(service);
	forwarder_free(forwarder);
	audit_close(audit);
	events_close(events);
	flow_end(&flow);
	return 0;
}

static uint64_t put(uint32_t lane)
{
	struct event_entry entry = {.lane = lane,
	    .key = "repo:refs_changed",
	    .request_id = "",
	    .headers = "",
	    .content_type = "application/json",
	    .body = "{}",
	    .body_length = 2,
	    .received_ms = clock_wall_ms()};

	assert_int_equal(events_put(events, &entry, NULL, &flow.store.err), EVENTS_PUT_NEW);
	return entry.number;
}

static uint64_t put_dead(uint32_t lane)
{
	uint64_t number = put(lane);

	assert_true(events_done(events, lane, number, true, "refused", "no", &flow.store.err));
	return number;
}

static struct {
	unsigned calls;
	enum service_fault fault;
	char message[512];
} done;

static void on_done(const struct service_result *result, void *arg)
{
	(void)arg;
	done.calls++;
	done.fault = result->fault;
	snprintf(done.message, sizeof(done.message), "%s",
	    result->err != NULL ? result->err->message : "");
}

static bool is_done(struct flow *f, unsigned calls)
{
	(void)f;
	return done.calls == calls;
}

static bool keep_first(const struct audit_row *row, void *arg)
{
	snprintf(arg, 100, "%s", row->subject);
	return false;
}

/* The newest row. */
static void audited(const char *subject)
{
	char newest[100] = "";

	audit_latest(audit, 1, keep_first, newest);
	assert_string_equal(newest, subject);
}

static void retry_all(void)
{
	memset(&done, 0, sizeof(done));
	service_events_retry_all(service, "tester", on_done, NULL);
	flow_until(&flow, is_done, 1, "done");
}

static void test_retry_all(void **state)
{
	(void)state;
	put_dead(1);
	put_dead(2);
	retry_all();
	assert_int_equal(done.fault, SERVICE_OK);
	audited("all events");
}

/* The room ends in between: how many moved is said, and noted; a lane that is full does not hold
 * the others up. */
static void test_retry_all_without_room(void **state)
{
	struct events_counts counts;

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		put_dead(EVENTS_GITHUB);
	put_dead(1);
	retry_all();
	assert_int_equal(done.fault, SERVICE_STORE);
	assert_non_null(strstr(done.message, "6 of 7"));
	audited("6 events");
	events_count(events, &counts);
	assert_int_equal(counts.waiting, 6);
	assert_int_equal(counts.dead, 1);
	assert_int_equal(events_count_lane(events, 1, 10), 1);
	for (unsigned i = 0; i < 4; i++)
		put(2);
	retry_all(); /* none moves: nothing to note */
	assert_int_equal(done.fault, SERVICE_STORE);
	audited("6 events");
}

static void test_drop_many(void **state)
{
	struct service_number numbers[] = {
	    {.number = put(3)}, {.number = put_dead(4)}, {.number = 999}, {.number = put(5)}};

	(void)state;
	memset(&done, 0, sizeof(done));
	assert_int_equal(service_events_drop(service, "tester", numbers, 4, on_done, NULL), 3);
	flow_until(&flow, is_done, 1, "done");
	assert_int_equal(done.fault, SERVICE_OK);
	assert_int_equal(numbers[2].fault, SERVICE_NOT_FOUND);
	audited("3 events");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name_) cmocka_unit_test_setup_teardown(name_, set_up, tear_down)
	    TEST(test_retry_all),
	    TEST(test_retry_all_without_room),
	    TEST(test_drop_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
