#include "call/call_har.h"

#include "base/ip.h"
#include "base/json.h"
#include "base/units.h"
#include "call/har_url.h"

/* ---- Fields ---- */

static const struct {
    const char *name;
    uint32_t type;
    bool body;
} rows[HAR_FIELDS] = {
    [HAR_METHOD] = {"method", TD_STRING, false},
    [HAR_URL] = {"url", TD_STRING, false},
    [HAR_QUERY_STRING] = {"query_string", TD_STRING, false},
    [HAR_HOST] = {"http_host", TD_STRING, false},
    [HAR_REQUEST_VERSION] = {"http_version", TD_STRING, false},
    [HAR_RESPONSE_VERSION] = {"http_response_version", TD_STRING, false},
    [HAR_STATUS_CODE] = {"status_code", TD_U64, false},
    [HAR_REASON] = {"http_reason", TD_STRING, false},
    [HAR_REQUEST_TYPE] = {"request_content_type", TD_STRING, false},
    [HAR_RESPONSE_TYPE] = {"response_content_type", TD_STRING, false},
    [HAR_REQUEST_HEADERS] = {"request.headers", TD_MAP, false},
    [HAR_RESPONSE_HEADERS] = {"response.headers", TD_MAP, false},
    [HAR_REQUEST_TRAILERS] = {"request.trailers", TD_MAP, false},
    [HAR_RESPONSE_TRAILERS] = {"response.trailers", TD_MAP, false},
    [HAR_REQUEST_COOKIES] = {"request.cookies", TD_MAP, false},
    [HAR_RESPONSE_COOKIES] = {"response.cookies", TD_MAP, false},
    [HAR_REQUEST_HEADERS_SIZE] = {"request_headers_size", TD_U64, false},
    [HAR_RESPONSE_HEADERS_SIZE] = {"response_headers_size", TD_U64, false},
    [HAR_REQUEST_BODY_SIZE] = {"request_body_size", TD_U64, false},
    [HAR_RESPONSE_BODY_SIZE] = {"response_body_size", TD_U64, false},
    [HAR_REQUEST_BODY] = {"request.body", TD_BYTES, true},
    [HAR_RESPONSE_BODY] = {"response.body", TD_BYTES, true},
    [HAR_PUSHED] = {"http2_pushed", TD_BOOL, false},
};

/* -1: the dissector has no such field, or means something else by the name. */
static int16_t find(const struct field_set *set, enum call_har_field row)
{
    int at = field_find(set, td_str(rows[row].name));
    if (at < 0)
        return -1;
    const struct field *f = &set->fields[at];
    bool fits = f->type == rows[row].type && !(f->flags & TD_F_LIST) && !(f->flags & TD_F_BODY) == !rows[row].body;
    return (int16_t)(fits ? at : -1);
}

void call_har_init(struct call_har *har, const struct field_set *set)
{
    *har = (struct call_har){0};
    for (int i = 0; i < HAR_FIELDS; i++)
        har->fields[i] = find(set, (enum call_har_field)i);
    har->http = har->fields[HAR_METHOD] >= 0 && har->fields[HAR_URL] >= 0 && har->fields[HAR_REQUEST_VERSION] >= 0;
}

void call_har_clear(struct call_har *har)
{
    buf_clear(&har->decoded);
}

/* A call and where its fields are. */
struct entry {
    struct call_har *har;
    const struct td_call *call;
};

static bool get_value(const struct entry *e, enum call_har_field row, struct call_value *ret)
{
    int16_t field = e->har->fields[row];
    uint32_t at = 0;
    *ret = (struct call_value){0};
    return field >= 0 && call_has(e->call, (uint32_t)field) && call_next_value(e->call, (uint32_t)field, &at, ret);
}

/* "" if the call does not have it. */
static struct td_slice get_text(const struct entry *e, enum call_har_field row)
{
    struct call_value v;
    get_value(e, row, &v);
    return v.bytes;
}

/* NULL if the call does not have it, or it is empty. */
static const struct call_body *get_body(const struct entry *e, enum call_har_field row)
{
    int16_t field = e->har->fields[row];
    const struct call_body *body = field >= 0 && call_has(e->call, (uint32_t)field) ? call_get_body(e->call, (uint32_t)field) : NULL;
    return body && body->bytes.n ? body : NULL;
}

