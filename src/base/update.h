/*
 * update: the common vocabulary. A status update for one commit, as Eyes announces it, the queue
 * keeps it and a source-control driver sets it. Plain data; strings are borrowed from whoever made
 * it unless a function says "copy".
 */
#ifndef BASE_UPDATE_H
#define BASE_UPDATE_H

#include <stdbool.h>
#include <stdint.h>

/* Limits of Bitbucket's build status resource (REST API 8.19). */
#define UPDATE_ID_MAX 200
#define UPDATE_KEY_MAX 255
#define UPDATE_NAME_MAX 255
#define UPDATE_DESCRIPTION_MAX 255
#define UPDATE_URL_MAX 450
#define UPDATE_REF_MAX 1024
#define UPDATE_COMMIT 40

enum update_state { UPDATE_INPROGRESS, UPDATE_SUCCESSFUL, UPDATE_FAILED, UPDATE_CANCELLED };

struct update_tests {
	uint32_t successful, failed, skipped;
};

struct update {
	const char *commit; /* 40 hex digits, lower case */
	const char *key;
	const char *name;        /* "" when there is none */
	const char *description; /* "" when there is none */
	const char *url;
	const char *ref; /* "refs/heads/x", "" when unknown */
	enum update_state state;
	bool has_tests;
	struct update_tests tests;
};

const char *update_state_name(enum update_state state); /* "INPROGRESS" ... */
bool update_state_parse(const char *text, enum update_state *state);
bool update_state_final(enum update_state state); /* everything but INPROGRESS */
bool update_ref_valid(const char *ref);           /* "refs/..." without what git forbids */

/* What became of an update; the words are those of the command feed. */
enum update_outcome {
	UPDATE_DELIVERED,
	UPDATE_SUPERSEDED,
	UPDATE_REJECTED,
	UPDATE_EXPIRED,
	UPDATE_IGNORED,
	UPDATE_DROPPED /* by an administrator; told to Eyes as "rejected" */
};
const char *update_outcome_name(enum update_outcome outcome);

#endif
