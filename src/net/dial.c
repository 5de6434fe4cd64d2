/*
 *   dial_start --> dial_next --> attempt_start --> attempt_ready --> dial_finish (won)
 *                    ^  timer: 250 ms                  | failed
 *                    `---------------------------------'  none left, or the deadline -->
 * dial_finish (lost)
 */
#include "net/dial.h"
#include "base/clock.h"
#include "base/mem.h"
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define DIAL_STAGGER_MS 250

struct attempt {
	struct dial *dial;
	struct event event;
	int fd; /* -1: not begun or over */
	char text[128];
};

struct dial {
	struct loop *loop;
	struct loop_timer timer;
	dial_fn *fn;
	void *arg;
	uint64_t deadline_at;
	uint32_t deadline_ms;
	unsigned count, next, open;
	struct resolver_address list[RESOLVER_ADDRESSES];
	struct attempt attempts[RESOLVER_ADDRESSES];
	int refused, failed; /* how many ended so */
	int last_error;      /* errno of the last failure, and whose it was */
	unsigned last;
};

static void dial_next(void *arg);
static bool attempt_start(struct dial *dial, struct attempt *attempt);
static void attempt_ready(int fd, short what, void *arg);
static void attempt_failed(struct attempt *attempt, int error);
static void attempt_close(struct attempt *attempt);
static void dial_describe(const struct dial *dial, bool late, struct err *err);
static void dial_finish(struct dial *dial, int fd, const char *address, const struct err *err);

static struct dial *dial_new(struct loop *loop, uint32_t deadline_ms, dial_fn *fn, void *arg)
{
	struct dial *dial = mem_zero(sizeof *dial);

	dial->loop = loop;
	dial->fn = fn;
	dial->arg = arg;
	dial->deadline_ms = deadline_ms;
	dial->deadline_at = clock_monotonic_ms() + deadline_ms;
	for (unsigned i = 0; i < RESOLVER_ADDRESSES; i++) {
		dial->attempts[i].dial = dial;
		dial->attempts[i].fd = -1;
	}
	loop_timer_init(&dial->timer, loop, dial_next, dial);
	loop_timer_set(&dial->timer, 0);
	return dial;
}

struct dial *dial_start(struct loop *loop, const struct resolver_answer *addresses,
    uint32_t deadline_ms, dial_fn *fn, void *arg)
{
	struct dial *dial = dial_new(loop, deadline_ms, fn, arg);

	dial->count = addresses->count;
	for (unsigned i = 0; i < dial->count; i++) {
		dial->list[i] = addresses->list[i];
		resolver_text(
		    &dial->list[i], dial->attempts[i].text, sizeof dial->attempts[i].text);
	}
	return dial;
}

struct dial *dial_unix(
    struct loop *loop, const char *path, uint32_t deadline_ms, dial_fn *fn, void *arg)
{
	struct dial *dial = dial_new(loop, deadline_ms, fn, arg);
	struct sockaddr_un *address = (struct sockaddr_un *)&dial->list[0].address;

	dial->count = 1;
	dial->list[0].length = sizeof *address;
	address->sun_family = AF_UNIX;
	snprintf(dial->attempts[0].text, sizeof dial->attempts[0].text, "%s", path);
	if (strlen(path) < sizeof address->sun_path)
		memcpy(address->sun_path, path, strlen(path) + 1);
	else
		dial->list[0].length = 0; /* connect says EINVAL */
	return dial;
}

void dial_cancel(struct dial *dial)
{
	if (dial == NULL)
		return;
	for (unsigned i = 0; i < dial->count; i++)
		attempt_close(&dial->attempts[i]);
	loop_timer_cancel(&dial->timer);
	free(dial);
}

