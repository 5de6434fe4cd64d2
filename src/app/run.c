/*
 * The daemon, wired together: every room is made here, in the order of the layers, and ended in the
 * opposite order.
 *
 *   start --> loop_run --SIGTERM, SIGINT--> stop taking in --> what is under way ends, outcomes
 * reach Eyes (10 s at most) --> end
 *
 * SIGHUP reads the configuration again: log level and CA files are taken over, the rest needs a
 * restart and says so.
 */
#include "app/run.h"
#include "app/daemon.h"
#include "base/bus.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/key_watch.h"
#include "flow/locate.h"
#include "flow/placing.h"
#include "flow/reporter.h"
#include "flow/results.h"
#include "flow/server_watch.h"
#include "store/retention.h"
#include "store/sessions.h"
#include "web/web.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RESTART_MS 100
#define EYES_PATH_MAX 500
#define DRAIN_MS 9000 /* all of it is over within ten seconds */
#define DRAIN_LOOK_MS 20
#define UNKNOWN_COMMIT_MS (10 * 60 * 1000)
#define ROWS_KEPT 10000 /* recent updates and audit entries */
#define BYTES_PER_REMEMBERED \
	1024 /* of the store: ids and targets are remembered up to a row per KiB */
#define FEED_LIMIT 256

struct program {
	const struct options *options;
	struct loop *loop;
	struct worker *worker;
	struct resolver *resolver;
	struct http_client *http;
	struct tls_trust *trust; /* the system's */
	struct bus *bus;
	struct db *db;
	struct vault *vault;
	struct records *records;
	struct outbox *outbox;
	struct journal *journal;
	struct places *places;
	struct audit *audit;
	struct queue *queue;
	struct results results;
	struct retention *retention;
	struct eyes *eyes;
	struct scm *scm;
	struct servers *servers;
	struct intake intake;
	struct locate *locate;
	struct placing *placing;
	struct dispatcher *dispatcher;
	struct poller *poller;
	struct reporter *reporter;
	struct key_watch *key_watch;
	struct server_watch *server_watch;
	struct service *service;
	struct sessions *sessions;
	struct auth *auth;
	struct jobs *jobs;
	struct listings *listings;
	struct web *web;
	struct loop_timer drain;
	char *eyes_url, *organization; /* from outside, else as the page was told; "" */
	char *setup_code;     /* the same when it starts anew: a person has just typed it */
	bool again;           /* once stopped, start anew: the configuration changed */
	uint64_t drain_until; /* monotonic; 0 while running */
};

/* ---- start ---- */

static bool start_base(struct program *p, struct err *err)
{
	const struct options *o = p->options;
	struct http_proxy_config proxy = {
	    .https_proxy = o->https_proxy, .http_proxy = o->http_proxy, .no_proxy = o->no_proxy};

	p->loop = loop_new(err);
	if (p->loop == NULL)
		return false;
	p->bus = bus_new(p->loop);
	p->worker = worker_new(p->loop, "ca", err);
	if (p->worker == NULL)
		return false;
	tls_system_load(p->worker, o->ca_file, NULL, NULL);
	p->resolver = resolver_new(p->loop, err);
	if (p->resolver == NULL)
		return false;
	p->http = http_client_new(p->loop, p->resolver, &proxy, err);
	if (p->http == NULL)
		return false;
	p->trust = tls_trust_new(NULL, err);
	return p->trust != NULL;
}

