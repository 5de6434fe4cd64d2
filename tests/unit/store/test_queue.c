#include "unit/store/queue_test.h"

#define FOREVER INT64_C(4000000000000)

/* ---- put once, newest wins ---- */

static void test_an_update_comes_out_as_it_went_in(void **state)
{
	struct desk desk;

	(void)state;
	desk_begin(&desk);
	uint64_t number = desk_put(&desk, (struct item){.id = "a", .sequence = 7, .commit = 9});
	struct queue_entry *entry = desk_claim(&desk, 1, QUEUE_RUNNING);
	assert_non_null(entry);
	assert_int_equal(entry->number, number);
	assert_string_equal(entry->id, "a");
	assert_string_equal(entry->update.key, "k");
	assert_string_equal(entry->update.name, "name");
	assert_string_equal(entry->update.description, "12 passed");
	assert_string_equal(entry->update.url, "https://eyes.example.com/b/1");
	assert_string_equal(entry->update.ref, "refs/heads/x");
	assert_string_equal(entry->update.commit, "0000000000000000000000000000000000000009");
	assert_true(entry->update.has_tests && entry->update.tests.skipped == 3);
	assert_true(entry->order.has_sequence && entry->order.sequence == 7);
	assert_int_equal(entry->update.state, UPDATE_INPROGRESS);
	assert_int_equal(entry->kind, QUEUE_SET);
	assert_int_equal(entry->attempts, 0);
	assert_true(entry->first_try_ms > 0 && entry->claimed);
	assert_int_equal(desk_counts(&desk).claimed, 1);
	desk_done(&desk, entry, 0);
	desk_expect(&desk, 0, "a", UPDATE_DELIVERED);
	assert_int_equal(desk.results[0].number, number);
	assert_int_equal(desk.results[0].attempts, 1);
	assert_int_equal(desk_counts(&desk).waiting, 0);
	assert_null(desk_claim(&desk, 1, QUEUE_RUNNING));
	desk_end(&desk);
}

static void test_an_id_is_put_once(void **state)
{
	struct desk desk;
	struct item item = {.id = "a"};

	(void)state;
	desk_begin(&desk);
	desk_put(&desk, item);
	assert_int_equal(desk_try(&desk, &item, NULL), QUEUE_PUT_KNOWN);
	desk_done(&desk, desk_claim(&desk, 1, QUEUE_RUNNING), 0);
	assert_int_equal(desk_try(&desk, &item, NULL), QUEUE_PUT_KNOWN);
	desk_again(&desk);
	assert_int_equal(desk_try(&desk, &item, NULL), QUEUE_PUT_KNOWN);
	/* Also when many others of its target came since. */
	for (int i = 0; i < 40; i++) {
		char id[32];
		snprintf(id, sizeof(id), "more-%d", i);
		desk_put(&desk, (struct item){.id = id});
		assert_int_equal(desk_try(&desk, &item, NULL), QUEUE_PUT_KNOWN);
	}
	assert_int_equal(desk_counts(&desk).waiting, 1);
	/* Who has no id is always new. */
	desk_put(&desk, (struct item){.id = "", .commit = 5});
	desk_put(&desk, (struct item){.id = "", .commit = 5});
	desk_end(&desk);
}

static void test_what_ends_unqueued_is_remembered_and_told(void **state)
{
	struct desk desk;
	struct err *err = &desk.store.err;

	(void)state;
	desk_begin(&desk);
	assert_int_equal(queue_put_ended(desk.queue, "bad", 0, NULL, UPDATE_REJECTED, "invalid",
	                     "commit: expected 40 hex digits", err),
	    QUEUE_PUT_NEW);
	desk_expect(&desk, 0, "bad", UPDATE_REJECTED);
	assert_string_equal(desk.results[0].code, "invalid");
	assert_int_equal(desk.results[0].number, 0);
	assert_int_equal(
	    queue_put_ended(desk.queue, "bad", 0, NULL, UPDATE_REJECTED, "invalid", "", err),
	    QUEUE_PUT_KNOWN);
	struct item item = {.id = "bad"};
	assert_int_equal(desk_try(&desk, &item, NULL), QUEUE_PUT_KNOWN);
	/* What was queued for a target is known there too. */
	desk_put(&desk, (struct item){.id = "good"});
	struct update update = {.commit = "0000000000000000000000000000000000000000", .key = "k"};
	assert_int_equal(
	    queue_put_ended(desk.queue, "good", 1, &update, UPDATE_IGNORED, "", "", err),
	    QUEUE_PUT_KNOWN);
	assert_int_equal(desk.count, 1);
	desk_end(&desk);
}

