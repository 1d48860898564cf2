#include "call_maker.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"

extern const struct td_plugin td_plugin_v1_http;
extern const struct td_plugin td_plugin_v1_dns;

enum http_field {
    METHOD,
    URL,
    PATH,
    QUERY,
    TARGET,
    HOST,
    VERSION,
    RESPONSE_VERSION,
    STATUS,
    REASON,
    AGENT,
    REQUEST_TYPE,
    RESPONSE_TYPE,
    REQUEST_HEADERS_SIZE,
    RESPONSE_HEADERS_SIZE,
    REQUEST_BODY_SIZE,
    RESPONSE_BODY_SIZE,
    REQUEST_HEADERS,
    RESPONSE_HEADERS,
    REQUEST_BODY,
    RESPONSE_BODY,
    HTTP_FIELDS
};

enum dns_field {
    DNS_ID = HTTP_FIELDS,
    OPCODE,
    OPCODE_NAME,
    RCODE,
    RCODE_NAME,
    DNS_STATUS,
    QUESTION_TYPES,
    QUESTIONS,
    QUESTION_CLASSES,
    ANSWERS,
    DNS_REQUEST,
    DNS_RESPONSE,
    REQUEST_LENGTH,
    RESPONSE_LENGTH,
    TOTAL_SIZE,
    REQUEST_FLAGS,
    RESPONSE_FLAGS,
    RESPONSE_ANSWERS,
    REQUEST_ADDITIONAL,
    RESPONSE_ADDITIONAL,
    ALL_FIELDS
};

static const char *const names[ALL_FIELDS] = {
    [METHOD] = "method",
    [URL] = "url",
    [PATH] = "path",
    [QUERY] = "query_string",
    [TARGET] = "http_request_target",
    [HOST] = "http_host",
    [VERSION] = "http_version",
    [RESPONSE_VERSION] = "http_response_version",
    [STATUS] = "status_code",
    [REASON] = "http_reason",
    [AGENT] = "http_user_agent",
    [REQUEST_TYPE] = "request_content_type",
    [RESPONSE_TYPE] = "response_content_type",
    [REQUEST_HEADERS_SIZE] = "request_headers_size",
    [RESPONSE_HEADERS_SIZE] = "response_headers_size",
    [REQUEST_BODY_SIZE] = "request_body_size",
    [RESPONSE_BODY_SIZE] = "response_body_size",
    [REQUEST_HEADERS] = "request.headers",
    [RESPONSE_HEADERS] = "response.headers",
    [REQUEST_BODY] = "request.body",
    [RESPONSE_BODY] = "response.body",
    [DNS_ID] = "dns_id",
    [OPCODE] = "dns_opcode",
    [OPCODE_NAME] = "dns_opcode_name",
    [RCODE] = "dns_rcode",
    [RCODE_NAME] = "dns_rcode_name",
    [DNS_STATUS] = "status_code",
    [QUESTION_TYPES] = "dns_question_types",
    [QUESTIONS] = "dns_questions",
    [QUESTION_CLASSES] = "dns_question_classes",
    [ANSWERS] = "dns_answers",
    [DNS_REQUEST] = "dns_request",
    [DNS_RESPONSE] = "dns_response",
    [REQUEST_LENGTH] = "dns_request_length",
    [RESPONSE_LENGTH] = "dns_response_length",
    [TOTAL_SIZE] = "dns_total_size",
    [REQUEST_FLAGS] = "request.flags",
    [RESPONSE_FLAGS] = "response.flags",
    [RESPONSE_ANSWERS] = "response.answers",
    [REQUEST_ADDITIONAL] = "request.additional",
    [RESPONSE_ADDITIONAL] = "response.additional",
};

static uint64_t draw(struct call_maker *m)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return m->random;
}

static uint32_t below(struct call_maker *m, uint32_t n)
{
    return (uint32_t)((draw(m) >> 32) * n >> 32);
}

/* Small numbers far more often than large ones, as popularity goes. */
static uint32_t popular(struct call_maker *m, uint32_t n)
{
    uint64_t a = below(m, n), b = below(m, n);
    return (uint32_t)(a * b / n);
}

static void die(const char *what)
{
    fprintf(stderr, "call_maker: %s\n", what);
    exit(1);
}

static void begin_connection(struct call_maker *m, uint32_t i)
{
    m->connections[i].id = m->frame;
    m->connections[i].port = (uint16_t)(32768 + below(m, 28000));
    m->connections[i].client = (uint8_t)below(m, 200);
    m->connections[i].server = (uint8_t)below(m, 24);
}

