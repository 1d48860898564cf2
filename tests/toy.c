#include "toy.h"

#include <stdlib.h>

#include "base/units.h"

enum { PENDING = 16, MOST = 100000 /* that a line can ask for of bytes, pairs, calls */ };
enum { F_NAME, F_CODE, F_BODY, F_PAIRS, F_TAG, F_PAYLOAD };

struct toy {
    const char *name;
    const struct td_host *host;
};

struct toy_conn {
    const struct toy *self;
    struct td_conn *conn;
    struct td_arena *arena;
    struct td_call *pending[PENDING];
    unsigned n;
    struct td_call *current[2];
    struct td_conn *sub;
    char last[64];
    size_t wanted[2], hold_need;
    bool held[2], tail[2], over;
};

static struct buf *log_to;
static bool declining;

void toy_log(struct buf *log)
{
    log_to = log;
}

void toy_decline(bool decline)
{
    declining = decline;
}

#define LOG(...) (log_to ? buf_printf(log_to, __VA_ARGS__) : (void)0)

static char side_letter(int dir)
{
    return dir == TD_CLIENT ? 'C' : 'S';
}

/* ---- Recognition ---- */

/* The number behind "NAME=" in the first line; `ret` stays as it is if it is not there. */
static void find_score(struct td_slice line, const char *name, char sign, int *ret)
{
    size_t n = strlen(name);
    for (size_t i = 0; i + n < line.n; i++)
        if (memcmp(line.p + i, name, n) == 0 && line.p[i + n] == sign)
            *ret = (int)strtol((const char *)line.p + i + n + 1, NULL, 10);
}

static int toy_probe(const void *self, const struct td_flow *flow, int dir, struct td_slice bytes)
{
    const struct toy *toy = self;
    char copy[256];
    size_t n = bytes.n < sizeof(copy) - 1 ? bytes.n : sizeof(copy) - 1;
    int score = 0;
    (void)flow;
    memcpy(copy, bytes.p, n);
    copy[n] = 0;
    struct td_slice line = td_bytes(copy, strcspn(copy, "\n"));
    find_score(line, toy->name, dir == TD_CLIENT ? '=' : '~', &score);
    if (score < 0)
        return bytes.n < (size_t)-score ? score : 60;
    if (strcmp(toy->name, "toy") == 0 && td_starts(line, dir == TD_CLIENT ? TD_LIT("ask ") : TD_LIT("reply ")))
        score = 100;
    return score;
}

/* ---- Lines ---- */

static void start_call(struct toy_conn *c, struct td_slice name)
{
    const struct td_host *host = c->self->host;
    struct td_call *call = host->call(c->conn);
    if (!call)
        LOG("nocall ");
    host->set_bytes(call, F_NAME, name);
    c->current[TD_CLIENT] = call;
    if (c->n < PENDING)
        c->pending[c->n++] = call;
}

static void make_calls(struct toy_conn *c, uint64_t n)
{
    for (n = n < MOST ? n : MOST; n; n--)
        if (!c->self->host->call(c->conn)) {
            LOG("nocall ");
            return;
        }
}

static void fill(struct toy_conn *c, int dir, uint64_t n)
{
    static const uint8_t bytes[4096];
    for (n = n < MOST ? n : MOST; n; n -= n < sizeof(bytes) ? n : sizeof(bytes))
        c->self->host->append_bytes(c->current[dir], F_BODY, td_bytes(bytes, n < sizeof(bytes) ? (size_t)n : sizeof(bytes)));
}

static void hand_over(struct toy_conn *c, const char *point, const char *key)
{
    c->over = c->self->host->takeover(c->conn, point, td_str(key)) == TD_OK;
}

