/*
 * Whatever a command feed gives: each item that is let through keeps every limit that the queue and
 * Bitbucket rely on, and is what the JSON tree holds; a body is taken exactly when it is one of
 * the feed for the tree too.
 *
 * Input: one byte for the number of commands looked at, then the body.
 */
#include "base/codec.h"
#include "base/json.h"
#include "base/url.h"
#include "eyes/commands_parse.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// max_len 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_text(const char *text, size_t least, size_t most)
{
	must(text != NULL && strlen(text) >= least && strlen(text) <= most);
	must(codec_is_utf8(text, strlen(text)));
}

static void check_segment(const char *text)
{
	check_text(text, 1, 255);
	must(strchr(text, '/') == NULL && strcmp(text, ".") != 0 && strcmp(text, "..") != 0);
}

static void check_item(const struct eyes_item *item)
{
	const struct update *update = &item->update;
	struct url url;

	check_text(item->id, 1, UPDATE_ID_MAX);
	if (item->server != NULL)
		must(url_parse(&url, item->server, NULL));
	if (item->invalid != NULL) {
		must(item->invalid->code != NULL && item->invalid->message[0] != '\0');
		return;
	}
	must(item->server != NULL);
	check_segment(item->project);
	check_segment(item->repository);
	must(codec_is_hex(update->commit, UPDATE_COMMIT) &&
	     strpbrk(update->commit, "ABCDEF") == NULL);
	check_text(update->key, 1, UPDATE_KEY_MAX);
	check_text(update->name, 0, UPDATE_NAME_MAX);
	check_text(update->description, 0, UPDATE_DESCRIPTION_MAX);
	check_text(update->url, 8, UPDATE_URL_MAX);
	check_text(update->ref, 0, UPDATE_REF_MAX);
	must(strncasecmp(update->url, "http", 4) == 0 && update->state <= UPDATE_CANCELLED);
	must(!item->has_sequence || item->sequence >= 0);
}

/* ---- beside the tree ---- */

/* `text` is the member, or its beginning when it was cut. */
static void same_text(const json_t *command, const char *name, const char *text)
{
	const char *whole = json_string_value(json_object_get(command, name));

	must(strncasecmp(whole != NULL ? whole : "", text, strlen(text)) == 0);
	must(whole == NULL || strlen(whole) == strlen(text) || strlen(text) > 250);
}

static uint32_t count_of(const json_t *command, const char *name)
{
	return (uint32_t)json_integer_value(
	    json_object_get(json_object_get(command, "testResults"), name));
}

static void same_item(const json_t *command, const struct eyes_item *item)
{
	const struct update *update = &item->update;

	same_text(command, "id", item->id);
	if (item->invalid != NULL)
		return;
	same_text(command, "server", item->server);
	same_text(command, "project", item->project);
	same_text(command, "repository", item->repository);
	must(strncasecmp(json_string_value(json_object_get(command, "commit")), update->commit,
	         UPDATE_COMMIT) == 0);
	same_text(command, "key", update->key);
	same_text(command, "name", update->name);
	same_text(command, "description", update->description);
	same_text(command, "url", update->url);
	same_text(command, "ref", update->ref);
	must(item->has_sequence == json_is_integer(json_object_get(command, "sequence")));
	must(item->sequence == json_integer_value(json_object_get(command, "sequence")));
	must(update->has_tests == json_is_object(json_object_get(command, "testResults")));
	must(update->tests.successful == count_of(command, "successful"));
	must(update->tests.failed == count_of(command, "failed"));
	must(update->tests.skipped == count_of(command, "skipped"));
}

static bool has_id(const json_t *command)
{
	const json_t *id = json_object_get(command, "id");
	const char *text = json_string_value(id);
	size_t length = json_string_length(id);

	if (text == NULL || length == 0 || length > UPDATE_ID_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return true;
}

/* page: NULL when the body was refused. */
static void check_with_tree(
    const char *body, size_t length, unsigned limit, const struct commands_page *page)
{
	unsigned taken = 0;

	if (memchr(body, 0, length) != NULL)
		return; /* jansson overlooks one behind a number or a word */
	json_t *document = json_parse(body, length, 1024 * 1024, NULL);
	const json_t *list = json_object_get(document, "commands");
	must((page != NULL) == json_is_array(list));
	if (page != NULL)
		must(page->listed == json_array_size(list));
	for (unsigned i = 0; i < json_array_size(list) && i < limit; i++) {
		const json_t *command = json_array_get(list, i);
		if (!has_id(command))
			continue;
		must(taken < page->count);
		same_item(command, &page->items[taken++]);
	}
	must(page == NULL || taken == page->count);
	json_decref(document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct commands_page page;
	struct err err = ERR_INIT;

	if (size == 0)
		return 0;
	if (!commands_parse((const char *)data + 1, size - 1, data[0], &page, &err)) {
		must(err.code != NULL);
		check_with_tree((const char *)data + 1, size - 1, data[0], NULL);
		return 0;
	}
	check_with_tree((const char *)data + 1, size - 1, data[0], &page);
	must(page.count + page.left_out <= data[0] && page.count <= page.listed);
	for (unsigned i = 0; i < page.count; i++)
		check_item(&page.items[i]);
	commands_page_free(&page);
	return 0;
}
