#include "app/cmd.h"
#include "app/cmd_output.h"
#include "app/table.h"
#include <string.h>

static void put_row(const char *title)
{
	printf("%-14s", title);
}

static void put_part(const char *before, const char *text)
{
	if (text[0] == '\0')
		return;
	fputs(before, stdout);
	table_put_text(stdout, text);
}

static void put_eyes(const json_t *eyes)
{
	char when[CMD_TIME];

	put_row("Eyes");
	put_part("", cmd_string(eyes, "state"));
	put_part(": ", cmd_string(eyes, "origin"));
	put_part(", organization ", cmd_string(eyes, "organization"));
	put_part(", by ", cmd_string(eyes, "source"));
	put_part(" (", cmd_string(eyes, "source_reason"));
	fputs(cmd_string(eyes, "source_reason")[0] != '\0' ? ")" : "", stdout);
	put_part(", last contact ", cmd_time(eyes, "last_contact", when));
	putchar('\n');
	if (cmd_string(eyes, "message")[0] != '\0') {
		put_row("");
		put_part("", cmd_string(eyes, "message"));
		put_part("; ", cmd_string(eyes, "hint"));
		putchar('\n');
	}
}

static void put_account(const json_t *account)
{
	if (!json_is_object(account))
		return;
	put_row("Account");
	if (!cmd_bool(account, "configured")) {
		puts("no API key yet: eyes-scm account set --key-file FILE");
		return;
	}
	put_part("", cmd_bool(account, "refused") ? "key refused" : "key accepted");
	put_part(", team ", cmd_string(account, "team"));
	put_part(", user ", cmd_string(account, "user"));
	if (json_is_integer(json_object_get(account, "expires_in_days")))
		printf(", expires in %lld day%s", cmd_number(account, "expires_in_days"),
		    cmd_plural(cmd_number(account, "expires_in_days")));
	put_part(". ", cmd_string(account, "warning"));
	putchar('\n');
}

static void put_servers(const json_t *servers)
{
	char when[CMD_TIME];

	if (json_array_size(servers) == 0) {
		put_row("Servers");
		puts("none yet: eyes-scm server add URL");
	}
	for (size_t i = 0; i < json_array_size(servers); i++) {
		const json_t *server = json_array_get(servers, i);
		put_row(i == 0 ? "Servers" : "");
		put_part("", cmd_string(server, "state"));
		put_part(": ", cmd_string(server, "url"));
		put_part(", ", cmd_string(server, "product"));
		put_part(" ", cmd_string(server, "version"));
		put_part(", last contact ", cmd_time(server, "last_contact", when));
		put_part("; ", cmd_string(server, "message"));
		put_part("; next try ", cmd_time(server, "next_try", when));
		putchar('\n');
	}
}

/* "3 enabled, 0 blocked", for each of the names. */
static void put_counts(
    const char *title, const json_t *counts, const char *const *names, size_t count)
{
	put_row(title);
	for (size_t i = 0; i < count; i++)
		printf("%s%lld %s", i > 0 ? ", " : "", cmd_number(counts, names[i]), names[i]);
	putchar('\n');
}

/* Only where there is something to pass on. */
static void put_events(const json_t *events)
{
	const json_t *counts = json_object_get(events, "counts");
	char when[CMD_TIME];

	if (!json_is_object(events))
		return;
	put_row("Events");
	put_part("", cmd_string(events, "state"));
	printf(
	    ": %lld waiting, %lld dead", cmd_number(counts, "waiting"), cmd_number(counts, "dead"));
	put_part(", last taken ", cmd_time(events, "last_ok", when));
	put_part("; ", cmd_string(events, "message"));
	put_part("; next try ", cmd_time(events, "next_try", when));
	putchar('\n');
}

