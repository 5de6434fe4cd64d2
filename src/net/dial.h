/*
 * dial: a connected stream socket to the first of several addresses that answers, or to a Unix
 * socket.
 *
 * Addresses are tried in order, 250 ms apart or as soon as the one before failed; earlier attempts
 * go on meanwhile and the first to connect wins. TCP_NODELAY is set at once: with Nagle a TLS
 * request costs 44 ms.
 *
 * The completion is called exactly once, never inside dial_start; after dial_cancel never. The
 * descriptor is the callee's. Error codes: connect_refused, connect_timeout, connect_failed, with
 * the address in the message.
 */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include "net/resolver.h"

struct dial;
/* fd is -1 on failure. `address` is the one that answered ("192.0.2.7:443" or the path), borrowed.
 */
typedef void dial_fn(int fd, const char *address, const struct err *err, void *arg);

/* The dial is freed by its completion or by dial_cancel. deadline in ms, over all addresses. */
struct dial *dial_start(struct loop *loop, const struct resolver_answer *addresses,
    uint32_t deadline_ms, dial_fn *fn, void *arg);
struct dial *dial_unix(
    struct loop *loop, const char *path, uint32_t deadline_ms, dial_fn *fn, void *arg);
void dial_cancel(struct dial *dial);

#endif
