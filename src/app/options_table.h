/*
 * options_table: one row per setting. The parser, --help, --check-config and the checks against the
 * manual all read this table; nothing else knows a setting's name.
 */
#ifndef APP_OPTIONS_TABLE_H
#define APP_OPTIONS_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum option_type {
	OPTION_SWITCH,   /* bool; a flag without a value */
	OPTION_TEXT,     /* low..high bytes */
	OPTION_URL,      /* http or https, without a query */
	OPTION_PROXY,    /* [http://][user:password@]host:port */
	OPTION_TEMPLATE, /* http or https, may have {EYES_SERVER_URL} {orgId} {serverId} ... */
	OPTION_API_PATH, /* "/..." on a server, may have {orgId} */
	OPTION_PATH,     /* a file or folder; absolute once read */
	OPTION_NUMBER,   /* these three are uint64_t, low..high */
	OPTION_SIZE,     /* bytes; K M G */
	OPTION_DURATION, /* milliseconds, written in s m h d */
	OPTION_WORD,     /* unsigned: the place in `words` */
	OPTION_LISTEN,   /* ADDR[:PORT],... */
};

enum option_bits {
	OPTION_SECRET = 1,           /* never shown */
	OPTION_RELOAD = 2,           /* SIGHUP changes it */
	OPTION_FOR_COMMANDS = 4,     /* subcommands take it too */
	OPTION_ENVIRONMENT_ONLY = 8, /* set by the system, not by an administrator */
};

struct option {
	const char *name;  /* in files and in the environment; NULL: flag only */
	const char *other; /* second spelling, loses against the first; or NULL */
	const char *flag;  /* without "--"; NULL: none */
	enum option_type type;
	unsigned bits;
	size_t offset; /* in struct options */
	uint64_t low, high;
	const char *const *words; /* OPTION_WORD: NULL at the end */
	const char *initial;      /* the default, as it would be written; NULL: unset */
	const char *value;        /* what --help calls the value */
	const char *help;         /* lines separated by '\n' */
};

extern const struct option option_table[];
extern const unsigned option_count;

/* NULL when there is none. */
const struct option *option_by_name(const char *name); /* either spelling */
const struct option *option_by_flag(const char *flag);
/* The nearest name, or NULL. */
const char *option_nearest_name(const char *name);
/* Its name, or its flag with "--": for messages. out: at least 64 bytes. */
const char *option_title(const struct option *option, char *out, size_t size);

#endif
