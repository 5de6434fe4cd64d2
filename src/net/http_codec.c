/*
 * http_codec: the parser. Each arrow is named after the function that takes it.
 *
 *   START_LINE --take_start_line--> FIELDS --finish_head--> one of
 *        |                             |        COMPLETE     nothing follows
 *        | empty line, once,           |        BODY_LENGTH  Content-Length
 *        | before a request            |        BODY_CLOSE   runs to the end of the connection
 *        '--> START_LINE               |        CHUNK_SIZE   chunked
 *                                      '--take_field--> FIELDS
 *
 *   BODY_LENGTH --feed_counted--> COMPLETE
 *   BODY_CLOSE --http_parser_end--> COMPLETE
 *
 *   CHUNK_SIZE --chunk_byte--> [CHUNK_EXTENSION] --chunk_byte--> CHUNK_SIZE_LF
 *   CHUNK_SIZE_LF --begin_chunk--> CHUNK_DATA --feed_counted--> CHUNK_DATA_CR --chunk_byte-->
 *        CHUNK_DATA_LF --chunk_byte--> CHUNK_SIZE
 *   CHUNK_SIZE_LF --begin_chunk, size 0--> TRAILERS --feed_trailers--> COMPLETE
 *
 *   COMPLETE --http_parser_next--> START_LINE
 *   any --fail--> FAILED
 */
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "net/http_codec.h"

enum state {
	START_LINE,
	FIELDS,
	BODY_LENGTH,
	BODY_CLOSE,
	CHUNK_SIZE,
	CHUNK_EXTENSION,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	TRAILERS,
	COMPLETE,
	FAILED
};

enum seen { SEEN_EMPTY_LINE = 1, SEEN_HOST = 2, SEEN_CLOSE = 4, SEEN_KEEP_ALIVE = 8 };

#define CHUNK_DIGITS_MAX 15
#define CHUNK_EXTENSION_MAX 64

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool same_word(const char *text, size_t length, const char *word)
{
	return strlen(word) == length && strncasecmp(text, word, length) == 0;
}

static enum http_event fail(struct http_parser *parser, int status, const char *error)
{
	parser->state = FAILED;
	parser->error_status = status;
	parser->error = error;
	return HTTP_ERROR;
}

/* --- headers that the parser itself understands; each returns HTTP_MORE or what fail() says --- */

/* RFC 9110 9.3.6: a client must ignore the framing of a successful answer to CONNECT. */
static bool is_tunnel(const struct http_parser *parser)
{
	return parser->kind == HTTP_RESPONSE && parser->connect && parser->head.status / 100 == 2;
}

static enum http_event take_length(struct http_parser *parser, const char *value)
{
	uint64_t length = 0;

	if (is_tunnel(parser))
		return HTTP_MORE;
	if (parser->head.has_length)
		return fail(parser, 400, "two Content-Length headers");
	if (!value[0])
		return fail(parser, 400, "empty Content-Length");
	for (; *value; value++) {
		unsigned digit = (unsigned)(*value - '0');

		if (!is_digit(*value))
			return fail(parser, 400, "Content-Length is not a number");
		if (length > (UINT64_MAX - digit) / 10)
			return fail(parser, 413, "Content-Length is too large to count");
		length = length * 10 + digit;
	}
	parser->head.has_length = true;
	parser->head.length = length;
	return HTTP_MORE;
}

static enum http_event take_coding(struct http_parser *parser, const char *value)
{
	const char *item;
	size_t length;

	if (is_tunnel(parser))
		return HTTP_MORE;
	if (parser->head.minor == 0)
		return fail(parser, 400, "Transfer-Encoding in HTTP/1.0");
	if (strcasecmp(value, "chunked") == 0 && !parser->head.chunked) {
		parser->head.chunked = true;
		return HTTP_MORE;
	}
	while (http_list_next(&value, &item, &length)) {
		if (!same_word(item, length, "chunked"))
			return fail(parser, parser->kind == HTTP_REQUEST ? 501 : 400,
			    "Transfer-Encoding other than chunked");
	}
	return fail(parser, 400, "Transfer-Encoding is not chunked once");
}

