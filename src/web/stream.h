/*
 * stream: the event stream for pages; see stream.c.
 */
#ifndef WEB_STREAM_H
#define WEB_STREAM_H

#include "base/bus.h"
#include "store/sessions.h"
#include "web/assets.h"
#include "web/web.h"

struct streams;
struct streams *streams_new(struct loop *loop, struct bus *bus, struct sessions *sessions);
void streams_free(struct streams *streams); /* ends all */
void streams_begin(struct streams *streams, struct web_request *request);
void streams_end_session(struct streams *streams, const char *session);

#endif
