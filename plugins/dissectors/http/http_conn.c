#include "http_conn.h"

#include "http_chunked.h"
#include "http_exchange.h"

enum side_state {
    AT_START, /* a message begins here */
    LOOKING,  /* after a gap or nonsense: for the next line that begins a message */
    IN_LENGTH,
    IN_CHUNKS,
    IN_TRAILERS,
    IN_CLOSE,   /* the body runs to the connection's end */
    IN_QUESTION /* behind the head of a response to an unknown request: which may have been HEAD, without a body */
};

/* What one direction is in. */
struct side {
    uint8_t state;             /* side_state */
    uint8_t framing;           /* IN_QUESTION: http_framing of the body, if there is one */
    bool line_start;           /* LOOKING: the next byte begins a line */
    bool kept_back;            /* the last data() left bytes unused because of `tunnel` */
    size_t scanned;            /* of the unused bytes: no head or trailer section ends in them */
    uint64_t body_end;         /* IN_LENGTH: stream offset. IN_QUESTION: the length */
    uint64_t marked;           /* the message's bytes before this offset are marked */
    struct http_chunked chunked;
    struct http_body body;
    struct http_exchange *exchange; /* of the message that is being read */
};

struct conn {
    struct http_out out;
    struct http_pairing pairing;
    struct side side[2];
    /* A request to tunnel or to upgrade. Until its answer is known, what the client sends next may be HTTP or not. */
    struct http_exchange *tunnel;
    bool confirmed;
    bool over; /* another protocol goes on, and nobody takes it */
};

/* What a state's handler did. */
struct outcome {
    size_t used; /* may be more than there was: skip */
    enum { GO_ON, WAIT, LOST } then;
};

static struct outcome go_on(size_t used)
{
    return (struct outcome) { used, GO_ON };
}

static struct outcome wait_after(size_t used)
{
    return (struct outcome) { used, WAIT };
}

static struct outcome lost(void)
{
    return (struct outcome) { 0, LOST };
}

/* Bytes at hand, with their place in the stream. */
struct input {
    struct td_slice bytes;
    uint64_t offset;
    bool last; /* nothing can be added to them */
};

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* The message's bytes reach to `end`, from `begin` or from where they are marked already. */
static void mark(struct conn *c, int dir, uint64_t begin, uint64_t end)
{
    struct side *side = &c->side[dir];
    if (begin < side->marked)
        begin = side->marked;
    if (begin < end)
        c->out.http->host->mark(side->exchange->call, dir, begin, end);
    side->marked = end;
}

static void violation(struct conn *c, const char *why)
{
    if (why)
        c->out.http->host->violation(c->out.conn, why);
}

/* ---- Ends of messages -------------------------------------------------------------------------------------------- */

static void end_message(struct conn *c, int dir, bool cut)
{
    struct side *side = &c->side[dir];
    struct http_exchange *e = side->exchange;
    uint32_t flags = http_body_end(&c->out, e->call, dir, &side->body);
    if (cut)
        flags |= dir == TD_CLIENT ? TD_REQUEST_CUT : TD_RESPONSE_CUT;
    side->exchange = NULL;
    side->state = AT_START;
    side->scanned = 0;
    if (dir == TD_CLIENT && !cut && (e->is_connect || e->is_upgrade) && !(e->done & 1u << TD_SERVER) && c->side[TD_SERVER].exchange != e)
        c->tunnel = e;
    (void)http_exchange_end(&c->pairing, &c->out, e, dir, flags);
}

static void look_for_start(struct side *side, bool line_start)
{
    side->state = LOOKING;
    side->line_start = line_start;
    side->scanned = 0;
}

/* The message's end cannot be known. */
static void abandon_message(struct conn *c, int dir, bool line_start)
{
    end_message(c, dir, true);
    look_for_start(&c->side[dir], line_start);
}

/* ---- Bodies ------------------------------------------------------------------------------------------------------ */

/* Nobody looks at the content or counts it. (Who wants the size must see the bytes: a body may end early.) */
static bool may_skip(const struct conn *c, int dir)
{
    const struct side *side = &c->side[dir];
    return !side->body.keep && !http_wants(&c->out, dir == TD_CLIENT ? F_REQUEST_BODY_SIZE : F_RESPONSE_BODY_SIZE);
}

