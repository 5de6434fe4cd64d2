/*
 * The driver's calls, request by request. The HTTP client is the test itself: it keeps what was
 * asked and answers when it is told to.
 */
#include "unit/scm/scm_peer.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define JSON_404(name)                                                                             \
	"{\"errors\":[{\"message\":\"m\",\"exceptionName\":\"com.atlassian.bitbucket." name "\"}]" \
	"}"

/* ---- the completions ---- */

static void on_done(const struct scm_answer *a, void *arg)
{
	assert_ptr_equal(arg, &got);
	note(a);
}

static void on_identity(const struct scm_answer *a, const struct scm_identity *i, void *arg)
{
	(void)arg;
	note(a);
	if (i)
		snprintf(got.text, sizeof(got.text), "%s %s %u %s", i->product, i->version,
		    i->capabilities, i->abilities);
}

static void on_page(const struct scm_answer *a, const struct scm_page *p, void *arg)
{
	(void)arg;
	note(a);
	for (unsigned i = 0; p && i < p->count; i++)
		snprintf(got.text + strlen(got.text), sizeof(got.text) - strlen(got.text), "%s/%s ",
		    p->repositories[i].project, p->repositories[i].slug);
	if (p)
		snprintf(got.text + strlen(got.text), sizeof(got.text) - strlen(got.text),
		    "next %s", p->next ? p->next : "none");
}

static void on_rights(const struct scm_answer *a, const struct scm_rights *r, void *arg)
{
	(void)arg;
	note(a);
	if (r)
		snprintf(got.text, sizeof(got.text), "%s %d", r->owner, r->administers_any);
}

static void on_access(const struct scm_answer *a, const struct scm_access *c, void *arg)
{
	(void)arg;
	note(a);
	if (c)
		snprintf(got.text, sizeof(got.text), "%s/%s \"%s\" read %d admin %d archived %d",
		    c->repository.project, c->repository.slug, c->repository.name, c->read,
		    c->admin, c->repository.archived);
}

static void on_status(const struct scm_answer *a, const struct scm_status *s, void *arg)
{
	(void)arg;
	note(a);
	if (s && s->found)
		snprintf(got.text, sizeof(got.text), "%s %s",
		    s->state_known ? update_state_name(s->state) : "?", s->url);
	else if (s)
		snprintf(got.text, sizeof(got.text), "none%s%s%s", s->url, s->name, s->description);
}

static void on_found(const struct scm_answer *a, bool found, void *arg)
{
	(void)arg;
	note(a);
	snprintf(got.text, sizeof(got.text), "%d", found);
}

static const struct update update = {.commit = COMMIT,
    .key = "k",
    .name = "",
    .description = "",
    .url = "https://eyes/1",
    .ref = "",
    .state = UPDATE_CANCELLED};

static struct scm_call *set(void)
{
	return scm_bitbucket_server.set_status(
	    scm, &server, &token, "PAY", "web", &update, on_done, &got);
}

/* ---- set_status ---- */

static void test_set(void **state)
{
	struct scm_call *call = set();

	(void)state;
	assert_non_null(call);
	assert_int_equal(got.count, 0);
	assert_string_equal(sent.method, "POST");
	assert_string_equal(sent.url,
	    "https://bb.example.com/ctx/rest/api/1.0/projects/PAY/repos/web/commits/" COMMIT
	    "/builds");
	assert_non_null(strstr(sent.headers, "Authorization: Bearer t0k3n (secret)\n"));
	assert_non_null(strstr(sent.headers, "X-Atlassian-Token: no-check\n"));
	assert_non_null(strstr(sent.headers, "Content-Type: application/json\n"));
	assert_non_null(strstr(sent.headers, "Accept: application/json\n"));
	assert_string_equal(sent.body,
	    "{\"key\":\"k\",\"state\":\"CANCELLED\",\"url\":\"https://eyes/1\",\"parent\":\"k\"}");
	assert_false(sent.repeatable); /* a ghost of it could land after a newer update */
	assert_int_equal(sent.total_ms, 30000);
	answer(204, "");
	assert_int_equal(got.count, 1);
	assert_int_equal(got.outcome, SCM_OK);
	assert_true(got.trace);
}

