#define _GNU_SOURCE /* strcasestr */
#include "base/clock.h"
#include "base/log.h"
#include "flow/webhook_internal.h"
#include <string.h>

#define TRIES 8 /* that the server may put off, each for so long, before whoever asked is told */
#define PUT_OFF_MS (60 * 1000)

/* ---- what came of it ---- */

/* Java's words, or those of whatever delivers in its place. */
static bool is_about_tls(const char *words)
{
	static const char *const marks[] = {"certificat", "pkix", "ssl", "tls", "x509"};

	for (unsigned i = 0; words != NULL && i < sizeof(marks) / sizeof(marks[0]); i++)
		if (strcasestr(words, marks[i]) != NULL)
			return true;
	return false;
}

/* What to do depends on how far a delivery comes. */
static const char *failing_hint(const struct scm_delivery *last, bool relay)
{
	if (relay && last->status == 401)
		return "Bitbucket signs with another secret than eyes-scm has: put the webhook "
		       "right, or enter it by hand again. Statuses are not affected.";
	if (!relay && last->outcome == SCM_DELIVERY_FAILED)
		return "The address is reached and does not take events: set EYES_WEBHOOK_URL to "
		       "the one of your Eyes server. Statuses are not affected.";
	if (last->outcome == SCM_DELIVERY_ERROR && is_about_tls(last->words))
		return relay
		           ? "Bitbucket does not trust the certificate at EYES_SCM_PROXY_URL: add "
		             "its "
		             "CA to the Java of Bitbucket. Statuses are not affected."
		           : "Bitbucket does not trust the certificate of that address: add its CA "
		             "to the Java of Bitbucket, or set EYES_EVENTS=relay. Statuses are not "
		             "affected.";
	return relay ? "Let Bitbucket reach EYES_SCM_PROXY_URL. Statuses are not affected."
	             : "Let Bitbucket reach the address of the webhook, or set EYES_EVENTS=relay. "
	               "Statuses are not affected.";
}

static void say_failing(struct webhook_check *check, const struct record_hook *row)
{
	const struct scm_delivery *last = check->tested && check->test.outcome != SCM_DELIVERY_OK
	                                      ? &check->test
	                                      : &check->delivery;
	bool relay = row->relay;

	err_set(&check->err, "delivery_failed", "events of %s/%s do not arrive at %s%s%s",
	    check->project, check->slug, relay ? "eyes-scm" : "Eyes",
	    last->words != NULL && last->words[0] != '\0' ? ": " : "",
	    last->words != NULL ? last->words : "");
	err_hop(&check->err, relay ? "Bitbucket to eyes-scm" : "Bitbucket to Eyes");
	err_hint(&check->err, "%s", failing_hint(last, relay));
}

static void note_admin(struct webhook_check *check)
{
	struct records *records = check->keeper->options.records;
	struct record_repo record;
	struct err err = ERR_INIT;

	if (!records_repo(records, check->repo, &record) || record.admin ||
	    record.state == REPO_DISABLED)
		return;
	record.admin = true;
	if (!records_put_repo(records, &record, NULL, &err))
		log_error("webhooks", "a repository cannot be stored", log_err(&err));
}

static void end_with_row(
    struct webhook_check *check, const struct record_hook *row, enum webhook_next next)
{
	bool hold = webhook_row_is_unsure(row) && row->id[0] != '\0' && row->old_until_ms != 0;

	check->state = row->state;
	check->watch->looks++;
	if (!webhook_row_put(check->keeper, row, &check->err))
		next = WEBHOOK_SOON;
	/* The server may still have the secret before. */
	if (hold && !hooks_keep_old(
	                check->keeper->options.hooks, check->repo, clock_wall_ms(), &check->err))
		next = WEBHOOK_SOON;
	if (hold && next == WEBHOOK_AT_PERIOD)
		next = WEBHOOK_SOON; /* before that time is over */
	webhook_check_end(check, next);
}

/*
 * A connection test is not signed: one that fails shows that nothing arrives, a good one only that
 * the target is reached. So it takes back what is known of failing, but not that the target refused
 * the last delivery: that ends with one that is taken.
 */
