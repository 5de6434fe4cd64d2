#include "eyes/eyes_fault.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/json.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WORDS_MAX = 200, WORDS_BODY_MAX = 16384, MINUTE_MS = 60000, SKEW_MS = 5 * MINUTE_MS };

/* http_client's codes and what they are here; message has room for the host. */
static const struct {
	const char *from, *code, *message, *hint;
} faults[] = {
    {"dns_failed", "eyes_dns", "The name %s is not known here",
        "Check EYES_SERVER_URL. If the internet is reached through a proxy, set HTTPS_PROXY."},
    {"connect_timeout", "eyes_timeout", "%s does not answer",
        "A firewall drops the connection. Allow this machine to reach %s:%u, or set HTTPS_PROXY."},
    {"connect_refused", "eyes_refused", "Nothing listens at %s",
        "Check EYES_SERVER_URL. If the internet is reached through a proxy, set HTTPS_PROXY."},
    {"connect_failed", "eyes_refused", "There is no connection to %s",
        "Allow this machine to reach %s:%u, or set HTTPS_PROXY."},
    {"proxy_auth", "proxy_auth", "The proxy does not let eyes-scm through to Eyes",
        "Put user and password into HTTPS_PROXY and restart."},
    {"proxy_refused", "proxy_refused", "The proxy makes no connection to %s",
        "Allow %s:%u on the proxy, or name it in NO_PROXY."},
    {"tls_untrusted", "eyes_tls", "The certificate of %s is not trusted",
        "Something on the way opens the connection. Name its CA in SSL_CERT_FILE and restart."},
    {"tls_name", "eyes_tls", "The certificate is not for %s",
        "Check EYES_SERVER_URL. If something on the way opens the connection, it has to show this "
        "name."},
    {"tls_expired", "eyes_tls", "The certificate of %s is not valid now",
        "Check this machine's clock (NTP). If it is right, whoever runs the server must renew the "
        "certificate."},
    {"tls_", "eyes_tls", "There is no secure connection to %s",
        "Check that %s:%u speaks TLS and that nothing on the way changes it."},
    {"deadline", "eyes_timeout", "%s does not answer in time",
        "Nothing to do here: tried again by itself, and nothing is lost."},
    {"http_cut", "eyes_malformed", "%s ends the connection before its answer is whole",
        "Check what stands between this machine and it. Tried again by itself, and nothing is "
        "lost."},
    {"http_too_large", "eyes_malformed", "%s answers with more than is taken in",
        "Check EYES_SERVER_URL, and what stands between this machine and it."},
    {"http_timeout", "eyes_timeout", "%s does not answer",
        "Nothing to do here: tried again by itself, and nothing is lost."},
    {"http_", "eyes_malformed", "%s does not answer as an Eyes server does",
        "Check EYES_SERVER_URL, and what stands between this machine and it."},
    {"", "eyes_refused", "There is no connection to %s",
        "Check EYES_SERVER_URL. If the internet is reached through a proxy, set HTTPS_PROXY."},
};

static void clock_fault(
    struct err *out, const struct err *fault, const struct url *base, const struct eyes_skew *skew)
{
	char now[CLOCK_TEXT];

	clock_rfc3339(now, clock_wall_ms(), false);
	if (skew->known)
		err_set(out, "clock_skew", "This machine's clock is %lld min off (%s)",
		    llabs(skew->ms) / MINUTE_MS, fault->message);
	else
		err_set(out, "clock_skew",
		    "The certificate of %s is not valid yet at this machine's time, %s (%s)",
		    base->host, now, fault->message);
	err_hop(out, "TLS, validity");
	err_hint(out, "Set the clock (NTP), then check again.");
}

/* The tables' texts have at most one %s, then one %u: filled in by hand, so that no format comes
 * from a table. */
static void fill(struct buf *out, const char *text, const struct url *base)
{
	char authority[320];

	for (; *text != '\0'; text++) {
		if (strncmp(text, "%s:%u", 5) == 0) {
			url_authority(base, authority, sizeof(authority));
			buf_printf(out, base->ipv6 ? "[%s]:%u" : "%s:%u", base->host, base->port);
			text += 4;
		} else if (strncmp(text, "%s", 2) == 0) {
			buf_puts(out, base->host);
			text++;
		} else {
			buf_putc(out, *text);
		}
	}
}

void eyes_fault_transport(
    struct err *out, const struct err *fault, const struct url *base, const struct eyes_skew *skew)
{
	const char *code = fault->code != NULL ? fault->code : "";
	struct buf message, hint;
	size_t i = 0;

	bool early = strstr(fault->message, "not valid before") != NULL;
	if (strcmp(code, "tls_expired") == 0 &&
	    (skew->known ? llabs(skew->ms) >= SKEW_MS : early)) {
		clock_fault(out, fault, base, skew);
		return;
	}
	while (strncmp(code, faults[i].from, strlen(faults[i].from)) != 0)
		i++;
	buf_init(&message, sizeof(out->message));
	buf_init(&hint, sizeof(out->hint));
	fill(&message, faults[i].message, base);
	fill(&hint, faults[i].hint, base);
	/* Words that only say the same again are left out. */
	const char *words = fault->message;
	if (strncasecmp(words, message.data, message.length) == 0 && words[message.length] == ':')
		words += message.length + strspn(words + message.length, ": ");
	bool proxy = strncmp(fault->hop, "Proxy", 5) == 0 && strncmp(code, "proxy_", 6) != 0;
	err_set(out, faults[i].code, "%s (%s)",
	    proxy ? "The proxy cannot be reached" : message.data, words);
	err_hop(out, "%s", fault->hop);
	err_hint(out, "%s", proxy ? "Check HTTPS_PROXY, and that the proxy runs." : hint.data);
	buf_free(&message);
	buf_free(&hint);
}

