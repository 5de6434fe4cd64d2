/* Signing in and out, sessions, what the page needs to know before, and the event stream. */
#include "base/clock.h"
#include "web/web_internal.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BODY_MAX (256 * 1024)

static void write_configured(
    struct json_writer *w, const char *name, const char *value, const char *source)
{
	if (value[0] == '\0') {
		json_write_null(w, name);
		return;
	}
	json_open_object(w, name);
	json_write_string(w, "value", value);
	json_write_string(w, "source", source);
	json_close_object(w);
}

struct sources {
	char eyes_url[320], organization[320];
};

static void note_source(const struct web_setting *setting, void *arg)
{
	struct sources *sources = arg;

	if (strcmp(setting->name, "EYES_SERVER_URL") == 0)
		snprintf(sources->eyes_url, sizeof(sources->eyes_url), "%s", setting->source);
	else if (strcmp(setting->name, "EYES_ORG_ID") == 0)
		snprintf(
		    sources->organization, sizeof(sources->organization), "%s", setting->source);
}

void api_start(struct web_request *request)
{
	struct records *records = request->service->parts.records;
	struct record_account account;
	struct sources sources = {0};
	struct json_writer w;
	struct buf body;
	char host[128] = "";
	bool known;

	gethostname(host, sizeof(host) - 1);
	request->web->settings(note_source, &sources, request->web->settings_arg);
	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_write_string(&w, "version", EYES_SCM_VERSION);
	json_write_string(&w, "build", assets_build);
	json_write_string(&w, "host", host);
	json_open_object(&w, "configured");
	write_configured(&w, "eyes_url", request->web->eyes_url, sources.eyes_url);
	write_configured(&w, "organization", request->web->organization, sources.organization);
	json_close_object(&w);
	known = records_account(records, &account);
	json_write_bool(&w, "account", known);
	if (known) /* for the help of the sign-in: it is no secret */
		json_write_text(&w, "team", account.team_id);
	json_open_object(&w, "events");
	json_write_string(&w, "mode", request->service->parts.relay ? "relay" : "direct");
	json_write_bool(&w, "documented", false);
	json_write_bool(&w, "configured", request->service->parts.webhook_url_set);
	json_close_object(&w);
	json_write_bool(&w, "setup_code", auth_setup_code(request->web->auth)[0] != '\0');
	json_write_int(&w, "enabled",
	    (int64_t)(records_repo_count(records, REPO_ENABLED) +
	              records_repo_count(records, REPO_BLOCKED)));
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

/* ms as of auth_pause_ms; nothing when it is negative. */
static void say_retry_after(struct web_request *request, int64_t ms)
{
	char seconds[24];

	snprintf(seconds, sizeof(seconds), "%lld", (long long)(ms + 999) / 1000);
	if (ms >= 0)
		web_add_header(request, "Retry-After", seconds);
}

/* ---- step 0: which Eyes ---- */

static void configured(const struct service_result *result, void *arg)
{
	struct web_request *request = arg;
	struct web *web = request->web;
	bool changed = result->fault == SERVICE_OK && request->count > 0;

	web_reply_result(request, result);
	if (changed)
		web->restart(web->restart_arg);
}

/* What comes from outside cannot be changed here, and nothing can once there is an account.
 * organization: NULL where only the server is asked. */
static bool may_configure(
    struct web_request *request, const char *url, const char *organization, struct err *err)
{
	const struct web *web = request->web;
	struct record_account account;

	if (records_account(request->service->parts.records, &account) ||
	    (web->eyes_url[0] != '\0' && web->organization[0] != '\0')) {
		err_set(err, "configured", "the Eyes server and the organization are set already");
		err_hint(err, "To change them, edit eyes-scm.conf and restart eyes-scm.");
		return false;
	}
	if ((web->eyes_url[0] != '\0' && strcmp(web->eyes_url, url) != 0) ||
	    (organization != NULL && web->organization[0] != '\0' &&
	        strcmp(web->organization, organization) != 0)) {
		err_set(
		    err, "configured", "one of the two is set outside and cannot be changed here");
		return false;
	}
	return true;
}

void api_configuration_put(struct web_request *request)
{
	struct json_at root = json_root(request->body, "");
	const char *url, *organization = NULL, *code = "";
	struct err err = ERR_INIT;
	bool check = false;

	if (!json_opt_bool(&root, "check", &check, &err) ||
	    !json_get_string(&root, "eyes_url", 1000, &url, &err) ||
	    (!check && !json_get_string(&root, "organization", 200, &organization, &err)) ||
	    !json_opt_string(&root, "setup_code", 31, &code, &err)) {
		web_reply_err(request, 400, &err, NULL);
		return;
	}
	if (organization != NULL && organization[0] == '\0') {
		err_set(&err, "empty", "the organization is empty");
		err_field(&err, "organization");
		web_reply_err(request, 400, &err, NULL);
		return;
	}
	if (!may_configure(request, url, organization, &err)) {
		web_reply_err(request, 409, &err, NULL);
		return;
	}
	if (!auth_setup_code_right(request->web->auth, request->address, code, &err)) {
		say_retry_after(request, auth_pause_ms(request->web->auth, request->address));
		web_reply_err(request, err_is(&err, "key_rate") ? 429 : 403, &err, NULL);
		return;
	}
	request->count = check ? 0 : 1; /* what is to be changed */
	service_configure(request->service, request->who, url, organization, configured, request);
}

void api_setup_code(struct web_request *request)
{
	struct json_writer w;
	struct buf body;

	buf_init(&body, 256);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_write_string(&w, "setup_code", auth_setup_code(request->web->auth));
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

/* ---- signing in ---- */

/* Without an age, which would end it in mid-work: how long each of its sessions is good for is
 * decided here, and slides. An empty one is forgotten. */
static void set_cookie(struct web_request *request, const char *value)
{
	char cookie[256];

	snprintf(cookie, sizeof(cookie),
	    "eyes_scm_session=%s; Path=/; HttpOnly; SameSite=Strict%s%s", value,
	    value[0] == '\0' ? "; Max-Age=0" : "", guard_over_tls(request) ? "; Secure" : "");
	web_add_header(request, "Set-Cookie", cookie);
	crypto_cleanse(cookie, sizeof(cookie));
}

static int status_of(const struct service_result *result)
{
	if (err_is(result->err, "key_unknown"))
		return 401;
	if (err_is(result->err, "key_rate"))
		return 429;
	if (err_is(result->err, "setup_code"))
		return 403;
	return web_status_of(result->fault);
}

static void signed_in(const struct service_result *result, const struct auth_signed_in *in,
    int64_t retry_after_ms, void *arg)
{
	struct web_request *request = arg;
	struct json_writer w;
	struct buf body;

	if (in == NULL) {
		say_retry_after(request, retry_after_ms);
		web_reply_err(request, status_of(result), result->err, result->trace);
		return;
	}
	set_cookie(request, in->cookie);
	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_write_string(&w, "token", in->token);
	json_write_time(&w, "expires", in->session->used_ms + SESSION_MS);
	api_write_words(&w, "missing", in->missing);
	api_write_account(request, &w, "account");
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_cleanse(&body);
}

void api_session_post(struct web_request *request)
{
	struct json_at root = json_root(request->body, "");
	const char *agent = web_header(request, "User-Agent");
	char cookie[SESSION_SECRET + 1];
	const char *code = "";
	struct secret key = {0};
	struct err err = ERR_INIT;

	if (!json_opt_string(&root, "setup_code", 31, &code, &err)) {
		web_reply_err(request, 400, &err, NULL);
		return;
	}
	if (!api_read_secret(request, &root, "key", true, &key))
		return;
	auth_sign_in(request->web->auth,
	    &(struct auth_attempt){.address = request->address,
	        .agent = agent != NULL ? agent : "",
	        .setup_code = code,
	        .cookie = guard_cookie(request, cookie, sizeof(cookie)),
	        .key = &key},
	    signed_in, request);
	crypto_cleanse(cookie, sizeof(cookie));
	secret_free(&key);
}

void api_session_get(struct web_request *request)
{
	struct json_writer w;
	struct buf body;

	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	api_write_account(request, &w, "account");
	json_write_time(&w, "started", request->session->started_ms);
	json_write_time(&w, "expires", request->session->used_ms + SESSION_MS);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

static void session_ended(const struct service_result *result, void *arg)
{
	struct web_request *request = arg;
	struct sessions *sessions = auth_sessions(request->web->auth);
	char cookie[SESSION_SECRET + 1];

	if (result->fault == SERVICE_OK)
		streams_end_session(request->web->streams, request->id);
	/* Another tab may still have a session with it. */
	if (result->fault == SERVICE_OK && request->count > 0 &&
	    !sessions_has_cookie(sessions, guard_cookie(request, cookie, sizeof(cookie))))
		set_cookie(request, "");
	crypto_cleanse(cookie, sizeof(cookie));
	web_reply_result(request, result);
}

static void end_session(struct web_request *request)
{
	request->session = NULL;
	auth_end_session(request->web->auth, request->who, request->id, session_ended, request);
}

void api_session_delete(struct web_request *request)
{
	snprintf(request->id, sizeof(request->id), "%s", request->session->id);
	request->count = 1; /* one's own: the cookie goes as well */
	end_session(request);
}

void api_session_end(struct web_request *request)
{
	end_session(request);
}

void api_sessions_get(struct web_request *request)
{
	struct sessions *sessions = auth_sessions(request->web->auth);
	const struct session *session;
	unsigned position = 0;
	struct json_writer w;
	struct buf body;

	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_open_array(&w, "sessions");
	while ((session = sessions_next(sessions, &position)) != NULL) {
		json_open_object(&w, NULL);
		json_write_string(&w, "id", session->id);
		json_write_string(&w, "address", session->address);
		json_write_text(&w, "agent", session->agent);
		json_write_text(&w, "user", session->user);
		json_write_time(&w, "started", session->started_ms);
		json_write_time(&w, "last_used", session->used_ms);
		json_write_bool(&w, "current",
		    request->session != NULL && strcmp(request->session->id, session->id) == 0);
		json_close_object(&w);
	}
	json_close_array(&w);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}

/* ---- the rest ---- */

void api_events(struct web_request *request)
{
	streams_begin(request->web->streams, request);
}

void api_write_setting(const struct web_setting *setting, void *arg)
{
	struct json_writer *w = arg;

	json_open_object(w, NULL);
	json_write_string(w, "name", setting->name);
	json_write_string(w, "value", setting->value);
	json_write_string(w, "source", setting->source);
	json_write_text(w, "default", setting->initial);
	json_write_text(w, "help", setting->help);
	json_close_object(w);
}

void api_settings(struct web_request *request)
{
	struct json_writer w;
	struct buf body;

	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	json_open_object(&w, NULL);
	json_open_array(&w, "settings");
	request->web->settings(api_write_setting, &w, request->web->settings_arg);
	json_close_array(&w);
	json_close_object(&w);
	web_reply_json(request, 200, &body);
	buf_free(&body);
}
