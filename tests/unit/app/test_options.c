#include "app/arguments.h"
#include "app/nearest.h"
#include "app/options.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CANARY "canary-7f3a"

/* A folder of its own for each test, and what was loaded from it. */
struct fixture {
	char folder[64];
	struct arguments arguments;
	struct options_input input;
	struct options options;
	struct problems problems;
};

static char *const NOTHING[] = {NULL};

static char *path_of(const struct fixture *f, const char *name)
{
	return mem_printf("%s/%s", f->folder, name);
}

static void write_file(const struct fixture *f, const char *name, const char *text, mode_t mode)
{
	char *path = path_of(f, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
	free(path);
}

static int setup(void **state)
{
	struct fixture *f = mem_zero(sizeof(*f));

	strcpy(f->folder, "/tmp/eyes-scm-options-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	f->input = (struct options_input){.environment = NOTHING, .folder = f->folder};
	problems_init(&f->problems);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char *command = mem_printf("rm -rf %s", f->folder);

	options_free(&f->options);
	problems_free(&f->problems);
	assert_int_equal(system(command), 0);
	free(command);
	free(f);
	return 0;
}

/* argv: NULL at the end, without the program's name. */
static void load(struct fixture *f, char *const *environment, char *const *argv)
{
	char *all[16] = {(char *)"eyes-scm"};
	int argc = 1;
	struct err err = ERR_INIT;

	for (; argv != NULL && *argv != NULL; argv++)
		all[argc++] = *argv;
	assert_true(arguments_parse(&f->arguments, argc, all, &err));
	f->input.flags = f->arguments.flags;
	f->input.flag_count = f->arguments.flag_count;
	f->input.environment = environment != NULL ? environment : NOTHING;
	options_free(&f->options);
	problems_free(&f->problems);
	options_load(&f->options, &f->input, &f->problems);
}

static bool told(const struct problems *problems, const char *words)
{
	for (unsigned i = 0; i < problems->count; i++)
		if (strstr(problems->list[i].text, words) != NULL)
			return true;
	return false;
}

#define LIST(...) ((char *[]){__VA_ARGS__, NULL})

static void test_defaults(void **state)
{
	struct fixture *f = *state;
	char *home = path_of(f, "");
	char *environment[] = {mem_printf("HOME=%s", f->folder), NULL};

	load(f, environment, NULL);
	assert_int_equal(f->problems.count, 0);
	assert_int_equal(f->options.port, 4000);
	assert_int_equal(f->options.store_size, 256 << 20);
	assert_int_equal(f->options.poll_interval_ms, 15000);
	assert_int_equal(f->options.poll_wait_ms, 25000);
	assert_int_equal(f->options.batch_window_ms, 7 * 86400000);
	assert_int_equal(f->options.queue_ttl_ms, 7 * 86400000);
	assert_int_equal(f->options.queue_limit, 100000);
	assert_int_equal(f->options.scm_connections, 16);
	assert_int_equal(f->options.scm_timeout_ms, 30000);
	assert_int_equal(f->options.status_source, OPTIONS_SOURCE_AUTO);
	assert_int_equal(f->options.log_level, LOG_LEVEL_INFO);
	assert_int_equal(f->options.log_format, LOG_FORMAT_LOGFMT);
	assert_string_equal(f->options.commands_path, "/api/scm/v1/orgs/{orgId}/commands");
	assert_string_equal(f->options.status_key, "tests/applitools");
	assert_null(f->options.eyes_url);
	assert_null(f->options.https_proxy);
	assert_int_equal(f->options.listen_count, 2);
	assert_string_equal(f->options.listen[0].text, "127.0.0.1:4000");
	assert_string_equal(f->options.listen[1].text, "[::1]:4000");
	assert_true(f->options.listen[1].may_fail);
	assert_string_equal(options_source_of(&f->options, "PORT"), "default");
	free(home);
	free(environment[0]);
}

static void test_later_wins(void **state)
{
	struct fixture *f = *state;
	char *file = path_of(f, "a.conf");
	char *flags[] = {(char *)"--config", file, (char *)"--port=4004", NULL};
	char *source = mem_printf("%s, line 2", file);

	write_file(
	    f, "a.conf", "# here\nPORT=4001\nEYES_ORG_ID=file\nEYES_STATUS_KEY=file\n", 0600);
	load(f, LIST("HOME=/x"), flags);
	assert_int_equal(f->options.port, 4004);
	assert_string_equal(options_source_of(&f->options, "PORT"), "flag --port");
	flags[2] = NULL;
	load(f, LIST("HOME=/x"), flags);
	assert_int_equal(f->options.port, 4001);
	assert_string_equal(options_source_of(&f->options, "PORT"), source);
	write_file(f, ".env", "EYES_ORG_ID=dotenv\nPORT=4002\nOTHER=x\n", 0600);
	load(f, LIST("HOME=/x", "PORT=4003"), flags);
	assert_int_equal(f->problems.count, 0);
	assert_int_equal(f->options.port, 4003);
	assert_string_equal(options_source_of(&f->options, "PORT"), "environment");
	assert_string_equal(f->options.organization, "dotenv");
	assert_string_equal(options_source_of(&f->options, "EYES_ORG_ID"), ".env, line 1");
	assert_string_equal(f->options.status_key, "file");
	assert_string_equal(f->options.listen[0].text, "127.0.0.1:4003");
	/* Empty is the default again. */
	load(f, LIST("HOME=/x", "PORT=", "EYES_ORG_ID="), flags);
	assert_int_equal(f->options.port, 4000);
	assert_null(f->options.organization);
	free(source);
	free(file);
}

static void test_dot_env_is_read_only_when_it_can_be_trusted(void **state)
{
	struct fixture *f = *state;

	write_file(f, ".env", "PORT=5000\nEYES_PROT=1\nnot ours at all\n", 0600);
	load(f, LIST("HOME=/x"), NULL);
	assert_int_equal(f->options.port, 5000);
	assert_int_equal(f->problems.errors, 0);
	assert_true(told(&f->problems, "EYES_PROT is no setting"));
	assert_true(told(&f->problems, ".env, line 3"));
	load(f, LIST("HOME=/x"), LIST("--daemon"));
	assert_int_equal(f->options.port, 4000);
	write_file(f, ".env", "PORT=5000\n", 0660);
	load(f, LIST("HOME=/x"), NULL);
	assert_int_equal(f->options.port, 4000);
	assert_int_equal(f->problems.errors, 0);
	assert_true(told(&f->problems, "ignored: its group can write it"));
	write_file(f, ".env", "PORT=5000\n", 0606);
	load(f, LIST("HOME=/x"), NULL);
	assert_true(told(&f->problems, "ignored: everybody can write it"));
	f->input.use = OPTIONS_COMMAND;
	load(f, LIST("HOME=/x"), NULL);
	assert_int_equal(f->problems.count, 0);
	if (geteuid() != 0)
		return;
	char *path = path_of(f, ".env");
	f->input.use = OPTIONS_DAEMON;
	write_file(f, ".env", "PORT=5000\n", 0600);
	assert_int_equal(chown(path, 65534, 65534), 0);
	load(f, LIST("HOME=/x"), NULL);
	assert_true(told(&f->problems, "ignored: it belongs to another user"));
	assert_int_equal(f->options.port, 4000);
	free(path);
}

/* Each alone in the environment; what the message must hold. */
static const struct {
	const char *entry, *words;
} WRONG[] = {
    {"PORT=0", "PORT = \"0\" (environment): needs a whole number from 1 to 65535"},
    {"PORT=65536", "whole number"},
    {"PORT=40 00", "whole number"},
    {"PORT=+1", "whole number"},
    {"PORT=4k", "whole number"},
    {"PORT=99999999999999999999", "whole number"},
    {"EYES_STORE_SIZE=15M", "needs a size from 16M to 64G"},
    {"EYES_STORE_SIZE=65G", "size"},
    {"EYES_STORE_SIZE=16MB", "size"},
    {"EYES_STORE_SIZE=17179869184G", "size"},
    {"EYES_STORE_SIZE=M", "size"},
    {"EYES_POLL_INTERVAL=0", "needs a time from 1s to 1h"},
    {"EYES_POLL_INTERVAL=61m", "time"},
    {"EYES_POLL_INTERVAL=1.5s", "time"},
    {"EYES_POLL_INTERVAL=10ms", "time"},
    {"EYES_SCM_CONNECTIONS=129", "from 1 to 128"},
    {"EYES_SCM_TIMEOUT=6m", "from 1s to 5m"},
    {"EYES_STATUS_SOURCE=Auto", "needs one of auto, commands, batches"},
    {"EYES_LOG_LEVEL=trace", "needs one of error, warn, info, debug"},
    {"EYES_LOG_FORMAT=xml", "one of logfmt, json"},
    {"EYES_SERVER_URL=eyes.example.com", "EYES_SERVER_URL = \"eyes.example.com\""},
    {"EYES_SERVER_URL=ftp://eyes.example.com", "https://"},
    {"EYES_SERVER_URL=https://eyes.example.com/?a=b", "without ?"},
    {"EYES_COMMANDS_PATH=commands", "needs a path such as"},
    {"EYES_COMMANDS_PATH=/a?b", "needs a path such as"},
    {"EYES_COMMANDS_PATH=/a/../b", "needs a path such as"},
    {"EYES_LISTEN=example.com:80", "EYES_LISTEN"},
    {"EYES_LISTEN=127.0.0.1:65536", "EYES_LISTEN"},
    {"EYES_LISTEN=::1:4000", "EYES_LISTEN"},
    {"EYES_LISTEN=[::1:4000", "EYES_LISTEN"},
    {"EYES_LISTEN=127.0.0.1,,", "EYES_LISTEN"},
    {"EYES_LISTEN=127.0.0.1:80,127.0.0.1:80", "twice"},
    {"EYES_STATE_DIR=~/state", "~ is not expanded"},
    {"EYES_ORG_ID=a\nb", "control character"},
    {"EYES_ORG_ID=a\xff", "not UTF-8"},
    {"HTTPS_PROXY=https://proxy:3128", "HTTPS_PROXY = (not shown)"},
    {"https_proxy=socks5://u:" CANARY "@proxy:3128", "HTTPS_PROXY = (not shown)"},
    {"EYES_SERVER_URL=https://u:" CANARY "@eyes.example.com", "EYES_SERVER_URL = (not shown)"},
    {"EYES_EVENTS=both", "one of direct, relay"},
    {"EYES_WEBHOOK_URL=/events", "needs an address such as"},
    {"EYES_WEBHOOK_URL=https://e.example.com/{org}", "needs an address such as"},
    {"EYES_WEBHOOK_URL=https://{orgId}.example.com/", "needs an address such as"},
    {"EYES_WEBHOOK_URL=https://e.example.com:{orgId}/", "needs an address such as"},
    {"EYES_WEBHOOK_URL=https://e.example.com/}", "needs an address such as"},
    {"EYES_WEBHOOK_URL=https://e.example.com/{orgId", "needs an address such as"},
    {"EYES_WEBHOOK_URL=https://e.example.com/{EYES_SERVER_URL}", "needs an address such as"},
    {"EYES_WEBHOOK_URL={orgId}/events", "needs an address such as"},
    {"EYES_WEBHOOK_URL=https://u:" CANARY "@e.example.com", "EYES_WEBHOOK_URL = (not shown)"},
    {"EYES_EVENTS_LISTEN=example.com", "EYES_EVENTS_LISTEN"},
    {"EYES_EVENTS_LISTEN=127.0.0.1", "in EYES_LISTEN already"},
    {"EYES_EVENT_MAX=11M", "a size from 16K to 10M"},
    {"EYES_WEBHOOK_SECRET=" CANARY "\n", "EYES_WEBHOOK_SECRET = (not shown)"},
    {"GITHUB_WEBHOOK_SECRET=" CANARY "\n", "GITHUB_WEBHOOK_SECRET = (not shown)"},
};

static void test_wrong_values_are_told(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
		load(f, LIST((char *)"HOME=/x", (char *)WRONG[i].entry), NULL);
		if (f->problems.errors != 1 || !told(&f->problems, WRONG[i].words))
			fail_msg("%s: %u problems, %s", WRONG[i].entry, f->problems.errors,
			    f->problems.count > 0 ? f->problems.list[0].text : "none");
		assert_false(told(&f->problems, CANARY));
	}
}

static void test_all_problems_of_a_file_are_told(void **state)
{
	struct fixture *f = *state;
	char *file = path_of(f, "a.conf");

	write_file(f, "a.conf",
	    "PORT=x\nEYES_SERVER_ULR=" CANARY
	    "\nPROT=1\nEYES_KEY_FILE=key\nPORT='\nEYES_NOWHERE=1\n"
	    "EYES_ORG_ID=a\nEYES_ORG_ID=b\n",
	    0600);
	load(f, LIST("HOME=/x"), LIST("--config", file));
	assert_int_equal(f->problems.errors, 6);
	assert_true(told(&f->problems, "a.conf, line 1): needs a whole number"));
	assert_true(told(&f->problems, "line 2: EYES_SERVER_ULR is no setting of eyes-scm; did you "
	                               "mean EYES_SERVER_URL"));
	assert_true(
	    told(&f->problems, "line 3: PROT is no setting of eyes-scm; did you mean PORT"));
	assert_true(told(&f->problems, "line 4): needs a path that begins with /"));
	assert_true(told(&f->problems, "line 5: PORT: the closing ' is missing"));
	assert_true(told(&f->problems, "line 8: EYES_ORG_ID is already set in line 7"));
	assert_false(told(&f->problems, CANARY));
	load(f, LIST("HOME=/x"), LIST("--config", "/nowhere/x.conf"));
	assert_int_equal(f->problems.errors, 1);
	assert_true(told(&f->problems, "/nowhere/x.conf: No such file"));
	load(f, LIST("HOME=/x"), LIST("--config", f->folder));
	assert_true(told(&f->problems, "is not a file"));
	f->input.system_file = "/nowhere/x.conf";
	load(f, LIST("HOME=/x", "EYES_PROT=1"), NULL);
	assert_int_equal(f->problems.errors, 0);
	assert_true(told(&f->problems, "environment: EYES_PROT is no setting"));
	free(file);
}

static void test_numbers_with_units(void **state)
{
	struct fixture *f = *state;

	load(f,
	    LIST("HOME=/x", "EYES_STORE_SIZE=16777216", "EYES_POLL_INTERVAL=90", "EYES_POLL_WAIT=0",
	        "EYES_QUEUE_TTL=36H", "EYES_BATCH_WINDOW=90d"),
	    NULL);
	assert_int_equal(f->problems.count, 0);
	assert_int_equal(f->options.store_size, 16 << 20);
	assert_int_equal(f->options.poll_interval_ms, 90000);
	assert_int_equal(f->options.poll_wait_ms, 0);
	assert_int_equal(f->options.queue_ttl_ms, 36 * 3600000);
	assert_int_equal(f->options.batch_window_ms, 90ULL * 86400000);
}

static void test_listen(void **state)
{
	struct fixture *f = *state;

	load(f, LIST("HOME=/x", "PORT=5000"),
	    LIST("--listen", "192.0.2.1", "--listen=[2001:db8::1]:80", "--listen", "*:0"));
	assert_int_equal(f->problems.count, 0);
	assert_int_equal(f->options.listen_count, 4);
	assert_string_equal(f->options.listen[0].text, "192.0.2.1:5000");
	assert_false(f->options.listen[0].may_fail);
	assert_string_equal(f->options.listen[1].text, "[2001:db8::1]:80");
	assert_string_equal(f->options.listen[2].text, "0.0.0.0:0");
	assert_string_equal(f->options.listen[3].text, "[::]:0");
}

static void test_events(void **state)
{
	struct fixture *f = *state;

	load(f,
	    LIST("HOME=/x", "EYES_EVENTS=relay", "EYES_EVENTS_LISTEN=192.0.2.1:81,[::1]:81",
	        "EYES_WEBHOOK_URL={EYES_SERVER_URL}/e?o={orgId}&s={serverId}&i={instanceId}"),
	    NULL);
	assert_int_equal(f->problems.count, 0);
	assert_int_equal(f->options.events_mode, OPTIONS_EVENTS_RELAY);
	assert_int_equal(f->options.events_listen_count, 2);
	assert_string_equal(f->options.events_listen[1].text, "[::1]:81");
	assert_string_equal(
	    f->options.webhook_url, "{EYES_SERVER_URL}/e?o={orgId}&s={serverId}&i={instanceId}");
	assert_non_null(strstr(f->options.github_url, "/api/externals/github/events?"));
	assert_int_equal(f->options.event_max, 1 << 20);
	assert_int_equal(f->options.webhook_interval_ms, 3600000);
	load(f, LIST("HOME=/x", "EYES_EVENTS_LISTEN=127.0.0.1:0", "EYES_LISTEN=127.0.0.1:0"), NULL);
	assert_int_equal(f->problems.count, 0);
}

static void test_proxies_in_both_spellings(void **state)
{
	struct fixture *f = *state;

	load(f,
	    LIST("HOME=/x", "https_proxy=http://small:1", "HTTPS_PROXY=http://big:1", "no_proxy=*"),
	    NULL);
	assert_int_equal(f->problems.count, 0);
	assert_string_equal(f->options.https_proxy, "http://big:1");
	assert_string_equal(f->options.no_proxy, "*");
}

static char *printed(const struct options *options)
{
	char *text;
	size_t length;
	FILE *file = open_memstream(&text, &length);

	options_print(options, file);
	fclose(file);
	return text;
}

static void test_printing_shows_no_secret(void **state)
{
	struct fixture *f = *state;
	char *text;

	load(f,
	    LIST("HOME=/x", "HTTPS_PROXY=http://" CANARY ":" CANARY "@proxy:3128",
	        "GITHUB_WEBHOOK_SECRET=" CANARY, "EYES_STORE_SIZE=1024M",
	        "EYES_SERVER_URL=https://EYES.example.com/"),
	    LIST("--state-dir", "state/"));
	assert_int_equal(f->problems.count, 0);
	text = printed(&f->options);
	assert_null(strstr(text, CANARY));
	assert_non_null(strstr(text, "GITHUB_WEBHOOK_SECRET = (set) (environment)\n"));
	assert_non_null(strstr(text, "HTTPS_PROXY = proxy:3128 (with a user, not shown)"));
	assert_non_null(strstr(text, "EYES_STORE_SIZE = 1G (environment)\n"));
	assert_non_null(strstr(text, "EYES_SERVER_URL = https://eyes.example.com (environment)\n"));
	assert_non_null(strstr(text, "PORT = 4000 (default)\n"));
	assert_non_null(strstr(text, "EYES_LISTEN = 127.0.0.1:4000,[::1]:4000 (default)\n"));
	assert_non_null(strstr(text, "/state (flag --state-dir)\n"));
	free(text);
}

static void test_secrets_in_a_file_for_everybody(void **state)
{
	struct fixture *f = *state;
	char *file = path_of(f, "a.conf");

	write_file(f, "a.conf", "GITHUB_WEBHOOK_SECRET=" CANARY "\n", 0644);
	load(f, LIST("HOME=/x"), LIST("--config", file));
	assert_int_equal(f->problems.errors, 0);
	assert_true(told(&f->problems, "everybody can read the file"));
	assert_false(told(&f->problems, CANARY));
	write_file(f, "a.conf", "HTTPS_PROXY=http://u:" CANARY "@proxy:1\n", 0644);
	load(f, LIST("HOME=/x"), LIST("--config", file));
	assert_true(told(&f->problems, "everybody can read the file"));
	write_file(f, "a.conf", "HTTPS_PROXY=http://proxy:1\n", 0644);
	load(f, LIST("HOME=/x"), LIST("--config", file));
	assert_int_equal(f->problems.count, 0);
	write_file(f, "a.conf", "GITHUB_WEBHOOK_SECRET=" CANARY "\n", 0640);
	load(f, LIST("HOME=/x"), LIST("--config", file));
	assert_int_equal(f->problems.count, 0);
	free(file);
}

static void test_state_folder(void **state)
{
	struct fixture *f = *state;
	char *ours = path_of(f, "var");
	char *xdg = mem_printf("XDG_STATE_HOME=%s", f->folder);

	f->input.system_state = ours;
	load(f, LIST("HOME=/users/x"), NULL);
	assert_string_equal(f->options.state_dir, "/users/x/.local/state/eyes-scm");
	assert_string_equal(options_source_of(&f->options, "EYES_STATE_DIR"), "home folder");
	load(f, LIST("HOME=/users/x", "XDG_STATE_HOME=relative"), NULL);
	assert_string_equal(f->options.state_dir, "/users/x/.local/state/eyes-scm");
	load(f, LIST("HOME=/users/x", "XDG_STATE_HOME=/xdg"), NULL);
	assert_string_equal(f->options.state_dir, "/xdg/eyes-scm");
	assert_int_equal(mkdir(ours, 0700), 0);
	load(f, LIST("HOME=/users/x", xdg), NULL);
	assert_string_equal(f->options.state_dir, ours);
	load(f, LIST("HOME=/users/x", "STATE_DIRECTORY=/var/lib/a:/var/lib/b"), NULL);
	assert_string_equal(f->options.state_dir, "/var/lib/a");
	load(f, LIST("STATE_DIRECTORY=/var/lib/a", "EYES_STATE_DIR=/from/environment"), NULL);
	assert_string_equal(f->options.state_dir, "/from/environment");
	load(f, LIST("EYES_STATE_DIR=/from/environment"), LIST("--state-dir", "/flag//"));
	assert_string_equal(f->options.state_dir, "/flag");
	assert_string_equal(options_source_of(&f->options, "EYES_STATE_DIR"), "flag --state-dir");
	if (geteuid() == 0) {
		assert_int_equal(chown(ours, 65534, 65534), 0);
		load(f, LIST("HOME=/users/x"), NULL);
		assert_string_equal(f->options.state_dir, "/users/x/.local/state/eyes-scm");
		f->input.use = OPTIONS_COMMAND;
		load(f, LIST("HOME=/users/x"), NULL);
		assert_string_equal(f->options.state_dir, ours);
	}
	free(xdg);
	free(ours);
}

static void test_commands_mind_only_what_is_theirs(void **state)
{
	struct fixture *f = *state;
	char *file = path_of(f, "a.conf");

	f->input.use = OPTIONS_COMMAND;
	write_file(f, "a.conf", "PORT=x\nnonsense\nEYES_STATE_DIR=/here\n", 0600);
	load(f, LIST("HOME=/x", "PORT=y", "EYES_PROT=1"), LIST("--config", file));
	assert_int_equal(f->problems.count, 0);
	assert_string_equal(f->options.state_dir, "/here");
	load(f, LIST("HOME=/x"), LIST("--daemon"));
	assert_true(told(&f->problems, "--daemon is for the daemon"));
	free(file);
}

static void test_reload(void **state)
{
	struct fixture *f = *state;
	struct options fresh;
	struct problems problems;
	char *file = path_of(f, "a.conf");

	problems_init(&problems);
	write_file(f, "a.conf", "PORT=4001\n", 0600);
	load(f, LIST("HOME=/x"), LIST("--config", file));
	write_file(f, "a.conf", "PORT=4002\nEYES_LOG_LEVEL=debug\nSSL_CERT_FILE=/ca.pem\n", 0600);
	assert_true(options_reload(&f->options, &fresh, &problems));
	assert_int_equal(fresh.port, 4001);
	assert_string_equal(fresh.listen[0].text, "127.0.0.1:4001");
	assert_int_equal(fresh.log_level, LOG_LEVEL_DEBUG);
	assert_string_equal(fresh.ca_file, "/ca.pem");
	assert_int_equal(problems.count, 1);
	assert_true(told(&problems, "PORT has changed"));
	options_free(&fresh);
	problems_free(&problems);
	write_file(f, "a.conf", "EYES_LOG_LEVEL=loud\n", 0600);
	assert_false(options_reload(&f->options, &fresh, &problems));
	assert_int_equal(problems.errors, 1);
	options_free(&fresh);
	problems_free(&problems);
	free(file);
}

static void test_nearest(void **state)
{
	struct nearest nearest = {.word = "statsu"};

	(void)state;
	assert_int_equal(nearest_distance("", "abc"), 3);
	assert_int_equal(nearest_distance("abc", "ABC"), 0);
	assert_int_equal(nearest_distance("kitten", "sitting"), 3);
	assert_int_equal(nearest_distance("PROT", "PORT"), 1);
	nearest_try(&nearest, "queue");
	assert_null(nearest.best);
	nearest_try(&nearest, "status");
	assert_string_equal(nearest.best, "status");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_defaults),
	    TEST(test_later_wins),
	    TEST(test_dot_env_is_read_only_when_it_can_be_trusted),
	    TEST(test_wrong_values_are_told),
	    TEST(test_all_problems_of_a_file_are_told),
	    TEST(test_numbers_with_units),
	    TEST(test_listen),
	    TEST(test_events),
	    TEST(test_proxies_in_both_spellings),
	    TEST(test_printing_shows_no_secret),
	    TEST(test_secrets_in_a_file_for_everybody),
	    TEST(test_state_folder),
	    TEST(test_commands_mind_only_what_is_theirs),
	    TEST(test_reload),
	    cmocka_unit_test(test_nearest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
