/*
 * Status updates from documented calls only: GET /api/v1/batches and GET /api/v1/batches/{id}.
 *
 *   IDLE ── poll ──▶ CHECKING ──▶ LISTING ──▶ DETAILING ──▶ report ──▶ IDLE
 *                    batches of   the parts   url and hint
 *                    1 to 24 h    that are    of what has
 *                    still open   due         changed
 *
 * A failed call ends the poll; what is known by then stays in the works. A poll lists at most PAGES
 * pages and goes on in the next one; as long as a part is not listed to its end nothing is
 * reported, because a commit's other batches may still come. batches_schedule.h tells when what is
 * asked and how many calls that makes.
 */
#include "base/codec.h"
#include "base/log.h"
#include "base/mem.h"
#include "eyes/batches_schedule.h"
#include "eyes/batches_works.h"
#include "eyes/eyes_fault.h"
#include "eyes/eyes_request.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST "/api/v1/batches"
#define FIRST_PASS "first-pass"
enum { PAGES = 50, PAGES_YOUNG = 40, PAGES_PART = 2000, PATH_MAX_BYTES = 600 };
enum { DETAILS = 64, DETAILS_AT_ONCE = 4, DETAIL_TRIES = 3, DETAIL_BODY = 512 * 1024 };
enum { CLOCK_JUMP_MS = 60000, REDO_MS = 60000, WORDS = 16 };

enum phase { PHASE_IDLE, PHASE_CHECKING, PHASE_LISTING, PHASE_DETAILING };
static const char *const phase_names[] = {"idle", "checking", "listing", "detailing"};

struct part { /* of the window */
	struct batches_part span;
	bool ever;        /* listed to its end at least once */
	uint64_t last_ms; /* monotonic, when the last listing began */
	uint64_t began_ms;
	uint32_t done; /* number of the poll that listed it to its end */
	bool listing;  /* begun, and `next` is to be asked */
	bool redo;     /* something did not fit into the works */
	unsigned pages;
	struct url next;
};

struct open_batch {
	char id[BATCH_ID_MAX + 1];
	bool seen;                   /* in the listing under way */
	struct batch_counts settled; /* with these the part was listed already */
};

struct eyes_source {
	struct loop *loop;
	struct eyes *eyes;
	char *key;
	enum phase phase;
	uint32_t number; /* of the poll */
	eyes_poll_fn *fn;
	void *arg;
	struct eyes_call *call; /* checking, listing */
	struct part *asked;
	struct part parts[BATCHES_PARTS];
	unsigned part_count;
	unsigned pages; /* of this poll */
	bool first_pass;
	int64_t offset_ms; /* the server's clock minus ours */
	bool clock_moved;  /* in this poll */

	struct batches_works works;
	unsigned details, details_under_way;
	bool failed; /* a detail call failed in a way that would hit the others as well */
	struct err failed_err;
	struct eyes_answer failed_answer;

	struct open_batch open[BATCHES_OPEN];
	unsigned open_count, open_turn, checks_left;
	char words[WORDS][BATCH_WORD_MAX + 1]; /* unknown ones that were logged */
	unsigned word_count;
	struct log_limit paging_said, unread_said, full_said, part_said;
};

static void step(struct eyes_source *source, const struct eyes_answer *answer);

static void set_phase(struct eyes_source *source, enum phase phase)
{
	log_debug("batches", "phase", log_str("from", phase_names[source->phase]),
	    log_str("to", phase_names[phase]));
	source->phase = phase;
}

static int64_t server_now_ms(const struct eyes_source *source)
{
	return clock_wall_ms() + source->offset_ms;
}

/* ---- the end of a poll ---- */

/* The source may be gone after the completion. */
static void end_poll(struct eyes_source *source, const struct eyes_poll *poll)
{
	set_phase(source, PHASE_IDLE);
	source->fn(poll, source->arg);
}

static void fail(
    struct eyes_source *source, const struct eyes_answer *answer, const struct err *err)
{
	end_poll(source, &(struct eyes_poll){.err = err, .answer = answer});
}

