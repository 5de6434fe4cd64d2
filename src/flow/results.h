/*
 * results: what is written down when an update ends, in the same group of writes that ends it: the
 * outbox row that tells Eyes, and the journal row that tells people. It is the queue's result
 * function.
 */
#ifndef FLOW_RESULTS_H
#define FLOW_RESULTS_H

#include "base/bus.h"
#include "store/journal.h"
#include "store/outbox.h"
#include "store/queue.h"

struct results { /* borrowed */
	struct outbox *outbox;
	struct journal *journal;
	struct bus *bus;
};
void results_record(const struct queue_result *result, void *results);

#endif
