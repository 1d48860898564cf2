#include "call/call_json.h"

#include <jansson.h>

#include "sample.h"
#include "tap.h"

#define S INT64_C(1000000000)

static struct field_set fields;
static struct td_call call;
static struct buf out;

static const char *json_of(bool payload)
{
    buf_reset(&out);
    call_put_json(&out, &call, payload);
    const char *text = buf_cstr(&out);
    json_t *v = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    ok(v && text[out.n - 1] == '\n' && !memchr(text, '\n', out.n - 1), "valid JSON on one line");
    json_decref(v);
    return text;
}

static void test_smallest(void)
{
    call_add_packet(&call.half[TD_CLIENT], 4, 1767323045 * S + 6, 10);
    is_str(json_of(false),
           "{\"timestamp\":\"2026-01-02T03:04:05.000000006Z\",\"protocol\":\"SAMPLE\",\"transport\":\"TCP\",\"conn_id\":3,"
           "\"src\":{\"ip\":\"192.0.2.1\",\"port\":40001},\"dst\":{\"ip\":\"192.0.2.80\",\"port\":8080},\"elapsed_time\":0,"
           "\"request\":{\"first_time\":\"2026-01-02T03:04:05.000000006Z\",\"last_time\":\"2026-01-02T03:04:05.000000006Z\","
           "\"size\":10,\"frames\":[4],\"complete\":true}}\n",
           "a request without values and without an answer");
    call_reset(&call, 0);
}

