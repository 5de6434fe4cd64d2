#include "unit/store/store_test.h"

#include "store/places.h"

static const char *commit_of(unsigned number)
{
	static char text[41];

	snprintf(text, sizeof(text), "%08x%032x", number * 2654435761u, number);
	return text;
}

static bool remember(struct places *places, const char *id, const char *text)
{
	return places_memory_set(places, id, text, strlen(text), NULL);
}

static bool remembers(struct places *places, const char *id, const char *text)
{
	char out[64];
	ptrdiff_t length = places_memory_get(places, id, out, sizeof(out));

	return length == (ptrdiff_t)strlen(text) && memcmp(out, text, (size_t)length) == 0;
}

static void test_memory_is_given_back_as_it_was(void **state)
{
	struct store store;
	char big[PLACES_MEMORY_MAX + 1] = {0}, out[PLACES_MEMORY_MAX];

	(void)state;
	store_begin(&store);
	struct places *places = places_open(store.db, 100, &store.err);
	assert_int_equal(places_memory_get(places, "b", out, sizeof(out)), -1);
	assert_true(remember(places, "b", "one"));
	assert_true(remembers(places, "b", "one"));
	assert_true(remember(places, "b", "two, longer"));
	assert_true(remembers(places, "b", "two, longer"));
	assert_int_equal(places_memory_get(places, "c", out, sizeof(out)), -1);
	assert_int_equal(places_memory_get(places, "b", out, 3), -1); /* does not fit */
	assert_true(remember(places, "empty", ""));
	assert_int_equal(places_memory_get(places, "empty", out, sizeof(out)), 0);
	assert_true(places_memory_set(places, "big", big, PLACES_MEMORY_MAX, &store.err));
	assert_int_equal(places_memory_get(places, "big", out, sizeof(out)), PLACES_MEMORY_MAX);
	assert_false(places_memory_set(places, "big", big, sizeof(big), &store.err));
	places_close(places);
	store_close(&store);
	store_open(&store, STORE_SIZE);
	places = places_open(store.db, 100, &store.err);
	assert_true(remembers(places, "b", "two, longer"));
	places_close(places);
	store_end(&store);
}

static void test_commits(void **state)
{
	struct place place = {.count = 3, .repos = {7, 8, 9}}, read;
	struct store store;

	(void)state;
	store_begin(&store);
	struct places *places = places_open(store.db, 100, &store.err);
	assert_false(places_commit(places, commit_of(1), &read));
	assert_true(places_set_commit(places, commit_of(1), &place, &store.err));
	assert_true(places_commit(places, commit_of(1), &read));
	assert_int_equal(read.count, 3);
	assert_int_equal(read.repos[2], 9);
	/* "Nowhere" holds for a while: the caller looks at the time. */
	place = (struct place){.count = 0, .expires_ms = 77, .waited_ms = 5};
	assert_true(places_set_commit(places, commit_of(2), &place, &store.err));
	assert_true(places_commit(places, commit_of(2), &read));
	assert_int_equal(read.count, 0);
	assert_int_equal(read.expires_ms, 77);
	assert_int_equal(read.waited_ms, 5);
	assert_false(places_set_commit(places, "not hex", &place, &store.err));
	assert_false(places_commit(places, "not hex", &read));
	places_close(places);
	store_end(&store);
}

static void test_both_are_bounded_and_the_old_ones_give_way(void **state)
{
	struct place place = {.count = 1, .repos = {1}};
	struct store store;
	unsigned kept = 0;
	char id[32];

	(void)state;
	store_begin(&store);
	struct places *places = places_open(store.db, 100, &store.err);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(id, sizeof(id), "batch-%u", i);
		assert_true(remember(places, id, id));
		assert_true(places_set_commit(places, commit_of(i), &place, &store.err));
		assert_true(remembers(places, id, id)); /* the new one is never refused */
		assert_true(db_count(store.db, DB_BATCH) <= 100);
		assert_true(db_count(store.db, DB_PLACE) <= 100);
		if (i % 50 == 0)
			usleep(2000); /* age is told in ms */
	}
	for (unsigned i = 800; i < 1000; i++) {
		snprintf(id, sizeof(id), "batch-%u", i);
		kept += remembers(places, id, id);
	}
	assert_true(kept > 80); /* mostly the last 200 are there */
	/* One that is there already needs no room. */
	assert_true(remember(places, "batch-999", "x"));
	assert_int_equal(db_count(store.db, DB_BATCH), 100);
	places_close(places);
	store_end(&store);
}

static void test_trim_goes_by_time_and_in_batches(void **state)
{
	struct place place = {.count = 1, .repos = {1}};
	struct store store;
	char id[32];

	(void)state;
	store_begin(&store);
	struct places *places = places_open(store.db, 1000, &store.err);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "batch-%u", i);
		assert_true(remember(places, id, id));
		assert_true(places_set_commit(places, commit_of(i), &place, &store.err));
	}
	for (int i = 0; i < 30; i++)
		assert_int_equal(places_trim(places, clock_wall_ms() - 60000, 7), 0);
	int64_t now_ms = clock_wall_ms() + 1;
	assert_int_equal(places_trim(places, now_ms, 7), 14); /* of each */
	for (int i = 0; i < 30; i++)
		places_trim(places, now_ms, 7);
	assert_int_equal(db_count(store.db, DB_BATCH), 0);
	assert_int_equal(db_count(store.db, DB_PLACE), 0);
	places_close(places);
	store_end(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_memory_is_given_back_as_it_was),
	    cmocka_unit_test(test_commits),
	    cmocka_unit_test(test_both_are_bounded_and_the_old_ones_give_way),
	    cmocka_unit_test(test_trim_goes_by_time_and_in_batches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
