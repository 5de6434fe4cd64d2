/*
 * web: the API, served by evhttp on the control socket (all of it) and on TCP (the two health
 * routes).
 *
 *   evhttp --> server.c (listeners, limits, who asks) --> router.c (one table of routes) -->
 * api_*.c --> service/                                    ^
 *   the gate's direct road --> direct.c (reads on TCP) ---'
 *
 * A handler gets a `struct web_request` and answers it exactly once with one of the web_reply
 * functions, at once or later; evhttp does not notice a client that has gone while an answer is
 * pending, so the request stays valid until it is answered. web_free answers what is pending.
 *
 * The control socket is for its owner and root only: mode 0600, and the peer's credentials are
 * checked for every request.
 */
#ifndef WEB_WEB_H
#define WEB_WEB_H

#include "base/json.h"
#include "base/json_writer.h"
#include "service/auth.h"
#include "service/jobs.h"
#include "service/listings.h"
#include "service/service.h"
#include <sys/socket.h>

struct evbuffer;
struct evhttp_request;
struct gate_reply;
struct http_head;

struct web_listen {
	const char *text; /* "127.0.0.1:4000" */
	struct sockaddr_storage address;
	socklen_t length;
	bool may_fail; /* another address of the same name is enough */
};
struct web_setting { /* help and initial (what holds where nothing says otherwise) may be "" */
	const char *name, *value, *source, *help, *initial;
};
typedef void web_setting_fn(const struct web_setting *setting, void *arg);
typedef void web_settings_fn(web_setting_fn *fn, void *fn_arg, void *arg);
struct web_options { /* borrowed during web_new; auth, bus and settings stay */
	struct loop *loop;
	struct service *service;
	struct auth *auth;
	struct jobs *jobs;
	struct listings *listings;
	struct bus *bus;
	const char *control_path; /* absolute */
	const char *eyes_url, *organization;
	const char *own_url; /* EYES_SCM_PROXY_URL: its host is ours; may be NULL */
	const char
	    *allowed_hosts;     /* EYES_ALLOWED_HOSTS: more names, comma-separated; may be NULL */
	const char *static_dir; /* --static-dir: the page from a folder; NULL: the embedded one */
	unsigned connections;   /* EYES_HTTP_CONNECTIONS */
	const struct web_listen *listen;
	unsigned listen_count;
	/* The events road (events.h), at all of `listen`, and alone at these. */
	struct inbox *inbox; /* NULL: no events are taken */
	const struct web_listen *events_listen;
	unsigned events_listen_count;
	size_t event_max; /* EYES_EVENT_MAX, bytes of one body */
	/* Calls fn for each setting: what secret ones hold is not given. */
	web_settings_fn *settings;
	void *settings_arg;
	/* Starts everything anew, once the answers in hand have gone: the configuration changed. */
	void (*restart)(void *arg);
	void *restart_arg;
};

struct web;
/* Fails with code listen_failed, naming address and reason, when nothing can be listened on. */
struct web *web_new(const struct web_options *options, struct err *err);
void web_free(struct web *web);

/* ---- for the rooms of this folder ---- */

#define WEB_BODY_MAX (512 * 1024)
struct web_request {
	struct web *web;
	struct service *service;
	struct evhttp_request *http;  /* NULL: it came by the gate's direct road (direct.c) */
	struct gate_reply *reply;     /* there: owed */
	const struct http_head *head; /* there: until the handler returns */
	struct buf headers;           /* there: lines of web_add_header */
	char *target;                 /* there: path, NUL, query */
	bool control;                 /* came over the control socket */
	char who[AUDIT_WHO];          /* in the forms of audit_split */
	char address[64];             /* of a TCP peer; "" on the control socket */
	const struct session
	    *session;      /* the page's; borrowed for the turn, NULL on the control socket */
	char id[64];       /* the {id} of the route, decoded; "" when there is none */
	json_t *body;      /* an object, NULL when the route takes none */
	const char *query; /* the raw query, "" when there is none */
	uint64_t count;    /* a handler's own */
	char *answer;      /* a handler's own, freed with the request: JSON to be said later */
	int status;        /* the same: with which status */
	TAILQ_ENTRY(web_request) entry;
};

/* A header of the request, the first of its name, borrowed; NULL when there is none. On the direct
 * road there is none any more once the handler has returned. */
const char *web_header(const struct web_request *request, const char *name);
/* A header of the answer, copied, beside those that every answer has. */
void web_add_header(struct web_request *request, const char *name, const char *value);
/* Adds the headers that every answer has, sends, and frees the request; not for the direct road.
 * body may be NULL. */
void web_send(struct web_request *request, int status, struct evbuffer *body);
void web_request_free(struct web_request *request); /* of a stream that has ended */
/* The body's buffer is emptied. */
void web_reply_json(struct web_request *request, int status, struct buf *body);
void web_reply_text(struct web_request *request, int status, const char *type, struct buf *body);
void web_reply_err(
    struct web_request *request, int status, const struct err *err, const struct http_trace *trace);
/* An error with its trace (may be NULL) and, when it is about that, the peer's certificate. */
void web_write_err(
    struct json_writer *w, const char *name, const struct err *err, const struct http_trace *trace);
/* The status of a fault and the error, or 204 when it is SERVICE_OK. */
void web_reply_result(struct web_request *request, const struct service_result *result);
int web_status_of(enum service_fault fault);
/* A decoded query value; false (and "") when it is absent; "" also when it cannot be read or is too
 * long. */
