#include "service/service.h"
#include "base/mem.h"
#include "service/job.h"
#include <stdlib.h>
#include <string.h>

struct service *service_new(const struct service_parts *parts)
{
	struct service *service = mem_zero(sizeof(*service));

	service->parts = *parts;
	TAILQ_INIT(&service->jobs);
	return service;
}

void service_free(struct service *service)
{
	struct service_job *job;

	if (service == NULL)
		return;
	while ((job = TAILQ_FIRST(&service->jobs)) != NULL)
		job->cancel(job);
	free(service);
}

static const struct record_server *server_by_id(struct service *service, const char *text)
{
	char *end;
	unsigned long id = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || id > UINT32_MAX)
		return NULL;
	return records_server(service->parts.records, (uint32_t)id);
}

const struct record_server *service_server(
    struct service *service, const char *text, struct err *err)
{
	struct records *records = service->parts.records;
	unsigned count = records_server_count(records);
	const struct record_server *server;

	if (text[0] != '\0') {
		server = records_server_by_url(records, text);
		if (server == NULL)
			server = server_by_id(service, text);
		if (server == NULL) {
			err_set(err, "not_found",
			    "%.200s is not one of the servers that are set up", text);
			err_hint(err,
			    "See eyes-scm server list, or add it with eyes-scm server add URL.");
			err_field(err, "server");
		}
		return server;
	}
	if (count == 1)
		return records_server_at(records, 0);
	if (count == 0) {
		err_set(err, "no_server", "no server is set up yet");
		err_hint(err, "Add one with eyes-scm server add URL.");
	} else {
		err_set(err, "server_needed", "%u servers are set up: say which one", count);
		err_hint(err, "Name it with --server URL: %s, %s%s",
		    records_server_at(records, 0)->url, records_server_at(records, 1)->url,
		    count > 2 ? ", ..." : "");
	}
	err_field(err, "server");
	return NULL;
}

/* ---- queue ---- */

static void retried(struct service *service)
{
	dispatcher_start(service->parts.dispatcher);
	reporter_kick(service->parts.reporter);
}

static void audit_number(
    struct service *service, const char *who, const char *action, uint64_t number)
{
	char *subject = mem_printf("update %llu", (unsigned long long)number);

	bus_publish(service->parts.bus, BUS_QUEUE, number);
	job_audit(service, who, action, subject, "");
	free(subject);
}

static enum service_fault queue_fault(const struct err *err)
{
	if (err_is(err, "not_found"))
		return SERVICE_NOT_FOUND;
	return err_is(err, "in_flight") || err_is(err, "superseded") ? SERVICE_CONFLICT
	                                                             : SERVICE_STORE;
}

void service_retry(
    struct service *service, const char *who, uint64_t number, service_fn *fn, void *arg)
{
	uint64_t lost = db_lost(service->parts.db);
	struct err err = ERR_INIT;
	uint32_t repo;

	if (!queue_retry(service->parts.queue, number, &repo, &err)) {
		job_fail(service, queue_fault(&err), &err, fn, arg);
		return;
	}
	audit_number(service, who, "queue.retry", number);
	job_after_commit(service, lost, fn, arg);
	dispatcher_wake(service->parts.dispatcher, repo);
}

void service_retry_all(
    struct service *service, const char *who, uint64_t *count, service_fn *fn, void *arg)
{
	uint64_t lost = db_lost(service->parts.db);
	struct err err = ERR_INIT;

	*count = queue_retry_all(service->parts.queue, true, &err);
	if (err.code != NULL) {
		job_fail(service, queue_fault(&err), &err, fn, arg);
		return;
	}
	job_audit(service, who, "queue.retry", "all updates", "");
	bus_publish(service->parts.bus, BUS_QUEUE, 0);
	job_after_commit(service, lost, fn, arg);
	retried(service);
}

void service_drop(
    struct service *service, const char *who, uint64_t number, service_fn *fn, void *arg)
{
	uint64_t lost = db_lost(service->parts.db);
	struct err err = ERR_INIT;

	if (!queue_drop(service->parts.queue, number, &err)) {
		job_fail(service, queue_fault(&err), &err, fn, arg);
		return;
	}
	audit_number(service, who, "queue.drop", number);
	job_after_commit(service, lost, fn, arg);
}
