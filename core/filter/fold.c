#include "fold.h"

#include <stdalign.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/units.h"
#include "filter/check.h"
#include "filter/eval.h"
#include "filter/node.h"

enum {
    MAX_COPY = 64 << 10,          /* bytes of one value that is kept */
    MAX_NS = 20 * 1000 * 1000,    /* for all of a filter; what is not evaluated by then, is when it runs */
    COST_MAX = 1000 * 1000 * 1000 /* more does not count */
};

struct folder {
    struct filter_builder builder;
    struct filter_diagnostics *diagnostics;
    struct filter_eval *eval; /* made when it is first needed */
    int64_t now_ns;
    int64_t begin_ns;
    bool stopped; /* no time left */
};

/* ---- Costs -------------------------------------------------------------------------------------------------------------- */

static uint32_t cost_of_type(const struct filter_type *type)
{
    switch (type ? type->kind : FILTER_DYN) {
    case FILTER_BOOL:
    case FILTER_INT:
    case FILTER_UINT:
    case FILTER_DOUBLE:
    case FILTER_TIMESTAMP:
    case FILTER_DURATION: return 1;
    case FILTER_STRING:
    case FILTER_BYTES:
    case FILTER_IP:
    case FILTER_CIDR: return 3;
    default: return 10;
    }
}

/* Of a node itself, its operands not counted. */
static uint32_t own_cost(const struct filter_node *node)
{
    uint32_t n;
    const struct filter_function *functions = filter_functions(&n);
    switch (node->kind) {
    case FILTER_LITERAL:
    case FILTER_TYPE_NAME: return 0;
    case FILTER_FIELD: return cost_of_type(node->type);
    case FILTER_SELECT: return 10;
    case FILTER_NEW_LIST:
    case FILTER_NEW_MAP: return 10 + 2 * node->arg_n;
    case FILTER_CALL:
        return node->index < n && functions[node->index].prepare == FILTER_PREPARE_REGEX ? 50
               : node->index < n && functions[node->index].result->kind == FILTER_BOOL   ? 6
                                                                                         : 15;
    case FILTER_OPERATOR:
        if (node->op <= FILTER_CONDITION || node->arg_n < 2)
            return 0;
        return node->op == FILTER_IN || node->op >= FILTER_INDEX ? 10 : cost_of_type(node->args[0]->type);
    default: return 1;
    }
}

uint32_t filter_cost(const struct filter_node *node)
{
    uint64_t cost = own_cost(node);
    for (uint32_t i = 0; i < node->arg_n && cost < COST_MAX; i++)
        cost += node->kind == FILTER_MACRO && i > 0 ? 8ull * (2 + filter_cost(node->args[i])) : filter_cost(node->args[i]);
    return cost < COST_MAX ? (uint32_t)cost : COST_MAX;
}

struct costed {
    struct filter_node *node;
    uint32_t cost, place;
};

static int by_cost(const void *x, const void *y)
{
    const struct costed *a = x, *b = y;
    return a->cost != b->cost ? (a->cost > b->cost) - (a->cost < b->cost) : (a->place > b->place) - (a->place < b->place);
}

/* Puts the operands of a chain in order; what costs the same stays in the order in which it was written. */
static void sort_by_cost(struct folder *f, struct filter_node **args, uint32_t n)
{
    struct costed *all = arena_alloc(f->builder.arena, n * sizeof(*all), alignof(struct costed));
    if (!all)
        return; /* the order in which it was written is good, too */
    for (uint32_t i = 0; i < n; i++)
        all[i] = (struct costed){args[i], filter_cost(args[i]), i};
    qsort(all, n, sizeof(*all), by_cost);
    for (uint32_t i = 0; i < n; i++)
        args[i] = all[i].node;
}

/* ---- Constants ----------------------------------------------------------------------------------------------------------- */

static bool copy_value(struct arena *arena, const struct filter_value *v, struct filter_value *ret, size_t *room);

static void *take_room(struct arena *arena, size_t n, size_t *room)
{
    if (n > *room)
        return NULL;
    *room -= n;
    return arena_alloc(arena, n, 16);
}

static bool copy_list(struct arena *arena, const struct filter_list *list, struct filter_value *ret, size_t *room)
{
    struct filter_list *copy = take_room(arena, sizeof(*copy) + (size_t)list->n * sizeof(*copy->v), room);
    if (!copy)
        return false;
    copy->n = list->n;
    ret->list = copy;
    for (uint32_t i = 0; i < list->n; i++)
        if (!copy_value(arena, &list->v[i], &copy->v[i], room))
            return false;
    return true;
}

static bool copy_map(struct arena *arena, const struct filter_map *map, struct filter_value *ret, size_t *room)
{
    struct filter_map *copy = take_room(arena, sizeof(*copy) + 2 * (size_t)map->n * sizeof(*copy->v), room);
    if (!copy || map->ctx)
        return false;
    copy->n = map->n;
    ret->map = copy;
    for (uint32_t i = 0; i < 2 * map->n; i++)
        if (!copy_value(arena, &map->v[i], &copy->v[i], room))
            return false;
    return true;
}

