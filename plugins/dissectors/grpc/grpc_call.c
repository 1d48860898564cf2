#include "grpc_call.h"

#include "grpc_compress.h"

#include "tapedeck/cursor.h"

enum {
    PREFIX = 5,          /* bytes before each message: compressed or not, and its length */
    MAX_SIZES = 100,     /* of messages that are listed */
    MAX_TEXT = 1 << 17,  /* bytes of base64 that are decoded at a time */
    MAX_METADATA = 8192, /* bytes of a binary value that is decoded */
    MAX_NAME = 256,      /* bytes of its name */
    MAX_VALUES = 32,     /* under one name */
    MAX_UNREAD = 8       /* messages too large or damaged once decompressed, after which no more are tried */
};

enum prefix_flag { COMPRESSED = 0x01, WEB_TRAILERS = 0x80 };

/* One direction. */
struct side {
    uint64_t skip; /* bytes of a message that are passed over */
    uint64_t count, compressed;
    uint64_t json; /* bytes in its field */
    uint32_t size; /* of the message that is passed over but for its last byte, which proves that it came to its end */
    bool passing, passing_compressed;
    bool begun, text_mode; /* in base64 */
    bool lost;             /* where the next message begins is not known */
    bool full;             /* no more JSON has room */
    uint8_t unread;        /* messages that could not be decompressed */
    uint8_t *text;         /* grpc-web-text: decoded, not yet read */
    size_t text_n, text_cap;
};

struct grpc_conn {
    const struct grpc *grpc;
    struct td_conn *conn;
    struct td_call *call;
    struct td_arena *arena;
    struct side side[2];
    const struct grpc_method *method;
    bool begun, has_path, json, web, wants_json[2];
    bool has_status; /* it came in the content's trailers, as gRPC-Web has them */
};

static const struct td_host *host_of(const struct grpc_conn *c)
{
    return c->grpc->host;
}

static bool wants(const struct grpc_conn *c, uint32_t field)
{
    return c->grpc->host->wants(c->conn, field);
}

static bool find(const struct grpc_conn *c, uint32_t map, struct td_slice name, struct td_slice *ret)
{
    return host_of(c)->find_pair(c->call, map, name, ret);
}

/* ---- The request's head ------------------------------------------------------------------------------------------------ */

/* "/package.Service/Method"; some servers are mounted below a prefix. */
static void set_path(struct grpc_conn *c)
{
    const struct td_host *host = host_of(c);
    struct td_slice path = host->peek(c->call, F_PATH), service;
    uint8_t copy[GRPC_MAX_NAME];
    size_t slash, before;
    if (path.n == 0 || path.n > sizeof(copy))
        return;
    memcpy(copy, path.p, path.n); /* setters end what peek() gave */
    path = td_bytes(copy, path.n);
    c->has_path = true;
    c->method = grpc_schema_method(c->grpc->schema, path);
    for (slash = path.n; slash > 0 && path.p[slash - 1] != '/'; slash--)
        ;
    if (slash == 0)
        return;
    for (before = slash - 1; before > 0 && path.p[before - 1] != '/'; before--)
        ;
    service = td_sub(path, before, slash - 1);
    if (service.n)
        host->set_bytes(c->call, F_SERVICE, service);
    host->set_bytes(c->call, F_METHOD, td_sub(path, slash, path.n));
}

/* What stands behind "application/grpc+" or "application/grpc-web+", without parameters. */
static struct td_slice subtype_of(struct td_slice type)
{
    const uint8_t *plus = (const uint8_t *)memchr(type.p, '+', type.n);
    size_t at = plus ? (size_t)(plus - type.p) + 1 : type.n, end = at;
    while (end < type.n && type.p[end] != ';' && type.p[end] != ' ')
        end++;
    return td_sub(type, at, end);
}

