/*
 * dispatcher_internal: what the dispatcher's rooms share; nobody else includes it.
 *
 *   dispatcher.c        choosing what goes next, timers, the interface
 *   dispatcher_job.c    one update on its way: sending, reading back, the answer
 *   dispatcher_repos.c  repositories in memory: loading, blocking, ending what is not enabled
 *   dispatcher_token.c  the tokens' pace for another road
 */
#ifndef FLOW_DISPATCHER_INTERNAL_H
#define FLOW_DISPATCHER_INTERNAL_H

#include "flow/dispatcher.h"

#define PROBE_MS (60ull * 60 * 1000) /* a blocked repository is tried once an hour */

struct job {
	struct dispatcher *dispatcher;
	struct queue_entry *entry;
	struct lanes_repo *repo;
	struct scm_call *call;
	uint64_t sent_ms;    /* monotonic, of the request under way */
	int64_t deadline_ms; /* wall: until then a lost request may still take effect */
	TAILQ_ENTRY(job) link;
};

struct dispatcher {
	struct dispatcher_options options;
	struct lanes lanes;
	struct map timers; /* server id -> server_timer */
	TAILQ_HEAD(, job) jobs;
	unsigned in_flight;
	struct loop_timer due_timer, probe_timer, discard_timer, hold_timer;
	int64_t next_due_ms;
	struct map discards; /* disabled repositories with entries left: id -> its own copy */
	bool stopping;
	bool held; /* the store failed a moment ago: nothing is claimed */
	loop_fn *idle;
	void *idle_arg;
	struct log_limit store_limit, temporary_limit;
};

/* dispatcher.c */
void dispatcher_pump(struct dispatcher *d, struct lanes_server *server);
/* Something may have been put into LATER: looks at it in time. */
void dispatcher_queue_changed(struct dispatcher *d);
void dispatcher_store_failed(struct dispatcher *d, const struct err *err);
void dispatcher_server_works(struct dispatcher *d, struct lanes_server *server, int64_t wall_ms);
void dispatcher_server_fails(
    struct dispatcher *d, struct lanes_server *server, const struct scm_answer *answer);

/* dispatcher_job.c */
void dispatcher_job_start(struct dispatcher *d, struct lanes_repo *repo, struct queue_entry *entry);
void dispatcher_jobs_cancel(struct dispatcher *d);

/* dispatcher_repos.c */
/* The loaded repository, or NULL when it is disabled (its entries are then ended) or cannot be
 * used. trusted: an administrator changed it just now, so that its token was checked. */
struct lanes_repo *dispatcher_repo_load(struct dispatcher *d, uint32_t id, bool trusted);
void dispatcher_repo_unload_if_idle(struct dispatcher *d, struct lanes_repo *repo);
/* Takes up what waits for it. */
void dispatcher_repo_wake(struct dispatcher *d, uint32_t id, bool trusted);
void dispatcher_block(
    struct dispatcher *d, struct lanes_repo *repo, const struct scm_answer *answer);
/* The server took a request for this repository. */
void dispatcher_unblock(struct dispatcher *d, struct lanes_repo *repo);
void dispatcher_discard(void *arg); /* the discard timer's function */

#endif
