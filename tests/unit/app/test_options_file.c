#include "app/options_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

/* One line, and what it sets; value NULL: the line is wrong and the message holds `name`. */
static const struct {
	const char *line, *name, *value;
} LINES[] = {
    {"PORT=4000", "PORT", "4000"},
    {"  PORT\t=  4000  ", "PORT", "4000"},
    {"export PORT=4000", "PORT", "4000"},
    {"export=4000", "export", "4000"},
    {"export =4000", "export", "4000"},
    {"PORT=", "PORT", ""},
    {"PORT=4000\r", "PORT", "4000"},
    {"PORT=4000 # the port", "PORT", "4000"},
    {"PORT=40#00", "PORT", "40#00"},
    {"A= # none", "A", ""},
    {"A=#x", "A", "#x"},
    {"A=b c  d", "A", "b c  d"},
    {"A=$HOME/${X}", "A", "$HOME/${X}"},
    {"A=b\\n", "A", "b\\n"},
    {"A=x=y", "A", "x=y"},
    {"A=it's", "A", "it's"},
    {"A='a \"b\" \\n $c # d'", "A", "a \"b\" \\n $c # d"},
    {"A='' # nothing", "A", ""},
    {"A=\"a \\\"b\\\" \\\\ \\$c \\n\\t # d\" # e", "A", "a \"b\" \\ $c \n\t # d"},
    {"A=\"\"", "A", ""},
    {"\xef\xbb\xbfPORT=1", "PORT", "1"},
    {"A='b", "closing '", NULL},
    {"A=\"b", "closing \"", NULL},
    {"A=\"b\\", "closing \"", NULL},
    {"A=\"\\x\"", "backslash", NULL},
    {"A='b'c", "behind the closing quote", NULL},
    {"A='b'#c", "behind the closing quote", NULL},
    {"PORT 4000", "= is missing", NULL},
    {"PORT", "= is missing", NULL},
    {"export PORT", "= is missing", NULL},
    {"=4000", "NAME=value", NULL},
    {"4A=b", "NAME=value", NULL},
    {"[section]", "NAME=value", NULL},
    {"A23456789012345678901234567890123456789012345678901234567890123456789=1", "too long", NULL},
};

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
		struct options_file file;
		struct err err = ERR_INIT;
		enum options_file_step step;
		options_file_init(&file, LINES[i].line, strlen(LINES[i].line));
		step = options_file_next(&file, &err);
		assert_int_equal(file.line, 1);
		if (LINES[i].value != NULL) {
			assert_int_equal(step, OPTIONS_FILE_SET);
			assert_string_equal(file.name, LINES[i].name);
			assert_string_equal(file.value.data, LINES[i].value);
		} else {
			assert_int_equal(step, OPTIONS_FILE_WRONG);
			if (strstr(err.message, LINES[i].name) == NULL)
				fail_msg("\"%s\": %s", LINES[i].line, err.message);
		}
		assert_int_equal(options_file_next(&file, &err), OPTIONS_FILE_END);
		options_file_free(&file);
	}
}

static void test_lines_are_counted_and_go_on_after_a_fault(void **state)
{
	static const char TEXT[] = "# comment\n\n \t\nA=1\r\nwrong\n\t# A=2\nB=2";
	struct options_file file;
	struct err err = ERR_INIT;

	(void)state;
	options_file_init(&file, TEXT, strlen(TEXT));
	assert_int_equal(options_file_next(&file, &err), OPTIONS_FILE_SET);
	assert_int_equal(file.line, 4);
	assert_int_equal(options_file_next(&file, &err), OPTIONS_FILE_WRONG);
	assert_int_equal(file.line, 5);
	assert_int_equal(options_file_next(&file, &err), OPTIONS_FILE_SET);
	assert_int_equal(file.line, 7);
	assert_string_equal(file.name, "B");
	assert_int_equal(options_file_next(&file, &err), OPTIONS_FILE_END);
	options_file_free(&file);
}

static void test_a_nul_is_refused(void **state)
{
	struct options_file file;
	struct err err = ERR_INIT;

	(void)state;
	options_file_init(&file, "A=b\0c\nB=1", 9);
	assert_int_equal(options_file_next(&file, &err), OPTIONS_FILE_WRONG);
	assert_non_null(strstr(err.message, "NUL"));
	assert_int_equal(options_file_next(&file, &err), OPTIONS_FILE_SET);
	options_file_free(&file);
	options_file_init(&file, "", 0);
	assert_int_equal(options_file_next(&file, &err), OPTIONS_FILE_END);
	options_file_free(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_lines_are_counted_and_go_on_after_a_fault),
	    cmocka_unit_test(test_a_nul_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
