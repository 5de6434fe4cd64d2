/*
 * sim_bitbucket: a simulated Bitbucket Server / Data Center, as strict as Atlassian's REST
 * documents of 5.16 to 9.4 describe it.
 *
 * Control API, beside what sim.h has:
 *   POST /sim/setup      adds to, or changes, what is there:
 *     {"projects":[{"key","name","public"}],
 *      "repositories":[{"project","slug","name","public","archived","any_commit",
 *                       "commits":["<sha>"]}],
 *      "tokens":[{"token","user","read":[WHERE],"write":[WHERE],"admin":[WHERE],"revoked":false,
 *                 "failure":{"status":401,"exception":"...","message":"..."}}],
 *      "commits":{"PRJ/slug":["<sha>"]}, "remove":["PRJ/slug"], "any_commit":true,
 *      "version":"9.4.0", "ref_quirk":false, "not_found_empty":false} and what
 *      sim_bitbucket_hooks.h tells of webhooks, events and moved repositories
 *     WHERE is "*", "PRJ/..." with "*" for all of the project, or "PRJ/slug". A token that is named
 *     again is replaced. Every commit (40 hex digits) is known in repositories with any_commit;
 *     generated ones have it, and with --any-commit all.
 *   GET  /sim/statuses   ?commit=&repository=PRJ/slug&key=&history=0&limit=N
 *     {"count":N,"forgotten":n,"statuses":[{"repository" ("" is the old API),"commit","key",
 *      "state","updates","body":{as sent},"history":[{"state","description","number","arrived_us",
 *      "effective_us","effective_ms","body"}]}]}
 *     history: every write in the order in which it took effect. The oldest writes beyond
 *     --history N are forgotten.
 *   GET  /sim/latency    {"count","mean_us","p50_us","p90_us","p99_us","max_us"} of statuses whose
 *     description begins with "t=<monotonic microseconds>", as sim-eyes stamps them; DELETE begins
 *     again
 *   GET  /sim/state      adds version, repositories, tokens, writes, statuses, forgotten, states{}
 */
#ifndef SIM_BITBUCKET_H
#define SIM_BITBUCKET_H

#include "sim/sim.h"
#include "sim/sim_name.h"

enum bitbucket_level { LEVEL_NONE, LEVEL_READ, LEVEL_WRITE, LEVEL_ADMIN };

struct bitbucket_project {
	struct bitbucket_project *next;
	uint32_t id;
	char *key, *name;
	bool is_public, personal;
};

struct bitbucket_repository {
	uint32_t id;
	struct bitbucket_project *project;
	char *slug, *name;
	bool is_public, archived, any_commit, removed;
	struct map commits; /* 20 bytes -> the repository itself */
};

struct bitbucket_token {
	char *token, *user;
	bool revoked;
	enum bitbucket_level everywhere;
	struct map levels;  /* 'p' or 'r' and id -> enum bitbucket_level */
	int failure_status; /* answered to every call, when set */
	char *failure_exception, *failure_message;
};

/* One write of a status. */
struct build_entry {
	struct build_entry *next;        /* of the same status, in the order of effect */
	struct build_entry *next_of_all; /* of the whole store */
	struct build_status *status;
	uint64_t number; /* of the request */
	uint64_t arrived_us, effective_us;
	int64_t effective_ms;
	const char *state; /* literal */
	size_t length;
	char body[]; /* as sent, NUL behind it */
};

struct build_status {
	struct sim_name name;
	struct build_commit *commit;
	struct build_status *next; /* of the same commit */
	uint32_t repository;       /* 0: the old API knows none */
	char *key;
	int64_t created_ms;
	uint64_t updates;
	struct build_entry *first, *last;
};

struct build_commit {
	unsigned char sha[20];
	struct build_status *statuses;
};

#define LATENCY_BUCKETS 20000 /* of 10 microseconds */
struct bitbucket {
	struct sim *sim;
	int version; /* 904 is 9.4 */
	char version_text[32];
	bool ref_quirk, not_found_empty, any_commit;
	struct bitbucket_project *projects;
	struct bitbucket_repository **repositories; /* by id - 1 */
	uint32_t project_count, repository_count, repository_room;
	struct map by_project; /* lower-case "key/" */
	struct map by_slug;    /* lower-case "key/slug" */
	struct map moved_from; /* the same of repositories that have another address now */
	int moved;             /* what is answered there: 0 a redirect, 1 in place, 2 a 404 */
	struct hooks *hooks;   /* sim_bitbucket_hooks.h */
	struct map tokens;     /* token -> struct bitbucket_token */
	struct map statuses, commits;
	struct build_entry *oldest, *newest;
	uint64_t entries, entries_max, forgotten, writes;
	uint32_t latency[LATENCY_BUCKETS + 1];
	uint64_t latency_count, latency_sum, latency_max;
};

