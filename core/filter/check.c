#include "check.h"

#include <stdalign.h>
#include <stdio.h>

#include "filter/checker.h"
#include "filter/expand.h"
#include "filter/macro.h"
#include "filter/type_name.h"

enum { MAX_NAME = FILTER_MAX_NAME, MAX_CONTAINER = 256 };

/* ---- Names ----------------------------------------------------------------------------------------------------------- */

int32_t filter_check_variable(const struct checker *c, const struct filter_node *name)
{
    for (uint32_t i = c->var_n; name->kind == FILTER_NAME && !name->absolute && i-- > 0;)
        if (td_eq(c->vars[i].name, name->name))
            return (int32_t)i;
    return -1;
}

/* In the container a.b, the name c may be a.b.c, a.c or c, in this order. */
bool filter_check_find(const struct checker *c, struct td_slice name, bool absolute, struct filter_symbol *ret)
{
    struct td_slice container = c->env->container;
    if (absolute)
        container.n = 0;
    char text[MAX_CONTAINER + MAX_NAME + 1];
    while (container.n && container.n <= MAX_CONTAINER && name.n <= MAX_NAME) {
        memcpy(text, container.p, container.n);
        text[container.n] = '.';
        memcpy(text + container.n + 1, name.p, name.n);
        if (c->env->find(c->env->ctx, td_bytes(text, container.n + 1 + name.n), ret))
            return true;
        while (container.n && container.p[container.n - 1] != '.')
            container.n--;
        container.n -= container.n > 0;
    }
    return c->env->find(c->env->ctx, name, ret);
}

static const struct filter_type *become_field(struct checker *c, struct filter_node *node, const struct filter_symbol *symbol)
{
    if (symbol->field && symbol->field->payload) {
        filter_advise_payload(c, node);
        return FILTER_TYPE_OF(FILTER_ERROR);
    }
    node->kind = FILTER_FIELD;
    node->name = symbol->name;
    node->index = symbol->index;
    node->arg_n = 0;
    return c->env->dynamic ? FILTER_TYPE_OF(FILTER_DYN) : symbol->type;
}

static const struct filter_type *become_type_name(struct checker *c, struct filter_node *node, const struct filter_type *type,
                                                  struct td_slice name)
{
    struct filter_type *of = arena_alloc(c->builder.arena, sizeof(*of), alignof(struct filter_type));
    if (!of) {
        c->types.no_memory = true;
        return FILTER_TYPE_OF(FILTER_ERROR);
    }
    *of = (struct filter_type){.kind = FILTER_TYPE, .value = type};
    node->kind = FILTER_TYPE_NAME;
    node->name = filter_copy_text(&c->builder, name);
    node->arg_n = 0;
    node->value = (struct filter_value){.kind = FILTER_TYPE, .type = type};
    return of;
}

/* The whole of a name as a field or a type; NULL: it is neither. */
static const struct filter_type *resolve_whole(struct checker *c, struct filter_node *node, struct td_slice name, bool absolute)
{
    struct filter_symbol symbol;
    if (filter_check_find(c, name, absolute, &symbol)) {
        node->absolute = absolute;
        return become_field(c, node, &symbol);
    }
    const struct filter_type *type = filter_type_named(name);
    return type ? become_type_name(c, node, type, name) : NULL;
}

static const struct filter_type *check_name(struct checker *c, struct filter_node *node)
{
    int32_t slot = filter_check_variable(c, node);
    if (slot >= 0) {
        node->kind = FILTER_VARIABLE;
        node->index = (uint32_t)slot;
        return c->vars[slot].type;
    }
    const struct filter_type *type = resolve_whole(c, node, node->name, node->absolute);
    if (type)
        return type;
    if (c->env->dynamic)
        return FILTER_TYPE_OF(FILTER_DYN);
    filter_advise_undeclared(c, c->chain ? c->chain : node);
    return FILTER_TYPE_OF(FILTER_ERROR);
}

/* What a selection from a value of some type gives; NULL: one cannot select from it. */
static const struct filter_type *selected_type(struct checker *c, const struct filter_type *from)
{
    switch (from->kind) {
    case FILTER_MAP: return from->value;
    case FILTER_DYN:
    case FILTER_ERROR: return from;
    case FILTER_PARAM: {
        const struct filter_type *dyn = FILTER_TYPE_OF(FILTER_DYN);
        return filter_unify(&c->types, &dyn, 0, &from, 1) ? dyn : NULL;
    }
    default: return NULL;
    }
}

