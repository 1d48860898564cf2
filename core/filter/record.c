#include "filter/record.h"

#include <stdlib.h>

#include "base/json.h"
#include "filter/time.h"

static const uint8_t replacement[] = {0xef, 0xbf, 0xbd}; /* U+FFFD */

/* The length of the UTF-8 character at the beginning; 0: there is none. */
static size_t character(struct td_slice s)
{
    for (size_t n = 1; n <= 4 && n <= s.n; n++)
        if (json_is_utf8(td_sub(s, 0, n)))
            return n;
    return 0;
}

struct filter_value filter_record_text(struct arena *arena, struct td_slice text)
{
    if (json_is_utf8(text))
        return filter_string(text);
    uint8_t *p = text.n <= SIZE_MAX / 3 ? arena_alloc(arena, 3 * text.n, 1) : NULL;
    size_t at = 0;
    if (!p)
        return filter_fail(FILTER_E_LIMIT);
    while (text.n) {
        size_t n = character(text);
        memcpy(p + at, n ? text.p : replacement, n ? n : sizeof(replacement));
        at += n ? n : sizeof(replacement);
        text = td_sub(text, n ? n : 1, text.n);
    }
    return filter_string(td_bytes(p, at));
}

bool filter_folds_case(const struct registry_field *f)
{
    size_t n = strlen(f->name);
    return f->type == REGISTRY_MAP && n > 9 && (strcmp(f->name + n - 8, ".headers") == 0 || strcmp(f->name + n - 9, ".trailers") == 0);
}

/* ---- Maps ---- */

struct pair {
    struct td_slice name, value;
    uint32_t order;
};

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    size_t n = x->name.n < y->name.n ? x->name.n : y->name.n;
    int order = n ? memcmp(x->name.p, y->name.p, n) : 0;
    if (order == 0)
        order = (x->name.n > y->name.n) - (x->name.n < y->name.n);
    return order ? order : (x->order > y->order) - (x->order < y->order);
}

static bool lower_case(struct arena *arena, struct td_slice *name)
{
    uint8_t *p = arena_alloc(arena, name->n + 1, 1);
    if (!p)
        return false;
    for (size_t i = 0; i < name->n; i++)
        p[i] = td_ascii_lower(name->p[i]);
    *name = td_bytes(p, name->n);
    return true;
}

/* The values of n pairs with one name. */
static struct filter_value join(struct arena *arena, const struct pair *pairs, uint32_t n)
{
    struct td_slice between = td_eq(pairs[0].name, TD_LIT("set-cookie")) ? TD_LIT("\n") : TD_LIT(", ");
    size_t total = 0, at = 0;
    if (n == 1)
        return filter_record_text(arena, pairs[0].value);
    for (uint32_t i = 0; i < n; i++)
        total += pairs[i].value.n + between.n; /* parts of one call, whose memory is limited */
    uint8_t *p = arena_alloc(arena, total, 1);
    if (!p)
        return filter_fail(FILTER_E_LIMIT);
    for (uint32_t i = 0; i < n; i++) {
        if (i) {
            memcpy(p + at, between.p, between.n);
            at += between.n;
        }
        if (pairs[i].value.n)
            memcpy(p + at, pairs[i].value.p, pairs[i].value.n);
        at += pairs[i].value.n;
    }
    return filter_record_text(arena, td_bytes(p, at));
}

struct filter_value filter_record_map(struct arena *arena, struct td_slice *names, struct td_slice *values, uint32_t n, bool fold)
{
    uint64_t fuel = UINT64_MAX;
    struct pair *pairs = arena_alloc(arena, (n + 1) * sizeof(*pairs), 8);
    struct filter_value *v = arena_alloc(arena, 2 * ((size_t)n + 1) * sizeof(*v), 8);
    uint32_t keys = 0;
    if (!pairs || !v)
        return filter_fail(FILTER_E_LIMIT);
    for (uint32_t i = 0; i < n; i++) {
        if (fold && !lower_case(arena, &names[i]))
            return filter_fail(FILTER_E_LIMIT);
        struct filter_value name = filter_record_text(arena, names[i]);
        if (name.kind == FILTER_ERROR)
            return name;
        pairs[i] = (struct pair){name.bytes, values[i], i};
    }
    qsort(pairs, n, sizeof(*pairs), compare_pairs);
    for (uint32_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && td_eq(pairs[end].name, pairs[i].name);)
            end++;
        v[2 * keys] = filter_string(pairs[i].name);
        v[2 * keys + 1] = join(arena, &pairs[i], end - i);
        if (v[2 * keys + 1].kind == FILTER_ERROR)
            return v[2 * keys + 1];
        keys++;
    }
    return filter_map_new(arena, v, keys, &fuel);
}

