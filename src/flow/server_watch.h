/*
 * server_watch: does each server answer, and is it still the version that we think? Asked at start
 * and then every five minutes (spread out), so that a leg is never green by assumption, and that an
 * upgraded Bitbucket is used for what it can do. One small request without a token.
 */
#ifndef FLOW_SERVER_WATCH_H
#define FLOW_SERVER_WATCH_H

#include "flow/dispatcher.h"

struct server_watch;
struct server_watch *server_watch_new(struct loop *loop, struct records *records,
    struct servers *servers, struct scm *scm, struct dispatcher *dispatcher);
void server_watch_free(struct server_watch *watch);
void server_watch_start(struct server_watch *watch); /* begins a round now */

#endif
