/*
 * http_fault: the words for what goes wrong with a connection's messages and deadlines. Pure.
 */
#ifndef NET_HTTP_FAULT_H
#define NET_HTTP_FAULT_H

#include "net/http_client.h"

/* The parser refused the answer: http_too_large or http_malformed. `why` is the parser's, or the
 * caller's, reason. */
void http_fault_malformed(
    struct err *err, const char *peer, const struct http_parser *parser, const char *why);
/* The connection ended: http_cut. error: errno or 0. */
void http_fault_cut(struct err *err, const char *peer, bool begun, int error, uint64_t body_bytes);
/* A plain answer of the proxy itself: proxy_auth. */
void http_fault_proxy_auth(struct err *err, const char *proxy);
/* The total deadline passed: deadline. `doing` is what went on; peer may be "". */
void http_fault_total(
    struct err *err, const char *authority, const char *doing, const char *peer, uint32_t ms);
/* One step's deadline passed. By hop: "DNS" dns_failed, "TLS" tls_failed, "HTTP" http_timeout. who:
 * name or address; NULL with "TLS" while the CA certificates are waited for. */
void http_fault_late(
    struct err *err, const char *hop, const char *who, const struct http_deadlines *limits);

#endif
