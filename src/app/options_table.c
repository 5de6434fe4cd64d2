#include "app/options_table.h"

#include "app/nearest.h"
#include "app/options.h"
#include <stdio.h>
#include <string.h>

/* In the order of the enumerations that they stand for. */
static const char *const SOURCES[] = {"auto", "commands", "batches", NULL};
static const char *const SETUP_CODES[] = {"auto", "always", NULL};
static const char *const EVENTS[] = {"direct", "relay", NULL};
static const char *const LEVELS[] = {"error", "warn", "info", "debug", NULL};
static const char *const FORMATS[] = {"logfmt", "json", NULL};

#define AT(field) offsetof(struct options, field)
#define KIB 1024ULL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define SECONDS 1000ULL
#define MINUTES (60 * SECONDS)
#define HOURS (60 * MINUTES)
#define DAYS (24 * HOURS)

const struct option option_table[] = {
    {
        .flag = "config",
        .type = OPTION_PATH,
        .bits = OPTION_FOR_COMMANDS,
        .offset = AT(config),
        .value = "FILE",
        .help = "settings, instead of " EYES_SCM_SYSCONFDIR "/eyes-scm/eyes-scm.conf",
    },
    {
        .flag = "daemon",
        .offset = AT(detach),
        .help = "go to the background once started; log to syslog",
    },
    {
        .flag = "pid-file",
        .type = OPTION_PATH,
        .offset = AT(pid_file),
        .value = "FILE",
        .help = "write the process id there; refuse to start twice",
    },
    {
        .flag = "check-config",
        .offset = AT(check_config),
        .help = "print every setting with its source, or all that is wrong, and exit",
    },
    {
        .flag = "json",
        .bits = OPTION_FOR_COMMANDS,
        .offset = AT(json),
        .help = "subcommands: the answer, or the error, as JSON on stdout",
    },
    {
        .flag = "help",
        .bits = OPTION_FOR_COMMANDS,
        .offset = AT(help),
        .help = "print this and exit; after a subcommand: what belongs to it",
    },
    {
        .flag = "version",
        .bits = OPTION_FOR_COMMANDS,
        .offset = AT(version),
        .help = "print the version and exit",
    },
    {
        .name = "EYES_SERVER_URL",
        .type = OPTION_URL,
        .offset = AT(eyes_url),
        .value = "URL",
        .help = "the Eyes server; without it nothing is asked of Eyes",
    },
    {
        .name = "EYES_ORG_ID",
        .type = OPTION_TEXT,
        .offset = AT(organization),
        .low = 1,
        .high = 200,
        .value = "ID",
        .help = "the organization's ID, from the Admin/Account page of Eyes",
    },
    {
        .name = "EYES_SCM_PROXY_URL",
        .type = OPTION_URL,
        .offset = AT(own_url),
        .value = "URL",
        .help = "how others reach this program; without it http://localhost:PORT",
    },
    {
        .name = "PORT",
        .flag = "port",
        .type = OPTION_NUMBER,
        .offset = AT(port),
        .low = 1,
        .high = 65535,
        .initial = "4000",
        .value = "NUMBER",
        .help = "the TCP port, where EYES_LISTEN does not name one",
    },
    {
        .name = "EYES_LISTEN",
        .flag = "listen",
        .type = OPTION_LISTEN,
        .offset = AT(listen_text),
        .initial = "localhost",
        .value = "ADDR[:PORT],...",
        .help = "where to listen: addresses, localhost or * (all); IPv6 in [ ]; port 0 is any\n"
                "free one. localhost is 127.0.0.1 and [::1]",
    },
    {
        .name = "EYES_ALLOWED_HOSTS",
        .type = OPTION_TEXT,
        .offset = AT(allowed_hosts),
        .low = 1,
        .high = 4000,
        .value = "NAME,...",
        .help = "more names under which the page may be opened, beside localhost, the addresses\n"
                "of EYES_LISTEN and the host of EYES_SCM_PROXY_URL",
    },
    {
        .name = "EYES_SETUP_CODE",
        .type = OPTION_WORD,
        .offset = AT(setup_code),
        .words = SETUP_CODES,
        .initial = "auto",
        .value = "WORD",
        .help = "whether the first sign-in needs a code from the log; auto: where others than\n"
                "this machine can reach the page",
    },
    {
        .name = "EYES_HTTP_CONNECTIONS",
        .type = OPTION_NUMBER,
        .offset = AT(http_connections),
        .low = 16,
        .high = 4096,
        .initial = "256",
        .value = "NUMBER",
        .help = "connections of browsers at once",
    },
    {
        .flag = "static-dir",
        .type = OPTION_PATH,
        .offset = AT(static_dir),
        .value = "FOLDER",
        .help = "serve the page from this folder instead of the one built in: for its developers",
    },
    {
        .name = "EYES_STATE_DIR",
        .flag = "state-dir",
        .type = OPTION_PATH,
        .bits = OPTION_FOR_COMMANDS,
        .offset = AT(state_dir),
        .value = "FOLDER",
        .help = "queue, secrets and the control socket. Without it $STATE_DIRECTORY, an "
                "existing\n" EYES_SCM_LOCALSTATEDIR
                "/lib/eyes-scm that is ours, else $XDG_STATE_HOME/eyes-scm, else\n"
                "~/.local/state/eyes-scm",
    },
    {
        .name = "EYES_KEY_FILE",
        .type = OPTION_PATH,
        .offset = AT(key_file),
        .value = "FILE",
        .help = "the key that seals the stored secrets; without it one in the state folder",
    },
    {
        .name = "EYES_STORE_SIZE",
        .type = OPTION_SIZE,
        .offset = AT(store_size),
        .low = 16 * MIB,
        .high = 64 * GIB,
        .initial = "256M",
        .value = "SIZE",
        .help = "the most disk that the store may take",
    },
    {
        .name = "EYES_STATUS_SOURCE",
        .type = OPTION_WORD,
        .offset = AT(status_source),
        .words = SOURCES,
        .initial = "auto",
        .value = "WORD",
        .help = "how Eyes is asked for updates; auto: commands where Eyes has them",
    },
    {
        .name = "EYES_COMMANDS_PATH",
        .type = OPTION_API_PATH,
        .offset = AT(commands_path),
        .initial = "/api/scm/v1/orgs/{orgId}/commands",
        .value = "PATH",
        .help = "the command feed, below EYES_SERVER_URL",
    },
    {
        .name = "EYES_POLL_INTERVAL",
        .type = OPTION_DURATION,
        .offset = AT(poll_interval_ms),
        .low = 1 * SECONDS,
        .high = 1 * HOURS,
        .initial = "15s",
        .value = "TIME",
        .help = "how often Eyes is asked",
    },
    {
        .name = "EYES_POLL_WAIT",
        .type = OPTION_DURATION,
        .offset = AT(poll_wait_ms),
        .low = 0,
        .high = 5 * MINUTES,
        .initial = "25s",
        .value = "TIME",
        .help = "commands: how long Eyes may hold a poll; 0: it answers at once",
    },
    {
        .name = "EYES_BATCH_WINDOW",
        .type = OPTION_DURATION,
        .offset = AT(batch_window_ms),
        .low = 1 * HOURS,
        .high = 90 * DAYS,
        .initial = "7d",
        .value = "TIME",
        .help = "batches: how long a batch is looked at for later changes",
    },
    {
        .name = "EYES_STATUS_KEY",
        .type = OPTION_TEXT,
        .offset = AT(status_key),
        .low = 1,
        .high = 255,
        .initial = "tests/applitools",
        .value = "TEXT",
        .help = "batches: key and name of the status on the commit",
    },
    {
        .name = "EYES_QUEUE_TTL",
        .type = OPTION_DURATION,
        .offset = AT(queue_ttl_ms),
        .low = 1 * SECONDS,
        .high = 90 * DAYS,
        .initial = "7d",
        .value = "TIME",
        .help = "how long an update is kept that cannot be delivered",
    },
    {
        .name = "EYES_QUEUE_LIMIT",
        .type = OPTION_NUMBER,
        .offset = AT(queue_limit),
        .low = 10,
        .high = 10000000,
        .initial = "100000",
        .value = "NUMBER",
        .help = "how many updates may wait",
    },
    {
        .name = "EYES_SCM_CONNECTIONS",
        .type = OPTION_NUMBER,
        .offset = AT(scm_connections),
        .low = 1,
        .high = 128,
        .initial = "16",
        .value = "NUMBER",
        .help = "connections to one source control server",
    },
    {
        .name = "EYES_SCM_TIMEOUT",
        .type = OPTION_DURATION,
        .offset = AT(scm_timeout_ms),
        .low = 1 * SECONDS,
        .high = 5 * MINUTES,
        .initial = "30s",
        .value = "TIME",
        .help = "how long a source control server may take for an answer",
    },
    {
        .name = "EYES_EVENTS",
        .type = OPTION_WORD,
        .offset = AT(events_mode),
        .words = EVENTS,
        .initial = "direct",
        .value = "WORD",
        .help = "where Bitbucket sends its events; direct: to EYES_WEBHOOK_URL; relay: here, and\n"
                "from here to EYES_WEBHOOK_URL",
    },
    {
        .name = "EYES_WEBHOOK_URL",
        .type = OPTION_TEMPLATE,
        .offset = AT(webhook_url),
        .initial = "{EYES_SERVER_URL}/api/externals/bitbucket/"
                   "events?orgId={orgId}&serverId={serverHost}",
        .value = "URL",
        .help = "where Eyes takes Bitbucket's events; Applitools does not document it. In { } may\n"
                "stand EYES_SERVER_URL, orgId, serverHost (also serverId), instanceId",
    },
    {
        .name = "EYES_WEBHOOK_SECRET",
        .type = OPTION_TEXT,
        .bits = OPTION_SECRET,
        .offset = AT(webhook_secret),
        .low = 1,
        .high = 1024,
        .value = "TEXT",
        .help = "signs what is sent to EYES_WEBHOOK_URL; without it nothing is signed",
    },
    {
        .name = "EYES_EVENTS_LISTEN",
        .type = OPTION_LISTEN,
        .offset = AT(events_listen_text),
        .value = "ADDR:PORT,...",
        .help = "more addresses to listen at, where only events are taken, so that the page can\n"
                "stay on localhost",
    },
    {
        .name = "EYES_EVENT_MAX",
        .type = OPTION_SIZE,
        .offset = AT(event_max),
        .low = 16 * KIB,
        .high = 10 * MIB,
        .initial = "1M",
        .value = "SIZE",
        .help = "the largest event that is taken",
    },
    {
        .name = "EYES_WEBHOOK_INTERVAL",
        .type = OPTION_DURATION,
        .offset = AT(webhook_interval_ms),
        .low = 1 * SECONDS,
        .high = 24 * HOURS,
        .initial = "1h",
        .value = "TIME",
        .help = "how often each webhook is looked at and put right",
    },
    {
        .name = "EYES_LOG_LEVEL",
        .flag = "log-level",
        .type = OPTION_WORD,
        .bits = OPTION_RELOAD,
        .offset = AT(log_level),
        .words = LEVELS,
        .initial = "info",
        .value = "WORD",
        .help = "what is logged",
    },
    {
        .name = "EYES_LOG_FORMAT",
        .flag = "log-format",
        .type = OPTION_WORD,
        .bits = OPTION_RELOAD,
        .offset = AT(log_format),
        .words = FORMATS,
        .initial = "logfmt",
        .value = "WORD",
        .help = "and how",
    },
    {
        .name = "SSL_CERT_FILE",
        .type = OPTION_PATH,
        .bits = OPTION_RELOAD,
        .offset = AT(ca_file),
        .value = "FILE",
        .help = "trusted certificate authorities (PEM), instead of the system's",
    },
    {
        .name = "HTTPS_PROXY",
        .other = "https_proxy",
        .type = OPTION_PROXY,
        .bits = OPTION_SECRET,
        .offset = AT(https_proxy),
        .value = "URL",
        .help = "the way out for https://, http://[USER:PASSWORD@]HOST:PORT",
    },
    {
        .name = "HTTP_PROXY",
        .other = "http_proxy",
        .type = OPTION_PROXY,
        .bits = OPTION_SECRET,
        .offset = AT(http_proxy),
        .value = "URL",
        .help = "the same for http://",
    },
    {
        .name = "NO_PROXY",
        .other = "no_proxy",
        .type = OPTION_TEXT,
        .offset = AT(no_proxy),
        .low = 1,
        .high = 4096,
        .value = "LIST",
        .help = "hosts that are reached directly: names, .domains, addresses, networks, *",
    },
    {
        .name = "GITHUB_WEBHOOK_SECRET",
        .type = OPTION_TEXT,
        .bits = OPTION_SECRET,
        .offset = AT(github_secret),
        .low = 1,
        .high = 1024,
        .value = "TEXT",
        .help = "the secret of GitHub's webhooks that are sent to /api/github-events-proxy",
    },
    {
        .name = "EYES_GITHUB_WEBHOOK_URL",
        .type = OPTION_TEMPLATE,
        .offset = AT(github_url),
        .initial = "{EYES_SERVER_URL}/api/externals/github/"
                   "events?orgId={orgId}&serverId={serverHost}",
        .value = "URL",
        .help = "where Eyes takes GitHub's events",
    },
    {
        .name = "STATE_DIRECTORY",
        .type = OPTION_TEXT,
        .bits = OPTION_ENVIRONMENT_ONLY | OPTION_FOR_COMMANDS,
        .offset = AT(service_state),
        .low = 1,
        .high = 4096,
        .value = "FOLDER",
        .help = "the state folder, as systemd sets it",
    },
    {
        .name = "CREDENTIALS_DIRECTORY",
        .type = OPTION_PATH,
        .bits = OPTION_ENVIRONMENT_ONLY,
        .offset = AT(credentials_dir),
        .value = "FOLDER",
        .help = "where systemd puts eyes-scm.key; wins over EYES_KEY_FILE",
    },
};

