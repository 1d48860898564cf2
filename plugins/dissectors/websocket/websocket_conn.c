#include "websocket_conn.h"

enum {
    PIECE = 4096,      /* bytes whose mask is taken off at a time */
    MAX_LOOK = 4096,   /* bytes that are kept while looking for a frame */
    AT_PACKET = 35,    /* plausibility that is enough where a packet begins */
    ANYWHERE = 70,     /* and elsewhere */
    FULL_PACKET = 500, /* bytes of a packet that may well not be all of a message */
    GOOD_FRAMES = 3    /* after which it is one */
};

enum state {
    AT_FRAME,
    IN_PAYLOAD,
    AT_FIRST, /* probably at a frame */
    LOOKING
};

struct side {
    uint8_t state;
    bool begun;    /* something was shown */
    uint64_t seen; /* stream offset up to which bytes were shown before: a packet begins there */
    uint64_t at;   /* IN_PAYLOAD: bytes of the payload so far */
    struct ws_frame frame;
    struct ws_message data, control; /* a control message may come between the frames of a data message */
    struct ws_deflate deflate;
    uint8_t preview[WS_PREVIEW], control_preview[WS_MAX_CONTROL];
};

struct conn {
    struct ws_out out;
    struct td_arena *arena;
    struct side side[2];
    unsigned good;    /* frames */
    bool handed_over; /* after a handshake: no doubt */
    bool within;      /* a call of HTTP/2's */
    bool told;        /* the handshake was looked at */
    bool confirmed;
};

enum then { GO_ON, WAIT, LOST };

/* What a state's handler did. */
struct outcome {
    size_t used; /* may be more than there was: skip */
    enum then then;
    size_t need;
};

static struct outcome outcome(size_t used, enum then then, size_t need)
{
    struct outcome o = {used, then, need};
    return o;
}

/* Bytes at hand, with their place in the stream. */
struct input {
    struct td_slice bytes;
    uint64_t offset;
    bool last; /* nothing can be added to them */
};

static void violation(struct conn *c, const char *why)
{
    if (c->confirmed) /* the call that carries it is none of this protocol, and must not lose it for three of them */
        c->out.ws->host->violation(c->out.conn, why);
}

/* ---- The handshake ---------------------------------------------------------------------------------------------------- */

/* A copy in the arena; empty when memory is short. */
static struct td_slice copy(struct conn *c, struct td_slice s, struct td_slice prefix)
{
    uint8_t *p = s.n ? (uint8_t *)c->out.ws->host->alloc(c->arena, prefix.n + s.n, 1) : NULL;
    if (!p)
        return td_bytes(NULL, 0);
    if (prefix.n)
        memcpy(p, prefix.p, prefix.n);
    memcpy(p + prefix.n, s.p, s.n);
    return td_bytes(p, prefix.n + s.n);
}

/* Path and query of the target, and the URL of them and the host. */
static void take_target(struct conn *c, struct td_slice target, struct td_slice host)
{
    struct ws_out *out = &c->out;
    struct td_slice prefix = TD_LIT("ws://"), url;
    const uint8_t *mark;
    uint8_t *room;
    if (!target.n || target.p[0] != '/')
        return;
    room = (uint8_t *)out->ws->host->alloc(c->arena, prefix.n + host.n + target.n, 1);
    if (!room)
        return;
    memcpy(room, prefix.p, prefix.n);
    if (host.n)
        memcpy(room + prefix.n, host.p, host.n);
    memcpy(room + prefix.n + host.n, target.p, target.n);
    url = td_bytes(room, prefix.n + host.n + target.n);
    out->path = td_sub(url, prefix.n + host.n, url.n);
    out->host = td_sub(url, prefix.n, prefix.n + host.n);
    if (host.n)
        out->url = url;
    mark = (const uint8_t *)memchr(out->path.p, '?', out->path.n);
    if (mark) {
        size_t n = (size_t)(mark - out->path.p);
        out->query = td_sub(out->path, n + 1, out->path.n);
        out->path = td_sub(out->path, 0, n);
    }
}

