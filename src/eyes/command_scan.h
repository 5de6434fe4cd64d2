/*
 * command_scan: the members of one command of the feed, noted as they stand in the body. Pure.
 *
 * Unknown members are skipped; of equal names the last counts. Nothing is judged here.
 */
#ifndef EYES_COMMAND_SCAN_H
#define EYES_COMMAND_SCAN_H

#include "base/json_scan.h"

/* In the order of the feed's own writing: looking a name up begins behind the one before. */
enum command_field {
	COMMAND_ID,
	COMMAND_SERVER,
	COMMAND_PROJECT,
	COMMAND_REPOSITORY,
	COMMAND_COMMIT,
	COMMAND_REF,
	COMMAND_KEY,
	COMMAND_NAME,
	COMMAND_STATE,
	COMMAND_DESCRIPTION,
	COMMAND_URL,
	COMMAND_SEQUENCE,
	COMMAND_CREATED,
	COMMAND_TESTS,
	COMMAND_FIELDS
};
enum command_count {
	COMMAND_COUNT_SUCCESSFUL,
	COMMAND_COUNT_FAILED,
	COMMAND_COUNT_SKIPPED,
	COMMAND_COUNTS
};

struct command_scan {
	enum json_kind kind; /* of the command itself: the rest counts for an object only */
	struct json_value fields[COMMAND_FIELDS];
	struct json_value counts[COMMAND_COUNTS]; /* when testResults is an object */
};

/* Reads one value. Whether it was right JSON is known at the end of the document. */
void command_scan(struct json_scan *scan, struct command_scan *out);

const char *command_field_name(enum command_field field);
const char *command_count_path(enum command_count count); /* "testResults.failed" */

#endif
