#include "app/cmd.h"

#include "app/nearest.h"
#include "base/buf.h"
#include "base/codec.h"
#include <stddef.h>
#include <string.h>

const struct cmd_flag_row cmd_flags[CMD_FLAGS] = {
    [CMD_KEY_FILE] = {"key-file", "FILE|-"},
    [CMD_CA_FILE] = {"ca-file", "FILE"},
    [CMD_SERVER] = {"server", "URL"},
    [CMD_SEARCH] = {"search", "TEXT"},
    [CMD_TOKEN_FILE] = {"token-file", "FILE|-"},
    [CMD_STATE] = {"state", "STATE"},
    [CMD_ALL] = {"all", NULL},
};

static const struct cmd *const COMMANDS[] = {
    &cmd_account_set,
    &cmd_account_show,
    &cmd_server_add,
    &cmd_server_list,
    &cmd_server_remove,
    &cmd_repo_list,
    &cmd_repo_enable,
    &cmd_repo_disable,
    &cmd_repo_set_token,
    &cmd_webhook_list,
    &cmd_webhook_check,
    &cmd_webhook_repair,
    &cmd_webhook_rotate,
    &cmd_webhook_by_hand,
    &cmd_queue_list,
    &cmd_queue_retry,
    &cmd_queue_drop,
    &cmd_events_list,
    &cmd_events_retry,
    &cmd_events_drop,
    &cmd_status,
    &cmd_setup_code,
};
enum { COUNT = sizeof(COMMANDS) / sizeof(COMMANDS[0]) };

static void put_usage(const struct cmd *cmd, struct buf *out)
{
	buf_printf(out, "eyes-scm %s%s%s%s%s", cmd->group, cmd->verb != NULL ? " " : "",
	    cmd->verb != NULL ? cmd->verb : "", cmd->usage[0] != '\0' ? " " : "", cmd->usage);
}

void cmd_print_help(FILE *out, const char *group, const char *verb)
{
	for (unsigned i = 0; i < COUNT; i++) {
		struct buf usage;
		if (group != NULL && strcmp(COMMANDS[i]->group, group) != 0)
			continue;
		if (verb != NULL && strcmp(COMMANDS[i]->verb, verb) != 0)
			continue;
		buf_init(&usage, 256);
		put_usage(COMMANDS[i], &usage);
		fprintf(out, "  %s\n      %s\n", usage.data, COMMANDS[i]->help);
		buf_free(&usage);
	}
}

static bool usage_error(struct err *err, const struct cmd *cmd)
{
	struct buf usage;

	buf_init(&usage, 256);
	put_usage(cmd, &usage);
	err_hint(err, "usage: %s", usage.data);
	buf_free(&usage);
	return false;
}

static const struct cmd *unknown_group(const char *word, struct err *err)
{
	struct nearest nearest = {.word = word};

	for (unsigned i = 0; i < COUNT; i++)
		nearest_try(&nearest, COMMANDS[i]->group);
	err_set(err, "usage", "there is no subcommand \"%.40s\"", word);
	if (nearest.best != NULL)
		err_hint(err, "did you mean \"%s\"? eyes-scm --help lists them all", nearest.best);
	else
		err_hint(err, "eyes-scm --help lists them all");
	return NULL;
}

/* The group is known. */
static const struct cmd *unknown_verb(const char *group, const char *word, struct err *err)
{
	struct nearest nearest = {.word = word != NULL ? word : ""};
	struct buf verbs;

	buf_init(&verbs, 256);
	for (unsigned i = 0; i < COUNT; i++) {
		if (strcmp(COMMANDS[i]->group, group) != 0)
			continue;
		buf_printf(&verbs, "%s%s", verbs.length > 0 ? "|" : "", COMMANDS[i]->verb);
		nearest_try(&nearest, COMMANDS[i]->verb);
	}
	if (word == NULL)
		err_set(err, "usage", "%s what?", group);
	else if (nearest.best != NULL)
		err_set(err, "usage", "there is no \"%s %.40s\"; did you mean \"%s %s\"?", group,
		    word, group, nearest.best);
	else
		err_set(err, "usage", "there is no \"%s %.40s\"", group, word);
	err_hint(err, "usage: eyes-scm %s %s ...", group, verbs.data);
	buf_free(&verbs);
	return NULL;
}

const struct cmd *cmd_find(const char *const *words, unsigned count, unsigned *own, struct err *err)
{
	bool group = false;

	for (unsigned i = 0; i < COUNT; i++) {
		const struct cmd *cmd = COMMANDS[i];
		if (strcmp(cmd->group, words[0]) != 0)
			continue;
		group = true;
		if (cmd->verb != NULL && (count < 2 || strcmp(cmd->verb, words[1]) != 0))
			continue;
		*own = cmd->verb != NULL ? 2 : 1;
		return cmd;
	}
	if (group)
		return unknown_verb(words[0], count > 1 ? words[1] : NULL, err);
	return unknown_group(words[0], err);
}

bool cmd_is_group(const char *word)
{
	for (unsigned i = 0; i < COUNT; i++)
		if (strcmp(COMMANDS[i]->group, word) == 0)
			return true;
	return false;
}

static bool check_flags(const struct cmd_call *call, struct err *err)
{
	for (unsigned i = 0; i < CMD_FLAGS; i++) {
		bool given = call->flag[i] != NULL;
		if (given && (call->cmd->allowed & 1U << i) == 0)
			return err_set(err, "usage", "--%s does not belong to \"%s%s%s\"",
			    cmd_flags[i].name, call->cmd->group, call->cmd->verb != NULL ? " " : "",
			    call->cmd->verb != NULL ? call->cmd->verb : "");
		if (!given && (call->cmd->required & 1U << i) != 0)
			return err_set(err, "usage", "--%s %s is missing", cmd_flags[i].name,
			    cmd_flags[i].value);
		if (given && cmd_flags[i].value != NULL && call->flag[i][0] == '\0')
			return err_set(err, "usage", "--%s needs a value", cmd_flags[i].name);
	}
	return true;
}

/* What JSON cannot hold would be left out of the request, and the rest of it be done. */
static bool check_text(const struct cmd_call *call, struct err *err)
{
	static const enum cmd_flag sent[] = {CMD_SERVER, CMD_SEARCH};

	for (unsigned i = 0; i < call->word_count; i++)
		if (!codec_is_utf8(call->words[i], strlen(call->words[i])))
			return err_set(err, "usage", "argument %u is not UTF-8", i + 1);
	for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
		const char *value = call->flag[sent[i]];
		if (value != NULL && !codec_is_utf8(value, strlen(value)))
			return err_set(err, "usage", "--%s is not UTF-8", cmd_flags[sent[i]].name);
	}
	return true;
}

bool cmd_check(const struct cmd_call *call, struct err *err)
{
	const struct cmd *cmd = call->cmd;

	if (!check_flags(call, err) || !check_text(call, err))
		return usage_error(err, cmd);
	if (call->word_count < cmd->words_low)
		err_set(err, "usage", "an argument is missing");
	else if (call->word_count > cmd->words_high && cmd->words_high == 0)
		err_set(err, "usage", "\"%s%s%s\" takes no argument", cmd->group,
		    cmd->verb != NULL ? " " : "", cmd->verb != NULL ? cmd->verb : "");
	else if (call->word_count > cmd->words_high)
		err_set(err, "usage", "too many arguments");
	else if (cmd->check == NULL || cmd->check(call, err))
		return true;
	return usage_error(err, cmd);
}
