#include "app/cmd_output.h"

#include "app/table.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include <string.h>
#include <time.h>

void cmd_print_json(const json_t *document)
{
	if (document == NULL)
		fputs("{}", stdout); /* 204 */
	else
		/* ASCII: a server's name may hold what a terminal obeys (U+009B). */
		json_dumpf(document, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	putchar('\n');
}

/* Through our own writer: jansson drops what is not UTF-8, as the name of a file may be. */
static void print_error_json(const struct err *err)
{
	struct json_writer writer;
	struct buf text;
	json_t *document;

	buf_init(&text, 32 * 1024);
	json_writer_init(&writer, &text);
	json_open_object(&writer, NULL);
	json_write_err(&writer, "error", err, NULL);
	json_close_object(&writer);
	document = json_loadb(text.data, text.length, 0, NULL);
	cmd_print_json(document);
	json_decref(document);
	buf_free(&text);
}

static void print_words(const char *message, const char *hop, const char *hint)
{
	fputs("eyes-scm: ", stderr);
	table_put_text(stderr, message);
	if (hop[0] != '\0') {
		fputs(" (", stderr);
		table_put_text(stderr, hop);
		fputs(")", stderr);
	}
	fputs("\n", stderr);
	if (hint[0] != '\0') {
		fputs("  ", stderr);
		table_put_text(stderr, hint);
		fputs("\n", stderr);
	}
}

void cmd_print_error(bool json, const struct err *err)
{
	if (json)
		print_error_json(err);
	else
		print_words(err->message, err->hop, err->hint);
}

void cmd_print_warning(const struct err *warning)
{
	if (warning->code == NULL)
		return;
	fputs("eyes-scm: warning: ", stderr);
	table_put_text(stderr, warning->message);
	fputs("\n", stderr);
}

static void print_hop(const json_t *hop)
{
	const char *detail = cmd_string(hop, "detail");

	fprintf(stderr, "    %-6s %s", cmd_string(hop, "hop"), cmd_string(hop, "outcome"));
	if (detail[0] != '\0') {
		fprintf(stderr, "%*s", (int)(8 - strlen(cmd_string(hop, "outcome")) % 8), "");
		table_put_text(stderr, detail);
		fprintf(stderr, ", %lld ms", cmd_number(hop, "ms"));
	}
	fputs("\n", stderr);
}

void cmd_print_refusal(const json_t *error)
{
	const json_t *trace = json_object_get(error, "trace");
	const char *message = cmd_string(error, "message");
	const char *field = cmd_string(error, "field");

	print_words(message[0] != '\0' ? message : "the daemon refuses without a reason",
	    cmd_string(error, "hop"), cmd_string(error, "hint"));
	if (field[0] != '\0' && strstr(message, field) == NULL) {
		fputs("  at fault: ", stderr);
		table_put_text(stderr, field);
		fputs("\n", stderr);
	}
	for (size_t i = 0; i < json_array_size(trace); i++)
		print_hop(json_array_get(trace, i));
}

bool cmd_ask(const struct cmd_call *call, const struct control_request *request,
    struct control_answer *answer, int *exit_code)
{
	struct control_request own = *request;

	own.state_dir = call->state_dir;
	if (!control_call(&own, answer)) {
		cmd_print_error(call->json, &answer->err);
		*exit_code = err_is(&answer->err, "not_running") ? CMD_NOT_RUNNING : CMD_FAILED;
		return false;
	}
	*exit_code = CMD_DONE;
	if (answer->status >= 200 && answer->status < 300)
		return true;
	*exit_code = CMD_FAILED;
	if (!json_is_object(json_object_get(answer->document, "error"))) {
		err_set(&answer->err, "control_malformed",
		    "the daemon answers %d without saying why", answer->status);
		err_hint(&answer->err, "is the daemon of the same version?");
		cmd_print_error(call->json, &answer->err);
	} else if (call->json) {
		cmd_print_json(answer->document);
	} else {
		cmd_print_refusal(json_object_get(answer->document, "error"));
	}
	return false;
}

int cmd_run(const struct cmd_call *call, const struct control_request *request, cmd_show_fn *show,
    cmd_judge_fn *judge)
{
	struct control_answer answer;
	int exit_code;

	if (cmd_ask(call, request, &answer, &exit_code)) {
		if (call->json)
			cmd_print_json(answer.document);
		else
			show(answer.document);
		exit_code = judge != NULL ? judge(answer.document) : CMD_DONE;
	}
	control_answer_free(&answer);
	return exit_code;
}

const char *cmd_string(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

long long cmd_number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

bool cmd_bool(const json_t *object, const char *name)
{
	return json_is_true(json_object_get(object, name));
}

const char *cmd_time(const json_t *object, const char *name, char *out)
{
	int64_t wall_ms;
	struct tm local;

	out[0] = '\0';
	if (!clock_parse_rfc3339(cmd_string(object, name), &wall_ms))
		return out;
	time_t seconds = (time_t)(wall_ms / 1000);
	if (localtime_r(&seconds, &local) != NULL)
		strftime(out, CMD_TIME, "%Y-%m-%d %H:%M:%S", &local);
	return out;
}

const char *cmd_plural(long long count)
{
	return count == 1 ? "" : "s";
}
