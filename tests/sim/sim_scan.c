#include "sim/sim_scan.h"

#include "base/codec.h"
#include <string.h>

#define DEPTH_MAX 32

static bool fail(struct sim_scan *scan, const char *error)
{
	if (!scan->error)
		scan->error = error;
	scan->at = scan->end;
	return false;
}

static void skip_space(struct sim_scan *scan)
{
	while (scan->at < scan->end &&
	       (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
		scan->at++;
}

static bool take(struct sim_scan *scan, char c)
{
	skip_space(scan);
	if (scan->at == scan->end || *scan->at != c)
		return false;
	scan->at++;
	return true;
}

/* The usual case, eight bytes at a time. */
static bool is_ascii(const char *data, size_t length)
{
	uint64_t seen = 0;
	for (; length >= 8; data += 8, length -= 8) {
		uint64_t word;
		memcpy(&word, data, sizeof(word));
		seen |= word;
	}
	for (; length; data++, length--)
		seen |= (uint64_t)(*data & 0x80);
	return (seen & UINT64_C(0x8080808080808080)) == 0;
}

bool sim_scan_init(struct sim_scan *scan, const char *data, size_t length)
{
	*scan = (struct sim_scan){.at = data, .end = data + length};
	return is_ascii(data, length) || codec_is_utf8(data, length) ||
	       fail(scan, "the body is not valid UTF-8");
}

bool sim_scan_object(struct sim_scan *scan)
{
	return take(scan, '{') || fail(scan, "expected an object");
}

bool sim_scan_array(struct sim_scan *scan)
{
	return take(scan, '[') || fail(scan, "expected an array");
}

bool sim_scan_element(struct sim_scan *scan, bool *first)
{
	if (scan->error || take(scan, ']'))
		return false;
	if (!*first && !take(scan, ','))
		return fail(scan, "expected ',' or ']'");
	*first = false;
	return true;
}

bool sim_scan_member(struct sim_scan *scan, bool *first, struct sim_text *name)
{
	if (scan->error || take(scan, '}'))
		return false;
	if (!*first && !take(scan, ','))
		return fail(scan, "expected ',' or '}'");
	*first = false;
	return sim_scan_string(scan, name) && (take(scan, ':') || fail(scan, "expected ':'"));
}

static bool is_escape(const char *at, const char *end, size_t *length)
{
	if (end - at < 2)
		return false;
	*length = 2;
	if (at[1] != 'u')
		return strchr("\"\\/bfnrt", at[1]) && at[1];
	*length = 6;
	if (end - at < 6)
		return false;
	for (int i = 2; i < 6; i++)
		if (!strchr("0123456789abcdefABCDEF", at[i]) || !at[i])
			return false;
	return true;
}

bool sim_scan_string(struct sim_scan *scan, struct sim_text *text)
{
	*text = (struct sim_text){0};
	if (!take(scan, '"'))
		return fail(scan, "expected a string");
	text->data = scan->at;
	const char *at = scan->at;
	for (; at < scan->end && *at != '"'; at++) {
		unsigned char c = (unsigned char)*at;
		if (c < 0x20)
			return fail(scan, "control character in a string");
		if (c == '\\') {
			size_t length;
			if (!is_escape(at, scan->end, &length))
				return fail(scan, "bad escape in a string");
			at += length - 1;
			text->escaped = true;
		}
		/* A lead byte is one unit, one of four bytes two; bytes that follow count nothing.
		 */
		text->units += (c & 0xc0) != 0x80 ? 1 + (c >= 0xf0) : 0;
	}
	if (at >= scan->end)
		return fail(scan, "a string does not end");
	text->length = (size_t)(at - text->data);
	scan->at = at + 1;
	return true;
}

static bool skip_number(struct sim_scan *scan)
{
	const char *at = scan->at;
	const char *end = scan->end;
	if (at < end && *at == '-')
		at++;
	const char *digits = at;
	while (at < end && *at >= '0' && *at <= '9')
		at++;
	if (at == digits || (*digits == '0' && at - digits > 1))
		return fail(scan, "bad number");
	while (at < end && strchr("+-.eE0123456789", *at) && *at)
		at++;
	scan->at = at;
	return true;
}

bool sim_scan_integer(struct sim_scan *scan, int64_t *value)
{
	skip_space(scan);
	const char *at = scan->at;
	if (!skip_number(scan))
		return false;
	bool negative = *at == '-';
	if (scan->at - at > 18)
		return fail(scan, "number out of range");
	*value = 0;
	for (at += negative; at < scan->at; at++) {
		if (*at < '0' || *at > '9')
			return fail(scan, "expected an integer");
		*value = *value * 10 + (*at - '0');
	}
	if (negative)
		*value = -*value;
	return true;
}

static bool take_word(struct sim_scan *scan, const char *word)
{
	skip_space(scan);
	size_t length = strlen(word);
	if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, word, length) != 0)
		return false;
	scan->at += length;
	return true;
}

