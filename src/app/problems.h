/*
 * problems: a list of what is wrong, so that all of it can be told at once.
 */
#ifndef APP_PROBLEMS_H
#define APP_PROBLEMS_H

#include <stdbool.h>

struct problem {
	bool warning; /* else an error */
	char *text;
};
struct problems {
	struct problem *list;
	unsigned count, errors;
};

void problems_init(struct problems *problems);
void problems_free(struct problems *problems);
void problems_error(struct problems *problems, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void problems_warn(struct problems *problems, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
