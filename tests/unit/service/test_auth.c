/* auth: setup code, tries, whose sessions end when, and that nobody is told before the commit. The
 * keys themselves are checked by Eyes: the end-to-end tests have one. */
#include "unit/store/store_test.h"

#include "base/mem.h"
#include "service/auth.h"

#define HERE "192.0.2.7"
#define THERE "192.0.2.8"

static struct store store;
static struct vault *vault;
static struct records *records;
static struct sessions *sessions;
static struct audit *audit;
static struct bus *bus;
static struct service *service;
static struct auth *auth;
static char setup_code[AUTH_SETUP_CODE];

static void auth_begin(bool need_setup_code)
{
	auth = auth_new(&(struct auth_options){.service = service,
	    .sessions = sessions,
	    .bus = bus,
	    .need_setup_code = need_setup_code,
	    .setup_code = setup_code});
}

static int set_up(void **state)
{
	(void)state;
	store_begin(&store);
	vault = vault_open(store.db, NULL, NULL, &store.err);
	records = records_open(store.db, vault, &store.err);
	sessions = sessions_open(store.db, &store.err);
	audit = audit_open(store.db, 100, &store.err);
	bus = bus_new(store.loop);
	service = service_new(&(struct service_parts){.loop = store.loop,
	    .db = store.db,
	    .vault = vault,
	    .records = records,
	    .audit = audit,
	    .bus = bus});
	memset(setup_code, 0, sizeof(setup_code));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	service_free(service);
	auth_free(auth);
	auth = NULL;
	bus_free(bus);
	store_turn(&store, 0);
	audit_close(audit);
	sessions_close(sessions);
	records_close(records);
	vault_close(vault);
	store_end(&store);
	return 0;
}

static void set_account(const char *team)
{
	struct record_account account = {.origin = "https://eyes.example.com",
	    .team_id = team,
	    .user = "jane",
	    .purpose = "",
	    .permissions = "read,write,execute,merge"};
	struct secret key = {0};

	secret_set(&key, "key-of-the-account", 18);
	assert_true(records_set_account(records, &account, &key, &store.err));
	secret_free(&key);
	bus_publish(bus, BUS_ACCOUNT, 0);
	store_turn(&store, 0);
	store_turn(&store, 0);
}

/* ---- the setup code ---- */

static char last_hint[400];

static bool may(const char *address, const char *code, const char *error)
{
	struct err err = ERR_INIT;
	bool good = auth_setup_code_right(auth, address, code, &err);

	if (!good && !err_is(&err, error))
		fail_msg("%s instead of %s", err.code, error);
	if (!good)
		assert_true(err.hint[0] != '\0');
	snprintf(last_hint, sizeof(last_hint), "%s", err.hint);
	return good;
}

static void test_the_code_is_made_where_it_is_needed(void **state)
{
	char first[AUTH_SETUP_CODE];

	(void)state;
	auth_begin(false);
	assert_string_equal(auth_setup_code(auth), "");
	assert_string_equal(setup_code, "");
	assert_true(may(HERE, "anything", "")); /* nobody asks */
	auth_free(auth);
	auth_begin(true);
	assert_int_equal(strlen(auth_setup_code(auth)), AUTH_SETUP_CODE - 1);
	assert_int_equal(setup_code[4], '-');
	memcpy(first, setup_code, sizeof(first));
	auth_free(auth);
	auth_begin(true); /* the configuration was given: the same process begins again */
	assert_string_equal(auth_setup_code(auth), first);
	auth_free(auth);
	memset(setup_code, 0, sizeof(setup_code));
	auth_begin(true);
	assert_string_not_equal(auth_setup_code(auth), first);
}

