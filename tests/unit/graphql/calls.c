/* GraphQL in calls of HTTP and in messages of WebSockets, through the real engine: what is told of each, and what is none. */
#include "tap.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "rig.h"
#include "traffic.h"

extern const struct td_plugin td_plugin_v1_http, td_plugin_v1_http2, td_plugin_v1_graphql, td_plugin_v1_websocket;
static const struct td_plugin *const plugins[] = {&td_plugin_v1_graphql, &td_plugin_v1_http, &td_plugin_v1_http2, &td_plugin_v1_websocket,
                                                  NULL};
static struct rig rig;

/* ---- One exchange ---------------------------------------------------------------------------------------------------------- */

static struct buf side[2];

static void add(int dir, const char *text)
{
    buf_puts(&side[dir], text);
}

static void add_request(const char *line, const char *type, struct td_slice body)
{
    buf_printf(&side[0], "%s HTTP/1.1\r\nHost: h\r\n", line);
    if (type)
        buf_printf(&side[0], "Content-Type: %s\r\nContent-Length: %zu\r\n", type, body.n);
    add(0, "\r\n");
    buf_put_slice(&side[0], body);
}

static void add_response(const char *type, const char *coding, struct td_slice body)
{
    buf_printf(&side[1], "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n%s%s%sContent-Length: %zu\r\n\r\n", type,
               coding ? "Content-Encoding: " : "", coding ? coding : "", coding ? "\r\n" : "", body.n);
    buf_put_slice(&side[1], body);
}

/* The first call of what the two sides say, in packets of `n` bytes; the caller frees it. */
static json_t *dissect(size_t n)
{
    struct traffic t;
    struct talk talk;
    traffic_init(&t);
    talk_open(&talk, &t, (struct peer){{10, 0, 0, 1}, 40000}, (struct peer){{10, 0, 0, 2}, 80});
    for (int dir = 0; dir < 2; dir++)
        if (side[dir].n)
            talk_send(&talk, dir, buf_slice(&side[dir]), n);
    talk_close(&talk);
    const char *out = rig_run(&rig, buf_slice(&t.pcap));
    json_t *call = json_loads(out, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL);
    traffic_clear(&t);
    return call;
}

static void clear(void)
{
    buf_reset(&side[0]);
    buf_reset(&side[1]);
}

/* Members whose name begins with "graphql_", in order: what GraphQL has to say of the call. */
static char *told(json_t *call)
{
    json_t *only = json_object(), *value;
    const char *key;
    char *text;
    json_object_foreach(call, key, value) if (strncmp(key, "graphql_", 8) == 0 && strcmp(key, "graphql_document") != 0)
        json_object_set(only, key + 8, value);
    text = json_dumps(only, JSON_COMPACT);
    json_decref(only);
    return text;
}

static void expect(const char *name, const char *want)
{
    static const size_t sizes[] = {100000, 1, 7, 100};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        json_t *call = dissect(sizes[i]);
        const char *protocol = json_string_value(json_object_get(call, "protocol"));
        char *got = told(call);
        is_str(got, want, "%s, in packets of %zu", name, sizes[i]);
        is_str(protocol ? protocol : "", strcmp(want, "{}") == 0 ? "HTTP" : "GRAPHQL", "%s: the call's protocol", name);
        free(got);
        json_decref(call);
    }
    clear();
}

static void exchange(const char *name, const char *line, const char *type, const char *body, const char *answer, const char *want)
{
    add_request(line, type, td_str(body));
    add_response("application/json", NULL, td_str(answer));
    expect(name, want);
}

#define JSON "application/json; charset=utf-8"
#define ASKED_A "\"operation_type\":\"query\",\"summary\":\"{ a }\",\"fields\":[\"a\"]"
#define ANSWERED "\"has_data\":true,\"errors\":0"

