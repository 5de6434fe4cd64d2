#include "base/json_scan.h"

#include "base/codec.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CODE "json"
enum { DEPTH_MAX = 32 };

static const char BAD_VALUE[] = "a value is expected";
static const char BAD_NUMBER[] = "not a number";

void json_scan_place(const char *data, size_t at, int *line, int *column)
{
	*line = *column = 1;
	for (size_t i = 0; i < at; i++) {
		*column = data[i] == '\n' ? 1 : *column + 1;
		*line += data[i] == '\n' ? 1 : 0;
	}
}

/* The first fault stays; at the end of the bytes nothing succeeds any more. */
static bool fail(struct json_scan *scan, const char *at, const char *why)
{
	if (scan->fault == NULL) {
		scan->fault = why;
		scan->fault_at = at;
	}
	scan->at = scan->end;
	return false;
}

static void skip_space(struct json_scan *scan)
{
	while (scan->at < scan->end &&
	       (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
		scan->at++;
}

static bool take(struct json_scan *scan, char c)
{
	skip_space(scan);
	if (scan->at == scan->end || *scan->at != c)
		return false;
	scan->at++;
	return true;
}

void json_scan_init(struct json_scan *scan, const char *data, size_t length, size_t limit)
{
	*scan = (struct json_scan){.begin = data, .at = data, .end = data + length};
	if (length > limit) {
		fail(scan, data, "longer than is taken in");
		return;
	}
	skip_space(scan);
	if (scan->at == scan->end || (*scan->at != '{' && *scan->at != '['))
		fail(scan, scan->at, "'[' or '{' expected");
}

bool json_scan_end(struct json_scan *scan, struct err *err)
{
	int line, column;

	skip_space(scan);
	if (scan->fault == NULL && (scan->at < scan->end || scan->depth > 0))
		fail(scan, scan->at, "the end of the document is expected");
	if (scan->fault == NULL)
		return true;
	json_scan_place(scan->begin, (size_t)(scan->fault_at - scan->begin), &line, &column);
	return err_set(err, CODE, "line %d, column %d: %s", line, column, scan->fault);
}

/* ---- objects and arrays ---- */

bool json_scan_open(struct json_scan *scan, char bracket)
{
	if (!take(scan, bracket))
		return fail(scan, scan->at,
		    bracket == '{' ? "an object is expected" : "an array is expected");
	if (++scan->depth > DEPTH_MAX)
		return fail(scan, scan->at - 1, "nested deeper than 32 levels");
	scan->fresh = true;
	return true;
}

/* Whether another member or element follows. */
static bool follows(struct json_scan *scan, char bracket)
{
	bool fresh = scan->fresh;

	if (scan->fault != NULL)
		return false;
	scan->fresh = false;
	if (take(scan, bracket)) {
		scan->depth--;
		return false;
	}
	if (!fresh && !take(scan, ','))
		return fail(
		    scan, scan->at, bracket == '}' ? "',' or '}' expected" : "',' or ']' expected");
	return true;
}

bool json_scan_element(struct json_scan *scan)
{
	return follows(scan, ']');
}

static bool take_string(struct json_scan *scan, struct json_text *text);

bool json_scan_member(struct json_scan *scan, struct json_text *name)
{
	if (!follows(scan, '}'))
		return false;
	if (!take(scan, '"'))
		return fail(scan, scan->at, "a name is expected");
	if (!take_string(scan, name))
		return false;
	if (name->has_nul)
		return fail(scan, scan->at, "U+0000 in a name");
	return take(scan, ':') || fail(scan, scan->at, "':' expected");
}

/* ---- strings ---- */

/* The four digits at `at`, or -1. */
static int32_t hex_of(const char *at, const char *end)
{
	int32_t code = 0;

	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = at[i];
		if (c >= '0' && c <= '9')
			code = code << 4 | (c - '0');
		else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
			code = code << 4 | ((c | 0x20) - 'a' + 10);
		else
			return -1;
	}
	return code;
}

/* What the escape at `at` stands for: how many bytes it takes, 0 when it is none. */
static size_t escape_of(const char *at, const char *end, uint32_t *code)
{
	static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	int32_t high, low;

	if (end - at < 2)
		return 0;
	if (at[1] != 'u') {
		const char *letter = memchr(letters, at[1], sizeof(letters) - 1);
		if (letter == NULL)
			return 0;
		*code = (uint32_t)meanings[letter - letters];
		return 2;
	}
	high = hex_of(at + 2, end);
	if (high < 0 || (high >= 0xdc00 && high <= 0xdfff))
		return 0;
	*code = (uint32_t)high;
	if (high < 0xd800 || high > 0xdbff)
		return 6;
	low = end - at >= 12 && at[6] == '\\' && at[7] == 'u' ? hex_of(at + 8, end) : -1;
	if (low < 0xdc00 || low > 0xdfff)
		return 0;
	*code = 0x10000 + (((uint32_t)high & 0x3ff) << 10 | ((uint32_t)low & 0x3ff));
	return 12;
}

/* A byte that is more than itself in a string: control, quote, backslash, part of a character. */
static bool is_special(unsigned char c)
{
	return c < 0x20 || c == '"' || c == '\\' || c >= 0x80;
}

/* Goes over eight bytes at once while none of them is special. */
static const char *skip_plain(const char *at, const char *end)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
	uint64_t word, quote, backslash;

	while (end - at >= 8) {
		memcpy(&word, at, sizeof(word));
		quote = word ^ (ones * '"');
		backslash = word ^ (ones * '\\');
		/* A byte's top bit: below 0x20, or 0 after the exclusive or, or 0x80 and above. */
		if (((((word - ones * 0x20) | (quote - ones) | (backslash - ones)) | word) &
		        tops) != 0)
			break;
		at += 8;
	}
	while (at < end && !is_special((unsigned char)*at))
		at++;
	return at;
}

