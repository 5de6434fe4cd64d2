/*
 * What the tests of the flow share: a store in a folder of its own with everything that a road
 * needs, and source-control servers that answer what a test says, when it says it.
 */
#ifndef UNIT_FLOW_TEST_H
#define UNIT_FLOW_TEST_H

#include "unit/store/store_test.h"

#include "base/log.h"
#include "flow/dispatcher.h"
#include "flow/results.h"
#include "scm/scm_call.h"

#define COMMIT_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define COMMIT_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
enum { FLOW_WAIT_MS = 15000, FLOW_DEADLINE_MS = 150, FLOW_UNKNOWN_MS = 30, FLOW_ASKED = 2048 };

/* ---- a server that answers when the test says so ---- */

enum fake_kind { FAKE_SET, FAKE_GET, FAKE_HAS };
struct fake_asked {
	enum fake_kind kind;
	char host[256], token[64], repo[64], commit[41], key[64];
	enum update_state state;
	uint64_t at_ms;
	struct scm_call *call; /* NULL once answered */
};
static struct fake {
	struct fake_asked list[FLOW_ASKED];
	unsigned count, open;
	/* When there is one it answers each request in a later turn. */
	void (*script)(unsigned index);
	struct loop_timer timer;
	unsigned scripted;
} fake;

static inline void fake_script(void *arg)
{
	(void)arg;
	while (fake.scripted < fake.count) {
		unsigned index = fake.scripted++;
		if (fake.list[index].call != NULL)
			fake.script(index);
	}
}

static inline struct fake_asked *fake_add(enum fake_kind kind, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug, const char *commit,
    const char *key, struct scm_call *call)
{
	struct fake_asked *asked = &fake.list[fake.count++];

	assert_true(fake.count < FLOW_ASKED);
	*asked = (struct fake_asked){.kind = kind, .call = call, .at_ms = clock_monotonic_ms()};
	snprintf(asked->host, sizeof(asked->host), "%s", server->base.host);
	snprintf(asked->token, sizeof(asked->token), "%s", token->data);
	snprintf(asked->repo, sizeof(asked->repo), "%s/%s", project, slug);
	snprintf(asked->commit, sizeof(asked->commit), "%s", commit);
	snprintf(asked->key, sizeof(asked->key), "%s", key);
	fake.open++;
	if (fake.script != NULL)
		loop_timer_set(&fake.timer, 0);
	return asked;
}

static inline struct scm_call *fake_set_status(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug, const struct update *update,
    scm_done_fn *fn, void *arg)
{
	struct scm_call *call = scm_call_new(scm, server, SCM_CALL_DONE,
	    (union scm_call_fn){.done = fn}, arg, &(struct scm_call_input){0});

	fake_add(FAKE_SET, server, token, project, slug, update->commit, update->key, call)->state =
	    update->state;
	return call;
}

static inline struct scm_call *fake_get_status(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug, const char *commit,
    const char *key, scm_status_fn *fn, void *arg)
{
	struct scm_call *call = scm_call_new(scm, server, SCM_CALL_STATUS,
	    (union scm_call_fn){.status = fn}, arg, &(struct scm_call_input){0});

	fake_add(FAKE_GET, server, token, project, slug, commit, key, call);
	return call;
}

static inline struct scm_call *fake_has_commit(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug, const char *commit,
    scm_found_fn *fn, void *arg)
{
	struct scm_call *call = scm_call_new(scm, server, SCM_CALL_FOUND,
	    (union scm_call_fn){.found = fn}, arg, &(struct scm_call_input){0});

	fake_add(FAKE_HAS, server, token, project, slug, commit, "", call);
	return call;
}

static inline enum update_state fake_state_as_sent(
    const struct scm_server *server, enum update_state state)
{
	(void)server;
	return state;
}

static const struct scm_driver fake_driver = {
    .kind = "fake",
    .set_status = fake_set_status,
    .get_status = fake_get_status,
    .has_commit = fake_has_commit,
    .state_as_sent = fake_state_as_sent,
};

static inline const struct scm_driver *fake_driver_of(const char *kind)
{
	return strcmp(kind, "fake") == 0 ? &fake_driver : NULL;
}

static inline void fake_finish(unsigned index, const struct scm_answer *answer, const void *result)
{
	struct scm_call *call = fake.list[index].call;

	assert_true(index < fake.count);
	assert_non_null(call);
	fake.list[index].call = NULL;
	fake.open--;
	scm_call_finish(call, answer, result);
}

