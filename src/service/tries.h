/*
 * tries: wrong keys, counted per address. Pure but for its memory: the last 256 addresses that got
 * one wrong.
 */
#ifndef SERVICE_TRIES_H
#define SERVICE_TRIES_H

#include <stdbool.h>
#include <stdint.h>

#define TRIES_ADDRESSES 256
struct tries {
	struct tries_row {
		char address[64];
		unsigned wrong;
		uint64_t until_ms; /* pause, monotonic */
		uint64_t last_ms;
	} rows[TRIES_ADDRESSES];
};

/* How long this address has to wait, 0 when it may try. */
uint64_t tries_wait_ms(const struct tries *tries, const char *address, uint64_t now_ms);
/* How many may still be wrong before the pause. */
unsigned tries_left(
    const struct tries *tries, const char *address, unsigned limit, uint64_t now_ms);
/* Notes a wrong one; returns how many tries are left before the pause (0: it begins now). */
unsigned tries_wrong(
    struct tries *tries, const char *address, unsigned limit, uint64_t pause_ms, uint64_t now_ms);
void tries_right(struct tries *tries, const char *address);

#endif
