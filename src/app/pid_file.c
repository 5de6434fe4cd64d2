#include "app/pid_file.h"

#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 10, CONTENT_MAX = 32 };

static bool failed(struct err *err, const char *path, const char *why)
{
	err_set(err, "pid_file", "the pid file %.300s: %s", path, why);
	err_field(err, "--pid-file");
	return false;
}

/* A number and a line end, or nothing. */
static bool is_pid(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return text[digits + strspn(text + digits, " \n")] == '\0';
}

/* False when it holds something else. */
static bool read_content(int fd, char content[CONTENT_MAX])
{
	ssize_t length = pread(fd, content, CONTENT_MAX - 1, 0);
	struct stat stat;

	content[length > 0 ? length : 0] = '\0';
	return length >= 0 && fstat(fd, &stat) == 0 && stat.st_size == length && is_pid(content);
}

static bool is_same_file(int fd, const char *path)
{
	struct stat opened, named;

	return fstat(fd, &opened) == 0 && lstat(path, &named) == 0 &&
	       opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

static bool write_pid(int fd, const char *path, struct err *err)
{
	char content[CONTENT_MAX];
	int length = snprintf(content, sizeof(content), "%ld\n", (long)getpid());

	/* 0644 whatever the umask: "status" of the init script is for everybody. */
	if (ftruncate(fd, 0) != 0 || pwrite(fd, content, (size_t)length, 0) != length ||
	    fchmod(fd, 0644) != 0)
		return failed(err, path, strerror(errno));
	return true;
}

/* Everybody can read the file, and so lock it: a lock says nothing once the process is dead. */
static bool is_left_behind(int fd)
{
	char content[CONTENT_MAX];
	long pid = read_content(fd, content) ? strtol(content, NULL, 10) : 0;

	return pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

/* -1 with err. */
static int open_locked(const char *path, struct err *err)
{
	char content[CONTENT_MAX];
	struct stat stat;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);

	if (fd < 0) {
		failed(err, path, errno == ELOOP ? "is a symbolic link" : strerror(errno));
		return -1;
	}
	if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode) || stat.st_nlink > 1) {
		failed(err, path, "is no file of its own");
	} else if (flock(fd, LOCK_EX | LOCK_NB) != 0 && !is_left_behind(fd)) {
		bool pid = read_content(fd, content) && content[0] != '\0';
		content[strcspn(content, "\n")] = '\0';
		err_set(err, "already_running", "eyes-scm is already running%s%s",
		    pid ? " as process " : "", pid ? content : "");
		err_hint(err, "stop that one first, or name another --pid-file and --state-dir");
	} else if (!read_content(fd, content)) {
		failed(err, path, "holds something else than a process id; it is left alone");
	} else {
		return fd;
	}
	close(fd);
	return -1;
}

bool pid_file_take(struct pid_file *file, const char *path, struct err *err)
{
	/* Between opening and locking, a daemon that ended may have removed the file. */
	for (int i = 0; i < TRIES; i++) {
		int fd = open_locked(path, err);
		if (fd < 0)
			return false;
		if (is_same_file(fd, path)) {
			if (!write_pid(fd, path, err)) {
				close(fd);
				return false;
			}
			file->fd = fd;
			file->path = mem_string(path);
			return true;
		}
		close(fd);
	}
	return failed(err, path, "changes all the time");
}

void pid_file_drop(struct pid_file *file)
{
	if (file->fd < 0)
		return;
	if (is_same_file(file->fd, file->path))
		unlink(file->path);
	close(file->fd);
	free(file->path);
	*file = (struct pid_file)PID_FILE_INIT;
}
