/*
 * bitbucket_server: the driver for Bitbucket Server and Data Center: which requests make up each
 * call, in their order. What is asked is written by bitbucket_request, what an answer means is said
 * by bitbucket_answer.
 *
 *   identify          application-properties -> build/capabilities -> webhooks/capabilities
 *   list              repos
 *   check_token       repos?permission=REPO_ADMIN&limit=1
 *   check_repository  the repository -> its webhooks (needs REPO_ADMIN)
 *   set_status, get_status, has_commit: bitbucket_status.c
 *   list_hooks: bitbucket_hooks.c; put_hook, delete_hook, test_hook: bitbucket_hooks_write.c
 */
#include "scm/bitbucket_server.h"
#include "base/clock.h"
#include "base/mem.h"
#include "scm/bitbucket_answer.h"
#include "scm/bitbucket_request.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_ROWS 250 /* 10 MiB of JSON stop the loop for 0.2 s: small pages */

/* ---- helpers of all calls ---- */

struct bitbucket_path bitbucket_begin(struct scm_call *call)
{
	return bitbucket_path_begin(&call->url, call->base_length);
}

bool bitbucket_path_fits(struct scm_call *call, const struct bitbucket_path *path)
{
	struct err err = ERR_INIT;

	if (!path->full)
		return true;
	err_set(
	    &err, "url_invalid", "The address of this request on %s is too long", call->url.host);
	err_hop(&err, "this machine");
	scm_call_fail(call, SCM_PERMANENT, SCM_SCOPE_UPDATE, &err);
	return false;
}

void bitbucket_get(
    struct scm_call *call, const struct bitbucket_path *path, size_t body_limit, scm_step_fn *step)
{
	if (bitbucket_path_fits(call, path))
		scm_call_send(call,
		    &(struct scm_call_request){.method = "GET", .body_limit = body_limit}, step);
}

struct bitbucket_asked bitbucket_asked_about(const struct scm_call *call, const char *what)
{
	const char *token = call->authorization != NULL ? strchr(call->authorization, ' ') : NULL;

	return (struct bitbucket_asked){.token = token != NULL ? token + 1 : NULL,
	    .token_length = token != NULL ? strlen(token + 1) : 0,
	    .host = call->url.host,
	    .what = what,
	    .project = call->project,
	    .slug = call->slug,
	    .commit = call->commit,
	    .now_ms = clock_wall_ms()};
}

void bitbucket_finish(
    struct scm_call *call, const struct bitbucket_answer *answer, const void *result)
{
	scm_call_finish(call, &answer->scm, answer->scm.outcome == SCM_OK ? result : NULL);
}

void bitbucket_finish_malformed(struct scm_call *call, const struct bitbucket_asked *asked,
    const struct http_result *result, const struct err *why)
{
	struct bitbucket_answer answer;

	bitbucket_answer_malformed(asked, result, why, &answer);
	bitbucket_finish(call, &answer, NULL);
}

/* ---- identify ---- */

static void on_properties(struct scm_call *call, const struct http_result *result);
static void on_build_capabilities(struct scm_call *call, const struct http_result *result);
static void on_webhook_capabilities(struct scm_call *call, const struct http_result *result);

static struct bitbucket_asked asked_which(const struct scm_call *call)
{
	struct bitbucket_asked asked = bitbucket_asked_about(call, "read the version of");

	asked.identify = true;
	return asked;
}

static struct scm_call *identify(
    struct scm *scm, const struct scm_server *server, scm_identity_fn *fn, void *arg)
{
	struct scm_call *call = scm_call_new(scm, server, SCM_CALL_IDENTITY,
	    (union scm_call_fn){.identity = fn}, arg, &(struct scm_call_input){0});
	struct bitbucket_path path = bitbucket_begin(call);

	bitbucket_path_put(&path, "/rest/api/1.0/application-properties");
	bitbucket_get(call, &path, BITBUCKET_BODY_MAX, on_properties);
	return call;
}

