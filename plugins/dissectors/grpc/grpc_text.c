#include "grpc_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Writing ---------------------------------------------------------------------------------------------------------- */

void grpc_put(struct grpc_out *out, struct td_slice s)
{
    if (out->full || s.n > out->cap - out->n) {
        out->full = true;
        return;
    }
    if (s.n)
        memcpy(out->p + out->n, s.p, s.n);
    out->n += s.n;
}

void grpc_put_char(struct grpc_out *out, char c)
{
    if (out->full || out->n == out->cap)
        out->full = true;
    else
        out->p[out->n++] = (uint8_t)c;
}

void grpc_put_u64(struct grpc_out *out, uint64_t value)
{
    char digits[20];
    size_t n = sizeof(digits);
    do
        digits[--n] = (char)('0' + value % 10);
    while (value /= 10);
    grpc_put(out, td_bytes(digits + n, sizeof(digits) - n));
}

void grpc_put_i64(struct grpc_out *out, int64_t value)
{
    if (value < 0)
        grpc_put_char(out, '-');
    grpc_put_u64(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static bool put_special(struct grpc_out *out, double value)
{
    if (isfinite(value))
        return false;
    grpc_put(out, isnan(value) ? TD_LIT("\"NaN\"") : value > 0 ? TD_LIT("\"Infinity\"") : TD_LIT("\"-Infinity\""));
    return true;
}

void grpc_put_double(struct grpc_out *out, double value)
{
    char text[32];
    int digits;
    if (put_special(out, value))
        return;
    for (digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    grpc_put(out, td_str(text));
}

void grpc_put_float(struct grpc_out *out, float value)
{
    char text[32];
    int digits;
    if (put_special(out, (double)value))
        return;
    for (digits = 6; digits <= 9; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    grpc_put(out, td_str(text));
}

/* A point and three, six or nine digits; nothing for 0. */
static void put_fraction(struct grpc_out *out, uint32_t nanos)
{
    uint32_t digit = 100000000;
    unsigned n = nanos % 1000 ? 9 : nanos % 1000000 ? 6 : 3;
    if (!nanos)
        return;
    grpc_put_char(out, '.');
    for (; n; n--, digit /= 10)
        grpc_put_char(out, (char)('0' + nanos / digit % 10));
}

struct date {
    uint32_t year, month, day;
};

/* `days` since the first one of the year 1; years are counted from March, so that the odd day is the last one. */
static struct date date_of(uint32_t days)
{
    uint32_t at = days + 306, era = at / 146097, day = at % 146097; /* from the 1st of March of the year 0 */
    uint32_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    uint32_t of_year = day - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;
    struct date d = {era * 400 + year + (month >= 10), month < 10 ? month + 3 : month - 9, of_year - (153 * month + 2) / 5 + 1};
    return d;
}

bool grpc_put_timestamp(struct grpc_out *out, int64_t seconds, int32_t nanos)
{
    struct date d;
    uint32_t time;
    char text[32];
    /* The years 1 to 9999. */
    if (seconds < INT64_C(-62135596800) || seconds > INT64_C(253402300799) || nanos < 0 || nanos > 999999999)
        return false;
    seconds += INT64_C(62135596800);
    d = date_of((uint32_t)(seconds / 86400));
    time = (uint32_t)(seconds % 86400);
    (void)snprintf(text, sizeof(text), "\"%04u-%02u-%02uT%02u:%02u:%02u", d.year, d.month, d.day, time / 3600, time / 60 % 60, time % 60);
    grpc_put(out, td_str(text));
    put_fraction(out, (uint32_t)nanos);
    grpc_put(out, TD_LIT("Z\""));
    return true;
}

bool grpc_put_duration(struct grpc_out *out, int64_t seconds, int32_t nanos)
{
    bool negative = seconds < 0 || nanos < 0;
    if (seconds < INT64_C(-315576000000) || seconds > INT64_C(315576000000) || nanos < -999999999 || nanos > 999999999 ||
        (negative && (seconds > 0 || nanos > 0)))
        return false;
    grpc_put(out, negative ? TD_LIT("\"-") : TD_LIT("\""));
    grpc_put_u64(out, (uint64_t)(negative ? -seconds : seconds));
    put_fraction(out, (uint32_t)(negative ? -nanos : nanos));
    grpc_put(out, TD_LIT("s\""));
    return true;
}

/* Bytes of the UTF-8 sequence at `p` of which `n` are there; 0: none (RFC 3629). */
static size_t utf8_length(const uint8_t *p, size_t n)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
    size_t i;
    if (len == 0 || len > n)
        return 0;
    for (i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90))
        return 0;
    return len;
}

static void put_escape(struct grpc_out *out, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *at = (const char *)memchr(from, c, sizeof(from) - 1);
    grpc_put_char(out, '\\');
    if (at) {
        grpc_put_char(out, to[at - from]);
        return;
    }
    grpc_put(out, TD_LIT("u00"));
    grpc_put_char(out, hex[c >> 4]);
    grpc_put_char(out, hex[c & 15]);
}

void grpc_put_string(struct grpc_out *out, struct td_slice s)
{
    size_t i = 0, plain = 0;
    grpc_put_char(out, '"');
    while (i < s.n) {
        size_t n = utf8_length(s.p + i, s.n - i);
        bool escape = s.p[i] < 0x20 || s.p[i] == '"' || s.p[i] == '\\';
        if (n && !escape) {
            i += n;
            continue;
        }
        grpc_put(out, td_sub(s, plain, i));
        if (n)
            put_escape(out, s.p[i]);
        else
            grpc_put(out, TD_LIT("\xef\xbf\xbd"));
        plain = ++i;
    }
    grpc_put(out, td_sub(s, plain, s.n));
    grpc_put_char(out, '"');
}

void grpc_put_base64(struct grpc_out *out, struct td_slice s)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t i;
    grpc_put_char(out, '"');
    for (i = 0; i < s.n; i += 3) {
        size_t left = s.n - i;
        uint32_t bits = (uint32_t)s.p[i] << 16 | (left > 1 ? (uint32_t)s.p[i + 1] << 8 : 0) | (left > 2 ? s.p[i + 2] : 0u);
        grpc_put_char(out, alphabet[bits >> 18]);
        grpc_put_char(out, alphabet[bits >> 12 & 63]);
        grpc_put_char(out, left > 1 ? alphabet[bits >> 6 & 63] : '=');
        grpc_put_char(out, left > 2 ? alphabet[bits & 63] : '=');
    }
    grpc_put_char(out, '"');
}

/* ---- Reading ----------------------------------------------------------------------------------------------------------- */

bool grpc_is_text(struct td_slice s, bool *ret_spaces)
{
    size_t i = 0;
    *ret_spaces = false;
    while (i < s.n) {
        size_t n = utf8_length(s.p + i, s.n - i);
        bool space = s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] == '\t';
        if (!n || (s.p[i] < 0x20 && !space) || s.p[i] == 0x7f)
            return false;
        *ret_spaces |= space;
        i += n;
    }
    return true;
}

