/*
 * state_dir: which state folder is meant when nobody says (DESIGN, section 5).
 */
#ifndef APP_STATE_DIR_H
#define APP_STATE_DIR_H

#include "app/options.h"

/*
 * Sets state_dir and its source. In order: EYES_STATE_DIR (flag, environment, file), the first
 * folder of $STATE_DIRECTORY, the package's folder when it is there and ours, $XDG_STATE_HOME, the
 * home folder. A command also looks into the package's folder when it is root, and when there is no
 * folder of its own: then it can tell whose daemon runs.
 */
void state_dir_resolve(struct options *options, struct problems *problems);

#endif
