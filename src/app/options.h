/*
 * options: every setting, from one table (options_table.c), with where each value came from.
 *
 * Later wins: the file (--config, else the system's), .env in the working folder (foreground daemon
 * only, and only when nobody else could have written it), the environment, flags. An empty value in
 * a file or in the environment takes the setting back to its default.
 *
 * What always holds after options_load without errors: every number is within its row's range,
 * every text is UTF-8 without control characters, every path is absolute, every URL has passed
 * url_parse. All strings belong to the struct options and are NULL when unset. Wrong values do not
 * stop the loading: all problems are listed, and none of them echoes a secret.
 */
#ifndef APP_OPTIONS_H
#define APP_OPTIONS_H

#include "app/problems.h"
#include "base/log.h"
#include <stdio.h>
#include <sys/socket.h>

enum options_setup_code { OPTIONS_SETUP_CODE_AUTO, OPTIONS_SETUP_CODE_ALWAYS };
enum options_source { OPTIONS_SOURCE_AUTO, OPTIONS_SOURCE_COMMANDS, OPTIONS_SOURCE_BATCHES };

enum options_events { OPTIONS_EVENTS_DIRECT, OPTIONS_EVENTS_RELAY };

#define OPTIONS_LISTEN 16
struct options_listen {
	char text[64]; /* "127.0.0.1:4000", "[::1]:4000" */
	struct sockaddr_storage address;
	socklen_t length;
	bool may_fail; /* one half of the default, "localhost" or "*": another one is enough */
};

/* Who asks: commands need the state folder only, and are not stopped by the daemon's settings. */
enum options_use { OPTIONS_DAEMON, OPTIONS_COMMAND };

struct option;
struct options_flag { /* as found among the arguments */
	const struct option *option;
	const char *value; /* NULL for a switch */
};

struct options_input { /* borrowed, and needed again by options_reload */
	enum options_use use;
	const struct options_flag *flags;
	unsigned flag_count;
	char *const *environment; /* "NAME=value", NULL at the end */
	const char *system_file;  /* read when there is no --config */
	const char *system_state; /* the state folder of the package */
	const char *folder;       /* the working folder; "" takes the present one */
};

#define OPTIONS_MAX 56
struct options {
	/* what to do */
	bool help, version, check_config, json;
	bool detach;        /* --daemon */
	const char *config; /* the file that was asked for */
	const char *pid_file;
	/* Eyes */
	const char *eyes_url;
	const char *organization;
	const char *own_url; /* how others reach this program; http://localhost:PORT when unset */
	unsigned status_source;    /* enum options_source */
	const char *commands_path; /* with {orgId} */
	const char *status_key;
	uint64_t poll_interval_ms, poll_wait_ms, batch_window_ms;
	/* events */
	unsigned events_mode;       /* enum options_events */
	const char *webhook_url;    /* a template: {EYES_SERVER_URL} {orgId} {serverHost} ... */
	const char *webhook_secret; /* NULL: unsigned */
	const char *github_url;     /* a template */
	const char *github_secret;
	struct options_listen events_listen[OPTIONS_LISTEN];
	unsigned events_listen_count;
	uint64_t event_max; /* bytes */
	uint64_t webhook_interval_ms;
	/* listening */
	uint64_t port;
	const char *allowed_hosts;
	unsigned setup_code; /* enum options_setup_code */
	uint64_t http_connections;
	const char *static_dir;
	struct options_listen listen[OPTIONS_LISTEN];
	unsigned listen_count;
	/* store */
	const char *state_dir; /* always set */
	const char *key_file;
	const char *credentials_dir; /* $CREDENTIALS_DIRECTORY */
	uint64_t store_size;         /* bytes */
	uint64_t queue_ttl_ms, queue_limit;
	/* source control */
	uint64_t scm_connections, scm_timeout_ms;
	/* the way out */
	const char *ca_file;                             /* SSL_CERT_FILE */
	const char *https_proxy, *http_proxy, *no_proxy; /* may hold a password */
	/* log */
	unsigned log_level;  /* enum log_level */
	unsigned log_format; /* enum log_format */

	/* private from here */
	const char *listen_text, *events_listen_text, *service_state;
	struct {
		char *text, *source;
	} value[OPTIONS_MAX]; /* by the row's place in the table */
	struct options_input input;
	char *folder;
};

/* Always leaves something for options_free; `problems` tells whether it may be used. */
void options_load(
    struct options *options, const struct options_input *input, struct problems *problems);
void options_free(struct options *options);
/*
 * At SIGHUP: reads everything again into `fresh` (to be freed by the caller) and then gives every
 * setting that cannot change without a restart its running value, with a warning for each that
 * differs. False, and nothing to use (options_free is allowed), when there are errors.
 */
bool options_reload(
    const struct options *running, struct options *fresh, struct problems *problems);

/* The source of a setting by its NAME: "default", "/etc/x.conf, line 3", "environment"... */
const char *options_source_of(const struct options *options, const char *name);
/* Calls fn for every setting that has a name; what secret ones hold is not shown. */
typedef void options_each_fn(const char *name, const char *value, const char *source, void *arg);
void options_each(const struct options *options, options_each_fn *fn, void *arg);
/* "NAME = value (source)" a line; what is secret as "(set)". */
void options_print(const struct options *options, FILE *out);
void options_print_help(FILE *out);

#endif
