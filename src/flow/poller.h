/*
 * poller: the Eyes end of the status road. One poll under way, ever.
 *
 *   UNREADY --key, address--> POLLING --items--> STORING --commit--> ACCEPTING --ack--> WAITING
 * --timer--> POLLING |  `--batches--> PLACING --commit-------------------------^ ^
 *                               `--failure-------------------------------------------------'
 *
 * What always holds:
 *  - "accepted" leaves only after the commit that holds the receipt; commands of servers that are
 * not ours are never acknowledged.
 *  - A failed acknowledgement is not repeated by itself: the feed gives the command again, it is
 * known, and is acknowledged then.
 *  - A poll that brings only what is known or foreign backs off; a failing server is asked ever
 * more rarely, as it wishes (Retry-After); a refused key is tried every ten minutes only.
 *  - Source `auto`: commands; after three answers 404, 405 or 501 while the key is valid: batches,
 * and the feed is looked for again once a day.
 *  - With no room in the store or the queue nothing is taken in: Eyes keeps what was not taken.
 */
#ifndef FLOW_POLLER_H
#define FLOW_POLLER_H

#include "base/bus.h"
#include "flow/intake.h"
#include "flow/placing.h"

enum poller_choice { POLLER_AUTO, POLLER_COMMANDS, POLLER_BATCHES };

struct poller_options { /* borrowed */
	struct loop *loop;
	struct db *db;
	struct records *records;
	struct eyes *eyes; /* NULL: Eyes server or organization are not configured */
	struct intake *intake;
	struct placing *placing;
	struct bus *bus;
	void (*wake)(uint32_t repo, void *arg); /* after the commit */
	void (*works)(void *arg); /* Eyes answers again, after failures; may be NULL */
	void *arg;
	enum poller_choice choice;
	uint32_t interval_ms; /* EYES_POLL_INTERVAL */
	uint32_t wait_ms;     /* EYES_POLL_WAIT */
	struct eyes_source_config source;
	/* NULL: eyes_source_commands and eyes_source_batches. */
	const struct eyes_source_driver *commands, *batches;
};

struct poller;
struct poller *poller_new(const struct poller_options *options);
void poller_free(struct poller *poller);
void poller_kick(
    struct poller *poller); /* key, servers or address changed, or room was made: poll now */
void poller_stop(struct poller *poller); /* no further poll; what is being stored is finished */
/*
 * The source in use, for the reporter; NULL when none is. Another generation is another source: the
 * calls of the one before ended with it, without completion.
 */
struct eyes_source *poller_source(
    const struct poller *poller, const struct eyes_source_driver **driver, unsigned *generation);

/* "accepted" is being told: final outcomes wait for it, so that Eyes hears of a command in order.
 */
bool poller_accepting(const struct poller *poller);

enum poller_state {
	POLLER_UNREADY,
	POLLER_POLLING,
	POLLER_STORING,
	POLLER_PLACING,
	POLLER_ACCEPTING,
	POLLER_WAITING,
	POLLER_STOPPED
};
struct poller_health { /* pointers are borrowed for the turn */
	enum poller_state state;
	const char *unready; /* why it cannot poll: code, NULL when it can */
	const char *source;  /* "commands", "batches" */
	const char *reason;  /* why this one */
	bool refused;        /* the key */
	bool full;           /* intake stands still */
	int64_t last_ok_ms, failing_since_ms, next_ms; /* wall, 0 = none */
	const struct err *err;                         /* NULL while it works */
	const struct http_trace *trace;
};
void poller_health(const struct poller *poller, struct poller_health *out);

#endif
