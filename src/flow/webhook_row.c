#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "eyes/events.h"
#include "flow/webhook_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const webhook_events[WEBHOOK_EVENTS] = {"repo:refs_changed", "pr:opened", "pr:modified",
    "pr:from_ref_updated", "pr:merged", "pr:declined", "pr:deleted"};

static bool append_instance(struct url *url, const char *instance, struct err *err)
{
	size_t used = strlen(url->query);
	int added = snprintf(url->query + used, sizeof(url->query) - used, "%sinstance=%s",
	    used > 0 ? "&" : "", instance);

	if (added > 0 && (size_t)added < sizeof(url->query) - used)
		return true;
	return err_set(err, "url_invalid", "EYES_WEBHOOK_URL is too long");
}

/* Straight to Eyes. */
static bool direct_url(struct webhook_keeper *keeper, const struct record_server *server, char *out,
    size_t size, struct err *err)
{
	const struct webhook_options *o = &keeper->options;
	const char *instance = hooks_instance(o->hooks);
	struct eyes_event_place place = {
	    .server = o->eyes_url, .organization = o->organization, .instance = instance};
	struct url base, url;

	if (o->eyes_url == NULL || o->organization[0] == '\0') {
		err_set(err, "config_missing",
		    "the Eyes server and the organization are not configured");
		err_hint(err, "Set EYES_SERVER_URL and EYES_ORG_ID; the webhook is made then.");
		return false;
	}
	if (!url_parse(&base, server->url, err))
		return false;
	place.server_host = base.host;
	if (!eyes_event_url(o->url_template, &place, &url, err))
		return false;
	if (strstr(o->url_template, "{instanceId}") == NULL &&
	    !append_instance(&url, instance, err))
		return false;
	url_text(&url, out, size);
	return true;
}

bool webhook_target(struct webhook_keeper *keeper, const struct record_repo *record,
    bool with_secret, struct webhook_target *out, struct err *err)
{
	const struct webhook_options *o = &keeper->options;
	const struct record_server *server = records_server(o->records, record->server);
	const char *instance = hooks_instance(o->hooks);

	*out = (struct webhook_target){0};
	snprintf(out->name, sizeof(out->name), "eyes-scm %s", instance);
	if (server == NULL)
		return err_set(err, "not_found", "its server is not set up here any more");
	if (!o->relay) {
		if (!direct_url(keeper, server, out->url, sizeof(out->url), err))
			return false;
		if (o->sign != NULL && with_secret)
			secret_set(&out->secret, o->sign->data, o->sign->length);
		return true;
	}
	snprintf(out->url, sizeof(out->url), "%s/api/bitbucket-events-proxy/%u?instance=%s",
	    o->own_url, record->id, instance);
	return !with_secret ||
	       hooks_secret(o->hooks, record->id, clock_wall_ms(), &out->secret, NULL, err);
}

void webhook_target_free(struct webhook_target *target)
{
	secret_free(&target->secret);
}

void webhook_row_say(struct record_hook *row, enum hook_state state, const struct err *err)
{
	row->state = state;
	row->code = err != NULL ? err->code : "";
	row->error = err != NULL ? err->message : "";
	row->hint = err != NULL ? err->hint : "";
}

bool webhook_row_put(struct webhook_keeper *keeper, const struct record_hook *row, struct err *err)
{
	bool ok = hooks_put(keeper->options.hooks, row, err);

	if (!ok)
		log_error("webhooks", "the state of a webhook cannot be stored",
		    log_uint("repository", row->repo), log_err(err));
	if (keeper->options.inbox != NULL)
		inbox_forget(keeper->options.inbox, row->repo);
	return ok;
}

