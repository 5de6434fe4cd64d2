#include "unit/store/store_test.h"

#include "base/crypto.h"
#include "store/vault.h"

#define CANARY "canary-9f3b-secret-token"

static void write_file(const char *path, const void *data, size_t length, mode_t mode)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	assert_true(write(fd, data, length) == (ssize_t)length);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static struct vault *open_vault(struct store *store, const char *credentials, const char *file)
{
	err_clear(&store->err);
	return vault_open(store->db, credentials, file, &store->err);
}

/* Seals, and keeps the sealed form in the database. */
static void keep_canary(struct store *store, struct vault *vault)
{
	struct secret secret = {0};
	struct buf sealed;

	secret_set(&secret, CANARY, strlen(CANARY));
	buf_init(&sealed, 4096);
	vault_seal(vault, "repo", "repo/1", "token", &secret, &sealed);
	assert_int_equal(sealed.length, strlen(CANARY) + 29);
	assert_true(db_put(store->db, DB_REPO, "r", 1, sealed.data, sealed.length, 0, NULL));
	store_commit(store);
	buf_free(&sealed);
	secret_free(&secret);
}

static bool opens(
    struct store *store, struct vault *vault, const char *table, const char *row, const char *field)
{
	struct secret secret = {0};
	struct db_bytes sealed;

	assert_int_equal(db_get(store->db, DB_REPO, "r", 1, &sealed), 1);
	bool good = vault_open_sealed(
	    vault, table, row, field, sealed.data, sealed.length, &secret, &store->err);
	if (good)
		assert_string_equal(secret.data, CANARY);
	secret_free(&secret);
	return good;
}

static void test_seals_for_one_place_only(void **state)
{
	struct store store;

	(void)state;
	store_begin(&store);
	struct vault *vault = open_vault(&store, NULL, NULL);
	assert_non_null(vault);
	keep_canary(&store, vault);
	assert_true(opens(&store, vault, "repo", "repo/1", "token"));
	assert_false(opens(&store, vault, "repo", "repo/2", "token"));
	assert_true(err_is(&store.err, "key_wrong"));
	assert_false(opens(&store, vault, "repo", "repo/1", "other"));
	assert_false(opens(&store, vault, "account", "repo/1", "token"));
	/* The lengths belong to it: what is moved from name to name is another place. */
	assert_false(opens(&store, vault, "repor", "epo/1", "token"));
	vault_close(vault);
	store_end(&store);
}

static void test_any_changed_byte_is_noticed(void **state)
{
	struct secret secret = {0}, out = {0};
	struct store store;
	struct buf sealed;

	(void)state;
	store_begin(&store);
	struct vault *vault = open_vault(&store, NULL, NULL);
	secret_set(&secret, "abc", 3);
	buf_init(&sealed, 4096);
	vault_seal(vault, "t", "r", "f", &secret, &sealed);
	for (size_t i = 0; i < sealed.length; i++) {
		sealed.data[i] ^= 1;
		assert_false(vault_open_sealed(
		    vault, "t", "r", "f", sealed.data, sealed.length, &out, NULL));
		sealed.data[i] ^= 1;
	}
	for (size_t length = 0; length < sealed.length; length++)
		assert_false(
		    vault_open_sealed(vault, "t", "r", "f", sealed.data, length, &out, NULL));
	assert_null(out.data);
	assert_true(
	    vault_open_sealed(vault, "t", "r", "f", sealed.data, sealed.length, &out, NULL));
	/* Twice the same secret never looks the same. */
	struct buf again;
	buf_init(&again, 4096);
	vault_seal(vault, "t", "r", "f", &secret, &again);
	assert_memory_not_equal(again.data, sealed.data, sealed.length);
	buf_free(&again);
	buf_free(&sealed);
	secret_free(&secret);
	secret_free(&out);
	vault_close(vault);
	store_end(&store);
}

static void test_the_first_start_makes_a_key_and_later_ones_use_it(void **state)
{
	struct store store;
	struct stat status;
	char path[128];

	(void)state;
	store_begin(&store);
	store_path(&store, "key", path);
	mode_t before = umask(0);
	struct vault *vault = open_vault(&store, NULL, NULL);
	umask(before);
	assert_non_null(vault);
	assert_string_equal(vault_key_source(vault), path);
	assert_true(stat(path, &status) == 0 && (status.st_mode & 0777) == 0600);
	assert_int_equal(status.st_size, 65);
	keep_canary(&store, vault);
	vault_close(vault);
	store_close(&store);
	assert_false(store_file_holds(&store, CANARY));
	store_open(&store, STORE_SIZE);
	vault = open_vault(&store, "", "");
	assert_non_null(vault);
	assert_true(opens(&store, vault, "repo", "repo/1", "token"));
	vault_close(vault);
	/* The key is gone: a new one would help nobody. */
	assert_int_equal(unlink(path), 0);
	assert_null(open_vault(&store, NULL, NULL));
	assert_true(err_is(&store.err, "key_missing"));
	assert_true(access(path, F_OK) != 0);
	/* Another one is there. */
	char other[65];
	memset(other, 'a', sizeof(other));
	write_file(path, other, 64, 0600);
	assert_null(open_vault(&store, NULL, NULL));
	assert_true(err_is(&store.err, "key_wrong"));
	assert_non_null(strstr(store.err.message, path));
	assert_true(store.err.hint[0] != '\0');
	store_end(&store);
}

