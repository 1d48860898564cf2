/* What people are told: what is wrong and what to write instead, and what is right but probably not meant. */
#include <stdarg.h>
#include <stdio.h>

#include "base/nearest.h"
#include "filter/alias.h"
#include "filter/checker.h"
#include "filter/convert.h"
#include "filter/print.h"
#include "filter/time.h"
#include "filter/type_name.h"

enum { MAX_FIX = 4096, MAX_SIGNATURES = 3, MAX_MEMBERS = 5 };

/* ---- Words ------------------------------------------------------------------------------------------------------------- */

/* A text that lives as long as the tree. */
static const char *keep(struct checker *c, struct buf *text)
{
    char *copy = arena_strndup(c->builder.arena, (const char *)text->p, text->n);
    buf_clear(text);
    c->types.no_memory |= !copy;
    return copy ? copy : "";
}

const char *filter_show_type(struct checker *c, const struct filter_type *type)
{
    struct buf text;
    buf_init(&text, 0);
    filter_type_put(&text, filter_unify_finish(&c->types, type));
    return keep(c, &text);
}

struct td_slice filter_source(const struct checker *c, const struct filter_node *node)
{
    return td_sub(c->text, node->span.from, node->span.to);
}

/* The source of an operand for use before a dot. */
static const char *member_source(struct checker *c, const struct filter_node *node)
{
    struct td_slice source = filter_source(c, node);
    struct buf text;
    buf_init(&text, 0);
    bool parens = node->kind == FILTER_OPERATOR;
    if (parens)
        buf_putc(&text, '(');
    buf_put_slice(&text, source);
    if (parens)
        buf_putc(&text, ')');
    return keep(c, &text);
}

void filter_suggest(struct checker *c, const struct filter_node *node, const char *title, const char *fmt, ...)
{
    char text[MAX_FIX];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof(text))
        filter_add_fix(c->diagnostics, node->span, td_bytes(text, (size_t)n), "%s", title);
}

static const struct filter_type *type_of(struct checker *c, const struct filter_node *node)
{
    return filter_unify_resolve(&c->types, node->type, 0);
}

static enum filter_kind kind_of(struct checker *c, const struct filter_node *node)
{
    return type_of(c, node)->kind;
}

/* Was it told already that an operand is wrong? */
static bool is_told(struct checker *c, const struct filter_node *node)
{
    for (uint32_t i = 0; i < node->arg_n; i++)
        if (kind_of(c, node->args[i]) == FILTER_ERROR)
            return true;
    return false;
}

static bool is_literal(const struct filter_node *node, enum filter_kind kind)
{
    return node->kind == FILTER_LITERAL && node->value.kind == kind;
}

/* ---- Names ---------------------------------------------------------------------------------------------------------------- */

/* The name that stands for nothing, as text. */
static const char *name_of(struct checker *c, const struct filter_node *node)
{
    char name[FILTER_MAX_NAME];
    const struct filter_node *chain = node->kind == FILTER_HAS ? node->args[0] : node;
    size_t n = filter_qualified_name(chain, name, sizeof(name));
    struct buf text;
    buf_init(&text, 0);
    buf_put(&text, name, n);
    if (node->kind == FILTER_HAS && node->name.n) {
        buf_putc(&text, '.');
        buf_put_slice(&text, node->name);
    }
    return keep(c, &text);
}

/* Fields that begin with the name and a dot: "src.ip, src.port". */
static const char *members_of(struct checker *c, struct td_slice name)
{
    struct filter_symbol symbol;
    struct buf text;
    uint32_t found = 0;
    buf_init(&text, 0);
    for (uint32_t i = 0; c->env->at && c->env->at(c->env->ctx, i, &symbol); i++) {
        if (symbol.name.n <= name.n || !td_starts(symbol.name, name) || symbol.name.p[name.n] != '.')
            continue;
        if (++found > MAX_MEMBERS) {
            buf_lit(&text, " ...");
            break;
        }
        if (found > 1)
            buf_lit(&text, ", ");
        buf_put_slice(&text, symbol.name);
    }
    return keep(c, &text);
}