/* What concerns children: a parent's lines, and a child's own. */
static bool do_layers(struct toy_conn *c, int dir, const char *line, const char *word, uint64_t begin, uint64_t end)
{
    const struct td_host *host = c->self->host;
    uint64_t n = strtoull(word, NULL, 10), text = begin + (uint64_t)(word - line);
    struct td_call *layer = host->layer(c->conn);
    const char *twice = strchr(word, '|');
    struct td_slice bytes = td_bytes(word, strlen(word)), value = {0};
    if (strncmp(line, "sub ", 4) == 0 || strncmp(line, "own ", 4) == 0) {
        struct td_conn *sub = host->sub_open(c->conn, layer && *line == 's' ? layer : c->current[dir], "toy.inner", bytes);
        c->sub = sub ? sub : c->sub;
        LOG("%s", sub ? "" : "nochild ");
    } else if (strncmp(line, "in ", 3) == 0 && c->sub) {
        int status = twice ? host->sub_data(c->sub, dir, TD_LIT("more\nread\n"), text, end) : TD_OK;
        char copy[256];
        memcpy(copy, word, bytes.n);
        copy[bytes.n] = '\n';
        if (!twice)
            status = host->sub_data(c->sub, dir, td_bytes(copy, bytes.n + 1), text, end);
        LOG("%s", status == TD_OK ? "" : "deaf ");
    } else if (strncmp(line, "last ", 5) == 0 && bytes.n < sizeof(c->last)) {
        memcpy(c->last, word, bytes.n);
        c->last[bytes.n] = '\n';
    } else if (strncmp(line, "lack ", 5) == 0 && c->sub) {
        LOG("%s", host->sub_gap(c->sub, dir, n) == TD_OK ? "" : "deaf ");
    } else if (strcmp(line, "fin") == 0 && c->sub) {
        host->sub_eof(c->sub, dir);
    } else if (strcmp(line, "unsub") == 0 && c->sub) {
        host->sub_close(c->sub, TD_CLOSE_FIN);
        c->sub = NULL;
    } else if (strncmp(line, "tag ", 4) == 0) {
        host->set_bytes(layer, F_TAG, bytes);
    } else if (strncmp(line, "pay ", 4) == 0) {
        host->set_bytes(layer, F_PAYLOAD, td_bytes(line, n < 4 ? (size_t)n : 4));
    } else if (strcmp(line, "steal") == 0) {
        host->set_bytes(layer, F_NAME, TD_LIT("stolen"));
    } else if (strcmp(line, "read") == 0) {
        struct td_slice name = host->peek(layer, F_NAME);
        bool found = host->find_pair(layer, F_PAIRS, TD_LIT("NAME"), &value);
        LOG("%.*s,%.*s ", (int)name.n, (const char *)name.p, found ? (int)value.n : 1, found ? (const char *)value.p : "-");
    } else if (strcmp(line, "list") == 0) {
        struct td_slice name;
        uint32_t at = 0;
        while (host->next_pair(layer, F_PAIRS, &at, &name, &value)) {
            LOG("%.*s=%d,", (int)name.n, (const char *)name.p, (int)value.n);
            host->set_bytes(layer, F_TAG, TD_LIT("seen")); /* the place outlives a setter */
        }
        LOG("%s", host->next_pair(layer, F_NAME, &at, &name, &value) ? "no map " : "end ");
    } else {
        return false;
    }
    return true;
}

/* A line that ends at stream offset `end`; how many bytes of the message follow it, to be skipped. */
static uint64_t do_line(struct toy_conn *c, int dir, const char *line, uint64_t begin, uint64_t end)
{
    const struct td_host *host = c->self->host;
    const char *space = strchr(line, ' ');
    const char *word = space ? space + 1 : "";
    uint64_t n = strtoull(word, NULL, 10), skipped = 0;
    bool belongs = !c->tail[dir];
    if (do_layers(c, dir, line, word, begin, end))
        return 0;
    if (strncmp(line, "ask ", 4) == 0 && dir == TD_CLIENT) {
        start_call(c, td_str(word));
        belongs = true;
        c->tail[dir] = false;
    } else if (strncmp(line, "reply ", 6) == 0 && dir == TD_SERVER) {
        struct td_call *call = c->n ? c->pending[0] : host->call(c->conn);
        c->current[TD_SERVER] = call;
        host->set_u64(call, F_CODE, n);
        host->mark(call, dir, begin, end);
        belongs = false;
        if (c->n)
            memmove(c->pending, c->pending + 1, --c->n * sizeof(c->pending[0]));
        if (call)
            host->commit(call, 0);
        if (c->current[TD_CLIENT] == call)
            c->current[TD_CLIENT] = NULL;
        c->current[TD_SERVER] = NULL;
    } else if (strncmp(line, "skip ", 5) == 0) {
        skipped = n < UINT64_C(1) << 40 ? n : UINT64_C(1) << 40;
    } else if (strncmp(line, "wait ", 5) == 0) {
        c->wanted[dir] = (size_t)n;
    } else if (strcmp(line, "tail") == 0) {
        host->mark(c->current[dir], dir, begin, UINT64_MAX);
        c->tail[dir] = true;
        belongs = false;
    } else if (strncmp(line, "ahead ", 6) == 0) {
        const char *second = strchr(word, ' ');
        host->mark(c->current[dir], dir, end + n, end + n + (second ? strtoull(second, NULL, 10) : 0));
    } else if (strncmp(line, "hold ", 5) == 0) {
        c->held[dir] = true;
        c->hold_need = (size_t)n;
    } else if (strcmp(line, "go") == 0) {
        c->held[!dir] = false;
    } else if (strncmp(line, "fill ", 5) == 0) {
        fill(c, dir, n);
    } else if (strncmp(line, "pairs ", 6) == 0) {
        for (n = n < MOST ? n : MOST; n; n--)
            host->set_pair(c->current[dir], F_PAIRS, TD_LIT("name"), TD_LIT("a value of some length"));
    } else if (strncmp(line, "calls ", 6) == 0) {
        make_calls(c, n);
    } else if (strncmp(line, "take ", 5) == 0) {
        LOG("%s ", host->alloc(c->arena, (size_t)n, 16) ? "took" : "refused");
    } else if (strncmp(line, "over", 4) == 0) {
        hand_over(c, "toy.over", word);
    } else if (strncmp(line, "other ", 6) == 0) {
        hand_over(c, "toy.other", word);
    } else if (strcmp(line, "anew") == 0) {
        hand_over(c, NULL, "");
    } else if (strcmp(line, "sure") == 0) {
        host->confirm(c->conn);
    } else if (strcmp(line, "bad") == 0) {
        host->violation(c->conn, "toy: a line that says bad");
    } else if (strcmp(line, "more") != 0) {
        belongs = false;
    }
    if (belongs)
        host->mark(c->current[dir], dir, begin, end + skipped);
    return skipped;
}