static void test_set_old_server(void **state)
{
	(void)state;
	server.capabilities = 0;
	server.deadline_ms = 5000;
	set();
	assert_string_equal(
	    sent.url, "https://bb.example.com/ctx/rest/build-status/1.0/commits/" COMMIT);
	assert_string_equal(
	    sent.body, "{\"key\":\"k\",\"state\":\"FAILED\",\"url\":\"https://eyes/1\"}");
	assert_non_null(strstr(sent.headers, "X-Atlassian-Token: no-check\n"));
	assert_int_equal(sent.total_ms, 5000);
	answer(204, "");
	assert_int_equal(got.outcome, SCM_OK);
}

static void test_set_personal(void **state)
{
	(void)state;
	scm_bitbucket_server.set_status(
	    scm, &server, &token, "~jane", "app", &update, on_done, &got);
	assert_string_equal(sent.url,
	    "https://bb.example.com/ctx/rest/api/1.0/projects/~jane/repos/app/commits/" COMMIT
	    "/builds");
	answer_cut();
	assert_int_equal(got.outcome, SCM_TEMPORARY);
	assert_true(got.doubtful);
	assert_string_equal(got.code, "server_cut");
}

/* A 404 without words: the repository tells whether it was the commit. */
static void test_set_unclear(void **state)
{
	static const struct {
		int first;
		const char *first_body;
		int second;
		const char *second_body;
		enum scm_outcome outcome;
		enum scm_scope scope;
		const char *code;
		bool unknown_commit;
	} table[] = {
	    {404, "", 200, "{}", SCM_TEMPORARY, SCM_SCOPE_UPDATE, "commit_unknown", true},
	    {404, "<html>", 200, "{}", SCM_TEMPORARY, SCM_SCOPE_UPDATE, "commit_unknown", true},
	    {404, "{\"x\":1}", 404, JSON_404("repository.NoSuchRepositoryException"), SCM_BLOCKED,
	        SCM_SCOPE_REPOSITORY, "repo_unknown", false},
	    {404, "", 404, "", SCM_BLOCKED, SCM_SCOPE_REPOSITORY, "repo_unknown", false},
	    {404, "<html>", 404, "<html>", SCM_TEMPORARY, SCM_SCOPE_SERVER, "not_bitbucket", false},
	    {404, "", 401, "", SCM_BLOCKED, SCM_SCOPE_TOKEN, "token_refused", false},
	    {404, "", 503, "", SCM_TEMPORARY, SCM_SCOPE_SERVER, "server_5xx", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		got.count = 0;
		set();
		answer(table[i].first, table[i].first_body);
		assert_int_equal(got.count, 0);
		assert_string_equal(sent.method, "GET");
		assert_string_equal(
		    sent.url, "https://bb.example.com/ctx/rest/api/1.0/projects/PAY/repos/web");
		assert_non_null(strstr(sent.headers, "Bearer t0k3n"));
		assert_true(sent.repeatable);
		answer(table[i].second, table[i].second_body);
		assert_int_equal(got.count, 1);
		assert_int_equal(got.outcome, table[i].outcome);
		assert_int_equal(got.scope, table[i].scope);
		assert_string_equal(got.code, table[i].code);
		assert_int_equal(got.unknown_commit, table[i].unknown_commit);
		assert_false(got.doubtful);
	}
}

static void test_set_clear_404(void **state)
{
	(void)state;
	set();
	answer(404, JSON_404("commit.NoSuchCommitException"));
	assert_int_equal(got.count, 1);
	assert_true(got.unknown_commit);
	set();
	answer(404, JSON_404("project.NoSuchProjectException"));
	assert_int_equal(got.count, 2);
	assert_string_equal(got.code, "repo_unknown");
	assert_int_equal(sent_count, 2);
}

/* What is found to be wrong at once is told at a later turn, never inside the call. */
static void test_set_refused_here(void **state)
{
	struct update bad = update;

	(void)state;
	bad.commit = "main/../x";
	scm_bitbucket_server.set_status(scm, &server, &token, "PAY", "web", &bad, on_done, &got);
	assert_int_equal(got.count, 0);
	turn();
	assert_int_equal(got.count, 1);
	assert_int_equal(got.outcome, SCM_PERMANENT);
	assert_string_equal(got.code, "update_invalid");
	assert_false(got.trace);
	assert_int_equal(sent_count, 0);
}

static void test_token_unusable(void **state)
{
	static const char *const tokens[] = {"", "two words", "line\nbreak", "t\xc3\xb6ken"};

	(void)state;
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		got.count = 0;
		secret_set(&token, tokens[i], strlen(tokens[i]));
		set();
		assert_int_equal(got.count, 0);
		turn();
		assert_int_equal(got.count, 1);
		assert_int_equal(got.outcome, SCM_BLOCKED);
		assert_int_equal(got.scope, SCM_SCOPE_TOKEN);
		assert_string_equal(got.code, "token_refused");
	}
	assert_int_equal(sent_count, 0);
}

