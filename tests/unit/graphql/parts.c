/* Parts of the GraphQL dissector that need no host: JSON, documents, forms. */
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../../plugins/dissectors/form/form.h"
#include "../../../plugins/dissectors/graphql/graphql_document.h"
#include "../../../plugins/dissectors/graphql/graphql_json.h"
#include "base/buf.h"

static void test_json(void)
{
    static const struct {
        const char *text, *members; /* key:kind, a ! if the value does not end */
    } cases[] = {
        {"{\"a\":1,\"b\":\"x\",\"c\":{\"d\":[1,2]},\"e\":null}", "a:0 b:\" c:{ e:n "},
        {" { \"a\" : \"}\\\"{\" , \"b\" : [ { \"x\" : \"]\" } ] } ", "a:\" b:[ "},
        {"{}", ""},
        {"[1]", ""},
        {"{\"a\":tru", "a:t "},
        {"{\"a\":{\"b\":1", "a:{! "},
        {"{\"a\":\"no end", "a:\"! "},
        {"{\"a\"", ""},
        {"{\"a\":}", ""},
        {"{\"a\":1 \"b\":2}", "a:0 "},
        {"{\"a\":\"\\\\\",\"b\":2}", "a:\" b:0 "},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct td_slice rest = td_str(cases[i].text), key, value;
        char got[200] = "";
        bool cut;
        while (gql_json_kind(gql_json_value(td_str(cases[i].text))) != '[' && gql_json_member(&rest, &key, &value, &cut))
            snprintf(got + strlen(got), sizeof(got) - strlen(got), "%.*s:%c%s ", (int)key.n, (const char *)key.p, gql_json_kind(value),
                     cut ? "!" : "");
        is_str(got, cases[i].members, "members of %s", cases[i].text);
    }
}

static void test_strings(void)
{
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"\"plain\"", "plain"},
        {"\"a\\n\\t\\\"\\\\\\/\\b\\f\\r\"", "a\n\t\"\\/\b\f\r"},
        {"\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\"\\ud83d\"", "\xef\xbf\xbd"},
        {"\"\\ude00x\"", "\xef\xbf\xbdx"},
        {"\"\\uzz\"", "uzz"},
        {"17", ""},
        {"\"", ""},
    };
    uint8_t room[100];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct td_slice got = gql_json_string(td_str(cases[i].json), room);
        ok(td_eq(got, td_str(cases[i].text)), "the text of %s", cases[i].json);
    }
}

/* type name: fields; of the operation that is asked for. */
static void put_document(char *out, size_t room, const char *text, const char *wanted)
{
    static const char *const types[] = {"query", "mutation", "subscription"};
    struct gql_document d;
    size_t n;
    if (!gql_read_document(td_str(text), td_str(wanted), &d)) {
        snprintf(out, room, "none");
        return;
    }
    n = (size_t)snprintf(out, room, "%u %s %.*s:", d.operations, types[d.type], (int)d.name.n, d.name.n ? (const char *)d.name.p : "");
    for (uint32_t i = 0; i < d.n_fields; i++)
        n += (size_t)snprintf(out + n, room - n, " %.*s", (int)d.fields[i].n, (const char *)d.fields[i].p);
}

