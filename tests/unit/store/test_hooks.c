/* Webhook rows, their counters and secrets, and the instance's id. */
#include "unit/store/store_test.h"

#include "store/hooks.h"

#define NOW_MS 1700000000000ll

struct shed {
	struct store store;
	struct vault *vault;
	struct hooks *hooks;
};

static void shed_open(struct shed *shed, uint64_t size)
{
	store_open(&shed->store, size);
	shed->vault = vault_open(shed->store.db, NULL, NULL, &shed->store.err);
	assert_non_null(shed->vault);
	shed->hooks = hooks_open(shed->store.db, shed->vault, &shed->store.err);
	assert_non_null(shed->hooks);
}

static void shed_close(struct shed *shed)
{
	hooks_close(shed->hooks);
	vault_close(shed->vault);
	store_close(&shed->store);
}

static void shed_begin(struct shed *shed)
{
	store_folder(&shed->store);
	shed_open(shed, STORE_SIZE);
}

static void shed_again(struct shed *shed)
{
	shed_close(shed);
	shed_open(shed, STORE_SIZE);
}

static void shed_end(struct shed *shed)
{
	shed_close(shed);
	store_remove(&shed->store);
}

static struct record_hook hook(uint32_t repo, enum hook_state state)
{
	return (struct record_hook){.repo = repo,
	    .state = state,
	    .id = "12",
	    .url = "https://eyes.example.com/x?instance=1",
	    .events = "repo:refs_changed pr:opened",
	    .code = "",
	    .error = "",
	    .hint = ""};
}

static void put(struct shed *shed, struct record_hook row)
{
	if (!hooks_put(shed->hooks, &row, &shed->store.err))
		fail_msg("not put: %s", shed->store.err.message);
}

static void test_rows_come_back_as_they_were_put(void **state)
{
	struct record_hook row = hook(7, HOOK_FAILING), out;
	struct shed shed;

	(void)state;
	shed_begin(&shed);
	row.by_hand = true;
	row.code = "delivery_failed";
	row.error = "the server said 500";
	row.hint = "look there";
	row.checked_ms = 1;
	row.changed_ms = 2;
	row.delivered_ms = 3;
	row.failed_ms = 4;
	for (int i = 0; i < HOOKS_REPAIRS; i++)
		row.repairs[i] = 10 + i;
	assert_false(hooks_get(shed.hooks, 7, &out));
	put(&shed, row);
	shed_again(&shed);
	assert_true(hooks_get(shed.hooks, 7, &out));
	assert_int_equal(out.repo, 7);
	assert_int_equal(out.state, HOOK_FAILING);
	assert_true(out.by_hand);
	assert_false(out.relay);
	assert_string_equal(out.id, row.id);
	assert_string_equal(out.url, row.url);
	assert_string_equal(out.events, row.events);
	assert_string_equal(out.code, row.code);
	assert_string_equal(out.error, row.error);
	assert_string_equal(out.hint, row.hint);
	assert_int_equal(out.checked_ms, 1);
	assert_int_equal(out.changed_ms, 2);
	assert_int_equal(out.delivered_ms, 3);
	assert_int_equal(out.failed_ms, 4);
	assert_memory_equal(out.repairs, row.repairs, sizeof(out.repairs));
	assert_false(out.has_secret);
	assert_int_equal(out.old_until_ms, 0);
	/* Strings of a row that was read may be given back. */
	out.state = HOOK_OK;
	out.relay = true;
	out.by_hand = false;
	out.code = out.error = "";
	put(&shed, out);
	assert_true(hooks_get(shed.hooks, 7, &out));
	assert_int_equal(out.state, HOOK_OK);
	assert_true(out.relay);
	assert_false(out.by_hand);
	assert_string_equal(out.url, row.url);
	assert_string_equal(out.hint, row.hint);
	shed_end(&shed);
}

static void test_too_long_changes_nothing(void **state)
{
	static char text[70000];
	struct record_hook row = hook(7, HOOK_OK), out;
	struct shed shed;

	(void)state;
	shed_begin(&shed);
	put(&shed, row);
	memset(text, 't', sizeof(text) - 1);
	row.error = text;
	row.state = HOOK_BROKEN;
	assert_false(hooks_put(shed.hooks, &row, &shed.store.err));
	assert_true(err_is(&shed.store.err, "too_long"));
	assert_int_equal(hooks_count(shed.hooks, HOOK_OK), 1);
	assert_int_equal(hooks_count(shed.hooks, HOOK_BROKEN), 0);
	assert_true(hooks_get(shed.hooks, 7, &out));
	assert_int_equal(out.state, HOOK_OK);
	put(&shed, hook(8, HOOK_OK)); /* and the next one goes through */
	shed_end(&shed);
}

