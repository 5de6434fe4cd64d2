#include "store/retention.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include <stdlib.h>

enum {
	BATCH = 256, /* deletions, or rows looked at, a table and run */
	EXPIRE_LOOK = 1024,
	EVERY_MS = 1000,
	QUIET_MS = 60 * 1000, /* when nothing is written */
	HURRY_MS = 4,
	HURRY_FROM = BATCH / 2 /* deletions in one run: more is waiting */
};

struct retention {
	struct loop_timer timer;
	bool quiet; /* the timer is set for QUIET_MS */
	struct retention_tables tables;
	struct log_limit outbox_limit;
};

static unsigned trim_outbox(struct retention *retention)
{
	uint64_t rows = outbox_trim(retention->tables.outbox, RETENTION_OUTBOX_ROWS);

	if (rows > 0)
		log_limited_warn(&retention->outbox_limit, "retention",
		    "outcomes that Eyes did not take for too long are dropped",
		    log_uint("rows", rows));
	return (unsigned)rows;
}

static void on_lane(uint32_t lane, void *arg)
{
	const struct retention_tables *tables = arg;

	if (tables->events_lane != NULL)
		tables->events_lane(lane, tables->arg);
}

static bool anything_waits(const struct retention_tables *tables)
{
	struct queue_counts updates = {0};
	struct events_counts events = {0};

	if (tables->queue != NULL)
		queue_count(tables->queue, &updates);
	if (tables->events != NULL)
		events_count(tables->events, &events);
	return updates.waiting > 0 || events.waiting > 0;
}

/* What waits can expire; all else grows only by writes, which on_write sees. */
static void set_timer(struct retention *retention, unsigned deleted)
{
	retention->quiet =
	    retention->tables.db != NULL && deleted == 0 && !anything_waits(&retention->tables);
	loop_timer_set(&retention->timer, retention->quiet        ? QUIET_MS
	                                  : deleted >= HURRY_FROM ? HURRY_MS
	                                                          : EVERY_MS);
}

static void on_write(void *arg)
{
	struct retention *retention = arg;

	if (!retention->quiet)
		return;
	retention->quiet = false;
	loop_timer_set(&retention->timer, EVERY_MS);
}

static void on_timer(void *arg)
{
	struct retention *retention = arg;
	struct retention_tables *tables = &retention->tables;
	int64_t now_ms = clock_wall_ms();
	unsigned deleted = 0;

	if (tables->queue != NULL)
		deleted += queue_expire(tables->queue, now_ms, EXPIRE_LOOK) +
		           queue_trim(tables->queue, now_ms, BATCH);
	if (tables->events != NULL)
		deleted += events_expire(tables->events, now_ms, BATCH, on_lane, tables) +
		           events_trim(tables->events, now_ms, BATCH);
	if (tables->journal != NULL)
		deleted += journal_trim(tables->journal, BATCH);
	if (tables->audit != NULL)
		deleted += audit_trim(tables->audit, BATCH);
	if (tables->places != NULL)
		deleted +=
		    places_trim(tables->places, now_ms - (int64_t)tables->batch_window_ms, BATCH);
	if (tables->outbox != NULL)
		deleted += trim_outbox(retention);
	set_timer(retention, deleted);
}

struct retention *retention_new(struct loop *loop, const struct retention_tables *tables)
{
	struct retention *retention = mem_zero(sizeof(*retention));

	retention->tables = *tables;
	loop_timer_init(&retention->timer, loop, on_timer, retention);
	loop_timer_set(&retention->timer, EVERY_MS);
	if (tables->db != NULL)
		db_before_commit(tables->db, on_write, retention);
	return retention;
}

void retention_free(struct retention *retention)
{
	if (retention == NULL)
		return;
	loop_timer_cancel(&retention->timer);
	if (retention->tables.db != NULL)
		db_forget(retention->tables.db, retention);
	free(retention);
}
