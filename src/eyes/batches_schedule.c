#include "eyes/batches_schedule.h"

#define MINUTE_MS UINT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

static const struct batches_part parts[BATCHES_PARTS] = {
    {0, HOUR_MS, 0},
    {HOUR_MS, DAY_MS, 5 * MINUTE_MS},
    {DAY_MS, 7 * DAY_MS, HOUR_MS},
    {7 * DAY_MS, UINT64_MAX, 6 * HOUR_MS},
};

unsigned batches_schedule(uint64_t window_ms, struct batches_part out[BATCHES_PARTS])
{
	unsigned count = 0;

	if (window_ms < HOUR_MS)
		window_ms = HOUR_MS;
	for (; count < BATCHES_PARTS && parts[count].from_age_ms < window_ms; count++) {
		out[count] = parts[count];
		if (out[count].to_age_ms > window_ms)
			out[count].to_age_ms = window_ms;
	}
	return count;
}

bool batches_part_due(const struct batches_part *part, bool ever, uint64_t last_ms, uint64_t now_ms)
{
	return !ever || part->every_ms == 0 || now_ms - last_ms >= part->every_ms;
}

void batches_part_span(const struct batches_part *part, int64_t server_now_ms,
    char start[CLOCK_TEXT], char end[CLOCK_TEXT])
{
	int64_t start_ms = server_now_ms - (int64_t)part->to_age_ms;
	int64_t end_ms = server_now_ms - (int64_t)part->from_age_ms;

	end_ms += part->from_age_ms == 0 ? (int64_t)MINUTE_MS : 999;
	clock_rfc3339(start, start_ms > 0 ? start_ms : 0, false);
	clock_rfc3339(end, end_ms > 0 ? end_ms : 0, false);
}

bool batches_part_old(const struct batches_part *part)
{
	return part->from_age_ms >= DAY_MS;
}

bool batches_report_due(
    bool reported, bool was_running, bool is_running, int64_t reported_ms, int64_t now_ms)
{
	int64_t since_ms = now_ms - reported_ms;

	/* A clock that was set back far must not hold reports up; a second or so is only its
	 * rounding. */
	return !reported || !was_running || !is_running || since_ms >= (int64_t)MINUTE_MS ||
	       since_ms <= -(int64_t)MINUTE_MS;
}
