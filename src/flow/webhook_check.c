#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/webhook_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Of checks that nobody asked for, one in so many asks for the repository itself as well. */
#define LOOK_EVERY 6

static void prepared(const struct err *err, void *arg);
static void looked(const struct scm_answer *answer, const struct scm_access *access, void *arg);
static void listed(const struct scm_answer *answer, const struct scm_hooks *hooks, void *arg);

/* ---- what the steps share ---- */

const char *webhook_check_who(const struct webhook_check *check)
{
	return check->request != NULL ? check->request->who : WEBHOOK_BY_ITSELF;
}

void webhook_request_free(struct webhook_request *request)
{
	if (request == NULL)
		return;
	free(request->who);
	free(request);
}

static void check_free(struct webhook_check *check)
{
	loop_timer_cancel(&check->timer);
	webhook_request_free(check->request);
	webhook_target_free(&check->target);
	secret_free(&check->token);
	for (unsigned i = 0; i < check->extra_count; i++)
		free(check->extra[i]);
	free(check->extra);
	free(check->events);
	free(check->trace);
	free(check);
}

static void pace_over(void *arg)
{
	struct webhook_check *check = arg;
	void (*step)(struct webhook_check *) = check->step;

	webhook_check_pace(check, step);
}

void webhook_check_pace(struct webhook_check *check, void (*step)(struct webhook_check *check))
{
	struct webhook_keeper *keeper = check->keeper;
	uint64_t now = clock_monotonic_ms();
	uint64_t until = webhook_lane_wait(keeper, check->lane, true, now);

	check->step = step;
	if (until > now && until != UINT64_MAX) {
		loop_timer_set(&check->timer, until - now);
		return;
	}
	webhook_lane_sent(keeper, check->lane);
	check->sent_ms = now;
	step(check);
}

static void take_fault(struct webhook_check *check, const struct scm_answer *answer)
{
	err_copy(&check->err, answer->err);
	free(check->trace);
	check->trace = NULL;
	if (answer->trace == NULL)
		return;
	check->trace = mem_zero(sizeof(*check->trace));
	*check->trace = *answer->trace;
}

bool webhook_check_answered(struct webhook_check *check, const struct scm_answer *answer)
{
	check->call = NULL;
	dispatcher_token_answered(check->keeper->options.dispatcher, check->lane->server->id,
	    check->repo, check->lane->fingerprint, check->sent_ms, answer);
	if (answer->outcome == SCM_OK)
		return true;
	take_fault(check, answer);
	return false;
}

struct server *webhook_check_server(struct webhook_check *check)
{
	return servers_get(check->keeper->options.servers, check->lane->server->id, &check->err);
}

struct scm_hook_want webhook_check_want(const struct webhook_check *check, const char *id)
{
	return (struct scm_hook_want){.id = id,
	    .name = check->target.name,
	    .url = check->target.url,
	    .secret = check->target.secret.length > 0 ? &check->target.secret : NULL,
	    .events = webhook_events,
	    .event_count = WEBHOOK_EVENTS};
}

bool webhook_check_row(struct webhook_check *check, struct record_hook *row)
{
	if (hooks_get(check->keeper->options.hooks, check->repo, row))
		return true;
	err_set(&check->err, "not_found", "the row of this webhook is gone");
	return false;
}

/* ---- the beginning and the end ---- */

void webhook_check_start(
    struct webhook_keeper *keeper, struct webhook_watch *watch, struct webhook_request *request)
{
	struct webhook_check *check = mem_zero(sizeof(*check));
	struct record_repo record;

