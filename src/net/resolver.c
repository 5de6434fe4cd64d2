/*
 * A name's way through this file:
 *
 *   resolver_lookup --> literal address, or kept answer --------> lookup_deliver (deferred)
 *                   `-> question --> helper thread: question_run --> question_answered --> every
 * waiting lookup
 *
 * One helper thread serves; while its lookups hang (a dead DNS server takes 10 s a name), up to
 * three, so that one broken name does not hold up the others.
 */
#include "net/resolver.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define RESOLVER_THREADS 3
#define RESOLVER_KEPT 64 /* names */
#define RESOLVER_KEEP_MS 60000
#define RESOLVER_KEEP_FAILURE_MS 5000

struct kept {
	TAILQ_ENTRY(kept) link;
	char host[256];
	uint64_t until_ms;
	struct resolver_answer answer; /* count 0: a failure */
	struct err err;
};

struct resolver_lookup {
	TAILQ_ENTRY(resolver_lookup) link; /* in the question's or the deferred list */
	struct resolver *resolver;
	struct question *question; /* NULL: the answer is here already */
	resolver_fn *fn;           /* NULL: cancelled */
	void *arg;
	uint16_t port;
	struct resolver_answer answer;
	struct err err;
};
TAILQ_HEAD(lookups, resolver_lookup);

struct question {
	TAILQ_ENTRY(question) link;
	struct resolver *resolver;
	struct lookups waiting;
	unsigned thread;
	uint64_t asked_ms;
	/* the helper thread sees only these */
	char host[256];
	int gai_error, system_error;
	struct resolver_answer answer;
};

struct resolver {
	struct loop *loop;
	struct worker *threads[RESOLVER_THREADS];
	unsigned load[RESOLVER_THREADS];
	TAILQ_HEAD(kept_list, kept) kept; /* newest first */
	unsigned kept_count;
	TAILQ_HEAD(, question) questions;
	struct lookups deferred;
};

/* Asking */
static struct kept *kept_find(struct resolver *resolver, const char *host);
static bool literal_address(const char *host, struct resolver_answer *answer);
static void question_ask(
    struct resolver *resolver, struct resolver_lookup *lookup, const char *host);
static unsigned thread_choose(struct resolver *resolver);
/* In the helper thread */
static void question_run(void *arg);
static void answer_loopback(struct resolver_answer *answer);
/* Answering */
static void question_answered(void *arg);
static void kept_add(
    struct resolver *resolver, const struct question *question, const struct err *err);
static void lookup_deliver(void *arg);
static void lookup_call(
    struct resolver_lookup *lookup, const struct resolver_answer *answer, const struct err *err);

struct resolver *resolver_new(struct loop *loop, struct err *err)
{
	struct resolver *resolver = mem_zero(sizeof *resolver);

	resolver->loop = loop;
	TAILQ_INIT(&resolver->kept);
	TAILQ_INIT(&resolver->questions);
	TAILQ_INIT(&resolver->deferred);
	resolver->threads[0] = worker_new(loop, "resolver", err);
	if (resolver->threads[0] == NULL) {
		free(resolver);
		return NULL;
	}
	return resolver;
}

static void question_forget(struct question *question)
{
	struct resolver_lookup *lookup;

	while ((lookup = TAILQ_FIRST(&question->waiting)) != NULL) {
		TAILQ_REMOVE(&question->waiting, lookup, link);
		free(lookup);
	}
}

void resolver_free(struct resolver *resolver)
{
	struct question *question;
	struct resolver_lookup *lookup;
	struct kept *kept;
	bool joined = true;

	if (resolver == NULL)
		return;
	TAILQ_FOREACH(question, &resolver->questions, link)
	question_forget(question);
	for (unsigned i = 0; i < RESOLVER_THREADS;
	     i++) /* answers what is finished, drops the rest */
		joined = worker_free(resolver->threads[i]) && joined;
	while (joined && (question = TAILQ_FIRST(&resolver->questions)) != NULL) {
		TAILQ_REMOVE(&resolver->questions, question, link);
		free(question);
	}
	while ((kept = TAILQ_FIRST(&resolver->kept)) != NULL) {
		TAILQ_REMOVE(&resolver->kept, kept, link);
		free(kept);
	}
	while ((lookup = TAILQ_FIRST(&resolver->deferred)) != NULL) {
		TAILQ_REMOVE(&resolver->deferred, lookup, link);
		lookup->resolver = NULL; /* lookup_deliver frees it */
	}
	free(resolver);
}

struct resolver_lookup *resolver_lookup(
    struct resolver *resolver, const char *host, uint16_t port, resolver_fn *fn, void *arg)
{
	struct resolver_lookup *lookup = mem_zero(sizeof *lookup);
	struct kept *kept;

