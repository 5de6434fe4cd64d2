/*
 * A webhook keeper, and a server that keeps webhooks in memory and fails when a test says so; for
 * test_webhook_keeper.c and test_webhook_repair.c.
 */
#ifndef UNIT_WEBHOOK_TEST_H
#define UNIT_WEBHOOK_TEST_H

#include "unit/flow/flow_test.h"

#include "base/mem.h"
#include "flow/webhook_keeper.h"

#define OWN_URL "http://scm.example.com"
enum { HOOKS = 16, ANSWERS = 256, REPAIR_LIMIT = HOOKS_REPAIRS };

/* ---- the server ---- */

struct model_hook {
	uint32_t repo_tag;
	char id[16], name[64], url[512], secret[80];
	bool active;
};
enum op { OP_LOOK, OP_LIST, OP_PUT, OP_DELETE, OP_TEST, OPS };
static const char op_letters[] = "klpdt";

struct answer {
	struct scm_call *call;
	enum op op;
	char repo[64], id[16];
	bool failed;
};
static struct model {
	struct model_hook hooks[HOOKS];
	unsigned count, last_id;
	struct answer open[ANSWERS];
	unsigned open_count, open_most;
	bool hold;       /* answers wait */
	enum op hold_at; /* from the first of this kind on; OP_LOOK: none */
	char ops[512];
	struct loop_timer timer;
	/* the next `times` of this kind fail so; effect: it takes effect all the same */
	enum op fault_op;
	int fault_times;
	bool fault_effect;
	struct scm_answer fault;
	struct err fault_err;
	bool archived, admin;
	const char *slug;             /* that the repository has now */
	enum scm_delivered delivered; /* the last delivery, as the list has it */
	const char *words;            /* of a test that fails; may be NULL */
	int delivered_status;
	int64_t delivered_ms;      /* 0: just now */
	enum scm_delivered tested; /* of a connection test; NONE: as OK */
	struct scm_hook listed[HOOKS];
	struct scm_hook_want want;
	char want_name[64], want_url[512], want_secret[80];
} model;

static inline void answer_all(void *arg);

static inline struct scm_call *asked(
    struct scm_call *call, enum op op, const char *slug, const char *id)
{
	struct answer *answer = &model.open[model.open_count++];
	size_t used = strlen(model.ops);

	assert_true(model.open_count < ANSWERS);
	*answer = (struct answer){.call = call, .op = op};
	snprintf(answer->repo, sizeof(answer->repo), "%s", slug);
	snprintf(answer->id, sizeof(answer->id), "%s", id);
	if (used + 1 < sizeof(model.ops)) {
		model.ops[used] = op_letters[op];
		model.ops[used + 1] = '\0';
	}
	if (model.open_count > model.open_most)
		model.open_most = model.open_count;
	if (model.fault_times > 0 && model.fault_op == op) {
		model.fault_times--;
		answer->failed = true;
	}
	if (op == model.hold_at && op != OP_LOOK)
		model.hold = true;
	if (!model.hold)
		loop_timer_set(&model.timer, 0);
	return call;
}

static inline void take_want(const struct scm_hook_want *want)
{
	snprintf(model.want_name, sizeof(model.want_name), "%s", want->name);
	snprintf(model.want_url, sizeof(model.want_url), "%s", want->url);
	snprintf(model.want_secret, sizeof(model.want_secret), "%s",
	    want->secret != NULL ? want->secret->data : "");
}

static inline struct model_hook *find(const char *id)
{
	for (unsigned i = 0; i < model.count; i++)
		if (strcmp(model.hooks[i].id, id) == 0)
			return &model.hooks[i];
	return NULL;
}

static inline struct model_hook *add(const char *name, const char *url)
{
	struct model_hook *hook = &model.hooks[model.count++];

	assert_true(model.count < HOOKS);
	*hook = (struct model_hook){.active = true};
	snprintf(hook->id, sizeof(hook->id), "%u", ++model.last_id);
	snprintf(hook->name, sizeof(hook->name), "%s", name);
	snprintf(hook->url, sizeof(hook->url), "%s", url);
	return hook;
}

static inline void drop(const char *id)
{
	struct model_hook *hook = find(id);

	if (hook != NULL)
		*hook = model.hooks[--model.count];
}

static inline struct scm_call *fake_look(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug, scm_access_fn *fn, void *arg)
{
	(void)token, (void)project;
	return asked(scm_call_new(scm, server, SCM_CALL_ACCESS, (union scm_call_fn){.access = fn},
	                 arg, &(struct scm_call_input){0}),
	    OP_LOOK, slug, "");
}

static inline struct scm_call *fake_list(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug,
    const struct scm_hook_want *want, scm_hooks_fn *fn, void *arg)
{
	(void)token, (void)project;
	take_want(want);
	return asked(scm_call_new(scm, server, SCM_CALL_HOOKS, (union scm_call_fn){.hooks = fn},
	                 arg, &(struct scm_call_input){0}),
	    OP_LIST, slug, "");
}

