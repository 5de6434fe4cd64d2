#include "base/mem.h"
#include "flow/forwarder_internal.h"
#include <stdlib.h>
#include <string.h>

#define RETRY_AFTER_MAX_MS (3600ll * 1000)
#define PROVEN_MS (10 * 60 * 1000) /* so long a taken event says that the address works */
#define ROADS_KEPT 32              /* beside those that lanes wait for */

const struct backoff forward_failing = {.first_ms = 1000, .limit_ms = 60 * 1000};
const struct backoff forward_blocked = {.first_ms = 60 * 1000, .limit_ms = 15 * 60 * 1000};

/* ---- which there are ---- */

static void clear(struct forward_road *road)
{
	free(road->err);
	free(road->trace);
	road->err = NULL;
	road->trace = NULL;
}

void road_free(struct forwarder *f, struct forward_road *road)
{
	TAILQ_REMOVE(&f->roads, road, entry);
	f->road_count--;
	clear(road);
	free(road);
}

/* The one that was not used for longest goes. */
static void make_room(struct forwarder *f)
{
	struct forward_road *road;

	if (f->road_count < ROADS_KEPT)
		return;
	TAILQ_FOREACH(road, &f->roads, entry)
	if (road->lanes == 0) {
		road_free(f, road);
		return;
	}
}

struct forward_road *road_of(
    struct forwarder *f, const char *address, uint32_t lane, const char *server)
{
	unsigned char key[CRYPTO_SHA256];
	struct forward_road *road;

	crypto_sha256(key, address, strlen(address));
	TAILQ_FOREACH(road, &f->roads, entry)
	if (memcmp(road->key, key, sizeof(key)) == 0)
		return road;
	make_room(f);
	road = mem_zero(sizeof(*road));
	memcpy(road->key, key, sizeof(key));
	road->name = lane == EVENTS_GITHUB ? "GitHub" : "Bitbucket";
	snprintf(road->server, sizeof(road->server), "%s", server);
	TAILQ_INIT(&road->ready);
	TAILQ_INIT(&road->failed);
	TAILQ_INSERT_TAIL(&f->roads, road, entry);
	f->road_count++;
	return road;
}

/* ---- which lane goes ---- */

bool road_may_send(const struct forward_road *road, bool failed, uint64_t now_ms)
{
	return !road->keyless && (failed ? road->paused_until : road->untried_until) <= now_ms &&
	       (road->failures == 0 || road->in_flight == 0);
}

struct forward_lane *road_next(const struct forward_road *road, uint64_t now_ms)
{
	if (!TAILQ_EMPTY(&road->ready) && road_may_send(road, false, now_ms))
		return TAILQ_FIRST(&road->ready);
	return road_may_send(road, true, now_ms) ? TAILQ_FIRST(&road->failed) : NULL;
}

uint64_t road_next_at(const struct forward_road *road)
{
	uint64_t at = TAILQ_EMPTY(&road->ready) ? 0 : road->untried_until;

	if (!TAILQ_EMPTY(&road->failed) && (at == 0 || road->paused_until < at))
		at = road->paused_until;
	return at;
}

/* ---- how it is ---- */

bool road_is_proven(const struct forward_road *road, uint64_t now_ms)
{
	return road->failures == 0 && road->taken > 0 && now_ms - road->taken_at <= PROVEN_MS;
}

unsigned road_works(struct forward_road *road, uint64_t now_ms, int64_t wall_ms, uint64_t waiting)
{
	unsigned failures = road->failures;

	road->last_ok_ms = wall_ms;
	road->taken_at = now_ms;
	road->taken++;
	if (failures == 0)
		return 0;
	log_info("forwarder", "Eyes takes events again", log_str("of", road->name),
	    log_str("server", road->server), log_int("after_ms", wall_ms - road->failing_since_ms),
	    log_uint("waiting", waiting));
	clear(road);
	road->failures = 0;
	road->blocks = 0;
	road->paused_until = 0;
	road->untried_until = 0;
	road->asked_until = 0;
	road->failing_since_ms = 0;
	road->blocked = false;
	return failures;
}