/* The next pair of a map: start with at = 0; false at the end. */
static bool next_pair(const struct entry *e, enum call_har_field row, uint32_t *at, struct call_value *ret)
{
    int16_t field = e->har->fields[row];
    return field >= 0 && call_has(e->call, (uint32_t)field) && call_next_value(e->call, (uint32_t)field, at, ret);
}

static struct td_slice find_header(const struct entry *e, enum call_har_field row, struct td_slice name)
{
    struct call_value v;
    for (uint32_t at = 0; next_pair(e, row, &at, &v);)
        if (td_eq_nocase(v.name, name))
            return v.bytes;
    return td_bytes(NULL, 0);
}

/* ---- What requests and responses share ---- */

/* Nothing of it is lost: gRPC sends bytes of any kind here. */
static void put_header_text(struct buf *out, const struct entry *e, struct td_slice text)
{
    struct buf *wide = &e->har->decoded;
    if (json_is_utf8(text)) {
        json_put_string(out, text);
        return;
    }
    buf_reset(wide);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] >= 0x80)
            buf_putc(wide, (char)(0xc0 | text.p[i] >> 6));
        buf_putc(wide, (char)(text.p[i] >= 0x80 ? 0x80 | (text.p[i] & 0x3f) : text.p[i]));
    }
    out->failed |= wide->failed;
    json_put_string(out, buf_slice(wide));
}

static void put_map(struct buf *out, const struct entry *e, enum call_har_field row)
{
    struct call_value v;
    bool first = true;
    buf_putc(out, '[');
    for (uint32_t at = 0; next_pair(e, row, &at, &v);) {
        if (row == HAR_RESPONSE_HEADERS && td_eq(v.name, TD_LIT(":status")))
            continue;
        buf_puts(out, first ? "{\"name\":" : ",{\"name\":");
        put_header_text(out, e, v.name);
        buf_lit(out, ",\"value\":");
        put_header_text(out, e, v.bytes);
        buf_putc(out, '}');
        first = false;
    }
    buf_putc(out, ']');
}

static void put_size(struct buf *out, const struct entry *e, enum call_har_field row)
{
    struct call_value v;
    if (get_value(e, row, &v))
        buf_u64(out, v.number);
    else
        buf_lit(out, "-1");
}

static void put_http_version(struct buf *out, struct td_slice version)
{
    buf_lit(out, ",\"httpVersion\":\"");
    if (version.n)
        buf_lit(out, "HTTP/");
    har_url_put(out, version); /* digits and a dot, as dissectors give it: nothing to escape */
    buf_putc(out, '"');
}

/* Cookies, headers, trailers (which HAR has no place for) and sizes. */
static void put_head(struct buf *out, const struct entry *e, int dir)
{
    bool request = dir == TD_CLIENT;
    enum call_har_field trailers = request ? HAR_REQUEST_TRAILERS : HAR_RESPONSE_TRAILERS;
    buf_lit(out, ",\"cookies\":");
    put_map(out, e, request ? HAR_REQUEST_COOKIES : HAR_RESPONSE_COOKIES);
    buf_lit(out, ",\"headers\":");
    put_map(out, e, request ? HAR_REQUEST_HEADERS : HAR_RESPONSE_HEADERS);
    if (e->har->fields[trailers] >= 0 && call_has(e->call, (uint32_t)e->har->fields[trailers])) {
        buf_lit(out, ",\"_trailers\":");
        put_map(out, e, trailers);
    }
    buf_lit(out, ",\"headersSize\":");
    put_size(out, e, request ? HAR_REQUEST_HEADERS_SIZE : HAR_RESPONSE_HEADERS_SIZE);
    buf_lit(out, ",\"bodySize\":");
    put_size(out, e, request ? HAR_REQUEST_BODY_SIZE : HAR_RESPONSE_BODY_SIZE);
}

/* What is known of a half's content. */
struct content {
    const struct call_body *body; /* NULL: none, or not kept */
    uint64_t transferred;         /* bytes, if `known` */
    bool known;
    bool coded; /* compressed, so that its length is not what was transferred */
};

