#include "eyes/batches_works.h"

#include "base/mem.h"
#include "eyes/batches_schedule.h"
#include <stdlib.h>
#include <string.h>

void works_init(struct batches_works *works, struct loop *loop, const struct eyes_memory *memory,
    struct eyes_source *source)
{
	*works = (struct batches_works){.loop = loop, .memory = *memory, .source = source};
	map_init(&works->map);
	buf_init(&works->packed, EYES_MEMORY_MAX);
	works->read = mem_zero(EYES_MEMORY_MAX);
}

static void work_free(void *arg)
{
	struct batches_work *work = arg;

	batches_row_free(&work->row);
	free(work);
}

void works_free(struct batches_works *works)
{
	struct batches_work *work;
	size_t position = 0;

	while ((work = map_next(&works->map, &position)) != NULL)
		loop_defer(works->loop, work_free, work);
	map_free(&works->map);
	buf_free(&works->packed);
	free(works->read);
}

/* ---- rows ---- */

/* An empty row when nothing is known. Whether something was. */
static bool load(struct batches_works *works, const char *sha, struct batches_row *row)
{
	ptrdiff_t length = works->memory.get(sha, works->read, EYES_MEMORY_MAX, works->memory.arg);

	batches_row_init(row);
	return length >= 0 && batches_row_unpack(row, works->read, (size_t)length);
}

static void keep(struct batches_works *works, const char *sha, const struct batches_row *row)
{
	buf_reset(&works->packed);
	batches_row_pack(row, &works->packed);
	if (works->packed.overflow)
		fatal("batches: a row is larger than %d bytes", EYES_MEMORY_MAX);
	works->memory.set(sha, works->packed.data, works->packed.length, works->memory.arg);
}

static struct batches_work *find(const struct batches_works *works, const char *sha)
{
	return map_get(&works->map, sha, UPDATE_COMMIT);
}

static void restate(struct batches_work *work)
{
	work->empty = !batches_state_of(&work->row, &work->state);
}

static bool as_reported(const struct batches_work *work)
{
	return work->empty || work->state.digest == work->row.reported;
}

static void forget(struct batches_works *works, struct batches_work *work)
{
	map_remove(&works->map, work->sha, UPDATE_COMMIT);
	loop_defer(works->loop, work_free, work);
}

/* ---- listing ---- */

static void add(struct batches_works *works, const char *sha, const struct batches_row *row)
{
	struct batches_work *work = mem_zero(sizeof(*work));

	memcpy(work->sha, sha, sizeof(work->sha));
	work->source = works->source;
	batches_row_copy(&work->row, row);
	restate(work);
	map_put(&works->map, work->sha, UPDATE_COMMIT, work);
}

static enum works_taken take_new(
    struct batches_works *works, const struct batch_listed *listed, bool old)
{
	enum works_taken taken = WORKS_TAKEN;
	struct batches_row row;
	struct batches_state state;

	load(works, listed->sha, &row);
	bool changed = batches_row_merge(&row, &listed->entry) == BATCHES_CHANGED;
	batches_state_of(&row, &state);
	if (state.digest == row.reported) {
		if (changed)
			keep(works, listed->sha, &row);
	} else if (old) {
		row.reported = state.digest;
		row.state = state.state;
		keep(works, listed->sha, &row);
	} else if (works->map.count >= WORKS_MAX) {
		taken = WORKS_FULL;
	} else {
		add(works, listed->sha, &row);
	}
	batches_row_free(&row);
	return taken;
}

enum works_taken works_take(
    struct batches_works *works, const struct batch_listed *listed, bool old)
{
	struct batches_work *work = find(works, listed->sha);

	if (work == NULL)
		return take_new(works, listed, old);
	if (batches_row_merge(&work->row, &listed->entry) == BATCHES_CHANGED) {
		work->kept = false;
		restate(work);
	}
	return WORKS_TAKEN;
}

/* ---- details ---- */

