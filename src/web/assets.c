#define _GNU_SOURCE /* memfd_create */
#include "web/assets.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "net/http_codec.h"
#include "web/web_internal.h"
#include <event2/buffer.h>
#include <event2/http.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_BYTES (1 << 20)
#define FILE_FROM (16 * 1024) /* bytes of an embedded file that is sent from a file */

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

/* The page with the screen that it begins with, as far as the server knows: a tab that is signed in
 * shows another one. */
static const char *page_name(struct web *web)
{
	struct record_account account;

	if (web->static_dir != NULL)
		return "index.html";
	if (web->eyes_url[0] == '\0' || web->organization[0] == '\0')
		return "index-eyes.html";
	return records_account(web->service->parts.records, &account) ? "index-sign-in.html"
	                                                              : "index-source.html";
}

static bool is_page(const struct asset *asset)
{
	return strncmp(asset->path, "index-", 6) == 0;
}

/* "/" and "/index.html", or "/a/{build}/name" (whatever build: an old page still gets what there
 * is). */
static const char *name_of(struct web *web, const char *path)
{
	const char *slash;

	if (strcmp(path, "/") == 0 || strcmp(path, "/index.html") == 0)
		return page_name(web);
	if (strncmp(path, "/a/", 3) != 0 || (slash = strchr(path + 3, '/')) == NULL)
		return NULL;
	return slash + 1;
}

enum { PLAIN, GZIP, FORMS };

static size_t length_of(const struct asset *asset, int form)
{
	return (size_t)(form == GZIP ? asset->gzip_end - asset->gzip : asset->end - asset->data);
}

#define OWN_HEADERS 5
#define ETAG 64

static void set_etag(char etag[ETAG], const struct asset *asset, int form)
{
	snprintf(etag, ETAG, "\"%s%s%s\"", assets_build, is_page(asset) ? asset->path + 5 : "",
	    form == GZIP ? "-gz" : "");
}

/* A file's own headers, beside those that every answer has; how many. */
static unsigned headers_of(const struct asset *asset, int form, int status, const char *etag,
    struct web_header out[OWN_HEADERS])
{
	unsigned count = 0;

	out[count++] = (struct web_header){"Content-Type", type_of(asset->path)};
	out[count++] = (struct web_header){"Vary", "Accept-Encoding"};
	out[count++] = (struct web_header){
	    "Cache-Control", is_page(asset) ? "no-cache" : "public, max-age=31536000, immutable"};
	out[count++] = (struct web_header){"ETag", etag};
	if (form == GZIP && status == 200)
		out[count++] = (struct web_header){"Content-Encoding", "gzip"};
	return count;
}

/* Whether something of a list's member may be had: no "q=0" stands behind it. */
static bool weighs(const char *member, size_t length)
{
	const char *q = memchr(member, ';', length), *end = member + length;

	while (q != NULL && ++q < end) {
		q += strspn(q, " \t");
		if ((*q == 'q' || *q == 'Q') && q[1] == '=')
			return q + 2 + strcspn(q + 2, "123456789") < end;
		q = memchr(q, ';', (size_t)(end - q));
	}
	return true;
}

/* Whether Accept-Encoding, which may be NULL, takes gzip; "*" counts where that is not named. */
static bool takes_gzip(const char *list)
{
	bool any = false;

	for (; list != NULL && *list != '\0'; list += *list == ',') {
		size_t length, name;

		list += strspn(list, " \t");
		length = strcspn(list, ",");
		name = strcspn(list, ",; \t");
		if (name == 4 && strncasecmp(list, "gzip", 4) == 0)
			return weighs(list, length);
		if (name == 1 && *list == '*')
			any = weighs(list, length);
		list += length;
	}
	return any;
}

/* How a file is answered to these two headers of a request, which may be NULL. */
static int choose(const struct asset *asset, const char *accepted, const char *match, int *form)
{
	char etag[ETAG];

	*form = takes_gzip(accepted) ? GZIP : PLAIN;
	if (match == NULL)
		return 200;
	set_etag(etag, asset, *form);
	return strstr(match, etag) != NULL ? 304 : 200;
}

/* ---- the direct road ---- */

struct prepared {
	const struct asset *asset;
	char *full[FORMS], *unchanged[FORMS]; /* heads, as gate_answer takes them */
	struct gate_file files[FORMS];        /* fd -1: none */
};

struct assets {
	int fd; /* of the large ones, in memory; -1: there is none */
	off_t end;
	struct prepared *list;
	unsigned count;
};

static void add_header(struct buf *out, const struct web_header *header)
{
	buf_printf(out, "%s: %s\r\n", header->name, header->value);
}

static char *prepare(const struct asset *asset, int form, int status)
{
	struct web_header own[OWN_HEADERS];
	char etag[ETAG];
	struct buf out;

	buf_init(&out, 4096);
	set_etag(etag, asset, form);
	for (unsigned i = 0, count = headers_of(asset, form, status, etag, own); i < count; i++)
		add_header(&out, &own[i]);
	for (const struct web_header *more = web_page_headers; more->name != NULL; more++)
		add_header(&out, more);
	if (out.overflow)
		fatal("the headers of %s are too long", asset->path);
	return buf_take(&out);
}