struct order_case {
	struct item first, second;
	bool second_is_newer;
};

static void test_which_of_two_is_newer(void **state)
{
	static const struct order_case cases[] = {
	    {{.sequence = 1}, {.sequence = 2}, true},
	    {{.sequence = 2}, {.sequence = 1}, false},
	    {{.sequence = 2}, {.sequence = 2}, true}, /* the same: arrival */
	    {{.sequence = 2, .created_ms = 5}, {.sequence = 1, .created_ms = 9}, false},
	    {{.created_ms = 5}, {.created_ms = 6}, true},
	    {{.created_ms = 6}, {.created_ms = 5}, false},
	    {{.created_ms = 6}, {.created_ms = 6}, true},
	    {{.created_ms = 6}, {.created_ms = 0}, true},
	    {{.sequence = 9}, {.sequence = 0}, true}, /* one without: arrival */
	    {{.sequence = 9, .created_ms = 6}, {.created_ms = 5}, false},
	    {{.sequence = 0}, {.sequence = 0}, true},
	    {{.sequence = -5}, {.sequence = -6}, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct desk desk;
		struct item first = cases[i].first, second = cases[i].second;
		desk_begin(&desk);
		first.id = "first";
		second.id = "second";
		second.state = UPDATE_FAILED; /* another lane: still the same target */
		desk_put(&desk, first);
		enum queue_put put = desk_try(&desk, &second, NULL);
		assert_int_equal(put, cases[i].second_is_newer ? QUEUE_PUT_NEW : QUEUE_PUT_OLDER);
		assert_int_equal(desk.count, 1);
		desk_expect(
		    &desk, 0, cases[i].second_is_newer ? "first" : "second", UPDATE_SUPERSEDED);
		assert_int_equal(desk_counts(&desk).waiting, 1);
		struct queue_entry *entry =
		    desk_claim(&desk, 1, cases[i].second_is_newer ? QUEUE_FINAL : QUEUE_RUNNING);
		assert_string_equal(entry->id, cases[i].second_is_newer ? "second" : "first");
		desk_done(&desk, entry, 0);
		/* The order outlives delivery and restart: an old one is never sent after it. */
		if (first.sequence > 1) {
			desk_again(&desk);
			struct item old = {.id = "old", .sequence = first.sequence - 1};
			assert_int_equal(desk_try(&desk, &old, NULL), QUEUE_PUT_OLDER);
			assert_int_equal(desk_try(&desk, &old, NULL), QUEUE_PUT_KNOWN);
		}
		desk_end(&desk);
	}
}

static void test_other_targets_are_left_alone(void **state)
{
	struct desk desk;

	(void)state;
	desk_begin(&desk);
	desk_put(&desk, (struct item){.id = "a"});
	desk_put(&desk, (struct item){.id = "b", .key = "k2"});
	desk_put(&desk, (struct item){.id = "c", .commit = 1});
	desk_put(&desk, (struct item){.id = "d", .repo = 2});
	assert_int_equal(desk.count, 0);
	assert_int_equal(desk_counts(&desk).waiting, 4);
	assert_int_equal(queue_count_repo(desk.queue, 1, 100), 3);
	assert_int_equal(queue_count_repo(desk.queue, 1, 2), 2);
	assert_int_equal(queue_count_repo(desk.queue, 2, 100), 1);
	assert_int_equal(queue_count_repo(desk.queue, 3, 100), 0);
	assert_true(queue_has(desk.queue, 2, QUEUE_RUNNING));
	assert_false(queue_has(desk.queue, 2, QUEUE_FINAL));
	assert_false(queue_has(desk.queue, 3, QUEUE_RUNNING));
	desk_end(&desk);
}

static void test_full_changes_nothing(void **state)
{
	struct desk desk;
	struct item third = {.id = "c", .commit = 3};

	(void)state;
	desk_begin(&desk);
	queue_close(desk.queue);
	desk.options.limit = 2;
	desk_open_queue(&desk);
	desk_put(&desk, (struct item){.id = "a", .commit = 1});
	desk_put(&desk, (struct item){.id = "b", .commit = 2});
	assert_int_equal(desk_try(&desk, &third, NULL), QUEUE_PUT_FULL);
	assert_int_equal(
	    desk_try(&desk, &(struct item){.id = "a", .commit = 1}, NULL), QUEUE_PUT_KNOWN);
	assert_int_equal(queue_put_ended(desk.queue, "x", 0, NULL, UPDATE_REJECTED, "", "", NULL),
	    QUEUE_PUT_FULL);
	assert_int_equal(desk_counts(&desk).waiting, 2);
	assert_int_equal(desk.count, 0);
	desk_done(&desk, desk_claim(&desk, 1, QUEUE_RUNNING), 0);
	desk_put(&desk, third); /* it was not remembered */
	desk_end(&desk);
}

/* ---- claims ---- */

static void test_newest_or_oldest_first_and_final_apart(void **state)
{
	struct desk desk;
	struct queue_entry *entry;

	(void)state;
	for (int oldest = 0; oldest < 2; oldest++) {
		desk_begin(&desk);
		for (unsigned i = 0; i < 5; i++)
			desk_put(&desk, (struct item){.id = "x", .commit = i, .repo = 2});
		desk_put(&desk, (struct item){.id = "f", .state = UPDATE_FAILED, .repo = 2});
		desk_put(&desk, (struct item){.id = "o", .repo = 1});
		desk_put(&desk, (struct item){.id = "o", .repo = 3});
		for (unsigned i = 0; i < 4; i++) {
			assert_true(queue_claim(desk.queue, 2, QUEUE_RUNNING, oldest, &entry));
			assert_int_equal(entry->number, oldest ? i + 2 : 5 - i);
		}
		assert_false(queue_claim(desk.queue, 2, QUEUE_RUNNING, oldest, &entry));
		assert_true(queue_claim(desk.queue, 2, QUEUE_FINAL, oldest, &entry));
		assert_string_equal(entry->id, "f");
		assert_false(queue_claim(desk.queue, 2, QUEUE_FINAL, oldest, &entry));
		desk_end(&desk);
	}
}

static void test_a_target_in_flight_is_passed_over(void **state)
{
	struct desk desk;

	(void)state;
	desk_begin(&desk);
	desk_put(&desk, (struct item){.id = "other", .commit = 1});
	desk_put(&desk, (struct item){.id = "first"});
	struct queue_entry *first = desk_claim(&desk, 1, QUEUE_RUNNING);
	assert_string_equal(first->id, "first");
	desk_put(&desk, (struct item){.id = "second"});
	assert_int_equal(desk.count, 0); /* not superseded: it is under way */
	struct queue_entry *other = desk_claim(&desk, 1, QUEUE_RUNNING);
	assert_string_equal(other->id, "other");
	assert_null(desk_claim(&desk, 1, QUEUE_RUNNING));
	/* A third replaces the waiting second. */
	desk_put(&desk, (struct item){.id = "third"});
	desk_expect(&desk, 0, "second", UPDATE_SUPERSEDED);
	assert_null(desk_claim(&desk, 1, QUEUE_RUNNING));
	desk_done(&desk, first, 0);
	struct queue_entry *third = desk_claim(&desk, 1, QUEUE_RUNNING);
	assert_string_equal(third->id, "third");
	desk_done(&desk, third, 0);
	desk_done(&desk, other, 0);
	assert_int_equal(desk_counts(&desk).waiting, 0);
	desk_end(&desk);
}

/* Claims in every order of events against a plain list of what should be claimable. */
static void test_claims_never_skip_or_repeat(void **state)
{
	enum { MANY = 60, STEPS = 6000 };
	struct queue_entry *held[MANY] = {NULL};
	bool waits[100000] = {false};
	unsigned waiting = 0;
	struct desk desk;

	(void)state;
	srand(1);
	desk_begin(&desk);
	desk.mute = true;
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned slot = (unsigned)rand() % MANY;
		unsigned what = (unsigned)rand() % 8;
		bool oldest = rand() % 4 == 0;
		if (what < 3) {
			waits[desk_put(&desk, (struct item){.id = "", .commit = step})] = true;
			waiting++;
		} else if (what < 6 && held[slot] == NULL) {
			bool got = queue_claim(desk.queue, 1, QUEUE_RUNNING, oldest, &held[slot]);
			assert_int_equal(got, waiting > 0);
			if (!got)
				continue;
			uint64_t number = held[slot]->number;
			assert_true(waits[number]);
			for (uint64_t i = 1; i <= step + 1; i++)
				assert_false(waits[i] && (oldest ? i < number : i > number));
			waits[number] = false;
			waiting--;
		} else if (held[slot] != NULL) {
			uint64_t number = held[slot]->number;
			if (what == 6) {
				queue_release(desk.queue, held[slot]);
				waits[number] = true;
				waiting++;
			} else if (rand() % 4 == 0) {
				assert_true(
				    queue_later(desk.queue, held[slot], 1, "busy", "", 0, NULL));
				assert_int_equal(desk_due(&desk, 1), 1);
				waits[number] = true;
				waiting++;
			} else {
				desk_done(&desk, held[slot], 0);
			}
			held[slot] = NULL;
		}
	}
	for (unsigned slot = 0; slot < MANY; slot++)
		if (held[slot] != NULL)
			desk_done(&desk, held[slot], 0);
	assert_int_equal(desk_counts(&desk).waiting, waiting);
	desk_end(&desk);
}

