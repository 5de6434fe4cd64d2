/*
 * service: what people can do, whatever they use (commands now, the browser as well). Checks, calls
 * Eyes or the server, writes the records, tells the roads, leaves an audit row. It knows nothing of
 * HTTP.
 *
 * Long actions are asynchronous: `fn` is called exactly once, after the commit of what was changed,
 * never inside the call. There is no cancel: an action that was begun is finished, and `fn` may
 * find that nobody listens any more. Only service_free ends them without `fn`.
 */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include "flow/dispatcher.h"
#include "flow/forwarder.h"
#include "flow/inbox.h"
#include "flow/key_watch.h"
#include "flow/poller.h"
#include "flow/reporter.h"
#include "flow/webhook_keeper.h"
#include "store/audit.h"
#include "store/events.h"
#include "store/hooks.h"
#include "store/journal.h"

struct service_parts { /* borrowed; eyes and key_watch are NULL while Eyes is not configured */
	struct loop *loop;
	struct db *db;
	struct vault *vault;
	struct records *records;
	struct queue *queue;
	struct outbox *outbox;
	struct journal *journal;
	struct audit *audit;
	struct eyes *eyes;
	struct http_client *http; /* to try an Eyes server that is not configured yet */
	struct tls_trust *trust;
	struct key_watch *key_watch;
	struct servers *servers;
	struct scm *scm;
	struct intake *intake;
	struct dispatcher *dispatcher;
	struct poller *poller;
	struct reporter *reporter;
	struct events *events;
	struct forwarder *forwarder;
	struct hooks *hooks;
	struct webhook_keeper *keeper;
	struct inbox *inbox;
	bool relay;              /* EYES_EVENTS=relay */
	bool github;             /* GITHUB_WEBHOOK_SECRET is set */
	const char *webhook_url; /* EYES_WEBHOOK_URL or its default, as shown to people */
	bool webhook_secret_set; /* EYES_WEBHOOK_SECRET */
	bool webhook_url_set;    /* EYES_WEBHOOK_URL is set: somebody vouches for the address */
	struct bus *bus;
	int64_t started_ms; /* wall */
};

struct service_job;
struct service {
	struct service_parts parts;
	TAILQ_HEAD(, service_job) jobs;
};

/* Whose fault it is: the API's status comes from it. */
enum service_fault {
	SERVICE_OK,
	SERVICE_BAD_INPUT, /* 400 */
	SERVICE_NOT_FOUND, /* 404 */
	SERVICE_CONFLICT,  /* 409 */
	SERVICE_REFUSED,   /* 422: Eyes or the server said no */
	SERVICE_UNREACHED, /* 502: they could not be asked */
	SERVICE_STORE      /* 503: nothing could be written */
};
struct service_result {
	enum service_fault fault;
	const struct err *err;          /* NULL when fault is SERVICE_OK */
	const struct http_trace *trace; /* of the request that failed, may be NULL */
};
typedef void service_fn(const struct service_result *result, void *arg);

struct service *service_new(const struct service_parts *parts);
void service_free(struct service *service);

/* The server that `text` (URL or id) means; with "" the only one there is. NULL with err:
 * server_needed, no_server, not_found. */
const struct record_server *service_server(
    struct service *service, const char *text, struct err *err);

/*
 * Step 0 of the wizard: the Eyes server and the organization, where nothing outside says them. Asks
 * the server first; with organization NULL that is all. It is used from the next start on: the
 * caller sees to that.
 */
void service_configure(struct service *service, const char *who, const char *eyes_url,
    const char *organization, service_fn *fn, void *arg);
/* Whether Eyes answers, with the stored key (NULL) or another; ended with the service. */
void service_ask_eyes(
    struct service *service, const struct secret *key, eyes_account_fn *fn, void *arg);
void service_set_account(
    struct service *service, const char *who, const struct secret *key, service_fn *fn, void *arg);
/* Whose key it is, and whether service_set_account would take it; changes nothing. account is
 * borrowed, and NULL with the errors of service_set_account. */
typedef void service_key_fn(
    const struct service_result *result, const struct eyes_account *account, void *arg);
void service_check_key(
    struct service *service, const struct secret *key, service_key_fn *fn, void *arg);
/* *id in the completion's arg is the caller's business: the server is found by its URL afterwards.
 * ca_pem may be NULL. */
typedef void service_server_fn(const struct service_result *result, uint32_t server, void *arg);
void service_add_server(struct service *service, const char *who, const char *url,
    const char *ca_pem, service_server_fn *fn, void *arg);
void service_remove_server(
    struct service *service, const char *who, uint32_t server, service_fn *fn, void *arg);

/* ---- repositories ---- */

