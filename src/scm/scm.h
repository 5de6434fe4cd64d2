/*
 * scm: the table that a source-control driver fills in. The rest of the program never asks which
 * driver it has.
 *
 * Every call is asynchronous: it calls its completion exactly once, never inside the call itself,
 * unless it is cancelled with scm_cancel. Everything in a completion is borrowed for its time.
 * Tokens go only to `server`'s origin.
 *
 * Outcomes (what a caller does with them):
 *   SCM_OK         done
 *   SCM_TEMPORARY  timeouts, 429, 5xx, connection, a page that is not the server's: try again later
 *   SCM_BLOCKED    401, 403, 404 of the repository: wait for a new token or an administrator
 *   SCM_PERMANENT  400 and the like: never going to work
 * `scope` tells what the failure concerns, so that one repository's trouble stops only that one.
 */
#ifndef SCM_SCM_H
#define SCM_SCM_H

#include "base/update.h"
#include "net/http_client.h"

enum scm_outcome { SCM_OK, SCM_TEMPORARY, SCM_BLOCKED, SCM_PERMANENT };
enum scm_scope { SCM_SCOPE_UPDATE, SCM_SCOPE_REPOSITORY, SCM_SCOPE_TOKEN, SCM_SCOPE_SERVER };

struct scm_answer {
	enum scm_outcome outcome;
	enum scm_scope scope;
	int status;                     /* HTTP status, 0 when there was none */
	bool doubtful;                  /* the request may have taken effect, or may yet */
	bool unknown_commit;            /* TEMPORARY: the commit may not be pushed yet */
	bool rate_limited;              /* 429 */
	int64_t retry_after_ms;         /* -1: the server did not say */
	const struct err *err;          /* NULL when OK */
	const struct http_trace *trace; /* NULL when nothing was sent */
};

struct scm_server { /* what a driver needs to know of a server; borrowed for the call */
	struct url base;
	struct tls_trust *trust; /* NULL for http */
	unsigned connections;    /* EYES_SCM_CONNECTIONS */
	uint32_t capabilities;   /* bits of the driver's own, from identify */
	uint32_t deadline_ms;    /* total, of one request; 0 = default 30 s */
};

struct scm_identity {
	const char *product; /* "Bitbucket Data Center" / "Bitbucket Server" */
	const char *version; /* "9.4.0" */
	uint32_t capabilities;
	const char *abilities; /* for people: "builds, cancelled, test results" */
};

struct scm_repository {
	const char *project; /* key, "~user" for personal ones */
	const char *project_name;
	const char *slug;
	const char *name; /* display name */
	bool is_public, archived;
};

struct scm_page {
	const struct scm_repository *repositories;
	unsigned count;
	const char *next; /* cursor for the following page, NULL at the end */
};

struct scm_rights {
	const char *owner; /* whose token it is, "" when the server does not say */
	bool administers_any;
};

struct scm_access {
	struct scm_repository repository; /* as the server spells it */
	const char *base; /* the server's own idea of its base URL; "" when it does not say */
	bool read, admin;
};

struct scm_status {
	bool found;
	enum update_state state;
	bool state_known; /* the server's word is one of ours */
	const char *url, *description, *name;
};

/*
 * Webhooks. A driver compares what the server has with what is wanted; the secret that a server may
 * give in clear does not leave the driver.
 */
#define SCM_HOOKS_MAX 200 /* of one repository; more are an error */
#define SCM_HOOK_EVENTS 16

struct scm_hook_want {  /* borrowed for the call */
	const char *id; /* at the server: that one is replaced; "" makes a new one */
	const char *name, *url;
	const struct secret *secret; /* NULL: without one */
	const char *const *events;   /* all that are wanted; those that the server does not know are
	                                left out */
	unsigned event_count;
};

enum scm_hook_difference { /* bits: in what a webhook differs from the wanted one */
	SCM_HOOK_URL = 1 << 0,
	SCM_HOOK_NAME = 1 << 1,
	SCM_HOOK_EVENT_SET = 1 << 2,
	SCM_HOOK_INACTIVE = 1 << 3,
	SCM_HOOK_SECRET = 1 << 4, /* the server says that it is another one, or that there is (n)one
	                           */
};

enum scm_delivered { SCM_DELIVERY_NONE, SCM_DELIVERY_OK, SCM_DELIVERY_FAILED, SCM_DELIVERY_ERROR };
struct scm_delivery {               /* the last one that the server tells of */
	enum scm_delivered outcome; /* FAILED: the target answered so; ERROR: it was not reached */
	int status;                 /* the target's HTTP status, 0 when there was none */
	const char *words;          /* the server's reason, cleaned for people; "" */
	int64_t ended_ms;           /* wall, 0 unknown */
};

struct scm_hook {
	const char *id, *name, *url;
	unsigned differs; /* bits of scm_hook_difference, compared with the wanted one */
	struct scm_delivery delivery;
};

struct scm_hooks {
	const struct scm_hook *list; /* all of the repository, ours or not */
	unsigned count;
	const char *events; /* of the wanted ones those that the server knows, a space between */
};

struct scm;
struct scm_call;
typedef void scm_done_fn(const struct scm_answer *answer, void *arg);
typedef void scm_identity_fn(
    const struct scm_answer *answer, const struct scm_identity *identity, void *arg);
