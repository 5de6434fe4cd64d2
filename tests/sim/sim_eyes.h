/*
 * sim_eyes: a simulated Eyes server: the documented part of its REST API (Applitools: REST API,
 * SDKs) and the command feed that this project defines, checked strictly.
 *
 * Control API, beside what sim.h has:
 *   POST /sim/setup      {"events" (see
 * below),"keys":[{"key","teamId","user","permissions":["read","write","execute",
 *     "merge"],"createdBy","purpose","expiresAt","revoked":false,"status":0}]}
 *     permissions: all four when absent; status: answered to every call with the key. A key that is
 *     named again is replaced.
 *   POST /sim/feed       {"status":0|404|405|501,"redeliver_after_ms":0,"max_wait":60,
 *     "max_limit":1000}: how the feed behaves; status 0: it is there. A command that is not
 * accepted yet is given again to every poll, or after the ms. POST /sim/commands
 * {"commands":[C...]} or [C...] or one C -> {"ids":[...],"waiting":n} C {"id" (made when
 * absent),"server","project","repository","commit","ref","key" (tests/applitools),"name","state"
 * (SUCCESSFUL),"description","url" (made),"sequence", "createdAt","testResults"}; other members are
 * passed on C {"raw":ANY JSON,"server":"https://host","times":-1}: given as it stands; server
 * absent: to every poll; times: given so often at most (what has no id can never be accepted) or
 * {"generate":{"count":N,"server","project","repository","repositories":1,"keys":1,"key",
 *        "states":["SUCCESSFUL"],"commits":0,"stamp":false,"sequence":true,"redeliver":true,
 *        "per_second":0,"ref"}} -> {"generator":n}: made on demand, ids "g<n>-<i>", five bytes of
 *        memory a command. Each target takes the states one after the other; targets go over keys
 *        ("key/<k>" when several), then repositories (without project and repository: the generated
 *        names of sim-bitbucket), then commits (0: a new one each time). stamp: the description
 *        begins with "t=<monotonic us>" of the moment of giving. per_second: available at that rate
 *        from now on.
 *   GET  /sim/commands   ?id=&limit= -> {"commands":[{"id","given","accepted","outcome","error",
 *     "added_us","first_given_us","accepted_us","outcome_us"}]}: added ones, not generated ones
 *   POST /sim/redeliver  {"ids":[...]} or {"all":true,"unfinished":false}: give them again;
 *     unfinished: only those without a final outcome
 *   GET  /sim/acks       ?since=N&id=&outcome=&limit= -> {"last":N,"acks":[{"number","time_ms",
 *     "us","id","outcome","error","request"}]}: the last --acks N, in order
 *   POST /sim/batches    {"batches":[{"id","pointerId","startedAt" (now),"passed","failed",
 *     "unresolved","new","aborted","empty","total" (sum),"status" (Completed),"batchUrl" (made),
 *     "tests":[...]}]}: added, or changed by id
 *   GET  /sim/state adds organization, keys, feed{}, acks, outcomes{}, generators[], batches,
 *     events{count,bitbucket,github,pings,duplicates,other_body,without_key,unsigned,forged,refused,
 *     bytes}
 *
 * Events: POST /api/externals/bitbucket/events?orgId=&serverId= and /api/externals/github/events.
 * Where Eyes takes Bitbucket's is not documented by Applitools: this is the default of this
 * project. 400 for what is not an event (no serverId, no X-Event-Key and X-Request-Id or their
 * GitHub counterparts X-GitHub-Event and X-GitHub-Delivery, not application/json, not strict JSON
 * in UTF-8), 404 for another organization, 401 for an API key that is not ours; each is a violation
 * too. Calls without a key are taken, as from Bitbucket itself. POST /sim/setup
 * {"events":{"secret","github_secret" (null: none),"require_key":false,
 *     "require_signature":false}}: the last two answer 401; pings need no signature
 *   GET  /sim/events     ?since=N&repository=PRJ/slug&event=&request_id=&limit= -> {"last":N,
 *     "oldest":N,"events":[{"number","source":"bitbucket"|"github","event","request_id",
 *     "repository" (of a pull request: the target's; "" in a ping),"sha256" (of the body),"size",
 *     "signature":"none"|"unchecked" (no secret is set up)|"ok"|"wrong","key" (given),"before" (the
 *     number of the first with this request id, 0: none),"other_body" (than that one),"server",
 *     "instance" (of the query),"content_type","user_agent","arrived_us","time_ms","request"}]}: in
 *     the order of arrival, the last --events N
 */
#ifndef SIM_EYES_H
#define SIM_EYES_H

#include "sim/sim.h"
#include "sim/sim_name.h"

#define EYES_EVENT_PATHS "/api/externals/"

struct eyes_key {
	char *key;
	json_t *answer;     /* of api-key-validation */
	int64_t expires_ms; /* 0: never */
	bool revoked;
	int status;
};

enum eyes_outcome { ACCEPTED, DELIVERED, SUPERSEDED, REJECTED, EXPIRED, IGNORED, OUTCOMES };

