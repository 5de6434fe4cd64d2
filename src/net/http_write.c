/*
 * http_write: the rules of http_codec.h for what may stand where in a message, which the parser
 * asks too; the writers that keep them; and two header values that need more than a comparison.
 */
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "net/http_codec.h"

/* --- the rules --- */

#define TVH (HTTP_BYTE_TARGET | HTTP_BYTE_VALUE | HTTP_BYTE_HOST)
#define TV (HTTP_BYTE_TARGET | HTTP_BYTE_VALUE)
#define ALL (HTTP_BYTE_TOKEN | HTTP_BYTE_TARGET | HTTP_BYTE_VALUE | HTTP_BYTE_HOST)
static const unsigned char class_of[256] = {
    ['\t'] = HTTP_BYTE_VALUE,
    [' '] = HTTP_BYTE_VALUE,
    ['!'] = ALL,
    ['"'] = TV,
    ['#'] = HTTP_BYTE_TOKEN | HTTP_BYTE_VALUE,
    ['$' ... '\''] = ALL,
    ['(' ... ')'] = TVH,
    ['*' ... '+'] = ALL,
    [','] = TV,
    ['-' ... '.'] = ALL,
    ['/'] = TV,
    ['0' ... '9'] = ALL,
    [':'] = TV,
    [';'] = TVH,
    ['<'] = TV,
    ['='] = TVH,
    ['>' ... '@'] = TV,
    ['A' ... 'Z'] = ALL,
    ['[' ... ']'] = TV,
    ['^'] = HTTP_BYTE_TOKEN | TV,
    ['_'] = ALL,
    ['`'] = HTTP_BYTE_TOKEN | TV,
    ['a' ... 'z'] = ALL,
    ['{'] = TV,
    ['|'] = HTTP_BYTE_TOKEN | TV,
    ['}'] = TV,
    ['~'] = ALL,
    [0x80 ... 0xff] = HTTP_BYTE_VALUE,
};

static bool is_class(char c, enum http_byte what)
{
	return (class_of[(unsigned char)c] & what) != 0;
}

/* Whether eight bytes hold no control byte; a tab counts as one here. */
static bool is_plain(const char *text)
{
	const uint64_t ones = 0x0101010101010101;
	uint64_t word, deletes;

	memcpy(&word, text, sizeof word);
	deletes = word ^ (ones * 0x7f);
	return ((((word - ones * 0x20) & ~word) | ((deletes - ones) & ~deletes)) & ones * 0x80) ==
	       0;
}

size_t http_span(const char *text, size_t length, enum http_byte what)
{
	size_t i = 0;

	if (what == HTTP_BYTE_VALUE) {
		while (length - i >= 8 && is_plain(text + i))
			i += 8;
	}
	while (i < length && is_class(text[i], what))
		i++;
	return i;
}

bool http_is_token(const char *text)
{
	size_t length = strlen(text);

	return length > 0 && http_span(text, length, HTTP_BYTE_TOKEN) == length;
}

bool http_is_value(const char *text)
{
	size_t length = strlen(text);

	return http_span(text, length, HTTP_BYTE_VALUE) == length;
}

bool http_is_authority(const char *text, size_t length, bool port_needed)
{
	size_t i = 0;

	if (length > 0 && text[0] == '[') {
		for (i = 1; i < length; i++) {
			if (!is_class(text[i], HTTP_BYTE_HOST) && text[i] != ':')
				break;
		}
		if (i < 2 || i == length || text[i++] != ']')
			return false;
	} else {
		i = http_span(text, length, HTTP_BYTE_HOST);
		if (i == 0)
			return false;
	}
	if (i == length)
		return !port_needed;
	if (text[i] != ':')
		return false;
	size_t port = length - ++i;
	for (; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
	}
	return port <= 5 && (port > 0 || !port_needed);
}

