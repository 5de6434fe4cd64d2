#include "app/state_dir.h"

#include "app/options_value.h"
#include "base/mem.h"
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "/eyes-scm"
#define ROW "EYES_STATE_DIR"

static const char *environment_path(const struct options *options, const char *name)
{
	size_t length = strlen(name);

	for (char *const *entry = options->input.environment; *entry != NULL; entry++)
		if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
			return (*entry)[length + 1] == '/' ? *entry + length + 1 : NULL;
	return NULL;
}

/* Takes `path`; false when it is NULL or wrong. */
static bool use(struct options *options, char *path, const char *source, struct problems *problems)
{
	const struct option *option = option_by_name(ROW);
	char **kept = &options->value[option - option_table].source;
	struct err err = ERR_INIT;

	if (path == NULL)
		return false;
	if (!option_set(options, option, path, NULL, &err)) {
		problems_error(problems, "the state folder (%s): %s", source, err.message);
		free(path);
		return false;
	}
	free(path);
	free(*kept);
	*kept = mem_string(source);
	return true;
}

/* systemd separates several by colons. */
static char *service_folder(const struct options *options)
{
	if (options->service_state == NULL)
		return NULL;
	return mem_bytes(options->service_state, strcspn(options->service_state, ":"));
}

static bool is_folder(const char *path, uid_t *owner)
{
	struct stat stat_;

	if (path == NULL || stat(path, &stat_) != 0 || !S_ISDIR(stat_.st_mode))
		return false;
	*owner = stat_.st_uid;
	return true;
}

/* NULL when this user has no home. */
static char *home_folder(const struct options *options, const char **source)
{
	const char *base = environment_path(options, "XDG_STATE_HOME");
	const struct passwd *user;

	*source = "$XDG_STATE_HOME";
	if (base != NULL)
		return mem_printf("%s" FOLDER, base);
	*source = "home folder";
	base = environment_path(options, "HOME");
	if (base == NULL) {
		user = getpwuid(geteuid());
		base = user != NULL && user->pw_dir[0] == '/' ? user->pw_dir : NULL;
	}
	return base != NULL ? mem_printf("%s/.local/state" FOLDER, base) : NULL;
}

static bool system_is_ours(const struct options *options, uid_t owner)
{
	return owner == geteuid() || (options->input.use == OPTIONS_COMMAND && geteuid() == 0);
}

void state_dir_resolve(struct options *options, struct problems *problems)
{
	const char *system_state = options->input.system_state, *source;
	char *home;
	uid_t owner = 0, home_owner;
	bool there;

	if (options->state_dir != NULL ||
	    use(options, service_folder(options), "$STATE_DIRECTORY", problems))
		return;
	there = is_folder(system_state, &owner);
	if (there && system_is_ours(options, owner)) {
		use(options, mem_string(system_state), "exists and is ours", problems);
		return;
	}
	home = home_folder(options, &source);
	if (there && options->input.use == OPTIONS_COMMAND && !is_folder(home, &home_owner)) {
		use(options, mem_string(system_state), "exists", problems);
	} else if (home != NULL) {
		use(options, home, source, problems);
		return;
	} else {
		problems_error(problems,
		    "no state folder: neither $XDG_STATE_HOME nor $HOME is set; "
		    "name one with --state-dir or " ROW);
	}
	free(home);
}
