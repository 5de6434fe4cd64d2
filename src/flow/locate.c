#include "flow/locate.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define AT_ONCE 8
#define ACTIVE_MAX 64
#define NOWHERE_FIRST_MS (10ll * 60 * 1000) /* doubles while the commit stays unknown */
#define NOWHERE_LIMIT_MS (40ll * 60 * 1000)
#define GIVE_UP_MS (40ll * 60 * 1000) /* the third search, half an hour after the first */

struct question { /* one repository asked for the commit */
	struct locate_search *search;
	struct scm_call *call; /* NULL once answered */
	uint32_t repo;
};

struct locate_search {
	struct locate *locate;
	char commit[41];
	locate_fn *fn;
	void *arg;
	struct loop_timer timer; /* answers that are known at once are given in a later turn */
	struct question questions[LOCATE_ASK];
	unsigned candidates, asked, under_way;
	struct place found;
	int64_t waited_ms; /* how long "nowhere" was believed before, 0 = never asked */
	bool complete;
	bool barred; /* one could not be asked until an administrator repairs it */
	struct err err;
	TAILQ_ENTRY(locate_search) entry;
};

struct locate {
	struct locate_options options;
	uint32_t active[ACTIVE_MAX]; /* the latest first */
	unsigned active_count;
	TAILQ_HEAD(, locate_search) searches;
};

static void ask_more(struct locate_search *search);

struct locate *locate_new(const struct locate_options *options)
{
	struct locate *locate = mem_zero(sizeof(*locate));

	locate->options = *options;
	TAILQ_INIT(&locate->searches);
	return locate;
}

void locate_free(struct locate *locate)
{
	if (locate == NULL)
		return;
	while (!TAILQ_EMPTY(&locate->searches))
		locate_cancel(TAILQ_FIRST(&locate->searches));
	free(locate);
}

void locate_active(struct locate *locate, uint32_t repo)
{
	unsigned at = 0;

	while (at < locate->active_count && locate->active[at] != repo)
		at++;
	if (at == locate->active_count && locate->active_count < ACTIVE_MAX)
		locate->active_count++;
	if (at == ACTIVE_MAX)
		at--;
	memmove(locate->active + 1, locate->active, at * sizeof(*locate->active));
	locate->active[0] = repo;
}

/* ---- whom to ask ---- */

static void add_candidate(struct locate_search *search, uint32_t repo)
{
	struct record_repo record;

	if (search->candidates == LOCATE_ASK)
		return;
	for (unsigned i = 0; i < search->candidates; i++)
		if (search->questions[i].repo == repo)
			return;
	if (!records_repo(search->locate->options.records, repo, &record) ||
	    record.state == REPO_DISABLED)
		return;
	search->questions[search->candidates++] = (struct question){.search = search, .repo = repo};
}

/* "owner/repository/branch": the Eyes branch name of an integrated run. */
static void add_hinted(struct locate_search *search, const char *hint)
{
	struct records *records = search->locate->options.records;
	const char *slash = strchr(hint, '/'), *second;
	char project[256], slug[256];
	struct record_repo record;

	if (slash == NULL || (second = strchr(slash + 1, '/')) == NULL)
		return;
	if ((size_t)(slash - hint) >= sizeof(project) || (size_t)(second - slash) > sizeof(slug))
		return;
	memcpy(project, hint, (size_t)(slash - hint));
	project[slash - hint] = '\0';
	memcpy(slug, slash + 1, (size_t)(second - slash - 1));
	slug[second - slash - 1] = '\0';
	for (unsigned i = 0; i < records_server_count(records); i++)
		if (records_repo_by_name(
		        records, records_server_at(records, i)->id, project, slug, &record))
			add_candidate(search, record.id);
}

static void choose_candidates(struct locate_search *search, const char *hint)
{
	struct locate *locate = search->locate;
	struct record_repo record = {0};

	add_hinted(search, hint);
	for (unsigned i = 0; i < locate->active_count; i++)
		add_candidate(search, locate->active[i]);
	while (search->candidates < LOCATE_ASK &&
	       records_next_repo(locate->options.records, record.id, &record))
		add_candidate(search, record.id);
}

/* ---- asking ---- */

static void tell(struct locate_search *search, bool complete, bool searched)
{
	const struct place *found = &search->found;
	struct locate_answer answer = {
	    .repos = found->repos,
	    .count = found->count,
	    .complete = complete,
	    .given_up = searched && complete && found->count == 0 && found->waited_ms >= GIVE_UP_MS,
	    .err = search->err.code != NULL ? &search->err : NULL,
	};

	search->fn(&answer, search->arg);
}

