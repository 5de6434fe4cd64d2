/*
 * Enabling, disabling and new tokens, for one repository or many. Each is checked and written on
 * its own: what fails changes nothing.
 *
 *   check the token (once) --> for each name: check the repository --> write the record --> commit
 * --> tell the dispatcher --> the events half: its webhook, by the keeper
 *
 * The webhooks' own actions begin with the last step.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/job.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT_ONCE 8
#define ALIASES_MAX 2000 /* bytes of all of a server's */

struct change;
struct half { /* one repository's events half under way */
	struct change *change;
	unsigned index;
};
struct one { /* one repository's check under way */
	struct change *change;
	struct scm_call *call;
	unsigned index;
};

struct change {
	struct service_job job;
	enum service_enable what;
	uint32_t server;
	char *who;
	struct secret token;
	char owner[128];
	struct scm_call *call; /* of the token */
	struct one checks[AT_ONCE];
	struct half *halves; /* as many as repositories; NULL before */
	struct service_repo *repos;
	unsigned count, next, under_way;
	bool committing;
	uint64_t lost; /* db_lost before the first write */
	struct service_progress progress;
	service_repos_fn *fn;
	void *arg;
};

static void check_more(struct change *change);
static void change_end(struct change *change, enum service_fault fault, const struct err *err,
    const struct http_trace *trace);

static void change_free(struct change *change)
{
	for (unsigned i = 0; i < change->count; i++) {
		free(change->repos[i].trace);
		free(change->repos[i].events.trace);
		free(change->repos[i].events.err);
	}
	free(change->halves);
	free(change->repos);
	secret_free(&change->token);
	free(change->who);
	free(change);
}

/* The keeper has gone before: it does not come back to a half. */
static void change_cancel(struct service_job *job)
{
	struct change *change = (struct change *)job;

	job_remove(job);
	if (change->call != NULL)
		scm_cancel(change->call);
	for (unsigned i = 0; i < AT_ONCE; i++)
		if (change->checks[i].call != NULL)
			scm_cancel(change->checks[i].call);
	change_free(change);
}

static void change_end(struct change *change, enum service_fault fault, const struct err *err,
    const struct http_trace *trace)
{
	struct service_result result = {.fault = fault, .err = err, .trace = trace};

	for (unsigned i = 0; i < change->count && result.fault == SERVICE_OK; i++)
		if (change->repos[i].fault != SERVICE_OK)
			result = (struct service_result){.fault = change->repos[i].fault,
			    .err = &change->repos[i].err,
			    .trace = change->repos[i].trace};
	job_remove(&change->job);
	change->fn(&result, change->repos, change->count, change->arg);
	change_free(change);
}

/* ---- the end: everything is written ---- */

static void tell_dispatcher(struct change *change, struct service_repo *repo)
{
	struct service_parts *parts = &change->job.service->parts;

	if (repo->id == 0)
		return;
	repo->waiting = queue_count_repo(parts->queue, repo->id, 100000);
	dispatcher_repo_changed(parts->dispatcher, repo->id);
	if (parts->inbox != NULL)
		inbox_forget(parts->inbox, repo->id);
	bus_publish(parts->bus, BUS_REPOSITORY, repo->id);
}

static void progressed(struct change *change)
{
	if (change->progress.fn != NULL)
		change->progress.fn(change->repos, change->count, change->progress.arg);
}

/* ---- the events half ---- */

static bool is_webhook_action(enum service_enable what)
{
	return what == SERVICE_WEBHOOK_CHECK || what == SERVICE_WEBHOOK_REPAIR ||
	       what == SERVICE_WEBHOOK_ROTATE;
}

static void keep_outcome(struct service_events *events, const struct webhook_outcome *outcome)
{
	events->done = true;
	events->ok = outcome->err == NULL;
	events->gone = outcome->gone;
	events->state = outcome->state;
	events->made = outcome->made;
	events->repaired = outcome->repaired;
	if (outcome->test != NULL) {
		events->tested = true;
		events->outcome = outcome->test->outcome;
		events->status = outcome->test->status;
		snprintf(events->words, sizeof(events->words), "%s",
		    outcome->test->words != NULL ? outcome->test->words : "");
	}
	if (outcome->err != NULL) {
		events->err = mem_zero(sizeof(*events->err));
		err_copy(events->err, outcome->err);
	}
	if (outcome->trace != NULL) {
		events->trace = mem_zero(sizeof(*events->trace));
		*events->trace = *outcome->trace;
	}
}

