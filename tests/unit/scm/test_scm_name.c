/* What people paste: servers' addresses and repositories' names; and cleaning what servers say. */
#include "scm/scm.h"
#include "scm/scm_call.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_clean_url(void **state)
{
	static const struct {
		const char *typed, *result; /* NULL: refused */
	} table[] = {
	    {"https://bitbucket.example.com", "https://bitbucket.example.com"},
	    {"bitbucket.example.com", "https://bitbucket.example.com"},
	    {"  bitbucket.example.com/ \n", "https://bitbucket.example.com"},
	    {"bitbucket.example.com:8443", "https://bitbucket.example.com:8443"},
	    {"localhost:7990/bitbucket", "https://localhost:7990/bitbucket"},
	    {"http://10.1.2.3:7990", "http://10.1.2.3:7990"},
	    {"HTTP://Bitbucket.Example.com/", "http://bitbucket.example.com"},
	    {"//bitbucket.example.com", "https://bitbucket.example.com"},
	    {"https://example.com/bitbucket///", "https://example.com/bitbucket"},
	    {"https://example.com/bitbucket/projects/PAY/repos/web/browse",
	        "https://example.com/bitbucket"},
	    {"https://example.com/projects", "https://example.com"},
	    {"https://example.com/repos?visibility=public", "https://example.com"},
	    {"https://example.com/dashboard", "https://example.com"},
	    {"https://example.com/bitbucket/login?next=/projects/X",
	        "https://example.com/bitbucket"},
	    {"https://example.com/bitbucket?x=1#top", "https://example.com/bitbucket"},
	    {"https://example.com#top", "https://example.com"},
	    {"https://example.com/users/jane/repos/app", "https://example.com"},
	    {"https://example.com/scm/pay/web.git", "https://example.com"},
	    {"https://example.com/bb/rest/api/1.0/repos", "https://example.com/bb"},
	    {"https://example.com/projectsx", "https://example.com/projectsx"},
	    {"https://[2001:db8::1]:7990/x/", "https://[2001:db8::1]:7990/x"},
	    {"[2001:db8::1]", "https://[2001:db8::1]"},
	    {"", NULL},
	    {"   ", NULL},
	    {"ssh://git@example.com:7999/pay/web.git", NULL},
	    {"ftp://example.com", NULL},
	    {"https://jane:secret@example.com", NULL},
	    {"https://", NULL},
	    {"http:", NULL},
	    {"https:/", NULL},
	    {"https://http:", NULL},
	    {"http.example.com", "https://http.example.com"},
	    {"my bitbucket", NULL},
	    {"https://example.com:99999", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct url url;
		struct err err = ERR_INIT;
		char text[4096];
		bool good = scm_clean_url(table[i].typed, &url, &err);
		if (good != (table[i].result != NULL))
			fail_msg("%s: %s", table[i].typed, good ? "accepted" : err.message);
		if (!good) {
			assert_string_equal(err.code, "url_invalid");
			if (strspn(table[i].typed, "htps:/") == strlen(table[i].typed) &&
			    table[i].typed[0] == 'h')
				assert_non_null(strstr(err.message, "incomplete"));
			assert_string_equal(err.field, "url");
			assert_null(strstr(err.message, "secret"));
			continue;
		}
		url_text(&url, text, sizeof(text));
		assert_string_equal(text, table[i].result);
	}
}

static void test_clean_url_long(void **state)
{
	static char typed[8000];
	struct url url;
	struct err err = ERR_INIT;

	(void)state;
	memset(typed, 'a', sizeof(typed) - 1);
	assert_false(scm_clean_url(typed, &url, &err));
}

static void test_parse_name(void **state)
{
	static const struct {
		const char *typed, *project, *slug; /* NULL: refused */
	} table[] = {
	    {"PAY/checkout-web", "PAY", "checkout-web"},
	    {"  PAY/checkout-web\n", "PAY", "checkout-web"},
	    {"~jane/app", "~jane", "app"},
	    {"~jane.doe@x/app", "~jane.doe@x", "app"},
	    {"PAY/web.js", "PAY", "web.js"},
	    {"PAY/web.git", "PAY", "web.git"},
	    {"https://bb.example.com/projects/PAY/repos/web/browse?at=x#1", "PAY", "web"},
	    {"https://bb.example.com/ctx/projects/PAY/repos/web", "PAY", "web"},
	    {"https://bb.example.com/projects/~jane/repos/app/", "~jane", "app"},
	    {"https://bb.example.com/projects/%7Ejane/repos/app/", "~jane", "app"},
	    {"https://bb.example.com/users/jane/repos/app/commits", "~jane", "app"},
	    {"https://bb.example.com/users/~jane/repos/app", "~jane", "app"},
	    {"https://jane@bb.example.com/scm/pay/web.git", "pay", "web"},
	    {"https://bb.example.com/ctx/scm/~jane/app.git", "~jane", "app"},
	    {"ssh://git@bb.example.com:7999/pay/web.git", "pay", "web"},
	    {"", NULL, NULL},
	    {"checkout-web", NULL, NULL},
	    {"Payments / Checkout web", NULL, NULL},
	    {"PAY/Checkout web", NULL, NULL},
	    {"PAY/", NULL, NULL},
	    {"/web", NULL, NULL},
	    {"PAY/..", NULL, NULL},
	    {"../web", NULL, NULL},
	    {"~/web", NULL, NULL},
	    {"PAY/web/more", NULL, NULL},
	    {"PAY/w%2fb", NULL, NULL},
	    {"P\xc3\x84Y/web", NULL, NULL},
	    {"https://bb.example.com/projects/PAY", NULL, NULL},
	    {"https://bb.example.com/dashboard", NULL, NULL},
	    {"https://bb.example.com/projects/PAY/settings/web", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char project[130], slug[130];
		struct err err = ERR_INIT;
		bool good = scm_parse_name(table[i].typed, project, slug, sizeof(slug), &err);
		if (good != (table[i].project != NULL))
			fail_msg("%s: %s", table[i].typed, good ? "accepted" : err.message);
		if (!good) {
			assert_string_equal(err.code, "repo_format");
			assert_true(err.hint[0] != '\0');
			continue;
		}
		assert_string_equal(project, table[i].project);
		assert_string_equal(slug, table[i].slug);
	}
}

static void test_parse_name_long(void **state)
{
	char project[130], slug[130], typed[400];
	struct err err = ERR_INIT;

	(void)state;
	memset(typed, 'a', sizeof(typed));
	typed[128] = '/';
	typed[129 + 128] = '\0';
	assert_true(scm_parse_name(typed, project, slug, sizeof(slug), &err));
	assert_int_equal(strlen(project), 128);
	assert_int_equal(strlen(slug), 128);
	typed[129 + 128] = 'a';
	typed[129 + 129] = '\0';
	assert_false(scm_parse_name(typed, project, slug, sizeof(slug), &err));
}

static void test_clean_text(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		const char *result;
	} table[] = {
	    {"plain", 32, "plain"},
	    {"two\r\nlines\x1b[31m", 32, "two  lines [31m"},
	    {"caf\xc3\xa9", 32, "caf\xc3\xa9"},
	    {"caf\xc3\xa9", 5, "caf"},
	    {"bad\xff\xc3", 32, "bad??"},
	    {"c1\xc2\x9bx", 32, "c1 x"},
	    {"a\xe2\x80\xae"
	     "b",
	        32, "a b"},
	    {"", 1, ""},
	    {"x", 1, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char out[32];
		scm_clean_text(out, table[i].size, table[i].text, strlen(table[i].text));
		assert_string_equal(out, table[i].result);
	}
}

static void test_driver_by_kind(void **state)
{
	(void)state;
	assert_ptr_equal(scm_driver_by_kind("bitbucket-server"), &scm_bitbucket_server);
	assert_null(scm_driver_by_kind("gitea"));
	assert_null(scm_driver_by_kind(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_clean_url),
	    cmocka_unit_test(test_clean_url_long),
	    cmocka_unit_test(test_parse_name),
	    cmocka_unit_test(test_parse_name_long),
	    cmocka_unit_test(test_clean_text),
	    cmocka_unit_test(test_driver_by_kind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
