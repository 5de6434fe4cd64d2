#include "eyes/batches_parse.h"

#include "base/codec.h"
#include "base/json.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BODY_MAX = 1024 * 1024, LINK_MAX = 4096, PAGE_MAX = 1000, TEXT_MAX = 4096 };

static bool take_counts(const struct json_at *object, struct batch_counts *out, struct err *err)
{
	const struct {
		const char *name;
		uint32_t *to;
	} fields[] = {
	    {"passed", &out->passed},
	    {"failed", &out->failed},
	    {"unresolved", &out->unresolved},
	    {"new", &out->fresh},
	    {"aborted", &out->aborted},
	    {"empty", &out->empty},
	};
	int64_t value;
	bool present;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		value = 0;
		if (!json_opt_int(
		        object, fields[i].name, 0, BATCH_COUNT_MAX, &present, &value, err))
			return false;
		*fields[i].to = (uint32_t)value;
	}
	if (!json_get_int(object, "total", 0, BATCH_COUNT_MAX, &value, err))
		return false;
	out->total = (uint32_t)value;
	return true;
}

static bool take_word(const struct json_at *batch, char out[BATCH_WORD_MAX + 1], struct err *err)
{
	const char *word = "";

	if (!json_opt_string(batch, "status", TEXT_MAX, &word, err))
		return false;
	size_t length = codec_utf8_cut(word, strlen(word), BATCH_WORD_MAX);
	/* A missing word is unknown too, and has to look like something. */
	snprintf(out, BATCH_WORD_MAX + 1, "%.*s", (int)length, length > 0 ? word : "");
	if (length == 0)
		snprintf(out, BATCH_WORD_MAX + 1, "none");
	for (char *c = out; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return true;
}

/* False for what is not ours. */
static bool take_sha(const struct json_at *batch, char sha[UPDATE_COMMIT + 1])
{
	const char *pointer = json_string_value(json_object_get(batch->value, "pointerId"));

	if (pointer == NULL || !codec_is_hex(pointer, UPDATE_COMMIT))
		return false;
	for (unsigned i = 0; i <= UPDATE_COMMIT; i++)
		sha[i] =
		    pointer[i] >= 'A' && pointer[i] <= 'F' ? (char)(pointer[i] + 32) : pointer[i];
	return true;
}

static void note_unread(struct batches_page *page, const struct err *err)
{
	if (page->unread++ == 0)
		page->unread_why = *err;
}

static void take_batch(struct batches_page *page, const struct json_at *batch)
{
	struct batch_listed *listed = &page->list[page->count];
	struct err err = ERR_INIT;
	const char *id;

	*listed = (struct batch_listed){0};
	if (!take_sha(batch, listed->sha)) {
		page->others++;
		return;
	}
	if (!json_get_string(batch, "id", BATCH_ID_MAX, &id, &err)) {
		note_unread(page, &err);
		return;
	}
	if (id[0] == '\0') {
		err_set(&err, "json", "%s.id: expected a string that is not empty", batch->path);
		note_unread(page, &err);
		return;
	}
	page->count++;
	snprintf(listed->entry.id, sizeof(listed->entry.id), "%s", id);
	if (take_counts(batch, &listed->entry.counts, &err) &&
	    take_word(batch, listed->entry.word, &err))
		return;
	note_unread(page, &err);
	listed->entry.counts = (struct batch_counts){0};
	snprintf(listed->entry.word, sizeof(listed->entry.word), "?");
}

bool batches_parse_page(const char *body, size_t length, struct batches_page *out, struct err *err)
{
	json_t *document = json_parse(body, length, BODY_MAX, err);
	struct json_at root = json_root(document, ""), list;

	*out = (struct batches_page){0};
	if (document == NULL || !json_get_array(&root, "batches", &list, err)) {
		json_decref(document);
		return false;
	}
	size_t count = json_array_size(list.value);
	if (count > PAGE_MAX) {
		json_decref(document);
		return err_set(err, "json", "batches: expected at most %d on a page", PAGE_MAX);
	}
	out->list = mem_array(count + 1, sizeof(*out->list));
	for (size_t i = 0; i < count; i++) {
		struct json_at batch = json_item(&list, i);
		take_batch(out, &batch);
	}
	json_decref(document);
	return true;
}

/* ---- one batch ---- */

static void take_url(const struct json_at *root, char out[UPDATE_URL_MAX + 1])
{
	const char *text = json_string_value(json_object_get(root->value, "batchUrl"));
	char plain[UPDATE_URL_MAX + 1];
	struct url url;

	out[0] = '\0';
	if (text == NULL || strlen(text) > UPDATE_URL_MAX)
		return;
	size_t length = strcspn(text, "#");
	memcpy(plain, text, length);
	plain[length] = '\0';
	for (const char *c = text + length; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
			return;
	if (url_parse(&url, plain, NULL))
		memcpy(out, text, strlen(text) + 1);
}

/* "owner/repository/branch" */
static bool is_hint(const char *text)
{
	const char *slash = text != NULL ? strchr(text, '/') : NULL;

	return slash != NULL && slash != text && strlen(text) <= BATCH_HINT_MAX &&
	       strchr(slash + 1, '/') > slash + 1;
}

static void take_hint(const struct json_at *root, char out[BATCH_HINT_MAX + 1])
{
	const json_t *tests = json_object_get(root->value, "tests");

	out[0] = '\0';
	for (size_t i = 0; i < json_array_size(tests); i++) {
		const json_t *test = json_array_get(tests, i);
		const char *branch = json_string_value(json_object_get(test, "branchName"));
		if (is_hint(branch)) {
			snprintf(out, BATCH_HINT_MAX + 1, "%s", branch);
			return;
		}
	}
}

bool batches_parse_detail(
    const char *body, size_t length, struct batch_detail *out, struct err *err)
{
	json_t *document = json_parse(body, length, BODY_MAX, err);
	struct json_at root = json_root(document, ""), statistics;
	bool present = false;

	*out = (struct batch_detail){0};
	bool good =
	    document != NULL && json_opt_object(&root, "statistics", &present, &statistics, err);
	if (good) {
		out->has_counts = present && take_counts(&statistics, &out->counts, NULL);
		take_url(&root, out->url);
		take_hint(&root, out->hint);
	}
	json_decref(document);
	return good;
}

/* ---- the next page ---- */

enum batches_next batches_next_page(
    struct url *out, const struct url *asked, const struct http_head *head, struct err *err)
{
	char target[LINK_MAX], origin[320];
	bool found = false;

	for (unsigned i = 0; i < head->field_count && !found; i++)
		found = strcasecmp(head->fields[i].name, "Link") == 0 &&
		        http_link_next(head->fields[i].value, target, sizeof(target));
	if (!found)
		return BATCHES_LAST;
	if (!url_resolve(out, asked, target, err))
		return BATCHES_WRONG;
	if (!url_same_origin(out, asked)) {
		url_origin(out, origin, sizeof(origin));
		err_set(err, "json", "its next page leads to %s", origin);
		return BATCHES_WRONG;
	}
	if (strcmp(out->path, asked->path) == 0 && strcmp(out->query, asked->query) == 0) {
		err_set(err, "json", "its next page is the same page again");
		return BATCHES_WRONG;
	}
	return BATCHES_MORE;
}