static void half_done(const struct webhook_outcome *outcome, void *arg)
{
	struct half *half = arg;
	struct change *change = half->change;
	struct service_repo *repo = &change->repos[half->index];

	keep_outcome(&repo->events, outcome);
	if (is_webhook_action(change->what)) {
		repo->done = true;
		if (outcome->err != NULL) {
			repo->fault = SERVICE_REFUSED;
			err_copy(&repo->err, outcome->err);
		}
	}
	change->under_way--;
	progressed(change);
	if (change->under_way == 0)
		change_end(change, SERVICE_OK, NULL, NULL);
}

static void start_half(struct change *change, unsigned index)
{
	struct webhook_keeper *keeper = change->job.service->parts.keeper;
	struct service_repo *repo = &change->repos[index];
	struct half *half = &change->halves[index];

	*half = (struct half){.change = change, .index = index};
	repo->events.asked = true;
	change->under_way++;
	if (change->what == SERVICE_DISABLE)
		webhook_keeper_remove(keeper, repo->id, change->who, half_done, half);
	else if (change->what == SERVICE_WEBHOOK_ROTATE)
		webhook_keeper_rotate(keeper, repo->id, change->who, half_done, half);
	else
		webhook_keeper_check(keeper, repo->id, change->who,
		    change->what == SERVICE_WEBHOOK_REPAIR, half_done, half);
}

/* The keeper takes them in turn, at the pace of their tokens. */
static void start_halves(struct change *change)
{
	struct webhook_keeper *keeper = change->job.service->parts.keeper;

	change->halves = mem_array(change->count, sizeof(*change->halves));
	for (unsigned i = 0; keeper != NULL && i < change->count; i++) {
		struct service_repo *repo = &change->repos[i];

		if (repo->fault != SERVICE_OK || repo->id == 0)
			continue;
		if (change->what == SERVICE_REPLACE_TOKEN)
			webhook_keeper_changed(keeper, repo->id);
		else
			start_half(change, i);
	}
	if (change->under_way == 0)
		change_end(change, SERVICE_OK, NULL, NULL);
}

static void committed(const struct service_result *result, void *arg)
{
	struct change *change = arg;

	for (unsigned i = 0; i < change->count; i++) {
		struct service_repo *repo = &change->repos[i];

		/* A lost group leaves open which of them stand: whoever asks again is right. */
		if (repo->fault == SERVICE_OK && result->fault != SERVICE_OK) {
			repo->fault = result->fault;
			err_copy(&repo->err, result->err);
			repo->events.asked = false;
		}
		if (change->what != SERVICE_CHECK && !is_webhook_action(change->what))
			tell_dispatcher(change, repo);
	}
	if (result->fault != SERVICE_OK || change->what == SERVICE_CHECK)
		change_end(change, result->fault, result->err, NULL);
	else
		start_halves(change);
}

static void failed(const struct service_result *result, void *arg)
{
	change_end(arg, result->fault, result->err, NULL);
}

static const char *const actions[] = {
    [SERVICE_ENABLE] = "repository.enable",
    [SERVICE_REPLACE_TOKEN] = "repository.token",
    [SERVICE_DISABLE] = "repository.disable",
    [SERVICE_CHECK] = "repository.check",
};

static void audit_change(struct change *change, const struct service_repo *repo)
{
	struct service *service = change->job.service;
	const struct record_server *server = records_server(service->parts.records, change->server);
	char *subject = mem_printf("%s on %s", repo->name, server != NULL ? server->url : "?");

	job_audit(service, change->who, actions[change->what], subject, repo->owner);
	free(subject);
}

/* ---- one repository ---- */

static bool name_of(
    struct change *change, struct service_repo *repo, char *project, char *slug, size_t size)
{
	(void)change;
	if (scm_parse_name(repo->name, project, slug, size, &repo->err))
		return true;
	repo->fault = SERVICE_BAD_INPUT;
	return false;
}

static void not_enabled(struct service_repo *repo)
{
	err_set(&repo->err, "repo_disabled", "%s is not enabled", repo->name);
	err_hint(&repo->err, "Enable it first.");
	repo->fault = SERVICE_NOT_FOUND;
}

/*
 * Eyes may name the server by the address that it calls itself, not by the one that was typed here.
 * An alias never takes over an address that another server has.
 */
