/* What the server is and can do; repositories in pages; one repository and its commits. */
#include "sim/sim_bitbucket.h"

#include "base/clock.h"
#include "base/codec.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LIMIT_DEFAULT 25
#define LIMIT_MAX 1000 /* silently */

void bitbucket_properties(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	char build[32];
	snprintf(build, sizeof(build), "%d%03d000", bb->version / 100, bb->version % 100);
	sim_answer_json(request, 200,
	    json_pack("{s:s,s:s,s:s,s:s}", "version", bb->version_text, "buildNumber", build,
	        "buildDate", "1706745600000", "displayName", "Bitbucket"));
}

void bitbucket_build_capabilities(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	if (bb->version < 704) {
		bitbucket_not_found(request, app);
		return;
	}
	json_t *list = json_array();
	json_array_append_new(list, json_string("richBuildStatus"));
	if (bb->version >= 800)
		json_array_append_new(list, json_string("cancelledStatus"));
	sim_answer_json(request, 200, json_pack("{s:o}", "buildStatus", list));
}

/* ---- repositories ---- */

static void write_project(struct buf *out, const struct bitbucket_project *project)
{
	sim_put_member(out, "project");
	buf_putc(out, '{');
	sim_put_text(out, "key", project->key);
	sim_put_integer(out, "id", project->id);
	sim_put_text(out, "name", project->name);
	if (!project->personal)
		sim_put_bool(out, "public", project->is_public);
	sim_put_text(out, "type", project->personal ? "PERSONAL" : "NORMAL");
	buf_putc(out, '}');
}

void bitbucket_write_repository(const struct bitbucket *bb, struct buf *out,
    const struct bitbucket_repository *repository, const char *base)
{
	const struct bitbucket_project *project = repository->project;
	bool personal = project->personal;
	char href[1200];
	buf_putc(out, '{');
	sim_put_text(out, "slug", repository->slug);
	sim_put_integer(out, "id", repository->id);
	sim_put_text(out, "name", repository->name);
	sim_put_text(out, "scmId", "git");
	sim_put_text(out, "state", "AVAILABLE");
	sim_put_text(out, "statusMessage", "Available");
	sim_put_bool(out, "forkable", true);
	write_project(out, project);
	sim_put_bool(out, "public", repository->is_public);
	if (bb->version >= 800)
		sim_put_bool(out, "archived", repository->archived);
	snprintf(href, sizeof(href), "%s/%s/%s/repos/%s/browse", base,
	    personal ? "users" : "projects", project->key + personal, repository->slug);
	sim_put_member(out, "links");
	buf_puts(out, "{\"self\":[{");
	sim_put_text(out, "href", href);
	buf_puts(out, "}]}}");
}

/*
 * `start` is a row of the database, and rows have gaps: a client that computes start+limit asks for
 * rows that it was never given (a violation), and gets some repositories twice.
 */
static int64_t row_of(int64_t index)
{
	return index + 3 * (index / 10);
}

static int64_t index_of(int64_t row)
{
	int64_t index = row / 13 * 10;
	while (row_of(index) < row)
		index++;
	return index;
}

struct listing {
	const struct bitbucket_token *token;
	const struct bitbucket_project *project;
	enum bitbucket_level level; /* asked for, by permission= */
	struct buf name, project_name, project_key, visibility, archived;
	int64_t start, limit;
};

static const char *const listing_names[] = {
    "name", "projectname", "projectkey", "visibility", "archived"};

static void listing_texts(struct listing *listing, struct buf *texts[5])
{
	struct buf *list[] = {&listing->name, &listing->project_name, &listing->project_key,
	    &listing->visibility, &listing->archived};
	memcpy(texts, list, sizeof(list));
}

static void listing_free(struct listing *listing)
{
	struct buf *texts[5];
	listing_texts(listing, texts);
	for (int i = 0; i < 5; i++)
		buf_free(texts[i]);
}

static const char *text_of(const struct buf *text)
{
	return text->length ? text->data : "";
}

static bool begins(const char *text, const struct buf *prefix)
{
	const char *word = text_of(prefix);
	while (*word == ' ')
		word++;
	size_t length = strlen(word);
	while (length && word[length - 1] == ' ')
		length--;
	return strncasecmp(text, word, length) == 0;
}

static bool listing_takes(
    const struct bitbucket *bb, const struct listing *listing, const struct bitbucket_repository *r)
{
	enum bitbucket_level level = bitbucket_level(listing->token, r);
	const char *archived = text_of(&listing->archived);
	const char *visibility = text_of(&listing->visibility);
	if (r->removed || level == LEVEL_NONE || level < listing->level ||
	    (listing->project && listing->project != r->project))
		return false;
	if (listing->level && !listing->token)
		return false; /* anonymous with permission=: nothing, ever */
	if (!begins(r->name, &listing->name) || !begins(r->project->name, &listing->project_name))
		return false;
	if (listing->project_key.length &&
	    strcasecmp(r->project->key, listing->project_key.data) != 0)
		return false;
	if ((strcasecmp(visibility, "public") == 0 && !r->is_public) ||
	    (strcasecmp(visibility, "private") == 0 && r->is_public))
		return false;
	if (bb->version < 800 || strcasecmp(archived, "ALL") == 0 || listing->project)
		return true;
	return r->archived == (strcasecmp(archived, "ARCHIVED") == 0);
}

