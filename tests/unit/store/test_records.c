#include "unit/store/store_test.h"

#include "base/pack.h"
#include "store/records.h"

#define CANARY "canary-57aa-secret-token"

struct office {
	struct store store;
	struct vault *vault;
	struct records *records;
};

static void office_open(struct office *office, uint64_t size)
{
	store_open(&office->store, size);
	office->vault = vault_open(office->store.db, NULL, NULL, &office->store.err);
	assert_non_null(office->vault);
	office->records = records_open(office->store.db, office->vault, &office->store.err);
	assert_non_null(office->records);
}

static void office_close(struct office *office)
{
	records_close(office->records);
	vault_close(office->vault);
	store_close(&office->store);
}

static void office_begin(struct office *office)
{
	store_folder(&office->store);
	office_open(office, STORE_SIZE);
}

static void office_again(struct office *office)
{
	office_close(office);
	office_open(office, STORE_SIZE);
}

static void office_end(struct office *office)
{
	office_close(office);
	store_remove(&office->store);
}

static uint32_t add_server(struct office *office, const char *url, const char *aliases)
{
	struct record_server server = {.kind = "bitbucket-server",
	    .url = url,
	    .aliases = aliases,
	    .ca_pem = "",
	    .product = "Bitbucket",
	    .version = "9.4.0",
	    .capabilities = 5,
	    .checked_ms = 77};

	assert_true(records_put_server(office->records, &server, &office->store.err));
	assert_true(server.id > 0);
	return server.id;
}

static struct record_repo repo_of(uint32_t server, const char *project, const char *slug)
{
	return (struct record_repo){.server = server,
	    .project = project,
	    .slug = slug,
	    .name = "Name",
	    .state = REPO_ENABLED,
	    .owner = "jane",
	    .admin = true,
	    .error = "",
	    .error_code = "",
	    .enabled_ms = 12,
	    .webhook = "3"};
}

static uint32_t add_repo(struct office *office, uint32_t server, const char *project,
    const char *slug, const char *token)
{
	struct record_repo repo = repo_of(server, project, slug);
	struct secret secret = {0};

	if (token != NULL)
		secret_set(&secret, token, strlen(token));
	assert_true(records_put_repo(
	    office->records, &repo, token != NULL ? &secret : NULL, &office->store.err));
	secret_free(&secret);
	return repo.id;
}

static void test_the_account(void **state)
{
	struct record_account account = {.origin = "https://eyes.example.com",
	    .team_id = "t1",
	    .user = "jane",
	    .purpose = "scm",
	    .permissions = "read,write",
	    .expires_ms = 99,
	    .checked_ms = 5};
	struct record_account read;
	struct secret key = {0}, out = {0};
	struct office office;

	(void)state;
	office_begin(&office);
	assert_false(records_account(office.records, &read));
	assert_false(records_account_key(office.records, &out, &office.store.err));
	assert_true(err_is(&office.store.err, "not_found"));
	secret_set(&key, CANARY, strlen(CANARY));
	assert_true(records_set_account(office.records, &account, &key, &office.store.err));
	office_again(&office);
	assert_true(records_account(office.records, &read));
	assert_string_equal(read.origin, account.origin);
	assert_string_equal(read.permissions, "read,write");
	assert_int_equal(read.expires_ms, 99);
	assert_false(read.refused);
	/* The row that was read may be given back; the key stays. */
	read.refused = true;
	assert_true(records_set_account(office.records, &read, NULL, &office.store.err));
	assert_true(records_account(office.records, &read));
	assert_true(read.refused);
	assert_string_equal(read.team_id, "t1");
	assert_true(records_account_key(office.records, &out, &office.store.err));
	assert_true(secret_equal(&key, &out));
	secret_free(&key);
	secret_free(&out);
	office_close(&office);
	assert_false(store_file_holds(&office.store, CANARY));
	assert_true(store_file_holds(&office.store, "read,write")); /* the search works */
	store_remove(&office.store);
}