/* A value that lives as long as the tree; false if it is too large. As deep as the room allows. */
static bool copy_value(struct arena *arena, const struct filter_value *v, struct filter_value *ret, size_t *room)
{
    uint8_t *bytes;
    struct filter_value *content;
    *ret = *v;
    switch (v->kind) {
    case FILTER_STRING:
    case FILTER_BYTES:
    case FILTER_IP:
    case FILTER_CIDR:
        bytes = take_room(arena, v->bytes.n, room);
        if (bytes && v->bytes.n)
            memcpy(bytes, v->bytes.p, v->bytes.n);
        ret->bytes = td_bytes(bytes, v->bytes.n);
        return bytes != NULL;
    case FILTER_LIST: return copy_list(arena, v->list, ret, room);
    case FILTER_MAP: return copy_map(arena, v->map, ret, room);
    case FILTER_OPTIONAL:
        content = v->content ? take_room(arena, sizeof(*content), room) : NULL;
        ret->content = content;
        return !v->content || (content && copy_value(arena, v->content, content, room));
    default: return true;
    }
}

static bool is_constant(const struct filter_node *node)
{
    return node->kind == FILTER_LITERAL || node->kind == FILTER_TYPE_NAME;
}

/* Does it depend on nothing but the variables from `slot` on, which are its own? */
static bool is_closed(const struct filter_node *node, uint32_t slot)
{
    if (node->kind == FILTER_FIELD || node->kind == FILTER_NAME || node->kind == FILTER_BAD ||
        (node->kind == FILTER_VARIABLE && node->index < slot) || (node->kind == FILTER_CALL && node->index == FILTER_UNRESOLVED))
        return false;
    for (uint32_t i = 0; i < node->arg_n; i++)
        if (!is_closed(node->args[i], slot))
            return false;
    return true;
}

static bool can_evaluate(const struct filter_node *node)
{
    if (node->kind == FILTER_MACRO || node->kind == FILTER_BIND)
        return is_constant(node->args[0]) && is_closed(node, node->index);
    if (node->kind == FILTER_CALL && node->index == FILTER_UNRESOLVED)
        return false;
    if (node->kind != FILTER_OPERATOR && node->kind != FILTER_CALL && node->kind != FILTER_NEW_LIST && node->kind != FILTER_NEW_MAP &&
        node->kind != FILTER_SELECT && node->kind != FILTER_HAS)
        return false;
    for (uint32_t i = 0; i < node->arg_n; i++)
        if (!is_constant(node->args[i]))
            return false;
    return true;
}

static bool is_ready(struct folder *f)
{
    struct error err;
    if (f->eval)
        f->stopped = f->stopped || clock_ns(CLOCK_THREAD_CPUTIME_ID) - f->begin_ns > MAX_NS;
    else if (filter_eval_new(&f->eval, &err) != TD_OK)
        f->builder.failure = FILTER_NO_MEMORY;
    else
        f->begin_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    return f->eval && !f->stopped;
}

/* The literal that a node without fields comes to; the node itself if that is an error, or too large. */
static struct filter_node *evaluate(struct folder *f, struct filter_node *node, bool certain)
{
    if (!is_ready(f))
        return node;
    size_t room = MAX_COPY;
    struct filter_value value = filter_eval(f->eval, node, NULL, f->now_ns), copy;
    if (value.kind == FILTER_ERROR) {
        if (certain && value.error != FILTER_E_LIMIT)
            filter_fault(f->diagnostics, node->span, "error", "this is an error for each record: %s", filter_error_text(value.error));
        return node;
    }
    if (!copy_value(f->builder.arena, &value, &copy, &room))
        return node;
    struct filter_node *literal = filter_new(&f->builder, FILTER_LITERAL, node->span);
    literal->value = copy;
    literal->type = node->type;
    return literal;
}

/* ---- The walk -------------------------------------------------------------------------------------------------------------- */

static struct filter_node *fold(struct folder *f, struct filter_node *node, bool certain);

static bool is_bool(const struct filter_node *node, bool b)
{
    return node->kind == FILTER_LITERAL && node->value.kind == FILTER_BOOL && node->value.b == b;
}

static void warn_constant(struct folder *f, const struct filter_node *written, const struct filter_node *folded)
{
    if (written->kind != FILTER_LITERAL && folded->kind == FILTER_LITERAL && folded->value.kind == FILTER_BOOL)
        filter_warning(f->diagnostics, written->span, "constant", "this is always %s", folded->value.b ? "true" : "false");
}

static struct filter_node *bool_literal(struct folder *f, const struct filter_node *node, bool b)
{
    struct filter_node *literal = filter_new(&f->builder, FILTER_LITERAL, node->span);
    literal->value = filter_bool(b);
    literal->type = &filter_types[FILTER_BOOL];
    return literal;
}