/* One line when it begins, and one when it is something else: not one for each try. */
static void log_failure(const struct forward_road *road, bool blocked, const char *host,
    uint64_t wait_ms, uint64_t waiting, const struct err *err)
{
	bool news = road->failures == 1 || blocked != road->blocked;

	if (news && blocked)
		log_error("forwarder",
		    "Eyes does not take events until an administrator acts; they are kept",
		    log_str("of", road->name), log_str("server", road->server),
		    log_str("host", host), log_uint("waiting", waiting),
		    log_uint("next_try_ms", wait_ms), log_err(err));
	else if (news)
		log_warn("forwarder",
		    "Eyes does not take events at present; they are kept and sent in order",
		    log_str("of", road->name), log_str("server", road->server),
		    log_str("host", host), log_uint("waiting", waiting),
		    log_uint("next_try_ms", wait_ms), log_err(err));
	else
		log_debug("forwarder", "Eyes still does not take events", log_str("of", road->name),
		    log_uint("failures", road->failures), log_uint("next_try_ms", wait_ms),
		    log_err(err));
}

static void keep(struct forward_road *road, const struct eyes_event_answer *answer)
{
	if (road->err == NULL)
		road->err = mem_zero(sizeof(*road->err));
	err_copy(road->err, answer->err);
	free(road->trace);
	road->trace = NULL;
	if (answer->trace != NULL) {
		road->trace = mem_zero(sizeof(*road->trace));
		*road->trace = *answer->trace;
	}
}

/* What blocks may be meant for one repository alone: another may soon show that. */
static uint64_t untried_wait(
    const struct forward_road *road, bool blocked, bool proven, uint64_t wait, uint32_t random)
{
	if (!blocked)
		return wait;
	return proven ? 0 : backoff_ms(&forward_failing, road->failures, random);
}

bool road_fails(struct forward_road *road, unsigned round, uint64_t now_ms, int64_t wall_ms,
    const struct eyes_event_answer *answer, const char *host, uint64_t waiting)
{
	bool blocked = answer->outcome == EYES_EVENT_BLOCKED;
	bool proven = road_is_proven(road, now_ms);
	uint32_t random = crypto_random_below(UINT32_MAX);
	uint64_t asked = 0, wait, untried;

	if (round != road->round)
		return false;
	road->round++;
	road->failures++;
	road->blocks += blocked;
	if (road->failing_since_ms == 0)
		road->failing_since_ms = wall_ms;
	if (answer->retry_after_ms > 0)
		asked = (uint64_t)(answer->retry_after_ms > RETRY_AFTER_MAX_MS
		                       ? RETRY_AFTER_MAX_MS
		                       : answer->retry_after_ms);
	wait = blocked ? backoff_ms(&forward_blocked, road->blocks, random)
	               : backoff_ms(&forward_failing, road->failures, random);
	untried = untried_wait(road, blocked, proven, wait, random);
	if (asked > wait)
		wait = asked;
	if (asked > untried)
		untried = asked;
	log_failure(road, blocked, host, wait, waiting, answer->err);
	road->blocked = blocked;
	road->paused_until = now_ms + wait;
	road->untried_until = now_ms + untried;
	road->asked_until = now_ms + asked;
	keep(road, answer);
	return true;
}

void road_try_now(struct forward_road *road)
{
	road->round++;
	road->paused_until = 0;
	road->untried_until = 0;
	road->asked_until = 0;
	road->keyless = false;
	/* One probe, then the waits begin anew. */
	if (road->failures > 1)
		road->failures = 1;
	if (road->blocks > 1)
		road->blocks = 1;
}

void road_hurry(struct forward_road *road, uint64_t now_ms)
{
	if (road->failures == 0)
		return;
	if (road->paused_until > now_ms)
		road->paused_until = road->asked_until;
	if (road->untried_until > now_ms)
		road->untried_until = road->asked_until;
}
