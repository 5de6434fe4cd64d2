/* Rows that are named by number: {"id":N}, {"ids":[...]} or {"all":true}, and what became of them.
 */
#include "base/mem.h"
#include "web/web.h"
#include <stdlib.h>

#define ANSWER_MAX (512 * 1024) /* of SERVICE_NUMBERS_MAX errors */

static bool refuse(struct web_request *request, const struct err *err)
{
	web_reply_err(request, 400, err, NULL);
	return false;
}

static bool read_list(struct web_request *request, const struct json_at *root,
    struct api_numbers *out, struct err *err)
{
	struct json_at array;
	json_int_t value;
	size_t count;

	if (!json_get_array(root, "ids", &array, err))
		return refuse(request, err);
	count = json_array_size(array.value);
	if (count == 0 || count > SERVICE_NUMBERS_MAX) {
		err_set(err, "json", "ids: expected 1 to %u numbers", SERVICE_NUMBERS_MAX);
		err_field(err, "ids");
		return refuse(request, err);
	}
	for (size_t i = 0; i < count; i++) {
		const json_t *item = json_array_get(array.value, i);

		value = json_integer_value(item); /* 0 when it is none */
		if (value < 1) {
			err_set(err, "json", "ids[%zu]: expected a number above 0", i);
			err_field(err, "ids[%zu]", i);
			return refuse(request, err);
		}
		out->list[out->count++].number = (uint64_t)value;
	}
	return true;
}

struct api_numbers *api_read_numbers(struct web_request *request, bool may_be_all)
{
	struct json_at root = json_root(request->body, "");
	const json_t *ids = json_object_get(request->body, "ids");
	bool all = false, one = false, some = ids != NULL && !json_is_null(ids);
	struct api_numbers *numbers;
	struct err err = ERR_INIT;
	int64_t id = 0;

	if ((may_be_all && !json_opt_bool(&root, "all", &all, &err)) ||
	    !json_opt_int(&root, "id", 1, INT64_MAX, &one, &id, &err)) {
		refuse(request, &err);
		return NULL;
	}
	if (all + one + some != 1) {
		err_set(&err, "json",
		    may_be_all ? "say \"id\", \"ids\" or \"all\": true, one of them"
		               : "say either \"id\" or \"ids\"");
		err_field(&err, "id");
		refuse(request, &err);
		return NULL;
	}
	numbers = mem_zero(sizeof(*numbers));
	numbers->all = all;
	numbers->one = one;
	numbers->list[0].number = (uint64_t)id;
	numbers->count = one ? 1 : 0;
	if (!some || read_list(request, &root, numbers, &err))
		return numbers;
	free(numbers);
	return NULL;
}

static void write_errors(struct json_writer *w, const struct api_numbers *numbers)
{
	json_open_array(w, "errors");
	for (unsigned i = 0; i < numbers->count; i++) {
		const struct service_number *number = &numbers->list[i];

		if (number->fault == SERVICE_OK)
			continue;
		json_open_object(w, NULL);
		json_write_int(w, "id", (int64_t)number->number);
		json_write_string(w, "code", number->code);
		json_write_string(w, "message", number->message);
		json_write_text(w, "hint", number->hint);
		json_close_object(w);
	}
	json_close_array(w);
}

void api_keep_numbers(
    struct web_request *request, struct api_numbers *numbers, uint64_t done, const char *name)
{
	const struct service_number *first = &numbers->list[0];
	struct err err = ERR_INIT;
	struct json_writer w;
	struct buf body;

	buf_init(&body, ANSWER_MAX);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	request->status = 200;
	if (numbers->one && first->fault != SERVICE_OK) {
		request->status = web_status_of(first->fault);
		err_set(&err, first->code, "%s", first->message);
		err_hint(&err, "%s", first->hint);
		web_write_err(&w, "error", &err, NULL);
	} else {
		json_write_int(&w, name, (int64_t)done);
		if (!numbers->one && !numbers->all)
			write_errors(&w, numbers);
	}
	json_close_object(&w);
	request->answer = buf_take(&body);
	free(numbers);
}

void api_say_kept(const struct service_result *result, void *arg)
{
	struct web_request *request = arg;
	struct buf body;

	if (result->fault != SERVICE_OK) {
		web_reply_result(request, result);
		return;
	}
	buf_init(&body, ANSWER_MAX + 1);
	buf_puts(&body, request->answer);
	web_reply_json(request, request->status, &body);
	buf_free(&body);
}
