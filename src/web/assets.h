/*
 * assets: the page's files, in the program itself, or from a folder while developing
 * (--static-dir).
 *
 * The page is asked for anew each time (ETag): there is one for each screen that it may begin with,
 * so that the screen is seen before any module runs (static/first.html). Everything else lies under
 * /a/{build}/, an address that changes with the contents, and may be kept for ever. Files are
 * gzipped at build time; a browser that does not take gzip gets them plain.
 *
 * The embedded files go by the gate's direct road, with heads that are written once: GET and HEAD
 * in HTTP/1.1, under a name that is allowed, of a path that stands for a file as it is. Anything
 * else goes through evhttp, and comes to assets_serve if it is a file after all; the answers are
 * the same.
 */
#ifndef WEB_ASSETS_H
#define WEB_ASSETS_H

#include "web/gate.h"

struct asset {
	const char *path;
	const char *data, *end;
	const char *gzip, *gzip_end;
};
extern const struct asset
    assets_embedded[]; /* made by packaging/embed-assets; ends with a NULL path */
extern const char assets_build[];

struct assets; /* the prepared heads of one server */
struct assets *assets_new(void);
void assets_free(struct assets *assets); /* NULL is fine */
/* Of gate_options; arg is struct web. */
gate_take_fn assets_take;

struct web_request;
/* Answers GET and HEAD of a file; false when there is none at this path. */
bool assets_serve(struct web_request *request, const char *path);

#endif
