#include "scm/scm.h"

#include "base/mem.h"
#include "scm/scm_call.h"
#include <stdlib.h>
#include <string.h>

#ifndef EYES_SCM_VERSION
#define EYES_SCM_VERSION "unversioned"
#endif

#define BODY_MAX (16 * 1024)
#define ANSWER_MAX (256 * 1024)
#define DEADLINE_MS 30000
#define TOKEN_MAX 4096

struct scm_late {
	enum scm_outcome outcome;
	enum scm_scope scope;
	struct err err;
};

static const struct scm_driver *const drivers[] = {&scm_bitbucket_server};

static void call_free(struct scm_call *call);

/* ---- the context ---- */

struct scm *scm_new(struct loop *loop, struct http_client *http)
{
	struct scm *scm = mem_zero(sizeof(*scm));

	scm->loop = loop;
	scm->http = http;
	buf_init(&scm->body, BODY_MAX);
	return scm;
}

void scm_free(struct scm *scm)
{
	if (!scm)
		return;
	while (scm->calls)
		scm_cancel(scm->calls);
	buf_free(&scm->body);
	free(scm);
}

const struct scm_driver *scm_driver_by_kind(const char *kind)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (kind && strcmp(drivers[i]->kind, kind) == 0)
			return drivers[i];
	}
	return NULL;
}

/* ---- the beginning of a call ---- */

static size_t text_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static const char *text_keep(char **at, const char *text, size_t size)
{
	char *kept = *at;

	if (!text)
		return NULL;
	memcpy(kept, text, size);
	*at += size;
	return kept;
}

static void base_copy(struct scm_call *call, const struct url *base)
{
	call->url.tls = base->tls;
	call->url.ipv6 = base->ipv6;
	call->url.port = base->port;
	call->base_length = strlen(base->path);
	memcpy(call->url.host, base->host, strlen(base->host) + 1);
	memcpy(call->url.path, base->path, call->base_length + 1);
	call->url.query[0] = '\0';
}

struct scm_call *scm_call_new(struct scm *scm, const struct scm_server *server,
    enum scm_call_kind kind, union scm_call_fn fn, void *arg, const struct scm_call_input *input)
{
	/* Bitbucket Server's tokens, and GitHub's. */
	static const char scheme[] = "Bearer ";
	const size_t scheme_length = sizeof(scheme) - 1;
	size_t project = text_size(input->project), slug = text_size(input->slug);
	size_t commit = text_size(input->commit), key = text_size(input->key);
	size_t search = text_size(input->search);
	size_t token = input->token ? scheme_length + input->token->length + 1 : 0;
	struct scm_call *call =
	    mem_grow(NULL, 1, sizeof(*call) + project + slug + commit + key + search + token);
	char *at = (char *)(call + 1);

	memset(call, 0, offsetof(struct scm_call, url));
	call->scm = scm;
	call->kind = kind;
	call->fn = fn;
	call->arg = arg;
	call->trust = server->trust ? tls_trust_ref(server->trust) : NULL;
	call->connections = server->connections;
	call->capabilities = server->capabilities;
	call->deadline_ms = server->deadline_ms ? server->deadline_ms : DEADLINE_MS;
	base_copy(call, &server->base);

	call->project = text_keep(&at, input->project, project);
	call->slug = text_keep(&at, input->slug, slug);
	call->commit = text_keep(&at, input->commit, commit);
	call->key = text_keep(&at, input->key, key);
	call->search = text_keep(&at, input->search, search);
	call->administered = input->administered;
	call->limit = input->limit;
	if (input->token) {
		call->authorization = at;
		call->authorization_length = token - 1;
		memcpy(at, scheme, scheme_length);
		if (input->token->length)
			memcpy(at + scheme_length, input->token->data, input->token->length);
		at[token - 1] = '\0';
	}

	call->next = scm->calls;
	if (call->next)
		call->next->previous = call;
	scm->calls = call;
	return call;
}

/* ---- requests ---- */

static void on_answer(const struct http_result *result, void *arg)
{
	struct scm_call *call = arg;

	call->request = NULL;
	call->step(call, result);
}

/* RFC 6750: a bearer token is visible ASCII. Anything else was pasted by mistake and never becomes
 * a header. */
static bool token_usable(const struct scm_call *call)
{
	if (call->authorization_length <= sizeof("Bearer ") - 1 ||
	    call->authorization_length > TOKEN_MAX)
		return false;
	for (size_t i = sizeof("Bearer ") - 1; i < call->authorization_length; i++) {
		unsigned char c = (unsigned char)call->authorization[i];
		if (c <= ' ' || c >= 0x7f)
			return false;
	}
	return true;
}

