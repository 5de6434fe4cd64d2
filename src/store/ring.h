/*
 * ring: rows numbered upwards, of which the last ones are kept: journal and audit.
 */
#ifndef STORE_RING_H
#define STORE_RING_H

#include "store/db.h"

struct ring {
	struct db *db;
	enum db_table table;
	uint64_t limit; /* rows */
	uint64_t last;  /* the highest number given */
};

bool ring_open(struct ring *ring, struct db *db, enum db_table table, uint64_t limit,
    struct err *err) __attribute__((warn_unused_result));
/* Returns the new row's number, 0 when the group was lost. */
uint64_t ring_add(
    struct ring *ring, const void *row, size_t length, unsigned flags, struct err *err);
/* Rows until fn returns false, at most `most`: newest first, or oldest first above `after`. */
typedef bool ring_fn(uint64_t number, const struct db_bytes *row, void *arg);
void ring_latest(struct ring *ring, unsigned most, ring_fn *fn, void *arg);
void ring_since(struct ring *ring, uint64_t after, unsigned most, ring_fn *fn, void *arg);
/* Deletes the oldest beyond the limit, at most `most`. Returns how many. fn, which may be NULL,
 * sees each before it goes, may write to other tables, and ends it with false. */
unsigned ring_trim(struct ring *ring, unsigned most, ring_fn *fn, void *arg);

#endif
