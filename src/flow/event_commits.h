/*
 * event_commits: which commits the body of a Bitbucket event names as heads of a branch or tag.
 * Pure; allocates nothing; one pass over the bytes.
 *
 *	repo:refs_changed   changes[]: toHash, ref.id; not where type is DELETE
 *	pr:...              pullRequest.fromRef: latestCommit, id, repository (a fork's is another)
 *
 * What always holds: a commit is 40 hex digits in lower case, a ref and a name are not empty, fit
 * and hold no control byte; what does not is passed over. Nothing else of a body is looked at,
 *dates in particular: they come in several forms. At most EVENT_COMMITS_MAX are told of one body.
 *They are told as they are read: of a body that is broken further on, too.
 *
 * Source: Bitbucket Data Center, "Event payload".
 */
#ifndef FLOW_EVENT_COMMITS_H
#define FLOW_EVENT_COMMITS_H

#include <stdbool.h>
#include <stddef.h>

#define EVENT_COMMITS_MAX 64

struct event_commit {
	char commit[41];
	char ref[256];     /* "refs/heads/main" */
	char project[130]; /* where it lives; "" when the event does not say: its own repository */
	char slug[130];
};
typedef void event_commit_fn(const struct event_commit *commit, void *arg);

/* key: X-Event-Key. Returns how many were told. */
unsigned event_commits(
    const char *key, const void *body, size_t length, event_commit_fn *fn, void *arg);

#endif
