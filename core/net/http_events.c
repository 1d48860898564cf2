#include "net/http_events.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/units.h"
#include "net/http_exchange.h"

/* ---- The format ---- */

static bool has_break(const char *s)
{
    return strpbrk(s, "\r\n") != NULL;
}

/* Each line of the data gets its own field; CR, LF and CR LF end lines there. */
static void put_data(struct buf *b, struct td_slice data)
{
    for (size_t begin = 0, i = 0;; i++) {
        bool end = i >= data.n;
        if (!end && data.p[i] != '\r' && data.p[i] != '\n')
            continue;
        buf_lit(b, "data: ");
        buf_put_slice(b, td_sub(data, begin, i));
        buf_lit(b, "\n");
        if (end)
            return;
        if (data.p[i] == '\r' && i + 1 < data.n && data.p[i + 1] == '\n')
            i++;
        begin = i + 1;
    }
}

void http_put_event(struct buf *b, const struct http_event *e)
{
    if (e->name && !has_break(e->name)) {
        buf_lit(b, "event: ");
        buf_puts(b, e->name);
        buf_lit(b, "\n");
    }
    put_data(b, e->data);
    if (e->id && !has_break(e->id)) {
        buf_lit(b, "id: ");
        buf_puts(b, e->id);
        buf_lit(b, "\n");
    }
    buf_lit(b, "\n");
}

/* ---- The stream ---- */

struct event_stream {
    struct http_request *request;
    struct http_events events;
    struct buf out;
    size_t sent; /* of `out` */
    bool begun, ended;
    int64_t heartbeat_ns, last_ns;
};

static int64_t heartbeat_ns(const struct http_server *s)
{
    int64_t third_ms = (int64_t)s->idle_s * 1000 / 3; /* libmicrohttpd cuts what idles */
    return (third_ms < HTTP_HEARTBEAT_MS ? third_ms : HTTP_HEARTBEAT_MS) * NS_PER_MS;
}

/* Fills `out`, which is empty, or sees the end. */
static int next(struct event_stream *s, struct error *err)
{
    int64_t left_ms = (s->last_ns + s->heartbeat_ns - http_now_ns()) / NS_PER_MS;
    if (!http_still_admitted(s->request)) { /* who asks again is told */
        s->ended = true;
        return TD_OK;
    }
    if (!s->begun || left_ms <= 0) { /* at the begin for those who wait for the head of the answer in front of a proxy */
        buf_lit(&s->out, ":\n\n");
        s->begun = true;
        return TD_OK;
    }
    if (http_cancelled(s->request)) {
        s->ended = true;
        return TD_OK;
    }
    unsigned wait_ms = left_ms < HTTP_EVENTS_WAIT_MS ? (unsigned)left_ms : HTTP_EVENTS_WAIT_MS;
    int status = s->events.next(s->events.ctx, wait_ms, &s->out, &s->ended, err);
    if (status == TD_OK && s->out.failed)
        status = error_set(err, TD_E_LIMIT, "more than %d bytes of events at once, or out of memory", HTTP_EVENTS_MAX);
    return status;
}

static int read_events(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err)
{
    struct event_stream *s = ctx;
    int status = TD_OK;
    if (s->sent == s->out.n) {
        buf_reset(&s->out);
        s->sent = 0;
        while (status == TD_OK && s->out.n == 0 && !s->ended)
            status = next(s, err);
        s->last_ns = http_now_ns();
    }
    if (status != TD_OK)
        return status;
    *ret_n = s->out.n - s->sent < n ? s->out.n - s->sent : n;
    if (*ret_n)
        memcpy(p, s->out.p + s->sent, *ret_n);
    s->sent += *ret_n;
    return TD_OK;
}

static void close_events(void *ctx)
{
    struct event_stream *s = ctx;
    if (s->events.close)
        s->events.close(s->events.ctx);
    buf_clear(&s->out);
    mem_free(s);
}

void http_reply_events(struct http_request *r, const struct http_events *events)
{
    struct event_stream *s = mem_calloc(1, sizeof(*s));
    if (!s) {
        if (events->close)
            events->close(events->ctx);
        http_reply_problem(r, 503, "out_of_memory", "out of memory");
        return;
    }
    *s = (struct event_stream){.request = r, .events = *events, .out.max = HTTP_EVENTS_MAX, .heartbeat_ns = heartbeat_ns(r->server)};
    s->last_ns = http_now_ns();
    http_reply_header(r, "X-Accel-Buffering", "no"); /* nginx as a proxy would keep events to itself */
    http_reply_stream(r, 200, "text/event-stream", HTTP_LENGTH_UNKNOWN, &(struct http_stream){s, read_events, close_events});
    http_reply_compress(r, true);
}

const char *http_last_event_id(const struct http_request *r)
{
    const char *id = http_header(r, "Last-Event-ID");
    size_t n = id ? strlen(id) : 0;
    return n && n <= HTTP_LAST_EVENT_ID && json_is_utf8(td_str(id)) ? id : NULL;
}
