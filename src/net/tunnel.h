/*
 * tunnel: CONNECT through an HTTP proxy, by hand on the raw socket, so that TLS can follow on the
 * same descriptor.
 *
 * Strict: the answer is at most 16 KiB of head; a byte behind a 2xx head ends the attempt, since
 * nobody may speak before our TLS hello. The completion is called exactly once, never inside
 * tunnel_start; after tunnel_cancel never. The descriptor stays the caller's all the while. Error
 * codes: proxy_auth (407), proxy_refused (any other answer, a bad one, an end), connect_timeout.
 */
#ifndef NET_TUNNEL_H
#define NET_TUNNEL_H

#include "base/loop.h"
#include "net/proxy.h"

struct tunnel;
typedef void tunnel_fn(int status, const struct err *err, void *arg);

/* authority: "host:port" of what lies behind; proxy outlives the tunnel. Freed by its completion or
 * tunnel_cancel. */
struct tunnel *tunnel_start(struct loop *loop, int fd, const struct proxy *proxy,
    const char *authority, uint32_t deadline_ms, tunnel_fn *fn, void *arg);
void tunnel_cancel(struct tunnel *tunnel);

#endif
