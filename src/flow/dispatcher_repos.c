#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/dispatcher_internal.h"
#include <stdlib.h>
#include <string.h>

#define LOADED_MAX 1024 /* idle repositories kept in memory */
#define DISCARD_BATCH 256
#define DISCARD_AGAIN_MS 1000 /* after the store failed */
#define TOKEN_REFUSED "token_refused"

static void set_record_state(
    struct dispatcher *d, uint32_t id, enum repo_state state, const struct err *reason)
{
	struct record_repo record;
	struct err err = ERR_INIT;

	if (!records_repo(d->options.records, id, &record) || record.state == REPO_DISABLED)
		return;
	record.state = state;
	record.error = reason != NULL ? reason->message : "";
	record.error_code = reason != NULL ? reason->code : "";
	record.blocked_ms = reason != NULL ? clock_wall_ms() : 0;
	if (!records_put_repo(d->options.records, &record, NULL, &err))
		log_limited_error(&d->store_limit, "dispatcher",
		    "a repository's state cannot be stored", log_err(&err));
	bus_publish(d->options.bus, BUS_REPOSITORY, id);
}

/* A token that cannot be read blocks its repository, so that people see why nothing goes out. */
static bool load_token(struct dispatcher *d, uint32_t id, bool enabled, struct secret *token)
{
	struct err err = ERR_INIT;

	if (records_repo_token(d->options.records, id, token, &err))
		return true;
	log_limited_error(&d->store_limit, "dispatcher", "the stored token cannot be used",
	    log_uint("repository", id), log_err(&err));
	if (enabled)
		set_record_state(d, id, REPO_BLOCKED, &err);
	return false;
}

static void discard_later(struct dispatcher *d, uint32_t id)
{
	uint32_t *kept;

	if (map_get(&d->discards, &id, sizeof(id)) == NULL) {
		kept = mem_zero(sizeof(*kept));
		*kept = id;
		map_put(&d->discards, &id, sizeof(id), kept);
	}
	loop_timer_set(&d->discard_timer, 1);
}

static void block_repo(
    struct dispatcher *d, struct lanes_repo *repo, bool by_token, const struct err *err)
{
	bool news = !repo->blocked;

	lanes_block(repo, clock_monotonic_ms() + PROBE_MS);
	repo->by_token = by_token;
	if (!news)
		return;
	set_record_state(d, repo->id, REPO_BLOCKED, err);
	log_warn("dispatcher", "updates of a repository wait for an administrator",
	    log_str("project", repo->project), log_str("slug", repo->slug), log_err(err));
}

static void release(struct dispatcher *d, struct lanes_repo *repo)
{
	lanes_unblock(repo);
	set_record_state(d, repo->id, REPO_ENABLED, NULL);
	log_info("dispatcher", "a repository can be reached again",
	    log_str("project", repo->project), log_str("slug", repo->slug));
}

/* The server takes the token: what waited for that goes out. */
static void token_works(struct dispatcher *d, struct lanes_token *token)
{
	struct lanes_repo *repo;

	if (!token->refused)
		return;
	token->refused = false;
	TAILQ_FOREACH(repo, &token->repos, entry)
	{
		if (repo->by_token && !repo->stale)
			release(d, repo);
	}
}

/* The state of a repository that was read from the records just now. */
static void repo_loaded(
    struct dispatcher *d, struct lanes_repo *repo, const struct record_repo *record, bool trusted)
{
	struct err err = ERR_INIT;

	if (record->state == REPO_BLOCKED) {
		repo->by_token = strcmp(record->error_code, TOKEN_REFUSED) == 0;
		repo->token->refused |= repo->by_token;
		lanes_block(repo, clock_monotonic_ms() + crypto_random_below(PROBE_MS));
	} else if (trusted) {
		token_works(d, repo->token);
	} else if (repo->token->refused) {
		err_set(
		    &err, TOKEN_REFUSED, "the server refused this token for another repository");
		block_repo(d, repo, true, &err);
	}
}

struct lanes_repo *dispatcher_repo_load(struct dispatcher *d, uint32_t id, bool trusted)
{
	struct lanes_repo *repo = lanes_repo(&d->lanes, id);
	struct secret token = {0};
	struct record_repo record;

