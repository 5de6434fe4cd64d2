#include "net/proxy.h"
#include "base/buf.h"
#include "base/codec.h"
#include "base/mem.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct address {
	int family; /* AF_INET, AF_INET6 or AF_UNSPEC: no address */
	unsigned char bytes[16];
};

static struct address address_of(const char *text)
{
	struct address address = {.family = AF_UNSPEC};

	if (inet_pton(AF_INET, text, address.bytes) == 1)
		address.family = AF_INET;
	else if (inet_pton(AF_INET6, text, address.bytes) == 1)
		address.family = AF_INET6;
	return address;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	if (memcmp(a, b, bits / 8) != 0)
		return false;
	if (bits % 8 == 0)
		return true;
	unsigned char mask = (unsigned char)(0xff << (8 - bits % 8));
	return ((a[bits / 8] ^ b[bits / 8]) & mask) == 0;
}

static bool number_of(const char *text, unsigned limit, unsigned *out)
{
	unsigned value = 0;

	if (*text == '\0' || strlen(text) > 5)
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
	}
	*out = value;
	return value <= limit;
}

static bool network_matches(const char *network, const char *prefix, const struct address *host)
{
	struct address net = address_of(network);
	unsigned bits;

	if (net.family == AF_UNSPEC || net.family != host->family)
		return false;
	if (!number_of(prefix, net.family == AF_INET ? 32 : 128, &bits))
		return false;
	return same_bits(net.bytes, host->bytes, bits);
}

static bool name_matches(const char *name, const char *host)
{
	size_t name_length, host_length = strlen(host);

	if (*name == '.')
		name++;
	name_length = strlen(name);
	if (name_length == 0 || name_length > host_length)
		return false;
	if (strcasecmp(host + host_length - name_length, name) != 0)
		return false;
	return name_length == host_length || host[host_length - name_length - 1] == '.';
}

/* Takes ":port" and brackets off the entry, in place. False when a port stands there and is another
 * one. */
static bool entry_port_matches(char **entry, uint16_t port)
{
	char *text = *entry, *colon, *close = NULL;
	unsigned wanted;

	if (*text == '[') {
		close = strchr(text, ']');
		if (close == NULL)
			return false;
		colon = close[1] == ':' ? close + 1 : NULL;
		if (colon == NULL && close[1] != '\0' && close[1] != '/')
			return false;
	} else {
		colon = strchr(text, ':');
		if (colon != NULL && strchr(colon + 1, ':') != NULL)
			colon = NULL; /* a bare IPv6 address */
	}
	if (colon != NULL) {
		if (!number_of(colon + 1, 65535, &wanted) || wanted != port)
			return false;
		*colon = '\0';
	}
	if (close != NULL) {
		memmove(close, close + 1, strlen(close + 1) + 1); /* "[::1]/64" becomes "[::1/64" */
		*entry = text + 1;
	}
	return true;
}

static bool entry_matches(
    char *entry, const char *host, const struct address *address, uint16_t port)
{
	char *slash;

	if (strcmp(entry, "*") == 0)
		return true;
	if (!entry_port_matches(&entry, port))
		return false;
	slash = strchr(entry, '/');
	if (slash != NULL) {
		*slash = '\0';
		return network_matches(entry, slash + 1, address);
	}
	if (address->family != AF_UNSPEC)
		return network_matches(entry, address->family == AF_INET ? "32" : "128", address);
	return strcmp(entry, "*") == 0 || name_matches(entry, host);
}

bool proxy_excepted(const char *no_proxy, const char *host, uint16_t port)
{
	struct address address = address_of(host);

	while (no_proxy != NULL && *no_proxy != '\0') {
		char entry[300];
		size_t length = strcspn(no_proxy, ", \t");

		if (length > 0 && length < sizeof entry) {
			memcpy(entry, no_proxy, length);
			entry[length] = '\0';
			if (entry_matches(entry, host, &address, port))
				return true;
		}
		no_proxy += length;
		if (*no_proxy != '\0')
			no_proxy++;
	}
	return false;
}

