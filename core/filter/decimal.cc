#include "filter/decimal.h"

#include <charconv>
#include <cmath>

/* Shortest digits as Go's %g has them, which CEL's first implementation took: an exponent if it is below -4 or above 5. */
static size_t general(double d, char *out)
{
    char scientific[40];
    char *end = std::to_chars(scientific, scientific + sizeof scientific, d, std::chars_format::scientific).ptr;
    const char *e = end - 1;
    while (e > scientific && *e != 'e')
        e--;
    int exponent = 0;
    std::from_chars(e + (e[1] == '+' ? 2 : 1), end, exponent);
    bool plain = d == 0 || (exponent >= -4 && exponent < 6);
    return static_cast<size_t>(
        std::to_chars(out, out + DECIMAL_TEXT, d, plain ? std::chars_format::fixed : std::chars_format::scientific).ptr - out);
}

size_t decimal_format(double d, enum decimal_form form, int precision, char out[DECIMAL_TEXT])
{
    std::to_chars_result r{};
    switch (form) {
    case DECIMAL_GENERAL: return general(d, out);
    case DECIMAL_PLAIN: r = std::to_chars(out, out + DECIMAL_TEXT, d, std::chars_format::fixed); break;
    case DECIMAL_FIXED: r = std::to_chars(out, out + DECIMAL_TEXT, d, std::chars_format::fixed, precision); break;
    case DECIMAL_SCIENTIFIC: r = std::to_chars(out, out + DECIMAL_TEXT, d, std::chars_format::scientific, precision); break;
    }
    return r.ec == std::errc() ? static_cast<size_t>(r.ptr - out) : 0;
}

/* Out of range: is it too large? Counts the digits before the point, without zeros in front, and adds the exponent. */
static bool is_large(const char *p, const char *end)
{
    long order = 0;
    bool point = false, nonzero = false;
    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.')
            point = true;
        nonzero = nonzero || (*p >= '1' && *p <= '9');
        if (*p != '.' && !point && nonzero)
            order++;
        else if (*p == '0' && point && !nonzero)
            order--;
    }
    long exponent = 0;
    if (p < end) {
        bool negative = p[1] == '-';
        const char *digits = p + (p[1] == '-' || p[1] == '+' ? 2 : 1);
        if (std::from_chars(digits, end, exponent).ec != std::errc())
            return !negative; /* an exponent beyond all numbers */
        exponent = negative ? -exponent : exponent;
    }
    return exponent > -order;
}

bool decimal_parse(struct td_slice text, double *ret)
{
    const char *p = reinterpret_cast<const char *>(text.p), *end = p + text.n;
    bool negative = text.n && *p == '-';
    if (text.n && (*p == '-' || *p == '+'))
        p++;
    if (p == end || !((*p >= '0' && *p <= '9') || *p == '.')) /* not what from_chars takes besides: inf, nan, a second sign */
        return false;
    double d = 0;
    std::from_chars_result r = std::from_chars(p, end, d);
    if (r.ptr != end || (r.ec != std::errc() && r.ec != std::errc::result_out_of_range))
        return false;
    if (r.ec == std::errc::result_out_of_range) {
        if (is_large(p, end))
            return false;
        d = 0;
    }
    *ret = negative ? -d : d;
    return !std::isinf(d);
}