	if (repo != NULL)
		return repo;
	if (!records_repo(d->options.records, id, &record) || record.state == REPO_DISABLED) {
		discard_later(d, id);
		return NULL;
	}
	if (!load_token(d, id, record.state == REPO_ENABLED, &token))
		return NULL;
	/* Unsealing wrote nothing: the record's strings still stand. */
	repo = lanes_repo_add(&d->lanes, id, record.server, record.project, record.slug, &token);
	secret_free(&token);
	repo_loaded(d, repo, &record, trusted);
	return repo;
}

void dispatcher_repo_wake(struct dispatcher *d, uint32_t id, bool trusted)
{
	struct lanes_repo *repo;

	if (d->stopping)
		return;
	repo = dispatcher_repo_load(d, id, trusted);
	if (repo == NULL || repo->stale)
		return;
	lanes_fill(repo, QUEUE_FINAL);
	lanes_fill(repo, QUEUE_RUNNING);
	dispatcher_pump(d, repo->token->server);
}

void dispatcher_repo_unload_if_idle(struct dispatcher *d, struct lanes_repo *repo)
{
	bool idle = !repo->lanes[QUEUE_FINAL].listed && !repo->lanes[QUEUE_RUNNING].listed &&
	            !repo->blocked;
	bool stale = repo->stale;
	uint32_t id = repo->id;

	if (repo->in_flight > 0 || !(stale || (idle && d->lanes.repos.count > LOADED_MAX)))
		return;
	lanes_repo_remove(&d->lanes, repo);
	if (stale)
		dispatcher_repo_wake(d, id, true);
}

/* It may have been enabled again since. */
static bool is_enabled(struct dispatcher *d, uint32_t id)
{
	struct record_repo record;

	return records_repo(d->options.records, id, &record) && record.state != REPO_DISABLED;
}

static bool discard_one(struct dispatcher *d, uint32_t id, struct err *err)
{
	struct queue_entry *entry;

	if (is_enabled(d, id) ||
	    (!queue_claim(d->options.queue, id, QUEUE_FINAL, true, &entry) &&
	        !queue_claim(d->options.queue, id, QUEUE_RUNNING, true, &entry)))
		return false;
	if (!queue_done(d->options.queue, entry, UPDATE_IGNORED, "repo_disabled",
	        "the repository is not enabled", 0, false, err))
		dispatcher_store_failed(d, err);
	return true;
}

/* Ends what waits for repositories that are not enabled, a batch at a time. */
void dispatcher_discard(void *arg)
{
	struct dispatcher *d = arg;
	struct err err = ERR_INIT;
	size_t position = 0;
	unsigned count = 0;
	uint32_t *id;

	while (count < DISCARD_BATCH && err.code == NULL &&
	       (id = map_next(&d->discards, &position)) != NULL) {
		if (discard_one(d, *id, &err)) {
			count++;
		} else {
			map_remove(&d->discards, id, sizeof(*id));
			free(id);
		}
		position = 0;
	}
	if (count > 0)
		log_info("dispatcher", "updates of a repository that is not enabled were ended",
		    log_uint("count", count));
	if (d->discards.count > 0)
		loop_timer_set(&d->discard_timer, err.code == NULL ? 1 : DISCARD_AGAIN_MS);
}

void dispatcher_block(
    struct dispatcher *d, struct lanes_repo *repo, const struct scm_answer *answer)
{
	struct lanes_repo *other;

	if (repo->stale)
		return; /* the record has changed since: this answer is about what was */
	if (answer->scope != SCM_SCOPE_TOKEN) {
		block_repo(d, repo, false, answer->err);
		return;
	}
	repo->token->refused = true;
	TAILQ_FOREACH(other, &repo->token->repos, entry)
	{
		if (!other->stale)
			block_repo(d, other, true, answer->err);
	}
}

void dispatcher_unblock(struct dispatcher *d, struct lanes_repo *repo)
{
	if (repo->stale)
		return; /* it took what was there before the change */
	token_works(d, repo->token);
	if (repo->blocked)
		release(d, repo);
}