static enum http_event take_connection(struct http_parser *parser, const char *value)
{
	if (http_list_has(value, "close"))
		parser->seen |= SEEN_CLOSE;
	if (http_list_has(value, "keep-alive"))
		parser->seen |= SEEN_KEEP_ALIVE;
	return HTTP_MORE;
}

static enum http_event take_host(struct http_parser *parser, const char *value)
{
	if (parser->kind == HTTP_RESPONSE)
		return HTTP_MORE;
	if (parser->seen & SEEN_HOST)
		return fail(parser, 400, "two Host headers");
	parser->seen |= SEEN_HOST;
	/* It may be empty: RFC 9112 3.2. */
	if (value[0] && !http_is_authority(value, strlen(value), false))
		return fail(parser, 400, "Host is not a host");
	return HTTP_MORE;
}

static enum http_event take_expect(struct http_parser *parser, const char *value)
{
	if (parser->kind == HTTP_REQUEST && parser->head.minor > 0 &&
	    http_list_has(value, "100-continue"))
		parser->head.expect_continue = true;
	return HTTP_MORE;
}

static const struct {
	const char *name;
	size_t length;
	enum http_event (*take)(struct http_parser *parser, const char *value);
} understood[] = {
    {"Host", 4, take_host},
    {"Expect", 6, take_expect},
    {"Connection", 10, take_connection},
    {"Content-Length", 14, take_length},
    {"Transfer-Encoding", 17, take_coding},
};

static enum http_event understand(
    struct http_parser *parser, const char *name, size_t length, const char *value)
{
	for (size_t i = 0; i < sizeof understood / sizeof understood[0]; i++) {
		if (understood[i].length == length &&
		    strncasecmp(understood[i].name, name, length) == 0)
			return understood[i].take(parser, value);
	}
	return HTTP_MORE;
}

/* --- lines --- */

enum line { LINE_PART, LINE_WHOLE, LINE_TOO_LONG };

/* Moves bytes behind `into`, up to and with the next line feed. No byte is looked at twice. */
static enum line collect_line(struct buf *into, const char *data, size_t length, size_t *used)
{
	size_t room = into->limit - into->length;
	size_t window = length < room ? length : room;
	const char *feed = window > 0 ? memchr(data, '\n', window) : NULL;

	*used = feed ? (size_t)(feed - data) + 1 : window;
	if (*used > 0 && !buf_append(into, data, *used))
		return LINE_TOO_LONG;
	if (feed)
		return LINE_WHOLE;
	return window < length ? LINE_TOO_LONG : LINE_PART;
}

/* The line just collected, now NUL-terminated in place of its CR LF; NULL when it ends without CR.
 */
static char *finish_line(struct http_parser *parser, struct buf *in, size_t *length)
{
	char *line = in->data + parser->line;
	size_t whole = in->length - parser->line;

	if (whole < 2 || line[whole - 2] != '\r')
		return NULL;
	parser->line = in->length;
	*length = whole - 2;
	line[*length] = '\0';
	return line;
}

/* Splits "Name: value" in place. NULL, or what is wrong with it. */
static const char *split_field(char *line, size_t length, size_t *name_length, char **value)
{
	size_t name = http_span(line, length, HTTP_BYTE_TOKEN);

	if (is_blank(line[0]))
		return "folded header line";
	if (name == length)
		return "header without a colon";
	if (is_blank(line[name]))
		return "white space in or after a header name";
	if (line[name] != ':')
		return "bad byte in a header name";
	if (name == 0)
		return "header without a name";
	size_t from = name + 1;
	while (from < length && is_blank(line[from]))
		from++;
	while (length > from && is_blank(line[length - 1]))
		length--;
	if (http_span(line + from, length - from, HTTP_BYTE_VALUE) != length - from)
		return "bad byte in a header value";
	line[name] = '\0';
	line[length] = '\0';
	*name_length = name;
	*value = line + from;
	return NULL;
}

