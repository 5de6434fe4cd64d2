#include "store/vault.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/pack.h"
#include "store/key_file.h"
#include <stdlib.h>
#include <string.h>

#define WRAPPED_KEY "vault"
#define CREDENTIAL "eyes-scm.key"
enum {
	SEALED_VERSION = 1,
	SEALED_MORE = 1 + CRYPTO_NONCE + CRYPTO_TAG, /* than the secret itself */
	FINGERPRINT = 8,
	SECRET_MAX = 64 << 10
};

struct vault {
	char *source;
	unsigned char data_key[CRYPTO_KEY];
};

/* ---- sealing ---- */

static void pack_aad(struct buf *aad, const char *table, const char *row, const char *field)
{
	buf_init(aad, 4096);
	pack_string(aad, table);
	pack_string(aad, row);
	pack_string(aad, field);
	if (aad->overflow)
		fatal("a name of a secret is too long");
}

static void seal(const unsigned char key[CRYPTO_KEY], const struct buf *aad, const void *secret,
    size_t length, struct buf *out)
{
	unsigned char nonce[CRYPTO_NONCE];
	unsigned char *at = (unsigned char *)buf_room(out, SEALED_MORE + length);

	if (at == NULL)
		fatal("no room for a sealed secret");
	crypto_random(nonce, sizeof(nonce));
	at[0] = SEALED_VERSION;
	memcpy(at + 1, nonce, sizeof(nonce));
	crypto_seal(at + 1 + CRYPTO_NONCE, at + 1 + CRYPTO_NONCE + length, key, nonce, aad->data,
	    aad->length, secret, length);
	out->length += SEALED_MORE + length;
}

/* out has room for length - SEALED_MORE bytes. */
static bool unseal(const unsigned char key[CRYPTO_KEY], const struct buf *aad,
    const unsigned char *sealed, size_t length, unsigned char *out)
{
	return length >= SEALED_MORE && sealed[0] == SEALED_VERSION &&
	       crypto_open(out, key, sealed + 1, aad->data, aad->length, sealed + 1 + CRYPTO_NONCE,
	           length - SEALED_MORE, sealed + length - CRYPTO_TAG);
}

void vault_seal(struct vault *vault, const char *table, const char *row, const char *field,
    const struct secret *secret, struct buf *out)
{
	struct buf aad;

	pack_aad(&aad, table, row, field);
	seal(vault->data_key, &aad, secret->data, secret->length, out);
	buf_free(&aad);
}

bool vault_open_sealed(struct vault *vault, const char *table, const char *row, const char *field,
    const void *sealed, size_t length, struct secret *secret, struct err *err)
{
	struct buf aad;
	bool good = false;

	if (length >= SEALED_MORE && length <= SECRET_MAX) {
		size_t size = length - SEALED_MORE;
		unsigned char *plain = mem_array(size + 1, 1);
		pack_aad(&aad, table, row, field);
		good = unseal(vault->data_key, &aad, sealed, length, plain);
		if (good)
			secret_set(secret, plain, size);
		crypto_cleanse(plain, size + 1);
		free(plain);
		buf_free(&aad);
	}
	if (good)
		return true;
	err_set(err, "key_wrong", "the %s of %s does not open with the key in %s", field, row,
	    vault->source);
	err_hint(err, "enter it again, or restore the store and its key together");
	return false;
}

/* ---- the data key ---- */

static void fingerprint_of(unsigned char out[FINGERPRINT], const unsigned char key[CRYPTO_KEY])
{
	static const char words[] = "eyes-scm key fingerprint";
	unsigned char digest[CRYPTO_SHA256];

	crypto_hmac_sha256(digest, key, CRYPTO_KEY, words, sizeof(words));
	memcpy(out, digest, FINGERPRINT);
}

/* Makes the data key of a new store and keeps it, wrapped, with the fingerprint of what wraps it.
 */
static bool make_data_key(
    struct vault *vault, struct db *db, const unsigned char key[CRYPTO_KEY], struct err *err)
{
	unsigned char fingerprint[FINGERPRINT];
	struct buf aad, row;

	crypto_random(vault->data_key, CRYPTO_KEY);
	fingerprint_of(fingerprint, key);
	pack_aad(&aad, "meta", WRAPPED_KEY, "data key");
	buf_init(&row, 4096);
	buf_append(&row, fingerprint, sizeof(fingerprint));
	seal(key, &aad, vault->data_key, CRYPTO_KEY, &row);
	bool done =
	    db_put(db, DB_META, WRAPPED_KEY, strlen(WRAPPED_KEY), row.data, row.length, 0, err) &&
	    db_commit_now(db, err);
	buf_free(&row);
	buf_free(&aad);
	return done;
}