/* The commands of one server, in order, as long as the feed gives them. */
struct eyes_queue {
	struct eyes_queue *next;
	char *host; /* "*": given to everybody */
	int port;
	struct eyes_command *first, *last;
};

struct eyes_command {
	struct eyes_command *next, *prev; /* in the queue, while pending */
	struct eyes_queue *queue;
	struct eyes_command *next_of_all;
	uint64_t order;
	char *id; /* NULL: has none */
	char *json;
	bool pending, accepted;
	int64_t times; /* may be given so often; negative: always */
	uint64_t given;
	uint64_t added_us, first_given_us, last_given_us, accepted_us, outcome_us;
	int outcome; /* enum eyes_outcome, ACCEPTED while there is none */
	char *error;
};

struct eyes_ack {
	uint64_t number;
	int64_t wall_ms;
	uint64_t us, request;
	char *id, *error;
	enum eyes_outcome outcome;
};

struct eyes_wait;
struct eyes_generator;
struct eyes_batches;
struct eyes_events;

struct eyes {
	struct sim *sim;
	const char *organization;
	char *feed_path; /* "/api/..." */
	struct map keys;
	struct map request_ids;
	/* feed */
	int feed_status;
	int64_t redeliver_after_ms, max_wait, max_limit;
	struct eyes_queue *queues;
	struct eyes_command *all, *all_last;
	struct map commands; /* id -> struct eyes_command */
	uint64_t last_order, pending;
	struct eyes_generator *generators;
	unsigned last_generator;
	struct eyes_wait *waits;
	struct eyes_ack *acks; /* ring */
	uint64_t acks_size, last_ack;
	uint64_t outcomes[OUTCOMES];
	uint64_t polls, empty_polls, given;
	unsigned waiting, most_waiting;
	struct eyes_batches *batches;
	struct eyes_events *events;
};

/* sim_eyes_check.c; what returns false has answered */
const char *eyes_request_key(const struct sim_request *request);
bool eyes_before(struct sim_request *request, void *app); /* headers, then the key */
void eyes_not_found(struct sim_request *request, void *app);
bool eyes_setup(struct eyes *eyes, const json_t *json, struct err *err);
void eyes_setup_demo(struct eyes *eyes);
void eyes_clear_keys(struct eyes *eyes);
sim_route_fn eyes_answer_key_validation;

/* sim_eyes_feed.c */
sim_route_fn eyes_get_feed, eyes_post_ack;
bool eyes_filter_matches(const struct sim_request *request, const char *host, int port);
void eyes_wake(struct eyes *eyes); /* something new may be there for those who wait */

/* sim_eyes_commands.c */
const char *eyes_outcome_name(enum eyes_outcome outcome);
struct eyes_command *eyes_find_command(const struct eyes *eyes, const char *id, size_t length);
void eyes_command_leave(struct eyes *eyes, struct eyes_command *command); /* the queue */
/* Appends up to `limit` commands for the poll to the array in out; how many. */
unsigned eyes_give_commands(
    struct eyes *eyes, const struct sim_request *request, unsigned limit, struct buf *out);
void eyes_record_ack(struct eyes *eyes, const struct sim_request *request, const char *id,
    size_t length, enum eyes_outcome outcome, const char *error);
void eyes_clear_commands(struct eyes *eyes);
sim_route_fn eyes_post_commands, eyes_list_commands, eyes_redeliver, eyes_list_acks;

/* sim_eyes_generate.c */
unsigned eyes_generate(
    struct eyes *eyes, const json_t *json, struct err *err); /* its number, or 0 */
unsigned eyes_give_generated(struct eyes *eyes, const struct sim_request *request, unsigned limit,
    bool comma, struct buf *out);
/* Flags of a generated command that was given, or NULL. */
unsigned char *eyes_generated_flags(const struct eyes *eyes, const char *id, size_t length);
#define EYES_GIVEN 1
#define EYES_ACCEPTED 2
#define EYES_FINISHED 4
void eyes_generated_accepted(struct eyes *eyes, const char *id, size_t length);
void eyes_redeliver_generated(
    struct eyes *eyes, const char *id, bool unfinished); /* id NULL: all */
json_t *eyes_generators_json(const struct eyes *eyes);
void eyes_clear_generators(struct eyes *eyes);

/* sim_eyes_batches.c */
sim_route_fn eyes_list_batches, eyes_get_batch, eyes_post_batches;
size_t eyes_batch_count(const struct eyes *eyes);
void eyes_clear_batches(struct eyes *eyes);

/* sim_eyes_events.c */
void eyes_events_new(struct eyes *eyes, uint64_t size);
void eyes_events_free(struct eyes *eyes);
void eyes_events_reset(struct eyes *eyes, bool all); /* all: also what was set up */
bool eyes_events_setup(struct eyes *eyes, const json_t *json, struct err *err);
json_t *eyes_events_json(const struct eyes *eyes);
sim_route_fn eyes_post_bitbucket_event, eyes_post_github_event, eyes_list_events;

#endif
