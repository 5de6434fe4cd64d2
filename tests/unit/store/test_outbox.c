#include "unit/store/store_test.h"

#include "store/outbox.h"

struct seen {
	unsigned count;
	unsigned next; /* the number that must come */
};

static void see(const struct outbox_result *result, void *arg)
{
	struct seen *seen = arg;
	char id[32];

	snprintf(id, sizeof(id), "id-%u", seen->next);
	assert_string_equal(result->id, id);
	assert_int_equal(result->outcome, seen->next % 2 ? UPDATE_REJECTED : UPDATE_DELIVERED);
	assert_string_equal(result->error, seen->next % 2 ? "it said no" : "");
	seen->next++;
	seen->count++;
}

static void add(struct outbox *outbox, unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++) {
		char id[32];
		snprintf(id, sizeof(id), "id-%u", i);
		outbox_add(outbox, id, i % 2 ? UPDATE_REJECTED : UPDATE_DELIVERED,
		    i % 2 ? "it said no" : "");
	}
}

static void test_results_are_shown_once_committed_until_taken(void **state)
{
	struct store store;
	struct seen seen = {0};
	uint64_t token = 9;

	(void)state;
	store_begin(&store);
	struct outbox *outbox = outbox_open(store.db, &store.err);
	assert_int_equal(outbox_peek(outbox, 100, see, &seen, &token), 0);
	assert_int_equal(token, 0);
	add(outbox, 0, 100);
	assert_int_equal(outbox_peek(outbox, 100, see, &seen, &token), 0);
	store_commit(&store);
	assert_true(outbox_rows(outbox) <= 4); /* bytes, not rows */
	assert_int_equal(outbox_peek(outbox, 100, see, &seen, &token), 100);
	assert_int_equal(outbox_results(outbox), 100);
	/* Not taken: shown again, also after a restart. */
	outbox_close(outbox);
	store_close(&store);
	store_open(&store, STORE_SIZE);
	outbox = outbox_open(store.db, &store.err);
	seen.next = 0;
	assert_int_equal(outbox_peek(outbox, 100, see, &seen, &token), 100);
	/* What comes while Eyes is asked is not what Eyes took. */
	add(outbox, 100, 10);
	store_commit(&store);
	assert_true(outbox_done(outbox, token, &store.err));
	assert_int_equal(outbox_peek(outbox, 100, see, &seen, &token), 10);
	assert_true(outbox_done(outbox, token, &store.err));
	assert_int_equal(outbox_rows(outbox), 0);
	outbox_close(outbox);
	store_end(&store);
}

static void test_a_peek_is_bounded(void **state)
{
	struct store store;
	struct seen seen = {0};
	uint64_t token;
	unsigned got, rounds = 0;

	(void)state;
	store_begin(&store);
	struct outbox *outbox = outbox_open(store.db, &store.err);
	add(outbox, 0, 5000);
	store_commit(&store);
	assert_true(outbox_peek(outbox, 1, see, &seen, &token) < 100);
	seen.next = 0;
	while ((got = outbox_peek(outbox, 1000, see, &seen, &token)) > 0) {
		assert_true(got < 640);
		assert_true(outbox_done(outbox, token, &store.err));
		rounds++;
	}
	assert_int_equal(seen.next, 5000);
	assert_true(rounds <= 10);
	/* While Eyes is away: the oldest go. */
	add(outbox, 0, 5000);
	store_commit(&store);
	uint64_t rows = outbox_rows(outbox);
	assert_int_equal(outbox_trim(outbox, rows), 0);
	assert_int_equal(outbox_trim(outbox, rows - 3), 3);
	assert_int_equal(outbox_rows(outbox), rows - 3);
	outbox_close(outbox);
	store_end(&store);
}

static void test_close_writes_what_is_left(void **state)
{
	struct store store;
	struct seen seen = {0};
	uint64_t token;

	(void)state;
	store_begin(&store);
	struct outbox *outbox = outbox_open(store.db, &store.err);
	add(outbox, 0, 3);
	outbox_close(outbox);
	store_close(&store);
	store_open(&store, STORE_SIZE);
	outbox = outbox_open(store.db, &store.err);
	assert_int_equal(outbox_peek(outbox, 10, see, &seen, &token), 3);
	outbox_close(outbox);
	store_end(&store);
}

static void test_long_texts_fit(void **state)
{
	struct store store;
	char id[UPDATE_ID_MAX + 1], error[2000];
	uint64_t token;

	(void)state;
	store_begin(&store);
	struct outbox *outbox = outbox_open(store.db, &store.err);
	memset(id, 'i', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	memset(error, 'e', sizeof(error) - 1);
	error[sizeof(error) - 1] = '\0';
	for (int i = 0; i < 50; i++)
		outbox_add(outbox, id, UPDATE_REJECTED, error);
	store_commit(&store);
	unsigned rows = (unsigned)outbox_rows(outbox);
	assert_true(rows >= 10 && rows <= 25);
	assert_int_equal(outbox_trim(outbox, 0), rows);
	assert_int_equal(outbox_rows(outbox), 0);
	assert_int_equal(outbox_peek(outbox, 10, NULL, NULL, &token), 0);
	outbox_close(outbox);
	store_end(&store);
}

static void test_a_lost_group_takes_its_results_along(void **state)
{
	static char big[2000];
	struct store store;
	struct seen seen = {0};
	uint64_t token;
	unsigned i = 0;
	char key[16];

	(void)state;
	store_folder(&store);
	store_open(&store, 1 << 20);
	struct outbox *outbox = outbox_open(store.db, &store.err);
	add(outbox, 0, 5);
	store_commit(&store);
	add(outbox, 5, 5);
	do
		snprintf(key, sizeof(key), "%08u", i++);
	while (db_put(store.db, DB_AUDIT, key, 8, big, sizeof(big), 0, NULL));
	store_commit(&store);
	assert_int_equal(outbox_peek(outbox, 100, see, &seen, &token), 5);
	add(outbox, 5, 2); /* what happened then is told */
	store_commit(&store);
	seen.next = 0;
	assert_int_equal(outbox_peek(outbox, 100, see, &seen, &token), 7);
	outbox_close(outbox);
	store_end(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_results_are_shown_once_committed_until_taken),
	    cmocka_unit_test(test_a_peek_is_bounded),
	    cmocka_unit_test(test_close_writes_what_is_left),
	    cmocka_unit_test(test_long_texts_fit),
	    cmocka_unit_test(test_a_lost_group_takes_its_results_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