static const char *nearest_name(struct checker *c, const char *wanted)
{
    struct nearest near;
    struct filter_symbol symbol;
    uint32_t n;
    const struct filter_alias *aliases = filter_aliases(&n);
    nearest_init(&near, wanted);
    for (uint32_t i = 0; c->env->at && c->env->at(c->env->ctx, i, &symbol); i++)
        if (!symbol.field || !symbol.field->payload)
            nearest_try(&near,
                        symbol.field ? symbol.field->name : arena_strndup(c->builder.arena, (const char *)symbol.name.p, symbol.name.n));
    if (!near.best && !c->env->plain && strchr(wanted, '.'))
        for (uint32_t i = 0; i < n; i++)
            nearest_try(&near, aliases[i].name);
    return near.best;
}

static const struct filter_node *chain_root(const struct filter_node *node)
{
    while (node->kind == FILTER_SELECT || node->kind == FILTER_HAS)
        node = node->args[0];
    return node;
}

void filter_advise_undeclared(struct checker *c, const struct filter_node *node)
{
    const char *name = name_of(c, node);
    const struct filter_alias *alias = c->env->plain ? NULL : filter_alias_find(td_str(name));
    const char *members = members_of(c, td_str(name));
    if (alias) {
        filter_fault(c->diagnostics, node->span, "undeclared", "%s is another name for %s, which no dissector has that is enabled", name,
                     alias->text);
        return;
    }
    if (*members) {
        filter_fault(c->diagnostics, node->span, "undeclared", "there is no field \"%s\", but %s", name, members);
        return;
    }
    filter_fault(c->diagnostics, node->span, "undeclared", "there is no field \"%s\"", name);
    if (!c->diagnostics->last)
        return; /* told before, or there is no room: no need to search */
    const char *near = nearest_name(c, name);
    bool capitals = node->kind == FILTER_NAME && !strpbrk(name, "abcdefghijklmnopqrstuvwxyz");
    if (capitals)
        filter_suggest(c, node, "as a text", "\"%s\"", name);
    if (near && node->kind == FILTER_HAS)
        filter_suggest(c, node, "did you mean", "has(%s)", near);
    else if (near)
        filter_suggest(c, node, "did you mean", "%s", near);
    if (node->kind == FILTER_NAME && !capitals)
        filter_suggest(c, node, "as a text", "\"%s\"", name);
    else if (node->kind == FILTER_SELECT && chain_root(node)->kind == FILTER_NAME && !near)
        filter_suggest(c, node, "as a text", "\"%s\"", name);
}

void filter_advise_payload(struct checker *c, const struct filter_node *node)
{
    filter_fault(c->diagnostics, node->span, "payload", "%s is payload, which is kept apart and no part of filters", name_of(c, node));
}

/* ---- Conditions ------------------------------------------------------------------------------------------------------------ */

/* Is a text a name with or without dots, so that has() takes it? */
static bool is_plain_name(struct td_slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("._abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", s.p[i]))
            return false;
    return s.n && s.p[0] > '9';
}

/* Fixes for a value where a condition should be: that it is something, that it is there. */
static void suggest_conditions(struct checker *c, const struct filter_node *node, bool parens)
{
    struct td_slice source = filter_source(c, node);
    int n = (int)source.n;
    const char *p = (const char *)source.p, *open = parens ? "(" : "", *shut = parens ? ")" : "";
    bool there = (node->kind == FILTER_FIELD || node->sugar) && is_plain_name(source);
    if (there && node->sugar)
        filter_suggest(c, node, "is there", "has(%.*s)", n, p);
    switch (kind_of(c, node)) {
    case FILTER_STRING: filter_suggest(c, node, "is not empty", "%s%.*s != \"\"%s", open, n, p, shut); break;
    case FILTER_INT: filter_suggest(c, node, "is not zero", "%s%.*s != 0%s", open, n, p, shut); break;
    case FILTER_UINT: filter_suggest(c, node, "is not zero", "%s%.*s != 0u%s", open, n, p, shut); break;
    case FILTER_DOUBLE: filter_suggest(c, node, "is not zero", "%s%.*s != 0.0%s", open, n, p, shut); break;
    case FILTER_BYTES:
    case FILTER_LIST:
    case FILTER_MAP: filter_suggest(c, node, "has something in it", "%ssize(%.*s) > 0%s", open, n, p, shut); break;
    case FILTER_DURATION: filter_suggest(c, node, "is not zero", "%s%.*s != duration(\"0s\")%s", open, n, p, shut); break;
    default: break;
    }
    if (there && !node->sugar)
        filter_suggest(c, node, "is there", "has(%.*s)", n, p);
}

