#include "app/cmd.h"
#include "app/cmd_input.h"
#include "app/cmd_output.h"
#include "app/cmd_webhook.h"
#include "app/table.h"
#include <string.h>

enum { REPOSITORIES_MAX = 500 };

bool cmd_check_names(const struct cmd_call *call, struct err *err)
{
	for (unsigned i = 0; i < call->word_count; i++) {
		const char *word = call->words[i], *slash = strchr(word, '/');
		if (slash == NULL || slash == word || slash[1] == '\0' ||
		    strchr(slash + 1, '/') != NULL || strpbrk(word, " \t\r\n?#%") != NULL)
			return err_set(
			    err, "usage", "argument %u is not a repository: PROJECT/SLUG", i + 1);
	}
	return true;
}

/* A body with "server" and "token" when they are given. NULL when the error has been told. */
static json_t *make_body(const struct cmd_call *call)
{
	struct secret token = {0};
	struct err warning = ERR_INIT, err = ERR_INIT;
	json_t *body = json_object();

	if (call->flag[CMD_SERVER] != NULL)
		json_object_set_new(body, "server", json_string(call->flag[CMD_SERVER]));
	if (call->flag[CMD_TOKEN_FILE] == NULL)
		return body;
	if (!cmd_read_secret(&token, call->flag[CMD_TOKEN_FILE], "token", &warning, &err)) {
		cmd_print_error(call->json, &err);
		json_decref(body);
		return NULL;
	}
	cmd_print_warning(&warning);
	json_object_set_new(body, "token", json_string(token.data));
	secret_free(&token);
	return body;
}

/* ---- list ---- */

static void show_list(const json_t *document)
{
	static const char *const TITLES[] = {"REPOSITORY", "STATE", "ACCESS", "NAME"};
	const json_t *list = json_object_get(document, "repositories");
	struct table table;

	if (json_array_size(list) == 0) {
		fputs("No repository is visible. With --token-file you see what that token sees.\n",
		    stdout);
		return;
	}
	table_init(&table, TITLES, 4);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		const char *state = cmd_string(item, "state");
		char name[512];
		snprintf(name, sizeof(name), "%s/%s", cmd_string(item, "project"),
		    cmd_string(item, "slug"));
		table_add(&table, (const char *[]){name, strcmp(state, "none") == 0 ? "" : state,
		                      cmd_bool(item, "archived") ? "archived"
		                      : cmd_bool(item, "public") ? "public"
		                                                 : "",
		                      cmd_string(item, "name")});
	}
	table_print(&table, stdout);
	table_free(&table);
	fflush(stdout);
	if (cmd_bool(document, "truncated"))
		fputs("There are more; narrow it down with --search TEXT.\n", stderr);
}

static int repo_list(const struct cmd_call *call)
{
	struct control_request request = {
	    .method = "POST", .path = "/api/v1/repositories/list", .slow = true};
	json_t *body = make_body(call);
	int exit_code;

	if (body == NULL)
		return CMD_FAILED;
	if (call->flag[CMD_SEARCH] != NULL)
		json_object_set_new(body, "search", json_string(call->flag[CMD_SEARCH]));
	request.body = body;
	exit_code = cmd_run(call, &request, show_list, NULL);
	json_decref(body);
	return exit_code;
}

/* ---- enable, set-token, disable: a result for each repository ---- */

static void put_good(const json_t *result, const char *what)
{
	table_put_text(stdout, cmd_string(result, "repository"));
	printf(": %s", what);
	if (cmd_string(result, "owner")[0] != '\0') {
		fputs(", token of ", stdout);
		table_put_text(stdout, cmd_string(result, "owner"));
		fputs(
		    cmd_bool(result, "admin") ? " (administrator)" : " (no administrator)", stdout);
	}
	if (cmd_number(result, "waiting") > 0)
		printf(", %lld waiting update%s go out now", cmd_number(result, "waiting"),
		    cmd_plural(cmd_number(result, "waiting")));
	if (cmd_number(result, "ended") > 0)
		printf(", %lld waiting update%s ended", cmd_number(result, "ended"),
		    cmd_plural(cmd_number(result, "ended")));
	putchar('\n');
	cmd_put_events(result);
}

