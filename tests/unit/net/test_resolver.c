/*
 * Names to addresses: literals, /etc/hosts, failures, sharing, cancelling.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <string.h>

#include "net/resolver.h"

struct answered {
	struct loop *loop;
	int calls, *left;
	bool ok, cached;
	unsigned count;
	char first[64];
	struct err err;
	struct resolver_lookup *other; /* cancelled from within */
};

static void note(const struct resolver_answer *answer, const struct err *err, void *arg)
{
	struct answered *to = arg;

	to->calls++;
	to->ok = answer != NULL;
	if (answer != NULL) {
		to->count = answer->count;
		to->cached = answer->cached;
		resolver_text(&answer->list[0], to->first, sizeof to->first);
	} else {
		err_copy(&to->err, err);
	}
	if (to->other != NULL)
		resolver_cancel(to->other);
	if (--*to->left == 0)
		loop_stop(to->loop);
}

static struct loop *loop;
static struct resolver *resolver;

static int start(void **state)
{
	(void)state;
	loop = loop_new(NULL);
	resolver = resolver_new(loop, NULL);
	return resolver != NULL ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	resolver_free(resolver);
	loop_free(loop);
	return 0;
}

static void test_literals(void **state)
{
	int left = 2;
	struct answered v4 = {.loop = loop, .left = &left}, v6 = {.loop = loop, .left = &left};

	(void)state;
	resolver_lookup(resolver, "192.0.2.7", 443, note, &v4);
	resolver_lookup(resolver, "2001:db8::7", 8443, note, &v6);
	assert_int_equal(v4.calls + v6.calls, 0);
	loop_run(loop);
	assert_string_equal(v4.first, "192.0.2.7:443");
	assert_string_equal(v6.first, "[2001:db8::7]:8443");
}

static void test_name_is_kept(void **state)
{
	int left = 2;
	struct answered a = {.loop = loop, .left = &left}, b = a, c = a;

	(void)state;
	resolver_lookup(resolver, "localhost", 1, note, &a);
	resolver_lookup(resolver, "localhost", 2, note, &b); /* asked once, answered twice */
	loop_run(loop);
	assert_true(a.ok && b.ok);
	assert_false(a.cached || b.cached);
	assert_string_equal(strrchr(a.first, ':'), ":1");
	assert_string_equal(strrchr(b.first, ':'), ":2");
	left = 1;
	resolver_lookup(resolver, "localhost", 3, note, &c);
	loop_run(loop);
	assert_true(c.ok && c.cached);
	assert_string_equal(strrchr(c.first, ':'), ":3");
}

static void test_failure(void **state)
{
	int left = 1;
	struct answered a = {.loop = loop, .left = &left}, b = a;

	(void)state;
	resolver_lookup(resolver, "no-such-host.invalid", 443, note, &a);
	loop_run(loop);
	assert_false(a.ok);
	assert_string_equal(a.err.code, "dns_failed");
	assert_string_equal(a.err.hop, "DNS");
	assert_non_null(strstr(a.err.message, "no-such-host.invalid"));
	assert_true(a.err.hint[0] != '\0');
	left = 1;
	resolver_lookup(resolver, "no-such-host.invalid", 443, note, &b);
	loop_run(loop);
	assert_false(b.ok);
	assert_string_equal(b.err.message, a.err.message);
}

static void test_cancel(void **state)
{
	int left = 2;
	struct answered kept = {.loop = loop, .left = &left}, gone = kept, literal = kept;

	(void)state;
	resolver_cancel(resolver_lookup(resolver, "localhost", 1, note, &gone));
	resolver_cancel(resolver_lookup(resolver, "127.0.0.1", 1, note, &gone));
	resolver_lookup(resolver, "localhost", 1, note, &kept);
	kept.other = resolver_lookup(resolver, "localhost", 1, note, &gone);
	resolver_lookup(resolver, "127.0.0.1", 1, note, &literal);
	loop_run(loop);
	assert_int_equal(kept.calls, 1);
	assert_int_equal(literal.calls, 1);
	assert_int_equal(gone.calls, 0);
}

/* Freed with lookups of every kind under way: nothing is called, nothing leaks. */
static void test_free_early(void **state)
{
	int left = 9;
	struct answered never = {.loop = loop, .left = &left};
	struct resolver *other = resolver_new(loop, NULL);

	(void)state;
	resolver_lookup(other, "localhost", 1, note, &never);
	resolver_lookup(other, "a.invalid", 1, note, &never);
	resolver_lookup(other, "b.invalid", 1, note, &never);
	resolver_lookup(other, "127.0.0.1", 1, note, &never);
	resolver_free(other);
	assert_int_equal(never.calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_literals, start, stop),
	    cmocka_unit_test_setup_teardown(test_name_is_kept, start, stop),
	    cmocka_unit_test_setup_teardown(test_failure, start, stop),
	    cmocka_unit_test_setup_teardown(test_cancel, start, stop),
	    cmocka_unit_test_setup_teardown(test_free_early, start, stop),
	};

	return cmocka_run_group_tests_name("resolver", tests, NULL, NULL);
}
