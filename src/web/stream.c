/*
 * The event stream (Server-Sent Events): what changed, not how it is now. A page that gets an event
 * reads the present state.
 *
 *   id: {boot}-{n}   event: queue   data: {"topic":"queue","number":17}
 *
 * The last events are kept, so that a page that lost the connection goes on where it was
 * (Last-Event-ID); when it cannot, hello says so and the page reads everything again. A heartbeat
 * every 15 s; a stream ends with its session.
 */
#include "web/stream.h"
#include "base/clock.h"
#include "base/mem.h"
#include "web/gate.h"
#include <event2/buffer.h>
#include <event2/http.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS_MAX 64
#define KEPT 512
#define OUTPUT_MAX (256 * 1024)
#define HEARTBEAT_MS 15000
#define FLUSH_MS 250

static const char *const topics[BUS_TOPICS] = {
    [BUS_EYES] = "eyes",
    [BUS_SERVER] = "server",
    [BUS_REPOSITORY] = "repository",
    [BUS_QUEUE] = "queue",
    [BUS_RECENT] = "update",
    [BUS_ACCOUNT] = "account",
    [BUS_JOB] = "job",
    [BUS_LISTING] = "listing",
    [BUS_EVENTS] = "events",
};

struct stream {
	struct streams *streams;
	struct web_request *request;
	char session[SESSION_ID + 1];
	TAILQ_ENTRY(stream) entry;
};

struct streams {
	struct loop *loop;
	struct bus *bus;
	struct sessions *sessions;
	uint64_t boot, last; /* number of the last event */
	struct {
		enum bus_topic topic;
		uint64_t number;
	} kept[KEPT];
	TAILQ_HEAD(, stream) list;
	unsigned count;
	struct loop_timer heartbeat;
	/* What changes thousands of times a second is told four times a second. */
	struct loop_timer flush;
	uint64_t pending[BUS_TOPICS];
	bool is_pending[BUS_TOPICS];
};

static void gone(struct evhttp_connection *connection, void *arg);

static void send_text(struct stream *stream, const char *text, size_t length)
{
	struct evbuffer *piece;

	if (evhttp_request_get_connection(stream->request->http) == NULL)
		return;
	piece = evbuffer_new();
	if (piece == NULL)
		fatal("out of memory");
	evbuffer_add(piece, text, length);
	evhttp_send_reply_chunk(stream->request->http, piece);
	evbuffer_free(piece);
}

static void send_event(struct stream *stream, uint64_t n)
{
	const struct streams *streams = stream->streams;
	enum bus_topic topic = streams->kept[n % KEPT].topic;
	char text[256];
	int length = snprintf(text, sizeof(text),
	    "id: %" PRIx64 "-%" PRIu64 "\nevent: %s\ndata: {\"topic\":\"%s\",\"number\":%" PRIu64
	    "}\n\n",
	    streams->boot, n, topics[topic], topics[topic], streams->kept[n % KEPT].number);

	send_text(stream, text, (size_t)length);
}

static void stream_end(struct stream *stream)
{
	struct streams *streams = stream->streams;
	struct evhttp_connection *connection = evhttp_request_get_connection(stream->request->http);

	TAILQ_REMOVE(&streams->list, stream, entry);
	streams->count--;
	if (connection != NULL)
		evhttp_connection_set_closecb(connection, NULL, NULL);
	evhttp_send_reply_end(stream->request->http);
	web_request_free(stream->request);
	free(stream);
}

static void gone(struct evhttp_connection *connection, void *arg)
{
	(void)connection;
	stream_end(arg);
}

static void tell(struct streams *streams, enum bus_topic topic, uint64_t number)
{
	struct stream *stream, *next;

	streams->last++;
	streams->kept[streams->last % KEPT].topic = topic;
	streams->kept[streams->last % KEPT].number = number;
	for (stream = TAILQ_FIRST(&streams->list); stream != NULL; stream = next) {
		next = TAILQ_NEXT(stream, entry);
		send_event(stream, streams->last);
	}
}

static bool is_frequent(enum bus_topic topic)
{
	return topic == BUS_RECENT || topic == BUS_QUEUE || topic == BUS_EYES ||
	       topic == BUS_EVENTS;
}

/* Those whose session has ended, for whatever reason. */
static void end_orphans(struct streams *streams)
{
	struct stream *stream, *next;

	for (stream = TAILQ_FIRST(&streams->list); stream != NULL; stream = next) {
		next = TAILQ_NEXT(stream, entry);
		if (!sessions_has(streams->sessions, stream->session))
			stream_end(stream);
	}
}

static void published(enum bus_topic topic, uint64_t number, void *arg)
{
	struct streams *streams = arg;

	if (!is_frequent(topic)) {
		tell(streams, topic, number);
		if (topic == BUS_ACCOUNT) /* another team's ends all sessions */
			end_orphans(streams);
		return;
	}
	streams->pending[topic] = number;
	streams->is_pending[topic] = true;
	if (!streams->flush.pending)
		loop_timer_set(&streams->flush, FLUSH_MS);
}

