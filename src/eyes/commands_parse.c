/*
 * The body is scanned once. The members of each command are noted as they stand there, then judged
 * in a fixed order; what is let through is decoded into `texts`, whose size is that of the body.
 */
#include "eyes/commands_parse.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"
#include "base/url.h"
#include "eyes/command_scan.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INVALID "command_invalid"
#define MISFIT "json" /* as base/json has it */
enum {
	BODY_MAX = 1024 * 1024,
	SERVER_MAX = 1500,
	NAME_MAX_BYTES = 255,
	NUMBER_MAX = INT32_MAX,
	ITEMS_FIRST = 32
};

struct command_fault {
	struct command_fault *next;
	struct err err;
};

struct command {
	struct commands_page *page;
	unsigned index; /* in the list */
	struct command_scan scan;
	struct err err;
};

/* ---- judging ---- */

/* "commands[3].commit: <words>"; name may be "". Always false. */
static bool __attribute__((format(printf, 5, 6))) refuse_as(struct err *err, const char *code,
    const struct command *command, const char *name, const char *format, ...)
{
	const char *dot = name[0] != '\0' ? "." : "";
	char words[160];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	err_set(err, code, "commands[%u]%s%s%s", command->index, dot, name, words);
	err_field(err, "commands[%u]%s%s", command->index, dot, name);
	return false;
}

static bool refuse(
    struct err *err, const struct command *command, enum command_field field, const char *expected)
{
	return refuse_as(
	    err, INVALID, command, command_field_name(field), ": expected %s", expected);
}

static bool is_absent(const struct json_value *value)
{
	return value->kind == JSON_KIND_NONE || value->kind == JSON_KIND_NULL;
}

/* The decoded text with a NUL behind it. Each comes from a place of its own in the body and is
 * shorter than there, with its quotes: the room suffices. */
static char *keep_text(const struct command *command, const struct json_text *text, size_t *length)
{
	struct commands_page *page = command->page;
	char *out = page->texts + page->texts_used;

	if (text->length >= page->texts_room - page->texts_used)
		fatal("commands: more text than there is in the body");
	*length = json_text_decode(text, out);
	out[*length] = '\0';
	page->texts_used += *length + 1;
	return out;
}

static bool keep_string(const struct command *command, enum command_field field, size_t limit,
    char **out, size_t *length, struct err *err)
{
	const struct json_value *value = &command->scan.fields[field];
	const char *name = command_field_name(field);

	*length = 0;
	if (value->kind == JSON_KIND_STRING)
		*out = keep_text(command, &value->text, length);
	if (value->kind != JSON_KIND_STRING || *length > limit)
		return refuse_as(err, MISFIT, command, name,
		    "%s expected a string of at most %zu bytes",
		    value->kind == JSON_KIND_NONE ? " is missing:" : ":", limit);
	if (value->text.has_nul)
		return refuse_as(err, MISFIT, command, name, ": expected a string without U+0000");
	return true;
}

/* *out and *length stay when there is none. */
static bool keep_optional(const struct command *command, enum command_field field, size_t limit,
    char **out, size_t *length, struct err *err)
{
	return is_absent(&command->scan.fields[field]) ||
	       keep_string(command, field, limit, out, length, err);
}

static bool take_integer(const struct command *command, const struct json_value *value,
    const char *name, int64_t high, bool *present, int64_t *out, struct err *err)
{
	*present = !is_absent(value);
	if (!*present)
		return true;
	if (value->kind != JSON_KIND_INTEGER || value->integer < 0 || value->integer > high)
		return refuse_as(
		    err, MISFIT, command, name, ": expected an integer from 0 to %" PRId64, high);
	*out = value->integer;
	return true;
}

static bool has_control(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

/* A string of 1..limit bytes without control characters. */
static bool take_word(const struct command *command, enum command_field field, size_t limit,
    const char **out, struct err *err)
{
	char *text;
	size_t length;

	if (!keep_string(command, field, limit, &text, &length, err))
		return false;
	if (length == 0)
		return refuse(err, command, field, "a string that is not empty");
	if (has_control(text))
		return refuse(err, command, field, "a string without control characters");
	*out = text;
	return true;
}

/* Becomes a part of a path, where "." and ".." would lead elsewhere. */
static bool take_segment(
    const struct command *command, enum command_field field, const char **out, struct err *err)
{
	if (!take_word(command, field, NAME_MAX_BYTES, out, err))
		return false;
	if (strchr(*out, '/') != NULL || strcmp(*out, ".") == 0 || strcmp(*out, "..") == 0)
		return refuse(
		    err, command, field, "a name without '/' that is not \".\" or \"..\"");
	return true;
}

/* Mostly all commands name the same server. */
static bool take_server(const struct command *command, const char **out, struct err *err)
{
	struct commands_page *page = command->page;
	struct url url;
	const char *text;

	if (!take_word(command, COMMAND_SERVER, SERVER_MAX, &text, err))
		return false;
	if ((page->server == NULL || strcmp(page->server, text) != 0) &&
	    !url_parse(&url, text, NULL))
		return refuse(err, command, COMMAND_SERVER, "an http or https address");
	*out = page->server = text;
	return true;
}

static bool take_commit(const struct command *command, const char **out, struct err *err)
{
	const struct json_value *value = &command->scan.fields[COMMAND_COMMIT];
	size_t length;
	char *text = NULL;

	if (value->kind == JSON_KIND_STRING)
		text = keep_text(command, &value->text, &length);
	if (text == NULL || !codec_is_hex(text, UPDATE_COMMIT))
		return refuse(err, command, COMMAND_COMMIT, "40 hex digits");
	for (unsigned i = 0; i < UPDATE_COMMIT; i++)
		text[i] = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] + 32) : text[i];
	*out = text;
	return true;
}

