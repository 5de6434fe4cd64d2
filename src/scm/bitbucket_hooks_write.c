/*
 * bitbucket_hooks_write: making, replacing, deleting and testing one webhook.
 *
 *   put_hook     (webhooks/capabilities) -> new: POST; else GET {id} -> PUT {id}
 *                400 "the event X is unknown": once more without X
 *   delete_hook  DELETE {id}
 *   test_hook    GET {id} when it has one -> POST webhooks/test?url=
 *
 * Nothing is sent twice by itself: a write whose outcome is not known is doubtful, and the caller
 * lists again.
 *
 * GET {id} tells sslVerificationRequired, which an administrator may have turned off: a PUT without
 * it would turn it on again. Whoever does not know the field is not sent it.
 *
 * Sources: as in bitbucket_hooks.c.
 */
#include "scm/bitbucket_hooks.h"
#include <string.h>

#define BODY_LIMIT (64 * 1024) /* of what is written */

/* Without it a write may be answered "XSRF check failed". */
static const struct http_header no_check = {.name = "X-Atlassian-Token", .value = "no-check"};

/* ---- put_hook ---- */

static void put_known(struct scm_call *call);
static void on_put_brief(struct scm_call *call, const struct http_result *result);
static void on_put(struct scm_call *call, const struct http_result *result);
static void on_put_repository(struct scm_call *call, const struct http_result *result);

struct scm_call *bitbucket_put_hook(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug,
    const struct scm_hook_want *want, scm_hook_fn *fn, void *arg)
{
	struct scm_call *call = bitbucket_hooks_begin(
	    scm, server, token, project, slug, SCM_CALL_HOOK, (union scm_call_fn){.hook = fn}, arg);

	bitbucket_hooks_want(call, want);
	bitbucket_hooks_know(call, put_known);
	return call;
}

static void put_body(struct buf *out, const struct bitbucket_hooks_work *work)
{
	const struct scm_hook_want *want = &work->want;
	bool first = true;

	buf_puts(out, "{\"name\":");
	buf_put_json(out, want->name, strlen(want->name));
	buf_puts(out, ",\"url\":");
	buf_put_json(out, want->url, strlen(want->url));
	buf_puts(out, ",\"events\":[");
	for (unsigned i = 0; i < want->event_count; i++) {
		if (!(work->known & UINT32_C(1) << i))
			continue;
		buf_puts(out, first ? "" : ",");
		buf_put_json(out, want->events[i], strlen(want->events[i]));
		first = false;
	}
	buf_puts(out, "],\"active\":true,\"configuration\":{");
	if (want->secret != NULL) {
		buf_puts(out, "\"secret\":");
		buf_put_json(out, want->secret->data, want->secret->length);
	}
	buf_putc(out, '}');
	if (work->brief.tells_ssl)
		buf_printf(
		    out, ",\"sslVerificationRequired\":%s", work->brief.ssl ? "true" : "false");
	buf_putc(out, '}');
}

static void send_put(struct scm_call *call)
{
	const struct bitbucket_hooks_work *work = call->kept;
	struct bitbucket_path path = bitbucket_hooks_path(call, work->want.id);
	struct buf body;

	buf_init(&body, BODY_LIMIT);
	put_body(&body, work);
	path.full = path.full || body.overflow;
	if (bitbucket_path_fits(call, &path))
		scm_call_send(call,
		    &(struct scm_call_request){.method = work->want.id[0] != '\0' ? "PUT" : "POST",
		        .body = body.data,
		        .body_length = body.length,
		        .body_limit = BITBUCKET_BODY_MAX,
		        .headers = &no_check,
		        .header_count = 1},
		    on_put);
	buf_cleanse(&body); /* it may hold the secret */
}

static void put_known(struct scm_call *call)
{
	const struct bitbucket_hooks_work *work = call->kept;
	struct bitbucket_path path;

	if (work->want.id[0] == '\0') {
		send_put(call);
		return;
	}
	path = bitbucket_hooks_path(call, work->want.id);
	bitbucket_get(call, &path, BITBUCKET_BODY_MAX, on_put_brief);
}