static void fail_malformed(
    struct eyes_source *source, const struct eyes_answer *answer, const struct err *why)
{
	struct err err;

	eyes_fault_malformed(&err, eyes_base(source->eyes), answer->status, why);
	fail(source, answer, &err);
}

static bool paused(const struct eyes_source *source)
{
	for (unsigned i = 0; i < source->part_count; i++)
		if (source->parts[i].listing)
			return true;
	return false;
}

static bool details_wait(const struct eyes_source *source)
{
	const struct batches_work *work;
	size_t position = 0;

	while ((work = map_next(&source->works.map, &position)) != NULL)
		if (works_needs_detail(work))
			return true;
	return false;
}

static void report(struct eyes_source *source, const struct eyes_answer *answer)
{
	struct eyes_item *items = NULL;
	unsigned count = 0;
	bool waiting = paused(source);

	works_clean(&source->works);
	if (!waiting && source->works.map.count > 0) {
		items = mem_array(source->works.map.count, sizeof(*items));
		count = works_items(&source->works, source->key, server_now_ms(source), items);
	}
	if (source->failed && count == 0)
		fail(source, &source->failed_answer, &source->failed_err);
	else
		end_poll(source, &(struct eyes_poll){.answer = answer,
		                     .items = items,
		                     .count = count,
		                     .more = !source->failed && (waiting || details_wait(source))});
	free(items);
}

/* ---- checking: the open ones of part 1, one by one ---- */

static void ask_batch(struct eyes_source *source, const char *id, bool stats_only,
    size_t body_limit, eyes_fn *fn, void *arg, struct eyes_call **call)
{
	struct buf path;

	buf_init(&path, PATH_MAX_BYTES);
	buf_puts(&path, LIST "/");
	codec_url_encode(&path, id);
	buf_puts(&path, stats_only ? "?statsOnly=true" : "");
	*call = eyes_send(source->eyes,
	    &(struct eyes_options){
	        .method = "GET", .path = path.data, .body_limit = body_limit, .repeatable = true},
	    fn, arg);
	buf_free(&path);
}

static struct open_batch *find_open(struct eyes_source *source, const char *id)
{
	for (unsigned i = 0; i < source->open_count; i++)
		if (strcmp(source->open[i].id, id) == 0)
			return &source->open[i];
	return NULL;
}

static void remove_open(struct eyes_source *source, struct open_batch *open)
{
	*open = source->open[--source->open_count];
}

/* Keeps the list of open ones while part 1 is listed. */
static void note_open(struct eyes_source *source, const struct batch_entry *entry)
{
	struct open_batch *open = find_open(source, entry->id);

	if (batch_class(entry) != BATCH_OPEN) {
		if (open != NULL)
			remove_open(source, open);
		return;
	}
	if (open == NULL && source->open_count < BATCHES_OPEN) {
		open = &source->open[source->open_count++];
		*open = (struct open_batch){0};
		memcpy(open->id, entry->id, sizeof(open->id));
	}
	if (open != NULL)
		open->seen = true;
}

static void sweep_open(struct eyes_source *source)
{
	for (unsigned i = source->open_count; i-- > 0;) {
		if (!source->open[i].seen)
			remove_open(source, &source->open[i]);
		else
			source->open[i].seen = false;
	}
}

static void checked(const struct eyes_answer *answer, void *arg)
{
	struct eyes_source *source = arg;
	struct open_batch *open = &source->open[source->open_turn];
	struct batch_detail detail;

	source->call = NULL;
	source->checks_left--;
	source->open_turn++;
	if (answer->err != NULL) {
		if (answer->status == 404)
			remove_open(source, &source->open[--source->open_turn]);
		else if (answer->status / 100 != 5 && !answer->too_large) {
			fail(source, answer, answer->err);
			return;
		}
	} else if (batches_parse_detail(answer->body, answer->body_length, &detail, NULL) &&
	           detail.has_counts && !batch_counts_open(&detail.counts) &&
	           memcmp(&open->settled, &detail.counts, sizeof(detail.counts)) != 0) {
		open->settled = detail.counts;
		source->parts[1].ever = false;
	}
	step(source, answer);
}

