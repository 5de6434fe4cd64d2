/*
 * codec: hex, base64 and percent encoding, UTF-8 checks. Pure functions over bytes.
 */
#ifndef BASE_CODEC_H
#define BASE_CODEC_H

#include "base/buf.h"

/* Lower case. out: 2*length+1 bytes. */
void codec_hex_encode(char *out, const void *data, size_t length);
/* Exactly `length` bytes from 2*length hex digits of either case; false for anything else. */
bool codec_hex_decode(void *out, size_t length, const char *text);
bool codec_is_hex(const char *text, size_t digits); /* exactly that many digits, then the end */

bool codec_base64_encode(struct buf *out, const void *data, size_t length);
bool codec_base64_decode(
    struct buf *out, const char *text, size_t length); /* strict, with padding */

/* RFC 3986: everything but unreserved characters is encoded ("~" stays: personal Bitbucket projects
 * need it). */
bool codec_url_encode(struct buf *out, const char *text);
bool codec_url_decode(
    struct buf *out, const char *text, size_t length); /* false at a bad or %00 escape */

/* Bytes of the well-formed character that the text begins with; 0 when there is none. */
size_t codec_utf8_char(const char *text, size_t length);
bool codec_is_utf8(const char *text, size_t length);
/* The longest prefix of at most `limit` bytes that does not cut a character. */
size_t codec_utf8_cut(const char *text, size_t length, size_t limit);

#endif
