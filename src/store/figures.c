#include "store/figures.h"

#include <string.h>
#include <time.h>

/* Midnight, local time, `days` after the day of a time. Days are not all of 24 hours. */
static int64_t midnight(int64_t wall_ms, int days)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (localtime_r(&seconds, &tm) == NULL)
		return wall_ms;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_mday += days;
	tm.tm_isdst = -1;
	return (int64_t)mktime(&tm) * 1000;
}

void figures_begin(struct figures *figures, int64_t now_ms, int64_t since_ms)
{
	memset(figures, 0, sizeof(*figures));
	figures->day_begins_ms = midnight(now_ms, 0);
	figures->day_ends_ms = midnight(now_ms, 1);
	figures->since_ms = since_ms > figures->day_begins_ms ? since_ms : figures->day_begins_ms;
}

void figures_turn(struct figures *figures, int64_t now_ms)
{
	if (now_ms >= figures->day_ends_ms)
		figures_begin(figures, now_ms, 0);
}

/* Below FIGURES_STEPS each millisecond has a bucket of its own. */
static unsigned bucket_of(uint64_t ms)
{
	unsigned doublings = 0, bucket;

	while (ms >= 2 * FIGURES_STEPS) {
		ms = (ms + 1) / 2; /* up: never too low */
		doublings++;
	}
	bucket = doublings * FIGURES_STEPS + (unsigned)ms;
	return bucket < FIGURES_BUCKETS ? bucket : FIGURES_BUCKETS - 1;
}

/* The longest time of a bucket. */
static int64_t longest_of(unsigned bucket)
{
	unsigned doublings = bucket < 2 * FIGURES_STEPS ? 0 : bucket / FIGURES_STEPS - 1;

	return (int64_t)(bucket - doublings * FIGURES_STEPS) << doublings;
}

void figures_add(struct figures *figures, int64_t ended_ms, int64_t received_ms)
{
	figures_turn(figures, ended_ms);
	if (ended_ms < figures->day_begins_ms)
		return;
	figures->delivered++;
	if (received_ms == 0 || received_ms > ended_ms)
		return;
	figures->timed++;
	figures->bucket[bucket_of((uint64_t)(ended_ms - received_ms))]++;
}

int64_t figures_percentile_ms(const struct figures *figures, unsigned percent)
{
	uint64_t rank = (figures->timed * percent + 99) / 100, seen = 0;

	for (unsigned i = 0; i < FIGURES_BUCKETS && figures->timed > 0; i++) {
		seen += figures->bucket[i];
		if (seen >= rank)
			return longest_of(i);
	}
	return 0;
}
