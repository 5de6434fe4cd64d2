/*
 * bus: lower layers say that something changed; the console's stream and the status command listen.
 * A topic and a number, no payload: whoever listens reads the present state. Publishing inside a
 * callback is safe: listeners are called at the end of the turn, once per topic and number.
 */
#ifndef BASE_BUS_H
#define BASE_BUS_H

#include "base/loop.h"

enum bus_topic {
	BUS_EYES,
	BUS_SERVER,
	BUS_REPOSITORY,
	BUS_QUEUE,
	BUS_RECENT,
	BUS_ACCOUNT,
	BUS_JOB,
	BUS_LISTING,
	BUS_EVENTS,
	BUS_TOPICS
};
typedef void bus_fn(enum bus_topic topic, uint64_t number, void *arg);

struct bus;
struct bus *bus_new(struct loop *loop);
void bus_free(struct bus *bus);
void bus_publish(struct bus *bus, enum bus_topic topic, uint64_t number);
void bus_listen(struct bus *bus, bus_fn *fn, void *arg);
void bus_ignore(struct bus *bus, bus_fn *fn, void *arg);

#endif