static bool ends_claim(const char *line)
{
    return strcmp(line, "lose") == 0 || strncmp(line, "over!", 5) == 0;
}

static struct td_step toy_data(void *state, struct td_conn *conn, int dir, const struct td_chunk *chunk)
{
    struct toy_conn *c = state;
    uint64_t at = 0;
    (void)conn;
    LOG("%c%llu+%zu@%lld%s%s%s ", side_letter(dir), (unsigned long long)chunk->offset, chunk->bytes.n,
        (long long)(chunk->time_ns / NS_PER_MS - 1700000000000ll), chunk->flags & TD_CHUNK_DATAGRAM ? "d" : "",
        chunk->flags & TD_CHUNK_CUT ? "x" : "", (chunk->flags & (TD_CHUNK_LAST | TD_CHUNK_DATAGRAM)) == TD_CHUNK_LAST ? "!" : "");
    while (at < chunk->bytes.n) {
        char line[256];
        struct td_slice rest = td_sub(chunk->bytes, (size_t)at, chunk->bytes.n);
        if (c->held[dir])
            return td_need((size_t)at, c->hold_need);
        if (rest.n < c->wanted[dir])
            return td_need((size_t)at, c->wanted[dir]);
        if (c->wanted[dir]) {
            c->self->host->mark(c->current[dir], dir, chunk->offset + at, chunk->offset + at + c->wanted[dir]);
            at += c->wanted[dir];
            c->wanted[dir] = 0;
            continue;
        }
        const uint8_t *newline = memchr(rest.p, '\n', rest.n);
        size_t n = newline ? (size_t)(newline - rest.p) : 0;
        if (!newline || n >= sizeof(line))
            return td_used((size_t)at);
        memcpy(line, rest.p, n);
        line[n] = 0;
        uint64_t end = chunk->offset + at + n + 1;
        uint64_t skipped = do_line(c, dir, line, chunk->offset + at, end);
        at += n + 1 + skipped;
        if (ends_claim(line))
            return td_lost();
        if (c->over)
            break;
    }
    return td_used((size_t)at);
}

/* ---- Life ---- */

static int toy_open(const void *self, struct td_conn *conn, const struct td_flow *flow, struct td_arena *arena, void **state)
{
    const struct toy *toy = self;
    LOG("open(%s%s%s%s%s) ", toy->name, flow->flags & TD_FLOW_MIDSTREAM ? ",mid" : "", flow->flags & TD_FLOW_ROLE_GUESSED ? ",guessed" : "",
        flow->flags & TD_FLOW_PORT_HINT ? ",hint" : "", flow->flags & TD_FLOW_CONFIGURED ? ",rule" : "");
    if (declining) {
        toy->host->set_bytes(toy->host->call(conn), F_NAME, TD_LIT("declined"));
        (void)toy->host->alloc(arena, 4000, 8);
        return TD_E_NOMEM;
    }
    struct td_call *layer = toy->host->layer(conn);
    if (layer && td_eq(toy->host->peek(layer, F_NAME), TD_LIT("shy")))
        return TD_E_UNSUPPORTED;
    struct toy_conn *c = toy->host->alloc(arena, sizeof(*c), _Alignof(struct toy_conn));
    if (!c)
        return TD_E_NOMEM;
    c->self = toy;
    c->conn = conn;
    c->arena = arena;
    *state = c;
    return TD_OK;
}

