#include "service/tries.h"
#include <stdio.h>
#include <string.h>

static const struct tries_row *find(const struct tries *tries, const char *address)
{
	for (unsigned i = 0; i < TRIES_ADDRESSES; i++)
		if (tries->rows[i].wrong > 0 && strcmp(tries->rows[i].address, address) == 0)
			return &tries->rows[i];
	return NULL;
}

uint64_t tries_wait_ms(const struct tries *tries, const char *address, uint64_t now_ms)
{
	const struct tries_row *row = find(tries, address);

	return row != NULL && row->until_ms > now_ms ? row->until_ms - now_ms : 0;
}

unsigned tries_left(const struct tries *tries, const char *address, unsigned limit, uint64_t now_ms)
{
	const struct tries_row *row = find(tries, address);

	if (row == NULL || (row->until_ms != 0 && row->until_ms <= now_ms))
		return limit;
	return row->wrong < limit ? limit - row->wrong : 0;
}

/* The row of the address, else the one that was used least recently and does not pause. */
static struct tries_row *take(struct tries *tries, const char *address, uint64_t now_ms)
{
	struct tries_row *row = (struct tries_row *)find(tries, address);
	struct tries_row *oldest = &tries->rows[0];

	if (row != NULL)
		return row;
	for (unsigned i = 1; i < TRIES_ADDRESSES; i++) {
		row = &tries->rows[i];
		if ((row->until_ms > now_ms) < (oldest->until_ms > now_ms) ||
		    ((row->until_ms > now_ms) == (oldest->until_ms > now_ms) &&
		        row->last_ms < oldest->last_ms))
			oldest = row;
	}
	*oldest = (struct tries_row){0};
	snprintf(oldest->address, sizeof(oldest->address), "%s", address);
	return oldest;
}

unsigned tries_wrong(
    struct tries *tries, const char *address, unsigned limit, uint64_t pause_ms, uint64_t now_ms)
{
	struct tries_row *row = take(tries, address, now_ms);

	if (row->until_ms != 0 && row->until_ms <= now_ms) { /* its pause is over: from the start */
		row->wrong = 0;
		row->until_ms = 0;
	}
	row->wrong++;
	row->last_ms = now_ms;
	if (row->wrong < limit)
		return limit - row->wrong;
	row->until_ms = now_ms + pause_ms;
	return 0;
}

void tries_right(struct tries *tries, const char *address)
{
	struct tries_row *row = (struct tries_row *)find(tries, address);

	if (row != NULL)
		*row = (struct tries_row){0};
}
