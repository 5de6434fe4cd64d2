#include "base/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void pack_example(struct buf *buf)
{
	buf_init(buf, 1000);
	pack_u8(buf, 0xab);
	pack_u32(buf, 0x01020304);
	pack_u64(buf, UINT64_C(0x0102030405060708));
	pack_bytes(buf, "a\0b", 3);
	pack_string(buf, "text");
	pack_string(buf, NULL);
	pack_bytes(buf, NULL, 0);
}

static void test_there_and_back(void **state)
{
	struct buf buf;
	struct unpack u;
	size_t length;

	(void)state;
	pack_example(&buf);
	unpack_init(&u, buf.data, buf.length);
	assert_int_equal(unpack_u8(&u), 0xab);
	assert_int_equal(unpack_u32(&u), 0x01020304);
	assert_true(unpack_u64(&u) == UINT64_C(0x0102030405060708));
	assert_memory_equal(unpack_bytes(&u, &length), "a\0b", 3);
	assert_int_equal(length, 3);
	assert_string_equal(unpack_string(&u), "text");
	assert_string_equal(unpack_string(&u), "");
	unpack_bytes(&u, &length);
	assert_int_equal(length, 0);
	assert_false(u.bad);
	assert_ptr_equal(u.at, u.end);
	buf_free(&buf);
}

static void test_layout_is_fixed(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	pack_u32(&buf, 0x01020304);
	pack_u64(&buf, 5);
	pack_string(&buf, "ab");
	pack_bytes(&buf, "ab", 2);
	assert_int_equal(buf.length, 4 + 8 + 7 + 6);
	assert_memory_equal(buf.data, "\4\3\2\1\5\0\0\0\0\0\0\0\3\0\0\0ab\0\2\0\0\0ab", 25);
	buf_free(&buf);
}

/* Every prefix of a good value is bad, is not read beyond its end (ASan looks), and reads as
 * nothing. */
static void test_cut_anywhere(void **state)
{
	struct buf buf;

	(void)state;
	pack_example(&buf);
	for (size_t cut = 0; cut < buf.length; cut++) {
		unsigned char *copy = malloc(cut > 0 ? cut : 1);
		struct unpack u;
		size_t length;
		memcpy(copy, buf.data, cut);
		unpack_init(&u, cut > 0 ? copy : NULL, cut);
		unpack_u8(&u);
		unpack_u32(&u);
		unpack_u64(&u);
		unpack_bytes(&u, &length);
		unpack_string(&u);
		unpack_string(&u);
		unpack_bytes(&u, &length);
		assert_true(u.bad);
		assert_int_equal(length, 0);
		assert_int_equal(unpack_u8(&u), 0);
		assert_int_equal(unpack_u32(&u), 0);
		assert_true(unpack_u64(&u) == 0);
		assert_string_equal(unpack_string(&u), "");
		free(copy);
	}
	buf_free(&buf);
}

static void test_bad_lengths_and_strings(void **state)
{
	static const struct {
		const char *data;
		size_t length;
	} cases[] = {
	    {"\xff\xff\xff\xff"
	     "abc",
	        7},
	    {"\0\0\0\0", 4},       /* not even the NUL */
	    {"\2\0\0\0ab", 6},     /* no NUL */
	    {"\4\0\0\0a\0b\0", 8}, /* two */
	    {"\4\0\0\0abc", 7},    /* one byte short */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct unpack u;
		unpack_init(&u, cases[i].data, cases[i].length);
		assert_string_equal(unpack_string(&u), "");
		assert_true(u.bad);
	}
}

static void test_keys_sort_as_numbers(void **state)
{
	static const uint64_t numbers[] = {
	    0, 1, 255, 256, 65536, UINT32_MAX, UINT64_C(1) << 32, UINT64_C(1) << 56, UINT64_MAX};
	unsigned char before[8] = {0}, key[8];

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		pack_key_u64(key, numbers[i]);
		assert_true(unpack_key_u64(key) == numbers[i]);
		assert_true(i == 0 || memcmp(before, key, 8) < 0);
		memcpy(before, key, 8);
	}
	pack_key_u32(key, 0x01020304);
	assert_memory_equal(key, "\1\2\3\4", 4);
	assert_int_equal(unpack_key_u32(key), 0x01020304);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_there_and_back),
	    cmocka_unit_test(test_layout_is_fixed),
	    cmocka_unit_test(test_cut_anywhere),
	    cmocka_unit_test(test_bad_lengths_and_strings),
	    cmocka_unit_test(test_keys_sort_as_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
