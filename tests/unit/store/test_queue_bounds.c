/* Bounds, lost groups and crashes of the queue. */
#include "unit/store/queue_test.h"

#include "store/journal.h"
#include "store/outbox.h"

/* ---- generations ---- */

static void remember(struct desk *desk, uint64_t most)
{
	queue_close(desk->queue);
	desk->options.remember = most;
	desk_open_queue(desk);
}

static void put_and_deliver(struct desk *desk, unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++) {
		char id[32];
		snprintf(id, sizeof(id), "id-%u", i);
		desk_put(desk, (struct item){.id = id, .commit = i, .sequence = 2});
		desk_done(desk, desk_claim(desk, 1, QUEUE_RUNNING), 0);
		if (i % 16 == 0)
			store_commit(&desk->store);
	}
	store_commit(&desk->store);
}

static void test_what_is_remembered_is_bounded(void **state)
{
	struct desk desk;

	(void)state;
	desk_begin(&desk);
	desk.mute = true;
	remember(&desk, 200);
	for (unsigned i = 0; i < 20; i++) {
		put_and_deliver(&desk, i * 100, 100);
		/* Two generations of 100 and a group each, and what is being dropped. */
		assert_true(db_count(desk.store.db, DB_TARGET) <= 350);
	}
	/* The last 100 are certainly known. */
	for (unsigned i = 1900; i < 2000; i++) {
		char id[32];
		snprintf(id, sizeof(id), "id-%u", i);
		struct item again = {.id = id, .commit = i, .sequence = 2};
		struct item older = {.id = "new", .commit = i, .sequence = 1};
		assert_int_equal(desk_try(&desk, &again, NULL), QUEUE_PUT_KNOWN);
		assert_int_equal(desk_try(&desk, &older, NULL), QUEUE_PUT_OLDER);
	}
	desk_end(&desk);
}

static void test_ids_without_target_are_bounded(void **state)
{
	struct desk desk;

	(void)state;
	desk_begin(&desk);
	desk.mute = true;
	remember(&desk, 200);
	for (unsigned i = 0; i < 2000; i++) {
		char id[32];
		snprintf(id, sizeof(id), "bad-%u", i);
		assert_int_equal(
		    queue_put_ended(desk.queue, id, 0, NULL, UPDATE_REJECTED, "x", "", NULL),
		    QUEUE_PUT_NEW);
		if (i % 16 == 0)
			store_commit(&desk.store);
		assert_true(db_count(desk.store.db, DB_SEEN) <= 350);
	}
	desk_end(&desk);
}

static void test_a_target_that_waits_is_never_forgotten(void **state)
{
	struct desk desk;

	(void)state;
	desk_begin(&desk);
	desk.mute = true;
	remember(&desk, 200);
	struct item waits = {.id = "waits", .repo = 9, .sequence = 5};
	struct item later = {.id = "later", .repo = 8, .sequence = 5};
	desk_put(&desk, waits);
	desk_put(&desk, later);
	assert_true(queue_later(
	    desk.queue, desk_claim(&desk, 8, QUEUE_RUNNING), 4000000000000, "x", "", 0, NULL));
	put_and_deliver(&desk, 100, 2000);
	assert_int_equal(desk_try(&desk, &waits, NULL), QUEUE_PUT_KNOWN);
	assert_int_equal(desk_try(&desk, &later, NULL), QUEUE_PUT_KNOWN);
	struct item older = {.id = "older", .repo = 9, .sequence = 4};
	assert_int_equal(desk_try(&desk, &older, NULL), QUEUE_PUT_OLDER);
	/* A newer one finds what it replaces. */
	desk_put(&desk, (struct item){.id = "w2", .repo = 9, .sequence = 6});
	desk_put(&desk, (struct item){.id = "l2", .repo = 8, .sequence = 6});
	assert_int_equal(desk_counts(&desk).waiting, 2);
	desk_end(&desk);
}

