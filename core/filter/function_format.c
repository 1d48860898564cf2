/* "%s is %d".format([...]). */
#include "base/utf8.h"
#include "filter/convert.h"
#include "filter/function_table.h"
#include "filter/time.h"

enum { DEFAULT_PRECISION = 6 };

/* A clause: %.3f. */
struct clause {
    uint8_t verb;
    int precision;
};

/* Bytes as text: what is no UTF-8 becomes U+FFFD. */
static void put_bytes(struct filter_text *t, struct td_slice s)
{
    for (size_t i = 0; i < s.n;) {
        size_t n = utf8_length(s.p + i, s.n - i);
        filter_text_put(t, n ? td_sub(s, i, i + n) : TD_LIT("\xef\xbf\xbd"));
        i += n ? n : 1;
    }
}

static bool put_value(struct filter_context *ctx, struct filter_text *t, const struct filter_value *v);

static bool put_list(struct filter_context *ctx, struct filter_text *t, const struct filter_list *list)
{
    filter_text_putc(t, '[');
    for (uint32_t i = 0; i < list->n; i++) {
        if (i)
            filter_text_lit(t, ", ");
        if (!put_value(ctx, t, &list->v[i]))
            return false;
    }
    filter_text_putc(t, ']');
    return true;
}

struct shown_pair {
    struct td_slice key, value;
};

/* Shell's sort: in place, where the library's may ask for memory. */
static void sort_pairs(struct shown_pair *pairs, uint32_t n)
{
    for (uint32_t gap = n / 2; gap; gap /= 2) {
        for (uint32_t i = gap; i < n; i++) {
            struct shown_pair moved = pairs[i];
            struct filter_value key = filter_string(moved.key);
            uint32_t at = i;
            for (; at >= gap; at -= gap) {
                struct filter_value other = filter_string(pairs[at - gap].key);
                if (filter_compare(&other, &key) != FILTER_MORE)
                    break;
                pairs[at] = pairs[at - gap];
            }
            pairs[at] = moved;
        }
    }
}

/* In the order of the keys' texts. */
static bool put_map(struct filter_context *ctx, struct filter_text *t, const struct filter_map *map)
{
    struct shown_pair *pairs = arena_alloc(ctx->arena, map->n * sizeof *pairs, _Alignof(struct shown_pair));
    if (!pairs) {
        t->failed = true;
        return true;
    }
    for (uint32_t i = 0; i < map->n; i++) {
        struct filter_value key, value;
        struct filter_text key_text = {.arena = ctx->arena}, value_text = {.arena = ctx->arena};
        filter_map_at(map, i, &key, &value);
        if (!put_value(ctx, &key_text, &key) || !put_value(ctx, &value_text, &value))
            return false;
        t->failed = t->failed || key_text.failed || value_text.failed;
        pairs[i] = (struct shown_pair){td_bytes(key_text.p, key_text.n), td_bytes(value_text.p, value_text.n)};
    }
    sort_pairs(pairs, map->n);
    filter_text_putc(t, '{');
    for (uint32_t i = 0; i < map->n; i++) {
        if (i)
            filter_text_lit(t, ", ");
        filter_text_put(t, pairs[i].key);
        filter_text_lit(t, ": ");
        filter_text_put(t, pairs[i].value);
    }
    filter_text_putc(t, '}');
    return true;
}

/* False: values of this kind have no text. The recursion is as deep as values are nested, which is no deeper than the filter. */
static bool put_value(struct filter_context *ctx, struct filter_text *t, const struct filter_value *v)
{
    if (!filter_spend(ctx->fuel, 1)) {
        t->failed = true;
        return true;
    }
    switch (v->kind) {
    case FILTER_NULL: filter_text_lit(t, "null"); return true;
    case FILTER_BOOL: filter_text_put(t, v->b ? TD_LIT("true") : TD_LIT("false")); return true;
    case FILTER_INT: filter_text_i64(t, v->i); return true;
    case FILTER_UINT: filter_text_u64(t, v->u); return true;
    case FILTER_DOUBLE: filter_put_double(t, v->d, DECIMAL_PLAIN, 0); return true;
    case FILTER_STRING: filter_text_put(t, v->bytes); return true;
    case FILTER_BYTES: put_bytes(t, v->bytes); return true;
    case FILTER_TIMESTAMP: filter_time_put(t, v); return true;
    case FILTER_DURATION: filter_duration_put(t, v->i); return true;
    case FILTER_TYPE: filter_text_put(t, filter_type_name(v->type->kind)); return true;
    case FILTER_IP:
    case FILTER_CIDR: filter_put_ip(t, v); return true;
    case FILTER_LIST: return put_list(ctx, t, v->list);
    case FILTER_MAP: return put_map(ctx, t, v->map);
    default: return false;
    }
}

