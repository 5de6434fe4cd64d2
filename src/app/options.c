#include "app/options.h"

#include "app/options_file.h"
#include "app/options_listen.h"
#include "app/options_value.h"
#include "app/state_dir.h"
#include "base/codec.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHOWN_MAX = 80 };

/* The steps of options_load, from the weakest source to the strongest. */
static void load_defaults(struct options *options);
static void load_config(struct options *options, struct problems *problems);
static void load_dot_env(struct options *options, struct problems *problems);
static void load_environment(struct options *options, struct problems *problems);
static void load_flags(struct options *options, struct problems *problems);

/* ---- one value ---- */

static bool is_used(const struct options *options, const struct option *option)
{
	return options->input.use == OPTIONS_DAEMON || (option->bits & OPTION_FOR_COMMANDS) != 0;
}

/* What may be shown of a wrong value: nothing of a secret, and no address that may hold one. */
static void put_shown(const struct option *option, const char *text, struct buf *out)
{
	size_t length = strlen(text), cut = codec_utf8_cut(text, length, SHOWN_MAX);

	if ((option->bits & OPTION_SECRET) != 0 ||
	    (option->type == OPTION_URL && strpbrk(text, "@?") != NULL) ||
	    (option->type == OPTION_TEMPLATE && strchr(text, '@') != NULL)) {
		buf_puts(out, "(not shown)");
		return;
	}
	buf_putc(out, '"');
	for (size_t i = 0; i < cut; i++)
		buf_putc(out, (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i]);
	buf_puts(out, cut < length ? "...\"" : "\"");
}

static void set_source(struct options *options, const struct option *option, const char *source)
{
	char **kept = &options->value[option - option_table].source;

	free(*kept);
	*kept = mem_string(source);
}

/* folder: where relative paths begin, NULL when they are not allowed. */
static void set(struct options *options, const struct option *option, const char *text,
    const char *folder, const char *source, struct problems *problems)
{
	struct err err = ERR_INIT;
	struct buf shown;
	char title[64];
	bool empty = text != NULL && text[0] == '\0';

	if (option_set(options, option, empty ? option->initial : text, folder, &err)) {
		set_source(options, option, source);
		return;
	}
	buf_init(&shown, 512);
	put_shown(option, text, &shown);
	problems_error(problems, "%s = %s (%s): %s", option_title(option, title, sizeof(title)),
	    codec_is_utf8(shown.data, shown.length) ? shown.data : "(not UTF-8)", source,
	    err.message);
	buf_free(&shown);
}

static void load_defaults(struct options *options)
{
	for (unsigned i = 0; i < option_count; i++) {
		const struct option *option = &option_table[i];
		struct err err = ERR_INIT;
		if (option->type == OPTION_SWITCH)
			continue;
		if (option->initial != NULL &&
		    !option_set(options, option, option->initial, NULL, &err))
			fatal("the default of %s %s", option->name, err.message);
		set_source(options, option, "default");
	}
}

/* ---- files ---- */

struct source_file {
	const char *path;   /* as it is shown */
	const char *folder; /* for relative paths; NULL: none */
	bool ours;          /* eyes-scm.conf: an unknown name is a mistake */
	mode_t mode;
	unsigned seen[OPTIONS_MAX]; /* the line that set it, 0 for none */
};

static void file_unknown(
    const struct source_file *file, const char *name, unsigned line, struct problems *problems)
{
	const char *near = option_nearest_name(name);
	const char *question = near != NULL ? "; did you mean " : "";

	if (near == NULL)
		near = "";
	if (file->ours)
		problems_error(problems, "%s, line %u: %s is no setting of eyes-scm%s%s",
		    file->path, line, name, question, near);
	else if (strncmp(name, "EYES_", 5) == 0)
		problems_warn(problems, "%s, line %u: %s is no setting of eyes-scm%s%s", file->path,
		    line, name, question, near);
}

/* A proxy's address is none without a password. */
static bool is_secret(const struct option *option, const char *value)
{
	return (option->bits & OPTION_SECRET) != 0 && value[0] != '\0' &&
	       (option->type != OPTION_PROXY || strchr(value, '@') != NULL);
}

