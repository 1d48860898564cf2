#include "http2_conn.h"

#include "http2_state.h"

/* What a state's handler did: used so many bytes; or it waits for `need` more behind them, 0: for any. */
struct outcome {
    size_t used; /* may be more than there was: skip */
    enum { GO_ON, WAIT, LOST } then;
    size_t need;
};

static struct outcome go_on(size_t used)
{
    return (struct outcome){used, GO_ON, 0};
}

static struct outcome wait_for(size_t used, size_t need)
{
    return (struct outcome){used, WAIT, need};
}

/* ---- Loss ------------------------------------------------------------------------------------------------------------ */

static void lose_framing(struct http2_conn *c, int dir)
{
    struct http2_side *side = &c->side[dir];
    http2_lose_blocks(c, dir);
    http2_streams_doubt(&c->streams, dir);
    side->state = HTTP2_LOOKING;
    side->stream = 0;
}

/* ---- Frames ---------------------------------------------------------------------------------------------------------- */

static void on_reset(struct http2_conn *c, int dir, const struct http2_frame *frame, uint32_t error, uint64_t begin)
{
    struct http2_stream *s = http2_stream_find(&c->streams, frame->stream);
    if (!s || (dir == TD_CLIENT && s->lingers))
        return;
    c->out.http2->host->mark(s->call, dir, begin, begin + HTTP2_FRAME_HEADER + frame->length);
    http2_set_number(&c->out, s->call, F_ERROR, error);
    http2_set_number(&c->out, s->call, F_RESET_BY, (uint64_t)dir);
    if (dir == TD_CLIENT)
        http2_stream_linger(&c->streams, s, c->now_ns);
    else
        http2_stream_finish(&c->streams, s, TD_CLOSE_RESET);
}

static void on_settings(struct http2_conn *c, int dir, const struct http2_frame *frame, struct td_slice settings)
{
    struct http2_side *side = &c->side[dir];
    if (frame->flags & HTTP2_ACK)
        return;
    settings = td_sub(settings, 0, sizeof(side->settings) - side->settings_n);
    if (settings.n)
        memcpy(side->settings + side->settings_n, settings.p, settings.n);
    side->settings_n = (uint8_t)(side->settings_n + settings.n);
    if (frame->stream == 0 && settings.n)
        http2_confirm(c);
}

/* Streams that the peer has not looked at are not going to be answered (RFC 9113 section 6.8). A peer says so twice, if it goes with
 * decency; each time concerns all streams that are open. */
static void on_goaway(struct http2_conn *c, int dir, const struct http2_payload *payload)
{
    struct http2_stream *s, *newer;
    if (c->side[dir].goaways == HTTP2_MAX_GOAWAYS)
        return;
    c->side[dir].goaways++;
    for (s = c->streams.oldest; s; s = newer) {
        newer = s->newer;
        if (s->by_server != (dir == TD_CLIENT))
            continue;
        if (payload->error || s->id > payload->stream)
            http2_set_number(&c->out, s->call, F_GOAWAY, payload->error);
        if (s->id > payload->stream)
            http2_stream_finish(&c->streams, s, TD_CLOSE_RESET);
    }
}

static void on_window(struct http2_conn *c, int dir, const struct http2_frame *frame, uint32_t increment)
{
    struct http2_stream *s = frame->stream ? http2_stream_find(&c->streams, frame->stream) : NULL;
    if (s)
        s->half[!dir].window += increment;
}

static void on_priority(struct http2_conn *c, const struct http2_frame *frame, const struct http2_priority *priority)
{
    struct http2_stream *s = http2_stream_find(&c->streams, frame->stream);
    if (s)
        http2_set_priority(&c->out, s->call, priority);
}

