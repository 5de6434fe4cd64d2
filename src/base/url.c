#include "base/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/*
 * The steps of url_parse: scheme, authority (host, port), path, query. Nothing of the text is
 * echoed in an error but a host that was found to be made of allowed characters: it may hold a
 * secret in the wrong place.
 */
#define CODE "url_invalid"
#define HOST_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"
enum { HOST_MAX = 253, LABEL_MAX = 63, PORT_DIGITS = 5 };
enum slash { SLASH_DROP, SLASH_KEEP };

static bool refuse(struct err *err, const char *message, const char *hint)
{
	err_set(err, CODE, "%s", message);
	err_hint(err, "%s", hint);
	return false;
}

static bool take_scheme(struct url *url, const char **text, struct err *err)
{
	if (strncasecmp(*text, "https://", 8) == 0) {
		url->tls = true;
		*text += 8;
		return true;
	}
	if (strncasecmp(*text, "http://", 7) == 0) {
		*text += 7;
		return true;
	}
	return refuse(err, "the address does not begin with https:// or http://",
	    "write it as in https://bitbucket.example.com");
}

/* Visible ASCII, less what no URL may hold as it is, and with every "%" before two hex digits that
 * are not 00. */
static bool characters_valid(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c <= ' ' || c >= 0x7f || strchr("\"<>\\", c) != NULL)
			return false;
		if (c != '%')
			continue;
		if (length - i < 3 || !isxdigit((unsigned char)text[i + 1]) ||
		    !isxdigit((unsigned char)text[i + 2]))
			return false;
		if (text[i + 1] == '0' && text[i + 2] == '0')
			return false;
	}
	return true;
}

/* Whether the resolver could take the name for an IPv4 address in one of its forms: 10.1, 0x7f.1,
 * 2130706433. */
static bool looks_numeric(const char *host)
{
	const char *dot = strrchr(host, '.');
	const char *label = dot != NULL ? dot + 1 : host;

	if (label[0] == '0' && (label[1] == 'x' || label[1] == 'X'))
		return label[2 + strspn(label + 2, "0123456789abcdefABCDEF")] == '\0';
	return label[strspn(label, "0123456789")] == '\0';
}

static bool labels_valid(const char *host)
{
	for (const char *label = host;; label++) {
		size_t length = strcspn(label, ".");
		if (length == 0 || length > LABEL_MAX || label[0] == '-' ||
		    label[length - 1] == '-')
			return false;
		label += length;
		if (*label == '\0')
			return true;
	}
}

static bool set_name(struct url *url, const char *text, size_t length, struct err *err)
{
	struct in_addr address;

	if (length == 0)
		return refuse(err, "the address has no host", "");
	if (length > HOST_MAX)
		return refuse(err, "the host is longer than 253 characters", "");
	if (strspn(text, HOST_LETTERS) < length)
		return refuse(err, "the host holds a character that no host name has",
		    "write an international name in its xn-- form");
	for (size_t i = 0; i < length; i++)
		url->host[i] = (char)tolower((unsigned char)text[i]);
	url->host[length] = '\0';
	if (!labels_valid(url->host))
		return refuse(err,
		    "the host is not a name: a part of it is empty, too long, or begins or ends "
		    "with \"-\"",
		    "");
	if (looks_numeric(url->host) && inet_pton(AF_INET, url->host, &address) != 1)
		return refuse(
		    err, "the host is neither a name nor an IPv4 address of four numbers", "");
	return true;
}

static bool set_ipv6(struct url *url, const char *text, size_t length, struct err *err)
{
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (length >= sizeof(copy))
		return refuse(err, "the address in brackets is not an IPv6 address", "");
	memcpy(copy, text, length);
	copy[length] = '\0';
	if (inet_pton(AF_INET6, copy, &address) != 1)
		return refuse(err, "the address in brackets is not an IPv6 address", "");
	inet_ntop(AF_INET6, &address, url->host, sizeof(url->host));
	url->ipv6 = true;
	return true;
}

