#include "app/cmd_input.h"

#include "base/buf.h"
#include "base/codec.h"
#include "base/mem.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static bool unreadable(const char *path, const char *what, struct err *err)
{
	err_set(err, errno == ENOENT ? "file_missing" : "file_unreadable",
	    "the %s file %.200s cannot be read: %s", what, path, strerror(errno));
	err_field(err, "%s", what);
	return false;
}

/* -1 with err. stat is all zero for standard input. */
static int open_input(const char *path, const char *what, struct stat *stat, struct err *err)
{
	int fd;

	memset(stat, 0, sizeof(*stat));
	if (strcmp(path, "-") == 0)
		return STDIN_FILENO;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0 && fstat(fd, stat) == 0 && !S_ISDIR(stat->st_mode))
		return fd;
	if (fd >= 0) {
		errno = S_ISDIR(stat->st_mode) ? EISDIR : errno;
		close(fd);
	}
	unreadable(path, what, err);
	return -1;
}

static bool read_all(int fd, const char *path, const char *what, struct buf *out, struct err *err)
{
	char part[4096];
	bool done = false;

	for (;;) {
		ssize_t n = read(fd, part, sizeof(part));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			unreadable(path, what, err);
			break;
		}
		done = n == 0;
		if (n == 0)
			break;
		if (!buf_append(out, part, (size_t)n)) {
			err_set(err, "secret_too_long", "the %s file is longer than %zu bytes",
			    what, out->limit);
			err_field(err, "%s", what);
			break;
		}
	}
	crypto_cleanse(part, sizeof(part));
	return done;
}

/* What is pasted shall not stay on the screen. False when there was nothing to hide. */
static bool hide_typing(int fd, struct termios *before)
{
	struct termios hidden;

	if (!isatty(fd) || tcgetattr(fd, before) != 0)
		return false;
	hidden = *before;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	return tcsetattr(fd, TCSAFLUSH, &hidden) == 0;
}

static bool read_path(
    const char *path, const char *what, struct buf *out, struct stat *stat, struct err *err)
{
	int fd = open_input(path, what, stat, err);
	struct termios terminal;
	bool done, hidden;

	if (fd < 0)
		return false;
	if (fd == STDIN_FILENO && isatty(fd))
		fprintf(stderr, "Paste the %s (it is not shown), then Enter and Ctrl-D:\n", what);
	hidden = hide_typing(fd, &terminal);
	done = read_all(fd, path, what, out, err);
	if (hidden)
		tcsetattr(fd, TCSAFLUSH, &terminal);
	if (fd != STDIN_FILENO)
		close(fd);
	return done;
}

/* Without white space around it, and none inside. */
static bool take_secret(
    struct secret *out, const struct buf *buf, const char *what, struct err *err)
{
	const char *from = buf->length > 0 ? buf->data : "", *end = from + buf->length;

	while (from < end && isspace((unsigned char)*from))
		from++;
	while (end > from && isspace((unsigned char)end[-1]))
		end--;
	if (from == end) {
		err_set(err, "secret_empty", "the %s is empty", what);
		err_field(err, "%s", what);
		return false;
	}
	for (const char *c = from; c < end; c++) {
		if (*c > ' ' && *c < 0x7f)
			continue;
		err_set(err, "secret_malformed",
		    "the %s holds white space, a NUL or another character that no %s has", what,
		    what);
		err_hint(err, "the file must hold the %s and nothing else", what);
		err_field(err, "%s", what);
		return false;
	}
	secret_set(out, from, (size_t)(end - from));
	return true;
}

bool cmd_read_secret(
    struct secret *out, const char *path, const char *what, struct err *warning, struct err *err)
{
	struct buf buf;
	struct stat stat;
	bool done;

	buf_init(&buf, CMD_SECRET_MAX);
	done = read_path(path, what, &buf, &stat, err) && take_secret(out, &buf, what, err);
	buf_cleanse(&buf);
	if (done && S_ISREG(stat.st_mode) && (stat.st_mode & S_IROTH) != 0)
		err_set(warning, "readable", "everybody can read %.200s", path);
	return done;
}

char *cmd_read_ca(const char *path, struct err *err)
{
	struct buf buf;
	struct stat stat;
	char *text = NULL;

	buf_init(&buf, CMD_CA_MAX);
	if (!read_path(path, "CA", &buf, &stat, err)) {
		if (err_is(err, "secret_too_long"))
			err_set(err, "ca_invalid",
			    "the CA file is longer than %d bytes; only the server's own CA is "
			    "needed",
			    CMD_CA_MAX);
	} else if (buf.length == 0 || strlen(buf.data) != buf.length ||
	           !codec_is_utf8(buf.data, buf.length) ||
	           strstr(buf.data, "-----BEGIN CERTIFICATE-----") == NULL) {
		err_set(err, "ca_invalid", "the CA file %.200s holds no PEM certificate", path);
		err_hint(err, "it must have a line -----BEGIN CERTIFICATE-----");
	} else {
		text = buf_take(&buf);
	}
	if (text == NULL)
		err_field(err, "ca");
	buf_free(&buf);
	return text;
}
