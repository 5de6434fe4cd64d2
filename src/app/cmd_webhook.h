/*
 * cmd_webhook: what the commands about repositories and about webhooks share.
 */
#ifndef APP_CMD_WEBHOOK_H
#define APP_CMD_WEBHOOK_H

#include "app/cmd_output.h"

/* Each word is "PROJECT/SLUG", nothing else. */
bool cmd_check_names(const struct cmd_call *call, struct err *err);
/* The events half of a result, a line or two; nothing when it has none. */
void cmd_put_events(const json_t *result);

#endif