const unsigned option_count = sizeof(option_table) / sizeof(option_table[0]);
_Static_assert(sizeof(option_table) / sizeof(option_table[0]) <= OPTIONS_MAX,
    "struct options has room for every row");

const struct option *option_by_name(const char *name)
{
	for (unsigned i = 0; i < option_count; i++) {
		const struct option *option = &option_table[i];
		if (option->name != NULL && strcmp(option->name, name) == 0)
			return option;
		if (option->other != NULL && strcmp(option->other, name) == 0)
			return option;
	}
	return NULL;
}

const struct option *option_by_flag(const char *flag)
{
	for (unsigned i = 0; i < option_count; i++)
		if (option_table[i].flag != NULL && strcmp(option_table[i].flag, flag) == 0)
			return &option_table[i];
	return NULL;
}

const char *option_nearest_name(const char *name)
{
	struct nearest nearest = {.word = name};

	for (unsigned i = 0; i < option_count; i++)
		if (option_table[i].name != NULL &&
		    (option_table[i].bits & OPTION_ENVIRONMENT_ONLY) == 0)
			nearest_try(&nearest, option_table[i].name);
	return nearest.best;
}

const char *option_title(const struct option *option, char *out, size_t size)
{
	if (option->name != NULL)
		snprintf(out, size, "%s", option->name);
	else
		snprintf(out, size, "--%s", option->flag);
	return out;
}
