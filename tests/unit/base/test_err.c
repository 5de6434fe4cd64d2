#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void test_set_clears_the_rest(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, "old", "old words");
	err_hop(&err, "TCP %d", 443);
	err_hint(&err, "try %s", "again");
	err_field(&err, "commands[%d]", 3);
	assert_string_equal(err.hop, "TCP 443");
	assert_string_equal(err.hint, "try again");
	assert_string_equal(err.field, "commands[3]");
	assert_false(err_set(&err, "new", "%s is %d", "port", 7));
	assert_string_equal(err.code, "new");
	assert_string_equal(err.message, "port is 7");
	assert_string_equal(err.hop, "");
	assert_string_equal(err.hint, "");
	assert_string_equal(err.field, "");
}

static void test_texts_are_cut_between_characters(void **state)
{
	struct err err = ERR_INIT;
	char text[601];

	(void)state;
	memset(text, 'x', 600);
	text[600] = '\0';
	err_set(&err, "long", "%s", text);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	memcpy(text + sizeof(err.hop) - 2, "\xc3\xa9", 2); /* would reach over the end of hop */
	err_hop(&err, "%s", text);
	assert_int_equal(strlen(err.hop), sizeof(err.hop) - 2);
	err_prefix(&err, "Bitbucket");
	assert_memory_equal(err.message, "Bitbucket: xxx", 14);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
}

static void test_its_own_words_may_be_arguments(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, "a", "refused");
	err_set(&err, "b", "Bitbucket: %s", err.message);
	assert_string_equal(err.message, "Bitbucket: refused");
	err_prefix(&err, "%s", "server 1");
	assert_string_equal(err.message, "server 1: Bitbucket: refused");
}

static void test_nobody_wants_the_words(void **state)
{
	(void)state;
	assert_false(err_set(NULL, "x", "words"));
	err_hop(NULL, "x");
	err_hint(NULL, "x");
	err_field(NULL, "x");
	err_prefix(NULL, "x");
	err_clear(NULL);
	assert_false(err_is(NULL, "x"));
}

static void test_copy_and_is(void **state)
{
	struct err a = ERR_INIT, b = ERR_INIT;

	(void)state;
	assert_false(err_is(&a, "x"));
	err_set(&a, "x", "words");
	assert_true(err_is(&a, "x"));
	assert_false(err_is(&a, "y"));
	err_copy(&b, &a);
	assert_string_equal(b.message, "words");
	err_copy(NULL, &a);
	err_copy(&b, NULL);
	assert_null(b.code);
	assert_string_equal(b.message, "");
	err_clear(&a);
	assert_null(a.code);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_set_clears_the_rest),
	    cmocka_unit_test(test_texts_are_cut_between_characters),
	    cmocka_unit_test(test_its_own_words_may_be_arguments),
	    cmocka_unit_test(test_nobody_wants_the_words),
	    cmocka_unit_test(test_copy_and_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
