#include "filter/regex.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tap.h"

static bool matches(const char *pattern, const char *text)
{
    struct filter_regex *regex = NULL;
    bool found = false;
    if (ok(filter_regex_new(td_str(pattern), &regex, NULL, NULL) == TD_OK, "/%s/ compiles", pattern))
        found = filter_regex_match(regex, td_str(text));
    filter_regex_free(regex);
    return found;
}

static void test_matching(void)
{
    ok(matches("b+c", "aabbcc"), "a match anywhere will do");
    ok(!matches("^b+c$", "aabbcc"), "anchors hold");
    ok(matches("", ""), "nothing matches nothing");
    ok(matches("(?i)HEAD", "a head"), "case is folded when asked for");
    ok(!matches("HEAD", "a head"), "and only then");
    ok(matches("^.{3}$", "a\xc3\xa4\xe2\x82\xac"), "a dot is a character, not a byte");
    ok(matches("\\p{Greek}", "\xce\xb1"), "classes of Unicode");
    ok(!matches("x.y", "x\xffy"), "a byte that is no UTF-8 is no character");
    ok(matches("x\\Cy", "x\xffy"), "but a byte it is");
    struct filter_regex *regex = NULL;
    ok(filter_regex_new(TD_LIT("a\0b"), &regex, NULL, NULL) == TD_OK && filter_regex_match(regex, TD_LIT("xa\0by")),
       "zeros are characters");
    ok(!filter_regex_match(regex, td_bytes(NULL, 0)), "an empty slice without an address");
    filter_regex_free(regex);
}

static void test_errors(void)
{
    static const struct {
        const char *pattern;
        size_t offset;
        const char *part;
    } bad[] = {
        {"abc(def", 0, "missing )"},           {"ab[c", 2, "missing ]"},
        {"a**", 1, "bad repetition operator"}, {"ab\\8", 2, "invalid escape sequence"},
        {"x{2000}", 1, "repetition"},          {"a(?=b)", 1, "invalid"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct filter_regex *regex = NULL;
        struct error err = {0};
        size_t offset = 99;
        is_int(filter_regex_new(td_str(bad[i].pattern), &regex, &offset, &err), TD_E_CONFIG, "/%s/ is refused", bad[i].pattern);
        like(err.text, bad[i].part, "and why");
        is_int(offset, bad[i].offset, "and where");
    }
    struct filter_regex *regex = NULL;
    struct error err = {0};
    is_int(filter_regex_new(TD_LIT("((((x{100}){100}){100}){100})"), &regex, NULL, &err), TD_E_CONFIG,
           "repetitions of repetitions are refused");
    is_int(filter_regex_new(TD_LIT("(\\pL{500}){2}|(\\pL{499}){2}"), &regex, NULL, &err), TD_E_LIMIT, "so is what needs too much memory");
    like(err.text, "8 MiB", "and that is said");
    is_int(filter_regex_new(TD_LIT("a\xff"), &regex, NULL, &err), TD_E_CONFIG, "a pattern that is no UTF-8");
}

/* What a backtracking engine never finishes. */
static void test_time(void)
{
    enum { N = 1 << 20 };
    uint8_t *text = malloc(N);
    struct filter_regex *regex = NULL;
    memset(text, 'a', N);
    ok(filter_regex_new(TD_LIT("(a+)+$"), &regex, NULL, NULL) == TD_OK, "a pattern of the kind that explodes");
    text[N - 1] = 'b';
    clock_t start = clock();
    ok(!filter_regex_match(regex, td_bytes(text, N)), "does not match a mebibyte that ends badly");
    ok(clock() - start < 5 * CLOCKS_PER_SEC, "in linear time");
    filter_regex_free(regex);
    free(text);
}

int main(void)
{
    test_matching();
    test_errors();
    test_time();
    return tap_done();
}