void call_maker_init(struct call_maker *m, uint64_t seed)
{
    static const struct registry_protocol protocols[] = {{"HTTP", NULL}, {"DNS", NULL}};
    const struct td_plugin *plugins[] = {&td_plugin_v1_http, &td_plugin_v1_dns};
    struct error err;
    *m = (struct call_maker){.random = seed * 2654435761u + 88172645463325252u, .time_ns = 1767323045000000000, .frame = 1};
    for (int i = 0; i < 2; i++) {
        const struct td_dissector *dissector = plugins[i]->components[0]->ops;
        if (field_set_init(&m->sets[i], &dissector->fields, &err) != TD_OK)
            die(err.text);
        m->components[i] = &m->sets[i];
    }
    if (field_registry_new(m->components, protocols, 2, &m->registry, &err) != TD_OK)
        die(err.text);
    for (uint32_t i = 0; i < ALL_FIELDS; i++) {
        int at = field_find(&m->sets[i >= HTTP_FIELDS], td_str(names[i]));
        if (at < 0)
            die(names[i]);
        m->fields[i] = (uint32_t)at;
    }
    for (uint32_t i = 0; i < CALL_MAKER_CONNECTIONS; i++)
        begin_connection(m, i);
}

void call_maker_clear(struct call_maker *m)
{
    field_registry_free(m->registry);
    call_clear(&m->call);
    for (int i = 0; i < 2; i++)
        field_set_clear(&m->sets[i]);
}

/* ---- Texts ---- */

struct line {
    char text[512];
    size_t n;
};

static void put(struct line *l, const char *text)
{
    size_t n = strlen(text);
    if (n < sizeof(l->text) - l->n) {
        memcpy(l->text + l->n, text, n);
        l->n += n;
    }
}

static void put_number(struct line *l, uint64_t v)
{
    char digits[24];
    size_t at = sizeof(digits) - 1;
    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    put(l, digits + at);
}

static struct td_slice slice(const struct line *l)
{
    return td_bytes(l->text, l->n);
}

static void set(struct call_maker *m, uint32_t field, struct td_slice text)
{
    call_set_bytes(&m->call, m->fields[field], text);
}

static void set_text(struct call_maker *m, uint32_t field, const char *text)
{
    set(m, field, td_str(text));
}

static void set_number(struct call_maker *m, uint32_t field, uint64_t number)
{
    call_set_u64(&m->call, m->fields[field], number);
}

/* ---- Both protocols ---- */

static void make_half(struct call_maker *m, int dir, int64_t first_ns, int64_t last_ns, uint32_t frames, uint32_t bytes)
{
    struct call_half *h = &m->call.half[dir];
    for (uint32_t i = 0; i < frames; i++) {
        call_add_packet(h, m->frame, i + 1 == frames ? last_ns : first_ns, bytes / frames);
        m->frame += 1 + below(m, 3);
    }
    h->first_ns = first_ns;
    h->bytes = bytes;
}

static void make_flow(struct call_maker *m, uint8_t transport, uint8_t client, uint16_t client_port, uint8_t server, uint16_t server_port)
{
    m->flow = (struct td_flow){.size = sizeof(m->flow),
                               .ip = {{10, 42, client / 32, client}, {10, 43, 0, server}},
                               .port = {client_port, server_port},
                               .ip_version = 4,
                               .transport = transport};
    m->call.flow = &m->flow;
}

static int64_t latency(struct call_maker *m)
{
    uint32_t shape = below(m, 100);
    int64_t ns = 150000 + below(m, 400000);
    if (shape < 60)
        return ns;
    return shape < 97 ? ns * (1 + below(m, 20)) : ns * (1 + below(m, 2000));
}

/* ---- HTTP ---- */

static void make_path(struct call_maker *m, struct line *path)
{
    static const char *const things[] = {"users", "orders", "products", "carts", "invoices", "payments", "sessions", "events"};
    switch (below(m, 8)) {
    case 0: put(path, "/healthz"); break;
    case 1: put(path, "/metrics"); break;
    case 2:
        put(path, "/static/app.");
        put_number(path, popular(m, 40));
        put(path, ".js");
        break;
    default:
        put(path, "/api/v1/");
        put(path, things[popular(m, 8)]);
        put(path, "/");
        put_number(path, 100000 + popular(m, 400000));
        if (below(m, 3) == 0)
            put(path, "/items");
        break;
    }
}

static void make_query(struct call_maker *m, struct line *query)
{
    if (below(m, 10) >= 3)
        return;
    put(query, "page=");
    put_number(query, popular(m, 50));
    put(query, "&limit=50&sort=created_at");
}

