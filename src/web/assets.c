#include "web/assets.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "web/web.h"
#include <event2/buffer.h>
#include <event2/http.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_BYTES (1 << 20)

static const struct {
	const char *suffix, *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".svg", "image/svg+xml"},
};

static const char *type_of(const char *path)
{
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot != NULL && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(dot, types[i].suffix) == 0)
			return types[i].type;
	return NULL;
}

/* "/" and "/index.html", or "/a/{build}/name" (whatever build: an old page still gets what there
 * is). */
static const char *name_of(const char *path)
{
	const char *slash;

	if (strcmp(path, "/") == 0 || strcmp(path, "/index.html") == 0)
		return "index.html";
	if (strncmp(path, "/a/", 3) != 0 || (slash = strchr(path + 3, '/')) == NULL)
		return NULL;
	return slash + 1;
}

static void common_headers(struct evkeyvalq *headers, const char *name)
{
	evhttp_add_header(headers, "Content-Type", type_of(name));
	evhttp_add_header(headers, "Vary", "Accept-Encoding");
	evhttp_add_header(headers, "Cache-Control",
	    strcmp(name, "index.html") == 0 ? "no-cache" : "public, max-age=31536000, immutable");
}

static bool serve_embedded(struct web_request *request, const char *name, const struct asset *asset)
{
	struct evkeyvalq *in = evhttp_request_get_input_headers(request->http);
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request->http);
	const char *match = evhttp_find_header(in, "If-None-Match");
	const char *accepted = evhttp_find_header(in, "Accept-Encoding");
	bool gzip = accepted != NULL && strstr(accepted, "gzip") != NULL;
	const char *data = gzip ? asset->gzip : asset->data;
	size_t length = (size_t)(gzip ? asset->gzip_end - asset->gzip : asset->end - asset->data);
	struct evbuffer *body;
	char etag[40];

	snprintf(etag, sizeof(etag), "\"%s%s\"", assets_build, gzip ? "-gz" : "");
	common_headers(headers, name);
	evhttp_add_header(headers, "ETag", etag);
	if (match != NULL && strstr(match, etag) != NULL) {
		web_send(request, 304, NULL);
		return true;
	}
	if (gzip)
		evhttp_add_header(headers, "Content-Encoding", "gzip");
	body = evbuffer_new();
	if (body == NULL)
		fatal("out of memory");
	evbuffer_add_reference(body, data, length, NULL, NULL);
	web_send(request, 200, body);
	evbuffer_free(body);
	return true;
}

/* While developing: read each time, never kept. */
static bool serve_file(struct web_request *request, const char *folder, const char *name)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request->http);
	char path[4096];
	struct evbuffer *body;
	struct stat st;
	int fd;

	if (strstr(name, "..") != NULL ||
	    (size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) >= sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX_BYTES) {
		close(fd);
		return false;
	}
	body = evbuffer_new();
	if (body == NULL)
		fatal("out of memory");
	evbuffer_add_file(body, fd, 0, st.st_size); /* closes fd */
	evhttp_add_header(headers, "Content-Type", type_of(name));
	evhttp_add_header(headers, "Cache-Control", "no-store");
	web_send(request, 200, body);
	evbuffer_free(body);
	return true;
}

bool assets_serve(struct web_request *request, const char *path, const char *folder)
{
	const char *name = name_of(path);

	if (folder != NULL && name == NULL && path[0] == '/')
		name = path + 1; /* the page's own addresses, as they stand in the folder */
	if (name == NULL || type_of(name) == NULL)
		return false;
	if (folder != NULL)
		return serve_file(request, folder, name);
	for (const struct asset *asset = assets_embedded; asset->path != NULL; asset++)
		if (strcmp(asset->path, name) == 0)
			return serve_embedded(request, name, asset);
	return false;
}
