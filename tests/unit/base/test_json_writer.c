#include "base/json_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <string.h>

static struct buf out;
static struct json_writer writer;

static int setup(void **state)
{
	(void)state;
	buf_init(&out, 4096);
	json_writer_init(&writer, &out);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_free(&out);
	return 0;
}

static void test_commas_and_nesting(void **state)
{
	(void)state;
	json_open_object(&writer, NULL);
	json_open_array(&writer, "empty");
	json_close_array(&writer);
	json_open_array(&writer, "list");
	json_write_int(&writer, NULL, 1);
	json_write_string(&writer, NULL, "two");
	json_open_object(&writer, NULL);
	json_write_bool(&writer, "yes", true);
	json_write_null(&writer, "none");
	json_close_object(&writer);
	json_close_array(&writer);
	json_write_bool(&writer, "no", false);
	json_close_object(&writer);
	assert_string_equal(out.data,
	    "{\"empty\":[],\"list\":[1,\"two\",{\"yes\":true,\"none\":null}],\"no\":false}");
}

static void test_values(void **state)
{
	struct buf raw;

	(void)state;
	buf_init(&raw, 64);
	buf_puts(&raw, "[{}]");
	json_open_object(&writer, NULL);
	json_write_int(&writer, "low", INT64_MIN);
	json_write_int(&writer, "high", INT64_MAX);
	json_write_string(&writer, "odd", "a\"\\\n\x01\xff\xc3\xa9");
	json_write_string(&writer, "empty", "");
	json_write_text(&writer, "left out", "");
	json_write_text(&writer, "left out too", NULL);
	json_write_time(&writer, "never", 0);
	json_write_time(&writer, "then", 1769867130123);
	json_write_raw(&writer, "raw", &raw);
	json_close_object(&writer);
	assert_string_equal(out.data,
	    "{\"low\":-9223372036854775808,\"high\":9223372036854775807,"
	    "\"odd\":\"a\\\"\\\\\\n\\u0001\xef\xbf\xbd\xc3\xa9\",\"empty\":\"\","
	    "\"then\":\"2026-01-31T13:45:30.123Z\",\"raw\":[{}]}");
	buf_free(&raw);
}

static void test_errors(void **state)
{
	struct err err = ERR_INIT;
	struct buf trace;

	(void)state;
	buf_init(&trace, 64);
	err_set(&err, "server_dns", "the name %s is not known here", "x");
	err_hint(&err, "Check the spelling.");
	json_open_object(&writer, NULL);
	json_write_err(&writer, "error", &err, &trace);
	buf_puts(&trace, "[1]");
	err_hop(&err, "DNS");
	err_field(&err, "url");
	json_write_err(&writer, "again", &err, &trace);
	json_close_object(&writer);
	assert_string_equal(out.data,
	    "{\"error\":{\"code\":\"server_dns\",\"message\":\"the name x is not known here\","
	    "\"hint\":\"Check the spelling.\"},\"again\":{\"code\":\"server_dns\","
	    "\"message\":\"the name x is not known here\",\"hop\":\"DNS\","
	    "\"hint\":\"Check the spelling.\",\"field\":\"url\",\"trace\":[1]}}");
	buf_free(&trace);
}

static void test_a_full_buffer_shows(void **state)
{
	(void)state;
	buf_free(&out);
	buf_init(&out, 10);
	json_open_object(&writer, NULL);
	json_write_string(&writer, "name", "longer than ten bytes");
	json_close_object(&writer);
	assert_true(out.overflow);
	assert_in_range(out.length, 0, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_commas_and_nesting, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_values, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_full_buffer_shows, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
