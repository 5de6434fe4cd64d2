/*
 * bitbucket_status: setting a build status, reading it back, and whether a commit is there.
 *
 *   set_status   POST builds | build-status        --404 unclear--> the repository
 *   get_status   builds?key= | build-status pages  --404 unclear--> the repository
 *   has_commit   commits/{sha}                     --404 unclear--> the repository
 *
 * A 404 may come with an empty body. Whether the commit or the repository is missing decides
 * between trying again and waiting for an administrator; so when it does not say, the repository is
 * asked for.
 */
#include "base/codec.h"
#include "scm/bitbucket_request.h"
#include "scm/bitbucket_server.h"

#define STATUS_ROWS 100
#define STATUS_PAGES                                                                 \
	20 /* old servers: so many pages of one commit's statuses are looked through \
	    */

/* ---- an unclear 404: is it the commit or the repository? ---- */

static void ask_repository(struct scm_call *call, scm_step_fn *step)
{
	struct bitbucket_path path = bitbucket_begin(call);

	bitbucket_path_put_repository(&path, call->project, call->slug);
	bitbucket_get(call, &path, BITBUCKET_BODY_MAX, step);
}

/* ---- set_status ---- */

static void on_set(struct scm_call *call, const struct http_result *result);
static void on_set_repository(struct scm_call *call, const struct http_result *result);

static void fail_update(struct scm_call *call, const char *why)
{
	struct err err = ERR_INIT;

	err_set(&err, "update_invalid", "Bitbucket would not accept this update: %s", why);
	err_hop(&err, "this machine");
	err_hint(&err, "Whoever made the update must send it otherwise.");
	scm_call_fail(call, SCM_PERMANENT, SCM_SCOPE_UPDATE, &err);
}

/* The hot path: one allocation of ours, no JSON tree, nothing parsed when it goes well. */
struct scm_call *bitbucket_set_status(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug, const struct update *update,
    scm_done_fn *fn, void *arg)
{
	static const struct http_header no_check = {
	    .name = "X-Atlassian-Token", .value = "no-check"};
	struct scm_call *call =
	    scm_call_new(scm, server, SCM_CALL_DONE, (union scm_call_fn){.done = fn}, arg,
	        &(struct scm_call_input){
	            .token = token, .project = project, .slug = slug, .commit = update->commit});
	const char *why = bitbucket_status_fault(update);
	struct bitbucket_path path = bitbucket_begin(call);

	buf_reset(&scm->body);
	if (!why) {
		bitbucket_status_path(&path, call->capabilities, project, slug, update->commit);
		if (path.full || !bitbucket_status_body(&scm->body, call->capabilities, update))
			why = "it is too long";
	}
	if (why) {
		fail_update(call, why);
		return call;
	}
	scm_call_send(call,
	    &(struct scm_call_request){.method = "POST",
	        .body = scm->body.data,
	        .body_length = scm->body.length,
	        .headers = &no_check, /* without it a write may be answered "XSRF check failed" */
	        .header_count = 1},
	    on_set);
	return call;
}

static void on_set(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_asked_about(call, "set statuses in");
	struct bitbucket_answer answer;

	asked.write = true;
	bitbucket_answer(&asked, result, &answer);
	if (answer.unclear)
		ask_repository(call, on_set_repository);
	else
		bitbucket_finish(call, &answer, NULL);
}

static void on_set_repository(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_asked_about(call, "read");
	struct bitbucket_answer answer;

	bitbucket_answer(&asked, result, &answer);
	if (answer.scm.outcome == SCM_OK)
		bitbucket_answer_no_commit(&asked, result, &answer);
	bitbucket_finish(call, &answer, NULL);
}

/* ---- get_status ---- */

static void on_get(struct scm_call *call, const struct http_result *result);
static void on_get_page(struct scm_call *call, const struct http_result *result);
static void on_get_repository(struct scm_call *call, const struct http_result *result);

static void ask_status(struct scm_call *call)
{
	struct bitbucket_path path = bitbucket_begin(call);

	bitbucket_status_path(&path, call->capabilities, call->project, call->slug, call->commit);
	if (call->capabilities & SCM_BB_BUILDS) {
		bitbucket_query_put(&path, "key", call->key);
		bitbucket_get(call, &path, BITBUCKET_BODY_MAX, on_get);
		return;
	}
	bitbucket_query_put_uint(&path, "limit", STATUS_ROWS);
	if (call->start)
		bitbucket_query_put_uint(&path, "start", call->start);
	bitbucket_get(call, &path, BITBUCKET_PAGE_MAX, on_get_page);
}