/* `text` is what follows the host: "" or ":" and digits. */
static bool set_port(struct url *url, const char *text, size_t length, struct err *err)
{
	unsigned port = 0;

	url->port = url->tls ? 443 : 80;
	if (length == 0)
		return true;
	if (text[0] != ':' || length < 2 || length > PORT_DIGITS + 1)
		return refuse(err, "the port is not a number from 1 to 65535", "");
	for (size_t i = 1; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return refuse(err, "the port is not a number from 1 to 65535", "");
		port = port * 10 + (unsigned)(text[i] - '0');
	}
	if (port < 1 || port > UINT16_MAX)
		return refuse(err, "the port is not a number from 1 to 65535", "");
	url->port = (uint16_t)port;
	return true;
}

static bool set_authority(struct url *url, const char *text, size_t length, struct err *err)
{
	size_t host_length;

	if (memchr(text, '@', length) != NULL)
		return refuse(err, "the address holds a user name or password",
		    "leave out what is before the @: credentials are entered by themselves");
	if (length > 0 && text[0] == '[') {
		const char *close = memchr(text, ']', length);
		if (close == NULL)
			return refuse(err, "the IPv6 address has no closing bracket", "");
		host_length = (size_t)(close - text) + 1;
		if (!set_ipv6(url, text + 1, host_length - 2, err))
			return false;
	} else {
		const char *colon = memchr(text, ':', length);
		host_length = colon != NULL ? (size_t)(colon - text) : length;
		if (!set_name(url, text, host_length, err))
			return false;
	}
	return set_port(url, text + host_length, length - host_length, err);
}

/* RFC 3986, 5.2.4, in place: "/a/./b/../c" becomes "/a/c". The path is "" or begins with "/". */
static void remove_dot_segments(char *path)
{
	char *out = path;

	for (const char *in = path; *in == '/';) {
		size_t length = 1 + strcspn(in + 1, "/");
		bool last = in[length] == '\0';
		bool dot = length == 2 && in[1] == '.';
		bool up = length == 3 && in[1] == '.' && in[2] == '.';
		while (up && out > path && *--out != '/')
			;
		if (!dot && !up) {
			memmove(out, in, length);
			out += length;
		} else if (last) {
			*out++ = '/'; /* "/a/.." names a folder */
		}
		in += length;
	}
	*out = '\0';
}

static bool set_path(
    struct url *url, const char *text, size_t length, enum slash slash, struct err *err)
{
	if (length >= sizeof(url->path))
		return refuse(err, "the path is longer than 1023 characters", "");
	if (!characters_valid(text, length))
		return refuse(
		    err, "the path holds a character that no address has", "encode it as %XX");
	memcpy(url->path, text, length);
	url->path[length] = '\0';
	remove_dot_segments(url->path);
	length = strlen(url->path);
	while (slash == SLASH_DROP && length > 0 && url->path[length - 1] == '/')
		url->path[--length] = '\0';
	if (length == 1)
		url->path[0] = '\0'; /* "/" and "" are the same place */
	return true;
}

static bool set_query(struct url *url, const char *text, size_t length, struct err *err)
{
	if (length >= sizeof(url->query))
		return refuse(err, "the query is longer than 2047 characters", "");
	if (!characters_valid(text, length))
		return refuse(
		    err, "the query holds a character that no address has", "encode it as %XX");
	memcpy(url->query, text, length);
	url->query[length] = '\0';
	return true;
}

/* Path and query, after the authority. */
static bool set_rest(struct url *url, const char *text, enum slash slash, struct err *err)
{
	size_t path_length = strcspn(text, "?");
	const char *query = text + path_length;

	if (!set_path(url, text, path_length, slash, err))
		return false;
	return *query == '\0' || set_query(url, query + 1, strlen(query + 1), err);
}

