#include "net/http_compose.h"
#include <string.h>
#include <strings.h>

#define REQUEST_LIMIT (64u << 20)

/* Only what is used: the structure has room for three kilobytes. */
static void url_copy(struct url *to, const struct url *from)
{
	to->tls = from->tls;
	to->ipv6 = from->ipv6;
	to->port = from->port;
	memcpy(to->host, from->host, strlen(from->host) + 1);
	memcpy(to->path, from->path, strlen(from->path) + 1);
	memcpy(to->query, from->query, strlen(from->query) + 1);
}

static bool compose_line(const struct http_message *message, struct buf *out)
{
	const struct url *url = &message->url;
	char target[URL_TEXT + 2];
	size_t path = strlen(url->path), query = strlen(url->query);

	if (message->absolute) {
		url_text(url, target, sizeof target);
		return http_write_request(out, message->method, target);
	}
	memcpy(target, path > 0 ? url->path : "/", path > 0 ? path + 1 : 2);
	path = path > 0 ? path : 1;
	if (query > 0) {
		target[path] = '?';
		memcpy(target + path + 1, url->query, query + 1);
	}
	return http_write_request(out, message->method, target);
}

/* These are ours to write: a second one would give the message two meanings. */
static bool field_is_ours(const char *name)
{
	static const char *const ours[] = {"Host", "Content-Length", "Transfer-Encoding",
	    "Connection", "Keep-Alive", "Upgrade", "TE", "Trailer", "Expect", "Proxy-Authorization",
	    "Proxy-Connection"};

	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
		if ((ours[i][0] | 0x20) == (name[0] | 0x20) && strcasecmp(ours[i], name) == 0)
			return true;
	}
	return false;
}

static bool compose_fields(
    struct buf *out, const struct http_options *options, const char *method, struct err *err)
{
	for (unsigned i = 0; i < options->header_count; i++) {
		const struct http_header *header = &options->headers[i];

		if (field_is_ours(header->name))
			return err_set(err, "request_invalid",
			    "the header %s is written by the client itself", header->name);
		if (!http_write_field(out, header->name, header->value))
			return err_set(err, "request_invalid",
			    "header %u holds a byte that cannot be sent", i + 1);
	}
	if (options->body != NULL || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0)
		http_write_field_uint(
		    out, "Content-Length", options->body != NULL ? options->body_length : 0);
	return true;
}

bool http_compose(struct http_message *message, const struct http_options *options,
    const char *host, const struct proxy *proxy, struct err *err)
{
	struct buf *out = &message->bytes;
	size_t method_length = strlen(options->method);

	out->limit = REQUEST_LIMIT;
	buf_reset(out);
	message->absolute = proxy != NULL;
	url_copy(&message->url, options->url);
	if (method_length >= sizeof message->method)
		return err_set(err, "request_invalid", "the method is too long");
	memcpy(message->method, options->method, method_length + 1);
	if (!compose_line(message, out))
		return err_set(err, "request_invalid", "the method or the URL cannot be sent");
	message->line_end = out->length;
	if (!http_write_field(out, "Host", host))
		return err_set(err, "request_invalid", "the host cannot be sent");
	if (proxy != NULL && proxy->authorization.length > 0 &&
	    !http_write_field(out, "Proxy-Authorization", proxy->authorization.data))
		return err_set(err, "request_invalid", "the proxy's password cannot be sent");
	if (!compose_fields(out, options, message->method, err))
		return false;
	http_write_end(out);
	if (options->body != NULL)
		buf_append(out, options->body, options->body_length);
	if (out->overflow)
		return err_set(
		    err, "request_invalid", "the request is larger than %u bytes", REQUEST_LIMIT);
	return true;
}

bool http_compose_redirect(struct http_message *message, const struct http_head *head)
{
	const char *location = http_head_get(head, "Location");
	bool reads = strcmp(message->method, "GET") == 0 || strcmp(message->method, "HEAD") == 0;
	bool follows = head->status == 307 || head->status == 308 ||
	               (reads && head->status >= 301 && head->status <= 303);
	struct buf fresh, *old = &message->bytes;
	struct url to, from;

	if (!follows || location == NULL || !url_resolve(&to, &message->url, location, NULL) ||
	    !url_same_origin(&to, &message->url))
		return false;
	url_copy(&from, &message->url);
	url_copy(&message->url, &to);
	buf_init(&fresh, REQUEST_LIMIT);
	if (!compose_line(message, &fresh)) {
		url_copy(&message->url, &from);
		buf_free(&fresh);
		return false;
	}
	size_t line_end = fresh.length;
	buf_append(&fresh, old->data + message->line_end, old->length - message->line_end);
	buf_cleanse(old);
	*old = fresh;
	message->line_end = line_end;
	return true;
}

void http_compose_clear(struct http_message *message, size_t keep)
{
	struct buf *bytes = &message->bytes;

	if (bytes->capacity > keep)
		buf_cleanse(bytes);
	else if (bytes->length > 0)
		crypto_cleanse(bytes->data, bytes->length);
	buf_reset(bytes);
}
