/* journal and audit: the two rings. */
#include "unit/store/store_test.h"

#include "store/audit.h"
#include "store/journal.h"

struct seen {
	unsigned count, stop_after;
	uint64_t numbers[64];
};

static bool see(const struct journal_row *row, void *arg)
{
	struct seen *seen = arg;

	assert_string_equal(row->commit, "c0ffee");
	assert_string_equal(row->key, "k");
	assert_string_equal(row->code, "http_400");
	assert_string_equal(row->error, "no");
	assert_int_equal(row->state, UPDATE_FAILED);
	assert_int_equal(row->outcome, UPDATE_REJECTED);
	assert_int_equal(row->ended_ms, 5);
	assert_int_equal(row->received_ms, 4);
	assert_int_equal(row->repo, 7);
	assert_int_equal(row->attempts, 3);
	seen->numbers[seen->count++ % 64] = row->number;
	return seen->count != seen->stop_after;
}

static void add(struct journal *journal, unsigned count)
{
	struct journal_row row = {.ended_ms = 5,
	    .received_ms = 4,
	    .repo = 7,
	    .commit = "c0ffee",
	    .key = "k",
	    .state = UPDATE_FAILED,
	    .outcome = UPDATE_REJECTED,
	    .attempts = 3,
	    .code = "http_400",
	    .error = "no"};
	uint64_t before = 0;

	for (unsigned i = 0; i < count; i++) {
		journal_add(journal, &row);
		assert_true(row.number > before);
		before = row.number;
	}
}

static void test_the_journal_is_resumable(void **state)
{
	struct store store;
	struct seen seen = {0};

	(void)state;
	store_begin(&store);
	struct journal *journal = journal_open(store.db, 100, &store.err);
	journal_latest(journal, 10, see, &seen);
	assert_int_equal(seen.count, 0);
	add(journal, 5);
	journal_latest(journal, 3, see, &seen);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.numbers[0], 5);
	assert_int_equal(seen.numbers[2], 3);
	seen = (struct seen){.stop_after = 2};
	journal_since(journal, 1, 10, see, &seen);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.numbers[0], 2);
	assert_int_equal(seen.numbers[1], 3);
	seen = (struct seen){0};
	journal_since(journal, 5, 10, see, &seen);
	journal_since(journal, UINT64_MAX, 10, see, &seen);
	assert_int_equal(seen.count, 0);
	journal_close(journal);
	store_close(&store);
	store_open(&store, STORE_SIZE);
	journal = journal_open(store.db, 100, &store.err);
	add(journal, 1); /* numbers go on */
	journal_since(journal, 5, 10, see, &seen);
	assert_int_equal(seen.numbers[0], 6);
	journal_close(journal);
	store_end(&store);
}

static void test_the_journal_is_bounded(void **state)
{
	struct store store;
	struct seen seen = {0};

	(void)state;
	store_begin(&store);
	struct journal *journal = journal_open(store.db, 20, &store.err);
	add(journal, 50);
	assert_int_equal(journal_trim(journal, 10), 10);
	assert_int_equal(journal_trim(journal, 100), 20);
	assert_int_equal(journal_trim(journal, 100), 0);
	journal_since(journal, 0, 100, see, &seen);
	assert_int_equal(seen.count, 20);
	assert_int_equal(seen.numbers[0], 31);
	journal_close(journal);
	store_end(&store);
}

static void test_long_errors_are_cut(void **state)
{
	struct store store;
	char error[5000];
	struct journal_row row = {.commit = "c", .key = "k", .code = "x", .error = error};

	(void)state;
	store_begin(&store);
	memset(error, 'e', sizeof(error) - 1);
	error[sizeof(error) - 1] = '\0';
	struct journal *journal = journal_open(store.db, 20, &store.err);
	journal_add(journal, &row);
	assert_int_equal(row.number, 1);
	struct db_bytes key, value;
	assert_int_equal(db_find_last(store.db, DB_RECENT, &key, &value), 1);
	assert_true(value.length < 500);
	journal_close(journal);
	store_end(&store);
}

static void add_of(
    struct journal *journal, uint32_t repo, enum update_state state, enum update_outcome outcome)
{
	int64_t now = clock_wall_ms();
	struct journal_row row = {.ended_ms = now,
	    .received_ms = now - 100,
	    .repo = repo,
	    .state = state,
	    .outcome = outcome,
	    .commit = "c",
	    .key = "k",
	    .code = "",
	    .error = ""};

	journal_add(journal, &row);
}

static void assert_last(
    struct journal *journal, uint32_t repo, enum update_state state, enum update_outcome outcome)
{
	const struct journal_last *last = journal_last(journal, repo);

	assert_non_null(last);
	assert_int_equal(last->state, state);
	assert_int_equal(last->outcome, outcome);
	assert_true(last->ended_ms > 0);
}

static struct journal *reopened(struct store *store, struct journal *journal, uint64_t limit)
{
	journal_close(journal);
	store_close(store);
	store_open(store, STORE_SIZE);
	return journal_open(store->db, limit, &store->err);
}