void filter_advise_condition(struct checker *c, const struct filter_node *node, const char *of)
{
    struct td_slice source = filter_source(c, node);
    if (kind_of(c, node) == FILTER_ERROR)
        return;
    filter_fault(c->diagnostics, node->span, "not_condition", "%s takes what is true or false; %.*s is of type %s", of,
                 (int)(source.n < 60 ? source.n : 60), (const char *)source.p, filter_show_type(c, node->type));
    suggest_conditions(c, node, strcmp(of, "!") == 0);
}

void filter_advise_value(struct checker *c, const struct filter_node *node)
{
    if (node->arg_n == 0) {
        filter_warning(c->diagnostics, node->span, "never", "without arguments, map_get() is an error for each record, so nothing matches");
        filter_suggest(c, node, "write", "map_get(request.headers, \"host\", \"\") != \"\"");
        return;
    }
    filter_warning(c->diagnostics, node->span, "never", "this is a value of type %s, neither true nor false, so nothing matches",
                   filter_show_type(c, node->type));
    suggest_conditions(c, node, false);
}

/* ---- Operators --------------------------------------------------------------------------------------------------------------- */

/* A literal as one of another type; false: it cannot be. */
static bool suggest_literal(struct checker *c, const struct filter_node *literal, enum filter_kind wanted)
{
    const struct filter_value *v = &literal->value;
    struct td_slice text = v->kind == FILTER_STRING ? v->bytes : filter_source(c, literal);
    int n = (int)text.n;
    const char *p = (const char *)text.p;
    int64_t i;
    double d;
    if (wanted == FILTER_STRING && (v->kind == FILTER_INT || v->kind == FILTER_DOUBLE || v->kind == FILTER_UINT))
        filter_suggest(c, literal, "as a text", "\"%.*s\"", n, p);
    else if (wanted == FILTER_INT && v->kind == FILTER_STRING && filter_parse_int(text, &i))
        filter_suggest(c, literal, "as a number", "%.*s", n, p);
    else if (wanted == FILTER_INT && v->kind == FILTER_UINT)
        filter_suggest(c, literal, "as an int", "%llu", (unsigned long long)v->u);
    else if (wanted == FILTER_DOUBLE && v->kind == FILTER_STRING && filter_parse_double(text, &d))
        filter_suggest(c, literal, "as a number", "double(\"%.*s\")", n, p);
    else if (wanted == FILTER_DOUBLE && v->kind == FILTER_INT)
        filter_suggest(c, literal, "as a double", "%lld.0", (long long)v->i);
    else if (wanted == FILTER_UINT && v->kind == FILTER_INT && v->i >= 0)
        filter_suggest(c, literal, "as a uint", "%lldu", (long long)v->i);
    else if (wanted == FILTER_BOOL && v->kind == FILTER_INT && (v->i == 0 || v->i == 1))
        filter_suggest(c, literal, "write", v->i ? "true" : "false");
    else if (wanted == FILTER_BOOL && v->kind == FILTER_STRING && (td_eq(text, TD_LIT("true")) || td_eq(text, TD_LIT("false"))))
        filter_suggest(c, literal, "write", "%.*s", n, p);
    else if (wanted == FILTER_TIMESTAMP && v->kind == FILTER_STRING && filter_time_parse(text).kind == FILTER_TIMESTAMP)
        filter_suggest(c, literal, "as a time", "timestamp(\"%.*s\")", n, p);
    else if (wanted == FILTER_DURATION && v->kind == FILTER_STRING && filter_duration_parse(text).kind == FILTER_DURATION)
        filter_suggest(c, literal, "as a duration", "duration(\"%.*s\")", n, p);
    else if (wanted == FILTER_DURATION && v->kind == FILTER_INT)
        filter_suggest(c, literal, "in seconds", "duration(\"%llds\")", (long long)v->i);
    else if (wanted == FILTER_IP && v->kind == FILTER_STRING)
        filter_suggest(c, literal, "as an address", "ip(\"%.*s\")", n, p);
    else
        return false;
    return true;
}

