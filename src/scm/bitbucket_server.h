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

#endif
