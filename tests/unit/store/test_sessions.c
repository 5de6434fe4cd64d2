#include "unit/store/store_test.h"

#include "store/sessions.h"

struct given {
	char cookie[SESSION_SECRET + 1], token[SESSION_SECRET + 1];
	const struct session *session;
};

static const struct session_of of = {
    .address = "192.0.2.7", .agent = "Browser/1", .user = "jane@example.com"};

/* With the cookie that is in given. */
static void add_tab(struct sessions *sessions, struct given *given)
{
	struct err err = ERR_INIT;

	if (!sessions_add(sessions, &of, given->cookie, given->token, &given->session, &err))
		fail_msg("%s", err.message);
}

static void add(struct sessions *sessions, struct given *given)
{
	given->cookie[0] = '\0';
	add_tab(sessions, given);
}

static const struct session *find(struct sessions *sessions, const struct given *given)
{
	return sessions_find(sessions, given->cookie, given->token);
}

static struct sessions *reopen(struct store *store, struct sessions *sessions)
{
	store_commit(store);
	sessions_close(sessions);
	store_close(store);
	store_open(store, STORE_SIZE);
	sessions = sessions_open(store->db, &store->err);
	assert_non_null(sessions);
	return sessions;
}

static unsigned count(struct sessions *sessions)
{
	unsigned position = 0, found = 0;

	while (sessions_next(sessions, &position) != NULL)
		found++;
	return found;
}

static void test_cookie_and_token(void **state)
{
	struct store store;
	struct given one, two;
	char wrong[SESSION_SECRET + 2];

	(void)state;
	store_begin(&store);
	struct sessions *sessions = sessions_open(store.db, &store.err);
	add(sessions, &one);
	add(sessions, &two);
	assert_int_equal(strlen(one.cookie), SESSION_SECRET);
	assert_int_equal(strlen(one.token), SESSION_SECRET);
	assert_string_not_equal(one.cookie, two.cookie);
	assert_string_not_equal(one.cookie, one.token);
	assert_string_not_equal(one.session->id, two.session->id);
	assert_ptr_equal(find(sessions, &one), one.session);
	assert_null(sessions_find(sessions, one.cookie, two.token));
	assert_null(sessions_find(sessions, two.cookie, one.token));
	assert_null(sessions_find(sessions, one.cookie, one.cookie));
	assert_null(sessions_find(sessions, one.token, one.cookie));
	assert_null(sessions_find(sessions, one.token, one.token));
	assert_null(sessions_find(sessions, one.cookie, ""));
	assert_null(sessions_find(sessions, "", one.token));
	assert_null(sessions_find(sessions, "", ""));
	snprintf(wrong, sizeof(wrong), "%s", one.cookie);
	wrong[SESSION_SECRET - 1] = wrong[SESSION_SECRET - 1] == '0' ? '1' : '0';
	assert_null(sessions_find(sessions, wrong, one.token));
	wrong[SESSION_SECRET - 1] = '\0'; /* cut off */
	assert_null(sessions_find(sessions, wrong, one.token));
	snprintf(wrong, sizeof(wrong), "%s0", one.cookie);
	assert_null(sessions_find(sessions, wrong, one.token));
	sessions_close(sessions);
	store_end(&store);
}

static void test_hashes_survive_a_restart_and_secrets_do_not(void **state)
{
	struct store store;
	struct given one, two;

	(void)state;
	store_begin(&store);
	struct sessions *sessions = sessions_open(store.db, &store.err);
	add(sessions, &one);
	add(sessions, &two);
	assert_true(sessions_remove(sessions, two.session->id, &store.err));
	sessions = reopen(&store, sessions);
	assert_int_equal(count(sessions), 1);
	const struct session *found = find(sessions, &one);
	assert_non_null(found);
	assert_true(sessions_has(sessions, found->id));
	assert_string_equal(found->address, "192.0.2.7");
	assert_string_equal(found->agent, "Browser/1");
	assert_string_equal(found->user, "jane@example.com");
	assert_null(find(sessions, &two));
	assert_true(store_file_holds(&store, found->id));
	assert_false(store_file_holds(&store, one.cookie));
	assert_false(store_file_holds(&store, one.token));
	sessions_close(sessions);
	store_end(&store);
}

