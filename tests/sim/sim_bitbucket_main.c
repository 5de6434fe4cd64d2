/* sim-bitbucket: the options and the table of routes. See sim.h and sim_bitbucket.h. */
#include "sim/sim_bitbucket_hooks.h"

#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

static struct {
	const char *context, *version;
	bool demo, any_commit, ref_quirk, not_found_empty;
	long repositories, history, deliveries;
	struct sim_list admin_tokens;
} options = {.context = "", .version = "9.4.0", .history = 200000, .deliveries = 5000};

static const struct sim_option option_table[] = {
    {"context", SIM_TEXT, &options.context, "context path, such as /bitbucket"},
    {"version", SIM_TEXT, &options.version, "9.4.0 (default), 8.5.0, 7.3.0, 6.x ..."},
    {"demo", SIM_FLAG, &options.demo,
        "projects DEMO and ~jane; tokens demo-{admin,jane,reader}-token"},
    {"repositories", SIM_INTEGER, &options.repositories,
        "so many generated repositories GEN<i/100>/repo-<i>"},
    {"admin-token", SIM_LIST, &options.admin_tokens, "a token that administers everything"},
    {"any-commit", SIM_FLAG, &options.any_commit, "every commit is known everywhere"},
    {"ref-quirk", SIM_FLAG, &options.ref_quirk, "same key with another ref: 500"},
    {"not-found-empty", SIM_FLAG, &options.not_found_empty, "404 with an empty body"},
    {"history", SIM_INTEGER, &options.history, "keep so many writes of statuses (200000)"},
    {"deliveries", SIM_INTEGER, &options.deliveries,
        "remember so many deliveries of events (5000)"},
    {0},
};

/* The benchmark's route comes first. */
#define REPOSITORY "/rest/api/{v}/projects/{}/repos/{}"
static const struct sim_route routes[] = {
    {"POST", REPOSITORY "/commits/{}/builds", bitbucket_post_build},
    {"GET", REPOSITORY "/commits/{}/builds", bitbucket_get_build},
    {"POST", "/rest/build-status/{v}/commits/{}", bitbucket_post_old},
    {"GET", "/rest/build-status/{v}/commits/{}", bitbucket_get_old},
    {"GET", "/rest/api/{v}/application-properties", bitbucket_properties},
    {"GET", "/rest/api/{v}/build/capabilities", bitbucket_build_capabilities},
    {"GET", "/rest/webhooks/{v}/capabilities", bitbucket_webhook_capabilities},
    {"GET", "/rest/api/{v}/repos", bitbucket_list_all},
    {"GET", "/rest/api/{v}/projects/{}/repos", bitbucket_list_project},
    {"GET", REPOSITORY, bitbucket_get_repository},
    {"GET", REPOSITORY "/commits/{}", bitbucket_get_commit},
    {"GET", REPOSITORY "/webhooks", bitbucket_list_webhooks},
    {"POST", REPOSITORY "/webhooks", bitbucket_post_webhook},
    {"POST", REPOSITORY "/webhooks/test", bitbucket_test_webhook},
    {"GET", REPOSITORY "/webhooks/{}", bitbucket_get_webhook},
    {"PUT", REPOSITORY "/webhooks/{}", bitbucket_put_webhook},
    {"DELETE", REPOSITORY "/webhooks/{}", bitbucket_delete_webhook},
    {"GET", REPOSITORY "/webhooks/{}/latest", bitbucket_webhook_latest},
    {"GET", REPOSITORY "/webhooks/{}/statistics", bitbucket_webhook_statistics},
    {"GET", REPOSITORY "/webhooks/{}/statistics/summary", bitbucket_webhook_summary},
    {0},
};

static void post_setup(struct sim_request *request, void *app)
{
	struct err err = ERR_INIT;
	json_t *body = sim_json_body(request);
	if (!body)
		return;
	bool good = bitbucket_setup(app, body, &err);
	json_decref(body);
	if (good)
		sim_answer(request, 204, NULL, "", 0);
	else
		sim_answer_error(request, 400, "%s", err.message);
}

static void get_statuses(struct sim_request *request, void *app)
{
	bitbucket_statuses_json(app, request);
}

static void get_latency(struct sim_request *request, void *app)
{
	sim_answer_json(request, 200, bitbucket_latency_json(app));
}

static void delete_latency(struct sim_request *request, void *app)
{
	bitbucket_clear_latency(app);
	sim_answer(request, 204, NULL, "", 0);
}

