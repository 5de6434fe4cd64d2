/*
 * eyes_request: what goes out to Eyes, as pure functions: addresses, headers, waiting times.
 */
#ifndef EYES_EYES_REQUEST_H
#define EYES_EYES_REQUEST_H

#include "base/clock.h"
#include "eyes/eyes.h"

#define EYES_HEADERS 9
struct eyes_headers { /* the list points into the rest */
	struct http_header list[EYES_HEADERS];
	unsigned count;
	char date[CLOCK_TEXT];
	char id[96];
};

/* instance: of this process; number: of this call; repeat: 0 for its first request. key may be
 * NULL. */
void eyes_request_headers(struct eyes_headers *headers, const char *instance, uint64_t number,
    unsigned repeat, const struct secret *key, int64_t wall_ms);

/* base followed by path ("/api/v1/...", may have a query). */
bool eyes_request_url(struct url *out, const struct url *base, const char *path, struct err *err)
    __attribute__((warn_unused_result));
/*
 * The address of a Location: resolved against the one that was asked, then put on the configured
 * server. A server behind a proxy does not know the context path under which we reach it, so a path
 * outside base's is put under it.
 */
bool eyes_request_location(struct url *out, const struct url *base, const struct url *asked,
    const char *location, struct err *err) __attribute__((warn_unused_result));

/* How long to wait before asking for the Location for the n-th time (n from 0). retry_after_ms: -1
 * when not said. */
uint64_t eyes_request_wait_ms(int64_t retry_after_ms, unsigned n, uint32_t first_ms);

#endif
