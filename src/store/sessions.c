#include "store/sessions.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"
#include "base/pack.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITE_EVERY_MS 60000
#define ROW_MAX 1024

struct slot {
	struct session session;
	bool taken;
	int64_t written_ms;
};

struct sessions {
	struct db *db;
	struct slot slots[SESSIONS_MAX];
	struct buf row;
	bool sweep; /* on disk there may be rows of sessions that have ended */
};

static bool over(const struct session *session, int64_t now_ms)
{
	return now_ms - session->used_ms > SESSION_MS;
}

static bool write_row(struct sessions *sessions, struct slot *slot, unsigned flags, struct err *err)
{
	const struct session *session = &slot->session;

	buf_reset(&sessions->row);
	pack_bytes(&sessions->row, session->cookie_hash, CRYPTO_SHA256);
	pack_bytes(&sessions->row, session->token_hash, CRYPTO_SHA256);
	pack_string(&sessions->row, session->address);
	pack_string(&sessions->row, session->agent);
	pack_u64(&sessions->row, (uint64_t)session->started_ms);
	pack_u64(&sessions->row, (uint64_t)session->used_ms);
	pack_string(&sessions->row, session->user);
	slot->written_ms = session->used_ms;
	return db_put(sessions->db, DB_SESSION, session->id, SESSION_ID, sessions->row.data,
	    sessions->row.length, flags, err);
}

static bool read_row(
    struct session *session, const struct db_bytes *key, const struct db_bytes *row)
{
	const void *cookie, *token;
	size_t cookie_length, token_length;
	struct unpack u;

	if (key->length != SESSION_ID)
		return false;
	*session = (struct session){0};
	memcpy(session->id, key->data, SESSION_ID);
	unpack_init(&u, row->data, row->length);
	cookie = unpack_bytes(&u, &cookie_length);
	token = unpack_bytes(&u, &token_length);
	snprintf(session->address, sizeof(session->address), "%s", unpack_string(&u));
	snprintf(session->agent, sizeof(session->agent), "%s", unpack_string(&u));
	session->started_ms = (int64_t)unpack_u64(&u);
	session->used_ms = (int64_t)unpack_u64(&u);
	if (u.at < u.end) /* a row of an earlier version ends here */
		snprintf(session->user, sizeof(session->user), "%s", unpack_string(&u));
	if (u.bad || cookie_length != CRYPTO_SHA256 || token_length != CRYPTO_SHA256)
		return false;
	memcpy(session->cookie_hash, cookie, CRYPTO_SHA256);
	memcpy(session->token_hash, token, CRYPTO_SHA256);
	return true;
}

static struct slot *find_id(struct sessions *sessions, const void *id)
{
	for (unsigned i = 0; i < SESSIONS_MAX; i++)
		if (sessions->slots[i].taken &&
		    memcmp(sessions->slots[i].session.id, id, SESSION_ID) == 0)
			return &sessions->slots[i];
	return NULL;
}

/*
 * What was begun in the lost group never was. What was ended in it stays ended: its row is back,
 * and goes with the next group, or the one after that. No writing here.
 */
static void on_lost(void *arg)
{
	struct sessions *sessions = arg;
	struct db_bytes row;

	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		struct slot *slot = &sessions->slots[i];

		if (!slot->taken)
			continue;
		slot->written_ms = 0; /* the last use may be lost */
		if (db_get(sessions->db, DB_SESSION, slot->session.id, SESSION_ID, &row) == 0)
			slot->taken = false;
	}
	sessions->sweep = true;
}

static void sweep(void *arg)
{
	struct sessions *sessions = arg;
	struct db_cursor *cursor;
	struct db_bytes key, row;
	bool good = true;

	if (!sessions->sweep)
		return;
	sessions->sweep = false; /* set again when this group is lost */
	cursor = db_cursor_open(sessions->db, DB_SESSION);
	while (good && db_next(cursor, &key, &row))
		if (key.length != SESSION_ID || find_id(sessions, key.data) == NULL)
			good = db_cursor_del(cursor, NULL);
	db_cursor_close(cursor);
}

struct sessions *sessions_open(struct db *db, struct err *err)
{
	struct sessions *sessions = mem_zero(sizeof(*sessions));
	struct db_cursor *cursor = db_cursor_open(db, DB_SESSION);
	struct db_bytes key, row;
	unsigned count = 0;
	bool more;

	sessions->db = db;
	buf_init(&sessions->row, ROW_MAX);
	for (more = db_seek(cursor, "\0", 1, &key, &row); more && count < SESSIONS_MAX;
	     more = db_next(cursor, &key, &row)) {
		struct slot *slot = &sessions->slots[count];

		if (!read_row(&slot->session, &key, &row) ||
		    over(&slot->session, clock_wall_ms())) {
			if (!db_cursor_del(cursor, err))
				break;
			continue;
		}
		slot->taken = true;
		slot->written_ms = slot->session.used_ms;
		count++;
	}
	db_cursor_close(cursor);
	sessions->sweep = more;
	db_before_commit(db, sweep, sessions);
	db_on_lost(db, on_lost, sessions);
	return sessions;
}

void sessions_close(struct sessions *sessions)
{
	if (sessions == NULL)
		return;
	db_forget(sessions->db, sessions);
	buf_free(&sessions->row);
	crypto_cleanse(sessions, sizeof(*sessions));
	free(sessions);
}

static bool remove_slot(struct sessions *sessions, struct slot *slot, struct err *err)
{
	slot->taken = false;
	return db_del(sessions->db, DB_SESSION, slot->session.id, SESSION_ID, 0, err);
}

