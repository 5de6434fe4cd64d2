#include "base/crypto.h"

#include "base/mem.h"
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* What is costly to fetch from the provider, once for the process. */
struct algorithms {
	EVP_MD *sha256;
	EVP_CIPHER *aes_256_gcm;
	EVP_MAC *hmac;
};

/* What is costly to allocate, once for each thread that uses it. */
struct contexts {
	EVP_MD_CTX *digest;
	EVP_MAC_CTX *hmac;
	EVP_CIPHER_CTX *seal, *open;
	uint64_t jitter[2];
};

static struct algorithms algorithms;
static pthread_once_t algorithms_once = PTHREAD_ONCE_INIT;
static pthread_key_t contexts_key; /* only for its destructor */
static _Thread_local struct contexts *thread_contexts;

static void *crypto_check(void *pointer, const char *what)
{
	if (pointer == NULL)
		fatal("OpenSSL has no %s", what);
	return pointer;
}

static void contexts_free(void *arg)
{
	struct contexts *contexts = arg;

	EVP_MD_CTX_free(contexts->digest);
	EVP_MAC_CTX_free(contexts->hmac);
	EVP_CIPHER_CTX_free(contexts->seal);
	EVP_CIPHER_CTX_free(contexts->open);
	free(contexts);
}

static void algorithms_fetch(void)
{
	algorithms.sha256 = crypto_check(EVP_MD_fetch(NULL, "SHA256", NULL), "SHA-256");
	algorithms.aes_256_gcm =
	    crypto_check(EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL), "AES-256-GCM");
	algorithms.hmac = crypto_check(EVP_MAC_fetch(NULL, "HMAC", NULL), "HMAC");
	if (pthread_key_create(&contexts_key, contexts_free) != 0)
		fatal("no thread key left");
}

static struct contexts *contexts_new(void)
{
	struct contexts *contexts = mem_zero(sizeof(*contexts));
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_end()};

	contexts->digest = crypto_check(EVP_MD_CTX_new(), "memory");
	contexts->hmac = crypto_check(EVP_MAC_CTX_new(algorithms.hmac), "memory");
	contexts->seal = crypto_check(EVP_CIPHER_CTX_new(), "memory");
	contexts->open = crypto_check(EVP_CIPHER_CTX_new(), "memory");
	if (EVP_MAC_CTX_set_params(contexts->hmac, params) != 1 ||
	    EVP_EncryptInit_ex2(contexts->seal, algorithms.aes_256_gcm, NULL, NULL, NULL) != 1 ||
	    EVP_DecryptInit_ex2(contexts->open, algorithms.aes_256_gcm, NULL, NULL, NULL) != 1)
		fatal("OpenSSL refuses HMAC-SHA-256 or AES-256-GCM");
	crypto_random(contexts->jitter, sizeof(contexts->jitter));
	contexts->jitter[0] |= 1; /* never all zero */
	return contexts;
}

static struct contexts *contexts_get(void)
{
	if (thread_contexts == NULL) {
		pthread_once(&algorithms_once, algorithms_fetch);
		thread_contexts = contexts_new();
		pthread_setspecific(contexts_key, thread_contexts);
	}
	return thread_contexts;
}

void secret_set(struct secret *secret, const void *data, size_t length)
{
	char *copy = length > 0 ? mem_bytes(data, length) : NULL; /* data may be the secret's own */

	secret_free(secret);
	secret->data = copy;
	secret->length = length;
}

void secret_free(struct secret *secret)
{
	if (secret->data != NULL)
		OPENSSL_cleanse(secret->data, secret->length);
	free(secret->data);
	*secret = (struct secret){0};
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
	return a->length == b->length && crypto_equal(a->data, b->data, a->length);
}

/* How much of the secret stands at `at`: all, or at the text's end as much as there is. */
static size_t repeated(const char *at, const char *secret, size_t length)
{
	size_t same = 0;

	while (same < length && at[same] != '\0' && at[same] == secret[same])
		same++;
	return same == length || (at[same] == '\0' && same >= SECRET_SCRUB_MIN) ? same : 0;
}

void secret_scrub(char *text, const char *secret, size_t length)
{
	static const char stars[] = "***";
	size_t n;

	if (secret == NULL || length < SECRET_SCRUB_MIN)
		return;
	for (; *text != '\0'; text++) {
		n = repeated(text, secret, length);
		if (n == 0)
			continue;
		memcpy(text, stars, sizeof(stars) - 1);
		text += sizeof(stars) - 1;
		memmove(text, text + n - (sizeof(stars) - 1),
		    strlen(text + n - (sizeof(stars) - 1)) + 1);
		text--;
	}
}

