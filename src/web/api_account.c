/* The Eyes account. */
#include "base/clock.h"
#include "web/web.h"
#include <string.h>

void api_write_words(struct json_writer *w, const char *name, const char *words)
{
	char word[16];

	json_open_array(w, name);
	while (*words != '\0') {
		size_t length = strcspn(words, ",");

		if (length > 0 && length < sizeof(word)) {
			memcpy(word, words, length);
			word[length] = '\0';
			json_write_string(w, NULL, word);
		}
		words += length + (words[length] == ',');
	}
	json_close_array(w);
}

static void write_key(struct json_writer *w, const struct record_account *account)
{
	int32_t days = key_watch_days_left(account, clock_wall_ms());

	json_write_text(w, "team", account->team_id);
	json_write_text(w, "user", account->user);
	json_write_text(w, "purpose", account->purpose);
	api_write_words(w, "permissions", account->permissions);
	json_write_time(w, "expires", account->expires_ms);
	if (days != INT32_MAX)
		json_write_int(w, "expires_in_days", days);
}

void api_write_account(struct web_request *request, struct json_writer *w, const char *name)
{
	struct record_account account;
	int32_t days;

	json_open_object(w, name);
	if (!records_account(request->service->parts.records, &account)) {
		json_write_bool(w, "configured", false);
		json_write_text(w, "origin", web_eyes_url(request->web));
		json_write_text(w, "organization", web_organization(request->web));
		json_close_object(w);
		return;
	}
	days = key_watch_days_left(&account, clock_wall_ms());
	json_write_bool(w, "configured", true);
	json_write_text(w, "origin", account.origin);
	json_write_text(w, "organization", web_organization(request->web));
	write_key(w, &account);
	json_write_time(w, "checked", account.checked_ms);
	json_write_bool(w, "refused", account.refused);
	if (account.refused)
		json_write_string(w, "warning", "Eyes does not take this key any more");
	else if (days <= KEY_WATCH_WARN_DAYS)
		json_write_string(
		    w, "warning", days < 0 ? "this key has expired" : "this key expires soon");
	json_close_object(w);
}

static void reply_account(struct web_request *request)
{
	struct json_writer w;
	struct buf body;

	buf_init(&body, 64 * 1024);
	json_writer_init(&w, &body);
	api_write_account(request, &w, NULL);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

void api_account_get(struct web_request *request)
{
	reply_account(request);
}

static void account_set(const struct service_result *result, void *arg)
{
	struct web_request *request = arg;

	if (result->fault == SERVICE_OK)
		reply_account(request);
	else
		web_reply_result(request, result);
}

void api_account_put(struct web_request *request)
{
	struct json_at root = json_root(request->body, "");
	struct secret key = {0};

	if (!api_read_secret(request, &root, "key", true, &key))
		return;
	service_set_account(request->service, request->who, &key, account_set, request);
	secret_free(&key);
}

/* ---- a key that is only looked at ---- */

static void key_checked(
    const struct service_result *result, const struct eyes_account *account, void *arg)
{
	struct web_request *request = arg;
	struct record_account stored, given;
	struct json_writer w;
	struct buf body;

	if (account == NULL) {
		web_reply_result(request, result);
		return;
	}
	buf_init(&body, 64 * 1024);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	given = (struct record_account){.team_id = account->team_id,
	    .user = account->user,
	    .purpose = account->purpose,
	    .permissions = "read,write,execute,merge", /* another key is refused */
	    .expires_ms = account->expires_ms};
	write_key(&w, &given);
	json_write_bool(&w, "other_team",
	    records_account(request->service->parts.records, &stored) &&
	        strcmp(stored.team_id, account->team_id) != 0);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

void api_account_check(struct web_request *request)
{
	struct json_at root = json_root(request->body, "");
	struct secret key = {0};

	if (!api_read_secret(request, &root, "key", true, &key))
		return;
	service_check_key(request->service, &key, key_checked, request);
	secret_free(&key);
}
