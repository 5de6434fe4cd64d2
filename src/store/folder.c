#include "store/folder.h"

#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CIFS_MAGIC 0xFF534D42 /* not in linux/magic.h: fs/smb/client/cifsfs.c */
#define SMB2_MAGIC 0xFE534D42

/* Makes `path` and the folders above it; those that are there already are left as they are. */
static bool make_folders(const char *path, struct err *err)
{
	char *copy = mem_string(path);
	bool done = true;

	for (char *at = copy + 1; done && *copy != '\0'; at++) {
		if (*at != '/' && *at != '\0')
			continue;
		bool last = *at == '\0';
		*at = '\0';
		if (mkdir(copy, 0700) != 0 && errno != EEXIST)
			done = err_set(err, "store_folder", "the folder %s cannot be made: %s",
			    copy, strerror(errno));
		if (last)
			break;
		*at = '/';
	}
	if (!done)
		err_hint(err, "make it, or name another one with EYES_STATE_DIR (--state-dir)");
	free(copy);
	return done;
}

static const char *network_file_system(const struct statfs *system)
{
	switch ((unsigned long)system->f_type & 0xFFFFFFFF) {
	case NFS_SUPER_MAGIC:
		return "NFS";
	case SMB_SUPER_MAGIC:
	case CIFS_MAGIC:
	case SMB2_MAGIC:
		return "SMB";
	case AFS_SUPER_MAGIC:
		return "AFS";
	default:
		return NULL;
	}
}

/* Whether this folder may hold our state. */
static bool check_folder(const char *path, struct err *err)
{
	struct stat status;
	struct statfs system;

	if (stat(path, &status) != 0 || statfs(path, &system) != 0)
		return err_set(err, "store_folder", "the folder %s cannot be looked at: %s", path,
		    strerror(errno));
	if (!S_ISDIR(status.st_mode))
		return err_set(err, "store_folder", "%s is not a folder", path);
	if (status.st_uid != geteuid()) {
		err_set(err, "store_folder",
		    "the folder %s belongs to user %lu; we run as user %lu", path,
		    (unsigned long)status.st_uid, (unsigned long)geteuid());
		err_hint(err, "run as that user, or name another folder with EYES_STATE_DIR "
		              "(--state-dir)");
		return false;
	}
	if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		err_set(err, "store_folder", "others may write to the folder %s (mode %04o)", path,
		    (unsigned)(status.st_mode & 07777));
		err_hint(err, "chmod 700 %s", path);
		return false;
	}
	const char *network = network_file_system(&system);
	if (network != NULL) {
		err_set(err, "store_folder",
		    "the folder %s is on %s: its locks do not protect the store", path, network);
		err_hint(err, "name a folder on a local disk with EYES_STATE_DIR (--state-dir)");
		return false;
	}
	return true;
}

static bool refuse_second(int fd, const char *path, struct err *err)
{
	char text[32] = "";
	ssize_t length = pread(fd, text, sizeof(text) - 1, 0);
	char *end;
	long process = length > 0 ? strtol(text, &end, 10) : 0;

	if (process > 0)
		err_set(err, "store_locked", "the folder %s is already in use by process %ld", path,
		    process);
	else
		err_set(err, "store_locked", "the folder %s is already in use by another process",
		    path);
	err_hint(err, "stop that one first, or name another folder with EYES_STATE_DIR "
	              "(--state-dir)");
	return false;
}

/* Our process id, for the words of a refusal only: the lock itself is what counts. */
static void write_process_id(int fd)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)length, 0) != length)
		return;
}

static bool lock_folder(struct folder *folder, struct err *err)
{
	char *path = mem_printf("%s/lock", folder->path);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool done = false;

	if (fd < 0)
		err_set(err, "store_folder", "%s cannot be opened: %s", path, strerror(errno));
	else if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		done = true;
	else if (errno == EWOULDBLOCK)
		refuse_second(fd, folder->path, err);
	else
		err_set(err, "store_folder", "%s cannot be locked: %s", path, strerror(errno));
	free(path);
	if (!done) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	write_process_id(fd);
	folder->lock = fd;
	return true;
}

bool folder_open(struct folder *folder, const char *directory, struct err *err)
{
	*folder = (struct folder){.lock = -1};
	if (directory == NULL || *directory == '\0')
		return err_set(err, "store_folder", "no state folder is named");
	if (!make_folders(directory, err))
		return false;
	folder->path = realpath(directory, NULL);
	if (folder->path == NULL)
		return err_set(err, "store_folder", "the folder %s cannot be looked at: %s",
		    directory, strerror(errno));
	if (check_folder(folder->path, err) && lock_folder(folder, err))
		return true;
	folder_close(folder);
	return false;
}

void folder_close(struct folder *folder)
{
	if (folder->lock >= 0)
		close(folder->lock); /* which unlocks; the file stays, or a third could slip in */
	free(folder->path);
	*folder = (struct folder){.lock = -1};
}

bool folder_preallocate(const struct folder *folder, int fd, uint64_t size, struct err *err)
{
	struct stat status;

	/* All there already: the usual start. */
	if (fstat(fd, &status) == 0 && (uint64_t)status.st_size >= size &&
	    (uint64_t)status.st_blocks * 512 >= size)
		return true;
	int rc = size > LLONG_MAX ? EFBIG : posix_fallocate(fd, 0, (off_t)size);
	if (rc == 0)
		return true;
	err_set(err, "store_full", "%llu MiB for the store in %s cannot be reserved: %s",
	    (unsigned long long)(size >> 20), folder->path, strerror(rc));
	err_hint(err, "free disk space, or ask for less with EYES_STORE_SIZE");
	return false;
}
