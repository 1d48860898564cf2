/* Overloads of functions and operators. */
#include "filter/checker.h"
#include "filter/print.h"
#include "filter/type_name.h"

#define BOOL FILTER_TYPE_OF(FILTER_BOOL)
#define INT FILTER_TYPE_OF(FILTER_INT)
#define UINT FILTER_TYPE_OF(FILTER_UINT)
#define DOUBLE FILTER_TYPE_OF(FILTER_DOUBLE)
#define STRING FILTER_TYPE_OF(FILTER_STRING)
#define BYTES FILTER_TYPE_OF(FILTER_BYTES)
#define TIMESTAMP FILTER_TYPE_OF(FILTER_TIMESTAMP)
#define DURATION FILTER_TYPE_OF(FILTER_DURATION)
#define DYN FILTER_TYPE_OF(FILTER_DYN)
#define FAULTY FILTER_TYPE_OF(FILTER_ERROR)

enum { MAX_ALTERNATIVES = 12 };

/* ---- Operators -------------------------------------------------------------------------------------------------------- */

static const struct filter_type list_a = {.kind = FILTER_LIST, .value = &filter_types[FILTER_PARAM]};

struct overload {
    const struct filter_type *args[2], *result;
};

static const struct overload additions[] = {
    {{INT, INT}, INT},
    {{UINT, UINT}, UINT},
    {{DOUBLE, DOUBLE}, DOUBLE},
    {{STRING, STRING}, STRING},
    {{BYTES, BYTES}, BYTES},
    {{TIMESTAMP, DURATION}, TIMESTAMP},
    {{DURATION, TIMESTAMP}, TIMESTAMP},
    {{DURATION, DURATION}, DURATION},
    {{&list_a, &list_a}, &list_a},
};
static const struct overload subtractions[] = {
    {{INT, INT}, INT},
    {{UINT, UINT}, UINT},
    {{DOUBLE, DOUBLE}, DOUBLE},
    {{TIMESTAMP, TIMESTAMP}, DURATION},
    {{TIMESTAMP, DURATION}, TIMESTAMP},
    {{DURATION, DURATION}, DURATION},
};
static const struct overload products[] = {{{INT, INT}, INT}, {{UINT, UINT}, UINT}, {{DOUBLE, DOUBLE}, DOUBLE}};
static const struct overload remainders[] = {{{INT, INT}, INT}, {{UINT, UINT}, UINT}};
static const struct overload negations[] = {{{INT, NULL}, INT}, {{DOUBLE, NULL}, DOUBLE}};
static const struct overload orders[] = {
    {{INT, INT}, BOOL},     {{UINT, UINT}, BOOL}, {{DOUBLE, DOUBLE}, BOOL},       {{STRING, STRING}, BOOL},
    {{BYTES, BYTES}, BOOL}, {{BOOL, BOOL}, BOOL}, {{TIMESTAMP, TIMESTAMP}, BOOL}, {{DURATION, DURATION}, BOOL},
};

static const struct overload *overloads_of(enum filter_op op, size_t *ret_n)
{
#define ROWS(table) (*ret_n = sizeof(table) / sizeof((table)[0]), (table))
    switch (op) {
    case FILTER_ADD: return ROWS(additions);
    case FILTER_SUB: return ROWS(subtractions);
    case FILTER_MUL:
    case FILTER_DIV: return ROWS(products);
    case FILTER_MOD: return ROWS(remainders);
    case FILTER_NEG: return ROWS(negations);
    default: return ROWS(orders);
    }
#undef ROWS
}

/* What two overloads that both fit have in common. */
static const struct filter_type *common(const struct filter_type *a, const struct filter_type *b)
{
    return !a || filter_type_equal(a, b) ? b : DYN;
}

static bool has_variable(const struct filter_type *type)
{
    for (; type; type = type->value)
        if (type->kind == FILTER_PARAM || (type->key && type->key->kind == FILTER_PARAM))
            return true;
    return false;
}