static void learn_alias(struct change *change, const char *base)
{
	struct service *service = change->job.service;
	struct records *records = service->parts.records;
	const struct record_server *known = records_server(records, change->server);
	struct record_server record;
	struct err err = ERR_INIT;
	char *aliases;

	if (base[0] == '\0' || known == NULL || strlen(known->aliases) > ALIASES_MAX ||
	    records_server_by_url(records, base) != NULL)
		return;
	aliases = mem_printf("%s%s%s", known->aliases, known->aliases[0] != '\0' ? " " : "", base);
	record = *known;
	record.aliases = aliases;
	if (records_put_server(records, &record, &err)) {
		log_info("service",
		    "the server calls itself by another address, which Eyes may use",
		    log_str("url", record.url), log_str("alias", base));
		intake_forget(service->parts.intake);
		poller_kick(service->parts.poller);
	} else {
		log_warn("service", "a server's alias cannot be stored", log_err(&err));
	}
	free(aliases);
}

static void write_record(
    struct change *change, struct service_repo *repo, const struct scm_access *access)
{
	struct records *records = change->job.service->parts.records;
	const struct scm_repository *seen = &access->repository;
	struct record_repo record = {0};

	if (!records_repo_by_name(records, change->server, seen->project, seen->slug, &record))
		record = (struct record_repo){.server = change->server, .webhook = ""};
	record.project = seen->project;
	record.slug = seen->slug;
	record.name = seen->name;
	if (record.state == REPO_DISABLED || record.enabled_ms == 0) {
		record.enabled_ms = clock_wall_ms();
		record.enabled_by = change->who;
	}
	record.state = REPO_ENABLED;
	record.owner = change->owner;
	record.admin = access->admin;
	record.error = record.error_code = "";
	record.blocked_ms = 0;
	if (!records_put_repo(records, &record, &change->token, &repo->err)) {
		repo->fault = SERVICE_STORE;
		return;
	}
	repo->id = record.id;
	repo->read = true;
	repo->events.asked =
	    change->what == SERVICE_ENABLE && change->job.service->parts.keeper != NULL;
	repo->admin = access->admin;
	snprintf(repo->owner, sizeof(repo->owner), "%s", change->owner);
	snprintf(repo->name, sizeof(repo->name), "%s/%s", seen->project, seen->slug);
	audit_change(change, repo);
}

static void checked(const struct scm_answer *answer, const struct scm_access *access, void *arg)
{
	struct one *one = arg;
	struct change *change = one->change;
	struct service_repo *repo = &change->repos[one->index];

	one->call = NULL;
	change->under_way--;
	if (answer->outcome != SCM_OK) {
		repo->fault = job_fault_of(answer);
		err_copy(&repo->err, answer->err);
		if (answer->trace != NULL) {
			repo->trace = mem_zero(sizeof(*repo->trace));
			*repo->trace = *answer->trace;
		}
	} else if (access->repository.archived) {
		repo->fault = SERVICE_REFUSED;
		err_set(&repo->err, "repo_archived", "%s is archived, so read only", repo->name);
		err_hint(&repo->err, "Make it active in Bitbucket, or leave it out.");
	} else if (!access->read) {
		repo->fault = SERVICE_REFUSED;
		err_set(&repo->err, "repo_unknown", "%s is not visible to this token", repo->name);
	} else if (change->what == SERVICE_CHECK) {
		repo->read = access->read;
		repo->admin = access->admin;
		snprintf(repo->owner, sizeof(repo->owner), "%s", change->owner);
	} else {
		write_record(change, repo, access);
		learn_alias(change, access->base);
	}
	repo->done = true;
	progressed(change);
	check_more(change);
}

static void check_one(struct change *change, unsigned index, struct one *one)
{
	struct service_parts *parts = &change->job.service->parts;
	struct service_repo *repo = &change->repos[index];
	char project[136], slug[136];
	struct record_repo record;
	struct server *server;

	if (!name_of(change, repo, project, slug, sizeof(project)))
		return;
	if (change->what == SERVICE_REPLACE_TOKEN &&
	    (!records_repo_by_name(parts->records, change->server, project, slug, &record) ||
	        record.state == REPO_DISABLED)) {
		not_enabled(repo);
		return;
	}
	server = servers_get(parts->servers, change->server, &repo->err);
	if (server == NULL) {
		repo->fault = SERVICE_NOT_FOUND;
		return;
	}
	one->index = index;
	one->call = server->driver->check_repository(
	    parts->scm, &server->view, &change->token, project, slug, checked, one);
	change->under_way++;
}