void scm_call_send(struct scm_call *call, const struct scm_call_request *request, scm_step_fn *step)
{
	struct http_header headers[SCM_CALL_HEADERS];
	unsigned count = 0;
	struct err err = ERR_INIT;

	if (call->authorization && !token_usable(call)) {
		err_set(&err, "token_refused",
		    "That is not a token: a token is one word of letters and digits");
		err_hop(&err, "this field");
		err_hint(&err, "Copy it again from %s, all of it.", call->url.host);
		err_field(&err, "token");
		scm_call_fail(call, SCM_BLOCKED, SCM_SCOPE_TOKEN, &err);
		return;
	}
	if (call->authorization)
		headers[count++] = (struct http_header){
		    .name = "Authorization", .value = call->authorization, .secret = true};
	headers[count++] = (struct http_header){.name = "Accept", .value = "application/json"};
	headers[count++] =
	    (struct http_header){.name = "User-Agent", .value = "eyes-scm/" EYES_SCM_VERSION};
	if (request->body)
		headers[count++] =
		    (struct http_header){.name = "Content-Type", .value = "application/json"};
	for (unsigned i = 0; i < request->header_count && count < SCM_CALL_HEADERS; i++)
		headers[count++] = request->headers[i];

	call->step = step;
	call->request = http_client_send(call->scm->http,
	    &(struct http_options){
	        .method = request->method,
	        .url = &call->url,
	        .trust = call->trust,
	        .headers = headers,
	        .header_count = count,
	        .body = request->body,
	        .body_length = request->body_length,
	        .body_limit = request->body_limit ? request->body_limit : ANSWER_MAX,
	        /*
	         * A write whose connection broke may still land. Sent again silently, it could land
	         * after a newer one; so the caller is told that it is doubtful.
	         */
	        .repeatable = strcmp(request->method, "GET") == 0,
	        .connections = call->connections,
	        .deadlines = {.first_byte = call->deadline_ms, .total = call->deadline_ms},
	    },
	    on_answer, call, &err);
	if (!call->request)
		scm_call_fail(call, SCM_PERMANENT, SCM_SCOPE_UPDATE, &err);
}

/* ---- the end of a call ---- */

static void on_late(void *arg)
{
	struct scm_call *call = arg;
	const struct scm_late *late = call->late;

	scm_call_finish(call,
	    &(struct scm_answer){.outcome = late->outcome,
	        .scope = late->scope,
	        .retry_after_ms = -1,
	        .err = &late->err},
	    NULL);
}

void scm_call_fail(
    struct scm_call *call, enum scm_outcome outcome, enum scm_scope scope, const struct err *err)
{
	call->late = mem_zero(sizeof(*call->late));
	call->late->outcome = outcome;
	call->late->scope = scope;
	err_copy(&call->late->err, err);
	loop_timer_init(&call->timer, call->scm->loop, on_late, call);
	loop_timer_set(&call->timer, 0);
}

static void call_unlink(struct scm_call *call)
{
	if (call->previous)
		call->previous->next = call->next;
	else
		call->scm->calls = call->next;
	if (call->next)
		call->next->previous = call->previous;
}

static void call_free(struct scm_call *call)
{
	if (call->release)
		call->release(call->kept);
	tls_trust_unref(call->trust);
	if (call->authorization)
		crypto_cleanse(call->authorization, call->authorization_length);
	free(call->late);
	free(call);
}

static void call_complete(
    const struct scm_call *call, const struct scm_answer *answer, const void *result)
{
	switch (call->kind) {
	case SCM_CALL_DONE:
		call->fn.done(answer, call->arg);
		break;
	case SCM_CALL_IDENTITY:
		call->fn.identity(answer, result, call->arg);
		break;
	case SCM_CALL_PAGE:
		call->fn.page(answer, result, call->arg);
		break;
	case SCM_CALL_RIGHTS:
		call->fn.rights(answer, result, call->arg);
		break;
	case SCM_CALL_ACCESS:
		call->fn.access(answer, result, call->arg);
		break;
	case SCM_CALL_STATUS:
		call->fn.status(answer, result, call->arg);
		break;
	case SCM_CALL_FOUND:
		call->fn.found(answer, result && *(const bool *)result, call->arg);
		break;
	case SCM_CALL_HOOKS:
		call->fn.hooks(answer, result, call->arg);
		break;
	case SCM_CALL_HOOK:
		call->fn.hook(answer, result, call->arg);
		break;
	case SCM_CALL_DELIVERY:
		call->fn.delivery(answer, result, call->arg);
		break;
	}
}

void scm_call_finish(struct scm_call *call, const struct scm_answer *answer, const void *result)
{
	/* Out of the list first: the completion may free the whole context. */
	call->finished = true;
	call_unlink(call);
	call_complete(call, answer, result);
	call_free(call);
}

void scm_cancel(struct scm_call *call)
{
	if (!call || call->finished)
		return;
	call->finished = true;
	call_unlink(call);
	if (call->request)
		http_request_cancel(call->request);
	loop_timer_cancel(&call->timer);
	call_free(call);
}
