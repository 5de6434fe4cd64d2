#include "flow/inbox.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "flow/event_commits.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#define REMEMBERED 1024 /* repositories with their secrets */
#define NOTE_MS (60 * 1000)
#define KEY_MAX 100
#define REQUEST_ID_MAX 200
#define CONTENT_TYPE_MAX 200
#define PING "diagnostics:ping"
#define REFUSED_MANY 3 /* in a row: whoever looks after the webhook is told */

/* What is needed for each event of a repository that may send some. */
struct sender {
	uint32_t repo;
	struct secret current, old;
	int64_t old_until_ms; /* wall */
	int64_t noted_ms;     /* wall: the last delivery that the row tells of */
	enum hook_state state;
	bool proved;      /* the server is known to have the current secret */
	unsigned refused; /* in a row */
	TAILQ_ENTRY(sender) entry;
};

/* Those who wait for one group of writes. */
struct waiting {
	struct inbox *inbox;
	uint64_t commits, lost; /* of db, when it was begun: others wait for another group */
	bool of_group;          /* begun with something put, so with a group open */
	unsigned count, capacity;
	struct waiter {
		inbox_fn *fn;
		void *arg;
		uint32_t lane;
		bool fresh; /* something was put */
	} * list;
	struct waiting *next; /* in spare */
};

struct inbox {
	struct inbox_options options;
	inbox_doubt_fn *doubt;
	void *doubt_arg;
	struct map senders;               /* repository id --> struct sender */
	TAILQ_HEAD(senders, sender) used; /* the one not used for longest first */
	struct waiting *open;             /* NULL, or the one that is being filled */
	struct waiting *spare;
	unsigned under_way; /* batches that db will call */
	bool freed;
};

/* ---- who may send ---- */

static void sender_free(struct inbox *inbox, struct sender *sender)
{
	map_remove(&inbox->senders, &sender->repo, sizeof(sender->repo));
	TAILQ_REMOVE(&inbox->used, sender, entry);
	secret_free(&sender->current);
	secret_free(&sender->old);
	free(sender);
}

static void forget_all(void *arg)
{
	struct inbox *inbox = arg;

	while (!TAILQ_EMPTY(&inbox->used))
		sender_free(inbox, TAILQ_FIRST(&inbox->used));
}

void inbox_forget(struct inbox *inbox, uint32_t repo)
{
	struct sender *sender = map_get(&inbox->senders, &repo, sizeof(repo));

	if (sender != NULL)
		sender_free(inbox, sender);
}

static void on_change(enum bus_topic topic, uint64_t number, void *arg)
{
	if (topic == BUS_REPOSITORY)
		inbox_forget(arg, (uint32_t)number);
}

/* NULL when its events do not come here (err without code), or when that cannot be known. */
static struct sender *sender_read(struct inbox *inbox, uint32_t repo, struct err *err)
{
	struct sender *sender;
	struct record_repo record;
	struct record_hook hook;

	if (!records_repo(inbox->options.records, repo, &record) || record.state == REPO_DISABLED)
		return NULL;
	if (!hooks_get(inbox->options.hooks, repo, &hook) || !hook.relay)
		return NULL;
	sender = mem_zero(sizeof(*sender));
	sender->repo = repo;
	sender->old_until_ms = hook.old_until_ms;
	sender->noted_ms = hook.delivered_ms;
	sender->state = hook.state;
	sender->proved = hook.secret_there;
	if (!hooks_secret(
	        inbox->options.hooks, repo, clock_wall_ms(), &sender->current, &sender->old, err) ||
	    sender->current.length == 0) {
		if (err_is(err, "no_secret"))
			err_clear(err);
		secret_free(&sender->current);
		secret_free(&sender->old);
		free(sender);
		return NULL;
	}
	if (inbox->senders.count >= REMEMBERED)
		sender_free(inbox, TAILQ_FIRST(&inbox->used));
	map_put(&inbox->senders, &repo, sizeof(repo), sender);
	TAILQ_INSERT_TAIL(&inbox->used, sender, entry);
	return sender;
}

