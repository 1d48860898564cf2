#include "lex.h"

#include "base/utf8.h"
#include "filter/decimal.h"

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(int c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool begins_name(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool continues_name(int c)
{
    return begins_name(c) || is_digit(c);
}

/* The byte `ahead` of the place, or -1. */
static int peek(const struct filter_lexer *l, size_t ahead)
{
    return ahead < l->text.n - l->at ? l->text.p[l->at + ahead] : -1;
}

static struct filter_span span_from(const struct filter_lexer *l, size_t from)
{
    return (struct filter_span){(uint32_t)from, (uint32_t)l->at};
}

/* ---- Names ----------------------------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    uint8_t word;
} words[] = {
    {"AND", FILTER_W_AND},
    {"NOT", FILTER_W_NOT},
    {"OR", FILTER_W_OR},
    {"XOR", FILTER_W_XOR},
    {"all", FILTER_W_ALL},
    {"all_eq", FILTER_W_ALL_EQ},
    {"all_ne", FILTER_W_ALL_NE},
    {"and", FILTER_W_AND},
    {"any", FILTER_W_ANY},
    {"any_eq", FILTER_W_ANY_EQ},
    {"any_ne", FILTER_W_ANY_NE},
    {"as", FILTER_W_RESERVED},
    {"break", FILTER_W_RESERVED},
    {"const", FILTER_W_RESERVED},
    {"contains", FILTER_W_CONTAINS},
    {"continue", FILTER_W_RESERVED},
    {"else", FILTER_W_RESERVED},
    {"eq", FILTER_W_EQ},
    {"false", FILTER_W_FALSE},
    {"for", FILTER_W_RESERVED},
    {"function", FILTER_W_RESERVED},
    {"ge", FILTER_W_GE},
    {"gt", FILTER_W_GT},
    {"if", FILTER_W_RESERVED},
    {"import", FILTER_W_RESERVED},
    {"in", FILTER_W_IN},
    {"le", FILTER_W_LE},
    {"let", FILTER_W_RESERVED},
    {"loop", FILTER_W_RESERVED},
    {"lt", FILTER_W_LT},
    {"matches", FILTER_W_MATCHES},
    {"namespace", FILTER_W_RESERVED},
    {"ne", FILTER_W_NE},
    {"not", FILTER_W_NOT},
    {"null", FILTER_W_NULL},
    {"or", FILTER_W_OR},
    {"package", FILTER_W_RESERVED},
    {"return", FILTER_W_RESERVED},
    {"true", FILTER_W_TRUE},
    {"var", FILTER_W_RESERVED},
    {"void", FILTER_W_RESERVED},
    {"while", FILTER_W_RESERVED},
    {"xor", FILTER_W_XOR},
};
enum { WORDS = sizeof(words) / sizeof(words[0]), LONGEST_WORD = 9 };

enum filter_word filter_word_of(struct td_slice text)
{
    size_t low = 0, high = text.n >= 2 && text.n <= LONGEST_WORD ? WORDS : 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strncmp((const char *)text.p, words[middle].text, text.n);
        if (order == 0 && words[middle].text[text.n])
            order = -1;
        if (order == 0)
            return words[middle].word;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return FILTER_W_NONE;
}

bool filter_is_name(struct td_slice text)
{
    enum filter_word word = filter_word_of(text);
    if (!text.n || !begins_name(text.p[0]) || (word != FILTER_W_NONE && word < FILTER_W_AND))
        return false;
    for (size_t i = 1; i < text.n; i++)
        if (!continues_name(text.p[i]))
            return false;
    return true;
}

static void lex_name(struct filter_lexer *l, struct filter_token *t)
{
    size_t from = l->at;
    while (continues_name(peek(l, 0)))
        l->at++;
    t->kind = FILTER_T_NAME;
    t->text = td_sub(l->text, from, l->at);
    t->word = (uint8_t)filter_word_of(t->text);
}

/* m.`content-type`: letters, digits and _ . - / space. */
static void lex_quoted_name(struct filter_lexer *l, struct filter_token *t)
{
    size_t from = ++l->at;
    while (continues_name(peek(l, 0)) || peek(l, 0) == '.' || peek(l, 0) == '-' || peek(l, 0) == '/' || peek(l, 0) == ' ')
        l->at++;
    t->kind = FILTER_T_QUOTED_NAME;
    t->text = td_sub(l->text, from, l->at);
    if (peek(l, 0) == '`') {
        l->at++;
        if (t->text.n)
            return;
    }
    t->bad = true;
    filter_fault(l->diagnostics, span_from(l, from - 1), "bad_name",
                 "between backticks stand letters, digits, and _ . - / or spaces, and a backtick ends them");
}

/* ---- Numbers and addresses --------------------------------------------------------------------------------------- */

/* 10.0.0.1 or 10.0.0.0/8: at least two dots between digits, which is no CEL. */
static bool is_address(const struct filter_lexer *l)
{
    size_t i = 0, dots = 0;
    while (is_digit(peek(l, i))) {
        while (is_digit(peek(l, i)))
            i++;
        if (peek(l, i) != '.' || !is_digit(peek(l, i + 1)))
            break;
        dots++;
        i++;
    }
    return dots >= 2;
}

/* A decimal number of at most three digits up to `max`. */
static bool take_octet(struct filter_lexer *l, int max)
{
    int value = 0, n = 0;
    for (; is_digit(peek(l, 0)); n++, l->at++)
        value = n < 3 ? value * 10 + peek(l, 0) - '0' : max + 1;
    return n > 0 && value <= max;
}

static void lex_address(struct filter_lexer *l, struct filter_token *t)
{
    size_t from = l->at;
    int parts = 0;
    bool good = true;
    do {
        l->at += parts > 0;
        good = take_octet(l, 255) && good;
        parts++;
    } while (peek(l, 0) == '.' && is_digit(peek(l, 1)));
    good = good && parts == 4;
    t->kind = FILTER_T_IP;
    if (peek(l, 0) == '/' && is_digit(peek(l, 1))) {
        l->at++;
        t->kind = FILTER_T_CIDR;
        good = take_octet(l, 32) && good;
    }
    t->text = td_sub(l->text, from, l->at);
    t->bad = !good;
    if (!good)
        filter_fault(l->diagnostics, span_from(l, from), "bad_address", "%.*s is no IPv4 address%s", (int)(t->text.n < 40 ? t->text.n : 40),
                     (const char *)t->text.p, t->kind == FILTER_T_CIDR ? " with the length of a prefix" : "");
}

static void fail_number(struct filter_lexer *l, struct filter_token *t, size_t from, const char *why)
{
    t->bad = true;
    filter_fault(l->diagnostics, span_from(l, from), "bad_number", "%s", why);
}

static void read_double(struct filter_lexer *l, struct filter_token *t, size_t from)
{
    t->kind = FILTER_T_DOUBLE;
    if (!decimal_parse(td_sub(l->text, from, l->at), &t->d))
        fail_number(l, t, from, "the number is too large for a double");
}

static void read_integer(struct filter_lexer *l, struct filter_token *t, size_t from, bool hex)
{
    bool too_large = false;
    t->kind = FILTER_T_INT;
    for (size_t i = from + (hex ? 2 : 0); i < l->at; i++)
        too_large |=
            __builtin_mul_overflow(t->u, hex ? 16 : 10, &t->u) || __builtin_add_overflow(t->u, (uint64_t)hex_value(l->text.p[i]), &t->u);
    if ((peek(l, 0) | 0x20) == 'u') {
        l->at++;
        t->kind = FILTER_T_UINT;
    }
    if (too_large)
        fail_number(l, t, from, "the number is too large for 64 bits");
}

/* e+5 at `ahead`: how many bytes; 0 if there is no exponent. */
static size_t measure_exponent(const struct filter_lexer *l)
{
    size_t i = 1;
    if ((peek(l, 0) | 0x20) != 'e')
        return 0;
    i += peek(l, i) == '+' || peek(l, i) == '-';
    if (!is_digit(peek(l, i)))
        return 0;
    while (is_digit(peek(l, i)))
        i++;
    return i;
}

static void skip_digits(struct filter_lexer *l)
{
    while (is_digit(peek(l, 0)))
        l->at++;
}

static void lex_number(struct filter_lexer *l, struct filter_token *t)
{
    size_t from = l->at;
    bool hex = peek(l, 0) == '0' && (peek(l, 1) | 0x20) == 'x' && hex_value(peek(l, 2)) >= 0, is_double = false;
    if (hex) {
        for (l->at += 2; hex_value(peek(l, 0)) >= 0;)
            l->at++;
    } else {
        skip_digits(l);
        if (peek(l, 0) == '.' && is_digit(peek(l, 1))) {
            is_double = true;
            l->at++;
            skip_digits(l);
        }
        size_t exponent = measure_exponent(l);
        is_double |= exponent > 0;
        l->at += exponent;
    }
    if (is_double)
        read_double(l, t, from);
    else
        read_integer(l, t, from, hex);
    if (continues_name(peek(l, 0))) {
        while (continues_name(peek(l, 0)))
            l->at++;
        fail_number(l, t, from, "a number does not end in letters; texts stand in quotes");
    }
}

/* 16:03:01: pairs of hexadecimal digits between colons, two or more; how many bytes that is, or 0. */
static size_t count_hex_bytes(const struct filter_lexer *l)
{
    size_t n = 0;
    while (hex_value(peek(l, 3 * n)) >= 0 && hex_value(peek(l, 3 * n + 1)) >= 0) {
        n++;
        if (peek(l, 3 * n - 1) != ':')
            break;
    }
    int after = n ? peek(l, 3 * n - 1) : -1;
    return n < 2 || continues_name(after) || after == ':' || after == '.' ? 0 : n;
}

static void lex_hex_bytes(struct filter_lexer *l, struct filter_token *t, size_t n)
{
    uint8_t *out = arena_alloc(l->arena, n, 1);
    if (!out) {
        l->no_memory = true;
        return;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(hex_value(peek(l, 3 * i)) << 4 | hex_value(peek(l, 3 * i + 1)));
    l->at += 3 * n - 1;
    t->kind = FILTER_T_BYTES;
    t->hex = true;
    t->text = td_bytes(out, n);
}

/* ---- Strings and bytes ------------------------------------------------------------------------------------------- */

struct quoted {
    size_t begin, end; /* of what stands between the quotes */
    bool raw, bytes;
};

static size_t put_utf8(uint8_t *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

/* `count` digits of a base at *i, which moves on; -1: they are none. */
static int64_t read_digits(struct td_slice s, size_t *i, size_t count, int base)
{
    int64_t value = 0;
    if (s.n - *i < count)
        return -1;
    for (size_t end = *i + count; *i < end; (*i)++) {
        int digit = hex_value(s.p[*i]);
        if (digit < 0 || digit >= base)
            return -1;
        value = value * base + digit;
    }
    return value;
}

/* The escape whose backslash stands before *i: what it denotes, or -1. */
static int64_t read_escape(struct td_slice s, size_t *i)
{
    static const char from[] = "abfnrtv\\?\"'`", to[] = "\a\b\f\n\r\t\v\\?\"'`";
    int c = *i < s.n ? s.p[(*i)++] : 0;
    const char *simple = c ? strchr(from, c) : NULL;
    if (simple)
        return to[simple - from];
    if (c >= '0' && c <= '3') {
        (*i)--;
        return read_digits(s, i, 3, 8);
    }
    if (c == 'x' || c == 'X')
        return read_digits(s, i, 2, 16);
    return c == 'u' ? read_digits(s, i, 4, 16) : c == 'U' ? read_digits(s, i, 8, 16) : -1;
}

static void fail_escape(struct filter_lexer *l, struct filter_token *t, struct filter_span span, bool is_bytes)
{
    uint8_t c = span.to - span.from > 1 ? l->text.p[span.from + 1] : 0;
    bool unicode = c == 'u' || c == 'U';
    t->bad = true;
    filter_fault(l->diagnostics, span, "bad_escape",
                 unicode && is_bytes ? "bytes have no \\u and \\U: write \\x with two digits for each byte"
                 : unicode ? "no such character: \\u takes 4 and \\U takes 8 hexadecimal digits, up to 10FFFF, without D800 to DFFF"
                           : "no such escape; a backslash itself is \\\\, and r\"...\" takes all of them as they are");
}

/* What stands between the quotes, escapes resolved; it gets shorter by that, never longer. */
static void decode(struct filter_lexer *l, struct filter_token *t, struct quoted q)
{
    struct td_slice s = td_sub(l->text, q.begin, q.end);
    uint8_t *out = arena_alloc(l->arena, s.n, 1);
    size_t n = 0;
    if (!out) {
        l->no_memory = true;
        return;
    }
    for (size_t i = 0; i < s.n;) {
        size_t from = i;
        if (s.p[i] != '\\') {
            out[n++] = s.p[i++];
            continue;
        }
        i++;
        int64_t c = read_escape(s, &i);
        bool too_large = c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff);
        bool unicode = s.n > from + 1 && (s.p[from + 1] | 0x20) == 'u';
        if (c < 0 || too_large || (q.bytes && unicode)) {
            size_t to = i > from + 2 ? i : from + 2 < s.n ? from + 2 : s.n;
            fail_escape(l, t, (struct filter_span){(uint32_t)(q.begin + from), (uint32_t)(q.begin + to)}, q.bytes);
            c = '?';
        }
        if (q.bytes)
            out[n++] = (uint8_t)c;
        else
            n += put_utf8(out + n, (uint32_t)c);
    }
    t->text = td_bytes(out, n);
}

/* The prefix of a string at the place, as r, b and br; false if what stands there is a name. */
static bool take_prefix(struct filter_lexer *l, struct quoted *q)
{
    size_t i = 0;
    for (; i < 2; i++) {
        int c = peek(l, i) | 0x20;
        if (c == 'r' && !q->raw)
            q->raw = true;
        else if (c == 'b' && !q->bytes)
            q->bytes = true;
        else
            break;
    }
    if (peek(l, i) != '"' && peek(l, i) != '\'')
        return false;
    l->at += i;
    return true;
}

/* Finds the end; false if there is none, and the place is where the text stops then. */
static bool find_end(struct filter_lexer *l, struct quoted *q)
{
    int quote = peek(l, 0);
    size_t marks = peek(l, 1) == quote && peek(l, 2) == quote ? 3 : 1;
    l->at += marks;
    q->begin = l->at;
    for (; peek(l, 0) >= 0; l->at++) {
        if (marks == 1 && (peek(l, 0) == '\n' || peek(l, 0) == '\r'))
            break;
        q->end = l->at;
        if (peek(l, 0) == '\\' && !q->raw && peek(l, 1) >= 0) {
            l->at++;
        } else if (peek(l, 0) == quote && (marks == 1 || (peek(l, 1) == quote && peek(l, 2) == quote))) {
            l->at += marks;
            return true;
        }
    }
    q->end = l->at;
    return false;
}

static bool has_bad_utf8(struct td_slice s, size_t *ret_at)
{
    for (size_t i = 0; i < s.n;) {
        size_t n = s.p[i] < 0x80 ? 1 : utf8_length(s.p + i, s.n - i);
        *ret_at = i;
        if (!n)
            return true;
        i += n;
    }
    return false;
}

static void lex_quoted(struct filter_lexer *l, struct filter_token *t, struct quoted q, size_t from)
{
    size_t bad;
    bool ended = find_end(l, &q);
    t->kind = q.bytes ? FILTER_T_BYTES : FILTER_T_STRING;
    t->text = td_sub(l->text, q.begin, q.end);
    if (!ended) {
        t->bad = true;
        filter_fault(l->diagnostics, span_from(l, from), "unfinished", "the closing quote is missing");
    } else if (has_bad_utf8(t->text, &bad)) {
        t->bad = true;
        bad += q.begin;
        filter_fault(l->diagnostics, (struct filter_span){(uint32_t)bad, (uint32_t)bad + 1}, "bad_utf8", "this byte is no UTF-8");
    } else if (!q.raw && t->text.n && memchr(t->text.p, '\\', t->text.n)) {
        decode(l, t, q);
    }
}

/* ---- Everything ---------------------------------------------------------------------------------------------------- */

static void skip_blanks(struct filter_lexer *l)
{
    for (;; l->at++) {
        int c = peek(l, 0);
        if (c == '#' || (c == '/' && peek(l, 1) == '/')) {
            while (peek(l, 0) >= 0 && peek(l, 0) != '\n')
                l->at++;
            if (peek(l, 0) < 0)
                return;
        } else if (c != ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f') {
            return;
        }
    }
}

static const struct {
    char text[4];
    uint8_t kind;
    const char *right; /* what is meant by what CEL does not have */
} signs[] = {
    {"===", FILTER_T_ALL_EQ, NULL},    {"!==", FILTER_T_ANY_NE, NULL},     {"==", FILTER_T_EQ, NULL},
    {"!=", FILTER_T_NE, NULL},         {"<=", FILTER_T_LE, NULL},          {">=", FILTER_T_GE, NULL},
    {"<>", FILTER_T_NE, "!="},         {"&&", FILTER_T_AND, NULL},         {"||", FILTER_T_OR, NULL},
    {"..", FILTER_T_RANGE, NULL},      {"=~", FILTER_T_TILDE, "~"},        {"(", FILTER_T_LEFT_PAREN, NULL},
    {")", FILTER_T_RIGHT_PAREN, NULL}, {"[", FILTER_T_LEFT_BRACKET, NULL}, {"]", FILTER_T_RIGHT_BRACKET, NULL},
    {"{", FILTER_T_LEFT_BRACE, NULL},  {"}", FILTER_T_RIGHT_BRACE, NULL},  {",", FILTER_T_COMMA, NULL},
    {".", FILTER_T_DOT, NULL},         {":", FILTER_T_COLON, NULL},        {"?", FILTER_T_QUESTION, NULL},
    {"+", FILTER_T_PLUS, NULL},        {"-", FILTER_T_MINUS, NULL},        {"*", FILTER_T_STAR, NULL},
    {"/", FILTER_T_SLASH, NULL},       {"%", FILTER_T_PERCENT, NULL},      {"!", FILTER_T_NOT, NULL},
    {"<", FILTER_T_LT, NULL},          {">", FILTER_T_GT, NULL},           {"~", FILTER_T_TILDE, NULL},
    {"=", FILTER_T_EQ, "=="},          {"&", FILTER_T_AND, "&&"},          {"|", FILTER_T_OR, "||"},
};

static bool lex_sign(struct filter_lexer *l, struct filter_token *t)
{
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        size_t n = strlen(signs[i].text), from = l->at;
        if (peek(l, 0) != signs[i].text[0] || l->text.n - l->at < n || memcmp(l->text.p + l->at, signs[i].text, n) != 0)
            continue;
        l->at += n;
        t->kind = signs[i].kind;
        if (signs[i].right) {
            filter_fault(l->diagnostics, span_from(l, from), "bad_operator", "there is no operator %s; %s is meant?", signs[i].text,
                         signs[i].right);
            filter_add_fix(l->diagnostics, span_from(l, from), td_str(signs[i].right), "write");
        }
        return true;
    }
    return false;
}

/* Typographic quotes, as word processors make them. */
static bool is_curly_quote(const struct filter_lexer *l)
{
    int last = peek(l, 2);
    return peek(l, 0) == 0xe2 && peek(l, 1) == 0x80 && (last == 0x98 || last == 0x99 || last == 0x9c || last == 0x9d);
}

static void skip_foreign(struct filter_lexer *l)
{
    size_t from = l->at, n = utf8_length(l->text.p + from, l->text.n - from);
    bool quote = is_curly_quote(l);
    l->at += n ? n : 1;
    if (quote) {
        filter_fault(l->diagnostics, span_from(l, from), "bad_character", "quotes are \" or ' here, not typographic ones");
        filter_add_fix(l->diagnostics, span_from(l, from), TD_LIT("\""), "write");
    } else if (n > 1 || (n == 1 && l->text.p[from] > ' ' && l->text.p[from] < 0x7f)) {
        filter_fault(l->diagnostics, span_from(l, from), "bad_character", "%.*s means nothing here; texts stand in quotes", (int)n,
                     (const char *)l->text.p + from);
    } else {
        filter_fault(l->diagnostics, span_from(l, from), "bad_character", "the byte 0x%02x means nothing here", l->text.p[from]);
    }
}

static bool lex_one(struct filter_lexer *l, struct filter_token *t)
{
    struct quoted q = {0};
    size_t from = l->at;
    int c = peek(l, 0);
    size_t hex_bytes = l->colons_free && peek(l, 2) == ':' ? count_hex_bytes(l) : 0;
    if (c < 0)
        return true;
    if (hex_bytes)
        lex_hex_bytes(l, t, hex_bytes);
    else if (c == '"' || c == '\'' || (begins_name(c) && take_prefix(l, &q)))
        lex_quoted(l, t, q, from);
    else if (begins_name(c))
        lex_name(l, t);
    else if (is_digit(c) && is_address(l))
        lex_address(l, t);
    else if (is_digit(c) || (c == '.' && is_digit(peek(l, 1))))
        lex_number(l, t);
    else if (c == '`')
        lex_quoted_name(l, t);
    else
        return lex_sign(l, t);
    return true;
}

void filter_lex(struct filter_lexer *l, struct filter_token *ret)
{
    for (;;) {
        skip_blanks(l);
        size_t from = l->at;
        *ret = (struct filter_token){.kind = FILTER_T_END};
        if (lex_one(l, ret)) {
            ret->span = span_from(l, from);
            return;
        }
        skip_foreign(l);
    }
}