static struct td_slice told(struct conn *c, const char *name)
{
    const struct td_host *host = c->out.ws->host;
    struct td_slice value = {NULL, 0};
    bool found = TD_HAS(host, told) && host->told(c->out.conn, td_str(name), &value);
    return found ? value : td_bytes(NULL, 0);
}

/* In HTTP/2 (RFC 8441) the call that carries it has all of it. */
static struct td_slice carried(struct conn *c, bool response, const char *name)
{
    const struct td_host *host = c->out.ws->host;
    struct td_slice value = {NULL, 0};
    bool found = host->find_pair(host->layer(c->out.conn), response ? F_RESPONSE_HEADERS : F_REQUEST_HEADERS, td_str(name), &value);
    return found ? value : td_bytes(NULL, 0);
}

static void look_at_handshake(struct conn *c)
{
    struct td_slice none = {NULL, 0};
    c->told = true;
    if (c->within) {
        take_target(c, carried(c, false, ":path"), carried(c, false, ":authority"));
        c->out.subprotocol = copy(c, carried(c, true, "sec-websocket-protocol"), none);
        c->out.extensions = copy(c, carried(c, true, "sec-websocket-extensions"), none);
    } else {
        take_target(c, told(c, ":path"), told(c, ":authority"));
        c->out.subprotocol = told(c, "sec-websocket-protocol");
        c->out.extensions = told(c, "sec-websocket-extensions");
    }
}

/* ---- Frames ---------------------------------------------------------------------------------------------------------- */

static struct ws_message *message_of(struct side *side)
{
    return ws_is_control(side->frame.opcode) ? &side->control : &side->data;
}

static void end_data(struct conn *c, int dir, uint64_t end, bool cut)
{
    struct side *side = &c->side[dir];
    if (side->data.open)
        ws_message_end(&c->out, &side->data, dir, &side->deflate, end, cut);
}

static void end_all(struct conn *c, int dir)
{
    struct side *side = &c->side[dir];
    if (side->control.open)
        ws_message_end(&c->out, &side->control, dir, &side->deflate, 0, true);
    end_data(c, dir, 0, true);
}

/* Where the next frame begins is not known. */
static void lose_framing(struct conn *c, int dir)
{
    end_all(c, dir);
    ws_deflate_forget(&c->side[dir].deflate); /* a message may be missing to which the next ones refer */
    c->side[dir].state = LOOKING;
}

static void begin_message(struct conn *c, int dir, uint64_t offset)
{
    struct side *side = &c->side[dir];
    struct ws_message *m = message_of(side);
    bool control = ws_is_control(side->frame.opcode);
    if (!control && m->open && side->frame.opcode != WS_CONTINUATION) {
        violation(c, "a message begins before the one before has ended");
        end_data(c, dir, offset, true);
    }
    if (!m->open)
        ws_message_begin(&c->out, m, dir, &side->frame, control ? side->control_preview : side->preview);
    m->frames++;
    c->out.ws->host->mark(m->call, dir, offset, offset + side->frame.header + side->frame.length);
}

static void end_frame(struct conn *c, int dir, uint64_t end)
{
    struct side *side = &c->side[dir];
    side->state = AT_FRAME;
    if (side->frame.fin)
        ws_message_end(&c->out, message_of(side), dir, &side->deflate, end, false);
}

static void confirm(struct conn *c)
{
    c->good++;
    if (c->confirmed || c->within)
        return;
    c->confirmed = true;
    c->out.ws->host->confirm(c->out.conn);
}

static struct outcome at_frame(struct conn *c, int dir, const struct input *in)
{
    struct side *side = &c->side[dir];
    size_t need = ws_read_header(in->bytes, &side->frame);
    const char *fault;
    if (need)
        return in->last ? outcome(in->bytes.n, WAIT, 0) : outcome(0, WAIT, need);
    fault = ws_header_fault(&side->frame, dir == TD_CLIENT);
    if (fault) {
        if (!c->handed_over && !c->within && c->good < GOOD_FRAMES)
            return outcome(0, LOST, 0);
        violation(c, fault);
        lose_framing(c, dir);
        return outcome(0, GO_ON, 0);
    }
    if (!c->told)
        look_at_handshake(c);
    confirm(c);
    if (side->frame.long_winded)
        violation(c, "payload length in more bytes than it needs");
    begin_message(c, dir, in->offset);
    side->at = 0;
    side->state = IN_PAYLOAD;
    return outcome(side->frame.header, GO_ON, 0);
}

