#include "app/options_listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CODE "option_invalid"

static bool refuse(struct err *err)
{
	return err_set(err, CODE,
	    "needs addresses such as 127.0.0.1:4000,[::1]:4000, localhost or * (names are not "
	    "looked "
	    "up)");
}

static bool make_ipv4(struct options_listen *listen, const char *host, uint16_t port)
{
	struct sockaddr_in *address = (struct sockaddr_in *)&listen->address;

	*address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
	listen->length = sizeof(*address);
	snprintf(listen->text, sizeof(listen->text), "%s:%u", host, port);
	return inet_pton(AF_INET, host, &address->sin_addr) == 1;
}

static bool make_ipv6(struct options_listen *listen, const char *host, uint16_t port)
{
	struct sockaddr_in6 *address = (struct sockaddr_in6 *)&listen->address;

	*address = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
	listen->length = sizeof(*address);
	snprintf(listen->text, sizeof(listen->text), "[%s]:%u", host, port);
	return inet_pton(AF_INET6, host, &address->sin6_addr) == 1;
}

/* The two halves of what is both; each may be missing on this machine. */
static void make_both(
    struct options_listen *listen, const char *ipv4, const char *ipv6, uint16_t port)
{
	make_ipv4(&listen[0], ipv4, port);
	make_ipv6(&listen[1], ipv6, port);
	listen[0].may_fail = listen[1].may_fail = true;
}

static bool parse_port(const char *text, uint16_t *port)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 5 || text[digits] != '\0' || atoi(text) > 65535)
		return false;
	*port = (uint16_t)atoi(text);
	return true;
}

/* Takes "ADDR", "[ADDR]", "ADDR:PORT" and "[ADDR]:PORT" apart, in place. */
static bool split(char *entry, char **host, uint16_t *port, bool *bracketed)
{
	char *end;

	*bracketed = entry[0] == '[';
	*host = *bracketed ? entry + 1 : entry;
	end = *bracketed ? strchr(entry, ']') : entry + strcspn(entry, ":");
	if (end == NULL || (!*bracketed && strchr(end + (*end == ':'), ':') != NULL))
		return false;
	if (*bracketed)
		*end++ = '\0';
	if (*end == '\0')
		return true;
	if (*end != ':')
		return false;
	*end = '\0';
	return parse_port(end + 1, port);
}

/* Adds one or two. False when the entry is none. */
static bool add_entry(struct options_listen *listen, unsigned *count, char *entry, uint16_t port)
{
	char *host;
	bool bracketed;

	memset(listen, 0, 2 * sizeof(*listen));
	if (!split(entry, &host, &port, &bracketed))
		return false;
	*count += 1;
	if (bracketed)
		return make_ipv6(listen, host, port);
	if (strcmp(host, "localhost") == 0)
		make_both(listen, "127.0.0.1", "::1", port);
	else if (strcmp(host, "*") == 0)
		make_both(listen, "0.0.0.0", "::", port);
	else
		return make_ipv4(listen, host, port);
	*count += 1;
	return true;
}

bool options_listen_parse(struct options_listen list[OPTIONS_LISTEN], unsigned *count,
    const char *text, uint16_t port, struct err *err)
{
	char copy[1024];
	char *next = copy, *entry;

	*count = 0;
	if (strlen(text) >= sizeof(copy))
		return refuse(err);
	strcpy(copy, text);
	while ((entry = strsep(&next, ",")) != NULL) {
		entry += strspn(entry, " ");
		entry[strcspn(entry, " ")] = '\0';
		if (*count + 2 > OPTIONS_LISTEN)
			return err_set(err, CODE, "names more than %d addresses", OPTIONS_LISTEN);
		if (!add_entry(&list[*count], count, entry, port))
			return refuse(err);
	}
	for (unsigned i = 0; i < *count; i++)
		for (unsigned j = 0; j < i; j++)
			if (strcmp(list[i].text, list[j].text) == 0 &&
			    strcmp(strrchr(list[i].text, ':'), ":0") != 0)
				return err_set(err, CODE, "names %s twice", list[i].text);
	return true;
}