typedef void scm_page_fn(const struct scm_answer *answer, const struct scm_page *page, void *arg);
typedef void scm_rights_fn(
    const struct scm_answer *answer, const struct scm_rights *rights, void *arg);
typedef void scm_access_fn(
    const struct scm_answer *answer, const struct scm_access *access, void *arg);
typedef void scm_status_fn(
    const struct scm_answer *answer, const struct scm_status *status, void *arg);
typedef void scm_found_fn(const struct scm_answer *answer, bool found, void *arg);
typedef void scm_hooks_fn(
    const struct scm_answer *answer, const struct scm_hooks *hooks, void *arg);
/* id: of the webhook that was made or replaced. */
typedef void scm_hook_fn(const struct scm_answer *answer, const char *id, void *arg);
typedef void scm_delivery_fn(
    const struct scm_answer *answer, const struct scm_delivery *delivery, void *arg);

struct scm_list {
	const struct secret *token; /* NULL: anonymously, public ones only */
	const char *search;         /* part of a repository's name, "" for all */
	bool administered;          /* only those that the token administers */
	const char *cursor;         /* NULL for the first page */
	unsigned limit;             /* asked for; the server may give fewer */
};

struct scm_driver {
	const char *kind; /* kept in the store: "bitbucket-server" */
	/* Is it such a server, which version, what can it do. Needs no token. */
	struct scm_call *(*identify)(
	    struct scm *scm, const struct scm_server *server, scm_identity_fn *fn, void *arg);
	struct scm_call *(*list)(struct scm *scm, const struct scm_server *server,
	    const struct scm_list *list, scm_page_fn *fn, void *arg);
	struct scm_call *(*check_token)(struct scm *scm, const struct scm_server *server,
	    const struct secret *token, scm_rights_fn *fn, void *arg);
	/* Reads the repository and finds out whether the token administers it. */
	struct scm_call *(*check_repository)(struct scm *scm, const struct scm_server *server,
	    const struct secret *token, const char *project, const char *slug, scm_access_fn *fn,
	    void *arg);
	/* The hot path. */
	struct scm_call *(*set_status)(struct scm *scm, const struct scm_server *server,
	    const struct secret *token, const char *project, const char *slug,
	    const struct update *update, scm_done_fn *fn, void *arg);
	struct scm_call *(*get_status)(struct scm *scm, const struct scm_server *server,
	    const struct secret *token, const char *project, const char *slug, const char *commit,
	    const char *key, scm_status_fn *fn, void *arg);
	struct scm_call *(*has_commit)(struct scm *scm, const struct scm_server *server,
	    const struct secret *token, const char *project, const char *slug, const char *commit,
	    scm_found_fn *fn, void *arg);
	/*
	 * Webhooks need the right to administer the repository: without it BLOCKED with code
	 * "not_admin". PERMANENT with code "webhooks_unknown": the server is too old for them.
	 *
	 * Every webhook of the repository, with the last delivery of the one that is most like the
	 * wanted one, where the server tells it; `want` is what each is compared with. More than
	 * SCM_HOOKS_MAX: PERMANENT with code "webhooks_too_many".
	 */
	struct scm_call *(*list_hooks)(struct scm *scm, const struct scm_server *server,
	    const struct secret *token, const char *project, const char *slug,
	    const struct scm_hook_want *want, scm_hooks_fn *fn, void *arg);
	/* Makes or replaces one. TEMPORARY with code "webhook_gone": want->id is not there any
	 * more. After a doubtful answer it may be there: list before making another. */
	struct scm_call *(*put_hook)(struct scm *scm, const struct scm_server *server,
	    const struct secret *token, const char *project, const char *slug,
	    const struct scm_hook_want *want, scm_hook_fn *fn, void *arg);
	/* OK also when it is not there any more. */
	struct scm_call *(*delete_hook)(struct scm *scm, const struct scm_server *server,
	    const struct secret *token, const char *project, const char *slug, const char *id,
	    scm_done_fn *fn, void *arg);
	/* The server calls want->url now: what it got there. NONE when it cannot, or does not say.
	 */
	struct scm_call *(*test_hook)(struct scm *scm, const struct scm_server *server,
	    const struct secret *token, const char *project, const char *slug,
	    const struct scm_hook_want *want, scm_delivery_fn *fn, void *arg);
	/* What state a server without CANCELLED gets, so that a read-back compares like with like.
	 */
	enum update_state (*state_as_sent)(
	    const struct scm_server *server, enum update_state state);
	/* The page where a person makes a token. out: at least 2048 bytes. */
	void (*token_page)(const struct scm_server *server, char *out, size_t size);
};

struct scm *scm_new(struct loop *loop, struct http_client *http);
void scm_free(struct scm *scm); /* cancels what is under way */
void scm_cancel(struct scm_call *call);
const struct scm_driver *scm_driver_by_kind(const char *kind); /* NULL when there is none */
extern const struct scm_driver scm_bitbucket_server;

/* Cleans what a person pastes: adds https://, cuts /projects..., /repos..., /dashboard, /login and
 * trailing slashes. */
bool scm_clean_url(const char *typed, struct url *out, struct err *err)
    __attribute__((warn_unused_result));
/* "PROJECT/slug" or a repository's address; project and slug at least 130 bytes each. err codes
 * repo_format. */
bool scm_parse_name(const char *typed, char *project, char *slug, size_t size, struct err *err)
    __attribute__((warn_unused_result));

#endif
