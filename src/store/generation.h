/*
 * generation: a table of things to be remembered for a while, kept within bounds by generations. A
 * row's key begins with one of four numbers in turn: the current one is written to, the one before
 * it is still looked at, the one before that is being deleted, the fourth is empty. A new one
 * begins when this is as old as the TTL or holds half of what shall be remembered, and the oldest
 * is then deleted in small batches.
 *
 * What always holds: what was put is there for the TTL, unless more than half of `remember` was put
 * since. The owner keeps the numbers in a row of its own (generation_pack), written with the rows.
 */
#ifndef STORE_GENERATION_H
#define STORE_GENERATION_H

#include "base/pack.h"
#include "store/db.h"

#define GENERATION_HASH 16
#define GENERATION_KEY (1 + GENERATION_HASH)

struct generation {
	enum db_table table;
	uint8_t current;
	bool dropping; /* something of the oldest is left */
	int64_t started_ms;
	uint64_t count; /* rows put into the current one; its owner counts */
};

/* Called for a row before it is deleted, and may put it into the current one. False: the group was
 * lost. */
typedef bool generation_keep_fn(const struct db_bytes *key, const struct db_bytes *row, void *arg);
struct generation_rules {
	uint64_t ttl_ms, remember;
	generation_keep_fn *keep; /* may be NULL */
	void *arg;
};

void generation_pack(struct buf *out, const struct generation *generation);
void generation_unpack(struct unpack *u, struct generation *generation);

void generation_key(
    unsigned char key[GENERATION_KEY], uint8_t number, const unsigned char hash[GENERATION_HASH]);
uint8_t generation_before(uint8_t number);
/* Begins a new one when this is large (or old, with by_age) and the oldest is gone. True when it
 * did: the owner's row has changed. */
bool generation_turn(struct generation *generation, const struct generation_rules *rules,
    int64_t now_ms, bool by_age);
/* Deletes up to `most` rows of the oldest; lazy. Returns how many. *changed becomes true when the
 * owner's row has changed. */
unsigned generation_drop(struct generation *generation, struct db *db,
    const struct generation_rules *rules, unsigned most, bool *changed);

#endif