static bool check(struct eyes_source *source)
{
	if (source->checks_left == 0 || source->open_count == 0)
		return false;
	if (source->open_turn >= source->open_count)
		source->open_turn = 0;
	ask_batch(
	    source, source->open[source->open_turn].id, true, 0, checked, source, &source->call);
	return true;
}

/* ---- listing ---- */

static void say_unknown_word(struct eyes_source *source, const struct batch_entry *entry)
{
	if (batch_class(entry) != BATCH_UNKNOWN || source->word_count == WORDS)
		return;
	for (unsigned i = 0; i < source->word_count; i++)
		if (strcmp(source->words[i], entry->word) == 0)
			return;
	memcpy(source->words[source->word_count++], entry->word, sizeof(entry->word));
	log_warn("batches", "unknown status word of a batch: shown as in progress, never as passed",
	    log_str("word", entry->word), log_str("batch", entry->id));
}

static void take_page(
    struct eyes_source *source, struct part *part, const struct batches_page *page)
{
	if (page->unread > 0)
		log_limited_warn(&source->unread_said, "batches", "batches that could not be read",
		    log_uint("count", page->unread), log_err(&page->unread_why));
	for (unsigned i = 0; i < page->count; i++) {
		struct batch_listed *listed = &page->list[i];
		enum batch_class class = batch_class(&listed->entry);
		bool old =
		    source->first_pass && batches_part_old(&part->span) && class != BATCH_OPEN;

		listed->entry.listed = source->number;
		say_unknown_word(source, &listed->entry);
		if (part == &source->parts[1])
			note_open(source, &listed->entry);
		if (works_take(&source->works, listed, old) == WORKS_FULL) {
			part->redo = true;
			log_limited_warn(&source->full_said, "batches",
			    "too many changed commits wait; the rest is taken in later",
			    log_uint("limit", WORKS_MAX));
		}
	}
}

static void end_part(struct eyes_source *source, struct part *part)
{
	part->listing = false;
	part->done = source->number;
	part->ever = true;
	part->last_ms = part->began_ms;
	if (part->redo) /* due again in REDO_MS */
		part->last_ms -= part->span.every_ms > REDO_MS ? part->span.every_ms - REDO_MS : 0;
	if (part == &source->parts[1])
		sweep_open(source);
	if (part != &source->parts[source->part_count - 1] || part->redo)
		return;
	/* The oldest part is listed last: the first pass is over. Written again each time, so that
	 * it is not forgotten. */
	source->first_pass = false;
	source->works.memory.set(FIRST_PASS, "", 0, source->works.memory.arg);
}

/* Whether the server's clock is so different from what was thought that the parts are to be listed
 * anew. */
static bool clock_moved(struct eyes_source *source, const struct eyes_answer *answer)
{
	if (answer->server_time_ms == 0)
		return false;
	int64_t offset_ms = answer->server_time_ms - clock_wall_ms();
	bool moved = llabs(offset_ms - source->offset_ms) > CLOCK_JUMP_MS;
	source->offset_ms = offset_ms;
	if (!moved || source->clock_moved)
		return false;
	source->clock_moved = true;
	for (unsigned i = 0; i < source->part_count; i++) {
		source->parts[i].listing = source->parts[i].ever = false;
		source->parts[i].done = 0;
	}
	return true;
}

