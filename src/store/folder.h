/*
 * folder: the state folder. Made when missing, looked at before anything is trusted to it, and
 * locked, so that two daemons never share it.
 */
#ifndef STORE_FOLDER_H
#define STORE_FOLDER_H

#include "base/err.h"
#include <stdint.h>

struct folder {
	char *path; /* absolute, without symbolic links; owned */
	int lock;   /* descriptor of the locked "lock" file, which holds our process id */
};

/* Codes store_folder (not ours, writable by others, a network file system, cannot be made) and
 * store_locked. */
bool folder_open(struct folder *folder, const char *directory, struct err *err)
    __attribute__((warn_unused_result));
void folder_close(struct folder *folder); /* also right for {.path = NULL, .lock = -1} */
/* Makes sure of disk blocks for the first `size` bytes of an open file of ours. */
bool folder_preallocate(const struct folder *folder, int fd, uint64_t size, struct err *err)
    __attribute__((warn_unused_result));

#endif
