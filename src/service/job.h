/*
 * job: the memory of one long action, in a list of its service so that service_free can end it.
 * Private to src/service.
 */
#ifndef SERVICE_JOB_H
#define SERVICE_JOB_H

#include "service/service.h"

struct service_job {
	struct service *service;
	void (*cancel)(struct service_job *job); /* frees it and what it started */
	TAILQ_ENTRY(service_job) entry;
};

void job_add(
    struct service *service, struct service_job *job, void (*cancel)(struct service_job *));
void job_remove(struct service_job *job);

/* A one-step action: writes were made; calls fn once they are on disk. lost: db_lost before the
 * first of them, since a failure of the last takes all of them away. */
void job_after_commit(struct service *service, uint64_t lost, service_fn *fn, void *arg);
/* The action failed before anything was written: calls fn at the end of the turn with a copy of
 * err. */
void job_fail(struct service *service, enum service_fault fault, const struct err *err,
    service_fn *fn, void *arg);

enum service_fault job_fault_of(const struct scm_answer *answer);
void job_audit(struct service *service, const char *who, const char *action, const char *subject,
    const char *detail);

#endif
