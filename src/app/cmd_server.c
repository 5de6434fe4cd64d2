#include "app/cmd.h"
#include "app/cmd_input.h"
#include "app/cmd_output.h"
#include "app/table.h"
#include "base/url.h"
#include <stdlib.h>
#include <string.h>

static void show_servers(const json_t *document)
{
	static const char *const TITLES[] = {
	    "URL", "KIND", "VERSION", "CA", "ENABLED", "STATE", "LAST CONTACT", "MESSAGE"};
	const json_t *servers = json_object_get(document, "servers");
	struct table table;

	if (json_array_size(servers) == 0) {
		fputs("There is no server yet: eyes-scm server add URL\n", stdout);
		return;
	}
	table_init(&table, TITLES, 8);
	for (size_t i = 0; i < json_array_size(servers); i++) {
		const json_t *server = json_array_get(servers, i);
		char when[CMD_TIME], enabled[32];
		const char *product = cmd_string(server, "product");
		snprintf(enabled, sizeof(enabled), "%lld", cmd_number(server, "enabled"));
		table_add(&table,
		    (const char *[]){cmd_string(server, "url"),
		        product[0] != '\0' ? product : cmd_string(server, "kind"),
		        cmd_string(server, "version"), cmd_bool(server, "ca") ? "own" : "system",
		        enabled, cmd_string(server, "state"),
		        cmd_time(server, "last_contact", when), cmd_string(server, "message")});
	}
	table_print(&table, stdout);
	table_free(&table);
}

static int server_list(const struct cmd_call *call)
{
	return cmd_run(call, &(struct control_request){.method = "GET", .path = "/api/v1/servers"},
	    show_servers, NULL);
}

static void show_added(const json_t *server)
{
	fputs("Added ", stdout);
	table_put_text(stdout, cmd_string(server, "url"));
	fputs(": ", stdout);
	table_put_text(stdout, cmd_string(server, "product"));
	putchar(' ');
	table_put_text(stdout, cmd_string(server, "version"));
	putchar('\n');
}

static int server_add(const struct cmd_call *call)
{
	struct control_request request = {
	    .method = "POST", .path = "/api/v1/servers", .slow = true};
	struct err err = ERR_INIT;
	json_t *body = json_pack("{s:s}", "url", call->words[0]);
	char *ca = NULL;
	int exit_code = CMD_FAILED;

	if (call->flag[CMD_CA_FILE] != NULL) {
		ca = cmd_read_ca(call->flag[CMD_CA_FILE], &err);
		if (ca == NULL)
			goto out;
		json_object_set_new(body, "ca", json_string(ca));
	}
	if (body == NULL) {
		err_set(&err, "url_invalid", "the address is not UTF-8");
		goto out;
	}
	request.body = body;
	exit_code = cmd_run(call, &request, show_added, NULL);
out:
	if (err.code != NULL)
		cmd_print_error(call->json, &err);
	json_decref(body);
	free(ca);
	return exit_code;
}

static bool same_address(const char *text, const struct url *url)
{
	struct url other;

	return text != NULL && url_parse(&other, text, NULL) && url_same_origin(&other, url) &&
	       strcmp(other.path, url->path) == 0;
}

/* Whether the text, which may also be read as `url`, names the server: its id, URL or an alias. */
static bool is_named(const json_t *server, const char *text, const struct url *url)
{
	const json_t *aliases = json_object_get(server, "aliases");
	char number[32];

	snprintf(number, sizeof(number), "%lld", cmd_number(server, "id"));
	if (strcmp(number, text) == 0)
		return true;
	if (url == NULL)
		return false;
	if (same_address(cmd_string(server, "url"), url))
		return true;
	for (size_t i = 0; i < json_array_size(aliases); i++)
		if (same_address(json_string_value(json_array_get(aliases, i)), url))
			return true;
	return false;
}

static const json_t *find_server(const json_t *document, const char *text)
{
	const json_t *servers = json_object_get(document, "servers");
	struct url url;
	bool is_url = url_parse(&url, text, NULL);

	for (size_t i = 0; i < json_array_size(servers); i++)
		if (is_named(json_array_get(servers, i), text, is_url ? &url : NULL))
			return json_array_get(servers, i);
	return NULL;
}

static void show_removed(const json_t *document)
{
	(void)document;
	fputs("Removed\n", stdout);
}

static int remove_found(const struct cmd_call *call, const json_t *server)
{
	char path[128];

	snprintf(path, sizeof(path), "/api/v1/servers/%lld", cmd_number(server, "id"));
	return cmd_run(
	    call, &(struct control_request){.method = "DELETE", .path = path}, show_removed, NULL);
}

static int server_remove(const struct cmd_call *call)
{
	struct control_request request = {.method = "GET", .path = "/api/v1/servers"};
	struct control_answer answer;
	struct err err = ERR_INIT;
	const json_t *server;
	int exit_code;

	if (cmd_ask(call, &request, &answer, &exit_code)) {
		server = find_server(answer.document, call->words[0]);
		if (server != NULL) {
			exit_code = remove_found(call, server);
		} else {
			err_set(&err, "not_found", "there is no server \"%.200s\"", call->words[0]);
			err_hint(&err, "eyes-scm server list");
			cmd_print_error(call->json, &err);
			exit_code = CMD_FAILED;
		}
	}
	control_answer_free(&answer);
	return exit_code;
}

const struct cmd cmd_server_add = {
    .group = "server",
    .verb = "add",
    .usage = "URL [--ca-file FILE]",
    .help = "look what is there, check its certificate, and add it",
    .allowed = 1 << CMD_CA_FILE,
    .words_low = 1,
    .words_high = 1,
    .run = server_add,
};

const struct cmd cmd_server_list = {
    .group = "server",
    .verb = "list",
    .usage = "",
    .help = "the servers, and how contact with each is",
    .run = server_list,
};

const struct cmd cmd_server_remove = {
    .group = "server",
    .verb = "remove",
    .usage = "URL",
    .help = "forget a server without enabled repositories",
    .words_low = 1,
    .words_high = 1,
    .run = server_remove,
};