static void on_properties(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = asked_which(call);
	struct bitbucket_answer answer;
	struct bitbucket_properties properties;
	struct bitbucket_path path;
	struct err why = ERR_INIT;

	bitbucket_answer(&asked, result, &answer);
	if (answer.scm.outcome != SCM_OK) {
		bitbucket_finish(call, &answer, NULL);
		return;
	}
	if (!bitbucket_parse_properties(result->body, result->body_length, &properties, &why)) {
		bitbucket_finish_malformed(call, &asked, result, &why);
		return;
	}
	memcpy(call->version, properties.version, sizeof(call->version));
	if (properties.major > 7 || (properties.major == 7 && properties.minor >= 4))
		call->found |= SCM_BB_BUILDS;
	path = bitbucket_begin(call);
	bitbucket_path_put(&path, "/rest/api/latest/build/capabilities");
	bitbucket_get(call, &path, BITBUCKET_BODY_MAX, on_build_capabilities);
}

bool bitbucket_capability_told(const struct bitbucket_answer *answer)
{
	int status = answer->scm.status;

	return answer->scm.outcome == SCM_OK ||
	       (status >= 400 && status < 500 && status != 408 && status != 429);
}

static void on_build_capabilities(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = asked_which(call);
	struct bitbucket_answer answer;
	struct bitbucket_path path;

	bitbucket_answer(&asked, result, &answer);
	if (!bitbucket_capability_told(&answer)) {
		bitbucket_finish(call, &answer, NULL);
		return;
	}
	if (answer.scm.outcome == SCM_OK)
		(void)bitbucket_parse_build_capabilities(
		    result->body, result->body_length, &call->found, NULL);
	path = bitbucket_begin(call);
	bitbucket_path_put(&path, "/rest/webhooks/latest/capabilities");
	bitbucket_get(call, &path, BITBUCKET_BODY_MAX, on_webhook_capabilities);
}

static void on_webhook_capabilities(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = asked_which(call);
	struct bitbucket_answer answer;
	struct bitbucket_properties properties = {
	    .major = (unsigned)strtoul(call->version, NULL, 10)};
	char abilities[80];

	bitbucket_answer(&asked, result, &answer);
	if (!bitbucket_capability_told(&answer)) {
		bitbucket_finish(call, &answer, NULL);
		return;
	}
	if (answer.scm.outcome == SCM_OK)
		(void)bitbucket_parse_webhook_capabilities(
		    result->body, result->body_length, &call->found, NULL);
	snprintf(abilities, sizeof(abilities), "builds%s%s",
	    call->found & SCM_BB_CANCELLED ? ", cancelled" : "",
	    call->found & SCM_BB_BUILDS ? ", test results" : "");
	answer.scm = (struct scm_answer){.outcome = SCM_OK,
	    .status = result->status,
	    .retry_after_ms = -1,
	    .trace = result->trace};
	bitbucket_finish(call, &answer,
	    &(struct scm_identity){.product = bitbucket_product(&properties),
	        .version = call->version,
	        .capabilities = call->found,
	        .abilities = abilities});
}

/* ---- list ---- */

static void on_list(struct scm_call *call, const struct http_result *result);

/* A cursor came from us, but through a browser: digits only. */
static bool cursor_parse(const char *cursor, uint64_t *start)
{
	char *end;

	*start = 0;
	if (!cursor || cursor[0] == '\0')
		return true;
	if (strlen(cursor) > 12 || strspn(cursor, "0123456789") != strlen(cursor))
		return false;
	*start = strtoull(cursor, &end, 10);
	return true;
}

