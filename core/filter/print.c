#include "print.h"

#include <math.h>

#include "base/ip.h"
#include "filter/decimal.h"
#include "filter/lex.h"
#include "filter/macro.h"
#include "filter/text.h"
#include "filter/time.h"
#include "filter/type_name.h"

/* How tightly a text binds; what stands where a tighter one is needed gets parentheses. */
enum level { CONDITION, OR, AND, RELATION, SUM, PRODUCT, UNARY, MEMBER };

static const struct {
    const char *sign;
    uint8_t level;
} operators[] = {
    [FILTER_OR] = {"||", OR},
    [FILTER_AND] = {"&&", AND},
    [FILTER_NOT] = {"!", UNARY},
    [FILTER_CONDITION] = {"?:", CONDITION},
    [FILTER_EQ] = {"==", RELATION},
    [FILTER_NE] = {"!=", RELATION},
    [FILTER_LT] = {"<", RELATION},
    [FILTER_LE] = {"<=", RELATION},
    [FILTER_GT] = {">", RELATION},
    [FILTER_GE] = {">=", RELATION},
    [FILTER_IN] = {"in", RELATION},
    [FILTER_ADD] = {"+", SUM},
    [FILTER_SUB] = {"-", SUM},
    [FILTER_MUL] = {"*", PRODUCT},
    [FILTER_DIV] = {"/", PRODUCT},
    [FILTER_MOD] = {"%", PRODUCT},
    [FILTER_NEG] = {"-", UNARY},
    [FILTER_INDEX] = {"a[b]", MEMBER},
    [FILTER_OPT_SELECT] = {"a.?b", MEMBER},
    [FILTER_OPT_INDEX] = {"a[?b]", MEMBER},
};

static void put(struct buf *out, const struct filter_node *node, enum level least);

const char *filter_operator_name(enum filter_op op)
{
    return operators[op].sign;
}

/* ---- Values ---------------------------------------------------------------------------------------------------------- */

static bool is_raw_better(struct td_slice s)
{
    bool backslash = false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] < ' ' || s.p[i] == 0x7f)
            return false;
        backslash |= s.p[i] == '\\';
    }
    return backslash;
}

static void put_escaped(struct buf *out, uint8_t c)
{
    static const char from[] = "\n\r\t\"\\", to[] = "nrt\"\\";
    const char *simple = c ? strchr(from, c) : NULL;
    if (simple)
        buf_printf(out, "\\%c", to[simple - from]);
    else
        buf_printf(out, "\\x%02x", c);
}

void filter_print_string(struct buf *out, struct td_slice utf8)
{
    bool raw = is_raw_better(utf8);
    buf_puts(out, raw ? "r\"" : "\"");
    for (size_t i = 0; i < utf8.n; i++) {
        uint8_t c = utf8.p[i];
        if (!raw && (c < ' ' || c == '"' || c == '\\' || c == 0x7f))
            put_escaped(out, c);
        else
            buf_putc(out, (char)c);
    }
    buf_putc(out, '"');
}

static void put_bytes(struct buf *out, struct td_slice bytes)
{
    buf_lit(out, "b\"");
    for (size_t i = 0; i < bytes.n; i++) {
        uint8_t c = bytes.p[i];
        if (c < ' ' || c == '"' || c == '\\' || c >= 0x7f)
            put_escaped(out, c);
        else
            buf_putc(out, (char)c);
    }
    buf_putc(out, '"');
}

/* The shortest text that reads back as the same number, and as a double. */
static void put_double(struct buf *out, double d)
{
    char text[DECIMAL_TEXT];
    if (isnan(d) || isinf(d)) {
        buf_printf(out, "double(\"%s\")", isnan(d) ? "nan" : d < 0 ? "-inf" : "inf");
        return;
    }
    size_t n = decimal_format(d, DECIMAL_GENERAL, 0, text);
    buf_put(out, text, n);
    if (!memchr(text, '.', n) && !memchr(text, 'e', n))
        buf_lit(out, ".0");
}

/* A time or a duration as the call that makes it. */
static void put_time(struct buf *out, const struct filter_value *v)
{
    uint8_t room[128];
    struct arena arena;
    arena_init(&arena, 0);
    arena_lend(&arena, room, sizeof(room));
    struct filter_text text = {.arena = &arena};
    if (v->kind == FILTER_TIMESTAMP)
        filter_time_put(&text, v);
    else
        filter_duration_put(&text, v->i);
    buf_puts(out, v->kind == FILTER_TIMESTAMP ? "timestamp(\"" : "duration(\"");
    buf_put(out, text.p, text.n);
    buf_lit(out, "\")");
}