static inline void fake_ok(unsigned index)
{
	fake_finish(index,
	    &(struct scm_answer){
	        .outcome = SCM_OK, .scope = SCM_SCOPE_UPDATE, .status = 204, .retry_after_ms = -1},
	    NULL);
}

static inline void fake_found(unsigned index, bool found)
{
	fake_finish(index,
	    &(struct scm_answer){
	        .outcome = SCM_OK, .scope = SCM_SCOPE_UPDATE, .status = 200, .retry_after_ms = -1},
	    &found);
}

static inline void fake_read(unsigned index, enum update_state state)
{
	fake_finish(index,
	    &(struct scm_answer){
	        .outcome = SCM_OK, .scope = SCM_SCOPE_UPDATE, .status = 200, .retry_after_ms = -1},
	    &(struct scm_status){.found = true,
	        .state_known = true,
	        .state = state,
	        .url = "https://eyes.example.com/1"});
}

enum fake_fault { CUT, DOWN, LIMITED, REFUSED, NO_REPOSITORY, NO_COMMIT, BAD, BROKEN };
static inline void fake_fail_after(unsigned index, enum fake_fault fault, int64_t retry_after_ms)
{
	static const struct scm_answer answers[] = {
	    [CUT] = {.outcome = SCM_TEMPORARY, .scope = SCM_SCOPE_SERVER, .doubtful = true},
	    [DOWN] = {.outcome = SCM_TEMPORARY, .scope = SCM_SCOPE_SERVER, .status = 503},
	    [LIMITED] = {.outcome = SCM_TEMPORARY,
	        .scope = SCM_SCOPE_TOKEN,
	        .status = 429,
	        .rate_limited = true},
	    [REFUSED] = {.outcome = SCM_BLOCKED, .scope = SCM_SCOPE_TOKEN, .status = 401},
	    [NO_REPOSITORY] = {.outcome = SCM_BLOCKED,
	        .scope = SCM_SCOPE_REPOSITORY,
	        .status = 404},
	    [NO_COMMIT] = {.outcome = SCM_TEMPORARY,
	        .scope = SCM_SCOPE_UPDATE,
	        .status = 404,
	        .unknown_commit = true},
	    [BAD] = {.outcome = SCM_PERMANENT, .scope = SCM_SCOPE_UPDATE, .status = 400},
	    [BROKEN] = {.outcome = SCM_TEMPORARY, .scope = SCM_SCOPE_UPDATE, .status = 500},
	};
	static const char *const codes[] = {[CUT] = "server_cut",
	    [DOWN] = "server_5xx",
	    [LIMITED] = "rate_limited",
	    [REFUSED] = "token_refused",
	    [NO_REPOSITORY] = "repo_unknown",
	    [NO_COMMIT] = "commit_unknown",
	    [BAD] = "scm_refused",
	    [BROKEN] = "server_5xx"};
	struct scm_answer answer = answers[fault];
	struct err err = ERR_INIT;

	err_set(&err, codes[fault], "as the test wants it");
	answer.err = &err;
	answer.retry_after_ms = retry_after_ms;
	fake_finish(index, &answer, NULL);
}

static inline void fake_fail(unsigned index, enum fake_fault fault)
{
	fake_fail_after(index, fault, -1);
}

/* ---- everything together ---- */

struct flow {
	struct store store;
	struct vault *vault;
	struct records *records;
	struct outbox *outbox;
	struct journal *journal;
	struct bus *bus;
	struct results results;
	struct queue *queue;
	struct scm *scm;
	struct servers *servers;
	struct dispatcher *dispatcher;
	uint64_t ttl_ms, limit;
	bool lose_commit; /* the next commit that holds writes fails */
	bool lose_result; /* the next result cannot be written */
	unsigned results_seen;
};

/* Does what a full disk does: the open group is lost. */
static inline void flow_lose(struct flow *f)
{
	static const char large[STORE_SIZE + (1 << 20)];

	assert_false(
	    db_put(f->store.db, DB_PLACE, "large", 5, large, sizeof(large), DB_LAZY, NULL));
}

static inline void flow_before_commit(void *arg)
{
	struct flow *f = arg;

	if (!f->lose_commit)
		return;
	f->lose_commit = false;
	flow_lose(f);
}

static inline void flow_result(const struct queue_result *result, void *arg)
{
	struct flow *f = arg;

	f->results_seen++;
	results_record(result, &f->results);
	if (!f->lose_result)
		return;
	f->lose_result = false;
	flow_lose(f);
}

