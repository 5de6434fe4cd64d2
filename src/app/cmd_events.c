#include "app/cmd.h"
#include "app/cmd_number.h"
#include "app/table.h"
#include <string.h>

/* ---- list ---- */

static void add_event(struct table *table, const json_t *event)
{
	const char *repository = cmd_string(event, "repository");
	char id[32], attempts[32], received[CMD_TIME];

	snprintf(id, sizeof(id), "%lld", cmd_number(event, "id"));
	snprintf(attempts, sizeof(attempts), "%lld", cmd_number(event, "attempts"));
	table_add(table, (const char *[]){id, cmd_string(event, "state"),
	                     repository[0] != '\0' ? repository : cmd_string(event, "source"),
	                     cmd_string(event, "event"), cmd_time(event, "received", received),
	                     attempts, cmd_string(event, "error")});
}

static void show_events(const json_t *document)
{
	static const char *const TITLES[] = {
	    "ID", "STATE", "REPOSITORY", "EVENT", "RECEIVED", "ATTEMPTS", "ERROR"};
	const json_t *events = json_object_get(document, "events");
	const json_t *counts = json_object_get(document, "counts");
	struct table table;

	if (json_array_size(events) > 0) {
		table_init(&table, TITLES, 7);
		for (size_t i = 0; i < json_array_size(events); i++)
			add_event(&table, json_array_get(events, i));
		table_print(&table, stdout);
		table_free(&table);
	}
	printf(
	    "%lld waiting, %lld dead; ", cmd_number(counts, "waiting"), cmd_number(counts, "dead"));
	table_put_text(stdout, cmd_string(document, "state"));
	if (cmd_string(document, "message")[0] != '\0') {
		fputs(": ", stdout);
		table_put_text(stdout, cmd_string(document, "message"));
	}
	putchar('\n');
	fflush(stdout);
	if (cmd_bool(document, "truncated"))
		fputs("Only the first ones are listed.\n", stderr);
}

static bool check_list(const struct cmd_call *call, struct err *err)
{
	return cmd_check_state(call, (const char *const[]){"waiting", "dead", NULL}, err);
}

static int events_list(const struct cmd_call *call)
{
	char path[64] = "/api/v1/relay";

	if (call->flag[CMD_STATE] != NULL)
		snprintf(path, sizeof(path), "/api/v1/relay?state=%s", call->flag[CMD_STATE]);
	return cmd_run(
	    call, &(struct control_request){.method = "GET", .path = path}, show_events, NULL);
}

/* ---- retry and drop ---- */

static bool check_id(const struct cmd_call *call, struct err *err)
{
	return cmd_check_number(call, "events list", err);
}

static void show_retried(const json_t *document)
{
	long long count = cmd_number(document, "retried");

	printf("%lld event%s sent again now\n", count, count == 1 ? " is" : "s are");
}

static void show_dropped(const json_t *document)
{
	(void)document;
	puts("Dropped");
}

static int events_retry(const struct cmd_call *call)
{
	return cmd_post_number(call, "/api/v1/relay/retry", show_retried);
}

static int events_drop(const struct cmd_call *call)
{
	return cmd_post_number(call, "/api/v1/relay/drop", show_dropped);
}

const struct cmd cmd_events_list = {
    .group = "events",
    .verb = "list",
    .usage = "[--state waiting|dead]",
    .help = "events that Eyes has not taken, and why",
    .allowed = 1 << CMD_STATE,
    .check = check_list,
    .run = events_list,
};

const struct cmd cmd_events_retry = {
    .group = "events",
    .verb = "retry",
    .usage = "ID|--all",
    .help = "pass on now what waits, and again what was refused or too old",
    .allowed = 1 << CMD_ALL,
    .words_high = 1,
    .check = check_id,
    .run = events_retry,
};

const struct cmd cmd_events_drop = {
    .group = "events",
    .verb = "drop",
    .usage = "ID",
    .help = "forget an event",
    .words_low = 1,
    .words_high = 1,
    .check = check_id,
    .run = events_drop,
};