static void put_address(struct buf *out, const struct filter_value *v)
{
    char text[IP_TEXT];
    ip_format(v->bytes.p, v->family, text);
    if (v->kind == FILTER_CIDR)
        buf_printf(out, "cidr(\"%s/%u\")", text, v->prefix);
    else
        buf_printf(out, "ip(\"%s\")", text);
}

static void put_list(struct buf *out, const struct filter_list *list)
{
    buf_putc(out, '[');
    for (uint32_t i = 0; i < list->n; i++) {
        if (i)
            buf_lit(out, ", ");
        filter_print_value(out, &list->v[i]);
    }
    buf_putc(out, ']');
}

static void put_map(struct buf *out, const struct filter_map *map)
{
    buf_putc(out, '{');
    for (uint32_t i = 0; i < map->n; i++) {
        struct filter_value key = {0}, value = {0};
        if (!map->ctx) {
            key = map->v[2 * i];
            value = map->v[2 * i + 1];
        } else if (!map->at(map->ctx, i, &key, &value)) {
            break;
        }
        if (i)
            buf_lit(out, ", ");
        filter_print_value(out, &key);
        buf_lit(out, ": ");
        filter_print_value(out, &value);
    }
    buf_putc(out, '}');
}

void filter_print_value(struct buf *out, const struct filter_value *v)
{
    switch (v->kind) {
    case FILTER_NULL: buf_lit(out, "null"); break;
    case FILTER_BOOL: buf_puts(out, v->b ? "true" : "false"); break;
    case FILTER_INT: buf_i64(out, v->i); break;
    case FILTER_UINT:
        buf_u64(out, v->u);
        buf_putc(out, 'u');
        break;
    case FILTER_DOUBLE: put_double(out, v->d); break;
    case FILTER_STRING: filter_print_string(out, v->bytes); break;
    case FILTER_BYTES: put_bytes(out, v->bytes); break;
    case FILTER_TIMESTAMP:
    case FILTER_DURATION: put_time(out, v); break;
    case FILTER_LIST: put_list(out, v->list); break;
    case FILTER_MAP: put_map(out, v->map); break;
    case FILTER_TYPE: filter_type_put(out, v->type); break;
    case FILTER_IP:
    case FILTER_CIDR: put_address(out, v); break;
    case FILTER_OPTIONAL:
        buf_puts(out, v->content ? "optional.of(" : "optional.none(");
        if (v->content)
            filter_print_value(out, v->content);
        buf_putc(out, ')');
        break;
    default: buf_lit(out, "error()"); break;
    }
}

/* ---- Nodes ------------------------------------------------------------------------------------------------------------ */

static bool is_negative(const struct filter_value *v)
{
    return (v->kind == FILTER_INT && v->i < 0) || (v->kind == FILTER_DOUBLE && signbit(v->d));
}

/* Would a minus in front become part of a literal? */
static bool begins_with_number(const struct filter_node *node)
{
    for (;;) {
        bool member = node->kind == FILTER_SELECT || node->kind == FILTER_MACRO || (node->kind == FILTER_CALL && node->receiver) ||
                      (node->kind == FILTER_OPERATOR && operators[node->op].level == MEMBER);
        if (!member)
            break;
        node = node->args[0];
    }
    return node->kind == FILTER_LITERAL && (node->value.kind == FILTER_INT || node->value.kind == FILTER_DOUBLE) &&
           !is_negative(&node->value);
}

static enum level level_of(const struct filter_node *node)
{
    if (node->kind == FILTER_OPERATOR)
        return operators[node->op].level;
    return node->kind == FILTER_LITERAL && is_negative(&node->value) ? UNARY : MEMBER;
}

/* A name behind a dot. */
static void put_selector(struct buf *out, struct td_slice name)
{
    enum filter_word word = filter_word_of(name);
    if (filter_is_name(name) || word == FILTER_W_RESERVED) {
        buf_put_slice(out, name);
    } else {
        buf_putc(out, '`');
        buf_put_slice(out, name);
        buf_putc(out, '`');
    }
}

static void put_all(struct buf *out, struct filter_node *const *args, size_t n, const char *between)
{
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_puts(out, between);
        put(out, args[i], CONDITION);
    }
}

static void put_call(struct buf *out, const struct filter_node *node)
{
    if (node->receiver)
        put(out, node->args[0], MEMBER);
    if (node->receiver || node->absolute)
        buf_putc(out, '.');
    buf_put_slice(out, node->name);
    buf_putc(out, '(');
    put_all(out, node->args + node->receiver, node->arg_n - node->receiver, ", ");
    buf_putc(out, ')');
}

