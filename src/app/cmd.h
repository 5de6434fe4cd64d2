/*
 * cmd: the subcommands, one `struct cmd` each, in the table of cmd.c. Each talks to the daemon over
 * the control socket and does nothing by itself.
 *
 * Exit codes: CMD_DONE, CMD_FAILED (refused, failed, what was named is not there), CMD_USAGE,
 * CMD_NOT_RUNNING. With --json the answer or {"error":{...}} is on stdout; without it errors are on
 * stderr. A secret is never an argument, and no argument is echoed before it is known to be none.
 */
#ifndef APP_CMD_H
#define APP_CMD_H

#include "base/err.h"
#include <stdio.h>

enum cmd_exit { CMD_DONE, CMD_FAILED, CMD_USAGE, CMD_NOT_RUNNING };

enum cmd_flag {
	CMD_KEY_FILE,
	CMD_CA_FILE,
	CMD_SERVER,
	CMD_SEARCH,
	CMD_TOKEN_FILE,
	CMD_STATE,
	CMD_ALL, /* a switch: its value is "" */
	CMD_FLAGS
};
struct cmd_flag_row {
	const char *name;  /* without "--" */
	const char *value; /* what the help calls it; NULL for a switch */
};
extern const struct cmd_flag_row cmd_flags[CMD_FLAGS];

struct cmd;
struct cmd_call {
	const struct cmd *cmd;
	const char *state_dir;
	bool json;
	const char *flag[CMD_FLAGS]; /* NULL when not given */
	const char *const *words;    /* behind the command's own */
	unsigned word_count;
};

struct cmd {
	const char *group;
	const char *verb;  /* NULL: the group is the command */
	const char *usage; /* what follows its words */
	const char *help;
	unsigned allowed, required; /* 1 << enum cmd_flag */
	unsigned words_low, words_high;
	bool (*check)(const struct cmd_call *call, struct err *err); /* more usage; or NULL */
	int (*run)(const struct cmd_call *call);                     /* the exit code */
};

extern const struct cmd cmd_account_set, cmd_account_show;
extern const struct cmd cmd_server_add, cmd_server_list, cmd_server_remove;
extern const struct cmd cmd_repo_list, cmd_repo_enable, cmd_repo_disable, cmd_repo_set_token;
extern const struct cmd cmd_webhook_list, cmd_webhook_check, cmd_webhook_repair, cmd_webhook_rotate,
    cmd_webhook_by_hand;
extern const struct cmd cmd_queue_list, cmd_queue_retry, cmd_queue_drop;
extern const struct cmd cmd_events_list, cmd_events_retry, cmd_events_drop;
extern const struct cmd cmd_status, cmd_setup_code;

/*
 * The command that `words` begin with, and how many of them are its own. NULL with err: no such
 * command, or a group without its verb.
 */
const struct cmd *cmd_find(
    const char *const *words, unsigned count, unsigned *own, struct err *err);
bool cmd_is_group(const char *word);
/* Whether flags and words fit: err names what does not and hints the usage line. */
bool cmd_check(const struct cmd_call *call, struct err *err) __attribute__((warn_unused_result));
/* Usage and help of every command, of one group, or of one command of it. */
void cmd_print_help(FILE *out, const char *group, const char *verb);

#endif
