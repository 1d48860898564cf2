#include "type_name.h"

#include <stdalign.h>

#include "filter/value.h"

static const struct filter_type list_of_strings = {.kind = FILTER_LIST, .value = &filter_types[FILTER_STRING]};
static const struct filter_type map_of_strings = {
    .kind = FILTER_MAP, .key = &filter_types[FILTER_STRING], .value = &filter_types[FILTER_STRING]};

enum { MAX_NESTING = 32 };

const struct filter_type *filter_list_type(struct arena *arena, const struct filter_type *of)
{
    if (of->kind == FILTER_STRING)
        return &list_of_strings;
    struct filter_type *type = arena_alloc(arena, sizeof(*type), alignof(struct filter_type));
    if (type)
        *type = (struct filter_type){.kind = FILTER_LIST, .value = of};
    return type;
}

const struct filter_type *filter_map_type(struct arena *arena, const struct filter_type *key, const struct filter_type *value)
{
    if (key->kind == FILTER_STRING && value->kind == FILTER_STRING)
        return &map_of_strings;
    struct filter_type *type = arena_alloc(arena, sizeof(*type), alignof(struct filter_type));
    if (type)
        *type = (struct filter_type){.kind = FILTER_MAP, .key = key, .value = value};
    return type;
}

/* Types are chains in fact: the key of a map has no parts that matter beyond its kind. */
bool filter_type_equal(const struct filter_type *a, const struct filter_type *b)
{
    for (; a && b; a = a->value, b = b->value) {
        if (a == b)
            return true;
        if (a->kind != b->kind || (a->kind == FILTER_PARAM && a->param != b->param) ||
            (a->kind == FILTER_MAP && a->key->kind != b->key->kind))
            return false;
    }
    return !a == !b;
}

static const char *simple_name(enum filter_kind kind)
{
    static const char *const names[] = {
        [FILTER_NULL] = "null_type",      [FILTER_BOOL] = "bool",         [FILTER_INT] = "int",           [FILTER_UINT] = "uint",
        [FILTER_DOUBLE] = "double",       [FILTER_STRING] = "string",     [FILTER_BYTES] = "bytes",       [FILTER_LIST] = "list",
        [FILTER_TIMESTAMP] = "timestamp", [FILTER_DURATION] = "duration", [FILTER_MAP] = "map",           [FILTER_TYPE] = "type",
        [FILTER_IP] = "net.IP",           [FILTER_CIDR] = "net.CIDR",     [FILTER_OPTIONAL] = "optional", [FILTER_DYN] = "dyn",
        [FILTER_PARAM] = "any type",      [FILTER_ERROR] = "error"};
    return names[kind];
}

void filter_type_put(struct buf *out, const struct filter_type *type)
{
    size_t open = 0;
    for (; type; type = type->value) {
        buf_puts(out, simple_name(type->kind));
        if (!type->value || (type->kind == FILTER_TYPE && type->value->kind == FILTER_DYN))
            break;
        buf_putc(out, '(');
        open++;
        if (type->kind == FILTER_MAP) {
            buf_puts(out, simple_name(type->key->kind));
            buf_lit(out, ", ");
        }
    }
    while (open--)
        buf_putc(out, ')');
}

const struct filter_type *filter_type_named(struct td_slice name)
{
    for (int kind = 0; name.n && kind <= FILTER_ERROR; kind++)
        if (td_eq(filter_type_name((enum filter_kind)kind), name))
            return &filter_types[kind];
    return NULL;
}

static struct td_slice trim(struct td_slice s)
{
    while (s.n && s.p[0] == ' ')
        s = td_sub(s, 1, s.n);
    while (s.n && s.p[s.n - 1] == ' ')
        s.n--;
    return s;
}

static const struct filter_type *parse_simple(struct td_slice text)
{
    if (td_eq(text, TD_LIT("timestamp")))
        return &filter_types[FILTER_TIMESTAMP];
    if (td_eq(text, TD_LIT("duration")))
        return &filter_types[FILTER_DURATION];
    if (td_eq(text, TD_LIT("dyn")))
        return &filter_types[FILTER_DYN];
    return filter_type_named(text);
}

const struct filter_type *filter_type_parse(struct arena *arena, struct td_slice text)
{
    const struct filter_type *keys[MAX_NESTING]; /* of the maps around; NULL: a list is around */
    size_t depth = 0;
    text = trim(text);
    for (; depth < MAX_NESTING; depth++) {
        bool list = td_starts(text, TD_LIT("list(")), map = td_starts(text, TD_LIT("map("));
        if ((!list && !map) || text.p[text.n - 1] != ')')
            break;
        text = trim(td_sub(text, list ? 5 : 4, text.n - 1));
        keys[depth] = NULL;
        if (map) {
            const uint8_t *comma = text.n ? memchr(text.p, ',', text.n) : NULL;
            size_t at = comma ? (size_t)(comma - text.p) : 0;
            keys[depth] = parse_simple(trim(td_sub(text, 0, at)));
            if (!keys[depth])
                return NULL;
            text = trim(td_sub(text, at + 1, text.n));
        }
    }
    const struct filter_type *type = parse_simple(text);
    while (type && depth--)
        type = keys[depth] ? filter_map_type(arena, keys[depth], type) : filter_list_type(arena, type);
    return type;
}