/* A whole number with base 2, 8 or 16. */
static void put_base(struct filter_text *t, uint64_t size, bool negative, unsigned base, bool capitals)
{
    char text[65], *p = text + sizeof text;
    const char *digits = capitals ? "0123456789ABCDEF" : "0123456789abcdef";
    do
        *--p = digits[size % base];
    while (size /= base);
    if (negative)
        *--p = '-';
    filter_text_put(t, td_bytes(p, (size_t)(text + sizeof text - p)));
}

static bool put_whole(struct filter_text *t, const struct filter_value *v, unsigned base, bool capitals)
{
    bool negative = v->kind == FILTER_INT && v->i < 0;
    if (v->kind != FILTER_INT && v->kind != FILTER_UINT)
        return false;
    put_base(t, negative ? 0 - v->u : v->u, negative, base, capitals);
    return true;
}

static bool put_hex(struct filter_text *t, const struct filter_value *v, bool capitals)
{
    if (v->kind != FILTER_STRING && v->kind != FILTER_BYTES)
        return put_whole(t, v, 16, capitals);
    const char *digits = capitals ? "0123456789ABCDEF" : "0123456789abcdef";
    for (size_t i = 0; i < v->bytes.n; i++) {
        char pair[2] = {digits[v->bytes.p[i] >> 4], digits[v->bytes.p[i] & 15]};
        filter_text_put(t, td_bytes(pair, 2));
    }
    return true;
}

static bool put_decimal(struct filter_text *t, const struct filter_value *v)
{
    if (v->kind == FILTER_DOUBLE) {
        filter_put_double(t, v->d, DECIMAL_PLAIN, 0);
        return true;
    }
    return put_whole(t, v, 10, false);
}

static bool put_precise(struct filter_text *t, const struct filter_value *v, enum decimal_form form, int precision)
{
    if (!filter_is_number(v))
        return false;
    double d = v->kind == FILTER_INT ? (double)v->i : v->kind == FILTER_UINT ? (double)v->u : v->d;
    filter_put_double(t, d, form, precision);
    return true;
}

static bool put_clause(struct filter_context *ctx, struct filter_text *t, struct clause c, const struct filter_value *v)
{
    switch (c.verb) {
    case 's': return put_value(ctx, t, v);
    case 'd': return put_decimal(t, v);
    case 'f': return put_precise(t, v, DECIMAL_FIXED, c.precision);
    case 'e': return put_precise(t, v, DECIMAL_SCIENTIFIC, c.precision);
    case 'b':
        if (v->kind != FILTER_BOOL)
            return put_whole(t, v, 2, false);
        filter_text_putc(t, v->b ? '1' : '0');
        return true;
    case 'o': return put_whole(t, v, 8, false);
    case 'x': return put_hex(t, v, false);
    case 'X': return put_hex(t, v, true);
    default: return false;
    }
}

/* What stands behind a percent sign. */
static bool parse_clause(struct td_slice format, size_t *at, struct clause *c)
{
    c->precision = DEFAULT_PRECISION;
    if (*at < format.n && format.p[*at] == '.') {
        size_t start = ++*at;
        c->precision = 0;
        for (; *at < format.n && format.p[*at] >= '0' && format.p[*at] <= '9'; ++*at)
            if ((c->precision = c->precision * 10 + format.p[*at] - '0') > DECIMAL_MAX_PRECISION)
                return false;
        if (*at == start)
            return false;
    }
    if (*at >= format.n)
        return false;
    c->verb = format.p[(*at)++];
    return true;
}

struct filter_value call_format(struct filter_context *ctx, const struct filter_value *args)
{
    struct td_slice format = args[0].bytes;
    const struct filter_list *list = args[1].list;
    struct filter_text t = {.arena = ctx->arena};
    uint32_t used = 0;
    for (size_t at = 0; at < format.n && !t.failed;) {
        struct clause c;
        const uint8_t *percent = memchr(format.p + at, '%', format.n - at);
        size_t end = percent ? (size_t)(percent - format.p) : format.n;
        filter_text_put(&t, td_sub(format, at, end));
        at = end + 1;
        if (!percent)
            break;
        if (at < format.n && format.p[at] == '%') {
            filter_text_putc(&t, '%');
            at++;
        } else if (!parse_clause(format, &at, &c) || used >= list->n || !put_clause(ctx, &t, c, &list->v[used++])) {
            return filter_fail(FILTER_E_ARGUMENT);
        }
        if (!filter_spend(ctx->fuel, 1))
            return filter_fail(FILTER_E_LIMIT);
    }
    return filter_text_value(&t);
}