static void test_documents(void)
{
    static const struct {
        const char *text, *wanted, *what;
    } cases[] = {
        {"{ a b }", "", "1 query : a b"},
        {"query Q { a }", "", "1 query Q: a"},
        {"mutation($x:Int=1,$y:[String!]!)@d(a:1){alias:set(to:{a:[1,2,{b:$x}]},s:\"}\")@skip(if:$y){id} other}", "",
         "1 mutation : set other"},
        {"subscription S { ...on T @include(if:true) { x ... { y } } z }", "", "1 subscription S: x y z"},
        {"query A { a } query B { b ...F c } fragment F on T { d ...G e } fragment G on T { g ...F }", "B", "2 query B: b d g e c"},
        {"query A { a } query B { b }", "C", "2 query A: a"},
        {"# a comment { x }\n{ a(s: \"\"\"block \\\"\"\" } \" text\"\"\") , b }", "", "1 query : a b"},
        {"\xef\xbb\xbf{a}", "", "1 query : a"},
        {"{ query mutation fragment on }", "", "1 query : query mutation fragment on"},
        {"{ a(x: -1.5e+10, y: $v, z: true, e: ENUM, n: null) }", "", "1 query : a"},
        {"fragment F on T { a }", "", "none"},
        {"type T { a: Int }", "", "none"},
        {"query", "", "none"},
        {"query Q", "", "none"},
        {"{ a", "", "none"},
        {"{ }", "", "none"},
        {"{ a } }", "", "none"},
        {"{ a: }", "", "none"},
        {"\"asks for a\" query Q(\"b\" $b: Int) { a } \"\"\"block { \"\"\" fragment F on T { b }", "", "1 query Q: a"},
        {"\"one\" \"two\" query Q { a }", "", "none"},
        {"query Q { a } \"of nothing\"", "", "none"},
        {"17 query Q { a }", "", "none"},
        {"{ a(b: [1) ] }", "", "none"},
        {"{ a { b ] c }", "", "none"},
        {"{ a(b: {c: [{}]}) { d } e }", "", "1 query : a e"},
        {"SELECT * FROM t", "", "none"},
        {"{ a(\"x) }", "", "none"},
        {"hello world", "", "none"},
        {"", "", "none"},
        {"{ ...F } fragment F on T { ...F }", "", "none"},
    };
    char got[2000];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put_document(got, sizeof(got), cases[i].text, cases[i].wanted);
        is_str(got, cases[i].what, "%s", cases[i].text);
    }
}

/* Whatever is nested how deep: no stack is used for it. */
static void test_depth(void)
{
    enum { DEPTH = 200000 };
    struct buf b = {0};
    struct gql_document d;
    for (int i = 0; i < DEPTH; i++)
        buf_lit(&b, "{a");
    for (int i = 0; i < DEPTH; i++)
        buf_lit(&b, "}");
    ok(gql_read_document(buf_slice(&b), td_bytes(NULL, 0), &d) && d.n_fields == 1, "fields within each other, %d deep", DEPTH);
    buf_reset(&b);
    for (int i = 0; i < DEPTH; i++)
        buf_puts(&b, i ? "...{" : "{");
    buf_lit(&b, "x");
    for (int i = 0; i < DEPTH; i++)
        buf_lit(&b, "}");
    (void)gql_read_document(buf_slice(&b), td_bytes(NULL, 0), &d);
    ok(d.n_fields <= 1, "fragments within each other");
    for (int depth = 63; depth < 66; depth++) {
        buf_reset(&b);
        for (int i = 0; i < depth; i++)
            buf_puts(&b, i ? "...{" : "{");
        buf_lit(&b, "x");
        for (int i = 0; i < depth; i++)
            buf_puts(&b, i + 1 < depth ? "}" : " y}");
        bool good = gql_read_document(buf_slice(&b), td_bytes(NULL, 0), &d);
        ok(depth > 64 ? !good : good && d.n_fields == 2, "fragments within each other, %d deep: the brackets are in step, or it is none",
           depth);
    }
    buf_reset(&b);
    for (int i = 0; i < DEPTH; i++)
        buf_lit(&b, "[");
    ok(gql_json_value(buf_slice(&b)).n == 0, "arrays without end");
    for (int i = 0; i < DEPTH; i++)
        buf_lit(&b, "]");
    is_int(gql_json_value(buf_slice(&b)).n, 2 * DEPTH, "arrays within each other");
    buf_clear(&b);
}

/* ---- Forms ---------------------------------------------------------------------------------------------------------------- */

