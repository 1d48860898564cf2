#include "call/column.h"

#include "base/mem.h"
#include "sample.h"
#include "tap.h"

#define S INT64_C(1000000000)

static struct field_set fields, other_fields;
static const struct field_set *components[2] = {&fields, &other_fields};
static struct td_call call;
static struct buf out;

/* A second component, which shares a field with the first. */
static const struct td_field other_rows[] = {
    {"y_name", TD_STRING, TD_F_TARGET, "", {0}},
    {"status_code", TD_U64, TD_F_STATUS, "", {0}},
};
static const struct td_table other_table = TD_TABLE(other_rows);

/* The call's row in these columns. */
static const char *row(const char *list)
{
    struct column_set set;
    struct error err = {0};
    if (column_set_parse(&set, list, components, 2, &err) != TD_OK) {
        tap_diag("%s: %s", list, err.text);
        return NULL;
    }
    buf_reset(&out);
    column_put_row(&out, &set, &call);
    column_set_clear(&set);
    return buf_cstr(&out);
}

static void fill(void)
{
    call_set_bytes(&call, F_METHOD, TD_LIT("GET"));
    call_set_bytes(&call, F_PATH, TD_LIT("/x"));
    call_set_u64(&call, F_STATUS, 404);
    call_set_u64(&call, F_SECURE, 1);
    call_set_i64(&call, F_OFFSET, -5);
    call_set_bytes(&call, F_ADDRESS, td_bytes("\300\0\2\7", 4));
    call_set_i64(&call, F_BEGUN, 1 * S);
    call_set_i64(&call, F_TOOK, -1500);
    call_set_u64(&call, F_KIND, 2);
    call_set_bytes(&call, F_DIGEST, TD_LIT("ab"));
    call_set_bytes(&call, F_TAGS, TD_LIT("a"));
    call_set_bytes(&call, F_TAGS, TD_LIT("b"));
    call_set_u64(&call, F_CODES, 7);
    call_set_u64(&call, F_CODES, 8);
    call_set_pair(&call, F_REQUEST_HEADERS, TD_LIT("Host"), TD_LIT("h"));
    call_set_pair(&call, F_REQUEST_HEADERS, TD_LIT("Accept"), TD_LIT(""));
    call_append_bytes(&call, F_REQUEST_BODY, TD_LIT("line\nline"));
    call_add_packet(&call.half[TD_CLIENT], 4, 1767323045 * S + 6789, 100);
    call_add_packet(&call.half[TD_CLIENT], 6, 1767323045 * S + 6789, 100);
    call_add_packet(&call.half[TD_SERVER], 7, 1767323045 * S + 1240789, 30);
}

static void test_columns(void)
{
    static const struct {
        const char *name, *want;
    } columns[] = {
        {"timestamp", "2026-01-02T03:04:05.000006789Z"},
        {"protocol", "SAMPLE"},
        {"transport", "TCP"},
        {"conn_id", "3"},
        {"elapsed_time", "1234"},
        {"latency", "1.23ms"},
        {"src", "192.0.2.1:40001"},
        {"src.ip", "192.0.2.1"},
        {"src.port", "40001"},
        {"dst", "192.0.2.80:8080"},
        {"dst.ip", "192.0.2.80"},
        {"dst.port", "8080"},
        {"summary.method", "GET"},
        {"summary.target", "/x"},
        {"summary.status", "404"},
        {"request.size", "200"},
        {"response.size", "30"},
        {"request.frames", "4,6"},
        {"response.frames", "7"},
        {"complete", "true"},
        {"method", "GET"},
        {"path", "/x"},
        {"status_code", "404"},
        {"x_secure", "true"},
        {"x_offset", "-5"},
        {"x_address", "192.0.2.7"},
        {"x_begun", "1970-01-01T00:00:01.000000000Z"},
        {"x_took", "-1500"},
        {"x_kind", "two"},
        {"x_digest", "ab"},
        {"x_tags", "a,b"},
        {"x_codes", "7,8"},
        {"x_unused", ""},
        {"request.headers", "Host: h; Accept: "},
        {"request.body", "line\\nline"},
        {"response.body", ""},
        {"y_name", ""}, /* the other component's */
    };
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        struct buf line = {0};
        buf_printf(&line, "%s\n", columns[i].want);
        is_str(row(columns[i].name), buf_cstr(&line), "%s", columns[i].name);
        buf_clear(&line);
    }
    is_str(row("method,path,x_unused,status_code"), "GET\t/x\t\t404\n", "several, with tabs between");
    is_str(row("path,path"), "/x\t/x\n", "one of them twice");

    call.component = 1;
    call.fields = &other_fields;
    memset(call.set, 0, sizeof(call.set));
    call_set_bytes(&call, 0, TD_LIT("n"));
    call_set_u64(&call, 1, 5);
    is_str(row("method,y_name,status_code,summary.method,summary.target,summary.status"), "\tn\t5\t\tn\t5\n",
           "a call of the other component");
    call.component = 0;
    call.fields = &fields;
    memset(call.set, 0, sizeof(call.set));
}

