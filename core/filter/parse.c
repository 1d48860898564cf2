#include "parse.h"

#include <stdio.h>

#include "filter/filter.h"
#include "filter/lex.h"
#include "filter/macro.h"
#include "filter/node.h"
#include "filter/sugar.h"

/* How tightly operators bind. */
enum precedence { LOWEST, OR, XOR, AND, RELATION, SUM, PRODUCT };

struct parser {
    struct filter_lexer lexer;
    struct filter_token token; /* the next one */
    struct filter_builder builder;
    struct filter_diagnostics *diagnostics;
    struct filter_node **stack; /* operands of what is open */
    size_t stack_n, stack_cap;
    uint32_t end;     /* of the token before */
    uint32_t nesting; /* of calls of the parser */
    bool panic;       /* an error was told, and nothing was understood since */
};

static struct filter_node *parse_expression(struct parser *p);
static struct filter_node *parse_binary(struct parser *p, enum precedence least);
static struct filter_node *continue_binary(struct parser *p, struct filter_node *left, enum precedence least);

/* ---- Tokens and errors --------------------------------------------------------------------------------------------- */

static void advance(struct parser *p)
{
    p->end = p->token.span.to;
    filter_lex(&p->lexer, &p->token);
}

/* What comes after the next token. */
static struct filter_token peek(const struct parser *p)
{
    struct filter_lexer ahead = p->lexer;
    struct filter_token token;
    ahead.diagnostics = NULL;
    filter_lex(&ahead, &token);
    return token;
}

static bool is(const struct parser *p, enum filter_token_kind kind)
{
    return p->token.kind == kind;
}

static bool is_word(const struct parser *p, enum filter_word word)
{
    return p->token.kind == FILTER_T_NAME && p->token.word == word;
}

static bool take(struct parser *p, enum filter_token_kind kind)
{
    if (p->token.kind != kind)
        return false;
    advance(p);
    return true;
}

static struct filter_span span_from(const struct parser *p, uint32_t from)
{
    return (struct filter_span){from, p->end > from ? p->end : from};
}

static struct filter_span span_over(const struct filter_node *a, const struct filter_node *b)
{
    return (struct filter_span){a->span.from, b->span.to};
}

/* The next token as people see it, for "expected x, not y". */
static const char *show_token(const struct parser *p, char *out, size_t size)
{
    struct td_slice text = td_sub(p->lexer.text, p->token.span.from, p->token.span.to);
    if (is(p, FILTER_T_END))
        return "the end";
    snprintf(out, size, "%.*s%s", text.n > 24 ? 24 : (int)text.n, (const char *)text.p, text.n > 24 ? "..." : "");
    return out;
}

static void fail_expected(struct parser *p, const char *what)
{
    char shown[40];
    struct filter_span span = p->token.span;
    if (is(p, FILTER_T_END))
        span = (struct filter_span){(uint32_t)p->lexer.text.n, (uint32_t)p->lexer.text.n};
    if (!p->panic)
        filter_fault(p->diagnostics, span, "syntax", "expected %s, not %s", what, show_token(p, shown, sizeof(shown)));
    p->panic = true;
}

static struct filter_node *new_bad(struct parser *p)
{
    return filter_new(&p->builder, FILTER_BAD, (struct filter_span){p->token.span.from, p->token.span.from});
}

/* The parser calls itself no deeper than the tree may get. */
static bool enter(struct parser *p)
{
    if (p->nesting < FILTER_MAX_NESTING) {
        p->nesting++;
        return true;
    }
    if (!p->builder.failure) {
        p->builder.failure = FILTER_TOO_DEEP;
        p->builder.far = p->token.span;
    }
    p->lexer.at = p->lexer.text.n; /* nothing more is understood */
    advance(p);
    return false;
}

static void leave(struct parser *p)
{
    p->nesting--;
}

static int bracket_step(uint8_t kind)
{
    return kind == FILTER_T_LEFT_PAREN || kind == FILTER_T_LEFT_BRACKET || kind == FILTER_T_LEFT_BRACE      ? 1
           : kind == FILTER_T_RIGHT_PAREN || kind == FILTER_T_RIGHT_BRACKET || kind == FILTER_T_RIGHT_BRACE ? -1
                                                                                                            : 0;
}

/* The end of what was opened; if something else stands there, it is told, and skipped up to the end. */
static void close(struct parser *p, enum filter_token_kind kind, const char *what)
{
    int depth = 0;
    if (take(p, kind)) {
        p->panic = false;
        return;
    }
    fail_expected(p, what);
    for (; !is(p, FILTER_T_END); advance(p)) {
        if (depth == 0 && is(p, kind)) {
            advance(p);
            p->panic = false;
            return;
        }
        depth += bracket_step(p->token.kind);
        if (depth < 0)
            return; /* what is around ends here */
    }
}