static void test_requests(void)
{
    exchange("a query", "POST /graphql", JSON, "{\"query\":\"{ user(id:1) { name } }\"}", "{\"data\":{\"user\":null}}",
             "{\"operation_type\":\"query\",\"summary\":\"{ user }\",\"fields\":[\"user\"]," ANSWERED "}");
    exchange("a mutation with variables", "POST /graphql", JSON,
             "{\"operationName\":\"Add\",\"variables\":{\"n\":[1,{}]},\"query\":\"query X{x} mutation Add($n:[Int]) {\\n  add(n:$n)\\n}\"}",
             "{\"data\":{\"add\":1}}",
             "{\"operation_type\":\"mutation\",\"summary\":\"Add\",\"operation_name\":\"Add\",\"fields\":[\"add\"],"
             "\"variables\":\"{\\\"n\\\":[1,{}]}\"," ANSWERED "}");
    exchange("a batch", "POST /", JSON, " [ {\"query\":\"{a}\"} , {\"query\":\"{b}\"} ]",
             "[{\"data\":{\"a\":1}},{\"errors\":[{\"message\":\"no b\"}]}]",
             "{\"operation_type\":\"query\",\"summary\":\"{ a }\",\"fields\":[\"a\"],\"batch_size\":2,\"has_data\":true,\"errors\":1,"
             "\"error_message\":\"no b\"}");
    exchange("a persisted query", "POST /", JSON,
             "{\"operationName\":\"Q\",\"extensions\":{\"persistedQuery\":{\"version\":1,\"sha256Hash\":\"ecf4\"}}}",
             "{\"errors\":[{\"message\":\"PersistedQueryNotFound\",\"extensions\":{\"code\":\"PERSISTED_QUERY_NOT_FOUND\"}}]}",
             "{\"summary\":\"Q\",\"operation_name\":\"Q\",\"persisted_query\":\"ecf4\",\"has_data\":false,\"errors\":1,"
             "\"error_message\":\"PersistedQueryNotFound\",\"error_code\":\"PERSISTED_QUERY_NOT_FOUND\"}");
    exchange("a trusted document", "POST /", JSON, "{\"documentId\":\"d:1\",\"variables\":{\"a\":1}}", "{\"data\":{}}",
             "{\"variables\":\"{\\\"a\\\":1}\",\"persisted_query\":\"d:1\"," ANSWERED "}");
    exchange("GET", "GET /g?query=query%20G(%24a:Int)%7Bg+h%7D&variables=%7B%22a%22:1%7D", NULL, "", "{\"data\":{}}",
             "{\"operation_type\":\"query\",\"summary\":\"G\",\"operation_name\":\"G\",\"fields\":[\"g\",\"h\"],"
             "\"variables\":\"{\\\"a\\\":1}\"," ANSWERED "}");
    for (size_t i = 0; i < 4; i++) {
        static const char *const types[] = {JSON, "application/graphql", "application/graphql+json", "multipart/form-data; boundary=x"};
        exchange("GET that names a type", i % 2 ? "HEAD /g?a=1&query=%7Ba%7D" : "GET /g?a=1&query=%7Ba%7D", types[i], "", "{\"data\":{}}",
                 i % 2 ? "{\"operation_type\":\"query\",\"summary\":\"{ a }\",\"fields\":[\"a\"]}"
                       : "{\"operation_type\":\"query\",\"summary\":\"{ a }\",\"fields\":[\"a\"]," ANSWERED "}");
    }
    exchange("GET with content", "GET /g?a=1", JSON, "{\"query\":\"{a}\"}", "{\"data\":{}}",
             "{\"operation_type\":\"query\",\"summary\":\"{ a }\",\"fields\":[\"a\"]," ANSWERED "}");
    exchange("GET with a query and content", "GET /g?query=%7Ba%7D", JSON, "{}", "{\"data\":{}}",
             "{\"operation_type\":\"query\",\"summary\":\"{ a }\",\"fields\":[\"a\"]," ANSWERED "}");
    exchange("JSON by another name", "POST /g", "application/x-www-form-urlencoded", "{\"query\":\"{a}\"}", "{\"data\":{}}",
             "{\"operation_type\":\"query\",\"summary\":\"{ a }\",\"fields\":[\"a\"]," ANSWERED "}");
    exchange("application/graphql", "POST /g", "application/graphql", "{ a ...F } fragment F on Q { b }", "{\"data\":{}}",
             "{\"operation_type\":\"query\",\"summary\":\"{ a b }\",\"fields\":[\"a\",\"b\"]," ANSWERED "}");
    exchange("a form", "POST /g", "application/x-www-form-urlencoded", "operationName=&query=%7Ba%7D", "{\"data\":{}}",
             "{\"operation_type\":\"query\",\"summary\":\"{ a }\",\"fields\":[\"a\"]," ANSWERED "}");
    exchange("multipart", "POST /g", "multipart/form-data; boundary=XX",
             "--XX\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n{\"query\":\"mutation { up }\"}\r\n--XX\r\n"
             "Content-Disposition: form-data; name=\"map\"\r\n\r\n{}\r\n--XX--\r\n",
             "{\"data\":{}}", "{\"operation_type\":\"mutation\",\"summary\":\"{ up }\",\"fields\":[\"up\"]," ANSWERED "}");
}

