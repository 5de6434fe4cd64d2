#include "scm/bitbucket_answer.h"

#include "base/codec.h"
#include "scm/scm_call.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NAME 300 /* "PROJECT/slug" for people */
#define RETRY_AFTER_LIMIT_MS (60 * 60 * 1000)
#define PAGE_LOOKED_AT 4096

/* What the helpers below need together. */
struct reading {
	const struct bitbucket_asked *asked;
	const struct http_result *result;
	struct bitbucket_answer *answer;
	struct bitbucket_errors errors;
	char name[NAME];
};

static const char *header(const struct http_result *result, const char *name)
{
	return result->head ? http_head_get(result->head, name) : NULL;
}

/* ---- pages ---- */

static bool page_begins(const char *body, size_t length)
{
	size_t at = 0;

	if (length >= 3 && memcmp(body, "\xef\xbb\xbf", 3) == 0)
		at = 3;
	while (at < length && strchr(" \t\r\n", body[at]) && body[at])
		at++;
	return at < length && body[at] == '<';
}

static bool is_page(const struct http_result *result)
{
	const char *type = header(result, "Content-Type");

	if (result->body_length == 0)
		return false;
	return (type && strncasecmp(type, "text/html", 9) == 0) ||
	       page_begins(result->body, result->body_length);
}

static bool is_json(const struct http_result *result)
{
	size_t at = 0;

	while (at < result->body_length && strchr(" \t\r\n", result->body[at]) && result->body[at])
		at++;
	return at < result->body_length && (result->body[at] == '{' || result->body[at] == '[');
}

/* Bitbucket's "XSRF check failed" comes as plain text or in a page. */
static bool body_mentions(const struct http_result *result, const char *word)
{
	size_t length = strlen(word);

	for (size_t i = 0; i + length <= result->body_length && i < PAGE_LOOKED_AT; i++) {
		if (memcmp(result->body + i, word, length) == 0)
			return true;
	}
	return false;
}

/* ---- names and words ---- */

void bitbucket_user(const struct http_result *result, char *out, size_t size)
{
	const char *value = header(result, "X-AUSERNAME");
	struct buf decoded;
	size_t length;

	out[0] = '\0';
	if (!value || value[0] == '\0' || strcasecmp(value, "anonymous") == 0)
		return;
	length = strnlen(value, 1024);
	buf_init(&decoded, 1024);
	if (codec_url_decode(&decoded, value, length) && decoded.data)
		scm_clean_text(out, size, decoded.data, decoded.length);
	else
		scm_clean_text(out, size, value, length);
	buf_free(&decoded);
}

static void name_repository(struct reading *r)
{
	char project[140], slug[140];
	const struct bitbucket_asked *asked = r->asked;

	if (!asked->project || !asked->slug) {
		scm_clean_text(r->name, sizeof(r->name), asked->host, strlen(asked->host));
		return;
	}
	scm_clean_text(project, sizeof(project), asked->project, strlen(asked->project));
	scm_clean_text(slug, sizeof(slug), asked->slug, strlen(asked->slug));
	snprintf(r->name, sizeof(r->name), "%s/%s", project, slug);
}

/* Bitbucket's own words behind ours, so that they can be searched for. */
static void add_words(struct reading *r)
{
	struct err *err = &r->answer->err;
	size_t used = strlen(err->message);

	if (r->errors.words[0] && used + 8 < sizeof(err->message))
		snprintf(err->message + used, sizeof(err->message) - used, " (%.*s)",
		    (int)codec_utf8_cut(
		        r->errors.words, strlen(r->errors.words), sizeof(err->message) - used - 4),
		    r->errors.words);
}

/* A server may repeat in its words what it was asked with. */
static void scrub(const struct reading *r, char *text)
{
	secret_scrub(text, r->asked->token, r->asked->token_length);
}

static void decide(struct reading *r, enum scm_outcome outcome, enum scm_scope scope)
{
	struct scm_answer *scm = &r->answer->scm;

	scm->outcome = outcome;
	scm->scope = scope;
	scm->err = outcome == SCM_OK ? NULL : &r->answer->err;
}

static struct err *fault(struct reading *r, enum scm_outcome outcome, enum scm_scope scope)
{
	decide(r, outcome, scope);
	return &r->answer->err;
}

static void hop_bitbucket(struct reading *r)
{
	err_hop(&r->answer->err, "Bitbucket, HTTP %d", r->result->status);
}

