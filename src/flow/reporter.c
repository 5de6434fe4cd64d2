#include "flow/reporter.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 64

static const struct backoff backoff = {.first_ms = 1000, .limit_ms = 5 * 60 * 1000};

struct reporter {
	struct loop *loop;
	struct outbox *outbox;
	struct poller *poller;
	struct eyes_call *call;
	unsigned generation; /* of the source that call belongs to */
	struct loop_timer timer;
	uint64_t token;
	unsigned rows; /* taken at once: falls to one when a POST is refused */
	bool singly;   /* the results of that row one by one, for it was refused as well */
	unsigned single, single_count;
	unsigned failures;
	bool waiting;
	struct log_limit limit;
};

/* What goes into one POST. */
struct batch {
	struct eyes_ack *acks;
	size_t *offsets; /* of each id in text; its error follows behind the NUL */
	unsigned count, capacity;
	struct buf text;
};

static void answered(const struct eyes_answer *answer, void *arg);

static void collect(const struct outbox_result *result, void *arg)
{
	struct batch *batch = arg;

	if (batch->count == batch->capacity) {
		batch->capacity = batch->capacity == 0 ? 64 : batch->capacity * 2;
		batch->acks = mem_grow(batch->acks, batch->capacity, sizeof(*batch->acks));
		batch->offsets = mem_grow(batch->offsets, batch->capacity, sizeof(*batch->offsets));
	}
	batch->offsets[batch->count] = batch->text.length;
	buf_append(&batch->text, result->id, strlen(result->id) + 1);
	buf_append(&batch->text, result->error, strlen(result->error) + 1);
	batch->acks[batch->count].outcome = update_outcome_name(result->outcome);
	batch->count++;
}

static void send_next(struct reporter *r)
{
	const struct eyes_source_driver *driver;
	unsigned generation;
	struct eyes_source *source = poller_source(r->poller, &driver, &generation);
	struct batch batch = {0};

	if (generation != r->generation)
		r->call = NULL; /* it went with its source */
	r->generation = generation;
	if (r->call != NULL || r->waiting || outbox_rows(r->outbox) == 0)
		return;
	if (source == NULL || !driver->acknowledges || poller_accepting(r->poller))
		return;
	buf_init(&batch.text, 4 << 20);
	outbox_peek(r->outbox, r->rows, collect, &batch, &r->token);
	for (unsigned i = 0; i < batch.count; i++) {
		batch.acks[i].id = batch.text.data + batch.offsets[i];
		batch.acks[i].error = batch.acks[i].id + strlen(batch.acks[i].id) + 1;
	}
	if (batch.count > 0 && r->singly && r->single < batch.count)
		r->call = driver->acknowledge(source, &batch.acks[r->single], 1, answered, r);
	else if (batch.count > 0)
		r->call = driver->acknowledge(source, batch.acks, batch.count, answered, r);
	r->single_count = batch.count;
	free(batch.acks);
	free(batch.offsets);
	buf_free(&batch.text);
}

static void turn_end(void *arg)
{
	send_next(arg);
}

static void try_again(void *arg)
{
	struct reporter *r = arg;

	r->waiting = false;
	send_next(r);
}

static void wait_and_retry(struct reporter *r, const struct eyes_answer *answer)
{
	uint64_t ms = backoff_ms(&backoff, ++r->failures, crypto_random_below(UINT32_MAX));

	if (answer->retry_after_ms > (int64_t)ms)
		ms = (uint64_t)answer->retry_after_ms;
	log_limited_warn(&r->limit, "reporter",
	    "Eyes did not take outcomes; they are kept and sent again",
	    log_uint("rows", outbox_rows(r->outbox)), log_uint("next_try_ms", ms),
	    log_err(answer->err));
	r->waiting = true;
	loop_timer_set(&r->timer, ms);
}

static void done(struct reporter *r)
{
	struct err err = ERR_INIT;

	if (r->singly && ++r->single < r->single_count)
		return; /* the row stays until all of it has been told */
	r->singly = false;
	if (!outbox_done(r->outbox, r->token, &err))
		log_limited_warn(
		    &r->limit, "reporter", "the outbox cannot be written", log_err(&err));
}

static void answered(const struct eyes_answer *answer, void *arg)
{
	struct reporter *r = arg;
	bool refused = answer->status == 400 || answer->status == 413 || answer->status == 422;

	r->call = NULL;
	if (answer->err == NULL) {
		r->failures = 0;
		if (r->rows < ROWS_MAX && !r->singly)
			r->rows *= 2;
		done(r);
		return;
	}
	if (refused && r->rows > 1) {
		r->rows = 1;
		return;
	}
	if (refused && !r->singly && r->single_count > 1) {
		r->singly = true;
		r->single = 0;
		return;
	}
	if (refused) {
		log_error("reporter", "Eyes refuses an outcome for good; it is dropped",
		    log_err(answer->err));
		done(r);
		return;
	}
	wait_and_retry(r, answer);
}

struct reporter *reporter_new(struct loop *loop, struct outbox *outbox, struct poller *poller)
{
	struct reporter *r = mem_zero(sizeof(*r));

	r->loop = loop;
	r->outbox = outbox;
	r->poller = poller;
	r->rows = ROWS_MAX;
	loop_timer_init(&r->timer, loop, try_again, r);
	loop_on_turn_end(loop, turn_end, r);
	return r;
}

void reporter_free(struct reporter *r)
{
	const struct eyes_source_driver *driver;
	unsigned generation;

	if (r == NULL)
		return;
	loop_timer_cancel(&r->timer);
	if (poller_source(r->poller, &driver, &generation) != NULL && generation == r->generation &&
	    r->call != NULL)
		eyes_cancel(r->call);
	free(r);
}

void reporter_kick(struct reporter *r)
{
	loop_timer_cancel(&r->timer);
	r->failures = 0;
	r->waiting = false;
	send_next(r);
}

bool reporter_idle(const struct reporter *r)
{
	const struct eyes_source_driver *driver;
	unsigned generation;
	bool nobody =
	    poller_source(r->poller, &driver, &generation) == NULL || !driver->acknowledges;

	return nobody || (r->call == NULL && (r->waiting || outbox_rows(r->outbox) == 0));
}
