#include "sim/sim_out.h"

#include "base/mem.h"
#include <stdlib.h>

struct sim_out {
	struct resolver *resolver;
	struct http_client *client;
	struct worker *worker;
	struct tls_trust *trust;
	struct loop *loop;
	char *ca; /* path of ca.pem */
	bool asked;
};

struct sim_out *sim_out_new(struct loop *loop, const char *tls_folder)
{
	struct sim_out *out = mem_zero(sizeof(*out));
	struct err err = ERR_INIT;
	out->loop = loop;
	out->ca = tls_folder ? mem_printf("%s/ca.pem", tls_folder) : NULL;
	out->resolver = resolver_new(loop, &err);
	out->client = out->resolver ? http_client_new(loop, out->resolver, NULL, &err) : NULL;
	if (!out->client)
		fatal("outgoing requests: %s", err.message);
	return out;
}

void sim_out_free(struct sim_out *out)
{
	if (!out)
		return;
	http_client_free(out->client);
	resolver_free(out->resolver);
	if (out->worker)
		worker_free(out->worker);
	tls_trust_unref(out->trust);
	free(out->ca);
	free(out);
}

/* The certificate may have been made after we started: asked again while it was not there. */
static bool trust_ready(struct sim_out *out, struct err *err)
{
	if (!out->ca)
		return err_set(err, "tls_dir", "an https target needs --tls-dir");
	if (!out->worker)
		out->worker = worker_new(out->loop, "ca", err);
	if (!out->trust)
		out->trust = tls_trust_new(NULL, err);
	if (!out->worker || !out->trust)
		return false;
	if (!out->asked || (tls_system_ready() && tls_system_error()->code))
		tls_system_load(out->worker, out->ca, NULL, NULL);
	out->asked = true;
	return true;
}

struct http_request *sim_out_post(
    struct sim_out *out, const struct sim_out_post *post, http_fn *fn, void *arg, struct err *err)
{
	struct url url;
	if (!url_parse(&url, post->url, err) || (url.tls && !trust_ready(out, err)))
		return NULL;
	struct http_options options = {.method = "POST",
	    .url = &url,
	    .trust = url.tls ? out->trust : NULL,
	    .headers = post->headers,
	    .header_count = post->header_count,
	    .body = post->body,
	    .body_length = post->length,
	    .connections = post->connections,
	    .deadlines = {.dns = post->timeout_ms,
	        .connect = post->timeout_ms,
	        .tls = post->timeout_ms,
	        .first_byte = post->timeout_ms,
	        .total = post->timeout_ms}};
	return http_client_send(out->client, &options, fn, arg, err);
}
