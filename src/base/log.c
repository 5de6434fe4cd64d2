#include "base/log.h"

#include "base/clock.h"
#include "base/codec.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

enum { VALUE_MAX = 512, LINE_MAX_BYTES = 16384, LIMIT_MS = 60000 };
#define REDACTED "[redacted]"
/* Kept free in every line for what says that it was cut, and for its end. */
#define TAIL_MAX 32

static const char *const LEVELS[] = {"error", "warn", "info", "debug"};
static const int PRIORITIES[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
static const char *const FORMATS[] = {"logfmt", "json"};

static enum log_level current_level = LOG_LEVEL_INFO;
static enum log_format current_format = LOG_FORMAT_LOGFMT;
static bool to_syslog;

/* No allocation here: fatal() writes its last words with it when memory has run out. */
struct line {
	size_t length;
	bool full; /* something did not fit */
	bool json;
	char data[LINE_MAX_BYTES];
};

void log_set_level(enum log_level level)
{
	current_level = level;
}

enum log_level log_level(void)
{
	return current_level;
}

void log_set_format(enum log_format format)
{
	current_format = format;
}

void log_to_syslog(const char *ident)
{
	openlog(ident, LOG_PID | LOG_NDELAY, LOG_DAEMON);
	to_syslog = true;
}

static bool find_name(const char *const *names, int count, const char *text, int *found)
{
	for (*found = 0; *found < count; ++*found)
		if (strcmp(names[*found], text) == 0)
			return true;
	return false;
}

bool log_parse_level(const char *text, enum log_level *level)
{
	int found;

	if (!find_name(LEVELS, 4, text, &found))
		return false;
	*level = (enum log_level)found;
	return true;
}

bool log_parse_format(const char *text, enum log_format *format)
{
	int found;

	if (!find_name(FORMATS, 2, text, &found))
		return false;
	*format = (enum log_format)found;
	return true;
}

static void line_bytes(struct line *line, const char *data, size_t length)
{
	if (line->full || length > sizeof(line->data) - TAIL_MAX - line->length) {
		line->full = true;
		return;
	}
	memcpy(line->data + line->length, data, length);
	line->length += length;
}

static void line_text(struct line *line, const char *text)
{
	line_bytes(line, text, strlen(text));
}

static void __attribute__((format(printf, 2, 3)))
line_printf(struct line *line, const char *format, ...)
{
	char text[64];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	line_text(line, text);
}

/* The C1 controls, U+0080..U+009F, are two bytes in UTF-8 and some terminals obey them. */
static bool is_c1(const char *text, size_t size)
{
	return size == 2 && (unsigned char)text[0] == 0xc2 && (unsigned char)text[1] < 0xa0;
}

static bool needs_escape(const char *text, size_t size)
{
	unsigned char c = (unsigned char)text[0];

	return size == 0 || c < 0x20 || c == 0x7f || c == '"' || c == '\\' || is_c1(text, size);
}

static void line_escape(struct line *line, const char *text, size_t size)
{
	unsigned char c = (unsigned char)text[0];

	if (size == 0)
		line_printf(line, line->json ? "\\ufffd" : "\\x%02x", c);
	else if (size == 2)
		line_printf(line, "\\u%04x", (unsigned char)text[1]);
	else if (c == '"' || c == '\\')
		line_printf(line, "\\%c", c);
	else if (c == '\n' || c == '\r' || c == '\t')
		line_printf(line, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
	else
		line_printf(line, line->json ? "\\u%04x" : "\\x%02x", c);
}

static void line_escaped(struct line *line, const char *text, size_t length)
{
	while (length > 0) {
		size_t size = codec_utf8_char(text, length);
		size_t step = size > 0 ? size : 1;
		if (needs_escape(text, size))
			line_escape(line, text, size);
		else
			line_bytes(line, text, size);
		text += step;
		length -= step;
	}
}

static bool needs_quotes(const char *text, size_t length)
{
	if (length == 0)
		return true;
	while (length > 0) {
		size_t size = codec_utf8_char(text, length);
		if (needs_escape(text, size) || *text == ' ' || *text == '=')
			return true;
		text += size;
		length -= size;
	}
	return false;
}

static void line_value(struct line *line, const char *text)
{
	size_t whole = strnlen(text, VALUE_MAX + 4); /* 4: enough to see a character that is cut */
	size_t length = codec_utf8_cut(text, whole, VALUE_MAX);
	bool quotes = line->json || needs_quotes(text, length);

	line_text(line, quotes ? "\"" : "");
	line_escaped(line, text, length);
	line_text(line, length < whole ? "..." : "");
	line_text(line, quotes ? "\"" : "");
}

static void line_name(struct line *line, const char *name)
{
	if (line->json)
		line_text(line, line->length > 1 ? ",\"" : "\"");
	else
		line_text(line, line->length > 0 ? " " : "");
	line_text(line, name);
	line_text(line, line->json ? "\":" : "=");
}

static void line_pair(struct line *line, const char *name, const char *value)
{
	line_name(line, name);
	if (value != NULL)
		line_value(line, value);
	else
		line_text(line, line->json ? "null" : "\"\"");
}

/* A field that does not fit is left out whole, and so is every one after it. */
static void line_pair_whole(struct line *line, const char *name, const char *value)
{
	size_t before = line->length;

	line_pair(line, name, value);
	if (line->full)
		line->length = before;
}

static void line_error(struct line *line, const struct err *err)
{
	const struct {
		const char *name, *value;
	} parts[] = {
	    {"err", err->message},
	    {"code", err->code},
	    {"hop", err->hop},
	    {"hint", err->hint},
	    {"field", err->field},
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i].value[0] != '\0')
			line_pair_whole(line, parts[i].name, parts[i].value);
}

static void line_number(struct line *line, const struct log_field *field)
{
	size_t before = line->length;

	line_name(line, field->name);
	if (field->type == LOG_INT)
		line_printf(line, "%" PRId64, field->value.integer);
	else if (field->type == LOG_UINT)
		line_printf(line, "%" PRIu64, field->value.unsigned_integer);
	else
		line_text(line, field->value.boolean ? "true" : "false");
	if (line->full)
		line->length = before;
}

static void line_field(struct line *line, const struct log_field *field)
{
	switch (field->type) {
	case LOG_END:
		break;
	case LOG_STRING:
		line_pair_whole(line, field->name, field->value.string);
		break;
	case LOG_INT:
	case LOG_UINT:
	case LOG_BOOL:
		line_number(line, field);
		break;
	case LOG_SECRET:
		line_pair_whole(line, field->name, REDACTED);
		break;
	case LOG_ERROR:
		if (field->value.err != NULL && field->value.err->code != NULL)
			line_error(line, field->value.err);
		break;
	}
}

static void line_end(struct line *line)
{
	/* TAIL_MAX bytes are left in any case. */
	const char *tail =
	    line->json ? (line->full ? ",\"cut\":true}" : "}") : (line->full ? " cut=true" : "");
	size_t length = strlen(tail);

	memcpy(line->data + line->length, tail, length);
	line->length += length;
	line->data[line->length] = '\0';
}

static void line_write(struct line *line)
{
	size_t written = 0;

	line->data[line->length++] = '\n';
	while (written < line->length) {
		ssize_t n = write(STDERR_FILENO, line->data + written, line->length - written);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* there is nowhere left to say it */
		written += (size_t)n;
	}
}

static bool limit_passes(struct log_limit *limit, uint64_t *left_out)
{
	uint64_t now_ms = clock_monotonic_ms();

	if (now_ms < limit->next_ms) {
		limit->left_out++;
		return false;
	}
	*left_out = limit->left_out;
	limit->left_out = 0;
	limit->next_ms = now_ms + LIMIT_MS;
	return true;
}

void log_emit(enum log_level level, struct log_limit *limit, const char *scope, const char *message,
    const struct log_field *fields)
{
	int saved_errno = errno;
	char now[CLOCK_TEXT];
	uint64_t left_out = 0;
	struct line line;

	if (limit != NULL && !limit_passes(limit, &left_out))
		return;
	line.length = 0;
	line.full = false;
	line.json = current_format == LOG_FORMAT_JSON;
	line_text(&line, line.json ? "{" : "");
	clock_rfc3339(now, clock_wall_ms(), true);
	if (!to_syslog)
		line_pair(&line, "time", now);
	line_pair(&line, "level", LEVELS[level]);
	line_pair(&line, "scope", scope);
	line_pair(&line, "msg", message);
	for (; fields != NULL && fields->type != LOG_END; fields++)
		line_field(&line, fields);
	if (left_out > 0) {
		struct log_field more = log_uint("left_out", left_out);
		line_field(&line, &more);
	}
	line_end(&line);
	if (to_syslog)
		syslog(PRIORITIES[level], "%s", line.data);
	else
		line_write(&line);
	errno = saved_errno;
}
