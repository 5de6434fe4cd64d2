/* Filling the simulated Bitbucket: POST /sim/setup, --demo, --repositories. The format stands in
 * sim_bitbucket.h. */
#include "sim/sim_bitbucket_hooks.h"

#include "base/codec.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

static void replace(char **text, const char *value)
{
	if (!value)
		return;
	free(*text);
	*text = mem_string(value);
}

/* "PRJ/slug" taken apart: the slug, with the project's key in `key`. */
static const char *split(const char *where, char key[256])
{
	const char *slash = strchr(where, '/');
	if (!slash || slash - where >= 256)
		return NULL;
	memcpy(key, where, (size_t)(slash - where));
	key[slash - where] = '\0';
	return slash + 1;
}

static struct bitbucket_repository *repository_of(
    struct bitbucket *bb, const char *where, struct err *err)
{
	char key[256];
	const char *slug = where ? split(where, key) : NULL;
	struct bitbucket_repository *found = slug ? bitbucket_find_repository(bb, key, slug) : NULL;
	if (!found)
		err_set(err, "json", "no repository %s", where ? where : "without a name");
	return found;
}

static bool add_commits(
    struct bitbucket_repository *repository, const json_t *commits, struct err *err)
{
	size_t i;
	json_t *item;
	json_array_foreach(commits, i, item)
	{
		unsigned char sha[20];
		const char *text = json_string_value(item);
		if (!text || !codec_hex_decode(sha, 20, text))
			return err_set(err, "json", "commits: expected 40 hex digits");
		bitbucket_add_commit(repository, sha);
	}
	return true;
}

static bool setup_project(struct bitbucket *bb, const json_t *json, struct err *err)
{
	const char *key = sim_json_text(json, "key", NULL);
	if (!sim_json_known(json, "key name public", err))
		return false;
	if (!key)
		return err_set(err, "json", "a project needs a key");
	struct bitbucket_project *project = bitbucket_project(bb, key, true);
	replace(&project->name, sim_json_text(json, "name", NULL));
	project->is_public = sim_json_bool(json, "public", project->is_public);
	return true;
}

static bool setup_repository(struct bitbucket *bb, const json_t *json, struct err *err)
{
	const char *key = sim_json_text(json, "project", NULL);
	const char *slug = sim_json_text(json, "slug", NULL);
	if (!sim_json_known(json, "project slug name public archived any_commit commits", err))
		return false;
	if (!key || !slug)
		return err_set(err, "json", "a repository needs project and slug");
	struct bitbucket_repository *repository =
	    bitbucket_add_repository(bb, bitbucket_project(bb, key, true), slug);
	repository->removed = false;
	replace(&repository->name, sim_json_text(json, "name", NULL));
	repository->is_public = sim_json_bool(json, "public", repository->is_public);
	repository->archived = sim_json_bool(json, "archived", repository->archived);
	repository->any_commit = sim_json_bool(json, "any_commit", repository->any_commit);
	return add_commits(repository, json_object_get(json, "commits"), err);
}

static bool grant(struct bitbucket *bb, struct bitbucket_token *token, const char *where,
    enum bitbucket_level level, struct err *err)
{
	char key[256];
	const char *slug = where ? split(where, key) : NULL;
	if (where && strcmp(where, "*") == 0) {
		bitbucket_grant(token, '*', 0, level);
		return true;
	}
	if (slug && strcmp(slug, "*") == 0) {
		bitbucket_grant(token, 'p', bitbucket_project(bb, key, true)->id, level);
		return true;
	}
	const struct bitbucket_repository *repository = repository_of(bb, where, err);
	if (!repository)
		return false;
	bitbucket_grant(token, 'r', repository->id, level);
	return true;
}

static bool setup_failure(struct bitbucket_token *token, const json_t *json, struct err *err)
{
	if (!json)
		return true;
	if (!sim_json_known(json, "status exception message", err))
		return false;
	token->failure_status = (int)sim_json_integer(json, "status", 401);
	token->failure_exception = mem_string(sim_json_text(json, "exception", NULL));
	token->failure_message = mem_string(sim_json_text(json, "message", "refused"));
	return true;
}

static bool setup_token(struct bitbucket *bb, const json_t *json, struct err *err)
{
	static const char *const levels[] = {"read", "write", "admin"};
	const char *text = sim_json_text(json, "token", NULL);
	if (!sim_json_known(json, "token user read write admin revoked failure", err))
		return false;
	if (!text)
		return err_set(err, "json", "a token needs token");
	struct bitbucket_token *token =
	    bitbucket_set_token(bb, text, sim_json_text(json, "user", "jane"));
	token->revoked = sim_json_bool(json, "revoked", false);
	for (int i = 0; i < 3; i++) {
		size_t j;
		json_t *where;
		json_array_foreach(json_object_get(json, levels[i]), j, where)
		{
			if (!grant(bb, token, json_string_value(where),
			        LEVEL_READ + (enum bitbucket_level)i, err))
				return false;
		}
	}
	return setup_failure(token, json_object_get(json, "failure"), err);
}