static void set_content_type(struct grpc_conn *c)
{
    const struct td_host *host = host_of(c);
    struct td_slice type, web = TD_LIT("application/grpc-web"), subtype;
    uint8_t copy[128];
    if (!find(c, F_REQUEST_HEADERS, TD_LIT("content-type"), &type) && !find(c, F_RESPONSE_HEADERS, TD_LIT("content-type"), &type))
        return;
    type = td_sub(type, 0, sizeof(copy));
    if (!type.n)
        return;
    memcpy(copy, type.p, type.n);
    type = td_bytes(copy, type.n);
    c->web = td_eq_nocase(td_sub(type, 0, web.n), web);
    if (c->web)
        host->set_u64(c->call, F_WEB, 1);
    subtype = subtype_of(type);
    c->json = td_eq_nocase(subtype, TD_LIT("json"));
    host->set_bytes(c->call, F_CONTENT_SUBTYPE, subtype.n ? subtype : TD_LIT("proto"));
}

static void copy_header(struct grpc_conn *c, uint32_t map, struct td_slice name, uint32_t field)
{
    struct td_slice value;
    uint8_t copy[256];
    if (!wants(c, field) || !find(c, map, name, &value) || !value.n)
        return;
    value = td_sub(value, 0, sizeof(copy));
    memcpy(copy, value.p, value.n);
    host_of(c)->set_bytes(c->call, field, td_bytes(copy, value.n));
}

static bool is_binary(struct td_slice name)
{
    return name.n > 4 && td_eq_nocase(td_sub(name, name.n - 4, name.n), TD_LIT("-bin"));
}

/* Values under one name may have been joined with commas, which base64 does not have. */
static void decode_values(struct grpc_conn *c, uint32_t field, struct td_slice name, struct td_slice values)
{
    const uint8_t *comma;
    size_t n, count = 0;
    uint8_t *room = (uint8_t *)host_of(c)->scratch(c->conn, name.n + 2 * values.n + 3), *out;
    if (!room)
        return;
    /* What next_pair() gave does not outlive a setter. */
    memcpy(room, name.p, name.n);
    memcpy(room + name.n, values.p, values.n);
    name = td_bytes(room, name.n);
    values = td_bytes(room + name.n, values.n);
    out = room + name.n + values.n;
    do {
        struct td_slice one = values;
        comma = values.n && values.p[0] ? (const uint8_t *)memchr(values.p, ',', values.n) : NULL;
        if (comma)
            one = td_sub(values, 0, (size_t)(comma - values.p));
        values = td_sub(values, one.n + 1, values.n);
        if ((one.n || (!comma && !count)) && grpc_binary_decode(one, out, &n))
            host_of(c)->set_pair(c->call, field, name, td_bytes(out, n));
        count += one.n > 0;
    } while (comma && count < MAX_VALUES);
}

/* Binary metadata: in base64, under names that say so. What has a field of its own is left out. */
static void decode_metadata(struct grpc_conn *c, uint32_t map, uint32_t field)
{
    struct td_slice name, value;
    uint32_t at = 0;
    if (!wants(c, field))
        return;
    while (host_of(c)->next_pair(c->call, map, &at, &name, &value))
        if (is_binary(name) && name.n <= MAX_NAME && value.n <= MAX_METADATA && !td_eq_nocase(name, TD_LIT("grpc-status-details-bin")))
            decode_values(c, field, name, value);
}

/* The request's head; it may come behind the response's, where packets stand out of order. */
static void begin_request(struct grpc_conn *c)
{
    struct td_slice timeout;
    int64_t ns;
    set_path(c);
    if (!c->has_path)
        return;
    if (wants(c, F_TIMEOUT) && find(c, F_REQUEST_HEADERS, TD_LIT("grpc-timeout"), &timeout) && grpc_parse_timeout(timeout, &ns))
        host_of(c)->set_i64(c->call, F_TIMEOUT, ns);
    copy_header(c, F_REQUEST_HEADERS, TD_LIT("grpc-encoding"), F_REQUEST_ENCODING);
    copy_header(c, F_REQUEST_HEADERS, TD_LIT("grpc-accept-encoding"), F_ACCEPT_ENCODING);
    decode_metadata(c, F_REQUEST_HEADERS, F_REQUEST_METADATA);
    if (!c->method)
        return;
    if (c->method->input)
        host_of(c)->set_bytes(c->call, F_REQUEST_TYPE, td_sub(c->method->input->name, 1, c->method->input->name.n));
    if (c->method->output)
        host_of(c)->set_bytes(c->call, F_RESPONSE_TYPE, td_sub(c->method->output->name, 1, c->method->output->name.n));
}