static void test_ids_are_remembered_for_the_ttl(void **state)
{
	struct desk desk;
	int64_t now_ms = clock_wall_ms();
	struct item item = {.id = "a"};

	(void)state;
	desk_begin(&desk); /* the TTL is an hour */
	desk_put(&desk, item);
	desk_done(&desk, desk_claim(&desk, 1, QUEUE_RUNNING), 0);
	assert_int_equal(queue_put_ended(desk.queue, "b", 0, NULL, UPDATE_REJECTED, "", "", NULL),
	    QUEUE_PUT_NEW);
	for (int half_hours = 1; half_hours <= 3; half_hours++) {
		queue_trim(desk.queue, now_ms + 1800000 * half_hours, 100);
		store_commit(&desk.store);
		assert_int_equal(desk_try(&desk, &item, NULL), QUEUE_PUT_KNOWN);
		assert_int_equal(
		    queue_put_ended(desk.queue, "b", 0, NULL, UPDATE_REJECTED, "", "", NULL),
		    QUEUE_PUT_KNOWN);
		/* Something new in each generation, or it would not turn. */
		char id[32];
		snprintf(id, sizeof(id), "other-%d", half_hours);
		desk_put(&desk, (struct item){.id = id, .commit = (unsigned)half_hours});
	}
	for (int hours = 2; hours < 8; hours++) {
		queue_trim(desk.queue, now_ms + 3600000 * hours + 1, 100);
		char id[32];
		snprintf(id, sizeof(id), "next-%d", hours);
		desk_put(&desk, (struct item){.id = id, .commit = 100 + (unsigned)hours});
		queue_put_ended(desk.queue, id, 0, NULL, UPDATE_REJECTED, "", "", NULL);
		snprintf(id, sizeof(id), "end-%d", hours);
		queue_put_ended(desk.queue, id, 0, NULL, UPDATE_REJECTED, "", "", NULL);
	}
	desk_put(&desk, item); /* forgotten at last */
	desk_end(&desk);
}

/* ---- a million ---- */

static void note_million(const struct queue_result *result, void *arg)
{
	outbox_add(arg, result->id, result->outcome, result->error);
}

static void test_many_updates_do_not_grow_the_store(void **state)
{
	const unsigned many = STORE_SANITIZED ? 40000 : 1000000;
	const unsigned remembered = STORE_SANITIZED ? 4000 : 100000;
	struct desk desk;
	unsigned bound = 0;
	char id[32];

	(void)state;
	desk_begin_sized(&desk, UINT64_C(64) << 20);
	struct outbox *outbox = outbox_open(desk.store.db, NULL);
	struct journal *journal = journal_open(desk.store.db, 1000, NULL);
	queue_close(desk.queue);
	desk.options.remember = remembered;
	desk.options.result = note_million;
	desk.options.arg = outbox;
	desk.queue = queue_open(desk.store.db, &desk.options, NULL);
	for (unsigned i = 0; i < many; i++) {
		snprintf(id, sizeof(id), "command-%u", i);
		desk_put(&desk, (struct item){.id = id, .commit = i, .sequence = i + 1});
		struct queue_entry *entry = desk_claim(&desk, 1, QUEUE_RUNNING);
		struct journal_row row = {
		    .commit = entry->update.commit, .key = "k", .code = "", .error = ""};
		journal_add(journal, &row);
		desk_done(&desk, entry, 0);
		if (i % 1024 != 0)
			continue;
		assert_true(outbox_done(outbox, UINT64_MAX, NULL));
		journal_trim(journal, 2048);
		store_commit(&desk.store);
		if (i < many / 3)
			bound = db_used_percent(desk.store.db);
		else
			assert_true(db_used_percent(desk.store.db) <= bound + 5);
	}
	assert_true(bound < 50);
	queue_close(desk.queue);
	outbox_close(outbox);
	journal_close(journal);
	store_end(&desk.store);
}

/* ---- a full store and lost groups ---- */

static void test_a_full_store_stops_intake_only(void **state)
{
	struct desk desk;
	unsigned put = 0;

	(void)state;
	desk_begin_sized(&desk, 1 << 20);
	desk.mute = true;
	for (;; put++) {
		struct item item = {.id = "", .commit = put};
		enum queue_put answer = desk_try(&desk, &item, NULL);
		if (answer == QUEUE_PUT_FULL)
			break;
		assert_int_equal(answer, QUEUE_PUT_NEW);
		if (put % 8 == 0)
			store_commit(&desk.store);
		assert_true(put < 100000);
	}
	assert_true(db_used_percent(desk.store.db) < 90);
	assert_int_equal(desk_counts(&desk).waiting, put);
	struct queue_entry *entry;
	for (unsigned i = 0; i < put; i++) {
		entry = desk_claim(&desk, 1, QUEUE_RUNNING);
		assert_non_null(entry);
		desk_done(&desk, entry, 0);
		if (i % 8 == 0)
			store_commit(&desk.store);
	}
	assert_false(db_full(desk.store.db));
	desk_put(&desk, (struct item){.id = "", .commit = put});
	desk_end(&desk);
}