/* "user:password", percent-encoded, as the value of Proxy-Authorization. */
static bool authorization_set(struct secret *out, const char *text, size_t length)
{
	struct buf plain, value;
	bool ok;

	buf_init(&plain, 1024);
	buf_init(&value, 2048);
	ok = codec_url_decode(&plain, text, length) && buf_puts(&value, "Basic ");
	if (ok && memchr(plain.data != NULL ? plain.data : "", ':', plain.length) == NULL)
		ok = buf_putc(&plain, ':');
	if (ok && codec_base64_encode(&value, plain.data, plain.length))
		secret_set(out, value.data, value.length);
	else
		ok = false;
	buf_cleanse(&plain);
	buf_cleanse(&value);
	return ok;
}

/* The message never repeats the setting: it may hold a password. */
static bool proxy_invalid(struct err *err, const char *variable, const char *why)
{
	err_set(err, "proxy_invalid", "%s is not usable: %s", variable, why);
	err_hop(err, "Proxy");
	err_hint(err, "write it as http://[user:password@]host:port");
	err_field(err, "%s", variable);
	return false;
}

static bool proxy_parse(
    struct proxy *proxy, const char *variable, const char *setting, struct err *err)
{
	const char *rest = setting, *at = NULL;
	struct url url;
	struct err why = ERR_INIT;
	char *plain;
	bool ok;

	memset(proxy, 0, sizeof *proxy);
	if (setting == NULL || *setting == '\0')
		return true;
	if (strncasecmp(rest, "http://", 7) == 0)
		rest += 7;
	else if (strstr(rest, "://") != NULL)
		return proxy_invalid(err, variable, "only http:// proxies are supported");
	for (const char *c = rest; *c != '\0' && *c != '/'; c++) {
		if (*c == '@')
			at = c; /* the last one: a password may hold others */
	}
	if (at != NULL && !authorization_set(&proxy->authorization, rest, (size_t)(at - rest)))
		return proxy_invalid(err, variable, "user and password are badly encoded");
	if (at != NULL)
		rest = at + 1;
	plain = mem_printf("http://%s", rest);
	ok = url_parse(&url, plain, &why);
	free(plain);
	if (!ok || url.path[0] != '\0' || url.query[0] != '\0') {
		secret_free(&proxy->authorization);
		return proxy_invalid(err, variable, ok ? "it has a path" : why.message);
	}
	proxy->set = true;
	proxy->port = url.port;
	memcpy(proxy->host, url.host, sizeof proxy->host);
	snprintf(
	    proxy->text, sizeof proxy->text, url.ipv6 ? "[%s]:%u" : "%s:%u", url.host, url.port);
	return true;
}

bool proxy_rules_init(struct proxy_rules *rules, const char *https_proxy, const char *http_proxy,
    const char *no_proxy, struct err *err)
{
	memset(rules, 0, sizeof *rules);
	if (!proxy_parse(&rules->https, "HTTPS_PROXY", https_proxy, err) ||
	    !proxy_parse(&rules->http, "HTTP_PROXY", http_proxy, err)) {
		proxy_rules_free(rules);
		return false;
	}
	rules->exceptions = mem_string(no_proxy);
	return true;
}

void proxy_rules_free(struct proxy_rules *rules)
{
	secret_free(&rules->https.authorization);
	secret_free(&rules->http.authorization);
	free(rules->exceptions);
	memset(rules, 0, sizeof *rules);
}

const struct proxy *proxy_for(const struct proxy_rules *rules, const struct url *url)
{
	const struct proxy *proxy = url->tls ? &rules->https : &rules->http;

	if (!proxy->set || proxy_excepted(rules->exceptions, url->host, url->port))
		return NULL;
	return proxy;
}
