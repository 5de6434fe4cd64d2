/* The repositories of a server: page after page, for each token that may see some, merged by name.
 */
#define _GNU_SOURCE /* strcasestr */
#include "base/map.h"
#include "base/mem.h"
#include "service/job.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS_MAX 16
#define PAGES_MAX 2000    /* of one listing, whatever is in them */
#define TOKENS_OPENED 256 /* mostly they are the same: the loop is not held up by thousands */
#define PAGE 1000

struct listing {
	struct service_job job;
	uint32_t server;
	char *search;
	struct scm_call *call;
	struct secret tokens[TOKENS_MAX]; /* an empty one stands for "anonymously" */
	unsigned token_count, token_at;
	struct service_listed *repos;
	unsigned count, capacity;
	struct map names;  /* sha256 of the name -> its place in repos, from 1 */
	bool administered; /* the second reading with a token: which it administers */
	bool truncated;
	unsigned pages;
	struct service_list_progress progress;
	service_list_fn *fn;
	void *arg;
};

static void next_page(struct listing *listing, const char *cursor);

static void listing_free(struct listing *listing)
{
	for (unsigned i = 0; i < listing->count; i++) {
		free((char *)listing->repos[i].project);
		free((char *)listing->repos[i].slug);
		free((char *)listing->repos[i].name);
	}
	for (unsigned i = 0; i < listing->token_count; i++)
		secret_free(&listing->tokens[i]);
	map_free(&listing->names);
	free(listing->repos);
	free(listing->search);
	free(listing);
}

static void listing_cancel(struct service_job *job)
{
	struct listing *listing = (struct listing *)job;

	job_remove(job);
	if (listing->call != NULL)
		scm_cancel(listing->call);
	listing_free(listing);
}

static const char *state_of(struct listing *listing, const char *project, const char *slug)
{
	static const char *const names[] = {
	    [REPO_DISABLED] = "disabled", [REPO_ENABLED] = "enabled", [REPO_BLOCKED] = "blocked"};
	struct record_repo record;

	if (!records_repo_by_name(
	        listing->job.service->parts.records, listing->server, project, slug, &record))
		return "none";
	return names[record.state];
}

