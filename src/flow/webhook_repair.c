#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "flow/webhook_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct metric repairs = METRIC(METRIC_COUNTER, "eyes_scm_webhook_repairs_total", "",
    "Webhooks that were made again or put right");

static void put_answered(const struct scm_answer *answer, const char *id, void *arg);
static void deleted(const struct scm_answer *answer, void *arg);
static void test(struct webhook_check *check);
static void tested(const struct scm_answer *answer, const struct scm_delivery *delivery, void *arg);

/* ---- making it, putting it right ---- */

void webhook_put(struct webhook_check *check)
{
	struct scm_hook_want want = webhook_check_want(check, check->id);
	struct server *server = webhook_check_server(check);

	if (server == NULL) {
		webhook_finish_unmade(check);
		return;
	}
	check->call = server->driver->put_hook(check->keeper->options.scm, &server->view,
	    &check->token, check->project, check->slug, &want, put_answered, check);
}

static void audit_put(struct webhook_check *check, const struct record_hook *row, bool created)
{
	const char *action = "webhook.change";
	char words[160];

	hook_differs_text(check->differs, words, sizeof(words));
	if (created)
		snprintf(words, sizeof(words), "%s", row->id[0] != '\0' ? "it was gone" : "");
	if (check->counted)
		action = "webhook.repair";
	else if (created)
		action = "webhook.make";
	else if (row->id[0] == '\0')
		action = "webhook.adopt";
	webhook_audit(check->keeper, check->repo, webhook_check_who(check), action, words);
}

/* Another secret may have been made on the way: the server then has the one before. */
static bool is_secret_current(struct webhook_check *check)
{
	struct secret current = {0};
	bool same;

	if (!check->keeper->options.relay)
		return true;
	same = hooks_secret(check->keeper->options.hooks, check->repo, clock_wall_ms(), &current,
	           NULL, NULL) &&
	       secret_equal(&current, &check->target.secret);
	secret_free(&current);
	return same;
}

/* The server has it: written down at once, so that a test delivery finds it right. */
static bool note_put(struct webhook_check *check, const char *id)
{
	bool created = check->id[0] == '\0', current = is_secret_current(check),
	     force = check->request != NULL && check->request->force;
	int64_t now = clock_wall_ms();
	struct record_hook row;

	if (!webhook_check_row(check, &row))
		return false;
	audit_put(check, &row, created);
	if (!webhook_check_row(
	        check, &row)) /* the audit row was a write: its strings went with it */
		return false;
	check->made = created || check->made;
	check->repaired = check->counted;
	if (force)
		memset(row.repairs, 0, sizeof(row.repairs));
	if (check->counted) {
		metric_add(&repairs, 1);
		memmove(row.repairs + 1, row.repairs, sizeof(row.repairs[0]) * (HOOKS_REPAIRS - 1));
		row.repairs[0] = now;
	}
	snprintf(check->id, sizeof(check->id), "%s", id);
	check->written = true;
	row.by_hand = check->by_hand = check->by_hand && !created;
	row.relay = check->keeper->options.relay;
	row.id = check->id;
	row.url = check->target.url;
	row.events = current ? check->events : "";
	row.changed_ms = now;
	webhook_row_say(&row, HOOK_OK, NULL);
	if (!webhook_row_put(check->keeper, &row, &check->err))
		return false;
	check->watch->changed |= !current;
	return !current || !row.relay ||
	       hooks_secret_seen(check->keeper->options.hooks, check->repo, &check->err);
}

static void put_answered(const struct scm_answer *answer, const char *id, void *arg)
{
	struct webhook_check *check = arg;
	bool creating = check->id[0] == '\0';

	if (webhook_check_answered(check, answer)) {
		if (note_put(check, id))
			webhook_delete_extra(check);
		else
			webhook_check_end(check, WEBHOOK_SOON);
		return;
	}
	if (err_is(&check->err, "not_admin")) {
		webhook_finish_manual(check);
		return;
	}
	if (answer->rate_limited || answer->scope == SCM_SCOPE_TOKEN) {
		webhook_finish_unmade(check);
		return;
	}
	err_copy(&check->fault, &check->err);
	check->refused = true;
	if (creating && answer->doubtful && !check->relisted) {
		check->relisted = check->made = true; /* when the list has it */
		webhook_check_pace(check, webhook_list);
	} else if (answer->outcome == SCM_TEMPORARY || check->looked) {
		webhook_finish_bad(check, HOOK_BROKEN);
	} else {
		webhook_check_pace(check, webhook_look);
	}
}

/* ---- duplicates of our own ---- */

static void delete_one(struct webhook_check *check)
{
	struct server *server = webhook_check_server(check);

	if (server == NULL) {
		webhook_finish_unmade(check);
		return;
	}
	check->call =
	    server->driver->delete_hook(check->keeper->options.scm, &server->view, &check->token,
	        check->project, check->slug, check->extra[check->extra_count - 1], deleted, check);
}

void webhook_delete_extra(struct webhook_check *check)
{
	if (check->extra_count > 0)
		webhook_check_pace(check, delete_one);
	else
		test(check);
}

static void deleted(const struct scm_answer *answer, void *arg)
{
	struct webhook_check *check = arg;
	char *id = check->extra[--check->extra_count];

	if (webhook_check_answered(check, answer))
		webhook_audit(
		    check->keeper, check->repo, webhook_check_who(check), "webhook.delete", id);
	else
		log_warn("webhooks", "a webhook that is there twice cannot be deleted",
		    log_str("project", check->project), log_str("slug", check->slug),
		    log_str("id", id), log_err(answer->err));
	err_clear(&check->err); /* it is tried again at the next check */
	free(id);
	webhook_delete_extra(check);
}

/* ---- do deliveries arrive ---- */

static void send_test(struct webhook_check *check)
{
	struct scm_hook_want want = webhook_check_want(check, check->id);
	struct server *server = webhook_check_server(check);

	if (server == NULL) {
		webhook_finish_unmade(check);
		return;
	}
	check->call = server->driver->test_hook(check->keeper->options.scm, &server->view,
	    &check->token, check->project, check->slug, &want, tested, check);
}

/* After it was written, and as long as deliveries fail: it may be over. */
static void test(struct webhook_check *check)
{
	struct record_hook row;

	if (!webhook_check_row(check, &row)) {
		webhook_check_end(check, WEBHOOK_AT_PERIOD);
		return;
	}
	webhook_row_judge(&row, &check->delivery);
	if (check->written || webhook_row_is_failing(&row) ||
	    (check->request != NULL && check->request->force))
		webhook_check_pace(check, send_test);
	else
		webhook_finish(check);
}

static void tested(const struct scm_answer *answer, const struct scm_delivery *delivery, void *arg)
{
	struct webhook_check *check = arg;

	if (webhook_check_answered(check, answer)) {
		check->tested = delivery->outcome != SCM_DELIVERY_NONE;
		webhook_keep_delivery(
		    &check->test, check->test_words, sizeof(check->test_words), delivery);
	}
	err_clear(&check->err); /* a server that cannot test tells nothing */
	webhook_finish(check);
}
