/*
 * The parser: every message of the tables is fed whole, byte by byte and cut in two at every place,
 * and must always tell the same story. Bytes come in blocks of exactly their size, for the
 * sanitizer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/http_codec.h"

#define IN(text) text, sizeof(text) - 1
#define REQ HTTP_REQUEST, ASKED_GET
#define RES HTTP_RESPONSE, ASKED_GET
#define RES_HEAD HTTP_RESPONSE, ASKED_HEAD
#define RES_CONNECT HTTP_RESPONSE, ASKED_CONNECT
#define H "Host: a\r\n"

enum asked { ASKED_GET, ASKED_HEAD, ASKED_CONNECT };

struct message {
	enum http_kind kind;
	enum asked asked;
	const char *bytes;
	size_t length;
	const char *story;
};

static const struct http_limits limits = {.head = 256, .target = 64, .fields = 8, .body = 32};

/* --- the story of a connection, as text ---
 *
 *   METHOD target 1.x flags [Name=value]... "body" .      a message; "." is HTTP_DONE
 *   +n        n bytes that were left to the caller
 *   !s words  HTTP_ERROR with status s
 *
 * flags: k keep_alive, n<length> has_length, c chunked, x to_close, e expect_continue, u upgrade
 */
static void tell_head(struct buf *story, const struct http_parser *parser)
{
	const struct http_head *head = &parser->head;

	if (parser->kind == HTTP_REQUEST)
		buf_printf(story, "%s %s 1.%d ", head->method, head->target, head->minor);
	else
		buf_printf(story, "%d <%s> 1.%d ", head->status, head->reason, head->minor);
	buf_printf(story, "%s%s%s%s%s", head->keep_alive ? "k" : "", head->chunked ? "c" : "",
	    head->to_close ? "x" : "", head->expect_continue ? "e" : "", head->upgrade ? "u" : "");
	if (head->has_length)
		buf_printf(story, "n%llu", (unsigned long long)head->length);
	for (unsigned i = 0; i < head->field_count; i++)
		buf_printf(story, " [%s=%s]", head->fields[i].name, head->fields[i].value);
	buf_puts(story, " \"");
}

struct run {
	struct http_parser parser;
	struct buf *story;
	bool over;
	size_t used;
};

static void run_piece(struct run *run, const char *bytes, size_t length)
{
	struct http_parser *parser = &run->parser;
	size_t at = 0;

	for (;;) {
		size_t used = SIZE_MAX;
		enum http_event event = http_parser_feed(parser, bytes + at, length - at, &used);

		assert_true(used <= length - at);
		at += used;
		run->used += used;
		if (event == HTTP_MORE) {
			assert_int_equal(at, length);
			return;
		}
		if (event == HTTP_ERROR) {
			buf_printf(run->story, "!%d %s", parser->error_status, parser->error);
			run->over = true;
			return;
		}
		assert_true(http_parser_begun(parser));
		if (event == HTTP_HEAD)
			tell_head(run->story, parser);
		if (event == HTTP_BODY) {
			assert_true(parser->body_length > 0);
			buf_append(run->story, parser->body, parser->body_length);
		}
		if (event != HTTP_DONE)
			continue;
		buf_puts(run->story, "\" . ");
		if (!parser->head.keep_alive) {
			run->over = true;
			return;
		}
		http_parser_next(parser);
		assert_false(http_parser_begun(parser));
	}
}

static void run_end(struct run *run, size_t length)
{
	struct http_parser *parser = &run->parser;

	if (run->over) {
		if (!parser->error && run->used < length)
			buf_printf(run->story, "+%zu", length - run->used);
		if (parser->error) {
			size_t used;

			assert_int_equal(http_parser_feed(parser, "x", 1, &used), HTTP_ERROR);
			assert_int_equal(http_parser_end(parser), HTTP_ERROR);
		}
	} else if (http_parser_begun(parser)) {
		if (http_parser_end(parser) == HTTP_DONE)
			buf_puts(run->story, "\" . ");
		else
			buf_printf(run->story, "!%d %s", parser->error_status, parser->error);
	}
}

/* Cuts after `first` bytes, then every `step` bytes. */
static void tell(struct buf *story, const struct message *message, size_t first, size_t step)
{
	struct run run = {.story = story};

	buf_reset(story);
	http_parser_init(&run.parser, message->kind, &limits);
	run.parser.no_body = message->asked == ASKED_HEAD;
	run.parser.connect = message->asked == ASKED_CONNECT;
	for (size_t at = 0; at < message->length && !run.over;) {
		size_t length = at == 0 && first > 0 ? first : step;
		char *piece;

		if (length > message->length - at)
			length = message->length - at;
		piece = malloc(length);
		assert_non_null(piece);
		memcpy(piece, message->bytes + at, length);
		run_piece(&run, piece, length);
		free(piece);
		at += length;
	}
	run_end(&run, message->length);
	while (story->length > 0 && story->data[story->length - 1] == ' ')
		story->data[--story->length] = '\0';
	http_parser_free(&run.parser);
}

