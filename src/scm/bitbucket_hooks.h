/*
 * bitbucket_hooks: what the files of the webhook calls share.
 *
 * A 404 does not always say whether the webhook or the repository is missing: then the repository
 * is asked for, as in bitbucket_status.
 */
#ifndef SCM_BITBUCKET_HOOKS_H
#define SCM_BITBUCKET_HOOKS_H

#include "scm/bitbucket_hooks_parse.h"
#include "scm/bitbucket_server.h"

struct bitbucket_hooks_work {      /* of a call; its `kept` */
	struct scm_hook_want want; /* copies */
	struct secret secret;
	const char *events[SCM_HOOK_EVENTS];
	uint32_t known;   /* of the wanted events; those that are sent */
	uint32_t certain; /* see struct bitbucket_compare */
	unsigned char known_of[CRYPTO_SHA256];
	void (*then)(struct scm_call *call);
	struct bitbucket_hooks hooks;
	struct bitbucket_hook_brief brief;
};

struct scm_call *bitbucket_hooks_begin(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug, enum scm_call_kind kind,
    union scm_call_fn fn, void *arg);
/* Copies what is wanted into the call's `kept`; overwritten and freed with the call. */
struct bitbucket_hooks_work *bitbucket_hooks_want(
    struct scm_call *call, const struct scm_hook_want *want);
struct bitbucket_asked bitbucket_hooks_asked(const struct scm_call *call);
/* .../webhooks, or .../webhooks/{id} */
struct bitbucket_path bitbucket_hooks_path(struct scm_call *call, const char *id);

/* What the server knows comes first, asked or remembered: fills in work->known and goes on with
 * `then`, unless it ends the call. */
void bitbucket_hooks_know(struct scm_call *call, void (*then)(struct scm_call *call));
/* It knows less than it said: as in work->known. */
void bitbucket_hooks_note_known(struct scm_call *call);

void bitbucket_hooks_ask_repository(struct scm_call *call, scm_step_fn *step);
/* The answer to the last request is not the call's: that one went well. */
void bitbucket_hooks_went_well(struct bitbucket_answer *answer, const struct http_result *result);
/* After a 404 of .../webhooks in a repository that is there. */
void bitbucket_hooks_finish_none(struct scm_call *call, struct bitbucket_answer *answer);

#endif