/* ---- the end of calls ---- */

static void test_cancel(void **state)
{
	struct scm_call *call = set();

	(void)state;
	scm_cancel(call);
	assert_int_equal(cancelled_count, 1);
	secret_set(&token, "", 0);
	call = set(); /* waits for its timer */
	scm_cancel(call);
	assert_int_equal(cancelled_count, 1);
	assert_int_equal(got.count, 0);
	scm_cancel(NULL);
}

static void test_free_cancels(void **state)
{
	(void)state;
	set();
	scm_free(scm);
	assert_int_equal(cancelled_count, 1);
	assert_int_equal(got.count, 0);
	scm = scm_new(loop, NULL);
}

static void on_done_free(const struct scm_answer *a, void *arg)
{
	(void)a;
	scm_cancel(*(struct scm_call **)arg); /* too late, and harmless */
	scm_free(scm);
	scm = NULL;
	got.count++;
}

static void test_free_in_completion(void **state)
{
	struct scm_call *call;

	(void)state;
	call = scm_bitbucket_server.set_status(
	    scm, &server, &token, "PAY", "web", &update, on_done_free, &call);
	answer(204, "");
	assert_int_equal(got.count, 1);
}

/* ---- identify ---- */

static void test_identify(void **state)
{
	static const struct {
		const char *version;
		int builds;
		const char *builds_body;
		int webhooks;
		const char *webhooks_body;
		const char *result; /* NULL: no identity */
	} table[] = {
	    {"9.4.0", 200, "{\"buildStatus\":[\"richBuildStatus\",\"cancelledStatus\"]}", 200,
	        "{\"application-webhooks\":[]}",
	        "Bitbucket Data Center 9.4.0 15 builds, cancelled, test results"},
	    {"7.21.0", 200, "{\"buildStatus\":[\"richBuildStatus\"]}", 404, "",
	        "Bitbucket Server 7.21.0 3 builds, test results"},
	    {"7.4.0", 404, "", 404, "<html>", "Bitbucket Server 7.4.0 1 builds, test results"},
	    {"7.3.9", 404, "", 200, "{\"application-webhooks\":[]}",
	        "Bitbucket Server 7.3.9 8 builds"},
	    {"5.1.0", 404, "", 404, "", "Bitbucket Server 5.1.0 0 builds"},
	    {"8.9.0", 401, "", 401, "", "Bitbucket Data Center 8.9.0 1 builds, test results"},
	    /* A bad moment is not remembered as an old server. */
	    {"9.4.0", 503, "", 0, NULL, NULL},
	    {"9.4.0", 200, "{\"buildStatus\":[]}", 429, "", NULL},
	};
	char body[200];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		got.count = 0;
		scm_bitbucket_server.identify(scm, &server, on_identity, NULL);
		assert_string_equal(
		    sent.url, "https://bb.example.com/ctx/rest/api/1.0/application-properties");
		assert_null(strstr(sent.headers, "Authorization"));
		snprintf(body, sizeof(body),
		    "{\"version\":\"%s\",\"buildNumber\":\"1\",\"displayName\":\"x\"}",
		    table[i].version);
		answer(200, body);
		assert_string_equal(
		    sent.url, "https://bb.example.com/ctx/rest/api/latest/build/capabilities");
		answer(table[i].builds, table[i].builds_body);
		if (table[i].webhooks) {
			assert_string_equal(sent.url,
			    "https://bb.example.com/ctx/rest/webhooks/latest/capabilities");
			answer(table[i].webhooks, table[i].webhooks_body);
		}
		assert_int_equal(got.count, 1);
		assert_int_equal(got.outcome, table[i].result ? SCM_OK : SCM_TEMPORARY);
		assert_string_equal(got.text, table[i].result ? table[i].result : "");
	}
}

