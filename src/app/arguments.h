/*
 * arguments: argv taken apart into flags of the program, flags of a subcommand, and words. Flags
 * may stand anywhere: --name value, --name=value, -- ends them. Values are never echoed.
 */
#ifndef APP_ARGUMENTS_H
#define APP_ARGUMENTS_H

#include "app/cmd.h"
#include "app/options.h"

#define ARGUMENTS_WORDS 512
#define ARGUMENTS_FLAGS 64
struct arguments { /* points into argv */
	struct options_flag flags[ARGUMENTS_FLAGS];
	unsigned flag_count;
	const char *cmd_flag[CMD_FLAGS];
	const char *words[ARGUMENTS_WORDS];
	unsigned word_count;
	bool json; /* --json was there, whatever else is wrong */
	bool help, version;
};

/* Code "usage". */
bool arguments_parse(struct arguments *arguments, int argc, char *const *argv, struct err *err)
    __attribute__((warn_unused_result));

#endif
