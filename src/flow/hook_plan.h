/*
 * hook_plan: what is to be done about the webhook of one repository, from what the server listed.
 * A pure function: no network, no store.
 *
 * Whose a webhook is, in this order:
 *   its URL has "instance=" with another instance's id           another's
 *   its URL has this instance's id, behind the host              ours
 *   its name is the one that this instance gives                 ours
 *   anything else                                                somebody's
 *
 * Only ours are kept, replaced or deleted. Of several the best is kept: one that is as it should
 * be, then the one that is known, then the one that differs least, then the first.
 */
#ifndef FLOW_HOOK_PLAN_H
#define FLOW_HOOK_PLAN_H

#include "scm/scm.h"

enum hook_step {
	HOOK_STEP_NONE,   /* it is as it should be */
	HOOK_STEP_CREATE, /* there is none of ours */
	HOOK_STEP_REPLACE /* `keep` differs in `differs` */
};

struct hook_wanted { /* borrowed */
	const char *instance, *name;
	const char *id; /* that was known last; "" when none was */
	bool by_hand;   /* a person entered it: its name is the person's */
	bool unsure;    /* what the server has is not known for sure: it is written in any case */
};

struct hook_plan { /* points into the list */
	enum hook_step step;
	const struct scm_hook *keep; /* NULL with CREATE */
	unsigned differs;
	const struct scm_hook *extra[SCM_HOOKS_MAX]; /* ours as well: to be deleted */
	unsigned extra_count;
};

bool hook_is_ours(const struct hook_wanted *wanted, const struct scm_hook *hook);
void hook_plan(
    struct hook_plan *plan, const struct hook_wanted *wanted, const struct scm_hooks *hooks);
/* "disabled, another URL": for people. out: at least 128 bytes. */
void hook_differs_text(unsigned differs, char *out, size_t size);

#endif
