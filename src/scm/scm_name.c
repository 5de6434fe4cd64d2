/*
 * scm_name: what people paste, made into what the program uses: a server's address, a repository's
 * name. And what servers say, made fit for people. Pure.
 */
#include "base/codec.h"
#include "scm/scm.h"
#include "scm/scm_call.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>

#define TYPED_MAX 3000
#define NAME_MAX_BYTES 128 /* Bitbucket's limit of project keys and repository slugs */

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Without the white space around it; false when it is empty or too long. */
static bool trim(char out[TYPED_MAX], const char *typed)
{
	size_t length;

	while (is_space(*typed))
		typed++;
	length = strnlen(typed, TYPED_MAX);
	if (length == TYPED_MAX)
		return false;
	while (length && is_space(typed[length - 1]))
		length--;
	memcpy(out, typed, length);
	out[length] = '\0';
	return length > 0;
}

/* Bitbucket's own first segments after the context path, as in a browser's address line or a clone
 * address. */
static bool own_segment(const char *segment, size_t length)
{
	static const char *const own[] = {"projects", "repos", "users", "dashboard", "login",
	    "logout", "scm", "rest", "plugins", "admin", "account", "profile", "getting-started"};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (strlen(own[i]) == length && strncasecmp(segment, own[i], length) == 0)
			return true;
	}
	return false;
}

static void cut_path(char *path)
{
	char *at = path;

	path[strcspn(path, "?#")] = '\0';
	while (*at == '/') {
		char *segment = at + 1;
		size_t length = strcspn(segment, "/");
		if (own_segment(segment, length)) {
			*at = '\0';
			break;
		}
		at = segment + length;
	}
	for (size_t length = strlen(path); length && path[length - 1] == '/'; length--)
		path[length - 1] = '\0';
}

static bool url_fault(struct err *err, const char *why)
{
	err_set(err, "url_invalid", "That is not the address of a server%s%s%s", why[0] ? " (" : "",
	    why, why[0] ? ")" : "");
	err_hop(err, "this field");
	err_hint(err, "Such as https://bitbucket.example.com or https://example.com/bitbucket.");
	err_field(err, "url");
	return false;
}

/* "", "http:", "https:/": typing has just begun. */
static bool only_scheme(const char *text)
{
	if (strncasecmp(text, "http:", 5) == 0)
		text += 5;
	else if (strncasecmp(text, "https:", 6) == 0)
		text += 6;
	return text[strspn(text, "/")] == '\0';
}

bool scm_clean_url(const char *typed, struct url *out, struct err *err)
{
	char text[TYPED_MAX], whole[TYPED_MAX + 16];
	const char *scheme = "https";
	char *rest = text, *separator;
	struct err why = ERR_INIT;

	if (!trim(text, typed))
		return url_fault(err, "");
	separator = strstr(text, "://");
	if (separator && memchr(text, '/', (size_t)(separator - text)) == NULL) {
		*separator = '\0';
		if (strcasecmp(text, "http") == 0)
			scheme = "http";
		else if (strcasecmp(text, "https") != 0)
			return url_fault(err, "it begins with https:// or http://");
		rest = separator + 3;
	} else if (strncmp(text, "//", 2) == 0) {
		rest = text + 2;
	}
	if (only_scheme(rest))
		return url_fault(err, "it is incomplete: it names no host");
	cut_path(rest + strcspn(rest, "/?#"));
	snprintf(whole, sizeof(whole), "%s://%s", scheme, rest);
	if (!url_parse(out, whole, &why))
		return url_fault(err, why.message);
	return true;
}

/* ---- repositories ---- */

static bool name_fault(struct err *err, const char *message)
{
	err_set(err, "repo_format", "%s", message);
	err_hop(err, "this field");
	err_hint(err, "Use key and slug from the repository's address, such as PAY/checkout-web.");
	err_field(err, "repository");
	return false;
}

/* Letters and digits of any script are refused too: Bitbucket makes keys and slugs of ASCII. */
static bool name_valid(const char *text, size_t length, const char *others)
{
	if (length == 0 || length > NAME_MAX_BYTES)
		return false;
	if (text[0] == '.' && (length == 1 || (length == 2 && text[1] == '.')))
		return false;
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];
		if (!(c < 0x80 && isalnum(c)) && !strchr(others, c))
			return false;
	}
	return true;
}

static bool has_prefix(const char *text, const char *prefix)
{
	return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* The segment after "/<name>/" in an address, or NULL. */
static const char *after_segment(const char *address, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = strchr(address, '/'); at; at = strchr(at + 1, '/')) {
		if (strncasecmp(at + 1, name, length) == 0 && at[1 + length] == '/')
			return at + 2 + length;
	}
	return NULL;
}