/* ---- later ---- */

static void test_later_comes_back_when_due(void **state)
{
	struct desk desk;
	unsigned repos = 0;

	(void)state;
	desk_begin(&desk);
	for (uint32_t repo = 1; repo <= 3; repo++) {
		desk_put(&desk, (struct item){.id = "x", .repo = repo});
		struct queue_entry *entry = desk_claim(&desk, repo, QUEUE_RUNNING);
		assert_true(queue_later(
		    desk.queue, entry, 1000 * repo, "http_503", "503 from the server", 0, NULL));
	}
	assert_int_equal(queue_next_due(desk.queue), 1000);
	assert_int_equal(desk_counts(&desk).later, 3);
	assert_int_equal(desk_counts(&desk).waiting, 3);
	assert_null(desk_claim(&desk, 1, QUEUE_RUNNING));
	assert_int_equal(queue_due(desk.queue, 999, 100, desk_touched, &repos), 1000);
	assert_int_equal(repos, 0);
	assert_int_equal(queue_due(desk.queue, 2000, 100, desk_touched, &repos), 3000);
	assert_int_equal(repos, 2);
	struct queue_entry *entry = desk_claim(&desk, 1, QUEUE_RUNNING);
	assert_int_equal(entry->attempts, 1);
	assert_string_equal(entry->last_code, "http_503");
	assert_string_equal(entry->last_error, "503 from the server");
	desk_done(&desk, entry, 0);
	assert_int_equal(desk.results[0].attempts, 2);
	desk_again(&desk);
	assert_int_equal(desk_counts(&desk).later, 1);
	assert_int_equal(queue_due(desk.queue, FOREVER, 0, desk_touched, &repos), 3000);
	assert_int_equal(queue_due(desk.queue, FOREVER, 1, desk_touched, &repos), 0);
	assert_int_equal(queue_next_due(desk.queue), 0);
	assert_non_null(desk_claim(&desk, 3, QUEUE_RUNNING));
	desk_end(&desk);
}

