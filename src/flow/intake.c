#include "flow/intake.h"
#include "base/clock.h"
#include "base/metrics.h"
#include <stdio.h>
#include <string.h>

static struct metric received = METRIC(
    METRIC_COUNTER, "eyes_scm_received_total", "", "Status updates taken from Eyes into the queue");

void intake_init(
    struct intake *intake, struct records *records, struct queue *queue, struct places *places)
{
	*intake = (struct intake){.records = records, .queue = queue, .places = places};
}

void intake_forget(struct intake *intake)
{
	intake->last_url[0] = '\0';
}

/* The id of our server that the item names, 0 when it is not ours. */
static uint32_t server_of(struct intake *intake, const char *url)
{
	const struct record_server *server;
	size_t length = strlen(url);

	if (intake->last_url[0] != '\0' && strcmp(url, intake->last_url) == 0)
		return intake->last_server;
	server = records_server_by_url(intake->records, url);
	if (server == NULL)
		return 0;
	if (length < sizeof(intake->last_url)) {
		memcpy(intake->last_url, url, length + 1);
		intake->last_server = server->id;
	}
	return server->id;
}

static enum intake_result result_of(enum queue_put put)
{
	switch (put) {
	case QUEUE_PUT_NEW:
		metric_add(&received, 1);
		return INTAKE_NEW;
	case QUEUE_PUT_KNOWN:
		return INTAKE_KNOWN;
	case QUEUE_PUT_OLDER:
		return INTAKE_ENDED;
	case QUEUE_PUT_FULL:
		return INTAKE_FULL;
	case QUEUE_PUT_FAILED:
		break;
	}
	return INTAKE_FAILED;
}

static enum intake_result end(struct intake *intake, const struct eyes_item *item, uint32_t repo,
    enum update_outcome outcome, const char *code, const char *reason, struct err *err)
{
	enum queue_put put = queue_put_ended(intake->queue, item->id, repo,
	    item->invalid == NULL ? &item->update : NULL, outcome, code, reason, err);

	return put == QUEUE_PUT_NEW ? INTAKE_ENDED : result_of(put);
}

static enum intake_result put(struct intake *intake, const struct eyes_item *item, const char *id,
    uint32_t repo, struct err *err)
{
	struct queue_entry entry = {
	    .id = id,
	    .repo = repo,
	    .update = item->update,
	    .order =
	        {
	            .has_sequence = item->has_sequence,
	            .sequence = item->sequence,
	            .created_ms = item->created_ms,
	        },
	    .received_ms = clock_wall_ms(),
	};
	char ref[PLACES_REF_MAX + 1];

	if (*entry.update.ref == '\0' && intake->places != NULL &&
	    places_ref(intake->places, entry.update.commit, repo, ref, sizeof(ref)))
		entry.update.ref = ref;
	return result_of(queue_put(intake->queue, &entry, err));
}

enum intake_result intake_take(
    struct intake *intake, const struct eyes_item *item, uint32_t *repo, struct err *err)
{
	struct record_repo record;
	uint32_t server;

	if (item->server == NULL)
		return end(intake, item, 0, UPDATE_REJECTED,
		    item->invalid != NULL ? item->invalid->code : "invalid",
		    item->invalid != NULL ? item->invalid->message : "the server is missing", err);
	server = server_of(intake, item->server);
	if (server == 0)
		return INTAKE_FOREIGN;
	if (item->invalid != NULL)
		return end(intake, item, 0, UPDATE_REJECTED, item->invalid->code,
		    item->invalid->message, err);
	if (!records_repo_by_name(
	        intake->records, server, item->project, item->repository, &record) ||
	    record.state == REPO_DISABLED)
		return end(intake, item, 0, UPDATE_IGNORED, "repo_disabled",
		    "the repository is not enabled in eyes-scm", err);
	*repo = record.id;
	return put(intake, item, item->id, record.id, err);
}

enum intake_result intake_place(
    struct intake *intake, const struct eyes_item *item, uint32_t repo, struct err *err)
{
	char id[UPDATE_ID_MAX + 16];

	snprintf(id, sizeof(id), "%c%.*s@%u", INTAKE_OWN_ID, UPDATE_ID_MAX - 12, item->id, repo);
	return put(intake, item, id, repo, err);
}