static void add(struct listing *listing, const char *project, const char *slug, const char *name,
    bool is_public, bool archived, const char *access)
{
	unsigned char digest[CRYPTO_SHA256];
	uintptr_t known;
	char *key;

	if (listing->count == SERVICE_LIST_MAX) {
		listing->truncated = true;
		return;
	}
	key = mem_printf("%s/%s", project, slug);
	for (char *c = key; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	crypto_sha256(digest, key, strlen(key));
	free(key);
	known = (uintptr_t)map_get(&listing->names, digest, sizeof(digest));
	if (known != 0) {
		if (access[0] == 'a')
			listing->repos[known - 1].access = access;
		return;
	}
	map_put(&listing->names, digest, sizeof(digest), (void *)(uintptr_t)(listing->count + 1));
	if (listing->count == listing->capacity) {
		listing->capacity = listing->capacity == 0 ? 256 : listing->capacity * 2;
		listing->repos =
		    mem_grow(listing->repos, listing->capacity, sizeof(*listing->repos));
	}
	listing->repos[listing->count++] = (struct service_listed){
	    .project = mem_string(project),
	    .slug = mem_string(slug),
	    .name = mem_string(name),
	    .is_public = is_public,
	    .archived = archived,
	    .state = state_of(listing, project, slug),
	    .access = access,
	};
}

static bool contains(const char *text, const char *part)
{
	return part[0] == '\0' || strcasestr(text, part) != NULL;
}

/* What is enabled here belongs in the list even when no token shows it. */
static void add_stored(struct listing *listing)
{
	struct record_repo record = {0};

	while (records_next_repo(listing->job.service->parts.records, record.id, &record))
		if (record.server == listing->server && record.state != REPO_DISABLED &&
		    (contains(record.slug, listing->search) ||
		        contains(record.name, listing->search)))
			add(listing, record.project, record.slug, record.name, false, false,
			    record.admin ? "admin" : "read");
}

static int by_name(const void *a, const void *b)
{
	const struct service_listed *left = a, *right = b;
	int order = strcasecmp(left->project, right->project);

	return order != 0 ? order : strcasecmp(left->slug, right->slug);
}

static void finish(struct listing *listing, enum service_fault fault, const struct err *err,
    const struct http_trace *trace)
{
	struct service_result result = {.fault = fault, .err = err, .trace = trace};

	if (listing->count > 1)
		qsort(listing->repos, listing->count, sizeof(*listing->repos), by_name);
	job_remove(&listing->job);
	listing->fn(&result, listing->repos, listing->count, listing->truncated, listing->arg);
	listing_free(listing);
}

/* What the token in hand may do with what it just listed. */
static const char *access_of(const struct listing *listing)
{
	if (listing->tokens[listing->token_at].length == 0)
		return "";
	return listing->administered ? "admin" : "read";
}

static void page_came(const struct scm_answer *answer, const struct scm_page *page, void *arg)
{
	struct listing *listing = arg;
	bool named = listing->token_at == 0 && listing->tokens[0].length > 0;

	listing->call = NULL;
	/* A stored token that is refused, or a server without anonymous access, does not hide what
	 * the others see. */
	if (answer->outcome != SCM_OK && (named || answer->outcome == SCM_TEMPORARY)) {
		finish(listing, job_fault_of(answer), answer->err, answer->trace);
		return;
	}
	if (answer->outcome == SCM_OK) {
		for (unsigned i = 0; i < page->count; i++)
			add(listing, page->repositories[i].project, page->repositories[i].slug,
			    page->repositories[i].name, page->repositories[i].is_public,
			    page->repositories[i].archived, access_of(listing));
		if (listing->progress.fn != NULL)
			listing->progress.fn(listing->repos, listing->count, listing->progress.arg);
		/* A server that always has another page is not read for ever. */
		if (page->next != NULL && ++listing->pages == PAGES_MAX)
			listing->truncated = true;
		if (page->next != NULL && !listing->truncated) {
			next_page(listing, page->next);
			return;
		}
	}
	if (named && !listing->administered) {
		listing->administered = true;
		next_page(listing, NULL);
		return;
	}
	listing->administered = false;
	if (++listing->token_at < listing->token_count && !listing->truncated) {
		next_page(listing, NULL);
		return;
	}
	add_stored(listing);
	finish(listing, SERVICE_OK, NULL, NULL);
}

static void next_page(struct listing *listing, const char *cursor)
{
	struct service_parts *parts = &listing->job.service->parts;
	const struct secret *token = &listing->tokens[listing->token_at];
	struct scm_list list = {.token = token->length > 0 ? token : NULL,
	    .search = listing->search,
	    .administered = listing->administered,
	    .cursor = cursor,
	    .limit = PAGE};
	struct err err = ERR_INIT;
	struct server *server = servers_get(parts->servers, listing->server, &err);

	if (server == NULL) {
		finish(listing, SERVICE_NOT_FOUND, &err, NULL);
		return;
	}
	listing->call = server->driver->list(parts->scm, &server->view, &list, page_came, listing);
}

static void add_token(struct listing *listing, const struct secret *token)
{
	if (listing->token_count == TOKENS_MAX)
		return;
	for (unsigned i = 0; i < listing->token_count; i++)
		if (secret_equal(&listing->tokens[i], token))
			return;
	secret_set(&listing->tokens[listing->token_count++], token->data, token->length);
}

static void add_stored_tokens(struct listing *listing)
{
	struct records *records = listing->job.service->parts.records;
	struct record_repo record = {0};
	unsigned opened = 0;

	while (listing->token_count < TOKENS_MAX && opened < TOKENS_OPENED &&
	       records_next_repo(records, record.id, &record)) {
		struct secret token = {0};

		if (record.server != listing->server || !record.has_token)
			continue;
		opened++;
		if (records_repo_token(records, record.id, &token, NULL))
			add_token(listing, &token);
		secret_free(&token);
	}
}

static void begin(const struct service_result *result, void *arg)
{
	struct listing *listing = arg;

	(void)result;
	next_page(listing, NULL);
}

void service_list_repos(struct service *service, uint32_t server, const struct secret *token,
    const char *search, const struct service_list_progress *progress, service_list_fn *fn,
    void *arg)
{
	struct listing *listing = mem_zero(sizeof(*listing));

	listing->server = server;
	listing->search = mem_string(search);
	if (progress != NULL)
		listing->progress = *progress;
	listing->fn = fn;
	listing->arg = arg;
	map_init(&listing->names);
	job_add(service, &listing->job, listing_cancel);
	if (token != NULL) {
		add_token(listing, token);
	} else {
		listing->token_count = 1;
		add_stored_tokens(listing);
	}
	job_after_commit(service, db_lost(service->parts.db), begin, listing);
}
