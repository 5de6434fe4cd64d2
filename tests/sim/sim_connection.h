/*
 * sim_connection: one accepted socket of sim_server. Private to sim_server.c, sim_connection.c and
 * sim_request.c.
 *
 *   READING --request complete--> BUSY --answered--> READING
 *      |                            |
 *      '--- Connection: close, bad request ---> LINGERING (answer sent, waits for the client's end)
 * --> closed
 */
#ifndef SIM_CONNECTION_H
#define SIM_CONNECTION_H

#include "sim/sim_server.h"

#define SIM_SCRATCH (64 * 1024)

struct evconnlistener;
struct sim_server {
	struct loop *loop;
	struct sim_server_options options;
	char *bind;
	int port;
	struct evconnlistener *listener;
	struct loop_timer listen_again;
	struct sim_connection *connections;
	struct sim_server_counts counts;
	uint64_t last_number;
	int64_t date_second;
	char date[40];
	char scratch[SIM_SCRATCH];
};

struct sim_connection {
	struct sim_server *server;
	struct sim_connection *next, **link;
	int fd;
	SSL *ssl; /* NULL for plain */
	struct event readable, writable;
	struct loop_timer timer; /* a delayed answer, or the end of lingering */
	struct http_parser parser;
	struct buf body;   /* of the present request */
	struct buf input;  /* bytes behind it */
	struct buf output; /* from `written` on still to be sent */
	struct buf held;   /* an answer that is delayed */
	size_t written;
	bool greeted;     /* the TLS handshake is done and counted */
	bool busy;        /* the request is with the handler */
	bool in_handler;  /* ... which has not returned yet */
	bool close_after; /* nothing more is read; linger once the output is out */
	bool cut_after;   /* close hard once the output is out */
	bool reset;       /* ... with a TCP reset */
	bool lingering, paused, dead;
	struct sim_request request;
};

void sim_connection_open(struct sim_server *server, int fd);
void sim_connection_close(struct sim_connection *connection, bool reset);
/* The request was answered (its bytes are in output): go on with the next. */
void sim_connection_answered(struct sim_connection *connection);
void sim_connection_hold(struct sim_connection *connection, uint32_t ms);

/* Takes the target apart into path, query and segments. */
void sim_request_begin(struct sim_request *request, const char *target);
void sim_request_end(struct sim_request *request); /* ready for the next; keeps memory */
void sim_request_free(struct sim_request *request);
void sim_answer_plain(struct sim_connection *connection, int status, const char *text);

#endif
