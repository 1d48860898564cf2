#include "call/call_csv.h"

#include "base/mem.h"
#include "sample.h"
#include "tap.h"

static struct field_set fields;
static const struct field_set *components[1] = {&fields};
static struct td_call call;
static struct buf out;

static struct column_set columns(const char *list)
{
    struct column_set set;
    ok(column_set_parse(&set, list, components, 1, NULL) == TD_OK, "columns %s", list);
    return set;
}

static const char *row(const char *list)
{
    struct column_set set = columns(list);
    buf_reset(&out);
    call_csv_put_row(&out, &set, &call);
    column_set_clear(&set);
    return buf_cstr(&out);
}

static void test_header(void)
{
    struct column_set set = columns("timestamp,method,request.headers");
    call_csv_put_header(&out, &set);
    is_str(buf_cstr(&out), "timestamp,method,request.headers\r\n", "the names of the columns");
    column_set_clear(&set);
}

static void test_cells(void)
{
    static const struct {
        const char *name, *bytes, *want;
    } cases[] = {
        {"plain text stands without quotes", "GET /x?a=b;c", "GET /x?a=b;c"},
        {"a comma", "a,b", "\"a,b\""},
        {"quotes are doubled", "say \"hi\"", "\"say \"\"hi\"\"\""},
        {"one quote", "\"", "\"\"\"\""},
        {"nothing but quotes", "\"\"\"", "\"\"\"\"\"\"\"\""},
        {"a line feed", "a\nb", "\"a\nb\""},
        {"a carriage return", "a\rb", "\"a\rb\""},
        {"both, and what a row ends with", "a\r\nb,\"\r\n", "\"a\r\nb,\"\"\r\n\""},
        {"a tab is not escaped", "a\tb", "a\tb"},
        {"a backslash neither", "a\\nb", "a\\nb"},
        {"control characters stay", "\033[31m\x7f\x01", "\033[31m\x7f\x01"},
        {"a space at the beginning", " a", "\" a\""},
        {"a space at the end", "a ", "\"a \""},
        {"UTF-8", "caf\xc3\xa9 \xe2\x82\xac", "caf\xc3\xa9 \xe2\x82\xac"},
        {"bytes that are not UTF-8", "a\xff\xc3z\xe2\x82", "a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd"},
        {"what spreadsheets take for formulas", "=1+2", "=1+2"},
        {"and with quotes", "@SUM(\"A1\")", "\"@SUM(\"\"A1\"\")\""},
        {"and other beginnings of such", "-1", "-1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf line = {0};
        call_set_bytes(&call, F_PATH, td_str(cases[i].bytes));
        buf_printf(&line, "%s\r\n", cases[i].want);
        is_str(row("path"), buf_cstr(&line), "%s", cases[i].name);
        buf_reset(&line);
        buf_printf(&line, "%s,,%s\r\n", cases[i].want, cases[i].want);
        is_str(row("path,x_unused,path"), buf_cstr(&line), "%s, twice", cases[i].name);
        buf_clear(&line);
    }
    call_set_bytes(&call, F_PATH, td_bytes("a\0b", 3));
    is_str(row("path"),
           "a\xef\xbf\xbd"
           "b\r\n",
           "a zero");
    call_set_bytes(&call, F_PATH, TD_LIT(""));
    is_str(row("path"), "\"\"\r\n", "an empty cell alone is not an empty line");
    is_str(row("path,x_unused"), ",\r\n", "two empty cells");
}

static void test_kinds(void)
{
    call_set_u64(&call, F_STATUS, 404);
    call_set_bytes(&call, F_TAGS, TD_LIT("a"));
    is_str(row("x_tags"), "a\r\n", "a list of one");
    call_set_bytes(&call, F_TAGS, TD_LIT("b \"c\""));
    call_set_pair(&call, F_REQUEST_HEADERS, TD_LIT("Host"), TD_LIT("h"));
    call_set_pair(&call, F_REQUEST_HEADERS, TD_LIT("Accept"), TD_LIT("a\nb"));
    call_append_bytes(&call, F_REQUEST_BODY, TD_LIT("line\r\nline"));
    is_str(row("x_tags,status_code"), "\"a,b \"\"c\"\"\",404\r\n", "a list");
    is_str(row("request.headers,src"), "\"Host: h; Accept: a\nb\",192.0.2.1:40001\r\n", "a map");
    is_str(row("request.body,complete"), "\"line\r\nline\",false\r\n", "a body");
}

/* A long cell of nothing but quotes, wherever the room ends. */
static void test_room(void)
{
    struct buf long_text = {0};
    for (int i = 0; i < 100000; i++)
        buf_putc(&long_text, '"');
    call_set_bytes(&call, F_PATH, buf_slice(&long_text));
    row("path");
    is_int(out.n, 200000 + 2 + 2, "a long cell doubles");
    ok(!out.failed && out.p[0] == '"' && out.p[out.n - 3] == '"' && !memchr(out.p, ' ', out.n), "and is all quotes");

    struct column_set set = columns("method,path,method");
    call_set_bytes(&call, F_PATH, TD_LIT("a,\"b\""));
    for (size_t max = 1; max < 13; max++) {
        struct buf small;
        buf_init(&small, max);
        call_csv_put_row(&small, &set, &call);
        ok(small.failed && small.n <= max, "no room with %zu bytes: the buffer says so", max);
        buf_clear(&small);
    }
    struct buf enough;
    buf_init(&enough, 13);
    call_csv_put_row(&enough, &set, &call);
    ok(!enough.failed, "room");
    is_mem(enough.p, enough.n, ",\"a,\"\"b\"\"\",\r\n", 13, "and the row");
    buf_clear(&enough);
    column_set_clear(&set);
    buf_clear(&long_text);
}

int main(void)
{
    is_int(sample_call(&fields, &call), TD_OK, "a call");
    test_header();
    test_cells();
    test_kinds();
    test_room();
    buf_clear(&out);
    call_clear(&call);
    field_set_clear(&fields);
    return tap_done();
}
