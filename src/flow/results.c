#include "flow/results.h"
#include "base/clock.h"
#include "flow/intake.h"

void results_record(const struct queue_result *result, void *arg)
{
	struct results *results = arg;
	struct journal_row row = {
	    .ended_ms = clock_wall_ms(),
	    .received_ms = result->received_ms,
	    .repo = result->repo,
	    .commit = result->update != NULL ? result->update->commit : "",
	    .key = result->update != NULL ? result->update->key : "",
	    .state = result->update != NULL ? result->update->state : UPDATE_INPROGRESS,
	    .outcome = result->outcome,
	    .attempts = result->attempts,
	    .code = result->code,
	    .error = result->error,
	};

	if (result->id[0] != '\0' && result->id[0] != INTAKE_OWN_ID)
		outbox_add(results->outbox, result->id, result->outcome, result->error);
	journal_add(results->journal, &row);
	bus_publish(results->bus, BUS_RECENT, row.number);
}