static int toy_gap(void *state, struct td_conn *conn, int dir, uint64_t offset, uint64_t len)
{
    struct toy_conn *c = state;
    (void)conn;
    c->wanted[dir] = 0;
    LOG("gap(%c,%llu+%llu) ", side_letter(dir), (unsigned long long)offset, (unsigned long long)len);
    return TD_OK;
}

static void toy_eof(void *state, struct td_conn *conn, int dir)
{
    (void)state;
    (void)conn;
    LOG("eof(%c) ", side_letter(dir));
}

static void toy_close(void *state, struct td_conn *conn, int why)
{
    static const char *const names[] = {"?", "fin", "reset", "timeout", "evicted", "end", "lost", "takeover"};
    struct toy_conn *c = state;
    (void)conn;
    LOG("close(%s) ", names[why]);
    if (c->sub && *c->last)
        (void)c->self->host->sub_data(c->sub, TD_CLIENT, td_str(c->last), 0, 1);
}

static int create_named(struct td_inst *inst, const struct td_host *host, const char *name, void **ret_self)
{
    struct toy *toy = malloc(sizeof(*toy));
    if (!toy)
        return host->fail(inst, TD_E_NOMEM, "out of memory");
    *toy = (struct toy){name, host};
    *ret_self = toy;
    return TD_OK;
}

static void destroy_any(void *self)
{
    free(self);
}

/* ---- The plugin ---- */

static const struct td_field fields[] = {
    [F_NAME] = {"toy_name", TD_STRING, TD_F_REQUEST | TD_F_TARGET, "What was asked for.", {0}},
    [F_CODE] = {"toy_code", TD_U64, TD_F_RESPONSE | TD_F_STATUS, "What was answered.", {0}},
    [F_BODY] = {"request.body", TD_BYTES, TD_F_REQUEST | TD_F_BODY, "Zeros.", {0}},
    [F_PAIRS] = {"request.pairs", TD_MAP, TD_F_REQUEST, "Pairs.", {0}},
};

static const struct td_field inner_fields[] = {
    [F_NAME] = {"toy_name", TD_STRING, TD_F_REQUEST, "The parent's.", {0}},
    [F_CODE] = {"inner_code", TD_U64, TD_F_RESPONSE | TD_F_STATUS, "What was answered.", {0}},
    [F_BODY] = {"request.body", TD_BYTES, TD_F_REQUEST | TD_F_BODY, "The parent's.", {0}},
    [F_PAIRS] = {"request.pairs", TD_MAP, TD_F_REQUEST, "The parent's.", {0}},
    [F_TAG] = {"inner_tag", TD_STRING, TD_F_REQUEST, "A tag.", {0}},
    [F_PAYLOAD] = {"inner_payload", TD_BYTES, TD_F_REQUEST | TD_F_BODY, "A body of its own.", {0}},
};
#define toy_fields fields
#define alpha_fields fields
#define beta_fields fields
#define child_fields fields
#define orphan_fields fields
#define deep_fields inner_fields

static const struct td_claim inner_claims[] = {{.on = TD_ON_POINT, .point = "toy.inner", .key = "inner"}};
static const struct td_claim deep_claims[] = {{.on = TD_ON_POINT, .point = "toy.inner", .key = "deep"}};
static const struct td_claim toy_claims[] = {{.on = TD_ON_TCP}, {.on = TD_ON_UDP}, {.on = TD_ON_TCP, .port_lo = 7000, .port_hi = 7000}};
static const struct td_claim alpha_claims[] = {{.on = TD_ON_TCP, .port_lo = 7001, .port_hi = 7001}};
static const struct td_claim beta_claims[] = {{.on = TD_ON_TCP, .port_lo = 7002, .port_hi = 7002},
                                              {.on = TD_ON_UDP, .port_lo = 7002, .port_hi = 7002}};
static const struct td_claim child_claims[] = {{.on = TD_ON_POINT, .point = "toy.over", .key = "child"}};
static const struct td_claim orphan_claims[] = {{.on = TD_ON_POINT, .point = "toy.other"}};
static const struct td_point points[] = {{"toy.over", "After a line that says over; the key is the word behind it.", 0},
                                         {"toy.inner", "After a line that says sub; likewise.", TD_POINT_CALL}};