	lookup->resolver = resolver;
	lookup->fn = fn;
	lookup->arg = arg;
	lookup->port = port;
	if (literal_address(host, &lookup->answer)) {
		TAILQ_INSERT_TAIL(&resolver->deferred, lookup, link);
		loop_defer(resolver->loop, lookup_deliver, lookup);
		return lookup;
	}
	kept = kept_find(resolver, host);
	if (kept != NULL) {
		lookup->answer = kept->answer;
		lookup->answer.cached = true;
		lookup->err = kept->err;
		TAILQ_INSERT_TAIL(&resolver->deferred, lookup, link);
		loop_defer(resolver->loop, lookup_deliver, lookup);
		return lookup;
	}
	question_ask(resolver, lookup, host);
	return lookup;
}

void resolver_cancel(struct resolver_lookup *lookup)
{
	if (lookup->question == NULL) {
		lookup->fn = NULL; /* lookup_deliver frees it */
		return;
	}
	TAILQ_REMOVE(&lookup->question->waiting, lookup, link);
	free(lookup);
}

static struct kept *kept_find(struct resolver *resolver, const char *host)
{
	uint64_t now = clock_monotonic_ms();
	struct kept *kept, *next;

	for (kept = TAILQ_FIRST(&resolver->kept); kept != NULL; kept = next) {
		next = TAILQ_NEXT(kept, link);
		if (strcmp(kept->host, host) != 0)
			continue;
		if (kept->until_ms > now)
			return kept;
		TAILQ_REMOVE(&resolver->kept, kept, link);
		resolver->kept_count--;
		free(kept);
	}
	return NULL;
}

static bool literal_address(const char *host, struct resolver_answer *answer)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&answer->list[0].address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&answer->list[0].address;

	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		answer->list[0].length = sizeof *v4;
	} else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		answer->list[0].length = sizeof *v6;
	} else {
		return false;
	}
	answer->count = 1;
	return true;
}

static void question_ask(
    struct resolver *resolver, struct resolver_lookup *lookup, const char *host)
{
	struct question *question;
	unsigned thread;

	TAILQ_FOREACH(question, &resolver->questions, link)
	{
		if (strcmp(question->host, host) == 0)
			break;
	}
	if (question == NULL) {
		question = mem_zero(sizeof *question);
		question->resolver = resolver;
		TAILQ_INIT(&question->waiting);
		snprintf(question->host, sizeof question->host, "%s", host);
		question->asked_ms = clock_monotonic_ms();
		thread = thread_choose(resolver);
		if (!worker_add(
		        resolver->threads[thread], question_run, question_answered, question)) {
			free(question);
			err_set(&lookup->err, "dns_failed",
			    "%s was not looked up: too many names are being asked", host);
			err_hop(&lookup->err, "DNS");
			TAILQ_INSERT_TAIL(&resolver->deferred, lookup, link);
			loop_defer(resolver->loop, lookup_deliver, lookup);
			return;
		}
		question->thread = thread;
		resolver->load[thread]++;
		TAILQ_INSERT_TAIL(&resolver->questions, question, link);
	}
	lookup->question = question;
	TAILQ_INSERT_TAIL(&question->waiting, lookup, link);
}

/* The least loaded thread that does not hang (a second on one name); where all hang, a new one. */
static unsigned thread_choose(struct resolver *resolver)
{
	uint64_t now = clock_monotonic_ms();
	bool hang[RESOLVER_THREADS] = {false};
	struct question *question;
	unsigned best = 0, unused = RESOLVER_THREADS;

	TAILQ_FOREACH(question, &resolver->questions, link)
	{
		if (now - question->asked_ms >= 1000)
			hang[question->thread] = true;
	}
	for (unsigned i = 0; i < RESOLVER_THREADS; i++) {
		if (resolver->threads[i] == NULL)
			unused = i;
		else if (hang[i] < hang[best] ||
		         (hang[i] == hang[best] && resolver->load[i] < resolver->load[best]))
			best = i;
	}
	if (hang[best] && unused < RESOLVER_THREADS) {
		resolver->threads[unused] = worker_new(resolver->loop, "resolver", NULL);
		if (resolver->threads[unused] != NULL)
			best = unused;
	}
	return best;
}

