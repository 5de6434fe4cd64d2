/*
 * commands_parse: the body of the status command feed into items. Pure.
 *
 * What is wrong with one command spoils only that one: with a usable id (1..200 bytes) it becomes
 * an item with `invalid` set, "commands[3].commit: expected 40 hex digits"; without one nobody
 * could be told, so it is counted and left out. A name or description over its limit is cut,
 * unknown fields are ignored, the commit comes out in lower case.
 */
#ifndef EYES_COMMANDS_PARSE_H
#define EYES_COMMANDS_PARSE_H

#include "eyes/source.h"
#include <stddef.h>

struct command_fault;
struct commands_page {
	struct eyes_item *items; /* strings point into texts */
	unsigned count;
	unsigned listed;     /* commands in the body, also those over the limit */
	unsigned left_out;   /* without a usable id */
	struct err left_why; /* of the first of them */
	/* private from here */
	unsigned room;
	char *texts;
	size_t texts_used, texts_room;
	const char *server;           /* the last that was found right */
	struct command_fault *faults; /* what `invalid` points to */
};

/* At most `limit` commands are looked at. False, with nothing to free, when the body is no answer
 * of the feed. */
bool commands_parse(const char *body, size_t length, unsigned limit, struct commands_page *out,
    struct err *err) __attribute__((warn_unused_result));
void commands_page_free(struct commands_page *page);

#endif
