#include "flow/commit_watch.h"
#include "base/mem.h"
#include <stdlib.h>

struct commit_watch {
	db_commit_fn *fn; /* NULL: cancelled */
	void *arg;
};

/* The database holds the watch until here: it cannot be freed before. */
static void decided(const struct err *err, void *arg)
{
	struct commit_watch watch = *(struct commit_watch *)arg;

	free(arg);
	if (watch.fn != NULL)
		watch.fn(err, watch.arg);
}

struct commit_watch *commit_watch_new(struct db *db, db_commit_fn *fn, void *arg)
{
	struct commit_watch *watch = mem_zero(sizeof(*watch));

	*watch = (struct commit_watch){.fn = fn, .arg = arg};
	db_after_commit(db, decided, watch);
	return watch;
}

void commit_watch_cancel(struct commit_watch *watch)
{
	if (watch != NULL)
		watch->fn = NULL;
}