static void test_ending(void **state)
{
	struct err err = ERR_INIT;
	struct store store;
	struct given given[3];
	char id[SESSION_ID + 1];

	(void)state;
	store_begin(&store);
	struct sessions *sessions = sessions_open(store.db, &store.err);
	for (unsigned i = 0; i < 3; i++)
		add(sessions, &given[i]);
	snprintf(id, sizeof(id), "%s", given[1].session->id);
	assert_true(sessions_remove(sessions, id, &err));
	assert_false(sessions_has(sessions, id));
	assert_null(find(sessions, &given[1]));
	assert_non_null(find(sessions, &given[0]));
	assert_false(sessions_remove(sessions, id, &err));
	assert_true(err_is(&err, "not_found"));
	err_clear(&err);
	assert_false(sessions_remove(sessions, "", &err));
	assert_int_equal(count(sessions), 2);
	sessions_remove_all(sessions, &err);
	assert_int_equal(count(sessions), 0);
	sessions = reopen(&store, sessions);
	assert_int_equal(count(sessions), 0);
	sessions_close(sessions);
	store_end(&store);
}

static void test_the_one_unused_for_longest_gives_way(void **state)
{
	static struct given given[SESSIONS_MAX + 1];
	struct store store;

	(void)state;
	store_begin(&store);
	struct sessions *sessions = sessions_open(store.db, &store.err);
	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		add(sessions, &given[i]);
		((struct session *)given[i].session)->used_ms -= 1000 * (SESSIONS_MAX - i);
	}
	sessions_used(sessions, given[0].session); /* so the second is the oldest */
	add(sessions, &given[SESSIONS_MAX]);
	assert_int_equal(count(sessions), SESSIONS_MAX);
	assert_non_null(find(sessions, &given[0]));
	assert_null(find(sessions, &given[1]));
	assert_non_null(find(sessions, &given[SESSIONS_MAX]));
	sessions = reopen(&store, sessions);
	assert_int_equal(count(sessions), SESSIONS_MAX);
	assert_null(find(sessions, &given[1]));
	assert_non_null(find(sessions, &given[SESSIONS_MAX]));
	sessions_close(sessions);
	store_end(&store);
}

static void test_it_slides_and_ends(void **state)
{
	struct store store;
	struct given old, used;

	(void)state;
	store_begin(&store);
	struct sessions *sessions = sessions_open(store.db, &store.err);
	add(sessions, &old);
	add(sessions, &used);
	/* 11 h 59 min after their last use */
	((struct session *)old.session)->used_ms -= SESSION_MS - 60000;
	((struct session *)used.session)->used_ms -= SESSION_MS - 60000;
	assert_ptr_equal(find(sessions, &old), old.session);
	sessions_used(sessions, used.session);
	((struct session *)old.session)->used_ms -= 60001;
	((struct session *)used.session)->used_ms -= 60001;
	assert_false(sessions_has(sessions, old.session->id));
	assert_int_equal(count(sessions), 1);
	assert_null(find(sessions, &old));
	assert_non_null(find(sessions, &used));
	sessions = reopen(&store, sessions);
	assert_int_equal(count(sessions), 1);
	assert_non_null(find(sessions, &used));
	sessions_close(sessions);
	store_end(&store);
}

