/* What people do with the events that wait, or that cannot be passed on. */
#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "service/job.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { DETAIL_MAX = 400 };

static enum service_fault fault_of(const struct err *err)
{
	if (err_is(err, "not_found"))
		return SERVICE_NOT_FOUND;
	return err_is(err, "in_flight") ? SERVICE_CONFLICT : SERVICE_STORE;
}

static void note(struct service_number *number, const struct err *err)
{
	number->fault = err->code != NULL ? fault_of(err) : SERVICE_OK;
	number->code = err->code;
	snprintf(number->message, sizeof(number->message), "%.255s", err->message);
	snprintf(number->hint, sizeof(number->hint), "%.199s", err->hint);
}

/* One row for all of them: "event 17", or "3 events" and which. */
static void audit_some(struct service *service, const char *who, const char *action,
    const struct service_number *numbers, unsigned count, unsigned done)
{
	struct buf detail;
	char *subject;
	uint64_t one = 0;

	if (done == 0)
		return;
	buf_init(&detail, DETAIL_MAX);
	for (unsigned i = 0; i < count; i++)
		if (numbers[i].fault == SERVICE_OK) {
			one = numbers[i].number;
			buf_printf(&detail, "%s%" PRIu64, detail.length > 0 ? ", " : "", one);
		}
	subject = done == 1 ? mem_printf("event %" PRIu64, one) : mem_printf("%u events", done);
	job_audit(
	    service, who, action, subject, done == 1 || detail.data == NULL ? "" : detail.data);
	free(subject);
	buf_free(&detail);
}

/* ---- which of them wait ---- */

struct waiting {
	struct map wanted; /* number -> service_number */
	unsigned found;
};

static bool mark_waiting(const struct event_entry *entry, bool dead, void *arg)
{
	struct waiting *waiting = arg;
	struct service_number *number =
	    map_remove(&waiting->wanted, &entry->number, sizeof(entry->number));

	(void)dead;
	if (number != NULL) {
		note(number, &(struct err)ERR_INIT);
		waiting->found++;
	}
	return waiting->wanted.count > 0;
}

/* What is not dead may wait: it is tried now. */
static unsigned find_waiting(
    struct service *service, struct service_number *numbers, unsigned count)
{
	struct waiting waiting = {0};

	map_init(&waiting.wanted);
	for (unsigned i = 0; i < count; i++)
		if (numbers[i].fault == SERVICE_NOT_FOUND)
			map_put(&waiting.wanted, &numbers[i].number, sizeof(numbers[i].number),
			    &numbers[i]);
	if (waiting.wanted.count > 0)
		events_walk(service->parts.events, false, mark_waiting, &waiting);
	map_free(&waiting.wanted);
	return waiting.found;
}

/* ---- the actions ---- */

unsigned service_events_retry(struct service *service, const char *who,
    struct service_number *numbers, unsigned count, service_fn *fn, void *arg)
{
	uint64_t lost = db_lost(service->parts.db);
	uint32_t lanes[SERVICE_NUMBERS_MAX];
	unsigned revived = 0, waiting;

	for (unsigned i = 0; i < count && db_lost(service->parts.db) == lost; i++) {
		struct err err = ERR_INIT;

		if (events_retry(service->parts.events, numbers[i].number, &lanes[revived], &err))
			revived++;
		note(&numbers[i], &err);
	}
	waiting = find_waiting(service, numbers, count);
	audit_some(service, who, "events.retry", numbers, count, revived + waiting);
	job_after_commit(service, lost, fn, arg);
	for (unsigned i = 0; i < revived; i++)
		forwarder_wake(service->parts.forwarder, lanes[i]);
	if (waiting > 0)
		forwarder_kick(service->parts.forwarder);
	return revived + waiting;
}

struct dead {
	uint64_t *numbers;
	size_t count, capacity;
};

static bool collect(const struct event_entry *entry, bool dead, void *arg)
{
	struct dead *list = arg;

	(void)dead;
	if (list->count == list->capacity) {
		list->capacity = list->capacity == 0 ? 64 : list->capacity * 2;
		list->numbers = mem_grow(list->numbers, list->capacity, sizeof(*list->numbers));
	}
	list->numbers[list->count++] = entry->number;
	return true;
}

