/*
 * worker: the helper thread of loop.h.
 *
 * The thread and the loop share only the two lists, under the lock; an eventfd tells the loop that
 * a job is finished.
 *
 *   worker_add -> waiting -(thread: run)-> finished -(loop: done)-> freed
 */
#define _GNU_SOURCE /* pthread_timedjoin_np */
#include "base/loop.h"
#include "base/mem.h"
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { JOBS_MAX = 1024, JOIN_MS = 300 };

struct job {
	loop_fn *run, *done;
	void *arg;
	struct job *next;
};

struct jobs {
	struct job *first, **last;
	size_t count;
};

struct worker {
	struct loop *loop;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work; /* something waits, or stop */
	struct jobs waiting, finished;
	bool stop;
	int wake_fd;
	struct event wake;
	char name[16]; /* what the kernel takes */
};

static void jobs_init(struct jobs *jobs)
{
	*jobs = (struct jobs){0};
	jobs->last = &jobs->first;
}

static void jobs_push(struct jobs *jobs, struct job *job)
{
	job->next = NULL;
	*jobs->last = job;
	jobs->last = &job->next;
	jobs->count++;
}

static struct job *jobs_pop(struct jobs *jobs)
{
	struct job *job = jobs->first;

	if (job == NULL)
		return NULL;
	jobs->first = job->next;
	if (jobs->first == NULL)
		jobs->last = &jobs->first;
	jobs->count--;
	return job;
}

static void *worker_thread(void *arg)
{
	struct worker *worker = arg;
	const uint64_t one = 1;

	prctl(PR_SET_NAME, worker->name);
	pthread_mutex_lock(&worker->lock);
	while (!worker->stop) {
		struct job *job = jobs_pop(&worker->waiting);
		if (job == NULL) {
			pthread_cond_wait(&worker->work, &worker->lock);
			continue;
		}
		pthread_mutex_unlock(&worker->lock);
		job->run(job->arg);
		pthread_mutex_lock(&worker->lock);
		jobs_push(&worker->finished, job);
		if (write(worker->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
			fatal("a finished job cannot be told: %s", strerror(errno));
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

/* Calls done for what is finished. One by one: done may add jobs, or free the worker. */
static void worker_deliver(struct worker *worker)
{
	for (;;) {
		pthread_mutex_lock(&worker->lock);
		struct job *job = jobs_pop(&worker->finished);
		pthread_mutex_unlock(&worker->lock);
		if (job == NULL)
			return;
		job->done(job->arg);
		free(job);
	}
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		fatal("finished jobs cannot be read: %s", strerror(errno));
	worker_deliver(arg);
}

/* With all signals blocked, so that they reach the loop's thread. */
static int worker_start(struct worker *worker)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failure = pthread_create(&worker->thread, NULL, worker_thread, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failure;
}

/* Never inside the callbacks of its own that may be under way. */
static void worker_free_memory(void *arg)
{
	struct worker *worker = arg;

	pthread_cond_destroy(&worker->work);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
}

struct worker *worker_new(struct loop *loop, const char *name, struct err *err)
{
	int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (wake_fd < 0) {
		err_set(err, "worker", "the helper thread \"%s\" gets no descriptor: %s", name,
		    strerror(errno));
		return NULL;
	}
	struct worker *worker = mem_zero(sizeof(*worker));
	worker->loop = loop;
	worker->wake_fd = wake_fd;
	strncpy(worker->name, name, sizeof(worker->name) - 1);
	jobs_init(&worker->waiting);
	jobs_init(&worker->finished);
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->work, NULL);
	event_assign(
	    &worker->wake, loop_base(loop), wake_fd, EV_READ | EV_PERSIST, on_wake, worker);
	int failure = worker_start(worker);
	if (failure != 0) {
		err_set(err, "worker", "the helper thread \"%s\" does not start: %s", name,
		    strerror(failure));
		close(wake_fd);
		worker_free_memory(worker);
		return NULL;
	}
	if (event_add(&worker->wake, NULL) != 0)
		fatal("libevent takes no eventfd");
	return worker;
}

/* A job that hangs (getaddrinfo with a dead DNS server) must not hold up the end of the program. */
static bool worker_joined(struct worker *worker)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += JOIN_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	return pthread_timedjoin_np(worker->thread, NULL, &until) == 0;
}

bool worker_free(struct worker *worker)
{
	if (worker == NULL)
		return true;
	pthread_mutex_lock(&worker->lock);
	worker->stop = true;
	for (struct job *job; (job = jobs_pop(&worker->waiting)) != NULL;)
		free(job);
	pthread_cond_signal(&worker->work);
	pthread_mutex_unlock(&worker->lock);
	event_del(&worker->wake);
	if (!worker_joined(worker)) {
		/* The thread still stands on this memory; the process is about to end. */
		pthread_detach(worker->thread);
		return false;
	}
	worker_deliver(worker);
	close(worker->wake_fd);
	loop_defer(worker->loop, worker_free_memory, worker);
	return true;
}

bool worker_add(struct worker *worker, loop_fn *run, loop_fn *done, void *arg)
{
	pthread_mutex_lock(&worker->lock);
	bool room = !worker->stop && worker->waiting.count < JOBS_MAX;
	if (room) {
		struct job *job = mem_zero(sizeof(*job));
		*job = (struct job){.run = run, .done = done, .arg = arg};
		jobs_push(&worker->waiting, job);
		pthread_cond_signal(&worker->work);
	}
	pthread_mutex_unlock(&worker->lock);
	return room;
}