#define SERVICE_NAMES_MAX 500
enum service_enable {
	SERVICE_ENABLE,
	SERVICE_REPLACE_TOKEN,
	SERVICE_DISABLE,
	SERVICE_CHECK, /* asks what the token may do, changes nothing */
	/* Of repositories that are enabled, with their own tokens. */
	SERVICE_WEBHOOK_CHECK,  /* looks at the webhook and puts it right */
	SERVICE_WEBHOOK_REPAIR, /* also one that was changed back too often */
	SERVICE_WEBHOOK_ROTATE  /* another secret */
};
struct service_events {   /* the events half: the webhook */
	bool asked, done; /* there is such a half, or will be; it is over */
	bool ok;
	bool gone; /* there is no webhook any more: `state` says nothing */
	enum hook_state state;
	bool made, repaired, tested;
	enum scm_delivered outcome; /* of the test delivery, with the target's HTTP status */
	int status;
	char words[200];
	struct err *err; /* NULL when there is none */
	struct http_trace *trace;
};
struct service_repo {
	char name[260]; /* as asked for, then as the server spells it: "PROJECT/slug" */
	enum service_fault fault;
	struct err err;
	struct http_trace *trace; /* NULL when there is none */
	uint32_t id;
	char owner[128];
	bool done; /* as far as progress: checked and, when it was right, written */
	bool read, admin;
	bool administers_any; /* the token, at least one repository of the server */
	struct service_events events;
	uint64_t waiting; /* updates that go out now, or were ended by disabling */
};
struct service_progress { /* borrowed; fn may be NULL */
	void (*fn)(const struct service_repo *repos, unsigned count, void *arg);
	void *arg;
};
typedef void service_repos_fn(const struct service_result *result, const struct service_repo *repos,
    unsigned count, void *arg);
/*
 * names: count strings, copied. token is not used by SERVICE_DISABLE and the webhooks' actions.
 * What fails changes nothing; the others go on. Enabling and disabling have two halves: statuses,
 * which decide `fault`, and then events; one that fails does not touch the other. Progress is told
 * after each.
 */
void service_change_repos(struct service *service, const char *who, enum service_enable what,
    uint32_t server, const char *const *names, unsigned count, const struct secret *token,
    const struct service_progress *progress, service_repos_fn *fn, void *arg);

/* "PROJECT/slug" of the enabled repositories of a server; freed with service_names_free. */
unsigned service_enabled_names(struct service *service, uint32_t server, char ***names);
void service_names_free(char **names, unsigned count);

/* A renamed or moved repository keeps its record, its token and its webhook under its new name,
 * which is the server's answer. */
void service_follow(
    struct service *service, const char *who, uint32_t repo, service_fn *fn, void *arg);

/* What a person enters in Bitbucket; in relay mode with a secret, a new one at each call: the one
 * before counts for an hour. */
struct service_by_hand {                 /* borrowed; NULL unless all is well */
	const char *name, *url, *events; /* a space between */
	const struct secret *secret;     /* NULL: none */
};
typedef void service_by_hand_fn(
    const struct service_result *result, const struct service_by_hand *what, void *arg);
void service_webhook_by_hand(
    struct service *service, const char *who, uint32_t repo, service_by_hand_fn *fn, void *arg);

/* A live check of an address that is not set up (yet). identity is NULL unless all is well. */
struct service_identity {
	const char *url; /* as it would be stored */
	const char *product, *version, *abilities;
};
typedef void service_identity_fn(
    const struct service_result *result, const struct service_identity *identity, void *arg);
void service_check_server(struct service *service, const char *url, const char *ca_pem,
    service_identity_fn *fn, void *arg);
/* Another CA for a server: checked with it first. */
void service_replace_ca(struct service *service, const char *who, uint32_t server,
    const char *ca_pem, service_fn *fn, void *arg);
/* Asks a server that is set up whether it answers; its leg is true afterwards. */
void service_ask_server(struct service *service, uint32_t server, service_fn *fn, void *arg);
/* A status of our own for a commit, with the key SERVICE_TEST_KEY: every stage of its way shows. */
#define SERVICE_TEST_KEY "tests/applitools-check"
void service_test_status(struct service *service, const char *who, uint32_t repo,
    const char *commit, uint64_t *number, service_fn *fn, void *arg);

#define SERVICE_LIST_MAX 20000
struct service_listed { /* strings are the list's own */
	const char *project, *slug, *name;
	bool is_public, archived;
	const char *access; /* "admin", "read", "" when only its name is known */
	const char *state;  /* "enabled", "blocked", "disabled" or "none" */
};
struct service_list_progress { /* after each page; borrowed */
	void (*fn)(const struct service_listed *repos, unsigned count, void *arg);
	void *arg;
};
typedef void service_list_fn(const struct service_result *result,
    const struct service_listed *repos, unsigned count, bool truncated, void *arg);
/* token NULL: the public ones and what the stored tokens of this server see. */
void service_list_repos(struct service *service, uint32_t server, const struct secret *token,
    const char *search, const struct service_list_progress *progress, service_list_fn *fn,
    void *arg);

/* ---- queue ---- */

/* Several at once, in one commit. What became of each is known when the call returns, and counts
 * once fn is told SERVICE_OK. */
#define SERVICE_NUMBERS_MAX 500
struct service_number {
	uint64_t number;
	enum service_fault fault;
	const char *code; /* literal; NULL when it was done */
	char message[256], hint[200];
};
/* Return how many were done. */
unsigned service_retry(struct service *service, const char *who, struct service_number *numbers,
    unsigned count, service_fn *fn, void *arg);
unsigned service_drop(struct service *service, const char *who, struct service_number *numbers,
    unsigned count, service_fn *fn, void *arg);
void service_retry_all(struct service *service, const char *who, uint64_t *count, service_fn *fn,
    void *arg); /* *count: how many */

/* ---- events on their way to Eyes ---- */

/* A dead one goes to the end of its lane; one that waits is tried now. */
unsigned service_events_retry(struct service *service, const char *who,
    struct service_number *numbers, unsigned count, service_fn *fn, void *arg);
/* Every dead one, and what waits is tried now. Returns how many. */
uint64_t service_events_retry_all(
    struct service *service, const char *who, service_fn *fn, void *arg);
unsigned service_events_drop(struct service *service, const char *who,
    struct service_number *numbers, unsigned count, service_fn *fn, void *arg);

#endif
