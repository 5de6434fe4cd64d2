/*
 * clock: time in milliseconds. Monotonic for deadlines, wall for what is stored and shown.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t clock_monotonic_ms(void);
uint64_t clock_monotonic_us(void);
int64_t clock_wall_ms(void); /* since 1970, UTC */

#define CLOCK_TEXT 40
/* RFC 3339 "2026-01-31T13:45:30.123Z" (or without fraction). out: CLOCK_TEXT bytes. */
void clock_rfc3339(char *out, int64_t wall_ms, bool fraction);
/* The same with fraction, for many in a row: `day` remembers the date of the last one, and begins
 * as {0}. Writes CLOCK_RFC3339 bytes and NUL. */
#define CLOCK_RFC3339 24
#define CLOCK_DATE 11
struct clock_day {
	int32_t days;              /* since 1970 */
	char date[CLOCK_DATE + 1]; /* "2026-01-31T", "" at first */
};
void clock_rfc3339_of_day(struct clock_day *day, char *out, int64_t wall_ms);
/* Any RFC 3339 time with up to 9 fraction digits and Z or an offset. False when it is none. */
bool clock_parse_rfc3339(const char *text, int64_t *wall_ms);
/* RFC 9110 IMF-fixdate, as in Date. out: CLOCK_TEXT bytes. */
void clock_http_date(char *out, int64_t wall_ms);
bool clock_parse_http_date(const char *text, int64_t *wall_ms);

#endif
