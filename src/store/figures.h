/*
 * figures: how many updates were delivered today, and how long they took from being received to
 * being delivered. In memory; the journal fills it as updates end and, at its opening, from its
 * rows.
 *
 * "Today" is the local day of the last time that was asked or added. Times are milliseconds, wall.
 * A time is counted by its order of magnitude with FIGURES_STEPS parts to each doubling, so that a
 * percentile is at most 1/FIGURES_STEPS too high, and never too low.
 */
#ifndef STORE_FIGURES_H
#define STORE_FIGURES_H

#include <stdint.h>

#define FIGURES_STEPS 16
#define FIGURES_BUCKETS (FIGURES_STEPS * 32) /* 16 ms * 2^31: a year; above: the last one */

struct figures {
	int64_t day_begins_ms, day_ends_ms;
	int64_t since_ms; /* nothing before is counted: the day's begin, or later */
	uint64_t delivered;
	uint64_t timed; /* of those, how many the percentiles are of */
	uint32_t bucket[FIGURES_BUCKETS];
};

/* Empty, for the local day of now_ms. since_ms: from when on every delivery will be added. */
void figures_begin(struct figures *figures, int64_t now_ms, int64_t since_ms);
/* What ended before the day begins is not counted; what ended behind its end begins another.
 * received_ms 0: not known, so without a time. */
void figures_add(struct figures *figures, int64_t ended_ms, int64_t received_ms);
/* Goes on to the day of now_ms, which has nothing yet. */
void figures_turn(struct figures *figures, int64_t now_ms);
/* So many percent took at most this long; 0 when nothing was timed. */
int64_t figures_percentile_ms(const struct figures *figures, unsigned percent);

#endif