static void test_every_type(void)
{
    call_set_bytes(&call, F_PATH, TD_LIT("/caf\xc3\xa9?\"\xff"));
    call_set_bytes(&call, F_METHOD, TD_LIT("GET")); /* set in another order than printed */
    call_set_u64(&call, F_STATUS, 404);
    call_set_u64(&call, F_SECURE, 0);
    call_set_i64(&call, F_OFFSET, -5);
    call_set_bytes(&call, F_ADDRESS, td_bytes("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16));
    call_set_i64(&call, F_BEGUN, 0);
    call_set_i64(&call, F_TOOK, 1500);
    call_set_u64(&call, F_KIND, 1000);
    call_set_bytes(&call, F_DIGEST, td_bytes("\0\377\20", 3));
    call_set_bytes(&call, F_TAGS, TD_LIT("a"));
    call_set_bytes(&call, F_TAGS, TD_LIT("b"));
    call_set_u64(&call, F_CODES, 7);
    call_set_bytes(&call, F_RESPONSE_FLAGS, TD_LIT("qr"));
    call_set_pair(&call, F_REQUEST_HEADERS, TD_LIT("Host"), TD_LIT("a\tb"));
    call_set_pair(&call, F_REQUEST_HEADERS, TD_LIT("host"), TD_LIT(""));
    call_append_bytes(&call, F_REQUEST_BODY, TD_LIT("{\"text\":1}"));
    call_append_bytes(&call, F_RESPONSE_BODY, td_bytes("\x89PNG", 4));
    call_add_packet(&call.half[TD_CLIENT], 4, 1 * S, 100);
    call_add_packet(&call.half[TD_CLIENT], 6, 2 * S, 50);
    call_add_packet(&call.half[TD_SERVER], 7, 3 * S, 20);
    call.half[TD_SERVER].missing = 9;
    const char *head =
        "{\"timestamp\":\"1970-01-01T00:00:01.000000000Z\",\"protocol\":\"SAMPLE\",\"transport\":\"TCP\",\"conn_id\":3,"
        "\"src\":{\"ip\":\"192.0.2.1\",\"port\":40001},\"dst\":{\"ip\":\"192.0.2.80\",\"port\":8080},\"elapsed_time\":2000000,"
        "\"method\":\"GET\",\"path\":\"/caf\xc3\xa9?\\\"\xef\xbf\xbd\",\"status_code\":404,\"x_secure\":false,\"x_offset\":-5,"
        "\"x_address\":\"2001:db8::1\",\"x_begun\":\"1970-01-01T00:00:00.000000000Z\",\"x_took\":1500,\"x_kind\":\"many\","
        "\"x_digest\":\"AP8Q\",\"x_tags\":[\"a\",\"b\"],\"x_codes\":[7],"
        "\"request\":{\"first_time\":\"1970-01-01T00:00:01.000000000Z\",\"last_time\":\"1970-01-01T00:00:02.000000000Z\",\"size\":150,"
        "\"frames\":[4,6],\"complete\":true";
    const char *request =
        ",\"headers\":[{\"name\":\"Host\",\"value\":\"a\\tb\"},{\"name\":\"host\",\"value\":\"\"}],\"body\":\"{\\\"text\\\":1}\"";
    const char *middle =
        "},\"response\":{\"first_time\":\"1970-01-01T00:00:03.000000000Z\",\"last_time\":\"1970-01-01T00:00:03.000000000Z\",\"size\":20,"
        "\"frames\":[7],\"complete\":false,\"missing_bytes\":9";
    const char *body = ",\"body_base64\":\"iVBORw==\"";
    const char *tail = ",\"flags\":[\"qr\"]}}\n";
    struct buf want = {0};
    buf_printf(&want, "%s%s%s", head, middle, tail);
    is_str(json_of(false), buf_cstr(&want), "every type, without payload");
    buf_reset(&want);
    buf_printf(&want, "%s%s%s%s%s", head, request, middle, body, tail);
    is_str(json_of(true), buf_cstr(&want), "every type, with payload");
    buf_clear(&want);
}

/* What is not whole says so. */
static void test_marks(void)
{
    call_set_u64(&call, F_KIND, 5);
    like(json_of(false), "\"x_kind\":\"5\"", "an enum's value without a name");
    call.flags = TD_PARTIAL;
    like(json_of(false), "\"elapsed_time\":2000000,\"partial\":true,\"method\"", "the dissector said so");
    call.flags = TD_ONE_WAY;
    like(json_of(false), "\"elapsed_time\":2000000,\"one_way\":true,\"method\"", "nothing answers it");
    call.flags = 0;
    call.incomplete_values = true;
    like(json_of(false), "\"partial\":true", "values that found no memory");
    call.half[TD_CLIENT].frames.cut = true;
    like(json_of(false), "\"frames\":[4,6],\"frames_cut\":true,\"complete\":true", "a list of frames that is not whole");
    call.half[TD_CLIENT].cut = true;
    like(json_of(false), "\"frames_cut\":true,\"complete\":false", "a request whose end was not seen");
    buf_clear(&call.bodies[0].bytes);
    call.bodies[0].bytes.max = 4;
    call_set_bytes(&call, F_REQUEST_BODY, TD_LIT("whole"));
    call_set_bytes(&call, F_REQUEST_BODY, TD_LIT("here"));
    call_append_bytes(&call, F_REQUEST_BODY, TD_LIT(" and more than there is room for"));
    like(json_of(true), "\"body\":\"here\",\"body_cut\":true", "a body that is cut");
    call.bodies[0].bytes.max = 0;
}

static void test_ends(void)
{
    struct td_flow flow = {.ip = {{0x20, 1, 0xd, 0xb8}, {0xfe, 0x80, [15] = 1}}, .port = {5353, 53}, .ip_version = 6, .transport = 17};
    call_reset(&call, 0);
    call.flow = &flow;
    call_add_packet(&call.half[TD_SERVER], 9, -1, 10);
    const char *text = json_of(true);
    like(text, "{\"timestamp\":\"1969-12-31T23:59:59.999999999Z\",\"protocol\":\"SAMPLE\",\"transport\":\"UDP\",",
         "an answer alone, over UDP");
    like(text, "\"src\":{\"ip\":\"2001:db8::\",\"port\":5353},\"dst\":{\"ip\":\"fe80::1\",\"port\":53},\"elapsed_time\":0,\"response\":{",
         "over IPv6");
    ok(!strstr(text, "\"request\""), "a half that was not seen is not there");
    call.flow = &sample_flow;
}

static void test_ceiling(void)
{
    struct buf small;
    buf_init(&small, 100);
    call_put_json(&small, &call, true);
    ok(small.failed && small.n <= 100, "no room: the buffer says so");
    buf_clear(&small);
}

int main(void)
{
    is_int(sample_call(&fields, &call), TD_OK, "a call");
    test_smallest();
    test_every_type();
    test_marks();
    test_ends();
    test_ceiling();
    buf_clear(&out);
    call_clear(&call);
    field_set_clear(&fields);
    return tap_done();
}
