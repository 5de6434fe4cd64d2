/*
 * records: what an administrator set up. The Eyes account, the servers and the repositories, each a
 * packed row with its secret sealed by the vault. Reading a row never unseals it; the secret is
 * asked for by name.
 *
 * What always holds: a repository belongs to one server; its name (project and slug, compared
 * without case) is unique there; ids are never used twice. Writes are urgent, in the open group of
 * db: use db_after_commit to know.
 *
 * All strings of a row that was read are borrowed until the next write or the end of the turn; they
 * may be given back in the record that is put. The servers, being few, are kept in memory and stay
 * valid until they are changed, or until a group is lost.
 *
 * Codes of errors: not_found, no_token, repo_exists, server_exists, server_in_use, too_long, those
 * of url, vault and db.
 *
 * Tables:  ACCOUNT    "account" -> row
 *          SERVER     id u32 -> row
 *          REPO       id u32 -> row
 *          REPO_NAME  server u32 | "project/slug" in lower case -> id u32
 *          META       "records" -> the last ids given
 */
#ifndef STORE_RECORDS_H
#define STORE_RECORDS_H

#include "store/vault.h"

struct record_account {
	const char *origin; /* the Eyes server that the key was given for */
	const char *team_id;
	const char *user;
	const char *purpose;
	const char *permissions; /* comma-separated, as Eyes named them */
	int64_t expires_ms;      /* wall, 0 = never */
	int64_t checked_ms;      /* when Eyes last said that it is valid */
	bool refused;            /* Eyes answered 401 since */
};

struct record_server {
	uint32_t id;
	const char *kind;      /* driver: "bitbucket-server" */
	const char *url;       /* base with context path, no trailing slash */
	const char *aliases;   /* other base URLs, each of which Eyes may use; a space between */
	const char *ca_pem;    /* "" = the system's CAs */
	const char *product;   /* "Bitbucket Data Center" as it called itself */
	const char *version;   /* "9.4.0" */
	uint32_t capabilities; /* the driver's own bits */
	int64_t checked_ms;
};

enum repo_state { REPO_DISABLED, REPO_ENABLED, REPO_BLOCKED };
struct record_repo {
	uint32_t id;
	uint32_t server;
	const char *project; /* as Bitbucket spells it; "~user" for personal ones */
	const char *slug;
	const char *name; /* display name */
	enum repo_state state;
	const char *owner; /* whose token it is */
	bool admin;        /* whether that token may administer the repository */
	bool has_token;
	const char *error; /* why it is blocked, in words; "" */
	const char *error_code;
	int64_t blocked_ms;
	int64_t enabled_ms;
	const char *webhook;    /* id at the server; for the webhook keeper */
	const char *enabled_by; /* who, as in the audit; "" = not known */
	int64_t token_ms; /* when the token was given; set by records_put_repo; 0 = not known */
};

struct records;
struct records *records_open(struct db *db, struct vault *vault, struct err *err);
void records_close(struct records *records);

/* What the page was told of Eyes, for what neither file nor environment nor flags say. "" =
 * nothing. Borrowed as rows are. */
struct record_configuration {
	const char *eyes_url, *organization;
};
void records_configuration(struct records *records, struct record_configuration *out);
bool records_set_configuration(
    struct records *records, const struct record_configuration *configuration, struct err *err);

bool records_account(
    struct records *records, struct record_account *out); /* false when there is none */
/* key NULL keeps the stored one. */
bool records_set_account(struct records *records, const struct record_account *account,
    const struct secret *key, struct err *err);
bool records_account_key(struct records *records, struct secret *key, struct err *err);

unsigned records_server_count(const struct records *records);
const struct record_server *records_server_at(const struct records *records, unsigned index);
const struct record_server *records_server(const struct records *records, uint32_t id);
/* By base URL or alias, or by host alone; compares origins and paths as URLs. NULL when it is not
 * ours. */
const struct record_server *records_server_by_url(const struct records *records, const char *url);
/* id 0 adds (and sets id), else replaces. */
bool records_put_server(struct records *records, struct record_server *server, struct err *err);
/* Its disabled repositories go with it; refused (code "server_in_use") while one is enabled or
 * blocked. */
bool records_remove_server(struct records *records, uint32_t id, struct err *err);

bool records_repo(struct records *records, uint32_t id, struct record_repo *out);
bool records_repo_by_name(struct records *records, uint32_t server, const char *project,
    const char *slug, struct record_repo *out);
bool records_put_repo(
    struct records *records, struct record_repo *repo, const struct secret *token, struct err *err);
bool records_repo_token(
    struct records *records, uint32_t id, struct secret *token, struct err *err);
bool records_forget_token(struct records *records, uint32_t id, struct err *err);
/* Walks repositories by id: the first with an id above `after`; within one turn. False at the end.
 */
bool records_next_repo(struct records *records, uint32_t after, struct record_repo *out);
uint64_t records_repo_count(struct records *records, enum repo_state state); /* kept as counters */

#endif
