/*
 * dispatcher: takes waiting updates from the queue and sets them on the source-control server.
 *
 * One update's way (a job lives from claim to its end):
 *
 *   claimed --set_status--> SENDING --OK--> done "delivered"
 *      |                       |--TEMPORARY, the server's fault--> later, the server pauses
 * (back-off, then one probe at a time) |                       |--TEMPORARY, 429--> released, the
 * token sleeps |                       |--TEMPORARY, this update's--> later with back-off (unknown
 * commit: for ten minutes, then rejected) |                       |--BLOCKED--> released,
 * repository or token waits for an administrator |                       `--PERMANENT--> done
 * "rejected", kept in the dead list
 *      `--VERIFY entry: get_status--> READING --same--> done | --differs--> SENDING
 *
 * What always holds (the queue holds the rest): one request in flight per repository + commit +
 * key; a request whose outcome is uncertain makes its target doubtful until the request's deadline,
 * and whatever is delivered before that is read back after it; what fails for one server, token or
 * repository waits there and disturbs nobody else.
 */
#ifndef FLOW_DISPATCHER_H
#define FLOW_DISPATCHER_H

#include "base/bus.h"
#include "flow/lanes.h"
#include "flow/servers.h"

struct dispatcher_options { /* borrowed */
	struct loop *loop;
	struct db *db;
	struct queue *queue;
	struct records *records;
	struct servers *servers;
	struct scm *scm;
	struct bus *bus;
	unsigned connections; /* per server */
	uint32_t deadline_ms; /* of one request */
	uint64_t unknown_ms;  /* how long an unknown commit is tried: 10 min */
};

struct dispatcher;
struct dispatcher *dispatcher_new(const struct dispatcher_options *options);
void dispatcher_free(
    struct dispatcher *dispatcher); /* what is under way is cancelled; it waits in the queue */
void dispatcher_start(struct dispatcher *dispatcher); /* takes up what waits on disk */
/* Something of this repository was committed to the queue. */
void dispatcher_wake(struct dispatcher *dispatcher, uint32_t repo);
/* Enabled, disabled, a new token, another name: reads its record anew. */
void dispatcher_repo_changed(struct dispatcher *dispatcher, uint32_t repo);
void dispatcher_server_changed(struct dispatcher *dispatcher, uint32_t server);
/* Somebody else asked this server something: its answer tells whether it works. */
void dispatcher_server_answered(
    struct dispatcher *dispatcher, uint32_t server, const struct scm_answer *answer);
/* Times of entries were changed from outside (retry): looks again. */
void dispatcher_look(struct dispatcher *dispatcher);
/* Claims nothing more; `idle` is called once nothing is under way (at once, at the end of the turn,
 * when that is so). */
void dispatcher_stop(struct dispatcher *dispatcher, loop_fn *idle, void *arg);
unsigned dispatcher_in_flight(const struct dispatcher *dispatcher);

/* ---- for another road that uses a repository's token; fingerprint: SHA-256 of the token ---- */

/* When its next request may go: 0 now, else a monotonic time; UINT64_MAX: the server refuses it. */
uint64_t dispatcher_token_wait(
    struct dispatcher *dispatcher, uint32_t server, const unsigned char fingerprint[CRYPTO_SHA256]);
void dispatcher_token_sent(
    struct dispatcher *dispatcher, uint32_t server, const unsigned char fingerprint[CRYPTO_SHA256]);
/* What came of a request about `repo`, sent at sent_ms (monotonic): slows the token down, blocks
 * what has it, lets what waited for it go, and tells whether the server works. */
void dispatcher_token_answered(struct dispatcher *dispatcher, uint32_t server, uint32_t repo,
    const unsigned char fingerprint[CRYPTO_SHA256], uint64_t sent_ms,
    const struct scm_answer *answer);

struct dispatcher_health { /* pointers are borrowed for the turn */
	bool contacted;    /* an answer came since start */
	bool failing;
	int64_t last_ok_ms, failing_since_ms, next_try_ms; /* wall; 0 = none */
	const struct err *err;
	const struct http_trace *trace;
	const struct tls_certificate *certificate; /* as last seen; NULL: none since the start */
	bool throttled;                            /* one of its tokens is paced */
};
bool dispatcher_health(
    const struct dispatcher *dispatcher, uint32_t server, struct dispatcher_health *out);

#endif
