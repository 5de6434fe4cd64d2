#include "base/clock.h"
#include "base/log.h"
#include "base/pack.h"
#include "store/events_internal.h"
#include <string.h>

/*
 * An entry:  since u64 | received u64 | key | request id | content type | headers | body
 * A note:    number u64 | attempts u32 | code | error
 * A dead one: lane u32 | ended u64 | attempts u32 | code | error | the entry's row as it was
 */

/* ---- keys ---- */

void events_key(unsigned char key[EVENTS_KEY], uint32_t lane, uint64_t number)
{
	pack_key_u32(key, lane);
	pack_key_u64(key + 4, number);
}

bool events_key_is_entry(const struct db_bytes *key)
{
	return key->length == EVENTS_KEY;
}

bool events_next_lane(struct events *events, uint32_t from, uint32_t *lane)
{
	unsigned char key[EVENTS_LANE_KEY];
	struct db_bytes found, row;

	pack_key_u32(key, from);
	if (db_find_at(events->db, DB_EVENT, key, sizeof(key), &found, &row) != 1 ||
	    found.length < EVENTS_LANE_KEY)
		return false;
	*lane = unpack_key_u32(found.data); /* a note has its entry behind it */
	return true;
}

/* ---- rows ---- */

bool events_pack(struct events *events, const struct event_entry *entry, struct err *err)
{
	struct buf *head = &events->head;

	if (strlen(entry->key) > EVENTS_TEXT_MAX || strlen(entry->request_id) > EVENTS_TEXT_MAX ||
	    strlen(entry->content_type) > EVENTS_TEXT_MAX ||
	    strlen(entry->headers) > EVENTS_HEADERS_MAX || entry->body_length > EVENTS_BODY_MAX)
		return err_set(err, "too_long", "an event's header lines or body are too long");
	buf_reset(head);
	pack_u64(head, (uint64_t)entry->received_ms); /* since */
	pack_u64(head, (uint64_t)entry->received_ms);
	pack_string(head, entry->key);
	pack_string(head, entry->request_id);
	pack_string(head, entry->content_type);
	pack_string(head, entry->headers);
	pack_u32(head, (uint32_t)entry->body_length);
	return true;
}

static bool unpack_row(struct unpack *u, struct event_entry *entry)
{
	unpack_u64(u); /* since */
	entry->received_ms = (int64_t)unpack_u64(u);
	entry->key = unpack_string(u);
	entry->request_id = unpack_string(u);
	entry->content_type = unpack_string(u);
	entry->headers = unpack_string(u);
	entry->body = unpack_bytes(u, &entry->body_length);
	return !u->bad;
}

bool events_unpack(
    struct event_entry *entry, const struct db_bytes *key, const struct db_bytes *row)
{
	struct unpack u;

	if (!events_key_is_entry(key))
		return false;
	*entry = (struct event_entry){
	    .lane = unpack_key_u32(key->data),
	    .number = unpack_key_u64((const unsigned char *)key->data + 4),
	    .code = "",
	    .error = "",
	};
	unpack_init(&u, row->data, row->length);
	return unpack_row(&u, entry);
}

bool events_dead_row(struct event_entry *entry, const struct db_bytes *key,
    const struct db_bytes *row, struct db_bytes *rest)
{
	struct unpack u;

	if (key->length != sizeof(uint64_t))
		return false;
	*entry = (struct event_entry){.number = unpack_key_u64(key->data)};
	unpack_init(&u, row->data, row->length);
	entry->lane = unpack_u32(&u);
	entry->ended_ms = (int64_t)unpack_u64(&u);
	entry->attempts = unpack_u32(&u);
	entry->code = unpack_string(&u);
	entry->error = unpack_string(&u);
	struct unpack own = u;
	unpack_u64(&own); /* since */
	*rest = (struct db_bytes){.data = own.at, .length = (size_t)(own.end - own.at)};
	return unpack_row(&u, entry);
}

bool events_unpack_dead(
    struct event_entry *entry, const struct db_bytes *key, const struct db_bytes *row)
{
	struct db_bytes rest;

	return events_dead_row(entry, key, row, &rest);
}

int64_t events_row_since(const struct db_bytes *row)
{
	struct unpack u;

	unpack_init(&u, row->data, row->length);
	return (int64_t)unpack_u64(&u);
}

int64_t events_row_ended(const struct db_bytes *dead_row)
{
	struct unpack u;

	unpack_init(&u, dead_row->data, dead_row->length);
	unpack_u32(&u);
	return (int64_t)unpack_u64(&u);
}

/* ---- notes ---- */

void events_unpack_note(struct event_entry *entry, const struct db_bytes *note)
{
	struct unpack u;

	unpack_init(&u, note->data, note->length);
	uint64_t number = unpack_u64(&u);
	uint32_t attempts = unpack_u32(&u);
	const char *code = unpack_string(&u), *error = unpack_string(&u);
	if (u.bad || number != entry->number)
		return;
	entry->attempts = attempts;
	entry->code = code;
	entry->error = error;
}