/* A list compared with what could be an element of it. */
static void suggest_elements(struct checker *c, const struct filter_node *node, const struct filter_node *list,
                             const struct filter_node *element)
{
    const char *sign = filter_operator_name(node->op);
    struct td_slice other = filter_source(c, element);
    const char *source = member_source(c, list);
    int n = (int)other.n;
    const char *p = (const char *)other.p;
    if (node->op == FILTER_EQ)
        filter_suggest(c, node, "any of them", "%.*s in %s", n, p, source);
    else if (node->op == FILTER_NE)
        filter_suggest(c, node, "none of them", "!(%.*s in %s)", n, p, source);
    else
        filter_suggest(c, node, "any of them", "%s.exists(v, v %s %.*s)", source, sign, n, p);
    filter_suggest(c, node, "all of them", "%s.all(v, v %s %.*s)", source, sign, n, p);
}

static bool is_number(enum filter_kind kind)
{
    return kind == FILTER_INT || kind == FILTER_UINT || kind == FILTER_DOUBLE;
}

static void suggest_for_two(struct checker *c, const struct filter_node *node)
{
    const struct filter_node *a = node->args[0], *b = node->args[1];
    const struct filter_type *left = type_of(c, a), *right = type_of(c, b);
    if (b->kind == FILTER_LITERAL && suggest_literal(c, b, left->kind))
        return;
    if (a->kind == FILTER_LITERAL && suggest_literal(c, a, right->kind))
        return;
    if (node->op >= FILTER_EQ && node->op <= FILTER_GE && left->kind == FILTER_LIST && left->value->kind == right->kind)
        suggest_elements(c, node, a, b);
    else if (node->op >= FILTER_EQ && node->op <= FILTER_NE && right->kind == FILTER_LIST && right->value->kind == left->kind)
        suggest_elements(c, node, b, a);
    else if (is_number(left->kind) && is_number(right->kind)) {
        const struct filter_node *change = left->kind == FILTER_DOUBLE ? b : a;
        struct td_slice source = filter_source(c, change);
        filter_suggest(c, change, "convert it", "%s(%.*s)", filter_show_type(c, change == a ? right : left), (int)source.n,
                       (const char *)source.p);
    } else if (left->kind == FILTER_STRING && is_number(right->kind)) {
        struct td_slice source = filter_source(c, b);
        filter_suggest(c, b, "as a text", "string(%.*s)", (int)source.n, (const char *)source.p);
    } else if (right->kind == FILTER_STRING && is_number(left->kind)) {
        struct td_slice source = filter_source(c, a);
        filter_suggest(c, a, "as a text", "string(%.*s)", (int)source.n, (const char *)source.p);
    }
}

