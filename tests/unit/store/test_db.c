#include "unit/store/store_test.h"

#define KEY(text) text, sizeof(text) - 1

static bool put(struct store *store, const char *key, const char *value, unsigned flags)
{
	return db_put(
	    store->db, DB_RECENT, key, strlen(key), value, strlen(value), flags, &store->err);
}

static bool has(struct store *store, const char *key, const char *value)
{
	struct db_bytes found;

	return db_get(store->db, DB_RECENT, key, strlen(key), &found) == 1 &&
	       found.length == strlen(value) && memcmp(found.data, value, found.length) == 0;
}

/* ---- reading and writing ---- */

static void test_reads_what_the_open_group_holds(void **state)
{
	struct store store;
	struct db_bytes value;

	(void)state;
	store_begin(&store);
	assert_int_equal(db_get(store.db, DB_RECENT, KEY("a"), &value), 0);
	assert_true(put(&store, "a", "one", 0));
	assert_true(has(&store, "a", "one"));
	assert_int_equal(db_count(store.db, DB_RECENT), 1);
	assert_true(put(&store, "a", "two", DB_LAZY));
	assert_true(has(&store, "a", "two"));
	assert_int_equal(db_add(store.db, DB_RECENT, KEY("a"), "x", 1, 0, NULL), 0);
	assert_int_equal(db_add(store.db, DB_RECENT, KEY("b"), "x", 1, 0, NULL), 1);
	assert_int_equal(db_remove(store.db, DB_RECENT, KEY("b"), 0, NULL), 1);
	assert_int_equal(db_remove(store.db, DB_RECENT, KEY("b"), 0, NULL), 0);
	assert_true(db_del(store.db, DB_RECENT, KEY("b"), 0, NULL));
	/* A wrong guess about the order costs nothing but time. */
	assert_true(put(&store, "c", "three", DB_APPEND));
	assert_true(put(&store, "b", "two", DB_APPEND));
	assert_true(has(&store, "b", "two"));
	store_commit(&store);
	assert_true(has(&store, "a", "two"));
	store_close(&store);
	store_open(&store, STORE_SIZE);
	assert_true(has(&store, "b", "two"));
	store_end(&store);
}

static void test_finds_neighbours(void **state)
{
	static const struct {
		const char *from, *at, *before;
	} cases[] = {
	    {"a", "b", NULL}, {"b", "b", NULL}, {"c", "d", "b"}, {"d", "d", "b"}, {"e", NULL, "d"}};
	struct db_bytes key, value;
	struct store store;

	(void)state;
	store_begin(&store);
	assert_int_equal(db_find_last(store.db, DB_RECENT, &key, &value), 0);
	assert_true(put(&store, "b", "1", 0) && put(&store, "d", "2", 0));
	for (int committed = 0; committed < 2; committed++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			int is = db_find_at(store.db, DB_RECENT, cases[i].from, 1, &key, &value);
			assert_int_equal(is, cases[i].at != NULL);
			if (is == 1)
				assert_memory_equal(key.data, cases[i].at, 1);
			/* Standing on it, and from elsewhere. */
			for (int last = 0; last < 2; last++) {
				const char *after = cases[i].from[0] == 'b'   ? "d"
				                    : cases[i].from[0] == 'd' ? NULL
				                                              : cases[i].at;

				is = db_find_after(
				    store.db, DB_RECENT, cases[i].from, 1, &key, &value);
				assert_int_equal(is, after != NULL);
				if (is == 1)
					assert_memory_equal(key.data, after, 1);
				db_find_last(store.db, DB_RECENT, &key, &value);
			}
			is = db_find_before(store.db, DB_RECENT, cases[i].from, 1, &key, &value);
			assert_int_equal(is, cases[i].before != NULL);
			if (is == 1)
				assert_memory_equal(key.data, cases[i].before, 1);
		}
		assert_int_equal(db_find_last(store.db, DB_RECENT, &key, &value), 1);
		assert_memory_equal(key.data, "d", 1);
		store_commit(&store);
	}
	store_end(&store);
}

static void fill(struct store *store, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char key[16];
		snprintf(key, sizeof(key), "%05u", i);
		assert_true(put(store, key, key, DB_LAZY));
	}
}