static void test_others(void)
{
    exchange("other JSON", "POST /api", JSON, "{\"name\":\"x\",\"list\":[1,2,3]}", "{\"data\":1,\"errors\":[]}", "{}");
    exchange("a query of another kind", "POST /_search", JSON, "{\"query\":{\"match_all\":{}}}", "{}", "{}");
    exchange("a query in SQL", "POST /_sql", JSON, "{\"query\":\"SELECT a FROM b\"}", "{}", "{}");
    exchange("an id of a document", "POST /sign", JSON, "{\"documentId\":\"d:1\"}", "{\"data\":{}}", "{}");
    exchange("with a member of others", "POST /sign", JSON, "{\"doc_id\":\"d:1\",\"variables\":{},\"signer\":\"x\"}", "{\"data\":{}}",
             "{}");
    exchange("POST with a query", "POST /g?query=%7Ba%7D", JSON, "{}", "{\"data\":{}}", "{}");
    exchange("no object", "POST /", JSON, "\"query\"", "{}", "{}");
    exchange("JSON that ends early", "POST /", JSON, "{\"query\":\"{ a }", "{}", "{}");
    exchange("a search", "GET /?query=shoes", NULL, "", "{\"data\":{}}", "{}");
    exchange("another form", "POST /", "application/x-www-form-urlencoded", "a=1&query=", "{}", "{}");
    exchange("other parts", "POST /", "multipart/form-data; boundary=X",
             "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{\"query\":\"{a}\"}\r\n--X--", "{}", "{}");
}

