/* The documented batches API (Applitools, REST API): a list in pages, newest first, and one batch.
 */
#include "sim/sim_eyes.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

#define DAYS_30_MS (INT64_C(30) * 24 * 3600 * 1000)
#define PAGE_DEFAULT 20
#define PAGE_MAX 100

static const char *const classes[] = {
    "passed", "failed", "unresolved", "new", "aborted", "empty", "total"};
#define CLASSES (sizeof(classes) / sizeof(classes[0]))

struct batch {
	int64_t started_ms;
	uint64_t order;
	json_t *data; /* id, pointerId, the counts, status, batchUrl, tests */
};

struct eyes_batches {
	struct batch **list; /* newest first when sorted */
	size_t count, room;
	uint64_t last_order;
	bool sorted;
	struct map by_id; /* id -> struct batch */
};

/* ---- set-up ---- */

static struct eyes_batches *batches_of(struct eyes *eyes)
{
	if (!eyes->batches) {
		eyes->batches = mem_zero(sizeof(*eyes->batches));
		map_init(&eyes->batches->by_id);
	}
	return eyes->batches;
}

static struct batch *batch_of(struct eyes_batches *batches, const char *id)
{
	struct sim_name name = sim_name_text(id);
	struct batch *batch = sim_name_get(&batches->by_id, &name);
	if (batch)
		return batch;
	batch = mem_zero(sizeof(*batch));
	batch->started_ms = clock_wall_ms();
	batch->order = ++batches->last_order;
	batch->data = json_object();
	if (batches->count == batches->room) {
		batches->room = batches->room ? 2 * batches->room : 64;
		batches->list = mem_grow(batches->list, batches->room, sizeof(batch));
	}
	batches->list[batches->count++] = batch;
	sim_name_put(&batches->by_id, &name, batch);
	return batch;
}

static void complete(struct batch *batch, const json_t *given)
{
	json_t *data = batch->data;
	json_int_t sum = 0;
	for (unsigned i = 0; i < CLASSES; i++) {
		if (i + 1 < CLASSES)
			sum += json_integer_value(json_object_get(data, classes[i]));
		else if (!json_object_get(given, "total"))
			json_object_set_new(data, "total", json_integer(sum));
		if (!json_object_get(data, classes[i]))
			json_object_set_new(data, classes[i], json_integer(0));
	}
	if (!json_object_get(data, "status"))
		json_object_set_new(data, "status", json_string("Completed"));
	if (!json_object_get(data, "pointerId"))
		json_object_set(data, "pointerId", json_object_get(data, "id"));
	if (!json_object_get(data, "batchUrl")) {
		const char *id = sim_json_text(data, "id", "");
		char *url = mem_printf("https://eyes.example.com/app/batches/%s", id);
		json_object_set_new(data, "batchUrl", json_string(url));
		free(url);
	}
	if (!json_object_get(data, "tests"))
		json_object_set_new(data, "tests", json_array());
}

static bool post_batch(struct eyes_batches *batches, const json_t *json, struct err *err)
{
	const char *id = sim_json_text(json, "id", NULL);
	const char *started = sim_json_text(json, "startedAt", NULL);
	int64_t started_ms;
	if (!sim_json_known(json,
	        "id pointerId startedAt passed failed unresolved new aborted empty total status "
	        "batchUrl tests",
	        err))
		return false;
	if (!id)
		return err_set(err, "json", "a batch needs id");
	if (started && !clock_parse_rfc3339(started, &started_ms))
		return err_set(err, "json", "startedAt is not an RFC 3339 time");
	struct batch *batch = batch_of(batches, id);
	if (started)
		batch->started_ms = started_ms;
	json_object_update(batch->data, (json_t *)json);
	complete(batch, json);
	batches->sorted = false;
	return true;
}

void eyes_post_batches(struct sim_request *request, void *app)
{
	struct eyes_batches *batches = batches_of(app);
	struct err err = ERR_INIT;
	json_t *body = sim_json_body(request);
	size_t i;
	json_t *item;
	if (!body)
		return;
	bool good = sim_json_known(body, "batches", &err);
	json_array_foreach(json_object_get(body, "batches"), i, item)
	{
		good = good && post_batch(batches, item, &err);
	}
	json_decref(body);
	if (good)
		sim_answer(request, 204, NULL, "", 0);
	else
		sim_answer_error(request, 400, "%s", err.message);
}

/* ---- the API ---- */

static int newer(const void *a, const void *b)
{
	const struct batch *left = *(struct batch *const *)a;
	const struct batch *right = *(struct batch *const *)b;
	if (left->started_ms != right->started_ms)
		return left->started_ms < right->started_ms ? 1 : -1;
	return left->order < right->order ? 1 : -1;
}

struct page {
	int64_t start_ms, end_ms, size,
	    skip_to; /* skip_to: `order` of the first batch wanted; 0: from the newest */
	const char *fault;
};

static bool read_time(const struct sim_request *request, const char *name, int64_t *ms)
{
	struct buf text;
	buf_init(&text, 256);
	bool good = !sim_query(request, name, 0, &text) ||
	            (text.length && clock_parse_rfc3339(text.data, ms));
	buf_free(&text);
	return good;
}