static void test_walk_goes_on_over_writes_commits_and_deletes(void **state)
{
	struct store store;
	struct db_bytes key, value;
	unsigned seen = 0;

	(void)state;
	store_begin(&store);
	fill(&store, 1000);
	store_commit(&store);
	struct db_cursor *cursor = db_cursor_open(store.db, DB_RECENT);
	while (db_next(cursor, &key, &value)) {
		char expected[16];
		snprintf(expected, sizeof(expected), "%05u", seen);
		assert_memory_equal(key.data, expected, 5);
		if (seen % 3 == 0)
			assert_true(db_cursor_del(cursor, NULL));
		if (seen % 100 == 50)
			assert_true(db_put(store.db, DB_AUDIT, KEY("x"), "y", 1, 0, NULL));
		if (seen % 100 == 70)
			store_commit(&store);
		seen++;
	}
	assert_int_equal(seen, 1000);
	db_cursor_close(cursor);
	assert_int_equal(db_count(store.db, DB_RECENT), 666);
	cursor = db_cursor_open(store.db, DB_RECENT);
	for (seen = 0; db_previous(cursor, &key, &value); seen++)
		if (seen == 0)
			assert_memory_equal(key.data, "00998", 5);
	assert_int_equal(seen, 666);
	assert_true(db_seek(cursor, KEY("00500"), &key, &value));
	assert_memory_equal(key.data, "00500", 5);
	assert_true(db_last_before(cursor, KEY("00500"), &key, &value));
	assert_memory_equal(key.data, "00499", 5);
	assert_true(db_previous(cursor, &key, &value));
	assert_memory_equal(key.data, "00497", 5);
	db_cursor_close(cursor);
	store_end(&store);
}

/* ---- groups ---- */

struct told {
	struct store *store;
	int calls, errors;
	uint64_t commits; /* when it was told */
	int order[8];
};

struct one_told {
	struct told *told;
	int number;
};

static void on_told(const struct err *err, void *arg)
{
	struct one_told *one = arg;
	struct told *told = one->told;

	told->order[told->calls % 8] = one->number;
	told->calls++;
	told->errors += err != NULL;
	told->commits = db_commits(told->store->db);
}

static void test_nothing_is_told_before_its_commit(void **state)
{
	struct store store;
	struct told told = {.store = &store};
	struct one_told first = {&told, 1}, second = {&told, 2};

	(void)state;
	store_begin(&store);
	uint64_t before = db_commits(store.db);
	assert_true(put(&store, "a", "1", 0));
	db_after_commit(store.db, on_told, &first);
	assert_true(put(&store, "b", "2", 0));
	db_after_commit(store.db, on_told, &second);
	assert_int_equal(told.calls, 0);
	store_turn(&store, 0);
	assert_int_equal(told.calls, 2);
	assert_int_equal(told.errors, 0);
	assert_int_equal(told.order[0], 1);
	assert_int_equal(told.order[1], 2);
	assert_int_equal(told.commits, before + 1); /* one commit for both, and before telling */
	/* Without open writes: at the end of the turn, without a commit. */
	db_after_commit(store.db, on_told, &first);
	assert_int_equal(told.calls, 2);
	store_turn(&store, 0);
	assert_int_equal(told.calls, 3);
	assert_int_equal(db_commits(store.db), before + 1);
	store_end(&store);
}

static void test_lazy_writes_wait_for_the_group(void **state)
{
	struct store store;
	struct told told = {.store = &store};
	struct one_told one = {&told, 1};

	(void)state;
	store_begin(&store);
	uint64_t before = db_commits(store.db);
	uint64_t start_ms = clock_monotonic_ms();
	assert_true(put(&store, "a", "1", DB_LAZY));
	db_after_commit(store.db, on_told, &one);
	store_turn(&store, 0);
	if (clock_monotonic_ms() - start_ms < DB_GROUP_MS) /* unless the machine is that slow */
		assert_int_equal(told.calls, 0);
	while (told.calls == 0 && clock_monotonic_ms() - start_ms < 5000)
		store_turn(&store, 1);
	assert_int_equal(told.calls, 1);
	assert_true(clock_monotonic_ms() - start_ms >= DB_GROUP_MS);
	assert_int_equal(db_commits(store.db), before + 1);
	/* An urgent write takes the lazy ones along. */
	assert_true(put(&store, "b", "1", DB_LAZY));
	db_after_commit(store.db, on_told, &one);
	assert_true(put(&store, "c", "1", 0));
	store_turn(&store, 0);
	assert_int_equal(told.calls, 2);
	/* So does their number. */
	fill(&store, DB_GROUP_WRITES);
	before = db_commits(store.db);
	store_turn(&store, 0);
	assert_int_equal(db_commits(store.db), before + 1);
	store_end(&store);
}

static void write_more(void *arg)
{
	struct store *store = arg;

	assert_true(db_put(store->db, DB_AUDIT, KEY("hook"), "1", 1, DB_LAZY, NULL));
}

