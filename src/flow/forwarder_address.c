/* Where an event goes to. */
#include "flow/forwarder_internal.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HOST_MAX = 253, PORT_DIGITS = 5, PORT_MAX = 65535 };

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* The length of a name or an IPv4 address at the beginning of the text; 0: there is none. */
static size_t host_length(const char *text, size_t length)
{
	size_t i, label = 0;

	for (i = 0; i < length && text[i] != ':'; i++) {
		if (text[i] == '.' && label == 0)
			return 0;
		if (text[i] != '.' && text[i] != '-' && !is_letter_or_digit(text[i]))
			return 0;
		label = text[i] == '.' ? 0 : label + 1;
	}
	return label > 0 && i <= HOST_MAX ? i : 0;
}

/* "" or ":" and a port. */
static bool is_port(const char *text, size_t length)
{
	unsigned long port = 0;

	if (length == 0)
		return true;
	if (text[0] != ':' || length < 2 || length > 1 + PORT_DIGITS)
		return false;
	for (size_t i = 1; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		port = port * 10 + (unsigned long)(text[i] - '0');
	}
	return port > 0 && port <= PORT_MAX;
}

/*
 * GitHub Enterprise Server names itself in each delivery; github.com does not. Source: GitHub,
 * "Webhook events and payloads", delivery headers. What is no host is not believed: the sender says
 * it, and it becomes part of an address.
 */
static void github_host(const char *headers, char out[FORWARD_HOST])
{
	static const char name[] = "X-GitHub-Enterprise-Host:";
	const char *line = headers, *value;
	size_t length, host;

	snprintf(out, FORWARD_HOST, "github.com");
	for (; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
		if (strncasecmp(line, name, sizeof(name) - 1) != 0)
			continue;
		value = line + sizeof(name) - 1;
		value += strspn(value, " \t");
		length = strcspn(value, " \t\r\n");
		host = host_length(value, length);
		if (host > 0 && is_port(value + host, length - host))
			snprintf(out, FORWARD_HOST, "%.*s", (int)length, value);
		return;
	}
}

/* The host by which Eyes knows the server. False with err: it is not set up any more. */
static bool server_host(
    struct forwarder *f, const struct event_entry *entry, char out[FORWARD_HOST], struct err *err)
{
	const struct record_server *server = NULL;
	struct record_repo repo;
	struct url url;

	if (entry->lane == EVENTS_GITHUB) {
		github_host(entry->headers, out);
		return true;
	}
	if (records_repo(f->options.records, entry->lane, &repo))
		server = records_server(f->options.records, repo.server);
	if (server == NULL || !url_parse(&url, server->url, NULL))
		return err_set(err, "server_gone",
		    "the server that sent this event is not set up here any more");
	snprintf(out, FORWARD_HOST, "%s", url.host);
	return true;
}

enum forward_address forward_address(struct forwarder *f, const struct event_entry *entry,
    struct url *url, char host[FORWARD_HOST], struct err *err)
{
	const struct forwarder_options *o = &f->options;
	bool github = entry->lane == EVENTS_GITHUB;
	const char *template = github ? o->github_template : o->url_template;
	struct eyes_event_place place = {.server = eyes_base(o->eyes),
	    .organization = o->organization,
	    .server_host = host,
	    .instance = o->instance};
	struct url other;

	if (!server_host(f, entry, host, err))
		return ADDRESS_GONE;
	if (eyes_event_url(template, &place, url, err))
		return ADDRESS_GOOD;
	/* Only a GitHub event says its own host: with another one it shows whose fault it is. */
	place.server_host = "github.com";
	if (github && eyes_event_url(template, &place, &other, NULL))
		return ADDRESS_EVENT;
	err_hint(err, "Correct %s and restart eyes-scm.",
	    github ? "EYES_GITHUB_WEBHOOK_URL" : "EYES_WEBHOOK_URL");
	return ADDRESS_WRONG;
}