static void suggest_for_in(struct checker *c, const struct filter_node *node)
{
    const struct filter_type *left = type_of(c, node->args[0]), *right = type_of(c, node->args[1]);
    struct td_slice a = filter_source(c, node->args[0]), b = filter_source(c, node->args[1]);
    if (left->kind == FILTER_STRING && right->kind == FILTER_STRING)
        filter_suggest(c, node, "is a part of it", "%s.contains(%.*s)", member_source(c, node->args[1]), (int)a.n, (const char *)a.p);
    else if (left->kind == FILTER_LIST && right->kind == FILTER_LIST && left->value->kind == right->value->kind)
        filter_suggest(c, node, "any of them", "%s.exists(v, v in %.*s)", member_source(c, node->args[0]), (int)b.n, (const char *)b.p);
    else if (right->kind == FILTER_LIST && node->args[0]->kind == FILTER_LITERAL)
        suggest_literal(c, node->args[0], right->value->kind);
    else if (left->kind == right->kind && right->kind != FILTER_LIST && right->kind != FILTER_MAP)
        filter_suggest(c, node, "is the same", "%.*s == %.*s", (int)a.n, (const char *)a.p, (int)b.n, (const char *)b.p);
}

void filter_advise_operator(struct checker *c, const struct filter_node *node)
{
    const char *sign = filter_operator_name(node->op);
    if (is_told(c, node))
        return;
    const char *left = filter_show_type(c, node->args[node->op == FILTER_CONDITION]->type);
    const char *right = node->arg_n > 1 ? filter_show_type(c, node->args[node->op == FILTER_CONDITION ? 2 : 1]->type) : "";
    switch ((enum filter_op)node->op) {
    case FILTER_CONDITION:
        filter_fault(c->diagnostics, node->span, "type", "both sides of the colon must be of one type, not %s and %s", left, right);
        break;
    case FILTER_NEG: filter_fault(c->diagnostics, node->span, "type", "there is no - of a value of type %s", left); break;
    case FILTER_INDEX:
    case FILTER_OPT_INDEX:
        filter_fault(c->diagnostics, node->span, "type", "a value of type %s has no element [%s]: lists have ints, maps their keys", left,
                     right);
        break;
    case FILTER_IN:
        filter_fault(c->diagnostics, node->span, "type", "%s in %s: `in` wants a list of such values, or a map with such keys", left,
                     right);
        suggest_for_in(c, node);
        break;
    default:
        filter_fault(c->diagnostics, node->span, "type", "%s %s %s: there is no such operation; types are not converted by themselves",
                     left, sign, right);
        suggest_for_two(c, node);
        break;
    }
}

/* ---- Functions ------------------------------------------------------------------------------------------------------------------ */

static void put_signature(struct buf *out, const struct filter_function *f)
{
    uint32_t first = f->receiver;
    if (f->receiver) {
        filter_type_put(out, f->args[0]);
        buf_putc(out, '.');
    }
    buf_puts(out, f->name);
    buf_putc(out, '(');
    for (uint32_t i = first; i < f->arg_n; i++) {
        if (i > first)
            buf_lit(out, ", ");
        filter_type_put(out, f->args[i]);
    }
    buf_puts(out, f->variadic ? ", ...)" : ")");
}

/* How a function may be called. */
static const char *signatures_of(struct checker *c, int32_t first)
{
    uint32_t n, shown = 0;
    const struct filter_function *functions = filter_functions(&n);
    struct buf text;
    buf_init(&text, 0);
    for (uint32_t i = (uint32_t)first; i < n && strcmp(functions[i].name, functions[first].name) == 0; i++) {
        if (shown == MAX_SIGNATURES) {
            buf_lit(&text, " ...");
            break;
        }
        if (shown++)
            buf_lit(&text, " or ");
        put_signature(&text, &functions[i]);
    }
    return keep(c, &text);
}

/* The arguments of a call as they stand in the text, without the target. */
static const char *argument_sources(struct checker *c, const struct filter_node *node, uint32_t from)
{
    struct buf text;
    buf_init(&text, 0);
    for (uint32_t i = from; i < node->arg_n; i++) {
        if (i > from)
            buf_lit(&text, ", ");
        buf_put_slice(&text, filter_source(c, node->args[i]));
    }
    return keep(c, &text);
}

