/*
 * cmd_number: what the commands share that name a row by its number, or all of them.
 */
#ifndef APP_CMD_NUMBER_H
#define APP_CMD_NUMBER_H

#include "app/cmd_output.h"

/* An ID, or --all where the command has it. list: the command that shows IDs, "queue list". */
bool cmd_check_number(const struct cmd_call *call, const char *list, struct err *err);
/* POSTs {"id":N} or {"all":true}; the exit code. */
int cmd_post_number(const struct cmd_call *call, const char *path, cmd_show_fn *show);
/* Whether --state is absent or one of the words; the last one is NULL. */
bool cmd_check_state(const struct cmd_call *call, const char *const *words, struct err *err);

#endif