static enum http_event take_version(struct http_parser *parser, const char *text, size_t length)
{
	if (length != 8 || memcmp(text, "HTTP/", 5) != 0 || !is_digit(text[5]) || text[6] != '.' ||
	    !is_digit(text[7]))
		return fail(parser, 400, "bad HTTP version");
	if (text[5] != '1' || text[7] > '1')
		return fail(parser, 505, "HTTP version other than 1.0 and 1.1");
	parser->head.minor = text[7] - '0';
	return HTTP_MORE;
}

static enum http_event take_request_line(struct http_parser *parser, char *line, size_t length)
{
	size_t method = http_span(line, length, HTTP_BYTE_TOKEN);

	if (method == 0 || (method < length && line[method] != ' '))
		return fail(parser, 400, "bad method");
	if (method == length)
		return fail(parser, 400, "request line without a target");
	char *target = line + method + 1;
	size_t rest = length - method - 1;
	size_t target_length = http_span(target, rest, HTTP_BYTE_TARGET);
	if (target_length > parser->limits.target)
		return fail(parser, 414, "target over the limit");
	if (target_length == rest)
		return fail(parser, 400, "request line without a version");
	if (target[target_length] != ' ')
		return fail(parser, 400, "bad byte in the target");
	line[method] = '\0';
	target[target_length] = '\0';
	if (!http_is_target(line, target))
		return fail(parser, 400, "bad target");
	parser->target_at = (size_t)(target - parser->bytes.data);
	parser->state = FIELDS;
	return take_version(parser, target + target_length + 1, rest - target_length - 1);
}

static enum http_event take_status_line(struct http_parser *parser, const char *line, size_t length)
{
	const char *space = memchr(line, ' ', length);
	size_t version = space ? (size_t)(space - line) : length;
	int status = 0;

	if (take_version(parser, line, version) == HTTP_ERROR)
		return HTTP_ERROR;
	for (size_t i = 9; i < 12; i++) {
		if (i >= length || !is_digit(line[i]))
			return fail(parser, 400, "bad status");
		status = status * 10 + (line[i] - '0');
	}
	if (status < 100 || (length > 12 && line[12] != ' '))
		return fail(parser, 400, "bad status");
	size_t reason = length > 12 ? 13 : 12;
	if (http_span(line + reason, length - reason, HTTP_BYTE_VALUE) != length - reason)
		return fail(parser, 400, "bad byte in the status line");
	parser->head.status = status;
	parser->reason_at = reason;
	parser->state = FIELDS;
	return HTTP_MORE;
}

static enum http_event take_start_line(struct http_parser *parser, char *line, size_t length)
{
	if (length > 0)
		return parser->kind == HTTP_REQUEST ? take_request_line(parser, line, length)
		                                    : take_status_line(parser, line, length);
	if (parser->kind == HTTP_RESPONSE || parser->seen & SEEN_EMPTY_LINE)
		return fail(parser, 400, "empty line where a message should start");
	parser->seen |= SEEN_EMPTY_LINE;
	buf_reset(&parser->bytes);
	parser->line = 0;
	return HTTP_MORE;
}

static enum http_event take_field(struct http_parser *parser, char *line, size_t length)
{
	unsigned i = parser->head.field_count;
	size_t name_length = 0;
	char *value = NULL;
	const char *wrong = split_field(line, length, &name_length, &value);

	if (wrong)
		return fail(parser, 400, wrong);
	if (i >= parser->limits.fields)
		return fail(parser, 431, "too many headers");
	parser->at[i].name = (uint32_t)(line - parser->bytes.data);
	parser->at[i].value = (uint32_t)(value - parser->bytes.data);
	parser->head.field_count = i + 1;
	return understand(parser, line, name_length, value);
}

/* --- the head --- */