static void test_servers_are_found_by_url(void **state)
{
	struct office office;

	(void)state;
	office_begin(&office);
	uint32_t plain = add_server(&office, "https://bitbucket.example.com", "");
	uint32_t context = add_server(
	    &office, "https://git.example.com:8443/bitbucket", "https://code.example.com/scm");
	uint32_t http = add_server(&office, "http://10.0.0.7:7990", "");
	const struct {
		const char *url;
		uint32_t id;
	} cases[] = {
	    {"https://bitbucket.example.com", plain},
	    {"https://bitbucket.example.com/", plain},
	    {"HTTPS://BitBucket.Example.com:443", plain},
	    {"bitbucket.example.com", plain},
	    {"BITBUCKET.example.com", plain},
	    {"http://bitbucket.example.com", 0},
	    {"https://bitbucket.example.com/other", 0},
	    {"https://git.example.com:8443/bitbucket", context},
	    {"https://git.example.com:8443/bitbucket/", context},
	    {"https://git.example.com:8443", 0},
	    {"https://git.example.com/bitbucket", 0},
	    {"git.example.com", context},
	    {"git.example.com:8443", context},
	    {"https://code.example.com/scm", context},
	    {"code.example.com", context},
	    {"http://10.0.0.7:7990", http},
	    {"10.0.0.7", http},
	    {"example.com", 0},
	    {"evil.com/bitbucket.example.com", 0},
	    {"", 0},
	};
	for (int again = 0; again < 2; again++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			const struct record_server *server =
			    records_server_by_url(office.records, cases[i].url);
			if ((server != NULL ? server->id : 0) != cases[i].id)
				fail_msg("%s finds server %u", cases[i].url,
				    server != NULL ? server->id : 0);
		}
		office_again(&office);
	}
	assert_int_equal(records_server_count(office.records), 3);
	assert_string_equal(records_server(office.records, plain)->version, "9.4.0");
	assert_int_equal(records_server_at(office.records, 0)->capabilities, 5);
	assert_null(records_server_at(office.records, 3));
	struct record_server same = *records_server(office.records, plain);
	same.id = 0;
	assert_false(records_put_server(office.records, &same, &office.store.err));
	assert_true(err_is(&office.store.err, "server_exists"));
	office_end(&office);
}

static void test_servers_change_and_go(void **state)
{
	struct office office;
	struct err *err = &office.store.err;

	(void)state;
	office_begin(&office);
	uint32_t one = add_server(&office, "https://a.example.com", "");
	uint32_t two = add_server(&office, "https://b.example.com", "");
	/* Its own strings may be given back. */
	struct record_server server = *records_server(office.records, one);
	server.version = "10.0";
	server.url = "https://c.example.com";
	assert_true(records_put_server(office.records, &server, err));
	assert_null(records_server_by_url(office.records, "a.example.com"));
	assert_string_equal(
	    records_server_by_url(office.records, "c.example.com")->version, "10.0");
	uint32_t repo = add_repo(&office, one, "P", "s", NULL);
	uint32_t other = add_repo(&office, two, "P", "s", NULL);
	assert_false(records_remove_server(office.records, one, err));
	assert_true(err_is(err, "server_in_use"));
	struct record_repo record;
	assert_true(records_repo(office.records, repo, &record));
	record.state = REPO_DISABLED;
	assert_true(records_put_repo(office.records, &record, NULL, err));
	assert_true(records_remove_server(office.records, one, err));
	office_again(&office);
	assert_null(records_server(office.records, one));
	assert_false(records_repo(office.records, repo, &record));
	assert_false(records_repo_by_name(office.records, one, "P", "s", &record));
	assert_true(records_repo(office.records, other, &record));
	assert_int_equal(records_repo_count(office.records, REPO_DISABLED), 0);
	assert_int_equal(records_repo_count(office.records, REPO_ENABLED), 1);
	assert_false(records_remove_server(office.records, one, err));
	assert_true(err_is(err, "not_found"));
	/* Ids are not used twice. */
	assert_true(add_server(&office, "https://d.example.com", "") > two);
	assert_true(add_repo(&office, two, "P", "t", NULL) > other);
	office_end(&office);
}

