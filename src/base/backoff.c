#include "base/backoff.h"

uint32_t backoff_ms(const struct backoff *backoff, uint32_t attempts, uint32_t random)
{
	uint64_t wait_ms = backoff->first_ms;

	for (uint32_t i = 1; i < attempts && wait_ms < backoff->limit_ms && wait_ms > 0; i++)
		wait_ms *= 2;
	if (wait_ms > backoff->limit_ms)
		wait_ms = backoff->limit_ms;
	wait_ms -= wait_ms / 2 * random / UINT32_MAX;
	return wait_ms > 0 ? (uint32_t)wait_ms : 1;
}