/* Is there an overload that differs only in how it is called, or that takes a text as its target? */
static bool has_overload(int32_t first, bool receiver, uint32_t arg_n, enum filter_kind target)
{
    uint32_t n;
    const struct filter_function *functions = filter_functions(&n);
    for (uint32_t i = (uint32_t)first; i < n && strcmp(functions[i].name, functions[first].name) == 0; i++)
        if (functions[i].receiver == receiver && functions[i].arg_n == arg_n &&
            (functions[i].args[0]->kind == target || functions[i].args[0]->kind == FILTER_PARAM))
            return true;
    return false;
}

void filter_advise_call(struct checker *c, const struct filter_node *node, int32_t first)
{
    if (is_told(c, node))
        return;
    struct buf types;
    buf_init(&types, 0);
    for (uint32_t i = node->receiver; i < node->arg_n; i++)
        buf_printf(&types, "%s%s", i > node->receiver ? ", " : "", filter_show_type(c, node->args[i]->type));
    const char *shown = keep(c, &types), *target = node->receiver ? filter_show_type(c, node->args[0]->type) : "";
    filter_fault(c->diagnostics, node->span, "no_overload", "there is no %s%s%.*s(%s), but %s", target, *target ? "." : "",
                 (int)node->name.n, (const char *)node->name.p, shown, signatures_of(c, first));
    if (!node->arg_n)
        return;
    const struct filter_type *of = type_of(c, node->args[0]);
    int n = (int)node->name.n;
    const char *name = (const char *)node->name.p, *source = member_source(c, node->args[0]);
    if (has_overload(first, !node->receiver, node->arg_n, of->kind)) {
        if (node->receiver)
            filter_suggest(c, node, "write", "%.*s(%s)", n, name, argument_sources(c, node, 0));
        else
            filter_suggest(c, node, "write", "%s.%.*s(%s)", source, n, name, argument_sources(c, node, 1));
    } else if (node->receiver && of->kind == FILTER_LIST && has_overload(first, true, node->arg_n, of->value->kind)) {
        filter_suggest(c, node, "any of them", "%s.exists(v, v.%.*s(%s))", source, n, name, argument_sources(c, node, 1));
        filter_suggest(c, node, "all of them", "%s.all(v, v.%.*s(%s))", source, n, name, argument_sources(c, node, 1));
    } else if (node->receiver && is_number(of->kind) && has_overload(first, true, node->arg_n, FILTER_STRING)) {
        filter_suggest(c, node, "as a text", "string(%s).%.*s(%s)", source, n, name, argument_sources(c, node, 1));
    } else if (node->arg_n == 2 && node->args[1]->kind == FILTER_LITERAL && has_overload(first, node->receiver, 2, of->kind)) {
        suggest_literal(c, node->args[1], FILTER_STRING);
    }
}

static const struct {
    const char *name, *text;
} known[] = {
    {"all", "all takes a name and a condition: list.all(x, x > 1)"},
    {"exists", "exists takes a name and a condition: list.exists(x, x > 1)"},
    {"exists_one", "exists_one takes a name and a condition: list.exists_one(x, x > 1)"},
    {"existsOne", "existsOne takes names and a condition: map.existsOne(k, v, v > 1)"},
    {"filter", "filter takes a name and a condition: list.filter(x, x > 1)"},
    {"map", "map takes a name and an expression: list.map(x, x + 1)"},
    {"record", "record() belongs to recordings of old versions; a filter only selects"},
    {"redact", "redact() belongs to old versions; a filter only selects and changes nothing"},
};

void filter_advise_unknown_function(struct checker *c, const struct filter_node *node)
{
    uint32_t n;
    const struct filter_function *functions = filter_functions(&n);
    const char *name = arena_strndup(c->builder.arena, (const char *)node->name.p, node->name.n);
    struct nearest near;
    if (!name || is_told(c, node))
        return;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(known[i].name, name) == 0) {
            filter_fault(c->diagnostics, node->span, "no_function", "%s", known[i].text);
            return;
        }
    filter_fault(c->diagnostics, node->name_span, "no_function", "there is no function \"%s\"", name);
    nearest_init(&near, name);
    for (uint32_t i = 0; c->diagnostics->last && i < n; i++)
        if (functions[i].receiver == node->receiver)
            nearest_try(&near, functions[i].name);
    if (near.best)
        filter_add_fix(c->diagnostics, node->name_span, td_str(near.best), "did you mean");
}