static void file_set(struct options *options, struct source_file *file, const char *name,
    const char *value, unsigned line, struct problems *problems)
{
	const struct option *option = option_by_name(name);
	char source[4200];
	unsigned *seen;

	if (option != NULL && !is_used(options, option))
		return;
	if (option == NULL) {
		if (options->input.use == OPTIONS_DAEMON)
			file_unknown(file, name, line, problems);
		return;
	}
	if ((option->bits & OPTION_ENVIRONMENT_ONLY) != 0) {
		problems_warn(problems, "%s, line %u: %s is read from the environment only",
		    file->path, line, name);
		return;
	}
	seen = &file->seen[option - option_table];
	if (*seen != 0)
		problems_warn(problems,
		    "%s, line %u: %s is already set in line %u; the later counts", file->path, line,
		    option->name, *seen);
	*seen = line;
	if (is_secret(option, value) && (file->mode & (S_IROTH | S_IWOTH)) != 0)
		problems_warn(problems,
		    "%s, line %u: %s is secret, but everybody can read the file", file->path, line,
		    option->name);
	snprintf(source, sizeof(source), "%s, line %u", file->path, line);
	set(options, option, value, file->folder, source, problems);
}

static void file_wrong(const struct options *options, const struct source_file *file,
    const struct options_file *lines, const struct err *err, struct problems *problems)
{
	bool known = option_by_name(lines->name) != NULL;

	if (options->input.use == OPTIONS_COMMAND && !known)
		return;
	if (file->ours || known)
		problems_error(problems, "%s, line %u: %s", file->path, lines->line, err->message);
	else
		problems_warn(problems, "%s, line %u: %s", file->path, lines->line, err->message);
}

static void load_text(struct options *options, struct source_file *file, const char *text,
    size_t length, struct problems *problems)
{
	struct options_file lines;
	enum options_file_step step;
	struct err err = ERR_INIT;

	options_file_init(&lines, text, length);
	while ((step = options_file_next(&lines, &err)) != OPTIONS_FILE_END) {
		if (step == OPTIONS_FILE_WRONG)
			file_wrong(options, file, &lines, &err, problems);
		else
			file_set(options, file, lines.name, lines.value.data, lines.line, problems);
	}
	options_file_free(&lines);
}

static bool read_all(int fd, struct buf *out, struct err *err)
{
	for (;;) {
		char part[4096];
		ssize_t n = read(fd, part, sizeof(part));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, "option_file", "%s", strerror(errno));
		if (n == 0)
			return true;
		if (!buf_append(out, part, (size_t)n))
			return err_set(
			    err, "option_file", "is longer than %d bytes", OPTIONS_FILE_MAX);
	}
}