static void test_identify_other(void **state)
{
	(void)state;
	scm_bitbucket_server.identify(scm, &server, on_identity, NULL);
	answer(200, "<html>Welcome</html>");
	assert_string_equal(got.code, "not_bitbucket");
	scm_bitbucket_server.identify(scm, &server, on_identity, NULL);
	answer(200, "{\"version\":\"9.12\",\"deploymentType\":\"Jira\"}");
	assert_string_equal(got.code, "not_bitbucket");
	scm_bitbucket_server.identify(scm, &server, on_identity, NULL);
	answer(404, "");
	assert_string_equal(got.code, "not_bitbucket");
}

/* ---- list ---- */

static void test_list(void **state)
{
	struct scm_list wanted = {.search = "", .limit = 50};

	(void)state;
	scm_bitbucket_server.list(scm, &server, &wanted, on_page, NULL);
	assert_string_equal(sent.url, "https://bb.example.com/ctx/rest/api/1.0/repos?limit=50");
	assert_null(strstr(sent.headers, "Authorization"));
	/* The server's own next start, never start + limit; fewer rows than asked for are no end.
	 */
	answer(200, "{\"values\":[{\"slug\":\"web\",\"project\":{\"key\":\"PAY\"}}],\"isLastPage\":"
	            "false,\"nextPageStart\":31}");
	assert_string_equal(got.text, "PAY/web next 31");

	wanted = (struct scm_list){.token = &token,
	    .search = "a b&c",
	    .administered = true,
	    .cursor = "31",
	    .limit = 100000};
	scm_bitbucket_server.list(scm, &server, &wanted, on_page, NULL);
	assert_string_equal(sent.url,
	    "https://bb.example.com/ctx/rest/api/1.0/"
	    "repos?limit=250&start=31&name=a%20b%26c&permission=REPO_ADMIN");
	assert_non_null(strstr(sent.headers, "Authorization"));
	answer(200, "{\"values\":[],\"isLastPage\":true}");
	assert_string_equal(got.text, "next none");

	scm_bitbucket_server.list(scm, &server, &wanted, on_page, NULL);
	answer(200, "{\"values\":[],\"isLastPage\":false,\"nextPageStart\":31}");
	assert_string_equal(got.code, "not_bitbucket");
	assert_string_equal(got.text, "");

	wanted.cursor = "1&permission=x";
	scm_bitbucket_server.list(scm, &server, &wanted, on_page, NULL);
	assert_false(sent.open);
	turn();
	assert_string_equal(got.code, "cursor_invalid");
}

/* ---- check_token ---- */

