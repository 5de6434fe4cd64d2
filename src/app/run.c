/*
 * The daemon, wired together: every room is made (run_start.c), in the order of the layers, and
 * ended in the opposite order.
 *
 *   start --> loop_run --SIGTERM, SIGINT--> stop taking in --> what is under way ends, outcomes
 * reach Eyes (10 s at most) --> end
 *
 * SIGHUP reads the configuration again: log level and CA files are taken over, the rest needs a
 * restart and says so.
 */
#include "app/run.h"
#include "app/daemon.h"
#include "app/run_internal.h"
#include "base/clock.h"
#include "base/log.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRAIN_MS 9000 /* all of it is over within ten seconds */
#define DRAIN_LOOK_MS 20

/* ---- end ---- */

static void drained(void *arg)
{
	struct program *p = arg;
	unsigned in_flight =
	    dispatcher_in_flight(p->dispatcher) + forwarder_in_flight(p->forwarder);
	bool sent = in_flight == 0, idle;

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
		    log_uint("in_flight", in_flight), log_uint("outbox", outbox_rows(p->outbox)));
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
	webhook_keeper_stop(p->keeper);
	dispatcher_stop(p->dispatcher, drained, p);
	forwarder_stop(p->forwarder, drained, p);
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
	webhook_keeper_free(p->keeper);
	service_free(p->service);
	jobs_free(p->jobs);
	listings_free(p->listings);
	auth_free(p->auth);
	sessions_close(p->sessions);
	if (p->db != NULL)
		(void)db_commit_now(p->db, NULL);
	inbox_free(p->inbox);
	forwarder_free(p->forwarder);
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
	events_close(p->events);
	hooks_close(p->hooks);
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
	free(p->own_url);
	secret_free(&p->sign);
	secret_free(&p->github);
	bus_free(p->bus);
	loop_free(p->loop);
	return quiet;
}

static int run_once(const struct options *options, char *setup_code, bool *again)
{
	struct program program = {.options = options, .setup_code = setup_code}, *p = &program;
	struct err err = ERR_INIT;
	int code = 0;

	if (run_start(p, &err)) {
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
