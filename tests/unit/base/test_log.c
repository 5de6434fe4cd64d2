#include "base/json.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Standard error goes to a file while a test runs. */
static int saved_stderr;
static char text[65536];

static int capture(void **state)
{
	char path[] = "/tmp/test_log.XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	unlink(path);
	saved_stderr = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
	log_set_level(LOG_LEVEL_INFO);
	log_set_format(LOG_FORMAT_LOGFMT);
	return 0;
}

static int release(void **state)
{
	(void)state;
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	return 0;
}

/* What was logged since the last call. */
static const char *logged(void)
{
	ssize_t length = pread(STDERR_FILENO, text, sizeof(text) - 1, 0);

	text[length > 0 ? length : 0] = '\0';
	if (ftruncate(STDERR_FILENO, 0) != 0)
		fail();
	lseek(STDERR_FILENO, 0, SEEK_SET);
	return text;
}

/* The same, without the time that every line begins with. */
static const char *logged_after_time(void)
{
	const char *line = logged();

	assert_memory_equal(line, "time=20", 7);
	assert_memory_equal(line + 28, "Z ", 2);
	return line + 30;
}

static void test_a_line(void **state)
{
	struct secret token = {.data = (char[]){"hunter2"}, .length = 7};

	(void)state;
	log_info("poller", "Eyes answers again", log_str("origin", "https://eyes"),
	    log_int("a", -7), log_uint("b", UINT64_MAX), log_bool("c", true), log_bool("d", false),
	    log_secret("token", &token), log_str("none", NULL), log_str("empty", ""));
	assert_string_equal(logged_after_time(),
	    "level=info scope=poller msg=\"Eyes answers again\" origin=https://eyes a=-7 "
	    "b=18446744073709551615 c=true d=false token=[redacted] none=\"\" empty=\"\"\n");
	log_warn("http 12 h:443", "x");
	assert_string_equal(logged_after_time(), "level=warn scope=\"http 12 h:443\" msg=x\n");
}

static void test_outside_bytes_are_escaped(void **state)
{
	static const struct {
		const char *value, *expected;
	} cases[] = {
	    {"plain:/-_.,'", "plain:/-_.,'"},
	    {"a b", "\"a b\""},
	    {"a=b", "\"a=b\""},
	    {"a\"b", "\"a\\\"b\""},
	    {"a\\b", "\"a\\\\b\""},
	    {"x\nlevel=error", "\"x\\nlevel=error\""},
	    {"\r\t", "\"\\r\\t\""},
	    {"\x1b[31m", "\"\\x1b[31m\""},
	    {"\x7f", "\"\\x7f\""},
	    {"\xff\xc3", "\"\\xff\\xc3\""},
	    {"\xc2\x9b", "\"\\u009b\""}, /* one byte's CSI for some terminals */
	    {"\xc3\xa9", "\xc3\xa9"},
	};
	char expected[200];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		log_info("s", "m", log_str("v", cases[i].value));
		snprintf(expected, sizeof(expected), "level=info scope=s msg=m v=%s\n",
		    cases[i].expected);
		assert_string_equal(logged_after_time(), expected);
	}
}

static void test_json_lines(void **state)
{
	struct err err = ERR_INIT, json_err = ERR_INIT;
	const char *out;
	int64_t number;
	bool boolean = false;

	(void)state;
	log_set_format(LOG_FORMAT_JSON);
	err_set(&err, "tls_untrusted", "not trusted");
	log_error("a \"b\"", "x\ny\x1b\xff\xc2\x9b\\", log_uint("n", 7), log_bool("t", true),
	    log_err(&err), log_str("none", NULL), log_secret("token", NULL));
	const char *line = logged();
	assert_int_equal(line[strlen(line) - 1], '\n');
	assert_null(strchr(line, '\x1b'));
	json_t *document = json_parse(line, strlen(line), sizeof(text), &json_err);
	assert_non_null(document);
	struct json_at root = json_root(document, "");
	assert_true(json_get_string(&root, "msg", 100, &out, NULL));
	assert_string_equal(out, "x\ny\x1b\xef\xbf\xbd\xc2\x9b\\");
	assert_true(json_get_string(&root, "scope", 100, &out, NULL));
	assert_string_equal(out, "a \"b\"");
	assert_true(json_get_string(&root, "level", 100, &out, NULL));
	assert_string_equal(out, "error");
	assert_true(json_get_string(&root, "time", 24, &out, NULL));
	assert_true(json_get_string(&root, "code", 100, &out, NULL));
	assert_string_equal(out, "tls_untrusted");
	assert_true(json_get_string(&root, "err", 100, &out, NULL));
	assert_true(json_get_string(&root, "token", 100, &out, NULL));
	assert_string_equal(out, "[redacted]");
	assert_true(json_get_int(&root, "n", 7, 7, &number, NULL));
	assert_true(json_opt_bool(&root, "t", &boolean, NULL) && boolean);
	json_decref(document);
}

