/*
 * events: the address that source-control servers post their events to, on the gate's direct road.
 *
 *   POST /api/bitbucket-events-proxy/{repository id}     Bitbucket Data Center and Server
 *   POST /api/github-events-proxy                        GitHub
 *
 * Whatever query follows is ignored. Order of work: size --> whose it is and whether it is genuine
 * (flow/inbox) --> 202 once it is on disk. Neither Host nor Origin nor a session counts here: the
 * signature decides. At the listeners of EYES_EVENTS_LISTEN nothing else exists.
 *
 * What always holds for bodies, which anybody may send:
 *  - over WEB_EVENTS_SMALL is read only what may be genuine by its head: somebody is expected to
 *    send it, and there is a signature that could be one. The rest is answered before its body;
 *  - they have a pot of their own (web/gate.h) of all listeners together, so that they never take
 *    the page's room. In it a whole one pushes out what hangs about; one within the share of a
 *    connection is never refused for want of room;
 *  - each ends after 30 s, or after its size / 256 KiB seconds where that is later.
 *
 * Answers: 202 and 200 (a connection test) with {}; else {"error":{"code","message"}}: 400
 * malformed, 401 signature_missing, signature_wrong, 404 not_found, github_off, 405 method, 413
 * body_too_large, 503 with Retry-After store_full, store_failed, busy. All of them count in
 * eyes_scm_events_received_total.
 */
#ifndef WEB_EVENTS_H
#define WEB_EVENTS_H

#include "web/gate.h"

#define WEB_EVENTS_SMALL (64 * 1024)

/* Room for the events of so many connections in all. */
struct gate_pot *web_events_pot(size_t event_max, unsigned connections);

/* Of gate_options; arg is struct web. web_events_take: false for other addresses; _take_all: those
 * are not found. */
gate_take_fn web_events_take, web_events_take_all, web_events_over;
gate_limit_fn web_events_limit;
gate_refused_fn web_events_refused;

#endif