static void put_bad(const json_t *result)
{
	const json_t *error = json_object_get(result, "error");
	const char *hop = cmd_string(error, "hop");

	table_put_text(stderr, cmd_string(result, "repository"));
	fputs(": ", stderr);
	table_put_text(stderr, cmd_string(error, "message"));
	if (hop[0] != '\0') {
		fputs(" (", stderr);
		table_put_text(stderr, hop);
		fputs(")", stderr);
	}
	fputs("\n", stderr);
}

/*
 * What went well, then what did not. When there was but one, the refusal's own error has told
 * already.
 */
static void show_results(const json_t *document, const char *what)
{
	const json_t *results = json_object_get(document, "results");

	for (size_t i = 0; i < json_array_size(results); i++)
		if (cmd_bool(json_array_get(results, i), "ok"))
			put_good(json_array_get(results, i), what);
	fflush(stdout);
	if (json_array_size(results) == 1 && json_object_get(document, "error") != NULL)
		return;
	for (size_t i = 0; i < json_array_size(results); i++)
		if (!cmd_bool(json_array_get(results, i), "ok"))
			put_bad(json_array_get(results, i));
}

static int judge_results(const json_t *document)
{
	const json_t *results = json_object_get(document, "results");

	for (size_t i = 0; i < json_array_size(results); i++)
		if (!cmd_bool(json_array_get(results, i), "ok"))
			return CMD_FAILED;
	return CMD_DONE;
}

static int change(const struct cmd_call *call, const char *path, const char *what)
{
	struct control_request request = {.method = "POST", .path = path, .slow = true};
	struct control_answer answer;
	json_t *body = make_body(call), *names = json_array();
	int exit_code = CMD_FAILED;

	if (body == NULL) {
		json_decref(names);
		return CMD_FAILED;
	}
	for (unsigned i = 0; i < call->word_count; i++)
		json_array_append_new(names, json_string(call->words[i]));
	json_object_set_new(body, "repositories", names);
	request.body = body;
	if (cmd_ask(call, &request, &answer, &exit_code)) {
		if (call->json)
			cmd_print_json(answer.document);
		exit_code = judge_results(answer.document);
	}
	/* A refusal has results too. */
	if (!call->json && answer.document != NULL)
		show_results(answer.document, what);
	control_answer_free(&answer);
	json_decref(body);
	return exit_code;
}

static int repo_enable(const struct cmd_call *call)
{
	return change(call, "/api/v1/repositories/enable", "enabled");
}

static int repo_set_token(const struct cmd_call *call)
{
	return change(call, "/api/v1/repositories/token", "token replaced");
}

static int repo_disable(const struct cmd_call *call)
{
	return change(call, "/api/v1/repositories/disable", "disabled");
}

const struct cmd cmd_repo_list = {
    .group = "repo",
    .verb = "list",
    .usage = "[--server URL] [--search TEXT] [--token-file FILE|-]",
    .help = "the repositories of a server: public ones, and those that the tokens see",
    .allowed = 1 << CMD_SERVER | 1 << CMD_SEARCH | 1 << CMD_TOKEN_FILE,
    .run = repo_list,
};

const struct cmd cmd_repo_enable = {
    .group = "repo",
    .verb = "enable",
    .usage = "PROJECT/SLUG... [--server URL] --token-file FILE|-",
    .help = "check the token with the server, keep it, sealed, set statuses from now on, and make\n"
            "      the webhook for the events",
    .allowed = 1 << CMD_SERVER | 1 << CMD_TOKEN_FILE,
    .required = 1 << CMD_TOKEN_FILE,
    .words_low = 1,
    .words_high = REPOSITORIES_MAX,
    .check = cmd_check_names,
    .run = repo_enable,
};

const struct cmd cmd_repo_disable = {
    .group = "repo",
    .verb = "disable",
    .usage = "PROJECT/SLUG... [--server URL]",
    .help = "set no statuses any more, delete the webhook, and forget the token",
    .allowed = 1 << CMD_SERVER,
    .words_low = 1,
    .words_high = REPOSITORIES_MAX,
    .check = cmd_check_names,
    .run = repo_disable,
};

const struct cmd cmd_repo_set_token = {
    .group = "repo",
    .verb = "set-token",
    .usage = "PROJECT/SLUG... [--server URL] --token-file FILE|-",
    .help = "replace the token; updates that wait for it go out at once",
    .allowed = 1 << CMD_SERVER | 1 << CMD_TOKEN_FILE,
    .required = 1 << CMD_TOKEN_FILE,
    .words_low = 1,
    .words_high = REPOSITORIES_MAX,
    .check = cmd_check_names,
    .run = repo_set_token,
};
