/*
 * From counts and words to a state; rows; ids.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "eyes/batches_state.h"
#include "eyes/source.h"
#include <stdio.h>
#include <string.h>

#define SHA "0123456789abcdef0123456789abcdef01234567"

static struct batch_entry entry(const char *id, const char *word, struct batch_counts counts)
{
	struct batch_entry out = {.counts = counts};

	snprintf(out.id, sizeof(out.id), "%s", id);
	snprintf(out.word, sizeof(out.word), "%s", word);
	return out;
}

static void test_one_batch(void **state)
{
	static const struct {
		const char *word;
		struct batch_counts counts; /* passed failed unresolved new aborted empty total */
		enum update_state expected;
		const char *text;
	} rows[] = {
	    {"Passed", {12, 0, 0, 0, 0, 0, 12}, UPDATE_SUCCESSFUL, "12 passed"},
	    {"passed", {12, 0, 0, 3, 0, 0, 15}, UPDATE_SUCCESSFUL, "12 passed, 3 new"},
	    {"Completed", {1, 0, 0, 0, 0, 1, 2}, UPDATE_SUCCESSFUL, "1 passed, 1 empty"},
	    {"New", {0, 0, 0, 4, 0, 0, 4}, UPDATE_SUCCESSFUL, "4 new"},
	    {"New", {0, 0, 0, 0, 0, 0, 0}, UPDATE_INPROGRESS, "no tests yet"},
	    {"Passed", {12, 0, 0, 0, 0, 0, 13}, UPDATE_INPROGRESS, "12 passed, 1 running"},
	    {"Failed", {1, 1, 0, 0, 0, 0, 3}, UPDATE_INPROGRESS, "1 passed, 1 failed, 1 running"},
	    {"Running", {2, 0, 0, 0, 0, 0, 2}, UPDATE_INPROGRESS, "2 passed"},
	    {"PENDING", {0, 3, 0, 0, 0, 0, 3}, UPDATE_INPROGRESS, "3 failed"},
	    {"Passed", {12, 1, 0, 0, 0, 0, 13}, UPDATE_FAILED, "12 passed, 1 failed"},
	    {"Passed", {12, 0, 1, 0, 0, 0, 13}, UPDATE_FAILED, "12 passed, 1 unresolved"},
	    {"Completed", {12, 0, 0, 0, 1, 0, 13}, UPDATE_FAILED, "12 passed, 1 aborted"},
	    {"Whatever", {12, 0, 1, 0, 0, 0, 13}, UPDATE_FAILED, "12 passed, 1 unresolved"},
	    {"Aborted", {0, 0, 0, 0, 0, 0, 0}, UPDATE_FAILED, "no tests yet"},
	    {"Unresolved", {3, 0, 0, 0, 0, 0, 3}, UPDATE_FAILED, "3 passed"},
	    {"Archived", {3, 0, 0, 0, 0, 0, 3}, UPDATE_INPROGRESS, "3 passed, status \"Archived\""},
	    {"?", {0, 0, 0, 0, 0, 0, 0}, UPDATE_INPROGRESS, "no tests yet, status \"?\""},
	    {"none", {3, 0, 0, 0, 0, 0, 3}, UPDATE_INPROGRESS, "3 passed, status \"none\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct batch_entry one = entry("b", rows[i].word, rows[i].counts);
		struct batches_row row = {.count = 1, .entries = &one};
		struct batches_state out;
		assert_true(batches_state_of(&row, &out));
		if (strcmp(out.text, rows[i].text) != 0 || out.state != rows[i].expected)
			fail_msg("%s: %s %s", rows[i].word, out.text, update_state_name(out.state));
		assert_true(out.digest != 0);
		/* Unless a word is unknown it is not shown. */
		if (batch_class(&one) == BATCH_UNKNOWN)
			assert_string_equal(out.unknown, rows[i].word);
	}
}

