/*
 * batches_parse: the answers of GET /api/v1/batches and /api/v1/batches/{id}, and the Link to the
 * next page. Pure.
 *
 * Only batches whose pointerId is 40 hex digits are ours. One of those that cannot be read (counts
 * missing, negative, of another type) gets the word "?" and no counts, so that it can never be
 * green; one without a usable id (1..100 bytes) is left out.
 */
#ifndef EYES_BATCHES_PARSE_H
#define EYES_BATCHES_PARSE_H

#include "base/err.h"
#include "base/url.h"
#include "eyes/batches_row.h"
#include "net/http_codec.h"

struct batch_listed {
	char sha[UPDATE_COMMIT + 1]; /* lower case */
	struct batch_entry entry;
};
struct batches_page {
	struct batch_listed *list; /* free() */
	unsigned count;
	unsigned others;       /* with another pointer id, or none */
	unsigned unread;       /* ours, but left out or "?" */
	struct err unread_why; /* of the first of them */
};
bool batches_parse_page(const char *body, size_t length, struct batches_page *out, struct err *err)
    __attribute__((warn_unused_result));

struct batch_detail {
	bool has_counts;
	struct batch_counts counts;
	char url[UPDATE_URL_MAX + 1];  /* "" when there is none that can be used */
	char hint[BATCH_HINT_MAX + 1]; /* branchName of a test with two slashes in it, "" */
};
bool batches_parse_detail(const char *body, size_t length, struct batch_detail *out,
    struct err *err) __attribute__((warn_unused_result));

enum batches_next { BATCHES_LAST, BATCHES_MORE, BATCHES_WRONG };
/* The next page after `asked`, of the same origin only. err is filled for BATCHES_WRONG. */
enum batches_next batches_next_page(
    struct url *out, const struct url *asked, const struct http_head *head, struct err *err);

#endif
