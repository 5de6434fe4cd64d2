#include "base/clock.h"
#include "base/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { WAITING_MAX = 1024 };

struct room {
	struct loop *loop;
	struct worker *worker;
	pthread_t loop_thread;
	sem_t gate, begun; /* a job says that it has begun, and waits at the gate */
	char trace[64];
	unsigned runs, dones, stop_after;
};

static void room_init(struct room *room)
{
	struct err err = ERR_INIT;

	*room = (struct room){.loop = loop_new(NULL), .loop_thread = pthread_self()};
	sem_init(&room->gate, 0, 0);
	sem_init(&room->begun, 0, 0);
	room->worker = worker_new(room->loop, "a name longer than it may be", &err);
	assert_non_null(room->worker);
}

static void room_end(struct room *room)
{
	worker_free(room->worker);
	loop_free(room->loop);
	sem_destroy(&room->gate);
	sem_destroy(&room->begun);
}

struct task {
	struct room *room;
	char letter;
};

static void run(void *arg)
{
	struct task *task = arg;

	/* The loop's thread reads this after done only. */
	task->room->runs += pthread_equal(pthread_self(), task->room->loop_thread) ? 0 : 1;
}

static void done(void *arg)
{
	struct task *task = arg;
	struct room *room = task->room;

	assert_true(pthread_equal(pthread_self(), room->loop_thread));
	if (room->dones < sizeof(room->trace) - 1)
		room->trace[room->dones] = task->letter;
	if (++room->dones == room->stop_after)
		loop_stop(room->loop);
}

static void run_at_gate(void *arg)
{
	struct task *task = arg;

	sem_post(&task->room->begun);
	sem_wait(&task->room->gate);
	run(arg);
}

static void test_results_come_in_order_in_the_loop(void **state)
{
	struct room room;
	struct task tasks[3] = {{&room, 'a'}, {&room, 'b'}, {&room, 'c'}};

	(void)state;
	room_init(&room);
	room.stop_after = 3;
	for (int i = 0; i < 3; i++)
		assert_true(worker_add(room.worker, run, done, &tasks[i]));
	loop_run(room.loop);
	assert_string_equal(room.trace, "abc");
	assert_int_equal(room.runs, 3);
	room.stop_after = 4; /* and again after a rest */
	assert_true(worker_add(room.worker, run, done, &tasks[0]));
	loop_run(room.loop);
	assert_string_equal(room.trace, "abca");
	room_end(&room);
}

static void test_waiting_jobs_are_bounded(void **state)
{
	struct room room;
	struct task task = {&room, 'x'};

	(void)state;
	room_init(&room);
	assert_true(worker_add(room.worker, run_at_gate, done, &task));
	sem_wait(&room.begun);
	for (int i = 0; i < WAITING_MAX; i++)
		assert_true(worker_add(room.worker, run, done, &task));
	assert_false(worker_add(room.worker, run, done, &task));
	sem_post(&room.gate);
	room.stop_after = WAITING_MAX + 1;
	loop_run(room.loop);
	assert_int_equal(room.runs, WAITING_MAX + 1);
	assert_true(worker_add(room.worker, run, done, &task));
	room_end(&room);
}

static void *open_gate(void *arg)
{
	struct room *room = arg;

	sem_post(&room->gate);
	sem_post(&room->gate); /* the second may have begun as well */
	return NULL;
}

static void test_freed_with_jobs(void **state)
{
	struct room room;
	struct task first = {&room, '1'}, second = {&room, '2'};
	pthread_t opener;

	(void)state;
	room_init(&room);
	assert_true(worker_add(room.worker, run_at_gate, done, &first));
	assert_true(worker_add(room.worker, run_at_gate, done, &second));
	sem_wait(&room.begun);
	/* Whichever comes first, gate or end: what has begun is told, and nothing hangs or leaks.
	 */
	assert_int_equal(pthread_create(&opener, NULL, open_gate, &room), 0);
	worker_free(room.worker);
	pthread_join(opener, NULL);
	room.worker = NULL;
	room_end(&room);
	assert_true(room.trace[0] == '1');
	worker_free(NULL);
}

static struct worker *left_behind; /* for the leak checker */

static void test_a_hanging_job_does_not_hold_up_the_end(void **state)
{
	static struct room room; /* the thread goes on with it */
	static struct task task = {&room, 'h'};
	uint64_t before;

	(void)state;
	room_init(&room);
	assert_true(worker_add(room.worker, run_at_gate, done, &task));
	sem_wait(&room.begun);
	before = clock_monotonic_ms();
	left_behind = room.worker;
	assert_false(worker_free(room.worker));
	assert_in_range(clock_monotonic_ms() - before, 200, 2000);
	loop_free(room.loop);
	assert_int_equal(room.dones, 0);
	sem_post(&room.gate);
}

static void done_and_free(void *arg)
{
	struct task *task = arg;

	done(arg);
	worker_free(task->room->worker);
	task->room->worker = NULL;
}

static void test_freed_by_its_own_result(void **state)
{
	struct room room;
	struct task task = {&room, 'f'};

	(void)state;
	room_init(&room);
	room.stop_after = 1;
	assert_true(worker_add(room.worker, run, done_and_free, &task));
	loop_run(room.loop);
	assert_string_equal(room.trace, "f");
	room_end(&room);
}

static void done_and_add(void *arg)
{
	struct task *task = arg;

	assert_true(worker_add(task->room->worker, run, done, task));
	done(arg);
}

static void test_a_result_adds_a_job(void **state)
{
	struct room room;
	struct task task = {&room, 'n'};

	(void)state;
	room_init(&room);
	room.stop_after = 2;
	assert_true(worker_add(room.worker, run, done_and_add, &task));
	loop_run(room.loop);
	assert_string_equal(room.trace, "nn");
	room_end(&room);
}

static void on_signal(int signal_number, void *arg)
{
	struct room *room = arg;

	assert_int_equal(signal_number, SIGUSR1);
	assert_true(pthread_equal(pthread_self(), room->loop_thread));
	sem_post(&room->gate);
}

static void test_signals_reach_the_loop(void **state)
{
	struct room room;
	struct task task = {&room, 's'};

	(void)state;
	room_init(&room);
	room.stop_after = 1;
	assert_true(loop_on_signal(room.loop, SIGUSR1, on_signal, &room));
	assert_true(worker_add(room.worker, run_at_gate, done, &task));
	sem_wait(&room.begun);
	kill(getpid(), SIGUSR1);
	loop_run(room.loop);
	assert_string_equal(room.trace, "s");
	room_end(&room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_results_come_in_order_in_the_loop),
	    cmocka_unit_test(test_waiting_jobs_are_bounded),
	    cmocka_unit_test(test_freed_with_jobs),
	    cmocka_unit_test(test_a_hanging_job_does_not_hold_up_the_end),
	    cmocka_unit_test(test_freed_by_its_own_result),
	    cmocka_unit_test(test_a_result_adds_a_job),
	    cmocka_unit_test(test_signals_reach_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