void filter_advise_bad_literal(struct checker *c, const struct filter_node *call)
{
    static const struct {
        const char *name, *form;
    } forms[] = {
        {"timestamp", "a time is written as 2026-01-02T03:04:05Z, or with +02:00 for the Z"},
        {"duration", "a duration is written as 1h2m3.5s, with the units h m s ms us ns"},
        {"ip", "an address is written as 192.0.2.1 or 2001:db8::1"},
        {"cidr", "a network is written as 192.0.2.0/24 or 2001:db8::/32"},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (td_eq(td_str(forms[i].name), call->name))
            filter_fault(c->diagnostics, call->args[0]->span, "bad_literal", "%s", forms[i].form);
}

/* ---- Right, but hardly meant ------------------------------------------------------------------------------------------------------ */

static bool has_text(struct td_slice s, const char *part)
{
    return s.n && memmem(s.p, s.n, part, strlen(part)) != NULL;
}

/* Is a text that is compared meant as a regular expression? */
static bool looks_like_regex(const struct checker *c, const struct filter_node *literal)
{
    static const char *const signs[] = {".*", ".+", "[0-9]", "[a-z]", "[^", "\\d", "\\w", "\\.", "\\s", "(?i)"};
    struct td_slice text = literal->value.bytes, source = filter_source(c, literal);
    bool raw = source.n && (source.p[0] | 0x20) == 'r';
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
        if (has_text(text, signs[i]))
            return true;
    for (size_t i = 0; raw && i < text.n; i++)
        if (strchr("*+?[](){}|^$\\", text.p[i]))
            return true;
    return text.n > 1 && (text.p[0] == '^' || text.p[text.n - 1] == '$');
}

static bool looks_like_network(struct td_slice text)
{
    size_t dots = 0, slashes = 0;
    for (size_t i = 0; i < text.n; i++) {
        dots += text.p[i] == '.';
        slashes += text.p[i] == '/';
        if (!strchr("0123456789./", text.p[i]))
            return false;
    }
    return dots == 3 && slashes == 1 && text.p[text.n - 1] != '/';
}

static void advise_text(struct checker *c, const struct filter_node *node, const struct filter_node *operand,
                        const struct filter_node *literal)
{
    struct td_slice source = filter_source(c, literal), text = literal->value.bytes;
    const char *not = node->op == FILTER_NE ? "!" : "", *target = member_source(c, operand);
    if (looks_like_regex(c, literal)) {
        filter_warning(c->diagnostics, literal->span, "regex", "%s compares the text as it stands; it is no regular expression",
                       filter_operator_name(node->op));
        filter_suggest(c, node, "write", "%s%s.matches(%.*s)", not, target, (int)source.n, (const char *)source.p);
    } else if (looks_like_network(text)) {
        filter_warning(c->diagnostics, literal->span, "network", "%s compares the text as it stands; it is no network",
                       filter_operator_name(node->op));
        filter_suggest(c, node, "write", "%scidr(%.*s).containsIP(%.*s)", not, (int)source.n, (const char *)source.p,
                       (int)filter_source(c, operand).n, (const char *)filter_source(c, operand).p);
    }
}

/* A value that the field never has. */
static void advise_value_set(struct checker *c, const struct filter_node *field, const struct filter_node *literal)
{
    struct filter_symbol symbol;
    if (field->kind != FILTER_FIELD || !is_literal(literal, FILTER_STRING) || !literal->value.bytes.n ||
        !c->env->find(c->env->ctx, field->name, &symbol) || !symbol.field || !symbol.field->values)
        return;
    const char *text = arena_strndup(c->builder.arena, (const char *)literal->value.bytes.p, literal->value.bytes.n);
    struct nearest near;
    nearest_init(&near, text ? text : "");
    for (const char *const *value = symbol.field->values; *value; value++) {
        if (td_eq(td_str(*value), literal->value.bytes))
            return;
        nearest_try(&near, *value);
    }
    filter_warning(c->diagnostics, literal->span, "value", "%s is never this", symbol.field->name);
    for (const char *const *value = symbol.field->values; near.best && *value; value++)
        if (*value == near.best)
            filter_suggest(c, literal, "did you mean", "\"%s\"", near.best);
}

void filter_advise_comparison(struct checker *c, const struct filter_node *node)
{
    const struct filter_node *a = node->args[0], *b = node->args[1];
    if (node->op == FILTER_IN) {
        advise_value_set(c, b, a);
        for (uint32_t i = 0; b->kind == FILTER_NEW_LIST && i < b->arg_n; i++)
            advise_value_set(c, a, b->args[i]);
        return;
    }
    advise_value_set(c, a, b);
    advise_value_set(c, b, a);
    if (is_literal(b, FILTER_STRING) && a->kind != FILTER_LITERAL)
        advise_text(c, node, a, b);
    else if (is_literal(a, FILTER_STRING) && b->kind != FILTER_LITERAL)
        advise_text(c, node, b, a);
}

/* ---- Keys of maps ------------------------------------------------------------------------------------------------------------------- */

/* Is it asked somewhere whether the map has the key? */
static bool is_guarded(const struct filter_node *node, struct td_slice map, struct td_slice key)
{
    char name[FILTER_MAX_NAME];
    const struct filter_node *of = NULL;
    struct td_slice asked = {0};
    if (node->kind == FILTER_HAS && node->name.n) {
        of = node->args[0];
        asked = node->name;
    } else if (node->kind == FILTER_OPERATOR && node->op == FILTER_IN && is_literal(node->args[0], FILTER_STRING)) {
        of = node->args[1];
        asked = node->args[0]->value.bytes;
    }
    size_t n = of ? filter_qualified_name(of, name, sizeof(name)) : 0;
    if (n && td_eq(td_bytes(name, n), map) && td_eq_nocase(asked, key))
        return true;
    for (uint32_t i = 0; i < node->arg_n; i++)
        if (is_guarded(node->args[i], map, key))
            return true;
    return false;
}

static bool has_capital(struct td_slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (td_ascii_lower(s.p[i]) != s.p[i])
            return true;
    return false;
}

void filter_check_key(struct checker *c, const struct filter_node *map, const struct filter_node *whole, struct td_slice *key,
                      struct filter_span span, bool guarded)
{
    struct filter_symbol symbol;
    if (!c->env->find(c->env->ctx, map->name, &symbol))
        return;
    if (symbol.folds_case && has_capital(*key)) {
        uint8_t *lower = arena_alloc(c->builder.arena, key->n, 1);
        c->types.no_memory |= !lower;
        for (size_t i = 0; lower && i < key->n; i++)
            lower[i] = td_ascii_lower(key->p[i]);
        struct td_slice source = td_sub(c->text, span.from, span.to);
        struct buf fixed;
        buf_init(&fixed, 0);
        for (size_t i = 0; i < source.n; i++)
            buf_putc(&fixed, (char)td_ascii_lower(source.p[i]));
        filter_warning(c->diagnostics, span, "capitals", "names of headers are kept in lower case, and this one is taken so");
        if (!fixed.failed)
            filter_add_fix(c->diagnostics, span, buf_slice(&fixed), "write");
        buf_clear(&fixed);
        if (lower)
            *key = td_bytes(lower, key->n);
    }
    if (guarded || is_guarded(c->guards, map->name, *key))
        return;
    struct td_slice source = filter_source(c, map);
    struct buf text;
    buf_init(&text, 0);
    filter_print_string(&text, *key);
    filter_warning(c->diagnostics, whole->span, "unguarded", "a record without this key is an error, and does not match");
    filter_suggest(c, whole, "write", "map_get(%.*s, %s, \"\")", (int)source.n, (const char *)source.p, buf_cstr(&text));
    buf_clear(&text);
}
