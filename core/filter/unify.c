#include "unify.h"

#include <stdalign.h>

#define DYN (&filter_types[FILTER_DYN])

/* A type and the number from which its variables count. */
struct based {
    const struct filter_type *type;
    uint32_t base;
};

static struct filter_type_variable *variable(const struct filter_unifier *u, struct based t)
{
    return u->v[t.base + t.type->param];
}

static struct based part(struct based t)
{
    return (struct based){t.type->value, t.base};
}

/* Room for one more element in an array in the arena; false if memory is short. */
static bool grow(struct filter_unifier *u, void **array, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap)
        return true;
    uint32_t larger = *cap ? *cap * 2 : 16;
    void *copy = arena_alloc(u->arena, larger * size, alignof(void *));
    if (!copy) {
        u->no_memory = true;
        return false;
    }
    if (n)
        memcpy(copy, *array, n * size);
    *array = copy;
    *cap = larger;
    return true;
}

const struct filter_type *filter_unify_new(struct filter_unifier *u)
{
    void *v = u->v;
    struct filter_type_variable *one = arena_alloc(u->arena, sizeof(*one), alignof(struct filter_type_variable));
    if (!one || !grow(u, &v, u->n, &u->cap, sizeof(*u->v))) {
        u->no_memory = true;
        return DYN;
    }
    u->v = v;
    one->type = (struct filter_type){.kind = FILTER_PARAM, .param = u->n};
    u->v[u->n++] = one;
    return &one->type;
}

/* Binds a variable so that it can be undone. */
static void set_bound(struct filter_unifier *u, struct filter_type_variable *var, const struct filter_type *type)
{
    void *changes = u->changes;
    if (!grow(u, &changes, u->change_n, &u->change_cap, sizeof(*u->changes)))
        return;
    u->changes = changes;
    u->changes[u->change_n++] = (struct filter_type_change){var, var->bound};
    var->bound = type;
}

uint32_t filter_unify_instantiate(struct filter_unifier *u)
{
    uint32_t base = u->n;
    for (int i = 0; i < FILTER_SIGNATURE_VARIABLES; i++)
        if (filter_unify_new(u) == DYN)
            return 0;
    return base;
}

static const struct filter_type *make(struct filter_unifier *u, enum filter_kind kind, const struct filter_type *key,
                                      const struct filter_type *value)
{
    struct filter_type *type = arena_alloc(u->arena, sizeof(*type), alignof(struct filter_type));
    if (!type) {
        u->no_memory = true;
        return DYN;
    }
    *type = (struct filter_type){.kind = (uint8_t)kind, .key = key, .value = value};
    return type;
}

/* The last variable of those that are bound to one another. */
static struct based follow(const struct filter_unifier *u, struct based t)
{
    while (t.type->kind == FILTER_PARAM) {
        const struct filter_type *bound = variable(u, t)->bound;
        if (!bound || bound->kind != FILTER_PARAM)
            break;
        t = (struct based){bound, 0};
    }
    return t;
}

/* Types are chains of a length that the tree's depth limits, so recursion has its limit, too. */
static const struct filter_type *resolve(struct filter_unifier *u, struct based t, bool finish)
{
    t = follow(u, t);
    if (t.type->kind == FILTER_PARAM) {
        struct filter_type_variable *var = variable(u, t);
        if (var->bound)
            return resolve(u, (struct based){var->bound, 0}, finish);
        return finish ? DYN : &var->type;
    }
    if (!t.type->value)
        return t.type;
    const struct filter_type *key = t.type->key ? resolve(u, (struct based){t.type->key, t.base}, finish) : NULL;
    const struct filter_type *value = resolve(u, part(t), finish);
    return key == t.type->key && value == t.type->value ? t.type : make(u, t.type->kind, key, value);
}

const struct filter_type *filter_unify_resolve(struct filter_unifier *u, const struct filter_type *type, uint32_t base)
{
    return resolve(u, (struct based){type, base}, false);
}

const struct filter_type *filter_unify_finish(struct filter_unifier *u, const struct filter_type *type)
{
    return resolve(u, (struct based){type, 0}, true);
}