/* One special byte and what belongs to it; false, with the fault, when it may not stand there. */
static bool take_special(struct json_scan *scan, struct json_text *text)
{
	uint32_t code = 0;
	size_t length;

	if ((unsigned char)*scan->at < 0x20)
		return fail(scan, scan->at, "a control character in a text");
	if (*scan->at != '\\') {
		length = codec_utf8_char(scan->at, (size_t)(scan->end - scan->at));
		if (length == 0)
			return fail(scan, scan->at, "invalid UTF-8");
	} else {
		length = escape_of(scan->at, scan->end, &code);
		if (length == 0)
			return fail(scan, scan->at, "an invalid escape");
		text->escaped = true;
		text->has_nul = text->has_nul || code == 0;
	}
	scan->at += length;
	return true;
}

/* After its first quote. */
static bool take_string(struct json_scan *scan, struct json_text *text)
{
	*text = (struct json_text){.data = scan->at};
	for (;;) {
		scan->at = skip_plain(scan->at, scan->end);
		if (scan->at == scan->end)
			return fail(scan, scan->at, "a text without end");
		if (*scan->at == '"')
			break;
		if (!take_special(scan, text))
			return false;
	}
	text->length = (size_t)(scan->at++ - text->data);
	return true;
}

static size_t put_utf8(char *out, uint32_t code)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

size_t json_text_decode(const struct json_text *text, char *out)
{
	const char *at = text->data, *end = at + text->length;
	char *to = out;
	uint32_t code = 0;

	while (text->escaped && at < end) {
		const char *escape = memchr(at, '\\', (size_t)(end - at));
		if (escape == NULL)
			break;
		memcpy(to, at, (size_t)(escape - at));
		to += escape - at;
		at = escape + escape_of(escape, end, &code);
		to += put_utf8(to, code);
	}
	memcpy(to, at, (size_t)(end - at));
	return (size_t)(to - out) + (size_t)(end - at);
}

bool json_text_is(const struct json_text *text, const char *word, size_t length)
{
	const char *at = text->data, *end = at + text->length;
	char bytes[4];
	size_t used = 0;

	if (!text->escaped)
		return text->length == length && memcmp(at, word, length) == 0;
	while (at < end) {
		uint32_t code = 0;
		size_t taken = *at == '\\' ? escape_of(at, end, &code) : 0;
		size_t count = taken > 0 ? put_utf8(bytes, code) : 1;
		if (taken == 0)
			bytes[0] = *at;
		if (count > length - used || memcmp(word + used, bytes, count) != 0)
			return false;
		used += count;
		at += taken > 0 ? taken : 1;
	}
	return used == length;
}

/* ---- other values ---- */

