/*
 * A scripted server for the tests: listens on 127.0.0.1 (or ::1, or a Unix socket), a thread for
 * each connection, and what a connection does is a function of the test. Reads block, with a limit
 * of 10 s.
 */
#ifndef UNIT_NET_PEER_H
#define UNIT_NET_PEER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define PEER_CONNECTIONS 64

struct peer;
struct peer_conn {
	struct peer *peer;
	int fd, number; /* 0 is the first connection */
	SSL *ssl;
	char request[65536]; /* the last one, with its body; NUL-terminated */
	size_t length;
};
typedef void peer_fn(struct peer_conn *conn);

struct peer {
	int listener;
	uint16_t port;
	SSL_CTX *tls; /* NULL: plain; may change between connections */
	peer_fn *serve;
	void *arg;
	pthread_t acceptor, threads[PEER_CONNECTIONS];
	atomic_int accepted, requests, resumed;
};

static inline ssize_t peer_read(struct peer_conn *conn, void *data, size_t size)
{
	return conn->ssl != NULL ? SSL_read(conn->ssl, data, (int)size)
	                         : recv(conn->fd, data, size, 0);
}

static inline bool peer_write(struct peer_conn *conn, const void *data, size_t length)
{
	if (length == 0)
		return true;
	if (conn->ssl != NULL)
		return SSL_write(conn->ssl, data, (int)length) == (int)length;
	return send(conn->fd, data, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static inline bool peer_say(struct peer_conn *conn, const char *text)
{
	return peer_write(conn, text, strlen(text));
}

/* A whole request with its Content-Length body; false at the end of the connection. */
static inline bool peer_request(struct peer_conn *conn)
{
	size_t wanted = SIZE_MAX;

	conn->length = 0;
	while (conn->length < wanted) {
		ssize_t n = peer_read(
		    conn, conn->request + conn->length, sizeof conn->request - 1 - conn->length);
		if (n <= 0)
			return false;
		conn->length += (size_t)n;
		conn->request[conn->length] = '\0';
		const char *end = strstr(conn->request, "\r\n\r\n");
		const char *body = strstr(conn->request, "Content-Length:");
		if (end != NULL)
			wanted = (size_t)(end + 4 - conn->request) +
			         (body != NULL && body < end ? (size_t)atol(body + 15) : 0);
	}
	atomic_fetch_add(&conn->peer->requests, 1);
	return true;
}

static inline bool peer_starts(const struct peer_conn *conn, const char *text)
{
	return strncmp(conn->request, text, strlen(text)) == 0;
}

/* Waits until the other side closes. */
static inline void peer_wait_end(struct peer_conn *conn)
{
	char byte;

	while (peer_read(conn, &byte, 1) > 0)
		;
}

/* The end as a reset, not as an orderly close. */
static inline void peer_reset(struct peer_conn *conn)
{
	struct linger linger = {1, 0};

	setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

/* TLS on a connection that was plain so far (behind a tunnel). */
static inline bool peer_start_tls(struct peer_conn *conn, SSL_CTX *context)
{
	conn->ssl = SSL_new(context);
	SSL_set_fd(conn->ssl, conn->fd);
	if (SSL_accept(conn->ssl) != 1)
		return false;
	if (SSL_session_reused(conn->ssl))
		atomic_fetch_add(&conn->peer->resumed, 1);
	return true;
}

static inline void *peer_conn_thread(void *arg)
{
	struct peer_conn *conn = arg;

	if (conn->peer->tls == NULL || peer_start_tls(conn, conn->peer->tls))
		conn->peer->serve(conn);
	if (conn->ssl != NULL)
		SSL_free(conn->ssl);
	close(conn->fd);
	free(conn);
	return NULL;
}

static inline void *peer_accept_thread(void *arg)
{
	struct peer *peer = arg;
	const struct timeval limit = {.tv_sec = 10};
	int fd, yes = 1;

	while ((fd = accept(peer->listener, NULL, NULL)) >= 0) {
		struct peer_conn *conn = calloc(1, sizeof *conn);
		int number = atomic_load(&peer->accepted);

		if (number >= PEER_CONNECTIONS)
			abort();
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
		conn->peer = peer;
		conn->fd = fd;
		conn->number = number;
		atomic_store(&peer->accepted, number + 1); /* before it can answer */
		if (pthread_create(&peer->threads[number], NULL, peer_conn_thread, conn) != 0)
			abort();
	}
	return NULL;
}

static inline void peer_listen(struct peer *peer, const struct sockaddr *address, socklen_t length,
    SSL_CTX *tls, peer_fn *serve)
{
	struct sockaddr_in6 bound;
	socklen_t bound_length = sizeof bound;

	memset(peer, 0, sizeof *peer);
	peer->tls = tls;
	peer->serve = serve;
	peer->listener = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(peer->listener, address, length) != 0 || listen(peer->listener, 64) != 0)
		abort();
	if (address->sa_family != AF_UNIX) {
		getsockname(peer->listener, (struct sockaddr *)&bound, &bound_length);
		peer->port = ntohs(bound.sin6_port);
	}
	if (pthread_create(&peer->acceptor, NULL, peer_accept_thread, peer) != 0)
		abort();
}

static inline void peer_start(struct peer *peer, SSL_CTX *tls, peer_fn *serve)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	peer_listen(peer, (struct sockaddr *)&address, sizeof address, tls, serve);
}

/* The client must be gone or have closed its connections. */
static inline void peer_stop(struct peer *peer)
{
	shutdown(peer->listener, SHUT_RDWR);
	pthread_join(peer->acceptor, NULL);
	close(peer->listener);
	for (int i = 0; i < atomic_load(&peer->accepted); i++)
		pthread_join(peer->threads[i], NULL);
}

#endif
