#include "filter/convert.h"

#include <math.h>

#include "base/ip.h"

bool filter_parse_uint(struct td_slice text, uint64_t *ret)
{
    *ret = 0;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < '0' || text.p[i] > '9' || __builtin_mul_overflow(*ret, 10u, ret) ||
            __builtin_add_overflow(*ret, (uint64_t)(text.p[i] - '0'), ret))
            return false;
    return text.n > 0;
}

bool filter_parse_int(struct td_slice text, int64_t *ret)
{
    bool negative = text.n && text.p[0] == '-';
    uint64_t size;
    if (!filter_parse_uint(td_sub(text, text.n && (negative || text.p[0] == '+'), text.n), &size))
        return false;
    if (size > (uint64_t)INT64_MAX + negative)
        return false;
    *ret = (int64_t)(negative ? 0 - size : size);
    return true;
}

bool filter_parse_double(struct td_slice text, double *ret)
{
    bool negative = text.n && text.p[0] == '-';
    struct td_slice size = td_sub(text, text.n && (negative || text.p[0] == '+'), text.n);
    if (td_eq_nocase(size, TD_LIT("inf")) || td_eq_nocase(size, TD_LIT("infinity"))) {
        *ret = negative ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    if (td_eq_nocase(size, TD_LIT("nan"))) {
        *ret = (double)NAN;
        return true;
    }
    return decimal_parse(text, ret);
}

void filter_put_double(struct filter_text *t, double d, enum decimal_form form, int precision)
{
    char text[DECIMAL_TEXT];
    if (isnan(d))
        filter_text_lit(t, "NaN");
    else if (isinf(d))
        filter_text_put(t, d < 0 ? TD_LIT("-Infinity") : TD_LIT("Infinity"));
    else
        filter_text_put(t, td_bytes(text, decimal_format(d, form, precision, text)));
}

void filter_put_ip(struct filter_text *t, const struct filter_value *v)
{
    char text[IP_TEXT];
    filter_text_put(t, td_bytes(text, ip_format(v->bytes.p, v->family, text)));
    if (v->kind == FILTER_CIDR) {
        filter_text_putc(t, '/');
        filter_text_u64(t, v->prefix);
    }
}
