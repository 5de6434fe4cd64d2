/*
 * Who may ask: the control socket by the peer's credentials, TCP by name, origin and session.
 *
 * A hostile page in the browser can make it send requests here. It cannot choose the Host header
 * (DNS rebinding brings its own name, which is not in the list), it is told apart by Origin and
 * Sec-Fetch-Site, it has neither the SameSite cookie nor the page token.
 */
#define _GNU_SOURCE /* struct ucred, strcasestr */
#include "base/codec.h"
#include "base/log.h"
#include "base/mem.h"
#include "web/web_internal.h"
#include <arpa/inet.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define COOKIE "eyes_scm_session"
#define TOKEN_HEADER "X-Eyes-Scm-Token"

static const char *header(struct web_request *request, const char *name)
{
	const char *value = web_header(request, name);

	return value != NULL ? value : "";
}

/* ---- the control socket ---- */

bool guard_peer(struct web_request *request)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(request->http);
	struct bufferevent *bev = evhttp_connection_get_bufferevent(connection);
	struct err err = ERR_INIT;
	struct ucred credentials;
	socklen_t length = sizeof(credentials);
	struct passwd *user;

	if (getsockopt(bufferevent_getfd(bev), SOL_SOCKET, SO_PEERCRED, &credentials, &length) ==
	        0 &&
	    (credentials.uid == 0 || credentials.uid == geteuid())) {
		/* Our own user and root are in the local files: the lookup does not wait for a
		 * network. */
		user = getpwuid(credentials.uid);
		snprintf(request->who, sizeof(request->who), "%s (uid %u) on the control socket",
		    user != NULL ? user->pw_name : "?", credentials.uid);
		return true;
	}
	err_set(&err, "not_allowed",
	    "only the user that runs eyes-scm, and root, may use the control socket");
	web_reply_err(request, 403, &err, NULL);
	return false;
}

/* ---- names ---- */

static bool is_port(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return length <= 5;
}

/* An address has many spellings: one is compared. */
static bool clean_ipv6(const char *text, size_t length, char *out, size_t size)
{
	struct in6_addr address;
	char copy[INET6_ADDRSTRLEN + 1];

	if (length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return inet_pton(AF_INET6, copy, &address) == 1 &&
	       inet_ntop(AF_INET6, &address, out, (socklen_t)size) != NULL;
}

bool guard_host_name(const char *text, size_t length, char *out, size_t size)
{
	const char *end =
	    length > 0 && text[0] == '[' ? memchr(text, ']', length) : memchr(text, ':', length);
	size_t name = end != NULL ? (size_t)(end - text) : length;
	size_t behind = text[0] == '[' ? name + 1 : name; /* where the port's colon is */

	if (length == 0 || (text[0] == '[' && end == NULL))
		return false;
	if (text[0] != '[' && clean_ipv6(text, length, out, size))
		return true; /* bare, so without a port */
	if (behind < length &&
	    (text[behind] != ':' || !is_port(text + behind + 1, length - behind - 1)))
		return false;
	if (text[0] == '[')
		return clean_ipv6(text + 1, name - 1, out, size);
	if (name == 0 || name >= size)
		return false;
	for (size_t i = 0; i < name; i++) {
		char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && strchr("-._", c) == NULL)
			return false;
		out[i] = c;
	}
	out[name] = '\0';
	return true;
}

static bool add_host(struct buf *list, const char *text, size_t length)
{
	char name[GUARD_HOST];

	if (!guard_host_name(text, length, name, sizeof(name)))
		return false;
	buf_printf(list, "%s,", name);
	return true;
}

static bool add_hosts(struct buf *list, const char *more, struct err *err)
{
	while (*more != '\0') {
		size_t length = strcspn(more, ","), from = strspn(more, " \t"), to = length;

		while (to > from && (more[to - 1] == ' ' || more[to - 1] == '\t'))
			to--;
		if (from < to && !add_host(list, more + from, to - from)) {
			err_set(err, "hosts_invalid",
			    "EYES_ALLOWED_HOSTS: \"%.*s\" is not the name of a host",
			    (int)(to - from < 200 ? to - from : 200), more + from);
			err_field(err, "EYES_ALLOWED_HOSTS");
			err_hint(err,
			    "Such as scm.example.com, 192.0.2.7 or [2001:db8::7]: no "
			    "http://, no path. A port may stand behind it; any is allowed.");
			return false;
		}
		more += length + (more[length] == ',');
	}
	return true;
}

char *guard_host_list(const struct web_options *options, struct err *err)
{
	struct url own;
	struct buf list;

	buf_init(&list, 64 * 1024);
	buf_puts(&list, ",localhost,");
	for (unsigned i = 0; i < options->listen_count; i++)
		add_host(&list, options->listen[i].text, strlen(options->listen[i].text));
	if (options->own_url != NULL && url_parse(&own, options->own_url, NULL))
		add_host(&list, own.host, strlen(own.host));
	if (options->allowed_hosts == NULL || add_hosts(&list, options->allowed_hosts, err))
		return buf_take(&list);
	buf_free(&list);
	return NULL;
}