static void test_repositories(void **state)
{
	struct office office;
	struct record_repo repo;
	struct secret out = {0};
	struct err *err = &office.store.err;

	(void)state;
	office_begin(&office);
	uint32_t server = add_server(&office, "https://a.example.com", "");
	uint32_t id = add_repo(&office, server, "PRJ", "Web-App", CANARY);
	add_repo(&office, server, "~Jane", "web-app", NULL);
	office_again(&office);
	assert_true(records_repo_by_name(office.records, server, "prj", "WEB-app", &repo));
	assert_int_equal(repo.id, id);
	assert_string_equal(repo.project, "PRJ");
	assert_string_equal(repo.slug, "Web-App");
	assert_string_equal(repo.webhook, "3");
	assert_true(repo.has_token && repo.admin && repo.enabled_ms == 12);
	assert_false(records_repo_by_name(office.records, server + 1, "PRJ", "Web-App", &repo));
	assert_false(records_repo_by_name(office.records, server, "PR", "JWeb-App", &repo));
	/* A second of the same name is refused. */
	struct record_repo second = repo_of(server, "Prj", "web-APP");
	assert_false(records_put_repo(office.records, &second, NULL, err));
	assert_true(err_is(err, "repo_exists"));
	/* What was read may be given back; the token stays; the name may change. */
	assert_true(records_repo(office.records, id, &repo));
	repo.state = REPO_BLOCKED;
	repo.slug = "renamed";
	repo.error = "token was revoked";
	assert_true(records_put_repo(office.records, &repo, NULL, err));
	assert_false(records_repo_by_name(office.records, server, "PRJ", "web-app", &repo));
	assert_true(records_repo_by_name(office.records, server, "PRJ", "renamed", &repo));
	assert_string_equal(repo.error, "token was revoked");
	assert_true(records_repo_token(office.records, id, &out, err));
	assert_string_equal(out.data, CANARY);
	assert_int_equal(records_repo_count(office.records, REPO_BLOCKED), 1);
	assert_int_equal(records_repo_count(office.records, REPO_ENABLED), 1);
	assert_true(records_forget_token(office.records, id, err));
	assert_false(records_repo_token(office.records, id, &out, err));
	assert_true(err_is(err, "no_token"));
	assert_true(records_repo(office.records, id, &repo));
	assert_false(repo.has_token);
	struct record_repo missing = repo_of(server, "X", "y");
	missing.id = 999;
	assert_false(records_put_repo(office.records, &missing, NULL, err));
	assert_true(err_is(err, "not_found"));
	/* In order of their ids. */
	uint32_t after = 0, count = 0;
	while (records_next_repo(office.records, after, &repo)) {
		assert_true(repo.id > after);
		after = repo.id;
		count++;
	}
	assert_int_equal(count, 2);
	secret_free(&out);
	office_close(&office);
	assert_false(store_file_holds(&office.store, CANARY));
	store_remove(&office.store);
}

static void test_names_that_are_too_long(void **state)
{
	struct office office;
	char name[600];

	(void)state;
	office_begin(&office);
	uint32_t server = add_server(&office, "https://a.example.com", "");
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	struct record_repo repo = repo_of(server, "P", name);
	assert_false(records_put_repo(office.records, &repo, NULL, &office.store.err));
	assert_true(err_is(&office.store.err, "too_long"));
	assert_false(records_repo_by_name(office.records, server, "P", name, &repo));
	office_end(&office);
}

static void test_a_lost_group_takes_memory_back(void **state)
{
	static char big[2000];
	struct office office;
	struct record_repo repo;
	unsigned i = 0;
	char key[16];

	(void)state;
	store_folder(&office.store);
	office_open(&office, 1 << 20);
	uint32_t server = add_server(&office, "https://a.example.com", "");
	add_repo(&office, server, "P", "kept", NULL);
	store_commit(&office.store);
	uint32_t lost = add_server(&office, "https://b.example.com", "");
	uint32_t gone = add_repo(&office, lost, "P", "gone", NULL);
	assert_int_equal(records_repo_count(office.records, REPO_ENABLED), 2);
	do
		snprintf(key, sizeof(key), "%08u", i++);
	while (db_put(office.store.db, DB_AUDIT, key, 8, big, sizeof(big), 0, NULL));
	assert_null(records_server(office.records, lost));
	assert_null(records_server_by_url(office.records, "b.example.com"));
	assert_non_null(records_server_by_url(office.records, "a.example.com"));
	assert_int_equal(records_repo_count(office.records, REPO_ENABLED), 1);
	assert_false(records_repo(office.records, gone, &repo));
	assert_true(add_repo(&office, server, "P", "next", NULL) > gone);
	office_end(&office);
}