static void test_only_the_code_is_right(void **state)
{
	char wrong[32];

	(void)state;
	memcpy(setup_code, "ABCD-EFGH", sizeof(setup_code));
	auth_begin(true);
	assert_true(may(HERE, "ABCD-EFGH", ""));
	assert_true(may(HERE, "abcd-efgh", "")); /* capitals do not matter */
	assert_true(may(HERE, "ABCDEFGH", ""));  /* nor does the hyphen */
	assert_true(may(HERE, " abcd efgh ", ""));
	assert_false(may(HERE, "", "setup_code"));
	assert_false(may(HERE, "ABCD-EFG", "setup_code"));
	assert_false(may(HERE, "ABCD-EFGH-ABCD-EFGH", "setup_code"));
	assert_false(may(HERE, "ABCD-EFGI", "setup_code"));
	assert_non_null(strstr(last_hint, "1 more try before a pause"));
	assert_int_equal(auth_pause_ms(auth, HERE), -1);
	snprintf(wrong, sizeof(wrong), "ABCD-EFGHI");
	assert_false(may(HERE, wrong, "setup_code")); /* five */
	assert_non_null(strstr(last_hint, "The next try is in one minute"));
	assert_in_range(auth_pause_ms(auth, HERE), AUTH_PAUSE_MS - 10000, AUTH_PAUSE_MS);
	assert_false(may(HERE, "ABCD-EFGH", "key_rate"));
	assert_true(may(THERE, "ABCD-EFGH", "")); /* nobody else is held up */
}

static void test_the_code_ends_with_the_first_account(void **state)
{
	(void)state;
	auth_begin(true);
	assert_false(may(HERE, "wrong", "setup_code"));
	set_account("team-1");
	assert_string_equal(auth_setup_code(auth), "");
	assert_true(may(HERE, "wrong", ""));
	auth_free(auth);
	memset(setup_code, 0, sizeof(setup_code));
	auth_begin(true);
	assert_string_equal(setup_code, "");
}

/* ---- sessions ---- */

struct given {
	char cookie[SESSION_SECRET + 1], token[SESSION_SECRET + 1];
	const struct session *session;
};

static void sign_in_tab(struct given *given)
{
	assert_true(sessions_add(sessions,
	    &(struct session_of){.address = HERE, .agent = "Browser/1", .user = "jane@example.com"},
	    given->cookie, given->token, &given->session, &store.err));
}

static void sign_in(struct given *given)
{
	given->cookie[0] = '\0';
	sign_in_tab(given);
}

static void refused(const char *cookie, const char *token, const char *code)
{
	struct err err = ERR_INIT;

	assert_null(auth_check(auth, cookie, token, &err));
	assert_string_equal(err.code, code);
	assert_true(err.hint[0] != '\0');
}

static void test_cookie_and_token_are_both_needed(void **state)
{
	struct given one, two;

	(void)state;
	auth_begin(false);
	sign_in(&one);
	sign_in(&two);
	assert_ptr_equal(auth_check(auth, one.cookie, one.token, &store.err), one.session);
	refused("", "", "session_missing");
	refused(one.cookie, "", "session_missing");
	refused("", one.token, "session_missing");
	refused(one.cookie, two.token, "session_ended");
	refused(two.cookie, one.token, "session_ended");
	refused(one.token, one.cookie, "session_ended");
	refused("x", one.token, "session_ended");
}

static void test_tabs_of_one_browser(void **state)
{
	struct given one, two;

	(void)state;
	auth_begin(false);
	sign_in(&one);
	two = one;
	sign_in_tab(&two);
	assert_ptr_equal(auth_check(auth, one.cookie, one.token, &store.err), one.session);
	assert_ptr_equal(auth_check(auth, one.cookie, two.token, &store.err), two.session);
	refused(one.token, two.token, "session_ended");
	refused("", two.token, "session_missing");
	assert_true(sessions_remove(sessions, one.session->id, &store.err));
	refused(one.cookie, one.token, "session_ended");
	assert_ptr_equal(auth_check(auth, one.cookie, two.token, &store.err), two.session);
}

