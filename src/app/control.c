#include "app/control.h"

#include "base/json.h"
#include "net/http_client.h"
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { USUAL_MS = 60000, SLOW_MS = 600000, CONNECT_MS = 5000 };
#define BODY_LIMIT (64u << 20)

_Static_assert(CONTROL_PATH == sizeof(((struct sockaddr_un *)NULL)->sun_path),
    "a socket's path is as long as the system has it");

struct control {
	struct loop *loop;
	struct resolver *resolver;
	struct http_client *http;
	struct control_answer *answer;
};

bool control_path(char out[CONTROL_PATH], const char *state_dir, struct err *err)
{
	int length = snprintf(out, CONTROL_PATH, "%s/" CONTROL_SOCKET, state_dir);

	if (length >= 0 && length < CONTROL_PATH)
		return true;
	err_set(err, "control_path",
	    "the path of the control socket has %d bytes, the system allows %d: %s/" CONTROL_SOCKET,
	    length, CONTROL_PATH - 1, state_dir);
	err_hint(err, "choose a state folder with a shorter path: --state-dir or EYES_STATE_DIR");
	return false;
}

/* Connects once more, by hand, to learn the system's reason. 0 when it works. */
static int connect_error(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;

	if (fd < 0)
		return errno;
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		error = errno;
	close(fd);
	return error;
}

/* The nearest folder above that can be seen tells whose it is. */
static const char *owner_of(const char *state_dir, const char *path)
{
	struct stat stat_;
	const struct passwd *user;

	if (stat(path, &stat_) != 0 && stat(state_dir, &stat_) != 0)
		return NULL;
	user = getpwuid(stat_.st_uid);
	return user != NULL ? user->pw_name : NULL;
}

static void denied(struct err *err, const char *state_dir, const char *path)
{
	const char *owner = owner_of(state_dir, path);

	if (owner != NULL) {
		err_set(err, "control_denied", "the daemon in %s belongs to the user %s", state_dir,
		    owner);
		err_hint(err, "run the command as that user: sudo -u %s eyes-scm ...", owner);
	} else {
		err_set(err, "control_denied", "no permission to use %s", path);
		err_hint(err, "run the command as the user that the daemon runs as, or as root");
	}
	err_hop(err, "control socket");
}

/* Better words than "connection refused" for what cannot be reached. */
static void explain(const char *state_dir, const char *path, struct err *err)
{
	switch (connect_error(path)) {
	case ENOENT:
	case ENOTDIR:
	case ECONNREFUSED:
		err_set(err, "not_running", "eyes-scm does not run in %s", state_dir);
		err_hint(err, "start it with \"eyes-scm\" (or \"service eyes-scm start\"), or name "
		              "its state folder with --state-dir");
		break;
	case EACCES:
	case EPERM:
		denied(err, state_dir, path);
		break;
	default:
		break;
	}
}

static void answered(const struct http_result *result, void *arg)
{
	struct control *control = arg;
	struct control_answer *answer = control->answer;

	if (result->err != NULL) {
		answer->err = *result->err;
	} else if (result->body_length > 0) {
		answer->document =
		    json_parse(result->body, result->body_length, BODY_LIMIT, &answer->err);
		if (answer->document == NULL) {
			err_set(&answer->err, "control_malformed",
			    "the daemon answers %d with what is no JSON", result->status);
			err_hint(&answer->err, "is the daemon of the same version?");
		}
	}
	answer->status = answer->err.code == NULL ? result->status : 0;
	loop_stop(control->loop);
}

static bool control_open(struct control *control, struct err *err)
{
	control->loop = loop_new(err);
	if (control->loop == NULL)
		return false;
	control->resolver = resolver_new(control->loop, err);
	if (control->resolver == NULL)
		return false;
	control->http = http_client_new(control->loop, control->resolver, NULL, err);
	return control->http != NULL;
}

static void control_close(struct control *control)
{
	if (control->http != NULL)
		http_client_free(control->http);
	if (control->resolver != NULL)
		resolver_free(control->resolver);
	if (control->loop != NULL)
		loop_free(control->loop);
}

static bool control_send(
    struct control *control, const struct control_request *request, const char *path)
{
	char address[URL_TEXT];
	struct url url;
	char *body = request->body != NULL ? json_dumps(request->body, JSON_COMPACT) : NULL;
	struct http_header type = {.name = "Content-Type", .value = "application/json"};
	uint32_t limit = request->slow ? SLOW_MS : USUAL_MS;
	struct http_options options = {
	    .method = request->method,
	    .url = &url,
	    .unix_path = path,
	    .headers = &type,
	    .header_count = body != NULL ? 1 : 0,
	    .body = body,
	    .body_length = body != NULL ? strlen(body) : 0,
	    .body_limit = BODY_LIMIT,
	    .deadlines = {.connect = CONNECT_MS, .first_byte = limit, .total = limit},
	};
	struct err *err = &control->answer->err;
	bool sent = false;

	snprintf(address, sizeof(address), "http://localhost%s", request->path);
	if (url_parse(&url, address, err))
		sent = http_client_send(control->http, &options, answered, control, err) != NULL;
	if (body != NULL)
		crypto_cleanse(body, strlen(body));
	free(body);
	return sent;
}

bool control_call(const struct control_request *request, struct control_answer *answer)
{
	struct control control = {.answer = answer};
	char path[CONTROL_PATH];

	*answer = (struct control_answer){.status = 0};
	if (!control_path(path, request->state_dir, &answer->err))
		return false;
	if (control_open(&control, &answer->err) && control_send(&control, request, path))
		loop_run(control.loop);
	control_close(&control);
	if (answer->status == 0 && !err_is(&answer->err, "control_malformed"))
		explain(request->state_dir, path, &answer->err);
	return answer->status != 0;
}

void control_answer_free(struct control_answer *answer)
{
	json_decref(answer->document);
	answer->document = NULL;
}
