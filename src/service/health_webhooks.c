/* The problems of webhooks: one for each cause, with the first repository that has it. */
#include "service/health.h"
#include <stdio.h>
#include <string.h>

struct cause {
	const char *code, *many; /* what is wrong with several */
	unsigned count;
	char message[560], hint[320];
};

static const char *code_of(const struct record_hook *row)
{
	switch (row->state) {
	case HOOK_CONFLICT:
		return "webhook_conflict";
	case HOOK_FAILING:
		return "delivery_failed";
	case HOOK_BROKEN:
		break;
	default:
		return NULL;
	}
	return strcmp(row->code, "repo_gone") == 0 || strcmp(row->code, "repo_renamed") == 0 ||
	               strcmp(row->code, "repo_archived") == 0
	           ? row->code
	           : "webhook_broken";
}

static void count_row(
    struct service *service, struct cause *causes, size_t count, const struct record_hook *row)
{
	const char *code = code_of(row);
	struct record_repo record;

	for (size_t i = 0; code != NULL && i < count; i++) {
		if (strcmp(causes[i].code, code) != 0 || causes[i].count++ > 0)
			continue;
		if (strcmp(code, "webhook_broken") == 0 &&
		    records_repo(service->parts.records, row->repo, &record))
			snprintf(causes[i].message, sizeof(causes[i].message),
			    "the webhook of %s/%s could not be made or put right: %.250s",
			    record.project, record.slug, row->error);
		else
			snprintf(causes[i].message, sizeof(causes[i].message), "%s", row->error);
		snprintf(causes[i].hint, sizeof(causes[i].hint), "%s", row->hint);
	}
}

unsigned health_webhook_problems(struct service *service, health_problem_fn *fn, void *arg)
{
	struct cause causes[] = {
	    {.code = "repo_gone", .many = "are not there any more"},
	    {.code = "repo_renamed", .many = "were renamed or moved"},
	    {.code = "repo_archived", .many = "are archived"},
	    {.code = "webhook_conflict", .many = "have a webhook that something else changes"},
	    {.code = "webhook_broken",
	        .many = "have a webhook that could not be made or put right"},
	    {.code = "delivery_failed", .many = "send events that do not arrive"},
	};
	const size_t count = sizeof(causes) / sizeof(causes[0]);
	struct hooks *hooks = service->parts.hooks;
	struct record_hook row = {0};
	unsigned problems = 0;
	char message[900];

	if (hooks == NULL || hooks_count(hooks, HOOK_BROKEN) + hooks_count(hooks, HOOK_CONFLICT) +
	                             hooks_count(hooks, HOOK_FAILING) ==
	                         0)
		return 0;
	while (hooks_next(hooks, row.repo, &row))
		count_row(service, causes, count, &row);
	for (size_t i = 0; i < count; i++) {
		if (causes[i].count == 0)
			continue;
		if (causes[i].count == 1)
			snprintf(message, sizeof(message), "%s", causes[i].message);
		else
			snprintf(message, sizeof(message),
			    "%u of %llu repositories %s, the first: %s", causes[i].count,
			    (unsigned long long)(records_repo_count(
			                             service->parts.records, REPO_ENABLED) +
			                         records_repo_count(
			                             service->parts.records, REPO_BLOCKED)),
			    causes[i].many, causes[i].message);
		fn(causes[i].code, message, causes[i].hint, arg);
		problems++;
	}
	return problems;
}
