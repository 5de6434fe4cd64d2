#include "service/auth.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/job.h"
#include "service/tries.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define BUSY_MS 1000

struct sign_in {
	struct service_job job;
	struct auth *auth;
	struct eyes_call *call;
	struct secret key;
	char address[64], agent[128], setup_code[32];
	bool asking; /* Eyes has been asked about the key */
	char missing[40];
	char cookie[SESSION_SECRET + 1], token[SESSION_SECRET + 1];
	LIST_ENTRY(sign_in) link;
	auth_fn *fn;
	void *arg;
};

struct auth {
	struct auth_options options;
	struct tries tries;
	char *team; /* of the account; NULL: none */
	LIST_HEAD(, sign_in) sign_ins;
};

/* ---- the setup code ---- */

static void say_setup_code(struct auth *auth)
{
	static const char letters[] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"; /* without 0 O 1 I */
	unsigned char bytes[AUTH_SETUP_CODE - 1];
	char *code = auth->options.setup_code;

	crypto_random(bytes, sizeof(bytes));
	for (unsigned i = 0; i < sizeof(bytes) && code[i] == '\0'; i++)
		code[i] = i == 4 ? '-' : letters[bytes[i] % 32];
	log_info("auth", "the first sign-in in the browser needs this setup code",
	    log_str("setup_code", code));
}

static bool has_account(const struct auth *auth)
{
	struct record_account account;

	return records_account(auth->options.service->parts.records, &account);
}

const char *auth_setup_code(const struct auth *auth)
{
	return auth->options.need_setup_code && !has_account(auth) ? auth->options.setup_code : "";
}

static char *team_of(const struct auth *auth)
{
	struct record_account account;

	if (!records_account(auth->options.service->parts.records, &account))
		return NULL;
	return mem_string(account.team_id);
}

/* Sessions were given to a team: those of the one before do not outlive it. */
static void account_changed(enum bus_topic topic, uint64_t number, void *arg)
{
	struct auth *auth = arg;
	char *team;
	struct err err = ERR_INIT;

	(void)number;
	if (topic != BUS_ACCOUNT)
		return;
	team = team_of(auth);
	if (auth->team != NULL && team != NULL && strcmp(auth->team, team) != 0) {
		log_info("auth", "the account is another team's now: all sessions end",
		    log_str("team", team));
		sessions_remove_all(auth->options.sessions, &err);
		job_audit(auth->options.service, "eyes-scm", "session.end", "all sessions",
		    "the account is another team's");
		if (err.code != NULL)
			log_error("auth", "a session cannot be removed", log_err(&err));
	}
	free(auth->team);
	auth->team = team;
}

struct auth *auth_new(const struct auth_options *options)
{
	struct auth *auth = mem_zero(sizeof(*auth));

	auth->options = *options;
	auth->team = team_of(auth);
	LIST_INIT(&auth->sign_ins);
	bus_listen(options->bus, account_changed, auth);
	if (options->need_setup_code && !has_account(auth))
		say_setup_code(auth);
	return auth;
}

void auth_free(struct auth *auth)
{
	if (auth == NULL)
		return;
	bus_ignore(auth->options.bus, account_changed, auth);
	free(auth->team);
	free(auth);
}

struct sessions *auth_sessions(struct auth *auth)
{
	return auth->options.sessions;
}

const struct session *auth_check(
    struct auth *auth, const char *cookie, const char *token, struct err *err)
{
	const struct session *session = sessions_find(auth->options.sessions, cookie, token);

	if (session != NULL) {
		sessions_used(auth->options.sessions, session);
		return session;
	}
	if (cookie[0] == '\0' || token[0] == '\0')
		err_set(err, "session_missing", "sign in first");
	else
		err_set(err, "session_ended", "the session has ended");
	err_hint(err, "Sign in again with a key of the team. What you typed is kept.");
	return NULL;
}

/* ---- signing in ---- */

static void sign_in_free(struct service_job *job)
{
	struct sign_in *s = (struct sign_in *)job;

	job_remove(job);
	LIST_REMOVE(s, link);
	if (s->call != NULL)
		eyes_cancel(s->call);
	secret_free(&s->key);
	crypto_cleanse(s, sizeof(*s));
	free(s);
}

static void refuse(struct sign_in *s, enum service_fault fault, const struct err *err,
    const struct http_trace *trace, int64_t retry_after_ms)
{
	struct service_result result = {.fault = fault, .err = err, .trace = trace};

	s->fn(&result, NULL, retry_after_ms, s->arg);
	sign_in_free(&s->job);
}

/* A session that could not be kept is none: nobody is told of it. */
static void kept(const struct service_result *result, void *arg)
{
	struct sign_in *s = arg;
	struct auth_signed_in signed_in = {
	    .cookie = s->cookie, .token = s->token, .missing = s->missing};
	struct err err = ERR_INIT;

	if (result->fault == SERVICE_OK)
		signed_in.session = sessions_find(s->auth->options.sessions, s->cookie, s->token);
	if (signed_in.session != NULL) {
		s->fn(result, &signed_in, -1, s->arg);
		sign_in_free(&s->job);
		return;
	}
	if (result->fault == SERVICE_OK)
		err_set(&err, "store_failed", "the session ended at the same moment");
	else
		err_copy(&err, result->err);
	refuse(s, SERVICE_STORE, &err, NULL, -1);
}