static bool setup_commits(struct bitbucket *bb, const json_t *json, struct err *err)
{
	const char *where;
	json_t *commits;
	json_object_foreach((json_t *)json, where, commits)
	{
		struct bitbucket_repository *repository = repository_of(bb, where, err);
		if (!repository || !add_commits(repository, commits, err))
			return false;
	}
	return true;
}

static bool setup_each(struct bitbucket *bb, const json_t *list,
    bool (*each)(struct bitbucket *, const json_t *, struct err *), struct err *err)
{
	size_t i;
	json_t *item;
	json_array_foreach(list, i, item)
	{
		if (!each(bb, item, err))
			return false;
	}
	return true;
}

static bool setup_removed(struct bitbucket *bb, const json_t *where, struct err *err)
{
	struct bitbucket_repository *repository = repository_of(bb, json_string_value(where), err);
	if (repository)
		repository->removed = true;
	return repository != NULL;
}

bool bitbucket_setup(struct bitbucket *bb, const json_t *json, struct err *err)
{
	if (!sim_json_known(json,
	        "projects repositories tokens commits remove any_commit version ref_quirk "
	        "not_found_empty mask_secrets summary_by_event iso_dates time_scale base_url "
	        "delivery_timeout_ms delivery_connections in_flight_max rename moved",
	        err))
		return false;
	bb->any_commit = sim_json_bool(json, "any_commit", bb->any_commit);
	bb->ref_quirk = sim_json_bool(json, "ref_quirk", bb->ref_quirk);
	bb->not_found_empty = sim_json_bool(json, "not_found_empty", bb->not_found_empty);
	const char *version = sim_json_text(json, "version", NULL);
	if (version)
		bitbucket_set_version(bb, version);
	return setup_each(bb, json_object_get(json, "projects"), setup_project, err) &&
	       setup_each(bb, json_object_get(json, "repositories"), setup_repository, err) &&
	       setup_each(bb, json_object_get(json, "tokens"), setup_token, err) &&
	       setup_commits(bb, json_object_get(json, "commits"), err) &&
	       setup_each(bb, json_object_get(json, "remove"), setup_removed, err) &&
	       hooks_setup(bb->hooks, json, err);
}

void bitbucket_setup_demo(struct bitbucket *bb)
{
	static const char demo[] =
	    "{\"projects\":[{\"key\":\"DEMO\",\"name\":\"Demo project\"},"
	    "{\"key\":\"~jane\",\"name\":\"Jane Doe\"}],"
	    "\"repositories\":["
	    "{\"project\":\"DEMO\",\"slug\":\"web-shop\",\"name\":\"Web "
	    "Shop\",\"any_commit\":true},"
	    "{\"project\":\"DEMO\",\"slug\":\"api\",\"name\":\"API\",\"public\":true,\"any_"
	    "commit\":true},"
	    "{\"project\":\"DEMO\",\"slug\":\"old\",\"name\":\"Old things\",\"archived\":true,"
	    "\"any_commit\":true},"
	    "{\"project\":\"~jane\",\"slug\":\"app\",\"name\":\"App\",\"any_commit\":true}],"
	    "\"tokens\":[{\"token\":\"demo-admin-token\",\"user\":\"admin\",\"admin\":[\"*\"]},"
	    "{\"token\":\"demo-jane-token\",\"user\":\"jane\",\"admin\":[\"DEMO/web-shop\",\"~jane/"
	    "app\"],"
	    "\"read\":[\"DEMO/*\"]},"
	    "{\"token\":\"demo-reader-token\",\"user\":\"rita\",\"read\":[\"DEMO/*\"]}]}";
	struct err err = ERR_INIT;
	json_t *json = json_loads(demo, 0, NULL);
	if (!json || !bitbucket_setup(bb, json, &err))
		fatal("the demo data is wrong: %s", err.message);
	json_decref(json);
}

void bitbucket_setup_generated(struct bitbucket *bb, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char key[32];
		char slug[32];
		sim_generated_name(i, key, slug);
		struct bitbucket_repository *repository =
		    bitbucket_add_repository(bb, bitbucket_project(bb, key, true), slug);
		free(repository->name);
		repository->name = mem_printf("Repository %u", i);
		repository->any_commit = true;
	}
}
