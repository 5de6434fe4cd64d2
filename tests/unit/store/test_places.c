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

/* ---- what webhooks tell ---- */

static const char *ref_of(struct places *places, unsigned commit, uint32_t repo)
{
	static char out[PLACES_REF_MAX + 1];

	return places_ref(places, commit_of(commit), repo, out, sizeof(out)) ? out : "none";
}

static void test_refs_are_learned(void **state)
{
	struct place place = {.count = 0, .expires_ms = 77, .waited_ms = 5}, read;
	struct store store;
	char small[10];

	(void)state;
	store_begin(&store);
	struct places *places = places_open(store.db, 100, &store.err);
	assert_string_equal(ref_of(places, 1, 7), "none");
	/* A commit that was nowhere, one that is unknown, one that is elsewhere. */
	assert_true(places_set_commit(places, commit_of(1), &place, &store.err));
	place = (struct place){.count = 2, .repos = {8, 9}};
	assert_true(places_set_commit(places, commit_of(3), &place, &store.err));
	for (unsigned i = 1; i <= 3; i++)
		assert_true(places_learn(places, commit_of(i), 7, "refs/heads/one", &store.err));
	assert_true(places_commit(places, commit_of(1), &read));
	assert_int_equal(read.count, 1);
	assert_int_equal(read.repos[0], 7);
	assert_int_equal(read.expires_ms, 0);
	assert_int_equal(read.waited_ms, 0);
	assert_true(places_commit(places, commit_of(2), &read));
	assert_int_equal(read.count, 1);
	assert_true(places_commit(places, commit_of(3), &read));
	assert_int_equal(read.count, 3);
	assert_int_equal(read.repos[2], 7);
	for (unsigned i = 1; i <= 3; i++)
		assert_string_equal(ref_of(places, i, 7), "refs/heads/one");
	assert_string_equal(ref_of(places, 3, 8), "none");
	assert_string_equal(ref_of(places, 4, 7), "none");
	assert_false(places_ref(places, commit_of(1), 7, small, sizeof(small))); /* too small */
	assert_false(places_ref(places, "not hex", 7, small, sizeof(small)));
	assert_false(places_learn(places, "not hex", 7, "refs/heads/one", &store.err));
	/* The newest counts; of each repository its own; "" tells nothing new. */
	assert_true(places_learn(places, commit_of(3), 8, "refs/heads/eight", NULL));
	assert_true(places_learn(places, commit_of(3), 7, "refs/heads/two", NULL));
	assert_true(places_learn(places, commit_of(3), 7, "", NULL));
	assert_true(places_learn(places, commit_of(3), 9, "", NULL));
	assert_string_equal(ref_of(places, 3, 7), "refs/heads/two");
	assert_string_equal(ref_of(places, 3, 8), "refs/heads/eight");
	assert_string_equal(ref_of(places, 3, 9), "none");
	assert_true(places_commit(places, commit_of(3), &read));
	assert_int_equal(read.count, 3);
	/* It is there after a restart. */
	places_close(places);
	store_close(&store);
	store_open(&store, STORE_SIZE);
	places = places_open(store.db, 100, &store.err);
	assert_string_equal(ref_of(places, 3, 8), "refs/heads/eight");
	places_close(places);
	store_end(&store);
}

/* A search that began before the webhook came must not undo it. */
static void test_a_set_keeps_what_was_learned(void **state)
{
	struct place nowhere = {.count = 0, .expires_ms = 77, .waited_ms = 5}, read;
	struct place other = {.count = 1, .repos = {9}};
	struct store store;

	(void)state;
	store_begin(&store);
	struct places *places = places_open(store.db, 100, &store.err);
	assert_true(places_learn(places, commit_of(1), 7, "refs/heads/one", NULL));
	assert_true(places_set_commit(places, commit_of(1), &nowhere, NULL));
	assert_string_equal(ref_of(places, 1, 7), "refs/heads/one");
	assert_true(places_commit(places, commit_of(1), &read));
	assert_int_equal(read.count, 1);
	assert_int_equal(read.expires_ms, 0);
	assert_true(places_set_commit(places, commit_of(1), &other, NULL));
	assert_string_equal(ref_of(places, 1, 7), "refs/heads/one");
	assert_true(places_commit(places, commit_of(1), &read));
	assert_int_equal(read.count, 2);
	assert_int_equal(read.repos[0], 9);
	assert_int_equal(read.repos[1], 7);
	places_close(places);
	store_end(&store);
}

