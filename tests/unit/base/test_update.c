#include "base/update.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_states(void **state)
{
	static const struct {
		enum update_state state;
		const char *name;
		bool final;
	} cases[] = {
	    {UPDATE_INPROGRESS, "INPROGRESS", false},
	    {UPDATE_SUCCESSFUL, "SUCCESSFUL", true},
	    {UPDATE_FAILED, "FAILED", true},
	    {UPDATE_CANCELLED, "CANCELLED", true},
	};
	enum update_state parsed = UPDATE_FAILED;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_string_equal(update_state_name(cases[i].state), cases[i].name);
		assert_int_equal(update_state_final(cases[i].state), cases[i].final);
		assert_true(update_state_parse(cases[i].name, &parsed));
		assert_int_equal(parsed, cases[i].state);
	}
	assert_false(update_state_parse("successful", &parsed));
	assert_false(update_state_parse("FAILED ", &parsed));
	assert_false(update_state_parse("", &parsed));
	assert_int_equal(parsed, UPDATE_CANCELLED);
}

static void test_outcomes(void **state)
{
	(void)state;
	assert_string_equal(update_outcome_name(UPDATE_DELIVERED), "delivered");
	assert_string_equal(update_outcome_name(UPDATE_SUPERSEDED), "superseded");
	assert_string_equal(update_outcome_name(UPDATE_REJECTED), "rejected");
	assert_string_equal(update_outcome_name(UPDATE_EXPIRED), "expired");
	assert_string_equal(update_outcome_name(UPDATE_IGNORED), "ignored");
	assert_string_equal(update_outcome_name(UPDATE_DROPPED), "rejected");
}

static void test_refs(void **state)
{
	static const char *const right[] = {
	    "refs/heads/main",
	    "refs/heads/feature/EYES-1_x+y@z",
	    "refs/heads/@",
	    "refs/heads/\xc3\xa9t\xc3\xa9",
	    "refs/tags/v1.0",
	    "refs/heads/a./b",
	    "refs/heads/x.lockx",
	    "refs/pull-requests/7/from",
	};
	static const char *const wrong[] = {
	    "",
	    "main",
	    "heads/main",
	    "refs",
	    "refs/",
	    "Refs/heads/x",
	    "refs//x",
	    "refs/heads/",
	    "refs/heads/a//b",
	    "refs/heads/.a",
	    "refs/heads/a/.b",
	    "refs/heads/a..b",
	    "refs/heads/a.",
	    "refs/heads/a.lock",
	    "refs/heads/a.lock/b",
	    "refs/heads/.lock",
	    "refs/heads/a@{1}",
	    "refs/heads/a b",
	    "refs/heads/a\tb",
	    "refs/heads/a\x7f",
	    "refs/heads/a~",
	    "refs/heads/a^",
	    "refs/heads/a:b",
	    "refs/heads/a?",
	    "refs/heads/a*",
	    "refs/heads/a[",
	    "refs/heads/a\\b",
	};
	char text[UPDATE_REF_MAX + 2];

	(void)state;
	for (size_t i = 0; i < COUNT(right); i++)
		if (!update_ref_valid(right[i]))
			fail_msg("refused: %s", right[i]);
	for (size_t i = 0; i < COUNT(wrong); i++)
		if (update_ref_valid(wrong[i]))
			fail_msg("accepted: %s", wrong[i]);
	memset(text, 'a', sizeof(text));
	memcpy(text, "refs/", 5);
	text[UPDATE_REF_MAX] = '\0';
	assert_true(update_ref_valid(text));
	text[UPDATE_REF_MAX] = 'a';
	text[UPDATE_REF_MAX + 1] = '\0';
	assert_false(update_ref_valid(text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_states),
	    cmocka_unit_test(test_outcomes),
	    cmocka_unit_test(test_refs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