/*
 * Finds where key and slug begin in what was typed:
 *   KEY/slug   .../projects/KEY/repos/slug/...   .../users/jane/repos/slug/... .../scm/KEY/slug.git
 *   ssh://git@host:7999/KEY/slug.git
 */
static bool name_parts(char *text, const char **project, const char **slug, bool *user)
{
	const char *repos, *address = strstr(text, "://");

	*user = false;
	if (!address) {
		*project = text;
		*slug = strchr(text, '/') ? strchr(text, '/') + 1 : NULL;
		return *slug && !strchr(*slug, '/');
	}
	address += 3;
	if ((*project = after_segment(address, "projects")) ||
	    (*user = true, *project = after_segment(address, "users"))) {
		repos = strchr(*project, '/');
		*slug =
		    repos && has_prefix(repos, "/repos/") ? repos + sizeof("/repos/") - 1 : NULL;
		return *slug != NULL;
	}
	*user = false;
	*project = after_segment(address, "scm");
	if (!*project && has_prefix(text, "ssh://") && strchr(address, '/'))
		*project = strchr(address, '/') + 1;
	*slug = *project && strchr(*project, '/') ? strchr(*project, '/') + 1 : NULL;
	return *slug != NULL;
}

bool scm_parse_name(const char *typed, char *project, char *slug, size_t size, struct err *err)
{
	char text[TYPED_MAX];
	const char *key, *name;
	bool user;
	size_t key_length, name_length, tilde;

	if (!trim(text, typed))
		return name_fault(err, "Key and slug of a repository are needed");
	for (char *escaped = text; (escaped = strstr(escaped, "%7")) != NULL; escaped++) {
		if (escaped[2] == 'E' || escaped[2] == 'e') { /* "~" as some browsers copy it */
			*escaped = '~';
			memmove(escaped + 1, escaped + 3, strlen(escaped + 3) + 1);
		}
	}
	text[strcspn(text, "?#")] = '\0';
	for (size_t length = strlen(text); length && text[length - 1] == '/'; length--)
		text[length - 1] = '\0';
	if (!name_parts(text, &key, &name, &user))
		return name_fault(err, strchr(text, '/') ? "That is not the address of a repository"
		                                         : "That looks like the display name");

	key_length = strcspn(key, "/");
	name_length = strcspn(name, "/");
	if (name_length > 4 && strstr(text, "://") &&
	    strncmp(name + name_length - 4, ".git", 4) == 0)
		name_length -= 4;
	/* A personal project keeps its "~"; /users/jane/ is the browser's way to write ~jane. */
	tilde = *key == '~';
	if (!name_valid(key + tilde, key_length - tilde, "_.-@+") ||
	    !name_valid(name, name_length, "_.-") || key_length + user + 1 > size ||
	    name_length + 1 > size)
		return name_fault(err, "That looks like the display name");
	snprintf(project, size, "%s%.*s", user && !tilde ? "~" : "", (int)key_length, key);
	snprintf(slug, size, "%.*s", (int)name_length, name);
	return true;
}

/* ---- for people ---- */

/* Controls (C0, DEL, C1), line separators, and what turns the direction of text (Unicode TR 36). */
static bool disturbs(const char *text, size_t size)
{
	unsigned char a = (unsigned char)text[0], b = size > 1 ? (unsigned char)text[1] : 0,
	              c = size > 2 ? (unsigned char)text[2] : 0;

	if (size == 1)
		return a < 0x20 || a == 0x7f;
	if (size == 2)
		return a == 0xc2 && b < 0xa0;
	if (size == 3 && a == 0xe2)
		return (b == 0x80 && ((c >= 0xa8 && c <= 0xae) || c == 0x8e || c == 0x8f)) ||
		       (b == 0x81 && c >= 0xa6 && c <= 0xa9);
	return false;
}

void scm_clean_text(char *out, size_t size, const char *text, size_t length)
{
	size_t used = 0;

	for (size_t at = 0; at < length && text[at];) {
		size_t bytes = codec_utf8_char(text + at, length - at);
		size_t put = bytes && !disturbs(text + at, bytes) ? bytes : 1;
		if (used + put >= size)
			break;
		if (bytes == 0)
			out[used] = '?';
		else if (disturbs(text + at, bytes))
			out[used] = ' ';
		else
			memcpy(out + used, text + at, bytes);
		used += put;
		at += bytes ? bytes : 1;
	}
	out[used] = '\0';
}