/* Enters the body that begins at `offset`; the message's bytes from `begin` on are not marked yet. */
static void begin_body(struct conn *c, int dir, enum http_framing framing, uint64_t begin, uint64_t offset, uint64_t length)
{
    struct side *side = &c->side[dir];
    uint64_t end = framing == HTTP_BODY_LENGTH ? add_saturated(offset, length) : framing == HTTP_BODY_CLOSE ? UINT64_MAX : offset;
    side->scanned = 0;
    mark(c, dir, begin, end);
    switch (framing) {
    case HTTP_BODY_NONE: end_message(c, dir, false); break;
    case HTTP_BODY_LENGTH:
        side->state = IN_LENGTH;
        side->body_end = end;
        break;
    case HTTP_BODY_CHUNKED:
        side->state = IN_CHUNKS;
        memset(&side->chunked, 0, sizeof(side->chunked));
        break;
    case HTTP_BODY_CLOSE: side->state = IN_CLOSE; break;
    case HTTP_BODY_UNKNOWN:
        violation(c, "request with a transfer coding that does not end");
        abandon_message(c, dir, true);
        break;
    }
}

static struct outcome in_length(struct conn *c, int dir, const struct input *in)
{
    struct side *side = &c->side[dir];
    uint64_t left = side->body_end - in->offset;
    if (in->bytes.n >= left) {
        http_body_add(&c->out, side->exchange->call, dir, &side->body, td_sub(in->bytes, 0, (size_t)left));
        end_message(c, dir, false);
        return go_on((size_t)left);
    }
    http_body_add(&c->out, side->exchange->call, dir, &side->body, in->bytes);
    /* All but the last byte may be passed over: that one proves that the body came to its end. */
    return wait_after(may_skip(c, dir) && left <= SIZE_MAX ? (size_t)left - 1 : in->bytes.n);
}

static struct outcome in_chunks(struct conn *c, int dir, const struct input *in)
{
    struct side *side = &c->side[dir];
    struct td_slice content;
    uint64_t ahead = 0;
    size_t used;
    enum http_chunked_event event = http_chunked_next(&side->chunked, in->bytes, &used, &content);
    if (event == HTTP_CHUNK_DATA) {
        http_body_add(&c->out, side->exchange->call, dir, &side->body, content);
        if (used == in->bytes.n && may_skip(c, dir))
            ahead = http_chunked_skip(&side->chunked, SIZE_MAX - used);
    }
    /* The rest of a chunk belongs to the message even if it is lost. */
    mark(c, dir, in->offset, add_saturated(in->offset + used + ahead, event == HTTP_CHUNK_DATA ? side->chunked.left : 0));
    switch (event) {
    case HTTP_CHUNK_TRAILERS: side->state = IN_TRAILERS; return go_on(used);
    case HTTP_CHUNK_BAD:
        violation(c, "malformed chunk");
        abandon_message(c, dir, false);
        return go_on(used);
    default: return used < in->bytes.n ? go_on(used) : wait_after(used + (size_t)ahead);
    }
}

static struct outcome in_trailers(struct conn *c, int dir, const struct input *in)
{
    struct side *side = &c->side[dir];
    struct http_field fields[HTTP_MAX_FIELDS];
    struct http_head trailers;
    bool end_of_input = in->last || in->bytes.n > c->out.http->config->max_head;
    memset(&trailers, 0, sizeof(trailers));
    /* No trailers, as nearly always: one empty line, which http_find_end() would take for the end of an earlier line. */
    if (side->scanned && !end_of_input && !http_find_end(in->bytes, &side->scanned))
        return wait_after(0);
    trailers.fields = fields;
    if (http_parse_trailers(in->bytes, end_of_input, &trailers) == HTTP_MORE) {
        if (in->bytes.n > 2)
            (void)http_find_end(in->bytes, &side->scanned);
        return wait_after(0);
    }
    violation(c, trailers.fault);
    http_set_trailers(&c->out, side->exchange->call, dir, &trailers);
    mark(c, dir, in->offset, in->offset + trailers.size);
    if (trailers.cut)
        abandon_message(c, dir, false);
    else
        end_message(c, dir, false);
    return go_on(trailers.size);
}

/* A response that begins where a body should was preceded by one without body: the answer to HEAD. */
static struct outcome in_question(struct conn *c, int dir, const struct input *in)
{
    struct side *side = &c->side[dir];
    struct td_slice status_line = TD_LIT("HTTP/1.");
    if (td_starts(in->bytes, status_line))
        end_message(c, dir, false);
    else if (td_starts(status_line, in->bytes) && !in->last)
        return wait_after(0);
    else
        begin_body(c, dir, (enum http_framing)side->framing, in->offset, in->offset, side->body_end);
    return go_on(0);
}

