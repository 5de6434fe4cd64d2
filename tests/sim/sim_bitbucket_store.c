/* The statuses that were set, with their whole history, bounded by forgetting the oldest writes. */
#include "sim/sim_bitbucket.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

static struct sim_name status_name(
    uint32_t repository, const unsigned char sha[20], const char *key, size_t length)
{
	unsigned char head[24];
	memcpy(head, &repository, 4);
	memcpy(head + 4, sha, 20);
	return sim_name_of(head, sizeof(head), key, length);
}

struct build_status *bitbucket_status(const struct bitbucket *bb, uint32_t repository,
    const unsigned char sha[20], const char *key, size_t length)
{
	struct sim_name name = status_name(repository, sha, key, length);
	return sim_name_get(&bb->statuses, &name);
}

const struct build_commit *bitbucket_commit(const struct bitbucket *bb, const unsigned char sha[20])
{
	return map_get(&bb->commits, sha, 20);
}

static void status_free(struct bitbucket *bb, struct build_status *status)
{
	struct build_commit *commit = status->commit;
	struct build_status **at = &commit->statuses;
	while (*at != status)
		at = &(*at)->next;
	*at = status->next;
	if (!commit->statuses) {
		map_remove(&bb->commits, commit->sha, sizeof(commit->sha));
		free(commit);
	}
	sim_name_remove(&bb->statuses, &status->name);
	free(status->key);
	free(status);
}

/* The oldest write of all is also the oldest of its status. */
static void forget_oldest(struct bitbucket *bb)
{
	struct build_entry *entry = bb->oldest;
	struct build_status *status = entry->status;
	bb->oldest = entry->next_of_all;
	if (!bb->oldest)
		bb->newest = NULL;
	status->first = entry->next;
	if (!status->first)
		status_free(bb, status);
	free(entry);
	bb->entries--;
	bb->forgotten++;
}

static struct build_status *status_new(struct bitbucket *bb, const struct sim_name *name,
    uint32_t repository, const unsigned char sha[20], const char *key, size_t length)
{
	struct build_commit *commit = map_get(&bb->commits, sha, 20);
	if (!commit) {
		commit = mem_zero(sizeof(*commit));
		memcpy(commit->sha, sha, 20);
		map_put(&bb->commits, sha, 20, commit);
	}
	struct build_status *status = mem_zero(sizeof(*status));
	status->name = *name;
	status->repository = repository;
	status->key = mem_bytes(key, length);
	status->created_ms = clock_wall_ms();
	status->commit = commit;
	status->next = commit->statuses;
	commit->statuses = status;
	sim_name_put(&bb->statuses, name, status);
	return status;
}

void bitbucket_put_status(struct bitbucket *bb, const struct sim_request *request,
    uint32_t repository, const unsigned char sha[20], const char *key, size_t length,
    const char *state)
{
	struct sim_name name = status_name(repository, sha, key, length);
	struct build_status *status = sim_name_get(&bb->statuses, &name);
	if (!status)
		status = status_new(bb, &name, repository, sha, key, length);
	struct build_entry *entry = mem_array(1, sizeof(*entry) + request->body_length + 1);
	*entry = (struct build_entry){.status = status,
	    .number = request->number,
	    .arrived_us = request->arrived_us,
	    .effective_us = clock_monotonic_us(),
	    .effective_ms = clock_wall_ms(),
	    .state = state,
	    .length = request->body_length};
	memcpy(entry->body, request->body, request->body_length + 1);
	if (status->first)
		status->last->next = entry;
	else
		status->first = entry;
	status->last = entry;
	status->updates++;
	if (bb->newest)
		bb->newest->next_of_all = entry;
	else
		bb->oldest = entry;
	bb->newest = entry;
	bb->entries++;
	bb->writes++;
	while (bb->entries > bb->entries_max)
		forget_oldest(bb);
}

void bitbucket_forget_statuses(struct bitbucket *bb)
{
	while (bb->oldest)
		forget_oldest(bb);
	bb->forgotten = 0;
	bb->writes = 0;
}

/* ---- read back by tests ---- */

static void write_entry(struct buf *out, const struct build_entry *entry)
{
	json_t *body = json_loadb(entry->body, entry->length, 0, NULL);
	buf_puts(out, out->data[out->length - 1] == '[' ? "{" : ",{");
	sim_put_text(out, "state", entry->state);
	sim_put_text(out, "description", sim_json_text(body, "description", NULL));
	sim_put_integer(out, "number", (int64_t)entry->number);
	sim_put_integer(out, "arrived_us", (int64_t)entry->arrived_us);
	sim_put_integer(out, "effective_us", (int64_t)entry->effective_us);
	sim_put_integer(out, "effective_ms", entry->effective_ms);
	sim_put_member(out, "body");
	buf_append(out, entry->body, entry->length);
	buf_putc(out, '}');
	json_decref(body);
}

