/*
 * pid_file: one daemon per pid file. The lock tells whether one runs, not the number in it: a file
 * left behind by a crash stops nobody. Symbolic links, and files that hold anything but a number,
 * are left alone.
 */
#ifndef APP_PID_FILE_H
#define APP_PID_FILE_H

#include "base/err.h"

struct pid_file {
	int fd; /* locked; -1 when there is none */
	char *path;
};
#define PID_FILE_INIT    \
	{                \
		.fd = -1 \
	}

/* Writes this process's id. Codes pid_file, already_running. */
bool pid_file_take(struct pid_file *file, const char *path, struct err *err)
    __attribute__((warn_unused_result));
/* Removes the file, when it is still this one, and the lock. */
void pid_file_drop(struct pid_file *file);

#endif
