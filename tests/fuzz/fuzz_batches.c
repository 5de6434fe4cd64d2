/*
 * Whatever stands in place of the batches API: a page, one batch, a Link, a remembered row.
 *
 * Input: one byte for which of them, then it.
 */
#include "base/codec.h"
#include "base/mem.h"
#include "eyes/batches_parse.h"
#include "eyes/batches_state.h"
#include "eyes/source.h"
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

/* What was understood is a state, fits into a row's bytes, and comes back from them. */
static void check_row(const struct batches_row *row)
{
	struct batches_row again;
	struct batches_state state, same;
	struct buf bytes;

	must(row->count <= BATCHES_ENTRIES);
	bool some = batches_state_of(row, &state);
	must(some == (row->count > 0));
	buf_init(&bytes, EYES_MEMORY_MAX);
	batches_row_pack(row, &bytes);
	must(!bytes.overflow);
	must(batches_row_unpack(&again, bytes.data, bytes.length));
	must(batches_state_of(&again, &same) == some);
	if (some) {
		must(state.digest == same.digest && state.digest != 0 && state.shown < row->count);
		must(strlen(state.text) <= UPDATE_DESCRIPTION_MAX);
		/* Green only when each of them is. */
		for (unsigned i = 0; i < row->count; i++)
			must(state.state != UPDATE_SUCCESSFUL ||
			     batch_class(&row->entries[i]) == BATCH_GREEN);
	}
	batches_row_free(&again);
	buf_free(&bytes);
}

static void try_page(const char *text, size_t length)
{
	struct batches_page page;
	struct batches_row row;

	if (!batches_parse_page(text, length, &page, NULL))
		return;
	batches_row_init(&row);
	for (unsigned i = 0; i < page.count; i++) {
		must(codec_is_hex(page.list[i].sha, UPDATE_COMMIT));
		must(page.list[i].entry.id[0] != '\0' && page.list[i].entry.word[0] != '\0');
		batches_row_merge(&row, &page.list[i].entry);
	}
	check_row(&row);
	batches_row_free(&row);
	free(page.list);
}

static void try_detail(const char *text, size_t length)
{
	struct batch_detail detail;

	if (!batches_parse_detail(text, length, &detail, NULL))
		return;
	must(strlen(detail.url) <= UPDATE_URL_MAX && strlen(detail.hint) <= BATCH_HINT_MAX);
	must(detail.url[0] == '\0' || strncasecmp(detail.url, "http", 4) == 0);
}

static void try_link(const char *text)
{
	struct http_head head = {.field_count = 1, .fields = {{"Link", text}}};
	struct url asked, next;

	must(url_parse(&asked, "https://eyes.example.com/api/v1/batches?start=a", NULL));
	if (batches_next_page(&next, &asked, &head, NULL) == BATCHES_MORE)
		must(url_same_origin(&asked, &next));
}

static void try_row(const char *data, size_t length)
{
	struct batches_row row;

	if (batches_row_unpack(&row, data, length))
		check_row(&row);
	else
		must(row.count == 0 && row.entries == NULL);
	batches_row_free(&row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	char *text = mem_bytes(data + 1, size - 1);
	switch (data[0] % 4) {
	case 0:
		try_page(text, size - 1);
		break;
	case 1:
		try_detail(text, size - 1);
		break;
	case 2:
		try_link(text);
		break;
	default:
		try_row(text, size - 1);
		break;
	}
	free(text);
	return 0;
}
