#include "sim/sim.h"

#include "base/clock.h"
#include "base/mem.h"
#include "sim/sim_ca.h"
#include <errno.h>
#include <event2/event.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <unistd.h>

static struct {
	bool help, plain, cert_expired, exit_with_stdin, tls12;
	long port, record, parent_pid, burst, per_second, retry_after;
	const char *bind, *tls_dir, *cert_name, *port_file;
	struct sim_list sans;
} options = {.bind = "127.0.0.1", .record = 10000, .per_second = 5, .retry_after = -1};

static const struct sim_option common_options[] = {
    {"help", SIM_FLAG, &options.help, "this text"},
    {"bind", SIM_TEXT, &options.bind, "address to listen on (127.0.0.1)"},
    {"port", SIM_INTEGER, &options.port, "port; 0, the default, takes a free one"},
    {"port-file", SIM_TEXT, &options.port_file, "write the port number to this file"},
    {"plain", SIM_FLAG, &options.plain, "HTTP instead of HTTPS"},
    {"tls-dir", SIM_TEXT, &options.tls_dir, "ca.pem and server.pem are made here (or are here)"},
    {"san", SIM_LIST, &options.sans, "one more name or address for the certificate"},
    {"cert-expired", SIM_FLAG, &options.cert_expired, "serve a certificate that has expired"},
    {"cert-name", SIM_TEXT, &options.cert_name, "serve a certificate for this name only"},
    {"tls12", SIM_FLAG, &options.tls12, "nothing newer than TLS 1.2"},
    {"record", SIM_INTEGER, &options.record, "remember so many requests (10000)"},
    {"rate-burst", SIM_INTEGER, &options.burst,
        "rate limit per token: requests at once; 0 is none"},
    {"rate-per-second", SIM_INTEGER, &options.per_second, "... and after that (5)"},
    {"rate-retry-after", SIM_INTEGER, &options.retry_after,
        "... Retry-After seconds on 429 (none)"},
    {"parent-pid", SIM_INTEGER, &options.parent_pid, "end when this process ends"},
    {"exit-with-stdin", SIM_FLAG, &options.exit_with_stdin, "end when standard input ends"},
    {0},
};

/* ---- requests ---- */

static unsigned context_segments(const struct sim *sim)
{
	unsigned count = 0;
	for (const char *at = sim->context; (at = strchr(at, '/')); at++)
		count++;
	return count;
}

static void run_route(struct sim_request *request, void *arg)
{
	struct sim *sim = arg;
	size_t length = strlen(sim->context);
	bool inside = strncmp(request->path, sim->context, length) == 0 &&
	              (request->path[length] == '/' || request->path[length] == '\0');
	if (!inside || request->bad_path) {
		sim->kind->not_found(request, sim->app);
		return;
	}
	if (sim->kind->before(request, sim->app))
		sim_table_run(
		    sim->routes, request, context_segments(sim), sim->app, sim->kind->not_found);
}

static void control_not_found(struct sim_request *request, void *arg)
{
	(void)arg;
	sim_answer_error(request, 404, "no such control route: %s", request->path);
}

/* One table serves the shared control routes, which want the sim, and the simulator's, which want
 * its app. */
static void run_control(struct sim *sim, struct sim_request *request)
{
	const struct sim_route *shared = sim_control_routes;
	for (; shared->method; shared++)
		if (strcmp(shared->path, request->path) == 0)
			break;
	void *arg = shared->method ? (void *)sim : sim->app;
	sim_table_run(sim->control, request, 0, arg, control_not_found);
}

static void on_request(struct sim_request *request, void *arg)
{
	struct sim *sim = arg;
	if (strncmp(request->path, "/sim/", 5) == 0) {
		run_control(sim, request);
		return;
	}
	sim->requests++;
	sim_recorder_add(&sim->recorder, request);
	if (!sim_faults_apply(sim->faults, request))
		run_route(request, sim);
}

static void on_late_request(struct sim_request *request, void *arg)
{
	struct sim *sim = arg;
	run_route(request, sim);
	sim_recorder_done(&sim->recorder, request, request->status);
}

static void on_answered(struct sim_request *request, int status, void *arg)
{
	struct sim *sim = arg;
	if (strncmp(request->path, "/sim/", 5) == 0)
		return;
	sim_table_count(request, status);
	sim_recorder_done(&sim->recorder, request, status);
}

/* ---- the program ---- */

struct watch {
	struct sim *sim;
	struct event *stdin_event, *parent_event;
	int parent_fd;
	struct loop_timer parent_timer;
};

static void on_signal(int number, void *arg)
{
	struct sim *sim = arg;
	(void)number;
	loop_stop(sim->loop);
}

static void on_stdin(evutil_socket_t fd, short what, void *arg)
{
	struct watch *watch = arg;
	char scratch[512];
	(void)what;
	if (read((int)fd, scratch, sizeof(scratch)) <= 0)
		loop_stop(watch->sim->loop);
}

static void on_parent(evutil_socket_t fd, short what, void *arg)
{
	struct watch *watch = arg;
	(void)fd;
	(void)what;
	loop_stop(watch->sim->loop);
}

/* Where the kernel has no pidfd. */
static void on_parent_timer(void *arg)
{
	struct watch *watch = arg;
	if (kill((pid_t)options.parent_pid, 0) != 0 && errno == ESRCH)
		loop_stop(watch->sim->loop);
	else
		loop_timer_set(&watch->parent_timer, 200);
}

