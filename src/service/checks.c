/* Live checks and what follows from them: an address, another CA, whether a server answers, a
 * status of our own. */
#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"
#include "service/job.h"
#include <stdlib.h>
#include <string.h>

struct check {
	struct service_job job;
	struct scm_call *call;
	struct scm_server view;
	char *who, *ca_pem;
	uint32_t server;
	uint64_t lost;
	service_identity_fn *identity_fn;
	service_fn *fn;
	void *arg;
};

static void check_free(struct service_job *job)
{
	struct check *check = (struct check *)job;

	job_remove(job);
	if (check->call != NULL)
		scm_cancel(check->call);
	tls_trust_unref(check->view.trust);
	free(check->who);
	free(check->ca_pem);
	free(check);
}

static struct check *check_new(struct service *service, service_fn *fn, void *arg)
{
	struct check *check = mem_zero(sizeof(*check));

	check->fn = fn;
	check->arg = arg;
	job_add(service, &check->job, check_free);
	return check;
}

static void check_end(struct check *check, const struct service_result *result)
{
	if (check->identity_fn != NULL)
		check->identity_fn(result, NULL, check->arg);
	else
		check->fn(result, check->arg);
	check_free(&check->job);
}

static void ended(const struct service_result *result, void *arg)
{
	check_end(arg, result);
}

/* ---- an address ---- */

static void identified(
    const struct scm_answer *answer, const struct scm_identity *identity, void *arg)
{
	struct check *check = arg;
	struct service_result result = {
	    .fault = job_fault_of(answer), .err = answer->err, .trace = answer->trace};
	struct service_identity found;
	char url[URL_TEXT];

	check->call = NULL;
	if (answer->outcome != SCM_OK) {
		check_end(check, &result);
		return;
	}
	url_text(&check->view.base, url, sizeof(url));
	found = (struct service_identity){.url = url,
	    .product = identity->product,
	    .version = identity->version,
	    .abilities = identity->abilities};
	check->identity_fn(&result, &found, check->arg);
	check_free(&check->job);
}

void service_check_server(struct service *service, const char *typed, const char *ca_pem,
    service_identity_fn *fn, void *arg)
{
	struct check *check = check_new(service, NULL, arg);
	struct err err = ERR_INIT;
	char text[URL_TEXT];
	struct url url;

	check->identity_fn = fn;
	if (!scm_clean_url(typed, &url, &err)) {
		job_fail(service, SERVICE_BAD_INPUT, &err, ended, check);
		return;
	}
	url_text(&url, text, sizeof(text));
	if (records_server_by_url(service->parts.records, text) != NULL) {
		err_set(&err, "server_exists", "%.400s is already in the list", text);
		err_field(&err, "url");
		err_hint(&err, "Choose it above.");
		job_fail(service, SERVICE_CONFLICT, &err, ended, check);
		return;
	}
	if (!servers_view(service->parts.servers, text, ca_pem, &check->view, &err)) {
		job_fail(service, SERVICE_BAD_INPUT, &err, ended, check);
		return;
	}
	check->call =
	    scm_bitbucket_server.identify(service->parts.scm, &check->view, identified, check);
}

/* ---- a server that is set up ---- */

static const struct record_server *known(struct service *service, uint32_t id, struct err *err)
{
	const struct record_server *record = records_server(service->parts.records, id);

	if (record == NULL)
		err_set(err, "not_found", "there is no server %u", id);
	return record;
}

static void asked(const struct scm_answer *answer, const struct scm_identity *identity, void *arg)
{
	struct check *check = arg;
	struct service *service = check->job.service;
	struct service_result result = {
	    .fault = job_fault_of(answer), .err = answer->err, .trace = answer->trace};

	(void)identity;
	check->call = NULL;
	if (records_server(service->parts.records, check->server) != NULL)
		dispatcher_server_answered(service->parts.dispatcher, check->server, answer);
	check_end(check, &result);
}

void service_ask_server(struct service *service, uint32_t id, service_fn *fn, void *arg)
{
	struct err err = ERR_INIT;
	struct server *server = servers_get(service->parts.servers, id, &err);
	struct check *check;

	if (server == NULL) {
		job_fail(service, SERVICE_NOT_FOUND, &err, fn, arg);
		return;
	}
	check = check_new(service, fn, arg);
	check->server = id;
	check->call = server->driver->identify(service->parts.scm, &server->view, asked, check);
}

