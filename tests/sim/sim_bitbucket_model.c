/* What the simulated Bitbucket holds: projects, repositories, commits, tokens. */
#include "sim/sim_bitbucket.h"

#include "base/mem.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bitbucket_project *bitbucket_project(struct bitbucket *bb, const char *key, bool make)
{
	struct sim_name name = sim_name_lower(key, "");
	struct bitbucket_project *project = sim_name_get(&bb->by_project, &name);
	if (project || !make)
		return project;
	project = mem_zero(sizeof(*project));
	project->id = ++bb->project_count;
	project->key = mem_string(key);
	project->name = mem_string(key);
	project->personal = key[0] == '~';
	project->next = bb->projects;
	bb->projects = project;
	sim_name_put(&bb->by_project, &name, project);
	return project;
}

struct bitbucket_repository *bitbucket_add_repository(
    struct bitbucket *bb, struct bitbucket_project *project, const char *slug)
{
	struct sim_name name = sim_name_lower(project->key, slug);
	struct bitbucket_repository *repository = sim_name_get(&bb->by_slug, &name);
	if (repository)
		return repository;
	repository = mem_zero(sizeof(*repository));
	repository->project = project;
	repository->slug = mem_string(slug);
	repository->name = mem_string(slug);
	map_init(&repository->commits);
	if (bb->repository_count == bb->repository_room) {
		bb->repository_room = bb->repository_room ? 2 * bb->repository_room : 64;
		bb->repositories =
		    mem_grow(bb->repositories, bb->repository_room, sizeof(repository));
	}
	bb->repositories[bb->repository_count++] = repository;
	repository->id = bb->repository_count;
	sim_name_put(&bb->by_slug, &name, repository);
	return repository;
}

struct bitbucket_repository *bitbucket_find_repository(
    const struct bitbucket *bb, const char *key, const char *slug)
{
	struct sim_name name = sim_name_lower(key, slug);
	struct bitbucket_repository *repository = sim_name_get(&bb->by_slug, &name);
	return repository && !repository->removed ? repository : NULL;
}

struct bitbucket_repository *bitbucket_find_moved(
    const struct bitbucket *bb, const char *key, const char *slug)
{
	struct sim_name name = sim_name_lower(key, slug);
	struct bitbucket_repository *repository = sim_name_get(&bb->moved_from, &name);
	return repository && !repository->removed ? repository : NULL;
}

bool bitbucket_rename(struct bitbucket *bb, struct bitbucket_repository *repository,
    const char *key, const char *slug)
{
	struct sim_name from = sim_name_lower(repository->project->key, repository->slug);
	struct sim_name to = sim_name_lower(key, slug);
	struct bitbucket_repository *there = sim_name_get(&bb->by_slug, &to);
	if (there && !there->removed)
		return false;
	sim_name_remove(&bb->by_slug, &from);
	sim_name_remove(&bb->moved_from, &to);
	sim_name_put(&bb->moved_from, &from, repository);
	sim_name_put(&bb->by_slug, &to, repository);
	repository->project = bitbucket_project(bb, key, true);
	free(repository->slug);
	repository->slug = mem_string(slug);
	free(repository->name);
	repository->name = mem_string(slug);
	return true;
}

void bitbucket_add_commit(struct bitbucket_repository *repository, const unsigned char sha[20])
{
	map_put(&repository->commits, sha, 20, repository);
}

bool bitbucket_knows_commit(const struct bitbucket *bb,
    const struct bitbucket_repository *repository, const unsigned char sha[20])
{
	return bb->any_commit || repository->any_commit || map_get(&repository->commits, sha, 20);
}

static void token_clear(struct bitbucket_token *token)
{
	free(token->token);
	free(token->user);
	free(token->failure_exception);
	free(token->failure_message);
	map_free(&token->levels);
	*token = (struct bitbucket_token){0};
}

struct bitbucket_token *bitbucket_set_token(
    struct bitbucket *bb, const char *text, const char *user)
{
	struct sim_name name = sim_name_text(text);
	struct bitbucket_token *token = sim_name_get(&bb->tokens, &name);
	if (token) {
		token_clear(token);
	} else {
		token = mem_zero(sizeof(*token));
		sim_name_put(&bb->tokens, &name, token);
	}
	token->token = mem_string(text);
	token->user = mem_string(user);
	map_init(&token->levels);
	return token;
}

static size_t level_key(unsigned char out[5], char kind, uint32_t id)
{
	out[0] = (unsigned char)kind;
	memcpy(out + 1, &id, sizeof(id));
	return 5;
}

void bitbucket_grant(
    struct bitbucket_token *token, char kind, uint32_t id, enum bitbucket_level level)
{
	unsigned char key[5];
	size_t length = level_key(key, kind, id);
	if (kind == '*') {
		token->everywhere = level > token->everywhere ? level : token->everywhere;
		return;
	}
	uintptr_t before = (uintptr_t)map_get(&token->levels, key, length);
	if (level > before)
		map_put(&token->levels, key, length, (void *)(uintptr_t)level);
}

enum bitbucket_level bitbucket_level(
    const struct bitbucket_token *token, const struct bitbucket_repository *repository)
{
	enum bitbucket_level level = repository->is_public ? LEVEL_READ : LEVEL_NONE;
	unsigned char key[5];
	if (!token)
		return level;
	if (token->everywhere > level)
		level = token->everywhere;
	if (token->levels.count == 0)
		return level;
	size_t length = level_key(key, 'p', repository->project->id);
	uintptr_t found = (uintptr_t)map_get(&token->levels, key, length);
	if (found > level)
		level = (enum bitbucket_level)found;
	level_key(key, 'r', repository->id);
	found = (uintptr_t)map_get(&token->levels, key, length);
	return found > level ? (enum bitbucket_level)found : level;
}

void bitbucket_set_version(struct bitbucket *bb, const char *text)
{
	unsigned major = 0;
	unsigned minor = 10; /* "6.x": some late one */
	sscanf(text, "%u.%u", &major, &minor);
	bb->version = (int)(major * 100 + minor);
	snprintf(bb->version_text, sizeof(bb->version_text), "%s", text);
}

void bitbucket_model_clear(struct bitbucket *bb)
{
	struct bitbucket_token *token;
	size_t position = 0;
	while ((token = map_next(&bb->tokens, &position))) {
		token_clear(token);
		free(token);
	}
	for (uint32_t i = 0; i < bb->repository_count; i++) {
		struct bitbucket_repository *repository = bb->repositories[i];
		map_free(&repository->commits);
		free(repository->slug);
		free(repository->name);
		free(repository);
	}
	while (bb->projects) {
		struct bitbucket_project *project = bb->projects;
		bb->projects = project->next;
		free(project->key);
		free(project->name);
		free(project);
	}
	free(bb->repositories);
	bb->repositories = NULL;
	bb->repository_count = bb->repository_room = bb->project_count = 0;
	map_free(&bb->tokens);
	map_free(&bb->by_slug);
	map_free(&bb->moved_from);
	map_free(&bb->by_project);
	map_init(&bb->tokens);
	map_init(&bb->by_slug);
	map_init(&bb->moved_from);
	bb->moved = 0;
	map_init(&bb->by_project);
}