static bool known_parameters(const char *query)
{
	static const char *const known[] = {"start=", "end=", "pageSize=", "skipTo="};
	for (const char *at = query; *at; at += strcspn(at, "&"), at += *at == '&') {
		bool found = false;
		for (unsigned i = 0; i < 4; i++)
			found = found || strncmp(at, known[i], strlen(known[i])) == 0;
		if (!found)
			return false;
	}
	return true;
}

static bool read_page(const struct sim_request *request, struct page *page)
{
	*page = (struct page){.end_ms = clock_wall_ms() + 1000};
	page->start_ms = page->end_ms - DAYS_30_MS;
	page->size = sim_query_integer(request, "pageSize", PAGE_DEFAULT);
	page->skip_to = sim_query_integer(request, "skipTo", 0);
	if (!read_time(request, "start", &page->start_ms) ||
	    !read_time(request, "end", &page->end_ms))
		page->fault = "start and end must be RFC 3339 times";
	else if (page->start_ms > page->end_ms)
		page->fault = "start is after end";
	else if (page->size < 1 || page->size > PAGE_MAX)
		page->fault = "pageSize must be 1 to 100";
	else if (!known_parameters(request->query))
		page->fault = "unknown query parameter";
	return !page->fault;
}

static void put_link(struct sim_request *request, const struct page *page, uint64_t next)
{
	char origin[320];
	char start[CLOCK_TEXT];
	char end[CLOCK_TEXT];
	sim_request_origin(request, origin, sizeof(origin));
	clock_rfc3339(start, page->start_ms, true);
	clock_rfc3339(end, page->end_ms, true);
	char *link = mem_printf("<%s%s?start=%s&end=%s&pageSize=%lld&skipTo=%llu>; rel=\"next\"",
	    origin, request->path, start, end, (long long)page->size, (unsigned long long)next);
	sim_answer_field(request, "Link", link);
	free(link);
}

static json_t *summary(const struct batch *batch)
{
	json_t *out = json_object();
	json_object_set(out, "id", json_object_get(batch->data, "id"));
	json_object_set(out, "pointerId", json_object_get(batch->data, "pointerId"));
	for (unsigned i = 0; i < CLASSES; i++)
		json_object_set(out, classes[i], json_object_get(batch->data, classes[i]));
	json_object_set(out, "status", json_object_get(batch->data, "status"));
	return out;
}

void eyes_list_batches(struct sim_request *request, void *app)
{
	struct eyes_batches *batches = batches_of(app);
	struct page page;
	if (!read_page(request, &page)) {
		sim_answer_error(request, 400, "%s", page.fault);
		return;
	}
	if (!batches->sorted && batches->count)
		qsort(batches->list, batches->count, sizeof(*batches->list), newer);
	batches->sorted = true;
	json_t *list = json_array();
	bool skipping = page.skip_to > 0;
	for (size_t i = 0; i < batches->count; i++) {
		const struct batch *batch = batches->list[i];
		skipping = skipping && batch->order != (uint64_t)page.skip_to;
		if (skipping || batch->started_ms < page.start_ms ||
		    batch->started_ms > page.end_ms)
			continue;
		if ((int64_t)json_array_size(list) == page.size) {
			put_link(request, &page, batch->order);
			break;
		}
		json_array_append_new(list, summary(batch));
	}
	sim_answer_json(request, 200, json_pack("{s:o}", "batches", list));
}

static const struct batch *find(const struct eyes_batches *batches, const char *id)
{
	struct sim_name name = sim_name_text(id);
	const struct batch *found = sim_name_get(&batches->by_id, &name);
	for (size_t i = 0; !found && i < batches->count; i++)
		if (strcmp(sim_json_text(batches->list[i]->data, "pointerId", ""), id) == 0)
			found = batches->list[i];
	return found;
}

void eyes_get_batch(struct sim_request *request, void *app)
{
	struct eyes *eyes = app;
	const struct batch *batch = find(batches_of(eyes), request->variable[0]);
	struct buf text;
	if (!batch) {
		sim_answer_error(request, 404, "no such batch");
		return;
	}
	buf_init(&text, 64);
	bool stats_only = sim_query(request, "statsOnly", 0, &text) && text.length &&
	                  strcmp(text.data, "true") == 0;
	buf_free(&text);
	json_t *statistics = json_object();
	for (unsigned i = 0; i < CLASSES; i++)
		json_object_set(statistics, classes[i], json_object_get(batch->data, classes[i]));
	json_t *out = json_pack("{s:o,s:O}", "statistics", statistics, "batchUrl",
	    json_object_get(batch->data, "batchUrl"));
	if (!stats_only)
		json_object_set(out, "tests", json_object_get(batch->data, "tests"));
	sim_answer_json(request, 200, out);
}

size_t eyes_batch_count(const struct eyes *eyes)
{
	return eyes->batches ? eyes->batches->count : 0;
}

void eyes_clear_batches(struct eyes *eyes)
{
	struct eyes_batches *batches = eyes->batches;
	if (!batches)
		return;
	for (size_t i = 0; i < batches->count; i++) {
		json_decref(batches->list[i]->data);
		free(batches->list[i]);
	}
	map_free(&batches->by_id);
	free(batches->list);
	free(batches);
	eyes->batches = NULL;
}
