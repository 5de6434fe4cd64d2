/*
 * control: one request of a subcommand to the daemon, over the Unix socket in its state folder.
 * Runs a loop of its own until the answer is there or the deadline has passed.
 */
#ifndef APP_CONTROL_H
#define APP_CONTROL_H

#include "base/err.h"
#include <jansson.h>
#include <stdint.h>

#define CONTROL_SOCKET "control.sock"
#define CONTROL_PATH 108 /* sizeof sun_path */

struct control_request {
	const char *state_dir;
	const char *method;
	const char *path;   /* "/api/v1/..." with its query, encoded */
	const json_t *body; /* or NULL; may hold secrets: copies are overwritten */
	bool slow;          /* asks another server for many things: waits 10 minutes, not one */
};

struct control_answer {
	int status;       /* HTTP; 0 when there is no answer, err says why */
	json_t *document; /* NULL when the answer has no body */
	struct err err;   /* codes not_running, control_path, control_denied, control_malformed, and
	                     those of http_client */
};

/* state_dir/control.sock; code "control_path" when that is longer than a socket's address may be.
 */
bool control_path(char out[CONTROL_PATH], const char *state_dir, struct err *err)
    __attribute__((warn_unused_result));
/* False without an answer. What the daemon refuses is an answer too. */
bool control_call(const struct control_request *request, struct control_answer *answer);
void control_answer_free(struct control_answer *answer);

#endif