/* The result of the rows that fit; NULL: none does. */
static const struct filter_type *match_overloads(struct checker *c, const struct filter_node *node)
{
    const struct filter_type *args[2], *result = NULL;
    size_t n;
    const struct overload *rows = overloads_of(node->op, &n);
    bool open = false;
    for (uint32_t i = 0; i < node->arg_n && i < 2; i++) {
        args[i] = filter_unify_resolve(&c->types, node->args[i]->type, 0);
        open |= args[i]->kind == FILTER_DYN || args[i]->kind == FILTER_PARAM || args[i]->kind == FILTER_ERROR;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t base = has_variable(rows[i].args[0]) ? filter_unify_instantiate(&c->types) : 0;
        if (!filter_unify(&c->types, rows[i].args, base, args, node->arg_n))
            continue;
        result = common(result, filter_unify_resolve(&c->types, rows[i].result, base));
        if (!open)
            break;
    }
    return result;
}

static bool same_types(struct checker *c, const struct filter_node *a, const struct filter_node *b)
{
    return filter_unify(&c->types, &a->type, 0, &b->type, 1);
}

/* x in list, k in map. */
static bool is_membership(struct checker *c, const struct filter_node *node)
{
    const struct filter_type *in = filter_unify_resolve(&c->types, node->args[1]->type, 0);
    switch (in->kind) {
    case FILTER_LIST: return filter_unify(&c->types, &in->value, 0, &node->args[0]->type, 1);
    case FILTER_MAP: return filter_unify(&c->types, &in->key, 0, &node->args[0]->type, 1);
    default: return in->kind == FILTER_DYN || in->kind == FILTER_PARAM || in->kind == FILTER_ERROR;
    }
}

/* a[b]; NULL: there is no such thing. */
static const struct filter_type *indexed_type(struct checker *c, const struct filter_node *node)
{
    const struct filter_type *of = filter_unify_resolve(&c->types, node->args[0]->type, 0), *element = NULL, *index = NULL;
    bool optional = of->kind == FILTER_OPTIONAL || node->op == FILTER_OPT_INDEX;
    if (of->kind == FILTER_OPTIONAL)
        of = of->value;
    if (of->kind == FILTER_LIST || of->kind == FILTER_MAP) {
        element = of->value;
        index = of->kind == FILTER_LIST ? INT : of->key;
        if (!filter_unify(&c->types, &index, 0, &node->args[1]->type, 1))
            return NULL;
    } else if (of->kind == FILTER_DYN || of->kind == FILTER_ERROR) {
        element = of;
    } else if (of->kind == FILTER_PARAM) {
        element = DYN;
    }
    if (!element || !optional)
        return element;
    struct filter_type *result = arena_alloc(c->builder.arena, sizeof(*result), 16);
    c->types.no_memory |= !result;
    if (result)
        *result = (struct filter_type){.kind = FILTER_OPTIONAL, .value = element};
    return result ? result : FAULTY;
}

static const struct filter_type *check_condition(struct checker *c, const struct filter_node *node)
{
    const struct filter_type *a = node->args[1]->type, *b = node->args[2]->type;
    filter_check_condition(c, node->args[0], "the condition of ?:");
    if (!same_types(c, node->args[1], node->args[2])) {
        filter_advise_operator(c, node);
        return FAULTY;
    }
    return filter_unify_join(&c->types, a, b);
}

static void check_literal_key(struct checker *c, struct filter_node *node, struct filter_node *map, struct filter_node *key, bool guarded)
{
    if (map->kind == FILTER_FIELD && map->type->kind == FILTER_MAP && key->kind == FILTER_LITERAL && key->value.kind == FILTER_STRING &&
        !c->env->plain)
        filter_check_key(c, map, node, &key->value.bytes, key->span, guarded);
}

static const struct filter_type *check_logic(struct checker *c, const struct filter_node *node)
{
    for (uint32_t i = 0; i < node->arg_n; i++)
        filter_check_condition(c, node->args[i], filter_operator_name(node->op));
    return BOOL;
}