/* A frame of which all bytes are at hand. */
static void on_frame(struct http2_conn *c, int dir, const struct http2_frame *frame, const struct http2_payload *payload, uint64_t begin)
{
    switch (frame->type) {
    case HTTP2_HEADERS:
    case HTTP2_PUSH_PROMISE:
    case HTTP2_CONTINUATION: http2_on_headers(c, dir, frame, payload, begin); break;
    case HTTP2_PRIORITY: on_priority(c, frame, &payload->priority); break;
    case HTTP2_RST_STREAM: on_reset(c, dir, frame, payload->error, begin); break;
    case HTTP2_SETTINGS: on_settings(c, dir, frame, payload->content); break;
    case HTTP2_GOAWAY: on_goaway(c, dir, payload); break;
    case HTTP2_WINDOW_UPDATE: on_window(c, dir, frame, payload->increment); break;
    default: break;
    }
}

/* ---- Content --------------------------------------------------------------------------------------------------------- */

static void end_data(struct http2_conn *c, int dir)
{
    struct http2_side *side = &c->side[dir];
    struct http2_stream *s = side->stream ? http2_stream_find(&c->streams, side->stream) : NULL;
    side->state = HTTP2_AT_FRAME;
    side->stream = 0;
    if (s && side->end_stream && !s->half[dir].ended)
        (void)http2_stream_end(&c->streams, s, dir, false);
}

/* Whose content it is; NULL: nobody's, as with what was on its way when its stream was reset. */
static struct http2_stream *stream_of_data(struct http2_conn *c, int dir, uint32_t id)
{
    struct http2_streams *all = &c->streams;
    struct http2_stream *s = http2_stream_find(all, id);
    if (!s && !http2_stream_was_open(all, id) && id <= all->unseen)
        s = http2_stream_open(all, id); /* what came before it was lost */
    if (s)
        http2_stream_catch_up(all, s, dir);
    if (s && !s->half[dir].begun)
        s->flags |= TD_PARTIAL;
    return s && !s->half[dir].ended ? s : NULL;
}

/* The header of a DATA frame, with the byte behind it if it tells the padding. */
static struct outcome begin_data(struct http2_conn *c, int dir, const struct http2_frame *frame, const struct http2_input *in)
{
    struct http2_side *side = &c->side[dir];
    bool padded = frame->flags & HTTP2_PADDED;
    uint32_t padding = 0;
    struct http2_stream *s;
    if (padded && in->bytes.n < HTTP2_FRAME_HEADER + 1)
        return wait_for(0, HTTP2_FRAME_HEADER + 1);
    if (padded)
        padding = in->bytes.p[HTTP2_FRAME_HEADER] + 1u;
    if (padding > frame->length) {
        http2_violation(c, "padding longer than its frame");
        lose_framing(c, dir);
        return go_on(HTTP2_FRAME_HEADER);
    }
    s = stream_of_data(c, dir, frame->stream);
    side->state = HTTP2_IN_DATA;
    side->stream = s ? frame->stream : 0;
    side->end_stream = frame->flags & HTTP2_END_STREAM;
    side->content = frame->length - padding;
    side->rest = padded ? padding - 1 : 0;
    if (s) {
        c->out.http2->host->mark(s->call, dir, in->offset, in->offset + HTTP2_FRAME_HEADER + frame->length);
        s->half[dir].content = true;
        s->half[dir].data_frames++;
        s->padding += padding;
    }
    return go_on(HTTP2_FRAME_HEADER + padded);
}

static struct outcome in_data(struct http2_conn *c, int dir, const struct http2_input *in)
{
    struct http2_side *side = &c->side[dir];
    struct http2_stream *s = side->stream ? http2_stream_find(&c->streams, side->stream) : NULL;
    size_t n = in->bytes.n < side->content ? in->bytes.n : side->content, ahead = 0;
    size_t padding;
    if (s && n)
        http2_stream_data(&c->streams, s, dir, td_sub(in->bytes, 0, n), in->offset);
    side->content -= (uint32_t)n;
    /* All but the last byte may be passed over: that one proves that the frame came to its end. */
    if (n == in->bytes.n && side->content > 1 && http2_stream_may_skip(&c->streams, s, dir)) {
        ahead = side->content - 1;
        side->content = 1;
        return wait_for(n + ahead, 0);
    }
    if (side->content)
        return wait_for(n, 0);
    padding = in->bytes.n - n < side->rest ? in->bytes.n - n : side->rest;
    side->rest -= (uint32_t)padding;
    if (side->rest)
        return wait_for(n + padding, 0);
    end_data(c, dir);
    return go_on(n + padding);
}

