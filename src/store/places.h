/*
 * places: what the batches source must remember. BATCH: its own rows of bytes, so that only changes
 * are acted on. PLACE: in which repositories a commit lives; "nowhere" is remembered for a while
 * only.
 *
 * Each table holds at most `limit` rows: a new one beyond it takes the place of the oldest of a few
 * that are looked at. All writes are lazy: what a crash loses is asked for again.
 *
 * Tables:  BATCH  hash of id (16) -> set u64 | the row
 *          PLACE  commit (20)     -> set u64 | expires | waited | count u32, repositories u32
 *                                    and, when something was learned: count u32, (repository u32,
 *                                    ref), the newest first
 *          META   "places"        -> "" once something was learned
 */
#ifndef STORE_PLACES_H
#define STORE_PLACES_H

#include "store/db.h"
#include <stddef.h>

struct places;
struct places *places_open(struct db *db, uint64_t limit, struct err *err);
void places_close(struct places *places);

#define PLACES_MEMORY_MAX 8192 /* bytes of a row */
/* What a source remembers under an id, as it gave it. get copies it into out and returns its
 * length, or -1 when there is none or it does not fit. */
ptrdiff_t places_memory_get(struct places *places, const char *id, void *out, size_t size);
bool places_memory_set(
    struct places *places, const char *id, const void *data, size_t length, struct err *err);

#define PLACES_REPOS 16
struct place {
	unsigned count; /* 0 = known to be nowhere, until expires */
	uint32_t repos[PLACES_REPOS];
	int64_t expires_ms; /* wall; 0 = does not */
	int64_t waited_ms;  /* how long "nowhere" was believed the last time: it grows */
};
/* False when nothing is known. An expired row is given as it is: look at expires_ms. commit: 40 hex
 * digits. */
bool places_commit(struct places *places, const char *commit, struct place *out);
bool places_set_commit(
    struct places *places, const char *commit, const struct place *place, struct err *err);
/*
 * What a webhook told: the commit is in that repository, and `ref` ("refs/heads/x", "" unknown)
 * leads to it. Adds the repository to the commit's place, also to "nowhere"; places_set_commit
 * keeps both. Of many refs of one commit the newest are kept, one a repository, together at most
 * PLACES_REFS_MAX bytes. Writes nothing when all is known, and was set within PLACES_FRESH_MS.
 */
#define PLACES_REF_MAX 1024
#define PLACES_REFS_MAX 4096
#define PLACES_FRESH_MS (3600 * 1000ll)
bool places_learn(
    struct places *places, const char *commit, uint32_t repo, const char *ref, struct err *err);
/* The newest ref learned for the commit in that repository; false when there is none or it does not
 * fit. Looks at nothing while nothing was ever learned. */
bool places_ref(struct places *places, const char *commit, uint32_t repo, char *out, size_t size);
/* Deletes rows not set since before_ms: looks at `most` rows of each
 * from where it stopped last. Returns how many it deleted. */
unsigned places_trim(struct places *places, int64_t before_ms, unsigned most);

#endif
