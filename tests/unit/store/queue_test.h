/* What the tests of the queue share: a store with a queue that notes every result. */
#ifndef UNIT_STORE_QUEUE_TEST_H
#define UNIT_STORE_QUEUE_TEST_H

#include "unit/store/store_test.h"

#include "store/queue.h"

enum { RESULTS_MAX = 64 };

struct noted {
	char id[64];
	char code[32];
	uint64_t number;
	enum update_outcome outcome;
	uint32_t attempts;
};

struct desk {
	struct store store;
	struct queue *queue;
	struct queue_options options;
	struct noted results[RESULTS_MAX];
	unsigned count;
	bool mute; /* count only */
};

static inline void desk_note(const struct queue_result *result, void *arg)
{
	struct desk *desk = arg;

	if (!desk->mute) {
		assert_true(desk->count < RESULTS_MAX);
		struct noted *noted = &desk->results[desk->count];
		snprintf(noted->id, sizeof(noted->id), "%s", result->id);
		snprintf(noted->code, sizeof(noted->code), "%s", result->code);
		noted->number = result->number;
		noted->outcome = result->outcome;
		noted->attempts = result->attempts;
		assert_non_null(result->update->commit);
	}
	desk->count++;
}

static inline void desk_open_queue(struct desk *desk)
{
	desk->options.result = desk_note;
	desk->options.arg = desk;
	desk->queue = queue_open(desk->store.db, &desk->options, &desk->store.err);
	if (desk->queue == NULL)
		fail_msg("the queue does not open: %s", desk->store.err.message);
}

static inline void desk_begin_sized(struct desk *desk, uint64_t size)
{
	memset(desk, 0, sizeof(*desk));
	store_folder(&desk->store);
	store_open(&desk->store, size);
	desk->options = (struct queue_options){
	    .ttl_ms = 3600000, .limit = 100000, .remember = 100000, .ghost_ms = 0};
	desk_open_queue(desk);
}

static inline void desk_begin(struct desk *desk)
{
	desk_begin_sized(desk, STORE_SIZE);
}

static inline void desk_end(struct desk *desk)
{
	queue_close(desk->queue);
	store_end(&desk->store);
}

/* Stop and start again, as after an orderly end. */
static inline void desk_again(struct desk *desk)
{
	queue_close(desk->queue);
	store_close(&desk->store);
	store_open(&desk->store, STORE_SIZE);
	desk_open_queue(desk);
}

struct item {
	const char *id;
	uint32_t repo;   /* 0: 1 */
	const char *key; /* NULL: "k" */
	enum update_state state;
	int64_t sequence;    /* 0: none */
	int64_t created_ms;  /* 0: unknown */
	int64_t received_ms; /* 0: now */
	unsigned commit;
};

static inline enum queue_put desk_try(struct desk *desk, const struct item *item, uint64_t *number)
{
	char commit[UPDATE_COMMIT + 1];
	struct queue_entry entry = {
	    .repo = item->repo != 0 ? item->repo : 1,
	    .id = item->id,
	    .update = {.commit = commit,
	        .key = item->key != NULL ? item->key : "k",
	        .name = "name",
	        .description = "12 passed",
	        .url = "https://eyes.example.com/b/1",
	        .ref = "refs/heads/x",
	        .state = item->state,
	        .has_tests = true,
	        .tests = {1, 2, 3}},
	    .order = {.has_sequence = item->sequence != 0,
	        .sequence = item->sequence,
	        .created_ms = item->created_ms},
	    .received_ms = item->received_ms != 0 ? item->received_ms : clock_wall_ms(),
	};

	snprintf(commit, sizeof(commit), "%040x", item->commit);
	err_clear(&desk->store.err);
	enum queue_put put = queue_put(desk->queue, &entry, &desk->store.err);
	if (number != NULL)
		*number = entry.number;
	return put;
}

static inline uint64_t desk_put(struct desk *desk, struct item item)
{
	uint64_t number = 0;

	assert_int_equal(desk_try(desk, &item, &number), QUEUE_PUT_NEW);
	assert_true(number > 0);
	return number;
}

/* The next of a lane, newest first; NULL when there is none. */
static inline struct queue_entry *desk_claim(struct desk *desk, uint32_t repo, enum queue_lane lane)
{
	struct queue_entry *entry = NULL;

	return queue_claim(desk->queue, repo, lane, false, &entry) ? entry : NULL;
}

static inline void desk_done(struct desk *desk, struct queue_entry *entry, int64_t doubtful_ms)
{
	assert_true(queue_done(
	    desk->queue, entry, UPDATE_DELIVERED, "", "", doubtful_ms, false, &desk->store.err));
}

static inline void desk_expect(
    struct desk *desk, unsigned index, const char *id, enum update_outcome outcome)
{
	assert_true(index < desk->count);
	assert_string_equal(desk->results[index].id, id);
	assert_int_equal(desk->results[index].outcome, outcome);
}

static inline struct queue_counts desk_counts(struct desk *desk)
{
	struct queue_counts counts;

	queue_count(desk->queue, &counts);
	return counts;
}

static inline void desk_touched(uint32_t repo, void *arg)
{
	(void)repo;
	(*(unsigned *)arg)++;
}

/* Everything due until then back into its lane; returns how many repositories. */
static inline unsigned desk_due(struct desk *desk, int64_t now_ms)
{
	unsigned repos = 0;

	queue_due(desk->queue, now_ms, 1000, desk_touched, &repos);
	return repos;
}

#endif
