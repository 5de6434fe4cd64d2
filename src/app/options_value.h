/*
 * options_value: a setting's text, checked against its row and put into struct options.
 */
#ifndef APP_OPTIONS_VALUE_H
#define APP_OPTIONS_VALUE_H

#include "app/options.h"
#include "app/options_table.h"
#include "base/buf.h"
#include "base/err.h"

/*
 * Puts the value in, in its canonical form. When it is wrong nothing changes and err says what is
 * allowed, never what was given. `folder` is where a relative path begins; NULL: it must not be
 * relative. `text` NULL unsets.
 */
bool option_set(struct options *options, const struct option *option, const char *text,
    const char *folder, struct err *err) __attribute__((warn_unused_result));

/* "a whole number from 1 to 65535", "one of auto, commands, batches" ... */
void option_allowed(const struct option *option, struct buf *out);

#endif
