#include "base/codec.h"
#include "base/crypto.h"
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

static void assert_digest(const unsigned char *digest, const char *expected)
{
	char text[2 * CRYPTO_SHA256 + 1];

	codec_hex_encode(text, digest, CRYPTO_SHA256);
	assert_string_equal(text, expected);
}

static void test_sha256(void **state)
{
	unsigned char digest[CRYPTO_SHA256];

	(void)state;
	for (int again = 0; again < 2; again++) {
		crypto_sha256(digest, "abc", 3);
		assert_digest(
		    digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
		crypto_sha256(digest, NULL, 0);
		assert_digest(
		    digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	}
}

static void test_hmac(void **state)
{
	unsigned char digest[CRYPTO_SHA256], key[131];

	(void)state;
	memset(key, 0xaa, sizeof(key));
	for (int again = 0; again < 2; again++) {
		/* RFC 4231, test cases 2 and 6; and the empty key and text. */
		crypto_hmac_sha256(digest, "Jefe", 4, "what do ya want for nothing?", 28);
		assert_digest(
		    digest, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
		crypto_hmac_sha256(digest, key, sizeof(key),
		    "Test Using Larger Than Block-Size Key - Hash Key First", 54);
		assert_digest(
		    digest, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
		crypto_hmac_sha256(digest, NULL, 0, NULL, 0);
		assert_digest(
		    digest, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
	}
}

static void test_gcm_known_answer(void **state)
{
	/* McGrew and Viega, test case 14: AES-256, one block of zeros. */
	static const unsigned char key[CRYPTO_KEY], nonce[CRYPTO_NONCE], zeros[16];
	unsigned char out[16], tag[CRYPTO_TAG];

	(void)state;
	crypto_seal(out, tag, key, nonce, NULL, 0, zeros, sizeof(zeros));
	assert_memory_equal(
	    out, "\xce\xa7\x40\x3d\x4d\x60\x6b\x6e\x07\x4e\xc5\xd3\xba\xf3\x9d\x18", 16);
	assert_memory_equal(
	    tag, "\xd0\xd1\xc8\xa7\x99\x99\x6b\xf0\x26\x5b\x98\xb5\xd4\x8a\xb9\x19", 16);
}

static void test_sealed_opens_only_unchanged(void **state)
{
	unsigned char key[CRYPTO_KEY], nonce[CRYPTO_NONCE], tag[CRYPTO_TAG], sealed[5], out[5];

	(void)state;
	crypto_random(key, sizeof(key));
	crypto_random(nonce, sizeof(nonce));
	crypto_seal(sealed, tag, key, nonce, "row 7", 5, "token", 5);
	assert_memory_not_equal(sealed, "token", 5);
	assert_true(crypto_open(out, key, nonce, "row 7", 5, sealed, 5, tag));
	assert_memory_equal(out, "token", 5);
	assert_false(crypto_open(out, key, nonce, "row 8", 5, sealed, 5, tag));
	assert_memory_equal(out, "\0\0\0\0\0", 5); /* nothing of it is left */
	assert_false(crypto_open(out, key, nonce, NULL, 0, sealed, 5, tag));
	assert_false(crypto_open(out, key, nonce, "row 7", 5, sealed, 4, tag));
	for (int i = 0; i < 4; i++) {
		unsigned char *parts[] = {key, nonce, tag, sealed};
		parts[i][3] ^= 0x10;
		assert_false(crypto_open(out, key, nonce, "row 7", 5, sealed, 5, tag));
		parts[i][3] ^= 0x10;
	}
	assert_true(crypto_open(out, key, nonce, "row 7", 5, sealed, 5, tag));
	crypto_seal(NULL, tag, key, nonce, "x", 1, NULL, 0);
	assert_true(crypto_open(NULL, key, nonce, "x", 1, NULL, 0, tag));
	assert_false(crypto_open(NULL, key, nonce, "y", 1, NULL, 0, tag));
}

static void test_secrets(void **state)
{
	struct secret a = {0}, b = {0};

	(void)state;
	assert_true(secret_equal(&a, &b));
	secret_set(&a, "token", 5);
	assert_int_equal(a.length, 5);
	assert_string_equal(a.data, "token");
	assert_false(secret_equal(&a, &b));
	secret_set(&b, "tokem", 5);
	assert_false(secret_equal(&a, &b));
	secret_set(&b, a.data, a.length);
	assert_true(secret_equal(&a, &b));
	secret_set(&a, a.data + 1, 3); /* of itself */
	assert_string_equal(a.data, "oke");
	secret_set(&b, "", 0);
	assert_null(b.data);
	secret_free(&a);
	assert_null(a.data);
	assert_int_equal(a.length, 0);
	secret_free(&a);
	secret_free(&b);
}

static void test_scrubbing(void **state)
{
	static const char *const cases[][2] = {
	    {"", ""}, {"nothing", "nothing"}, {"0123456789", "***"}, {"a 0123456789 b", "a *** b"},
	    {"01234567890123456789", "******"}, {"0123456789,0123456789.", "***,***."},
	    {"01012345678901", "01***01"},
	    {"cut 01234567", "cut ***"},          /* its beginning at the end */
	    {"cut 0123456", "cut 0123456"},       /* too little of it to tell */
	    {"not 012345678x", "not 012345678x"}, /* something else */
	};
	char text[64] = "short is left";

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *exact = strdup(cases[i][0]);
		secret_scrub(exact, "0123456789", 10);
		assert_string_equal(exact, cases[i][1]);
		free(exact);
	}
	secret_scrub(text, "short", 5);
	secret_scrub(text, NULL, 0);
	secret_scrub(text, "", 0);
	assert_string_equal(text, "short is left");
}

static void test_equal_and_cleanse(void **state)
{
	char text[] = "secret";

	(void)state;
	assert_true(crypto_equal("abc", "abd", 2));
	assert_false(crypto_equal("abc", "abd", 3));
	assert_true(crypto_equal(NULL, NULL, 0));
	crypto_cleanse(text, 6);
	assert_memory_equal(text, "\0\0\0\0\0\0", 6);
}

static void test_random(void **state)
{
	unsigned char a[32], b[32];
	unsigned seen[10] = {0};

	(void)state;
	crypto_random(a, sizeof(a));
	crypto_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	for (int i = 0; i < 10000; i++) {
		uint32_t number = crypto_random_below(10);
		assert_true(number < 10);
		seen[number]++;
	}
	for (int i = 0; i < 10; i++) /* 1000 expected; 10 standard deviations */
		assert_in_range(seen[i], 700, 1300);
	assert_int_equal(crypto_random_below(1), 0);
	assert_int_equal(crypto_random_below(0), 0);
}

static void *digest_in_thread(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		crypto_sha256(arg, "abc", 3);
		crypto_hmac_sha256(arg, "Jefe", 4, "what do ya want for nothing?", 28);
	}
	return NULL;
}

static void test_threads_do_not_disturb_each_other(void **state)
{
	unsigned char theirs[CRYPTO_SHA256], ours[CRYPTO_SHA256];
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, digest_in_thread, theirs), 0);
	digest_in_thread(ours);
	pthread_join(thread, NULL);
	assert_memory_equal(theirs, ours, sizeof(ours));
	assert_digest(ours, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sha256),
	    cmocka_unit_test(test_hmac),
	    cmocka_unit_test(test_gcm_known_answer),
	    cmocka_unit_test(test_sealed_opens_only_unchanged),
	    cmocka_unit_test(test_secrets),
	    cmocka_unit_test(test_scrubbing),
	    cmocka_unit_test(test_equal_and_cleanse),
	    cmocka_unit_test(test_random),
	    cmocka_unit_test(test_threads_do_not_disturb_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