/* Also what was moved before an error. */
static void audit_all(struct service *service, const char *who, uint64_t done, bool part)
{
	char *subject;

	if (part && done == 0)
		return;
	subject = part ? mem_printf("%" PRIu64 " event%s", done, done == 1 ? "" : "s")
	               : mem_printf("all events");
	job_audit(service, who, "events.retry", subject,
	    part ? "all were meant; the others stay dead" : "");
	free(subject);
}

uint64_t service_events_retry_all(
    struct service *service, const char *who, service_fn *fn, void *arg)
{
	uint64_t lost = db_lost(service->parts.db), done = 0, full = 0;
	struct events_counts counts;
	struct err err = ERR_INIT;
	struct dead list = {0};
	uint32_t lane;

	events_count(service->parts.events, &counts);
	events_walk(service->parts.events, true, collect, &list);
	for (size_t i = 0; i < list.count && err.code == NULL; i++) {
		struct err one = ERR_INIT;

		if (events_retry(service->parts.events, list.numbers[i], &lane, &one))
			done++;
		else if (err_is(&one, "store_full"))
			full++; /* there may be room for a smaller one, or in another lane */
		else
			err_copy(&err, &one);
	}
	free(list.numbers);
	if (db_lost(service->parts.db) == lost)
		audit_all(service, who, done, full > 0 || err.code != NULL);
	if (err.code == NULL && full > 0) {
		err_set(&err, "store_full",
		    "%" PRIu64 " of %zu events that could not be passed on wait again: there is no "
		    "room for the others",
		    done, list.count);
		err_hint(&err, "Retry the others when some have been passed on.");
	}
	if (err.code != NULL)
		job_fail(service, fault_of(&err), &err, fn, arg);
	else
		job_after_commit(service, lost, fn, arg);
	forwarder_kick(service->parts.forwarder);
	return done + counts.waiting;
}

/* Those that wait, their lanes (EVENTS_NOWHERE: dead, or not there). */
static void find_lanes(struct service *service, const struct service_number *numbers,
    unsigned count, uint32_t lanes[SERVICE_NUMBERS_MAX])
{
	uint64_t wanted[SERVICE_NUMBERS_MAX];

	for (unsigned i = 0; i < count; i++)
		wanted[i] = numbers[i].number;
	events_find(service->parts.events, wanted, count, lanes);
}

static bool is_first(struct service *service, uint32_t lane, uint64_t number)
{
	struct event_entry entry;

	return lane != EVENTS_NOWHERE && events_first(service->parts.events, lane, &entry) &&
	       entry.number == number;
}

unsigned service_events_drop(struct service *service, const char *who,
    struct service_number *numbers, unsigned count, service_fn *fn, void *arg)
{
	struct forwarder *forwarder = service->parts.forwarder;
	uint64_t lost = db_lost(service->parts.db);
	uint32_t lanes[SERVICE_NUMBERS_MAX];
	struct forwarder_health health;
	unsigned done = 0;
	bool moved = false;

	find_lanes(service, numbers, count, lanes);
	for (unsigned i = 0; i < count && db_lost(service->parts.db) == lost; i++) {
		uint64_t number = numbers[i].number;
		bool first = is_first(service, lanes[i], number);
		struct err err = ERR_INIT;

		if (events_drop_in(service->parts.events, lanes[i], number,
		        forwarder_is_sending(forwarder, number) ? number : 0, &err)) {
			done++;
			moved = moved || first;
		}
		note(&numbers[i], &err);
	}
	audit_some(service, who, "events.drop", numbers, count, done);
	bus_publish(service->parts.bus, BUS_EVENTS, 0);
	job_after_commit(service, lost, fn, arg);
	forwarder_health(forwarder, &health);
	if (moved && (health.held > 0 || health.failing)) /* what held others up may be gone */
		forwarder_kick(forwarder);
	return done;
}