/* "HTTP 302 to sso.example.com", "HTTP 200, text/html": whoever answers there is not Bitbucket. */
static void hop_other(struct reading *r)
{
	char text[48] = "";
	const char *type = header(r->result, "Content-Type");
	const char *location = r->result->status / 100 == 3 ? header(r->result, "Location") : NULL;
	const char *host = location ? strstr(location, "://") : NULL;

	if (location) {
		host = host ? host + 3 : location;
		/* The host only: the rest may hold a ticket. */
		scm_clean_text(
		    text, sizeof(text), host, strcspn(host, host == location ? "?#" : "/?#"));
	} else if (type) {
		scm_clean_text(text, sizeof(text), type, strcspn(type, ";"));
	}
	err_hop(&r->answer->err, "HTTP %d%s%s", r->result->status,
	    text[0] ? (location ? " to " : ", ") : "", text);
}

/* ---- no answer ---- */

/* The client's codes in the words of the wizard. The others (tls_*, proxy_*) are the same in both.
 */
static const struct {
	const char *from, *to;
	const char *hint; /* NULL: the client's own says more */
} network[] = {
    {"dns_failed", "server_dns",
        "Check the spelling. The browser's machine may know names that this machine does not."},
    {"connect_refused", "server_refused",
        "Check the port; Bitbucket's own is 7990, behind a proxy usually 443."},
    {"connect_timeout", "server_timeout",
        "A firewall may drop the connection: allow this machine to reach that address."},
    {"connect_failed", "server_unreachable", NULL},
    {"http_timeout", "server_timeout",
        "Look at the load of Bitbucket, and at what stands in front of it."},
    {"deadline", "server_timeout",
        "Look at the load of Bitbucket, and at what stands in front of it."},
    {"http_cut", "server_cut", "Look at the load of Bitbucket, and at what stands in front of it."},
    {"http_malformed", "not_bitbucket", NULL},
    {"http_too_large", "not_bitbucket", NULL},
    {"tls_untrusted", "tls_untrusted", NULL},
    {"tls_name", "tls_name",
        "Use one of those names as the URL, or have the certificate renewed with this one."},
    {"tls_expired", "tls_expired", NULL},
    {"proxy_auth", "proxy_auth", "Put user and password into HTTPS_PROXY and restart."},
};

/* "check the port" -> "Check the port."; names of hosts keep their spelling. */
static void as_sentence(char *text, size_t size, bool stop)
{
	size_t length = strlen(text);

	if (strncmp(text, "the ", 4) == 0 || strncmp(text, "no ", 3) == 0 ||
	    (stop && text[0] >= 'a' && text[0] <= 'z'))
		text[0] = (char)(text[0] - 'a' + 'A');
	if (stop && length && length + 1 < size && text[length - 1] != '.')
		memcpy(text + length, ".", 2);
}

/* Whether it is a Bitbucket was asked without TLS. */
static bool is_plain(const struct reading *r)
{
	return r->asked->identify && r->result->url != NULL && !r->result->url->tls;
}

static void read_wants_tls(struct reading *r)
{
	struct err *err = fault(r, SCM_TEMPORARY, SCM_SCOPE_SERVER);

	err_set(err, "tls_wanted", "%s speaks HTTPS at this port", r->asked->host);
	err_hint(err, "Try https:// in the address.");
}

static void read_network(struct reading *r)
{
	struct err *err = fault(r, SCM_TEMPORARY, SCM_SCOPE_SERVER);
	bool proxy;

	if (is_plain(r) && strstr(r->result->err->message, "TLS where plain HTTP") != NULL) {
		read_wants_tls(r);
		err_hop(err, "%s", r->result->err->hop);
		return;
	}
	err_copy(err, r->result->err);
	proxy = strncmp(err->hop, "Proxy", 5) == 0;
	for (size_t i = 0; i < sizeof(network) / sizeof(network[0]); i++) {
		if (!err_is(err, network[i].from))
			continue;
		err->code = network[i].to;
		if (network[i].hint && (!proxy || err->hint[0] == '\0'))
			err_hint(err, "%s", network[i].hint);
		break;
	}
	if (is_plain(r) && err_is(err, "server_cut"))
		err_hint(err, "Try https:// in the address. Else look at the load of Bitbucket, "
		              "and at what stands in front of it.");
	as_sentence(err->message, sizeof(err->message), false);
	as_sentence(err->hint, sizeof(err->hint), true);
	r->answer->scm.doubtful = r->asked->write && r->result->sent;
}

/* ---- somebody else answers ---- */

static void read_not_bitbucket(struct reading *r)
{
	struct err *err = fault(r, SCM_TEMPORARY, SCM_SCOPE_SERVER);

	err_set(err, "not_bitbucket", "%s is not a Bitbucket server", r->asked->host);
	hop_other(r);
	err_hint(err, "Open the address in a browser. If Bitbucket lives under a path, add it.");
}