static void question_run(void *arg)
{
	struct question *question = arg;
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct resolver_answer *answer = &question->answer;
	struct addrinfo *found = NULL;

	question->gai_error = getaddrinfo(question->host, NULL, &hints, &found);
	question->system_error = errno;
	if (question->gai_error != 0) {
		/* it is this machine even where nothing says so (RFC 6761, 6.3): a small
		 * container has no /etc/hosts */
		if (strcmp(question->host, "localhost") == 0)
			answer_loopback(answer);
		return;
	}
	for (struct addrinfo *a = found; a != NULL && answer->count < RESOLVER_ADDRESSES;
	     a = a->ai_next) {
		if (a->ai_family != AF_INET && a->ai_family != AF_INET6)
			continue;
		memcpy(&answer->list[answer->count].address, a->ai_addr, a->ai_addrlen);
		answer->list[answer->count++].length = a->ai_addrlen;
	}
	freeaddrinfo(found);
}

static void answer_loopback(struct resolver_answer *answer)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&answer->list[0].address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&answer->list[1].address;

	v4->sin_family = AF_INET;
	v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	answer->list[0].length = sizeof *v4;
	v6->sin6_family = AF_INET6;
	v6->sin6_addr = in6addr_loopback;
	answer->list[1].length = sizeof *v6;
	answer->count = 2;
}

static void describe_failure(const struct question *question, struct err *err)
{
	const char *words = question->gai_error == EAI_SYSTEM ? strerror(question->system_error)
	                    : question->gai_error != 0        ? gai_strerror(question->gai_error)
	                                                      : "it has no address";

	err_set(err, "dns_failed", "the name %s was not resolved: %s", question->host, words);
	err_hop(err, "DNS");
	if (question->gai_error == EAI_AGAIN)
		err_hint(err,
		    "the name server did not answer: check /etc/resolv.conf and that this machine "
		    "reaches it");
	else
		err_hint(err, "check the name; 'getent hosts %.200s' on this machine must find it",
		    question->host);
}

static void question_answered(void *arg)
{
	struct question *question = arg;
	struct resolver *resolver = question->resolver;
	struct resolver_lookup *lookup;
	struct err err = ERR_INIT;

	TAILQ_REMOVE(&resolver->questions, question, link);
	resolver->load[question->thread]--;
	if (question->answer.count == 0)
		describe_failure(question, &err);
	log_debug("resolver", "answered", log_str("host", question->host),
	    log_uint("addresses", question->answer.count),
	    log_uint("ms", clock_monotonic_ms() - question->asked_ms));
	kept_add(resolver, question, &err);
	while ((lookup = TAILQ_FIRST(&question->waiting)) != NULL) {
		TAILQ_REMOVE(&question->waiting, lookup, link);
		lookup->question = NULL;
		lookup_call(lookup, &question->answer, &err);
		free(lookup);
	}
	free(question);
}

static void kept_add(
    struct resolver *resolver, const struct question *question, const struct err *err)
{
	struct kept *kept;

	if (resolver->kept_count >= RESOLVER_KEPT) {
		kept = TAILQ_LAST(&resolver->kept, kept_list);
		TAILQ_REMOVE(&resolver->kept, kept, link);
		resolver->kept_count--;
		free(kept);
	}
	kept = mem_zero(sizeof *kept);
	memcpy(kept->host, question->host, sizeof kept->host);
	kept->answer = question->answer;
	kept->err = *err;
	kept->until_ms = clock_monotonic_ms() +
	                 (question->answer.count > 0 ? RESOLVER_KEEP_MS : RESOLVER_KEEP_FAILURE_MS);
	TAILQ_INSERT_HEAD(&resolver->kept, kept, link);
	resolver->kept_count++;
}

static void lookup_deliver(void *arg)
{
	struct resolver_lookup *lookup = arg;

	if (lookup->resolver != NULL)
		TAILQ_REMOVE(&lookup->resolver->deferred, lookup, link);
	if (lookup->resolver != NULL && lookup->fn != NULL)
		lookup_call(lookup, &lookup->answer, &lookup->err);
	free(lookup);
}

static void lookup_call(
    struct resolver_lookup *lookup, const struct resolver_answer *answer, const struct err *err)
{
	struct resolver_answer own;

	if (answer->count == 0) {
		lookup->fn(NULL, err, lookup->arg);
		return;
	}
	own = *answer;
	for (unsigned i = 0; i < own.count; i++) {
		/* the port stands at the same place in both families */
		((struct sockaddr_in *)&own.list[i].address)->sin_port = htons(lookup->port);
	}
	lookup->fn(&own, NULL, lookup->arg);
}

void resolver_text(const struct resolver_address *address, char *out, size_t size)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->address;
	char text[INET6_ADDRSTRLEN] = "?";

	if (v4->sin_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
		snprintf(out, size, "%s:%u", text, ntohs(v4->sin_port));
	} else {
		inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
		snprintf(out, size, "[%s]:%u", text, ntohs(v6->sin6_port));
	}
}