static void check(const struct message *message)
{
	struct buf story;

	buf_init(&story, 65536);
	tell(&story, message, 0, message->length);
	if (strcmp(story.data, message->story) != 0)
		print_error("message: %s\n", message->bytes);
	assert_string_equal(story.data, message->story);
	tell(&story, message, 0, 1);
	assert_string_equal(story.data, message->story);
	for (size_t cut = 1; cut < message->length; cut++) {
		tell(&story, message, cut, message->length);
		assert_string_equal(story.data, message->story);
	}
	buf_free(&story);
}

static void check_all(const struct message *messages, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check(&messages[i]);
}

static const struct message good_requests[] = {
    {REQ, IN("GET / HTTP/1.1\r\n" H "\r\n"), "GET / 1.1 k [Host=a] \"\" ."},
    {REQ, IN("GET / HTTP/1.1\r\nhoSt:\tb.c:8080 \t\r\nempty:\r\nblank:  \r\n\r\n"),
        "GET / 1.1 k [hoSt=b.c:8080] [empty=] [blank=] \"\" ."},
    {REQ, IN("GET /a?b=%00&c=~ HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"),
        "GET /a?b=%00&c=~ 1.1 k [Host=[::1]:80] \"\" ."},
    {REQ, IN("GET //evil.com/x HTTP/1.1\r\nHost:\r\n\r\n"),
        "GET //evil.com/x 1.1 k [Host=] \"\" ."},
    {REQ, IN("GET HTTPS://a.b:1?q HTTP/1.1\r\n" H "\r\n"),
        "GET HTTPS://a.b:1?q 1.1 k [Host=a] \"\" ."},
    {REQ, IN("GET http://a/b HTTP/1.1\r\n" H "\r\n"), "GET http://a/b 1.1 k [Host=a] \"\" ."},
    {REQ, IN("OPTIONS * HTTP/1.1\r\n" H "\r\n"), "OPTIONS * 1.1 k [Host=a] \"\" ."},
    {REQ, IN("CONNECT a:443 HTTP/1.1\r\n" H "\r\n"), "CONNECT a:443 1.1 k [Host=a] \"\" ."},
    {REQ, IN("CONNECT [::1]:443 HTTP/1.1\r\n" H "\r\n"), "CONNECT [::1]:443 1.1 k [Host=a] \"\" ."},
    {REQ, IN("M-SEARCH! / HTTP/1.1\r\n" H "\r\n"), "M-SEARCH! / 1.1 k [Host=a] \"\" ."},
    {REQ, IN("\r\nGET / HTTP/1.1\r\n" H "\r\n"), "GET / 1.1 k [Host=a] \"\" ."},
    {REQ, IN("GET / HTTP/1.1\r\nHost: a\r\nX: \x80\xff\ty\r\n\r\n"),
        "GET / 1.1 k [Host=a] [X=\x80\xff\ty] \"\" ."},
    /* bodies */
    {REQ, IN("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello"),
        "POST / 1.1 kn5 [Host=a] [Content-Length=5] \"hello\" ."},
    {REQ, IN("POST / HTTP/1.1\r\n" H "Content-Length: 005\r\n\r\nhello"),
        "POST / 1.1 kn5 [Host=a] [Content-Length=005] \"hello\" ."},
    {REQ, IN("POST / HTTP/1.1\r\n" H "content-length:0\r\n\r\n"),
        "POST / 1.1 kn0 [Host=a] [content-length=0] \"\" ."},
    {REQ, IN("POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        "POST / 1.1 kc [Host=a] [Transfer-Encoding=Chunked] \"hello\" ."},
    {REQ,
        IN("P / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n00000000000000a;a=\"b\"\r\n"
           "0123456789\r\nC;\r\n0123456789ab\r\n000\r\nX: y\r\nContent-Length: 3\r\n\r\n"),
        "P / 1.1 kc [Host=a] [Transfer-Encoding=chunked] \"01234567890123456789ab\" ."},
    {REQ, IN("HEAD / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nGET"),
        "HEAD / 1.1 kn3 [Host=a] [Content-Length=3] \"GET\" ."},
    /* keep-alive, Expect, pipelining */
    {REQ, IN("GET / HTTP/1.1\r\n" H "Connection: x, Close\r\n\r\nGET"),
        "GET / 1.1  [Host=a] [Connection=x, Close] \"\" . +3"},
    {REQ, IN("GET / HTTP/1.1\r\nConnection: keep-alive\r\n" H "Connection: close\r\n\r\n"),
        "GET / 1.1  [Connection=keep-alive] [Host=a] [Connection=close] \"\" ."},
    {REQ, IN("GET / HTTP/1.0\r\n" H "\r\n"), "GET / 1.0  [Host=a] \"\" ."},
    {REQ, IN("GET / HTTP/1.0\r\n" H "Connection: ,Keep-Alive ,\r\n\r\n"),
        "GET / 1.0 k [Host=a] [Connection=,Keep-Alive ,] \"\" ."},
    {REQ, IN("GET / HTTP/1.1\r\n" H "Expect: 100-Continue\r\n\r\n"),
        "GET / 1.1 ke [Host=a] [Expect=100-Continue] \"\" ."},
    {REQ, IN("GET / HTTP/1.0\r\n" H "Expect: 100-continue\r\n\r\n"),
        "GET / 1.0  [Host=a] [Expect=100-continue] \"\" ."},
    {REQ, IN("A / HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nxB / HTTP/1.1\r\n" H "\r\n"),
        "A / 1.1 kn1 [Host=a] [Content-Length=1] \"x\" . B / 1.1 k [Host=a] \"\" ."},
    /* limits are inclusive: target 64, fields 8, body 32 */
    {REQ,
        IN("G /23456789012345678901234567890123456789012345678901234567890123a HTTP/1.1\r\n" H
           "b:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\nh:\r\n\r\n"),
        "G /23456789012345678901234567890123456789012345678901234567890123a 1.1 k [Host=a] [b=] "
        "[c=] [d=] [e=] [f=] [g=] [h=] \"\" ."},
    {REQ, IN("P / HTTP/1.1\r\n" H "Content-Length: 32\r\n\r\n01234567890123456789012345678901"),
        "P / 1.1 kn32 [Host=a] [Content-Length=32] \"01234567890123456789012345678901\" ."},
};

static const struct message good_responses[] = {
    {RES, IN("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        "200 <OK> 1.1 kn2 [Content-Length=2] \"ok\" ."},
    {RES, IN("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"),
        "200 <> 1.1 kn0 [Content-Length=0] \"\" ."},
    {RES, IN("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"),
        "200 <> 1.1 kn0 [Content-Length=0] \"\" ."},
    {RES, IN("HTTP/1.1 999 \xc3\xa9 a\tb\r\n\r\nx"), "999 <\xc3\xa9 a\tb> 1.1 x \"x\" ."},
    {RES, IN("HTTP/1.1 200 OK\r\n\r\n"), "200 <OK> 1.1 x \"\" ."},
    {RES, IN("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\nto the end"),
        "200 <OK> 1.1 x [Connection=keep-alive] \"to the end\" ."},
    {RES, IN("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx"),
        "200 <OK> 1.0 kn1 [Connection=keep-alive] [Content-Length=1] \"x\" ."},
    {RES, IN("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nxy"),
        "200 <OK> 1.0 n1 [Content-Length=1] \"x\" . +1"},
    {RES, IN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
        "200 <OK> 1.1 kc [Transfer-Encoding=chunked] \"a\" ."},
    {RES,
        IN("HTTP/1.1 200 OK\r\nHost: a b\r\nHost: c\r\nExpect: 100-continue\r\n"
           "Content-Length: 0\r\n\r\n"),
        "200 <OK> 1.1 kn0 [Host=a b] [Host=c] [Expect=100-continue] [Content-Length=0] \"\" ."},
    /* no body whatever the headers say */
    {RES, IN("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"),
        "204 <No Content> 1.1 kn5 [Content-Length=5] \"\" ."},
    {RES, IN("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "304 <Not Modified> 1.1 kc [Transfer-Encoding=chunked] \"\" ."},
    {RES_HEAD, IN("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"),
        "200 <OK> 1.1 kn99999 [Content-Length=99999] \"\" ."},
    {RES_HEAD, IN("HTTP/1.1 200 OK\r\n\r\n"), "200 <OK> 1.1 k \"\" ."},
    /* interim, upgrade, tunnel */
    {RES,
        IN("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"),
        "100 <Continue> 1.1 k \"\" . 103 <Early Hints> 1.1 k [Link=x] \"\" . "
        "200 <OK> 1.1 kn1 [Content-Length=1] \"x\" ."},
    {RES_HEAD, IN("HTTP/1.1 103 E\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"),
        "103 <E> 1.1 k \"\" . 200 <OK> 1.1 kn7 [Content-Length=7] \"\" ."},
    {RES, IN("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nnot http"),
        "101 <Switching Protocols> 1.1 u [Upgrade=x] \"\" . +8"},
    {RES_CONNECT, IN("HTTP/1.1 200 OK\r\n\r\n\x16\x03"), "200 <OK> 1.1 u \"\" . +2"},
    {RES_CONNECT,
        IN("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n"
           "Transfer-Encoding: x\r\n\r\n"),
        "200 <OK> 1.0 u [Content-Length=5] [Content-Length=6] [Transfer-Encoding=x] \"\" ."},
    {RES_CONNECT, IN("HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno"),
        "407 <No> 1.1 kn2 [Content-Length=2] \"no\" ."},
};

/* --- what is refused --- */

#define LATE(text)                                                         \
	{                                                                  \
		REQ, IN(text), "!400 the connection ended within the head" \
	}

static const struct message unfinished[] = {
    LATE("G"),
    LATE("GET "),
    LATE("GET /hello"),
    LATE("GET /hello "),
    LATE("GET /hello HTTP"),
    LATE("GET /hello HTTP/1.1"),
    LATE("GET /hello HTTP/1.1\r"),
    LATE("GET /hello HTTP/1.1\r\n"),
    LATE("GET /hello HTTP/1.1\r\nHos"),
    LATE("GET /hello HTTP/1.1\r\nHost:"),
    LATE("GET /hello HTTP/1.1\r\nHost: "),
    LATE("GET /hello HTTP/1.1\r\nHost: a"),
    LATE("GET /hello HTTP/1.1\r\nHost: a\r"),
    LATE("GET /hello HTTP/1.1\r\nHost: a\r\n"),
    LATE("GET /hello HTTP/1.1\r\nHost: a\r\n\r"),
    LATE("\r\n"),
    {RES, IN("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"),
        "200 <OK> 1.1 kn3 [Content-Length=3] \"ab!400 the connection ended within the body"},
    {RES, IN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"),
        "200 <OK> 1.1 kc [Transfer-Encoding=chunked] \"a"
        "!400 the connection ended within the body"},
    {RES, IN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n"),
        "200 <OK> 1.1 kc [Transfer-Encoding=chunked] \""
        "!400 the connection ended within the body"},
};

static const struct message bad_starts[] = {
    {REQ, IN("\x16\x03\x01\x02"), "!400 TLS where plain HTTP was expected"},
    {RES, IN("\x15\x03\x01\x02"), "!400 TLS where plain HTTP was expected"},
    {RES, IN("SSH-2.0"), "!400 not an HTTP response"},
    {REQ, IN(" GET / HTTP/1.1\r\n"), "!400 not an HTTP request"},
    {REQ, IN("\nGET / HTTP/1.1\r\n"), "!400 not an HTTP request"},
    {REQ, IN("\r\n\r\nGET / HTTP/1.1\r\n"), "!400 empty line where a message should start"},
    {REQ, IN("\rGET / HTTP/1.1\r\n"), "!400 bad method"},
    {REQ, IN("G@T / HTTP/1.1\r\n"), "!400 bad method"},
    {REQ, IN("Extra lineGET / HTTP/1.1\r\n"), "!400 bad target"},
    {REQ, IN("GET\r\n"), "!400 request line without a target"},
    {REQ, IN("GET /\r\n"), "!400 request line without a version"},
    {REQ, IN("GET / \r\n"), "!400 bad HTTP version"},
    {REQ, IN("GET  / HTTP/1.1\r\n"), "!400 bad target"},
    {REQ, IN("GET /  HTTP/1.1\r\n"), "!400 bad HTTP version"},
    {REQ, IN("GET / HTTP/1.1 \r\n"), "!400 bad HTTP version"},
    {REQ, IN("GET\t/ HTTP/1.1\r\n"), "!400 bad method"},
    {REQ, IN("GET / x HTTP/1.1\r\n"), "!400 bad HTTP version"},
    {REQ, IN("GET /\0 HTTP/1.1\r\n"), "!400 bad byte in the target"},
    {REQ, IN("GET /\xc3\xa9 HTTP/1.1\r\n"), "!400 bad byte in the target"},
    {REQ, IN("GET /\x7f HTTP/1.1\r\n"), "!400 bad byte in the target"},
    {REQ, IN("GET /a#b HTTP/1.1\r\n"), "!400 bad byte in the target"},
    {REQ, IN("GET a HTTP/1.1\r\n"), "!400 bad target"},
    {REQ, IN("GET a:443 HTTP/1.1\r\n"), "!400 bad target"},
    {REQ, IN("GET * HTTP/1.1\r\n"), "!400 bad target"},
    {REQ, IN("GET http:///x HTTP/1.1\r\n"), "!400 bad target"},
    {REQ, IN("GET http://u@a/x HTTP/1.1\r\n"), "!400 bad target"},
    {REQ, IN("GET ftp://a/x HTTP/1.1\r\n"), "!400 bad target"},
    {REQ, IN("CONNECT a HTTP/1.1\r\n"), "!400 bad target"},
    {REQ, IN("CONNECT a: HTTP/1.1\r\n"), "!400 bad target"},
    {REQ, IN("CONNECT [::1:1 HTTP/1.1\r\n"), "!400 bad target"},
    {REQ, IN("CONNECT []:1 HTTP/1.1\r\n"), "!400 bad target"},
    {REQ, IN("CONNECT / HTTP/1.1\r\n"), "!400 bad target"},
    {REQ, IN("GET / HTTP/1.-1\r\n"), "!400 bad HTTP version"},
    {REQ, IN("GET / http/1.1\r\n"), "!400 bad HTTP version"},
    {REQ, IN("GET / HTTP/1.10\r\n"), "!400 bad HTTP version"},
    {REQ, IN("GET / HTTP/9.9\r\n"), "!505 HTTP version other than 1.0 and 1.1"},
    {REQ, IN("GET / HTTP/1.2\r\n"), "!505 HTTP version other than 1.0 and 1.1"},
    {REQ, IN("GET / HTTP/0.9\r\n"), "!505 HTTP version other than 1.0 and 1.1"},
    {REQ, IN("GET / HTTP/1.1\n"), "!400 line feed without carriage return"},
    {REQ, IN("GET / HTTP/1.1\r\r\n"), "!400 bad HTTP version"},
    {REQ, IN("G /23456789012345678901234567890123456789012345678901234567890123ab"),
        "!400 the connection ended within the head"},
    {REQ, IN("G /23456789012345678901234567890123456789012345678901234567890123ab HTTP/9.9\r\n"),
        "!414 target over the limit"},
    {RES, IN("\r\nHTTP/1.1 200 OK\r\n"), "!400 not an HTTP response"},
    {RES, IN("HTTP/2 200 OK\r\n"), "!400 bad HTTP version"},
    {RES, IN("HTTP/2.0 200 OK\r\n"), "!505 HTTP version other than 1.0 and 1.1"},
    {RES, IN("HTTP/1.1\r\n"), "!400 bad status"},
    {RES, IN("HTTP/1.1 20\r\n"), "!400 bad status"},
    {RES, IN("HTTP/1.1 2x0 OK\r\n"), "!400 bad status"},
    {RES, IN("HTTP/1.1 2000 OK\r\n"), "!400 bad status"},
    {RES, IN("HTTP/1.1 099 OK\r\n"), "!400 bad status"},
    {RES, IN("HTTP/1.1  200 OK\r\n"), "!400 bad status"},
    {RES, IN("HTTP/1.1 200 O\0K\r\n"), "!400 bad byte in the status line"},
    {RES, IN("HTTP/1.1 200 O\rK\r\n"), "!400 bad byte in the status line"},
};

#define FIELD(text, story)                                         \
	{                                                          \
		REQ, IN("GET / HTTP/1.1\r\n" H text "\r\n"), story \
	}

static const struct message bad_fields[] = {
    FIELD("X: a\n", "!400 line feed without carriage return"),
    FIELD("X: a\nY: b\r\n", "!400 line feed without carriage return"),
    FIELD("\n", "!400 line feed without carriage return"),
    FIELD("X: a\r b\r\n", "!400 bad byte in a header value"),
    FIELD("\rX: a\r\n", "!400 bad byte in a header name"),
    FIELD("X: a\r\n b\r\n", "!400 folded header line"),
    FIELD("X: a\r\n\tb\r\n", "!400 folded header line"),
    FIELD("X: a\0b\r\n", "!400 bad byte in a header value"),
    FIELD("X: 12345678\x07\r\n", "!400 bad byte in a header value"),
    FIELD("X: 1234\x7f"
          "5678\r\n",
        "!400 bad byte in a header value"),
    FIELD("X: \x1f"
          "12345678\r\n",
        "!400 bad byte in a header value"),
    FIELD("X[]: a\r\n", "!400 bad byte in a header name"),
    FIELD("X\0: a\r\n", "!400 bad byte in a header name"),
    FIELD("X\xc3\xa9: a\r\n", "!400 bad byte in a header name"),
    FIELD(": a\r\n", "!400 header without a name"),
    FIELD("X\r\n", "!400 header without a colon"),
    FIELD("Content-Length : 4\r\n", "!400 white space in or after a header name"),
    FIELD("Host\t: b\r\n", "!400 white space in or after a header name"),
    FIELD("A:\r\nB:\r\nC:\r\nD:\r\nE:\r\nF:\r\nG:\r\nI:\r\n", "!431 too many headers"),
    FIELD("Host: b\r\n", "!400 two Host headers"),
    FIELD("host: a\r\n", "!400 two Host headers"),
    FIELD("Content-Length: 4\r\nContent-Length: 5\r\n", "!400 two Content-Length headers"),
    FIELD("Content-Length: 4\r\nContent-Length: 4\r\n", "!400 two Content-Length headers"),
    FIELD("Content-Length: 4, 4\r\n", "!400 Content-Length is not a number"),
    FIELD("Content-Length: +4\r\n", "!400 Content-Length is not a number"),
    FIELD("Content-Length: -1234\r\n", "!400 Content-Length is not a number"),
    FIELD(
        "Content-Length: -123456789123456789123456789\r\n", "!400 Content-Length is not a number"),
    FIELD("Content-Length: 0x4\r\n", "!400 Content-Length is not a number"),
    FIELD("Content-Length: abc\r\n", "!400 Content-Length is not a number"),
    FIELD("Content-Length: 4 4\r\n", "!400 Content-Length is not a number"),
    FIELD("Content-Length:\r\n", "!400 empty Content-Length"),
    FIELD("Content-Length: 18446744073709551616\r\n", "!413 Content-Length is too large to count"),
    FIELD("Content-Length: 18446744073709551615\r\n", "!413 body over the limit"),
    FIELD("Content-Length: 33\r\n", "!413 body over the limit"),
    FIELD("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "!400 Content-Length beside Transfer-Encoding"),
    FIELD("content-length: 5\r\ntransfer-ENCODING: chunked\r\n",
        "!400 Content-Length beside Transfer-Encoding"),
    FIELD("Transfer-Encoding: xchunked\r\n", "!501 Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding: gzip, chunked\r\n", "!501 Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding: chunked, gzip\r\n", "!501 Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding: identity\r\n", "!501 Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding: chunked;a=b\r\n", "!501 Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding: \"chunked\"\r\n", "!501 Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding: chunked, chunked\r\n", "!400 Transfer-Encoding is not chunked once"),
    FIELD("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "!400 Transfer-Encoding is not chunked once"),
    FIELD("Transfer-Encoding: ,chunked\r\n", "!400 Transfer-Encoding is not chunked once"),
    FIELD("Transfer-Encoding:\r\n", "!400 Transfer-Encoding is not chunked once"),
    {REQ, IN("GET / HTTP/1.1\r\n\r\n"), "!400 request without Host"},
    {REQ, IN("GET / HTTP/1.0\r\n\r\n"), "!400 request without Host"},
    {REQ, IN("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n"), "!400 request without Host"},
    {REQ, IN("GET http://a/ HTTP/1.1\r\n\r\n"), "!400 request without Host"},
    {REQ, IN("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), "!400 Host is not a host"},
    {REQ, IN("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"), "!400 Host is not a host"},
    {REQ, IN("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), "!400 Host is not a host"},
    {REQ, IN("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), "!400 Host is not a host"},
    {REQ, IN("GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n"), "!400 Host is not a host"},
    {REQ, IN("GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n"), "!400 Host is not a host"},
    {REQ, IN("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n"), "!400 Host is not a host"},
    {REQ, IN("GET / HTTP/1.1\r\n X: a\r\n\r\n"), "!400 folded header line"},
    {REQ, IN("GET / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n"),
        "!400 Transfer-Encoding in HTTP/1.0"},
    {REQ, IN("CONNECT a:1 HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\n"), "!400 CONNECT with a body"},
    {RES, IN("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
        "!400 Transfer-Encoding other than chunked"},
    {RES, IN("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "!400 Transfer-Encoding in HTTP/1.0"},
    {RES, IN("HTTP/1.1 304 x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "!400 Content-Length beside Transfer-Encoding"},
    {RES_CONNECT, IN("HTTP/1.1 407 x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        "!400 two Content-Length headers"},
    {RES, IN("HTTP/1.1 200 x\r\nContent-Length: 33\r\n\r\n"), "!413 body over the limit"},
    {RES, IN("HTTP/1.1 200 x\r\n\r\n012345678901234567890123456789012"),
        "200 <x> 1.1 x \"01234567890123456789012345678901!413 body over the limit"},
};

#define CHUNKS(text, story)                                                              \
	{                                                                                \
		REQ, IN("P / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n" text), \
		    "P / 1.1 kc [Host=a] [Transfer-Encoding=chunked] \"" story           \
	}
#define TEN "0123456789"

static const struct message bad_chunks[] = {
    CHUNKS("0x5\r\nhello\r\n0\r\n\r\n", "!400 chunk size is not hex digits"),
    CHUNKS("+5\r\nhello\r\n", "!400 chunk size is not hex digits"),
    CHUNKS(" 5\r\nhello\r\n", "!400 chunk size is not hex digits"),
    CHUNKS("5 \r\nhello\r\n", "!400 chunk size is not hex digits"),
    CHUNKS("-1\r\n", "!400 chunk size is not hex digits"),
    CHUNKS("g\r\n", "!400 chunk size is not hex digits"),
    CHUNKS("\r\n", "!400 chunk size is not hex digits"),
    CHUNKS(";a\r\n", "!400 chunk size is not hex digits"),
    CHUNKS("5\nhello\r\n", "!400 chunk size is not hex digits"),
    CHUNKS("5\rhello\r\n", "!400 bad line end after a chunk size"),
    CHUNKS("0000000000000005\r\n", "!400 chunk size over 15 digits"),
    CHUNKS("fffffffffffffffff\r\n", "!400 chunk size over 15 digits"),
    CHUNKS("fffffffffffffff\r\n", "!413 body over the limit"),
    CHUNKS("21\r\n", "!413 body over the limit"),
    CHUNKS("1f\r\n" TEN TEN TEN "0\r\n2\r\n", TEN TEN TEN "0!413 body over the limit"),
    CHUNKS("5\r\nhello0\r\n\r\n", "hello!400 chunk longer than its size"),
    CHUNKS("5\r\nhello\n0\r\n\r\n", "hello!400 chunk longer than its size"),
    CHUNKS("5\r\nhello\r0\r\n\r\n", "hello!400 bad line end after a chunk"),
    CHUNKS("5;a\nb\r\nhello\r\n", "!400 bad byte in a chunk extension"),
    CHUNKS("5;a\rb\r\nhello\r\n", "!400 bad line end after a chunk size"),
    CHUNKS("5;a\0\r\nhello\r\n", "!400 bad byte in a chunk extension"),
    CHUNKS("1;" TEN TEN TEN TEN TEN TEN "abc\r\na\r\n0\r\n\r\n", "a\" ."),
    CHUNKS("1;" TEN TEN TEN TEN TEN TEN "abcd\r\na\r\n0\r\n\r\n",
        "!400 chunk extension over 64 bytes"),
    CHUNKS("0\r\nX: y\n\r\n", "!400 line feed without carriage return"),
    CHUNKS("0\r\n\n", "!400 line feed without carriage return"),
    CHUNKS("0\r\nX: y\r\n\r\nP / HTTP/1.1\r\n" H
           "Transfer-Encoding: chunked\r\n\r\n0\r\n: y\r\n\r\n",
        "\" . P / 1.1 kc [Host=a] [Transfer-Encoding=chunked] \"!400 header without a name"),
    CHUNKS("0\r\nX : y\r\n\r\n", "!400 white space in or after a header name"),
    CHUNKS("0\r\nX: y\r\n z\r\n\r\n", "!400 folded header line"),
    CHUNKS("0\r\nX: \0\r\n\r\n", "!400 bad byte in a header value"),
    CHUNKS("0\r\nGET / HTTP/1.1\r\n\r\n", "!400 white space in or after a header name"),
    CHUNKS("0\r\nA:\r\nB:\r\nC:\r\nD:\r\nE:\r\nF:\r\nG:\r\nH:\r\nI:\r\n\r\n",
        "!431 too many trailers"),
};

static void test_good(void **state)
{
	(void)state;
	check_all(good_requests, sizeof good_requests / sizeof good_requests[0]);
	check_all(good_responses, sizeof good_responses / sizeof good_responses[0]);
}

static void test_unfinished(void **state)
{
	(void)state;
	check_all(unfinished, sizeof unfinished / sizeof unfinished[0]);
}

static void test_bad_start(void **state)
{
	(void)state;
	check_all(bad_starts, sizeof bad_starts / sizeof bad_starts[0]);
}

static void test_bad_field(void **state)
{
	(void)state;
	check_all(bad_fields, sizeof bad_fields / sizeof bad_fields[0]);
}

static void test_bad_chunk(void **state)
{
	(void)state;
	check_all(bad_chunks, sizeof bad_chunks / sizeof bad_chunks[0]);
}

/* A head, or trailers, of exactly the limit and of one byte more. */
static void check_size(const char *start, const char *end, size_t size, const char *story)
{
	char bytes[1024];
	size_t used = strlen(start), tail = strlen(end);
	size_t fixed = strstr(start, "\r\n\r\n") ? (size_t)(strstr(start, "0\r\n") + 3 - start) : 0;
	struct message message = {.kind = HTTP_REQUEST, .bytes = bytes, .length = fixed + size};
	struct buf whole;

	memcpy(bytes, start, used);
	memset(bytes + used, 'x', message.length - used - tail);
	memcpy(bytes + message.length - tail, end, tail + 1);
	buf_init(&whole, 65536);
	tell(&whole, &message, 0, message.length);
	if (story)
		assert_non_null(strstr(whole.data, story));
	else
		assert_null(strchr(whole.data, '!'));
	message.story = whole.data;
	check(&message);
	buf_free(&whole);
}

static void test_size_limits(void **state)
{
	static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
	static const char body[] = "P / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	                           "0\r\nX: ";
	(void)state;
	check_size(head, "\r\n\r\n", 256, NULL);
	check_size(head, "\r\n\r\n", 257, "!431 head over the limit");
	check_size(head, "", 256, "!400 the connection ended within the head");
	check_size(head, "", 700, "!431 head over the limit");
	check_size("GET /", "", 257, "!414 request line over the limit");
	check_size(body, "\r\n\r\n", 256, NULL);
	check_size(body, "\r\n\r\n", 257, "!431 trailers over the limit");
}

static void test_lookups(void **state)
{
	static const char bytes[] = "HTTP/1.1 204 x\r\nVia: a, b c\r\nvIA:d\r\nEmpty:\r\n\r\n";
	struct http_parser parser;
	const struct http_head *head = &parser.head;
	size_t used;

	(void)state;
	http_parser_init(&parser, HTTP_RESPONSE, &limits);
	assert_int_equal(http_parser_feed(&parser, bytes, sizeof bytes - 1, &used), HTTP_HEAD);
	assert_string_equal(http_head_get(head, "VIA"), "a, b c");
	assert_string_equal(http_head_get(head, "empty"), "");
	assert_null(http_head_get(head, "Vi"));
	assert_null(http_head_get(head, "Viaa"));
	assert_true(http_head_has_token(head, "via", "A"));
	assert_true(http_head_has_token(head, "via", "b c"));
	assert_true(http_head_has_token(head, "via", "D"));
	assert_false(http_head_has_token(head, "via", "b"));
	assert_false(http_head_has_token(head, "via", ""));
	assert_false(http_head_has_token(head, "empty", "x"));
	assert_false(http_head_has_token(head, "none", "x"));
	http_parser_free(&parser);
}

/* The strings of a head outlive what comes after it, and memory is kept for the next message. */
static void test_strings_stay(void **state)
{
	static const char head[] = "P /t HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n";
	static const char body[] = "1\r\nx\r\n0\r\nTrailer: some longer text than the head\r\n\r\n";
	struct http_parser parser;
	size_t used;

	(void)state;
	http_parser_init(&parser, HTTP_REQUEST, &limits);
	assert_int_equal(http_parser_feed(&parser, head, sizeof head - 1, &used), HTTP_HEAD);
	const char *target = parser.head.target, *host = http_head_get(&parser.head, "host");
	assert_int_equal(http_parser_feed(&parser, body, sizeof body - 1, &used), HTTP_BODY);
	assert_ptr_equal(parser.body, body + 3);
	assert_int_equal(parser.body_total, 1);
	assert_int_equal(
	    http_parser_feed(&parser, body + used, sizeof body - 1 - used, &used), HTTP_DONE);
	assert_string_equal(target, "/t");
	assert_string_equal(host, "a");
	const char *memory = parser.bytes.data;
	http_parser_next(&parser);
	assert_int_equal(http_parser_feed(&parser, head, sizeof head - 1, &used), HTTP_HEAD);
	assert_ptr_equal(parser.bytes.data, memory);
	http_parser_free(&parser);
}

static void test_end(void **state)
{
	static const char bytes[] = "HTTP/1.1 204 x\r\n\r\n";
	struct http_parser parser;
	size_t used;

	(void)state;
	http_parser_init(&parser, HTTP_RESPONSE, &limits);
	assert_int_equal(http_parser_feed(&parser, NULL, 0, &used), HTTP_MORE);
	assert_false(http_parser_begun(&parser));
	assert_int_equal(http_parser_end(&parser), HTTP_ERROR);
	assert_string_equal(parser.error, "the connection ended before a message");
	http_parser_next(&parser);
	assert_int_equal(http_parser_feed(&parser, bytes, sizeof bytes - 1, &used), HTTP_HEAD);
	assert_int_equal(http_parser_end(&parser), HTTP_DONE);
	assert_int_equal(http_parser_feed(&parser, "x", 1, &used), HTTP_DONE);
	assert_int_equal(used, 0);
	http_parser_free(&parser);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_unfinished),
	    cmocka_unit_test(test_bad_start),
	    cmocka_unit_test(test_bad_field),
	    cmocka_unit_test(test_bad_chunk),
	    cmocka_unit_test(test_size_limits),
	    cmocka_unit_test(test_lookups),
	    cmocka_unit_test(test_strings_stay),
	    cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests_name("http_codec", tests, NULL, NULL);
}