	check->keeper = keeper;
	check->watch = watch;
	check->lane = watch->lane;
	check->request = request;
	check->repo = watch->repo;
	check->state = HOOK_NEW;
	watch->check = check;
	loop_timer_init(&check->timer, keeper->options.loop, pace_over, check);
	TAILQ_INSERT_TAIL(&keeper->checks, check, entry);
	if (!records_repo(keeper->options.records, check->repo, &record)) {
		(void)hooks_remove(keeper->options.hooks, check->repo, NULL); /* its server went */
		err_set(&check->err, "not_found", "this repository is not set up here any more");
		webhook_check_end(check, WEBHOOK_NEVER);
		return;
	}
	snprintf(check->project, sizeof(check->project), "%s", record.project);
	snprintf(check->slug, sizeof(check->slug), "%s", record.slug);
	if (record.state == REPO_DISABLED) {
		webhook_remove_start(check);
		return;
	}
	if (!records_repo_token(keeper->options.records, check->repo, &check->token, &check->err)) {
		webhook_check_end(check, WEBHOOK_AT_PERIOD);
		return;
	}
	if (!webhook_row_prepare(keeper, check->repo, &check->err) ||
	    (request != NULL && request->task == WEBHOOK_ROTATE &&
	        !webhook_row_rotate(keeper, check->repo, request->who, &check->err))) {
		webhook_check_end(check, WEBHOOK_AT_PERIOD);
		return;
	}
	/* A secret is on disk before the server has it. */
	db_after_commit(keeper->options.db, prepared, check);
}

static void prepared(const struct err *err, void *arg)
{
	struct webhook_check *check = arg;
	struct record_repo record;
	struct record_hook row;

	if (check->keeper == NULL) {
		check_free(check);
		return;
	}
	if (err != NULL) {
		err_copy(&check->err, err);
		webhook_check_end(check, WEBHOOK_SOON);
		return;
	}
	if (!webhook_check_row(check, &row) ||
	    !records_repo(check->keeper->options.records, check->repo, &record)) {
		webhook_check_end(check, WEBHOOK_AT_PERIOD);
		return;
	}
	check->was = check->state = row.state;
	if (!webhook_target(check->keeper, &record, true, &check->target, &check->err)) {
		webhook_finish_bad(
		    check, err_is(&check->err, "config_missing") ? HOOK_NEW : HOOK_BROKEN);
		return;
	}
	/* Whoever enables it has looked at it just now. */
	if (row.url[0] != '\0' &&
	    (check->request != NULL || check->watch->looks % LOOK_EVERY == LOOK_EVERY - 1))
		webhook_check_pace(check, webhook_look);
	else
		webhook_check_pace(check, webhook_list);
}

static void tell(struct webhook_check *check, const struct err *err)
{
	struct webhook_outcome outcome = {.state = check->state,
	    .gone = check->gone,
	    .made = check->made,
	    .repaired = check->repaired,
	    .test = check->tested ? &check->test : NULL,
	    .err = err,
	    .trace = err != NULL ? check->trace : NULL};

	if (check->request != NULL && check->request->fn != NULL)
		check->request->fn(&outcome, check->request->arg);
}

static void ended(const struct err *err, void *arg)
{
	struct webhook_check *check = arg;
	struct webhook_keeper *keeper = check->keeper;
	struct webhook_watch *watch = check->watch;
	enum webhook_next next = check->next;
	bool news =
	    check->request != NULL || check->written || check->gone || check->state != check->was;

	if (keeper == NULL) {
		check_free(check);
		return;
	}
	TAILQ_REMOVE(&keeper->checks, check, entry);
	watch->check = NULL;
	if (err == NULL && check->err.code != NULL)
		err = &check->err;
	if (next == WEBHOOK_AGAIN && check->request != NULL) {
		TAILQ_INSERT_HEAD(&watch->requests, check->request, entry);
		check->request = NULL;
	} else {
		tell(check, err);
	}
	if (news)
		bus_publish(keeper->options.bus, BUS_REPOSITORY, check->repo);
	webhook_watch_done(keeper, watch, next);
	check_free(check);
}

void webhook_check_end(struct webhook_check *check, enum webhook_next next)
{
	check->next = next;
	db_after_commit(check->keeper->options.db, ended, check);
}

/* Those that wait for a commit are freed by it. */
void webhook_checks_cancel(struct webhook_keeper *keeper)
{
	struct webhook_check *check;

	while ((check = TAILQ_FIRST(&keeper->checks)) != NULL) {
		bool waits = check->call != NULL || check->timer.pending;

		TAILQ_REMOVE(&keeper->checks, check, entry);
		check->keeper = NULL;
		if (check->call != NULL)
			scm_cancel(check->call);
		if (waits)
			check_free(check);
	}
}

/* ---- the repository itself ---- */

void webhook_look(struct webhook_check *check)
{
	struct server *server = webhook_check_server(check);

	if (server == NULL) {
		webhook_finish_unmade(check);
		return;
	}
	check->looked = true;
	check->call = server->driver->check_repository(check->keeper->options.scm, &server->view,
	    &check->token, check->project, check->slug, looked, check);
}

