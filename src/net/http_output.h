/*
 * http_output: a request's bytes on their way out, head and body as one piece: one TLS record, one
 * packet.
 */
#ifndef NET_HTTP_OUTPUT_H
#define NET_HTTP_OUTPUT_H

#include "base/buf.h"
#include <openssl/ssl.h>

struct bufferevent;

/*
 * The connection is open and has nothing else to write. ssl: of the bufferevent, NULL without TLS.
 * `bytes` may change afterwards; what had to be copied is overwritten once it is out. A failure is
 * told by the bufferevent, later.
 */
void http_output(struct bufferevent *bev, SSL *ssl, const struct buf *bytes);

#endif
