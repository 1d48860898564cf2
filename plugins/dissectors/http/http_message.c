/* Start lines and heads: what begins a message, and which call it belongs to. */
#include "../content/content_text.h"
#include "http_state.h"

bool http_reread(const struct http_input *in, enum http_kind kind, struct http_field *fields, struct http_head *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->fields = fields;
    return http_parse_head(in->bytes, kind, true, ret) == HTTP_OK;
}

/* For a call with a child. */
static void set_all(struct http_conn *c, const struct http_input *in, const struct http_head *head, struct http_exchange *e, int dir)
{
    struct http_field fields[HTTP_MAX_FIELDS];
    struct http_head again;
    /* Who sees content of application/grpc* looks at header fields; others have the fields that are set of them. */
    if (!head->fields && e->child.raw && http_reread(in, dir == TD_CLIENT ? HTTP_REQUEST : HTTP_RESPONSE, fields, &again))
        head = &again;
    if (dir == TD_CLIENT)
        http_set_request(e->child.raw ? &c->full : &c->more, e->call, head);
    else
        http_set_response(e->child.raw ? &c->full : &c->more, e->call, head, e->lone);
}

static void open_child(struct http_conn *c, int dir, const struct http_head *head, struct http_exchange *e)
{
    struct content_sink sink = http_sink(&c->out, e->call, dir);
    if (head->content_type.n && e->call)
        content_child_open(&e->child, &sink, head->content_type);
}

static void begin_request(struct http_conn *c, const struct http_input *in, const struct http_head *head, struct http_exchange *e)
{
    struct content_sink sink = http_sink(&c->out, e->call, TD_CLIENT);
    struct td_slice query = {NULL, 0};
    e->is_head = td_eq(head->method, TD_LIT("HEAD"));
    e->is_connect = td_eq(head->method, TD_LIT("CONNECT"));
    e->is_upgrade = head->connection_upgrade && head->upgrade.n;
    if (e->is_upgrade)
        http_note_upgrade(c, e, head);
    if (content_asks_by_query(head->method, head->content_type))
        query = content_query(head->target);
    if (query.n)
        content_child_open_query(&e->child, &sink, query);
    query.n = e->child.sub ? query.n : 0;
    open_child(c, TD_CLIENT, head, e);
    if (e->child.sub)
        set_all(c, in, head, e, TD_CLIENT);
    else
        http_set_request(&c->out, e->call, head);
    if (query.n)
        content_child_query(&e->child, &sink, query, in->offset + (uint64_t)(query.p - in->bytes.p));
}

static void begin_response(struct http_conn *c, const struct http_input *in, const struct http_head *head, struct http_exchange *e)
{
    if (e->lone)
        open_child(c, TD_SERVER, head, e);
    if (e->child.sub)
        set_all(c, in, head, e, TD_SERVER);
    else
        http_set_response(&c->out, e->call, head, e->lone);
}

/* The answer to a request for h2c, if it is not refused, comes in HTTP/2, where the request is known only if it is seen again. One with
 * content is not kept for that, nor one that names other protocols as well. */
static void hold(struct http_conn *c, const struct http_input *in, const struct http_head *head)
{
    c->holding = head->connection_upgrade && td_eq_nocase(head->upgrade, TD_LIT("h2c"));
    c->held = in->offset;
}

static bool opens_tunnel(const struct http_exchange *e, const struct http_head *head)
{
    if (head->status == 101)
        return true;
    /* Without the request, only the phrase that proxies use tells a tunnel. */
    return head->status / 100 == 2 && (e->is_connect || (e->lone && td_eq_nocase(head->reason, TD_LIT("connection established"))));
}

static void note_interim(struct http_conn *c, const struct http_head *head)
{
    struct http_exchange *e = http_exchange_interim(&c->pairing);
    if (e && http_wants(&c->out, F_INFORMATIONAL))
        c->out.http->host->set_u64(e->call, F_INFORMATIONAL, head->status);
}

/* A whole head, or what there is of one. */
static struct http_outcome begin_message(struct http_conn *c, int dir, const struct http_input *in, const struct http_head *head)
{
    struct http_side *side = &c->side[dir];
    enum http_kind kind = dir == TD_CLIENT ? HTTP_REQUEST : HTTP_RESPONSE;
    bool interim = kind == HTTP_RESPONSE && head->status / 100 == 1 && head->status != 101;
    struct http_exchange *e;
    const struct http_asked *asked;
    enum http_framing framing;
    if (interim) {
        note_interim(c, head);
        return http_go_on(head->size);
    }
    e = dir == TD_CLIENT ? http_exchange_request(&c->pairing, &c->out) : http_exchange_response(&c->pairing, &c->out);
    if (!e)
        return http_lost();
    side->exchange = e;
    if (dir == TD_CLIENT)
        begin_request(c, in, head, e);
    else
        begin_response(c, in, head, e);
    if (head->dropped_fields)
        e->flags |= TD_PARTIAL;
    http_body_begin(e->child.sub && head->n_codings ? &c->full : &c->out, dir, head, &side->body);
    if (dir == TD_CLIENT && head->content_type.n && !head->n_codings)
        side->form = content_form_begin(&c->forms, head->content_type);
    if (e == c->tunnel || c->pairing.lost)
        c->tunnel = NULL;
    side->marked = in->offset;
    if (head->cut) {
        if (head->status == 101)
            http_lose_answer(c, e);
        http_mark(c, dir, in->offset, in->offset + head->size);
        http_abandon_message(c, dir, false);
        return http_go_on(head->size);
    }
    if (dir == TD_SERVER && opens_tunnel(e, head)) {
        http_mark(c, dir, in->offset, in->offset + head->size);
        asked = http_asked_of(c, e);
        http_end_message(c, dir, false);
        http_hand_over(c, in, asked, head);
        return http_wait_after(head->size);
    }
    framing = http_framing(head, kind, e->is_head);
    if (dir == TD_CLIENT && framing == HTTP_BODY_NONE && head->upgrade.n)
        hold(c, in, head);
    if (e->lone && framing != HTTP_BODY_NONE) {
        http_mark(c, dir, in->offset, in->offset + head->size);
        side->state = HTTP_IN_QUESTION;
        side->framing = (uint8_t)framing;
        side->body_end = head->content_length;
    } else {
        http_begin_body(c, dir, framing, in->offset, in->offset + head->size, head->content_length);
    }
    return http_go_on(head->size);
}

