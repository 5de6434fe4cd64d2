#include "app/arguments.h"

#include "app/nearest.h"
#include "app/options_table.h"
#include <stdio.h>
#include <string.h>

/* The flag in hand. */
struct flag {
	char name[40];
	const char *value;           /* behind "=", or the next argument; NULL */
	bool attached;               /* behind "=" */
	const struct option *option; /* one of these two */
	int cmd_flag;
};

static int find_cmd_flag(const char *name)
{
	for (int i = 0; i < CMD_FLAGS; i++)
		if (strcmp(cmd_flags[i].name, name) == 0)
			return i;
	return -1;
}

static bool unknown_flag(const char *name, struct err *err)
{
	struct nearest nearest = {.word = name};

	for (unsigned i = 0; i < option_count; i++)
		if (option_table[i].flag != NULL)
			nearest_try(&nearest, option_table[i].flag);
	for (unsigned i = 0; i < CMD_FLAGS; i++)
		nearest_try(&nearest, cmd_flags[i].name);
	err_set(err, "usage", "there is no flag --%s", name);
	if (strcmp(name, "token") == 0 || strcmp(name, "key") == 0)
		err_hint(err,
		    "secrets are read from a file: --%s-file FILE, or - for standard input", name);
	else if (nearest.best != NULL)
		err_hint(err, "did you mean --%s? eyes-scm --help lists them all", nearest.best);
	else
		err_hint(err, "eyes-scm --help lists them all");
	return false;
}

static bool take_name(struct flag *flag, const char *text, struct err *err)
{
	size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

	if (length == 0 || length >= sizeof(flag->name) ||
	    (text[length] != '\0' && text[length] != '=')) {
		err_set(err, "usage", "there is no such flag (an argument that begins with --)");
		err_hint(err, "eyes-scm --help lists them all");
		return false;
	}
	memset(flag, 0, sizeof(*flag));
	memcpy(flag->name, text, length);
	flag->attached = text[length] == '=';
	flag->value = flag->attached ? text + length + 1 : NULL;
	flag->option = option_by_flag(flag->name);
	flag->cmd_flag = flag->option == NULL ? find_cmd_flag(flag->name) : -1;
	if (flag->option == NULL && flag->cmd_flag < 0)
		return unknown_flag(flag->name, err);
	return true;
}

static bool wants_value(const struct flag *flag)
{
	if (flag->option != NULL)
		return flag->option->type != OPTION_SWITCH;
	return cmd_flags[flag->cmd_flag].value != NULL;
}

/* Takes the next argument when the value must be there. */
static bool take_value(struct flag *flag, const char *next, bool *used_next, struct err *err)
{
	*used_next = false;
	if (!wants_value(flag)) {
		if (flag->attached)
			return err_set(err, "usage", "--%s takes no value", flag->name);
		flag->value = "";
		return true;
	}
	if (flag->attached)
		return true;
	if (next == NULL || strncmp(next, "--", 2) == 0) {
		err_set(err, "usage", "--%s needs a value", flag->name);
		if (next != NULL)
			err_hint(err, "for one that begins with --, write --%s=VALUE", flag->name);
		return false;
	}
	flag->value = next;
	*used_next = true;
	return true;
}

static bool keep_option(struct arguments *arguments, const struct flag *flag, struct err *err)
{
	const struct option *option = flag->option;

	for (unsigned i = 0; i < arguments->flag_count; i++) {
		if (arguments->flags[i].option != option || option->type == OPTION_LISTEN)
			continue;
		if (option->type == OPTION_SWITCH)
			return true;
		return err_set(err, "usage", "--%s is given twice", flag->name);
	}
	if (arguments->flag_count == ARGUMENTS_FLAGS)
		return err_set(err, "usage", "too many flags");
	arguments->flags[arguments->flag_count++] = (struct options_flag){
	    .option = option, .value = option->type == OPTION_SWITCH ? NULL : flag->value};
	return true;
}

static bool keep(struct arguments *arguments, const struct flag *flag, struct err *err)
{
	if (flag->option != NULL)
		return keep_option(arguments, flag, err);
	if (arguments->cmd_flag[flag->cmd_flag] != NULL)
		return err_set(err, "usage", "--%s is given twice", flag->name);
	arguments->cmd_flag[flag->cmd_flag] = flag->value;
	return true;
}

static bool keep_word(struct arguments *arguments, const char *word, struct err *err)
{
	if (arguments->word_count == ARGUMENTS_WORDS)
		return err_set(err, "usage", "more than %d arguments", ARGUMENTS_WORDS);
	arguments->words[arguments->word_count++] = word;
	return true;
}

/* These decide how everything else is told, so they count even when something is wrong. */
static void look_ahead(struct arguments *arguments, int argc, char *const *argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		arguments->json |= strcmp(argv[i], "--json") == 0;
		arguments->help |= strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
		arguments->version |= strcmp(argv[i], "--version") == 0;
	}
}

bool arguments_parse(struct arguments *arguments, int argc, char *const *argv, struct err *err)
{
	bool flags = true;

	memset(arguments, 0, sizeof(*arguments));
	look_ahead(arguments, argc, argv);
	for (int i = 1; i < argc; i++) {
		struct flag flag;
		bool used_next;
		if (flags && strcmp(argv[i], "--") == 0) {
			flags = false;
		} else if (flags && strncmp(argv[i], "--", 2) == 0) {
			if (!take_name(&flag, argv[i] + 2, err) ||
			    !take_value(
			        &flag, i + 1 < argc ? argv[i + 1] : NULL, &used_next, err) ||
			    !keep(arguments, &flag, err))
				return false;
			i += used_next ? 1 : 0;
		} else if (flags && argv[i][0] == '-' && argv[i][1] != '\0') {
			if (strcmp(argv[i], "-h") == 0)
				continue;
			err_set(err, "usage", "there are no flags of one letter");
			err_hint(err, "eyes-scm --help lists the flags");
			return false;
		} else if (!keep_word(arguments, argv[i], err)) {
			return false;
		}
	}
	return true;
}
