/*
 * placing: the items of a source that names no repositories (batches) find theirs and go into the
 * queue.
 *
 * Takes a copy of a poll's items, looks for each one's repositories in turn, puts one entry in each
 * and tells the source, in the same group of writes, that the item is handled. What cannot be found
 * completely is left unhandled: the source brings it again.
 */
#ifndef FLOW_PLACING_H
#define FLOW_PLACING_H

#include "flow/intake.h"
#include "flow/locate.h"

struct placing_options { /* borrowed */
	struct loop *loop;
	struct db *db;
	struct intake *intake;
	struct locate *locate;
	void (*wake)(uint32_t repo, void *arg); /* after the commit */
	void *arg;
};

struct placing;
/* placed: entries that were put. err: the last thing that went wrong, NULL when nothing did. */
typedef void placing_fn(unsigned placed, bool full, const struct err *err, void *arg);

struct placing *placing_new(const struct placing_options *options);
void placing_free(struct placing *placing);
/* One run at a time. fn is called after the commit of the last item, never inside placing_run. */
void placing_run(struct placing *placing, const struct eyes_source_driver *driver,
    struct eyes_source *source, const struct eyes_item *items, unsigned count, placing_fn *fn,
    void *arg);
void placing_cancel(struct placing *placing);

#endif