/* Rows that have ended, or cannot be read, are swept when the daemon starts, wherever they are. */
static void test_swept_at_the_start(void **state)
{
	struct store store;
	struct given given[20];

	(void)state;
	store_begin(&store);
	struct sessions *sessions = sessions_open(store.db, &store.err);
	for (unsigned i = 0; i < 20; i++) {
		add(sessions, &given[i]);
		if (i % 2 == 0)
			continue;
		/* Written as used so long ago: what a row says when it was not used again. */
		((struct session *)given[i].session)->used_ms -= SESSION_MS + 1000;
	}
	store_commit(&store);
	for (unsigned i = 1; i < 20; i += 2)
		assert_true(db_put(store.db, DB_SESSION, given[i].session->id, SESSION_ID,
		    "garbage", 7, 0, &store.err));
	sessions = reopen(&store, sessions);
	assert_int_equal(count(sessions), 10);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(find(sessions, &given[i]) != NULL, i % 2 == 0);
	sessions = reopen(&store, sessions);
	assert_int_equal(count(sessions), 10);
	sessions_close(sessions);
	store_end(&store);
}

static void lose_the_group(struct store *store)
{
	static char huge[1 << 16];
	uint64_t lost = db_lost(store->db);

	for (uint32_t i = 0; db_lost(store->db) == lost; i++)
		(void)!db_put(store->db, DB_META, &i, sizeof(i), huge, sizeof(huge), DB_LAZY, NULL);
}

static bool on_disk(struct store *store, const char *id)
{
	struct db_bytes row;

	return db_get(store->db, DB_SESSION, id, SESSION_ID, &row) == 1;
}

static void test_a_lost_group(void **state)
{
	struct store store;
	struct given kept, ended, begun;
	char ended_id[SESSION_ID + 1];

	(void)state;
	store_begin(&store);
	struct sessions *sessions = sessions_open(store.db, &store.err);
	add(sessions, &kept);
	add(sessions, &ended);
	store_commit(&store);
	snprintf(ended_id, sizeof(ended_id), "%s", ended.session->id);
	assert_true(sessions_remove(sessions, ended_id, &store.err));
	add(sessions, &begun);
	lose_the_group(&store);
	assert_null(find(sessions, &begun));
	assert_null(find(sessions, &ended)); /* revoked is revoked */
	assert_non_null(find(sessions, &kept));
	assert_true(on_disk(&store, ended_id));
	lose_the_group(&store); /* and again */
	assert_null(find(sessions, &ended));
	assert_true(db_put(store.db, DB_META, "k", 1, "v", 1, 0, &store.err));
	store_commit(&store);
	assert_false(on_disk(&store, ended_id));
	sessions = reopen(&store, sessions);
	assert_int_equal(count(sessions), 1);
	assert_non_null(find(sessions, &kept));
	sessions_close(sessions);
	store_end(&store);
}

/* One that ended for want of room is in no slot any more. */
static void test_a_lost_group_with_all_places_taken(void **state)
{
	static struct given given[SESSIONS_MAX + 1];
	struct store store;

	(void)state;
	store_begin(&store);
	struct sessions *sessions = sessions_open(store.db, &store.err);
	for (unsigned i = 0; i < SESSIONS_MAX; i++)
		add(sessions, &given[i]);
	((struct session *)given[3].session)->used_ms -= 1000;
	store_commit(&store);
	add(sessions, &given[SESSIONS_MAX]);
	lose_the_group(&store);
	assert_int_equal(count(sessions), SESSIONS_MAX - 1);
	assert_null(find(sessions, &given[3]));
	add(sessions, &given[SESSIONS_MAX]);
	store_commit(&store);
	assert_int_equal(db_count(store.db, DB_SESSION), SESSIONS_MAX);
	sessions = reopen(&store, sessions);
	assert_null(find(sessions, &given[3]));
	assert_non_null(find(sessions, &given[SESSIONS_MAX]));
	sessions_close(sessions);
	store_end(&store);
}

static void test_long_words(void **state)
{
	struct err err = ERR_INIT;
	struct store store;
	struct given one;
	char agent[2000];

	(void)state;
	store_begin(&store);
	struct sessions *sessions = sessions_open(store.db, &store.err);
	for (size_t i = 0; i + 3 < sizeof(agent); i += 3)
		memcpy(agent + i, "\xe2\x82\xac", 3);
	agent[sizeof(agent) - 2] = '\0';
	one.cookie[0] = '\0';
	assert_true(sessions_add(sessions,
	    &(struct session_of){.address = "2001:db8::1", .agent = agent, .user = agent},
	    one.cookie, one.token, &one.session, &err));
	assert_int_equal(strlen(one.session->user), (SESSION_USER - 1) / 3 * 3);
	assert_int_equal(strlen(one.session->agent) % 3, 0); /* not cut within a character */
	assert_true(strlen(one.session->agent) > 100);
	sessions = reopen(&store, sessions);
	assert_non_null(find(sessions, &one));
	sessions_close(sessions);
	store_end(&store);
}

