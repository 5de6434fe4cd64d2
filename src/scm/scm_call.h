/*
 * scm_call: what the drivers share: a call under way, from the request to its one completion.
 *
 *    scm_call_new --> scm_call_send --> (HTTP) --> step --+--> scm_call_finish: completion, freed
 *                          ^                              |
 *                          `-------- next request --------'    scm_cancel: freed without completion
 *                     scm_call_fail: finished by a timer, never inside the call
 *
 * A call is one allocation: it keeps copies of all that it was given, so that a driver may ask
 * again (the next page, whether the repository is there), and overwrites the token when it is
 * freed.
 */
#ifndef SCM_SCM_CALL_H
#define SCM_SCM_CALL_H

#include "base/loop.h"
#include "scm/scm.h"

/* Which of the wanted events a server knows: asked anew after SCM_KNOWN_MS, not before each call.
 */
#define SCM_KNOWN 8
#define SCM_KNOWN_MS (5 * 60 * 1000)
struct scm_known {
	unsigned char of[CRYPTO_SHA256]; /* the server and the wanted events */
	uint32_t known, certain;
	uint64_t until_ms; /* monotonic; 0: not used */
};

struct scm {
	struct loop *loop;
	struct scm_known known[SCM_KNOWN]; /* the driver's */
	struct http_client *http;
	struct scm_call *calls; /* under way */
	struct buf body;        /* of the request being written; kept between requests */
};

enum scm_call_kind {
	SCM_CALL_DONE,
	SCM_CALL_IDENTITY,
	SCM_CALL_PAGE,
	SCM_CALL_RIGHTS,
	SCM_CALL_ACCESS,
	SCM_CALL_STATUS,
	SCM_CALL_FOUND,
	SCM_CALL_HOOKS,
	SCM_CALL_HOOK,
	SCM_CALL_DELIVERY
};

union scm_call_fn {
	scm_done_fn *done;
	scm_identity_fn *identity;
	scm_page_fn *page;
	scm_rights_fn *rights;
	scm_access_fn *access;
	scm_status_fn *status;
	scm_found_fn *found;
	scm_hooks_fn *hooks;
	scm_hook_fn *hook;
	scm_delivery_fn *delivery;
};

/* Reads an answer; then asks again or finishes. */
typedef void scm_step_fn(struct scm_call *call, const struct http_result *result);

struct scm_late; /* a failure found before anything was sent */

struct scm_call {
	struct scm *scm;
	struct scm_call *previous, *next;
	enum scm_call_kind kind;
	union scm_call_fn fn;
	void *arg;
	bool finished; /* its completion is running, or has */

	struct http_request *request; /* NULL while none is under way */
	scm_step_fn *step;
	struct loop_timer timer; /* for `late` */
	struct scm_late *late;

	struct tls_trust *trust;
	unsigned connections;
	uint32_t capabilities;
	uint32_t deadline_ms;

	/* Copies in the call's own memory; NULL when they were not given. */
	char *authorization; /* "Bearer ..." */
	size_t authorization_length;
	const char *project, *slug, *commit, *key, *search;
	bool administered;
	unsigned limit;

	/* The driver's own between two steps. */
	uint64_t start;
	unsigned pages;
	uint32_t found; /* capabilities */
	char version[64];
	void *kept; /* freed by `release` */
	void (*release)(void *kept);
	int kept_status; /* of the answer that made it ask again */

	size_t base_length; /* of the server's own path, at the beginning of url.path */
	struct url url;     /* the server's while nothing is appended; only what is used of it is
	                       initialised */
	                    /* the copies follow */
};

struct scm_call_input { /* NULL and 0 for what a call does not need */
	const struct secret *token;
	const char *project, *slug, *commit, *key, *search;
	bool administered;
	unsigned limit;
};

struct scm_call *scm_call_new(struct scm *scm, const struct scm_server *server,
    enum scm_call_kind kind, union scm_call_fn fn, void *arg, const struct scm_call_input *input);

struct scm_call_request {
	const char *method; /* a write when it is not GET */
	const char *body;   /* JSON; NULL for none */
	size_t body_length;
	size_t body_limit; /* of the answer; 0 = 256 KiB */
	const struct http_header
	    *headers; /* the driver's own; Authorization and Accept are added */
	unsigned header_count;
};

#define SCM_CALL_HEADERS 8
/* Sends to call->url and hands the answer to step. What is wrong with the request itself ends the
 * call, later. */
void scm_call_send(
    struct scm_call *call, const struct scm_call_request *request, scm_step_fn *step);
/* Ends the call at a later turn with this outcome. Nothing was sent. */
void scm_call_fail(
    struct scm_call *call, enum scm_outcome outcome, enum scm_scope scope, const struct err *err);
/*
 * Calls the completion and frees the call. result: what the kind's completion gets (struct
 * scm_page, bool, a hook's id ...); NULL unless the answer is OK.
 */
void scm_call_finish(struct scm_call *call, const struct scm_answer *answer, const void *result);

/*
 * Copies text from outside for people: cut to fit at a character, control characters and those that
 * change the direction of text become spaces, bytes that are not UTF-8 become '?'. out is always
 * terminated.
 */
void scm_clean_text(char *out, size_t size, const char *text, size_t length);

#endif
