#include "kafka_conn.h"

#include "kafka_batches.h"

enum state {
    AT_FRAME, /* a frame begins here */
    LOOKING,  /* after a gap or nonsense: for the next one */
    IN_BODY,
    IN_RECORDS,
    IN_REST /* of the frame, which is not looked at */
};

enum {
    CORRELATION_ID = 4,
    NEAR = 1 << 16,
    SASL_TOKEN_MAX = 1 << 20,
    OLD_EXCESS = 4 /* old clients send an empty array with ApiVersions of version 0 */
};

/* One direction. */
struct side {
    uint8_t state;
    uint64_t frame_end;      /* stream offsets */
    uint64_t skip_to;        /* nothing before this is looked at */
    uint64_t seen;           /* up to here bytes were shown before: a packet begins there */
    struct kafka_call *call; /* whose message is read; NULL: of none that is known, or a token of SASL */
    struct kafka_walk walk;
    struct kafka_batches batches;
    struct kafka_filling filling;
};

struct connection {
    struct kafka_calls calls;
    struct side side[2];
    /* SaslHandshake of version 0: what follows are tokens after their lengths, until a request comes (KIP-43). They belong to its call. */
    struct kafka_call *handshake;
    bool confirmed;
    int32_t last_id; /* the last correlation id that was seen; -1: none */
};

/* Bytes at hand. */
struct input {
    struct td_slice bytes;
    uint64_t offset;
    bool last; /* nothing can be added to them */
};

/* What a state's function did: `used` bytes; `need`: that many must be there for more; 0: go on. */
struct outcome {
    size_t used;
    uint64_t need;
};

static struct outcome go_on(size_t used)
{
    return (struct outcome){used, 0};
}

static struct outcome wait_for(size_t used, uint64_t need)
{
    return (struct outcome){used, need};
}

/* ---- Messages ---------------------------------------------------------------------------------------------------- */

static void confirm(struct connection *c)
{
    if (!c->confirmed)
        c->calls.host->confirm(c->calls.conn);
    c->confirmed = true;
}

/* The rest of the frame is not looked at. */
static void pass_rest(struct side *side)
{
    side->state = IN_REST;
    side->skip_to = side->frame_end;
}

/* Decodes no more of this message. */
static void stop(struct side *side, uint32_t flags)
{
    if (side->call)
        side->call->flags |= flags;
    pass_rest(side);
}

/* A request to which nobody answers, as its sender wanted it so. */
static bool is_one_way(const struct kafka_call *p)
{
    return p->api_key == KAFKA_PRODUCE && p->has_acks && p->acks == 0;
}

/* The frame is over; `cut`: its end was not seen. */
static void end_message(struct connection *c, int dir, bool cut)
{
    struct side *side = &c->side[dir];
    struct kafka_call *p = side->call;
    side->call = NULL;
    side->state = AT_FRAME;
    if (!p)
        return;
    kafka_filling_end(&side->filling);
    if (cut)
        p->flags |= dir == TD_CLIENT ? TD_REQUEST_CUT : TD_RESPONSE_CUT;
    if (p == c->handshake && (dir == TD_CLIENT || p->error == 0))
        return; /* tokens may follow */
    if (p == c->handshake)
        c->handshake = NULL;
    if (is_one_way(p))
        p->flags |= TD_ONE_WAY;
    if (dir == TD_SERVER || is_one_way(p))
        kafka_call_end(&c->calls, p);
}

/* Enters the body of a message of `p` that begins `header` bytes behind `begin`. */
static void begin_body(struct connection *c, int dir, struct kafka_call *p, uint64_t begin, size_t header, uint32_t length)
{
    struct side *side = &c->side[dir];
    const struct kafka_rows *rows = p->known ? (dir == TD_CLIENT ? p->api->request : p->api->response) : NULL;
    side->call = p;
    side->frame_end = begin + KAFKA_LENGTH + length;
    side->skip_to = begin + header;
    c->calls.host->mark(p->call, dir, begin, side->frame_end);
    kafka_filling_begin(&side->filling, &c->calls, p, dir == TD_SERVER);
    if (!rows) {
        stop(side, TD_PARTIAL);
        return;
    }
    bool tagged = dir == TD_CLIENT ? p->flexible : kafka_response_is_tagged(p->api_key, p->flexible);
    kafka_walk_begin(&side->walk, rows, (unsigned)p->api_version, p->flexible, tagged);
    side->state = IN_BODY;
}