bool works_needs_detail(const struct batches_work *work)
{
	if (as_reported(work) || work->detailed == work->state.digest)
		return false;
	return update_state_final(work->state.state) ||
	       (!work->row.hint_tried && work->row.reported == 0) ||
	       strcmp(work->row.url_id, work->row.entries[work->state.shown].id) != 0;
}

static void set_text(char *out, size_t size, const char *text)
{
	size_t length = strlen(text);

	if (length >= size)
		length = 0;
	memcpy(out, text, length);
	out[length] = '\0';
}

void works_set_detail(struct batches_work *work, const char *url, const char *hint, bool tried)
{
	struct batches_row *row = &work->row;

	set_text(row->url, sizeof(row->url), url);
	set_text(row->url_id, sizeof(row->url_id), row->entries[work->state.shown].id);
	if (hint[0] != '\0')
		set_text(row->hint, sizeof(row->hint), hint);
	row->hint_tried = row->hint_tried || tried || hint[0] != '\0';
	work->detailed = work->state.digest;
	work->failures = 0;
	work->kept = false;
}

void works_drop_shown(struct batches_work *work)
{
	batches_row_remove(&work->row, work->state.shown);
	work->kept = false;
	restate(work);
}

void works_skip_hint(struct batches_work *work)
{
	work->row.hint_tried = true;
	work->kept = false;
}

/* ---- items ---- */

void works_clean(struct batches_works *works)
{
	struct batches_work **gone = mem_array(works->map.count + 1, sizeof(*gone)), *work;
	size_t position = 0, count = 0;

	while ((work = map_next(&works->map, &position)) != NULL)
		if (as_reported(work))
			gone[count++] = work;
	for (size_t i = 0; i < count; i++) {
		if (!gone[i]->kept)
			keep(works, gone[i]->sha, &gone[i]->row);
		forget(works, gone[i]);
	}
	free(gone);
}

static void make_item(
    struct batches_work *work, const char *key, int64_t server_now_ms, struct eyes_item *item)
{
	const struct batches_row *row = &work->row;

	batches_item_id(work->item_id, work->sha, work->state.digest, row->generation);
	*item = (struct eyes_item){
	    .id = work->item_id,
	    .hint = row->hint,
	    .update = {.commit = work->sha,
	        .key = key,
	        .name = key,
	        .description = work->state.text,
	        .url = row->url,
	        .ref = "",
	        .state = work->state.state,
	        .has_tests = true,
	        .tests = work->state.tests},
	    .created_ms = server_now_ms > row->created_ms ? server_now_ms : row->created_ms + 1,
	};
}

static bool ready(const struct batches_work *work, int64_t server_now_ms)
{
	const struct batches_row *row = &work->row;

	return !as_reported(work) && !works_needs_detail(work) &&
	       batches_report_due(row->reported != 0, row->state == UPDATE_INPROGRESS,
	           work->state.state == UPDATE_INPROGRESS, row->created_ms, server_now_ms);
}

unsigned works_items(
    struct batches_works *works, const char *key, int64_t server_now_ms, struct eyes_item *items)
{
	struct batches_work *work;
	size_t position = 0;
	unsigned count = 0;

	while ((work = map_next(&works->map, &position)) != NULL)
		if (count < WORKS_MAX && ready(work, server_now_ms))
			make_item(work, key, server_now_ms, &items[count++]);
	return count;
}

void works_handled(struct batches_works *works, const struct eyes_item *item)
{
	struct batches_work *work = find(works, item->update.commit);
	struct batches_row loaded, *row = work != NULL ? &work->row : &loaded;
	uint64_t digest;
	uint32_t generation;

	if (!batches_item_parse(item->id, &digest, &generation))
		return;
	bool known = work != NULL || load(works, item->update.commit, &loaded);
	/* An older one than was handled already changes nothing. */
	if (known && generation >= row->generation) {
		row->reported = digest;
		row->generation = generation + 1;
		row->created_ms = item->created_ms;
		row->state = item->update.state;
		keep(works, item->update.commit, row);
		if (work != NULL)
			work->kept = true;
	}
	if (work == NULL)
		batches_row_free(&loaded);
}
