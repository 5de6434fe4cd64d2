#include "eyes/command_scan.h"

#include <string.h>

struct word {
	const char *text;
	size_t length;
};
#define WORD(text)                     \
	{                              \
		text, sizeof(text) - 1 \
	}
static const struct word field_names[COMMAND_FIELDS] = {
    [COMMAND_ID] = WORD("id"),
    [COMMAND_SERVER] = WORD("server"),
    [COMMAND_PROJECT] = WORD("project"),
    [COMMAND_REPOSITORY] = WORD("repository"),
    [COMMAND_COMMIT] = WORD("commit"),
    [COMMAND_REF] = WORD("ref"),
    [COMMAND_KEY] = WORD("key"),
    [COMMAND_NAME] = WORD("name"),
    [COMMAND_STATE] = WORD("state"),
    [COMMAND_DESCRIPTION] = WORD("description"),
    [COMMAND_URL] = WORD("url"),
    [COMMAND_SEQUENCE] = WORD("sequence"),
    [COMMAND_CREATED] = WORD("createdAt"),
    [COMMAND_TESTS] = WORD("testResults"),
};
static const struct word count_names[COMMAND_COUNTS] = {
    [COMMAND_COUNT_SUCCESSFUL] = WORD("successful"),
    [COMMAND_COUNT_FAILED] = WORD("failed"),
    [COMMAND_COUNT_SKIPPED] = WORD("skipped"),
};

/* The word's index, `count` when it is none of them. */
static unsigned find_word(
    const struct word *words, unsigned count, unsigned from, const struct json_text *text)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned index = from + i < count ? from + i : from + i - count;
		if (json_text_is(text, words[index].text, words[index].length))
			return index;
	}
	return count;
}

static void scan_tests(struct json_scan *scan, struct command_scan *command)
{
	struct json_text name;

	memset(command->counts, 0, sizeof(command->counts));
	command->fields[COMMAND_TESTS].kind = JSON_KIND_OBJECT;
	json_scan_open(scan, '{');
	for (unsigned next = 0; json_scan_member(scan, &name);) {
		unsigned count =
		    find_word(count_names, COMMAND_COUNTS, next % COMMAND_COUNTS, &name);
		if (count == COMMAND_COUNTS) {
			json_scan_skip(scan);
			continue;
		}
		json_scan_value(scan, &command->counts[count]);
		next = count + 1;
	}
}

/* Of equal names the last counts. */
void command_scan(struct json_scan *scan, struct command_scan *command)
{
	struct json_text name;

	command->kind = json_scan_kind(scan);
	if (command->kind != JSON_KIND_OBJECT) {
		json_scan_skip(scan);
		return;
	}
	for (unsigned i = 0; i < COMMAND_FIELDS; i++)
		command->fields[i].kind = JSON_KIND_NONE;
	json_scan_open(scan, '{');
	for (unsigned next = 0; json_scan_member(scan, &name);) {
		unsigned field =
		    find_word(field_names, COMMAND_FIELDS, next % COMMAND_FIELDS, &name);
		if (field == COMMAND_FIELDS)
			json_scan_skip(scan);
		else if (field == COMMAND_TESTS && json_scan_kind(scan) == JSON_KIND_OBJECT)
			scan_tests(scan, command);
		else
			json_scan_value(scan, &command->fields[field]);
		next = field < COMMAND_FIELDS ? field + 1 : next;
	}
}

const char *command_field_name(enum command_field field)
{
	return field_names[field].text;
}

const char *command_count_path(enum command_count count)
{
	static const char *const paths[COMMAND_COUNTS] = {
	    [COMMAND_COUNT_SUCCESSFUL] = "testResults.successful",
	    [COMMAND_COUNT_FAILED] = "testResults.failed",
	    [COMMAND_COUNT_SKIPPED] = "testResults.skipped",
	};

	return paths[count];
}