static void write_urgently(const struct err *err, void *arg)
{
	struct store *store = arg;

	assert_null(err);
	assert_true(put(store, "told", "1", 0));
}

static void test_hooks_and_waiters_may_write(void **state)
{
	struct store store;

	(void)state;
	store_begin(&store);
	db_before_commit(store.db, write_more, &store);
	assert_true(put(&store, "a", "1", 0));
	db_after_commit(store.db, write_urgently, &store);
	store_turn(&store, 0);
	uint64_t commits = db_commits(store.db);
	assert_int_equal(db_count(store.db, DB_AUDIT), 1);
	store_turn(&store, 0); /* what a waiter wrote is committed at the end of the next turn */
	assert_int_equal(db_commits(store.db), commits + 1);
	db_forget(store.db, &store);
	assert_true(db_del(store.db, DB_AUDIT, KEY("hook"), 0, NULL));
	store_commit(&store);
	assert_int_equal(db_count(store.db, DB_AUDIT), 0);
	store_end(&store);
}

/* ---- a full map ---- */

static void on_lost(void *arg)
{
	(*(int *)arg)++;
}

/* Writes until the group is lost. */
static void overflow(struct store *store)
{
	char big[1500] = {0};

	for (unsigned i = 0; i < 100000; i++) {
		char key[16];
		snprintf(key, sizeof(key), "big%06u", i);
		if (!db_put(
		        store->db, DB_RECENT, key, strlen(key), big, sizeof(big), 0, &store->err))
			return;
	}
	fail_msg("the map is never full");
}

static void test_a_lost_group_is_told_to_all_and_leaves_nothing(void **state)
{
	struct store store;
	struct told told = {.store = &store};
	struct one_told one = {&told, 1}, two = {&told, 2}, three = {&told, 3};
	int lost = 0;

	(void)state;
	store_folder(&store);
	store_open(&store, 1 << 20);
	assert_true(put(&store, "kept", "before", 0));
	store_commit(&store);
	db_on_lost(store.db, on_lost, &lost);
	assert_true(put(&store, "kept", "changed", 0));
	assert_true(put(&store, "gone", "1", 0));
	db_after_commit(store.db, on_told, &one);
	db_after_commit(store.db, on_told, &two);
	overflow(&store);
	assert_true(err_is(&store.err, "store_full"));
	assert_non_null(strstr(store.err.hint, "EYES_STORE_SIZE"));
	assert_int_equal(lost, 1);
	assert_int_equal(db_lost(store.db), 1);
	assert_true(has(&store, "kept", "before"));
	assert_false(has(&store, "gone", "1"));
	assert_int_equal(told.calls, 0); /* at the end of the turn, not inside the write */
	/* Later writes of the same turn are a group of their own. */
	assert_true(put(&store, "fresh", "1", 0));
	db_after_commit(store.db, on_told, &three);
	store_turn(&store, 0);
	assert_int_equal(told.calls, 3);
	assert_int_equal(told.errors, 2);
	assert_int_equal(told.order[2], 3);
	assert_true(has(&store, "fresh", "1"));
	store_close(&store);
	store_open(&store, 1 << 20);
	assert_true(has(&store, "kept", "before"));
	assert_true(has(&store, "fresh", "1"));
	store_end(&store);
}

static void test_a_write_that_is_refused_loses_the_group_too(void **state)
{
	struct store store;
	char key[600] = {'k'};

	(void)state;
	store_begin(&store);
	assert_true(put(&store, "a", "1", 0));
	assert_false(db_put(store.db, DB_RECENT, key, sizeof(key), "", 0, 0, &store.err));
	assert_true(err_is(&store.err, "store_failed"));
	store_commit(&store);
	assert_false(has(&store, "a", "1"));
	assert_int_equal(db_lost(store.db), 1);
	store_end(&store);
}

static void fail_in_hook(void *arg)
{
	overflow(arg);
}

static void test_a_hook_that_fails_loses_the_group(void **state)
{
	struct store store;
	struct told told = {.store = &store};
	struct one_told one = {&told, 1};

	(void)state;
	store_folder(&store);
	store_open(&store, 1 << 20);
	db_before_commit(store.db, fail_in_hook, &store);
	assert_true(put(&store, "a", "1", 0));
	db_after_commit(store.db, on_told, &one);
	store_turn(&store, 0);
	assert_int_equal(told.errors, 1);
	db_forget(store.db, &store);
	assert_false(has(&store, "a", "1"));
	store_end(&store);
}