/* A regular file, opened without waiting for a writer. */
static int open_file(const char *path, struct stat *stat, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || fstat(fd, stat) != 0) {
		err_set(err, errno == ENOENT ? "missing" : "option_file", "%s", strerror(errno));
	} else if (!S_ISREG(stat->st_mode)) {
		err_set(err, "option_file", "is not a file");
	} else {
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool load_descriptor(
    struct options *options, struct source_file *file, int fd, struct problems *problems)
{
	struct buf text;
	struct err err = ERR_INIT;
	bool done;

	buf_init(&text, OPTIONS_FILE_MAX);
	done = read_all(fd, &text, &err);
	if (!done)
		problems_error(problems, "%s: %s", file->path, err.message);
	else if (text.length > 0)
		load_text(options, file, text.data, text.length, problems);
	buf_cleanse(&text);
	return done;
}

static void load_config(struct options *options, struct problems *problems)
{
	const char *asked = options->config;
	const char *path = asked != NULL ? asked : options->input.system_file;
	struct source_file file = {.path = path, .ours = true};
	struct err err = ERR_INIT;
	struct stat stat;

	if (path == NULL)
		return;
	int fd = open_file(path, &stat, &err);
	if (fd >= 0) {
		file.mode = stat.st_mode;
		load_descriptor(options, &file, fd, problems);
		close(fd);
	} else if (asked == NULL && err_is(&err, "missing")) {
		return;
	} else if (asked == NULL && options->input.use == OPTIONS_COMMAND) {
		problems_warn(problems, "%s is not read: %s", path, err.message);
	} else {
		problems_error(problems, "%s: %s", path, err.message);
	}
}

/* Why a .env file is not to be trusted; NULL when it is. */
static const char *distrust(const struct stat *stat)
{
	if (stat->st_uid != geteuid() && stat->st_uid != 0)
		return "it belongs to another user";
	if ((stat->st_mode & S_IWOTH) != 0)
		return "everybody can write it";
	if ((stat->st_mode & S_IWGRP) != 0)
		return "its group can write it";
	return NULL;
}

static void load_dot_env(struct options *options, struct problems *problems)
{
	char *path = mem_printf("%s/.env", options->folder);
	struct source_file file = {.path = ".env", .folder = options->folder};
	struct err err = ERR_INIT;
	struct stat stat;
	const char *why;
	int fd = open_file(path, &stat, &err);

	free(path);
	if (fd < 0) {
		if (!err_is(&err, "missing"))
			problems_warn(
			    problems, ".env in %s is ignored: %s", options->folder, err.message);
		return;
	}
	why = distrust(&stat);
	file.mode = stat.st_mode;
	if (why != NULL)
		problems_warn(problems, ".env in %s is ignored: %s", options->folder, why);
	else
		load_descriptor(options, &file, fd, problems);
	close(fd);
}

/* ---- environment and flags ---- */

static const char *environment_get(char *const *environment, const char *name)
{
	size_t length = strlen(name);

	for (; *environment != NULL; environment++)
		if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
			return *environment + length + 1;
	return NULL;
}

static void warn_unknown_environment(char *const *environment, struct problems *problems)
{
	for (; *environment != NULL; environment++) {
		char name[64];
		size_t length = strcspn(*environment, "=");
		const char *near;
		if (strncmp(*environment, "EYES_", 5) != 0 || length >= sizeof(name))
			continue;
		memcpy(name, *environment, length);
		name[length] = '\0';
		if (option_by_name(name) != NULL || !codec_is_utf8(name, length))
			continue;
		near = option_nearest_name(name);
		problems_warn(problems, "environment: %s is no setting of eyes-scm%s%s", name,
		    near != NULL ? "; did you mean " : "", near != NULL ? near : "");
	}
}

static void load_environment(struct options *options, struct problems *problems)
{
	for (unsigned i = 0; i < option_count; i++) {
		const struct option *option = &option_table[i];
		const char *value = NULL;
		if (option->name == NULL || !is_used(options, option))
			continue;
		if (option->other != NULL)
			value = environment_get(options->input.environment, option->other);
		if (value != NULL)
			set(options, option, value, options->folder, "environment", problems);
		value = environment_get(options->input.environment, option->name);
		if (value != NULL)
			set(options, option, value, options->folder, "environment", problems);
	}
	if (options->input.use == OPTIONS_DAEMON)
		warn_unknown_environment(options->input.environment, problems);
}

/* What --listen says twice is one list. */
static char *joined_value(const struct options *options, const struct option *option)
{
	char *joined = NULL;

	for (unsigned i = 0; i < options->input.flag_count; i++) {
		const struct options_flag *flag = &options->input.flags[i];
		char *longer;
		if (flag->option != option)
			continue;
		longer = joined != NULL ? mem_printf("%s,%s", joined, flag->value)
		                        : mem_string(flag->value);
		free(joined);
		joined = longer;
	}
	return joined;
}

static void load_flag(
    struct options *options, const struct options_flag *flag, struct problems *problems)
{
	const struct option *option = flag->option;
	char source[64];
	char *joined = NULL;

	if (!is_used(options, option)) {
		problems_error(
		    problems, "--%s is for the daemon, not for a subcommand", option->flag);
		return;
	}
	snprintf(source, sizeof(source), "flag --%s", option->flag);
	if (option->type == OPTION_LISTEN)
		joined = joined_value(options, option);
	if (flag->value != NULL && flag->value[0] == '\0')
		problems_error(problems, "--%s needs a value", option->flag);
	else
		set(options, option, joined != NULL ? joined : flag->value, options->folder, source,
		    problems);
	free(joined);
}

static void load_flags(struct options *options, struct problems *problems)
{
	for (unsigned i = 0; i < options->input.flag_count; i++) {
		bool again = false;
		for (unsigned j = 0; j < i; j++)
			again |= options->input.flags[j].option == options->input.flags[i].option;
		if (!again)
			load_flag(options, &options->input.flags[i], problems);
	}
}

/* ---- all of it ---- */

/* Which file is to be read, and whether .env is, must be known first. */
static void look_ahead(struct options *options)
{
	for (unsigned i = 0; i < options->input.flag_count; i++) {
		const struct options_flag *flag = &options->input.flags[i];
		struct problems later; /* load_flags tells them */
		if (strcmp(flag->option->flag, "config") != 0 &&
		    strcmp(flag->option->flag, "daemon") != 0)
			continue;
		problems_init(&later);
		load_flag(options, flag, &later);
		problems_free(&later);
	}
}

static bool is_listened_at(const struct options *options, const char *text)
{
	for (unsigned i = 0; i < options->listen_count; i++)
		if (strcmp(options->listen[i].text, text) == 0)
			return true;
	return false;
}

static void finish_events_listen(struct options *options, struct problems *problems)
{
	const char *source = options_source_of(options, "EYES_EVENTS_LISTEN");
	struct err err = ERR_INIT;

	if (options->events_listen_text == NULL)
		return;
	if (!options_listen_parse(options->events_listen, &options->events_listen_count,
	        options->events_listen_text, (uint16_t)options->port, &err)) {
		problems_error(problems, "EYES_EVENTS_LISTEN (%s): %s", source, err.message);
		return;
	}
	for (unsigned i = 0; i < options->events_listen_count; i++) {
		const char *text = options->events_listen[i].text;

		if (is_listened_at(options, text) && strcmp(strrchr(text, ':'), ":0") != 0)
			problems_error(problems,
			    "EYES_EVENTS_LISTEN (%s): %s is in EYES_LISTEN already: name another "
			    "port",
			    source, text);
	}
}

static void finish(struct options *options, struct problems *problems)
{
	struct err err = ERR_INIT;

	state_dir_resolve(options, problems);
	if (!options_listen_parse(options->listen, &options->listen_count, options->listen_text,
	        (uint16_t)options->port, &err))
		problems_error(problems, "EYES_LISTEN (%s), with PORT: %s",
		    options_source_of(options, "EYES_LISTEN"), err.message);
	finish_events_listen(options, problems);
}

void options_load(
    struct options *options, const struct options_input *input, struct problems *problems)
{
	char *here = input->folder == NULL || input->folder[0] == '\0' ? getcwd(NULL, 0) : NULL;

	memset(options, 0, sizeof(*options));
	options->input = *input;
	options->folder =
	    here != NULL ? here : mem_string(input->folder != NULL ? input->folder : "/");
	load_defaults(options);
	look_ahead(options);
	load_config(options, problems);
	if (input->use == OPTIONS_DAEMON && !options->detach)
		load_dot_env(options, problems);
	load_environment(options, problems);
	load_flags(options, problems);
	finish(options, problems);
}

void options_free(struct options *options)
{
	for (unsigned i = 0; i < OPTIONS_MAX; i++) {
		if (options->value[i].text != NULL)
			crypto_cleanse(options->value[i].text, strlen(options->value[i].text));
		free(options->value[i].text);
		free(options->value[i].source);
	}
	free(options->folder);
	memset(options, 0, sizeof(*options));
}

static bool differs(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a != b : strcmp(a, b) != 0;
}

/* A setting that needs a restart keeps its running value. */
static void hold_back(
    const struct options *running, struct options *fresh, unsigned row, struct problems *problems)
{
	const struct option *option = &option_table[row];
	struct err err = ERR_INIT;

	if (option->type == OPTION_SWITCH || (option->bits & OPTION_RELOAD) != 0)
		return;
	if (!differs(running->value[row].text, fresh->value[row].text))
		return;
	problems_warn(problems, "%s has changed (%s); that takes a restart",
	    option->name != NULL ? option->name : option->flag, fresh->value[row].source);
	if (!option_set(fresh, option, running->value[row].text, NULL, &err))
		fatal("%s: %s", option->name, err.message);
	set_source(fresh, option, running->value[row].source);
}

bool options_reload(const struct options *running, struct options *fresh, struct problems *problems)
{
	struct options_input input = running->input;

	input.folder = running->folder;
	options_load(fresh, &input, problems);
	if (problems->errors > 0) {
		options_free(fresh);
		return false;
	}
	for (unsigned i = 0; i < option_count; i++)
		hold_back(running, fresh, i, problems);
	memcpy(fresh->listen, running->listen, sizeof(fresh->listen));
	fresh->listen_count = running->listen_count;
	memcpy(fresh->events_listen, running->events_listen, sizeof(fresh->events_listen));
	fresh->events_listen_count = running->events_listen_count;
	return true;
}

const char *options_source_of(const struct options *options, const char *name)
{
	const struct option *option = option_by_name(name);

	return option != NULL ? options->value[option - option_table].source : "unknown";
}