static struct sender *sender_of(struct inbox *inbox, uint32_t repo, struct err *err)
{
	struct sender *sender = map_get(&inbox->senders, &repo, sizeof(repo));

	if (sender == NULL)
		return sender_read(inbox, repo, err);
	TAILQ_REMOVE(&inbox->used, sender, entry);
	TAILQ_INSERT_TAIL(&inbox->used, sender, entry);
	if (sender->old.length > 0 && clock_wall_ms() >= sender->old_until_ms)
		secret_free(&sender->old);
	return sender;
}

/* ---- genuine or not ---- */

enum signer { SIGNED_NOT, SIGNED_OLD, SIGNED_CURRENT };

static bool mac_is(const struct secret *secret, const struct inbox_event *event,
    const unsigned char expected[CRYPTO_SHA256], unsigned char mac[CRYPTO_SHA256])
{
	crypto_hmac_sha256(mac, secret->data, secret->length, event->body, event->body_length);
	return crypto_equal(mac, expected, CRYPTO_SHA256);
}

static bool is_signature(const char *text)
{
	return strncmp(text, "sha256=", 7) == 0 && codec_is_hex(text + 7, 2 * CRYPTO_SHA256);
}

/*
 * Which of the secrets has signed the body; old may be NULL. mac is then of that secret: it depends
 * on every byte of the body and can be had by nobody else, so it also tells whether two bodies are
 * the same, and saves a hash of its own.
 */
static enum signer signer_of(const struct secret *current, const struct secret *old,
    const struct inbox_event *event, unsigned char mac[CRYPTO_SHA256])
{
	unsigned char expected[CRYPTO_SHA256];

	if (!is_signature(event->signature) ||
	    !codec_hex_decode(expected, sizeof(expected), event->signature + 7))
		return SIGNED_NOT;
	if (mac_is(current, event, expected, mac))
		return SIGNED_CURRENT;
	return old != NULL && old->length > 0 && mac_is(old, event, expected, mac) ? SIGNED_OLD
	                                                                           : SIGNED_NOT;
}

