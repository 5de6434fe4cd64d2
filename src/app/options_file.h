/*
 * options_file: the grammar of eyes-scm.conf and .env. Pure: text in, lines out.
 *
 *   line   = blanks [ "export" blanks ] NAME blanks "=" blanks value blanks [ comment ]
 *          | blanks [ comment ]
 *   NAME   = letters, digits and "_", not beginning with a digit
 *   value  = bare | 'single' | "double" | nothing
 *   bare   = up to the end of the line or a "#" behind a blank; as it is, without quotes at its
 *            beginning, and without the blanks at its end
 *   single = everything up to the next ' as it is
 *   double = \" \\ \$ \n \t are what they are in a shell or in C; no other backslash
 *   comment = "#" up to the end of the line; behind a value only after a blank
 *
 * Nothing is expanded. A value never goes over the end of its line. Lines end with LF or CR LF; a
 * byte order mark at the beginning is skipped.
 */
#ifndef APP_OPTIONS_FILE_H
#define APP_OPTIONS_FILE_H

#include "base/buf.h"
#include "base/err.h"

#define OPTIONS_FILE_MAX 65536 /* bytes */

struct options_file {
	const char *at, *end;
	unsigned line;    /* of the last assignment, from 1 */
	char name[64];    /* "" when the line was wrong before its name was known */
	struct buf value; /* NUL-terminated; may hold a secret */
};

enum options_file_step { OPTIONS_FILE_SET, OPTIONS_FILE_WRONG, OPTIONS_FILE_END };

/* text: borrowed while in use. */
void options_file_init(struct options_file *file, const char *text, size_t length);
/* The next assignment, or the next line that is wrong: err then says why, without the value. */
enum options_file_step options_file_next(struct options_file *file, struct err *err);
void options_file_free(struct options_file *file);

#endif
