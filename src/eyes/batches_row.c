#include "eyes/batches_row.h"

#include "base/mem.h"
#include "base/pack.h"
#include "eyes/batches_state.h"
#include <stdlib.h>
#include <string.h>

enum { LAYOUT = 1 };

void batches_row_init(struct batches_row *row)
{
	*row = (struct batches_row){0};
}

void batches_row_free(struct batches_row *row)
{
	free(row->entries);
	batches_row_init(row);
}

void batches_row_copy(struct batches_row *to, const struct batches_row *from)
{
	*to = *from;
	to->entries = NULL;
	if (from->count > 0) {
		to->entries = mem_array(from->count, sizeof(*to->entries));
		memcpy(to->entries, from->entries, from->count * sizeof(*to->entries));
	}
}

struct batch_entry *batches_row_find(const struct batches_row *row, const char *id)
{
	for (unsigned i = 0; i < row->count; i++)
		if (strcmp(row->entries[i].id, id) == 0)
			return &row->entries[i];
	return NULL;
}

void batches_row_remove(struct batches_row *row, unsigned index)
{
	memmove(&row->entries[index], &row->entries[index + 1],
	    (row->count - index - 1) * sizeof(*row->entries));
	row->count--;
}

static bool green(const struct batch_entry *entry)
{
	return batch_class(entry) == BATCH_GREEN;
}

static void add(struct batches_row *row, const struct batch_entry *entry)
{
	row->entries = mem_grow(row->entries, row->count + 1, sizeof(*row->entries));
	row->entries[row->count++] = *entry;
}

/* Whether there is room now: a green one made it. */
static bool make_room(struct batches_row *row, const struct batch_entry *entry)
{
	if (green(entry))
		return false;
	for (unsigned i = 0; i < row->count; i++) {
		if (green(&row->entries[i])) {
			batches_row_remove(row, i);
			return true;
		}
	}
	return false;
}

enum batches_change batches_row_merge(struct batches_row *row, const struct batch_entry *entry)
{
	struct batch_entry *known = batches_row_find(row, entry->id);

	if (known != NULL) {
		bool same = strcmp(known->word, entry->word) == 0 &&
		            memcmp(&known->counts, &entry->counts, sizeof(entry->counts)) == 0;
		*known = *entry;
		return same ? BATCHES_SAME : BATCHES_CHANGED;
	}
	if (row->count >= BATCHES_ENTRIES && !make_room(row, entry))
		return BATCHES_SAME;
	add(row, entry);
	return BATCHES_CHANGED;
}

/* ---- bytes ---- */

static void pack_entry(struct buf *out, const struct batch_entry *entry)
{
	const struct batch_counts *counts = &entry->counts;

	pack_string(out, entry->id);
	pack_string(out, entry->word);
	pack_u32(out, counts->passed);
	pack_u32(out, counts->failed);
	pack_u32(out, counts->unresolved);
	pack_u32(out, counts->fresh);
	pack_u32(out, counts->aborted);
	pack_u32(out, counts->empty);
	pack_u32(out, counts->total);
}

void batches_row_pack(const struct batches_row *row, struct buf *out)
{
	pack_u8(out, LAYOUT);
	pack_u64(out, row->reported);
	pack_u32(out, row->generation);
	pack_u64(out, (uint64_t)row->created_ms);
	pack_u8(out, (uint8_t)row->state);
	pack_u8(out, row->hint_tried);
	pack_string(out, row->hint);
	pack_string(out, row->url);
	pack_string(out, row->url_id);
	pack_u32(out, row->count);
	for (unsigned i = 0; i < row->count; i++)
		pack_entry(out, &row->entries[i]);
}

static void unpack_text(struct unpack *u, char *out, size_t size)
{
	const char *text = unpack_string(u);
	size_t length = strlen(text);

	if (length >= size) {
		u->bad = true;
		length = 0;
	}
	memcpy(out, text, length);
	out[length] = '\0';
}

static void unpack_entry(struct unpack *u, struct batch_entry *entry)
{
	struct batch_counts *counts = &entry->counts;

	*entry = (struct batch_entry){0};
	unpack_text(u, entry->id, sizeof(entry->id));
	unpack_text(u, entry->word, sizeof(entry->word));
	counts->passed = unpack_u32(u);
	counts->failed = unpack_u32(u);
	counts->unresolved = unpack_u32(u);
	counts->fresh = unpack_u32(u);
	counts->aborted = unpack_u32(u);
	counts->empty = unpack_u32(u);
	counts->total = unpack_u32(u);
}

bool batches_row_unpack(struct batches_row *row, const void *data, size_t length)
{
	struct unpack u;

	batches_row_init(row);
	unpack_init(&u, data, length);
	if (unpack_u8(&u) != LAYOUT)
		return false;
	row->reported = unpack_u64(&u);
	row->generation = unpack_u32(&u);
	row->created_ms = (int64_t)unpack_u64(&u);
	uint8_t state = unpack_u8(&u);
	row->state = state <= UPDATE_CANCELLED ? (enum update_state)state : UPDATE_INPROGRESS;
	row->hint_tried = unpack_u8(&u) != 0;
	unpack_text(&u, row->hint, sizeof(row->hint));
	unpack_text(&u, row->url, sizeof(row->url));
	unpack_text(&u, row->url_id, sizeof(row->url_id));
	uint32_t count = unpack_u32(&u);
	if (u.bad || count > BATCHES_ENTRIES) {
		batches_row_init(row);
		return false;
	}
	row->entries = count > 0 ? mem_array(count, sizeof(*row->entries)) : NULL;
	for (; row->count < count; row->count++)
		unpack_entry(&u, &row->entries[row->count]);
	if (u.bad)
		batches_row_free(row);
	return !u.bad;
}
