/*
 * run_internal: the daemon's parts, which its two rooms share; nobody else includes it.
 *
 *   run.c        running, stopping, reading the configuration again
 *   run_start.c  making everything, in the order of the layers
 */
#ifndef APP_RUN_INTERNAL_H
#define APP_RUN_INTERNAL_H

#include "app/options.h"
#include "flow/key_watch.h"
#include "flow/locate.h"
#include "flow/placing.h"
#include "flow/reporter.h"
#include "flow/results.h"
#include "flow/server_watch.h"
#include "flow/webhook_keeper.h"
#include "store/events.h"
#include "store/retention.h"
#include "store/sessions.h"
#include "web/web.h"

struct program {
	const struct options *options;
	struct loop *loop;
	struct worker *worker;
	struct resolver *resolver;
	struct http_client *http;
	struct tls_trust *trust; /* the system's */
	struct bus *bus;
	struct db *db;
	struct vault *vault;
	struct records *records;
	struct outbox *outbox;
	struct journal *journal;
	struct places *places;
	struct audit *audit;
	struct queue *queue;
	struct results results;
	struct hooks *hooks;
	struct events *events;
	struct retention *retention;
	struct eyes *eyes;
	struct scm *scm;
	struct servers *servers;
	struct intake intake;
	struct locate *locate;
	struct placing *placing;
	struct dispatcher *dispatcher;
	struct poller *poller;
	struct reporter *reporter;
	struct key_watch *key_watch;
	struct server_watch *server_watch;
	struct forwarder *forwarder;
	struct inbox *inbox;
	struct webhook_keeper *keeper;
	struct service *service;
	struct sessions *sessions;
	struct auth *auth;
	struct jobs *jobs;
	struct listings *listings;
	struct web *web;
	struct loop_timer drain;
	char *eyes_url, *organization; /* from outside, else as the page was told; "" */
	char *own_url;                 /* how Bitbucket reaches us; no trailing slash */
	struct secret sign, github; /* EYES_WEBHOOK_SECRET, GITHUB_WEBHOOK_SECRET; empty: not set */
	char *setup_code;           /* the same when it starts anew: a person has just typed it */
	bool again;                 /* once stopped, start anew: the configuration changed */
	uint64_t drain_until;       /* monotonic; 0 while running */
};

/* What was made stays, also when it fails: end() takes it down. */
bool run_start(struct program *program, struct err *err);

#endif
