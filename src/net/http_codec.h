/*
 * http_codec: HTTP/1.1 messages, bytes <-> structures, without any I/O. Strict (RFC 9110, 9112):
 * what is ambiguous is an error, never a guess. The outbound client reads responses with it, the
 * server's gate and the simulators requests. http_codec.c parses, http_write.c writes.
 *
 * The parser is fed pieces of any size and hands back events:
 *
 *   HEAD --> BODY* --> DONE
 *   HEAD --> DONE              (responses to HEAD, 1xx, 204, 304, and whatever has no body)
 *
 * What always holds: head bytes are collected in one buffer of at most limits.head bytes; head
 * strings are NUL-terminated and stay valid until http_parser_next; body slices point into the
 * bytes just fed and are never empty; `consumed` tells how many bytes were used, so that what
 * follows (a pipelined message, early bytes) is the caller's to judge; after HTTP_ERROR the parser
 * stays in error and says why in words, with the status a server should answer. How the bytes are
 * cut makes no difference: the first fault in the order of the bytes is the one told, as soon as
 * its line is there.
 *
 * Refused: bare CR or LF as line end, obs-fold, NUL or control bytes in values, white space before
 * ':', two or differing or non-digit Content-Length, Content-Length beside Transfer-Encoding, any
 * coding but one final "chunked", chunk sizes that are not 1..15 plain hex digits, chunk extensions
 * over 64 bytes, trailers over the head limit, versions other than 1.0 and 1.1, HTTP/1.0 with
 * Transfer-Encoding, requests with none or two Host or one that is no host, targets with bytes
 * outside visible ASCII or with '#', targets that are not "/...", an http or https URL, "*"
 * (OPTIONS only) or "host:port" (CONNECT only), CONNECT with a body, methods that are not tokens,
 * statuses below 100.
 *
 * Allowed because it is plain: one empty line before a request (RFC 9112, 2.2), a status line that
 * ends after the three digits. Trailers are checked and dropped. The body's framing headers are
 * ignored in a 2xx to CONNECT, as RFC 9110 9.3.6 asks.
 */
#ifndef NET_HTTP_CODEC_H
#define NET_HTTP_CODEC_H

#include "base/buf.h"
#include "base/err.h"

enum http_kind { HTTP_REQUEST, HTTP_RESPONSE };
enum http_event { HTTP_MORE, HTTP_HEAD, HTTP_BODY, HTTP_DONE, HTTP_ERROR };

struct http_limits {
	size_t head;     /* bytes of start line and headers together */
	size_t target;   /* bytes of the request target */
	unsigned fields; /* number of headers, at most HTTP_FIELDS_MAX */
	uint64_t body;   /* bytes of decoded body */
};

#define HTTP_FIELDS_MAX 100
struct http_field {
	const char *name; /* as received; compare with http_head_get */
	const char *value;
};

struct http_head {
	int minor;          /* HTTP/1.minor */
	const char *method; /* requests */
	const char *target;
	int status; /* responses */
	const char *reason;
	struct http_field fields[HTTP_FIELDS_MAX];
	unsigned field_count;
	bool has_length;
	uint64_t length; /* Content-Length; of a HEAD's response too */
	bool chunked;
	bool to_close;        /* response body runs to the end of the connection */
	bool keep_alive;      /* version, Connection and framing together; false with upgrade */
	bool expect_continue; /* requests; never with HTTP/1.0 */
	bool upgrade;         /* 101, or a 2xx to CONNECT: what follows is not HTTP */
};

struct http_parser {
	enum http_kind kind;
	struct http_limits limits;
	struct http_head head;
	struct buf bytes; /* of the head, cut into its strings: no longer what came */
	const char *body; /* of the last HTTP_BODY */
	size_t body_length;
	uint64_t body_total; /* decoded so far */
	int error_status;    /* 400, 413, 414, 431, 501, 505: what a server answers */
	const char *error;   /* literal, e.g. "two Content-Length headers" */
	bool no_body;        /* set by the client before the response: the request was HEAD */
	bool connect;        /* set by the client: the request was CONNECT */