static void test_who_it_was(void **state)
{
	struct session session = {.id = "0123456789abcdef"};
	char text[AUDIT_WHO], who[AUDIT_WHO], from[AUDIT_WHO], address[64];

	(void)state;
	auth_who(&session, HERE, text);
	assert_string_equal(text, "browser session 0123456789abcdef at " HERE);
	snprintf(session.user, sizeof(session.user), "jane@example.com");
	auth_who(&session, HERE, text);
	assert_string_equal(text, "jane@example.com, browser at " HERE);
	/* Whatever it says of itself, it stays a user in a browser. */
	snprintf(session.user, sizeof(session.user), "root (uid 0) on the control socket");
	auth_who(&session, HERE, text);
	audit_split(text, who, from);
	assert_string_equal(who, "root (uid 0) on the control socket, browser");
	assert_string_equal(from, HERE);
	/* The longest ones fit. */
	memset(session.user, 'u', sizeof(session.user) - 1);
	memset(address, 'a', sizeof(address) - 1);
	address[sizeof(address) - 1] = '\0';
	auth_who(&session, address, text);
	audit_split(text, who, from);
	assert_string_equal(from, address);
	assert_int_equal(strlen(who), SESSION_USER - 1 + strlen(", browser"));
}

static void test_twelve_hours_after_the_last_use(void **state)
{
	struct given used, unused;

	(void)state;
	auth_begin(false);
	sign_in(&used);
	sign_in(&unused);
	for (int i = 0; i < 3; i++) { /* 11 h 59 min, three times */
		((struct session *)used.session)->used_ms -= SESSION_MS - 60000;
		assert_non_null(auth_check(auth, used.cookie, used.token, &store.err));
	}
	((struct session *)unused.session)->used_ms -= SESSION_MS - 60000;
	refused(unused.cookie, used.token, "session_ended"); /* is no use of it */
	((struct session *)unused.session)->used_ms -= 60001;
	refused(unused.cookie, unused.token, "session_ended");
	assert_non_null(auth_check(auth, used.cookie, used.token, &store.err));
}

static unsigned rows;
static char last_who[200], last_subject[200];

static bool see_row(const struct audit_row *row, void *arg)
{
	if (strcmp(row->action, arg) != 0)
		return true;
	if (rows++ == 0) {
		snprintf(last_who, sizeof(last_who), "%s", row->who);
		snprintf(last_subject, sizeof(last_subject), "%s", row->subject);
	}
	return true;
}

static unsigned audited(const char *action)
{
	rows = 0;
	audit_latest(audit, 100, see_row, (void *)action);
	return rows;
}

static void test_sessions_end_with_the_team(void **state)
{
	struct given one;

	(void)state;
	set_account("team-1");
	auth_begin(false);
	sign_in(&one);
	set_account("team-1"); /* another key of the same */
	assert_non_null(auth_check(auth, one.cookie, one.token, &store.err));
	assert_int_equal(audited("session.end"), 0);
	set_account("team-2");
	refused(one.cookie, one.token, "session_ended");
	assert_int_equal(audited("session.end"), 1);
	assert_string_equal(last_who, "eyes-scm");
	sign_in(&one);
	set_account("team-2");
	assert_non_null(auth_check(auth, one.cookie, one.token, &store.err));
}

struct ending {
	unsigned calls;
	uint64_t commits;
	enum service_fault fault;
	char code[64];
};

static void ended(const struct service_result *result, void *arg)
{
	struct ending *ending = arg;

	ending->calls++;
	ending->commits = db_commits(store.db);
	ending->fault = result->fault;
	snprintf(ending->code, sizeof(ending->code), "%s",
	    result->err != NULL && result->err->code != NULL ? result->err->code : "");
}

static void test_an_end_is_told_after_the_commit(void **state)
{
	struct ending ending = {0};
	char id[SESSION_ID + 1];
	struct given one;

	(void)state;
	auth_begin(false);
	sign_in(&one);
	snprintf(id, sizeof(id), "%s", one.session->id);
	store_commit(&store);
	uint64_t commits = db_commits(store.db);
	auth_end_session(auth, "root (uid 0) on the control socket", id, ended, &ending);
	assert_int_equal(ending.calls, 0);
	refused(one.cookie, one.token, "session_ended"); /* at once, all the same */
	for (int i = 0; i < 100 && ending.calls == 0; i++)
		store_turn(&store, 1);
	assert_int_equal(ending.calls, 1);
	assert_int_equal(ending.fault, SERVICE_OK);
	assert_true(ending.commits > commits);
	assert_int_equal(audited("session.end"), 1);
	assert_string_equal(last_who, "root (uid 0) on the control socket");
	assert_string_equal(last_subject, id);
	auth_end_session(auth, "x", id, ended, &ending);
	for (int i = 0; i < 100 && ending.calls == 1; i++)
		store_turn(&store, 1);
	assert_int_equal(ending.fault, SERVICE_NOT_FOUND);
	assert_string_equal(ending.code, "not_found");
	assert_int_equal(audited("session.end"), 1);
}

