#include "store/records.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/pack.h"
#include "base/url.h"
#include "store/records_pack.h"
#include "store/servers_memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCOUNT_KEY "account"
#define CONFIGURATION_KEY "configuration"
#define IDS_KEY "records"

struct records {
	struct db *db;
	struct vault *vault;
	struct servers_memory servers;
	bool servers_changed;            /* since the start: a lost group may have changed them */
	uint32_t last_server, last_repo; /* ids given */
	uint64_t states[REPO_BLOCKED + 1];
	struct buf row, sealed;
};

/* ---- opening, and after a lost group ---- */

static bool load_servers(struct records *records, struct err *err)
{
	struct db_cursor *cursor = db_cursor_open(records->db, DB_SERVER);
	struct record_server server;
	struct db_bytes key, row;
	bool good = true;

	servers_memory_free(&records->servers);
	while (good && db_next(cursor, &key, &row)) {
		good = records_unpack_server(&row, &server);
		if (good)
			servers_memory_set(&records->servers, &server);
	}
	db_cursor_close(cursor);
	records->servers_changed = false;
	return good || err_set(err, "store_corrupt", "a server's row is damaged");
}

static void count_states(struct records *records)
{
	struct db_cursor *cursor = db_cursor_open(records->db, DB_REPO);
	struct db_bytes key, row;

	memset(records->states, 0, sizeof(records->states));
	while (db_next(cursor, &key, &row))
		records->states[records_unpack_state(&row)]++;
	db_cursor_close(cursor);
}

static bool load_ids(struct records *records, struct err *err)
{
	struct db_bytes row;
	struct unpack u;
	int is = db_get(records->db, DB_META, IDS_KEY, strlen(IDS_KEY), &row);

	if (is == 0)
		return true;
	if (is < 0)
		return err_set(err, "store_failed", "the store cannot be read");
	unpack_init(&u, row.data, row.length);
	records->last_server = unpack_u32(&u);
	records->last_repo = unpack_u32(&u);
	return !u.bad || err_set(err, "store_corrupt", "the row of ids in META is damaged");
}

/* Ids that were given stay given. */
static void on_lost(void *arg)
{
	struct records *records = arg;

	if (records->servers_changed)
		(void)!load_servers(records, NULL);
	count_states(records);
}

struct records *records_open(struct db *db, struct vault *vault, struct err *err)
{
	struct records *records = mem_zero(sizeof(*records));

	records->db = db;
	records->vault = vault;
	buf_init(&records->row, RECORDS_ROW_MAX);
	buf_init(&records->sealed, RECORDS_ROW_MAX);
	if (!load_ids(records, err) || !load_servers(records, err)) {
		records_close(records);
		return NULL;
	}
	count_states(records);
	db_on_lost(db, on_lost, records);
	return records;
}

void records_close(struct records *records)
{
	if (records == NULL)
		return;
	db_forget(records->db, records);
	servers_memory_free(&records->servers);
	buf_free(&records->row);
	buf_free(&records->sealed);
	free(records);
}

static bool put_ids(struct records *records, struct err *err)
{
	buf_reset(&records->row);
	pack_u32(&records->row, records->last_server);
	pack_u32(&records->row, records->last_repo);
	return db_put(records->db, DB_META, IDS_KEY, strlen(IDS_KEY), records->row.data,
	    records->row.length, 0, err);
}

/* The sealed form of a new secret, or with NULL a copy of the stored one: rows are borrowed. */
static struct record_sealed sealed_form(struct records *records, const char *table, const char *row,
    const char *field, const struct secret *secret, const struct record_sealed *stored)
{
	buf_reset(&records->sealed);
	if (secret != NULL)
		vault_seal(records->vault, table, row, field, secret, &records->sealed);
	else
		buf_append(&records->sealed, stored->data, stored->length);
	return (struct record_sealed){
	    .data = records->sealed.data, .length = records->sealed.length};
}

static bool too_long(const struct buf *row, struct err *err)
{
	return row->overflow && !err_set(err, "too_long", "the record is too long to be kept");
}

