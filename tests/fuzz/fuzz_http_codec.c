/*
 * http_codec: the same bytes, fed whole and in random pieces, must tell the same story; what was
 * read can be written and read again; and writers given garbage never let a line in.
 *
 * Input: byte 0 chooses (bit 0 kind, 1 no_body, 2 connect, 3 small limits, 4 writers), byte 1 seeds
 * the cuts, the rest is the connection (or, for the writers, strings separated by NUL).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/http_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_limits wide = {.head = 4096, .target = 1024, .fields = 100, .body = 65536};
static const struct http_limits narrow = {.head = 96, .target = 16, .fields = 3, .body = 12};

#define CHECK(condition)                                                                \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

struct story {
	struct http_parser parser;
	struct buf text;
	size_t used;
	bool over;
};

static void tell_head(struct story *story)
{
	const struct http_head *head = &story->parser.head;
	struct buf *text = &story->text;

	buf_printf(text, "\nhead 1.%d %d %d%d%d%d%d%d %llu ", head->minor, head->status,
	    head->has_length, head->chunked, head->to_close, head->keep_alive,
	    head->expect_continue, head->upgrade, (unsigned long long)head->length);
	buf_puts(text, head->method ? head->method : "-");
	buf_puts(text, head->target ? head->target : "-");
	buf_puts(text, head->reason ? head->reason : "-");
	for (unsigned i = 0; i < head->field_count; i++) {
		buf_putc(text, '\n');
		buf_puts(text, head->fields[i].name);
		buf_putc(text, '=');
		buf_puts(text, head->fields[i].value);
	}
	buf_putc(text, '\n');
}

/* What was read can be written, and reads the same. */
static void check_rewrite(const struct http_parser *parser)
{
	const struct http_head *head = &parser->head;
	struct http_limits limits = {
	    .head = 16384, .target = 4096, .fields = HTTP_FIELDS_MAX, .body = UINT64_MAX};
	struct http_parser again;
	struct buf out;
	size_t used;

	buf_init(&out, 65536);
	CHECK(parser->kind == HTTP_REQUEST ? http_write_request(&out, head->method, head->target)
	                                   : http_write_response(&out, head->status));
	for (unsigned i = 0; i < head->field_count; i++)
		CHECK(http_write_field(&out, head->fields[i].name, head->fields[i].value));
	CHECK(http_write_end(&out));
	if (head->minor == 1) { /* ours says 1.1: Transfer-Encoding and Expect may differ for 1.0 */
		http_parser_init(&again, parser->kind, &limits);
		again.no_body = parser->no_body;
		again.connect = parser->connect;
		CHECK(http_parser_feed(&again, out.data, out.length, &used) == HTTP_HEAD);
		CHECK(used == out.length);
		CHECK(again.head.field_count == head->field_count);
		CHECK(again.head.chunked == head->chunked && again.head.length == head->length);
		CHECK(again.head.keep_alive == head->keep_alive);
		for (unsigned i = 0; i < head->field_count; i++) {
			CHECK(strcmp(again.head.fields[i].name, head->fields[i].name) == 0);
			CHECK(strcmp(again.head.fields[i].value, head->fields[i].value) == 0);
		}
		http_parser_free(&again);
	}
	buf_free(&out);
}

static void feed(struct story *story, const char *bytes, size_t length)
{
	struct http_parser *parser = &story->parser;
	size_t at = 0;

	while (!story->over) {
		size_t used = SIZE_MAX;
		enum http_event event = http_parser_feed(parser, bytes + at, length - at, &used);

		CHECK(used <= length - at);
		at += used;
		story->used += used;
		switch (event) {
		case HTTP_MORE:
			CHECK(at == length);
			return;
		case HTTP_HEAD:
			tell_head(story);
			check_rewrite(parser);
			break;
		case HTTP_BODY:
			CHECK(parser->body_length > 0 && parser->body >= bytes);
			CHECK(parser->body + parser->body_length == bytes + at);
			CHECK(parser->body_total <= parser->limits.body);
			buf_append(&story->text, parser->body, parser->body_length);
			break;
		case HTTP_DONE:
			buf_printf(&story->text, "\ndone at %zu", story->used);
			story->over = !parser->head.keep_alive;
			if (!story->over)
				http_parser_next(parser);
			break;
		case HTTP_ERROR:
			CHECK(parser->error && parser->error_status >= 400);
			story->over = true;
			break;
		}
	}
}

