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
	    cmocka_unit_test(test_sleeps_until_something_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