static void read_login_page(struct reading *r)
{
	struct err *err = fault(r, SCM_TEMPORARY, SCM_SCOPE_SERVER);

	if (r->result->status / 100 != 2)
		err_set(err, "login_page", "A sign-in page stands in front of %s", r->asked->host);
	else
		err_set(err, "login_page",
		    "A page came from %s where Bitbucket answers with data: a sign-in page or a "
		    "proxy stands in front of it",
		    r->asked->host);
	hop_other(r);
	err_hint(err, "Ask for /rest/ to be let through to Bitbucket, or for its inner address.");
}

/* A 2xx that is not the success. */
static void read_odd_success(struct reading *r)
{
	struct err *err;

	if (r->asked->identify) {
		read_not_bitbucket(r);
	} else if (r->answer->page) {
		read_login_page(r);
	} else {
		err = fault(r, SCM_TEMPORARY, SCM_SCOPE_SERVER);
		err_set(err, "not_bitbucket",
		    "%s answers with HTTP %d where Bitbucket answers with %d: something else "
		    "stands in front of it",
		    r->asked->host, r->result->status,
		    r->asked->write && !r->asked->returns ? 204 : 200);
		hop_other(r);
		err_hint(err, "Look at the proxy in front of Bitbucket, or use its inner address.");
	}
	r->answer->scm.doubtful = r->asked->write;
}

/* ---- refusals ---- */

static void read_refused(struct reading *r)
{
	struct err *err = fault(r, SCM_BLOCKED, SCM_SCOPE_TOKEN);

	err_set(err, "token_refused", "%s refused this token", r->asked->host);
	hop_bitbucket(r);
	err_hint(err, "It may be cut off, expired or revoked. Make a new one and paste it here.");
	add_words(r);
}

static void read_rights(struct reading *r, const char *user)
{
	struct err *err =
	    fault(r, SCM_BLOCKED, r->asked->project ? SCM_SCOPE_REPOSITORY : SCM_SCOPE_TOKEN);

	err_set(err, r->asked->webhooks ? "not_admin" : "token_rights", "%s may not %s %s",
	    user[0] ? user : "This token", r->asked->what, r->name);
	hop_bitbucket(r);
	if (r->asked->webhooks)
		err_hint(err,
		    "Webhooks need the permission Repository admin (REPO_ADMIN), of the person and "
		    "of "
		    "the token: give it in Bitbucket, use an administrator's token, or enter the "
		    "webhook by hand.");
	else
		err_hint(err,
		    "Use the token of someone who may, or give this one the right in Bitbucket.");
	add_words(r);
}

/*
 * 401 also means "signed in, but not permitted". X-AUSERNAME tells who is signed in; where a proxy
 * took it away, the exception's name tells: rather one repository stops than all of the token.
 */
static void read_401(struct reading *r)
{
	char user[BITBUCKET_USER];
	bool named;

	bitbucket_user(r->result, user, sizeof(user));
	named = header(r->result, "X-AUSERNAME") != NULL;
	if (r->asked->identify)
		read_login_page(
		    r); /* application-properties needs no token: somebody in front wants one */
	else if (r->errors.exception == BITBUCKET_BAD_CREDENTIALS)
		read_refused(r);
	else if (user[0] || (!named && r->errors.exception == BITBUCKET_NOT_AUTHORISED))
		read_rights(r, user);
	else
		read_refused(r);
}

/* XSRF check, licence limit; some versions say 403 for a missing permission. */
static void read_403(struct reading *r)
{
	char user[BITBUCKET_USER];
	struct err *err;

	bitbucket_user(r->result, user, sizeof(user));
	if (r->asked->identify) {
		read_login_page(r);
		return;
	}
	if (r->errors.exception == BITBUCKET_NOT_AUTHORISED) {
		read_rights(r, user);
		return;
	}
	err = fault(r, SCM_BLOCKED, SCM_SCOPE_TOKEN);
	if (body_mentions(r->result, "XSRF")) {
		err_set(err, "token_refused",
		    "%s takes the request for a forged one (XSRF check failed)", r->asked->host);
		err_hint(err, "Something in front of Bitbucket removes the header "
		              "X-Atlassian-Token. Let it through.");
	} else {
		err_set(err, "token_refused", "%s forbids this%s", r->asked->host,
		    r->answer->page ? ", with a page that may be a proxy's" : "");
		err_hint(err, "Bitbucket does this when its licence is used up; else look at what "
		              "stands in front of it.");
	}
	hop_bitbucket(r);
	add_words(r);
}

