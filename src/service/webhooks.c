/* Webhooks: what is entered by hand, and following a repository that was renamed. */
#include "base/clock.h"
#include "base/mem.h"
#include "service/job.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEBHOOK_URL 4096

unsigned service_enabled_names(struct service *service, uint32_t server, char ***names)
{
	struct record_repo record = {0};
	unsigned count = 0, capacity = 0;

	*names = NULL;
	while (records_next_repo(service->parts.records, record.id, &record)) {
		if (record.server != server || record.state == REPO_DISABLED)
			continue;
		if (count == capacity) {
			capacity = capacity == 0 ? 64 : capacity * 2;
			*names = mem_grow(*names, capacity, sizeof(**names));
		}
		(*names)[count++] = mem_printf("%s/%s", record.project, record.slug);
	}
	return count;
}

void service_names_free(char **names, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

static char *subject_of(struct service *service, const struct record_repo *record)
{
	const struct record_server *server = records_server(service->parts.records, record->server);

	return mem_printf(
	    "%s/%s on %s", record->project, record->slug, server != NULL ? server->url : "?");
}

static bool is_enabled(
    struct service *service, uint32_t repo, struct record_repo *record, struct err *err)
{
	if (records_repo(service->parts.records, repo, record) && record->state != REPO_DISABLED)
		return true;
	return err_set(err, "not_found", "there is no such repository, or it is not enabled");
}

/* ---- by hand ---- */

struct by_hand {
	struct service_job job;
	char name[64], url[WEBHOOK_URL], events[256];
	struct secret secret;
	service_by_hand_fn *fn;
	void *arg;
};

static void by_hand_free(struct service_job *job)
{
	struct by_hand *hand = (struct by_hand *)job;

	job_remove(job);
	secret_free(&hand->secret);
	free(hand);
}

/* Shown only once it is on disk: the secret of a lost group would never be right. */
static void by_hand_done(const struct service_result *result, void *arg)
{
	struct by_hand *hand = arg;
	struct service_by_hand what = {.name = hand->name,
	    .url = hand->url,
	    .events = hand->events,
	    .secret = hand->secret.length > 0 ? &hand->secret : NULL};

	hand->fn(result, result->fault == SERVICE_OK ? &what : NULL, hand->arg);
	by_hand_free(&hand->job);
}

static bool by_hand_make(
    struct service *service, const char *who, uint32_t repo, struct by_hand *hand, struct err *err)
{
	struct service_parts *parts = &service->parts;
	struct record_repo record;
	char *subject;

	if (!webhook_keeper_by_hand(parts->keeper, repo, hand->name, sizeof(hand->name), hand->url,
	        sizeof(hand->url), hand->events, sizeof(hand->events), err) ||
	    !is_enabled(service, repo, &record, err))
		return false;
	subject = subject_of(service, &record);
	job_audit(service, who, "webhook.by-hand", subject, "");
	free(subject);
	if (parts->inbox != NULL)
		inbox_forget(parts->inbox, repo);
	return !parts->relay ||
	       hooks_secret(parts->hooks, repo, clock_wall_ms(), &hand->secret, NULL, err);
}

void service_webhook_by_hand(
    struct service *service, const char *who, uint32_t repo, service_by_hand_fn *fn, void *arg)
{
	struct by_hand *hand = mem_zero(sizeof(*hand));
	uint64_t lost = db_lost(service->parts.db);
	struct record_repo record;
	struct err err = ERR_INIT;

	hand->fn = fn;
	hand->arg = arg;
	job_add(service, &hand->job, by_hand_free);
	if (!is_enabled(service, repo, &record, &err))
		job_fail(service, SERVICE_NOT_FOUND, &err, by_hand_done, hand);
	else if (by_hand_make(service, who, repo, hand, &err))
		job_after_commit(service, lost, by_hand_done, hand);
	else
		job_fail(service, err_is(&err, "config_missing") ? SERVICE_CONFLICT : SERVICE_STORE,
		    &err, by_hand_done, hand);
}

/* ---- renamed ---- */

struct follow {
	struct service_job job;
	uint32_t repo;
	char *who;
	struct scm_call *call;
	struct secret token;
	uint64_t lost;
	service_fn *fn;
	void *arg;
};

static void follow_free(struct service_job *job)
{
	struct follow *follow = (struct follow *)job;

	job_remove(job);
	if (follow->call != NULL)
		scm_cancel(follow->call);
	secret_free(&follow->token);
	free(follow->who);
	free(follow);
}

static void follow_end(const struct service_result *result, void *arg)
{
	struct follow *follow = arg;
	struct service_parts *parts = &follow->job.service->parts;

	if (result->fault == SERVICE_OK) {
		dispatcher_repo_changed(parts->dispatcher, follow->repo);
		intake_forget(parts->intake);
		poller_kick(parts->poller);
		if (parts->inbox != NULL)
			inbox_forget(parts->inbox, follow->repo);
		webhook_keeper_changed(parts->keeper, follow->repo);
		bus_publish(parts->bus, BUS_REPOSITORY, follow->repo);
	}
	follow->fn(result, follow->arg);
	follow_free(&follow->job);
}

static bool rename_record(struct follow *follow, const struct scm_repository *seen, struct err *err)
{
	struct service *service = follow->job.service;
	struct record_repo record;
	char *subject, *was;
	bool ok;

	if (!is_enabled(service, follow->repo, &record, err))
		return false;
	was = mem_printf("was %s/%s", record.project, record.slug);
	record.project = seen->project;
	record.slug = seen->slug;
	record.name = seen->name;
	record.state = REPO_ENABLED;
	record.error = record.error_code = "";
	record.blocked_ms = 0;
	ok = records_put_repo(service->parts.records, &record, NULL, err);
	if (ok) {
		subject = subject_of(service, &record);
		job_audit(service, follow->who, "repository.follow", subject, was);
		free(subject);
	}
	free(was);
	return ok;
}

static void follow_answered(
    const struct scm_answer *answer, const struct scm_access *access, void *arg)
{
	struct follow *follow = arg;
	struct service *service = follow->job.service;
	struct service_result result = {
	    .fault = job_fault_of(answer), .err = answer->err, .trace = answer->trace};
	struct err err = ERR_INIT;

	follow->call = NULL;
	follow->lost = db_lost(service->parts.db);
	if (answer->outcome != SCM_OK)
		follow_end(&result, follow);
	else if (rename_record(follow, &access->repository, &err))
		job_after_commit(service, follow->lost, follow_end, follow);
	else
		job_fail(service,
		    err_is(&err, "repo_exists") || err_is(&err, "not_found") ? SERVICE_CONFLICT
		                                                             : SERVICE_STORE,
		    &err, follow_end, follow);
}

void service_follow(
    struct service *service, const char *who, uint32_t repo, service_fn *fn, void *arg)
{
	struct follow *follow = mem_zero(sizeof(*follow));
	struct server *server = NULL;
	struct record_repo record;
	struct err err = ERR_INIT;

	follow->repo = repo;
	follow->who = mem_string(who);
	follow->fn = fn;
	follow->arg = arg;
	job_add(service, &follow->job, follow_free);
	if (is_enabled(service, repo, &record, &err))
		server = servers_get(service->parts.servers, record.server, &err);
	if (server == NULL) {
		job_fail(service, SERVICE_NOT_FOUND, &err, follow_end, follow);
		return;
	}
	if (!records_repo_token(service->parts.records, repo, &follow->token, &err)) {
		job_fail(service, SERVICE_STORE, &err, follow_end, follow);
		return;
	}
	follow->call = server->driver->check_repository(service->parts.scm, &server->view,
	    &follow->token, record.project, record.slug, follow_answered, follow);
}