static struct one *free_slot(struct change *change)
{
	for (unsigned i = 0; i < AT_ONCE; i++)
		if (change->checks[i].call == NULL)
			return &change->checks[i];
	return NULL;
}

static void check_more(struct change *change)
{
	struct one *one;

	while (change->next < change->count && (one = free_slot(change)) != NULL)
		check_one(change, change->next++, one);
	if (change->under_way > 0 || change->committing)
		return;
	change->committing = true;
	job_after_commit(change->job.service, change->lost, committed, change);
}

static void token_checked(
    const struct scm_answer *answer, const struct scm_rights *rights, void *arg)
{
	struct change *change = arg;

	change->call = NULL;
	if (answer->outcome != SCM_OK) {
		for (unsigned i = 0; i < change->count; i++) {
			change->repos[i].fault = job_fault_of(answer);
			err_copy(&change->repos[i].err, answer->err);
		}
		change_end(change, job_fault_of(answer), answer->err, answer->trace);
		return;
	}
	snprintf(change->owner, sizeof(change->owner), "%s", rights->owner);
	for (unsigned i = 0; i < change->count; i++)
		change->repos[i].administers_any = rights->administers_any;
	check_more(change);
}

/* ---- disabling ---- */

static void disable_one(struct change *change, struct service_repo *repo)
{
	struct service_parts *parts = &change->job.service->parts;
	char project[136], slug[136];
	struct record_repo record;

	if (!name_of(change, repo, project, slug, sizeof(project)))
		return;
	if (!records_repo_by_name(parts->records, change->server, project, slug, &record) ||
	    record.state == REPO_DISABLED) {
		not_enabled(repo);
		return;
	}
	repo->id = record.id;
	record.state = REPO_DISABLED;
	record.error = record.error_code = record.owner = record.enabled_by = "";
	record.blocked_ms = record.enabled_ms = 0;
	record.admin = false;
	/* The webhook is deleted with the token, which is forgotten then. */
	if (!records_put_repo(parts->records, &record, NULL, &repo->err) ||
	    (parts->keeper == NULL &&
	        !records_forget_token(parts->records, repo->id, &repo->err))) {
		repo->fault = SERVICE_STORE;
		return;
	}
	audit_change(change, repo);
	repo->done = true;
}

/* ---- webhooks ---- */

static void find_one(struct change *change, struct service_repo *repo)
{
	struct records *records = change->job.service->parts.records;
	char project[136], slug[136];
	struct record_repo record;

	if (!name_of(change, repo, project, slug, sizeof(project)))
		return;
	if (!records_repo_by_name(records, change->server, project, slug, &record) ||
	    record.state == REPO_DISABLED) {
		not_enabled(repo);
		return;
	}
	repo->id = record.id;
	snprintf(repo->name, sizeof(repo->name), "%s/%s", record.project, record.slug);
}

/* ---- interface ---- */

void service_change_repos(struct service *service, const char *who, enum service_enable what,
    uint32_t server_id, const char *const *names, unsigned count, const struct secret *token,
    const struct service_progress *progress, service_repos_fn *fn, void *arg)
{
	struct change *change = mem_zero(sizeof(*change));
	struct err err = ERR_INIT;
	struct server *server;

	change->what = what;
	change->lost = db_lost(service->parts.db);
	change->server = server_id;
	change->who = mem_string(who);
	if (progress != NULL)
		change->progress = *progress;
	change->fn = fn;
	change->arg = arg;
	change->count = count;
	change->repos = mem_array(count, sizeof(*change->repos));
	for (unsigned i = 0; i < count; i++)
		snprintf(change->repos[i].name, sizeof(change->repos[i].name), "%s", names[i]);
	for (unsigned i = 0; i < AT_ONCE; i++)
		change->checks[i].change = change;
	job_add(service, &change->job, change_cancel);
	if (what == SERVICE_DISABLE || is_webhook_action(what)) {
		for (unsigned i = 0; i < count; i++)
			if (what == SERVICE_DISABLE)
				disable_one(change, &change->repos[i]);
			else
				find_one(change, &change->repos[i]);
		job_after_commit(service, change->lost, committed, change);
		return;
	}
	secret_set(&change->token, token->data, token->length);
	server = servers_get(service->parts.servers, server_id, &err);
	if (server == NULL) {
		job_fail(service, SERVICE_NOT_FOUND, &err, failed, change);
		return;
	}
	change->call = server->driver->check_token(
	    service->parts.scm, &server->view, &change->token, token_checked, change);
}