static void make_headers(struct call_maker *m, const char *host, const char *agent, uint32_t body)
{
    struct line trace = {.n = 0}, length = {.n = 0};
    uint32_t request = m->fields[REQUEST_HEADERS], response = m->fields[RESPONSE_HEADERS];
    for (int i = 0; i < 4; i++)
        put_number(&trace, draw(m) >> 32);
    put_number(&length, body);
    call_set_pair(&m->call, request, TD_LIT("Host"), td_str(host));
    call_set_pair(&m->call, request, TD_LIT("User-Agent"), td_str(agent));
    call_set_pair(&m->call, request, TD_LIT("Accept"), TD_LIT("*/*"));
    call_set_pair(&m->call, request, TD_LIT("Accept-Encoding"), TD_LIT("gzip, deflate"));
    call_set_pair(&m->call, request, TD_LIT("X-Request-Id"), slice(&trace));
    call_set_pair(&m->call, response, TD_LIT("Server"), TD_LIT("nginx/1.22.1"));
    call_set_pair(&m->call, response, TD_LIT("Date"), TD_LIT("Fri, 02 Jan 2026 03:04:05 GMT"));
    call_set_pair(&m->call, response, TD_LIT("Content-Length"), slice(&length));
    call_set_pair(&m->call, response, TD_LIT("Connection"), TD_LIT("keep-alive"));
}

static void make_bodies(struct call_maker *m, bool request)
{
    struct line body = {.n = 0};
    put(&body, "{\"id\":");
    put_number(&body, draw(m));
    put(&body, ",\"status\":\"created\",\"items\":[{\"sku\":\"A-1\",\"count\":2},{\"sku\":\"B-2\",\"count\":1}],\"total\":");
    put_number(&body, below(m, 100000));
    put(&body, "}");
    if (request)
        set(m, REQUEST_BODY, slice(&body));
    for (uint32_t i = below(m, 8); i > 0; i--)
        call_append_bytes(&m->call, m->fields[RESPONSE_BODY], slice(&body));
}

static void make_http(struct call_maker *m)
{
    static const char *const methods[] = {"GET", "GET", "GET", "GET", "GET", "GET", "GET", "POST", "POST", "PUT", "DELETE", "PATCH"};
    static const char *const agents[] = {
        "curl/7.88.1",
        "Go-http-client/1.1",
        "python-requests/2.31.0",
        "okhttp/4.12.0",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
        "kube-probe/1.29",
        "Prometheus/2.48.0",
        "axios/1.6.2"};
    static const char *const hosts[] = {"frontend", "orders.shop", "users.shop", "payments.shop:8080", "cart.shop", "api.example.org"};
    static const char *const types[] = {"application/json", "application/json", "text/html; charset=utf-8", "text/plain"};
    static const struct {
        uint16_t code;
        const char *reason;
    } statuses[] = {{200, "OK"},
                    {200, "OK"},
                    {200, "OK"},
                    {200, "OK"},
                    {200, "OK"},
                    {200, "OK"},
                    {201, "Created"},
                    {204, "No Content"},
                    {304, "Not Modified"},
                    {404, "Not Found"},
                    {500, "Internal Server Error"},
                    {401, "Unauthorized"}};
    struct line path = {.n = 0}, query = {.n = 0}, target = {.n = 0}, url = {.n = 0};
    uint32_t conn = popular(m, CALL_MAKER_CONNECTIONS), status = popular(m, 12);
    const char *method = methods[below(m, 12)], *host = hosts[popular(m, 6)], *agent = agents[popular(m, 8)];
    bool body = method[0] == 'P';
    uint32_t sent = body ? 40 + below(m, 2000) : 0, received = 20 + popular(m, 60000);
    if (below(m, 40) == 0)
        begin_connection(m, conn);
    make_path(m, &path);
    make_query(m, &query);
    put(&target, path.text);
    if (query.n) {
        put(&target, "?");
        put(&target, query.text);
    }
    put(&url, "http://");
    put(&url, host);
    put(&url, target.text);
    m->call.conn_id = m->connections[conn].id;
    make_flow(m, 6, m->connections[conn].client, m->connections[conn].port, m->connections[conn].server, 8080);
    set_text(m, METHOD, method);
    set(m, URL, slice(&url));
    set(m, PATH, slice(&path));
    if (query.n)
        set(m, QUERY, slice(&query));
    set(m, TARGET, slice(&target));
    set_text(m, HOST, host);
    set_text(m, VERSION, "1.1");
    set_text(m, AGENT, agent);
    if (body)
        set_text(m, REQUEST_TYPE, "application/json");
    set_number(m, REQUEST_HEADERS_SIZE, 120 + target.n + strlen(agent));
    set_number(m, REQUEST_BODY_SIZE, sent);
    make_half(m, TD_CLIENT, m->time_ns, m->time_ns + (body ? 30000 : 0), body ? 2 : 1, 120 + (uint32_t)target.n + sent);
    if (below(m, 200) == 0)
        return; /* no response was seen */
    int64_t answer = m->time_ns + latency(m);
    set_text(m, RESPONSE_VERSION, "1.1");
    set_number(m, STATUS, statuses[status].code);
    set_text(m, REASON, statuses[status].reason);
    set_text(m, RESPONSE_TYPE, types[popular(m, 4)]);
    set_number(m, RESPONSE_HEADERS_SIZE, 180 + below(m, 60));
    set_number(m, RESPONSE_BODY_SIZE, received);
    make_half(m, TD_SERVER, answer, answer + received * 8, 1 + received / 1448, received + 200);
    if (m->headers)
        make_headers(m, host, agent, received);
    if (m->bodies)
        make_bodies(m, body);
}

