/*
 * A forwarder on a real store and a real Eyes connection; the Eyes server answers what a test says,
 * when it says it. For test_forwarder.c and test_forwarder_roads.c.
 */
#ifndef UNIT_FORWARDER_TEST_H
#define UNIT_FORWARDER_TEST_H

#include "unit/flow/flow_test.h"

#include "flow/forwarder.h"
#include "unit/eyes/eyes_peer.h"

enum { SENT = 256, QUIET_MS = 150 };

static struct flow flow;
static struct peer peer;
static struct events *events;
static struct forwarder *forwarder;
static uint32_t server, lanes[8];
static unsigned idle_calls;

/* What Eyes was sent, in the order of its arrival. */
static struct {
	uint32_t lane; /* as the body says */
	unsigned n;
	uint64_t at_ms;
	struct evhttp_request *request; /* NULL once answered */
} sent[SENT];
static unsigned sent_count, open_count;
/* What each is answered at once; 0: the test answers. */
static int (*at_once)(uint32_t lane, unsigned n);

static inline void answer_with(unsigned index, int status, const char *name, const char *value)
{
	struct evhttp_request *request = sent[index].request;

	assert_true(index < sent_count);
	assert_non_null(request);
	sent[index].request = NULL;
	open_count--;
	if (name != NULL)
		peer_add(request, name, value);
	peer_reply(request, status, "{}");
}

static inline void answer(unsigned index, int status)
{
	answer_with(index, status, NULL, NULL);
}

static inline void on_event(
    struct peer *of, const struct peer_asked *asked, struct evhttp_request *request)
{
	unsigned lane, n, index = sent_count;

	(void)of;
	if (index >= SENT || sscanf(asked->body, "{\"lane\":%u,\"n\":%u}", &lane, &n) != 2)
		abort();
	sent[index].lane = lane;
	sent[index].n = n;
	sent[index].at_ms = clock_monotonic_ms();
	sent[index].request = request;
	sent_count++;
	open_count++;
	if (at_once != NULL && at_once(lane, n) != 0)
		answer(index, at_once(lane, n));
}

static inline void open_forwarder(unsigned connections)
{
	forwarder = forwarder_new(&(struct forwarder_options){.loop = peer.loop,
	    .db = flow.store.db,
	    .events = events,
	    .records = flow.records,
	    .eyes = peer.eyes,
	    .bus = flow.bus,
	    .url_template = "{EYES_SERVER_URL}/bitbucket?orgId={orgId}&serverId={serverHost}",
	    .github_template = "{EYES_SERVER_URL}/github?orgId={orgId}&serverId={serverHost}",
	    .organization = "org 1",
	    .instance = "0a0b0c0d",
	    .connections = connections});
}

static inline int set_up(void **state)
{
	struct db_options options = {.size = STORE_SIZE};
	char slug[8];

	(void)state;
	flow = (struct flow){.ttl_ms = 3600 * 1000, .limit = 100};
	memset(sent, 0, sizeof(sent));
	sent_count = open_count = idle_calls = 0;
	at_once = NULL;
	log_set_level(LOG_LEVEL_ERROR);
	peer_start(&peer);
	peer.answer = on_event;
	store_folder(&flow.store);
	flow.store.loop = peer.loop;
	options.directory = flow.store.folder;
	flow.store.db = db_open(peer.loop, &options, &flow.store.err);
	assert_non_null(flow.store.db);
	flow_open_tables(&flow);
	events = events_open(flow.store.db,
	    &(struct events_options){
	        .ttl_ms = 3600 * 1000, .limit = 1000, .limit_bytes = 4 << 20, .remember = 1000},
	    &flow.store.err);
	assert_non_null(events);
	server = flow_server(&flow, "https://git.example.com:8443/scm");
	for (unsigned i = 0; i < 8; i++) {
		snprintf(slug, sizeof(slug), "r%u", i);
		lanes[i] = flow_repo(&flow, server, slug, "token");
	}
	open_forwarder(4);
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	forwarder_free(forwarder);
	events_close(events);
	flow_close_tables(&flow);
	db_close(flow.store.db);
	bus_free(flow.bus);
	peer_stop(&peer);
	store_remove(&flow.store);
	return 0;
}

/* ---- putting in and waiting ---- */

static inline uint64_t put_with(uint32_t lane, unsigned n, const char *headers)
{
	unsigned char hash[CRYPTO_SHA256];
	char body[64], id[64];
	int length = snprintf(body, sizeof(body), "{\"lane\":%u,\"n\":%u}", lane, n);
	struct event_entry entry = {.lane = lane,
	    .key = "repo:refs_changed",
	    .request_id = id,
	    .headers = headers,
	    .content_type = "application/json",
	    .body = body,
	    .body_length = (size_t)length,
	    .received_ms = clock_wall_ms()};

	snprintf(id, sizeof(id), "%u-%u", lane, n);
	crypto_sha256(hash, body, (size_t)length);
	assert_int_equal(events_put(events, &entry, hash, &flow.store.err), EVENTS_PUT_NEW);
	return entry.number;
}

/* On disk, and nobody was told. */
static inline uint64_t put_quietly(uint32_t lane, unsigned n)
{
	uint64_t number = put_with(lane, n, "X-Event-Key: repo:refs_changed\nX-Request-Id: 1\n");

	store_commit(&flow.store);
	return number;
}

static inline uint64_t put(uint32_t lane, unsigned n)
{
	uint64_t number = put_quietly(lane, n);

	forwarder_wake(forwarder, lane);
	return number;
}

static inline bool has_sent(struct flow *f, unsigned count)
{
	(void)f;
	return sent_count >= count;
}

/* Until so many came; then no more than that. */
static inline void arrived(unsigned count)
{
	flow_until(&flow, has_sent, count, "event");
	flow_for(&flow, 30);
	if (sent_count != count)
		fail_msg("%u events instead of %u", sent_count, count);
}

static inline void was_sent(unsigned index, uint32_t lane, unsigned n)
{
	assert_true(index < sent_count);
	if (sent[index].lane != lane || sent[index].n != n)
		fail_msg("the event %u is %u of lane %u instead of %u of lane %u", index,
		    sent[index].n, sent[index].lane, n, lane);
}

static inline struct events_counts counts(void)
{
	struct events_counts out;

	events_count(events, &out);
	return out;
}

static inline bool is_waiting(struct flow *f, unsigned count)
{
	(void)f;
	return counts().waiting == count && forwarder_in_flight(forwarder) == 0;
}

static inline void waiting(unsigned count)
{
	flow_until(&flow, is_waiting, count, "waiting and nothing under way");
}

static inline struct forwarder_health health(void)
{
	struct forwarder_health out;

	forwarder_health(forwarder, &out);
	return out;
}

static inline bool is_failing(struct flow *f, unsigned failing)
{
	(void)f;
	return health().failing == (failing != 0);
}

static inline int64_t pause_ms(void)
{
	return health().next_try_ms == 0 ? 0 : health().next_try_ms - clock_wall_ms();
}

static inline int take_all(uint32_t lane, unsigned n)
{
	(void)lane;
	(void)n;
	return 202;
}

/* The n of each event of this lane that was sent, in order: "1 2 2 3". */
static inline void lane_order(uint32_t lane, const char *wanted)
{
	char got[256] = "";

	for (unsigned i = 0; i < sent_count; i++)
		if (sent[i].lane == lane)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%u",
			    got[0] != '\0' ? " " : "", sent[i].n);
	assert_string_equal(got, wanted);
}

#endif
