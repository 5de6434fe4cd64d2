#include "base/bus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

struct heard {
	struct bus *bus;
	enum bus_topic topic;
	uint64_t numbers[16];
	unsigned count;
	unsigned publish; /* more, from inside */
	bool go;          /* stop listening */
	bool end;         /* free the bus */
};

static void hear(enum bus_topic topic, uint64_t number, void *arg)
{
	struct heard *heard = arg;

	assert_true(heard->count < 16);
	heard->topic = topic;
	heard->numbers[heard->count++] = number;
	if (heard->publish > 0)
		bus_publish(heard->bus, BUS_QUEUE, 100 + heard->publish--);
	if (heard->go)
		bus_ignore(heard->bus, hear, heard);
	if (heard->end)
		bus_free(heard->bus);
}

static void stop(void *arg)
{
	loop_stop(arg);
}

/* One turn, with its end. */
static void turn(struct loop *loop)
{
	loop_defer(loop, stop, loop);
	loop_run(loop);
}

static void test_each_once_at_the_end_of_the_turn(void **state)
{
	struct loop *loop = loop_new(NULL);
	struct bus *bus = bus_new(loop);
	struct heard a = {.bus = bus}, b = {.bus = bus};

	(void)state;
	bus_publish(bus, BUS_EYES, 1); /* nobody listens yet */
	bus_listen(bus, hear, &a);
	bus_listen(bus, hear, &b);
	for (int i = 0; i < 1000; i++) {
		bus_publish(bus, BUS_REPOSITORY, 7);
		bus_publish(bus, BUS_REPOSITORY, 5);
	}
	assert_int_equal(a.count, 0);
	turn(loop);
	assert_int_equal(a.count, 2);
	assert_int_equal(b.count, 2);
	assert_int_equal(a.topic, BUS_REPOSITORY);
	assert_int_equal(a.numbers[0], 7);
	assert_int_equal(a.numbers[1], 5);
	turn(loop);
	assert_int_equal(a.count, 2);
	bus_publish(bus, BUS_SERVER, 7); /* once per turn, not once for ever; and topics differ */
	bus_publish(bus, BUS_REPOSITORY, 7);
	turn(loop);
	assert_int_equal(a.count, 4);
	bus_ignore(bus, hear, &a);
	bus_publish(bus, BUS_SERVER, 1);
	turn(loop);
	assert_int_equal(a.count, 4);
	assert_int_equal(b.count, 5);
	bus_free(bus);
	loop_free(loop);
}

static void test_listeners_may_publish_and_go(void **state)
{
	struct loop *loop = loop_new(NULL);
	struct bus *bus = bus_new(loop);
	struct heard goes = {.bus = bus, .go = true}, tells = {.bus = bus, .publish = 2};

	(void)state;
	bus_listen(bus, hear, &goes);
	bus_listen(bus, hear, &tells);
	bus_publish(bus, BUS_QUEUE, 1);
	turn(loop);
	assert_int_equal(goes.count, 1);
	assert_int_equal(tells.count, 3);
	assert_int_equal(tells.numbers[1], 102);
	assert_int_equal(tells.numbers[2], 101);
	bus_free(bus);
	loop_free(loop);
}

static void test_freed_while_something_is_published(void **state)
{
	struct loop *loop = loop_new(NULL);
	struct bus *first = bus_new(loop), *second = bus_new(loop);
	struct heard never = {.bus = first}, ends = {.bus = second, .end = true},
	             after = {.bus = second};

	(void)state;
	bus_listen(first, hear, &never);
	bus_publish(first, BUS_QUEUE, 1);
	bus_free(first);
	bus_listen(second, hear, &ends);
	bus_listen(second, hear, &after);
	bus_publish(second, BUS_QUEUE, 1);
	bus_publish(second, BUS_QUEUE, 2);
	turn(loop);
	assert_int_equal(never.count, 0);
	assert_int_equal(ends.count, 1);
	assert_int_equal(after.count, 0);
	bus_free(NULL);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_once_at_the_end_of_the_turn),
	    cmocka_unit_test(test_listeners_may_publish_and_go),
	    cmocka_unit_test(test_freed_while_something_is_published),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
