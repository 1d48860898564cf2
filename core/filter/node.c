#include "node.h"

#include <stdalign.h>
#include <stdio.h>

#include "filter/filter.h"

static void fail(struct filter_builder *b, enum filter_build_failure why, struct filter_span where)
{
    if (b->failure)
        return;
    b->failure = (uint8_t)why;
    b->far = where;
}

struct filter_node *filter_new(struct filter_builder *b, enum filter_node_kind kind, struct filter_span span)
{
    struct filter_node *node = NULL;
    if (b->node_n >= FILTER_MAX_NODES)
        fail(b, FILTER_TOO_MANY_NODES, span);
    else
        node = arena_alloc(b->arena, sizeof(*node), alignof(struct filter_node));
    if (!node) {
        fail(b, FILTER_NO_MEMORY, span);
        node = &b->spare;
    }
    b->node_n++;
    *node = (struct filter_node){.kind = (uint8_t)kind, .span = span, .name_span = span, .depth = 1};
    return node;
}

void filter_set_depth(struct filter_builder *b, struct filter_node *node)
{
    uint32_t depth = 0;
    for (uint32_t i = 0; i < node->arg_n; i++)
        if (node->args[i]->depth > depth)
            depth = node->args[i]->depth;
    node->depth = (uint16_t)(depth + 1);
    if (depth >= FILTER_MAX_NESTING)
        fail(b, FILTER_TOO_DEEP, node->span);
}

void filter_set_args(struct filter_builder *b, struct filter_node *node, struct filter_node *const *args, size_t n)
{
    if (node == &b->spare)
        return;
    node->args = arena_alloc(b->arena, n * sizeof(*args), alignof(struct filter_node *));
    if (!node->args) {
        fail(b, FILTER_NO_MEMORY, node->span);
        return;
    }
    if (n)
        memcpy(node->args, args, n * sizeof(*args));
    node->arg_n = (uint32_t)n;
    filter_set_depth(b, node);
}

struct filter_node *filter_new_name(struct filter_builder *b, struct filter_span span, struct td_slice name)
{
    struct filter_node *node = filter_new(b, FILTER_NAME, span);
    node->name = name;
    return node;
}

struct filter_node *filter_new_int(struct filter_builder *b, struct filter_span span, int64_t i)
{
    struct filter_node *node = filter_new(b, FILTER_LITERAL, span);
    node->value = (struct filter_value){.kind = FILTER_INT, .i = i};
    return node;
}

struct filter_node *filter_new_string(struct filter_builder *b, struct filter_span span, struct td_slice utf8)
{
    struct filter_node *node = filter_new(b, FILTER_LITERAL, span);
    node->value = (struct filter_value){.kind = FILTER_STRING, .bytes = utf8};
    return node;
}

static bool is_same_chain(const struct filter_node *node, enum filter_op op)
{
    return node->kind == FILTER_OPERATOR && node->op == op;
}

struct filter_node *filter_new_chain(struct filter_builder *b, enum filter_op op, struct filter_span span, struct filter_node *const *args,
                                     size_t n)
{
    struct filter_node *node = filter_new(b, FILTER_OPERATOR, span);
    size_t total = 0, at = 0;
    node->op = (uint8_t)op;
    for (size_t i = 0; i < n; i++)
        total += is_same_chain(args[i], op) ? args[i]->arg_n : 1;
    node->args = node == &b->spare ? NULL : arena_alloc(b->arena, total * sizeof(*args), alignof(struct filter_node *));
    if (!node->args) {
        fail(b, FILTER_NO_MEMORY, span);
        return node;
    }
    for (size_t i = 0; i < n; i++) {
        bool chain = is_same_chain(args[i], op);
        size_t count = chain ? args[i]->arg_n : 1;
        memcpy(node->args + at, chain ? args[i]->args : &args[i], count * sizeof(*args));
        at += count;
    }
    node->arg_n = (uint32_t)total;
    filter_set_depth(b, node);
    return node;
}