/* && and ||: false and true that do not matter go, those that decide are all. */
static struct filter_node *fold_chain(struct folder *f, const struct filter_node *written, struct filter_node *node)
{
    bool decides = node->op == FILTER_OR;
    uint32_t n = 0;
    for (uint32_t i = 0; i < node->arg_n; i++) {
        warn_constant(f, written->args[i], node->args[i]);
        if (is_bool(node->args[i], decides))
            return bool_literal(f, node, decides);
        n += !is_bool(node->args[i], !decides);
    }
    if (n == 0)
        return bool_literal(f, node, !decides);
    struct filter_node **args = arena_alloc(f->builder.arena, n * sizeof(*args), alignof(struct filter_node *)), *only = NULL;
    if (!args)
        return node;
    n = 0;
    for (uint32_t i = 0; i < node->arg_n; i++)
        if (!is_bool(node->args[i], !decides))
            args[n++] = only = node->args[i];
    if (n == 1 && only->type->kind == FILTER_BOOL)
        return only;
    if (n == 1)
        return node; /* the operator makes sure that it is a bool */
    sort_by_cost(f, args, n);
    node->args = args;
    node->arg_n = n;
    return node;
}

/* Are the node's operands evaluated whenever it is? */
static bool is_strict(const struct filter_node *node, uint32_t i)
{
    if (node->kind == FILTER_MACRO || node->kind == FILTER_BIND)
        return i == 0;
    return node->kind != FILTER_OPERATOR || node->op == FILTER_NOT || (node->op == FILTER_CONDITION ? i == 0 : node->op > FILTER_CONDITION);
}

/* The node with its operands folded: itself if none changes. */
static struct filter_node *fold_args(struct folder *f, struct filter_node *node, bool certain)
{
    struct filter_node *copy = node;
    for (uint32_t i = 0; i < node->arg_n; i++) {
        struct filter_node *folded = fold(f, node->args[i], certain && is_strict(node, i));
        if (folded == node->args[i])
            continue;
        if (copy == node) {
            copy = filter_new(&f->builder, node->kind, node->span);
            struct filter_node **args = arena_alloc(f->builder.arena, node->arg_n * sizeof(*args), alignof(struct filter_node *));
            if (f->builder.failure || !args) {
                f->builder.failure = FILTER_NO_MEMORY;
                return node;
            }
            memcpy(args, node->args, node->arg_n * sizeof(*args));
            *copy = *node;
            copy->args = args;
        }
        copy->args[i] = folded;
    }
    return copy;
}

static struct filter_node *fold_operands(struct folder *f, struct filter_node *node, bool certain)
{
    struct filter_node *folded = fold_args(f, node, certain);
    if (folded->kind == FILTER_OPERATOR && (folded->op == FILTER_AND || folded->op == FILTER_OR)) {
        if (folded == node) { /* it gets another order, perhaps */
            folded = filter_new(&f->builder, node->kind, node->span);
            if (f->builder.failure)
                return node;
            *folded = *node;
        }
        return fold_chain(f, node, folded);
    }
    if (folded->kind == FILTER_OPERATOR && folded->op == FILTER_CONDITION) {
        warn_constant(f, node->args[0], folded->args[0]);
        if (is_bool(folded->args[0], true) || is_bool(folded->args[0], false))
            return folded->args[folded->args[0]->value.b ? 1 : 2];
    }
    return folded;
}

/* As deep as the tree, which is limited. */
static struct filter_node *fold(struct folder *f, struct filter_node *node, bool certain)
{
    if (is_constant(node) || node->arg_n == 0) {
        bool call = node->kind == FILTER_CALL || node->kind == FILTER_NEW_LIST || node->kind == FILTER_NEW_MAP;
        return call && can_evaluate(node) ? evaluate(f, node, certain) : node;
    }
    struct filter_node *folded = fold_operands(f, node, certain);
    if (f->builder.failure || is_constant(folded) || !can_evaluate(folded))
        return folded;
    return evaluate(f, folded, certain);
}

int filter_fold(struct filter_node *root, struct arena *arena, int64_t now_ns, struct filter_node **ret,
                struct filter_diagnostics *diagnostics)
{
    struct folder f = {.builder = {.arena = arena}, .diagnostics = diagnostics, .now_ns = now_ns};
    *ret = fold(&f, root, true);
    if (root->kind != FILTER_OPERATOR || root->op > FILTER_AND)
        warn_constant(&f, root, *ret);
    filter_eval_free(f.eval);
    if (f.builder.failure == FILTER_NO_MEMORY)
        return TD_E_NOMEM;
    if (f.builder.failure)
        *ret = root; /* too large to be made anew; it runs as it is */
    return diagnostics->fault_n ? TD_E_CONFIG : TD_OK;
}
