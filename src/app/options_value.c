#include "app/options_value.h"

#include "app/options_listen.h"
#include "base/codec.h"
#include "base/mem.h"
#include "base/url.h"
#include "net/proxy.h"
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define CODE "option_invalid"
enum { VALUE_MAX = 8192 };

struct unit {
	char letter;
	uint64_t factor;
};
/* The largest first. */
static const struct unit SIZES[] = {
    {'G', 1ULL << 30}, {'M', 1ULL << 20}, {'K', 1ULL << 10}, {0, 1}};
static const struct unit TIMES[] = {
    {'d', 86400000}, {'h', 3600000}, {'m', 60000}, {'s', 1000}, {0, 1000}};
static const struct unit PLAIN[] = {{0, 1}};

static const struct unit *units_of(const struct option *option)
{
	switch (option->type) {
	case OPTION_SIZE:
		return SIZES;
	case OPTION_DURATION:
		return TIMES;
	default:
		return PLAIN;
	}
}

static void put_number(const struct option *option, uint64_t value, struct buf *out)
{
	const struct unit *unit = units_of(option);

	while (unit->letter != 0 && (value < unit->factor || value % unit->factor != 0))
		unit++;
	buf_printf(out, "%" PRIu64, value / unit->factor);
	if (unit->letter != 0)
		buf_putc(out, unit->letter);
}

static void put_words(const struct option *option, struct buf *out)
{
	buf_puts(out, "one of ");
	for (const char *const *word = option->words; *word != NULL; word++)
		buf_printf(out, "%s%s", word == option->words ? "" : ", ", *word);
}

static void put_range(const struct option *option, const char *what, struct buf *out)
{
	buf_printf(out, "%s from ", what);
	put_number(option, option->low, out);
	buf_puts(out, " to ");
	put_number(option, option->high, out);
}

void option_allowed(const struct option *option, struct buf *out)
{
	switch (option->type) {
	case OPTION_SWITCH:
		break;
	case OPTION_TEXT:
		buf_printf(
		    out, "%" PRIu64 " to %" PRIu64 " bytes of text", option->low, option->high);
		break;
	case OPTION_URL:
		buf_puts(out, "an address such as https://eyes.example.com");
		break;
	case OPTION_TEMPLATE:
		buf_puts(out, "an address such as https://eyes.example.com/events?org={orgId}, "
		              "with nothing in { } but EYES_SERVER_URL, orgId, serverHost, "
		              "serverId and instanceId");
		break;
	case OPTION_PROXY:
		buf_puts(out, "an address such as http://proxy.example.com:3128");
		break;
	case OPTION_API_PATH:
		buf_puts(out, "a path such as /api/v1/commands, of visible ASCII without ? and #");
		break;
	case OPTION_PATH:
		buf_puts(out, "the path of a file or folder");
		break;
	case OPTION_NUMBER:
		put_range(option, "a whole number", out);
		break;
	case OPTION_SIZE:
		put_range(option, "a size", out);
		break;
	case OPTION_DURATION:
		put_range(option, "a time", out);
		break;
	case OPTION_WORD:
		put_words(option, out);
		break;
	case OPTION_LISTEN:
		buf_puts(out, "addresses such as 127.0.0.1:4000,[::1]:4000, localhost or *");
		break;
	}
}

/* "needs ...", for what has no words of its own. */
static bool refuse(const struct option *option, struct err *err)
{
	struct buf words;

	buf_init(&words, 256);
	option_allowed(option, &words);
	err_set(err, CODE, "needs %s", words.data);
	buf_free(&words);
	return false;
}

/* Digits with at most one letter behind them. */
static bool parse_number(const struct option *option, const char *text, uint64_t *out)
{
	size_t digits = strspn(text, "0123456789");
	const struct unit *unit = units_of(option);
	uint64_t value = 0;

	if (digits == 0 || digits > 18 || (text[digits] != '\0' && text[digits + 1] != '\0'))
		return false;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	/* Letters of either case: no unit differs from another by its case only. */
	while (unit->letter != 0 && (text[digits] | 0x20) != (unit->letter | 0x20))
		unit++;
	if (text[digits] != '\0' && unit->letter == 0)
		return false;
	if (value > UINT64_MAX / unit->factor)
		return false;
	*out = value * unit->factor;
	return *out >= option->low && *out <= option->high;
}

static bool parse_word(const struct option *option, const char *text, unsigned *out)
{
	for (unsigned i = 0; option->words[i] != NULL; i++) {
		if (strcmp(option->words[i], text) != 0)
			continue;
		*out = i;
		return true;
	}
	return false;
}

static char *parse_url(const char *text, struct err *err)
{
	struct url url;
	char whole[URL_TEXT];
	struct err why = ERR_INIT;

	if (!url_parse(&url, text, &why)) {
		err_set(err, CODE, "%s", why.message);
		return NULL;
	}
	if (url.query[0] != '\0') {
		err_set(err, CODE, "an address without ? is needed");
		return NULL;
	}
	url_text(&url, whole, sizeof(whole));
	return mem_string(whole);
}

static char *parse_proxy(const char *text, struct err *err)
{
	struct proxy_rules rules;
	struct err why = ERR_INIT;

	if (!proxy_rules_init(&rules, text, NULL, NULL, &why)) {
		err_set(err, CODE, "%s", why.message);
		return NULL;
	}
	proxy_rules_free(&rules);
	return mem_string(text);
}