static bool is_failing(struct webhook_check *check, struct record_hook *row)
{
	const struct scm_delivery *last = &check->delivery;

	webhook_row_judge(row, last);
	if (!check->tested)
		return webhook_row_is_failing(row);
	if (check->test.outcome != SCM_DELIVERY_OK) {
		row->failed_ms = clock_wall_ms();
		return true;
	}
	if (last->outcome == SCM_DELIVERY_FAILED && last->ended_ms > row->delivered_ms &&
	    last->ended_ms >= row->changed_ms)
		return true;
	row->failed_ms = 0;
	return false;
}

/* It is at the server as it should be. */
void webhook_finish(struct webhook_check *check)
{
	struct record_hook row;
	bool failing;

	note_admin(check);
	if (!webhook_check_row(check, &row)) {
		webhook_check_end(check, WEBHOOK_AT_PERIOD);
		return;
	}
	failing = is_failing(check, &row);
	row.checked_ms = clock_wall_ms();
	row.id = check->id;
	row.url = check->target.url;
	row.relay = check->keeper->options.relay;
	row.by_hand = check->by_hand;
	if (failing)
		say_failing(check, &row);
	webhook_row_say(
	    &row, failing ? HOOK_FAILING : HOOK_OK, check->err.code != NULL ? &check->err : NULL);
	end_with_row(check, &row, WEBHOOK_AT_PERIOD);
}

/* It is not as it should be, for the reason in err. */
void webhook_finish_bad(struct webhook_check *check, enum hook_state state)
{
	struct record_hook row;
	bool temporary = state == HOOK_BROKEN && check->refused;

	if (!webhook_check_row(check, &row)) {
		webhook_check_end(check, WEBHOOK_AT_PERIOD);
		return;
	}
	check->made = check->repaired = false;
	row.checked_ms = clock_wall_ms();
	webhook_row_say(&row, state, &check->err);
	end_with_row(check, &row, temporary ? WEBHOOK_SOON : WEBHOOK_AT_PERIOD);
}

/* The token may not administer. What was seen to work goes on doing so, but is not looked after. */
void webhook_finish_manual(struct webhook_check *check)
{
	bool relay = check->keeper->options.relay, same, stale;
	struct record_hook row;

	if (!webhook_check_row(check, &row)) {
		webhook_check_end(check, WEBHOOK_AT_PERIOD);
		return;
	}
	err_hint(&check->err,
	    "%sEnter the webhook by hand, as the page or eyes-scm webhook by-hand tells, or give "
	    "the token of someone who administers it.",
	    relay ? "" : "This token cannot see whether the webhook is there. ");
	row.checked_ms = clock_wall_ms();
	row.relay |= relay;
	same = strcmp(row.url, check->target.url) == 0 || (row.by_hand && row.url[0] == '\0');
	stale = webhook_row_is_unsure(&row) && !row.by_hand; /* it has another secret there */
	if (same && !stale && (row.by_hand || row.id[0] != '\0') &&
	    (row.state == HOOK_OK || row.state == HOOK_FAILING))
		webhook_row_say(&row, row.state, &check->err);
	else
		webhook_row_say(&row, HOOK_MANUAL, &check->err);
	end_with_row(check, &row, WEBHOOK_AT_PERIOD);
}

/* The server could not be asked, or does not take the token: nothing is known. */
void webhook_finish_unmade(struct webhook_check *check)
{
	uint64_t now = clock_monotonic_ms();
	uint64_t until = webhook_lane_wait(check->keeper, check->lane, true, now);
	struct record_hook row;

	if (check->request != NULL && until > now && until - now <= PUT_OFF_MS &&
	    err_is(&check->err, "rate_limited") && ++check->request->tries < TRIES) {
		webhook_check_end(check, WEBHOOK_AGAIN);
		return;
	}
	if (!webhook_check_row(check, &row)) {
		webhook_check_end(check, WEBHOOK_AT_PERIOD);
		return;
	}
	check->made = check->repaired = false;
	row.checked_ms = clock_wall_ms();
	if (row.state == HOOK_NEW || (row.id[0] != '\0' && webhook_row_is_unsure(&row)))
		webhook_row_say(&row, HOOK_BROKEN, &check->err);
	end_with_row(check, &row, WEBHOOK_SOON);
}
