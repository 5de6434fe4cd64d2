/*
 * The store's share of an update: put, claim, done, outbox, journal, in groups of 256. Prints CPU
 * time (ours and the kernel's) and wall time an update; the folder is the first argument.
 *
 *   bench_store FOLDER [UPDATES] [REPOSITORIES] [QUEUED] [IN-FLIGHT]
 */
#include "base/clock.h"
#include "store/journal.h"
#include "store/outbox.h"
#include "store/queue.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { GROUP = 256, IN_FLIGHT_MOST = 1024 };

struct bench {
	struct db *db;
	struct outbox *outbox;
	struct journal *journal;
	struct queue *queue;
	uint64_t serial;
	unsigned repos;
	unsigned in_flight;
	struct queue_entry *claimed[IN_FLIGHT_MOST];
};

static void on_result(const struct queue_result *result, void *arg)
{
	struct bench *bench = arg;
	struct journal_row row = {
	    .ended_ms = clock_wall_ms(),
	    .received_ms = result->received_ms,
	    .repo = result->repo,
	    .commit = result->update->commit,
	    .key = result->update->key,
	    .state = result->update->state,
	    .outcome = result->outcome,
	    .attempts = result->attempts,
	    .code = result->code,
	    .error = result->error,
	};

	outbox_add(bench->outbox, result->id, result->outcome, result->error);
	journal_add(bench->journal, &row);
}

static void check(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "bench_store: %s\n", what);
		exit(1);
	}
}

static uint32_t put(struct bench *bench)
{
	char id[64], commit[64];
	uint64_t number = bench->serial++;
	struct queue_entry entry = {
	    .repo = 1 + (uint32_t)(number * 7919 % bench->repos),
	    .id = id,
	    .update = {.commit = commit,
	        .key = "tests/applitools",
	        .name = "tests/applitools",
	        .description = "12 passed, 1 unresolved",
	        .url = "https://eyes.example.com/app/batches/00000251799999999999/?accountId=x",
	        .ref = "refs/heads/feature/login-page",
	        .state = UPDATE_SUCCESSFUL},
	    .order = {.has_sequence = true, .sequence = (int64_t)number},
	    .received_ms = clock_wall_ms(),
	};
	struct err err = ERR_INIT;

	snprintf(
	    id, sizeof(id), "cmd-%016llx-a7b3", (unsigned long long)number * 0x9e3779b97f4a7c15);
	snprintf(commit, sizeof(commit), "%040llx", (unsigned long long)number);
	if (queue_put(bench->queue, &entry, &err) != QUEUE_PUT_NEW)
		check(false, err.code != NULL ? err.message : "an update was not taken");
	return entry.repo;
}

/* What the retention does beside; its cost is part of ours. */
static void trim(struct bench *bench)
{
	outbox_done(bench->outbox, UINT64_MAX, NULL);
	queue_trim(bench->queue, clock_wall_ms(), GROUP);
	journal_trim(bench->journal, GROUP);
}

/* Updates that come in and outcomes of earlier ones share a commit, as under load. */
static void cycle(struct bench *bench)
{
	uint32_t repos[GROUP];
	unsigned oldest = 0;

	for (unsigned i = 0; i < GROUP; i++)
		repos[i] = put(bench);
	for (unsigned i = 0; i < GROUP; i++) {
		unsigned slot = oldest++ % bench->in_flight;
		if (bench->claimed[slot] != NULL)
			check(queue_done(bench->queue, bench->claimed[slot], UPDATE_DELIVERED, "",
			          "", 0, false, NULL),
			    "an update was not ended");
		bench->claimed[slot] = NULL;
		check(
		    queue_claim(bench->queue, repos[i], QUEUE_FINAL, false, &bench->claimed[slot]),
		    "nothing to claim");
	}
	trim(bench);
	check(db_commit_now(bench->db, NULL), "a commit fails");
}

static double cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static unsigned long number(int argc, char **argv, int index, unsigned long usual)
{
	return argc > index ? strtoul(argv[index], NULL, 10) : usual;
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct loop *loop = loop_new(&err);
	struct bench bench = {0};
	struct db_options options = {
	    .directory = argc > 1 ? argv[1] : "bench_store.state", .size = UINT64_C(256) << 20};
	unsigned long updates = number(argc, argv, 2, 500000);
	unsigned long queued = number(argc, argv, 4, 0);

	bench.repos = (unsigned)number(argc, argv, 3, 1);
	bench.in_flight = (unsigned)number(argc, argv, 5, 64);
	check(bench.in_flight <= IN_FLIGHT_MOST, "too many in flight");
	bench.db = loop != NULL ? db_open(loop, &options, &err) : NULL;
	check(bench.db != NULL, err.message);
	struct queue_options queue_options = {.ttl_ms = 7 * 86400000,
	    .limit = 1000000,
	    .remember = 200000,
	    .result = on_result,
	    .arg = &bench};
	bench.outbox = outbox_open(bench.db, &err);
	bench.journal = journal_open(bench.db, 10000, &err);
	bench.queue = queue_open(bench.db, &queue_options, &err);
	check(bench.outbox != NULL && bench.journal != NULL && bench.queue != NULL, err.message);
	for (unsigned long i = 0; i < queued; i++) {
		put(&bench);
		if (i % 1000 == 0)
			check(db_commit_now(bench.db, &err), err.message);
	}
	uint64_t start_us = clock_monotonic_us();
	double start_cpu_us = cpu_us();
	unsigned long done = 0;
	while (done < updates) {
		cycle(&bench);
		done += GROUP;
	}
	double count = (double)done;
	printf("updates=%lu repos=%u queued=%lu in_flight=%u cpu_us=%.2f wall_us=%.2f used=%u%%\n",
	    done, bench.repos, queued, bench.in_flight, (cpu_us() - start_cpu_us) / count,
	    (double)(clock_monotonic_us() - start_us) / count, db_used_percent(bench.db));
	for (unsigned i = 0; i < bench.in_flight; i++)
		if (bench.claimed[i] != NULL)
			queue_release(bench.queue, bench.claimed[i]);
	queue_close(bench.queue);
	journal_close(bench.journal);
	outbox_close(bench.outbox);
	db_close(bench.db);
	loop_free(loop);
	return 0;
}
