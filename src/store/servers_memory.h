/*
 * servers_memory: the servers, being few, in memory, and how a URL finds its server.
 */
#ifndef STORE_SERVERS_MEMORY_H
#define STORE_SERVERS_MEMORY_H

#include "store/records.h"

struct server_memory;
struct servers_memory {
	struct server_memory **list;
	unsigned count;
	struct server_lookup *last; /* what was asked last: the next command names the same */
};

void servers_memory_free(struct servers_memory *servers);
/* Adds a copy of the record, or puts it in place of the one with the same id. */
void servers_memory_set(struct servers_memory *servers, const struct record_server *record);
void servers_memory_remove(struct servers_memory *servers, uint32_t id);
const struct record_server *servers_memory_at(const struct servers_memory *servers, unsigned index);
const struct record_server *servers_memory_find(const struct servers_memory *servers, uint32_t id);
const struct record_server *servers_memory_by_url(
    const struct servers_memory *servers, const char *url);

#endif
