/*
 * backoff: how long to wait before the next try. Pure, so that a table can test it.
 */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
	uint32_t first_ms; /* after the first failure */
	uint32_t limit_ms; /* never longer */
};

/*
 * Doubles from first_ms with every failed attempt (1 = the first) up to limit_ms, then takes off up
 * to half by `random` (0..UINT32_MAX), so that many waiters do not return together. Never 0.
 */
uint32_t backoff_ms(const struct backoff *backoff, uint32_t attempts, uint32_t random);

#endif
