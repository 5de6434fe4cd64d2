/*
 * mem: allocation that ends the process instead of failing. The queue is on disk, so nothing is
 * lost by it.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_zero(size_t size); /* calloc */
void *mem_array(size_t count, size_t size);
void *mem_grow(void *old, size_t count, size_t size); /* reallocarray */
char *mem_string(const char *text);                   /* NULL gives NULL */
char *mem_bytes(const void *data, size_t length);     /* a copy with a NUL behind it */
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