static bool unwrap_data_key(struct vault *vault, const struct db_bytes *row,
    const unsigned char key[CRYPTO_KEY], struct err *err)
{
	const unsigned char *bytes = row->data;
	unsigned char fingerprint[FINGERPRINT];
	struct buf aad;

	if (row->length != FINGERPRINT + SEALED_MORE + CRYPTO_KEY)
		return err_set(err, "store_corrupt", "the store's data key is damaged");
	fingerprint_of(fingerprint, key);
	if (!crypto_equal(fingerprint, bytes, FINGERPRINT)) {
		err_set(err, "key_wrong",
		    "the key in %s is not the one that this store was sealed with", vault->source);
		err_hint(err, "put the right key there, or name its file with EYES_KEY_FILE; "
		              "without it the stored tokens are lost: move the store away and "
		              "enter them again");
		return false;
	}
	pack_aad(&aad, "meta", WRAPPED_KEY, "data key");
	bool good =
	    unseal(key, &aad, bytes + FINGERPRINT, row->length - FINGERPRINT, vault->data_key);
	buf_free(&aad);
	return good || err_set(err, "store_corrupt", "the store's data key is damaged");
}

/* ---- the key source ---- */

static bool credential_key(struct vault *vault, const char *directory,
    unsigned char key[CRYPTO_KEY], bool *there, struct err *err)
{
	struct err own = ERR_INIT;

	vault->source = mem_printf("%s/%s", directory, CREDENTIAL);
	*there = true;
	if (key_file_read(vault->source, key, &own))
		return true;
	if (err_is(&own, "key_missing")) {
		*there = false;
		free(vault->source);
		vault->source = NULL;
	}
	err_copy(err, &own);
	return false;
}

static bool state_key(struct vault *vault, const char *directory, bool sealed,
    unsigned char key[CRYPTO_KEY], struct err *err)
{
	struct err own = ERR_INIT;

	vault->source = mem_printf("%s/key", directory);
	if (key_file_read(vault->source, key, &own))
		return true;
	if (!err_is(&own, "key_missing")) {
		err_copy(err, &own);
		return false;
	}
	if (sealed) {
		err_set(err, "key_missing",
		    "the store is sealed, but its key is not there: no file %s", vault->source);
		err_hint(err, "put the key back, or name its file with EYES_KEY_FILE");
		return false;
	}
	if (!key_file_make(directory, vault->source, key, err))
		return false;
	log_info("vault", "made a key for the secrets in the store; keep a copy apart from it",
	    log_str("file", vault->source));
	return true;
}

static bool find_key(struct vault *vault, const char *state, const char *credentials,
    const char *key_file, bool sealed, unsigned char key[CRYPTO_KEY], struct err *err)
{
	bool there = false;

	if (credentials != NULL && *credentials != '\0') {
		bool good = credential_key(vault, credentials, key, &there, err);
		if (good || there)
			return good;
		err_clear(err);
	}
	if (key_file != NULL && *key_file != '\0') {
		vault->source = mem_string(key_file);
		bool good = key_file_read(key_file, key, err);
		if (!good && err != NULL && err->hint[0] == '\0')
			err_hint(err, "EYES_KEY_FILE names it; \"openssl rand -hex 32\" makes one");
		return good;
	}
	return state_key(vault, state, sealed, key, err);
}

struct vault *vault_open(
    struct db *db, const char *credentials_directory, const char *key_file, struct err *err)
{
	struct vault *vault = mem_zero(sizeof(*vault));
	unsigned char key[CRYPTO_KEY] = {0};
	struct db_bytes row;
	int sealed = db_get(db, DB_META, WRAPPED_KEY, strlen(WRAPPED_KEY), &row);
	bool done = false;

	if (sealed < 0)
		err_set(err, "store_failed", "the store cannot be read");
	else if (!find_key(vault, db_directory(db), credentials_directory, key_file, sealed == 1,
	             key, err))
		done = false; /* err says why */
	else if (sealed == 1)
		done = unwrap_data_key(vault, &row, key, err);
	else
		done = make_data_key(vault, db, key, err);
	crypto_cleanse(key, sizeof(key));
	if (done)
		return vault;
	vault_close(vault);
	return NULL;
}

void vault_close(struct vault *vault)
{
	if (vault == NULL)
		return;
	free(vault->source);
	crypto_cleanse(vault, sizeof(*vault));
	free(vault);
}

const char *vault_key_source(const struct vault *vault)
{
	return vault->source;
}
