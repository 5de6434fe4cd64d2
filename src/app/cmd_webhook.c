#include "app/cmd_webhook.h"

#include "app/cmd.h"
#include "app/table.h"
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { REPOSITORIES_MAX = 500, LOOK_MS = 300 };

/* ---- the events half, also of enabling ---- */

static const char *state_words(const json_t *events)
{
	static const char *const words[][2] = {
	    {"new", "waits to be made"},
	    {"ok", "the webhook is as it should be"},
	    {"failing", "the webhook is there, but its deliveries fail"},
	    {"manual", "the webhook is to be entered by hand"},
	    {"broken", "the webhook could not be made or put right"},
	    {"conflict", "the webhook is left alone"},
	    {"removing", "the webhook is deleted later"},
	    {"none", "there is no webhook"},
	};
	const char *state = cmd_string(events, "state");

	if (cmd_bool(events, "repaired") && strcmp(state, "ok") == 0)
		return "the webhook was put right";
	if (cmd_bool(events, "made") && strcmp(state, "ok") == 0)
		return "the webhook was made";
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i][0], state) == 0)
			return words[i][1];
	return state;
}

static void put_test(const json_t *test)
{
	const char *outcome = cmd_string(test, "outcome");

	if (strcmp(outcome, "ok") == 0) {
		printf("; a test delivery arrived (HTTP %lld)", cmd_number(test, "status"));
	} else if (outcome[0] != '\0' && strcmp(outcome, "none") != 0) {
		fputs("; a test delivery failed", stdout);
		if (cmd_number(test, "status") > 0)
			printf(" (HTTP %lld)", cmd_number(test, "status"));
	}
}

void cmd_put_events(const json_t *result)
{
	const json_t *events = json_object_get(result, "events");
	const json_t *error = json_object_get(events, "error");

	if (events == NULL)
		return;
	printf("  events: %s", state_words(events));
	put_test(json_object_get(events, "test"));
	putchar('\n');
	if (error == NULL)
		return;
	fputs("    ", stdout);
	table_put_text(stdout, cmd_string(error, "message"));
	putchar('\n');
	if (cmd_string(error, "hint")[0] != '\0') {
		fputs("    ", stdout);
		table_put_text(stdout, cmd_string(error, "hint"));
		putchar('\n');
	}
}

/* ---- list ---- */

static bool is_server(const struct cmd_call *call, const json_t *repository)
{
	const char *url = cmd_string(json_object_get(repository, "server"), "url");
	const char *wanted = call->flag[CMD_SERVER];
	size_t length;

	if (wanted == NULL)
		return true;
	length = strlen(wanted);
	while (length > 0 && wanted[length - 1] == '/')
		length--;
	return strlen(url) == length && strncasecmp(url, wanted, length) == 0;
}

static void add_webhook(struct table *table, const json_t *repository)
{
	const json_t *events = json_object_get(repository, "events");
	char name[512], checked[CMD_TIME], delivered[CMD_TIME];
	const char *state = cmd_string(events, "state");

	snprintf(name, sizeof(name), "%s/%s", cmd_string(repository, "project"),
	    cmd_string(repository, "slug"));
	table_add(table,
	    (const char *[]){name, state, cmd_string(events, "mode"),
	        cmd_time(events, "checked", checked), cmd_time(events, "delivered", delivered),
	        cmd_string(json_object_get(events, "error"), "message")});
}

static int webhook_list(const struct cmd_call *call)
{
	static const char *const TITLES[] = {
	    "REPOSITORY", "STATE", "MODE", "CHECKED", "DELIVERED", "ERROR"};
	struct control_request request = {
	    .method = "GET", .path = "/api/v1/repositories?limit=10000"};
	struct control_answer answer;
	const json_t *item;
	struct table table;
	json_t *list, *kept;
	int exit_code;
	size_t i;

	if (!cmd_ask(call, &request, &answer, &exit_code)) {
		control_answer_free(&answer);
		return exit_code;
	}
	list = json_object_get(answer.document, "repositories");
	kept = json_array();
	json_array_foreach(list, i, item)
	{
		const char *state = cmd_string(json_object_get(item, "events"), "state");

		if (is_server(call, item) && strcmp(state, "none") != 0)
			json_array_append(kept, json_array_get(list, i));
	}
	json_object_set_new(answer.document, "repositories", kept);
	if (call->json) {
		cmd_print_json(answer.document);
	} else if (json_array_size(kept) == 0) {
		puts("No repository has a webhook. Enable one with eyes-scm repo enable.");
	} else {
		table_init(&table, TITLES, 6);
		for (i = 0; i < json_array_size(kept); i++)
			add_webhook(&table, json_array_get(kept, i));
		table_print(&table, stdout);
		table_free(&table);
	}
	control_answer_free(&answer);
	return CMD_DONE;
}

/* ---- check, repair ---- */

