#include "base/buf.h"

#include "base/codec.h"
#include "base/mem.h"
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 64

void buf_init(struct buf *buf, size_t limit)
{
	/* One less than all, so that the NUL behind it can be counted. */
	*buf = (struct buf){.limit = limit < SIZE_MAX / 2 ? limit : SIZE_MAX / 2};
}

void buf_reset(struct buf *buf)
{
	buf->length = 0;
	buf->overflow = false;
	if (buf->data != NULL)
		buf->data[0] = '\0';
}

void buf_free(struct buf *buf)
{
	free(buf->data);
	buf_init(buf, buf->limit);
}

void buf_cleanse(struct buf *buf)
{
	if (buf->data != NULL)
		OPENSSL_cleanse(buf->data, buf->capacity);
	buf_free(buf);
}

/* Not realloc: the old memory may hold a secret, and would go back to the heap as it is. */
static void buf_grow(struct buf *buf, size_t needed)
{
	size_t capacity = buf->capacity < CAPACITY_MIN ? CAPACITY_MIN : buf->capacity;

	while (capacity < needed)
		capacity *= 2;
	if (capacity > buf->limit + 1)
		capacity = buf->limit + 1;
	char *data = mem_grow(NULL, capacity, 1);
	if (buf->data != NULL) {
		memcpy(data, buf->data, buf->length);
		OPENSSL_cleanse(buf->data, buf->length);
		free(buf->data);
	}
	buf->data = data;
	buf->capacity = capacity;
}

/* And of room for the NUL. */
bool buf_make_room(struct buf *buf, size_t length)
{
	if (buf->overflow || length > buf->limit - buf->length) {
		buf->overflow = true;
		return false;
	}
	if (buf->length + length + 1 > buf->capacity)
		buf_grow(buf, buf->length + length + 1);
	return true;
}

bool buf_append(struct buf *buf, const void *data, size_t length)
{
	if (!buf_reserve(buf, length))
		return false;
	if (length > 0)
		memcpy(buf->data + buf->length, data, length);
	buf->length += length;
	buf->data[buf->length] = '\0';
	return true;
}

bool buf_puts(struct buf *buf, const char *text)
{
	return buf_append(buf, text, strlen(text));
}

bool buf_printf(struct buf *buf, const char *format, ...)
{
	va_list arguments, again;
	bool done = false;

	va_start(arguments, format);
	va_copy(again, arguments);
	int length = vsnprintf(NULL, 0, format, arguments);
	if (length < 0) {
		buf->overflow = true;
	} else if (buf_reserve(buf, (size_t)length)) {
		vsnprintf(buf->data + buf->length, (size_t)length + 1, format, again);
		buf->length += (size_t)length;
		done = true;
	}
	va_end(again);
	va_end(arguments);
	return done;
}

bool buf_put_uint(struct buf *buf, uint64_t value)
{
	char digits[20]; /* 2^64 has 20 */
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	return buf_append(buf, digits + at, sizeof(digits) - at);
}

static bool put_json_escape(struct buf *buf, unsigned char c)
{
	static const char *const short_form[] = {
	    ['\b'] = "\\b",
	    ['\t'] = "\\t",
	    ['\n'] = "\\n",
	    ['\f'] = "\\f",
	    ['\r'] = "\\r",
	    ['"'] = "\\\"",
	    ['\\'] = "\\\\",
	};

	if (c < sizeof(short_form) / sizeof(short_form[0]) && short_form[c] != NULL)
		return buf_append(buf, short_form[c], 2);
	return buf_printf(buf, "\\u%04x", c);
}

static bool json_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static bool put_json_slowly(struct buf *buf, const char *text, size_t length)
{
	size_t before = buf->length;
	bool fits = buf_putc(buf, '"');

	for (size_t at = 0; fits && at < length;) {
		size_t run = 0;
		while (at + run < length && json_plain((unsigned char)text[at + run]))
			run++;
		if (run == 0 && (unsigned char)text[at] >= 0x80)
			run = codec_utf8_char(text + at, length - at);
		if (run > 0)
			fits = buf_append(buf, text + at, run);
		else if ((unsigned char)text[at] >= 0x80)
			fits = buf_puts(buf, "\xef\xbf\xbd");
		else
			fits = put_json_escape(buf, (unsigned char)text[at]);
		at += run > 0 ? run : 1;
	}
	fits = fits && buf_putc(buf, '"');
	if (!fits && buf->data != NULL) {
		buf->length = before;
		buf->data[before] = '\0';
	}
	return fits;
}

/* Whether eight bytes at once need no escape. It may say no without a need, never yes. */
static bool json_plain_word(uint64_t word)
{
	const uint64_t ones = 0x0101010101010101, tops = ones * 0x80;
	uint64_t quotes = word ^ (ones * '"'), slashes = word ^ (ones * '\\');
	uint64_t deletes = word ^ (ones * 0x7f);

	return ((word | (word - ones * 0x20) | (quotes - ones) | (slashes - ones) |
	            (deletes - ones)) &
	           tops) == 0;
}

/* Four to seven bytes as the first four and the last four of them. */
static bool copy_plain_few(char *out, const char *text, size_t length)
{
	uint32_t first, last;

	memcpy(&first, text, sizeof(first));
	memcpy(&last, text + length - sizeof(last), sizeof(last));
	if (!json_plain_word(first | (uint64_t)last << 32))
		return false;
	memcpy(out, &first, sizeof(first));
	memcpy(out + length - sizeof(last), &last, sizeof(last));
	return true;
}

bool buf_copy_plain(char *out, const char *text, size_t length)
{
	uint64_t word;
	size_t at = 0;

	if (length < sizeof(uint32_t)) {
		for (; at < length && json_plain((unsigned char)text[at]); at++)
			out[at] = text[at];
		return at == length;
	}
	if (length < sizeof(word))
		return copy_plain_few(out, text, length);
	for (; at < length; at += sizeof(word)) {
		if (at > length - sizeof(word))
			at = length - sizeof(word); /* some bytes are copied twice */
		memcpy(&word, text + at, sizeof(word));
		if (!json_plain_word(word))
			return false;
		memcpy(out + at, &word, sizeof(word));
	}
	return true;
}

/* Nearly all text is plain: one reservation and one pass. */
bool buf_put_json(struct buf *buf, const char *text, size_t length)
{
	char *out;

	if (!buf_reserve(buf, length + 2))
		return false;
	out = buf->data + buf->length;
	if (!buf_copy_plain(out + 1, text, length)) {
		out[0] = '\0';
		return put_json_slowly(buf, text, length);
	}
	out[0] = out[length + 1] = '"';
	out[length + 2] = '\0';
	buf->length += length + 2;
	return true;
}

char *buf_room(struct buf *buf, size_t length)
{
	if (!buf_reserve(buf, length))
		return NULL;
	memset(
	    buf->data + buf->length, 0, length + 1); /* so that a NUL follows whatever is written */
	return buf->data + buf->length;
}

void buf_drop(struct buf *buf, size_t length)
{
	if (buf->data == NULL)
		return;
	if (length > buf->length)
		length = buf->length;
	memmove(buf->data, buf->data + length, buf->length - length + 1);
	buf->length -= length;
}

char *buf_take(struct buf *buf)
{
	char *data = buf->data != NULL ? buf->data : mem_bytes("", 0);

	buf_init(buf, buf->limit);
	return data;
}
