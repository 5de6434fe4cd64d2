#include "service/job.h"
#include "base/log.h"
#include "base/mem.h"
#include <stdlib.h>

struct waiter {
	struct service_job job;
	bool listed, failed;
	enum service_fault fault;
	struct err err;
	service_fn *fn;
	void *arg;
};

void job_add(struct service *service, struct service_job *job, void (*cancel)(struct service_job *))
{
	job->service = service;
	job->cancel = cancel;
	TAILQ_INSERT_TAIL(&service->jobs, job, entry);
}

void job_remove(struct service_job *job)
{
	TAILQ_REMOVE(&job->service->jobs, job, entry);
}

/* A commit or a deferred call still points to the waiter: it is freed there. */
static void waiter_cancel(struct service_job *job)
{
	struct waiter *waiter = (struct waiter *)job;

	job_remove(job);
	waiter->listed = false;
}

static void waiter_done(struct waiter *waiter, enum service_fault fault, const struct err *err)
{
	struct service_result result = {.fault = fault, .err = err};

	if (waiter->listed) {
		job_remove(&waiter->job);
		waiter->fn(&result, waiter->arg);
	}
	free(waiter);
}

static void committed(const struct err *err, void *arg)
{
	waiter_done(arg, err == NULL ? SERVICE_OK : SERVICE_STORE, err);
}

static void failed(void *arg)
{
	struct waiter *waiter = arg;

	waiter_done(waiter, waiter->fault, &waiter->err);
}

static struct waiter *waiter_new(struct service *service, service_fn *fn, void *arg)
{
	struct waiter *waiter = mem_zero(sizeof(*waiter));

	waiter->fn = fn;
	waiter->arg = arg;
	waiter->listed = true;
	job_add(service, &waiter->job, waiter_cancel);
	return waiter;
}

void job_after_commit(struct service *service, uint64_t lost, service_fn *fn, void *arg)
{
	struct err err = ERR_INIT;

	if (db_lost(service->parts.db) != lost) {
		db_lost_err(service->parts.db, &err);
		job_fail(service, SERVICE_STORE, &err, fn, arg);
		return;
	}
	db_after_commit(service->parts.db, committed, waiter_new(service, fn, arg));
}

void job_fail(struct service *service, enum service_fault fault, const struct err *err,
    service_fn *fn, void *arg)
{
	struct waiter *waiter = waiter_new(service, fn, arg);

	waiter->fault = fault;
	err_copy(&waiter->err, err);
	loop_defer(service->parts.loop, failed, waiter);
}

enum service_fault job_fault_of(const struct scm_answer *answer)
{
	switch (answer->outcome) {
	case SCM_OK:
		return SERVICE_OK;
	case SCM_TEMPORARY:
		return answer->status == 0 || answer->status >= 500 || answer->rate_limited
		           ? SERVICE_UNREACHED
		           : SERVICE_REFUSED;
	case SCM_BLOCKED:
	case SCM_PERMANENT:
		break;
	}
	return SERVICE_REFUSED;
}

void job_audit(struct service *service, const char *who, const char *action, const char *subject,
    const char *detail)
{
	struct err err = ERR_INIT;

	if (!audit_add(service->parts.audit, who, action, subject, detail, &err))
		log_error(
		    "audit", "an entry cannot be stored", log_str("action", action), log_err(&err));
}