/* A free place, or that of the session unused for longest. */
static struct slot *make_room(struct sessions *sessions)
{
	struct slot *oldest = &sessions->slots[0];

	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		struct slot *slot = &sessions->slots[i];

		if (!slot->taken)
			return slot;
		if (slot->session.used_ms < oldest->session.used_ms)
			oldest = slot;
	}
	(void)!remove_slot(sessions, oldest, NULL);
	return oldest;
}

static void random_hex(char *out, size_t digits)
{
	unsigned char bytes[SESSION_SECRET / 2];

	crypto_random(bytes, digits / 2);
	codec_hex_encode(out, bytes, digits / 2);
	crypto_cleanse(bytes, sizeof(bytes));
}

static void copy_cut(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%.*s", (int)codec_utf8_cut(text, strlen(text), size - 1), text);
}

/* A name goes into sentences: a control character (C0, DEL, C1) is a space there. */
static void copy_name(char *out, size_t size, const char *text)
{
	copy_cut(out, size, text);
	for (unsigned char *c = (unsigned char *)out; *c != '\0'; c++) {
		if (*c < ' ' || *c == 0x7f)
			*c = ' ';
		else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
			c[0] = c[1] = ' ';
	}
}

bool sessions_add(struct sessions *sessions, const struct session_of *of, char *cookie, char *token,
    const struct session **out, struct err *err)
{
	bool known = sessions_has_cookie(sessions, cookie);
	struct slot *slot = make_room(sessions);
	struct session *session = &slot->session;

	*session = (struct session){0};
	random_hex(session->id, SESSION_ID);
	if (!known)
		random_hex(cookie, SESSION_SECRET);
	random_hex(token, SESSION_SECRET);
	crypto_sha256(session->cookie_hash, cookie, SESSION_SECRET);
	crypto_sha256(session->token_hash, token, SESSION_SECRET);
	copy_cut(session->address, sizeof(session->address), of->address);
	copy_cut(session->agent, sizeof(session->agent), of->agent);
	copy_name(session->user, sizeof(session->user), of->user);
	session->started_ms = session->used_ms = clock_wall_ms();
	if (!write_row(sessions, slot, 0, err))
		return false;
	slot->taken = true;
	*out = session;
	return true;
}

const struct session *sessions_find(
    struct sessions *sessions, const char *cookie, const char *token)
{
	unsigned char cookie_hash[CRYPTO_SHA256], token_hash[CRYPTO_SHA256];
	int64_t now = clock_wall_ms();

	if (!codec_is_hex(cookie, SESSION_SECRET) || !codec_is_hex(token, SESSION_SECRET))
		return NULL;
	crypto_sha256(cookie_hash, cookie, SESSION_SECRET);
	crypto_sha256(token_hash, token, SESSION_SECRET);
	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		struct slot *slot = &sessions->slots[i];
		struct session *session = &slot->session;

		if (!slot->taken ||
		    !crypto_equal(session->cookie_hash, cookie_hash, CRYPTO_SHA256) ||
		    !crypto_equal(session->token_hash, token_hash, CRYPTO_SHA256))
			continue;
		if (!over(session, now))
			return session;
		(void)!remove_slot(sessions, slot, NULL);
		return NULL;
	}
	return NULL;
}

bool sessions_has_cookie(const struct sessions *sessions, const char *cookie)
{
	unsigned char hash[CRYPTO_SHA256];
	int64_t now = clock_wall_ms();

	if (!codec_is_hex(cookie, SESSION_SECRET))
		return false;
	crypto_sha256(hash, cookie, SESSION_SECRET);
	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		const struct slot *slot = &sessions->slots[i];

		if (slot->taken && !over(&slot->session, now) &&
		    crypto_equal(slot->session.cookie_hash, hash, CRYPTO_SHA256))
			return true;
	}
	return false;
}

bool sessions_has(const struct sessions *sessions, const char *id)
{
	for (unsigned i = 0; i < SESSIONS_MAX; i++)
		if (sessions->slots[i].taken && strcmp(sessions->slots[i].session.id, id) == 0)
			return !over(&sessions->slots[i].session, clock_wall_ms());
	return false;
}

void sessions_used(struct sessions *sessions, const struct session *used)
{
	struct slot *slot = (struct slot *)used; /* the session is the slot's first member */

	slot->session.used_ms = clock_wall_ms();
	if (slot->session.used_ms - slot->written_ms >= WRITE_EVERY_MS)
		(void)!write_row(sessions, slot, DB_LAZY, NULL);
}

bool sessions_remove(struct sessions *sessions, const char *id, struct err *err)
{
	for (unsigned i = 0; i < SESSIONS_MAX; i++)
		if (sessions->slots[i].taken && strcmp(sessions->slots[i].session.id, id) == 0)
			return remove_slot(sessions, &sessions->slots[i], err);
	return err_set(err, "not_found", "there is no such session");
}

void sessions_remove_all(struct sessions *sessions, struct err *err)
{
	for (unsigned i = 0; i < SESSIONS_MAX; i++)
		if (sessions->slots[i].taken)
			(void)!remove_slot(sessions, &sessions->slots[i], err);
}

const struct session *sessions_next(struct sessions *sessions, unsigned *position)
{
	while (*position < SESSIONS_MAX) {
		struct slot *slot = &sessions->slots[(*position)++];

		if (slot->taken && !over(&slot->session, clock_wall_ms()))
			return &slot->session;
	}
	return NULL;
}