/* ---- Lists of operands --------------------------------------------------------------------------------------------- */

static void push(struct parser *p, struct filter_node *node)
{
    if (p->stack_n == p->stack_cap) {
        size_t cap = p->stack_cap ? p->stack_cap * 2 : 32;
        struct filter_node **stack = arena_alloc(p->builder.arena, cap * sizeof(*stack), 16);
        if (!stack) {
            p->lexer.no_memory = true;
            return;
        }
        if (p->stack_n)
            memcpy(stack, p->stack, p->stack_n * sizeof(*stack));
        p->stack = stack;
        p->stack_cap = cap;
    }
    p->stack[p->stack_n++] = node;
}

/* What was pushed since the stack had `base` becomes the operands of a node. */
static struct filter_node *pop_args(struct parser *p, struct filter_node *node, size_t base)
{
    filter_set_args(&p->builder, node, p->stack ? p->stack + base : NULL, p->stack_n - base);
    p->stack_n = base;
    return node;
}

/* Expressions between commas up to a closing bracket, which is left. A comma may stand behind the last if `trailing`. */
static void push_list(struct parser *p, enum filter_token_kind end, bool trailing)
{
    while (!is(p, end) && !is(p, FILTER_T_END)) {
        if (is(p, FILTER_T_QUESTION)) {
            filter_fault(p->diagnostics, p->token.span, "unsupported", "optional elements are not supported in a list");
            advance(p);
        }
        push(p, parse_expression(p));
        if (!is(p, FILTER_T_COMMA))
            return;
        advance(p);
        if (!trailing && is(p, end))
            fail_expected(p, "an argument");
    }
}

/* Inside brackets colons mean nothing unless said otherwise, so 16:03 may be bytes. Returns what held outside. */
static bool open(struct parser *p, bool colons_free)
{
    bool outside = p->lexer.colons_free;
    p->lexer.colons_free = colons_free;
    advance(p);
    return outside;
}

/* ---- Operands ------------------------------------------------------------------------------------------------------- */

static struct filter_node *new_literal(struct parser *p, struct filter_value value)
{
    struct filter_node *node = filter_new(&p->builder, FILTER_LITERAL, p->token.span);
    node->value = value;
    advance(p);
    return node;
}

/* A number that begins at `from`, where its sign stands if it has one. */
static struct filter_node *parse_number(struct parser *p, bool negative, uint32_t from)
{
    struct filter_value value = {.kind = FILTER_DOUBLE, .d = negative ? -p->token.d : p->token.d};
    if (is(p, FILTER_T_INT)) {
        uint64_t limit = (uint64_t)INT64_MAX + negative;
        if (p->token.u > limit && !p->token.bad)
            filter_fault(p->diagnostics, p->token.span, "bad_number", "the number is too large for an int; %s",
                         negative ? "the least is -9223372036854775808" : "write a u behind it for a uint");
        value = (struct filter_value){.kind = FILTER_INT, .i = (int64_t)(negative ? -p->token.u : p->token.u)};
    } else if (is(p, FILTER_T_UINT)) {
        value = (struct filter_value){.kind = FILTER_UINT, .u = p->token.u};
    }
    struct filter_node *node = new_literal(p, value);
    node->span.from = from;
    return node;
}

static struct filter_node *parse_text(struct parser *p, enum filter_kind kind)
{
    bool sugar = is(p, FILTER_T_IP) || p->token.hex;
    struct filter_node *node = new_literal(p, (struct filter_value){.kind = (uint8_t)kind, .bytes = p->token.text});
    node->sugar = sugar;
    return node;
}

static struct filter_node *parse_list(struct parser *p)
{
    uint32_t from = p->token.span.from;
    size_t base = p->stack_n;
    bool outside = open(p, true);
    push_list(p, FILTER_T_RIGHT_BRACKET, true);
    p->lexer.colons_free = outside;
    close(p, FILTER_T_RIGHT_BRACKET, "a comma or ]");
    return pop_args(p, filter_new(&p->builder, FILTER_NEW_LIST, span_from(p, from)), base);
}