static struct outcome in_skip(struct http2_conn *c, int dir, const struct http2_input *in)
{
    struct http2_side *side = &c->side[dir];
    size_t all = side->rest;
    if (in->bytes.n < all) {
        side->rest = 1;
        return all > 1 ? wait_for(all - 1, 0) : wait_for(0, 0);
    }
    side->state = HTTP2_AT_FRAME;
    return go_on(all);
}

/* ---- States ---------------------------------------------------------------------------------------------------------- */

/* A frame with a header block that is not read: what it says is lost, but not which stream it begins or ends. */
static void lose_headers(struct http2_conn *c, int dir, const struct http2_frame *frame, uint64_t begin)
{
    struct http2_stream *s;
    http2_lose_blocks(c, dir);
    if (frame->type != HTTP2_HEADERS)
        return;
    s = http2_stream_for(c, dir, frame->stream);
    if (!s)
        return;
    http2_stream_catch_up(&c->streams, s, dir);
    s->flags |= TD_PARTIAL;
    c->out.http2->host->mark(s->call, dir, begin, begin + HTTP2_FRAME_HEADER + frame->length);
    s->half[dir].content = true;
    if (frame->flags & HTTP2_END_STREAM && !s->half[dir].ended)
        (void)http2_stream_end(&c->streams, s, dir, true);
}

/* A frame that is not read: too large, or of no interest, or cut by a gap, whose end is known all the same. */
static struct outcome skip_frame(struct http2_conn *c, int dir, const struct http2_frame *frame, const struct http2_input *in, bool begun)
{
    struct http2_side *side = &c->side[dir];
    size_t there = in->bytes.n - HTTP2_FRAME_HEADER, used = begun ? in->bytes.n : HTTP2_FRAME_HEADER;
    if (frame->type == HTTP2_HEADERS || frame->type == HTTP2_CONTINUATION || frame->type == HTTP2_PUSH_PROMISE)
        lose_headers(c, dir, frame, in->offset);
    side->rest = frame->length - (begun ? (uint32_t)there : 0);
    side->state = side->rest ? HTTP2_IN_SKIP : HTTP2_AT_FRAME;
    return go_on(used);
}

static bool is_read(uint8_t type)
{
    return type <= HTTP2_CONTINUATION && type != HTTP2_PING;
}

static struct outcome at_frame(struct http2_conn *c, int dir, const struct http2_input *in)
{
    struct http2_side *side = &c->side[dir];
    struct http2_frame frame;
    struct http2_payload payload;
    const char *fault;
    size_t all;
    if (!http2_read_header(in->bytes, &frame))
        return wait_for(0, HTTP2_FRAME_HEADER);
    fault = http2_header_fault(&frame, frame.type == HTTP2_DATA ? HTTP2_MAX_DATA_SEEN : HTTP2_MAX_FRAME_SEEN);
    if (!fault && side->block.open && frame.type != HTTP2_CONTINUATION)
        fault = "a header block that is not continued";
    if (fault) {
        http2_violation(c, fault);
        lose_framing(c, dir);
        return go_on(0);
    }
    if (frame.type == HTTP2_DATA)
        return begin_data(c, dir, &frame, in);
    all = (size_t)HTTP2_FRAME_HEADER + frame.length;
    if (!is_read(frame.type) || frame.length > c->out.http2->config->max_head)
        return skip_frame(c, dir, &frame, in, false);
    if (in->bytes.n < all)
        return in->last ? skip_frame(c, dir, &frame, in, true) : wait_for(0, all);
    fault = http2_read_payload(&frame, td_sub(in->bytes, HTTP2_FRAME_HEADER, all), &payload);
    if (!fault)
        on_frame(c, dir, &frame, &payload, in->offset);
    else
        http2_violation(c, fault);
    return go_on(all);
}

