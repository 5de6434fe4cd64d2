/*
 * key_file: the key-encryption key in a file: 64 hex digits (and a line end) or exactly 32 bytes.
 */
#ifndef STORE_KEY_FILE_H
#define STORE_KEY_FILE_H

#include "base/crypto.h"
#include "base/err.h"

/* Codes: key_missing (no such file), key_unsafe (a link, someone else's, readable by others),
 * key_malformed, key_failed (the system refuses). The key is not touched then. */
bool key_file_read(const char *path, unsigned char key[CRYPTO_KEY], struct err *err)
    __attribute__((warn_unused_result));
/* Makes a new random key and the file, mode 0600, whole or not at all. Never replaces one. */
bool key_file_make(const char *directory, const char *path, unsigned char key[CRYPTO_KEY],
    struct err *err) __attribute__((warn_unused_result));

#endif