struct scm_call *bitbucket_get_status(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug, const char *commit,
    const char *key, scm_status_fn *fn, void *arg)
{
	struct scm_call *call = scm_call_new(scm, server, SCM_CALL_STATUS,
	    (union scm_call_fn){.status = fn}, arg,
	    &(struct scm_call_input){
	        .token = token, .project = project, .slug = slug, .commit = commit, .key = key});

	if (!codec_is_hex(commit, UPDATE_COMMIT))
		fail_update(call, "the commit is not 40 hex digits");
	else
		ask_status(call);
	return call;
}

static void finish_no_status(struct scm_call *call, struct bitbucket_answer *answer)
{
	answer->scm.outcome = SCM_OK;
	answer->scm.scope = SCM_SCOPE_UPDATE;
	answer->scm.err = NULL;
	bitbucket_finish(
	    call, answer, &(struct scm_status){.url = "", .name = "", .description = ""});
}

static void on_get(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_asked_about(call, "read the statuses of");
	struct bitbucket_answer answer;
	struct bitbucket_status status;
	struct err why = ERR_INIT;

	bitbucket_answer(&asked, result, &answer);
	if (answer.exception == BITBUCKET_NO_SUCH_STATUS) {
		finish_no_status(call, &answer);
	} else if (answer.unclear) {
		ask_repository(call, on_get_repository);
	} else if (answer.scm.outcome != SCM_OK) {
		bitbucket_finish(call, &answer, NULL);
	} else if (!bitbucket_parse_status(
	               result->body, result->body_length, call->key, &status, &why)) {
		bitbucket_finish_malformed(call, &asked, result, &why);
	} else {
		bitbucket_finish(call, &answer, &status.status);
		bitbucket_status_free(&status);
	}
}

static void on_get_page(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_asked_about(call, "read the statuses of");
	struct bitbucket_answer answer;
	struct bitbucket_status status;
	struct err why = ERR_INIT;

	bitbucket_answer(&asked, result, &answer);
	if (answer.unclear) {
		ask_repository(call, on_get_repository);
		return;
	}
	if (answer.scm.outcome != SCM_OK) {
		bitbucket_finish(call, &answer, NULL);
		return;
	}
	if (!bitbucket_parse_status_page(
	        result->body, result->body_length, call->start, call->key, &status, &why)) {
		bitbucket_finish_malformed(call, &asked, result, &why);
		return;
	}
	call->start = status.next;
	if (status.next && ++call->pages < STATUS_PAGES)
		ask_status(call);
	else
		bitbucket_finish(call, &answer, &status.status);
	bitbucket_status_free(&status);
}

/* The repository is there, so the 404 was about the status or its commit: there is no such status.
 */
static void on_get_repository(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_asked_about(call, "read");
	struct bitbucket_answer answer;

	bitbucket_answer(&asked, result, &answer);
	if (answer.scm.outcome == SCM_OK)
		finish_no_status(call, &answer);
	else
		bitbucket_finish(call, &answer, NULL);
}

/* ---- has_commit ---- */

static void on_commit(struct scm_call *call, const struct http_result *result);
static void on_commit_repository(struct scm_call *call, const struct http_result *result);

struct scm_call *bitbucket_has_commit(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug, const char *commit,
    scm_found_fn *fn, void *arg)
{
	struct scm_call *call =
	    scm_call_new(scm, server, SCM_CALL_FOUND, (union scm_call_fn){.found = fn}, arg,
	        &(struct scm_call_input){
	            .token = token, .project = project, .slug = slug, .commit = commit});
	struct bitbucket_path path = bitbucket_begin(call);

	if (!codec_is_hex(commit, UPDATE_COMMIT)) {
		fail_update(call, "the commit is not 40 hex digits");
		return call;
	}
	bitbucket_path_put_repository(&path, project, slug);
	bitbucket_path_put(&path, "/commits/");
	bitbucket_path_put_text(&path, commit);
	bitbucket_get(call, &path, BITBUCKET_BODY_MAX, on_commit);
	return call;
}

static void finish_found(struct scm_call *call, struct bitbucket_answer *answer, bool found)
{
	answer->scm.outcome = SCM_OK;
	answer->scm.scope = SCM_SCOPE_UPDATE;
	answer->scm.unknown_commit = false;
	answer->scm.err = NULL;
	bitbucket_finish(call, answer, &found);
}

static void on_commit(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_asked_about(call, "read");
	struct bitbucket_answer answer;

	bitbucket_answer(&asked, result, &answer);
	if (answer.scm.outcome == SCM_OK)
		finish_found(call, &answer, true);
	else if (answer.scm.unknown_commit)
		finish_found(call, &answer, false);
	else if (answer.unclear)
		ask_repository(call, on_commit_repository);
	else
		bitbucket_finish(call, &answer, NULL);
}

static void on_commit_repository(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_asked_about(call, "read");
	struct bitbucket_answer answer;

	bitbucket_answer(&asked, result, &answer);
	if (answer.scm.outcome == SCM_OK)
		finish_found(call, &answer, false);
	else
		bitbucket_finish(call, &answer, NULL);
}
