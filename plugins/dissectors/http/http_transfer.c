/* Bodies, chunks, trailers, and the ends of messages (RFC 9112 sections 6 and 7). */
#include "http_state.h"

/* ---- Ends of messages -------------------------------------------------------------------------------------------- */

static void end_form(struct http_conn *c, int dir, bool whole)
{
    struct http_side *side = &c->side[dir];
    if (side->form)
        content_form_end(&c->forms, side->form, side->exchange->call, whole);
    side->form = NULL;
}

void http_end_message(struct http_conn *c, int dir, bool cut)
{
    struct http_side *side = &c->side[dir];
    struct http_exchange *e = side->exchange;
    struct content_sink sink = http_sink(&c->out, e->call, dir);
    uint32_t flags = http_body_end(&c->out, e->call, dir, &side->body);
    content_child_end(&e->child, &sink, &side->body, dir, side->content);
    end_form(c, dir, !cut);
    if (cut)
        flags |= dir == TD_CLIENT ? TD_REQUEST_CUT : TD_RESPONSE_CUT;
    side->exchange = NULL;
    side->state = HTTP_AT_START;
    side->scanned = 0;
    if (dir == TD_CLIENT && !cut && (e->is_connect || e->is_upgrade) && !(e->done & 1u << TD_SERVER) && c->side[TD_SERVER].exchange != e)
        c->tunnel = e;
    (void)http_exchange_end(&c->pairing, &c->out, e, dir, flags);
}

void http_look_for_start(struct http_side *side, bool line_start)
{
    side->state = HTTP_LOOKING;
    side->line_start = line_start;
    side->scanned = 0;
}

/* The message's end cannot be known. */
void http_abandon_message(struct http_conn *c, int dir, bool line_start)
{
    http_end_message(c, dir, true);
    http_look_for_start(&c->side[dir], line_start);
}

/* ---- Bodies ------------------------------------------------------------------------------------------------------ */

/* Content, which is part of the input. */
static void add_content(struct http_conn *c, int dir, const struct http_input *in, struct td_slice content)
{
    struct http_side *side = &c->side[dir];
    http_body_add(&c->out, side->exchange->call, dir, &side->body, content);
    if (side->form)
        content_form_add(&c->forms, side->form, side->exchange->call, content);
    if (side->exchange->child.sub && content.n) {
        struct content_sink sink = http_sink(&c->out, side->exchange->call, dir);
        uint64_t begin = in->offset + (uint64_t)(content.p - in->bytes.p);
        side->content = begin + content.n;
        content_child_data(&side->exchange->child, &sink, &side->body, dir, content, begin);
    }
}

static void miss_content(struct http_conn *c, int dir, uint64_t n)
{
    struct http_side *side = &c->side[dir];
    struct content_sink sink = http_sink(&c->out, side->exchange->call, dir);
    side->exchange->flags |= side->body.keep ? TD_PARTIAL : 0;
    content_body_miss(&side->body, n);
    end_form(c, dir, false);
    content_child_gap(&side->exchange->child, &sink, &side->body, dir, n);
}

/* Nobody looks at the content or counts it. (Who wants the size must see the bytes: a body may end early.) */
static bool may_skip(const struct http_conn *c, int dir)
{
    const struct http_side *side = &c->side[dir];
    return !side->body.keep && !side->form && !side->exchange->child.sub &&
           !http_wants(&c->out, dir == TD_CLIENT ? F_REQUEST_BODY_SIZE : F_RESPONSE_BODY_SIZE);
}

void http_begin_body(struct http_conn *c, int dir, enum http_framing framing, uint64_t begin, uint64_t offset, uint64_t length)
{
    struct http_side *side = &c->side[dir];
    uint64_t end = framing == HTTP_BODY_LENGTH ? http_add_saturated(offset, length) : framing == HTTP_BODY_CLOSE ? UINT64_MAX : offset;
    side->scanned = 0;
    http_mark(c, dir, begin, end);
    switch (framing) {
    case HTTP_BODY_NONE: http_end_message(c, dir, false); break;
    case HTTP_BODY_LENGTH:
        side->state = HTTP_IN_LENGTH;
        side->body_end = end;
        break;
    case HTTP_BODY_CHUNKED:
        side->state = HTTP_IN_CHUNKS;
        memset(&side->chunked, 0, sizeof(side->chunked));
        break;
    case HTTP_BODY_CLOSE: side->state = HTTP_IN_CLOSE; break;
    case HTTP_BODY_UNKNOWN:
        http_violation(c, "request with a transfer coding that does not end");
        http_abandon_message(c, dir, true);
        break;
    }
}

