#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pack.h"
#include "store/queue_internal.h"
#include <stdlib.h>
#include <string.h>

/* ---- passes: what need not be walked over again ---- */

static struct queue_pass *pass_slot(struct queue *queue, uint32_t repo, enum queue_lane lane)
{
	return &queue->passes[(repo * 2 + (unsigned)lane) % QUEUE_PASSES];
}

static struct queue_pass *pass_of(struct queue *queue, uint32_t repo, enum queue_lane lane)
{
	struct queue_pass *pass = pass_slot(queue, repo, lane);

	if (pass->repo != repo || pass->lane != lane)
		*pass = (struct queue_pass){.repo = repo, .lane = lane};
	return pass;
}

void queue_passes_forget(struct queue *queue, uint32_t repo, enum queue_lane lane)
{
	struct queue_pass *pass = pass_slot(queue, repo, lane);

	if (pass->repo == repo && pass->lane == lane)
		*pass = (struct queue_pass){.repo = repo, .lane = lane};
}

/* ---- the walk ---- */

/* A walk through a lane, from its newest or its oldest entry. */
struct search {
	uint32_t repo;
	enum queue_lane lane;
	bool oldest;
	struct queue_pass *pass;
	uint64_t at;     /* newest first: below this number; oldest first: from it on */
	bool unbroken;   /* everything passed over so far is claimed itself */
	uint64_t number; /* what it found */
	struct db_bytes row;
};

static bool search_next(struct queue *queue, struct search *search)
{
	unsigned char key[QUEUE_KEY];
	struct db_bytes found;

	queue_key(key, search->repo, search->lane, search->at);
	int is = search->oldest
	             ? db_find_at(queue->db, DB_QUEUE, key, sizeof(key), &found, &search->row)
	             : db_find_before(queue->db, DB_QUEUE, key, sizeof(key), &found, &search->row);
	if (is != 1 || found.length != QUEUE_KEY || memcmp(found.data, key, 5) != 0)
		return false;
	search->number = unpack_key_u64((const unsigned char *)found.data + 5);
	search->at = search->oldest ? search->number + 1 : search->number;
	return true;
}

/* Jumps over a run of entries that are known to be claimed. */
static bool search_jump(struct search *search)
{
	const struct queue_pass *pass = search->pass;

	if (search->oldest) {
		if (search->number > pass->bottom_high)
			return false;
		search->at = pass->bottom_high + 1;
		return true;
	}
	if (search->number < pass->top_low || search->number > pass->top_high)
		return false;
	search->at = pass->top_low;
	return true;
}

/* What it found is claimed now: the run grows. */
static void search_remember(struct queue *queue, struct search *search)
{
	struct queue_pass *pass = search->pass;
	struct search before = *search;

	if (!search->unbroken)
		return;
	if (search->oldest) {
		pass->bottom_high = search->number;
		return;
	}
	/* Nothing between the old run and this one: they are one. */
	bool joins = search->number > pass->top_high && pass->top_high > 0 &&
	             search_next(queue, &before) && before.number <= pass->top_high;
	if (!joins)
		pass->top_low = search->number;
	pass->top_high = queue->memory.last_number;
}

static struct queue_entry *claim(struct queue *queue, const struct search *search)
{
	struct queue_claimed *claimed = malloc(sizeof(*claimed) + search->row.length);

	if (claimed == NULL)
		fatal("out of memory");
	memcpy(claimed->row, search->row.data, search->row.length);
	if (!queue_unpack(&claimed->entry, claimed->hash, claimed->row, search->row.length)) {
		free(claimed);
		return NULL;
	}
	struct queue_entry *entry = &claimed->entry;
	entry->number = search->number;
	entry->repo = search->repo;
	entry->lane = search->lane;
	entry->claimed = true;
	if (entry->first_try_ms == 0)
		entry->first_try_ms = clock_wall_ms();
	map_put(&queue->claims, claimed->hash, QUEUE_HASH, claimed);
	return entry;
}

/* It waited for longer than we know, and a newer one came meanwhile (a crash left both). */
static bool end_if_old(struct queue *queue, const struct search *search, bool *ended)
{
	unsigned char hash[QUEUE_HASH], own[QUEUE_HASH];
	struct queue_entry entry;

	*ended = false;
	if (search->number > queue->doubted_number)
		return true;
	memcpy(hash, search->row.data, QUEUE_HASH);
	uint64_t newest = queue_newest(queue, hash);
	if (newest == 0 || newest == search->number)
		return true;
	*ended = true;
	return queue_get(queue, search->repo, search->lane, search->number, &entry, own) == 1 &&
	       queue_end(queue, &entry, hash, UPDATE_SUPERSEDED, QUEUE_SUPERSEDED,
	           QUEUE_SUPERSEDED_WORDS, DB_LAZY, NULL);
}