/* Several batches of one commit: a later green one does not hide a red one. */
static void test_several(void **state)
{
	struct batch_entry list[] = {
	    entry("red", "Unresolved", (struct batch_counts){10, 1, 2, 0, 1, 0, 14}),
	    entry("green", "Passed", (struct batch_counts){5, 0, 0, 2, 0, 1, 8}),
	    entry("odd", "Odd", (struct batch_counts){1, 0, 0, 0, 0, 0, 1}),
	    entry("open", "Running", (struct batch_counts){1, 0, 0, 0, 0, 0, 4}),
	};
	static const struct {
		unsigned first, count;
		enum update_state expected;
		unsigned shown;
		const char *text;
	} rows[] = {
	    {0, 2, UPDATE_FAILED, 0,
	        "15 passed, 1 failed, 2 unresolved, 2 new, 1 aborted, 1 empty"},
	    {0, 3, UPDATE_FAILED, 0,
	        "16 passed, 1 failed, 2 unresolved, 2 new, 1 aborted, 1 empty, status \"Odd\""},
	    {0, 4, UPDATE_INPROGRESS, 3,
	        "17 passed, 1 failed, 2 unresolved, 2 new, 1 aborted, 1 empty, 3 running, status "
	        "\"Odd\""},
	    {1, 1, UPDATE_SUCCESSFUL, 0, "5 passed, 2 new, 1 empty"},
	    {1, 2, UPDATE_INPROGRESS, 1, "6 passed, 2 new, 1 empty, status \"Odd\""},
	};
	struct batches_state out;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct batches_row row = {.count = rows[i].count, .entries = list + rows[i].first};
		assert_true(batches_state_of(&row, &out));
		assert_int_equal(out.state, rows[i].expected);
		assert_int_equal(out.shown, rows[i].shown);
		assert_string_equal(out.text, rows[i].text);
	}
	struct batches_row row = {.count = 2, .entries = list};
	batches_state_of(&row, &out);
	assert_int_equal(out.tests.successful, 17);
	assert_int_equal(out.tests.failed, 4);
	assert_int_equal(out.tests.skipped, 1);
	row.count = 0;
	assert_false(batches_state_of(&row, &out));
}

static void test_text_fits(void **state)
{
	struct batch_entry list[BATCHES_ENTRIES];
	struct batches_row row = {.count = BATCHES_ENTRIES, .entries = list};
	struct batches_state out;
	const uint32_t most = BATCH_COUNT_MAX;

	(void)state;
	for (unsigned i = 0; i < BATCHES_ENTRIES; i++)
		list[i] = entry("x", "a word of 24 characters.",
		    (struct batch_counts){most, most, most, most, most, most, UINT32_MAX});
	list[0].counts = (struct batch_counts){.passed = most};
	assert_true(batches_state_of(&row, &out));
	assert_non_null(strstr(out.text, "running, status \"a word of 24 characters.\""));
}

static void test_merging(void **state)
{
	struct batches_row row;
	struct batch_entry green = entry("g", "Passed", (struct batch_counts){1, 0, 0, 0, 0, 0, 1});
	struct batch_entry red = entry("r", "Failed", (struct batch_counts){0, 1, 0, 0, 0, 0, 1});

	(void)state;
	batches_row_init(&row);
	assert_int_equal(batches_row_merge(&row, &green), BATCHES_CHANGED);
	assert_int_equal(batches_row_merge(&row, &green), BATCHES_SAME);
	green.counts.passed = green.counts.total = 2;
	assert_int_equal(batches_row_merge(&row, &green), BATCHES_CHANGED);
	assert_int_equal(row.count, 1);
	assert_int_equal(row.entries[0].counts.passed, 2);
	snprintf(green.word, sizeof(green.word), "Completed");
	assert_int_equal(batches_row_merge(&row, &green), BATCHES_CHANGED);

	/* A full row: green ones give way to red ones, never the other way round. */
	while (row.count < BATCHES_ENTRIES) {
		snprintf(green.id, sizeof(green.id), "g%u", row.count);
		batches_row_merge(&row, &green);
	}
	snprintf(green.id, sizeof(green.id), "one too many");
	assert_int_equal(batches_row_merge(&row, &green), BATCHES_SAME);
	assert_int_equal(batches_row_merge(&row, &red), BATCHES_CHANGED);
	assert_int_equal(row.count, BATCHES_ENTRIES);
	assert_non_null(batches_row_find(&row, "r"));
	assert_null(batches_row_find(&row, "g"));
	struct batches_state out;
	batches_state_of(&row, &out);
	assert_int_equal(out.state, UPDATE_FAILED);
	for (unsigned i = 1; i < BATCHES_ENTRIES + 5; i++) {
		snprintf(red.id, sizeof(red.id), "r%u", i);
		batches_row_merge(&row, &red);
	}
	assert_int_equal(row.count, BATCHES_ENTRIES);
	batches_row_free(&row);
}

