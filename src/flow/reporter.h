/*
 * reporter: tells Eyes the final outcomes, from the durable outbox. One POST under way; rows leave
 * the outbox when Eyes has taken them. A failing server is tried with back-off; a POST that is
 * refused for good (400) is split until the outcome at fault is alone, and that one is dropped with
 * a log line, so that one bad outcome cannot stop the others.
 */
#ifndef FLOW_REPORTER_H
#define FLOW_REPORTER_H

#include "flow/poller.h"
#include "store/outbox.h"

struct reporter;
struct reporter *reporter_new(struct loop *loop, struct outbox *outbox, struct poller *poller);
void reporter_free(struct reporter *reporter);
void reporter_kick(struct reporter *reporter); /* try now */
/* Nothing is under way, and nothing is left or Eyes does not take it at present. */
bool reporter_idle(const struct reporter *reporter);

#endif
