/* This machine: is it ready to be set up, and a diagnosis to send to somebody who helps. */
#include "base/clock.h"
#include "base/mem.h"
#include "web/web_internal.h"
#include <stdlib.h>
#include <string.h>

#define BODY_MAX (8u << 20)
#define SKEW_MS (2 * 60 * 1000) /* more, and certificates and expiries are misjudged */

struct asking {
	struct web_request *request;
	uint64_t begun_ms;
};

static void write_eyes(struct web_request *request, struct json_writer *w,
    const struct eyes_answer *answer, uint64_t ms)
{
	json_open_object(w, "eyes");
	json_write_text(w, "url", request->web->eyes_url);
	/* Whatever it says of the key: that it answers is what counts here. */
	json_write_bool(w, "ok", answer != NULL && answer->status != 0 && answer->status < 500);
	if (answer != NULL && answer->status != 0)
		json_write_int(w, "ms", (int64_t)ms);
	if (answer != NULL && answer->err != NULL && (answer->status == 0 || answer->status >= 500))
		web_write_err(w, "error", answer->err, answer->trace);
	json_close_object(w);
}

static void reply(struct web_request *request, const struct eyes_answer *answer, uint64_t ms)
{
	char way[320] = "";
	int64_t offset = 0;
	struct json_writer w;
	struct buf body;

	if (answer != NULL && answer->server_time_ms != 0)
		offset = clock_wall_ms() - answer->server_time_ms;
	if (request->service->parts.eyes != NULL)
		eyes_way(request->service->parts.eyes, way, sizeof(way));
	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	write_eyes(request, &w, answer, ms);
	json_open_object(&w, "organization");
	json_write_text(&w, "value", request->web->organization);
	json_close_object(&w);
	json_open_object(&w, "way");
	json_write_string(&w, "value", way[0] != '\0' ? way : "direct");
	json_close_object(&w);
	json_open_object(&w, "clock");
	json_write_bool(&w, "ok", offset < SKEW_MS && offset > -SKEW_MS);
	json_write_int(&w, "offset_ms", offset);
	json_close_object(&w);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

static void answered(
    const struct eyes_answer *answer, const struct eyes_account *account, void *arg)
{
	struct asking *asking = arg;

	(void)account;
	reply(asking->request, answer, clock_monotonic_ms() - asking->begun_ms);
	free(asking);
}

void api_machine(struct web_request *request)
{
	struct secret none = {0};
	struct asking *asking;

	if (request->service->parts.eyes == NULL) {
		reply(request, NULL, 0);
		return;
	}
	asking = mem_zero(sizeof(*asking));
	asking->request = request;
	asking->begun_ms = clock_monotonic_ms();
	/* Without a stored key one that cannot be right: 401 is an answer, too. */
	secret_set(&none, "none", 4);
	service_ask_eyes(request->service,
	    eyes_has_key(request->service->parts.eyes) ? NULL : &none, answered, asking);
	secret_free(&none);
}

/* ---- diagnosis ---- */

void api_diagnosis(struct web_request *request)
{
	struct json_writer w;
	struct buf body;

	web_add_header(
	    request, "Content-Disposition", "attachment; filename=\"eyes-scm-diagnosis.json\"");
	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_write_time(&w, "made", clock_wall_ms());
	json_open_object(&w, "status");
	api_write_status(request, &w);
	json_close_object(&w);
	json_open_array(&w, "settings");
	request->web->settings(api_write_setting, &w, request->web->settings_arg);
	json_close_array(&w);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}
