/*
 * account: the answer of GET /api/v1/auth/api-key-validation. Pure.
 */
#ifndef EYES_ACCOUNT_H
#define EYES_ACCOUNT_H

#include "base/json.h"
#include "eyes/eyes.h"

/* The strings of `out` point into the document, which is the caller's (json_decref). NULL with err
 * when it is none. */
json_t *account_parse(const char *body, size_t length, struct eyes_account *out, struct err *err);

#endif
