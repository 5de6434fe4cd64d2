#define _GNU_SOURCE /* environ */
#include "app/arguments.h"
#include "app/cmd_output.h"
#include "app/daemon.h"
#include "app/run.h"
#include "base/json.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYSTEM_FILE EYES_SCM_SYSCONFDIR "/eyes-scm/eyes-scm.conf"
#define SYSTEM_STATE EYES_SCM_LOCALSTATEDIR "/lib/eyes-scm"

static struct options_input make_input(const struct arguments *arguments, enum options_use use)
{
	return (struct options_input){
	    .use = use,
	    .flags = arguments->flags,
	    .flag_count = arguments->flag_count,
	    .environment = environ,
	    .system_file = SYSTEM_FILE,
	    .system_state = SYSTEM_STATE,
	};
}

static void print_problems(const struct problems *problems)
{
	for (unsigned i = 0; i < problems->count; i++)
		fprintf(stderr, "eyes-scm: %s%s\n", problems->list[i].warning ? "warning: " : "",
		    problems->list[i].text);
}

static void log_warnings(const struct problems *problems)
{
	for (unsigned i = 0; i < problems->count; i++)
		log_warn("options", problems->list[i].text);
}

/* ---- the daemon ---- */

static int start(const struct options *options, const struct problems *warnings)
{
	struct err err = ERR_INIT;
	int code = CMD_FAILED;

	log_set_level((enum log_level)options->log_level);
	log_set_format((enum log_format)options->log_format);
	log_warnings(warnings);
	if (daemon_begin(options->detach, DAEMON_WAIT_MS, options->pid_file, &err))
		code = run(options);
	else
		daemon_failed(&err);
	daemon_end();
	return code;
}

static int run_daemon(const struct arguments *arguments)
{
	struct options_input input = make_input(arguments, OPTIONS_DAEMON);
	struct problems problems;
	struct options options;
	int code;

	problems_init(&problems);
	options_load(&options, &input, &problems);
	if (options.json)
		problems_error(&problems, "--json goes with a subcommand");
	if (problems.errors > 0 || options.check_config)
		print_problems(&problems);
	if (problems.errors > 0) {
		code = CMD_USAGE;
	} else if (options.check_config) {
		options_print(&options, stdout);
		code = CMD_DONE;
	} else {
		code = start(&options, &problems);
	}
	options_free(&options);
	problems_free(&problems);
	return code;
}

/* ---- a subcommand ---- */

static int usage_failed(const struct arguments *arguments, const struct err *err)
{
	cmd_print_error(arguments->json, err);
	return CMD_USAGE;
}

/* All that is wrong in one message, for --json has room for one. */
static int options_failed(const struct arguments *arguments, const struct problems *problems)
{
	struct err err = ERR_INIT;

	if (!arguments->json) {
		print_problems(problems);
		return CMD_USAGE;
	}
	for (unsigned i = 0; i < problems->count; i++) {
		if (problems->list[i].warning)
			continue;
		if (err.code == NULL)
			err_set(&err, "usage", "%s", problems->list[i].text);
		else
			err_prefix(&err, "%s", problems->list[i].text);
	}
	return usage_failed(arguments, &err);
}

static int run_command(const struct arguments *arguments, struct cmd_call *call)
{
	struct options_input input = make_input(arguments, OPTIONS_COMMAND);
	struct problems problems;
	struct options options;
	int code;

	problems_init(&problems);
	options_load(&options, &input, &problems);
	call->state_dir = options.state_dir;
	if (problems.errors > 0)
		code = options_failed(arguments, &problems);
	else
		code = call->cmd->run(call);
	/* Why the file was not read matters when no daemon was found. */
	if (problems.errors == 0 && code == CMD_NOT_RUNNING)
		print_problems(&problems);
	options_free(&options);
	problems_free(&problems);
	return code;
}

/* Of the command, or of its group when the verb is missing or unknown. */
static int command_help(const struct arguments *arguments, const struct cmd *cmd)
{
	const char *group = arguments->words[0];

	if (cmd != NULL)
		cmd_print_help(stdout, cmd->group, cmd->verb);
	else
		cmd_print_help(stdout, cmd_is_group(group) ? group : NULL, NULL);
	return CMD_DONE;
}

static int command(const struct arguments *arguments)
{
	struct cmd_call call = {.json = arguments->json};
	struct err err = ERR_INIT;
	unsigned own = 0;

	call.cmd = cmd_find(arguments->words, arguments->word_count, &own, &err);
	if (arguments->help)
		return command_help(arguments, call.cmd);
	if (call.cmd == NULL)
		return usage_failed(arguments, &err);
	call.words = arguments->words + own;
	call.word_count = arguments->word_count - own;
	memcpy(call.flag, arguments->cmd_flag, sizeof(call.flag));
	if (!cmd_check(&call, &err))
		return usage_failed(arguments, &err);
	return run_command(arguments, &call);
}

/* ---- which of them ---- */

static int no_command(const struct arguments *arguments)
{
	struct err err = ERR_INIT;

	for (unsigned i = 0; i < CMD_FLAGS; i++) {
		if (arguments->cmd_flag[i] == NULL)
			continue;
		err_set(&err, "usage", "--%s goes with a subcommand", cmd_flags[i].name);
		err_hint(&err, "eyes-scm --help lists them");
		return usage_failed(arguments, &err);
	}
	if (arguments->help) {
		options_print_help(stdout);
		return CMD_DONE;
	}
	return run_daemon(arguments);
}

static int dispatch(int argc, char **argv)
{
	static struct arguments arguments; /* too large for a stack frame; options point into it */
	struct err err = ERR_INIT;

	if (!arguments_parse(&arguments, argc, argv, &err))
		return usage_failed(&arguments, &err);
	if (arguments.version) {
		puts("eyes-scm " EYES_SCM_VERSION);
		return CMD_DONE;
	}
	return arguments.word_count > 0 ? command(&arguments) : no_command(&arguments);
}

int main(int argc, char **argv)
{
	int code;

	daemon_harden();
	json_cleanse_freed();
	code = dispatch(argc, argv);
	/* A full disk or a closed pipe: what was asked for has not been told. */
	if (fflush(stdout) != 0 || ferror(stdout) != 0)
		return code == CMD_DONE ? CMD_FAILED : code;
	return code;
}
