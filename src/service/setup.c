/* The account and the servers. */
#include "base/clock.h"
#include "base/mem.h"
#include "service/job.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- account ---- */

struct account_job {
	struct service_job job;
	struct eyes_call *call;
	struct secret key;
	char *who;
	service_fn *fn;
	service_key_fn *look; /* in the place of fn: the key is only looked at */
	void *arg;
};

static void account_free(struct service_job *job)
{
	struct account_job *account = (struct account_job *)job;

	job_remove(job);
	if (account->call != NULL)
		eyes_cancel(account->call);
	secret_free(&account->key);
	free(account->who);
	free(account);
}

static void account_fail(struct account_job *job, enum service_fault fault, const struct err *err,
    const struct http_trace *trace)
{
	struct service_result result = {.fault = fault, .err = err, .trace = trace};

	if (job->look != NULL)
		job->look(&result, NULL, job->arg);
	else
		job->fn(&result, job->arg);
	account_free(&job->job);
}

static void account_failed(const struct service_result *result, void *arg)
{
	account_fail(arg, result->fault, result->err, NULL);
}

static void permissions_text(const struct eyes_account *account, char *out, size_t size)
{
	snprintf(out, size, "%s%s%s%s", account->read ? "read," : "",
	    account->write ? "write," : "", account->execute ? "execute," : "",
	    account->merge ? "merge," : "");
	if (out[0] != '\0')
		out[strlen(out) - 1] = '\0';
}

/* Whether the key that Eyes knows is one to work with. */
static bool account_usable(const struct eyes_account *account, struct err *err)
{
	char missing[64], expires[CLOCK_TEXT];

	if (!eyes_account_full(account)) {
		eyes_account_missing(account, missing, sizeof(missing));
		err_set(err, "key_permissions", "this key lacks %s", missing);
		err_hop(err, "Eyes, permissions");
		err_hint(err, "Tick all four permissions of this key in Eyes (Admin, API Keys), "
		              "then try again.");
		return false;
	}
	if (account->expires_ms != 0 && account->expires_ms <= clock_wall_ms()) {
		clock_rfc3339(expires, account->expires_ms, false);
		err_set(err, "key_expired", "this key expired on %s", expires);
		err_hop(err, "Eyes, expiry");
		err_hint(err, "Use another key, or make one in Eyes (Admin, API Keys).");
		return false;
	}
	return true;
}

static void account_store(struct account_job *job, const struct eyes_account *account)
{
	struct service *service = job->job.service;
	uint64_t lost = db_lost(service->parts.db);
	char permissions[40], origin[320];
	struct err err = ERR_INIT;
	struct record_account record = {
	    .origin = origin,
	    .team_id = account->team_id,
	    .user = account->user,
	    .purpose = account->purpose,
	    .permissions = permissions,
	    .expires_ms = account->expires_ms,
	    .checked_ms = clock_wall_ms(),
	};

	permissions_text(account, permissions, sizeof(permissions));
	url_origin(eyes_base(service->parts.eyes), origin, sizeof(origin));
	if (!records_set_account(service->parts.records, &record, &job->key, &err)) {
		account_fail(job, SERVICE_STORE, &err, NULL);
		return;
	}
	job_audit(service, job->who, "account.set", account->team_id, account->user);
	eyes_set_key(service->parts.eyes, &job->key);
	job_after_commit(service, lost, job->fn, job->arg);
	key_watch_check(service->parts.key_watch);
	poller_kick(service->parts.poller);
	reporter_kick(service->parts.reporter);
	if (service->parts.forwarder != NULL)
		forwarder_kick(service->parts.forwarder);
	bus_publish(service->parts.bus, BUS_ACCOUNT, 0);
	account_free(&job->job);
}

static void account_checked(
    const struct eyes_answer *answer, const struct eyes_account *account, void *arg)
{
	struct account_job *job = arg;
	struct err err = ERR_INIT;

	job->call = NULL;
	if (account == NULL) {
		account_fail(job,
		    answer->status >= 400 && answer->status < 500 ? SERVICE_REFUSED
		                                                  : SERVICE_UNREACHED,
		    answer->err, answer->trace);
		return;
	}
	if (!account_usable(account, &err)) {
		account_fail(job, SERVICE_REFUSED, &err, NULL);
		return;
	}
	if (job->look == NULL) {
		account_store(job, account);
		return;
	}
	job->look(&(struct service_result){.fault = SERVICE_OK}, account, job->arg);
	account_free(&job->job);
}

static struct account_job *account_job_new(
    struct service *service, const struct secret *key, void *arg)
{
	struct account_job *job = mem_zero(sizeof(*job));

	job->arg = arg;
	secret_set(&job->key, key->data, key->length);
	job_add(service, &job->job, account_free);
	return job;
}