static void test_a_newer_one_replaces_what_is_later(void **state)
{
	struct desk desk;

	(void)state;
	desk_begin(&desk);
	desk_put(&desk, (struct item){.id = "old"});
	assert_true(queue_later(
	    desk.queue, desk_claim(&desk, 1, QUEUE_RUNNING), FOREVER, "x", "", 0, NULL));
	desk_put(&desk, (struct item){.id = "new", .state = UPDATE_SUCCESSFUL});
	desk_expect(&desk, 0, "old", UPDATE_SUPERSEDED);
	assert_int_equal(desk.results[0].attempts, 1);
	assert_int_equal(desk_counts(&desk).waiting, 1);
	assert_int_equal(desk_counts(&desk).later, 0);
	/* And what would go to LATER while a newer one waits ends there and then. */
	struct queue_entry *entry = desk_claim(&desk, 1, QUEUE_FINAL);
	desk_put(&desk, (struct item){.id = "newest"});
	assert_true(queue_later(desk.queue, entry, FOREVER, "x", "", 0, NULL));
	desk_expect(&desk, 1, "new", UPDATE_SUPERSEDED);
	assert_int_equal(desk_counts(&desk).later, 0);
	entry = desk_claim(&desk, 1, QUEUE_RUNNING);
	assert_string_equal(entry->id, "newest");
	/* Released while a newer one waits: the same. */
	desk_put(&desk, (struct item){.id = "last"});
	queue_release(desk.queue, entry);
	desk_expect(&desk, 2, "newest", UPDATE_SUPERSEDED);
	assert_int_equal(desk_counts(&desk).waiting, 1);
	desk_end(&desk);
}

