/*
 * records_pack: the bytes of the records' rows. Reading gives strings that point into the row.
 */
#ifndef STORE_RECORDS_PACK_H
#define STORE_RECORDS_PACK_H

#include "store/records.h"

#define RECORDS_ROW_MAX (512 << 10) /* a server's CA file is in its row */
#define RECORDS_NAME_MAX 500        /* project, "/", slug */

struct record_sealed { /* a secret as the vault sealed it; length 0: there is none */
	const void *data;
	size_t length;
};

void records_pack_account(
    struct buf *out, const struct record_account *account, const struct record_sealed *key);
bool records_unpack_account(
    const struct db_bytes *row, struct record_account *account, struct record_sealed *key);

void records_pack_server(struct buf *out, const struct record_server *server);
bool records_unpack_server(const struct db_bytes *row, struct record_server *server);

void records_pack_repo(
    struct buf *out, const struct record_repo *repo, const struct record_sealed *token);
bool records_unpack_repo(
    const struct db_bytes *row, struct record_repo *repo, struct record_sealed *token);
/* The state alone, for counting; REPO_DISABLED when the row is damaged. */
enum repo_state records_unpack_state(const struct db_bytes *row);

/* The key of a name: server id, then the name without case. Returns its length, 0 when it is too
 * long. */
size_t records_name_key(
    unsigned char key[DB_KEY_MAX], uint32_t server, const char *project, const char *slug);

#endif
