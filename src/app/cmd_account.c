#include "app/cmd.h"
#include "app/cmd_input.h"
#include "app/cmd_output.h"
#include "app/table.h"
#include <string.h>

static void put_line(const char *title, const char *text)
{
	if (text[0] == '\0')
		return;
	printf("%-14s", title);
	table_put_text(stdout, text);
	putchar('\n');
}

static void put_permissions(const json_t *account)
{
	const json_t *list = json_object_get(account, "permissions");

	if (json_array_size(list) == 0)
		return;
	printf("%-14s", "Permissions");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		fputs(i > 0 ? ", " : "", stdout);
		table_put_text(stdout, text != NULL ? text : "?");
	}
	putchar('\n');
}

static void put_expiry(const json_t *account)
{
	char when[CMD_TIME];
	long long days = cmd_number(account, "expires_in_days");

	cmd_time(account, "expires", when);
	if (when[0] == '\0')
		return;
	printf("%-14s%s (in %lld day%s)\n", "Expires", when, days, cmd_plural(days));
}

static int judge_account(const json_t *account)
{
	return cmd_bool(account, "configured") && !cmd_bool(account, "refused") ? CMD_DONE
	                                                                        : CMD_FAILED;
}

static void show_account(const json_t *account)
{
	char when[CMD_TIME];

	put_line("Eyes server", cmd_string(account, "origin"));
	put_line("Organization", cmd_string(account, "organization"));
	if (!cmd_bool(account, "configured")) {
		fflush(stdout);
		fputs("eyes-scm: there is no Eyes API key yet\n"
		      "  eyes-scm account set --key-file FILE\n",
		    stderr);
		return;
	}
	put_line("Team", cmd_string(account, "team"));
	put_line("User", cmd_string(account, "user"));
	put_line("Purpose", cmd_string(account, "purpose"));
	put_permissions(account);
	put_expiry(account);
	put_line("Checked", cmd_time(account, "checked", when));
	put_line("State", cmd_bool(account, "refused") ? "refused by Eyes" : "accepted");
	put_line("Warning", cmd_string(account, "warning"));
}

static int account_show(const struct cmd_call *call)
{
	return cmd_run(call, &(struct control_request){.method = "GET", .path = "/api/v1/account"},
	    show_account, judge_account);
}

static int account_set(const struct cmd_call *call)
{
	struct secret key = {0};
	struct err warning = ERR_INIT, err = ERR_INIT;
	struct control_request request = {.method = "PUT", .path = "/api/v1/account", .slow = true};
	json_t *body;
	int exit_code;

	if (!cmd_read_secret(&key, call->flag[CMD_KEY_FILE], "key", &warning, &err)) {
		cmd_print_error(call->json, &err);
		return CMD_FAILED;
	}
	cmd_print_warning(&warning);
	body = json_pack("{s:s}", "key", key.data);
	request.body = body;
	exit_code = cmd_run(call, &request, show_account, judge_account);
	json_decref(body);
	secret_free(&key);
	return exit_code;
}

const struct cmd cmd_account_set = {
    .group = "account",
    .verb = "set",
    .usage = "--key-file FILE|-",
    .help = "check an Eyes API key with Eyes and keep it, sealed",
    .allowed = 1 << CMD_KEY_FILE,
    .required = 1 << CMD_KEY_FILE,
    .run = account_set,
};

const struct cmd cmd_account_show = {
    .group = "account",
    .verb = "show",
    .usage = "",
    .help = "the key's team, user, permissions and expiry",
    .run = account_show,
};
