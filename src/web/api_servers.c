/* The servers. */
#include "base/mem.h"
#include "service/health.h"
#include "web/web.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define URL_MAX 2048
#define CA_MAX (64 * 1024)

static void write_aliases(struct json_writer *w, const char *aliases)
{
	char word[URL_MAX];

	json_open_array(w, "aliases");
	while (*aliases != '\0') {
		size_t length = strcspn(aliases, " ");

		if (length > 0 && length < sizeof(word)) {
			memcpy(word, aliases, length);
			word[length] = '\0';
			json_write_string(w, NULL, word);
		}
		aliases += length + (aliases[length] == ' ');
	}
	json_close_array(w);
}

static void write_repositories(struct service *service, struct json_writer *w, uint32_t server)
{
	struct record_repo record = {0};
	int64_t enabled = 0, blocked = 0;

	while (records_next_repo(service->parts.records, record.id, &record)) {
		if (record.server != server)
			continue;
		enabled += record.state == REPO_ENABLED;
		blocked += record.state == REPO_BLOCKED;
	}
	json_write_int(w, "enabled", enabled);
	json_write_int(w, "blocked", blocked);
}

void api_write_certificate(struct json_writer *w, const struct tls_certificate *certificate)
{
	if (certificate == NULL || certificate->sha256[0] == '\0')
		return;
	json_open_object(w, "certificate");
	json_write_text(w, "subject", certificate->subject);
	json_write_text(w, "issuer", certificate->issuer);
	json_write_time(w, "from", certificate->from_ms);
	json_write_time(w, "expires", certificate->expires_ms);
	json_write_string(w, "sha256", certificate->sha256);
	json_close_object(w);
}

void api_write_server(
    struct service *service, struct json_writer *w, const struct record_server *server)
{
	struct health_leg leg;
	struct buf hops;

	health_server(service, server, &leg);
	json_open_object(w, NULL);
	json_write_int(w, "id", server->id);
	json_write_string(w, "url", server->url);
	json_write_string(w, "kind", server->kind);
	json_write_text(w, "product", server->product);
	json_write_text(w, "version", server->version);
	write_aliases(w, server->aliases);
	json_write_bool(w, "ca", server->ca_pem[0] != '\0');
	write_repositories(service, w, server->id);
	json_write_string(w, "state", health_state_name(leg.state));
	json_write_time(w, "last_contact", leg.last_ok_ms);
	json_write_time(w, "next_try", leg.next_ms);
	json_write_text(w, "message", leg.message);
	json_write_text(w, "hint", leg.hint);
	api_write_certificate(w, leg.certificate);
	if (leg.trace != NULL && leg.state != HEALTH_OK) {
		buf_init(&hops, 32 * 1024);
		http_trace_json(leg.trace, &hops);
		json_write_raw(w, "trace", &hops);
		buf_free(&hops);
	}
	json_close_object(w);
}

void api_servers_get(struct web_request *request)
{
	struct records *records = request->service->parts.records;
	struct json_writer w;
	struct buf body;

	buf_init(&body, 4u << 20);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_open_array(&w, "servers");
	for (unsigned i = 0; i < records_server_count(records); i++)
		api_write_server(request->service, &w, records_server_at(records, i));
	json_close_array(&w);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

static void server_added(const struct service_result *result, uint32_t id, void *arg)
{
	struct web_request *request = arg;
	const struct record_server *server = records_server(request->service->parts.records, id);
	struct err err = ERR_INIT;
	struct json_writer w;
	struct buf body;

	if (result->fault != SERVICE_OK) {
		web_reply_result(request, result);
		return;
	}
	if (server == NULL) {
		err_set(&err, "not_found", "the server was removed at the same time");
		web_reply_err(request, 404, &err, NULL);
		return;
	}
	buf_init(&body, 256 * 1024);
	json_writer_init(&w, &body);
	api_write_server(request->service, &w, server);
	web_reply_json(request, 201, &body);
	buf_free(&body);
}

/* Only what begins like a certificate is taken in: this must not become a way to read files. */
static char *read_file(const char *path, struct err *err)
{
	int fd = path[0] == '/' ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
	char *text = NULL;
	struct stat stat;
	ssize_t length;

	if (path[0] != '/') {
		err_set(err, "ca_invalid", "the path of the CA file is not absolute");
		err_hint(err, "It is a path on the machine of eyes-scm and begins with a slash, "
		              "such as /etc/ssl/corp-ca.pem.");
	} else if (fd < 0 || fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode) ||
	           stat.st_size > CA_MAX) {
		err_set(err, "ca_invalid",
		    "%.300s is no file of at most 64 KiB that eyes-scm can read", path);
	} else {
		text = mem_zero((size_t)stat.st_size + 1);
		length = pread(fd, text, (size_t)stat.st_size, 0);
		if (length != stat.st_size || strstr(text, "-----BEGIN CERTIFICATE-----") == NULL) {
			err_set(err, "ca_invalid", "that file holds no PEM certificate");
			err_hint(err,
			    "It starts with \"BEGIN CERTIFICATE\". A DER or PKCS#12 file must be "
			    "converted first.");
			free(text);
			text = NULL;
		}
	}
	if (text == NULL)
		err_field(err, "ca_path");
	if (fd >= 0)
		close(fd);
	return text;
}

bool api_read_ca(struct web_request *request, const struct json_at *root, bool needed, char **ca)
{
	const char *text = NULL, *path = NULL;
	struct err err = ERR_INIT;

	*ca = NULL;
	if (!json_opt_string(root, "ca", CA_MAX, &text, &err) ||
	    !json_opt_string(root, "ca_path", URL_MAX, &path, &err)) {
		web_reply_err(request, 400, &err, NULL);
		return false;
	}
	if (path != NULL && path[0] != '\0')
		*ca = read_file(path, &err);
	else
		*ca = mem_string(text);
	if (err.code == NULL && needed && *ca == NULL) {
		err_set(&err, "json", "ca is missing");
		err_field(&err, "ca");
	}
	if (err.code == NULL)
		return true;
	web_reply_err(request, 400, &err, NULL);
	return false;
}

void api_servers_post(struct web_request *request)
{
	struct json_at root = json_root(request->body, "");
	struct err err = ERR_INIT;
	const char *url;
	char *ca;

	if (!json_get_string(&root, "url", URL_MAX, &url, &err)) {
		web_reply_err(request, 400, &err, NULL);
		return;
	}
	if (!api_read_ca(request, &root, false, &ca))
		return;
	service_add_server(request->service, request->who, url, ca, server_added, request);
	free(ca);
}

static void server_removed(const struct service_result *result, void *arg)
{
	web_reply_result(arg, result);
}

void api_server_delete(struct web_request *request)
{
	struct err err = ERR_INIT;
	char *end;
	unsigned long id = strtoul(request->id, &end, 10);

	if (*end != '\0' || id == 0 || id > UINT32_MAX) {
		err_set(&err, "not_found", "there is no server %s", request->id);
		web_reply_err(request, 404, &err, NULL);
		return;
	}
	service_remove_server(
	    request->service, request->who, (uint32_t)id, server_removed, request);
}
