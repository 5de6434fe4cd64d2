#include "service/jobs.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

struct long_job {
	struct jobs *jobs;
	uint64_t number; /* 0: free */
	bool running;
	struct service_repo *repos;      /* a copy, without traces */
	const struct service_repo *live; /* of the action while it is running; NULL: not yet */
	unsigned count;
	struct err err;
};

struct jobs {
	struct service *service;
	struct bus *bus;
	uint64_t last;
	struct long_job list[JOBS_KEPT];
};

struct jobs *jobs_new(struct service *service, struct bus *bus)
{
	struct jobs *jobs = mem_zero(sizeof(*jobs));

	jobs->service = service;
	jobs->bus = bus;
	return jobs;
}

static void clear(struct long_job *job)
{
	for (unsigned i = 0; i < job->count; i++)
		free(job->repos[i].events.err);
	free(job->repos);
}

void jobs_free(struct jobs *jobs)
{
	if (jobs == NULL)
		return;
	for (unsigned i = 0; i < JOBS_KEPT; i++)
		clear(&jobs->list[i]);
	free(jobs);
}

static void keep(struct long_job *job, const struct service_repo *repos, unsigned count)
{
	for (unsigned i = 0; i < count && i < job->count; i++) {
		struct service_events *events = &job->repos[i].events;

		job->repos[i] = repos[i];
		job->repos[i].trace = events->trace = NULL;
		if (events->err != NULL) {
			events->err = mem_zero(sizeof(*events->err));
			err_copy(events->err, repos[i].events.err);
		}
	}
}

static void progressed(const struct service_repo *repos, unsigned count, void *arg)
{
	struct long_job *job = arg;

	(void)count;
	job->live = repos;
	bus_publish(job->jobs->bus, BUS_JOB, job->number);
}

static void finished(const struct service_result *result, const struct service_repo *repos,
    unsigned count, void *arg)
{
	struct long_job *job = arg;

	job->live = NULL;
	keep(job, repos, count);
	for (unsigned i = 0; i < job->count; i++)
		job->repos[i].done = true;
	job->running = false;
	err_copy(&job->err, result->err);
	bus_publish(job->jobs->bus, BUS_JOB, job->number);
}

/* A free place, or that of the oldest one that has ended. */
static struct long_job *place(struct jobs *jobs)
{
	struct long_job *oldest = NULL;

	for (unsigned i = 0; i < JOBS_KEPT; i++) {
		struct long_job *job = &jobs->list[i];

		if (job->number == 0)
			return job;
		if (!job->running && (oldest == NULL || job->number < oldest->number))
			oldest = job;
	}
	return oldest;
}

uint64_t jobs_start(struct jobs *jobs, const char *who, enum service_enable what, uint32_t server,
    const char *const *names, unsigned count, const struct secret *token, struct err *err)
{
	struct long_job *job = place(jobs);
	struct service_progress progress = {.fn = progressed, .arg = job};

	if (job == NULL) {
		err_set(err, "too_many", "%d long actions are running already", JOBS_KEPT);
		err_hint(err, "Wait until one of them has ended.");
		return 0;
	}
	clear(job);
	*job = (struct long_job){
	    .jobs = jobs, .number = ++jobs->last, .running = true, .count = count};
	job->repos = mem_array(count, sizeof(*job->repos));
	for (unsigned i = 0; i < count; i++)
		strncpy(job->repos[i].name, names[i], sizeof(job->repos[i].name) - 1);
	service_change_repos(
	    jobs->service, who, what, server, names, count, token, &progress, finished, job);
	return job->number;
}

bool jobs_view(const struct jobs *jobs, uint64_t number, struct jobs_view *out)
{
	for (unsigned i = 0; i < JOBS_KEPT; i++) {
		const struct long_job *job = &jobs->list[i];

		if (number == 0 || job->number != number)
			continue;
		*out = (struct jobs_view){.running = job->running,
		    .repos = job->live != NULL ? job->live : job->repos,
		    .count = job->count,
		    .err = job->err.code != NULL ? &job->err : NULL};
		return true;
	}
	return false;
}
