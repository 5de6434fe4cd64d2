/*
 * vault: secrets sealed for the database.
 *
 * A key-encryption key (32 bytes) from outside the database wraps a data key that rests in META;
 * rotating the first rewraps only. A sealed secret is version | nonce | ciphertext | tag
 * (AES-256-GCM) whose additional data are table, row and field, length-prefixed: a sealed token
 * copied to another row does not open.
 *
 * Key source, in order: $CREDENTIALS_DIRECTORY/eyes-scm.key when it exists, then `key_file`
 * (EYES_KEY_FILE), which must exist, else "<state>/key", made at the first start with mode 0600. A
 * key file holds 64 hex digits (and a line end) or exactly 32 bytes; it must belong to us or root,
 * must not be a link, and must not be readable by others (root may let our group read it).
 *
 * Errors at open, never a crash later: the codes of key_file.h, key_wrong (another key than the one
 * that sealed this store; the message names the file), key_missing (the store is sealed, its key is
 * not there: no new one is made then), and those of db. Later: key_wrong when a secret does not
 * open.
 */
#ifndef STORE_VAULT_H
#define STORE_VAULT_H

#include "base/buf.h"
#include "base/crypto.h"
#include "store/db.h"

struct vault;

/* credentials_directory and key_file may be NULL. Says in the log when it makes a key. */
struct vault *vault_open(
    struct db *db, const char *credentials_directory, const char *key_file, struct err *err);
void vault_close(struct vault *vault);
const char *vault_key_source(const struct vault *vault); /* a path, for the status command */

/* Appends the sealed form to out. row is the row's key in words, e.g. "repo/12"; field e.g.
 * "token". */
void vault_seal(struct vault *vault, const char *table, const char *row, const char *field,
    const struct secret *secret, struct buf *out);
bool vault_open_sealed(struct vault *vault, const char *table, const char *row, const char *field,
    const void *sealed, size_t length, struct secret *secret, struct err *err)
    __attribute__((warn_unused_result));

#endif
