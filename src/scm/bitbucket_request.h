/*
 * bitbucket_request: the bytes that Bitbucket Server and Data Center are asked with. Pure.
 *
 * Sources: REST API 8.19, "Builds and deployments"
 * (/rest/api/1.0/projects/{key}/repos/{slug}/commits/{sha}/builds, since 7.4) and "Updating build
 * status for commits" of Bitbucket Server 4.14 (/rest/build-status/1.0).
 */
#ifndef SCM_BITBUCKET_REQUEST_H
#define SCM_BITBUCKET_REQUEST_H

#include "base/buf.h"
#include "base/update.h"
#include "base/url.h"

/* What a server can do, found by identify and kept in the store: never renumber. */
enum {
	SCM_BB_BUILDS =
	    1 << 0, /* statuses belong to a repository, with parent, ref and testResults (7.4) */
	SCM_BB_RICH = 1 << 1,         /* build/capabilities says richBuildStatus */
	SCM_BB_CANCELLED = 1 << 2,    /* build/capabilities says cancelledStatus (8.0) */
	SCM_BB_WEBHOOK_CAPS = 1 << 3, /* lists the webhook events that it knows (6.5) */
};

/*
 * A path under a server's own, piece by piece. `full` once something did not fit; nothing is sent
 * then.
 */
struct bitbucket_path {
	struct url *url;
	size_t length;
	bool full;
};

struct bitbucket_path bitbucket_path_begin(
    struct url *url, size_t base_length); /* cuts to the base, empties the query */
void bitbucket_path_put(struct bitbucket_path *path, const char *literal);
void bitbucket_path_put_text(
    struct bitbucket_path *path, const char *text); /* percent-encoded; "~" stays */
void bitbucket_path_put_repository(
    struct bitbucket_path *path, const char *project, const char *slug);
/* "name=value" with "&" before it where needed. Encoded. */
void bitbucket_query_put(struct bitbucket_path *path, const char *name, const char *value);
void bitbucket_query_put_uint(struct bitbucket_path *path, const char *name, uint64_t value);

/* .../builds on new servers, /rest/build-status/1.0/commits/{sha} on old ones. */
void bitbucket_status_path(struct bitbucket_path *path, uint32_t capabilities, const char *project,
    const char *slug, const char *commit);
enum update_state bitbucket_state_as_sent(uint32_t capabilities, enum update_state state);
/* What Bitbucket would refuse (or worse, cut): a literal for people, NULL when it may be sent. */
const char *bitbucket_status_fault(const struct update *update);
/* The body of a status write. False when it does not fit. */
bool bitbucket_status_body(struct buf *out, uint32_t capabilities, const struct update *update);

#endif