/* The elements of a set, of which the first was read and stands on the stack at `base`: pairs of from and to. */
static void push_set(struct parser *p)
{
    for (;;) {
        const struct filter_node *from = p->stack_n ? p->stack[p->stack_n - 1] : NULL;
        struct filter_node *to = take(p, FILTER_T_RANGE) ? parse_binary(p, SUM) : NULL;
        if (to && from && from->sugar && from->kind == FILTER_LITERAL && from->value.kind == FILTER_STRING)
            filter_fault(p->diagnostics, (struct filter_span){from->span.from, to->span.to}, "unsupported",
                         "addresses have no ranges, since they are compared as texts; write networks, as 10.0.0.0/24");
        push(p, to);
        if (!take(p, FILTER_T_COMMA) || is(p, FILTER_T_RIGHT_BRACE))
            return;
        push(p, parse_expression(p));
    }
}

static struct filter_node *set_from_stack(struct parser *p, struct filter_node *x, struct filter_span span, size_t base)
{
    size_t n = (p->stack_n - base) / 2;
    struct filter_set_element *elements = arena_alloc(p->builder.arena, n * sizeof(*elements), 16);
    struct filter_node *node = NULL;
    p->stack_n = base;
    for (size_t i = 0; elements && i < n; i++)
        elements[i] = (struct filter_set_element){p->stack[base + 2 * i], p->stack[base + 2 * i + 1]};
    if (elements && n)
        node = filter_sugar_in_set(&p->builder, span, x, elements, n);
    p->lexer.no_memory |= !elements;
    return node ? node : filter_new(&p->builder, FILTER_BAD, span);
}

static void push_map(struct parser *p)
{
    for (;;) {
        if (!take(p, FILTER_T_COLON))
            fail_expected(p, "a colon and a value");
        else
            p->panic = false;
        push(p, parse_expression(p));
        if (!take(p, FILTER_T_COMMA) || is(p, FILTER_T_RIGHT_BRACE))
            return;
        if (is(p, FILTER_T_QUESTION)) {
            filter_fault(p->diagnostics, p->token.span, "unsupported", "optional entries are not supported in a map");
            advance(p);
        }
        push(p, parse_expression(p));
    }
}

/* {k: v, ...}, or behind `x in` a set, and then *ret_set is true and the node the whole membership. */
static struct filter_node *parse_braces(struct parser *p, struct filter_node *x, bool *ret_set)
{
    uint32_t from = p->token.span.from;
    size_t base = p->stack_n;
    bool outside = open(p, false);
    *ret_set = false;
    if (!is(p, FILTER_T_RIGHT_BRACE) && !is(p, FILTER_T_END)) {
        if (is(p, FILTER_T_QUESTION)) {
            filter_fault(p->diagnostics, p->token.span, "unsupported", "optional entries are not supported in a map");
            advance(p);
        }
        push(p, parse_expression(p));
        *ret_set = !is(p, FILTER_T_COLON);
        if (*ret_set)
            push_set(p);
        else
            push_map(p);
    }
    p->lexer.colons_free = outside;
    close(p, FILTER_T_RIGHT_BRACE, "a comma or }");
    struct filter_span span = span_from(p, from);
    if (!*ret_set)
        return pop_args(p, filter_new(&p->builder, FILTER_NEW_MAP, span), base);
    if (x)
        return set_from_stack(p, x, (struct filter_span){x->span.from, span.to}, base);
    filter_fault(p->diagnostics, span, "syntax", "a set in braces stands behind `in` only; a list is [a, b], a map {key: value}");
    p->stack_n = base;
    return filter_new(&p->builder, FILTER_BAD, span);
}

static struct filter_node *parse_parens(struct parser *p)
{
    bool outside = open(p, true);
    struct filter_node *node = parse_expression(p);
    p->lexer.colons_free = outside;
    close(p, FILTER_T_RIGHT_PAREN, "an operator or )");
    return node;
}

/* The arguments of a call, whose target stands on the stack at `base` if there is one; the parenthesis is next. */
static struct filter_node *parse_call(struct parser *p, struct filter_token name, uint32_t from, size_t base, bool receiver)
{
    bool outside = open(p, true);
    push_list(p, FILTER_T_RIGHT_PAREN, false);
    p->lexer.colons_free = outside;
    close(p, FILTER_T_RIGHT_PAREN, "a comma or )");
    struct filter_node *node = filter_new(&p->builder, FILTER_CALL, span_from(p, from));
    node->name = name.text;
    node->name_span = name.span;
    node->receiver = receiver;
    return filter_macro_of(&p->builder, p->diagnostics, p->lexer.text, pop_args(p, node, base));
}

