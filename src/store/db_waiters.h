/*
 * db_waiters: who waits for a group of writes, and who takes part in each. Lists only; db decides
 * when they are called.
 */
#ifndef STORE_DB_WAITERS_H
#define STORE_DB_WAITERS_H

#include "store/db.h"

struct db_waiter {
	db_commit_fn *fn;
	void *arg;
};

struct db_waiters {
	struct db_waiter *list;
	size_t count, capacity;
};

/* A lost group whose waiters have not been told yet. */
struct db_lost_group {
	struct err err;
	struct db_waiters waiters;
	struct db_lost_group *next;
};

struct db_hook {
	loop_fn *fn;
	void *arg;
};

struct db_hooks {
	struct db_hook *list;
	size_t count;
};

void db_waiters_add(struct db_waiters *waiters, db_commit_fn *fn, void *arg);
void db_waiters_move(struct db_waiters *to, struct db_waiters *from);    /* `from` is empty then */
void db_waiters_call(struct db_waiters *waiters, const struct err *err); /* and empties it */

/* Puts a group with these waiters at the end of the list; db_lost_groups_call tells and frees. */
void db_lost_groups_add(
    struct db_lost_group **list, struct db_waiters *waiters, const struct err *err);
void db_lost_groups_call(struct db_lost_group *list);

void db_hooks_add(struct db_hooks *hooks, loop_fn *fn, void *arg);
void db_hooks_forget(struct db_hooks *hooks, const void *arg);

#endif