static bool is_visible(const char *text, size_t most)
{
	size_t length = strnlen(text, most + 1);

	for (size_t i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return length <= most;
}

/* Visible ASCII and blanks within. */
static bool is_plain(const char *text, size_t most)
{
	size_t length = strnlen(text, most + 1);

	for (size_t i = 0; i < length; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return length <= most;
}

/* Whole lines, each with a name; the bytes of a value are those that HTTP allows. */
static bool are_headers(const char *headers)
{
	size_t length = strnlen(headers, EVENTS_HEADERS_MAX + 1);

	if (length > EVENTS_HEADERS_MAX || (length > 0 && headers[length - 1] != '\n'))
		return false;
	for (const char *line = headers; *line != '\0';) {
		const char *end = strchr(line, '\n');
		const char *colon = memchr(line, ':', (size_t)(end - line));

		if (colon == NULL || colon == line)
			return false;
		for (const char *c = line; c < end; c++)
			if ((unsigned char)*c < ' ' || *c == 0x7f)
				return false;
		line = end + 1;
	}
	return true;
}

static bool is_well_formed(const struct inbox_event *event)
{
	return event->key[0] != '\0' && is_visible(event->key, KEY_MAX) &&
	       is_visible(event->request_id, REQUEST_ID_MAX) &&
	       is_plain(event->content_type, CONTENT_TYPE_MAX) && are_headers(event->headers);
}

/* ---- into the store ---- */

static struct waiting *waiting_new(struct inbox *inbox, bool of_group)
{
	struct waiting *waiting = inbox->spare;

	if (waiting != NULL)
		inbox->spare = waiting->next;
	else
		waiting = mem_zero(sizeof(*waiting));
	waiting->inbox = inbox;
	waiting->count = 0;
	waiting->of_group = of_group;
	waiting->commits = db_commits(inbox->options.db);
	waiting->lost = db_lost(inbox->options.db);
	return waiting;
}

static void waiting_free(struct waiting *waiting)
{
	free(waiting->list);
	free(waiting);
}

static void inbox_end(struct inbox *inbox)
{
	struct waiting *waiting;

	while ((waiting = inbox->spare) != NULL) {
		inbox->spare = waiting->next;
		waiting_free(waiting);
	}
	free(inbox);
}

/* db_after_commit. */
static void on_commit(const struct err *err, void *arg)
{
	struct waiting *waiting = arg;
	struct inbox *inbox = waiting->inbox;
	struct forwarder *forwarder = inbox->options.forwarder;

	if (inbox->open == waiting)
		inbox->open = NULL;
	for (unsigned i = 0; i < waiting->count; i++) {
		const struct waiter *waiter = &waiting->list[i];

		if (err == NULL && waiter->fresh && forwarder != NULL && !inbox->freed)
			forwarder_wake(forwarder, waiter->lane);
		waiter->fn(err != NULL     ? INBOX_FAILED
		           : waiter->fresh ? INBOX_ACCEPTED
		                           : INBOX_KNOWN,
		    err, waiter->arg);
	}
	inbox->under_way--;
	if (inbox->freed) {
		waiting_free(waiting);
		if (inbox->under_way == 0)
			inbox_end(inbox);
		return;
	}
	waiting->next = inbox->spare;
	inbox->spare = waiting;
}

/*
 * What was put waits only with others for the group that it is in: a batch that a known one began
 * may have been begun without a group, and would be told too early. A known one joins whatever is
 * open: its first copy is on disk, or in the group of the batch that was begun last.
 */
static void wait_for_commit(struct inbox *inbox, uint32_t lane, bool fresh, inbox_fn *fn, void *arg)
{
	struct db *db = inbox->options.db;
	struct waiting *waiting = inbox->open;

	if (waiting == NULL || (fresh && !waiting->of_group) ||
	    waiting->commits != db_commits(db) || waiting->lost != db_lost(db)) {
		waiting = inbox->open = waiting_new(inbox, fresh);
		inbox->under_way++;
		db_after_commit(db, on_commit, waiting);
	}
	if (waiting->count == waiting->capacity) {
		waiting->capacity = waiting->capacity > 0 ? 2 * waiting->capacity : 64;
		waiting->list = mem_grow(waiting->list, waiting->capacity, sizeof(*waiting->list));
	}
	waiting->list[waiting->count++] =
	    (struct waiter){.fn = fn, .arg = arg, .lane = lane, .fresh = fresh};
}

/* The secret was changed since it came first. Looked at only while both count. */
static bool is_known_by(struct inbox *inbox, const struct event_entry *entry,
    const struct inbox_event *event, const struct secret *other)
{
	unsigned char mac[CRYPTO_SHA256];

	if (other == NULL || other->length == 0)
		return false;
	crypto_hmac_sha256(mac, other->data, other->length, event->body, event->body_length);
	return events_is_known(inbox->options.events, entry, mac) == 1;
}

/* mac: of the secret that signed it; other: the other one that counts, or NULL. False after having
 * answered; *fresh: it did not come before. */
static bool put(struct inbox *inbox, uint32_t lane, const struct inbox_event *event,
    const unsigned char *mac, const struct secret *other, bool *fresh, inbox_fn *fn, void *arg)
{
	struct event_entry entry = {.lane = lane,
	    .key = event->key,
	    .request_id = event->request_id,
	    .headers = event->headers,
	    .content_type = event->content_type,
	    .body = event->body,
	    .body_length = event->body_length,
	    .received_ms = clock_wall_ms()};
	struct err err = ERR_INIT;

	if (is_known_by(inbox, &entry, event, other)) {
		*fresh = false;
		wait_for_commit(inbox, lane, false, fn, arg);
		return true;
	}
	switch (events_put(inbox->options.events, &entry, mac, &err)) {
	case EVENTS_PUT_NEW:
		*fresh = true;
		break;
	case EVENTS_PUT_KNOWN:
		*fresh = false;
		break;
	case EVENTS_PUT_FULL:
		fn(INBOX_FULL, &err, arg);
		return false;
	case EVENTS_PUT_FAILED:
		fn(INBOX_FAILED, &err, arg);
		return false;
	}
	wait_for_commit(inbox, lane, *fresh, fn, arg);
	return true;
}

/* ---- what it teaches ---- */

/*
 * A genuine delivery. One that the old secret signed does not show that somebody entered the
 * webhook with the current one.
 */
static void note(struct inbox *inbox, struct sender *sender, enum signer signer)
{
	bool current = signer == SIGNED_CURRENT, proves = current && !sender->proved;
	bool found = current && sender->state == HOOK_MANUAL;
	bool better = found || sender->state == HOOK_FAILING;
	int64_t now = clock_wall_ms();
	struct err err = ERR_INIT;
	struct record_hook hook;

	sender->refused = 0;
	/* The clock may have been set back. */
	if (!better && !proves && now >= sender->noted_ms && now - sender->noted_ms < NOTE_MS)
		return;
	if (!hooks_get(inbox->options.hooks, sender->repo, &hook))
		return;
	sender->noted_ms = hook.delivered_ms = now;
	if (better) {
		hook.by_hand = hook.by_hand || found;
		sender->state = hook.state = HOOK_OK;
		hook.code = hook.error = hook.hint = "";
	}
	if (!hooks_put(inbox->options.hooks, &hook, &err) ||
	    (proves && !hooks_secret_seen(inbox->options.hooks, sender->repo, &err))) {
		log_warn("inbox", "a delivery cannot be noted", log_err(&err));
		return;
	}
	sender->proved = sender->proved || current;
	if (inbox->options.bus != NULL)
		bus_publish(inbox->options.bus, BUS_REPOSITORY, hook.repo);
}

/* Whether the webhook lost its secret or a stranger sends is not known here. */
static void refuse(struct inbox *inbox, struct sender *sender)
{
	if (++sender->refused < REFUSED_MANY)
		return;
	sender->refused = 0;
	if (inbox->doubt != NULL)
		inbox->doubt(sender->repo, inbox->doubt_arg);
}

struct lesson {
	struct inbox *inbox;
	uint32_t repo;
	bool failed;
};

/* Whether the commit lives here, not in a fork. */
static bool is_here(struct inbox *inbox, uint32_t repo, const struct event_commit *commit)
{
	struct record_repo record;

	return commit->slug[0] == '\0' || (records_repo(inbox->options.records, repo, &record) &&
	                                      strcasecmp(record.project, commit->project) == 0 &&
	                                      strcasecmp(record.slug, commit->slug) == 0);
}

static void learn(const struct event_commit *commit, void *arg)
{
	static struct log_limit limit;
	struct lesson *lesson = arg;
	struct inbox *inbox = lesson->inbox;
	struct err err = ERR_INIT;

	if (lesson->failed || !is_here(inbox, lesson->repo, commit) ||
	    places_learn(inbox->options.places, commit->commit, lesson->repo, commit->ref, &err))
		return;
	lesson->failed = true;
	log_limited_warn(&limit, "inbox",
	    "where a commit lives cannot be remembered; it is looked "
	    "for when it is needed",
	    log_err(&err));
}

static void teach(struct inbox *inbox, uint32_t repo, const struct inbox_event *event)
{
	struct lesson lesson = {.inbox = inbox, .repo = repo};

	if (inbox->options.places != NULL && event->body_length <= INBOX_PARSE_MAX)
		event_commits(event->key, event->body, event->body_length, learn, &lesson);
	if (inbox->options.locate != NULL)
		locate_active(inbox->options.locate, repo);
}

/* ---- the two entries ---- */

enum inbox_result inbox_expect(struct inbox *inbox, uint32_t repo, const char *signature)
{
	const struct secret *secret = inbox->options.github_secret;
	struct err err = ERR_INIT;

	if (repo == 0 && (secret == NULL || secret->length == 0))
		return INBOX_OFF;
	if (repo != 0 && sender_of(inbox, repo, &err) == NULL)
		return err.code != NULL ? INBOX_FAILED : INBOX_UNKNOWN;
	if (signature[0] == '\0')
		return INBOX_UNSIGNED;
	return is_signature(signature) ? INBOX_ACCEPTED : INBOX_FORGED;
}

/* Whoever wants to may send an unsigned connection test: it is answered, and says nothing. */
static bool is_test(const struct inbox_event *event)
{
	return event->signature[0] == '\0' && strcmp(event->key, PING) == 0;
}

void inbox_bitbucket(
    struct inbox *inbox, uint32_t repo, const struct inbox_event *event, inbox_fn *fn, void *arg)
{
	bool is_signed = event->signature[0] != '\0', fresh;
	struct err err = ERR_INIT;
	struct sender *sender = sender_of(inbox, repo, &err);
	unsigned char mac[CRYPTO_SHA256];
	enum signer signer;

	if (sender == NULL) {
		fn(err.code != NULL ? INBOX_FAILED : INBOX_UNKNOWN, err.code != NULL ? &err : NULL,
		    arg);
		return;
	}
	if (is_test(event)) {
		fn(INBOX_PONG, NULL, arg);
		return;
	}
	signer = is_signed ? signer_of(&sender->current, &sender->old, event, mac) : SIGNED_NOT;
	if (signer == SIGNED_NOT) {
		refuse(inbox, sender);
		fn(is_signed ? INBOX_FORGED : INBOX_UNSIGNED, NULL, arg);
	} else if (!is_well_formed(event)) {
		fn(INBOX_MALFORMED, NULL, arg);
	} else if (strcmp(event->key, PING) == 0) {
		note(inbox, sender, signer);
		fn(INBOX_PONG, NULL, arg);
	} else if (put(inbox, repo, event, mac,
	               signer == SIGNED_OLD ? &sender->current : &sender->old, &fresh, fn, arg)) {
		note(inbox, sender, signer);
		if (fresh)
			teach(inbox, repo, event);
	}
}

void inbox_github(struct inbox *inbox, const struct inbox_event *event, inbox_fn *fn, void *arg)
{
	const struct secret *secret = inbox->options.github_secret;
	unsigned char mac[CRYPTO_SHA256];
	bool fresh;

	if (secret == NULL || secret->length == 0)
		fn(INBOX_OFF, NULL, arg);
	else if (event->signature[0] == '\0')
		fn(INBOX_UNSIGNED, NULL, arg);
	else if (signer_of(secret, NULL, event, mac) == SIGNED_NOT)
		fn(INBOX_FORGED, NULL, arg);
	else if (!is_well_formed(event))
		fn(INBOX_MALFORMED, NULL, arg);
	else if (strcmp(event->key, "ping") == 0)
		fn(INBOX_PONG, NULL, arg);
	else
		put(inbox, EVENTS_GITHUB, event, mac, NULL, &fresh, fn, arg);
}

/* ---- begin and end ---- */

struct inbox *inbox_new(const struct inbox_options *options)
{
	struct inbox *inbox = mem_zero(sizeof(*inbox));

	inbox->options = *options;
	map_init(&inbox->senders);
	TAILQ_INIT(&inbox->used);
	db_on_lost(options->db, forget_all, inbox);
	if (options->bus != NULL)
		bus_listen(options->bus, on_change, inbox);
	return inbox;
}

void inbox_on_doubt(struct inbox *inbox, inbox_doubt_fn *fn, void *arg)
{
	inbox->doubt = fn;
	inbox->doubt_arg = arg;
}

void inbox_free(struct inbox *inbox)
{
	if (inbox == NULL)
		return;
	forget_all(inbox);
	map_free(&inbox->senders);
	db_forget(inbox->options.db, inbox);
	if (inbox->options.bus != NULL)
		bus_ignore(inbox->options.bus, on_change, inbox);
	inbox->freed = true;
	if (inbox->under_way == 0)
		inbox_end(inbox);
}
