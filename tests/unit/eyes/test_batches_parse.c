/*
 * The batches API's answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "eyes/batches_parse.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHA "0123456789abcdef0123456789abcdef01234567"
#define OURS "\"pointerId\":\"" SHA "\""
#define COUNTS                                                                            \
	"\"passed\":1,\"failed\":2,\"unresolved\":3,\"new\":4,\"aborted\":5,\"empty\":6," \
	"\"total\":21"

static void test_pages(void **state)
{
	static const struct {
		const char *batches;
		unsigned count, others, unread;
		const char *word;
	} rows[] = {
	    {"", 0, 0, 0, NULL},
	    {"{\"id\":\"b\"," OURS "," COUNTS ",\"status\":\"Passed\"}", 1, 0, 0, "Passed"},
	    {"{\"id\":\"b\",\"pointerId\":\"0123456789ABCDEF0123456789ABCDEF01234567\"," COUNTS
	     ",\"status\":\"Passed\"}",
	        1, 0, 0, "Passed"},
	    {"{\"id\":\"b\"," OURS "," COUNTS "}", 1, 0, 0, "none"},
	    {"{\"id\":\"b\"," OURS "," COUNTS ",\"status\":null}", 1, 0, 0, "none"},
	    {"{\"id\":\"b\"," OURS "," COUNTS ",\"status\":\"a\\nb\"}", 1, 0, 0, "a?b"},
	    {"{\"id\":\"b\"," OURS "," COUNTS ",\"status\":\"0123456789012345678901234567\"}", 1, 0,
	        0, "012345678901234567890123"},
	    {"{\"id\":\"b\"," OURS ",\"total\":1}", 1, 0, 0, "none"},
	    {"{\"id\":\"b\"," OURS "," COUNTS ",\"status\":7}", 1, 0, 1, "?"},
	    {"{\"id\":\"b\"," OURS ",\"status\":\"Passed\"}", 1, 0, 1, "?"},
	    {"{\"id\":\"b\"," OURS ",\"total\":-1,\"status\":\"Passed\"}", 1, 0, 1, "?"},
	    {"{\"id\":\"b\"," OURS ",\"total\":1,\"passed\":\"1\",\"status\":\"Passed\"}", 1, 0, 1,
	        "?"},
	    {"{\"id\":\"b\"," OURS ",\"total\":99999999999,\"status\":\"Passed\"}", 1, 0, 1, "?"},
	    {"{\"id\":\"\"," OURS "," COUNTS "}", 0, 0, 1, NULL},
	    {"{" OURS "," COUNTS "}", 0, 0, 1, NULL},
	    {"{\"id\":\"b\",\"pointerId\":\"my nightly run\"," COUNTS "}", 0, 1, 0, NULL},
	    {"{\"id\":\"b\",\"pointerId\":\"" SHA "0\"," COUNTS "}", 0, 1, 0, NULL},
	    {"{\"id\":\"b\",\"pointerId\":null},7,[],{}", 0, 4, 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char body[1024];
		struct batches_page page;
		struct err err = ERR_INIT;
		snprintf(body, sizeof(body), "{\"batches\":[%s]}", rows[i].batches);
		assert_true(batches_parse_page(body, strlen(body), &page, &err));
		assert_int_equal(page.count, rows[i].count);
		assert_int_equal(page.others, rows[i].others);
		assert_int_equal(page.unread, rows[i].unread);
		if (page.count > 0) {
			assert_string_equal(page.list[0].sha, SHA);
			assert_string_equal(page.list[0].entry.id, "b");
			assert_string_equal(page.list[0].entry.word, rows[i].word);
		}
		free(page.list);
	}
}

static void test_counts(void **state)
{
	static const char body[] =
	    "{\"batches\":[{\"id\":\"b\"," OURS "," COUNTS ",\"status\":\"x\"}]}";
	struct batches_page page;

	(void)state;
	assert_true(batches_parse_page(body, strlen(body), &page, NULL));
	const struct batch_counts *counts = &page.list[0].entry.counts;
	assert_int_equal(counts->passed, 1);
	assert_int_equal(counts->failed, 2);
	assert_int_equal(counts->unresolved, 3);
	assert_int_equal(counts->fresh, 4);
	assert_int_equal(counts->aborted, 5);
	assert_int_equal(counts->empty, 6);
	assert_int_equal(counts->total, 21);
	free(page.list);
}

static void test_bad_pages(void **state)
{
	static const char *const rows[] = {
	    "", "{}", "[]", "{\"batches\":{}}", "<html>", "{\"batches\":["};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct batches_page page;
		struct err err = ERR_INIT;
		assert_false(batches_parse_page(rows[i], strlen(rows[i]), &page, &err));
		assert_non_null(err.code);
		assert_null(page.list);
	}
}

static void test_details(void **state)
{
	static const struct {
		const char *body;
		bool good, has_counts;
		const char *url, *hint;
	} rows[] = {
	    {"{\"statistics\":{" COUNTS "},\"batchUrl\":\"https://e/b/1\"}", true, true,
	        "https://e/b/1", ""},
	    {"{\"statistics\":{" COUNTS
	     "},\"batchUrl\":\"https://e/b/1#x\",\"tests\":[{},7,{\"branchName\":\"default\"},"
	     "{\"branchName\":\"o/r/feature/x\"},{\"branchName\":\"p/q/r\"}]}",
	        true, true, "https://e/b/1#x", "o/r/feature/x"},
	    {"{\"statistics\":{" COUNTS "},\"tests\":[{\"branchName\":\"/r/"
	     "x\"},{\"branchName\":\"o//x\"},{\"branchName\":\"o/r\"}]}",
	        true, true, "", ""},
	    {"{\"batchUrl\":\"javascript:1\"}", true, false, "", ""},
	    {"{\"batchUrl\":\"https://u:p@e/\",\"statistics\":{}}", true, false, "", ""},
	    {"{\"batchUrl\":7,\"tests\":{}}", true, false, "", ""},
	    {"{\"statistics\":[]}", false, false, "", ""},
	    {"<html>", false, false, "", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct batch_detail detail;
		assert_int_equal(
		    batches_parse_detail(rows[i].body, strlen(rows[i].body), &detail, NULL),
		    rows[i].good);
		assert_int_equal(detail.has_counts, rows[i].has_counts);
		assert_string_equal(detail.url, rows[i].url);
		assert_string_equal(detail.hint, rows[i].hint);
	}
}

static void test_links(void **state)
{
	static const struct {
		const char *link, *next; /* next NULL: none; "": wrong */
	} rows[] = {
	    {NULL, NULL},
	    {"<https://e.example/api/v1/batches?start=a&skipTo=x%2By>; rel=\"next\"",
	        "https://e.example/api/v1/batches?start=a&skipTo=x%2By"},
	    {"<https://e.example/first>; rel=\"first\", <?skipTo=2>; rel=next",
	        "https://e.example/api/v1/batches?skipTo=2"},
	    {"</other?x=1>; rel=\"next\"", "https://e.example/other?x=1"},
	    {"<https://e.example/x>; rel=\"prev\"", NULL},
	    {"<https://evil.example/api/v1/batches?skipTo=2>; rel=\"next\"", ""},
	    {"<http://e.example/api/v1/batches?skipTo=2>; rel=\"next\"", ""},
	    {"<https://e.example:444/api/v1/batches?skipTo=2>; rel=\"next\"", ""},
	    {"</api/v1/batches?start=a>; rel=\"next\"", ""},
	    {"garbage", NULL},
	};
	struct url asked;

	(void)state;
	assert_true(url_parse(&asked, "https://e.example/api/v1/batches?start=a", NULL));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http_head head = {.field_count = 2,
		    .fields = {{"Link", "<x>; rel=\"self\""}, {"link", rows[i].link}}};
		struct url next;
		struct err err = ERR_INIT;
		char text[4096];
		if (rows[i].link == NULL)
			head.field_count = 0;
		enum batches_next got = batches_next_page(&next, &asked, &head, &err);
		if (rows[i].next == NULL) {
			assert_int_equal(got, BATCHES_LAST);
		} else if (rows[i].next[0] == '\0') {
			assert_int_equal(got, BATCHES_WRONG);
			assert_non_null(err.code);
		} else {
			assert_int_equal(got, BATCHES_MORE);
			url_text(&next, text, sizeof(text));
			assert_string_equal(text, rows[i].next);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pages),
	    cmocka_unit_test(test_counts),
	    cmocka_unit_test(test_bad_pages),
	    cmocka_unit_test(test_details),
	    cmocka_unit_test(test_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