	int state; /* private from here */
	unsigned seen;
	size_t line;      /* where the present line starts in bytes or trailers */
	size_t target_at; /* offsets into bytes, which moves while it grows */
	size_t reason_at;
	struct {
		uint32_t name, value;
	} at[HTTP_FIELDS_MAX];
	uint64_t left; /* bytes of the body or chunk still to come */
	unsigned digits;
	unsigned extension;
	unsigned trailer_count;
	struct buf trailers;
};

/* Limits are copied; `fields` is cut to HTTP_FIELDS_MAX. */
void http_parser_init(
    struct http_parser *parser, enum http_kind kind, const struct http_limits *limits);
void http_parser_free(struct http_parser *parser);
/*
 * Ready for the next message on the connection; keeps memory, limits, no_body and connect. Only
 * after HTTP_DONE, or to skip a 1xx head.
 */
void http_parser_next(struct http_parser *parser);
/*
 * One step. Call again, with what is left and be it nothing, while it returns HTTP_HEAD or
 * HTTP_BODY. HTTP_MORE has consumed everything; after HTTP_DONE it consumes nothing more.
 */
enum http_event http_parser_feed(
    struct http_parser *parser, const char *data, size_t length, size_t *consumed);
/* The connection ended. HTTP_DONE where the message has properly ended by then, else HTTP_ERROR. */
enum http_event http_parser_end(struct http_parser *parser);
/* Whether a byte of the present message has been read. */
bool http_parser_begun(const struct http_parser *parser);

/* The value of the first field of that name (case-insensitive), or NULL. */
const char *http_head_get(const struct http_head *head, const char *name);
/* Whether any field of that name, a comma-separated list, holds the token (case-insensitive). */
bool http_head_has_token(const struct http_head *head, const char *name, const char *token);

/*
 * What may stand where, for parser and writers alike. RFC 9110 5.6.2 (token: methods and field
 * names), 5.5 (value: nothing that ends or hides a line), RFC 3986 3.2.2 (host: without colon and
 * brackets).
 */
enum http_byte {
	HTTP_BYTE_TOKEN = 1,
	HTTP_BYTE_TARGET = 2,
	HTTP_BYTE_VALUE = 4,
	HTTP_BYTE_HOST = 8
};
/* How many bytes at the front may all be part of that. */
size_t http_span(const char *text, size_t length, enum http_byte what);
bool http_is_token(const char *text);
bool http_is_value(const char *text);
bool http_is_target(const char *method, const char *target);
/* "host", "host:port", "[address]:port" */
bool http_is_authority(const char *text, size_t length, bool port_needed);
/* The next element of a comma-separated list, blanks cut off; empty elements are skipped. */
bool http_list_next(const char **at, const char **item, size_t *length);
bool http_list_has(const char *list, const char *token); /* case-insensitive */

/*
 * Writers. They return false, leaving an unusable buffer (`overflow` stays set, so that looking
 * once at http_write_end is enough), when a name, value, method or target holds a byte that may not
 * be there (CR, LF, NUL, controls): nothing from outside can add a header. End a head with
 * http_write_end.
 */
bool http_write_request(struct buf *out, const char *method, const char *target);
bool http_write_response(struct buf *out, int status);
bool http_write_field(struct buf *out, const char *name, const char *value);
bool http_write_field_uint(struct buf *out, const char *name, uint64_t value);
bool http_write_end(struct buf *out);
/* Length 0 writes the last chunk. */
bool http_write_chunk(struct buf *out, const void *data, size_t length);
const char *http_reason(int status); /* "" when unknown */

/*
 * How long a Retry-After value (seconds, or an HTTP date against now) asks to wait, in ms, at most
 * `limit_ms`; 0 for a date that has passed; -1 when unreadable or NULL.
 */
int64_t http_retry_after_ms(const char *value, int64_t wall_now_ms, int64_t limit_ms);
/*
 * The target of the first `rel="next"` of a Link header (RFC 8288) into out; false when there is
 * none or it does not fit. It may be relative. Links with an anchor speak of another page: skipped.
 */
bool http_link_next(const char *link, char *out, size_t size);

#endif
