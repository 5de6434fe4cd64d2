#include "app/options_table.h"
#include "app/run_internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define RESTART_MS 100
#define EYES_PATH_MAX 500
#define UNKNOWN_COMMIT_MS (10 * 60 * 1000)
#define ROWS_KEPT 10000 /* recent updates and audit entries */
#define BYTES_PER_REMEMBERED \
	1024 /* of the store: ids and targets are remembered up to a row per KiB */
#define FEED_LIMIT 256
#define EVENTS_PART 4       /* of the store may hold events that wait: one */
#define EVENT_CONNECTIONS 4 /* to where events are passed on to */

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

static void events_expired(uint32_t lane, void *arg)
{
	struct program *p = arg;

	forwarder_expired(p->forwarder, lane);
}

static bool start_store(struct program *p, struct err *err)
{
	const struct options *o = p->options;
	struct db_options db = {.directory = o->state_dir, .size = o->store_size};
	struct events_options events = {
	    .ttl_ms = o->queue_ttl_ms,
	    .limit = o->queue_limit,
	    .limit_bytes = o->store_size / EVENTS_PART,
	    .remember = o->store_size / BYTES_PER_REMEMBERED,
	};
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
	    (p->audit = audit_open(p->db, ROWS_KEPT, err)) == NULL ||
	    (p->hooks = hooks_open(p->db, p->vault, err)) == NULL ||
	    (p->events = events_open(p->db, &events, err)) == NULL)
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
	                                          .events = p->events,
	                                          .events_lane = events_expired,
	                                          .arg = p,
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
	/* However slowly events are taken, updates and outcomes have connections of their own. */
	struct eyes_config config = {.connections = 4 + EVENT_CONNECTIONS};
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

