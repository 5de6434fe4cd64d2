/*
 * gap: looks for the rows of repository after repository in a table whose keys begin with their
 * numbers, and of which most have none: what one look tells of those that follow is remembered.
 *
 * What always holds: what is remembered counts only until the next write or lost group
 * (db_changes), so that a look tells what db_find_at would tell.
 */
#ifndef STORE_GAP_H
#define STORE_GAP_H

#include "store/db.h"

struct gap {
	struct db *db;
	enum db_table table;
	uint64_t changes;  /* of db, when it was seen */
	uint64_t from, to; /* no key begins with a number from `from` up to before `to` */
};

void gap_init(struct gap *gap, struct db *db, enum db_table table); /* borrows db */
/* The first entry whose key begins with this number (4 bytes, big-endian). 1 found, 0 there is
 * none, -1 error. */
int gap_find(struct gap *gap, uint32_t number, struct db_bytes *found, struct db_bytes *value);

#endif
