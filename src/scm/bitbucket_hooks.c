/*
 * bitbucket_hooks: what the webhook calls share, and the list of a repository's webhooks:
 *
 *   list_hooks   (webhooks/capabilities) -> webhooks?statistics=true (all pages)
 *                -> {id}/statistics/summary, when the list does not tell of the likeliest one
 *
 * Sources: REST API 8.19 (Bitbucket Data Center), "Repository", webhooks; Bitbucket Server 5.16,
 * "Webhooks"; "Event payload" for the events' names.
 */
#include "scm/bitbucket_hooks.h"
#include "base/clock.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

#define PAGE_ROWS 100
#define EVENTS_TEXT 4096

static void work_release(void *kept)
{
	struct bitbucket_hooks_work *work = kept;

	for (unsigned i = 0; i < work->want.event_count; i++)
		free((char *)work->events[i]);
	free((char *)work->want.id);
	free((char *)work->want.name);
	free((char *)work->want.url);
	secret_free(&work->secret);
	bitbucket_hooks_free(&work->hooks);
	free(work);
}

struct bitbucket_hooks_work *bitbucket_hooks_want(
    struct scm_call *call, const struct scm_hook_want *want)
{
	struct bitbucket_hooks_work *work = mem_zero(sizeof(*work));

	call->kept = work;
	call->release = work_release;
	work->want.id = mem_string(want->id != NULL ? want->id : "");
	work->want.name = mem_string(want->name != NULL ? want->name : "");
	work->want.url = mem_string(want->url != NULL ? want->url : "");
	for (unsigned i = 0; i < want->event_count && i < SCM_HOOK_EVENTS; i++)
		work->events[work->want.event_count++] = mem_string(want->events[i]);
	work->want.events = work->events;
	if (want->secret != NULL && want->secret->length > 0) {
		secret_set(&work->secret, want->secret->data, want->secret->length);
		work->want.secret = &work->secret;
	}
	return work;
}

struct scm_call *bitbucket_hooks_begin(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug, enum scm_call_kind kind,
    union scm_call_fn fn, void *arg)
{
	return scm_call_new(scm, server, kind, fn, arg,
	    &(struct scm_call_input){.token = token, .project = project, .slug = slug});
}

struct bitbucket_asked bitbucket_hooks_asked(const struct scm_call *call)
{
	struct bitbucket_asked asked = bitbucket_asked_about(call, "administer the webhooks of");

	asked.webhooks = true;
	return asked;
}

/* .../webhooks, or .../webhooks/{id} */
struct bitbucket_path bitbucket_hooks_path(struct scm_call *call, const char *id)
{
	struct bitbucket_path path = bitbucket_begin(call);

	bitbucket_path_put_repository(&path, call->project, call->slug);
	bitbucket_path_put(&path, "/webhooks");
	if (id[0] != '\0') {
		bitbucket_path_put(&path, "/");
		bitbucket_path_put_text(&path, id);
	}
	return path;
}

void bitbucket_hooks_ask_repository(struct scm_call *call, scm_step_fn *step)
{
	struct bitbucket_path path = bitbucket_begin(call);

	bitbucket_path_put_repository(&path, call->project, call->slug);
	bitbucket_get(call, &path, BITBUCKET_BODY_MAX, step);
}

/* The answer to the last request is not the call's: that one went well. */
void bitbucket_hooks_went_well(struct bitbucket_answer *answer, const struct http_result *result)
{
	answer->scm = (struct scm_answer){
	    .outcome = SCM_OK, .status = 200, .retry_after_ms = -1, .trace = result->trace};
}

/* ---- what the server knows ---- */

/* The call's url is the server's own: nothing is appended yet. */
static void name_known(struct scm_call *call)
{
	struct bitbucket_hooks_work *work = call->kept;
	struct bitbucket_path path = bitbucket_begin(call);
	char base[URL_TEXT];
	struct buf text;

	url_text(path.url, base, sizeof(base));
	buf_init(&text, URL_TEXT + EVENTS_TEXT);
	buf_puts(&text, base);
	for (unsigned i = 0; i < work->want.event_count; i++)
		buf_printf(&text, "\n%s", work->events[i]);
	crypto_sha256(work->known_of, text.data, text.length);
	buf_free(&text);
}

static struct scm_known *find_known(struct scm_call *call)
{
	const struct bitbucket_hooks_work *work = call->kept;

