#include "flow/pace.h"

#define FIRST_RATE 4.5
#define LOWEST_RATE 0.1
#define PAUSE_MS 5000
#define QUIET_MS (10 * 60 * 1000)
#define RAISE_MS (60 * 1000)
#define FORGET_MS (6ull * 3600 * 1000)

static void pace_recover(struct pace *pace, uint64_t now_ms)
{
	double limit = pace->ceiling > 0 ? pace->ceiling * 0.9 : 0;

	if (now_ms - pace->limited_at >= FORGET_MS) {
		pace->per_second = 0;
		return;
	}
	if (now_ms - pace->limited_at < QUIET_MS || now_ms - pace->raised_at < RAISE_MS)
		return;
	pace->raised_at = now_ms;
	if (limit > 0 && pace->per_second * 1.1 > limit)
		pace->per_second = pace->per_second > limit ? pace->per_second : limit;
	else
		pace->per_second *= 1.1;
}

uint64_t pace_wait_until(struct pace *pace, uint64_t now_ms)
{
	if (pace->per_second > 0)
		pace_recover(pace, now_ms);
	if (pace->paused_until > now_ms)
		return pace->paused_until;
	if (pace->per_second > 0 && pace->next > now_ms)
		return pace->next;
	return 0;
}

void pace_sent(struct pace *pace, uint64_t now_ms)
{
	if (pace->per_second > 0)
		pace->next = now_ms + (uint64_t)(1000 / pace->per_second) + 1;
}

void pace_limited(struct pace *pace, uint64_t sent_ms, uint64_t now_ms, int64_t retry_after_ms)
{
	uint64_t until = now_ms + (retry_after_ms >= 0 ? (uint64_t)retry_after_ms : PAUSE_MS);

	if (pace->limited_at == 0 || sent_ms > pace->limited_at) {
		if (pace->per_second <= 0) {
			pace->per_second = FIRST_RATE;
			pace->ceiling = 0;
		} else {
			pace->ceiling = pace->per_second;
			pace->per_second *= 0.7;
		}
		if (pace->per_second < LOWEST_RATE)
			pace->per_second = LOWEST_RATE;
		pace->limited_at = now_ms;
		pace->raised_at = now_ms;
	}
	if (until > pace->paused_until)
		pace->paused_until = until;
	if (pace->next < pace->paused_until)
		pace->next = pace->paused_until;
}
