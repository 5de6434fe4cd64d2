/*
 * intake: what a source brought goes into the queue.
 *
 * Decides for one item: not one of our servers (left alone), not right (ended as rejected, with the
 * reason), repository not enabled (ended as ignored), known, older than what is known, or new.
 * An item without a ref gets the one that a webhook told of its commit, if any.
 * Everything is in the open group of writes: acknowledge only after the commit.
 */
#ifndef FLOW_INTAKE_H
#define FLOW_INTAKE_H

#include "eyes/source.h"
#include "store/places.h"
#include "store/queue.h"
#include "store/records.h"

enum intake_result {
	INTAKE_NEW,     /* waits in the queue */
	INTAKE_ENDED,   /* rejected, ignored or superseded: its outcome is in the outbox */
	INTAKE_KNOWN,   /* was here before */
	INTAKE_FOREIGN, /* of a server that is not ours: never acknowledged */
	INTAKE_FULL,    /* no room: take nothing more until there is */
	INTAKE_FAILED   /* the store failed; err tells */
};

/* The first byte of an id that this program made up: nobody is to be told of its outcome. The feed
 * cannot send it. */
#define INTAKE_OWN_ID '\x01'

struct intake {
	struct records *records; /* borrowed */
	struct queue *queue;
	struct places *places; /* NULL: refs are what the items say */
	char last_url[512];    /* the server looked up last: mostly they are the same */
	uint32_t last_server;
};

void intake_init(
    struct intake *intake, struct records *records, struct queue *queue, struct places *places);
/* The servers changed. */
void intake_forget(struct intake *intake);
/* An item that names its repository. *repo is set for INTAKE_NEW. */
enum intake_result intake_take(
    struct intake *intake, const struct eyes_item *item, uint32_t *repo, struct err *err);
/* An item whose repositories were found by its commit: one entry in each, its id made unique by the
 * repository. */
enum intake_result intake_place(
    struct intake *intake, const struct eyes_item *item, uint32_t repo, struct err *err);

#endif