/* Reads what the webhook has; of a failure the next request tells more. */
static void read_brief(struct bitbucket_hooks_work *work, const struct http_result *result)
{
	if (result->err || result->status != 200 ||
	    !bitbucket_parse_hook(result->body, result->body_length, &work->brief, NULL))
		work->brief = (struct bitbucket_hook_brief){0};
}

static void on_put_brief(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_hooks_asked(call);
	struct bitbucket_answer answer;

	bitbucket_answer(&asked, result, &answer);
	/* Not written blindly: what it has would be lost by a bad moment. */
	if (!answer.unclear &&
	    (answer.scm.outcome == SCM_TEMPORARY || answer.scm.outcome == SCM_BLOCKED)) {
		bitbucket_finish(call, &answer, NULL);
		return;
	}
	read_brief(call->kept, result);
	send_put(call);
}

/* Leaves out what the server says it does not know. False when that was not it. */
static bool drop_unknown(struct bitbucket_hooks_work *work, const struct http_result *result)
{
	uint32_t unknown;

	if (result->err || result->status != 400)
		return false;
	unknown = bitbucket_parse_unknown_events(result->body, result->body_length, &work->want) &
	          work->known;
	if (unknown == 0 || (work->known & ~unknown) == 0)
		return false;
	work->known &= ~unknown;
	return true;
}

static void on_put(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_hooks_asked(call);
	struct bitbucket_hooks_work *work = call->kept;
	struct bitbucket_hook_brief made;
	struct bitbucket_answer answer;
	struct err why = ERR_INIT;

	asked.write = asked.returns = true;
	if (drop_unknown(work, result)) {
		bitbucket_hooks_note_known(call);
		send_put(call); /* each time with fewer events */
		return;
	}
	bitbucket_answer(&asked, result, &answer);
	if (answer.exception == BITBUCKET_NO_SUCH_WEBHOOK || answer.unclear)
		bitbucket_hooks_ask_repository(call, on_put_repository);
	else if (answer.scm.outcome != SCM_OK)
		bitbucket_finish(call, &answer, NULL);
	else if (bitbucket_parse_hook(result->body, result->body_length, &made, &why))
		bitbucket_finish(call, &answer, made.id);
	else
		bitbucket_finish_malformed(call, &asked, result, &why);
}

static void on_put_repository(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_asked_about(call, "read");
	const struct bitbucket_hooks_work *work = call->kept;
	struct bitbucket_answer answer;

	bitbucket_answer(&asked, result, &answer);
	if (answer.scm.outcome != SCM_OK) {
		bitbucket_finish(call, &answer, NULL);
		return;
	}
	if (work->want.id[0] == '\0') {
		bitbucket_hooks_finish_none(call, &answer);
		return;
	}
	err_set(&answer.err, "webhook_gone", "The webhook of %s/%s is not there any more",
	    call->project, call->slug);
	err_hop(&answer.err, "Bitbucket, HTTP 404");
	err_hint(&answer.err, "Nothing to do: a new one is made.");
	answer.scm = (struct scm_answer){.outcome = SCM_TEMPORARY,
	    .scope = SCM_SCOPE_UPDATE,
	    .status = 404,
	    .retry_after_ms = -1,
	    .err = &answer.err,
	    .trace = result->trace};
	bitbucket_finish(call, &answer, NULL);
}

/* ---- delete_hook ---- */

static void on_delete(struct scm_call *call, const struct http_result *result);
static void on_delete_repository(struct scm_call *call, const struct http_result *result);

struct scm_call *bitbucket_delete_hook(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug, const char *id,
    scm_done_fn *fn, void *arg)
{
	struct scm_call *call = bitbucket_hooks_begin(
	    scm, server, token, project, slug, SCM_CALL_DONE, (union scm_call_fn){.done = fn}, arg);
	struct bitbucket_path path = bitbucket_hooks_path(call, id);

	path.full = path.full || id[0] == '\0'; /* never the whole collection */
	if (bitbucket_path_fits(call, &path))
		scm_call_send(call,
		    &(struct scm_call_request){
		        .method = "DELETE", .headers = &no_check, .header_count = 1},
		    on_delete);
	return call;
}

static void on_delete(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_hooks_asked(call);
	struct bitbucket_answer answer;

	asked.write = true;
	bitbucket_answer(&asked, result, &answer);
	if (answer.exception == BITBUCKET_NO_SUCH_WEBHOOK)
		bitbucket_hooks_went_well(&answer, result);
	if (answer.unclear && answer.scm.outcome != SCM_OK)
		bitbucket_hooks_ask_repository(call, on_delete_repository);
	else
		bitbucket_finish(call, &answer, NULL);
}

