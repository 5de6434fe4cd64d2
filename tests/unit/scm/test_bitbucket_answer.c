/* What each kind of answer means: every error shape that Bitbucket, a proxy or the network has
 * shown. */
#include "scm/bitbucket_answer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define EXCEPTION(name, message)                                \
	"{\"errors\":[{\"context\":null,\"message\":\"" message \
	"\",\"exceptionName\":\"com.atlassian.bitbucket." name "\"}]}"
#define HTML "<!DOCTYPE html>\n<html><body>Sign in</body></html>"

enum about { WRITE, READ, LIST, IDENTIFY };

static struct bitbucket_asked asked_of(enum about about)
{
	struct bitbucket_asked asked = {
	    .host = "bb.example.com", .what = "set statuses in", .now_ms = 784111777000};

	if (about == WRITE || about == READ) {
		asked.project = "PAY";
		asked.slug = "web";
		asked.commit = COMMIT;
	}
	asked.write = about == WRITE;
	asked.identify = about == IDENTIFY;
	return asked;
}

struct answer_case {
	enum about about;
	int status;
	const char *field, *value; /* one header */
	const char *body;
	enum scm_outcome outcome;
	enum scm_scope scope;
	const char *code; /* NULL when OK */
	bool doubtful, unknown_commit, limited, unclear;
	int64_t retry_ms;
	const char *words; /* somewhere in message, hop or hint */
};

static void check(const struct answer_case *c, size_t number)
{
	struct bitbucket_asked asked = asked_of(c->about);
	struct http_head head = {.status = c->status};
	struct http_result result = {.head = &head,
	    .status = c->status,
	    .body = c->body ? c->body : "",
	    .body_length = c->body ? strlen(c->body) : 0,
	    .sent = true};
	struct bitbucket_answer answer;
	char all[1200];

	if (c->field)
		head.fields[head.field_count++] = (struct http_field){c->field, c->value};
	bitbucket_answer(&asked, &result, &answer);
	print_message(
	    "case %zu: %d %s\n", number, c->status, answer.scm.err ? answer.err.message : "ok");
	assert_int_equal(answer.scm.outcome, c->outcome);
	assert_int_equal(answer.scm.scope, c->scope);
	assert_int_equal(answer.scm.status, c->status);
	assert_int_equal(answer.scm.doubtful, c->doubtful);
	assert_int_equal(answer.scm.unknown_commit, c->unknown_commit);
	assert_int_equal(answer.scm.rate_limited, c->limited);
	assert_int_equal(answer.unclear, c->unclear);
	assert_int_equal(answer.scm.retry_after_ms, c->retry_ms ? c->retry_ms : -1);
	if (!c->code) {
		assert_null(answer.scm.err);
		return;
	}
	assert_ptr_equal(answer.scm.err, &answer.err);
	assert_string_equal(answer.err.code, c->code);
	assert_true(answer.err.message[0] != '\0' && answer.err.hop[0] != '\0');
	snprintf(
	    all, sizeof(all), "%s | %s | %s", answer.err.message, answer.err.hop, answer.err.hint);
	if (c->words && !strstr(all, c->words))
		fail_msg("\"%s\" is not in \"%s\"", c->words, all);
}