static bool start_store(struct program *p, struct err *err)
{
	const struct options *o = p->options;
	struct db_options db = {.directory = o->state_dir, .size = o->store_size};
	struct queue_options queue = {
	    .ttl_ms = o->queue_ttl_ms,
	    .limit = o->queue_limit,
	    .remember = o->store_size / BYTES_PER_REMEMBERED,
	    .ghost_ms = o->scm_timeout_ms,
	    .result = results_record,
	    .arg = &p->results,
	};

	if ((p->db = db_open(p->loop, &db, err)) == NULL ||
	    (p->vault = vault_open(p->db, o->credentials_dir, o->key_file, err)) == NULL ||
	    (p->records = records_open(p->db, p->vault, err)) == NULL ||
	    (p->outbox = outbox_open(p->db, err)) == NULL ||
	    (p->journal = journal_open(p->db, ROWS_KEPT, err)) == NULL ||
	    (p->places = places_open(p->db, o->store_size / BYTES_PER_REMEMBERED, err)) == NULL ||
	    (p->audit = audit_open(p->db, ROWS_KEPT, err)) == NULL)
		return false;
	p->results = (struct results){.outbox = p->outbox, .journal = p->journal, .bus = p->bus};
	p->queue = queue_open(p->db, &queue, err);
	if (p->queue == NULL)
		return false;
	p->retention = retention_new(p->loop, &(struct retention_tables){
	                                          .db = p->db,
	                                          .queue = p->queue,
	                                          .journal = p->journal,
	                                          .places = p->places,
	                                          .audit = p->audit,
	                                          .outbox = p->outbox,
	                                          .batch_window_ms = o->batch_window_ms,
	                                      });
	return true;
}

/* The stored key is used only for the Eyes server that it was given for. */
static void take_stored_key(struct program *p)
{
	struct record_account account;
	struct secret key = {0};
	struct err err = ERR_INIT;
	char origin[320];

	if (!records_account(p->records, &account))
		return;
	url_origin(eyes_base(p->eyes), origin, sizeof(origin));
	if (strcmp(origin, account.origin) != 0) {
		log_warn("key",
		    "the Eyes server changed: the stored key is not sent to another server, enter "
		    "it again",
		    log_str("was", account.origin), log_str("is", origin));
		return;
	}
	if (records_account_key(p->records, &key, &err))
		eyes_set_key(p->eyes, &key);
	else
		log_error("key", "the stored key cannot be used", log_err(&err));
	secret_free(&key);
}

static bool start_eyes(struct program *p, struct err *err)
{
	const struct options *o = p->options;
	struct eyes_config config = {0};
	struct record_configuration stored;

	records_configuration(p->records, &stored);
	p->eyes_url = mem_string(o->eyes_url != NULL ? o->eyes_url : stored.eyes_url);
	p->organization =
	    mem_string(o->organization != NULL ? o->organization : stored.organization);
	config.organization = p->organization;
	if (p->eyes_url[0] == '\0' || p->organization[0] == '\0') {
		log_warn("eyes", "EYES_SERVER_URL and EYES_ORG_ID are not both set: nothing is "
		                 "asked of Eyes yet");
		return true;
	}
	if (!url_parse(&config.base, p->eyes_url, err))
		return false;
	if (strlen(config.base.path) > EYES_PATH_MAX)
		return err_set(err, "config", "EYES_SERVER_URL: the path has more than %d bytes",
		    EYES_PATH_MAX);
	p->eyes = eyes_new(p->loop, p->http, p->trust, &config);
	take_stored_key(p);
	p->key_watch = key_watch_new(p->loop, p->eyes, p->records, p->bus);
	return true;
}

static void wake(uint32_t repo, void *arg)
{
	struct program *p = arg;

	dispatcher_wake(p->dispatcher, repo);
	bus_publish(p->bus, BUS_QUEUE, 0);
}

/* What `batches` remembers. */
static ptrdiff_t memory_get(const char *id, void *out, size_t size, void *arg)
{
	struct program *p = arg;

	return places_memory_get(p->places, id, out, size);
}

static void memory_set(const char *id, const void *data, size_t length, void *arg)
{
	struct program *p = arg;
	struct err err = ERR_INIT;

	if (!places_memory_set(p->places, id, data, length, &err))
		log_warn(
		    "poller", "a batch cannot be remembered; it is looked at again", log_err(&err));
}