/* sim_bitbucket_model.c */
struct bitbucket_project *bitbucket_project(struct bitbucket *bb, const char *key, bool make);
struct bitbucket_repository *bitbucket_add_repository(
    struct bitbucket *bb, struct bitbucket_project *project, const char *slug);
struct bitbucket_repository *bitbucket_find_repository(
    const struct bitbucket *bb, const char *key, const char *slug);
/* The one that was there before it was renamed or moved, or NULL. */
struct bitbucket_repository *bitbucket_find_moved(
    const struct bitbucket *bb, const char *key, const char *slug);
/* False: there is one at the new address. */
bool bitbucket_rename(struct bitbucket *bb, struct bitbucket_repository *repository,
    const char *key, const char *slug);
void bitbucket_add_commit(struct bitbucket_repository *repository, const unsigned char sha[20]);
bool bitbucket_knows_commit(const struct bitbucket *bb,
    const struct bitbucket_repository *repository, const unsigned char sha[20]);
struct bitbucket_token *bitbucket_set_token(
    struct bitbucket *bb, const char *token, const char *user);
void bitbucket_grant(
    struct bitbucket_token *token, char kind, uint32_t id, enum bitbucket_level level);
/* token NULL: anonymous */
enum bitbucket_level bitbucket_level(
    const struct bitbucket_token *token, const struct bitbucket_repository *repository);
void bitbucket_set_version(struct bitbucket *bb, const char *text);
void bitbucket_model_clear(struct bitbucket *bb);

/* sim_bitbucket_auth.c: all that return false have answered */
void bitbucket_error(struct sim_request *request, struct bitbucket *bb, int status,
    const char *context, const char *exception, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
const char *bitbucket_request_token(const struct sim_request *request);
bool bitbucket_sign_in(
    struct sim_request *request, struct bitbucket *bb, const struct bitbucket_token **token);
/* For POST, PUT, DELETE: signed in, no XSRF, and a JSON body when has_body. */
bool bitbucket_may_write(struct sim_request *request, struct bitbucket *bb,
    const struct bitbucket_token *token, bool has_body);
/* The repository of variables 0 and 1, when the token has that level there. */
bool bitbucket_open_repository(struct sim_request *request, struct bitbucket *bb,
    const struct bitbucket_token *token, enum bitbucket_level level,
    const struct bitbucket_repository **repository);
void bitbucket_not_found(struct sim_request *request, void *app);

/* sim_bitbucket_store.c */
struct build_status *bitbucket_status(const struct bitbucket *bb, uint32_t repository,
    const unsigned char sha[20], const char *key, size_t length);
void bitbucket_put_status(struct bitbucket *bb, const struct sim_request *request,
    uint32_t repository, const unsigned char sha[20], const char *key, size_t length,
    const char *state);
const struct build_commit *bitbucket_commit(
    const struct bitbucket *bb, const unsigned char sha[20]);
void bitbucket_forget_statuses(struct bitbucket *bb);
void bitbucket_statuses_json(const struct bitbucket *bb, struct sim_request *request);
void bitbucket_note_latency(struct bitbucket *bb, uint64_t sent_us, uint64_t now_us);
json_t *bitbucket_latency_json(const struct bitbucket *bb);
void bitbucket_clear_latency(struct bitbucket *bb);

/* sim_bitbucket_setup.c */
bool bitbucket_setup(struct bitbucket *bb, const json_t *json, struct err *err);
void bitbucket_setup_demo(struct bitbucket *bb);
void bitbucket_setup_generated(struct bitbucket *bb, unsigned count);

/* sim_bitbucket_builds.c, sim_bitbucket_repositories.c: routes */
sim_route_fn bitbucket_post_build, bitbucket_get_build, bitbucket_post_old, bitbucket_get_old;
sim_route_fn bitbucket_properties, bitbucket_build_capabilities;
sim_route_fn bitbucket_list_all, bitbucket_list_project, bitbucket_get_repository;
sim_route_fn bitbucket_get_commit;
void bitbucket_write_repository(const struct bitbucket *bb, struct buf *out,
    const struct bitbucket_repository *repository, const char *base);

#endif
