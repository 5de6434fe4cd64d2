/*
 * jobs: changing many repositories from the page. It answers at once with a number; how far it is
 * can be asked, and is told on the bus (BUS_JOB). It goes on when the page is closed. The last
 * JOBS_KEPT are kept.
 */
#ifndef SERVICE_JOBS_H
#define SERVICE_JOBS_H

#include "service/service.h"

#define JOBS_KEPT 16
struct jobs_view { /* borrowed for the turn */
	bool running;
	const struct service_repo *repos;
	unsigned count;
	const struct err *err; /* of the whole, NULL when there is none */
};

struct jobs;
struct jobs *jobs_new(struct service *service, struct bus *bus);
void jobs_free(struct jobs *jobs);
/* The job's number; 0 with err when as many as are kept are running. */
uint64_t jobs_start(struct jobs *jobs, const char *who, enum service_enable what, uint32_t server,
    const char *const *names, unsigned count, const struct secret *token, struct err *err);
bool jobs_view(const struct jobs *jobs, uint64_t number, struct jobs_view *out);

#endif