static void test_bytes(void **state)
{
	struct batches_row row, again;
	struct batch_entry one =
	    entry("", "a word of 24 characters.", (struct batch_counts){1, 2, 3, 4, 5, 6, 7});
	struct buf bytes;

	(void)state;
	batches_row_init(&row);
	memset(one.id, 'i', BATCH_ID_MAX);
	for (unsigned i = 0; i < BATCHES_ENTRIES; i++) {
		one.id[0] = (char)('0' + i);
		one.counts.failed = 1;
		batches_row_merge(&row, &one);
	}
	row.reported = UINT64_MAX;
	row.generation = 9;
	row.created_ms = 1769867130000;
	row.state = UPDATE_FAILED;
	row.hint_tried = true;
	memset(row.hint, 'h', BATCH_HINT_MAX);
	memset(row.url, 'u', UPDATE_URL_MAX);
	memset(row.url_id, 'i', BATCH_ID_MAX);
	buf_init(&bytes, EYES_MEMORY_MAX);
	batches_row_pack(&row, &bytes);
	assert_false(bytes.overflow); /* the largest row fits */
	assert_true(batches_row_unpack(&again, bytes.data, bytes.length));
	assert_int_equal(again.count, BATCHES_ENTRIES);
	assert_true(again.reported == UINT64_MAX && again.generation == 9 && again.hint_tried);
	assert_true(again.created_ms == row.created_ms && again.state == UPDATE_FAILED);
	assert_string_equal(again.hint, row.hint);
	assert_string_equal(again.url, row.url);
	assert_memory_equal(
	    &again.entries[7].counts, &row.entries[7].counts, sizeof(struct batch_counts));
	assert_string_equal(again.entries[39].id, row.entries[39].id);
	batches_row_free(&again);
	for (size_t length = 0; length < bytes.length; length++) {
		assert_false(batches_row_unpack(&again, bytes.data, length));
		assert_int_equal(again.count, 0);
	}
	bytes.data[0] = 2;
	assert_false(batches_row_unpack(&again, bytes.data, bytes.length));
	batches_row_free(&row);
	buf_free(&bytes);
}

static void test_ids(void **state)
{
	static const char *const wrong[] = {"", "b.", "x", "b." SHA, "b." SHA ".00000000000000ff.",
	    "b." SHA ".00000000000000FF.1", "b." SHA ".00000000000000ff.1x",
	    "c." SHA ".00000000000000ff.1"};
	char id[BATCHES_ITEM_ID];
	uint64_t digest;
	uint32_t generation;

	(void)state;
	batches_item_id(id, SHA, 255, 7);
	assert_string_equal(id, "b." SHA ".00000000000000ff.7");
	assert_true(batches_item_parse(id, &digest, &generation));
	assert_true(digest == 255 && generation == 7);
	batches_item_id(id, SHA, UINT64_MAX, UINT32_MAX);
	assert_true(batches_item_parse(id, &digest, &generation));
	assert_true(digest == UINT64_MAX && generation == UINT32_MAX);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(batches_item_parse(wrong[i], &digest, &generation));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_batch),
	    cmocka_unit_test(test_several),
	    cmocka_unit_test(test_text_fits),
	    cmocka_unit_test(test_merging),
	    cmocka_unit_test(test_bytes),
	    cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