static void test_pairs(void)
{
    static const struct {
        const char *text, *pairs;
    } cases[] = {
        {"a=1&b=2", "a=1;b=2;"},
        {"a+b=c%20d&%41=%e4%F6", "a b=c d;A=\xe4\xf6;"},
        {"&&x&=y&z==&", "x=;=y;z==;"},
        {"a=%&b=%4&c=%zz&d=%4z", "a=%;b=%4;c=%zz;d=%4z;"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct td_slice rest = td_str(cases[i].text), name, value;
        char got[200] = "";
        uint8_t room[2][100];
        while (form_next_pair(&rest, &name, &value)) {
            name = form_decode(name, room[0]);
            value = form_decode(value, room[1]);
            snprintf(got + strlen(got), sizeof(got) - strlen(got), "%.*s=%.*s;", (int)name.n, (const char *)name.p, (int)value.n,
                     (const char *)value.p);
        }
        is_str(got, cases[i].pairs, "pairs of %s", cases[i].text);
    }
}

/* Heads, content and sizes, as they come in pieces of `step` bytes. */
static void put_parts(char *out, size_t room, struct td_slice text, const char *boundary, size_t step)
{
    struct form_parts parts;
    size_t n = 0;
    out[0] = 0;
    if (!form_parts_begin(&parts, td_str(boundary)))
        return;
    for (size_t at = 0; at < text.n; at += step) {
        struct td_slice in = td_sub(text, at, at + step), piece;
        enum form_event event;
        while ((event = form_parts_next(&parts, &in, &piece)) != FORM_MORE) {
            if (event == FORM_HEAD) {
                struct td_slice d = form_part_field(piece, "content-disposition"), name = form_parameter(d, "name");
                n += (size_t)snprintf(out + n, room - n, "<%.*s>", (int)name.n, (const char *)name.p);
            } else if (event == FORM_CONTENT) {
                n += (size_t)snprintf(out + n, room - n, "%.*s", (int)piece.n, (const char *)piece.p);
            } else {
                n += (size_t)snprintf(out + n, room - n, "[%llu]", (unsigned long long)parts.size);
            }
        }
    }
}

static void test_parts(void)
{
#define HEAD(name) "Content-Disposition: form-data; name=\"" name "\"\r\n\r\n"
    static const struct {
        const char *text, *what;
    } cases[] = {
        {"--X\r\n" HEAD("a") "1\r\n--X\r\n" HEAD("b") "\r\n--X--\r\n", "<a>1[1]<b>[0]"},
        {"preamble\r\n--X\r\n" HEAD("a") "\r\n-\r\n--\r\n--Y\r\r\n--X--\r\nepilogue\r\n--X\r\n" HEAD("c"), "<a>\r\n-\r\n--\r\n--Y\r[13]"},
        {"--X \t\r\nX-First: 1\r\ncontent-disposition:form-data;name=a\r\n\r\nrest is missing", "<a>rest is missing"},
        {"--X\n" HEAD("a") "x\r\n--X--", "<a>x[1]"},
        {"no part", ""},
    };
    char want[200], got[200];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool same = true;
        put_parts(want, sizeof(want), td_str(cases[i].text), "X", 1000);
        is_str(want, cases[i].what, "parts, case %zu", i);
        for (size_t step = 1; step < 30; step++) {
            put_parts(got, sizeof(got), td_str(cases[i].text), "X", step);
            same &= strcmp(got, want) == 0;
        }
        ok(same, "the same in pieces");
    }
    ok(td_eq(form_boundary(TD_LIT("multipart/form-data; charset=\"a;b\"; Boundary=\"-=-x\"")), TD_LIT("-=-x")), "a quoted boundary");
    ok(form_boundary(TD_LIT("multipart/form-data")).n == 0, "none");
}

int main(void)
{
    test_json();
    test_strings();
    test_documents();
    test_depth();
    test_pairs();
    test_parts();
    return tap_done();
}