static void test_an_end_that_is_not_kept_is_told_too(void **state)
{
	static char huge[1 << 16];
	struct ending ending = {0};
	char id[SESSION_ID + 1];
	struct given one;

	(void)state;
	auth_begin(false);
	sign_in(&one);
	snprintf(id, sizeof(id), "%s", one.session->id);
	store_commit(&store);
	auth_end_session(auth, "x", id, ended, &ending);
	uint64_t lost = db_lost(store.db);
	for (uint32_t i = 0; db_lost(store.db) == lost; i++)
		(void)!db_put(store.db, DB_META, &i, sizeof(i), huge, sizeof(huge), DB_LAZY, NULL);
	for (int i = 0; i < 100 && ending.calls == 0; i++)
		store_turn(&store, 1);
	assert_int_equal(ending.calls, 1);
	assert_int_equal(ending.fault, SERVICE_STORE);
	assert_string_equal(ending.code, "store_full");
	refused(one.cookie, one.token, "session_ended"); /* revoked is revoked */
}

/* ---- signing in ---- */

struct answer {
	unsigned calls;
	bool in;
	char code[64];
	int64_t retry_ms;
};

static void answered(const struct service_result *result, const struct auth_signed_in *signed_in,
    int64_t retry_after_ms, void *arg)
{
	struct answer *answer = arg;

	answer->calls++;
	answer->in = signed_in != NULL;
	answer->retry_ms = retry_after_ms;
	snprintf(answer->code, sizeof(answer->code), "%s",
	    result->err != NULL && result->err->code != NULL ? result->err->code : "");
}

static struct answer try_key(const char *address, const char *code)
{
	struct answer answer = {0};
	struct secret key = {0};

	secret_set(&key, "a-key", 5);
	auth_sign_in(auth,
	    &(struct auth_attempt){.address = address,
	        .agent = "Browser/1",
	        .cookie = "",
	        .key = &key,
	        .setup_code = code},
	    answered, &answer);
	secret_free(&key);
	assert_int_equal(answer.calls, 0); /* never inside the call */
	for (int i = 0; i < 100 && answer.calls == 0; i++)
		store_turn(&store, 1);
	assert_int_equal(answer.calls, 1);
	assert_false(answer.in);
	return answer;
}

static void test_no_key_is_looked_at_without_the_code(void **state)
{
	struct answer answer;

	(void)state;
	memcpy(setup_code, "ABCD-EFGH", sizeof(setup_code));
	auth_begin(true);
	for (int i = 0; i < AUTH_TRIES; i++) {
		answer = try_key(HERE, "AAAA-AAAA");
		assert_string_equal(answer.code, "setup_code");
		if (i < AUTH_TRIES - 1)
			assert_int_equal(answer.retry_ms, -1);
		else /* the pause begins with it */
			assert_in_range(answer.retry_ms, AUTH_PAUSE_MS - 10000, AUTH_PAUSE_MS);
	}
	answer = try_key(HERE, "ABCD-EFGH");
	assert_string_equal(answer.code, "key_rate");
	assert_in_range(answer.retry_ms, 1, AUTH_PAUSE_MS);
	/* The right code leads on: to what is missing here. */
	for (int i = 0; i < AUTH_TRIES + 2; i++)
		assert_string_equal(try_key(THERE, "ABCD-EFGH").code, "config_missing");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_the_code_is_made_where_it_is_needed),
	    TEST(test_only_the_code_is_right),
	    TEST(test_the_code_ends_with_the_first_account),
	    TEST(test_cookie_and_token_are_both_needed),
	    TEST(test_tabs_of_one_browser),
	    TEST(test_who_it_was),
	    TEST(test_twelve_hours_after_the_last_use),
	    TEST(test_sessions_end_with_the_team),
	    TEST(test_an_end_is_told_after_the_commit),
	    TEST(test_an_end_that_is_not_kept_is_told_too),
	    TEST(test_no_key_is_looked_at_without_the_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
