/* What a command prints as JSON, and the standard streams that it prints to. */
#include "app/cmd_output.h"
#include "app/daemon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char printed[4096];

static int read_printed(FILE *file, int saved)
{
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	rewind(file);
	size_t length = fread(printed, 1, sizeof(printed) - 1, file);
	printed[length] = '\0';
	fclose(file);
	return (int)length;
}

static FILE *catch_stdout(int *saved)
{
	FILE *file = tmpfile();

	fflush(stdout);
	*saved = dup(STDOUT_FILENO);
	dup2(fileno(file), STDOUT_FILENO);
	return file;
}

/* jansson leaves out what is not UTF-8: the message was missing. */
static void test_error_with_bytes_that_are_no_text(void **state)
{
	struct err err = ERR_INIT;
	int saved;
	FILE *file = catch_stdout(&saved);

	(void)state;
	err_set(&err, "file_missing", "the key file /x\xff cannot be read");
	cmd_print_error(true, &err);
	read_printed(file, saved);
	json_t *document = json_loads(printed, 0, NULL);
	const json_t *error = json_object_get(document, "error");
	assert_string_equal(cmd_string(error, "code"), "file_missing");
	assert_string_equal(
	    cmd_string(error, "message"), "the key file /x\xef\xbf\xbd cannot be read");
	json_decref(document);
}

static void test_json_holds_nothing_that_a_terminal_obeys(void **state)
{
	json_t *document = json_pack("{s:s}", "name",
	    "a\xc2\x9b"
	    "2J\x1b[2J\xe2\x80\xae");
	int saved;
	FILE *file = catch_stdout(&saved);

	(void)state;
	cmd_print_json(document);
	json_decref(document);
	read_printed(file, saved);
	for (const char *c = printed; *c != '\0'; c++)
		assert_true(*c == '\n' || (*c >= ' ' && *c < 0x7f));
	document = json_loads(printed, 0, NULL);
	assert_string_equal(cmd_string(document, "name"), "a\xc2\x9b"
	                                                  "2J\x1b[2J\xe2\x80\xae");
	json_decref(document);
}

/* 0: what is opened next has a number of its own, and output still fails. */
static int in_child(void)
{
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	daemon_harden();
	int fd = open("/dev/null", O_WRONLY);
	if (fd <= STDERR_FILENO)
		return 1;
	return write(STDOUT_FILENO, "x", 1) < 0 && write(STDERR_FILENO, "x", 1) < 0 ? 0 : 2;
}

static void test_closed_standard_streams(void **state)
{
	int status = -1;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(in_child());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_error_with_bytes_that_are_no_text),
	    cmocka_unit_test(test_json_holds_nothing_that_a_terminal_obeys),
	    cmocka_unit_test(test_closed_standard_streams),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
