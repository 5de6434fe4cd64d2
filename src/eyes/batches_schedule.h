/*
 * batches_schedule: when which part of the window is listed. Pure.
 *
 * Entries of the list carry no time, so their age is that of the part in which they are found:
 *
 *   part      age                  listed
 *   0         up to 1 h            every poll
 *   1         1 h to 24 h          every 5 min
 *   2         24 h to 7 days       every hour
 *   3         above 7 days         every 6 hours        (only when EYES_BATCH_WINDOW is longer)
 *
 * Batches of part 1 that are not final, the latest BATCHES_OPEN of them, are also looked at one by
 * one in every poll, at most BATCHES_OPEN_A_POLL of them; when one has no running test any more,
 * part 1 is listed at once.
 *
 * Calls an hour, with P polls an hour (240 at 15 s), n0..n3 batches in the parts (all of the
 * team's, with a commit or not), o open ones in part 1, e of those coming to an end, and c changes
 * of commits' states an hour:
 *
 *   P x (ceil(n0/100) + min(o, 10)) + (12 + e) x ceil(n1/100) + ceil(n2/100) + ceil(n3/100)/6 + 2c
 *
 * where ceil is 1 for an empty part. Nothing in it depends on the number of repositories. A start
 * lists every part once, and asks for the details of each commit that changed meanwhile.
 */
#ifndef EYES_BATCHES_SCHEDULE_H
#define EYES_BATCHES_SCHEDULE_H

#include "base/clock.h"

#define BATCHES_PARTS 4
#define BATCHES_OPEN 64
#define BATCHES_OPEN_A_POLL 10

struct batches_part {
	uint64_t from_age_ms, to_age_ms;
	uint64_t every_ms; /* 0: every poll */
};

/* The parts of a window, youngest first; how many there are (1..BATCHES_PARTS). */
unsigned batches_schedule(uint64_t window_ms, struct batches_part out[BATCHES_PARTS]);
/* last_ms and now_ms on the monotonic clock; ever: whether it was listed at all. */
bool batches_part_due(
    const struct batches_part *part, bool ever, uint64_t last_ms, uint64_t now_ms);
/* Whole seconds around the part, and a minute into the future for the youngest. */
void batches_part_span(const struct batches_part *part, int64_t server_now_ms,
    char start[CLOCK_TEXT], char end[CLOCK_TEXT]);
/* Whether a batch of this part, found final when the source is used for the first time, is old
 * news: above 24 h. */
bool batches_part_old(const struct batches_part *part);
/* A commit that was INPROGRESS and still is, with other counts, is reported once a minute at most.
 */
bool batches_report_due(
    bool reported, bool was_running, bool is_running, int64_t reported_ms, int64_t now_ms);

#endif