/* For every request, so without a format. */
void auth_who(const struct session *session, const char *address, char out[AUDIT_WHO])
{
	_Static_assert(AUDIT_WHO >= SESSION_USER + sizeof(", browser at ") +
	                                sizeof(((struct session *)0)->address),
	    "all of it fits");
	char *end;

	if (session->user[0] != '\0')
		end = stpcpy(stpcpy(out, session->user), ", browser");
	else
		end = stpcpy(stpcpy(out, "browser session "), session->id);
	stpcpy(stpcpy(end, " at "), address);
}

static void let_in(struct sign_in *s, const char *user)
{
	struct session_of of = {.address = s->address, .agent = s->agent, .user = user};
	struct auth *auth = s->auth;
	struct service *service = auth->options.service;
	uint64_t lost = db_lost(service->parts.db);
	const struct session *session;
	struct err err = ERR_INIT;
	char who[AUDIT_WHO];

	tries_right(&auth->tries, s->address);
	if (!sessions_add(auth->options.sessions, &of, s->cookie, s->token, &session, &err)) {
		refuse(s, SERVICE_STORE, &err, NULL, -1);
		return;
	}
	s->asking = false; /* the key is right */
	auth_who(session, s->address, who);
	job_audit(service, who, "session.start", session->id, s->agent);
	job_after_commit(service, lost, kept, s);
}

void auth_end_session(struct auth *auth, const char *who, const char *id, service_fn *fn, void *arg)
{
	struct service *service = auth->options.service;
	uint64_t lost = db_lost(service->parts.db);
	struct err err = ERR_INIT;

	if (sessions_remove(auth->options.sessions, id, &err)) {
		job_audit(service, who, "session.end", id, "");
		job_after_commit(service, lost, fn, arg);
		return;
	}
	job_fail(
	    service, err_is(&err, "not_found") ? SERVICE_NOT_FOUND : SERVICE_STORE, &err, fn, arg);
}

/* Counts a wrong one. hint: what helps, said before how many more there are. */
static unsigned count_wrong(
    struct auth *auth, const char *address, const char *hint, struct err *err)
{
	unsigned left =
	    tries_wrong(&auth->tries, address, AUTH_TRIES, AUTH_PAUSE_MS, clock_monotonic_ms());

	if (left > 0)
		err_hint(err, "%s %u more %s before a pause of one minute.", hint, left,
		    left == 1 ? "try" : "tries");
	else
		err_hint(err, "%s The next try is in one minute.", hint);
	return left;
}

int64_t auth_pause_ms(const struct auth *auth, const char *address)
{
	uint64_t wait = tries_wait_ms(&auth->tries, address, clock_monotonic_ms());

	return wait > 0 ? (int64_t)wait : -1;
}

static void wrong_key(struct sign_in *s, const struct err *err, const struct http_trace *trace)
{
	struct err told = *err;
	unsigned left = count_wrong(
	    s->auth, s->address, "Copy it again from Eyes (Admin, API Keys): all of it.", &told);

	log_warn("auth", "a sign-in with a wrong key", log_str("address", s->address),
	    log_uint("tries_left", left));
	refuse(s, SERVICE_REFUSED, &told, trace, auth_pause_ms(s->auth, s->address));
}

/* Eyes cannot be asked: the key that is stored is known to be good. */
static bool is_stored_key(struct sign_in *s)
{
	struct secret stored = {0};
	bool same = records_account_key(s->auth->options.service->parts.records, &stored, NULL) &&
	            secret_equal(&stored, &s->key);

	secret_free(&stored);
	return same;
}

/* With the key of the account, so as its user. */
static void let_in_as_stored(struct sign_in *s)
{
	struct record_account account;
	bool known = records_account(s->auth->options.service->parts.records, &account);

	let_in(s, known ? account.user : "");
}

static void account_made(const struct service_result *result, void *arg)
{
	struct sign_in *s = arg;

	if (result->fault == SERVICE_OK)
		let_in_as_stored(s);
	else if (result->err != NULL && err_is(result->err, "key_unknown"))
		wrong_key(s, result->err, result->trace);
	else
		refuse(s, result->fault, result->err, result->trace, -1);
}

static void key_checked(
    const struct eyes_answer *answer, const struct eyes_account *account, void *arg)
{
	struct sign_in *s = arg;
	struct record_account stored;
	struct err err = ERR_INIT;

	s->call = NULL;
	if (account == NULL && answer->refused) {
		wrong_key(s, answer->err, answer->trace);
		return;
	}
	if (account == NULL) {
		if (is_stored_key(s))
			let_in_as_stored(s);
		else
			refuse(s, SERVICE_UNREACHED, answer->err, answer->trace, -1);
		return;
	}
	if (records_account(s->auth->options.service->parts.records, &stored) &&
	    strcmp(stored.team_id, account->team_id) != 0) {
		err_set(&err, "key_other_team", "this key is of another team");
		err_hop(&err, "Eyes, team %.40s", account->team_id);
		err_hint(&err,
		    "Use a key of team %.100s. To change the team, replace the key in Settings "
		    "first.",
		    stored.team_id);
		refuse(s, SERVICE_REFUSED, &err, NULL, -1);
		return;
	}
	snprintf(s->missing, sizeof(s->missing), "%s%s%s%s", account->read ? "" : "read,",
	    account->write ? "" : "write,", account->execute ? "" : "execute,",
	    account->merge ? "" : "merge,");
	if (s->missing[0] != '\0')
		s->missing[strlen(s->missing) - 1] = '\0';
	let_in(s, account->user);
}

