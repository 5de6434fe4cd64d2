/*
 * retention: a timer that keeps every table within its bounds: a small batch (at most 256 deletions
 * a table) a second, every few ms while there is much to delete, once a minute while nothing is
 * written, nothing waits and nothing was to be deleted. The work is lazy: it commits with
 * whatever is written next, at the latest after DB_GROUP_MS.
 */
#ifndef STORE_RETENTION_H
#define STORE_RETENTION_H

#include "store/audit.h"
#include "store/events.h"
#include "store/journal.h"
#include "store/outbox.h"
#include "store/places.h"
#include "store/queue.h"

#define RETENTION_OUTBOX_ROWS 20000 /* of at most 1.9 KB: up to 800,000 outcomes */

struct retention;
struct retention_tables { /* borrowed; any of them may be NULL */
	struct db *db;    /* tells of writes; NULL: looked at every second */
	struct queue *queue;
	struct journal *journal;
	struct places *places;
	struct audit *audit;
	struct outbox *outbox;
	struct events *events;
	events_lane_fn *events_lane; /* told each lane whose first expired; may be NULL */
	void *arg;
	uint64_t batch_window_ms; /* EYES_BATCH_WINDOW: batches and commits are remembered for it */
};
struct retention *retention_new(struct loop *loop, const struct retention_tables *tables);
void retention_free(struct retention *retention);

#endif