/* A frame that is no message of Kafka's, or of which nothing is known. */
static void begin_nothing(struct connection *c, int dir, uint64_t begin, uint64_t length)
{
    struct side *side = &c->side[dir];
    side->call = NULL;
    side->frame_end = begin + KAFKA_LENGTH + length;
    pass_rest(side);
    if (dir == TD_SERVER)
        kafka_calls_doubt(&c->calls);
}

/* ---- SASL without requests --------------------------------------------------------------------------------------- */

static struct outcome token(struct connection *c, int dir, const struct input *in)
{
    struct td_cursor cursor = td_cursor(in->bytes);
    uint32_t length = td_be32(&cursor);
    if (cursor.failed)
        return wait_for(0, KAFKA_LENGTH);
    if (length > SASL_TOKEN_MAX) {
        c->calls.host->violation(c->calls.conn, "SASL token too long");
        c->side[dir].state = LOOKING;
        return go_on(1);
    }
    c->calls.host->mark(c->handshake->call, dir, in->offset, in->offset + KAFKA_LENGTH + length);
    begin_nothing(c, dir, in->offset, length);
    return go_on(KAFKA_LENGTH);
}

static void end_handshake(struct connection *c)
{
    struct kafka_call *p = c->handshake;
    c->handshake = NULL;
    if (p && p->responded && c->side[TD_SERVER].call != p)
        kafka_call_end(&c->calls, p);
}

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

static struct outcome begin_request(struct connection *c, const struct kafka_header *h, uint64_t begin, size_t there)
{
    if (c->handshake && c->handshake == c->calls.oldest && c->calls.count >= c->calls.config->max_pending)
        c->handshake = NULL; /* it is going to make room */
    struct kafka_call *p = kafka_call_new(&c->calls, h, h->correlation_id);
    size_t header = there < h->size ? there : h->size;
    c->last_id = h->correlation_id;
    if (!p) {
        begin_nothing(c, TD_CLIENT, begin, h->length);
        return go_on(header);
    }
    begin_body(c, TD_CLIENT, p, begin, header, h->length);
    if (h->api_key == KAFKA_SASL_HANDSHAKE && h->api_version == 0) {
        end_handshake(c);
        c->handshake = p;
    }
    return go_on(header);
}

static struct outcome lose_client(struct connection *c)
{
    c->calls.host->violation(c->calls.conn, "not a request header");
    c->side[TD_CLIENT].state = LOOKING;
    return go_on(1);
}

static struct outcome at_request(struct connection *c, const struct input *in)
{
    enum { IDENTIFIED = 12 /* bytes behind which a request can be told without its client */ };
    struct kafka_header h;
    size_t need;
    bool raw = c->handshake && c->handshake->responded;
    switch (kafka_request_header(in->bytes, raw || !c->confirmed, &h, &need)) {
    case KAFKA_NONE: return raw ? token(c, TD_CLIENT, in) : lose_client(c);
    case KAFKA_MORE:
        if (raw && in->bytes.n >= KAFKA_LENGTH && h.length + KAFKA_LENGTH <= in->bytes.n)
            return token(c, TD_CLIENT, in); /* too short for a request */
        if (!in->last)
            return wait_for(0, need);
        if (in->bytes.n >= IDENTIFIED) {
            h.client_id.n = 0;
            struct outcome outcome = begin_request(c, &h, in->offset, in->bytes.n);
            stop(&c->side[TD_CLIENT], TD_PARTIAL);
            return outcome;
        }
        if (in->bytes.n < KAFKA_LENGTH)
            return go_on(in->bytes.n);
        begin_nothing(c, TD_CLIENT, in->offset, h.length);
        return go_on(KAFKA_LENGTH);
    case KAFKA_OK: break;
    }
    if (raw)
        end_handshake(c);
    return begin_request(c, &h, in->offset, in->bytes.n);
}

