#include "base/pack.h"

#include "base/codec.h"
#include <endian.h>
#include <string.h>

void pack_u8(struct buf *buf, uint8_t value)
{
	buf_append(buf, &value, sizeof(value));
}

void pack_u32(struct buf *buf, uint32_t value)
{
	value = htole32(value);
	buf_append(buf, &value, sizeof(value));
}

void pack_u64(struct buf *buf, uint64_t value)
{
	value = htole64(value);
	buf_append(buf, &value, sizeof(value));
}

void pack_bytes(struct buf *buf, const void *data, size_t length)
{
	if (length > UINT32_MAX) {
		buf->overflow = true;
		return;
	}
	pack_u32(buf, (uint32_t)length);
	buf_append(buf, data, length);
}

void pack_string(struct buf *buf, const char *text)
{
	if (text == NULL)
		text = "";
	pack_bytes(buf, text, strlen(text) + 1);
}

void pack_cut(struct buf *buf, const char *text, size_t limit)
{
	size_t length = text != NULL ? strlen(text) : 0;

	if (length > limit)
		length = codec_utf8_cut(text, length, limit);
	pack_u32(buf, (uint32_t)length + 1);
	buf_append(buf, text, length);
	buf_append(buf, "", 1);
}

const void *unpack_bytes(struct unpack *u, size_t *length)
{
	*length = unpack_u32(u);
	const unsigned char *at = u->bad ? NULL : unpack_take(u, *length);
	if (at == NULL) {
		*length = 0;
		return "";
	}
	return at;
}

void pack_key_u32(unsigned char out[4], uint32_t value)
{
	value = htobe32(value);
	memcpy(out, &value, sizeof(value));
}

void pack_key_u64(unsigned char out[8], uint64_t value)
{
	value = htobe64(value);
	memcpy(out, &value, sizeof(value));
}

uint32_t unpack_key_u32(const unsigned char in[4])
{
	uint32_t value;

	memcpy(&value, in, sizeof(value));
	return be32toh(value);
}

uint64_t unpack_key_u64(const unsigned char in[8])
{
	uint64_t value;

	memcpy(&value, in, sizeof(value));
	return be64toh(value);
}
