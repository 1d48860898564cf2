#include "http_conn.h"

#include "http_state.h"

/* Between messages, one side may have to wait until the other has told how the connection goes on. */
static bool must_wait(struct http_conn *c, int dir, const struct http_input *in)
{
    if (dir == TD_SERVER)
        return !c->tunnel && c->side[TD_CLIENT].kept_back && !in->last;
    if (c->tunnel && in->last) {
        /* The answer did not come. If these are requests, they will be found. */
        c->tunnel = NULL;
        http_look_for_start(&c->side[TD_CLIENT], true);
    }
    c->side[TD_CLIENT].kept_back = c->tunnel && in->bytes.n;
    return c->tunnel;
}

/* Whoever says this goes on in HTTP/2, even if the answer to the request to upgrade was lost. */
static bool goes_on_in_http2(struct http_conn *c, int dir, const struct http_input *in)
{
    if (dir == TD_SERVER || c->tunnel || !td_starts(in->bytes, TD_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")))
        return false;
    c->over = true;
    (void)c->out.http->host->takeover(c->out.conn, "http.upgrade", TD_LIT("h2c"));
    return true;
}

static struct http_outcome step(struct http_conn *c, int dir, const struct http_input *in)
{
    struct http_side *side = &c->side[dir];
    if (side->state <= HTTP_LOOKING && must_wait(c, dir, in))
        return http_wait_after(0);
    if (in->bytes.n == 0)
        return http_wait_after(0);
    if (side->state <= HTTP_LOOKING && goes_on_in_http2(c, dir, in))
        return http_wait_after(0);
    switch (side->state) {
    case HTTP_AT_START: return http_at_start(c, dir, in);
    case HTTP_LOOKING: return http_looking(c, dir, in);
    default: return http_in_body(c, dir, in);
    }
}

/* How many bytes are reported as used when all before `at` are done with. */
static size_t used_up(struct http_conn *c, int dir, const struct td_chunk *chunk, size_t at)
{
    if (dir == TD_SERVER || !c->holding)
        return at;
    c->holding = c->tunnel && !(chunk->flags & TD_CHUNK_LAST);
    c->handled = chunk->offset + at;
    return c->holding ? (size_t)(c->held - chunk->offset) : at;
}

struct td_step http_data(void *state, struct td_conn *conn, int dir, const struct td_chunk *chunk)
{
    struct http_conn *c = (struct http_conn *)state;
    size_t at = dir == TD_CLIENT && c->holding && c->handled > chunk->offset ? (size_t)(c->handled - chunk->offset) : 0;
    (void)conn;
    /* Each round either uses bytes or changes the state to one that does. */
    while (!c->over) {
        struct http_input in = {td_sub(chunk->bytes, at, chunk->bytes.n), chunk->offset + at, (chunk->flags & TD_CHUNK_LAST) != 0};
        struct http_outcome outcome = step(c, dir, &in);
        if (outcome.then == HTTP_LOST)
            return td_lost();
        at += outcome.used;
        if (outcome.used)
            c->side[dir].scanned = 0;
        if (outcome.then == HTTP_WAIT) {
            c->side[dir].seen = chunk->offset + chunk->bytes.n;
            return td_used(used_up(c, dir, chunk, at));
        }
    }
    return td_used(chunk->bytes.n);
}

int http_gap(void *state, struct td_conn *conn, int dir, uint64_t offset, uint64_t len)
{
    struct http_conn *c = (struct http_conn *)state;
    struct http_side *side = &c->side[dir];
    (void)conn;
    if (c->over)
        return TD_OK;
    if (side->state == HTTP_IN_QUESTION)
        http_begin_body(c, dir, (enum http_framing)side->framing, offset, offset, side->body_end);
    if (http_gap_in_body(c, dir, offset, len))
        return TD_OK;
    if (side->exchange)
        http_end_message(c, dir, true);
    http_look_for_start(side, true);
    http_pairing_gap(&c->pairing, dir, c->side[TD_CLIENT].kept_back);
    if (dir == TD_SERVER && c->tunnel) {
        /* The answer may be lost. If the client goes on in HTTP, its requests will be found. */
        http_lose_answer(c, c->tunnel);
        c->tunnel = NULL;
        http_look_for_start(&c->side[TD_CLIENT], true);
    }
    return TD_OK;
}

/* Nothing more comes from `dir`; `closed`: because that side said so. */
static void finish(struct http_conn *c, int dir, bool closed)
{
    struct http_side *side = &c->side[dir];
    if (side->exchange) {
        bool to_close = side->state == HTTP_IN_CLOSE || (side->state == HTTP_IN_QUESTION && side->framing == HTTP_BODY_CLOSE);
        http_end_message(c, dir, !(to_close && closed));
    }
}

void http_eof(void *state, struct td_conn *conn, int dir)
{
    (void)conn;
    finish((struct http_conn *)state, dir, true);
}

void http_close(void *state, struct td_conn *conn, int why)
{
    struct http_conn *c = (struct http_conn *)state;
    (void)conn;
    finish(c, TD_SERVER, why == TD_CLOSE_FIN);
    finish(c, TD_CLIENT, false);
    http_pairing_close(&c->pairing, &c->out);
}

int http_open(const void *self, struct td_conn *conn, const struct td_flow *flow, struct td_arena *arena, void **ret_state)
{
    const struct http *http = (const struct http *)self;
    struct http_conn *c = (struct http_conn *)http->host->alloc(arena, sizeof(*c), sizeof(void *));
    uint32_t field;
    if (!c)
        return TD_E_NOMEM;
    c->out.http = http;
    c->out.conn = conn;
    c->arena = arena;
    for (field = 0; field < F_COUNT; field++)
        c->out.wanted |= http->host->wants(conn, field) ? 1u << field : 0;
    c->forms.pairs = F_REQUEST_FORM;
    c->forms.names = F_PART_NAMES;
    c->forms.file_names = F_PART_FILE_NAMES;
    c->forms.sizes = F_PART_SIZES;
    content_forms_init(&c->forms, http->host, conn, arena);
    c->full = c->out;
    c->full.wanted = UINT32_MAX;
    c->more = c->out;
    c->more.wanted |= 1u << F_METHOD | 1u << F_PATH | 1u << F_REQUEST_CONTENT_TYPE | 1u << F_RESPONSE_CONTENT_TYPE;
    c->keep_fields = http_wants(&c->out, F_REQUEST_HEADERS) || http_wants(&c->out, F_RESPONSE_HEADERS) ||
                     http_wants(&c->out, F_REQUEST_COOKIES) || http_wants(&c->out, F_RESPONSE_COOKIES);
    c->doubtful = !(flow->flags & (TD_FLOW_PORT_HINT | TD_FLOW_CONFIGURED));
    http_pairing_init(&c->pairing, arena);
    if (flow->flags & TD_FLOW_MIDSTREAM) {
        http_look_for_start(&c->side[TD_CLIENT], true);
        http_look_for_start(&c->side[TD_SERVER], true);
        c->pairing.hole = HTTP_HOLE_ANSWERED;
    }
    *ret_state = c;
    return TD_OK;
}