/* ---- Responses --------------------------------------------------------------------------------------------------- */

/* A broker that does not know the version of an ApiVersions request answers in version 0, and says so (KIP-511). */
static bool falls_back(struct connection *c, struct kafka_call *p, struct td_cursor at)
{
    int16_t error = (int16_t)td_be16(&at);
    if (at.failed || error != KAFKA_UNSUPPORTED_VERSION)
        return false;
    if (kafka_wants(&c->calls, F_RESPONSE_VERSION))
        c->calls.host->set_u64(p->call, F_RESPONSE_VERSION, 0);
    p->known = p->api && p->api->response;
    p->flexible = false;
    p->api_version = 0;
    return true;
}

static void set_response(struct connection *c, struct kafka_call *p, uint32_t length)
{
    p->response_size = length;
    if (kafka_wants(&c->calls, F_RESPONSE_SIZE))
        c->calls.host->set_u64(p->call, F_RESPONSE_SIZE, length);
}

/* Answered before its end was seen: what is still to come of the request tells no more. */
static void detach_request(struct connection *c, const struct kafka_call *p)
{
    struct side *side = &c->side[TD_CLIENT];
    if (side->call != p)
        return;
    stop(side, TD_PARTIAL);
    kafka_filling_end(&side->filling);
    side->call = NULL;
}

static struct outcome begin_response(struct connection *c, struct kafka_call *p, const struct input *in, uint32_t length)
{
    detach_request(c, p);
    set_response(c, p, length);
    kafka_call_answered(&c->calls, p);
    begin_body(c, TD_SERVER, p, in->offset, KAFKA_LENGTH + CORRELATION_ID, length);
    return go_on(in->bytes.n < KAFKA_LENGTH + CORRELATION_ID ? in->bytes.n : KAFKA_LENGTH + CORRELATION_ID);
}

/* Its request was not captured: which API it answers is not known. */
static struct outcome begin_lone_response(struct connection *c, int32_t id, const struct input *in, uint32_t length)
{
    struct kafka_call *p = kafka_call_new(&c->calls, NULL, id);
    c->last_id = id;
    if (!p) {
        begin_nothing(c, TD_SERVER, in->offset, length);
        return go_on(KAFKA_LENGTH + CORRELATION_ID);
    }
    p->responded = true;
    set_response(c, p, length);
    begin_body(c, TD_SERVER, p, in->offset, KAFKA_LENGTH + CORRELATION_ID, length);
    return go_on(KAFKA_LENGTH + CORRELATION_ID);
}

static struct outcome at_response(struct connection *c, const struct input *in)
{
    enum { ERROR_CODE = 2 };
    struct td_cursor cursor = td_cursor(in->bytes);
    uint32_t length = td_be32(&cursor);
    int32_t id = (int32_t)td_be32(&cursor);
    struct kafka_call *p = cursor.failed ? NULL : kafka_call_find(&c->calls, id);
    if (!p && c->handshake && c->handshake->responded)
        return token(c, TD_SERVER, in);
    if (cursor.failed) {
        if (!in->last)
            return wait_for(0, KAFKA_LENGTH + CORRELATION_ID);
        if (in->bytes.n < KAFKA_LENGTH)
            return go_on(in->bytes.n);
        begin_nothing(c, TD_SERVER, in->offset, length);
        return go_on(KAFKA_LENGTH);
    }
    if (length < CORRELATION_ID || length > KAFKA_FRAME_MAX || (!p && id < 0)) {
        c->calls.host->violation(c->calls.conn, "not a response header");
        c->side[TD_SERVER].state = LOOKING;
        return go_on(1);
    }
    if (!p)
        return begin_lone_response(c, id, in, length);
    if (p->api_key == KAFKA_API_VERSIONS && p->api_version > 0 && length >= CORRELATION_ID + ERROR_CODE) {
        if (td_left(&cursor) < ERROR_CODE && !in->last)
            return wait_for(0, KAFKA_LENGTH + CORRELATION_ID + ERROR_CODE);
        (void)falls_back(c, p, cursor);
    }
    return begin_response(c, p, in, length);
}