static void start_roads(struct program *p)
{
	const struct options *o = p->options;

	p->scm = scm_new(p->loop, p->http);
	p->servers = servers_new(&(struct servers_options){
	    .records = p->records,
	    .connections = (unsigned)o->scm_connections,
	    .deadline_ms = (uint32_t)o->scm_timeout_ms,
	});
	intake_init(&p->intake, p->records, p->queue);
	p->locate = locate_new(&(struct locate_options){.loop = p->loop,
	    .records = p->records,
	    .servers = p->servers,
	    .scm = p->scm,
	    .places = p->places});
	p->placing = placing_new(&(struct placing_options){.loop = p->loop,
	    .db = p->db,
	    .intake = &p->intake,
	    .locate = p->locate,
	    .wake = wake,
	    .arg = p});
	p->dispatcher = dispatcher_new(&(struct dispatcher_options){
	    .loop = p->loop,
	    .db = p->db,
	    .queue = p->queue,
	    .records = p->records,
	    .servers = p->servers,
	    .scm = p->scm,
	    .bus = p->bus,
	    .connections = (unsigned)o->scm_connections,
	    .deadline_ms = (uint32_t)o->scm_timeout_ms,
	    .unknown_ms = UNKNOWN_COMMIT_MS,
	});
	p->poller = poller_new(&(struct poller_options){
	    .loop = p->loop,
	    .db = p->db,
	    .records = p->records,
	    .eyes = p->eyes,
	    .intake = &p->intake,
	    .placing = p->placing,
	    .bus = p->bus,
	    .wake = wake,
	    .arg = p,
	    .choice = (enum poller_choice)o->status_source,
	    .interval_ms = (uint32_t)o->poll_interval_ms,
	    .wait_ms = (uint32_t)o->poll_wait_ms,
	    .source =
	        {
	            .loop = p->loop,
	            .eyes = p->eyes,
	            .commands_path = o->commands_path,
	            .wait_ms = (uint32_t)o->poll_wait_ms,
	            .limit = FEED_LIMIT,
	            .status_key = o->status_key,
	            .window_ms = o->batch_window_ms,
	            .memory = {.get = memory_get, .set = memory_set, .arg = p},
	        },
	});
	p->reporter = reporter_new(p->loop, p->outbox, p->poller);
	p->server_watch = server_watch_new(p->loop, p->records, p->servers, p->scm, p->dispatcher);
}

struct setting {
	struct program *program;
	options_each_fn *fn;
	void *arg;
};

/* What the page was told stands where nothing outside says it. */
static void give_setting(const char *name, const char *value, const char *source, void *arg)
{
	struct setting *setting = arg;
	const struct program *p = setting->program;

	if (p->options->eyes_url == NULL && p->eyes_url[0] != '\0' &&
	    strcmp(name, "EYES_SERVER_URL") == 0)
		setting->fn(name, p->eyes_url, "set in the wizard", setting->arg);
	else if (p->options->organization == NULL && p->organization[0] != '\0' &&
	         strcmp(name, "EYES_ORG_ID") == 0)
		setting->fn(name, p->organization, "set in the wizard", setting->arg);
	else
		setting->fn(name, value, source, setting->arg);
}

static void each_setting(options_each_fn *fn, void *fn_arg, void *arg)
{
	struct program *p = arg;

	struct setting setting = {.program = p, .fn = fn, .arg = fn_arg};

	options_each(p->options, give_setting, &setting);
}

static void begin_again(void *arg)
{
	struct program *p = arg;

	p->again = true;
	loop_stop(p->loop);
}

/* After a moment, so that the answer to the page goes out. Nothing is under way: there is no Eyes
 * yet. */
static void restart(void *arg)
{
	struct program *p = arg;

	loop_timer_init(&p->drain, p->loop, begin_again, p);
	loop_timer_set(&p->drain, RESTART_MS);
}

/* Whether others than this machine can reach the page. */
static bool is_open_to_others(const struct options *o)
{
	for (unsigned i = 0; i < o->listen_count; i++)
		if (strncmp(o->listen[i].text, "127.", 4) != 0 &&
		    strncmp(o->listen[i].text, "[::1]", 5) != 0)
			return true;
	return false;
}

