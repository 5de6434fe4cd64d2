/*
 * buf: a growing byte buffer with a cap per use.
 *
 * What always holds: length <= limit; data is NUL-terminated whenever it is not NULL (the NUL is
 * not counted); once an append would pass the limit, nothing of it is added, `overflow` stays true
 * and every later append is refused, so that a writer may append many times and look once at the
 * end.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data;
	size_t length;
	size_t capacity;
	size_t limit; /* bytes */
	bool overflow;
};

void buf_init(struct buf *buf, size_t limit);
void buf_reset(struct buf *buf); /* keeps the memory */
void buf_free(struct buf *buf);
void buf_cleanse(struct buf *buf); /* overwrites, then frees: for what held a secret */
bool buf_make_room(struct buf *buf, size_t length); /* what buf_reserve does where there is none */
/* Makes sure that `length` more bytes need no more memory; false, with overflow, at the limit. */
static inline bool buf_reserve(struct buf *buf, size_t length)
{
	return (!buf->overflow && length < buf->capacity - buf->length) ||
	       buf_make_room(buf, length);
}
bool buf_append(struct buf *buf, const void *data, size_t length);
bool buf_puts(struct buf *buf, const char *text);
static inline bool buf_putc(struct buf *buf, char c)
{
	if (!buf_reserve(buf, 1))
		return false;
	buf->data[buf->length++] = c;
	buf->data[buf->length] = '\0';
	return true;
}
bool buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buf_put_uint(struct buf *buf, uint64_t value); /* decimal, without printf */
/* Appends text as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
bool buf_put_json(struct buf *buf, const char *text, size_t length);
/* Copies text to `out` (as many bytes); false, with some of it written, when a byte of it cannot
 * stand in a JSON string as it is, or is not ASCII. */
bool buf_copy_plain(char *out, const char *text, size_t length);
/* Room for `length` more bytes, all zero, at data+length, or NULL at the limit; the caller adds to
 * `length` what it wrote. */
char *buf_room(struct buf *buf, size_t length);
void buf_drop(struct buf *buf, size_t length); /* removes from the front */
/* The data, now the caller's to free(); the buffer is empty afterwards. Never NULL. */
char *buf_take(struct buf *buf);

#endif
