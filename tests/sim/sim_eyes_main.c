/* sim-eyes: the options and the table of routes. See sim.h and sim_eyes.h. */
#include "sim/sim_eyes.h"

#include "base/mem.h"
#include "sim/sim_long.h"
#include <stdlib.h>
#include <string.h>

static struct {
	const char *organization, *feed_path;
	bool demo, no_feed;
	long feed_status, acks, events, max_wait, redeliver_after_ms;
	struct sim_list keys;
} options = {.organization = "demo-org",
    .feed_path = "/api/scm/v1/orgs/{orgId}/commands",
    .acks = 100000,
    .events = 200000,
    .max_wait = 60};

static const struct sim_option option_table[] = {
    {"org", SIM_TEXT, &options.organization, "organization id (demo-org)"},
    {"demo", SIM_FLAG, &options.demo, "keys demo-eyes-key and demo-readonly-key"},
    {"key", SIM_LIST, &options.keys, "one more key with full permissions"},
    {"feed-path", SIM_TEXT, &options.feed_path, "path of the command feed, with {orgId}"},
    {"no-feed", SIM_FLAG, &options.no_feed, "there is no command feed: 404"},
    {"feed-status", SIM_INTEGER, &options.feed_status, "... or this status (405, 501)"},
    {"max-wait", SIM_INTEGER, &options.max_wait, "longest long poll in seconds (60)"},
    {"redeliver-after-ms", SIM_INTEGER, &options.redeliver_after_ms, "see POST /sim/feed"},
    {"acks", SIM_INTEGER, &options.acks, "remember so many acknowledgements (100000)"},
    {"events", SIM_INTEGER, &options.events, "remember so many events (200000)"},
    {0},
};

static void get_long(struct sim_request *request, void *app)
{
	struct eyes *eyes = app;
	sim_faults_long_get(eyes->sim->faults, request);
}

/* The feed's two routes stand first; start() puts its path in. */
static struct sim_route routes[] = {
    {"GET", NULL, eyes_get_feed},
    {"POST", NULL, eyes_post_ack},
    {"POST", EYES_EVENT_PATHS "bitbucket/events", eyes_post_bitbucket_event},
    {"POST", EYES_EVENT_PATHS "github/events", eyes_post_github_event},
    {"GET", "/api/v1/auth/api-key-validation", eyes_answer_key_validation},
    {"GET", "/api/v1/batches", eyes_list_batches},
    {"GET", "/api/v1/batches/{}", eyes_get_batch},
    {"GET", SIM_LONG_PATH "{}", get_long},
    {0},
};

static void answer_setup(struct sim_request *request, bool good, const struct err *err)
{
	if (good)
		sim_answer(request, 204, NULL, "", 0);
	else
		sim_answer_error(request, 400, "%s", err->message);
}

static void post_setup(struct sim_request *request, void *app)
{
	struct err err = ERR_INIT;
	json_t *body = sim_json_body(request);
	if (!body)
		return;
	bool good = eyes_setup(app, body, &err);
	json_decref(body);
	answer_setup(request, good, &err);
}

static void post_feed(struct sim_request *request, void *app)
{
	struct eyes *eyes = app;
	struct err err = ERR_INIT;
	json_t *body = sim_json_body(request);
	if (!body)
		return;
	bool good = sim_json_known(body, "status redeliver_after_ms max_wait max_limit", &err);
	if (good) {
		eyes->feed_status = (int)sim_json_integer(body, "status", eyes->feed_status);
		eyes->redeliver_after_ms =
		    sim_json_integer(body, "redeliver_after_ms", eyes->redeliver_after_ms);
		eyes->max_wait = sim_json_integer(body, "max_wait", eyes->max_wait);
		eyes->max_limit = sim_json_integer(body, "max_limit", eyes->max_limit);
	}
	json_decref(body);
	answer_setup(request, good, &err);
}

static const struct sim_route control[] = {
    {"POST", "/sim/setup", post_setup},
    {"POST", "/sim/feed", post_feed},
    {"POST", "/sim/commands", eyes_post_commands},
    {"GET", "/sim/commands", eyes_list_commands},
    {"POST", "/sim/redeliver", eyes_redeliver},
    {"GET", "/sim/acks", eyes_list_acks},
    {"GET", "/sim/events", eyes_list_events},
    {"POST", "/sim/batches", eyes_post_batches},
    {0},
};