static struct filter_node *parse_name(struct parser *p, uint32_t from, bool absolute)
{
    struct filter_token name = p->token;
    struct filter_node *node;
    if (name.word == FILTER_W_RESERVED && !p->panic) {
        filter_fault(p->diagnostics, name.span, "syntax", "%.*s is a reserved word of CEL", (int)name.text.n, (const char *)name.text.p);
        p->panic = true;
    }
    advance(p);
    if (is(p, FILTER_T_LEFT_PAREN)) {
        node = parse_call(p, name, from, p->stack_n, false);
    } else {
        node = filter_new_name(&p->builder, span_from(p, from), name.text);
        node->name_span = name.span;
    }
    if (node->kind == FILTER_NAME || node->kind == FILTER_CALL)
        node->absolute = absolute;
    return node;
}

static struct filter_node *parse_absolute(struct parser *p)
{
    uint32_t from = p->token.span.from;
    advance(p);
    if (is(p, FILTER_T_NAME) && (p->token.word < FILTER_W_TRUE || p->token.word > FILTER_W_IN))
        return parse_name(p, from, true);
    fail_expected(p, "a name");
    return new_bad(p);
}

static struct filter_node *parse_word(struct parser *p)
{
    switch (p->token.word) {
    case FILTER_W_TRUE:
    case FILTER_W_FALSE: return new_literal(p, (struct filter_value){.kind = FILTER_BOOL, .b = p->token.word == FILTER_W_TRUE});
    case FILTER_W_NULL: return new_literal(p, (struct filter_value){.kind = FILTER_NULL});
    case FILTER_W_IN: fail_expected(p, "a field, a value or ("); return new_bad(p);
    default: return parse_name(p, p->token.span.from, false);
    }
}

static struct filter_node *parse_primary(struct parser *p)
{
    bool set;
    struct filter_node *node;
    uint32_t from = p->token.span.from;
    switch (p->token.kind) {
    case FILTER_T_NAME: return parse_word(p);
    case FILTER_T_INT:
    case FILTER_T_UINT:
    case FILTER_T_DOUBLE: return parse_number(p, false, from);
    case FILTER_T_STRING:
    case FILTER_T_IP: return parse_text(p, FILTER_STRING);
    case FILTER_T_BYTES: return parse_text(p, FILTER_BYTES);
    case FILTER_T_CIDR:
        node = filter_sugar_cidr(&p->builder, p->token.span, p->token.text);
        advance(p);
        return node;
    case FILTER_T_LEFT_PAREN: return parse_parens(p);
    case FILTER_T_LEFT_BRACKET: return parse_list(p);
    case FILTER_T_LEFT_BRACE: return parse_braces(p, NULL, &set);
    case FILTER_T_DOT: return parse_absolute(p);
    default: fail_expected(p, "a field, a value or ("); return new_bad(p);
    }
}

/* ---- What follows an operand: selections, calls, indexes -------------------------------------------------------------- */

static struct filter_node *parse_select(struct parser *p, struct filter_node *left)
{
    advance(p);
    bool optional = take(p, FILTER_T_QUESTION);
    struct filter_token name = p->token;
    bool plain = is(p, FILTER_T_NAME) && name.word != FILTER_W_IN && (name.word < FILTER_W_TRUE || name.word > FILTER_W_NULL);
    if (!plain && !is(p, FILTER_T_QUOTED_NAME)) {
        fail_expected(p, "a name after the dot");
        name = (struct filter_token){.span = {p->end, p->end}};
    } else {
        advance(p);
    }
    if (plain && !optional && is(p, FILTER_T_LEFT_PAREN)) {
        size_t base = p->stack_n;
        push(p, left);
        return parse_call(p, name, left->span.from, base, true);
    }
    struct filter_node *node = filter_new(&p->builder, optional ? FILTER_OPERATOR : FILTER_SELECT, span_from(p, left->span.from));
    node->op = optional ? FILTER_OPT_SELECT : 0;
    node->name = name.text;
    node->name_span = name.span;
    filter_set_args(&p->builder, node, &left, 1);
    return node;
}

static struct filter_node *parse_index(struct parser *p, struct filter_node *left)
{
    struct filter_node *index = NULL, *length = NULL;
    bool outside = open(p, false), slice = false;
    bool optional = take(p, FILTER_T_QUESTION);
    if (!is(p, FILTER_T_COLON))
        index = parse_expression(p);
    if (is(p, FILTER_T_COLON)) {
        slice = true;
        advance(p);
        if (!is(p, FILTER_T_RIGHT_BRACKET))
            length = parse_expression(p);
    }
    p->lexer.colons_free = outside;
    close(p, FILTER_T_RIGHT_BRACKET, "]");
    struct filter_span span = span_from(p, left->span.from);
    if (slice)
        return filter_sugar_slice(&p->builder, span, left, index, length);
    struct filter_node *node =
        filter_new_operator(&p->builder, optional ? FILTER_OPT_INDEX : FILTER_INDEX, span, left, index ? index : new_bad(p));
    return node;
}

