#include "app/cmd.h"
#include "app/options.h"
#include "app/options_value.h"
#include <stdlib.h>
#include <string.h>

enum { INDENT = 32 };

/* A left column, then lines of help in the right one. */
static void print_entry(FILE *out, const char *left, const char *help)
{
	fprintf(out, "  %-*s", INDENT - 4, left);
	if (strlen(left) > INDENT - 4)
		fprintf(out, "\n%*s", INDENT - 2, "");
	for (;;) {
		size_t length = strcspn(help, "\n");
		fprintf(out, "  %.*s\n", (int)length, help);
		if (help[length] == '\0')
			return;
		help += length + 1;
		fprintf(out, "%*s", INDENT - 2, "");
	}
}

/* "a size from 16M to 64G; default 256M" */
static void put_limits(const struct option *option, struct buf *out)
{
	switch (option->type) {
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
	case OPTION_WORD:
		buf_puts(out, "\n");
		option_allowed(option, out);
		break;
	default:
		if (option->initial != NULL)
			buf_puts(out, "\n");
		break;
	}
	if (option->initial == NULL)
		return;
	buf_puts(out, out->data[out->length - 1] == '\n' ? "default " : "; default ");
	for (const char *c = option->initial; *c != '\0'; c++) /* an address takes two lines */
		buf_printf(out, "%s%c", *c == '?' ? "\n  " : "", *c);
}

/* What is a setting too is explained there. */
static void print_flag(FILE *out, const struct option *option)
{
	char left[80], see[80];

	snprintf(left, sizeof(left), "--%s%s%s", option->flag, option->value != NULL ? " " : "",
	    option->value != NULL ? option->value : "");
	snprintf(see, sizeof(see), "as %s, below", option->name != NULL ? option->name : "");
	print_entry(out, left, option->name != NULL ? see : option->help);
}

static void print_variable(FILE *out, const struct option *option)
{
	char left[80];
	struct buf help;

	snprintf(left, sizeof(left), "%s=%s", option->name, option->value);
	buf_init(&help, 1024);
	buf_puts(&help, option->help);
	put_limits(option, &help);
	if (option->other != NULL)
		buf_printf(&help, "\nalso %s", option->other);
	if ((option->bits & OPTION_RELOAD) != 0)
		buf_puts(&help, "\nSIGHUP reads it again");
	print_entry(out, left, help.data);
	buf_free(&help);
}

static void print_variables(FILE *out, bool from_system)
{
	for (unsigned i = 0; i < option_count; i++) {
		const struct option *option = &option_table[i];
		bool system = (option->bits & OPTION_ENVIRONMENT_ONLY) != 0;
		if (option->name != NULL && system == from_system)
			print_variable(out, option);
	}
}

void options_print_help(FILE *out)
{
	fputs("eyes-scm " EYES_SCM_VERSION ": Applitools Eyes for a Bitbucket behind a firewall\n\n"
	      "  eyes-scm [FLAG...]              run in the foreground, or with --daemon\n"
	      "  eyes-scm SUBCOMMAND [FLAG...]   talk to the one that runs\n\n"
	      "Flags (--name VALUE or --name=VALUE, before or after a subcommand's words):\n",
	    out);
	for (unsigned i = 0; i < option_count; i++)
		if (option_table[i].flag != NULL)
			print_flag(out, &option_table[i]);
	fputs("Subcommands take --config, --state-dir, --json, --help and --version of these.\n\n"
	      "Subcommands:\n",
	    out);
	cmd_print_help(out, NULL, NULL);
	fputs("FILE - is standard input.\n\n"
	      "Settings, as NAME=value lines in the file (--config, else " EYES_SCM_SYSCONFDIR
	      "/eyes-scm/eyes-scm.conf), in .env\n"
	      "in the working folder (foreground only), or in the environment; later wins, flags "
	      "last. Sizes take\n"
	      "K M G, times s m h d; plain numbers are bytes and seconds. An empty value is the "
	      "default.\n",
	    out);
	print_variables(out, false);
	fputs("From the environment only:\n", out);
	print_variables(out, true);
	fputs(
	    "\nExit codes: 0 done; 1 refused, failed or nothing there; 2 usage or settings; 3 the "
	    "daemon does\nnot run. \"status\" is 0 only when all is healthy.\n"
	    "Manual: eyes-scm(8), eyes-scm.conf(5), eyes-scm-protocol(7)\n",
	    out);
}

/* A proxy is shown without its user and password. */
static void print_secret(const struct option *option, const char *text, FILE *out)
{
	const char *at = option->type == OPTION_PROXY ? strrchr(text, '@') : NULL;

	if (option->type != OPTION_PROXY)
		fputs("(set)", out);
	else if (at != NULL)
		fprintf(out, "%s (with a user, not shown)", at + 1);
	else
		fputs(text, out);
}

static void print_listen(const struct options_listen *list, unsigned count, FILE *out)
{
	for (unsigned i = 0; i < count; i++)
		fprintf(out, "%s%s", i > 0 ? "," : "", list[i].text);
}

static void print_value(const struct options *options, unsigned i, FILE *out)
{
	const struct option *option = &option_table[i];
	const char *text = options->value[i].text;

	if (text == NULL)
		fputs("(not set)", out);
	else if ((option->bits & OPTION_SECRET) != 0)
		print_secret(option, text, out);
	else if (option->offset == offsetof(struct options, listen_text))
		print_listen(options->listen, options->listen_count, out);
	else if (option->offset == offsetof(struct options, events_listen_text))
		print_listen(options->events_listen, options->events_listen_count, out);
	else
		fputs(text, out);
}

void options_print(const struct options *options, FILE *out)
{
	for (unsigned i = 0; i < option_count; i++) {
		if (option_table[i].name == NULL)
			continue;
		fprintf(out, "%s = ", option_table[i].name);
		print_value(options, i, out);
		fprintf(out, " (%s)\n", options->value[i].source);
	}
}

void options_each(const struct options *options, options_each_fn *fn, void *arg)
{
	for (unsigned i = 0; i < option_count; i++) {
		char *value = NULL;
		size_t size;
		FILE *out;

		if (option_table[i].name == NULL)
			continue;
		out = open_memstream(&value, &size);
		if (out == NULL)
			fatal("out of memory");
		print_value(options, i, out);
		fclose(out);
		fn(option_table[i].name, value, options->value[i].source, arg);
		free(value);
	}
}
