/*
 * sim_record: what was seen. The last N requests in a ring that keeps its memory, so that recording
 * costs a copy; and protocol violations (things that a lenient server would let pass, but a test
 * must hear of).
 */
#ifndef SIM_RECORD_H
#define SIM_RECORD_H

#include "sim/sim_server.h"

struct sim_record {
	uint64_t number; /* 0: never used */
	int64_t wall_ms;
	uint64_t arrived_us, answered_us;
	int status; /* 0: not answered (yet) */
	const char *fault;
	size_t head_length; /* of bytes: method NUL target NUL {name NUL value NUL}*; the rest is
	                       the body */
	struct buf bytes;
};

struct sim_recorder {
	struct sim_record *ring;
	unsigned size;
};

void sim_recorder_init(struct sim_recorder *recorder, unsigned size);
void sim_recorder_free(struct sim_recorder *recorder);
void sim_recorder_clear(struct sim_recorder *recorder);
void sim_recorder_add(struct sim_recorder *recorder, const struct sim_request *request);
void sim_recorder_done(
    struct sim_recorder *recorder, const struct sim_request *request, int status);
/* Objects in an array: those with a number above `since` whose target contains `path`, at most
 * `limit`. */
void sim_recorder_write(const struct sim_recorder *recorder, struct buf *out, uint64_t since,
    const char *path, int64_t limit);

#define SIM_VIOLATIONS 1000
struct sim_violations {
	uint64_t count; /* all; the first SIM_VIOLATIONS are kept */
	char *list[SIM_VIOLATIONS];
	uint64_t request[SIM_VIOLATIONS];
};

void sim_violation(struct sim_violations *violations, const struct sim_request *request,
    const char *format, ...) __attribute__((format(printf, 3, 4)));
void sim_violations_clear(struct sim_violations *violations);
void sim_violations_write(const struct sim_violations *violations, struct buf *out);

#endif
