/*
 * audit: who changed what, when. Rows numbered upwards, the last `limit` (10,000) kept. No secrets:
 * callers give names and words only.
 */
#ifndef STORE_AUDIT_H
#define STORE_AUDIT_H

#include "store/db.h"

struct audit;
struct audit_row {
	uint64_t number;
	int64_t time_ms;     /* wall */
	const char *who;     /* see audit_split */
	const char *action;  /* "repository.enable" */
	const char *subject; /* "PAY/checkout-web on bitbucket.example.com" */
	const char *detail;
};
/*
 * Who acts is one text everywhere, in one of these forms; audit_split takes it apart for people:
 *   "root (uid 0) on the control socket"            -> "root (uid 0)", "control socket"
 *   "jane@example.com, browser at 192.0.2.7" -> "jane@example.com, browser", "192.0.2.7"
 *   "browser session 0123456789abcdef at 192.0.2.7" (Eyes told no user)
 *   "browser at 192.0.2.7" (nobody has signed in) -> "browser", "192.0.2.7"
 *   "eyes-scm" -> "eyes-scm", ""
 * A user's name never ends it, so that none looks like another form.
 */
#define AUDIT_WHO 192 /* holds SESSION_USER and an address */
void audit_split(const char *text, char who[AUDIT_WHO], char from[AUDIT_WHO]);

struct audit *audit_open(struct db *db, uint64_t limit, struct err *err);
void audit_close(struct audit *audit);
/* Urgent, in the open group: with the change that it tells of. The strings are copied. */
bool audit_add(struct audit *audit, const char *who, const char *action, const char *subject,
    const char *detail, struct err *err);
/* Newest first, until fn returns false or `most` rows; rows are borrowed for the call. */
typedef bool audit_fn(const struct audit_row *row, void *arg);
void audit_latest(struct audit *audit, unsigned most, audit_fn *fn, void *arg);
/* Deletes the oldest beyond the limit, at most `most`. Returns how many. */
unsigned audit_trim(struct audit *audit, unsigned most);

#endif