static inline void flow_open_queue(struct flow *f)
{
	struct queue_options options = {
	    .ttl_ms = f->ttl_ms,
	    .limit = f->limit,
	    .remember = 10000,
	    .ghost_ms = FLOW_DEADLINE_MS,
	    .result = flow_result,
	    .arg = f,
	};

	f->queue = queue_open(f->store.db, &options, &f->store.err);
	assert_non_null(f->queue);
}

static inline void flow_open_dispatcher(struct flow *f)
{
	f->scm = scm_new(f->store.loop, NULL);
	f->servers = servers_new(&(struct servers_options){.records = f->records,
	    .connections = 4,
	    .deadline_ms = FLOW_DEADLINE_MS,
	    .driver = fake_driver_of});
	f->dispatcher = dispatcher_new(&(struct dispatcher_options){.loop = f->store.loop,
	    .db = f->store.db,
	    .queue = f->queue,
	    .records = f->records,
	    .servers = f->servers,
	    .scm = f->scm,
	    .bus = f->bus,
	    .connections = 4,
	    .deadline_ms = FLOW_DEADLINE_MS,
	    .unknown_ms = FLOW_UNKNOWN_MS});
}

static inline void flow_close_dispatcher(struct flow *f)
{
	dispatcher_free(f->dispatcher);
	servers_free(f->servers);
	scm_free(f->scm);
	f->dispatcher = NULL;
}

/* The loop and the database of f->store are open. */
static inline void flow_open_tables(struct flow *f)
{
	struct err *err = &f->store.err;

	f->bus = bus_new(f->store.loop);
	f->vault = vault_open(f->store.db, NULL, NULL, err);
	assert_non_null(f->vault);
	f->records = records_open(f->store.db, f->vault, err);
	f->outbox = outbox_open(f->store.db, err);
	f->journal = journal_open(f->store.db, 1000, err);
	assert_true(f->records != NULL && f->outbox != NULL && f->journal != NULL);
	f->results = (struct results){.outbox = f->outbox, .journal = f->journal, .bus = f->bus};
	flow_open_queue(f);
	db_before_commit(f->store.db, flow_before_commit, f);
	fake = (struct fake){0};
	loop_timer_init(&fake.timer, f->store.loop, fake_script, NULL);
}

static inline void flow_close_tables(struct flow *f)
{
	loop_timer_cancel(&fake.timer);
	db_forget(f->store.db, f);
	queue_close(f->queue);
	journal_close(f->journal);
	outbox_close(f->outbox);
	records_close(f->records);
	vault_close(f->vault);
}

static inline void flow_begin(struct flow *f)
{
	*f = (struct flow){.ttl_ms = 3600 * 1000, .limit = 100000};
	log_set_level(LOG_LEVEL_ERROR);
	store_begin(&f->store);
	flow_open_tables(f);
	flow_open_dispatcher(f);
}

static inline void flow_end(struct flow *f)
{
	flow_close_dispatcher(f);
	flow_close_tables(f);
	db_close(f->store.db);
	bus_free(f->bus);
	loop_free(f->store.loop);
	store_remove(&f->store);
}

/* ---- waiting for what shall happen, and for what shall not ---- */

typedef bool flow_condition(struct flow *f, unsigned value);
static inline void flow_until(
    struct flow *f, flow_condition *condition, unsigned value, const char *what)
{
	uint64_t until_ms = clock_monotonic_ms() + FLOW_WAIT_MS;

	while (!condition(f, value)) {
		if (clock_monotonic_ms() > until_ms)
			fail_msg("does not come: %s %u (asked %u, open %u)", what, value,
			    fake.count, fake.open);
		store_turn(&f->store, 1);
	}
}

static inline bool flow_has_asked(struct flow *f, unsigned count)
{
	(void)f;
	return fake.count >= count;
}

static inline bool flow_is_idle(struct flow *f, unsigned waiting)
{
	struct queue_counts counts;

	queue_count(f->queue, &counts);
	return counts.waiting == waiting && counts.claimed == 0;
}

/* Until so many requests were made; then no more than that. */
static inline void flow_asked(struct flow *f, unsigned count)
{
	flow_until(f, flow_has_asked, count, "request");
	for (int i = 0; i < 4; i++)
		store_turn(&f->store, 1);
	if (fake.count != count)
		fail_msg("%u requests instead of %u; the last %d %s %s %s", fake.count, count,
		    (int)fake.list[fake.count - 1].kind, fake.list[fake.count - 1].repo,
		    fake.list[fake.count - 1].key,
		    update_state_name(fake.list[fake.count - 1].state));
}