#define TOY(id)                                                                                                   \
    static int id##_create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self) \
    {                                                                                                             \
        (void)config;                                                                                             \
        return create_named(inst, host, #id, ret_self);                                                           \
    }                                                                                                             \
    static const struct td_dissector id##_ops = {.size = sizeof(id##_ops),                                        \
                                                 .max_probe = 200,                                                \
                                                 .fields = TD_TABLE(id##_fields),                                 \
                                                 .claims = TD_TABLE(id##_claims),                                 \
                                                 .points = TD_TABLE(points),                                      \
                                                 .probe = toy_probe,                                              \
                                                 .open = toy_open,                                                \
                                                 .data = toy_data,                                                \
                                                 .gap = toy_gap,                                                  \
                                                 .eof = toy_eof,                                                  \
                                                 .close = toy_close};                                             \
    static const struct td_component id##_component = {.size = sizeof(id##_component),                            \
                                                       .kind = TD_KIND_DISSECTOR,                                 \
                                                       .name = #id,                                               \
                                                       .summary = "A dissector for tests",                        \
                                                       .create = id##_create,                                     \
                                                       .destroy = destroy_any,                                    \
                                                       .ops = &id##_ops};

TOY(toy)
TOY(alpha)
TOY(beta)
TOY(child)
TOY(orphan)
TOY(inner)
TOY(deep)

static const struct td_component *const components[] = {&toy_component,    &alpha_component, &beta_component, &child_component,
                                                        &orphan_component, &inner_component, &deep_component, NULL};

const struct td_plugin td_plugin_v1_toy = {.size = sizeof(struct td_plugin),
                                           .target_minor = TD_TARGET_MINOR,
                                           .header_minor = TD_ABI_MINOR,
                                           .name = "toy",
                                           .version = "1.0",
                                           .license = "Apache-2.0",
                                           .components = components};

/* ---- Calls as text ---- */

static void put_half(struct buf *out, const struct td_call *call, int dir)
{
    const struct call_half *h = &call->half[dir];
    uint64_t frame = 0;
    if (!h->seen && !h->missing && !h->cut)
        return;
    buf_printf(out, " %c%llu", side_letter(dir), (unsigned long long)h->bytes);
    for (size_t at = 0, n = 0; call_next_frame(&h->frames, &at, &frame); n++)
        buf_printf(out, "%c%llu", n ? '+' : '/', (unsigned long long)frame);
    if (h->frames.cut)
        buf_puts(out, "...");
    if (h->missing)
        buf_printf(out, "-%llu", (unsigned long long)h->missing);
    if (h->cut)
        buf_putc(out, '!');
}

void toy_put_call(void *ctx, const struct td_call *call, struct buf *out)
{
    struct call_value v;
    uint32_t at = 0;
    size_t pairs = 0;
    (void)ctx;
    int tag = field_find(call->fields, TD_LIT("inner_tag")), payload = field_find(call->fields, TD_LIT("inner_payload"));
    if (strcmp(call->protocol, "INNER") == 0 || strcmp(call->protocol, "DEEP") == 0) {
        bool tagged = call_has(call, (uint32_t)tag) && call_next_value(call, (uint32_t)tag, &at, &v);
        const struct call_body *paid = call_get_body(call, (uint32_t)payload);
        buf_printf(out, "%s[%.*s]", call->protocol, tagged ? (int)v.bytes.n : 0, tagged ? (const char *)v.bytes.p : "");
        if (paid)
            buf_printf(out, " b%zu", paid->bytes.n);
        buf_putc(out, ' ');
        at = 0;
    }
    if (call_next_value(call, F_NAME, &at, &v))
        buf_put_slice(out, v.bytes);
    at = 0;
    if (call_next_value(call, F_CODE, &at, &v))
        buf_printf(out, ">%llu", (unsigned long long)v.number);
    put_half(out, call, TD_CLIENT);
    put_half(out, call, TD_SERVER);
    const struct call_body *body = call_get_body(call, F_BODY);
    if (body)
        buf_printf(out, " b%zu%s", body->bytes.n, body->cut ? "~" : "");
    for (at = 0; call_next_value(call, F_PAIRS, &at, &v);)
        pairs++;
    if (pairs)
        buf_printf(out, " p%zu", pairs);
    if ((call->flags & TD_PARTIAL) || call->incomplete_values)
        buf_puts(out, " *");
    buf_puts(out, ";");
}
