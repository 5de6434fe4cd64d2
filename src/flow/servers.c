#include "flow/servers.h"
#include "base/map.h"
#include "base/mem.h"
#include <stdlib.h>

struct servers {
	struct servers_options options;
	struct map by_id;
};

struct servers *servers_new(const struct servers_options *options)
{
	struct servers *servers = mem_zero(sizeof(*servers));

	servers->options = *options;
	if (servers->options.driver == NULL)
		servers->options.driver = scm_driver_by_kind;
	map_init(&servers->by_id);
	return servers;
}

static void server_free(struct server *server)
{
	tls_trust_unref(server->view.trust);
	free(server);
}

void servers_free(struct servers *servers)
{
	struct server *server;
	size_t position = 0;

	if (servers == NULL)
		return;
	while ((server = map_next(&servers->by_id, &position)) != NULL)
		server_free(server);
	map_free(&servers->by_id);
	free(servers);
}

bool servers_view(const struct servers *servers, const char *url, const char *ca_pem,
    struct scm_server *view, struct err *err)
{
	*view = (struct scm_server){0};
	if (!url_parse(&view->base, url, err))
		return false;
	view->connections = servers->options.connections;
	view->deadline_ms = servers->options.deadline_ms;
	if (!view->base.tls)
		return true;
	view->trust = tls_trust_new(ca_pem != NULL && ca_pem[0] != '\0' ? ca_pem : NULL, err);
	return view->trust != NULL;
}

struct server *servers_get(struct servers *servers, uint32_t id, struct err *err)
{
	struct server *server = map_get(&servers->by_id, &id, sizeof(id));
	const struct record_server *record;

	if (server != NULL)
		return server;
	record = records_server(servers->options.records, id);
	if (record == NULL) {
		err_set(err, "not_found", "server %u is not set up here", id);
		return NULL;
	}
	server = mem_zero(sizeof(*server));
	server->id = id;
	server->driver = servers->options.driver(record->kind);
	if (server->driver == NULL) {
		err_set(err, "store_failed", "%s is of a kind that this version does not know: %s",
		    record->url, record->kind);
		goto fail;
	}
	if (!servers_view(servers, record->url, record->ca_pem, &server->view, err))
		goto fail;
	server->view.capabilities = record->capabilities;
	url_authority(&server->view.base, server->label, sizeof(server->label));
	map_put(&servers->by_id, &server->id, sizeof(server->id), server);
	return server;
fail:
	server_free(server);
	return NULL;
}

void servers_changed(struct servers *servers, uint32_t id)
{
	struct server *server = map_remove(&servers->by_id, &id, sizeof(id));

	if (server != NULL)
		server_free(server);
}