static const char *data_of(const struct asset *asset, int form)
{
	return form == GZIP ? asset->gzip : asset->data;
}

/* Small ones are copied faster than they are looked up. */
static struct gate_file put_file(struct assets *assets, const struct asset *asset, int form)
{
	struct gate_file file = {.fd = -1, .at = assets->end};
	size_t length = length_of(asset, form);

	if (assets->fd < 0 || length < FILE_FROM ||
	    pwrite(assets->fd, data_of(asset, form), length, assets->end) != (ssize_t)length)
		return file;
	file.fd = assets->fd;
	assets->end += (off_t)length;
	return file;
}

struct assets *assets_new(void)
{
	struct assets *assets = mem_zero(sizeof(*assets));

	assets->fd = memfd_create("assets", MFD_CLOEXEC);
	for (const struct asset *asset = assets_embedded; asset->path != NULL; asset++) {
		struct prepared *prepared;

		assets->list = mem_grow(assets->list, assets->count + 1, sizeof(struct prepared));
		prepared = &assets->list[assets->count++];
		prepared->asset = asset;
		for (int form = 0; form < FORMS; form++) {
			prepared->full[form] = prepare(asset, form, 200);
			prepared->unchanged[form] = prepare(asset, form, 304);
			prepared->files[form] = put_file(assets, asset, form);
		}
	}
	return assets;
}

void assets_free(struct assets *assets)
{
	if (assets == NULL)
		return;
	for (unsigned i = 0; i < assets->count; i++)
		for (int form = 0; form < FORMS; form++) {
			free(assets->list[i].full[form]);
			free(assets->list[i].unchanged[form]);
		}
	free(assets->list);
	if (assets->fd >= 0)
		close(assets->fd);
	free(assets);
}

/* NULL also for what may be a file, but is not written as the page writes it. */
static const struct prepared *find(struct web *web, const char *target)
{
	const struct assets *assets = web->assets;
	const char *name = name_of(web, target);

	if (name == NULL ||
	    target[strspn(target, "/abcdefghijklmnopqrstuvwxyz"
	                          "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")] != '\0')
		return NULL;
	for (unsigned i = 0; i < assets->count; i++)
		if (strcmp(assets->list[i].asset->path, name) == 0)
			return &assets->list[i];
	return NULL;
}

bool assets_take(
    struct gate_reply *reply, const struct http_head *head, struct evbuffer *body, void *arg)
{
	struct web *web = arg;
	const struct prepared *prepared;
	struct gate_answer answer = {.lasting = true};
	int form;

	if (web->assets == NULL || body != NULL || head->minor == 0 ||
	    (strcmp(head->method, "GET") != 0 && strcmp(head->method, "HEAD") != 0))
		return false;
	prepared = find(web, head->target);
	if (prepared == NULL || !guard_host_known(web, http_head_get(head, "Host")))
		return false;
	answer.status = choose(prepared->asset, http_head_get(head, "Accept-Encoding"),
	    http_head_get(head, "If-None-Match"), &form);
	if (answer.status == 200) {
		answer.headers = prepared->full[form];
		answer.body = data_of(prepared->asset, form);
		answer.file = prepared->files[form].fd >= 0 ? &prepared->files[form] : NULL;
		answer.body_length = length_of(prepared->asset, form);
	} else {
		answer.headers = prepared->unchanged[form];
	}
	gate_answer(reply, &answer);
	return true;
}

/* ---- through evhttp ---- */

static bool serve_embedded(struct web_request *request, const struct asset *asset)
{
	struct evkeyvalq *in = evhttp_request_get_input_headers(request->http);
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request->http);
	struct web_header own[OWN_HEADERS];
	struct evbuffer *body;
	char etag[ETAG];
	int form, status = choose(asset, evhttp_find_header(in, "Accept-Encoding"),
	              evhttp_find_header(in, "If-None-Match"), &form);

	set_etag(etag, asset, form);
	for (unsigned i = 0, count = headers_of(asset, form, status, etag, own); i < count; i++)
		evhttp_add_header(headers, own[i].name, own[i].value);
	if (status == 304) {
		web_send(request, 304, NULL);
		return true;
	}
	body = evbuffer_new();
	if (body == NULL)
		fatal("out of memory");
	evbuffer_add_reference(body, data_of(asset, form), length_of(asset, form), NULL, NULL);
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

bool assets_serve(struct web_request *request, const char *path)
{
	const char *name = name_of(request->web, path), *folder = request->web->static_dir;

	if (folder != NULL && name == NULL && path[0] == '/')
		name = path + 1; /* the page's own addresses, as they stand in the folder */
	if (name == NULL || type_of(name) == NULL)
		return false;
	if (folder != NULL)
		return serve_file(request, folder, name);
	for (const struct asset *asset = assets_embedded; asset->path != NULL; asset++)
		if (strcmp(asset->path, name) == 0)
			return serve_embedded(request, asset);
	return false;
}
