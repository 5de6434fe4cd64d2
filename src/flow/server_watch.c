#include "flow/server_watch.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

#define ROUND_MS (5 * 60 * 1000)
#define STEP_MS 200 /* between two servers of a round */

struct server_watch {
	struct loop *loop;
	struct records *records;
	struct servers *servers;
	struct scm *scm;
	struct dispatcher *dispatcher;
	struct loop_timer timer;
	struct scm_call *call;
	uint32_t asked; /* server id */
	unsigned next;
};

static void ask_next(void *arg);

static void update_record(struct server_watch *watch, const struct scm_identity *identity)
{
	const struct record_server *old = records_server(watch->records, watch->asked);
	struct record_server record;
	struct err err = ERR_INIT;

	if (old == NULL || (strcmp(old->version, identity->version) == 0 &&
	                       old->capabilities == identity->capabilities))
		return;
	log_info("servers", "a server changed its version", log_str("url", old->url),
	    log_str("from", old->version), log_str("to", identity->version),
	    log_str("abilities", identity->abilities));
	record = *old;
	record.product = identity->product;
	record.version = identity->version;
	record.capabilities = identity->capabilities;
	record.checked_ms = clock_wall_ms();
	if (!records_put_server(watch->records, &record, &err)) {
		log_error("servers", "a server's version cannot be stored", log_err(&err));
		return;
	}
	dispatcher_server_changed(watch->dispatcher, watch->asked);
}

static void step(struct server_watch *watch)
{
	bool round_over = watch->next >= records_server_count(watch->records);

	if (round_over)
		watch->next = 0;
	loop_timer_set(&watch->timer,
	    round_over ? ROUND_MS - ROUND_MS / 10 + crypto_random_below(ROUND_MS / 5) : STEP_MS);
}

static void answered(
    const struct scm_answer *answer, const struct scm_identity *identity, void *arg)
{
	struct server_watch *watch = arg;

	watch->call = NULL;
	if (records_server(watch->records, watch->asked) != NULL) {
		dispatcher_server_answered(watch->dispatcher, watch->asked, answer);
		if (answer->outcome == SCM_OK)
			update_record(watch, identity);
	}
	step(watch);
}

static void ask_next(void *arg)
{
	struct server_watch *watch = arg;
	struct err err = ERR_INIT;
	struct server *server;

	if (watch->call != NULL)
		return;
	if (watch->next >= records_server_count(watch->records)) {
		step(watch);
		return;
	}
	watch->asked = records_server_at(watch->records, watch->next++)->id;
	server = servers_get(watch->servers, watch->asked, &err);
	if (server == NULL) {
		struct scm_answer answer = {.outcome = SCM_TEMPORARY,
		    .scope = SCM_SCOPE_SERVER,
		    .err = &err,
		    .retry_after_ms = -1};

		dispatcher_server_answered(watch->dispatcher, watch->asked, &answer);
		step(watch);
		return;
	}
	watch->call = server->driver->identify(watch->scm, &server->view, answered, watch);
}

struct server_watch *server_watch_new(struct loop *loop, struct records *records,
    struct servers *servers, struct scm *scm, struct dispatcher *dispatcher)
{
	struct server_watch *watch = mem_zero(sizeof(*watch));

	watch->loop = loop;
	watch->records = records;
	watch->servers = servers;
	watch->scm = scm;
	watch->dispatcher = dispatcher;
	loop_timer_init(&watch->timer, loop, ask_next, watch);
	return watch;
}

void server_watch_free(struct server_watch *watch)
{
	if (watch == NULL)
		return;
	loop_timer_cancel(&watch->timer);
	if (watch->call != NULL)
		scm_cancel(watch->call);
	free(watch);
}

void server_watch_start(struct server_watch *watch)
{
	watch->next = 0;
	loop_timer_set(&watch->timer, 0);
}
