#include "app/problems.h"

#include "base/buf.h"
#include "base/mem.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 1024 };

void problems_init(struct problems *problems)
{
	*problems = (struct problems){.count = 0};
}

void problems_free(struct problems *problems)
{
	for (unsigned i = 0; i < problems->count; i++)
		free(problems->list[i].text);
	free(problems->list);
	problems_init(problems);
}

static void __attribute__((format(printf, 3, 0)))
add(struct problems *problems, bool warning, const char *format, va_list arguments)
{
	char text[TEXT_MAX];

	if (vsnprintf(text, sizeof(text), format, arguments) < 0)
		return;
	problems->list = mem_grow(problems->list, problems->count + 1, sizeof(problems->list[0]));
	problems->list[problems->count++] =
	    (struct problem){.warning = warning, .text = mem_string(text)};
	problems->errors += warning ? 0 : 1;
}

void problems_error(struct problems *problems, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(problems, false, format, arguments);
	va_end(arguments);
}

void problems_warn(struct problems *problems, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(problems, true, format, arguments);
	va_end(arguments);
}