/* Capitals only, no hyphens and spaces. Returns the length, of which out takes what fits. */
static size_t plain_code(const char *text, char out[AUTH_SETUP_CODE])
{
	size_t length = 0;

	for (; *text != '\0'; text++) {
		if (*text == '-' || *text == ' ')
			continue;
		if (length < AUTH_SETUP_CODE - 1)
			out[length] =
			    *text >= 'a' && *text <= 'z' ? (char)(*text - 'a' + 'A') : *text;
		length++;
	}
	return length;
}

static bool is_setup_code(const struct auth *auth, const char *given)
{
	const char *code = auth_setup_code(auth);
	char plain[AUTH_SETUP_CODE] = "", wanted[AUTH_SETUP_CODE] = "";

	if (code[0] == '\0')
		return true;
	return plain_code(given, plain) == plain_code(code, wanted) &&
	       crypto_equal(plain, wanted, AUTH_SETUP_CODE);
}

bool auth_setup_code_right(
    struct auth *auth, const char *address, const char *given, struct err *err)
{
	int64_t wait = auth_pause_ms(auth, address);

	if (wait > 0) {
		err_set(err, "key_rate", "five wrong keys from %s", address);
		err_hop(err, "this machine, sign-in");
		err_hint(err, "The next one is accepted in %lld s. Nobody else is held up.",
		    (long long)(wait + 999) / 1000);
		return false;
	}
	if (is_setup_code(auth, given))
		return true;
	err_set(err, "setup_code", "that setup code is not right");
	err_hop(err, "this machine, sign-in");
	err_field(err, "setup_code");
	count_wrong(auth, address,
	    "It is in the log of eyes-scm, or run eyes-scm setup-code. A new one is made at each "
	    "start until the first sign-in.",
	    err);
	return false;
}

/* Keys of this address that Eyes is being asked about: each may turn out wrong. */
static unsigned under_way(const struct auth *auth, const char *address)
{
	const struct sign_in *s;
	unsigned count = 0;

	LIST_FOREACH(s, &auth->sign_ins, link)
	count += s->asking && strcmp(s->address, address) == 0;
	return count;
}

static bool may_try(struct sign_in *s)
{
	struct err err = ERR_INIT;

	if (!auth_setup_code_right(s->auth, s->address, s->setup_code, &err)) {
		refuse(s, SERVICE_REFUSED, &err, NULL, auth_pause_ms(s->auth, s->address));
		return false;
	}
	if (under_way(s->auth, s->address) <
	    tries_left(&s->auth->tries, s->address, AUTH_TRIES, clock_monotonic_ms()))
		return true;
	err_set(&err, "key_rate", "other keys from %s are still being checked", s->address);
	err_hop(&err, "this machine, sign-in");
	err_hint(&err, "Try again in a moment. Nobody else is held up.");
	refuse(s, SERVICE_REFUSED, &err, NULL, BUSY_MS);
	return false;
}

/* In a later step than the request, as every completion is. */
static void begin(const struct service_result *result, void *arg)
{
	struct sign_in *s = arg;
	struct service *service = s->auth->options.service;
	char who[AUDIT_WHO];

	(void)result;
	if (!may_try(s))
		return;
	s->asking = true;
	snprintf(who, sizeof(who), "browser at %s", s->address);
	if (service->parts.eyes == NULL || !has_account(s->auth))
		service_set_account(service, who, &s->key, account_made, s);
	else
		s->call = eyes_validate_key(service->parts.eyes, &s->key, key_checked, s);
}

void auth_sign_in(struct auth *auth, const struct auth_attempt *attempt, auth_fn *fn, void *arg)
{
	struct sign_in *s = mem_zero(sizeof(*s));

	s->auth = auth;
	s->fn = fn;
	s->arg = arg;
	strncpy(s->address, attempt->address, sizeof(s->address) - 1);
	strncpy(s->agent, attempt->agent, sizeof(s->agent) - 1);
	strncpy(s->setup_code, attempt->setup_code, sizeof(s->setup_code) - 1);
	strncpy(s->cookie, attempt->cookie, sizeof(s->cookie) - 1);
	secret_set(&s->key, attempt->key->data, attempt->key->length);
	job_add(auth->options.service, &s->job, sign_in_free);
	LIST_INSERT_HEAD(&auth->sign_ins, s, link);
	job_after_commit(auth->options.service, db_lost(auth->options.service->parts.db), begin, s);
}
