/*
 * bitbucket_parse: the bodies that Bitbucket Server and Data Center answer with. Pure; nothing in a
 * body is trusted: sizes, depth and counts are bounded, and what is not as documented is an error
 * or left out, never a guess.
 *
 * Texts in the results are borrowed from the parsed document, which the result owns. Errors have
 * the code "json" and name the field ("values[3].slug: expected ...").
 */
#ifndef SCM_BITBUCKET_PARSE_H
#define SCM_BITBUCKET_PARSE_H

#include "base/err.h"
#include "base/json.h"
#include "scm/scm.h"

#define BITBUCKET_PAGE_MAX (2 * 1024 * 1024) /* bytes of a page of repositories */
#define BITBUCKET_BODY_MAX (256 * 1024)      /* of anything else */
#define BITBUCKET_ROWS_MAX 1000              /* repositories in a page */

struct bitbucket_properties {
	char version[64]; /* "9.4.0" */
	unsigned major, minor;
};
/* GET /rest/api/1.0/application-properties. The display name says nothing: administrators may
 * change it. */
bool bitbucket_parse_properties(
    const char *body, size_t length, struct bitbucket_properties *properties, struct err *err);
/* "Bitbucket Data Center": the only edition since 8.0. A literal. */
const char *bitbucket_product(const struct bitbucket_properties *properties);

/* GET /rest/api/latest/build/capabilities -> SCM_BB_RICH, SCM_BB_CANCELLED. */
bool bitbucket_parse_build_capabilities(
    const char *body, size_t length, uint32_t *capabilities, struct err *err);
/* GET /rest/webhooks/latest/capabilities -> SCM_BB_WEBHOOK_CAPS. */
bool bitbucket_parse_webhook_capabilities(
    const char *body, size_t length, uint32_t *capabilities, struct err *err);

struct bitbucket_page {
	json_t *document;
	struct scm_repository *repositories;
	unsigned count;
	uint64_t next;       /* start of the following page; 0 at the end */
	char base[URL_TEXT]; /* of one repository: the base URL in its links, "" when there is none
	                      */
};
/* GET /rest/api/1.0/repos?start=... Rows that are no usable repository are left out. */
bool bitbucket_parse_page(
    const char *body, size_t length, uint64_t start, struct bitbucket_page *page, struct err *err);
/* GET /rest/api/1.0/projects/{key}/repos/{slug}: a page of one. */
bool bitbucket_parse_repository(
    const char *body, size_t length, struct bitbucket_page *page, struct err *err);
void bitbucket_page_free(struct bitbucket_page *page);

struct bitbucket_status {
	json_t *document;
	struct scm_status status;
	uint64_t next; /* old servers: start of the page to look in next; 0 at the end */
};
/* GET .../commits/{sha}/builds?key=... */
bool bitbucket_parse_status(const char *body, size_t length, const char *key,
    struct bitbucket_status *status, struct err *err);
/* GET /rest/build-status/1.0/commits/{sha}?start=... */
bool bitbucket_parse_status_page(const char *body, size_t length, uint64_t start, const char *key,
    struct bitbucket_status *status, struct err *err);
void bitbucket_status_free(struct bitbucket_status *status);

/* A document whose root is an object; the caller owns it. */
json_t *bitbucket_parse_object(const char *body, size_t length, size_t limit, struct err *err);
/*
 * The start of the next page, 0 at the end. A server that does not get on would be asked for ever:
 * that is an error.
 */
bool bitbucket_page_next(
    const struct json_at *root, uint64_t start, uint64_t *next, struct err *err);

enum bitbucket_exception {
	BITBUCKET_NONE, /* no JSON, or no errors in it */
	BITBUCKET_OTHER,
	BITBUCKET_NO_SUCH_COMMIT,
	BITBUCKET_NO_SUCH_REPOSITORY, /* or project */
	BITBUCKET_NO_SUCH_STATUS,
	BITBUCKET_NO_SUCH_WEBHOOK,
	BITBUCKET_NOT_AUTHORISED,
	BITBUCKET_BAD_CREDENTIALS, /* IncorrectPassword, NoAccess: signing in itself failed */
	BITBUCKET_SIGN_IN,         /* AuthenticationRequired */
};
struct bitbucket_errors {
	enum bitbucket_exception exception;
	char words[400]; /* its messages for people, "; " between them; "" when there are none */
};
/* {"errors":[{"context","message","exceptionName"}]}; anything else gives BITBUCKET_NONE and no
 * words. */
void bitbucket_parse_errors(const char *body, size_t length, struct bitbucket_errors *errors);

#endif