static struct filter_node *parse_member(struct parser *p, struct filter_node *left)
{
    for (;;) {
        if (is(p, FILTER_T_DOT))
            left = parse_select(p, left);
        else if (is(p, FILTER_T_LEFT_BRACKET))
            left = parse_index(p, left);
        else
            return left;
    }
}

/* ---- Operators -------------------------------------------------------------------------------------------------------- */

enum infix_kind { BINARY, CALL, ANY, ALL, NOT_IN };

struct infix {
    uint8_t precedence; /* LOWEST: it is no infix operator */
    uint8_t kind;
    uint8_t op;
    bool sugar;
    struct td_slice method;
};

static struct infix infix_of_word(const struct parser *p)
{
    switch (p->token.word) {
    case FILTER_W_IN: return (struct infix){RELATION, BINARY, FILTER_IN, false, {0}};
    case FILTER_W_AND: return (struct infix){AND, BINARY, FILTER_AND, true, {0}};
    case FILTER_W_OR: return (struct infix){OR, BINARY, FILTER_OR, true, {0}};
    case FILTER_W_XOR: return (struct infix){XOR, BINARY, FILTER_NE, true, TD_LIT("xor")};
    case FILTER_W_EQ: return (struct infix){RELATION, BINARY, FILTER_EQ, true, {0}};
    case FILTER_W_NE: return (struct infix){RELATION, BINARY, FILTER_NE, true, {0}};
    case FILTER_W_LT: return (struct infix){RELATION, BINARY, FILTER_LT, true, {0}};
    case FILTER_W_LE: return (struct infix){RELATION, BINARY, FILTER_LE, true, {0}};
    case FILTER_W_GT: return (struct infix){RELATION, BINARY, FILTER_GT, true, {0}};
    case FILTER_W_GE: return (struct infix){RELATION, BINARY, FILTER_GE, true, {0}};
    case FILTER_W_CONTAINS: return (struct infix){RELATION, CALL, 0, true, TD_LIT("contains")};
    case FILTER_W_MATCHES: return (struct infix){RELATION, CALL, 0, true, TD_LIT("matches")};
    case FILTER_W_ANY_EQ: return (struct infix){RELATION, ANY, FILTER_EQ, true, {0}};
    case FILTER_W_ANY_NE: return (struct infix){RELATION, ANY, FILTER_NE, true, {0}};
    case FILTER_W_ALL_EQ: return (struct infix){RELATION, ALL, FILTER_EQ, true, {0}};
    case FILTER_W_ALL_NE: return (struct infix){RELATION, ALL, FILTER_NE, true, {0}};
    case FILTER_W_NOT: {
        struct filter_token next = peek(p);
        bool in = next.kind == FILTER_T_NAME && next.word == FILTER_W_IN;
        return (struct infix){in ? RELATION : LOWEST, NOT_IN, FILTER_IN, true, {0}};
    }
    default: return (struct infix){0};
    }
}

static struct infix infix_of(const struct parser *p)
{
    switch (p->token.kind) {
    case FILTER_T_NAME: return infix_of_word(p);
    case FILTER_T_OR: return (struct infix){OR, BINARY, FILTER_OR, false, {0}};
    case FILTER_T_AND: return (struct infix){AND, BINARY, FILTER_AND, false, {0}};
    case FILTER_T_EQ: return (struct infix){RELATION, BINARY, FILTER_EQ, false, {0}};
    case FILTER_T_NE: return (struct infix){RELATION, BINARY, FILTER_NE, false, {0}};
    case FILTER_T_LT: return (struct infix){RELATION, BINARY, FILTER_LT, false, {0}};
    case FILTER_T_LE: return (struct infix){RELATION, BINARY, FILTER_LE, false, {0}};
    case FILTER_T_GT: return (struct infix){RELATION, BINARY, FILTER_GT, false, {0}};
    case FILTER_T_GE: return (struct infix){RELATION, BINARY, FILTER_GE, false, {0}};
    case FILTER_T_TILDE: return (struct infix){RELATION, CALL, 0, true, TD_LIT("matches")};
    case FILTER_T_ALL_EQ: return (struct infix){RELATION, ALL, FILTER_EQ, true, {0}};
    case FILTER_T_ANY_NE: return (struct infix){RELATION, ANY, FILTER_NE, true, {0}};
    case FILTER_T_PLUS: return (struct infix){SUM, BINARY, FILTER_ADD, false, {0}};
    case FILTER_T_MINUS: return (struct infix){SUM, BINARY, FILTER_SUB, false, {0}};
    case FILTER_T_STAR: return (struct infix){PRODUCT, BINARY, FILTER_MUL, false, {0}};
    case FILTER_T_SLASH: return (struct infix){PRODUCT, BINARY, FILTER_DIV, false, {0}};
    case FILTER_T_PERCENT: return (struct infix){PRODUCT, BINARY, FILTER_MOD, false, {0}};
    default: return (struct infix){0};
    }
}

