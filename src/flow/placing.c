#include "flow/placing.h"
#include "base/mem.h"
#include "flow/commit_watch.h"
#include <stdlib.h>

struct placing {
	struct placing_options options;
	const struct eyes_source_driver *driver;
	struct eyes_source *source;
	struct eyes_item *items; /* copies, each with strings of its own */
	unsigned count, next, placed;
	bool full;
	struct commit_watch *committing;
	struct locate_search *search;
	uint32_t *wakes;
	size_t wake_count, wake_capacity;
	struct err err;
	placing_fn *fn; /* NULL while nothing runs */
	void *arg;
};

static void place_next(struct placing *p);

struct placing *placing_new(const struct placing_options *options)
{
	struct placing *p = mem_zero(sizeof(*p));

	p->options = *options;
	return p;
}

static void copy_item(struct eyes_item *to, const struct eyes_item *from)
{
	*to = *from;
	to->server = to->project = to->repository = NULL;
	to->invalid = NULL;
	to->id = mem_string(from->id);
	to->hint = mem_string(from->hint != NULL ? from->hint : "");
	to->update.commit = mem_string(from->update.commit);
	to->update.key = mem_string(from->update.key);
	to->update.name = mem_string(from->update.name);
	to->update.description = mem_string(from->update.description);
	to->update.url = mem_string(from->update.url);
	to->update.ref = mem_string(from->update.ref);
}

static void forget_items(struct placing *p)
{
	for (unsigned i = 0; i < p->count; i++) {
		struct eyes_item *item = &p->items[i];

		free((char *)item->id);
		free((char *)item->hint);
		free((char *)item->update.commit);
		free((char *)item->update.key);
		free((char *)item->update.name);
		free((char *)item->update.description);
		free((char *)item->update.url);
		free((char *)item->update.ref);
	}
	free(p->items);
	p->items = NULL;
	p->count = 0;
}

static void committed(const struct err *err, void *arg)
{
	struct placing *p = arg;
	placing_fn *fn = p->fn;

	p->committing = NULL;
	p->fn = NULL;
	if (err != NULL) {
		err_copy(&p->err, err);
		p->placed = 0;
	}
	/* Also when the last group is lost: most were in groups before it. */
	for (size_t i = 0; i < p->wake_count; i++)
		p->options.wake(p->wakes[i], p->options.arg);
	p->wake_count = 0;
	forget_items(p);
	fn(p->placed, p->full, p->err.code != NULL ? &p->err : NULL, p->arg);
}

static void note_wake(struct placing *p, uint32_t repo)
{
	if (p->wake_count == p->wake_capacity) {
		p->wake_capacity = p->wake_capacity == 0 ? 16 : p->wake_capacity * 2;
		p->wakes = mem_grow(p->wakes, p->wake_capacity, sizeof(*p->wakes));
	}
	p->wakes[p->wake_count++] = repo;
}

static void located(const struct locate_answer *answer, void *arg)
{
	struct placing *p = arg;
	struct eyes_item *item = &p->items[p->next++];
	bool handled = answer->given_up || (answer->complete && answer->count > 0);

	p->search = NULL;
	if (answer->err != NULL)
		err_copy(&p->err, answer->err);
	for (unsigned i = 0; i < answer->count && !p->full; i++) {
		switch (intake_place(p->options.intake, item, answer->repos[i], &p->err)) {
		case INTAKE_NEW:
			p->placed++;
			note_wake(p, answer->repos[i]);
			break;
		case INTAKE_FULL:
			p->full = true;
			handled = false;
			break;
		case INTAKE_FAILED:
			handled = false;
			break;
		default:
			break;
		}
	}
	if (handled)
		p->driver->handled(p->source, item);
	place_next(p);
}

static void place_next(struct placing *p)
{
	const struct eyes_item *item;

	if (p->full || p->next == p->count) {
		p->committing = commit_watch_new(p->options.db, committed, p);
		return;
	}
	item = &p->items[p->next];
	p->search = locate_find(p->options.locate, item->update.commit, item->hint, located, p);
}

void placing_run(struct placing *p, const struct eyes_source_driver *driver,
    struct eyes_source *source, const struct eyes_item *items, unsigned count, placing_fn *fn,
    void *arg)
{
	p->driver = driver;
	p->source = source;
	p->items = mem_array(count, sizeof(*items));
	p->count = count;
	p->next = p->placed = 0;
	p->full = false;
	p->err = (struct err)ERR_INIT;
	p->fn = fn;
	p->arg = arg;
	for (unsigned i = 0; i < count; i++)
		copy_item(&p->items[i], &items[i]);
	place_next(p);
}

void placing_cancel(struct placing *p)
{
	if (p->search != NULL)
		locate_cancel(p->search);
	p->search = NULL;
	commit_watch_cancel(p->committing);
	p->committing = NULL;
	p->fn = NULL;
	p->wake_count = 0;
	forget_items(p);
}

void placing_free(struct placing *p)
{
	if (p == NULL)
		return;
	placing_cancel(p);
	free(p->wakes);
	free(p);
}
