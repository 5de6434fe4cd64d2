/*
 * sim_json: the few JSON helpers that the control API of both simulators shares.
 */
#ifndef SIM_JSON_H
#define SIM_JSON_H

#include "sim/sim_server.h"
#include <jansson.h>

/* The body as an object or array; otherwise answers 400 and returns NULL. The caller owns the
 * result. */
json_t *sim_json_body(struct sim_request *request);
/* Answers with the value and releases it. */
void sim_answer_json(struct sim_request *request, int status, json_t *value);
void sim_answer_buf(struct sim_request *request, int status, struct buf *json); /* and frees it */
/* {"error": text} */
void sim_answer_error(struct sim_request *request, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Whether the object has only these members ("a b c"); else err names the first other one. */
bool sim_json_known(const json_t *object, const char *names, struct err *err);

const char *sim_json_text(const json_t *object, const char *name, const char *otherwise);
int64_t sim_json_integer(const json_t *object, const char *name, int64_t otherwise);
bool sim_json_bool(const json_t *object, const char *name, bool otherwise);

/* Writers for answers that are too large or too frequent for a tree. */
void sim_put_member(struct buf *out, const char *name); /* ,"name": (no comma behind '{' or '[') */
void sim_put_text(struct buf *out, const char *name, const char *value);
void sim_put_integer(struct buf *out, const char *name, int64_t value);
void sim_put_bool(struct buf *out, const char *name, bool value);

#endif
