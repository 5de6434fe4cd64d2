/*
 * The answer to a key's validation.
 */
#include "unit/eyes/eyes_peer.h"

#include "eyes/account.h"

#define WHOLE                                                                              \
	"\"teamId\":\"t\",\"user\":\"u\",\"permissions\":[\"read\",\"write\",\"execute\"," \
	"\"merge\"]"

static void test_answers(void **state)
{
	static const struct {
		const char *body;
		bool good;
		const char *missing, *words; /* words: part of the error */
		int64_t expires_ms;
	} rows[] = {
	    {"{" WHOLE "}", true, "", NULL, 0},
	    {"{" WHOLE ",\"expiresAt\":null,\"createdBy\":\"c\",\"purpose\":\"p\",\"more\":[]}",
	        true, "", NULL, 0},
	    {"{" WHOLE ",\"expiresAt\":\"2026-01-31T13:45:30.1234567Z\"}", true, "", NULL,
	        1769867130123},
	    {"{" WHOLE ",\"expiresAt\":\"2026-01-31T14:45:30+01:00\"}", true, "", NULL,
	        1769867130000},
	    {"{\"teamId\":\"t\",\"permissions\":[\"read\",\"fly\",3]}", true,
	        "write, execute, merge", NULL, 0},
	    {"{\"teamId\":\"t\",\"permissions\":[]}", true, "read, write, execute, merge", NULL, 0},
	    {"{" WHOLE ",\"expiresAt\":\"soon\"}", false, NULL, "expiresAt: expected a time", 0},
	    {"{\"teamId\":\"\",\"permissions\":[]}", false, NULL, "teamId: expected", 0},
	    {"{\"permissions\":[]}", false, NULL, "teamId", 0},
	    {"{\"teamId\":7,\"permissions\":[]}", false, NULL, "teamId", 0},
	    {"{\"teamId\":\"t\"}", false, NULL, "permissions", 0},
	    {"[]", false, NULL, "object", 0},
	    {"<html>", false, NULL, "line 1", 0},
	    {"", false, NULL, "", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct eyes_account account;
		struct err err = ERR_INIT;
		char missing[40];
		json_t *document =
		    account_parse(rows[i].body, strlen(rows[i].body), &account, &err);
		assert_int_equal(document != NULL, rows[i].good);
		if (document == NULL) {
			assert_non_null(strstr(err.message, rows[i].words));
			continue;
		}
		eyes_account_missing(&account, missing, sizeof(missing));
		assert_string_equal(missing, rows[i].missing);
		assert_int_equal(eyes_account_full(&account), rows[i].missing[0] == '\0');
		assert_int_equal(account.expires_ms, rows[i].expires_ms);
		json_decref(document);
	}
}

static struct peer peer;
static const char *body;
static int status;
static char code[32], team[32];

static void answer(
    struct peer *self, const struct peer_asked *asked, struct evhttp_request *request)
{
	(void)self;
	(void)asked;
	peer_reply(request, status, body);
}

static void validated(const struct eyes_answer *got, const struct eyes_account *account, void *arg)
{
	(void)arg;
	assert_int_equal(got->err == NULL, account != NULL);
	snprintf(code, sizeof(code), "%s", got->err != NULL ? got->err->code : "");
	snprintf(team, sizeof(team), "%s", account != NULL ? account->team_id : "");
	loop_stop(peer.loop);
}

static void test_validation(void **state)
{
	struct secret other = {.data = (char *)"other-key", .length = 9};
	char key[64];

	(void)state;
	peer_start(&peer);
	peer.answer = answer;
	status = 200;
	body = "{" WHOLE "}";
	eyes_validate_key(peer.eyes, &other, validated, NULL);
	peer_run(&peer);
	assert_string_equal(team, "t");
	assert_string_equal(peer.asked[0].uri, "/api/v1/auth/api-key-validation");
	peer_header(&peer.asked[0], "X-Eyes-Api-Key", key, sizeof(key));
	assert_string_equal(key, "other-key");

	body = "<html>a sign-in page</html>";
	eyes_validate_key(peer.eyes, NULL, validated, NULL);
	peer_run(&peer);
	assert_string_equal(code, "eyes_malformed");
	peer_header(&peer.asked[1], "X-Eyes-Api-Key", key, sizeof(key));
	assert_string_equal(key, KEY);

	status = 401;
	eyes_validate_key(peer.eyes, NULL, validated, NULL);
	peer_run(&peer);
	assert_string_equal(code, "key_unknown");
	eyes_cancel(eyes_validate_key(peer.eyes, NULL, validated, NULL));
	peer_stop(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_answers),
	    cmocka_unit_test(test_validation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
