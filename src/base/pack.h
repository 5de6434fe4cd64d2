/*
 * pack: the byte layout of database values. Little-endian fixed-width integers, strings and bytes
 * with a 32-bit length before them. Keys that must sort use the big-endian helpers.
 *
 * The reader never leaves its bounds: the first thing that does not fit sets `bad`, and everything
 * read after it is zero or empty. Look at `bad` once, at the end.
 */
#ifndef BASE_PACK_H
#define BASE_PACK_H

#include "base/buf.h"
#include <endian.h>
#include <string.h>

struct unpack {
	const unsigned char *at, *end;
	bool bad;
};

void pack_u8(struct buf *buf, uint8_t value);
void pack_u32(struct buf *buf, uint32_t value);
void pack_u64(struct buf *buf, uint64_t value);
void pack_bytes(struct buf *buf, const void *data, size_t length);
void pack_string(struct buf *buf, const char *text); /* NULL is packed as "" */
/* At most `limit` bytes of it, without cutting a character. */
void pack_cut(struct buf *buf, const char *text, size_t limit);

static inline void unpack_init(struct unpack *u, const void *data, size_t length)
{
	*u = (struct unpack){.at = length > 0 ? data : (const void *)""};
	u->end = u->at + length;
}

/* The next `length` bytes, or NULL when there are fewer. */
static inline const unsigned char *unpack_take(struct unpack *u, size_t length)
{
	const unsigned char *at = u->at;

	if (u->bad || length > (size_t)(u->end - at)) {
		u->bad = true;
		return NULL;
	}
	u->at += length;
	return at;
}

static inline uint8_t unpack_u8(struct unpack *u)
{
	const unsigned char *at = unpack_take(u, 1);

	return at != NULL ? *at : 0;
}

static inline uint32_t unpack_u32(struct unpack *u)
{
	const unsigned char *at = unpack_take(u, sizeof(uint32_t));
	uint32_t value = 0;

	if (at != NULL)
		memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static inline uint64_t unpack_u64(struct unpack *u)
{
	const unsigned char *at = unpack_take(u, sizeof(uint64_t));
	uint64_t value = 0;

	if (at != NULL)
		memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

const void *unpack_bytes(struct unpack *u, size_t *length); /* points into the data */

/* Points into the data, NUL-terminated; "" when bad. */
static inline const char *unpack_string(struct unpack *u)
{
	size_t length = unpack_u32(u);
	const char *text = (const char *)unpack_take(u, length);

	/* The only NUL is its last byte. Many are empty. */
	if (text != NULL && length > 0 && text[length - 1] == '\0' &&
	    (length == 1 || strlen(text) == length - 1))
		return text;
	u->bad = true;
	return "";
}

void pack_key_u32(unsigned char out[4], uint32_t value); /* big-endian, sorts as numbers do */
void pack_key_u64(unsigned char out[8], uint64_t value);
uint32_t unpack_key_u32(const unsigned char in[4]);
uint64_t unpack_key_u64(const unsigned char in[8]);

#endif