static void read_no_commit(struct reading *r)
{
	struct err *err = fault(r, SCM_TEMPORARY, SCM_SCOPE_UPDATE);

	r->answer->scm.unknown_commit = true;
	err_set(err, "commit_unknown", "Bitbucket does not know commit %.12s of %s",
	    r->asked->commit ? r->asked->commit : "?", r->name);
	hop_bitbucket(r);
	err_hint(err, "It may not be pushed yet; else the branch was rebased or deleted.");
	add_words(r);
}

static void read_no_repository(struct reading *r)
{
	struct err *err = fault(r, SCM_BLOCKED, SCM_SCOPE_REPOSITORY);

	err_set(err, "repo_unknown", "%s is not visible to this token", r->name);
	hop_bitbucket(r);
	err_hint(err, "Check the spelling, or use a token that can read it.");
	add_words(r);
}

/* 404 may come with an empty body, or from a proxy. */
static void read_404(struct reading *r)
{
	const struct bitbucket_asked *asked = r->asked;

	if (asked->identify || !asked->project) {
		read_not_bitbucket(r);
		return;
	}
	if (asked->commit && r->errors.exception == BITBUCKET_NO_SUCH_COMMIT) {
		read_no_commit(r);
		return;
	}
	if (r->errors.exception != BITBUCKET_NO_SUCH_REPOSITORY &&
	    (asked->commit || asked->webhooks))
		r->answer->unclear = true;
	/* A page says nothing about the repository: each would be blocked while a proxy is without
	 * its Bitbucket. */
	if (r->answer->page)
		read_not_bitbucket(r);
	else
		read_no_repository(r);
}

/* ---- the rest ---- */

/* A status waits in the queue and is tried again; whatever else is asked is over. */
static bool is_queued(const struct reading *r)
{
	return r->asked->write && r->asked->commit != NULL;
}

static void read_rate_limit(struct reading *r)
{
	bool queued = is_queued(r);
	struct err *err = fault(r, SCM_TEMPORARY, SCM_SCOPE_TOKEN);

	r->answer->scm.rate_limited = true;
	err_set(err, "rate_limited", "%s asks to slow down", r->asked->host);
	hop_bitbucket(r);
	if (r->answer->scm.retry_after_ms >= 0)
		err_hint(err, queued ? "Nothing to do: goes on in %lld s." : "Try again in %lld s.",
		    (long long)((r->answer->scm.retry_after_ms + 999) / 1000));
	else
		err_hint(
		    err, queued ? "Nothing to do: goes on by itself." : "Try again in a minute.");
}

/* 500 is Bitbucket's about this request (the same key with another ref has been seen); 502 to 504
 * are the way's. */
static void read_5xx(struct reading *r)
{
	int status = r->result->status;
	bool server = status != 500;
	struct err *err = fault(r, SCM_TEMPORARY, server ? SCM_SCOPE_SERVER : SCM_SCOPE_UPDATE);

	if (status == 502 || status == 504)
		err_set(err, "server_5xx",
		    "What stands in front of %s does not reach Bitbucket (%d)", r->asked->host,
		    status);
	else if (status == 503)
		err_set(err, "server_5xx", "%s is not available at present (503)", r->asked->host);
	else
		err_set(err, "server_5xx", "%s answers with HTTP %d", r->asked->host, status);
	hop_bitbucket(r);
	err_hint(err, is_queued(r)
	                  ? "Nothing to do here: it is tried again, and nothing is lost."
	                  : "Try again; if it keeps failing, look at the load of Bitbucket.");
	add_words(r);
	r->answer->scm.doubtful = r->asked->write && server && status != 503;
}

/* nginx, Apache, Tomcat and Go say so in plain HTTP; others send an alert or end the connection. */
static bool says_https(const struct http_result *result)
{
	return body_mentions(result, "plain HTTP") || body_mentions(result, "requires TLS") ||
	       body_mentions(result, "to an HTTPS server");
}

static void read_permanent(struct reading *r)
{
	struct err *err = fault(r, SCM_PERMANENT, SCM_SCOPE_UPDATE);

	err_set(err, "scm_refused", "Bitbucket does not accept this%s%s",
	    r->errors.words[0] ? ": " : "", r->errors.words);
	hop_bitbucket(r);
	if (r->answer->page)
		err_hint(err,
		    "A page came with it, so it may be a proxy in front of %s that refuses.",
		    r->asked->host);
}

