#include "base/mem.h"

#include "base/err.h"
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *mem_check(void *memory, size_t count, size_t size)
{
	if (memory == NULL)
		fatal("out of memory: %zu times %zu bytes refused", count, size);
	return memory;
}

void *mem_zero(size_t size)
{
	return mem_array(1, size);
}

void *mem_array(size_t count, size_t size)
{
	if (count == 0 || size == 0)
		count = size = 1; /* calloc may answer NULL to nothing */
	return mem_check(calloc(count, size), count, size);
}

void *mem_grow(void *old, size_t count, size_t size)
{
	if (count == 0 || size == 0)
		count = size = 1;
	return mem_check(reallocarray(old, count, size), count, size);
}

char *mem_string(const char *text)
{
	return text == NULL ? NULL : mem_bytes(text, strlen(text));
}

char *mem_bytes(const void *data, size_t length)
{
	if (length == SIZE_MAX)
		mem_check(NULL, length, 1);
	char *copy = mem_check(malloc(length + 1), length + 1, 1);
	if (length > 0)
		memcpy(copy, data, length);
	copy[length] = '\0';
	return copy;
}

char *mem_printf(const char *format, ...)
{
	va_list arguments, again;

	va_start(arguments, format);
	va_copy(again, arguments);
	int length = vsnprintf(NULL, 0, format, arguments);
	if (length < 0)
		fatal("cannot print with the format %s", format);
	char *text = mem_array((size_t)length + 1, 1);
	vsnprintf(text, (size_t)length + 1, format, again);
	va_end(again);
	va_end(arguments);
	return text;
}