static const struct sim_route control[] = {
    {"POST", "/sim/setup", post_setup},
    {"GET", "/sim/statuses", get_statuses},
    {"GET", "/sim/latency", get_latency},
    {"DELETE", "/sim/latency", delete_latency},
    {"POST", "/sim/push", bitbucket_post_push},
    {"POST", "/sim/pull-request", bitbucket_post_pull_request},
    {"POST", "/sim/redeliver", bitbucket_redeliver},
    {"GET", "/sim/webhooks", bitbucket_control_webhooks},
    {"GET", "/sim/deliveries", bitbucket_control_deliveries},
    {0},
};

static bool before(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	if (strstr(request->query, "token=") || strstr(request->query, "access_token"))
		sim_violation(&bb->sim->violations, request, "a token in the URL");
	return true;
}

static void add_state(void *app, json_t *state)
{
	const struct bitbucket *bb = app;
	const struct build_status *status;
	size_t position = 0;
	json_t *states = json_object();
	while ((status = map_next(&bb->statuses, &position))) {
		json_t *count = json_object_get(states, status->last->state);
		json_object_set_new(
		    states, status->last->state, json_integer(json_integer_value(count) + 1));
	}
	json_object_set_new(state, "version", json_string(bb->version_text));
	json_object_set_new(state, "repositories", json_integer(bb->repository_count));
	json_object_set_new(state, "tokens", json_integer((json_int_t)bb->tokens.count));
	json_object_set_new(state, "writes", json_integer((json_int_t)bb->writes));
	json_object_set_new(state, "statuses", json_integer((json_int_t)bb->statuses.count));
	json_object_set_new(state, "forgotten", json_integer((json_int_t)bb->forgotten));
	json_object_set_new(state, "states", states);
	hooks_state(bb->hooks, state);
}

static void setup_from_options(struct bitbucket *bb)
{
	bitbucket_set_version(bb, options.version);
	bb->any_commit = options.any_commit;
	bb->ref_quirk = options.ref_quirk;
	bb->not_found_empty = options.not_found_empty;
	if (options.demo)
		bitbucket_setup_demo(bb);
	if (options.repositories > 0)
		bitbucket_setup_generated(bb, (unsigned)options.repositories);
	for (unsigned i = 0; i < options.admin_tokens.count; i++)
		bitbucket_grant(bitbucket_set_token(bb, options.admin_tokens.item[i], "admin"), '*',
		    0, LEVEL_ADMIN);
}

static void reset(void *app, bool all)
{
	struct bitbucket *bb = app;
	bitbucket_forget_statuses(bb);
	bitbucket_clear_latency(bb);
	hooks_reset(bb->hooks, all);
	if (!all)
		return;
	bitbucket_model_clear(bb);
	setup_from_options(bb);
}

static bool start(struct sim *sim, struct err *err)
{
	size_t length = strlen(options.context);
	if (length && (options.context[0] != '/' || options.context[length - 1] == '/'))
		return err_set(err, "usage", "--context %s: expected /name", options.context);
	struct bitbucket *bb = mem_zero(sizeof(*bb));
	bb->sim = sim;
	bb->entries_max = options.history > 0 ? (uint64_t)options.history : 1;
	bb->hooks = hooks_new(bb, options.deliveries > 2 ? (uint64_t)options.deliveries : 2);
	map_init(&bb->statuses);
	map_init(&bb->commits);
	bitbucket_model_clear(bb);
	setup_from_options(bb);
	sim->app = bb;
	sim->context = options.context;
	return true;
}

static void stop(struct sim *sim)
{
	struct bitbucket *bb = sim->app;
	hooks_free(bb->hooks);
	bitbucket_forget_statuses(bb);
	bitbucket_model_clear(bb);
	map_free(&bb->statuses);
	map_free(&bb->commits);
	map_free(&bb->tokens);
	map_free(&bb->by_slug);
	map_free(&bb->moved_from);
	map_free(&bb->by_project);
	free(bb);
}

int main(int argc, char **argv)
{
	static const struct sim_app app = {.name = "sim-bitbucket",
	    .options = option_table,
	    .routes = routes,
	    .control = control,
	    .token = bitbucket_request_token,
	    .start = start,
	    .stop = stop,
	    .before = before,
	    .not_found = bitbucket_not_found,
	    .state = add_state,
	    .reset = reset};
	return sim_main(&app, argc, argv);
}
