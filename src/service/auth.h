/*
 * auth: who may use the browser's half of the API.
 *
 * Signing in is showing an Eyes API key of the account's team. The first key with full permissions
 * makes the account; on a listener that others can reach it also takes the setup code. When Eyes
 * cannot be reached, the stored key itself still signs in.
 *
 * What always holds: wrong keys are counted per address, five in a row make that address wait a
 * minute, and nobody else (keys that are being checked count until they are known to be right); a
 * key is never kept beyond its check; the setup code is made at each
 * start, ends with the first account, and is compared in constant time.
 */
#ifndef SERVICE_AUTH_H
#define SERVICE_AUTH_H

#include "service/service.h"
#include "store/sessions.h"

#define AUTH_TRIES 5
#define AUTH_PAUSE_MS 60000
#define AUTH_SETUP_CODE 10 /* "ABCD-EFGH" and NUL */

struct auth;
struct auth_options { /* borrowed */
	struct service *service;
	struct sessions *sessions;
	struct bus *bus;      /* an account of another team ends all sessions */
	bool need_setup_code; /* others than this machine can reach the page */
	char *setup_code;     /* AUTH_SETUP_CODE bytes: taken as it is, or made when it is "" */
};
struct auth *auth_new(const struct auth_options *options);
void auth_free(struct auth *auth);

/* The code while the first sign-in needs one, else "". */
const char *auth_setup_code(const struct auth *auth);

/* Whether this address may go on with that code, where one is needed; a wrong one is counted. How
 * it is written (capitals, hyphen, spaces) does not matter. False with err setup_code or key_rate.
 */
bool auth_setup_code_right(
    struct auth *auth, const char *address, const char *given, struct err *err);
/* ms until this address may try again, -1 when it may. */
int64_t auth_pause_ms(const struct auth *auth, const char *address);

struct auth_signed_in { /* borrowed; cookie and token are for the browser only, overwritten
	                   afterwards */
	const char *cookie, *token;
	const struct session *session;
	const char
	    *missing; /* permissions that this key lacks: "write,merge"; "" none, or not asked */
};
/* After the commit. signed_in is NULL unless result is SERVICE_OK. retry_after_ms: until this
 * address may try again; -1 when it may. */
typedef void auth_fn(const struct service_result *result, const struct auth_signed_in *signed_in,
    int64_t retry_after_ms, void *arg);
struct auth_attempt { /* copied */
	const char *address, *agent, *setup_code;
	const char *cookie; /* that the browser has, "" when none: a live session's is kept */
	const struct secret *key;
};
void auth_sign_in(struct auth *auth, const struct auth_attempt *attempt, auth_fn *fn, void *arg);

/* Who acts in this session from that address (at most 63 bytes), in a form of audit_split. */
void auth_who(const struct session *session, const char *address, char out[AUDIT_WHO]);

/* Ends one; fn after the commit. SERVICE_NOT_FOUND when it is not there. */
void auth_end_session(
    struct auth *auth, const char *who, const char *id, service_fn *fn, void *arg);

/* The session of cookie and page token, and notes that it was used; NULL with err session_missing
 * or session_ended. */
const struct session *auth_check(
    struct auth *auth, const char *cookie, const char *token, struct err *err);
struct sessions *auth_sessions(struct auth *auth);

#endif