/* Starts the next attempt, or ends the whole when nothing is left or the deadline has passed. */
static void dial_next(void *arg)
{
	struct dial *dial = arg;
	uint64_t now = clock_monotonic_ms(), wait;
	struct err err = ERR_INIT;

	if (now >= dial->deadline_at) {
		dial_describe(dial, true, &err);
		dial_finish(dial, -1, "", &err);
		return;
	}
	while (dial->next < dial->count && !attempt_start(dial, &dial->attempts[dial->next++]))
		;
	if (dial->open == 0 && dial->next >= dial->count) {
		dial_describe(dial, false, &err);
		dial_finish(dial, -1, "", &err);
		return;
	}
	wait = dial->deadline_at - now;
	if (dial->next < dial->count && wait > DIAL_STAGGER_MS)
		wait = DIAL_STAGGER_MS;
	loop_timer_set(&dial->timer, wait);
}

/* False when it failed at once. */
static bool attempt_start(struct dial *dial, struct attempt *attempt)
{
	const struct resolver_address *to = &dial->list[attempt - dial->attempts];
	const struct sockaddr *address = (const struct sockaddr *)&to->address;
	int yes = 1;

	attempt->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (attempt->fd < 0) {
		attempt_failed(attempt, errno);
		return false;
	}
	dial->open++;
	if (address->sa_family != AF_UNIX)
		setsockopt(attempt->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	event_assign(
	    &attempt->event, loop_base(dial->loop), attempt->fd, EV_WRITE, attempt_ready, attempt);
	if ((connect(attempt->fd, address, to->length) != 0 && errno != EINPROGRESS) ||
	    event_add(&attempt->event, NULL) != 0) {
		attempt_failed(attempt, errno);
		return false;
	}
	return true;
}

static void attempt_ready(int fd, short what, void *arg)
{
	struct attempt *attempt = arg;
	int error = 0;
	socklen_t length = sizeof error;

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
		error = errno;
	if (error != 0) {
		attempt_failed(attempt, error);
		dial_next(attempt->dial);
		return;
	}
	event_del(&attempt->event);
	attempt->fd = -1; /* now the callee's */
	dial_finish(attempt->dial, fd, attempt->text, NULL);
}

static void attempt_failed(struct attempt *attempt, int error)
{
	struct dial *dial = attempt->dial;

	attempt_close(attempt);
	dial->failed++;
	dial->refused += error == ECONNREFUSED;
	dial->last_error = error;
	dial->last = (unsigned)(attempt - dial->attempts);
}

static void attempt_close(struct attempt *attempt)
{
	if (attempt->fd < 0)
		return;
	if (event_initialized(&attempt->event))
		event_del(&attempt->event);
	close(attempt->fd);
	attempt->fd = -1;
	attempt->dial->open--;
}

static void describe_late(const struct dial *dial, struct err *err)
{
	unsigned silent = 0;

	while (silent < dial->count && dial->attempts[silent].fd < 0)
		silent++;
	if (silent >= dial->count)
		silent = 0;
	err_set(err, "connect_timeout", "%s did not answer within %g s",
	    dial->attempts[silent].text, dial->deadline_ms / 1000.0);
	err_hint(err,
	    "a firewall may drop the connection: allow it from this machine, or set HTTPS_PROXY");
}

static void dial_describe(const struct dial *dial, bool late, struct err *err)
{
	const char *address = dial->attempts[dial->last].text;

	if (late) {
		describe_late(dial, err);
	} else if (dial->failed > 0 && dial->refused == dial->failed) {
		err_set(err, "connect_refused", "%s refused the connection", address);
		err_hint(err, "check the port, and that the server runs");
	} else {
		err_set(err, "connect_failed", "no connection to %s: %s", address,
		    strerror(dial->last_error));
		err_hint(err, "check the address and this machine's network and routes");
	}
	if (dial->count > 1) {
		size_t used = strlen(err->message);

		snprintf(err->message + used, sizeof err->message - used,
		    " (%u addresses tried, %d refused)", dial->next, dial->refused);
	}
}

static void dial_finish(struct dial *dial, int fd, const char *address, const struct err *err)
{
	dial_fn *fn = dial->fn;
	void *arg = dial->arg;
	char text[128];

	snprintf(text, sizeof text, "%s", address);
	dial_cancel(dial);
	fn(fd, text, err, arg);
}