static void test_walk_remove_and_counters(void **state)
{
	struct record_hook out = {.repo = 0};
	struct shed shed;
	unsigned count = 0;

	(void)state;
	shed_begin(&shed);
	for (unsigned i = 0; i < 14; i++)
		put(&shed, hook(i == 13 ? UINT32_MAX : i * 3 + 1, (enum hook_state)(i % 7)));
	for (uint32_t after = 0; hooks_next(shed.hooks, after, &out); count++) {
		assert_true(out.repo > after);
		after = out.repo;
	}
	assert_int_equal(count, 14);
	for (int round = 0; round < 2; round++) {
		for (int one = HOOK_NEW; one <= HOOK_REMOVING; one++)
			assert_int_equal(hooks_count(shed.hooks, (enum hook_state)one), 2);
		shed_again(&shed);
	}
	put(&shed, hook(1, HOOK_OK)); /* was new */
	assert_int_equal(hooks_count(shed.hooks, HOOK_NEW), 1);
	assert_int_equal(hooks_count(shed.hooks, HOOK_OK), 3);
	assert_true(hooks_remove(shed.hooks, 1, NULL));
	assert_true(hooks_remove(shed.hooks, 1, NULL)); /* nothing to do */
	assert_false(hooks_get(shed.hooks, 1, &out));
	assert_int_equal(hooks_count(shed.hooks, HOOK_OK), 2);
	/* A lost group: rows and counters are as they were. */
	store_commit(&shed.store);
	put(&shed, hook(100, HOOK_CONFLICT));
	put(&shed, hook(4, HOOK_CONFLICT)); /* was ok */
	assert_true(hooks_remove(shed.hooks, 7, NULL));
	store_lose_group(&shed.store);
	assert_int_equal(hooks_count(shed.hooks, HOOK_OK), 2);
	assert_int_equal(hooks_count(shed.hooks, HOOK_FAILING), 2);
	assert_int_equal(hooks_count(shed.hooks, HOOK_CONFLICT), 2);
	assert_true(hooks_get(shed.hooks, 7, &out));
	assert_string_equal(hook_state_name(HOOK_NEW), "new");
	assert_string_equal(hook_state_name(HOOK_REMOVING), "removing");
	shed_end(&shed);
}

static void test_secrets(void **state)
{
	struct secret first = {0}, second = {0}, old = {0};
	struct record_hook out;
	struct shed shed;

	(void)state;
	shed_begin(&shed);
	assert_false(hooks_make_secret(shed.hooks, 7, &shed.store.err)); /* no row */
	assert_true(err_is(&shed.store.err, "not_found"));
	assert_false(hooks_rotate_secret(shed.hooks, 7, NOW_MS, NULL));
	put(&shed, hook(7, HOOK_OK));
	err_clear(&shed.store.err);
	assert_false(hooks_secret(shed.hooks, 7, NOW_MS, &first, &old, &shed.store.err));
	assert_true(err_is(&shed.store.err, "no_secret"));
	assert_true(hooks_make_secret(shed.hooks, 7, NULL));
	assert_true(hooks_secret(shed.hooks, 7, NOW_MS, &first, &old, NULL));
	assert_int_equal(first.length, 64);
	assert_int_equal(strspn(first.data, "0123456789abcdef"), 64);
	assert_int_equal(old.length, 0);
	assert_true(hooks_make_secret(shed.hooks, 7, NULL)); /* there is one: it stays */
	put(&shed, hook(7, HOOK_BROKEN));                    /* nor does a put change it */
	shed_again(&shed);
	assert_true(hooks_get(shed.hooks, 7, &out));
	assert_true(out.has_secret);
	assert_true(hooks_secret(shed.hooks, 7, NOW_MS, &second, NULL, NULL));
	assert_true(secret_equal(&first, &second));

	assert_true(hooks_rotate_secret(shed.hooks, 7, NOW_MS, NULL));
	put(&shed, hook(7, HOOK_OK));
	assert_int_equal(hooks_count(shed.hooks, HOOK_OK), 1);
	assert_true(hooks_get(shed.hooks, 7, &out));
	assert_int_equal(out.old_until_ms, NOW_MS + HOOKS_OLD_SECRET_MS);
	assert_string_equal(out.url, "https://eyes.example.com/x?instance=1");
	assert_true(hooks_secret(shed.hooks, 7, NOW_MS, &second, &old, NULL));
	assert_false(secret_equal(&first, &second));
	assert_true(secret_equal(&first, &old));
	int64_t end_ms = NOW_MS + HOOKS_OLD_SECRET_MS;
	assert_true(hooks_secret(shed.hooks, 7, end_ms - 1, &second, &old, NULL));
	assert_int_equal(old.length, 64);
	assert_true(hooks_secret(shed.hooks, 7, end_ms, &second, &old, NULL));
	assert_int_equal(old.length, 0); /* what was in it is gone */
	/* Rotated where there was none: there is no old one. */
	put(&shed, hook(8, HOOK_OK));
	assert_true(hooks_rotate_secret(shed.hooks, 8, NOW_MS, NULL));
	assert_true(hooks_secret(shed.hooks, 8, NOW_MS, &second, &old, NULL));
	assert_int_equal(old.length, 0);
	secret_free(&first);
	secret_free(&second);
	secret_free(&old);
	shed_end(&shed);
}

