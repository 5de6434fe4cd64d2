/*
 * listings: what a server has, read in the background for a page that searches in it while it
 * grows. The last LISTINGS_KEPT are kept, each for a quarter of an hour after its last use. Tokens
 * are not kept beyond the reading.
 */
#ifndef SERVICE_LISTINGS_H
#define SERVICE_LISTINGS_H

#include "service/service.h"

#define LISTINGS_KEPT 4

enum listing_state { LISTING_READING, LISTING_DONE, LISTING_FAILED };
struct listing_row {
	char *project, *slug, *name;
	bool is_public, archived;
	const char *access; /* literal */
};
struct listing_view { /* borrowed for the turn */
	enum listing_state state;
	uint32_t server;
	const struct listing_row *rows; /* sorted by project and slug once done */
	unsigned count;
	bool truncated;
	const struct err *err; /* LISTING_FAILED */
};

struct listings;
struct listings *listings_new(struct service *service, struct loop *loop, struct bus *bus);
void listings_free(struct listings *listings);
uint64_t listings_start(
    struct listings *listings, uint32_t server, const struct secret *token); /* its number */
bool listings_view(struct listings *listings, uint64_t number, struct listing_view *out);

#endif