static struct content get_content(const struct entry *e, int dir)
{
    bool request = dir == TD_CLIENT;
    struct call_value size;
    bool known = get_value(e, request ? HAR_REQUEST_BODY_SIZE : HAR_RESPONSE_BODY_SIZE, &size);
    struct td_slice coding = find_header(e, request ? HAR_REQUEST_HEADERS : HAR_RESPONSE_HEADERS, TD_LIT("content-encoding"));
    return (struct content){.body = get_body(e, request ? HAR_REQUEST_BODY : HAR_RESPONSE_BODY),
                            .transferred = size.number,
                            .known = known,
                            .coded = coding.n && !td_eq_nocase(coding, TD_LIT("identity"))};
}

/* UTF-8 without control characters, but those that texts have: BEL to CR, and ESC. */
static bool is_text(struct td_slice bytes)
{
    for (size_t i = 0; i < bytes.n; i++)
        if (bytes.p[i] < ' ' && (bytes.p[i] < '\a' || bytes.p[i] > '\r') && bytes.p[i] != 0x1b)
            return false;
    return json_is_utf8(bytes);
}

/* The text, if there is one, and a word about what is missing of it. `encoding`: the name for "base64". */
static void put_content_text(struct buf *out, const struct content *c, const char *encoding)
{
    if (!c->body) {
        if (c->known && c->transferred)
            buf_lit(out, ",\"comment\":\"the content was not kept\"");
        return;
    }
    struct td_slice bytes = buf_slice(&c->body->bytes);
    if (is_text(bytes)) {
        buf_lit(out, ",\"text\":");
        json_put_string(out, bytes);
    } else {
        buf_lit(out, ",\"text\":");
        json_put_base64(out, bytes);
        buf_printf(out, ",\"%s\":\"base64\"", encoding);
    }
    if (c->body->cut || (c->known && !c->coded && c->transferred > bytes.n)) {
        buf_lit(out, ",\"comment\":\"of the content, only the first ");
        buf_u64(out, bytes.n);
        buf_lit(out, " bytes were kept\"");
    }
}

/* ---- The request ---- */

static void put_server(struct buf *out, const struct td_flow *flow)
{
    char text[IP_TEXT];
    size_t n = ip_format(flow->ip[TD_SERVER], flow->ip_version, text);
    if (flow->ip_version == 6)
        buf_putc(out, '[');
    buf_put(out, text, n);
    if (flow->ip_version == 6)
        buf_putc(out, ']');
    buf_putc(out, ':');
    buf_u64(out, flow->port[TD_SERVER]);
}

/* Always an absolute URL. Without a name for the server it has its address; *ret_nameless tells. What can be read here was not
 * encrypted, so where no scheme was named it is http. */
static void put_url(struct buf *out, const struct entry *e, bool *ret_nameless)
{
    struct td_slice url = get_text(e, HAR_URL), host = get_text(e, HAR_HOST);
    buf_putc(out, '"');
    *ret_nameless = false;
    if (!har_url_is_absolute(url)) {
        buf_lit(out, "http://");
        if (td_eq(get_text(e, HAR_METHOD), TD_LIT("CONNECT")) && url.n) {
            host = url;
            url = td_bytes(NULL, 0);
        } else if (td_eq(url, TD_LIT("*"))) {
            url = td_bytes(NULL, 0);
        }
        *ret_nameless = !host.n || memchr("/?", host.p[0], 2);
        if (*ret_nameless)
            put_server(out, e->call->flow);
        else
            har_url_put(out, host);
        if (!url.n || url.p[0] != '/')
            buf_putc(out, '/');
    }
    har_url_put(out, url);
    buf_putc(out, '"');
}

static void put_decoded(struct buf *out, const struct entry *e, struct td_slice text)
{
    struct td_slice decoded;
    if (har_url_decode(text, &e->har->decoded, &decoded))
        json_put_string(out, decoded);
    else
        out->failed = true;
}

static void put_parameters(struct buf *out, const struct entry *e)
{
    struct td_slice query = get_text(e, HAR_QUERY_STRING), name, value;
    buf_lit(out, ",\"queryString\":[");
    for (bool first = true; har_url_next_parameter(&query, &name, &value); first = false) {
        if (!first)
            buf_putc(out, ',');
        buf_lit(out, "{\"name\":");
        put_decoded(out, e, name);
        buf_lit(out, ",\"value\":");
        put_decoded(out, e, value);
        buf_putc(out, '}');
    }
    buf_putc(out, ']');
}

