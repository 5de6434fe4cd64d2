#include "store/servers_memory.h"

#include "base/mem.h"
#include "base/url.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LOOKUP_MAX = 512 };

/* One base URL of a server, or an alias, in the form that is compared. */
struct server_base {
	char *text;      /* "https://host[:port]/context" */
	char *host;      /* "host" */
	char *authority; /* "host:port", or "host" with the scheme's own port */
	struct server_base *next;
};

struct server_memory {
	struct record_server record; /* owns its strings */
	struct server_base *bases;
};

struct server_lookup {
	char url[LOOKUP_MAX];
	const struct record_server *found;
};

static void base_form(const struct url *url, char *out, size_t size)
{
	size_t length;

	url_origin(url, out, size);
	length = strlen(out);
	snprintf(out + length, size - length, "%s", url->path);
	for (length = strlen(out); length > 0 && out[length - 1] == '/'; length--)
		out[length - 1] = '\0';
}

static void add_base(struct server_memory *server, const char *text)
{
	struct url url;
	char form[URL_TEXT], authority[URL_ORIGIN];
	struct server_base **at = &server->bases;

	if (!url_parse(&url, text, NULL))
		return;
	base_form(&url, form, sizeof(form));
	url_authority(&url, authority, sizeof(authority));
	while (*at != NULL)
		at = &(*at)->next;
	*at = mem_zero(sizeof(**at));
	**at = (struct server_base){.text = mem_string(form),
	    .host = mem_string(url.host),
	    .authority = mem_string(authority)};
}

static void add_aliases(struct server_memory *server, const char *aliases)
{
	char *copy = mem_string(aliases), *rest = NULL;

	for (char *word = strtok_r(copy, " \t\n", &rest); word != NULL;
	     word = strtok_r(NULL, " \t\n", &rest))
		add_base(server, word);
	free(copy);
}

static char *own(const char *text)
{
	return mem_string(text != NULL ? text : "");
}

static struct server_memory *server_new(const struct record_server *record)
{
	struct server_memory *server = mem_zero(sizeof(*server));

	server->record = *record;
	server->record.kind = own(record->kind);
	server->record.url = own(record->url);
	server->record.aliases = own(record->aliases);
	server->record.ca_pem = own(record->ca_pem);
	server->record.product = own(record->product);
	server->record.version = own(record->version);
	add_base(server, server->record.url);
	add_aliases(server, server->record.aliases);
	return server;
}

static void server_free(struct server_memory *server)
{
	const char *texts[] = {server->record.kind, server->record.url, server->record.aliases,
	    server->record.ca_pem, server->record.product, server->record.version};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		free((char *)(uintptr_t)texts[i]);
	while (server->bases != NULL) {
		struct server_base *base = server->bases;
		server->bases = base->next;
		free(base->text);
		free(base->host);
		free(base->authority);
		free(base);
	}
	free(server);
}

static void forget_lookup(struct servers_memory *servers)
{
	if (servers->last == NULL)
		servers->last = mem_zero(sizeof(*servers->last));
	servers->last->url[0] = '\0';
}

void servers_memory_free(struct servers_memory *servers)
{
	for (unsigned i = 0; i < servers->count; i++)
		server_free(servers->list[i]);
	free(servers->list);
	free(servers->last);
	*servers = (struct servers_memory){0};
}

void servers_memory_set(struct servers_memory *servers, const struct record_server *record)
{
	struct server_memory *server = server_new(record); /* before the old one's strings go */

	forget_lookup(servers);
	for (unsigned i = 0; i < servers->count; i++) {
		if (servers->list[i]->record.id != record->id)
			continue;
		server_free(servers->list[i]);
		servers->list[i] = server;
		return;
	}
	servers->list = mem_grow(servers->list, servers->count + 1, sizeof(struct server_memory *));
	servers->list[servers->count++] = server;
}

void servers_memory_remove(struct servers_memory *servers, uint32_t id)
{
	unsigned kept = 0;

	forget_lookup(servers);
	for (unsigned i = 0; i < servers->count; i++) {
		if (servers->list[i]->record.id == id)
			server_free(servers->list[i]);
		else
			servers->list[kept++] = servers->list[i];
	}
	servers->count = kept;
}

const struct record_server *servers_memory_at(const struct servers_memory *servers, unsigned index)
{
	return index < servers->count ? &servers->list[index]->record : NULL;
}

const struct record_server *servers_memory_find(const struct servers_memory *servers, uint32_t id)
{
	for (unsigned i = 0; i < servers->count; i++)
		if (servers->list[i]->record.id == id)
			return &servers->list[i]->record;
	return NULL;
}

static const struct record_server *by_text(const struct servers_memory *servers, const char *text)
{
	for (unsigned i = 0; i < servers->count; i++)
		for (const struct server_base *base = servers->list[i]->bases; base != NULL;
		     base = base->next)
			if (strcmp(base->text, text) == 0)
				return &servers->list[i]->record;
	return NULL;
}

/* "host[:port]": first the one with exactly this port, else the first on this host. */
static const struct record_server *by_host(const struct servers_memory *servers, const char *name)
{
	const struct record_server *first = NULL;

	for (unsigned i = 0; i < servers->count; i++) {
		for (const struct server_base *base = servers->list[i]->bases; base != NULL;
		     base = base->next) {
			if (strcasecmp(base->authority, name) == 0)
				return &servers->list[i]->record;
			if (first == NULL && strcasecmp(base->host, name) == 0)
				first = &servers->list[i]->record;
		}
	}
	return first;
}

static const struct record_server *search(const struct servers_memory *servers, const char *text)
{
	char form[URL_TEXT];
	struct url url;

	if (strstr(text, "://") == NULL)
		return by_host(servers, text);
	if (!url_parse(&url, text, NULL))
		return NULL;
	base_form(&url, form, sizeof(form));
	return by_text(servers, form);
}

const struct record_server *servers_memory_by_url(
    const struct servers_memory *servers, const char *url)
{
	struct server_lookup *last = servers->last;

	if (last == NULL || *url == '\0' || strlen(url) >= LOOKUP_MAX)
		return last == NULL || *url == '\0' ? NULL : search(servers, url);
	if (strcmp(last->url, url) != 0) {
		last->found = search(servers, url);
		snprintf(last->url, sizeof(last->url), "%s", url);
	}
	return last->found;
}