/* ---- Heads ------------------------------------------------------------------------------------------------------- */

static void begin_request(struct conn *c, const struct http_head *head, struct http_exchange *e)
{
    e->is_head = td_eq(head->method, TD_LIT("HEAD"));
    e->is_connect = td_eq(head->method, TD_LIT("CONNECT"));
    e->is_upgrade = head->connection_upgrade && head->upgrade.n;
    http_set_request(&c->out, e->call, head);
}

/* The connection goes on in another protocol: a tunnel's content, or what the Upgrade field names. */
static void hand_over(struct conn *c, const struct http_head *head)
{
    uint8_t name[32];
    struct td_slice list = head->upgrade, protocol, key = { NULL, 0 };
    size_t i;
    if (head->status == 101 && http_next_element(&list, ',', &protocol)) {
        /* "TLS/1.2": the name is the key, the version the child's affair. */
        for (i = 0; i < protocol.n && i < sizeof(name) && protocol.p[i] != '/'; i++)
            name[i] = td_ascii_lower(protocol.p[i]);
        key = td_bytes(name, i);
    }
    c->over = true;
    (void)c->out.http->host->takeover(c->out.conn, key.n ? "http.upgrade" : NULL, key);
}

static bool opens_tunnel(const struct http_exchange *e, const struct http_head *head)
{
    if (head->status == 101)
        return true;
    /* Without the request, only the phrase that proxies use tells a tunnel. */
    return head->status / 100 == 2 &&
           (e->is_connect || (e->lone && td_eq_nocase(head->reason, TD_LIT("connection established"))));
}

static void note_interim(struct conn *c, const struct http_head *head)
{
    struct http_exchange *e = http_exchange_interim(&c->pairing);
    if (e && http_wants(&c->out, F_INFORMATIONAL))
        c->out.http->host->set_u64(e->call, F_INFORMATIONAL, head->status);
}

/* A whole head, or what there is of one. */
static struct outcome begin_message(struct conn *c, int dir, const struct input *in, const struct http_head *head)
{
    struct side *side = &c->side[dir];
    enum http_kind kind = dir == TD_CLIENT ? HTTP_REQUEST : HTTP_RESPONSE;
    bool interim = kind == HTTP_RESPONSE && head->status / 100 == 1 && head->status != 101;
    struct http_exchange *e;
    enum http_framing framing;
    if (interim) {
        note_interim(c, head);
        return go_on(head->size);
    }
    e = dir == TD_CLIENT ? http_exchange_request(&c->pairing, &c->out) : http_exchange_response(&c->pairing, &c->out);
    if (!e)
        return lost();
    side->exchange = e;
    if (dir == TD_CLIENT)
        begin_request(c, head, e);
    else
        http_set_response(&c->out, e->call, head, e->lone);
    if (head->dropped_fields)
        e->flags |= TD_PARTIAL;
    http_body_begin(&c->out, dir, head, &side->body);
    if (e == c->tunnel || c->pairing.lost)
        c->tunnel = NULL;
    side->marked = in->offset;
    if (head->cut) {
        mark(c, dir, in->offset, in->offset + head->size);
        abandon_message(c, dir, false);
        return go_on(head->size);
    }
    if (dir == TD_SERVER && opens_tunnel(e, head)) {
        mark(c, dir, in->offset, in->offset + head->size);
        end_message(c, dir, false);
        hand_over(c, head);
        return wait_after(head->size);
    }
    framing = http_framing(head, kind, e->is_head);
    if (e->lone && framing != HTTP_BODY_NONE) {
        mark(c, dir, in->offset, in->offset + head->size);
        side->state = IN_QUESTION;
        side->framing = (uint8_t)framing;
        side->body_end = head->content_length;
    } else {
        begin_body(c, dir, framing, in->offset, in->offset + head->size, head->content_length);
    }
    return go_on(head->size);
}