static void account_begin(struct account_job *job)
{
	struct service *service = job->job.service;
	struct err err = ERR_INIT;

	if (service->parts.eyes == NULL) {
		err_set(&err, "config_missing",
		    "the Eyes server and the organization are not configured");
		err_hop(&err, "this machine, configuration");
		err_hint(&err, "Set EYES_SERVER_URL and EYES_ORG_ID in eyes-scm.conf (in Eyes: "
		               "Admin, Account, ID) and "
		               "restart eyes-scm.");
		job_fail(service, SERVICE_CONFLICT, &err, account_failed, job);
		return;
	}
	job->call = eyes_validate_key(service->parts.eyes, &job->key, account_checked, job);
}

void service_set_account(
    struct service *service, const char *who, const struct secret *key, service_fn *fn, void *arg)
{
	struct account_job *job = account_job_new(service, key, arg);

	job->who = mem_string(who);
	job->fn = fn;
	account_begin(job);
}

void service_check_key(
    struct service *service, const struct secret *key, service_key_fn *fn, void *arg)
{
	struct account_job *job = account_job_new(service, key, arg);

	job->look = fn;
	account_begin(job);
}

/* ---- which Eyes ---- */

struct configure_job {
	struct service_job job;
	struct eyes *eyes; /* only for this question */
	struct eyes_call *call;
	char *who, *organization; /* organization is NULL where only the server is asked */
	char url[URL_TEXT];
	service_fn *fn;
	void *arg;
};

static void configure_free(struct service_job *job)
{
	struct configure_job *configure = (struct configure_job *)job;

	job_remove(job);
	if (configure->call != NULL)
		eyes_cancel(configure->call);
	eyes_free(configure->eyes);
	free(configure->who);
	free(configure->organization);
	free(configure);
}

static void configure_end(const struct service_result *result, void *arg)
{
	struct configure_job *configure = arg;

	configure->fn(result, configure->arg);
	configure_free(&configure->job);
}

/* A key that cannot be right is refused by an Eyes server, and by an Eyes server only. */
static void configure_answered(
    const struct eyes_answer *answer, const struct eyes_account *account, void *arg)
{
	struct configure_job *configure = arg;
	struct service *service = configure->job.service;
	struct service_result result = {
	    .fault = SERVICE_UNREACHED, .err = answer->err, .trace = answer->trace};
	struct record_configuration record = {
	    .eyes_url = configure->url, .organization = configure->organization};
	uint64_t lost = db_lost(service->parts.db);
	struct err err = ERR_INIT;

	configure->call = NULL;
	if (account == NULL && !answer->refused) {
		configure_end(&result, configure);
		return;
	}
	if (configure->organization == NULL) {
		configure_end(&(struct service_result){.fault = SERVICE_OK}, configure);
		return;
	}
	if (!records_set_configuration(service->parts.records, &record, &err)) {
		job_fail(service, SERVICE_STORE, &err, configure_end, configure);
		return;
	}
	job_audit(
	    service, configure->who, "eyes.configure", configure->url, configure->organization);
	job_after_commit(service, lost, configure_end, configure);
}

void service_configure(struct service *service, const char *who, const char *eyes_url,
    const char *organization, service_fn *fn, void *arg)
{
	struct configure_job *configure = mem_zero(sizeof(*configure));
	struct eyes_config config = {.organization = organization != NULL ? organization : ""};
	struct secret none = {0};
	struct err err = ERR_INIT;

	configure->who = mem_string(who);
	configure->organization = organization != NULL ? mem_string(organization) : NULL;
	configure->fn = fn;
	configure->arg = arg;
	job_add(service, &configure->job, configure_free);
	if (!scm_clean_url(eyes_url, &config.base, &err)) {
		err_field(&err, "eyes_url");
		job_fail(service, SERVICE_BAD_INPUT, &err, configure_end, configure);
		return;
	}
	url_text(&config.base, configure->url, sizeof(configure->url));
	configure->eyes =
	    eyes_new(service->parts.loop, service->parts.http, service->parts.trust, &config);
	secret_set(&none, "none", 4);
	configure->call = eyes_validate_key(configure->eyes, &none, configure_answered, configure);
	secret_free(&none);
}

/* ---- does it answer ---- */

struct ask_job {
	struct service_job job;
	struct eyes_call *call;
	eyes_account_fn *fn;
	void *arg;
};

static void ask_free(struct service_job *job)
{
	struct ask_job *ask = (struct ask_job *)job;

	job_remove(job);
	if (ask->call != NULL)
		eyes_cancel(ask->call);
	free(ask);
}

static void eyes_answered(
    const struct eyes_answer *answer, const struct eyes_account *account, void *arg)
{
	struct ask_job *ask = arg;

	ask->call = NULL;
	ask->fn(answer, account, ask->arg);
	ask_free(&ask->job);
}

void service_ask_eyes(
    struct service *service, const struct secret *key, eyes_account_fn *fn, void *arg)
{
	struct ask_job *ask = mem_zero(sizeof(*ask));

