#include "base/clock.h"
#include "base/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/util.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS = 64, DEADLINE_MS = 10000 };

struct room {
	struct loop *loop;
	char trace[64]; /* one letter a call */
	unsigned ends;
	unsigned stop_after_ends; /* 0: never */
	struct loop_timer deadline;
};

static void note(struct room *room, char letter)
{
	size_t length = strlen(room->trace);

	assert_true(length + 1 < sizeof(room->trace));
	room->trace[length] = letter;
}

static void on_deadline(void *arg)
{
	(void)arg;
	fail_msg("nothing came before the deadline");
}

static void on_turn_end(void *arg)
{
	struct room *room = arg;

	if (++room->ends == room->stop_after_ends)
		loop_stop(room->loop);
}

static int room_open(void **state)
{
	static struct room room;

	room = (struct room){.loop = loop_new(NULL)};
	assert_non_null(room.loop);
	loop_timer_init(&room.deadline, room.loop, on_deadline, &room);
	loop_timer_set(&room.deadline, DEADLINE_MS);
	loop_on_turn_end(room.loop, on_turn_end, &room);
	*state = &room;
	return 0;
}

static int room_close(void **state)
{
	struct room *room = *state;

	loop_timer_cancel(&room->deadline);
	loop_free(room->loop);
	return 0;
}

static void stop(void *arg)
{
	loop_stop(((struct room *)arg)->loop);
}

static void note_a(void *arg)
{
	note(arg, 'a');
}

static void note_b(void *arg)
{
	note(arg, 'b');
}

static void note_c_and_more(void *arg)
{
	struct room *room = arg;

	note(room, 'c');
	loop_defer(room->loop, note_a, room);
	loop_defer(room->loop, stop, room);
}

static void note_end(void *arg)
{
	note(arg, 'E');
}

static void test_deferred_in_order_then_the_hooks(void **state)
{
	struct room *room = *state;

	loop_on_turn_end(room->loop, note_end, room);
	loop_defer(room->loop, note_b, room);
	loop_defer(room->loop, note_c_and_more, room);
	loop_defer(room->loop, note_b, room);
	assert_string_equal(room->trace, "");
	loop_run(room->loop); /* does not wait: work is there already */
	assert_string_equal(room->trace, "bcbaE");
	assert_int_equal(room->ends, 1);
	assert_int_equal(loop_turns(room->loop), 1);
}

static void defer_once(void *arg)
{
	struct room *room = arg;

	if (room->ends == 1)
		loop_defer(room->loop, note_c_and_more, room);
}

static void test_deferred_by_a_hook_does_not_wait(void **state)
{
	struct room *room = *state;

	loop_on_turn_end(room->loop, defer_once, room);
	loop_defer(room->loop, note_b, room);
	uint64_t start_ms = clock_monotonic_ms();
	loop_run(room->loop);
	assert_string_equal(room->trace, "bca");
	assert_int_equal(room->ends, 2);
	assert_true(clock_monotonic_ms() - start_ms < 1000);
}

static void test_what_is_left_runs_when_the_loop_is_freed(void **state)
{
	static struct room other;

	(void)state;
	other = (struct room){.loop = loop_new(NULL)};
	loop_defer(other.loop, note_c_and_more, &other);
	loop_free(other.loop);
	assert_string_equal(other.trace, "ca");
	loop_free(NULL);
}

static void test_stopped_before_it_runs(void **state)
{
	struct room *room = *state;

	loop_stop(room->loop);
	loop_run(room->loop);
	assert_int_equal(room->ends, 0);
	loop_defer(room->loop, stop, room); /* and only once */
	loop_run(room->loop);
	assert_int_equal(room->ends, 1);
}

/* An event that makes itself active again whenever it runs: libevent alone would never leave it. */
static void on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_active(*(struct event **)arg, EV_TIMEOUT, 1);
}

static uint64_t run_under_self_activation(struct room *room, unsigned ends)
{
	static struct event *again;

	again = event_new(loop_base(room->loop), -1, EV_PERSIST, on_again, &again);
	event_active(again, EV_TIMEOUT, 1);
	room->stop_after_ends = ends;
	uint64_t start_ms = clock_monotonic_ms();
	loop_run(room->loop);
	event_free(again);
	return clock_monotonic_ms() - start_ms;
}

