#include "store/records_pack.h"

#include "base/pack.h"
#include <string.h>

/* ---- account ---- */

void records_pack_account(
    struct buf *out, const struct record_account *account, const struct record_sealed *key)
{
	pack_u64(out, (uint64_t)account->expires_ms);
	pack_u64(out, (uint64_t)account->checked_ms);
	pack_u8(out, account->refused);
	pack_bytes(out, key->data, key->length);
	pack_string(out, account->origin);
	pack_string(out, account->team_id);
	pack_string(out, account->user);
	pack_string(out, account->purpose);
	pack_string(out, account->permissions);
}

bool records_unpack_account(
    const struct db_bytes *row, struct record_account *account, struct record_sealed *key)
{
	struct unpack u;

	unpack_init(&u, row->data, row->length);
	account->expires_ms = (int64_t)unpack_u64(&u);
	account->checked_ms = (int64_t)unpack_u64(&u);
	account->refused = unpack_u8(&u) != 0;
	key->data = unpack_bytes(&u, &key->length);
	account->origin = unpack_string(&u);
	account->team_id = unpack_string(&u);
	account->user = unpack_string(&u);
	account->purpose = unpack_string(&u);
	account->permissions = unpack_string(&u);
	return !u.bad;
}

/* ---- server ---- */

void records_pack_server(struct buf *out, const struct record_server *server)
{
	pack_u32(out, server->id);
	pack_u32(out, server->capabilities);
	pack_u64(out, (uint64_t)server->checked_ms);
	pack_string(out, server->kind);
	pack_string(out, server->url);
	pack_string(out, server->aliases);
	pack_string(out, server->ca_pem);
	pack_string(out, server->product);
	pack_string(out, server->version);
}

bool records_unpack_server(const struct db_bytes *row, struct record_server *server)
{
	struct unpack u;

	unpack_init(&u, row->data, row->length);
	server->id = unpack_u32(&u);
	server->capabilities = unpack_u32(&u);
	server->checked_ms = (int64_t)unpack_u64(&u);
	server->kind = unpack_string(&u);
	server->url = unpack_string(&u);
	server->aliases = unpack_string(&u);
	server->ca_pem = unpack_string(&u);
	server->product = unpack_string(&u);
	server->version = unpack_string(&u);
	return !u.bad;
}

/* ---- repository ---- */

void records_pack_repo(
    struct buf *out, const struct record_repo *repo, const struct record_sealed *token)
{
	pack_u8(out, (uint8_t)repo->state); /* first: counting looks at it alone */
	pack_u8(out, repo->admin);
	pack_u32(out, repo->id);
	pack_u32(out, repo->server);
	pack_u64(out, (uint64_t)repo->blocked_ms);
	pack_u64(out, (uint64_t)repo->enabled_ms);
	pack_bytes(out, token->data, token->length);
	pack_string(out, repo->project);
	pack_string(out, repo->slug);
	pack_string(out, repo->name);
	pack_string(out, repo->owner);
	pack_string(out, repo->error);
	pack_string(out, repo->error_code);
	pack_string(out, repo->webhook);
	pack_string(out, repo->enabled_by);
	pack_u64(out, (uint64_t)repo->token_ms);
}

bool records_unpack_repo(
    const struct db_bytes *row, struct record_repo *repo, struct record_sealed *token)
{
	struct unpack u;

	unpack_init(&u, row->data, row->length);
	uint8_t state = unpack_u8(&u);
	repo->state = state;
	repo->admin = unpack_u8(&u) != 0;
	repo->id = unpack_u32(&u);
	repo->server = unpack_u32(&u);
	repo->blocked_ms = (int64_t)unpack_u64(&u);
	repo->enabled_ms = (int64_t)unpack_u64(&u);
	token->data = unpack_bytes(&u, &token->length);
	repo->has_token = token->length > 0;
	repo->project = unpack_string(&u);
	repo->slug = unpack_string(&u);
	repo->name = unpack_string(&u);
	repo->owner = unpack_string(&u);
	repo->error = unpack_string(&u);
	repo->error_code = unpack_string(&u);
	repo->webhook = unpack_string(&u);
	if (!u.bad && u.at == u.end) { /* a row of before these were kept */
		repo->enabled_by = "";
		repo->token_ms = 0;
	} else {
		repo->enabled_by = unpack_string(&u);
		repo->token_ms = (int64_t)unpack_u64(&u);
	}
	return !u.bad && state <= REPO_BLOCKED;
}

enum repo_state records_unpack_state(const struct db_bytes *row)
{
	const unsigned char *bytes = row->data;

	return row->length > 0 && bytes[0] <= REPO_BLOCKED ? (enum repo_state)bytes[0]
	                                                   : REPO_DISABLED;
}

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

size_t records_name_key(
    unsigned char key[DB_KEY_MAX], uint32_t server, const char *project, const char *slug)
{
	size_t project_length = strlen(project), slug_length = strlen(slug), at = 4;

	if (project_length + 1 + slug_length > RECORDS_NAME_MAX)
		return 0;
	pack_key_u32(key, server);
	for (size_t i = 0; i < project_length; i++)
		key[at++] = lower(project[i]);
	key[at++] = '/';
	for (size_t i = 0; i < slug_length; i++)
		key[at++] = lower(slug[i]);
	return at;
}
