/*
 * inbox: the relay's entry, without HTTP: whose event it is, whether it is genuine, and into the
 * store with it.
 *
 * Order of work, for each: HMAC over the raw body in constant time (nothing is parsed before) -->
 * known already? --> store --commit--> the completion (202) --> what it teaches.
 *
 * Known: same repository, request id and body. The body is recognised by its HMAC, so by either
 * secret while both count; a copy that is signed anew after that, or after GITHUB_WEBHOOK_SECRET
 * was changed, is a new event.
 *
 * What always holds: nothing is answered ACCEPTED before it is on disk; what is not genuine leaves
 * no trace but a counter and a limited log line; bodies over INBOX_PARSE_MAX are passed on
 * unparsed.
 *
 * Signatures: Bitbucket's X-Hub-Signature "sha256=<hex HMAC-SHA256 of the raw body>" with the
 * repository's secret (or the one before, for an hour); its connection test (X-Event-Key
 * diagnostics:ping) is unsigned, so it is answered and changes nothing: only what is genuine says
 * that deliveries arrive, or that a person entered the webhook. GitHub's X-Hub-Signature-256 with
 * GITHUB_WEBHOOK_SECRET, pings too. Sources: Bitbucket Data Center, "Manage webhooks"; GitHub,
 * "Validating webhook deliveries".
 */
#ifndef FLOW_INBOX_H
#define FLOW_INBOX_H

#include "base/bus.h"
#include "flow/forwarder.h"
#include "flow/locate.h"
#include "store/events.h"
#include "store/hooks.h"
#include "store/places.h"
#include "store/records.h"

#define INBOX_PARSE_MAX (256 * 1024)

enum inbox_result {
	INBOX_ACCEPTED,  /* on disk */
	INBOX_KNOWN,     /* it came before, and is or was on disk */
	INBOX_PONG,      /* a connection test: nothing to keep */
	INBOX_UNKNOWN,   /* no such repository, or it is not enabled, or its events do not come here
	                  */
	INBOX_UNSIGNED,  /* no signature */
	INBOX_FORGED,    /* a wrong one */
	INBOX_MALFORMED, /* event key, request id or type that nothing sends */
	INBOX_OFF,       /* GitHub: GITHUB_WEBHOOK_SECRET is not set */
	INBOX_FULL,      /* no room: again later */
	INBOX_FAILED     /* the store failed: again later */
};
typedef void inbox_fn(enum inbox_result result, const struct err *err, void *arg);

struct inbox_event { /* borrowed for the call; "" what was not sent */
	const char *key, *request_id, *signature, *content_type;
	const char *headers; /* to be passed on, "Name: value\n" lines */
	const void *body;
	size_t body_length;
};

struct inbox_options { /* borrowed */
	struct loop *loop;
	struct db *db;
	struct events *events;
	struct hooks *hooks;
	struct records *records;
	struct places *places;
	struct locate *locate;
	struct forwarder *forwarder;
	struct bus *bus;
	const struct secret *github_secret; /* NULL: not set */
};

struct inbox;
struct inbox *inbox_new(const struct inbox_options *options);
void inbox_free(struct inbox *inbox);
/* What can be told of an event before its body: ACCEPTED when it may be genuine; else what it will
 * be answered (but a connection test, which is UNSIGNED here). Cheap. repo 0: GitHub. */
enum inbox_result inbox_expect(struct inbox *inbox, uint32_t repo, const char *signature);
/* fn is called exactly once: inside the call for what is refused and for PONG (err NULL but for
 * FULL and FAILED), else after the commit: ACCEPTED, KNOWN, or FAILED when it was lost. It cannot
 * be cancelled: whoever has gone ignores it; it may come after inbox_free, when db closes. */
void inbox_bitbucket(
    struct inbox *inbox, uint32_t repo, const struct inbox_event *event, inbox_fn *fn, void *arg);
void inbox_github(struct inbox *inbox, const struct inbox_event *event, inbox_fn *fn, void *arg);
/* Several deliveries of a repository in a row were unsigned or forged: its webhook may have lost
 * its secret, or a stranger sends. fn may be NULL; it must not call the inbox. */
typedef void inbox_doubt_fn(uint32_t repo, void *arg);
void inbox_on_doubt(struct inbox *inbox, inbox_doubt_fn *fn, void *arg);
/* A repository's webhook, secret or state changed: what is remembered of it is forgotten. */
void inbox_forget(struct inbox *inbox, uint32_t repo);

#endif