static void test_turns_end_under_self_activation(void **state)
{
	struct room *room = *state;

	loop_defer(room->loop, note_a, room); /* somebody waits for the end of the turn */
	assert_true(run_under_self_activation(room, 50) < 2000);
	assert_string_equal(room->trace, "a");
	assert_int_equal(room->ends, 50);
}

static void test_turns_end_even_when_nobody_waits(void **state)
{
	struct room *room = *state;

	assert_true(run_under_self_activation(room, 20) < 5000);
	assert_int_equal(room->ends, 20);
}

static void test_timers_run_under_self_activation(void **state)
{
	struct room *room = *state;
	struct loop_timer timer;

	loop_timer_init(&timer, room->loop, stop, room);
	loop_timer_set(&timer, 20);
	assert_true(run_under_self_activation(room, 0) < 2000);
}

static void on_echo(struct bufferevent *bufferevent, void *arg)
{
	char bytes[64];
	size_t length = bufferevent_read(bufferevent, bytes, sizeof(bytes));

	++*(uint64_t *)arg;
	bufferevent_write(bufferevent, bytes, length);
}

static struct bufferevent *echo_new(struct loop *loop, int fd, uint64_t *echoes)
{
	struct bufferevent *echo = bufferevent_socket_new(
	    loop_base(loop), fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);

	bufferevent_setcb(echo, on_echo, NULL, NULL, echoes);
	bufferevent_enable(echo, EV_READ | EV_WRITE);
	return echo;
}

/* 64 connections that talk without a pause, with deferred callbacks: the load of a busy daemon. */
static void test_turns_end_under_constant_traffic(void **state)
{
	struct room *room = *state;
	struct bufferevent *echoes[2 * PAIRS];
	uint64_t count = 0;

	for (int i = 0; i < PAIRS; i++) {
		int fds[2];
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
		echoes[2 * i] = echo_new(room->loop, fds[0], &count);
		echoes[2 * i + 1] = echo_new(room->loop, fds[1], &count);
		bufferevent_write(echoes[2 * i], "ping", 4);
	}
	struct loop_timer timer;
	loop_timer_init(&timer, room->loop, stop, room);
	loop_timer_set(&timer, 500);
	loop_run(room->loop);
	for (int i = 0; i < 2 * PAIRS; i++)
		bufferevent_free(echoes[i]);
	assert_true(count > 100);
	assert_true(room->ends >= 25); /* every 20 ms at least, even on a slow machine */
}

static void test_idle_means_asleep(void **state)
{
	struct room *room = *state;
	struct loop_timer timer;

	assert_true(run_under_self_activation(room, 20) < 5000);
	loop_timer_init(&timer, room->loop, stop, room);
	loop_timer_set(&timer, 1000);
	unsigned before = room->ends;
	loop_run(room->loop);
	assert_in_range(room->ends - before, 1, 4);
}

struct two_timers {
	struct room *room;
	struct loop_timer first, second;
	uint64_t first_ms, second_ms; /* when they fired */
};

static void on_first(void *arg)
{
	struct two_timers *two = arg;

	note(two->room, '1');
	two->first_ms = clock_monotonic_ms();
}

static void on_second(void *arg)
{
	struct two_timers *two = arg;

	note(two->room, '2');
	two->second_ms = clock_monotonic_ms();
	loop_stop(two->room->loop);
}

static void two_init(struct two_timers *two, struct room *room)
{
	*two = (struct two_timers){.room = room};
	loop_timer_init(&two->first, room->loop, on_first, two);
	loop_timer_init(&two->second, room->loop, on_second, two);
}

static void test_timers_fire_once_and_in_order(void **state)
{
	struct two_timers two;
	uint64_t start_ms = clock_monotonic_ms();

	two_init(&two, *state);
	loop_timer_set(&two.second, 60);
	loop_timer_set(&two.first, 20);
	assert_true(two.first.pending);
	loop_run(two.room->loop);
	assert_string_equal(two.room->trace, "12");
	assert_false(two.first.pending);
	assert_in_range(
	    two.first_ms - start_ms, 12, 2000); /* the clock is coarse: a few ms early */
	assert_in_range(two.second_ms - start_ms, 52, 2000);
}

static void test_setting_a_timer_again_moves_it(void **state)
{
	struct two_timers two;

	two_init(&two, *state);
	loop_timer_set(&two.first, 5);
	loop_timer_set(&two.second, 40);
	loop_timer_set(&two.first, 100000); /* later */
	loop_run(two.room->loop);
	assert_string_equal(two.room->trace, "2");
	loop_timer_set(&two.first, 0); /* earlier */
	loop_timer_set(&two.second, 40);
	loop_run(two.room->loop);
	assert_string_equal(two.room->trace, "212");
}