static struct outcome at_preface(struct http2_conn *c, int dir, const struct http2_input *in)
{
    struct td_slice preface = TD_LIT(HTTP2_PREFACE_TEXT);
    if (td_starts(in->bytes, preface)) {
        http2_confirm(c);
        c->side[dir].state = HTTP2_AT_FRAME;
        return go_on(preface.n);
    }
    if (td_starts(preface, in->bytes) && !in->last)
        return wait_for(0, preface.n);
    /* It was lost, or is not of this protocol. */
    lose_framing(c, dir);
    c->midstream = true;
    return go_on(0);
}

/* The beginning is there after all: nobody saw the SYN, that is all. */
static void found_beginning(struct http2_conn *c)
{
    struct http2_side *server = &c->side[TD_SERVER];
    c->midstream = false;
    c->streams.unseen = 0;
    http2_hpack_clear(&c->side[TD_CLIENT].hpack);
    c->side[TD_CLIENT].hpack.lost = false;
    c->side[TD_CLIENT].state = HTTP2_AT_PREFACE;
    if (server->seen == 0 && server->state == HTTP2_LOOKING) {
        server->hpack.lost = false;
        server->state = HTTP2_AT_FRAME;
    }
}

static struct outcome looking(struct http2_conn *c, int dir, const struct http2_input *in)
{
    bool found;
    size_t used, need;
    if (dir == TD_CLIENT && c->midstream && td_starts(in->bytes, TD_LIT(HTTP2_PREFACE_TEXT))) {
        found_beginning(c);
        return go_on(0);
    }
    used = http2_look(c, dir, in, &found, &need);
    if (!found)
        return wait_for(used, need);
    c->side[dir].state = HTTP2_AT_FRAME;
    return go_on(used);
}

static struct outcome step(struct http2_conn *c, int dir, const struct http2_input *in)
{
    if (in->bytes.n == 0 && c->side[dir].state != HTTP2_IN_DATA)
        return wait_for(0, 0);
    switch (c->side[dir].state) {
    case HTTP2_AT_PREFACE: return at_preface(c, dir, in);
    case HTTP2_AT_FRAME: return at_frame(c, dir, in);
    case HTTP2_IN_DATA: return in_data(c, dir, in);
    case HTTP2_IN_SKIP: return in_skip(c, dir, in);
    default: return looking(c, dir, in);
    }
}

/* ---- Callbacks ------------------------------------------------------------------------------------------------------- */

/* HTTP/1 tells of an upgrade; behind CONNECT a connection begins like any other. ":status" is missing if the answer was lost. */
static bool is_upgraded(const struct http2_conn *c)
{
    const struct td_host *host = c->out.http2->host;
    struct td_slice value;
    return TD_HAS(host, told) && (host->told(c->out.conn, TD_LIT(":status"), &value) || host->told(c->out.conn, TD_LIT(":path"), &value));
}

/* After an upgrade from HTTP/1.1 the request that asked for it is stream 1's: its answer comes here. The request itself is seen again if
 * HTTP/1 could keep it. Returns the bytes that it takes. */
static size_t begin(struct http2_conn *c, int dir, const struct td_chunk *chunk)
{
    size_t request = 0;
    struct http2_stream *s;
    c->begun = true;
    if (c->midstream)
        return 0;
    if (dir == TD_CLIENT)
        request = http2_take_upgrade(c, chunk->bytes);
    if (!request && !is_upgraded(c))
        return 0;
    s = http2_stream_open(&c->streams, 1);
    if (!s)
        return request;
    http2_set_number(&c->out, s->call, F_UPGRADED, 1);
    c->streams.highest[TD_CLIENT] = 1;
    if (request) {
        c->out.http2->host->mark(s->call, TD_CLIENT, chunk->offset, chunk->offset + request);
        http2_stream_request(&c->streams, s, &c->list);
    }
    (void)http2_stream_end(&c->streams, s, TD_CLIENT, !request);
    return request;
}

