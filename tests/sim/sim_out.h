/*
 * sim_out: requests that a simulator makes itself, with the project's HTTP client.
 *
 * https targets are trusted by ca.pem of the simulator's --tls-dir, read at the first one; tests
 * whose servers share the folder need nothing else. A request calls its completion exactly once,
 * never inside sim_out_post, and never after sim_out_free.
 */
#ifndef SIM_OUT_H
#define SIM_OUT_H

#include "net/http_client.h"

struct sim_out;

struct sim_out_post {
	const char *url;
	const struct http_header *headers;
	unsigned header_count;
	const char *body;
	size_t length;
	uint32_t timeout_ms;
	unsigned connections; /* to one target at once */
};

/* tls_folder: NULL when there is none; then https targets cannot be reached. */
struct sim_out *sim_out_new(struct loop *loop, const char *tls_folder);
void sim_out_free(struct sim_out *out);
/* NULL with err for what cannot be sent at all: no completion then. */
struct http_request *sim_out_post(
    struct sim_out *out, const struct sim_out_post *post, http_fn *fn, void *arg, struct err *err);

#endif