static void watch_start(struct watch *watch, struct sim *sim)
{
	struct event_base *base = loop_base(sim->loop);
	*watch = (struct watch){.sim = sim, .parent_fd = -1};
	loop_timer_init(&watch->parent_timer, sim->loop, on_parent_timer, watch);
	if (options.exit_with_stdin) {
		watch->stdin_event = event_new(base, 0, EV_READ | EV_PERSIST, on_stdin, watch);
		/* A file cannot be watched by epoll: it never ends as a pipe does. */
		if (watch->stdin_event)
			event_add(watch->stdin_event, NULL);
	}
	if (options.parent_pid <= 0)
		return;
	watch->parent_fd = pidfd_open((pid_t)options.parent_pid, 0);
	if (watch->parent_fd < 0) {
		on_parent_timer(watch);
		return;
	}
	watch->parent_event = event_new(base, watch->parent_fd, EV_READ, on_parent, watch);
	event_add(watch->parent_event, NULL);
}

static void watch_stop(struct watch *watch)
{
	loop_timer_cancel(&watch->parent_timer);
	if (watch->stdin_event)
		event_free(watch->stdin_event);
	if (watch->parent_event)
		event_free(watch->parent_event);
	if (watch->parent_fd >= 0)
		close(watch->parent_fd);
}

static bool listen_start(struct sim *sim, SSL_CTX **tls, struct err *err)
{
	if (!options.plain) {
		struct sim_ca_options ca = {.folder = options.tls_dir,
		    .san_count = options.sans.count,
		    .expired = options.cert_expired,
		    .name = options.cert_name,
		    .tls12 = options.tls12};
		memcpy(ca.sans, options.sans.item, sizeof(ca.sans));
		if (!ca.folder)
			return err_set(err, "usage", "--tls-dir DIR or --plain is needed");
		*tls = sim_ca_context(&ca, err);
		if (!*tls)
			return false;
	}
	struct sim_server_options server = {.bind = options.bind,
	    .port = (int)options.port,
	    .tls = *tls,
	    .handler = on_request,
	    .answered = on_answered,
	    .arg = sim};
	sim->server = sim_server_new(sim->loop, &server, err);
	return sim->server != NULL;
}

static bool tell_ready(const struct sim *sim, struct err *err)
{
	int port = sim_server_port(sim->server);
	if (options.port_file) {
		char *temporary = mem_printf("%s.new", options.port_file);
		FILE *file = fopen(temporary, "we");
		bool good = file && fprintf(file, "%d\n", port) > 0;
		if (file)
			good = fclose(file) == 0 && good;
		good = good && rename(temporary, options.port_file) == 0;
		free(temporary);
		if (!good)
			return err_set(err, "port_file", "cannot write %s", options.port_file);
	}
	bool v6 = strchr(options.bind, ':') != NULL;
	printf("ready %s://%s%s%s:%d\n", options.plain ? "http" : "https", v6 ? "[" : "",
	    options.bind, v6 ? "]" : "", port);
	fflush(stdout);
	return true;
}

static void raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static bool start(struct sim *sim, SSL_CTX **tls, struct err *err)
{
	signal(SIGPIPE, SIG_IGN);
	raise_descriptors();
	sim->loop = loop_new(err);
	if (!sim->loop)
		return false;
	sim->started_us = clock_monotonic_us();
	sim->context = "";
	sim->tls_folder = options.tls_dir;
	sim->plain = options.plain;
	sim_recorder_init(&sim->recorder, options.record > 0 ? (unsigned)options.record : 0);
	sim->faults = sim_faults_new(sim->loop, sim->kind->token, on_late_request, sim);
	sim_faults_set_rate(
	    sim->faults, (double)options.burst, (double)options.per_second, options.retry_after);
	loop_on_signal(sim->loop, SIGTERM, on_signal, sim);
	loop_on_signal(sim->loop, SIGINT, on_signal, sim);
	if (!sim->kind->start(sim, err))
		return false;
	sim->routes = sim_table_new(sim->kind->routes, NULL); /* start may have filled paths in */
	sim->control = sim_table_new(sim_control_routes, sim->kind->control);
	return listen_start(sim, tls, err) && tell_ready(sim, err);
}

int sim_main(const struct sim_app *app, int argc, char **argv)
{
	const struct sim_option *const tables[] = {common_options, app->options, NULL};
	struct err err = ERR_INIT;
	struct sim sim = {.kind = app};
	SSL_CTX *tls = NULL;
	struct watch watch;

	if (!sim_options_parse(argc, argv, tables, &err)) {
		fprintf(stderr, "%s: %s\n", app->name, err.message);
		return 2;
	}
	if (options.help) {
		sim_options_help(app->name, tables);
		return 0;
	}
	bool good = start(&sim, &tls, &err);
	if (good) {
		watch_start(&watch, &sim);
		loop_run(sim.loop);
		watch_stop(&watch);
	} else {
		fprintf(stderr, "%s: %s\n", app->name, err.message);
	}
	sim_server_free(sim.server);
	sim_faults_free(sim.faults);
	if (sim.app)
		app->stop(&sim);
	sim_recorder_free(&sim.recorder);
	sim_violations_clear(&sim.violations);
	sim_table_free(sim.routes);
	sim_table_free(sim.control);
	SSL_CTX_free(tls);
	if (sim.loop)
		loop_free(sim.loop);
	return good ? 0 : 1;
}