static bool check_some(const struct cmd_call *call, struct err *err)
{
	if (call->word_count == 0)
		return call->flag[CMD_ALL] != NULL ||
		       err_set(err, "usage", "which ones? PROJECT/SLUG, or --all");
	if (call->flag[CMD_ALL] != NULL)
		return err_set(err, "usage", "either PROJECT/SLUG or --all");
	return cmd_check_names(call, err);
}

static bool is_good(const json_t *result)
{
	return cmd_bool(result, "ok");
}

static int show_results(const struct cmd_call *call, const json_t *document)
{
	const json_t *results = json_object_get(document, "results");
	int exit_code = CMD_DONE;

	for (size_t i = 0; i < json_array_size(results); i++) {
		const json_t *result = json_array_get(results, i);

		if (!is_good(result))
			exit_code = CMD_FAILED;
		if (call->json)
			continue;
		table_put_text(stdout, cmd_string(result, "repository"));
		if (json_object_get(result, "events") != NULL) {
			putchar('\n');
			cmd_put_events(result);
		} else {
			fputs(": ", stdout);
			table_put_text(
			    stdout, cmd_string(json_object_get(result, "error"), "message"));
			putchar('\n');
		}
	}
	fflush(stdout);
	return exit_code;
}

static void put_progress(const json_t *job, bool over)
{
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%lld of %lld%s", cmd_number(job, "done"), cmd_number(job, "total"),
	    over ? "\n" : "");
	fflush(stderr);
}

/* Asks how far the job is until it is over; adds what came of it. */
static int follow_job(const struct cmd_call *call, long long number, json_t *results)
{
	const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000l};
	struct control_answer answer;
	char path[64];
	int exit_code;
	bool over;

	snprintf(path, sizeof(path), "/api/v1/jobs/%lld", number);
	do {
		nanosleep(&pause, NULL);
		if (!cmd_ask(call, &(struct control_request){.method = "GET", .path = path},
		        &answer, &exit_code)) {
			control_answer_free(&answer);
			return exit_code;
		}
		over = strcmp(cmd_string(answer.document, "state"), "running") != 0;
		if (!call->json)
			put_progress(answer.document, over);
		if (over)
			json_array_extend(results, json_object_get(answer.document, "results"));
		control_answer_free(&answer);
	} while (!over);
	return CMD_DONE;
}

/* All of one server. */
static int run_all_of(
    const struct cmd_call *call, const char *path, const json_t *server, json_t *results)
{
	json_t *body = json_pack("{s:b, s:b}", "all", 1, "async", 1);
	struct control_request request = {.method = "POST", .path = path, .body = body};
	struct control_answer answer;
	int exit_code;

	json_object_set(body, "server", (json_t *)(uintptr_t)server);
	if (cmd_ask(call, &request, &answer, &exit_code) &&
	    json_object_get(answer.document, "job") != NULL)
		exit_code = follow_job(call, cmd_number(answer.document, "job"), results);
	control_answer_free(&answer);
	json_decref(body);
	return exit_code;
}

static int run_all(const struct cmd_call *call, const char *path)
{
	struct control_request request = {.method = "GET", .path = "/api/v1/servers"};
	json_t *results = json_array(), *document = json_pack("{s:o}", "results", results), *named;
	struct control_answer answer;
	int exit_code = CMD_DONE;

	if (call->flag[CMD_SERVER] != NULL) {
		named = json_string(call->flag[CMD_SERVER]);
		exit_code = run_all_of(call, path, named, results);
		json_decref(named);
	} else {
		const json_t *servers;

		if (cmd_ask(call, &request, &answer, &exit_code)) {
			servers = json_object_get(answer.document, "servers");
			for (size_t i = 0; i < json_array_size(servers) && exit_code == CMD_DONE;
			     i++)
				exit_code = run_all_of(call, path,
				    json_object_get(json_array_get(servers, i), "id"), results);
		}
		control_answer_free(&answer);
	}
	if (exit_code == CMD_DONE) {
		if (call->json)
			cmd_print_json(document);
		exit_code = show_results(call, document);
		if (!call->json && json_array_size(results) == 0)
			puts("No repository is enabled.");
	}
	json_decref(document);
	return exit_code;
}

static int run_some(const struct cmd_call *call, const char *path)
{
	json_t *body = json_object(), *names = json_array();
	struct control_request request = {
	    .method = "POST", .path = path, .body = body, .slow = true};
	struct control_answer answer;
	int exit_code;

	if (call->flag[CMD_SERVER] != NULL)
		json_object_set_new(body, "server", json_string(call->flag[CMD_SERVER]));
	for (unsigned i = 0; i < call->word_count; i++)
		json_array_append_new(names, json_string(call->words[i]));
	json_object_set_new(body, "repositories", names);
	if (cmd_ask(call, &request, &answer, &exit_code)) {
		if (call->json)
			cmd_print_json(answer.document);
		exit_code = show_results(call, answer.document);
	} else if (!call->json &&
	           json_array_size(json_object_get(answer.document, "results")) > 0) {
		(void)show_results(call, answer.document);
	}
	control_answer_free(&answer);
	json_decref(body);
	return exit_code;
}