static void test_a_lost_group_leaves_the_queue_as_it_was(void **state)
{
	struct desk desk;

	(void)state;
	desk_begin_sized(&desk, 1 << 20);
	uint64_t first = desk_put(&desk, (struct item){.id = "a", .sequence = 1});
	desk_put(&desk, (struct item){.id = "x", .commit = 1});
	store_commit(&desk.store);
	struct queue_entry *claimed = desk_claim(&desk, 1, QUEUE_RUNNING); /* x */
	assert_string_equal(claimed->id, "x");
	desk_done(&desk, claimed, 0);
	struct item newer = {.id = "b", .sequence = 2}, other = {.id = "c", .commit = 2};
	uint64_t second = desk_put(&desk, newer);
	desk_put(&desk, other);
	struct queue_entry *gone = desk_claim(&desk, 1, QUEUE_RUNNING); /* c */
	assert_string_equal(gone->id, "c");
	assert_int_equal(desk_counts(&desk).waiting, 2);
	store_lose_group(&desk.store);
	/* The delivered one and the replaced one wait again, the new ones are not known. */
	assert_int_equal(desk_counts(&desk).waiting, 2);
	desk_done(&desk, gone, 0); /* nothing of it is there to end */
	assert_int_equal(desk_counts(&desk).waiting, 2);
	struct queue_entry *one = desk_claim(&desk, 1, QUEUE_RUNNING);
	struct queue_entry *two = desk_claim(&desk, 1, QUEUE_RUNNING);
	assert_string_equal(one->id, "x");
	assert_string_equal(two->id, "a");
	assert_int_equal(two->number, first);
	/* The one in flight is the newest again: it may be tried later, and is not superseded. */
	unsigned before = desk.count;
	assert_true(queue_later(desk.queue, two, 1, "busy", "", 0, NULL));
	assert_int_equal(desk.count, before);
	assert_int_equal(desk_counts(&desk).later, 1);
	uint64_t again = desk_put(&desk, newer);
	assert_true(again > second); /* numbers are not given twice */
	desk_put(&desk, other);
	store_commit(&desk.store);
	desk_end(&desk);
}

static void lose_group_once(const struct queue_result *result, void *arg)
{
	struct desk *desk = arg;

	(void)result;
	if (db_lost(desk->store.db) == 0)
		store_lose_group(&desk->store);
}

/* The older one, given back, cannot be ended: it must not be sent after the newer one. */
static void test_an_old_one_that_a_lost_group_left_is_not_sent(void **state)
{
	struct queue_entry *entry = NULL;
	struct desk desk;

	(void)state;
	desk_begin_sized(&desk, 1 << 20);
	queue_close(desk.queue);
	desk.options.result = lose_group_once;
	desk.queue = queue_open(desk.store.db, &desk.options, NULL);
	desk_put(&desk, (struct item){.id = "old"});
	struct queue_entry *old = desk_claim(&desk, 1, QUEUE_RUNNING);
	desk_put(&desk, (struct item){.id = "new"});
	store_commit(&desk.store);
	queue_release(desk.queue, old);
	assert_int_equal(db_lost(desk.store.db), 1);
	assert_int_equal(desk_counts(&desk).waiting, 2);
	assert_true(queue_claim(desk.queue, 1, QUEUE_RUNNING, true, &entry));
	assert_string_equal(entry->id, "new");
	assert_int_equal(desk_counts(&desk).waiting, 1);
	desk_end(&desk);
}

static void test_a_put_that_fails_says_so(void **state)
{
	struct desk desk;
	enum queue_put put = QUEUE_PUT_NEW;
	char url[4 * UPDATE_URL_MAX];

	(void)state;
	desk_begin_sized(&desk, 1 << 20);
	desk.mute = true;
	memset(url, 'u', sizeof(url) - 1);
	url[sizeof(url) - 1] = '\0';
	char commit[UPDATE_COMMIT + 1];
	/* 80 % is looked at anew only so often: one large group reaches the end of the map. */
	for (unsigned i = 0; i < 100000 && put == QUEUE_PUT_NEW; i++) {
		struct queue_entry entry = {.repo = 1,
		    .id = "",
		    .update = {.commit = commit,
		        .key = "k",
		        .name = url,
		        .description = url,
		        .url = url,
		        .ref = url},
		    .received_ms = 1};
		snprintf(commit, sizeof(commit), "%040x", i);
		put = queue_put(desk.queue, &entry, &desk.store.err);
	}
	assert_true(put == QUEUE_PUT_FAILED || put == QUEUE_PUT_FULL);
	if (put == QUEUE_PUT_FAILED) {
		assert_true(err_is(&desk.store.err, "store_full"));
		assert_int_equal(desk_counts(&desk).waiting, 0);
	}
	desk_end(&desk);
}

/* ---- kill -9 ---- */

struct crash {
	struct desk *desk;
	unsigned put;
	int pipe;
};

enum { CRASH_GROUP = 7 };

static void on_put_told(const struct err *err, void *arg);