/* `any` or `all` before an operand, as in `any f == x`; elsewhere they are names. */
static bool is_quantifier(const struct parser *p)
{
    if (!is_word(p, FILTER_W_ANY) && !is_word(p, FILTER_W_ALL))
        return false;
    struct filter_token next = peek(p);
    return next.kind == FILTER_T_NAME ? next.word == FILTER_W_NONE : next.kind == FILTER_T_LEFT_BRACE;
}

/* One relation between two operands that are there. */
static struct filter_node *relate(struct parser *p, const struct infix *infix, struct filter_token sign, struct filter_node *left,
                                  struct filter_node *right)
{
    struct filter_span span = span_over(left, right);
    struct filter_node *node;
    if (infix->kind == CALL)
        node = filter_new_method(&p->builder, infix->method, span, left, right);
    else
        node = filter_sugar_compare_cidr(&p->builder, infix->op, span, left, right);
    if (!node) {
        node = filter_new_operator(&p->builder, infix->op, span, left, right);
        node->name = infix->method;
    }
    node->name_span = sign.span;
    node->sugar |= infix->sugar;
    if (infix->kind != NOT_IN)
        return node;
    node = filter_new_operator(&p->builder, FILTER_NOT, span, node, NULL);
    node->sugar = true;
    return node;
}

/* any x == y: x.exists(v, v == y). */
static struct filter_node *quantify(struct parser *p, bool all, struct filter_node *over, const struct infix *infix,
                                    struct filter_token sign, struct filter_node *right)
{
    struct filter_span span = span_over(over, right);
    struct td_slice var = filter_fresh_name(&p->builder, p->lexer.text);
    struct filter_node *body = relate(p, infix, sign, filter_new_name(&p->builder, over->span, var), right);
    struct filter_node *node = filter_new_macro(&p->builder, all ? FILTER_ALL : FILTER_EXISTS, span, var, over, body);
    node->sugar = true;
    return node;
}

/* x == any {a, b}: [a, b].exists(v, x == v); with any other operand behind the word it is x that is gone through. */
static struct filter_node *parse_quantified_right(struct parser *p, struct filter_node *left, const struct infix *infix,
                                                  struct filter_token sign)
{
    bool all = is_word(p, FILTER_W_ALL);
    size_t base;
    advance(p);
    if (!is(p, FILTER_T_LEFT_BRACE))
        return quantify(p, all, left, infix, sign, parse_binary(p, SUM));
    uint32_t from = p->token.span.from;
    bool outside = open(p, true);
    base = p->stack_n;
    push_list(p, FILTER_T_RIGHT_BRACE, true);
    p->lexer.colons_free = outside;
    close(p, FILTER_T_RIGHT_BRACE, "a comma or }");
    struct filter_node *list = pop_args(p, filter_new(&p->builder, FILTER_NEW_LIST, span_from(p, from)), base);
    struct td_slice var = filter_fresh_name(&p->builder, p->lexer.text);
    struct filter_span span = span_over(left, list);
    struct filter_node *body = relate(p, infix, sign, left, filter_new_name(&p->builder, list->span, var));
    struct filter_node *node = filter_new_macro(&p->builder, all ? FILTER_ALL : FILTER_EXISTS, span, var, list, body);
    list->sugar = node->sugar = true;
    return node;
}