static bool occurs(const struct filter_unifier *u, const struct filter_type_variable *var, struct based t)
{
    for (; t.type; t = part(t)) {
        while (t.type->kind == FILTER_PARAM) {
            struct filter_type_variable *other = variable(u, t);
            if (other == var)
                return true;
            if (!other->bound)
                return false;
            t = (struct based){other->bound, 0};
        }
        if (t.type->key && occurs(u, var, (struct based){t.type->key, t.base}))
            return true;
    }
    return false;
}

/* Is `a` as general as `b`, or more? */
static bool is_as_general(const struct filter_type *a, const struct filter_type *b)
{
    for (; a && b; a = a->value, b = b->value) {
        if (a->kind == FILTER_DYN || a->kind == FILTER_PARAM)
            return true;
        if (a->kind != b->kind || (a->key && b->key && !is_as_general(a->key, b->key)))
            return false;
    }
    return true;
}

static bool assign(struct filter_unifier *u, struct based to, struct based from);

enum outcome { NO, YES, OPEN };

/* Can a variable stand for a type? It is bound to it, or to the more general one of it and what it was bound to. */
static enum outcome bind(struct filter_unifier *u, struct filter_type_variable *var, struct based t)
{
    if (t.type->kind == FILTER_PARAM && variable(u, t) == var)
        return YES;
    if (!var->bound) {
        if (occurs(u, var, t))
            return OPEN;
        set_bound(u, var, resolve(u, t, false));
        return YES;
    }
    if (!assign(u, t, (struct based){var->bound, 0}))
        return NO;
    const struct filter_type *plain = resolve(u, t, false);
    if (is_as_general(plain, var->bound) && !occurs(u, var, (struct based){plain, 0}))
        set_bound(u, var, plain);
    return YES;
}

static bool assign(struct filter_unifier *u, struct based to, struct based from)
{
    for (;; to = part(to), from = part(from)) {
        to = follow(u, to);
        from = follow(u, from);
        enum filter_kind a = to.type->kind, b = from.type->kind;
        enum outcome outcome = OPEN;
        if (b == FILTER_PARAM)
            outcome = bind(u, variable(u, from), to);
        if (outcome == OPEN && a == FILTER_PARAM)
            outcome = bind(u, variable(u, to), from) == YES ? YES : NO;
        if (outcome != OPEN)
            return outcome == YES;
        if (a == FILTER_DYN || b == FILTER_DYN || a == FILTER_ERROR || b == FILTER_ERROR)
            return true;
        if (b == FILTER_NULL && (a == FILTER_TIMESTAMP || a == FILTER_DURATION || a == FILTER_OPTIONAL))
            return true; /* CEL's messages may lack them */
        if (a != b)
            return false;
        if (a == FILTER_TYPE || !to.type->value || !from.type->value)
            return true;
        if (a == FILTER_MAP && !assign(u, (struct based){to.type->key, to.base}, (struct based){from.type->key, from.base}))
            return false;
    }
}

bool filter_unify(struct filter_unifier *u, const struct filter_type *const *to, uint32_t base, const struct filter_type *const *from,
                  uint32_t n)
{
    uint32_t i;
    u->change_n = 0;
    for (i = 0; i < n && assign(u, (struct based){to[i], base}, (struct based){from[i], 0}); i++)
        ;
    if (i == n)
        return true;
    while (u->change_n) {
        const struct filter_type_change *change = &u->changes[--u->change_n];
        change->variable->bound = change->before;
    }
    return false;
}

const struct filter_type *filter_unify_join(struct filter_unifier *u, const struct filter_type *a, const struct filter_type *b)
{
    if (a && a->kind == FILTER_NULL && b->kind != FILTER_NULL) /* null may be a timestamp, but no timestamp is null's type */
        return filter_unify(u, &b, 0, &a, 1) ? b : DYN;
    if (!a || !filter_unify(u, &a, 0, &b, 1))
        return a ? DYN : b;
    if (b->kind == FILTER_NULL)
        return a;
    a = filter_unify_resolve(u, a, 0);
    b = filter_unify_resolve(u, b, 0);
    return is_as_general(a, b) ? a : b;
}
