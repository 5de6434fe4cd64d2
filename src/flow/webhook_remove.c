#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/webhook_internal.h"
#include <stdlib.h>
#include <string.h>

#define GIVE_UP_MS (7 * 24 * 3600 * 1000ll)

static void listed(const struct scm_answer *answer, const struct scm_hooks *hooks, void *arg);
static void delete_next(struct webhook_check *check);
static void deleted(const struct scm_answer *answer, void *arg);

static bool is_enabled(struct webhook_check *check)
{
	struct record_repo record;

	return records_repo(check->keeper->options.records, check->repo, &record) &&
	       record.state != REPO_DISABLED;
}

/* Enabled again: a check takes over, which makes the webhook anew where it is gone. */
static void begin_again(struct webhook_check *check)
{
	struct record_hook row;

	err_clear(&check->err);
	if (hooks_get(check->keeper->options.hooks, check->repo, &row)) {
		row.id = row.events = "";
		webhook_row_say(&row, HOOK_NEW, NULL);
		(void)webhook_row_put(check->keeper, &row, &check->err);
	}
	webhook_check_end(check, WEBHOOK_SOON);
}

/* Nothing can be done about it any more: row and token go. err, when set, says what stays behind.
 * detail: of the audit row; NULL for none. */
static void finish_gone(struct webhook_check *check, const char *detail)
{
	struct webhook_keeper *keeper = check->keeper;
	struct err err = ERR_INIT;

	if (is_enabled(check)) {
		begin_again(check);
		return;
	}
	if (!records_forget_token(keeper->options.records, check->repo, &err) &&
	    !err_is(&err, "not_found") && !err_is(&err, "no_token")) {
		err_copy(&check->err, &err);
		webhook_check_end(check, WEBHOOK_SOON);
		return;
	}
	if (!hooks_remove(keeper->options.hooks, check->repo, &err)) {
		err_copy(&check->err, &err);
		webhook_check_end(check, WEBHOOK_SOON);
		return;
	}
	if (keeper->options.inbox != NULL)
		inbox_forget(keeper->options.inbox, check->repo);
	if (detail != NULL)
		webhook_audit(
		    keeper, check->repo, webhook_check_who(check), "webhook.remove", detail);
	check->gone = true;
	webhook_check_end(check, WEBHOOK_NEVER);
}

static void say_left(struct webhook_check *check)
{
	err_hint(&check->err, "Delete the webhook \"%s\" of %s/%s in Bitbucket by hand.",
	    check->target.name, check->project, check->slug);
}

/* The server could not be asked: the token is kept for another try. */
static void finish_later(struct webhook_check *check)
{
	struct record_hook row;

	if (!hooks_get(check->keeper->options.hooks, check->repo, &row)) {
		webhook_check_end(check, WEBHOOK_NEVER);
		return;
	}
	if (clock_wall_ms() - row.changed_ms >= GIVE_UP_MS) {
		say_left(check);
		finish_gone(check, "given up after a week: it may still be there");
		return;
	}
	err_hint(&check->err,
	    "The webhook is deleted when Bitbucket can be reached, within a week; the token is "
	    "kept, sealed, until then.");
	check->state = HOOK_REMOVING;
	row.checked_ms = clock_wall_ms();
	webhook_row_say(&row, HOOK_REMOVING, &check->err);
	(void)webhook_row_put(check->keeper, &row, &check->err);
	webhook_check_end(check, WEBHOOK_SOON);
}

static void refused(struct webhook_check *check, const struct scm_answer *answer)
{
	if (answer->outcome == SCM_TEMPORARY) {
		finish_later(check);
	} else if (answer->outcome == SCM_BLOCKED && answer->scope != SCM_SCOPE_TOKEN &&
	           !err_is(&check->err, "not_admin")) {
		err_clear(&check->err); /* the repository is gone, and its webhooks with it */
		finish_gone(check, "the repository is not there any more");
	} else {
		say_left(check);
		finish_gone(check, "it may still be there: the token may not delete it");
	}
}

static void list(struct webhook_check *check)
{
	struct scm_hook_want want = webhook_check_want(check, "");
	struct server *server = webhook_check_server(check);

	if (server == NULL) {
		finish_gone(check, "its server is not set up any more");
		return;
	}
	check->call = server->driver->list_hooks(check->keeper->options.scm, &server->view,
	    &check->token, check->project, check->slug, &want, listed, check);
}

void webhook_remove_start(struct webhook_check *check)
{
	struct webhook_keeper *keeper = check->keeper;
	struct err err = ERR_INIT;
	struct record_repo record;
	struct record_hook row;

	check->state = HOOK_REMOVING;
	if (!hooks_get(keeper->options.hooks, check->repo, &row)) {
		finish_gone(check, NULL); /* there never was one */
		return;
	}
	if (!records_repo_token(keeper->options.records, check->repo, &check->token, &check->err)) {
		finish_gone(check, "there is no token to delete it with");
		return;
	}
	if (row.state != HOOK_REMOVING) {
		row.changed_ms = clock_wall_ms(); /* the week begins */
		webhook_row_say(&row, HOOK_REMOVING, NULL);
		(void)webhook_row_put(keeper, &row, &err);
	}
	if (!records_repo(keeper->options.records, check->repo, &record)) {
		finish_gone(check, NULL);
		return;
	}
	/* Only the name counts: an address that cannot be made is no reason to leave it there. */
	(void)webhook_target(keeper, &record, false, &check->target, &err);
	webhook_check_pace(check, list);
}

static void listed(const struct scm_answer *answer, const struct scm_hooks *hooks, void *arg)
{
	struct webhook_check *check = arg;
	struct hook_wanted wanted = {.instance = hooks_instance(check->keeper->options.hooks),
	    .name = check->target.name,
	    .id = ""};

	if (!webhook_check_answered(check, answer)) {
		refused(check, answer);
		return;
	}
	check->extra = mem_array(hooks->count + 1, sizeof(*check->extra));
	for (unsigned i = 0; i < hooks->count; i++)
		if (hook_is_ours(&wanted, &hooks->list[i]))
			check->extra[check->extra_count++] = mem_string(hooks->list[i].id);
	delete_next(check);
}

static void delete_one(struct webhook_check *check)
{
	struct server *server = webhook_check_server(check);

	if (is_enabled(check)) {
		begin_again(check);
		return;
	}
	if (server == NULL) {
		finish_gone(check, "its server is not set up any more");
		return;
	}
	check->call =
	    server->driver->delete_hook(check->keeper->options.scm, &server->view, &check->token,
	        check->project, check->slug, check->extra[check->extra_count - 1], deleted, check);
}

static void delete_next(struct webhook_check *check)
{
	if (check->extra_count > 0)
		webhook_check_pace(check, delete_one);
	else
		finish_gone(check, "");
}

static void deleted(const struct scm_answer *answer, void *arg)
{
	struct webhook_check *check = arg;

	if (!webhook_check_answered(check, answer)) {
		refused(check, answer);
		return;
	}
	free(check->extra[--check->extra_count]);
	delete_next(check);
}
