/* What a gap remembers is never older than the table. */
#include "unit/store/store_test.h"

#include "base/pack.h"
#include "store/gap.h"
#include <sys/resource.h>

enum { NUMBERS = 40, KEY = 6 };

static void key_of(unsigned char key[KEY], uint32_t number, unsigned char more)
{
	pack_key_u32(key, number);
	key[4] = 0;
	key[5] = more;
}

static void put(struct store *store, uint32_t number, unsigned char more)
{
	unsigned char key[KEY];

	key_of(key, number, more);
	assert_true(db_put(
	    store->db, DB_QUEUE, key, sizeof(key), &more, sizeof(more), DB_LAZY, &store->err));
}

static void del(struct store *store, uint32_t number, unsigned char more)
{
	unsigned char key[KEY];

	key_of(key, number, more);
	assert_true(db_del(store->db, DB_QUEUE, key, sizeof(key), DB_LAZY, &store->err));
}

/* The first entry of a number: its last byte, or -1. */
static int look(struct gap *gap, uint32_t number)
{
	struct db_bytes found, value;
	int is = gap_find(gap, number, &found, &value);

	assert_int_not_equal(is, -1);
	if (is == 0)
		return -1;
	assert_int_equal(found.length, KEY);
	assert_int_equal(unpack_key_u32(found.data), number);
	return *(const unsigned char *)value.data;
}

static void test_what_is_there_is_found(void **state)
{
	struct store store;
	struct gap gap;

	(void)state;
	store_begin(&store);
	gap_init(&gap, store.db, DB_QUEUE);
	assert_int_equal(look(&gap, 0), -1);
	assert_int_equal(look(&gap, UINT32_MAX), -1);
	put(&store, UINT32_MAX, 3);
	put(&store, 0, 9);
	put(&store, 7, 2);
	put(&store, 7, 1);
	assert_int_equal(look(&gap, 0), 9);
	for (uint32_t number = 1; number < 7; number++)
		assert_int_equal(look(&gap, number), -1);
	assert_int_equal(look(&gap, 7), 1);
	assert_int_equal(look(&gap, 8), -1);
	assert_int_equal(look(&gap, UINT32_MAX - 1), -1);
	assert_int_equal(look(&gap, UINT32_MAX), 3);
	assert_int_equal(look(&gap, 6), -1);
	store_end(&store);
}

static void test_every_write_counts_at_once(void **state)
{
	int first[NUMBERS];
	uint32_t random = 1;
	struct store store;
	struct gap gap;

	(void)state;
	store_begin(&store);
	gap_init(&gap, store.db, DB_QUEUE);
	for (int i = 0; i < NUMBERS; i++)
		first[i] = -1;
	for (int step = 0; step < 3000; step++) {
		uint32_t number;

		random = random * 1664525 + 1013904223;
		number = (random >> 16) % NUMBERS;
		if (first[number] < 0) {
			put(&store, number, 5);
			first[number] = 5;
		} else {
			del(&store, number, 5);
			first[number] = -1;
		}
		if (step % 7 == 0)
			store_commit(&store);
		for (uint32_t look_at = number; look_at < NUMBERS; look_at++)
			assert_int_equal(look(&gap, look_at), first[look_at]);
		assert_int_equal(look(&gap, number / 2), first[number / 2]);
	}
	store_end(&store);
}

static void test_a_lost_group_counts(void **state)
{
	struct store store;
	struct gap gap;

	(void)state;
	store_begin(&store);
	gap_init(&gap, store.db, DB_QUEUE);
	put(&store, 5, 1);
	store_commit(&store);
	del(&store, 5, 1);
	assert_int_equal(look(&gap, 5), -1);
	assert_int_equal(look(&gap, 4), -1);
	store_lose_group(&store);
	assert_int_equal(look(&gap, 5), 1);
	store_end(&store);
}

/* A commit that fails takes back what was seen since the last write. */
static void test_a_failed_commit_counts(void **state)
{
	struct rlimit own, tiny;
	struct store store;
	struct gap gap;

	(void)state;
	store_begin(&store);
	gap_init(&gap, store.db, DB_QUEUE);
	put(&store, 5, 1);
	store_commit(&store);
	del(&store, 5, 1);
	assert_int_equal(look(&gap, 5), -1);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &own), 0);
	tiny = (struct rlimit){.rlim_cur = 1, .rlim_max = own.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tiny), 0);
	assert_false(db_commit_now(store.db, &store.err));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &own), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(look(&gap, 5), 1);
	store_end(&store);
}

static void test_changes_rise_with_what_is_written(void **state)
{
	unsigned char key[KEY];
	struct store store;
	uint64_t before;

	(void)state;
	store_begin(&store);
	key_of(key, 1, 1);
	before = db_changes(store.db);
	store_commit(&store);
	assert_int_equal(db_get(store.db, DB_QUEUE, key, sizeof(key), NULL), 0);
	assert_int_equal(db_changes(store.db), before);
	put(&store, 1, 1);
	assert_true(db_changes(store.db) > before);
	before = db_changes(store.db);
	store_commit(&store);
	assert_int_equal(db_changes(store.db), before);
	assert_int_equal(
	    db_add(store.db, DB_QUEUE, key, sizeof(key), "x", 1, DB_LAZY, &store.err), 0);
	del(&store, 1, 1);
	assert_true(db_changes(store.db) > before);
	before = db_changes(store.db);
	assert_int_equal(db_put_parts(store.db, DB_QUEUE, key, sizeof(key),
	                     &(struct db_bytes){"x", 1}, 1, DB_LAZY, &store.err),
	    1);
	assert_true(db_changes(store.db) > before);
	before = db_changes(store.db);
	store_lose_group(&store);
	assert_true(db_changes(store.db) > before);
	store_end(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_there_is_found),
	    cmocka_unit_test(test_every_write_counts_at_once),
	    cmocka_unit_test(test_a_lost_group_counts),
	    cmocka_unit_test(test_a_failed_commit_counts),
	    cmocka_unit_test(test_changes_rise_with_what_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