static void eyes_works(void *arg)
{
	struct program *p = arg;

	if (p->forwarder != NULL)
		forwarder_hurry(p->forwarder);
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
	intake_init(&p->intake, p->records, p->queue, p->places);
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
	    .works = eyes_works,
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

static const struct secret *given(const struct secret *secret)
{
	return secret->length > 0 ? secret : NULL;
}

/* The port of the first address that is listened at. */
static unsigned own_port(const struct options *o)
{
	const struct sockaddr_storage *address = &o->listen[0].address;
	unsigned port = 0;

	if (o->listen_count > 0 && address->ss_family == AF_INET)
		port = ntohs(((const struct sockaddr_in *)address)->sin_port);
	else if (o->listen_count > 0 && address->ss_family == AF_INET6)
		port = ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
	return port != 0 ? port : (unsigned)o->port;
}

/* The address under which others reach us: without a setting this machine's only. */
static void find_own_url(struct program *p)
{
	const struct options *o = p->options;
	size_t length;

	if (o->own_url != NULL) {
		p->own_url = mem_string(o->own_url);
		length = strlen(p->own_url);
		while (length > 0 && p->own_url[length - 1] == '/')
			p->own_url[--length] = '\0';
		return;
	}
	p->own_url = mem_printf("http://localhost:%u", own_port(o));
	if (o->events_mode == OPTIONS_EVENTS_RELAY)
		log_warn("webhooks",
		    "EYES_SCM_PROXY_URL is not set: Bitbucket is told to send its events to this "
		    "address, which only this machine can reach",
		    log_str("url", p->own_url));
}

/* From a webhook to Eyes. */
static void start_events(struct program *p)
{
	const struct options *o = p->options;

	find_own_url(p);
	if (o->webhook_secret != NULL)
		secret_set(&p->sign, o->webhook_secret, strlen(o->webhook_secret));
	if (o->github_secret != NULL)
		secret_set(&p->github, o->github_secret, strlen(o->github_secret));
	p->forwarder = forwarder_new(&(struct forwarder_options){
	    .loop = p->loop,
	    .db = p->db,
	    .events = p->events,
	    .records = p->records,
	    .eyes = p->eyes,
	    .bus = p->bus,
	    .url_template = o->webhook_url,
	    .github_template = o->github_url,
	    .organization = p->organization,
	    .instance = hooks_instance(p->hooks),
	    .sign = given(&p->sign),
	    .connections = EVENT_CONNECTIONS,
	});
	p->inbox = inbox_new(&(struct inbox_options){
	    .loop = p->loop,
	    .db = p->db,
	    .events = p->events,
	    .hooks = p->hooks,
	    .records = p->records,
	    .places = p->places,
	    .locate = p->locate,
	    .forwarder = p->forwarder,
	    .bus = p->bus,
	    .github_secret = given(&p->github),
	});
	p->keeper = webhook_keeper_new(&(struct webhook_options){
	    .loop = p->loop,
	    .db = p->db,
	    .records = p->records,
	    .hooks = p->hooks,
	    .audit = p->audit,
	    .servers = p->servers,
	    .scm = p->scm,
	    .dispatcher = p->dispatcher,
	    .inbox = p->inbox,
	    .bus = p->bus,
	    .relay = o->events_mode == OPTIONS_EVENTS_RELAY,
	    .url_template = o->webhook_url,
	    .eyes_url = p->eyes != NULL ? eyes_base(p->eyes) : NULL,
	    .organization = p->organization,
	    .own_url = p->own_url,
	    .sign = given(&p->sign),
	    .period_ms = (uint32_t)o->webhook_interval_ms,
	});
}

struct setting {
	struct program *program;
	web_setting_fn *fn;
	void *arg;
};

/* What the page was told stands where nothing outside says it. */
static void give_setting(const char *name, const char *value, const char *source, void *arg)
{
	struct setting *setting = arg;
	const struct program *p = setting->program;
	const struct option *option = option_by_name(name);
	struct web_setting given = {.name = name,
	    .value = value,
	    .source = source,
	    .help = option != NULL && option->help != NULL ? option->help : "",
	    .initial = option != NULL && option->initial != NULL ? option->initial : ""};

	if (p->options->eyes_url == NULL && p->eyes_url[0] != '\0' &&
	    strcmp(name, "EYES_SERVER_URL") == 0) {
		given.value = p->eyes_url;
		given.source = "set in the wizard";
	} else if (p->options->organization == NULL && p->organization[0] != '\0' &&
	           strcmp(name, "EYES_ORG_ID") == 0) {
		given.value = p->organization;
		given.source = "set in the wizard";
	}
	setting->fn(&given, setting->arg);
}

static void each_setting(web_setting_fn *fn, void *fn_arg, void *arg)
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

static void take_listen(struct web_listen *to, const struct options_listen *from, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		to[i] = (struct web_listen){.text = from[i].text,
		    .address = from[i].address,
		    .length = from[i].length,
		    .may_fail = from[i].may_fail};
}

static bool start_web(struct program *p, struct err *err)
{
	const struct options *o = p->options;
	struct web_listen listen[OPTIONS_LISTEN], events_listen[OPTIONS_LISTEN];
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
	    .inbox = p->inbox,
	    .events_listen = events_listen,
	    .events_listen_count = o->events_listen_count,
	    .event_max = o->event_max,
	};
	char *control = mem_printf("%s/control.sock", db_directory(p->db));

	take_listen(listen, o->listen, o->listen_count);
	take_listen(events_listen, o->events_listen, o->events_listen_count);
	options.control_path = control;
	p->web = web_new(&options, err);
	free(control);
	return p->web != NULL;
}

bool run_start(struct program *p, struct err *err)
{
	if (!start_base(p, err) || !start_store(p, err) || !start_eyes(p, err))
		return false;
	start_roads(p);
	start_events(p);
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
	    .events = p->events,
	    .forwarder = p->forwarder,
	    .hooks = p->hooks,
	    .keeper = p->keeper,
	    .inbox = p->inbox,
	    .relay = p->options->events_mode == OPTIONS_EVENTS_RELAY,
	    .github = p->options->github_secret != NULL,
	    .webhook_url = p->options->webhook_url,
	    .webhook_secret_set = p->options->webhook_secret != NULL,
	    .webhook_url_set =
	        strcmp(options_source_of(p->options, "EYES_WEBHOOK_URL"), "default") != 0,
	    .bus = p->bus,
	    .started_ms = clock_wall_ms(),
	});
	if (!start_page(p, err) || !start_web(p, err) || !db_commit_now(p->db, err))
		return false;
	dispatcher_start(p->dispatcher);
	forwarder_start(p->forwarder);
	webhook_keeper_start(p->keeper);
	server_watch_start(p->server_watch);
	key_watch_check(p->key_watch);
	return true;
}