/* The bytes have come to rest: offsets become the strings of the head. */
static void set_strings(struct http_parser *parser)
{
	struct http_head *head = &parser->head;
	const char *bytes = parser->bytes.data;

	if (parser->kind == HTTP_REQUEST) {
		head->method = bytes;
		head->target = bytes + parser->target_at;
	} else {
		head->reason = bytes + parser->reason_at;
	}
	for (unsigned i = 0; i < head->field_count; i++) {
		head->fields[i].name = bytes + parser->at[i].name;
		head->fields[i].value = bytes + parser->at[i].value;
	}
}

/* RFC 9112 6.3, for messages whose framing headers were found right. */
static bool has_body(const struct http_parser *parser)
{
	const struct http_head *head = &parser->head;

	if (parser->kind == HTTP_REQUEST)
		return head->chunked || head->has_length;
	return !parser->no_body && !head->upgrade && head->status >= 200 && head->status != 204 &&
	       head->status != 304;
}

static enum http_event choose_body(struct http_parser *parser)
{
	struct http_head *head = &parser->head;

	if (!has_body(parser)) {
		parser->state = COMPLETE;
	} else if (head->chunked) {
		parser->state = CHUNK_SIZE;
	} else if (head->has_length) {
		if (head->length > parser->limits.body)
			return fail(parser, 413, "body over the limit");
		parser->left = head->length;
		parser->state = head->length > 0 ? BODY_LENGTH : COMPLETE;
	} else {
		head->to_close = true;
		head->keep_alive = false;
		parser->state = BODY_CLOSE;
	}
	return HTTP_HEAD;
}

static enum http_event finish_head(struct http_parser *parser)
{
	struct http_head *head = &parser->head;

	set_strings(parser);
	if (head->has_length && head->chunked)
		return fail(parser, 400, "Content-Length beside Transfer-Encoding");
	if (parser->kind == HTTP_REQUEST) {
		if (!(parser->seen & SEEN_HOST))
			return fail(parser, 400, "request without Host");
		if (strcmp(head->method, "CONNECT") == 0 && (head->has_length || head->chunked))
			return fail(parser, 400, "CONNECT with a body");
	} else {
		head->upgrade = head->status == 101 || is_tunnel(parser);
	}
	head->keep_alive = !head->upgrade && !(parser->seen & SEEN_CLOSE) &&
	                   (head->minor > 0 || parser->seen & SEEN_KEEP_ALIVE);
	return choose_body(parser);
}

/* Garbage is told at its first byte: it may never bring a line feed. */
static enum http_event check_first_byte(struct http_parser *parser, char c)
{
	if (c == 0x15 || c == 0x16) /* alert, handshake: RFC 8446 5.1 */
		return fail(parser, 400, "TLS where plain HTTP was expected");
	if (parser->kind == HTTP_RESPONSE && c != 'H')
		return fail(parser, 400, "not an HTTP response");
	if (parser->kind == HTTP_REQUEST && !http_span(&c, 1, HTTP_BYTE_TOKEN) && c != '\r')
		return fail(parser, 400, "not an HTTP request");
	return HTTP_MORE;
}

static enum http_event feed_head(
    struct http_parser *parser, const char *data, size_t length, size_t *used)
{
	size_t line_length = 0;

	if (parser->bytes.length == 0 && length > 0 &&
	    check_first_byte(parser, data[0]) == HTTP_ERROR)
		return HTTP_ERROR;
	switch (collect_line(&parser->bytes, data, length, used)) {
	case LINE_PART:
		return HTTP_MORE;
	case LINE_TOO_LONG:
		if (parser->kind == HTTP_REQUEST && parser->state == START_LINE)
			return fail(parser, 414, "request line over the limit");
		return fail(parser, 431, "head over the limit");
	case LINE_WHOLE:
		break;
	}
	char *line = finish_line(parser, &parser->bytes, &line_length);
	if (!line)
		return fail(parser, 400, "line feed without carriage return");
	if (parser->state == START_LINE)
		return take_start_line(parser, line, line_length);
	return line_length > 0 ? take_field(parser, line, line_length) : finish_head(parser);
}

/* --- the body --- */

