#include "base/clock.h"
#include "base/log.h"
#include "flow/dispatcher_internal.h"
#include <string.h>

uint64_t dispatcher_token_wait(
    struct dispatcher *d, uint32_t id, const unsigned char fingerprint[CRYPTO_SHA256])
{
	struct lanes_server *server = lanes_server(&d->lanes, id);
	struct lanes_token *token = lanes_token(server, fingerprint, false);

	if (token == NULL)
		return 0;
	return token->refused ? UINT64_MAX : pace_wait_until(&token->pace, clock_monotonic_ms());
}

void dispatcher_token_sent(
    struct dispatcher *d, uint32_t id, const unsigned char fingerprint[CRYPTO_SHA256])
{
	struct lanes_token *token = lanes_token(lanes_server(&d->lanes, id), fingerprint, false);

	if (token != NULL)
		pace_sent(&token->pace, clock_monotonic_ms());
}

/* The repository as it is loaded, while it still has this token. */
static struct lanes_repo *repo_with(
    struct dispatcher *d, uint32_t id, const unsigned char fingerprint[CRYPTO_SHA256], bool load)
{
	struct lanes_repo *repo =
	    load ? dispatcher_repo_load(d, id, false) : lanes_repo(&d->lanes, id);

	return repo != NULL && !repo->stale &&
	               memcmp(repo->token->fingerprint, fingerprint, CRYPTO_SHA256) == 0
	           ? repo
	           : NULL;
}

static bool is_enabled(struct dispatcher *d, uint32_t id)
{
	struct record_repo record;

	return records_repo(d->options.records, id, &record) && record.state != REPO_DISABLED;
}

void dispatcher_token_answered(struct dispatcher *d, uint32_t id, uint32_t repo_id,
    const unsigned char fingerprint[CRYPTO_SHA256], uint64_t sent_ms,
    const struct scm_answer *answer)
{
	struct lanes_server *server = lanes_server(&d->lanes, id);
	struct lanes_repo *repo;

	if (answer->rate_limited) {
		pace_limited(&lanes_token(server, fingerprint, true)->pace, sent_ms,
		    clock_monotonic_ms(), answer->retry_after_ms);
		log_limited_warn(&d->temporary_limit, "dispatcher", "the server asks to slow down",
		    log_err(answer->err));
	} else if (answer->outcome == SCM_TEMPORARY && answer->scope == SCM_SCOPE_SERVER) {
		dispatcher_server_fails(d, server, answer);
		return;
	} else if (answer->outcome == SCM_BLOCKED && answer->scope == SCM_SCOPE_TOKEN) {
		repo = is_enabled(d, repo_id) ? repo_with(d, repo_id, fingerprint, true) : NULL;
		if (repo != NULL)
			dispatcher_block(d, repo, answer);
	} else if (answer->outcome == SCM_OK) {
		repo = repo_with(d, repo_id, fingerprint, false);
		if (repo != NULL && repo->by_token)
			dispatcher_unblock(d, repo);
	}
	if (answer->status != 0 || answer->outcome == SCM_OK) {
		dispatcher_server_works(d, server, clock_wall_ms());
		dispatcher_pump(d, server);
	}
}