static void rotate(struct shed *shed, int64_t now_ms)
{
	assert_true(hooks_rotate_secret(shed->hooks, 7, now_ms, NULL));
}

/* Changed again before the server has the new one: the one that it has goes on counting. */
static void test_rotated_again(void **state)
{
	struct secret first = {0}, second = {0}, now = {0}, old = {0};
	struct record_hook out;
	struct shed shed;

	(void)state;
	shed_begin(&shed);
	put(&shed, hook(7, HOOK_OK));
	assert_true(hooks_secret_seen(shed.hooks, 7, NULL)); /* there is none */
	assert_true(hooks_make_secret(shed.hooks, 7, NULL));
	assert_true(hooks_get(shed.hooks, 7, &out));
	assert_false(out.secret_there);
	assert_true(hooks_secret(shed.hooks, 7, NOW_MS, &first, NULL, NULL));
	rotate(&shed, NOW_MS);
	rotate(&shed, NOW_MS + 1000);
	assert_true(hooks_secret(shed.hooks, 7, NOW_MS + 1000, &second, &old, NULL));
	assert_true(secret_equal(&first, &old));
	assert_false(secret_equal(&first, &second));
	assert_true(hooks_get(shed.hooks, 7, &out));
	assert_int_equal(out.old_until_ms, NOW_MS + 1000 + HOOKS_OLD_SECRET_MS);
	/* The server has the second: it is the old one then. */
	assert_true(hooks_secret_seen(shed.hooks, 7, NULL));
	put(&shed, hook(7, HOOK_FAILING));
	shed_again(&shed);
	assert_true(hooks_get(shed.hooks, 7, &out));
	assert_true(out.secret_there);
	rotate(&shed, NOW_MS + 2000);
	assert_true(hooks_get(shed.hooks, 7, &out));
	assert_false(out.secret_there);
	assert_true(hooks_secret(shed.hooks, 7, NOW_MS + 2000, &now, &old, NULL));
	assert_true(secret_equal(&second, &old));
	/* The second does not count any more, and nothing is known of the third. */
	rotate(&shed, NOW_MS + 2000 + HOOKS_OLD_SECRET_MS);
	assert_true(
	    hooks_secret(shed.hooks, 7, NOW_MS + 2000 + HOOKS_OLD_SECRET_MS, &first, &old, NULL));
	assert_true(secret_equal(&now, &old));
	secret_free(&first);
	secret_free(&second);
	secret_free(&now);
	secret_free(&old);
	shed_end(&shed);
}

/* An old secret is kept only while it counts; one that ended does not come back. */
static void test_keep_old(void **state)
{
	const int64_t end_ms = NOW_MS + HOOKS_OLD_SECRET_MS;
	struct secret now = {0}, old = {0};
	struct record_hook out;
	struct shed shed;

	(void)state;
	shed_begin(&shed);
	put(&shed, hook(7, HOOK_OK));
	assert_true(hooks_make_secret(shed.hooks, 7, NULL));
	rotate(&shed, NOW_MS);
	assert_true(hooks_keep_old(shed.hooks, 7, end_ms - 1, NULL));
	assert_true(hooks_secret(shed.hooks, 7, end_ms, &now, &old, NULL));
	assert_int_equal(old.length, 64);
	assert_true(hooks_keep_old(shed.hooks, 7, end_ms - 1 + HOOKS_OLD_SECRET_MS, NULL));
	/* Also a clock that is set back does not bring it back. */
	assert_true(hooks_secret(shed.hooks, 7, NOW_MS, &now, &old, NULL));
	assert_int_equal(old.length, 0);
	assert_true(hooks_get(shed.hooks, 7, &out));
	assert_int_equal(out.old_until_ms, 0);
	secret_free(&now);
	secret_free(&old);
	shed_end(&shed);
}

