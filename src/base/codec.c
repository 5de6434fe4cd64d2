#include "base/codec.h"

#include <string.h>

/* One more than a digit's value; 0 for what is none. */
/* clang-format off */
static const unsigned char hex_digits[256] = {
	['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8,
	['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
	['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16};
/* clang-format on */

static int hex_value(char c)
{
	return hex_digits[(unsigned char)c] - 1;
}

void codec_hex_encode(char *out, const void *data, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *bytes = data;

	for (size_t i = 0; i < length; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * length] = '\0';
}

bool codec_hex_decode(void *out, size_t length, const char *text)
{
	unsigned char *bytes = out;

	if (!codec_is_hex(text, 2 * length))
		return false;
	for (size_t i = 0; i < length; i++)
		bytes[i] =
		    (unsigned char)(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
	return true;
}

bool codec_is_hex(const char *text, size_t digits)
{
	for (size_t i = 0; i < digits; i++)
		if (hex_value(text[i]) < 0) /* also at an early end */
			return false;
	return text[digits] == '\0';
}

bool codec_base64_encode(struct buf *out, const void *data, size_t length)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *bytes = data;

	if (length > SIZE_MAX / 4)
		return buf_room(out, SIZE_MAX) != NULL;
	size_t size = (length + 2) / 3 * 4;
	char *to = buf_room(out, size);
	if (to == NULL)
		return false;
	for (size_t i = 0; i < length; i += 3) {
		uint32_t group = (uint32_t)bytes[i] << 16;
		group |= i + 1 < length ? (uint32_t)bytes[i + 1] << 8 : 0;
		group |= i + 2 < length ? (uint32_t)bytes[i + 2] : 0;
		*to++ = digits[group >> 18];
		*to++ = digits[group >> 12 & 63];
		*to++ = i + 1 < length ? digits[group >> 6 & 63] : '=';
		*to++ = i + 2 < length ? digits[group & 63] : '=';
	}
	out->length += size;
	return true;
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four digits, of which the last `padding` are "="; false when a digit is none or unused bits are
 * set. */
static bool base64_group(unsigned char out[3], const char text[4], size_t padding)
{
	uint32_t group = 0;

	for (size_t i = 0; i < 4; i++) {
		int value = i < 4 - padding ? base64_value(text[i]) : 0;
		if (value < 0)
			return false;
		group = group << 6 | (uint32_t)value;
	}
	out[0] = (unsigned char)(group >> 16);
	out[1] = (unsigned char)(group >> 8);
	out[2] = (unsigned char)group;
	return (padding < 1 || out[2] == 0) && (padding < 2 || out[1] == 0);
}

bool codec_base64_decode(struct buf *out, const char *text, size_t length)
{
	size_t before = out->length;
	size_t padding = 0;

	if (length % 4 != 0)
		return false;
	if (length > 0 && text[length - 1] == '=')
		padding = text[length - 2] == '=' ? 2 : 1;
	char *to = buf_room(out, length / 4 * 3 - padding);
	if (to == NULL)
		return false;
	for (size_t i = 0; i < length; i += 4) {
		unsigned char bytes[3];
		size_t missing = i + 4 == length ? padding : 0;
		if (!base64_group(bytes, text + i, missing)) {
			out->data[before] = '\0';
			return false;
		}
		memcpy(to, bytes, 3 - missing);
		to += 3 - missing;
	}
	out->length += length / 4 * 3 - padding;
	return true;
}

static bool url_unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

bool codec_url_encode(struct buf *out, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t size = 0;

	for (const char *c = text; *c != '\0'; c++)
		size += url_unreserved(*c) ? 1 : 3;
	char *to = buf_room(out, size);
	if (to == NULL)
		return false;
	for (; *text != '\0'; text++) {
		if (url_unreserved(*text)) {
			*to++ = *text;
			continue;
		}
		*to++ = '%';
		*to++ = digits[(unsigned char)*text >> 4];
		*to++ = digits[*text & 15];
	}
	out->length += size;
	return true;
}

bool codec_url_decode(struct buf *out, const char *text, size_t length)
{
	size_t before = out->length;
	char *to = buf_room(out, length);

	if (to == NULL)
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = text[i];
		if (c == '%') {
			int high = length - i > 2 ? hex_value(text[i + 1]) : -1;
			int low = length - i > 2 ? hex_value(text[i + 2]) : -1;
			if (high < 0 || low < 0 || high + low == 0) {
				out->data[before] = '\0';
				return false;
			}
			c = (char)(high << 4 | low);
			i += 2;
		}
		*to++ = c;
	}
	out->length = (size_t)(to - out->data);
	return true;
}

/* Unicode 15, table 3-7: well-formed UTF-8 byte sequences. */
size_t codec_utf8_char(const char *text, size_t length)
{
	const unsigned char *b = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf;
	size_t size;

	if (length == 0)
		return 0;
	if (b[0] < 0x80)
		return 1;
	if (b[0] >= 0xc2 && b[0] <= 0xdf)
		size = 2;
	else if (b[0] >= 0xe0 && b[0] <= 0xef)
		size = 3;
	else if (b[0] >= 0xf0 && b[0] <= 0xf4)
		size = 4;
	else
		return 0;
	if (b[0] == 0xe0 || b[0] == 0xf0) /* no longer form than needed */
		low = b[0] == 0xe0 ? 0xa0 : 0x90;
	if (b[0] == 0xed || b[0] == 0xf4) /* no surrogates, nothing above U+10FFFF */
		high = b[0] == 0xed ? 0x9f : 0x8f;
	if (length < size || b[1] < low || b[1] > high)
		return 0;
	for (size_t i = 2; i < size; i++)
		if (b[i] < 0x80 || b[i] > 0xbf)
			return 0;
	return size;
}

bool codec_is_utf8(const char *text, size_t length)
{
	while (length > 0) {
		size_t size = codec_utf8_char(text, length);
		if (size == 0)
			return false;
		text += size;
		length -= size;
	}
	return true;
}

size_t codec_utf8_cut(const char *text, size_t length, size_t limit)
{
	if (length <= limit)
		return length;
	/* A character that reaches over the limit begins at most three bytes before it. */
	for (size_t back = 1; back <= 3 && back <= limit; back++) {
		size_t start = limit - back;
		unsigned char c = (unsigned char)text[start];
		if (c < 0x80)
			break;
		if (c >= 0xc0)
			return codec_utf8_char(text + start, length - start) > back ? start : limit;
	}
	return limit;
}