	for (unsigned i = 0; i < SCM_KNOWN; i++) {
		struct scm_known *known = &call->scm->known[i];

		if (known->until_ms != 0 &&
		    memcmp(known->of, work->known_of, sizeof(known->of)) == 0)
			return known;
	}
	return NULL;
}

/* The one that is kept for longest gives way. */
void bitbucket_hooks_note_known(struct scm_call *call)
{
	const struct bitbucket_hooks_work *work = call->kept;
	struct scm_known *known = find_known(call);

	for (unsigned i = 0; known == NULL && i < SCM_KNOWN; i++)
		if (call->scm->known[i].until_ms == 0)
			known = &call->scm->known[i];
	for (unsigned i = 0; known == NULL && i < SCM_KNOWN; i++)
		if (i == 0 || call->scm->known[i].until_ms < known->until_ms)
			known = &call->scm->known[i];
	memcpy(known->of, work->known_of, sizeof(known->of));
	known->known = work->known;
	known->certain = work->certain;
	known->until_ms = clock_monotonic_ms() + SCM_KNOWN_MS;
}

static void on_known(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_hooks_asked(call);
	struct bitbucket_hooks_work *work = call->kept;
	struct bitbucket_answer answer;

	asked.project = asked.slug = NULL; /* it is about the server */
	bitbucket_answer(&asked, result, &answer);
	if (!bitbucket_capability_told(&answer)) {
		bitbucket_finish(call, &answer, NULL);
		return;
	}
	work->known = bitbucket_events_assumed(&work->want);
	work->certain = bitbucket_events_certain(&work->want);
	if (answer.scm.outcome == SCM_OK &&
	    bitbucket_parse_known_events(
	        result->body, result->body_length, &work->want, &work->known, NULL))
		work->certain = work->known;
	bitbucket_hooks_note_known(call);
	work->then(call);
}

void bitbucket_hooks_know(struct scm_call *call, void (*then)(struct scm_call *call))
{
	struct bitbucket_hooks_work *work = call->kept;
	const struct scm_known *known;
	struct bitbucket_path path;

	name_known(call);
	known = find_known(call);
	if (known != NULL && known->until_ms > clock_monotonic_ms()) {
		work->known = known->known;
		work->certain = known->certain;
		then(call);
		return;
	}
	work->then = then;
	path = bitbucket_begin(call);
	bitbucket_path_put(&path, "/rest/webhooks/latest/capabilities");
	bitbucket_get(call, &path, BITBUCKET_BODY_MAX, on_known);
}

/* ---- list_hooks ---- */

static void ask_page(struct scm_call *call);
static void on_list(struct scm_call *call, const struct http_result *result);
static void on_list_repository(struct scm_call *call, const struct http_result *result);
static void on_statistics(struct scm_call *call, const struct http_result *result);

struct scm_call *bitbucket_list_hooks(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug,
    const struct scm_hook_want *want, scm_hooks_fn *fn, void *arg)
{
	struct scm_call *call = bitbucket_hooks_begin(scm, server, token, project, slug,
	    SCM_CALL_HOOKS, (union scm_call_fn){.hooks = fn}, arg);

	bitbucket_hooks_want(call, want);
	bitbucket_hooks_know(call, ask_page);
	return call;
}

static void ask_page(struct scm_call *call)
{
	struct bitbucket_path path = bitbucket_hooks_path(call, "");

	bitbucket_query_put(&path, "statistics", "true"); /* who does not know it lets it be */
	bitbucket_query_put_uint(&path, "limit", PAGE_ROWS);
	if (call->start)
		bitbucket_query_put_uint(&path, "start", call->start);
	bitbucket_get(call, &path, BITBUCKET_HOOKS_MAX, on_list);
}

/* The one that is most like the wanted one; NULL when none is. */
static struct bitbucket_hook *most_like(struct bitbucket_hooks_work *work)
{
	struct bitbucket_hook *best = NULL;

	for (unsigned i = 0; i < work->hooks.count; i++) {
		struct bitbucket_hook *hook = &work->hooks.list[i];
		if (hook->likeness > (best != NULL ? best->likeness : 0))
			best = hook;
	}
	return best;
}

