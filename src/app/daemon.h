/*
 * daemon: from the start of the process to the moment it works, in the background or not.
 *
 *   daemon_begin --detach--> fork: the parent waits, then prints the error or leaves with 0
 *        |                     `-> child: own session, /
 *        `--> umask 077, pid file --> (run opens everything) --> daemon_ready | daemon_failed
 *                                                                     `--> daemon_end
 *
 * Call daemon_begin before any thread, any store and any loop exists: a fork keeps none of them.
 */
#ifndef APP_DAEMON_H
#define APP_DAEMON_H

#include "base/err.h"
#include <stdint.h>

/* No core dumps, no reading of our memory by others of the same user, and no standard stream that
 * is closed. For commands too, before anything is opened. */
void daemon_harden(void);
/* pid_file may be NULL; absolute. Returns in the process that is to work. The parent ends a child
 * that is not ready, nor gone, after wait_ms. */
#define DAEMON_WAIT_MS 30000
bool daemon_begin(bool detach, uint32_t wait_ms, const char *pid_file, struct err *err)
    __attribute__((warn_unused_result));
/* Everything is open: the parent leaves with 0, log and standard streams leave the terminal. */
void daemon_ready(void);
/* It will not be ready: the error goes to whoever waits. Log nothing about it. */
void daemon_failed(const struct err *err);
/* Last of all: removes the pid file. */
void daemon_end(void);

#endif
