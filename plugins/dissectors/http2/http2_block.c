/* Header blocks: put together, read, and given to the streams that they begin or end. */
#include "http2_state.h"

#include "http2_upgrade.h"

/* ---- Room ----------------------------------------------------------------------------------------------------------- */

/* Room for what a block of `n` bytes may hold, as far as there is memory. Kept for the next block. */
static void make_room(struct http2_conn *c, size_t n)
{
    const struct td_host *host = c->out.http2->host;
    struct http2_list *list = &c->list;
    size_t wanted = 8 * n < 4096 ? 4096 : 8 * n, cap = 4096;
    if (wanted > c->out.http2->config->max_head)
        wanted = (size_t)c->out.http2->config->max_head;
    if (!list->items) {
        list->items = (struct http2_item *)host->alloc(c->streams.arena, HTTP2_MAX_FIELDS * sizeof(*list->items), sizeof(uint32_t));
        list->items_cap = list->items ? HTTP2_MAX_FIELDS : 0;
    }
    while (cap < wanted)
        cap *= 2;
    if (list->text_cap < wanted) {
        uint8_t *text = (uint8_t *)host->alloc(c->streams.arena, cap, 1);
        if (text) {
            list->text = text;
            list->text_cap = cap;
        }
    }
}

static bool grow_block(struct http2_conn *c, struct http2_block *b, size_t more)
{
    size_t cap = b->cap ? b->cap : 4096;
    uint8_t *bytes;
    if (more <= b->cap - b->n)
        return true;
    while (cap - b->n < more)
        cap *= 2;
    if (b->n + more > c->out.http2->config->max_head)
        return false;
    bytes = (uint8_t *)c->out.http2->host->alloc(c->streams.arena, cap, 1);
    if (!bytes)
        return false;
    if (b->n)
        memcpy(bytes, b->bytes, b->n);
    b->bytes = bytes;
    b->cap = cap;
    return true;
}

void http2_lose_blocks(struct http2_conn *c, int dir)
{
    c->side[dir].block.open = false;
    http2_hpack_lose(&c->side[dir].hpack);
}

/* ---- Lists ---------------------------------------------------------------------------------------------------------- */

static bool is_request(const struct http2_list *list)
{
    return list->method.n || list->path.n || list->scheme.n || list->authority.n;
}

struct http2_stream *http2_stream_for(struct http2_conn *c, int dir, uint32_t id)
{
    struct http2_streams *all = &c->streams;
    bool opens = dir == TD_CLIENT && id % 2 && id > all->highest[TD_CLIENT];
    struct http2_stream *s;
    if (opens) {
        all->highest[TD_CLIENT] = id;
        all->opened++;
        http2_streams_settle(all, id);
        http2_streams_expire(all, c->now_ns);
        if (all->unseen == UINT32_MAX) /* bytes were lost before it */
            all->unseen = id - 1;
    }
    s = http2_stream_find(all, id);
    if (opens)
        return s ? s : http2_stream_open(all, id);
    if (s || http2_stream_was_open(all, id))
        return s;
    if (dir == TD_CLIENT || id % 2 == 0)
        return id <= all->unseen ? http2_stream_open(all, id) : NULL;
    return id > all->highest[TD_CLIENT] || id <= all->unseen || (id == 1 && !all->first_used) ? http2_stream_open(all, id) : NULL;
}

static void tell_settings(struct http2_conn *c, int dir, struct http2_stream *s)
{
    struct http2_side *side = &c->side[dir];
    if (side->settings_n)
        http2_set_settings(&c->out, s->call, dir, td_bytes(side->settings, side->settings_n));
    side->settings_n = 0;
}

/* Takes the list for what it is; false: for the trailers of this half. */
static bool begins_half(struct http2_stream *s, int dir, const struct http2_list *list, bool end_stream)
{
    bool head = dir == TD_CLIENT ? is_request(list) : list->status.n > 0;
    if (head && s->half[dir].begun) /* malformed (RFC 9113 section 8.1): the first one counts */
        s->flags |= TD_PARTIAL;
    if (s->half[dir].begun)
        return false;
    if (head)
        return true;
    /* Its beginning was lost, or cannot be read. */
    s->flags |= TD_PARTIAL;
    return (list->unknown || list->damaged) && !(end_stream && s->half[dir].content);
}

/* The status of an interim response; 0: it is none. */
static unsigned interim_status(const struct http2_list *list, int dir, bool end_stream)
{
    unsigned status = dir == TD_SERVER && !end_stream ? http2_list_status(list) : 0;
    return status / 100 == 1 ? status : 0;
}

static void give_list(struct http2_conn *c, int dir, struct http2_stream *s, bool end_stream)
{
    const struct http2_list *list = &c->list;
    unsigned interim = interim_status(list, dir, end_stream);
    tell_settings(c, dir, s);
    if (interim) {
        http2_set_number(&c->out, s->call, F_INFORMATIONAL, interim);
        return;
    }
    if (s->half[dir].ended)
        return;
    if (!begins_half(s, dir, list, end_stream))
        http2_stream_trailers(&c->streams, s, dir, list);
    else if (dir == TD_CLIENT)
        http2_stream_request(&c->streams, s, list);
    else
        http2_stream_response(&c->streams, s, list);
    if (end_stream)
        (void)http2_stream_end(&c->streams, s, dir, false);
}

