#include "flow/lanes.h"
#include "base/backoff.h"
#include "base/mem.h"
#include <stdlib.h>

static const struct backoff server_backoff = {.first_ms = 1000, .limit_ms = 120 * 1000};

void lanes_init(struct lanes *lanes, unsigned connections)
{
	map_init(&lanes->servers);
	map_init(&lanes->repos);
	lanes->connections = connections;
}

struct lanes_server *lanes_server(struct lanes *lanes, uint32_t id)
{
	struct lanes_server *server = map_get(&lanes->servers, &id, sizeof(id));

	if (server != NULL)
		return server;
	server = mem_zero(sizeof(*server));
	server->id = id;
	server->limit = lanes->connections;
	TAILQ_INIT(&server->ready);
	TAILQ_INIT(&server->sleeping);
	map_init(&server->tokens);
	map_put(&lanes->servers, &id, sizeof(id), server);
	return server;
}

static void server_free(struct lanes_server *server)
{
	map_free(&server->tokens);
	free(server->last_err);
	free(server->last_trace);
	free(server->certificate);
	free(server);
}

void lanes_server_remove(struct lanes *lanes, uint32_t id)
{
	struct lanes_server *server = map_get(&lanes->servers, &id, sizeof(id));

	if (server == NULL || server->tokens.count > 0)
		return;
	map_remove(&lanes->servers, &id, sizeof(id));
	server_free(server);
}

struct lanes_repo *lanes_repo(struct lanes *lanes, uint32_t id)
{
	return map_get(&lanes->repos, &id, sizeof(id));
}

struct lanes_token *lanes_token(
    struct lanes_server *server, const unsigned char fingerprint[CRYPTO_SHA256], bool make)
{
	struct lanes_token *token = map_get(&server->tokens, fingerprint, CRYPTO_SHA256);

	if (token != NULL || !make)
		return token;
	token = mem_zero(sizeof(*token));
	token->server = server;
	for (size_t i = 0; i < CRYPTO_SHA256; i++)
		token->fingerprint[i] = fingerprint[i];
	TAILQ_INIT(&token->lanes[QUEUE_FINAL]);
	TAILQ_INIT(&token->lanes[QUEUE_RUNNING]);
	TAILQ_INIT(&token->repos);
	map_put(&server->tokens, fingerprint, CRYPTO_SHA256, token);
	return token;
}

static struct lanes_token *token_for(struct lanes_server *server, const struct secret *value)
{
	unsigned char fingerprint[CRYPTO_SHA256];

	crypto_sha256(fingerprint, value->data, value->length);
	return lanes_token(server, fingerprint, true);
}

struct lanes_repo *lanes_repo_add(struct lanes *lanes, uint32_t id, uint32_t server,
    const char *project, const char *slug, const struct secret *token)
{
	struct lanes_repo *repo = mem_zero(sizeof(*repo));

	repo->id = id;
	repo->project = mem_string(project);
	repo->slug = mem_string(slug);
	secret_set(&repo->token_value, token->data, token->length);
	repo->token = token_for(lanes_server(lanes, server), token);
	repo->lanes[QUEUE_FINAL] = (struct lane){.repo = repo, .which = QUEUE_FINAL};
	repo->lanes[QUEUE_RUNNING] = (struct lane){.repo = repo, .which = QUEUE_RUNNING};
	TAILQ_INSERT_TAIL(&repo->token->repos, repo, entry);
	map_put(&lanes->repos, &id, sizeof(id), repo);
	return repo;
}

static void token_move(struct lanes_token *token, enum token_place place)
{
	struct lanes_server *server = token->server;

	if (token->place == TOKEN_READY)
		TAILQ_REMOVE(&server->ready, token, entry);
	else if (token->place == TOKEN_SLEEPING)
		TAILQ_REMOVE(&server->sleeping, token, entry);
	token->place = place;
	if (place == TOKEN_READY) {
		TAILQ_INSERT_TAIL(&server->ready, token, entry);
	} else if (place == TOKEN_SLEEPING) {
		TAILQ_INSERT_TAIL(&server->sleeping, token, entry);
		if (server->wake_at == 0 || token->wake_at < server->wake_at)
			server->wake_at = token->wake_at;
	}
}

static bool token_has_work(const struct lanes_token *token)
{
	return !TAILQ_EMPTY(&token->lanes[QUEUE_FINAL]) ||
	       !TAILQ_EMPTY(&token->lanes[QUEUE_RUNNING]);
}

void lanes_fill(struct lanes_repo *repo, enum queue_lane which)
{
	struct lane *lane = &repo->lanes[which];
	struct lanes_token *token = repo->token;

	if (repo->blocked || lane->listed)
		return;
	lane->listed = true;
	TAILQ_INSERT_TAIL(&token->lanes[which], lane, entry);
	if (token->place == TOKEN_IDLE)
		token_move(token, TOKEN_READY);
}

void lanes_drain(struct lanes_repo *repo, enum queue_lane which)
{
	struct lane *lane = &repo->lanes[which];

	if (!lane->listed)
		return;
	lane->listed = false;
	TAILQ_REMOVE(&repo->token->lanes[which], lane, entry);
	if (!token_has_work(repo->token) && repo->token->place != TOKEN_IDLE)
		token_move(repo->token, TOKEN_IDLE);
}

void lanes_block(struct lanes_repo *repo, uint64_t probe_at)
{
	repo->blocked = true;
	repo->probe_at = probe_at;
	lanes_drain(repo, QUEUE_FINAL);
	lanes_drain(repo, QUEUE_RUNNING);
}

void lanes_unblock(struct lanes_repo *repo)
{
	repo->blocked = repo->by_token = false;
	lanes_fill(repo, QUEUE_FINAL);
	lanes_fill(repo, QUEUE_RUNNING);
}