static const struct filter_type *check_equality(struct checker *c, const struct filter_node *node)
{
    if (td_eq(node->name, TD_LIT("xor"))) {
        filter_check_condition(c, node->args[0], "xor");
        filter_check_condition(c, node->args[1], "xor");
    }
    if (!same_types(c, node->args[0], node->args[1]))
        filter_advise_operator(c, node);
    else if (!c->env->plain)
        filter_advise_comparison(c, node);
    return BOOL;
}

static const struct filter_type *check_checked_operator(struct checker *c, struct filter_node *node)
{
    const struct filter_type *type;
    switch ((enum filter_op)node->op) {
    case FILTER_OR:
    case FILTER_AND:
    case FILTER_NOT: return check_logic(c, node);
    case FILTER_CONDITION: return check_condition(c, node);
    case FILTER_EQ:
    case FILTER_NE: return check_equality(c, node);
    case FILTER_IN:
        if (!is_membership(c, node))
            filter_advise_operator(c, node);
        else if (!c->env->plain)
            filter_advise_comparison(c, node);
        check_literal_key(c, node, node->args[1], node->args[0], true);
        return BOOL;
    case FILTER_INDEX:
    case FILTER_OPT_INDEX:
        type = indexed_type(c, node);
        check_literal_key(c, node, node->args[0], node->args[1], node->op == FILTER_OPT_INDEX);
        break;
    default: type = match_overloads(c, node); break;
    }
    if (!type)
        filter_advise_operator(c, node);
    return type ? type : FAULTY;
}

const struct filter_type *filter_check_operator(struct checker *c, struct filter_node *node)
{
    for (uint32_t i = 0; i < node->arg_n; i++)
        filter_check_node(c, node->args[i]);
    return c->env->dynamic ? DYN : check_checked_operator(c, node);
}

/* ---- Functions ---------------------------------------------------------------------------------------------------------- */

/* math.greatest(x) was parsed as a method of a name; it is a function if there is one of that name. */
static void resolve_namespace(struct checker *c, struct filter_node *node)
{
    char name[FILTER_MAX_NAME];
    const struct filter_node *root = node->args[0];
    size_t n = filter_qualified_name(root, name, sizeof(name));
    while (root->kind == FILTER_SELECT)
        root = root->args[0];
    if (!n || n + 1 + node->name.n > sizeof(name) || filter_check_variable(c, root) >= 0)
        return;
    name[n++] = '.';
    memcpy(name + n, node->name.p, node->name.n);
    n += node->name.n;
    if (filter_function_find(td_bytes(name, n)) < 0)
        return;
    node->name = filter_copy_text(&c->builder, td_bytes(name, n));
    node->receiver = false;
    node->args++;
    node->arg_n--;
}

static bool is_named(const struct filter_function *f, struct td_slice name)
{
    return strncmp(f->name, (const char *)name.p, name.n) == 0 && !f->name[name.n];
}

/* Does a signature take these arguments? */
static const struct filter_type *match_function(struct checker *c, const struct filter_function *f, const struct filter_node *node,
                                                const struct filter_type *const *types)
{
    bool variables = has_variable(f->result); /* also of those without arguments: optional.none() */
    for (uint32_t i = 0; i < f->arg_n; i++)
        variables |= has_variable(f->args[i]);
    uint32_t base = variables ? filter_unify_instantiate(&c->types) : 0;
    if (f->variadic) {
        for (uint32_t i = 0; i < node->arg_n; i++)
            if (!filter_unify(&c->types, f->args, base, &node->args[i]->type, 1))
                return NULL;
    } else if (!filter_unify(&c->types, f->args, base, types, f->arg_n)) {
        return NULL;
    }
    return filter_unify_resolve(&c->types, f->result, base);
}