/* The fragment, which url_parse does not allow, is fine in a link for people. */
static bool take_url(const struct command *command, const char **out, struct err *err)
{
	char plain[UPDATE_URL_MAX + 1];
	struct url url;
	const char *text;

	if (!take_word(command, COMMAND_URL, UPDATE_URL_MAX, &text, err))
		return false;
	size_t length = strcspn(text, "#");
	memcpy(plain, text, length);
	plain[length] = '\0';
	for (const char *c = text + length; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
			return refuse(err, command, COMMAND_URL, "an http or https address");
	if (!url_parse(&url, plain, NULL))
		return refuse(err, command, COMMAND_URL, "an http or https address");
	*out = text;
	return true;
}

static bool take_state(const struct command *command, enum update_state *out, struct err *err)
{
	const struct json_value *value = &command->scan.fields[COMMAND_STATE];
	size_t length;

	if (value->kind != JSON_KIND_STRING ||
	    !update_state_parse(keep_text(command, &value->text, &length), out))
		return refuse(
		    err, command, COMMAND_STATE, "INPROGRESS, SUCCESSFUL, FAILED or CANCELLED");
	return true;
}

static bool take_ref(const struct command *command, const char **out, struct err *err)
{
	char *text = NULL;
	size_t length = 0;

	if (!keep_optional(command, COMMAND_REF, UPDATE_REF_MAX, &text, &length, err))
		return false;
	if (length > 0 && !update_ref_valid(text))
		return refuse(err, command, COMMAND_REF, "a ref such as refs/heads/main");
	*out = length > 0 ? text : "";
	return true;
}

static bool take_cut(const struct command *command, enum command_field field, size_t limit,
    const char **out, struct err *err)
{
	char *text = NULL;
	size_t length = 0;

	if (!keep_optional(command, field, BODY_MAX, &text, &length, err))
		return false;
	if (length > limit)
		text[codec_utf8_cut(text, length, limit)] = '\0';
	*out = length > 0 ? text : "";
	return true;
}

static bool take_created(const struct command *command, int64_t *out, struct err *err)
{
	char *text = NULL;
	size_t length = 0;

	if (!keep_optional(command, COMMAND_CREATED, NAME_MAX_BYTES, &text, &length, err))
		return false;
	if (length > 0 && !clock_parse_rfc3339(text, out))
		return refuse(err, command, COMMAND_CREATED, "a time as in RFC 3339");
	return true;
}

static bool take_count(
    const struct command *command, enum command_count count, uint32_t *out, struct err *err)
{
	bool present;
	int64_t value = 0;

	if (!take_integer(command, &command->scan.counts[count], command_count_path(count),
	        NUMBER_MAX, &present, &value, err))
		return false;
	*out = (uint32_t)value;
	return true;
}

static bool take_tests(const struct command *command, struct update *update, struct err *err)
{
	const struct json_value *tests = &command->scan.fields[COMMAND_TESTS];

	if (is_absent(tests))
		return true;
	update->has_tests = true;
	if (tests->kind != JSON_KIND_OBJECT)
		return refuse_as(err, MISFIT, command, command_field_name(COMMAND_TESTS),
		    ": expected an object");
	return take_count(command, COMMAND_COUNT_SUCCESSFUL, &update->tests.successful, err) &&
	       take_count(command, COMMAND_COUNT_FAILED, &update->tests.failed, err) &&
	       take_count(command, COMMAND_COUNT_SKIPPED, &update->tests.skipped, err);
}

/* The server first: it tells whose command it is even when the rest is wrong. */
static bool take_command(const struct command *command, struct eyes_item *item, struct err *err)
{
	struct update *update = &item->update;

	update->name = update->description = update->ref = "";
	return take_server(command, &item->server, err) &&
	       take_segment(command, COMMAND_PROJECT, &item->project, err) &&
	       take_segment(command, COMMAND_REPOSITORY, &item->repository, err) &&
	       take_commit(command, &update->commit, err) &&
	       take_word(command, COMMAND_KEY, UPDATE_KEY_MAX, &update->key, err) &&
	       take_state(command, &update->state, err) && take_url(command, &update->url, err) &&
	       take_ref(command, &update->ref, err) &&
	       take_cut(command, COMMAND_NAME, UPDATE_NAME_MAX, &update->name, err) &&
	       take_cut(command, COMMAND_DESCRIPTION, UPDATE_DESCRIPTION_MAX, &update->description,
	           err) &&
	       take_integer(command, &command->scan.fields[COMMAND_SEQUENCE],
	           command_field_name(COMMAND_SEQUENCE), INT64_MAX, &item->has_sequence,
	           &item->sequence, err) &&
	       take_created(command, &item->created_ms, err) && take_tests(command, update, err);
}

/* Ids that begin with a control character are made up by this program itself. */
static bool take_id(const struct command *command, const char **out, struct err *err)
{
	char *text;
	size_t length;

	if (command->scan.kind != JSON_KIND_OBJECT)
		return refuse_as(err, MISFIT, command, "", ": expected an object");
	if (!keep_string(command, COMMAND_ID, UPDATE_ID_MAX, &text, &length, err))
		return false;
	if (length == 0 || has_control(text))
		return refuse(err, command, COMMAND_ID, "a text without control characters");
	*out = text;
	return true;
}

/* ---- the page ---- */

static struct eyes_item *next_item(struct commands_page *page)
{
	if (page->count == page->room) {
		page->room = page->room == 0 ? ITEMS_FIRST : page->room * 2;
		page->items = mem_grow(page->items, page->room, sizeof(*page->items));
	}
	page->items[page->count] = (struct eyes_item){.hint = ""};
	return &page->items[page->count];
}

static void add_command(struct commands_page *page, struct command *command)
{
	struct eyes_item *item = next_item(page);
	struct command_fault *fault;

	if (!take_id(command, &item->id, &command->err)) {
		if (page->left_out++ == 0)
			page->left_why = command->err;
		return;
	}
	page->count++;
	if (take_command(command, item, &command->err))
		return;
	fault = mem_zero(sizeof(*fault));
	*fault = (struct command_fault){.next = page->faults, .err = command->err};
	fault->err.code = INVALID;
	page->faults = fault;
	item->invalid = &fault->err;
}

static void forget_commands(struct commands_page *page)
{
	struct command_fault *fault;

	while ((fault = page->faults) != NULL) {
		page->faults = fault->next;
		free(fault);
	}
	page->count = page->listed = page->left_out = 0;
	page->server = NULL;
	page->texts_used = 0;
}

static void scan_list(struct json_scan *scan, unsigned limit, struct commands_page *page)
{
	struct command command = {.page = page};

	json_scan_open(scan, '[');
	while (json_scan_element(scan)) {
		command.index = page->listed++;
		if (command.index >= limit) {
			json_scan_skip(scan);
			continue;
		}
		command_scan(scan, &command.scan);
		if (scan->fault == NULL)
			add_command(page, &command);
	}
}

/* What stands under "commands"; of several the last. */
static enum json_kind scan_root(struct json_scan *scan, unsigned limit, struct commands_page *page)
{
	enum json_kind kind = JSON_KIND_NONE;
	struct json_text name;

	json_scan_open(scan, '{');
	while (json_scan_member(scan, &name)) {
		if (!json_text_is(&name, "commands", 8)) {
			json_scan_skip(scan);
			continue;
		}
		forget_commands(page);
		kind = json_scan_kind(scan);
		if (kind == JSON_KIND_ARRAY)
			scan_list(scan, limit, page);
		else
			json_scan_skip(scan);
	}
	return kind;
}

static bool refuse_body(struct err *err, const char *field, const char *words)
{
	err_set(err, MISFIT, "%s", words);
	err_field(err, "%s", field);
	return false;
}

static bool scan_body(
    const char *body, size_t length, unsigned limit, struct commands_page *page, struct err *err)
{
	struct json_scan scan;
	enum json_kind list = JSON_KIND_NONE;

	json_scan_init(&scan, body, length, BODY_MAX);
	bool object = json_scan_kind(&scan) == JSON_KIND_OBJECT;
	if (object)
		list = scan_root(&scan, limit, page);
	else
		json_scan_skip(&scan);
	if (!json_scan_end(&scan, err))
		return false;
	if (!object)
		return refuse_body(err, "", "the document: expected an object");
	if (list == JSON_KIND_NONE)
		return refuse_body(err, "commands", "commands is missing: expected an array");
	return list == JSON_KIND_ARRAY ||
	       refuse_body(err, "commands", "commands: expected an array");
}

bool commands_parse(
    const char *body, size_t length, unsigned limit, struct commands_page *out, struct err *err)
{
	*out = (struct commands_page){.texts_room = length < BODY_MAX ? length : BODY_MAX};
	out->texts = mem_grow(NULL, out->texts_room, 1);
	if (scan_body(body, length, limit, out, err))
		return true;
	commands_page_free(out);
	return false;
}

void commands_page_free(struct commands_page *page)
{
	forget_commands(page);
	free(page->texts);
	free(page->items);
	*page = (struct commands_page){0};
}
