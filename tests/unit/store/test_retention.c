#include "unit/store/queue_test.h"

#include "store/retention.h"

/* Everything that is too much or too old goes without anybody asking, small pieces at a time. */
static void test_tables_shrink_to_their_bounds(void **state)
{
	struct desk desk;
	struct err *err = &desk.store.err;
	char id[32];

	(void)state;
	desk_begin(&desk);
	desk.mute = true;
	struct db *db = desk.store.db;
	struct retention_tables tables = {
	    .queue = desk.queue,
	    .journal = journal_open(db, 100, err),
	    .places = places_open(db, 10000, err),
	    .audit = audit_open(db, 10, err),
	    .outbox = outbox_open(db, err),
	    .batch_window_ms = 1,
	};
	for (unsigned i = 0; i < 3000; i++) {
		struct journal_row row = {.commit = "c", .key = "k", .code = "", .error = ""};
		journal_add(tables.journal, &row);
		snprintf(id, sizeof(id), "b%u", i);
		assert_true(places_memory_set(tables.places, id, "x", 1, err));
	}
	for (unsigned i = 0; i < 20; i++)
		assert_true(audit_add(tables.audit, "w", "a", "s", "d", err));
	desk_put(&desk, (struct item){.id = "old", .received_ms = clock_wall_ms() - 3600001});
	outbox_add(tables.outbox, "id", UPDATE_DELIVERED, "");
	store_commit(&desk.store);

	struct retention *retention = retention_new(desk.store.loop, &tables);
	uint64_t start_ms = clock_monotonic_ms();
	while ((db_count(db, DB_RECENT) > 100 || db_count(db, DB_BATCH) > 0 ||
	           db_count(db, DB_AUDIT) > 10) &&
	       clock_monotonic_ms() - start_ms < 20000) {
		uint64_t before = db_count(db, DB_RECENT);
		store_turn(&desk.store, 1);
		assert_true(before - db_count(db, DB_RECENT) <= 256 * 4); /* a turn or two */
	}
	assert_int_equal(db_count(db, DB_RECENT), 100);
	assert_int_equal(db_count(db, DB_BATCH), 0);
	assert_int_equal(db_count(db, DB_AUDIT), 10);
	assert_int_equal(db_count(db, DB_OUTBOX), 1);
	assert_int_equal(desk_counts(&desk).waiting, 0);
	/* In a hurry while there is much: 12 runs take far less than 12 s. */
	assert_true(clock_monotonic_ms() - start_ms < 8000);
	retention_free(retention);
	journal_close(tables.journal);
	places_close(tables.places);
	audit_close(tables.audit);
	outbox_close(tables.outbox);
	desk_end(&desk);
}

static void note_lane(uint32_t lane, void *arg)
{
	*(uint32_t *)arg = lane;
}

/* Events expire though nothing else is written, and their lane is told. */
static void test_events_expire(void **state)
{
	struct event_entry entry = {.lane = 9,
	    .key = "k",
	    .request_id = "",
	    .headers = "",
	    .content_type = "",
	    .body = "b",
	    .body_length = 1,
	    .received_ms = clock_wall_ms() - 200};
	struct events_options options = {
	    .ttl_ms = 1500, .limit = 10, .limit_bytes = 100000, .remember = 10};
	unsigned char hash[32] = {0};
	uint32_t lane = 0;
	struct store store;

	(void)state;
	store_begin(&store);
	struct retention_tables tables = {
	    .db = store.db,
	    .events = events_open(store.db, &options, &store.err),
	    .events_lane = note_lane,
	    .arg = &lane,
	};
	assert_non_null(tables.events);
	assert_int_equal(events_put(tables.events, &entry, hash, &store.err), EVENTS_PUT_NEW);
	store_commit(&store);
	struct retention *retention = retention_new(store.loop, &tables);
	uint64_t start_ms = clock_monotonic_ms();
	while (lane == 0 && clock_monotonic_ms() - start_ms < 20000)
		store_turn(&store, 1);
	assert_int_equal(lane, 9);
	assert_int_equal(db_count(store.db, DB_EVENT), 0);
	assert_int_equal(db_count(store.db, DB_EVENT_DEAD), 1);
	retention_free(retention);
	events_close(tables.events);
	store_end(&store);
}

/* With nothing to do it sleeps, and a write wakes it. */
static void test_sleeps_until_something_is_written(void **state)
{
	struct desk desk;
	struct err *err = &desk.store.err;

	(void)state;
	desk_begin(&desk);
	struct db *db = desk.store.db;
	struct retention_tables tables = {
	    .db = db, .queue = desk.queue, .audit = audit_open(db, 10, err)};
	store_commit(&desk.store);
	struct retention *retention = retention_new(desk.store.loop, &tables);
	uint64_t start_ms = clock_monotonic_ms();
	while (clock_monotonic_ms() - start_ms < 1200) /* its first look */
		store_turn(&desk.store, 1);
	for (unsigned i = 0; i < 20; i++)
		assert_true(audit_add(tables.audit, "w", "a", "s", "d", err));
	store_commit(&desk.store);
	start_ms = clock_monotonic_ms();
	while (db_count(db, DB_AUDIT) > 10 && clock_monotonic_ms() - start_ms < 20000)
		store_turn(&desk.store, 1);
	assert_int_equal(db_count(db, DB_AUDIT), 10);
	assert_in_range(clock_monotonic_ms() - start_ms, 0, 5000);
	retention_free(retention);
	audit_close(tables.audit);
	desk_end(&desk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tables_shrink_to_their_bounds),
	    cmocka_unit_test(test_events_expire),
	    cmocka_unit_test(test_sleeps_until_something_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