static void test_what_is_known_is_not_written_again(void **state)
{
	struct store store;

	(void)state;
	store_begin(&store);
	struct places *places = places_open(store.db, 100, &store.err);
	assert_true(places_learn(places, commit_of(1), 7, "refs/heads/one", NULL));
	store_commit(&store);
	uint64_t commits = db_commits(store.db);
	for (int i = 0; i < 3; i++)
		assert_true(places_learn(places, commit_of(1), 7, "refs/heads/one", NULL));
	store_commit(&store);
	assert_int_equal(db_commits(store.db), commits); /* there was nothing to commit */
	assert_true(places_learn(places, commit_of(1), 7, "refs/heads/two", NULL));
	store_commit(&store);
	assert_int_equal(db_commits(store.db), commits + 1);
	places_close(places);
	store_end(&store);
}

static void test_refs_are_bounded(void **state)
{
	char ref[PLACES_REF_MAX + 2];
	struct place read;
	struct store store;

	(void)state;
	store_begin(&store);
	struct places *places = places_open(store.db, 100, &store.err);
	memset(ref, 'r', sizeof(ref));
	ref[PLACES_REF_MAX + 1] = '\0';
	assert_true(places_learn(places, commit_of(1), 1, ref, NULL)); /* too long: not kept */
	assert_string_equal(ref_of(places, 1, 1), "none");
	ref[PLACES_REF_MAX] = '\0';
	for (uint32_t repo = 1; repo <= 20; repo++)
		assert_true(places_learn(places, commit_of(1), repo, ref, NULL));
	for (uint32_t repo = 1; repo <= 20; repo++) /* the newest four */
		assert_int_equal(strcmp(ref_of(places, 1, repo), "none") != 0, repo > 16);
	assert_true(places_commit(places, commit_of(1), &read));
	assert_int_equal(read.count, PLACES_REPOS);
	for (uint32_t repo = 1; repo <= 40; repo++) /* short ones: as many as repositories */
		assert_true(places_learn(places, commit_of(2), repo, "refs/heads/x", NULL));
	for (uint32_t repo = 1; repo <= 40; repo++)
		assert_int_equal(strcmp(ref_of(places, 2, repo), "none") != 0, repo > 24);
	places_close(places);
	store_end(&store);
}

/* set u64 | expires u64 | waited u64 | count u32 | repositories u32: nothing behind. */
static void test_rows_of_the_first_format_are_read(void **state)
{
	unsigned char key[20], row[36] = {0};
	struct store store;
	struct place read;

	(void)state;
	store_begin(&store);
	struct places *places = places_open(store.db, 100, &store.err);
	for (int i = 0; i < 20; i++) {
		unsigned byte;
		assert_int_equal(sscanf(commit_of(5) + 2 * i, "%2x", &byte), 1);
		key[i] = (unsigned char)byte;
	}
	row[0] = 1;
	row[24] = 2; /* two of them, little-endian */
	row[28] = 11;
	row[32] = 12;
	assert_true(db_put(store.db, DB_PLACE, key, sizeof(key), row, sizeof(row), 0, NULL));
	assert_true(places_learn(places, commit_of(6), 1, "refs/heads/x", NULL));
	assert_true(places_commit(places, commit_of(5), &read));
	assert_int_equal(read.count, 2);
	assert_int_equal(read.repos[1], 12);
	assert_string_equal(ref_of(places, 5, 11), "none");
	assert_true(places_learn(places, commit_of(5), 12, "refs/heads/y", NULL));
	assert_string_equal(ref_of(places, 5, 12), "refs/heads/y");
	assert_true(places_commit(places, commit_of(5), &read));
	assert_int_equal(read.count, 2);
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
	    cmocka_unit_test(test_refs_are_learned),
	    cmocka_unit_test(test_a_set_keeps_what_was_learned),
	    cmocka_unit_test(test_what_is_known_is_not_written_again),
	    cmocka_unit_test(test_refs_are_bounded),
	    cmocka_unit_test(test_rows_of_the_first_format_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
