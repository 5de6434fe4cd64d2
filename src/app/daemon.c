#define _GNU_SOURCE /* pipe2, closefrom */
#include "app/daemon.h"

#include "app/cmd_output.h"
#include "app/pid_file.h"
#include "base/clock.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#endif

/* What the child tells through the pipe; a struct err whose code does not survive the way. */
struct report {
	bool ready;
	struct err err;
};

static struct pid_file pid_file = PID_FILE_INIT;
static int report_fd = -1; /* the child's end of the pipe; -1 in the foreground */
static bool detached;

/*
 * Whoever starts us may have closed a standard stream. What is opened next would get its number: a
 * log line would go into the store, and a report into a pipe that is closed meanwhile. For reading
 * only, so that output fails as it did.
 */
static void keep_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd == STDIN_FILENO || fd == STDOUT_FILENO || fd == STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

void daemon_harden(void)
{
	keep_standard_streams();
#ifndef SANITIZED /* the leak checker looks into its own process */
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

/* Whether there is something to read before the deadline (monotonic ms). */
static bool comes(int fd, uint64_t deadline_ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	uint64_t now_ms;
	int n;

	do {
		now_ms = clock_monotonic_ms();
		n = now_ms < deadline_ms ? poll(&poll_fd, 1, (int)(deadline_ms - now_ms)) : 0;
	} while (n < 0 && errno == EINTR);
	return n != 0;
}

/* late: the deadline passed before it was whole. */
static bool read_report(int fd, struct report *report, uint32_t wait_ms, bool *late)
{
	uint64_t deadline_ms = clock_monotonic_ms() + wait_ms;
	size_t have = 0;

	while (have < sizeof(*report)) {
		*late = !comes(fd, deadline_ms);
		if (*late)
			return false;
		ssize_t n = read(fd, (char *)report + have, sizeof(*report) - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	report->err.code = report->err.message[0] != '\0' ? "start" : NULL;
	return true;
}

/* It ended, or closed the pipe, without a word. */
static void describe_end(pid_t child, struct err *err)
{
	int status = 0;

	if (waitpid(child, &status, 0) == child && WIFSIGNALED(status))
		err_set(err, "start", "ended by signal %d before it was ready", WTERMSIG(status));
	else
		err_set(err, "start", "ended with code %d before it was ready",
		    WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	err_hint(err, "without --daemon it says more");
}

/* It neither works nor ends. Whoever started it is told that it does not run: so be it. The store
 * stands that, as it stands a power cut. */
static void end_late_child(pid_t child, uint32_t wait_ms, struct err *err)
{
	kill(child, SIGKILL);
	err_set(err, "start", "was not ready after %g s, and was ended", wait_ms / 1000.0);
	err_hint(
	    err, "without --daemon it says more; look at the disk of the state folder as well");
}

static void __attribute__((noreturn)) wait_for_child(int fd, pid_t child, uint32_t wait_ms)
{
	struct report report = {.ready = false};
	bool late = false;

	if (!read_report(fd, &report, wait_ms, &late)) {
		memset(&report, 0, sizeof(report));
		if (late)
			end_late_child(child, wait_ms, &report.err);
		else
			describe_end(child, &report.err);
	}
	if (!report.ready)
		cmd_print_error(false, &report.err);
	fflush(NULL);
	_exit(report.ready ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Returns in the child. */
static bool detach_now(uint32_t wait_ms, struct err *err)
{
	int fds[2], null;
	pid_t child;

	fflush(NULL);
	/* What the caller left open would keep it waiting: a pipe of a script, say. */
	closefrom(STDERR_FILENO + 1);
	if (pipe2(fds, O_CLOEXEC) != 0)
		return err_set(err, "start", "pipe: %s", strerror(errno));
	child = fork();
	if (child < 0) {
		err_set(err, "start", "fork: %s", strerror(errno));
		close(fds[0]);
		close(fds[1]);
		return false;
	}
	if (child > 0) {
		close(fds[1]);
		wait_for_child(fds[0], child, wait_ms);
	}
	close(fds[0]);
	report_fd = fds[1];
	detached = true;
	setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || chdir("/") != 0)
		return err_set(err, "start", "/dev/null or /: %s", strerror(errno));
	if (null > STDERR_FILENO)
		close(null);
	log_to_syslog("eyes-scm"); /* what stops it goes to the parent, all else is no news there */
	return true;
}

bool daemon_begin(bool detach, uint32_t wait_ms, const char *path, struct err *err)
{
	umask(077);
	if (detach && !detach_now(wait_ms, err))
		return false;
	return path == NULL || pid_file_take(&pid_file, path, err);
}

/* Whoever waited may have gone: that is no reason to stop. SIGPIPE must not either. */
static void send_report(const struct report *report)
{
	size_t done = 0;

	while (done < sizeof(*report)) {
		ssize_t n = write(report_fd, (const char *)report + done, sizeof(*report) - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	close(report_fd);
	report_fd = -1;
}

static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

void daemon_ready(void)
{
	struct report report;

	if (!detached || report_fd < 0)
		return;
	memset(&report, 0, sizeof(report)); /* padding too: it goes through a pipe */
	report.ready = true;
	leave_terminal();
	send_report(&report);
}

void daemon_failed(const struct err *err)
{
	struct report report;

	if (report_fd < 0) {
		cmd_print_error(false, err);
		return;
	}
	memset(&report, 0, sizeof(report));
	memcpy(&report.err, err, sizeof(*err));
	send_report(&report);
}

void daemon_end(void)
{
	pid_file_drop(&pid_file);
}
