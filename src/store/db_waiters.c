#include "store/db_waiters.h"

#include "base/mem.h"
#include <stdlib.h>

void db_waiters_add(struct db_waiters *waiters, db_commit_fn *fn, void *arg)
{
	if (waiters->count == waiters->capacity) {
		waiters->capacity = waiters->capacity == 0 ? 16 : waiters->capacity * 2;
		waiters->list = mem_grow(waiters->list, waiters->capacity, sizeof(*waiters->list));
	}
	waiters->list[waiters->count++] = (struct db_waiter){.fn = fn, .arg = arg};
}

void db_waiters_move(struct db_waiters *to, struct db_waiters *from)
{
	if (to->count == 0) { /* the usual case: the lists change places */
		struct db_waiters empty = *to;
		*to = *from;
		*from = empty;
		return;
	}
	for (size_t i = 0; i < from->count; i++)
		db_waiters_add(to, from->list[i].fn, from->list[i].arg);
	from->count = 0;
}

void db_waiters_call(struct db_waiters *waiters, const struct err *err)
{
	for (size_t i = 0; i < waiters->count; i++)
		waiters->list[i].fn(err, waiters->list[i].arg);
	waiters->count = 0;
}

void db_lost_groups_add(
    struct db_lost_group **list, struct db_waiters *waiters, const struct err *err)
{
	struct db_lost_group *group = mem_zero(sizeof(*group));

	err_copy(&group->err, err);
	db_waiters_move(&group->waiters, waiters);
	while (*list != NULL)
		list = &(*list)->next;
	*list = group;
}

void db_lost_groups_call(struct db_lost_group *list)
{
	while (list != NULL) {
		struct db_lost_group *group = list;
		list = group->next;
		db_waiters_call(&group->waiters, &group->err);
		free(group->waiters.list);
		free(group);
	}
}

void db_hooks_add(struct db_hooks *hooks, loop_fn *fn, void *arg)
{
	hooks->list = mem_grow(hooks->list, hooks->count + 1, sizeof(*hooks->list));
	hooks->list[hooks->count++] = (struct db_hook){.fn = fn, .arg = arg};
}

void db_hooks_forget(struct db_hooks *hooks, const void *arg)
{
	size_t kept = 0;

	for (size_t i = 0; i < hooks->count; i++)
		if (hooks->list[i].arg != arg)
			hooks->list[kept++] = hooks->list[i];
	hooks->count = kept;
}