/* ---- Finding the next frame -------------------------------------------------------------------------------------- */

/* `packet`: one begins here, as responses do. */
static bool is_response_here(struct connection *c, struct td_slice bytes, bool packet)
{
    enum {
        ENOUGH = 16,                    /* bytes of a body that is not there whole */
        LOOKED_AT = 4 * KAFKA_MAX_PROBE /* of a body; it is looked for at every byte */
    };
    struct td_cursor cursor = td_cursor(bytes);
    uint32_t length = td_be32(&cursor);
    int32_t id = (int32_t)td_be32(&cursor);
    bool whole;
    if (cursor.failed || length < CORRELATION_ID || length > KAFKA_FRAME_MAX)
        return false;
    const struct kafka_call *p = kafka_call_find(&c->calls, id);
    if (!p || !p->known || !p->api->response)
        return false;
    unsigned version = (unsigned)p->api_version;
    bool flexible = p->flexible;
    struct td_slice body = td_sub(bytes, KAFKA_LENGTH + CORRELATION_ID, LOOKED_AT);
    if (kafka_body_fits(body, length - CORRELATION_ID, p->api->response, version, flexible, kafka_response_is_tagged(p->api_key, flexible),
                        &whole))
        return whole || (packet && body.n >= ENOUGH);
    return p->api_key == KAFKA_API_VERSIONS && kafka_body_fits(body, length - CORRELATION_ID, p->api->response, 0, false, false, &whole) &&
           whole;
}

/* Nothing tells what it answers; but a packet that is nothing but whole frames with ids in order is no accident. */
static bool is_chain_here(const struct connection *c, struct td_slice bytes)
{
    int64_t last = c->last_id;
    while (bytes.n >= KAFKA_LENGTH + CORRELATION_ID) {
        struct td_cursor cursor = td_cursor(bytes);
        uint32_t length = td_be32(&cursor);
        int32_t id = (int32_t)td_be32(&cursor);
        if (length < CORRELATION_ID || length > bytes.n - KAFKA_LENGTH || id < 0 || (last >= 0 && (id < last - NEAR || id > last + NEAR)))
            return false;
        last = id;
        bytes = td_sub(bytes, KAFKA_LENGTH + (size_t)length, bytes.n);
    }
    return bytes.n == 0;
}

static bool is_found(struct connection *c, int dir, const struct input *in, size_t at)
{
    enum { CERTAIN = 80 };
    struct td_slice rest = td_sub(in->bytes, at, in->bytes.n);
    if (rest.p[0] > KAFKA_FRAME_MAX >> 24)
        return false;
    if (dir == TD_CLIENT)
        return kafka_request_score(rest, KAFKA_MAX_PROBE) >= CERTAIN;
    bool packet = in->offset + at == c->side[dir].seen;
    return is_response_here(c, rest, packet) || (packet && rest.n >= KAFKA_LENGTH + CORRELATION_ID && is_chain_here(c, rest));
}

/* With each packet that comes; what may begin at the end of one, before enough of it is there to tell, is kept. */
static struct outcome look(struct connection *c, int dir, const struct input *in)
{
    enum { KEPT = 64 };
    size_t end = in->last || in->bytes.n < KEPT ? in->bytes.n : in->bytes.n - KEPT;
    for (size_t at = 0; at < in->bytes.n; at++) {
        if (!is_found(c, dir, in, at))
            continue;
        c->side[dir].state = AT_FRAME;
        if (dir == TD_SERVER)
            kafka_calls_doubt(&c->calls);
        return go_on(at);
    }
    if (in->last)
        return go_on(in->bytes.n);
    /* An own packet that holds less than KEPT bytes was looked at as a whole. */
    if (in->bytes.n <= KEPT)
        end = 0;
    return wait_for(end, in->bytes.n - end + 1);
}

/* ---- Bodies ------------------------------------------------------------------------------------------------------ */

