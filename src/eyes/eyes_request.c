#include "eyes/eyes_request.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WAIT_FIRST_MS = 1000, WAIT_LIMIT_MS = 30000, WAIT_LEAST_MS = 100 };

static void add(struct eyes_headers *headers, const char *name, const char *value)
{
	headers->list[headers->count++] = (struct http_header){.name = name, .value = value};
}

void eyes_request_headers(struct eyes_headers *headers, const char *instance, uint64_t number,
    unsigned repeat, const struct secret *key, int64_t wall_ms)
{
	headers->count = 0;
	clock_http_date(headers->date, wall_ms);
	int length =
	    snprintf(headers->id, sizeof(headers->id), "%" PRIu64 "--%.40s", number, instance);
	if (repeat > 0)
		snprintf(headers->id + length, sizeof(headers->id) - (size_t)length, "#%u", repeat);

	add(headers, "Accept", "application/json");
	add(headers, "Content-Type", "application/json");
	add(headers, "User-Agent", "eyes-scm/" EYES_SCM_VERSION);
	add(headers, "x-applitools-eyes-client", "eyes-scm/" EYES_SCM_VERSION);
	add(headers, "x-applitools-eyes-client-request-id", headers->id);
	add(headers, "Eyes-Date", headers->date);
	add(headers, "Eyes-Expect-Version", "2");
	add(headers, "Eyes-Expect", "202+result");
	if (key != NULL && key->data != NULL) {
		add(headers, "X-Eyes-Api-Key", key->data);
		headers->list[headers->count - 1].secret = true;
	}
}

bool eyes_request_url(struct url *out, const struct url *base, const char *path, struct err *err)
{
	char origin[320];
	char text[sizeof(out->path) + sizeof(out->query) + sizeof(base->path) + sizeof(origin)];

	url_origin(base, origin, sizeof(origin));
	int length = snprintf(text, sizeof(text), "%s%s%s", origin, base->path, path);
	if (length < 0 || (size_t)length >= sizeof(text))
		return err_set(err, "eyes_malformed", "the address is longer than %zu bytes",
		    sizeof(text) - 1);
	return url_parse(out, text, err);
}

static bool under(const char *path, const char *context)
{
	size_t length = strlen(context);

	return strncmp(path, context, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

bool eyes_request_location(struct url *out, const struct url *base, const struct url *asked,
    const char *location, struct err *err)
{
	char path[sizeof(out->path)];

	if (!url_resolve(out, asked, location, err))
		return false;
	out->tls = base->tls;
	out->ipv6 = base->ipv6;
	out->port = base->port;
	memcpy(out->host, base->host, sizeof(out->host));
	if (under(out->path, base->path))
		return true;
	int length = snprintf(path, sizeof(path), "%s%s", base->path, out->path);
	if (length < 0 || (size_t)length >= sizeof(path))
		return err_set(err, "eyes_malformed",
		    "the path of Location is longer than %zu bytes", sizeof(path) - 1);
	memcpy(out->path, path, (size_t)length + 1);
	return true;
}

uint64_t eyes_request_wait_ms(int64_t retry_after_ms, unsigned n, uint32_t first_ms)
{
	uint64_t wait = first_ms != 0 ? first_ms : WAIT_FIRST_MS;
	uint64_t least = wait < WAIT_LEAST_MS ? wait : WAIT_LEAST_MS;

	if (retry_after_ms >= 0)
		return (uint64_t)retry_after_ms > least ? (uint64_t)retry_after_ms : least;
	for (unsigned i = 0; i < n && wait < WAIT_LIMIT_MS; i++)
		wait *= 2;
	return wait < WAIT_LIMIT_MS ? wait : WAIT_LIMIT_MS;
}