static void read_status(struct reading *r)
{
	int status = r->result->status;

	if (status == 401)
		read_401(r);
	else if (status == 403)
		read_403(r);
	else if (status == 404)
		read_404(r);
	else if (status == 429)
		read_rate_limit(r);
	else if (status == 511 ||
	         (status >= 300 && status < 400)) /* RFC 6585: sign in to the network */
		read_login_page(r);
	else if (status == 407) {
		struct err *err = fault(r, SCM_TEMPORARY, SCM_SCOPE_SERVER);
		err_set(err, "proxy_auth", "The proxy does not let eyes-scm through to %s",
		    r->asked->host);
		err_hop(err, "Proxy, 407");
		err_hint(err, "Put user and password into HTTPS_PROXY and restart.");
	} else if (status == 408 || (status >= 500 && status != 501))
		read_5xx(r);
	else if (status == 400 && is_plain(r) && says_https(r->result)) {
		read_wants_tls(r);
		hop_other(r);
	} else if (status >= 400)
		read_permanent(r);
	else
		read_odd_success(r);
}

static void begin(struct reading *r, const struct bitbucket_asked *asked,
    const struct http_result *result, struct bitbucket_answer *answer)
{
	r->asked = asked;
	r->result = result;
	r->answer = answer;
	r->errors.exception = BITBUCKET_NONE;
	r->errors.words[0] = '\0';
	answer->scm = (struct scm_answer){.status = result->err ? 0 : result->status,
	    .retry_after_ms = -1,
	    .trace = result->trace};
	answer->err.code = NULL;
	answer->exception = BITBUCKET_NONE;
	answer->unclear = answer->page = false;
}

static bool is_success(const struct bitbucket_asked *asked, const struct http_result *result)
{
	if (result->err)
		return false;
	if (asked->write && !asked->returns)
		return result->status == 204;
	return (result->status == 200 || (asked->returns && result->status == 201)) &&
	       is_json(result);
}

void bitbucket_answer(const struct bitbucket_asked *asked, const struct http_result *result,
    struct bitbucket_answer *answer)
{
	struct reading r;
	const char *retry;

	begin(&r, asked, result, answer);
	if (is_success(asked, result)) {
		decide(&r, SCM_OK, SCM_SCOPE_UPDATE);
		return;
	}
	name_repository(&r);
	if (result->err) {
		read_network(&r);
		return;
	}
	answer->page = is_page(result);
	if (result->status >= 400 && !answer->page)
		bitbucket_parse_errors(result->body, result->body_length, &r.errors);
	scrub(&r, r.errors.words);
	answer->exception = r.errors.exception;
	retry = header(result, "Retry-After");
	if (retry && (result->status == 429 || result->status == 503))
		answer->scm.retry_after_ms =
		    http_retry_after_ms(retry, asked->now_ms, RETRY_AFTER_LIMIT_MS);
	read_status(&r);
	scrub(&r, answer->err.message); /* whatever else came from there: a name, a host */
	scrub(&r, answer->err.hop);
	scrub(&r, answer->err.hint);
}

void bitbucket_answer_no_commit(const struct bitbucket_asked *asked,
    const struct http_result *result, struct bitbucket_answer *answer)
{
	struct reading r;

	begin(&r, asked, result, answer);
	name_repository(&r);
	read_no_commit(&r);
	/* The commit was asked for before; the present result is the repository's. */
	err_hop(&answer->err, "Bitbucket, HTTP 404");
	answer->scm.status = 404;
}

void bitbucket_answer_malformed(const struct bitbucket_asked *asked,
    const struct http_result *result, const struct err *why, struct bitbucket_answer *answer)
{
	struct reading r;

	begin(&r, asked, result, answer);
	name_repository(&r);
	read_not_bitbucket(&r);
	answer->scm.doubtful = asked->write;
	if (!asked->identify)
		err_set(&answer->err, "not_bitbucket", "%s answers otherwise than Bitbucket does",
		    asked->host);
	snprintf(r.errors.words, sizeof(r.errors.words), "%.300s", why->message);
	scrub(&r, r.errors.words);
	add_words(&r);
	hop_other(&r);
	err_hint(&answer->err,
	    asked->identify
	        ? "Open the address in a browser. If Bitbucket lives under a path, add it."
	        : "Look at what stands in front of Bitbucket.");
}

void bitbucket_answer_refused(const struct bitbucket_asked *asked, const struct http_result *result,
    struct bitbucket_answer *answer)
{
	struct reading r;

	begin(&r, asked, result, answer);
	name_repository(&r);
	read_refused(&r);
	err_hop(&answer->err, "HTTP %d, not signed in", result->status);
}
