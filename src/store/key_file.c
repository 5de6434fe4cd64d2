#include "store/key_file.h"

#include "base/codec.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIGITS = 2 * CRYPTO_KEY, TEXT_MAX = DIGITS + 2 }; /* "\r\n" may follow */

/* Root may let the service's group read a key that the service cannot change; systemd does so with
 * credentials. Otherwise a key is for its owner alone. */
static bool check_status(const char *path, const struct stat *status, struct err *err)
{
	mode_t forbidden = status->st_uid == 0 ? 0027 : 0077;

	if (!S_ISREG(status->st_mode))
		return err_set(err, "key_unsafe", "the key file %s is not a file", path);
	if (status->st_uid != 0 && status->st_uid != geteuid()) {
		err_set(err, "key_unsafe",
		    "the key file %s belongs to user %lu, neither to root nor to us (%lu)", path,
		    (unsigned long)status->st_uid, (unsigned long)geteuid());
		err_hint(err, "chown it to the user that runs this program");
		return false;
	}
	if ((status->st_mode & forbidden) != 0) {
		err_set(err, "key_unsafe", "others may read or change the key file %s (mode %04o)",
		    path, (unsigned)(status->st_mode & 07777));
		err_hint(
		    err, "chmod 600 %s; if others had a chance to read it, make a new key", path);
		return false;
	}
	return true;
}

static bool decode(const char *text, size_t length, unsigned char key[CRYPTO_KEY])
{
	char digits[DIGITS + 1];

	if (length == CRYPTO_KEY) {
		memcpy(key, text, CRYPTO_KEY);
		return true;
	}
	while (length > DIGITS && (text[length - 1] == '\n' || text[length - 1] == '\r'))
		length--;
	if (length != DIGITS)
		return false;
	memcpy(digits, text, DIGITS);
	digits[DIGITS] = '\0';
	bool good = codec_hex_decode(key, CRYPTO_KEY, digits);
	crypto_cleanse(digits, sizeof(digits));
	return good;
}

static bool cannot_open(const char *path, struct err *err)
{
	if (errno == ELOOP)
		return err_set(err, "key_unsafe", "the key file %s is a symbolic link", path);
	return err_set(err, errno == ENOENT ? "key_missing" : "key_failed",
	    "the key file %s cannot be read: %s", path, strerror(errno));
}

bool key_file_read(const char *path, unsigned char key[CRYPTO_KEY], struct err *err)
{
	char text[TEXT_MAX + 1]; /* and one that must not be there */
	unsigned char decoded[CRYPTO_KEY];
	struct stat status;
	ssize_t length = -1;
	bool good = false;
	/* Not to hang on a pipe, not to follow where somebody points us. */
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return cannot_open(path, err);
	if (fstat(fd, &status) != 0) {
		cannot_open(path, err);
	} else if (check_status(path, &status, err)) {
		length = read(fd, text, sizeof(text));
		good = length >= 0 && decode(text, (size_t)length, decoded);
		if (length < 0)
			cannot_open(path, err);
		else if (!good)
			err_set(err, "key_malformed",
			    "the key file %s does not hold 64 hex digits or 32 bytes", path);
	}
	close(fd);
	if (good)
		memcpy(key, decoded, CRYPTO_KEY);
	crypto_cleanse(decoded, sizeof(decoded));
	crypto_cleanse(text, sizeof(text));
	return good;
}

static bool write_whole(int fd, const unsigned char key[CRYPTO_KEY])
{
	char text[DIGITS + 2];

	codec_hex_encode(text, key, CRYPTO_KEY);
	text[DIGITS] = '\n';
	bool good = write(fd, text, DIGITS + 1) == DIGITS + 1 && fsync(fd) == 0;
	crypto_cleanse(text, sizeof(text));
	return good;
}

static bool sync_directory(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return false;
	bool good = fsync(fd) == 0;
	close(fd);
	return good;
}

bool key_file_make(
    const char *directory, const char *path, unsigned char key[CRYPTO_KEY], struct err *err)
{
	unsigned char fresh[CRYPTO_KEY];
	char *draft = mem_printf("%s.new", path);
	bool good = false;

	crypto_random(fresh, sizeof(fresh));
	if (unlink(draft) != 0 && errno != ENOENT)
		goto out;
	int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		goto out;
	good = fchmod(fd, 0600) == 0 && write_whole(fd, fresh);
	good = close(fd) == 0 && good;
	/* link, not rename: a file that is there already stays. */
	good = good && link(draft, path) == 0;
	if (unlink(draft) != 0)
		good = false;
	good = good && sync_directory(directory);
out:
	if (good)
		memcpy(key, fresh, CRYPTO_KEY);
	else
		err_set(
		    err, "key_failed", "the key file %s cannot be made: %s", path, strerror(errno));
	crypto_cleanse(fresh, sizeof(fresh));
	free(draft);
	return good;
}