static void ca_works(
    const struct scm_answer *answer, const struct scm_identity *identity, void *arg)
{
	struct check *check = arg;
	struct service *service = check->job.service;
	struct service_result result = {
	    .fault = job_fault_of(answer), .err = answer->err, .trace = answer->trace};
	const struct record_server *old = records_server(service->parts.records, check->server);
	struct record_server record;
	struct err err = ERR_INIT;

	check->call = NULL;
	if (answer->outcome != SCM_OK || old == NULL) {
		check_end(check, &result);
		return;
	}
	check->lost = db_lost(service->parts.db);
	record = *old;
	record.ca_pem = check->ca_pem;
	record.product = identity->product;
	record.version = identity->version;
	record.capabilities = identity->capabilities;
	if (!records_put_server(service->parts.records, &record, &err)) {
		job_fail(service, SERVICE_STORE, &err, ended, check);
		return;
	}
	old = records_server(service->parts.records, check->server);
	job_audit(service, check->who, "server.ca", old->url, "");
	dispatcher_server_changed(service->parts.dispatcher, check->server);
	dispatcher_server_answered(service->parts.dispatcher, check->server, answer);
	bus_publish(service->parts.bus, BUS_SERVER, check->server);
	job_after_commit(service, check->lost, ended, check);
}

void service_replace_ca(struct service *service, const char *who, uint32_t id, const char *ca_pem,
    service_fn *fn, void *arg)
{
	struct err err = ERR_INIT;
	const struct record_server *record = known(service, id, &err);
	struct check *check;

	if (record == NULL) {
		job_fail(service, SERVICE_NOT_FOUND, &err, fn, arg);
		return;
	}
	check = check_new(service, fn, arg);
	check->server = id;
	check->who = mem_string(who);
	check->ca_pem = mem_string(ca_pem);
	if (!servers_view(service->parts.servers, record->url, ca_pem, &check->view, &err)) {
		job_fail(service, SERVICE_BAD_INPUT, &err, ended, check);
		return;
	}
	check->call =
	    scm_bitbucket_server.identify(service->parts.scm, &check->view, ca_works, check);
}

/* ---- a status of our own ---- */

struct test {
	struct service_job job;
	uint32_t repo;
	service_fn *fn;
	void *arg;
};

static void test_free(struct service_job *job)
{
	job_remove(job);
	free(job);
}

static void test_kept(const struct service_result *result, void *arg)
{
	struct test *test = arg;

	bus_publish(test->job.service->parts.bus, BUS_QUEUE, 0);
	if (result->fault == SERVICE_OK)
		dispatcher_wake(test->job.service->parts.dispatcher, test->repo);
	test->fn(result, test->arg);
	test_free(&test->job);
}

void service_test_status(struct service *service, const char *who, uint32_t repo,
    const char *commit, uint64_t *number, service_fn *fn, void *arg)
{
	uint64_t lost = db_lost(service->parts.db);
	struct record_repo record;
	struct err err = ERR_INIT;
	struct queue_entry entry = {
	    .id = "",
	    .repo = repo,
	    .update = {.commit = commit,
	        .key = SERVICE_TEST_KEY,
	        .name = "eyes-scm check",
	        .description = "A test status, sent from the console of eyes-scm",
	        .url = "https://applitools.com/",
	        .ref = "",
	        .state = UPDATE_SUCCESSFUL},
	    .received_ms = clock_wall_ms(),
	};
	struct test *test;
	char *subject;

	if (!codec_is_hex(commit, UPDATE_COMMIT)) {
		err_set(&err, "commit_invalid", "a commit has 40 hex digits");
		err_field(&err, "commit");
		job_fail(service, SERVICE_BAD_INPUT, &err, fn, arg);
		return;
	}
	if (!records_repo(service->parts.records, repo, &record) || record.state == REPO_DISABLED) {
		err_set(&err, "repo_disabled", "that repository is not enabled");
		job_fail(service, SERVICE_NOT_FOUND, &err, fn, arg);
		return;
	}
	subject = mem_printf("%s/%s", record.project, record.slug);
	if (queue_put(service->parts.queue, &entry, &err) == QUEUE_PUT_NEW) {
		*number = entry.number;
		job_audit(service, who, "status.test", subject, commit);
		test = mem_zero(sizeof(*test));
		test->repo = repo;
		test->fn = fn;
		test->arg = arg;
		job_add(service, &test->job, test_free);
		job_after_commit(service, lost, test_kept, test);
	} else {
		if (err.code == NULL)
			err_set(&err, "store_full",
			    "eyes-scm takes in nothing new: its queue or store is full");
		job_fail(service, SERVICE_STORE, &err, fn, arg);
	}
	free(subject);
}