static bool read_permission(
    struct sim_request *request, struct bitbucket *bb, struct listing *listing)
{
	static const char *const names[] = {"REPO_READ", "REPO_WRITE", "REPO_ADMIN"};
	struct buf text;
	buf_init(&text, 256);
	bool asked = sim_query(request, "permission", 0, &text) && text.length;
	for (int i = 0; asked && i < 3; i++)
		if (strcmp(text.data, names[i]) == 0)
			listing->level = LEVEL_READ + (enum bitbucket_level)i;
	bool good = !asked || listing->level;
	buf_free(&text);
	if (!good)
		bitbucket_error(request, bb, 400, "permission", NULL, "no such permission");
	return good;
}

static bool listing_init(struct sim_request *request, struct bitbucket *bb, struct listing *listing)
{
	struct buf *texts[5];
	*listing = (struct listing){0};
	listing_texts(listing, texts);
	for (int i = 0; i < 5; i++) {
		buf_init(texts[i], 4096);
		sim_query(request, listing_names[i], 0, texts[i]);
	}
	if (!bitbucket_sign_in(request, bb, &listing->token) ||
	    !read_permission(request, bb, listing))
		return false;
	listing->start = sim_query_integer(request, "start", 0);
	listing->limit = sim_query_integer(request, "limit", LIMIT_DEFAULT);
	if (listing->start < 0 || listing->limit < 1) {
		bitbucket_error(
		    request, bb, 400, NULL, NULL, "start and limit must not be negative");
		return false;
	}
	if (listing->limit > LIMIT_MAX)
		listing->limit = LIMIT_MAX;
	if (row_of(index_of(listing->start)) != listing->start)
		sim_violation(&bb->sim->violations, request,
		    "start=%lld was never given out as nextPageStart", (long long)listing->start);
	return true;
}

static void answer_page(struct sim_request *request, struct bitbucket *bb, struct listing *listing)
{
	struct buf out;
	char base[700];
	int64_t size = 0;
	int64_t next = -1;
	sim_request_origin(request, base, 320);
	strncat(base, bb->sim->context, sizeof(base) - strlen(base) - 1);
	buf_init(&out, 64UL * 1024 * 1024);
	buf_puts(&out, "{\"values\":[");
	for (int64_t i = index_of(listing->start); i < bb->repository_count; i++) {
		const struct bitbucket_repository *repository = bb->repositories[i];
		if (!listing_takes(bb, listing, repository))
			continue;
		if (size == listing->limit) {
			next = row_of(i);
			break;
		}
		if (size++)
			buf_putc(&out, ',');
		bitbucket_write_repository(bb, &out, repository, base);
	}
	buf_putc(&out, ']');
	sim_put_integer(&out, "size", size);
	sim_put_integer(&out, "limit", listing->limit);
	sim_put_bool(&out, "isLastPage", next < 0);
	sim_put_integer(&out, "start", listing->start);
	if (next >= 0) {
		sim_put_integer(&out, "nextPageStart", next);
	} else {
		sim_put_member(&out, "nextPageStart");
		buf_puts(&out, "null");
	}
	buf_putc(&out, '}');
	sim_answer_buf(request, 200, &out);
}

void bitbucket_list_all(struct sim_request *request, void *app)
{
	struct listing listing;
	if (listing_init(request, app, &listing))
		answer_page(request, app, &listing);
	listing_free(&listing);
}

void bitbucket_list_project(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	struct listing listing;
	const char *key = request->variable[0];
	if (listing_init(request, bb, &listing)) {
		listing.project = bitbucket_project(bb, key, false);
		if (listing.project)
			answer_page(request, bb, &listing);
		else
			bitbucket_error(request, bb, 404, NULL, "project.NoSuchProjectException",
			    "Project %s does not exist.", key);
	}
	listing_free(&listing);
}

void bitbucket_get_repository(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	const struct bitbucket_token *token;
	const struct bitbucket_repository *repository;
	if (!bitbucket_sign_in(request, bb, &token) ||
	    !bitbucket_open_repository(request, bb, token, LEVEL_READ, &repository))
		return;
	struct buf out;
	char base[700];
	sim_request_origin(request, base, 320);
	strncat(base, bb->sim->context, sizeof(base) - strlen(base) - 1);
	buf_init(&out, 64 * 1024);
	bitbucket_write_repository(bb, &out, repository, base);
	sim_answer_buf(request, 200, &out);
}

void bitbucket_get_commit(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	const struct bitbucket_token *token;
	const struct bitbucket_repository *repository;
	unsigned char sha[20];
	char id[41];
	if (!bitbucket_sign_in(request, bb, &token) ||
	    !bitbucket_open_repository(request, bb, token, LEVEL_READ, &repository))
		return;
	const char *text = request->variable[2];
	if (!codec_hex_decode(sha, 20, text) || !bitbucket_knows_commit(bb, repository, sha)) {
		bitbucket_error(request, bb, 404, NULL, "commit.NoSuchCommitException",
		    "Commit '%s' does not exist in repository '%s'.", text, repository->slug);
		return;
	}
	codec_hex_encode(id, sha, 20);
	sim_answer_json(request, 200,
	    json_pack("{s:s,s:s%,s:{s:s,s:s},s:I,s:s,s:[]}", "id", id, "displayId", id, (size_t)11,
	        "author", "name", "jane", "emailAddress", "jane@example.com", "authorTimestamp",
	        (json_int_t)clock_wall_ms(), "message", "a commit", "parents"));
}
