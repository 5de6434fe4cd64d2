#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "flow/dispatcher_internal.h"
#include <stdlib.h>
#include <string.h>

#define PROBE_AGAIN_MS (5ull * 60 * 1000) /* the probe of a blocked repository told nothing */

static const struct backoff update_backoff = {.first_ms = 2000, .limit_ms = 10 * 60 * 1000};
static const struct backoff unknown_backoff = {.first_ms = 2000, .limit_ms = 60 * 1000};

static struct metric delivered = METRIC(METRIC_COUNTER, "eyes_scm_updates_total",
    "outcome=\"delivered\"", "Status updates that ended, by outcome");
static struct metric rejected =
    METRIC(METRIC_COUNTER, "eyes_scm_updates_total", "outcome=\"rejected\"", "");
static struct metric retried =
    METRIC(METRIC_COUNTER, "eyes_scm_retries_total", "", "Attempts that are made again");
static struct metric verified = METRIC(METRIC_COUNTER, "eyes_scm_read_backs_total", "",
    "Statuses read back after an uncertain outcome");
static struct metric latency = METRIC(METRIC_HISTOGRAM, "eyes_scm_update_milliseconds", "",
    "Receipt of an update to the server's answer");

static void job_send(struct job *job);
static void job_answered(const struct scm_answer *answer, void *arg);
static void job_read_back(
    const struct scm_answer *answer, const struct scm_status *status, void *arg);
static void job_end(struct job *job);

void dispatcher_job_start(struct dispatcher *d, struct lanes_repo *repo, struct queue_entry *entry)
{
	struct job *job = mem_zero(sizeof(*job));
	struct err err = ERR_INIT;
	struct server *server;

	job->dispatcher = d;
	job->entry = entry;
	job->repo = repo;
	TAILQ_INSERT_TAIL(&d->jobs, job, link);
	d->in_flight++;
	lanes_started(repo, clock_monotonic_ms());
	if (entry->kind != QUEUE_VERIFY) {
		job_send(job);
		return;
	}
	job->sent_ms = clock_monotonic_ms();
	server = servers_get(d->options.servers, repo->token->server->id, &err);
	if (server == NULL) {
		job_send(job); /* which tells of the same fault */
		return;
	}
	metric_add(&verified, 1);
	job->call = server->driver->get_status(d->options.scm, &server->view, &repo->token_value,
	    repo->project, repo->slug, entry->update.commit, entry->update.key, job_read_back, job);
}

static void job_send(struct job *job)
{
	struct dispatcher *d = job->dispatcher;
	struct lanes_repo *repo = job->repo;
	struct err err = ERR_INIT;
	struct server *server = servers_get(d->options.servers, repo->token->server->id, &err);

	if (server == NULL) {
		struct scm_answer answer = {.outcome = SCM_TEMPORARY,
		    .scope = SCM_SCOPE_SERVER,
		    .err = &err,
		    .retry_after_ms = -1};

		job_answered(&answer, job);
		return;
	}
	job->sent_ms = clock_monotonic_ms();
	job->deadline_ms = clock_wall_ms() + d->options.deadline_ms;
	job->call = server->driver->set_status(d->options.scm, &server->view, &repo->token_value,
	    repo->project, repo->slug, &job->entry->update, job_answered, job);
}

/* ---- answers ---- */

static void later(struct job *job, const struct scm_answer *answer, int64_t due_ms)
{
	struct dispatcher *d = job->dispatcher;
	struct err err = ERR_INIT;

	metric_add(&retried, 1);
	if (!queue_later(d->options.queue, job->entry, due_ms, answer->err->code,
	        answer->err->message, answer->doubtful ? job->deadline_ms : 0, &err))
		dispatcher_store_failed(d, &err);
	dispatcher_queue_changed(d);
}

static void end(struct job *job, enum update_outcome outcome, const struct err *reason, bool dead,
    int64_t doubtful_ms)
{
	struct dispatcher *d = job->dispatcher;
	struct err err = ERR_INIT;

	if (!queue_done(d->options.queue, job->entry, outcome, reason != NULL ? reason->code : "",
	        reason != NULL ? reason->message : "", doubtful_ms, dead, &err))
		dispatcher_store_failed(d, &err);
	dispatcher_queue_changed(d);
}

static void answered_ok(struct job *job)
{
	if (job->entry->kind != QUEUE_VERIFY) {
		metric_add(&delivered, 1);
		metric_observe_ms(&latency, (double)(clock_wall_ms() - job->entry->received_ms));
	}
	end(job, UPDATE_DELIVERED, NULL, false, 0);
}

static void answered_limited(struct job *job, const struct scm_answer *answer)
{
	struct dispatcher *d = job->dispatcher;
	enum queue_lane which = job->entry->lane;

	pace_limited(
	    &job->repo->token->pace, job->sent_ms, clock_monotonic_ms(), answer->retry_after_ms);
	log_limited_warn(&d->temporary_limit, "dispatcher", "the server asks to slow down",
	    log_err(answer->err));
	queue_release(d->options.queue, job->entry);
	lanes_fill(job->repo, which);
}

static void answered_server_fault(struct job *job, const struct scm_answer *answer)
{
	struct lanes_server *server = job->repo->token->server;
	uint64_t now = clock_monotonic_ms();

	dispatcher_server_fails(job->dispatcher, server, answer);
	later(job, answer,
	    clock_wall_ms() +
	        (int64_t)(server->paused_until > now ? server->paused_until - now : 0));
}

