/* Recognition: of a connection by its first bytes, and of the next frame where bytes were lost. */
#include "http2_state.h"

enum {
    ENOUGH = 3,         /* frames one behind the other, each well-formed: no accident */
    FAR_STREAM = 20000, /* so much higher an id than any before is an accident */
    MANY = 512          /* places that look like a frame: somebody means them to */
};

/* ---- The next frame -------------------------------------------------------------------------------------------------- */

enum verdict { NO, MAYBE, YES };

/* Could this side send something on such a stream, going by those that were seen? */
static bool is_likely_stream(const struct http2_conn *c, int dir, const struct http2_frame *f)
{
    const struct http2_streams *all = &c->streams;
    uint32_t highest = all->highest[TD_CLIENT] > all->highest[TD_SERVER] ? all->highest[TD_CLIENT] : all->highest[TD_SERVER];
    if (f->stream == 0)
        return true;
    if (dir == TD_CLIENT && f->stream % 2 == 0 && (f->type == HTTP2_DATA || f->type == HTTP2_HEADERS))
        return false;
    return highest == 0 || f->stream <= highest + FAR_STREAM;
}

/* What a HEADERS frame says for itself: 1 it begins a message of this side, 0 nothing, -1 it is none. */
static int judge_headers(int dir, const struct http2_frame *f, struct td_slice in)
{
    bool cut = in.n < (size_t)HTTP2_FRAME_HEADER + f->length;
    struct td_slice payload = td_sub(in, HTTP2_FRAME_HEADER, (size_t)HTTP2_FRAME_HEADER + f->length), block = payload;
    struct http2_payload p;
    int side;
    if (!cut && !http2_read_payload(f, payload, &p))
        block = p.content;
    else if (f->flags & (HTTP2_PADDED | HTTP2_PRIORITY_FLAG))
        return 0;
    side = http2_hpack_side(block);
    if (!http2_hpack_plausible(block, cut || !(f->flags & HTTP2_END_HEADERS)) || (side && side != dir + 1))
        return -1;
    return side != 0;
}

/* Does a frame begin at the front of `in`? `packet`: so does a packet. */
static enum verdict judge(struct http2_conn *c, int dir, struct td_slice in, bool packet, bool last)
{
    struct http2_frame first;
    uint64_t end;
    unsigned n;
    int headers = 0;
    bool known;
    if (!http2_read_header(in, &first))
        return last ? NO : MAYBE;
    n = http2_count_frames(in, HTTP2_MAX_FRAME_SEEN, ENOUGH, &end);
    if (n == 0 || !is_likely_stream(c, dir, &first))
        return NO;
    if (first.type == HTTP2_HEADERS)
        headers = judge_headers(dir, &first, in);
    if (headers < 0)
        return NO;
    known = headers > 0 || (first.stream && http2_stream_find(&c->streams, first.stream));
    if (n == ENOUGH || (n > 1 && (known || end == in.n)) || (packet && (end == in.n || known)) || (headers > 0 && end == in.n))
        return YES;
    return last ? NO : MAYBE;
}

static inline bool may_begin(const uint8_t *p, size_t n)
{
    return p[0] < 0x10 && (n < 4 || p[3] <= HTTP2_PRIORITY_UPDATE) && (n < 6 || !(p[5] & 0x80));
}

size_t http2_look(struct http2_conn *c, int dir, const struct http2_input *in, bool *ret_found, size_t *ret_need)
{
    struct http2_side *side = &c->side[dir];
    size_t packet = side->seen >= in->offset && side->seen - in->offset < in->bytes.n ? (size_t)(side->seen - in->offset) : SIZE_MAX;
    size_t at, judged = 0, maybe = in->bytes.n;
    enum verdict verdict;
    *ret_found = true;
    *ret_need = 0;
    for (at = 0; at < in->bytes.n; at++) {
        if (!may_begin(in->bytes.p + at, in->bytes.n - at))
            continue;
        verdict = judge(c, dir, td_sub(in->bytes, at, in->bytes.n), at == packet || in->offset + at == 0, in->last);
        if (verdict == YES)
            return at;
        if (verdict == MAYBE && maybe == in->bytes.n)
            maybe = at;
        judged++;
    }
    *ret_found = false;
    if (in->bytes.n - maybe > HTTP2_MAX_LOOK)
        return in->bytes.n;
    if (judged > MANY)
        *ret_need = (in->bytes.n - maybe) / 4 * 5;
    return maybe;
}

/* ---- A connection ----------------------------------------------------------------------------------------------------- */

/* What the frames say about who sent them: 1 the client, 2 the server, 3 both, 0 nothing. */
static unsigned sides_of(struct td_slice in)
{
    unsigned sides = 0;
    struct http2_frame f;
    while (http2_read_header(in, &f)) {
        struct td_slice payload = td_sub(in, HTTP2_FRAME_HEADER, (size_t)HTTP2_FRAME_HEADER + f.length);
        struct http2_payload p;
        if (f.type == HTTP2_PUSH_PROMISE)
            sides |= 2;
        if (f.type == HTTP2_HEADERS && payload.n == f.length && !http2_read_payload(&f, payload, &p)) {
            if (!http2_hpack_plausible(p.content, !(f.flags & HTTP2_END_HEADERS)))
                return 3;
            sides |= (unsigned)http2_hpack_side(p.content);
        }
        in = td_sub(in, (size_t)HTTP2_FRAME_HEADER + f.length, in.n);
    }
    return sides;
}

static int probe_frames(int dir, struct td_slice in)
{
    uint64_t end;
    struct http2_frame first;
    unsigned n = http2_count_frames(in, HTTP2_DEFAULT_MAX_FRAME, 8, &end), sides;
    if (n == 0 || !http2_read_header(in, &first))
        return in.n < HTTP2_FRAME_HEADER && in.n && in.p[0] == 0 ? -HTTP2_FRAME_HEADER : 0;
    sides = sides_of(in);
    if (sides == 3 || (sides && !(sides & 1u << dir)))
        return 0;
    if (sides)
        return end == in.n || n >= ENOUGH ? 90 : 80;
    /* A server's first frame; a client sends its preface before it. */
    if (first.type == HTTP2_SETTINGS && first.flags == 0 && dir == TD_SERVER)
        return n > 1 || first.length ? 80 : 55;
    if (n >= 2 && end == in.n)
        return 45;
    return n >= 2 || end == in.n ? 30 : 0;
}

int http2_probe(const void *self, const struct td_flow *flow, int dir, struct td_slice in)
{
    struct td_slice preface = TD_LIT(HTTP2_PREFACE_TEXT);
    (void)self;
    (void)flow;
    if (td_starts(in, preface))
        return dir == TD_CLIENT ? 100 : 0;
    if (td_starts(preface, in))
        return dir == TD_CLIENT ? -HTTP2_PREFACE : 0;
    return probe_frames(dir, in);
}