/* One turn's work: some come in, some go out, some have to wait. */
static void work(struct crash *crash)
{
	struct desk *desk = crash->desk;

	for (unsigned i = 0; i < CRASH_GROUP; i++, crash->put++) {
		char id[32];
		snprintf(id, sizeof(id), "%u", crash->put);
		struct item item = {
		    .id = id, .commit = crash->put % 50, .sequence = crash->put + 1};
		if (desk_try(desk, &item, NULL) != QUEUE_PUT_NEW)
			_exit(1);
	}
	struct queue_entry *held[4] = {NULL};
	for (unsigned i = 0; i < 4; i++)
		held[i] = desk_claim(desk, 1, QUEUE_RUNNING);
	for (unsigned i = 0; i < 4; i++) {
		if (held[i] == NULL)
			continue;
		if (i == 3)
			(void)!queue_later(desk->queue, held[i], 1, "busy", "", 0, NULL);
		else
			(void)!queue_done(
			    desk->queue, held[i], UPDATE_DELIVERED, "", "", 0, false, NULL);
	}
	if (crash->put % 5 == 0)
		desk_due(desk, 1);
	db_after_commit(desk->store.db, on_put_told, crash);
}

static void on_put_told(const struct err *err, void *arg)
{
	struct crash *crash = arg;

	if (err != NULL || write(crash->pipe, &crash->put, sizeof(crash->put)) < 0)
		_exit(1);
	work(crash);
}

static void put_until_killed(struct desk *desk, unsigned first, int pipe)
{
	struct crash crash = {.desk = desk, .put = first, .pipe = pipe};

	store_open(&desk->store, STORE_SIZE);
	desk_open_queue(desk);
	desk->mute = true;
	work(&crash);
	loop_run(desk->store.loop);
}

static bool check_entry(const struct queue_entry *entry, bool dead, void *arg)
{
	uint64_t *newest = arg; /* by target */
	unsigned commit = (unsigned)strtoul(entry->update.commit, NULL, 16);

	assert_false(dead);
	assert_true(commit < 50);
	assert_true(newest[commit] == 0); /* one of a target waits */
	newest[commit] = (uint64_t)entry->order.sequence;
	return true;
}

static void test_what_was_accepted_survives_kill(void **state)
{
	struct desk desk;
	unsigned told = 0;
	int ends[2];

	(void)state;
	memset(&desk, 0, sizeof(desk));
	store_folder(&desk.store);
	desk.options = (struct queue_options){
	    .ttl_ms = 3600000, .limit = 100000, .remember = 1000, .ghost_ms = 0};
	for (int round = 0; round < 25; round++) {
		unsigned got = told;
		assert_int_equal(pipe(ends), 0);
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0)
			put_until_killed(&desk, told, ends[1]);
		close(ends[1]);
		assert_int_equal(read(ends[0], &got, sizeof(got)), sizeof(got));
		store_kill_soon(child, 20000);
		while (read(ends[0], &got, sizeof(got)) == sizeof(got))
			;
		close(ends[0]);
		store_open(&desk.store, STORE_SIZE);
		desk_open_queue(&desk);
		desk.mute = true;
		/* Every one that was accepted is known. */
		for (unsigned i = got > 100 ? got - 100 : 0; i < got; i++) {
			char id[32];
			snprintf(id, sizeof(id), "%u", i);
			struct item item = {.id = id, .commit = i % 50, .sequence = i + 1};
			assert_int_equal(desk_try(&desk, &item, NULL), QUEUE_PUT_KNOWN);
		}
		/* One of a target waits, and LATER has its row. */
		uint64_t newest[50] = {0};
		queue_walk(desk.queue, false, check_entry, newest);
		struct queue_counts counts = desk_counts(&desk);
		desk_due(&desk, 4000000000000);
		assert_int_equal(desk_counts(&desk).waiting, counts.waiting);
		assert_int_equal(desk_counts(&desk).later, 0);
		/* What may have been committed without being told is there as a whole too. */
		told = got;
		for (;; told++) {
			char id[32];
			snprintf(id, sizeof(id), "%u", told);
			struct item item = {.id = id, .commit = told % 50, .sequence = told + 1};
			if (desk_try(&desk, &item, NULL) != QUEUE_PUT_KNOWN)
				break;
		}
		assert_int_equal((told - got) % CRASH_GROUP, 0);
		told++; /* the one just put */
		queue_close(desk.queue);
		store_close(&desk.store);
	}
	store_remove(&desk.store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_remembered_is_bounded),
	    cmocka_unit_test(test_ids_without_target_are_bounded),
	    cmocka_unit_test(test_a_target_that_waits_is_never_forgotten),
	    cmocka_unit_test(test_ids_are_remembered_for_the_ttl),
	    cmocka_unit_test(test_many_updates_do_not_grow_the_store),
	    cmocka_unit_test(test_a_full_store_stops_intake_only),
	    cmocka_unit_test(test_a_lost_group_leaves_the_queue_as_it_was),
	    cmocka_unit_test(test_an_old_one_that_a_lost_group_left_is_not_sent),
	    cmocka_unit_test(test_a_put_that_fails_says_so),
	    cmocka_unit_test(test_what_was_accepted_survives_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