static void test_check_token(void **state)
{
	static const struct {
		int status;
		const char *user, *body, *text, *code;
	} table[] = {
	    {200, "jane", "{\"values\":[{\"slug\":\"web\",\"project\":{\"key\":\"PAY\"}}]}",
	        "jane 1", ""},
	    {200, "jane%20d", "{\"values\":[]}", "jane d 0", ""},
	    {200, NULL, "{\"values\":[{\"slug\":\"web\",\"project\":{\"key\":\"PAY\"}}]}", " 1",
	        ""},
	    {200, NULL, "{\"values\":[]}", "", "token_refused"},
	    {200, "anonymous", "{\"values\":[]}", "", "token_refused"},
	    {200, "jane", "{\"values\":7}", "", "not_bitbucket"},
	    {200, "jane", "<html>", "", "login_page"},
	    {401, NULL, "", "", "token_refused"},
	    {429, NULL, "", "", "rate_limited"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		scm_bitbucket_server.check_token(scm, &server, &token, on_rights, NULL);
		assert_string_equal(sent.url,
		    "https://bb.example.com/ctx/rest/api/1.0/repos?permission=REPO_ADMIN&limit=1");
		answer_as(table[i].status, table[i].user, table[i].body);
		assert_int_equal(got.count, i + 1);
		assert_string_equal(got.text, table[i].text);
		assert_string_equal(got.code, table[i].code);
	}
}

/* ---- check_repository ---- */

static void test_check_repository(void **state)
{
	static const char repository[] =
	    "{\"slug\":\"web\",\"name\":\"Web\",\"project\":{\"key\":\"PAY\"},\"archived\":true}";
	static const struct {
		int status;
		const char *user, *body, *text, *code;
	} table[] = {
	    {200, "jane", "{\"values\":[]}", "PAY/web \"Web\" read 1 admin 1 archived 1", ""},
	    {401, "jane", JSON_404("AuthorisationException"),
	        "PAY/web \"Web\" read 1 admin 0 archived 1", ""},
	    {403, "jane", JSON_404("AuthorisationException"),
	        "PAY/web \"Web\" read 1 admin 0 archived 1", ""},
	    {404, "jane", "", "PAY/web \"Web\" read 1 admin 0 archived 1", ""},
	    {401, NULL, "", "", "token_refused"},
	    {500, NULL, "", "", "server_5xx"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		/* As typed: the server's own spelling comes back. */
		scm_bitbucket_server.check_repository(
		    scm, &server, &token, "pay", "WEB", on_access, NULL);
		assert_string_equal(
		    sent.url, "https://bb.example.com/ctx/rest/api/1.0/projects/pay/repos/WEB");
		answer_as(200, "jane", repository);
		assert_string_equal(sent.url, "https://bb.example.com/ctx/rest/api/1.0/projects/"
		                              "pay/repos/WEB/webhooks?limit=1");
		answer_as(table[i].status, table[i].user, table[i].body);
		assert_int_equal(got.count, i + 1);
		assert_string_equal(got.text, table[i].text);
		assert_string_equal(got.code, table[i].code);
	}
	scm_bitbucket_server.check_repository(scm, &server, &token, "PAY", "web", on_access, NULL);
	answer(404, "");
	assert_string_equal(got.code, "repo_unknown");
	/* Given up between the two requests: what was kept is freed. */
	scm_cancel(scm_bitbucket_server.check_repository(
	    scm, &server, &token, "PAY", "web", on_access, NULL));
	struct scm_call *call = scm_bitbucket_server.check_repository(
	    scm, &server, &token, "PAY", "web", on_access, NULL);
	answer(200, repository);
	scm_cancel(call);
}

/* ---- get_status, has_commit ---- */

static void get(void)
{
	scm_bitbucket_server.get_status(
	    scm, &server, &token, "PAY", "web", COMMIT, "a/b", on_status, NULL);
}

static void test_get(void **state)
{
	static const char address[] =
	    "https://bb.example.com/ctx/rest/api/1.0/projects/PAY/repos/web/commits/" COMMIT
	    "/builds?key=a%2Fb";

	(void)state;
	get();
	assert_string_equal(sent.url, address);
	answer(200, "{\"key\":\"a/b\",\"state\":\"SUCCESSFUL\",\"url\":\"u\"}");
	assert_string_equal(got.text, "SUCCESSFUL u");
	get();
	answer(404, JSON_404("build.NoSuchBuildStatusException"));
	assert_string_equal(got.text, "none");
	assert_int_equal(got.outcome, SCM_OK);
	get();
	answer(404, "");
	assert_string_equal(
	    sent.url, "https://bb.example.com/ctx/rest/api/1.0/projects/PAY/repos/web");
	answer(200, "{}");
	assert_string_equal(got.text, "none");
	get();
	answer(404, "");
	answer(404, "");
	assert_string_equal(got.code, "repo_unknown");
	get();
	answer(404, JSON_404("commit.NoSuchCommitException"));
	assert_true(got.unknown_commit);
	get();
	answer(200, "{\"key\":\"other\",\"state\":\"SUCCESSFUL\"}");
	assert_string_equal(got.code, "not_bitbucket");
	get();
	answer_cut();
	assert_false(got.doubtful);
	assert_int_equal(got.count, 7);
}

static void test_get_old_server(void **state)
{
	static const char more[] = "{\"values\":[{\"key\":\"x\",\"state\":\"FAILED\"}],"
	                           "\"isLastPage\":false,\"nextPageStart\":%u}";
	char body[200];

	(void)state;
	server.capabilities = 0;
	get();
	assert_string_equal(sent.url,
	    "https://bb.example.com/ctx/rest/build-status/1.0/commits/" COMMIT "?limit=100");
	snprintf(body, sizeof(body), more, 40);
	answer(200, body);
	assert_string_equal(sent.url,
	    "https://bb.example.com/ctx/rest/build-status/1.0/commits/" COMMIT
	    "?limit=100&start=40");
	answer(200, "{\"values\":[{\"key\":\"a/"
	            "b\",\"state\":\"INPROGRESS\",\"url\":\"u\"}],\"isLastPage\":true}");
	assert_string_equal(got.text, "INPROGRESS u");
	get();
	answer(200, "{\"values\":[],\"isLastPage\":true}");
	assert_string_equal(got.text, "none");
	/* It ends, however long the server goes on. */
	get();
	sent_count = 0;
	for (unsigned i = 1; got.count < 3 && i < 100; i++) {
		snprintf(body, sizeof(body), more, i * 100);
		answer(200, body);
	}
	assert_int_equal(got.count, 3);
	assert_true(sent_count < 50);
}

static void test_has_commit(void **state)
{
	static const struct {
		int first;
		const char *first_body;
		int second; /* 0: the first is enough */
		enum scm_outcome outcome;
		const char *found;
	} table[] = {
	    {200, "{\"id\":\"x\"}", 0, SCM_OK, "1"},
	    {404, JSON_404("commit.NoSuchCommitException"), 0, SCM_OK, "0"},
	    {404, "", 200, SCM_OK, "0"},
	    {404, "", 404, SCM_BLOCKED, "0"},
	    {404, JSON_404("repository.NoSuchRepositoryException"), 0, SCM_BLOCKED, "0"},
	    {500, "", 0, SCM_TEMPORARY, "0"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		scm_bitbucket_server.has_commit(
		    scm, &server, &token, "PAY", "web", COMMIT, on_found, NULL);
		assert_string_equal(sent.url, "https://bb.example.com/ctx/rest/api/1.0/projects/"
		                              "PAY/repos/web/commits/" COMMIT);
		answer(table[i].first, table[i].first_body);
		if (table[i].second)
			answer(table[i].second, table[i].second == 200 ? "{}" : "");
		assert_int_equal(got.count, i + 1);
		assert_int_equal(got.outcome, table[i].outcome);
		assert_string_equal(got.text, table[i].found);
	}
	scm_bitbucket_server.has_commit(scm, &server, &token, "PAY", "web", "HEAD", on_found, NULL);
	turn();
	assert_int_equal(got.outcome, SCM_PERMANENT);
}

static void test_small_ones(void **state)
{
	char page[2048];

	(void)state;
	scm_bitbucket_server.token_page(&server, page, sizeof(page));
	assert_string_equal(
	    page, "https://bb.example.com/ctx/plugins/servlet/access-tokens/manage");
	assert_int_equal(
	    scm_bitbucket_server.state_as_sent(&server, UPDATE_CANCELLED), UPDATE_CANCELLED);
	server.capabilities = 0;
	assert_int_equal(
	    scm_bitbucket_server.state_as_sent(&server, UPDATE_CANCELLED), UPDATE_FAILED);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_set),
	    TEST(test_set_old_server),
	    TEST(test_set_personal),
	    TEST(test_set_unclear),
	    TEST(test_set_clear_404),
	    TEST(test_set_refused_here),
	    TEST(test_token_unusable),
	    TEST(test_cancel),
	    TEST(test_free_cancels),
	    TEST(test_free_in_completion),
	    TEST(test_identify),
	    TEST(test_identify_other),
	    TEST(test_list),
	    TEST(test_check_token),
	    TEST(test_check_repository),
	    TEST(test_get),
	    TEST(test_get_old_server),
	    TEST(test_has_commit),
	    TEST(test_small_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