/* ---- ends ---- */

static void test_dead_ones_are_kept_retried_and_dropped(void **state)
{
	struct desk desk;
	uint32_t repo = 0;
	struct err *err = &desk.store.err;

	(void)state;
	desk_begin(&desk);
	uint64_t number = desk_put(&desk, (struct item){.id = "a", .repo = 7, .sequence = 1});
	assert_true(queue_done(desk.queue, desk_claim(&desk, 7, QUEUE_RUNNING), UPDATE_REJECTED,
	    "http_400", "Bitbucket says no", 0, true, err));
	desk_expect(&desk, 0, "a", UPDATE_REJECTED);
	assert_string_equal(desk.results[0].code, "http_400");
	assert_int_equal(desk_counts(&desk).dead, 1);
	assert_int_equal(desk_counts(&desk).waiting, 0);
	desk_again(&desk);
	assert_true(queue_retry(desk.queue, number, &repo, err));
	assert_int_equal(repo, 7);
	assert_int_equal(desk_counts(&desk).dead, 0);
	struct queue_entry *entry = desk_claim(&desk, 7, QUEUE_RUNNING);
	assert_int_equal(entry->number, number);
	assert_string_equal(entry->last_error, "Bitbucket says no");
	assert_true(queue_done(desk.queue, entry, UPDATE_REJECTED, "http_400", "", 0, true, err));
	/* A newer one came: the old one cannot go back. */
	desk_put(&desk, (struct item){.id = "b", .repo = 7, .sequence = 2});
	assert_false(queue_retry(desk.queue, number, &repo, err));
	assert_true(err_is(err, "superseded"));
	assert_int_equal(queue_retry_all(desk.queue, true, err), 0);
	assert_true(queue_drop(desk.queue, number, err));
	assert_int_equal(desk_counts(&desk).dead, 0);
	assert_int_equal(desk.count, 2); /* told when it died, not again */
	assert_false(queue_drop(desk.queue, number, err));
	assert_true(err_is(err, "not_found"));
	assert_false(queue_retry(desk.queue, number, &repo, err));
	assert_true(err_is(err, "not_found"));
	desk_end(&desk);
}

static void test_drop_and_retry_of_what_waits(void **state)
{
	struct desk desk;
	uint32_t repo = 0;
	struct err *err = &desk.store.err;

	(void)state;
	desk_begin(&desk);
	uint64_t one = desk_put(&desk, (struct item){.id = "a", .repo = 3});
	uint64_t two = desk_put(&desk, (struct item){.id = "b", .repo = 900000});
	struct queue_entry *entry = desk_claim(&desk, 3, QUEUE_RUNNING);
	assert_false(queue_drop(desk.queue, one, err));
	assert_true(err_is(err, "in_flight"));
	assert_true(queue_later(desk.queue, entry, FOREVER, "x", "", 0, NULL));
	assert_true(queue_retry(desk.queue, one, &repo, err));
	assert_int_equal(repo, 3);
	assert_int_equal(desk_counts(&desk).later, 0);
	assert_true(queue_retry(desk.queue, two, &repo, err)); /* waits in its lane already */
	assert_int_equal(repo, 900000);
	assert_true(queue_drop(desk.queue, two, err));
	desk_expect(&desk, 0, "b", UPDATE_DROPPED);
	assert_true(queue_later(
	    desk.queue, desk_claim(&desk, 3, QUEUE_RUNNING), FOREVER, "x", "", 0, NULL));
	assert_int_equal(queue_retry_all(desk.queue, false, err), 1);
	assert_int_equal(desk_counts(&desk).later, 0);
	assert_true(queue_drop(desk.queue, one, err));
	assert_int_equal(desk_counts(&desk).waiting, 0);
	desk_end(&desk);
}

