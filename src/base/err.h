/*
 * err: an error with its context.
 *
 * Whoever knows the fault fills it in; whoever can tell the user prints it. The last parameter of
 * every function that can fail is a `struct err *`; passing NULL means that the caller does not
 * want the words.
 *
 * What always holds: code is a string literal or NULL (no error); the texts are cut, never overrun,
 * and contain no secret. An error that is set twice keeps the later words.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

struct err {
	const char *code;  /* literal such as "tls_untrusted"; NULL while there is no error */
	char hop[64];      /* where: "DNS", "TCP 443", "TLS", "Bitbucket, HTTP 401" */
	char message[512]; /* what happened, present tense */
	char hint[320];    /* what to do; may be empty */
	char field[64];    /* which input is at fault; may be empty */
};

#define ERR_INIT  \
	{         \
		0 \
	}

/* Sets code and message and clears the rest. Always returns false, so that `return err_set(...)`
 * reads well. */
bool err_set(struct err *err, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void err_hop(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void err_hint(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void err_field(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Puts "<words>: " before the message. */
void err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void err_clear(struct err *err);
void err_copy(struct err *to, const struct err *from); /* both may be NULL */
bool err_is(const struct err *err, const char *code);

/* Ends the process with a message: for allocation failure and broken invariants only. */
void fatal(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
