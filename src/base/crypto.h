/*
 * crypto: the few primitives that the rest of the program needs, over OpenSSL's libcrypto.
 *
 * A `struct secret` holds a key, token or password. It is overwritten when freed, has its own log
 * field type and is never printed by anything in this program.
 */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

struct secret {
	char *data; /* NUL behind it; NULL when empty */
	size_t length;
};

void secret_set(struct secret *secret, const void *data, size_t length); /* copies */
void secret_free(struct secret *secret);                           /* overwrites; leaves it empty */
bool secret_equal(const struct secret *a, const struct secret *b); /* constant time in the bytes */
/*
 * Makes "***" of a secret that a text from outside repeats, also of its beginning at the text's
 * end, where it was cut. length 0 is right; one shorter than SECRET_SCRUB_MIN is left alone: it
 * would be part of common words.
 */
#define SECRET_SCRUB_MIN 8
void secret_scrub(char *text, const char *secret, size_t length);
void crypto_cleanse(void *data, size_t length);

#define CRYPTO_SHA256 32
void crypto_sha256(unsigned char out[CRYPTO_SHA256], const void *data, size_t length);
void crypto_hmac_sha256(unsigned char out[CRYPTO_SHA256], const void *key, size_t key_length,
    const void *data, size_t length);
bool crypto_equal(const void *a, const void *b, size_t length); /* constant time */
void crypto_random(void *out, size_t length); /* ends the process when the system has none */
uint32_t crypto_random_below(uint32_t bound); /* 0..bound-1; fast, for jitter only */

/* AES-256-GCM. `out` has room for length bytes; tag is 16 bytes, nonce 12, key 32. */
#define CRYPTO_KEY 32
#define CRYPTO_NONCE 12
#define CRYPTO_TAG 16
void crypto_seal(unsigned char *out, unsigned char tag[CRYPTO_TAG],
    const unsigned char key[CRYPTO_KEY], const unsigned char nonce[CRYPTO_NONCE], const void *aad,
    size_t aad_length, const void *data, size_t length);
/* False when key, nonce, aad or data are not those that were sealed; `out` is then overwritten. */
bool crypto_open(unsigned char *out, const unsigned char key[CRYPTO_KEY],
    const unsigned char nonce[CRYPTO_NONCE], const void *aad, size_t aad_length, const void *data,
    size_t length, const unsigned char tag[CRYPTO_TAG]) __attribute__((warn_unused_result));

#endif
