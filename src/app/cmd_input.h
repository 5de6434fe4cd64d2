/*
 * cmd_input: what subcommands read: keys and tokens, certificates.
 */
#ifndef APP_CMD_INPUT_H
#define APP_CMD_INPUT_H

#include "base/crypto.h"
#include "base/err.h"

#define CMD_SECRET_MAX 4096    /* bytes, white space around it included */
#define CMD_CA_MAX (64 * 1024) /* bytes */

/*
 * path "-" is standard input. White space around is cut; empty, NUL, inner white space and what is
 * longer are refused; `warning` is filled (code "readable") when others can read the file. Codes
 * file_missing, file_unreadable, secret_empty, secret_malformed, secret_too_long; the field is
 * `what` ("key", "token").
 */
bool cmd_read_secret(struct secret *out, const char *path, const char *what, struct err *warning,
    struct err *err) __attribute__((warn_unused_result));
/* PEM text, to be freed by the caller; NULL with err. */
char *cmd_read_ca(const char *path, struct err *err);

#endif
