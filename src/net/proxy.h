/*
 * proxy: which proxy a URL goes through. Pure once the settings are read, so that a table can test
 * it.
 *
 * Only http:// proxies ("host:port" alone means one). User and password of the setting become a
 * ready Proxy-Authorization value, kept as a secret; it is never part of `text`.
 */
#ifndef NET_PROXY_H
#define NET_PROXY_H

#include "base/crypto.h"
#include "base/err.h"
#include "base/url.h"

struct proxy {
	bool set;
	char host[256];
	uint16_t port;
	char text[320];              /* "host:port", for people and for the pool's key */
	struct secret authorization; /* "Basic ...", empty when the proxy wants none */
};

struct proxy_rules {
	struct proxy https, http; /* by the scheme of what is asked */
	char *exceptions;         /* NO_PROXY */
};

/* Settings as in the environment, NULL or "" when unset. err code "proxy_invalid", its field the
 * variable's name. */
bool proxy_rules_init(struct proxy_rules *rules, const char *https_proxy, const char *http_proxy,
    const char *no_proxy, struct err *err) __attribute__((warn_unused_result));
void proxy_rules_free(struct proxy_rules *rules);
/* Points into the rules; NULL for direct. */
const struct proxy *proxy_for(const struct proxy_rules *rules, const struct url *url);

/*
 * Whether NO_PROXY excepts host:port. Entries are separated by commas or blanks: "*"; "name" or
 * ".name" (the name and what ends in ".name"); an address (never matched by the ending); CIDR; each
 * with an optional ":port". IPv6 may stand in brackets and must where a port follows. Entries that
 * make no sense match nothing.
 */
bool proxy_excepted(const char *no_proxy, const char *host, uint16_t port);

#endif