static const struct filter_type *optional_of(struct checker *c, const struct filter_type *type)
{
    struct filter_type *optional = arena_alloc(c->builder.arena, sizeof(*optional), alignof(struct filter_type));
    if (!optional) {
        c->types.no_memory = true;
        return FILTER_TYPE_OF(FILTER_ERROR);
    }
    *optional = (struct filter_type){.kind = FILTER_OPTIONAL, .value = type};
    return optional;
}

/* The operand of a selection, and what comes of it. */
static const struct filter_type *select_from(struct checker *c, struct filter_node *node, bool makes_optional)
{
    struct filter_node *operand = node->args[0];
    const struct filter_type *from = filter_check_node(c, operand);
    from = filter_unify_resolve(&c->types, from, 0);
    bool optional = from->kind == FILTER_OPTIONAL;
    const struct filter_type *type = selected_type(c, optional ? from->value : from);
    if (operand->kind == FILTER_FIELD && !c->env->plain && from->kind == FILTER_MAP)
        filter_check_key(c, operand, node, &node->name, node->name_span, node->kind != FILTER_SELECT);
    if (type)
        return optional || makes_optional ? optional_of(c, type) : type;
    if (!node->name.n)
        return FILTER_TYPE_OF(FILTER_ERROR); /* the parser told that the name is missing */
    if (operand->kind == FILTER_FIELD)
        filter_advise_undeclared(c, c->chain ? c->chain : node);
    else
        filter_fault(c->diagnostics, node->name_span, "no_select", "a value of type %s has no .%.*s: only maps have keys",
                     filter_show_type(c, from), (int)node->name.n, (const char *)node->name.p);
    return FILTER_TYPE_OF(FILTER_ERROR);
}

static const struct filter_node *root_of(const struct filter_node *node)
{
    while (node->kind == FILTER_SELECT)
        node = node->args[0];
    return node;
}

static const struct filter_type *check_select(struct checker *c, struct filter_node *node)
{
    char name[MAX_NAME];
    const struct filter_node *root = root_of(node);
    if (root->kind == FILTER_NAME && filter_check_variable(c, root) < 0) {
        size_t n = filter_qualified_name(node, name, sizeof(name));
        const struct filter_type *type = n ? resolve_whole(c, node, td_bytes(name, n), root->absolute) : NULL;
        if (type)
            return type;
    }
    return select_from(c, node, false);
}

/* has(a.b): of a field whether the record has it, of a map whether it has the key. */
static const struct filter_type *check_has(struct checker *c, struct filter_node *node)
{
    char name[MAX_NAME];
    struct filter_node *operand = node->args[0];
    struct filter_symbol symbol;
    const struct filter_node *root = root_of(operand);
    size_t n = filter_qualified_name(operand, name, sizeof(name));
    if (n && node->name.n && n + 1 + node->name.n <= sizeof(name)) {
        name[n++] = '.';
        memcpy(name + n, node->name.p, node->name.n);
        n += node->name.n;
    }
    if (n && filter_check_variable(c, root) < 0 && filter_check_find(c, td_bytes(name, n), root->absolute, &symbol)) {
        operand->absolute = root->absolute;
        operand->span = node->name.n ? (struct filter_span){operand->span.from, node->name_span.to} : operand->span;
        node->name = (struct td_slice){0};
        operand->type = become_field(c, operand, &symbol);
    } else if (!node->name.n) {
        if (filter_check_variable(c, operand) >= 0)
            filter_fault(c->diagnostics, node->span, "macro", "a variable is always there; has() is for fields and keys");
        else
            filter_advise_undeclared(c, operand);
    } else {
        c->chain = n ? node : NULL;
        select_from(c, node, false);
        c->chain = NULL;
    }
    return FILTER_TYPE_OF(FILTER_BOOL);
}

/* ---- Lists, maps, macros ------------------------------------------------------------------------------------------------ */

static const struct filter_type *check_list(struct checker *c, struct filter_node *node)
{
    const struct filter_type *of = NULL;
    for (uint32_t i = 0; i < node->arg_n; i++)
        of = filter_unify_join(&c->types, of, filter_check_node(c, node->args[i]));
    if (!of)
        of = filter_unify_new(&c->types);
    const struct filter_type *type = filter_list_type(c->builder.arena, of);
    c->types.no_memory |= !type;
    return type ? type : FILTER_TYPE_OF(FILTER_ERROR);
}

