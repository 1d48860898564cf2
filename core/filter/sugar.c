#include "sugar.h"

static struct filter_node *mark(struct filter_node *node)
{
    node->sugar = true;
    return node;
}

static bool is_cidr(const struct filter_node *node)
{
    return node->sugar && node->kind == FILTER_CALL && !node->receiver && td_eq(node->name, TD_LIT("cidr"));
}

struct filter_node *filter_sugar_cidr(struct filter_builder *b, struct filter_span span, struct td_slice text)
{
    struct filter_node *arg = filter_new_string(b, span, text), *node = filter_new(b, FILTER_CALL, span);
    node->name = TD_LIT("cidr");
    filter_set_args(b, node, &arg, 1);
    return mark(node);
}

struct filter_node *filter_sugar_compare_cidr(struct filter_builder *b, enum filter_op op, struct filter_span span,
                                              struct filter_node *left, struct filter_node *right)
{
    if ((op != FILTER_EQ && op != FILTER_NE && op != FILTER_IN) || (!is_cidr(right) && (!is_cidr(left) || op == FILTER_IN)))
        return NULL;
    bool right_is_network = is_cidr(right);
    struct filter_node *network = right_is_network ? right : left, *address = right_is_network ? left : right;
    struct filter_node *within = mark(filter_new_method(b, TD_LIT("containsIP"), span, network, address));
    return op == FILTER_NE ? mark(filter_new_operator(b, FILTER_NOT, span, within, NULL)) : within;
}

/* x, or a copy of it if it was used before: no node has two parents. */
static struct filter_node *use(struct filter_builder *b, struct filter_node *x, bool *used)
{
    struct filter_node *node = *used ? filter_clone(b, x) : x;
    *used = true;
    return node;
}

static struct filter_node *in_list(struct filter_builder *b, struct filter_span span, struct filter_node *x,
                                   const struct filter_set_element *elements, size_t n)
{
    struct filter_node *list = mark(filter_new(b, FILTER_NEW_LIST, span)), **args = arena_alloc(b->arena, n * sizeof(*args), 16);
    size_t count = 0;
    for (size_t i = 0; args && i < n; i++)
        if (!elements[i].to && !is_cidr(elements[i].from))
            args[count++] = elements[i].from;
    if (args)
        filter_set_args(b, list, args, count);
    return mark(filter_new_operator(b, FILTER_IN, span, x, list));
}

struct filter_node *filter_sugar_in_set(struct filter_builder *b, struct filter_span span, struct filter_node *x,
                                        const struct filter_set_element *elements, size_t n)
{
    struct filter_node **any = arena_alloc(b->arena, (n + 1) * sizeof(*any), 16);
    size_t count = 0;
    bool used = false, plain = false;
    if (!any)
        return filter_new(b, FILTER_BAD, span); /* the list's own memory fails, too */
    for (size_t i = 0; i < n; i++)
        plain |= !elements[i].to && !is_cidr(elements[i].from);
    if (plain)
        any[count++] = in_list(b, span, use(b, x, &used), elements, n);
    for (size_t i = 0; i < n; i++) {
        struct filter_node *from = elements[i].from, *to = elements[i].to;
        if (to) {
            struct filter_node *low = mark(filter_new_operator(b, FILTER_GE, span, use(b, x, &used), from));
            struct filter_node *high = mark(filter_new_operator(b, FILTER_LE, span, use(b, x, &used), to));
            any[count] = mark(filter_new_operator(b, FILTER_AND, span, low, high));
            any[count++]->name = TD_LIT(".."); /* they belong together */
        } else if (is_cidr(from)) {
            any[count++] = filter_sugar_compare_cidr(b, FILTER_EQ, span, use(b, x, &used), from);
        }
    }
    return count == 1 ? any[0] : mark(filter_new_chain(b, FILTER_OR, span, any, count));
}

static bool is_int(const struct filter_node *node)
{
    return node->kind == FILTER_LITERAL && node->value.kind == FILTER_INT;
}

struct filter_node *filter_sugar_slice(struct filter_builder *b, struct filter_span span, struct filter_node *x, struct filter_node *offset,
                                       struct filter_node *length)
{
    struct filter_node *call = filter_new(b, FILTER_CALL, span), *args[3] = {x, offset, NULL};
    int64_t end;
    size_t n = 2;
    call->name = TD_LIT("substring");
    call->receiver = true;
    if (!offset)
        args[1] = mark(filter_new_int(b, span, 0));
    if (length) {
        n = 3;
        if (!offset)
            args[2] = length;
        else if (is_int(offset) && is_int(length) && !__builtin_add_overflow(offset->value.i, length->value.i, &end))
            args[2] = mark(filter_new_int(b, length->span, end));
        else
            args[2] = mark(filter_new_operator(b, FILTER_ADD, span, filter_clone(b, offset), length));
    }
    filter_set_args(b, call, args, n);
    return mark(call);
}
