#include "service/listings.h"
#include "base/clock.h"
#include "base/mem.h"
#include <stdlib.h>

#define KEEP_MS (15ull * 60 * 1000)
#define LOOK_MS 60000

struct kept {
	struct listings *listings;
	uint64_t number;  /* 0: free */
	uint64_t used_ms; /* monotonic */
	uint32_t server;
	enum listing_state state;
	struct listing_row *rows;
	unsigned count, capacity;
	bool truncated;
	struct err err;
};

struct reading { /* outlives its place when a newer one takes it */
	struct listings *listings;
	uint64_t number;
	struct reading *next, **link;
};

struct listings {
	struct service *service;
	struct bus *bus;
	struct loop_timer timer;
	struct kept list[LISTINGS_KEPT];
	struct reading *readings;
	uint64_t last;
};

static void empty(struct kept *kept)
{
	for (unsigned i = 0; i < kept->count; i++) {
		free(kept->rows[i].project);
		free(kept->rows[i].slug);
		free(kept->rows[i].name);
	}
	free(kept->rows);
	kept->rows = NULL;
	kept->count = kept->capacity = 0;
}

/* Forgets what nobody has used for a while; looks once a minute as long as there is something. */
static void look(void *arg)
{
	struct listings *listings = arg;
	uint64_t now = clock_monotonic_ms();
	bool any = false;

	for (unsigned i = 0; i < LISTINGS_KEPT; i++) {
		struct kept *kept = &listings->list[i];

		if (kept->number == 0)
			continue;
		if (kept->state != LISTING_READING && now - kept->used_ms > KEEP_MS) {
			empty(kept);
			kept->number = 0;
		}
		any = any || kept->number != 0;
	}
	if (any)
		loop_timer_set(&listings->timer, LOOK_MS);
}

struct listings *listings_new(struct service *service, struct loop *loop, struct bus *bus)
{
	struct listings *listings = mem_zero(sizeof(*listings));

	listings->service = service;
	listings->bus = bus;
	loop_timer_init(&listings->timer, loop, look, listings);
	return listings;
}

static void reading_free(struct reading *reading)
{
	*reading->link = reading->next;
	if (reading->next != NULL)
		reading->next->link = reading->link;
	free(reading);
}

void listings_free(struct listings *listings)
{
	if (listings == NULL)
		return;
	loop_timer_cancel(&listings->timer);
	for (unsigned i = 0; i < LISTINGS_KEPT; i++)
		empty(&listings->list[i]);
	while (listings->readings != NULL)
		reading_free(listings->readings);
	free(listings);
}

static struct kept *find(struct listings *listings, uint64_t number)
{
	for (unsigned i = 0; i < LISTINGS_KEPT; i++)
		if (number != 0 && listings->list[i].number == number)
			return &listings->list[i];
	return NULL;
}

static void add_row(struct kept *kept, const struct service_listed *repo)
{
	if (kept->count == kept->capacity) {
		kept->capacity = kept->capacity == 0 ? 256 : kept->capacity * 2;
		kept->rows = mem_grow(kept->rows, kept->capacity, sizeof(*kept->rows));
	}
	kept->rows[kept->count++] = (struct listing_row){
	    .project = mem_string(repo->project),
	    .slug = mem_string(repo->slug),
	    .name = mem_string(repo->name),
	    .is_public = repo->is_public,
	    .archived = repo->archived,
	    .access = repo->access,
	};
}

static void page_read(const struct service_listed *repos, unsigned count, void *arg)
{
	struct reading *reading = arg;
	struct kept *kept = find(reading->listings, reading->number);

	if (kept == NULL)
		return;
	while (kept->count < count)
		add_row(kept, &repos[kept->count]);
	bus_publish(reading->listings->bus, BUS_LISTING, reading->number);
}

static void all_read(const struct service_result *result, const struct service_listed *repos,
    unsigned count, bool truncated, void *arg)
{
	struct reading *reading = arg;
	struct kept *kept = find(reading->listings, reading->number);

	if (kept != NULL) {
		kept->state = result->fault == SERVICE_OK ? LISTING_DONE : LISTING_FAILED;
		err_copy(&kept->err, result->err);
		kept->truncated = truncated;
		if (result->fault == SERVICE_OK) {
			empty(kept); /* now in order */
			for (unsigned i = 0; i < count; i++)
				add_row(kept, &repos[i]);
		}
		kept->used_ms = clock_monotonic_ms();
		bus_publish(reading->listings->bus, BUS_LISTING, reading->number);
	}
	reading_free(reading);
}

static struct kept *oldest(struct listings *listings)
{
	struct kept *kept = &listings->list[0];

	for (unsigned i = 0; i < LISTINGS_KEPT; i++) {
		if (listings->list[i].number == 0)
			return &listings->list[i];
		if (listings->list[i].used_ms < kept->used_ms)
			kept = &listings->list[i];
	}
	return kept;
}

uint64_t listings_start(struct listings *listings, uint32_t server, const struct secret *token)
{
	struct kept *kept = oldest(listings);
	struct reading *reading = mem_zero(sizeof(*reading));
	struct service_list_progress progress = {.fn = page_read, .arg = reading};

	empty(kept);
	*kept = (struct kept){.listings = listings,
	    .number = ++listings->last,
	    .server = server,
	    .used_ms = clock_monotonic_ms()};
	reading->listings = listings;
	reading->number = kept->number;
	reading->next = listings->readings;
	reading->link = &listings->readings;
	if (reading->next != NULL)
		reading->next->link = &reading->next;
	listings->readings = reading;
	loop_timer_set(&listings->timer, LOOK_MS);
	service_list_repos(listings->service, server, token, "", &progress, all_read, reading);
	return kept->number;
}

bool listings_view(struct listings *listings, uint64_t number, struct listing_view *out)
{
	struct kept *kept = find(listings, number);

	if (kept == NULL)
		return false;
	kept->used_ms = clock_monotonic_ms();
	*out = (struct listing_view){
	    .state = kept->state,
	    .server = kept->server,
	    .rows = kept->rows,
	    .count = kept->count,
	    .truncated = kept->truncated,
	    .err = kept->state == LISTING_FAILED ? &kept->err : NULL,
	};
	return true;
}