static void test_ten_thousand_repositories(void **state)
{
	const unsigned many = 10000;
	struct office office;
	struct record_repo repo;
	char slug[32];

	(void)state;
	office_begin(&office);
	uint32_t server = add_server(&office, "https://a.example.com", "");
	for (unsigned i = 0; i < many; i++) {
		snprintf(slug, sizeof(slug), "repository-%u", i);
		add_repo(&office, server, "PROJECT", slug, NULL);
	}
	records_close(office.records);
	store_commit(&office.store);
	uint64_t start_us = clock_monotonic_us();
	office.records = records_open(office.store.db, office.vault, NULL);
	uint64_t open_us = clock_monotonic_us() - start_us;
	assert_int_equal(records_repo_count(office.records, REPO_ENABLED), many);
	start_us = clock_monotonic_us();
	for (unsigned i = 0; i < many; i++) {
		snprintf(slug, sizeof(slug), "repository-%u", i * 7919 % many);
		assert_true(records_repo_by_name(office.records, server, "PROJECT", slug, &repo));
	}
	double each_us = (double)(clock_monotonic_us() - start_us) / many;
	print_message("opening with %u repositories: %.1f ms; by name: %.2f us each\n", many,
	    (double)open_us / 1000, each_us);
	if (!STORE_SANITIZED) {
		assert_true(open_us < 100000); /* the goal is 10 ms on a quiet machine */
		assert_true(each_us < 10);     /* and 1 us */
	}
	office_end(&office);
}

/* Rows of before "enabled_by" and "token_ms" end where these begin. */
static void test_an_older_row_is_readable(void **state)
{
	unsigned char key[4];
	struct record_repo repo;
	struct office office;
	struct db_bytes row;
	char copy[512];

	(void)state;
	office_begin(&office);
	uint32_t server = add_server(&office, "https://a.example.com", "");
	uint32_t id = add_repo(&office, server, "P", "old", CANARY);
	assert_true(records_repo(office.records, id, &repo));
	assert_true(repo.token_ms > 0);
	assert_string_equal(repo.enabled_by, "");
	pack_key_u32(key, id);
	assert_int_equal(db_get(office.store.db, DB_REPO, key, sizeof(key), &row), 1);
	assert_true(row.length < sizeof(copy));
	memcpy(copy, row.data, row.length);
	size_t length = row.length - 8 - 5; /* a time, and "" with its length */
	assert_true(
	    db_put(office.store.db, DB_REPO, key, sizeof(key), copy, length, 0, &office.store.err));
	office_again(&office);
	assert_true(records_repo(office.records, id, &repo));
	assert_string_equal(repo.webhook, "3");
	assert_string_equal(repo.enabled_by, "");
	assert_int_equal(repo.token_ms, 0);
	repo.enabled_by = "browser session 12";
	assert_true(records_put_repo(office.records, &repo, NULL, &office.store.err));
	assert_true(records_repo(office.records, id, &repo));
	assert_string_equal(repo.enabled_by, "browser session 12");
	assert_int_equal(repo.token_ms, 0); /* the same token */
	assert_true(records_forget_token(office.records, id, &office.store.err));
	assert_true(records_repo(office.records, id, &repo));
	assert_string_equal(repo.enabled_by, "browser session 12");
	assert_true(db_put(
	    office.store.db, DB_REPO, key, sizeof(key), copy, length + 3, 0, &office.store.err));
	assert_false(records_repo(office.records, id, &repo)); /* cut within: damaged */
	office_end(&office);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_account),
	    cmocka_unit_test(test_servers_are_found_by_url),
	    cmocka_unit_test(test_servers_change_and_go),
	    cmocka_unit_test(test_repositories),
	    cmocka_unit_test(test_names_that_are_too_long),
	    cmocka_unit_test(test_a_lost_group_takes_memory_back),
	    cmocka_unit_test(test_ten_thousand_repositories),
	    cmocka_unit_test(test_an_older_row_is_readable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