/* A pushed stream is a call of its own, whose request the server has made up (RFC 9113 section 8.4). */
static void give_promise(struct http2_conn *c, struct http2_stream *s, uint32_t on)
{
    s->by_server = true;
    http2_set_number(&c->out, s->call, F_PUSHED, 1);
    http2_set_number(&c->out, s->call, F_PROMISED_ON, on);
    http2_stream_request(&c->streams, s, &c->list);
    (void)http2_stream_end(&c->streams, s, TD_CLIENT, false);
}

/* ---- Blocks --------------------------------------------------------------------------------------------------------- */

static void read_list(struct http2_conn *c, int dir, struct td_slice block)
{
    struct http2_side *side = &c->side[dir];
    make_room(c, block.n);
    http2_list_reset(&c->list);
    c->list.block_size = block.n;
    switch (http2_hpack_read(&side->hpack, block, http2_list_add, &c->list)) {
    case HTTP2_HPACK_OK: http2_confirm(c); break;
    case HTTP2_HPACK_BAD:
        http2_violation(c, "malformed header block");
        c->list.damaged = true;
        break;
    case HTTP2_HPACK_NOMEM: c->list.damaged = true; break;
    }
    http2_list_finish(&c->list);
}

size_t http2_take_upgrade(struct http2_conn *c, struct td_slice in)
{
    if (!in.n || in.n > c->out.http2->config->max_head || td_starts(in, TD_LIT(HTTP2_PREFACE_TEXT)))
        return 0;
    make_room(c, in.n);
    http2_list_reset(&c->list);
    return http2_read_upgrade(in, &c->list);
}

static struct http2_stream *stream_of_block(struct http2_conn *c, int dir, const struct http2_block *b)
{
    struct http2_stream *s;
    if (!b->promised)
        return http2_stream_for(c, dir, b->stream);
    if (c->streams.highest[TD_SERVER] < b->promised)
        c->streams.highest[TD_SERVER] = b->promised;
    s = http2_stream_find(&c->streams, b->promised);
    return s ? s : http2_stream_open(&c->streams, b->promised);
}

/* The block is whole: `bytes`. */
static void end_block(struct http2_conn *c, int dir, struct http2_block *b, struct td_slice bytes, uint64_t begin, uint64_t end)
{
    struct http2_stream *s;
    b->open = false;
    if (b->too_long) {
        http2_hpack_lose(&c->side[dir].hpack);
        http2_list_reset(&c->list);
        c->list.damaged = true;
    } else {
        read_list(c, dir, bytes);
    }
    s = stream_of_block(c, dir, b);
    if (!s)
        return;
    if (!interim_status(&c->list, dir, b->end_stream))
        c->out.http2->host->mark(s->call, dir, begin, end);
    if (b->has_priority)
        http2_set_priority(&c->out, s->call, &b->priority);
    if (b->promised)
        give_promise(c, s, b->stream);
    else
        give_list(c, dir, s, b->end_stream);
}

static void begin_block(struct http2_block *b, const struct http2_frame *frame, const struct http2_payload *payload)
{
    b->n = 0;
    b->stream = frame->stream;
    b->promised = frame->type == HTTP2_PUSH_PROMISE ? payload->stream : 0;
    b->open = true;
    b->too_long = false;
    b->end_stream = frame->type == HTTP2_HEADERS && frame->flags & HTTP2_END_STREAM;
    b->has_priority = payload->has_priority;
    b->priority = payload->priority;
}

void http2_on_headers(struct http2_conn *c, int dir, const struct http2_frame *frame, const struct http2_payload *payload, uint64_t begin)
{
    struct http2_block *b = &c->side[dir].block;
    uint64_t end = begin + HTTP2_FRAME_HEADER + frame->length;
    bool last = frame->flags & HTTP2_END_HEADERS;
    if (frame->type != HTTP2_CONTINUATION) {
        begin_block(b, frame, payload);
        if (last) {
            end_block(c, dir, b, payload->content, begin, end);
            return;
        }
    } else if (!b->open || b->stream != frame->stream) {
        http2_violation(c, "a continuation of nothing");
        http2_lose_blocks(c, dir);
        return;
    }
    if (b->too_long || !grow_block(c, b, payload->content.n)) {
        b->too_long = true;
    } else if (payload->content.n) {
        memcpy(b->bytes + b->n, payload->content.p, payload->content.n);
        b->n += payload->content.n;
    }
    if (last) {
        end_block(c, dir, b, td_bytes(b->bytes, b->n), begin, end);
    } else {
        /* Its bytes are at hand only now. */
        struct http2_stream *s = stream_of_block(c, dir, b);
        if (s)
            c->out.http2->host->mark(s->call, dir, begin, end);
    }
}