static struct scm_call *list(struct scm *scm, const struct scm_server *server,
    const struct scm_list *wanted, scm_page_fn *fn, void *arg)
{
	struct scm_call *call = scm_call_new(scm, server, SCM_CALL_PAGE,
	    (union scm_call_fn){.page = fn}, arg, &(struct scm_call_input){.token = wanted->token});
	struct bitbucket_path path = bitbucket_begin(call);
	unsigned limit = wanted->limit;
	struct err err = ERR_INIT;

	if (!cursor_parse(wanted->cursor, &call->start)) {
		err_set(
		    &err, "cursor_invalid", "The place in the list is not one that eyes-scm gave");
		err_hop(&err, "this machine");
		err_hint(&err, "Begin again at the first page.");
		err_field(&err, "cursor");
		scm_call_fail(call, SCM_PERMANENT, SCM_SCOPE_UPDATE, &err);
		return call;
	}
	if (limit == 0 || limit > PAGE_ROWS)
		limit = PAGE_ROWS;
	bitbucket_path_put(&path, "/rest/api/1.0/repos");
	bitbucket_query_put_uint(&path, "limit", limit);
	if (call->start)
		bitbucket_query_put_uint(&path, "start", call->start);
	if (wanted->search && wanted->search[0])
		bitbucket_query_put(&path, "name", wanted->search);
	if (wanted->administered)
		bitbucket_query_put(&path, "permission", "REPO_ADMIN");
	bitbucket_get(call, &path, BITBUCKET_PAGE_MAX, on_list);
	return call;
}

static void on_list(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_asked_about(call, "list the repositories of");
	struct bitbucket_answer answer;
	struct bitbucket_page page;
	struct err why = ERR_INIT;
	char next[24];

	bitbucket_answer(&asked, result, &answer);
	if (answer.scm.outcome != SCM_OK) {
		bitbucket_finish(call, &answer, NULL);
		return;
	}
	if (!bitbucket_parse_page(result->body, result->body_length, call->start, &page, &why)) {
		bitbucket_finish_malformed(call, &asked, result, &why);
		return;
	}
	snprintf(next, sizeof(next), "%llu", (unsigned long long)page.next);
	bitbucket_finish(call, &answer,
	    &(struct scm_page){.repositories = page.repositories,
	        .count = page.count,
	        .next = page.next ? next : NULL});
	bitbucket_page_free(&page);
}

/* ---- check_token ---- */

static void on_token(struct scm_call *call, const struct http_result *result);

static struct scm_call *check_token(struct scm *scm, const struct scm_server *server,
    const struct secret *token, scm_rights_fn *fn, void *arg)
{
	struct scm_call *call = scm_call_new(scm, server, SCM_CALL_RIGHTS,
	    (union scm_call_fn){.rights = fn}, arg, &(struct scm_call_input){.token = token});
	struct bitbucket_path path = bitbucket_begin(call);

	bitbucket_path_put(&path, "/rest/api/1.0/repos");
	bitbucket_query_put(&path, "permission", "REPO_ADMIN");
	bitbucket_query_put_uint(&path, "limit", 1);
	bitbucket_get(call, &path, BITBUCKET_BODY_MAX, on_token);
	return call;
}

static void on_token(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_asked_about(call, "list the repositories of");
	struct bitbucket_answer answer;
	struct bitbucket_page page;
	struct err why = ERR_INIT;
	char owner[BITBUCKET_USER];

	bitbucket_answer(&asked, result, &answer);
	if (answer.scm.outcome != SCM_OK) {
		bitbucket_finish(call, &answer, NULL);
		return;
	}
	if (!bitbucket_parse_page(result->body, result->body_length, 0, &page, &why)) {
		bitbucket_finish_malformed(call, &asked, result, &why);
		return;
	}
	bitbucket_user(result, owner, sizeof(owner));
	secret_scrub(owner, asked.token, asked.token_length);
	/* Anonymously the list is always empty: a row proves that somebody is signed in. */
	if (owner[0] == '\0' && page.count == 0)
		bitbucket_answer_refused(&asked, result, &answer);
	bitbucket_finish(
	    call, &answer, &(struct scm_rights){.owner = owner, .administers_any = page.count > 0});
	bitbucket_page_free(&page);
}