/* Neither the line that is due nor the beginning of one. */
static struct outcome not_a_start(struct conn *c, int dir, const struct input *in)
{
    struct http_head other;
    memset(&other, 0, sizeof(other));
    /* The peer's kind of line: the sides are swapped, and nothing good will come of it. */
    if (!c->confirmed && http_parse_head(in->bytes, dir == TD_CLIENT ? HTTP_RESPONSE : HTTP_REQUEST, true, &other) == HTTP_OK)
        return lost();
    violation(c, dir == TD_CLIENT ? "not a request line" : "not a status line");
    look_for_start(&c->side[dir], true);
    return go_on(0);
}

static struct outcome at_start(struct conn *c, int dir, const struct input *in)
{
    struct side *side = &c->side[dir];
    struct http_field fields[HTTP_MAX_FIELDS];
    struct http_head head;
    size_t skip = 0;
    bool too_long = in->bytes.n > c->out.http->config->max_head;
    /* Empty lines before a start line are to be ignored (RFC 9112 section 2.2). */
    while (skip < in->bytes.n && (in->bytes.p[skip] == '\r' || in->bytes.p[skip] == '\n'))
        skip++;
    if (skip)
        return go_on(skip);
    if (side->scanned && !in->last && !too_long && !http_find_end(in->bytes, &side->scanned))
        return wait_after(0);
    memset(&head, 0, sizeof(head));
    head.fields = fields;
    switch (http_parse_head(in->bytes, dir == TD_CLIENT ? HTTP_REQUEST : HTTP_RESPONSE, in->last || too_long, &head)) {
    case HTTP_BAD: return not_a_start(c, dir, in);
    case HTTP_MORE:
        if (in->last)
            return wait_after(in->bytes.n);
        if (too_long) {
            violation(c, "start line too long");
            look_for_start(side, false);
            return go_on(0);
        }
        (void)http_find_end(in->bytes, &side->scanned);
        return wait_after(0);
    case HTTP_OK: break;
    }
    if (!c->confirmed) {
        c->confirmed = true;
        c->out.http->host->confirm(c->out.conn);
    }
    violation(c, head.fault);
    if (head.cut && !in->last)
        violation(c, "head too long");
    return begin_message(c, dir, in, &head);
}

/* Passes over lines until one begins a message. */
static struct outcome looking(struct conn *c, int dir, const struct input *in)
{
    struct side *side = &c->side[dir];
    size_t at = 0;
    for (;;) {
        const uint8_t *lf;
        if (side->line_start && at < in->bytes.n) {
            struct td_slice rest = td_sub(in->bytes, at, in->bytes.n);
            enum http_result result = http_plausible(rest, dir == TD_CLIENT ? HTTP_REQUEST : HTTP_RESPONSE);
            if (result == HTTP_OK) {
                side->state = AT_START;
                return go_on(at);
            }
            if (result == HTTP_MORE && !in->last)
                return wait_after(at);
        }
        if (at == in->bytes.n)
            return wait_after(at);
        lf = (const uint8_t *)memchr(in->bytes.p + at, '\n', in->bytes.n - at);
        side->line_start = lf != NULL;
        at = lf ? (size_t)(lf - in->bytes.p) + 1 : in->bytes.n;
    }
}

/* ---- The callbacks ----------------------------------------------------------------------------------------------- */

/* Between messages, one side may have to wait until the other has told how the connection goes on. */
static bool must_wait(struct conn *c, int dir, const struct input *in)
{
    if (dir == TD_SERVER)
        return !c->tunnel && c->side[TD_CLIENT].kept_back && !in->last;
    if (c->tunnel && in->last) {
        /* The answer did not come. If these are requests, they will be found. */
        c->tunnel = NULL;
        look_for_start(&c->side[TD_CLIENT], true);
    }
    c->side[TD_CLIENT].kept_back = c->tunnel && in->bytes.n;
    return c->tunnel;
}

static struct outcome step(struct conn *c, int dir, const struct input *in)
{
    struct side *side = &c->side[dir];
    if (side->state <= LOOKING && must_wait(c, dir, in))
        return wait_after(0);
    if (in->bytes.n == 0)
        return wait_after(0);
    switch (side->state) {
    case AT_START: return at_start(c, dir, in);
    case LOOKING: return looking(c, dir, in);
    case IN_LENGTH: return in_length(c, dir, in);
    case IN_CHUNKS: return in_chunks(c, dir, in);
    case IN_TRAILERS: return in_trailers(c, dir, in);
    case IN_QUESTION: return in_question(c, dir, in);
    default: http_body_add(&c->out, side->exchange->call, dir, &side->body, in->bytes); return wait_after(in->bytes.n);
    }
}