/* ---- answers ---- */

static void escape(struct buf *out, const char *text, size_t length)
{
	size_t limit = out->length + WORDS_MAX;

	for (size_t i = 0; i < length && out->length + 4 <= limit;) {
		unsigned char c = (unsigned char)text[i];
		size_t size = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

		if (c >= 0x20 && c < 0x7f) {
			buf_putc(out, (char)c);
			i++;
		} else if (c >= 0xa0 && size <= length - i && codec_is_utf8(text + i, size)) {
			buf_append(out, text + i, size);
			i += size;
		} else {
			buf_printf(out, "\\x%02x", c);
			i++;
		}
	}
}

static bool json_words(struct buf *out, const char *body, size_t length)
{
	static const char *const names[] = {
	    "message", "Message", "error", "errorMessage", "detail", "title"};
	json_t *document = json_parse(body, length, WORDS_BODY_MAX, NULL);
	bool found = false;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !found; i++) {
		const json_t *value = json_object_get(document, names[i]);
		found = json_is_string(value) && json_string_length(value) > 0;
		if (found)
			escape(out, json_string_value(value), json_string_length(value));
	}
	json_decref(document);
	return found;
}

/* What was asked with may be repeated in the answer. */
static void scrub(struct buf *out, const struct secret *key)
{
	if (key == NULL || out->data == NULL)
		return;
	secret_scrub(out->data, key->data, key->length);
	out->length = strlen(out->data);
}

void eyes_fault_words(struct buf *out, const struct http_head *head, const char *body,
    size_t length, const struct secret *key)
{
	const char *type = head != NULL ? http_head_get(head, "Content-Type") : NULL;

	if (body == NULL || length == 0)
		return;
	if (!json_words(out, body, length) && type != NULL &&
	    strncasecmp(type, "text/plain", 10) == 0) {
		while (length > 0 && strchr("\r\n\t ", body[length - 1]) != NULL)
			length--;
		escape(out, body, length);
	}
	scrub(out, key);
}

static void status_words(struct err *out, const struct url *base, int status)
{
	switch (status) {
	case 401:
		err_set(out, "key_unknown", "Eyes does not know this key");
		err_hint(out, "Copy it again from Admin, API Keys: all of it.");
		return;
	case 403:
		err_set(out, "key_forbidden", "Eyes does not let this key do that");
		err_hint(out,
		    "Tick all four permissions of this key in Admin, API Keys, then check again.");
		return;
	case 404:
		err_set(out, "eyes_4xx", "%s does not know this address", base->host);
		err_hint(out, "Check EYES_SERVER_URL and EYES_ORG_ID.");
		return;
	case 407:
		err_set(out, "proxy_auth", "The proxy does not let eyes-scm through to Eyes");
		err_hint(out, "Put user and password into HTTPS_PROXY and restart.");
		return;
	case 410:
		err_set(out, "eyes_4xx", "Eyes does not have this task any more");
		err_hint(out, "Nothing to do here: asked anew by itself.");
		return;
	case 429:
		err_set(out, "rate_limited", "%s asks to slow down", base->host);
		err_hint(out, "Nothing to do: goes on by itself.");
		return;
	default:
		break;
	}
	if (status >= 500 || status == 202) {
		err_set(out, "eyes_5xx", "Eyes answers with an error (%d)", status);
		err_hint(out, "Nothing to do here: tried again by itself, and nothing is lost.");
	} else if (status >= 400) {
		err_set(out, "eyes_4xx", "Eyes does not accept this request (%d)", status);
		err_hint(out, "Check EYES_SERVER_URL and EYES_ORG_ID.");
	} else {
		err_set(out, "eyes_malformed", "%s does not answer as an Eyes server does (%d)",
		    base->host, status);
		err_hint(
		    out, "Check EYES_SERVER_URL, and what stands between this machine and it.");
	}
}

void eyes_fault_status(struct err *out, const struct url *base, int status,
    const struct http_head *head, const char *body, size_t length, const struct secret *key)
{
	const char *location = head != NULL ? http_head_get(head, "Location") : NULL;
	struct buf words;

	status_words(out, base, status);
	buf_init(&words, 1024);
	if (status >= 300 && status < 400 && location != NULL) {
		buf_puts(&words, "it leads to ");
		escape(&words, location, strcspn(location, "?#"));
		scrub(&words, key);
	} else {
		eyes_fault_words(&words, head, body, length, key);
	}
	if (words.length > 0) {
		char message[sizeof(out->message)];
		memcpy(message, out->message, sizeof(message));
		/* err_set clears the hint. */
		char hint[sizeof(out->hint)];
		memcpy(hint, out->hint, sizeof(hint));
		err_set(out, out->code, "%s (%s)", message, words.data);
		err_hint(out, "%s", hint);
	}
	err_hop(out, status == 407 ? "Proxy, %d" : "Eyes, HTTP %d", status);
	buf_free(&words);
}

void eyes_fault_malformed(
    struct err *out, const struct url *base, int status, const struct err *why)
{
	char words[sizeof(why->message)];

	memcpy(words, why->message, sizeof(words));
	err_set(out, "eyes_malformed", "%s does not answer as an Eyes server does (%s)", base->host,
	    words);
	err_hop(out, "Eyes, HTTP %d", status);
	err_hint(out, "Check EYES_SERVER_URL, and what stands between this machine and it.");
}