static void begin(struct grpc_conn *c)
{
    if (!c->begun) {
        c->begun = true;
        host_of(c)->confirm(c->conn);
        set_content_type(c);
    }
    if (!c->has_path)
        begin_request(c);
}

/* gRPC-Web: a client may send base64 and ask for bytes, and the other way round. */
static void begin_side(struct grpc_conn *c, int dir)
{
    struct td_slice type, text = TD_LIT("application/grpc-web-text");
    bool known = find(c, dir == TD_CLIENT ? F_REQUEST_HEADERS : F_RESPONSE_HEADERS, TD_LIT("content-type"), &type);
    c->side[dir].begun = true;
    c->side[dir].text_mode = known && td_eq_nocase(td_sub(type, 0, text.n), text);
}

static void lose(struct grpc_conn *c, int dir)
{
    c->side[dir].lost = true;
    host_of(c)->set_partial(c->call);
}

/* ---- Status ------------------------------------------------------------------------------------------------------------- */

static void set_status(struct grpc_conn *c, struct td_slice value)
{
    uint32_t status;
    if (!grpc_parse_number(value, &status))
        return;
    c->has_status = true;
    host_of(c)->set_u64(c->call, F_STATUS, status);
    host_of(c)->set_u64(c->call, F_STATUS_NAME, status);
}

static void set_message(struct grpc_conn *c, struct td_slice value)
{
    uint8_t *room = value.n ? (uint8_t *)host_of(c)->scratch(c->conn, value.n) : NULL;
    if (room)
        host_of(c)->set_bytes(c->call, F_MESSAGE, td_bytes(room, grpc_percent_decode(value, room)));
}

/* A google.rpc.Status in base64, with what the server adds to its status. */
static void set_details(struct grpc_conn *c, struct td_slice value)
{
    size_t n, cap = value.n + 3;
    struct grpc_out out = {NULL, 0, 8 * cap, false};
    uint8_t *room = value.n && value.n <= MAX_METADATA ? (uint8_t *)host_of(c)->scratch(c->conn, cap + out.cap) : NULL;
    if (!room || !grpc_binary_decode(value, room, &n))
        return;
    out.p = room + cap;
    grpc_put_message(&out, td_bytes(room, n), grpc_schema_message(c->grpc->schema, TD_LIT(".google.rpc.Status")));
    if (!out.full)
        host_of(c)->set_bytes(c->call, F_STATUS_DETAILS, td_bytes(out.p, out.n));
}

/* A header field or a trailer that tells how the call ended. */
static void note_status(struct grpc_conn *c, struct td_slice name, struct td_slice value)
{
    if (td_eq_nocase(name, TD_LIT("grpc-status")))
        set_status(c, value);
    else if (td_eq_nocase(name, TD_LIT("grpc-message")))
        set_message(c, value);
    else if (td_eq_nocase(name, TD_LIT("grpc-status-details-bin")))
        set_details(c, value);
}

static void find_status(struct grpc_conn *c, uint32_t map)
{
    struct td_slice value;
    if (find(c, map, TD_LIT("grpc-status"), &value))
        set_status(c, value);
    if (wants(c, F_MESSAGE) && find(c, map, TD_LIT("grpc-message"), &value))
        set_message(c, value);
    if (wants(c, F_STATUS_DETAILS) && find(c, map, TD_LIT("grpc-status-details-bin"), &value))
        set_details(c, value);
}

