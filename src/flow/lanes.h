/*
 * lanes: which waiting work goes next, in memory. No network, no disk.
 *
 *   server --- tokens that may go (round robin) --- lanes with work of the token's repositories
 * (round robin)
 *        `---- tokens that sleep until their pace allows the next request
 *
 * What always holds:
 *  - A token is in exactly one place: ready, sleeping, or idle (no lane with work).
 *  - Final states go before running ones; every eighth pick of a token takes the oldest of the
 * running lane first, so that nothing starves.
 *  - A blocked repository or a sleeping token costs the others nothing.
 *  - A server that fails is left alone until `paused_until`; then one request at a time probes it
 * until one succeeds.
 */
#ifndef FLOW_LANES_H
#define FLOW_LANES_H

#include "base/crypto.h"
#include "base/map.h"
#include "flow/pace.h"
#include "net/http_client.h"
#include "store/queue.h"
#include <sys/queue.h>

struct lanes_repo;
struct lane {
	struct lanes_repo *repo;
	enum queue_lane which; /* QUEUE_FINAL or QUEUE_RUNNING */
	bool listed;
	TAILQ_ENTRY(lane) entry;
};
TAILQ_HEAD(lane_list, lane);

enum token_place { TOKEN_IDLE, TOKEN_READY, TOKEN_SLEEPING };
struct lanes_token {
	struct lanes_server *server;
	unsigned char fingerprint[CRYPTO_SHA256];
	struct pace pace;
	enum token_place place;
	bool refused; /* the server does not take this token: all of its repositories are blocked */
	uint64_t wake_at;
	unsigned picks;
	struct lane_list lanes[2];
	TAILQ_HEAD(, lanes_repo) repos;
	TAILQ_ENTRY(lanes_token) entry; /* in ready or sleeping */
};
TAILQ_HEAD(token_list, lanes_token);

struct lanes_repo {
	uint32_t id;
	char *project, *slug;
	struct secret token_value;
	struct lanes_token *token;
	bool blocked;
	bool by_token;     /* blocked because the server does not take its token */
	bool passed_over;  /* a lane left the list although entries wait behind claimed targets */
	bool stale;        /* its record changed: goes when nothing of it is under way */
	uint64_t probe_at; /* blocked: when one entry is tried */
	unsigned in_flight;
	struct lane lanes[2];
	TAILQ_ENTRY(lanes_repo) entry; /* in the token's repos */
};

struct lanes_server {
	uint32_t id;
	unsigned in_flight, limit;
	unsigned failures;                    /* in a row; 0 = working */
	uint64_t paused_until;                /* monotonic ms */
	int64_t last_ok_ms, failing_since_ms; /* wall; 0 = never */
	struct err *last_err;                 /* NULL while working */
	struct http_trace *last_trace;
	struct tls_certificate *certificate; /* last seen; NULL: none since the start */
	struct token_list ready, sleeping;
	uint64_t wake_at; /* the earliest of the sleeping, 0 = none */
	struct map tokens;
};

struct lanes {
	struct map servers; /* id -> lanes_server */
	struct map repos;   /* id -> lanes_repo */
	unsigned connections;
};

void lanes_init(struct lanes *lanes, unsigned connections);
void lanes_clear(struct lanes *lanes);
struct lanes_server *lanes_server(struct lanes *lanes, uint32_t id); /* made when missing */
void lanes_server_remove(
    struct lanes *lanes, uint32_t id); /* only when nothing of it is under way */
struct lanes_repo *lanes_repo(struct lanes *lanes, uint32_t id); /* NULL when not loaded */
/* By the SHA-256 of its value. NULL when it is not there; one that is made stays. */
struct lanes_token *lanes_token(
    struct lanes_server *server, const unsigned char fingerprint[CRYPTO_SHA256], bool make);
/* token is copied. */
struct lanes_repo *lanes_repo_add(struct lanes *lanes, uint32_t id, uint32_t server,
    const char *project, const char *slug, const struct secret *token);
void lanes_repo_remove(struct lanes *lanes, struct lanes_repo *repo);

/* There is something to claim in this lane. Nothing happens while the repository is blocked. */
void lanes_fill(struct lanes_repo *repo, enum queue_lane which);
void lanes_drain(struct lanes_repo *repo, enum queue_lane which); /* nothing there any more */
void lanes_block(struct lanes_repo *repo, uint64_t probe_at);     /* takes its lanes out */
void lanes_unblock(struct lanes_repo *repo); /* both lanes may hold something again */

struct lanes_pick {
	struct lanes_repo *repo;
	enum queue_lane which;
	bool oldest;
};
/*
 * The next lane to claim from. False when nothing may go now; *wait_until is then when to look
 * again (monotonic ms), or 0 when only an event can change it.
 */
bool lanes_pick(
    struct lanes_server *server, uint64_t now_ms, struct lanes_pick *pick, uint64_t *wait_until);
void lanes_started(struct lanes_repo *repo, uint64_t now_ms);
void lanes_finished(struct lanes_repo *repo);
/* What it showed of itself last; a trace without a certificate changes nothing. NULL is right. */
void lanes_server_showed(struct lanes_server *server, const struct http_trace *trace);
/* The server answered: it works. True when it had been failing. */
bool lanes_server_works(struct lanes_server *server, int64_t wall_ms);
/* It failed: paused with back-off. True when this is news (the first failure, or a retry that
 * failed). */
bool lanes_server_failed(struct lanes_server *server, uint64_t now_ms, int64_t wall_ms,
    int64_t retry_after_ms, const struct err *err, const struct http_trace *trace);

#endif
