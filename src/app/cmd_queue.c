#include "app/cmd.h"
#include "app/cmd_number.h"
#include "app/table.h"

/* ---- list ---- */

static void add_update(struct table *table, const json_t *update)
{
	const char *status = cmd_string(update, "status");
	char id[32], commit[16], received[CMD_TIME], due[CMD_TIME];

	snprintf(id, sizeof(id), "%lld", cmd_number(update, "id"));
	snprintf(commit, sizeof(commit), "%.10s", cmd_string(update, "commit"));
	table_add(table,
	    (const char *[]){id, cmd_string(update, "state"), cmd_string(update, "repository"),
	        commit, status[0] != '\0' ? status : cmd_string(update, "kind"),
	        cmd_time(update, "received", received), cmd_time(update, "due", due),
	        cmd_string(update, "error")});
}

static void put_counts(const json_t *counts)
{
	static const char *const NAMES[] = {"waiting", "sending", "later", "blocked", "dead"};

	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
		printf("%s%lld %s", i > 0 ? ", " : "", cmd_number(counts, NAMES[i]), NAMES[i]);
	putchar('\n');
}

static void show_queue(const json_t *document)
{
	static const char *const TITLES[] = {
	    "ID", "STATE", "REPOSITORY", "COMMIT", "STATUS", "RECEIVED", "DUE", "ERROR"};
	const json_t *updates = json_object_get(document, "updates");
	struct table table;

	if (json_array_size(updates) > 0) {
		table_init(&table, TITLES, 8);
		for (size_t i = 0; i < json_array_size(updates); i++)
			add_update(&table, json_array_get(updates, i));
		table_print(&table, stdout);
		table_free(&table);
	}
	put_counts(json_object_get(document, "counts"));
	fflush(stdout);
	if (cmd_bool(document, "truncated"))
		fputs("Only the first ones are listed.\n", stderr);
}

static bool check_list(const struct cmd_call *call, struct err *err)
{
	return cmd_check_state(
	    call, (const char *const[]){"waiting", "blocked", "dead", NULL}, err);
}

static int queue_list(const struct cmd_call *call)
{
	char path[64] = "/api/v1/queue";

	if (call->flag[CMD_STATE] != NULL)
		snprintf(path, sizeof(path), "/api/v1/queue?state=%s", call->flag[CMD_STATE]);
	return cmd_run(
	    call, &(struct control_request){.method = "GET", .path = path}, show_queue, NULL);
}

/* ---- retry and drop ---- */

static bool check_id(const struct cmd_call *call, struct err *err)
{
	return cmd_check_number(call, "queue list", err);
}

static void show_retried(const json_t *document)
{
	long long count = cmd_number(document, "retried");

	printf("%lld update%s tried again now\n", count, count == 1 ? " is" : "s are");
}

static void show_dropped(const json_t *document)
{
	(void)document;
	puts("Dropped");
}

static int queue_retry(const struct cmd_call *call)
{
	return cmd_post_number(call, "/api/v1/queue/retry", show_retried);
}

static int queue_drop(const struct cmd_call *call)
{
	return cmd_post_number(call, "/api/v1/queue/drop", show_dropped);
}

const struct cmd cmd_queue_list = {
    .group = "queue",
    .verb = "list",
    .usage = "[--state waiting|blocked|dead]",
    .help = "updates that are not delivered, and why",
    .allowed = 1 << CMD_STATE,
    .check = check_list,
    .run = queue_list,
};

const struct cmd cmd_queue_retry = {
    .group = "queue",
    .verb = "retry",
    .usage = "ID|--all",
    .help = "try now what waits, is blocked or was given up",
    .allowed = 1 << CMD_ALL,
    .words_high = 1,
    .check = check_id,
    .run = queue_retry,
};

const struct cmd cmd_queue_drop = {
    .group = "queue",
    .verb = "drop",
    .usage = "ID",
    .help = "give an update up",
    .words_low = 1,
    .words_high = 1,
    .check = check_id,
    .run = queue_drop,
};