struct filter_node *filter_new_operator(struct filter_builder *b, enum filter_op op, struct filter_span span, struct filter_node *left,
                                        struct filter_node *right)
{
    struct filter_node *both[2] = {left, right};
    if (op == FILTER_AND || op == FILTER_OR)
        return filter_new_chain(b, op, span, both, 2);
    struct filter_node *node = filter_new(b, FILTER_OPERATOR, span);
    node->op = (uint8_t)op;
    filter_set_args(b, node, both, right ? 2 : 1);
    return node;
}

struct filter_node *filter_new_method(struct filter_builder *b, struct td_slice name, struct filter_span span, struct filter_node *target,
                                      struct filter_node *arg)
{
    struct filter_node *node = filter_new(b, FILTER_CALL, span), *both[2] = {target, arg};
    node->name = name;
    node->receiver = true;
    filter_set_args(b, node, both, arg ? 2 : 1);
    return node;
}

struct filter_node *filter_new_macro(struct filter_builder *b, enum filter_macro macro, struct filter_span span, struct td_slice var,
                                     struct filter_node *range, struct filter_node *body)
{
    struct filter_node *node = filter_new(b, FILTER_MACRO, span), *both[2] = {range, body};
    node->op = (uint8_t)macro;
    node->var[0] = var;
    filter_set_args(b, node, both, 2);
    return node;
}

/* As deep as the tree, which is limited. */
struct filter_node *filter_clone(struct filter_builder *b, const struct filter_node *node)
{
    struct filter_node *copy = filter_new(b, node->kind, node->span);
    if (b->failure)
        return copy;
    *copy = *node;
    if (node->arg_n) {
        copy->args = arena_alloc(b->arena, node->arg_n * sizeof(*copy->args), alignof(struct filter_node *));
        if (!copy->args) {
            copy->arg_n = 0;
            fail(b, FILTER_NO_MEMORY, node->span);
            return copy;
        }
        for (uint32_t i = 0; i < node->arg_n; i++)
            copy->args[i] = filter_clone(b, node->args[i]);
    }
    return copy;
}

struct td_slice filter_copy_text(struct filter_builder *b, struct td_slice text)
{
    char *copy = arena_strndup(b->arena, (const char *)text.p, text.n);
    if (!copy)
        fail(b, FILTER_NO_MEMORY, (struct filter_span){0, 0});
    return td_bytes(copy, copy ? text.n : 0);
}

static bool is_word_byte(uint8_t c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool has_word(struct td_slice text, struct td_slice word)
{
    for (size_t i = 0; i + word.n <= text.n; i++)
        if (memcmp(text.p + i, word.p, word.n) == 0 && (i == 0 || !is_word_byte(text.p[i - 1])) &&
            (i + word.n == text.n || !is_word_byte(text.p[i + word.n])))
            return true;
    return false;
}

struct td_slice filter_fresh_name(struct filter_builder *b, struct td_slice text)
{
    char name[16] = "v";
    for (unsigned i = 1; has_word(text, td_str(name)); i++) /* ends: the text has a limited number of words */
        snprintf(name, sizeof(name), "v%u", i);
    return filter_copy_text(b, td_str(name));
}

bool filter_is_name_node(const struct filter_node *node, struct td_slice name)
{
    return node->kind == FILTER_NAME && !node->absolute && td_eq(node->name, name);
}

size_t filter_qualified_name(const struct filter_node *node, char *ret, size_t size)
{
    const struct filter_node *at = node;
    size_t n = 0;
    for (; at->kind == FILTER_SELECT; at = at->args[0])
        n += at->name.n + 1;
    bool named = at->kind == FILTER_NAME || at->kind == FILTER_FIELD || at->kind == FILTER_VARIABLE;
    if (!named || n + at->name.n > size)
        return 0;
    n += at->name.n;
    size_t end = n;
    for (at = node; at->kind == FILTER_SELECT; at = at->args[0]) {
        end -= at->name.n;
        if (at->name.n)
            memcpy(ret + end, at->name.p, at->name.n);
        ret[--end] = '.';
    }
    memcpy(ret, at->name.p, end);
    return n;
}
