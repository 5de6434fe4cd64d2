/*
 * eyes_fault: the words for what goes wrong between here and Eyes. Pure.
 *
 * `out` gets one of the codes of eyes.h, the hop ("DNS", "TCP 443", "Proxy, 407", "TLS", "Eyes,
 * HTTP 401"), what happened and what to do. Words from outside are escaped, cut at 200 bytes, and
 * without the key that was sent (NULL or empty: none was).
 */
#ifndef EYES_EYES_FAULT_H
#define EYES_EYES_FAULT_H

#include "base/buf.h"
#include "eyes/eyes.h"

struct eyes_skew { /* what the answers' Date said so far */
	bool known;
	int64_t ms; /* the server's clock minus ours */
};

/* A fault of http_client. */
void eyes_fault_transport(
    struct err *out, const struct err *fault, const struct url *base, const struct eyes_skew *skew);
/* An answer that is not 2xx, or a 2xx that gives a long request up. */
void eyes_fault_status(struct err *out, const struct url *base, int status,
    const struct http_head *head, const char *body, size_t length, const struct secret *key);
/* A 2xx whose body is not what was asked for; why: of json_parse or a getter. */
void eyes_fault_malformed(
    struct err *out, const struct url *base, int status, const struct err *why);

/* The words of an error body: the "message" of a JSON object, or plain text; nothing of any other.
 * Escaped, cut. */
void eyes_fault_words(struct buf *out, const struct http_head *head, const char *body,
    size_t length, const struct secret *key);

#endif