static void test_where_the_key_comes_from(void **state)
{
	static const char digits[] =
	    "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F\n";
	char folder[128], credential[160], file[128];
	unsigned char raw[32];
	struct store store;

	(void)state;
	store_begin(&store);
	store_path(&store, "credentials", folder);
	store_path(&store, "keyfile", file);
	assert_int_equal(mkdir(folder, 0700), 0);
	snprintf(credential, sizeof(credential), "%s/eyes-scm.key", folder);
	/* A named file must be there. */
	assert_null(open_vault(&store, folder, file));
	assert_true(err_is(&store.err, "key_missing"));
	assert_non_null(strstr(store.err.message, file));
	write_file(file, digits, 65, 0600);
	struct vault *vault = open_vault(&store, folder, file);
	assert_non_null(vault);
	assert_string_equal(vault_key_source(vault), file);
	keep_canary(&store, vault);
	vault_close(vault);
	/* The credential comes first; here it holds the same key as bytes. */
	for (unsigned i = 0; i < 32; i++)
		raw[i] = (unsigned char)i;
	write_file(credential, raw, 32, 0400);
	vault = open_vault(&store, folder, file);
	assert_non_null(vault);
	assert_string_equal(vault_key_source(vault), credential);
	assert_true(opens(&store, vault, "repo", "repo/1", "token"));
	vault_close(vault);
	/* A credential that is no key is not passed over. */
	write_file(credential, raw, 31, 0400);
	assert_null(open_vault(&store, folder, file));
	assert_true(err_is(&store.err, "key_malformed"));
	store_end(&store);
}

static void test_key_files_that_are_refused(void **state)
{
	static const struct {
		const char *text;
		mode_t mode;
		const char *code;
	} cases[] = {
	    {"", 0600, "key_malformed"},
	    {"00", 0600, "key_malformed"},
	    {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1", 0600,
	        "key_malformed"},
	    {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0", 0600,
	        "key_malformed"},
	    {"00010203040506070809xx0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 0600,
	        "key_malformed"},
	    {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\r\n", 0600, NULL},
	    {"0123456789abcdef0123456789abcdef", 0600, NULL},
	    {"0123456789abcdef0123456789abcdef", 0604, "key_unsafe"},
	    {"0123456789abcdef0123456789abcdef", 0620, "key_unsafe"},
	    {"0123456789abcdef0123456789abcdef", 0666, "key_unsafe"},
	};
	char path[128], link[128];
	struct store store;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		store_begin(&store);
		store_path(&store, "k", path);
		write_file(path, cases[i].text, strlen(cases[i].text), cases[i].mode);
		struct vault *vault = open_vault(&store, NULL, path);
		assert_int_equal(vault != NULL, cases[i].code == NULL);
		if (cases[i].code != NULL)
			assert_string_equal(store.err.code, cases[i].code);
		vault_close(vault);
		store_end(&store);
	}
	store_begin(&store);
	store_path(&store, "k", path);
	store_path(&store, "link", link);
	write_file(path, "0123456789abcdef0123456789abcdef", 32, 0600);
	assert_int_equal(symlink(path, link), 0);
	assert_null(open_vault(&store, NULL, link));
	assert_true(err_is(&store.err, "key_unsafe"));
	assert_null(open_vault(&store, NULL, store.folder)); /* a folder */
	assert_true(err_is(&store.err, "key_unsafe"));
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 12345, 0), 0);
		assert_null(open_vault(&store, NULL, path));
		assert_true(err_is(&store.err, "key_unsafe"));
		assert_int_equal(chown(path, 0, 12345), 0); /* root may let our group read */
		assert_int_equal(chmod(path, 0640), 0);
		struct vault *vault = open_vault(&store, NULL, path);
		assert_non_null(vault);
		vault_close(vault);
	}
	store_end(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_seals_for_one_place_only),
	    cmocka_unit_test(test_any_changed_byte_is_noticed),
	    cmocka_unit_test(test_the_first_start_makes_a_key_and_later_ones_use_it),
	    cmocka_unit_test(test_where_the_key_comes_from),
	    cmocka_unit_test(test_key_files_that_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