bool http_is_target(const char *method, const char *target)
{
	size_t length = strlen(target);

	if (length == 0 || http_span(target, length, HTTP_BYTE_TARGET) != length)
		return false;
	if (strcmp(method, "CONNECT") == 0)
		return http_is_authority(target, length, true);
	if (target[0] == '/')
		return true;
	if (strcmp(target, "*") == 0)
		return strcmp(method, "OPTIONS") == 0;
	if (strncasecmp(target, "http://", 7) == 0)
		target += 7;
	else if (strncasecmp(target, "https://", 8) == 0)
		target += 8;
	else
		return false;
	return http_is_authority(target, strcspn(target, "/?"), false);
}

bool http_list_next(const char **at, const char **item, size_t *length)
{
	const char *from = *at + strspn(*at, " \t,");
	const char *end = from + strcspn(from, ",");

	*at = end;
	while (end > from && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*item = from;
	*length = (size_t)(end - from);
	return *length > 0;
}

bool http_list_has(const char *list, const char *token)
{
	const char *item;
	size_t length;

	while (http_list_next(&list, &item, &length)) {
		if (length == strlen(token) && strncasecmp(item, token, length) == 0)
			return true;
	}
	return false;
}

/* --- looking into a head --- */

const char *http_head_get(const struct http_head *head, const char *name)
{
	for (unsigned i = 0; i < head->field_count; i++) {
		if (strcasecmp(head->fields[i].name, name) == 0)
			return head->fields[i].value;
	}
	return NULL;
}

bool http_head_has_token(const struct http_head *head, const char *name, const char *token)
{
	for (unsigned i = 0; i < head->field_count; i++) {
		if (strcasecmp(head->fields[i].name, name) == 0 &&
		    http_list_has(head->fields[i].value, token))
			return true;
	}
	return false;
}

/* --- the writers --- */

/* Poisons the buffer: whoever looks only at the end still sees it. */
static bool refuse(struct buf *out)
{
	out->overflow = true;
	return false;
}

bool http_write_request(struct buf *out, const char *method, const char *target)
{
	if (!http_is_token(method) || !http_is_target(method, target))
		return refuse(out);
	return buf_puts(out, method) && buf_putc(out, ' ') && buf_puts(out, target) &&
	       buf_puts(out, " HTTP/1.1\r\n");
}

bool http_write_response(struct buf *out, int status)
{
	if (status < 100 || status > 999)
		return refuse(out);
	return buf_puts(out, "HTTP/1.1 ") && buf_put_uint(out, (uint64_t)status) &&
	       buf_putc(out, ' ') && buf_puts(out, http_reason(status)) && buf_puts(out, "\r\n");
}

bool http_write_field(struct buf *out, const char *name, const char *value)
{
	if (!http_is_token(name) || !http_is_value(value))
		return refuse(out);
	return buf_puts(out, name) && buf_puts(out, ": ") && buf_puts(out, value) &&
	       buf_puts(out, "\r\n");
}

bool http_write_field_uint(struct buf *out, const char *name, uint64_t value)
{
	if (!http_is_token(name))
		return refuse(out);
	return buf_puts(out, name) && buf_puts(out, ": ") && buf_put_uint(out, value) &&
	       buf_puts(out, "\r\n");
}

bool http_write_end(struct buf *out)
{
	return buf_puts(out, "\r\n");
}

bool http_write_chunk(struct buf *out, const void *data, size_t length)
{
	char digits[2 * sizeof length];
	size_t at = sizeof digits;

	if (length == 0)
		return buf_puts(out, "0\r\n\r\n");
	for (size_t left = length; left > 0; left >>= 4)
		digits[--at] = "0123456789abcdef"[left & 15];
	return buf_append(out, digits + at, sizeof digits - at) && buf_puts(out, "\r\n") &&
	       buf_append(out, data, length) && buf_puts(out, "\r\n");
}

/* RFC 9110 15, RFC 6585, RFC 8297. */
static const struct {
	int status;
	const char *reason;
} reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {511, "Network Authentication Required"},
};