	ask->fn = fn;
	ask->arg = arg;
	job_add(service, &ask->job, ask_free);
	ask->call = eyes_validate_key(service->parts.eyes, key, eyes_answered, ask);
}

/* ---- servers ---- */

struct server_job {
	struct service_job job;
	struct scm_call *call;
	struct scm_server view;
	char *who, *ca_pem;
	uint32_t id;
	struct err err;
	service_server_fn *fn;
	void *arg;
};

static void server_free(struct service_job *job)
{
	struct server_job *server = (struct server_job *)job;

	job_remove(job);
	if (server->call != NULL)
		scm_cancel(server->call);
	tls_trust_unref(server->view.trust);
	free(server->ca_pem);
	free(server->who);
	free(server);
}

static void server_end(struct server_job *job, enum service_fault fault, const struct err *err,
    const struct http_trace *trace)
{
	struct service_result result = {.fault = fault, .err = err, .trace = trace};

	job->fn(&result, job->id, job->arg);
	server_free(&job->job);
}

static void server_committed(const struct service_result *result, void *arg)
{
	server_end(arg, result->fault, result->err, NULL);
}

static void server_failed(const struct service_result *result, void *arg)
{
	server_end(arg, result->fault, result->err, NULL);
}

static void server_identified(
    const struct scm_answer *answer, const struct scm_identity *identity, void *arg)
{
	struct server_job *job = arg;
	struct service *service = job->job.service;
	struct record_server record = {.kind = scm_bitbucket_server.kind, .aliases = ""};
	uint64_t lost = db_lost(service->parts.db);
	struct err err = ERR_INIT;
	char url[2048];

	job->call = NULL;
	if (answer->outcome != SCM_OK) {
		server_end(job, job_fault_of(answer), answer->err, answer->trace);
		return;
	}
	url_text(&job->view.base, url, sizeof(url));
	record.url = url;
	record.ca_pem = job->ca_pem;
	record.product = identity->product;
	record.version = identity->version;
	record.capabilities = identity->capabilities;
	record.checked_ms = clock_wall_ms();
	if (!records_put_server(service->parts.records, &record, &err)) {
		server_end(job, SERVICE_STORE, &err, NULL);
		return;
	}
	job->id = record.id;
	job_audit(service, job->who, "server.add", url, identity->version);
	intake_forget(service->parts.intake);
	dispatcher_server_answered(service->parts.dispatcher, record.id, answer);
	poller_kick(service->parts.poller);
	bus_publish(service->parts.bus, BUS_SERVER, record.id);
	job_after_commit(service, lost, server_committed, job);
}

void service_add_server(struct service *service, const char *who, const char *typed,
    const char *ca_pem, service_server_fn *fn, void *arg)
{
	struct server_job *job = mem_zero(sizeof(*job));
	struct err err = ERR_INIT;
	struct url url;
	char text[2048];

	job->who = mem_string(who);
	job->ca_pem = mem_string(ca_pem != NULL ? ca_pem : "");
	job->fn = fn;
	job->arg = arg;
	job_add(service, &job->job, server_free);
	if (!scm_clean_url(typed, &url, &err)) {
		job_fail(service, SERVICE_BAD_INPUT, &err, server_failed, job);
		return;
	}
	url_text(&url, text, sizeof(text));
	if (records_server_by_url(service->parts.records, text) != NULL) {
		err_set(&err, "server_exists", "%s is already in the list", text);
		err_field(&err, "url");
		err_hint(&err, "Its CA can be replaced where it is in the list.");
		job_fail(service, SERVICE_CONFLICT, &err, server_failed, job);
		return;
	}
	if (!servers_view(service->parts.servers, text, job->ca_pem, &job->view, &err)) {
		job_fail(service, SERVICE_BAD_INPUT, &err, server_failed, job);
		return;
	}
	job->call =
	    scm_bitbucket_server.identify(service->parts.scm, &job->view, server_identified, job);
}

void service_remove_server(
    struct service *service, const char *who, uint32_t id, service_fn *fn, void *arg)
{
	const struct record_server *record = records_server(service->parts.records, id);
	uint64_t lost = db_lost(service->parts.db);
	struct err err = ERR_INIT;
	char *url;

	if (record == NULL) {
		err_set(&err, "not_found", "there is no server %u", id);
		job_fail(service, SERVICE_NOT_FOUND, &err, fn, arg);
		return;
	}
	url = mem_string(record->url);
	if (records_remove_server(service->parts.records, id, &err)) {
		job_audit(service, who, "server.remove", url, "");
		intake_forget(service->parts.intake);
		dispatcher_server_changed(service->parts.dispatcher, id);
		bus_publish(service->parts.bus, BUS_SERVER, id);
		job_after_commit(service, lost, fn, arg);
	} else {
		job_fail(service, err_is(&err, "server_in_use") ? SERVICE_CONFLICT : SERVICE_STORE,
		    &err, fn, arg);
	}
	free(url);
}