static void test_answers(void)
{
    uint8_t z[400];
    z_stream s;
    struct td_slice plain = TD_LIT("{\"data\":null,\"errors\":[{\"message\":\"m\",\"path\":[\"a\",0],\"extensions\":{\"code\":42}},{}]}");
    memset(&s, 0, sizeof(s));
    (void)deflateInit2(&s, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
    s.next_in = (z_const Bytef *)plain.p;
    s.avail_in = (uInt)plain.n;
    s.next_out = z;
    s.avail_out = sizeof(z);
    (void)deflate(&s, Z_FINISH);
    add_request("POST /g", JSON, TD_LIT("{\"query\":\"{a}\"}"));
    add_response("application/graphql-response+json", "gzip", td_bytes(z, sizeof(z) - s.avail_out));
    (void)deflateEnd(&s);
    expect("compressed, although nobody wants bodies",
           "{\"operation_type\":\"query\",\"summary\":\"{ a }\",\"fields\":[\"a\"],\"has_data\":false,\"errors\":2,"
           "\"error_message\":\"m\",\"error_code\":\"42\",\"error_path\":\"[\\\"a\\\",0]\"}");
    add_request("POST /g", JSON, TD_LIT("{\"query\":\"subscription{a}\"}"));
    add_response("text/event-stream", NULL,
                 TD_LIT(":\n\nevent: next\ndata: {\"data\":{\"a\":1}}\n\nevent: next\ndata:{\"errors\":[{\"message\":\"late\"}]}\n\n"));
    expect("an event stream",
           "{\"operation_type\":\"subscription\",\"summary\":\"{ a }\",\"fields\":[\"a\"],\"has_data\":true,\"errors\":1,"
           "\"error_message\":\"late\"}");
    add_request("POST /g", JSON, TD_LIT("{\"query\":\"{a}\"}"));
    add_response("application/json", "gzip", TD_LIT("{\"data\":{\"a\":1}}"));
    expect("an answer that cannot be decoded is none", "{\"operation_type\":\"query\",\"summary\":\"{ a }\",\"fields\":[\"a\"]}");
    add_request("POST /g", JSON, TD_LIT("{\"query\":\"{a}\"}"));
    add_response("text/html", NULL, TD_LIT("<p>Bad Gateway"));
    expect("no answer of GraphQL", "{\"operation_type\":\"query\",\"summary\":\"{ a }\",\"fields\":[\"a\"]}");
    add_request("POST /g", JSON, TD_LIT("{\"query\":\"{a}\"}"));
    expect("no answer at all", "{\"operation_type\":\"query\",\"summary\":\"{ a }\",\"fields\":[\"a\"]}");
}

/* A frame of HTTP/2 on stream 1 (0 for SETTINGS); its header fields are literals (RFC 7541 section 6.2.2). */
static void add_frame(int dir, uint8_t type, uint8_t flags, struct td_slice payload)
{
    const uint8_t head[9] = {0, (uint8_t)(payload.n >> 8), (uint8_t)payload.n, type, flags, 0, 0, 0, type != 4};
    buf_put_slice(&side[dir], td_bytes(head, sizeof(head)));
    buf_put_slice(&side[dir], payload);
}

static void add_fields(int dir, uint8_t flags, const char *const *fields)
{
    struct buf block = {0};
    for (; *fields; fields += 2) {
        buf_putc(&block, 0);
        for (int i = 0; i < 2; i++) {
            buf_putc(&block, (char)strlen(fields[i]));
            buf_puts(&block, fields[i]);
        }
    }
    add_frame(dir, 1, flags, buf_slice(&block));
    buf_clear(&block);
}

static void test_http2(void)
{
    static const char *const methods[] = {"GET", "HEAD", "POST"};
    for (size_t i = 0; i < 3; i++) {
        const char *const request[] = {":method",          methods[i],     ":scheme",          "http", ":authority", "h", ":path",
                                       "/g?query=%7Ba%7D", "content-type", "application/json", NULL};
        const char *const response[] = {":status", "200", "content-type", "application/json", NULL};
        add(0, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        add_frame(0, 4, 0, td_bytes(NULL, 0));
        add_frame(1, 4, 0, td_bytes(NULL, 0));
        add_fields(0, 5, request);
        add_fields(1, i == 1 ? 5 : 4, response);
        if (i != 1)
            add_frame(1, 0, 1, TD_LIT("{\"data\":{}}"));
        json_t *call = dissect(1400);
        char *got = told(call);
        is_str(json_string_value(json_object_get(call, "http_version")), "2", "HTTP/2");
        is_str(got, i == 0 ? "{" ASKED_A "," ANSWERED "}" : i == 1 ? "{" ASKED_A "}" : "{}", "%s of HTTP/2 that names a type", methods[i]);
        free(got);
        json_decref(call);
        clear();
    }
}

/* ---- What is not whole ------------------------------------------------------------------------------------------------------ */

/* `n` bytes of text that says nothing. */
static void pad(struct buf *out, size_t n)
{
    while (n--)
        buf_putc(out, 'x');
}

/* What is told of a call, and whether that is said to be not all. */
static void expect_partial(const char *name, bool partial, const char *want)
{
    json_t *call = dissect(1400);
    char *got = told(call);
    is_str(got, want, "%s", name);
    ok(json_is_true(json_object_get(call, "partial")) == partial, "%s: partial or not", name);
    free(got);
    json_decref(call);
    clear();
}

static void test_too_long(void)
{
    enum { LONG = (1 << 20) + 100000 };
    struct buf text = {0};
    add_request("POST /g", JSON, TD_LIT("{\"query\":\"{a}\"}"));
    buf_puts(&text, "{\"data\":{\"a\":\"");
    pad(&text, LONG);
    buf_puts(&text, "\"},\"errors\":[{\"message\":\"late\"}]}");
    add_response("application/json", NULL, buf_slice(&text));
    expect_partial("an answer whose end is not read", true, "{" ASKED_A ",\"has_data\":true}");
    add_request("POST /g", JSON, TD_LIT("{\"query\":\"{a}\"}"));
    buf_reset(&text);
    buf_puts(&text, "{\"errors\":[{\"message\":\"early\"}],\"extensions\":\"");
    pad(&text, LONG);
    buf_puts(&text, "\",\"data\":{\"a\":1}}");
    add_response("application/json", NULL, buf_slice(&text));
    expect_partial("errors first", true, "{" ASKED_A ",\"errors\":1,\"error_message\":\"early\"}");
    buf_reset(&text);
    buf_puts(&text, "{\"query\":\"{a}\",\"variables\":{\"a\":\"");
    pad(&text, LONG);
    buf_puts(&text, "\"}}");
    add_request("POST /g", JSON, buf_slice(&text));
    add_response("application/json", NULL, TD_LIT("{\"data\":{}}"));
    expect_partial("variables without end", true, "{" ASKED_A "," ANSWERED "}");
    buf_reset(&text);
    buf_puts(&text, "query=%7Ba%7D&variables=");
    pad(&text, LONG);
    add_request("POST /g", "application/x-www-form-urlencoded", buf_slice(&text));
    expect_partial("in a form", true, "{" ASKED_A "}");
    buf_reset(&text);
    add_request("POST /g", JSON, TD_LIT("{\"query\":\"{a}\"}"));
    buf_puts(&text, "data: {\"data\":{\"a\":1}}\n");
    pad(&text, LONG);
    buf_puts(&text, "\ndata: {\"errors\":[{}]}\n");
    add_response("text/event-stream", NULL, buf_slice(&text));
    expect_partial("an event stream", true, "{" ASKED_A ",\"has_data\":true}");
    rig.options.max_connection_memory = 300000;
    rig.payload = false;
    add_request("POST /g", JSON, TD_LIT("{\"query\":\"{a}\"}"));
    add_response("application/json", NULL, td_sub(buf_slice(&text), 0, 400000));
    expect_partial("memory is short", true, "{" ASKED_A "}");
    rig.options.max_connection_memory = 16 << 20;
    rig.payload = true;
    buf_clear(&text);
}

static void test_batches(void)
{
    struct buf text = {0};
    for (int cut = 0; cut < 2; cut++) {
        buf_reset(&text);
        for (int i = 0; i < 1500; i++)
            buf_printf(&text, "%c{\"query\":\"{a}\"}", i ? ',' : '[');
        if (cut)
            pad(&text, 1 << 20);
        buf_putc(&text, ']');
        add_request("POST /g", JSON, buf_slice(&text));
        expect_partial(cut ? "a batch that is not read to its end" : "a large batch", cut,
                       cut ? "{" ASKED_A "}" : "{" ASKED_A ",\"batch_size\":1500}");
    }
    buf_clear(&text);
    add_request("POST /g", JSON, TD_LIT("[{\"query\":\"{a}\"},{\"query\":\"{b}\"}]"));
    add_response("application/json", NULL, TD_LIT("[{\"data\":{}},{\"data\":null,\"errors\":[{}"));
    expect_partial("answers without end", true, "{" ASKED_A ",\"batch_size\":2,\"has_data\":true}");
}

/* What comes behind a hole is not known, and so neither that there were no errors. */
static void test_hole(void)
{
    struct traffic t;
    struct talk talk;
    json_t *call;
    char *got;
    add_request("POST /g", JSON, TD_LIT("{\"query\":\"{a}\"}"));
    add_response("text/event-stream", NULL, TD_LIT("data: {\"data\":{\"a\":1}}\n\ndata: {\"errors\":[{}]}\n\n"));
    traffic_init(&t);
    talk_open(&talk, &t, (struct peer){{10, 0, 0, 1}, 40000}, (struct peer){{10, 0, 0, 2}, 80});
    talk_send(&talk, 0, buf_slice(&side[0]), 1400);
    talk_send(&talk, 1, td_sub(buf_slice(&side[1]), 0, side[1].n - 30), 1400);
    talk_lose(&talk, 1, 28);
    talk_send(&talk, 1, TD_LIT("\n\n"), 1400);
    talk_close(&talk);
    call = json_loads(rig_run(&rig, buf_slice(&t.pcap)), JSON_DISABLE_EOF_CHECK, NULL);
    got = told(call);
    is_str(got, "{" ASKED_A ",\"has_data\":true}", "an event stream with a hole");
    ok(json_is_true(json_object_get(call, "partial")), "it is partial");
    free(got);
    json_decref(call);
    traffic_clear(&t);
    clear();
}

/* ---- Messages of a WebSocket ----------------------------------------------------------------------------------------------- */

static void add_message(int dir, const char *text)
{
    size_t n = strlen(text);
    buf_putc(&side[dir], (char)0x81);
    if (n < 126) {
        buf_putc(&side[dir], (char)(n | (dir ? 0 : 0x80)));
    } else {
        buf_putc(&side[dir], (char)(126 | (dir ? 0 : 0x80)));
        buf_putc(&side[dir], (char)(n >> 8));
        buf_putc(&side[dir], (char)n);
    }
    if (dir == 0)
        buf_put_slice(&side[dir], td_bytes("\0\0\0\0", 4));
    add(dir, text);
}

static void test_messages(const char *subprotocol, bool is_graphql)
{
    static const struct {
        int dir;
        const char *text, *told;
    } cases[] = {
        {0, "{\"type\":\"connection_init\"}", "{\"summary\":\"connection_init\",\"message_type\":\"connection_init\"}"},
        {0, "{\"id\":\"7\",\"type\":\"subscribe\",\"payload\":{\"query\":\"subscription S{s}\"}}",
         "{\"operation_type\":\"subscription\",\"summary\":\"S\",\"operation_name\":\"S\",\"fields\":[\"s\"],\"message_type\":"
         "\"subscribe\","
         "\"message_id\":\"7\"}"},
        {1, "{\"id\":\"7\",\"type\":\"next\",\"payload\":{\"data\":{\"s\":1}}}",
         "{\"summary\":\"next\"," ANSWERED ",\"message_type\":\"next\",\"message_id\":\"7\"}"},
        {1, "{\"id\":\"7\",\"type\":\"error\",\"payload\":[{\"message\":\"no\"}]}",
         "{\"summary\":\"error\",\"has_data\":false,\"errors\":1,\"error_message\":\"no\",\"message_type\":\"error\",\"message_id\":"
         "\"7\"}"},
        {1, "{\"type\":\"ka\"}", "{\"summary\":\"ka\",\"message_type\":\"ka\"}"},
        {1, "not JSON", "{}"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct traffic t;
        struct talk talk;
        add(0, "GET /g HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        add(1, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Padding: ");
        pad(&side[1], 3960); /* of which no more than 4096 bytes are handed over */
        add(1, "\r\nSec-WebSocket-Protocol: ");
        add(1, subprotocol);
        add(1, "\r\n\r\n");
        traffic_init(&t);
        talk_open(&talk, &t, (struct peer){{10, 0, 0, 1}, 40000}, (struct peer){{10, 0, 0, 2}, 80});
        for (int dir = 0; dir < 2; dir++)
            talk_send(&talk, dir, buf_slice(&side[dir]), 1400);
        clear();
        add_message(cases[i].dir, cases[i].text);
        talk_send(&talk, cases[i].dir, buf_slice(&side[cases[i].dir]), 20);
        talk_close(&talk);
        const char *line = strchr(rig_run(&rig, buf_slice(&t.pcap)), '\n');
        json_t *call = json_loads(line ? line + 1 : "", JSON_DISABLE_EOF_CHECK, NULL);
        char *got = told(call);
        is_str(got, is_graphql ? cases[i].told : "{}", "%s: %s", subprotocol, cases[i].text);
        is_str(json_string_value(json_object_get(call, "ws_subprotocol")), subprotocol, "with the subprotocol");
        is_str(json_string_value(json_object_get(call, "url")), "ws://h/g", "and the URL that were handed over");
        free(got);
        json_decref(call);
        traffic_clear(&t);
        clear();
    }
}

int main(void)
{
    rig_open(&rig, plugins);
    rig.options.max_memory = 1 << 30; /* so that nothing but maxDocumentSize is the limit */
    rig.options.max_connection_memory = 16 << 20;
    test_requests();
    test_others();
    test_answers();
    test_http2();
    test_too_long();
    test_batches();
    test_hole();
    test_messages("graphql-transport-ws", true);
    test_messages("graphql-ws", true);
    test_messages("chat", false);
    rig_close(&rig);
    buf_clear(&side[0]);
    buf_clear(&side[1]);
    return tap_done();
}