static const struct filter_type *check_map(struct checker *c, struct filter_node *node)
{
    const struct filter_type *key = NULL, *value = NULL;
    for (uint32_t i = 0; i + 1 < node->arg_n; i += 2) {
        const struct filter_type *one = filter_unify_resolve(&c->types, filter_check_node(c, node->args[i]), 0);
        if (!c->env->plain && (one->kind == FILTER_DOUBLE || one->kind == FILTER_BYTES || one->kind == FILTER_LIST ||
                               one->kind == FILTER_MAP || one->kind == FILTER_NULL))
            filter_fault(c->diagnostics, node->args[i]->span, "bad_key", "the keys of a map are int, uint, bool or string, not %s",
                         filter_show_type(c, one));
        key = filter_unify_join(&c->types, key, one);
        value = filter_unify_join(&c->types, value, filter_check_node(c, node->args[i + 1]));
    }
    const struct filter_type *type =
        filter_map_type(c->builder.arena, key ? key : filter_unify_new(&c->types), value ? value : filter_unify_new(&c->types));
    c->types.no_memory |= !type;
    return type ? type : FILTER_TYPE_OF(FILTER_ERROR);
}

static bool declare(struct checker *c, const struct filter_node *node, struct td_slice name, const struct filter_type *type)
{
    if (c->var_n == FILTER_MAX_SLOTS) {
        filter_fault(c->diagnostics, node->name_span, "too_large", "too many variables are open here: at most %d", FILTER_MAX_SLOTS);
        return false;
    }
    c->vars[c->var_n].name = name;
    c->vars[c->var_n++].type = type;
    return true;
}

/* What a macro goes through. */
struct range {
    const struct filter_type *first, *second; /* of its variables; one variable: of the elements, of the keys */
    const struct filter_type *element, *key;  /* key: int for lists */
    bool map;
};

static bool open_range(struct checker *c, const struct filter_node *node, struct range *ret)
{
    const struct filter_type *over = filter_unify_resolve(&c->types, node->args[0]->type, 0), *dyn = FILTER_TYPE_OF(FILTER_DYN);
    bool two = node->var[1].n > 0;
    if (over->kind == FILTER_PARAM)
        over = filter_unify(&c->types, &dyn, 0, &over, 1) ? dyn : over;
    switch (over->kind) {
    case FILTER_LIST: *ret = (struct range){.key = FILTER_TYPE_OF(FILTER_INT), .element = over->value}; break;
    case FILTER_MAP: *ret = (struct range){.key = over->key, .element = over->value, .map = true}; break;
    case FILTER_DYN:
    case FILTER_ERROR: *ret = (struct range){.key = over, .element = over}; break;
    default:
        filter_fault(c->diagnostics, node->args[0]->span, "no_range", "%s goes through lists and maps, not through a value of type %s",
                     filter_macro_name(node->op, two), filter_show_type(c, over));
        *ret = (struct range){.key = FILTER_TYPE_OF(FILTER_ERROR), .element = FILTER_TYPE_OF(FILTER_ERROR)};
        break;
    }
    ret->first = two ? ret->key : ret->map ? ret->key : ret->element;
    ret->second = ret->element;
    return declare(c, node, node->var[0], ret->first) && (!two || declare(c, node, node->var[1], ret->second));
}

static const struct filter_type *list_of(struct checker *c, const struct filter_type *of)
{
    const struct filter_type *type = filter_list_type(c->builder.arena, of);
    c->types.no_memory |= !type;
    return type ? type : FILTER_TYPE_OF(FILTER_ERROR);
}

static const struct filter_type *map_of(struct checker *c, const struct filter_type *key, const struct filter_type *value)
{
    const struct filter_type *type = filter_map_type(c->builder.arena, key, value);
    c->types.no_memory |= !type;
    return type ? type : FILTER_TYPE_OF(FILTER_ERROR);
}