static void believe_nowhere(struct locate_search *search)
{
	struct place *place = &search->found;

	place->expires_ms = 0;
	place->waited_ms = 0;
	if (place->count > 0)
		return;
	place->waited_ms =
	    search->waited_ms > 0 && !search->barred ? search->waited_ms * 2 : NOWHERE_FIRST_MS;
	if (place->waited_ms > NOWHERE_LIMIT_MS)
		place->waited_ms = NOWHERE_LIMIT_MS;
	place->expires_ms = clock_wall_ms() + place->waited_ms;
}

static void finish(struct locate_search *search)
{
	struct locate *locate = search->locate;
	struct err err = ERR_INIT;

	if (search->complete) {
		believe_nowhere(search);
		if (!places_set_commit(
		        locate->options.places, search->commit, &search->found, &err))
			log_warn(
			    "locate", "a commit's repositories cannot be stored", log_err(&err));
	}
	TAILQ_REMOVE(&locate->searches, search, entry);
	tell(search, search->complete, true);
	free(search);
}

static void answered(const struct scm_answer *answer, bool found, void *arg)
{
	struct question *question = arg;
	struct locate_search *search = question->search;

	question->call = NULL;
	search->under_way--;
	if (answer->outcome == SCM_TEMPORARY && !answer->unknown_commit) {
		search->complete = false;
		err_copy(&search->err, answer->err);
	}
	search->barred |= answer->outcome == SCM_BLOCKED;
	if (answer->outcome == SCM_OK && found && search->found.count < PLACES_REPOS) {
		search->found.repos[search->found.count++] = question->repo;
		locate_active(search->locate, question->repo);
	}
	ask_more(search);
}

static void ask(struct question *question)
{
	struct locate_search *search = question->search;
	struct locate *locate = search->locate;
	struct secret token = {0};
	struct record_repo record;
	struct server *server;

	if (!records_repo(locate->options.records, question->repo, &record))
		return;
	server = servers_get(locate->options.servers, record.server, &search->err);
	if (server == NULL ||
	    !records_repo_token(locate->options.records, question->repo, &token, &search->err)) {
		search->complete = false;
		return;
	}
	question->call = server->driver->has_commit(locate->options.scm, &server->view, &token,
	    record.project, record.slug, search->commit, answered, question);
	search->under_way++;
	secret_free(&token);
}

static void ask_more(struct locate_search *search)
{
	while (search->under_way < AT_ONCE && search->asked < search->candidates)
		ask(&search->questions[search->asked++]);
	if (search->under_way == 0)
		finish(search);
}

/* ---- a search ---- */

static void known(void *arg)
{
	struct locate_search *search = arg;

	TAILQ_REMOVE(&search->locate->searches, search, entry);
	tell(search, true, false);
	free(search);
}

static void begin(void *arg)
{
	ask_more(arg);
}

static bool is_enabled(const struct locate *locate, uint32_t repo)
{
	struct record_repo record;

	return records_repo(locate->options.records, repo, &record) &&
	       record.state != REPO_DISABLED;
}

/* What is known of the commit; of repositories that are not enabled any more nothing is. */
static bool remember(struct locate_search *search)
{
	struct place *found = &search->found;
	unsigned kept = 0;

	if (!places_commit(search->locate->options.places, search->commit, found))
		return false;
	if (found->count == 0)
		return found->expires_ms > clock_wall_ms();
	for (unsigned i = 0; i < found->count; i++)
		if (is_enabled(search->locate, found->repos[i]))
			found->repos[kept++] = found->repos[i];
	found->count = kept;
	return kept > 0;
}

struct locate_search *locate_find(
    struct locate *locate, const char *commit, const char *hint, locate_fn *fn, void *arg)
{
	struct locate_search *search = mem_zero(sizeof(*search));
	bool remembered;

	search->locate = locate;
	search->fn = fn;
	search->arg = arg;
	search->complete = true;
	memcpy(search->commit, commit, sizeof(search->commit) - 1);
	TAILQ_INSERT_TAIL(&locate->searches, search, entry);
	remembered = remember(search);
	if (!remembered) {
		search->waited_ms = search->found.waited_ms;
		search->found = (struct place){0};
		choose_candidates(search, hint);
	}
	loop_timer_init(&search->timer, locate->options.loop, remembered ? known : begin, search);
	loop_timer_set(&search->timer, 0);
	return search;
}

void locate_cancel(struct locate_search *search)
{
	loop_timer_cancel(&search->timer);
	for (unsigned i = 0; i < search->asked; i++)
		if (search->questions[i].call != NULL)
			scm_cancel(search->questions[i].call);
	TAILQ_REMOVE(&search->locate->searches, search, entry);
	free(search);
}
