/*
 * url: an http or https address taken apart and checked.
 *
 * What always holds after url_parse: scheme is "http" or "https"; host is a lower-case name or
 * address without brackets, free of white space, control bytes and '%'; port is 1..65535; path
 * begins with '/' or is empty, has no "." or ".." segment and no trailing '/' (after url_resolve it
 * may have one: it then names what to fetch); there is no user information and no fragment (both
 * are refused: a secret in a URL ends up in logs). path and query hold only visible ASCII. Every
 * error has the code "url_invalid"; its words echo nothing of the address.
 */
#ifndef BASE_URL_H
#define BASE_URL_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

struct url {
	bool tls;
	bool ipv6; /* host is an IPv6 address: brackets are needed where it is shown */
	uint16_t port;
	char host[256];
	char path[1024];  /* "" or "/context" */
	char query[2048]; /* without '?', "" when there is none */
};

#define URL_ORIGIN 320
#define URL_TEXT (URL_ORIGIN + 1024 + 2048)

bool url_parse(struct url *url, const char *text, struct err *err)
    __attribute__((warn_unused_result));
/* "https://host[:port]" without the port when it is the scheme's own. out: URL_ORIGIN bytes. */
void url_origin(const struct url *url, char *out, size_t size);
/* "host[:port]" as the Host header wants it. out: URL_ORIGIN bytes. */
void url_authority(const struct url *url, char *out, size_t size);
/* Origin, path and query. out: URL_TEXT bytes. */
void url_text(const struct url *url, char *out, size_t size);
bool url_same_origin(const struct url *a, const struct url *b);
/*
 * Resolves a Location or Link value (absolute, "//host/..", "/path", "path", "?query") against
 * `base`, which may be `out`; a fragment is dropped.
 */
bool url_resolve(struct url *out, const struct url *base, const char *reference, struct err *err)
    __attribute__((warn_unused_result));

#endif
