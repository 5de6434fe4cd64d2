/* What is read from files and written to them: keys, certificates, the pid file; and tables. */
#include "app/cmd_input.h"
#include "app/control.h"
#include "app/pid_file.h"
#include "app/table.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[64];

static int setup(void **state)
{
	(void)state;
	strcpy(path, "/tmp/eyes-scm-file-XXXXXX");
	close(mkstemp(path));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static void write_bytes(const char *data, size_t length, mode_t mode)
{
	FILE *file = fopen(path, "w");

	fwrite(data, 1, length, file);
	fclose(file);
	chmod(path, mode);
}

static const struct {
	const char *data;
	size_t length; /* 0: strlen */
	const char *secret, *code;
} SECRETS[] = {
    {"abc", 0, "abc", NULL},
    {" \t\r\n abc \r\n\n", 0, "abc", NULL},
    {"", 0, NULL, "secret_empty"},
    {" \n", 0, NULL, "secret_empty"},
    {"a b", 0, NULL, "secret_malformed"},
    {"a\nb", 0, NULL, "secret_malformed"},
    {"a\0b", 3, NULL, "secret_malformed"},
    {"a\xc3\xa9", 0, NULL, "secret_malformed"},
};

static void test_secrets(void **state)
{
	char longest[CMD_SECRET_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(SECRETS) / sizeof(SECRETS[0]); i++) {
		struct secret secret = {0};
		struct err warning = ERR_INIT, err = ERR_INIT;
		size_t length = SECRETS[i].length;
		write_bytes(SECRETS[i].data, length > 0 ? length : strlen(SECRETS[i].data), 0600);
		if (cmd_read_secret(&secret, path, "token", &warning, &err)) {
			assert_null(SECRETS[i].code);
			assert_string_equal(secret.data, SECRETS[i].secret);
		} else {
			assert_string_equal(err.code, SECRETS[i].code);
			assert_string_equal(err.field, "token");
		}
		assert_null(warning.code);
		secret_free(&secret);
	}
	memset(longest, 'x', sizeof(longest));
	struct secret secret = {0};
	struct err warning = ERR_INIT, err = ERR_INIT;
	write_bytes(longest, sizeof(longest), 0600);
	assert_false(cmd_read_secret(&secret, path, "key", &warning, &err));
	assert_string_equal(err.code, "secret_too_long");
	write_bytes("abc", 3, 0604);
	assert_true(cmd_read_secret(&secret, path, "key", &warning, &err));
	assert_string_equal(warning.code, "readable");
	secret_free(&secret);
	assert_false(cmd_read_secret(&secret, "/nowhere/x", "key", &warning, &err));
	assert_string_equal(err.code, "file_missing");
	assert_false(cmd_read_secret(&secret, "/tmp", "key", &warning, &err));
	assert_string_equal(err.code, "file_unreadable");
}

static void test_certificates(void **state)
{
	static const char PEM[] =
	    "x\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
	struct err err = ERR_INIT;
	char *text;

	(void)state;
	write_bytes(PEM, strlen(PEM), 0644);
	text = cmd_read_ca(path, &err);
	assert_string_equal(text, PEM);
	free(text);
	write_bytes("\x30\x82\x01\x00", 4, 0644);
	assert_null(cmd_read_ca(path, &err));
	assert_string_equal(err.code, "ca_invalid");
	write_bytes("", 0, 0644);
	assert_null(cmd_read_ca(path, &err));
	text = mem_zero(CMD_CA_MAX + 1);
	memset(text, 'x', CMD_CA_MAX + 1);
	write_bytes(text, CMD_CA_MAX + 1, 0644);
	free(text);
	assert_null(cmd_read_ca(path, &err));
	assert_string_equal(err.code, "ca_invalid");
}

/* In another process: locks of one process would not be in each other's way on some systems. */
static int take_elsewhere(void)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		struct pid_file file = PID_FILE_INIT;
		struct err err = ERR_INIT;
		bool taken = pid_file_take(&file, path, &err);
		char words[64];
		snprintf(words, sizeof(words), "already running as process %ld", (long)getppid());
		_exit(taken ? 0 : strstr(err.message, words) != NULL ? 1 : 2);
	}
	waitpid(child, &status, 0);
	return WEXITSTATUS(status);
}

