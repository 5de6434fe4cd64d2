#include "sim/sim_connection.h"

#include "base/mem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 1024

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
    int length, void *arg)
{
	(void)listener;
	(void)address;
	(void)length;
	sim_connection_open(arg, fd);
}

/* Out of descriptors, most likely: let the loop close some before accepting again. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct sim_server *server = arg;
	evconnlistener_disable(listener);
	loop_timer_set(&server->listen_again, 100);
}

static int parse_address(struct sockaddr_storage *address, const char *text, int port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		return sizeof(*v6);
	}
	return 0;
}

static bool listen_on(struct sim_server *server, struct err *err)
{
	struct sockaddr_storage address;
	int length = parse_address(&address, server->bind, server->port);
	if (length == 0)
		return err_set(err, "bind", "%s is not an IP address", server->bind);
	server->listener = evconnlistener_new_bind(loop_base(server->loop), on_accept, server,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, BACKLOG,
	    (struct sockaddr *)&address, length);
	if (!server->listener)
		return err_set(err, "bind", "cannot listen on %s port %d: %s", server->bind,
		    server->port, strerror(errno));
	evconnlistener_set_error_cb(server->listener, on_accept_error);
	int fd = evconnlistener_get_fd(server->listener);
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* accepted ones inherit it */
	socklen_t size = sizeof(address);
	getsockname(fd, (struct sockaddr *)&address, &size);
	server->port =
	    ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
	                                        : ((struct sockaddr_in *)&address)->sin_port);
	return true;
}

static void on_listen_again(void *arg)
{
	struct sim_server *server = arg;
	struct err err = ERR_INIT;
	if (server->listener)
		evconnlistener_enable(server->listener);
	else if (!listen_on(server, &err))
		loop_timer_set(&server->listen_again, 100); /* somebody has the port: try again */
}

struct sim_server *sim_server_new(
    struct loop *loop, const struct sim_server_options *options, struct err *err)
{
	struct sim_server *server = mem_zero(sizeof(*server));
	server->loop = loop;
	server->options = *options;
	server->bind = mem_string(options->bind);
	server->port = options->port;
	loop_timer_init(&server->listen_again, loop, on_listen_again, server);
	if (listen_on(server, err))
		return server;
	free(server->bind);
	free(server);
	return NULL;
}

static void server_free(void *arg)
{
	struct sim_server *server = arg;
	free(server->bind);
	free(server);
}

void sim_server_free(struct sim_server *server)
{
	if (!server)
		return;
	loop_timer_cancel(&server->listen_again);
	if (server->listener)
		evconnlistener_free(server->listener);
	while (server->connections)
		sim_connection_close(server->connections, false);
	loop_defer(server->loop, server_free, server);
}

void sim_server_down(struct sim_server *server, struct sim_request *but, uint32_t ms)
{
	if (server->listener)
		evconnlistener_free(server->listener);
	server->listener = NULL;
	struct sim_connection *next;
	for (struct sim_connection *c = server->connections; c; c = next) {
		next = c->next;
		if (!but || c != but->connection)
			sim_connection_close(c, false);
		else
			c->close_after = true;
	}
	loop_timer_set(&server->listen_again, ms);
}

int sim_server_port(const struct sim_server *server)
{
	return server->port;
}

const struct sim_server_counts *sim_server_counts(const struct sim_server *server)
{
	return &server->counts;
}

void sim_server_clear_counts(struct sim_server *server)
{
	server->counts = (struct sim_server_counts){.open = server->counts.open};
}