/* Also in place of the lane's note for another entry. */
bool events_put_note(struct events *events, const struct event_entry *entry, struct err *err)
{
	unsigned char key[EVENTS_LANE_KEY];
	struct buf *note = &events->head;

	pack_key_u32(key, entry->lane);
	buf_reset(note);
	pack_u64(note, entry->number);
	pack_u32(note, entry->attempts);
	pack_cut(note, entry->code, EVENTS_CODE_MAX);
	pack_cut(note, entry->error, EVENTS_ERROR_MAX);
	int there = db_get(events->db, DB_EVENT, key, sizeof(key), NULL);
	if (!db_put(events->db, DB_EVENT, key, sizeof(key), note->data, note->length, DB_LAZY, err))
		return false;
	events->memory.notes += there == 0;
	events->memory_changed = true;
	return true;
}

static bool take_note(
    struct events *events, uint32_t lane, uint64_t number, unsigned flags, struct err *err)
{
	unsigned char key[EVENTS_LANE_KEY];
	struct event_entry noted = {.number = number};
	struct db_bytes note;

	if (events->memory.notes == 0)
		return true;
	pack_key_u32(key, lane);
	if (db_get(events->db, DB_EVENT, key, sizeof(key), &note) != 1)
		return true;
	events_unpack_note(&noted, &note);
	if (noted.code == NULL) /* of another one */
		return true;
	if (!db_del(events->db, DB_EVENT, key, sizeof(key), flags, err))
		return false;
	events->memory.notes--;
	return true;
}

int events_get(struct events *events, uint32_t lane, uint64_t number, struct event_entry *entry,
    struct db_bytes *row)
{
	unsigned char key[EVENTS_KEY];
	struct db_bytes found = {.data = key, .length = sizeof(key)}, note;

	events_key(key, lane, number);
	int is = db_get(events->db, DB_EVENT, key, sizeof(key), row);
	if (is != 1)
		return is;
	if (!events_unpack(entry, &found, row))
		return -1;
	if (events->memory.notes > 0 &&
	    db_get(events->db, DB_EVENT, key, EVENTS_LANE_KEY, &note) == 1)
		events_unpack_note(entry, &note);
	return 1;
}

/* ---- ends ---- */

bool events_take(struct events *events, uint32_t lane, uint64_t number, size_t row_length,
    unsigned flags, struct err *err)
{
	unsigned char key[EVENTS_KEY];

	events_key(key, lane, number);
	if (!db_del(events->db, DB_EVENT, key, sizeof(key), flags, err) ||
	    !take_note(events, lane, number, flags, err))
		return false;
	events->memory.waiting--;
	events->memory.waiting_bytes -= row_length;
	if (lane == EVENTS_GITHUB && events->memory.github > 0) {
		events->memory.github--;
		events->memory.github_bytes -= row_length < events->memory.github_bytes
		                                   ? row_length
		                                   : events->memory.github_bytes;
	}
	events->memory_changed = true;
	return true;
}

bool events_bury(struct events *events, const struct event_entry *entry, const struct db_bytes *row,
    const char *code, const char *error, int64_t now_ms, struct err *err)
{
	struct buf *head = &events->head;
	unsigned char key[sizeof(uint64_t)];
	size_t length = row->length;

	buf_reset(head);
	pack_u32(head, entry->lane);
	pack_u64(head, (uint64_t)now_ms);
	pack_u32(head, entry->attempts);
	pack_cut(head, code, EVENTS_CODE_MAX);
	pack_cut(head, error, EVENTS_ERROR_MAX);
	pack_key_u64(key, entry->number);
	struct db_bytes parts[] = {{.data = head->data, .length = head->length}, *row};
	uint32_t lane = entry->lane;
	uint64_t number = entry->number;
	int put = db_put_parts(events->db, DB_EVENT_DEAD, key, sizeof(key), parts, 2, DB_LAZY, err);
	if (put < 0)
		return false;
	if (put == 0)
		log_limited_warn(&events->bury_limit, "store",
		    "an event that ended is not kept: there is no room for it",
		    log_uint("event", number));
	events->memory.dead += (unsigned)put;
	events->memory.dead_bytes += put == 1 ? head->length + length : 0;
	return events_take(events, lane, number, length, DB_LAZY, err);
}

int events_forget_dead(struct events *events, uint64_t number, unsigned flags, struct err *err)
{
	unsigned char key[sizeof(uint64_t)];
	struct db_bytes row;

	pack_key_u64(key, number);
	int is = db_get(events->db, DB_EVENT_DEAD, key, sizeof(key), &row);
	if (is != 1)
		return is;
	size_t length = row.length;
	if (!db_del(events->db, DB_EVENT_DEAD, key, sizeof(key), flags, err))
		return -1;
	events->memory.dead--;
	events->memory.dead_bytes -= length;
	events->memory_changed = true;
	return 1;
}
