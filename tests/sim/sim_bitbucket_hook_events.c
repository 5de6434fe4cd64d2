/* The events of each version, and what a webhook is checked for before it is made or replaced. */
#include "sim/sim_bitbucket_hooks.h"

#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

/* since: 700 is 7.0 (Atlassian, "Event payload" of the versions). */
static const struct {
	const char *key;
	int since;
} events[] = {{"repo:refs_changed", 0}, {"repo:modified", 0}, {"repo:forked", 0},
    {"repo:comment:added", 0}, {"repo:comment:edited", 0}, {"repo:comment:deleted", 0},
    {"mirror:repo_synchronized", 605}, {"pr:opened", 0}, {"pr:from_ref_updated", 700},
    {"pr:modified", 0}, {"pr:reviewer:updated", 0}, {"pr:reviewer:approved", 0},
    {"pr:reviewer:unapproved", 0}, {"pr:reviewer:needs_work", 0}, {"pr:merged", 0},
    {"pr:declined", 0}, {"pr:deleted", 0}, {"pr:comment:added", 0}, {"pr:comment:edited", 0},
    {"pr:comment:deleted", 0}, {"repo:secret_detected", 812}};
_Static_assert(sizeof(events) / sizeof(events[0]) == HOOK_EVENTS, "one bit for each event");

#define NAME_MAX_LENGTH 255

const char *hook_event_key(unsigned event)
{
	return events[event].key;
}

int hook_event_find(const struct bitbucket *bb, const char *key)
{
	for (int i = 0; key && i < HOOK_EVENTS; i++)
		if (strcmp(events[i].key, key) == 0)
			return bb->version >= events[i].since ? i : -1;
	return -1;
}

void bitbucket_webhook_capabilities(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	if (bb->version < 605) {
		bitbucket_not_found(request, app);
		return;
	}
	json_t *list = json_array();
	for (unsigned i = 0; i < HOOK_EVENTS; i++)
		if (bb->version >= events[i].since)
			json_array_append_new(list, json_string(events[i].key));
	sim_answer_json(request, 200, json_pack("{s:o}", "application-webhooks", list));
}

static bool refuse(
    struct sim_request *request, struct bitbucket *bb, const char *context, const char *message)
{
	bitbucket_error(request, bb, 400, context, NULL, "%s", message);
	return false;
}

static bool is_blank(const char *text)
{
	return !text || text[strspn(text, " \t\r\n")] == '\0';
}

static bool check_texts(
    struct sim_request *request, struct bitbucket *bb, const char *name, const char *url)
{
	struct url parsed;
	if (is_blank(name))
		return refuse(request, bb, "name", "A name is required.");
	if (strlen(name) > NAME_MAX_LENGTH)
		return refuse(request, bb, "name", "The name must be at most 255 characters.");
	if (is_blank(url))
		return refuse(request, bb, "url", "A URL is required.");
	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		return refuse(request, bb, "url", "The URL must begin with http:// or https://.");
	return url_parse(&parsed, url, NULL) || refuse(request, bb, "url", "The URL is not valid.");
}

/* An unknown event fails the whole request (jenkins-x/jx#7204), and so do none at all
 * (jenkinsci/atlassian-bitbucket-server-integration-plugin#240). */
static bool read_events(
    struct sim_request *request, struct bitbucket *bb, const json_t *list, struct hook *hook)
{
	size_t i;
	json_t *item;
	hook->events = 0;
	json_array_foreach(list, i, item)
	{
		const char *key = json_string_value(item);
		int event = hook_event_find(bb, key);
		if (event < 0) {
			char context[48];
			snprintf(context, sizeof(context), "events[%zu].id", i);
			bitbucket_error(request, bb, 400, context, NULL, "the event %s is unknown",
			    key ? key : "null");
			return false;
		}
		hook->events |= UINT32_C(1) << event;
	}
	return hook->events != 0 ||
	       refuse(request, bb, "events", "At least one event is required.");
}

static bool read_configuration(struct sim_request *request, struct bitbucket *bb,
    const json_t *configuration, struct hook *hook)
{
	const json_t *secret = json_object_get(configuration, "secret");
	bool is_object = json_is_object(configuration) || json_is_null(configuration);
	if (configuration && !is_object)
		return refuse(request, bb, "configuration", "The configuration must be a map.");
	if (secret && !json_is_string(secret))
		return refuse(request, bb, "configuration", "The secret must be a text.");
	json_decref(hook->configuration);
	hook->configuration =
	    json_is_object(configuration) ? json_deep_copy(configuration) : json_object();
	return true;
}

static void read_credentials(const struct bitbucket *bb, const json_t *json, struct hook *hook)
{
	const char *user = sim_json_text(json_object_get(json, "credentials"), "username", NULL);
	free(hook->username);
	hook->username = bb->version >= 800 ? mem_string(user) : NULL;
}

bool hook_read(
    struct sim_request *request, struct bitbucket *bb, const json_t *json, struct hook *hook)
{
	const char *name = sim_json_text(json, "name", NULL);
	const char *url = sim_json_text(json, "url", NULL);
	if (!check_texts(request, bb, name, url) ||
	    !read_events(request, bb, json_object_get(json, "events"), hook) ||
	    !read_configuration(request, bb, json_object_get(json, "configuration"), hook))
		return false;
	free(hook->name);
	free(hook->url);
	hook->name = mem_string(name);
	hook->url = mem_string(url);
	hook->active = sim_json_bool(json, "active", true);
	hook->ssl_verification = sim_json_bool(json, "sslVerificationRequired", true);
	read_credentials(bb, json, hook);
	return true;
}