static void listed(const struct eyes_answer *answer, void *arg)
{
	struct eyes_source *source = arg;
	struct part *part = source->asked;
	struct batches_page page;
	struct err why = ERR_INIT;
	struct url asked;

	source->call = NULL;
	source->pages++;
	part->pages++;
	asked = part->next;
	/* Should this fail, the part starts anew: a stale Link would fail for ever. */
	part->listing = false;
	if (answer->err != NULL) {
		fail(source, answer, answer->err);
		return;
	}
	if (clock_moved(source, answer)) {
		step(source, answer);
		return;
	}
	if (!batches_parse_page(answer->body, answer->body_length, &page, &why)) {
		fail_malformed(source, answer, &why);
		return;
	}
	take_page(source, part, &page);
	free(page.list);
	enum batches_next next = batches_next_page(&part->next, &asked, answer->head, &why);
	if (next == BATCHES_WRONG) {
		fail_malformed(source, answer, &why);
		return;
	}
	part->listing = next == BATCHES_MORE && part->pages < PAGES_PART;
	if (next == BATCHES_MORE && !part->listing)
		log_limited_warn(&source->part_said, "batches",
		    "more batches than are looked at; make EYES_BATCH_WINDOW shorter",
		    log_uint("pages", part->pages));
	if (!part->listing)
		end_part(source, part);
	step(source, answer);
}

static void begin_part(struct eyes_source *source, struct part *part, struct err *err)
{
	char start[CLOCK_TEXT], end[CLOCK_TEXT], path[PATH_MAX_BYTES];

	batches_part_span(&part->span, server_now_ms(source), start, end);
	snprintf(path, sizeof(path), LIST "?start=%s&end=%s&pageSize=100", start, end);
	if (!eyes_request_url(&part->next, eyes_base(source->eyes), path, err))
		fatal("batches: no address to list: %s", err->message);
	part->listing = true;
	part->redo = false;
	part->pages = 0;
	part->began_ms = clock_monotonic_ms();
}

/* Asks for the next page of the first part that has one to ask for. */
static bool list(struct eyes_source *source)
{
	uint64_t now_ms = clock_monotonic_ms();
	struct err err = ERR_INIT;

	for (unsigned i = 0; i < source->part_count; i++) {
		struct part *part = &source->parts[i];
		if (source->pages >= (i == 0 ? PAGES_YOUNG : PAGES))
			continue;
		if (!part->listing &&
		    (part->done == source->number ||
		        !batches_part_due(&part->span, part->ever, part->last_ms, now_ms)))
			continue;
		if (!part->listing)
			begin_part(source, part, &err);
		source->asked = part;
		source->call = eyes_send(source->eyes,
		    &(struct eyes_options){.method = "GET", .url = &part->next, .repeatable = true},
		    listed, source);
		return true;
	}
	return false;
}

/* ---- details ---- */

/* For a batch whose page is not known. */
static void fallback_url(const struct eyes_source *source, char out[UPDATE_URL_MAX + 1])
{
	const struct url *base = eyes_base(source->eyes);

	url_origin(base, out, UPDATE_URL_MAX + 1);
	size_t used = strlen(out);
	if (used + strlen(base->path) <= UPDATE_URL_MAX)
		memcpy(out + used, base->path, strlen(base->path) + 1);
}

static void detail_failed(
    struct eyes_source *source, struct batches_work *work, const struct eyes_answer *answer)
{
	const struct batch_entry *entry = &work->row.entries[work->state.shown];
	char base[UPDATE_URL_MAX + 1];

	fallback_url(source, base);
	if (answer->status == 404 && entry->listed != source->number) {
		works_drop_shown(work);
	} else if (answer->too_large && !work->row.hint_tried) {
		works_skip_hint(work);
	} else if (answer->status == 404 || answer->too_large ||
	           (answer->status / 100 == 5 && ++work->failures >= DETAIL_TRIES)) {
		works_set_detail(work, base, "", true);
	} else if (!source->failed) {
		source->failed = true;
		err_copy(&source->failed_err, answer->err);
		source->failed_answer = *answer;
		source->failed_answer.err = &source->failed_err;
		source->failed_answer.head = NULL;
		source->failed_answer.body = NULL;
		source->failed_answer.body_length = 0;
		source->failed_answer.trace = NULL;
	}
}

