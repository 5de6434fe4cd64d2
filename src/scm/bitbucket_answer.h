/*
 * bitbucket_answer: what an HTTP answer of Bitbucket Server or Data Center means: outcome, scope,
 * and the words. Pure.
 *
 * Sources: REST API 8.19, "Errors"; the facts behind each rule stand beside it. In short:
 *
 *   204 to a write, 200 with JSON to a read   OK; 200 or 201 with JSON to a write that `returns`
 *   2xx otherwise                             TEMPORARY  a captive portal or proxy answers instead
 *   3xx (to another origin)                   TEMPORARY  login_page
 *   400 405 409 413 414 415 422 501 ...       PERMANENT  with Bitbucket's own messages
 *   401 not signed in, 403                    BLOCKED    the token
 *   401 signed in                             BLOCKED    the repository
 *   404                                       the commit: TEMPORARY; the repository: BLOCKED;
 *                                             else, with a commit or a webhook, unclear
 *   408 429 5xx, no answer                    TEMPORARY
 */
#ifndef SCM_BITBUCKET_ANSWER_H
#define SCM_BITBUCKET_ANSWER_H

#include "scm/bitbucket_parse.h"
#include "scm/scm.h"

struct bitbucket_asked { /* about what; borrowed */
	const char *host;
	const char *what;           /* literal, after "may not": "set statuses in", "read" */
	const char *project, *slug; /* NULL when it was about the server */
	const char *commit;         /* NULL when it was about no commit */
	bool write;                 /* 204 is the only success, and a failure may be doubtful */
	bool returns;               /* a write that answers 200 or 201 with what it wrote */
	bool webhooks;              /* about webhooks: who may not, does not administer it */
	bool identify;              /* whether it is a Bitbucket is the question */
	int64_t now_ms;             /* wall clock, for Retry-After as a date */
	const char *token;          /* sent with it: no words of the answer repeat it; NULL: none */
	size_t token_length;
};

struct bitbucket_answer {
	struct scm_answer scm; /* its err points to `err` when it is set: do not copy the whole */
	struct err err;
	enum bitbucket_exception exception;
	/* A 404 that does not say what is missing: the answer holds if the repository turns out not
	 * to be visible. */
	bool unclear;
	bool page; /* the body is a page, not Bitbucket's */
};

void bitbucket_answer(const struct bitbucket_asked *asked, const struct http_result *result,
    struct bitbucket_answer *answer);
/* After an unclear 404: the repository is there, so it was the commit. */
void bitbucket_answer_no_commit(const struct bitbucket_asked *asked,
    const struct http_result *result, struct bitbucket_answer *answer);
/* A 200 whose JSON is not what was documented. `why` comes from the parser. */
void bitbucket_answer_malformed(const struct bitbucket_asked *asked,
    const struct http_result *result, const struct err *why, struct bitbucket_answer *answer);
/* The token is not accepted, though the status would say so otherwise (200 as "anonymous"). */
void bitbucket_answer_refused(const struct bitbucket_asked *asked, const struct http_result *result,
    struct bitbucket_answer *answer);

/* X-AUSERNAME, decoded and clean; "" when nobody is signed in. */
void bitbucket_user(const struct http_result *result, char *out, size_t size);
#define BITBUCKET_USER 128

#endif