/* It was unknown the last time as well: other failures in between are not held against it. */
static bool unknown_too_long(const struct job *job, const struct scm_answer *answer)
{
	const struct queue_entry *entry = job->entry;

	return answer->unknown_commit && err_is(answer->err, entry->last_code) &&
	       clock_wall_ms() - entry->first_try_ms >=
	           (int64_t)job->dispatcher->options.unknown_ms;
}

static void answered_temporary(struct job *job, const struct scm_answer *answer)
{
	struct dispatcher *d = job->dispatcher;
	uint32_t attempts = job->entry->attempts + 1, wait;

	if (job->repo->blocked && !job->repo->stale)
		job->repo->probe_at = clock_monotonic_ms() + PROBE_AGAIN_MS;
	if (answer->rate_limited) {
		answered_limited(job, answer);
		return;
	}
	if (answer->scope == SCM_SCOPE_SERVER) {
		answered_server_fault(job, answer);
		return;
	}
	if (unknown_too_long(job, answer)) {
		metric_add(&rejected, 1);
		end(job, UPDATE_REJECTED, answer->err, true, 0);
		return;
	}
	wait = backoff_ms(answer->unknown_commit ? &unknown_backoff : &update_backoff, attempts,
	    crypto_random_below(UINT32_MAX));
	if (answer->retry_after_ms > (int64_t)wait)
		wait = (uint32_t)answer->retry_after_ms;
	log_limited_warn(&d->temporary_limit, "dispatcher", "an update is tried again later",
	    log_uint("number", job->entry->number), log_uint("attempts", attempts),
	    log_uint("wait_ms", wait), log_err(answer->err));
	later(job, answer, clock_wall_ms() + wait);
}

static void answer_apply(struct job *job, const struct scm_answer *answer)
{
	struct dispatcher *d = job->dispatcher;

	lanes_server_showed(job->repo->token->server, answer->trace);
	if (answer->outcome == SCM_OK || (answer->status != 0 && answer->scope != SCM_SCOPE_SERVER))
		dispatcher_server_works(d, job->repo->token->server, clock_wall_ms());
	if (answer->outcome == SCM_OK || answer->unknown_commit ||
	    (answer->outcome == SCM_PERMANENT && answer->status != 0))
		dispatcher_unblock(d, job->repo);
	switch (answer->outcome) {
	case SCM_OK:
		answered_ok(job);
		break;
	case SCM_TEMPORARY:
		answered_temporary(job, answer);
		break;
	case SCM_BLOCKED:
		dispatcher_block(d, job->repo, answer);
		queue_release(d->options.queue, job->entry);
		break;
	case SCM_PERMANENT:
		metric_add(&rejected, 1);
		log_warn("dispatcher", "the server refuses an update for good",
		    log_uint("number", job->entry->number),
		    log_str("commit", job->entry->update.commit), log_err(answer->err));
		end(job, UPDATE_REJECTED, answer->err, true,
		    answer->doubtful ? job->deadline_ms : 0);
		break;
	}
}

static void job_answered(const struct scm_answer *answer, void *arg)
{
	struct job *job = arg;

	job->call = NULL;
	answer_apply(job, answer);
	job_end(job);
}

static void job_read_back(
    const struct scm_answer *answer, const struct scm_status *status, void *arg)
{
	struct job *job = arg;
	struct dispatcher *d = job->dispatcher;
	const struct update *wanted = &job->entry->update;
	struct server *server;

	job->call = NULL;
	if (answer->outcome != SCM_OK) {
		answer_apply(job, answer);
		job_end(job);
		return;
	}
	server = servers_get(d->options.servers, job->repo->token->server->id, NULL);
	if (server != NULL && status->found && status->state_known &&
	    status->state == server->driver->state_as_sent(&server->view, wanted->state) &&
	    strcmp(status->url, wanted->url) == 0) {
		answer_apply(job, answer);
		job_end(job);
		return;
	}
	if (job->repo->stale) { /* disabled, or another token: begun anew with what holds now */
		queue_release(d->options.queue, job->entry);
		job_end(job);
		return;
	}
	log_warn("dispatcher", "a lost request took effect late: the newer status is set again",
	    log_str("commit", wanted->commit), log_str("key", wanted->key));
	pace_sent(&job->repo->token->pace, clock_monotonic_ms());
	job_send(job);
}

static void job_end(struct job *job)
{
	struct dispatcher *d = job->dispatcher;
	struct lanes_repo *repo = job->repo;
	struct lanes_server *server = repo->token->server;

	TAILQ_REMOVE(&d->jobs, job, link);
	d->in_flight--;
	lanes_finished(repo);
	if (repo->passed_over) {
		repo->passed_over = false;
		lanes_fill(repo, QUEUE_FINAL);
		lanes_fill(repo, QUEUE_RUNNING);
	}
	dispatcher_repo_unload_if_idle(d, repo);
	free(job);
	if (d->stopping && d->in_flight == 0 && d->idle != NULL) {
		loop_defer(d->options.loop, d->idle, d->idle_arg);
		d->idle = NULL;
	}
	dispatcher_pump(d, server);
}

void dispatcher_jobs_cancel(struct dispatcher *d)
{
	struct job *job;

	while ((job = TAILQ_FIRST(&d->jobs)) != NULL) {
		TAILQ_REMOVE(&d->jobs, job, link);
		if (job->call != NULL)
			scm_cancel(job->call);
		queue_release(d->options.queue, job->entry);
		free(job);
	}
}