static void put_post_data(struct buf *out, const struct entry *e)
{
    struct content c = get_content(e, TD_CLIENT);
    if (!c.body && !c.transferred)
        return;
    buf_lit(out, ",\"postData\":{\"mimeType\":");
    json_put_string(out, get_text(e, HAR_REQUEST_TYPE));
    buf_lit(out, ",\"params\":[]");
    if (!c.body)
        buf_lit(out, ",\"text\":\"\"");
    put_content_text(out, &c, "_encoding");
    buf_putc(out, '}');
}

static void put_request(struct buf *out, const struct entry *e, bool *ret_nameless)
{
    bool known = e->call->half[TD_CLIENT].seen || get_text(e, HAR_METHOD).n; /* else the version is the response's */
    buf_lit(out, ",\"request\":{\"method\":");
    json_put_string(out, get_text(e, HAR_METHOD));
    buf_lit(out, ",\"url\":");
    put_url(out, e, ret_nameless);
    put_http_version(out, known ? get_text(e, HAR_REQUEST_VERSION) : td_bytes(NULL, 0));
    put_parameters(out, e);
    put_post_data(out, e);
    put_head(out, e, TD_CLIENT);
    buf_putc(out, '}');
}

/* ---- The response ---- */

/* Of the content once it is decoded: only who has it knows, unless it was not coded. */
static void put_content_size(struct buf *out, const struct content *c)
{
    uint64_t kept = c->body ? c->body->bytes.n : 0;
    if (c->known && (!c->coded || !c->transferred))
        buf_u64(out, c->transferred > kept ? c->transferred : kept);
    else if (c->body)
        buf_u64(out, kept);
    else
        buf_lit(out, "-1");
}

static void put_content(struct buf *out, const struct entry *e)
{
    struct content c = get_content(e, TD_SERVER);
    buf_lit(out, ",\"content\":{\"size\":");
    put_content_size(out, &c);
    buf_lit(out, ",\"mimeType\":");
    json_put_string(out, get_text(e, HAR_RESPONSE_TYPE));
    put_content_text(out, &c, "encoding");
    buf_putc(out, '}');
}

static void put_response(struct buf *out, const struct entry *e)
{
    struct call_value status;
    get_value(e, HAR_STATUS_CODE, &status);
    buf_lit(out, ",\"response\":{\"status\":");
    buf_u64(out, status.number);
    buf_lit(out, ",\"statusText\":");
    json_put_string(out, get_text(e, HAR_REASON));
    put_http_version(out, get_text(e, HAR_RESPONSE_VERSION));
    put_content(out, e);
    buf_lit(out, ",\"redirectURL\":");
    json_put_string(out, find_header(e, HAR_RESPONSE_HEADERS, TD_LIT("location")));
    put_head(out, e, TD_SERVER);
    buf_putc(out, '}');
}

/* ---- Times ---- */

struct timings {
    uint64_t send, wait, receive; /* ns */
};

/* `to` - `from`, 0 if that is negative. Captures may hold any times. */
static uint64_t span(int64_t from, int64_t to)
{
    return to > from ? (uint64_t)to - (uint64_t)from : 0;
}

static uint64_t at_most(uint64_t v, uint64_t max)
{
    return v < max ? v : max;
}

static struct timings get_timings(const struct td_call *c)
{
    const struct call_half *request = &c->half[TD_CLIENT], *response = &c->half[TD_SERVER];
    struct timings t = {0};
    if (!request->seen || !response->seen) {
        t.send = request->seen ? span(request->first_ns, request->last_ns) : 0;
        t.receive = response->seen ? span(response->first_ns, response->last_ns) : 0;
        return t;
    }
    /* The response may begin while the request is still being sent: what overlaps counts as sending. */
    uint64_t whole = span(request->first_ns, response->last_ns);
    uint64_t sent = at_most(span(request->first_ns, request->last_ns), whole);
    uint64_t answered = at_most(span(request->first_ns, response->first_ns), whole);
    t.send = sent;
    t.wait = answered > sent ? answered - sent : 0;
    t.receive = whole - t.send - t.wait;
    return t;
}

