/*
 * eyes_call: what the other files of this folder may do with a call beyond eyes.h.
 */
#ifndef EYES_EYES_CALL_H
#define EYES_EYES_CALL_H

#include "eyes/eyes.h"
#include "eyes/eyes_fault.h"

/* As eyes_send; drop(arg) follows the completion or the cancelling, once: the place to free arg. */
struct eyes_call *eyes_send_with(
    struct eyes *eyes, const struct eyes_options *options, eyes_fn *fn, void *arg, loop_fn *drop);

/* What a request needs that does not go through eyes_send: events, maybe to another origin. */
struct eyes_parts { /* borrowed */
	struct loop *loop;
	struct http_client *http;
	struct tls_trust *trust;
	const struct url *base;
	const struct secret *key; /* empty when none is set */
	const char *instance;     /* of this process, for the request's id */
	const struct eyes_skew *skew;
	unsigned connections;
	struct eyes_event_call **events; /* the list of them, in events.c */
};
void eyes_parts(struct eyes *eyes, struct eyes_parts *out);
uint64_t eyes_next_number(struct eyes *eyes);

#endif
