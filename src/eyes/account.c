#include "eyes/account.h"

#include "base/clock.h"
#include "base/mem.h"
#include "eyes/eyes_call.h"
#include "eyes/eyes_fault.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH "/api/v1/auth/api-key-validation"
enum { BODY_MAX = 65536, TEXT_MAX = 1000 };

static const char *const permission_names[] = {"read", "write", "execute", "merge"};

static void permissions(const struct eyes_account *account, bool out[4])
{
	out[0] = account->read;
	out[1] = account->write;
	out[2] = account->execute;
	out[3] = account->merge;
}

bool eyes_account_full(const struct eyes_account *account)
{
	return account->read && account->write && account->execute && account->merge;
}

void eyes_account_missing(const struct eyes_account *account, char *out, size_t size)
{
	bool has[4];
	size_t used = 0;

	permissions(account, has);
	out[0] = '\0';
	for (unsigned i = 0; i < 4; i++) {
		if (has[i] || used >= size)
			continue;
		int length = snprintf(
		    out + used, size - used, "%s%s", used > 0 ? ", " : "", permission_names[i]);
		used += length > 0 ? (size_t)length : 0;
	}
}

static bool take_permissions(const struct json_at *root, struct eyes_account *out, struct err *err)
{
	bool *const has[] = {&out->read, &out->write, &out->execute, &out->merge};
	struct json_at list;

	if (!json_get_array(root, "permissions", &list, err))
		return false;
	for (size_t i = 0; i < json_array_size(list.value); i++) {
		const char *word = json_string_value(json_array_get(list.value, i));
		for (unsigned j = 0; j < 4; j++)
			if (word != NULL && strcmp(word, permission_names[j]) == 0)
				*has[j] = true;
	}
	return true;
}

static bool take_expiry(const struct json_at *root, struct eyes_account *out, struct err *err)
{
	const char *expires = "";

	if (!json_opt_string(root, "expiresAt", TEXT_MAX, &expires, err))
		return false;
	if (expires[0] == '\0' || clock_parse_rfc3339(expires, &out->expires_ms))
		return true;
	err_set(err, "json", "expiresAt: expected a time as in RFC 3339");
	err_field(err, "expiresAt");
	return false;
}

json_t *account_parse(const char *body, size_t length, struct eyes_account *out, struct err *err)
{
	json_t *document = json_parse(body, length, BODY_MAX, err);
	struct json_at root = json_root(document, "");

	*out = (struct eyes_account){.team_id = "", .user = "", .purpose = "", .created_by = ""};
	if (document == NULL)
		return NULL;
	if (json_get_string(&root, "teamId", TEXT_MAX, &out->team_id, err) &&
	    json_opt_string(&root, "user", TEXT_MAX, &out->user, err) &&
	    json_opt_string(&root, "purpose", TEXT_MAX, &out->purpose, err) &&
	    json_opt_string(&root, "createdBy", TEXT_MAX, &out->created_by, err) &&
	    take_permissions(&root, out, err) && take_expiry(&root, out, err)) {
		if (out->team_id[0] != '\0')
			return document;
		err_set(err, "json", "teamId: expected a string that is not empty");
		err_field(err, "teamId");
	}
	json_decref(document);
	return NULL;
}

struct validation {
	struct eyes *eyes;
	eyes_account_fn *fn;
	void *arg;
};

static void validated(const struct eyes_answer *answer, void *arg)
{
	struct validation *validation = arg;
	struct eyes_account account;
	struct err why = ERR_INIT, err = ERR_INIT;

	if (answer->err != NULL) {
		validation->fn(answer, NULL, validation->arg);
		return;
	}
	json_t *document = account_parse(answer->body, answer->body_length, &account, &why);
	if (document == NULL) {
		struct eyes_answer bad = *answer;
		eyes_fault_malformed(&err, eyes_base(validation->eyes), answer->status, &why);
		bad.err = &err;
		validation->fn(&bad, NULL, validation->arg);
		return;
	}
	validation->fn(answer, &account, validation->arg);
	json_decref(document);
}

struct eyes_call *eyes_validate_key(
    struct eyes *eyes, const struct secret *key, eyes_account_fn *fn, void *arg)
{
	struct validation *validation = mem_zero(sizeof(*validation));

	*validation = (struct validation){.eyes = eyes, .fn = fn, .arg = arg};
	return eyes_send_with(eyes,
	    &(struct eyes_options){.method = "GET",
	        .path = PATH,
	        .key = key,
	        .body_limit = BODY_MAX,
	        .repeatable = true},
	    validated, validation, free);
}