/* The right side of a relation, and the relation itself. The operator is next. */
static struct filter_node *parse_relation(struct parser *p, struct filter_node *left, const struct infix *infix)
{
    struct filter_token sign = p->token;
    struct filter_node *right;
    if (infix->kind == NOT_IN) {
        advance(p);
        sign.span.to = p->token.span.to;
    }
    advance(p);
    if (infix->kind == ANY || infix->kind == ALL)
        return quantify(p, infix->kind == ALL, left, &(struct infix){RELATION, BINARY, infix->op, true, {0}}, sign, parse_binary(p, SUM));
    if (is_quantifier(p) && infix->op != FILTER_IN)
        return parse_quantified_right(p, left, infix, sign);
    if (infix->op == FILTER_IN && infix->kind != CALL && is(p, FILTER_T_LEFT_BRACE)) {
        bool set;
        right = parse_braces(p, left, &set);
        if (set) {
            struct filter_node *node =
                infix->kind == NOT_IN ? filter_new_operator(&p->builder, FILTER_NOT, right->span, right, NULL) : right;
            node->sugar = true;
            return node;
        }
        right = continue_binary(p, parse_member(p, right), SUM);
    } else {
        right = parse_binary(p, SUM);
    }
    return relate(p, infix, sign, left, right);
}

/* `any f == x`. */
static struct filter_node *parse_quantified(struct parser *p)
{
    bool all = is_word(p, FILTER_W_ALL);
    uint32_t from = p->token.span.from;
    advance(p);
    if (!enter(p))
        return new_bad(p);
    struct filter_node *over = parse_binary(p, SUM), *node = over;
    struct infix infix = infix_of(p);
    struct filter_token sign = p->token;
    if (infix.precedence != RELATION || infix.kind == ANY || infix.kind == ALL) {
        fail_expected(p, "a comparison, as in `any f == x`");
    } else if (infix.op == FILTER_IN && infix.kind != CALL) {
        struct filter_node *element = filter_new_name(&p->builder, over->span, filter_fresh_name(&p->builder, p->lexer.text));
        node = parse_relation(p, element, &infix);
        node = filter_new_macro(&p->builder, all ? FILTER_ALL : FILTER_EXISTS, span_from(p, from), element->name, over, node);
        node->sugar = true;
    } else {
        advance(p);
        node = quantify(p, all, over, &infix, sign, parse_binary(p, SUM));
        node->span.from = from;
    }
    leave(p);
    return node;
}

static struct filter_node *parse_minus(struct parser *p)
{
    struct filter_token sign = p->token;
    struct filter_node *operand;
    advance(p);
    if (is(p, FILTER_T_INT) || is(p, FILTER_T_DOUBLE))
        return parse_member(p, parse_number(p, true, sign.span.from));
    if (!enter(p))
        return new_bad(p);
    operand = is(p, FILTER_T_MINUS) ? parse_minus(p) : parse_binary(p, PRODUCT + 1);
    leave(p);
    struct filter_node *node =
        filter_new_operator(&p->builder, FILTER_NEG, (struct filter_span){sign.span.from, operand->span.to}, operand, NULL);
    node->name_span = sign.span;
    return node;
}

/* ! binds more tightly than anything with two sides, the word `not` less than a comparison. */
static struct filter_node *parse_not(struct parser *p, bool word)
{
    struct filter_token sign = p->token;
    advance(p);
    if (!enter(p))
        return new_bad(p);
    struct filter_node *operand = parse_binary(p, word ? RELATION : PRODUCT + 1);
    leave(p);
    struct filter_node *node =
        filter_new_operator(&p->builder, FILTER_NOT, (struct filter_span){sign.span.from, operand->span.to}, operand, NULL);
    node->name_span = sign.span;
    node->sugar = word;
    return node;
}

static bool begins_operand(const struct filter_token *token)
{
    if (token->kind == FILTER_T_NAME)
        return token->word <= FILTER_W_NULL || token->word == FILTER_W_NOT || token->word == FILTER_W_ANY || token->word == FILTER_W_ALL;
    return (token->kind >= FILTER_T_INT && token->kind <= FILTER_T_CIDR) || token->kind == FILTER_T_LEFT_PAREN ||
           token->kind == FILTER_T_NOT;
}

static struct filter_node *parse_unary(struct parser *p)
{
    if (is(p, FILTER_T_NOT))
        return parse_not(p, false);
    if (is(p, FILTER_T_MINUS))
        return parse_minus(p);
    if (is_word(p, FILTER_W_NOT)) {
        struct filter_token next = peek(p);
        if (begins_operand(&next))
            return parse_not(p, true);
    }
    if (is_quantifier(p))
        return parse_quantified(p);
    return parse_member(p, parse_primary(p));
}

static struct filter_node *parse_binary(struct parser *p, enum precedence least)
{
    return continue_binary(p, parse_unary(p), least);
}

