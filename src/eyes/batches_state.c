#include "eyes/batches_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FNV_START UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

struct sums {
	uint64_t passed, failed, unresolved, fresh, aborted, empty, running;
};

static bool is_one_of(const char *word, const char *const *list)
{
	while (*list != NULL && strcasecmp(word, *list) != 0)
		list++;
	return *list != NULL;
}

static uint64_t classed(const struct batch_counts *counts)
{
	return (uint64_t)counts->passed + counts->failed + counts->unresolved + counts->fresh +
	       counts->aborted + counts->empty;
}

bool batch_counts_open(const struct batch_counts *counts)
{
	return counts->total > classed(counts);
}

enum batch_class batch_class(const struct batch_entry *entry)
{
	static const char *const open[] = {"Running", "Pending", NULL};
	static const char *const red[] = {"Failed", "Unresolved", "Aborted", NULL};
	static const char *const green[] = {"Passed", "Completed", NULL};
	const struct batch_counts *counts = &entry->counts;

	if (batch_counts_open(counts) || is_one_of(entry->word, open))
		return BATCH_OPEN;
	if (counts->failed > 0 || counts->unresolved > 0 || counts->aborted > 0 ||
	    is_one_of(entry->word, red))
		return BATCH_RED;
	if (is_one_of(entry->word, green))
		return BATCH_GREEN;
	if (strcasecmp(entry->word, "New") == 0)
		return classed(counts) > 0 ? BATCH_GREEN : BATCH_OPEN;
	return BATCH_UNKNOWN;
}

static void sum(struct sums *sums, const struct batch_counts *counts)
{
	sums->passed += counts->passed;
	sums->failed += counts->failed;
	sums->unresolved += counts->unresolved;
	sums->fresh += counts->fresh;
	sums->aborted += counts->aborted;
	sums->empty += counts->empty;
	if (batch_counts_open(counts))
		sums->running += counts->total - classed(counts);
}

static void write_text(char *out, size_t size, const struct sums *sums, const char *unknown)
{
	const struct {
		uint64_t count;
		const char *word;
	} parts[] = {
	    {sums->passed, "passed"},
	    {sums->failed, "failed"},
	    {sums->unresolved, "unresolved"},
	    {sums->fresh, "new"},
	    {sums->aborted, "aborted"},
	    {sums->empty, "empty"},
	    {sums->running, "running"},
	};
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i].count > 0)
			used += (size_t)snprintf(out + used, size - used, "%s%" PRIu64 " %s",
			    used > 0 ? ", " : "", parts[i].count, parts[i].word);
	if (used == 0)
		used = (size_t)snprintf(out, size, "no tests yet");
	if (unknown[0] != '\0')
		snprintf(out + used, size - used, ", status \"%s\"", unknown);
}

static uint64_t mix(uint64_t hash, const void *data, size_t length)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ bytes[i]) * FNV_PRIME;
	return hash;
}

/* State and text hold all that differs. */
static uint64_t digest_of(const struct batches_state *state)
{
	unsigned char word = (unsigned char)state->state;
	uint64_t hash = mix(mix(FNV_START, &word, 1), state->text, strlen(state->text));

	return hash != 0 ? hash : 1;
}

static uint32_t clamp(uint64_t value)
{
	return value < INT32_MAX ? (uint32_t)value : INT32_MAX;
}

bool batches_state_of(const struct batches_row *row, struct batches_state *out)
{
	static const enum update_state states[] = {[BATCH_OPEN] = UPDATE_INPROGRESS,
	    [BATCH_RED] = UPDATE_FAILED,
	    [BATCH_UNKNOWN] = UPDATE_INPROGRESS,
	    [BATCH_GREEN] = UPDATE_SUCCESSFUL};
	static const enum batch_class worst_first[] = {
	    BATCH_OPEN, BATCH_RED, BATCH_UNKNOWN, BATCH_GREEN};
	bool has[4] = {false};
	unsigned last[4] = {0};
	struct sums sums = {0};

	*out = (struct batches_state){.unknown = ""};
	if (row->count == 0)
		return false;
	for (unsigned i = 0; i < row->count; i++) {
		enum batch_class class = batch_class(&row->entries[i]);
		sum(&sums, &row->entries[i].counts);
		has[class] = true;
		last[class] = i;
	}
	unsigned rank = 0;
	while (!has[worst_first[rank]])
		rank++;
	out->state = states[worst_first[rank]];
	out->shown = last[worst_first[rank]];
	if (has[BATCH_UNKNOWN])
		out->unknown = row->entries[last[BATCH_UNKNOWN]].word;
	out->tests = (struct update_tests){
	    .successful = clamp(sums.passed + sums.fresh),
	    .failed = clamp(sums.failed + sums.unresolved + sums.aborted),
	    .skipped = clamp(sums.empty),
	};
	write_text(out->text, sizeof(out->text), &sums, out->unknown);
	out->digest = digest_of(out);
	return true;
}

void batches_item_id(
    char out[BATCHES_ITEM_ID], const char *sha, uint64_t digest, uint32_t generation)
{
	snprintf(out, BATCHES_ITEM_ID, "b.%.40s.%016" PRIx64 ".%" PRIu32, sha, digest, generation);
}

bool batches_item_parse(const char *id, uint64_t *digest, uint32_t *generation)
{
	char again[BATCHES_ITEM_ID];

	if (strlen(id) < 2 + 40 + 1 + 16 + 2 || strncmp(id, "b.", 2) != 0)
		return false;
	*digest = strtoull(id + 43, NULL, 16);
	*generation = (uint32_t)strtoul(id + 60, NULL, 10);
	batches_item_id(again, id + 2, *digest, *generation);
	return strcmp(again, id) == 0;
}