/* ---- the tabs of one browser ---- */

static void test_tabs_share_the_cookie_and_nothing_else(void **state)
{
	struct store store;
	struct given one, two, stranger;

	(void)state;
	store_begin(&store);
	struct sessions *sessions = sessions_open(store.db, &store.err);
	add(sessions, &one);
	add(sessions, &stranger);
	two = one;
	add_tab(sessions, &two);
	assert_string_equal(two.cookie, one.cookie);
	assert_string_not_equal(two.token, one.token);
	assert_string_not_equal(two.session->id, one.session->id);
	assert_ptr_equal(find(sessions, &one), one.session);
	assert_ptr_equal(find(sessions, &two), two.session);
	assert_null(sessions_find(sessions, stranger.cookie, two.token));
	assert_null(sessions_find(sessions, two.cookie, stranger.token));
	assert_int_equal(count(sessions), 3);
	sessions = reopen(&store, sessions);
	one.session = find(sessions, &one);
	two.session = find(sessions, &two);
	assert_non_null(one.session);
	assert_non_null(two.session);
	assert_true(sessions_remove(sessions, one.session->id, &store.err));
	assert_null(find(sessions, &one));
	assert_ptr_equal(find(sessions, &two), two.session);
	assert_true(sessions_has_cookie(sessions, one.cookie));
	assert_true(sessions_remove(sessions, two.session->id, &store.err));
	assert_false(sessions_has_cookie(sessions, one.cookie));
	assert_true(sessions_has_cookie(sessions, stranger.cookie));
	sessions_close(sessions);
	store_end(&store);
}

static void test_tabs_end_each_for_itself(void **state)
{
	struct store store;
	struct given old, used;

	(void)state;
	store_begin(&store);
	struct sessions *sessions = sessions_open(store.db, &store.err);
	add(sessions, &old);
	used = old;
	add_tab(sessions, &used);
	((struct session *)old.session)->used_ms -= SESSION_MS + 1;
	assert_ptr_equal(find(sessions, &used), used.session); /* behind the one that has ended */
	assert_null(find(sessions, &old));
	assert_ptr_equal(find(sessions, &used), used.session);
	((struct session *)used.session)->used_ms -= SESSION_MS + 1;
	assert_false(sessions_has_cookie(sessions, used.cookie));
	old = used;
	add_tab(sessions, &old); /* no live session has it: another one */
	assert_string_not_equal(old.cookie, used.cookie);
	sessions_close(sessions);
	store_end(&store);
}

/* Nobody else than sessions.c chooses what a cookie holds. */
static void test_only_a_cookie_of_ours_stays(void **state)
{
	static const char *const texts[] = {
	    "", "x", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"};
	struct store store;
	struct given one, two;

	(void)state;
	store_begin(&store);
	struct sessions *sessions = sessions_open(store.db, &store.err);
	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		snprintf(one.cookie, sizeof(one.cookie), "%s", texts[i]);
		add_tab(sessions, &one);
		assert_int_equal(strlen(one.cookie), SESSION_SECRET);
		assert_string_not_equal(one.cookie, texts[i]);
	}
	snprintf(two.cookie, sizeof(two.cookie), "%s", one.token);
	add_tab(sessions, &two);
	assert_string_not_equal(two.cookie, one.token);
	sessions_close(sessions);
	store_end(&store);
}