/* ---- account ---- */

static int get_account(
    struct records *records, struct record_account *account, struct record_sealed *key)
{
	struct db_bytes row;
	int is = db_get(records->db, DB_ACCOUNT, ACCOUNT_KEY, strlen(ACCOUNT_KEY), &row);

	if (is != 1)
		return is;
	return records_unpack_account(&row, account, key) ? 1 : -1;
}

void records_configuration(struct records *records, struct record_configuration *out)
{
	struct db_bytes row;
	struct unpack u;

	*out = (struct record_configuration){.eyes_url = "", .organization = ""};
	if (db_get(records->db, DB_ACCOUNT, CONFIGURATION_KEY, strlen(CONFIGURATION_KEY), &row) !=
	    1)
		return;
	unpack_init(&u, row.data, row.length);
	out->eyes_url = unpack_string(&u);
	out->organization = unpack_string(&u);
}

bool records_set_configuration(
    struct records *records, const struct record_configuration *configuration, struct err *err)
{
	buf_reset(&records->row);
	pack_string(&records->row, configuration->eyes_url);
	pack_string(&records->row, configuration->organization);
	return db_put(records->db, DB_ACCOUNT, CONFIGURATION_KEY, strlen(CONFIGURATION_KEY),
	    records->row.data, records->row.length, 0, err);
}

bool records_account(struct records *records, struct record_account *out)
{
	struct record_sealed key;

	return get_account(records, out, &key) == 1;
}

bool records_set_account(struct records *records, const struct record_account *account,
    const struct secret *key, struct err *err)
{
	struct record_account old;
	struct record_sealed stored = {.data = "", .length = 0};

	if (key == NULL && get_account(records, &old, &stored) < 0)
		return err_set(err, "store_corrupt", "the account's row is damaged");
	struct record_sealed sealed =
	    sealed_form(records, "account", ACCOUNT_KEY, "key", key, &stored);
	buf_reset(&records->row);
	records_pack_account(&records->row, account, &sealed);
	if (too_long(&records->row, err))
		return false;
	return db_put(records->db, DB_ACCOUNT, ACCOUNT_KEY, strlen(ACCOUNT_KEY), records->row.data,
	    records->row.length, 0, err);
}

bool records_account_key(struct records *records, struct secret *key, struct err *err)
{
	struct record_account account;
	struct record_sealed sealed;

	if (get_account(records, &account, &sealed) != 1 || sealed.length == 0)
		return err_set(err, "not_found", "no Eyes API key is stored");
	return vault_open_sealed(
	    records->vault, "account", ACCOUNT_KEY, "key", sealed.data, sealed.length, key, err);
}

/* ---- servers ---- */

unsigned records_server_count(const struct records *records)
{
	return records->servers.count;
}

const struct record_server *records_server_at(const struct records *records, unsigned index)
{
	return servers_memory_at(&records->servers, index);
}

const struct record_server *records_server(const struct records *records, uint32_t id)
{
	return servers_memory_find(&records->servers, id);
}

const struct record_server *records_server_by_url(const struct records *records, const char *url)
{
	return servers_memory_by_url(&records->servers, url);
}

bool records_put_server(struct records *records, struct record_server *server, struct err *err)
{
	unsigned char key[4];
	struct url url;
	uint32_t id = server->id;

	if (!url_parse(&url, server->url, err))
		return false;
	const struct record_server *same = records_server_by_url(records, server->url);
	if (same != NULL && same->id != id)
		return err_set(err, "server_exists", "the server %s is there already", server->url);
	if (id == 0)
		id = records->last_server + 1;
	struct record_server record = *server;
	record.id = id;
	buf_reset(&records->row);
	records_pack_server(&records->row, &record);
	if (too_long(&records->row, err))
		return false;
	pack_key_u32(key, id);
	if (!db_put(records->db, DB_SERVER, key, sizeof(key), records->row.data,
	        records->row.length, 0, err))
		return false;
	if (server->id == 0) {
		records->last_server = id;
		if (!put_ids(records, err))
			return false;
	}
	records->servers_changed = true;
	servers_memory_set(&records->servers, &record); /* server's strings may be the old ones */
	server->id = id;
	return true;
}