static void add_state(void *app, json_t *state)
{
	const struct eyes *eyes = app;
	json_t *outcomes = json_object();
	for (int i = 0; i < OUTCOMES; i++)
		json_object_set_new(outcomes, eyes_outcome_name((enum eyes_outcome)i),
		    json_integer((json_int_t)eyes->outcomes[i]));
	json_t *feed = json_pack("{s:i,s:s,s:I,s:I,s:I,s:i,s:i,s:I}", "status", eyes->feed_status,
	    "path", eyes->feed_path, "polls", (json_int_t)eyes->polls, "empty_polls",
	    (json_int_t)eyes->empty_polls, "given", (json_int_t)eyes->given, "waiting",
	    (int)eyes->waiting, "most_waiting", (int)eyes->most_waiting, "pending",
	    (json_int_t)eyes->pending);
	json_object_set_new(state, "organization", json_string(eyes->organization));
	json_object_set_new(state, "keys", json_integer((json_int_t)eyes->keys.count));
	json_object_set_new(state, "feed", feed);
	json_object_set_new(state, "acks", json_integer((json_int_t)eyes->last_ack));
	json_object_set_new(state, "outcomes", outcomes);
	json_object_set_new(state, "events", eyes_events_json(eyes));
	json_object_set_new(state, "generators", eyes_generators_json(eyes));
	json_object_set_new(state, "batches", json_integer((json_int_t)eyes_batch_count(eyes)));
}

static void setup_from_options(struct eyes *eyes)
{
	struct err err = ERR_INIT;
	eyes->feed_status =
	    options.no_feed && !options.feed_status ? 404 : (int)options.feed_status;
	eyes->redeliver_after_ms = options.redeliver_after_ms;
	eyes->max_wait = options.max_wait;
	eyes->max_limit = 1000;
	if (options.demo)
		eyes_setup_demo(eyes);
	for (unsigned i = 0; i < options.keys.count; i++) {
		json_t *json = json_pack("{s:[{s:s}]}", "keys", "key", options.keys.item[i]);
		if (!json || !eyes_setup(eyes, json, &err))
			fatal("--key: %s", err.message);
		json_decref(json);
	}
}

static void reset(void *app, bool all)
{
	struct eyes *eyes = app;
	eyes_clear_commands(eyes);
	eyes_clear_generators(eyes);
	eyes_clear_batches(eyes);
	eyes_events_reset(eyes, all);
	if (!all)
		return;
	eyes_clear_keys(eyes);
	setup_from_options(eyes);
}

static char *feed_path(void)
{
	static const char mark[] = "{orgId}";
	const char *at = strstr(options.feed_path, mark);
	if (!at)
		return mem_string(options.feed_path);
	return mem_printf("%.*s%s%s", (int)(at - options.feed_path), options.feed_path,
	    options.organization, at + sizeof(mark) - 1);
}

static bool start(struct sim *sim, struct err *err)
{
	if (strncmp(options.feed_path, "/api/", 5) != 0)
		return err_set(err, "usage", "--feed-path must begin with /api/");
	struct eyes *eyes = mem_zero(sizeof(*eyes));
	eyes->sim = sim;
	eyes->organization = options.organization;
	eyes->feed_path = feed_path();
	eyes->acks_size = options.acks > 0 ? (uint64_t)options.acks : 1;
	eyes->acks = mem_zero(eyes->acks_size * sizeof(*eyes->acks));
	map_init(&eyes->keys);
	map_init(&eyes->commands);
	map_init(&eyes->request_ids);
	eyes_events_new(eyes, options.events > 0 ? (uint64_t)options.events : 1);
	setup_from_options(eyes);
	static char ack_path[1024];
	snprintf(ack_path, sizeof(ack_path), "%s/ack", eyes->feed_path);
	routes[0].path = eyes->feed_path;
	routes[1].path = ack_path;
	sim->app = eyes;
	return true;
}

static void stop(struct sim *sim)
{
	struct eyes *eyes = sim->app;
	eyes_clear_commands(eyes);
	eyes_clear_generators(eyes);
	eyes_clear_batches(eyes);
	eyes_clear_keys(eyes);
	eyes_events_free(eyes);
	map_free(&eyes->keys);
	map_free(&eyes->commands);
	map_free(&eyes->request_ids);
	free(eyes->acks);
	free(eyes->feed_path);
	free(eyes);
}

int main(int argc, char **argv)
{
	static const struct sim_app app = {.name = "sim-eyes",
	    .options = option_table,
	    .routes = routes,
	    .control = control,
	    .token = eyes_request_key,
	    .start = start,
	    .stop = stop,
	    .before = eyes_before,
	    .not_found = eyes_not_found,
	    .state = add_state,
	    .reset = reset};
	return sim_main(&app, argc, argv);
}