static void test_cancelled_timers_stay_silent(void **state)
{
	struct two_timers two;
	struct loop_timer zero = {0};

	two_init(&two, *state);
	loop_timer_cancel(&zero);
	loop_timer_cancel(&two.first); /* never set */
	loop_timer_set(&two.first, 5);
	loop_timer_cancel(&two.first);
	loop_timer_cancel(&two.first);
	assert_false(two.first.pending);
	loop_timer_set(&two.second, 40);
	loop_run(two.room->loop);
	assert_string_equal(two.room->trace, "2");
}

static void on_cancel_other(void *arg)
{
	struct two_timers *two = arg;

	note(two->room, 'x');
	loop_timer_cancel(&two->first);
	loop_timer_cancel(&two->second);
	loop_timer_set(&two->second, 20);
}

static void test_cancelled_in_the_turn_in_which_it_was_due(void **state)
{
	struct two_timers two;
	struct loop_timer third;

	two_init(&two, *state);
	loop_timer_init(&third, two.room->loop, on_cancel_other, &two);
	loop_timer_set(&third, 0);
	loop_timer_set(&two.first, 0);
	loop_timer_set(&two.second, 0);
	loop_run(two.room->loop);
	assert_string_equal(two.room->trace, "x2");
}

struct repeating {
	struct room *room;
	struct loop_timer timer;
};

static void on_repeat(void *arg)
{
	struct repeating *repeating = arg;

	note(repeating->room, 'r');
	if (strlen(repeating->room->trace) < 3)
		loop_timer_set(&repeating->timer, 1);
	else
		loop_stop(repeating->room->loop);
}

static void test_a_timer_sets_itself(void **state)
{
	struct repeating repeating = {.room = *state};

	loop_timer_init(&repeating.timer, repeating.room->loop, on_repeat, &repeating);
	loop_timer_set(&repeating.timer, 1);
	loop_run(repeating.room->loop);
	assert_string_equal(repeating.room->trace, "rrr");
	loop_timer_set(&repeating.timer, UINT64_MAX); /* far, and no overflow */
	loop_timer_cancel(&repeating.timer);
}

static void on_signal(int signal_number, void *arg)
{
	struct room *room = arg;

	note(room, signal_number == SIGUSR1 ? '1' : '2');
	if (signal_number == SIGUSR1)
		raise(SIGUSR2);
	else
		loop_stop(room->loop);
}

static void test_signals_are_callbacks(void **state)
{
	struct room *room = *state;

	assert_true(loop_on_signal(room->loop, SIGUSR1, on_signal, room));
	assert_true(loop_on_signal(room->loop, SIGUSR2, on_signal, room));
	raise(SIGUSR1);
	loop_run(room->loop);
	assert_string_equal(room->trace, "12");
	assert_false(loop_on_signal(room->loop, 9999, on_signal, room));
}

static void test_a_closed_peer_does_not_end_the_process(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	close(fds[0]);
	assert_int_equal(write(fds[1], "x", 1), -1);
	close(fds[1]);
}

#define ROOM_TEST(test) cmocka_unit_test_setup_teardown(test, room_open, room_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    ROOM_TEST(test_deferred_in_order_then_the_hooks),
	    ROOM_TEST(test_deferred_by_a_hook_does_not_wait),
	    ROOM_TEST(test_what_is_left_runs_when_the_loop_is_freed),
	    ROOM_TEST(test_stopped_before_it_runs),
	    ROOM_TEST(test_turns_end_under_self_activation),
	    ROOM_TEST(test_turns_end_even_when_nobody_waits),
	    ROOM_TEST(test_timers_run_under_self_activation),
	    ROOM_TEST(test_turns_end_under_constant_traffic),
	    ROOM_TEST(test_idle_means_asleep),
	    ROOM_TEST(test_timers_fire_once_and_in_order),
	    ROOM_TEST(test_setting_a_timer_again_moves_it),
	    ROOM_TEST(test_cancelled_timers_stay_silent),
	    ROOM_TEST(test_cancelled_in_the_turn_in_which_it_was_due),
	    ROOM_TEST(test_a_timer_sets_itself),
	    ROOM_TEST(test_signals_are_callbacks),
	    ROOM_TEST(test_a_closed_peer_does_not_end_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