static void test_the_ttl_ends_what_waits(void **state)
{
	struct desk desk;
	int64_t now_ms = clock_wall_ms();

	(void)state;
	desk_begin(&desk);
	for (unsigned i = 0; i < 10; i++)
		desk_put(&desk,
		    (struct item){.id = "old", .commit = i, .received_ms = now_ms - 3600001});
	desk_put(&desk, (struct item){.id = "young", .commit = 99, .received_ms = now_ms});
	struct queue_entry *entry = NULL;
	assert_true(queue_claim(desk.queue, 1, QUEUE_RUNNING, true, &entry));
	/* In batches, from where it stopped. */
	unsigned ended = 0;
	for (unsigned i = 0; i < 4; i++)
		ended += queue_expire(desk.queue, now_ms, 3);
	assert_int_equal(desk.count, 9); /* the claimed one is being sent */
	assert_true(ended >= 9);
	desk_expect(&desk, 0, "old", UPDATE_EXPIRED);
	desk_done(&desk, entry, 0);
	assert_int_equal(desk_counts(&desk).waiting, 1);
	/* DEAD has the TTL too, from the death on. */
	assert_true(queue_done(desk.queue, desk_claim(&desk, 1, QUEUE_RUNNING), UPDATE_REJECTED,
	    "x", "", 0, true, NULL));
	queue_trim(desk.queue, clock_wall_ms() + 3500000, 100);
	assert_int_equal(desk_counts(&desk).dead, 1);
	queue_trim(desk.queue, clock_wall_ms() + 3700000, 100);
	assert_int_equal(desk_counts(&desk).dead, 0);
	desk_end(&desk);
}

static void add_repo(uint32_t repo, void *arg)
{
	*(uint64_t *)arg = *(uint64_t *)arg * 10 + repo;
}

static bool count_entries(const struct queue_entry *entry, bool dead, void *arg)
{
	unsigned *counts = arg;

	assert_int_equal(dead, 0);
	assert_string_equal(entry->update.key, "k");
	counts[entry->claimed]++;
	return true;
}

static void test_who_has_work(void **state)
{
	struct desk desk;
	uint64_t repos = 0;
	unsigned counts[2] = {0};

	(void)state;
	desk_begin(&desk);
	desk_put(&desk, (struct item){.id = "", .repo = 2});
	desk_put(&desk, (struct item){.id = "", .repo = 4, .state = UPDATE_FAILED});
	desk_put(&desk, (struct item){.id = "", .repo = 4});
	desk_put(&desk, (struct item){.id = "", .repo = 4, .commit = 1});
	desk_put(&desk, (struct item){.id = "", .repo = 5});
	assert_true(queue_later(
	    desk.queue, desk_claim(&desk, 5, QUEUE_RUNNING), FOREVER, "x", "", 0, NULL));
	queue_each_repo(desk.queue, add_repo, &repos);
	assert_int_equal(repos, 24); /* 2, then 4; 5 has something for later only */
	desk_claim(&desk, 4, QUEUE_RUNNING);
	queue_walk(desk.queue, false, count_entries, counts);
	assert_int_equal(counts[0], 3);
	assert_int_equal(counts[1], 1);
	desk_end(&desk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_an_update_comes_out_as_it_went_in),
	    cmocka_unit_test(test_an_id_is_put_once),
	    cmocka_unit_test(test_what_ends_unqueued_is_remembered_and_told),
	    cmocka_unit_test(test_which_of_two_is_newer),
	    cmocka_unit_test(test_other_targets_are_left_alone),
	    cmocka_unit_test(test_full_changes_nothing),
	    cmocka_unit_test(test_newest_or_oldest_first_and_final_apart),
	    cmocka_unit_test(test_a_target_in_flight_is_passed_over),
	    cmocka_unit_test(test_claims_never_skip_or_repeat),
	    cmocka_unit_test(test_later_comes_back_when_due),
	    cmocka_unit_test(test_a_newer_one_replaces_what_is_later),
	    cmocka_unit_test(test_dead_ones_are_kept_retried_and_dropped),
	    cmocka_unit_test(test_drop_and_retry_of_what_waits),
	    cmocka_unit_test(test_the_ttl_ends_what_waits),
	    cmocka_unit_test(test_who_has_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
