/* flow/hook_plan: whose a webhook is, and what is to be done about ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flow/hook_plan.h"
#include <stdio.h>
#include <string.h>

#define INSTANCE "0badcafe"
#define NAME "eyes-scm " INSTANCE
#define OUR_URL "https://eyes.example.com/e?orgId=o&instance=" INSTANCE
#define RELAY_URL "http://scm.example.com/api/bitbucket-events-proxy/7?instance=" INSTANCE

static const struct hook_wanted wanted = {.instance = INSTANCE, .name = NAME, .id = "12"};

static void whose_it_is(void **state)
{
	static const struct {
		const char *name, *url;
		bool ours;
	} cases[] = {
	    {NAME, OUR_URL, true},
	    {NAME, RELAY_URL, true},
	    {"renamed", OUR_URL, true},
	    {"renamed", "https://e.example.com/?instance=" INSTANCE "&orgId=o", true},
	    {"renamed", "https://e.example.com/hooks/" INSTANCE, true},
	    {"renamed", "https://e.example.com/hooks/" INSTANCE "/x?a=b", true},
	    {NAME, "https://elsewhere.example.com/", true},
	    {NAME, "", true},
	    /* another instance's */
	    {"eyes-scm deadbeef", "https://eyes.example.com/e?orgId=o&instance=deadbeef", false},
	    {NAME, "https://eyes.example.com/e?instance=deadbeef", false},
	    {NAME, "https://eyes.example.com/e?instance=" INSTANCE "0", false},
	    {NAME, "https://eyes.example.com/e?instance=", false},
	    {"eyes-scm deadbeef", "https://e.example.com/hooks/deadbeef", false},
	    {"eyes-scm " INSTANCE " copy", "https://e.example.com/", false},
	    /* somebody's */
	    {"jenkins", "https://ci.example.com/hook", false},
	    {"jenkins", "https://" INSTANCE ".example.com/hook", false},
	    {"jenkins", "https://ci.example.com/x" INSTANCE, false},
	    {"jenkins", "https://ci.example.com/" INSTANCE "0", false},
	    {"", "", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scm_hook hook = {.id = "1", .name = cases[i].name, .url = cases[i].url};

		if (hook_is_ours(&wanted, &hook) != cases[i].ours)
			fail_msg("%s, %s: should be %s", cases[i].name, cases[i].url,
			    cases[i].ours ? "ours" : "another's");
	}
}

#define HOOK(id_, name_, url_, differs_)                                           \
	{                                                                          \
		.id = (id_), .name = (name_), .url = (url_), .differs = (differs_) \
	}
#define FOREIGN HOOK("90", "jenkins", "https://ci.example.com/", SCM_HOOK_URL | SCM_HOOK_NAME)
#define OTHER \
	HOOK("91", "eyes-scm deadbeef", "https://x.example.com/?instance=deadbeef", SCM_HOOK_URL)

struct plan_case {
	const char *what;
	bool by_hand, unsure;
	unsigned count;
	struct scm_hook list[4];
	enum hook_step step;
	const char *keep;   /* NULL: none */
	const char *extras; /* ids, a space behind each */
};

