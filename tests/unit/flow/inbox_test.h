/*
 * The relay's entry without HTTP, with repositories that may use it, one that is disabled and one
 * whose events go straight to Eyes; for test_inbox.c and test_inbox_learning.c.
 */
#ifndef UNIT_INBOX_TEST_H
#define UNIT_INBOX_TEST_H

#include "unit/flow/flow_test.h"

#include "base/codec.h"
#include "flow/inbox.h"

#define BODY "{\"eventKey\":\"repo:refs_changed\"}"
#define GITHUB_SECRET "It's a Secret to Everybody"

static struct flow flow;
static struct hooks *hooks;
static struct events *events;
static struct places *places;
static struct inbox *inbox;
static uint32_t server, web, off, direct;
static struct secret github = {.data = (char *)(uintptr_t)GITHUB_SECRET, .length = 26};

/* ---- the world ---- */

static inline void open_events(uint64_t limit)
{
	struct events_options options = {
	    .ttl_ms = 3600 * 1000, .limit = limit, .limit_bytes = 1 << 20, .remember = 1000};

	events_close(events);
	events = events_open(flow.store.db, &options, &flow.store.err);
	assert_non_null(events);
}

static inline void open_inbox(void)
{
	inbox = inbox_new(&(struct inbox_options){.loop = flow.store.loop,
	    .db = flow.store.db,
	    .events = events,
	    .hooks = hooks,
	    .records = flow.records,
	    .places = places,
	    .bus = flow.bus,
	    .github_secret = &github});
}

static inline void make_hook(uint32_t repo, enum hook_state state, bool relay)
{
	struct record_hook hook = {.repo = repo,
	    .state = state,
	    .relay = relay,
	    .id = "",
	    .url = "",
	    .events = "",
	    .code = "delivery_failed",
	    .error = "as the test wants it",
	    .hint = ""};

	assert_true(hooks_put(hooks, &hook, &flow.store.err));
	if (relay)
		assert_true(hooks_make_secret(hooks, repo, &flow.store.err));
	store_commit(&flow.store);
}

static inline int set_up(void **state)
{
	(void)state;
	flow_begin(&flow);
	server = flow_server(&flow, "https://bitbucket.example.com/git");
	web = flow_repo(&flow, server, "web", "token");
	off = flow_repo(&flow, server, "off", "token");
	direct = flow_repo(&flow, server, "direct", "token");
	hooks = hooks_open(flow.store.db, flow.vault, &flow.store.err);
	places = places_open(flow.store.db, 1000, &flow.store.err);
	assert_true(hooks != NULL && places != NULL);
	open_events(1000);
	make_hook(web, HOOK_OK, true);
	make_hook(off, HOOK_OK, true);
	make_hook(direct, HOOK_OK, false);
	flow_disable(&flow, off);
	open_inbox();
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	inbox_free(inbox);
	events_close(events);
	events = NULL;
	places_close(places);
	hooks_close(hooks);
	flow_end(&flow);
	return 0;
}

/* ---- asking ---- */

/* Commits, and tells those who wait. */
static inline void settle(void)
{
	store_commit(&flow.store);
	store_turn(&flow.store, 1);
}

struct answer {
	int result; /* -1: none yet */
	char code[32];
	unsigned calls;
	uint64_t commits; /* of the store, when it came */
};

static inline void on_answer(enum inbox_result result, const struct err *err, void *arg)
{
	struct answer *answer = arg;

	answer->result = (int)result;
	answer->calls++;
	answer->commits = db_commits(flow.store.db);
	snprintf(answer->code, sizeof(answer->code), "%s", err != NULL ? err->code : "");
}

static inline const char *sign(const struct secret *secret, const char *body)
{
	static char text[80];
	unsigned char mac[CRYPTO_SHA256];

	crypto_hmac_sha256(mac, secret->data, secret->length, body, strlen(body));
	snprintf(text, sizeof(text), "sha256=");
	codec_hex_encode(text + 7, mac, sizeof(mac));
	return text;
}

static inline const char *sign_for(uint32_t repo, const char *body)
{
	struct secret secret = {0};
	const char *text;

	assert_true(hooks_secret(hooks, repo, clock_wall_ms(), &secret, NULL, &flow.store.err));
	text = sign(&secret, body);
	secret_free(&secret);
	return text;
}

static inline struct inbox_event event_of(const char *id, const char *signature, const char *body)
{
	return (struct inbox_event){.key = "repo:refs_changed",
	    .request_id = id,
	    .signature = signature,
	    .content_type = "application/json",
	    .headers = "X-Event-Key: repo:refs_changed\n",
	    .body = body,
	    .body_length = strlen(body)};
}

static inline int send_event(uint32_t repo, const struct inbox_event *event)
{
	struct answer answer = {.result = -1};

	inbox_bitbucket(inbox, repo, event, on_answer, &answer);
	if (answer.result == -1)
		settle();
	assert_int_equal(answer.calls, 1);
	return answer.result;
}

static inline int send_signed(uint32_t repo, const char *id, const char *body)
{
	struct inbox_event event = event_of(id, sign_for(repo, body), body);

	return send_event(repo, &event);
}

static inline uint64_t waiting(void)
{
	struct events_counts counts;

	events_count(events, &counts);
	return counts.waiting;
}

#endif