/* a && b && c: all of them at once. */
static struct filter_node *parse_chain(struct parser *p, struct filter_node *first, const struct infix *infix)
{
    size_t base = p->stack_n;
    struct filter_token sign = p->token;
    bool sugar = false;
    push(p, first);
    for (struct infix next = *infix; next.precedence == infix->precedence; next = infix_of(p)) {
        sugar |= next.sugar;
        advance(p);
        p->panic = false;
        push(p, parse_binary(p, infix->precedence + 1));
    }
    struct filter_span span = {first->span.from, p->end};
    struct filter_node *node = filter_new_chain(&p->builder, infix->op, span, p->stack + base, p->stack_n - base);
    p->stack_n = base;
    node->name_span = sign.span;
    node->sugar = sugar;
    return node;
}

/* The operators that follow an operand, as far as they bind at least so tightly. */
static struct filter_node *continue_binary(struct parser *p, struct filter_node *left, enum precedence least)
{
    for (;;) {
        struct infix infix = infix_of(p);
        if (infix.precedence == LOWEST || infix.precedence < least)
            break;
        if (infix.precedence == AND || infix.precedence == OR) {
            left = parse_chain(p, left, &infix);
        } else if (infix.precedence == RELATION) {
            left = parse_relation(p, left, &infix);
        } else {
            struct filter_token sign = p->token;
            advance(p);
            left = relate(p, &infix, sign, left, parse_binary(p, infix.precedence + 1));
        }
    }
    return left;
}

static struct filter_node *parse_expression(struct parser *p)
{
    if (!enter(p))
        return new_bad(p);
    struct filter_node *node = parse_binary(p, OR);
    if (is(p, FILTER_T_QUESTION)) {
        struct filter_span sign = p->token.span;
        size_t base = p->stack_n;
        push(p, node);
        bool outside = open(p, false);
        push(p, parse_binary(p, OR));
        p->lexer.colons_free = outside;
        if (!take(p, FILTER_T_COLON))
            fail_expected(p, "an operator or : and what holds otherwise");
        push(p, parse_expression(p));
        struct filter_node *condition = filter_new(&p->builder, FILTER_OPERATOR, span_from(p, node->span.from));
        condition->op = FILTER_CONDITION;
        condition->name_span = sign;
        node = pop_args(p, condition, base);
    }
    leave(p);
    return node;
}

/* ---- The whole ---------------------------------------------------------------------------------------------------------- */

/* The text goes on where an operator should stand. It is parsed as if there were an `&&`, to find what else is wrong. */
static struct filter_node *parse_rest(struct parser *p, struct filter_node *node)
{
    while (!is(p, FILTER_T_END)) {
        uint32_t from = p->token.span.from;
        fail_expected(p, "an operator or the end");
        struct filter_token token = p->token;
        if (!begins_operand(&token)) {
            advance(p);
            p->panic = false;
            if (is(p, FILTER_T_END))
                break;
        }
        node = filter_new_operator(&p->builder, FILTER_AND, span_from(p, node->span.from), node, parse_expression(p));
        if (p->token.span.from == from)
            advance(p);
    }
    return node;
}

/* Limits are told once, at the end. */
static int finish(struct parser *p)
{
    static const char *const why[] = {
        [FILTER_TOO_MANY_NODES] = "the filter is too large: at most 10000 operands and operators",
        [FILTER_TOO_DEEP] = "nested too deeply: at most 250 levels",
    };
    if (p->lexer.no_memory || p->builder.failure == FILTER_NO_MEMORY)
        return TD_E_NOMEM;
    if (p->builder.failure)
        filter_fault(p->diagnostics, p->builder.far, "too_large", "%s", why[p->builder.failure]);
    return p->diagnostics->fault_n ? TD_E_CONFIG : TD_OK;
}

int filter_parse(struct td_slice text, struct arena *arena, struct filter_diagnostics *diagnostics, struct filter_node **ret)
{
    struct parser p = {.lexer = {.text = text, .arena = arena, .diagnostics = diagnostics, .colons_free = true},
                       .builder = {.arena = arena},
                       .diagnostics = diagnostics};
    if (text.n > FILTER_MAX_TEXT) {
        filter_fault(diagnostics, (struct filter_span){0, 0}, "too_large", "the filter is too long: at most %d bytes", FILTER_MAX_TEXT);
        p.lexer.text.n = 0;
    }
    advance(&p);
    if (is(&p, FILTER_T_END))
        *ret = new_literal(&p, (struct filter_value){.kind = FILTER_BOOL, .b = true});
    else
        *ret = parse_rest(&p, parse_expression(&p));
    int status = finish(&p);
    if (p.builder.failure) /* what was built has holes */
        *ret = NULL;
    return status;
}