static struct http_outcome in_length(struct http_conn *c, int dir, const struct http_input *in)
{
    struct http_side *side = &c->side[dir];
    uint64_t left = side->body_end - in->offset;
    if (in->bytes.n >= left) {
        add_content(c, dir, in, td_sub(in->bytes, 0, (size_t)left));
        http_end_message(c, dir, false);
        return http_go_on((size_t)left);
    }
    add_content(c, dir, in, in->bytes);
    /* All but the last byte may be passed over: that one proves that the body came to its end. */
    return http_wait_after(may_skip(c, dir) && left <= SIZE_MAX ? (size_t)left - 1 : in->bytes.n);
}

static struct http_outcome in_chunks(struct http_conn *c, int dir, const struct http_input *in)
{
    struct http_side *side = &c->side[dir];
    struct td_slice content;
    uint64_t ahead = 0;
    size_t used;
    enum http_chunked_event event = http_chunked_next(&side->chunked, in->bytes, &used, &content);
    if (event == HTTP_CHUNK_DATA) {
        add_content(c, dir, in, content);
        if (used == in->bytes.n && may_skip(c, dir))
            ahead = http_chunked_skip(&side->chunked, SIZE_MAX - used);
    }
    /* The rest of a chunk belongs to the message even if it is lost. */
    http_mark(c, dir, in->offset, http_add_saturated(in->offset + used + ahead, event == HTTP_CHUNK_DATA ? side->chunked.left : 0));
    switch (event) {
    case HTTP_CHUNK_TRAILERS: side->state = HTTP_IN_TRAILERS; return http_go_on(used);
    case HTTP_CHUNK_BAD:
        http_violation(c, "malformed chunk");
        http_abandon_message(c, dir, false);
        return http_go_on(used);
    default: return used < in->bytes.n ? http_go_on(used) : http_wait_after(used + (size_t)ahead);
    }
}

static struct http_outcome in_trailers(struct http_conn *c, int dir, const struct http_input *in)
{
    struct http_side *side = &c->side[dir];
    struct http_field fields[HTTP_MAX_FIELDS];
    struct http_head trailers;
    bool end_of_input = in->last || in->bytes.n > c->out.http->config->max_head;
    memset(&trailers, 0, sizeof(trailers));
    /* No trailers, as nearly always: one empty line, which http_find_end() would take for the end of an earlier line. */
    if (side->scanned && !end_of_input && !http_find_end(in->bytes, &side->scanned))
        return http_wait_after(0);
    trailers.fields = fields;
    if (http_parse_trailers(in->bytes, end_of_input, &trailers) == HTTP_MORE) {
        if (in->bytes.n > 2)
            (void)http_find_end(in->bytes, &side->scanned);
        return http_wait_after(0);
    }
    http_violation(c, trailers.fault);
    http_set_trailers(side->exchange->child.sub ? &c->full : &c->out, side->exchange->call, dir, &trailers);
    http_mark(c, dir, in->offset, in->offset + trailers.size);
    if (trailers.cut)
        http_abandon_message(c, dir, false);
    else
        http_end_message(c, dir, false);
    return http_go_on(trailers.size);
}

/* A response that begins where a body should was preceded by one without body: the answer to HEAD. */
static struct http_outcome in_question(struct http_conn *c, int dir, const struct http_input *in)
{
    struct http_side *side = &c->side[dir];
    struct td_slice status_line = TD_LIT("HTTP/1.");
    if (td_starts(in->bytes, status_line))
        http_end_message(c, dir, false);
    else if (td_starts(status_line, in->bytes) && !in->last)
        return http_wait_after(0);
    else
        http_begin_body(c, dir, (enum http_framing)side->framing, in->offset, in->offset, side->body_end);
    return http_go_on(0);
}

struct http_outcome http_in_body(struct http_conn *c, int dir, const struct http_input *in)
{
    struct http_side *side = &c->side[dir];
    switch (side->state) {
    case HTTP_IN_LENGTH: return in_length(c, dir, in);
    case HTTP_IN_CHUNKS: return in_chunks(c, dir, in);
    case HTTP_IN_TRAILERS: return in_trailers(c, dir, in);
    case HTTP_IN_QUESTION: return in_question(c, dir, in);
    default: add_content(c, dir, in, in->bytes); return http_wait_after(in->bytes.n);
    }
}

bool http_gap_in_body(struct http_conn *c, int dir, uint64_t offset, uint64_t len)
{
    struct http_side *side = &c->side[dir];
    switch (side->state) {
    case HTTP_IN_LENGTH:
        if (len > side->body_end - offset)
            return false;
        miss_content(c, dir, len);
        if (offset + len == side->body_end)
            http_end_message(c, dir, false);
        return true;
    case HTTP_IN_CHUNKS:
        if (len > side->chunked.left || http_chunked_skip(&side->chunked, len) != len)
            return false;
        miss_content(c, dir, len);
        return true;
    case HTTP_IN_CLOSE: miss_content(c, dir, len); return true;
    default: return false;
    }
}
