#include "store/outbox.h"

#include "base/codec.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pack.h"
#include <stdlib.h>
#include <string.h>

enum { ROW_BYTES = 1900 }; /* two rows fit a page; larger ones would need pages of their own */
enum { ERROR_MAX = 300, PEEK_RESULTS = 512, TRIM_MOST = 256, COUNT_ROWS = 1000 };

/* A row that is being filled, or waits for the commit. */
struct outbox_row {
	struct buf bytes;
	uint32_t count;
	struct outbox_row *next;
};

struct outbox {
	struct db *db;
	struct outbox_row *first, *last; /* of the open group, in order */
	struct outbox_row *spare;        /* kept, so that a group needs no memory of its own */
	uint64_t last_number;
};

static void spare_rows(struct outbox *outbox)
{
	while (outbox->first != NULL) {
		struct outbox_row *row = outbox->first;
		outbox->first = row->next;
		buf_reset(&row->bytes);
		row->count = 0;
		row->next = outbox->spare;
		outbox->spare = row;
	}
	outbox->last = NULL;
}

static struct outbox_row *add_row(struct outbox *outbox)
{
	struct outbox_row *row = outbox->spare;

	if (row != NULL) {
		outbox->spare = row->next;
	} else {
		row = mem_zero(sizeof(*row));
		buf_init(&row->bytes, ROW_BYTES * 2);
	}
	row->next = NULL;
	pack_u32(&row->bytes, 0); /* the count, known at the end */
	if (outbox->last != NULL)
		outbox->last->next = row;
	else
		outbox->first = row;
	outbox->last = row;
	return row;
}

static bool write_row(struct outbox *outbox, struct outbox_row *row)
{
	unsigned char key[8];
	struct buf count;

	buf_init(&count, sizeof(uint32_t));
	pack_u32(&count, row->count);
	memcpy(row->bytes.data, count.data, sizeof(uint32_t));
	buf_free(&count);
	pack_key_u64(key, ++outbox->last_number);
	return db_put(outbox->db, DB_OUTBOX, key, sizeof(key), row->bytes.data, row->bytes.length,
	    DB_LAZY | DB_APPEND, NULL);
}

/* Just before the commit. When a write fails, on_lost has emptied the list. */
static void on_commit(void *arg)
{
	struct outbox *outbox = arg;

	for (struct outbox_row *row = outbox->first; row != NULL; row = row->next)
		if (!write_row(outbox, row))
			return;
	spare_rows(outbox);
}

static void on_lost(void *arg)
{
	spare_rows(arg);
}

struct outbox *outbox_open(struct db *db, struct err *err)
{
	struct outbox *outbox = mem_zero(sizeof(*outbox));
	struct db_bytes key, row;
	int is = db_find_last(db, DB_OUTBOX, &key, &row);

	outbox->db = db;
	if (is < 0 || (is == 1 && key.length != sizeof(uint64_t))) {
		err_set(err, "store_corrupt", "the table of outcomes is damaged");
		free(outbox);
		return NULL;
	}
	outbox->last_number = is == 1 ? unpack_key_u64(key.data) : 0;
	db_before_commit(db, on_commit, outbox);
	db_on_lost(db, on_lost, outbox);
	return outbox;
}

void outbox_close(struct outbox *outbox)
{
	if (outbox == NULL)
		return;
	on_commit(outbox);
	db_forget(outbox->db, outbox);
	while (outbox->spare != NULL) {
		struct outbox_row *row = outbox->spare;
		outbox->spare = row->next;
		buf_free(&row->bytes);
		free(row);
	}
	free(outbox);
}

void outbox_add(
    struct outbox *outbox, const char *id, enum update_outcome outcome, const char *error)
{
	size_t error_length = strlen(error);

	if (!db_touch(outbox->db, DB_LAZY, NULL))
		return; /* told to everyone who waits for this group */
	struct outbox_row *row = outbox->last;
	if (row == NULL || row->bytes.length >= ROW_BYTES - ERROR_MAX - UPDATE_ID_MAX)
		row = add_row(outbox);
	if (error_length > ERROR_MAX)
		error_length = codec_utf8_cut(error, error_length, ERROR_MAX);
	row->count++;
	pack_u8(&row->bytes, (uint8_t)outcome);
	pack_string(&row->bytes, id);
	pack_u32(&row->bytes, (uint32_t)error_length + 1);
	buf_append(&row->bytes, error, error_length);
	buf_append(&row->bytes, "", 1);
}

static unsigned visit(const struct db_bytes *bytes, outbox_fn *fn, void *arg)
{
	struct unpack u;
	unsigned given = 0;

	unpack_init(&u, bytes->data, bytes->length);
	for (uint32_t left = unpack_u32(&u); left > 0 && !u.bad; left--) {
		struct outbox_result result;
		result.outcome = unpack_u8(&u);
		result.id = unpack_string(&u);
		result.error = unpack_string(&u);
		if (u.bad || result.outcome > UPDATE_DROPPED)
			break;
		fn(&result, arg);
		given++;
	}
	return given;
}

unsigned outbox_peek(
    struct outbox *outbox, unsigned most, outbox_fn *fn, void *arg, uint64_t *token)
{
	struct db_cursor *cursor = db_cursor_open(outbox->db, DB_OUTBOX);
	struct db_bytes key, row;
	unsigned given = 0;

	*token = 0;
	for (unsigned i = 0; i < most && given < PEEK_RESULTS && db_next(cursor, &key, &row); i++) {
		*token = unpack_key_u64(key.data);
		given += visit(&row, fn, arg);
	}
	db_cursor_close(cursor);
	return given;
}

/* Deletes rows from the start: up to `token`, at most `most`. */
static bool delete_rows(
    struct outbox *outbox, uint64_t token, uint64_t most, uint64_t *deleted, struct err *err)
{
	struct db_cursor *cursor = db_cursor_open(outbox->db, DB_OUTBOX);
	struct db_bytes key, row;
	bool good = true;

	*deleted = 0;
	while (good && *deleted < most && db_next(cursor, &key, &row) &&
	       unpack_key_u64(key.data) <= token) {
		good = db_cursor_del(cursor, err);
		*deleted += good;
	}
	db_cursor_close(cursor);
	return good;
}

bool outbox_done(struct outbox *outbox, uint64_t token, struct err *err)
{
	uint64_t deleted;

	return delete_rows(outbox, token, UINT64_MAX, &deleted, err);
}

uint64_t outbox_rows(struct outbox *outbox)
{
	return db_count(outbox->db, DB_OUTBOX);
}

uint64_t outbox_results(struct outbox *outbox)
{
	struct db_cursor *cursor = db_cursor_open(outbox->db, DB_OUTBOX);
	uint64_t rows = outbox_rows(outbox), seen = 0, results = 0;
	struct db_bytes key, row;

	while (seen < COUNT_ROWS && db_next(cursor, &key, &row)) {
		struct unpack u;
		unpack_init(&u, row.data, row.length);
		results += unpack_u32(&u);
		seen++;
	}
	db_cursor_close(cursor);
	return seen < COUNT_ROWS ? results : results * rows / seen;
}

uint64_t outbox_trim(struct outbox *outbox, uint64_t most_rows)
{
	uint64_t rows = outbox_rows(outbox), deleted = 0;

	if (rows > most_rows)
		(void)!delete_rows(outbox, UINT64_MAX,
		    rows - most_rows < TRIM_MOST ? rows - most_rows : TRIM_MOST, &deleted, NULL);
	return deleted;
}
