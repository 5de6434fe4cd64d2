#include "scm/bitbucket_request.h"

#include "base/codec.h"
#include <stdio.h>
#include <string.h>

/* ---- addresses ---- */

struct bitbucket_path bitbucket_path_begin(struct url *url, size_t base_length)
{
	url->path[base_length] = '\0';
	url->query[0] = '\0';
	return (struct bitbucket_path){.url = url, .length = base_length};
}

void bitbucket_path_put(struct bitbucket_path *path, const char *literal)
{
	size_t length = strlen(literal);

	if (path->full || path->length + length >= sizeof(path->url->path)) {
		path->full = true;
		return;
	}
	memcpy(path->url->path + path->length, literal, length + 1);
	path->length += length;
}

/* RFC 3986, unreserved: what may stand in a path or query as it is. */
static bool plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

/* Returns the end, or NULL when it did not fit; always terminated. */
static char *encode(char *at, const char *end, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (end - at < 4) {
			*at = '\0';
			return NULL;
		}
		if (plain(c)) {
			*at++ = (char)c;
		} else {
			*at++ = '%';
			*at++ = digits[c >> 4];
			*at++ = digits[c & 15];
		}
	}
	*at = '\0';
	return at;
}

void bitbucket_path_put_text(struct bitbucket_path *path, const char *text)
{
	char *start = path->url->path, *at;

	/* A segment of dots would be taken as a way up. */
	if (path->full || text[0] == '\0' || strcmp(text, ".") == 0 || strcmp(text, "..") == 0) {
		path->full = true;
		return;
	}
	at = encode(start + path->length, start + sizeof(path->url->path), text);
	if (at)
		path->length = (size_t)(at - start);
	else
		path->full = true;
}

void bitbucket_path_put_repository(
    struct bitbucket_path *path, const char *project, const char *slug)
{
	bitbucket_path_put(path, "/rest/api/1.0/projects/");
	bitbucket_path_put_text(path, project);
	bitbucket_path_put(path, "/repos/");
	bitbucket_path_put_text(path, slug);
}

void bitbucket_query_put(struct bitbucket_path *path, const char *name, const char *value)
{
	char *query = path->url->query, *at;
	size_t size = sizeof(path->url->query), used = strlen(query);
	int put = snprintf(query + used, size - used, "%s%s=", used ? "&" : "", name);

	if (put < 0 || (size_t)put >= size - used) {
		path->full = true;
		return;
	}
	at = query + used + put;
	if (!encode(at, query + size, value))
		path->full = true;
}

void bitbucket_query_put_uint(struct bitbucket_path *path, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	bitbucket_query_put(path, name, text);
}

/* ---- build statuses ---- */

void bitbucket_status_path(struct bitbucket_path *path, uint32_t capabilities, const char *project,
    const char *slug, const char *commit)
{
	if (capabilities & SCM_BB_BUILDS) {
		bitbucket_path_put_repository(path, project, slug);
		bitbucket_path_put(path, "/commits/");
		bitbucket_path_put_text(path, commit);
		bitbucket_path_put(path, "/builds");
	} else {
		bitbucket_path_put(path, "/rest/build-status/1.0/commits/");
		bitbucket_path_put_text(path, commit);
	}
}

enum update_state bitbucket_state_as_sent(uint32_t capabilities, enum update_state state)
{
	bool known = (capabilities & SCM_BB_BUILDS) && (capabilities & SCM_BB_CANCELLED);

	return state == UPDATE_CANCELLED && !known ? UPDATE_FAILED : state;
}

const char *bitbucket_status_fault(const struct update *update)
{
	if (!codec_is_hex(update->commit, UPDATE_COMMIT))
		return "the commit is not 40 hex digits";
	if (update->key[0] == '\0')
		return "the key is empty";
	if (strlen(update->key) > UPDATE_KEY_MAX)
		return "the key is longer than 255 bytes";
	if (update->url[0] == '\0')
		return "the address of the result is empty";
	if (strlen(update->url) > UPDATE_URL_MAX)
		return "the address of the result is longer than 450 bytes";
	return NULL;
}

/* ,"name":"text", cut at a character; nothing when the text is empty. */
static void put_text(struct buf *out, const char *comma_name, const char *text, size_t limit)
{
	size_t length = text ? strlen(text) : 0;

	if (length == 0)
		return;
	if (length > limit)
		length = codec_utf8_cut(text, length, limit);
	buf_puts(out, comma_name);
	buf_put_json(out, text, length);
}

static void put_rich(struct buf *out, const struct update *update)
{
	/* Merge checks ("required builds") match on parent; pull requests list what has their
	 * branch as ref. */
	put_text(out, ",\"parent\":", update->key, UPDATE_KEY_MAX);
	if (update->ref && strncmp(update->ref, "refs/", 5) == 0 &&
	    strlen(update->ref) <= UPDATE_REF_MAX)
		put_text(out, ",\"ref\":", update->ref, UPDATE_REF_MAX);
	if (update->has_tests) {
		buf_puts(out, ",\"testResults\":{\"successful\":");
		buf_put_uint(out, update->tests.successful);
		buf_puts(out, ",\"failed\":");
		buf_put_uint(out, update->tests.failed);
		buf_puts(out, ",\"skipped\":");
		buf_put_uint(out, update->tests.skipped);
		buf_putc(out, '}');
	}
}

bool bitbucket_status_body(struct buf *out, uint32_t capabilities, const struct update *update)
{
	buf_puts(out, "{\"key\":");
	buf_put_json(out, update->key, strlen(update->key));
	buf_puts(out, ",\"state\":\"");
	buf_puts(out, update_state_name(bitbucket_state_as_sent(capabilities, update->state)));
	buf_puts(out, "\",\"url\":");
	buf_put_json(out, update->url, strlen(update->url));
	put_text(out, ",\"name\":", update->name, UPDATE_NAME_MAX);
	put_text(out, ",\"description\":", update->description, UPDATE_DESCRIPTION_MAX);
	if (capabilities & SCM_BB_BUILDS)
		put_rich(out, update);
	buf_putc(out, '}');
	return !out->overflow;
}