static bool start_page(struct program *p, struct err *err)
{
	const struct options *o = p->options;

	p->sessions = sessions_open(p->db, err);
	if (p->sessions == NULL)
		return false;
	p->jobs = jobs_new(p->service, p->bus);
	p->listings = listings_new(p->service, p->loop, p->bus);
	p->auth = auth_new(&(struct auth_options){
	    .service = p->service,
	    .sessions = p->sessions,
	    .bus = p->bus,
	    .setup_code = p->setup_code,
	    .need_setup_code = o->setup_code == OPTIONS_SETUP_CODE_ALWAYS || is_open_to_others(o),
	});
	return true;
}

static bool start_web(struct program *p, struct err *err)
{
	const struct options *o = p->options;
	struct web_listen listen[OPTIONS_LISTEN];
	struct web_options options = {
	    .loop = p->loop,
	    .service = p->service,
	    .auth = p->auth,
	    .jobs = p->jobs,
	    .listings = p->listings,
	    .bus = p->bus,
	    .own_url = o->own_url,
	    .allowed_hosts = o->allowed_hosts,
	    .static_dir = o->static_dir,
	    .connections = (unsigned)o->http_connections,
	    .settings = each_setting,
	    .settings_arg = p,
	    .eyes_url = p->eyes_url,
	    .organization = p->organization,
	    .restart = restart,
	    .restart_arg = p,
	    .listen = listen,
	    .listen_count = o->listen_count,
	};
	char *control = mem_printf("%s/control.sock", db_directory(p->db));

	for (unsigned i = 0; i < o->listen_count; i++)
		listen[i] = (struct web_listen){.text = o->listen[i].text,
		    .address = o->listen[i].address,
		    .length = o->listen[i].length,
		    .may_fail = o->listen[i].may_fail};
	options.control_path = control;
	p->web = web_new(&options, err);
	free(control);
	return p->web != NULL;
}

static bool start(struct program *p, struct err *err)
{
	if (!start_base(p, err) || !start_store(p, err) || !start_eyes(p, err))
		return false;
	start_roads(p);
	p->service = service_new(&(struct service_parts){
	    .loop = p->loop,
	    .db = p->db,
	    .vault = p->vault,
	    .records = p->records,
	    .queue = p->queue,
	    .outbox = p->outbox,
	    .journal = p->journal,
	    .audit = p->audit,
	    .eyes = p->eyes,
	    .http = p->http,
	    .trust = p->trust,
	    .key_watch = p->key_watch,
	    .servers = p->servers,
	    .scm = p->scm,
	    .intake = &p->intake,
	    .dispatcher = p->dispatcher,
	    .poller = p->poller,
	    .reporter = p->reporter,
	    .bus = p->bus,
	    .started_ms = clock_wall_ms(),
	});
	if (!start_page(p, err) || !start_web(p, err) || !db_commit_now(p->db, err))
		return false;
	dispatcher_start(p->dispatcher);
	server_watch_start(p->server_watch);
	key_watch_check(p->key_watch);
	return true;
}

/* ---- end ---- */

static void drained(void *arg)
{
	struct program *p = arg;
	bool sent = dispatcher_in_flight(p->dispatcher) == 0, idle;

	if (sent)
		(void)db_commit_now(p->db, NULL); /* what came of it can be told to Eyes now */
	idle = sent && reporter_idle(p->reporter);
	if (!idle && clock_monotonic_ms() < p->drain_until) {
		loop_timer_set(&p->drain, DRAIN_LOOK_MS);
		return;
	}
	if (!idle)
		log_warn("main",
		    "stopping although something is under way: it is done again at the next start",
		    log_uint("in_flight", dispatcher_in_flight(p->dispatcher)),
		    log_uint("outbox", outbox_rows(p->outbox)));
	loop_stop(p->loop);
}

static void stop(int signal_number, void *arg)
{
	struct program *p = arg;

	if (p->drain_until != 0) { /* asked twice: at once */
		loop_stop(p->loop);
		return;
	}
	log_info("main", "stopping", log_str("signal", strsignal(signal_number)));
	p->drain_until = clock_monotonic_ms() + DRAIN_MS;
	poller_stop(p->poller);
	dispatcher_stop(p->dispatcher, drained, p);
	loop_timer_set(&p->drain, DRAIN_LOOK_MS);
}

