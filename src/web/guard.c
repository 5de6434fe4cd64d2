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
	const char *value =
	    evhttp_find_header(evhttp_request_get_input_headers(request->http), name);

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

static void add_host(struct buf *list, const char *host, size_t length)
{
	while (length > 0 && (host[0] == ' ' || host[0] == '\t')) {
		host++;
		length--;
	}
	while (length > 0 && (host[length - 1] == ' ' || host[length - 1] == '\t'))
		length--;
	if (length == 0)
		return;
	for (size_t i = 0; i < length; i++)
		buf_putc(
		    list, host[i] >= 'A' && host[i] <= 'Z' ? (char)(host[i] - 'A' + 'a') : host[i]);
	buf_putc(list, ',');
}

char *guard_host_list(const struct web_options *options)
{
	const char *more = options->allowed_hosts != NULL ? options->allowed_hosts : "";
	struct url own;
	struct buf list;

	buf_init(&list, 64 * 1024);
	buf_puts(&list, ",localhost,");
	for (unsigned i = 0; i < options->listen_count; i++) {
		const char *text = options->listen[i].text, *colon = strrchr(text, ':');
		size_t length = colon != NULL ? (size_t)(colon - text) : strlen(text);

		if (length > 2 && text[0] == '[')
			add_host(&list, text + 1, length - 2);
		else
			add_host(&list, text, length);
	}
	if (options->own_url != NULL && url_parse(&own, options->own_url, NULL))
		add_host(&list, own.host, strlen(own.host));
	while (*more != '\0') {
		size_t length = strcspn(more, ",");

		add_host(&list, more, length);
		more += length + (more[length] == ',');
	}
	return buf_take(&list);
}

static bool is_loopback(const char *host)
{
	size_t length = strlen(host);
	struct in_addr four;

	if (strcmp(host, "::1") == 0 ||
	    (length > 10 && strcmp(host + length - 10, ".localhost") == 0))
		return true;
	return inet_pton(AF_INET, host, &four) == 1 && (ntohl(four.s_addr) >> 24) == 127;
}

/* Host without port and brackets, in lower case; false when it is not one. */
static bool host_name(const char *value, char *out, size_t size)
{
	const char *end = value[0] == '[' ? strchr(value, ']') : value + strcspn(value, ":");
	const char *from = value[0] == '[' ? value + 1 : value;

	if (end == NULL || end == from || (size_t)(end - from) >= size)
		return false;
	for (size_t i = 0; from + i < end; i++)
		out[i] = from[i] >= 'A' && from[i] <= 'Z' ? (char)(from[i] - 'A' + 'a') : from[i];
	out[end - from] = '\0';
	return strchr(out, ',') == NULL;
}

bool guard_host(struct web_request *request)
{
	char host[256], listed[260];
	struct err err = ERR_INIT;

	if (host_name(header(request, "Host"), host, sizeof(host))) {
		snprintf(listed, sizeof(listed), ",%s,", host);
		if (is_loopback(host) || strstr(request->web->hosts, listed) != NULL)
			return true;
	} else {
		host[0] = '\0';
	}
	err_set(&err, "host_denied",
	    "this page was opened under a name that is not allowed: %.200s", host);
	err_hop(&err, "browser");
	err_hint(&err, "Open it as localhost, or add the name to EYES_ALLOWED_HOSTS.");
	web_reply_err(request, 421, &err, NULL);
	return false;
}

/* ---- origin ---- */

bool guard_over_tls(struct web_request *request)
{
	return strncmp(header(request, "Origin"), "https://", 8) == 0;
}

bool guard_origin(struct web_request *request, bool write)
{
	const char *origin = header(request, "Origin"), *site = header(request, "Sec-Fetch-Site");
	const char *authority = strstr(origin, "://");
	struct err err = ERR_INIT;
	bool same = true;

	if (site[0] != '\0' && strcmp(site, "same-origin") != 0 &&
	    (write || strcmp(site, "none") != 0))
		same = false;
	if (origin[0] != '\0' &&
	    (authority == NULL || strcasecmp(authority + 3, header(request, "Host")) != 0))
		same = false;
	if (same)
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
	if (request->session != NULL)
		return true;
	web_reply_err(request, 401, &err, NULL);
	return false;
}