/* Visits the repositories of a server: refuses when one is in use, else deletes them. */
static bool remove_repos(struct records *records, uint32_t server, bool delete, struct err *err)
{
	struct db_cursor *cursor = db_cursor_open(records->db, DB_REPO_NAME);
	struct db_bytes name, id, row;
	unsigned char prefix[4], key[4];
	bool good = true;

	pack_key_u32(prefix, server);
	bool more = db_seek(cursor, prefix, sizeof(prefix), &name, &id);
	while (good && more && memcmp(name.data, prefix, sizeof(prefix)) == 0) {
		memcpy(key, id.data, sizeof(key));
		int is = db_get(records->db, DB_REPO, key, sizeof(key), &row);
		if (is == 1 && records_unpack_state(&row) != REPO_DISABLED)
			good = err_set(
			    err, "server_in_use", "repositories of this server are still enabled");
		if (good && delete) {
			good = db_del(records->db, DB_REPO, key, sizeof(key), 0, err) &&
			       db_cursor_del(cursor, err);
			records->states[REPO_DISABLED] -= good && is == 1;
		}
		more = good && db_next(cursor, &name, &id);
	}
	db_cursor_close(cursor);
	return good;
}

bool records_remove_server(struct records *records, uint32_t id, struct err *err)
{
	unsigned char key[4];

	if (records_server(records, id) == NULL)
		return err_set(err, "not_found", "there is no server with this number");
	if (!remove_repos(records, id, false, err) || !remove_repos(records, id, true, err))
		return false;
	pack_key_u32(key, id);
	if (!db_del(records->db, DB_SERVER, key, sizeof(key), 0, err))
		return false;
	records->servers_changed = true;
	servers_memory_remove(&records->servers, id);
	return true;
}

/* ---- repositories ---- */

static int get_repo(
    struct records *records, uint32_t id, struct record_repo *repo, struct record_sealed *token)
{
	unsigned char key[4];
	struct db_bytes row;

	pack_key_u32(key, id);
	int is = db_get(records->db, DB_REPO, key, sizeof(key), &row);
	if (is != 1)
		return is;
	return records_unpack_repo(&row, repo, token) ? 1 : -1;
}

bool records_repo(struct records *records, uint32_t id, struct record_repo *out)
{
	struct record_sealed token;

	return get_repo(records, id, out, &token) == 1;
}

/* The id of a name, 0 when there is none. */
static uint32_t find_name(struct records *records, const unsigned char *key, size_t length)
{
	struct db_bytes id;

	if (length == 0 || db_get(records->db, DB_REPO_NAME, key, length, &id) != 1 ||
	    id.length != sizeof(uint32_t))
		return 0;
	return unpack_key_u32(id.data);
}

bool records_repo_by_name(struct records *records, uint32_t server, const char *project,
    const char *slug, struct record_repo *out)
{
	unsigned char key[DB_KEY_MAX];
	uint32_t id = find_name(records, key, records_name_key(key, server, project, slug));

	return id != 0 && records_repo(records, id, out);
}

static void repo_words(char row[32], uint32_t id)
{
	snprintf(row, 32, "repo/%lu", (unsigned long)id);
}

/* The old row, looked at before anything is written. */
struct old_repo {
	bool there;
	enum repo_state state;
	size_t name_length;
	unsigned char name[DB_KEY_MAX];
};

static bool look_at_old(
    struct records *records, uint32_t id, struct old_repo *old, struct record_sealed *token)
{
	struct record_repo repo;
	int is = id != 0 ? get_repo(records, id, &repo, token) : 0;

	*old = (struct old_repo){.there = is == 1};
	if (is != 1)
		return is == 0 && id == 0;
	old->state = repo.state;
	old->name_length = records_name_key(old->name, repo.server, repo.project, repo.slug);
	return true;
}