/* clang-format off: one case a line reads best */
static const struct answer_case cases[] = {
    /* success is 204 for a write, 200 with JSON for a read, nothing else */
    {.about = WRITE, .status = 204, .outcome = SCM_OK},
    {.about = READ, .status = 200, .body = " {\"x\":1}", .outcome = SCM_OK},
    {.about = WRITE,
        .status = 200,
        .body = HTML,
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "login_page",
        .doubtful = true,
        .words = "A page came from bb.example.com"},
    {.about = WRITE,
        .status = 200,
        .field = "Content-Type",
        .value = "text/html; charset=utf-8",
        .body = "hello",
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "login_page",
        .doubtful = true,
        .words = "HTTP 200, text/html"},
    {.about = WRITE,
        .status = 200,
        .body = "{}",
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "not_bitbucket",
        .doubtful = true,
        .words = "HTTP 200"},
    {.about = WRITE,
        .status = 201,
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "not_bitbucket",
        .doubtful = true},
    {.about = READ,
        .status = 200,
        .body = "\xef\xbb\xbf<html>",
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "login_page"},
    {.about = READ,
        .status = 200,
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "not_bitbucket"},
    {.about = READ,
        .status = 204,
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "not_bitbucket"},
    {.about = IDENTIFY,
        .status = 200,
        .body = HTML,
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "not_bitbucket",
        .words = "is not a Bitbucket server"},
    {.about = IDENTIFY,
        .status = 404,
        .body = HTML,
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "not_bitbucket",
        .words = "lives under a path"},
    {.about = IDENTIFY,
        .status = 401,
        .body = HTML,
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "login_page"},
    /* elsewhere: only the host of where it points to is told */
    {.about = WRITE,
        .status = 302,
        .field = "Location",
        .value = "https://sso.example.com/login?ticket=s3cret",
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "login_page",
        .words = "HTTP 302 to sso.example.com"},
    {.about = READ,
        .status = 303,
        .field = "Location",
        .value = "/login?x",
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "login_page",
        .words = "to /login |"},
    {.about = READ,
        .status = 307,
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "login_page"},
    {.about = READ,
        .status = 511,
        .body = HTML,
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "login_page"},
    /* 401: who is signed in decides */
    {.about = WRITE,
        .status = 401,
        .outcome = SCM_BLOCKED,
        .scope = SCM_SCOPE_TOKEN,
        .code = "token_refused",
        .words = "bb.example.com refused this token"},
    {.about = WRITE,
        .status = 401,
        .field = "X-AUSERNAME",
        .value = "anonymous",
        .body = EXCEPTION("AuthorisationException", "You are not permitted"),
        .outcome = SCM_BLOCKED,
        .scope = SCM_SCOPE_TOKEN,
        .code = "token_refused",
        .words = "(You are not permitted)"},
    {.about = WRITE,
        .status = 401,
        .field = "x-ausername",
        .value = "jane%40example.com",
        .body =
            EXCEPTION("AuthorisationException", "You are not permitted to access this resource"),
        .outcome = SCM_BLOCKED,
        .scope = SCM_SCOPE_REPOSITORY,
        .code = "token_rights",
        .words = "jane@example.com may not set statuses in PAY/web (You are not permitted to "
                 "access this resource)"},
    {.about = WRITE,
        .status = 401,
        .field = "X-AUSERNAME",
        .value = "j%0a%1b%5b2Jane",
        .outcome = SCM_BLOCKED,
        .scope = SCM_SCOPE_REPOSITORY,
        .code = "token_rights",
        .words = "j  [2Jane may not"},
    {.about = WRITE,
        .status = 401,
        .field = "X-AUSERNAME",
        .value = "100%",
        .outcome = SCM_BLOCKED,
        .scope = SCM_SCOPE_REPOSITORY,
        .code = "token_rights",
        .words = "100% may not"},
    {.about = WRITE,
        .status = 401,
        .body = EXCEPTION("AuthorisationException", "x"),
        .outcome = SCM_BLOCKED,
        .scope = SCM_SCOPE_REPOSITORY,
        .code = "token_rights",
        .words = "This token may not"},
    {.about = WRITE,
        .status = 401,
        .body =
            EXCEPTION("auth.IncorrectPasswordAuthenticationException", "Authentication failed."),
        .outcome = SCM_BLOCKED,
        .scope = SCM_SCOPE_TOKEN,
        .code = "token_refused",
        .words = "(Authentication failed.)"},
    {.about = WRITE,
        .status = 401,
        .body = EXCEPTION("auth.AuthenticationRequiredException", "x"),
        .outcome = SCM_BLOCKED,
        .scope = SCM_SCOPE_TOKEN,
        .code = "token_refused"},
    {.about = WRITE,
        .status = 401,
        .field = "X-AUSERNAME",
        .value = "jane",
        .body = EXCEPTION("auth.NoAccessAuthenticationException", "x"),
        .outcome = SCM_BLOCKED,
        .scope = SCM_SCOPE_TOKEN,
        .code = "token_refused"},
    {.about = LIST,
        .status = 401,
        .field = "X-AUSERNAME",
        .value = "jane",
        .outcome = SCM_BLOCKED,
        .scope = SCM_SCOPE_TOKEN,
        .code = "token_rights",
        .words = "in bb.example.com"},
    /* 403 */
    {.about = WRITE,
        .status = 403,
        .body = "XSRF check failed",
        .outcome = SCM_BLOCKED,
        .scope = SCM_SCOPE_TOKEN,
        .code = "token_refused",
        .words = "XSRF check failed"},
    {.about = WRITE,
        .status = 403,
        .body = EXCEPTION("LicenseLimit", "The licence is full"),
        .outcome = SCM_BLOCKED,
        .scope = SCM_SCOPE_TOKEN,
        .code = "token_refused",
        .words = "(The licence is full)"},
    {.about = WRITE,
        .status = 403,
        .body = HTML,
        .outcome = SCM_BLOCKED,
        .scope = SCM_SCOPE_TOKEN,
        .code = "token_refused",
        .words = "may be a proxy's"},
    {.about = WRITE,
        .status = 403,
        .body = EXCEPTION("AuthorisationException", "no"),
        .outcome = SCM_BLOCKED,
        .scope = SCM_SCOPE_REPOSITORY,
        .code = "token_rights"},
    /* 404: what is missing? */
    {.about = WRITE,
        .status = 404,
        .body = EXCEPTION("commit.NoSuchCommitException", "Commit does not exist"),
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_UPDATE,
        .code = "commit_unknown",
        .unknown_commit = true,
        .words = "commit 0123456789ab of PAY/web"},
    {.about = WRITE,
        .status = 404,
        .body =
            EXCEPTION("repository.NoSuchRepositoryException", "Repository PAY/web does not exist."),
        .outcome = SCM_BLOCKED,
        .scope = SCM_SCOPE_REPOSITORY,
        .code = "repo_unknown",
        .words = "PAY/web is not visible to this token"},
    {.about = WRITE,
        .status = 404,
        .body = EXCEPTION("project.NoSuchProjectException", "x"),
        .outcome = SCM_BLOCKED,
        .scope = SCM_SCOPE_REPOSITORY,
        .code = "repo_unknown"},
    {.about = WRITE,
        .status = 404,
        .outcome = SCM_BLOCKED,
        .scope = SCM_SCOPE_REPOSITORY,
        .code = "repo_unknown",
        .unclear = true},
    {.about = WRITE,
        .status = 404,
        .body = "{\"status\":404}",
        .outcome = SCM_BLOCKED,
        .scope = SCM_SCOPE_REPOSITORY,
        .code = "repo_unknown",
        .unclear = true},
    {.about = WRITE,
        .status = 404,
        .body = HTML,
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "not_bitbucket",
        .unclear = true},
    {.about = LIST,
        .status = 404,
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "not_bitbucket"},
    /* never going to work */
    {.about = WRITE,
        .status = 400,
        .body = "{\"errors\":[{\"context\":\"url\",\"message\":\"url is too "
                "long\"},{\"message\":\"key, too\"}]}",
        .outcome = SCM_PERMANENT,
        .scope = SCM_SCOPE_UPDATE,
        .code = "scm_refused",
        .words = "url is too long; key, too"},
    {.about = WRITE,
        .status = 405,
        .outcome = SCM_PERMANENT,
        .scope = SCM_SCOPE_UPDATE,
        .code = "scm_refused"},
    {.about = WRITE,
        .status = 409,
        .outcome = SCM_PERMANENT,
        .scope = SCM_SCOPE_UPDATE,
        .code = "scm_refused"},
    {.about = WRITE,
        .status = 413,
        .body = HTML,
        .outcome = SCM_PERMANENT,
        .scope = SCM_SCOPE_UPDATE,
        .code = "scm_refused",
        .words = "proxy"},
    {.about = WRITE,
        .status = 422,
        .outcome = SCM_PERMANENT,
        .scope = SCM_SCOPE_UPDATE,
        .code = "scm_refused"},
    {.about = WRITE,
        .status = 501,
        .outcome = SCM_PERMANENT,
        .scope = SCM_SCOPE_UPDATE,
        .code = "scm_refused"},
    /* later */
    {.about = WRITE,
        .status = 429,
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_TOKEN,
        .code = "rate_limited",
        .limited = true,
        .words = "goes on by itself"},
    {.about = WRITE,
        .status = 429,
        .field = "Retry-After",
        .value = "7",
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_TOKEN,
        .code = "rate_limited",
        .limited = true,
        .retry_ms = 7000,
        .words = "goes on in 7 s"},
    {.about = WRITE,
        .status = 429,
        .field = "Retry-After",
        .value = "Sun, 06 Nov 1994 08:49:47 GMT",
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_TOKEN,
        .code = "rate_limited",
        .limited = true,
        .retry_ms = 10000},
    {.about = WRITE,
        .status = 429,
        .field = "Retry-After",
        .value = "soon",
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_TOKEN,
        .code = "rate_limited",
        .limited = true},
    {.about = WRITE,
        .status = 500,
        .body = EXCEPTION("Oops", "A database error"),
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_UPDATE,
        .code = "server_5xx",
        .words = "(A database error)"},
    {.about = WRITE,
        .status = 502,
        .body = HTML,
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "server_5xx",
        .doubtful = true},
    {.about = WRITE,
        .status = 503,
        .field = "Retry-After",
        .value = "30",
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "server_5xx",
        .retry_ms = 30000,
        .words = "nothing is lost"},
    {.about = WRITE,
        .status = 504,
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "server_5xx",
        .doubtful = true},
    /* what is not in the queue is over */
    {.about = READ,
        .status = 504,
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "server_5xx",
        .words = "Try again; if it keeps failing, look at the load"},
    {.about = READ,
        .status = 429,
        .field = "Retry-After",
        .value = "7",
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_TOKEN,
        .code = "rate_limited",
        .limited = true,
        .retry_ms = 7000,
        .words = "Try again in 7 s"},
    {.about = WRITE,
        .status = 407,
        .outcome = SCM_TEMPORARY,
        .scope = SCM_SCOPE_SERVER,
        .code = "proxy_auth"},
};
/* clang-format on */

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(&cases[i], i);
}

