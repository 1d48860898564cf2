/* The lexer: literals, escapes, addresses, bytes, words, comments, and what is none of them. */
#include "filter/lex.h"

#include <stdio.h>

#include "tap.h"

static struct arena arena;
static struct filter_diagnostics diagnostics;

/* The first token of a text. */
static struct filter_token first(const char *text, bool colons_free)
{
    struct filter_token token;
    filter_diagnostics_clear(&diagnostics);
    arena_clear(&arena);
    struct filter_lexer lexer = {.text = td_str(text), .arena = &arena, .diagnostics = &diagnostics, .colons_free = colons_free};
    filter_lex(&lexer, &token);
    return token;
}

static void test_numbers(void)
{
    struct filter_token t = first("9223372036854775808", true);
    ok(t.kind == FILTER_T_INT && t.u == 9223372036854775808u && !t.bad, "2^63, which needs a sign");
    t = first("0xFf", true);
    ok(t.kind == FILTER_T_INT && t.u == 255, "hexadecimal");
    t = first("0x10u", true);
    ok(t.kind == FILTER_T_UINT && t.u == 16, "hexadecimal uint");
    t = first("18446744073709551615U", true);
    ok(t.kind == FILTER_T_UINT && t.u == UINT64_MAX, "largest uint");
    t = first("18446744073709551616", true);
    ok(t.bad, "beyond 64 bits");
    t = first(".5", true);
    ok(t.kind == FILTER_T_DOUBLE && t.d > 0.49 && t.d < 0.51, ".5");
    t = first("0e+0", true);
    ok(t.kind == FILTER_T_DOUBLE && t.d <= 0.0 && t.span.to == 4, "0e+0");
    t = first("1.5e-3x", true);
    ok(t.bad && t.span.to == 7, "letters behind a number");
    t = first("1e999", true);
    ok(t.bad, "too large for a double");
    t = first("42.charAt", true);
    ok(t.kind == FILTER_T_INT && t.u == 42 && t.span.to == 2, "a dot that begins no fraction");
    t = first("8000..8080", true);
    ok(t.kind == FILTER_T_INT && t.u == 8000 && t.span.to == 4, "a range");
    t = first("..5", true);
    ok(t.kind == FILTER_T_RANGE, "two dots before a number");
}

static void test_addresses(void)
{
    struct filter_token t = first("10.0.0.1)", true);
    ok(t.kind == FILTER_T_IP && td_eq(t.text, TD_LIT("10.0.0.1")) && !t.bad, "an address");
    t = first("10.0.0.0/8", true);
    ok(t.kind == FILTER_T_CIDR && td_eq(t.text, TD_LIT("10.0.0.0/8")) && !t.bad, "a network");
    t = first("10.0.0.0/33", true);
    ok(t.bad, "a prefix that is too long");
    t = first("10.0.0.256", true);
    ok(t.bad, "a part that is too large");
    t = first("1.2.3", true);
    ok(t.bad, "too few parts");
    t = first("1.2.3.4.5", true);
    ok(t.bad && t.span.to == 9, "too many parts");
    t = first("10.0.0.1 /2", true);
    ok(t.kind == FILTER_T_IP && t.span.to == 8, "a division behind it");
    t = first("1.5", true);
    ok(t.kind == FILTER_T_DOUBLE, "one dot is a double");
}

static void test_hex_bytes(void)
{
    struct filter_token t = first("16:03:01 ", true);
    ok(t.kind == FILTER_T_BYTES && t.hex, "bytes");
    is_mem(t.text.p, t.text.n, "\x16\x03\x01", 3, "their values");
    t = first("de:AD", true);
    ok(t.kind == FILTER_T_BYTES && t.text.n == 2 && t.text.p[1] == 0xad, "letters, too");
    t = first("16:03", false);
    ok(t.kind == FILTER_T_INT && t.u == 16, "not where a colon means something else");
    t = first("16:3", true);
    ok(t.kind == FILTER_T_INT, "one digit is no byte");
    t = first("ab:cdx", true);
    ok(t.kind == FILTER_T_NAME && t.text.n == 2, "not with letters behind");
    t = first("16:03:", true);
    ok(t.kind == FILTER_T_INT, "not with a colon behind");
}

