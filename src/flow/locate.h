/*
 * locate: in which enabled repositories does a commit live?
 *
 * Answers, cheapest first: what is remembered (PLACE); the repositories that the hint names
 * ("owner/repository/branch" of an Eyes test: slug, and project where it matches); then at most
 * LOCATE_ASK recently active enabled repositories. Each candidate is asked for the commit; a commit
 * can live in several (forks), all are returned. A repository that may not be asked (its token is
 * refused) may hold it: then it is never given up. Answers are remembered, "nowhere" for ten
 * minutes, then for twice as long, at most forty minutes. One search at a time asks at most 8
 * repositories at once.
 */
#ifndef FLOW_LOCATE_H
#define FLOW_LOCATE_H

#include "flow/servers.h"
#include "store/places.h"

#define LOCATE_ASK 50

struct locate_options { /* borrowed */
	struct loop *loop;
	struct records *records;
	struct servers *servers;
	struct scm *scm;
	struct places *places;
};

struct locate;
struct locate_search;
struct locate_answer {         /* borrowed for the completion */
	const uint32_t *repos; /* enabled (or blocked) repositories */
	unsigned count;
	bool complete; /* every candidate answered; else the search should be made again later */
	bool given_up; /* looked for again just now, half an hour after the first time: nowhere */
	const struct err *err; /* of one that could not be asked, NULL when all could */
};
/* Called exactly once, never inside locate_find, unless cancelled. */
typedef void locate_fn(const struct locate_answer *answer, void *arg);

struct locate *locate_new(const struct locate_options *options);
void locate_free(struct locate *locate); /* cancels */
struct locate_search *locate_find(
    struct locate *locate, const char *commit, const char *hint, locate_fn *fn, void *arg);
void locate_cancel(struct locate_search *search);
/* Something happened in this repository: it is asked earlier than others. Kept in memory. */
void locate_active(struct locate *locate, uint32_t repo);

#endif