/* Neither the line that is due nor the beginning of one. */
static struct http_outcome not_a_start(struct http_conn *c, int dir, const struct http_input *in)
{
    struct http_head other;
    memset(&other, 0, sizeof(other));
    /* The peer's kind of line: the sides are swapped, and nothing good will come of it. */
    if (!c->confirmed && http_parse_head(in->bytes, dir == TD_CLIENT ? HTTP_RESPONSE : HTTP_REQUEST, true, &other) == HTTP_OK)
        return http_lost();
    http_violation(c, dir == TD_CLIENT ? "not a request line" : "not a status line");
    http_look_for_start(&c->side[dir], true);
    return http_go_on(0);
}

struct http_outcome http_at_start(struct http_conn *c, int dir, const struct http_input *in)
{
    struct http_side *side = &c->side[dir];
    struct http_field fields[HTTP_MAX_FIELDS];
    struct http_head head;
    size_t skip = 0;
    bool too_long = in->bytes.n > c->out.http->config->max_head;
    /* Empty lines before a start line are to be ignored (RFC 9112 section 2.2). */
    while (skip < in->bytes.n && (in->bytes.p[skip] == '\r' || in->bytes.p[skip] == '\n'))
        skip++;
    if (skip)
        return http_go_on(skip);
    if (side->scanned && !in->last && !too_long && !http_find_end(in->bytes, &side->scanned))
        return http_wait_after(0);
    memset(&head, 0, sizeof(head));
    head.fields = c->keep_fields ? fields : NULL;
    switch (http_parse_head(in->bytes, dir == TD_CLIENT ? HTTP_REQUEST : HTTP_RESPONSE, in->last || too_long, &head)) {
    case HTTP_BAD: return not_a_start(c, dir, in);
    case HTTP_MORE:
        if (in->last)
            return http_wait_after(in->bytes.n);
        if (too_long) {
            http_violation(c, "start line too long");
            http_look_for_start(side, false);
            return http_go_on(0);
        }
        (void)http_find_end(in->bytes, &side->scanned);
        return http_wait_after(0);
    case HTTP_OK: break;
    }
    if (!c->confirmed && c->doubtful && dir == TD_CLIENT && head.version.n == 0)
        return http_lost(); /* HTTP/0.9, of which the beginning looked like more: not enough without a port (see probe) */
    if (!c->confirmed) {
        c->confirmed = true;
        c->out.http->host->confirm(c->out.conn);
    }
    http_violation(c, head.fault);
    if (head.cut && !in->last)
        http_violation(c, "head too long");
    return begin_message(c, dir, in, &head);
}

/* Where in the input the newest packet begins, if it is large enough for a start line; else at its end. Peers like to begin a
 * message with a packet, even if the body before it did not end with a line. */
static size_t packet_start(const struct http_side *side, const struct http_input *in)
{
    uint64_t at = side->seen - in->offset;
    return side->seen >= in->offset && at < in->bytes.n && in->bytes.n - at >= sizeof("GET / HTTP/1.1\r\n") - 1 ? (size_t)at : in->bytes.n;
}

/* How many bytes are passed over; *ret_found: behind them a message begins. Lines that cannot be judged yet are left. */
static size_t pass_over(struct http_side *side, enum http_kind kind, const struct http_input *in, bool *ret_found)
{
    size_t at = 0, packet = packet_start(side, in);
    *ret_found = false;
    while (at < in->bytes.n) {
        const uint8_t *lf;
        size_t next;
        if (side->line_start || at == packet) {
            enum http_result result = http_plausible(td_sub(in->bytes, at, in->bytes.n), kind);
            *ret_found = result == HTTP_OK;
            side->line_start = true; /* in case these bytes come again */
            if (result == HTTP_OK || (result == HTTP_MORE && !in->last))
                break;
        }
        lf = (const uint8_t *)memchr(in->bytes.p + at, '\n', in->bytes.n - at);
        next = lf ? (size_t)(lf - in->bytes.p) + 1 : in->bytes.n;
        side->line_start = lf != NULL;
        if (at < packet && packet < next) {
            next = packet;
            side->line_start = false;
        }
        at = next;
    }
    return at;
}

struct http_outcome http_looking(struct http_conn *c, int dir, const struct http_input *in)
{
    struct http_side *side = &c->side[dir];
    bool found;
    if (dir == TD_CLIENT && c->asked && c->asked->answer_lost && http_plausible(in->bytes, HTTP_REQUEST) == HTTP_BAD && http_try_asked(c))
        return http_wait_after(0);
    size_t used = pass_over(side, dir == TD_CLIENT ? HTTP_REQUEST : HTTP_RESPONSE, in, &found);
    if (used && dir == TD_SERVER)
        http_pairing_doubt(&c->pairing);
    if (!found)
        return http_wait_after(used);
    side->state = HTTP_AT_START;
    return http_go_on(used);
}
