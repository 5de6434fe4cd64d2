#include "service/service.h"
#include "base/mem.h"
#include "service/job.h"
#include <stdio.h>
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
			err_hint(err, "Name one of the list of servers, or add it first.");
			err_field(err, "server");
		}
		return server;
	}
	if (count == 1)
		return records_server_at(records, 0);
	if (count == 0) {
		err_set(err, "no_server", "no server is set up yet");
		err_hint(err, "Add one first.");
	} else {
		err_set(err, "server_needed", "%u servers are set up: say which one", count);
		err_hint(err, "Name it by its URL: %s, %s%s", records_server_at(records, 0)->url,
		    records_server_at(records, 1)->url, count > 2 ? ", ..." : "");
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

static void note(struct service_number *number, const struct err *err)
{
	number->fault = err->code != NULL ? queue_fault(err) : SERVICE_OK;
	number->code = err->code;
	snprintf(number->message, sizeof(number->message), "%.255s", err->message);
	snprintf(number->hint, sizeof(number->hint), "%.199s", err->hint);
}

unsigned service_retry(struct service *service, const char *who, struct service_number *numbers,
    unsigned count, service_fn *fn, void *arg)
{
	uint64_t lost = db_lost(service->parts.db);
	uint32_t repos[SERVICE_NUMBERS_MAX];
	unsigned done = 0;

	for (unsigned i = 0; i < count && db_lost(service->parts.db) == lost; i++) {
		struct err err = ERR_INIT;

		if (queue_retry(service->parts.queue, numbers[i].number, &repos[done], &err)) {
			audit_number(service, who, "queue.retry", numbers[i].number);
			done++;
		}
		note(&numbers[i], &err);
	}
	job_after_commit(service, lost, fn, arg);
	for (unsigned i = 0; i < done; i++)
		dispatcher_wake(service->parts.dispatcher, repos[i]);
	return done;
}

unsigned service_drop(struct service *service, const char *who, struct service_number *numbers,
    unsigned count, service_fn *fn, void *arg)
{
	uint64_t lost = db_lost(service->parts.db);
	unsigned done = 0;

	for (unsigned i = 0; i < count && db_lost(service->parts.db) == lost; i++) {
		struct err err = ERR_INIT;

		if (queue_drop(service->parts.queue, numbers[i].number, &err)) {
			audit_number(service, who, "queue.drop", numbers[i].number);
			done++;
		}
		note(&numbers[i], &err);
	}
	job_after_commit(service, lost, fn, arg);
	return done;
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