static void test_errors_are_fields(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	log_warn("s", "m", log_err(&err), log_err(NULL), log_int("n", 1));
	assert_string_equal(logged_after_time(), "level=warn scope=s msg=m n=1\n");
	err_set(&err, "dns", "no such name");
	err_hop(&err, "DNS");
	err_hint(&err, "look at the name");
	err_field(&err, "url");
	log_warn("s", "m", log_err(&err));
	assert_string_equal(logged_after_time(), "level=warn scope=s msg=m err=\"no such name\" "
	                                         "code=dns hop=DNS hint=\"look at the name\" "
	                                         "field=url\n");
}

static void test_long_values_are_cut(void **state)
{
	char value[600], expected[600];

	(void)state;
	memset(value, 'x', sizeof(value));
	value[512] = '\0';
	memcpy(expected, value, 513);
	log_info("s", "m", log_str("v", value));
	assert_non_null(strstr(logged(), expected));
	memcpy(value + 511, "\xc3\xa9", 2);
	value[513] = '\0';
	memcpy(expected + 511, "...\n", 5); /* the character is not cut in two */
	log_info("s", "m", log_str("v", value));
	assert_non_null(strstr(logged(), expected));
}

static void log_much(void)
{
	char value[513];

	memset(value, 1, 512);
	value[512] = '\0';
	log_info("s", "m", log_str("a", value), log_str("b", value), log_str("c", value),
	    log_str("d", value), log_str("e", value), log_str("f", value), log_str("g", value),
	    log_str("h", value), log_str("i", value), log_str("j", value), log_uint("last", 7));
}

static void test_lines_are_bounded(void **state)
{
	const char *line;

	(void)state;
	log_much();
	line = logged();
	assert_true(strlen(line) <= 16384);
	assert_string_equal(line + strlen(line) - 10, " cut=true\n");
	log_set_format(LOG_FORMAT_JSON);
	log_much();
	line = logged();
	assert_true(strlen(line) <= 16384);
	json_t *document = json_parse(line, strlen(line), sizeof(text), NULL);
	assert_non_null(document);
	assert_true(json_is_true(json_object_get(document, "cut")));
	json_decref(document);
}

static void test_levels(void **state)
{
	int evaluated = 0;
	enum log_level level;
	enum log_format format;

	(void)state;
	log_debug("s", "m", log_int("n", ++evaluated));
	assert_string_equal(logged(), "");
	assert_int_equal(evaluated, 0);
	log_set_level(LOG_LEVEL_ERROR);
	log_warn("s", "m");
	assert_string_equal(logged(), "");
	log_error("s", "m");
	assert_string_equal(logged_after_time(), "level=error scope=s msg=m\n");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("s", "m");
	assert_string_equal(logged_after_time(), "level=debug scope=s msg=m\n");
	assert_true(log_parse_level("warn", &level));
	assert_int_equal(level, LOG_LEVEL_WARN);
	assert_true(log_parse_level("debug", &level));
	assert_false(log_parse_level("WARN", &level));
	assert_false(log_parse_level("", &level));
	assert_true(log_parse_format("json", &format));
	assert_int_equal(format, LOG_FORMAT_JSON);
	assert_true(log_parse_format("logfmt", &format));
	assert_false(log_parse_format("text", &format));
}

static void test_limited_lines(void **state)
{
	struct log_limit limit = {0}, other = {0};

	(void)state;
	for (int i = 0; i < 1000; i++)
		log_limited_warn(&limit, "s", "m");
	assert_string_equal(logged_after_time(), "level=warn scope=s msg=m\n");
	log_limited_error(&other, "s", "n");
	assert_string_equal(logged_after_time(), "level=error scope=s msg=n\n");
	limit.next_ms = 0; /* a minute has passed */
	log_limited_warn(&limit, "s", "m");
	assert_string_equal(logged_after_time(), "level=warn scope=s msg=m left_out=999\n");
	limit.next_ms = 0;
	log_limited_warn(&limit, "s", "m");
	assert_string_equal(logged_after_time(), "level=warn scope=s msg=m\n");
}

static void test_errno_survives(void **state)
{
	(void)state;
	errno = ENOTTY;
	log_info("s", "m");
	assert_int_equal(errno, ENOTTY);
	logged();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_a_line, capture, release),
	    cmocka_unit_test_setup_teardown(test_outside_bytes_are_escaped, capture, release),
	    cmocka_unit_test_setup_teardown(test_json_lines, capture, release),
	    cmocka_unit_test_setup_teardown(test_errors_are_fields, capture, release),
	    cmocka_unit_test_setup_teardown(test_long_values_are_cut, capture, release),
	    cmocka_unit_test_setup_teardown(test_lines_are_bounded, capture, release),
	    cmocka_unit_test_setup_teardown(test_levels, capture, release),
	    cmocka_unit_test_setup_teardown(test_limited_lines, capture, release),
	    cmocka_unit_test_setup_teardown(test_errno_survives, capture, release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