static inline void flow_waiting(struct flow *f, unsigned count)
{
	flow_until(f, flow_is_idle, count, "waiting and nothing under way");
}

static inline void flow_for(struct flow *f, uint64_t ms)
{
	uint64_t until_ms = clock_monotonic_ms() + ms;

	while (clock_monotonic_ms() < until_ms)
		store_turn(&f->store, 1);
}

/* ---- setting up, putting in ---- */

static inline uint32_t flow_server(struct flow *f, const char *url)
{
	struct record_server record = {.kind = "fake",
	    .url = url,
	    .aliases = "",
	    .ca_pem = "",
	    .product = "Fake",
	    .version = "1"};

	assert_true(records_put_server(f->records, &record, &f->store.err));
	store_commit(&f->store);
	return record.id;
}

/* Enables it, or gives it another token. */
static inline uint32_t flow_repo(
    struct flow *f, uint32_t server, const char *slug, const char *token)
{
	struct secret secret = {.data = (char *)(uintptr_t)token, .length = strlen(token)};
	struct record_repo record = {.server = server};

	if (!records_repo_by_name(f->records, server, "PRJ", slug, &record))
		record = (struct record_repo){.server = server, .webhook = "", .owner = ""};
	record.project = "PRJ";
	record.slug = record.name = slug;
	record.state = REPO_ENABLED;
	record.error = record.error_code = "";
	assert_true(records_put_repo(f->records, &record, &secret, &f->store.err));
	store_commit(&f->store);
	if (f->dispatcher != NULL)
		dispatcher_repo_changed(f->dispatcher, record.id);
	return record.id;
}

static inline void flow_disable(struct flow *f, uint32_t repo)
{
	struct record_repo record;

	assert_true(records_repo(f->records, repo, &record));
	record.state = REPO_DISABLED;
	assert_true(records_put_repo(f->records, &record, NULL, &f->store.err));
	assert_true(records_forget_token(f->records, repo, &f->store.err));
	store_commit(&f->store);
	dispatcher_repo_changed(f->dispatcher, repo);
}

static inline enum repo_state flow_state(struct flow *f, uint32_t repo)
{
	struct record_repo record;

	assert_true(records_repo(f->records, repo, &record));
	return record.state;
}

static inline enum queue_put flow_put_quietly(struct flow *f, uint32_t repo, const char *commit,
    const char *key, enum update_state state, const char *id, int64_t sequence)
{
	struct queue_entry entry = {
	    .id = id,
	    .repo = repo,
	    .update = {.commit = commit,
	        .key = key,
	        .name = "",
	        .description = "",
	        .url = "https://eyes.example.com/1",
	        .ref = "",
	        .state = state},
	    .order = {.has_sequence = sequence != 0, .sequence = sequence},
	    .received_ms = clock_wall_ms(),
	};

	return queue_put(f->queue, &entry, &f->store.err);
}

static inline void flow_put(struct flow *f, uint32_t repo, const char *commit, const char *key,
    enum update_state state, const char *id, int64_t sequence)
{
	enum queue_put put = flow_put_quietly(f, repo, commit, key, state, id, sequence);

	assert_true(put == QUEUE_PUT_NEW || put == QUEUE_PUT_OLDER);
	store_commit(&f->store);
	dispatcher_wake(f->dispatcher, repo);
}

/* What waits for its time has it now. */
static inline void flow_hurry(struct flow *f)
{
	queue_retry_all(f->queue, false, &f->store.err);
	store_commit(&f->store);
	dispatcher_start(f->dispatcher);
}

struct flow_outcome {
	const char *id;
	int outcome; /* -1: none */
};

static inline void flow_outcome_visit(const struct outbox_result *result, void *arg)
{
	struct flow_outcome *wanted = arg;

	if (strcmp(result->id, wanted->id) == 0)
		wanted->outcome = (int)result->outcome;
}

/* What Eyes is to be told of this id, -1 when nothing. */
static inline int flow_outcome(struct flow *f, const char *id)
{
	struct flow_outcome wanted = {.id = id, .outcome = -1};
	uint64_t token;

	store_commit(&f->store);
	outbox_peek(f->outbox, 1000, flow_outcome_visit, &wanted, &token);
	return wanted.outcome;
}

#endif
