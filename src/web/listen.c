/* The listeners: the control socket and TCP. */
#include "base/log.h"
#include "web/web_internal.h"
#include <errno.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128
#define LIST_MAX 16
#define EMFILE_PAUSE_MS 200

static void listen_again(void *arg)
{
	struct listening *listening = arg;

	if (gate_has_room(listening->gate))
		evconnlistener_enable(listening->listener);
}

/* libevent hands the error callback what evhttp gave it, which is nothing of ours: the listener
 * itself tells which one it is. */
static LIST_HEAD(, listening) listenings = LIST_HEAD_INITIALIZER(listenings);

/* Without this, libevent tries again at once for ever: a hundred million log lines when file
 * descriptors run out. */
static void accept_failed(struct evconnlistener *listener, void *evhttp)
{
	int error = EVUTIL_SOCKET_ERROR();
	struct listening *listening;

	(void)evhttp;
	LIST_FOREACH(listening, &listenings, link)
	{
		if (listening->listener != listener)
			continue;
		log_limited_error(&listening->limit, "web", "a connection cannot be accepted",
		    log_str("reason", strerror(error)));
		evconnlistener_disable(listener);
		loop_timer_set(&listening->pause, EMFILE_PAUSE_MS);
		return;
	}
}

static bool add_listener(
    struct web *web, struct evhttp *http, struct gate *gate, int fd, struct err *err)
{
	struct evhttp_bound_socket *bound = evhttp_accept_socket_with_handle(http, fd);
	struct listening *listening = &web->listening[web->listening_count];

	if (bound == NULL)
		return err_set(err, "listen_failed", "the listening socket cannot be watched");
	listening->web = web;
	listening->gate = gate;
	listening->listener = evhttp_bound_socket_get_listener(bound);
	loop_timer_init(&listening->pause, web->loop, listen_again, listening);
	evconnlistener_set_error_cb(listening->listener, accept_failed);
	LIST_INSERT_HEAD(&listenings, listening, link);
	web->listening_count++;
	return true;
}

static bool listen_control(struct web *web, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(web->control_path) >= sizeof(address.sun_path)) {
		err_set(err, "path_too_long",
		    "the path of the control socket is too long: %s has %zu bytes, at most %zu "
		    "work",
		    web->control_path, strlen(web->control_path), sizeof(address.sun_path) - 1);
		err_hint(err, "Use a state folder with a shorter path (--state-dir).");
		return false;
	}
	memcpy(address.sun_path, web->control_path, strlen(web->control_path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* The store's lock says that no other daemon uses this folder: what is there was left
	 * behind. */
	unlink(web->control_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    chmod(web->control_path, 0600) != 0 || listen(fd, BACKLOG) != 0) {
		err_set(err, "listen_failed", "the control socket %s cannot be made: %s",
		    web->control_path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	return add_listener(web, web->control, web->control_gate, fd, err);
}

static bool listen_tcp(struct web *web, struct evhttp *http, struct gate *gate,
    const struct web_listen *where, struct err *err)
{
	int on = 1, family = where->address.ss_family;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int failure;

	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		setsockopt(
		    fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* accepted ones inherit it */
		if (family == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
		if (bind(fd, (const struct sockaddr *)&where->address, where->length) == 0 &&
		    listen(fd, BACKLOG) == 0)
			return add_listener(web, http, gate, fd, err);
	}
	failure = errno;
	if (fd >= 0)
		close(fd);
	err_set(err, "listen_failed", "cannot listen on %s: %s", where->text, strerror(failure));
	if (failure == EADDRINUSE)
		err_hint(err, "Another program uses that port. Stop it, or give eyes-scm another "
		              "one: PORT or --listen.");
	else
		err_hint(err, "Choose an address of this machine and a port above 1023 with "
		              "--listen ADDR:PORT.");
	return false;
}

/* With the port that the system chose where 0 was asked for. */
static void say_listening(const struct web *web, const char *text, const char *message)
{
	struct evconnlistener *listener = web->listening[web->listening_count - 1].listener;
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	char real[96];
	size_t host = strlen(text);
	unsigned port = 0;

	if (getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &length) == 0)
		port = ntohs(address.ss_family == AF_INET6
		                 ? ((struct sockaddr_in6 *)&address)->sin6_port
		                 : ((struct sockaddr_in *)&address)->sin_port);
	if (host > 2 && strcmp(text + host - 2, ":0") == 0 && port != 0) {
		snprintf(real, sizeof(real), "%.*s:%u", (int)(host - 2), text, port);
		text = real;
	}
	log_info("web", message, log_str("address", text));
}

/* All of a list; false when none of it can be had, or one that must be. */
static bool listen_list(struct web *web, struct evhttp *http, struct gate *gate,
    const struct web_listen *list, unsigned count, const char *message, struct err *err)
{
	unsigned listening = 0;

	for (unsigned i = 0; i < count && i < LIST_MAX; i++) {
		if (listen_tcp(web, http, gate, &list[i], err)) {
			say_listening(web, list[i].text, message);
			listening++;
		} else if (!list[i].may_fail) {
			return false;
		} else {
			log_debug("web", "not listening", log_err(err));
		}
	}
	return listening > 0 || count == 0;
}

bool listen_all(struct web *web, const struct web_options *options, struct err *err)
{
	return listen_control(web, err) &&
	       listen_list(web, web->tcp, web->gate, options->listen, options->listen_count,
	           "listening", err) &&
	       listen_list(web, web->events, web->events_gate, options->events_listen,
	           options->events_listen_count, "listening for events", err);
}

void listen_end(struct web *web)
{
	for (unsigned i = 0; i < web->listening_count; i++) {
		loop_timer_cancel(&web->listening[i].pause);
		LIST_REMOVE(&web->listening[i], link);
	}
	if (web->listening_count > 0)
		unlink(web->control_path);
}
