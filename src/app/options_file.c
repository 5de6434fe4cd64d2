#include "app/options_file.h"

#include <string.h>

#define CODE "option_syntax"
#define NAME_FIRST "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
#define NAME_REST NAME_FIRST "0123456789"
#define EXPORT "export"
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* A line without its end. */
struct text {
	const char *at, *end;
};

void options_file_init(struct options_file *file, const char *text, size_t length)
{
	*file = (struct options_file){.at = text, .end = text + length};
	buf_init(&file->value, OPTIONS_FILE_MAX + 1);
	if (length >= 3 && memcmp(text, BYTE_ORDER_MARK, 3) == 0)
		file->at += 3;
}

void options_file_free(struct options_file *file)
{
	buf_cleanse(&file->value);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void skip_blanks(struct text *line)
{
	while (line->at < line->end && is_blank(*line->at))
		line->at++;
}

static bool at_comment(const struct text *line)
{
	return line->at < line->end && *line->at == '#';
}

/* The length of the name that the line begins with, 0 for none. */
static size_t name_length(const struct text *line)
{
	const char *c = line->at;

	if (c == line->end || *c == '\0' || strchr(NAME_FIRST, *c) == NULL)
		return 0;
	while (c < line->end && *c != '\0' && strchr(NAME_REST, *c) != NULL)
		c++;
	return (size_t)(c - line->at);
}

static void skip_export(struct text *line)
{
	size_t length = strlen(EXPORT);

	if (name_length(line) != length || memcmp(line->at, EXPORT, length) != 0)
		return;
	if (line->at + length < line->end && is_blank(line->at[length])) {
		struct text rest = {.at = line->at + length, .end = line->end};
		skip_blanks(&rest);
		if (name_length(&rest) > 0)
			*line = rest;
	}
}

static bool take_name(struct options_file *file, struct text *line, struct err *err)
{
	size_t length = name_length(line);

	if (length == 0)
		return err_set(err, CODE, "is not NAME=value");
	if (length >= sizeof(file->name))
		return err_set(err, CODE, "the name is too long");
	memcpy(file->name, line->at, length);
	file->name[length] = '\0';
	line->at += length;
	skip_blanks(line);
	if (line->at == line->end || *line->at != '=')
		return err_set(err, CODE, "%s: = is missing behind the name", file->name);
	line->at++;
	skip_blanks(line);
	return true;
}

static void take_bare(struct options_file *file, struct text *line)
{
	const char *from = line->at, *end = line->at;

	/* There is always a byte before: the = at least. */
	while (end < line->end && !(*end == '#' && is_blank(end[-1])))
		end++;
	line->at = end;
	while (end > from && is_blank(end[-1]))
		end--;
	buf_append(&file->value, from, (size_t)(end - from));
}

static bool take_single(struct options_file *file, struct text *line, struct err *err)
{
	const char *from = line->at + 1;
	const char *quote = memchr(from, '\'', (size_t)(line->end - from));

	if (quote == NULL)
		return err_set(err, CODE, "%s: the closing ' is missing", file->name);
	buf_append(&file->value, from, (size_t)(quote - from));
	line->at = quote + 1;
	return true;
}

static bool take_double(struct options_file *file, struct text *line, struct err *err)
{
	static const char ESCAPES[] = "\"\\$nt", MEANINGS[] = "\"\\$\n\t";

	for (line->at++; line->at < line->end && *line->at != '"'; line->at++) {
		char c = *line->at;
		if (c == '\\') {
			const char *escape;
			if (++line->at == line->end)
				break;
			escape = *line->at != '\0' ? strchr(ESCAPES, *line->at) : NULL;
			if (escape == NULL)
				return err_set(err, CODE,
				    "%s: in \" only \\\" \\\\ \\$ \\n \\t may follow a backslash",
				    file->name);
			c = MEANINGS[escape - ESCAPES];
		}
		buf_putc(&file->value, c);
	}
	if (line->at == line->end)
		return err_set(err, CODE, "%s: the closing \" is missing", file->name);
	line->at++;
	return true;
}

static bool take_value(struct options_file *file, struct text *line, struct err *err)
{
	const char *before;

	if (line->at == line->end || (*line->at != '\'' && *line->at != '"')) {
		take_bare(file, line);
		return true;
	}
	if (*line->at == '\'' ? !take_single(file, line, err) : !take_double(file, line, err))
		return false;
	before = line->at;
	skip_blanks(line);
	if (line->at == line->end || (at_comment(line) && line->at > before))
		return true;
	return err_set(err, CODE, "%s: there is more behind the closing quote", file->name);
}

static bool take_line(struct options_file *file, struct text *line, struct err *err)
{
	if (memchr(line->at, '\0', (size_t)(line->end - line->at)) != NULL)
		return err_set(err, CODE, "holds a NUL byte");
	skip_export(line);
	if (!take_name(file, line, err) || !take_value(file, line, err))
		return false;
	/* For whoever reads it as a string. */
	buf_putc(&file->value, '\0');
	return true;
}

/* The next line, without its end. */
static struct text next_line(struct options_file *file)
{
	const char *feed = memchr(file->at, '\n', (size_t)(file->end - file->at));
	struct text line = {.at = file->at, .end = feed != NULL ? feed : file->end};

	file->at = feed != NULL ? feed + 1 : file->end;
	file->line++;
	if (line.end > line.at && line.end[-1] == '\r')
		line.end--;
	return line;
}

enum options_file_step options_file_next(struct options_file *file, struct err *err)
{
	while (file->at < file->end) {
		struct text line = next_line(file);
		skip_blanks(&line);
		if (line.at == line.end || at_comment(&line))
			continue;
		file->name[0] = '\0';
		buf_reset(&file->value);
		return take_line(file, &line, err) ? OPTIONS_FILE_SET : OPTIONS_FILE_WRONG;
	}
	return OPTIONS_FILE_END;
}