static void write_status(
    const struct bitbucket *bb, struct buf *out, const struct build_status *status, bool history)
{
	char sha[41];
	char where[600] = "";
	codec_hex_encode(sha, status->commit->sha, 20);
	if (status->repository && status->repository <= bb->repository_count) {
		const struct bitbucket_repository *r = bb->repositories[status->repository - 1];
		snprintf(where, sizeof(where), "%s/%s", r->project->key, r->slug);
	}
	buf_puts(out, out->data[out->length - 1] == '[' ? "{" : ",{");
	sim_put_text(out, "repository", where);
	sim_put_text(out, "commit", sha);
	sim_put_text(out, "key", status->key);
	sim_put_text(out, "state", status->last->state);
	sim_put_integer(out, "updates", (int64_t)status->updates);
	sim_put_member(out, "body");
	buf_append(out, status->last->body, status->last->length);
	if (history) {
		sim_put_member(out, "history");
		buf_putc(out, '[');
		for (const struct build_entry *entry = status->first; entry; entry = entry->next)
			write_entry(out, entry);
		buf_putc(out, ']');
	}
	buf_putc(out, '}');
}

struct filter {
	struct buf commit, repository, key;
	const struct bitbucket_repository *wanted;
	bool none; /* the repository named does not exist */
};

static void filter_init(
    struct filter *filter, const struct bitbucket *bb, const struct sim_request *request)
{
	struct buf *texts[] = {&filter->commit, &filter->repository, &filter->key};
	static const char *const names[] = {"commit", "repository", "key"};
	*filter = (struct filter){0};
	for (int i = 0; i < 3; i++) {
		buf_init(texts[i], 4096);
		sim_query(request, names[i], 0, texts[i]);
	}
	char *slash = filter->repository.length ? strchr(filter->repository.data, '/') : NULL;
	if (slash) {
		*slash = '\0';
		filter->wanted = bitbucket_find_repository(bb, filter->repository.data, slash + 1);
		filter->none = !filter->wanted;
	}
}

static void filter_free(struct filter *filter)
{
	buf_free(&filter->commit);
	buf_free(&filter->repository);
	buf_free(&filter->key);
}

static bool filter_takes(const struct filter *filter, const struct build_status *status)
{
	return !filter->none && (!filter->wanted || filter->wanted->id == status->repository) &&
	       (!filter->key.length || strcmp(filter->key.data, status->key) == 0);
}

void bitbucket_statuses_json(const struct bitbucket *bb, struct sim_request *request)
{
	struct filter filter;
	struct buf out;
	unsigned char sha[20];
	bool history = sim_query_integer(request, "history", 1) != 0;
	int64_t limit = sim_query_integer(request, "limit", INT64_MAX);
	const struct build_status *status;
	size_t position = 0;

	filter_init(&filter, bb, request);
	buf_init(&out, 1024UL * 1024 * 1024);
	buf_putc(&out, '{');
	sim_put_integer(&out, "count", (int64_t)bb->statuses.count);
	sim_put_integer(&out, "forgotten", (int64_t)bb->forgotten);
	sim_put_member(&out, "statuses");
	buf_putc(&out, '[');
	if (filter.commit.length && codec_hex_decode(sha, 20, filter.commit.data)) {
		const struct build_commit *commit = bitbucket_commit(bb, sha);
		for (status = commit ? commit->statuses : NULL; status; status = status->next)
			if (filter_takes(&filter, status))
				write_status(bb, &out, status, history);
	} else if (!filter.commit.length) {
		while (limit > 0 && (status = map_next(&bb->statuses, &position)))
			if (filter_takes(&filter, status) && limit--)
				write_status(bb, &out, status, history);
	}
	buf_puts(&out, "]}");
	filter_free(&filter);
	sim_answer_buf(request, 200, &out);
}

/* ---- latency ---- */

void bitbucket_note_latency(struct bitbucket *bb, uint64_t sent_us, uint64_t now_us)
{
	uint64_t us = now_us > sent_us ? now_us - sent_us : 0;
	uint64_t bucket = us / 10;
	bb->latency[bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS]++;
	bb->latency_count++;
	bb->latency_sum += us;
	if (us > bb->latency_max)
		bb->latency_max = us;
}

static json_int_t percentile(const struct bitbucket *bb, double share)
{
	uint64_t wanted = (uint64_t)((double)bb->latency_count * share);
	uint64_t seen = 0;
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		seen += bb->latency[i];
		if (seen > wanted)
			return (json_int_t)i * 10 + 5;
	}
	return (json_int_t)bb->latency_max;
}

json_t *bitbucket_latency_json(const struct bitbucket *bb)
{
	uint64_t count = bb->latency_count;
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "count", (json_int_t)count, "mean_us",
	    (json_int_t)(count ? bb->latency_sum / count : 0), "p50_us", percentile(bb, 0.5),
	    "p90_us", percentile(bb, 0.9), "p99_us", percentile(bb, 0.99), "max_us",
	    (json_int_t)bb->latency_max);
}

void bitbucket_clear_latency(struct bitbucket *bb)
{
	memset(bb->latency, 0, sizeof(bb->latency));
	bb->latency_count = bb->latency_sum = bb->latency_max = 0;
}