static const char *skip_digits(const char *at, const char *end)
{
	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at;
}

/* Below zero, where there is one number more. */
static bool integer_of(const char *at, const char *end, int64_t *out)
{
	bool negative = *at == '-';
	int64_t value = 0;

	for (at += negative ? 1 : 0; at < end; at++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_sub_overflow(value, *at - '0', &value))
			return false;
	if (!negative && value == INT64_MIN)
		return false;
	*out = negative ? value : -value;
	return true;
}

/* What follows the digits before the point. */
static bool take_real(struct json_scan *scan, const char *begin, const char *at)
{
	const char *digits;

	if (*at == '.') {
		digits = at + 1;
		at = skip_digits(digits, scan->end);
		if (at == digits)
			return fail(scan, at, BAD_NUMBER);
	}
	if (at < scan->end && (*at == 'e' || *at == 'E')) {
		digits = at + 1;
		if (digits < scan->end && (*digits == '+' || *digits == '-'))
			digits++;
		at = skip_digits(digits, scan->end);
		if (at == digits)
			return fail(scan, at, BAD_NUMBER);
	}
	/* Never at the end of a document; so strtod stops at a byte of ours. */
	if (at == scan->end || isinf(strtod(begin, NULL)))
		return fail(scan, at, "a number out of range");
	scan->at = at;
	return true;
}

static bool take_number(struct json_scan *scan, struct json_value *value)
{
	const char *begin = scan->at;
	const char *digits = *begin == '-' ? begin + 1 : begin;
	const char *at = skip_digits(digits, scan->end);

	if (at == digits || (*digits == '0' && at - digits > 1))
		return fail(scan, at, BAD_NUMBER);
	if (at < scan->end && (*at == '.' || *at == 'e' || *at == 'E')) {
		value->kind = JSON_KIND_REAL;
		return take_real(scan, begin, at);
	}
	if (!integer_of(begin, at, &value->integer))
		return fail(scan, begin, "a number out of range");
	scan->at = at;
	return true;
}

static bool take_word(struct json_scan *scan, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, word, length) != 0)
		return fail(scan, scan->at, BAD_VALUE);
	scan->at += length;
	return true;
}

enum json_kind json_scan_kind(struct json_scan *scan)
{
	skip_space(scan);
	if (scan->at == scan->end)
		return JSON_KIND_NONE;
	switch (*scan->at) {
	case '"':
		return JSON_KIND_STRING;
	case '{':
		return JSON_KIND_OBJECT;
	case '[':
		return JSON_KIND_ARRAY;
	case 't':
	case 'f':
		return JSON_KIND_BOOLEAN;
	case 'n':
		return JSON_KIND_NULL;
	case '-':
		return JSON_KIND_INTEGER;
	default:
		return *scan->at >= '0' && *scan->at <= '9' ? JSON_KIND_INTEGER : JSON_KIND_NONE;
	}
}

/* As deep as the document at most, which has its limit. */
static bool skip_members(struct json_scan *scan)
{
	struct json_text name;

	if (!json_scan_open(scan, '{'))
		return false;
	while (json_scan_member(scan, &name))
		json_scan_skip(scan);
	return scan->fault == NULL;
}

static bool skip_elements(struct json_scan *scan)
{
	if (!json_scan_open(scan, '['))
		return false;
	while (json_scan_element(scan))
		json_scan_skip(scan);
	return scan->fault == NULL;
}

bool json_scan_value(struct json_scan *scan, struct json_value *value)
{
	value->kind = json_scan_kind(scan);
	switch (value->kind) {
	case JSON_KIND_OBJECT:
		return skip_members(scan);
	case JSON_KIND_ARRAY:
		return skip_elements(scan);
	case JSON_KIND_STRING:
		scan->at++;
		return take_string(scan, &value->text);
	case JSON_KIND_BOOLEAN:
		value->integer = *scan->at == 't';
		return take_word(scan, value->integer ? "true" : "false");
	case JSON_KIND_NULL:
		return take_word(scan, "null");
	case JSON_KIND_INTEGER:
		return take_number(scan, value);
	default:
		return fail(scan, scan->at, BAD_VALUE);
	}
}

bool json_scan_skip(struct json_scan *scan)
{
	struct json_value value;

	return json_scan_value(scan, &value);
}