/* A row that cannot be read would block its lane for ever. */
static bool remove_damaged(struct queue *queue, const struct search *search)
{
	unsigned char key[QUEUE_KEY];

	log_error("queue", "a damaged entry is removed", log_uint("number", search->number));
	queue_key(key, search->repo, search->lane, search->number);
	return db_del(queue->db, DB_QUEUE, key, sizeof(key), DB_LAZY, NULL);
}

bool queue_claim(
    struct queue *queue, uint32_t repo, enum queue_lane lane, bool oldest, struct queue_entry **out)
{
	struct search search = {
	    .repo = repo,
	    .lane = lane,
	    .oldest = oldest,
	    .pass = pass_of(queue, repo, lane),
	    .at = oldest ? 0 : UINT64_MAX,
	    .unbroken = true,
	};

	while (search_next(queue, &search)) {
		const struct queue_claimed *by;
		bool ended;
		if (search_jump(&search))
			continue;
		if (search.row.length < QUEUE_HASH) {
			if (!remove_damaged(queue, &search))
				return false;
			continue;
		}
		by = map_get(&queue->claims, search.row.data, QUEUE_HASH);
		if (by != NULL) {
			search.unbroken = search.unbroken && by->entry.number == search.number;
			continue;
		}
		if (!end_if_old(queue, &search, &ended))
			return false;
		if (ended)
			continue;
		*out = claim(queue, &search);
		if (*out != NULL) {
			search_remember(queue, &search);
			return true;
		}
		if (!remove_damaged(queue, &search))
			return false;
	}
	return false;
}

bool queue_is_committed(const struct queue *queue, const struct queue_entry *entry)
{
	return queue->open_number == 0 || entry->number < queue->open_number;
}

/* ---- the ends ---- */

static struct queue_claimed *unclaim(struct queue *queue, struct queue_entry *entry)
{
	struct queue_claimed *claimed = (struct queue_claimed *)entry;

	if (map_remove(&queue->claims, claimed->hash, QUEUE_HASH) != claimed)
		fatal("entry %llu of the queue is given back, but was not claimed",
		    (unsigned long long)entry->number);
	entry->claimed = false;
	return claimed;
}

bool queue_end(struct queue *queue, const struct queue_entry *entry,
    const unsigned char hash[QUEUE_HASH], enum update_outcome outcome, const char *code,
    const char *error, unsigned flags, struct err *err)
{
	uint64_t lost = db_lost(queue->db);
	int taken = queue_take_row(queue, entry, flags, err);

	if (taken <= 0)
		return taken == 0;
	if (!queue_doubt_inherit(queue, entry, hash, clock_wall_ms(), err))
		return false;
	queue_tell(queue, entry, outcome, code, error);
	return db_lost(queue->db) == lost || db_lost_err(queue->db, err);
}

/* Leaves an entry behind that reads the status back when no late write can change it any more. */
static bool leave_verify(struct queue *queue, const struct queue_entry *entry,
    const unsigned char hash[QUEUE_HASH], struct queue_target *target, int64_t due_ms,
    int64_t now_ms, struct err *err)
{
	struct queue_entry verify = *entry;

	verify.kind = QUEUE_VERIFY;
	verify.lane = QUEUE_LATER;
	verify.number = queue_next_number(queue);
	verify.id = "";
	verify.received_ms = now_ms;
	verify.due_ms = due_ms;
	verify.first_try_ms = 0;
	verify.attempts = 0;
	verify.last_code = verify.last_error = "";
	target->number = verify.number;
	target->repo = verify.repo;
	target->lane = queue_home(&verify);
	return queue_put_row(queue, &verify, hash, DB_LAZY, err) &&
	       queue_target_put(queue, hash, target, DB_LAZY, err) &&
	       queue_doubt_clear(queue, hash, err);
}