static enum http_event give_body(struct http_parser *parser, const char *data, size_t length)
{
	parser->body = data;
	parser->body_length = length;
	parser->body_total += length;
	return HTTP_BODY;
}

/* A body of known length, or one chunk of it. */
static enum http_event feed_counted(
    struct http_parser *parser, const char *data, size_t length, size_t *used)
{
	if (length == 0)
		return HTTP_MORE;
	*used = length < parser->left ? length : (size_t)parser->left;
	parser->left -= *used;
	if (parser->left == 0)
		parser->state = parser->state == BODY_LENGTH ? COMPLETE : CHUNK_DATA_CR;
	return give_body(parser, data, *used);
}

static enum http_event feed_close(
    struct http_parser *parser, const char *data, size_t length, size_t *used)
{
	uint64_t total = parser->body_total;
	uint64_t room = total < parser->limits.body ? parser->limits.body - total : 0;

	if (length == 0)
		return HTTP_MORE;
	if (room == 0)
		return fail(parser, 413, "body over the limit");
	*used = length < room ? length : (size_t)room;
	return give_body(parser, data, *used);
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static enum http_event chunk_size_byte(struct http_parser *parser, char c)
{
	int value = hex_value(c);

	if (value >= 0) {
		if (++parser->digits > CHUNK_DIGITS_MAX)
			return fail(parser, 400, "chunk size over 15 digits");
		parser->left = parser->left << 4 | (unsigned)value;
		return HTTP_MORE;
	}
	if (parser->digits == 0 || (c != '\r' && c != ';'))
		return fail(parser, 400, "chunk size is not hex digits");
	parser->extension = 1;
	parser->state = c == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
	return HTTP_MORE;
}

static enum http_event begin_chunk(struct http_parser *parser)
{
	uint64_t limit = parser->limits.body;

	parser->digits = 0;
	if (parser->left == 0) {
		parser->line = 0;
		parser->state = TRAILERS;
		return HTTP_MORE;
	}
	if (parser->left > limit || parser->body_total > limit - parser->left)
		return fail(parser, 413, "body over the limit");
	parser->state = CHUNK_DATA;
	return HTTP_MORE;
}

/* What stands around the data of chunks, byte by byte. */
static enum http_event chunk_byte(struct http_parser *parser, char c)
{
	switch (parser->state) {
	case CHUNK_SIZE:
		return chunk_size_byte(parser, c);
	case CHUNK_EXTENSION:
		if (c == '\r') {
			parser->state = CHUNK_SIZE_LF;
			return HTTP_MORE;
		}
		if (!http_span(&c, 1, HTTP_BYTE_VALUE))
			return fail(parser, 400, "bad byte in a chunk extension");
		if (++parser->extension > CHUNK_EXTENSION_MAX)
			return fail(parser, 400, "chunk extension over 64 bytes");
		return HTTP_MORE;
	case CHUNK_SIZE_LF:
		return c == '\n' ? begin_chunk(parser)
		                 : fail(parser, 400, "bad line end after a chunk size");
	case CHUNK_DATA_CR:
		parser->state = CHUNK_DATA_LF;
		return c == '\r' ? HTTP_MORE : fail(parser, 400, "chunk longer than its size");
	default:
		parser->state = CHUNK_SIZE;
		return c == '\n' ? HTTP_MORE : fail(parser, 400, "bad line end after a chunk");
	}
}

static enum http_event feed_trailers(
    struct http_parser *parser, const char *data, size_t length, size_t *used)
{
	size_t line_length = 0, name_length;
	char *value;

