/*
 * source: where status updates come from. Two drivers behind one table: `commands` (the feed that
 * this project defines, see eyes-scm-protocol(7)) and `batches` (documented calls only). Which one
 * is used is the poller's business.
 *
 * A source has one poll under way at most. What a poll brings is borrowed for the completion. An
 * item is finished by source->handled, called in the same group of database writes that queued it:
 * only then may the source forget that it was new. It may be called in the completion or later, and
 * has to be called for whatever needs no further care (also when nobody wants the commit): until
 * then `batches` brings the item again, with the same id, in every poll, and holds 1,024 of them at
 * most.
 */
#ifndef EYES_SOURCE_H
#define EYES_SOURCE_H

#include "base/update.h"
#include "eyes/eyes.h"
#include <stddef.h>

struct eyes_item {
	const char *id;     /* unique at this source; at most UPDATE_ID_MAX bytes */
	const char *server; /* the URL that Eyes names; NULL: find the repositories by the commit */
	const char *project;    /* NULL with server */
	const char *repository; /* slug */
	const char
	    *hint; /* batches: "owner/repository/branch" of one of its tests, "" when unknown */
	struct update update;
	bool has_sequence;
	int64_t sequence;
	int64_t created_ms; /* wall, 0 when not said */
	/* NULL when it may be queued; else why not (outcome rejected). Only id is then sure; server
	 * is what was said, if anything readable, so that a command for a server that is not ours
	 * is left alone even when it is wrong. */
	const struct err *invalid;
};

struct eyes_poll {
	const struct err *err;            /* the poll failed; items is empty */
	const struct eyes_answer *answer; /* the last one; may be NULL */
	bool missing; /* 404, 405 or 501 with a valid key: this server has no such feed */
	struct eyes_item *items;
	unsigned count;
	bool more; /* poll again at once: the server has more waiting */
};
typedef void eyes_poll_fn(const struct eyes_poll *poll, void *arg);

struct eyes_ack {
	const char *id;
	const char *outcome; /* "accepted" or a word of update_outcome_name */
	const char *error;   /* "" */
};

/*
 * What `batches` must remember over restarts, filled in by the poller on top of the store: one
 * small row of bytes a commit (and one named "first-pass"), whose layout is the source's own
 * (batches_row.h). A row that was not set for the window and a day may go. Both are called from the
 * loop, in polls and in handled; what was set is got at once, committed or not.
 */
#define EYES_MEMORY_ID_MAX 64
#define EYES_MEMORY_MAX 8192
struct eyes_memory {
	/* Copies the row into out, `size` bytes; its length, -1 when there is none (or it does not
	 * fit). */
	ptrdiff_t (*get)(const char *id, void *out, size_t size, void *arg);
	void (*set)(const char *id, const void *data, size_t length, void *arg);
	void *arg;
};

struct eyes_source_config { /* copied but for eyes, loop and memory */
	struct loop *loop;
	struct eyes *eyes;
	const char *commands_path; /* EYES_COMMANDS_PATH with {orgId} */
	uint32_t wait_ms;          /* EYES_POLL_WAIT: long poll, 0 = none */
	unsigned limit;            /* commands a poll: 256; half as many again under load */
	const char *status_key;    /* EYES_STATUS_KEY: batches */
	uint64_t window_ms;        /* EYES_BATCH_WINDOW */
	struct eyes_memory memory; /* batches */
};

struct eyes_source;
struct eyes_source_driver {
	const char *name;  /* "commands", "batches" */
	bool acknowledges; /* somebody is to be told of outcomes */
	struct eyes_source *(*create)(const struct eyes_source_config *config);
	void (*destroy)(struct eyes_source
	        *source); /* cancels, acknowledgements too: their calls are gone then */
	/* hosts: base URLs of the servers that we serve (commands). wait: the poll may be held by
	 * the server. */
	void (*poll)(struct eyes_source *source, const char *const *hosts, unsigned host_count,
	    bool wait, eyes_poll_fn *fn, void *arg);
	/* Ends a poll that the server may be holding, without its completion. NULL where polls are
	 * never held. */
	void (*cancel)(struct eyes_source *source);
	void (*handled)(struct eyes_source *source, const struct eyes_item *item);
	/* POST {feed}/ack; at most 512 at once; beside the poll. The function is NULL when
	 * acknowledges is false. */
	struct eyes_call *(*acknowledge)(struct eyes_source *source, const struct eyes_ack *acks,
	    unsigned count, eyes_fn *fn, void *arg);
};
extern const struct eyes_source_driver eyes_source_commands, eyes_source_batches;

#endif
