#include "call/har_url.h"

#include "base/mem.h"
#include "tap.h"

static void test_absolute(void)
{
    static const struct {
        const char *url;
        bool absolute;
    } cases[] = {
        {"http://a/", true}, {"HTTPS://a", true},   {"svn+ssh-1.x://[::1]:80/", true},
        {"", false},         {"/", false},          {"/http://a/", false},
        {"*", false},        {"a:443", false},      {"http:/a", false},
        {"http://", false},  {"http:///a", false},  {"http://?a", false},
        {"://a", false},     {"1http://a/", false}, {"ht tp://a/", false},
        {"http", false},     {"http:", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ok(har_url_is_absolute(td_bytes(cases[i].url, strlen(cases[i].url))) == cases[i].absolute, "\"%s\"", cases[i].url);
}

static void test_put(void)
{
    struct buf out = {0};
    har_url_put(&out, TD_LIT("http://[::1]:80/a;b/%20%zz?c=d&e[]=f,g'(*)!$~@+"));
    is_str(buf_cstr(&out), "http://[::1]:80/a;b/%20%zz?c=d&e[]=f,g'(*)!$~@+", "what may stand in a URL stays");
    buf_reset(&out);
    har_url_put(&out, td_bytes(" \"#<>\\^`{|}\0\n\x7f\x80\xff"
                               "caf\xc3\xa9",
                               21));
    is_str(buf_cstr(&out), "%20%22%23%3C%3E%5C%5E%60%7B%7C%7D%00%0A%7F%80%FFcaf%C3%A9", "what may not is percent-encoded");
    buf_reset(&out);
    har_url_put(&out, td_bytes(NULL, 0));
    is_int(out.n, 0, "nothing");
    buf_clear(&out);
}

/* "name=value|..." of a query, not decoded. */
static const char *parameters(struct td_slice query, struct buf *out)
{
    struct td_slice name, value;
    buf_reset(out);
    while (har_url_next_parameter(&query, &name, &value)) {
        buf_put_slice(out, name);
        buf_lit(out, "->");
        buf_put_slice(out, value);
        buf_putc(out, '|');
    }
    return buf_cstr(out);
}

static void test_parameters(void)
{
    struct buf out = {0};
    is_str(parameters(TD_LIT("a=1&b=2"), &out), "a->1|b->2|", "two");
    is_str(parameters(TD_LIT("a"), &out), "a->|", "a name alone");
    is_str(parameters(TD_LIT("=1&="), &out), "->1|->|", "a value alone, and neither");
    is_str(parameters(TD_LIT("a=b=c"), &out), "a->b=c|", "a value with the sign");
    is_str(parameters(TD_LIT("&&a&&&b&&"), &out), "a->|b->|", "empty ones are passed over");
    is_str(parameters(TD_LIT("a=1;b=2"), &out), "a->1;b=2|", "a semicolon separates nothing");
    is_str(parameters(TD_LIT("&&&"), &out), "", "nothing but separators");
    is_str(parameters(TD_LIT(""), &out), "", "nothing");
    buf_clear(&out);
}

static const char *decoded(struct td_slice text, struct buf *out)
{
    struct buf room = {0};
    struct td_slice plain;
    buf_reset(out);
    if (har_url_decode(text, &room, &plain))
        buf_put_slice(out, plain);
    buf_clear(&room);
    return buf_cstr(out);
}

static void test_decode(void)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"plain", "plain"}, {"a+b", "a b"}, {"a%2Bb%2b", "a+b+"}, {"%41%7a", "Az"}, {"caf%C3%A9", "caf\xc3\xa9"},   {"%FF", "\xff"},
        {"%", "%"},         {"%4", "%4"},   {"%4g%g4", "%4g%g4"}, {"%%41", "%A"},   {"100%+sure%2", "100% sure%2"}, {"", ""},
        {"%2525", "%25"},
    };
    struct buf out = {0}, room = {0};
    struct td_slice plain;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        is_str(decoded(td_str(cases[i].text), &out), cases[i].want, "\"%s\"", cases[i].text);
    is_str(decoded(td_bytes("a%41", 3), &out), "a%4", "an encoding that goes on behind the end");
    ok(har_url_decode(TD_LIT("a%00b"), &room, &plain) && plain.n == 3 && memcmp(plain.p, "a\0b", 3) == 0, "a zero");
    buf_clear(&room);
    mem_fail_at(1);
    ok(!har_url_decode(TD_LIT("a+b"), &room, &plain), "no memory");
    mem_fail_at(0);
    ok(har_url_decode(TD_LIT("a+b"), &room, &plain) && plain.n == 3, "memory again");
    buf_clear(&room);
    buf_clear(&out);
}

int main(void)
{
    test_absolute();
    test_put();
    test_parameters();
    test_decode();
    return tap_done();
}