static void test_full_at_80_percent_and_deletes_go_on(void **state)
{
	struct store store;
	char value[1500] = {0};
	unsigned count = 0;
	char key[16];

	(void)state;
	store_folder(&store);
	store_open(&store, 2 << 20);
	while (!db_full(store.db)) {
		snprintf(key, sizeof(key), "%06u", count++);
		assert_true(db_put(store.db, DB_RECENT, key, 6, value, sizeof(value), 0, NULL));
		if (count % 16 == 0)
			store_commit(&store);
		assert_true(count < 10000);
	}
	store_commit(&store);
	assert_true(db_used_percent(store.db) >= 80);
	assert_true(db_used_percent(store.db) < 90);
	for (unsigned i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "%06u", i);
		assert_true(db_del(store.db, DB_RECENT, key, 6, 0, &store.err));
		if (i % 16 == 0)
			store_commit(&store);
	}
	store_commit(&store);
	assert_false(db_full(store.db));
	assert_true(db_used_percent(store.db) < 20);
	store_end(&store);
}

/* ---- opening ---- */

static void test_a_second_process_is_refused(void **state)
{
	struct store store;
	char pid[32];
	int status;

	(void)state;
	store_begin(&store);
	snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct store second = store;
		bool refused = !store_try_open(&second, STORE_SIZE) &&
		               err_is(&second.err, "store_locked") &&
		               strstr(second.err.message, pid) != NULL;
		_exit(refused ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	store_end(&store);
}

static void test_the_folder_is_looked_at(void **state)
{
	struct store store;
	struct stat status;
	char path[128];

	(void)state;
	store_folder(&store);
	assert_int_equal(chmod(store.folder, 0777), 0);
	assert_false(store_try_open(&store, STORE_SIZE));
	assert_true(err_is(&store.err, "store_folder"));
	assert_int_equal(chmod(store.folder, 0700), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(store.folder, 12345, 12345), 0);
		assert_false(store_try_open(&store, STORE_SIZE));
		assert_true(err_is(&store.err, "store_folder"));
		assert_int_equal(chown(store.folder, 0, 0), 0);
	}
	/* Missing folders are made; nothing of it is for others. */
	struct store deep = store;
	snprintf(deep.folder, sizeof(deep.folder), "%.40s/a/b", store.folder);
	mode_t before = umask(0);
	store_open(&deep, STORE_SIZE);
	umask(before);
	assert_string_equal(db_directory(deep.db), deep.folder);
	assert_true(stat(deep.folder, &status) == 0 && (status.st_mode & 0777) == 0700);
	store_path(&deep, "data.mdb", path);
	assert_true(stat(path, &status) == 0 && (status.st_mode & 0777) == 0600);
	assert_true((uint64_t)status.st_size == STORE_SIZE);
	assert_true((uint64_t)status.st_blocks * 512 >= STORE_SIZE); /* preallocated */
	store_path(&deep, "lock", path);
	assert_true(stat(path, &status) == 0 && (status.st_mode & 0777) == 0600);
	store_close(&deep);
	store_remove(&store);
}

static void test_a_smaller_size_keeps_the_larger_file(void **state)
{
	struct store store;

	(void)state;
	store_begin(&store);
	assert_int_equal(db_size(store.db), STORE_SIZE);
	store_close(&store);
	store_open(&store, STORE_SIZE / 4);
	assert_int_equal(db_size(store.db), STORE_SIZE);
	store_close(&store);
	store_open(&store, STORE_SIZE * 2);
	assert_int_equal(db_size(store.db), STORE_SIZE * 2);
	store_end(&store);
}

static void test_a_newer_store_and_a_damaged_one_are_refused(void **state)
{
	struct store store;
	char path[128];

	(void)state;
	store_begin(&store);
	assert_true(db_put(store.db, DB_META, KEY("version"), "\0\0\0\2", 4, 0, NULL));
	store_close(&store);
	assert_false(store_try_open(&store, STORE_SIZE));
	assert_true(err_is(&store.err, "store_newer"));
	store_path(&store, "data.mdb", path);
	int fd = open(path, O_WRONLY);
	char noise[8192];
	memset(noise, 'x', sizeof(noise));
	assert_true(fd >= 0 && write(fd, noise, sizeof(noise)) == sizeof(noise));
	close(fd);
	assert_false(store_try_open(&store, STORE_SIZE));
	assert_true(err_is(&store.err, "store_corrupt"));
	store_remove(&store);
}

/* ---- kill -9 ---- */

enum { CRASH_ROWS = 20 };

struct crash {
	struct store *store;
	unsigned group;
	int pipe;
};

