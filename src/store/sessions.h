/*
 * sessions: who is signed in, in the browser. A session is a cookie and a page token, both random,
 * both kept as hashes only: a copy of the database signs nobody in. The tabs of a browser have one
 * cookie and a token each: each tab is a session of its own, found only by both of its secrets.
 *
 * All sessions are in memory (at most SESSIONS_MAX, the one unused for longest gives way) and on
 * disk, so that a restart of the daemon signs nobody out. One ends 12 hours after its last use;
 * last uses are written once a minute at most.
 *
 * When a group is lost, a session that began in it is gone, and one that was ended in it stays
 * ended: its row is deleted again with the next group. Only a restart in between brings it back,
 * so tell nobody that it has ended before the commit.
 */
#ifndef STORE_SESSIONS_H
#define STORE_SESSIONS_H

#include "base/crypto.h"
#include "store/db.h"

#define SESSIONS_MAX 200
#define SESSION_ID 16     /* hex digits of what people see */
#define SESSION_SECRET 64 /* hex digits of cookie and token */
#define SESSION_USER 100  /* bytes with the NUL */
#define SESSION_MS (12ll * 3600 * 1000)

struct session {
	char id[SESSION_ID + 1];
	unsigned char cookie_hash[CRYPTO_SHA256], token_hash[CRYPTO_SHA256];
	char address[64], agent[128];
	char user[SESSION_USER]; /* of the key, as Eyes told it, without control characters; may be
	                            "" */
	int64_t started_ms, used_ms; /* wall */
};

struct sessions;
struct sessions *sessions_open(struct db *db, struct err *err);
void sessions_close(struct sessions *sessions);
struct session_of { /* borrowed during the call */
	const char *address, *agent, *user;
};
/*
 * cookie and token: SESSION_SECRET + 1 bytes each, for the browser; they cannot be had again. A
 * cookie that a live session has stays, any other text in its place (also "") becomes a new one.
 * *out is borrowed until the session ends. False with the errors of db.
 */
bool sessions_add(struct sessions *sessions, const struct session_of *of, char *cookie, char *token,
    const struct session **out, struct err *err);
/* The session of both, compared in constant time; NULL when there is none, or not any more. */
const struct session *sessions_find(
    struct sessions *sessions, const char *cookie, const char *token);
/* Whether a session with this cookie has not ended. */
bool sessions_has_cookie(const struct sessions *sessions, const char *cookie);
bool sessions_has(const struct sessions *sessions, const char *id); /* and it has not ended */
void sessions_used(struct sessions *sessions, const struct session *session);
bool sessions_remove(
    struct sessions *sessions, const char *id, struct err *err);      /* false, "not_found" */
void sessions_remove_all(struct sessions *sessions, struct err *err); /* another account was set */
const struct session *sessions_next(
    struct sessions *sessions, unsigned *position); /* NULL at the end */

#endif