static bool is_here(struct webhook_check *check, const struct scm_repository *seen)
{
	struct err *err = &check->err;

	if (strcasecmp(seen->project, check->project) != 0 ||
	    strcasecmp(seen->slug, check->slug) != 0) {
		err_set(err, "repo_renamed", "%s/%s is now %s/%s", check->project, check->slug,
		    seen->project, seen->slug);
		err_hint(err, "Follow it, which keeps its token and its webhook, or disable it.");
	} else if (seen->archived) {
		err_set(err, "repo_archived", "%s/%s is archived, so read only", check->project,
		    check->slug);
		err_hint(err, "Make it active in Bitbucket, or disable it.");
	} else {
		return true;
	}
	err_hop(err, "Bitbucket, repository");
	return false;
}

static void looked(const struct scm_answer *answer, const struct scm_access *access, void *arg)
{
	struct webhook_check *check = arg;

	if (!webhook_check_answered(check, answer)) {
		if (answer->outcome != SCM_BLOCKED || answer->scope == SCM_SCOPE_TOKEN) {
			webhook_finish_unmade(check);
			return;
		}
		err_set(&check->err, "repo_gone",
		    "%s/%s is not there any more, or not visible to "
		    "this token",
		    check->project, check->slug);
		err_hop(&check->err, "Bitbucket, HTTP %d", answer->status);
		err_hint(&check->err, "Give a token that may read it, or disable it.");
		webhook_finish_bad(check, HOOK_BROKEN);
	} else if (!is_here(check, &access->repository)) {
		webhook_finish_bad(check, HOOK_BROKEN);
	} else if (!access->admin) {
		err_set(&check->err, "not_admin", "this token may not administer %s/%s",
		    check->project, check->slug);
		err_hop(&check->err, "Bitbucket, permissions");
		webhook_finish_manual(check);
	} else if (check->refused) {
		err_copy(&check->err, &check->fault);
		webhook_finish_bad(check, HOOK_BROKEN);
	} else {
		webhook_check_pace(check, webhook_list);
	}
}

/* ---- what is there ---- */

void webhook_list(struct webhook_check *check)
{
	struct scm_hook_want want = webhook_check_want(check, "");
	struct server *server = webhook_check_server(check);

	if (server == NULL) {
		webhook_finish_unmade(check);
		return;
	}
	check->call = server->driver->list_hooks(check->keeper->options.scm, &server->view,
	    &check->token, check->project, check->slug, &want, listed, check);
}

static void keep_plan(
    struct webhook_check *check, const struct hook_plan *plan, const struct scm_hooks *hooks)
{
	free(check->events);
	check->events = mem_string(hooks->events);
	check->differs = plan->differs;
	check->id[0] = '\0';
	if (plan->keep != NULL) {
		snprintf(check->id, sizeof(check->id), "%s", plan->keep->id);
		webhook_keep_delivery(&check->delivery, check->delivery_words,
		    sizeof(check->delivery_words), &plan->keep->delivery);
	}
	for (unsigned i = 0; i < check->extra_count; i++)
		free(check->extra[i]);
	free(check->extra);
	check->extra = mem_array(plan->extra_count + 1, sizeof(*check->extra));
	check->extra_count = plan->extra_count;
	for (unsigned i = 0; i < plan->extra_count; i++)
		check->extra[i] = mem_string(plan->extra[i]->id);
}

/* Somebody else took it away or changed it: nothing of ours explains the difference. */
static bool is_repair(
    const struct webhook_check *check, const struct record_hook *row, const struct hook_plan *plan)
{
	const unsigned ours = SCM_HOOK_SECRET | SCM_HOOK_EVENT_SET;

	if (row->id[0] == '\0' || webhook_row_is_unsure(row) ||
	    strcmp(row->url, check->target.url) != 0)
		return false;
	/* EYES_WEBHOOK_SECRET or the server's version may have changed while this was not running.
	 */
	return plan->step == HOOK_STEP_CREATE || check->watch->looks > 0 || (plan->differs & ~ours);
}