/* ---- Calls ---- */

struct filter_value filter_record_absent(const struct registry_field *f)
{
    static const struct filter_list no_list = {0};
    static const struct filter_map no_map = {0};
    switch (f->type) {
    case REGISTRY_BOOL: return filter_bool(f->absent != 0);
    case REGISTRY_INT: return filter_int(f->absent);
    case REGISTRY_TIMESTAMP: return filter_time_ns(f->absent);
    case REGISTRY_DURATION: return (struct filter_value){.kind = FILTER_DURATION, .i = f->absent};
    case REGISTRY_BYTES: return filter_bytes((struct td_slice){0});
    case REGISTRY_LIST: return (struct filter_value){.kind = FILTER_LIST, .list = &no_list};
    case REGISTRY_MAP: return (struct filter_value){.kind = FILTER_MAP, .map = &no_map};
    default: return filter_string((struct td_slice){0});
    }
}

static bool has(const void *ctx, uint32_t field)
{
    const struct filter_call *c = ctx;
    return field_registry_has(c->registry, field, c->call);
}

static uint32_t count(const struct filter_call *c, uint32_t field)
{
    struct registry_value v;
    uint32_t n = 0;
    for (uint32_t at = 0; field_registry_next(c->registry, field, c->call, &at, &v);)
        n++;
    return n;
}

/* An element's own text may stand in `v`, which does not last. */
static struct filter_value keep_text(struct arena *arena, const struct registry_value *v)
{
    if ((const char *)v->bytes.p != v->text)
        return filter_record_text(arena, v->bytes);
    const char *p = arena_strndup(arena, v->text, v->bytes.n);
    return p ? filter_string(td_bytes(p, v->bytes.n)) : filter_fail(FILTER_E_LIMIT);
}

static struct filter_value get_list(const struct filter_call *c, uint32_t field, struct arena *arena)
{
    struct registry_value v;
    struct filter_list *list = filter_list_new(arena, count(c, field));
    if (!list)
        return filter_fail(FILTER_E_LIMIT);
    list->n = 0;
    for (uint32_t at = 0; field_registry_next(c->registry, field, c->call, &at, &v);) {
        struct filter_value element = keep_text(arena, &v);
        if (element.kind == FILTER_ERROR)
            return element;
        list->v[list->n++] = element;
    }
    return (struct filter_value){.kind = FILTER_LIST, .list = list};
}

static struct filter_value get_map(const struct filter_call *c, const struct registry_field *f, uint32_t field, struct arena *arena)
{
    struct registry_value v;
    uint32_t n = count(c, field), i = 0;
    struct td_slice *names = arena_alloc(arena, 2 * ((size_t)n + 1) * sizeof(*names), 8);
    if (!names)
        return filter_fail(FILTER_E_LIMIT);
    for (uint32_t at = 0; i < n && field_registry_next(c->registry, field, c->call, &at, &v); i++) {
        names[i] = v.name;
        names[n + i] = v.bytes;
    }
    return filter_record_map(arena, names, names + n, i, filter_folds_case(f));
}

static struct filter_value get(const void *ctx, uint32_t field, struct arena *arena)
{
    const struct filter_call *c = ctx;
    const struct registry_field *f = field_registry_at(c->registry, field);
    struct registry_value v;
    if (f->type == REGISTRY_LIST)
        return get_list(c, field, arena);
    if (f->type == REGISTRY_MAP)
        return get_map(c, f, field, arena);
    if (!field_registry_get(c->registry, field, c->call, &v))
        return filter_record_absent(f);
    switch (f->type) {
    case REGISTRY_BOOL: return filter_bool(v.number != 0);
    case REGISTRY_INT: return filter_int(v.number);
    case REGISTRY_TIMESTAMP: return filter_time_ns(v.number);
    case REGISTRY_DURATION: return (struct filter_value){.kind = FILTER_DURATION, .i = v.number};
    case REGISTRY_BYTES: return filter_bytes(v.bytes);
    default: return keep_text(arena, &v);
    }
}

struct filter_record filter_call_record(const struct filter_call *call)
{
    return (struct filter_record){.ctx = call, .has = has, .get = get};
}