/* What there is of the frame. */
static struct td_slice of_frame(const struct side *side, const struct input *in)
{
    uint64_t left = side->frame_end - in->offset;
    return td_sub(in->bytes, 0, left < in->bytes.n ? (size_t)left : in->bytes.n);
}

/* More is needed than there is. */
static struct outcome lacking(struct side *side, const struct input *in, size_t used, uint64_t need)
{
    if (!in->last)
        return wait_for(used, need);
    stop(side, TD_PARTIAL);
    return go_on(used);
}

static struct outcome end_of_walk(struct connection *c, struct side *side, uint64_t at, size_t used)
{
    bool known_excess = side->call && side->call->api_key == KAFKA_API_VERSIONS && side->frame_end - at <= OLD_EXCESS;
    if (at < side->frame_end && !known_excess) {
        c->calls.host->violation(c->calls.conn, "bytes behind the message");
        stop(side, TD_PARTIAL);
    } else {
        pass_rest(side);
    }
    return go_on(used);
}

static struct outcome in_body(struct connection *c, int dir, const struct input *in)
{
    struct side *side = &c->side[dir];
    uint8_t buffer[KAFKA_BUFFER];
    struct td_cursor cursor = td_cursor(of_frame(side, in));
    uint64_t n;
    kafka_filling_borrow(&side->filling, buffer);
    enum kafka_walk_result result = kafka_walk(&side->walk, &cursor, side->frame_end - in->offset, kafka_filling_event, &side->filling, &n);
    size_t used = td_pos(&cursor);
    if (result == KAFKA_WALK_RECORDS) {
        kafka_batches_begin(&side->batches, &side->filling, "records", n);
        side->state = IN_RECORDS;
    }
    kafka_filling_flush(&side->filling);
    switch (result) {
    case KAFKA_WALK_MORE: return lacking(side, in, used, n);
    case KAFKA_WALK_DONE: confirm(c); return end_of_walk(c, side, in->offset + used, used);
    case KAFKA_WALK_SKIP: side->skip_to = in->offset + used + n; return go_on(used);
    case KAFKA_WALK_RECORDS: confirm(c); return go_on(used);
    default:
        c->calls.host->violation(c->calls.conn, "malformed message");
        stop(side, TD_PARTIAL);
        return go_on(used);
    }
}

static struct outcome in_records(struct connection *c, int dir, const struct input *in)
{
    struct side *side = &c->side[dir];
    uint8_t buffer[KAFKA_BUFFER];
    struct td_slice there = of_frame(side, in);
    struct td_cursor cursor = td_cursor(td_sub(there, 0, there.n > side->batches.left ? (size_t)side->batches.left : there.n));
    uint64_t n;
    (void)c;
    kafka_filling_borrow(&side->filling, buffer);
    enum kafka_batches_result result = kafka_batches_go_on(&side->batches, &side->filling, &cursor, &n);
    size_t used = td_pos(&cursor);
    if (result == KAFKA_BATCHES_DONE) {
        side->skip_to = in->offset + used + side->batches.left;
        kafka_batches_end(&side->batches, &side->filling);
        side->state = IN_BODY;
    }
    kafka_filling_flush(&side->filling);
    if (result == KAFKA_BATCHES_MORE)
        return lacking(side, in, used, n);
    if (result == KAFKA_BATCHES_SKIP)
        side->skip_to = in->offset + used + n;
    return go_on(used);
}

/* ---- Callbacks --------------------------------------------------------------------------------------------------- */

static struct outcome step(struct connection *c, int dir, const struct input *in)
{
    struct side *side = &c->side[dir];
    if (side->state == IN_REST && in->offset >= side->frame_end) {
        end_message(c, dir, false);
        return go_on(0);
    }
    if (in->bytes.n == 0 && (side->state <= LOOKING || in->offset < side->frame_end))
        return wait_for(0, 1);
    switch (side->state) {
    case AT_FRAME: return dir == TD_CLIENT ? at_request(c, in) : at_response(c, in);
    case LOOKING: return look(c, dir, in);
    case IN_BODY: return in_body(c, dir, in);
    case IN_RECORDS: return in_records(c, dir, in);
    default: return go_on(in->bytes.n);
    }
}

