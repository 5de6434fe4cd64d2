/*
 * direct: the API's reads by the gate's direct road (gate.h), which spares them evhttp: GET and
 * HEAD in HTTP/1.1 without a body, over TCP, of a route that is answered in one piece. All else
 * goes through evhttp.
 *
 * What always holds: route, checks and handler are the same on both roads, and so is the answer.
 * A request with a path that no such route has is left as it is.
 */
#include "base/mem.h"
#include "net/http_codec.h"
#include "web/web_internal.h"
#include <string.h>

#define HEADERS_MAX (16 * 1024) /* bytes of an answer's; all are our own */

static bool is_read(const struct http_head *head)
{
	return head->minor > 0 && head->target[0] == '/' &&
	       (strcmp(head->method, "GET") == 0 || strcmp(head->method, "HEAD") == 0);
}

static struct web_request *new_request(
    struct web *web, struct gate_reply *reply, const struct http_head *head)
{
	struct web_request *request = mem_zero(sizeof(*request));
	char *query;

	request->web = web;
	request->service = web->service;
	request->reply = reply;
	request->head = head;
	buf_init(&request->headers, HEADERS_MAX);
	request->target = mem_string(head->target);
	query = request->target + strcspn(request->target, "?");
	request->query = *query == '?' ? query + 1 : query;
	*query = '\0';
	strncpy(request->address, gate_peer(reply), sizeof(request->address) - 1);
	strcpy(stpcpy(request->who, "browser at "), request->address);
	TAILQ_INSERT_TAIL(&web->pending, request, entry);
	return request;
}

bool web_direct_take(
    struct gate_reply *reply, const struct http_head *head, struct evbuffer *body, void *arg)
{
	struct web *web = arg;
	struct web_request *request;

	if (body != NULL || !is_read(head))
		return false;
	request = new_request(web, reply, head);
	web->reading = request;
	if (!route_read(request, request->target)) {
		web_request_free(request);
		return false;
	}
	if (web->reading != NULL) /* not answered yet: the head is another's from here on */
		request->head = NULL;
	web->reading = NULL;
	return true;
}