static const struct filter_type *macro_result(struct checker *c, const struct filter_node *node, const struct range *range,
                                              const struct filter_type *body)
{
    switch ((enum filter_macro)node->op) {
    case FILTER_MAP_TO:
    case FILTER_TRANSFORM_LIST: return list_of(c, body);
    case FILTER_KEEP: return list_of(c, range->first);
    case FILTER_TRANSFORM_MAP: return map_of(c, range->key, body);
    case FILTER_TRANSFORM_MAP_ENTRY:
        body = filter_unify_resolve(&c->types, body, 0);
        if (body->kind == FILTER_MAP || body->kind == FILTER_DYN || body->kind == FILTER_ERROR)
            return body;
        filter_fault(c->diagnostics, node->args[node->arg_n - 1]->span, "type", "an entry is a map, as {k: v}, not %s",
                     filter_show_type(c, body));
        return FILTER_TYPE_OF(FILTER_ERROR);
    default: return FILTER_TYPE_OF(FILTER_BOOL);
    }
}

static bool has_predicate_only(enum filter_macro macro)
{
    return macro == FILTER_ALL || macro == FILTER_EXISTS || macro == FILTER_EXISTS_ONE || macro == FILTER_KEEP;
}

static const struct filter_type *check_macro(struct checker *c, struct filter_node *node)
{
    uint32_t outer = c->var_n;
    struct range range;
    const struct filter_type *body = FILTER_TYPE_OF(FILTER_ERROR);
    filter_check_node(c, node->args[0]);
    node->index = outer;
    if (c->loops == FILTER_MAX_LOOPS && !c->env->plain)
        filter_fault(c->diagnostics, node->span, "too_large", "at most %d macros may stand within one another", FILTER_MAX_LOOPS);
    c->loops++;
    if (open_range(c, node, &range))
        for (uint32_t i = 1; i < node->arg_n; i++) {
            body = filter_check_node(c, node->args[i]);
            if (i + 1 < node->arg_n || has_predicate_only(node->op))
                filter_check_condition(c, node->args[i], "the condition of a macro");
        }
    c->loops--;
    c->var_n = outer;
    return macro_result(c, node, &range, body);
}

static const struct filter_type *check_bind(struct checker *c, struct filter_node *node)
{
    const struct filter_type *type = filter_check_node(c, node->args[0]);
    node->index = c->var_n;
    if (!declare(c, node, node->var[0], type))
        return FILTER_TYPE_OF(FILTER_ERROR);
    type = filter_check_node(c, node->args[1]);
    c->var_n--;
    return type;
}

/* ---- The walk ------------------------------------------------------------------------------------------------------------- */

void filter_check_condition(struct checker *c, const struct filter_node *node, const char *of)
{
    const struct filter_type *type = node->type, *want = FILTER_TYPE_OF(FILTER_BOOL);
    if (!c->env->dynamic && !filter_unify(&c->types, &want, 0, &type, 1))
        filter_advise_condition(c, node, of);
}

static const struct filter_type *check_kind(struct checker *c, struct filter_node *node)
{
    const struct filter_node *outer = c->chain;
    const struct filter_type *type;
    if (node->kind != FILTER_NAME && node->kind != FILTER_SELECT)
        c->chain = NULL;
    else if (!c->chain)
        c->chain = node;
    switch (node->kind) {
    case FILTER_LITERAL: type = FILTER_TYPE_OF(node->value.kind); break;
    case FILTER_NAME: type = check_name(c, node); break;
    case FILTER_SELECT: type = check_select(c, node); break;
    case FILTER_HAS: type = check_has(c, node); break;
    case FILTER_OPERATOR: type = node->op == FILTER_OPT_SELECT ? select_from(c, node, true) : filter_check_operator(c, node); break;
    case FILTER_CALL: type = filter_check_call(c, node); break;
    case FILTER_NEW_LIST: type = check_list(c, node); break;
    case FILTER_NEW_MAP: type = check_map(c, node); break;
    case FILTER_MACRO: type = check_macro(c, node); break;
    case FILTER_BIND: type = check_bind(c, node); break;
    default: type = FILTER_TYPE_OF(FILTER_ERROR); break; /* the parser told what is wrong */
    }
    c->chain = outer;
    return type;
}

const struct filter_type *filter_check_node(struct checker *c, struct filter_node *node)
{
    node->type = check_kind(c, node);
    if (c->env->dynamic && node->type->kind != FILTER_DYN)
        node->type = FILTER_TYPE_OF(FILTER_DYN);
    return node->type;
}

static void finish_types(struct checker *c, struct filter_node *node)
{
    if (node->type)
        node->type = filter_unify_finish(&c->types, node->type);
    for (uint32_t i = 0; i < node->arg_n; i++)
        finish_types(c, node->args[i]);
}

