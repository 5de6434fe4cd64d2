/*
 * commit_watch: db_after_commit for those who may be gone before the commit is.
 */
#ifndef FLOW_COMMIT_WATCH_H
#define FLOW_COMMIT_WATCH_H

#include "store/db.h"

struct commit_watch;
/* Calls fn as db_after_commit does, unless it is cancelled. The watch ends just before that. */
struct commit_watch *commit_watch_new(struct db *db, db_commit_fn *fn, void *arg);
void commit_watch_cancel(struct commit_watch *watch); /* NULL is right */

#endif
