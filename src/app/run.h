/*
 * run: the daemon, wired together.
 */
#ifndef APP_RUN_H
#define APP_RUN_H

#include "app/options.h"

/* Until SIGTERM or SIGINT. Calls daemon_ready() once it works, or daemon_failed(). The exit code.
 */
int run(const struct options *options);

#endif