void crypto_cleanse(void *data, size_t length)
{
	OPENSSL_cleanse(data, length);
}

void crypto_sha256(unsigned char out[CRYPTO_SHA256], const void *data, size_t length)
{
	EVP_MD_CTX *digest = contexts_get()->digest;

	if (EVP_DigestInit_ex2(digest, algorithms.sha256, NULL) != 1 ||
	    EVP_DigestUpdate(digest, data, length) != 1 ||
	    EVP_DigestFinal_ex(digest, out, NULL) != 1)
		fatal("SHA-256 fails");
}

void crypto_hmac_sha256(unsigned char out[CRYPTO_SHA256], const void *key, size_t key_length,
    const void *data, size_t length)
{
	EVP_MAC_CTX *hmac = contexts_get()->hmac;
	size_t out_length;

	/* NULL as key would mean "the last one again". */
	if (EVP_MAC_init(hmac, key_length > 0 ? key : (const void *)"", key_length, NULL) != 1 ||
	    EVP_MAC_update(hmac, data, length) != 1 ||
	    EVP_MAC_final(hmac, out, &out_length, CRYPTO_SHA256) != 1)
		fatal("HMAC-SHA-256 fails");
}

bool crypto_equal(const void *a, const void *b, size_t length)
{
	return length == 0 || CRYPTO_memcmp(a, b, length) == 0;
}

void crypto_random(void *out, size_t length)
{
	for (unsigned char *at = out; length > 0;) {
		int size = length < INT_MAX ? (int)length : INT_MAX;
		if (RAND_bytes(at, size) != 1)
			fatal("the system gives no random bytes");
		at += size;
		length -= (size_t)size;
	}
}

uint32_t crypto_random_below(uint32_t bound)
{
	/* xorshift128+ (Vigna): not for secrets. */
	uint64_t *state = contexts_get()->jitter;
	uint64_t x = state[0], y = state[1];

	state[0] = y;
	x ^= x << 23;
	state[1] = x ^ y ^ x >> 17 ^ y >> 26;
	return (uint32_t)(((state[1] + y) >> 32) * bound >> 32);
}

static int gcm_size(size_t length)
{
	if (length > INT_MAX)
		fatal("%zu bytes are too many to seal", length);
	return (int)length;
}

void crypto_seal(unsigned char *out, unsigned char tag[CRYPTO_TAG],
    const unsigned char key[CRYPTO_KEY], const unsigned char nonce[CRYPTO_NONCE], const void *aad,
    size_t aad_length, const void *data, size_t length)
{
	EVP_CIPHER_CTX *context = contexts_get()->seal;
	int size;

	if (EVP_EncryptInit_ex2(context, NULL, key, nonce, NULL) != 1 ||
	    (aad_length > 0 &&
	        EVP_EncryptUpdate(context, NULL, &size, aad, gcm_size(aad_length)) != 1) ||
	    (length > 0 && EVP_EncryptUpdate(context, out, &size, data, gcm_size(length)) != 1) ||
	    EVP_EncryptFinal_ex(context, tag, &size) != 1 ||
	    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, CRYPTO_TAG, tag) != 1)
		fatal("AES-256-GCM fails");
}

bool crypto_open(unsigned char *out, const unsigned char key[CRYPTO_KEY],
    const unsigned char nonce[CRYPTO_NONCE], const void *aad, size_t aad_length, const void *data,
    size_t length, const unsigned char tag[CRYPTO_TAG])
{
	EVP_CIPHER_CTX *context = contexts_get()->open;
	unsigned char expected[CRYPTO_TAG], rest[CRYPTO_TAG];
	int size;

	memcpy(expected, tag, sizeof(expected)); /* the call below takes no const */
	if (EVP_DecryptInit_ex2(context, NULL, key, nonce, NULL) != 1 ||
	    (aad_length > 0 &&
	        EVP_DecryptUpdate(context, NULL, &size, aad, gcm_size(aad_length)) != 1) ||
	    (length > 0 && EVP_DecryptUpdate(context, out, &size, data, gcm_size(length)) != 1) ||
	    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, CRYPTO_TAG, expected) != 1)
		fatal("AES-256-GCM fails");
	if (EVP_DecryptFinal_ex(context, rest, &size) == 1)
		return true;
	OPENSSL_cleanse(out, length);
	return false;
}
