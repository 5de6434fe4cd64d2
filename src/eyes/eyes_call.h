/*
 * eyes_call: what the other files of this folder may do with a call beyond eyes.h.
 */
#ifndef EYES_EYES_CALL_H
#define EYES_EYES_CALL_H

#include "eyes/eyes.h"

/* As eyes_send; drop(arg) follows the completion or the cancelling, once: the place to free arg. */
struct eyes_call *eyes_send_with(
    struct eyes *eyes, const struct eyes_options *options, eyes_fn *fn, void *arg, loop_fn *drop);

#endif