static void detailed(const struct eyes_answer *answer, void *arg)
{
	struct batches_work *work = arg;
	struct eyes_source *source = work->source;
	struct batch_detail detail = {0};
	char base[UPDATE_URL_MAX + 1];

	work->call = NULL;
	source->details_under_way--;
	if (answer->err != NULL) {
		detail_failed(source, work, answer);
	} else {
		/* One that cannot be read has no url: then it is that of the Eyes server. */
		bool read = batches_parse_detail(answer->body, answer->body_length, &detail, NULL);
		fallback_url(source, base);
		works_set_detail(work, detail.url[0] != '\0' ? detail.url : base, detail.hint,
		    !read || update_state_final(work->state.state));
	}
	step(source, answer);
}

/* Whether there is something to wait for. */
static bool ask_details(struct eyes_source *source)
{
	struct batches_work *work;
	size_t position = 0;

	while (!source->failed && source->details_under_way < DETAILS_AT_ONCE &&
	       source->details < DETAILS &&
	       (work = map_next(&source->works.map, &position)) != NULL) {
		if (work->call != NULL || !works_needs_detail(work))
			continue;
		source->details++;
		source->details_under_way++;
		ask_batch(source, work->row.entries[work->state.shown].id, work->row.hint_tried,
		    DETAIL_BODY, detailed, work, &work->call);
	}
	return source->details_under_way > 0;
}

/* ---- the poll ---- */

/* On to the next call, or to the end. */
static void step(struct eyes_source *source, const struct eyes_answer *answer)
{
	if (source->phase == PHASE_CHECKING) {
		if (check(source))
			return;
		set_phase(source, PHASE_LISTING);
	}
	if (source->phase == PHASE_LISTING) {
		if (list(source))
			return;
		if (paused(source)) {
			log_limited_warn(&source->paging_said, "batches",
			    "more pages than one poll asks for; it goes on in the next",
			    log_uint("pages", source->pages));
			report(source, answer);
			return;
		}
		works_clean(&source->works);
		set_phase(source, PHASE_DETAILING);
	}
	if (!ask_details(source))
		report(source, answer);
}

static void batches_poll(struct eyes_source *source, const char *const *hosts, unsigned host_count,
    bool wait, eyes_poll_fn *fn, void *arg)
{
	(void)hosts;
	(void)host_count;
	(void)wait;
	if (source->phase != PHASE_IDLE)
		fatal("batches: a second poll while one is under way");
	source->fn = fn;
	source->arg = arg;
	source->number++;
	source->pages = 0;
	source->details = 0;
	source->failed = false;
	source->clock_moved = false;
	source->checks_left =
	    source->open_count < BATCHES_OPEN_A_POLL ? source->open_count : BATCHES_OPEN_A_POLL;
	set_phase(source, PHASE_CHECKING);
	/* The youngest part is always due, so that there is a call and no completion inside this
	 * one. */
	step(source, NULL);
}

static struct eyes_source *batches_create(const struct eyes_source_config *config)
{
	struct eyes_source *source = mem_zero(sizeof(*source));
	struct batches_part spans[BATCHES_PARTS];
	char marker[8];

	source->loop = config->loop;
	source->eyes = config->eyes;
	source->key = mem_string(config->status_key);
	source->part_count = batches_schedule(config->window_ms, spans);
	for (unsigned i = 0; i < source->part_count; i++)
		source->parts[i].span = spans[i];
	works_init(&source->works, config->loop, &config->memory, source);
	source->first_pass =
	    config->memory.get(FIRST_PASS, marker, sizeof(marker), config->memory.arg) < 0;
	return source;
}

static void batches_destroy(struct eyes_source *source)
{
	struct batches_work *work;
	size_t position = 0;

	if (source == NULL)
		return;
	eyes_cancel(source->call);
	while ((work = map_next(&source->works.map, &position)) != NULL)
		eyes_cancel(work->call);
	works_free(&source->works);
	free(source->key);
	free(source);
}

static void batches_handled(struct eyes_source *source, const struct eyes_item *item)
{
	works_handled(&source->works, item);
}

const struct eyes_source_driver eyes_source_batches = {
    .name = "batches",
    .acknowledges = false,
    .create = batches_create,
    .destroy = batches_destroy,
    .poll = batches_poll,
    .handled = batches_handled,
    .acknowledge = NULL,
};