static void flush(void *arg)
{
	struct streams *streams = arg;

	for (int topic = 0; topic < BUS_TOPICS; topic++)
		if (streams->is_pending[topic]) {
			streams->is_pending[topic] = false;
			tell(streams, (enum bus_topic)topic, streams->pending[topic]);
		}
}

static void beat(void *arg)
{
	static const char text[] = ": heartbeat\n\n";
	struct streams *streams = arg;
	struct stream *stream, *next;

	loop_timer_set(&streams->heartbeat, HEARTBEAT_MS);
	end_orphans(streams);
	for (stream = TAILQ_FIRST(&streams->list); stream != NULL; stream = next) {
		next = TAILQ_NEXT(stream, entry);
		send_text(stream, text, sizeof(text) - 1);
	}
}

struct streams *streams_new(struct loop *loop, struct bus *bus, struct sessions *sessions)
{
	struct streams *streams = mem_zero(sizeof(*streams));

	streams->loop = loop;
	streams->bus = bus;
	streams->sessions = sessions;
	streams->boot = (uint64_t)clock_wall_ms();
	TAILQ_INIT(&streams->list);
	bus_listen(bus, published, streams);
	loop_timer_init(&streams->flush, loop, flush, streams);
	loop_timer_init(&streams->heartbeat, loop, beat, streams);
	loop_timer_set(&streams->heartbeat, HEARTBEAT_MS);
	return streams;
}

void streams_free(struct streams *streams)
{
	if (streams == NULL)
		return;
	while (!TAILQ_EMPTY(&streams->list))
		stream_end(TAILQ_FIRST(&streams->list));
	loop_timer_cancel(&streams->heartbeat);
	loop_timer_cancel(&streams->flush);
	bus_ignore(streams->bus, published, streams);
	free(streams);
}

void streams_end_session(struct streams *streams, const char *session)
{
	struct stream *stream, *next;

	for (stream = TAILQ_FIRST(&streams->list); stream != NULL; stream = next) {
		next = TAILQ_NEXT(stream, entry);
		if (strcmp(stream->session, session) == 0)
			stream_end(stream);
	}
}

/* The event after which the page wants to go on; false when it is not kept any more. */
static bool resume_point(const struct streams *streams, const char *id, uint64_t *after)
{
	uint64_t boot, n;

	if (id == NULL || sscanf(id, "%" SCNx64 "-%" SCNu64, &boot, &n) != 2)
		return false;
	if (boot != streams->boot || n > streams->last || streams->last - n >= KEPT)
		return false;
	*after = n;
	return true;
}

static void begin(struct streams *streams, struct web_request *request)
{
	struct stream *stream = mem_zero(sizeof(*stream));
	const char *id =
	    evhttp_find_header(evhttp_request_get_input_headers(request->http), "Last-Event-ID");
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request->http);
	uint64_t after = streams->last;
	bool resumed;
	char hello[200], asked[64];

	if (id == NULL && web_query(request, "after", asked, sizeof(asked)))
		id = asked;
	resumed = resume_point(streams, id, &after);
	stream->streams = streams;
	stream->request = request;
	snprintf(stream->session, sizeof(stream->session), "%s",
	    request->session != NULL ? request->session->id : "");
	TAILQ_INSERT_TAIL(&streams->list, stream, entry);
	streams->count++;
	evhttp_add_header(headers, "Content-Type", "text/event-stream");
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "X-Accel-Buffering", "no");
	evhttp_connection_set_closecb(evhttp_request_get_connection(request->http), gone, stream);
	evhttp_send_reply_start(request->http, 200, "OK");
	snprintf(hello, sizeof(hello),
	    "id: %" PRIx64 "-%" PRIu64
	    "\nevent: hello\ndata: {\"version\":\"%s\",\"build\":\"%s\",\"resumed\":%s}\n\n",
	    streams->boot, after, EYES_SCM_VERSION, assets_build, resumed ? "true" : "false");
	send_text(stream, hello, strlen(hello));
	for (uint64_t n = after + 1; n <= streams->last; n++)
		send_event(stream, n);
}

void streams_begin(struct streams *streams, struct web_request *request)
{
	struct err err = ERR_INIT;

	if (streams->count >= STREAMS_MAX) {
		err_set(&err, "too_many", "%u pages read the event stream already", STREAMS_MAX);
		err_hint(&err, "Close some of them.");
		web_reply_err(request, 503, &err, NULL);
		return;
	}
	if (!gate_expect_stream(request->http, OUTPUT_MAX)) {
		err_set(&err, "no_stream",
		    "this client cannot take a stream: HTTP/1.1 and GET are needed");
		web_reply_err(request, 406, &err, NULL);
		return;
	}
	begin(streams, request);
}