static void test_escapes(void)
{
    static const struct {
        const char *name, *bytes, *want;
    } cases[] = {
        {"tabs and newlines", "a\tb\nc\rd", "a\\tb\\nc\\rd"},
        {"backslashes", "a\\tb", "a\\\\tb"},
        {"control characters", "\033[31m\x7f\x01", "\\x1b[31m\\x7f\\x01"},
        {"UTF-8", "caf\xc3\xa9 \xe2\x82\xac", "caf\xc3\xa9 \xe2\x82\xac"},
        {"bytes that are not UTF-8", "a\xff\xc3z\xe2\x82", "a\\xff\\xc3z\\xe2\\x82"},
        {"control characters of the second kind",
         "\xc2\x9b"
         "31m\xc2\x80\xc2\x9f\xc2\xa0",
         "\\xc2\\x9b31m\\xc2\\x80\\xc2\\x9f\xc2\xa0"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf line = {0};
        call_set_bytes(&call, F_PATH, td_str(cases[i].bytes));
        buf_printf(&line, "%s\n", cases[i].want);
        is_str(row("path"), buf_cstr(&line), "%s", cases[i].name);
        buf_clear(&line);
    }
    call_set_bytes(&call, F_PATH, td_bytes("a\0b", 3));
    is_str(row("path"), "a\\x00b\n", "a zero");
}

static void test_ends(void)
{
    struct td_flow flow = {.ip = {{0x20, 1, 0xd, 0xb8}, {0xfe, 0x80, [15] = 1}}, .port = {5353, 53}, .ip_version = 6, .transport = 17};
    call.flow = &flow;
    is_str(row("transport,src,src.ip,dst"), "UDP\t[2001:db8::]:5353\t2001:db8::\t[fe80::1]:53\n", "IPv6 and UDP");
    call.flow = &sample_flow;
    call.half[TD_SERVER].seen = false;
    is_str(row("latency,elapsed_time,complete"), "\t0\tfalse\n", "without an answer");
}

static int parse_error(const char *list, struct error *err)
{
    struct column_set set;
    *err = (struct error){0};
    int status = column_set_parse(&set, list, components, 2, err);
    if (status == TD_OK)
        column_set_clear(&set);
    return status;
}

static void test_refusals(void)
{
    struct error err;
    is_int(parse_error("method,statuscode", &err), TD_E_CONFIG, "a name that there is not");
    is_str(err.text, "there is no field \"statuscode\"; did you mean \"status_code\"?", "the nearest of the components' is told");
    is_int(parse_error("src.prt", &err), TD_E_CONFIG, "a core column misspelt");
    is_str(err.text, "there is no field \"src.prt\"; did you mean \"src.port\"?", "and its nearest");
    is_int(parse_error("Y_NAMES", &err), TD_E_CONFIG, "a name of the second component, misspelt");
    is_str(err.text, "there is no field \"Y_NAMES\"; did you mean \"y_name\"?", "and its nearest");
    is_int(parse_error("banana", &err), TD_E_CONFIG, "a name like no other");
    like(err.text, "tapedeck plugin show NAME", "where fields are listed is told");
    is_int(parse_error("", &err), TD_E_CONFIG, "nothing");
    is_int(parse_error("method,,path", &err), TD_E_CONFIG, "nothing between commas");
    is_int(parse_error("method,", &err), TD_E_CONFIG, "nothing at the end");
    like(err.text, "between the commas", "and that is said");

    struct buf many = {0};
    for (int i = 0; i < COLUMN_MAX; i++)
        buf_printf(&many, "%spath", i ? "," : "");
    is_int(parse_error(buf_cstr(&many), &err), TD_OK, "as many as are possible");
    buf_puts(&many, ",path");
    is_int(parse_error(buf_cstr(&many), &err), TD_E_LIMIT, "one more");
    is_str(err.text, "more than 64 fields", "and that is said");
    buf_clear(&many);

    for (unsigned long nth = 1; nth <= 3; nth++) {
        mem_fail_at(nth);
        is_int(parse_error("method,path", &err), TD_E_NOMEM, "no memory at allocation %lu", nth);
    }
    mem_fail_at(0);
}

int main(void)
{
    is_int(sample_call(&fields, &call), TD_OK, "a call");
    is_int(field_set_init(&other_fields, &other_table, NULL), TD_OK, "another component");
    fill();
    test_columns();
    test_escapes();
    test_ends();
    test_refusals();
    buf_clear(&out);
    call_clear(&call);
    field_set_clear(&fields);
    field_set_clear(&other_fields);
    return tap_done();
}