static bool is_loopback(const char *host)
{
	size_t length = strlen(host);
	struct in_addr four;

	length -= length > 1 && host[length - 1] == '.'; /* of a name that is whole */
	if (strcmp(host, "::1") == 0 || (length == 9 && memcmp(host, "localhost", 9) == 0) ||
	    (length > 10 && memcmp(host + length - 10, ".localhost", 10) == 0))
		return true;
	return inet_pton(AF_INET, host, &four) == 1 && (ntohl(four.s_addr) >> 24) == 127;
}

bool guard_host_allowed(const char *hosts, const char *value)
{
	char host[GUARD_HOST], listed[GUARD_HOST + 4];

	if (!guard_host_name(value, strlen(value), host, sizeof(host)))
		return false;
	snprintf(listed, sizeof(listed), ",%s,", host);
	return is_loopback(host) || strstr(hosts, listed) != NULL;
}

bool guard_host_known(struct web *web, const char *value)
{
	size_t length;

	if (web->last_host[0] != '\0' && strcmp(web->last_host, value) == 0)
		return true;
	if (!guard_host_allowed(web->hosts, value))
		return false;
	length = strlen(value);
	if (length < sizeof(web->last_host))
		memcpy(web->last_host, value, length + 1);
	return true;
}

/* Somebody opened a page, rather than a page asking for something. */
static bool is_navigation(struct web_request *request)
{
	const char *path =
	    request->http != NULL ? evhttp_request_get_uri(request->http) : request->target;

	return strstr(header(request, "Accept"), "text/html") != NULL &&
	       strncmp(path, "/api/", 5) != 0;
}

static void put_escaped(struct buf *page, const char *text)
{
	for (; *text != '\0'; text++)
		if (strchr("<>&\"'", *text) != NULL)
			buf_printf(page, "&#%d;", *text);
		else
			buf_putc(page, *text);
}

static void reply_page(struct web_request *request, int status, const struct err *err)
{
	struct buf page;

	buf_init(&page, 16 * 1024);
	buf_puts(&page, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
	                "<meta name=\"viewport\" content=\"width=device-width\">\n"
	                "<meta name=\"color-scheme\" content=\"light dark\">\n"
	                "<title>eyes-scm</title>\n<h1>eyes-scm</h1>\n<p>");
	put_escaped(&page, err->message);
	buf_puts(&page, "</p>\n<p>");
	put_escaped(&page, err->hint);
	buf_puts(&page, "</p>\n");
	web_reply_text(request, status, "text/html; charset=utf-8", &page);
	buf_free(&page);
}

bool guard_host(struct web_request *request)
{
	const char *value = header(request, "Host");
	struct err err = ERR_INIT;
	char host[GUARD_HOST];

	if (guard_host_known(request->web, value))
		return true;
	if (!guard_host_name(value, strlen(value), host, sizeof(host)))
		host[0] = '\0';
	err_set(&err, "host_denied",
	    "this page was opened under a name that is not allowed: %.200s", host);
	err_hop(&err, "browser");
	err_hint(&err, "Open it as localhost, or add the name to EYES_ALLOWED_HOSTS.");
	if (is_navigation(request))
		reply_page(request, 421, &err);
	else
		web_reply_err(request, 421, &err, NULL);
	return false;
}

/* ---- origin ---- */

bool guard_over_tls(struct web_request *request)
{
	return strncmp(header(request, "Origin"), "https://", 8) == 0;
}

bool guard_same_origin(const char *origin, const char *site, const char *host, bool write)
{
	const char *authority = strstr(origin, "://");

	if (site[0] != '\0' && strcmp(site, "same-origin") != 0 &&
	    (write || strcmp(site, "none") != 0))
		return false;
	return origin[0] == '\0' || (authority != NULL && strcasecmp(authority + 3, host) == 0);
}

bool guard_origin(struct web_request *request, bool write)
{
	struct err err = ERR_INIT;

	if (guard_same_origin(header(request, "Origin"), header(request, "Sec-Fetch-Site"),
	        header(request, "Host"), write))
		return true;
	err_set(&err, "csrf", "another page asked for this");
	err_hop(&err, "browser");
	err_hint(&err, "Reload this page. What you typed is kept.");
	web_reply_err(request, 403, &err, NULL);
	return false;
}

/* ---- session ---- */

const char *guard_cookie(struct web_request *request, char *out, size_t size)
{
	const char *at = header(request, "Cookie");

	out[0] = '\0';
	while (*at != '\0') {
		size_t length;

		at += strspn(at, "; ");
		length = strcspn(at, ";");
		if (strncmp(at, COOKIE "=", sizeof(COOKIE)) == 0 &&
		    length - sizeof(COOKIE) < size) {
			snprintf(
			    out, size, "%.*s", (int)(length - sizeof(COOKIE)), at + sizeof(COOKIE));
			return out;
		}
		at += length;
	}
	return out;
}

bool guard_session(struct web_request *request)
{
	char cookie[SESSION_SECRET + 1];
	struct err err = ERR_INIT;

	guard_cookie(request, cookie, sizeof(cookie));
	request->session =
	    auth_check(request->web->auth, cookie, header(request, TOKEN_HEADER), &err);
	crypto_cleanse(cookie, sizeof(cookie));
	if (request->session != NULL) {
		auth_who(request->session, request->address, request->who);
		return true;
	}
	web_reply_err(request, 401, &err, NULL);
	return false;
}
