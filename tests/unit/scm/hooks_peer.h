/*
 * The webhook calls of the driver over the HTTP client of scm_peer.h; for test_bitbucket_hooks.c
 * and test_bitbucket_hooks_write.c.
 */
#ifndef TESTS_UNIT_HOOKS_PEER_H
#define TESTS_UNIT_HOOKS_PEER_H

#include "unit/scm/scm_peer.h"

#include "scm/scm_call.h"

#define HOOKS "https://bb.example.com/ctx/rest/api/1.0/projects/PAY/repos/web/webhooks"
#define REPOSITORY "https://bb.example.com/ctx/rest/api/1.0/projects/PAY/repos/web"
#define CAPABILITIES "https://bb.example.com/ctx/rest/webhooks/latest/capabilities"
#define KNOWN                                                                             \
	"{\"application-webhooks\":[\"repo:refs_changed\",\"pr:opened\",\"pr:modified\"," \
	"\"pr:from_ref_updated\",\"mirror:repo_synchronized\"]}"
#define EXCEPTION(name) \
	"{\"errors\":[{\"message\":\"m\",\"exceptionName\":\"com.atlassian." name "\"}]}"
#define GONE EXCEPTION("bitbucket.repository.NoSuchRepositoryException")
#define FORBIDDEN EXCEPTION("bitbucket.AuthorisationException")
#define ALL "\"repo:refs_changed\",\"pr:opened\",\"pr:modified\",\"pr:from_ref_updated\""
#define OURS(more)                                                                                \
	"{\"id\":7,\"name\":\"eyes-scm a1\",\"url\":\"https://e/x?instance=a1\",\"active\":true," \
	"\"events\":[" ALL "],\"configuration\":{\"secret\":\"s3cret\"}" more "}"
#define STATISTICS                                                                          \
	"{\"counts\":{\"errors\":0},\"lastFailure\":{\"finish\":1700000000123,\"result\":{" \
	"\"outcome\":\"FAILURE\",\"description\":\"404\"}}}"

static const char *const events[] = {
    "repo:refs_changed", "pr:opened", "pr:modified", "pr:from_ref_updated"};
static struct secret hook_secret = {.data = (char *)"s3cret", .length = 6};
static struct scm_hook_want want;

static inline int begin(void **state)
{
	want = (struct scm_hook_want){.id = "",
	    .name = "eyes-scm a1",
	    .url = "https://e/x?instance=a1",
	    .secret = &hook_secret,
	    .events = events,
	    .event_count = 4};
	return set_up(state);
}

static inline void on_hooks(const struct scm_answer *a, const struct scm_hooks *h, void *arg)
{
	assert_ptr_equal(arg, &got);
	note(a);
	assert_int_equal(h != NULL, a->outcome == SCM_OK);
	for (unsigned i = 0; h && i < h->count; i++)
		snprintf(got.text + strlen(got.text), sizeof(got.text) - strlen(got.text),
		    "%s '%s' %s differs %u last %d %d '%s' %lld\n", h->list[i].id, h->list[i].name,
		    h->list[i].url, h->list[i].differs, h->list[i].delivery.outcome,
		    h->list[i].delivery.status, h->list[i].delivery.words,
		    (long long)h->list[i].delivery.ended_ms);
	if (h)
		snprintf(got.text + strlen(got.text), sizeof(got.text) - strlen(got.text), "[%s]",
		    h->events);
}

static inline void on_hook(const struct scm_answer *a, const char *id, void *arg)
{
	(void)arg;
	note(a);
	assert_int_equal(id != NULL, a->outcome == SCM_OK);
	snprintf(got.text, sizeof(got.text), "%s", id ? id : "");
}

static inline void on_deleted(const struct scm_answer *a, void *arg)
{
	(void)arg;
	note(a);
}

static inline void on_delivery(const struct scm_answer *a, const struct scm_delivery *d, void *arg)
{
	(void)arg;
	note(a);
	assert_int_equal(d != NULL, a->outcome == SCM_OK);
	if (d)
		snprintf(got.text, sizeof(got.text), "%d %d '%s'", d->outcome, d->status, d->words);
}

/* What the server knows is asked anew: its answer is part of most tests. */
static inline void forget_known(void)
{
	memset(scm->known, 0, sizeof(scm->known));
}

static inline struct scm_call *list_again(void)
{
	got.count = 0;
	return scm_bitbucket_server.list_hooks(
	    scm, &server, &token, "PAY", "web", &want, on_hooks, &got);
}

static inline struct scm_call *list(void)
{
	forget_known();
	return list_again();
}

static inline struct scm_call *put_again(void)
{
	got.count = 0;
	return scm_bitbucket_server.put_hook(
	    scm, &server, &token, "PAY", "web", &want, on_hook, &got);
}

static inline struct scm_call *put(void)
{
	forget_known();
	return put_again();
}

static inline struct scm_call *delete (const char *id)
{
	got.count = 0;
	return scm_bitbucket_server.delete_hook(
	    scm, &server, &token, "PAY", "web", id, on_deleted, &got);
}

static inline struct scm_call *test(void)
{
	got.count = 0;
	return scm_bitbucket_server.test_hook(
	    scm, &server, &token, "PAY", "web", &want, on_delivery, &got);
}

static inline void call_of(unsigned kind, const char *id)
{
	if (kind == 0)
		list();
	else if (kind == 1)
		put();
	else if (kind == 2)
		delete (id);
	else
		test();
}

static inline void is_read(const char *url)
{
	assert_string_equal(sent.method, "GET");
	assert_string_equal(sent.url, url);
	assert_true(sent.repeatable);
	assert_non_null(strstr(sent.headers, "Authorization: Bearer t0k3n (secret)\n"));
}

static inline void is_write(const char *method, const char *url)
{
	assert_string_equal(sent.method, method);
	assert_string_equal(sent.url, url);
	assert_false(sent.repeatable);
	assert_non_null(strstr(sent.headers, "X-Atlassian-Token: no-check\n"));
	assert_non_null(strstr(sent.headers, "Authorization: Bearer t0k3n (secret)\n"));
}

static inline void ended(enum scm_outcome outcome, enum scm_scope scope, const char *code)
{
	assert_int_equal(got.count, 1);
	assert_string_equal(got.code, code);
	assert_int_equal(got.outcome, outcome);
	assert_int_equal(got.scope, scope);
	assert_null(strstr(got.message, "s3cret"));
}

#endif