static void on_group_told(const struct err *err, void *arg)
{
	struct crash *crash = arg;

	if (err != NULL || write(crash->pipe, &crash->group, sizeof(crash->group)) < 0)
		_exit(1);
	crash->group++;
	for (unsigned i = 0; i < CRASH_ROWS; i++) {
		char key[32];
		snprintf(key, sizeof(key), "%08u-%02u", crash->group, i);
		if (!put(crash->store, key, "x", 0))
			_exit(1);
	}
	db_after_commit(crash->store->db, on_group_told, crash);
}

static void write_groups(struct store *store, unsigned first, int pipe)
{
	struct crash crash = {.store = store, .group = first, .pipe = pipe};

	if (!store_try_open(store, STORE_SIZE))
		_exit(1);
	db_after_commit(store->db, on_group_told, &crash);
	loop_run(store->loop);
}

static void test_what_was_told_survives_kill(void **state)
{
	struct store store;
	unsigned told = 0, group;
	int ends[2];

	(void)state;
	store_folder(&store);
	for (int round = 0; round < 25; round++) {
		assert_int_equal(pipe(ends), 0);
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0)
			write_groups(&store, told, ends[1]);
		close(ends[1]);
		/* Not while it opens, or most rounds would show nothing. */
		assert_int_equal(read(ends[0], &group, sizeof(group)), sizeof(group));
		store_kill_soon(child, 20000);
		while (read(ends[0], &group, sizeof(group)) == sizeof(group))
			told = group;
		close(ends[0]);
		store_open(&store, STORE_SIZE);
		uint64_t rows = db_count(store.db, DB_RECENT);
		assert_int_equal(rows % CRASH_ROWS, 0); /* a group is there as a whole or not */
		assert_true(rows / CRASH_ROWS >= told);
		told = (unsigned)(rows / CRASH_ROWS);
		store_close(&store);
	}
	store_remove(&store);
}

/* Free room is what is left to 80 %, and a value of parts is the parts one after the other. */
static void test_parts_and_room(void **state)
{
	static char large[200000];
	struct store store;
	struct db_bytes value;
	struct db_bytes parts[] = {{"ab", 2}, {"", 0}, {"cde", 3}, {large, sizeof(large)}};

	(void)state;
	store_folder(&store);
	store_open(&store, UINT64_C(2) << 20);
	assert_true(db_has_room(store.db, UINT64_C(1) << 20));
	assert_true(db_has_room(store.db, (UINT64_C(2) << 20) / 100 * 70));
	assert_false(db_has_room(store.db, (UINT64_C(2) << 20) / 100 * 81));
	assert_false(db_has_room(store.db, UINT64_MAX / 2));
	memset(large, 'l', sizeof(large));
	for (size_t count = 3; count <= 4; count++) { /* a small one, a large one */
		assert_int_equal(
		    db_put_parts(store.db, DB_META, "k", 1, parts, count, 0, &store.err), 1);
		for (int round = 0; round < 2; round++) {
			assert_int_equal(db_get(store.db, DB_META, "k", 1, &value), 1);
			assert_int_equal(value.length, count == 3 ? 5 : 5 + sizeof(large));
			assert_memory_equal(value.data, "abcde", 5);
			if (count == 4)
				assert_memory_equal(
				    (const char *)value.data + 5, large, sizeof(large));
			store_commit(&store);
		}
	}
	store_end(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reads_what_the_open_group_holds),
	    cmocka_unit_test(test_finds_neighbours),
	    cmocka_unit_test(test_walk_goes_on_over_writes_commits_and_deletes),
	    cmocka_unit_test(test_nothing_is_told_before_its_commit),
	    cmocka_unit_test(test_lazy_writes_wait_for_the_group),
	    cmocka_unit_test(test_hooks_and_waiters_may_write),
	    cmocka_unit_test(test_a_lost_group_is_told_to_all_and_leaves_nothing),
	    cmocka_unit_test(test_a_write_that_is_refused_loses_the_group_too),
	    cmocka_unit_test(test_a_hook_that_fails_loses_the_group),
	    cmocka_unit_test(test_full_at_80_percent_and_deletes_go_on),
	    cmocka_unit_test(test_a_second_process_is_refused),
	    cmocka_unit_test(test_the_folder_is_looked_at),
	    cmocka_unit_test(test_a_smaller_size_keeps_the_larger_file),
	    cmocka_unit_test(test_a_newer_store_and_a_damaged_one_are_refused),
	    cmocka_unit_test(test_parts_and_room),
	    cmocka_unit_test(test_what_was_told_survives_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