const char *http_reason(int status)
{
	for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "";
}

/* --- values --- */

int64_t http_retry_after_ms(const char *value, int64_t wall_now_ms, int64_t limit_ms)
{
	int64_t wait = 0, when;

	if (!value || !value[0])
		return -1;
	if (value[strspn(value, "0123456789")] != '\0') {
		if (!clock_parse_http_date(value, &when))
			return -1;
		wait = when > wall_now_ms ? when - wall_now_ms : 0;
		return wait < limit_ms ? wait : limit_ms;
	}
	for (; *value; value++) {
		wait = wait * 10 + (*value - '0');
		if (wait > limit_ms / 1000)
			return limit_ms;
	}
	return wait * 1000;
}

/* --- Link: <target>; name=value; name="value", <target> ... (RFC 8288 3) --- */

struct link_param {
	const char *name, *value; /* borrowed from the header; a quoted value without its quotes */
	size_t name_length, value_length;
};

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

/* Reads one parameter after its ';'. What follows it, or NULL when it is malformed. */
static const char *link_param(const char *at, struct link_param *param)
{
	at = skip_blanks(at);
	param->name = at;
	param->name_length = strcspn(at, " \t=;,\"");
	param->value_length = 0;
	at = skip_blanks(at + param->name_length);
	param->value = at;
	if (*at != '=')
		return at;
	at = skip_blanks(at + 1);
	if (*at != '"') {
		param->value = at;
		param->value_length = strcspn(at, " \t;,\"");
		return skip_blanks(at + param->value_length);
	}
	param->value = ++at;
	while (*at && *at != '"')
		at += at[0] == '\\' && at[1] ? 2 : 1;
	if (!*at)
		return NULL;
	param->value_length = (size_t)(at - param->value);
	return skip_blanks(at + 1);
}

static bool param_is(const struct link_param *param, const char *name)
{
	return param->name_length == strlen(name) &&
	       strncasecmp(param->name, name, param->name_length) == 0;
}

/* Whether a relation list, separated by blanks, names "next". */
static bool names_next(const struct link_param *param)
{
	const char *at = param->value, *end = at + param->value_length;

	while (at < end) {
		size_t word = strcspn(at, " \t\"");

		if (at + word > end)
			word = (size_t)(end - at);
		if (word == 4 && strncasecmp(at, "next", 4) == 0)
			return true;
		at += word + 1;
	}
	return false;
}

/* Reads the parameters of one link. What follows them, or NULL when they are malformed. */
static const char *link_params(const char *at, bool *is_next)
{
	struct link_param param;
	bool has_rel = false, anchored = false;

	*is_next = false;
	at = skip_blanks(at);
	while (at && *at == ';') {
		at = link_param(at + 1, &param);
		if (!at)
			return NULL;
		if (param_is(&param, "anchor"))
			anchored = true;
		if (param_is(&param, "rel") && !has_rel) { /* only the first counts: 3.3 */
			has_rel = true;
			*is_next = names_next(&param);
		}
	}
	*is_next = *is_next && !anchored;
	return *at == ',' || *at == '\0' ? at : NULL;
}

bool http_link_next(const char *link, char *out, size_t size)
{
	bool is_next = false;

	while (link) {
		link += strspn(link, " \t,");
		if (*link != '<')
			return false;
		const char *target = link + 1;
		size_t length = strcspn(target, ">");
		if (target[length] != '>')
			return false;
		link = link_params(target + length + 1, &is_next);
		if (!link || !is_next)
			continue;
		for (size_t i = 0; i < length; i++) {
			if (target[i] <= ' ' || target[i] > '~')
				return false;
		}
		if (length == 0 || length >= size)
			return false;
		memcpy(out, target, length);
		out[length] = '\0';
		return true;
	}
	return false;
}
