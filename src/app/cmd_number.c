#include "app/cmd_number.h"

#include "base/buf.h"
#include <string.h>

static bool parse_id(const char *text, json_int_t *id)
{
	size_t digits = strspn(text, "0123456789");

	*id = 0;
	if (digits == 0 || digits > 18 || text[digits] != '\0')
		return false;
	for (; *text != '\0'; text++)
		*id = *id * 10 + (*text - '0');
	return true;
}

bool cmd_check_number(const struct cmd_call *call, const char *list, struct err *err)
{
	json_int_t id;

	if (call->word_count == 0)
		return call->flag[CMD_ALL] != NULL ||
		       err_set(err, "usage", "which one? an ID of \"%s\", or --all", list);
	if (call->flag[CMD_ALL] != NULL)
		return err_set(err, "usage", "either an ID or --all");
	if (!parse_id(call->words[0], &id))
		return err_set(err, "usage", "an ID is a number, as in \"%s\"", list);
	return true;
}

int cmd_post_number(const struct cmd_call *call, const char *path, cmd_show_fn *show)
{
	struct control_request request = {.method = "POST", .path = path};
	json_t *body = json_object();
	json_int_t id;
	int exit_code;

	if (call->word_count > 0 && parse_id(call->words[0], &id))
		json_object_set_new(body, "id", json_integer(id));
	else
		json_object_set_new(body, "all", json_true());
	request.body = body;
	exit_code = cmd_run(call, &request, show, NULL);
	json_decref(body);
	return exit_code;
}

bool cmd_check_state(const struct cmd_call *call, const char *const *words, struct err *err)
{
	const char *state = call->flag[CMD_STATE];
	struct buf list;

	if (state == NULL)
		return true;
	buf_init(&list, 256);
	for (size_t i = 0; words[i] != NULL; i++) {
		if (strcmp(state, words[i]) == 0) {
			buf_free(&list);
			return true;
		}
		buf_printf(&list, "%s%s", i > 0 ? ", " : "", words[i]);
	}
	err_set(err, "usage", "--state is one of %s", list.data);
	buf_free(&list);
	return false;
}