struct td_step http2_data(void *state, struct td_conn *conn, int dir, const struct td_chunk *chunk)
{
    struct http2_conn *c = (struct http2_conn *)state;
    size_t at = 0;
    (void)conn;
    if (!c->begun)
        at = begin(c, dir, chunk);
    if (dir == TD_CLIENT)
        c->streams.silent_client = false;
    c->now_ns = chunk->time_ns;
    http2_streams_expire(&c->streams, c->now_ns);
    /* Each round either uses bytes or changes the state to one that does. */
    for (;;) {
        struct http2_input in = {td_sub(chunk->bytes, at, chunk->bytes.n), chunk->offset + at, (chunk->flags & TD_CHUNK_LAST) != 0};
        struct outcome outcome = step(c, dir, &in);
        if (outcome.then == LOST)
            return td_lost();
        at += outcome.used;
        if (outcome.then == WAIT) {
            c->side[dir].seen = chunk->offset + chunk->bytes.n;
            return at < chunk->bytes.n ? td_need(at, outcome.need) : td_used(at);
        }
    }
}

/* Does the gap end within the frame that is being read? Then the framing is as good as before. */
static bool gap_in_frame(struct http2_conn *c, int dir, uint64_t len)
{
    struct http2_side *side = &c->side[dir];
    struct http2_stream *s = side->stream ? http2_stream_find(&c->streams, side->stream) : NULL;
    uint64_t content = len < side->content ? len : side->content;
    if (side->state == HTTP2_IN_SKIP) {
        if (len > side->rest)
            return false;
        side->rest -= (uint32_t)len;
        if (!side->rest)
            side->state = HTTP2_AT_FRAME;
        return true;
    }
    if (side->state != HTTP2_IN_DATA || len > (uint64_t)side->content + side->rest)
        return false;
    if (s && content)
        http2_stream_miss(&c->streams, s, dir, content);
    side->content -= (uint32_t)content;
    side->rest -= (uint32_t)(len - content);
    if (side->content == 0 && side->rest == 0)
        end_data(c, dir);
    return true;
}

int http2_gap(void *state, struct td_conn *conn, int dir, uint64_t offset, uint64_t len)
{
    struct http2_conn *c = (struct http2_conn *)state;
    (void)conn;
    if (!gap_in_frame(c, dir, len))
        lose_framing(c, dir);
    c->side[dir].seen = offset + len;
    return TD_OK;
}

void http2_close(void *state, struct td_conn *conn, int why)
{
    struct http2_conn *c = (struct http2_conn *)state;
    (void)conn;
    http2_streams_close(&c->streams, why);
    http2_hpack_clear(&c->side[TD_CLIENT].hpack);
    http2_hpack_clear(&c->side[TD_SERVER].hpack);
}

int http2_open(const void *self, struct td_conn *conn, const struct td_flow *flow, struct td_arena *arena, void **ret_state)
{
    const struct http2 *http2 = (const struct http2 *)self;
    struct http2_conn *c = (struct http2_conn *)http2->host->alloc(arena, sizeof(*c), 16);
    uint32_t field;
    int dir;
    if (!c)
        return TD_E_NOMEM;
    c->out.http2 = http2;
    c->out.conn = conn;
    for (field = 0; field < F_COUNT; field++)
        c->out.wanted |= http2->host->wants(conn, field) ? UINT64_C(1) << field : 0;
    c->streams.forms.pairs = F_REQUEST_FORM;
    c->streams.forms.names = F_PART_NAMES;
    c->streams.forms.file_names = F_PART_FILE_NAMES;
    c->streams.forms.sizes = F_PART_SIZES;
    content_forms_init(&c->streams.forms, http2->host, conn, arena);
    http2_memory_init(&c->memory, http2->host, arena);
    c->streams.out = &c->out;
    c->streams.arena = arena;
    http2_streams_init(&c->streams);
    c->streams.silent_client = true;
    c->midstream = flow->flags & TD_FLOW_MIDSTREAM;
    if (c->midstream)
        c->streams.unseen = UINT32_MAX;
    for (dir = 0; dir < 2; dir++) {
        c->side[dir].state = c->midstream ? HTTP2_LOOKING : dir == TD_CLIENT ? HTTP2_AT_PREFACE : HTTP2_AT_FRAME;
        http2_hpack_init(&c->side[dir].hpack, &c->memory.functions, c->midstream);
    }
    *ret_state = c;
    return TD_OK;
}