static const struct plan_case plan_cases[] = {
    {.what = "an empty list", .step = HOOK_STEP_CREATE, .extras = ""},
    {.what = "only others'",
        .count = 2,
        .list = {FOREIGN, OTHER},
        .step = HOOK_STEP_CREATE,
        .extras = ""},
    {.what = "as it should be",
        .count = 3,
        .list = {FOREIGN, HOOK("12", NAME, OUR_URL, 0), OTHER},
        .step = HOOK_STEP_NONE,
        .keep = "12",
        .extras = ""},
    {.what = "not known here: adopted",
        .count = 1,
        .list = {HOOK("40", NAME, OUR_URL, 0)},
        .step = HOOK_STEP_NONE,
        .keep = "40",
        .extras = ""},
    {.what = "recognised by its name alone",
        .count = 1,
        .list = {HOOK("12", NAME, "https://old.example.com/", SCM_HOOK_URL)},
        .step = HOOK_STEP_REPLACE,
        .keep = "12",
        .extras = ""},
    {.what = "not sure what the server has",
        .unsure = true,
        .count = 1,
        .list = {HOOK("12", NAME, OUR_URL, 0)},
        .step = HOOK_STEP_REPLACE,
        .keep = "12",
        .extras = ""},
    {.what = "by hand: the name is the person's",
        .by_hand = true,
        .count = 1,
        .list = {HOOK("40", "Eyes", OUR_URL, SCM_HOOK_NAME)},
        .step = HOOK_STEP_NONE,
        .keep = "40",
        .extras = ""},
    {.what = "by hand and otherwise wrong",
        .by_hand = true,
        .count = 1,
        .list = {HOOK("40", "Eyes", OUR_URL, SCM_HOOK_NAME | SCM_HOOK_INACTIVE)},
        .step = HOOK_STEP_REPLACE,
        .keep = "40",
        .extras = ""},
    {.what = "not by hand: another name is a difference",
        .count = 1,
        .list = {HOOK("12", "Eyes", OUR_URL, SCM_HOOK_NAME)},
        .step = HOOK_STEP_REPLACE,
        .keep = "12",
        .extras = ""},
    {.what = "the right one is kept, not the known one",
        .count = 3,
        .list = {HOOK("12", NAME, OUR_URL, SCM_HOOK_INACTIVE), FOREIGN,
            HOOK("13", NAME, OUR_URL, 0)},
        .step = HOOK_STEP_NONE,
        .keep = "13",
        .extras = "12 "},
    {.what = "of equal ones the known one",
        .count = 3,
        .list = {HOOK("11", NAME, OUR_URL, 0), HOOK("12", NAME, OUR_URL, 0),
            HOOK("13", NAME, OUR_URL, 0)},
        .step = HOOK_STEP_NONE,
        .keep = "12",
        .extras = "11 13 "},
    {.what = "of unknown ones the one that differs least, then the first",
        .count = 4,
        .list = {HOOK("20", NAME, "https://a.example.com/", SCM_HOOK_URL | SCM_HOOK_SECRET),
            HOOK("21", NAME, OUR_URL, SCM_HOOK_INACTIVE),
            HOOK("22", NAME, OUR_URL, SCM_HOOK_INACTIVE), OTHER},
        .step = HOOK_STEP_REPLACE,
        .keep = "21",
        .extras = "20 22 "},
};

static void what_is_to_be_done(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(plan_cases) / sizeof(plan_cases[0]); i++) {
		const struct plan_case *c = &plan_cases[i];
		struct hook_wanted mine = wanted;
		struct scm_hooks hooks = {.list = c->list, .count = c->count, .events = ""};
		struct hook_plan plan;
		char extras[64] = "";

		mine.by_hand = c->by_hand;
		mine.unsure = c->unsure;
		hook_plan(&plan, &mine, &hooks);
		for (unsigned k = 0; k < plan.extra_count; k++) {
			strcat(extras, plan.extra[k]->id);
			strcat(extras, " ");
		}
		if (plan.step != c->step || (plan.keep == NULL) != (c->keep == NULL) ||
		    (c->keep != NULL && strcmp(plan.keep->id, c->keep) != 0) ||
		    strcmp(extras, c->extras) != 0)
			fail_msg("%s: step %d, keeps %s, deletes %s", c->what, (int)plan.step,
			    plan.keep != NULL ? plan.keep->id : "none", extras);
	}
}

static void a_full_list(void **state)
{
	static struct scm_hook list[SCM_HOOKS_MAX + 5];
	struct scm_hooks hooks = {.list = list, .count = SCM_HOOKS_MAX + 5, .events = ""};
	struct hook_plan plan;

	(void)state;
	for (unsigned i = 0; i < hooks.count; i++)
		list[i] = (struct scm_hook)HOOK("1", NAME, OUR_URL, 0);
	hook_plan(&plan, &wanted, &hooks);
	assert_int_equal(plan.extra_count, SCM_HOOKS_MAX - 1);
}

static void words(void **state)
{
	char text[128];

	(void)state;
	hook_differs_text(0, text, sizeof(text));
	assert_string_equal(text, "");
	hook_differs_text(SCM_HOOK_SECRET | SCM_HOOK_INACTIVE, text, sizeof(text));
	assert_string_equal(text, "disabled, another secret");
	hook_differs_text(~0u, text, sizeof(text));
	assert_string_equal(
	    text, "disabled, another URL, other events, another secret, another name");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(whose_it_is),
	    cmocka_unit_test(what_is_to_be_done),
	    cmocka_unit_test(a_full_list),
	    cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