static void tell(struct story *story, const uint8_t *data, size_t size, bool cut)
{
	uint8_t flags = data[0];
	uint32_t random = data[1] * 2654435761u + 1;

	memset(story, 0, sizeof *story);
	buf_init(&story->text, 1 << 22);
	http_parser_init(
	    &story->parser, flags & 1 ? HTTP_RESPONSE : HTTP_REQUEST, flags & 8 ? &narrow : &wide);
	story->parser.no_body = flags & 2;
	story->parser.connect = flags & 4;
	for (size_t at = 2; at < size;) {
		size_t length = size - at;

		random = random * 1664525 + 1013904223;
		if (cut && length > 1 + (random >> 24) % 16)
			length = 1 + (random >> 24) % 16;
		char *piece = malloc(length); /* exactly its size, for the sanitizer */
		CHECK(piece);
		memcpy(piece, data + at, length);
		feed(story, piece, length);
		free(piece);
		at += length;
	}
	if (!story->over)
		buf_printf(&story->text, "\nend %d", http_parser_end(&story->parser));
	if (story->parser.error)
		buf_printf(
		    &story->text, "\n%d %s", story->parser.error_status, story->parser.error);
	http_parser_free(&story->parser);
}

static void check_cuts(const uint8_t *data, size_t size)
{
	struct story whole, cut;

	tell(&whole, data, size, false);
	tell(&cut, data, size, true);
	CHECK(whole.text.length == cut.text.length);
	CHECK(memcmp(whole.text.data, cut.text.data, whole.text.length) == 0);
	buf_free(&whole.text);
	buf_free(&cut.text);
}

static char *next_string(const uint8_t **data, size_t *size)
{
	size_t length = *size > 0 ? strnlen((const char *)*data, *size) : 0;
	size_t skip = length < *size ? length + 1 : length;
	char *text = malloc(length + 1);

	CHECK(text);
	if (length > 0)
		memcpy(text, *data, length);
	text[length] = '\0';
	*data += skip;
	*size -= skip;
	return text;
}

/* Whatever the strings hold: one request line, Host and one header, or nothing. */
static void check_writers(const uint8_t *data, size_t size)
{
	char *method = next_string(&data, &size), *target = next_string(&data, &size);
	char *name = next_string(&data, &size), *value = next_string(&data, &size);
	struct http_parser parser;
	struct buf out;
	size_t used;

	buf_init(&out, 1 << 20);
	http_parser_init(&parser, HTTP_REQUEST, &wide);
	if (http_write_request(&out, method, target) && http_write_field(&out, "Host", "a") &&
	    http_write_field(&out, name, value) && http_write_end(&out)) {
		enum http_event event = http_parser_feed(&parser, out.data, out.length, &used);

		CHECK(event == HTTP_HEAD || event == HTTP_ERROR);
		CHECK(event == HTTP_ERROR || used == out.length);
		CHECK(event == HTTP_ERROR || parser.head.field_count == 2);
	} else {
		CHECK(out.overflow && !http_write_end(&out));
	}
	http_parser_free(&parser);
	buf_free(&out);

	char next[64];
	if (http_link_next(value, next, sizeof next))
		CHECK(strlen(next) > 0 && strstr(value, next));
	CHECK(http_retry_after_ms(name, 1700000000000, 60000) <= 60000);
	free(method);
	free(target);
	free(name);
	free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	if (data[0] & 16)
		check_writers(data + 2, size - 2);
	else
		check_cuts(data, size);
	return 0;
}
