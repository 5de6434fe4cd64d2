/*
 * outbox: final outcomes on their way to Eyes, on disk until Eyes has taken them.
 *
 * Results are gathered in memory and written just before each commit, about 40 in a row, so that an
 * outcome costs bytes, not a row. Rows are taken in order and deleted once Eyes answered; a crash
 * in between sends them again, which Eyes takes as harmless.
 *
 * What always holds: what outbox_peek shows is committed. Results that were added in a group that
 * is lost (see db) are gone with it: what they belonged to did not happen either.
 *
 * Table:  OUTBOX  number u64 -> count u32, (outcome u8, id, error) each
 */
#ifndef STORE_OUTBOX_H
#define STORE_OUTBOX_H

#include "base/update.h"
#include "store/db.h"

struct outbox;
struct outbox_result {
	const char *id;
	enum update_outcome outcome;
	const char *error; /* "" when there is none */
};

struct outbox *outbox_open(struct db *db, struct err *err);
void outbox_close(struct outbox *outbox); /* before db_close, which commits what it wrote */
/* Copies id and error, which is cut at 300 bytes. Lazy: whoever needs it on disk soon has written
 * something urgent. */
void outbox_add(
    struct outbox *outbox, const char *id, enum update_outcome outcome, const char *error);
/* Visits the results of the first rows that are committed, at most `most` rows and about 512
 * results; *token names what was given. Returns how many results. fn must not write. */
typedef void outbox_fn(const struct outbox_result *result, void *arg);
unsigned outbox_peek(
    struct outbox *outbox, unsigned most, outbox_fn *fn, void *arg, uint64_t *token);
/* Deletes the rows up to token. Lazy. */
bool outbox_done(struct outbox *outbox, uint64_t token, struct err *err);
uint64_t outbox_rows(struct outbox *outbox);
/* How many outcomes they hold: counted up to 1,000 rows, estimated beyond. For people. */
uint64_t outbox_results(struct outbox *outbox);
/* Drops rows beyond the bound (oldest first) when Eyes has been away so long, at most 256 a call.
 * Returns how many: the caller logs it. */
uint64_t outbox_trim(struct outbox *outbox, uint64_t most_rows);

#endif