bool web_query(struct web_request *request, const char *name, char *out, size_t size);
/* The same, "" when absent; false after having answered 400 when it cannot be read or is too long,
 * or is none of the words (the last one NULL). */
bool web_query_text(struct web_request *request, const char *name, char *out, size_t size);
bool web_query_word(struct web_request *request, const char *name, const char *const *words,
    char *out, size_t size);
/* A whole number from the query between low and high; fallback when absent. False after having
 * answered 400. */
bool web_query_number(struct web_request *request, const char *name, uint64_t low, uint64_t high,
    uint64_t fallback, uint64_t *out);
/* Parses a JSON object from the body, if there is one; false after having answered. */
bool web_read_body(struct web_request *request);
struct jobs *web_jobs(const struct web *web);
struct listings *web_listings(const struct web *web);
const char *web_eyes_url(const struct web *web); /* "" when not configured */
const char *web_organization(const struct web *web);

/* router.c */
/* Runs the route of a GET or HEAD on TCP whose answer is one piece; false, with nothing done, when
 * there is none such at this path. */
bool route_read(struct web_request *request, const char *path);
void route(struct web_request *request, const char *method, const char *path);

/* api_*.c */
typedef void web_handler(struct web_request *request);
web_handler api_healthz, api_readyz, api_metrics, api_status, api_updates, api_audit;
web_handler api_account_get, api_account_put, api_account_check;
web_handler api_servers_get, api_servers_post, api_server_delete;
web_handler api_repositories_get, api_repositories_list, api_repositories_enable,
    api_repositories_token, api_repositories_disable;
web_handler api_repository_get, api_repository_follow, api_webhook_rotate, api_webhook_by_hand,
    api_webhooks_check, api_webhooks_repair;
web_handler api_queue_get, api_queue_retry, api_queue_drop;
web_handler api_relay_get, api_relay_retry, api_relay_drop;
web_handler api_start, api_setup_code, api_session_get, api_session_post, api_session_delete;
web_handler api_server_put, api_server_check, api_server_ask, api_token_check, api_test_status;
web_handler api_listing_post, api_listing_get, api_job_get, api_machine, api_diagnosis;
web_handler api_configuration_put, api_sessions_get, api_session_end, api_events, api_settings;
/* Rows named in a body by "id", "ids" or "all". */
struct api_numbers {
	bool all, one;
	unsigned count;
	struct service_number list[SERVICE_NUMBERS_MAX];
};
/* NULL after having answered. */
struct api_numbers *api_read_numbers(struct web_request *request, bool may_be_all);
/* Keeps {name: done}, with the errors of a list or the error of a single one, as the answer for
 * api_say_kept. Frees numbers. */
void api_keep_numbers(
    struct web_request *request, struct api_numbers *numbers, uint64_t done, const char *name);
service_fn api_say_kept;
/* The events leg, as in the status answer; nothing where there is nothing to pass on. */
void api_write_events(struct service *service, struct json_writer *w, const char *name);
/* Shared between rooms: one server, the account, the counts, the recent updates as JSON. */
void api_write_server(
    struct service *service, struct json_writer *w, const struct record_server *server);
/* "certificate"; nothing when there is none. NULL is right. */
void api_write_certificate(struct json_writer *w, const struct tls_certificate *certificate);
void api_write_account(struct web_request *request, struct json_writer *w, const char *name);
void api_write_counts(struct service *service, struct json_writer *w, const char *name);
void api_write_updates(struct service *service, struct json_writer *w, const char *name,
    unsigned most, uint64_t after, const char *search);
web_setting_fn api_write_setting; /* arg: the struct json_writer, in an open array */
/* An array of the words of "read,write". */
void api_write_words(struct json_writer *w, const char *name, const char *words);
/* What several routes read from a body; 0 or false after having answered. */
uint32_t api_read_server(struct web_request *request, const struct json_at *root);
/* A key or token without the white space around it; visible ASCII only, since it goes into a
 * header. */
bool api_read_secret(struct web_request *request, const struct json_at *root, const char *name,
    bool needed, struct secret *secret);
bool api_read_token(
    struct web_request *request, const struct json_at *root, bool needed, struct secret *token);
bool api_read_names(struct web_request *request, const struct json_at *root, bool needed,
    const char **names, unsigned *count);
/* The CA of a body: "ca", PEM text, or "ca_path", a file on this machine; *ca is NULL when neither
 * is there and none is needed. The caller frees it. False after having answered. */
bool api_read_ca(struct web_request *request, const struct json_at *root, bool needed, char **ca);
void api_write_changed(struct json_writer *w, const struct service_repo *repo);
/* Now, or as a job, and answers. token may be NULL. */
void api_change(struct web_request *request, enum service_enable what, uint32_t server,
    const char *const *names, unsigned count, const struct secret *token, bool async);
void api_write_repository(
    struct service *service, struct json_writer *w, const struct record_repo *record, bool details);
/* "events": the webhook of a repository; the events half of a change, once it is over. */
void api_write_hook(struct service *service, struct json_writer *w, uint32_t repo, bool details);
void api_write_half(struct json_writer *w, const struct service_events *events);
/* The members of the status answer, in an object that is open. */
void api_write_status(struct web_request *request, struct json_writer *w);
/* Members of a repository's row: its last update, since when and by whom it is enabled. */
void api_write_repository_history(
    struct service *service, struct json_writer *w, const struct record_repo *record);
/* "project/slug" and the server's URL of a repository id; "" when it is gone. */
void api_write_repository_name(struct service *service, struct json_writer *w, uint32_t repo);

#endif