static void add_payload(struct conn *c, int dir, struct td_slice payload, uint64_t offset)
{
    struct side *side = &c->side[dir];
    struct ws_message *m = message_of(side);
    uint8_t room[PIECE];
    size_t at;
    if (!side->frame.masked) {
        ws_message_add(&c->out, m, dir, &side->deflate, payload, offset);
        return;
    }
    for (at = 0; at < payload.n; at += PIECE) {
        struct td_slice piece = td_sub(payload, at, at + PIECE);
        ws_unmask(side->frame.mask, side->at + at, piece.p, piece.n, room);
        ws_message_add(&c->out, m, dir, &side->deflate, td_bytes(room, piece.n), offset + at);
    }
}

/* Nobody looks at what it says. */
static bool may_skip(const struct conn *c, int dir)
{
    const struct side *side = &c->side[dir];
    return !c->out.reads && !ws_is_control(side->frame.opcode) && !side->data.child;
}

static struct outcome in_payload(struct conn *c, int dir, const struct input *in)
{
    struct side *side = &c->side[dir];
    uint64_t left = side->frame.length - side->at;
    size_t n = in->bytes.n < left ? in->bytes.n : (size_t)left;
    add_payload(c, dir, td_sub(in->bytes, 0, n), in->offset);
    side->at += n;
    left -= n;
    if (left == 0) {
        end_frame(c, dir, in->offset + n);
        return outcome(n, GO_ON, 0);
    }
    /* All but the last byte may be passed over: that one proves that the frame came to its end. */
    if (left > 1 && left <= SIZE_MAX - n && may_skip(c, dir)) {
        side->at += left - 1;
        side->data.wire += left - 1;
        return outcome(n + (size_t)left - 1, WAIT, 0);
    }
    return outcome(n, WAIT, 0);
}

/* ---- Looking for frames ------------------------------------------------------------------------------------------------ */

/* Where in the input a packet begins; else at its end. */
static size_t packet_start(const struct side *side, const struct input *in)
{
    uint64_t at = side->seen - in->offset;
    return side->seen >= in->offset && at < in->bytes.n ? (size_t)at : in->bytes.n;
}

static struct outcome looking(struct conn *c, int dir, const struct input *in)
{
    struct side *side = &c->side[dir];
    size_t packet = packet_start(side, in), at, maybe = in->bytes.n;
    for (at = 0; at < in->bytes.n; at++) {
        int score = ws_plausible(td_sub(in->bytes, at, in->bytes.n), dir == TD_CLIENT);
        if (score >= (at == packet ? AT_PACKET : ANYWHERE)) {
            side->state = AT_FRAME;
            return outcome(at, GO_ON, 0);
        }
        if (score && at < maybe)
            maybe = at;
    }
    if (in->last)
        maybe = in->bytes.n;
    if (in->bytes.n - maybe > MAX_LOOK)
        maybe = in->bytes.n - MAX_LOOK;
    return outcome(maybe, WAIT, 0);
}

/* ---- Callbacks ------------------------------------------------------------------------------------------------------- */

static struct outcome step(struct conn *c, int dir, const struct input *in)
{
    struct side *side = &c->side[dir];
    if (side->state == IN_PAYLOAD)
        return in_payload(c, dir, in);
    if (in->bytes.n == 0)
        return outcome(0, WAIT, 0);
    if (side->state == AT_FIRST)
        side->state = in->bytes.p[0] & 0x80 && ws_plausible(in->bytes, dir == TD_CLIENT) == 0 ? LOOKING : AT_FRAME;
    return side->state == AT_FRAME ? at_frame(c, dir, in) : looking(c, dir, in);
}

