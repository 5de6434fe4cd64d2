/*
 * resolver: names to addresses without blocking the loop.
 *
 * getaddrinfo (so that nsswitch and /etc/hosts work) runs in a helper thread (up to three while
 * lookups hang). Answers are kept for 60 s, failures for 5 s; equal questions that wait are asked
 * once. Literal addresses answer without the thread. Every lookup calls its completion exactly
 * once, never inside resolver_lookup, unless it is cancelled; a lookup given up at its deadline is
 * simply cancelled.
 */
#ifndef NET_RESOLVER_H
#define NET_RESOLVER_H

#include "base/err.h"
#include "base/loop.h"
#include <sys/socket.h>

#define RESOLVER_ADDRESSES 8
struct resolver_address {
	struct sockaddr_storage address;
	socklen_t length;
};
struct resolver_answer {
	unsigned count; /* at most RESOLVER_ADDRESSES, in the system's order of preference */
	struct resolver_address list[RESOLVER_ADDRESSES];
	bool cached;
};

struct resolver;
struct resolver_lookup;
/* answer is NULL on failure, and err (code "dns_failed", with the system's words) is then filled.
 * Both are borrowed. */
typedef void resolver_fn(const struct resolver_answer *answer, const struct err *err, void *arg);

struct resolver *resolver_new(struct loop *loop, struct err *err);
void resolver_free(struct resolver *resolver);
struct resolver_lookup *resolver_lookup(
    struct resolver *resolver, const char *host, uint16_t port, resolver_fn *fn, void *arg);
void resolver_cancel(struct resolver_lookup *lookup);
/* "192.0.2.1:443" or "[2001:db8::1]:443". out: at least 64 bytes. */
void resolver_text(const struct resolver_address *address, char *out, size_t size);

#endif