/* Passes over what is not looked at. All but the last byte of a frame may be skipped: that one proves that it came to its end. */
static size_t skip(const struct side *side, uint64_t offset)
{
    uint64_t n = side->skip_to - offset;
    if (side->skip_to == side->frame_end && n > 1)
        n--;
    return n > SIZE_MAX / 2 ? SIZE_MAX / 2 : (size_t)n;
}

struct td_step kafka_data(void *state, struct td_conn *conn, int dir, const struct td_chunk *chunk)
{
    struct connection *c = state;
    struct side *side = &c->side[dir];
    size_t at = 0, n = chunk->bytes.n;
    (void)conn;
    for (;;) {
        uint64_t offset = chunk->offset + at;
        if (side->state > LOOKING && side->skip_to > offset) {
            if (side->skip_to >= offset + (n - at) + 1) {
                side->seen = chunk->offset + n;
                return td_used(n > at + skip(side, offset) ? n : at + skip(side, offset));
            }
            at += (size_t)(side->skip_to - offset);
            continue;
        }
        struct input in = {td_sub(chunk->bytes, at, n), offset, (chunk->flags & TD_CHUNK_LAST) != 0};
        struct outcome outcome = step(c, dir, &in);
        at += outcome.used;
        if (outcome.need) {
            side->seen = chunk->offset + n;
            return td_need(at, outcome.need);
        }
    }
}

int kafka_gap(void *state, struct td_conn *conn, int dir, uint64_t offset, uint64_t len)
{
    struct connection *c = state;
    struct side *side = &c->side[dir];
    (void)conn;
    side->seen = offset + len;
    if (side->state <= LOOKING) {
        side->state = LOOKING;
        return TD_OK;
    }
    if (side->state != IN_REST && side->skip_to < offset + len) {
        stop(side, TD_PARTIAL);
        side->skip_to = side->frame_end;
    }
    if (offset + len < side->frame_end)
        return TD_OK;
    bool exact = offset + len == side->frame_end;
    end_message(c, dir, true);
    side->state = exact ? AT_FRAME : LOOKING;
    return TD_OK;
}

void kafka_close(void *state, struct td_conn *conn, int why)
{
    struct connection *c = state;
    (void)conn;
    (void)why;
    for (int dir = 1; dir >= 0; dir--)
        if (c->side[dir].state > LOOKING)
            end_message(c, dir, true);
    end_handshake(c);
    kafka_calls_close(&c->calls);
}

int kafka_open(const void *self, struct td_conn *conn, const struct td_flow *flow, struct td_arena *arena, void **ret_state)
{
    const struct kafka *kafka = self;
    struct connection *c = kafka->host->alloc(arena, sizeof(*c), _Alignof(struct connection));
    if (!c)
        return TD_E_NOMEM;
    kafka_calls_init(&c->calls, kafka->host, kafka->config, conn, arena);
    c->calls.spare = kafka->spare;
    c->last_id = -1;
    if (flow->flags & TD_FLOW_MIDSTREAM)
        c->side[0].state = c->side[1].state = LOOKING;
    *ret_state = c;
    return TD_OK;
}

/* A response alone is two numbers: a port must speak for it, and the packet must end with it. */
static int probe_response(struct td_slice bytes)
{
    enum { HINTED = 30 };
    struct connection none = {.last_id = -1};
    if (bytes.n < KAFKA_LENGTH + CORRELATION_ID)
        return bytes.n && bytes.p[0] > KAFKA_FRAME_MAX >> 24 ? 0 : -(KAFKA_LENGTH + CORRELATION_ID);
    return is_chain_here(&none, bytes) ? HINTED : 0;
}

int kafka_probe(const void *self, const struct td_flow *flow, int dir, struct td_slice bytes)
{
    (void)self;
    (void)flow;
    return dir == TD_CLIENT ? kafka_request_score(bytes, KAFKA_MAX_PROBE) : probe_response(bytes);
}
