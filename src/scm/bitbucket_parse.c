#include "scm/bitbucket_parse.h"

#include "base/mem.h"
#include "scm/bitbucket_request.h"
#include "scm/scm_call.h"
#include <stdlib.h>
#include <string.h>

#define ERRORS_BODY_MAX (64 * 1024)
#define ERRORS_LOOKED_AT 10
#define ERRORS_SHOWN 3
#define TEXT_MAX 4096
#define NAME_LIMIT 128 /* project key and slug: scm.h promises room for 130 */
#define START_MAX INT64_C(1000000000000)

/* A word that may stand in a path, a log line and a table as it is: visible ASCII without what has
 * a meaning there. */
static bool is_word(const char *text)
{
	if (text[0] == '\0')
		return false;
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c <= ' ' || c >= 0x7f || strchr("\"'\\/<>?#%", c))
			return false;
	}
	return true;
}

/* Free of what scm_clean_text would change. */
static bool is_clean(const char *text)
{
	char cleaned[TEXT_MAX + 1];

	scm_clean_text(cleaned, sizeof(cleaned), text, strlen(text));
	return strcmp(cleaned, text) == 0;
}

/* The text of a field when it is there, fits and is clean, else `otherwise`. */
static const char *text_or(const struct json_at *object, const char *name, const char *otherwise)
{
	const char *text = NULL;

	if (!json_opt_string(object, name, TEXT_MAX, &text, NULL) || !text || !is_clean(text))
		return otherwise;
	return text;
}

json_t *bitbucket_parse_object(const char *body, size_t length, size_t limit, struct err *err)
{
	json_t *document = json_parse(body, length, limit, err);

	if (document && !json_is_object(document)) {
		err_set(err, "json", "expected an object");
		json_decref(document);
		return NULL;
	}
	return document;
}

/* ---- what server is it ---- */

static bool parse_version(struct bitbucket_properties *properties, const char *version)
{
	char *end;
	unsigned long major, minor = 0;

	if (version[0] < '0' || version[0] > '9')
		return false;
	major = strtoul(version, &end, 10);
	if (*end == '.' && end[1] >= '0' && end[1] <= '9')
		minor = strtoul(end + 1, &end, 10);
	if (major > 1000 || minor > 1000)
		return false;
	properties->major = (unsigned)major;
	properties->minor = (unsigned)minor;
	memcpy(properties->version, version, strlen(version) + 1);
	return true;
}

bool bitbucket_parse_properties(
    const char *body, size_t length, struct bitbucket_properties *properties, struct err *err)
{
	json_t *document = bitbucket_parse_object(body, length, BITBUCKET_BODY_MAX, err);
	struct json_at root = json_root(document, "");
	const char *version;
	bool good;

	*properties = (struct bitbucket_properties){0};
	good = document &&
	       json_get_string(&root, "version", sizeof(properties->version) - 1, &version, err);
	/* {"version"} alone is what many a server answers. */
	if (good && !json_object_get(document, "buildNumber") &&
	    !json_object_get(document, "displayName"))
		good = err_set(err, "json", "buildNumber: missing");
	if (good && (!is_word(version) || !parse_version(properties, version)))
		good = err_set(err, "json", "version: expected a version such as 9.4.0");
	json_decref(document);
	return good;
}

const char *bitbucket_product(const struct bitbucket_properties *properties)
{
	if (properties->major >= 8)
		return "Bitbucket Data Center";
	return properties->major >= 4 ? "Bitbucket Server" : "Stash";
}

static bool array_has(const struct json_at *array, const char *word)
{
	const char *text;

	for (size_t i = 0; i < json_array_size(array->value); i++) {
		text = json_string_value(json_array_get(array->value, i));
		if (text && strcmp(text, word) == 0)
			return true;
	}
	return false;
}

bool bitbucket_parse_build_capabilities(
    const char *body, size_t length, uint32_t *capabilities, struct err *err)
{
	json_t *document = bitbucket_parse_object(body, length, BITBUCKET_BODY_MAX, err);
	struct json_at root = json_root(document, ""), words;
	bool good = document && json_get_array(&root, "buildStatus", &words, err);

	if (good) {
		*capabilities |= array_has(&words, "richBuildStatus") ? SCM_BB_RICH : 0;
		*capabilities |= array_has(&words, "cancelledStatus") ? SCM_BB_CANCELLED : 0;
	}
	json_decref(document);
	return good;
}

bool bitbucket_parse_webhook_capabilities(
    const char *body, size_t length, uint32_t *capabilities, struct err *err)
{
	json_t *document = bitbucket_parse_object(body, length, BITBUCKET_BODY_MAX, err);
	struct json_at root = json_root(document, ""), events;
	bool good = document && json_get_array(&root, "application-webhooks", &events, err);

	if (good)
		*capabilities |= SCM_BB_WEBHOOK_CAPS;
	json_decref(document);
	return good;
}

/* ---- pages ---- */

