/* The listeners, when file descriptors have run out. */
#include "base/mem.h"
#include "web/web_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { RUN_MS = 600 };

static char folder[] = "/tmp/eyes-scm-listen-XXXXXX";

static void answer(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_send_reply(request, 204, "No Content", NULL);
}

static struct evhttp *evhttp_behind(struct web *web, struct gate *gate)
{
	struct evhttp *http = evhttp_new(loop_base(web->loop));

	evhttp_set_gencb(http, answer, web);
	gate_attach(gate, http, NULL);
	return http;
}

static struct web *make(struct loop *loop)
{
	struct web *web = mem_zero(sizeof(*web));
	struct web_options options = {.loop = loop};
	struct err err = ERR_INIT;

	web->loop = loop;
	web->control_path = mem_printf("%s/control.sock", folder);
	web->gate = gate_new(loop, &(struct gate_options){0});
	web->control_gate = gate_new(loop, &(struct gate_options){0});
	web->control = evhttp_behind(web, web->control_gate);
	web->tcp = evhttp_behind(web, web->gate);
	if (!listen_all(web, &options, &err))
		fail_msg("%s", err.message);
	return web;
}

static void end(struct web *web)
{
	listen_end(web);
	evhttp_free(web->control);
	evhttp_free(web->tcp);
	gate_free(web->control_gate);
	gate_free(web->gate);
	free(web->control_path);
	free(web);
}

static int client(const struct web *web)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path, web->control_path, strlen(web->control_path) + 1);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		fail_msg("no connection");
	return fd;
}

static void stop(void *arg)
{
	loop_stop(arg);
}

static double processor_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void run_for(struct loop *loop, uint64_t ms)
{
	struct loop_timer timer;

	loop_timer_init(&timer, loop, stop, loop);
	loop_timer_set(&timer, ms);
	loop_run(loop);
}

/* The error callback took evhttp for a web: it read past its end, and the listener was tried
 * without end. */
static void test_descriptors_that_run_out(void **state)
{
	struct rlimit before, few;
	struct loop *loop = loop_new(NULL);
	struct web *web = make(loop);
	int waiting = client(web), spare = -1;
	double used;
	uint64_t turns;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &before);
	spare = dup(waiting); /* the next number that would be given */
	close(spare);
	few = (struct rlimit){.rlim_cur = (rlim_t)spare, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	used = processor_ms();
	turns = loop_turns(loop);
	run_for(loop, RUN_MS);
	assert_true(loop_turns(loop) - turns < 50);
	assert_true(processor_ms() - used < RUN_MS / 2.0);
	assert_int_equal(gate_connections(web->control_gate), 0);
	setrlimit(RLIMIT_NOFILE, &before);
	run_for(loop, RUN_MS); /* it goes on by itself */
	assert_int_equal(gate_connections(web->control_gate), 1);
	close(waiting);
	end(web);
	loop_free(loop);
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(folder) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_descriptors_that_run_out),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
