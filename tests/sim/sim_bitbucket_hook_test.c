/*
 * POST .../webhooks/test?url=: the server calls the address with a ping, unsigned, and answers with
 * what it sent and got.
 */
#include "sim/sim_bitbucket_hooks.h"

#include "base/clock.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

#define PING "{\"test\": true}"
#define BODY_SHOWN 16384

struct hook_test {
	struct hook_test *next;
	struct hooks *hooks;
	struct sim_request *request; /* NULL: its connection ended */
	char *url;
	char request_id[40];
	json_t *headers;
	struct err err;
};

static void test_end(struct hook_test *test)
{
	struct hook_test **at = &test->hooks->tests;
	while (*at != test)
		at = &(*at)->next;
	*at = test->next;
	json_decref(test->headers);
	free(test->url);
	free(test);
}

static void answer(struct hook_test *test, json_t *json)
{
	struct sim_request *request = test->request;
	json_object_set_new(json, "request",
	    json_pack("{s:s,s:s,s:O,s:s}", "method", "POST", "url", test->url, "headers",
	        test->headers, "body", PING));
	test_end(test);
	if (!request) {
		json_decref(json);
		return;
	}
	request->gone = NULL;
	sim_answer_json(request, 200, json);
}

static json_t *failed(const char *message)
{
	return json_pack("{s:{s:s}}", "exception", "message", message);
}

static void on_answer(const struct http_result *result, void *arg)
{
	if (result->err) {
		answer(arg, failed(result->err->message));
		return;
	}
	json_t *headers = json_object();
	for (unsigned i = 0; i < result->head->field_count; i++) {
		json_t *value = json_string(result->head->fields[i].value);
		if (value)
			json_object_set_new(headers, result->head->fields[i].name, value);
	}
	size_t length = result->body_length < BODY_SHOWN ? result->body_length : BODY_SHOWN;
	json_t *body = json_stringn(result->body, length);
	answer(arg, json_pack("{s:{s:i,s:o,s:o}}", "response", "status", result->status, "headers",
	                headers, "body", body ? body : json_string("")));
}

static void on_refused(void *arg)
{
	struct hook_test *test = arg;
	answer(test, failed(test->err.message));
}

static void on_gone(struct sim_request *request)
{
	struct hook_test *test = request->data;
	test->request = NULL;
}

static void begin(struct sim_request *request, struct hooks *hooks, const char *url)
{
	struct hook_test *test = mem_zero(sizeof(*test));
	char agent[128];
	hook_uuid(test->request_id);
	struct http_header headers[] = {
	    {.name = "Content-Type", .value = "application/json; charset=utf-8"},
	    {.name = "User-Agent", .value = hooks_user_agent(hooks, agent)},
	    {.name = "X-Event-Key", .value = "diagnostics:ping"},
	    {.name = "X-Request-Id", .value = test->request_id}};
	struct sim_out_post post = {.url = url,
	    .headers = headers,
	    .header_count = 4,
	    .body = PING,
	    .length = sizeof(PING) - 1,
	    .timeout_ms = hooks->timeout_ms,
	    .connections = hooks->connections};
	test->hooks = hooks;
	test->request = request;
	test->url = mem_string(url);
	test->headers = json_object();
	for (unsigned i = 0; i < 4; i++)
		json_object_set_new(test->headers, headers[i].name, json_string(headers[i].value));
	test->next = hooks->tests;
	hooks->tests = test;
	request->gone = on_gone;
	request->data = test;
	if (!sim_out_post(hooks->out, &post, on_answer, test, &test->err))
		loop_defer(hooks->bb->sim->loop, on_refused, test);
}

void bitbucket_test_webhook(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	const struct bitbucket_token *token;
	const struct bitbucket_repository *repository;
	struct buf url;
	if (!bitbucket_sign_in(request, bb, &token) ||
	    !bitbucket_may_write(request, bb, token, request->body_length > 0) ||
	    !bitbucket_open_repository(request, bb, token, LEVEL_ADMIN, &repository))
		return;
	buf_init(&url, 8192);
	if (!sim_query(request, "url", 0, &url) || !url.length)
		bitbucket_error(request, bb, 400, "url", NULL, "A URL is required.");
	else if (!request->connection) /* a fault: nobody waits for the answer */
		sim_answer_json(request, 200, json_object());
	else
		begin(request, bb->hooks, url.data);
	buf_free(&url);
}

/* Their requests are over: the server has closed all connections. */
void hook_tests_free(struct hooks *hooks)
{
	while (hooks->tests)
		test_end(hooks->tests);
}