static void test_texts(void)
{
    static const struct {
        const char *text, *want;
        size_t n;
    } cases[] = {
        {"'it\\'s'", "it's", 4},
        {"\"\\a\\b\\f\\n\\r\\t\\v\\\\\\?\\\"\\'\\`\"", "\a\b\f\n\r\t\v\\?\"'`", 12},
        {"'\\101\\x41\\X41\\u0041\\U00000041'", "AAAAA", 5},
        {"'\\xff'", "\xc3\xbf", 2},
        {"'\\U0001F600'", "\xf0\x9f\x98\x80", 4},
        {"'\\000'", "\0", 1},
        {"r'\\d+\\'", "\\d+\\", 4},
        {"R\"\\n\"", "\\n", 2},
        {"'''a'b''c'''", "a'b''c", 6},
        {"\"\"\"line\nbreak\"\"\"", "line\nbreak", 10},
        {"''", "", 0},
        {"''''''", "", 0},
        {"b'\\xff\\377\\101'", "\xff\xff\x41", 3},
        {"b'\xc3\xa9'", "\xc3\xa9", 2},
        {"br'\\x'", "\\x", 2},
        {"Rb'\\x'", "\\x", 2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct filter_token t = first(cases[i].text, true);
        ok(!t.bad && (t.kind == FILTER_T_STRING || t.kind == FILTER_T_BYTES), "%s", cases[i].text);
        is_mem(t.text.p, t.text.n, cases[i].want, cases[i].n, "what it denotes");
    }
    struct filter_token t = first("rb", true);
    ok(t.kind == FILTER_T_NAME, "rb is a name");
    t = first("b''", true);
    ok(t.kind == FILTER_T_BYTES && t.text.n == 0, "no bytes");
}

static void test_bad_texts(void)
{
    static const struct {
        const char *text, *code;
        uint32_t from, to;
    } cases[] = {
        {"'a\\qb'", "bad_escape", 2, 4},    {"'\\ud800'", "bad_escape", 1, 7}, {"'\\U00110000'", "bad_escape", 1, 11},
        {"'\\u12'", "bad_escape", 1, 3},    {"'\\x4'", "bad_escape", 1, 3},    {"'\\400'", "bad_escape", 1, 3},
        {"b'\\u0041'", "bad_escape", 2, 8}, {"'open", "unfinished", 0, 5},     {"'open\n'", "unfinished", 0, 5},
        {"'''open''", "unfinished", 0, 9},  {"'end\\", "unfinished", 0, 5},    {"'\xff'", "bad_utf8", 1, 2},
        {"r'\xc3'", "bad_utf8", 2, 3},      {"`a", "bad_name", 0, 2},          {"``", "bad_name", 0, 2},
        {"`a*`", "bad_name", 0, 2},         {"= 1", "bad_operator", 0, 1},     {"<> 1", "bad_operator", 0, 2},
        {"& a", "bad_operator", 0, 1},      {"| a", "bad_operator", 0, 1},     {"\xe2\x80\x9c", "bad_character", 0, 3},
        {"$", "bad_character", 0, 1},       {"\x01", "bad_character", 0, 1},   {"\xc3\xa9", "bad_character", 0, 2},
        {"\xff", "bad_character", 0, 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        first(cases[i].text, true);
        ok(diagnostics.n > 0 && diagnostics.fault_n > 0, "%s is wrong", cases[i].text);
        if (!diagnostics.n)
            continue;
        is_str(diagnostics.v[0].code, cases[i].code, "why");
        is_int(diagnostics.v[0].span.from, cases[i].from, "from");
        is_int(diagnostics.v[0].span.to, cases[i].to, "to");
    }
}

static void test_words(void)
{
    static const struct {
        const char *text;
        enum filter_word word;
    } cases[] = {
        {"true", FILTER_W_TRUE},      {"in", FILTER_W_IN},         {"and", FILTER_W_AND},           {"AND", FILTER_W_AND},
        {"OR", FILTER_W_OR},          {"not", FILTER_W_NOT},       {"NOT", FILTER_W_NOT},           {"xor", FILTER_W_XOR},
        {"eq", FILTER_W_EQ},          {"all_ne", FILTER_W_ALL_NE}, {"any", FILTER_W_ANY},           {"contains", FILTER_W_CONTAINS},
        {"while", FILTER_W_RESERVED}, {"as", FILTER_W_RESERVED},   {"And", FILTER_W_NONE},          {"an", FILTER_W_NONE},
        {"ands", FILTER_W_NONE},      {"", FILTER_W_NONE},         {"function", FILTER_W_RESERVED}, {"zzzzzzzzzz", FILTER_W_NONE}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        is_int(filter_word_of(td_str(cases[i].text)), cases[i].word, "word %zu", i);
    ok(filter_is_name(TD_LIT("and")) && filter_is_name(TD_LIT("_a1")), "names");
    ok(!filter_is_name(TD_LIT("true")) && !filter_is_name(TD_LIT("let")) && !filter_is_name(TD_LIT("1a")) && !filter_is_name(TD_LIT("")) &&
           !filter_is_name(TD_LIT("a-b")),
       "no names");
}

static void test_blanks(void)
{
    struct filter_token t = first(" \t\r\n// one\n# two\n  x", true);
    ok(t.kind == FILTER_T_NAME && t.span.from == 19, "comments and blanks are skipped");
    t = first("# only", true);
    is_int(t.kind, FILTER_T_END, "a comment up to the end");
    t = first("", true);
    is_int(t.kind, FILTER_T_END, "nothing");
}

static void test_signs(void)
{
    static const struct {
        const char *text;
        enum filter_token_kind kind;
    } cases[] = {{"===", FILTER_T_ALL_EQ}, {"!==", FILTER_T_ANY_NE}, {"==", FILTER_T_EQ},   {"!=", FILTER_T_NE}, {"!", FILTER_T_NOT},
                 {"<=", FILTER_T_LE},      {"<", FILTER_T_LT},       {"&&", FILTER_T_AND},  {"||", FILTER_T_OR}, {"~", FILTER_T_TILDE},
                 {"?", FILTER_T_QUESTION}, {"%", FILTER_T_PERCENT},  {"..", FILTER_T_RANGE}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        is_int(first(cases[i].text, true).kind, cases[i].kind, "sign %zu", i);
}

int main(void)
{
    arena_init(&arena, 1 << 20);
    filter_diagnostics_init(&diagnostics);
    test_numbers();
    test_addresses();
    test_hex_bytes();
    test_texts();
    test_bad_texts();
    test_words();
    test_blanks();
    test_signs();
    filter_diagnostics_clear(&diagnostics);
    arena_clear(&arena);
    return tap_done();
}