static void test_tabs_are_bounded_as_all_sessions(void **state)
{
	static struct given tabs[SESSIONS_MAX + 5];
	struct store store;

	(void)state;
	store_begin(&store);
	struct sessions *sessions = sessions_open(store.db, &store.err);
	add(sessions, &tabs[0]);
	for (unsigned i = 1; i < SESSIONS_MAX + 5; i++) {
		tabs[i] = tabs[0];
		add_tab(sessions, &tabs[i]);
		assert_string_equal(tabs[i].cookie, tabs[0].cookie);
		if (i < SESSIONS_MAX)
			((struct session *)tabs[i].session)->used_ms -= 1000 * (SESSIONS_MAX - i);
	}
	assert_int_equal(count(sessions), SESSIONS_MAX);
	store_commit(&store);
	assert_int_equal(db_count(store.db, DB_SESSION), SESSIONS_MAX);
	sessions_close(sessions);
	store_end(&store);
}

static void test_a_tab_of_a_lost_group(void **state)
{
	struct store store;
	struct given kept, begun;

	(void)state;
	store_begin(&store);
	struct sessions *sessions = sessions_open(store.db, &store.err);
	add(sessions, &kept);
	store_commit(&store);
	begun = kept;
	add_tab(sessions, &begun);
	lose_the_group(&store);
	assert_null(find(sessions, &begun));
	assert_ptr_equal(find(sessions, &kept), kept.session);
	sessions_close(sessions);
	store_end(&store);
}

/* ---- the user ---- */

static void test_a_row_of_an_earlier_version(void **state)
{
	struct store store;
	struct given one;
	struct db_bytes row;
	unsigned char old[512];
	size_t length;

	(void)state;
	store_begin(&store);
	struct sessions *sessions = sessions_open(store.db, &store.err);
	add(sessions, &one);
	assert_int_equal(db_get(store.db, DB_SESSION, one.session->id, SESSION_ID, &row), 1);
	length = row.length - 4 - sizeof("jane@example.com");
	assert_true(length < sizeof(old));
	memcpy(old, row.data, length);
	assert_true(
	    db_put(store.db, DB_SESSION, one.session->id, SESSION_ID, old, length, 0, &store.err));
	sessions = reopen(&store, sessions);
	assert_non_null(find(sessions, &one));
	assert_string_equal(find(sessions, &one)->user, "");
	assert_string_equal(find(sessions, &one)->agent, "Browser/1");
	sessions_close(sessions);
	store_end(&store);
}

static void test_a_name_is_one_line(void **state)
{
	struct store store;
	struct given one = {.cookie = ""};

	(void)state;
	store_begin(&store);
	struct sessions *sessions = sessions_open(store.db, &store.err);
	assert_true(sessions_add(sessions,
	    &(struct session_of){.address = "::1",
	        .agent = "",
	        .user = "J\xc3\xa4ne\r\nroot\t\x7f\xc2\x9b"
	                "1m"},
	    one.cookie, one.token, &one.session, &store.err));
	assert_string_equal(one.session->user, "J\xc3\xa4ne  root    1m");
	sessions_close(sessions);
	store_end(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cookie_and_token),
	    cmocka_unit_test(test_hashes_survive_a_restart_and_secrets_do_not),
	    cmocka_unit_test(test_ending),
	    cmocka_unit_test(test_the_one_unused_for_longest_gives_way),
	    cmocka_unit_test(test_it_slides_and_ends),
	    cmocka_unit_test(test_swept_at_the_start),
	    cmocka_unit_test(test_a_lost_group),
	    cmocka_unit_test(test_a_lost_group_with_all_places_taken),
	    cmocka_unit_test(test_long_words),
	    cmocka_unit_test(test_tabs_share_the_cookie_and_nothing_else),
	    cmocka_unit_test(test_tabs_end_each_for_itself),
	    cmocka_unit_test(test_only_a_cookie_of_ours_stays),
	    cmocka_unit_test(test_tabs_are_bounded_as_all_sessions),
	    cmocka_unit_test(test_a_tab_of_a_lost_group),
	    cmocka_unit_test(test_a_row_of_an_earlier_version),
	    cmocka_unit_test(test_a_name_is_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