static bool put_repo_rows(struct records *records, uint32_t id, const unsigned char *name,
    size_t name_length, const struct old_repo *old, struct err *err)
{
	unsigned char key[4];
	bool renamed = old->there && (old->name_length != name_length ||
	                                 memcmp(old->name, name, name_length) != 0);

	pack_key_u32(key, id);
	if (!db_put(records->db, DB_REPO, key, sizeof(key), records->row.data, records->row.length,
	        0, err))
		return false;
	if (renamed && !db_del(records->db, DB_REPO_NAME, old->name, old->name_length, 0, err))
		return false;
	return (old->there && !renamed) ||
	       db_put(records->db, DB_REPO_NAME, name, name_length, key, sizeof(key), 0, err);
}

bool records_put_repo(
    struct records *records, struct record_repo *repo, const struct secret *token, struct err *err)
{
	struct record_sealed stored = {.data = "", .length = 0};
	unsigned char name[DB_KEY_MAX];
	struct old_repo old;
	char words[32];
	uint32_t id = repo->id != 0 ? repo->id : records->last_repo + 1;
	size_t name_length = records_name_key(name, repo->server, repo->project, repo->slug);

	if (name_length == 0)
		return err_set(err, "too_long", "the repository's name is too long");
	if (!look_at_old(records, repo->id, &old, &stored))
		return err_set(err, "not_found", "there is no repository with this number");
	uint32_t same = find_name(records, name, name_length);
	if (same != 0 && same != repo->id)
		return err_set(err, "repo_exists", "the repository %s/%s is there already",
		    repo->project, repo->slug);
	repo_words(words, id);
	struct record_sealed sealed = sealed_form(records, "repo", words, "token", token, &stored);
	struct record_repo record = *repo; /* its strings may be borrowed from the old row */
	record.id = id;
	if (token != NULL)
		record.token_ms = clock_wall_ms();
	buf_reset(&records->row);
	records_pack_repo(&records->row, &record, &sealed);
	if (too_long(&records->row, err) ||
	    !put_repo_rows(records, id, name, name_length, &old, err))
		return false;
	if (repo->id == 0) {
		records->last_repo = id;
		if (!put_ids(records, err))
			return false;
	}
	if (old.there)
		records->states[old.state]--;
	records->states[repo->state]++;
	repo->id = id;
	repo->has_token = sealed.length > 0;
	repo->token_ms = record.token_ms;
	return true;
}

bool records_repo_token(struct records *records, uint32_t id, struct secret *token, struct err *err)
{
	struct record_sealed sealed;
	struct record_repo repo;
	char words[32];

	if (get_repo(records, id, &repo, &sealed) != 1)
		return err_set(err, "not_found", "there is no repository with this number");
	if (sealed.length == 0)
		return err_set(
		    err, "no_token", "no token is stored for %s/%s", repo.project, repo.slug);
	repo_words(words, id);
	return vault_open_sealed(
	    records->vault, "repo", words, "token", sealed.data, sealed.length, token, err);
}

bool records_forget_token(struct records *records, uint32_t id, struct err *err)
{
	const struct record_sealed none = {.data = "", .length = 0};
	struct record_sealed sealed;
	struct record_repo repo;
	unsigned char key[4];

	if (get_repo(records, id, &repo, &sealed) != 1)
		return err_set(err, "not_found", "there is no repository with this number");
	repo.token_ms = 0;
	buf_reset(&records->row);
	records_pack_repo(&records->row, &repo, &none);
	pack_key_u32(key, id);
	return db_put(
	    records->db, DB_REPO, key, sizeof(key), records->row.data, records->row.length, 0, err);
}

bool records_next_repo(struct records *records, uint32_t after, struct record_repo *out)
{
	struct record_sealed token;
	unsigned char key[4];
	struct db_bytes at = {key, sizeof(key)}, row;

	pack_key_u32(key, after);
	while (db_find_after(records->db, DB_REPO, at.data, at.length, &at, &row) == 1)
		if (records_unpack_repo(&row, out, &token))
			return true; /* a damaged row is passed over */
	return false;
}

uint64_t records_repo_count(struct records *records, enum repo_state state)
{
	return records->states[state];
}