/* Finds the overload, or those among which the values decide. */
static const struct filter_type *match_functions(struct checker *c, struct filter_node *node, uint32_t first)
{
    uint32_t total;
    const struct filter_function *functions = filter_functions(&total);
    const struct filter_type *types[FILTER_MAX_ARGS] = {0}, *result = NULL;
    bool open = false;
    for (uint32_t i = 0; i < node->arg_n; i++) {
        const struct filter_type *type = filter_unify_resolve(&c->types, node->args[i]->type, 0);
        open |= type->kind == FILTER_DYN || type->kind == FILTER_PARAM || type->kind == FILTER_ERROR || has_variable(type) ||
                (type->value && type->value->kind == FILTER_DYN);
        if (i < FILTER_MAX_ARGS)
            types[i] = type;
    }
    for (uint32_t i = first; i < total && is_named(&functions[i], node->name) && (open || !result); i++) {
        const struct filter_function *f = &functions[i];
        if (f->receiver != node->receiver || !(f->variadic ? node->arg_n >= 1 : f->arg_n == node->arg_n))
            continue;
        const struct filter_type *one = match_function(c, f, node, types);
        if (!one)
            continue;
        if (result)
            node->op = FILTER_BY_VALUES;
        else
            node->index = i;
        result = common(result, one);
    }
    if (node->op == FILTER_BY_VALUES)
        node->index = first;
    return result;
}

/* timestamp("..."), duration, ip, cidr: a bad text is found now. */
static void check_literal_argument(struct checker *c, const struct filter_node *node)
{
    static const char *const names[] = {"cidr", "duration", "ip", "timestamp"};
    const struct filter_node *arg = node->arg_n == 1 ? node->args[0] : NULL;
    uint32_t n;
    uint64_t fuel = FILTER_MAX_ITERATIONS;
    struct filter_context context = {.arena = c->builder.arena, .fuel = &fuel};
    if (!arg || arg->kind != FILTER_LITERAL || arg->value.kind != FILTER_STRING || node->receiver || node->op != FILTER_BY_TYPES)
        return;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!td_eq(td_str(names[i]), node->name))
            continue;
        if (filter_functions(&n)[node->index].fn(&context, &arg->value).kind == FILTER_ERROR)
            filter_advise_bad_literal(c, node);
        return;
    }
}

/* A literal regular expression that is none. */
static void check_pattern(struct checker *c, const struct filter_node *node)
{
    uint32_t n;
    struct error err;
    const struct filter_node *pattern = node->arg_n == 2 ? node->args[1] : NULL;
    if (!pattern || pattern->kind != FILTER_LITERAL || pattern->value.kind != FILTER_STRING || !c->env->check_regex ||
        filter_functions(&n)[node->index].prepare != FILTER_PREPARE_REGEX || node->op != FILTER_BY_TYPES)
        return;
    int status = c->env->check_regex(pattern->value.bytes, &err);
    if (status == TD_E_NOMEM)
        c->types.no_memory = true;
    else if (status != TD_OK)
        filter_fault(c->diagnostics, pattern->span, "bad_regex", "this is no regular expression (RE2): %s", err.text);
}

static const struct filter_type *check_dynamic_call(struct filter_node *node, int32_t first)
{
    node->op = FILTER_BY_VALUES;
    node->index = first < 0 ? FILTER_UNRESOLVED : (uint32_t)first;
    return DYN;
}

const struct filter_type *filter_check_call(struct checker *c, struct filter_node *node)
{
    if (node->receiver)
        resolve_namespace(c, node);
    for (uint32_t i = 0; i < node->arg_n; i++)
        filter_check_node(c, node->args[i]);
    int32_t first = filter_function_find(node->name);
    if (c->env->dynamic)
        return check_dynamic_call(node, first);
    node->index = FILTER_UNRESOLVED;
    if (first < 0) {
        filter_advise_unknown_function(c, node);
        return FAULTY;
    }
    const struct filter_type *type = match_functions(c, node, (uint32_t)first);
    bool map_get = !c->env->plain && td_eq(node->name, TD_LIT("map_get"));
    if (!type && map_get && node->arg_n == 0) {
        filter_advise_value(c, node);
        return DYN;
    }
    if (!type) {
        filter_advise_call(c, node, first);
        return FAULTY;
    }
    if (map_get)
        check_literal_key(c, node, node->args[0], node->args[1], true);
    if (!c->env->plain) {
        check_literal_argument(c, node);
        check_pattern(c, node);
    }
    return type;
}