struct td_step http_data(void *state, struct td_conn *conn, int dir, const struct td_chunk *chunk)
{
    struct conn *c = (struct conn *)state;
    size_t at = 0;
    (void)conn;
    /* Each round either uses bytes or changes the state to one that does. */
    while (!c->over) {
        struct input in = { td_sub(chunk->bytes, at, chunk->bytes.n), chunk->offset + at, (chunk->flags & TD_CHUNK_LAST) != 0 };
        struct outcome outcome = step(c, dir, &in);
        if (outcome.then == LOST)
            return td_lost();
        at += outcome.used;
        if (outcome.used)
            c->side[dir].scanned = 0;
        if (outcome.then == WAIT)
            return td_used(at);
    }
    return td_used(chunk->bytes.n);
}

/* Is the body's end still known after the gap? Then it is passed over like content. */
static bool gap_in_body(struct conn *c, int dir, uint64_t offset, uint64_t len)
{
    struct side *side = &c->side[dir];
    uint32_t partial = side->body.keep ? TD_PARTIAL : 0;
    switch (side->state) {
    case IN_LENGTH:
        if (len > side->body_end - offset)
            return false;
        http_body_miss(&side->body, len);
        side->exchange->flags |= partial;
        if (offset + len == side->body_end)
            end_message(c, dir, false);
        return true;
    case IN_CHUNKS:
        if (len > side->chunked.left || http_chunked_skip(&side->chunked, len) != len)
            return false;
        http_body_miss(&side->body, len);
        side->exchange->flags |= partial;
        return true;
    case IN_CLOSE:
        http_body_miss(&side->body, len);
        side->exchange->flags |= partial;
        return true;
    default: return false;
    }
}

int http_gap(void *state, struct td_conn *conn, int dir, uint64_t offset, uint64_t len)
{
    struct conn *c = (struct conn *)state;
    struct side *side = &c->side[dir];
    (void)conn;
    if (c->over)
        return TD_OK;
    if (side->state == IN_QUESTION)
        begin_body(c, dir, (enum http_framing)side->framing, offset, offset, side->body_end);
    if (gap_in_body(c, dir, offset, len))
        return TD_OK;
    if (side->exchange)
        end_message(c, dir, true);
    look_for_start(side, true);
    http_pairing_gap(&c->pairing, dir, c->side[TD_CLIENT].kept_back);
    if (dir == TD_SERVER && c->tunnel) {
        /* The answer may be lost. If the client goes on in HTTP, its requests will be found. */
        c->tunnel = NULL;
        look_for_start(&c->side[TD_CLIENT], true);
    }
    return TD_OK;
}

/* Nothing more comes from `dir`; `closed`: because that side said so. */
static void finish(struct conn *c, int dir, bool closed)
{
    struct side *side = &c->side[dir];
    if (side->exchange) {
        bool to_close = side->state == IN_CLOSE || (side->state == IN_QUESTION && side->framing == HTTP_BODY_CLOSE);
        end_message(c, dir, !(to_close && closed));
    }
}

void http_eof(void *state, struct td_conn *conn, int dir)
{
    (void)conn;
    finish((struct conn *)state, dir, true);
}

void http_close(void *state, struct td_conn *conn, int why)
{
    struct conn *c = (struct conn *)state;
    (void)conn;
    finish(c, TD_SERVER, why == TD_CLOSE_FIN);
    finish(c, TD_CLIENT, false);
    http_pairing_close(&c->pairing, &c->out);
}

int http_open(const void *self, struct td_conn *conn, const struct td_flow *flow, struct td_arena *arena, void **ret_state)
{
    const struct http *http = (const struct http *)self;
    struct conn *c = (struct conn *)http->host->alloc(arena, sizeof(*c), sizeof(void *));
    uint32_t field;
    if (!c)
        return TD_E_NOMEM;
    c->out.http = http;
    c->out.conn = conn;
    for (field = 0; field < F_COUNT; field++)
        c->out.wanted |= http->host->wants(conn, field) ? 1u << field : 0;
    http_pairing_init(&c->pairing, arena);
    if (flow->flags & TD_FLOW_MIDSTREAM) {
        look_for_start(&c->side[TD_CLIENT], true);
        look_for_start(&c->side[TD_SERVER], true);
        c->pairing.hole = HTTP_HOLE_ANSWERED;
    }
    *ret_state = c;
    return TD_OK;
}