static void test_the_last_of_each_repository(void **state)
{
	struct store store;

	(void)state;
	store_begin(&store);
	struct journal *journal = journal_open(store.db, 20, &store.err);
	add_of(journal, 7, UPDATE_FAILED, UPDATE_DELIVERED);
	add_of(journal, 8, UPDATE_INPROGRESS, UPDATE_EXPIRED);
	add_of(journal, 8, UPDATE_SUCCESSFUL, UPDATE_REJECTED);
	assert_null(journal_last(journal, 9));
	for (int times = 0; times < 3; times++) {
		assert_last(journal, 7, UPDATE_FAILED, UPDATE_DELIVERED);
		assert_last(journal, 8, UPDATE_SUCCESSFUL, UPDATE_REJECTED);
		journal = reopened(&store, journal, 20);
	}
	/* The others push its row out; what is known of it stays. */
	for (int i = 0; i < 30; i++)
		add_of(journal, 8, UPDATE_SUCCESSFUL, UPDATE_DELIVERED);
	assert_int_equal(journal_trim(journal, 100), 13);
	journal = reopened(&store, journal, 20);
	assert_last(journal, 7, UPDATE_FAILED, UPDATE_DELIVERED);
	assert_last(journal, 8, UPDATE_SUCCESSFUL, UPDATE_DELIVERED);
	assert_int_equal(db_count(store.db, DB_LAST), 1);
	add_of(journal, 7, UPDATE_CANCELLED, UPDATE_IGNORED);
	journal = reopened(&store, journal, 20);
	assert_last(journal, 7, UPDATE_CANCELLED, UPDATE_IGNORED); /* newer than the note */
	journal_close(journal);
	store_end(&store);
}

static void test_today(void **state)
{
	struct store store;
	int64_t now = clock_wall_ms();

	(void)state;
	store_begin(&store);
	struct journal *journal = journal_open(store.db, 20, &store.err);
	for (int i = 0; i < 30; i++)
		add_of(journal, 7, UPDATE_SUCCESSFUL, UPDATE_DELIVERED);
	add_of(journal, 7, UPDATE_SUCCESSFUL, UPDATE_DROPPED);
	const struct figures *figures = journal_figures(journal, now);
	if (figures->delivered < 30)
		skip(); /* midnight came in between */
	assert_int_equal(figures->delivered, 30);
	assert_in_range(figures_percentile_ms(figures, 50), 100, 106);
	assert_int_equal(figures->since_ms, figures->day_begins_ms);
	journal_trim(journal, 100);
	assert_int_equal(journal_figures(journal, now)->delivered, 30);
	journal = reopened(&store, journal, 20);
	figures = journal_figures(journal, now);
	assert_int_equal(figures->delivered, 19); /* what the rows tell, and from when */
	assert_true(figures->since_ms >= now);
	journal_close(journal);
	store_end(&store);
}

static void test_a_lost_group_is_not_known(void **state)
{
	struct store store;
	char huge[1 << 16];

	(void)state;
	store_begin(&store);
	struct journal *journal = journal_open(store.db, 1000, &store.err);
	add_of(journal, 7, UPDATE_FAILED, UPDATE_DELIVERED);
	store_turn(&store, DB_GROUP_MS + 5);
	assert_true(db_commit_now(store.db, &store.err));
	add_of(journal, 7, UPDATE_SUCCESSFUL, UPDATE_DELIVERED);
	add_of(journal, 8, UPDATE_SUCCESSFUL, UPDATE_DELIVERED);
	uint64_t lost = db_lost(store.db);
	memset(huge, 'x', sizeof(huge));
	for (uint32_t i = 0; db_lost(store.db) == lost; i++)
		(void)!db_put(store.db, DB_META, &i, sizeof(i), huge, sizeof(huge), DB_LAZY, NULL);
	assert_last(journal, 7, UPDATE_FAILED, UPDATE_DELIVERED);
	assert_null(journal_last(journal, 8));
	assert_int_equal(journal_figures(journal, clock_wall_ms())->delivered, 1);
	journal_close(journal);
	store_end(&store);
}

static bool see_audit(const struct audit_row *row, void *arg)
{
	unsigned *count = arg;

	assert_string_equal(row->who, "root (uid 0)");
	assert_string_equal(row->action, "repository.enable");
	assert_string_equal(row->subject, "PAY/web");
	assert_string_equal(row->detail, "");
	assert_true(row->time_ms > 0);
	(*count)++;
	return true;
}

static void test_the_audit(void **state)
{
	struct store store;
	unsigned count = 0;

	(void)state;
	store_begin(&store);
	struct audit *audit = audit_open(store.db, 3, &store.err);
	for (int i = 0; i < 5; i++)
		assert_true(audit_add(
		    audit, "root (uid 0)", "repository.enable", "PAY/web", "", &store.err));
	uint64_t commits = db_commits(store.db);
	store_turn(&store, 0); /* with the change that it tells of: urgent */
	assert_int_equal(db_commits(store.db), commits + 1);
	audit_latest(audit, 4, see_audit, &count);
	assert_int_equal(count, 4);
	assert_int_equal(audit_trim(audit, 100), 2);
	audit_latest(audit, 100, see_audit, &count);
	assert_int_equal(count, 7);
	audit_close(audit);
	store_end(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_journal_is_resumable),
	    cmocka_unit_test(test_the_journal_is_bounded),
	    cmocka_unit_test(test_long_errors_are_cut),
	    cmocka_unit_test(test_the_last_of_each_repository),
	    cmocka_unit_test(test_today),
	    cmocka_unit_test(test_a_lost_group_is_not_known),
	    cmocka_unit_test(test_the_audit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