/* Every delivery before a doubt's time is followed by something: a newer entry, or a VERIFY. */
static bool settle_doubt(struct queue *queue, const struct queue_claimed *claimed, bool delivered,
    int64_t doubtful_ms, struct err *err)
{
	const struct queue_entry *entry = &claimed->entry;
	int64_t now_ms = clock_wall_ms();
	int64_t until_ms = queue_doubt_until(queue, claimed->hash);
	int64_t ghost_ms = queue_ghost(queue, entry->number, now_ms);
	struct queue_target target = {.order = entry->order};
	struct queue_entry newer;

	until_ms = until_ms > doubtful_ms ? until_ms : doubtful_ms;
	until_ms = until_ms > ghost_ms ? until_ms : ghost_ms;
	if (until_ms <= now_ms)
		return true;
	queue_target_get(queue, claimed->hash, &target);
	if (!delivered || (target.number != entry->number &&
	                      queue_waiting(queue, claimed->hash, &target, &newer) == 1))
		return queue_doubt_set(queue, claimed->hash, until_ms, now_ms, err);
	return leave_verify(queue, entry, claimed->hash, &target, until_ms, now_ms, err);
}

static bool bury(struct queue *queue, struct queue_entry *entry, const unsigned char *hash,
    const char *code, const char *error, struct err *err)
{
	unsigned char key[8];

	entry->last_code = code;
	entry->last_error = error;
	entry->due_ms = clock_wall_ms(); /* of DEAD rows: when it died */
	queue_pack(queue, entry, hash);
	/* DEAD has the repository behind the number: the lane's key is gone. */
	pack_u32(&queue->row, entry->repo);
	pack_key_u64(key, entry->number);
	return db_put(
	    queue->db, DB_DEAD, key, sizeof(key), queue->row.data, queue->row.length, DB_LAZY, err);
}

bool queue_done(struct queue *queue, struct queue_entry *entry, enum update_outcome outcome,
    const char *code, const char *error, int64_t doubtful_ms, bool dead, struct err *err)
{
	struct queue_claimed *claimed = unclaim(queue, entry);
	uint64_t lost = db_lost(queue->db);
	int taken = queue_take_row(queue, entry, DB_LAZY, err);
	bool delivered = outcome == UPDATE_DELIVERED;
	bool done = taken >= 0;

	if (delivered || outcome == UPDATE_REJECTED)
		entry->attempts++;
	/* Not there: the group that it was put in was lost, and Eyes gives it again. */
	if (taken == 1) {
		done = settle_doubt(queue, claimed, delivered, doubtful_ms, err) &&
		       (!dead || bury(queue, entry, claimed->hash, code, error, err));
		if (done)
			queue_tell(queue, entry, outcome, code, error);
		if (done && db_lost(queue->db) != lost)
			done = db_lost_err(queue->db, err);
	}
	free(claimed);
	return done;
}

bool queue_later(struct queue *queue, struct queue_entry *entry, int64_t due_ms, const char *code,
    const char *error, int64_t doubtful_ms, struct err *err)
{
	struct queue_claimed *claimed = unclaim(queue, entry);
	int64_t now_ms = clock_wall_ms();
	uint64_t newest = queue_newest(queue, claimed->hash);
	bool done = queue_doubt_set(queue, claimed->hash, doubtful_ms, now_ms, err);

	entry->attempts++;
	if (done && newest != 0 && newest != entry->number) {
		done = queue_end(queue, entry, claimed->hash, UPDATE_SUPERSEDED, QUEUE_SUPERSEDED,
		    QUEUE_SUPERSEDED_WORDS, DB_LAZY, err);
	} else if (done) {
		int taken = queue_take_row(queue, entry, DB_LAZY, err);
		entry->lane = QUEUE_LATER;
		entry->due_ms = due_ms > 0 ? due_ms : 0;
		entry->last_code = code;
		entry->last_error = error;
		done = taken == 0 ||
		       (taken == 1 && queue_put_row(queue, entry, claimed->hash, DB_LAZY, err));
	}
	free(claimed);
	return done;
}

void queue_release(struct queue *queue, struct queue_entry *entry)
{
	struct queue_claimed *claimed = unclaim(queue, entry);
	uint64_t newest = queue_newest(queue, claimed->hash);

	queue_passes_forget(queue, entry->repo, entry->lane);
	/* When this fails, a lost group makes queue_claim look at it again. */
	if (newest != 0 && newest != entry->number)
		(void)!queue_end(queue, entry, claimed->hash, UPDATE_SUPERSEDED, QUEUE_SUPERSEDED,
		    QUEUE_SUPERSEDED_WORDS, DB_LAZY, NULL);
	free(claimed);
}