static void put_store(const json_t *document)
{
	const json_t *store = json_object_get(document, "store");
	const json_t *used = json_object_get(store, "used_percent");

	put_row("Outbox");
	printf("%lld outcome%s to tell Eyes\n", cmd_number(document, "outbox"),
	    cmd_plural(cmd_number(document, "outbox")));
	put_row("Store");
	printf("%.0f %% of %lld MiB used", json_number_value(used),
	    cmd_number(store, "size") / (1024 * 1024));
	put_part(", in ", cmd_string(store, "directory"));
	put_part(", key from ", cmd_string(store, "key_source"));
	putchar('\n');
}

static void put_updates(const json_t *updates)
{
	static const char *const TITLES[] = {
	    "ENDED", "REPOSITORY", "COMMIT", "STATUS", "OUTCOME", "ERROR"};
	struct table table;

	if (json_array_size(updates) == 0)
		return;
	puts("\nLast updates");
	table_init(&table, TITLES, 6);
	for (size_t i = 0; i < json_array_size(updates); i++) {
		const json_t *update = json_array_get(updates, i);
		char when[CMD_TIME], commit[16];
		snprintf(commit, sizeof(commit), "%.10s", cmd_string(update, "commit"));
		table_add(&table,
		    (const char *[]){cmd_time(update, "ended", when),
		        cmd_string(update, "repository"), commit, cmd_string(update, "status"),
		        cmd_string(update, "outcome"), cmd_string(update, "error")});
	}
	table_print(&table, stdout);
	table_free(&table);
}

static void put_problems(const json_t *problems)
{
	if (json_array_size(problems) == 0)
		return;
	puts("\nTo be mended");
	for (size_t i = 0; i < json_array_size(problems); i++) {
		const json_t *problem = json_array_get(problems, i);
		put_part("  ", cmd_string(problem, "message"));
		put_part("\n    ", cmd_string(problem, "hint"));
		putchar('\n');
	}
}

static void show_status(const json_t *document)
{
	static const char *const REPOSITORIES[] = {"enabled", "blocked", "disabled"};
	static const char *const QUEUE[] = {"waiting", "sending", "later", "blocked", "dead"};
	const json_t *queue = json_object_get(document, "queue");
	const json_t *counts = json_object_get(queue, "counts");
	char when[CMD_TIME];

	put_row("eyes-scm");
	put_part("", cmd_string(document, "version"));
	put_part(", ", cmd_bool(document, "healthy") ? "healthy" : "NOT healthy");
	put_part(", up since ", cmd_time(document, "started", when));
	putchar('\n');
	put_eyes(json_object_get(document, "eyes"));
	put_account(json_object_get(document, "account"));
	put_servers(json_object_get(document, "servers"));
	put_counts("Repositories", json_object_get(document, "repositories"), REPOSITORIES, 3);
	put_counts("Queue", counts != NULL ? counts : queue, QUEUE, 5);
	put_events(json_object_get(document, "events"));
	put_store(document);
	put_updates(json_object_get(document, "updates"));
	put_problems(json_object_get(document, "problems"));
}

static int judge_status(const json_t *document)
{
	return cmd_bool(document, "healthy") ? CMD_DONE : CMD_FAILED;
}

static int status(const struct cmd_call *call)
{
	return cmd_run(call, &(struct control_request){.method = "GET", .path = "/api/v1/status"},
	    show_status, judge_status);
}

const struct cmd cmd_status = {
    .group = "status",
    .usage = "",
    .help = "both legs, repositories, queue, last updates; exit 0 only when all is healthy",
    .run = status,
};

/* ---- the code of the first sign-in ---- */

static void show_code(const json_t *document)
{
	const char *code = cmd_string(document, "setup_code");

	puts(code[0] != '\0' && strcmp(code, "-") != 0 ? code : "no setup code is needed");
}

static int setup_code(const struct cmd_call *call)
{
	return cmd_run(call,
	    &(struct control_request){.method = "GET", .path = "/api/v1/setup-code"}, show_code,
	    NULL);
}

const struct cmd cmd_setup_code = {
    .group = "setup-code",
    .usage = "",
    .help = "the code that the first sign-in in the browser needs, where it needs one",
    .run = setup_code,
};