/* ---- check_repository ---- */

static void on_repository(struct scm_call *call, const struct http_result *result);
static void on_webhooks(struct scm_call *call, const struct http_result *result);

static void page_release(void *kept)
{
	bitbucket_page_free(kept);
	free(kept);
}

static struct scm_call *check_repository(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug, scm_access_fn *fn, void *arg)
{
	struct scm_call *call =
	    scm_call_new(scm, server, SCM_CALL_ACCESS, (union scm_call_fn){.access = fn}, arg,
	        &(struct scm_call_input){.token = token, .project = project, .slug = slug});
	struct bitbucket_path path = bitbucket_begin(call);

	bitbucket_path_put_repository(&path, project, slug);
	bitbucket_get(call, &path, BITBUCKET_BODY_MAX, on_repository);
	return call;
}

static void on_repository(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_asked_about(call, "read");
	struct bitbucket_answer answer;
	struct bitbucket_page *page;
	struct bitbucket_path path;
	struct err why = ERR_INIT;

	bitbucket_answer(&asked, result, &answer);
	if (answer.scm.outcome != SCM_OK) {
		bitbucket_finish(call, &answer, NULL);
		return;
	}
	page = mem_zero(sizeof(*page));
	call->kept = page;
	call->release = page_release;
	if (!bitbucket_parse_repository(result->body, result->body_length, page, &why)) {
		bitbucket_finish_malformed(call, &asked, result, &why);
		return;
	}
	path = bitbucket_begin(call);
	bitbucket_path_put_repository(&path, call->project, call->slug);
	bitbucket_path_put(&path, "/webhooks");
	bitbucket_query_put_uint(&path, "limit", 1);
	bitbucket_get(call, &path, BITBUCKET_BODY_MAX, on_webhooks);
}

/* Listing webhooks needs REPO_ADMIN. The body may hold a secret in clear: nobody looks at it. */
static void on_webhooks(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_asked_about(call, "administer");
	struct bitbucket_page *page = call->kept;
	struct bitbucket_answer answer;
	struct scm_access access = {
	    .repository = page->repositories[0], .base = page->base, .read = true};

	bitbucket_answer(&asked, result, &answer);
	if (answer.scm.outcome == SCM_OK) {
		access.admin = true;
	} else if (answer.scm.outcome == SCM_BLOCKED && answer.scm.scope == SCM_SCOPE_REPOSITORY) {
		/* The token was good for reading just now: this is only about administering. */
		answer.scm = (struct scm_answer){.outcome = SCM_OK,
		    .status = result->status,
		    .retry_after_ms = -1,
		    .trace = result->trace};
	}
	bitbucket_finish(call, &answer, &access);
}

/* ---- the table ---- */

static enum update_state state_as_sent(const struct scm_server *server, enum update_state state)
{
	return bitbucket_state_as_sent(server->capabilities, state);
}

static void token_page(const struct scm_server *server, char *out, size_t size)
{
	char origin[320];

	url_origin(&server->base, origin, sizeof(origin));
	snprintf(out, size, "%s%s/plugins/servlet/access-tokens/manage", origin, server->base.path);
}

const struct scm_driver scm_bitbucket_server = {
    .kind = "bitbucket-server",
    .identify = identify,
    .list = list,
    .check_token = check_token,
    .check_repository = check_repository,
    .set_status = bitbucket_set_status,
    .get_status = bitbucket_get_status,
    .has_commit = bitbucket_has_commit,
    .list_hooks = bitbucket_list_hooks,
    .put_hook = bitbucket_put_hook,
    .delete_hook = bitbucket_delete_hook,
    .test_hook = bitbucket_test_hook,
    .state_as_sent = state_as_sent,
    .token_page = token_page,
};