/* Everybody can lock a file that everybody can read. */
static void test_lock_on_the_pid_of_a_dead_process(void **state)
{
	struct pid_file file = PID_FILE_INIT;
	struct err err = ERR_INIT;
	int other;

	(void)state;
	write_bytes("99999999\n", 9, 0644);
	other = open(path, O_RDONLY);
	assert_int_equal(flock(other, LOCK_EX), 0);
	if (!pid_file_take(&file, path, &err))
		fail_msg("%s", err.message);
	close(other);
	pid_file_drop(&file);
}

static void test_pid_file(void **state)
{
	struct pid_file file = PID_FILE_INIT;
	struct err err = ERR_INIT;
	char content[32] = "", expected[32];

	(void)state;
	write_bytes("99999999\n", 9, 0644); /* left behind */
	assert_true(pid_file_take(&file, path, &err));
	FILE *in = fopen(path, "r");
	assert_non_null(fgets(content, sizeof(content), in));
	fclose(in);
	snprintf(expected, sizeof(expected), "%ld\n", (long)getpid());
	assert_string_equal(content, expected);
	assert_int_equal(take_elsewhere(), 1);
	pid_file_drop(&file);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(take_elsewhere(), 0);
	/* That one died without dropping it: a stale file. */
	assert_true(pid_file_take(&file, path, &err));
	pid_file_drop(&file);
}

static void test_pid_file_leaves_other_files_alone(void **state)
{
	struct pid_file file = PID_FILE_INIT;
	struct err err = ERR_INIT;
	char link_path[80], content[32] = "";

	(void)state;
	write_bytes("important\n", 10, 0644);
	assert_false(pid_file_take(&file, path, &err));
	assert_string_equal(err.code, "pid_file");
	FILE *in = fopen(path, "r");
	assert_non_null(fgets(content, sizeof(content), in));
	fclose(in);
	assert_string_equal(content, "important\n");
	write_bytes("", 0, 0644);
	snprintf(link_path, sizeof(link_path), "%s.link", path);
	assert_int_equal(symlink(path, link_path), 0);
	assert_false(pid_file_take(&file, link_path, &err));
	assert_non_null(strstr(err.message, "symbolic link"));
	unlink(link_path);
	assert_false(pid_file_take(&file, "/nowhere/x.pid", &err));
	pid_file_drop(&file);
}

static void test_control_path(void **state)
{
	char out[CONTROL_PATH], folder[CONTROL_PATH];
	struct err err = ERR_INIT;

	(void)state;
	memset(folder, 'x', sizeof(folder));
	folder[0] = '/';
	folder[CONTROL_PATH - 1 - strlen("/control.sock")] = '\0';
	assert_true(control_path(out, folder, &err));
	assert_int_equal(strlen(out), CONTROL_PATH - 1);
	strcat(folder, "x");
	assert_false(control_path(out, folder, &err));
	assert_string_equal(err.code, "control_path");
	assert_non_null(strstr(err.message, "107"));
	assert_non_null(strstr(err.hint, "--state-dir"));
}

static void test_table(void **state)
{
	static const char *const TITLES[] = {"A", "NAME", "X"};
	struct table table;
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	table_init(&table, TITLES, 3);
	table_add(&table, (const char *[]){"1", "caf\xc3\xa9", "x"});
	table_add(&table, (const char *[]){"22", "\xe6\x97\xa5\xe6\x9c\xac", NULL});
	table_add(&table, (const char *[]){"3", "a\x1b[2J\xc2\x9b\xff", "y"});
	table_print(&table, out);
	fclose(out);
	assert_string_equal(text, "A   NAME     X\n"
	                          "1   caf\xc3\xa9     x\n"
	                          "22  \xe6\x97\xa5\xe6\x9c\xac     -\n"
	                          "3   a?[2J??  y\n");
	free(text);
	table_free(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_secrets, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_certificates, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_pid_file, setup, teardown),
	    cmocka_unit_test_setup_teardown(
	        test_lock_on_the_pid_of_a_dead_process, setup, teardown),
	    cmocka_unit_test_setup_teardown(
	        test_pid_file_leaves_other_files_alone, setup, teardown),
	    cmocka_unit_test(test_control_path),
	    cmocka_unit_test(test_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