bool sim_scan_null(struct sim_scan *scan)
{
	return take_word(scan, "null");
}

static bool skip_value(struct sim_scan *scan, int depth)
{
	struct sim_text text;
	bool first = true;
	if (depth > DEPTH_MAX)
		return fail(scan, "nested too deeply");
	skip_space(scan);
	if (scan->at == scan->end)
		return fail(scan, "a value is missing");
	switch (*scan->at) {
	case '"':
		return sim_scan_string(scan, &text);
	case '{':
		scan->at++;
		while (sim_scan_member(scan, &first, &text))
			if (!skip_value(scan, depth + 1))
				return false;
		return !scan->error;
	case '[':
		scan->at++;
		while (sim_scan_element(scan, &first))
			if (!skip_value(scan, depth + 1))
				return false;
		return !scan->error;
	case 't':
		return take_word(scan, "true") || fail(scan, "bad word");
	case 'f':
		return take_word(scan, "false") || fail(scan, "bad word");
	case 'n':
		return take_word(scan, "null") || fail(scan, "bad word");
	default:
		return skip_number(scan);
	}
}

bool sim_scan_skip(struct sim_scan *scan)
{
	return skip_value(scan, 0);
}

bool sim_scan_end(struct sim_scan *scan)
{
	if (scan->error)
		return false;
	skip_space(scan);
	return scan->at == scan->end || fail(scan, "something follows the JSON value");
}

bool sim_text_is(const struct sim_text *text, const char *word)
{
	size_t length = strlen(word);
	return text->data && text->length == length && memcmp(text->data, word, length) == 0;
}

static void put_utf8(struct buf *out, unsigned code)
{
	char bytes[4];
	if (code < 0x80) {
		buf_putc(out, (char)code);
	} else if (code < 0x800) {
		bytes[0] = (char)(0xc0 | code >> 6);
		bytes[1] = (char)(0x80 | (code & 0x3f));
		buf_append(out, bytes, 2);
	} else if (code < 0x10000) {
		bytes[0] = (char)(0xe0 | code >> 12);
		bytes[1] = (char)(0x80 | (code >> 6 & 0x3f));
		bytes[2] = (char)(0x80 | (code & 0x3f));
		buf_append(out, bytes, 3);
	} else {
		bytes[0] = (char)(0xf0 | code >> 18);
		bytes[1] = (char)(0x80 | (code >> 12 & 0x3f));
		bytes[2] = (char)(0x80 | (code >> 6 & 0x3f));
		bytes[3] = (char)(0x80 | (code & 0x3f));
		buf_append(out, bytes, 4);
	}
}

static unsigned hex4(const char *at)
{
	unsigned code = 0;
	for (int i = 0; i < 4; i++) {
		unsigned char c = (unsigned char)at[i];
		code = code * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return code;
}

/* Decodes one \uXXXX (or a pair of surrogates) and returns how many bytes it took. */
static size_t decode_unicode(struct buf *out, const char *at, const char *end)
{
	unsigned code = hex4(at + 2);
	bool pair =
	    code >= 0xd800 && code < 0xdc00 && end - at >= 12 && at[6] == '\\' && at[7] == 'u';
	if (pair) {
		unsigned low = hex4(at + 8);
		if (low >= 0xdc00 && low < 0xe000) {
			put_utf8(out, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
			return 12;
		}
	}
	put_utf8(out, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
	return 6;
}

bool sim_text_decode(const struct sim_text *text, struct buf *out)
{
	if (!text->escaped)
		return buf_append(out, text->data, text->length);
	const char *end = text->data + text->length;
	for (const char *at = text->data; at < end;) {
		if (*at != '\\') {
			buf_putc(out, *at++);
			continue;
		}
		if (at[1] == 'u') {
			at += decode_unicode(out, at, end);
			continue;
		}
		static const char from[] = "bfnrt";
		static const char to[] = "\b\f\n\r\t";
		const char *known = strchr(from, at[1]);
		buf_putc(out, known ? to[known - from] : at[1]);
		at += 2;
	}
	return !out->overflow;
}