/* ---- DNS ---- */

static void add_flags(struct call_maker *m, uint32_t field, const char *const *flags)
{
    for (; *flags; flags++)
        set_text(m, field, *flags);
}

static void make_answers(struct call_maker *m, const struct line *name, uint32_t host, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct line address = {.n = 0}, record = {.n = 0};
        put(&address, "10.43.");
        put_number(&address, host % 250);
        put(&address, ".");
        put_number(&address, i + 1);
        put(&record, name->text);
        put(&record, ".\t");
        put_number(&record, 5 * (1 + below(m, 6)));
        put(&record, "\tIN\tA\t");
        put(&record, address.text);
        set(m, ANSWERS, slice(&address));
        set(m, RESPONSE_ANSWERS, slice(&record));
    }
}

static void make_dns(struct call_maker *m)
{
    static const char *const asked[] = {"rd", "ad", NULL}, *const answered[] = {"qr", "aa", "rd", "ra", NULL};
    struct line name = {.n = 0};
    uint32_t host = popular(m, CALL_MAKER_HOSTS), rcode = below(m, 10) < 2 ? 3 : 0;
    bool ipv6 = below(m, 3) == 0;
    put(&name, "svc-");
    put_number(&name, host);
    put(&name, rcode ? ".shop.svc.cluster.local.cluster.local" : ".shop.svc.cluster.local");
    m->call.conn_id = m->frame;
    make_flow(m, 17, (uint8_t)below(m, 200), (uint16_t)(32768 + below(m, 28000)), 10, 53);
    set_number(m, DNS_ID, below(m, 65536));
    set_number(m, OPCODE, 0);
    set_text(m, OPCODE_NAME, "QUERY");
    set_text(m, QUESTION_TYPES, ipv6 ? "AAAA" : "A");
    set(m, QUESTIONS, slice(&name));
    set_text(m, QUESTION_CLASSES, "IN");
    set_number(m, DNS_REQUEST, 1);
    set_number(m, REQUEST_LENGTH, name.n + 29);
    set_number(m, TOTAL_SIZE, name.n + 29);
    add_flags(m, REQUEST_FLAGS, asked);
    set_text(m, REQUEST_ADDITIONAL, "; EDNS: version: 0, flags:; udp: 1232");
    make_half(m, TD_CLIENT, m->time_ns, m->time_ns, 1, (uint32_t)name.n + 29);
    if (below(m, 300) == 0)
        return;
    int64_t answer = m->time_ns + latency(m) / 4;
    uint32_t answers = rcode || ipv6 ? 0 : 1 + below(m, 3);
    set_number(m, RCODE, rcode);
    set_text(m, RCODE_NAME, rcode ? "NXDOMAIN" : "NOERROR");
    set_number(m, DNS_STATUS, rcode);
    set_number(m, DNS_RESPONSE, 1);
    set_number(m, RESPONSE_LENGTH, name.n + 45 + 16 * answers);
    set_number(m, TOTAL_SIZE, 2 * name.n + 74 + 16 * answers);
    add_flags(m, RESPONSE_FLAGS, answered);
    make_answers(m, &name, host, answers);
    set_text(m, RESPONSE_ADDITIONAL, "; EDNS: version: 0, flags:; udp: 4096");
    make_half(m, TD_SERVER, answer, answer, 1, (uint32_t)name.n + 45 + 16 * answers);
}

const struct td_call *call_maker_next(struct call_maker *m)
{
    bool dns = below(m, 100) < 40;
    m->time_ns += 2000 + popular(m, 200000);
    call_reset(&m->call, 1 << 20);
    m->call.component = dns;
    m->call.fields = &m->sets[dns];
    m->call.protocol = dns ? "DNS" : "HTTP";
    if (dns)
        make_dns(m);
    else
        make_http(m);
    return &m->call;
}