void lanes_repo_remove(struct lanes *lanes, struct lanes_repo *repo)
{
	struct lanes_token *token = repo->token;

	lanes_drain(repo, QUEUE_FINAL);
	lanes_drain(repo, QUEUE_RUNNING);
	TAILQ_REMOVE(&token->repos, repo, entry);
	map_remove(&lanes->repos, &repo->id, sizeof(repo->id));
	/* A token that is paced is remembered: its owner's limit does not end with the repository.
	 */
	if (TAILQ_EMPTY(&token->repos) && token->pace.per_second <= 0) {
		map_remove(&token->server->tokens, token->fingerprint, sizeof(token->fingerprint));
		free(token);
	}
	secret_free(&repo->token_value);
	free(repo->project);
	free(repo->slug);
	free(repo);
}

void lanes_clear(struct lanes *lanes)
{
	struct lanes_server *server;
	struct lanes_token *token;
	struct lanes_repo *repo;
	size_t position;

	for (position = 0; (repo = map_next(&lanes->repos, &position)) != NULL; position = 0)
		lanes_repo_remove(lanes, repo);
	for (position = 0; (server = map_next(&lanes->servers, &position)) != NULL;) {
		size_t inner = 0;

		while ((token = map_next(&server->tokens, &inner)) != NULL)
			free(token);
		server_free(server);
	}
	map_free(&lanes->servers);
	map_free(&lanes->repos);
}

static void wake_sleepers(struct lanes_server *server, uint64_t now_ms)
{
	struct lanes_token *token, *next;

	if (server->wake_at == 0 || server->wake_at > now_ms)
		return;
	server->wake_at = 0;
	for (token = TAILQ_FIRST(&server->sleeping); token != NULL; token = next) {
		next = TAILQ_NEXT(token, entry);
		if (token->wake_at <= now_ms)
			token_move(token, TOKEN_READY);
		else if (server->wake_at == 0 || token->wake_at < server->wake_at)
			server->wake_at = token->wake_at;
	}
}

static void token_choose(struct lanes_token *token, struct lanes_pick *pick)
{
	bool ageing = ++token->picks % 8 == 0;
	enum queue_lane which = QUEUE_FINAL;
	struct lane *lane;

	if (TAILQ_EMPTY(&token->lanes[QUEUE_FINAL]) ||
	    (ageing && !TAILQ_EMPTY(&token->lanes[QUEUE_RUNNING])))
		which = QUEUE_RUNNING;
	lane = TAILQ_FIRST(&token->lanes[which]);
	TAILQ_REMOVE(&token->lanes[which], lane, entry);
	TAILQ_INSERT_TAIL(&token->lanes[which], lane, entry);
	*pick = (struct lanes_pick){.repo = lane->repo, .which = which, .oldest = ageing};
}

bool lanes_pick(
    struct lanes_server *server, uint64_t now_ms, struct lanes_pick *pick, uint64_t *wait_until)
{
	struct lanes_token *token;
	uint64_t until;

	*wait_until = 0;
	if (server->in_flight >= (server->failures > 0 ? 1 : server->limit))
		return false;
	if (server->paused_until > now_ms) {
		*wait_until = server->paused_until;
		return false;
	}
	wake_sleepers(server, now_ms);
	while ((token = TAILQ_FIRST(&server->ready)) != NULL) {
		until = pace_wait_until(&token->pace, now_ms);
		if (until == 0) {
			token_choose(token, pick);
			token_move(token, TOKEN_READY); /* to the end of the round */
			return true;
		}
		token->wake_at = until;
		token_move(token, TOKEN_SLEEPING);
	}
	*wait_until = server->wake_at;
	return false;
}

void lanes_started(struct lanes_repo *repo, uint64_t now_ms)
{
	repo->in_flight++;
	repo->token->server->in_flight++;
	pace_sent(&repo->token->pace, now_ms);
}

void lanes_finished(struct lanes_repo *repo)
{
	repo->in_flight--;
	repo->token->server->in_flight--;
}

bool lanes_server_works(struct lanes_server *server, int64_t wall_ms)
{
	server->last_ok_ms = wall_ms;
	if (server->failures == 0)
		return false;
	server->failures = 0;
	server->paused_until = 0;
	server->failing_since_ms = 0;
	free(server->last_err);
	free(server->last_trace);
	server->last_err = NULL;
	server->last_trace = NULL;
	return true;
}

void lanes_server_showed(struct lanes_server *server, const struct http_trace *trace)
{
	if (trace == NULL || trace->certificate.sha256[0] == '\0')
		return;
	if (server->certificate == NULL)
		server->certificate = mem_zero(sizeof(*server->certificate));
	*server->certificate = trace->certificate;
}

bool lanes_server_failed(struct lanes_server *server, uint64_t now_ms, int64_t wall_ms,
    int64_t retry_after_ms, const struct err *err, const struct http_trace *trace)
{
	uint64_t wait;

	if (server->paused_until > now_ms)
		return false; /* was under way when the first one failed */
	server->failures++;
	if (server->failing_since_ms == 0)
		server->failing_since_ms = wall_ms;
	wait = backoff_ms(&server_backoff, server->failures, crypto_random_below(UINT32_MAX));
	if (retry_after_ms > (int64_t)wait)
		wait = (uint64_t)retry_after_ms;
	server->paused_until = now_ms + wait;
	if (server->last_err == NULL)
		server->last_err = mem_zero(sizeof(*server->last_err));
	err_copy(server->last_err, err);
	if (trace != NULL) {
		if (server->last_trace == NULL)
			server->last_trace = mem_zero(sizeof(*server->last_trace));
		*server->last_trace = *trace;
	}
	return true;
}
