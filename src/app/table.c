#define _GNU_SOURCE /* wcwidth */
#include "app/table.h"

#include "base/codec.h"
#include "base/mem.h"
#include <locale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* The character's value; `size` is what codec_utf8_char gave, not 0. */
static wchar_t decode(const char *text, size_t size)
{
	static const unsigned char FIRST[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	unsigned value = (unsigned char)text[0] & FIRST[size];

	for (size_t i = 1; i < size; i++)
		value = value << 6 | ((unsigned char)text[i] & 0x3f);
	return (wchar_t)value;
}

/* C0, DEL, C1, the marks that turn the direction of writing, and bytes that are no UTF-8. */
static bool is_unsafe(const char *text, size_t size)
{
	wchar_t c = size > 0 ? decode(text, size) : 0;

	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* A copy that is safe to print. */
static char *clean(const char *text)
{
	size_t length = strlen(text);
	char *copy = mem_zero(length + 1), *out = copy;

	while (length > 0) {
		size_t size = codec_utf8_char(text, length), step = size > 0 ? size : 1;
		if (is_unsafe(text, size)) {
			*out++ = '?';
		} else {
			memcpy(out, text, step);
			out += step;
		}
		text += step;
		length -= step;
	}
	return copy;
}

void table_put_text(FILE *out, const char *text)
{
	char *copy = clean(text);

	fputs(copy, out);
	free(copy);
}

size_t table_width(const char *text)
{
	size_t length = strlen(text), width = 0;

	while (length > 0) {
		size_t size = codec_utf8_char(text, length), step = size > 0 ? size : 1;
		int columns = size > 0 ? wcwidth(decode(text, size)) : 1;
		width += columns >= 0 ? (size_t)columns : 1;
		text += step;
		length -= step;
	}
	return width;
}

void table_init(struct table *table, const char *const *titles, unsigned columns)
{
	/* For wcwidth only; "C.UTF-8" is there on every Debian. */
	setlocale(LC_CTYPE, "C.UTF-8");
	*table = (struct table){.columns = columns, .titles = titles};
}

void table_add(struct table *table, const char *const *cells)
{
	table->cells =
	    mem_grow(table->cells, (table->rows + 1) * table->columns, sizeof(table->cells[0]));
	for (unsigned i = 0; i < table->columns; i++) {
		const char *cell = cells[i] != NULL && cells[i][0] != '\0' ? cells[i] : "-";
		table->cells[table->rows * table->columns + i] = clean(cell);
	}
	table->rows++;
}

static void print_cell(const char *text, size_t width, bool last, FILE *out)
{
	fputs(text, out);
	for (size_t have = table_width(text); !last && have < width + 2; have++)
		putc(' ', out);
}

void table_print(const struct table *table, FILE *out)
{
	size_t width[TABLE_COLUMNS] = {0};

	for (unsigned i = 0; i < table->columns; i++)
		width[i] = table_width(table->titles[i]);
	for (size_t i = 0; i < table->rows * table->columns; i++) {
		size_t cell = table_width(table->cells[i]);
		if (cell > width[i % table->columns])
			width[i % table->columns] = cell;
	}
	for (unsigned i = 0; i < table->columns; i++)
		print_cell(table->titles[i], width[i], i + 1 == table->columns, out);
	putc('\n', out);
	for (size_t row = 0; row < table->rows; row++) {
		for (unsigned i = 0; i < table->columns; i++)
			print_cell(table->cells[row * table->columns + i], width[i],
			    i + 1 == table->columns, out);
		putc('\n', out);
	}
}

void table_free(struct table *table)
{
	for (size_t i = 0; i < table->rows * table->columns; i++)
		free(table->cells[i]);
	free(table->cells);
}