static void test_no_ticket_in_words(void **state)
{
	struct bitbucket_asked asked = asked_of(READ);
	struct http_head head = {.status = 302,
	    .field_count = 1,
	    .fields = {{"Location", "https://sso.example.com?ticket=s3cret"}}};
	struct http_result result = {.head = &head, .status = 302, .body = ""};
	struct bitbucket_answer answer;

	(void)state;
	bitbucket_answer(&asked, &result, &answer);
	assert_null(strstr(answer.err.hop, "s3cret"));
	assert_null(strstr(answer.err.message, "s3cret"));
}

static void test_network(void **state)
{
	static const struct {
		const char *code, *hop, *message;
		bool sent;
		const char *result, *result_message;
		bool doubtful;
	} table[] = {
	    {"dns_failed", "DNS",
	        "the name bb.example.com was not resolved: Name or service not known", false,
	        "server_dns", "The name bb.example.com was not resolved: Name or service not known",
	        false},
	    {"connect_refused", "TCP 443", "192.0.2.1:443 refused the connection", false,
	        "server_refused", "192.0.2.1:443 refused the connection", false},
	    {"connect_timeout", "TCP 443", "192.0.2.1:443 did not answer within 10 s", false,
	        "server_timeout", NULL, false},
	    {"deadline", "HTTP", "the request did not finish", true, "server_timeout",
	        "The request did not finish", true},
	    {"http_timeout", "HTTP", "x", true, "server_timeout", NULL, true},
	    {"http_cut", "HTTP", "x", true, "server_cut", NULL, true},
	    {"http_malformed", "HTTP", "x", true, "not_bitbucket", NULL, true},
	    {"tls_untrusted", "TLS", "the certificate of bb.example.com is not trusted: x", false,
	        "tls_untrusted", NULL, false},
	    {"tls_name", "TLS", "x", false, "tls_name", NULL, false},
	    {"tls_expired", "TLS", "x", false, "tls_expired", NULL, false},
	    {"tls_failed", "TLS", "x", false, "tls_failed", NULL, false},
	    {"proxy_auth", "Proxy", "x", false, "proxy_auth", NULL, false},
	    {"proxy_refused", "Proxy", "x", false, "proxy_refused", NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct bitbucket_asked asked = asked_of(WRITE);
		struct err err = ERR_INIT;
		struct http_result result = {.err = &err, .sent = table[i].sent, .body = ""};
		struct bitbucket_answer answer;
		err_set(&err, table[i].code, "%s", table[i].message);
		err_hop(&err, "%s", table[i].hop);
		err_hint(&err, "look there");
		bitbucket_answer(&asked, &result, &answer);
		assert_int_equal(answer.scm.outcome, SCM_TEMPORARY);
		assert_int_equal(answer.scm.scope, SCM_SCOPE_SERVER);
		assert_int_equal(answer.scm.status, 0);
		assert_int_equal(answer.scm.doubtful, table[i].doubtful);
		assert_string_equal(answer.err.code, table[i].result);
		assert_string_equal(answer.err.hop, table[i].hop);
		if (table[i].result_message)
			assert_string_equal(answer.err.message, table[i].result_message);
		assert_int_equal(answer.err.hint[strlen(answer.err.hint) - 1], '.');
		/* A read is never doubtful. */
		asked = asked_of(READ);
		bitbucket_answer(&asked, &result, &answer);
		assert_false(answer.scm.doubtful);
	}
}

static void test_user(void **state)
{
	static const struct {
		const char *header, *user;
	} table[] = {
	    {NULL, ""},
	    {"", ""},
	    {"anonymous", ""},
	    {"jane", "jane"},
	    {"J%C3%A9r%C3%B4me", "J\xc3\xa9r\xc3\xb4me"},
	    {"%00x", "%00x"},
	    {"\xff", "?"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct http_head head = {.field_count = table[i].header ? 1 : 0,
		    .fields = {{"X-AUSERNAME", table[i].header}}};
		struct http_result result = {.head = &head, .status = 200};
		char user[BITBUCKET_USER];
		bitbucket_user(&result, user, sizeof(user));
		assert_string_equal(user, table[i].user);
	}
}

/* However long the other side's words are, the error keeps its bounds and its UTF-8. */
static void test_long_words(void **state)
{
	static char body[9000];
	struct bitbucket_asked asked = asked_of(WRITE);
	struct http_head head = {.status = 400};
	struct http_result result = {.head = &head, .status = 400, .body = body};
	struct bitbucket_answer answer;
	size_t used;

	(void)state;
	strcpy(body, "{\"errors\":[{\"message\":\"x");
	used = strlen(body);
	for (int i = 0; i < 2000; i++, used += 2)
		memcpy(body + used, "\xc3\xa9", 2);
	strcpy(body + used, "\"}]}");
	result.body_length = strlen(body);
	bitbucket_answer(&asked, &result, &answer);
	assert_int_equal(answer.scm.outcome, SCM_PERMANENT);
	assert_true(strlen(answer.err.message) > 300);
	assert_int_equal((unsigned char)answer.err.message[strlen(answer.err.message) - 1], 0xa9);
	head.status = result.status = 500;
	bitbucket_answer(&asked, &result, &answer);
	assert_int_equal(answer.err.message[strlen(answer.err.message) - 1], ')');
}

/* A server that repeats the token in its words does not bring it into the log. */
static void test_the_token_is_not_repeated(void **state)
{
	static const char token[] = "MDM0MjM5NDc2MDxxOq5canary";
	static const int statuses[] = {400, 401, 403, 404, 409, 500, 503};
	struct bitbucket_asked asked = asked_of(WRITE);
	struct bitbucket_answer answer;
	char body[1000], filler[500], all[1200];

	(void)state;
	asked.token = token;
	asked.token_length = strlen(token);
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		for (size_t length = 0; length < 420; length += length < 340 ? 170 : 1) {
			struct http_head head = {.status = statuses[i],
			    .field_count = 1,
			    .fields = {{"x-ausername", token}}};
			struct http_result result = {
			    .head = &head, .status = statuses[i], .body = body, .sent = true};

			memset(filler, 'x', length);
			filler[length] = '\0';
			snprintf(body, sizeof(body),
			    "{\"errors\":[{\"message\":\"%s%s is wrong\"},{\"message\":\"again "
			    "%s\"}]}",
			    filler, token, token);
			result.body_length = strlen(body);
			bitbucket_answer(&asked, &result, &answer);
			snprintf(all, sizeof(all), "%s|%s|%s", answer.err.message, answer.err.hop,
			    answer.err.hint);
			if (strstr(all, "MDM0MjM5") != NULL)
				fail_msg("%d, %zu: %s", statuses[i], length, all);
			if (statuses[i] == 400 && length == 0)
				assert_non_null(strstr(all, "*** is wrong; again ***"));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_answers),
	    cmocka_unit_test(test_no_ticket_in_words),
	    cmocka_unit_test(test_network),
	    cmocka_unit_test(test_user),
	    cmocka_unit_test(test_long_words),
	    cmocka_unit_test(test_the_token_is_not_repeated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
