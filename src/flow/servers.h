/*
 * servers: the source-control servers as the roads see them: address, trust and driver, made from
 * the records on first use.
 *
 * A `struct server` stays valid until servers_changed or servers_free; whoever starts a call hands
 * its view to the driver, which copies what it needs.
 */
#ifndef FLOW_SERVERS_H
#define FLOW_SERVERS_H

#include "scm/scm.h"
#include "store/records.h"

struct server {
	uint32_t id;
	const struct scm_driver *driver;
	struct scm_server view;
	char label[320]; /* "bitbucket.example.com[:port]": for logs and messages */
};

struct servers_options {
	struct records *records;
	unsigned connections; /* EYES_SCM_CONNECTIONS */
	uint32_t deadline_ms; /* EYES_SCM_TIMEOUT */
	/* NULL: scm_driver_by_kind. */
	const struct scm_driver *(*driver)(const char *kind);
};

struct servers;
struct servers *servers_new(const struct servers_options *options);
void servers_free(struct servers *servers);
/* NULL with err when it is not in the records or its CA or driver cannot be used. */
struct server *servers_get(struct servers *servers, uint32_t id, struct err *err);
/* The record changed or is gone: the next servers_get makes it anew. */
void servers_changed(struct servers *servers, uint32_t id);
/* A view for an address that is not in the records yet. trust is the caller's to unref. */
bool servers_view(const struct servers *servers, const char *url, const char *ca_pem,
    struct scm_server *view, struct err *err) __attribute__((warn_unused_result));

#endif