struct td_step ws_data(void *state, struct td_conn *conn, int dir, const struct td_chunk *chunk)
{
    struct conn *c = (struct conn *)state;
    size_t at = 0;
    (void)conn;
    if (!c->side[dir].begun)
        c->side[dir].seen = chunk->offset;
    c->side[dir].begun = true;
    /* Each round either uses bytes or changes the state to one that does. */
    for (;;) {
        struct input in = {td_sub(chunk->bytes, at, chunk->bytes.n), chunk->offset + at, (chunk->flags & TD_CHUNK_LAST) != 0};
        struct outcome o = step(c, dir, &in);
        if (o.then == LOST)
            return td_lost();
        at += o.used;
        if (o.then == WAIT) {
            c->side[dir].seen = chunk->offset + chunk->bytes.n;
            return at < chunk->bytes.n ? td_need(at, o.need) : td_used(at);
        }
    }
}

int ws_gap(void *state, struct td_conn *conn, int dir, uint64_t offset, uint64_t len)
{
    struct conn *c = (struct conn *)state;
    struct side *side = &c->side[dir];
    (void)conn;
    side->seen = offset + len;
    if (side->state != IN_PAYLOAD || len > side->frame.length - side->at) {
        lose_framing(c, dir);
        return TD_OK;
    }
    ws_message_miss(&c->out, message_of(side), dir, &side->deflate, len);
    side->at += len;
    if (side->at == side->frame.length)
        end_frame(c, dir, offset + len);
    return TD_OK;
}

void ws_close(void *state, struct td_conn *conn, int why)
{
    struct conn *c = (struct conn *)state;
    (void)conn;
    (void)why;
    end_all(c, TD_CLIENT);
    end_all(c, TD_SERVER);
}

/* Only a connection whose beginning was not captured has to be known by its frames; the others by their handshake. */
int ws_probe(const void *self, const struct td_flow *flow, int dir, struct td_slice in)
{
    int score;
    (void)self;
    if (!(flow->flags & TD_FLOW_MIDSTREAM))
        return 0;
    score = ws_plausible(in, dir == TD_CLIENT);
    /* Most messages are whole in their packets. To wait for more of what is none would hide the beginning of the next one. */
    if (score < 0)
        return in.n >= FULL_PACKET && in.n < WS_MAX_PROBE ? -(int)(in.n + 1) : 0;
    return score < AT_PACKET ? 0 : score > 85 ? 85 : score;
}

int ws_open(const void *self, struct td_conn *conn, const struct td_flow *flow, struct td_arena *arena, void **ret_state)
{
    const struct websocket *ws = (const struct websocket *)self;
    struct conn *c = (struct conn *)ws->host->alloc(arena, sizeof(*c), 16);
    uint32_t field;
    int dir;
    if (!c)
        return TD_E_NOMEM;
    c->out.ws = ws;
    c->out.conn = conn;
    c->arena = arena;
    for (field = 0; field < F_COUNT; field++)
        c->out.wanted |= ws->host->wants(conn, field) ? 1u << field : 0;
    c->within = ws->host->layer(conn) != NULL;
    c->handed_over = told(c, ":status").n > 0;
    c->out.reads = ws_wants(&c->out, F_REQUEST_DATA) || ws_wants(&c->out, F_RESPONSE_DATA) || ws_wants(&c->out, F_REQUEST_BODY) ||
                   ws_wants(&c->out, F_RESPONSE_BODY) || ws_wants(&c->out, F_REQUEST_LENGTH) || ws_wants(&c->out, F_RESPONSE_LENGTH) ||
                   ws_wants(&c->out, F_INVALID_UTF8) || told(c, "sec-websocket-protocol").n || c->within;
    for (dir = 0; dir < 2; dir++) {
        ws_deflate_init(&c->side[dir].deflate, ws->host, arena);
        /* Behind a gap, frames of the client may have been passed over while the answer was waited for. */
        if (!c->within && flow->flags & TD_FLOW_MIDSTREAM)
            c->side[dir].state = c->handed_over ? AT_FIRST : LOOKING;
    }
    *ret_state = c;
    return TD_OK;
}