	switch (collect_line(&parser->trailers, data, length, used)) {
	case LINE_PART:
		return HTTP_MORE;
	case LINE_TOO_LONG:
		return fail(parser, 431, "trailers over the limit");
	case LINE_WHOLE:
		break;
	}
	char *line = finish_line(parser, &parser->trailers, &line_length);
	if (!line)
		return fail(parser, 400, "line feed without carriage return");
	if (line_length == 0) {
		parser->state = COMPLETE;
		return HTTP_DONE;
	}
	const char *wrong = split_field(line, line_length, &name_length, &value);
	if (wrong)
		return fail(parser, 400, wrong);
	if (++parser->trailer_count > parser->limits.fields)
		return fail(parser, 431, "too many trailers");
	return HTTP_MORE;
}

/* --- the parser --- */

void http_parser_init(
    struct http_parser *parser, enum http_kind kind, const struct http_limits *limits)
{
	memset(parser, 0, sizeof *parser);
	parser->kind = kind;
	parser->limits = *limits;
	if (parser->limits.fields > HTTP_FIELDS_MAX)
		parser->limits.fields = HTTP_FIELDS_MAX;
	if (parser->limits.head > INT_MAX) /* offsets are 32 bits */
		parser->limits.head = INT_MAX;
	buf_init(&parser->bytes, parser->limits.head);
	buf_init(&parser->trailers, parser->limits.head);
	http_parser_next(parser);
}

void http_parser_free(struct http_parser *parser)
{
	buf_free(&parser->bytes);
	buf_free(&parser->trailers);
}

void http_parser_next(struct http_parser *parser)
{
	struct http_head *head = &parser->head;

	head->minor = head->status = 0;
	head->method = head->target = head->reason = NULL;
	head->field_count = 0;
	head->has_length = head->chunked = head->to_close = false;
	head->keep_alive = head->expect_continue = head->upgrade = false;
	head->length = 0;
	buf_reset(&parser->bytes);
	buf_reset(&parser->trailers);
	parser->body = NULL;
	parser->body_length = 0;
	parser->body_total = 0;
	parser->error_status = 0;
	parser->error = NULL;
	parser->state = START_LINE;
	parser->seen = 0;
	parser->line = parser->target_at = parser->reason_at = 0;
	parser->left = 0;
	parser->digits = parser->extension = parser->trailer_count = 0;
}

/* Consumes something, or tells something, whenever there is something. */
static enum http_event step(
    struct http_parser *parser, const char *data, size_t length, size_t *used)
{
	switch ((enum state)parser->state) {
	case START_LINE:
	case FIELDS:
		return feed_head(parser, data, length, used);
	case BODY_LENGTH:
	case CHUNK_DATA:
		return feed_counted(parser, data, length, used);
	case BODY_CLOSE:
		return feed_close(parser, data, length, used);
	case CHUNK_SIZE:
	case CHUNK_EXTENSION:
	case CHUNK_SIZE_LF:
	case CHUNK_DATA_CR:
	case CHUNK_DATA_LF:
		*used = length > 0;
		return length > 0 ? chunk_byte(parser, data[0]) : HTTP_MORE;
	case TRAILERS:
		return feed_trailers(parser, data, length, used);
	case COMPLETE:
		return HTTP_DONE;
	case FAILED:
		break;
	}
	return HTTP_ERROR;
}

enum http_event http_parser_feed(
    struct http_parser *parser, const char *data, size_t length, size_t *consumed)
{
	enum http_event event;
	size_t at = 0;

	if (length == 0)
		data = "";
	do {
		size_t used = 0;

		event = step(parser, data + at, length - at, &used);
		at += used;
	} while (event == HTTP_MORE && at < length);
	*consumed = at;
	return event;
}

enum http_event http_parser_end(struct http_parser *parser)
{
	switch ((enum state)parser->state) {
	case BODY_CLOSE:
		parser->state = COMPLETE;
		return HTTP_DONE;
	case COMPLETE:
		return HTTP_DONE;
	case FAILED:
		return HTTP_ERROR;
	case START_LINE:
	case FIELDS:
		if (!http_parser_begun(parser))
			return fail(parser, 400, "the connection ended before a message");
		return fail(parser, 400, "the connection ended within the head");
	default:
		return fail(parser, 400, "the connection ended within the body");
	}
}

bool http_parser_begun(const struct http_parser *parser)
{
	return parser->state != START_LINE || parser->bytes.length > 0 ||
	       parser->seen & SEEN_EMPTY_LINE;
}