static bool parse(struct url *url, const char *text, enum slash slash, struct err *err)
{
	struct url parsed = {0};

	for (const char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return refuse(err, "the address holds a space or control character", "");
	if (!take_scheme(&parsed, &text, err))
		return false;
	size_t length = strcspn(text, "/?#");
	if (!set_authority(&parsed, text, length, err))
		return false;
	if (strchr(text, '#') != NULL)
		return refuse(
		    err, "the address holds a fragment", "leave out the # and what follows");
	if (!set_rest(&parsed, text + length, slash, err))
		return false;
	*url = parsed;
	return true;
}

bool url_parse(struct url *url, const char *text, struct err *err)
{
	return parse(url, text, SLASH_DROP, err);
}

void url_authority(const struct url *url, char *out, size_t size)
{
	const char *open = url->ipv6 ? "[" : "";
	const char *close = url->ipv6 ? "]" : "";

	if (url->port == (url->tls ? 443 : 80))
		snprintf(out, size, "%s%s%s", open, url->host, close);
	else
		snprintf(out, size, "%s%s%s:%u", open, url->host, close, (unsigned)url->port);
}

void url_origin(const struct url *url, char *out, size_t size)
{
	char authority[URL_ORIGIN - 8];

	url_authority(url, authority, sizeof(authority));
	snprintf(out, size, "%s://%s", url->tls ? "https" : "http", authority);
}

void url_text(const struct url *url, char *out, size_t size)
{
	char origin[URL_ORIGIN];

	url_origin(url, origin, sizeof(origin));
	snprintf(
	    out, size, "%s%s%s%s", origin, url->path, url->query[0] != '\0' ? "?" : "", url->query);
}

bool url_same_origin(const struct url *a, const struct url *b)
{
	return a->tls == b->tls && a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* Whether the reference begins with a scheme, as "mailto:x" does and "path:x/.." too (RFC
 * 3986, 4.2). */
static bool has_scheme(const char *reference)
{
	size_t length = strcspn(reference, ":/?");

	return length > 0 && reference[length] == ':' && isalpha((unsigned char)reference[0]);
}

/* Everything but the last segment of the base's path, and then the reference. */
static bool resolve_relative(
    struct url *out, const struct url *base, const char *reference, struct err *err)
{
	char whole[sizeof(base->path) + sizeof(base->query) + 2];
	const char *slash = strrchr(base->path, '/');
	int folder = slash != NULL ? (int)(slash - base->path) : 0;

	int length = snprintf(whole, sizeof(whole), "%.*s/%s", folder, base->path, reference);
	if (length < 0 || (size_t)length >= sizeof(whole))
		return refuse(err, "the address is too long", "");
	return set_rest(out, whole, SLASH_KEEP, err);
}

/* `reference` has no fragment. */
static bool resolve(struct url *out, const struct url *base, const char *reference, struct err *err)
{
	struct url target = *base;

	if (has_scheme(reference))
		return parse(out, reference, SLASH_KEEP, err);
	if (strncmp(reference, "//", 2) == 0) {
		char whole[sizeof(base->path) + sizeof(base->query) + sizeof(base->host)];
		int length = snprintf(
		    whole, sizeof(whole), "%s:%s", base->tls ? "https" : "http", reference);
		if (length < 0 || (size_t)length >= sizeof(whole))
			return refuse(err, "the address is too long", "");
		return parse(out, whole, SLASH_KEEP, err);
	}
	bool done = true;
	if (reference[0] != '\0')
		target.query[0] = '\0';
	if (reference[0] == '?')
		done = set_query(&target, reference + 1, strlen(reference + 1), err);
	else if (reference[0] == '/')
		done = set_rest(&target, reference, SLASH_KEEP, err);
	else if (reference[0] != '\0')
		done = resolve_relative(&target, base, reference, err);
	if (done)
		*out = target;
	return done;
}

bool url_resolve(struct url *out, const struct url *base, const char *reference, struct err *err)
{
	char copy[4096];
	size_t length = strcspn(reference, "#"); /* a fragment is for a browser, and never sent */

	if (length >= sizeof(copy))
		return refuse(err, "the address is too long", "");
	memcpy(copy, reference, length);
	copy[length] = '\0';
	return resolve(out, base, copy, err);
}
