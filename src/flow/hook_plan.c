#include "flow/hook_plan.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define INSTANCE "instance="

/* Where path and query begin. */
static const char *behind_host(const char *url)
{
	const char *host = strstr(url, "://");

	return host != NULL ? host + 3 + strcspn(host + 3, "/?#") : url;
}

/* The word stands in the text on its own, not inside a longer one. */
static bool has_word(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = text; length > 0 && (at = strstr(at, word)) != NULL; at++)
		if ((at == text || !isalnum((unsigned char)at[-1])) &&
		    !isalnum((unsigned char)at[length]))
			return true;
	return false;
}

/* The value of the query's "instance", NULL when it has none. */
static const char *instance_of(const char *url)
{
	const char *query = strchr(url, '?');

	for (; query != NULL; query = strchr(query + 1, '&'))
		if (strncmp(query + 1, INSTANCE, strlen(INSTANCE)) == 0)
			return query + 1 + strlen(INSTANCE);
	return NULL;
}

bool hook_is_ours(const struct hook_wanted *wanted, const struct scm_hook *hook)
{
	const char *instance = instance_of(hook->url);
	size_t length = strlen(wanted->instance);

	if (instance != NULL)
		return strcspn(instance, "&#") == length &&
		       strncmp(instance, wanted->instance, length) == 0;
	return has_word(behind_host(hook->url), wanted->instance) ||
	       strcmp(hook->name, wanted->name) == 0;
}

static unsigned differences(const struct hook_wanted *wanted, const struct scm_hook *hook)
{
	return wanted->by_hand ? hook->differs & ~(unsigned)SCM_HOOK_NAME : hook->differs;
}

static unsigned bits(unsigned value)
{
	unsigned count = 0;

	for (; value != 0; value &= value - 1)
		count++;
	return count;
}

/* The lower the better. */
static unsigned rank(const struct hook_wanted *wanted, const struct scm_hook *hook)
{
	unsigned differs = differences(wanted, hook);
	bool known = wanted->id[0] != '\0' && strcmp(hook->id, wanted->id) == 0;

	return (differs != 0 ? 100u : 0) + (known ? 0 : 50u) + bits(differs);
}

void hook_plan(
    struct hook_plan *plan, const struct hook_wanted *wanted, const struct scm_hooks *hooks)
{
	plan->step = HOOK_STEP_CREATE;
	plan->keep = NULL;
	plan->differs = plan->extra_count = 0;
	for (unsigned i = 0; i < hooks->count && i < SCM_HOOKS_MAX; i++) {
		const struct scm_hook *hook = &hooks->list[i], *worse = hook;

		if (!hook_is_ours(wanted, hook))
			continue;
		if (plan->keep == NULL || rank(wanted, hook) < rank(wanted, plan->keep)) {
			worse = plan->keep;
			plan->keep = hook;
		}
		if (worse != NULL)
			plan->extra[plan->extra_count++] = worse;
	}
	if (plan->keep == NULL)
		return;
	plan->differs = differences(wanted, plan->keep);
	plan->step = plan->differs != 0 || wanted->unsure ? HOOK_STEP_REPLACE : HOOK_STEP_NONE;
}

void hook_differs_text(unsigned differs, char *out, size_t size)
{
	static const struct {
		unsigned bit;
		const char *words;
	} names[] = {
	    {SCM_HOOK_INACTIVE, "disabled"},
	    {SCM_HOOK_URL, "another URL"},
	    {SCM_HOOK_EVENT_SET, "other events"},
	    {SCM_HOOK_SECRET, "another secret"},
	    {SCM_HOOK_NAME, "another name"},
	};
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((differs & names[i].bit) && used < size)
			used += (size_t)snprintf(
			    out + used, size - used, "%s%s", used > 0 ? ", " : "", names[i].words);
}
