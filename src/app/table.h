/*
 * table: aligned columns on a terminal. Cells are copied; control characters in them are shown as
 * "?", so that nothing from outside moves the cursor.
 */
#ifndef APP_TABLE_H
#define APP_TABLE_H

#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS 8
struct table {
	unsigned columns;
	const char *const *titles; /* literals */
	char **cells;              /* rows * columns */
	size_t rows;
};

void table_init(struct table *table, const char *const *titles, unsigned columns);
/* As many cells as columns; NULL is "-". */
void table_add(struct table *table, const char *const *cells);
void table_print(const struct table *table, FILE *out);
void table_free(struct table *table);

/* Columns that the text takes on a terminal. */
size_t table_width(const char *text);
/* Text from outside, for people. */
void table_put_text(FILE *out, const char *text);

#endif