static void put_macro(struct buf *out, const struct filter_node *node)
{
    if (node->kind == FILTER_BIND) {
        buf_lit(out, "cel.bind(");
    } else {
        put(out, node->args[0], MEMBER);
        buf_printf(out, ".%s(", filter_macro_name(node->op, node->var[1].n > 0));
    }
    for (int i = 0; i < 2 && node->var[i].n; i++) {
        buf_put_slice(out, node->var[i]);
        buf_lit(out, ", ");
    }
    uint32_t first = node->kind == FILTER_MACRO;
    put_all(out, node->args + first, node->arg_n - first, ", ");
    buf_putc(out, ')');
}

static void put_map_literal(struct buf *out, const struct filter_node *node)
{
    buf_putc(out, '{');
    for (uint32_t i = 0; i + 1 < node->arg_n; i += 2) {
        if (i)
            buf_lit(out, ", ");
        put(out, node->args[i], CONDITION);
        buf_lit(out, ": ");
        put(out, node->args[i + 1], CONDITION);
    }
    buf_putc(out, '}');
}

static void put_has(struct buf *out, const struct filter_node *node)
{
    buf_lit(out, "has(");
    put(out, node->args[0], MEMBER);
    if (node->name.n) {
        buf_putc(out, '.');
        put_selector(out, node->name);
    }
    buf_putc(out, ')');
}

static void put_member_operator(struct buf *out, const struct filter_node *node)
{
    put(out, node->args[0], MEMBER);
    if (node->op == FILTER_OPT_SELECT) {
        buf_lit(out, ".?");
        put_selector(out, node->name);
        return;
    }
    buf_puts(out, node->op == FILTER_INDEX ? "[" : "[?");
    put(out, node->args[1], CONDITION);
    buf_putc(out, ']');
}

static void put_prefix(struct buf *out, const struct filter_node *node)
{
    bool apart = node->op == FILTER_NEG && begins_with_number(node->args[0]);
    buf_puts(out, operators[node->op].sign);
    if (apart)
        buf_putc(out, '(');
    put(out, node->args[0], UNARY);
    if (apart)
        buf_putc(out, ')');
}

static void put_operator(struct buf *out, const struct filter_node *node)
{
    enum level level = operators[node->op].level;
    if (level == MEMBER) {
        put_member_operator(out, node);
    } else if (level == UNARY) {
        put_prefix(out, node);
    } else if (node->op == FILTER_CONDITION) {
        put(out, node->args[0], OR);
        buf_lit(out, " ? ");
        put(out, node->args[1], OR);
        buf_lit(out, " : ");
        put(out, node->args[2], CONDITION);
    } else {
        bool chain = node->op == FILTER_AND || node->op == FILTER_OR;
        for (uint32_t i = 0; i < node->arg_n; i++) {
            if (i)
                buf_printf(out, " %s ", operators[node->op].sign);
            put(out, node->args[i], i || chain ? level + 1 : level);
        }
    }
}

static void put_plain(struct buf *out, const struct filter_node *node)
{
    switch (node->kind) {
    case FILTER_LITERAL: filter_print_value(out, &node->value); break;
    case FILTER_NAME:
    case FILTER_FIELD:
    case FILTER_VARIABLE:
    case FILTER_TYPE_NAME:
        if (node->absolute)
            buf_putc(out, '.');
        buf_put_slice(out, node->name);
        break;
    case FILTER_SELECT:
        put(out, node->args[0], MEMBER);
        buf_putc(out, '.');
        put_selector(out, node->name);
        break;
    case FILTER_HAS: put_has(out, node); break;
    case FILTER_OPERATOR: put_operator(out, node); break;
    case FILTER_CALL: put_call(out, node); break;
    case FILTER_NEW_LIST:
        buf_putc(out, '[');
        put_all(out, node->args, node->arg_n, ", ");
        buf_putc(out, ']');
        break;
    case FILTER_NEW_MAP: put_map_literal(out, node); break;
    case FILTER_MACRO:
    case FILTER_BIND: put_macro(out, node); break;
    default: buf_lit(out, "..."); break; /* where the text was wrong */
    }
}

/* As deep as the tree, which is limited. */
static void put(struct buf *out, const struct filter_node *node, enum level least)
{
    bool parens = level_of(node) < least;
    if (parens)
        buf_putc(out, '(');
    put_plain(out, node);
    if (parens)
        buf_putc(out, ')');
}

void filter_print(struct buf *out, const struct filter_node *node)
{
    put(out, node, CONDITION);
}