/* gRPC-Web puts the trailers behind the messages, as lines of an HTTP/1.1 head. */
static void read_web_trailers(struct grpc_conn *c, struct td_slice block)
{
    while (block.n) {
        const uint8_t *end = (const uint8_t *)memchr(block.p, '\n', block.n), *colon;
        size_t n = end ? (size_t)(end - block.p) : block.n, name_n;
        struct td_slice line = td_sub(block, 0, n), value;
        block = td_sub(block, n + 1, block.n);
        while (line.n && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
            line.n--;
        colon = line.n ? (const uint8_t *)memchr(line.p, ':', line.n) : NULL;
        if (!colon)
            continue;
        name_n = (size_t)(colon - line.p);
        value = td_sub(line, name_n + 1, line.n);
        while (value.n && value.p[0] == ' ')
            value = td_sub(value, 1, value.n);
        host_of(c)->set_pair(c->call, F_RESPONSE_TRAILING, td_sub(line, 0, name_n), value);
        note_status(c, td_sub(line, 0, name_n), value);
    }
}

/* ---- Messages ------------------------------------------------------------------------------------------------------------ */

/* Appends one message's JSON to its field. */
static void add_json(struct grpc_conn *c, int dir, struct td_slice json)
{
    struct side *side = &c->side[dir];
    uint32_t field = dir == TD_CLIENT ? F_REQUEST_MESSAGES : F_RESPONSE_MESSAGES;
    if (json.n + 2 > c->grpc->config->max_messages - side->json) {
        side->full = true;
        return;
    }
    host_of(c)->append_bytes(c->call, field, side->json ? TD_LIT(",") : TD_LIT("["));
    host_of(c)->append_bytes(c->call, field, json);
    side->json += json.n + 1;
}

/* A message that cannot be read keeps its place. */
static void add_unread(struct grpc_conn *c, int dir)
{
    c->side[dir].full = ++c->side[dir].unread == MAX_UNREAD;
    host_of(c)->set_partial(c->call);
    add_json(c, dir, TD_LIT("null"));
}

static void put_plain(struct grpc_conn *c, int dir, struct grpc_out *out, struct td_slice message)
{
    const struct grpc_message *type = !c->method ? NULL : dir == TD_CLIENT ? c->method->input : c->method->output;
    bool spaces, text = c->json || !grpc_is_message(message);
    /* Codecs of the application's own send JSON as if it were the default. */
    if (text && message.n && message.p[0] == '{' && grpc_is_text(message, &spaces))
        grpc_put(out, message);
    else if (c->json)
        grpc_put_string(out, message);
    else
        grpc_put_message(out, message, type);
}

static void decode_message(struct grpc_conn *c, int dir, struct td_slice message, bool compressed)
{
    struct td_slice encoding = {NULL, 0}, plain = message;
    size_t plain_cap = compressed ? (size_t)c->grpc->config->max_message : 0;
    size_t cap = (size_t)(c->grpc->config->max_messages - c->side[dir].json);
    struct grpc_out out = {NULL, 0, cap, false};
    uint8_t *room, name[32];
    if (compressed) {
        if (!find(c, dir == TD_CLIENT ? F_REQUEST_HEADERS : F_RESPONSE_HEADERS, TD_LIT("grpc-encoding"), &encoding) ||
            encoding.n > sizeof(name) || !encoding.n) {
            add_unread(c, dir);
            return;
        }
        memcpy(name, encoding.p, encoding.n);
        encoding = td_bytes(name, encoding.n);
    }
    room = (uint8_t *)host_of(c)->scratch(c->conn, plain_cap + cap);
    if (!room)
        return;
    if (compressed && !grpc_decompress(encoding, message, room, plain_cap, &plain)) {
        add_unread(c, dir);
        return;
    }
    out.p = room + plain_cap;
    put_plain(c, dir, &out, plain);
    if (out.full)
        c->side[dir].full = true;
    else
        add_json(c, dir, td_bytes(out.p, out.n));
}

static void count_message(struct grpc_conn *c, int dir, uint32_t n, bool compressed)
{
    struct side *side = &c->side[dir];
    side->count++;
    side->compressed += compressed;
    if (side->count <= MAX_SIZES)
        host_of(c)->set_u64(c->call, dir == TD_CLIENT ? F_REQUEST_SIZES : F_RESPONSE_SIZES, n);
}

/* A message that is not decoded: counted when its last byte is there. */
static void pass_message(struct grpc_conn *c, int dir, uint32_t n, bool compressed)
{
    struct side *side = &c->side[dir];
    side->size = n;
    side->passing_compressed = compressed;
    side->passing = n > 0;
    if (!n)
        count_message(c, dir, 0, compressed);
}

static bool end_passing(struct grpc_conn *c, int dir)
{
    struct side *side = &c->side[dir];
    if (!side->passing)
        return false;
    side->passing = false;
    count_message(c, dir, side->size, side->passing_compressed);
    return true;
}

static bool must_decode(const struct grpc_conn *c, int dir, uint32_t n)
{
    return c->wants_json[dir] && !c->side[dir].full && n <= c->grpc->config->max_message;
}

/* Takes whole messages from the front of `in`. Returns the bytes used, which may be more than there are; *ret_need: so many must be there
 * behind them, 0: any. */
static uint64_t take_messages(struct grpc_conn *c, int dir, struct td_slice in, size_t *ret_need)
{
    struct side *side = &c->side[dir];
    uint64_t used = 0;
    *ret_need = 0;
    while (used < in.n) {
        if (end_passing(c, dir)) {
            used++;
            continue;
        }
        struct td_slice rest = td_sub(in, (size_t)used, in.n);
        struct td_cursor cursor = td_cursor(rest);
        uint8_t flag = td_u8(&cursor);
        uint32_t n = td_be32(&cursor);
        struct td_slice message;
        bool trailers = flag & WEB_TRAILERS && dir == TD_SERVER && c->web;
        if (cursor.failed) {
            *ret_need = PREFIX;
            break;
        }
        if (flag & ~(COMPRESSED | (trailers ? WEB_TRAILERS : 0))) {
            host_of(c)->violation(c->conn, "a message with unknown flags");
            lose(c, dir);
            return in.n;
        }
        if (trailers ? n > c->grpc->config->max_message || flag & COMPRESSED : !must_decode(c, dir, n)) {
            if (trailers)
                host_of(c)->set_partial(c->call);
            else
                pass_message(c, dir, n, flag & COMPRESSED);
            used += (uint64_t)PREFIX + n - side->passing;
            continue;
        }
        message = td_take(&cursor, n);
        if (cursor.failed) {
            *ret_need = (size_t)PREFIX + n;
            break;
        }
        if (trailers) {
            read_web_trailers(c, message);
        } else {
            count_message(c, dir, n, flag & COMPRESSED);
            decode_message(c, dir, message, flag & COMPRESSED);
        }
        used += (uint64_t)PREFIX + n;
    }
    return used;
}

/* ---- Content in base64 --------------------------------------------------------------------------------------------------- */

static bool grow_text(struct grpc_conn *c, struct side *side, size_t more)
{
    size_t cap = side->text_cap ? side->text_cap : 1024;
    uint8_t *text;
    if (more <= side->text_cap - side->text_n)
        return true;
    while (cap - side->text_n < more)
        cap *= 2;
    text = side->text_n + more <= c->grpc->config->max_message + MAX_TEXT ? (uint8_t *)host_of(c)->alloc(c->arena, cap, 1) : NULL;
    if (!text)
        return false;
    if (side->text_n)
        memcpy(text, side->text, side->text_n);
    side->text = text;
    side->text_cap = cap;
    return true;
}

/* Decodes whole quartets and reads the messages in them. */
static size_t take_text(struct grpc_conn *c, int dir, struct td_slice in, bool last)
{
    struct side *side = &c->side[dir];
    size_t n = in.n > MAX_TEXT ? MAX_TEXT : last ? in.n : in.n / 4 * 4, decoded, need;
    uint64_t used;
    if (!grow_text(c, side, 3 * (n / 4 + 1)) || !grpc_base64_decode(td_sub(in, 0, n), side->text + side->text_n, &decoded)) {
        lose(c, dir);
        return in.n;
    }
    side->text_n += decoded;
    if (side->skip >= side->text_n) {
        side->skip -= side->text_n;
        side->text_n = 0;
        return n;
    }
    used = side->skip;
    side->skip = 0;
    used += take_messages(c, dir, td_bytes(side->text + used, side->text_n - used), &need);
    if (used > side->text_n) {
        side->skip = used - side->text_n;
        used = side->text_n;
    }
    memmove(side->text, side->text + used, side->text_n - used);
    side->text_n -= used;
    return n;
}

static size_t take_all_text(struct grpc_conn *c, int dir, const struct td_chunk *chunk)
{
    size_t used = 0, n;
    do {
        n = take_text(c, dir, td_sub(chunk->bytes, used, chunk->bytes.n), (chunk->flags & TD_CHUNK_LAST) != 0);
        used += n;
    } while (n && used < chunk->bytes.n);
    return used;
}

/* ---- Callbacks ------------------------------------------------------------------------------------------------------------ */

struct td_step grpc_data(void *state, struct td_conn *conn, int dir, const struct td_chunk *chunk)
{
    struct grpc_conn *c = (struct grpc_conn *)state;
    struct side *side = &c->side[dir];
    size_t need;
    uint64_t used;
    (void)conn;
    begin(c);
    if (!side->begun)
        begin_side(c, dir);
    if (side->lost)
        return td_used(chunk->bytes.n);
    if (side->text_mode)
        return td_used(take_all_text(c, dir, chunk));
    used = take_messages(c, dir, chunk->bytes, &need);
    if (used > chunk->bytes.n || need == 0)
        return td_used((size_t)used);
    if (chunk->flags & TD_CHUNK_LAST) /* the message is cut */
        host_of(c)->set_partial(c->call);
    return td_need((size_t)used, need);
}

int grpc_gap(void *state, struct td_conn *conn, int dir, uint64_t offset, uint64_t len)
{
    struct grpc_conn *c = (struct grpc_conn *)state;
    (void)conn;
    (void)offset;
    (void)len;
    begin(c);
    c->side[dir].lost = true;
    return TD_OK;
}

void grpc_eof(void *state, struct td_conn *conn, int dir)
{
    (void)conn;
    (void)dir;
    begin((struct grpc_conn *)state);
}

static void set_call_type(struct grpc_conn *c)
{
    bool client = c->method ? c->method->client_streaming : c->side[TD_CLIENT].count > 1;
    bool server = c->method ? c->method->server_streaming : c->side[TD_SERVER].count > 1;
    host_of(c)->set_u64(c->call, F_CALL_TYPE, (uint64_t)client * GRPC_CLIENT_STREAMING + (uint64_t)server * GRPC_SERVER_STREAMING);
}

static void finish_side(struct grpc_conn *c, int dir)
{
    struct side *side = &c->side[dir];
    bool client = dir == TD_CLIENT;
    if (side->passing || side->text_n)
        host_of(c)->set_partial(c->call);
    host_of(c)->set_u64(c->call, client ? F_REQUEST_COUNT : F_RESPONSE_COUNT, side->count);
    if (side->compressed)
        host_of(c)->set_u64(c->call, client ? F_REQUEST_COMPRESSED : F_RESPONSE_COMPRESSED, side->compressed);
    if (side->json)
        host_of(c)->append_bytes(c->call, client ? F_REQUEST_MESSAGES : F_RESPONSE_MESSAGES, TD_LIT("]"));
}

void grpc_close(void *state, struct td_conn *conn, int why)
{
    struct grpc_conn *c = (struct grpc_conn *)state;
    (void)conn;
    (void)why;
    begin(c);
    finish_side(c, TD_CLIENT);
    finish_side(c, TD_SERVER);
    set_call_type(c);
    copy_header(c, F_RESPONSE_HEADERS, TD_LIT("grpc-encoding"), F_RESPONSE_ENCODING);
    decode_metadata(c, F_RESPONSE_HEADERS, F_RESPONSE_METADATA);
    decode_metadata(c, F_RESPONSE_TRAILERS, F_RESPONSE_METADATA);
    if (!c->has_status)
        find_status(c, F_RESPONSE_TRAILERS);
    if (!c->has_status)
        find_status(c, F_RESPONSE_HEADERS);
    if (!c->has_status)
        host_of(c)->set_u64(c->call, F_STATUS, 0);
}

int grpc_open(const void *self, struct td_conn *conn, const struct td_flow *flow, struct td_arena *arena, void **ret_state)
{
    const struct grpc *grpc = (const struct grpc *)self;
    struct td_call *call = grpc->host->layer(conn);
    struct grpc_conn *c;
    (void)flow;
    if (!call)
        return TD_E_UNSUPPORTED;
    c = (struct grpc_conn *)grpc->host->alloc(arena, sizeof(*c), sizeof(void *));
    if (!c)
        return TD_E_NOMEM;
    c->grpc = grpc;
    c->conn = conn;
    c->call = call;
    c->arena = arena;
    c->wants_json[TD_CLIENT] = wants(c, F_REQUEST_MESSAGES) && grpc->config->max_messages > 2;
    c->wants_json[TD_SERVER] = wants(c, F_RESPONSE_MESSAGES) && grpc->config->max_messages > 2;
    *ret_state = c;
    return TD_OK;
}
