#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_MS INT64_C(86400000)
#define YEAR_0000_MS INT64_C(-62167219200000) /* its first */
#define YEAR_9999_MS INT64_C(253402300799999) /* its last */

static const char MONTHS[12][4] = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char DAYS[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

struct date {
	int year, month, day, hour, minute, second;
	int milliseconds;
};

uint64_t clock_monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_monotonic_ms(void)
{
	return clock_monotonic_us() / 1000;
}

int64_t clock_wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Between those two years, so that what follows is of 32 bits. */
static int64_t within_years(int64_t wall_ms)
{
	return wall_ms < YEAR_0000_MS   ? YEAR_0000_MS
	       : wall_ms > YEAR_9999_MS ? YEAR_9999_MS
	                                : wall_ms;
}

static int32_t days_of(int64_t wall_ms) /* since 1970 */
{
	return (int32_t)((wall_ms - YEAR_0000_MS) / DAY_MS) + (int32_t)(YEAR_0000_MS / DAY_MS);
}

/* The proleptic Gregorian calendar, with years that begin in March. */
static void set_day(struct date *date, int32_t days)
{
	uint32_t since = (uint32_t)(days + 719468 + 146097); /* 1 March of the year -400 */
	uint32_t era = since / 146097, day = since % 146097, year, month;

	year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	day -= 365 * year + year / 4 - year / 100;
	month = (5 * day + 2) / 153; /* 0 is March */
	date->day = (int)(day - (153 * month + 2) / 5 + 1);
	date->month = (int)(month < 10 ? month + 3 : month - 9);
	date->year = (int)(era * 400 + year + (month < 10 ? 0 : 1)) - 400;
}

/* Two digits and what stands behind them. */
static char *put_two(char *at, int value, char behind)
{
	static const char digits[] = "00010203040506070809101112131415161718192021222324"
	                             "25262728293031323334353637383940414243444546474849"
	                             "50515253545556575859606162636465666768697071727374"
	                             "75767778798081828384858687888990919293949596979899";

	memcpy(at, digits + 2 * value, 2);
	at[2] = behind;
	return at + 3;
}

/* "2026-01-31T" */
static char *put_date(char *at, int32_t days)
{
	struct date d;

	set_day(&d, days);
	put_two(at, d.year / 100, '0');
	at = put_two(at + 2, d.year % 100, '-');
	at = put_two(at, d.month, '-');
	return put_two(at, d.day, 'T');
}

/* "13:45:30.123Z" */
static char *put_time(char *at, uint32_t within_ms, bool fraction)
{
	int seconds = (int)(within_ms / 1000), milliseconds = (int)(within_ms % 1000);

	at = put_two(at, seconds / 3600, ':');
	at = put_two(at, seconds / 60 % 60, ':');
	at = put_two(at, seconds % 60, fraction ? '.' : 'Z');
	if (fraction) {
		*at++ = (char)('0' + milliseconds / 100);
		at = put_two(at, milliseconds % 100, 'Z');
	}
	*at = '\0';
	return at;
}

/* Without printf: a page of the API holds a hundred of them. */
void clock_rfc3339(char *out, int64_t wall_ms, bool fraction)
{
	int64_t bounded_ms = within_years(wall_ms);
	int32_t days = days_of(bounded_ms);

	put_time(put_date(out, days), (uint32_t)(bounded_ms - days * DAY_MS), fraction);
}

void clock_rfc3339_of_day(struct clock_day *day, char *out, int64_t wall_ms)
{
	int64_t bounded_ms = within_years(wall_ms);
	int32_t days = days_of(bounded_ms);

	if (day->days != days || day->date[0] == '\0') {
		day->days = days;
		put_date(day->date, days);
	}
	memcpy(out, day->date, CLOCK_DATE);
	put_time(out + CLOCK_DATE, (uint32_t)(bounded_ms - days * DAY_MS), true);
}

void clock_http_date(char *out, int64_t wall_ms)
{
	int64_t bounded_ms = within_years(wall_ms);
	int32_t days = days_of(bounded_ms);
	int seconds = (int)((bounded_ms - days * DAY_MS) / 1000);
	int weekday = ((days + 4) % 7 + 7) % 7; /* 1 January 1970 was a Thursday */
	struct date d;

	set_day(&d, days);
	snprintf(out, CLOCK_TEXT, "%s, %02d %s %04d %02d:%02d:%02d GMT", DAYS[weekday], d.day,
	    MONTHS[d.month - 1], d.year, seconds / 3600, seconds / 60 % 60, seconds % 60);
}

static bool date_valid(const struct date *d)
{
	static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (d->year % 4 == 0 && d->year % 100 != 0) || d->year % 400 == 0;

	if (d->month < 1 || d->month > 12 || d->day < 1)
		return false;
	if (d->day > days[d->month - 1] + (leap && d->month == 2 ? 1 : 0))
		return false;
	return d->hour <= 23 && d->minute <= 59 && d->second <= 60; /* 60: a leap second */
}

static int64_t date_wall_ms(const struct date *d)
{
	/* Days since 1970 in the proleptic Gregorian calendar, with years that begin in March. */
	int64_t year = d->month > 2 ? d->year : d->year - 1;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t year_of_era = year - era * 400;
	int64_t day_of_year =
	    (153 * (d->month > 2 ? d->month - 3 : d->month + 9) + 2) / 5 + d->day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	int64_t days = era * 146097 + day_of_era - 719468;
	int64_t seconds = days * (DAY_MS / 1000) + d->hour * 3600 + d->minute * 60 + d->second;

	return seconds * 1000 + d->milliseconds;
}

/* Takes `digits` digits; false when there are fewer. */
static bool take_number(const char **text, int digits, int *value)
{
	*value = 0;
	for (; digits > 0; digits--, ++*text) {
		if (**text < '0' || **text > '9')
			return false;
		*value = *value * 10 + (**text - '0');
	}
	return true;
}

static bool take_char(const char **text, char c)
{
	if (**text != c)
		return false;
	++*text;
	return true;
}

static bool take_time(const char **text, struct date *d)
{
	return take_number(text, 2, &d->hour) && take_char(text, ':') &&
	       take_number(text, 2, &d->minute) && take_char(text, ':') &&
	       take_number(text, 2, &d->second);
}

static bool take_fraction(const char **text, struct date *d)
{
	int digits = 0;

	if (!take_char(text, '.'))
		return true;
	for (int weight = 100; **text >= '0' && **text <= '9'; ++*text, digits++, weight /= 10)
		d->milliseconds += (**text - '0') * weight; /* 0 after the third digit */
	return digits >= 1 && digits <= 9;
}

static bool take_offset(const char **text, int64_t *offset_ms)
{
	int hours, minutes;
	int64_t sign = **text == '-' ? -1 : 1;

	*offset_ms = 0;
	if (take_char(text, 'Z') || take_char(text, 'z'))
		return true;
	if (!take_char(text, '+') && !take_char(text, '-'))
		return false;
	if (!take_number(text, 2, &hours) || !take_char(text, ':') ||
	    !take_number(text, 2, &minutes))
		return false;
	*offset_ms = sign * (hours * 60 + minutes) * 60000;
	return hours <= 23 && minutes <= 59;
}

bool clock_parse_rfc3339(const char *text, int64_t *wall_ms)
{
	struct date d = {0};
	int64_t offset_ms;

	if (!take_number(&text, 4, &d.year) || !take_char(&text, '-') ||
	    !take_number(&text, 2, &d.month) || !take_char(&text, '-') ||
	    !take_number(&text, 2, &d.day))
		return false;
	if (!take_char(&text, 'T') && !take_char(&text, 't'))
		return false;
	if (!take_time(&text, &d) || !take_fraction(&text, &d) || !take_offset(&text, &offset_ms))
		return false;
	if (*text != '\0' || !date_valid(&d))
		return false;
	*wall_ms = date_wall_ms(&d) - offset_ms;
	return true;
}

/* The index of the three-letter name that the text begins with, or -1. */
static int take_name(const char **text, const char names[][4], int count)
{
	for (int i = 0; i < count; i++) {
		if (strncmp(*text, names[i], 3) == 0) {
			*text += 3;
			return i;
		}
	}
	return -1;
}

bool clock_parse_http_date(const char *text, int64_t *wall_ms)
{
	struct date d = {0};

	if (take_name(&text, DAYS, 7) < 0 || !take_char(&text, ',') || !take_char(&text, ' '))
		return false;
	if (!take_number(&text, 2, &d.day) || !take_char(&text, ' '))
		return false;
	d.month = take_name(&text, MONTHS, 12) + 1;
	if (!take_char(&text, ' ') || !take_number(&text, 4, &d.year) || !take_char(&text, ' '))
		return false;
	if (!take_time(&text, &d) || strcmp(text, " GMT") != 0 || !date_valid(&d))
		return false;
	*wall_ms = date_wall_ms(&d);
	return true;
}