static inline struct scm_call *fake_put(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug,
    const struct scm_hook_want *want, scm_hook_fn *fn, void *arg)
{
	(void)token, (void)project;
	take_want(want);
	return asked(scm_call_new(scm, server, SCM_CALL_HOOK, (union scm_call_fn){.hook = fn}, arg,
	                 &(struct scm_call_input){0}),
	    OP_PUT, slug, want->id);
}

static inline struct scm_call *fake_delete(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug, const char *id,
    scm_done_fn *fn, void *arg)
{
	(void)token, (void)project;
	return asked(scm_call_new(scm, server, SCM_CALL_DONE, (union scm_call_fn){.done = fn}, arg,
	                 &(struct scm_call_input){0}),
	    OP_DELETE, slug, id);
}

static inline struct scm_call *fake_test(struct scm *scm, const struct scm_server *server,
    const struct secret *token, const char *project, const char *slug,
    const struct scm_hook_want *want, scm_delivery_fn *fn, void *arg)
{
	(void)token, (void)project;
	return asked(scm_call_new(scm, server, SCM_CALL_DELIVERY,
	                 (union scm_call_fn){.delivery = fn}, arg, &(struct scm_call_input){0}),
	    OP_TEST, slug, want->id);
}

static const struct scm_driver hook_driver = {
    .kind = "fake",
    .check_repository = fake_look,
    .list_hooks = fake_list,
    .put_hook = fake_put,
    .delete_hook = fake_delete,
    .test_hook = fake_test,
    .set_status = fake_set_status,
    .get_status = fake_get_status,
    .has_commit = fake_has_commit,
    .state_as_sent = fake_state_as_sent,
};

static inline const struct scm_driver *hook_driver_of(const char *kind)
{
	(void)kind;
	return &hook_driver;
}

/* ---- its answers ---- */

static inline const char *put_now(const char *id)
{
	struct model_hook *hook = id[0] != '\0' ? find(id) : add("", "");

	assert_non_null(hook);
	memcpy(hook->name, model.want_name, sizeof(hook->name));
	memcpy(hook->url, model.want_url, sizeof(hook->url));
	memcpy(hook->secret, model.want_secret, sizeof(hook->secret));
	hook->active = true;
	return hook->id;
}

static inline unsigned differs(const struct model_hook *hook)
{
	return (strcmp(hook->url, model.want_url) != 0 ? SCM_HOOK_URL : 0u) |
	       (strcmp(hook->name, model.want_name) != 0 ? SCM_HOOK_NAME : 0u) |
	       (!hook->active ? SCM_HOOK_INACTIVE : 0u);
}

static inline void answer_list(struct scm_call *call, const struct scm_answer *ok)
{
	struct scm_hooks hooks = {
	    .list = model.listed, .count = model.count, .events = "repo:refs_changed pr:opened"};

	for (unsigned i = 0; i < model.count; i++)
		model.listed[i] = (struct scm_hook){.id = model.hooks[i].id,
		    .name = model.hooks[i].name,
		    .url = model.hooks[i].url,
		    .differs = differs(&model.hooks[i]),
		    .delivery = {.outcome = model.delivered,
		        .status = model.delivered_status,
		        .words = model.delivered == SCM_DELIVERY_FAILED ? "HTTP 502" : "",
		        .ended_ms = model.delivered == SCM_DELIVERY_NONE ? 0
		                    : model.delivered_ms != 0            ? model.delivered_ms
		                                                         : clock_wall_ms()}};
	scm_call_finish(call, ok, &hooks);
}

static inline void answer_one(struct answer *answer)
{
	struct scm_answer ok = {.outcome = SCM_OK, .status = 200, .retry_after_ms = -1};
	struct scm_access access = {.repository = {.project = "PRJ",
	                                .slug = model.slug != NULL ? model.slug : answer->repo,
	                                .archived = model.archived},
	    .base = "",
	    .read = true,
	    .admin = model.admin};
	struct scm_delivery delivery = {.outcome = SCM_DELIVERY_OK, .status = 200, .words = ""};

	if (model.tested != SCM_DELIVERY_NONE)
		delivery.outcome = model.tested;
	if (delivery.outcome == SCM_DELIVERY_ERROR && model.words != NULL)
		delivery.words = model.words;
	if (answer->failed) {
		if (model.fault_effect && answer->op == OP_PUT)
			(void)put_now(answer->id);
		scm_call_finish(answer->call, &model.fault, NULL);
		return;
	}
	switch (answer->op) {
	case OP_LOOK:
		scm_call_finish(answer->call, &ok, &access);
		break;
	case OP_LIST:
		answer_list(answer->call, &ok);
		break;
	case OP_PUT:
		scm_call_finish(answer->call, &ok, put_now(answer->id));
		break;
	case OP_DELETE:
		drop(answer->id);
		scm_call_finish(answer->call, &ok, NULL);
		break;
	case OP_TEST:
	case OPS:
		scm_call_finish(answer->call, &ok, &delivery);
		break;
	}
}

