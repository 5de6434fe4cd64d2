#include "sim/sim_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct sim_option *find(
    const struct sim_option *const tables[], const char *name, size_t length)
{
	for (; *tables; tables++)
		for (const struct sim_option *option = *tables; option->name; option++)
			if (strlen(option->name) == length && !strncmp(option->name, name, length))
				return option;
	return NULL;
}

static bool set(const struct sim_option *option, const char *value, struct err *err)
{
	struct sim_list *list = option->to;
	char *end;
	switch (option->kind) {
	case SIM_INTEGER:
		*(long *)option->to = strtol(value, &end, 10);
		if (!*value || *end)
			return err_set(
			    err, "usage", "--%s %s: expected a number", option->name, value);
		return true;
	case SIM_LIST:
		if (list->count == SIM_LIST_MAX)
			return err_set(err, "usage", "--%s: too many", option->name);
		list->item[list->count++] = value;
		return true;
	default:
		*(const char **)option->to = value;
		return true;
	}
}

bool sim_options_parse(
    int argc, char **argv, const struct sim_option *const tables[], struct err *err)
{
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];
		size_t length = strcspn(word, "=");
		const struct sim_option *option =
		    strncmp(word, "--", 2) == 0 ? find(tables, word + 2, length - 2) : NULL;
		if (!option)
			return err_set(err, "usage", "unknown option %s; see --help", word);
		const char *value = word[length] ? word + length + 1 : NULL;
		if (option->kind == SIM_FLAG) {
			if (value)
				return err_set(err, "usage", "--%s takes no value", option->name);
			*(bool *)option->to = true;
			continue;
		}
		if (!value && ++i == argc)
			return err_set(err, "usage", "--%s needs a value", option->name);
		if (!set(option, value ? value : argv[i], err))
			return false;
	}
	return true;
}

void sim_options_help(const char *program, const struct sim_option *const tables[])
{
	static const char *const values[] = {"", " N", " TEXT", " TEXT..."};
	printf("Usage: %s [options]\n\n", program);
	for (; *tables; tables++) {
		for (const struct sim_option *option = *tables; option->name; option++) {
			char left[64];
			snprintf(left, sizeof(left), "--%s%s", option->name, values[option->kind]);
			printf("  %-26s %s\n", left, option->help);
		}
	}
}
