/*
 * pace: how fast one token may go. Pure; times are monotonic milliseconds.
 *
 * Bitbucket limits per user and node with a token bucket (60 requests, refilled at 5/s by default;
 * secondary source), and one user's token serves many repositories. A token runs unlimited until
 * the server says 429; then it pauses as long as the server asked (5 s when it did not say) and
 * goes on evenly at a rate just below Bitbucket's default refill. What makes the rate fall and rise
 * again:
 *
 *    unlimited --429--> paused --> 4.5/s --another 429--> 0.7 of it (never below one in 10 s)
 *                                    `--10 min without a 429--> up by a tenth each minute, up to
 * 0.9 of where the last 429 came; six hours without one: unlimited again
 *
 * 429s to requests that were already under way when the last one came lengthen the pause, not more.
 */
#ifndef FLOW_PACE_H
#define FLOW_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
	double per_second;     /* 0 = unlimited */
	double ceiling;        /* the rate at which the last 429 came, 0 = unknown */
	uint64_t paused_until; /* after a 429 */
	uint64_t next;         /* the earliest time of the next request */
	uint64_t limited_at;   /* the last 429 that counted */
	uint64_t raised_at;
};

/* 0 when a request may go now, else the time to wait for. */
uint64_t pace_wait_until(struct pace *pace, uint64_t now_ms);
void pace_sent(struct pace *pace, uint64_t now_ms);
/* sent_ms: when the request that was refused had been sent. retry_after_ms -1: not said. */
void pace_limited(struct pace *pace, uint64_t sent_ms, uint64_t now_ms, int64_t retry_after_ms);

#endif