/* Neither secret is plain on disk, and neither opens in another place. */
static void test_secrets_are_sealed_and_bound(void **state)
{
	struct secret first = {0}, second = {0};
	unsigned char seven[4] = {0, 0, 0, 7}, eight[4] = {0, 0, 0, 8};
	struct shed shed;
	struct db_bytes row;

	(void)state;
	shed_begin(&shed);
	put(&shed, hook(7, HOOK_OK));
	put(&shed, hook(8, HOOK_OK));
	assert_true(hooks_make_secret(shed.hooks, 7, NULL));
	assert_true(hooks_make_secret(shed.hooks, 8, NULL));
	assert_true(hooks_secret(shed.hooks, 7, NOW_MS, &first, NULL, NULL));
	assert_true(hooks_rotate_secret(shed.hooks, 7, NOW_MS, NULL));
	assert_true(hooks_secret(shed.hooks, 7, NOW_MS, &second, NULL, NULL));
	store_commit(&shed.store);
	assert_true(store_file_holds(&shed.store, "repo:refs_changed pr:opened"));
	assert_false(store_file_holds(&shed.store, first.data));
	assert_false(store_file_holds(&shed.store, second.data));
	/* The row of 7, copied to 8. */
	assert_int_equal(db_get(shed.store.db, DB_HOOK, seven, 4, &row), 1);
	char copy[2000];
	size_t length = row.length;
	assert_true(length < sizeof(copy));
	memcpy(copy, row.data, length);
	assert_true(db_put(shed.store.db, DB_HOOK, eight, 4, copy, length, 0, NULL));
	assert_false(hooks_secret(shed.hooks, 8, NOW_MS, &first, NULL, &shed.store.err));
	assert_true(err_is(&shed.store.err, "key_wrong"));
	secret_free(&first);
	secret_free(&second);
	shed_end(&shed);
}

static void test_the_instance_is_made_once(void **state)
{
	char first[HOOKS_INSTANCE + 1];
	struct shed shed, other;

	(void)state;
	shed_begin(&shed);
	snprintf(first, sizeof(first), "%s", hooks_instance(shed.hooks));
	assert_int_equal(strlen(first), HOOKS_INSTANCE);
	assert_int_equal(strspn(first, "0123456789abcdef"), HOOKS_INSTANCE);
	shed_again(&shed);
	assert_string_equal(hooks_instance(shed.hooks), first);
	shed_begin(&other);
	assert_string_not_equal(hooks_instance(other.hooks), first);
	shed_end(&other);
	shed_end(&shed);
}

static bool given(struct shed *shed, const char *text)
{
	struct secret now = {0};
	bool changed = false;

	secret_set(&now, text, strlen(text));
	if (!hooks_given_changed(shed->hooks, now.length > 0 ? &now : NULL, &changed, NULL))
		fail_msg("'%s' cannot be given", text);
	secret_free(&now);
	return changed;
}

static void test_the_secret_given(void **state)
{
	static const char key[] = "hooks/given";
	struct shed shed;

	(void)state;
	shed_begin(&shed);
	assert_false(given(&shed, "s3cret-one")); /* the first start */
	assert_false(given(&shed, "s3cret-one"));
	shed_again(&shed);
	assert_false(given(&shed, "s3cret-one"));
	assert_true(given(&shed, "s3cret-two"));
	assert_false(given(&shed, "s3cret-two"));
	assert_true(given(&shed, ""));
	shed_again(&shed);
	assert_false(given(&shed, ""));
	assert_true(given(&shed, "s3cret-two"));
	store_commit(&shed.store);
	assert_true(store_file_holds(&shed.store, key));
	assert_false(store_file_holds(&shed.store, "s3cret-"));
	/* A lost group: nobody was given it. */
	assert_true(given(&shed, "s3cret-three"));
	store_lose_group(&shed.store);
	assert_true(given(&shed, "s3cret-three"));
	/* Damaged: as good as another one. */
	assert_true(db_put(shed.store.db, DB_META, key, strlen(key), "x", 1, 0, NULL));
	assert_true(given(&shed, "s3cret-three"));
	assert_false(given(&shed, "s3cret-three"));
	shed_end(&shed);
}

/* Rows of a program that did not keep it. */
static void test_the_secret_given_before(void **state)
{
	struct shed shed;

	(void)state;
	shed_begin(&shed);
	put(&shed, hook(7, HOOK_FAILING));
	assert_false(given(&shed, ""));
	assert_true(given(&shed, "s3cret-one"));
	shed_end(&shed);
	shed_begin(&shed);
	put(&shed, hook(7, HOOK_FAILING));
	assert_true(given(&shed, "s3cret-one"));
	assert_false(given(&shed, "s3cret-one"));
	shed_end(&shed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows_come_back_as_they_were_put),
	    cmocka_unit_test(test_too_long_changes_nothing),
	    cmocka_unit_test(test_walk_remove_and_counters),
	    cmocka_unit_test(test_secrets),
	    cmocka_unit_test(test_rotated_again),
	    cmocka_unit_test(test_keep_old),
	    cmocka_unit_test(test_secrets_are_sealed_and_bound),
	    cmocka_unit_test(test_the_instance_is_made_once),
	    cmocka_unit_test(test_the_secret_given),
	    cmocka_unit_test(test_the_secret_given_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
