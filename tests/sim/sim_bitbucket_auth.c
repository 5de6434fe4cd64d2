/* Who asks, whether they may, and the shapes of Bitbucket's errors. */
#include "sim/sim_bitbucket.h"

#include "base/codec.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PACKAGE "com.atlassian.bitbucket."

void bitbucket_error(struct sim_request *request, struct bitbucket *bb, int status,
    const char *context, const char *exception, const char *format, ...)
{
	char message[1024];
	char name[256];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (status == 404 && bb->not_found_empty) {
		sim_answer(request, 404, NULL, "", 0);
		return;
	}
	snprintf(name, sizeof(name), PACKAGE "%s", exception ? exception : "");
	json_t *text = json_string(message);
	sim_answer_json(request, status,
	    json_pack("{s:[{s:s?,s:o,s:s?}]}", "errors", "context", context, "message",
	        text ? text : json_string("(not UTF-8)"), "exceptionName",
	        exception ? name : NULL));
}

const char *bitbucket_request_token(const struct sim_request *request)
{
	const char *value = http_head_get(request->head, "Authorization");
	return value && strncasecmp(value, "Bearer ", 7) == 0 ? value + 7 : NULL;
}

static void set_user(struct sim_request *request, const char *user)
{
	struct buf encoded;
	buf_init(&encoded, 4096);
	codec_url_encode(&encoded, user);
	sim_answer_field(request, "X-AUSERNAME", encoded.data ? encoded.data : "");
	buf_free(&encoded);
}

bool bitbucket_sign_in(
    struct sim_request *request, struct bitbucket *bb, const struct bitbucket_token **token)
{
	const char *text = bitbucket_request_token(request);
	*token = NULL;
	if (!text && !http_head_get(request->head, "Authorization"))
		return true;
	if (text) {
		struct sim_name name = sim_name_text(text);
		*token = sim_name_get(&bb->tokens, &name);
	}
	const struct bitbucket_token *found = *token;
	if (!found || found->revoked) {
		bitbucket_error(request, bb, 401, NULL,
		    "auth.IncorrectPasswordAuthenticationException",
		    "Authentication failed. Please check your credentials and try again.");
		return false;
	}
	if (found->failure_status) {
		bitbucket_error(request, bb, found->failure_status, NULL, found->failure_exception,
		    "%s", found->failure_message);
		return false;
	}
	set_user(request, found->user);
	return true;
}

static bool is_json(const struct sim_request *request)
{
	const char *type = http_head_get(request->head, "Content-Type");
	static const char json[] = "application/json";
	return type && strncasecmp(type, json, sizeof(json) - 1) == 0 &&
	       strchr("; \t", type[sizeof(json) - 1]);
}

bool bitbucket_may_write(struct sim_request *request, struct bitbucket *bb,
    const struct bitbucket_token *token, bool has_body)
{
	static const char xsrf[] = "XSRF check failed";
	const char *check = http_head_get(request->head, "X-Atlassian-Token");
	if (!check || strcasecmp(check, "no-check") != 0) {
		sim_answer(request, 403, "text/plain;charset=UTF-8", xsrf, sizeof(xsrf) - 1);
		return false;
	}
	if (!token) {
		bitbucket_error(request, bb, 401, NULL, "auth.AuthenticationRequiredException",
		    "Authentication is required to access this resource.");
		return false;
	}
	if (has_body && !is_json(request)) {
		bitbucket_error(request, bb, 415, NULL, NULL, "Unsupported Media Type");
		return false;
	}
	return true;
}

static bool refuse_level(struct sim_request *request, struct bitbucket *bb)
{
	bitbucket_error(request, bb, 401, NULL, "AuthorisationException",
	    "You are not permitted to access this resource");
	return false;
}

/* 307 to the same resource of the repository at its new address. */
static void redirect(struct sim_request *request, const struct bitbucket_repository *repository)
{
	struct buf to;
	char origin[320];
	const char *projects = strstr(request->path, "/projects/");
	const char *repos = projects ? strstr(projects + 10, "/repos/") : NULL;
	const char *rest = repos ? repos + 7 + strcspn(repos + 7, "/") : "";
	sim_request_origin(request, origin, sizeof(origin));
	buf_init(&to, 65536);
	buf_printf(&to, "%s%.*s/projects/", origin, projects ? (int)(projects - request->path) : 0,
	    request->path);
	codec_url_encode(&to, repository->project->key);
	buf_puts(&to, "/repos/");
	codec_url_encode(&to, repository->slug);
	buf_printf(&to, "%s%s%s", rest, *request->query ? "?" : "", request->query);
	sim_answer_field(request, "Location", to.data);
	sim_answer(request, 307, NULL, "", 0);
	buf_free(&to);
}

bool bitbucket_open_repository(struct sim_request *request, struct bitbucket *bb,
    const struct bitbucket_token *token, enum bitbucket_level level,
    const struct bitbucket_repository **repository)
{
	const char *key = request->variable[0];
	const char *slug = request->variable[1];
	*repository = bitbucket_find_repository(bb, key, slug);
	if (!*repository && bb->moved < 2) {
		*repository = bitbucket_find_moved(bb, key, slug);
		if (*repository && bb->moved == 0) {
			if (bitbucket_level(token, *repository) < LEVEL_READ)
				return refuse_level(request, bb);
			redirect(request, *repository);
			return false;
		}
	}
	if (*repository)
		return bitbucket_level(token, *repository) >= level || refuse_level(request, bb);
	if (!bitbucket_project(bb, key, false))
		bitbucket_error(request, bb, 404, NULL, "project.NoSuchProjectException",
		    "Project %s does not exist.", key);
	else
		bitbucket_error(request, bb, 404, NULL, "repository.NoSuchRepositoryException",
		    "Repository %s/%s does not exist.", key, slug);
	return false;
}

/* Outside of /rest it is a page for people. */
void bitbucket_not_found(struct sim_request *request, void *app)
{
	static const char page[] = "<!DOCTYPE html><html><head><title>Not found</title></head>"
	                           "<body><h1>404</h1></body></html>";
	struct bitbucket *bb = app;
	size_t length = strlen(bb->sim->context);
	bool rest = strncmp(request->path, bb->sim->context, length) == 0 &&
	            strncmp(request->path + length, "/rest/", 6) == 0;
	if (rest)
		bitbucket_error(request, bb, 404, NULL, NULL, "null for uri: %s", request->path);
	else
		sim_answer(request, 404, "text/html;charset=UTF-8", page, sizeof(page) - 1);
}