bool bitbucket_page_next(
    const struct json_at *root, uint64_t start, uint64_t *next, struct err *err)
{
	bool last = false, present = false;
	int64_t value = 0;

	*next = 0;
	if (!json_opt_bool(root, "isLastPage", &last, err))
		return false;
	if (last)
		return true;
	if (!json_opt_int(root, "nextPageStart", 0, START_MAX, &present, &value, err))
		return false;
	if (!present)
		return true;
	if ((uint64_t)value <= start)
		return err_set(err, "json", "nextPageStart: expected more than %llu",
		    (unsigned long long)start);
	*next = (uint64_t)value;
	return true;
}

static bool parse_row(const struct json_at *at, struct scm_repository *row, struct err *err)
{
	struct json_at project;
	bool present;

	*row = (struct scm_repository){0};
	if (!json_get_string(at, "slug", NAME_LIMIT, &row->slug, err) ||
	    !json_opt_object(at, "project", &present, &project, err))
		return false;
	if (!present)
		return err_set(err, "json", "project: expected an object");
	if (!json_get_string(&project, "key", NAME_LIMIT, &row->project, err))
		return false;
	if (!is_word(row->slug) || !is_word(row->project))
		return err_set(err, "json", "slug or project.key: not a name");
	row->name = text_or(at, "name", row->slug);
	row->project_name = text_or(&project, "name", row->project);
	(void)json_opt_bool(at, "public", &row->is_public, NULL);
	(void)json_opt_bool(at, "archived", &row->archived, NULL);
	return true;
}

/*
 * The base URL that the server is configured with, from the address of a repository's page:
 * "https://host/context/projects/KEY/repos/slug/browse", or ".../users/name/repos/...".
 */
static void parse_base(const struct json_at *repository, char *out, size_t size)
{
	const json_t *links = json_object_get(repository->value, "links");
	const json_t *self = json_array_get(json_object_get(links, "self"), 0);
	const char *href = json_string_value(json_object_get(self, "href"));
	const char *repos = href != NULL ? strstr(href, "/repos/") : NULL;
	struct url url;
	char *end;

	out[0] = '\0';
	if (repos == NULL || (size_t)(repos - href) >= size)
		return;
	memcpy(out, href, (size_t)(repos - href));
	out[repos - href] = '\0';
	end = strrchr(out, '/'); /* before KEY or name */
	if (end != NULL)
		*end = '\0';
	end = strrchr(out, '/');
	if (end == NULL || (strcmp(end, "/projects") != 0 && strcmp(end, "/users") != 0)) {
		out[0] = '\0';
		return;
	}
	*end = '\0';
	if (url_parse(&url, out, NULL) && url.query[0] == '\0')
		url_text(&url, out, size);
	else
		out[0] = '\0';
}

bool bitbucket_parse_page(
    const char *body, size_t length, uint64_t start, struct bitbucket_page *page, struct err *err)
{
	struct json_at root, values, row;
	size_t rows;

	*page = (struct bitbucket_page){
	    .document = bitbucket_parse_object(body, length, BITBUCKET_PAGE_MAX, err)};
	if (!page->document)
		return false;
	root = json_root(page->document, "");
	if (!json_get_array(&root, "values", &values, err) ||
	    !bitbucket_page_next(&root, start, &page->next, err))
		goto fail;
	rows = json_array_size(values.value);
	if (rows > BITBUCKET_ROWS_MAX) {
		err_set(err, "json", "values: more than %d", BITBUCKET_ROWS_MAX);
		goto fail;
	}
	page->repositories = mem_array(rows + 1, sizeof(*page->repositories));
	for (size_t i = 0; i < rows; i++) {
		row = json_item(&values, i);
		page->count += parse_row(&row, &page->repositories[page->count], NULL);
	}
	return true;
fail:
	bitbucket_page_free(page);
	return false;
}

bool bitbucket_parse_repository(
    const char *body, size_t length, struct bitbucket_page *page, struct err *err)
{
	struct json_at root;

	*page = (struct bitbucket_page){
	    .document = bitbucket_parse_object(body, length, BITBUCKET_BODY_MAX, err)};
	if (!page->document)
		return false;
	page->repositories = mem_array(1, sizeof(*page->repositories));
	page->count = 1;
	root = json_root(page->document, "");
	parse_base(&root, page->base, sizeof(page->base));
	if (parse_row(&root, page->repositories, err))
		return true;
	bitbucket_page_free(page);
	return false;
}

void bitbucket_page_free(struct bitbucket_page *page)
{
	json_decref(page->document);
	free(page->repositories);
	*page = (struct bitbucket_page){0};
}

/* ---- build statuses ---- */

static bool status_fill(const struct json_at *at, struct scm_status *status, struct err *err)
{
	const char *state;

	if (!json_get_string(at, "state", TEXT_MAX, &state, err))
		return false;
	status->found = true;
	status->state_known = update_state_parse(state, &status->state);
	status->url = text_or(at, "url", "");
	status->name = text_or(at, "name", "");
	status->description = text_or(at, "description", "");
	return true;
}

