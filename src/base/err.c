#include "base/err.h"

#include "base/codec.h"
#include "base/log.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 1024, EXIT_BROKEN = 70 /* EX_SOFTWARE of sysexits.h */ };

/* The arguments may be parts of the error itself, so the words are made beside it and then put in
 * place. */
static void __attribute__((format(printf, 3, 0)))
text_set(char *to, size_t size, const char *format, va_list arguments)
{
	char text[TEXT_MAX];

	if (vsnprintf(text, sizeof(text), format, arguments) < 0)
		text[0] = '\0';
	size_t length = codec_utf8_cut(text, strlen(text), size - 1);
	memcpy(to, text, length);
	to[length] = '\0';
}

bool err_set(struct err *err, const char *code, const char *format, ...)
{
	va_list arguments;

	if (err == NULL)
		return false;
	va_start(arguments, format);
	text_set(err->message, sizeof(err->message), format, arguments);
	va_end(arguments);
	err->code = code;
	err->hop[0] = err->hint[0] = err->field[0] = '\0';
	return false;
}

void err_hop(struct err *err, const char *format, ...)
{
	va_list arguments;

	if (err == NULL)
		return;
	va_start(arguments, format);
	text_set(err->hop, sizeof(err->hop), format, arguments);
	va_end(arguments);
}

void err_hint(struct err *err, const char *format, ...)
{
	va_list arguments;

	if (err == NULL)
		return;
	va_start(arguments, format);
	text_set(err->hint, sizeof(err->hint), format, arguments);
	va_end(arguments);
}

void err_field(struct err *err, const char *format, ...)
{
	va_list arguments;

	if (err == NULL)
		return;
	va_start(arguments, format);
	text_set(err->field, sizeof(err->field), format, arguments);
	va_end(arguments);
}

void err_prefix(struct err *err, const char *format, ...)
{
	char words[sizeof(err->message)];
	char whole[2 * sizeof(err->message) + 2];
	va_list arguments;

	if (err == NULL)
		return;
	va_start(arguments, format);
	text_set(words, sizeof(words), format, arguments);
	va_end(arguments);
	snprintf(whole, sizeof(whole), "%s: %s", words, err->message);
	size_t length = codec_utf8_cut(whole, strlen(whole), sizeof(err->message) - 1);
	memcpy(err->message, whole, length);
	err->message[length] = '\0';
}

void err_clear(struct err *err)
{
	if (err != NULL)
		*err = (struct err)ERR_INIT;
}

void err_copy(struct err *to, const struct err *from)
{
	if (to == NULL || to == from)
		return;
	if (from == NULL)
		err_clear(to);
	else
		*to = *from;
}

bool err_is(const struct err *err, const char *code)
{
	return err != NULL && err->code != NULL && strcmp(err->code, code) == 0;
}

void fatal(const char *format, ...)
{
	char text[TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	text_set(text, sizeof(text), format, arguments);
	va_end(arguments);
	log_emit(LOG_LEVEL_ERROR, NULL, "fatal", text, LOG_FIELDS());
	_exit(EXIT_BROKEN);
}
