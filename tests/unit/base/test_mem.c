#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static void test_memory_is_zero_and_never_null(void **state)
{
	static const unsigned char zeros[64];
	void *a = mem_zero(sizeof(zeros)), *b = mem_array(0, 8), *c = mem_array(8, 8);

	(void)state;
	assert_memory_equal(a, zeros, sizeof(zeros));
	assert_non_null(b);
	assert_memory_equal(c, zeros, sizeof(zeros));
	free(a);
	free(b);
	free(c);
}

static void test_grow_keeps_what_was_there(void **state)
{
	char *text = mem_grow(NULL, 4, 1);

	(void)state;
	memcpy(text, "abc", 4);
	text = mem_grow(text, 100000, 1);
	assert_string_equal(text, "abc");
	free(text);
}

static void test_copies(void **state)
{
	char *text = mem_string("abc"), *bytes = mem_bytes("a\0b", 3), *empty = mem_bytes(NULL, 0);
	char *printed = mem_printf("%s-%d", "x", 7);

	(void)state;
	assert_null(mem_string(NULL));
	assert_string_equal(text, "abc");
	assert_memory_equal(bytes, "a\0b", 4);
	assert_string_equal(empty, "");
	assert_string_equal(printed, "x-7");
	free(text);
	free(bytes);
	free(empty);
	free(printed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_memory_is_zero_and_never_null),
	    cmocka_unit_test(test_grow_keeps_what_was_there),
	    cmocka_unit_test(test_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