static void on_delete_repository(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_asked_about(call, "read");
	struct bitbucket_answer answer;

	bitbucket_answer(&asked, result, &answer);
	bitbucket_finish(call, &answer, NULL); /* it is there, so the webhook is not */
}

/* ---- test_hook ---- */

static void on_test_brief(struct scm_call *call, const struct http_result *result);
static void on_test(struct scm_call *call, const struct http_result *result);
static void on_test_repository(struct scm_call *call, const struct http_result *result);

static void send_test(struct scm_call *call)
{
	const struct bitbucket_hooks_work *work = call->kept;
	struct bitbucket_path path = bitbucket_hooks_path(call, "");

	bitbucket_path_put(&path, "/test");
	bitbucket_query_put(&path, "url", work->want.url);
	if (work->want.id[0] != '\0') /* since 8: with the credentials that it has */
		bitbucket_query_put(&path, "webhookId", work->want.id);
	if (work->brief.tells_ssl)
		bitbucket_query_put(
		    &path, "sslVerificationRequired", work->brief.ssl ? "true" : "false");
	if (bitbucket_path_fits(call, &path))
		scm_call_send(call,
		    &(struct scm_call_request){.method = "POST",
		        .body_limit = BITBUCKET_BODY_MAX,
		        .headers = &no_check,
		        .header_count = 1},
		    on_test);
}

struct scm_call *bitbucket_test_hook(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug,
    const struct scm_hook_want *want, scm_delivery_fn *fn, void *arg)
{
	struct scm_call *call = bitbucket_hooks_begin(scm, server, token, project, slug,
	    SCM_CALL_DELIVERY, (union scm_call_fn){.delivery = fn}, arg);
	const struct bitbucket_hooks_work *work = bitbucket_hooks_want(call, want);
	struct bitbucket_path path;

	if (work->want.id[0] == '\0') {
		send_test(call);
		return call;
	}
	path = bitbucket_hooks_path(call, work->want.id);
	bitbucket_get(call, &path, BITBUCKET_BODY_MAX, on_test_brief);
	return call;
}

static void on_test_brief(struct scm_call *call, const struct http_result *result)
{
	read_brief(call->kept, result);
	send_test(call);
}

static void finish_test(struct scm_call *call, struct bitbucket_answer *answer,
    const struct http_result *result, const struct bitbucket_delivery *delivery)
{
	bitbucket_hooks_went_well(answer, result);
	bitbucket_finish(call, answer,
	    &(struct scm_delivery){.outcome = delivery->outcome,
	        .status = delivery->status,
	        .words = delivery->words,
	        .ended_ms = delivery->ended_ms});
}

/* Servers that cannot test, and answers without a word: unknown. */
static bool tells_nothing(const struct bitbucket_answer *answer, const struct http_result *result)
{
	if (result->err || answer->page)
		return false;
	return result->status == 405 || (result->status / 100 == 2 && result->body_length == 0);
}

static void on_test(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_hooks_asked(call);
	struct bitbucket_delivery delivery = {.outcome = SCM_DELIVERY_NONE};
	struct bitbucket_answer answer;

	bitbucket_answer(&asked, result, &answer);
	if (answer.scm.outcome == SCM_OK) {
		bitbucket_parse_test(result->body, result->body_length, &delivery);
		finish_test(call, &answer, result, &delivery);
	} else if (tells_nothing(&answer, result)) {
		finish_test(call, &answer, result, &delivery);
	} else if (answer.unclear) {
		bitbucket_hooks_ask_repository(call, on_test_repository);
	} else {
		bitbucket_finish(call, &answer, NULL);
	}
}

static void on_test_repository(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_asked_about(call, "read");
	struct bitbucket_delivery delivery = {.outcome = SCM_DELIVERY_NONE};
	struct bitbucket_answer answer;

	bitbucket_answer(&asked, result, &answer);
	if (answer.scm.outcome == SCM_OK)
		finish_test(call, &answer, result, &delivery);
	else
		bitbucket_finish(call, &answer, NULL);
}
