/*
 * log: one line an event, as logfmt or JSON, to standard error (or to syslog when daemonised
 * without a terminal).
 *
 *   log_info("poller", "Eyes answers again", log_uint("down_ms", n));
 *   -> time=2026-01-31T13:45:30.123Z level=info scope=poller msg="Eyes answers again" down_ms=81
 *
 * `scope` is the room or a connection's prefix ("http 12 bitbucket.example.com:443"). Outside bytes
 * are escaped and cut at 512; a field made with log_secret prints "[redacted]" whatever it holds:
 * redaction is by type, never by searching. log_limited_* lets one line through a `struct
 * log_limit` per minute and adds how many were left out.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/crypto.h"
#include "base/err.h"
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

enum log_type { LOG_END, LOG_STRING, LOG_INT, LOG_UINT, LOG_BOOL, LOG_SECRET, LOG_ERROR };
struct log_field {
	const char *name; /* literal */
	enum log_type type;
	union {
		const char *string;
		int64_t integer;
		uint64_t unsigned_integer;
		bool boolean;
		const struct err *err; /* prints code, hop, error, hint as fields */
	} value;
};

struct log_limit {
	uint64_t next_ms;
	uint64_t left_out;
};

static inline struct log_field log_str(const char *name, const char *value)
{
	return (struct log_field){.name = name, .type = LOG_STRING, .value.string = value};
}
static inline struct log_field log_int(const char *name, int64_t value)
{
	return (struct log_field){.name = name, .type = LOG_INT, .value.integer = value};
}
static inline struct log_field log_uint(const char *name, uint64_t value)
{
	return (struct log_field){.name = name, .type = LOG_UINT, .value.unsigned_integer = value};
}
static inline struct log_field log_bool(const char *name, bool value)
{
	return (struct log_field){.name = name, .type = LOG_BOOL, .value.boolean = value};
}
static inline struct log_field log_secret(const char *name, const struct secret *value)
{
	(void)value;
	return (struct log_field){.name = name, .type = LOG_SECRET};
}
static inline struct log_field log_err(const struct err *err)
{
	return (struct log_field){.name = "err", .type = LOG_ERROR, .value.err = err};
}

static inline struct log_field log_end(void)
{
	return (struct log_field){.type = LOG_END};
}

void log_set_level(enum log_level level);
enum log_level log_level(void);
void log_set_format(enum log_format format);
void log_to_syslog(const char *ident); /* from now on; used by --daemon */
bool log_parse_level(const char *text, enum log_level *level);
bool log_parse_format(const char *text, enum log_format *format);

void log_emit(enum log_level level, struct log_limit *limit, const char *scope, const char *message,
    const struct log_field *fields);

#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ) log_end()})
#define log_at(level_, limit_, scope_, message_, ...)                                        \
	do {                                                                                 \
		if ((level_) <= log_level())                                                 \
			log_emit(level_, limit_, scope_, message_, LOG_FIELDS(__VA_ARGS__)); \
	} while (0)
#define log_error(scope, message, ...) log_at(LOG_LEVEL_ERROR, NULL, scope, message, __VA_ARGS__)
#define log_warn(scope, message, ...) log_at(LOG_LEVEL_WARN, NULL, scope, message, __VA_ARGS__)
#define log_info(scope, message, ...) log_at(LOG_LEVEL_INFO, NULL, scope, message, __VA_ARGS__)
#define log_debug(scope, message, ...) log_at(LOG_LEVEL_DEBUG, NULL, scope, message, __VA_ARGS__)
#define log_limited_error(limit, scope, message, ...) \
	log_at(LOG_LEVEL_ERROR, limit, scope, message, __VA_ARGS__)
#define log_limited_warn(limit, scope, message, ...) \
	log_at(LOG_LEVEL_WARN, limit, scope, message, __VA_ARGS__)

#endif
