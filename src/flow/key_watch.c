#include "flow/key_watch.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS (24ll * 3600 * 1000)
#define RETRY_MS (5ull * 60 * 1000)

struct key_watch {
	struct loop *loop;
	struct eyes *eyes;
	struct records *records;
	struct bus *bus;
	struct eyes_call *call;
	struct loop_timer timer;
};

int32_t key_watch_days_left(const struct record_account *account, int64_t now_ms)
{
	int64_t left = account->expires_ms - now_ms;

	if (account->expires_ms == 0 || left / DAY_MS > INT32_MAX)
		return INT32_MAX;
	return (int32_t)(left >= 0 ? left / DAY_MS : -((-left + DAY_MS - 1) / DAY_MS));
}

static void warn_of_expiry(const struct record_account *account)
{
	int32_t days = key_watch_days_left(account, clock_wall_ms());
	char expires[CLOCK_TEXT];

	if (days > KEY_WATCH_WARN_DAYS)
		return;
	clock_rfc3339(expires, account->expires_ms, false);
	log_warn("key",
	    days < 0 ? "the Eyes API key has expired: make a new one in Eyes and run eyes-scm "
	               "account set"
	             : "the Eyes API key expires soon: make a new one in Eyes and run eyes-scm "
	               "account set",
	    log_str("expires", expires), log_int("days", days));
}

static void store(struct key_watch *watch, struct record_account *account)
{
	struct err err = ERR_INIT;

	if (!records_set_account(watch->records, account, NULL, &err))
		log_error("key", "the account cannot be stored", log_err(&err));
	bus_publish(watch->bus, BUS_ACCOUNT, 0);
}

static void checked(const struct eyes_answer *answer, const struct eyes_account *account, void *arg)
{
	struct key_watch *watch = arg;
	struct record_account record;
	char permissions[40];

	watch->call = NULL;
	loop_timer_set(
	    &watch->timer, account != NULL || answer->refused ? (uint64_t)DAY_MS : RETRY_MS);
	if (!records_account(watch->records, &record))
		return;
	if (account == NULL) {
		if (!answer->refused)
			return; /* the poller tells that Eyes cannot be reached */
		log_error("key",
		    "Eyes does not take the API key any more: set a new one with eyes-scm account "
		    "set",
		    log_err(answer->err));
		record.refused = true;
		store(watch, &record);
		return;
	}
	snprintf(permissions, sizeof(permissions), "%s%s%s%s", account->read ? "read," : "",
	    account->write ? "write," : "", account->execute ? "execute," : "",
	    account->merge ? "merge," : "");
	permissions[permissions[0] != '\0' ? strlen(permissions) - 1 : 0] = '\0';
	record.team_id = account->team_id;
	record.user = account->user;
	record.purpose = account->purpose;
	record.permissions = permissions;
	record.expires_ms = account->expires_ms;
	record.checked_ms = clock_wall_ms();
	record.refused = false;
	store(watch, &record);
	warn_of_expiry(&record);
}

static void check(void *arg)
{
	struct key_watch *watch = arg;

	if (watch->call != NULL || !eyes_has_key(watch->eyes))
		return;
	watch->call = eyes_validate_key(watch->eyes, NULL, checked, watch);
}

struct key_watch *key_watch_new(
    struct loop *loop, struct eyes *eyes, struct records *records, struct bus *bus)
{
	struct key_watch *watch = mem_zero(sizeof(*watch));

	watch->loop = loop;
	watch->eyes = eyes;
	watch->records = records;
	watch->bus = bus;
	loop_timer_init(&watch->timer, loop, check, watch);
	return watch;
}

void key_watch_free(struct key_watch *watch)
{
	if (watch == NULL)
		return;
	loop_timer_cancel(&watch->timer);
	if (watch->call != NULL)
		eyes_cancel(watch->call);
	free(watch);
}

void key_watch_check(struct key_watch *watch)
{
	if (watch == NULL)
		return;
	if (watch->call != NULL)
		eyes_cancel(watch->call); /* its answer may be about another key */
	watch->call = NULL;
	loop_timer_set(&watch->timer, 0);
}
