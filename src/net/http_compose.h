/*
 * http_compose: the bytes of a request from its options, and the same request turned to another
 * target. No I/O.
 */
#ifndef NET_HTTP_COMPOSE_H
#define NET_HTTP_COMPOSE_H

#include "net/http_client.h"
#include "net/proxy.h"

struct http_message {
	struct buf bytes; /* request line, fields, body */
	size_t line_end;  /* where the fields begin */
	char method[24];
	struct url url;
	bool absolute; /* the request line holds the whole URL: a proxy fetches it */
};

/*
 * Replaces what the message held. host: the Host field. proxy: the one that reads this request (for
 * http://), else NULL. err code "request_invalid": a header that is the client's to write, a byte
 * that may not be sent, too many bytes.
 */
bool http_compose(struct http_message *message, const struct http_options *options,
    const char *host, const struct proxy *proxy, struct err *err)
    __attribute__((warn_unused_result));
/*
 * Turns the message to where a redirect points: 307 and 308 with any method, 301, 302 and 303 with
 * GET and HEAD, within the same origin. False, with nothing changed, for every other answer.
 */
bool http_compose_redirect(struct http_message *message, const struct http_head *head)
    __attribute__((warn_unused_result));
/* Overwrites the bytes (they may have held a token); keeps the memory when it is at most `keep`
 * bytes. */
void http_compose_clear(struct http_message *message, size_t keep);

#endif
