/*
 * cmd_output: asking the daemon and telling the answer, for machines (--json) or for people.
 */
#ifndef APP_CMD_OUTPUT_H
#define APP_CMD_OUTPUT_H

#include "app/cmd.h"
#include "app/control.h"

/* "eyes-scm: message (hop)" and the hint on stderr, or {"error":{...}} on stdout. */
void cmd_print_error(bool json, const struct err *err);
/* On stderr, in both cases. */
void cmd_print_warning(const struct err *warning);

typedef void cmd_show_fn(const json_t *document); /* for people, on stdout */
typedef int cmd_judge_fn(const json_t *document); /* the exit code of a good answer */

/*
 * Asks, and prints either the answer (as it is with --json, else with `show`) or what went wrong.
 * The exit code: what `judge` says of a good answer, CMD_DONE without one.
 */
int cmd_run(const struct cmd_call *call, const struct control_request *request, cmd_show_fn *show,
    cmd_judge_fn *judge);
/* Asks; false when there is no good answer, which has then been told. */
bool cmd_ask(const struct cmd_call *call, const struct control_request *request,
    struct control_answer *answer, int *exit_code);
void cmd_print_json(const json_t *document);
/* The API's error object for people. */
void cmd_print_refusal(const json_t *error);

/* Members of an object; "" or 0 or false when absent. */
const char *cmd_string(const json_t *object, const char *name);
long long cmd_number(const json_t *object, const char *name);
bool cmd_bool(const json_t *object, const char *name);

#define CMD_TIME 32
/* An RFC 3339 member as local time, "" when absent. out: CMD_TIME bytes. */
const char *cmd_time(const json_t *object, const char *name, char *out);
/* "1 update", "2 updates" */
const char *cmd_plural(long long count);

#endif