/* The whole must be a condition; what is known only when it runs may be one. */
static void check_whole(struct checker *c, const struct filter_node *root)
{
    enum filter_kind kind = root->type->kind;
    bool map_get = root->kind == FILTER_CALL && !root->sugar && td_eq(root->name, TD_LIT("map_get"));
    if (map_get && root->arg_n == 0)
        return; /* told */
    if (kind == FILTER_DYN)
        filter_warning(c->diagnostics, root->span, "dyn",
                       "whether this is true or false shows only when the filter runs; what is neither "
                       "does not match");
    else if (map_get)
        filter_advise_value(c, root); /* documented as a filter of its own */
    else if (kind != FILTER_BOOL && kind != FILTER_ERROR)
        filter_advise_condition(c, root, "a filter");
}

static int finish(struct checker *c)
{
    if (c->types.no_memory || c->builder.failure == FILTER_NO_MEMORY)
        return TD_E_NOMEM;
    if (c->builder.failure)
        filter_fault(c->diagnostics, c->builder.far, "too_large", "the filter is too large once its short forms are written out");
    return c->diagnostics->fault_n ? TD_E_CONFIG : TD_OK;
}

int filter_check(const struct filter_env *env, struct td_slice text, struct arena *arena, struct filter_node **root,
                 struct filter_diagnostics *diagnostics)
{
    struct checker c = {.env = env, .text = text, .builder = {.arena = arena}, .types = {.arena = arena}, .diagnostics = diagnostics};
    if (!env->plain && !env->dynamic)
        *root = filter_expand_aliases(env, &c.builder, diagnostics, text, *root);
    if (c.builder.failure)
        return finish(&c);
    c.guards = *root;
    filter_check_node(&c, *root);
    if (c.types.n)
        finish_types(&c, *root);
    if (!env->plain && !env->dynamic)
        check_whole(&c, *root);
    return finish(&c);
}

/* ---- The registry as an environment --------------------------------------------------------------------------------------- */

static const struct filter_type list_of_strings = {.kind = FILTER_LIST, .value = &filter_types[FILTER_STRING]};
static const struct filter_type map_of_strings = {
    .kind = FILTER_MAP, .key = &filter_types[FILTER_STRING], .value = &filter_types[FILTER_STRING]};

static const struct filter_type *type_of_field(uint8_t type)
{
    switch ((enum registry_type)type) {
    case REGISTRY_BOOL: return FILTER_TYPE_OF(FILTER_BOOL);
    case REGISTRY_INT: return FILTER_TYPE_OF(FILTER_INT);
    case REGISTRY_STRING: return FILTER_TYPE_OF(FILTER_STRING);
    case REGISTRY_BYTES: return FILTER_TYPE_OF(FILTER_BYTES);
    case REGISTRY_TIMESTAMP: return FILTER_TYPE_OF(FILTER_TIMESTAMP);
    case REGISTRY_DURATION: return FILTER_TYPE_OF(FILTER_DURATION);
    case REGISTRY_LIST: return &list_of_strings;
    case REGISTRY_MAP: return &map_of_strings;
    }
    return FILTER_TYPE_OF(FILTER_DYN);
}

static bool ends_with(struct td_slice s, struct td_slice end)
{
    return s.n >= end.n && memcmp(s.p + s.n - end.n, end.p, end.n) == 0;
}

static bool registry_symbol_at(const void *ctx, uint32_t i, struct filter_symbol *ret)
{
    if (i >= field_registry_count(ctx))
        return false;
    const struct registry_field *field = field_registry_at(ctx, i);
    struct td_slice name = td_str(field->name);
    *ret = (struct filter_symbol){.name = name,
                                  .type = type_of_field(field->type),
                                  .index = i,
                                  .folds_case = field->type == REGISTRY_MAP &&
                                                (ends_with(name, TD_LIT(".headers")) || ends_with(name, TD_LIT(".trailers"))),
                                  .field = field};
    return true;
}

static bool registry_symbol_find(const void *ctx, struct td_slice name, struct filter_symbol *ret)
{
    int32_t i = field_registry_find(ctx, name);
    return i >= 0 && registry_symbol_at(ctx, (uint32_t)i, ret);
}

struct filter_env filter_registry_env(const struct field_registry *registry)
{
    return (struct filter_env){.ctx = registry, .find = registry_symbol_find, .at = registry_symbol_at};
}