bool webhook_row_prepare(struct webhook_keeper *keeper, uint32_t repo, struct err *err)
{
	struct hooks *hooks = keeper->options.hooks;
	struct record_hook row;

	if (!hooks_get(hooks, repo, &row)) {
		row = (struct record_hook){.repo = repo,
		    .relay = keeper->options.relay,
		    .id = "",
		    .url = "",
		    .events = ""};
		webhook_row_say(&row, HOOK_NEW, NULL);
		if (!webhook_row_put(keeper, &row, err))
			return false;
	} else if (row.state == HOOK_REMOVING) { /* enabled again meanwhile */
		webhook_row_say(&row, HOOK_NEW, NULL);
		if (!webhook_row_put(keeper, &row, err))
			return false;
	}
	if (!keeper->options.relay)
		return true;
	if (!row.relay) { /* before the server can send the first */
		row.relay = true;
		if (!webhook_row_put(keeper, &row, err))
			return false;
	}
	return row.has_secret || hooks_make_secret(hooks, repo, err);
}

/* Whether this row is one of a webhook that can be written. */
static bool may_rotate(
    struct webhook_keeper *keeper, const struct record_hook *row, struct err *err)
{
	if (!keeper->options.relay) {
		err_set(err, "secret_configured",
		    "events go straight to Eyes: their secret is EYES_WEBHOOK_SECRET");
		err_hint(err, "Change it in eyes-scm.conf and restart eyes-scm.");
		return false;
	}
	if (row->state == HOOK_MANUAL || row->id[0] == '\0') {
		err_set(err, "not_admin", "this webhook is entered by hand, and so is its secret");
		err_hint(err, "See eyes-scm webhook by-hand: it makes a new secret each time.");
		return false;
	}
	return true;
}

bool webhook_row_rotate(
    struct webhook_keeper *keeper, uint32_t repo, const char *who, struct err *err)
{
	struct hooks *hooks = keeper->options.hooks;
	struct record_hook row;

	if (!hooks_get(hooks, repo, &row))
		return err_set(err, "not_found", "this repository has no webhook");
	if (!may_rotate(keeper, &row, err))
		return false;
	if (row.events[0] == '\0')
		return true;
	if (!hooks_rotate_secret(hooks, repo, clock_wall_ms(), err) ||
	    !hooks_get(hooks, repo, &row))
		return false;
	row.events = ""; /* what the server has is to be written anew, also after a crash */
	if (!webhook_row_put(keeper, &row, err))
		return false;
	webhook_audit(keeper, repo, who, "webhook.rotate", "the old secret counts for an hour");
	return true;
}

bool webhook_row_is_unsure(const struct record_hook *row)
{
	return row->events[0] == '\0';
}

void webhook_keep_delivery(
    struct scm_delivery *to, char *words, size_t size, const struct scm_delivery *from)
{
	*to = *from;
	snprintf(words, size, "%s", from->words != NULL ? from->words : "");
	to->words = words;
	if (to->ended_ms == 0 && to->outcome != SCM_DELIVERY_NONE)
		to->ended_ms = clock_wall_ms();
}

void webhook_row_judge(struct record_hook *row, const struct scm_delivery *delivery)
{
	if (delivery->outcome == SCM_DELIVERY_OK && delivery->ended_ms > row->delivered_ms)
		row->delivered_ms = delivery->ended_ms;
	else if ((delivery->outcome == SCM_DELIVERY_FAILED ||
	             delivery->outcome == SCM_DELIVERY_ERROR) &&
	         delivery->ended_ms > row->failed_ms)
		row->failed_ms = delivery->ended_ms;
}

bool webhook_row_is_failing(const struct record_hook *row)
{
	return row->failed_ms > row->delivered_ms && row->failed_ms >= row->changed_ms;
}

void webhook_audit(struct webhook_keeper *keeper, uint32_t repo, const char *who,
    const char *action, const char *detail)
{
	const struct record_server *server;
	struct record_repo record;
	struct err err = ERR_INIT;
	char *subject;

	if (records_repo(keeper->options.records, repo, &record)) {
		server = records_server(keeper->options.records, record.server);
		subject = mem_printf(
		    "%s/%s on %s", record.project, record.slug, server != NULL ? server->url : "?");
	} else {
		subject = mem_printf("repository %u", repo);
	}
	if (!audit_add(keeper->options.audit, who, action, subject, detail, &err))
		log_error(
		    "audit", "an entry cannot be stored", log_str("action", action), log_err(&err));
	log_info("webhooks", action, log_str("repository", subject), log_str("who", who),
	    log_str("detail", detail));
	free(subject);
}