static int hex_digit(uint8_t c)
{
    if ((uint8_t)(c - '0') < 10u)
        return c - '0';
    c = td_ascii_lower(c);
    return (uint8_t)(c - 'a') < 6u ? c - 'a' + 10 : -1;
}

size_t grpc_percent_decode(struct td_slice s, uint8_t *out)
{
    size_t i, n = 0;
    for (i = 0; i < s.n; i++) {
        int high = s.p[i] == '%' && s.n - i > 2 ? hex_digit(s.p[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(s.p[i + 2]) : -1;
        if (low >= 0) {
            out[n++] = (uint8_t)(high << 4 | low);
            i += 2;
        } else {
            out[n++] = s.p[i];
        }
    }
    return n;
}

static int base64_digit(uint8_t c)
{
    if ((uint8_t)(c - 'A') < 26u)
        return c - 'A';
    if ((uint8_t)(c - 'a') < 26u)
        return c - 'a' + 26;
    if ((uint8_t)(c - '0') < 10u)
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

/* What a group of less than four digits holds; `have` of them. */
static void flush_group(uint32_t bits, unsigned have, uint8_t *out, size_t *n)
{
    if (have >= 2)
        out[(*n)++] = (uint8_t)(bits >> (have == 2 ? 4 : 10));
    if (have == 3)
        out[(*n)++] = (uint8_t)(bits >> 2);
}

bool grpc_base64_decode(struct td_slice s, uint8_t *out, size_t *ret_n)
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t i, n = 0;
    bool good = true;
    for (i = 0; i < s.n && good; i++) {
        int digit = base64_digit(s.p[i]);
        if (digit < 0) {
            flush_group(bits, have, out, &n);
            bits = have = 0;
            good = s.p[i] == '=';
            continue;
        }
        bits = bits << 6 | (uint32_t)digit;
        if (++have == 4) {
            out[n++] = (uint8_t)(bits >> 16);
            out[n++] = (uint8_t)(bits >> 8);
            out[n++] = (uint8_t)bits;
            bits = have = 0;
        }
    }
    flush_group(bits, have, out, &n);
    *ret_n = n;
    return good;
}

bool grpc_binary_decode(struct td_slice s, uint8_t *out, size_t *ret_n)
{
    if (s.n == 0 || s.p[0] != 0)
        return grpc_base64_decode(s, out, ret_n);
    *ret_n = s.n - 1;
    memcpy(out, s.p + 1, s.n - 1);
    return true;
}

bool grpc_parse_number(struct td_slice s, uint32_t *ret)
{
    uint32_t value = 0;
    size_t i;
    if (s.n == 0 || s.n > 9)
        return false;
    for (i = 0; i < s.n; i++) {
        if ((uint8_t)(s.p[i] - '0') >= 10u)
            return false;
        value = value * 10 + (uint32_t)(s.p[i] - '0');
    }
    *ret = value;
    return true;
}

bool grpc_parse_timeout(struct td_slice s, int64_t *ret_ns)
{
    static const char units[] = "numSMH";
    static const int64_t ns[] = {1, 1000, 1000000, 1000000000, INT64_C(60000000000), INT64_C(3600000000000)};
    const char *unit = s.n > 1 ? (const char *)memchr(units, s.p[s.n - 1], sizeof(units) - 1) : NULL;
    uint32_t value;
    if (!unit || !grpc_parse_number(td_sub(s, 0, s.n - 1), &value))
        return false;
    if (value > INT64_MAX / ns[unit - units])
        value = (uint32_t)(INT64_MAX / ns[unit - units]);
    *ret_ns = value * ns[unit - units];
    return true;
}