static void reloaded_ca(void *arg)
{
	struct program *p = arg;
	const struct err *err = tls_system_error();

	if (err->code != NULL)
		log_error("main", "the CA files could not be read again: the old ones stay",
		    log_err(err));
	else
		http_client_drop_idle(p->http, NULL);
}

static void log_problems(const struct problems *problems)
{
	for (unsigned i = 0; i < problems->count; i++) {
		if (problems->list[i].warning)
			log_warn("main", problems->list[i].text);
		else
			log_error("main", problems->list[i].text);
	}
}

static void reload(int signal_number, void *arg)
{
	struct program *p = arg;
	struct problems problems;
	struct options fresh;

	(void)signal_number;
	problems_init(&problems);
	if (options_reload(p->options, &fresh, &problems)) {
		log_set_level((enum log_level)fresh.log_level);
		log_set_format((enum log_format)fresh.log_format);
		tls_system_load(p->worker, fresh.ca_file, reloaded_ca, p);
		log_info("main", "configuration read again");
	} else {
		log_error("main", "the configuration is wrong: nothing was changed");
	}
	log_problems(&problems);
	problems_free(&problems);
	options_free(&fresh);
}

/* False when a helper thread still works on something. */
static bool end(struct program *p)
{
	bool quiet;

	web_free(p->web);
	service_free(p->service);
	jobs_free(p->jobs);
	listings_free(p->listings);
	auth_free(p->auth);
	sessions_close(p->sessions);
	if (p->db != NULL)
		(void)db_commit_now(p->db, NULL);
	server_watch_free(p->server_watch);
	key_watch_free(p->key_watch);
	reporter_free(p->reporter);
	poller_free(p->poller);
	dispatcher_free(p->dispatcher);
	placing_free(p->placing);
	locate_free(p->locate);
	servers_free(p->servers);
	scm_free(p->scm);
	eyes_free(p->eyes);
	retention_free(p->retention);
	queue_close(p->queue);
	audit_close(p->audit);
	places_close(p->places);
	journal_close(p->journal);
	outbox_close(p->outbox);
	records_close(p->records);
	vault_close(p->vault);
	db_close(p->db);
	http_client_free(p->http);
	resolver_free(p->resolver);
	quiet = worker_free(p->worker);
	tls_trust_unref(p->trust);
	free(p->eyes_url);
	free(p->organization);
	bus_free(p->bus);
	loop_free(p->loop);
	return quiet;
}

static int run_once(const struct options *options, char *setup_code, bool *again)
{
	struct program program = {.options = options, .setup_code = setup_code}, *p = &program;
	struct err err = ERR_INIT;
	int code = 0;

	if (start(p, &err)) {
		loop_timer_init(&p->drain, p->loop, drained, p);
		loop_on_signal(p->loop, SIGTERM, stop, p);
		loop_on_signal(p->loop, SIGINT, stop, p);
		loop_on_signal(p->loop, SIGHUP, reload, p);
		log_info("main", "ready", log_str("version", EYES_SCM_VERSION),
		    log_str("state_dir", options->state_dir));
		daemon_ready();
		loop_run(p->loop);
		loop_timer_cancel(&p->drain);
		*again = p->again;
		log_info("main", *again ? "starting anew: the configuration changed" : "stopped");
	} else {
		daemon_failed(&err);
		code = 1;
	}
	if (!end(p) && !*again) {
		/* It reads CA files, slowly: exit() would take OpenSSL away from under it. */
		daemon_end();
		fflush(NULL);
		_exit(code);
	}
	return code;
}

int run(const struct options *options)
{
	char setup_code[AUTH_SETUP_CODE] = "";
	bool again;
	int code;

	do {
		again = false;
		code = run_once(options, setup_code, &again);
	} while (again);
	return code;
}
