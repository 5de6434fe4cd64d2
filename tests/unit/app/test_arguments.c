#include "app/arguments.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#define CANARY "canary-7f3a"

/* A command line, split at blanks, and what is wrong with it; NULL: nothing. */
static const struct {
	const char *line, *words;
} LINES[] = {
    {"status", NULL},
    {"--json status", NULL},
    {"status --json", NULL},
    {"--state-dir /x status", NULL},
    {"server list --state-dir=/x --config /y", NULL},
    {"account set --key-file -", NULL},
    {"account set --key-file=k", NULL},
    {"account --json set --key-file k", NULL},
    {"repo enable P/a ~u/b --token-file -", NULL},
    {"repo enable --server https://b --token-file - -- P/a", NULL},
    {"repo list", NULL},
    {"repo list --search x --server https://b --token-file t", NULL},
    {"repo list --search=--x", NULL},
    {"repo disable P/a", NULL},
    {"repo set-token P/a --token-file t", NULL},
    {"server add https://b --ca-file c", NULL},
    {"server remove https://b", NULL},
    {"queue list --state dead", NULL},
    {"queue retry 7", NULL},
    {"queue retry --all", NULL},
    {"queue drop 7", NULL},

    {"statsu", "no subcommand \"statsu\""},
    {"account", "account what?"},
    {"repo enabel P/a", "did you mean \"repo enable\"?"},
    {"account set", "--key-file FILE|- is missing"},
    {"account set " CANARY " --key-file -", "takes no argument"},
    {"account set --key " CANARY, "no flag --key"},
    {"account set --key=" CANARY, "no flag --key"},
    {"account set --key-file", "--key-file needs a value"},
    {"account set --key-file --json", "--key-file needs a value"},
    {"account set --key-file=", "--key-file needs a value"},
    {"account set --key-file a --key-file b", "--key-file is given twice"},
    {"account show --token-file t", "--token-file does not belong to \"account show\""},
    {"status x", "takes no argument"},
    {"status --json=yes", "--json takes no value"},
    {"status -x", "no flags of one letter"},
    {"status --Json", "no such flag"},
    {"server add", "an argument is missing"},
    {"server add a b", "too many arguments"},
    {"repo enable --token-file t", "an argument is missing"},
    {"repo enable P/a", "--token-file FILE|- is missing"},
    {"repo enable P --token-file t", "argument 1 is not a repository"},
    {"repo enable P/a P/ --token-file t", "argument 2 is not a repository"},
    {"repo enable /a --token-file t", "argument 1 is not a repository"},
    {"repo disable P/a/b", "argument 1 is not a repository"},
    {"queue list --state open", "--state is one of waiting, blocked, dead"},
    {"queue retry", "--all"},
    {"queue retry 7 --all", "either an ID or --all"},
    {"queue retry x", "an ID is a number"},
    {"queue drop", "an argument is missing"},
    {"repo disable P/a P/\xff", "argument 2 is not UTF-8"},
    {"repo list --server https://b\xff", "--server is not UTF-8"},
    {"repo list --search \xc3", "--search is not UTF-8"},
    {"server remove https://\xe9", "argument 1 is not UTF-8"},
    {"queue drop --all", "--all does not belong"},
    {"queue drop 7x", "an ID is a number"},
};

static bool understand(const char *line, struct arguments *arguments, struct cmd_call *call,
    struct err *err, char *copy)
{
	char *argv[16] = {(char *)"eyes-scm"};
	int argc = 1;
	unsigned own;

	strcpy(copy, line);
	for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
		argv[argc++] = word;
	if (!arguments_parse(arguments, argc, argv, err))
		return false;
	call->cmd = cmd_find(arguments->words, arguments->word_count, &own, err);
	if (call->cmd == NULL)
		return false;
	call->words = arguments->words + own;
	call->word_count = arguments->word_count - own;
	memcpy(call->flag, arguments->cmd_flag, sizeof(call->flag));
	return cmd_check(call, err);
}

static void test_command_lines(void **state)
{
	static struct arguments arguments;

	(void)state;
	for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
		struct cmd_call call = {.json = false};
		struct err err = ERR_INIT;
		char copy[256];
		bool good = understand(LINES[i].line, &arguments, &call, &err, copy);
		if (good != (LINES[i].words == NULL))
			fail_msg("%s: %s", LINES[i].line, good ? "accepted" : err.message);
		if (good)
			continue;
		if (strstr(err.message, LINES[i].words) == NULL)
			fail_msg("%s: %s", LINES[i].line, err.message);
		assert_string_equal(err.code, "usage");
		assert_null(strstr(err.message, CANARY));
		assert_null(strstr(err.hint, CANARY));
	}
}

static void test_a_usage_error_shows_the_usage_line(void **state)
{
	static struct arguments arguments;
	struct cmd_call call = {.json = false};
	struct err err = ERR_INIT;
	char copy[256];

	(void)state;
	assert_false(understand("queue drop", &arguments, &call, &err, copy));
	assert_string_equal(err.hint, "usage: eyes-scm queue drop ID");
	assert_false(understand("server", &arguments, &call, &err, copy));
	assert_string_equal(err.hint, "usage: eyes-scm server add|list|remove ...");
	assert_false(understand("account set --token x", &arguments, &call, &err, copy));
	assert_non_null(strstr(err.hint, "--token-file"));
	assert_false(understand("status --bad --json", &arguments, &call, &err, copy));
	assert_true(arguments.json);
}

static void test_values_and_words(void **state)
{
	static struct arguments arguments;
	struct cmd_call call = {.json = false};
	struct err err = ERR_INIT;
	char copy[256];

	(void)state;
	assert_true(
	    understand("--state-dir /x repo --json enable P/a --token-file - --server=u Q/b",
	        &arguments, &call, &err, copy));
	assert_ptr_equal(call.cmd, &cmd_repo_enable);
	assert_int_equal(call.word_count, 2);
	assert_string_equal(call.words[0], "P/a");
	assert_string_equal(call.words[1], "Q/b");
	assert_string_equal(call.flag[CMD_TOKEN_FILE], "-");
	assert_string_equal(call.flag[CMD_SERVER], "u");
	assert_null(call.flag[CMD_SEARCH]);
	assert_int_equal(arguments.flag_count, 2);
	assert_string_equal(arguments.flags[0].value, "/x");
	assert_null(arguments.flags[1].value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_command_lines),
	    cmocka_unit_test(test_a_usage_error_shows_the_usage_line),
	    cmocka_unit_test(test_values_and_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
