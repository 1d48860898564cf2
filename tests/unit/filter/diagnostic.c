/* Diagnostics: the list, places in bytes and in UTF-16, text with a caret, JSON, errors. */
#include "filter/diagnostic.h"

#include "tap.h"

static struct filter_diagnostics d;
static struct buf out;

static const char *as_text(const char *text)
{
    buf_reset(&out);
    filter_diagnostics_put_text(&out, &d, td_str(text));
    return buf_cstr(&out);
}

static const char *as_json(const char *text)
{
    buf_reset(&out);
    filter_diagnostics_put_json(&out, &d, td_str(text));
    return buf_cstr(&out);
}

static void test_text(void)
{
    filter_diagnostics_clear(&d);
    is_str(as_text("x"), "", "nothing to tell");
    filter_fault(&d, (struct filter_span){3, 6}, "code", "wrong is %s", "this");
    filter_add_fix(&d, (struct filter_span){3, 6}, TD_LIT("def"), "write");
    is_str(as_text("abcdefg"), "1:4: error: wrong is this\n    abcdefg\n       ^~~\n    write: def\n", "a caret line");
    filter_diagnostics_clear(&d);
    filter_warning(&d, (struct filter_span){7, 8}, "code", "w");
    is_str(as_text("one\ntwo\nthree"), "2:4: warning: w\n    two\n       ^\n", "at the end of the second line");
    filter_diagnostics_clear(&d);
    filter_warning(&d, (struct filter_span){4, 11}, "code", "w");
    is_str(as_text("one\ntwo\nthree"), "2:1: warning: w\n    two\n    ^~~\n", "over the end of a line");
    filter_diagnostics_clear(&d);
    filter_warning(&d, (struct filter_span){6, 7}, "code", "w");
    is_str(as_text("\xc3\xa9\xf0\x9f\x98\x80x"), "1:3: warning: w\n    \xc3\xa9\xf0\x9f\x98\x80x\n      ^\n", "columns are characters");
    filter_diagnostics_clear(&d);
    filter_warning(&d, (struct filter_span){1, 1}, "code", "w");
    is_str(as_text("\x1bx"), "1:2: warning: w\n    \\x1bx\n        ^\n", "nothing steers the terminal");
    filter_diagnostics_clear(&d);
    filter_warning(&d, (struct filter_span){2, 3}, "code", "w");
    is_str(as_text("\\\tx"), "1:3: warning: w\n    \\\tx\n     \t^\n", "backslashes and tabs stay");
}

static void test_json(void)
{
    filter_diagnostics_clear(&d);
    is_str(as_json(""), "[]", "an empty list");
    filter_fault(&d, (struct filter_span){6, 7}, "a", "say \"no\"");
    filter_add_fix(&d, (struct filter_span){0, 6}, TD_LIT("\n"), "why");
    filter_warning(&d, (struct filter_span){0, 2}, "b", "x");
    is_str(as_json("\xc3\xa9\xf0\x9f\x98\x80x"),
           "[{\"from\":6,\"to\":7,\"from_utf16\":3,\"to_utf16\":4,\"severity\":\"error\",\"code\":\"a\",\"message\":\"say \\\"no\\\"\","
           "\"fixes\":[{\"from\":0,\"to\":6,\"from_utf16\":0,\"to_utf16\":3,\"text\":\"\\n\",\"title\":\"why\"}]},"
           "{\"from\":0,\"to\":2,\"from_utf16\":0,\"to_utf16\":1,\"severity\":\"warning\",\"code\":\"b\",\"message\":\"x\",\"fixes\":[]}]",
           "both places, and all the rest");
}

static void test_list(void)
{
    struct filter_diagnostics zero = {0};
    filter_fault(NULL, (struct filter_span){0, 0}, "a", "nobody");
    filter_add_fix(NULL, (struct filter_span){0, 0}, TD_LIT(""), "nobody");
    filter_fault(&zero, (struct filter_span){0, 0}, "a", "x");
    is_int(zero.n, 1, "a zeroed list is empty");
    filter_diagnostics_clear(&zero);
    is_int(zero.n + zero.fault_n, 0, "and cleared");
    filter_diagnostics_clear(&d);
    filter_fault(&d, (struct filter_span){0, 1}, "a", "same");
    filter_fault(&d, (struct filter_span){0, 1}, "a", "same");
    filter_add_fix(&d, (struct filter_span){0, 1}, TD_LIT("x"), "lost");
    filter_fault(&d, (struct filter_span){0, 2}, "a", "same");
    ok(d.n == 2 && d.fault_n == 2 && d.v[0].fix_n == 0, "the same at the same place is told once");
    for (int i = 0; i < 10; i++)
        filter_add_fix(&d, (struct filter_span){0, 1}, TD_LIT("x"), "fix");
    is_int(d.v[1].fix_n, FILTER_MAX_FIXES, "so many fixes and no more");
    for (uint32_t i = 0; i < 100; i++)
        filter_fault(&d, (struct filter_span){i, i + 5}, "a", "number %u", i);
    ok(d.n == FILTER_MAX_DIAGNOSTICS && d.fault_n == 102 && d.cut, "a list has its end, but all are counted");
    like(as_text("x"), "and more\n", "which is told");
}

static void test_error(void)
{
    struct error err;
    filter_diagnostics_clear(&d);
    filter_warning(&d, (struct filter_span){0, 1}, "w", "a warning");
    is_int(filter_diagnostics_error(&d, TD_LIT("ab\ncd"), &err), TD_OK, "a warning is no error");
    filter_fault(&d, (struct filter_span){4, 5}, "f", "a fault");
    is_int(filter_diagnostics_error(&d, TD_LIT("ab\ncd"), &err), TD_E_CONFIG, "a fault is one");
    is_str(err.text, "filter:2:2: a fault", "with its place");
}

static void test_fixed(void)
{
    struct filter_fix fix = {{2, 4}, "XYZ", "title"};
    buf_reset(&out);
    filter_put_fixed(&out, TD_LIT("abcdef"), &fix);
    is_str(buf_cstr(&out), "abXYZef", "a fix applied");
}

int main(void)
{
    filter_diagnostics_init(&d);
    buf_init(&out, 0);
    test_text();
    test_json();
    test_list();
    test_error();
    test_fixed();
    buf_clear(&out);
    filter_diagnostics_clear(&d);
    return tap_done();
}
