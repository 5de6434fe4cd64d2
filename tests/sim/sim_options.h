/*
 * sim_options: the command line of a simulator, from tables. "--name value" and "--name=value".
 */
#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include "base/err.h"

enum sim_option_kind { SIM_FLAG, SIM_INTEGER, SIM_TEXT, SIM_LIST };

#define SIM_LIST_MAX 16
struct sim_list {
	const char *item[SIM_LIST_MAX];
	unsigned count;
};

struct sim_option {
	const char *name;
	enum sim_option_kind kind;
	void *to; /* bool, long, const char * (borrowed from argv), struct sim_list */
	const char *help;
};

/* Each table ends with a row without a name. */
bool sim_options_parse(
    int argc, char **argv, const struct sim_option *const tables[], struct err *err);
void sim_options_help(const char *program, const struct sim_option *const tables[]);

#endif
