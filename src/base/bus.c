#include "base/bus.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/pack.h"
#include <stdlib.h>

struct listener {
	bus_fn *fn; /* NULL: went away while listeners were being called */
	void *arg;
};

struct notice {
	uint64_t number;
	enum bus_topic topic;
};

struct bus {
	struct loop *loop;
	struct listener *listeners;
	size_t listener_count, listener_capacity;
	struct notice *notices; /* in the order of publishing */
	size_t notice_count, notice_capacity;
	struct map known; /* the same notices, so that each is kept once */
	bool deferred;    /* bus_tell will be called; it frees the bus when `freed` */
	bool freed;
};

enum { NOTICE_KEY = 9 };

struct bus *bus_new(struct loop *loop)
{
	struct bus *bus = mem_zero(sizeof(*bus));

	bus->loop = loop;
	map_init(&bus->known);
	return bus;
}

static void bus_free_memory(struct bus *bus)
{
	map_free(&bus->known);
	free(bus->listeners);
	free(bus->notices);
	free(bus);
}

void bus_free(struct bus *bus)
{
	if (bus == NULL)
		return;
	bus->freed = true;
	if (!bus->deferred)
		bus_free_memory(bus);
}

static void listeners_call(struct bus *bus, struct notice notice)
{
	/* By index: the list may move and grow. Whoever begins to listen now hears the next notice.
	 */
	size_t count = bus->listener_count;

	for (size_t i = 0; i < count && !bus->freed; i++) {
		struct listener listener = bus->listeners[i];
		if (listener.fn != NULL)
			listener.fn(notice.topic, notice.number, listener.arg);
	}
}

static void listeners_compact(struct bus *bus)
{
	size_t kept = 0;

	for (size_t i = 0; i < bus->listener_count; i++)
		if (bus->listeners[i].fn != NULL)
			bus->listeners[kept++] = bus->listeners[i];
	bus->listener_count = kept;
}

static void bus_tell(void *arg)
{
	struct bus *bus = arg;
	struct notice *notices = bus->notices;
	size_t count = bus->notice_count;

	/* What the listeners publish is for another round of this turn's end. */
	bus->notices = NULL;
	bus->notice_count = bus->notice_capacity = 0;
	map_free(&bus->known);
	for (size_t i = 0; i < count && !bus->freed; i++)
		listeners_call(bus, notices[i]);
	free(notices);
	if (bus->freed) {
		bus_free_memory(bus);
		return;
	}
	listeners_compact(bus);
	bus->deferred = bus->notice_count > 0;
	if (bus->deferred)
		loop_defer(bus->loop, bus_tell, bus);
}

void bus_publish(struct bus *bus, enum bus_topic topic, uint64_t number)
{
	unsigned char key[NOTICE_KEY] = {(unsigned char)topic};

	if (bus->listener_count == 0)
		return;
	pack_key_u64(key + 1, number);
	if (map_put(&bus->known, key, sizeof(key), bus) != NULL)
		return;
	if (bus->notice_count == bus->notice_capacity) {
		bus->notice_capacity = bus->notice_capacity == 0 ? 8 : bus->notice_capacity * 2;
		bus->notices = mem_grow(bus->notices, bus->notice_capacity, sizeof(*bus->notices));
	}
	bus->notices[bus->notice_count++] = (struct notice){.topic = topic, .number = number};
	if (!bus->deferred) {
		bus->deferred = true;
		loop_defer(bus->loop, bus_tell, bus);
	}
}

void bus_listen(struct bus *bus, bus_fn *fn, void *arg)
{
	if (bus->listener_count == bus->listener_capacity) {
		bus->listener_capacity =
		    bus->listener_capacity == 0 ? 4 : bus->listener_capacity * 2;
		bus->listeners =
		    mem_grow(bus->listeners, bus->listener_capacity, sizeof(*bus->listeners));
	}
	bus->listeners[bus->listener_count++] = (struct listener){.fn = fn, .arg = arg};
}

void bus_ignore(struct bus *bus, bus_fn *fn, void *arg)
{
	for (size_t i = 0; i < bus->listener_count; i++)
		if (bus->listeners[i].fn == fn && bus->listeners[i].arg == arg)
			bus->listeners[i].fn = NULL;
	if (!bus->deferred)
		listeners_compact(bus);
}
