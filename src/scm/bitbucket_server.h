/*
 * bitbucket_server: what the driver's files share. Everything else of the driver is reached through
 * its table.
 */
#ifndef SCM_BITBUCKET_SERVER_H
#define SCM_BITBUCKET_SERVER_H

#include "scm/bitbucket_answer.h"
#include "scm/bitbucket_request.h"
#include "scm/scm_call.h"

struct bitbucket_path bitbucket_begin(struct scm_call *call); /* at the server's own path */
/* GET. A path that did not fit ends the call, later. */
void bitbucket_get(
    struct scm_call *call, const struct bitbucket_path *path, size_t body_limit, scm_step_fn *step);
/* A path that did not fit ends the call, later, and is false: nothing may be sent then. */
bool bitbucket_path_fits(struct scm_call *call, const struct bitbucket_path *path);
/*
 * Whether the answer tells what the server can do: yes, or that it cannot be asked (404 on old
 * servers). What says nothing about the server (no answer, 429, 5xx) does not, so that a bad moment
 * is not taken for an old server.
 */
bool bitbucket_capability_told(const struct bitbucket_answer *answer);
/* what: as in struct bitbucket_asked. */
struct bitbucket_asked bitbucket_asked_about(const struct scm_call *call, const char *what);
/* The completion gets `result` only when the answer is OK. */
void bitbucket_finish(
    struct scm_call *call, const struct bitbucket_answer *answer, const void *result);
void bitbucket_finish_malformed(struct scm_call *call, const struct bitbucket_asked *asked,
    const struct http_result *result, const struct err *why);

/* Of the table, in bitbucket_status.c. */
struct scm_call *bitbucket_set_status(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug, const struct update *update,
    scm_done_fn *fn, void *arg);
struct scm_call *bitbucket_get_status(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug, const char *commit,
    const char *key, scm_status_fn *fn, void *arg);
struct scm_call *bitbucket_has_commit(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug, const char *commit,
    scm_found_fn *fn, void *arg);

/* Of the table, in bitbucket_hooks.c and bitbucket_hooks_write.c. */
struct scm_call *bitbucket_list_hooks(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug,
    const struct scm_hook_want *want, scm_hooks_fn *fn, void *arg);
struct scm_call *bitbucket_put_hook(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug,
    const struct scm_hook_want *want, scm_hook_fn *fn, void *arg);
struct scm_call *bitbucket_delete_hook(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug, const char *id,
    scm_done_fn *fn, void *arg);
struct scm_call *bitbucket_test_hook(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug,
    const struct scm_hook_want *want, scm_delivery_fn *fn, void *arg);

#endif