static inline void answer_all(void *arg)
{
	struct answer first;

	(void)arg;
	while (model.open_count > 0 && !model.hold) {
		first = model.open[0];
		memmove(model.open, model.open + 1, sizeof(model.open[0]) * --model.open_count);
		answer_one(&first);
	}
}

static inline void fail_next(enum op op, int times, enum scm_outcome outcome, enum scm_scope scope,
    int status, const char *code)
{
	model.fault_op = op;
	model.fault_times = times;
	model.fault_effect = false;
	err_set(&model.fault_err, "x", "as the test wants it");
	model.fault_err.code = code;
	model.fault = (struct scm_answer){.outcome = outcome,
	    .scope = scope,
	    .status = status,
	    .retry_after_ms = -1,
	    .err = &model.fault_err};
}

/* ---- everything together ---- */

static struct flow flow;
static struct hooks *hooks;
static struct audit *audit;
static struct servers *servers;
static struct inbox *inbox; /* NULL, unless a test makes one */
static struct webhook_keeper *keeper;
static uint32_t server, repo;
static bool relay;
static uint32_t period_ms;
static struct secret sign; /* of direct webhooks */
static struct url eyes_url;

struct told {
	unsigned count;
	enum hook_state state;
	bool gone, made, repaired, tested;
	char code[64];
};
static struct told told;

static inline void tell(const struct webhook_outcome *outcome, void *arg)
{
	(void)arg;
	told.count++;
	told.state = outcome->state;
	told.gone = outcome->gone;
	told.made = outcome->made;
	told.repaired = outcome->repaired;
	told.tested = outcome->test != NULL;
	snprintf(
	    told.code, sizeof(told.code), "%s", outcome->err != NULL ? outcome->err->code : "");
}

static inline void open_keeper(void)
{
	keeper = webhook_keeper_new(&(struct webhook_options){.loop = flow.store.loop,
	    .db = flow.store.db,
	    .records = flow.records,
	    .hooks = hooks,
	    .audit = audit,
	    .servers = servers,
	    .scm = flow.scm,
	    .dispatcher = flow.dispatcher,
	    .inbox = inbox,
	    .bus = flow.bus,
	    .relay = relay,
	    .url_template = "https://e.example.com/e",
	    .eyes_url = &eyes_url,
	    .organization = "org-1",
	    .own_url = OWN_URL,
	    .sign = sign.length > 0 ? &sign : NULL,
	    .period_ms = period_ms});
}

static inline int set_up(void **state)
{
	(void)state;
	flow_begin(&flow);
	log_set_level(LOG_LEVEL_ERROR);
	model = (struct model){.admin = true};
	told = (struct told){0};
	relay = true;
	period_ms = 3600 * 1000;
	sign = (struct secret){0};
	assert_true(url_parse(&eyes_url, "https://e.example.com", &flow.store.err));
	loop_timer_init(&model.timer, flow.store.loop, answer_all, NULL);
	hooks = hooks_open(flow.store.db, flow.vault, &flow.store.err);
	audit = audit_open(flow.store.db, 1000, &flow.store.err);
	servers = servers_new(&(struct servers_options){.records = flow.records,
	    .connections = 4,
	    .deadline_ms = 1000,
	    .driver = hook_driver_of});
	assert_true(hooks != NULL && audit != NULL);
	server = flow_server(&flow, "http://one.example.com");
	repo = flow_repo(&flow, server, "web", "token-1");
	open_keeper();
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	webhook_keeper_free(keeper);
	inbox_free(inbox);
	inbox = NULL;
	loop_timer_cancel(&model.timer);
	servers_free(servers);
	audit_close(audit);
	hooks_close(hooks);
	flow_end(&flow);
	return 0;
}

static inline bool is_told(struct flow *f, unsigned count)
{
	(void)f;
	return told.count >= count;
}

static inline void wait_told(void)
{
	flow_until(&flow, is_told, 1, "outcome");
	told.count = 0;
}

static inline struct told check(bool force)
{
	model.ops[0] = '\0';
	webhook_keeper_check(keeper, repo, "root", force, tell, NULL);
	assert_int_equal(told.count, 0); /* never inside the call */
	wait_told();
	return told;
}

static inline struct record_hook row(void)
{
	struct record_hook out;

	assert_true(hooks_get(hooks, repo, &out));
	return out;
}

struct audit_wanted {
	const char *action;
	unsigned count;
};

static inline bool count_action(const struct audit_row *entry, void *arg)
{
	struct audit_wanted *wanted = arg;

	wanted->count += strcmp(entry->action, wanted->action) == 0;
	return true;
}

static inline unsigned audited(const char *action)
{
	struct audit_wanted wanted = {.action = action};

	audit_latest(audit, 1000, count_action, &wanted);
	return wanted.count;
}

#endif