static bool status_begin(
    struct bitbucket_status *status, const char *body, size_t length, size_t limit, struct err *err)
{
	*status =
	    (struct bitbucket_status){.document = bitbucket_parse_object(body, length, limit, err)};
	status->status.url = status->status.name = status->status.description = "";
	return status->document != NULL;
}

static bool has_key(const struct json_at *at, const char *key)
{
	const char *text = NULL;

	return json_opt_string(at, "key", TEXT_MAX, &text, NULL) && text && strcmp(text, key) == 0;
}

bool bitbucket_parse_status(const char *body, size_t length, const char *key,
    struct bitbucket_status *status, struct err *err)
{
	struct json_at root;

	if (!status_begin(status, body, length, BITBUCKET_BODY_MAX, err))
		return false;
	root = json_root(status->document, "");
	if (!has_key(&root, key))
		err_set(err, "json", "key: expected the one that was asked for");
	else if (status_fill(&root, &status->status, err))
		return true;
	bitbucket_status_free(status);
	return false;
}

bool bitbucket_parse_status_page(const char *body, size_t length, uint64_t start, const char *key,
    struct bitbucket_status *status, struct err *err)
{
	struct json_at root, values, item;

	if (!status_begin(status, body, length, BITBUCKET_PAGE_MAX, err))
		return false;
	root = json_root(status->document, "");
	if (!json_get_array(&root, "values", &values, err) ||
	    !bitbucket_page_next(&root, start, &status->next, err))
		goto fail;
	for (size_t i = 0; i < json_array_size(values.value); i++) {
		item = json_item(&values, i);
		if (!has_key(&item, key))
			continue;
		if (!status_fill(&item, &status->status, err))
			goto fail;
		status->next = 0;
		return true;
	}
	return true;
fail:
	bitbucket_status_free(status);
	return false;
}

void bitbucket_status_free(struct bitbucket_status *status)
{
	json_decref(status->document);
	*status = (struct bitbucket_status){0};
}

/* ---- errors ---- */

/*
 * The last part of a Java class name ("com.atlassian.bitbucket.commit.NoSuchCommitException"): the
 * packages have moved between versions, the names have not.
 */
static enum bitbucket_exception exception_of(const char *name)
{
	static const struct {
		const char *name;
		enum bitbucket_exception exception;
	} known[] = {
	    {"NoSuchCommitException", BITBUCKET_NO_SUCH_COMMIT},
	    {"NoSuchRepositoryException", BITBUCKET_NO_SUCH_REPOSITORY},
	    {"NoSuchProjectException", BITBUCKET_NO_SUCH_REPOSITORY},
	    {"NoSuchBuildStatusException", BITBUCKET_NO_SUCH_STATUS},
	    {"NoSuchWebhookException", BITBUCKET_NO_SUCH_WEBHOOK},
	    {"AuthorisationException", BITBUCKET_NOT_AUTHORISED},
	    {"IncorrectPasswordAuthenticationException", BITBUCKET_BAD_CREDENTIALS},
	    {"NoAccessAuthenticationException", BITBUCKET_BAD_CREDENTIALS},
	    {"AuthenticationRequiredException", BITBUCKET_SIGN_IN},
	};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(dot ? dot + 1 : name, known[i].name) == 0)
			return known[i].exception;
	}
	return BITBUCKET_OTHER;
}

static void add_words(struct bitbucket_errors *errors, const char *message)
{
	size_t used = strlen(errors->words);

	if (used && used + 3 < sizeof(errors->words)) {
		memcpy(errors->words + used, "; ", 3);
		used += 2;
	}
	scm_clean_text(
	    errors->words + used, sizeof(errors->words) - used, message, strlen(message));
}

void bitbucket_parse_errors(const char *body, size_t length, struct bitbucket_errors *errors)
{
	json_t *document;
	struct json_at root, list, item;
	const char *text;

	errors->exception = BITBUCKET_NONE;
	errors->words[0] = '\0';
	document = bitbucket_parse_object(body, length, ERRORS_BODY_MAX, NULL);
	if (!document)
		return;
	root = json_root(document, "");
	if (!json_get_array(&root, "errors", &list, NULL))
		goto out;
	for (size_t i = 0; i < json_array_size(list.value) && i < ERRORS_LOOKED_AT; i++) {
		item = json_item(&list, i);
		text = NULL;
		if (i < ERRORS_SHOWN && json_opt_string(&item, "message", TEXT_MAX, &text, NULL) &&
		    text && *text)
			add_words(errors, text);
		if (errors->exception == BITBUCKET_NONE)
			errors->exception = BITBUCKET_OTHER;
		text = NULL;
		if (errors->exception == BITBUCKET_OTHER &&
		    json_opt_string(&item, "exceptionName", TEXT_MAX, &text, NULL) && text)
			errors->exception = exception_of(text);
	}
out:
	json_decref(document);
}