/* One placeholder's end, or NULL when it is none of ours. */
static const char *placeholder_end(const char *text)
{
	static const char *const NAMES[] = {
	    "{EYES_SERVER_URL}", "{orgId}", "{serverHost}", "{serverId}", "{instanceId}"};

	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
		if (strncmp(text, NAMES[i], strlen(NAMES[i])) == 0)
			return text + strlen(NAMES[i]);
	return NULL;
}

/* With something in the place of what is replaced later it must be an address; nothing is replaced
 * in its host. */
static bool is_template(const char *text)
{
	static const char SERVER[] = "{EYES_SERVER_URL}";
	struct err why = ERR_INIT;
	const char *path, *end;
	struct buf filled;
	struct url url;
	bool ok = true;

	if (strlen(text) > 1024)
		return false;
	buf_init(&filled, 2048);
	if (strncmp(text, SERVER, sizeof(SERVER) - 1) == 0) {
		buf_puts(&filled, "https://eyes.example.com");
		path = text += sizeof(SERVER) - 1;
	} else {
		path = strstr(text, "://");
		path = path != NULL ? path + 3 + strcspn(path + 3, "/?") : text + strlen(text);
	}
	for (; ok && *text != '\0'; text = end) {
		end = *text == '{' ? placeholder_end(text) : text + 1;
		ok = end != NULL && *text != '}' &&
		     (*text != '{' || (text >= path && text[1] != 'E'));
		buf_putc(&filled, *text == '{' ? 'x' : *text);
	}
	ok = ok && url_parse(&url, filled.data, &why);
	buf_free(&filled);
	return ok;
}

static bool is_api_path(const char *text)
{
	if (text[0] != '/' || strlen(text) > 512)
		return false;
	for (const char *c = text; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f || strchr("?#\"<>\\^`", *c) != NULL)
			return false;
	return strstr(text, "..") == NULL;
}

static char *parse_path(const char *text, const char *folder, struct err *err)
{
	char *path;

	if (text[0] == '~' && (text[1] == '/' || text[1] == '\0')) {
		err_set(err, CODE, "needs the whole path: ~ is not expanded here");
		return NULL;
	}
	if (text[0] != '/' && folder == NULL) {
		err_set(err, CODE, "needs a path that begins with /");
		return NULL;
	}
	path = text[0] == '/' ? mem_string(text) : mem_printf("%s/%s", folder, text);
	for (size_t end = strlen(path); end > 1 && path[end - 1] == '/'; end--)
		path[end - 1] = '\0';
	if (strlen(path) < PATH_MAX)
		return path;
	free(path);
	err_set(err, CODE, "is longer than %d bytes", PATH_MAX - 1);
	return NULL;
}

/* Holds for every setting. */
static bool is_plain(const char *text, struct err *err)
{
	size_t length = strlen(text);

	if (length > VALUE_MAX)
		return err_set(err, CODE, "is longer than %d bytes", VALUE_MAX);
	if (!codec_is_utf8(text, length))
		return err_set(err, CODE, "is not UTF-8");
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return err_set(
			    err, CODE, "holds a line break or another control character");
	return true;
}

/* The canonical text of what is kept as text; NULL with err. */
static char *parse_text(
    const struct option *option, const char *text, const char *folder, struct err *err)
{
	size_t length = strlen(text);

	switch (option->type) {
	case OPTION_URL:
		return parse_url(text, err);
	case OPTION_PROXY:
		return parse_proxy(text, err);
	case OPTION_PATH:
		return parse_path(text, folder, err);
	case OPTION_TEMPLATE:
		if (is_template(text))
			return mem_string(text);
		break;
	case OPTION_API_PATH:
		if (is_api_path(text))
			return mem_string(text);
		break;
	default:
		if (length >= option->low && length <= option->high)
			return mem_string(text);
		break;
	}
	refuse(option, err);
	return NULL;
}

/* Takes `text`. */
static void keep(struct options *options, const struct option *option, char *text)
{
	char **kept = &options->value[option - option_table].text;

	if (*kept != NULL)
		crypto_cleanse(*kept, strlen(*kept));
	free(*kept);
	*kept = text;
}

static bool set_number(
    struct options *options, const struct option *option, const char *text, struct err *err)
{
	uint64_t value;
	struct buf canonical;

	if (!parse_number(option, text, &value))
		return refuse(option, err);
	*(uint64_t *)((char *)options + option->offset) = value;
	buf_init(&canonical, 64);
	put_number(option, value, &canonical);
	keep(options, option, buf_take(&canonical));
	return true;
}

static bool set_text(struct options *options, const struct option *option, const char *text,
    const char *folder, struct err *err)
{
	char *canonical = NULL;

	if (text != NULL) {
		canonical = parse_text(option, text, folder, err);
		if (canonical == NULL)
			return false;
	}
	keep(options, option, canonical);
	*(const char **)((char *)options + option->offset) = canonical;
	return true;
}

bool option_set(struct options *options, const struct option *option, const char *text,
    const char *folder, struct err *err)
{
	char *field = (char *)options + option->offset;
	struct options_listen list[OPTIONS_LISTEN];
	unsigned count;

	if (text != NULL && !is_plain(text, err))
		return false;
	switch (option->type) {
	case OPTION_SWITCH:
		*(bool *)field = true;
		return true;
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
		return set_number(options, option, text, err);
	case OPTION_WORD:
		if (!parse_word(option, text, (unsigned *)field))
			return refuse(option, err);
		keep(options, option, mem_string(text));
		return true;
	case OPTION_LISTEN:
		if (!options_listen_parse(list, &count, text, 1, err))
			return false;
		keep(options, option, mem_string(text));
		*(const char **)field = options->value[option - option_table].text;
		return true;
	default:
		return set_text(options, option, text, folder, err);
	}
}