/* A number of milliseconds, exact. */
static void put_ms(struct buf *out, uint64_t ns)
{
    uint64_t rest = ns % NS_PER_MS;
    buf_u64(out, ns / NS_PER_MS);
    if (rest)
        buf_putc(out, '.');
    for (uint64_t unit = NS_PER_MS / 10; rest; rest %= unit, unit /= 10)
        buf_putc(out, (char)('0' + rest / unit));
}

static void put_times(struct buf *out, const struct td_call *c, const struct timings *t)
{
    char text[UNITS_TEXT];
    buf_lit(out, "{\"startedDateTime\":\"");
    buf_put(out, text, units_format_time(call_time(c), text));
    buf_lit(out, "\",\"time\":");
    put_ms(out, t->send + t->wait + t->receive);
    buf_lit(out, ",\"timings\":{\"send\":");
    put_ms(out, t->send);
    buf_lit(out, ",\"wait\":");
    put_ms(out, t->wait);
    buf_lit(out, ",\"receive\":");
    put_ms(out, t->receive);
    buf_putc(out, '}');
}

/* ---- What is not whole ---- */

struct notes {
    struct buf *out;
    bool any;
};

static void put_note(struct notes *n, const char *text)
{
    buf_puts(n->out, n->any ? "; " : ",\"comment\":\"");
    buf_puts(n->out, text);
    n->any = true;
}

static void put_half_notes(struct notes *n, const struct call_half *h, bool request)
{
    if (!h->seen) {
        put_note(n, request ? "the request was not seen" : "the response was not seen");
        return;
    }
    if (h->cut)
        put_note(n, request ? "the end of the request was not seen" : "the end of the response was not seen");
    if (h->missing) {
        put_note(n, "");
        buf_u64(n->out, h->missing);
        buf_puts(n->out, request ? " bytes of the request were not captured" : " bytes of the response were not captured");
    }
}

static void put_notes(struct buf *out, const struct entry *e, bool nameless)
{
    const struct td_call *c = e->call;
    struct notes n = {.out = out};
    struct call_value pushed;
    if (get_value(e, HAR_PUSHED, &pushed) && pushed.number)
        put_note(&n, "the server pushed it");
    else
        put_half_notes(&n, &c->half[TD_CLIENT], true);
    put_half_notes(&n, &c->half[TD_SERVER], false);
    if (nameless && c->half[TD_CLIENT].seen)
        put_note(&n, "the request names no host, so the URL has the server's address");
    if (c->flags & TD_PARTIAL)
        put_note(&n, "something could not be decoded");
    if (c->incomplete_values)
        put_note(&n, "memory was short, so values are missing");
    if (n.any)
        buf_putc(out, '"');
}

/* ---- The archive ---- */

void call_har_begin(struct buf *out, const char *version)
{
    buf_lit(out, "{\"log\":{\"version\":\"1.2\",\"creator\":{\"name\":\"Tapedeck\",\"version\":");
    json_put_string(out, td_str(version));
    buf_lit(out, "},\"pages\":[],\"entries\":[");
}

bool call_har_put(struct buf *out, struct call_har *har, const struct td_call *c, bool first)
{
    if (!har->http)
        return false;
    struct entry e = {har, c};
    struct timings timings = get_timings(c);
    char address[IP_TEXT];
    bool nameless;
    if (!first)
        buf_putc(out, ',');
    buf_putc(out, '\n');
    put_times(out, c, &timings);
    put_request(out, &e, &nameless);
    put_response(out, &e);
    buf_lit(out, ",\"cache\":{},\"serverIPAddress\":\"");
    buf_put(out, address, ip_format(c->flow->ip[TD_SERVER], c->flow->ip_version, address));
    buf_lit(out, "\",\"connection\":\"");
    buf_u64(out, c->conn_id);
    buf_putc(out, '"');
    put_notes(out, &e, nameless);
    buf_putc(out, '}');
    return true;
}

void call_har_end(struct buf *out)
{
    buf_lit(out, "\n]}}\n");
}