/* Put right as often as it may be today, or left alone since. */
static bool is_conflict(const struct webhook_check *check, const struct record_hook *row)
{
	int64_t oldest = row->repairs[HOOKS_REPAIRS - 1];

	if (check->request != NULL && check->request->force)
		return false;
	return row->state == HOOK_CONFLICT ||
	       (oldest != 0 && clock_wall_ms() - oldest < HOOKS_REPAIRS_MS);
}

/*
 * The server tells that the inbox refused the last delivery since the webhook was written: it has
 * no secret there, or another one, which not every server shows. It is written again, once in a day
 * unless a person asks for it.
 */
static bool has_lost_secret(
    const struct webhook_check *check, const struct record_hook *row, const struct hook_plan *plan)
{
	const struct scm_delivery *last = &plan->keep->delivery;

	return check->keeper->options.relay && last->outcome == SCM_DELIVERY_FAILED &&
	       last->status == 401 && last->ended_ms > row->delivered_ms &&
	       last->ended_ms > row->changed_ms &&
	       ((check->request != NULL && check->request->force) || row->repairs[0] == 0 ||
	           clock_wall_ms() - row->repairs[0] >= HOOKS_REPAIRS_MS);
}

static void finish_conflict(struct webhook_check *check, const struct record_hook *row)
{
	bool news = row->state != HOOK_CONFLICT;

	err_set(&check->err, "webhook_conflict",
	    "the webhook of %s/%s was changed back %d times today", check->project, check->slug,
	    HOOKS_REPAIRS);
	err_hop(&check->err, "Bitbucket, webhook %s", row->id);
	err_hint(&check->err,
	    "Someone or something else changes it: look at Bitbucket's audit log. "
	    "It is left alone until it is put right on the page or with eyes-scm webhook "
	    "repair.");
	if (news)
		webhook_audit(check->keeper, check->repo, webhook_check_who(check),
		    "webhook.conflict", "it is left alone from now on");
	webhook_finish_bad(check, HOOK_CONFLICT);
}

static void follow_plan(struct webhook_check *check, const struct scm_hooks *hooks)
{
	struct hook_wanted wanted = {
	    .instance = hooks_instance(check->keeper->options.hooks), .name = check->target.name};
	struct hook_plan *plan;
	struct record_hook row;
	enum hook_step step;

	if (!webhook_check_row(check, &row)) {
		webhook_check_end(check, WEBHOOK_AT_PERIOD);
		return;
	}
	wanted.id = row.id;
	check->by_hand = row.by_hand || (row.state == HOOK_MANUAL && row.id[0] == '\0');
	wanted.by_hand = check->by_hand;
	wanted.unsure = webhook_row_is_unsure(&row) || check->relisted;
	plan = mem_zero(sizeof(*plan));
	hook_plan(plan, &wanted, hooks);
	if (plan->step == HOOK_STEP_NONE && !check->relisted &&
	    has_lost_secret(check, &row, plan)) {
		plan->step = HOOK_STEP_REPLACE;
		plan->differs = SCM_HOOK_SECRET;
	}
	step = plan->step;
	keep_plan(check, plan, hooks);
	if (!check->relisted)
		check->counted = step != HOOK_STEP_NONE && is_repair(check, &row, plan);
	free(plan);
	if (step == HOOK_STEP_CREATE && check->relisted) {
		err_copy(
		    &check->err, &check->fault); /* it may still come: another check will see */
		webhook_finish_bad(check, HOOK_BROKEN);
	} else if (check->counted && is_conflict(check, &row)) {
		finish_conflict(check, &row);
	} else if (step != HOOK_STEP_NONE) {
		webhook_check_pace(check, webhook_put);
	} else {
		webhook_delete_extra(check);
	}
}

static void listed(const struct scm_answer *answer, const struct scm_hooks *hooks, void *arg)
{
	struct webhook_check *check = arg;

	if (webhook_check_answered(check, answer)) {
		follow_plan(check, hooks);
	} else if (err_is(&check->err, "not_admin")) {
		webhook_finish_manual(check);
	} else if (answer->outcome == SCM_PERMANENT) {
		webhook_finish_bad(check, HOOK_BROKEN);
	} else if (answer->outcome == SCM_BLOCKED && answer->scope != SCM_SCOPE_TOKEN &&
	           !check->looked) {
		webhook_check_pace(check, webhook_look);
	} else {
		webhook_finish_unmade(check);
	}
}