static int webhook_check(const struct cmd_call *call)
{
	return call->flag[CMD_ALL] != NULL ? run_all(call, "/api/v1/webhooks/check")
	                                   : run_some(call, "/api/v1/webhooks/check");
}

static int webhook_repair(const struct cmd_call *call)
{
	return call->flag[CMD_ALL] != NULL ? run_all(call, "/api/v1/webhooks/repair")
	                                   : run_some(call, "/api/v1/webhooks/repair");
}

/* ---- rotate, by-hand: one repository, by its number ---- */

static long long find_id(const struct cmd_call *call, const json_t *list)
{
	char name[512];

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);

		snprintf(name, sizeof(name), "%s/%s", cmd_string(item, "project"),
		    cmd_string(item, "slug"));
		if (strcasecmp(name, call->words[0]) == 0 && is_server(call, item))
			return cmd_number(item, "id");
	}
	return 0;
}

static int post_to_one(const struct cmd_call *call, const char *action, cmd_show_fn *show)
{
	struct control_request request = {
	    .method = "GET", .path = "/api/v1/repositories?limit=10000"};
	struct err err = ERR_INIT;
	struct control_answer answer;
	long long id = 0;
	char path[128];
	int exit_code;
	bool asked = cmd_ask(call, &request, &answer, &exit_code);

	if (asked)
		id = find_id(call, json_object_get(answer.document, "repositories"));
	control_answer_free(&answer);
	if (!asked)
		return exit_code;
	if (id == 0) {
		err_set(&err, "not_found", "%s is not one of the repositories that are set up",
		    call->words[0]);
		err_hint(&err, "See eyes-scm webhook list.");
		cmd_print_error(call->json, &err);
		return CMD_FAILED;
	}
	snprintf(path, sizeof(path), "/api/v1/repositories/%lld/webhook/%s", id, action);
	request = (struct control_request){.method = "POST", .path = path, .slow = true};
	return cmd_run(call, &request, show, NULL);
}

static void show_rotated(const json_t *document)
{
	table_put_text(stdout, cmd_string(document, "repository"));
	puts(": the webhook has a new secret; the old one counts for an hour");
	cmd_put_events(document);
}

static int webhook_rotate(const struct cmd_call *call)
{
	return post_to_one(call, "rotate", show_rotated);
}

static void show_by_hand(const json_t *document)
{
	const json_t *events = json_object_get(document, "events");

	puts("Enter this in Bitbucket, Repository settings, Webhooks, Create webhook:");
	printf("  Name    %s\n  URL     %s\n", cmd_string(document, "name"),
	    cmd_string(document, "url"));
	if (cmd_string(document, "secret")[0] != '\0')
		printf("  Secret  %s\n          (shown only now; the one before counts for an "
		       "hour)\n",
		    cmd_string(document, "secret"));
	for (size_t i = 0; i < json_array_size(events); i++)
		printf("%s%s\n", i == 0 ? "  Events  " : "          ",
		    json_string_value(json_array_get(events, i)));
}

static int webhook_by_hand(const struct cmd_call *call)
{
	return post_to_one(call, "by-hand", show_by_hand);
}

const struct cmd cmd_webhook_list = {
    .group = "webhook",
    .verb = "list",
    .usage = "[--server URL]",
    .help = "the webhook of each repository, and how it is",
    .allowed = 1 << CMD_SERVER,
    .run = webhook_list,
};

const struct cmd cmd_webhook_check = {
    .group = "webhook",
    .verb = "check",
    .usage = "PROJECT/SLUG...|--all [--server URL]",
    .help = "look at webhooks now, and put them right",
    .allowed = 1 << CMD_SERVER | 1 << CMD_ALL,
    .words_high = REPOSITORIES_MAX,
    .check = check_some,
    .run = webhook_check,
};

const struct cmd cmd_webhook_repair = {
    .group = "webhook",
    .verb = "repair",
    .usage = "PROJECT/SLUG...|--all [--server URL]",
    .help = "the same, also where one was changed back too often and is left alone",
    .allowed = 1 << CMD_SERVER | 1 << CMD_ALL,
    .words_high = REPOSITORIES_MAX,
    .check = check_some,
    .run = webhook_repair,
};

const struct cmd cmd_webhook_rotate = {
    .group = "webhook",
    .verb = "rotate",
    .usage = "PROJECT/SLUG [--server URL]",
    .help = "give a webhook another secret; the old one counts for an hour",
    .allowed = 1 << CMD_SERVER,
    .words_low = 1,
    .words_high = 1,
    .check = cmd_check_names,
    .run = webhook_rotate,
};

const struct cmd cmd_webhook_by_hand = {
    .group = "webhook",
    .verb = "by-hand",
    .usage = "PROJECT/SLUG [--server URL]",
    .help = "what to enter in Bitbucket where the token may not administer",
    .allowed = 1 << CMD_SERVER,
    .words_low = 1,
    .words_high = 1,
    .check = cmd_check_names,
    .run = webhook_by_hand,
};