static void finish_list(struct scm_call *call, const struct bitbucket_answer *answer)
{
	struct bitbucket_hooks_work *work = call->kept;
	struct scm_hook *list = mem_array(work->hooks.count + 1, sizeof(*list));
	struct buf events;

	for (unsigned i = 0; i < work->hooks.count; i++) {
		const struct bitbucket_hook *hook = &work->hooks.list[i];

		list[i] = (struct scm_hook){.id = hook->id,
		    .name = hook->name,
		    .url = hook->url,
		    .differs = hook->differs,
		    .delivery = {.outcome = hook->delivery.outcome,
		        .status = hook->delivery.status,
		        .words = hook->delivery.words,
		        .ended_ms = hook->delivery.ended_ms}};
	}
	buf_init(&events, EVENTS_TEXT);
	for (unsigned i = 0; i < work->want.event_count; i++)
		if (work->known & UINT32_C(1) << i)
			buf_printf(&events, "%s%s", events.length > 0 ? " " : "", work->events[i]);
	bitbucket_finish(call, answer,
	    &(struct scm_hooks){.list = list,
	        .count = work->hooks.count,
	        .events = events.data != NULL ? events.data : ""});
	buf_free(&events);
	free(list);
}

static void finish_too_many(struct scm_call *call, struct bitbucket_answer *answer)
{
	struct err *err = &answer->err;

	err_set(err, "webhooks_too_many", "%s/%s has more than %d webhooks", call->project,
	    call->slug, SCM_HOOKS_MAX);
	err_hop(err, "Bitbucket, HTTP %d", answer->scm.status);
	err_hint(err, "Delete those that nothing needs any more, in Bitbucket.");
	answer->scm.outcome = SCM_PERMANENT;
	answer->scm.scope = SCM_SCOPE_REPOSITORY;
	answer->scm.err = err;
	bitbucket_finish(call, answer, NULL);
}

static void on_list(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_hooks_asked(call);
	struct bitbucket_hooks_work *work = call->kept;
	struct bitbucket_compare compare = {
	    .want = &work->want, .wanted = work->known, .certain = work->certain};
	const struct bitbucket_hook *hook;
	struct bitbucket_answer answer;
	struct bitbucket_path path;
	struct err why = ERR_INIT;

	bitbucket_answer(&asked, result, &answer);
	if (answer.unclear) {
		bitbucket_hooks_ask_repository(call, on_list_repository);
		return;
	}
	if (answer.scm.outcome != SCM_OK) {
		bitbucket_finish(call, &answer, NULL);
		return;
	}
	if (!bitbucket_parse_hooks(result->body, result->body_length, call->start, &compare,
	        &work->hooks, &call->start, &why)) {
		if (err_is(&why, "too_many"))
			finish_too_many(call, &answer);
		else
			bitbucket_finish_malformed(call, &asked, result, &why);
		return;
	}
	if (call->start) {
		ask_page(call); /* each page has a row: SCM_HOOKS_MAX bounds them */
		return;
	}
	hook = most_like(work);
	if (hook == NULL || hook->has_statistics) {
		finish_list(call, &answer);
		return;
	}
	path = bitbucket_hooks_path(call, hook->id);
	bitbucket_path_put(&path, "/statistics/summary");
	bitbucket_get(call, &path, BITBUCKET_BODY_MAX, on_statistics);
}

/* Statistics are welcome, not needed: whatever goes wrong, the last delivery is unknown. */
static void on_statistics(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_hooks_work *work = call->kept;
	struct bitbucket_hook *hook = most_like(work);
	struct bitbucket_answer answer;

	if (hook != NULL && !result->err && result->status == 200)
		bitbucket_parse_delivery(result->body, result->body_length, &hook->delivery);
	bitbucket_hooks_went_well(&answer, result);
	finish_list(call, &answer);
}

/* After a 404 of .../webhooks. */
void bitbucket_hooks_finish_none(struct scm_call *call, struct bitbucket_answer *answer)
{
	struct err *err = &answer->err;

	err_set(err, "webhooks_unknown", "%s has no webhooks", call->url.host);
	err_hop(err, "Bitbucket, HTTP 404");
	err_hint(err, "Bitbucket Server has them since version 5.4: update it.");
	answer->scm = (struct scm_answer){.outcome = SCM_PERMANENT,
	    .scope = SCM_SCOPE_REPOSITORY,
	    .status = 404,
	    .retry_after_ms = -1,
	    .err = err,
	    .trace = answer->scm.trace};
	bitbucket_finish(call, answer, NULL);
}

static void on_list_repository(struct scm_call *call, const struct http_result *result)
{
	struct bitbucket_asked asked = bitbucket_asked_about(call, "read");
	struct bitbucket_answer answer;

	bitbucket_answer(&asked, result, &answer);
	if (answer.scm.outcome == SCM_OK)
		bitbucket_hooks_finish_none(call, &answer);
	else
		bitbucket_finish(call, &answer, NULL);
}
