/* Going to the background: the parent waits for the child, but not for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/daemon.h"
#include "base/clock.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum child { IS_READY, FAILS, HANGS, ENDS };

static void work(enum child what, const char *path)
{
	struct err err = ERR_INIT;
	FILE *file = fopen(path, "w");

	if (file == NULL)
		_exit(9);
	fprintf(file, "%ld\n", (long)getpid());
	fclose(file);
	if (what == IS_READY)
		daemon_ready();
	err_set(&err, "start", "the canary is ill");
	if (what == FAILS)
		daemon_failed(&err);
	if (what == IS_READY || what == HANGS)
		for (;;)
			pause();
	_exit(7);
}

/* Starts one in a process of its own, as a shell would: its exit code, what it printed on stderr,
 * and the process id of the one in the background. */
static int start(enum child what, uint32_t wait_ms, char *said, size_t size, pid_t *child)
{
	char path[] = "/tmp/eyes-scm-daemon-XXXXXX";
	int fds[2], status, fd = mkstemp(path);
	struct err err = ERR_INIT;
	size_t have = 0;
	long number = 0;
	FILE *file;
	ssize_t n;

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(pipe(fds), 0);
	pid_t starter = fork();
	assert_true(starter >= 0);
	if (starter == 0) {
		dup2(fds[1], STDERR_FILENO);
		if (daemon_begin(true, wait_ms, NULL, &err))
			work(what, path);
		_exit(8);
	}
	close(fds[1]);
	assert_int_equal(waitpid(starter, &status, 0), starter);
	file = fopen(path, "r");
	if (file == NULL || fscanf(file, "%ld", &number) != 1)
		number = 0;
	if (file != NULL)
		fclose(file);
	unlink(path);
	*child = (pid_t)number;
	if (what == IS_READY && number > 0) /* it has left stderr */
		kill(*child, SIGKILL);
	while ((n = read(fds[0], said + have, size - 1 - have)) > 0)
		have += (size_t)n;
	said[have] = '\0';
	close(fds[0]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool is_gone(pid_t child)
{
	uint64_t until_ms = clock_monotonic_ms() + 10000;
	char path[64], state = 'Z';
	FILE *file;

	do {
		snprintf(path, sizeof(path), "/proc/%ld/stat", (long)child);
		file = fopen(path, "r");
		if (file == NULL)
			return true;
		if (fscanf(file, "%*d %*s %c", &state) != 1)
			state = 'Z';
		fclose(file);
	} while (state != 'Z' && clock_monotonic_ms() < until_ms);
	return state == 'Z';
}

static void test_the_parent_waits(void **state)
{
	char said[2000];
	pid_t child;

	(void)state;
	assert_int_equal(start(IS_READY, 20000, said, sizeof(said), &child), 0);
	assert_string_equal(said, "");
	assert_true(child > 0);
	assert_int_equal(start(FAILS, 20000, said, sizeof(said), &child), 1);
	assert_non_null(strstr(said, "the canary is ill"));
	assert_int_equal(start(ENDS, 20000, said, sizeof(said), &child), 1);
	assert_non_null(strstr(said, "ended with code 7"));
}

static void test_but_not_for_ever(void **state)
{
	uint64_t begun_ms = clock_monotonic_ms();
	char said[2000];
	pid_t child;

	(void)state;
	assert_int_equal(start(HANGS, 500, said, sizeof(said), &child), 1);
	assert_true(clock_monotonic_ms() - begun_ms >= 500);
	assert_non_null(strstr(said, "was not ready after 0.5 s, and was ended"));
	assert_non_null(strstr(said, "--daemon"));
	assert_true(child > 0);
	assert_true(is_gone(child));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_parent_waits),
	    cmocka_unit_test(test_but_not_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
